"""Rows run through trees that add up, such as boosting's: what each says, or where each row ends.

A tree of few leaves is not walked: all its questions are asked of a block of rows, and each answer
closes leaves in a mask. Larger trees are walked by a block of rows together. (Deep trees whose mean
is asked for have a kernel of their own, see ``deep_prediction``.)
"""

import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy import inf, int64, uint64

from zoo.engines.trees.memory import (
    door,
    f32,
    f64,
    fill_table,
    flat,
    i32,
    i64,
    inner,
    lowest_bit,
    skip,
    smaller,
    table_at,
    u64,
)
from zoo.engines.trees.threads import cores

BLOCK = 64
"""Rows that walk down a tree together: independent loads hide each other's latency."""
PIECE = 4096
"""Rows of one task when threads share a prediction."""
MOST_LEAVES = 64
"""Leaves that a mask can hold. Smaller trees are not walked: all their questions are asked."""

# Numbers of the table, then addresses: of a model, of its plan, and of one piece of rows.
TREES, WIDTH, CODES, SETS, SINGLE, ROWS, COLUMNS, FIRST, STRIDE, NOTE = range(10)
_root, _output, _depth, _left, _set_at, _sets, _threshold, _value = range(10, 18)
_n_leaves, _first, _ends, _question, _mask, _leaf_at, _link, _column, _limit, _said = range(18, 28)
_categories, _n_categories, _X, _scratch, _out, _leaves = range(28, 34)
TABLE = 34


@door
def _plan(address):
    """Number the leaves of each tree from left to right; list its questions with their masks.

    A row that goes right at a node cannot end in the leaves on its left: their bits are 0 in the
    mask. Of the leaves that all questions leave open a row ends in the leftmost (QuickScorer,
    Lucchese et al. 2015). Questions about numbers come first, then those about categories. Trees of
    more leaves than a mask has bits are left out.
    """
    t = table_at(address)
    root, left, set_at = i64(t, _root), i32(t, _left), i32(t, _set_at)
    n_leaves, first, ends = i64(t, _n_leaves), i64(t, _first), i64(t, _ends)
    question, mask, leaf_at = i64(t, _question), u64(t, _mask), i64(t, _leaf_at)
    stack = i64(t, _scratch)
    nodes, masks = skip(stack, 4 * MOST_LEAVES), skip(u64(t, _scratch), 5 * MOST_LEAVES)
    one = uint64(1)
    at = 0
    for k in range(t[TREES]):
        first[k] = at
        leaves, asked, top = 0, 0, 1
        stack[0] = root[k]
        while top > 0 and leaves <= MOST_LEAVES and asked < MOST_LEAVES:
            top -= 1
            node = stack[top]
            if node < 0:
                # Back from the left branch of a node: its leaves are those numbered since then.
                before = masks[-1 - node]
                masks[-1 - node] = ~(((one << uint64(leaves)) - one) & ~before)
            elif left[node] == node:
                if leaves < MOST_LEAVES:
                    leaf_at[at + leaves] = node
                leaves += 1
            else:
                nodes[asked], masks[asked] = node, (one << uint64(leaves)) - one
                stack[top], stack[top + 1], stack[top + 2] = left[node] + 1, -1 - asked, left[node]
                top += 3
                asked += 1
        n_leaves[k] = leaves if leaves <= MOST_LEAVES and top == 0 else 0
        if n_leaves[k] > 0:
            q = at
            for kind in range(2):
                for i in range(asked):
                    if (set_at[nodes[i]] >= 0) == (kind == 1):
                        question[q], mask[q] = nodes[i], masks[i]
                        q += 1
                ends[2 * k + kind] = q
        at += n_leaves[k]
    first[t[TREES]] = at


@flat
def _code(v, known, n):
    """Find a value among the n known categories; n if it is not there."""
    lo, hi = 0, n
    while lo < hi:
        mid = (lo + hi) >> 1
        if known[mid] < v:
            lo = mid + 1
        else:
            hi = mid
    return lo if lo < n and known[lo] == v else n


@inner
def _stays(sets, s, code):
    """Tell whether a category is among those that a set sends left."""
    code = uint64(code)
    return (sets[4 * s + int64(code >> uint64(6))] >> (code & uint64(63))) & uint64(1) != uint64(0)


