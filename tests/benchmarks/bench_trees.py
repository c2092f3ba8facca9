"""Trees, forests and boosting beside LightGBM, XGBoost, scikit-learn, its Intel extension and shap.

``python tests/benchmarks/bench_trees.py SECTION ...`` with the sections

    boosting-binary boosting-real multiclass predict forest adaboost shap memory scaling firstuse
    overhead rank

``THREADS`` (2) threads a side, ``SEEDS`` (5) splits of the data, warm, the sides in turn and each in a
process of its own. A ratio is the peer's time over ours, of medians over the seeds, by the clock and by
processor time (``time.process_time``): on a busy machine only the latter means something. Metrics are
means over the seeds with the deviation of the paired difference. Data are the files of ``ZOO_DATA``;
peers that are not installed are left out. ``ONLY=adult,higgs`` keeps some data sets.
"""

import importlib.util
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = int(os.environ.get("THREADS", "2"))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, str(THREADS))

import numpy as np
import pandas as pd
from sklearn import ensemble, tree
from sklearn.datasets import make_friedman1, make_hastie_10_2
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

import zoo

DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[3] / "shared" / "data")) / "tabular"
SEEDS = int(os.environ.get("SEEDS", "5"))
ONLY = [name for name in os.environ.get("ONLY", "").split(",") if name]
FILES = {
    "adult": ("adult_train.csv.gz", "income", True),
    "covtype_20k": ("covtype_20k.csv.gz", "Cover_Type", True),
    "higgs": ("higgs_7000_train.csv.gz", "signal", True),
    "sleep": ("sleep.csv.gz", "target", True),
    "optdigits": ("optdigits.csv.gz", "target", True),
    "california": ("california_housing.csv.gz", "median_house_value", False),
    "diamonds": ("diamonds.csv.gz", "price", False),
    "protein": ("protein_structure.csv.gz", "RMSD", False),
}
Sides = dict[str, Callable[[], Any]]


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
    if name.startswith("synthetic"):
        return *synthetic(1250 * int(name.removeprefix("synthetic").removesuffix("k"))), True
    if name == "hastie":
        X, y = make_hastie_10_2(12_500, random_state=0)
        return X, (y > 0).astype(int), True
    if name == "friedman1":
        return *make_friedman1(12_500, noise=1.0, random_state=0), False
    file, target, classify = FILES[name]
    return *table(file, target), classify


def chosen(*names: str) -> list[str]:
    """Keep the data sets that are asked for."""
    return [name for name in names if not ONLY or name in ONLY]


def installed(name: str) -> bool:
    """Tell whether a peer can be imported."""
    return importlib.util.find_spec(name) is not None


def peers(classify: bool, rounds: int = 100, threads: int = THREADS) -> Sides:
    """Boosting of 31 leaves and 255 bins; all else as each library has it."""
    kind = "Classifier" if classify else "Regressor"
    out: Sides = {"zoo": lambda: getattr(zoo, "Boosting" + kind)(n_estimators=rounds, n_jobs=threads)}
    if installed("lightgbm"):
        import lightgbm

        lgb = getattr(lightgbm, "LGBM" + kind)
        same = {"n_estimators": rounds, "num_leaves": 31, "n_jobs": threads, "verbose": -1}
        out["LightGBM"] = lambda: lgb(**same)
        out["LightGBM quantised"] = lambda: lgb(**same, use_quantized_grad=True)
    if installed("xgboost"):
        import xgboost

        out["XGBoost"] = lambda: getattr(xgboost, "XGB" + kind)(
            n_estimators=rounds, learning_rate=0.1, max_leaves=31, max_depth=0,
            grow_policy="lossguide", tree_method="hist", n_jobs=threads,
        )  # fmt: skip
    hist = getattr(ensemble, "HistGradientBoosting" + kind)
    out["HistGradientBoosting"] = lambda: hist(max_iter=rounds, max_leaf_nodes=31, early_stopping=False)
    return out


def metric(model: Any, X: np.ndarray, y: np.ndarray, classify: bool) -> float:
    """AUC for two classes, accuracy for more, R^2 for numbers."""
    if not classify:
        return r2_score(y, model.predict(X))
    if len(np.unique(y)) == 2:
        scores = getattr(model, "predict_proba", None)
        return roc_auc_score(y, scores(X)[:, 1] if scores else model.predict(X))
    return accuracy_score(y, model.predict(X))


