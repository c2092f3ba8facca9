"""What is asked of meta-estimators: what they hold says what they are, and stays as it was given."""

import pickle
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from zoo.conformance._case import METHODS, Case, Checker, expect, expect_same, fingerprint, refused, working
from zoo.conformance._report import NotApplicable
from zoo.contract.inputs import Held, n_rows
from zoo.contract.params import REQUIRED, Holds, fields_of, mark_of
from zoo.linear.linear_regression import LinearRegression
from zoo.linear.logistic_regression import LogisticRegression
from zoo.svm.linear_svc import LinearSVC


def estimator_for(cls: Any) -> dict[str, Any]:
    """Return what a wrapper may hold where its class does not say it: a classifier, fitted if it must be."""
    given = {}
    for name, f in fields_of(cls).items():
        mark = mark_of(f.hint, Holds)
        if mark is not None and f.default is REQUIRED:
            held = LogisticRegression()
            given[name] = held.fit(*Held().toy(np.random.RandomState(0))) if mark.fitted else held
    return given


def _holds(case: Case) -> Any:
    """Return the estimator that the wrapper under test holds."""
    return case.prototype._base()


def _around(case: Case, held: Any) -> Any:
    """Return the wrapper around a clone of another estimator."""
    return case.make().set_params(estimator=clone(held))


def check_held_stays(case: Case) -> None:
    """What is held is as it was given after a fit: unfitted, or to the bit what it had learned."""
    held = _holds(case)
    if not case.shared:
        held = clone(held)
        wrapper = _around(case, held).set_params(estimator=held)
        before = fingerprint(vars(held))
        case.fit(on=wrapper)
        expect(wrapper.estimator is held, "fit puts another estimator in the place of the given one")
        expect(fingerprint(vars(held)) == before, "fit changes the given estimator; fit a clone of it")
        expect(wrapper.estimator_ is not held, "the given estimator is fitted itself, not a clone of it")
        return
    wrapper = case.make()
    before = pickle.dumps(_learned_by(held))
    answers = case.answers(wrapper.estimator)
    case.answers(case.fit(on=wrapper))
    expect(wrapper.estimator is held, "fit puts another estimator in the place of the fitted one")
    expect(pickle.dumps(_learned_by(held)) == before, "fit changes the shared estimator")
    expect_same(answers, case.answers(held), 0, "fit changes the answers of the shared estimator")


def _learned_by(estimator: Any) -> dict[str, Any]:
    return {name: fingerprint(value) for name, value in vars(estimator).items()}


def check_held_is_cloned(case: Case) -> None:
    """A clone of the wrapper holds a clone of an estimator to be fitted, and a fitted one itself."""
    held = _holds(case)
    wrapper = case.make() if case.shared else _around(case, held)
    twin = clone(wrapper)
    if case.shared:
        expect(twin.estimator is held, "a clone holds a copy of the fitted estimator; it is shared")
        return
    expect(twin.estimator is not wrapper.estimator, "a clone holds the same estimator, not a clone of it")
    expect(repr(twin.estimator) == repr(wrapper.estimator), "a clone holds an estimator of other parameters")


def check_held_parameters(case: Case) -> None:
    """Parameters of what is held are read and set as estimator__name; those of a fitted one only read."""
    wrapper = case.make() if case.shared else _around(case, _holds(case))
    inner = wrapper.estimator.get_params(deep=False)
    outer = wrapper.get_params(deep=True)
    missing = [name for name in inner if f"estimator__{name}" not in outer]
    expect(not missing, f"get_params(deep=True) lacks estimator__{missing[:1]}")
    name = next(iter(inner))
    if case.shared:
        setting = partial(wrapper.set_params, **{f"estimator__{name}": inner[name]})
        refused(setting, "setting a parameter of a fitted estimator", ValueError, name, "fitted")
        return
    value = object()
    with working("set_params reaches what is held"):
        wrapper.set_params(**{f"estimator__{name}": value})
    found = wrapper.estimator.get_params()[name]
    expect(found is value, f"set_params(estimator__{name}=...) changes nothing")
    refused(
        lambda: wrapper.set_params(estimator__no_such_parameter=1), "an unknown parameter", ValueError,
        "no_such_parameter",
    )  # fmt: skip


