"""The suite over the registry, and the proof that it sees what it is there to see.

`healthy` holds a tiny estimator of every role and input that passes, `broken` a twin for every
promise of the contract that breaks it.
"""

import random
import sys
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import RobustScaler
from sklearn.utils.validation import check_is_fitted, validate_data

sys.path.insert(0, str(Path(__file__).parent))  # pickle finds the classes of these by name

from broken import BROKEN, has_a_wrong_example
from healthy import (
    HEALTHY,
    GaussianSampler,
    LeastSquares,
    LeastSquaresEngine,
    TableAgent,
    docstring,
)

from zoo.conformance import Case, Nonconformity, Report, Result, check, check_names
from zoo.conformance._capabilities import BY_CAPABILITY
from zoo.conformance._case import difference, energy_distance, fingerprint
from zoo.conformance._environments import corridor
from zoo.conformance._everyone import EVERYONE
from zoo.conformance._inputs import BY_INPUT
from zoo.conformance._roles import BY_ROLE
from zoo.conformance._suite import NEEDS_A_CARD
from zoo.conformance._targets import BY_TARGET
from zoo.contract.inputs import Either
from zoo.contract.params import Count
from zoo.registry import entries, find

has_a_wrong_example()

# Checks that no broken estimator is written for, and why.
NO_MUTANT = {
    "check_save_load": "only estimators of the registry can be saved; tests/persist",
}


# -- the registry -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [row["name"] for row in entries()])
def test_registered_estimator_conforms(name):
    report = check(find(name))
    print(report)
    assert report.ok, f"\n{report}"
    if find(name).input.two_d_array:
        assert report.n_ran >= 50


# -- the healthy pass ---------------------------------------------------------------------------


@cache
def report_of(cls: Any) -> Report:
    return check(cls)


@pytest.mark.parametrize("cls", HEALTHY, ids=lambda c: c.__name__)
def test_healthy_estimator_passes(cls):
    report = report_of(cls)
    assert report.ok, f"\n{report}"


def test_healthy_estimators_cover_every_role_input_and_target():
    cards = [cls.card() for cls in HEALTHY]
    assert {role for card in cards for role in card.roles} == set(BY_ROLE)
    kinds = {"either" if isinstance(cls.input, Either) else cls.input.name for cls in HEALTHY}
    assert kinds == set(BY_INPUT)
    assert {cls.target.name for cls in HEALTHY} == set(BY_TARGET)


def test_every_check_has_run_on_a_healthy_or_registered_estimator():
    ran = set()
    for cls in HEALTHY:
        ran |= set(report_of(cls).names("passed"))
    never = set(check_names()) - ran - {"check_number_of_checks", "check_save_load"}
    # Registered estimators run these: what engines claim, and classifiers without probabilities.
    assert never <= {
        "check_probabilities_unclaimed",
        "check_gpu",
        "check_early_stopping",
        "check_warm_start",
        "check_sparse",
        "check_inverse_methods",
    }


# -- the broken are caught ----------------------------------------------------------------------


@pytest.mark.changes_global_random_state
@pytest.mark.parametrize("cls", BROKEN, ids=lambda c: c.__name__)
def test_broken_estimator_is_caught_by_the_check_that_is_meant_for_it(cls):
    counts_all = cls.breaks in ("check_number_of_checks", "check_telepathy")
    names = [cls.breaks] if cls.nothing_works else check_names()
    report = check(cls, only=None if counts_all else names)
    failed = {r.name: r for r in report.failed}
    assert cls.breaks in failed, f"nothing noticed\n{report}"
    assert isinstance(failed[cls.breaks].error, Nonconformity)
    assert not [r.name for r in report.results if r.crashed], f"\n{report}"
    assert set(failed) <= {cls.breaks, *cls.also}, f"\n{report}"


def test_every_check_has_caught_something():
    caught = {cls.breaks for cls in BROKEN}
    assert set(check_names()) - caught == set(NO_MUTANT)
    assert len(BROKEN) >= 26


# -- the report ---------------------------------------------------------------------------------


def test_report_counts_and_prints():
    report = report_of(LeastSquares)
    assert report.ok
    assert report.n_sklearn >= 50
    assert report.n_ran == len(report.names()) - len(report.names("skipped"))
    text = str(report)
    assert text.startswith(f"LeastSquares: {report.n_ran} checks ran ({report.n_sklearn} of ")
    assert "skipped check_save_load: zoo.load makes only estimators of the registry" in text
    assert report.raise_for_failures() is report


def test_report_of_failures_raises_and_says_why():
    broken = next(c for c in BROKEN if c.__name__ == "IgnoresWeights")
    report = check(broken, only=["check_sample_weight"])
    assert not report.ok
    with pytest.raises(AssertionError, match="failed  check_sample_weight: sample_weight has no"):
        report.raise_for_failures()