@inner
def _ask_all(x, open_leaves, q, end, column, limit, mask):
    """Ask the questions q .. end - 1: close the leaves on the left of each to rows that go right."""
    every = ~uint64(0)
    # Four at a time: the open leaves are read and written once.
    while q + 4 <= end:
        x0, x1, x2, x3 = (
            skip(x, column[q]),
            skip(x, column[q + 1]),
            skip(x, column[q + 2]),
            skip(x, column[q + 3]),
        )
        t0, t1, t2, t3 = limit[q], limit[q + 1], limit[q + 2], limit[q + 3]
        b0, b1, b2, b3 = mask[q], mask[q + 1], mask[q + 2], mask[q + 3]
        for i in range(BLOCK):
            a = (every if x0[i] <= t0 else b0) & (every if x1[i] <= t1 else b1)
            b = (every if x2[i] <= t2 else b2) & (every if x3[i] <= t3 else b3)
            open_leaves[i] &= a & b
        q += 4
    while q < end:
        x0, t0, b0 = skip(x, column[q]), limit[q], mask[q]
        for i in range(BLOCK):
            open_leaves[i] &= every if x0[i] <= t0 else b0
        q += 1


@inner
def _step(t, at, x, code):
    """Move the rows of a block one level down; tell whether any has moved."""
    link, threshold, set_at, sets = i64(t, _link), f64(t, _threshold), i32(t, _set_at), u64(t, _sets)
    moved = 0
    if t[SETS]:
        for i in range(BLOCK):
            node, step = at[i], link[at[i]]
            if set_at[node] >= 0:
                right = not _stays(sets, set_at[node], code[((step & 0xFFFFFF) >> 1) * BLOCK + i])
            else:
                right = not x[(step & 0xFFFFFF) * BLOCK + i] <= threshold[node]
            at[i] = (step >> 24) + int64(right)
            moved |= at[i] ^ node
    else:
        for i in range(BLOCK):
            node, step = at[i], link[at[i]]
            right = not x[(step & 0xFFFFFF) * BLOCK + i] <= threshold[node]
            at[i] = (step >> 24) + int64(right)
            moved |= at[i] ^ node
    return moved != 0


@door
def _walk(address):
    """Add the values of the leaves that the rows of a piece reach, or note the leaves."""
    t = table_at(address)
    rows, p, trees, width = t[ROWS], t[COLUMNS], t[TREES], t[WIDTH]
    X, n_codes, depth = f64(t, _X), i64(t, _n_categories), i64(t, _depth)
    set_at, sets, question, mask = i32(t, _set_at), u64(t, _sets), i64(t, _question), u64(t, _mask)
    first, ends, leaf_at = i64(t, _first), i64(t, _ends), i64(t, _leaf_at)
    # A column twice: what is missing as -infinity, which goes left, and as it is, which goes right.
    x = f64(t, _scratch)
    code = skip(i64(t, _scratch), 2 * p * BLOCK)
    at = skip(code, p * BLOCK)
    open_leaves = skip(u64(t, _scratch), (3 * p + 1) * BLOCK)
    every = ~uint64(0)
    for a in range(0, rows, BLOCK):
        m = smaller(BLOCK, rows - a)
        for i in range(m):
            for j in range(p):
                v = X[(a + i) * p + j]
                x[2 * j * BLOCK + i] = -inf if v != v else v
                x[(2 * j + 1) * BLOCK + i] = v
                # Looked up once a row, not once a question.
                if n_codes[j] > 0:
                    code[j * BLOCK + i] = _code(v, skip(f64(t, _categories), j * t[CODES]), n_codes[j])
        for k in range(trees):
            known = i64(t, _n_leaves)[k] > 0
            if known:
                for i in range(BLOCK):
                    open_leaves[i] = every
                _ask_all(x, open_leaves, first[k], ends[2 * k], i64(t, _column), f64(t, _limit), mask)
                for q in range(ends[2 * k], ends[2 * k + 1]):
                    own, s = skip(code, i64(t, _column)[q] >> 1), set_at[question[q]]
                    for i in range(BLOCK):
                        open_leaves[i] &= every if _stays(sets, s, own[i]) else mask[q]
                for i in range(BLOCK):
                    at[i] = first[k] + lowest_bit(open_leaves[i])
            else:
                for i in range(BLOCK):
                    at[i] = i64(t, _root)[k]
                for _ in range(depth[k]):
                    if not _step(t, at, x, code):
                        break
            if t[NOTE]:
                leaves = skip(i32(t, _leaves), (t[FIRST] + a) * trees + k)
                for i in range(m):
                    leaves[i * trees] = leaf_at[at[i]] if known else at[i]
                continue
            # Values of a small tree lie side by side.
            said = _said if known else _value
            for v in range(width):
                own = skip(f64(t, _out), (i64(t, _output)[k] + v) * t[STRIDE] + t[FIRST] + a)
                if t[SINGLE]:
                    for i in range(m):
                        own[i] += f32(t, said)[at[i] * width + v]
                else:
                    for i in range(m):
                        own[i] += f64(t, said)[at[i] * width + v]


