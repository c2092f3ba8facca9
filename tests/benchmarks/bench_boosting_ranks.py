"""How boosting at its defaults ranks beside LightGBM, XGBoost and HistGradientBoosting at theirs.

Run as ``python tests/benchmarks/bench_boosting_ranks.py [fresh | seen | NAME ...]``. The sets of
"fresh" had no say in the choice of the defaults; those of "seen" were looked at while choosing them.
The score is the AUC for two classes, accuracy for more, R^2 for numbers; the mean of shuffled folds.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import ensemble
from sklearn.datasets import load_diabetes, make_friedman1, make_hastie_10_2
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

import zoo

DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tabular"


class File(NamedTuple):
    """Where a set is, what is predicted, columns that leak it or are names, and most rows."""

    path: str
    target: str
    leaks: tuple[str, ...] = ()
    most: int = 10**9


CLASSES = {
    "fresh": {
        "ann_thyroid": File("ann_thyroid", "target"),
        "bank": File("bank_marketing", "y", ("duration",), 20_000),
        "connect_4": File("connect_4", "target", (), 20_000),
        "credit_g": File("credit_g", "target"),
        "dna": File("dna", "target"),
        "mammography": File("mammography", "target"),
        "titanic": File("titanic", "survived", ("boat", "body", "name", "ticket")),
        "vehicle": File("vehicle", "target"),
        "wdbc": File("wdbc", "target"),
        "hastie": None,
    },
    "seen": {
        "adult": File("adult_train", "income"),
        "covtype_20k": File("covtype_20k", "Cover_Type"),
        "higgs": File("higgs_7000_train", "signal"),
        "optdigits": File("optdigits", "target"),
        "sleep": File("sleep", "target"),
    },
}
NUMBERS = {
    "fresh": {
        "concrete": File("concrete", "strength"),
        "energy": File("energy_efficiency", "Y1"),
        "kin8nm": File("kin8nm", "y"),
        "power_plant": File("power_plant", "PE"),
        "ames": File("ames_house_prices", "SalePrice"),
        "diabetes": None,
        "friedman1": None,
    },
    "seen": {
        "california": File("california_housing", "median_house_value"),
        "diamonds": File("diamonds", "price"),
        "protein": File("protein_structure", "RMSD"),
    },
}


def load(name: str, file: File | None) -> tuple[np.ndarray, np.ndarray]:
    """Read a set; text becomes numbers, so that all sides see the same."""
    if file is None:
        if name == "hastie":
            return make_hastie_10_2(12_000, random_state=0)
        if name == "diabetes":
            return load_diabetes(return_X_y=True)
        return make_friedman1(3000, noise=1.0, random_state=0)
    df = pd.read_csv(DATA / f"{file.path}.csv.gz", na_values="?").drop(columns=list(file.leaks))
    df = df[df[file.target].notna()]
    df = df.sample(file.most, random_state=0) if len(df) > file.most else df
    y = df.pop(file.target).to_numpy()
    for c in df.columns:
        if not pd.api.types.is_numeric_dtype(df[c]):
            df[c] = df[c].astype("category").cat.codes.astype(float).replace(-1, np.nan)
    return df.to_numpy(np.float64), y


def sides(kind: str) -> dict:
    """Return name -> function that makes the model, all at their defaults, one thread."""
    import lightgbm
    import xgboost

    return {
        "zoo": lambda: getattr(zoo, f"Boosting{kind}")(n_jobs=1),
        "LightGBM": lambda: getattr(lightgbm, f"LGBM{kind}")(n_jobs=1, verbose=-1),
        "XGBoost": lambda: getattr(xgboost, f"XGB{kind}")(n_jobs=1),
        "HistGradientBoosting": lambda: getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=0),
    }


def score(model, X, y, kind: str) -> float:
    if kind == "Regressor":
        return r2_score(y, model.predict(X))
    p = model.predict_proba(X)
    return roc_auc_score(y, p[:, 1]) if p.shape[1] == 2 else accuracy_score(y, p.argmax(axis=1))


def compare(name: str, file: File | None, kind: str, folds: int) -> dict:
    """Print one row; return the mean score of each side."""
    X, y = load(name, file)
    if kind == "Classifier":
        y = np.unique(y, return_inverse=True)[1]
    split = (StratifiedKFold if kind == "Classifier" else KFold)(folds, shuffle=True, random_state=0)
    found: dict = {side: [] for side in sides(kind)}
    for train, test in split.split(X, y):
        for side, make in sides(kind).items():
            found[side].append(score(make().fit(X[train], y[train]), X[test], y[test], kind))
    mean = {side: float(np.mean(v)) for side, v in found.items()}
    print(f"| {name} | {len(X)} | " + " | ".join(f"{v:.4f}" for v in mean.values()) + " |", flush=True)
    return mean


def main(wanted: list[str]) -> None:
    print("| set | rows | " + " | ".join(sides("Classifier")) + " |\n|---|---|---|---|---|---|")
    for group in ("fresh", "seen"):
        rows = {}
        for kind, sets in (("Classifier", CLASSES), ("Regressor", NUMBERS)):
            for name, file in sets[group].items():
                if not wanted or group in wanted or name in wanted:
                    rows[name] = compare(name, file, kind, folds=5)
        if len(rows) > 1:
            rank = pd.DataFrame(rows).T.rank(axis=1, ascending=False).mean()
            print(f"| mean rank, {group} | | " + " | ".join(f"{v:.2f}" for v in rank) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