def test_report_says_once_what_many_checks_say():
    same = tuple(Result(f"check_{i}", "failed", "no fit") for i in range(5))
    text = str(Report("Toy", (*same, Result("check_9", "failed", "no card"))))
    assert text.count("no fit") == 1
    assert "... and so 4 others: check_1, check_2, check_3, check_4" in text
    assert "check_9: no card" in text
    few = str(Report("Toy", same[:2]))
    assert few.count("no fit") == 2


def test_inputs_that_scikit_learn_does_not_know_count_no_check_of_it():
    report = report_of(TableAgent)
    assert report.n_sklearn == 0
    (skipped,) = [r for r in report.results if r.source == "scikit-learn"]
    assert skipped.status == "skipped"
    assert "env" in skipped.reason


def test_only_runs_what_is_named():
    names = ["check_pickle", "check_estimators_pickle"]
    assert set(check(LeastSquares, only=names).names()) == set(names)


def test_native_can_be_left_out():
    report = check(LeastSquares, native=False)
    assert report.ok
    assert {r.source for r in report.results} == {"scikit-learn", "zoo"}
    assert [r.name for r in report.results if r.source == "zoo"] == ["check_number_of_checks"]


class Excused(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    excused: ClassVar[dict[str, str]] = {
        "check_predict_writes_nothing": "it counts what it is asked",
        "check_dict_unchanged": "the same",
    }

    def _output(self, X: Any) -> np.ndarray:
        self.last_n_ = len(X)
        return super()._output(X)


def test_excuses_are_honoured_and_printed():
    report = check(Excused)
    assert report.ok
    assert sorted(report.names("excused")) == sorted(Excused.excused)
    assert "excused check_predict_writes_nothing: it counts what it is asked" in str(report)


def test_crash_is_told_from_nonconformity():
    assert Result("check_x", "failed", error=KeyError("x")).crashed
    assert not Result("check_x", "failed", error=Nonconformity("x")).crashed
    assert not Result("check_x", "failed", source="scikit-learn", error=KeyError("x")).crashed


# -- what check accepts ---------------------------------------------------------------------------


def test_check_refuses_what_is_no_estimator():
    with pytest.raises(TypeError, match="object has no fit and no get_params and no __sklearn_tags__"):
        check(object())


@pytest.mark.parametrize(
    "stranger",
    [LinearRegression, LogisticRegression, KNeighborsClassifier, RobustScaler(), CountVectorizer],
    ids=lambda s: getattr(s, "__name__", None),
)
def test_strangers_that_follow_the_conventions_pass(stranger):
    report = check(stranger)
    assert report.ok, f"\n{report}"
    assert len([r for r in report.results if r.source == "zoo" and r.status == "passed"]) >= 16
    assert not set(report.names()) & NEEDS_A_CARD


class RanksTheBatch(OutlierMixin, BaseEstimator):
    """A stranger whose score of a row depends on the rows beside it."""

    def fit(self, X: Any, y: Any = None) -> Any:
        validate_data(self, X)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "n_features_in_")
        X = validate_data(self, X, reset=False)
        return 0.5 - np.abs(X - np.median(X, axis=0)).max(axis=1) / 5

    def predict(self, X: Any) -> np.ndarray:
        return np.where(self.decision_function(X) < 0, -1, 1)


def test_a_stranger_that_ranks_its_batch_is_found_out():
    report = check(RanksTheBatch)
    found = {r.name: r.reason for r in report.failed if r.source == "zoo"}
    assert set(found) == {"check_batch_composition", "check_stranger_is_found"}
    assert "alone differs from predict of it among others" in found["check_batch_composition"]


class ExcusesItsRanks(RanksTheBatch):
    excused: ClassVar[dict[str, str]] = {"check_batch_composition": "it ranks the batch"}


def test_excuses_of_strangers_are_honoured():
    report = check(ExcusesItsRanks, only=["check_batch_composition"])
    assert report.names("excused") == ["check_batch_composition"]


