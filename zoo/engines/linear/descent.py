"""Coordinate descent for the lasso and the elastic net, arrays in, arrays out.

    minimise  1/2 sum_i w_i (y_i - <x_i, b>)^2 + lam1 |b|_1 + lam2/2 |b|^2,   sum w = 1

on centred data. A set of working columns grows from the path's last solution: the columns whose
correlation with the residual says that they may enter (the sequential strong rule, Tibshirani et
al.
2012). After each solve all columns are checked; those that violate the conditions join. Inside, the
stop is the duality gap of the working problem; outside, that of the whole one. Columns that the gap
proves to be zero (Fercoq, Gramfort and Salmon 2015) are never looked at again at this penalty.
"""

import numpy as np
from numba import njit
from scipy import linalg

# Passes before each Newton step, which gets ahead where many columns are at work.
PASSES = 100

_MATH = {"nnan", "nsz", "arcp", "contract", "reassoc"}


@njit(cache=True, nogil=True, fastmath=_MATH, inline="always")
def _dot(a, b):
    t = a.dtype.type(0.0)
    for k in range(a.shape[0]):
        t += a[k] * b[k]
    return t


@njit(cache=True, nogil=True, fastmath=_MATH)
def _axpy(t, a, b):
    for k in range(a.shape[0]):
        b[k] += t * a[k]


@njit(cache=True, nogil=True, fastmath=_MATH)
def _sweep_dense(XT, r, b, work, norms, lam1, lam2, floor):
    """One pass over the working columns (rows of XT). Returns the largest scaled move."""
    worst = 0.0
    for p in range(work.shape[0]):
        j = work[p]
        h = norms[j] + lam2
        if h <= 0.0 or norms[j] == 0.0:
            continue
        x = XT[j]
        z = _dot(x, r) + norms[j] * b[j]
        new = 0.0
        if z > lam1:
            new = (z - lam1) / h
        elif z < -lam1:
            new = (z + lam1) / h
        new = max(new, floor)
        move = new - b[j]
        if move != 0.0:
            b[j] = new
            _axpy(x.dtype.type(-move), x, r)
            worst = max(worst, abs(move) * np.sqrt(h))
    return worst


@njit(cache=True, nogil=True, fastmath=_MATH)
def _sweep_gram(G, c, b, columns, at, lam1, lam2, floor):
    """As above, on a Gram matrix: c = X'r goes with its rows, `at` are those to visit."""
    worst = 0.0
    m = c.shape[0]
    for q in range(at.shape[0]):
        p = at[q]
        j = columns[p]
        g = G[p, p]
        h = g + lam2
        if h <= 0.0 or g == 0.0:
            continue
        z = c[p] + g * b[j]
        new = 0.0
        if z > lam1:
            new = (z - lam1) / h
        elif z < -lam1:
            new = (z + lam1) / h
        new = max(new, floor)
        move = new - b[j]
        if move != 0.0:
            b[j] = new
            _axpy(G.dtype.type(-move), G[p, :m], c)
            worst = max(worst, abs(move) * np.sqrt(h))
    return worst


@njit(cache=True, nogil=True)
def _descend_dense(XT, r, b, work, norms, lam1, lam2, floor, tol, sweeps):
    """Sweeps, most of them over the columns that are not zero, until no column moves."""
    live = np.empty_like(work)
    done = 0
    while done < sweeps:
        worst = _sweep_dense(XT, r, b, work, norms, lam1, lam2, floor)
        done += 1
        if worst <= tol:
            break
        m = 0
        for p in range(work.shape[0]):
            if b[work[p]] != 0.0:
                live[m] = work[p]
                m += 1
        for _ in range(20):
            if done >= sweeps:
                break
            done += 1
            if _sweep_dense(XT, r, b, live[:m], norms, lam1, lam2, floor) <= 0.3 * tol:
                break
    return done


