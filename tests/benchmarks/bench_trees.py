"""Boosting beside LightGBM, XGBoost and HistGradientBoosting; forests and AdaBoost beside sklearn.

``python tests/benchmarks/bench_trees.py boosting [data set ...]``
``python tests/benchmarks/bench_trees.py forest | tree | adaboost | memory | scaling``

CPU seconds (``time.process_time``) on one thread a side, warm, the sides in turn, medians of
``REPEATS``; a ratio is theirs over ours. Peers that are not installed are left out. 100 rounds of
31 leaves, 255 bins; everything else at each library's defaults. Data are the files of ``ZOO_DATA``.
"""

import os
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
import pandas as pd
from sklearn import ensemble, tree
from sklearn.datasets import make_friedman1, make_hastie_10_2
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import train_test_split

import zoo

DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tabular"
REPEATS = int(os.environ.get("REPEATS", "3"))


def synthetic(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes from 28 columns, with interactions and noise."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, 28)).astype(np.float32)
    f = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + X[:, 3] ** 2 - 1
    f += 0.5 * X[:, 4] * (X[:, 5] > 0) + 0.1 * X[:, 6:16].sum(axis=1)
    return X, (f + 0.7 * rng.standard_normal(n) > 0).astype(int)


def table(file: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a file; text becomes numbers, so that all sides see the same."""
    df = pd.read_csv(DATA / file, na_values="?")
    y = df.pop(target).to_numpy()
    for c in df.columns:
        if not pd.api.types.is_numeric_dtype(df[c]):
            df[c] = df[c].astype("category").cat.codes.astype(float).replace(-1, np.nan)
    if y.dtype.kind in "OUT" or len(np.unique(y)) < 20:
        y = np.unique(y, return_inverse=True)[1]
    return df.to_numpy(np.float64), y


def load(name: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return X, y and whether it is a classification."""
    files = {
        "adult": ("adult_train.csv.gz", "income", True),
        "covtype_20k": ("covtype_20k.csv.gz", "Cover_Type", True),
        "higgs": ("higgs_7000_train.csv.gz", "signal", True),
        "sleep": ("sleep.csv.gz", "target", True),
        "optdigits": ("optdigits.csv.gz", "target", True),
        "california": ("california_housing.csv.gz", "median_house_value", False),
        "diamonds": ("diamonds.csv.gz", "price", False),
        "protein": ("protein_structure.csv.gz", "RMSD", False),
    }
    if name.startswith("synthetic"):
        return *synthetic(125 * int(name.removeprefix("synthetic").removesuffix("k")) * 10), True
    if name == "hastie":
        X, y = make_hastie_10_2(12_500, random_state=0)
        return X, (y > 0).astype(int), True
    if name == "friedman1":
        return *make_friedman1(12_500, noise=1.0, random_state=0), False
    file, target, classify = files[name]
    return *table(file, target), classify


def peers(classify: bool) -> dict:
    """Return name -> function that makes the model."""
    kind = "Classifier" if classify else "Regressor"
    ours = getattr(zoo, "Boosting" + kind)
    hist = getattr(ensemble, "HistGradientBoosting" + kind)
    out = {"zoo": lambda: ours(n_jobs=1)}
    try:
        import lightgbm

        lgb = getattr(lightgbm, "LGBM" + kind)
        common = {"n_estimators": 100, "num_leaves": 31, "n_jobs": 1, "verbose": -1}
        out["LightGBM"] = lambda: lgb(**common)
        out["LightGBM quantised"] = lambda: lgb(**common, use_quantized_grad=True)
    except ImportError:
        pass
    try:
        import xgboost

        xgb = getattr(xgboost, "XGB" + kind)
        out["XGBoost"] = lambda: xgb(
            n_estimators=100, learning_rate=0.1, max_leaves=31, max_depth=0,
            grow_policy="lossguide", tree_method="hist", n_jobs=1,
        )  # fmt: skip
    except ImportError:
        pass
    out["HistGradientBoosting"] = lambda: hist(max_iter=100, max_leaf_nodes=31, early_stopping=False)
    return out


def metric(model, X, y, classify: bool) -> float:
    """AUC for two classes, accuracy for more, R^2 for numbers."""
    if not classify:
        return r2_score(y, model.predict(X))
    if len(np.unique(y)) == 2:
        return roc_auc_score(y, model.predict_proba(X)[:, 1])
    return accuracy_score(y, model.predict(X))


def cpu(call) -> tuple[float, object]:
    """Return CPU seconds and what the call returned."""
    start = time.process_time()
    out = call()
    return time.process_time() - start, out


def compare(name: str, X, y, classify: bool, sides: dict, predict: str = "predict") -> None:
    """Fit and predict every side in turn; print one row a peer."""
    Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.2, random_state=0)
    fits, predicts, scores = ({k: [] for k in sides} for _ in range(3))
    next(iter(sides.values()))().fit(Xa[:200], ya[:200]).predict(Xb[:200])
    for _ in range(REPEATS):
        for side, make in sides.items():
            seconds, model = cpu(lambda make=make: make().fit(Xa, ya))
            fits[side].append(seconds)
            # Prediction is short: enough rows for a clock.
            big = np.concatenate([Xa] * max(1, 40_000 // len(Xa)))
            predicts[side].append(cpu(lambda m=model, big=big: getattr(m, predict)(big))[0])
            scores[side].append(metric(model, Xb, yb, classify))
    fit, pred, score = ({k: float(np.median(v)) for k, v in d.items()} for d in (fits, predicts, scores))
    ours = next(iter(sides))
    for side in list(sides)[1:]:
        print(
            f"| {name} | {len(Xa)} x {X.shape[1]} | {side} | {fit[ours]:.3f} | {fit[side]:.3f} | "
            f"{fit[side] / fit[ours]:.2f} | {pred[side] / pred[ours]:.1f} | "
            f"{score[ours]:.4f} | {score[side]:.4f} |",
            flush=True,
        )


def head() -> None:
    """Print the head of the table."""
    print(
        "| data | rows x columns | peer | fit zoo | fit peer | fit ratio | predict ratio | "
        "metric zoo | metric peer |\n|---|---|---|---|---|---|---|---|---|"
    )


def memory(n: int = 1_000_000) -> None:
    """Print the peak of the memory above the data, each side in a process of its own."""
    import subprocess

    code = (
        "import sys, resource; sys.path.insert(0, {here!r}); import bench_trees as b\n"
        "X, y = b.synthetic({n}); make = b.peers(True)[{side!r}]\n"
        "make().fit(X[:2000], y[:2000])\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "rss = lambda k: [int(l.split()[1]) for l in open('/proc/self/status') "
        "if l.startswith(k)][0] / 1024\n"
        "a = rss('VmRSS'); make().fit(X, y); print(round(rss('VmHWM') - a))"
    )
    print("| peer | peak MB above data |\n|---|---|")
    for side in peers(True):
        text = code.format(here=str(Path(__file__).parent), n=n, side=side)
        out = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        print(f"| {side} | {out.stdout.strip() or out.stderr[-200:]} |", flush=True)


def scaling() -> None:
    """Print the time of ten times the rows over the time of the rows."""
    times = []
    for n in (100_000, 1_000_000):
        X, y = synthetic(n)
        make = peers(True)["zoo"]
        make().fit(X[:5000], y[:5000])
        times.append(min(cpu(lambda X=X, y=y, make=make: make().fit(X, y))[0] for _ in range(REPEATS)))
    print(f"100k x 28: {times[0]:.2f} s, 1M x 28: {times[1]:.2f} s, {times[1] / times[0]:.1f}x")


def main(what: str, names: list[str]) -> None:
    """Run one table."""
    if what in ("memory", "scaling"):
        globals()[what]()
        return
    head()
    if what == "boosting":
        for name in names or (
            "synthetic100k", "hastie", "friedman1", "adult", "covtype_20k", "higgs", "sleep",
            "optdigits", "california", "diamonds", "protein",
        ):  # fmt: skip
            X, y, classify = load(name)
            compare(name, X, y, classify, peers(classify), "predict")
        return
    for name in names or ("synthetic100k", "california"):
        X, y, classify = load(name)
        kind = "Classifier" if classify else "Regressor"
        if what == "forest":
            sides = {
                "zoo": lambda kind=kind: getattr(zoo, "RandomForest" + kind)(n_estimators=20, n_jobs=1),
                "sklearn": lambda kind=kind: getattr(ensemble, "RandomForest" + kind)(20, n_jobs=1),
            }
        elif what == "tree":
            sides = {
                "zoo": lambda kind=kind: getattr(zoo, "DecisionTree" + kind)(),
                "sklearn": lambda kind=kind: getattr(tree, "DecisionTree" + kind)(),
            }
        elif classify:
            sides = {
                "zoo": lambda: zoo.AdaBoostClassifier(n_estimators=20, n_jobs=1),
                "sklearn": lambda: ensemble.AdaBoostClassifier(n_estimators=20),
            }
        else:
            continue
        compare(name, X, y, classify, sides)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "boosting", sys.argv[2:])