class EatsDictionaries(BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Any:
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.dict = True
        return tags


def test_strangers_whose_data_nobody_can_make_are_refused_in_a_sentence():
    with pytest.raises(TypeError, match="EatsDictionaries takes neither tables nor documents, by its tags"):
        check(EatsDictionaries())


class SaysNothing(LinearRegression):
    def predict(self, X: Any) -> np.ndarray:
        if np.shape(X)[0] < 99:
            raise AssertionError
        return super().predict(X)


def test_an_error_without_words_is_quoted_where_it_was_raised():
    report = check(SaysNothing(), only=["check_batch_composition"])
    (failed,) = report.failed
    assert failed.reason.startswith("AssertionError: raise AssertionError (line ")
    assert failed.reason.endswith("test_conformance.py)")


def test_check_refuses_a_class_with_required_parameters():
    class Needs(LeastSquaresEngine):
        __doc__ = docstring("Solve.", "alpha")
        smoothing: Any

    with pytest.raises(TypeError, match="cannot be made without smoothing; give check an instance"):
        check(Needs)


def test_agent_instance_is_checked_in_the_toy_environment():
    report = check(TableAgent(env="Nowhere-v7"), only=["check_agent_actions"])
    assert report.names("passed") == ["check_agent_actions"]


def test_check_does_not_fit_what_it_is_given():
    estimator = LeastSquares()
    check(estimator, only=["check_pickle"])
    assert not estimator.__sklearn_is_fitted__()


def test_check_restores_the_global_generators():
    import torch

    broken = next(c for c in BROKEN if c.__name__ == "SeedsNumpy")
    before = np.random.get_state(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    check(broken, only=["check_global_state_untouched"])
    assert fingerprint(np.random.get_state()) == fingerprint(before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert random.getstate() == before[2]


def test_names_do_not_collide_with_scikit_learn():
    report = report_of(LeastSquares)
    theirs = {r.name for r in report.results if r.source == "scikit-learn"}
    assert not theirs & set(check_names())
    assert len(check_names()) == len(set(check_names()))


def test_every_check_says_what_it_protects():
    groups = [EVERYONE, *BY_ROLE.values(), *BY_TARGET.values(), *BY_INPUT.values()]
    groups += [c.claimed + c.unclaimed for c in BY_CAPABILITY.values()]
    for checker in {c for group in groups for c in group}:
        assert checker.__doc__, checker.__name__
        assert len(checker.__doc__) > 20


# -- the instruments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "differ"),
    [
        (np.ones(3), np.ones(3), False),
        (np.ones(3), np.ones(3) + 1e-9, False),
        (np.ones(3), np.ones(3) + 1e-3, True),
        (np.ones(3), np.ones(4), True),
        (np.array([1, np.nan]), np.array([1, np.nan]), False),
        (np.array([1, np.nan]), np.array([1, 2.0]), True),
        (np.array([np.inf]), np.array([-np.inf]), True),
        (np.array(["a"]), np.array(["a"]), False),
        (np.array(["a"]), np.array(["b"]), True),
        (["a", "bc"], ["a", "bc"], False),
        ({"x": np.ones(2)}, {"x": np.zeros(2)}, True),
        (1.0, 1.0, False),
    ],
)
def test_difference(a, b, differ):
    assert bool(difference(a, b, 1e-6)) is differ


def test_fingerprint_sees_changes_in_place():
    import torch

    for value, change in (
        (np.zeros(3), lambda v: v.__setitem__(0, 1)),
        ([1, 2], lambda v: v.append(3)),
        ({"a": np.zeros(2)}, lambda v: v["a"].__setitem__(1, 1)),
        (np.random.RandomState(0), lambda v: v.rand()),
        (torch.zeros(2), lambda v: v.add_(1)),
        (np.array(["a", None], dtype=object), lambda v: v.__setitem__(0, "b")),
    ):
        before = fingerprint(value)
        assert fingerprint(value) == before
        change(value)
        assert fingerprint(value) != before


def test_energy_distance_tells_samples_apart():
    rng = np.random.default_rng(0)
    A, B, C = rng.normal(size=(300, 2)), rng.normal(size=(300, 2)), rng.normal(2, 1, (300, 2))
    assert abs(energy_distance(A, B)) < 0.05 < 0.5 < energy_distance(A, C)


def test_toy_environment_ends_and_repeats():
    env = corridor()
    first = [env.reset(seed=s)[0].tolist() for s in (1, 2, 1)]
    assert first[0] == first[2] != first[1]
    steps = [env.step(1) for _ in range(10)]
    ends = [terminated for _, _, terminated, _, _ in steps]
    assert ends == sorted(ends)
    assert [reward for _, reward, _, _, _ in steps] == [1.0 if end else -0.1 for end in ends]
    assert ends[-1]
    env.reset(seed=0)
    over = [env.step(0)[3] for _ in range(20)]
    assert over == [False] * 19 + [True]


def test_case_lowers_budgets_and_keeps_what_is_lower():
    class Budgeted(LeastSquaresEngine):
        __doc__ = docstring("Solve.", "alpha")
        max_iter: Count = 10_000
        n_estimators: Count = 3

    prototype = Case(Budgeted()).prototype
    assert (prototype.max_iter, prototype.n_estimators) == (200, 3)
    assert Case(GaussianSampler()).y is None
