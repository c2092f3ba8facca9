"""The record grower: one whole tree on rows that are moved so that every node lies in one piece.

A row is a record ``[targets | row number | codes]``. A bootstrap sample is copied into records
once; a split swaps records in place, so that all work on a node reads memory in order. A target is
packed as in ``_grow``: ``(w y << 32) + w`` in whole numbers (regression, two classes), or
``(label << 32) + w`` (more classes), so that sums are exact, whatever the order of rows.

Codes are bins (uint8) or the ranks of the distinct values (uint16), which makes cuts exact. Trees
are independent: a forest runs ``grow_tree`` in plain threads.

Under squared loss the rows of a node that fits a processor's cache are sorted once by every column;
below it no row is sorted, counted or moved again: a cut parts each list in two, in order
(``_grow_sorted``).
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

SQUARED, GINI, ENTROPY, POISSON, ABSOLUTE = range(5)
"""Criteria. Two classes by Gini are SQUARED on 0 and 1; sums of outputs are taken for each.
``_median`` grows for ABSOLUTE."""
UNKNOWN = 2
"""Missing values go with the larger part."""
FEW = 20
"""Nodes of so few records are sorted; larger ones fill a histogram."""

SORTED, MOST_LISTED = 512, 1 << 19
"""Nodes of so few records are sorted once for all that lies below them, where codes are bins; and
the most places in lists where they are ranks."""
LOW, SHIFT = np.uint64(0xFFFF), np.uint64(16)

kernel = njit(cache=True, nogil=True, error_model="numpy")
inner = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


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


class Plain(NamedTuple):
    """One tree as the kernel leaves it."""

    left: np.ndarray  # int32
    feature: np.ndarray  # int32, -1 for a leaf
    bin: np.ndarray  # int32: last code that goes left
    next: np.ndarray  # int32: first code of the node that goes right
    missing_left: np.ndarray  # uint8
    set: np.ndarray  # uint64 (nodes, 4) or (1, 4)
    gain: np.ndarray  # float64, in packed units
    start: np.ndarray  # int32: place of its records
    end: np.ndarray  # int32
    depth: np.ndarray  # int32


def sorted_rows(p, code_bytes, rules):
    """Most records of a node that is sorted once for all that lies below it.

    Bins are counted fast and sorted where a node and its lists are near; ranks are sorted at once,
    since to count them takes a cell for each.
    """
    if rules.max_depth in (1, 2) or 8 * rules.max_features < p:
        return 0
    return SORTED if code_bytes == 1 else max(SORTED, min(1 << 16, MOST_LISTED // p))


@inner
def _random(state):
    """Splitmix64: the next number of a stream that its seed determines."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inner
def _restart(state, order, seed, start, end):
    """Begin the draws of a node: they depend on its place alone, not on the nodes before it."""
    for j in range(order.shape[0]):
        order[j] = j
    place = np.uint64(start) * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64(end)
    state[0] = (np.uint64(seed) ^ place) * np.uint64(0xD6E8FEB86659FD93)


@inner
def _draw(state, order, pick):
    """Put one of the columns that are not yet drawn, at random, in place ``pick``."""
    more = np.uint64(order.shape[0] - pick)
    q = pick + np.int64(((_random(state) >> np.uint64(32)) * more) >> np.uint64(32))
    order[pick], order[q] = order[q], order[pick]
    return order[pick]


