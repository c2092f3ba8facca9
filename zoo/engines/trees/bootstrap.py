"""What bootstrap samples tell beyond the mean: quantiles from leaves, importances out of the bag.

A forest's prediction is a weighted mean of training targets; the same weights give a distribution
(Meinshausen 2006). ``Rows`` keep, for every leaf, the training rows that a tree drew into it; a row
that was drawn twice is there twice.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from zoo.engines.trees.prediction import threads_for
from zoo.engines.trees.sparse_table import dense_columns, issparse

PIECE = 1024
"""Rows whose leaves are held at a time."""


def bag(seed, n, m):
    """How often a tree drew each of n rows, m draws in all; m = 0: each once."""
    return np.bincount(drawn_rows(seed, n, m), minlength=n)


def drawn_rows(seed, n, m):
    """Rows that a tree drew, one after another."""
    return np.arange(n) if m == 0 else np.random.RandomState(seed).randint(0, n, m)


def no_rows():
    """Rows of a forest without trees."""
    return {"row": np.empty(0, np.int32), "start": np.zeros(1, np.int64)}


def add_rows(rows, trees, X, counts, offset=0):
    """Append the drawn rows of the last trees of a model; ``counts`` gives one array a tree.

    ``start[i] .. start[i + 1]`` are the places of node i; rows of X are numbered from ``offset``.
    """
    row, start = [rows["row"]], [rows["start"]]
    first, held = len(trees) - len(counts), len(rows["row"])
    ends = _ends(trees)
    for t, count in enumerate(counts, first):
        leaf = trees.part(t, t + 1).leaves(X)[:, 0] - ends[t]
        drawn = np.repeat(np.arange(X.shape[0], dtype=np.int32), count)
        row.append(drawn[np.argsort(leaf[drawn], kind="stable")] + np.int32(offset))
        in_node = np.bincount(leaf[drawn], minlength=ends[t + 1] - ends[t])
        start.append(held + np.cumsum(in_node))
        held += len(drawn)
    return {"row": np.concatenate(row), "start": np.concatenate(start)}


def _ends(trees):
    """Where each tree's nodes begin, and where the last ends."""
    return np.append(trees.arrays["root"], len(trees.arrays["left"]))


@njit(cache=True, nogil=True, error_model="numpy")
def _quantiles(leaf, row, start, seen, first, rank, w, value, q, out):
    """Quantiles q (rising) of the weighted targets that share the leaves of each row.

    ``rank`` is the place of each target in ``value``, the targets in order. ``seen`` (trees, n), if
    not empty, marks the rows that a tree drew: row i of the table, ``first + i`` of the training
    data, then passes over the trees that saw it.
    """
    n, n_trees = leaf.shape
    mass = np.zeros(value.shape[0])
    touched = np.zeros((value.shape[0] + 63) // 64, np.uint8)
    for i in range(n):
        total = 0.0
        for t in range(n_trees):
            if seen.shape[0] > 0 and seen[t, first + i]:
                continue
            a, b = start[leaf[i, t]], start[leaf[i, t] + 1]
            size = 0.0
            for e in range(a, b):
                size += w[row[e]]
            for e in range(a, b):
                r = rank[row[e]]
                mass[r] += w[row[e]] / size
                touched[r >> 6] = 1
            total += 1.0
        for k in range(q.shape[0]):
            out[i, k] = np.nan
        below, k = 0.0, 0
        for block in range(touched.shape[0]):
            if touched[block] == 0:
                continue
            touched[block] = 0
            for r in range(block * 64, min(value.shape[0], block * 64 + 64)):
                if mass[r] > 0.0:
                    below += mass[r]
                    mass[r] = 0.0
                    # The sum of shares is rounded: a quantile is reached when it is within that.
                    while k < q.shape[0] and below >= q[k] * total * (1 - 1e-12):
                        out[i, k] = value[r]
                        k += 1


def quantiles(trees, X, rows, y, w, q, oob):
    """Quantiles (n, targets, len(q)) of the targets in the leaves of each row of X."""
    Y = y.reshape(len(y), -1)
    out = np.empty((X.shape[0], Y.shape[1], len(q)))
    order = np.argsort(q, kind="stable")
    w = np.ones(len(Y)) if w is None else np.asarray(w, np.float64)
    ends = _ends(trees)
    seen = np.zeros((0, 0), bool)
    alone = trees.with_threads(1)  # pieces run in threads already
    if oob:
        seen = np.zeros((len(trees), len(Y)), bool)
        for t in range(len(seen)):
            a, b = rows["start"][ends[t]], rows["start"][ends[t + 1]]
            seen[t, rows["row"][a:b]] = True
    ranked = []
    for target in Y.T:
        place = np.argsort(target, kind="stable")
        rank = np.empty(len(Y), np.int64)
        rank[place] = np.arange(len(Y))
        ranked.append((rank, target[place].astype(np.float64)))

    def piece(s):
        e = min(X.shape[0], s + PIECE)
        leaf = alone.leaves(X[s:e])
        for j, (rank, value) in enumerate(ranked):
            own = np.empty((e - s, len(q)))
            _quantiles(leaf, rows["row"], rows["start"], seen, s, rank, w, value, q[order], own)
            out[s:e, j, order] = own

    threads = threads_for(X.shape[0] * 8, trees.n_jobs)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(piece, range(0, X.shape[0], PIECE)))
    return out


def permuted_errors(trees, X, counts, seeds, error):
    """Rise of each tree's out-of-bag error when a column is permuted, (columns, trees).

    ``error(values, rows)`` is the mean error of leaf values for these rows of X. A column that a
    tree does not ask raises nothing.
    """
    if issparse(X):
        own, asked = trees.narrowed()
        rise = np.zeros((X.shape[1], len(trees)))
        rise[asked] = permuted_errors(own, dense_columns(X, asked), counts, seeds, error)
        rise[:, np.isnan(rise).any(axis=0)] = np.nan
        return rise
    p, n_trees = X.shape[1], len(trees)
    rise = np.zeros((p, n_trees))
    ends, alone, model = _ends(trees), trees.with_threads(1), trees.arrays

    def one(t):
        out = np.flatnonzero(counts(t) == 0)
        if len(out) == 0:
            rise[:, t] = np.nan
            return
        part = alone.part(t, t + 1)
        Z = np.ascontiguousarray(X[out])

        def wrong():
            return error(model["value"][part.leaves(Z)[:, 0]], out)

        before = wrong()
        rng = np.random.RandomState([int(seeds[t]), 1])
        asked = model["feature"][ends[t] : ends[t + 1]]
        for j in np.unique(asked[asked >= 0]):
            own = Z[:, j].copy()
            Z[:, j] = rng.permutation(own)
            rise[j, t] = wrong() - before
            Z[:, j] = own

    with ThreadPoolExecutor(threads_for(n_trees * X.shape[0], trees.n_jobs)) as pool:
        list(pool.map(one, range(n_trees)))
    return rise
