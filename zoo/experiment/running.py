"""Experiment: one folder made from one spec.

`run` reads a spec, loads its data, searches its candidates and writes what came out: the resolved
spec and the environment first, finished trials as they come, then predictions, the model, the
leaderboard, the findings and the page. Every file but the journal is written beside its place and
renamed into it, so that a run which is killed leaves whole files or none, and running again goes on.
"""

import contextlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.callback import ProgressBar
from sklearn.inspection import permutation_importance
from sklearn.metrics import auc, confusion_matrix, roc_curve

from zoo import __version__, persist, report
from zoo.contract.inputs import n_rows
from zoo.experiment.spec import Spec, dump, read, read_rows
from zoo.search import Outcome, Predictions, Range, Show, Trial, count_trials, fingerprint, last_step
from zoo.search import run as run_search

__all__ = ["ExperimentError", "Result", "compare", "outline", "predict", "run"]

JOURNAL = "journal.jsonl"
FILES = (
    "spec.yaml", "environment.json", JOURNAL, "leaderboard.csv", "predictions.csv", "findings.json",
    "model.zoo", "report.html",
)  # fmt: skip
LOCK = ".lock"
# Keys of a spec that change neither trials nor what is drawn from them.
MAY_CHANGE = ("title", "keep", "backend")

POINTS = 2000  # of a scatter plot, and rows on which columns are permuted
COLUMNS_TO_PERMUTE = 200
CURVE = 200  # points of a ROC curve
CLASSES_DRAWN = 20


PARTS = (
    "learning_curve", "loss_curves", "confusion", "roc", "calibration", "residuals", "importances", "card",
)  # fmt: skip
# Compiled objects of scikit-learn that a kept model may hold.
COMPILED = frozenset(
    f"sklearn.{name}"
    for name in (
        "tree._tree.Tree", "neighbors._kd_tree.KDTree64", "neighbors._kd_tree.KDTree32",
        "neighbors._ball_tree.BallTree64", "neighbors._ball_tree.BallTree32",
        "ensemble._hist_gradient_boosting.predictor.TreePredictor",
    )
)  # fmt: skip


class ExperimentError(ValueError):
    """A folder cannot be used; the message is one sentence."""


# -- files ------------------------------------------------------------------------------------------