def check_held_says_what_it_is(case: Case) -> None:
    """Tags follow what is held; what it offers is offered, and what is offered works."""
    if case.shared:
        others = [_holds(case)]
    else:
        others = [_holds(case), LogisticRegression(), LinearSVC(), LinearRegression()]
    for held in others:
        wrapper = case.make() if case.shared else _around(case, held)
        name = type(held).__name__
        ours, theirs = get_tags(wrapper), get_tags(held)
        for part in ("estimator_type", "input_tags", "target_tags"):
            same = getattr(ours, part) == getattr(theirs, part)
            expect(same, f"around {name} the {part} are not those of {name}")
        lost = [m for m in METHODS if hasattr(held, m) and not hasattr(wrapper, m)]
        expect(not lost, f"{name} offers {lost[:1]}, the wrapper around it does not")
        own = [m for m in METHODS if hasattr(wrapper, m) and not hasattr(held, m)]
        if not own:
            continue
        y = case.classes() if theirs.estimator_type == "classifier" else case.classes().astype(float)
        try:
            wrapper.fit(case.X, y)
        except (ValueError, TypeError):
            continue  # it does not hold such an estimator
        for method in own:
            with working(f"around {name}, which has no {method}, the wrapper offers one"):
                getattr(wrapper, method)(case.X)


class _Noting:
    """Stands for an estimator, and notes what else its fit is given."""

    def __init__(self, held: Any, noted: list[dict[str, Any]]) -> None:
        self.held, self.noted = held, noted

    def __sklearn_clone__(self) -> "_Noting":
        return _Noting(clone(self.held), self.noted)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.held)

    def __getattr__(self, name: str) -> Any:
        if name in ("held", "noted") or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.held, name)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **more: Any) -> "_Noting":
        self.noted.append({"n": n_rows(X), "sample_weight": sample_weight} | more)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.held.fit(X, y, **weights)
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}


def check_held_is_told(case: Case) -> None:
    """Weights and other metadata of fit reach what is held; weights that it does not take are refused."""
    if case.shared:
        raise NotApplicable("nothing is fitted")
    noted: list[dict[str, Any]] = []
    more: dict[str, Any] = {"occasion": "monday"}
    if "sample_weight" in case.capabilities:
        more["sample_weight"] = np.linspace(1, 2, n_rows(case.X))
    with working("fit hands metadata on to what is held"):
        case.fit(on=case.make().set_params(estimator=_Noting(clone(_holds(case)), noted)), **more)
    expect(noted, "what is held is never fitted")
    told = [n for n in noted if n.get("occasion") == "monday"]
    expect(told, "metadata of fit do not reach the fit of what is held")
    if "sample_weight" not in case.capabilities:
        return
    weighed = [n for n in noted if n["sample_weight"] is not None]
    expect(weighed, "sample_weight does not reach the fit of what is held")
    expect(
        all(len(n["sample_weight"]) == n["n"] for n in weighed),
        "what is held is given more or fewer weights than rows",
    )
    deaf = _Deaf(clone(_holds(case)), [])
    assert not has_fit_parameter(deaf, "sample_weight")
    refused(
        lambda: case.fit(on=case.make().set_params(estimator=deaf), sample_weight=more["sample_weight"]),
        "sample_weight for an estimator that takes none",
        ValueError,
        "sample_weight",
    )


class _Deaf(_Noting):
    """Takes no weights."""

    def __sklearn_clone__(self) -> "_Deaf":
        return _Deaf(clone(self.held), self.noted)

    def fit(self, X: Any, y: Any = None) -> "_Deaf":  # type: ignore[override]
        self.held.fit(X, y)
        return self


WRAPPERS: tuple[Checker, ...] = (
    check_held_stays,
    check_held_is_cloned,
    check_held_parameters,
    check_held_says_what_it_is,
    check_held_is_told,
)
