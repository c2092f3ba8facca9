"""MLPClassifier beside scikit-learn's: CPU seconds and accuracy over 16 paired seeds.

``python tests/benchmarks/bench_mlp.py``; one thread on both sides, the same architecture, optimizer,
batch size and number of epochs, no early stop on either side; fits alternate and the order swaps.
Also the price of callback support when no callback is set.
"""

import os
import time
import warnings
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as Peer
from sklearn.preprocessing import StandardScaler

from zoo import MLPClassifier
from zoo.contract.steps import Steps

SEEDS = range(16)


def problem(n_features: int, seed: int) -> tuple[Any, ...]:
    """Make a 10-class problem of that width; float32, standardised for both sides."""
    X, y = make_classification(
        6000, n_features, n_informative=min(n_features, 15), n_redundant=0, n_classes=10,
        n_clusters_per_class=2, class_sep=1.5, random_state=seed,
    )  # fmt: skip
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.33, random_state=seed)
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = (scaler.transform(X).astype(np.float32) for X in (X_train, X_test))
    return X_train, X_test, y_train, y_test


def fit(model: Any, data: tuple[Any, ...]) -> tuple[float, float]:
    """Return CPU seconds of a fit and its test accuracy."""
    X_train, X_test, y_train, y_test = data
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X_train, y_train)
    return time.process_time() - start, model.score(X_test, y_test)


def main() -> None:
    """Print both tables."""
    print("| features | layers | epochs | ratio of CPU time, median (quartiles) | zoo s | "
          "accuracy zoo | accuracy scikit-learn | paired difference |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for n_features, layers, epochs in ((20, (64, 64), 20), (784, (100,), 10)):
        rows = []
        fit(MLPClassifier(max_epochs=1, random_state=0), problem(n_features, 99))  # warm up
        for seed in SEEDS:
            data = problem(n_features, seed)
            ours = MLPClassifier(
                hidden_layer_sizes=layers, max_epochs=epochs, batch_size=128, standardize=False,
                weight_decay=0.0, n_iter_no_change=None, random_state=seed,
            )  # fmt: skip
            theirs = Peer(
                layers, max_iter=epochs, batch_size=128, alpha=0.0, n_iter_no_change=10_000,
                random_state=seed,
            )  # fmt: skip
            first, second = (ours, theirs) if seed % 2 else (theirs, ours)
            a, b = fit(first, data), fit(second, data)
            rows.append((*(a if seed % 2 else b), *(b if seed % 2 else a)))
        zoo_s, zoo_a, peer_s, peer_a = np.array(rows).T
        low, mid, high = np.percentile(peer_s / zoo_s, [25, 50, 75])
        gap = zoo_a - peer_a
        print(f"| {n_features} | {layers} | {epochs} | {mid:.2f} ({low:.2f}-{high:.2f}) | "
              f"{np.median(zoo_s):.2f} | {zoo_a.mean():.4f} | {peer_a.mean():.4f} | "
              f"{gap.mean():+.4f} +- {gap.std() / 4:.4f} |", flush=True)  # fmt: skip

    n = 10**6
    steps = Steps(MLPClassifier(), None, None)
    start = time.process_time()
    for _ in steps(n, "epoch"):
        pass
    supported = time.process_time() - start
    start = time.process_time()
    for _ in range(n):
        pass
    plain = time.process_time() - start
    X, _, y, _ = problem(20, 0)
    model = MLPClassifier(max_epochs=20, random_state=0)
    seconds, _ = fit(model, (X, X, y, y))
    a_step = max(supported - plain, 0.0) / n
    print(f"\nCallback support with none set: {1e9 * a_step:.0f} ns a step, "
          f"{100 * a_step * model.n_iter_ / seconds:.6f} % of a fit of {seconds:.2f} s.")  # fmt: skip


if __name__ == "__main__":
    main()
