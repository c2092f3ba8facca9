"""What is asked of every estimator."""

import copy
import doctest
import importlib.util
import inspect
import pickle
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from zoo.conformance._case import (
    BAD_INPUT,
    METHODS,
    Case,
    Checker,
    difference,
    expect,
    expect_same,
    fingerprint,
    learn_on,
    refused,
    rows,
    working,
)
from zoo.conformance._report import Nonconformity, NotApplicable
from zoo.conformance._state import generator_states, global_state_restored, settings, shift_generators
from zoo.contract.inputs import n_rows
from zoo.contract.params import (
    REQUIRED,
    Check,
    Fixed,
    Interval,
    ParameterError,
    Search,
    accepts,
    holds_number,
    is_integer,
    search_range,
)
from zoo.registry import entries

# -- for everyone: what the class says of itself --------------------------------------------------


def check_card_complete(case: Case) -> None:
    """A reader finds summary, description, equation, reference, example and every meaning."""
    card = case.cls.card()
    missing = card.missing()
    expect(not missing, f"the card lacks: {', '.join(missing)}; write it in the docstring")
    unknown = sorted(set(_documented(case)) - set(case.fields))
    expect(not unknown, f"the docstring explains parameters that do not exist: {unknown}")
    expect(case.name in str(card), "the card cannot be written as a page")


def _documented(case: Case) -> list[str]:
    from zoo.contract.docstrings import entries_of, sections_of

    return list(entries_of(sections_of(case.cls).get("Parameters", "")))


def check_docstring_example(case: Case) -> None:
    """The example of the docstring runs and shows what it says."""
    doc = inspect.cleandoc(case.cls.__doc__ or "")
    module = sys.modules.get(case.cls.__module__)
    names = dict(vars(module)) if module else {}
    test = doctest.DocTestParser().get_doctest(doc, names, case.name, None, None)
    expect(test.examples, "the docstring has no example; add one that ends in a number")
    expect(
        any(example.want for example in test.examples),
        "the example shows no result; let it end in a number",
    )
    expect(
        not any(doctest.SKIP in example.options for example in test.examples),
        "the example of the docstring is skipped; let it run",
    )
    said: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    outcome = doctest.DocTestRunner(verbose=False, optionflags=flags).run(test, out=said.append)
    expect(
        outcome.failed == 0,
        "the example of the docstring fails: " + " ".join(" ".join(said).split())[:600],
    )


def check_numeric_fields(case: Case) -> None:
    """Every number among the parameters has a domain, and a search range or a reason for none."""
    for f in case.fields.values():
        expect(
            not _has_bare_number(f.hint),
            f"{f.name} holds a number without a domain; annotate it, for instance as Positive or "
            "Annotated[float, Interval(0, 1)]",
        )
        if holds_number(f.hint):
            expect(
                search_range(f.hint) is not None,
                f"{f.name} holds a number without a search range; add Search(low, high) or "
                "Fixed('why it is not searched')",
            )


def _has_bare_number(hint: Any) -> bool:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        domain = any(isinstance(m, Interval | Check) for m in args[1:])
        return not domain and _has_bare_number(args[0])
    if origin in (Union, UnionType, tuple, list):
        return any(_has_bare_number(a) for a in args)
    return hint in (int, float)


def check_search_ranges(case: Case) -> None:
    """A search tries only values that fit accepts, and so does the default."""
    for f in case.fields.values():
        if f.default is not REQUIRED:
            expect(
                accepts(f.hint, f.default),
                f"the default {f.name}={f.default!r} lies outside its own domain",
            )
        found = search_range(f.hint)
        tried: list[Any] = []
        if isinstance(found, Search):
            expect(
                found.low < found.high and (found.low > 0 or not found.log),
                f"the search range of {f.name} is empty or cannot be logarithmic: {found}",
            )
            tried = list(found.grid(5, integer=is_integer(f.hint)))
        elif isinstance(found, list):
            tried = found
        elif isinstance(found, Fixed):
            expect(found.why.strip(), f"{f.name} is Fixed without a reason")
        for value in tried:
            expect(
                accepts(f.hint, value),
                f"a search would try {f.name}={value!r}, which fit refuses",
            )


