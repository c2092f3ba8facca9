"""Linear support vector machines: dual coordinate ascent and primal Newton.

    minimise  1/2 |w|^2 + sum_i c_i loss(y_i <w, x_i>),   loss = max(0, 1 - m)  or  max(0, 1 - m)^2

The dual of a row is a box, `0 <= alpha_i <= U_i`, with `D_i = 0, U_i = c_i` for the hinge and
`D_i = 1 / (2 c_i), U_i = inf` for its square. One coordinate step (Hsieh et al. 2008):

    alpha_i <- clip(alpha_i - G_i / (|x_i|^2 + D_i), 0, U_i),   G_i = y_i <w, x_i> - 1 + D_i alpha_i

with w = sum_i alpha_i y_i x_i kept up to date, so a step costs one row. A row that rests at a bound
with a gradient beyond the last pass's extremes is left out until the others have converged. The
intercept is one more column of constant value `scaling`, and is penalised like the others.
"""

import numpy as np
from numba import njit
from scipy import linalg, sparse

from zoo.engines.kernels.interior import interior_point

_MATH = {"nnan", "nsz", "arcp", "contract", "reassoc"}


@njit(cache=True, nogil=True, inline="always")
def _draw(state):
    """Next number of xorshift64*, in state[0]."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return (x * np.uint64(2685821657736338717)) >> np.uint64(33)


@njit(cache=True, nogil=True)
def _shuffle(order, m, state):
    for s in range(m - 1):
        r = s + np.int64(_draw(state) % np.uint64(m - s))
        order[s], order[r] = order[r], order[s]


@njit(cache=True, nogil=True, fastmath=_MATH)
def _dot(a, b):
    t = a.dtype.type(0.0)
    for k in range(a.shape[0]):
        t += a[k] * b[k]
    return t


@njit(cache=True, nogil=True, fastmath=_MATH)
def _axpy(t, a, b):
    for k in range(a.shape[0]):
        b[k] += t * a[k]


@njit(cache=True, nogil=True)
def _projected(g, a, U, high, low):
    """Return the projected gradient, and whether the row may rest."""
    if a == 0.0:
        return min(g, 0.0), g > high
    if a >= U:
        return max(g, 0.0), g < low
    return g, False


# bounds = (largest, smallest projected gradient of the last pass), which = (active rows, passes
# done)


@njit(cache=True, nogil=True)
def _ascend_dense(X, y, U, D, norms, scaling, alpha, w, order, which, bounds, rng, tol, passes):
    n = X.shape[0]
    last = w.shape[0] - 1
    for _ in range(passes):
        m = which[0]
        high, low = -np.inf, np.inf
        _shuffle(order, m, rng)
        s = 0
        while s < m:
            i = order[s]
            x = X[i]
            g = y[i] * (_dot(w[:last], x) + scaling * w[last]) - 1.0 + D[i] * alpha[i]
            pg, rests = _projected(g, alpha[i], U[i], bounds[0], bounds[1])
            if rests:
                m -= 1
                order[s], order[m] = order[m], order[s]
                continue
            high, low = max(high, pg), min(low, pg)
            if abs(pg) > 1e-12:
                new = min(max(alpha[i] - g / norms[i], 0.0), U[i])
                t = (new - alpha[i]) * y[i]
                alpha[i] = new
                _axpy(X.dtype.type(t), x, w[:last])
                w[last] += t * scaling
            s += 1
        which[0] = m
        which[1] += 1
        if high - low <= tol:
            if m == n:
                return True
            which[0] = n
            bounds[0], bounds[1] = np.inf, -np.inf
        else:
            bounds[0] = high if high > 0.0 else np.inf
            bounds[1] = low if low < 0.0 else -np.inf
    return False


@njit(cache=True, nogil=True, fastmath=_MATH)
def _ascend_csr(
    data, columns, starts, y, U, D, norms, scaling, alpha, w, order, which, bounds, rng, tol, passes
):
    n = starts.shape[0] - 1
    last = w.shape[0] - 1
    for _ in range(passes):
        m = which[0]
        high, low = -np.inf, np.inf
        _shuffle(order, m, rng)
        s = 0
        while s < m:
            i = order[s]
            x, at = data[starts[i] : starts[i + 1]], columns[starts[i] : starts[i + 1]]
            t = scaling * w[last]
            for k in range(x.shape[0]):
                t += x[k] * w[np.uint32(at[k])]
            g = y[i] * t - 1.0 + D[i] * alpha[i]
            pg, rests = _projected(g, alpha[i], U[i], bounds[0], bounds[1])
            if rests:
                m -= 1
                order[s], order[m] = order[m], order[s]
                continue
            high, low = max(high, pg), min(low, pg)
            if abs(pg) > 1e-12:
                new = min(max(alpha[i] - g / norms[i], 0.0), U[i])
                t = (new - alpha[i]) * y[i]
                alpha[i] = new
                for k in range(x.shape[0]):
                    w[np.uint32(at[k])] += t * x[k]
                w[last] += t * scaling
            s += 1
        which[0] = m
        which[1] += 1
        if high - low <= tol:
            if m == n:
                return True
            which[0] = n
            bounds[0], bounds[1] = np.inf, -np.inf
        else:
            bounds[0] = high if high > 0.0 else np.inf
            bounds[1] = low if low < 0.0 else -np.inf
    return False


def dual_coordinate_ascent(X, y, c, *, squared, scaling, tol, max_iter, seed, steps=None):
    """Solve for signs y; `scaling` 0 is no intercept. Returns w (d + 1), alpha, passes, converged.

    `steps` is an iterable whose items pace the passes, ten at a time; None for no pacing.
    """
    n, d = X.shape
    # everything a row touches at once is one precision: that of X
    y = y.astype(np.float64)
    U = np.full(n, np.inf) if squared else c.astype(np.float64)
    D = 0.5 / c if squared else np.zeros(n)
    is_sparse = sparse.issparse(X)
    squares = X.multiply(X).sum(axis=1) if is_sparse else np.einsum("ij,ij->i", X, X)
    norms = np.maximum(np.asarray(squares, np.float64).ravel() + scaling**2 + D, 1e-300)
    alpha, w = np.zeros(n), np.zeros(d + 1, X.dtype if not is_sparse else np.float64)
    order, which = np.arange(n), np.array([n, 0])
    bounds = np.array([np.inf, -np.inf])
    rng = np.array([2 * seed + 1], dtype=np.uint64)
    done = False
    pace = iter(steps) if steps is not None else None
    while not done and which[1] < max_iter:
        if pace is not None and next(pace, None) is None:
            break
        passes = min(10, max_iter - int(which[1]))
        rest = (y, U, D, norms, float(scaling), alpha, w, order, which, bounds, rng, tol, passes)
        rows = (X.data, X.indices, X.indptr) if is_sparse else (X,)
        done = (_ascend_csr if is_sparse else _ascend_dense)(*rows, *rest)
    return w, alpha, int(which[1]), done


@njit(cache=True, nogil=True, fastmath=_MATH)
def _sweep_l1(data, rows, starts, y, c, w, slack, order, rng, sigma):
    """One pass over the columns, a Newton step with a line search each. Returns the worst violation.

    A column's own problem is |w_j| + sum_i c_i max(0, s_i - t y_i x_ij)^2 for the move t, and slack holds
    the s_i = 1 - y_i <w, x_i> of all rows.
    """
    worst = 0.0
    d = starts.shape[0] - 1
    _shuffle(order, d, rng)
    for p in range(d):
        j = order[p]
        g, h = 0.0, 0.0
        for k in range(starts[j], starts[j + 1]):
            i = rows[k]
            if slack[i] > 0.0:
                z = y[i] * data[k]
                g -= 2.0 * c[i] * z * slack[i]
                h += 2.0 * c[i] * z * z
        if w[j] == 0.0:
            violation = max(0.0, abs(g) - 1.0)
        else:
            violation = abs(g + (1.0 if w[j] > 0.0 else -1.0))
        worst = max(worst, violation)
        h = max(h, 1e-12)
        if g + 1.0 <= h * w[j]:
            t = -(g + 1.0) / h
        elif g - 1.0 >= h * w[j]:
            t = -(g - 1.0) / h
        else:
            t = -w[j]
        if abs(t) < 1e-14:
            continue
        fall = g * t + abs(w[j] + t) - abs(w[j])
        step = 1.0
        for _ in range(30):
            change = abs(w[j] + step * t) - abs(w[j])
            for k in range(starts[j], starts[j + 1]):
                i = rows[k]
                before = max(slack[i], 0.0)
                after = max(slack[i] - step * t * y[i] * data[k], 0.0)
                change += c[i] * (after * after - before * before)
            if change <= sigma * step * fall:
                break
            step *= 0.5
        for k in range(starts[j], starts[j + 1]):
            slack[rows[k]] -= step * t * y[rows[k]] * data[k]
        w[j] += step * t
    return worst


def descend_l1(X, y, c, *, scaling, tol, max_iter, seed, steps=None):
    """Minimise |w|_1 + sum_i c_i max(0, 1 - m_i)^2 by columns (Yuan et al. 2010).

    Returns w (d + 1), passes, converged: the worst violation fell to `tol` of the first one.
    """
    n, d = X.shape
    one = np.full((n, 1), float(scaling))
    columns = sparse.hstack([sparse.csc_array(X, dtype=np.float64), sparse.csc_array(one)], format="csc")
    columns.sort_indices()
    y, c = y.astype(np.float64), c.astype(np.float64)
    w, slack, order = np.zeros(d + 1), np.ones(n), np.arange(d + 1)
    rng = np.array([2 * seed + 1], dtype=np.uint64)
    first, done, n_iter = None, False, 0
    pace = iter(steps) if steps is not None else None
    while not done and n_iter < max_iter:
        if pace is not None and next(pace, None) is None:
            break
        rows = (columns.data, columns.indices, columns.indptr)
        worst = _sweep_l1(*rows, y, c, w, slack, order, rng, 0.01)
        if n_iter % 50 == 49:  # afresh, so that rounding does not pile up
            slack = 1 - y * (columns @ w)
        first = worst if first is None else first
        n_iter += 1
        done = worst <= 0.01 * tol * max(first, 1e-300)
    return w, n_iter, done


@njit(cache=True, nogil=True)
def _project_class(A, b, y, C, out):
    """Solve a row's own problem of Crammer and Singer: a simplex-like projection by sorting."""
    k = A
    D = b.copy()
    D[y] += k * C
    D = np.sort(D)[::-1]
    beta = D[0] - k * C
    r = 1
    while r < D.shape[0] and beta < r * D[r]:
        beta += D[r]
        r += 1
    beta /= r
    for m in range(out.shape[0]):
        top = C if m == y else 0.0
        out[m] = min(top, (beta - b[m]) / k)


