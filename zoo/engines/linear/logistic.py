"""Solvers of logistic regression, arrays in, arrays out.

    f(theta) = sum_i w_i loss(y_i, s_i) + lam/2 |beta|^2 (+ lam1 |beta|_1),   s = X beta' + b,  sum
    w = 1

theta is (k, d + 1) with the constants last; k = 1 for two classes, where s is the log-odds of the
second. Everything is measured per unit of weight, as scikit-learn does, so that `tol` means the
same.
A pass over X makes value and gradient together, in blocks of rows that stay in the cache.
"""

import numpy as np
from numba import njit
from scipy import linalg, sparse

from zoo.engines.linear.least_squares import on_host

_MATH = {"nnan", "nsz", "arcp", "contract", "reassoc"}


@njit(cache=True, nogil=True, fastmath=_MATH)
def _csr_binary(data, columns, starts, y, w, beta, b, gradient, c):
    """Value and gradient in one pass over the non-zeros; c takes the curvatures."""
    value, gb = 0.0, 0.0
    for i in range(starts.shape[0] - 1):
        x, at = data[starts[i] : starts[i + 1]], columns[starts[i] : starts[i + 1]]
        s = b
        for k in range(x.shape[0]):
            s += x[k] * beta[np.uint32(at[k])]
        t = np.exp(-abs(s))
        p = 1.0 / (1.0 + t) if s >= 0 else t / (1.0 + t)
        value += w[i] * (np.log1p(t) + max(s, 0.0) - y[i] * s)
        c[i] = w[i] * p * (1.0 - p)
        e = w[i] * (p - y[i])
        gb += e
        for k in range(x.shape[0]):
            gradient[np.uint32(at[k])] += e * x[k]
    return value, gb


@njit(cache=True, nogil=True, fastmath=_MATH)
def _csr_classes(data, columns, starts, y, w, B, b, G, P):
    """As above for k classes; B and G are (d, k), P (n, k) takes the probabilities."""
    value = 0.0
    k = B.shape[1]
    gb = np.zeros(k)
    for i in range(starts.shape[0] - 1):
        x, at = data[starts[i] : starts[i + 1]], columns[starts[i] : starts[i + 1]]
        s = P[i]
        s[:] = b
        for p in range(x.shape[0]):
            Bp = B[np.uint32(at[p])]
            for m in range(k):
                s[m] += x[p] * Bp[m]
        top = s[0]
        for m in range(k):
            top = max(top, s[m])
        own, total = s[y[i]], 0.0
        for m in range(k):
            s[m] = np.exp(s[m] - top)
            total += s[m]
        value += w[i] * (top + np.log(total) - own)
        for m in range(k):
            s[m] /= total
        for p in range(x.shape[0]):
            Gp = G[np.uint32(at[p])]
            xp = x[p] * w[i]
            for m in range(k):
                Gp[m] += xp * s[m]
            Gp[y[i]] -= xp
        for m in range(k):
            gb[m] += w[i] * s[m]
        gb[y[i]] -= w[i]
    return value, gb


