"""Search: candidates, the trials that are made of them, and what came out.

A *candidate* is a name, an unfitted estimator and a space of parameters. A *trial* is one setting of
one candidate over all folds: the unit of work, of failure and of resuming. Splitting, scoring,
drawing of settings and the shape of ``cv_results_`` are scikit-learn's; the loop is written here,
because scikit-learn's searches keep nothing until all of it is done.

The settings of a candidate come from a generator that yields lists of settings and is sent their
trials. Resuming is replaying: the same generator asks for the same settings, and what the journal
knows is not fitted again. So no setting may depend on the clock, on the number of workers or on the
order in which they finish.
"""

import contextlib
import copy
import hashlib
import json
import logging
import math
import os
import re
import sys
import time
import traceback
import types
import warnings
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import joblib
import numpy as np
import pandas as pd
import scipy.sparse
import scipy.stats
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
from sklearn.model_selection import (
    GroupKFold,
    ParameterGrid,
    ParameterSampler,
    StratifiedGroupKFold,
    check_cv,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import has_fit_parameter

from zoo import __version__, registry
from zoo.inputs import n_rows
from zoo.params import (
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

__all__ = [
    "Candidate",
    "Outcome",
    "Plan",
    "Predictions",
    "Range",
    "Trial",
    "auto_space",
    "fingerprint",
    "leaderboard",
    "run",
]


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


# -- what to search --------------------------------------------------------------------------------


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


KINDS = ("none", "grid", "random", "halving", "optuna")
BACKENDS = ("loky", "threading", "dask", "ray")


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
                raise ParameterError(
                    f"Plan: there is no metric {metric!r};{did_you_mean(metric, known)} accepted are "
                    f"{', '.join(known)}."
                )
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


# -- fingerprints ----------------------------------------------------------------------------------


def fingerprint(*parts: Any) -> str:
    """Return a short text that differs when the values do, the same in every process."""
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()[:32]


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, pd.DataFrame):
        digest.update(f"frame{list(map(str, value.columns))}{list(map(str, value.dtypes))}".encode())
        for i in range(value.shape[1]):
            _feed_column(digest, value.iloc[:, i])
    elif isinstance(value, pd.Series):
        _feed_column(digest, value)
    elif scipy.sparse.issparse(value):
        rows = value.tocsr()
        for part in (np.array(rows.shape), rows.indptr, rows.indices, rows.data):
            _feed(digest, part)
    elif isinstance(value, np.ndarray):
        digest.update(f"array{value.shape}{value.dtype.str}".encode())
        if value.dtype.hasobject:
            _feed(digest, value.ravel().tolist())
        else:
            digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, np.generic):
        _feed(digest, value.item())
    elif isinstance(value, Mapping):
        digest.update(f"dict{len(value)}".encode())
        for key in sorted(value, key=str):
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"list{len(value)}".encode())
        for item in value:
            _feed(digest, item)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        _feed(digest, type(value))
        _feed(digest, value.get_params(deep=False))
    elif isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        digest.update(f"{value.__module__}.{value.__qualname__}".encode())
    else:
        # An address in a repr is another one in every process.
        text = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
        digest.update(f"{type(value).__name__}:{text};".encode())


def _feed_column(digest: Any, column: pd.Series) -> None:
    try:
        hashes = pd.util.hash_pandas_object(column, index=False)
    except TypeError:  # cells that cannot be hashed, such as lists
        _feed(digest, column.tolist())
    else:
        digest.update(f"column{column.dtype}{len(column)}".encode())
        digest.update(hashes.to_numpy().tobytes())


# -- one fold of one trial, wherever it runs -------------------------------------------------------


@dataclass(frozen=True)
class _Problem:
    """All that a worker needs to know; sent to it once."""

    estimators: tuple[Any, ...]
    X: Any
    y: Any
    weights: Any
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]
    metrics: tuple[str, ...]
    classes: np.ndarray | None
    seed: int
    watch_warnings: bool


@dataclass(frozen=True)
class _Task:
    """One fold of one trial."""

    trial: int
    fold: int
    estimator: int
    params: Mapping[str, Any]
    share: float
    train_scores: bool = False