def timed(call: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    """Return seconds by the clock and of the processor, and what the call returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    out = call()
    return np.array([time.perf_counter() - wall, time.process_time() - cpu]), out


def serve(make: Callable[[], Any], X: Any, y: Any, classify: bool, pipe: Any) -> None:
    """Fit and predict the splits whose seeds come through the pipe, until None comes."""
    # A first fit on a few rows, of every class some, compiles and starts threads.
    few = np.concatenate([np.arange(500), np.unique(y, return_index=True)[1]]) if classify else np.arange(500)
    make().fit(X[few], y[few]).predict(X[few])
    pipe.send("ready")
    for seed in iter(pipe.recv, None):
        Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.2, random_state=seed)
        # Prediction is short: enough rows for a clock.
        many = np.concatenate([Xa] * max(1, 40_000 // len(Xa)))
        fit, model = timed(lambda Xa=Xa, ya=ya: make().fit(Xa, ya))
        predict, _ = timed(lambda m=model, X=many: m.predict(X))
        pipe.send((fit, predict, metric(model, Xb, yb, classify)))


def compare(name: str, X: Any, y: Any, classify: bool, sides: Sides, seeds: int = SEEDS) -> None:
    """Fit and predict every side in turn; print one row a peer.

    Each side is a process of its own: in one process the waiting threads of several OpenMP runtimes
    would hold the processors that the side under the clock asks for.
    """
    fork = multiprocessing.get_context("fork")
    pipes, workers = {}, []
    for side, make in sides.items():
        pipes[side], end = fork.Pipe()
        workers.append(fork.Process(target=serve, args=(make, X, y, classify, end), daemon=True))
        workers[-1].start()
        end.close()
        pipes[side].recv()
    got: dict[str, list] = {side: [] for side in sides}
    for seed in range(seeds):
        for side, pipe in pipes.items():
            pipe.send(seed)
            got[side].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(None)
    for worker in workers:
        worker.join()
    fit, predict = ({k: np.median([r[i] for r in v], axis=0) for k, v in got.items()} for i in (0, 1))
    scores = {k: np.array([r[2] for r in v]) for k, v in got.items()}
    ours, *others = sides
    for side in others:
        more = scores[ours] - scores[side]
        f, p = fit[side] / fit[ours], predict[side] / predict[ours]
        print(
            f"| {name} | {int(0.8 * len(X))} x {X.shape[1]} | {side} | {fit[ours][0]:.3f} | "
            f"{fit[side][0]:.3f} | {f[0]:.2f} | {f[1]:.2f} | {p[0]:.1f} | {p[1]:.1f} | "
            f"{scores[ours].mean():.4f} | {scores[side].mean():.4f} | "
            f"{more.mean():+.4f} +- {more.std():.4f} |",
            flush=True,
        )


def head() -> None:
    """Print the head of the table of ``compare``."""
    columns = (
        "data", "rows x columns", "peer", "fit zoo, s", "fit peer, s", "fit, clock", "fit, CPU",
        "predict, clock", "predict, CPU", "metric zoo", "metric peer", "difference",
    )  # fmt: skip
    print(f"\n{THREADS} threads a side, {SEEDS} seeds\n")
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")


def boosting(*names: str) -> None:
    """Compare boosting with all peers."""
    head()
    for name in chosen(*names):
        X, y, classify = load(name)
        large = len(X) > 500_000
        compare(name, X, y, classify, peers(classify, 20 if large else 100), 2 if large else SEEDS)


def boosting_binary() -> None:
    """Two classes; a million rows take 20 rounds and two seeds."""
    boosting("synthetic100k", "synthetic1000k", "hastie", "adult", "higgs")


def boosting_real() -> None:
    """Regressions."""
    boosting("friedman1", "california", "diamonds", "protein")


def multiclass() -> None:
    """Five, seven and ten classes."""
    boosting("sleep", "covtype_20k", "optdigits")


def predict() -> None:
    """Predict 1,000 and 100,000 rows with 100 trees; ratios by the clock and of the processor."""
    print("\n| data | rows | peer | zoo, ms | peer, ms | clock | CPU |\n" + "|---" * 7 + "|")
    for name in chosen("synthetic100k", "adult", "higgs", "california", "protein", "optdigits"):
        X, y, classify = load(name)
        models = {side: make().fit(X[:20_000], y[:20_000]) for side, make in peers(classify).items()}
        models.pop("LightGBM quantised", None)
        for rows in (1_000, 100_000):
            Z = np.concatenate([X] * (rows // len(X) + 1))[:rows]
            calls = max(1, 10_000 // rows)
            took: dict[str, list] = {side: [] for side in models}
            for _ in range(max(SEEDS, 3)):
                for side, model in models.items():
                    seconds, _ = timed(lambda m=model, Z=Z, k=calls: [m.predict(Z) for _ in range(k)])
                    took[side].append(seconds / calls)
            best = {side: np.median(v, axis=0) for side, v in took.items()}
            for side in list(models)[1:]:
                a, b = best["zoo"], best[side]
                print(
                    f"| {name} | {rows} | {side} | {1e3 * a[0]:.2f} | {1e3 * b[0]:.2f} | "
                    f"{b[0] / a[0]:.1f} | {b[1] / a[1]:.1f} |",
                    flush=True,
                )


def forest() -> None:
    """Forests of 20 full trees, and one tree; Intel's extension where it is installed."""
    head()
    seeds = min(SEEDS, 3)
    for name in chosen("synthetic100k", "adult", "california", "protein"):
        X, y, classify = load(name)
        kind = "Classifier" if classify else "Regressor"
        if np.isnan(X).any():
            X = np.nan_to_num(X, nan=-1.0)
        m = "sqrt" if classify else 1.0
        ours, theirs = (getattr(a, "RandomForest" + kind) for a in (zoo, ensemble))
        # The same columns a node: the defaults for regressions differ.
        sides: Sides = {
            "zoo forest": lambda ours=ours, m=m: ours(n_estimators=20, max_features=m, n_jobs=THREADS),
            "sklearn forest": lambda t=theirs, m=m: t(20, max_features=m, n_jobs=THREADS),
        }
        if installed("sklearnex"):
            from sklearnex import ensemble as intel

            fast = getattr(intel, "RandomForest" + kind)
            sides["Intel forest"] = lambda f=fast, m=m: f(20, max_features=m, n_jobs=THREADS)
        compare(name, X, y, classify, sides, seeds)
        ours, theirs = (getattr(a, "DecisionTree" + kind) for a in (zoo, tree))
        compare(name, X, y, classify, {"zoo tree": ours, "sklearn tree": theirs}, seeds)


def adaboost() -> None:
    """Twenty stumps on 100k x 28: time is linear in their number."""
    head()
    X, y = synthetic(125_000)
    sides: Sides = {
        "zoo": lambda: zoo.AdaBoostClassifier(n_estimators=20, n_jobs=THREADS),
        "sklearn AdaBoost": lambda: ensemble.AdaBoostClassifier(n_estimators=20),
    }
    compare("synthetic100k", X, y, True, sides, min(SEEDS, 3))


def shap() -> None:
    """Shapley values of 100 trees of 31 leaves: shap's TreeExplainer on models of the same size."""
    import lightgbm
    import xgboost
    from shap import TreeExplainer

    print("\n| what | rows | peer | zoo, s | peer, s | CPU ratio |\n" + "|---" * 6 + "|")
    X, y = synthetic(20_000)
    ours = zoo.BoostingClassifier(n_jobs=1).fit(X, y)
    gbm = lightgbm.LGBMClassifier(n_jobs=1, verbose=-1).fit(X, y)
    xgb = xgboost.XGBClassifier(
        n_estimators=100, max_leaves=31, max_depth=0, grow_policy="lossguide", n_jobs=1
    ).fit(X, y)
    bag = ensemble.RandomForestRegressor(20, max_features="sqrt", n_jobs=1).fit(X[:5000], y[:5000])
    own_bag = zoo.RandomForestRegressor(n_estimators=20, max_features="sqrt", n_jobs=1).fit(
        X[:5000], y[:5000]
    )
    Z = X[1000:1100]
    rows = (
        ("path-dependent, boosting", 1000, "shap, XGBoost model", ours, None, TreeExplainer(xgb)),
        ("path-dependent, boosting", 1000, "shap, LightGBM model", ours, None, TreeExplainer(gbm)),
        ("path-dependent, full forest", 100, "shap, sklearn model", own_bag, None, TreeExplainer(bag)),
        ("interventional, boosting, 100 background rows", 200, "shap, XGBoost model", ours, Z,
         TreeExplainer(xgb, Z, feature_perturbation="interventional")),
        ("interventional, full forest, 100 background rows", 50, "shap, sklearn model", own_bag, Z,
         TreeExplainer(bag, Z, feature_perturbation="interventional")),
    )  # fmt: skip
    for what, n, peer, model, background, explainer in rows:
        model.shap_values(X[:3], background)
        explainer.shap_values(X[:3], check_additivity=False)
        a, b = [], []
        for _ in range(3):
            a.append(timed(lambda m=model, n=n, z=background: m.shap_values(X[:n], z))[0][1])
            b.append(timed(lambda e=explainer, n=n: e.shap_values(X[:n], check_additivity=False))[0][1])
        print(f"| {what} | {n} | {peer} | {min(a):.3f} | {min(b):.3f} | {min(b) / min(a):.1f} |", flush=True)


def _run(code: str, **env: str) -> str:
    """Run code in a fresh process; return what it printed last."""
    before = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", before + code],
        capture_output=True, text=True, env={**os.environ, **env},
    )  # fmt: skip
    return out.stdout.strip().split("\n")[-1] if out.returncode == 0 else out.stderr[-200:]