@njit(cache=True, nogil=True, fastmath=_MATH)
def _ascend_classes(data, columns, starts, y, c, norms, scaling, alpha, W, order, which, rng, tol, passes):
    """Crammer-Singer by row (Keerthi et al. 2008), W is (d + 1, k); return the worst violation."""
    n, k = alpha.shape
    last = W.shape[0] - 1
    G, new, b = np.empty(k), np.empty(k), np.empty(k)
    worst = 0.0
    for _ in range(passes):
        worst = 0.0
        _shuffle(order, n, rng)
        for s in range(n):
            i = order[s]
            x, at = data[starts[i] : starts[i + 1]], columns[starts[i] : starts[i + 1]]
            for m in range(k):
                G[m] = 1.0 - (1.0 if m == y[i] else 0.0) + scaling * W[last, m]
            for p in range(x.shape[0]):
                Wp = W[at[p]]
                for m in range(k):
                    G[m] += x[p] * Wp[m]
            top, bottom = -np.inf, np.inf
            for m in range(k):
                top = max(top, G[m])
                if alpha[i, m] < (c[i] if m == y[i] else 0.0):
                    bottom = min(bottom, G[m])
            if top - bottom <= 1e-12:
                continue
            worst = max(worst, top - bottom)
            for m in range(k):
                b[m] = G[m] - norms[i] * alpha[i, m]
            _project_class(norms[i], b, y[i], c[i], new)
            for m in range(k):
                new[m], alpha[i, m] = new[m] - alpha[i, m], new[m]
            for p in range(x.shape[0]):
                Wp = W[at[p]]
                for m in range(k):
                    Wp[m] += x[p] * new[m]
            for m in range(k):
                W[last, m] += scaling * new[m]
        which[1] += 1
        if worst <= tol:
            break
    return worst


