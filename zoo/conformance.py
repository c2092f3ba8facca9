"""The conformance suite, which asks whether an estimator keeps the contract that it inherits.

>>> from zoo import Ridge
>>> from zoo.conformance import check
>>> report = check(Ridge)
>>> report.ok, report.n_sklearn >= 50
(True, True)

`check` runs everything of scikit-learn's ``check_estimator`` on the flattened form, then the suites
of the zoo: for everyone, by role, by input, by capability. A check is a small function from a
`Case` to nothing; it raises `Nonconformity` with one sentence. `EVERYONE`, `BY_ROLE`, `BY_INPUT`
and `BY_CAPABILITY` say who gets which.

A class names the checks that it cannot pass, and why, in ``excused``; scikit-learn's checks are
excused in the same place. An excuse for a check that passes is a failure.
"""

import copy
import doctest
import gc
import importlib.util
import inspect
import pickle
import sys
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from unittest import SkipTest

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError, SkipTestWarning
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from zoo.base import Estimator
from zoo.inputs import n_rows, ragged, take
from zoo.params import (
    REQUIRED,
    Check,
    Fixed,
    Interval,
    ParameterError,
    Search,
    accepts,
    fields_of,
    holds_number,
    is_integer,
    search_range,
)
from zoo.registry import entries

__all__ = ["Case", "Nonconformity", "Report", "Result", "check", "check_names"]

# Fits stay small: a parameter of one of these names is lowered to this value. scikit-learn's checks
# ask for good scores on a few hundred rows, so they get more.
SKLEARN_BUDGETS = {"max_epochs": 40, "hidden_size": 32}
BUDGETS = {
    "max_epochs": 20,
    "n_layers": 2,
    "width": 32,
    "hidden_size": 32,
    "block_size": 32,
    "max_new_tokens": 40,
    "n_estimators": 10,
    "max_iter": 200,
    "total_timesteps": 3000,
    "total_steps": 3000,
    "max_steps": 3000,
}

# Fewer checks than scikit-learn has for an estimator of that kind means that some were dodged.
# It has 55 and more for classifiers and regressors, 41 where there are no targets.
FEWEST_SKLEARN_CHECKS = {"Classifier": 50, "Regressor": 50}
FEWEST_SKLEARN_CHECKS_UNSUPERVISED = 40
FEWEST_CHECKS = 50

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
    "score_samples",
    "value",
    "action_value",
)


class Nonconformity(AssertionError):
    """An estimator broke the contract; the message is the sentence of the report."""


class NotApplicable(Exception):
    """A check has nothing to look at; the message says why."""


# -- the report -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What one check found."""

    name: str
    status: Literal["passed", "failed", "skipped", "excused"]
    reason: str = ""
    source: Literal["scikit-learn", "zoo"] = "zoo"
    error: BaseException | None = field(default=None, repr=False)
    seconds: float = 0.0  # of this process

    @property
    def crashed(self) -> bool:
        """Whether the check failed by an error that no check foresaw."""
        return (
            self.status == "failed"
            and self.source == "zoo"
            and not isinstance(self.error, Nonconformity)
        )


@dataclass(frozen=True)
class Report:
    """What `check` found, check by check."""

    estimator: str
    results: tuple[Result, ...]

    def _with(self, *status: str) -> list[Result]:
        return [r for r in self.results if r.status in status]

    @property
    def failed(self) -> list[Result]:
        """The checks that failed."""
        return self._with("failed")

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def n_ran(self) -> int:
        """How many checks ran; skipped ones did not."""
        return len(self._with("passed", "failed", "excused"))

    @property
    def n_sklearn(self) -> int:
        """How many of scikit-learn's checks ran."""
        return sum(r.source == "scikit-learn" for r in self._with("passed", "failed", "excused"))

    def names(self, *status: str) -> list[str]:
        """Name the checks of a status, or of any, in the order in which they ran."""
        return [r.name for r in (self._with(*status) if status else self.results)]

    def raise_for_failures(self) -> "Report":
        """Raise AssertionError with this report when a check failed; else return the report."""
        if self.failed:
            raise AssertionError(str(self))
        return self

    def __str__(self) -> str:
        """Write the summary, then every check that did not simply pass."""
        count = {s: len(self._with(s)) for s in ("passed", "failed", "excused", "skipped")}
        lines = [
            f"{self.estimator}: {self.n_ran} checks ran ({self.n_sklearn} of scikit-learn, "
            f"{self.n_ran - self.n_sklearn} of the zoo) in "
            f"{sum(r.seconds for r in self.results):.1f} s: "
            + ", ".join(f"{n} {status}" for status, n in count.items())
        ]
        for status in ("failed", "excused", "skipped"):
            alike: dict[str, list[str]] = {}
            for r in self._with(status):
                alike.setdefault(r.reason, []).append(r.name)
            for reason, names in alike.items():
                for name in names[:1] if len(names) > 3 else names:
                    lines.append(f"  {status:8s}{name}: {reason}")
                if len(names) > 3:
                    lines.append(
                        f"          ... and so {len(names) - 1} others: {', '.join(names[1:])}"
                    )
        return "\n".join(lines)


# -- the case: one estimator, its toy data, and what it answers -----------------------------------


class Case:
    """An estimator under test: how to make and fit it, and toy data that it accepts.

    Parameters
    ----------
    estimator : Estimator
        The estimator; it is cloned, never fitted.
    """

    def __init__(self, estimator: Any) -> None:
        self.cls = type(estimator)
        self.name = self.cls.__name__
        self.input = estimator.input
        self.card = self.cls.card()
        self.capabilities = frozenset(self.card.capabilities)
        self.fields = fields_of(self.cls)
        self.prototype = self._prepared(estimator)
        self.X, self.y = self.data(0)
        self.X_new, self.y_new = self.data(1)

    def _prepared(self, estimator: Any) -> Any:
        prototype = clone(estimator)
        params = prototype.get_params(deep=False)
        small: dict[str, Any] = _lowered(params, BUDGETS)
        if "random_state" in params:
            small["random_state"] = 0
        if self.input.name == "env":
            small["env"] = toy_environment(self.input)
        return prototype.set_params(**small)

    def has_role(self, role: str) -> bool:
        """Tell whether the estimator has the role."""
        return role in self.card.roles

    def data(self, seed: int, n: int | None = None) -> tuple[Any, Any]:
        """Return toy X and the y that the role wants (None where it needs none)."""
        rng = np.random.RandomState(seed)
        X, y = self.input.toy(rng) if n is None else self.input.toy(rng, n)
        if get_tags(self.prototype).input_tags.positive_only:
            X = np.abs(X)
        return X, self.target(X, y)

    def target(self, X: Any, y: np.ndarray) -> Any:
        """Turn class numbers into the targets of the role."""
        if self.has_role("Translator"):
            return [" ".join(reversed(document.split())) for document in X]
        if not self.cls.needs_y:
            return None
        return y if self.has_role("Classifier") else y.astype(float)

    def classes(self, seed: int = 0) -> np.ndarray:
        """Return the class numbers of the toy data, whatever the role."""
        return np.asarray(self.input.toy(np.random.RandomState(seed))[1])

    def make(self, **params: Any) -> Any:
        """Return a new unfitted estimator."""
        return clone(self.prototype).set_params(**params)

    def fit(self, X: Any = None, y: Any = None, *, on: Any = None, **more: Any) -> Any:
        """Fit a new estimator (or ``on``) to X, y or the toy data, and return it."""
        estimator = self.make() if on is None else on
        if X is None:
            # A copy, so that one that writes into its data spoils this check alone.
            X, y = copy.deepcopy((self.X, self.y))
        return estimator.fit(X, **more) if y is None else estimator.fit(X, y, **more)

    @cached_property
    def fitted(self) -> Any:
        """An estimator fitted to the toy data, shared by checks that only look at it."""
        return self.fit()

    @cached_property
    def questions(self) -> Any:
        """What predict is asked: new rows, or the observations of an agent."""
        if self.input.name != "env":
            return self.X_new
        return observations_of(toy_environment(self.input))

    @property
    def tolerance(self) -> float:
        """How far two computations of the same thing may differ."""
        return 1e-7 if getattr(self.fitted, "dtype_", None) == np.float64 else 1e-4

    def answers(self, estimator: Any, X: Any = None) -> dict[str, Any]:
        """Return what every public method answers for X (or the usual questions)."""
        X = copy.deepcopy(self.questions) if X is None else X
        found = {name: getattr(estimator, name)(X) for name in METHODS if hasattr(estimator, name)}
        if hasattr(estimator, "sample"):
            found["sample"] = estimator.sample(5, random_state=0)
        return found

    def answers_by_row(self, estimator: Any, X: Any) -> dict[str, Any]:
        """Return the answers that belong to rows of X."""
        return {k: v for k, v in self.answers(estimator, X).items() if k != "sample"}


def _lowered(params: dict[str, Any], budgets: dict[str, int]) -> dict[str, Any]:
    """Return the parameters that exceed their budget, at their budget."""
    return {
        name: most
        for name, most in budgets.items()
        if isinstance(params.get(name), int) and not params[name] <= most
    }


def rows(X: Any, index: Any) -> Any:
    """Pick rows of a native X."""
    return X.iloc[index] if hasattr(X, "iloc") else take(X, np.asarray(index))


def stack(A: Any, B: Any) -> Any:
    """Put two native X one below the other."""
    return A + B if isinstance(A, list) else np.concatenate([A, B])


def difference(a: Any, b: Any, tolerance: float) -> str:
    """Say where two answers differ; an empty string when they agree."""
    if isinstance(a, dict):
        for key in a:
            found = difference(a[key], b.get(key), tolerance)
            if found:
                return f"{key}: {found}"
        return ""
    a, b = (_comparable(v) for v in (a, b))
    if a.shape != b.shape:
        return f"shapes {a.shape} and {b.shape}"
    if a.dtype.kind not in "fciub" or b.dtype.kind not in "fciub":
        return "" if (a == b).all() else f"{a[a != b][:3]} and {b[a != b][:3]}"
    if a.size == 0:
        return ""
    a, b = a.astype(float), b.astype(float)
    finite = np.isfinite(a) & np.isfinite(b)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not (same | finite).all():
        return "one is finite where the other is not"
    largest = np.abs(a[finite] - b[finite]).max(initial=0)
    scale = max(1.0, np.abs(a[finite]).max(initial=0))
    return "" if largest <= tolerance * scale else f"largest difference {largest:.3g}"


def _comparable(value: Any) -> np.ndarray:
    if hasattr(value, "toarray"):
        value = value.toarray()
    if isinstance(value, list | tuple) and len({np.shape(v) for v in value}) > 1:
        value = np.concatenate([np.ravel(v) for v in value])
    value = np.asarray(value)
    return value.astype(str) if value.dtype == object else value