@njit(cache=True, nogil=True)
def _descend_gram(G, c, b, columns, at, lam1, lam2, floor, tol, sweeps):
    live = np.empty_like(at)
    done = 0
    while done < sweeps:
        done += 1
        if _sweep_gram(G, c, b, columns, at, lam1, lam2, floor) <= tol:
            break
        m = 0
        for q in range(at.shape[0]):
            if b[columns[at[q]]] != 0.0:
                live[m] = at[q]
                m += 1
        for _ in range(20):
            if done >= sweeps:
                break
            done += 1
            if _sweep_gram(G, c, b, columns, live[:m], lam1, lam2, floor) <= 0.3 * tol:
                break
    return done


@njit(cache=True, nogil=True, fastmath=_MATH)
def _some_correlations(XT, r, which, c):
    for q in range(which.shape[0]):
        c[which[q]] = _dot(XT[which[q]], r)


@njit(cache=True, nogil=True, fastmath=_MATH)
def _move(XT, columns, moves, r):
    for q in range(columns.shape[0]):
        if moves[q] != 0.0:
            _axpy(r.dtype.type(-moves[q]), XT[columns[q]], r)


@njit(cache=True, nogil=True, fastmath=_MATH)
def _sweep_sparse(
    data, rows, starts, mean, w, r, shift, total, b, work, norms, lam1, lam2, floor
):
    """As dense, for CSC columns; the residual is r + shift, so that centring keeps the zeros."""
    worst = 0.0
    for p in range(work.shape[0]):
        j = work[p]
        h = norms[j] + lam2
        if h <= 0.0 or norms[j] == 0.0:
            continue
        z = norms[j] * b[j]
        # sum w (r + shift) is kept in total; it is zero when an intercept is fitted
        t = -mean[j] * (total[0] + shift[0])
        for k in range(starts[j], starts[j + 1]):
            t += w[rows[k]] * data[k] * (r[rows[k]] + shift[0])
        z += t
        new = 0.0
        if z > lam1:
            new = (z - lam1) / h
        elif z < -lam1:
            new = (z + lam1) / h
        new = max(new, floor)
        move = new - b[j]
        if move != 0.0:
            b[j] = new
            for k in range(starts[j], starts[j + 1]):
                r[rows[k]] -= move * data[k]
                total[0] -= move * w[rows[k]] * data[k]
            shift[0] += move * mean[j]
            worst = max(worst, abs(move) * np.sqrt(h))
    return worst


@njit(cache=True, nogil=True)
def _newton_gram(G, c, b, lam1, lam2):
    """As _newton_on_support, by a Cholesky factor made here; c = X'r is kept up to date."""
    S = np.flatnonzero(b)
    m = S.shape[0]
    L, g = np.empty((m, m)), np.empty(m)
    for p in range(m):
        for k in range(p + 1):
            h = G[S[p], S[k]]
            if k == p:
                h += lam2
            t = h - _dot(L[p, :k], L[k, :k])
            if k < p:
                L[p, k] = t / L[k, k]
            elif t > 1e-12 * h:
                L[p, p] = np.sqrt(t)
            else:
                return
        j = S[p]
        g[p] = c[j] - lam2 * b[j] - lam1 * np.sign(b[j])
    for p in range(m):
        g[p] = (g[p] - _dot(L[p, :p], g[:p])) / L[p, p]
    for p in range(m - 1, -1, -1):
        g[p] /= L[p, p]
        _axpy(-g[p], L[p, :p], g[:p])
    reach, ends = 1.0, -1
    for p in range(m):
        if b[S[p]] * (b[S[p]] + g[p]) < 0 and -b[S[p]] / g[p] < reach:
            reach, ends = -b[S[p]] / g[p], p
    for p in range(m):
        j = S[p]
        move = -b[j] if p == ends else reach * g[p]
        b[j] += move
        _axpy(G.dtype.type(-move), G[j], c)