def threads_for(n_rows, n_jobs):
    """Threads that a prediction of n_rows rows should use."""
    return max(1, min(cores(n_jobs), n_rows // PIECE))


def in_pieces(walk, n, piece, threads):
    """Call walk(start) for each piece of n rows."""
    if threads == 1:
        for s in range(0, n, piece):
            walk(s)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(walk, range(0, n, piece)))


_made: dict[tuple[Any, int], Any] = {}


def made_once(make, *arrays):
    """Return what is made from arrays of a model; it is kept as long as they live.

    The estimator keeps nothing of it, so that a prediction changes nothing and a file holds nothing
    twice. Arrays of a model are replaced, never written to.
    """
    key = make, id(arrays[0])
    found = _made.get(key)
    if found is None or any(ref() is not a for ref, a in zip(found[0], arrays, strict=True)):
        first = weakref.ref(arrays[0], lambda _: _made.pop(key, None))
        found = (first, *map(weakref.ref, arrays[1:])), make(*arrays)
        _made[key] = found
    return found[1]


def _columns(feature, missing_left, set_at):
    """Where a node finds its column in a block: each lies there twice, for both sides of what is missing."""
    away = (feature >= 0) & (missing_left == 0) & (set_at < 0)
    return 2 * np.maximum(feature, 0).astype(np.int64) + away


def _make_links(left, feature, missing_left, set_at):
    """Where to go and what to look at in one number: one load less at each step."""
    return (left.astype(np.int64) << 24) + _columns(feature, missing_left, set_at)


def _make_table(root, output, depth, left, feature, threshold, missing_left, set_at, sets, value):
    """Return the table of a model and the arrays that were made for it: the plan of its small trees."""
    trees, places, nodes = len(root), len(left) + MOST_LEAVES, (left, feature, missing_left, set_at)
    made = {
        _n_leaves: np.empty(trees, np.int64), _first: np.empty(trees + 1, np.int64),
        _ends: np.empty((trees, 2), np.int64), _question: np.zeros(places, np.int64),
        _mask: np.empty(places, np.uint64), _leaf_at: np.empty(places, np.int64),
    }  # fmt: skip
    given, scratch = {_root: root, _left: left, _set_at: set_at}, np.empty(6 * MOST_LEAVES)
    table = fill_table(TABLE, {TREES: trees}, given | made | {_scratch: scratch})
    _plan(table.ctypes.data)
    for place in (_question, _mask, _leaf_at):
        made[place] = made[place][: made[_first][-1]].copy()
    q = made[_question]
    made[_column] = _columns(feature[q], missing_left[q], set_at[q]) * BLOCK
    made[_limit], made[_said] = threshold[q], value[made[_leaf_at]]
    if not made[_n_leaves].all():
        made[_link] = made_once(_make_links, *nodes)
    numbers = {
        TREES: trees, WIDTH: 1 if value.ndim == 1 else value.shape[1], SETS: len(sets),
        SINGLE: value.dtype == np.float32,
    }  # fmt: skip
    given |= {_output: output, _depth: depth, _sets: sets, _threshold: threshold, _value: value}
    return fill_table(TABLE, numbers, given | made), made


_ASKED = (
    "root", "output", "depth", "left", "feature", "threshold", "missing_left", "set_at", "sets", "value",
)  # fmt: skip


def _run(model, categories, X, out, leaves, n_jobs):
    codes, n_codes = categories
    table, _ = made_once(_make_table, *(model[name] for name in _ASKED))
    n, p = X.shape
    numbers = {CODES: codes.shape[1], COLUMNS: p, STRIDE: out.shape[-1], NOTE: len(leaves) > 0}
    table = table + fill_table(
        TABLE, numbers, {_categories: codes, _n_categories: n_codes, _out: out, _leaves: leaves}
    )

    def walk(s):
        # One type and one order of memory: one compiled kernel.
        piece = np.ascontiguousarray(X[s : s + PIECE], dtype=np.float64)
        own = {_X: piece, _scratch: np.zeros((3 * p + 2) * BLOCK)}
        whole = table + fill_table(TABLE, {ROWS: len(piece), FIRST: s}, own)
        _walk(whole.ctypes.data)

    in_pieces(walk, n, PIECE, threads_for(n, n_jobs))


_NO_OUT = np.empty((0, 0))
_NO_LEAVES = np.empty((0, 0), np.int32)


def add_predictions(model, categories, X, out, n_jobs=1):
    """Add what each tree says of each row to ``out`` (outputs, n), float64."""
    _run(model, categories, X, out, _NO_LEAVES, n_jobs)


def find_leaves(model, categories, X, n_jobs=1):
    """Find the node of each tree in which each row ends, (n, trees)."""
    leaves = np.empty((len(X), len(model["root"])), np.int32)
    _run(model, categories, X, _NO_OUT, leaves, n_jobs)
    return leaves
