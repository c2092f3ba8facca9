"""From a table and targets to trees: codes, records, and the model that the record grower makes."""

import os
from typing import NamedTuple

import numpy as np

from zoo.trees import _bins, _forest, _model

EXACT_ROWS = 10_000
"""Up to this many rows every distinct value is a place to cut, unless bins are asked for."""
MORE_ROWS, MORE_CELLS = 50_000, 500_000
"""Likewise where a squared error feels the place of a cut and nodes are sorted, not counted."""


class Plot(NamedTuple):
    """A table in codes, and what turns cuts back into thresholds."""

    codes: np.ndarray  # uint8 or uint16 (n, p)
    n_codes: np.ndarray  # int64 (p)
    is_cat: np.ndarray  # uint8 (p)
    values: list  # distinct values of each column, or None
    edges: list  # upper limits of bins, or the known categories


def make_plot(X, max_bins, is_cat, w=None, squared=False):
    """Code a table: by rank of the distinct values, or by bins."""
    n, p = X.shape
    more = squared and n <= MORE_ROWS and X.size <= MORE_CELLS and not np.isnan(X).any()
    exact = max_bins is None and (n <= EXACT_ROWS or more)
    if not exact:
        bins = _bins.find_bins(X, max_bins or 255, is_cat, w, np.random.RandomState(0))
        cols, _ = _bins.encode(X, bins)
        return Plot(_bins.weave(cols)[:, :p], bins.n_bins, bins.is_cat, None, bins.edges)
    codes = np.empty((n, p), np.uint16)
    values, n_codes = [], np.empty(p, np.int64)
    for j in range(p):
        x = X[:, j].astype(np.float64)
        missing = np.isnan(x)
        if is_cat[j]:
            known = _bins.find_bins(X[:, [j]], 255, is_cat[[j]], w, None).edges[0]
            code = np.searchsorted(known, x)
            missing |= known[np.minimum(code, len(known) - 1)] != x if len(known) else True
        else:
            known, code = np.unique(x, return_inverse=True, equal_nan=True)
            known = known[: len(known) - missing.any()]
        code[missing] = len(known)
        codes[:, j], n_codes[j] = code, len(known)
        values.append(known)
    return Plot(codes, n_codes, np.asarray(is_cat, np.uint8), values, values)


class Targets(NamedTuple):
    """What trees predict, in the two forms that growing needs."""

    packed: np.ndarray  # float64 (n, q): y of regression or two classes; else the label
    classes: np.ndarray  # int64 (q): numbers of classes, empty when packed as w y
    dense: np.ndarray  # float64 (n, v): what leaves average
    criterion: int


def regression_targets(y, criterion, name):
    """Targets of a regression: centred for squares, as they are for Poisson."""
    Y = np.asarray(y, np.float64).reshape(len(y), -1)
    if criterion == "poisson" and (Y.min() < 0 or Y.max() <= 0):
        raise ValueError(
            f"{name}: criterion='poisson' needs y >= 0 with a positive sum, but y lies between "
            f"{Y.min()} and {Y.max()}; give counts or take another criterion."
        )
    known = {"poisson": _forest.POISSON, "absolute_error": _forest.ABSOLUTE}
    code = known.get(criterion, _forest.SQUARED)
    centred = Y - Y.mean(axis=0) if code == _forest.SQUARED else Y
    return Targets(centred, np.empty(0, np.int64), Y, code)


def class_targets(y, k, criterion):
    """Targets of a classification; two classes are numbers, 0 and 1."""
    if k == 2:
        code = _forest.SQUARED if criterion == "gini" else _forest.ENTROPY
        Y = y[:, None].astype(np.float64)
        return Targets(Y, np.empty(0, np.int64), Y, code)
    code = _forest.GINI if criterion == "gini" else _forest.ENTROPY
    dense = np.eye(k)[y]
    return Targets(y[:, None].astype(np.float64), np.array([k]), dense, code)