def memory() -> None:
    """Peak of the memory above the data, each side in a process of its own, 20 rounds."""
    code = """
import bench_trees as b
X, y = b.synthetic({n}); make = {make}
make().fit(X[:2000], y[:2000])
open('/proc/self/clear_refs', 'w').write('5')
rss = lambda k: [int(l.split()[1]) for l in open('/proc/self/status') if l.startswith(k)][0] / 1024
a = rss('VmRSS'); make().fit(X, y); print(round(rss('VmHWM') - a))
"""
    print("\n| model | rows x 28 | side | peak MB above data |\n|---|---|---|---|")
    for n in (100_000, 1_000_000):
        for side in peers(True):
            if side != "LightGBM quantised":
                got = _run(code.format(n=n, make=f"b.peers(True, 20)[{side!r}]"))
                print(f"| boosting | {n} | {side} | {got} |", flush=True)
    for side, make in (
        ("zoo", f"lambda: b.zoo.RandomForestClassifier(n_estimators=20, n_jobs={THREADS})"),
        ("sklearn", f"lambda: b.ensemble.RandomForestClassifier(20, n_jobs={THREADS})"),
    ):
        print(f"| forest | 100000 | {side} | {_run(code.format(n=100_000, make=make))} |", flush=True)


def scaling() -> None:
    """Time of ten times the rows over the time of the rows, 50 rounds."""
    times = []
    for n in (100_000, 1_000_000):
        X, y = synthetic(n)
        make = peers(True, 50)["zoo"]
        make().fit(X[:5000], y[:5000])
        times.append(np.min([timed(lambda X=X, y=y, m=make: m().fit(X, y))[0] for _ in range(3)], axis=0))
    print("\n| rows x 28 | clock, s | CPU, s |\n|---|---|---|")
    for n, t in zip(("100k", "1M"), times, strict=True):
        print(f"| {n} | {t[0]:.2f} | {t[1]:.2f} |")
    print("| 1M / 100k | {:.1f} | {:.1f} |".format(*(times[1] / times[0])), flush=True)


