"""Exact Shapley values of trees: which column moved a prediction, and by how much.

A leaf on whose path d columns are asked gives its value c to a row if the row passes all of them.
Let o_i be 1 where the row passes column i and z_i stand for a column that is left out. The Shapley
value of column i is then an integral of a polynomial, which Gauss' rule with (d + 1) / 2 points
takes exactly:

    c (o_i - z_i) int_0^1 prod_{j != i} (t o_j + (1 - t) z_j) dt

Path-dependent (no background): z_i is the share of the training weight that passes. All factors
are positive, so nothing cancels, and many rows are done at a time. Interventional: z_i is 0 or 1,
as a background row passes, and the values are averaged over these rows; the integral is then
a! b! / (a + b + 1)!, and rows that pass the same columns are counted together.

Both add up to the prediction less the base value.

References: Lundberg et al. (2020), From local explanations to global understanding with explainable
AI for trees, Nature Machine Intelligence 2. Yu et al. (2022), Linear TreeShap, NeurIPS 35.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from zoo.engines.trees import prediction

BLOCK = 128
"""Rows that are explained together."""
MOST_COLUMNS = 63
"""Columns of one path that a mask of passed columns can hold."""

inner = njit(nogil=True, error_model="numpy")


@intrinsic
def _ones(typingctx, bits):
    """Count the bits that are set."""

    def codegen(context, builder, sig, args):
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@intrinsic
def _lowest(typingctx, bits):
    """Place of the lowest bit that is set; at least one must be."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


@inner
def _find_right(node, x, threshold, missing_left, set_at, sets, codes, n_codes, right):
    """Tell which rows go right at a node, from their values x of its column."""
    if set_at[node] >= 0:
        for r in range(x.shape[0]):
            at = np.searchsorted(codes[:n_codes], x[r])
            known = at < n_codes and codes[at] == x[r]
            b = np.uint64(at if known else n_codes)
            bit = sets[set_at[node], b >> np.uint64(6)] >> (b & np.uint64(63))
            right[r] = (bit & np.uint64(1)) == np.uint64(0)
    else:
        limit, away = threshold[node], missing_left[node] == 0
        for r in range(x.shape[0]):
            right[r] = (x[r] > limit) | ((x[r] != x[r]) & away)


@njit(cache=True, nogil=True, error_model="numpy")
def _path_dependent(
    xt, root, output, left, feature, threshold, missing_left, set_at, sets, codes, n_codes,
    weight, value, deepest, points, weights, phi,
):  # fmt: skip
    """Add the Shapley values of rows xt (columns, rows), all trees, to phi (columns, outputs, rows)."""
    n = xt.shape[1]
    right = np.empty(n, np.bool_)
    # What the node at each level of the path asks: 1 for rows that pass, also whatever was asked
    # of the same column above, and the share of the weight that does.
    passed, zero = np.empty((deepest + 2, n)), np.empty(deepest + 2)
    column = np.full(deepest + 2, -1)
    level_of = np.empty(deepest + 2, np.int64)
    acc, product = np.empty((deepest + 2, n)), np.empty(n)
    nodes, parents = np.empty(deepest + 4, np.int64), np.empty(deepest + 4, np.int64)
    levels = np.empty(deepest + 4, np.int64)
    for tree in range(root.shape[0]):
        k = output[tree]
        top = 1
        nodes[0], parents[0], levels[0] = root[tree], -1, 0
        while top > 0:
            top -= 1
            node, parent, level = nodes[top], parents[top], levels[top]
            if level > 0:
                j = feature[parent]
                _find_right(parent, xt[j], threshold, missing_left, set_at, sets, codes[j], n_codes[j], right)
                side = node != left[parent]
                share = weight[node] / weight[parent] if weight[parent] > 0.0 else 0.5
                own = passed[level]
                for r in range(n):
                    own[r] = 1.0 if right[r] == side else 0.0
                for above in range(level - 1, 0, -1):
                    if column[above] == j:
                        share *= zero[above]
                        before = passed[above]
                        for r in range(n):
                            own[r] *= before[r]
                        break
                column[level], zero[level] = j, max(share, 1e-30)
            if left[node] != node:
                for child in range(left[node], left[node] + 2):
                    nodes[top], parents[top], levels[top] = child, node, level + 1
                    top += 1
                continue
            # The columns of the path, each where it was asked last.
            d = 0
            for i in range(level, 0, -1):
                new = True
                for q in range(d):
                    new &= column[level_of[q]] != column[i]
                if new:
                    level_of[d] = i
                    d += 1
            for i in range(d):
                acc[i] = 0.0
            m = (d + 1) // 2
            for q in range(m):
                t = points[m, q]
                for r in range(n):
                    product[r] = weights[m, q]
                for i in range(d):
                    o, no = passed[level_of[i]], zero[level_of[i]] * (1.0 - t)
                    yes = no + t
                    for r in range(n):
                        product[r] *= yes if o[r] > 0.0 else no
                for i in range(d):
                    o, no, own = passed[level_of[i]], zero[level_of[i]] * (1.0 - t), acc[i]
                    yes = 1.0 / (no + t)
                    no = 1.0 / no
                    for r in range(n):
                        own[r] += product[r] * (yes if o[r] > 0.0 else no)
            for i in range(d):
                o, z, own = passed[level_of[i]], zero[level_of[i]], acc[i]
                for v in range(value.shape[1]):
                    c, out = value[node, v], phi[column[level_of[i]], k + v]
                    for r in range(n):
                        out[r] += c * (o[r] - z) * own[r]


