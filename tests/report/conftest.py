"""Findings to draw: measured on small fits, and made to be hostile."""

import copy
import json
import math
import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression as SkLogisticRegression
from sklearn.metrics import confusion_matrix, get_scorer, roc_auc_score, roc_curve
from sklearn.model_selection import (
    KFold,
    StratifiedKFold,
    cross_val_predict,
    learning_curve,
    train_test_split,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo import Lasso, LogisticRegression, MLPClassifier, MLPRegressor, Ridge
from zoo.registry import card, entries

LOAD = 'import zoo\n\nmodel = zoo.load("model.zoo")\nmodel.predict(X_new)'


def _scores(folds):
    k = len(folds)
    mean, sd = float(np.mean(folds)), float(np.std(folds, ddof=1))
    half = 2.776 * sd * math.sqrt(1 / k + 1 / (k - 1))
    return {"mean": mean, "low": mean - half, "high": mean + half, "folds": list(folds)}


def _card(name):
    if name not in {row["name"] for row in entries()}:
        return None
    c = card(name)
    rows = [
        {
            "name": p.name, "default": None if p.required else p.default, "domain": p.accepts,
            "meaning": p.meaning,
        }
        for p in c.parameters
    ]  # fmt: skip
    parts = ("name", "summary", "equations", "references", "description", "notes")
    return {part: getattr(c, part) for part in parts} | {"parameters": rows}


def _measure(X, y, models, metrics, *, target, names, title, spec, seed=0):
    """Do by hand what an experiment does: split, fit, score."""
    regression = y.dtype.kind == "f"
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.25, random_state=seed, stratify=None if regression else y
    )
    folds = list((KFold if regression else StratifiedKFold)(5, shuffle=True, random_state=seed).split(X, y))
    rows, trials, curves, fitted = [], [], [], {}
    for name, model in models.items():
        scores, began = {m: [] for m in metrics}, time.perf_counter()
        try:
            for train, valid in folds:
                fit = clone(model).fit(X[train], y[train])
                for m in metrics:
                    scores[m].append(float(get_scorer(m)(fit, X[valid], y[valid])))
        except ValueError as error:
            rows.append({
                "rank": None, "model": name, "method": type(model[-1]).__name__, "status": "failed",
                "error": f"ValueError: {error}", "params": {}, "trials": 1, "failed_trials": 1, "scores": {},
                "test": None, "fit_seconds": None, "predict_seconds": None,
            })  # fmt: skip
            trials.append({"model": name, "params": {}, "scores": {}, "error": str(error)})
            continue
        seconds = (time.perf_counter() - began) / len(folds)
        fitted[name] = model.fit(X, y)
        began = time.perf_counter()
        test = {m: float(get_scorer(m)(model, X_test, y_test)) for m in metrics}
        last = model[-1]
        params = {k: v for k, v in last.get_params().items() if k in ("alpha", "C", "n_neighbors")}
        rows.append({
            "rank": 0, "model": name, "method": type(last).__name__, "status": "ok", "error": None,
            "params": params, "trials": 1, "failed_trials": 0,
            "scores": {m: _scores(scores[m]) for m in metrics}, "test": test, "fit_seconds": seconds,
            "predict_seconds": time.perf_counter() - began,
        })  # fmt: skip
        trials.append({
            "model": name, "params": params, "scores": {m: float(np.mean(scores[m])) for m in metrics},
            "fit_seconds": seconds, "error": None,
        })  # fmt: skip
        if hasattr(last, "history_"):
            h = last.history_
            curves.append({
                "model": name, "epochs": len(h["train_loss"]), "train_loss": h["train_loss"].tolist(),
                "valid_loss": h["valid_loss"].tolist() if "valid_loss" in h else None,
            })  # fmt: skip
    rows.sort(key=lambda r: -r["scores"][metrics[0]]["mean"] if r["status"] == "ok" else math.inf)
    for i, row in enumerate(r for r in rows if r["status"] == "ok"):
        row["rank"] = i + 1
    best = rows[0]["model"]
    model = fitted[best]
    sizes, train, valid = learning_curve(
        clone(model), X, y, cv=folds, train_sizes=[0.15, 0.3, 0.6, 1.0], scoring=metrics[0]
    )
    shuffled = permutation_importance(model, X_test, y_test, scoring=metrics[0], n_repeats=3, random_state=0)
    found = {
        "title": title, "created": "2026-11-21 15:00 UTC", "seconds": 12.3, "spec": spec,
        "environment": {"python": "3.11.7", "zoo": "0.1.0", "packages": {"numpy": np.__version__}},
        "interrupted": False,
        "data": {
            "source": "scikit-learn, " + title, "rows": len(X) + len(X_test), "columns": X.shape[1],
            "test_rows": len(X_test), "task": "regression" if regression else "classification",
            "target": target, "classes": None, "class_counts": None,
            "column_summary": [
                {"name": n, "kind": "number", "missing": 0, "unique": len(np.unique(X[:, j])),
                 "example": float(X[0, j])} for j, n in enumerate(names)
            ],
        },
        "metrics": [{"name": m, "greater_is_better": True} for m in metrics],
        "leaderboard": rows, "trials": trials,
        "winner": {
            "model": best, "method": rows[0]["method"], "params": rows[0]["params"], "file": "model.zoo",
            "features_in": list(names),
        },
        "learning_curve": {
            "sizes": sizes.tolist(), "train": train.tolist(), "valid": valid.tolist(), "metric": metrics[0],
        },
        "loss_curves": curves, "confusion": None, "roc": None, "calibration": None, "residuals": None,
        "importances": [
            {"column": n, "mean": float(m), "std": float(s)}
            for n, m, s in zip(names, shuffled.importances_mean, shuffled.importances_std, strict=True)
        ],
        "card": _card(rows[0]["method"]), "load": LOAD, "notes": ["Two rows without a target were dropped."],
        "warnings": {best: {"ConvergenceWarning: no end in sight": 3}},
    }  # fmt: skip
    if regression:
        found["residuals"] = {
            "predicted": model.predict(X_test).tolist(), "actual": y_test.tolist(), "where": "test",
        }  # fmt: skip
        return found
    classes, counts = np.unique(y, return_counts=True)
    by_class = dict(zip(map(str, classes), counts.tolist(), strict=True))
    found["data"] |= {"classes": classes.tolist(), "class_counts": by_class}
    oof = cross_val_predict(clone(model), X, y, cv=folds, method="predict_proba")
    said = classes[oof.argmax(axis=1)]
    found["confusion"] = {
        "classes": classes.tolist(), "matrix": confusion_matrix(y, said).tolist(), "where": "out-of-fold",
    }  # fmt: skip
    shown = range(len(classes)) if len(classes) > 2 else [1]
    found["roc"], found["calibration"] = [], []
    for k in shown:
        fpr, tpr, _ = roc_curve(y == classes[k], oof[:, k])
        auc = float(roc_auc_score(y == classes[k], oof[:, k]))
        label = str(classes[k])
        found["roc"].append({"class": label, "fpr": fpr.tolist(), "tpr": tpr.tolist(), "auc": auc})
        if k < 4:
            observed, predicted = calibration_curve(y == classes[k], oof[:, k], n_bins=10)
            counts = np.histogram(oof[:, k], np.linspace(0, 1, 11))[0]
            found["calibration"].append({
                "class": label, "predicted": predicted.tolist(), "observed": observed.tolist(),
                "counts": counts[counts > 0].tolist(),
            })  # fmt: skip
    return found


