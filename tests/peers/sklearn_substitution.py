"""A pytest plugin: the zoo's classes take the place of scikit-learn's, and every outcome is written down.

It runs in a process of its own, over the test files of the installed wheel:
``pytest -p peers.sklearn_substitution --outcomes=FILE --pyargs sklearn.svm.tests.test_svm``.
"""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers.sklearn_adapter import Adapted, Refused, substitute

from zoo.contract.estimator import Estimator

SECONDS = 60  # for one test


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--outcomes", required=True)


def pytest_configure(config: Any) -> None:
    config.adapted = substitute()
    config.outcomes = {}
    Adapted.collecting = True


def pytest_collection_finish(session: Any) -> None:
    Adapted.collecting = False


def _of_the_zoo(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_of_the_zoo(v) for v in value)
    if isinstance(value, dict):
        return any(_of_the_zoo(v) for v in value.values())
    return isinstance(value, Adapted | Refused | Estimator) or isinstance(
        getattr(value, "estimator", None), Estimator
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    made, began = Adapted.made, time.process_time()
    item.reports = []
    yield
    given = getattr(getattr(item, "callspec", None), "params", {})
    if Adapted.made == made and not _of_the_zoo(given):
        return None
    outcome, message = "passed", ""
    for _phase, how, text in item.reports:
        if how == "failed" or (how == "skipped" and outcome == "passed"):
            outcome, message = how, text
    where = item.path.as_posix().rpartition("/sklearn/")[2]
    item.config.outcomes[f"{where}::{item.name}"] = (outcome, message, round(time.process_time() - began, 2))
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Any:
    report = yield
    text = ""
    if call.excinfo is not None:
        text = " ".join(f"{call.excinfo.type.__name__}: {call.excinfo.value}".split())[:400]
    item.reports.append((report.when, report.outcome, text))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Any:
    def late(*_: Any) -> None:
        raise TimeoutError(f"no end after {SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)


def pytest_sessionfinish(session: Any) -> None:
    Path(session.config.getoption("--outcomes")).write_text(json.dumps(session.config.outcomes))