def fingerprint(value: Any) -> Any:
    """Return something that changes when the value is changed in place."""
    if isinstance(value, dict):
        return tuple((repr(k), fingerprint(v)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return (type(value).__name__, *(fingerprint(v) for v in value))
    if isinstance(value, np.ndarray) and value.dtype != object:
        return (value.shape, str(value.dtype), value.tobytes())
    if isinstance(value, np.ndarray):
        return (value.shape, *(fingerprint(v) for v in value.ravel()))
    if sp.issparse(value):
        return tuple(fingerprint(getattr(value, p)) for p in ("data", "indices", "indptr"))
    if isinstance(value, np.random.RandomState):
        return fingerprint(value.get_state())
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return fingerprint(value.detach().cpu().float().numpy())
    if hasattr(value, "iloc"):
        return (type(value).__name__, value.to_csv())
    return id(value) if not isinstance(value, str | int | float | bool | None) else value


def expect(condition: Any, sentence: str) -> None:
    """Raise Nonconformity with the sentence unless the condition holds."""
    if not condition:
        raise Nonconformity(sentence)


def expect_same(a: Any, b: Any, tolerance: float, sentence: str) -> None:
    """Raise Nonconformity when two answers differ."""
    found = difference(a, b, tolerance)
    expect(not found, f"{sentence} ({found})")


@contextmanager
def working(what: str) -> Iterator[None]:
    """Turn an error of the estimator into the sentence that says what ought to have worked."""
    try:
        yield
    except (Nonconformity, NotApplicable):
        raise
    except Exception as error:
        raise Nonconformity(f"{what}, but {type(error).__name__}: {error}") from error


def refused(
    call: Callable[[], Any],
    what: str,
    kind: type[Exception] | tuple[type[Exception], ...],
    *words: str,
) -> Exception:
    """Return the error that the call raises; it must be of the kind and hold the words."""
    try:
        call()
    except kind as error:
        for word in words:
            expect(
                word.lower() in str(error).lower(),
                f"{what} is refused, but the message does not say {word!r}: {error}",
            )
        expect(str(error).strip(), f"{what} is refused without a message")
        return error
    except Exception as error:
        raise Nonconformity(
            f"{what} must be refused with a clear error, but {type(error).__name__}: {error}"
        ) from error
    raise Nonconformity(f"{what} is accepted; it must be refused with a sentence that says why")


BAD_INPUT = (ValueError, TypeError)

# -- for everyone: what the class says of itself --------------------------------------------------


def check_card_complete(case: Case) -> None:
    """A reader finds summary, description, equation, reference, example and every meaning."""
    missing = case.card.missing()
    expect(not missing, f"the card lacks: {', '.join(missing)}; write it in the docstring")
    unknown = sorted(set(_documented(case)) - set(case.fields))
    expect(not unknown, f"the docstring explains parameters that do not exist: {unknown}")
    expect(case.name in str(case.card), "the card cannot be written as a page")


def _documented(case: Case) -> list[str]:
    from zoo.cards import _entries, _sections

    return list(_entries(_sections(case.cls).get("Parameters", "")))


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
                not estimator.__sklearn_is_fitted__(),
                f"{f.name}={value!r} is refused, but the estimator calls itself fitted",
            )


# -- for everyone: fit and what it leaves behind --------------------------------------------------


def check_fit_returns_self(case: Case) -> None:
    """Fit returns the estimator, which says that it is fitted and to how many features."""
    estimator = case.make()
    expect(not estimator.__sklearn_is_fitted__(), "a new estimator calls itself fitted")
    expect(case.fit(on=estimator) is estimator, "fit does not return self")
    expect(estimator.__sklearn_is_fitted__(), "fit ends, but the estimator is not fitted")
    if case.input.name not in ("text", "env"):
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
    if case.input.name != "env":
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
    before = {name: fingerprint(value) for name, value in given.items()}
    estimator = case.fit(X, y, **more)
    for name, value in given.items():
        expect(fingerprint(value) == before[name], f"fit writes into {name}")
    asked = fingerprint(questions)
    case.answers(estimator, questions)
    expect(fingerprint(questions) == asked, "predicting writes into X")


# -- for everyone: repeatability ------------------------------------------------------------------


def check_same_seed_same_result(case: Case) -> None:
    """Two fits with the same random_state give the same answers."""
    expect_same(
        case.answers(case.fitted),
        case.answers(case.fit()),
        0,
        "two fits with the same parameters and data answer differently",
    )


@contextmanager
def global_state_restored() -> Iterator[None]:
    """Put the global generators, numpy's error settings and torch's threads back as they were."""
    before = _generator_states()
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    try:
        with np.errstate():
            yield
    finally:
        _restore_generators(before)
        if torch and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def _generator_states() -> dict[str, Any]:
    found = {"numpy": np.random.get_state(), "random": sys.modules["random"].getstate()}
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_rng_state()
    return found


def _restore_generators(states: dict[str, Any]) -> None:
    np.random.set_state(states["numpy"])
    sys.modules["random"].setstate(states["random"])
    if "torch" in states:
        sys.modules["torch"].set_rng_state(states["torch"])


def check_global_state_untouched(case: Case) -> None:
    """No global generator is read or written, and global settings of numpy and torch stay."""
    usual = case.answers(case.fitted)  # what the first fit imports is imported now
    torch = sys.modules.get("torch")
    with global_state_restored():
        shift_generators()  # so that a seed that is set in fit is not there already
        before, settings = _generator_states(), _settings()
        shifted = case.answers(case.fit())
        if "random_state" in case.fields:
            case.fit(on=case.make(random_state=None))  # fresh numbers, but not from there
        if hasattr(case.fitted, "sample"):
            case.fitted.sample(2)
        after = _generator_states()
        for name, state in before.items():
            expect(
                fingerprint(state) == fingerprint(after[name]),
                f"the global generator of {name} is not as it was; draw from random_state",
            )
        expect(
            _settings() == settings,
            f"numpy's error settings{' or torch threads or dtype' if torch else ''} are not as "
            "they were",
        )
    expect_same(usual, shifted, 0, "the result depends on a global generator")


def _settings() -> tuple[Any, ...]:
    torch = sys.modules.get("torch")
    more = (torch.get_num_threads(), torch.get_default_dtype()) if torch else ()
    return (np.geterr(), *more)


def shift_generators() -> None:
    """Move every global generator to another state."""
    name, keys, *rest = np.random.get_state()
    np.random.set_state((name, np.roll(keys, 1), *rest))  # type: ignore[arg-type]
    shifted = sys.modules["random"].Random(12345)
    sys.modules["random"].setstate(shifted.getstate())
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.Generator().manual_seed(12345).get_state())


def check_refit_equals_fresh_fit(case: Case) -> None:
    """A fit starts from nothing: what was fitted before leaves no trace."""
    X, y = case.data(2)
    if case.input.name == "table":
        X = np.ascontiguousarray(X[:, :-1])
    estimator = case.fit(X, y)
    if case.input.name == "env":
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
    if case.input.name == "env":
        refused(lambda: case.make().fit(np.arange(0)), "an empty list of seeds", BAD_INPUT)
        return
    X = rows(case.X, np.arange(0))
    y = None if case.y is None else case.y[:0]
    refused(lambda: case.fit(X, y), "a fit to no rows", BAD_INPUT)
    for name in METHODS:
        if hasattr(case.fitted, name):
            refused(partial(getattr(case.fitted, name), X), f"{name} of no rows", BAD_INPUT)


def check_targets_refused(case: Case) -> None:
    """Missing, short or broken targets are refused."""
    refused(lambda: case.make().fit(case.X), "a fit without y", BAD_INPUT, "y")
    refused(lambda: case.fit(case.X, case.y[:-1]), "a y that is too short", BAD_INPUT)
    if not case.has_role("Translator"):
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


# -- by role: classifiers -------------------------------------------------------------------------


def _three_classes(case: Case) -> np.ndarray:
    third = np.asarray(case.y).copy()
    third[::4] = 2
    return np.array(["b", "a", "c"])[third]


def check_string_labels(case: Case) -> None:
    """Labels may be words, and three of them; predict gives back the words."""
    y = _three_classes(case)
    with working("labels may be three words"):
        estimator = case.fit(case.X, y)
        predicted = estimator.predict(case.questions)
    expect(list(estimator.classes_) == ["a", "b", "c"], f"classes_ is {estimator.classes_}")
    expect(set(predicted) <= set("abc"), f"predict gives {sorted(set(predicted))[:4]}")
    if hasattr(estimator, "predict_proba"):
        shape = estimator.predict_proba(case.questions).shape
        expect(shape == (n_rows(case.questions), 3), f"predict_proba has the shape {shape}")


def check_one_class_refused(case: Case) -> None:
    """One class only is refused with the class's name."""
    y = np.full(len(case.y), "lonely")
    refused(lambda: case.fit(case.X, y), "a y of one class", ValueError, "class", "lonely")


def check_class_weight(case: Case) -> None:
    """class_weight shifts predictions towards the heavier class; "balanced" and dicts work."""
    X, y = stack(case.X, case.X), np.concatenate([case.y, 1 - np.asarray(case.y)])
    answers = [
        case.answers(case.make(class_weight=weight).fit(X, y))["predict"].mean()
        for weight in ({0: 1.0, 1: 20.0}, {0: 20.0, 1: 1.0})
    ]
    expect(
        answers[0] > answers[1],
        f"on undecidable data class 1 is predicted as often with 20 times its weight "
        f"({answers[0]:.2f}) as with a twentieth ({answers[1]:.2f})",
    )
    with working("class_weight='balanced' works"):
        case.make(class_weight="balanced").fit(case.X, case.y)
    refused(
        lambda: case.make(class_weight="heavy").fit(case.X, case.y),
        "class_weight='heavy'",
        ParameterError,
        "class_weight",
    )


# -- by role: transformers ------------------------------------------------------------------------


def check_transform_shape(case: Case) -> None:
    """Transform gives one finite row for each row, and names its columns."""
    z = case.fitted.transform(case.questions)
    expect(n_rows(z) == n_rows(case.questions), "transform changes the number of rows")
    values = z.data if sp.issparse(z) else np.asarray(z)
    expect(np.isfinite(values).all(), "transform gives values that are not finite")
    if values.ndim == 2 and not sp.issparse(z):
        names = case.fitted.get_feature_names_out()
        expect(len(names) == values.shape[1], "get_feature_names_out does not name the columns")


