"""Grown trees as arrays, and the kernels that run rows through them.

A model is a dict of arrays, so that it can be saved without code: nodes of all trees one after
another; children of node i are ``left[i]`` and ``left[i] + 1``; a leaf is its own child and its
threshold is infinite, so that a row that has arrived stays where it is.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from zoo.trees import _compiling

_compiling.announce()

BLOCK = 64
"""Rows that walk down a tree together: independent loads hide each other's latency."""
PIECE = 4096
"""Rows of one task when threads share a prediction."""
MOST_LEAVES = 64
"""Leaves that a mask can hold. Smaller trees are not walked: all their questions are asked."""

inner = njit(nogil=True, error_model="numpy")
small = njit(nogil=True, error_model="numpy", inline="always")


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
    if not trees:
        return model
    sizes = np.array([len(tree.left) for tree in trees])
    root = len(model["left"]) + np.cumsum(sizes) - sizes
    new = {name: np.concatenate([getattr(tree, name) for tree in trees]) for name in _COPIED}
    feature = new["feature"]
    is_set = (feature >= 0) & (bins.is_cat[feature] != 0)
    number = (feature >= 0) & ~is_set
    edges = np.full((len(bins.edges), max(len(e) for e in bins.edges) + 1), np.inf)
    for j, e in enumerate(bins.edges):
        edges[j, : len(e)] = e
    threshold = np.full(len(feature), np.inf)
    threshold[number] = edges[feature[number], new["bin"][number]]
    set_at = np.full(len(feature), -1, np.int32)
    set_at[is_set] = len(model["sets"]) + np.arange(is_set.sum())
    new |= {
        "root": root,
        "output": np.asarray(outputs),
        "depth": np.maximum.reduceat(np.concatenate([tree.depth for tree in trees]), root - root[0]),
        "left": new["left"] + np.repeat(root, sizes),
        "threshold": threshold,
        "set_at": set_at,
        "sets": np.concatenate([tree.set for tree in trees])[is_set],
    }
    return {name: np.concatenate([a, new[name].astype(a.dtype)]) for name, a in model.items()}


_COPIED = ("left", "feature", "bin", "missing_left", "value", "gain", "weight", "count")


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


