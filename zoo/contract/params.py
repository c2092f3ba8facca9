"""Parameters: one annotated line is domain, search range, message and schema at once.

>>> from zoo.contract.params import NonNegative, accepts, describe, search_range
>>> accepts(NonNegative, 0.5), accepts(NonNegative, -1.0)
(True, False)
>>> describe(NonNegative)
'a number >= 0'
>>> search_range(NonNegative)
Search(low=1e-06, high=100.0, log=True)
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from zoo.contract.elsewhere import did_you_mean

__all__ = [
    "REQUIRED",
    "Among",
    "Check",
    "Count",
    "Device",
    "Field",
    "FittedMethod",
    "Fixed",
    "Fraction",
    "Holds",
    "Interval",
    "Jobs",
    "Method",
    "NonNegative",
    "OpenFraction",
    "Options",
    "ParameterError",
    "Positive",
    "Probability",
    "Search",
    "Seed",
    "Tolerance",
    "UnitInterval",
    "Whole",
    "accepts",
    "describe",
    "did_you_mean",
    "fields_of",
    "is_fitted",
    "mark_of",
    "search_range",
    "validate",
]


class ParameterError(ValueError, TypeError):
    """A parameter has a value outside its domain."""


@dataclass(frozen=True)
class Interval:
    """The numbers from ``low`` to ``high``; ``None`` is no bound; ``closed`` as in scikit-learn."""

    low: float | None = None
    high: float | None = None
    closed: Literal["both", "left", "right", "neither"] = "both"

    def __contains__(self, value: float) -> bool:
        """Tell whether ``value`` lies inside; nan lies nowhere."""
        if math.isnan(value):
            return False
        left = self.low is None or (
            value >= self.low if self.closed in ("both", "left") else value > self.low
        )
        right = self.high is None or (
            value <= self.high if self.closed in ("both", "right") else value < self.high
        )
        return left and right

    def __str__(self) -> str:
        """Say the bounds, as in ``>= 0 and < 1``."""
        parts = []
        if self.low is not None:
            parts.append(f"{'>=' if self.closed in ('both', 'left') else '>'} {self.low:g}")
        if self.high is not None:
            parts.append(f"{'<=' if self.closed in ('both', 'right') else '<'} {self.high:g}")
        return " and ".join(parts)


@dataclass(frozen=True)
class Search:
    """Where a search should look: between ``low`` and ``high``, evenly or on a log scale."""

    low: float
    high: float
    log: bool = False

    def grid(self, n: int = 5, *, integer: bool = False) -> list[float]:
        """Return ``n`` values spread over the range (fewer when integers coincide)."""
        values = (
            np.geomspace(self.low, self.high, n)
            if self.log
            else np.linspace(self.low, self.high, n)
        )
        if integer:
            return [int(v) for v in np.unique(np.round(values).astype(int))]
        return [float(v) for v in values]


class Among:
    """The choices that a search tries, where some ask for other data or for other parameters."""

    def __init__(self, *choices: Any) -> None:
        self.choices = list(choices)


@dataclass(frozen=True)
class Fixed:
    """A parameter that is not searched, and ``why``."""

    why: str


@dataclass(frozen=True)
class Check:
    """A domain that no type expresses: a predicate and the words for it."""

    predicate: Callable[[Any], bool]
    words: str


@dataclass(frozen=True)
class Holds:
    """The mark of a field that holds an estimator; a ``fitted`` one is shared, never changed or cloned."""

    fitted: bool = False

    def __call__(self, value: Any) -> bool:
        """Tell whether the value is such an estimator."""
        if isinstance(value, type) or not (hasattr(value, "fit") and hasattr(value, "get_params")):
            return False
        return not self.fitted or is_fitted(value)

    def __str__(self) -> str:
        """Say what is accepted."""
        return "a fitted estimator" if self.fitted else "an estimator"


def is_fitted(estimator: Any) -> bool:
    """Tell whether an estimator, ours or scikit-learn's, has been fitted."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


@dataclass(frozen=True)
class Options:
    """The mark of a field whose own parameters the estimator takes as ``prefix__name``."""

    prefix: str


# -- the vocabulary of fields ---------------------------------------------------------------

