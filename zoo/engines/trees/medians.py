"""The grower of trees that lower absolute errors: every leaf is a median.

A cut is scored by the errors of both sides about their own medians. Rows are put into a Fenwick
tree over the ranks of their targets, in the order of the column, once from the left and once from
the right: the median and its error after each row are found in O(log n), so a column of a node of n
rows costs O(n log n), and every cut is tried.
"""

import numpy as np

from zoo.engines.trees.memory import door, inner
from zoo.engines.trees.records import (
    DEPTH,
    END,
    FEATURE,
    LAST,
    LEFT,
    MISSING_LEFT,
    NEXT,
    START,
    UNKNOWN,
    _make_node,
    _random,
)

EVEN = 1e-12
"""Share of the weight by which two halves may differ and still be even."""


@inner
def _order(x):
    """Stable order of numbers; one function for all, because sorting takes long to compile."""
    return np.argsort(x, kind="mergesort")


@inner
def _median(y, w, order):
    """Weighted median of y, and the weighted sum of the distances from it.

    Where exactly half of the weight lies on either side it is the midpoint, as is usual.
    """
    total = 0.0
    for i in range(y.shape[0]):
        total += w[i]
    below, middle = 0.0, y[order[y.shape[0] - 1]]
    for i in range(y.shape[0]):
        below += w[order[i]]
        if below >= 0.5 * total * (1.0 - EVEN):
            middle = y[order[i]]
            if below <= 0.5 * total * (1.0 + EVEN) and i + 1 < y.shape[0]:
                middle = 0.5 * middle + 0.5 * y[order[i + 1]]
            break
    error = 0.0
    for i in range(y.shape[0]):
        error += w[i] * abs(y[i] - middle)
    return middle, error


@inner
def _insert(tree, rank, w, wy):
    """Add a weight and a weighted target at a rank (from 1)."""
    i = rank
    while i < tree.shape[0]:
        tree[i, 0] += w
        tree[i, 1] += wy
        i += i & -i


@inner
def _error(tree, value, total_w, total_wy):
    """Weighted sum of the distances from the median of what was inserted."""
    step = 1
    while 2 * step < tree.shape[0]:
        step *= 2
    at, below_w, below_wy = 0, 0.0, 0.0
    half = 0.5 * total_w * (1.0 - EVEN)
    while step > 0:
        up = at + step
        if up < tree.shape[0] and below_w + tree[up, 0] < half:
            at = up
            below_w += tree[up, 0]
            below_wy += tree[up, 1]
        step //= 2
    # The median is the target after rank ``at``; its own distance is 0.
    middle = value[min(at, value.shape[0] - 1)]
    error = middle * below_w - below_wy + total_wy - below_wy - middle * (total_w - below_w)
    return max(error, 0.0)


@inner
def _errors(rows, ends, sequence, backwards, v, rank, value, w, tree, out):
    """Add to out[g] the error of the groups sequence[0 .. g], or of those after g."""
    groups = sequence.shape[0]
    for i in range(tree.shape[0]):
        tree[i, 0] = tree[i, 1] = 0.0
    total_w, total_wy = 0.0, 0.0
    for step in range(groups - 1):
        g = groups - 1 - step if backwards else step
        k = sequence[g]
        for i in range(0 if k == 0 else ends[k - 1], ends[k]):
            r = rows[i]
            _insert(tree, rank[r] + 1, w[r], w[r] * v[r])
            total_w += w[r]
            total_wy += w[r] * v[r]
        out[g - 1 if backwards else g] += _error(tree, value, total_w, total_wy)


