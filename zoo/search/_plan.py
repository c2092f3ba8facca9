"""What to try and how: ranges, candidates and plans."""

import difflib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, get_type_hints

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state

from zoo.contract.params import (
    Check,
    Count,
    Interval,
    ParameterError,
    Search,
    accepts,
    describe,
    did_you_mean,
    fields_of,
    is_integer,
    search_range,
)


def _check_fields(thing: Any) -> None:
    """Raise ParameterError for the first field whose value is outside its domain."""
    hints = get_type_hints(type(thing), include_extras=True)
    for f in fields(thing):
        value = getattr(thing, f.name)
        if not accepts(hints[f.name], value):
            raise ParameterError(
                f"{type(thing).__name__}: {f.name}={value!r} is not accepted; {f.name} must be "
                f"{describe(hints[f.name])}."
            )


# Metrics that most people want, for those whose word is like no other.
COMMON_METRICS = (
    "accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc", "r2", "neg_mean_absolute_error",
    "neg_root_mean_squared_error",
)  # fmt: skip


def no_metric(name: Any) -> str:
    """Say that there is no metric of that name, and which ones there are that come near."""
    known = get_scorer_names()
    near = difflib.get_close_matches(str(name), known, n=6, cutoff=0.5) or COMMON_METRICS
    said = repr(name) if len(repr(name)) <= 60 else repr(name)[:57] + "..."
    return (
        f"there is no metric {said};{did_you_mean(name, known)} give one such as {', '.join(near)} "
        "(sklearn.metrics.get_scorer_names() has all of them)."
    )