class Grown(NamedTuple):
    """One tree with all that its nodes know."""

    left: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    set_at: np.ndarray
    sets: np.ndarray
    value: np.ndarray  # (nodes, v)
    gain: np.ndarray  # fall of the impurity times the weight
    weight: np.ndarray
    count: np.ndarray  # type: ignore[assignment]  # hides tuple.count, which nobody calls
    depth: int


def _pack(targets, w):
    """Whole numbers (n, q) and the factor that turns their gains into falls of the criterion."""
    n = len(w)
    whole = bool((w == np.floor(w)).all()) and w.sum() < 2**31
    scale_w = 1.0 if whole else (2.0**31 - n) / w.sum()
    wq = np.floor(w * scale_w + 0.5).astype(np.int64)
    wq = np.maximum(wq, 1)
    if len(targets.classes):
        return (targets.packed.astype(np.int64) << 32) + wq[:, None], 1.0 / scale_w, scale_w
    y = targets.packed
    zero_one = _is_zero_one(targets)
    if zero_one:
        return ((wq[:, None] * y.astype(np.int64)) << 32) + wq[:, None], 1 / scale_w, scale_w
    # One scale for all outputs: their gains are added.
    size = (np.abs(y) * w[:, None]).sum(axis=0).max()
    scale_g = (2.0**31 - 2 - n) / size if size > 0 else 1.0
    g = np.floor(y * (w * scale_g)[:, None] + 0.5).astype(np.int64)
    factor = 1 / scale_g if targets.criterion == _forest.POISSON else scale_w / scale_g**2
    return (g << 32) + wq[:, None], factor, scale_w


