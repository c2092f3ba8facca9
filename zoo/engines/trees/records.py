"""The record grower: one whole tree on rows that are moved so that every node lies in one piece.

A row is a record ``[targets | row number | codes]``. A bootstrap sample is copied into records
once. Codes (uint16) number the values of a column in their order; the one after the last stands for
what is missing. A target is packed as in ``_grow``: ``(w y << 32) + w`` in whole numbers
(regression, two classes), or ``(label << 32) + w`` (more classes), so that sums are exact, whatever
the order of rows.

Three kernels grow a tree, each called once or a few times from Python, so that each is compiled by
itself. ``grow_large`` counts the records of a node by their codes and moves them. ``grow_sorted``
sorts a node once by every column; below it no record is counted or moved: a cut parts each list in
two, in order. ``grow_few`` ends the work below nodes of few records, where the sum on the left of
each cut is found by looking at all pairs, which a processor does eight at a time.

Trees are independent: a forest runs them in plain threads.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from zoo.engines.trees.memory import door, flat, inner, lowest_bit, skip

SQUARED, GINI, ENTROPY, POISSON, ABSOLUTE = range(5)
"""Criteria. Two classes by Gini are SQUARED on 0 and 1; sums of outputs are taken for each.
``_median`` grows for ABSOLUTE."""
UNKNOWN = 2
"""Missing values go with the larger part."""
LEFT, FEATURE, LAST, NEXT, MISSING_LEFT, START, END, DEPTH = range(8)
"""What a growing tree knows of a node: child, column (-1 for a leaf), last code that goes left, first
code of the node that goes right, way of missing values, places of its records, cuts above it."""
FEW = 32
"""Nodes of so few records are ended by looking at all pairs."""
MOST_SORTED, MOST_LISTED, ROUGH_SORTED = 1 << 16, 1 << 19, 1 << 10
"""Most records of a node that is sorted, most places in its lists, and most records where larger nodes
may be counted in cells that codes share, which is faster."""
CELLS, MOST_CELLS = 256, 2048
"""Cells of a histogram, where codes may share one: at least, or as many as records, but no more."""
WEIGHT = 0xFFFFFFFF
LOW, SHIFT, ONE = 0xFFFF, 16, np.uint64(1)

EVEN, NOTHING = 1e-13, 1e-300
"""Share of a node's impurity by which a cut may seem to lose through rounding, and what is less than any
gain. A cut that gains nothing is made where none gains: its sides may gain (XOR)."""

small = njit(
    nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True
)
"""Arrays are passed in seven pieces each: where a call is short, that would be most of it."""


class Rules(NamedTuple):
    """When to stop and what to try."""

    criterion: int
    max_depth: int  # 0: no limit
    max_leaves: int  # 0: no limit; else the leaf that gains most is split first
    max_features: int
    min_split: int
    min_leaf: int
    min_weight: float  # in the units of packed weights
    min_gain: float  # likewise
    random_cut: bool
    seed: int
    slack: float  # rounding of packed targets, 0 where they are exact
    monotone: bool = False  # whether the prediction may only rise, or fall, with some columns


@intrinsic
def _memory(typingctx, array):
    """Point to the numbers of an array, which must outlive its use and lie in C order without gaps."""
    if array.layout != "C":
        raise TypeError(f"a kernel that reads numbers by address was given {array}; make it contiguous")
    pointer = types.CPointer(array.dtype)

    def codegen(context, builder, sig, args):
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return pointer(array), codegen


@small
def _random(state):
    """Splitmix64: the next number of a stream that its seed determines."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@small
def _restart(state, order, p, seed, start, end):
    """Begin the draws of a node: they depend on its place alone, not on the nodes before it."""
    for j in range(p):
        order[j] = j
    place = np.uint64(start) * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64(end)
    state[0] = (np.uint64(seed) ^ place) * np.uint64(0xD6E8FEB86659FD93)


@small
def _draw(state, order, p, pick):
    """Put one of the columns that are not yet drawn, at random, in place ``pick``."""
    more = np.uint64(p - pick)
    q = pick + np.int64(((_random(state) >> np.uint64(32)) * more) >> np.uint64(32))
    order[pick], order[q] = order[q], order[pick]
    return order[pick]


def room_of(n, p, cells, channels):
    """Numbers that the kernels need to note things for n records."""
    return 16 + 6 * (cells + FEW + 8) + 2 * (cells + 8) * channels + 3 * channels + p + 3 * (n + 1)


@small
def _make_node(tree, gain, node, start, end, depth):
    """Begin a node as a leaf."""
    tree[8 * node + LEFT], tree[8 * node + FEATURE], tree[8 * node + LAST], tree[8 * node + NEXT] = (
        node,
        -1,
        0,
        0,
    )
    tree[8 * node + MISSING_LEFT], tree[8 * node + DEPTH] = 1, depth
    tree[8 * node + START], tree[8 * node + END] = start, end
    gain[node] = 0.0