@intrinsic
def _lowest(typingctx, bits):
    """Place of the lowest bit that is set; at least one must be."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


@inner
def _xlogx(x, total):
    return x * np.log(x / total) if x > 0.0 else 0.0


@inner
def _fit(sums, criterion, classes):
    """How well one constant fits a set of rows, less what depends on the rows alone."""
    out = 0.0
    if classes.shape[0] == 0:
        for q in range(sums.shape[0]):
            g = np.float64(sums[q] >> 32)
            h = np.float64(sums[q] & 0xFFFFFFFF)
            if h > 0.0:
                if criterion == SQUARED:
                    out += g * g / h
                elif criterion == ENTROPY:
                    out += _xlogx(g, h) + _xlogx(h - g, h)
                else:
                    # A mean of 0 would deny every count: no leaf may have it.
                    out += _xlogx(g, h) if g > 0.0 else -1e300
    else:
        first = 0
        for q in range(classes.shape[0]):
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


@inner
def _weight(sums, classes):
    if classes.shape[0] == 0:
        return np.float64(sums[0] & 0xFFFFFFFF)
    total = 0.0
    for k in range(classes[0]):
        total += sums[k]
    return total


@inner
def _add(sums, head, i, classes):
    """Add the targets of record i."""
    if classes.shape[0] == 0:
        for q in range(sums.shape[0]):
            sums[q] += head[i, q]
    else:
        first = 0
        for q in range(classes.shape[0]):
            t = head[i, q]
            sums[first + (t >> 32)] += t & 0xFFFFFFFF
            first += classes[q]


@inner
def _same(head, a, b, slack):
    """Tell whether all packed targets are equal: w y in proportion to w, up to rounding."""
    for q in range(head.shape[1] - 1):
        g0, w0 = head[a, q] >> 32, head[a, q] & 0xFFFFFFFF
        for i in range(a + 1, b):
            g1, w1 = head[i, q] >> 32, head[i, q] & 0xFFFFFFFF
            if abs(np.float64(g0) * w1 - np.float64(g1) * w0) > slack * np.float64(w0 + w1):
                return False
    return True


@inner
def _groups_of_one(head, codes, a, b, j, hist, touched, code, sums, count, counting):
    """Do what ``_groups`` does where there is one packed target: the common case, so it is lean."""
    m = 0
    if b - a <= FEW:
        for i in range(a, b):
            c, v = np.int64(codes[i, j]), head[i, 0]
            q = m
            while q > 0 and code[q - 1] > c:
                code[q], sums[q], count[q] = code[q - 1], sums[q - 1], count[q - 1]
                q -= 1
            code[q], sums[q], count[q] = c, v, 1
            m += 1
        k = 0
        for q in range(1, m):
            if code[q] == code[k]:
                sums[k] += sums[q]
                count[k] += 1
            else:
                k += 1
                code[k], sums[k], count[k] = code[q], sums[q], 1
        return k + 1
    for i in range(a, b):
        c = np.uint64(codes[i, j])
        hist[c, 0] += head[i, 0]
        touched[c >> np.uint64(6)] |= np.uint64(1) << (c & np.uint64(63))
    if counting:
        for i in range(a, b):
            hist[np.uint64(codes[i, j]), 1] += 1
    for word in range(touched.shape[0]):
        bits = touched[word]
        touched[word] = np.uint64(0)
        while bits != np.uint64(0):
            c = (np.int64(word) << 6) + _lowest(bits)
            bits &= bits - np.uint64(1)
            code[m], sums[m], count[m] = c, hist[c, 0], hist[c, 1]
            hist[c, 0] = hist[c, 1] = 0
            m += 1
    return m


@inner
def _cut_of_one(sums, count, m, total, min_weight, min_leaf, n_rows, best):
    """Best cut between m groups with one packed target under squared loss: place and score."""
    tg, th = np.float64(total >> 32), np.float64(total & 0xFFFFFFFF)
    left, rows, at = np.int64(0), 0, -1
    for g in range(m - 1):
        left += sums[g]
        rows += count[g]
        gl, hl = np.float64(left >> 32), np.float64(left & 0xFFFFFFFF)
        gr, hr = tg - gl, th - hl
        score = (gl * gl * hr + gr * gr * hl) / (hl * hr)
        if score > best and hl >= min_weight and hr >= min_weight and hl * hr > 0.0:
            if min_leaf > 1 and (rows < min_leaf or n_rows - rows < min_leaf):
                continue
            best, at = score, g
    return at, best


@inner
def _groups(head, codes, a, b, j, classes, hist, touched, code, sums, count, counting):
    """Gather records a .. b by their code of column j, in rising order; return how many codes.

    ``hist`` (cells, channels + 1) and ``touched`` are zero before and after; the last channel
    counts rows.
    """
    channels = sums.shape[1]
    m = 0
    if b - a <= FEW:
        for i in range(a, b):
            c = np.int64(codes[i, j])
            q = m
            while q > 0 and code[q - 1] >= c:
                q -= 1
            if q < m and code[q] == c:
                _add(sums[q], head, i, classes)
                count[q] += 1
                continue
            for r in range(m, q, -1):
                code[r] = code[r - 1]
                count[r] = count[r - 1]
                for k in range(channels):
                    sums[r, k] = sums[r - 1, k]
            code[q], count[q] = c, 1
            for k in range(channels):
                sums[q, k] = 0
            _add(sums[q], head, i, classes)
            m += 1
        return m
    for i in range(a, b):
        c = np.uint64(codes[i, j])
        _add(hist[c, :channels], head, i, classes)
        touched[c >> np.uint64(6)] |= np.uint64(1) << (c & np.uint64(63))
    if counting:
        for i in range(a, b):
            hist[np.uint64(codes[i, j]), channels] += 1
    for word in range(touched.shape[0]):
        bits = touched[word]
        touched[word] = np.uint64(0)
        while bits != np.uint64(0):
            c = (np.int64(word) << 6) + _lowest(bits)
            bits &= bits - np.uint64(1)
            code[m] = c
            count[m] = hist[c, channels]
            hist[c, channels] = 0
            for k in range(channels):
                sums[m, k] = hist[c, k]
                hist[c, k] = 0
            m += 1
    return m


@inner
def _is_left(code, last, missing_left, n_codes, is_set, which):
    if is_set:
        return (which[code >> 6] >> np.uint64(code & 63)) & np.uint64(1) != np.uint64(0)
    return code <= last or (missing_left and code == n_codes)


@inner
def _part(words, codes, n_codes, is_cat, tree, node, child):
    """Part the records of a node in place, from both ends, and make its two children."""
    a, b, j = np.int64(tree.start[node]), np.int64(tree.end[node]), tree.feature[node]
    last, missing_left = np.int64(tree.bin[node]), tree.missing_left[node] == 1
    is_set, nc = is_cat[j] != 0, np.int64(n_codes[j])
    which = tree.set[node if is_set else 0]
    lo, hi = a, b - 1
    while lo <= hi:
        if _is_left(np.int64(codes[lo, j]), last, missing_left, nc, is_set, which):
            lo += 1
        elif not _is_left(np.int64(codes[hi, j]), last, missing_left, nc, is_set, which):
            hi -= 1
        else:
            for q in range(words.shape[1]):
                words[lo, q], words[hi, q] = words[hi, q], words[lo, q]
            lo += 1
            hi -= 1
    if tree.missing_left[node] == UNKNOWN:
        tree.missing_left[node] = lo - a >= b - lo
        if is_set and lo - a >= b - lo:
            which[nc >> 6] |= np.uint64(1) << np.uint64(nc & 63)
    tree.left[node] = child
    tree.start[child], tree.end[child] = a, lo
    tree.start[child + 1], tree.end[child + 1] = lo, b
    tree.depth[child] = tree.depth[child + 1] = tree.depth[node] + 1


@inner
def _sort(codes, base, m, j, n_codes, lists, at, code, spare, bucket):
    """List records base .. base + m in the order of column j as ``code << 16 | number``, from ``at`` on.

    ``code`` gets the codes in the order of the records.

    Tell whether no value is missing.
    """
    complete = True
    if m <= FEW:
        for i in range(m):
            c = np.uint32(codes[base + i, j])
            code[at + i] = c
            complete &= c < n_codes
            e = (c << np.uint32(16)) | np.uint32(i)
            q = i
            while q > 0 and lists[at + q - 1] > e:
                lists[at + q] = lists[at + q - 1]
                q -= 1
            lists[at + q] = e
        return complete
    # Two passes of a counting sort, by the low and by the high byte; the second where there is one.
    for k in range(257):
        bucket[k] = 0
    for i in range(m):
        c = np.int64(codes[base + i, j])
        code[at + i] = c
        complete &= c < n_codes
        bucket[(c & 255) + 1] += 1
    for k in range(256):
        bucket[k + 1] += bucket[k]
    to, first = (spare, 0) if n_codes > 255 else (lists, at)
    for i in range(m):
        c = np.int64(codes[base + i, j])
        to[first + bucket[c & 255]] = np.uint32((c << 16) | i)
        bucket[c & 255] += 1
    if n_codes > 255:
        for k in range(257):
            bucket[k] = 0
        for i in range(m):
            bucket[(np.int64(spare[i]) >> 24) + 1] += 1
        for k in range(256):
            bucket[k + 1] += bucket[k]
        for i in range(m):
            c = np.int64(spare[i]) >> 24
            lists[at + bucket[c]] = spare[i]
            bucket[c] += 1
    return complete


@inner
def _cut_of_list(lists, first, end, y, total, min_weight, min_leaf, best):
    """Best cut of a list under squared loss: its place or ``end``, its gain, the sum on the left.

    With w the weight and g the weighted target of a node, a cut gains
    (g_L w - w_L g)^2 / (w w_L w_R); what is compared here is w times that.
    """
    g, w = total >> 32, total & 0xFFFFFFFF
    whole = np.float64(w)
    left, left_at, at = np.int64(0), np.int64(0), end
    n = np.int64(end - first)
    for i in range(first, end - np.uint64(1)):
        e = np.uint64(lists[i])
        left += y[e & LOW]
        own = left & 0xFFFFFFFF
        d = np.float64((left >> 32) * w - own * g)
        wl = np.float64(own)
        wr = whole - wl
        # Whether two codes are equal is hard to foresee, so it is asked of the few cuts that gain.
        if d * d > best * (wl * wr):
            if (e ^ np.uint64(lists[i + np.uint64(1)])) <= LOW or wl < min_weight or wr < min_weight:
                continue
            if min_leaf > 1:
                rows = np.int64(i - first) + 1
                if rows < min_leaf or n - rows < min_leaf:
                    continue
            best, at, left_at = d * d / (wl * wr), i, left
    return at, best, left_at


@kernel
def _grow_sorted(lists, size, code, y, number, side, m, order, state, rules, tree, root, n_nodes, total):
    """Grow all that lies below a node of m records; return the number of nodes.

    ``lists`` (2, columns, ``size``, flat) hold the records by each column's code: a node's lists are
    in the first or the second half by turns of depth, and a cut parts them into the other half.
    ``number`` (m) holds the records by place and is what is left in order.
    """
    p = order.shape[0]
    waiting = np.empty(m + 1, np.int32)
    sums = np.empty(m + 1, np.int64)
    base = np.int64(tree.start[root])
    waiting[0], sums[0] = root, total
    n_waiting = 1
    one = np.uint64(1)
    while n_waiting > 0:
        n_waiting -= 1
        node, total = np.int64(waiting[n_waiting]), sums[n_waiting]
        a, b = np.uint64(tree.start[node] - base), np.uint64(tree.end[node] - base)
        w = np.float64(total & 0xFFFFFFFF)
        parent = np.float64(total >> 32) ** 2 / w
        best = (rules.min_gain + parent * 1e-13) * w
        best_j, best_at, best_left = -1, np.uint64(0), np.int64(0)
        pair = b - a == np.uint64(2)
        odd = (tree.depth[node] - tree.depth[root]) & 1
        now, then = odd * p * size, (1 - odd) * p * size
        tried = 0
        _restart(state, order, rules.seed, tree.start[node], tree.end[node])
        for pick in range(p):
            if tried >= rules.max_features:
                break
            j = _draw(state, order, pick)
            first, end = np.uint64(now + j * size) + a, np.uint64(now + j * size) + b
            if pair:
                # Any column that tells two records apart cuts them; they were not listed for it.
                at = np.uint64(j * size)
                u = np.uint32(number[a]) | np.uint32(code[at + np.uint64(number[a])]) << np.uint32(16)
                v = np.uint32(number[a + one]) | np.uint32(
                    code[at + np.uint64(number[a + one])]
                ) << np.uint32(16)
                lists[first], lists[first + one] = min(u, v), max(u, v)
            if (lists[first] ^ lists[end - one]) <= LOW:
                continue
            tried += 1
            at, gain, left = _cut_of_list(lists, first, end, y, total, rules.min_weight, rules.min_leaf, best)
            if at < end:
                best, best_j, best_at, best_left = gain, j, at - np.uint64(now + j * size) + one, left
            if pair:
                break
        if best_j < 0:
            continue
        first = np.uint64(now + best_j * size)
        cut = best_at
        last, following = lists[first + cut - one], lists[first + cut]
        tree.feature[node], tree.gain[node] = best_j, best / w
        tree.bin[node], tree.next[node] = np.uint64(last) >> SHIFT, np.uint64(following) >> SHIFT
        tree.missing_left[node] = cut - a >= b - cut
        tree.left[node] = n_nodes
        # ---- two children; those that may be cut wait, and their lists are needed
        listed = False
        for child in range(2):
            s, e = (a, cut) if child == 0 else (cut, b)
            own = best_left if child == 0 else total - best_left
            k = n_nodes + child
            tree.start[k], tree.end[k] = base + np.int64(s), base + np.int64(e)
            tree.depth[k] = tree.depth[node] + 1
            tree.left[k], tree.feature[k], tree.gain[k] = k, -1, 0.0
            tree.bin[k], tree.next[k], tree.missing_left[k] = 0, 0, 1
            rows = np.int64(e - s)
            if rows < 2 or rows < rules.min_split or rows < 2 * rules.min_leaf:
                continue
            if rules.max_depth > 0 and tree.depth[k] >= rules.max_depth:
                continue
            v = y[np.uint64(lists[first + s]) & LOW]
            g0, w0 = v >> 32, v & 0xFFFFFFFF
            same = True
            for i in range(s + one, e):
                u = y[np.uint64(lists[first + i]) & LOW]
                if u != v:
                    g1, w1 = u >> 32, u & 0xFFFFFFFF
                    if abs(np.float64(g0) * w1 - np.float64(g1) * w0) > rules.slack * np.float64(w0 + w1):
                        same = False
                        break
            if not same:
                listed |= rows > 2
                waiting[n_waiting], sums[n_waiting] = k, own
                n_waiting += 1
        n_nodes += 2
        for i in range(a, b):
            e = np.uint64(lists[first + i]) & LOW
            number[i] = e
            side[e] = i < cut
        if listed:
            for j in range(p):
                first, to = np.uint64(now + j * size), np.uint64(then + j * size)
                if j == best_j:
                    for i in range(a, b):
                        lists[to + i] = lists[first + i]
                    continue
                if (lists[first + a] ^ lists[first + b - one]) <= LOW:
                    # A column of one value stays so: only the ends of its lists are looked at.
                    e = lists[first + a]
                    lists[to + a] = lists[to + cut - one] = lists[to + cut] = lists[to + b - one] = e
                    continue
                lo, hi = to + a, to + cut
                for i in range(first + a, first + b):
                    e = lists[i]
                    is_left = np.uint64(side[np.uint64(e) & LOW])
                    # Without a branch, which would be guessed wrong half the time.
                    lists[hi ^ ((lo ^ hi) & (np.uint64(0) - is_left))] = e
                    lo += is_left
                    hi += one - is_left
    return n_nodes


@kernel
def grow_tree(
    words, head, codes, n_codes, is_cat, classes, channels, rules, tree, hist, touched, most_sorted
):
    """Grow one tree on records; return its number of nodes.

    ``words`` are the records as int64; ``head`` and ``codes`` are views of the same memory.
    """
    n, p = codes.shape
    state = np.empty(1, np.uint64)
    state[0] = np.uint64(rules.seed)
    order = np.arange(p)
    most = max(FEW + 1, min(n, hist.shape[0])) + 1
    code = np.empty(most, np.int64)
    sums = np.zeros((most, channels), np.int64)
    count = np.zeros(most, np.int64)
    by_rank = np.empty(most, np.int64)
    rank = np.empty(most)
    total = np.zeros(channels, np.int64)
    left = np.zeros(channels, np.int64)
    right = np.zeros(channels, np.int64)
    best_which = np.zeros(4, np.uint64)
    waiting = np.empty(max(64, n), np.int64)
    flat = sums.reshape(sums.size)
    alone = channels == 1 and classes.shape[0] == 0
    fast = alone and rules.criterion == SQUARED and not rules.random_cut
    counting = rules.min_leaf > 1
    # ---- room for nodes that are sorted once for all that lies below
    size = min(n, most_sorted) if fast and rules.max_leaves == 0 and not is_cat.any() else 0
    gap = 0
    # An odd number of cache lines apart, or equal places of all lists would share few places there.
    apart = 16 * ((size // 16 + 1) | 1)
    lists = np.empty(2 * p * apart, np.uint32)
    listed = np.empty(p * apart, np.uint16)
    spare = np.empty(size, np.uint32)
    number = np.empty(size, np.uint16)
    side = np.empty(size, np.uint8)
    y = np.empty(size, np.int64)
    bucket = np.empty(257, np.int64)
    n_nodes, n_waiting, n_leaves = 1, 0, 1
    tree.start[0], tree.end[0], tree.depth[0] = 0, n, 0
    fresh, last_fresh = 0, 0
    while True:
        if fresh > last_fresh:
            # ---- no node waits for its evaluation: split the next one
            if n_waiting == 0 or (rules.max_leaves > 0 and n_leaves >= rules.max_leaves):
                break
            at = n_waiting - 1
            if rules.max_leaves > 0:
                for i in range(n_waiting):
                    u, v = waiting[i], waiting[at]
                    if tree.gain[u] > tree.gain[v] or (tree.gain[u] == tree.gain[v] and u < v):
                        at = i
            node = waiting[at]
            n_waiting -= 1
            waiting[at] = waiting[n_waiting]
            _part(words, codes, n_codes, is_cat, tree, node, n_nodes)
            fresh, last_fresh = n_nodes, n_nodes + 1
            n_nodes += 2
            n_leaves += 1
            continue
        node = fresh
        fresh += 1
        a, b = np.int64(tree.start[node]), np.int64(tree.end[node])
        tree.left[node], tree.feature[node], tree.gain[node] = node, -1, 0.0
        tree.bin[node], tree.next[node], tree.missing_left[node] = 0, 0, 1
        if rules.max_depth > 0 and tree.depth[node] >= rules.max_depth:
            continue
        if b - a < rules.min_split or b - a < 2 * rules.min_leaf:
            continue
        for k in range(channels):
            total[k] = 0
        same = True
        if alone:
            v = head[a, 0]
            for i in range(a, b):
                total[0] += head[i, 0]
                same &= head[i, 0] == v
            if not same:
                same = _same(head, a, b, rules.slack)
        else:
            for i in range(a, b):
                _add(total, head, i, classes)
            if classes.shape[0] == 0:
                same = _same(head, a, b, rules.slack)
            else:
                for i in range(a, b):
                    for q in range(head.shape[1] - 1):
                        same &= (head[a, q] >> 32) == (head[i, q] >> 32)
        if same:
            continue
        if b - a <= size:
            m = b - a
            complete = True
            for k in range(p):
                # Where a value was missing before, one is likely to be missing again.
                j = (gap + k) % p
                if not _sort(codes, a, m, j, n_codes[j], lists, j * apart, listed, spare, bucket):
                    gap, complete = j, False
                    break
            if complete:
                for i in range(m):
                    y[i], number[i] = head[a + i, 0], i
                n_nodes = _grow_sorted(
                    lists,
                    apart,
                    listed,
                    y,
                    number,
                    side,
                    m,
                    order,
                    state,
                    rules,
                    tree,
                    node,
                    n_nodes,
                    total[0],
                )
                # Records stay where they are; what is asked for later is their row numbers.
                last = head.shape[1] - 1
                for i in range(m):
                    y[i] = head[a + np.int64(number[i]), last]
                for i in range(m):
                    head[a + i, last] = y[i]
                continue
        parent = _fit(total, rules.criterion, classes)
        best = rules.min_gain + abs(parent) * 1e-13
        best_j, best_bin, best_next = -1, 0, 0
        best_missing, best_set = 0, False
        tried = 0
        _restart(state, order, rules.seed, tree.start[node], tree.end[node])
        for pick in range(p):
            if tried >= rules.max_features:
                break
            j = _draw(state, order, pick)
            if alone:
                m = _groups_of_one(head, codes, a, b, j, hist, touched, code, flat, count, counting)
            else:
                m = _groups(head, codes, a, b, j, classes, hist, touched, code, sums, count, counting)
            if m < 2:
                continue
            tried += 1
            if fast and not is_cat[j] and code[m - 1] < n_codes[j]:
                at, score = _cut_of_one(
                    flat,
                    count,
                    m,
                    total[0],
                    rules.min_weight,
                    rules.min_leaf,
                    b - a,
                    best + parent,
                )
                if at >= 0:
                    best, best_j, best_set, best_missing = score - parent, j, False, UNKNOWN
                    best_bin, best_next = code[at], code[at + 1]
                continue
            # ---- a categorical column is put in the order of its mean (or of the commonest class)
            if is_cat[j]:
                top = 0
                if classes.shape[0] > 0:
                    for k in range(1, classes[0]):
                        if total[k] > total[top]:
                            top = k
                for g in range(m):
                    if classes.shape[0] > 0:
                        own = 0.0
                        for k in range(classes[0]):
                            own += sums[g, k]
                        r = np.float64(sums[g, top]) / own
                    else:
                        r = np.float64(sums[g, 0] >> 32) / np.float64(sums[g, 0] & 0xFFFFFFFF)
                    q = g
                    while q > 0 and rank[q - 1] > r:
                        rank[q] = rank[q - 1]
                        by_rank[q] = by_rank[q - 1]
                        q -= 1
                    rank[q], by_rank[q] = r, g
            else:
                for g in range(m):
                    by_rank[g] = g
            missing = not is_cat[j] and code[m - 1] == n_codes[j]
            last = m - 1 if missing else m
            chosen = -1
            if rules.random_cut and not is_cat[j]:
                low, high = code[0], code[last - 1]
                if high > low:
                    at = low + np.int64(_random(state) % np.uint64(high - low))
                    chosen = 0
                    while chosen + 1 < last and code[chosen + 1] <= at:
                        chosen += 1
                elif not missing:
                    continue
            elif rules.random_cut:
                chosen = np.int64(_random(state) % np.uint64(m - 1))
            for missing_left in range(2 if missing else 1):
                rows = 0
                for k in range(channels):
                    left[k] = sums[m - 1, k] if missing_left else 0
                if missing_left:
                    rows = count[m - 1]
                # With missing values on the right a cut may come after the last number.
                cuts = last if missing and not missing_left else last - 1
                for g in range(cuts):
                    at = by_rank[g]
                    rows += count[at]
                    for k in range(channels):
                        left[k] += sums[at, k]
                    if chosen >= 0 and g != chosen:
                        continue
                    if counting and (rows < rules.min_leaf or b - a - rows < rules.min_leaf):
                        continue
                    for k in range(channels):
                        right[k] = total[k] - left[k]
                    hl, hr = _weight(left, classes), _weight(right, classes)
                    if hl < rules.min_weight or hr < rules.min_weight or hl * hr == 0.0:
                        continue
                    gain = (
                        _fit(left, rules.criterion, classes) + _fit(right, rules.criterion, classes) - parent
                    )
                    if gain > best:
                        best, best_j, best_set = gain, j, is_cat[j] != 0
                        best_missing = missing_left if missing else UNKNOWN
                        if best_set:
                            for q in range(4):
                                best_which[q] = np.uint64(0)
                            best_missing = UNKNOWN
                            for q in range(m):
                                if code[q] == n_codes[j]:
                                    best_missing = 0
                            for q in range(g + 1):
                                c = code[by_rank[q]]
                                best_which[c >> 6] |= np.uint64(1) << np.uint64(c & 63)
                                if c == n_codes[j]:
                                    best_missing = 1
                        else:
                            best_bin = code[g]
                            best_next = code[g + 1] if g + 1 < last else n_codes[j]
        if best_j < 0:
            continue
        tree.feature[node], tree.gain[node] = best_j, best
        tree.bin[node], tree.next[node], tree.missing_left[node] = best_bin, best_next, best_missing
        if best_set:
            for q in range(4):
                tree.set[node, q] = best_which[q]
        waiting[n_waiting] = node
        n_waiting += 1
    for i in range(n_waiting):
        node = waiting[i]
        tree.left[node], tree.feature[node], tree.gain[node] = node, -1, 0.0
        tree.bin[node], tree.missing_left[node] = 0, 1
    return n_nodes


@kernel
def leaf_sums(ids, start, end, left, y, w, out):
    """Weighted sums of the targets y (rows, values) and of w (last column) in every node."""
    for node in range(left.shape[0] - 1, -1, -1):
        if left[node] == node:
            for i in range(start[node], end[node]):
                r = ids[i]
                for v in range(y.shape[1]):
                    out[node, v] += w[r] * y[r, v]
                out[node, y.shape[1]] += w[r]
        else:
            for v in range(out.shape[1]):
                out[node, v] = out[left[node], v] + out[left[node] + 1, v]