@njit(cache=True, nogil=True)
def _path_gram(G, q, yy, lams, ratio, floor, tol, max_sweeps, out, gaps):
    """The whole path on a small Gram matrix, whose X'r is cheap for all columns at all times."""
    d = q.shape[0]
    b, c, columns = np.zeros_like(q), q.copy(), np.arange(d)
    goal = max(0.5 * tol, 50 * np.finfo(G.dtype).eps) * max(yy, 1e-300)
    most, last = 0, lams[0]
    chosen = np.zeros(d, np.bool_)
    for k in range(lams.shape[0]):
        lam1, lam2 = ratio * lams[k], (1 - ratio) * lams[k]
        # the strong rule: a column's correlation moves no faster than the penalty
        for j in range(d):
            if G[j, j] > 0.0 and (b[j] != 0.0 or abs(c[j] - lam2 * b[j]) >= ratio * (2 * lams[k] - last)):
                chosen[j] = True
        sweeps, gap, share = 0, np.inf, 1e-2
        while True:
            largest, b1, bb, bq, bc = 0.0, 0.0, 0.0, 0.0, 0.0
            grown = False
            for j in range(d):
                if G[j, j] > 0.0:
                    t = c[j] - lam2 * b[j]
                    if floor < 0.0:
                        t = abs(t)
                    largest = max(largest, t)
                    if t > lam1 and not chosen[j]:
                        chosen[j] = grown = True
                b1 += abs(b[j])
                bb += b[j] * b[j]
                bq += b[j] * q[j]
                bc += b[j] * c[j]
            ry = yy - bq
            rr = max(ry - bc, 0.0)
            scale = min(1.0, lam1 / largest) if largest > 0.0 else 1.0
            before = gap
            gap = 0.5 * rr + lam1 * b1 + 0.5 * lam2 * bb - scale * ry + 0.5 * scale**2 * (rr + lam2 * bb)
            if gap <= goal or sweeps >= max_sweeps or (share < 1e-30 and not grown):
                break
            at = np.flatnonzero(chosen)
            # a single move of this size changes the objective by half its square
            step = np.sqrt(share * max(min(gap, before), goal) / max(1, at.shape[0]))
            sweeps += _descend_gram(G, c, b, columns, at, lam1, lam2, floor, step, max_sweeps - sweeps)
            # a factor of hundreds of columns costs more than passes do, unless these get nowhere
            if share < (1e-2 if np.count_nonzero(b) <= 200 else 1e-5):
                _newton_gram(G, c, b, lam1, lam2)
            if not grown:
                share *= 0.1
            c[:] = q
            for j in range(d):  # afresh, so that rounding does not pile up
                if b[j] != 0.0:
                    _axpy(G.dtype.type(-b[j]), G[j], c)
        for j in range(d):
            chosen[j] = b[j] != 0.0
        most = max(most, sweeps)
        out[k], gaps[k], last = b, gap, lams[k]
    return most


class Gram:
    """Everything through X'WX and X'Wy: for more rows than columns, dense or sparse."""

    haste = 1e-4  # passes are cheaper here than looking whether they were enough

    def __init__(self, gram, cross, squares):
        self.G, self.cross, self.squares = gram, cross, squares
        self.d = len(gram)
        self.norms = gram.diagonal().copy()
        self.columns = np.arange(self.d)

    def cross_of(self, t):
        """X'y for every column."""
        return self.cross[:, t]

    def start(self, t):
        """Begin with target t at b = 0."""
        self.q, self.yy = self.cross[:, t], float(self.squares[t])
        self.c, self.b = self.q.copy(), np.zeros_like(self.q)

    def correlations(self, alive=None, c=None):
        """X'r for every column."""
        return self.c.copy()

    def products(self):
        """Return r'r and r'y."""
        ry = self.yy - float(self.b @ self.q)
        return max(ry - float(self.b @ self.c), 0.0), ry

    def descend(self, b, c, work, lam1, lam2, floor, tol, sweeps):
        """Coordinate descent over the working columns, whose X'r in c is kept up to date."""
        done = _descend_gram(self.G, self.c, b, self.columns, work, lam1, lam2, floor, tol, sweeps)
        self.b = b
        self.c = self.q - self.G @ b  # afresh, so that rounding does not pile up
        c[:] = self.c
        return done

    def gram_of(self, S):
        """The Gram matrix of the columns S."""
        return self.G[np.ix_(S, S)]

    def shift_by(self, S, move, b, c):
        """Add `move` to b[S] and keep X'r up to date."""
        b[S] += move
        self.b = b
        self.c = self.q - self.G @ b
        c[:] = self.c