def _work(problem: _Problem, task: _Task) -> tuple[_Task, dict[str, Any]]:
    """Fit and score; an error is a result like another."""
    result: dict[str, Any] = {
        "scores": {m: math.nan for m in problem.metrics},
        "train_scores": {m: math.nan for m in problem.metrics} if task.train_scores else None,
        "fit_seconds": math.nan, "score_seconds": math.nan, "n_train": 0, "n_valid": 0,
        "error": None, "traceback": None, "warnings": {},
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        caught: list[Any] = []
        if problem.watch_warnings:
            caught = stack.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("always")
        try:
            _fit_and_score(problem, task, result)
        except (Exception, SystemExit) as error:
            result["error"] = _say(error)
            result["traceback"] = "".join(
                traceback.format_exception(type(error), error, error.__traceback__)
            )[-4000:]
    for warning in caught:
        text = f"{warning.category.__name__}: {_first_line(str(warning.message))}"
        result["warnings"][text] = result["warnings"].get(text, 0) + 1
    return task, result


def _fit_and_score(problem: _Problem, task: _Task, result: dict[str, Any]) -> None:
    model, train, valid = _prepared(problem, task)
    X, y = _safe_split(model, problem.X, problem.y, train)
    X_valid, y_valid = _safe_split(model, problem.X, problem.y, valid, train)
    w = None if problem.weights is None else problem.weights[train]
    w_valid = None if problem.weights is None else problem.weights[valid]
    result["n_train"], result["n_valid"] = len(train), len(valid)
    start = time.perf_counter()
    fit(model, X, y, w)
    fitted = time.perf_counter()
    result["fit_seconds"] = fitted - start
    result["scores"] = _scores(model, X_valid, y_valid, w_valid, problem.metrics)
    result["score_seconds"] = time.perf_counter() - fitted
    if task.train_scores:
        result["train_scores"] = _scores(model, X, y, w, problem.metrics)


def _prepared(problem: _Problem, task: _Task) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return the estimator with its parameters, and the rows to fit and to score."""
    train, valid = problem.folds[task.fold]
    if task.share < 1:
        order = _mixed(train, problem.y, problem.classes, problem.seed)
        train = train[np.sort(order[: max(2, round(task.share * len(train)))])]
    return configured(problem.estimators[task.estimator], task.params, problem.seed), train, valid


def configured(estimator: Any, params: Mapping[str, Any], seed: int) -> Any:
    """Return a clone with these parameters, and with a seed wherever it has none."""
    model = clone(clone(estimator).set_params(**{k: clone(v, safe=False) for k, v in params.items()}))
    seeds = {
        name: int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0])
        for name, value in model.get_params(deep=True).items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return model.set_params(**seeds)


def _mixed(train: np.ndarray, y: Any, classes: np.ndarray | None, seed: int) -> np.ndarray:
    """Order training rows so that every beginning holds the classes in their proportions."""
    rng = np.random.RandomState(np.random.SeedSequence([seed, len(train)]).generate_state(1))
    u = rng.uniform(size=len(train))
    if classes is None:
        return np.argsort(u)
    labels = np.asarray(y)[train]
    place = np.empty(len(train))
    for label in classes:
        members = np.flatnonzero(labels == label)
        place[members[np.argsort(u[members])]] = (np.arange(len(members)) + 0.5) / max(len(members), 1)
    return np.lexsort((u, place))


def fit(model: Any, X: Any, y: Any, weights: Any = None) -> Any:
    """Fit with weights where there are any; in a Pipeline every step that takes weights gets them."""
    if weights is None:
        return model.fit(X, y)
    with sklearn.config_context(enable_metadata_routing=False):
        if not isinstance(model, Pipeline):
            _refuse_without_weights(model)
            return model.fit(X, y, sample_weight=weights)
        _refuse_without_weights(model[-1])
        named = {
            f"{name}__sample_weight": weights
            for name, step in model.steps
            if hasattr(step, "fit") and has_fit_parameter(step, "sample_weight")
        }
        return model.fit(X, y, **named)


def last_step(model: Any) -> Any:
    """Return the estimator that predicts: the last step of a Pipeline, else the model itself."""
    return model[-1] if isinstance(model, Pipeline) else model


def _refuse_without_weights(model: Any) -> None:
    if not has_fit_parameter(model, "sample_weight"):
        raise ValueError(
            f"{type(model).__name__} takes no sample weights; leave the weights out or choose "
            "another model."
        )


def scorers(metrics: Sequence[str], model: Any) -> dict[str, Any]:
    """Return scikit-learn's scorers by name; "score" is the method of the estimator."""
    return {m: check_scoring(model) if m == "score" else get_scorer(m) for m in metrics}


def _scores(model: Any, X: Any, y: Any, w: Any, metrics: tuple[str, ...]) -> dict[str, float]:
    """Score by all metrics, predicting once; a metric that cannot be computed is nan and said."""
    found = scorers(metrics, model)
    weighted = [m for m in metrics if w is not None and found[m]._accept_sample_weight()]
    results: dict[str, Any] = {}
    for names, routed in ((weighted, {"sample_weight": w}), ([m for m in metrics if m not in weighted], {})):
        if names == ["score"]:
            results["score"] = found["score"](model, X, y, **routed)
        elif names:
            try:
                results |= check_scoring(model, scoring=names)(model, X, y, **routed)
            except Exception:
                # One of them cannot be computed: each by itself, to know which.
                results |= {m: _one_score(found[m], m, model, X, y, routed, m == metrics[0]) for m in names}
    return {m: float(results[m]) for m in metrics}


def _one_score(
    scorer: Any, name: str, model: Any, X: Any, y: Any, routed: Mapping[str, Any], ranks: bool
) -> float:
    try:
        return float(scorer(model, X, y, **routed))
    except Exception as error:
        if ranks:
            raise ValueError(f"{name}, which ranks, cannot be computed: {_say(error)}") from error
        warnings.warn(f"{name} cannot be computed: {_say(error)}", UserWarning, stacklevel=2)
        return math.nan


def _predict_fold(problem: _Problem, task: _Task) -> tuple[_Task, dict[str, Any]]:
    """Predict the rows that were left out."""
    model, train, valid = _prepared(problem, task)
    X, y = _safe_split(model, problem.X, problem.y, train)
    X_valid, _ = _safe_split(model, problem.X, problem.y, valid, train)
    fit(model, X, y, None if problem.weights is None else problem.weights[train])
    return task, {"rows": valid, **_predicted(model, X_valid, problem.classes)}


def _predicted(model: Any, X: Any, classes: np.ndarray | None) -> dict[str, Any]:
    found: dict[str, Any] = {"predicted": np.asarray(model.predict(X)), "probabilities": None, "scores": None}
    if classes is not None:
        for method, name in (("predict_proba", "probabilities"), ("decision_function", "scores")):
            if hasattr(model, method):
                values = np.asarray(getattr(model, method)(X))
                if values.ndim == 2:
                    # A class that no training row had gets no probability.
                    all_classes = np.full((len(values), len(classes)), 0.0 if name[0] == "p" else -np.inf)
                    all_classes[:, np.searchsorted(classes, model.classes_)] = values
                    values = all_classes
                found[name] = values
    return found


def _say(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(str(error))}"


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 400 else line[:397] + "..."


# -- the journal -----------------------------------------------------------------------------------


class _Journal:
    """Finished trials in a file: one line of JSON each, on disk before the next one begins.

    A line that was cut off by the end of a process is dropped; lines of other data or settings have
    other keys and are never looked up.
    """

    def __init__(self, path: Path | None, seed: int | None) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        self.seed: int | None = None
        self.damaged = 0
        end = self._read(path) if path is not None and path.exists() else 0
        # A search without a seed goes on with the one that was drawn when it began.
        self.seed = seed if seed is not None else self.seed
        if self.seed is None:
            self.seed = int(np.random.SeedSequence().generate_state(1)[0])
        if path is not None:
            with open(path, "ab") as file:
                file.truncate(end)
        if end == 0:
            self._write({"journal": 1, "zoo": __version__, "seed": self.seed})

    def _read(self, path: Path) -> int:
        end = 0
        with open(path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                try:
                    row = json.loads(line)
                except ValueError:
                    self.damaged += 1
                    continue
                if not isinstance(row, dict):
                    self.damaged += 1
                elif "journal" in row:
                    self.seed = row.get("seed")
                elif isinstance(row.get("key"), str):
                    self.known[row["key"]] = row
        if self.damaged:
            warnings.warn(
                f"{path} has {self.damaged} damaged lines; those trials are run again.",
                UserWarning,
                stacklevel=4,
            )
        return end

    def add(self, row: dict[str, Any]) -> None:
        self.known[row["key"]] = row
        self._write(row)

    def _write(self, row: dict[str, Any]) -> None:
        if self.path is not None:
            with open(self.path, "ab") as file:
                file.write(json.dumps(_plain(row), allow_nan=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())


def _plain(value: Any) -> Any:
    """Return what JSON can hold; numbers that are not finite become None or text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return " ".join(repr(value).split())


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


# -- trials ----------------------------------------------------------------------------------------


_BY_FOLD = ("fit_seconds", "score_seconds", "n_train", "n_valid")


@dataclass(frozen=True)
class Trial:
    """One setting of one candidate over all folds, finished.

    ``share`` is the part of the training rows of each fold that was fitted on; ``error`` is None, or
    one line, with the end of the traceback beside it.
    """

    candidate: str
    params: Mapping[str, Any]
    share: float
    key: str
    scores: Mapping[str, np.ndarray]
    train_scores: Mapping[str, np.ndarray] | None
    fit_seconds: np.ndarray
    score_seconds: np.ndarray
    n_train: np.ndarray
    n_valid: np.ndarray
    error: str | None
    traceback: str | None
    warnings: Mapping[str, int]

    @classmethod
    def from_row(cls, row: Mapping[str, Any], candidate: str, params: Mapping[str, Any]) -> "Trial":
        """Make a trial of a line of the journal."""

        def arrays(scores: Any) -> Any:
            return scores and {m: np.array([_number(v) for v in s]) for m, s in scores.items()}

        times = {
            name: np.array([_number(v) for v in row[name]])
            for name in _BY_FOLD
        }
        return cls(
            candidate=candidate, params=params, share=row["share"], key=row["key"],
            scores=arrays(row["scores"]), train_scores=arrays(row["train_scores"]),
            error=row["error"], traceback=row["traceback"], warnings=row["warnings"], **times,
        )  # fmt: skip

    def mean(self, metric: str) -> float:
        """Return the mean score over folds, nan when the trial failed."""
        return math.nan if self.error else float(np.mean(self.scores[metric]))


@dataclass(frozen=True)
class _Wish:
    """A trial that is asked for."""

    candidate: int
    params: Mapping[str, Any]
    share: float = 1.0
    train_scores: bool = False


# -- where settings come from ----------------------------------------------------------------------

# Settings are yielded in lists, and the trials of a list are sent back.
_Settings = Generator[list[tuple[Mapping[str, Any], float]], list[Trial], None]


def _grid(space: Mapping[str, Any], n: int) -> dict[str, list[Any]]:
    """Return lists of values; a distribution gives n of its quantiles."""
    lists: dict[str, list[Any]] = {}
    for name, values in space.items():
        if isinstance(values, Range):
            lists[name] = list(values.grid(n))
        elif hasattr(values, "rvs"):
            # The ends of an unbounded distribution are infinite: the middles of n parts are not.
            ends = np.asarray(values.ppf([0.0, 1.0]), dtype=float)
            at = np.linspace(0, 1, n) if np.isfinite(ends).all() else (np.arange(n) + 0.5) / n
            lists[name] = [v.item() for v in np.unique(values.ppf(at))]
        else:
            lists[name] = list(values)
    return lists


GRID_LIMIT = 10_000


def count_trials(candidate: Candidate, plan: Plan) -> int:
    """Say how many trials a candidate will have."""
    if plan.kind == "none" or not candidate.space:
        return 1
    if plan.kind == "grid":
        sizes = [len(v) for v in _grid(candidate.space, plan.n_grid).values()]
        if math.prod(sizes) > GRID_LIMIT:
            raise ParameterError(
                f"{candidate.name}: its grid has {math.prod(sizes):,} settings and at most "
                f"{GRID_LIMIT:,} are tried; search fewer parameters, fewer points (n_grid) or with "
                "kind='random'."
            )
        return math.prod(sizes) + plan.as_given
    if plan.kind == "optuna":
        return plan.n_iter
    return plan.as_given + _drawn(candidate.space, plan.n_iter - plan.as_given)


def _settings(candidate: Candidate, plan: Plan, seed: int, n_train: int, n_classes: int) -> _Settings:
    """Yield the settings of one candidate."""
    given: list[Mapping[str, Any]] = [{}] if plan.as_given else []
    if plan.kind == "none" or not candidate.space:
        yield [({}, 1.0)]
    elif plan.kind == "grid":
        yield [(p, 1.0) for p in [*given, *ParameterGrid(_grid(candidate.space, plan.n_grid))]]
    elif plan.kind == "random":
        yield [(p, 1.0) for p in [*given, *_draws(candidate, plan.n_iter - len(given), seed)]]
    elif plan.kind == "halving":
        drawn = [*given, *_draws(candidate, plan.n_iter - len(given), seed)]
        yield from _halve(drawn, plan, n_train, n_classes)
    else:
        yield from _ask(candidate, plan, seed)


def _draws(candidate: Candidate, n: int, seed: int) -> list[Mapping[str, Any]]:
    space = dict(candidate.space)
    n = _drawn(space, n)
    return list(ParameterSampler(space, n, random_state=seed)) if n else []


def _drawn(space: Mapping[str, Any], n: int) -> int:
    """Say how many settings are drawn: lists are drawn from without putting back."""
    if any(hasattr(v, "rvs") for v in space.values()):
        return n
    return min(n, math.prod(len(v) for v in space.values()))


def _halve(drawn: list[Mapping[str, Any]], plan: Plan, n_rows: int, n_classes: int) -> _Settings:
    """Try all settings on few rows, and the best ones on more and more, up to all of them."""
    # So many rounds that one setting is left, unless the first would have too few rows to say much.
    smallest = 20 * max(n_classes, 1)
    rounds = 0
    while plan.factor ** (rounds + 1) <= len(drawn) and n_rows / plan.factor ** (rounds + 1) >= smallest:
        rounds += 1
    alive = list(range(len(drawn)))
    for left in range(rounds, -1, -1):
        trials = yield [(drawn[i], plan.factor**-float(left)) for i in alive]
        if left:
            metric = next(iter(trials[0].scores))
            means = np.array([-math.inf if math.isnan(m := t.mean(metric)) else m for t in trials])
            best = np.argsort(-means, kind="stable")[: math.ceil(len(alive) / plan.factor)]
            alive = [alive[i] for i in sorted(best)]


# Settings that optuna proposes at a time: a constant, so that a search does not depend on the
# number of workers.
AT_A_TIME = 4


def _ask(candidate: Candidate, plan: Plan, seed: int) -> _Settings:
    """Let optuna propose settings, a few at a time, each time knowing what came out."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "a search of kind 'optuna' needs optuna; install it with: pip install 'sklearn-zoo[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    done = 0
    if plan.as_given:
        yield [({}, 1.0)]
        done = 1
    while done < plan.n_iter:
        asked = [study.ask() for _ in range(min(AT_A_TIME, plan.n_iter - done))]
        trials = yield [
            ({name: _suggest(a, name, v) for name, v in candidate.space.items()}, 1.0) for a in asked
        ]
        for a, trial in zip(asked, trials, strict=True):
            score = trial.mean(next(iter(trial.scores)))
            if math.isnan(score):
                study.tell(a, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(a, score)
        done += len(asked)


def _suggest(asked: Any, name: str, values: Any) -> Any:
    if isinstance(values, Range):
        if values.integer:
            return asked.suggest_int(name, int(values.low), int(values.high), log=values.log)
        return asked.suggest_float(name, values.low, values.high, log=values.log)
    if hasattr(values, "rvs"):
        # Within the open interval: the ends of a distribution may be infinite.
        return np.asarray(values.ppf(asked.suggest_float(name, 1e-6, 1 - 1e-6))).item()
    return values[asked.suggest_categorical(name, list(range(len(values))))]


# -- where tasks run -------------------------------------------------------------------------------


class _Workers:
    """Runs tasks through joblib, here or elsewhere, and goes on when a worker is killed.

    After a loss the tasks that may have been under way run one at a time: the one during which
    workers die again is a failed task, the others lose nothing.
    """

    ATTEMPTS = 2  # alone, before a task is blamed

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._open = contextlib.ExitStack()
        self._options: dict[str, Any] = {}
        self._breaks: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __enter__(self) -> "_Workers":
        plan = self.plan
        if plan.backend == "dask":
            self._options = {"backend": "dask", "client": self._dask_client()}
        elif plan.backend == "ray":
            self._join_ray()
            self._options = {"backend": "ray"}
        elif plan.backend is not None:
            self._options = {"backend": plan.backend}
        return self

    def __exit__(self, *details: Any) -> None:
        self._open.close()

    def _dask_client(self) -> Any:
        try:
            import distributed
        except ImportError as error:
            raise ImportError(
                "backend='dask' needs Dask; install it with: pip install 'sklearn-zoo[dask]'"
            ) from error
        self._breaks += (
            distributed.KilledWorker, distributed.comm.CommClosedError, CancelledError,
            distributed.client.FutureCancelledError,
        )  # fmt: skip
        if self.plan.address is not None:
            return self._open.enter_context(distributed.Client(self.plan.address, set_as_default=False))
        cluster = distributed.LocalCluster(
            n_workers=_n_jobs(self.plan), threads_per_worker=1, processes=True,
            dashboard_address=None, silence_logs=logging.CRITICAL,
        )  # fmt: skip
        self._open.enter_context(cluster)
        return self._open.enter_context(distributed.Client(cluster, set_as_default=False))

    def _join_ray(self) -> None:
        try:
            import ray
            from ray.util.joblib import register_ray
        except ImportError as error:
            raise ImportError(
                "backend='ray' needs Ray; install it with: pip install 'sklearn-zoo[ray]'"
            ) from error
        if not ray.is_initialized():
            alone = self.plan.address is None
            ray.init(
                address=self.plan.address, num_cpus=_n_jobs(self.plan) if alone else None,
                log_to_driver=False, include_dashboard=False if alone else None,
            )  # fmt: skip
            self._open.callback(ray.shutdown)
        self._breaks += (ray.exceptions.RayError,)
        register_ray()

    def run(
        self, work: Callable[[_Problem, _Task], Any], problem: _Problem, tasks: Sequence[_Task]
    ) -> Iterator[tuple[_Task, Any]]:
        """Yield each task with its result, in the order in which they finish."""
        waiting = {(task.trial, task.fold): task for task in tasks}
        while waiting:
            try:
                for task, result in self._stream(work, problem, list(waiting.values())):
                    del waiting[task.trial, task.fold]
                    yield task, result
            except self._breaks as error:
                under_way = list(waiting.values())[: 2 * _n_jobs(self.plan) + 2]
                warnings.warn(
                    f"a worker was lost ({type(error).__name__}); {len(waiting)} of {len(tasks)} tasks are "
                    "left and run again.",
                    UserWarning,
                    stacklevel=2,
                )
                for task in under_way:
                    if (task.trial, task.fold) in waiting:
                        for done in self._alone(work, problem, task, waiting):
                            del waiting[done[0].trial, done[0].fold]
                            yield done

    def _alone(
        self,
        work: Callable[[_Problem, _Task], Any],
        problem: _Problem,
        task: _Task,
        waiting: Mapping[tuple[int, int], _Task],
    ) -> list[tuple[_Task, Any]]:
        """Run one task by itself; when that kills workers too, its whole trial has failed."""
        for _ in range(self.ATTEMPTS):
            with contextlib.suppress(*self._breaks):
                return [next(self._stream(work, problem, [task]))]
        nothing = dict.fromkeys(problem.metrics, math.nan)
        lost = {
            "scores": nothing, "train_scores": nothing if task.train_scores else None,
            "fit_seconds": math.nan, "score_seconds": math.nan, "n_train": 0, "n_valid": 0,
            "warnings": {}, "traceback": None,
            "error": f"the process that fitted it was killed, {self.ATTEMPTS} times out of {self.ATTEMPTS} "
            "when nothing else ran (out of memory, or a crash of compiled code)",
        }  # fmt: skip
        return [(other, lost) for other in waiting.values() if other.trial == task.trial]

    def _stream(
        self, work: Callable[[_Problem, _Task], Any], problem: _Problem, tasks: Sequence[_Task]
    ) -> Iterator[tuple[_Task, Any]]:
        options = self._options
        n_jobs = None if self.plan.backend is None and self.plan.n_jobs is None else _n_jobs(self.plan)
        with joblib.parallel_config(n_jobs=n_jobs, **options) if options else contextlib.nullcontext():
            active, _ = joblib.parallel.get_active_backend()
            streams = active.supports_return_generator or isinstance(
                active, joblib.parallel.SequentialBackend
            )
            if options.get("backend") == "dask":
                # The result of a task, not scattered data: the scheduler makes it again when the
                # workers that held it are gone.
                active.data_futures = {id(problem): options["client"].submit(_same, problem, pure=False)}
            # Ray returns nothing before everything is done, so it gets a few tasks at a time.
            parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered" if streams else "list")
        size = max(1, len(tasks) if streams else 2 * _n_jobs(self.plan))
        for i in range(0, len(tasks), size):
            results = parallel(delayed(work)(problem, task) for task in tasks[i : i + size])
            try:
                yield from results
            finally:
                if hasattr(results, "close"):
                    results.close()


def _same(value: Any) -> Any:
    return value


def _n_jobs(plan: Plan) -> int:
    return joblib.cpu_count() if plan.n_jobs == -1 else max(1, joblib.effective_n_jobs(plan.n_jobs))


# -- the search ------------------------------------------------------------------------------------


class _Search:
    """Candidates on one problem; evaluates what is wished for, once."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        X: Any,
        y: Any,
        plan: Plan,
        groups: Any,
        weights: Any,
        journal: Path | None,
        show: "Show",
    ) -> None:
        self.candidates = tuple(candidates)
        self.plan, self.show = plan, show
        _check_names(self.candidates)
        y = None if y is None else np.asarray(y)
        weights = None if weights is None else np.asarray(weights, dtype=float)
        groups = None if groups is None else np.asarray(groups)
        for name, values in (("y", y), ("sample_weight", weights), ("groups", groups)):
            if values is not None and len(values) != n_rows(X):
                raise ValueError(
                    f"{name} has {len(values)} entries and X has {n_rows(X)} rows; give one for each row."
                )
        self.groups = groups
        self.classes = np.unique(y) if is_classifier(self.candidates[0].estimator) else None
        self.metrics = plan.metrics or default_metrics(self.classes, y)
        self.journal = _Journal(journal, plan.random_state)
        seed = self.journal.seed
        assert seed is not None
        self.seed: int = seed
        self.splitter = _splitter(plan.cv, y, groups, self.classes is not None, self.seed)
        folds = tuple(
            (np.asarray(train), np.asarray(valid)) for train, valid in self.splitter.split(X, y, groups)
        )
        self.problem = _Problem(
            tuple(c.estimator for c in self.candidates), X, y, weights, folds, self.metrics,
            self.classes, self.seed, watch_warnings=plan.backend != "threading",
        )  # fmt: skip
        self.identity = fingerprint(
            X, y, weights, [list(f) for f in folds], list(self.metrics), self.seed, __version__,
            sklearn.__version__,
        )  # fmt: skip

    def key(self, wish: _Wish) -> str:
        estimator = self.candidates[wish.candidate].estimator
        return fingerprint(
            self.identity, estimator, dict(wish.params), float(wish.share), wish.train_scores
        )

    def evaluate(self, wishes: Sequence[_Wish], workers: _Workers) -> list[Trial]:
        """Return the trials in the order of the wishes; fit what the journal does not know."""
        keys = [self.key(wish) for wish in wishes]
        missing: dict[str, _Wish] = {}
        for key, wish in zip(keys, wishes, strict=True):
            if key in self.journal.known:
                self.show.finished(self._trial(key, wish), again=True)
            else:
                missing.setdefault(key, wish)
        todo = list(missing.items())
        k = len(self.problem.folds)
        tasks = [
            _Task(number, fold, wish.candidate, wish.params, wish.share, wish.train_scores)
            for number, (_, wish) in enumerate(todo)
            for fold in range(k)
        ]
        results: dict[int, dict[int, Any]] = {}
        stream = workers.run(_work, self.problem, tasks)
        try:
            for task, result in stream:
                parts = results.setdefault(task.trial, {})
                parts[task.fold] = result
                if len(parts) == k:
                    key, wish = todo[task.trial]
                    self.journal.add(self._row(key, wish, [parts[i] for i in range(k)]))
                    self.show.finished(self._trial(key, wish), again=False)
                    del results[task.trial]
        finally:
            stream.close()  # type: ignore[attr-defined]
        return [self._trial(key, wish) for key, wish in zip(keys, wishes, strict=True)]

    def _trial(self, key: str, wish: _Wish) -> Trial:
        name = self.candidates[wish.candidate].name
        return Trial.from_row(self.journal.known[key], name, wish.params)

    def _row(self, key: str, wish: _Wish, parts: list[dict[str, Any]]) -> dict[str, Any]:
        warned: dict[str, int] = {}
        for part in parts:
            for text, count in part["warnings"].items():
                warned[text] = warned.get(text, 0) + count
        failed = [part for part in parts if part["error"]]
        error = failed[0]["error"] if failed else None
        if 0 < len(failed) < len(parts):
            error = f"{error} (in {len(failed)} of {len(parts)} folds)"
        by_metric = {m: [part["scores"][m] for part in parts] for m in self.metrics}
        train = (
            {m: [part["train_scores"][m] for part in parts] for m in self.metrics}
            if wish.train_scores
            else None
        )
        return {
            "key": key, "candidate": self.candidates[wish.candidate].name, "params": dict(wish.params),
            "share": float(wish.share), "scores": by_metric, "train_scores": train,
            **{name: [part[name] for part in parts] for name in _BY_FOLD},
            "error": error, "traceback": failed[0]["traceback"] if failed else None, "warnings": warned,
        }  # fmt: skip

    def search(self, workers: _Workers, trials: list[list[Trial]]) -> None:
        """Run every candidate's settings, in rounds shared by all; `trials` fills as rounds end."""
        n_train = min(len(train) for train, _ in self.problem.folds)
        n_classes = 0 if self.classes is None else len(self.classes)
        sources = [_settings(c, self.plan, self.seed, n_train, n_classes) for c in self.candidates]
        asked = dict(enumerate(next(source) for source in sources))
        while asked:
            wishes = [_Wish(i, p, share) for i, settings in asked.items() for p, share in settings]
            try:
                found = iter(self.evaluate(wishes, workers))
            except KeyboardInterrupt:
                for wish in wishes:
                    if (key := self.key(wish)) in self.journal.known:
                        trials[wish.candidate].append(self._trial(key, wish))
                raise
            for i, settings in list(asked.items()):
                done = [next(found) for _ in settings]
                trials[i] += done
                try:
                    asked[i] = sources[i].send(done)
                except StopIteration:
                    del asked[i]


def _check_names(candidates: Sequence[Candidate]) -> None:
    if not candidates:
        raise ValueError("there is no candidate; give at least one model.")
    names = [c.name for c in candidates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two candidates are called {twice[0]!r}; give each a name of its own.")
    kinds = {is_classifier(c.estimator) for c in candidates}
    if len(kinds) > 1:
        classifiers = ", ".join(c.name for c in candidates if is_classifier(c.estimator))
        others = ", ".join(c.name for c in candidates if not is_classifier(c.estimator))
        raise ValueError(
            f"classifiers ({classifiers}) and others ({others}) share no metric; compare models of one kind."
        )


def default_metrics(classes: np.ndarray | None, y: Any) -> tuple[str, ...]:
    """Return the metrics that are used when none are named; the first one ranks."""
    if y is None:
        return ("score",)
    if classes is None:
        kind = type_of_target(y)
        numbers = kind.startswith("continuous") or kind in ("binary", "multiclass", "multiclass-multioutput")
        return ("r2", "neg_root_mean_squared_error") if numbers else ("score",)
    return ("accuracy", "roc_auc") if len(classes) == 2 else ("accuracy", "f1_macro")


def _splitter(cv: Any, y: Any, groups: Any, classifier: bool, seed: int) -> Any:
    """Return scikit-learn's splitter; a shuffling one without a seed gets one."""
    if isinstance(cv, int | np.integer) and groups is not None:
        # Rows of one group must not stand on both sides.
        return StratifiedGroupKFold(cv) if classifier else GroupKFold(cv)
    splitter = check_cv(cv, y, classifier=classifier)
    if hasattr(splitter, "random_state") and splitter.random_state is None:
        draws = getattr(splitter, "shuffle", True)
        if draws:
            splitter = copy.copy(splitter)
            splitter.random_state = seed
    return splitter


# -- what is shown while it runs -------------------------------------------------------------------


class Show:
    """Says nothing."""

    def __enter__(self) -> "Show":
        return self

    def __exit__(self, *details: Any) -> None:
        return None

    def begin(self, candidates: Sequence[Candidate], counts: Sequence[int]) -> None:
        """Tell which candidates there are and how many trials each will have."""

    def finished(self, trial: Trial, *, again: bool) -> None:
        """Tell that a trial is there; ``again``: the journal knew it."""


class _Bars(Show):
    """A bar for each candidate, on a terminal."""

    def begin(self, candidates: Sequence[Candidate], counts: Sequence[int]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[best]}"), console=Console(stderr=True),
        )  # fmt: skip
        self._tasks = {
            c.name: self._progress.add_task(c.name, total=n, best="")
            for c, n in zip(candidates, counts, strict=True)
        }
        self._best: dict[str, float] = {}
        self._progress.start()

    def __exit__(self, *details: Any) -> None:
        if hasattr(self, "_progress"):
            self._progress.stop()

    def finished(self, trial: Trial, *, again: bool) -> None:
        task = self._tasks[trial.candidate]
        metric = next(iter(trial.scores))
        score = trial.mean(metric)
        if not math.isnan(score):
            self._best[trial.candidate] = max(score, self._best.get(trial.candidate, -math.inf))
        best = self._best.get(trial.candidate)
        text = (trial.error or "")[:60] if best is None else f"{metric} {best:.4f}"
        self._progress.update(task, advance=1, best=text)


class _Lines(Show):
    """A line on stderr when a candidate is done, where there is no terminal."""

    def begin(self, candidates: Sequence[Candidate], counts: Sequence[int]) -> None:
        self._left = {c.name: n for c, n in zip(candidates, counts, strict=True)}
        self._count = dict(self._left)

    def finished(self, trial: Trial, *, again: bool) -> None:
        self._left[trial.candidate] -= 1
        if self._left[trial.candidate] == 0:
            n = self._count[trial.candidate]
            print(f"{trial.candidate}: {n} trial{'s' if n > 1 else ''} done", file=sys.stderr, flush=True)


def _show_for(progress: "bool | Show") -> Show:
    if isinstance(progress, Show):
        return progress
    if not progress:
        return Show()
    return _Bars() if sys.stderr.isatty() else _Lines()


# -- what came out ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predictions:
    """What a model said about rows that it was not fitted on."""

    rows: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    scores: np.ndarray | None


def interval(
    scores: np.ndarray, n_train: float, n_valid: float, confidence: float = 0.95
) -> tuple[float, float]:
    r"""Return the interval of the mean score over folds.

    Training sets of folds overlap, so the variance of the mean is larger than :math:`s^2 / k`:

    .. math:: \bar a \pm t_{k-1} \, s \sqrt{\tfrac1k + \tfrac{n_\mathrm{valid}}{n_\mathrm{train}}}

    References
    ----------
    Nadeau, C. and Bengio, Y. (2003). Inference for the generalization error. Machine Learning 52.
    """
    k = len(scores)
    mean = float(np.mean(scores))
    if k < 2 or not np.isfinite(scores).all():
        return math.nan, math.nan
    t = float(scipy.stats.t.ppf((1 + confidence) / 2, k - 1))
    half = t * float(np.std(scores, ddof=1)) * math.sqrt(1 / k + n_valid / n_train)
    return mean - half, mean + half


def _best_possible(metric: str) -> float:
    """Return the score of a model that is always right: no interval needs to reach beyond it."""
    if metric in ("score", "positive_likelihood_ratio"):
        return math.inf
    return 0.0 if metric.startswith("neg_") else 1.0


class Outcome:
    """What a search found.

    Attributes
    ----------
    leaderboard : DataFrame
        A row a candidate, the best one first, failed ones last.
    trials : DataFrame
        A row a trial.
    best_name, best_params : str, dict
        The winner and its parameters; None when every candidate failed.
    best_estimator : estimator
        The winner, fitted on all rows when it is first asked for.
    failures : dict
        From the name of a candidate to the end of the traceback of its first failed trial.
    metrics : tuple of str
        What was measured; the first one ranks.
    interrupted : bool
        Whether it was stopped before all trials were done.
    """

    def __init__(self, search: _Search, trials: list[list[Trial]], interrupted: bool) -> None:
        self._search = search
        self._trials = dict(zip([c.name for c in search.candidates], trials, strict=True))
        self._best_estimator: Any = None
        self.metrics = search.metrics
        self.classes = search.classes
        self.seed = search.seed
        self.interrupted = interrupted
        self.failures = {
            name: first[0].traceback or first[0].error or ""
            for name, found in self._trials.items()
            if (first := [t for t in found if t.error])
        }
        self._chosen = {name: self._best_of(found) for name, found in self._trials.items()}
        self.leaderboard = self._leaderboard()
        self.trials = self._trial_table()
        best = self.leaderboard.index[0] if len(self.leaderboard) else None
        ok = best is not None and self.leaderboard.iloc[0]["status"] == "ok"
        self.best_name: str | None = str(self.leaderboard.iloc[0]["model"]) if ok else None
        self.best_params = dict(self.best_trial(self.best_name).params) if self.best_name else None

    def _best_of(self, trials: list[Trial]) -> Trial | None:
        whole = [t for t in trials if t.share == 1 and not math.isnan(t.mean(self.metrics[0]))]
        return max(whole, key=lambda t: t.mean(self.metrics[0]), default=None)

    def best_trial(self, name: str) -> Trial:
        """Return the best trial of a candidate on all training rows."""
        trial = self._chosen[self._known(name)]
        if trial is None:
            raise ValueError(f"no trial of {name!r} succeeded: {self.failures.get(name, 'none was run')}")
        return trial

    def _known(self, name: str) -> str:
        if name not in self._trials:
            raise ValueError(
                f"there is no candidate {name!r}; there are {', '.join(self._trials)}."
                f"{did_you_mean(name, list(self._trials))}"
            )
        return name

    def _candidate(self, name: str) -> tuple[int, Candidate]:
        i = list(self._trials).index(self._known(name))
        return i, self._search.candidates[i]

    # -- tables ----------------------------------------------------------------------------------------

    def _leaderboard(self) -> pd.DataFrame:
        rows = []
        for candidate in self._search.candidates:
            trials, best = self._trials[candidate.name], self._chosen[candidate.name]
            row: dict[str, Any] = {
                "model": candidate.name, "method": type(last_step(candidate.estimator)).__name__,
                "status": "ok" if best else ("failed" if trials else "not run"),
            }  # fmt: skip
            for metric in self.metrics:
                scores = best.scores[metric] if best else np.array([math.nan])
                low = high = math.nan
                if best:
                    low, high = interval(scores, best.n_train.mean(), best.n_valid.mean())
                    high = min(high, _best_possible(metric))
                row |= {metric: float(np.mean(scores)), f"{metric}_low": low, f"{metric}_high": high}
            row |= {
                "fit_seconds": float(best.fit_seconds.mean()) if best else math.nan,
                "predict_seconds": float(best.score_seconds.mean()) if best else math.nan,
                "trials": len(trials), "failed_trials": sum(t.error is not None for t in trials),
                "warnings": sum(sum(t.warnings.values()) for t in trials),
                "params": dict(best.params) if best else {},
                "error": None if best else next((t.error for t in trials if t.error), None),
            }  # fmt: skip
            rows.append(row)
        rows.sort(key=lambda row: -row[self.metrics[0]] if row["status"] == "ok" else math.inf)
        table = pd.DataFrame(rows)
        table.index = pd.RangeIndex(1, len(rows) + 1, name="rank")
        table["error"] = table["error"].astype(object).where(table["error"].notna(), None)
        return table

    def _trial_table(self) -> pd.DataFrame:
        rows = [
            {
                "model": name, "params": dict(t.params), "share": t.share,
                **{m: t.mean(m) for m in self.metrics},
                "fit_seconds": float(np.mean(t.fit_seconds)),
                "predict_seconds": float(np.mean(t.score_seconds)),
                "warnings": sum(t.warnings.values()), "error": t.error,
            }
            for name, found in self._trials.items()
            for t in found
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def warned(self) -> dict[str, dict[str, int]]:
        """Return what the fits of each candidate warned of, and how often."""
        found: dict[str, dict[str, int]] = {}
        for name, trials in self._trials.items():
            for t in trials:
                for text, count in t.warnings.items():
                    mine = found.setdefault(name, {})
                    mine[text] = mine.get(text, 0) + count
        return found

    def cv_results(self, name: str) -> dict[str, Any]:
        """Return the trials of a candidate with the keys of scikit-learn's ``cv_results_``.

        Halving adds ``share``: the part of the training rows that a trial was fitted on.
        """
        trials = self._trials[self._known(name)]
        results: dict[str, Any] = {}
        for key, times in (("fit", "fit_seconds"), ("score", "score_seconds")):
            values = np.array([getattr(t, times) for t in trials])
            results[f"mean_{key}_time"] = values.mean(axis=1)
            results[f"std_{key}_time"] = values.std(axis=1)
        for parameter in sorted({k for t in trials for k in t.params}):
            results[f"param_{parameter}"] = _masked(parameter, trials)
        results["params"] = [dict(t.params) for t in trials]
        if any(t.share < 1 for t in trials):
            results["share"] = np.array([t.share for t in trials])
        for metric in self.metrics:
            label = "score" if len(self.metrics) == 1 else metric
            scores = np.array([t.scores[metric] for t in trials])
            for fold in range(scores.shape[1]):
                results[f"split{fold}_test_{label}"] = scores[:, fold]
            means = scores.mean(axis=1)
            results[f"mean_test_{label}"] = means
            results[f"std_test_{label}"] = scores.std(axis=1)
            worst = np.where(np.isnan(means), -np.inf, means)
            results[f"rank_test_{label}"] = scipy.stats.rankdata(-worst, method="min").astype(np.int32)
        return results

    # -- models ----------------------------------------------------------------------------------------

    def fitted(self, name: str) -> Any:
        """Return a candidate with its best parameters, fitted on all rows."""
        _, candidate = self._candidate(name)
        problem = self._search.problem
        model = configured(candidate.estimator, self.best_trial(name).params, self.seed)
        return fit(model, problem.X, problem.y, problem.weights)

    @property
    def best_estimator(self) -> Any:
        """The winner, fitted on all rows."""
        if self.best_name is None:
            raise ValueError("every candidate failed, so there is no best one; see failures.")
        if self._best_estimator is None:
            self._best_estimator = self.fitted(self.best_name)
        return self._best_estimator

    def out_of_fold(self, name: str) -> Predictions:
        """Return what a candidate with its best parameters says about rows that it was not fitted on.

        A row that several folds leave out is taken from the first of them; a row that none leaves
        out is missing.
        """
        i, _ = self._candidate(name)
        problem = self._search.problem
        params = self.best_trial(name).params
        tasks = [_Task(0, fold, i, params, 1.0) for fold in range(len(problem.folds))]
        with _Workers(_here(self._search.plan)) as workers:
            found = sorted(workers.run(_predict_fold, problem, tasks), key=lambda pair: pair[0].fold)
        parts = [part for _, part in found]
        lost = [part["error"] for part in parts if part.get("error")]
        if lost:
            raise RuntimeError(f"{name} cannot be predicted fold by fold: {lost[0]}.")
        rows, first = np.unique(np.concatenate([part["rows"] for part in parts]), return_index=True)

        def joined(key: str) -> Any:
            if any(part[key] is None for part in parts):
                return None
            return np.concatenate([part[key] for part in parts])[first]

        return Predictions(
            rows, problem.y[rows], joined("predicted"), joined("probabilities"), joined("scores")
        )

    def learning_curve(
        self, name: str, shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 1.0)
    ) -> dict[str, Any]:
        """Return the scores of a candidate, on its training rows and on the others, by number of rows."""
        i, _ = self._candidate(name)
        params = self.best_trial(name).params
        wishes = [_Wish(i, params, share, train_scores=True) for share in shares]
        found = self._quietly(self._search, wishes)
        trials = [t for t in found if t.error is None]
        metric = self.metrics[0]
        return {
            "metric": metric,
            "sizes": [round(float(t.n_train.mean())) for t in trials],
            "train": [t.train_scores[metric].tolist() for t in trials if t.train_scores],
            "valid": [t.scores[metric].tolist() for t in trials],
        }

    def on_test(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, Trial]:
        """Fit each candidate with its best parameters to all rows, and score it on rows held out."""
        search = copy.copy(self._search)
        problem = search.problem
        n, m = n_rows(problem.X), n_rows(X)
        y = None if y is None else np.asarray(y)
        if (problem.weights is None) != (sample_weight is None):
            raise ValueError("weights are given for one of training and test rows; give both or neither.")
        weights = None
        if sample_weight is not None:
            weights = np.concatenate([problem.weights, np.asarray(sample_weight, dtype=float)])
        search.problem = replace(
            problem, X=_stacked(problem.X, X), weights=weights,
            y=None if y is None else np.concatenate([problem.y, y]),
            folds=((np.arange(n), np.arange(n, n + m)),),
        )  # fmt: skip
        search.identity = fingerprint(search.identity, "test", X, y, sample_weight)
        names = [name for name, best in self._chosen.items() if best]
        wishes = [_Wish(self._candidate(name)[0], self.best_trial(name).params) for name in names]
        return dict(zip(names, self._quietly(search, wishes), strict=True))

    def predictions_of(self, model: Any, X: Any, y: Any) -> Predictions:
        """Return what a fitted model says about rows that it was not fitted on."""
        said = _predicted(model, X, self.classes)
        return Predictions(np.arange(n_rows(X)), np.asarray(y), **said)

    def one_fold(self, name: str) -> tuple[Any, Any, np.ndarray]:
        """Return a candidate fitted on the first fold, and the rows and targets that it left out."""
        i, _ = self._candidate(name)
        problem = self._search.problem
        model, train, valid = _prepared(problem, _Task(0, 0, i, self.best_trial(name).params, 1.0))
        X, y = _safe_split(model, problem.X, problem.y, train)
        fit(model, X, y, None if problem.weights is None else problem.weights[train])
        X_valid, y_valid = _safe_split(model, problem.X, problem.y, valid, train)
        return model, X_valid, y_valid

    def _quietly(self, search: _Search, wishes: Sequence[_Wish]) -> list[Trial]:
        search = copy.copy(search)
        search.show = Show()
        with _Workers(_here(search.plan)) as workers:
            return search.evaluate(wishes, workers)


def _stacked(first: Any, second: Any) -> Any:
    """Return the rows of one container above those of another of its kind."""
    if isinstance(first, pd.DataFrame):
        return pd.concat([first, second], ignore_index=True)
    if scipy.sparse.issparse(first):
        return scipy.sparse.vstack([first, second], format="csr")
    if isinstance(first, list):
        return [*first, *second]
    return np.concatenate([first, second])


def _here(plan: Plan) -> Plan:
    """Return the plan for work after the search: a cluster that was started for it is gone."""
    return replace(plan, backend=None, address=None) if plan.backend in ("dask", "ray") else plan


def _masked(parameter: str, trials: Sequence[Trial]) -> np.ma.MaskedArray[Any, Any]:
    """Return the values of a parameter, of their own type when they are numbers."""
    given = [t.params[parameter] for t in trials if parameter in t.params]
    kinds = {np.asarray(v).dtype.kind if np.ndim(v) == 0 else "O" for v in given}
    kind: Any = np.result_type(*given) if kinds <= set("bif") else object
    values = np.ma.MaskedArray(np.empty(len(trials), dtype=kind), mask=True)
    for i, trial in enumerate(trials):
        if parameter in trial.params:
            values[i] = trial.params[parameter]
    return values


# -- the two public functions ----------------------------------------------------------------------


def run(
    candidates: Iterable[Candidate],
    X: Any,
    y: Any = None,
    *,
    plan: Plan | None = None,
    groups: Any = None,
    sample_weight: Any = None,
    journal: str | os.PathLike[str] | None = None,
    progress: bool | Show = False,
) -> Outcome:
    """Try every candidate on the same folds.

    A trial that fails is a row with its error. With a journal, trials are on disk as soon as they
    are finished, and a search that was stopped goes on where it was. Ctrl-C ends the search and
    keeps what is there: ``outcome.interrupted`` says so.

    Parameters
    ----------
    candidates : list of Candidate
        What to try.
    X, y : data
        Rows and targets, in any container that the estimators take.
    plan : Plan, optional
        How; `Plan()` when None.
    groups : array-like, optional
        Group of each row, for splitters that keep groups together; an integer cv keeps them too.
    sample_weight : array-like, optional
        Weights, in fits and in scores that take them.
    journal : path, optional
        Where finished trials are kept.
    progress : bool, default=False
        Whether stderr shows how far it is.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import LogisticRegression
    >>> from zoo.search import Candidate, Plan, run
    >>> X, y = load_iris(return_X_y=True)
    >>> candidate = Candidate("line", LogisticRegression(), {"C": [0.01, 1.0]})
    >>> run([candidate], X, y, plan=Plan(kind="grid")).best_params
    {'C': 1.0}
    """
    plan = Plan() if plan is None else plan
    show = _show_for(progress)
    chosen = list(candidates)
    counts = [count_trials(c, plan) for c in chosen]
    path = None if journal is None else Path(journal)
    search = _Search(chosen, X, y, plan, groups, sample_weight, path, show)
    trials: list[list[Trial]] = [[] for _ in chosen]
    interrupted = False
    with show:
        show.begin(chosen, counts)
        try:
            with _Workers(plan) as workers:
                search.search(workers, trials)
        except KeyboardInterrupt:
            interrupted = True
    return Outcome(search, trials, interrupted)


# Asked for when nobody names a model: one of each kind that is often best or often needed for comparison.
PROPOSED = (
    "LogisticRegression", "Ridge", "RandomForestClassifier", "RandomForestRegressor",
    "BoostingClassifier", "BoostingRegressor", "MLPClassifier", "MLPRegressor", "SVC", "SVR",
    "ConvNetClassifier", "ConvNetRegressor", "RNNClassifier", "RNNRegressor", "MatrixFactorization",
)  # fmt: skip
# Support vectors take time and memory that grow with the square of the rows.
ROWS_FOR_KERNELS = 10_000


def proposals(X: Any, y: Any) -> dict[str, Any]:
    """Return a few models of the zoo that can be fitted to this data as it is.

    Those that compare lengths of rows get standardised columns where X is a dense table.
    """
    labels = _has_labels(y)
    role = "Classifier" if labels else "Regressor"
    able = set(registry.matching(X, y))
    rows = {row["name"]: row for row in registry.entries() if row["name"] in able and role in row["roles"]}
    if n_rows(X) > ROWS_FOR_KERNELS:
        rows = {name: row for name, row in rows.items() if name not in ("SVC", "SVR")}
    names = [name for name in PROPOSED if name in rows] or list(rows)[:5]
    if len(names) > 2 and getattr(X, "ndim", 2) == 2:
        # Rows that are read as images or series only because their number of columns allows it.
        names = [name for name in names if rows[name]["input"] in ("table", "text")] or names
    if not names:
        raise ValueError(
            f"no {role.lower()} of the zoo takes this data as it is; encode or impute it first, or name "
            "models."
        )
    dense = getattr(X, "ndim", 0) == 2 and not scipy.sparse.issparse(X) and "categories" not in _needs_of(X)
    models: dict[str, Any] = {}
    for name in names:
        model = registry.find(name)()
        scaled = dense and rows[name]["input"] == "table" and ".trees." not in rows[name]["module"]
        models[name] = make_pipeline(StandardScaler(), model) if scaled else model
    return models


def _needs_of(X: Any) -> set[str]:
    strange = hasattr(X, "dtypes") and any(not pd.api.types.is_numeric_dtype(d) for d in X.dtypes)
    return {"categories"} if strange else set()


def _has_labels(y: Any) -> bool:
    """Tell whether y names classes: text, or few whole numbers, each several times."""
    y = np.asarray(y)
    if y.dtype.kind not in "iufb":
        return True
    kind = type_of_target(y)
    return kind == "binary" or (kind == "multiclass" and len(np.unique(y)) <= min(50, len(y) // 5))


def leaderboard(
    X: Any,
    y: Any,
    models: Any = None,
    cv: Any = 5,
    metrics: str | Sequence[str] | None = None,
    search: str | Mapping[str, Mapping[str, Any]] | None = None,
    *,
    n_iter: int = 20,
    groups: Any = None,
    sample_weight: Any = None,
    n_jobs: int | None = None,
    random_state: int | None = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Compare models on the same folds: a row a model, the best one first.

    Parameters
    ----------
    X, y : data
        Rows and targets, in any container that the models take.
    models : list or dict, optional
        Names (of the zoo, then of scikit-learn), estimators, or a dict from a label to either.
        None takes a few of those that `zoo.matching` names.
    cv : int or splitter, default=5
        Folds, as in scikit-learn; the same ones for every model.
    metrics : str or list of str, optional
        Scorers of scikit-learn; the first one ranks. None: accuracy, or R squared.
    search : {"auto", "grid", "random", "halving", "optuna"} or dict, optional
        None fits each model as it is. A name searches the ranges on the models' cards ("auto" is a
        random search that begins with the model as it is). A dict gives the space of each label: all
        combinations when it holds lists only, else drawn.
    n_iter : int, default=20
        Settings a model, where they are drawn.
    groups, sample_weight : array-like, optional
        Group and weight of each row; an integer cv keeps groups together.
    n_jobs : int, optional
        Fits at a time.
    random_state : int or None, default=0
        Seed of whatever is drawn.
    progress : bool, default=True
        Whether stderr shows how far it is.

    Returns
    -------
    table : DataFrame
        For each metric its mean over folds and the interval of that mean; seconds to fit and to predict
        one fold; the best parameters; the error of a model that failed. ``table.attrs["outcome"]`` is
        the `zoo.search.Outcome`.

    Examples
    --------
    >>> import zoo
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> table = zoo.leaderboard(X, y, ["LogisticRegression", "KNeighborsClassifier"], progress=False)
    >>> table[["model", "accuracy"]].round(2)
                         model  accuracy
    rank
    1       LogisticRegression      0.97
    2     KNeighborsClassifier      0.97
    """
    chosen = _named(proposals(X, y) if models is None else models)
    spaces = search if isinstance(search, Mapping) else {}
    strangers = [name for name in spaces if name not in chosen]
    if strangers:
        raise ParameterError(
            f"search: there is no model {strangers[0]!r}; there are {', '.join(chosen)}."
            f"{did_you_mean(strangers[0], list(chosen))}"
        )
    if isinstance(search, str):
        spaces = {name: auto_space(model) for name, model in chosen.items()}
        kind = "random" if search == "auto" else search
    else:
        drawn = any(hasattr(v, "rvs") for space in spaces.values() for v in space.values())
        kind = "none" if not spaces else ("random" if drawn else "grid")
    plan = Plan(
        kind=kind, n_iter=n_iter, as_given=search == "auto", cv=cv,  # type: ignore[arg-type]
        metrics=(metrics,) if isinstance(metrics, str) else tuple(metrics or ()),
        random_state=random_state, n_jobs=n_jobs,
    )  # fmt: skip
    candidates = [Candidate(name, model, spaces.get(name, {})) for name, model in chosen.items()]
    outcome = run(
        candidates, X, y, plan=plan, groups=groups, sample_weight=sample_weight, progress=progress
    )
    table = outcome.leaderboard.copy()
    table.attrs["outcome"] = _Attached(outcome)
    return table


class _Attached:
    """An outcome beside a table: not copied with it, and not compared."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def __deepcopy__(self, memo: Any) -> "_Attached":
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outcome, name)


def _named(models: Any) -> dict[str, Any]:
    """Return label -> estimator of whatever names models."""
    if isinstance(models, str) or hasattr(models, "get_params"):
        models = [models]
    if isinstance(models, Mapping):
        return {str(label): _made(model) for label, model in models.items()}
    found: dict[str, Any] = {}
    for given in models:
        model = _made(given)
        kind = type(last_step(model)).__name__
        label = given if isinstance(given, str) else kind
        count = sum(name == label or name.startswith(f"{label} (") for name in found)
        found[f"{label} ({count + 1})" if count else label] = model
    return found


def _made(model: Any) -> Any:
    if isinstance(model, str):
        model = registry.resolve(model)
    return model() if isinstance(model, type) else model