def grow(plot, targets, w, rules, ids=None):
    """Grow one tree on the rows ``ids`` with weights w (both of all rows when ids is None)."""
    if ids is None:
        ids = np.arange(len(plot.codes))
    if targets.criterion == _forest.ABSOLUTE:
        from zoo.trees import _median

        return _median.grow(plot, targets, w, rules, ids)
    p = plot.codes.shape[1]
    size = plot.codes.dtype.itemsize
    q = targets.packed.shape[1]
    wide = 8 * (q + 1)
    record = -(-(wide + p * size) // 8) * 8
    m = len(ids)
    raw = np.empty((m, record), np.uint8)
    codes = raw[:, wide : wide + p * size].view(plot.codes.dtype)
    codes[:] = plot.codes[ids]
    head = raw[:, :wide].view(np.int64)
    sub = Targets(targets.packed[ids], targets.classes, targets.dense, targets.criterion)
    head[:, :q], factor, scale_w = _pack(sub, w)
    head[:, q] = np.arange(m)
    if targets.criterion == _forest.SQUARED and _is_zero_one(targets):
        factor *= 2.0  # Gini counts both classes; the squares of 0 and 1 see one of them
    factor /= q  # the impurity of several targets is the mean of theirs
    rules = rules._replace(
        min_weight=rules.min_weight * scale_w,
        min_gain=rules.min_gain / factor,
        slack=0.0 if _is_zero_one(targets) else 0.5,
    )
    nodes = 2 * m if rules.max_leaves == 0 else min(2 * m, 2 * rules.max_leaves)
    tree = bare_tree(nodes, plot.is_cat.any())
    channels = int(targets.classes.sum()) or q
    cells = int(plot.n_codes.max()) + 1
    k = _forest.grow_tree(
        raw.view(np.int64), head, codes, plot.n_codes, plot.is_cat, targets.classes, channels,
        rules, tree, np.zeros((cells, channels + 1), np.int64),
        np.zeros((cells + 63) // 64, np.uint64), _forest.sorted_rows(p, size, rules),
    )  # fmt: skip
    sums = np.zeros((k, targets.dense.shape[1] + 1))
    rows = head[:, q].copy()
    _forest.leaf_sums(rows, tree.start, tree.end, tree.left[:k], targets.dense[ids], w, sums)
    weight = sums[:, -1].copy()
    return dress(plot, tree, k, sums[:, :-1] / weight[:, None], weight, factor)


def bare_tree(nodes, sets):
    """Room for a tree of so many nodes, and for sets of categories where there are any."""
    return _forest.Plain(
        *(np.empty(nodes, d) for d in ("i4", "i4", "i4", "i4", "u1")),
        np.zeros((nodes if sets else 1, 4), np.uint64),
        np.empty(nodes), *(np.empty(nodes, "i4") for _ in range(3)),
    )  # fmt: skip


def dress(plot, tree, k, value, weight, factor):
    """Turn the k nodes that a kernel grew into all that they know."""
    left, feature = tree.left[:k].copy(), tree.feature[:k].copy()
    inner = feature >= 0
    is_set = inner & (plot.is_cat[feature] != 0)
    threshold = np.full(k, np.inf)
    at = np.flatnonzero(inner & ~is_set)
    threshold[at] = _thresholds(plot, feature[at], tree.bin[at], tree.next[at])
    set_at = np.full(k, -1, np.int32)
    set_at[is_set] = np.arange(is_set.sum())
    return Grown(
        left, feature, threshold, tree.missing_left[:k].copy(), set_at,
        tree.set[:k][is_set] if plot.is_cat.any() else np.empty((0, 4), np.uint64),
        value, tree.gain[:k] * factor, weight,
        (tree.end - tree.start)[:k].astype(np.int64), int(tree.depth[:k].max()),
    )  # fmt: skip


def _is_zero_one(targets):
    y = targets.packed
    return bool(((y[:100] == 0) | (y[:100] == 1)).all() and ((y == 0) | (y == 1)).all())


def _thresholds(plot, feature, code, following):
    """Midpoint of the two values that a cut parts, or the edge of the bin."""
    if plot.values is None:
        width = max(len(e) for e in plot.edges) + 1
        table = np.full((len(plot.edges), width), np.inf)
        for j, e in enumerate(plot.edges):
            table[j, : len(e)] = e
        return table[feature, code]
    width = max(len(v) for v in plot.values) + 1
    table = np.full((len(plot.values), width), np.inf)
    for j, v in enumerate(plot.values):
        table[j, : len(v)] = v
    return _bins._midpoints(table[feature, code], table[feature, following])


def join(model, trees, dtype):
    """Append grown trees to a model (see ``_model``)."""
    parts = {name: [a] for name, a in model.items()}
    start, n_sets = len(model["left"]), len(model["sets"])
    for tree in trees:
        parts["root"].append([start])
        parts["output"].append([0])
        parts["depth"].append([tree.depth])
        parts["left"].append(tree.left + np.int32(start))
        parts["set_at"].append(np.where(tree.set_at >= 0, tree.set_at + n_sets, -1))
        for name in ("feature", "threshold", "missing_left", "sets", "gain", "weight", "count"):
            parts[name].append(getattr(tree, name))
        parts["value"].append(tree.value)
        start += len(tree.left)
        n_sets += len(tree.sets)
    if model["value"].ndim == 1 and trees:
        parts["value"] = parts["value"][1:]
    out = {name: np.concatenate(p).astype(model[name].dtype, copy=False) for name, p in parts.items()}
    out["value"] = out["value"].astype(dtype, copy=False)
    return out


def cores(n_jobs):
    """Threads that are asked for."""
    have = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    n_jobs = -1 if n_jobs is None else n_jobs
    return max(1, have + 1 + n_jobs) if n_jobs < 0 else n_jobs


def mean_prediction(model, codes, X, n_jobs):
    """Mean over the trees of what they say of each row, (n, v)."""
    out = np.zeros((model["value"].shape[1], len(X)))
    _model.add_predictions(model, codes, X, out, n_jobs)
    return out.T / len(model["root"])