def classification():
    data = load_breast_cancer()
    models = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.3)),
        "network": make_pipeline(
            StandardScaler(),
            MLPClassifier(hidden_layer_sizes=(16,), max_epochs=25, early_stopping=True, random_state=0),
        ),
        "neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
        "one column too far": make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=10_000)),
    }
    return _measure(
        data.data, np.where(data.target == 0, "malignant", "benign"), models,
        ["roc_auc", "accuracy", "neg_log_loss"], target="diagnosis", names=list(data.feature_names),
        title="Breast cancer, benign or malignant",
        spec="data: {sklearn: breast_cancer}\ntest: 0.25\nmodels:\n- LogisticRegression: {C: 0.3}\n",
    )  # fmt: skip


def multiclass():
    data = load_digits()
    models = {
        "LogisticRegression": make_pipeline(StandardScaler(), SkLogisticRegression(C=0.05, max_iter=200)),
        "MLPClassifier": make_pipeline(
            MLPClassifier(hidden_layer_sizes=(32,), max_epochs=20, random_state=0)
        ),
        "KNeighborsClassifier": make_pipeline(KNeighborsClassifier(3)),
    }
    rows = slice(0, 900)
    return _measure(
        data.data[rows], data.target[rows], models, ["accuracy"], target="digit",
        names=[f"pixel {i // 8}, {i % 8}" for i in range(64)], title="Digits",
        spec="data: {sklearn: digits}\nmodels: [MLPClassifier, KNeighborsClassifier]\n",
    )  # fmt: skip