def _write(path: Path, data: bytes | str) -> None:
    """Write beside the place and rename into it when it is on the disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder; the lock of a process that died is no lock."""
    with open(folder / LOCK, "a+", encoding="utf-8") as file:
        try:
            _take(file)
        except OSError as error:
            file.seek(0)
            raise ExperimentError(
                f"{folder} is in use by another run ({file.read().strip() or 'just begun'}); wait for it or "
                "choose another folder."
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield
        file.truncate(0)


def _take(file: Any) -> None:
    # The system gives the lock back when the process ends, however it ends.
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _claim(folder: Path, spec: Spec, data_mark: str, *, fresh: bool) -> None:
    """Empty the folder, or make sure that what it holds is this experiment."""
    for name in FILES:  # what a run that was killed left beside the places of its files
        for left in folder.glob(f".{name}.*"):
            left.unlink(missing_ok=True)
    if fresh:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
    others = [p.name for p in folder.iterdir() if not p.name.startswith(".")]
    if not others:
        return
    try:
        old_spec = _plain_spec((folder / "spec.yaml").read_text(encoding="utf-8"))
        old_mark = json.loads((folder / "environment.json").read_text(encoding="utf-8"))["data"]
    except FileNotFoundError as error:
        if set(others) <= {"spec.yaml", "environment.json"}:
            return  # killed between the two
        raise ExperimentError(
            f"{folder} holds {', '.join(sorted(others)[:3])} and no experiment; choose an empty folder."
        ) from error
    new_spec = _plain_spec(dump(spec))
    differ = sorted(k for k in {*old_spec, *new_spec} if old_spec.get(k) != new_spec.get(k))
    remedy = "choose another folder, or give fresh=True (--fresh) to begin anew in this one."
    if differ:
        raise ExperimentError(
            f"{folder} was made from another spec (they differ in {', '.join(differ)}); {remedy}"
        )
    if old_mark != data_mark:
        raise ExperimentError(f"{folder} was made from other data; {remedy}")


def _plain_spec(text: str) -> dict[str, Any]:
    import yaml

    return {k: v for k, v in (yaml.safe_load(text) or {}).items() if k not in MAY_CHANGE}


def _environment() -> dict[str, Any]:
    names = ("scikit-learn", "torch", "skorch", "numba", "numpy", "scipy", "pandas", "joblib")
    packages = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    return {
        "python": platform.python_version(), "zoo": __version__, "packages": packages,
        "system": f"{platform.system()} {platform.release()}", "cpu": _cpu(), "cores": joblib.cpu_count(),
    }  # fmt: skip


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# -- the result ---------------------------------------------------------------------------------------


@dataclass
class Result:
    """What an experiment came to.

    Attributes
    ----------
    leaderboard : DataFrame
        A row a model, the best one first.
    model : estimator or None
        The winner, fitted on all training rows.
    findings : dict
        Everything that the page shows, as plain values.
    folder : Path or None
        Where the files are.
    outcome : zoo.search.Outcome
        The search, for whoever wants to know more.
    """

    leaderboard: pd.DataFrame
    model: Any
    findings: dict[str, Any]
    folder: Path | None
    outcome: Outcome = field(repr=False)

    def _repr_html_(self) -> str:
        page = self.folder / "report.html" if self.folder else None
        link = ""
        if page is not None and page.exists():
            link = f'<p>Report: <a href="{escape(page.as_posix())}">{escape(str(page))}</a></p>'
        return report.table_html(self.findings) + link


def run(
    spec: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    data: Any = None,
    fresh: bool = False,
    n_jobs: int | None = None,
    progress: bool | Show = True,
) -> Result:
    """Run an experiment: everything that a spec asks for, into one folder.

    A folder that holds the same experiment, stopped at any moment, is gone on with; one that was made
    from another spec or other data is refused.

    Parameters
    ----------
    spec : path, mapping, text or Spec
        What to fit; see `zoo.experiment.spec`.
    out : path, optional
        The folder; made if it is not there. None writes nothing.
    data : DataFrame or (X, y), optional
        The data, where the spec names none.
    fresh : bool, default=False
        Whether to forget what an earlier run left in the folder.
    n_jobs : int, optional
        Fits at a time, instead of what the spec says.
    progress : bool, default=True
        Whether stderr shows how far it is.

    Returns
    -------
    result : Result
        Its leaderboard, model, findings and folder.
    """
    asked = spec if isinstance(spec, Spec) else read(spec, data=data)
    loaded = asked.load_data()
    resolved = asked.resolved(loaded)
    if out is None:
        return _run(resolved, loaded, None, n_jobs, progress)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    mark = fingerprint(
        loaded.X, loaded.y, loaded.weights, loaded.groups, loaded.X_test, loaded.y_test, loaded.weights_test
    )
    with _locked(folder):
        _claim(folder, resolved, mark, fresh=fresh)
        _write(folder / "spec.yaml", dump(resolved))
        _write(folder / "environment.json", _json(_environment() | {"data": mark}))
        return _run(resolved, loaded, folder, n_jobs, progress)


def outline(spec: Any, *, data: Any = None) -> str:
    """Say what a run would fit, without fitting it.

    Parameters
    ----------
    spec, data : as in `run`
        What to fit.
    """
    asked = spec if isinstance(spec, Spec) else read(spec, data=data)
    loaded = asked.load_data()
    resolved = asked.resolved(loaded)
    plan, candidates = resolved.plan(loaded), resolved.candidates(loaded)
    n_test = 0 if loaded.X_test is None else n_rows(loaded.X_test)
    lines = [
        f"{loaded.task} of {loaded.target} on {n_rows(loaded.X)} rows, {n_test} more held out; "
        f"{len(loaded.columns)} columns",
        f"folds: {plan.cv}; metrics: {', '.join(plan.metrics) or 'by task'}; search: {plan.kind}",
    ]
    for candidate in candidates:
        n = count_trials(candidate, plan)
        lines += ["", f"{candidate.name}: {n} trial{'s' if n > 1 else ''}"]
        lines += [f"    {line}" for line in repr(candidate.estimator).splitlines()]
        lines += [f"    {name}: {_space(values)}" for name, values in candidate.space.items()]
    return "\n".join(lines)


def _space(values: Any) -> str:
    if isinstance(values, Range):
        return f"{values.low:g} to {values.high:g}{', log' if values.log else ''}"
    return repr(values) if not hasattr(values, "rvs") else "a distribution"


def _run(spec: Spec, data: Any, folder: Path | None, n_jobs: int | None, progress: bool | Show) -> Result:
    begun = time.perf_counter()
    plan = spec.plan(data)
    if n_jobs is not None:
        plan = replace(plan, n_jobs=n_jobs)
    outcome = run_search(
        spec.candidates(data), data.X, data.y, plan=plan, groups=data.groups, sample_weight=data.weights,
        journal=None if folder is None else folder / JOURNAL, progress=progress,
    )  # fmt: skip
    watched = progress is True and sys.stdout.isatty() and sys.stderr.isatty()
    found = _Findings(spec, data, outcome, [ProgressBar()] if watched else [])
    found.gather()
    if folder is not None:
        found.save(folder, set(spec.keep))
    findings = found.finish(time.perf_counter() - begun)
    if folder is not None:
        _write(folder / "findings.json", _json(findings))
        if "report" in spec.keep:
            report.write(findings, folder / "report.html")
    return Result(found.table, found.model, findings, folder, outcome)


def _json(value: Any) -> str:
    return json.dumps(_plain(value), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Return what JSON can hold; numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return " ".join(repr(value).split())


# -- findings -----------------------------------------------------------------------------------------


class _Findings:
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
                ("confusion", _confusion), ("roc", _roc), ("calibration", _calibration),
                ("residuals", _residuals),
            ):  # fmt: skip
                drawn = partial(make, told, outcome.classes, self.where)
                self.parts[key] = self._part(key.capitalize(), drawn)
        self.parts["loss_curves"] = self._loss_curves()
        self.parts["card"] = _card(last_step(self.model))

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
            _write(folder / "leaderboard.csv", self.table.to_csv())
        if self.predictions is not None and "predictions" in keep:
            _write(folder / "predictions.csv", _prediction_table(
                self.predictions, self.outcome.classes).to_csv(index=False))  # fmt: skip
        if self.model is not None and "model" in keep:
            try:
                persist.save(self.model, folder / "model.zoo")
                self.load = _how_to_load(folder / "model.zoo", self.model)
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
            "seconds": seconds, "spec": dump(spec), "environment": _environment(),
            "interrupted": self.interrupted, "data": self._data(),
            "metrics": [{"name": m, "greater_is_better": True} for m in outcome.metrics],
            "leaderboard": self._rows(), "trials": _trials(outcome), "winner": winner,
            **empty, **self.parts, "load": self.load, "notes": [*self.data.notes, *self.notes],
            "warnings": outcome.warned(),
        }  # fmt: skip
        return dict(_plain(found))

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


