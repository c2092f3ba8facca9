"""One tree of the record grower: from a coded table and targets to nodes that know all about themselves.

The kernels (``records``, ``medians``) see packed whole numbers; here are their scales, the order in which
they are called, and what turns codes back into thresholds.
"""

from typing import NamedTuple

import numpy as np

from zoo.engines.trees import bins as _bins
from zoo.engines.trees import medians, records
from zoo.engines.trees.model import keep_order


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


def grow(table, targets, w, rules, directions=None):
    """Grow one tree on the rows of positive weight; ``directions`` (p) are those of monotone columns."""
    w = np.ascontiguousarray(w, np.float64)
    if targets.criterion == records.ABSOLUTE:
        return _grow_medians(table, targets, w, rules)
    p = table.codes.shape[1]
    m, q = np.count_nonzero(w > 0), targets.packed.shape[1]
    scale_w, scale_g, factor = _scales(targets, w, m)
    words = np.empty((m, q + 1 + -(-p // 4)), np.int64)
    codes, begin, width = words.view(np.uint16), 4 * (q + 1), words.shape[1]
    labels = len(targets.classes)
    records.make_records(table.codes, targets.packed, w, labels > 0, scale_w, scale_g, words, codes, begin)
    rules = rules._replace(
        min_weight=rules.min_weight * scale_w,
        min_gain=rules.min_gain / factor,
        slack=0.0 if targets.zero_one else 0.5,
        monotone=directions is not None,
    )
    tree, gain, sets = bare_tree(m, rules, table)
    channels = int(targets.classes.sum()) or q
    plain = channels == 1 and rules.criterion == records.SQUARED and not rules.random_cut
    plain = plain and not rules.monotone
    few, most = most_records(table, rules) if plain and rules.max_leaves == 0 else (0, 0)
    todo, count = np.empty(m, np.int32), np.zeros(2, np.int64)
    cells = int(table.n_codes.max()) + 1
    cells = cells if table.exact else min(cells, records.MOST_CELLS + 1)
    room = np.zeros(records.room_of(m, p, cells, channels), np.int64)
    flags, levels = room.view(np.uint64), room.view(np.float64)
    records.grow_large(
        words, width, codes, begin, table.n_codes, table.is_cat, not table.exact, targets.classes, labels,
        channels, rules, tree, gain, sets, room, flags, levels, m, p, cells, max(few, most), todo, count,
        np.zeros(0, np.int8) if directions is None else directions,
        np.empty(2 * len(tree) if rules.monotone else 0),
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
                    words, width, lists, size, side, table.n_codes, rules, tree, gain, room, flags, p, place,
                    node, few, todo, count,
                )  # fmt: skip
            else:
                todo[count[1]] = node
                count[1] += 1
    records.grow_few(
        words, width, codes, begin, table.n_codes, table.is_cat, rules, tree, gain, sets, room, flags, levels,
        p, place, todo, count,
    )  # fmt: skip
    k = int(count[0])
    value, weight = np.empty((k, targets.dense.shape[1])), np.empty(k)
    records.sum_nodes(tree, words, width, q, place, targets.dense, w, value, weight)
    grown = dress(table, tree[:k], sets, value, gain[:k] * factor, weight)
    if directions is not None:
        # Cuts of columns without a direction may have led beyond what those with one allow.
        keep_order(grown.left, grown.feature, value[:, 0], weight, directions)
    return grown


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


def most_records(table, rules):
    """Records of a node that is ended by looking at all pairs, and of one that is sorted."""
    p = len(table.n_codes)
    if rules.max_depth in (1, 2):
        return 0, 0
    if table.is_cat.any() or 2 * rules.max_features < p:
        return records.FEW, 0
    most = records.MOST_SORTED if table.exact else records.ROUGH_SORTED
    return 2, min(most, max(2, records.MOST_LISTED // p))


def _grow_medians(table, targets, w, rules):
    ids = np.flatnonzero(w)
    tree, gain, sets = bare_tree(len(ids), rules, table)
    value, weight = np.empty((len(tree), targets.dense.shape[1])), np.empty(len(tree))
    k = medians.grow_tree(
        table.codes[ids], table.n_codes, table.is_cat, targets.dense[ids], np.asarray(w, np.float64)[ids],
        rules, tree, gain, sets, value, weight,
    )  # fmt: skip
    return dress(table, tree[:k], sets, value[:k], gain[:k], weight[:k])


def bare_tree(m, rules, table):
    """Room for the nodes of a tree of m rows, their gains and sets of categories (see ``_forest``)."""
    nodes = 2 * m if rules.max_leaves == 0 else min(2 * m, 2 * rules.max_leaves)
    sets = np.zeros((nodes if table.is_cat.any() else 1, 4), np.uint64)
    return np.empty((nodes, 8), np.int32), np.empty(nodes), sets


def dress(table, tree, sets, value, gain, weight):
    """Turn the nodes that a kernel grew into all that they know."""
    left, feature, last, following, missing_left, start, end, depth = np.ascontiguousarray(tree.T)
    inner = feature >= 0
    is_set = inner & (table.is_cat[feature] != 0)
    threshold = np.full(len(tree), np.inf)
    at = np.flatnonzero(inner & ~is_set)
    j, last, following = feature[at], last[at], following[at] - (not table.exact)
    end_code = table.limits.shape[1] - 1
    low, high = (table.limits[j, np.minimum(c, end_code)] for c in (last, following))
    threshold[at] = _bins._midpoints(low, high)
    set_at = np.full(len(tree), -1, np.int32)
    set_at[is_set] = np.arange(is_set.sum())
    return Grown(
        left, feature, threshold, missing_left.astype(np.uint8), set_at, sets[np.flatnonzero(is_set)],
        value, gain, weight, (end - start).astype(np.int64), int(depth.max()),
    )  # fmt: skip