@small
def _may_split(tree, node, rules):
    m = tree[8 * node + END] - tree[8 * node + START]
    deep = rules.max_depth > 0 and tree[8 * node + DEPTH] >= rules.max_depth
    return m >= 2 and m >= rules.min_split and m >= 2 * rules.min_leaf and not deep


@small
def _differ(u, v, slack):
    """Tell whether two packed targets are unequal: w y not in proportion to w, up to rounding."""
    if u == v:
        return False
    g0, w0, g1, w1 = u >> 32, u & WEIGHT, v >> 32, v & WEIGHT
    return abs(np.float64(g0 * w1 - g1 * w0)) > slack * np.float64(w0 + w1)


@small
def _level(key, level, i, total, code):
    """Number that grows with the mean of packed targets, equal means by code: the order of categories."""
    level[i] = np.float64(total >> 32) / np.float64(total & WEIGHT)
    k = key[i]
    key[i] = ((k ^ ((k >> 63) & 0x7FFFFFFFFFFFFFFF)) & ~511) | code


@small
def _cut_pairs(key, y, rows, m, extra, extra_rows, total, least, min_leaf, n_rows, best):
    """Best cut of m groups in no order under squared loss: the last key on the left and the gain.

    ``y`` is 0 from m up to the next multiple of 8; ``extra`` is on the left of all. See
    ``_cut_groups`` for the gain.
    """
    g, w = total >> 32, total & WEIGHT
    whole = np.float64(w)
    found, at = False, np.int64(0)
    padded = (m + 7) & ~7
    for i in range(m):
        left, k = extra, key[i]
        for j in range(padded):
            left += y[j] if key[j] <= k else 0
        own = left & WEIGHT
        d = np.float64((left >> 32) * w - own * g)
        wl = np.float64(own)
        wr = whole - wl
        if d * d >= best * (wl * wr) and wl >= least and wr >= least:
            score = d * d / (wl * wr)
            # Of equal cuts the first in the order of keys, as elsewhere.
            if not (score > best or (found and score == best and k < at)):
                continue
            if min_leaf > 1:
                n = extra_rows
                for j in range(m):
                    n += rows[j] if key[j] <= k else 0
                if n < min_leaf or n_rows - n < min_leaf:
                    continue
            best, at, found = score, k, True
    return found, at, best


@small
def _cut_groups(sums, rows, m, left, left_rows, total, least, min_leaf, n_rows, best):
    """Best cut between m groups in order under squared loss: its place or -1, and its gain.

    With w the weight and g the weighted target of a node, a cut gains
    (g_L w - w_L g)^2 / (w w_L w_R); what is compared is w times that.
    """
    g, w = total >> 32, total & WEIGHT
    whole = np.float64(w)
    at = np.int64(-1)
    for k in range(m):
        left += sums[k]
        own = left & WEIGHT
        d = np.float64((left >> 32) * w - own * g)
        wl = np.float64(own)
        wr = whole - wl
        if min_leaf > 1:
            left_rows += rows[k]
        if d * d > best * (wl * wr) and wl >= least and wr >= least:
            if min_leaf > 1 and (left_rows < min_leaf or n_rows - left_rows < min_leaf):
                continue
            score = d * d / (wl * wr)
            if score > best:
                best, at = score, k
    return at, best


@inner
def _total(words, width, a, b, classes, n_labels, channels, out):
    """Sum the targets of records a .. b."""
    for k in range(channels):
        out[k] = 0
    for q in range(channels if n_labels == 0 else 0):
        total = np.int64(0)
        for i in range(a, b):
            total += words[i * width + q]
        out[q] = total
    first = 0
    for q in range(n_labels):
        for i in range(a, b):
            t = words[i * width + q]
            out[first + (t >> 32)] += t & WEIGHT
        first += classes[q]


@inner
def _gather(
    words, width, codes, at, a, b, shift, cells, plain, counting, classes, n_labels, channels,
    hist, tally, touched, code, sums, rows,
):  # fmt: skip
    """Sum the targets of records a .. b by the cells of column ``at``; return how many hold any.

    ``hist``, ``tally`` and ``touched`` are zero before and after.
    """
    m = 0
    if plain and not counting and 2 * (b - a) >= cells:
        for i in range(a, b):
            hist[np.int64(codes[4 * i * width + at]) >> shift] += words[i * width]
        for c in range(cells):
            v = hist[c]
            hist[c] = 0
            # No cell with records sums to 0: weights are positive.
            code[m], sums[m] = c, v
            m += v != 0
        return m
    for i in range(a, b):
        c = np.int64(codes[4 * i * width + at]) >> shift
        touched[c >> 6] |= ONE << np.uint64(c & 63)
        first = c * channels
        for q in range(channels if n_labels == 0 else 0):
            hist[first + q] += words[i * width + q]
        for q in range(n_labels):
            t = words[i * width + q]
            hist[first + (t >> 32)] += t & WEIGHT
            first += classes[q]
        if counting:
            tally[c] += 1
    for word in range((cells + 63) >> 6):
        bits = touched[word]
        touched[word] = np.uint64(0)
        while bits != np.uint64(0):
            c = (np.int64(word) << 6) + lowest_bit(bits)
            bits &= bits - ONE
            code[m], rows[m] = c, tally[c]
            tally[c] = 0
            for k in range(channels):
                sums[m * channels + k] = hist[c * channels + k]
                hist[c * channels + k] = 0
            m += 1
    return m