class Dense:
    """Centred columns as the rows of an array, weighted by sqrt(w).

    The Gram matrix of the columns that were ever worked on is kept and grows with them.
    """

    haste = 0.2

    def __init__(self, X, Y, w, x_mean, y_mean):
        root = np.sqrt(w).astype(X.dtype)
        self.d = X.shape[1]
        self.XT = (X.T - x_mean[:, None]) * root
        self.Y = (Y - y_mean) * root[:, None]
        self.norms = np.einsum("ij,ij->i", self.XT, self.XT)
        self.columns = np.empty(0, np.int64)
        self.place = np.full(self.d, -1)
        self.G = np.empty((0, 0), X.dtype)

    def cross_of(self, t):
        """X'y for every column."""
        return self.XT @ self.Y[:, t]

    def start(self, t):
        """Begin with target t at b = 0."""
        self.y = self.Y[:, t]
        self.yy = float(self.y @ self.y)
        self.r = self.y.copy()

    def correlations(self, alive=None, c=None):
        """X'r for every column, or renewed in c for those alive."""
        if alive is None or alive.sum() > 0.5 * self.d:
            return self.XT @ self.r
        _some_correlations(self.XT, self.r, np.flatnonzero(alive), c)
        return c

    def products(self):
        """Return r'r and r'y."""
        return float(self.r @ self.r), float(self.r @ self.y)

    def _grow(self, new):
        m = self.columns.size
        if m + new.size > len(self.G):
            G = np.empty((2 * (m + new.size),) * 2, self.XT.dtype)
            G[:m, :m] = self.G[:m, :m]
            self.G = G
        e = m + new.size
        self.columns = np.concatenate([self.columns, new])
        self.place[new] = np.arange(m, e)
        block = self.XT[self.columns] @ self.XT[new].T
        self.G[:e, m:e], self.G[m:e, :m] = block, block[:m].T

    def descend(self, b, c, work, lam1, lam2, floor, tol, sweeps):
        """Coordinate descent over the working columns, whose X'r in c is kept up to date."""
        new = work[self.place[work] < 0]
        if self.columns.size + new.size <= min(3000, 2 * self.XT.shape[1]):
            if new.size:
                self._grow(new)
            before, own = b[self.columns], c[self.columns]
            rest = (self.columns, self.place[work], lam1, lam2, floor, tol, sweeps)
            done = _descend_gram(self.G, own, b, *rest)
            c[self.columns] = own
            _move(self.XT, self.columns, b[self.columns] - before, self.r)
            return done
        done = _descend_dense(self.XT, self.r, b, work, self.norms, lam1, lam2, floor, tol, sweeps)
        _some_correlations(self.XT, self.r, work, c)
        return done

    def gram_of(self, S):
        """The Gram matrix of the columns S."""
        if (self.place[S] >= 0).all():
            return self.G[np.ix_(self.place[S], self.place[S])]
        A = self.XT[S]
        return A @ A.T

    def shift_by(self, S, move, b, c):
        """Add `move` to b[S] and keep X'r up to date on the columns that were ever worked on."""
        b[S] += move
        _move(self.XT, S, move, self.r)
        _some_correlations(self.XT, self.r, np.union1d(self.columns, S), c)