@door
def grow_tree(codes, n_codes, is_cat, Y, w, rules, tree, gain, sets, value, weight):
    """Grow one tree on rows of codes (n, p) and targets (n, targets); return its number of nodes.

    ``value`` (nodes, targets) gets the medians, ``weight`` the weights of the nodes.
    """
    n, p = codes.shape
    n_targets = Y.shape[1]
    state = np.empty(1, np.uint64)
    state[0] = np.uint64(rules.seed)
    columns = np.arange(p)
    order = np.arange(n)
    spare = np.empty(n, np.int64)
    waiting = np.empty(max(64, n), np.int64)
    best_which = np.zeros(4, np.uint64)
    n_nodes, n_waiting, n_leaves = 1, 0, 1
    # Eight numbers a node, one behind the other, as ``_make_node`` writes them.
    numbers = tree.reshape(tree.size)
    _make_node(numbers, gain, 0, 0, n, 0)
    fresh, last_fresh = 0, 0
    while True:
        if fresh > last_fresh:
            # ---- no node waits for its evaluation: split the next one
            if n_waiting == 0 or (rules.max_leaves > 0 and n_leaves >= rules.max_leaves):
                break
            at = n_waiting - 1
            if rules.max_leaves > 0:
                for i in range(n_waiting):
                    u, t = waiting[i], waiting[at]
                    if gain[u] > gain[t] or (gain[u] == gain[t] and u < t):
                        at = i
            node = waiting[at]
            n_waiting -= 1
            waiting[at] = waiting[n_waiting]
            a, b, j = np.int64(tree[node, START]), np.int64(tree[node, END]), tree[node, FEATURE]
            is_set, nc = is_cat[j] != 0, np.int64(n_codes[j])
            lo, hi = a, 0
            for i in range(a, b):
                c = np.int64(codes[order[i], j])
                if is_set:
                    left = (sets[node, c >> 6] >> np.uint64(c & 63)) & np.uint64(1) != np.uint64(0)
                else:
                    left = c <= tree[node, LAST] or (tree[node, MISSING_LEFT] == 1 and c == nc)
                if left:
                    order[lo] = order[i]
                    lo += 1
                else:
                    spare[hi] = order[i]
                    hi += 1
            for i in range(hi):
                order[lo + i] = spare[i]
            if tree[node, MISSING_LEFT] == UNKNOWN:
                tree[node, MISSING_LEFT] = lo - a >= hi
                if is_set and lo - a >= hi:
                    sets[node, nc >> 6] |= np.uint64(1) << np.uint64(nc & 63)
            tree[node, LEFT] = n_nodes
            _make_node(numbers, gain, n_nodes, a, lo, tree[node, DEPTH] + 1)
            _make_node(numbers, gain, n_nodes + 1, lo, b, tree[node, DEPTH] + 1)
            fresh, last_fresh = n_nodes, n_nodes + 1
            n_nodes += 2
            n_leaves += 1
            continue
        node = fresh
        fresh += 1
        a, b = np.int64(tree[node, START]), np.int64(tree[node, END])
        m = b - a
        own_w, total_w = np.empty(m), 0.0
        for i in range(m):
            own_w[i] = w[order[a + i]]
            total_w += own_w[i]
        weight[node] = total_w
        # ---- medians, and the targets less them: small numbers are summed with small errors
        v = np.empty((n_targets, m))
        ordered = np.empty((n_targets, m))
        rank = np.empty((n_targets, m), np.int64)
        parent = 0.0
        for q in range(n_targets):
            for i in range(m):
                v[q, i] = Y[order[a + i], q]
            place = _order(v[q])
            middle, error = _median(v[q], own_w, place)
            value[node, q] = middle
            parent += error / n_targets
            for i in range(m):
                v[q, i] -= middle
            for i in range(m):
                rank[q, place[i]] = i
                ordered[q, i] = v[q, place[i]]
        if parent <= 1e-14 * total_w or m < rules.min_split or m < 2 * rules.min_leaf:
            continue
        if rules.max_depth > 0 and tree[node, DEPTH] >= rules.max_depth:
            continue
        # A cut that gains nothing is taken too: its sides may gain.
        best = rules.min_gain - parent * 1e-12
        best_j, best_bin, best_next, best_missing, best_set = -1, 0, 0, 0, False
        own_code = np.empty(m)
        sums = np.empty((m + 1, 2))
        tried = 0
        for pick in range(p):
            if tried >= rules.max_features:
                break
            q = pick + np.int64(_random(state) % np.uint64(p - pick))
            columns[pick], columns[q] = columns[q], columns[pick]
            j = columns[pick]
            for i in range(m):
                own_code[i] = codes[order[a + i], j]
            rows = _order(own_code)
            ends, code = np.empty(m, np.int64), np.empty(m, np.int64)
            groups = 0
            for i in range(m):
                if i + 1 == m or own_code[rows[i]] != own_code[rows[i + 1]]:
                    ends[groups], code[groups] = i + 1, np.int64(own_code[rows[i]])
                    groups += 1
            if groups < 2:
                continue
            tried += 1
            sequence = np.arange(groups)
            missing = not is_cat[j] and code[groups - 1] == n_codes[j]
            if is_cat[j]:
                # Categories stand in the order of their medians (of the first target).
                level = np.empty(groups)
                for g in range(groups):
                    s = 0 if g == 0 else ends[g - 1]
                    some = rows[s : ends[g]]
                    level[g] = _median(v[0][some], own_w[some], _order(v[0][some]))[0]
                sequence = _order(level)
            last = groups - 1 if missing else groups
            chosen = -1
            if rules.random_cut and not is_cat[j]:
                low, high = code[0], code[last - 1]
                if high > low:
                    cut = low + np.int64(_random(state) % np.uint64(high - low))
                    chosen = 0
                    while chosen + 1 < last and code[chosen + 1] <= cut:
                        chosen += 1
                elif not missing:
                    continue
            elif rules.random_cut:
                chosen = np.int64(_random(state) % np.uint64(groups - 1))
            for missing_left in range(2 if missing else 1):
                if missing_left:
                    if last < 2:
                        break
                    sequence[0] = groups - 1
                    for g in range(1, groups):
                        sequence[g] = g - 1
                errors = np.zeros(groups)
                for q in range(n_targets):
                    for backwards in range(2):
                        _errors(
                            rows, ends[:groups], sequence, backwards == 1, v[q], rank[q], ordered[q],
                            own_w, sums, errors,
                        )  # fmt: skip
                left_rows, left_w = 0, 0.0
                for g in range(groups - 1):
                    k = sequence[g]
                    s = 0 if k == 0 else ends[k - 1]
                    left_rows += ends[k] - s
                    for i in range(s, ends[k]):
                        left_w += own_w[rows[i]]
                    # With missing values on the left the first group is theirs alone: no cut there.
                    if missing_left and g == 0:
                        continue
                    if chosen >= 0 and g - missing_left != chosen:
                        continue
                    if left_rows < rules.min_leaf or m - left_rows < rules.min_leaf:
                        continue
                    if min(left_w, total_w - left_w) < rules.min_weight * (1 - EVEN):
                        continue
                    fall = parent - errors[g] / n_targets
                    if fall > best:
                        best, best_j, best_set = fall, j, is_cat[j] != 0
                        best_missing = missing_left if missing else UNKNOWN
                        if best_set:
                            for word in range(4):
                                best_which[word] = np.uint64(0)
                            best_missing = UNKNOWN
                            if code[groups - 1] == n_codes[j]:
                                best_missing = 0
                            for h in range(g + 1):
                                c = code[sequence[h]]
                                best_which[c >> 6] |= np.uint64(1) << np.uint64(c & 63)
                                if c == n_codes[j]:
                                    best_missing = 1
                        else:
                            best_bin = code[k]
                            best_next = code[k + 1] if k + 1 < last else n_codes[j]
        if best_j < 0:
            continue
        tree[node, FEATURE], gain[node] = best_j, max(best, 0.0)
        tree[node, LAST], tree[node, NEXT], tree[node, MISSING_LEFT] = best_bin, best_next, best_missing
        if best_set:
            for word in range(4):
                sets[node, word] = best_which[word]
        waiting[n_waiting] = node
        n_waiting += 1
    for i in range(n_waiting):
        node = waiting[i]
        _make_node(numbers, gain, node, tree[node, START], tree[node, END], tree[node, DEPTH])
    return n_nodes