@inner
def _xlogx(x, total):
    return x * np.log(x / total) if x > 0.0 else 0.0


@inner
def _fit(sums, first, criterion, classes, n_labels, channels):
    """How well one constant fits a set of rows, less what depends on the rows alone."""
    out = 0.0
    if n_labels == 0:
        for q in range(first, first + channels):
            g, h = np.float64(sums[q] >> 32), np.float64(sums[q] & WEIGHT)
            if h > 0.0:
                if criterion == SQUARED:
                    out += g * g / h
                elif criterion == ENTROPY:
                    out += _xlogx(g, h) + _xlogx(h - g, h)
                else:
                    # A mean of 0 would deny every count: no leaf may have it.
                    out += _xlogx(g, h) if g > 0.0 else -1e300
    else:
        for q in range(n_labels):
            total, squares = 0.0, 0.0
            for k in range(first, first + classes[q]):
                total += sums[k]
            for k in range(first, first + classes[q]):
                x = np.float64(sums[k])
                squares += x * x if criterion == GINI else _xlogx(x, total)
            if total > 0.0:
                out += squares / total if criterion == GINI else squares
            first += classes[q]
    return out


@small
def _mean(packed):
    return np.float64(packed >> 32) / np.float64(packed & WEIGHT)


@inner
def _cut_general(
    code, sums, rows, m, is_set, missing, both, classes, n_labels, channels, rules, least, n_rows, state,
    parent, best, rank, by_rank, direction, low, high,
):  # fmt: skip
    """Best cut for any criterion: how many groups ``by_rank`` go left, the way of missing ones, the gain.

    Of a column with a ``direction`` (1: the right side is above) both sides have their means between
    ``low`` and ``high``. Cuts of others may leave these: what leaves hold is clipped.
    """
    top = 0
    for k in range(1, classes[0] if n_labels > 0 else 0):
        if both[k] > both[top]:
            top = k
    for g in range(m):
        r = np.float64(g)
        if is_set and n_labels > 0:
            own = 0.0
            for k in range(classes[0]):
                own += sums[g * channels + k]
            r = np.float64(sums[g * channels + top]) / own
        elif is_set:
            t = sums[g * channels]
            r = np.float64(t >> 32) / np.float64(t & WEIGHT)
        q = g
        while q > 0 and rank[q - 1] > r:
            rank[q], by_rank[q] = rank[q - 1], by_rank[q - 1]
            q -= 1
        rank[q], by_rank[q] = r, g
    last = m - 1 if missing else m
    chosen = -1
    if rules.random_cut and not is_set:
        low, high = code[0], code[last - 1]
        if high > low:
            at = low + np.int64(_random(state) % np.uint64(high - low))
            chosen = 0
            while chosen + 1 < last and code[chosen + 1] <= at:
                chosen += 1
        elif not missing:
            return 0, 0, best
    elif rules.random_cut:
        chosen = np.int64(_random(state) % np.uint64(m - 1))
    cut, best_way = 0, 0
    for way in range(2 if missing else 1):
        left_rows = rows[m - 1] if way else 0
        for k in range(channels):
            both[channels + k] = sums[(m - 1) * channels + k] if way else 0
        # With missing values on the right a cut may come after the last number.
        for g in range(last if missing and not way else last - 1):
            left_rows += rows[by_rank[g]]
            for k in range(channels):
                both[channels + k] += sums[by_rank[g] * channels + k]
                both[2 * channels + k] = both[k] - both[channels + k]
            if chosen >= 0 and g != chosen:
                continue
            if rules.min_leaf > 1 and (left_rows < rules.min_leaf or n_rows - left_rows < rules.min_leaf):
                continue
            score, light = 0.0, False
            for part in range(channels, 3 * channels, channels):
                w = 0.0
                if n_labels == 0:
                    w = np.float64(both[part] & WEIGHT)
                else:
                    for k in range(part, part + classes[0]):
                        w += both[k]
                light |= w < least
                score += _fit(both, part, rules.criterion, classes, n_labels, channels)
            if rules.monotone and direction != 0:
                l, r = _mean(both[channels]), _mean(both[2 * channels])
                light |= min(l, r) < low or max(l, r) > high or (l - r) * direction > 0.0
            # Subtracted last, so that a cut and its mirror gain the same to the last bit.
            if score - parent > best and not light:
                best, cut, best_way = score - parent, g + 1, way
    return cut, best_way, best


@small
def _goes_left(c, last, also, is_set, which):
    if is_set:
        return np.int64((which[c >> 6] >> np.uint64(c & 63)) & ONE)
    return np.int64(c <= last) | np.int64(c == also)


