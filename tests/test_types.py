"""A type checker reports nothing on what users write: a few lines for each role, and the examples."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import users_lines

ROOT = Path(__file__).resolve().parents[1]


def errors(tmp_path: Path, *files: Path, **options: object) -> list[str]:
    """Return what pyright says of files, in basic mode, each as one line."""
    pytest.importorskip("basedpyright", reason="pyright is not installed: pip install 'sklearn-zoo[dev]'")
    settings = {
        "typeCheckingMode": "basic",
        "include": [str(file) for file in files],
        "extraPaths": [str(ROOT)],
        **options,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "-p", str(tmp_path), "--outputjson"]
    said = subprocess.run(
        [*command, "--pythonpath", sys.executable], capture_output=True, text=True, check=False
    )
    report = json.loads(said.stdout)
    assert report["summary"]["filesAnalyzed"] >= len(files)
    return [
        f"{Path(e['file']).name}:{e['range']['start']['line'] + 1}: {e['message']}"
        for e in report["generalDiagnostics"]
        if e["severity"] == "error"
    ]


def test_a_type_checker_reports_nothing_on_a_users_lines(tmp_path):
    assert errors(tmp_path, ROOT / "tests" / "users_lines.py") == []


def test_a_type_checker_finds_a_wrong_parameter_and_a_missing_one(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from zoo import DQN, Ridge\n\nRidge(alfa=1.0)\nRidge(alpha='x')\nDQN()\n")
    said = errors(tmp_path, wrong)
    assert [line.split(":")[1] for line in said] == ["3", "4", "5"]


def test_a_type_checker_reports_nothing_on_the_examples(tmp_path):
    # scikit-learn ships no types, and what is guessed of its sources is wrong: train_test_split
    # does not return a list. Only what libraries declare is believed here.
    examples = sorted((ROOT / "examples").glob("*.py"))
    assert errors(tmp_path, *examples, useLibraryCodeForTypes=False, reportMissingModuleSource=False) == []


@pytest.mark.parametrize(
    "role", ["regressors", "classifiers", "series", "samplers", "detectors", "recommenders", "agents"]
)
def test_a_users_lines_run(role):
    getattr(users_lines, role)()


def test_what_holds_them_all_runs(tmp_path):
    users_lines.what_holds_them_all(tmp_path)
