"""What scikit-learn's own tests say of the zoo: run, explained, counted.

``python tests/peers/sklearn_outcomes.py`` runs them all (some ten minutes) and writes the table
``sklearn_outcomes.csv``: for each test function that makes an estimator of the zoo how many of its cases
pass, fail and are skipped, and why the failing ones fail. The reasons stand in ``sklearn_reasons.yaml``,
each with the messages or tests that it covers; a failure that none covers is called unexplained, and
``test_sklearn.py`` fails.
"""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TABLE = HERE / "sklearn_outcomes.csv"
UNEXPLAINED = "unexplained"
SLOW = 1.0  # seconds of one function, from which the sample leaves it out

MODULES = (
    "linear_model.tests.test_base",
    "linear_model.tests.test_common",
    "linear_model.tests.test_coordinate_descent",
    "linear_model.tests.test_logistic",
    "linear_model.tests.test_ridge",
    "linear_model.tests.test_sparse_coordinate_descent",
    "svm.tests.test_sparse",
    "svm.tests.test_svm",
    "tree.tests.test_export",
    "tree.tests.test_monotonic_tree",
    "tree.tests.test_tree",
    "ensemble.tests.test_common",
    "ensemble.tests.test_forest",
    "ensemble.tests.test_weight_boosting",
    "ensemble._hist_gradient_boosting.tests.test_gradient_boosting",
    "ensemble._hist_gradient_boosting.tests.test_monotonic_constraints",
    "ensemble._hist_gradient_boosting.tests.test_warm_start",
    "neural_network.tests.test_mlp",
)


@dataclass(frozen=True)
class Row:
    """One test function of scikit-learn: its cases that make an estimator of the zoo."""

    module: str
    test: str
    passed: int
    failed: int
    skipped: int
    reasons: str
    slow: str = ""


def run(tests: Iterable[str]) -> dict[str, Any]:
    """Run modules, or functions of modules (``module::test``), in one process; return the outcomes."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pytest.ini").write_text("[pytest]\n")
        found = Path(folder) / "outcomes.json"
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-c", f"{folder}/pytest.ini"]
        command += [f"--rootdir={folder}", "-p", "no:cacheprovider", "-p", "peers.sklearn_substitution"]
        command += [f"--outcomes={found}", "-k", "not array_api", "--pyargs"]
        command += [f"sklearn.{test}" for test in tests]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE.parent}"}
        environment.pop("PYTEST_ADDOPTS", None)
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if not found.exists():
            raise RuntimeError(
                f"scikit-learn's tests did not end:\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}"
            )
        return dict(json.loads(found.read_text()))


@cache
def reasons() -> list[dict[str, Any]]:
    """Read the reasons for which a test may fail."""
    return list(yaml.safe_load((HERE / "sklearn_reasons.yaml").read_text()))


def reason_of(name: str, message: str) -> str:
    """Name the first reason that covers a failing test."""
    for reason in reasons():
        tests, messages = reason.get("tests"), reason.get("messages")
        if tests and not any(re.search(t, name) for t in tests):
            continue
        if messages and not any(re.search(m, message) for m in messages):
            continue
        return f"{reason['kind']}: {reason['reason']}"
    return UNEXPLAINED


def table_of(outcomes: dict[str, Any]) -> list[Row]:
    """Count the outcomes by test function."""
    cases = defaultdict(list)
    for name, (outcome, message, seconds) in outcomes.items():
        path, _, case = name.partition("::")
        module = path.removesuffix(".py").replace("/", ".")
        reason = reason_of(name, message) if outcome == "failed" else ""
        cases[module, case.partition("[")[0]].append((outcome, reason, seconds))
    return [
        Row(
            module,
            test,
            *(sum(outcome == kind for outcome, _, _ in found) for kind in ("passed", "failed", "skipped")),
            " | ".join(sorted({reason for _, reason, _ in found if reason})),
            "slow" if sum(seconds for *_, seconds in found) > SLOW else "",
        )
        for (module, test), found in sorted(cases.items())
    ]


def read_table() -> list[Row]:
    """Read the table as it was last written."""
    with TABLE.open(newline="") as file:
        return [
            Row(
                r["module"],
                r["test"],
                int(r["passed"]),
                int(r["failed"]),
                int(r["skipped"]),
                r["reasons"],
                r["slow"],
            )
            for r in csv.DictReader(file)
        ]


def write_table(rows: list[Row]) -> None:
    """Write the table."""
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([f.name for f in fields(Row)])
        writer.writerows(astuple(row) for row in rows)


def summary(rows: list[Row]) -> str:
    """Say how many pass, and how many fail for each kind of reason."""
    passed, failed, skipped = (
        sum(getattr(r, kind) for r in rows) for kind in ("passed", "failed", "skipped")
    )
    return f"{passed + failed + skipped} tests: {passed} pass, {failed} fail, {skipped} skipped"


def main() -> None:
    """Run every module, each in a process of its own, and write the table."""
    rows = []
    for module in MODULES:
        outcomes = run([module])
        rows += table_of(outcomes)
        print(module, summary(table_of(outcomes)), flush=True)
        for name, (outcome, message, _) in outcomes.items():
            if outcome == "failed" and reason_of(name, message) == UNEXPLAINED:
                print("   ", name.partition("::")[2], "-", message[:300], flush=True)
    write_table(sorted(rows, key=lambda row: (row.module, row.test)))
    print(summary(rows))


if __name__ == "__main__":
    main()
