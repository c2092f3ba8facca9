"""scikit-learn's own tests, from the installed wheel, on the zoo's classes of the same name.

A seeded sample runs by default, all of them with ``-m slow``. What passes, what fails and why stands in
``sklearn_outcomes.csv``; ``python tests/peers/sklearn_outcomes.py`` writes it anew.
"""

import random

import pytest
import sklearn
from peers import sklearn_adapter, sklearn_outcomes
from peers.sklearn_outcomes import MODULES, UNEXPLAINED, read_table, reasons, run, summary, table_of

import zoo


def _counts(rows):
    return {(r.module, r.test): (r.passed, r.failed, r.skipped, r.reasons) for r in rows}


@pytest.mark.slow
def test_a_sample_of_scikit_learns_tests_ends_no_worse_than_the_table_says():
    quick = [row for row in read_table() if not row.slow and row.passed + row.failed <= 20]
    sample = random.Random(0).sample(quick, 20)
    found = _counts(table_of(run(f"{row.module}::{row.test}" for row in sample)))
    for row in sample:
        passed, failed, _, why = found[row.module, row.test]
        assert UNEXPLAINED not in why, (row.module, row.test)
        assert passed >= row.passed, (row.module, row.test, why)
        assert passed + failed == row.passed + row.failed, (row.module, row.test)


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_scikit_learns_tests_end_no_worse_than_the_table_says(module):
    found = _counts(table_of(run([module])))
    for (_, test), (_, _, _, why) in found.items():
        assert UNEXPLAINED not in why, test
    for row in read_table():
        if row.module == module:
            assert found[module, row.test][0] >= row.passed, row.test


def test_every_failure_of_the_table_has_a_reason_and_none_is_a_defect():
    for row in read_table():
        assert bool(row.failed) == bool(row.reasons)
        assert UNEXPLAINED not in row.reasons
        assert "defect:" not in row.reasons


def test_every_reason_is_needed_and_is_of_a_kind():
    given = {f"{r['kind']}: {r['reason']}" for r in reasons()}
    used = {reason for row in read_table() for reason in row.reasons.split(" | ") if reason}
    assert used == given
    assert {r["kind"] for r in reasons()} == {"gap", "other"}


def test_the_table_holds_every_module_and_says_of_which_version():
    rows = read_table()
    assert {row.module for row in rows} == set(MODULES)
    assert summary(rows) in (sklearn_outcomes.HERE / "README.md").read_text()
    assert sklearn.__version__.startswith("1.9")


def test_every_class_of_the_same_name_has_its_peer():
    own = {name for name, _ in zoo.all_estimators()}
    theirs = dict(sklearn.utils.all_estimators())
    named = {ours for names in sklearn_adapter.PAIRS.values() for ours in names.values()}
    assert own & set(theirs) <= named <= own