def crammer_singer(X, y, c, k, *, scaling, tol, max_iter, seed, steps=None):
    """All classes in one problem. Returns W (k, d + 1), alpha (n, k), passes, converged."""
    n, d = X.shape
    S = sparse.csr_array(X, dtype=np.float64)
    norms = np.asarray(S.multiply(S).sum(axis=1)).ravel() + scaling**2
    norms = np.maximum(norms, 1e-300)
    alpha, W = np.zeros((n, k)), np.zeros((d + 1, k))
    order, which = np.arange(n), np.array([n, 0])
    rng = np.array([2 * seed + 1], dtype=np.uint64)
    done = False
    pace = iter(steps) if steps is not None else None
    while not done and which[1] < max_iter:
        if pace is not None and next(pace, None) is None:
            break
        passes = min(10, max_iter - int(which[1]))
        worst = _ascend_classes(
            S.data, S.indices, S.indptr, y, c.astype(np.float64), norms, float(scaling), alpha, W,
            order, which, rng, tol, passes,
        )  # fmt: skip
        done = worst <= tol
    return np.ascontiguousarray(W.T), alpha, int(which[1]), done


def interior_hinge(X, y, c, *, scaling):
    """Minimise the hinge for dense X and few columns. Returns w (d + 1), alpha, converged."""
    n, d = X.shape
    Z = np.empty((n, d + 1))
    Z[:, :d], Z[:, d] = X, scaling
    Z *= y[:, None]
    alpha, w, _, done = interior_point(Z, -np.ones(n), np.zeros(n), c.astype(np.float64), constrained=False)
    return w, alpha, done


