"""Rows run down deep trees: what forests and single trees predict with.

A node is two words side by side, its cut and its link, ``left << 24 | missing_left << 23 | column``:
a step reads one piece of memory. A leaf is its own child, since its cut is infinite. Where there are
many trees of one value a leaf asks a column of -inf instead, which stands before the others, so that
its cut can hold the value. Trees stand outside and rows inside: a tree stays near while thousands of
rows pass. Rows that have arrived leave the race.
"""

import numpy as np

from zoo.engines.trees import prediction
from zoo.engines.trees.memory import door

BLOCK = 128
"""Rows that run together: independent loads hide each other's latency."""
NEAR = 1 << 18
"""Cells of a table that pass a tree at a time: fewer would fetch each tree too often."""
FEW_TREES = 4
"""So few trees do not pay for a table with one more column."""
STEPS = 6
"""Steps between two looks at who has arrived."""
COLUMN, LEFT_IF_MISSING, SHIFT = np.int64((1 << 23) - 1), np.int64(23), np.int64(24)


@door
def descend(x, width, holes, root, cut, link, value, out):
    """Add the values of the leaves that rows reach to ``out`` (rows, values).

    ``x`` is flat, ``width`` cells a row; ``cut`` and ``link`` are the same memory. ``holes`` tells
    whether anything is missing. Without ``value`` leaves hold theirs.
    """
    n = x.shape[0] // width
    at, base, who = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    end = np.empty(BLOCK, np.int64)
    for t in range(root.shape[0]):
        for a in range(0, n, BLOCK):
            m = min(BLOCK, n - a)
            for i in range(m):
                at[i], base[i], who[i] = root[t], (a + i) * width, i
            live = np.uint64(m)
            while live > np.uint64(0):
                for _ in range(STEPS):
                    for i in range(live):
                        k = np.uint64(at[i] << 1)
                        step = link[k + np.uint64(1)]
                        v = x[np.uint64(base[i] + (step & COLUMN))]
                        right = np.int64(v > cut[k])
                        if holes:
                            right |= np.int64(v != v) & ~(step >> LEFT_IF_MISSING) & 1
                        at[i] = (step >> SHIFT) + right
                going = np.uint64(0)
                for i in range(live):
                    k, b, w = at[i], base[i], who[i]
                    end[w] = k
                    at[going], base[going], who[going] = k, b, w
                    going += np.uint64((link[np.uint64((k << 1) + 1)] >> SHIFT) != k)
                live = going
            for i in range(m):
                k = end[i]
                if value.shape[0] == 0:
                    out[a + i, 0] += cut[k << 1]
                else:
                    for v in range(value.shape[1]):
                        out[a + i, v] += value[k, v]


def _is_alone(root, value):
    """Tell whether leaves hold their values themselves."""
    return value.shape[1] == 1 and len(root) > FEW_TREES


def _make_nodes(root, value, left, feature, threshold, missing_left):
    alone, leaf = _is_alone(root, value), feature < 0
    nodes = np.empty((len(left), 2), np.int64)
    cut = nodes.view(np.float64)[:, 0]
    cut[:] = np.where(leaf, value[:, 0], threshold) if alone else threshold
    nodes[:, 1] = (left.astype(np.int64) << SHIFT) | (missing_left.astype(np.int64) << LEFT_IF_MISSING)
    nodes[:, 1] |= np.where(leaf, 0, feature + alone)
    return nodes.reshape(-1)


_ASKED = ("root", "value", "left", "feature", "threshold", "missing_left")


def _run(model, X, out, n_jobs):
    n, p = X.shape
    root = model["root"]
    alone = _is_alone(root, model["value"])
    link = prediction.made_once(_make_nodes, *(model[name] for name in _ASKED))
    value = np.empty((0, 1)) if alone else model["value"].astype(np.float64, copy=False)
    threads = prediction.threads_for(n, n_jobs)
    piece = min(max(BLOCK, NEAR // (p + 1)), -(-n // threads))

    def walk(s):
        x = X[s : s + piece]
        if alone:
            x = np.full((len(x), p + 1), -np.inf)
            x[:, 1:] = X[s : s + piece]
        x = np.ascontiguousarray(x, dtype=np.float64).reshape(-1)
        # What is missing is missing in the sum.
        with np.errstate(invalid="ignore"):
            holes = bool(np.isnan(x.sum()))
        descend(x, p + alone, holes, root, link.view(np.float64), link, value, out[s : s + piece])

    prediction.in_pieces(walk, n, piece, threads)


def sum_of_trees(model, categories, X, n_jobs):
    """Sum over the trees of what they say of each row, (n, values)."""
    out = np.zeros((len(X), model["value"].shape[1]))
    if len(model["sets"]):
        by_value = np.zeros(out.shape[::-1])
        prediction.add_predictions(model, categories, X, by_value, n_jobs)
        return by_value.T
    _run(model, X, out, n_jobs)
    return out