def check_init_only_stores(case: Case) -> None:
    """__init__ stores the parameters as they are given, and nothing else."""
    params = {
        name: getattr(case.prototype, name) if f.default is REQUIRED else f.default
        for name, f in case.fields.items()
    }
    estimator = case.cls(**params)
    stored = vars(estimator)
    extra = sorted(set(stored) - set(params))
    expect(not extra, f"__init__ sets attributes that are no parameters: {extra}")
    for name, value in params.items():
        expect(
            stored.get(name) is value,
            f"__init__ does not store {name} as given ({value!r} became {stored.get(name)!r})",
        )


def check_clone_and_params(case: Case) -> None:
    """get_params, set_params, clone and repr agree; a clone knows nothing of the fit."""
    twin = clone(case.fitted)
    for name, value in case.fitted.get_params(deep=False).items():
        other = twin.get_params(deep=False)[name]
        expect(
            fingerprint(other) == fingerprint(value) or repr(other) == repr(value),
            f"clone changes {name} from {value!r} to {other!r}",
        )
    learned = [n for n in vars(twin) if n.endswith("_") and not n.startswith("__")]
    expect(not learned, f"a clone carries fitted attributes: {learned}")
    refused(lambda: case.make().set_params(no_such_parameter=1), "an unknown parameter", BAD_INPUT)
    expect(case.name in repr(twin), "repr does not name the estimator")


def check_parameters_refused(case: Case) -> None:
    """A value outside its domain is refused at fit: estimator, parameter, value, what to give."""
    numbers = (-1, -0.5, 0, 2.5, float("nan"), 1e12)
    for f in case.fields.values():
        candidates: list[Any] = [object()]
        if holds_number(f.hint):
            candidates += [v for v in numbers if not accepts(f.hint, v)][:2]
        for value in candidates:
            if accepts(f.hint, value):
                continue
            estimator = case.make().set_params(**{f.name: value})
            refused(
                partial(case.fit, on=estimator),
                f"{f.name}={value!r}",
                ParameterError,
                case.name,
                f.name,
                repr(value)[:70],
                "must be",
            )
            expect(
                not case.is_fitted(estimator),
                f"{f.name}={value!r} is refused, but the estimator calls itself fitted",
            )


# -- for everyone: fit and what it leaves behind --------------------------------------------------


def check_fit_returns_self(case: Case) -> None:
    """Fit returns the estimator, which says that it is fitted and to how many features."""
    estimator = case.make()
    expect(not case.is_fitted(estimator), "a new estimator calls itself fitted")
    expect(case.fit(on=estimator) is estimator, "fit does not return self")
    expect(case.is_fitted(estimator), "fit ends, but the estimator is not fitted")
    if case.native.name not in ("text", "env", "game"):
        expect(hasattr(estimator, "n_features_in_"), "fit does not set n_features_in_")


def check_unfitted(case: Case) -> None:
    """Every public method of an unfitted estimator raises NotFittedError."""
    estimator = case.make()
    calls: dict[str, Callable[[], Any]] = {
        name: partial(getattr(estimator, name), case.questions)
        for name in METHODS
        if hasattr(estimator, name)
    }
    if hasattr(estimator, "sample"):
        calls["sample"] = estimator.sample
    if hasattr(estimator, "score"):
        calls["score"] = partial(estimator.score, case.X, case.y)
    expect(calls, "the estimator has no public method but fit")
    for name, call in calls.items():
        refused(call, f"{name} before fit", NotFittedError)


def check_refused_fit_keeps_state(case: Case) -> None:
    """A fit that is refused loses nothing of the fit before it."""
    estimator = case.fit()
    before = case.answers(estimator)
    offences: list[tuple[str, dict[str, Any], Any]] = []
    for f in case.fields.values():
        if not accepts(f.hint, bad := object()):
            offences.append((f"with a bad {f.name}", {f.name: bad}, case.X))
            break
    if not case.input.optional:
        offences.append(("with X=None", {}, None))
        offences.append(("to no rows", {}, rows(case.X, np.arange(0))))
    else:
        offences.append(("with X='seeds'", {}, "seeds"))
    for what, params, X in offences:
        kept = estimator.get_params(deep=False)
        estimator.set_params(**params)
        y = None if case.y is None else case.y[: 0 if X is not case.X and X is not None else None]
        refused(partial(estimator.fit, X, *([] if y is None else [y])), f"a fit {what}", Exception)
        estimator.set_params(**kept)
        with working(f"after a refused fit ({what}) the earlier fit must still answer"):
            after = case.answers(estimator)
        expect_same(before, after, 0, f"a refused fit ({what}) changes the answers")