Positive = Annotated[float, Interval(0, None, "neither"), Search(1e-4, 1e2, log=True)]
NonNegative = Annotated[float, Interval(0, None), Search(1e-6, 1e2, log=True)]
Fraction = Annotated[float, Interval(0, 1, "right"), Search(0.1, 1.0)]
OpenFraction = Annotated[float, Interval(0, 1, "neither"), Search(0.05, 0.95)]
UnitInterval = Annotated[float, Interval(0, 1), Search(0.0, 1.0)]
Probability = Annotated[float, Interval(0, 1, "left"), Search(0.0, 0.5)]
Count = Annotated[int, Interval(1, None), Search(1, 100, log=True)]
Whole = Annotated[int, Interval(0, None), Search(0, 10)]
Tolerance = Annotated[
    float, Interval(0, None), Fixed("it sets when to stop, not what to learn")
]
Seed = Annotated[
    Annotated[int, Interval(0, 2**32 - 1)] | np.random.RandomState | None,
    Fixed("a seed is drawn, not chosen"),
]
Jobs = Annotated[
    Annotated[int, Check(lambda n: n != 0, "an integer other than 0")] | None,
    Fixed("it changes the time, not the result"),
]


def _names_a_device(value: Any) -> bool:
    return isinstance(value, str) and (
        value in ("auto", "cpu", "cuda", "mps")
        or (value.startswith("cuda:") and value[5:].isdigit())
    )


Device = Annotated[
    str,
    Check(_names_a_device, "'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'"),
    Fixed("it changes the time, not the method"),
]

# Fields that hold an estimator: a base, a model of the world, an encoder. The second holds a fitted one
# by reference: clone keeps it, set_params does not reach into it.
Method = Annotated[Any, Holds(), Fixed("search its own parameters, as name__parameter")]
FittedMethod = Annotated[Any, Holds(fitted=True), Fixed("it is fitted already")]

_NUMERIC = (int, float)


def accepts(hint: Any, value: Any) -> bool:
    """Tell whether ``value`` lies in the domain that ``hint`` declares."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return accepts(args[0], value) and all(_satisfies(m, value) for m in args[1:])
    if origin in (Union, UnionType):
        return any(accepts(alternative, value) for alternative in args)
    if origin is Literal:
        # isinstance keeps True from passing as 1 and 1.0 from passing as 1.
        return any(
            isinstance(value, type(a)) and isinstance(value, bool) == isinstance(a, bool)
            and value == a
            for a in args
        )
    if hint is Any:
        return True
    if hint is None or hint is NoneType:
        return value is None
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
    if hint is float:
        return (
            isinstance(value, Real)
            and not isinstance(value, bool | np.bool_)
            and not math.isnan(float(value))
        )
    if origin in (tuple, list, Sequence):
        return _accepts_sequence(origin, args, value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(
            accepts(args[0], k) and accepts(args[1], v) for k, v in value.items()
        )
    if origin is type:
        return isinstance(value, type)
    if hint is Callable or origin is Callable:
        return callable(value)
    if isinstance(hint, type):
        return isinstance(value, hint)
    raise TypeError(f"zoo.contract.params does not know how to check the annotation {hint!r}")


def _accepts_sequence(origin: Any, args: tuple[Any, ...], value: Any) -> bool:
    # Lists pass for tuples: a JSON or YAML file knows no tuples.
    if isinstance(value, str | bytes) or not isinstance(value, list | tuple | np.ndarray):
        return False
    if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
        return len(value) == len(args) and all(
            accepts(a, v) for a, v in zip(args, value, strict=True)
        )
    return all(accepts(args[0], v) for v in value)


def _satisfies(marker: Any, value: Any) -> bool:
    if isinstance(marker, Interval):
        return not isinstance(value, Real) or float(value) in marker
    if isinstance(marker, Check):
        return bool(marker.predicate(value))
    return marker(value) if isinstance(marker, Holds) else True


def describe(hint: Any) -> str:
    """Say in words what ``hint`` accepts."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        checks = [m.words for m in args[1:] if isinstance(m, Check)]
        checks += [str(m) for m in args[1:] if isinstance(m, Holds)]
        if checks:
            return " and ".join(checks)
        bounds = " and ".join(str(m) for m in args[1:] if isinstance(m, Interval))
        return f"{describe(args[0])} {bounds}".strip()
    if origin in (Union, UnionType):
        return " or ".join(describe(a) for a in args)
    if origin is Literal:
        return ("one of " if len(args) > 1 else "") + ", ".join(repr(a) for a in args)
    if origin in (tuple, list, Sequence):
        if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
            return "a tuple of " + ", ".join(describe(a) for a in args)
        return f"a {origin.__name__.lower()} whose entries are each {describe(args[0])}"
    if origin in (dict, Mapping):
        return f"a dict from {describe(args[0])} to {describe(args[1])}"
    if hint is Any:
        return "any value"
    if hint is None or hint is NoneType:
        return "None"
    if hint is Callable or origin is Callable:
        return "a callable"
    if origin is type:
        return "a class"
    names = {int: "an integer", float: "a number", bool: "True or False", str: "a string"}
    if hint in names:
        return names[hint]
    return f"an instance of {hint.__name__}"