def check_set_output(case: Case) -> None:
    """set_output(transform="pandas") gives a DataFrame with these names."""
    if case.fitted.transform(case.questions).ndim != 2:
        raise NotApplicable("transform gives no table")
    estimator = case.fit(on=case.make().set_output(transform="pandas"))
    with working("set_output(transform='pandas') works"):
        z = estimator.transform(case.questions)
    expect(hasattr(z, "columns"), f"set_output is ignored: transform gives {type(z).__name__}")
    expect(
        list(z.columns) == list(estimator.get_feature_names_out()),
        "the columns of the DataFrame are not get_feature_names_out",
    )


# -- by role: samplers ----------------------------------------------------------------------------


def check_sample_shape(case: Case) -> None:
    """sample(n) gives n rows of the shape that was fitted; odd n are refused."""
    S = case.fitted.sample(6, random_state=0)
    expect(n_rows(S) == 6, f"sample(6) gives {n_rows(S)} rows")
    if case.input.name == "text":
        expect(all(isinstance(s, str) for s in S), "sample gives documents that are no str")
    elif not isinstance(case.X, list):
        expect(
            np.shape(S)[1:] == np.shape(case.X)[1:],
            f"rows of sample have the shape {np.shape(S)[1:]}, rows of X {np.shape(case.X)[1:]}",
        )
    expect(n_rows(case.fitted.sample()) == 1, "sample() gives more than one row")
    for bad in (0, -1, 2.5, "three"):
        refused(partial(case.fitted.sample, bad), f"n_samples={bad!r}", BAD_INPUT)


def check_sample_finite(case: Case) -> None:
    """Samples are finite numbers, or documents that are str."""
    S = case.fitted.sample(50, random_state=0)
    if case.input.name == "text":
        expect(all(isinstance(s, str) for s in S), "sample gives documents that are no str")
    else:
        expect(np.isfinite(np.asarray(S)).all(), "sample gives values that are not finite")


def check_sample_seed(case: Case) -> None:
    """An int repeats the sample, another int changes it, None draws fresh numbers."""
    draw = partial(case.fitted.sample, 8)
    expect_same(draw(random_state=3), draw(random_state=3), 0, "sample ignores its random_state")
    expect(
        difference(draw(random_state=3), draw(random_state=4), 0),
        "sample gives the same rows for random_state=3 and 4",
    )
    expect(difference(draw(), draw(), 0), "sample() draws the same rows again and again")
    with working("random_state may be a RandomState"):
        one = draw(random_state=np.random.RandomState(0))
        two = draw(random_state=np.random.RandomState(0))
    expect_same(one, two, 0, "sample does not follow a RandomState")


def check_sample_rows_independent_of_n(case: Case) -> None:
    """Row i of a sample is the same, however many rows are drawn."""
    few = case.fitted.sample(10, random_state=0)
    many = case.fitted.sample(100, random_state=0)
    expect_same(
        few,
        rows(many, np.arange(10)),
        case.tolerance,
        "the first 10 of 100 rows are not the 10 rows that are drawn alone",
    )


def energy_distance(A: np.ndarray, B: np.ndarray) -> float:
    """Return the energy distance of two samples: 2 E|a-b| - E|a-a'| - E|b-b'|."""

    def mean_distance(P: np.ndarray, Q: np.ndarray) -> float:
        return float(np.sqrt(((P[:, None] - Q[None]) ** 2).sum(-1)).mean())

    with np.errstate(invalid="ignore"):  # infinite samples are at a distance of nan
        return 2 * mean_distance(A, B) - mean_distance(A, A) - mean_distance(B, B)


def check_sample_better_than_noise(case: Case) -> None:
    """Samples lie nearer to new data than noise of the same mean and spread does."""
    if case.input.name == "text":
        _words_better_than_noise(case)
        return
    X = np.asarray(case.data(5, 200)[0], dtype=float)
    X = X.reshape(len(X), -1)
    S = np.asarray(case.fitted.sample(200, random_state=0), dtype=float)
    S = S.reshape(len(S), -1)
    noise = np.random.RandomState(0).normal(X.mean(), X.std(), size=X.shape)
    ours, theirs = energy_distance(S, X), energy_distance(noise, X)
    expect(ours < theirs, f"samples lie as far from data ({ours:.3g}) as noise ({theirs:.3g})")


def _words_better_than_noise(case: Case) -> None:
    """Letters of samples are those of the training text."""
    known = set("".join(case.X))
    letters = "".join(case.fitted.sample(20, random_state=0))
    expect(letters, "all of 20 sampled documents are empty")
    share = np.mean([c in known for c in letters])
    expect(share > 0.9, f"only {share:.0%} of the sampled letters occur in the training text")


def check_sample_given_y(case: Case) -> None:
    """Fitted with y, sample draws the class that is asked for; without y it refuses one."""
    refused(lambda: case.fitted.sample(2, y=0), "sample(y=0) of a fit without y", ValueError, "y")
    refused(
        lambda: case.fitted.sample(2, return_y=True), "return_y of a fit without y", ValueError, "y"
    )
    if "y" not in case.cls.learns:
        return
    labels = np.array(["left", "right"])[case.classes()]
    with working("fit(X, y) of a sampler that takes y"):
        estimator = case.fit(case.X, labels)
        S, drawn = estimator.sample(12, random_state=0, return_y=True)
        asked = estimator.sample(12, y="left", random_state=0)
    expect(n_rows(S) == 12 and set(drawn) <= {"left", "right"}, f"return_y gives {drawn[:3]}")
    expect(n_rows(asked) == 12, "sample(12, y='left') does not give 12 rows")
    refused(lambda: estimator.sample(2, y="middle"), "an unknown label", ValueError, "middle")
    if hasattr(estimator, "predict_proba"):
        p = np.asarray(estimator.predict_proba(case.X), dtype=float)
        expect(p.shape == (len(labels), 2), f"predict_proba has the shape {p.shape}")
        expect(np.abs(p.sum(axis=1) - 1).max() < 1e-5, "probabilities do not sum to one")
        accuracy = (estimator.classes_[p.argmax(axis=1)] == labels).mean()
        expect(accuracy > 0.5, f"Bayes' rule finds the class of {accuracy:.0%} of the rows only")


def check_inverse_methods(case: Case) -> None:
    """Reconstruct, inverse_transform and impute, where there are any, give back rows like X."""
    X, estimator = case.questions, case.fitted
    found = [n for n in ("reconstruct", "inverse_transform", "impute") if hasattr(estimator, n)]
    if not found:
        raise NotApplicable("no reconstruct, inverse_transform or impute")
    if "reconstruct" in found:
        expect(np.shape(estimator.reconstruct(X)) == np.shape(X), "reconstruct changes the shape")
    if "inverse_transform" in found:
        back = estimator.inverse_transform(estimator.transform(X))
        expect(np.shape(back) == np.shape(X), "inverse_transform does not give rows like X")
    if "impute" in found:
        holes = np.array(X, dtype=float)
        holes.reshape(len(holes), -1)[::2, 0] = np.nan
        filled = np.asarray(estimator.impute(holes))
        expect(filled.shape == holes.shape, "impute changes the shape")
        expect(np.isfinite(filled).all(), "impute leaves values that are not finite")
        seen = np.isfinite(holes)
        expect_same(filled[seen], holes[seen], 1e-6, "impute changes values that were observed")


# -- by role: detectors ---------------------------------------------------------------------------


def check_outliers_are_signs(case: Case) -> None:
    """Predict is the sign of decision_function, which is score_samples less offset_."""
    detector, X = case.fitted, case.questions
    found, s = detector.predict(X), detector.decision_function(X)
    expect(found.dtype.kind == "i", f"predict gives {found.dtype}, not the integers 1 and -1")
    expect((found == np.where(s < 0, -1, 1)).all(), "predict is not the sign of decision_function")
    expect_same(
        s + detector.offset_,
        detector.score_samples(X),
        case.tolerance,
        "decision_function is not score_samples less offset_",
    )
    expect_same(
        case.make().fit_predict(case.X), detector.predict(case.X), 0, "fit_predict is not fit, then predict"
    )


def check_stranger_is_found(case: Case) -> None:
    """A row far from all others is an outlier, and most of the others are none."""
    if case.input.name != "table":
        raise NotApplicable("only a table has directions to go far in")
    found = case.fitted.predict(case.X)
    expect((found == 1).mean() >= 0.4, f"only {(found == 1).mean():.0%} of the data are taken to belong")
    far = np.abs(case.X).max(axis=0) * 100 + 100
    expect(case.fitted.predict(far[None])[0] == -1, "a row a hundred times as far out as any is none")


def check_y_ignored(case: Case) -> None:
    """Y, which pipelines and searches hand on, changes nothing."""
    with working("fit takes a y and ignores it"):
        known = case.make().fit(case.X, case.classes())
    expect_same(case.answers(known), case.answers(case.fitted), 0, "y changes the answers")


# -- by capability --------------------------------------------------------------------------------


def _takes(case: Case, argument: str) -> bool:
    return argument in inspect.signature(case.cls.fit).parameters


def _contradicting(case: Case) -> tuple[Any, Any, np.ndarray]:
    """Return data whose halves contradict each other, and which rows are the first half."""
    n = n_rows(case.X)
    if case.y is None:
        return case.X, None, case.classes() == 0
    y = np.asarray(case.y)
    return stack(case.X, case.X), np.concatenate([y, 1 - y]), np.arange(2 * n) < n


def check_sample_weight(case: Case) -> None:
    """Weights decide which of two contradicting halves is believed."""
    X, y, first = _contradicting(case)
    with working("fit takes sample_weight"):
        one = case.answers(case.fit(X, y, sample_weight=np.where(first, 1.0, 0.01)))
        two = case.answers(case.fit(X, y, sample_weight=np.where(first, 0.01, 1.0)))
    found = difference(one, two, 1e-6)
    expect(found, "sample_weight has no effect: the answers are the same whatever it says")
    refused(
        lambda: case.fit(X, y, sample_weight=-np.ones(len(first))), "a negative weight", ValueError
    )
    refused(
        lambda: case.fit(X, y, sample_weight=np.zeros(len(first))), "weights all zero", ValueError
    )
    refused(
        lambda: case.fit(X, y, sample_weight=np.ones(len(first) - 1)), "too few weights", ValueError
    )


def check_weights_count_as_repetition(case: Case) -> None:
    """A row of weight 2 counts as two rows, a row of weight 0 as none."""
    n = 24  # few enough for one batch
    X, y = case.data(0, n)
    w = np.arange(n) % 3
    index = np.repeat(np.arange(n), w)
    with working("fits to weighted and to repeated rows answer"):
        weighted = case.fit(X, y, sample_weight=w.astype(float))
        repeated = case.fit(rows(X, index), None if y is None else y[index])
        a = case.answers_by_row(weighted, case.questions)
        b = case.answers_by_row(repeated, case.questions)
    tolerance = 1e-5 if case.tolerance < 1e-5 else 1e-2
    expect_same(a, b, tolerance, "weights 0, 1 and 2 are not rows left out, once and twice")


