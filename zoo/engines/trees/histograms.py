"""The histogram grower: arrays in, arrays out, one compiled entry that grows one tree.

A row's gradient g and curvature h are rounded to whole numbers and packed into one int64,
``(g << 32) + h``. A histogram cell is a sum of such numbers, so sums are exact: the order of
summation, the number of threads and the subtraction of a sibling change nothing. The scale is
chosen each round from the true sum of |g| and of h, so that no subset of rows can overflow; h must
not be negative.

Bins are kept twice: ``rows`` (padded, a row in one or two cache lines) for histograms, ``cols`` for
the partition.

Threads do not fork and join. Growing is a cycle of jobs (gradient, pack, root, scan, split, move,
node, scan, ...), each cut into numbered chunks. Between two jobs the caller does what is serial and
posts the next job (``_next``); helper threads that happen to be free claim chunks by an atomic
counter. A helper that the system does not schedule costs nothing, because the caller takes its
chunks.

Kernels see memory as pointers of one table (see ``_memory``). Everything that inlines into each other
lives in this file.
"""

from math import exp

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy import float32, float64, inf, int32, int64, uint8, uint64

from zoo.engines.trees.memory import (
    as_double,
    as_float,
    door,
    f32,
    f64,
    fetch_add,
    flat,
    i8,
    i32,
    i64,
    inner,
    inner_fast,
    larger,
    load,
    prefetch,
    round_down,
    skip,
    smaller,
    store,
    table_at,
    u8,
    u32,
    u64,
)

CELLS = 264
"""Most cells of one column in a histogram: 255 bins, one for missing, and eight that keep columns
from falling onto the same cache sets."""
CHUNK = 8192
"""Rows of one chunk. Fixed: partial sums of floats must not depend on the thread count."""
SCAN_BLOCK = 8
"""Features of one chunk of a scan."""
BATCH = 4 * CELLS
"""Cells whose gains are computed at a time: columns of few bins fill no vector by themselves."""

# What is asked for at the door.
HELP, STOP_HELP, GRADIENTS, GROW, GRADIENTS_AND_GROW, ADD = range(6)
# Jobs.
GRADIENT, PACK, ROOT, NODE, SCAN, SPLIT, MOVE, SCORE, NOTHING = range(9)
# Losses with a kernel of their own; OUTSIDE means that g and h were written by the caller.
OUTSIDE, LOGISTIC, SQUARED, ABSOLUTE, QUANTILE, HUBER, POISSON, SOFTMAX = range(8)
# Order in which leaves are split.
BEST_FIRST, BREADTH_FIRST, DEPTH_FIRST = range(3)
# Gains that differ by less than this share are equal: packing rounds.
TIE = 1e-7
# Where missing values go when a node has seen none: with the larger part, once that is known.
UNKNOWN = 2

NUMBERS = [
    # sizes
    *("N", "P", "WIDTH", "THREADS", "SLOTS", "MAX_LEAVES", "N_SETS", "N_SCORES", "WEIGHTED"),
    "G",
    # what the caller asks for
    *("MAX_DEPTH", "POLICY", "PER_NODE", "KIND", "K", "N_ROWS", "N_FEATURES", "SEED"),
    "N_GROUPS",
    "IS_COUNTED",
    # what the grower leaves behind
    *("N_NODES", "N_LEAVES"),
    # the job under way
    *("JOB", "CHUNKS", "A", "B", "SLOT", "FEATURE", "BIN", "MISSING", "CAT", "SIZE"),
    # state between jobs; EXACT: leaves of small data are summed in float64
    *("EXACT", "N_FREE", "N_OPEN", "FIRST", "SECOND", "N_NEW", "SIDE_0", "SIDE_1", "PARENT"),
    *("N_LEFT", "OWN", "OTHER", "LARGE", "SMALL", "STATE", "DIRECT"),
]
ARRAYS = dict(
    rows="uint8",  # (n, width): a byte for each group of columns (see ``_bins.find_groups``)
    cols="uint8",  # (p, n)
    n_bins="int64",  # (p): cells without the one for missing values, which follows them
    has_missing="uint8",  # (p)
    is_cat="uint8",  # (p)
    monotone="int8",  # (p)
    features="int64",  # (p): the first N_FEATURES are used by this tree
    groups="int64",  # (G): the first N_GROUPS hold the columns of this tree
    group="int64",  # (p): the group of each column
    rest="int64",  # (p): the bin that is not listed, or -1 for a column alone in its group
    listed="int64",  # (p + 1): where a column's bytes are listed with the bins they stand for
    listed_byte="uint8",
    listed_bin="uint8",
    sets="uint8",  # (N_SETS, p): interaction constraints
    y="float64",  # (n)
    w="float64",  # (n) or (0)
    score="float64",  # (N_SCORES, n)
    norm="float64",  # (2, n) or (0): largest score of a row, 1 / sum exp of what it exceeds
    gh="int64",  # (n): packed g and h
    pair="float32",  # (n, 2): g and h in the same memory, before they are packed
    order="uint32",  # (n): rows, grouped by leaf
    spare="uint32",  # (n)
    offset="int64",  # (G + 1): first cell of each group in a histogram of SIZE cells
    pool="int64",  # (slots, SIZE)
    private="int64",  # (threads, SIZE)
    touched="int64",  # (threads): the job for which the private histogram holds sums
    parts="int64",  # (chunks, 4)
    sums="float64",  # (chunks, 4)
    found_gain="float64",  # (2, p)
    found="int64",  # (2, p, 4): bin, missing left, packed left sum, is a set
    found_set="uint64",  # (2, p, 4)
    side="int64",  # (2, 4): slot, start, end, packed sum of the leaves under scan
    bound="float64",  # (2, 2): lowest and highest value a leaf may take
    allowed="uint8",  # (2, p)
    scratch="float64",  # (threads, 6, CELLS)
    cum="int64",  # (threads, BATCH + CELLS): of a batch, and of one column
    batch="int64",  # (threads, 2, SCAN_BLOCK): columns under scan and their first cells
    counts="int64",  # (threads, CELLS)
    own="int64",  # (threads, CELLS): cells of one column, from those of its group
    lanes="float32",  # (threads, 2, CHUNK)
    draw="int64",  # (p)
    leaf_start="int64",  # (leaves)
    leaf_end="int64",  # (leaves)
    leaf_node="int64",  # (leaves)
    leaf_value="float64",  # (leaves)
    gate="int64",  # (24)
    # the tree; children of node i are left[i] and left[i] + 1, a leaf is its own child
    left="int32",
    feature="int32",  # -1 for a leaf
    bin="int32",  # the last bin that goes left
    missing_left="uint8",
    set="uint64",  # (nodes, 4): categories that go left
    value="float64",
    gain="float64",
    weight="float64",  # sum of h
    count="int64",
    depth="int32",
    # what is remembered of each node while the tree grows
    start="int64",
    end="int64",
    total="int64",  # packed
    slot="int64",  # -1 when the histogram was given up
    open="int64",  # (leaves + 1): nodes that may still be split
    left_sum="int64",
    is_set="uint8",
    low="float64",
    high="float64",
    node_allowed="uint8",  # (nodes, p), with interaction constraints only
    parent="int64",
    free="int64",  # (slots): stack of free slots
    exact="float64",  # (n, 2) or (0, 2): g and h as they are
    real="float64",  # (REALS)
)
REALS = [
    "LAM",
    "ALPHA",
    "GAMMA",
    "MIN_H",
    "MIN_N",
    "MAX_H",
    "SCALE_G",
    "SCALE_H",
    "OPTION",
    "CAT_SMOOTH",
    "COUNTED",
]