def check_predict_writes_nothing(case: Case) -> None:
    """Predicting leaves the estimator as it was."""
    estimator = case.fit()
    before = {name: fingerprint(value) for name, value in vars(estimator).items()}
    case.answers(estimator)
    after = {name: fingerprint(value) for name, value in vars(estimator).items()}
    changed = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    expect(not changed, f"predicting writes to {changed}")


def check_inputs_unchanged(case: Case) -> None:
    """Neither fit nor predict writes into the data that it is given."""
    X, y, questions = copy.deepcopy((case.X, case.y, case.questions))
    given = {"X": X, "y": y}
    more = {}
    if "sample_weight" in case.capabilities:
        more["sample_weight"] = given["sample_weight"] = np.linspace(0.5, 1.5, n_rows(X))
    if "validation_data" in case.capabilities:
        X_val, y_val = case.data(4)
        more |= {"X_val": X_val} | ({} if y_val is None else {"y_val": y_val})
        given |= {name: value for name, value in more.items() if name.endswith("_val")}
    before = {name: fingerprint(value) for name, value in given.items()}
    estimator = case.fit(X, y, **more)
    for name, value in given.items():
        expect(fingerprint(value) == before[name], f"fit writes into {name}")
    asked = fingerprint(questions)
    case.answers(estimator, questions)
    expect(fingerprint(questions) == asked, "predicting writes into X")


Layout = Callable[[np.ndarray], np.ndarray]


def _layouts(folder: str) -> dict[str, Layout]:
    """Name the ways in which an array of the same values may lie in memory."""

    def strided(a: np.ndarray) -> np.ndarray:
        return np.repeat(a, 2, axis=-1)[..., ::2]

    def backwards(a: np.ndarray) -> np.ndarray:
        return a[::-1].copy()[::-1]

    def mapped(a: np.ndarray) -> np.ndarray:
        a = a.copy()
        if a.dtype != object:
            path = Path(folder) / f"{len(list(Path(folder).iterdir()))}.npy"
            np.save(path, a)
            return np.asarray(np.load(path, mmap_mode="r"))
        a.flags.writeable = False
        return a

    return {
        "strided": strided,
        "backwards in memory": backwards,
        "columns first in memory (Fortran order)": np.asfortranarray,
        "mapped from a file, read-only": mapped,
    }


def _laid_out(lay: Layout, value: Any) -> Any:
    return lay(value) if isinstance(value, np.ndarray) and value.ndim > 0 else value


def check_memory_layout(case: Case) -> None:
    """However arrays lie in memory (strided, backwards, mapped ...), the answers are the same."""
    given: dict[str, Any] = {"X": case.X, "y": case.y}
    if "sample_weight" in case.capabilities:
        given["sample_weight"] = np.linspace(0.5, 1.5, n_rows(case.X))
    if "validation_data" in case.capabilities:
        X_val, y_val = case.data(4)
        given |= {"X_val": X_val} | ({} if y_val is None else {"y_val": y_val})
    given = {name: value for name, value in given.items() if value is not None}
    expected = case.answers_by_row(case.fit(**copy.deepcopy(given)), case.questions)

    def differs(lay: Layout, *names: str) -> str:
        moved = {n: _laid_out(lay, v) if n in names else v for n, v in copy.deepcopy(given).items()}
        asked = _laid_out(lay, case.questions) if "predict" in names else case.questions
        answers = case.answers_by_row(case.fit(**moved), asked)
        return difference(expected, answers, max(case.tolerance, 1e-6))

    with tempfile.TemporaryDirectory() as folder:
        for how, lay in _layouts(folder).items():
            with working(f"arrays may be {how}"):
                found = differs(lay, *given, "predict")
            if found:
                guilty = [name for name in (*given, "predict") if differs(lay, name)]
                raise Nonconformity(f"{' and '.join(guilty)} {how} is answered otherwise ({found})")