@intrinsic
def _lowest(typingctx, bits):
    """Place of the lowest bit that is set; at least one must be."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


@njit(cache=True, nogil=True, error_model="numpy")
def _plan(root, left, missing_left, set_at, n_leaves, first, ends, question, mask, leaf_at):
    """Number the leaves of each tree from left to right; list its questions with their masks.

    A row that goes right at a node cannot end in the leaves on its left: their bits are 0 in the
    mask. Of the leaves that all questions leave open a row ends in the leftmost (QuickScorer,
    Lucchese et al. 2015). Questions that send what is missing to the left come first, then those
    that send it to the right, then those of categories. Trees of more leaves than a mask has bits
    are left out.
    """
    stack = np.empty(left.shape[0] + 1, np.int64)
    nodes, masks = np.empty(MOST_LEAVES, np.int64), np.empty(MOST_LEAVES, np.uint64)
    one = np.uint64(1)
    at = 0
    for t in range(root.shape[0]):
        first[t] = at
        leaves, asked, top = 0, 0, 1
        stack[0] = root[t]
        while top > 0 and leaves <= MOST_LEAVES and asked < MOST_LEAVES:
            top -= 1
            node = stack[top]
            if node < 0:
                # Back from the left branch of a node: its leaves are those numbered since then.
                before = masks[-1 - node]
                masks[-1 - node] = ~(((one << np.uint64(leaves)) - one) & ~before)
            elif left[node] == node:
                if leaves < MOST_LEAVES:
                    leaf_at[at + leaves] = node
                leaves += 1
            else:
                nodes[asked], masks[asked] = node, (one << np.uint64(leaves)) - one
                stack[top], stack[top + 1], stack[top + 2] = left[node] + 1, -1 - asked, left[node]
                top += 3
                asked += 1
        n_leaves[t] = leaves if leaves <= MOST_LEAVES and top == 0 else 0
        if n_leaves[t] > 0:
            q = at
            for kind in range(3):
                for i in range(asked):
                    node = nodes[i]
                    own = 2 if set_at[node] >= 0 else (0 if missing_left[node] else 1)
                    if own == kind:
                        question[q], mask[q] = node, masks[i]
                        q += 1
                ends[t, kind] = q
        at += n_leaves[t]
    first[root.shape[0]] = at


@inner
def _code(v, j, codes, n_codes):
    """Find a value among the known categories of its column; one past the last if it is not there."""
    lo, hi = 0, n_codes[j]
    while lo < hi:
        mid = (lo + hi) >> 1
        if codes[j, mid] < v:
            lo = mid + 1
        else:
            hi = mid
    known = lo < n_codes[j] and codes[j, lo] == v
    return np.uint64(lo if known else n_codes[j])


@small
def _in_set(sets, s, code):
    """Tell whether a category is among those that a set sends left."""
    return (sets[s, code >> np.uint64(6)] >> (code & np.uint64(63))) & np.uint64(1) != np.uint64(0)


@small
def _keep(v, limit, bits, away):
    """Leaves that a question leaves open; what is missing is not above the limit, nor below it."""
    every = ~np.uint64(0)
    if away:
        return every if v <= limit else bits
    return bits if v > limit else every


@small
def _ask(x, open_leaves, base, limit, bits, away):
    """Close the leaves on the left of a question to the rows that go right."""
    for i in range(np.uint64(BLOCK)):
        open_leaves[i] &= _keep(x[base + i], limit, bits, away)


@small
def _ask_four(x, open_leaves, q, column, limit, mask, away):
    """Ask four questions at a time: the open leaves are read and written once."""
    j0, j1 = np.uint64(column[q]), np.uint64(column[q + 1])
    j2, j3 = np.uint64(column[q + 2]), np.uint64(column[q + 3])
    t0, t1, t2, t3 = limit[q], limit[q + 1], limit[q + 2], limit[q + 3]
    b0, b1, b2, b3 = mask[q], mask[q + 1], mask[q + 2], mask[q + 3]
    for i in range(np.uint64(BLOCK)):
        first = _keep(x[j0 + i], t0, b0, away) & _keep(x[j1 + i], t1, b1, away)
        second = _keep(x[j2 + i], t2, b2, away) & _keep(x[j3 + i], t3, b3, away)
        open_leaves[i] &= first & second


@inner
def _ask_all(x, open_leaves, first, end, column, limit, mask, away):
    """Ask the questions first .. end - 1, which send what is missing the same way."""
    q = first
    while q + 4 <= end:
        if away:
            _ask_four(x, open_leaves, q, column, limit, mask, True)
        else:
            _ask_four(x, open_leaves, q, column, limit, mask, False)
        q += 4
    while q < end:
        _ask(x, open_leaves, np.uint64(column[q]), limit[q], mask[q], away)
        q += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(
    X, start, root, output, depth, link, feature, threshold, missing_left, set_at, sets, codes,
    n_codes, value, n_leaves, first, ends, question, mask, leaf_at, leaf_value, column, limit, out, leaves,
):  # fmt: skip
    """Add the values of the leaves that rows X reach to ``out`` from ``start`` on, or note the leaves."""
    rows, p = X.shape
    x = np.zeros((p, BLOCK))
    flat = x.reshape(p * BLOCK)
    code = np.zeros((p, BLOCK), np.uint64)
    at = np.zeros(BLOCK, np.int64)
    open_leaves = np.empty(BLOCK, np.uint64)
    every = ~np.uint64(0)
    general = sets.shape[0] > 0
    note = leaves.shape[0] > 0
    width = value.shape[1]
    for a in range(0, rows, BLOCK):
        m = min(BLOCK, rows - a)
        missing = False
        for i in range(m):
            for j in range(p):
                v = X[a + i, j]
                x[j, i] = v
                missing |= np.isnan(v)
                # Looked up once a row, not once a question.
                if n_codes[j] > 0:
                    code[j, i] = _code(v, j, codes, n_codes)
        for t in range(root.shape[0]):
            if n_leaves[t] > 0:
                for i in range(BLOCK):
                    open_leaves[i] = every
                _ask_all(flat, open_leaves, first[t], ends[t, 0], column, limit, mask, False)
                _ask_all(flat, open_leaves, ends[t, 0], ends[t, 1], column, limit, mask, True)
                for q in range(ends[t, 1], ends[t, 2]):
                    j, s = feature[question[q]], set_at[question[q]]
                    for i in range(BLOCK):
                        open_leaves[i] &= ~np.uint64(0) if _in_set(sets, s, code[j, i]) else mask[q]
                for i in range(BLOCK):
                    at[i] = first[t] + _lowest(open_leaves[i])
            else:
                for i in range(BLOCK):
                    at[i] = root[t]
                for step in range(depth[t]):
                    moved = np.int64(0)
                    if general:
                        for i in range(m):
                            node = at[i]
                            j, s = feature[node], set_at[node]
                            v = x[j, i]
                            if s >= 0:
                                right = not _in_set(sets, s, code[j, i])
                            elif np.isnan(v):
                                right = missing_left[node] == 0
                            else:
                                right = v > threshold[node]
                            at[i] = (link[node] >> 24) + np.int64(right)
                            moved |= at[i] ^ node
                    elif missing:
                        for i in range(BLOCK):
                            node = np.uint64(at[i])
                            step = link[node]
                            v = flat[np.uint64((step & 0xFFFFFF) * BLOCK + i)]
                            right = np.int64(v > threshold[node])
                            right |= np.int64(v != v) & np.int64(missing_left[node] == 0)
                            at[i] = (step >> 24) + right
                            moved |= at[i] ^ np.int64(node)
                    else:
                        for i in range(BLOCK):
                            node = np.uint64(at[i])
                            step = link[node]
                            v = flat[np.uint64((step & 0xFFFFFF) * BLOCK + i)]
                            at[i] = (step >> 24) + np.int64(v > threshold[node])
                            moved |= at[i] ^ np.int64(node)
                    if moved == 0:
                        break
            k = output[t]
            if note:
                for i in range(m):
                    leaves[start + a + i, t] = leaf_at[at[i]] if n_leaves[t] > 0 else at[i]
                continue
            # Values of a small tree lie side by side.
            said = leaf_value if n_leaves[t] > 0 else value
            for v in range(width):
                own = out[k + v, start + a : start + a + m]
                for i in range(m):
                    own[i] += said[np.uint64(at[i]), v]


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
    value = _as_rows(model["value"])
    arrays = (
        model["root"], model["output"], model["depth"],
        # Where to go and what to look at in one number: one load less at each step.
        (model["left"].astype(np.int64) << 24) + np.maximum(model["feature"], 0),
        np.maximum(model["feature"], 0), model["threshold"], model["missing_left"],
        model["set_at"], model["sets"], codes, n_codes,
        value, *_plans(model, value),
    )  # fmt: skip
    n = len(X)

    def walk(s):
        # One type and one order of memory: one compiled kernel.
        piece = np.ascontiguousarray(X[s : s + PIECE], dtype=np.float64)
        _walk(piece, s, *arrays, out, leaves)

    k = threads_for(n, n_jobs)
    if k == 1:
        for s in range(0, n, PIECE):
            walk(s)
        return
    with ThreadPoolExecutor(k) as pool:
        list(pool.map(walk, range(0, n, PIECE)))


def _plans(model, value):
    """What ``_walk`` asks of the trees that masks can hold."""
    trees, places = len(model["root"]), len(model["left"]) + MOST_LEAVES
    n_leaves, first = np.empty(trees, np.int64), np.empty(trees + 1, np.int64)
    ends = np.empty((trees, 3), np.int64)
    question, leaf_at = np.zeros(places, np.int64), np.zeros(places, np.int64)
    mask = np.empty(places, np.uint64)
    _plan(
        model["root"], model["left"], model["missing_left"], model["set_at"],
        n_leaves, first, ends, question, mask, leaf_at,
    )  # fmt: skip
    used = first[-1]
    question, mask, leaf_at = question[:used], mask[:used], leaf_at[:used]
    column = np.maximum(model["feature"], 0)[question] * np.int64(BLOCK)
    limit = model["threshold"][question]
    return n_leaves, first, ends, question, mask, leaf_at, value[leaf_at], column, limit


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