@inner
def _part(words, codes, width, at, missing_code, which, is_set, tree, gain, node, child, wrong):
    """Part the records of a node in place and make its two children.

    The side of a record is hard to foresee, so it is counted and listed without branches.
    """
    a, b = np.int64(tree[8 * node + START]), np.int64(tree[8 * node + END])
    last, also = (
        np.int64(tree[8 * node + LAST]),
        missing_code if tree[8 * node + MISSING_LEFT] == 1 else np.int64(-1),
    )
    cut = a
    for i in range(a, b):
        cut += _goes_left(np.int64(codes[4 * i * width + at]), last, also, is_set, which)
    low, high = 0, cut - a
    for i in range(a, cut):
        wrong[low] = i
        low += 1 - _goes_left(np.int64(codes[4 * i * width + at]), last, also, is_set, which)
    for i in range(cut, b):
        wrong[high] = i
        high += _goes_left(np.int64(codes[4 * i * width + at]), last, also, is_set, which)
    for k in range(low):
        u, v = wrong[k] * width, wrong[cut - a + k] * width
        for q in range(width):
            words[u + q], words[v + q] = words[v + q], words[u + q]
    if tree[8 * node + MISSING_LEFT] == UNKNOWN:
        tree[8 * node + MISSING_LEFT] = cut - a >= b - cut
        if is_set and cut - a >= b - cut:
            which[missing_code >> 6] |= ONE << np.uint64(missing_code & 63)
    tree[8 * node + LEFT] = child
    for side in range(2):
        _make_node(
            tree, gain, child + side, cut if side else a, b if side else cut, tree[8 * node + DEPTH] + 1
        )


