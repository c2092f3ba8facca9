"""Kernels of matrix factorisation: arrays in, arrays out.

What a row gets in `solve_rows` does not depend on the range of rows that one call is given, so the
result is the same for any number of threads.
"""

import numpy as np
from numba import njit

# Sums may be taken in another order (that is what vectorises a dot product), but NaN stays NaN.
_SUMS = {"reassoc", "contract", "nsz"}


@njit(cache=True, nogil=True)
def group(ids, n):
    """Return the positions of each id 0..n-1 (in order) and where those of each id start."""
    starts = np.zeros(n + 1, np.intp)
    for k in ids:
        starts[k + 1] += 1
    for k in range(n):
        starts[k + 1] += starts[k]
    free = starts[:-1].copy()
    order = np.empty(len(ids), np.intp)
    for position, k in enumerate(ids):
        order[free[k]] = position
        free[k] += 1
    return order, starts


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _solve_in_place(A, b, n):
    """Overwrite b by x with A x = b for a symmetric n x n A >= 0; its lower triangle is destroyed.

    A direction in which A has nothing left is given the coefficient 0, so a consistent singular
    system is solved as well.
    """
    largest = 0.0
    for j in range(n):
        largest = max(largest, A[j, j])
    tiny = largest * n * 4.5e-16
    for j in range(n):
        row = A[j]
        pivot = row[j]
        for k in range(j):
            pivot -= row[k] * row[k]
        root = np.sqrt(pivot) if pivot > tiny else 0.0
        row[j] = root
        inverse = 1 / root if root > 0 else 0.0
        for i in range(j + 1, n):
            other = A[i]
            s = other[j]
            for k in range(j):
                s -= other[k] * row[k]
            other[j] = s * inverse
        s = b[j]
        for k in range(j):
            s -= row[k] * b[k]
        b[j] = s * inverse
    for j in range(n - 1, -1, -1):
        row = A[j]
        b[j] = b[j] / row[j] if row[j] > 0 else 0.0
        for k in range(j):
            b[k] -= row[k] * b[j]


@njit(cache=True, nogil=True, fastmath=_SUMS)
def solve_rows(first, last, starts, index, v, z, F, gram, penalty, X):
    r"""Write into the rows ``first..last`` of X the minimum of their quadratic.

    Row i solves :math:`(G + \sum_k v_k f_k f_k^\top + \mathrm{diag}(\lambda)) x = \sum_k z_k f_k`
    over its entries k, where f_k is row ``index[k]`` of F. Rows without entries are kept. With
    ``gram`` of no rows G is 0, and rows with fewer entries than columns solve the dual system
    :math:`(\sqrt V F \Lambda^{-1} F^\top \sqrt V + I)\, a = V^{-1/2} z`.
    """
    d = F.shape[1]
    A = np.empty((d, d))
    H = np.empty((d, d))
    a = np.empty(d)
    wide = len(gram) == 0
    shrink = np.empty(d)
    for c in range(d):
        wide = wide and penalty[c] > 0
        shrink[c] = 1 / penalty[c] if penalty[c] > 0 else 0.0
    for i in range(first, last):
        start, stop = starts[i], starts[i + 1]
        n = stop - start
        if n == 0:
            continue
        x = X[i]
        for c in range(d):
            x[c] = 0.0
        if wide and n < d:
            for j in range(n):
                root = np.sqrt(v[start + j])
                f = F[index[start + j]]
                h = H[j]
                for c in range(d):
                    h[c] = root * f[c]
                for k in range(j + 1):
                    g = H[k]
                    s = 0.0
                    for c in range(d):
                        s += h[c] * g[c] * shrink[c]
                    A[j, k] = s
                A[j, j] += 1.0
                a[j] = z[start + j] / root
            _solve_in_place(A, a, n)
            for j in range(n):
                h = H[j]
                for c in range(d):
                    x[c] += a[j] * h[c] * shrink[c]
            continue
        for j in range(d):
            for c in range(j + 1):
                A[j, c] = gram[j, c] if len(gram) else 0.0
        for k in range(start, stop):
            f = F[index[k]]
            for j in range(d):
                s = v[k] * f[j]
                row = A[j]
                for c in range(j + 1):
                    row[c] += s * f[c]
                x[j] += z[k] * f[j]
        for j in range(d):
            A[j, j] += penalty[j]
        _solve_in_place(A, x, d)


@njit(cache=True, nogil=True, fastmath=_SUMS)
def descend(order, users, items, y, w, mean, lr, decay_u, decay_i, P, Q, d):
    r"""Pass once over the pairs in ``order``, one step on half the loss of each.

    A column d of P and Q, where there is one, holds the biases. For a pair (u, i) with error e,
    :math:`p_u \leftarrow (p_u + \eta w e q_i) / (1 + \eta a_u)` and the same for q_i, both from the
    old values: a gradient step on the error and a proximal one on the penalty, which is stable
    however large it is. The two columns of ``decay`` are :math:`a` for factors and for biases.
    """
    biased = P.shape[1] > d
    keep_u, keep_i = 1 / (1 + lr * decay_u), 1 / (1 + lr * decay_i)
    for k in order:
        u, i = users[k], items[k]
        p, q = P[u], Q[i]
        e = y[k]
        if biased:
            e -= mean + p[d] + q[d]
        for c in range(d):
            e -= p[c] * q[c]
        s = lr * w[k] * e
        a, b = keep_u[u, 0], keep_i[i, 0]
        for c in range(d):
            old = p[c]
            p[c] = a * (old + s * q[c])
            q[c] = b * (q[c] + s * old)
        if biased:
            p[d] = keep_u[u, 1] * (p[d] + s)
            q[d] = keep_i[i, 1] * (q[d] + s)
