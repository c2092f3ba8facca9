"""The command line: what it prints, its exit codes, and how little it costs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import __version__, registry
from zoo.cli import main

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"} | settings
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, check=False,
        encoding="utf-8",
    )  # fmt: skip


# -- list ---------------------------------------------------------------------------------------


def test_list_names_every_method_once(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "role", "input"]
    assert [line.split()[0] for line in lines[1:]] == [row["name"] for row in registry.entries()]


def test_list_filters(capsys):
    assert main(["list", "--role", "regressor", "--input", "table", "--capability", "sparse"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert "Ridge" in names
    assert "LogisticRegression" not in names


def test_list_as_json_is_the_index(capsys):
    assert main(["list", "--role", "Classifier", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == registry.entries(role="Classifier")


def test_list_of_an_unknown_role_says_what_there_is(capsys):
    assert main(["list", "--role", "oracle"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zoo: 'oracle' is none of the known values for role: ")
    assert "Regressor" in err


def test_list_cuts_lines_on_a_terminal_only(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "50")
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) == 50
    assert any(line.endswith("…") for line in lines)


# -- show ---------------------------------------------------------------------------------------


def test_show_prints_the_card_with_readable_equations(capsys):
    assert main(["show", "Ridge"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("Ridge - Regressor on table")
    assert "β = (Xᵀ W X + α I)⁻¹ Xᵀ W y" in page
    assert "alpha: a number >= 0; default 1.0" in page
    assert "Hoerl and Kennard" in page
    assert "\\" not in page


def test_show_of_a_typo_suggests(capsys):
    assert main(["show", "Rigde"]) == 2
    assert "Did you mean 'Ridge'?" in capsys.readouterr().err


# -- check --------------------------------------------------------------------------------------

GOOD = '''
from typing import Any
import numpy as np
from zoo import Ridge

class Named:
    pass

class NeedsArguments:
    def __init__(self, a): pass
    def fit(self, X, y): pass
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine_of_the_cli_test.py").write_text(GOOD)
    yield tmp_path
    sys.modules.pop("mine_of_the_cli_test", None)


class _Report:
    def __init__(self, ok):
        self.ok = ok

    def __str__(self):
        return "3 checks ran"


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_check_prints_the_report_and_tells_by_its_code(here, capsys, monkeypatch, ok, code):
    from zoo import conformance

    checked = []
    monkeypatch.setattr(conformance, "check", lambda e: checked.append(e) or _Report(ok))
    assert main(["check", "mine_of_the_cli_test:Ridge"]) == code
    assert capsys.readouterr().out == "3 checks ran\n"
    assert type(checked[0]).__name__ == "Ridge"


def test_check_runs_the_conformance_suite(here, capsys):
    assert main(["check", "mine_of_the_cli_test:Ridge"]) == 0
    assert capsys.readouterr().out.startswith("Ridge: ")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("Ridge", "is not module:Class"),
        ("no_such_module_xyz:Ridge", "cannot be imported"),
        ("mine_of_the_cli_test:Rigde", "Did you mean 'Ridge'?"),
        ("mine_of_the_cli_test:Named", "is no estimator class"),
        ("mine_of_the_cli_test:NeedsArguments", "cannot be made without arguments"),
        ("broken_of_the_cli_test:A", "SyntaxError"),
    ],
)
def test_check_of_something_else_is_one_sentence(here, capsys, target, words):
    (here / "broken_of_the_cli_test.py").write_text("def (")
    assert main(["check", target]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


# -- run, compare, predict ----------------------------------------------------------------------

SPEC = """
title: From the command line
data: {csv: rows.csv, target: kind}
models: [GaussianNB, {KNeighborsClassifier: {n_neighbors: 900}}]
cv: 3
keep: [leaderboard, predictions, model]
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    import numpy as np
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["long", "wide"])
    frame["kind"] = np.where(frame["long"] > 0, "elm", "oak")
    frame.to_csv("rows.csv", index=False)
    (tmp_path / "trees.yaml").write_text(SPEC)
    return tmp_path