def newton_squared_hinge(X, y, c, *, scaling, tol, max_iter, steps=None):
    """Minimise the squared hinge in the primal, d small.

    The loss is quadratic wherever the set of rows inside the margin stays the same, so Newton ends
    after finitely many steps (Keerthi and DeCoste 2005). The Gram matrix of that set is carried
    along: only rows that enter or leave it are added or taken away.
    Returns w (d + 1), alpha, steps, converged.
    """
    n, d = X.shape
    f = X.dtype.type
    w, b = np.zeros(d, X.dtype), f(0)
    y, c = y.astype(X.dtype), c.astype(X.dtype)
    bias = scaling > 0
    inside = np.zeros(n, bool)
    H = np.zeros((d + 1, d + 1), X.dtype)
    margin = np.zeros(n, X.dtype)
    start = None
    pace = iter(steps) if steps is not None else range(max_iter).__iter__()
    done, n_iter = False, 0
    best = np.inf
    (posv,) = linalg.get_lapack_funcs(("posv",), (H,))
    for _ in pace:
        if n_iter >= max_iter:
            break
        slack = np.maximum(f(1) - y * margin, f(0))
        value = 0.5 * (w @ w + b * b) + c @ (slack * slack)
        r = 2 * c * y * slack
        g = w - X.T @ r
        gb = b - scaling * r.sum() if bias else f(0)
        size = max(np.abs(g).max(), abs(gb))
        if start is None:
            start = max(size, np.finfo(X.dtype).tiny)
        if size <= tol * start:
            done = True
            break
        n_iter += 1
        now = slack > 0
        _add_gram(H, X, np.flatnonzero(now & ~inside), c, scaling, 2.0)
        _add_gram(H, X, np.flatnonzero(inside & ~now), c, scaling, -2.0)
        inside = now
        M = H.copy()
        M.flat[:: d + 2] += 1
        if not bias:
            M[d, :] = M[:, d] = 0
            M[d, d] = 1
        _, p, broken = posv(M, -np.append(g, gb), lower=True, overwrite_a=True)
        if broken:
            raise linalg.LinAlgError("LinearSVC: X is too large to factorise; scale its columns.")
        dm = X @ p[:d] + scaling * p[d]
        a = _exact_step(y, c, margin, dm, w, b, p)
        w = w + a * p[:d]
        b = b + a * p[d]
        margin = margin + a * dm
        if value >= best * (1 - 1e-15) and size <= 1e3 * tol * start:
            done = True  # rounding: the objective cannot fall any further
            break
        best = min(best, value)
    alpha = 2 * c * np.maximum(1 - y * margin, 0)
    return np.append(w, b), alpha, n_iter, done


def _add_gram(H, X, rows, c, scaling, factor):
    """H += factor sum_i c_i [x_i, s][x_i, s]' over the rows, a few at a time."""
    d = X.shape[1]
    uniform = rows.size and np.ptp(c[rows]) == 0
    for s in range(0, rows.size, 4096):
        part = rows[s : s + 4096]
        A = X[part]
        if sparse.issparse(A):
            H[:d, :d] += factor * (A.T @ A.multiply(c[part][:, None])).toarray()
            cross = (factor * scaling) * (c[part] @ A)
        elif uniform:
            H[:d, :d] += (factor * c[part[0]]) * (A.T @ A)
            cross = (factor * c[part[0]] * scaling) * A.sum(axis=0)
        else:
            B = A * np.sqrt(c[part])[:, None]
            H[:d, :d] += factor * (B.T @ B)
            cross = (factor * scaling) * (c[part] @ A)
        H[:d, d] += cross
        H[d, :d] += cross
        H[d, d] += factor * scaling**2 * c[part].sum()


def _exact_step(y, c, margin, dm, w, b, p):
    """The step along p that minimises the (piecewise quadratic, convex) objective."""
    d = w.size
    ww, wp = float(p[:d] @ p[:d] + p[d] ** 2), float(w @ p[:d] + b * p[d])
    return _newton_in_one(y, c, margin, dm, ww, wp)


@njit(cache=True, nogil=True, fastmath=_MATH)
def _newton_in_one(y, c, margin, dm, ww, wp):
    a = 1.0
    for _ in range(20):
        slope, curve = 0.0, 0.0
        for k in range(y.shape[0]):
            slack = max(1.0 - y[k] * (margin[k] + a * dm[k]), 0.0)
            inside = 1.0 if slack > 0.0 else 0.0
            slope += c[k] * dm[k] * y[k] * slack
            curve += c[k] * dm[k] * dm[k] * inside
        bend = ww + 2.0 * curve
        if bend <= 0.0:
            break
        step = (wp + a * ww - 2.0 * slope) / bend
        if abs(step) <= 1e-3 * abs(a) or abs(step) < 1e-12:
            break
        a = max(a - step, 1e-6)
    return a
