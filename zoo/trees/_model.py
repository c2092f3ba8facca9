"""Grown trees as arrays, and the kernels that run rows through them.

A model is a dict of arrays, so that it can be saved without code: nodes of all trees one after
another; children of node i are ``left[i]`` and ``left[i] + 1``; a leaf is its own child and its
threshold is infinite, so that a row that has arrived stays where it is.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

BLOCK = 32
"""Rows that walk down a tree together: independent loads hide each other's latency."""
PIECE = 8192
"""Rows of one task when threads share a prediction."""


def empty_model():
    """Make a model without trees."""
    return {
        "root": np.empty(0, np.int64),
        "output": np.empty(0, np.int64),
        "depth": np.empty(0, np.int64),
        "left": np.empty(0, np.int32),
        "feature": np.empty(0, np.int32),
        "threshold": np.empty(0),
        "missing_left": np.empty(0, np.uint8),
        "set_at": np.empty(0, np.int32),
        "sets": np.empty((0, 4), np.uint64),
        "value": np.empty(0),
        "gain": np.empty(0),
        "weight": np.empty(0),
        "count": np.empty(0, np.int64),
    }


def join_trees(model, trees, outputs, bins):
    """Append grown trees to a model: bins become thresholds; ``outputs`` says what each adds to."""
    parts = {name: [a] for name, a in model.items()}
    start, n_sets = len(model["left"]), len(model["sets"])
    edges = [np.append(e, np.inf) for e in bins.edges]
    for tree, output in zip(trees, outputs, strict=True):
        inner = tree.feature >= 0
        is_set = inner & (bins.is_cat[tree.feature] != 0)
        threshold = np.full(len(tree.left), np.inf)
        for i in np.flatnonzero(inner & ~is_set):
            threshold[i] = edges[tree.feature[i]][tree.bin[i]]
        set_at = np.full(len(tree.left), -1, np.int32)
        set_at[is_set] = n_sets + np.arange(is_set.sum())
        parts["root"].append([start])
        parts["output"].append([output])
        parts["depth"].append([tree.depth.max()])
        parts["left"].append(tree.left + np.int32(start))
        parts["threshold"].append(threshold)
        parts["set_at"].append(set_at)
        parts["sets"].append(tree.set[is_set])
        for name in ("feature", "missing_left", "value", "gain", "weight", "count"):
            parts[name].append(getattr(tree, name))
        start += len(tree.left)
        n_sets += int(is_set.sum())
    return {name: np.concatenate(p).astype(model[name].dtype) for name, p in parts.items()}


def cut_model(model, first, last):
    """Take the trees first .. last - 1 of a model; their nodes keep their places."""
    part = {name: model[name][first:last] for name in ("root", "output", "depth")}
    return model | part


def drop_trees(model, n):
    """Keep the first n trees only."""
    if n >= len(model["root"]):
        return model
    end = int(model["root"][n])
    part = {name: a[:end] for name, a in model.items() if name not in _NOT_NODES}
    part |= {name: model[name][:n] for name in ("root", "output", "depth")}
    n_sets = int(part["set_at"].max(initial=-1)) + 1
    return {name: np.ascontiguousarray(a) for name, a in (part | {"sets": model["sets"][:n_sets]}).items()}


_NOT_NODES = ("root", "output", "depth", "sets")


