"""Least squares, arrays in, arrays out: normal equations, QR, singular values, descent.

Everything works on centred data without making a centred copy of a dense X: blocks of rows are
centred while they are in the cache. A sparse X keeps its zeros, its mean enters the Gram matrix.
"""

import numpy as np
from scipy import linalg, sparse


def means(X, Y, w, intercept):
    """Weighted means of X (d,) and Y (targets,), or zeros without intercept."""
    if not intercept:
        return np.zeros(X.shape[1], X.dtype), np.zeros(Y.shape[1], Y.dtype)
    if w is None:
        x = np.asarray(X.mean(axis=0)).ravel() if sparse.issparse(X) else X.mean(axis=0)
        return x.astype(X.dtype), Y.mean(axis=0)
    share = w / w.sum()
    return np.asarray(share @ X).ravel(), share @ Y


def blocks_of(X, x_mean):
    """Pairs (rows, X[rows] - mean) of a dense X, small enough for the cache."""
    step = int(max(256, 2**16 // X.shape[1]))
    moved = bool(np.any(x_mean))
    for a in range(0, X.shape[0], step):
        rows = slice(a, a + step)
        yield rows, (X[rows] - x_mean if moved else X[rows])


def normal_equations(X, Y, w, x_mean):
    """X'WX and X'WY of X - x_mean; Y is centred already."""
    d = X.shape[1]
    if sparse.issparse(X):
        weighted = X if w is None else X.multiply(w[:, None]).tocsr()
        V = Y if w is None else Y * w[:, None]
        gram = (X.T @ weighted).toarray()
        total = X.shape[0] if w is None else w.sum()
        column = np.asarray(weighted.sum(axis=0)).ravel()
        gram += total * np.outer(x_mean, x_mean)
        gram -= np.outer(x_mean, column) + np.outer(column, x_mean)
        return gram, X.T @ V - np.outer(x_mean, V.sum(axis=0))
    gram, cross = np.zeros((d, d), X.dtype), np.zeros((d, Y.shape[1]), X.dtype)
    for rows, A in blocks_of(X, x_mean):
        B = Y[rows]
        if w is not None:
            root = np.sqrt(w[rows])[:, None]
            A, B = A * root, B * root
        gram += A.T @ A
        cross += A.T @ B
    return gram, cross


def dual_equations(X, w, x_mean):
    """A A' for A = sqrt(W)(X - x_mean), wide X."""
    root = np.ones(X.shape[0], X.dtype) if w is None else np.sqrt(w)
    if not sparse.issparse(X):
        A = (X - x_mean) * root[:, None]
        return A @ A.T
    gram = (X @ X.T).toarray()
    cross = X @ x_mean
    gram += x_mean @ x_mean - cross[:, None] - cross[None, :]
    return gram * root[:, None] * root


class SPD:
    """Cholesky factor of a positive definite matrix after scaling its diagonal to one."""

    def __init__(self, A):
        self.size = np.sqrt(np.maximum(A.diagonal(), np.finfo(A.dtype).tiny))
        A = A / self.size[:, None] / self.size
        potrf, pocon = linalg.get_lapack_funcs(("potrf", "pocon"), (A,))
        self.factor, info = potrf(A, lower=False, clean=False)
        self.rcond = 0.0 if info else float(pocon(self.factor, np.linalg.norm(A, 1))[0])

    @property
    def sound(self):
        """Whether a solution keeps about two thirds of the digits."""
        return self.rcond >= np.finfo(self.factor.dtype).eps ** (1 / 3)

    def solve(self, B):
        """Solve A x = B."""
        x = linalg.cho_solve((self.factor, False), B / self.size[:, None], check_finite=False)
        return x / self.size[:, None]

    def inverse_diagonal_root(self):
        """B with inv(A) = B B'."""
        R = linalg.solve_triangular(self.factor, np.eye(len(self.size), dtype=self.factor.dtype))
        return R / self.size[:, None]


def weighted_copy(X, Y, w, x_mean):
    """The centred and weighted data themselves, for solvers that decompose them."""
    A = X - x_mean
    if w is None:
        return A, Y
    root = np.sqrt(w)[:, None]
    return A * root, Y * root


def solve_svd(A, Y, alpha=0.0):
    """Ridge or (alpha = 0) least-norm solution, the rank, and B with pinv(A'A) = B B'."""
    U, s, Vt = linalg.svd(A, full_matrices=False, check_finite=False)
    cut = max(A.shape) * np.finfo(A.dtype).eps * (s[0] if s.size else 0.0)
    kept = s > cut if alpha == 0 else s > 0
    shrink = np.zeros_like(s)
    shrink[kept] = s[kept] / (s[kept] ** 2 + alpha)
    beta = Vt.T @ (shrink[:, None] * (U.T @ Y))
    return beta, int((s > cut).sum()), Vt[kept].T / s[kept]


def solve_qr(A, Y):
    """Least squares by the triangular factor of [A Y]; None where columns are dependent."""
    n, d = A.shape
    if n < d:
        return None
    R = linalg.qr(np.hstack([A, Y]), mode="r", check_finite=False)[0]
    R, z = R[:d, :d], R[:d, d:]
    trcon = linalg.get_lapack_funcs("trcon", (R,))
    if trcon(R)[0] <= max(n, d) * np.finfo(A.dtype).eps:
        return None
    beta = linalg.solve_triangular(R, z, check_finite=False)
    root = linalg.solve_triangular(R, np.eye(d, dtype=R.dtype), check_finite=False)
    return beta, d, root


def solve_wide(X, Y, w, x_mean):
    """Least norm for more columns than rows, by the n x n matrix; None where that loses digits."""
    n, d = X.shape
    root = np.ones(n, X.dtype) if w is None else np.sqrt(w)
    v, V = linalg.eigh(dual_equations(X, w, x_mean), check_finite=False)
    eps = np.finfo(v.dtype).eps
    kept = v > v[-1] * n * eps * 10
    if v[kept].min(initial=np.inf) < eps ** (1 / 3) * v[-1] and not sparse.issparse(X):
        return None
    dual = V[:, kept] @ ((V[:, kept].T @ (Y * root[:, None])) / v[kept, None]) * root[:, None]
    beta = X.T @ dual - np.outer(x_mean, dual.sum(axis=0))
    return beta, int(kept.sum()), np.zeros((d, 0), X.dtype)


def largest_eigenvalue(product, d, dtype, sweeps=50):
    """Of a positive semi-definite matrix, by the power method; `product(v)` multiplies."""
    v = np.ones(d, dtype) / np.sqrt(d)
    size = 0.0
    for k in range(sweeps):
        v = product(v) + (1e-3 / (k + 1)) * size * np.cos(np.arange(d), dtype=dtype) / np.sqrt(d)
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return 1.0
        v = v / size
    return size


def descend(X, Y, w, x_mean, *, lr, momentum, tol, max_iter, on_step):
    """Full-gradient steps on the mean squared error; a start at zero stays in the span of the rows.

    So the limit is the solution of least norm. Returns beta, steps, converged.
    """
    n, d = X.shape
    share = np.full(n, 1 / n, X.dtype) if w is None else w / w.sum()

    def gradient(beta):
        R = X @ beta - x_mean @ beta - Y
        R = R * share[:, None]
        return X.T @ R - np.outer(x_mean, R.sum(axis=0))

    def product(v):
        r = (X @ v - x_mean @ v) * share
        return X.T @ r - x_mean * r.sum()

    if lr is None:
        lr = 1.0 / (1.02 * largest_eigenvalue(product, d, X.dtype))
    beta, v = np.zeros((d, Y.shape[1]), X.dtype), np.zeros((d, Y.shape[1]), X.dtype)
    start = None
    for n_iter in range(max_iter + 1):
        g = gradient(beta)
        size = float(np.abs(g).max())
        start = size if start is None else start
        if not size <= 1e8 * max(start, 1e-300):
            raise ValueError(
                f"LinearRegression: descent with lr={lr:.3g} left the finite numbers; lower lr or "
                "leave it None."
            )
        if size <= tol * max(start, 1e-300):
            return beta, n_iter, True
        if n_iter == max_iter or on_step(beta, n_iter):
            break
        v = momentum * v + g
        beta = beta - lr * v
    return beta, n_iter, False


def descend_stochastically(X, Y, w, x_mean, rng, *, lr, momentum, batch_size, tol, max_iter, on_step):
    """Passes over shuffled batches, with a rate that falls like 1 / (1 + pass / 10)."""
    n, d = X.shape
    share = np.ones(n, X.dtype) if w is None else w * (n / w.sum())
    squares = X.multiply(X).sum(axis=1) if sparse.issparse(X) else np.einsum("ij,ij->i", X, X)
    squares = np.asarray(squares).ravel() - 2 * (X @ x_mean) + x_mean @ x_mean
    if lr is None:
        lr = 1.0 / max(float((share * squares).max()), 1e-300)
    beta, v = np.zeros((d, Y.shape[1]), X.dtype), np.zeros((d, Y.shape[1]), X.dtype)
    start = None
    for n_iter in range(max_iter + 1):
        R = (X @ beta - x_mean @ beta - Y) * share[:, None]
        size = float(np.abs(X.T @ R - np.outer(x_mean, R.sum(axis=0))).max())
        start = size if start is None else start
        if size <= tol * max(start, 1e-300):
            return beta, n_iter, True
        if n_iter == max_iter or on_step(beta, n_iter):
            break
        rate = lr / (1 + 0.1 * n_iter)
        order = rng.permutation(n)
        for a in range(0, n, batch_size):
            at = order[a : a + batch_size]
            A = X[at]
            R = (A @ beta - x_mean @ beta - Y[at]) * share[at, None]
            v = momentum * v + (A.T @ R - np.outer(x_mean, R.sum(axis=0))) / len(at)
            beta = beta - rate * v
    return beta, n_iter, False