@dataclass(frozen=True)
class Range:
    """The numbers between ``low`` and ``high``, evenly or on a log scale, as a distribution.

    ``rvs`` is what scikit-learn's `ParameterSampler` calls; ``grid`` spreads points.

    Examples
    --------
    >>> from zoo.search import Range
    >>> Range(1, 100, log=True, integer=True).grid(3)
    [1, 10, 100]
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        _check_fields(self)
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low > self.high:
            raise ParameterError(
                f"Range: {self.low!r} to {self.high!r} is no range; give two finite numbers, the smaller "
                "one first."
            )
        if self.integer and (self.low % 1 or self.high % 1):
            raise ParameterError(
                f"Range: {self.low!r} to {self.high!r} are no integers; give integers or integer=False."
            )
        if self.log and self.low <= 0:
            raise ParameterError(
                f"Range: low={self.low!r} has no place on a log scale; give a number > 0 or scale "
                "it linearly."
            )

    def rvs(self, size: int | None = None, random_state: Any = None) -> Any:
        """Draw a number, or ``size`` of them."""
        rng = check_random_state(np.random.RandomState() if random_state is None else random_state)
        return self.at(rng.uniform(size=size))

    def at(self, u: Any) -> Any:
        """Return the number that lies at the fraction u of the range."""
        # Each integer gets a cell of its own, so that the two at the ends are not half as likely.
        half = 0.5 if self.integer else 0.0
        low, high = self.low - half, self.high + half
        u = np.asarray(u)
        value = low * (high / low) ** u if self.log else low * (1 - u) + high * u
        value = np.clip(np.rint(value) if self.integer else value, self.low, self.high)
        if np.ndim(value):
            return value.astype(int) if self.integer else value
        return int(value) if self.integer else float(value)

    def grid(self, n: int) -> list[float]:
        """Return ``n`` values spread over the range (fewer when integers coincide)."""
        return Search(self.low, self.high, self.log).grid(n, integer=self.integer)


@dataclass(frozen=True)
class Candidate:
    """A row of the leaderboard to be.

    Parameters
    ----------
    name : str
        What the leaderboard calls it.
    estimator : estimator
        Unfitted; a Pipeline when there are steps.
    space : dict, default={}
        From the name of a parameter ("step__parameter") to what to try: a list of values, a `Range`
        or a frozen distribution of scipy. Empty: fitted once as it is.
    """

    name: Annotated[str, Check(lambda s: bool(s.strip()), "a name that is not empty")]
    estimator: Any
    space: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_fields(self)
        if isinstance(self.estimator, type) or not (
            hasattr(self.estimator, "fit") and hasattr(self.estimator, "get_params")
        ):
            raise ParameterError(
                f"{self.name}: {self.estimator!r} is no estimator; give an object with fit and "
                "get_params, such as Ridge()."
            )
        known = list(self.estimator.get_params(deep=True)) if self.space else []
        for parameter, values in self.space.items():
            if parameter not in known:
                raise ParameterError(
                    f"{self.name}: there is no parameter {parameter!r} to search; it has "
                    f"{', '.join(k for k in known if '__' in k or k[-1] != '_')}."
                    f"{did_you_mean(parameter, known)}"
                )
            is_list = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str | bytes)
            if not ((is_list and len(values)) or hasattr(values, "rvs")):
                raise ParameterError(
                    f"{self.name}: {parameter}={values!r} is no space; give a list of values, a "
                    "zoo.search.Range or a frozen distribution of scipy.stats."
                )


def _is_splitter(cv: Any) -> bool:
    return hasattr(cv, "split") and hasattr(cv, "get_n_splits")


@dataclass(frozen=True)
class Plan:
    """How candidates are tried, and on what.

    Parameters
    ----------
    kind : {"none", "grid", "random", "halving", "optuna"}, default="none"
        How settings are found. "none" fits every candidate once, as it is.
    n_iter : int, default=20
        Settings a candidate, for "random", "halving" and "optuna".
    n_grid : int, default=5
        Points that a range has in a grid.
    factor : int, default=3
        Halving keeps one setting in ``factor`` and gives it ``factor`` times the rows.
    as_given : bool, default=False
        Whether the candidate as it stands is the first of its trials in a search.
    cv : int or splitter, default=5
        Folds, as in scikit-learn; the same ones for every candidate.
    metrics : tuple of str, default=()
        Scorers of scikit-learn; the first one ranks. Empty: chosen by the task.
    random_state : int or None, default=None
        Seed of the settings, of shuffled folds and of every estimator that has none.
    n_jobs : int or None, default=None
        Trials at a time, or workers of a local Dask cluster; None is one, -1 all processors.
    backend : {"loky", "threading", "dask", "ray"} or None, default=None
        Where trials run; None is this process for one job and loky for more.
    address : str or None, default=None
        The Dask scheduler or Ray cluster to join; None starts one on this machine.
    """

    kind: Literal["none", "grid", "random", "halving", "optuna"] = "none"
    n_iter: Count = 20
    n_grid: Count = 5
    factor: Annotated[int, Interval(2, None)] = 3
    as_given: bool = False
    cv: Annotated[int, Interval(2, None)] | Annotated[
        Any, Check(_is_splitter, "a splitter of scikit-learn")
    ] = 5
    metrics: tuple[str, ...] = ()
    random_state: Annotated[int, Interval(0, 2**32 - 1)] | None = None
    n_jobs: Annotated[int, Check(lambda n: n != 0, "an integer other than 0")] | None = None
    backend: Literal["loky", "threading", "dask", "ray"] | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        _check_fields(self)
        object.__setattr__(self, "metrics", tuple(self.metrics))
        known = get_scorer_names()
        for metric in self.metrics:
            if metric not in known:
                raise ParameterError(f"Plan: {no_metric(metric)}")
        if self.address is not None and self.backend not in ("dask", "ray"):
            raise ParameterError(
                f"Plan: address={self.address!r} needs backend='dask' or 'ray'; backend is "
                f"{self.backend!r}."
            )


def auto_space(estimator: Any) -> dict[str, Range]:
    """Return the ranges that the cards of the zoo's methods state, inside pipelines too.

    Only numbers are searched: a choice between methods (a kernel, a solver) is written out by whoever
    wants it tried. What was given another value than its default stays as it was given, and
    a number that its default switches off (it lies outside its own range) stays off. Estimators of
    scikit-learn have no card; when nothing is found, a warning says so.

    Examples
    --------
    >>> from zoo import Ridge
    >>> from zoo.search import auto_space
    >>> auto_space(Ridge())
    {'alpha': Range(low=1e-06, high=100.0, log=True, integer=False)}
    """
    space: dict[str, Range] = {}
    has_card = False
    parts = {"": estimator} | {
        f"{name}__": part
        for name, part in estimator.get_params(deep=True).items()
        if hasattr(part, "get_params") and not isinstance(part, type)
    }
    for prefix, part in parts.items():
        if not hasattr(type(part), "card"):
            continue
        has_card = True
        for f in fields_of(type(part)).values():
            found = search_range(f.hint)
            value = getattr(part, f.name)
            if not isinstance(found, Search) or not _is_default(value, f.default):
                continue
            if isinstance(value, int | float) and not found.low <= value <= found.high:
                continue
            integer = is_integer(f.hint)
            low, high = (
                (int(found.low), int(found.high)) if integer else (float(found.low), float(found.high))
            )
            space[prefix + f.name] = Range(low, high, found.log, integer)
    if not has_card:
        warnings.warn(
            f"{type(estimator).__name__} has no card that states ranges, so it is fitted once as it is; "
            "give it a space to search.",
            UserWarning,
            stacklevel=2,
        )
    return space


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (
        isinstance(value, int | float | str) and type(value) is type(default) and value == default
    )