# Places in the table of whole numbers, then of addresses, and in the table of real numbers:
# spelled out, because numba has to see constants (a test compares them with the names above).
(
    N,
    P,
    WIDTH,
    THREADS,
    SLOTS,
    MAX_LEAVES,
    N_SETS,
    N_SCORES,
    WEIGHTED,
    G,
    MAX_DEPTH,
    POLICY,
    PER_NODE,
    KIND,
    K,
    N_ROWS,
    N_FEATURES,
    SEED,
    N_GROUPS,
    IS_COUNTED,
    N_NODES,
    N_LEAVES,
    JOB,
    CHUNKS,
    A,
    B,
    SLOT,
    FEATURE,
    BIN,
    MISSING,
    CAT,
    SIZE,
    EXACT,
    N_FREE,
    N_OPEN,
    FIRST,
    SECOND,
    N_NEW,
    SIDE_0,
    SIDE_1,
    PARENT,
    N_LEFT,
    OWN,
    OTHER,
    LARGE,
    SMALL,
    STATE,
    DIRECT,
) = range(48)
(
    _rows,
    _cols,
    _n_bins,
    _has_missing,
    _is_cat,
    _monotone,
    _features,
    _groups,
    _group,
    _rest,
    _listed,
    _listed_byte,
    _listed_bin,
    _sets,
    _y,
    _w,
    _score,
    _norm,
    _gh,
    _pair,
    _order,
    _spare,
    _offset,
    _pool,
    _private,
    _touched,
    _parts,
    _sums,
    _found_gain,
    _found,
    _found_set,
    _side,
    _bound,
    _allowed,
    _scratch,
    _cum,
    _batch,
    _counts,
    _own,
    _lanes,
    _draw,
    _leaf_start,
    _leaf_end,
    _leaf_node,
    _leaf_value,
    _gate,
    _left,
    _feature,
    _bin,
    _missing_left,
    _set,
    _value,
    _gain,
    _weight,
    _count,
    _depth,
    _start,
    _end,
    _total,
    _slot,
    _open,
    _left_sum,
    _is_set,
    _low,
    _high,
    _node_allowed,
    _parent,
    _free,
    _exact,
    _real,
) = range(48, 118)
(
    LAM,
    ALPHA,
    GAMMA,
    MIN_H,
    MIN_N,
    MAX_H,
    SCALE_G,
    SCALE_H,
    OPTION,
    CAT_SMOOTH,
    COUNTED,
) = range(11)
TABLE = 118
PLACE = {name: i for i, name in enumerate(NUMBERS)}
ADDRESS = {name: len(NUMBERS) + i for i, name in enumerate(ARRAYS)}
REAL = {name: i for i, name in enumerate(REALS)}
# Places in the gate, each on a cache line of its own.
TICKET, DONE, STOP = 0, 8, 16