def check_sample_weight_unclaimed(case: Case) -> None:
    """A fit that takes weights says so on its card."""
    expect(
        not _takes(case, "sample_weight"), "fit takes sample_weight, but the card does not say so"
    )


def _some_columns(case: Case) -> np.ndarray:
    X = np.array(case.X, dtype=float)
    X[np.abs(X) < 0.5] = 0
    return X


def check_sparse(case: Case) -> None:
    """Sparse X, CSR or another format, gives the answers of dense X."""
    X = _some_columns(case)
    dense = case.answers_by_row(case.fit(X, case.y), X)
    for form in (sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array):
        with working(f"X may be a {form.__name__}"):
            S = form(X)
            answers = case.answers_by_row(case.fit(S, case.y), S)
        expect_same(
            dense, answers, max(case.tolerance, 1e-6), f"{form.__name__} and dense X disagree"
        )


def check_sparse_unclaimed(case: Case) -> None:
    """Sparse X is refused, or the card says that it works."""
    refused(
        lambda: case.fit(sp.csr_array(_some_columns(case)), case.y),
        "sparse X, which the card does not claim,",
        BAD_INPUT,
        "sparse",
    )


def _with_holes(case: Case) -> np.ndarray:
    X = np.array(case.X, dtype=float)
    X.reshape(len(X), -1)[1::3, 1] = np.nan
    return X


def check_missing_values(case: Case) -> None:
    """Nan is accepted as a missing value, at fit and at predict, and leads to finite answers."""
    X = _with_holes(case)
    with working("the card claims missing_values: fit and predict take nan"):
        estimator = case.fit(X, case.y)
        answers = case.answers_by_row(estimator, X)
    for name, answer in answers.items():
        values = np.asarray(answer)
        if values.dtype.kind == "f" and name != "predict_log_proba":
            expect(np.isfinite(values).all(), f"{name} of rows with nan is not finite")
    with working("a column may be nan at predict that had no nan at fit"):
        case.answers_by_row(case.fitted, np.where(np.isnan(X), np.nan, X))


def check_missing_values_unclaimed(case: Case) -> None:
    """Nan and infinity are refused at fit and at predict, or the card claims missing values."""
    X = _with_holes(case)
    refused(
        lambda: case.fit(X, case.y), "nan in X, which the card does not claim,", BAD_INPUT, "nan"
    )
    infinite = np.where(np.isnan(X), np.inf, X)
    refused(lambda: case.fit(infinite, case.y), "infinity in X", BAD_INPUT, "infinity")
    for name in METHODS:
        if hasattr(case.fitted, name):
            refused(partial(getattr(case.fitted, name), X), f"nan in X of {name}", BAD_INPUT, "nan")


def _frame_with_words(case: Case, order: tuple[str, ...] = ("low", "high", "odd")) -> Any:
    import pandas as pd

    X = np.asarray(case.X)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    words = np.where(X[:, 0] > np.median(X[:, 0]), "high", "low")
    frame["word"] = words
    frame["kind"] = pd.Categorical(words, categories=list(order))
    return frame


def check_categories(case: Case) -> None:
    """Columns of words and pandas categories are used; unseen and missing ones do no harm."""
    frame = _frame_with_words(case)[["word", "kind", "x1"]]
    with working("the card claims categories: a DataFrame with words is accepted"):
        estimator = case.fit(frame, case.y)
        answers = case.answers_by_row(estimator, frame)
    if case.has_role("Classifier"):
        accuracy = (answers["predict"] == case.y).mean()
        expect(accuracy > 0.8, f"words that tell the class are not used: accuracy {accuracy:.2f}")
    strange = frame.copy()
    strange["word"] = "never seen"
    strange.loc[0, "word"] = None
    with working("an unseen or missing category must not crash predict"):
        case.answers_by_row(estimator, strange)
    other = _frame_with_words(case, ("odd", "high", "low"))[["word", "kind", "x1"]]
    expect_same(
        answers,
        case.answers_by_row(estimator, other),
        0,
        "the same categories in another order of pandas' categories are answered otherwise",
    )


def check_categories_unclaimed(case: Case) -> None:
    """Columns of words are refused, or the card claims categories."""
    refused(
        lambda: case.fit(_frame_with_words(case), case.y),
        "a column of words, which the card does not claim,",
        BAD_INPUT,
    )


def check_multi_output(case: Case) -> None:
    """Y of two columns is learned column by column."""
    Y = np.column_stack([case.y, 1 - 2 * np.asarray(case.y)])
    with working("the card claims multi_output: y may have two columns"):
        predicted = case.fit(case.X, Y).predict(case.X)
    expect(predicted.shape == Y.shape, f"predict has the shape {predicted.shape}, y {Y.shape}")
    with np.errstate(invalid="ignore"):  # constant predictions have no correlation
        r = np.nan_to_num([np.corrcoef(predicted[:, j], Y[:, j])[0, 1] for j in (0, 1)])
    expect(min(r) > 0.3, f"predictions do not follow their column of y (correlations {r.round(2)})")
    if case.has_role("Classifier"):
        _expect_columns_of_classes(case, Y)


def _expect_columns_of_classes(case: Case, Y: np.ndarray) -> None:
    """Expect lists, one entry a column of y, wherever scikit-learn has them."""
    fitted = case.fit(case.X, Y)
    expect(isinstance(fitted.classes_, list), "classes_ is no list although y has several columns")
    for k, column in zip(fitted.classes_, Y.T, strict=True):
        expect_same(k, np.unique(column), 0, "classes_ are not the labels of their column")
    predicted = fitted.predict(case.X)
    right = float((predicted == Y).all(axis=1).mean())
    expect(fitted.score(case.X, Y) == right, "score is not the share of rows whose labels are all right")
    if hasattr(fitted, "predict_proba"):
        p = fitted.predict_proba(case.X)
        expect(isinstance(p, list) and len(p) == 2, "predict_proba gives no list of one array a column")
        for j, own in enumerate(p):
            expect(np.allclose(own.sum(axis=1), 1), f"probabilities of column {j} do not add to 1")
            chosen = fitted.classes_[j][own.argmax(axis=1)]
            expect_same(chosen, predicted[:, j], 0, "predict is not the likeliest class of each column")


def check_multi_output_unclaimed(case: Case) -> None:
    """Y of two columns is refused, or the card claims multi_output."""
    Y = np.column_stack([case.y, 1 - np.asarray(case.y)])
    refused(
        lambda: case.fit(case.X, Y), "y of two columns, which the card does not claim,", BAD_INPUT
    )


def learn_on(case: Case, estimator: Any, X: Any, y: Any) -> Any:
    """Call partial_fit as the role wants it."""
    if case.has_role("Classifier"):
        return estimator.partial_fit(X, y, classes=np.unique(case.y))
    return estimator.partial_fit(X) if y is None else estimator.partial_fit(X, y)


