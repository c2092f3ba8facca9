"""Many trees, each on rows of its own: growing them in threads, and what rows they did not see tell."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from zoo.engines.trees import bootstrap


def in_turn(make, seeds, threads):
    """Yield make(seed) in order; threads work a little ahead, so that a stop wastes few."""
    if threads == 1:
        # A thread of its own would get memory of its own, which is not given back.
        yield from map(make, seeds)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(make, s) for s in seeds[: 2 * threads])
        try:
            for i in range(len(seeds)):
                yield ahead.popleft().result()
                if i + 2 * threads < len(seeds):
                    ahead.append(pool.submit(make, seeds[i + 2 * threads]))
        finally:
            for future in ahead:
                future.cancel()


def fall_by_column(trees, p):
    """Mean over the trees of each column's share in the fall of the impurity; all add to 1."""
    total = np.zeros(p)
    for tree in trees:
        inner = tree.feature >= 0
        own = np.bincount(tree.feature[inner], tree.gain[inner], minlength=p)
        total += own / own.sum() if own.sum() > 0 else own
    return total / total.sum() if total.sum() > 0 else total


def mean_with(mean, n, shares):
    """Mean of shares of columns over n trees and others, of which each has its own."""
    total = np.sum(shares, axis=0) if shares else np.zeros(len(mean))
    whole = total / total.sum() if total.sum() > 0 else total
    return (mean * n + whole * len(shares)) / max(n + len(shares), 1)


def out_of_bag(trees, X, seeds, drawn):
    """Mean over the trees that did not see a row, (n, values); nan where all saw it."""
    n = X.shape[0]
    value = trees.arrays["value"]
    total, seen = np.zeros((n, value.shape[1])), np.zeros(n)
    for t, (seed, m) in enumerate(zip(seeds, drawn, strict=True)):
        out = bootstrap.bag(seed, n, m) == 0
        leaf = trees.part(t, t + 1).leaves(X[out])[:, 0]
        total[out] += value[leaf]
        seen += out
    with np.errstate(invalid="ignore"):
        return total / seen[:, None]