# -- for everyone: repeatability ------------------------------------------------------------------


def check_same_seed_same_result(case: Case) -> None:
    """Two fits with the same random_state give the same answers."""
    expect_same(
        case.answers(case.fitted),
        case.answers(case.fit()),
        0,
        "two fits with the same parameters and data answer differently",
    )


def check_global_state_untouched(case: Case) -> None:
    """No global generator is read or written, and global settings of numpy and torch stay."""
    usual = case.answers(case.fitted)  # what the first fit imports is imported now
    torch = sys.modules.get("torch")
    with global_state_restored():
        shift_generators()  # so that a seed that is set in fit is not there already
        before, usual_settings = generator_states(), settings()
        shifted = case.answers(case.fit())
        if "random_state" in case.fields:
            case.fit(on=case.make(random_state=None))  # fresh numbers, but not from there
        if hasattr(case.fitted, "sample"):
            case.fitted.sample(2)
        after = generator_states()
        for name, state in before.items():
            expect(
                fingerprint(state) == fingerprint(after[name]),
                f"the global generator of {name} is not as it was; draw from random_state",
            )
        expect(
            settings() == usual_settings,
            f"numpy's error settings{' or torch threads or dtype' if torch else ''} are not as they were",
        )
    expect_same(usual, shifted, 0, "the result depends on a global generator")


def check_refit_equals_fresh_fit(case: Case) -> None:
    """A fit starts from nothing: what was fitted before leaves no trace."""
    X, y = case.data(2)
    if case.native.name == "table":
        X = np.ascontiguousarray(X[:, :-1])
    estimator = case.fit(X, y)
    if case.native.name == "env":
        case.answers(estimator)
    case.fit(on=estimator)
    fresh = case.fitted
    expect_same(
        case.answers(fresh),
        case.answers(estimator),
        0,
        "an estimator that was fitted before answers otherwise than a fresh one",
    )
    left = sorted(set(vars(estimator)) - set(vars(fresh)))
    expect(not left, f"a second fit keeps attributes of the first: {left}")