@door
def grow_large(
    words, width, codes, begin, n_codes, is_cat, rough, classes, n_labels, channels, rules, tree, gain, sets,
    room, flags, levels, n, p, cells, most, todo, count, directions, bounds,
):  # fmt: skip
    """Split nodes by counting, the last one first, or the one that gains most where leaves are limited.

    ``words`` are n records of ``width`` int64, ``codes`` the same memory as uint16; a record's codes
    begin at ``begin``. Nodes of at most ``most`` records are left to other kernels, in ``todo``.
    ``count`` holds how many nodes there are and how many are left to do. ``room``, ``flags`` and
    ``levels`` are the same zeros as int64, uint64 and float64: as many as ``room_of`` tells. Where columns
    are monotone ``directions`` has their signs and ``bounds`` what the mean of each node may be.
    """
    words, codes, n_codes, is_cat = _memory(words), _memory(codes), _memory(n_codes), _memory(is_cat)
    classes, tree, gain, sets = _memory(classes), _memory(tree), _memory(gain), _memory(sets)
    todo, count, room, flags = _memory(todo), _memory(count), _memory(room), _memory(flags)
    directions, bounds = _memory(directions), _memory(bounds)
    plain = channels == 1 and n_labels == 0 and rules.criterion == SQUARED and not rules.random_cut
    plain = plain and not rules.monotone
    counting = rules.min_leaf > 1
    least = max(rules.min_weight, 0.5)
    targets = channels if n_labels == 0 else n_labels
    more = cells + 8
    state, best_set, touched = flags, skip(flags, 8), skip(flags, 16)
    tally, code, rows = skip(room, 16 + more), skip(room, 16 + 2 * more), skip(room, 16 + 3 * more)
    key, level = skip(room, 16 + 4 * more), skip(_memory(levels), 16 + 4 * more)
    by_rank = skip(room, 16 + 5 * more)
    hist = skip(room, 16 + 6 * more)
    sums, both = skip(hist, more * channels), skip(hist, 2 * more * channels)
    order = skip(both, 3 * channels)
    waiting = skip(order, p)
    wrong = skip(waiting, n + 1)
    none = np.int64(0)
    n_nodes, n_waiting, n_leaves, n_todo = np.int64(1), 0, 1, 0
    _make_node(tree, gain, none, none, n, none)
    if rules.monotone:
        bounds[0], bounds[1] = -np.inf, np.inf
    low, high = -np.inf, np.inf
    fresh, last_fresh = none, none
    while True:
        if fresh > last_fresh:
            # ---- no node waits for its evaluation: split the next one
            if n_waiting == 0 or (rules.max_leaves > 0 and n_leaves >= rules.max_leaves):
                break
            at = n_waiting - 1
            if rules.max_leaves > 0:
                for i in range(n_waiting):
                    u, v = waiting[i], waiting[at]
                    if gain[u] > gain[v] or (gain[u] == gain[v] and u < v):
                        at = i
            node = waiting[at]
            n_waiting -= 1
            waiting[at] = waiting[n_waiting]
            j = np.int64(tree[8 * node + FEATURE])
            is_set = is_cat[j] != 0
            which = skip(sets, 4 * node if is_set else 0)
            _part(words, codes, width, begin + j, n_codes[j], which, is_set, tree, gain, node, n_nodes, wrong)
            if rules.monotone:
                # The middle between the means of two branches parts what may lie below them.
                middle = 0.0
                for child in range(n_nodes, n_nodes + 2):
                    a, b = np.int64(tree[8 * child + START]), np.int64(tree[8 * child + END])
                    _total(words, width, a, b, classes, n_labels, channels, both)
                    middle += 0.5 * _mean(both[0])
                    bounds[2 * child], bounds[2 * child + 1] = bounds[2 * node], bounds[2 * node + 1]
                if directions[j] > 0:
                    bounds[2 * n_nodes + 1] = bounds[2 * n_nodes + 2] = middle
                elif directions[j] < 0:
                    bounds[2 * n_nodes] = bounds[2 * n_nodes + 3] = middle
            fresh, last_fresh = n_nodes, n_nodes + 1
            n_nodes += 2
            n_leaves += 1
            continue
        node = fresh
        fresh += 1
        if not _may_split(tree, node, rules):
            continue
        a, b = np.int64(tree[8 * node + START]), np.int64(tree[8 * node + END])
        if b - a <= most:
            todo[n_todo] = node
            n_todo += 1
            continue
        _total(words, width, a, b, classes, n_labels, channels, both)
        same = True
        for q in range(targets):
            u = words[a * width + q]
            for i in range(a + 1, b):
                v = words[i * width + q]
                if (u >> 32) != (v >> 32) if n_labels > 0 else _differ(u, v, rules.slack):
                    same = False
                    break
        if same:
            continue
        total = both[0]
        scale = np.float64(total & WEIGHT) if plain else 1.0
        parent = _fit(both, none, rules.criterion, classes, n_labels, channels)
        size = abs(parent)
        if rules.criterion == POISSON:
            # Near a mean of 1 logarithms vanish, and what they multiply is rounded all the same.
            for q in range(channels):
                size += np.float64(both[q] >> 32)
        best = (rules.min_gain - size * EVEN) * scale - NOTHING
        best_j, best_last, best_next, best_missing = -1, 0, 0, 0
        tried = 0
        if rules.monotone:
            low, high = bounds[2 * node], bounds[2 * node + 1]
        _restart(state, order, p, rules.seed, a, b)
        for pick in range(p):
            if tried >= rules.max_features:
                break
            j = _draw(state, order, p, pick)
            shift = np.int64(0)
            while rough and (n_codes[j] >> shift) > max(CELLS, min(b - a, MOST_CELLS)):
                shift += 1
            top = n_codes[j] >> shift
            m = _gather(
                words, width, codes, begin + j, a, b, shift, top + 1, plain, counting, classes,
                n_labels, channels, hist, tally, touched, code, sums, rows,
            )  # fmt: skip
            if m < 2:
                continue
            tried += 1
            is_set = is_cat[j] != 0
            missing = not is_set and code[m - 1] == top
            cut, way = 0, 0
            if plain and is_set:
                for g in range(m):
                    _level(key, level, g, sums[g], code[g])
                for g in range(m, m + 8):
                    key[g] = sums[g] = 0
                found, limit, best = _cut_pairs(
                    key, sums, rows, m, none, none, total, least, rules.min_leaf, b - a, best
                )
                if found:
                    for g in range(m):
                        if key[g] <= limit:
                            by_rank[cut] = g
                            cut += 1
            elif plain:
                for other in range(2 if missing else 1):
                    k, best = _cut_groups(
                        sums, rows, m - other, sums[m - 1] if other else 0, rows[m - 1] if other else 0,
                        total, least, rules.min_leaf, b - a, best,
                    )  # fmt: skip
                    if k >= 0:
                        cut, way = k + 1, other
            else:
                cut, way, best = _cut_general(
                    code, sums, rows, m, is_set, missing, both, classes, n_labels, channels, rules, least,
                    b - a, state, parent, best, level, by_rank, directions[j] if rules.monotone else 0, low,
                    high,
                )  # fmt: skip
            if cut == 0:
                continue
            best_j = j
            best_missing = way if missing else UNKNOWN
            if is_set:
                for q in range(4):
                    best_set[q] = 0
                if code[m - 1] == n_codes[j]:
                    best_missing = 0
                for g in range(cut):
                    c = code[by_rank[g]]
                    best_set[c >> 6] |= ONE << np.uint64(c & 63)
                    if c == n_codes[j]:
                        best_missing = 1
            else:
                best_last = ((code[cut - 1] + 1) << shift) - 1
                best_next = code[cut] << shift if cut < m - missing else n_codes[j]
        if best_j < 0:
            continue
        tree[8 * node + FEATURE], gain[node] = best_j, max(best, 0.0) / scale
        tree[8 * node + MISSING_LEFT] = best_missing
        if is_cat[best_j]:
            for q in range(4):
                sets[4 * node + q] = best_set[q]
        else:
            tree[8 * node + LAST], tree[8 * node + NEXT] = best_last, best_next
        waiting[n_waiting] = node
        n_waiting += 1
    for i in range(n_waiting):
        node = waiting[i]
        a, b = np.int64(tree[8 * node + START]), np.int64(tree[8 * node + END])
        _make_node(tree, gain, node, a, b, np.int64(tree[8 * node + DEPTH]))
    count[0], count[1] = n_nodes, n_todo


