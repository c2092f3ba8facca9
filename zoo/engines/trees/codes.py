"""From a table and targets to trees: codes, records, and the model that the record grower makes."""

import os
from typing import NamedTuple

import numpy as np

from zoo.engines.magnitudes import check_squares
from zoo.engines.trees import bins as _bins
from zoo.engines.trees import medians, paths, records

EXACT_ROWS = 10_000
"""Up to this many rows every distinct value is a place to cut, unless bins are asked for."""
MORE_ROWS, MORE_CELLS = 50_000, 500_000
"""Likewise where a squared error feels the place of a cut and nodes are sorted, not counted."""
FINE = 8191
"""Else neighbouring values share a code where it does not stand for more than one part in so many of
the rows: no more codes than twice that."""
WHOLE = 128
"""The code that stands for what is missing is then a multiple of this, so that it shares no cell."""


class Plot(NamedTuple):
    """A table in codes, and what turns cuts back into thresholds."""

    codes: np.ndarray  # uint16 (n, p)
    n_codes: np.ndarray  # int64 (p): the code that stands for what is missing
    is_cat: np.ndarray  # uint8 (p)
    exact: bool  # whether a code is a value
    limits: np.ndarray  # float64 (p, codes): the value of each code, or the upper limit
    edges: list  # the limits column by column: of a categorical one what it knows


