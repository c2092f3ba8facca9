"""What a search found: tables, models, predictions."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import scipy.stats
from sklearn.utils.metaestimators import _safe_split

from zoo.contract.inputs import n_rows
from zoo.contract.params import (
    did_you_mean,
)
from zoo.search._engine import Engine
from zoo.search._fingerprint import fingerprint
from zoo.search._fold import Task, configured, fit, last_step, predict_fold, predicted, prepared
from zoo.search._journal import Trial, Wish
from zoo.search._plan import Candidate, Plan
from zoo.search._show import Show
from zoo.search._workers import Workers


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

    def __init__(self, search: Engine, trials: list[list[Trial]], interrupted: bool) -> None:
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

    def fitted(self, name: str, callbacks: Sequence[Any] = ()) -> Any:
        """Return a candidate with its best parameters, fitted on all rows."""
        _, candidate = self._candidate(name)
        problem = self._search.problem
        model = configured(candidate.estimator, self.best_trial(name).params, self.seed)
        if callbacks and hasattr(last_step(model), "set_callbacks"):
            # A pipeline hands them on.
            model.set_callbacks(*callbacks)
            try:
                return fit(model, problem.X, problem.y, problem.weights)
            finally:
                model.set_callbacks()
        return fit(model, problem.X, problem.y, problem.weights)

    @property
    def best_estimator(self) -> Any:
        """The winner, fitted on all rows."""
        return self.fit_best()

    def fit_best(self, callbacks: Sequence[Any] = ()) -> Any:
        """Return the winner, fitted on all rows; callbacks watch it where it has steps to watch."""
        if self.best_name is None:
            raise ValueError("every candidate failed, so there is no best one; see failures.")
        if self._best_estimator is None:
            self._best_estimator = self.fitted(self.best_name, callbacks)
        return self._best_estimator

    def out_of_fold(self, name: str) -> Predictions:
        """Return what a candidate with its best parameters says about rows that it was not fitted on.

        A row that several folds leave out is taken from the first of them; a row that none leaves
        out is missing.
        """
        i, _ = self._candidate(name)
        problem = self._search.problem
        params = self.best_trial(name).params
        tasks = [Task(0, fold, i, params, 1.0) for fold in range(len(problem.folds))]
        with Workers(_here(self._search.plan)) as workers:
            found = sorted(workers.run(predict_fold, problem, tasks), key=lambda pair: pair[0].fold)
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
        wishes = [Wish(i, params, share, train_scores=True) for share in shares]
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
        wishes = [Wish(self._candidate(name)[0], self.best_trial(name).params) for name in names]
        return dict(zip(names, self._quietly(search, wishes), strict=True))

    def predictions_of(self, model: Any, X: Any, y: Any) -> Predictions:
        """Return what a fitted model says about rows that it was not fitted on."""
        said = predicted(model, X, self.classes)
        return Predictions(np.arange(n_rows(X)), np.asarray(y), **said)

    def one_fold(self, name: str) -> tuple[Any, Any, np.ndarray]:
        """Return a candidate fitted on the first fold, and the rows and targets that it left out."""
        i, _ = self._candidate(name)
        problem = self._search.problem
        model, train, valid = prepared(problem, Task(0, 0, i, self.best_trial(name).params, 1.0))
        X, y = _safe_split(model, problem.X, problem.y, train)
        fit(model, X, y, None if problem.weights is None else problem.weights[train])
        X_valid, y_valid = _safe_split(model, problem.X, problem.y, valid, train)
        return model, X_valid, y_valid

    def _quietly(self, search: Engine, wishes: Sequence[Wish]) -> list[Trial]:
        search = copy.copy(search)
        search.show = Show()
        with Workers(_here(search.plan)) as workers:
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