@intrinsic
def _g(typingctx, packed):
    """Sum of g of a packed number."""

    def codegen(context, builder, sig, args):
        return builder.sitofp(builder.ashr(args[0], ir.IntType(64)(32)), ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def _h(typingctx, packed):
    """Sum of h of a packed number."""

    def codegen(context, builder, sig, args):
        return builder.sitofp(builder.and_(args[0], ir.IntType(64)(0xFFFFFFFF)), ir.DoubleType())

    return types.float64(types.int64), codegen


_yield_now = types.ExternalFunction("sched_yield", types.int32())
_sleep_us = types.ExternalFunction("usleep", types.int32(types.uint32))


@inner_fast
def _exp(x):
    """Exponential in float32 by a polynomial on [-ln 2 / 2, ln 2 / 2]; relative error 2e-7."""
    x = float32(smaller(larger(x, float32(-87.0)), float32(88.0)))
    k = round_down(x * float32(1.44269504) + float32(0.5))
    r = x - k * float32(0.693359375) + k * float32(2.12194440e-4)
    p = float32(1.9875691500e-4)
    p = p * r + float32(1.3981999507e-3)
    p = p * r + float32(8.3334519073e-3)
    p = p * r + float32(4.1665795894e-2)
    p = p * r + float32(1.6666665459e-1)
    p = p * r + float32(5.0000001201e-1)
    p = p * r * r + r + float32(1.0)
    return p * as_float((int32(k) + int32(127)) << int32(23))


# ----------------------------------------------------------------------------------- jobs


@inner_fast
def _gradient(t, real, chunk, tid):
    """Gradient and curvature of a chunk of rows, and the sums that set the scale."""
    n = t[N]
    s, e = chunk * CHUNK, smaller(n, (chunk + 1) * CHUNK)
    kind, k, option = t[KIND], t[K], float32(real[OPTION])
    one, zero = float32(1), float32(0)
    m = e - s
    pair = skip(f32(t, _pair), 2 * s)
    lanes = f32(t, _lanes)
    at = tid * 2 * CHUNK
    g, h = skip(lanes, at), skip(lanes, at + CHUNK)
    f = skip(f64(t, _score), k * n + s)
    y = skip(f64(t, _y), s)
    if kind == OUTSIDE:
        for i in range(m):
            g[i] = pair[2 * i]
            h[i] = pair[2 * i + 1]
    elif kind == LOGISTIC:
        for i in range(m):
            a = float32(f[i])
            q = _exp(-abs(a))
            d = one / (one + q)
            p = d if a >= zero else q * d
            g[i] = p - float32(y[i])
            h[i] = q * d * d
    elif kind == HUBER:
        for i in range(m):
            g[i] = smaller(larger(float32(f[i] - y[i]), -option), option)
            h[i] = one
    elif kind == POISSON:
        for i in range(m):
            p = _exp(float32(f[i]))
            g[i] = p - float32(y[i])
            h[i] = p
    elif kind == SOFTMAX:
        norm = f64(t, _norm)
        top, inverse = skip(norm, s), skip(norm, n + s)
        c = float64(k)
        for i in range(m):
            p = _exp(float32(f[i] - top[i])) * float32(inverse[i])
            g[i] = p - float32(y[i] == c)
            h[i] = larger(option * p * (one - p), float32(1e-16))
    elif kind == SQUARED:
        for i in range(m):
            g[i] = f[i] - y[i]
            h[i] = one
    else:
        up = one if kind == ABSOLUTE else option
        down = one if kind == ABSOLUTE else one - option
        for i in range(m):
            g[i] = down * float32(f[i] > y[i]) - up * float32(f[i] < y[i])
            h[i] = one
    if t[WEIGHTED] and kind != OUTSIDE:
        w = skip(f64(t, _w), s)
        for i in range(m):
            g[i] *= float32(w[i])
            h[i] *= float32(w[i])
    sum_g, sum_h, max_h = 0.0, 0.0, zero
    for i in range(m):
        sum_g += abs(g[i])
        sum_h += h[i]
    for i in range(m):
        max_h = h[i] if h[i] > max_h else max_h
    for i in range(m):
        pair[2 * i] = g[i]
        pair[2 * i + 1] = h[i]
    sums = f64(t, _sums)
    sums[4 * chunk] = sum_g
    sums[4 * chunk + 1] = sum_h
    sums[4 * chunk + 2] = max_h


@inner
def _gradient_exact(t, real, s, e):
    """Gradient and curvature in float64, for the leaves of small data."""
    n, kind, k, option = t[N], t[KIND], t[K], real[OPTION]
    score, y = f64(t, _score), f64(t, _y)
    exact = f64(t, _exact)
    for i in range(s, e):
        f = score[k * n + i]
        h = 1.0
        if kind == LOGISTIC:
            q = exp(-abs(f))
            d = 1.0 / (1.0 + q)
            g = (d if f >= 0.0 else q * d) - y[i]
            h = q * d * d
        elif kind == POISSON:
            h = exp(f)
            g = h - y[i]
        elif kind == SOFTMAX:
            norm = f64(t, _norm)
            q = exp(f - norm[i]) * norm[n + i]
            g = q - (1.0 if y[i] == k else 0.0)
            h = larger(option * q * (1.0 - q), 1e-16)
        else:
            g = f - y[i]
            if kind == HUBER:
                g = smaller(larger(g, -option), option)
            elif kind != SQUARED:
                up = 1.0 if kind == ABSOLUTE else option
                down = 1.0 if kind == ABSOLUTE else 1.0 - option
                g = down if g > 0.0 else (-up if g < 0.0 else 0.0)
        w = f64(t, _w)[i] if t[WEIGHTED] else 1.0
        exact[2 * i] = g * w
        exact[2 * i + 1] = h * w


@inner_fast
def _pack(t, real, chunk):
    n = t[N]
    s, e = chunk * CHUNK, smaller(n, (chunk + 1) * CHUNK)
    sg, sh = real[SCALE_G], real[SCALE_H]
    pair, gh = skip(f32(t, _pair), 2 * s), skip(i64(t, _gh), s)
    for i in range(e - s):
        g = int64(round_down(float64(pair[2 * i]) * sg + 0.5))
        h = int64(round_down(float64(pair[2 * i + 1]) * sh + 0.5))
        gh[i] = (g << 32) + h


@inner_fast
def _normalise(t, chunk, tid):
    """Largest score of each row, and one over the sum of exponentials of what it exceeds."""
    n, n_scores = t[N], t[N_SCORES]
    s, e = chunk * CHUNK, smaller(n, (chunk + 1) * CHUNK)
    m = e - s
    score, norm = f64(t, _score), f64(t, _norm)
    top, inverse = skip(norm, s), skip(norm, n + s)
    z = skip(f32(t, _lanes), tid * 2 * CHUNK)
    for i in range(m):
        top[i] = score[s + i]
        z[i] = 0.0
        inverse[i] = 0.0
    # Classes outside, rows inside: that is what the processor does eight at a time.
    for k in range(1, n_scores):
        f = skip(score, k * n + s)
        for i in range(m):
            top[i] = f[i] if f[i] > top[i] else top[i]
    for k in range(n_scores):
        f = skip(score, k * n + s)
        if t[EXACT]:
            for i in range(m):
                inverse[i] += exp(f[i] - top[i])
        else:
            for i in range(m):
                z[i] += _exp(float32(f[i] - top[i]))
    for i in range(m):
        inverse[i] = 1.0 / (inverse[i] if t[EXACT] else float64(z[i]))


@inner
def _add_rows(hist, offset, flat, width, gh, s, e, p):
    """Add rows s .. e, in order, to a histogram."""
    for i in range(s, e):
        v = gh[i]
        at = i * width
        for j in range(p):
            hist[offset[j] + flat[at + j]] += v


@inner
def _add_listed(hist, offset, flat, width, gh, order, s, e, p):
    """Add the rows order[s] .. order[e - 1] to a histogram."""
    for i in range(s, e):
        ahead = order[smaller(i + 24, e - 1)]
        prefetch(flat, ahead * width)
        prefetch(flat, ahead * width + width - 1)
        prefetch(gh, ahead)
        r = order[i]
        v = gh[r]
        at = r * width
        for j in range(p):
            hist[offset[j] + flat[at + j]] += v


@inner
def _add_listed_some(hist, offset, flat, width, gh, order, s, e, groups, m):
    """Add listed rows to the histograms of m chosen groups of columns."""
    for i in range(s, e):
        ahead = order[smaller(i + 24, e - 1)]
        prefetch(flat, ahead * width)
        prefetch(gh, ahead)
        r = order[i]
        v = gh[r]
        at = r * width
        for q in range(m):
            j = groups[q]
            hist[offset[j] + flat[at + j]] += v


@flat
def _fill(t, hist, kind, s, e):
    """Add a piece of rows to a histogram."""
    groups, m, width = t[G], t[N_GROUPS], t[WIDTH]
    offset = i64(t, _offset)
    rows, gh, order = u8(t, _rows), i64(t, _gh), u32(t, _order)
    if m < groups:
        _add_listed_some(hist, offset, rows, width, gh, order, s, e, i64(t, _groups), m)
    elif kind == ROOT:
        _add_rows(hist, offset, rows, width, gh, s, e, groups)
    else:
        _add_listed(hist, offset, rows, width, gh, order, s, e, groups)


@inner
def _split_rows(t, chunk):
    """Part a piece of rows, stably.

    Those that go left come to the front of the same piece of ``spare``, the others, reversed, to
    its back.
    """
    n, feature = t[N], t[FEATURE]
    s = t[A] + chunk * CHUNK
    e = smaller(t[B], s + CHUNK)
    order, spare = u32(t, _order), u32(t, _spare)
    col = skip(u8(t, _cols), feature * n)
    lo, hi = uint64(s), uint64(e - 1)
    one = uint64(1)
    if t[CAT]:
        which = skip(u64(t, _set), 4 * t[PARENT])
        for i in range(s, e):
            r = order[i]
            b = uint64(col[r])
            left = (which[b >> uint64(6)] >> (b & uint64(63))) & one
            spare[lo] = r
            spare[hi] = r
            lo += left
            hi -= one - left
    else:
        # A missing value lies in the cell after the last bin, so that it goes right by itself.
        limit = uint8(t[BIN])
        other = limit
        if t[MISSING] == 1 and u8(t, _has_missing)[feature]:
            other = uint8(i64(t, _n_bins)[feature])
        for i in range(s, e):
            r = order[i]
            b = col[r]
            left = uint64((b <= limit) | (b == other))
            spare[lo] = r
            spare[hi] = r
            lo += left
            hi -= one - left
    i64(t, _parts)[4 * chunk] = int64(lo) - s


@inner
def _move_rows(t, chunk):
    """Copy a partitioned piece back to its two places."""
    s = t[A] + chunk * CHUNK
    e = smaller(t[B], s + CHUNK)
    parts = i64(t, _parts)
    n_left, l, r = parts[4 * chunk], parts[4 * chunk + 1], parts[4 * chunk + 2]
    order, spare = u32(t, _order), u32(t, _spare)
    front, out = skip(spare, s), skip(order, l)
    for i in range(n_left):
        out[i] = front[i]
    m = e - s - n_left
    back, out = skip(spare, s + n_left), skip(order, r)
    for i in range(m):
        out[i] = back[m - 1 - i]


@inner
def _leaf(g, h, lam, alpha, low, high):
    """Value that minimises g c + (h + lam) c^2 / 2 + alpha |c| within its bounds."""
    rest = larger(g - alpha, 0.0) + smaller(g + alpha, 0.0)
    return smaller(larger(-rest / larger(h + lam, 1e-300), low), high)


@inner
def _fall(g, h, lam, alpha, c):
    """Twice the fall of the objective when a leaf takes the value c."""
    return -2.0 * (g * c + alpha * abs(c)) - (h + lam) * c * c


@inner
def _count_bins(t, feature, s, e, counts):
    """Rows of the leaf in each bin of one feature."""
    for b in range(CELLS):
        counts[b] = 0
    col, order = skip(u8(t, _cols), feature * t[N]), u32(t, _order)
    for i in range(s, e):
        counts[col[order[i]]] += 1


@inner_fast
def _gains(cum, m, shift, total, lam, min_h, out):
    """What a cut after each of m bins makes of the sums; -1 where a side is too light."""
    tg, th = _g(total), _h(total)
    for b in range(m):
        left = cum[b] + shift
        gl = float64(left >> 32)
        hl = float64(left & 0xFFFFFFFF)
        gr = tg - gl
        hr = th - hl
        dl = hl + lam + 1e-30
        dr = hr + lam + 1e-30
        score = (gl * gl * dr + gr * gr * dl) / (dl * dr)
        out[b] = score if (hl >= min_h) & (hr >= min_h) else -1.0


@inner
def _largest(bits, m):
    """Largest of m float64, given their bits: as whole numbers the maximum is vectorised."""
    best = int64(-1)
    for b in range(m):
        best = larger(best, bits[b])
    return best


@inner
def _cells(t, slot, total, j, cells, tid):
    """Histogram of one column in a leaf: a view, or sums over the bytes of its group."""
    first = slot * t[SIZE] + i64(t, _offset)[i64(t, _group)[j]]
    shared = skip(i64(t, _pool), first)
    rest = i64(t, _rest)[j]
    if rest < 0:
        return shared
    own = skip(i64(t, _own), tid * CELLS)
    for b in range(cells):
        own[b] = 0
    listed = i64(t, _listed)
    s, e = listed[j], listed[j + 1]
    byte, b = u8(t, _listed_byte), u8(t, _listed_bin)
    for i in range(s, e):
        v = shared[byte[i]]
        own[b[i]] += v
        total -= v
    own[rest] = total
    return own


@inner
def _scan(t, real, side, j, tid, floor):
    """Best split of one leaf by one feature; none if it gains no more than ``floor``.

    Sums stay in the whole numbers of the histogram; lam and the limits are scaled instead.
    """
    p = t[P]
    sides = i64(t, _side)
    slot, start, end = sides[4 * side], sides[4 * side + 1], sides[4 * side + 2]
    total = sides[4 * side + 3]
    sg, sh = real[SCALE_G], real[SCALE_H]
    # A leaf that weighs just enough must not fail by rounding.
    lam, min_h = real[LAM] * sh, real[MIN_H] * sh * (1.0 - 1e-6)
    alpha = real[ALPHA] * sg
    min_n = int64(real[MIN_N])
    # At least this much h means at least min_child_samples rows; below it, rows are counted.
    sure_h = (real[MIN_N] - 0.5) * real[MAX_H] * sh
    if real[COUNTED] != 0.0:
        min_h, sure_h = larger(min_h, real[MIN_N]), 0.0
    n_rows = end - start
    n_bins = i64(t, _n_bins)[j]
    has_missing = u8(t, _has_missing)[j]
    cells = n_bins + int64(has_missing)
    hist = _cells(t, slot, total, j, cells, tid)
    row = side * p + j
    out = skip(i64(t, _found), 4 * row)
    found_gain = f64(t, _found_gain)
    counted = False
    counts = skip(i64(t, _counts), tid * CELLS)
    cum = skip(i64(t, _cum), (5 * tid + 4) * CELLS)
    own = 6 * tid * CELLS
    scratch = skip(f64(t, _scratch), own)
    gain = scratch
    bits = skip(i64(t, _scratch), own)
    tg, th = _g(total), _h(total)
    mono = i8(t, _monotone)[j]
    unit = sg / sh  # a leaf value times this is the value in the histogram's numbers
    bound = f64(t, _bound)
    low, high = bound[2 * side] * unit, bound[2 * side + 1] * unit
    plain = alpha == 0.0 and low == -inf and high == inf and mono == 0
    if plain:
        parent = tg * tg / (th + lam + 1e-30)
    else:
        parent = _fall(tg, th, lam, alpha, _leaf(tg, th, lam, alpha, low, high))
    # Rounding must not turn a useless split into a useful one.
    best = parent * (1.0 + TIE) + 1e-9

    is_cat = u8(t, _is_cat)[j]
    rank, key = skip(scratch, 4 * CELLS), skip(scratch, 5 * CELLS)
    acc = int64(0)
    if is_cat:
        smooth = real[CAT_SMOOTH] * sh
        m = 0
        for b in range(cells):
            if hist[b] != 0:
                key[m] = b
                rank[m] = _g(hist[b]) / (_h(hist[b]) + smooth + 1e-30)
                m += 1
        # Insertion sort: categories are few, and equal ranks keep their order.
        for i in range(1, m):
            x, v = rank[i], key[i]
            q = i - 1
            while q >= 0 and rank[q] > x:
                rank[q + 1] = rank[q]
                key[q + 1] = key[q]
                q -= 1
            rank[q + 1] = x
            key[q + 1] = v
        for i in range(m):
            acc += hist[int64(key[i])]
            cum[i] = acc
        width = m
        miss = int64(0)
    else:
        for b in range(n_bins):
            acc += hist[b]
            cum[b] = acc
        width = n_bins
        miss = hist[n_bins] if has_missing else int64(0)
    # With missing values on the right, a cut after the last bin parts them from the others.
    for missing_left in range(2 if miss != 0 else 1):
        m = width if miss != 0 and missing_left == 0 else width - 1
        shift = miss if missing_left else int64(0)
        if plain:
            _gains(cum, m, shift, total, lam, min_h, gain)
        else:
            for b in range(m):
                left = cum[b] + shift
                gl, hl = _g(left), _h(left)
                gr, hr = tg - gl, th - hl
                gain[b] = -1.0
                if hl >= min_h and hr >= min_h:
                    cl = _leaf(gl, hl, lam, alpha, low, high)
                    cr = _leaf(gr, hr, lam, alpha, low, high)
                    if mono * (cr - cl) >= 0.0:
                        gain[b] = _fall(gl, hl, lam, alpha, cl) + _fall(gr, hr, lam, alpha, cr)
        while True:
            top = as_double(_largest(bits, m))
            if not top > larger(best, floor + parent):
                break
            # Cuts that differ by rounding alone are equal: the first of them is taken.
            equal = top * (1.0 - TIE)
            b = 0
            while gain[b] < equal:
                b += 1
            if gain[b] <= best:
                break
            hl = _h(cum[b] + shift)
            if smaller(hl, th - hl) < sure_h:
                if not counted:
                    _count_bins(t, j, start, end, counts)
                    counted = True
                seen = counts[n_bins] if missing_left else int64(0)
                for q in range(m):
                    seen += counts[int64(key[q])] if is_cat else counts[q]
                    if seen < min_n or n_rows - seen < min_n:
                        gain[q] = -1.0
                if gain[b] < 0.0:
                    continue
            best = gain[b]
            found_gain[row] = best - parent
            out[0] = b
            out[1] = missing_left if miss != 0 else UNKNOWN
            out[2] = cum[b] + shift
            out[3] = is_cat
            break
    if is_cat and found_gain[row] > 0.0:
        which = skip(u64(t, _found_set), 4 * row)
        for q in range(4):
            which[q] = uint64(0)
        out[1] = UNKNOWN if not has_missing or hist[n_bins] == 0 else 0
        for q in range(out[0] + 1):
            b = uint64(key[q])
            which[b >> uint64(6)] |= uint64(1) << (b & uint64(63))
            if int64(b) == n_bins:
                out[1] = 1


@inner
def _scan_batch(t, real, side, m, cells, tid, floor):
    """Take the best cuts of m batched columns; return the most that any has gained."""
    p = t[P]
    sides = i64(t, _side)
    total = sides[4 * side + 3]
    lam, min_h = real[LAM] * real[SCALE_H], real[MIN_H] * real[SCALE_H] * (1.0 - 1e-6)
    sure_h = (real[MIN_N] - 0.5) * real[MAX_H] * real[SCALE_H]
    if real[COUNTED] != 0.0:
        min_h, sure_h = larger(min_h, real[MIN_N]), 0.0
    cum = skip(i64(t, _cum), 5 * tid * CELLS)
    gain = skip(f64(t, _scratch), 6 * tid * CELLS)
    bits = skip(i64(t, _scratch), 6 * tid * CELLS)
    batch = skip(i64(t, _batch), 2 * tid * SCAN_BLOCK)
    found, found_gain = i64(t, _found), f64(t, _found_gain)
    tg, th = _g(total), _h(total)
    parent = tg * tg / (th + lam + 1e-30)
    # Rounding must not turn a useless split into a useful one.
    least = parent * (1.0 + TIE) + 1e-9
    _gains(cum, cells, int64(0), total, lam, min_h, gain)
    again = False
    for i in range(m):
        s = batch[2 * i + 1]
        e = batch[2 * i + 3] if i < m - 1 else cells
        top = as_double(_largest(skip(bits, s), e - s))
        if not top > larger(least, floor + parent):
            continue
        # Cuts that differ by rounding alone are equal: the first of them is taken.
        equal, at = top * (1.0 - TIE), s
        while gain[at] < equal:
            at += 1
        if gain[at] <= least:
            continue
        row = side * p + batch[2 * i]
        hl = _h(cum[at])
        if smaller(hl, th - hl) < sure_h:
            # Rows must be counted, by a function that needs the memory of this batch.
            found_gain[row] = 0.0
            again = True
            continue
        floor = gain[at] - parent
        found_gain[row] = floor
        found[4 * row], found[4 * row + 1], found[4 * row + 2] = at - s, UNKNOWN, cum[at]
        found[4 * row + 3] = 0
    if again:
        for i in range(m):
            row = side * p + batch[2 * i]
            if found_gain[row] == 0.0:
                found_gain[row] = -1.0
                _scan(t, real, side, batch[2 * i], tid, 0.0)
    return floor


@flat
def _scan_block(t, real, side, a, b, tid):
    """Best splits of one leaf by the features at places a .. b.

    Ordinary columns (numbers, none missing in this leaf, no constraint) are batched; the others go
    through ``_scan``, and so do cuts whose rows have to be counted.
    """
    p, size = t[P], t[SIZE]
    features, found_gain = i64(t, _features), f64(t, _found_gain)
    allowed, is_cat, monotone = u8(t, _allowed), u8(t, _is_cat), i8(t, _monotone)
    n_bins, has_missing = i64(t, _n_bins), u8(t, _has_missing)
    sides, bound = i64(t, _side), f64(t, _bound)
    total = sides[4 * side + 3]
    pool = skip(i64(t, _pool), sides[4 * side] * size)
    offset, group, rest = i64(t, _offset), i64(t, _group), i64(t, _rest)
    cum = skip(i64(t, _cum), 5 * tid * CELLS)
    batch = skip(i64(t, _batch), 2 * tid * SCAN_BLOCK)
    ordinary = real[ALPHA] == 0.0 and bound[2 * side] == -inf and bound[2 * side + 1] == inf
    # A later feature that gains no more than an earlier one is never chosen.
    floor, m, at = float64(0.0), int64(0), int64(0)
    for q in range(a, b):
        j = features[q]
        found_gain[side * p + j] = -1.0
        if not allowed[side * p + j]:
            continue
        cells = n_bins[j] + int64(has_missing[j])
        first = offset[group[j]]
        hist = skip(pool, first)
        if rest[j] >= 0:
            hist = _cells(t, sides[4 * side], total, j, cells, tid)
        plain = ordinary and not is_cat[j] and monotone[j] == 0
        if not plain or (has_missing[j] and hist[n_bins[j]] != 0):
            _scan(t, real, side, j, tid, 0.0)
            continue
        if rest[j] >= 0 and hist[rest[j]] == total:
            # All in one bin, unless others cancel, which gains nothing either.
            continue
        batch[2 * m], batch[2 * m + 1] = j, at
        m += 1
        acc = int64(0)
        for c in range(n_bins[j] - 1):
            acc += hist[c]
            cum[at] = acc
            at += 1
        if at > BATCH - CELLS:
            floor = _scan_batch(t, real, side, m, at, tid, floor)
            m, at = int64(0), int64(0)
    _scan_batch(t, real, side, m, at, tid, floor)


@flat
def _do(t, real, chunk, tid, generation):
    """Do one chunk of the job that is posted."""
    n, kind = t[N], t[JOB]
    if kind == GRADIENT:
        if t[KIND] == SOFTMAX and t[K] == 0:
            _normalise(t, chunk, tid)
        _gradient(t, real, chunk, tid)
        if t[EXACT] and t[KIND] != OUTSIDE:
            _gradient_exact(t, real, chunk * CHUNK, smaller(n, (chunk + 1) * CHUNK))
    elif kind == PACK:
        _pack(t, real, chunk)
    elif ROOT <= kind <= NODE:
        s = t[A] + chunk * CHUNK
        e = smaller(t[B], s + CHUNK)
        size = t[SIZE]
        if tid == 0:
            hist = skip(i64(t, _pool), t[SLOT] * size)
        else:
            hist = skip(i64(t, _private), tid * size)
            touched = i64(t, _touched)
            if touched[tid] != generation:
                for i in range(size):
                    hist[i] = 0
                touched[tid] = generation
        _fill(t, hist, kind, s, e)
    elif kind == SCAN:
        m = t[N_FEATURES]
        per = (m + SCAN_BLOCK - 1) // SCAN_BLOCK
        side = chunk // per
        a = (chunk % per) * SCAN_BLOCK
        _scan_block(t, real, side, a, smaller(m, a + SCAN_BLOCK), tid)
    elif kind == SPLIT:
        _split_rows(t, chunk)
    elif kind == MOVE:
        _move_rows(t, chunk)
    else:
        score, order = skip(f64(t, _score), t[K] * n), u32(t, _order)
        v = f64(t, _leaf_value)[chunk]
        for i in range(i64(t, _leaf_start)[chunk], i64(t, _leaf_end)[chunk]):
            score[order[i]] += v


# ---------------------------------------------------------------------------- what is serial


@inner
def _post(t, kind, s, e):
    """Make the next job one over the rows s .. e."""
    t[JOB], t[A], t[B] = kind, s, e
    t[CHUNKS] = (e - s + CHUNK - 1) // CHUNK


@inner
def _set_scale(t, real):
    """Choose the scale that packs. Where every h is 1 its sums stay exact counts."""
    n = t[N]
    chunks = (n + CHUNK - 1) // CHUNK
    sums = f64(t, _sums)
    sum_g, sum_h, max_h = 0.0, 0.0, 0.0
    for c in range(chunks):
        sum_g += sums[4 * c]
        sum_h += sums[4 * c + 1]
        max_h = larger(max_h, sums[4 * c + 2])
    real[SCALE_G] = (2.0**31 - 2.0 - n) / sum_g if sum_g > 0 else 1.0
    real[SCALE_H] = 1.0 if t[IS_COUNTED] or sum_h == 0 else (2.0**32 - 2.0 - n) / sum_h
    real[MAX_H] = max_h
    real[COUNTED] = t[IS_COUNTED]


@inner
def _take(t):
    """Give a slot for a histogram; when none is free, a waiting leaf gives up its own."""
    slot = i64(t, _slot)
    if t[N_FREE] > 0:
        t[N_FREE] -= 1
        return i64(t, _free)[t[N_FREE]]
    waiting = i64(t, _open)
    i = 0
    while i < t[N_OPEN] - 1 and slot[waiting[i]] < 0:
        i += 1
    taken = slot[waiting[i]]
    slot[waiting[i]] = -1
    return taken


@inner
def _give(t, slot):
    """Take back a slot, if it is one."""
    if slot >= 0:
        i64(t, _free)[t[N_FREE]] = slot
        t[N_FREE] += 1


@inner
def _clear(t, slot):
    size = t[SIZE]
    hist = skip(i64(t, _pool), slot * size)
    for i in range(size):
        hist[i] = 0


@inner
def _subtract(t, own, other):
    size = t[SIZE]
    a = skip(i64(t, _pool), own * size)
    b = skip(i64(t, _pool), other * size)
    for i in range(size):
        a[i] -= b[i]


@inner
def _begin(t, real):
    """Set up the root and post its histogram."""
    n, p, m = t[N], t[P], t[N_FEATURES]
    order, gh = u32(t, _order), i64(t, _gh)
    whole = t[N_ROWS] == 0
    n_rows = n if whole else t[N_ROWS]
    total = int64(0)
    if whole:
        for i in range(n):
            order[i] = i
            total += gh[i]
    else:
        for i in range(n_rows):
            total += gh[order[i]]
    free = i64(t, _free)
    for i in range(t[SLOTS]):
        free[i] = t[SLOTS] - 1 - i
    t[N_FREE] = t[SLOTS]
    draw = i64(t, _draw)
    for i in range(m):
        draw[i] = i
    t[N_NODES], t[N_LEAVES], t[N_OPEN] = 1, 1, 0
    t[FIRST], t[N_NEW], t[STATE] = 0, 1, t[SEED]
    i64(t, _start)[0], i64(t, _end)[0] = 0, n_rows
    f64(t, _low)[0], f64(t, _high)[0] = -inf, inf
    i32(t, _depth)[0] = 0
    i64(t, _total)[0] = total
    if t[N_SETS]:
        sets, allowed = u8(t, _sets), u8(t, _node_allowed)
        for j in range(p):
            allowed[j] = 0
            for q in range(t[N_SETS]):
                allowed[j] |= sets[q * p + j]
    slot = _take(t)
    i64(t, _slot)[0] = slot
    t[SLOT], t[OWN] = slot, slot
    t[OTHER], t[DIRECT] = -1, 0
    _clear(t, slot)
    _post(t, ROOT if whole else NODE, 0, n_rows)


@inner
def _post_scan(t, real):
    """Post the scan of the new nodes, both in one job; those that cannot be split are passed."""
    p, m = t[P], t[N_FEATURES]
    start, end, depth = i64(t, _start), i64(t, _end), i32(t, _depth)
    slot, total = i64(t, _slot), i64(t, _total)
    low, high = f64(t, _low), f64(t, _high)
    side, bound, allowed = i64(t, _side), f64(t, _bound), u8(t, _allowed)
    features, draw = i64(t, _features), i64(t, _draw)
    per_node = smaller(m, t[PER_NODE]) if t[PER_NODE] > 0 else m
    sides = 0
    t[SIDE_0] = t[SIDE_1] = -1
    for q in range(t[N_NEW]):
        node = t[FIRST] if q == 0 else t[SECOND]
        if t[MAX_DEPTH] > 0 and depth[node] >= t[MAX_DEPTH]:
            continue
        if end[node] - start[node] < 2 * int64(real[MIN_N]) or slot[node] < 0:
            continue
        t[SIDE_0 + q] = sides
        side[4 * sides] = slot[node]
        side[4 * sides + 1] = start[node]
        side[4 * sides + 2] = end[node]
        side[4 * sides + 3] = total[node]
        bound[2 * sides] = low[node]
        bound[2 * sides + 1] = high[node]
        for j in range(p):
            allowed[sides * p + j] = 1
        if t[N_SETS]:
            own = u8(t, _node_allowed)
            for j in range(p):
                allowed[sides * p + j] = own[node * p + j]
        if per_node < m:
            # Partial Fisher-Yates with splitmix64: the draw depends on the seed alone.
            for a in range(per_node):
                state = uint64(t[STATE]) + uint64(0x9E3779B97F4A7C15)
                t[STATE] = int64(state)
                z = (state ^ (state >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
                z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
                z ^= z >> uint64(31)
                b = a + int64(z % uint64(m - a))
                draw[a], draw[b] = draw[b], draw[a]
            for a in range(per_node, m):
                allowed[sides * p + features[draw[a]]] = 0
        sides += 1
    t[JOB] = SCAN
    t[CHUNKS] = sides * ((m + SCAN_BLOCK - 1) // SCAN_BLOCK)


@inner
def _choose(t, real, node, side):
    """Take over the best split that the scan found for a node; False when there is none."""
    p = t[P]
    found_gain, allowed = f64(t, _found_gain), u8(t, _allowed)
    features = i64(t, _features)
    total = i64(t, _total)[node]
    parent = _g(total) * _g(total) / (_h(total) + real[LAM] * real[SCALE_H] + 1e-30)
    best, at = 0.0, -1
    for q in range(t[N_FEATURES]):
        j = features[q]
        if not allowed[side * p + j]:
            continue
        if found_gain[side * p + j] > best + TIE * (best + parent) or (
            at < 0 and found_gain[side * p + j] > 0.0
        ):
            best, at = found_gain[side * p + j], j
    if at < 0:
        return False
    sg, sh = real[SCALE_G], real[SCALE_H]
    gain = 0.5 * best * sh / (sg * sg) - real[GAMMA]
    if gain <= 0.0:
        return False
    row = 4 * (side * p + at)
    found = i64(t, _found)
    f64(t, _gain)[node] = gain
    i32(t, _feature)[node] = at
    i32(t, _bin)[node] = found[row]
    u8(t, _missing_left)[node] = found[row + 1]
    i64(t, _left_sum)[node] = found[row + 2]
    u8(t, _is_set)[node] = found[row + 3]
    which, found_set = u64(t, _set), u64(t, _found_set)
    for q in range(4):
        which[4 * node + q] = found_set[row + q] if found[row + 3] else uint64(0)
    return True


@inner
def _post_split(t, real):
    """Queue the nodes that were scanned, take the next leaf and post the parting of its rows."""
    waiting, slot = i64(t, _open), i64(t, _slot)
    gain, feature = f64(t, _gain), i32(t, _feature)
    for q in range(t[N_NEW]):
        node = t[FIRST] if q == 0 else t[SECOND]
        if t[SIDE_0 + q] >= 0 and _choose(t, real, node, t[SIDE_0 + q]):
            waiting[t[N_OPEN]] = node
            t[N_OPEN] += 1
        else:
            feature[node] = -1
            _give(t, slot[node])
            slot[node] = -1
    if t[N_OPEN] == 0 or t[N_LEAVES] >= t[MAX_LEAVES]:
        t[JOB] = NOTHING
        return
    at = t[N_OPEN] - 1
    for i in range(t[N_OPEN]):
        a, b = waiting[i], waiting[at]
        if t[POLICY] == BEST_FIRST:
            if gain[a] > gain[b] or (gain[a] == gain[b] and a < b):
                at = i
        elif t[POLICY] == BREADTH_FIRST and a < b:
            at = i
    node = waiting[at]
    t[N_OPEN] -= 1
    waiting[at] = waiting[t[N_OPEN]]
    t[PARENT] = node
    t[FEATURE] = feature[node]
    t[BIN] = i32(t, _bin)[node]
    t[MISSING] = u8(t, _missing_left)[node]
    t[CAT] = u8(t, _is_set)[node]
    _post(t, SPLIT, i64(t, _start)[node], i64(t, _end)[node])


@inner
def _post_move(t):
    """Turn the counts of the pieces into places."""
    parts = i64(t, _parts)
    s, e = t[A], t[B]
    n_left = 0
    for c in range(t[CHUNKS]):
        n_left += parts[4 * c]
    l, r = s, s + n_left
    for c in range(t[CHUNKS]):
        parts[4 * c + 1], parts[4 * c + 2] = l, r
        l += parts[4 * c]
        r += smaller(CHUNK, e - s - c * CHUNK) - parts[4 * c]
    t[N_LEFT] = n_left
    t[JOB] = MOVE


@inner
def _post_children(t, real):
    """Make the two children and post the histogram of the smaller one."""
    p, node, f = t[P], t[PARENT], t[FEATURE]
    start, end, depth = i64(t, _start), i64(t, _end), i32(t, _depth)
    slot, total = i64(t, _slot), i64(t, _total)
    low, high = f64(t, _low), f64(t, _high)
    parent, missing_left = i64(t, _parent), u8(t, _missing_left)
    s, e, n_left = start[node], end[node], t[N_LEFT]
    left, right = t[N_NODES], t[N_NODES] + 1
    i32(t, _left)[node] = left
    t[N_NODES] += 2
    t[N_LEAVES] += 1
    start[left], end[left] = s, s + n_left
    start[right], end[right] = s + n_left, e
    parent[left] = parent[right] = node
    total[left] = i64(t, _left_sum)[node]
    total[right] = total[node] - total[left]
    depth[left] = depth[right] = depth[node] + 1
    if missing_left[node] == UNKNOWN:
        missing_left[node] = n_left >= e - s - n_left
        if t[CAT] and missing_left[node]:
            b = uint64(i64(t, _n_bins)[f])
            which = u64(t, _set)
            which[4 * node + int64(b >> uint64(6))] |= uint64(1) << (b & uint64(63))
    low[left] = low[right] = low[node]
    high[left] = high[right] = high[node]
    mono = i8(t, _monotone)[f]
    if mono != 0:
        sg, sh = real[SCALE_G], real[SCALE_H]
        middle = 0.0
        for c in range(left, right + 1):
            g, h = _g(total[c]) / sg, _h(total[c]) / sh
            middle += 0.5 * _leaf(g, h, real[LAM], real[ALPHA], low[node], high[node])
        if mono > 0:
            high[left] = low[right] = middle
        else:
            low[left] = high[right] = middle
    if t[N_SETS]:
        sets, allowed = u8(t, _sets), u8(t, _node_allowed)
        feature = i32(t, _feature)
        for j in range(p):
            allowed[left * p + j] = allowed[right * p + j] = 0
        for q in range(t[N_SETS]):
            # A set stays open below a node while it holds every feature used so far.
            fits, up = sets[q * p + f] != 0, node
            while fits and up > 0:
                up = parent[up]
                fits = sets[q * p + feature[up]] != 0
            if fits:
                for j in range(p):
                    allowed[left * p + j] |= sets[q * p + j]
                    allowed[right * p + j] |= sets[q * p + j]
    smaller_left = n_left <= e - s - n_left
    t[SMALL], t[LARGE] = (left, right) if smaller_left else (right, left)
    t[FIRST], t[SECOND], t[N_NEW] = left, right, 2
    slot[left] = slot[right] = -1
    own = slot[node]
    slot[node] = -1
    last = t[N_LEAVES] >= t[MAX_LEAVES]
    last |= t[MAX_DEPTH] > 0 and depth[left] >= t[MAX_DEPTH]
    last |= larger(n_left, e - s - n_left) < 2 * int64(real[MIN_N])
    if last:
        _give(t, own)
        _post_scan(t, real)
        return
    t[OTHER] = _take(t)
    # A parent that gave up its histogram leaves both to be counted.
    t[DIRECT] = own < 0
    t[OWN] = _take(t) if own < 0 else own
    slot[t[LARGE]], slot[t[SMALL]] = t[OWN], t[OTHER]
    t[SLOT] = t[OTHER]
    _clear(t, t[OTHER])
    _post(t, NODE, start[t[SMALL]], end[t[SMALL]])


@flat
def _next(t, real, what):
    """Do what is serial after a job and post the job that follows it."""
    done = t[JOB]
    if done == GRADIENT:
        if what == GRADIENTS:
            t[JOB] = NOTHING
        else:
            _set_scale(t, real)
            _post(t, PACK, 0, t[N])
    elif done == PACK:
        _begin(t, real)
    elif ROOT <= done <= NODE:
        if t[OTHER] >= 0 and t[DIRECT]:
            t[DIRECT], t[SLOT], t[OTHER] = 0, t[OWN], -1
            _clear(t, t[OWN])
            large = t[LARGE]
            _post(t, NODE, i64(t, _start)[large], i64(t, _end)[large])
        else:
            if t[OTHER] >= 0:
                _subtract(t, t[OWN], t[OTHER])
            _post_scan(t, real)
    elif done == SCAN:
        _post_split(t, real)
    elif done == SPLIT:
        _post_move(t)
    elif done == MOVE:
        _post_children(t, real)
    else:
        t[JOB] = NOTHING


@inner
def _finish(t, real):
    """Values of all nodes, and the list of leaves."""
    start, end, total = i64(t, _start), i64(t, _end), i64(t, _total)
    waiting, feature = i64(t, _open), i32(t, _feature)
    value, weight, count = f64(t, _value), f64(t, _weight), i64(t, _count)
    left, bins, missing_left = i32(t, _left), i32(t, _bin), u8(t, _missing_left)
    gain, which = f64(t, _gain), u64(t, _set)
    low, high = f64(t, _low), f64(t, _high)
    leaf_start, leaf_end = i64(t, _leaf_start), i64(t, _leaf_end)
    leaf_node = i64(t, _leaf_node)
    sg, sh = real[SCALE_G], real[SCALE_H]
    # Nodes that still wait when the leaves run out are leaves too.
    for i in range(t[N_OPEN]):
        feature[waiting[i]] = -1
    leaves = 0
    for i in range(t[N_NODES]):
        g, h = _g(total[i]) / sg, _h(total[i]) / sh
        weight[i] = h
        count[i] = end[i] - start[i]
        if t[EXACT] and feature[i] < 0:
            order, exact = u32(t, _order), f64(t, _exact)
            g, h = 0.0, 0.0
            for q in range(start[i], end[i]):
                g += exact[2 * order[q]]
                h += exact[2 * order[q] + 1]
        value[i] = _leaf(g, h, real[LAM], real[ALPHA], low[i], high[i])
        if feature[i] < 0:
            left[i], gain[i] = i, 0.0
            bins[i], missing_left[i] = 0, 1
            for q in range(4):
                which[4 * i + q] = uint64(0)
            leaf_start[leaves], leaf_end[leaves], leaf_node[leaves] = start[i], end[i], i
            leaves += 1


# --------------------------------------------------------------------------------- the one door
# A ticket holds the number of the job (29 bits), its number of chunks (17) and the next one (17).


@door
def enter(address, what, tid):
    """Enter compiled code: everything is compiled and linked once, behind this door.

    The caller (tid 0) posts jobs and does their chunks; helpers only do chunks. The longer a helper
    finds nothing to do, the less it holds the processor.
    """
    t = table_at(address)
    real, gate = f64(t, _real), i64(t, _gate)
    if what == STOP_HELP:
        store(gate, STOP, 1)
        return
    shared = t[THREADS] > 1
    if tid == 0:
        if what == ADD:
            t[JOB], t[CHUNKS] = SCORE, t[N_LEAVES]
        elif what == GROW:
            _set_scale(t, real)
            _post(t, PACK, 0, t[N])
        else:
            _post(t, GRADIENT, 0, t[N])
    posted = False
    turns = 0
    chunk = int64(0)
    chunks = int64(0)
    generation = int64(0)
    while True:
        if tid == 0:
            if not posted:
                posted, chunk, chunks = True, -1, t[CHUNKS]
                small_scan = t[JOB] == SCAN and t[N_FEATURES] < 2 * SCAN_BLOCK
                alone = not shared or chunks <= 1 or small_scan
                generation += 1
                if not alone:
                    generation = ((load(gate, TICKET) >> 34) + 1) & 0x1FFFFFFF
                    store(gate, DONE, 0)
                    store(gate, TICKET, (generation << 34) | (chunks << 17))
            chunk = chunk + 1 if alone else fetch_add(gate, TICKET, 1) & 0x1FFFF
            if chunk >= chunks:
                turns = 0
                while not alone and load(gate, DONE) < chunks:
                    turns += 1
                    if turns > 200:
                        _yield_now()
                if not alone and (t[JOB] == ROOT or t[JOB] == NODE):
                    size = t[SIZE]
                    pool, own = i64(t, _pool), t[SLOT] * size
                    hist = skip(pool, own)
                    touched = i64(t, _touched)
                    private = i64(t, _private)
                    for h in range(1, t[THREADS]):
                        if touched[h] == generation:
                            other = skip(private, h * size)
                            for i in range(size):
                                hist[i] += other[i]
                _next(t, real, what)
                if t[JOB] == NOTHING:
                    break
                posted = False
                continue
        else:
            if load(gate, STOP) != 0:
                return
            ticket = load(gate, TICKET)
            if (ticket & 0x1FFFF) >= ((ticket >> 17) & 0x1FFFF):
                turns += 1
                if turns > 20000:
                    _sleep_us(50)
                elif turns > 100:
                    _yield_now()
                continue
            ticket = fetch_add(gate, TICKET, 1)
            chunk, chunks, generation = ticket & 0x1FFFF, (ticket >> 17) & 0x1FFFF, ticket >> 34
            if chunk >= chunks:
                continue
            turns = 0
        _do(t, real, chunk, tid, generation)
        if shared and (tid > 0 or not alone):
            fetch_add(gate, DONE, 1)
    if GROW <= what <= GRADIENTS_AND_GROW:
        _finish(t, real)
