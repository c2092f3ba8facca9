"""Folders that were damaged, or cannot be used: one sentence, or the same leaderboard."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from small_runs import FAST, SMALL

from zoo.experiment import ExperimentError, compare, predict, run
from zoo.experiment.folder import locked, write
from zoo.experiment.spec import SpecError
from zoo.persist import ZooFileError

SENTENCES = (ExperimentError, SpecError, ZooFileError)
TWO = SMALL | {"models": [*SMALL["models"], "sklearn.DecisionTreeClassifier"]}
READ_AGAIN = ("spec.yaml", "environment.json", "journal.jsonl", "findings.json", "model.zoo")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return run(TWO, tmp_path_factory.mktemp("runs") / "two", progress=False)


@pytest.fixture
def folder(done, tmp_path):
    return shutil.copytree(done.folder, tmp_path / "copy")


def scores_of(result):
    return [(row["model"], row["scores"]) for row in result.findings["leaderboard"]]


def run_again(folder, done):
    """Run in a damaged folder: the same leaderboard, or one sentence, which is returned."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* damaged lines; those trials are run again", UserWarning)
        try:
            again = run(TWO, folder, progress=False)
        except SENTENCES as error:
            said = str(error)
            assert "\n" not in said
            return said
    assert scores_of(again) == scores_of(done)
    return None


# -- journals ---------------------------------------------------------------------------------------


def changed_row(**changes):
    return lambda row: {k: v for k, v in (row | changes).items() if v is not KeyError}


@pytest.mark.parametrize(
    "change",
    [
        changed_row(scores=KeyError), changed_row(scores=None), changed_row(scores="x"),
        changed_row(scores={}), changed_row(scores={"r2": [1.0, 1.0, 1.0]}),
        changed_row(scores={"accuracy": [1, 1], "roc_auc": [1, 1]}),
        changed_row(scores={"accuracy": [1, 1, 1], "roc_auc": [1, "x", 1]}), changed_row(warnings=None),
        changed_row(warnings={"a": "b"}), changed_row(fit_seconds=KeyError), changed_row(n_train=[1]),
        changed_row(share="x"), changed_row(share=None), changed_row(error=5), changed_row(error=KeyError),
        changed_row(traceback=[]), changed_row(train_scores=KeyError), changed_row(key=5), lambda row: [row],
        lambda row: 5,
    ],
)  # fmt: skip
def test_a_line_that_is_no_row_is_run_again(change, folder, done):
    lines = (folder / "journal.jsonl").read_text().splitlines()
    lines[1] = json.dumps(change(json.loads(lines[1])))
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.warns(UserWarning, match="damaged lines; those trials are run again"):
        again = run(TWO, folder, progress=False)
    assert scores_of(again) == scores_of(done)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"key": "\\ud800"', '{"journal": 1, "seed": "x"}', "\x00"])
def test_a_line_that_is_no_json_is_skipped(line, folder, done):
    with open(folder / "journal.jsonl", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.warns(UserWarning, match="damaged lines"):
        again = run(TWO, folder, progress=False)
    assert scores_of(again) == scores_of(done)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_json_reads_as_infinite_is_not_believed(number, folder, done):
    lines = (folder / "journal.jsonl").read_text().splitlines()
    row = json.loads(lines[1])
    row["scores"]["accuracy"][0] = "HERE"
    lines[1] = json.dumps(row).replace('"HERE"', number)
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.warns(UserWarning, match="damaged lines"):
        again = run(TWO, folder, progress=False)
    assert scores_of(again) == scores_of(done)


# -- everything else ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spec.yaml", "environment.json"])
@pytest.mark.parametrize(
    "content", [b"{", b"\xff\xfe\x00", b"[1, 2]", b"5", b"{}", b"a: [", b"[" * 100_000, b""]
)
def test_a_damaged_file_is_named_and_fresh_begins_anew(name, content, folder, done):
    (folder / name).write_bytes(content)
    said = run_again(folder, done)
    assert said is not None
    assert name in said or "they differ in" in said
    assert "--fresh" in said


def test_fresh_forgets_what_is_damaged(folder, done):
    (folder / "spec.yaml").write_bytes(b"{")
    assert scores_of(run(TWO, folder, fresh=True, progress=False)) == scores_of(done)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"metrics": 5, "leaderboard": [], "spec": 5, "environment": 5}', "[" * 100_000],
)
def test_damaged_findings_are_one_sentence(content, folder, done, tmp_path):
    (folder / "findings.json").write_text(content)
    with pytest.raises(ExperimentError, match=r"findings\.json is damaged"):
        compare([done.folder, folder])
    pd.DataFrame(np.zeros((2, 5))).to_csv(tmp_path / "rows.csv")
    with pytest.raises(ExperimentError, match=r"findings\.json is damaged"):
        predict(folder, tmp_path / "rows.csv")