def search_range(hint: Any) -> Search | Fixed | list[Any] | None:
    """Return what a search may try: a range, a list of choices, or why it is fixed.

    None means that the annotation says nothing; a test of the registry lets that pass only for
    fields that hold no number.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        for marker in reversed(args[1:]):  # the outermost word wins
            if isinstance(marker, Search | Fixed):
                return marker
            if isinstance(marker, Among):
                return list(marker.choices)
        return search_range(args[0])
    if origin in (Union, UnionType):
        found = [search_range(a) for a in args]
        ranges = [s for s in found if isinstance(s, Search)]
        choices = [c for s in found if isinstance(s, list) for c in s]
        fixed = [s for s in found if isinstance(s, Fixed)]
        return ranges[0] if ranges else choices or (fixed[0] if fixed else None)
    if origin is Literal:
        return list(args)
    if hint is bool:
        return [False, True]
    return None


def holds_number(hint: Any) -> bool:
    """Tell whether the annotation admits a plain number (such fields need a search range)."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return holds_number(args[0])
    if origin in (Union, UnionType):
        return any(holds_number(a) for a in args)
    return hint in _NUMERIC


def holds_estimator(hint: Any) -> bool:
    """Tell whether the annotation admits an estimator by name: whether it is a `Method`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return any(isinstance(m, Holds) for m in args[1:]) or holds_estimator(args[0])
    return origin in (Union, UnionType) and any(map(holds_estimator, args))


def is_integer(hint: Any) -> bool:
    """Tell whether a search draws integers only: the numbers that the annotation admits, or its range."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return is_integer(args[0])
    if origin in (Union, UnionType):
        ranges = [a for a in args if isinstance(search_range(a), Search)]
        # Of several kinds of number the first that has a range is searched.
        numeric = ranges[:1] or [a for a in args if holds_number(a)]
        return bool(numeric) and all(is_integer(a) for a in numeric)
    return hint is int


class _Required:
    """The default of a field that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True)
class Field:
    """A parameter of an estimator: its name, annotation and default."""

    name: str
    hint: Any
    default: Any = REQUIRED


def mark_of(hint: Any, kind: type) -> Any:
    """Return the first mark of a kind on an annotation or on one of its alternatives, else None."""
    if get_origin(hint) is Annotated:
        for marker in get_args(hint)[1:]:
            if isinstance(marker, kind):
                return marker
        return mark_of(get_args(hint)[0], kind)
    if get_origin(hint) in (Union, UnionType):
        return next((m for m in (mark_of(a, kind) for a in get_args(hint)) if m is not None), None)
    return None


def fields_of(cls: type) -> dict[str, Field]:
    """Return the fields of an estimator class; the hints are resolved once per class."""
    cached = cls.__dict__.get("_resolved_fields")
    if cached is None:
        hints = get_type_hints(cls, include_extras=True)
        cached = {
            name: Field(name, hints[name], default)
            for name, default in cls._defaults.items()  # type: ignore[attr-defined]
        }
        cls._resolved_fields = cached  # type: ignore[attr-defined]
    return cached


def validate(estimator: Any) -> None:
    """Raise ParameterError for the first parameter whose value is outside its domain."""
    name = type(estimator).__name__
    for field in fields_of(type(estimator)).values():
        value = getattr(estimator, field.name)
        if not accepts(field.hint, value):
            raise ParameterError(
                f"{name}: {field.name}={_short(value)} is not accepted; {field.name} must be "
                f"{describe(field.hint)}.{did_you_mean(value, choice_words(field.hint))}"
            )


def choice_words(hint: Any) -> list[str]:
    """List the strings that the annotation names."""
    if get_origin(hint) is Literal:
        return [a for a in get_args(hint) if isinstance(a, str)]
    return [s for a in get_args(hint) if not inspect.isfunction(a) for s in choice_words(a)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