def _halves(case: Case) -> list[tuple[Any, Any]]:
    n = n_rows(case.X)
    return [
        (rows(case.X, index), None if case.y is None else case.y[index])
        for index in (np.arange(0, n // 2), np.arange(n // 2, n))
    ]


def check_partial_fit(case: Case) -> None:
    """partial_fit goes on from what was learned; it does not begin again."""
    A, B = _halves(case)
    with working("the card claims partial_fit: it works without a fit before it"):
        both = learn_on(case, learn_on(case, case.make(), *A), *B)
        last = learn_on(case, case.make(), *B)
        case.answers(both)
    expect(
        difference(case.answers(both), case.answers(last), 1e-12),
        "partial_fit begins again: after A and B it knows only B",
    )
    with working("partial_fit goes on after fit"):
        on = learn_on(case, case.fit(), *B)
    expect(on.__sklearn_is_fitted__(), "after partial_fit the estimator is not fitted")
    if case.has_role("Classifier"):
        one = np.asarray(case.y) == 0
        with working("partial_fit takes a batch of one class when classes are named"):
            some = learn_on(case, case.make(), rows(case.X, np.flatnonzero(one)), case.y[one])
        expect(len(some.classes_) == 2, "partial_fit forgets the classes that were named")
        refused(
            lambda: learn_on(case, both, case.X, np.full(len(case.y), 7)),
            "a label that partial_fit was not told of",
            ValueError,
            "7",
        )


def check_partial_fit_is_one_pass(case: Case) -> None:
    """partial_fit takes one step of the outermost loop."""
    if "callbacks" not in case.capabilities:
        raise NotApplicable("without steps there is nothing to count")
    recorder = Recorder()
    estimator = case.make().set_callbacks(recorder)
    learn_on(case, estimator, case.X, case.y)
    n = len(recorder.top_steps)
    expect(n == 1, f"partial_fit takes {n} steps; one pass is one step")


def check_partial_fit_unclaimed(case: Case) -> None:
    """An estimator with partial_fit says so on its card."""
    expect(
        not hasattr(case.make(), "partial_fit"),
        "there is a partial_fit that the card does not claim",
    )


class Recorder:
    """A callback that writes down what it sees, and may ask to stop after a step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.began: list[str] = []
        self.ended: list[str] = []
        self.top_steps: list[str] = []
        self.torn_down = 0

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """End a fit."""
        self.torn_down += 1

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Note a task that begins."""
        self.began.append(context.task_name)

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Note a task that ends; say whether to stop."""
        self.ended.append(context.task_name)
        if context.parent is None or context.parent.parent is not None:
            return False
        self.top_steps.append(context.task_name)
        return self.stop_after is not None and len(self.top_steps) >= self.stop_after


def check_callbacks(case: Case) -> None:
    """A callback sees every step begin and end, and can stop the fit; the fit is then usable."""
    recorder = Recorder()
    with working("fit works with a callback"):
        estimator = case.fit(on=case.make().set_callbacks(recorder))
    expect(recorder.top_steps, "the card claims callbacks, but no step reaches a callback")
    expect(
        sorted(recorder.began) == sorted(recorder.ended),
        f"{len(recorder.began)} tasks begin and {len(recorder.ended)} end",
    )
    expect(recorder.torn_down == 1, "the callback is not torn down once")
    expect_same(
        case.answers(case.fitted), case.answers(estimator), 0, "a callback changes the result"
    )
    stopper = Recorder(stop_after=1)
    with working("a fit that a callback stops ends well"):
        stopped = case.fit(on=case.make().set_callbacks(stopper))
        case.answers(stopped)
    expect(
        len(stopper.top_steps) == 1,
        f"a callback asks to stop after step 1, but {len(stopper.top_steps)} steps are taken",
    )


def check_callbacks_unclaimed(case: Case) -> None:
    """Steps that reach callbacks are claimed on the card."""
    recorder = Recorder()
    case.fit(on=case.make().set_callbacks(recorder))
    expect(not recorder.top_steps, "callbacks see steps, but the card does not claim it")


def check_validation_data(case: Case) -> None:
    """X_val and y_val are checked like training data, and watched."""
    X, y = case.data(4)
    given = {"X_val": X} | ({} if y is None else {"y_val": y})
    with working("the card claims validation_data: fit takes X_val and y_val"):
        watched = case.fit(**given)
    plain = {name: fingerprint(value) for name, value in vars(case.fitted).items()}
    seen = {name: fingerprint(value) for name, value in vars(watched).items()}
    objects = [n for n in seen if isinstance(seen[n], int) and n not in ("n_features_in_",)]
    differ = [n for n in seen.keys() | plain.keys() if seen.get(n) != plain.get(n)]
    expect(
        [n for n in differ if n not in objects],
        "validation data leave no trace: neither history_ nor the result differs",
    )
    if y is not None:
        refused(lambda: case.fit(X_val=X), "X_val without y_val", ValueError, "y_val")
        refused(lambda: case.fit(y_val=y), "y_val without X_val", ValueError, "X_val")
    if case.input.name == "table":
        refused(
            lambda: case.fit(**(given | {"X_val": X[:, :-1]})), "X_val of another width", ValueError
        )


def check_validation_data_unclaimed(case: Case) -> None:
    """A fit that takes validation data says so on its card."""
    expect(not _takes(case, "X_val"), "fit takes X_val, but the card does not say so")


def check_probabilities(case: Case) -> None:
    """Probabilities lie in [0, 1], sum to one, and agree with predict, logarithms and classes_."""
    estimator, X = case.fitted, case.questions
    with working("the card claims probabilities: predict_proba works"):
        p = np.asarray(estimator.predict_proba(X), dtype=float)
        log_p = np.asarray(estimator.predict_log_proba(X), dtype=float)
    expect(p.shape == (n_rows(X), len(estimator.classes_)), f"predict_proba has shape {p.shape}")
    expect((p >= 0).all() and (p <= 1).all(), "probabilities lie outside [0, 1]")
    expect(np.abs(p.sum(axis=1) - 1).max() < 1e-5, "probabilities do not sum to one")
    expect_same(np.exp(log_p), p, 1e-5, "predict_log_proba is not the logarithm of predict_proba")
    clear = np.sort(p, axis=1)[:, -1] - np.sort(p, axis=1)[:, -2] > 1e-6
    likely = estimator.classes_[p.argmax(axis=1)]
    expect(
        (likely[clear] == estimator.predict(X)[clear]).all(),
        "predict is not the class with the largest probability",
    )


def check_probabilities_unclaimed(case: Case) -> None:
    """An estimator with predict_proba says so on its card."""
    expect(
        not hasattr(case.fitted, "predict_proba"),
        "there is a predict_proba that the card does not claim",
    )


def check_likelihood(case: Case) -> None:
    """score_samples is finite, higher for data than for noise; score and bits_per_dim follow."""
    estimator, X = case.fitted, case.questions
    with working("the card claims likelihood: score_samples works"):
        s = np.asarray(estimator.score_samples(X), dtype=float)
    expect(
        (kind := getattr(estimator, "likelihood_", None)) in ("exact", "elbo", "iwae"),
        f"likelihood_ is {kind!r}; say 'exact', 'elbo' or 'iwae'",
    )
    expect(s.shape == (n_rows(X),), f"score_samples has the shape {s.shape}")
    expect(np.isfinite(s).all(), "score_samples is not finite")
    expect_same(estimator.score(X), s.mean(), 1e-6, "score is not the mean of score_samples")
    if case.input.name in ("table", "images", "series"):
        bits = -s.mean() / (np.prod(np.shape(X)[1:]) * np.log(2))
        expect_same(estimator.bits_per_dim(X), bits, 1e-6, "bits_per_dim is not -score / (d ln 2)")
        spread = np.random.RandomState(0).normal(np.mean(X), 3 * np.std(X), size=np.shape(X))
        noise = estimator.score_samples(spread)
        expect(s.mean() > np.mean(noise), "noise is at least as likely as data")
    elif case.input.name == "text":
        backwards = [document[::-1] for document in X]
        noise = estimator.score_samples(backwards)
        expect(s.mean() > np.mean(noise), "text backwards is at least as likely as text")


def check_exact_likelihood_normalised(case: Case) -> None:
    """The density that is claimed exact integrates to one."""
    if getattr(case.fitted, "likelihood_", None) != "exact":
        raise NotApplicable("likelihood_ is not 'exact'")
    if not case.input.two_d_array:
        raise NotApplicable("there is no grid of texts to sum over")
    rng = np.random.RandomState(0)
    X = rng.multivariate_normal([0.5, 0.5], [[0.04, 0.02], [0.02, 0.05]], size=200)
    flattened = case.input.flattened_params(case.fields)
    estimator = case.make(**flattened).fit(X)
    axis = np.linspace(-3, 4, 301)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = float(np.exp(estimator.score_samples(grid)).sum() * (axis[1] - axis[0]) ** 2)
    expect(abs(mass - 1) < 0.03, f"the density integrates to {mass:.4g}, not to 1")


def check_likelihood_unclaimed(case: Case) -> None:
    """An estimator with score_samples says so on its card."""
    if case.has_role("Detector"):
        raise NotApplicable("the scores of a detector are no likelihood")
    expect(
        not hasattr(case.fitted, "score_samples"),
        "there is a score_samples that the card does not claim",
    )


def check_gpu(case: Case) -> None:
    """The card claims gpu: there is a device, and one that is absent is refused by name."""
    expect("device" in case.fields, "the card claims gpu, but there is no parameter device")
    import torch

    if torch.cuda.is_available():
        with working("device='cuda' works where there is one"):
            case.answers(case.fit(on=case.make(device="cuda")))
        return
    refused(
        lambda: case.fit(on=case.make(device="cuda")),
        "device='cuda' on a machine without CUDA",
        (ValueError, RuntimeError),
        "cuda",
        "cpu",
    )


def check_early_stopping(case: Case) -> None:
    """Early stopping can be switched on, and the fit then works."""
    expect(
        "early_stopping" in case.fields, "the card claims early_stopping, but has no such parameter"
    )
    with working("early_stopping=True works"):
        case.answers(case.fit(on=case.make(early_stopping=True)))


def check_warm_start(case: Case) -> None:
    """With warm_start a second fit goes on from the first."""
    expect("warm_start" in case.fields, "the card claims warm_start, but has no such parameter")
    with working("warm_start=True works"):
        estimator = case.fit(on=case.make(warm_start=True))
        case.answers(case.fit(on=estimator))


def check_causal(case: Case) -> None:
    """What comes later does not change what was said about earlier time points.

    A causal estimator on series answers at every time point through ``transform`` or, fitted to a
    y of shape (n, time), through ``predict``. Where it has ``step(state, x)`` -> (answer, state),
    with x (n, channels) and None for the first state, the steps together are that answer.
    """
    X = np.asarray(case.X)
    T = X.shape[2]
    y = case.y
    if "transform" not in dir(case.cls) and y is not None:
        y = np.repeat(np.asarray(y)[:, None], T, axis=1)
    with working("a causal estimator can be fitted to targets at every time point"):
        estimator = case.fit(X, y)
    name = "transform" if hasattr(estimator, "transform") else "predict"
    changed = X.copy()
    changed[:, :, T // 2 :] = np.random.RandomState(0).normal(size=changed[:, :, T // 2 :].shape)
    one, two = (np.asarray(getattr(estimator, name)(V)) for V in (X, changed))
    axes = [a for a in range(1, one.ndim) if one.shape[a] == T]
    expect(axes, f"{name} of a causal estimator has no axis of {T} time points: {one.shape}")
    past = tuple(slice(None) if a != axes[-1] else slice(0, T // 2) for a in range(one.ndim))
    expect_same(
        one[past],
        two[past],
        case.tolerance,
        f"{name} looks into the future: changing the second "
        "half of the series changes answers about the first",
    )
    if hasattr(estimator, "step"):
        state, answers = None, []
        with working("step(state, x) goes through a series"):
            for t in range(T):
                answer, state = estimator.step(state, X[:, :, t])
                answers.append(answer)
            together = np.stack(answers, axis=axes[-1])
        expect_same(one, together, case.tolerance, f"step by step is not {name} of the whole")


# -- by input: tables -----------------------------------------------------------------------------


def check_column_names(case: Case) -> None:
    """Columns are known by name: other names, or the same in another order, are refused."""
    import pandas as pd

    names = [f"x{j}" for j in range(case.X.shape[1])]
    frame = pd.DataFrame(case.X, columns=names)
    with working("X may be a DataFrame"):
        estimator = case.fit(frame, case.y)
        answers = case.answers_by_row(estimator, frame)
    expect(
        list(getattr(estimator, "feature_names_in_", [])) == names,
        "fit does not record feature_names_in_",
    )
    expect_same(
        answers,
        case.answers_by_row(case.fitted, case.X),
        case.tolerance,
        "a DataFrame and the array in it are answered differently",
    )
    for what, other in (
        ("columns in another order", frame[names[::-1]]),
        ("columns of other names", frame.rename(columns={"x0": "strange"})),
    ):
        for method in METHODS:
            if hasattr(estimator, method):
                refused(
                    partial(getattr(estimator, method), other), what, ValueError, "feature names"
                )


def check_memory_layout(case: Case) -> None:
    """Rows first, columns first, strided or read-only: the answers are the same."""
    X = np.asarray(case.X)
    wide = np.repeat(X, 2, axis=1)
    still = X.copy()
    still.flags.writeable = False
    expected = case.answers_by_row(case.fitted, X)
    for what, other in (
        ("columns first in memory (Fortran order)", np.asfortranarray(X)),
        ("strided", wide[:, ::2]),
        ("backwards in memory", X[::-1].copy()[::-1]),
        ("read-only", still),
        ("nested lists", X.tolist()),
    ):
        with working(f"X may be {what}"):
            fitted = case.fit(other, case.y) if what in ("read-only", "strided") else case.fitted
            answers = case.answers_by_row(fitted, other)
        expect_same(
            expected, answers, max(case.tolerance, 1e-6), f"X that is {what} is answered otherwise"
        )


def check_precision_follows_input(case: Case) -> None:
    """Float64 in is float64 computed, float32 in is float32 computed."""
    for dtype in (np.float64, np.float32):
        estimator = case.fit(np.asarray(case.X).astype(dtype), case.y)
        expect(
            estimator.dtype_ == dtype,
            f"fitted to {np.dtype(dtype)}, the estimator computes in {estimator.dtype_}",
        )
    p64 = case.answers(case.fitted)
    for name in ("predict_proba", "decision_function", "transform", "score_samples"):
        if name in p64 and not sp.issparse(p64[name]):
            got = np.asarray(p64[name]).dtype
            expect(got == np.float64, f"{name} of a float64 fit is {got}")


def check_width_refused(case: Case) -> None:
    """Rows of another width are refused at predict."""
    X = np.ascontiguousarray(np.asarray(case.X)[:, :-1])
    for name in METHODS:
        if hasattr(case.fitted, name):
            refused(
                partial(getattr(case.fitted, name), X),
                f"{name} of narrower rows",
                ValueError,
                "features",
            )


# -- by input: images -----------------------------------------------------------------------------


def check_image_shapes(case: Case) -> None:
    """(n, 1, H, W), (n, H, W), lists, rows and declared (n, H, W, C) are the same pictures."""
    X = np.asarray(case.X)
    n, c, height, width = X.shape
    expected = case.answers_by_row(case.fitted, X)
    forms: list[tuple[str, Any, dict[str, Any]]] = [
        ("(n, H, W)", X[:, 0], {}),
        ("a list of pictures", list(X[:, 0]), {}),
        ("square rows", X.reshape(n, -1), {}),
    ]
    if "image_shape" in case.fields:
        forms += [
            ("declared rows", X.reshape(n, -1), {"image_shape": (height, width)}),
            (
                "(n, H, W, C), declared",
                X.transpose(0, 2, 3, 1),
                {"image_shape": (height, width, c)},
            ),
        ]
    for what, other, params in forms:
        with working(f"X may be {what}"):
            answers = case.answers_by_row(case.fit(other, case.y, on=case.make(**params)), other)
        for name in ("reconstruct", "inverse_transform"):
            answers.pop(name, None)
        expect_same(expected, answers, case.tolerance, f"X as {what} is answered otherwise")


def check_image_shape_refused(case: Case) -> None:
    """Undeclared channels last, rows that are no square, and other sizes at predict are refused."""
    X = np.asarray(case.X)
    last = np.repeat(X.transpose(0, 2, 3, 1), 3, axis=3)
    refused(
        lambda: case.fit(last, case.y),
        "(n, H, W, 3) that is not declared",
        ValueError,
        "image_shape",
    )
    if not case.cls.input.flat:
        refused(
            lambda: case.fit(X.reshape(len(X), -1)[:, :-1], case.y),
            "rows that are no square picture",
            ValueError,
            "image_shape",
        )
    name = next(m for m in METHODS if hasattr(case.fitted, m))
    refused(
        lambda: getattr(case.fitted, name)(X[:, :, :-1]), f"{name} of smaller pictures", ValueError
    )


def check_image_bytes(case: Case) -> None:
    """uint8 pictures are accepted as they are, and learned."""
    X = (np.asarray(case.X) * 255).astype(np.uint8)
    with working("X may be uint8"):
        estimator = case.fit(X, case.y)
        answers = case.answers_by_row(estimator, X)
    for name, answer in answers.items():
        values = np.asarray(answer)
        if values.dtype.kind == "f":
            expect(np.isfinite(values).all(), f"{name} of uint8 pictures is not finite")
    if case.has_role("Classifier"):
        new = (np.asarray(case.X_new) * 255).astype(np.uint8)
        accuracy = (estimator.predict(new) == case.y_new).mean()
        expect(accuracy >= 0.7, f"accuracy on easy uint8 pictures is {accuracy:.2f}")


# -- by input: series -----------------------------------------------------------------------------


def _ragged(case: Case) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the toy series cut to different lengths, and the same padded with nan."""
    X = np.asarray(case.X, dtype=float)
    T = X.shape[2]
    lengths = T - np.arange(len(X)) % (T // 2)
    padded = np.where(np.arange(T) < lengths[:, None, None], X, np.nan)
    return ragged(X, lengths), padded


def check_series_shapes(case: Case) -> None:
    """(n, time) is one channel; a list of series is the same as their array."""
    X = np.asarray(case.X)
    one = X[:, :1]
    expected = case.answers_by_row(case.fit(one, case.y), one)
    for what, other in (
        ("(n, time)", one[:, 0]),
        ("a list of (1, time)", list(one)),
        ("a list of (time,)", list(one[:, 0])),
    ):
        with working(f"X may be {what}"):
            answers = case.answers_by_row(case.fit(other, case.y), other)
        expect_same(expected, answers, case.tolerance, f"X as {what} is answered otherwise")


def _expect_same_beside_padding(a: Any, b: Any, tolerance: float, sentence: str) -> None:
    """Compare answers; those at every time point, as far as both go."""
    for name in a:
        one, two = a[name], b[name]
        if not isinstance(one, list) and np.ndim(one) > 1 and np.ndim(one) == np.ndim(two):
            one, two = np.asarray(one), np.asarray(two)
            common = tuple(slice(0, min(n, m)) for n, m in zip(one.shape, two.shape, strict=True))
            one, two = one[common], two[common]
        expect_same(one, two, tolerance, f"{name}: {sentence}")


def check_padding(case: Case) -> None:
    """Padding never changes an answer: neither the fit nor the series beside it see it."""
    series, padded = _ragged(case)
    with working("series may differ in length"):
        estimator = case.fit(series, case.y)
        answers = case.answers_by_row(estimator, series)
    longer = np.concatenate([padded, np.full((*padded.shape[:2], 7), np.nan)], axis=2)
    for what, X in (("trailing nan", padded), ("more trailing nan", longer)):
        with working(f"{what} is padding"):
            on_padded = case.answers_by_row(estimator, X)
        _expect_same_beside_padding(
            answers, on_padded, case.tolerance, f"{what} changes the answers about the same series"
        )
    for i in (1, len(series) // 2, len(series) - 1):
        _expect_same_beside_padding(
            {name: rows(answer, [i]) for name, answer in answers.items()},
            case.answers_by_row(estimator, [series[i]]),
            case.tolerance,
            "the answer for a series alone is not the answer for it beside longer ones",
        )
    with working("a fit to padded series works"):
        again = case.answers_by_row(case.fit(longer, case.y), series)
    _expect_same_beside_padding(
        answers, again, max(case.tolerance, 1e-5), "the fit depends on how series are padded"
    )


def check_series_refused(case: Case) -> None:
    """A series of length 0, nan inside, and other channels are refused."""
    series, _ = _ragged(case)
    empty = [s[:, :0] if i == 3 else s for i, s in enumerate(series)]
    refused(lambda: case.fit(empty, case.y), "a series of length 0", ValueError, "length 0")
    X = np.array(case.X, dtype=float)
    X[0, 0, 2] = np.nan
    refused(lambda: case.fit(X, case.y), "nan inside a series", ValueError, "nan")
    mixed = [s[:1] if i == 3 else s for i, s in enumerate(series)]
    refused(lambda: case.fit(mixed, case.y), "series of different channels", ValueError, "channels")
    name = next(m for m in METHODS if hasattr(case.fitted, m))
    refused(
        lambda: getattr(case.fitted, name)(np.asarray(case.X)[:, :1]),
        f"{name} of series with fewer channels",
        ValueError,
        "channels",
    )


# -- by input: text -------------------------------------------------------------------------------


def check_text_containers(case: Case) -> None:
    """A list, an object array, an array of str and a pandas Series are the same documents."""
    import pandas as pd

    expected = case.answers_by_row(case.fitted, case.X)
    for what, other in (
        ("an object array", np.array(case.X, dtype=object)),
        ("an array of str", np.array(case.X)),
        ("a pandas Series", pd.Series(case.X, index=np.arange(len(case.X))[::-1])),
        ("a tuple", tuple(case.X)),
    ):
        with working(f"documents may come in {what}"):
            fitted = case.fit(other, case.y) if what == "a pandas Series" else case.fitted
            answers = case.answers_by_row(fitted, other)
        expect_same(
            expected, answers, case.tolerance, f"documents in {what} are answered otherwise"
        )


def check_text_unknown_words(case: Case) -> None:
    """Words, letters and signs that were never seen do not crash, nor does a very long document."""
    strange = [
        "zyzzyva qwrtp",
        "\u732b\u304c\u9cf4\u304f",
        "\U0001f600 \u00e9\u00e8\n\t\0",
        "the cat " * 500,
    ]
    with working("documents of unknown words are answered"):
        answers = case.answers_by_row(case.fitted, strange)
    _answered(answers, len(strange), "unknown words")


def check_text_empty_document(case: Case) -> None:
    """The empty document is a document, at fit and at predict."""
    with working('"" is answered'):
        _answered(case.answers_by_row(case.fitted, ["", " ", case.X[0]]), 3, "empty documents")
    X = ["", *list(case.X)[1:]]
    with working('"" may be among the training documents'):
        case.fit(X, case.y)


def _answered(answers: dict[str, Any], n: int, what: str) -> None:
    for name, answer in answers.items():
        expect(n_rows(answer) == n, f"{name} gives {n_rows(answer)} answers for {n} rows of {what}")
        values = answer if isinstance(answer, list) else np.asarray(answer)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            expect(not np.isnan(values).any(), f"{name} of {what} is nan")


def check_text_bare_string(case: Case) -> None:
    """One str is refused, and None, and documents that are no str; each with a sentence."""
    y = None if case.y is None else case.y[:3]
    for what, X in (
        ("a bare string", "the cat"),
        ("X=None", None),
        ("None among the documents", ["a", None, "b"]),
        ("a number among the documents", ["a", 3, "b"]),
        ("nan among the documents", ["a", float("nan"), "b"]),
        ("documents as bytes", [b"a", b"b", b"c"]),
    ):
        given = [X] if y is None else [X, y]
        refused(partial(case.make().fit, *given), f"{what} at fit", BAD_INPUT, "document")
        for name in METHODS:
            if hasattr(case.fitted, name):
                refused(
                    partial(getattr(case.fitted, name), X),
                    f"{what} at {name}",
                    BAD_INPUT,
                    "document",
                )


def check_language_model(case: Case) -> None:
    """bits_per_byte follows score_samples; generate repeats with a seed."""
    estimator, X = case.fitted, case.questions
    found = [n for n in ("bits_per_byte", "perplexity", "generate") if hasattr(estimator, n)]
    if not found:
        raise NotApplicable("no bits_per_byte, perplexity or generate")
    if "bits_per_byte" in found and hasattr(estimator, "score_samples"):
        n_bytes = sum(len(d.encode()) for d in X)
        bits = -float(np.sum(estimator.score_samples(X))) / (n_bytes * np.log(2))
        expect_same(
            estimator.bits_per_byte(X), bits, 1e-4, "bits_per_byte is not -log-likelihood / bytes"
        )
    if "perplexity" in found:
        expect(float(np.mean(estimator.perplexity(X))) >= 1, "perplexity is below 1")
    if "generate" in found:
        draw = partial(estimator.generate, ["the cat"])
        expect_same(
            draw(random_state=0), draw(random_state=0), 0, "generate ignores its random_state"
        )


# -- by input: pairs ------------------------------------------------------------------------------


def check_pairs_unseen_ids(case: Case) -> None:
    """Ids that were never seen fall back; they do not crash."""
    X = np.asarray(case.X)
    strange = X[:4].copy()
    strange[0, 0], strange[1, 1], strange[2] = 999_999, 999_998, 999_997
    words = np.array([["nobody", "nothing"]] * 2, dtype=object)
    for what, V in (("unseen numbers", strange), ("words where numbers were seen", words)):
        with working(f"ids never seen ({what}) are answered"):
            answers = case.answers_by_row(case.fitted, V)
        _answered(answers, len(V), what)


def check_pairs_renamed_ids(case: Case) -> None:
    """Ids are names: other names for the same users and items change no prediction."""
    X = np.asarray(case.X)
    rng = np.random.RandomState(0)
    names = [
        {v: f"{prefix}{i}" for v, i in zip(ids, rng.permutation(len(ids)), strict=True)}
        for prefix, ids in (("user ", np.unique(X[:, 0])), ("item ", np.unique(X[:, 1])))
    ]
    renamed = np.array([[names[0][a], names[1][b]] for a, b in X], dtype=object)
    expected = case.answers_by_row(case.fitted, X)
    with working("ids may be words"):
        answers = case.answers_by_row(case.fit(renamed, case.y), renamed)
    expect_same(expected, answers, case.tolerance, "renaming users and items changes predictions")


def check_pairs_containers(case: Case) -> None:
    """An array, a DataFrame and a list of tuples are the same pairs."""
    import pandas as pd

    X = np.asarray(case.X)
    expected = case.answers_by_row(case.fitted, X)
    for what, other in (
        ("a DataFrame", pd.DataFrame(X, columns=["user", "item"])),
        ("a list of tuples", [tuple(row) for row in X.tolist()]),
        ("an object array", X.astype(object)),
    ):
        with working(f"pairs may be {what}"):
            answers = case.answers_by_row(case.fit(other, case.y), other)
        expect_same(expected, answers, case.tolerance, f"pairs as {what} are answered otherwise")


def check_pairs_refused(case: Case) -> None:
    """Three columns and missing ids are refused."""
    X = np.asarray(case.X)
    refused(
        lambda: case.fit(np.column_stack([X, X[:, 0]]), case.y),
        "three ids a row",
        ValueError,
        "two ids",
    )
    holes = X.astype(object)
    holes[2, 1] = None
    refused(lambda: case.fit(holes, case.y), "a missing id", ValueError, "missing id")


# -- by input: environments -----------------------------------------------------------------------

_ALIVE: "weakref.WeakSet[Any]" = weakref.WeakSet()
TOY_IDS = {"discrete": "zoo/Corridor-v0", "continuous": "zoo/Hover-v0"}


def corridor(**options: Any) -> Any:
    """Make the toy environment with two actions: walk right to the end of a corridor."""
    return _toy_class("Corridor")()


def hover(**options: Any) -> Any:
    """Make the toy environment with one continuous action: push a point to the middle."""
    return _toy_class("Hover")()


def _toy_class(name: str) -> Any:
    import gymnasium
    from gymnasium.spaces import Box, Discrete

    class Toy(gymnasium.Env):
        """One number between -1 and 1, moved by the action; 20 steps at most."""

        metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - declared so by Env
        render_mode = None

        def __new__(cls) -> Any:  # a deep copy comes this way as well
            self = super().__new__(cls)
            _ALIVE.add(self)
            return self

        def __init__(self) -> None:
            self.observation_space = Box(-2.0, 2.0, (2,), np.float32)
            self.action_space = (
                Discrete(2) if name == "Corridor" else Box(-1.0, 1.0, (1,), np.float32)
            )

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.t = 0
            low, high = (-0.8, 0.2) if name == "Corridor" else (-1.0, 1.0)
            self.x = float(self.np_random.uniform(low, high))
            return self._observed(), {}

        def _observed(self) -> np.ndarray:
            return np.array([self.x, self.t / 20], dtype=np.float32)

        def step(self, action: Any) -> Any:
            self.t += 1
            move = (1 if int(action) else -1) if name == "Corridor" else float(np.ravel(action)[0])
            self.x = float(np.clip(self.x + 0.2 * move, -1.0, 1.0))
            if name == "Corridor":
                done = self.x >= 0.99
                return self._observed(), 1.0 if done else -0.1, done, self.t >= 20, {}
            return self._observed(), -abs(self.x), False, self.t >= 20, {}

    Toy.__name__ = Toy.__qualname__ = name
    return Toy


def toy_environment(kind: Any) -> str:
    """Register the toy environments with gymnasium; return the id that the input wants."""
    if importlib.util.find_spec("gymnasium") is None:
        raise ImportError(
            "agents are checked in a gymnasium environment, but gymnasium is not installed: "
            "pip install 'sklearn-zoo[rl]'."
        )
    import gymnasium

    for factory, name in ((corridor, TOY_IDS["discrete"]), (hover, TOY_IDS["continuous"])):
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=factory, disable_env_checker=True)
    return TOY_IDS["discrete" if "discrete" in kind.actions else "continuous"]


def observations_of(name: str) -> np.ndarray:
    """Return observations of a random walk in a toy environment."""
    import gymnasium

    env = gymnasium.make(name)
    seen = [env.reset(seed=0)[0]]
    env.action_space.seed(0)
    for _ in range(15):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        seen.append(observation)
        if terminated or truncated:
            seen.append(env.reset()[0])
    env.close()
    return np.array(seen)


def _random_return(name: str, seeds: np.ndarray) -> float:
    import gymnasium

    env = gymnasium.make(name)
    env.action_space.seed(0)
    total = 0.0
    for seed in seeds:
        env.reset(seed=int(seed))
        over = False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total += float(reward)
            over = terminated or truncated
    env.close()
    return total / len(seeds)


def check_agent_actions(case: Case) -> None:
    """Predict gives one action of the action space for each observation."""
    import gymnasium

    space = gymnasium.make(case.prototype.env).action_space
    actions = np.asarray(case.fitted.predict(case.questions))
    expect(len(actions) == len(case.questions), "predict does not give one action an observation")
    for action in actions:
        cast = np.asarray(action).astype(space.dtype)
        expect(space.contains(cast), f"the action {action!r} is not in {space}")


def check_agent_beats_random(case: Case) -> None:
    """After a short training the agent does better than random actions."""
    seeds = np.arange(1000, 1020)
    random = _random_return(case.prototype.env, seeds)
    score = case.fitted.score(seeds)
    expect(np.isfinite(score), f"score is {score}")
    expect(score > random + 0.1, f"mean return {score:.3g}, of random actions {random:.3g}")


def check_agent_score_repeats(case: Case) -> None:
    """Score plays the episodes of the seeds it is given: twice the same, others differ."""
    one = case.fitted.score(np.arange(5))
    expect(one == case.fitted.score(np.arange(5)), "score of the same seeds differs from itself")
    with working("score works without seeds"):
        case.fitted.score(None)


def check_agent_keeps_no_environment(case: Case) -> None:
    """Neither fit nor score leaves an environment alive; nothing of it is pickled."""
    gc.collect()
    before = set(map(id, _ALIVE))
    estimator = case.fit()
    estimator.score(np.arange(2))
    gc.collect()
    left = [e for e in _ALIVE if id(e) not in before]
    expect(not left, f"{len(left)} environment(s) are still alive after fit and score")


def check_agent_environment_forms(case: Case) -> None:
    """An env may be an id, a factory or an environment, with the same result."""
    factory = corridor if case.prototype.env == TOY_IDS["discrete"] else hover
    expected = case.answers(case.fitted)
    for what, env in (("a factory", factory), ("an environment", factory())):
        with working(f"env may be {what}"):
            answers = case.answers(case.fit(on=case.make().set_params(env=env)))
        expect_same(expected, answers, case.tolerance, f"env as {what} gives another result")


def check_agent_environment_refused(case: Case) -> None:
    """An environment that does not exist, or that the agent cannot serve, is refused."""
    strange = "NoSuchPlace-v99"
    refused(lambda: case.fit(on=case.make(env=strange)), f"env={strange!r}", ValueError, strange)
    refused(lambda: case.fit(on=case.make(env=3)), "env=3", BAD_INPUT, "env")
    other = {"discrete": "continuous", "continuous": "discrete"}
    served = set(case.input.actions)
    for kind in served:
        if other.get(kind) and other[kind] not in served:
            toy_environment(case.input)
            refused(
                partial(case.fit, on=case.make(env=TOY_IDS[other[kind]])),
                f"an environment with {other[kind]} actions",
                ValueError,
                "action",
            )


def check_agent_history(case: Case) -> None:
    """history_ holds columns of one length, return among them: a DataFrame away."""
    history = getattr(case.fitted, "history_", None)
    if not isinstance(history, dict) or not history:
        raise Nonconformity("there is no history_ of columns")
    lengths = {name: len(column) for name, column in history.items()}
    expect(len(set(lengths.values())) == 1, f"the columns of history_ differ in length: {lengths}")
    expect("return" in history, f"history_ has no column 'return': {sorted(history)}")


def check_agent_seeds_refused(case: Case) -> None:
    """X is None or a 1-D array of seeds; anything else is refused."""
    with working("fit works without seeds"):
        case.make().fit()
    for what, X in (
        ("X of floats", np.array([0.5, 1.5])),
        ("a negative seed", np.array([-1])),
        ("X of words", ["a"]),
    ):
        refused(partial(case.make().fit, X), what, BAD_INPUT, "seeds")


# -- by role: translators -------------------------------------------------------------------------


def check_translation(case: Case) -> None:
    """Predict gives one str for each document."""
    texts = case.fitted.predict(case.questions)
    expect(
        isinstance(texts, list) and all(isinstance(t, str) for t in texts),
        "predict gives no list of str",
    )
    expect(len(texts) == len(case.questions), "predict does not give one text a document")


# -- the tables: who gets which checks ------------------------------------------------------------

Checker = Callable[[Case], None]

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
    check_same_seed_same_result,
    check_global_state_untouched,
    check_refit_equals_fresh_fit,
    check_batch_composition,
    check_pickle,
    check_deepcopy,
    check_save_load,
    check_no_rows_refused,
)

BY_ROLE: dict[str, tuple[Checker, ...]] = {
    "Classifier": (
        check_targets_refused,
        check_learns_toy,
        check_string_labels,
        check_one_class_refused,
        check_class_weight,
    ),
    "Regressor": (check_targets_refused, check_learns_toy),
    "Transformer": (check_transform_shape, check_set_output),
    "Sampler": (
        check_sample_shape,
        check_sample_finite,
        check_sample_seed,
        check_sample_rows_independent_of_n,
        check_sample_better_than_noise,
        check_sample_given_y,
        check_inverse_methods,
    ),
    "Detector": (check_outliers_are_signs, check_stranger_is_found, check_y_ignored),
    "Translator": (check_targets_refused, check_translation),
    "Agent": (
        check_agent_actions,
        check_agent_beats_random,
        check_agent_score_repeats,
        check_agent_keeps_no_environment,
        check_agent_environment_forms,
        check_agent_environment_refused,
        check_agent_history,
        check_agent_seeds_refused,
    ),
}

BY_INPUT: dict[str, tuple[Checker, ...]] = {
    "table": (
        check_column_names,
        check_memory_layout,
        check_precision_follows_input,
        check_width_refused,
    ),
    "images": (check_image_shapes, check_image_shape_refused, check_image_bytes),
    "series": (check_series_shapes, check_padding, check_series_refused),
    "text": (
        check_text_containers,
        check_text_unknown_words,
        check_text_empty_document,
        check_text_bare_string,
        check_language_model,
    ),
    "pairs": (
        check_pairs_unseen_ids,
        check_pairs_renamed_ids,
        check_pairs_containers,
        check_pairs_refused,
    ),
    "env": (),
}


@dataclass(frozen=True)
class Capability:
    """The checks of a capability, both ways: claimed, it works; working, it is claimed."""

    claimed: tuple[Checker, ...]
    unclaimed: tuple[Checker, ...] = ()
    inputs: tuple[str, ...] = ("table", "images", "series", "text", "pairs", "env")
    roles: tuple[str, ...] = ()  # () is every role


BY_CAPABILITY: dict[str, Capability] = {
    "sample_weight": Capability(
        (check_sample_weight, check_weights_count_as_repetition), (check_sample_weight_unclaimed,)
    ),
    "validation_data": Capability((check_validation_data,), (check_validation_data_unclaimed,)),
    "partial_fit": Capability(
        (check_partial_fit, check_partial_fit_is_one_pass), (check_partial_fit_unclaimed,)
    ),
    "callbacks": Capability((check_callbacks,), (check_callbacks_unclaimed,)),
    "sparse": Capability((check_sparse,), (check_sparse_unclaimed,), ("table",)),
    "missing_values": Capability(
        (check_missing_values,), (check_missing_values_unclaimed,), ("table", "images")
    ),
    "categories": Capability((check_categories,), (check_categories_unclaimed,), ("table",)),
    "multi_output": Capability(
        (check_multi_output,), (check_multi_output_unclaimed,), roles=("Classifier", "Regressor")
    ),
    "probabilities": Capability(
        (check_probabilities,), (check_probabilities_unclaimed,), roles=("Classifier",)
    ),
    "likelihood": Capability(
        (check_likelihood, check_exact_likelihood_normalised), (check_likelihood_unclaimed,)
    ),
    "gpu": Capability((check_gpu,)),
    "early_stopping": Capability((check_early_stopping,)),
    "warm_start": Capability((check_warm_start,)),
    "causal": Capability((check_causal,), inputs=("series",)),
}


def checks_for(case: Case) -> list[Checker]:
    """List the checks that concern this estimator, each once."""
    found = list(EVERYONE)
    for role in case.card.roles:
        found += BY_ROLE[role]
    found += BY_INPUT[case.input.name]
    for name, capability in BY_CAPABILITY.items():
        if case.input.name not in capability.inputs:
            continue
        if capability.roles and not set(capability.roles) & set(case.card.roles):
            continue
        found += capability.claimed if name in case.capabilities else capability.unclaimed
    return list(dict.fromkeys(found))


def check_names() -> list[str]:
    """Name every check of the zoo."""
    groups = [EVERYONE, *BY_ROLE.values(), *BY_INPUT.values()]
    groups += [c.claimed + c.unclaimed for c in BY_CAPABILITY.values()]
    names = dict.fromkeys(c.__name__ for group in groups for c in group)
    return [*names, "check_capabilities_known", "check_number_of_checks"]


# -- running --------------------------------------------------------------------------------------


def check(estimator: Any, *, native: bool = True, only: Collection[str] | None = None) -> Report:
    """Run the conformance suite on an estimator and report what it found.

    Parameters
    ----------
    estimator : Estimator instance or class
        What to check. A class is made with its defaults; an agent gets a toy environment.
    native : bool, default=True
        Whether to run the suites of the zoo after scikit-learn's checks.
    only : collection of str, optional
        Names of the checks to run; None runs all of them.

    Returns
    -------
    report : Report
        Every check with its status; ``print(report)`` is the summary, ``report.ok`` the verdict.

    Examples
    --------
    >>> from zoo import LogisticRegression
    >>> from zoo.conformance import check
    >>> check(LogisticRegression, only=["check_pickle", "check_sparse"]).names("passed")
    ['check_pickle', 'check_sparse']
    """
    estimator = instance(estimator)
    excused = dict(type(estimator).excused)
    with global_state_restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = list(_sklearn_results(estimator, excused, only))
        if native:
            results += _native_results(estimator, excused, only)
    if only is None:
        results += _counted(estimator, results, native)
    results += _needless(excused, results, complete=native and only is None)
    return Report(type(estimator).__name__, tuple(results))


def instance(estimator: Any) -> Any:
    """Return an object of a class (agents get a toy environment), or the object itself."""
    if isinstance(estimator, type) and issubclass(estimator, Estimator):
        given = {}
        if estimator.input.name == "env":
            given["env"] = toy_environment(estimator.input)
        needed = [n for n, f in fields_of(estimator).items() if f.default is REQUIRED]
        if set(needed) - set(given):
            raise TypeError(
                f"{estimator.__name__} cannot be made without {', '.join(needed)}; give check an "
                "instance."
            )
        return estimator(**given)
    if not isinstance(estimator, Estimator):
        raise TypeError(
            f"check takes an estimator of the zoo (a subclass of zoo.base.Estimator), not "
            f"{estimator!r}; scikit-learn's check_estimator serves others."
        )
    return estimator


def _run(name: str, call: Callable[[], Any], source: Any, excused: dict[str, str]) -> Result:
    began = time.process_time()
    error: Exception | None = None
    status: Any = "passed"
    reason = ""
    try:
        call()
    except (NotApplicable, SkipTest) as skip:
        status, reason = "skipped", str(skip) or "scikit-learn skips it here"
    except Exception as caught:
        error = caught
        if name in excused:
            status, reason = "excused", excused[name]
        else:
            status, reason = "failed", _sentence(caught)
    return Result(name, status, reason, source, error, time.process_time() - began)


def _sentence(error: Exception) -> str:
    if isinstance(error, Nonconformity):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


def _sklearn_results(
    estimator: Any, excused: dict[str, str], only: Collection[str] | None
) -> Iterator[Result]:
    if not estimator.input.two_d_array:
        yield Result(
            "scikit-learn's check_estimator",
            "skipped",
            f"it looks only at two-dimensional arrays, and {estimator.input.name} is not one; "
            "nothing of it counts here",
            "scikit-learn",
        )
        return
    flat = clone(estimator).set_params(
        **_lowered(estimator.get_params(deep=False), SKLEARN_BUDGETS),
        **estimator.input.flattened_params(fields_of(type(estimator))),
    )
    with warnings.catch_warnings():
        # What scikit-learn leaves out is counted and fails in check_number_of_checks.
        warnings.simplefilter("ignore", SkipTestWarning)
        checkers = list(estimator_checks_generator(flat))
    for instance, checker in checkers:
        name = _name_of(checker)
        if only is None or name in only:
            yield _run(name, partial(checker, instance), "scikit-learn", excused)


def _name_of(checker: Any) -> str:
    while isinstance(checker, partial):
        checker = checker.func
    return str(inspect.unwrap(checker).__name__)


def _native_results(
    estimator: Any, excused: dict[str, str], only: Collection[str] | None
) -> list[Result]:
    case = Case(estimator)
    results = []
    for checker in checks_for(case):
        if only is None or checker.__name__ in only:
            results.append(_run(checker.__name__, partial(checker, case), "zoo", excused))
    unknown = sorted(case.capabilities - set(BY_CAPABILITY))
    if only is None or "check_capabilities_known" in only:
        results.append(
            Result(
                "check_capabilities_known",
                "failed" if unknown else "passed",
                f"no check proves the claimed {', '.join(unknown)}" if unknown else "",
                error=Nonconformity("unknown capabilities") if unknown else None,
            )
        )
    return results


def _counted(estimator: Any, results: list[Result], native: bool) -> list[Result]:
    """Fail an estimator for which too few checks ran: nothing looked at it."""
    if not estimator.input.two_d_array:
        return []
    ran = Report("", tuple(results))
    roles = type(estimator).card().roles
    fewest = max(
        (FEWEST_SKLEARN_CHECKS.get(r, FEWEST_SKLEARN_CHECKS_UNSUPERVISED) for r in roles),
        default=FEWEST_SKLEARN_CHECKS_UNSUPERVISED,
    )
    sentence = ""
    if ran.n_sklearn < fewest:
        sentence = f"only {ran.n_sklearn} checks of scikit-learn ran; {fewest} is the least"
    elif native and ran.n_ran < FEWEST_CHECKS:
        sentence = f"only {ran.n_ran} checks ran; {FEWEST_CHECKS} is the least"
    return [
        Result(
            "check_number_of_checks",
            "failed" if sentence else "passed",
            sentence,
            error=Nonconformity(sentence) if sentence else None,
        )
    ]


def _needless(excused: dict[str, str], results: list[Result], *, complete: bool) -> list[Result]:
    """An excuse for a check that passes, or that does not exist, is itself a failure."""
    found = []
    for name, reason in excused.items():
        status = {r.status for r in results if r.name == name}
        sentence = ""
        if status and "excused" not in status and "skipped" not in status:
            sentence = f"is excused ({reason}), but passes: drop the excuse"
        elif not status and complete:
            sentence = f"is excused ({reason}), but no check of that name runs: drop the excuse"
        elif not reason.strip():
            sentence = "is excused without a reason"
        if sentence:
            found.append(Result(name, "failed", sentence, error=Nonconformity(sentence)))
    return found