def test_places_that_are_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/inside", "\x00"):
        with pytest.raises((ExperimentError, ValueError)) as failure:
            run(SMALL, tmp_path / place, progress=False)
        assert "\n" not in str(failure.value)
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    with pytest.raises(ExperimentError, match="no experiment"):
        run(SMALL, tmp_path / "out", progress=False)
    with pytest.raises(ExperimentError, match=r"report\.html cannot be used \(Is a directory\)"):
        run(SMALL, tmp_path / "out", fresh=True, progress=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a limit of the system on file sizes")
def test_a_full_disk_is_one_sentence_and_the_run_goes_on(tmp_path, done):
    """Files of more than 600 bytes cannot be written: the spec can, the journal cannot."""
    program = (
        "import json, resource, signal, sys\n"
        "from zoo.experiment import ExperimentError, run\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    run(json.loads(sys.argv[1]), sys.argv[2], progress=False)\n"
        "except ExperimentError as error:\n"
        "    print(error)\n"
    )
    out = tmp_path / "out"
    told = subprocess.run(
        [sys.executable, "-c", program, json.dumps(TWO), str(out)],
        capture_output=True, text=True, check=True, env=os.environ,
    ).stdout  # fmt: skip
    assert "cannot be used (File too large); make room" in told
    assert scores_of(run(TWO, out, progress=False)) == scores_of(done)


def damage(path, rng):
    """Change a file in one of six ways."""
    raw = path.read_bytes()
    n = len(raw)
    i, j = sorted(int(k) for k in rng.integers(n, size=2))
    way = int(rng.integers(6))
    if way == 0:
        path.write_bytes(raw[:i])
    elif way == 1:
        path.write_bytes(raw[:i] + raw[j:])
    elif way == 2:
        path.write_bytes(raw[:i] + rng.bytes(j - i) + raw[j:])
    elif way == 3:
        path.write_bytes(raw[:i] + bytes([int(rng.integers(256))]) + raw[i + 1 :])
    elif way == 4:
        path.unlink()
    else:
        path.write_bytes(raw.replace(b'"', b"", 1) if rng.random() < 0.5 else raw.replace(b": ", b": -", 1))


@pytest.mark.parametrize("n", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_damaged_folders_say_one_sentence_or_the_same(n, done, tmp_path):
    rng = np.random.default_rng(n)
    pd.DataFrame(np.zeros((2, 5)), columns=[f"x{i}" for i in range(5)]).to_csv(tmp_path / "rows.csv")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(n):
        copy = shutil.copytree(done.folder, tmp_path / str(i))
        damage(copy / READ_AGAIN[i % len(READ_AGAIN)], rng)
        for act in (
            lambda: compare([done.folder, copy]),  # noqa: B023
            lambda: predict(copy, tmp_path / "rows.csv"),  # noqa: B023
        ):
            with contextlib.suppress(*SENTENCES):
                act()
        if i % len(READ_AGAIN) < 3:  # what a run reads
            run_again(copy, done)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 64 * 2**20


# -- whose it is ----------------------------------------------------------------------------------------


def test_two_runs_in_one_folder_are_refused_and_a_dead_lock_is_not(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").write_text("process 999999999 on nowhere\n")
    said = f"in use by another run .process {os.getpid()} on"
    with locked(out), pytest.raises(ExperimentError, match=said):
        run(FAST, out, progress=False)
    run(SMALL | {"keep": []}, out, progress=False)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    write(path, "old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(OSError, match="no room"):
        write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
