"""Predictions for the rows of a file, from the model that a run has kept."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo import persist
from zoo.contract.inputs import n_rows
from zoo.experiment.folder import ExperimentError, damaged, read_json, write
from zoo.experiment.spec import read, read_rows

# Compiled objects of scikit-learn that a kept model may hold.
COMPILED = frozenset(
    f"sklearn.{name}"
    for name in (
        "tree._tree.Tree", "neighbors._kd_tree.KDTree64", "neighbors._kd_tree.KDTree32",
        "neighbors._ball_tree.BallTree64", "neighbors._ball_tree.BallTree32",
        "ensemble._hist_gradient_boosting.predictor.TreePredictor",
    )
)  # fmt: skip


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
    try:
        table = _answers(fitted, X)
    except Exception as error:
        # The rows of a stranger's file, or a model that was edited: either may raise anything.
        raise ExperimentError(
            f"{path} cannot predict the rows of {data}, {type(error).__name__}: "
            f"{' '.join(str(error).split())}"
        ) from error
    if out is not None:
        try:
            write(Path(out), table.to_csv(index=False))
        except OSError as error:
            raise ExperimentError(
                f"{out} cannot be written ({error.strerror}); give another file."
            ) from error
    return table


def _answers(fitted: Any, X: Any) -> pd.DataFrame:
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
    return table


def _new_rows(folder: Path, data: Path, fitted: Any) -> Any:
    """Read the rows in the types that the model was fitted to."""
    findings = folder / "findings.json"
    if findings.is_file():
        try:
            summary = read_json(findings, "data")["data"]["column_summary"]
            kinds = {str(c["name"]): c["kind"] for c in summary}
        except (KeyError, TypeError) as error:
            raise damaged(findings, "it does not say what the columns are") from error
        asked = read(folder / "spec.yaml") if (folder / "spec.yaml").is_file() else None
        missing = asked.data.missing if asked else ()
        return read_rows(data, kinds, missing=missing)
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


def how_to_load(path: Path, model: Any) -> str:
    """Return the lines of Python that load a kept model."""
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