def regression():
    data = load_diabetes()
    models = {
        "Ridge": make_pipeline(StandardScaler(), Ridge(alpha=3.0)),
        "Lasso": make_pipeline(StandardScaler(), Lasso(alpha=0.5)),
        "MLPRegressor": make_pipeline(
            StandardScaler(), MLPRegressor(hidden_layer_sizes=(16,), max_epochs=30, random_state=0)
        ),
        "KNeighborsRegressor": make_pipeline(StandardScaler(), KNeighborsRegressor(7)),
    }
    return _measure(
        data.data, data.target, models, ["neg_root_mean_squared_error", "r2"], target="progression",
        names=list(data.feature_names), title="Diabetes after a year",
        spec="data: {sklearn: diabetes}\ntest: 0.25\nmodels: [Ridge, Lasso, MLPRegressor]\n",
    )  # fmt: skip


def interrupted():
    """One model done, nothing drawn of it yet."""
    done = classification()
    done["interrupted"] = True
    done["title"] = "Breast cancer, stopped half-way"
    done["leaderboard"] = done["leaderboard"][:1]
    done["trials"] = done["trials"][:1]
    for part in (
        "winner", "learning_curve", "loss_curves", "confusion", "roc", "calibration", "importances", "card",
        "load", "residuals",
    ):  # fmt: skip
        done[part] = None
    return done


def nothing_fitted():
    """Every model failed."""
    done = interrupted()
    done["interrupted"] = False
    done["title"] = "Nothing could be fitted"
    failed = {"status": "failed", "error": "ValueError: no", "scores": {}, "test": None, "rank": None}
    done["leaderboard"] = [done["leaderboard"][0] | failed]
    return done


def wide():
    """26 classes, 200 rows, 8 metrics' worth of long names: invented, to see whether the page holds."""
    rng = np.random.default_rng(0)
    done = multiclass()
    done["title"] = "Letters, with a title that goes on for a while and_one_word_without_a_break_" * 2
    row = done["leaderboard"][0]
    rows = []
    for i in range(200):
        new = copy.deepcopy(row)
        new["rank"], new["model"] = i + 1, f"model number {i + 1}"
        folds = (0.97 - 0.004 * i + 0.01 * rng.standard_normal(5)).tolist()
        new["scores"] = {"accuracy": _scores(folds)}
        new["params"] = {"learning_rate": 0.1, "pipeline__columntransformer__number__imputer": "median"}
        new["trials"] = 20
        rows.append(new)
    done["leaderboard"] = rows
    done["trials"] = [t for _ in range(100) for t in done["trials"]]
    letters = [chr(65 + i) for i in range(26)]
    matrix = rng.poisson(0.4, (26, 26)) + np.diag(rng.integers(80, 240, 26))
    done["confusion"] = {"classes": letters, "matrix": matrix.tolist(), "where": "test"}
    done["data"] |= {"classes": letters, "class_counts": matrix.sum(axis=1).tolist()}
    done["importances"] = [
        {"column": f"a_rather_long_name_of_a_column_{i}", "mean": 0.3 / (i + 1), "std": 0.01}
        for i in range(60)
    ]
    return done


HOSTILE = (
    "</script></style></title><img src=x onerror=\"document.body.dataset.harm='1'\">{{ 7 * 7 }}'\"`&\u202e"
)


def hostile():
    """Every text that a user or a file can give is an attack."""

    def poison(value, key=""):
        if isinstance(value, dict):
            return {
                (k if key not in ("params", "class_counts", "packages") else HOSTILE + k): poison(v, k)
                for k, v in value.items()
            }
        if isinstance(value, list):
            return [poison(v, key) for v in value]
        if isinstance(value, str) and key not in ("status", "where", "name_of_metric"):
            return HOSTILE + value
        return value

    done = classification()
    metrics = {m["name"] for m in done["metrics"]}
    done = poison(done)
    for m, name in zip(done["metrics"], sorted(metrics), strict=True):
        m["name"] = name
    return done


MAKERS = {
    f.__name__: f
    for f in (classification, multiclass, regression, interrupted, nothing_fitted, wide, hostile)
}
_made = {}


def made(kind):
    """Return fresh findings; the fits are done once."""
    if kind not in _made:
        # As they come from findings.json.
        _made[kind] = json.dumps(MAKERS[kind]())
    return json.loads(_made[kind])


@pytest.fixture
def findings():
    """A function from the name of a kind to its findings."""
    return made