def pick_tree(model, t):
    """Take one tree of a model, its nodes numbered from 0."""
    a = int(model["root"][t])
    b = int(model["root"][t + 1]) if t + 1 < len(model["root"]) else len(model["left"])
    one = {name: x[a:b] for name, x in model.items() if name not in _NOT_NODES and len(x)}
    one["left"] = one["left"] - np.int32(a)
    one["sets"] = model["sets"]
    return one


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(
    X, s, e, root, output, depth, link, threshold, missing_left, set_at, sets, codes,
    n_codes, value, out, leaves,
):  # fmt: skip
    """Add the values of the leaves that rows s .. e reach to ``out``, or note the leaves."""
    p = X.shape[1]
    x = np.empty(BLOCK * p)
    at = np.zeros(BLOCK, np.int64)
    general = sets.shape[0] > 0
    note = leaves.shape[0] > 0
    width = value.shape[1]
    for a in range(s, e, BLOCK):
        m = min(BLOCK, e - a)
        missing = False
        for i in range(m):
            for j in range(p):
                v = np.float64(X[a + i, j])
                x[i * p + j] = v
                missing |= np.isnan(v)
        for t in range(root.shape[0]):
            for i in range(BLOCK):
                at[i] = root[t]
            if general:
                for _ in range(depth[t]):
                    for i in range(m):
                        node = at[i]
                        j = link[node] & 0xFFFFFF
                        v = x[i * p + j]
                        if set_at[node] >= 0:
                            # Where the value is among the known categories of its column.
                            lo, hi = 0, n_codes[j]
                            while lo < hi:
                                mid = (lo + hi) >> 1
                                if codes[j, mid] < v:
                                    lo = mid + 1
                                else:
                                    hi = mid
                            known = lo < n_codes[j] and codes[j, lo] == v
                            b = np.uint64(lo if known else n_codes[j])
                            q = sets[set_at[node], b >> np.uint64(6)] >> (b & np.uint64(63))
                            right = np.int64(1) - np.int64(q & np.uint64(1))
                        elif np.isnan(v):
                            right = np.int64(missing_left[node] == 0)
                        else:
                            right = np.int64(v > threshold[node])
                        at[i] = (link[node] >> 24) + right
            elif missing:
                for _ in range(depth[t]):
                    for i in range(BLOCK):
                        node = np.uint64(at[i])
                        step = link[node]
                        v = x[np.uint64(i * p + (step & 0xFFFFFF))]
                        right = np.int64(v > threshold[node])
                        right |= np.int64(v != v) & np.int64(missing_left[node] == 0)
                        at[i] = (step >> 24) + right
            else:
                for _ in range(depth[t]):
                    for i in range(BLOCK):
                        node = np.uint64(at[i])
                        step = link[node]
                        v = x[np.uint64(i * p + (step & 0xFFFFFF))]
                        at[i] = (step >> 24) + np.int64(v > threshold[node])
            k = output[t]
            if note:
                for i in range(m):
                    leaves[a + i, t] = at[i]
            else:
                for i in range(m):
                    for v in range(width):
                        out[k + v, a + i] += value[at[i], v]


def _codes(bins_edges, is_cat):
    """Known categories of each column, as one table."""
    n_codes = np.array([len(e) if c else 0 for e, c in zip(bins_edges, is_cat, strict=True)])
    codes = np.zeros((len(n_codes), max(1, n_codes.max(initial=0))))
    for j, k in enumerate(n_codes):
        codes[j, :k] = bins_edges[j] if k else []
    return codes, n_codes.astype(np.int64)


def threads_for(n_rows, n_jobs):
    """Threads that a prediction of n_rows rows should use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    n_jobs = -1 if n_jobs is None else n_jobs
    asked = max(1, cores + 1 + n_jobs) if n_jobs < 0 else n_jobs
    return max(1, min(asked, n_rows // PIECE))


def _as_rows(value):
    return value if value.ndim == 2 else value[:, None]


def _run(model, categories, X, out, leaves, n_jobs):
    codes, n_codes = categories
    arrays = (
        model["root"], model["output"], model["depth"],
        # Where to go and what to look at in one number: one load less at each step.
        (model["left"].astype(np.int64) << 24) + np.maximum(model["feature"], 0),
        model["threshold"], model["missing_left"],
        model["set_at"], model["sets"], codes, n_codes,
        _as_rows(model["value"]),
    )  # fmt: skip
    if not (X.flags.c_contiguous or X.flags.f_contiguous):
        X = np.ascontiguousarray(X)
    n = len(X)
    k = threads_for(n, n_jobs)
    if k == 1:
        _walk(X, 0, n, *arrays, out, leaves)
        return
    with ThreadPoolExecutor(k) as pool:
        list(
            pool.map(
                lambda s: _walk(X, s, min(n, s + PIECE), *arrays, out, leaves),
                range(0, n, PIECE),
            )
        )


_NO_OUT = np.empty((0, 0))
_NO_LEAVES = np.empty((0, 0), np.int32)


def add_predictions(model, categories, X, out, n_jobs=1):
    """Add what each tree says of each row to ``out`` (outputs, n)."""
    _run(model, categories, X, out, _NO_LEAVES, n_jobs)


def find_leaves(model, categories, X, n_jobs=1):
    """Find the node of each tree in which each row ends, (n, trees)."""
    leaves = np.empty((len(X), len(model["root"])), np.int32)
    _run(model, categories, X, _NO_OUT, leaves, n_jobs)
    return leaves