def check_batch_composition(case: Case) -> None:
    """The answer for a row does not depend on the rows beside it."""
    X = case.questions
    n = min(n_rows(X), 12)
    X = rows(X, np.arange(n))
    whole = case.answers_by_row(case.fitted, X)
    backwards = case.answers_by_row(case.fitted, rows(X, np.arange(n)[::-1]))
    for name, answer in whole.items():
        expect_same(
            answer,
            rows(backwards[name], np.arange(n)[::-1]),
            case.tolerance,
            f"{name} depends on the order of the rows",
        )
    for i in (0, n // 2, n - 1):
        alone = case.answers_by_row(case.fitted, rows(X, [i]))
        for name, answer in whole.items():
            expect_same(
                rows(answer, [i]),
                alone[name],
                case.tolerance,
                f"{name} of row {i} alone differs from {name} of it among others",
            )


# -- for everyone: copies -------------------------------------------------------------------------


def _survives(case: Case, how: str, copied: Callable[[Any], Any]) -> None:
    estimator = case.fit()
    before = case.answers(estimator)
    with working(f"{how} of a fitted estimator must work"):
        twin, other = copied(estimator), copied(estimator)
        after = case.answers(twin)
    expect_same(before, after, 0, f"{how} changes the answers")
    with working(f"after {how} the estimator can be fitted again"):
        case.fit(*case.data(2), on=other)
        expect_same(
            before,
            case.answers(estimator),
            0,
            f"a fit of the copy made by {how} changes the original",
        )
        again = case.answers(case.fit(on=other))
    expect_same(before, again, 0, f"after {how} the same fit gives other answers")
    if "partial_fit" in case.capabilities:
        with working(f"after {how} partial_fit goes on"):
            learn_on(case, estimator, case.X, case.y)
            learn_on(case, twin, case.X, case.y)
        expect_same(
            case.answers(estimator),
            case.answers(twin),
            case.tolerance,
            f"{how} loses what partial_fit needs",
        )


def check_pickle(case: Case) -> None:
    """A fitted estimator survives pickle: same answers, can be fitted on."""
    _survives(case, "pickle", lambda e: pickle.loads(pickle.dumps(e)))
    with working("pickle of an unfitted estimator must work"):
        pickle.loads(pickle.dumps(case.make()))


def check_deepcopy(case: Case) -> None:
    """A fitted estimator survives deepcopy: same answers, can be fitted on, shares nothing."""
    _survives(case, "deepcopy", copy.deepcopy)


def check_save_load(case: Case) -> None:
    """zoo.save and zoo.load give back an estimator with the same answers."""
    known = {row["name"]: row["module"] for row in entries()}
    if known.get(case.name) != case.cls.__module__:
        raise NotApplicable("zoo.load makes only estimators of the registry")
    if importlib.util.find_spec("zoo.persist") is None:
        raise NotApplicable("zoo.persist is missing")
    from zoo.persist import load, save

    estimator = case.fitted
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimator.zoo"
        with working("zoo.save and zoo.load must work"):
            save(estimator, path)
            twin = load(path)
            answers = case.answers(twin)
    expect(type(twin) is case.cls, f"zoo.load gives a {type(twin).__name__}")
    expect_same(case.answers(estimator), answers, 0, "zoo.save and zoo.load change the answers")
    with working("a loaded estimator can be fitted again"):
        again = case.answers(case.fit(on=twin))
    expect_same(answers, again, case.tolerance, "a loaded estimator fits otherwise")


# -- for everyone: bad data -----------------------------------------------------------------------


def check_no_rows_refused(case: Case) -> None:
    """Data without rows are refused, at fit and at predict."""
    if case.native.optional:
        refused(lambda: case.make().fit(np.arange(0)), "an empty list of seeds", BAD_INPUT)
        return
    X = rows(case.X, np.arange(0))
    y = None if case.y is None else case.y[:0]
    refused(lambda: case.make().fit(X, *([] if y is None else [y])), "a fit to no rows", BAD_INPUT)
    if case.has_role("Agent"):  # who is asked of observations
        return
    for name in METHODS:
        if hasattr(case.fitted, name):
            refused(partial(getattr(case.fitted, name), X), f"{name} of no rows", BAD_INPUT)


def check_targets_refused(case: Case) -> None:
    """Missing, short or broken targets are refused."""
    refused(lambda: case.make().fit(case.X), "a fit without y", BAD_INPUT, "y")
    refused(lambda: case.fit(case.X, case.y[:-1]), "a y that is too short", BAD_INPUT)
    if not case.has_role("TextToText"):
        y = np.array(case.y, dtype=float)
        y[0] = np.nan
        refused(lambda: case.fit(case.X, y), "nan in y", BAD_INPUT, "nan")


def check_learns_toy(case: Case) -> None:
    """The toy data are easy: a fit that does not learn them learns nothing."""
    score = case.fitted.score(case.X, case.y)
    if case.has_role("Classifier"):
        expect(score >= 0.7, f"accuracy on the easy training data is {score:.2f}")
    elif case.input.name != "pairs":  # who likes what has no main effects
        expect(score > 0.1, f"R2 on the easy training data is {score:.2f}")


# -- the table ------------------------------------------------------------------------------------

EVERYONE: tuple[Checker, ...] = (
    check_card_complete,
    check_docstring_example,
    check_numeric_fields,
    check_search_ranges,
    check_init_only_stores,
    check_clone_and_params,
    check_parameters_refused,
    check_fit_returns_self,
    check_unfitted,
    check_refused_fit_keeps_state,
    check_predict_writes_nothing,
    check_inputs_unchanged,
    check_memory_layout,
    check_same_seed_same_result,
    check_global_state_untouched,
    check_refit_equals_fresh_fit,
    check_batch_composition,
    check_pickle,
    check_deepcopy,
    check_save_load,
    check_no_rows_refused,
)
