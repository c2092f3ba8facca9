"""What an experiment found out, gathered part by part as plain values; the page shows them."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance

from zoo import persist
from zoo.contract.inputs import n_rows
from zoo.experiment.diagnostics import (
    POINTS,
    calibration,
    card_of,
    confusion,
    prediction_table,
    residuals,
    roc,
)
from zoo.experiment.folder import environment, plain, write
from zoo.experiment.predicting import how_to_load
from zoo.experiment.spec import Spec, dump
from zoo.search import Outcome, Predictions, Trial, last_step

COLUMNS_TO_PERMUTE = 200
PARTS = (
    "learning_curve", "loss_curves", "confusion", "roc", "calibration", "residuals", "importances", "card",
)  # fmt: skip


class Findings:
    """Gathers what the page shows, part by part; a part that cannot be had is None, with a note."""

    def __init__(self, spec: Spec, data: Any, outcome: Outcome, callbacks: list[Any]) -> None:
        self.spec, self.data, self.outcome, self.callbacks = spec, data, outcome, callbacks
        self.name = outcome.best_name
        self.interrupted = outcome.interrupted
        self.notes: list[str] = []
        self.model: Any = None
        self.tests: dict[str, Trial] = {}
        self.predictions: Predictions | None = None
        self.where = "test" if data.X_test is not None else "out-of-fold"
        self.parts: dict[str, Any] = {}
        self.load: str | None = None

    def gather(self) -> None:
        """Fit the winner and look at it from all sides."""
        if self.name is None or self.interrupted:
            self.notes += [] if self.interrupted else ["Every model failed, so there is no winner."]
            self.table = self._leaderboard()
            return
        name, data, outcome = self.name, self.data, self.outcome
        self.model = self._part("The winner", partial(outcome.fit_best, self.callbacks))
        if data.X_test is not None:
            found = self._part("Scores on held-out rows", lambda: outcome.on_test(
                data.X_test, data.y_test, data.weights_test))  # fmt: skip
            self.tests = found or {}
        self.table = self._leaderboard()
        if self.model is None:
            return
        self.predictions = self._part("Predictions", self._predict)
        self.parts["learning_curve"] = self._part("The learning curve", lambda: outcome.learning_curve(name))
        self.parts["importances"] = self._part("Importances", self._importances)
        if self.predictions is not None:
            told = self.predictions
            for key, make in (
                ("confusion", confusion), ("roc", roc), ("calibration", calibration),
                ("residuals", residuals),
            ):  # fmt: skip
                drawn = partial(make, told, outcome.classes, self.where)
                self.parts[key] = self._part(key.capitalize(), drawn)
        self.parts["loss_curves"] = self._loss_curves()
        self.parts["card"] = card_of(last_step(self.model))

    def _part(self, what: str, make: Callable[[], Any]) -> Any:
        if self.interrupted:
            return None
        try:
            return make()
        except KeyboardInterrupt:
            self.interrupted = True
        except Exception as error:
            # One picture less is no reason to lose the others; the page says which and why.
            self.notes.append(f"{what} could not be computed: {type(error).__name__}: {error}")
        return None

    def _predict(self) -> Predictions:
        if self.data.X_test is None:
            return self.outcome.out_of_fold(str(self.name))
        return self.outcome.predictions_of(self.model, self.data.X_test, self.data.y_test)

    def _leaderboard(self) -> pd.DataFrame:
        table = self.outcome.leaderboard.copy()
        place = list(table.columns).index("fit_seconds")
        for metric in self.outcome.metrics:
            if self.tests:
                scores = [
                    self.tests[name].mean(metric) if name in self.tests else math.nan
                    for name in table["model"]
                ]
                table.insert(place, f"test_{metric}", scores)
                place += 1
        return table

    def _importances(self) -> list[dict[str, Any]] | None:
        data = self.data
        if data.y is None or data.image_shape is not None or getattr(data.X, "ndim", 0) != 2:
            return None
        if data.X.shape[1] > COLUMNS_TO_PERMUTE:
            self.notes.append(
                f"Columns were not permuted: there are {data.X.shape[1]}, more than {COLUMNS_TO_PERMUTE}."
            )
            return None
        if data.X_test is not None:
            model, X, y = self.model, data.X_test, np.asarray(data.y_test)
        else:
            model, X, y = self.outcome.one_fold(str(self.name))
        rng = np.random.RandomState(self.outcome.seed)
        if n_rows(X) > POINTS:
            some = np.sort(rng.choice(n_rows(X), POINTS, replace=False))
            X, y = (X.iloc[some] if hasattr(X, "iloc") else X[some]), y[some]
        metric = self.outcome.metrics[0]
        found = permutation_importance(
            model, X, y, scoring=None if metric == "score" else metric, n_repeats=5, random_state=rng
        )
        columns = [column["name"] for column in data.columns]
        rows = [
            {"column": str(c), "mean": float(m), "std": float(s)}
            for c, m, s in zip(columns, found.importances_mean, found.importances_std, strict=True)
        ]
        return sorted(rows, key=lambda row: -row["mean"])

    def _loss_curves(self) -> list[dict[str, Any]] | None:
        history = getattr(last_step(self.model), "history_", None)
        if not isinstance(history, Mapping) or "train_loss" not in history:
            return None
        train = np.asarray(history["train_loss"], dtype=float)
        valid = history.get("valid_loss")
        if len(train) < 2:
            return None
        return [
            {
                "model": self.name, "epochs": list(range(1, len(train) + 1)), "train_loss": train.tolist(),
                "valid_loss": None if valid is None else np.asarray(valid, dtype=float).tolist(),
            }
        ]  # fmt: skip

    def save(self, folder: Path, keep: set[str]) -> None:
        """Write what has a file of its own."""
        if "leaderboard" in keep:
            write(folder / "leaderboard.csv", self.table.to_csv())
        if self.predictions is not None and "predictions" in keep:
            write(folder / "predictions.csv", prediction_table(
                self.predictions, self.outcome.classes).to_csv(index=False))  # fmt: skip
        if self.model is not None and "model" in keep:
            try:
                persist.save(self.model, folder / "model.zoo")
                self.load = how_to_load(folder / "model.zoo", self.model)
            except persist.ZooFileError as error:
                self.notes.append(f"The model could not be kept: {error}")

    def finish(self, seconds: float) -> dict[str, Any]:
        """Return the findings as plain values."""
        outcome, spec, name = self.outcome, self.spec, self.name
        model = self.model
        kept = self.load is not None
        features = getattr(model, "feature_names_in_", None)
        winner = None
        if name is not None and model is not None:
            winner = {
                "model": name, "method": type(last_step(model)).__name__, "params": outcome.best_params,
                "file": "model.zoo" if kept else None,
                "features_in": None if features is None else [str(f) for f in features],
            }  # fmt: skip
        empty = dict.fromkeys(PARTS)
        found = {
            "title": spec.title, "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "seconds": seconds, "spec": dump(spec), "environment": environment(),
            "interrupted": self.interrupted, "data": self._data(),
            "metrics": [{"name": m, "greater_is_better": True} for m in outcome.metrics],
            "leaderboard": self._rows(), "trials": _trials(outcome), "winner": winner,
            **empty, **self.parts, "load": self.load, "notes": [*self.data.notes, *self.notes],
            "warnings": outcome.warned(),
        }  # fmt: skip
        return dict(plain(found))

    def _data(self) -> dict[str, Any]:
        data = self.data
        y = None if data.y is None else np.asarray(data.y)
        classes = self.outcome.classes
        counts = None
        if classes is not None and y is not None:
            whole = y if data.y_test is None else np.concatenate([y, np.asarray(data.y_test)])
            counts = {str(c): int((whole == c).sum()) for c in classes}
        shape = np.shape(data.X) if hasattr(data.X, "shape") else (len(data.X),)
        n_test = 0 if data.X_test is None else n_rows(data.X_test)
        return {
            "source": data.source, "rows": n_rows(data.X) + n_test,
            "columns": int(np.prod(shape[1:])) if len(shape) > 1 else 1, "test_rows": n_test,
            "task": data.task, "target": data.target,
            "classes": None if classes is None else [str(c) for c in classes], "class_counts": counts,
            "column_summary": [
                {k: c.get(k) for k in ("name", "kind", "missing", "unique")}
                | {"example": _example(c.get("example"))}
                for c in data.columns
            ],
        }  # fmt: skip

    def _rows(self) -> list[dict[str, Any]]:
        rows = []
        for rank, row in self.table.iterrows():
            name = row["model"]
            scores = {}
            if row["status"] == "ok":
                best = self.outcome.best_trial(name)
                for m in self.outcome.metrics:
                    scores[m] = {
                        "mean": row[m], "low": row[f"{m}_low"], "high": row[f"{m}_high"],
                        "folds": best.scores[m].tolist(),
                    }  # fmt: skip
            test = self.tests.get(name)
            rows.append({
                "rank": rank, "model": name, "method": row["method"],
                "status": "ok" if row["status"] == "ok" else "failed",
                "error": "not run before the interruption" if row["status"] == "not run" else row["error"],
                "params": row["params"], "trials": row["trials"], "failed_trials": row["failed_trials"],
                "warnings": row["warnings"], "scores": scores or None,
                "test": None if test is None else {m: test.mean(m) for m in self.outcome.metrics},
                "fit_seconds": row["fit_seconds"], "predict_seconds": row["predict_seconds"],
            })  # fmt: skip
        return rows


def _trials(outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {
            "model": row["model"], "params": row["params"], "share": row["share"],
            "scores": {m: row[m] for m in outcome.metrics}, "fit_seconds": row["fit_seconds"],
            "error": row["error"],
        }
        for row in outcome.trials.to_dict("records")
    ]  # fmt: skip


def _example(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return None if math.isnan(value) else float(f"{value:.4g}")
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
