"""One fold of one trial: fit, score, predict. This is what runs elsewhere."""

import contextlib
import math
import time
import traceback
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.metrics import check_scoring, get_scorer
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import has_fit_parameter


@dataclass(frozen=True)
class Problem:
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
class Task:
    """One fold of one trial."""

    trial: int
    fold: int
    estimator: int
    params: Mapping[str, Any]
    share: float
    train_scores: bool = False


def work(problem: Problem, task: Task) -> tuple[Task, dict[str, Any]]:
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
            result["error"] = say(error)
            result["traceback"] = "".join(
                traceback.format_exception(type(error), error, error.__traceback__)
            )[-4000:]
    for warning in caught:
        text = f"{warning.category.__name__}: {_first_line(str(warning.message))}"
        result["warnings"][text] = result["warnings"].get(text, 0) + 1
    return task, result


def _fit_and_score(problem: Problem, task: Task, result: dict[str, Any]) -> None:
    model, train, valid = prepared(problem, task)
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


def prepared(problem: Problem, task: Task) -> tuple[Any, np.ndarray, np.ndarray]:
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
            raise ValueError(f"{name}, which ranks, cannot be computed: {say(error)}") from error
        warnings.warn(f"{name} cannot be computed: {say(error)}", UserWarning, stacklevel=2)
        return math.nan


def predict_fold(problem: Problem, task: Task) -> tuple[Task, dict[str, Any]]:
    """Predict the rows that were left out."""
    model, train, valid = prepared(problem, task)
    X, y = _safe_split(model, problem.X, problem.y, train)
    X_valid, _ = _safe_split(model, problem.X, problem.y, valid, train)
    fit(model, X, y, None if problem.weights is None else problem.weights[train])
    return task, {"rows": valid, **predicted(model, X_valid, problem.classes)}


def predicted(model: Any, X: Any, classes: np.ndarray | None) -> dict[str, Any]:
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


def say(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(str(error))}"


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 400 else line[:397] + "..."