# -- how right the winner is -----------------------------------------------------------------------------


def _prediction_table(told: Predictions, classes: np.ndarray | None) -> pd.DataFrame:
    table = {"row": told.rows, "actual": told.actual, "predicted": told.predicted}
    if told.predicted.ndim == 2:
        columns = range(told.predicted.shape[1])
        table = {"row": told.rows}
        table |= {f"actual_{j}": np.asarray(told.actual)[:, j] for j in columns}
        table |= {f"predicted_{j}": told.predicted[:, j] for j in columns}
    if told.probabilities is not None and classes is not None:
        table |= {f"probability_{c}": told.probabilities[:, j] for j, c in enumerate(classes)}
    return pd.DataFrame(table)


def _confusion(told: Predictions, classes: Any, where: str) -> dict[str, Any] | None:
    if classes is None:
        return None
    matrix = confusion_matrix(told.actual, told.predicted, labels=classes)
    return {"classes": [str(c) for c in classes], "matrix": matrix.tolist(), "where": where}


def _scored(told: Predictions, classes: np.ndarray) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Yield each class with whether a row is of it and how much the model thinks so."""
    scores = told.probabilities if told.probabilities is not None else told.scores
    if scores is None:
        return
    if len(classes) == 2:
        yield classes[1], told.actual == classes[1], scores[:, 1] if scores.ndim == 2 else scores
        return
    for j, c in enumerate(classes[:CLASSES_DRAWN]):
        yield c, told.actual == c, scores[:, j]


def _roc(told: Predictions, classes: Any, where: str) -> list[dict[str, Any]] | None:
    curves = []
    for c, is_c, score in _scored(told, classes) if classes is not None else ():
        if is_c.all() or not is_c.any():
            continue
        fpr, tpr, _ = roc_curve(is_c, score)
        # Fewer points, those at which the curve is drawn; the area is that of all of them.
        at = np.unique(np.linspace(0, len(fpr) - 1, min(CURVE, len(fpr))).round().astype(int))
        curves.append(
            {"class": str(c), "fpr": fpr[at].tolist(), "tpr": tpr[at].tolist(), "auc": float(auc(fpr, tpr))}
        )
    return curves or None


def _calibration(told: Predictions, classes: Any, where: str) -> list[dict[str, Any]] | None:
    if classes is None or told.probabilities is None:
        return None
    curves = []
    for c, is_c, p in _scored(told, classes):
        bins = np.clip((p * 10).astype(int), 0, 9)
        counts = np.bincount(bins, minlength=10)
        filled = counts > 0
        curves.append({
            "class": str(c), "counts": counts[filled].tolist(),
            "predicted": (np.bincount(bins, p, minlength=10)[filled] / counts[filled]).tolist(),
            "observed": (np.bincount(bins, is_c, minlength=10)[filled] / counts[filled]).tolist(),
        })  # fmt: skip
    return curves


def _residuals(told: Predictions, classes: Any, where: str) -> dict[str, Any] | None:
    if classes is not None or told.predicted.ndim > 1 or told.predicted.dtype.kind != "f":
        return None
    n = len(told.predicted)
    rows = np.sort(np.random.RandomState(0).permutation(n)[:POINTS])
    return {
        "predicted": told.predicted[rows].tolist(), "actual": np.asarray(told.actual, float)[rows].tolist(),
        "where": where,
    }  # fmt: skip


def _card(method: Any) -> dict[str, Any]:
    if not hasattr(type(method), "card"):
        summary = (type(method).__doc__ or "").strip().partition("\n\n")[0]
        return {
            "name": type(method).__name__, "summary": " ".join(summary.split()), "equations": [],
            "references": "", "parameters": [], "description": "",
            "notes": "A method of scikit-learn; its documentation says more.",
        }  # fmt: skip
    card = type(method).card()
    return {
        "name": card.name, "summary": card.summary, "equations": list(card.equations),
        "references": card.references, "description": card.description, "notes": card.notes,
        "parameters": [
            {
                "name": p.name, "default": None if p.required else p.default, "domain": p.accepts,
                "meaning": p.meaning,
            }
            for p in card.parameters
        ],
    }  # fmt: skip


# -- afterwards -------------------------------------------------------------------------------------------


def predict(
    model: str | os.PathLike[str], data: str | os.PathLike[str], out: str | os.PathLike[str] | None = None
) -> pd.DataFrame:
    """Predict the rows of a file with a model that a run has kept.

    Parameters
    ----------
    model : path
        The folder of a run, or the model.zoo in it. The findings beside it tell what the columns are.
    data : path
        A csv or parquet file with at least the columns that the model was fitted to.
    out : path, optional
        Where to write the table, as csv.

    Returns
    -------
    table : DataFrame
        For each row the prediction, and the probability of each class where the model gives any.
    """
    path = Path(model)
    path = path / "model.zoo" if path.is_dir() else path
    if not path.is_file():
        raise ExperimentError(
            f"there is no model {path}; give the folder of a finished run, or its model.zoo."
        )
    fitted = persist.load(path, trusted=COMPILED)
    X = _new_rows(path.parent, Path(data), fitted)
    table = pd.DataFrame({"row": np.arange(n_rows(X))})
    predicted = np.asarray(fitted.predict(X))
    if predicted.ndim == 1:
        table["predicted"] = predicted
    else:
        for j in range(predicted.shape[1]):
            table[f"predicted_{j}"] = predicted[:, j]
    if hasattr(fitted, "predict_proba"):
        for c, p in zip(fitted.classes_, fitted.predict_proba(X).T, strict=True):
            table[f"probability_{c}"] = p
    if out is not None:
        _write(Path(out), table.to_csv(index=False))
    return table


def _new_rows(folder: Path, data: Path, fitted: Any) -> Any:
    """Read the rows in the types that the model was fitted to."""
    findings = folder / "findings.json"
    if findings.is_file():
        columns = json.loads(findings.read_text(encoding="utf-8"))["data"]["column_summary"]
        asked = read(folder / "spec.yaml") if (folder / "spec.yaml").is_file() else None
        missing = asked.data.missing if asked else ()
        return read_rows(data, {c["name"]: c["kind"] for c in columns}, missing=missing)
    names = getattr(fitted, "feature_names_in_", None)
    if names is None:
        raise ExperimentError(
            f"{folder} has no findings.json and the model does not know the names of its columns; predict "
            "from Python with zoo.load."
        )
    table = pd.read_parquet(data) if data.suffix in (".parquet", ".pq") else pd.read_csv(data)
    lacking = [str(name) for name in names if name not in table.columns]
    if lacking:
        raise ExperimentError(
            f"{data} has no column {lacking[0]!r}; the model needs {', '.join(map(str, names))}."
        )
    return table[list(names)]


def compare(folders: Iterable[str | os.PathLike[str]]) -> pd.DataFrame:
    """Put the leaderboards of several runs side by side.

    Parameters
    ----------
    folders : paths
        Folders of runs.

    Returns
    -------
    table : DataFrame
        A row a model; for each folder the mean of each metric over folds. ``table.attrs["differences"]``
        says in sentences what was not the same.
    """
    paths = [Path(f) for f in folders]
    found = {}
    for path in paths:
        try:
            found[path] = json.loads((path / "findings.json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ExperimentError(
                f"{path} holds no finished run; run a spec with --out {path} first."
            ) from error
    labels = _labels(paths)
    columns: dict[tuple[str, str], dict[str, float | None]] = {}
    for path, findings in found.items():
        for metric in findings["metrics"]:
            name = metric["name"]
            columns[name, labels[path]] = {
                row["model"]: row["scores"][name]["mean"] for row in findings["leaderboard"] if row["scores"]
            }
    order = list(dict.fromkeys(metric for metric, _ in columns))
    columns = {key: columns[key] for key in sorted(columns, key=lambda k: order.index(k[0]))}
    table = pd.DataFrame(columns, dtype=float)
    table.columns = pd.MultiIndex.from_tuples(list(columns), names=["metric", "run"])
    table.index.name = "model"
    table = table.iloc[np.argsort(-table.iloc[:, 0].to_numpy(), kind="stable")]
    table.attrs["differences"] = _differences(paths, labels, found)
    return table


def _labels(paths: list[Path]) -> dict[Path, str]:
    names = [p.resolve().name for p in paths]
    return {p: name if names.count(name) == 1 else str(p) for p, name in zip(paths, names, strict=True)}


def _differences(paths: list[Path], labels: Mapping[Path, str], found: Mapping[Path, Any]) -> list[str]:
    first = paths[0]
    said = []
    for path in paths[1:]:
        pair = f"{labels[first]} and {labels[path]}"
        old, new = _plain_spec(found[first]["spec"]), _plain_spec(found[path]["spec"])
        keys = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
        if keys:
            said.append(f"{pair} were asked for different things: {', '.join(keys)}.")
        marks = [
            json.loads((p / "environment.json").read_text(encoding="utf-8"))["data"] for p in (first, path)
        ]
        if marks[0] != marks[1]:
            said.append(f"{pair} saw different data.")
        versions = [found[p]["environment"]["zoo"] for p in (first, path)]
        if versions[0] != versions[1]:
            said.append(f"{pair} were made by zoo {versions[0]} and {versions[1]}.")
    return said


def _how_to_load(path: Path, model: Any) -> str:
    trusted = persist.needs_trust(path)
    lines = ["import zoo", ""]
    if trusted:
        lines += ["trusted = ["] + [f"    {name!r}," for name in trusted] + ["]"]
        lines += [f'model = zoo.load("{path.name}", trusted=trusted)']
    else:
        lines += [f'model = zoo.load("{path.name}")']
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        shown = ", ".join(map(str, names[:6])) + (", ..." if len(names) > 6 else "")
        lines += [f"# X: a DataFrame with the {len(names)} columns {shown}"]
    elif hasattr(model, "n_features_in_"):
        lines += [f"# X: an array with {model.n_features_in_} columns"]
    return "\n".join([*lines, "model.predict(X)", ""])
