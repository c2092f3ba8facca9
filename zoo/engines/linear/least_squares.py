"""Least squares, arrays in, arrays out: normal equations, QR, singular values, descent.

Everything works on centred rows without a centred copy: the means enter the products. What is
dense may live on a device as torch tensors; only what numpy and torch both understand is written
here, so that there is one code for both.
"""

import numpy as np
from scipy import linalg, optimize, sparse

from zoo.engines.devices import arrays_on
from zoo.engines.magnitudes import check_squares

# A sparse X whose smaller side is above this goes by conjugate gradients: its Gram matrix is dense.
SMALL_SIDE = 1000

# From this width on the time of a fit is that of X'X, which float32 halves; the correction steps
# of `_corrected` win back every digit.
WIDE_GRAM = 200


def library(a):
    """The array library of a: numpy, or torch for its tensors."""
    if isinstance(a, np.ndarray) or sparse.issparse(a):
        return np
    import torch

    return torch


def on_host(a):
    """The array a as numpy."""
    return np.asarray(a.cpu() if hasattr(a, "cpu") else a)


def _eps(a):
    return float((np if isinstance(a, np.ndarray) else library(a)).finfo(a.dtype).eps)


def _outer(a, b):
    return a[:, None] * b


class Design:
    """Rows x_i - m with weights w_i: the matrix A = X - m of a least squares problem.

    X is dense (numpy or torch) or CSR and is not copied, unless a mean is so far from zero, beside
    the spread of its column, that products would lose digits: then a dense X is centred in a copy.

    Parameters
    ----------
    X : (n, d)
    Y : (n, targets)
    w : (n,) or None
    intercept : whether m is the mean of X (else 0), and Y is centred too
    """

    def __init__(self, X, Y, w, intercept):
        self.X, self.w, self.intercept = X, w, intercept
        self.n, self.d = X.shape
        self.sparse = sparse.issparse(X)
        self.xp = library(X)
        # each block is read from memory once and serves several products
        self.in_blocks = self.xp is np and not self.sparse
        self.total = float(self.n if w is None else w.sum())
        # m of what is held in X (when it is known), and what was taken from X before
        self._mean, self.taken = None, None
        self.given_y, self._centred_y = Y, None
        self.y_mean = self._mean_of(Y)

    @property
    def Y(self):
        """The centred targets."""
        if self._centred_y is None:
            self._centred_y = self.given_y - self.y_mean if self.intercept else self.given_y
        return self._centred_y

    @property
    def mean(self):
        """The mean of the X that is held."""
        if self._mean is None:
            self._mean = self._mean_of(self.X)
        return self._mean

    def _mean_of(self, Z):
        if not self.intercept:
            return 0 * Z[0] if self.xp is not np else np.zeros(Z.shape[1], Z.dtype)
        if self.xp is not np:
            share = self.xp.ones_like(Z[:, 0]) if self.w is None else self.w
            return (share @ Z) / self.total
        # sums of pieces in float64: a million float32 added one by one keep three digits
        total = np.zeros(Z.shape[1])
        for rows in self.blocks(Z.shape[1]):
            total += self._weights(rows, Z.dtype) @ Z[rows]
        return (total / self.total).astype(Z.dtype)

    def _weights(self, rows, dtype):
        if self.w is not None:
            return self.w[rows]
        return np.ones(min(rows.stop, self.n) - rows.start, dtype)

    @property
    def x_mean(self):
        """The means of the given X."""
        return self.mean if self.taken is None else self.mean + self.taken

    def times(self, B):
        """A B."""
        if B.shape[1] == 1:
            b = B[:, 0]
            return (self.X @ b - self.mean @ b)[:, None]
        return self.X @ B - self.mean @ B

    def back(self, R):
        """A' W R."""
        return self._back(R if self.w is None else R * self.w[:, None])

    def _back(self, R):
        if R.shape[1] == 1:
            r = R[:, 0]
            return (r @ self.X - self.mean * r.sum())[:, None]
        return self.X.T @ R - _outer(self.mean, R.sum(axis=0))

    def residual(self, B):
        """Y - A B, and A' W of it."""
        if not self.in_blocks:
            R = self.Y - self.times(B)
            return R, self.back(R)
        R = np.empty_like(self.Y)
        g, s = np.zeros_like(B.T), 0.0
        shift = self.mean @ B
        for rows in self.blocks(self.d):
            A, r = self.X[rows], R[rows]
            np.subtract(self.Y[rows] + shift, A @ B, out=r)
            r = r if self.w is None else r * self.w[rows, None]
            g += r.T @ A
            s = s + r.sum(axis=0)
        return R, (g - _outer(np.atleast_1d(s), self.mean)).T

    def equations(self):
        """A' W A and A' W Y."""
        G, c = self._equations()
        if not self.sparse and self.intercept and self._is_far(G.diagonal()):
            self._centre()
            G, c = self._equations()
        return G, c

    def _centre(self):
        """Take the means from X, and then what their rounding left."""
        taken = self.mean
        self.X, self._mean = self.X - taken, None
        self.X -= self.mean
        self.taken, self._mean = taken + self.mean, 0 * taken

    def _is_far(self, squares):
        """Whether a mean is large beside the spread that `squares` (the diagonal of A'WA) tells."""
        far = 100.0 if _eps(self.mean) < 1e-10 else 4.0
        return bool((self.total * self.mean**2 > far * squares).any())

    def _equations(self):
        X, w = self.X, self.w
        if self.in_blocks:
            G, c = np.zeros((self.d, self.d), X.dtype), np.zeros((len(self.y_mean), self.d), X.dtype)
            sums = np.zeros(self.d)
            for rows in self.blocks(self.d):
                A, v = X[rows], self._weights(rows, X.dtype)
                if self.intercept:
                    sums += v @ A
                y = (self.given_y[rows] - self.y_mean if self.intercept else self.given_y[rows]).T
                if w is not None:
                    root = np.sqrt(v)
                    A, y = A * root[:, None], y * root
                G += A.T @ A
                c += y @ A
            self._mean = (sums / self.total).astype(X.dtype)
            c = c.T
        elif self.sparse:
            from zoo.engines.linear import sparse as _sparse

            G, c = _sparse.gram(X, self._weights(slice(0, self.n), X.dtype)), self.back(self.Y)
        else:
            A = X if w is None else X * self.xp.sqrt(w)[:, None]
            G, c = A.T @ A, self.back(self.Y)
        if self.intercept:
            G -= _outer(self.total * self.mean, self.mean)
        return G, c

    def rough_equations(self):
        """The same for a dense numpy X, A' W A in float32; None where that range is too small."""
        X, d = self.X, self.d
        G, c, sums = np.zeros((d, d), np.float32), np.zeros((self.Y.shape[1], d)), np.zeros(d)
        step = max(4 * d, 2**19 // d)
        buffer = np.empty((min(step, self.n), d), np.float32)
        # near enough to the mean to keep the digits of float32
        near = X[:step].mean(axis=0) if self.intercept else np.zeros(d)
        for a in range(0, self.n, step):
            rows = slice(a, a + step)
            A, v = buffer[: min(step, self.n - a)], self._weights(rows, X.dtype)
            if self.intercept:
                sums += v @ X[rows]
            c += (self.Y[rows].T if self.w is None else self.Y[rows].T * v) @ X[rows]
            # columns beyond float32 show as inf, which is looked for below
            with np.errstate(over="ignore", invalid="ignore"):
                np.subtract(X[rows], near, out=A, casting="same_kind")
                if self.w is not None:
                    A *= np.sqrt(v)[:, None].astype(np.float32)
                G += A.T @ A
        self._mean = sums / self.total
        squares = G.diagonal()
        small = not (squares.min() > 1e-20 and squares.max() < 1e20) or self._is_far(squares)
        off = self._mean - near if self.intercept else near
        if small or (self.total * off**2 > squares).any():
            return None, None
        return G - _outer(self.total * off, off).astype(np.float32), c.T

    def dual(self):
        """sqrt(W) A A' sqrt(W), for wide X."""
        root = None if self.w is None else self.xp.sqrt(self.w)
        if not self.sparse:
            A = self.X - self.mean
            A = A if root is None else A * root[:, None]
            return A @ A.T
        K = (self.X @ self.X.T).toarray()
        cross = self.X @ self.mean
        K += self.mean @ self.mean - cross[:, None] - cross
        return K if root is None else K * root[:, None] * root

    def rough_dual(self):
        """The same of a dense numpy X in float32, or None where that range is too small."""
        with np.errstate(over="ignore", invalid="ignore"):
            A = np.empty(self.X.shape, np.float32)
            np.subtract(self.X, self.mean, out=A, casting="same_kind")
            if self.w is not None:
                A *= np.sqrt(self.w)[:, None]
            K = A @ A.T
        squares = K.diagonal()
        return K if squares.min() > 1e-20 and squares.max() < 1e20 else None

    def rooted(self, B):
        """sqrt(W) B."""
        return B if self.w is None else B * self.xp.sqrt(self.w)[:, None]

    def from_dual(self, D):
        """A' sqrt(W) D, the coefficients of dual ones."""
        return self._back(self.rooted(D))

    def rooted_copy(self):
        """sqrt(W) A and sqrt(W) Y themselves, for solvers that decompose them."""
        if self.intercept and self.taken is None:
            self._centre()
        return self.rooted(self.X), self.rooted(self.Y)

    def in_double(self):
        """The same problem in float64, or None where it is that already or lies on a device."""
        if self.xp is not np or _eps(self.mean) < 1e-10:
            return None
        X, Y, w = (a if a is None else a.astype(np.float64) for a in (self.X, self.given_y, self.w))
        return Design(X, Y, w, self.intercept)

    def put(self, a):
        """The numpy array a where X is."""
        return a if self.xp is np else self.xp.asarray(np.ascontiguousarray(a)).to(self.Y)

    def shares(self, rows):
        """Weights of the rows, summing to one."""
        w = 0 * self.Y[rows][:, 0] + 1 if self.w is None else self.w[rows]
        return w / w.sum()

    def moments(self, rows):
        """A'WA, A'WY, 1'WA, 1'WY and 1'W1 of some rows, A and Y about the means of all."""
        X, Y, m = self.X[rows], self.Y[rows], self.mean
        w = 0 * Y[:, 0] + 1 if self.w is None else self.w[rows]
        if self.sparse:
            first, total = w @ X, w.sum()
            G = (X.T @ X.multiply(w[:, None]).tocsr()).toarray()
            G += _outer(total * m, m) - _outer(m, first) - _outer(first, m)
            return G, X.T @ (Y * w[:, None]) - _outer(m, w @ Y), first - total * m, w @ Y, total
        A = X - m
        first, root = w @ A, w[:, None] ** 0.5
        A, Z = (A, Y) if self.w is None else (A * root, Y * root)
        return A.T @ A, A.T @ Z, first, w @ Y, w.sum()

    def blocks(self, d):
        """Slices of the rows of a matrix of d columns, small enough for the cache."""
        step = max(4 * d, 2**18 // d)
        return [slice(a, a + step) for a in range(0, self.n, step)]


def design_on(estimator, X, Y, w):
    """The design of a fit, on the device that the estimator names."""
    check_squares(type(estimator).__name__, w, X=X, y=Y)
    arrays = arrays_on(estimator.device, X.dtype)
    if arrays.xp is not np:
        if sparse.issparse(X):
            raise ValueError(
                f"{type(estimator).__name__}: device={estimator.device!r} takes a dense X, but X is "
                "sparse; use device='cpu' or give a dense array."
            )
        Y = Y.astype(X.dtype, copy=False)
        X, Y, w = arrays.put(X), arrays.put(Y), None if w is None else arrays.put(w)
    return Design(X, Y, w, estimator.fit_intercept)


def coefficients(design, beta, ndim):
    """coef_ and intercept_ as users know them, for a y of ndim dimensions."""
    beta = on_host(beta)
    intercept = on_host(design.y_mean) - on_host(design.x_mean) @ beta
    return (np.ascontiguousarray(beta.T), intercept) if ndim == 2 else (beta[:, 0].copy(), intercept[0])


class SPD:
    """Cholesky factor of a positive definite matrix after scaling its diagonal to one."""

    def __init__(self, A):
        self.xp = library(A)
        diagonal = A.diagonal()
        self.size = diagonal.clip(float(self.xp.finfo(A.dtype).tiny)) ** 0.5
        A = A / self.size[:, None] / self.size
        if self.xp is np:
            potrf, pocon = linalg.get_lapack_funcs(("potrf", "pocon"), (A,))
            self.factor, info = potrf(A, lower=False, clean=False)
            self.rcond = 0.0 if info else float(pocon(self.factor, np.linalg.norm(A, 1))[0])
        else:
            self.factor, info = self.xp.linalg.cholesky_ex(A, upper=True)
            # the smallest pivot bounds it from above; the correction steps tell the rest
            self.rcond = 0.0 if bool(info) else float(self.factor.diagonal().min()) ** 2
        self.eps = _eps(A)

    def to(self, dtype):
        """The same factor in another precision."""
        if self.factor.dtype != dtype:
            self.factor, self.size = self.factor.astype(dtype), self.size.astype(dtype)
        return self

    def solve(self, B):
        """Solve A x = B."""
        B = B / self.size[:, None]
        if self.xp is np:
            x = linalg.cho_solve((self.factor, False), B, check_finite=False)
        else:
            x = self.xp.cholesky_solve(B, self.factor, upper=True)
        return x / self.size[:, None]


def inverse_root(factor, size):
    """B with inv(A) = B B', from what an SPD holds (on the host)."""
    R = linalg.solve_triangular(factor, np.eye(len(size), dtype=factor.dtype))
    return R / size[:, None]


def _raise_diagonal(A, alpha):
    if alpha and isinstance(A, np.ndarray):
        A.flat[:: len(A) + 1] += alpha
    elif alpha:
        A.diagonal().add_(alpha)
    return A


def solve_normal(design, alpha=0.0):
    """Solve the normal equations (dual ones for wide X) by Cholesky, and correct the solution.

    Returns (beta, residual or None, SPD), or None where that loses digits. Large equations are made in
    float32: the factor is only the means by which the corrections are found, and these are made of
    residuals in full precision.
    """
    wide = design.d > design.n
    m = min(design.n, design.d)
    double = _eps(design.y_mean) < 1e-10
    rough_first = double and design.in_blocks and m >= WIDE_GRAM
    for rough in (True, False) if rough_first else (False,):
        if wide:
            A, c = design.rough_dual() if rough else design.dual(), design.rooted(design.Y)
            if design.intercept and A is not None:
                # centring makes sqrt(w) a null vector of A and orthogonal to c: there A may be anything
                null = design.rooted(0 * design.Y[:, :1] + 1)[:, 0]
                A += _outer(null, null * (float(A.diagonal().mean()) / design.total))
        else:
            A, c = design.rough_equations() if rough else design.equations()
        factor = None if A is None else SPD(_raise_diagonal(A, alpha))
        # the dual's corrections see their own residuals, not those of beta: less may be lost
        if factor is not None and factor.rcond >= factor.eps ** (1 / 3 if wide else 0.75):
            if double and not rough and factor.xp is np and factor.rcond > 1e-3:  # nothing to correct
                D = factor.solve(c)
                return (design.from_dual(D) if wide else D), None, factor
            found = _corrected(design, factor.to(design.X.dtype), c, alpha, wide)
            if found is not None:
                return *found, factor
    return None


def _corrected(design, factor, c, alpha, wide):
    """Solve the equations, right side c, by steps D <- D + inv(factor) (c - equations D).

    For alpha = 0 these are Bjorck's corrected semi-normal equations. None unless each step is much
    smaller than the last.
    """
    D = factor.solve(c)
    eps = _eps(design.mean)
    last = 1.0
    for _ in range(12):
        if wide:
            R = design.Y - design.times(design.from_dual(D))
            g = design.rooted(R)
        else:
            R, g = design.residual(D)
        move = factor.solve(g - alpha * D)
        D = D + move
        whole, part = (((v * factor.size[:, None]) ** 2).sum(axis=0) ** 0.5 for v in (D, move))
        share = float((part / whole.clip(1e-300 if eps < 1e-10 else 1e-30)).max())
        # `share * share / last` is what the next step would be
        if share * share <= eps * last or share <= eps**0.7:
            return (design.from_dual(D) if wide else D), R
        if not share <= 0.05 * last:
            return None
        last = share
    return None


def solve_conjugate(design, alpha=0.0, max_iter=10_000):
    """Conjugate gradients on the normal equations; from zero, so that alpha = 0 gives least norm.

    Returns (beta, steps, converged). Each target's gradient falls to a share of the first one that
    is near the rounding of the products.
    """
    tol = _eps(design.y_mean) ** 0.65
    # with a penalty the solution is one: columns may be scaled to one size
    squares = np.ones(design.d, design.X.dtype)
    if alpha > 0:
        X = design.X
        w = design.shares(slice(None)) * design.total
        squares = np.asarray(w @ X.multiply(X)).ravel() - design.total * design.mean**2 + alpha
    size = np.sqrt(squares)[:, None]
    R = design.Y.copy()
    g = design.back(R) / size
    B = np.zeros_like(g)
    p, gg = g, (g * g).sum(axis=0)
    goal = tol**2 * gg
    for n_iter in range(max_iter + 1):
        if (gg <= goal).all():
            return B / size, n_iter, True
        q = design.times(p / size)
        r = q if design.w is None else q * design.w[:, None]
        curvature = np.einsum("ij,ij->j", q, r) + alpha * ((p / size) ** 2).sum(axis=0)
        step = np.divide(gg, curvature, out=np.zeros_like(gg), where=(curvature > 0) & (gg > goal))
        B = B + step * p
        R -= step * q
        g = (design.back(R) - alpha * (B / size)) / size
        before, gg = gg, (g * g).sum(axis=0)
        p = g + np.divide(gg, before, out=np.zeros_like(gg), where=before > 0) * p
    return B / size, max_iter, False


def solve_svd(A, Y, alpha=0.0):
    """Ridge or (alpha = 0) least-norm solution, the rank, and B with pinv(A'A) = B B'."""
    xp = library(A)
    U, s, Vt = xp.linalg.svd(A, full_matrices=False)
    cut = max(A.shape) * _eps(A) * float(s.max() if len(s) else 0.0)
    kept = s > (cut if alpha == 0 else 0.0)
    U, s, Vt, rank = U[:, kept], s[kept], Vt[kept], int((s > cut).sum())
    beta = Vt.T @ ((s / (s**2 + alpha))[:, None] * (U.T @ Y))
    return beta, rank, Vt.T / s


def solve_eigen(design, alpha):
    """Ridge on a sparse X with ill-conditioned equations: drop the directions that are rounding."""
    wide = design.d > design.n
    s, V = eigh(_raise_diagonal(design.dual() if wide else design.equations()[0], alpha))
    kept = s > max(0.5 * alpha, 10 * len(s) * _eps(s) * s[-1])
    V, s = V[:, kept], s[kept, None]
    if wide:
        return design.from_dual(V @ (V.T @ design.rooted(design.Y) / s))
    return V @ (V.T @ design.back(design.Y) / s)


def solve_gelsd(A, Y):
    """As solve_svd without the factors: the solution of least norm and the rank."""
    beta, _, rank, _ = linalg.lstsq(A, Y, cond=max(A.shape) * _eps(A), check_finite=False)
    return beta, int(rank), np.zeros((A.shape[1], 0), A.dtype)


def solve_nonnegative(design, alpha=0.0):
    """Least squares, or ridge, of coefficients >= 0 (Lawson and Hanson 1974), through the equations."""
    G, c = (on_host(part).astype(np.float64) for part in design.equations())
    v, V = linalg.eigh(_raise_diagonal(G, alpha), check_finite=False)
    kept = v > v[-1] * len(v) * np.finfo(v.dtype).eps
    root = V[:, kept] * np.sqrt(v[kept])
    right = (V[:, kept].T @ c) / np.sqrt(v[kept])[:, None]
    most = 50 * len(v)
    beta = np.stack([optimize.nnls(root.T, r, maxiter=most)[0] for r in right.T], axis=1)
    return design.put(beta.astype(on_host(design.mean).dtype))


def solve_qr(A, Y):
    """Least squares by the triangular factor of [A Y]; None where columns are dependent."""
    n, d = A.shape
    if n < d:
        return None
    xp = library(A)
    both = xp.concatenate((A, Y), axis=1)
    R = np.linalg.qr(both, mode="r") if xp is np else on_host(xp.linalg.qr(both, mode="r")[1])
    R, z = R[:d, :d], R[:d, d:]
    trcon = linalg.get_lapack_funcs("trcon", (R,))
    if trcon(R)[0] <= max(n, d) * np.finfo(R.dtype).eps:
        return None
    beta = linalg.solve_triangular(R, z, check_finite=False)
    root = linalg.solve_triangular(R, np.eye(d, dtype=R.dtype), check_finite=False)
    return beta if xp is np else xp.asarray(beta).to(A), d, root


def eigh(A):
    """Eigenvalues, rising, and eigenvectors of a symmetric matrix."""
    return linalg.eigh(A, check_finite=False) if isinstance(A, np.ndarray) else library(A).linalg.eigh(A)


def solve_wide(design):
    """Least norm for more columns than rows, by the n x n matrix; None where that loses digits."""
    n, d = design.n, design.d
    v, V = eigh(design.dual())
    eps = _eps(v)
    kept = v > v[-1] * n * eps * 10
    rank = int(kept.sum())
    if not design.sparse and rank and float(v[kept][0]) < eps ** (1 / 3) * float(v[-1]):
        return None
    V, v = V[:, kept], v[kept]
    dual = V @ ((V.T @ design.rooted(design.Y)) / v[:, None])
    return design.from_dual(dual), rank, np.zeros((d, 0), on_host(v).dtype)


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


def descend(design, *, lr, momentum, tol, max_iter, on_step):
    """Full-gradient steps on the mean squared error; a start at zero stays in the span of the rows.

    So the limit is the solution of least norm. Returns beta, steps, converged.
    """

    def product(v):
        v = v[:, None] if design.xp is np else design.xp.asarray(v[:, None]).to(design.X)
        return on_host(design.back(design.times(v)))[:, 0] / design.total

    if lr is None:
        lr = 1.0 / (1.02 * largest_eigenvalue(product, design.d, on_host(design.mean).dtype))
    beta = design.back(0 * design.Y)
    v, start = beta, None
    for n_iter in range(max_iter + 1):
        g = design.back(design.times(beta) - design.Y) / design.total
        size = float(abs(g).max())
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


def descend_stochastically(design, rng, *, lr, momentum, batch_size, tol, max_iter, on_step):
    """Passes over shuffled batches, with a rate that falls like 1 / (1 + pass / 10)."""
    X, Y, mean, n = design.X, design.Y, design.mean, design.n
    share = design.xp.ones_like(Y[:, :1]) if design.w is None else design.w[:, None] * (n / design.total)
    if lr is None:
        squares = np.asarray(X.multiply(X).sum(axis=1)).ravel() if design.sparse else (X * X).sum(axis=1)
        squares = squares - 2 * (X @ mean) + mean @ mean
        lr = 1.0 / max(float((share[:, 0] * squares).max()), 1e-300)
    beta = design.back(0 * Y)
    v, start = beta, None
    for n_iter in range(max_iter + 1):
        size = float(abs(design.back(design.times(beta) - Y)).max())
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
            R = (A @ beta - mean @ beta - Y[at]) * share[at]
            v = momentum * v + (A.T @ R - _outer(mean, R.sum(axis=0))) / len(at)
            beta = beta - rate * v
    return beta, n_iter, False
