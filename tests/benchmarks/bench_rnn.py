"""RNNClassifier (GRU) beside 1-NN and scikit-learn's MLP on four archive sets.

``python tests/benchmarks/bench_rnn.py``; official splits, the settings below chosen by 5-fold
cross-validation on the training parts (``choose``), the test part scored once for three seeds.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo import RNNClassifier

DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[3] / "shared" / "data"))
SETS = ("ItalyPowerDemand", "GunPoint", "BasicMotions", "JapaneseVowels")
GRID = {"pooling": ["last", "mean", "max", "all"], "bidirectional": [False, True]}


def load(name: str) -> tuple[np.ndarray, ...]:
    """Return X_train, y_train, X_test, y_test; padding is nan."""
    d = np.load(DATA / "series_class" / f"{name}.npz")
    return d["X_train"], d["y_train"], d["X_test"], d["y_test"]


def flat(X: np.ndarray) -> np.ndarray:
    """Flatten and put zeros where series have ended."""
    return np.nan_to_num(X).reshape(len(X), -1)


def choose() -> None:
    """Print the mean accuracy over the four training sets of each setting."""
    total = 0.0
    for name in SETS:
        X, y, *_ = load(name)
        cv = StratifiedKFold(5, shuffle=True, random_state=0)
        search = GridSearchCV(RNNClassifier(random_state=0), GRID, cv=cv, refit=False, n_jobs=1)
        search.fit(X, y)
        total = total + search.cv_results_["mean_test_score"]
        print(name, np.round(search.cv_results_["mean_test_score"], 3), flush=True)
    for setting, mean in zip(search.cv_results_["params"], total / len(SETS), strict=True):
        print(f"{mean:.4f} {setting}")


def main() -> None:
    """Print the table."""
    print("| set | 1-NN | MLP (scikit-learn) | RNNClassifier, 3 seeds | CPU s a fit |")
    print("|---|---|---|---|---|")
    rows = []
    for name in SETS:
        X, y, X_test, y_test = load(name)
        neighbour = KNeighborsClassifier(1).fit(flat(X), y).score(flat(X_test), y_test)
        mlp = np.mean(
            [
                make_pipeline(StandardScaler(), MLPClassifier(max_iter=1000, random_state=seed))
                .fit(flat(X), y)
                .score(flat(X_test), y_test)
                for seed in range(3)
            ]
        )
        start = time.process_time()
        ours = [
            RNNClassifier(random_state=seed).fit(X, y).score(X_test, y_test) for seed in range(3)
        ]
        seconds = (time.process_time() - start) / 3
        rows.append((neighbour, mlp, np.mean(ours)))
        seeds = ", ".join(f"{a:.3f}" for a in ours)
        print(f"| {name} | {neighbour:.3f} | {mlp:.3f} | {np.mean(ours):.3f} ({seeds}) | "
              f"{seconds:.1f} |", flush=True)  # fmt: skip
    print("| mean | " + " | ".join(f"{m:.3f}" for m in np.mean(rows, axis=0)) + " | |")


if __name__ == "__main__":
    choose() if "choose" in sys.argv else main()