class Sparse:
    """CSC columns that stay sparse; means and weights are applied on the way."""

    haste = 0.2

    def __init__(self, X, Y, w, x_mean, y_mean):
        self.C = X.tocsc()
        self.C.sort_indices()
        self.d, self.w, self.mean = X.shape[1], w, x_mean
        self.Y = Y - y_mean
        squares = self.C.multiply(self.C)
        raw = np.asarray(w @ self.C).ravel()
        self.norms = np.asarray(w @ squares).ravel() - 2 * x_mean * raw + x_mean**2
        # rounding must not make a constant column look alive
        self.norms[self.norms < 1e-14 * np.maximum(x_mean**2, 1e-300)] = 0.0
        self.shift, self.total = np.zeros(1), np.zeros(1)

    def cross_of(self, t):
        """X'Wy for every column."""
        v = self.w * self.Y[:, t]
        return np.asarray(v @ self.C).ravel() - self.mean * v.sum()

    def start(self, t):
        """Begin with target t at b = 0."""
        self.y = self.Y[:, t]
        self.yy = float(self.w @ self.y**2)
        self._r, self.shift[0] = self.y.copy(), 0.0
        self.total[0] = float(self.w @ self._r)

    def products(self):
        """Return r'Wr and r'Wy."""
        r = self._r + self.shift[0]
        return float(self.w @ r**2), float((self.w * r) @ self.y)

    def correlations(self, alive=None, c=None):
        """X'Wr for every column."""
        v = self.w * (self._r + self.shift[0])
        return np.asarray(v @ self.C).ravel() - self.mean * v.sum()

    def descend(self, b, c, work, lam1, lam2, floor, tol, sweeps):
        """Coordinate descent over the working columns, whose X'r in c is kept up to date."""
        done = 0
        while done < sweeps:
            done += 1
            if (
                _sweep_sparse(
                    self.C.data, self.C.indices, self.C.indptr, self.mean, self.w, self._r,
                    self.shift, self.total, b, work, self.norms, lam1, lam2, floor,
                )
                <= tol
            ):  # fmt: skip
                break
        c[:] = self.correlations()
        return done

    def gram_of(self, S):
        """The Gram matrix of the columns S."""
        A = self.C[:, S]
        m, k = self.mean[S], np.asarray(self.w @ A).ravel()
        G = (A.T @ A.multiply(self.w[:, None]).tocsc()).toarray()
        return G - np.outer(m, k) - np.outer(k, m) + self.w.sum() * np.outer(m, m)

    def shift_by(self, S, move, b, c):
        """Add `move` to b[S] and keep X'r up to date."""
        b[S] += move
        self._r -= self.C[:, S] @ move
        self.shift[0] += float(self.mean[S] @ move)
        self.total[0] = float(self.w @ self._r)
        c[:] = self.correlations()


def _newton_on_support(data, b, c, lam1, lam2):
    """Go to the optimum for the present signs, or as far as they last."""
    S = np.flatnonzero(b)
    if not 0 < S.size <= 1000:
        return
    A = data.gram_of(S)
    A.flat[:: S.size + 1] += lam2
    size = np.sqrt(np.maximum(A.diagonal(), np.finfo(A.dtype).tiny))
    try:
        factor = linalg.cho_factor(A / size[:, None] / size, check_finite=False)
    except linalg.LinAlgError:
        return
    rate = factor[0].diagonal()
    if rate.min() < 1e-6 * rate.max():
        return
    g = c[S] - lam2 * b[S] - lam1 * np.sign(b[S])
    move = linalg.cho_solve(factor, g / size, check_finite=False) / size
    turns = np.sign(b[S] + move) != np.sign(b[S])
    reach = 1.0
    if turns.any():
        at = np.flatnonzero(turns)
        share = -b[S[at]] / move[at]
        reach = float(share.min())
        move = reach * move
        move[at[share.argmin()]] = -b[S[at[share.argmin()]]]
    data.shift_by(S, move, b, c)


def duality_gap(data, b, c, alive, lam1, lam2, floor=-np.inf):
    """Gap at b among the columns alive, c = X'r; and the factor that makes r dual feasible.

    Where coefficients may not fall below a `floor` of zero, negative correlations break nothing.
    """
    rr, ry = data.products()
    bb, b1 = float(b @ b), float(np.abs(b).sum())
    slopes = c - lam2 * b
    largest = float(np.max(np.abs(slopes) if floor < 0 else slopes, where=alive, initial=0.0))
    scale = min(1.0, lam1 / largest) if largest > 0 else 1.0
    primal = 0.5 * rr + lam1 * b1 + 0.5 * lam2 * bb
    dual = scale * ry - 0.5 * scale**2 * (rr + lam2 * bb)
    return primal - dual, scale