def make_plot(X, max_bins, is_cat, w=None, squared=False):
    """Code a table: by rank of the distinct values, or by bins."""
    n, p = X.shape
    if max_bins is not None:
        bins = _bins.find_bins(X, max_bins, is_cat, w, np.random.RandomState(0))
        cols, _ = _bins.encode(X, bins)
        codes = np.ascontiguousarray(cols.T, dtype=np.uint16)
        return Plot(codes, bins.n_bins, bins.is_cat, False, _as_table(bins.edges), bins.edges)
    exact = n <= EXACT_ROWS or (squared and n <= MORE_ROWS and X.size <= MORE_CELLS)
    codes = np.empty((n, p), np.uint16)
    limits, n_codes = [], np.empty(p, np.int64)
    low, high = np.empty(n), np.empty(n)
    for j in range(p):
        x = X[:, j].astype(np.float64)
        missing = np.isnan(x)
        if is_cat[j]:
            known = _bins.known_categories(x, j)
            code = np.searchsorted(known, x)
            missing |= known[np.minimum(code, len(known) - 1)] != x if len(known) else True
            codes[:, j], k = code, len(known)
            limits.append(known)
        else:
            k = records.number_values(x, np.argsort(x), 1 if exact else n // FINE, j, codes, low, high)
            limits.append(high[:k].copy() if exact else _bins._midpoints(high[: k - 1], low[1:k]))
            if not exact and k > records.CELLS:
                k = -(-k // WHOLE) * WHOLE
        codes[missing, j], n_codes[j] = k, k
    return Plot(codes, n_codes, np.asarray(is_cat, np.uint8), exact, _as_table(limits), limits)


def _as_table(columns):
    table = np.full((len(columns), max(len(c) for c in columns) + 1), np.inf)
    for own, c in zip(table, columns, strict=True):
        own[: len(c)] = c
    return table


class Targets(NamedTuple):
    """What trees predict, in the two forms that growing needs."""

    packed: np.ndarray  # float64 (n, q): y of regression or two classes; else the label
    classes: np.ndarray  # int64 (q): numbers of classes, empty when packed as w y
    dense: np.ndarray  # float64 (n, v): what leaves average
    criterion: int

    @property
    def zero_one(self):
        """Whether all packed targets are 0 or 1."""
        y = self.packed
        return bool(((y[:100] == 0) | (y[:100] == 1)).all() and ((y == 0) | (y == 1)).all())


def regression_targets(y, criterion, name):
    """Targets of a regression: centred for squares, as they are for Poisson."""
    # Kernels read targets by address: a view of another array is copied.
    Y = np.ascontiguousarray(y, np.float64).reshape(len(y), -1)
    check_squares(name, y=Y, vanish=("y",))
    if criterion == "poisson" and (Y.min() < 0 or Y.max() <= 0):
        raise ValueError(
            f"{name}: criterion='poisson' needs y >= 0 with a positive sum, but y lies between "
            f"{Y.min()} and {Y.max()}; give counts or take another criterion."
        )
    known = {"poisson": records.POISSON, "absolute_error": records.ABSOLUTE}
    code = known.get(criterion, records.SQUARED)
    centred = Y - Y.mean(axis=0) if code == records.SQUARED else Y
    return Targets(centred, np.empty(0, np.int64), Y, code)


def class_targets(y, k, criterion):
    """Targets of a classification; two classes are numbers, 0 and 1."""
    if k == 2:
        code = records.SQUARED if criterion == "gini" else records.ENTROPY
        Y = y[:, None].astype(np.float64)
        return Targets(Y, np.empty(0, np.int64), Y, code)
    code = records.GINI if criterion == "gini" else records.ENTROPY
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


def _scales(targets, w, m):
    """What turns weights and weighted targets into whole numbers, and the gains of these into falls."""
    total = float(w.sum())
    whole = total < 2**31 and bool((w == np.floor(w)).all())
    scale_w = 1.0 if whole else (2.0**31 - m) / total
    each = 1.0 / targets.packed.shape[1]  # the impurity of several targets is the mean of theirs
    if len(targets.classes):
        return scale_w, 0.0, each / scale_w
    if targets.zero_one:
        # Gini counts both classes; the squares of 0 and 1 see one of them.
        return scale_w, 0.0, each / scale_w * (2.0 if targets.criterion == records.SQUARED else 1.0)
    # One scale for all outputs: their gains are added.
    size = float((np.abs(targets.packed) * w[:, None]).sum(axis=0).max())
    scale_g = (2.0**31 - 2 - m) / size if size > 0 else 1.0
    poisson = targets.criterion == records.POISSON
    return scale_w, scale_g, each / scale_g if poisson else each * (scale_w / scale_g) / scale_g


def grow(plot, targets, w, rules):
    """Grow one tree on the rows of positive weight."""
    w = np.ascontiguousarray(w, np.float64)
    if targets.criterion == records.ABSOLUTE:
        return _grow_medians(plot, targets, w, rules)
    p = plot.codes.shape[1]
    m, q = np.count_nonzero(w > 0), targets.packed.shape[1]
    scale_w, scale_g, factor = _scales(targets, w, m)
    words = np.empty((m, q + 1 + -(-p // 4)), np.int64)
    codes, begin, width = words.view(np.uint16), 4 * (q + 1), words.shape[1]
    labels = len(targets.classes)
    records.make_records(plot.codes, targets.packed, w, labels > 0, scale_w, scale_g, words, codes, begin)
    rules = rules._replace(
        min_weight=rules.min_weight * scale_w,
        min_gain=rules.min_gain / factor,
        slack=0.0 if targets.zero_one else 0.5,
    )
    tree, gain, sets = bare_tree(m, rules, plot)
    channels = int(targets.classes.sum()) or q
    plain = channels == 1 and rules.criterion == records.SQUARED and not rules.random_cut
    few, most = most_records(plot, rules) if plain and rules.max_leaves == 0 else (0, 0)
    todo, count = np.empty(m, np.int32), np.zeros(2, np.int64)
    cells = int(plot.n_codes.max()) + 1
    cells = cells if plot.exact else min(cells, records.MOST_CELLS + 1)
    room = np.zeros(records.room_of(m, p, cells, channels), np.int64)
    flags, levels = room.view(np.uint64), room.view(np.float64)
    records.grow_large(
        words, width, codes, begin, plot.n_codes, plot.is_cat, not plot.exact, targets.classes, labels,
        channels, rules, tree, gain, sets, room, flags, levels, m, p, cells, max(few, most), todo, count,
    )  # fmt: skip
    place = np.arange(m, dtype=np.uint32)
    if most > few:
        ready, count[1] = todo[: count[1]].copy(), 0
        for node in ready:
            a, b = tree[node, [records.START, records.END]]
            if b - a > few:
                lists, size = _sort(codes[a:b, begin : begin + p])
                side = np.empty(b - a, np.uint8)
                records.grow_sorted(
                    words, width, lists, size, side, plot.n_codes, rules, tree, gain, room, flags, p, place,
                    node, few, todo, count,
                )  # fmt: skip
            else:
                todo[count[1]] = node
                count[1] += 1
    records.grow_few(
        words, width, codes, begin, plot.n_codes, plot.is_cat, rules, tree, gain, sets, room, flags, levels,
        p, place, todo, count,
    )  # fmt: skip
    k = int(count[0])
    value, weight = np.empty((k, targets.dense.shape[1])), np.empty(k)
    records.sum_nodes(tree, words, width, q, place, targets.dense, w, value, weight)
    return dress(plot, tree[:k], sets, value, gain[:k] * factor, weight)


def _sort(codes):
    """Lists of records by each column's code, with room for as many (see ``_forest.grow_sorted``)."""
    m, p = codes.shape
    # An odd number of cache lines apart, or equal places of all lists would share few places there.
    size = 16 * ((m // 16 + 1) | 1)
    lists = np.empty((2, p, size), np.uint32)
    first = lists[0, :, :m]
    np.left_shift(codes.T, 16, out=first, dtype=np.uint32)
    first |= np.arange(m, dtype=np.uint32)
    first.sort(axis=1)
    return lists.reshape(-1), size


def most_records(plot, rules):
    """Records of a node that is ended by looking at all pairs, and of one that is sorted."""
    p = len(plot.n_codes)
    if rules.max_depth in (1, 2):
        return 0, 0
    if plot.is_cat.any() or 2 * rules.max_features < p:
        return records.FEW, 0
    most = records.MOST_SORTED if plot.exact else records.ROUGH_SORTED
    return 2, min(most, max(2, records.MOST_LISTED // p))


def _grow_medians(plot, targets, w, rules):
    ids = np.flatnonzero(w)
    tree, gain, sets = bare_tree(len(ids), rules, plot)
    value, weight = np.empty((len(tree), targets.dense.shape[1])), np.empty(len(tree))
    k = medians.grow_tree(
        plot.codes[ids], plot.n_codes, plot.is_cat, targets.dense[ids], np.asarray(w, np.float64)[ids],
        rules, tree, gain, sets, value, weight,
    )  # fmt: skip
    return dress(plot, tree[:k], sets, value[:k], gain[:k], weight[:k])


def bare_tree(m, rules, plot):
    """Room for the nodes of a tree of m rows, their gains and sets of categories (see ``_forest``)."""
    nodes = 2 * m if rules.max_leaves == 0 else min(2 * m, 2 * rules.max_leaves)
    sets = np.zeros((nodes if plot.is_cat.any() else 1, 4), np.uint64)
    return np.empty((nodes, 8), np.int32), np.empty(nodes), sets


def dress(plot, tree, sets, value, gain, weight):
    """Turn the nodes that a kernel grew into all that they know."""
    left, feature, last, following, missing_left, start, end, depth = np.ascontiguousarray(tree.T)
    inner = feature >= 0
    is_set = inner & (plot.is_cat[feature] != 0)
    threshold = np.full(len(tree), np.inf)
    at = np.flatnonzero(inner & ~is_set)
    j, last, following = feature[at], last[at], following[at] - (not plot.exact)
    end_code = plot.limits.shape[1] - 1
    low, high = (plot.limits[j, np.minimum(c, end_code)] for c in (last, following))
    threshold[at] = _bins._midpoints(low, high)
    set_at = np.full(len(tree), -1, np.int32)
    set_at[is_set] = np.arange(is_set.sum())
    return Grown(
        left, feature, threshold, missing_left.astype(np.uint8), set_at, sets[np.flatnonzero(is_set)],
        value, gain, weight, (end - start).astype(np.int64), int(depth.max()),
    )  # fmt: skip


class Stand:
    """Trees of a model, each written behind the last, so that none is held twice (see ``_model``)."""

    def __init__(self, model, dtype):
        self.arrays = {name: a.copy() for name, a in model.items()}
        self.arrays["value"] = self.arrays["value"].astype(dtype)
        self.used = {name: len(a) for name, a in model.items()}

    def add(self, tree):
        """Append a grown tree."""
        start, n_sets = self.used["left"], self.used["sets"]
        own = {name: getattr(tree, name) for name in self.arrays if hasattr(tree, name)}
        own |= {"root": [start], "output": [0], "depth": [tree.depth]}
        own["left"] = tree.left + np.int32(start)
        own["set_at"] = np.where(tree.set_at >= 0, tree.set_at + n_sets, -1)
        if self.arrays["value"].ndim < tree.value.ndim:
            self.arrays["value"] = np.empty((0, tree.value.shape[1]), self.arrays["value"].dtype)
        for name, new in own.items():
            a, begin = self.arrays[name], self.used[name]
            end = begin + len(new)
            if end > len(a):
                # Nobody else has seen the array, so it may grow where it is.
                a.resize((end + end // 8 + 64, *a.shape[1:]), refcheck=False)
            a[begin:end] = new
            self.used[name] = end

    def model(self):
        """Return the model; nothing can be added after that."""
        for name, a in self.arrays.items():
            a.resize((self.used[name], *a.shape[1:]), refcheck=False)
        return self.arrays


def join(model, trees, dtype):
    """Append grown trees to a model."""
    stand = Stand(model, dtype)
    for tree in trees:
        stand.add(tree)
    return stand.model()


def cores(n_jobs):
    """Threads that are asked for."""
    have = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    n_jobs = -1 if n_jobs is None else n_jobs
    return max(1, have + 1 + n_jobs) if n_jobs < 0 else n_jobs


def mean_prediction(model, codes, X, n_jobs):
    """Mean over the trees of what they say of each row, (n, v)."""
    return paths.sum_of_trees(model, codes, X, n_jobs) / len(model["root"])