def test_run_writes_a_folder_and_says_where(spec, capsys):
    assert main(["run", "trees.yaml"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["model", "accuracy"]
    assert lines[1].startswith("1  GaussianNB")
    assert lines[2].startswith("2  KNeighborsClassifier  failed: ValueError: ")
    assert "Expected n_neighbors <= n_samples_fit" in lines[2]
    assert lines[3].endswith(f"Results: {Path('results', 'trees')}")
    assert "GaussianNB: 1 trial done" in err
    assert (spec / "results" / "trees" / "model.zoo").exists()
    # Another spec in the same folder, unless it is begun anew.
    (spec / "trees.yaml").write_text(SPEC.replace("cv: 3", "cv: 2"))
    assert main(["run", "trees.yaml"]) == 2
    assert "was made from another spec (they differ in cv)" in capsys.readouterr().err
    assert main(["run", "trees.yaml", "--fresh", "--jobs", "1"]) == 0


def test_run_has_code_1_when_all_fail_and_130_when_interrupted(spec, capsys, monkeypatch):
    (spec / "trees.yaml").write_text(SPEC.replace("GaussianNB, ", ""))
    assert main(["run", "trees.yaml", "--out", "a"]) == 1
    assert "failed" in capsys.readouterr().out

    from zoo.search import _fold

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_fold, "_fit_and_score", interrupt)
    assert main(["run", "trees.yaml", "--out", "b"]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_run_dry_fits_nothing(spec, capsys):
    assert main(["run", "trees.yaml", "--dry"]) == 0
    assert "KNeighborsClassifier: 1 trial" in capsys.readouterr().out
    assert not (spec / "results").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["run", "trees.yaml", "--jobs", "0"], "--jobs 0 is not accepted"),
        (["compare", "."], "holds no finished run"),
        (["predict", ".", "rows.csv"], "there is no model"),
    ],
)
def test_a_wrong_experiment_is_one_sentence(spec, capsys, argv, words):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_predict_and_compare(spec, capsys):
    main(["run", "trees.yaml", "--out", "a"])
    (spec / "trees.yaml").write_text(SPEC.replace(", {KNeighborsClassifier: {n_neighbors: 900}}", ""))
    main(["run", "trees.yaml", "--out", "b"])
    capsys.readouterr()
    assert main(["predict", "a", "rows.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "row,predicted,probability_elm,probability_oak"
    assert len(lines) == 61
    assert main(["predict", "a/model.zoo", "rows.csv", "--out", "told.csv"]) == 0
    assert (spec / "told.csv").read_text().splitlines() == lines
    (spec / "less.csv").write_text("long\n1\n")
    assert main(["predict", "a", "less.csv"]) == 2
    assert "no column 'wide'" in capsys.readouterr().err
    assert main(["compare", "a", "b"]) == 0
    out = capsys.readouterr().out
    assert "GaussianNB" in out
    assert "a and b were asked for different things: models" in out


# -- the process --------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [[], ["lst"], ["list", "--rule", "x"], ["show"]])
def test_a_wrong_call_is_one_sentence_and_code_2(argv, capsys):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zoo: ")
    assert err.count("\n") == 1


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"zoo {__version__}"
    assert main(["list", "--help"]) == 0
    assert "--capability" in capsys.readouterr().out


def test_interrupt_ends_with_130_and_no_traceback(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "entries", interrupt)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_is_silent():
    # The reader has gone away before the first line is written.
    program = (
        "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1)\n"
        "from zoo.cli import main; sys.exit(main(['list', '--json']))"
    )
    done = run("-c", program)
    assert done.stderr == ""
    assert done.returncode == 141


def test_a_terminal_without_unicode_gets_question_marks():
    done = run("-m", "zoo.cli", "show", "Ridge", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    assert "? = (X? W X + ? I)?? X? W y" in done.stdout


COST = (
    "import sys, time; before = time.process_time(); {}\n"
    "print(time.process_time() - before, *sorted({{'torch', 'sklearn', 'numba', 'pandas', 'numpy'}}"
    " & set(sys.modules)), file=sys.stderr)"
)


def test_list_reads_the_index_only_and_costs_little():
    done = run("-c", COST.format("from zoo.cli import main; main(['list'])"))
    seconds, *heavy = done.stderr.split()
    assert heavy == []
    assert float(seconds) < 0.6
    assert "Ridge" in done.stdout


def test_import_zoo_imports_nothing_heavy():
    # The best of three: a loaded machine makes single runs slower, never faster.
    runs = [run("-c", COST.format("import zoo")).stderr.split() for _ in range(3)]
    assert [heavy for _, *heavy in runs] == [[], [], []]
    assert min(float(seconds) for seconds, *_ in runs) < 0.05


# -- new and schema ---------------------------------------------------------------------------------


def test_new_prints_a_spec(capsys):
    from zoo.experiment.spec import read

    assert main(["new", "load_wine"]) == 0
    spec = read(capsys.readouterr().out)
    assert spec.data.sklearn.name == "load_wine"


def test_new_writes_a_spec_beside_other_things(capsys, tmp_path, monkeypatch):
    from zoo.experiment.spec import read

    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(40)))
    assert main(["new", "rows.csv", "--target", "b", "--out", "specs/rows.yaml"]) == 0
    assert "specs/rows.yaml is written" in capsys.readouterr().out
    assert read(tmp_path / "specs" / "rows.yaml").load_data().target == "b"
    assert main(["new", "rows.csv", "--out", "specs/rows.yaml"]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gone.csv"], "does not exist"),
        (["rows.csv", "--target", "c"], "there is no column 'c'"),
        (["rows.csv", "--out", "gone/x.yaml"], "cannot be written"),
    ],
)
def test_new_says_what_is_wrong(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(40)))
    assert main(["new", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zoo: ")
    assert sentence in err
    assert "Traceback" not in err


def test_schema_is_json(capsys):
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "Ridge" in schema["$defs"]["estimators"]


def test_python_m_zoo_is_the_command():
    done, same = (run("-m", module, "list", "--role", "agent") for module in ("zoo", "zoo.cli"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == same.stdout
    assert run("-m", "zoo", "x").returncode == 2
