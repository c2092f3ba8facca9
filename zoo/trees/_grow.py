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

Kernels receive one table of sizes and addresses instead of sixty arrays: calls are cheap, and numba
compiles in a quarter of the time. Everything that inlines into each other lives in this file,
because numba's cache does not notice an edited callee in another one.
"""

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from zoo.trees import _compiling

_compiling.announce()

CELLS = 264
"""Most cells of one column in a histogram: 255 bins, one for missing, and eight that keep columns
from falling onto the same cache sets."""
CHUNK = 8192
"""Rows of one chunk. Fixed: partial sums of floats must not depend on the thread count."""
SERIAL = 4096
"""Nodes below this many rows are not worth a shared job."""
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
) = range(48, 117)
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
TABLE = 117
PLACE = {name: i for i, name in enumerate(NUMBERS)}
ADDRESS = {name: len(NUMBERS) + i for i, name in enumerate(ARRAYS)}
REAL = {name: i for i, name in enumerate(REALS)}
# Places in the gate, each on a cache line of its own.
TICKET, DONE, STOP = 0, 8, 16


# ------------------------------------------------------------------------ how kernels are compiled
# A test for division by zero, numba's default, keeps a loop from being vectorised. Only ``enter``
# is called from Python: the others need no wrapper.

inner = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
inner_fast = njit(
    nogil=True,
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    fastmath={"nnan", "nsz", "reassoc", "contract", "arcp"},
)
small = njit(nogil=True, error_model="numpy", inline="always")
# Written apart, compiled as one: each level of calls below ``enter`` is optimised once more.
flat = small


# --------------------------------------------------------------------------- atoms of the machine


def _element(context, builder, aty, array, index):
    a = context.make_array(aty)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, aty, a, [index], wraparound=False)


@intrinsic
def _fetch_add(typingctx, array, index, value):
    """Add to an element of an int64 array as one step, return what it was."""

    def codegen(context, builder, sig, args):
        p = _element(context, builder, sig.args[0], args[0], args[1])
        return builder.atomic_rmw("add", p, args[2], ordering="seq_cst")

    return types.int64(array, types.intp, types.int64), codegen


@intrinsic
def _load(typingctx, array, index):
    """Read an element that another thread may write."""

    def codegen(context, builder, sig, args):
        p = _element(context, builder, sig.args[0], args[0], args[1])
        return builder.load_atomic(p, "seq_cst", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def _store(typingctx, array, index, value):
    """Write an element that another thread may read; what was written before is seen before."""

    def codegen(context, builder, sig, args):
        p = _element(context, builder, sig.args[0], args[0], args[1])
        builder.store_atomic(args[2], p, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), codegen


@intrinsic
def _prefetch(typingctx, array, index):
    """Ask for the cache line of a flat element that will be read soon."""

    def codegen(context, builder, sig, args):
        aty = sig.args[0]
        a = context.make_array(aty)(context, builder, args[0])
        p = builder.gep(a.data, [args[1]])
        i32, void = ir.IntType(32), ir.VoidType()
        raw = ir.IntType(8).as_pointer()
        fn = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(void, [raw, i32, i32, i32]), "llvm.prefetch.p0"
        )
        builder.call(fn, [builder.bitcast(p, raw), i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def _as_float(typingctx, bits):
    """Read the bits of an int32 as a float32."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@intrinsic