class Problem:
    """f with its gradient and curvature.

    Parameters
    ----------
    X : dense (n, d) or CSR
    y : class numbers
    k : rows of theta; 1 for two classes
    w : weights that sum to one
    lam : l2 penalty
    intercept : whether constants are fitted
    """

    def __init__(self, X, y, k, w, lam, intercept):
        self.X, self.y, self.k, self.w, self.lam, self.intercept = X, y, k, w, lam, intercept
        self.n, self.d = X.shape
        self.sparse = sparse.issparse(X)
        self.dtype = X.dtype
        self.target = y.astype(X.dtype) if k == 1 else y
        self.rows = int(max(64, min(self.n, 2**21 // (X.dtype.itemsize * self.d))))
        # classes along the first axis, where numpy is quick; the sparse kernel goes row by row
        shape = (self.n, k) if self.sparse else (k, self.n)
        self.P = np.empty(self.n if k == 1 else shape, X.dtype)

    def sample(self, m):
        """A problem of about m rows evenly spread, or None if a class is missing in them."""
        at = np.arange(0, self.n, max(1, self.n // m))
        y = self.y[at]
        if np.unique(y).size < max(2, self.k):
            return None
        return self.part(at)

    def part(self, at):
        """The problem of some rows, of total weight one again."""
        w = self.w[at]
        return Problem(self.X[at], self.y[at], self.k, w / w.sum(), self.lam, self.intercept)

    def scores(self, theta):
        """X beta' + b, (n, k)."""
        return self.X @ theta[:, :-1].T + theta[:, -1]

    def weighted_gram_times(self, v):
        """[X 1]' W [X 1] v."""
        s = self.w * (self.X @ v[:-1] + (v[-1] if self.intercept else 0))
        return np.append(self.X.T @ s, s.sum() if self.intercept else 0).astype(self.dtype)

    def row_products(self):
        """X X'."""
        return self.X @ self.X.T

    def row_sums(self, A):
        """X' A."""
        return self.X.T @ A

    def value_and_gradient(self, theta):
        """Return f, gradient; P keeps the probabilities (k > 1) or the curvatures (k = 1)."""
        beta = theta[:, :-1]
        run = self._sparse_pass if self.sparse else self._dense_pass
        value, G = run(theta)
        value += 0.5 * self.lam * float(np.vdot(beta, beta))
        G[:, :-1] += self.lam * beta
        if not self.intercept:
            G[:, -1] = 0
        return value, G

    @property
    def probabilities(self):
        """Of the classes at the last point that was evaluated, (k, n)."""
        return self.P.T if self.sparse else self.P

    def _dense_pass(self, theta):
        X, w, k = self.X, self.w, self.k
        G = np.zeros_like(theta)
        value = 0.0
        beta = np.ascontiguousarray(theta[:, :-1])
        for a in range(0, self.n, self.rows):
            Xa, wa, ya = X[a : a + self.rows], w[a : a + self.rows], self.target[a : a + self.rows]
            if k == 1:
                s = Xa @ beta[0]
                s += theta[0, -1]
                t = np.exp(-np.abs(s))
                value += float(wa @ (np.log1p(t) + np.maximum(s, 0) - ya * s))
                p = np.where(s >= 0, 1, t) / (1 + t)
                e = wa * (p - ya)
                self.P[a : a + self.rows] = wa * p * (1 - p)
                G[0, :-1] += e @ Xa
                G[0, -1] += e.sum()
            else:
                S = beta @ Xa.T
                S += theta[:, -1:]
                S -= S.max(axis=0)
                r = np.arange(len(ya))
                own = S[ya, r]
                P = np.exp(S, out=self.P[:, a : a + self.rows])
                total = P.sum(axis=0)
                value += float(wa @ (np.log(total) - own))
                P /= total
                np.multiply(P, wa, out=S)
                S[ya, r] -= wa
                G[:, :-1] += S @ Xa
                G[:, -1] += S.sum(axis=1)
        return value, G

    def _sparse_pass(self, theta):
        X, k = self.X, self.k
        if k == 1:
            G = np.zeros_like(theta)
            value, G[0, -1] = _csr_binary(
                X.data, X.indices, X.indptr, self.target, self.w,
                np.ascontiguousarray(theta[0, :-1]), theta[0, -1], G[0, :-1], self.P,
            )  # fmt: skip
            return value, G
        B = np.ascontiguousarray(theta[:, :-1].T)
        GB = np.zeros_like(B)
        value, gb = _csr_classes(
            X.data, X.indices, X.indptr, self.y, self.w, B, theta[:, -1].copy(), GB, self.P
        )
        G = np.empty_like(theta)
        G[:, :-1], G[:, -1] = GB.T, gb
        return value, G

    def gram(self, c):
        """[X 1]' diag(c) [X 1], c >= 0 or any sign."""
        d = self.d
        H = np.zeros((d + 1, d + 1), self.dtype)
        if self.sparse:
            H[:d, :d] = (self.X.T @ self.X.multiply(c[:, None]).tocsr()).toarray()
            H[:d, d] = self.X.T @ c
        else:
            signed = bool((c < 0).any())
            for a in range(0, self.n, self.rows):
                Xa, ca = self.X[a : a + self.rows], c[a : a + self.rows]
                if signed:
                    H[:d, :d] += Xa.T @ (Xa * ca[:, None])
                else:
                    A = Xa * np.sqrt(ca)[:, None]
                    H[:d, :d] += A.T @ A
                H[:d, d] += ca @ Xa
        H[d, :d] = H[:d, d]
        H[d, d] = c.sum()
        return H

    def _penalise(self, H):
        d = self.d
        H.flat[: d * (d + 2) : d + 2] += self.lam
        if not self.intercept:
            H[d, :] = H[:, d] = 0
            H[d, d] = 1
        return H

    def hessian(self):
        """The whole matrix, (k (d + 1))^2, at the last point that was evaluated."""
        k, e = self.k, self.d + 1
        if k == 1:
            return self._penalise(self.gram(self.P))
        H, P = np.zeros((k, e, k, e), self.dtype), self.probabilities
        first, second = np.triu_indices(k)
        together = None
        if isinstance(self.X, np.ndarray) and len(first) * self.n * e < 1e6:
            # small: all pairs of classes in one product
            Z = np.column_stack([self.X, np.ones(self.n, self.dtype)])
            C = self.w * P[first] * ((first == second)[:, None] - P[second])
            together = Z.T @ (C[:, :, None] * Z)
        for q, (a, b) in enumerate(zip(first, second, strict=True)):
            block = together[q] if together is not None else self.gram(self.w * P[a] * (float(a == b) - P[b]))
            H[a, :, b] = self._penalise(block) if a == b else block
            H[b, :, a] = H[a, :, b].T
        H = H.reshape(k * e, k * e)
        if not self.intercept:
            fixed = np.arange(k) * e + e - 1
            H[fixed], H[:, fixed] = 0, 0
            H[fixed, fixed] = 1
        return H

    def blocks(self):
        """The diagonal blocks of the Hessian, one for each class."""
        if self.k == 1:
            return [self._penalise(self.gram(self.P))]
        return [self._penalise(self.gram(self.w * p * (1 - p))) for p in self.probabilities]

    def diagonal(self):
        """The diagonal of the Hessian, (k, d + 1)."""
        out = np.empty((self.k, self.d + 1), self.dtype)
        square = self.X.multiply(self.X).tocsr() if self.sparse else self.X * self.X
        for m in range(self.k):
            p = self.P if self.k == 1 else self.probabilities[m]
            c = p if self.k == 1 else self.w * p * (1 - p)
            out[m, :-1] = square.T @ c + self.lam
            out[m, -1] = c.sum() if self.intercept else 1
        return out


class ProblemOnDevice(Problem):
    """The same with its rows on a device, as torch tensors; what has the size of theta stays here."""

    def __init__(self, X, y, k, w, lam, intercept, arrays):
        self.arrays, self.y, self.k, self.lam, self.intercept = arrays, y, k, lam, intercept
        self.n, self.d = X.shape
        self.dtype = np.dtype(str(X.dtype).removeprefix("torch."))
        self.X, self.w, self.sparse = arrays.put(X), arrays.put(w), False
        self.target = arrays.put(y.astype(self.dtype) if k == 1 else y)

    def part(self, at):
        """The problem of some rows, of total weight one again."""
        w = self.w[at]
        return ProblemOnDevice(
            self.X[at], self.y[at], self.k, w / w.sum(), self.lam, self.intercept, self.arrays
        )

    def _put(self, a):
        return self.arrays.put(np.ascontiguousarray(a))

    def scores(self, theta):
        """X beta' + b, (n, k)."""
        return self.arrays.get(self.X @ self._put(theta[:, :-1].T)) + theta[:, -1]

    def weighted_gram_times(self, v):
        """[X 1]' W [X 1] v."""
        s = self.w * (self.X @ self._put(v[:-1]) + (float(v[-1]) if self.intercept else 0))
        last = float(s.sum()) if self.intercept else 0
        return np.append(self.arrays.get(self.X.T @ s), last).astype(self.dtype)

    def row_products(self):
        """X X'."""
        return self.arrays.get(self.X @ self.X.T)

    def row_sums(self, A):
        """X' A."""
        return self.arrays.get(self.X.T @ self._put(A))

    def _dense_pass(self, theta):
        xp, get, w, y = self.arrays.xp, self.arrays.get, self.w, self.target
        S = self.X @ self._put(theta[:, :-1].T) + self._put(theta[:, -1])
        if self.k == 1:
            s = S[:, 0]
            value = w @ (xp.nn.functional.softplus(-abs(s)) + s.clip(0) - y * s)
            p = xp.sigmoid(s)
            self.P = w * p * (1 - p)
            E = (w * (p - y))[:, None]
        else:
            top = xp.log_softmax(S, dim=1)
            value = -(w @ top.gather(1, y[:, None])[:, 0])
            P = xp.exp(top)
            self.P = P.T
            E = w[:, None] * (P - xp.nn.functional.one_hot(y, self.k))
        G = np.empty_like(theta)
        G[:, :-1], G[:, -1] = get(E.T @ self.X), get(E.sum(axis=0))
        return float(value), G

    def gram(self, c):
        """[X 1]' diag(c) [X 1]."""
        d = self.d
        H = np.empty((d + 1, d + 1), self.dtype)
        H[:d, :d] = self.arrays.get(self.X.T @ (self.X * c[:, None]))
        H[:d, d] = H[d, :d] = self.arrays.get(c @ self.X)
        H[d, d] = float(c.sum())
        return H

    def diagonal(self):
        """The diagonal of the Hessian, (k, d + 1)."""
        C = self.P[None] if self.k == 1 else self.w * self.P * (1 - self.P)
        last = C.sum(axis=1)[:, None] if self.intercept else 0 * C[:, :1] + 1
        return np.hstack([self.arrays.get(C @ (self.X * self.X)) + self.lam, self.arrays.get(last)])


class Factor:
    """A factorised positive matrix, scaled to a unit diagonal first; falls back to least norm."""

    def __init__(self, H):
        self.size = np.sqrt(np.maximum(H.diagonal(), np.finfo(H.dtype).tiny))
        A = H / self.size[:, None] / self.size
        # LAPACK itself: scipy's wrappers cost more than the work on a few columns
        potrf, self.potrs = linalg.get_lapack_funcs(("potrf", "potrs"), (A,))
        self.factor, failed = potrf(A, lower=True, clean=False)
        spread = np.abs(self.factor.diagonal())
        self.singular = bool(failed) or spread.min() < np.finfo(H.dtype).eps ** 0.5 * spread.max()
        if self.singular:
            v, self.basis = linalg.eigh(A)
            cut = v[-1] * len(v) * np.finfo(H.dtype).eps
            self.inverse = np.where(v > cut, 1 / np.maximum(v, cut), 0)

    def solve(self, g):
        """The solution of H x = g."""
        if self.singular:
            return self.basis @ (self.inverse * (self.basis.T @ (g / self.size))) / self.size
        return self.potrs(self.factor, g / self.size, lower=True)[0] / self.size


class Outcome:
    """What a solver found, and why it stopped."""

    def __init__(self, theta, n_iter, converged):
        self.theta, self.n_iter, self.converged = theta, n_iter, converged


def flat_direction(problem, theta):
    """Why an unpenalised fit at theta has no single optimum: "collinear", "separable" or "".

    The columns are collinear where X'WX is singular. Where it is not, but the curvature of the
    likelihood is nothing beside it in some direction, all that this direction touches is decided: the
    classes separate along it, or nearly (quasi-separation), and its coefficient has no limit.
    """
    e = problem.d + int(problem.intercept)
    G = problem.gram(problem.w)[:e, :e]
    size = np.sqrt(np.maximum(G.diagonal(), np.finfo(G.dtype).tiny))
    try:
        L = linalg.cholesky(G / size[:, None] / size, lower=True)
    except linalg.LinAlgError:
        return "collinear"
    if L.diagonal().min() < 1e-6:
        return "collinear"
    problem.value_and_gradient(theta)
    for H in problem.blocks():
        A = linalg.solve_triangular(L, H[:e, :e] / size[:, None] / size, lower=True)
        A = linalg.solve_triangular(L, A.T, lower=True)
        if linalg.eigvalsh(A, subset_by_index=[0, 0])[0] < 1e-7:
            return "separable"
    return ""


def _step_length(problem, theta, f, g, p, slope, a=1.0, tries=40):
    """Backtrack to sufficient decrease; near the optimum the slope decides, not rounded f."""
    slack = 50 * np.finfo(theta.dtype).eps * max(abs(f), 1e-300)
    for _ in range(tries):
        new = theta + a * p
        value, gradient = problem.value_and_gradient(new)
        if value <= f + 1e-4 * a * slope:
            return a, new, value, gradient
        if value <= f + slack and abs(float(np.vdot(gradient, p))) <= 0.9 * abs(slope):
            return a, new, value, gradient
        if np.isfinite(value):
            shrink = -0.5 * slope * a / (value - f - slope * a) if value - f > slope * a else 0.5
            a *= min(max(shrink, 0.1), 0.5)
        else:
            a *= 0.1
    return 0.0, theta, f, g


def _without_flat(H, problem):
    """Give the directions in which all classes move together, which change nothing, a curvature.

    The gradient has no part in them, so that the step stays what it is.
    """
    k, e = problem.k, problem.d + 1
    if k > 1:
        T = H.reshape(k, e, k, e)
        # with a penalty these are the constants alone
        j = np.arange(e - 1, e) if problem.lam > 0 else np.arange(e)
        size = np.einsum("ajaj->j", T)[j] / k
        for a in range(k):
            for b in range(k):
                T[a, j, b, j] += size
    return H


def newton(problem, theta, tol, max_iter, on_step):
    """Iteratively reweighted least squares with a line search."""
    f, g = problem.value_and_gradient(theta)
    for n_iter in range(max_iter + 1):
        if np.abs(g).max() <= tol:
            return Outcome(theta, n_iter, True)
        if n_iter == max_iter or on_step(theta, n_iter):
            break
        factor = Factor(_without_flat(problem.hessian(), problem))
        p = -factor.solve(g.ravel()).reshape(g.shape)
        slope = float(np.vdot(g, p))
        a, theta, f, g = _step_length(problem, theta, f, g, p, slope)
        if a == 0.0:
            return Outcome(theta, n_iter + 1, np.abs(g).max() <= 1e3 * tol)
    return Outcome(theta, n_iter, False)


def lbfgs(problem, theta, tol, max_iter, on_step, precondition, memory=12):
    """L-BFGS whose first matrix is the preconditioner's: `precondition(g)` solves M x = g."""
    f, g = problem.value_and_gradient(theta)
    S, Y, R, gamma = [], [], [], 1.0
    best, since, then = np.inf, 0, f
    for n_iter in range(max_iter + 1):
        size = float(np.abs(g).max())
        if size <= tol:
            return Outcome(theta, n_iter, True)
        if size < 0.9 * best or f < then - 50 * np.finfo(theta.dtype).eps * abs(then):
            best, since, then = min(best, size), n_iter, f
        elif n_iter - since > 30:  # neither falls any more: what remains is rounding
            return Outcome(theta, n_iter, size <= 1e3 * tol)
        if n_iter == max_iter or on_step(theta, n_iter):
            break
        q = g.copy()
        alphas = []
        for s, y, r in zip(reversed(S), reversed(Y), reversed(R), strict=True):
            alpha = r * float(np.vdot(s, q))
            alphas.append(alpha)
            q -= alpha * y
        z = gamma * precondition(q)
        for s, y, r, alpha in zip(S, Y, R, reversed(alphas), strict=True):
            z += (alpha - r * float(np.vdot(y, z))) * s
        slope = -float(np.vdot(g, z))
        if slope >= 0:
            S, Y, R, gamma = [], [], [], 1.0
            z = precondition(g)
            slope = -float(np.vdot(g, z))
        a, new, value, gradient = _step_length(problem, theta, f, g, -z, slope)
        if a == 0.0:
            if S:  # a stale memory: start it afresh before giving up
                S, Y, R, gamma = [], [], [], 1.0
                continue
            return Outcome(theta, n_iter + 1, np.abs(g).max() <= 1e3 * tol)
        s, y = new - theta, gradient - g
        sy = float(np.vdot(s, y))
        if sy > 1e-14 * float(np.vdot(y, y)) ** 0.5 * float(np.vdot(s, s)) ** 0.5:
            S, Y, R = [*S, s][-memory:], [*Y, y][-memory:], [*R, 1 / sy][-memory:]
            # curvature falls on the way: the preconditioner is scaled to that of the last step
            gamma = sy / float(np.vdot(y, precondition(y)))
        theta, f, g = new, value, gradient
    return Outcome(theta, n_iter, False)


def scaled(problem, theta, tol, max_iter, on_step):
    """L-BFGS with at most a diagonal for its first matrix: where columns differ much in size."""
    problem.value_and_gradient(theta)
    D = problem.diagonal()
    D = np.maximum(D, 1e-12 * D.max())
    if D[:, :-1].max() < 100 * D[:, :-1].min():
        D = D.max()
    return lbfgs(problem, theta, tol, max_iter, on_step, lambda g: g / D)


def preconditioned(problem, theta, tol, max_iter, on_step):
    """L-BFGS from a start and with a curvature that a sample of the rows gives.

    The blocks of the Hessian for each class are factorised on the sample, at its own optimum where
    there are many more rows, and again when the steps have gone far from there.
    """
    n, d, k = problem.n, problem.d, problem.k
    m = max(1000, 8 * d)
    small = problem.sample(m) if n > 2 * m else None
    if small is not None:
        theta = newton(small, theta, 1e-3, 15, _never).theta if k == 1 else _rough(small, theta)
    else:
        small = problem
    done, budget = 0, 40
    while True:
        small.value_and_gradient(theta)
        most = min(max_iter - done, budget)
        answer = lbfgs(
            problem, theta, tol, most, lambda t, i, done=done: on_step(t, done + i), _by_blocks(small)
        )
        theta, done = answer.theta, done + answer.n_iter
        if answer.n_iter < budget or answer.converged or done >= max_iter:
            answer.n_iter = done
            return answer
        budget *= 2


def _by_blocks(problem):
    """Solve with the blocks of the Hessian at the last point that was evaluated."""
    factors = [Factor(H) for H in problem.blocks()]
    return lambda g: np.stack([f.solve(row) for f, row in zip(factors, g, strict=True)])


def choose(problem):
    """Return the solver for an l2 penalty that should take the fewest seconds at this shape.

    Of the machine only ratios matter: 20 operations a nanosecond in matrix products, 2.5 in passes over
    X, 0.1 ms for the Python of a step. The steps are what was seen on data of many shapes.
    """
    n, d, k = problem.n, problem.d, problem.k
    if problem.sparse:
        if k * k * (d + 1) <= 200 and n <= 2000:
            return newton
        return preconditioned if d <= min(n / 4, 1000) else scaled
    own = 1e-4

    def a_pass(d):
        return 8e-10 * n * d * k + own

    def a_newton(d):
        return (k * k * n * d * (d + 30) + (k * d) ** 3) / 2e10 + own + 2e-5 * k * k

    costs = {newton: 10 * a_newton(d), scaled: 100 * a_pass(d)}
    if 4 * d <= n and d <= 3000:
        m = max(1000, 8 * d)
        costs[preconditioned] = (25 if n <= 2 * m else 15) * a_pass(d) + k * min(n, m) * d * d / 1e10
    if n < d and n <= 4000 and problem.lam > 0:
        inside = 10 * a_newton(n) if k == 1 and n <= 300 else 100 * a_pass(n)
        costs[in_row_space] = (2 * n * n * d + 10 * n**3) / 4e10 + inside
    return min(costs, key=costs.__getitem__)


def in_row_space(problem, theta, tol, max_iter, on_step):
    """Wide dense X with an l2 penalty: the optimum is a combination of the rows.

    With X X' = V S V' the problem in the coordinates of Q = X' V S^-1/2 has the same losses and the
    same norms; directions that are rounding alone are dropped.
    """
    s, V = linalg.eigh(problem.row_products(), check_finite=False)
    kept = s > s[-1] * len(s) * np.finfo(s.dtype).eps
    root = np.sqrt(s[kept])
    X, Q = V[:, kept] * root, problem.row_sums(V[:, kept] / root)
    w = on_host(problem.w)
    small = Problem(X, problem.y, problem.k, w, problem.lam, problem.intercept)

    def out(theta):
        return np.column_stack([theta[:, :-1] @ Q.T, theta[:, -1]])

    start = np.column_stack([theta[:, :-1] @ Q, theta[:, -1]])
    solve = newton if problem.k == 1 and len(s) <= 300 else scaled
    theta, done, near = start, 0, tol
    while True:
        answer = solve(small, theta, near, max_iter - done, lambda t, i, done=done: on_step(out(t), done + i))
        theta, done = answer.theta, done + answer.n_iter
        # the wide gradient is the small one turned, and its entries may be larger
        g = problem.value_and_gradient(out(theta))[1]
        if np.abs(g).max() <= tol or not answer.converged or near < 1e-3 * tol:
            answer.theta, answer.n_iter = out(theta), done
            return answer
        near *= 0.3


def _never(theta, n_iter):
    return False


def _rough(problem, theta):
    problem.value_and_gradient(theta)
    return lbfgs(problem, theta, 1e-3, 40, _never, _by_blocks(problem)).theta


def largest_curvature(problem, sweeps=30):
    """An upper estimate of the largest eigenvalue of the Hessian anywhere, by the power method."""
    d = problem.d
    bound = 0.25 if problem.k == 1 else 0.5
    v = np.ones(d + 1, problem.dtype) / np.sqrt(d + 1)
    size = 1.0
    for _ in range(sweeps):
        v = problem.weighted_gram_times(v)
        size = float(np.linalg.norm(v))
        v /= max(size, 1e-300)
    return 1.05 * bound * size + problem.lam


def gradient_descent(problem, theta, tol, max_iter, on_step, lr=None, momentum=0.0):
    """Step theta <- theta - lr v,  v <- momentum v + gradient; lr None is 1 / largest curvature."""
    lr = 1.0 / largest_curvature(problem) if lr is None else lr
    v = np.zeros_like(theta)
    for n_iter in range(max_iter + 1):
        f, g = problem.value_and_gradient(theta)
        if not np.isfinite(f):
            raise ValueError(
                f"LogisticRegression: gradient descent with lr={lr} left the finite numbers; lower "
                "lr or leave it None."
            )
        if np.abs(g).max() <= tol:
            return Outcome(theta, n_iter, True)
        if n_iter == max_iter or on_step(theta, n_iter):
            break
        v = momentum * v + g
        theta = theta - lr * v
    return Outcome(theta, n_iter, False)


def sgd(problem, theta, tol, max_iter, on_step, rng, lr=None, momentum=0.0, batch_size=64):
    """Passes over shuffled batches with a rate that falls like 1 / (1 + pass)."""
    lr = 1.0 / largest_curvature(problem) if lr is None else lr
    v = np.zeros_like(theta)
    n = problem.n
    for n_iter in range(max_iter + 1):
        g = problem.value_and_gradient(theta)[1]
        if np.abs(g).max() <= tol:
            return Outcome(theta, n_iter, True)
        if n_iter == max_iter or on_step(theta, n_iter):
            break
        order = rng.permutation(n)
        rate = lr / (1 + 0.1 * n_iter)
        for a in range(0, n, batch_size):
            at = order[a : a + batch_size]
            batch = problem.part(at)
            # a batch of more weight counts for more, so that the mean step is the full gradient's
            share = float(problem.w[at].sum()) * n / len(at)
            v = momentum * v + share * batch.value_and_gradient(theta)[1]
            theta = theta - rate * v
    return Outcome(theta, n_iter, False)


@njit(cache=True, nogil=True)
def _model_descent(H, g, theta, step, lam1, free, tol, sweeps):
    """Coordinate descent on g'p + p'Hp/2 + lam1 |theta + p|_1; `free` entries pay no lam1."""
    n = g.shape[0]
    r = g.copy()
    for _ in range(sweeps):
        worst = 0.0
        for j in range(n):
            h = H[j, j]
            if h <= 0.0:
                continue
            now = theta[j] + step[j]
            z = now - r[j] / h
            if free[j]:
                new = z
            else:
                t = lam1 / h
                new = z - t if z > t else (z + t if z < -t else 0.0)
            move = new - now
            if move != 0.0:
                worst = max(worst, abs(move) * h)
                step[j] += move
                Hj = H[j]
                for k in range(n):
                    r[k] += move * Hj[k]
        if worst <= tol:
            break


def violation(g, theta, lam1):
    """How far theta is from the optimality conditions of the l1 problem, entry by entry."""
    out = np.abs(g)
    beta, gb = theta[:, :-1], g[:, :-1]
    out[:, :-1] = np.where(beta != 0, np.abs(gb + lam1 * np.sign(beta)), np.maximum(np.abs(gb) - lam1, 0))
    return out


def proximal(problem, theta, tol, max_iter, on_step, lam1):
    """Minimise f + lam1 |beta|_1 by proximal Newton; where that is too big, by proximal steps."""
    if problem.sparse and problem.k == 1:
        return by_columns(problem, theta, tol, max_iter, on_step, lam1)
    if problem.k * (problem.d + 1) > 2500:
        return _accelerated(problem, theta, tol, max_iter * 20, on_step, lam1)
    f, g = problem.value_and_gradient(theta)
    free = np.zeros(theta.shape, bool)
    free[:, -1] = True
    n_iter = 0
    for n_iter in range(max_iter + 1):
        v = violation(g, theta, lam1).max()
        if v <= tol:
            return Outcome(theta, n_iter, True)
        if n_iter == max_iter or on_step(theta, n_iter):
            break
        H = problem.hessian()
        if problem.k > 1:  # the flat direction of the constants
            H.flat[:: H.shape[0] + 1] += 1e-10
        step = np.zeros(theta.size, H.dtype)
        _model_descent(H, g.ravel(), theta.ravel(), step, lam1, free.ravel(), min(0.01 * v, tol * 10), 1000)
        p = step.reshape(theta.shape)
        before = lam1 * np.abs(theta[:, :-1]).sum()
        slope = float(np.vdot(g, p)) + lam1 * np.abs((theta + p)[:, :-1]).sum() - before
        a = 1.0
        for _ in range(40):
            new = theta + a * p
            value, gradient = problem.value_and_gradient(new)
            after = lam1 * np.abs(new[:, :-1]).sum()
            if value + after <= f + before + 1e-4 * a * slope + 1e-14 * abs(f):
                break
            a *= 0.5
        else:
            break
        theta, f, g = new, value, gradient
    return Outcome(theta, n_iter, False)


@njit(cache=True, nogil=True, fastmath=_MATH)
def _columns_descent(data, rows, starts, D, g, h, beta, step, u, work, lam1, lam2, constant, tol, sweeps):
    """Coordinate descent on the quadratic model over the columns `work`; u = X step + its constant.

    g and h are gradient and curvature of the columns, constant = (gradient, curvature, step) of b.
    """
    for _ in range(sweeps):
        worst = 0.0
        for q in range(work.shape[0]):
            j = work[q]
            x, at = data[starts[j] : starts[j + 1]], rows[starts[j] : starts[j + 1]]
            r = g[j] + lam2 * step[j]
            for p in range(x.shape[0]):
                i = np.uint32(at[p])
                r += x[p] * D[i] * u[i]
            now = beta[j] + step[j]
            z = now - r / h[j]
            t = lam1 / h[j]
            new = z - t if z > t else (z + t if z < -t else 0.0)
            move = new - now
            if move != 0.0:
                step[j] += move
                worst = max(worst, abs(move) * h[j])
                for p in range(x.shape[0]):
                    u[np.uint32(at[p])] += move * x[p]
        if constant[1] > 0.0:
            r = constant[0]
            for i in range(u.shape[0]):
                r += D[i] * u[i]
            move = -r / constant[1]
            constant[2] += move
            worst = max(worst, abs(r))
            for i in range(u.shape[0]):
                u[i] += move
        if worst <= tol:
            break


def by_columns(problem, theta, tol, max_iter, on_step, lam1):
    """Two classes, sparse X: proximal Newton whose quadratic models are solved column by column.

    Only columns that are not zero or that violate the conditions are at work, at first few of them.
    """
    C, y, w, lam = problem.X.tocsc(), problem.target, problem.w, problem.lam
    squares = C.multiply(C).tocsc()
    theta = theta.copy()
    beta = theta[0, :-1]

    def loss(s, beta):
        value = w @ (np.log1p(np.exp(-np.abs(s))) + np.maximum(s, 0) - y * s)
        return float(value) + 0.5 * lam * float(beta @ beta) + lam1 * float(np.abs(beta).sum())

    s = C @ beta + theta[0, -1]
    f = loss(s, beta)
    for n_iter in range(max_iter + 1):
        t = np.exp(-np.abs(s))
        p = np.where(s >= 0, 1, t) / (1 + t)
        e = w * (p - y)
        g = np.append(e @ C + lam * beta, e.sum() if problem.intercept else 0).astype(problem.dtype)
        v = violation(g[None], theta, lam1)[0]
        if v.max() <= tol:
            return Outcome(theta, n_iter, True)
        if n_iter == max_iter or on_step(theta, n_iter):
            break
        D = w * np.maximum(p * (1 - p), 1e-10)
        live = np.flatnonzero(beta)
        others = np.flatnonzero((v[:-1] > 0) & (beta == 0))
        room = max(100, 2 * live.size)
        if others.size > room:
            others = others[np.argpartition(-v[others], room)[:room]]
        work = np.concatenate([live, others])
        h = D @ squares + lam
        work = work[h[work] > 0]
        step, u = np.zeros_like(beta), np.zeros_like(s)
        constant = np.array([g[-1], D.sum() if problem.intercept else 0.0, 0.0])
        goal = max(min(0.1, v.max() / lam1) * v.max(), 0.1 * tol)
        _columns_descent(
            C.data, C.indices, C.indptr, D, g[:-1], h, beta, step, u, work, lam1, lam, constant, goal, 100
        )
        slope = float(g[:-1] @ step + g[-1] * constant[2])
        slope += lam1 * float(np.abs(beta + step).sum() - np.abs(beta).sum())
        a = 1.0
        for _ in range(40):
            new = loss(s + a * u, beta + a * step)
            if new <= f + 1e-4 * a * slope + 1e-14 * abs(f):
                break
            a *= 0.5
        else:
            return Outcome(theta, n_iter + 1, v.max() <= 1e3 * tol)
        beta += a * step
        theta[0, -1] += a * constant[2]
        f = new
        # afresh, so that rounding does not pile up
        s = C @ beta + theta[0, -1]
    return Outcome(theta, n_iter, False)


def _accelerated(problem, theta, tol, max_iter, on_step, lam1):
    """Nesterov's accelerated proximal gradient with restarts (Beck and Teboulle 2009)."""
    L = largest_curvature(problem)
    z, t = theta, 1.0
    for n_iter in range(max_iter + 1):
        _, g = problem.value_and_gradient(z)
        new = z - g / L
        new[:, :-1] = np.sign(new[:, :-1]) * np.maximum(np.abs(new[:, :-1]) - lam1 / L, 0)
        if n_iter % 20 == 0:
            if violation(problem.value_and_gradient(new)[1], new, lam1).max() <= tol:
                return Outcome(new, n_iter + 1, True)
            if on_step(new, n_iter):
                break
        if float(np.vdot(z - new, new - theta)) > 0:
            t = 1.0
        ahead = (1 + np.sqrt(1 + 4 * t * t)) / 2
        z = new + ((t - 1) / ahead) * (new - theta)
        theta, t = new, ahead
    return Outcome(theta, n_iter, False)
