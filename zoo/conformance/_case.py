"""The case: one estimator, its toy data, what it answers, and what is expected of it."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from zoo.conformance._report import Nonconformity, NotApplicable
from zoo.conformance._subject import subject_of
from zoo.conformance._toys import parameters_for, questions_for, shared, targets_for
from zoo.contract.inputs import Either, Input, take
from zoo.contract.targets import Documents

# Fits stay small: a parameter of one of these names is lowered to this value.
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


class Case:
    """An estimator under test: how to make and fit it, and toy data that it accepts.

    Parameters
    ----------
    estimator : estimator instance
        Of the zoo, or one that follows scikit-learn's conventions; it is cloned, never fitted.
    given : Input, optional
        What it is given where it takes one of two inputs; None is the first.
    """

    def __init__(self, estimator: Any, given: Input | None = None) -> None:
        self.cls = type(estimator)
        self.name = self.cls.__name__
        self.subject = subject_of(estimator)
        self.input: Any = self.subject.input
        # What the data are like: of two inputs the one that is given.
        self.native: Any = given or (self.input.first if isinstance(self.input, Either) else self.input)
        self.shared = shared(estimator)
        self.capabilities = self.subject.capabilities
        self.fields = self.subject.fields
        self.prototype = self._prepared(estimator)
        self.X, self.y = self.data(0)
        self.X_new, self.y_new = self.data(1)

    def _prepared(self, estimator: Any) -> Any:
        prototype = clone(estimator)
        held = self.has_role("Wrapper") and not self.shared
        params = prototype.get_params(deep=held)
        small: dict[str, Any] = lowered(params, BUDGETS)
        small |= {n: v for n, v in getattr(self.cls, "on_toy_data", {}).items() if n in params}
        small |= {name: 0 for name in params if name.rpartition("__")[2] == "random_state"}
        return prototype.set_params(**small, **parameters_for(self.input))

    def has_role(self, role: str) -> bool:
        """Tell whether the estimator has the role."""
        return role in self.subject.roles

    def data(self, seed: int, n: int | None = None) -> tuple[Any, Any]:
        """Return toy X and the y that the role wants (None where it needs none)."""
        rng = np.random.RandomState(seed)
        X, y = self.native.toy(rng) if n is None else self.native.toy(rng, n)
        if get_tags(self.prototype).input_tags.positive_only:
            X = np.abs(X)
        target = Documents() if self.has_role("TextToText") else self.subject.target
        return X, targets_for(target, X, y) if self.subject.needs_y else None

    def classes(self, seed: int = 0) -> np.ndarray:
        """Return the class numbers of the toy data, whatever the role."""
        return np.asarray(self.native.toy(np.random.RandomState(seed))[1])

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

    def is_fitted(self, estimator: Any) -> bool:
        """Tell whether an estimator calls itself fitted."""
        try:
            check_is_fitted(estimator)
        except NotFittedError:
            return False
        return True

    @cached_property
    def fitted(self) -> Any:
        """An estimator fitted to the toy data, shared by checks that only look at it."""
        return self.fit()

    @cached_property
    def questions(self) -> Any:
        """What predict is asked: new rows, or observations and states for an agent."""
        return questions_for(self.native, self.X_new)

    @property
    def tolerance(self) -> float:
        """How far two computations of the same thing may differ."""
        return 1e-7 if getattr(self.fitted, "dtype_", None) == np.float64 else 1e-4

    def answers(self, estimator: Any, X: Any = None) -> dict[str, Any]:
        """Return what every public method answers for X (or the usual questions)."""
        X = copy.deepcopy(self.questions) if X is None else X
        found = {name: getattr(estimator, name)(X) for name in METHODS if hasattr(estimator, name)}
        if self.has_role("Sampler"):
            found["sample"] = estimator.sample(5, random_state=0)
        return found

    def answers_by_row(self, estimator: Any, X: Any) -> dict[str, Any]:
        """Return the answers that belong to rows of X."""
        return {k: v for k, v in self.answers(estimator, X).items() if k != "sample"}


def lowered(params: dict[str, Any], budgets: dict[str, int]) -> dict[str, Any]:
    """Return the parameters, those of what is held too, that exceed their budget, at their budget."""
    most = {name: budgets.get(name.rpartition("__")[2]) for name in params}
    return {
        name: limit
        for name, limit in most.items()
        if limit is not None and isinstance(params[name], int) and not params[name] <= limit
    }


def learn_on(case: Case, estimator: Any, X: Any, y: Any) -> Any:
    """Call partial_fit as the role wants it."""
    if case.has_role("Classifier"):
        return estimator.partial_fit(X, y, classes=np.unique(case.y))
    return estimator.partial_fit(X) if y is None else estimator.partial_fit(X, y)


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


def energy_distance(A: np.ndarray, B: np.ndarray) -> float:
    """Return the energy distance of two samples: 2 E|a-b| - E|a-a'| - E|b-b'|."""

    def mean_distance(P: np.ndarray, Q: np.ndarray) -> float:
        return float(np.sqrt(((P[:, None] - Q[None]) ** 2).sum(-1)).mean())

    with np.errstate(invalid="ignore"):  # infinite samples are at a distance of nan
        return 2 * mean_distance(A, B) - mean_distance(A, A) - mean_distance(B, B)


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

Checker = Callable[[Case], None]