def firstuse() -> None:
    """CPU seconds of compiling everything from a cold cache, and of a warm first fit."""
    clock = "import time, zoo\nfrom sklearn.datasets import load_iris\n"
    data = "X, y = load_iris(return_X_y=True)\n"
    fit = (
        "import zoo.trees.boosting, zoo.trees.random_forest\nc = time.process_time()\n"
        "zoo.{}(n_estimators=10).fit(X, y)\nprint(round(time.process_time() - c, 2))"
    )
    warm = (
        "c = time.process_time()\nzoo.trees.warmup()\nprint(round(time.process_time() - c, 2))"
    )  # fmt: skip
    print("\n| first use | CPU s |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        start = clock + "import zoo.trees\n"
        print(f"| warmup() from a cold cache | {_run(start + warm, NUMBA_CACHE_DIR=folder)} |", flush=True)
        for leaf in ("BoostingClassifier", "RandomForestClassifier"):
            took = _run(clock + data + fit.format(leaf), NUMBA_CACHE_DIR=folder)
            print(f"| first fit of {leaf} from a warm cache | {took} |", flush=True)


def overhead() -> None:
    """What missing values, categories and a second thread cost."""
    X, y = synthetic(50_000)
    few, few_y = X[:1000], y[:1000]
    holes = X.copy()
    holes[np.arange(28), np.arange(28)] = np.nan
    frame = pd.DataFrame(X).rename(columns=str)
    make = peers(True)["zoo"]
    boost = zoo.BoostingClassifier
    cases = {
        "array, 50k x 28": lambda: make().fit(X, y),
        "DataFrame": lambda: make().fit(frame, y),
        "one missing value a column": lambda: make().fit(holes, y),
        "1,000 rows, one thread": lambda: boost(n_jobs=1).fit(few, few_y),
        "1,000 rows, all threads": lambda: boost().fit(few, few_y),
        "5,000 rows, one thread": lambda: boost(n_jobs=1).fit(X[:5000], y[:5000]),
        "5,000 rows, all threads": lambda: boost().fit(X[:5000], y[:5000]),
    }
    took: dict[str, list] = {name: [] for name in cases}
    for _ in range(7):
        for name, call in cases.items():
            took[name].append(timed(call)[0])
    print("\n| fit of 100 trees | clock, s | CPU, s |\n|---|---|---|")
    for name, seconds in took.items():
        print("| {} | {:.3f} | {:.3f} |".format(name, *np.median(seconds, axis=0)), flush=True)


def rank() -> None:
    """Defaults of all sides on the real sets, 5 folds: the mean rank (1 is best)."""
    makes: dict[bool, Sides] = {}
    for classify in (True, False):
        kind = "Classifier" if classify else "Regressor"
        makes[classify] = {"zoo": getattr(zoo, "Boosting" + kind)}
        makes[classify]["HistGradientBoosting"] = getattr(ensemble, "HistGradientBoosting" + kind)
        if installed("lightgbm"):
            import lightgbm

            lgb = getattr(lightgbm, "LGBM" + kind)
            makes[classify]["LightGBM"] = lambda lgb=lgb: lgb(verbose=-1)
        if installed("xgboost"):
            import xgboost

            makes[classify]["XGBoost"] = getattr(xgboost, "XGB" + kind)
    sides = list(makes[True])
    print("\n| data | " + " | ".join(sides) + " |\n" + "|---" * (len(sides) + 1) + "|")
    ranks = []
    for name in chosen("adult", "higgs", "covtype_20k", "optdigits", "california", "diamonds", "protein"):
        X, y, classify = load(name)
        folds = (StratifiedKFold if classify else KFold)(5, shuffle=True, random_state=0)
        got = np.array([
            [metric(makes[classify][s]().fit(X[a], y[a]), X[b], y[b], classify) for s in sides]
            for a, b in folds.split(X, y)
        ])  # fmt: skip
        mean = got.mean(axis=0)
        ranks.append((-mean).argsort().argsort() + 1)
        print(f"| {name} | " + " | ".join(f"{v:.4f}" for v in mean) + " |", flush=True)
    print("| mean rank | " + " | ".join(f"{v:.2f}" for v in np.mean(ranks, axis=0)) + " |", flush=True)


SECTIONS = {
    "boosting-binary": boosting_binary,
    "boosting-real": boosting_real,
    "multiclass": multiclass,
    "predict": predict,
    "forest": forest,
    "adaboost": adaboost,
    "shap": shap,
    "memory": memory,
    "scaling": scaling,
    "firstuse": firstuse,
    "overhead": overhead,
    "rank": rank,
}

if __name__ == "__main__":
    for section in sys.argv[1:] or SECTIONS:
        print(f"\n## {section}")
        SECTIONS[section]()