@inner
def _count_masks(masks, table, stamp, mark, kinds, counts, which):
    """Number the different masks: their list, how often each occurs, and the number of each row."""
    size = np.uint64(table.shape[0] - 1)
    found = 0
    for r in range(masks.shape[0]):
        at = (masks[r] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40) & size
        while stamp[at] == mark and kinds[table[at]] != masks[r]:
            at = (at + np.uint64(1)) & size
        if stamp[at] != mark:
            stamp[at], table[at] = mark, found
            kinds[found], counts[found] = masks[r], 0
            found += 1
        counts[table[at]] += 1
        which[r] = table[at]
    return found


@inner
def _pass_on(right, side, above, bit, is_new, own):
    """Masks below a branch: the bit of its column stays where the row passes."""
    for r in range(right.shape[0]):
        passes = np.uint64(right[r] == side)
        if is_new:
            own[r] = above[r] | (passes << bit)
        else:
            own[r] = above[r] & ~((np.uint64(1) - passes) << bit)


@njit(cache=True, nogil=True, error_model="numpy")
def _interventional(
    xt, zt, root, output, left, feature, threshold, missing_left, set_at, sets, codes, n_codes,
    value, deepest, table_of_weights, phi,
):  # fmt: skip
    """Add the sum over background rows zt of the Shapley values of rows xt to phi."""
    n, nz = xt.shape[1], zt.shape[1]
    right_x, right_z = np.empty(n, np.bool_), np.empty(nz, np.bool_)
    mask_x, mask_z = np.zeros((deepest + 2, n), np.uint64), np.zeros((deepest + 2, nz), np.uint64)
    # Columns of the path in the order in which they are met: that of the bits.
    columns = np.empty(deepest + 2, np.int64)
    lengths = np.zeros(deepest + 2, np.int64)
    nodes, parents = np.empty(deepest + 4, np.int64), np.empty(deepest + 4, np.int64)
    levels = np.empty(deepest + 4, np.int64)
    size = 4
    while size < 2 * max(n, nz):
        size *= 2
    table, stamp = np.zeros(size, np.int64), np.full(size, -1)
    kind_x, count_x, which_x = np.empty(n, np.uint64), np.empty(n, np.int64), np.empty(n, np.int64)
    kind_z, count_z = np.empty(nz, np.uint64), np.empty(nz, np.int64)
    which_z, fits = np.empty(nz, np.int64), np.empty(nz + 1, np.int64)
    share = np.empty((n, deepest + 2))
    mark = 0
    for tree in range(root.shape[0]):
        k = output[tree]
        top = 1
        nodes[0], parents[0], levels[0] = root[tree], -1, 0
        while top > 0:
            top -= 1
            node, parent, level = nodes[top], parents[top], levels[top]
            if level > 0:
                j = feature[parent]
                d = lengths[level - 1]
                bit = 0
                while bit < d and columns[bit] != j:
                    bit += 1
                is_new = bit == d
                columns[bit] = j
                lengths[level] = d + np.int64(is_new)
                side = node != left[parent]
                _find_right(
                    parent, xt[j], threshold, missing_left, set_at, sets, codes[j], n_codes[j],
                    right_x,
                )  # fmt: skip
                _find_right(
                    parent, zt[j], threshold, missing_left, set_at, sets, codes[j], n_codes[j],
                    right_z,
                )  # fmt: skip
                b = np.uint64(bit)
                _pass_on(right_x, side, mask_x[level - 1], b, is_new, mask_x[level])
                _pass_on(right_z, side, mask_z[level - 1], b, is_new, mask_z[level])
            if left[node] != node:
                for child in range(left[node], left[node] + 2):
                    nodes[top], parents[top], levels[top] = child, node, level + 1
                    top += 1
                continue
            d = lengths[level]
            if d == 0:
                continue
            full = (np.uint64(1) << np.uint64(d)) - np.uint64(1)
            kx = _count_masks(mask_x[level], table, stamp, mark, kind_x, count_x, which_x)
            kz = _count_masks(mask_z[level], table, stamp, mark + 1, kind_z, count_z, which_z)
            mark += 2
            for a in range(kx):
                u = kind_x[a]
                for i in range(d):
                    share[a, i] = 0.0
                # Columns that the row fails are passed by every background row that counts.
                failed = d - _ones(u)
                down = 0.0
                # Few fit: to list them without a branch costs less than to guess.
                fitting = 0
                for b in range(kz):
                    fits[fitting] = b
                    fitting += np.int64(u | kind_z[b] == full)
                for q in range(fitting):
                    b = fits[q]
                    lost = full & ~kind_z[b]
                    alone = _ones(lost)
                    c = np.float64(count_z[b])
                    if failed > 0:
                        down -= c * table_of_weights[alone, failed - 1]
                    if alone > 0:
                        up = c * table_of_weights[alone - 1, failed]
                        while lost != np.uint64(0):
                            share[a, _lowest(lost)] += up
                            lost &= lost - np.uint64(1)
                if failed > 0:
                    lost = full & ~u
                    while lost != np.uint64(0):
                        share[a, _lowest(lost)] = down
                        lost &= lost - np.uint64(1)
            for i in range(d):
                for v in range(value.shape[1]):
                    c, out = value[node, v], phi[columns[i], k + v]
                    for r in range(n):
                        out[r] += c * share[which_x[r], i]