def _as_double(typingctx, bits):
    """Read the bits of an int64 as a float64."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def _pointer(typingctx, address):
    """Turn an address of the table into a pointer."""

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@small
def _u8(t, place, n):
    return carray(_pointer(t[place]), (n,), np.uint8)


@small
def _i8(t, place, n):
    return carray(_pointer(t[place]), (n,), np.int8)


@small
def _i32(t, place, n):
    return carray(_pointer(t[place]), (n,), np.int32)


@small
def _u32(t, place, n):
    return carray(_pointer(t[place]), (n,), np.uint32)


@small
def _i64(t, place, n):
    return carray(_pointer(t[place]), (n,), np.int64)


@small
def _u64(t, place, n):
    return carray(_pointer(t[place]), (n,), np.uint64)


@small
def _f32(t, place, n):
    return carray(_pointer(t[place]), (n,), np.float32)


@small
def _f64(t, place, n):
    return carray(_pointer(t[place]), (n,), np.float64)


_yield_now = types.ExternalFunction("sched_yield", types.int32())
_sleep_us = types.ExternalFunction("usleep", types.int32(types.uint32))


@small
def _exp(x):
    """Exponential in float32 by a polynomial on [-ln 2 / 2, ln 2 / 2]; relative error 2e-7."""
    x = np.float32(min(max(x, np.float32(-87.0)), np.float32(88.0)))
    k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * _as_float((np.int32(k) + np.int32(127)) << np.int32(23))


# ----------------------------------------------------------------------------------- jobs


@inner_fast
def _gradient(t, real, chunk, tid):
    """Gradient and curvature of a chunk of rows, and the sums that set the scale."""
    n = t[N]
    s, e = chunk * CHUNK, min(n, (chunk + 1) * CHUNK)
    kind, k, option = t[KIND], t[K], np.float32(real[OPTION])
    one, zero = np.float32(1), np.float32(0)
    m = e - s
    pair = _f32(t, _pair, 2 * n)[2 * s : 2 * e]
    lanes = _f32(t, _lanes, t[THREADS] * 2 * CHUNK)
    at = tid * 2 * CHUNK
    g, h = lanes[at : at + m], lanes[at + CHUNK : at + CHUNK + m]
    f = _f64(t, _score, t[N_SCORES] * n)[k * n + s : k * n + e]
    y = _f64(t, _y, n)[s:e]
    if kind == OUTSIDE:
        for i in range(m):
            g[i] = pair[2 * i]
            h[i] = pair[2 * i + 1]
    elif kind == LOGISTIC:
        for i in range(m):
            a = np.float32(f[i])
            q = _exp(-abs(a))
            d = one / (one + q)
            p = d if a >= zero else q * d
            g[i] = p - np.float32(y[i])
            h[i] = q * d * d
    elif kind == HUBER:
        for i in range(m):
            g[i] = min(max(np.float32(f[i] - y[i]), -option), option)
            h[i] = one
    elif kind == POISSON:
        for i in range(m):
            p = _exp(np.float32(f[i]))
            g[i] = p - np.float32(y[i])
            h[i] = p
    elif kind == SOFTMAX:
        norm = _f64(t, _norm, 2 * n)
        top, inverse = norm[s:e], norm[n + s : n + e]
        c = np.float64(k)
        for i in range(m):
            p = _exp(np.float32(f[i] - top[i])) * np.float32(inverse[i])
            g[i] = p - np.float32(y[i] == c)
            h[i] = max(option * p * (one - p), np.float32(1e-16))
    elif kind == SQUARED:
        for i in range(m):
            g[i] = f[i] - y[i]
            h[i] = one
    else:
        up = one if kind == ABSOLUTE else option
        down = one if kind == ABSOLUTE else one - option
        for i in range(m):
            g[i] = down * np.float32(f[i] > y[i]) - up * np.float32(f[i] < y[i])
            h[i] = one
    if t[WEIGHTED] and kind != OUTSIDE:
        w = _f64(t, _w, n)[s:e]
        for i in range(m):
            g[i] *= np.float32(w[i])
            h[i] *= np.float32(w[i])
    sum_g, sum_h, max_h = 0.0, 0.0, zero
    for i in range(m):
        sum_g += abs(g[i])
        sum_h += h[i]
    for i in range(m):
        max_h = h[i] if h[i] > max_h else max_h
    for i in range(m):
        pair[2 * i] = g[i]
        pair[2 * i + 1] = h[i]
    sums = _f64(t, _sums, 4 * (chunk + 1))
    sums[4 * chunk] = sum_g
    sums[4 * chunk + 1] = sum_h
    sums[4 * chunk + 2] = max_h


@inner
def _gradient_exact(t, real, s, e):
    """Gradient and curvature in float64, for the leaves of small data."""
    n, kind, k, option = t[N], t[KIND], t[K], real[OPTION]
    score, y = _f64(t, _score, t[N_SCORES] * n), _f64(t, _y, n)
    exact = _f64(t, _exact, 2 * n)
    for i in range(s, e):
        f = score[k * n + i]
        h = 1.0
        if kind == LOGISTIC:
            q = np.exp(-abs(f))
            d = 1.0 / (1.0 + q)
            g = (d if f >= 0.0 else q * d) - y[i]
            h = q * d * d
        elif kind == POISSON:
            h = np.exp(f)
            g = h - y[i]
        elif kind == SOFTMAX:
            norm = _f64(t, _norm, 2 * n)
            q = np.exp(f - norm[i]) * norm[n + i]
            g = q - (1.0 if y[i] == k else 0.0)
            h = max(option * q * (1.0 - q), 1e-16)
        else:
            g = f - y[i]
            if kind == HUBER:
                g = min(max(g, -option), option)
            elif kind != SQUARED:
                up = 1.0 if kind == ABSOLUTE else option
                down = 1.0 if kind == ABSOLUTE else 1.0 - option
                g = down if g > 0.0 else (-up if g < 0.0 else 0.0)
        w = _f64(t, _w, n)[i] if t[WEIGHTED] else 1.0
        exact[2 * i] = g * w
        exact[2 * i + 1] = h * w


@inner_fast
def _pack(t, real, chunk):
    n = t[N]
    s, e = chunk * CHUNK, min(n, (chunk + 1) * CHUNK)
    sg, sh = real[SCALE_G], real[SCALE_H]
    pair, gh = _f32(t, _pair, 2 * n)[2 * s : 2 * e], _i64(t, _gh, n)[s:e]
    for i in range(e - s):
        g = np.int64(np.floor(np.float64(pair[2 * i]) * sg + 0.5))
        h = np.int64(np.floor(np.float64(pair[2 * i + 1]) * sh + 0.5))
        gh[i] = (g << 32) + h


@inner_fast
def _normalise(t, chunk, tid):
    """Largest score of each row, and one over the sum of exponentials of what it exceeds."""
    n, n_scores = t[N], t[N_SCORES]
    s, e = chunk * CHUNK, min(n, (chunk + 1) * CHUNK)
    m = e - s
    score, norm = _f64(t, _score, n_scores * n), _f64(t, _norm, 2 * n)
    top, inverse = norm[s:e], norm[n + s : n + e]
    z = _f32(t, _lanes, t[THREADS] * 2 * CHUNK)[tid * 2 * CHUNK : tid * 2 * CHUNK + m]
    for i in range(m):
        top[i] = score[s + i]
        z[i] = 0.0
        inverse[i] = 0.0
    # Classes outside, rows inside: that is what the processor does eight at a time.
    for k in range(1, n_scores):
        f = score[k * n + s : k * n + e]
        for i in range(m):
            top[i] = f[i] if f[i] > top[i] else top[i]
    for k in range(n_scores):
        f = score[k * n + s : k * n + e]
        if t[EXACT]:
            for i in range(m):
                inverse[i] += np.exp(f[i] - top[i])
        else:
            for i in range(m):
                z[i] += _exp(np.float32(f[i] - top[i]))
    for i in range(m):
        inverse[i] = 1.0 / (inverse[i] if t[EXACT] else np.float64(z[i]))


@inner
def _add_rows(hist, offset, flat, wide, gh, s, e, p):
    """Add rows s .. e, in order, to a histogram."""
    width = np.uint64(wide)
    for i in range(np.uint64(s), np.uint64(e)):
        v = gh[i]
        at = i * width
        for j in range(np.uint64(p)):
            hist[np.uint64(offset[j]) + np.uint64(flat[at + j])] += v


@inner
def _add_listed(hist, offset, flat, wide, gh, order, s, e, p):
    """Add the rows order[s] .. order[e - 1] to a histogram."""
    width = np.uint64(wide)
    last = np.uint64(e - 1)
    for i in range(np.uint64(s), np.uint64(e)):
        ahead = np.uint64(order[min(i + np.uint64(24), last)])
        _prefetch(flat, ahead * width)
        _prefetch(flat, ahead * width + width - np.uint64(1))
        _prefetch(gh, ahead)
        r = np.uint64(order[i])
        v = gh[r]
        at = r * width
        for j in range(np.uint64(p)):
            hist[np.uint64(offset[j]) + np.uint64(flat[at + j])] += v


@inner
def _add_listed_some(hist, offset, flat, wide, gh, order, s, e, groups, m):
    """Add listed rows to the histograms of m chosen groups of columns."""
    width = np.uint64(wide)
    last = np.uint64(e - 1)
    for i in range(np.uint64(s), np.uint64(e)):
        ahead = np.uint64(order[min(i + np.uint64(24), last)])
        _prefetch(flat, ahead * width)
        _prefetch(gh, ahead)
        r = np.uint64(order[i])
        v = gh[r]
        at = r * width
        for q in range(m):
            j = np.uint64(groups[q])
            hist[np.uint64(offset[j]) + np.uint64(flat[at + j])] += v


@flat
def _fill(t, hist, kind, s, e):
    """Add a piece of rows to a histogram."""
    n, groups, m, wide = t[N], t[G], t[N_GROUPS], t[WIDTH]
    offset = _i64(t, _offset, groups + 1)
    rows, gh, order = _u8(t, _rows, n * wide), _i64(t, _gh, n), _u32(t, _order, n)
    if m < groups:
        _add_listed_some(hist, offset, rows, wide, gh, order, s, e, _i64(t, _groups, groups), m)
    elif kind == ROOT:
        _add_rows(hist, offset, rows, wide, gh, s, e, groups)
    else:
        _add_listed(hist, offset, rows, wide, gh, order, s, e, groups)


@inner
def _split_rows(t, chunk):
    """Part a piece of rows, stably.

    Those that go left come to the front of the same piece of ``spare``, the others, reversed, to
    its back.
    """
    n, feature, last_bin = t[N], t[FEATURE], t[BIN]
    s = t[A] + chunk * CHUNK
    e = min(t[B], s + CHUNK)
    order, spare = _u32(t, _order, n), _u32(t, _spare, n)
    col = _u8(t, _cols, t[P] * n)[feature * n : (feature + 1) * n]
    lo, hi = np.uint64(s), np.uint64(e - 1)
    one = np.uint64(1)
    if t[CAT]:
        which = _u64(t, _set, 4 * (t[PARENT] + 1))[4 * t[PARENT] :]
        for i in range(np.uint64(s), np.uint64(e)):
            r = order[i]
            b = np.uint64(col[r])
            left = (which[b >> np.uint64(6)] >> (b & np.uint64(63))) & one
            spare[lo] = r
            spare[hi] = r
            lo += left
            hi -= one - left
    else:
        # A missing value lies in the cell after the last bin, so that it goes right by itself.
        limit = np.uint8(last_bin)
        other = limit
        if t[MISSING] == 1 and _u8(t, _has_missing, t[P])[feature]:
            other = np.uint8(_i64(t, _n_bins, t[P])[feature])
        for i in range(np.uint64(s), np.uint64(e)):
            r = order[i]
            b = col[r]
            left = np.uint64((b <= limit) | (b == other))
            spare[lo] = r
            spare[hi] = r
            lo += left
            hi -= one - left
    _i64(t, _parts, 4 * chunk + 4)[4 * chunk] = np.int64(lo) - s


@inner
def _move_rows(t, chunk):
    """Copy a partitioned piece back to its two places."""
    n = t[N]
    s = t[A] + chunk * CHUNK
    e = min(t[B], s + CHUNK)
    parts = _i64(t, _parts, 4 * chunk + 4)
    n_left, l, r = parts[4 * chunk], parts[4 * chunk + 1], parts[4 * chunk + 2]
    order, spare = _u32(t, _order, n), _u32(t, _spare, n)
    front, out = spare[s : s + n_left], order[l : l + n_left]
    for i in range(n_left):
        out[i] = front[i]
    m = e - s - n_left
    back, out = spare[s + n_left : e], order[r : r + m]
    for i in range(m):
        out[i] = back[m - 1 - i]


@small
def _threshold(g, alpha):
    """Soft threshold: what the L1 penalty leaves of a sum of gradients."""
    return max(g - alpha, 0.0) + min(g + alpha, 0.0)


@inner
def _leaf(g, h, lam, alpha, low, high):
    """Value that minimises g c + (h + lam) c^2 / 2 + alpha |c| within its bounds."""
    return min(max(-_threshold(g, alpha) / max(h + lam, 1e-300), low), high)


@inner
def _fall(g, h, lam, alpha, c):
    """Twice the fall of the objective when a leaf takes the value c."""
    return -2.0 * (g * c + alpha * abs(c)) - (h + lam) * c * c


@inner
def _count_bins(t, feature, s, e, counts):
    """Rows of the leaf in each bin of one feature."""
    n = t[N]
    for b in range(CELLS):
        counts[b] = 0
    col, order = _u8(t, _cols, t[P] * n)[feature * n : (feature + 1) * n], _u32(t, _order, n)
    for i in range(np.uint64(s), np.uint64(e)):
        counts[np.uint64(col[order[i]])] += 1


@small
def _g(packed):
    return np.float64(packed >> 32)


@small
def _h(packed):
    return np.float64(packed & 0xFFFFFFFF)


@inner_fast
def _gains(cum, m, shift, total, lam, min_h, out):
    """What a cut after each of m bins makes of the sums; -1 where a side is too light."""
    tg, th = _g(total), _h(total)
    c, o = cum[:m], out[:m]
    for b in range(m):
        left = c[b] + shift
        gl = np.float64(left >> 32)
        hl = np.float64(left & 0xFFFFFFFF)
        gr = tg - gl
        hr = th - hl
        dl = hl + lam + 1e-30
        dr = hr + lam + 1e-30
        score = (gl * gl * dr + gr * gr * dl) / (dl * dr)
        o[b] = score if (hl >= min_h) & (hr >= min_h) else -1.0


@inner
def _largest(bits, m):
    """Largest of m float64, given their bits: as whole numbers the maximum is vectorised."""
    o = bits[:m]
    best = np.int64(-1)
    for b in range(m):
        best = max(best, o[b])
    return best


@inner
def _cells(t, slot, total, j, cells, tid):
    """Histogram of one column in a leaf: a view, or sums over the bytes of its group."""
    p, groups, size = t[P], t[G], t[SIZE]
    q = _i64(t, _group, p)[j]
    offset = _i64(t, _offset, groups + 1)
    first = slot * size
    shared = _i64(t, _pool, t[SLOTS] * size)[first + offset[q] : first + offset[q + 1]]
    rest = _i64(t, _rest, p)[j]
    if rest < 0:
        return shared
    own = _i64(t, _own, t[THREADS] * CELLS)[tid * CELLS : (tid + 1) * CELLS]
    for b in range(cells):
        own[b] = 0
    listed = _i64(t, _listed, p + 1)
    s, e = listed[j], listed[j + 1]
    byte, b = _u8(t, _listed_byte, e), _u8(t, _listed_bin, e)
    for i in range(np.uint64(s), np.uint64(e)):
        v = shared[np.uint64(byte[i])]
        own[np.uint64(b[i])] += v
        total -= v
    own[rest] = total
    return own


@inner
def _scan(t, real, side, j, tid, floor):
    """Best split of one leaf by one feature; none if it gains no more than ``floor``.

    Sums stay in the whole numbers of the histogram; lam and the limits are scaled instead.
    """
    p = t[P]
    sides = _i64(t, _side, 8)
    slot, start, end = sides[4 * side], sides[4 * side + 1], sides[4 * side + 2]
    total = sides[4 * side + 3]
    sg, sh = real[SCALE_G], real[SCALE_H]
    # A leaf that weighs just enough must not fail by rounding.
    lam, min_h = real[LAM] * sh, real[MIN_H] * sh * (1.0 - 1e-6)
    alpha = real[ALPHA] * sg
    min_n = np.int64(real[MIN_N])
    # At least this much h means at least min_child_samples rows; below it, rows are counted.
    sure_h = (real[MIN_N] - 0.5) * real[MAX_H] * sh
    if real[COUNTED] != 0.0:
        min_h, sure_h = max(min_h, real[MIN_N]), 0.0
    n_rows = end - start
    n_bins = _i64(t, _n_bins, p)[j]
    has_missing = _u8(t, _has_missing, p)[j]
    cells = n_bins + np.int64(has_missing)
    hist = _cells(t, slot, total, j, cells, tid)
    row = side * p + j
    out = _i64(t, _found, 8 * p)[4 * row : 4 * row + 4]
    found_gain = _f64(t, _found_gain, 2 * p)
    counted = False
    counts = _i64(t, _counts, t[THREADS] * CELLS)[tid * CELLS : (tid + 1) * CELLS]
    cum = _i64(t, _cum, t[THREADS] * 5 * CELLS)[(5 * tid + 4) * CELLS : (5 * tid + 5) * CELLS]
    own = 6 * tid * CELLS
    scratch = _f64(t, _scratch, t[THREADS] * 6 * CELLS)[own : own + 6 * CELLS]
    gain = scratch[:CELLS]
    bits = _i64(t, _scratch, t[THREADS] * 6 * CELLS)[own : own + CELLS]
    tg, th = _g(total), _h(total)
    mono = _i8(t, _monotone, p)[j]
    unit = sg / sh  # a leaf value times this is the value in the histogram's numbers
    bound = _f64(t, _bound, 4)
    low, high = bound[2 * side] * unit, bound[2 * side + 1] * unit
    plain = alpha == 0.0 and low == -np.inf and high == np.inf and mono == 0
    if plain:
        parent = tg * tg / (th + lam + 1e-30)
    else:
        parent = _fall(tg, th, lam, alpha, _leaf(tg, th, lam, alpha, low, high))
    # Rounding must not turn a useless split into a useful one.
    best = parent * (1.0 + TIE) + 1e-9

    is_cat = _u8(t, _is_cat, p)[j]
    rank, key = scratch[4 * CELLS : 5 * CELLS], scratch[5 * CELLS :]
    acc = np.int64(0)
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
            acc += hist[np.int64(key[i])]
            cum[i] = acc
        width = m
        miss = np.int64(0)
    else:
        for b in range(n_bins):
            acc += hist[b]
            cum[b] = acc
        width = n_bins
        miss = hist[n_bins] if has_missing else np.int64(0)
    # With missing values on the right, a cut after the last bin parts them from the others.
    for missing_left in range(2 if miss != 0 else 1):
        m = width if miss != 0 and missing_left == 0 else width - 1
        shift = miss if missing_left else np.int64(0)
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
            top = _as_double(_largest(bits, m))
            if not top > max(best, floor + parent):
                break
            # Cuts that differ by rounding alone are equal: the first of them is taken.
            equal = top * (1.0 - TIE)
            b = 0
            while gain[b] < equal:
                b += 1
            if gain[b] <= best:
                break
            hl = _h(cum[b] + shift)
            if min(hl, th - hl) < sure_h:
                if not counted:
                    _count_bins(t, j, start, end, counts)
                    counted = True
                seen = counts[n_bins] if missing_left else np.int64(0)
                for q in range(m):
                    seen += counts[np.int64(key[q])] if is_cat else counts[q]
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
        which = _u64(t, _found_set, 8 * p)[4 * row : 4 * row + 4]
        for q in range(4):
            which[q] = np.uint64(0)
        out[1] = UNKNOWN if not has_missing or hist[n_bins] == 0 else 0
        for q in range(out[0] + 1):
            b = np.uint64(key[q])
            which[b >> np.uint64(6)] |= np.uint64(1) << (b & np.uint64(63))
            if np.int64(b) == n_bins:
                out[1] = 1


@inner
def _scan_batch(t, real, side, m, cells, tid, floor):
    """Take the best cuts of m batched columns; return the most that any has gained."""
    p = t[P]
    sides = _i64(t, _side, 8)
    total = sides[4 * side + 3]
    lam, min_h = real[LAM] * real[SCALE_H], real[MIN_H] * real[SCALE_H] * (1.0 - 1e-6)
    sure_h = (real[MIN_N] - 0.5) * real[MAX_H] * real[SCALE_H]
    if real[COUNTED] != 0.0:
        min_h, sure_h = max(min_h, real[MIN_N]), 0.0
    cum = _i64(t, _cum, t[THREADS] * 5 * CELLS)[5 * tid * CELLS : 5 * tid * CELLS + BATCH]
    gain = _f64(t, _scratch, t[THREADS] * 6 * CELLS)[6 * tid * CELLS :]
    bits = _i64(t, _scratch, t[THREADS] * 6 * CELLS)[6 * tid * CELLS :]
    batch = _i64(t, _batch, t[THREADS] * 2 * SCAN_BLOCK)[2 * tid * SCAN_BLOCK :]
    found, found_gain = _i64(t, _found, 8 * p), _f64(t, _found_gain, 2 * p)
    tg, th = _g(total), _h(total)
    parent = tg * tg / (th + lam + 1e-30)
    # Rounding must not turn a useless split into a useful one.
    least = parent * (1.0 + TIE) + 1e-9
    _gains(cum, cells, np.int64(0), total, lam, min_h, gain)
    again = False
    for i in range(m):
        s = batch[2 * i + 1]
        e = batch[2 * i + 3] if i < m - 1 else cells
        top = _as_double(_largest(bits[s:], e - s))
        if not top > max(least, floor + parent):
            continue
        # Cuts that differ by rounding alone are equal: the first of them is taken.
        equal, at = top * (1.0 - TIE), s
        while gain[at] < equal:
            at += 1
        if gain[at] <= least:
            continue
        row = side * p + batch[2 * i]
        hl = _h(cum[at])
        if min(hl, th - hl) < sure_h:
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
    p, size, groups = t[P], t[SIZE], t[G]
    features, found_gain = _i64(t, _features, p), _f64(t, _found_gain, 2 * p)
    allowed, is_cat, monotone = _u8(t, _allowed, 2 * p), _u8(t, _is_cat, p), _i8(t, _monotone, p)
    n_bins, has_missing = _i64(t, _n_bins, p), _u8(t, _has_missing, p)
    sides, bound = _i64(t, _side, 8), _f64(t, _bound, 4)
    total = sides[4 * side + 3]
    pool = _i64(t, _pool, t[SLOTS] * size)[sides[4 * side] * size : (sides[4 * side] + 1) * size]
    offset, group, rest = _i64(t, _offset, groups + 1), _i64(t, _group, p), _i64(t, _rest, p)
    cum = _i64(t, _cum, t[THREADS] * 5 * CELLS)[5 * tid * CELLS : 5 * tid * CELLS + BATCH]
    batch = _i64(t, _batch, t[THREADS] * 2 * SCAN_BLOCK)[2 * tid * SCAN_BLOCK :]
    ordinary = real[ALPHA] == 0.0 and bound[2 * side] == -np.inf and bound[2 * side + 1] == np.inf
    # A later feature that gains no more than an earlier one is never chosen.
    floor, m, at = np.float64(0.0), np.int64(0), np.int64(0)
    for q in range(a, b):
        j = features[q]
        found_gain[side * p + j] = -1.0
        if not allowed[side * p + j]:
            continue
        cells = n_bins[j] + np.int64(has_missing[j])
        first = offset[group[j]]
        hist = pool[first : first + cells]
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
        acc = np.int64(0)
        for c in range(n_bins[j] - 1):
            acc += hist[c]
            cum[at] = acc
            at += 1
        if at > BATCH - CELLS:
            floor = _scan_batch(t, real, side, m, at, tid, floor)
            m, at = np.int64(0), np.int64(0)
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
            _gradient_exact(t, real, chunk * CHUNK, min(n, (chunk + 1) * CHUNK))
    elif kind == PACK:
        _pack(t, real, chunk)
    elif kind in (ROOT, NODE):
        s = t[A] + chunk * CHUNK
        e = min(t[B], s + CHUNK)
        size = t[SIZE]
        if tid == 0:
            hist = _i64(t, _pool, t[SLOTS] * size)[t[SLOT] * size : (t[SLOT] + 1) * size]
        else:
            hist = _i64(t, _private, t[THREADS] * size)[tid * size : (tid + 1) * size]
            touched = _i64(t, _touched, t[THREADS])
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
        _scan_block(t, real, side, a, min(m, a + SCAN_BLOCK), tid)
    elif kind == SPLIT:
        _split_rows(t, chunk)
    elif kind == MOVE:
        _move_rows(t, chunk)
    else:
        leaves = t[N_LEAVES]
        score, order = (
            _f64(t, _score, t[N_SCORES] * n)[t[K] * n : (t[K] + 1) * n],
            _u32(t, _order, n),
        )
        v = _f64(t, _leaf_value, leaves)[chunk]
        for i in range(_i64(t, _leaf_start, leaves)[chunk], _i64(t, _leaf_end, leaves)[chunk]):
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
    sums = _f64(t, _sums, 4 * chunks)
    sum_g, sum_h, max_h = 0.0, 0.0, 0.0
    for c in range(chunks):
        sum_g += sums[4 * c]
        sum_h += sums[4 * c + 1]
        max_h = max(max_h, sums[4 * c + 2])
    real[SCALE_G] = (2.0**31 - 2.0 - n) / sum_g if sum_g > 0 else 1.0
    real[SCALE_H] = 1.0 if t[IS_COUNTED] or sum_h == 0 else (2.0**32 - 2.0 - n) / sum_h
    real[MAX_H] = max_h
    real[COUNTED] = t[IS_COUNTED]


@inner
def _take(t):
    """Give a slot for a histogram; when none is free, a waiting leaf gives up its own."""
    slot = _i64(t, _slot, 2 * t[MAX_LEAVES])
    if t[N_FREE] > 0:
        t[N_FREE] -= 1
        return _i64(t, _free, t[SLOTS])[t[N_FREE]]
    waiting = _i64(t, _open, t[MAX_LEAVES] + 1)
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
        _i64(t, _free, t[SLOTS])[t[N_FREE]] = slot
        t[N_FREE] += 1


@inner
def _clear(t, slot):
    size = t[SIZE]
    hist = _i64(t, _pool, t[SLOTS] * size)[slot * size : (slot + 1) * size]
    for i in range(size):
        hist[i] = 0


@inner
def _subtract(t, own, other):
    size = t[SIZE]
    a = _i64(t, _pool, t[SLOTS] * size)[own * size : (own + 1) * size]
    b = _i64(t, _pool, t[SLOTS] * size)[other * size : (other + 1) * size]
    for i in range(size):
        a[i] -= b[i]


@inner
def _begin(t, real):
    """Set up the root and post its histogram."""
    n, p, m = t[N], t[P], t[N_FEATURES]
    order, gh = _u32(t, _order, n), _i64(t, _gh, n)
    whole = t[N_ROWS] == 0
    n_rows = n if whole else t[N_ROWS]
    total = np.int64(0)
    if whole:
        for i in range(n):
            order[i] = i
            total += gh[i]
    else:
        for i in range(n_rows):
            total += gh[order[i]]
    free = _i64(t, _free, t[SLOTS])
    for i in range(t[SLOTS]):
        free[i] = t[SLOTS] - 1 - i
    t[N_FREE] = t[SLOTS]
    draw = _i64(t, _draw, p)
    for i in range(m):
        draw[i] = i
    t[N_NODES], t[N_LEAVES], t[N_OPEN] = 1, 1, 0
    t[FIRST], t[N_NEW], t[STATE] = 0, 1, t[SEED]
    _i64(t, _start, 1)[0], _i64(t, _end, 1)[0] = 0, n_rows
    _f64(t, _low, 1)[0], _f64(t, _high, 1)[0] = -np.inf, np.inf
    _i32(t, _depth, 1)[0] = 0
    _i64(t, _total, 1)[0] = total
    if t[N_SETS]:
        sets, allowed = _u8(t, _sets, t[N_SETS] * p), _u8(t, _node_allowed, p)
        for j in range(p):
            allowed[j] = 0
            for q in range(t[N_SETS]):
                allowed[j] |= sets[q * p + j]
    slot = _take(t)
    _i64(t, _slot, 1)[0] = slot
    t[SLOT], t[OWN], t[OTHER], t[DIRECT] = slot, slot, -1, 0
    _clear(t, slot)
    _post(t, ROOT if whole else NODE, 0, n_rows)


@inner
def _post_scan(t, real):
    """Post the scan of the new nodes, both in one job; those that cannot be split are passed."""
    p, m, nodes = t[P], t[N_FEATURES], 2 * t[MAX_LEAVES]
    start, end, depth = _i64(t, _start, nodes), _i64(t, _end, nodes), _i32(t, _depth, nodes)
    slot, total = _i64(t, _slot, nodes), _i64(t, _total, nodes)
    low, high = _f64(t, _low, nodes), _f64(t, _high, nodes)
    side, bound, allowed = _i64(t, _side, 8), _f64(t, _bound, 4), _u8(t, _allowed, 2 * p)
    features, draw = _i64(t, _features, p), _i64(t, _draw, p)
    per_node = min(m, t[PER_NODE]) if t[PER_NODE] > 0 else m
    sides = 0
    t[SIDE_0] = t[SIDE_1] = -1
    for q in range(t[N_NEW]):
        node = t[FIRST] if q == 0 else t[SECOND]
        if t[MAX_DEPTH] > 0 and depth[node] >= t[MAX_DEPTH]:
            continue
        if end[node] - start[node] < 2 * np.int64(real[MIN_N]) or slot[node] < 0:
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
            own = _u8(t, _node_allowed, nodes * p)
            for j in range(p):
                allowed[sides * p + j] = own[node * p + j]
        if per_node < m:
            # Partial Fisher-Yates with splitmix64: the draw depends on the seed alone.
            for a in range(per_node):
                state = np.uint64(t[STATE]) + np.uint64(0x9E3779B97F4A7C15)
                t[STATE] = np.int64(state)
                z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                z ^= z >> np.uint64(31)
                b = a + np.int64(z % np.uint64(m - a))
                draw[a], draw[b] = draw[b], draw[a]
            for a in range(per_node, m):
                allowed[sides * p + features[draw[a]]] = 0
        sides += 1
    t[JOB] = SCAN
    t[CHUNKS] = sides * ((m + SCAN_BLOCK - 1) // SCAN_BLOCK)


@inner
def _choose(t, real, node, side):
    """Take over the best split that the scan found for a node; False when there is none."""
    p, nodes = t[P], 2 * t[MAX_LEAVES]
    found_gain, allowed = _f64(t, _found_gain, 2 * p), _u8(t, _allowed, 2 * p)
    features = _i64(t, _features, p)
    total = _i64(t, _total, nodes)[node]
    parent = _g(total) ** 2 / (_h(total) + real[LAM] * real[SCALE_H] + 1e-30)
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
    found = _i64(t, _found, 8 * p)
    _f64(t, _gain, nodes)[node] = gain
    _i32(t, _feature, nodes)[node] = at
    _i32(t, _bin, nodes)[node] = found[row]
    _u8(t, _missing_left, nodes)[node] = found[row + 1]
    _i64(t, _left_sum, nodes)[node] = found[row + 2]
    _u8(t, _is_set, nodes)[node] = found[row + 3]
    which, found_set = _u64(t, _set, 4 * nodes), _u64(t, _found_set, 8 * p)
    for q in range(4):
        which[4 * node + q] = found_set[row + q] if found[row + 3] else np.uint64(0)
    return True


@inner
def _post_split(t, real):
    """Queue the nodes that were scanned, take the next leaf and post the parting of its rows."""
    nodes = 2 * t[MAX_LEAVES]
    waiting, slot = _i64(t, _open, t[MAX_LEAVES] + 1), _i64(t, _slot, nodes)
    gain, feature = _f64(t, _gain, nodes), _i32(t, _feature, nodes)
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
    t[BIN] = _i32(t, _bin, nodes)[node]
    t[MISSING] = _u8(t, _missing_left, nodes)[node]
    t[CAT] = _u8(t, _is_set, nodes)[node]
    _post(t, SPLIT, _i64(t, _start, nodes)[node], _i64(t, _end, nodes)[node])


@inner
def _post_move(t):
    """Turn the counts of the pieces into places."""
    parts = _i64(t, _parts, 4 * t[CHUNKS])
    s, e = t[A], t[B]
    n_left = 0
    for c in range(t[CHUNKS]):
        n_left += parts[4 * c]
    l, r = s, s + n_left
    for c in range(t[CHUNKS]):
        parts[4 * c + 1], parts[4 * c + 2] = l, r
        l += parts[4 * c]
        r += min(CHUNK, e - s - c * CHUNK) - parts[4 * c]
    t[N_LEFT] = n_left
    t[JOB] = MOVE


@inner
def _post_children(t, real):
    """Make the two children and post the histogram of the smaller one."""
    p, nodes, node, f = t[P], 2 * t[MAX_LEAVES], t[PARENT], t[FEATURE]
    start, end, depth = _i64(t, _start, nodes), _i64(t, _end, nodes), _i32(t, _depth, nodes)
    slot, total = _i64(t, _slot, nodes), _i64(t, _total, nodes)
    low, high = _f64(t, _low, nodes), _f64(t, _high, nodes)
    parent, missing_left = _i64(t, _parent, nodes), _u8(t, _missing_left, nodes)
    s, e, n_left = start[node], end[node], t[N_LEFT]
    left, right = t[N_NODES], t[N_NODES] + 1
    _i32(t, _left, nodes)[node] = left
    t[N_NODES] += 2
    t[N_LEAVES] += 1
    start[left], end[left], start[right], end[right] = s, s + n_left, s + n_left, e
    parent[left] = parent[right] = node
    total[left] = _i64(t, _left_sum, nodes)[node]
    total[right] = total[node] - total[left]
    depth[left] = depth[right] = depth[node] + 1
    if missing_left[node] == UNKNOWN:
        missing_left[node] = n_left >= e - s - n_left
        if t[CAT] and missing_left[node]:
            b = np.uint64(_i64(t, _n_bins, p)[f])
            which = _u64(t, _set, 4 * nodes)
            which[4 * node + np.int64(b >> np.uint64(6))] |= np.uint64(1) << (b & np.uint64(63))
    low[left] = low[right] = low[node]
    high[left] = high[right] = high[node]
    mono = _i8(t, _monotone, p)[f]
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
        sets, allowed = _u8(t, _sets, t[N_SETS] * p), _u8(t, _node_allowed, nodes * p)
        feature = _i32(t, _feature, nodes)
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
    last |= max(n_left, e - s - n_left) < 2 * np.int64(real[MIN_N])
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
    nodes = 2 * t[MAX_LEAVES]
    done = t[JOB]
    if done == GRADIENT:
        if what == GRADIENTS:
            t[JOB] = NOTHING
        else:
            _set_scale(t, real)
            _post(t, PACK, 0, t[N])
    elif done == PACK:
        _begin(t, real)
    elif done in (ROOT, NODE):
        if t[OTHER] >= 0 and t[DIRECT]:
            t[DIRECT], t[SLOT], t[OTHER] = 0, t[OWN], -1
            _clear(t, t[OWN])
            large = t[LARGE]
            _post(t, NODE, _i64(t, _start, nodes)[large], _i64(t, _end, nodes)[large])
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
    nodes, n = t[N_NODES], 2 * t[MAX_LEAVES]
    start, end, total = _i64(t, _start, n), _i64(t, _end, n), _i64(t, _total, n)
    waiting, feature = _i64(t, _open, t[MAX_LEAVES] + 1), _i32(t, _feature, n)
    value, weight, count = _f64(t, _value, n), _f64(t, _weight, n), _i64(t, _count, n)
    left, bins, missing_left = _i32(t, _left, n), _i32(t, _bin, n), _u8(t, _missing_left, n)
    gain, which = _f64(t, _gain, n), _u64(t, _set, 4 * n)
    low, high = _f64(t, _low, n), _f64(t, _high, n)
    leaf_start, leaf_end = _i64(t, _leaf_start, n // 2), _i64(t, _leaf_end, n // 2)
    leaf_node = _i64(t, _leaf_node, n // 2)
    sg, sh = real[SCALE_G], real[SCALE_H]
    # Nodes that still wait when the leaves run out are leaves too.
    for i in range(t[N_OPEN]):
        feature[waiting[i]] = -1
    leaves = 0
    for i in range(nodes):
        g, h = _g(total[i]) / sg, _h(total[i]) / sh
        weight[i] = h
        count[i] = end[i] - start[i]
        if t[EXACT] and feature[i] < 0:
            order, exact = _u32(t, _order, t[N]), _f64(t, _exact, 2 * t[N])
            g, h = 0.0, 0.0
            for q in range(start[i], end[i]):
                g += exact[2 * order[q]]
                h += exact[2 * order[q] + 1]
        value[i] = _leaf(g, h, real[LAM], real[ALPHA], low[i], high[i])
        if feature[i] < 0:
            left[i], gain[i], bins[i], missing_left[i] = i, 0.0, 0, 1
            for q in range(4):
                which[4 * i + q] = np.uint64(0)
            leaf_start[leaves], leaf_end[leaves], leaf_node[leaves] = start[i], end[i], i
            leaves += 1


# --------------------------------------------------------------------------------- the one door
# A ticket holds the number of the job (29 bits), its number of chunks (17) and the next one (17).


@njit(cache=True, nogil=True, error_model="numpy")
def enter(t, real, gate, what, tid):
    """Enter compiled code: everything is compiled and linked once, behind this door.

    The caller (tid 0) posts jobs and does their chunks; helpers only do chunks. The longer a helper
    finds nothing to do, the less it holds the processor.
    """
    if what == STOP_HELP:
        _store(gate, STOP, 1)
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
    chunk = np.int64(0)
    chunks = np.int64(0)
    generation = np.int64(0)
    while True:
        if tid == 0:
            if not posted:
                posted, chunk, chunks = True, -1, t[CHUNKS]
                small_scan = t[JOB] == SCAN and t[N_FEATURES] < 2 * SCAN_BLOCK
                alone = not shared or chunks <= 1 or small_scan
                generation += 1
                if not alone:
                    generation = ((_load(gate, TICKET) >> 34) + 1) & 0x1FFFFFFF
                    _store(gate, DONE, 0)
                    _store(gate, TICKET, (generation << 34) | (chunks << 17))
            chunk = chunk + 1 if alone else _fetch_add(gate, TICKET, 1) & 0x1FFFF
            if chunk >= chunks:
                turns = 0
                while not alone and _load(gate, DONE) < chunks:
                    turns += 1
                    if turns > 200:
                        _yield_now()
                if not alone and (t[JOB] == ROOT or t[JOB] == NODE):
                    size = t[SIZE]
                    pool, own = _i64(t, _pool, t[SLOTS] * size), t[SLOT] * size
                    hist = pool[own : own + size]
                    touched = _i64(t, _touched, t[THREADS])
                    private = _i64(t, _private, t[THREADS] * size)
                    for h in range(1, t[THREADS]):
                        if touched[h] == generation:
                            other = private[h * size : (h + 1) * size]
                            for i in range(size):
                                hist[i] += other[i]
                _next(t, real, what)
                if t[JOB] == NOTHING:
                    break
                posted = False
                continue
        else:
            if _load(gate, STOP) != 0:
                return
            ticket = _load(gate, TICKET)
            if (ticket & 0x1FFFF) >= ((ticket >> 17) & 0x1FFFF):
                turns += 1
                if turns > 20000:
                    _sleep_us(50)
                elif turns > 100:
                    _yield_now()
                continue
            ticket = _fetch_add(gate, TICKET, 1)
            chunk, chunks, generation = ticket & 0x1FFFF, (ticket >> 17) & 0x1FFFF, ticket >> 34
            if chunk >= chunks:
                continue
            turns = 0
        _do(t, real, chunk, tid, generation)
        if shared and (tid > 0 or not alone):
            _fetch_add(gate, DONE, 1)
    if what in (GROW, GRADIENTS_AND_GROW):
        _finish(t, real)
