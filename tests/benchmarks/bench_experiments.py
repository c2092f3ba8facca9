"""A spec of 15 lines beside a HistGradientBoosting tuned by hand, on rows that neither has seen.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_experiments.py [section ...]

Sections: adult, california, titanic, reading. The three data sets lie in the folder that ZOO_DATA
names. For each, the winner of `zoo.experiment.run` on examples/specs/NAME.yaml and a
HistGradientBoosting of scikit-learn, whose learning rate, leaves, l2 penalty and number of trees were
chosen by cross-validation on the same rows, predict the same held-out rows. `difference` is the spec's
winner minus HistGradientBoosting; its standard error comes from 1,000 bootstrap draws of the held-out
rows, both sides on the same draws. Bar: the difference is above minus two standard errors. `reading`
times reading, checking and publishing specs.
"""

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV

from zoo import experiment
from zoo.experiment.spec import dump, read, schema

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ZOO_DATA", ROOT.parent / "shared" / "data")) / "tabular"
SPECS = ROOT / "examples" / "specs"


def row(*cells):
    """Print one line of a markdown table."""
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def header(*names):
    """Print the head of a markdown table."""
    print()
    row(*names)
    row(*["---"] * len(names))


def tuned_by_hand(data):
    """HistGradientBoosting as somebody who knows it would tune it: a grid of what matters."""
    words = data.of_kind("text")
    X, X_test = data.X.drop(columns=words), data.X_test.drop(columns=words)
    for name in data.of_kind("category"):
        if X[name].nunique() > 200:  # more than it takes: the common ones, and the rest together
            common = X[name].value_counts().index[:200]
            X = X.assign(**{name: X[name].where(X[name].isin(common)).cat.set_categories(common)})
            X_test = X_test.assign(
                **{name: X_test[name].where(X_test[name].isin(common)).cat.set_categories(common)}
            )
    small = len(X) < 5000
    grid = {
        "learning_rate": [0.03, 0.1] if small else [0.05, 0.1],
        "max_leaf_nodes": [4, 8, 16] if small else [15, 31, 63],
        "l2_regularization": [0.0, 10.0] if small else [1.0],
    }
    kind = HistGradientBoostingClassifier if data.task == "classification" else HistGradientBoostingRegressor
    model = kind(max_iter=100 if small else 300, early_stopping=False, random_state=0)
    scoring = "roc_auc" if data.task == "classification" else "r2"
    return GridSearchCV(model, grid, cv=5 if small else 3, scoring=scoring).fit(X, data.y), X_test


def scores(data, model, X_test):
    """Metric -> function of rows of the held-out part."""
    y = data.y_test
    if data.task == "regression":
        predicted = model.predict(X_test)
        return {"r2": lambda rows: r2_score(y[rows], predicted[rows])}
    predicted = model.predict(X_test)
    p = model.predict_proba(X_test)[:, 1]
    return {
        "accuracy": lambda rows: accuracy_score(y[rows], predicted[rows]),
        "roc_auc": lambda rows: roc_auc_score(y[rows], p[rows]),
    }


def compare(name):
    """One data set: both sides on the rows that are held out."""
    spec = read(SPECS / f"{name}.yaml", data=DATA)
    lines = (SPECS / f"{name}.yaml").read_text().splitlines()
    lines = sum(not line.startswith("#") for line in lines)
    data = spec.load_data()
    start = time.process_time()
    result = experiment.run(spec, progress=False)
    ours = time.process_time() - start
    start = time.process_time()
    tuned, X_test = tuned_by_hand(data)
    theirs = time.process_time() - start
    winner = result.findings["winner"]
    mine, other = scores(data, result.model, data.X_test), scores(data, tuned, X_test)
    rng = np.random.default_rng(0)
    n = len(data.y_test)
    draws = [rng.integers(0, n, n) for _ in range(1000)]
    for metric in mine:
        everything = np.arange(n)
        a, b = mine[metric](everything), other[metric](everything)
        error = np.std([mine[metric](rows) - other[metric](rows) for rows in draws])
        fine = "yes" if a - b > -2 * error else "NO"
        row(
            name, lines, n, winner["model"], metric, f"{a:.4f}", f"{b:.4f}", f"{a - b:+.4f}", f"{error:.4f}",
            fine, f"{ours:.0f}", f"{theirs:.0f}",
        )  # fmt: skip


def reading():
    """CPU milliseconds of what a spec costs before any data are read."""
    header("what", "CPU ms (median of 20)")
    path = SPECS / "titanic.yaml"
    spec = read(path, data=DATA)
    data = spec.load_data() if DATA.exists() else None
    calls = {
        "read a spec of 15 lines": lambda: read(path, data=DATA if DATA.exists() else None),
        "write it": lambda: dump(spec),
        "JSON Schema": schema,
    }
    if data is not None:
        calls["read the data of titanic"] = spec.load_data
        calls["resolve, make candidates and plan"] = lambda: (spec.candidates(data), spec.plan(data))
    for name, call in calls.items():
        seconds = []
        for _ in range(20):
            start = time.process_time()
            call()
            seconds.append(time.process_time() - start)
        row(name, f"{1000 * float(np.median(seconds)):.1f}")


def main(sections):
    """Run the named sections, or all of them."""
    warnings.simplefilter("ignore")
    names = ("adult", "california", "titanic")
    asked = sections or [*names, "reading"]
    tables = [s for s in asked if s in names]
    if tables:
        header(
            "data", "lines", "held-out rows", "winner", "metric", "spec", "tuned by hand", "difference",
            "standard error", "within noise or better", "CPU s spec", "CPU s by hand",
        )  # fmt: skip
    for name in tables:
        compare(name)
    if "reading" in asked:
        reading()


if __name__ == "__main__":
    main(sys.argv[1:])
