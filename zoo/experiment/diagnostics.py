"""How right the winner is: what its predictions draw on the page."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import auc, confusion_matrix, roc_curve

from zoo.search import Predictions

POINTS = 2000  # of a scatter plot, and rows on which columns are permuted
CURVE = 200  # points of a ROC curve
CLASSES_DRAWN = 20


def prediction_table(told: Predictions, classes: np.ndarray | None) -> pd.DataFrame:
    """Return a row for each prediction, beside what was true."""
    table = {"row": told.rows, "actual": told.actual, "predicted": told.predicted}
    if told.predicted.ndim == 2:
        columns = range(told.predicted.shape[1])
        table = {"row": told.rows}
        table |= {f"actual_{j}": np.asarray(told.actual)[:, j] for j in columns}
        table |= {f"predicted_{j}": told.predicted[:, j] for j in columns}
    if told.probabilities is not None and classes is not None:
        table |= {f"probability_{c}": told.probabilities[:, j] for j, c in enumerate(classes)}
    return pd.DataFrame(table)


def confusion(told: Predictions, classes: Any, where: str) -> dict[str, Any] | None:
    """Count what was taken for what; None for numbers."""
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


def roc(told: Predictions, classes: Any, where: str) -> list[dict[str, Any]] | None:
    """Return a ROC curve for each class that can be ranked; None where there is none."""
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


def calibration(told: Predictions, classes: Any, where: str) -> list[dict[str, Any]] | None:
    """Compare probabilities with shares, in ten bins; None without probabilities."""
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


def residuals(told: Predictions, classes: Any, where: str) -> dict[str, Any] | None:
    """Return predicted and actual numbers; None for classes and for several targets."""
    if classes is not None or told.predicted.ndim > 1 or told.predicted.dtype.kind != "f":
        return None
    n = len(told.predicted)
    rows = np.sort(np.random.RandomState(0).permutation(n)[:POINTS])
    return {
        "predicted": told.predicted[rows].tolist(), "actual": np.asarray(told.actual, float)[rows].tolist(),
        "where": where,
    }  # fmt: skip


def card_of(method: Any) -> dict[str, Any]:
    """Return the card of a method, or what scikit-learn says of one of its own."""
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