@door
def grow_few(
    words, width, codes, begin, n_codes, is_cat, rules, tree, gain, sets, room, flags, levels, p, place,
    todo, count,
):  # fmt: skip
    """Grow all that lies below nodes of few records, which are not moved: ``place`` lists them in order."""
    words, codes, n_codes, is_cat = _memory(words), _memory(codes), _memory(n_codes), _memory(is_cat)
    tree, gain, sets, place = _memory(tree), _memory(gain), _memory(sets), _memory(place)
    todo, count, room, flags = _memory(todo), _memory(count), _memory(room), _memory(flags)
    state, best_set, more = flags, skip(flags, 8), FEW + 8
    key, level = skip(room, 16), skip(_memory(levels), 16)
    y, ones, plain_key = skip(room, 16 + more), skip(room, 16 + 2 * more), skip(room, 16 + 3 * more)
    spare, waiting, order = skip(room, 16 + 4 * more), skip(room, 16 + 5 * more), skip(room, 16 + 6 * more)
    for i in range(more):
        ones[i] = 1
    least = max(rules.min_weight, 0.5)
    n_nodes = count[0]
    for t in range(count[1]):
        waiting[0] = todo[t]
        n_waiting = 1
        while n_waiting > 0:
            n_waiting -= 1
            node = waiting[n_waiting]
            a, b = np.int64(tree[8 * node + START]), np.int64(tree[8 * node + END])
            own, m = skip(place, a), b - a
            total, same = np.int64(0), True
            for i in range(m):
                v = words[np.int64(own[i]) * width]
                y[i] = v
                total += v
                same &= v == y[0]
            if not same:
                same = True
                for i in range(m):
                    if _differ(y[0], y[i], rules.slack):
                        same = False
                        break
            if same:
                continue
            for i in range(m, m + 8):
                y[i] = key[i] = 0
            whole = np.float64(total & WEIGHT)
            parent = np.float64(total >> 32) ** 2 / whole
            best = (rules.min_gain - parent * EVEN) * whole - NOTHING
            best_j, best_key, best_missing = -1, np.int64(0), 0
            tried = 0
            _restart(state, order, p, rules.seed, a, b)
            for pick in range(p):
                if tried >= rules.max_features:
                    break
                j = _draw(state, order, p, pick)
                low, high = np.int64(1 << 20), np.int64(-1)
                for i in range(m):
                    c = np.int64(codes[4 * np.int64(own[i]) * width + begin + j])
                    key[i] = c
                    low, high = min(low, c), max(high, c)
                if low == high:
                    continue
                tried += 1
                is_set = is_cat[j] != 0
                if is_set:
                    for i in range(m):
                        plain_key[i] = key[i]
                    for i in range(m):
                        like = np.int64(0)
                        for k in range(m):
                            like += y[k] if plain_key[k] == plain_key[i] else 0
                        _level(key, level, i, like, plain_key[i])
                missing = high == n_codes[j] and not is_set
                extra, extra_rows = np.int64(0), np.int64(0)
                for way in range(2 if missing else 1):
                    if way:
                        for i in range(m):
                            if key[i] == high:
                                extra += y[i]
                                extra_rows += 1
                    found, limit, best = _cut_pairs(
                        key, y, ones, b - a, extra, extra_rows, total, least, rules.min_leaf, b - a, best
                    )
                    if not found:
                        continue
                    best_j, best_key, best_missing = j, limit, way if missing else UNKNOWN
                    if is_set:
                        for q in range(4):
                            best_set[q] = 0
                        if high == n_codes[j]:
                            best_missing = 0
                        for i in range(m):
                            if key[i] <= limit:
                                c = plain_key[i]
                                best_set[c >> 6] |= ONE << np.uint64(c & 63)
                                if c == n_codes[j]:
                                    best_missing = 1
                # Any column that tells two records apart cuts them alike.
                if b - a == 2 and best_j >= 0:
                    break
            if best_j < 0:
                continue
            # ---- part the places in order
            is_set, top = is_cat[best_j] != 0, n_codes[best_j]
            following, cut, others = top, np.int64(0), np.int64(0)
            for i in range(m):
                r = np.int64(own[i])
                c = np.int64(codes[4 * r * width + begin + best_j])
                if is_set:
                    left = (best_set[c >> 6] >> np.uint64(c & 63)) & ONE != np.uint64(0)
                else:
                    left = c <= best_key or (best_missing == 1 and c == top)
                    following = min(following, c if c > best_key else top)
                own[cut] = spare[others] = r
                cut += np.int64(left)
                others += np.int64(not left)
            for i in range(others):
                own[cut + i] = spare[i]
            if best_missing == UNKNOWN:
                best_missing = cut >= others
                if is_set and best_missing:
                    best_set[top >> 6] |= ONE << np.uint64(top & 63)
            tree[8 * node + LEFT], tree[8 * node + FEATURE], gain[node] = n_nodes, best_j, best / whole
            tree[8 * node + MISSING_LEFT] = best_missing
            if is_set:
                for q in range(4):
                    sets[4 * node + q] = best_set[q]
            else:
                tree[8 * node + LAST], tree[8 * node + NEXT] = best_key, following
            at = a + cut
            for child in range(2):
                k = n_nodes + child
                _make_node(tree, gain, k, at if child else a, b if child else at, tree[8 * node + DEPTH] + 1)
                if _may_split(tree, k, rules):
                    waiting[n_waiting] = k
                    n_waiting += 1
            n_nodes += 2
    count[0] = n_nodes


