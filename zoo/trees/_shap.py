"""Exact Shapley values of trees: which column moved a prediction, and by how much.

Path-dependent (no background): a column that is left out sends a row down both branches, in
proportion to the training weight that went there; Lundberg's polynomial algorithm. Interventional
(with background rows): a column that is left out takes the value of a background row; the values
are averaged over these rows. Both add up to the prediction less the base value.

References: Lundberg et al. (2020), From local explanations to global understanding with explainable
AI for trees, Nature Machine Intelligence 2.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from zoo.trees import _model

inner = njit(nogil=True, error_model="numpy")


@inner
def _right(node, x, feature, threshold, missing_left, set_at, sets, codes, n_codes):
    """Tell whether a row goes right at a node."""
    j = feature[node]
    v = x[j]
    if set_at[node] >= 0:
        at = np.searchsorted(codes[j, : n_codes[j]], v)
        known = at < n_codes[j] and codes[j, at] == v
        b = np.uint64(at if known else n_codes[j])
        bit = sets[set_at[node], b >> np.uint64(6)] >> (b & np.uint64(63))
        return (bit & np.uint64(1)) == np.uint64(0)
    if np.isnan(v):
        return missing_left[node] == 0
    return v > threshold[node]


@inner
def _extend(zero, one, share, inverse, at, m, pz, po):
    """Add an element to the path and update the shares of subsets of each size."""
    zero[at + m], one[at + m] = pz, po
    share[at + m] = 1.0 if m == 0 else 0.0
    for i in range(m - 1, -1, -1):
        old = share[at + i] * inverse[m + 1]
        share[at + i + 1] += po * old * (i + 1)
        share[at + i] = pz * old * (m - i)


@inner
def _unwind(path, zero, one, share, inverse, at, m, i):
    """Take element i out of a path of m + 1 elements."""
    pz = zero[at + i]
    n = share[at + m]
    if one[at + i] != 0.0:
        for j in range(m - 1, -1, -1):
            old = share[at + j]
            share[at + j] = n * (m + 1) * inverse[j + 1]
            n = old - share[at + j] * pz * (m - j) * inverse[m + 1]
    else:
        for j in range(m - 1, -1, -1):
            share[at + j] = share[at + j] * (m + 1) * inverse[m - j] / pz
    for j in range(i, m):
        path[at + j], zero[at + j] = path[at + j + 1], zero[at + j + 1]
        one[at + j] = one[at + j + 1]


@inner
def _unwound_sum(share, inverse, at, m, pz):
    """Sum of the shares of a path without an element that the row follows."""
    total, n = 0.0, share[at + m]
    for j in range(m - 1, -1, -1):
        new = n * (m + 1) * inverse[j + 1]
        total += new
        n = share[at + j] - new * pz * (m - j) * inverse[m + 1]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _path_dependent(
    X, s, e, root, output, left, feature, threshold, missing_left, set_at, sets, codes, n_codes,
    weight, value, deepest, phi,
):  # fmt: skip
    """Add the Shapley values of rows s .. e, for all trees, to phi (rows, columns, outputs)."""
    # Level d of a walk owns d + 1 places after those of the levels above; a stack holds what a
    # recursion would.
    size = (deepest + 2) * (deepest + 3) // 2
    path = np.empty(size, np.int64)
    zero, one, share = np.empty(size), np.empty(size), np.empty(size)
    nodes = np.empty(deepest * 2 + 4, np.int64)
    levels = np.empty(deepest * 2 + 4, np.int64)
    lengths = np.empty(deepest * 2 + 4, np.int64)
    pzs, pos = np.empty(deepest * 2 + 4), np.empty(deepest * 2 + 4)
    columns = np.empty(deepest * 2 + 4, np.int64)
    inverse = np.zeros(deepest + 4)
    inverse[1:] = 1.0 / np.arange(1, deepest + 4)
    for r in range(s, e):
        x = X[r]
        for t in range(root.shape[0]):
            k = output[t]
            top = 1
            nodes[0], levels[0], lengths[0], pzs[0], pos[0], columns[0] = root[t], 0, 0, 1.0, 1.0, -1
            while top > 0:
                top -= 1
                node, level, m = nodes[top], levels[top], lengths[top]
                pz, po, column = pzs[top], pos[top], columns[top]
                at = level * (level + 1) // 2
                if level > 0:
                    above = (level - 1) * level // 2
                    for i in range(m if m > 0 else 0):
                        path[at + i], zero[at + i] = path[above + i], zero[above + i]
                        one[at + i], share[at + i] = one[above + i], share[above + i]
                    # A column that is met again leaves its old place first.
                    for i in range(1, m):
                        if path[at + i] == column:
                            pz *= zero[at + i]
                            po *= one[at + i]
                            _unwind(path, zero, one, share, inverse, at, m - 1, i)
                            m -= 1
                            break
                path[at + m] = column
                _extend(zero, one, share, inverse, at, m, pz, po)
                if left[node] == node:
                    # For elements that the row does not follow the term is the same for all.
                    away = 0.0
                    for i in range(m):
                        away -= share[at + i] * inverse[m - i]
                    away *= m + 1
                    for i in range(1, m + 1):
                        w = away
                        if one[at + i] != 0.0:
                            w = _unwound_sum(share, inverse, at, m, zero[at + i])
                            w *= 1.0 - zero[at + i]
                        for v in range(value.shape[1]):
                            phi[r, path[at + i], k + v] += w * value[node, v]
                    continue
                right = _right(node, x, feature, threshold, missing_left, set_at, sets, codes, n_codes)
                for side in range(2):
                    child = left[node] + side
                    nodes[top], levels[top], lengths[top] = child, level + 1, m + 1
                    pzs[top] = weight[child] / weight[node]
                    pos[top] = 1.0 if right == (side == 1) else 0.0
                    columns[top] = feature[node]
                    top += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _interventional(
    X, Z, s, e, root, output, left, feature, threshold, missing_left, set_at, sets, codes, n_codes,
    value, deepest, factorial, phi,
):  # fmt: skip
    """Add the mean over background rows Z of the Shapley values of rows s .. e to phi."""
    p = X.shape[1]
    # Owner of each column on the way: 0 nobody, 1 the row, 2 the background row.
    owner = np.zeros(p, np.int8)
    held = np.empty(deepest + 2, np.int64)
    nodes = np.empty(deepest * 3 + 8, np.int64)
    marks = np.empty(deepest * 3 + 8, np.int64)
    kinds = np.empty(deepest * 3 + 8, np.int64)
    for r in range(s, e):
        x = X[r]
        for b in range(Z.shape[0]):
            z = Z[b]
            for t in range(root.shape[0]):
                k = output[t]
                top, nx, nz = 1, 0, 0
                nodes[0], marks[0], kinds[0] = root[t], -1, 0
                while top > 0:
                    top -= 1
                    node, mark, kind = nodes[top], marks[top], kinds[top]
                    if kind == 3:
                        # Back from a branch: its column is free again.
                        nx -= owner[mark] == 1
                        nz -= owner[mark] == 2
                        owner[mark] = 0
                        continue
                    if kind > 0:
                        owner[mark] = kind
                        held[nx + nz] = mark
                        nx += kind == 1
                        nz += kind == 2
                    if left[node] == node:
                        if nx + nz > 0:
                            up = factorial[nx - 1] * factorial[nz] if nx > 0 else 0.0
                            down = factorial[nx] * factorial[nz - 1] if nz > 0 else 0.0
                            scale = 1.0 / (factorial[nx + nz] * Z.shape[0])
                            for i in range(nx + nz):
                                j = held[i]
                                w = (up if owner[j] == 1 else -down) * scale
                                for v in range(value.shape[1]):
                                    phi[r, j, k + v] += w * value[node, v]
                        continue
                    j = feature[node]
                    rx = _right(node, x, feature, threshold, missing_left, set_at, sets, codes, n_codes)
                    rz = _right(node, z, feature, threshold, missing_left, set_at, sets, codes, n_codes)
                    if rx == rz or owner[j] == 1:
                        nodes[top], marks[top], kinds[top] = left[node] + rx, -1, 0
                        top += 1
                    elif owner[j] == 2:
                        nodes[top], marks[top], kinds[top] = left[node] + rz, -1, 0
                        top += 1
                    else:
                        for kind in range(1, 3):
                            nodes[top], marks[top], kinds[top] = -1, j, 3
                            top += 1
                            nodes[top] = left[node] + (rx if kind == 1 else rz)
                            marks[top], kinds[top] = j, kind
                            top += 1


def _expectations(model, n_outputs):
    """Mean value of each tree over its training weight, added by output."""
    left, weight = model["left"].astype(np.int64), model["weight"]
    mean = _model._as_rows(model["value"]).astype(np.float64).copy()
    for i in range(len(left) - 1, -1, -1):
        if left[i] != i:
            l, r = left[i], left[i] + 1
            mean[i] = (weight[l] * mean[l] + weight[r] * mean[r]) / weight[i]
    out = np.zeros(n_outputs)
    for root, k in zip(model["root"], model["output"], strict=True):
        out[k : k + mean.shape[1]] += mean[root]
    return out


def shap_values(model, categories, X, n_outputs, background=None, n_jobs=1):
    """Shapley values (n, d, outputs) and base values (outputs) of the sum of the trees."""
    codes, n_codes = categories
    X = np.ascontiguousarray(X, dtype=np.float64)
    phi = np.zeros((*X.shape, n_outputs))
    value = np.ascontiguousarray(_model._as_rows(model["value"]), dtype=np.float64)
    shared = (
        model["root"], model["output"], model["left"], np.maximum(model["feature"], 0),
        model["threshold"], model["missing_left"], model["set_at"], model["sets"], codes, n_codes,
    )  # fmt: skip
    deepest = int(model["depth"].max(initial=0))
    if background is None:
        base = _expectations(model, n_outputs)

        def work(s, e):
            _path_dependent(X, s, e, *shared, model["weight"], value, deepest, phi)
    else:
        Z = np.ascontiguousarray(background, dtype=np.float64)
        out = np.zeros((n_outputs, len(Z)))
        _model.add_predictions(model, categories, Z, out)
        base = out.mean(axis=1)
        factorial = np.cumprod(np.append(1.0, np.arange(1.0, max(2, deepest + 2))))

        def work(s, e):
            _interventional(X, Z, s, e, *shared, value, deepest, factorial, phi)

    threads = _model.threads_for(len(X) * 64, n_jobs)
    if threads == 1:
        work(0, len(X))
    else:
        step = -(-len(X) // (4 * threads))
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda s: work(s, min(len(X), s + step)), range(0, len(X), step)))
    return phi, base