def solve(data, b, lam1, lam2, tol, max_sweeps, hint=None, floor=-np.inf):
    """Solve at (lam1, lam2) from b, which is changed in place and whose residual `data` holds.

    `hint` are columns to begin with. Returns the gap, the sweeps, and X'r of the columns that the
    gap has not proved to be zero (older values elsewhere). The stop is gap <= tol y'y / 2.
    """
    # rounding alone leaves a gap of some units in the last place of y'y
    goal = max(0.5 * tol, 50 * np.finfo(b.dtype).eps) * max(data.yy, 1e-300)
    c = data.correlations()
    alive = data.norms > 0
    sweeps = 0
    gap, scale = duality_gap(data, b, c, alive, lam1, lam2, floor)
    chosen = (b != 0) | (np.abs(c - lam2 * b) >= lam1 * (1 - 1e-3))
    if hint is not None:
        chosen |= hint
    chosen &= alive
    while gap > goal and sweeps < max_sweeps:
        if lam2 == 0:
            # gap-safe: |x_j'theta| + |x_j| radius < 1 proves b_j = 0 at the optimum
            radius = np.sqrt(2 * max(gap, 0.0))
            alive &= scale * np.abs(c) + np.sqrt(data.norms) * radius >= lam1 * (1 - 1e-12)
            alive |= b != 0
        work = np.flatnonzero(chosen)
        local = gap
        for inner in range(200):
            # a single move of this size changes the objective by half its square
            share = data.haste * 0.2 ** min(inner, 30)
            step = np.sqrt(share * max(local, goal) / max(1, work.size))
            sweeps += data.descend(b, c, work, lam1, lam2, floor, step, min(max_sweeps - sweeps, PASSES))
            if inner:
                _newton_on_support(data, b, c, lam1, lam2)
            local = duality_gap(data, b, c, chosen, lam1, lam2, floor)[0]
            if local <= 0.5 * goal or sweeps >= max_sweeps:
                break
        c = data.correlations(alive, c)
        gap, scale = duality_gap(data, b, c, alive, lam1, lam2, floor)
        violating = np.flatnonzero((np.abs(c - lam2 * b) > lam1) & alive & ~chosen)
        if violating.size:
            room = max(50, work.size)
            if violating.size > room:
                violating = violating[np.argsort(-np.abs(c[violating]))[:room]]
            chosen[violating] = True
        elif local > 0.5 * goal:
            break  # what remains is rounding
    return gap, sweeps, c


def path(data, t, lams, ratio, tol, max_sweeps, positive=False):
    """Solve for falling penalties, each from the last: lam1 = ratio lam, lam2 = (1 - ratio) lam."""
    floor = 0.0 if positive else -np.inf
    b = np.zeros(data.d, data.norms.dtype)
    data.start(t)
    out = np.empty((len(lams), data.d), b.dtype)
    gaps, most = np.empty(len(lams)), 0
    if isinstance(data, Gram) and data.d <= 500:
        # one layout and type of each argument, so that the kernel is compiled once
        lams, q = np.ascontiguousarray(lams, np.float64), np.ascontiguousarray(data.q)
        most = _path_gram(
            data.G, q, data.yy, lams, float(ratio), floor, float(tol), max_sweeps, out, gaps
        )
        return out, gaps, most
    c = data.correlations()
    last = lams[0]
    for k, lam in enumerate(lams):
        # the strong rule: a column's correlation moves no faster than the penalty
        hint = np.abs(c) >= ratio * (2 * lam - last)
        lam1, lam2 = ratio * lam, (1 - ratio) * lam
        gaps[k], sweeps, c = solve(data, b, lam1, lam2, tol, max_sweeps, hint, floor)
        most = max(most, sweeps)
        out[k], last = b, lam
    return out, gaps, most