@flat
def _cut_list(lists, first, end, y, left, left_rows, total, least, min_leaf, n_rows, best):
    """Best cut of a list: its place or ``end``, its gain, the sum on the left; see ``_cut_groups``."""
    g, w = total >> 32, total & WEIGHT
    whole = np.float64(w)
    at, left_at = end, left
    for i in range(first, end):
        e = np.int64(lists[i])
        left += y[e & LOW]
        own = left & WEIGHT
        d = np.float64((left >> 32) * w - own * g)
        wl = np.float64(own)
        wr = whole - wl
        # Whether two codes are equal is hard to foresee, so it is asked of the few cuts that gain.
        if d * d > best * (wl * wr):
            if wl < least or wr < least or (i + 1 < end and (e ^ np.int64(lists[i + 1])) <= LOW):
                continue
            if min_leaf > 1:
                rows = left_rows + i - first + 1
                if rows < min_leaf or n_rows - rows < min_leaf:
                    continue
            score = d * d / (wl * wr)
            if score > best:
                best, at, left_at = score, i, left
    return at, best, left_at


@door
def grow_sorted(
    words, width, lists, size, side, n_codes, rules, tree, gain, room, flags, p, place, root, few, todo, count
):  # fmt: skip
    """Grow what lies below a node, down to nodes of ``few`` records, which are left to do.

    ``lists`` (2, columns, ``size``, flat) hold ``code << 16 | number`` of the
    records, the first half in the order of each column. A node's lists are in the first or the
    second half by turns of depth, and a cut parts them into the other half.
    """
    words, tree, gain, place = _memory(words), _memory(tree), _memory(gain), _memory(place)
    n_codes, todo, count, lists = _memory(n_codes), _memory(todo), _memory(count), _memory(lists)
    state, order, side = _memory(flags), skip(_memory(room), 16), _memory(side)
    base = np.int64(tree[8 * root + START])
    m = np.int64(tree[8 * root + END]) - base
    place = skip(place, base)
    y = skip(order, p)
    waiting, sums = skip(y, m), skip(y, 2 * m + 1)
    total = np.int64(0)
    for i in range(m):
        y[i] = words[(base + i) * width]
        total += y[i]
    least = max(rules.min_weight, 0.5)
    waiting[0], sums[0] = root, total
    n_nodes, n_todo, n_waiting = count[0], count[1], 1
    while n_waiting > 0:
        n_waiting -= 1
        node, total = waiting[n_waiting], sums[n_waiting]
        a, b = np.int64(tree[8 * node + START]) - base, np.int64(tree[8 * node + END]) - base
        u, same = y[np.int64(place[a]) - base], True
        for i in range(a, b):
            if _differ(u, y[np.int64(place[i]) - base], rules.slack):
                same = False
                break
        if same:
            continue
        odd = (tree[8 * node + DEPTH] - tree[8 * root + DEPTH]) & 1
        now, then = odd * p * size, (1 - odd) * p * size
        whole = np.float64(total & WEIGHT)
        parent = np.float64(total >> 32) ** 2 / whole
        best = (rules.min_gain - parent * EVEN) * whole - NOTHING
        best_j, best_at, best_left, best_missing = -1, np.int64(0), np.int64(0), 0
        tried = 0
        _restart(
            state, order, p, rules.seed, np.int64(tree[8 * node + START]), np.int64(tree[8 * node + END])
        )
        for pick in range(p):
            if tried >= rules.max_features:
                break
            j = _draw(state, order, p, pick)
            first, end = now + j * size + a, now + j * size + b
            if (lists[first] ^ lists[end - 1]) <= LOW:
                continue
            tried += 1
            known, lost, lost_rows = end, np.int64(0), 0
            while (np.int64(lists[known - 1]) >> SHIFT) == n_codes[j]:
                known -= ONE
                lost += y[np.int64(lists[known]) & LOW]
                lost_rows += 1
            for way in range(2 if lost_rows > 0 else 1):
                at, best, left = _cut_list(
                    lists, first, known, y, lost if way else 0, lost_rows if way else 0, total, least,
                    rules.min_leaf, b - a, best,
                )  # fmt: skip
                if at < known:
                    best_j, best_at, best_left = j, at - (now + j * size) + 1, left
                    best_missing = way if lost_rows > 0 else UNKNOWN
        if best_j < 0:
            continue
        # ---- places in order, and the side of each record
        first, top = (now + best_j * size), n_codes[best_j]
        last = np.int64(lists[first + best_at - 1]) >> SHIFT
        following = (np.int64(lists[first + best_at]) >> SHIFT) if best_at < b else top
        cut = best_at
        if best_missing == 1:
            cut = b
            while (np.int64(lists[first + cut - 1]) >> SHIFT) == top:
                cut -= ONE
            cut = best_at + (b - cut)
        lo, hi = a, cut
        for i in range(a, b):
            e = np.int64(lists[first + i])
            is_left = np.int64(i < best_at or (best_missing == 1 and (e >> SHIFT) == top))
            side[e & LOW] = is_left
            place[hi ^ ((lo ^ hi) & -is_left)] = base + (e & LOW)
            lo += is_left
            hi += 1 - is_left
        if best_missing == UNKNOWN:
            best_missing = cut - a >= b - cut
        tree[8 * node + LEFT], tree[8 * node + FEATURE], gain[node] = n_nodes, best_j, best / whole
        tree[8 * node + LAST], tree[8 * node + NEXT], tree[8 * node + MISSING_LEFT] = (
            last,
            following,
            best_missing,
        )
        listed = False
        for child in range(2):
            k = n_nodes + child
            s, e = (cut, b) if child else (a, cut)
            _make_node(tree, gain, k, base + s, base + e, tree[8 * node + DEPTH] + 1)
            if not _may_split(tree, k, rules):
                continue
            if e - s <= few:
                todo[n_todo] = k
                n_todo += 1
                continue
            waiting[n_waiting], sums[n_waiting] = k, total - best_left if child else best_left
            n_waiting += 1
            listed = True
        n_nodes += 2
        if not listed:
            continue
        for j in range(p):
            first, to = (now + j * size), (then + j * size)
            if (lists[first + a] ^ lists[first + b - 1]) <= LOW:
                # A column of one value stays so: only the ends of its lists are looked at.
                e = lists[first + a]
                lists[to + a] = lists[to + cut - 1] = lists[to + cut] = lists[to + b - 1] = e
                continue
            lo, hi = to + a, to + cut
            for i in range(first + a, first + b):
                e = np.int64(lists[i])
                is_left = np.int64(side[e & LOW])
                # Without a branch, which would be guessed wrong half the time.
                lists[hi ^ ((lo ^ hi) & -is_left)] = e
                lo += is_left
                hi += 1 - is_left
    count[0], count[1] = n_nodes, n_todo