def _as_rows(value):
    return value if value.ndim == 2 else value[:, None]


def _expectations(model, n_outputs):
    """Mean value of each tree over its training weight, added by output."""
    left, weight = model["left"].astype(np.int64), model["weight"]
    mean = _as_rows(model["value"]).astype(np.float64).copy()
    for i in range(len(left) - 1, -1, -1):
        if left[i] != i:
            l, r = left[i], left[i] + 1
            mean[i] = (weight[l] * mean[l] + weight[r] * mean[r]) / weight[i]
    out = np.zeros(n_outputs)
    for root, k in zip(model["root"], model["output"], strict=True):
        out[k : k + mean.shape[1]] += mean[root]
    return out


def _gauss(most):
    """Points and weights of Gauss' rules on [0, 1]: row m has the rule of m points."""
    points, weights = np.zeros((most + 1, most)), np.zeros((most + 1, most))
    for m in range(1, most + 1):
        x, w = np.polynomial.legendre.leggauss(m)
        points[m, :m], weights[m, :m] = (x + 1) / 2, w / 2
    return points, weights


def shap_values(model, categories, X, n_outputs, background=None, n_jobs=1):
    """Shapley values (n, d, outputs) and base values (outputs) of the sum of the trees."""
    codes, n_codes = categories
    n, p = X.shape
    phi = np.empty((n, p, n_outputs))
    value = np.ascontiguousarray(_as_rows(model["value"]), dtype=np.float64)
    shared = (
        model["root"], model["output"], model["left"], np.maximum(model["feature"], 0),
        model["threshold"], model["missing_left"], model["set_at"], model["sets"], codes, n_codes,
    )  # fmt: skip
    deepest = int(model["depth"].max(initial=0))
    if background is None:
        base = _expectations(model, n_outputs)
        points, weights = _gauss((min(deepest, p) + 1) // 2 + 1)

        def explain(xt, out):
            _path_dependent(xt, *shared, model["weight"], value, deepest, points, weights, out)
    else:
        if min(deepest, p) > MOST_COLUMNS:
            raise ValueError(
                f"shap_values with a background takes trees whose paths ask at most {MOST_COLUMNS} "
                f"columns, but these are {deepest} deep on {p} columns; set max_depth, or leave "
                "out the background."
            )
        zt = np.ascontiguousarray(np.asarray(background).T, dtype=np.float64)
        scores = np.zeros((n_outputs, zt.shape[1]))
        prediction.add_predictions(model, categories, np.asarray(background), scores)
        base = scores.mean(axis=1)
        size = min(deepest, p) + 1
        table = np.ones((size, size))
        # a! b! / (a + b + 1)!, column by column
        table[:, 0] = 1.0 / np.arange(1.0, size + 1)
        for b in range(1, size):
            table[:, b] = table[:, b - 1] * b / np.arange(b + 1.0, b + 1.0 + size)

        def explain(xt, out):
            _interventional(xt, zt, *shared, value, deepest, table, out)
            out /= zt.shape[1]

    def work(s):
        xt = np.ascontiguousarray(X[s : s + BLOCK].T, dtype=np.float64)
        out = np.zeros((p, n_outputs, xt.shape[1]))
        explain(xt, out)
        phi[s : s + BLOCK] = out.transpose(2, 0, 1)

    threads = prediction.threads_for(n * 64, n_jobs)
    with ThreadPoolExecutor(threads) as pool:
        list((map if threads == 1 else pool.map)(work, range(0, n, BLOCK)))
    return phi, base