@door
def make_records(table, y, w, labels, scale_w, scale_g, words, codes, begin):
    """Copy the rows of positive weight; without labels a scale of 0 says that y is 0 or 1."""
    i, q = 0, y.shape[1]
    for r in range(table.shape[0]):
        if not w[r] > 0.0:
            continue
        h = max(np.int64(np.floor(w[r] * scale_w + 0.5)), 1)
        for v in range(q):
            if labels:
                g = np.int64(y[r, v])
            elif scale_g == 0.0:
                g = np.int64(y[r, v]) * h
            else:
                g = np.int64(np.floor(y[r, v] * (w[r] * scale_g) + 0.5))
            words[i, v] = (g << 32) + h
        words[i, q] = r
        for j in range(table.shape[1]):
            codes[i, begin + j] = table[r, j]
        i += 1


@door
def sum_nodes(tree, words, width, at, place, y, w, value, weight):
    """Weighted means of the targets y (rows, values) in every node, and its weight."""
    n, values = value.shape
    tree, words, place, y, w = _memory(tree), _memory(words), _memory(place), _memory(y), _memory(w)
    value, weight = _memory(value), _memory(weight)
    for node in range(n - 1, -1, -1):
        k = np.int64(tree[8 * node + LEFT])
        if k == node:
            total, first = 0.0, 0.0
            for v in range(1, values):
                value[node * values + v] = 0.0
            for i in range(np.int64(tree[8 * node + START]), np.int64(tree[8 * node + END])):
                r = words[np.int64(place[i]) * width + at]
                total += w[r]
                first += w[r] * y[r * values + 0]
                for v in range(1, values):
                    value[node * values + v] += w[r] * y[r * values + v]
            weight[node], value[node * values + 0] = total, first
        else:
            weight[node] = weight[k] + weight[k + 1]
            for v in range(values):
                value[node * values + v] = value[k * values + v] + value[(k + 1) * values + v]
    for node in range(n):
        for v in range(values):
            value[node * values + v] /= weight[node]


@door
def number_values(x, order, most, column, codes, low, high):
    """Number the values of a column, whose ``order`` is given; return how many numbers there are.

    Neighbours share a number where it does not stand for more than ``most`` rows. ``low`` and
    ``high`` get the least and the greatest value of each.
    """
    n, k, held = x.shape[0], -1, 0
    i = 0
    while i < n and not np.isnan(x[order[i]]):
        v = x[order[i]]
        e = i + 1
        while e < n and x[order[e]] == v:
            e += 1
        if k < 0 or held + e - i > most:
            k += 1
            held, low[k] = 0, v
        high[k] = v
        held += e - i
        while i < e:
            codes[order[i], column] = k
            i += 1
    return k + 1
