"""Ridge regression under many penalties, and its errors on rows that were left out.

One decomposition `sqrt(W) A = U sqrt(s) V'` serves every penalty. It is made of the equations, of
columns or of rows, where these keep enough digits, and else of the matrix itself.
"""

import numpy as np

from zoo.engines.linear.least_squares import Design, _outer, eigh, library, on_host


def decompose(design, alphas):
    """Return the directions in which ridge regression shrinks, by the cheapest way that is exact."""
    tall = design.d < design.n - design.intercept
    found = ByColumns(design) if tall else ByRows.of_equations(design)
    if found.keeps_digits(alphas):
        return found
    finer = design.in_double()
    if finer is not None:
        return decompose(finer, np.asarray(alphas, np.float64))
    return found if design.sparse else ByRows.of_matrix(design)


def _keep_digits(s, alphas):
    """Whether s + alpha is known to many digits, s being eigenvalues of squares, rising."""
    if not len(s):
        return True
    s = on_host(s)
    least = 1e-8 if s.dtype == np.float64 else 1e-2
    return bool(s[0].clip(0) + np.min(alphas) >= least * s[-1])


class ByColumns:
    """V and s from A'WA, for fewer columns than rows."""

    def __init__(self, design):
        self.design = design
        self.gram, self.cross = design.equations()
        self.found, self.V = eigh(self.gram)
        self.s = self.found.clip(0)
        self.c = self.V.T @ self.cross

    def keeps_digits(self, alphas):
        """Whether the equations are good enough for these penalties."""
        return _keep_digits(self.found, alphas)

    def solve(self, alpha):
        """The solution for alpha, one a target."""
        return self.V @ (self.c / (self.s[:, None] + self.design.put(alpha)))

    def leave_one_out(self, alphas, take):
        """Call take(rows, e) with the errors e_i / (1 - h_i), (rows, alphas, targets)."""
        design = self.design
        own = _own_shares(design)
        shrink = 1 / (self.s[:, None] + design.put(alphas))
        weights, Y = design.w, design.Y
        for rows in design.blocks(design.d):
            Q = design.X[rows] @ self.V - design.mean @ self.V
            h = own[rows, None] + ((Q * Q) @ shrink) * (1 if weights is None else weights[rows, None])
            r = [Y[rows, t][:, None] - Q @ (self.c[:, t][:, None] * shrink) for t in range(Y.shape[1])]
            _take_ratios(design, alphas, np.arange(design.n)[rows], r, 1 - h, take)

    def leave_parts_out(self, alphas, splits, take):
        """Call take(test rows, errors) for every pair (train, test).

        Where a test part is what its training part lacks, the equations of the training part are
        those of all rows less those of the test part, all about the common mean.
        """
        design = self.design
        everything = self.gram, self.cross, 0 * design.mean, 0 * design.y_mean, design.total
        for train, test in splits:
            if is_rest(train, test, design.n):
                moments = [p - q for p, q in zip(everything, design.moments(test), strict=True)]
            else:
                moments = design.moments(train)
            G, c, mx, my, total = moments
            if design.intercept:
                G, c = G - _outer(mx, mx) / total, c - _outer(mx, my) / total
                mx, my = mx / total, my / total
            else:
                mx, my = 0 * mx, 0 * my
            s, V = eigh(G)
            if not design.sparse and not _keep_digits(s, alphas):
                _leave_out(design, alphas, train, test, take)
                continue
            z = V.T @ c
            shrink = 1 / (s.clip(0)[:, None] + design.put(alphas))
            X, Y = design.X[test], design.Y[test]
            errors = []
            for t in range(Y.shape[1]):
                B = V @ (z[:, t][:, None] * shrink)
                errors.append(on_host(Y[:, t][:, None] - my[t] - (X @ B - (design.mean + mx) @ B)))
            take(test, np.stack(errors, axis=2))


class ByRows:
    """U and s from sqrt(W) A A' sqrt(W) for wide X, or from sqrt(W) A itself for any.

    Centring makes sqrt(w) a null vector of the rows' products. It is no direction of ridge regression, so U
    spans what is orthogonal to it: with an eigenvalue of rounding in its place, the residual and
    1 - h, which vanish with alpha, would be noise over noise.
    """

    def __init__(self, design, s, U, back, of_values=False):
        self.design, self.found, self.U, self.back, self.of_values = design, s, U, back, of_values
        self.s = s.clip(0)
        self.Z = design.rooted(design.Y)
        self.c = U.T @ self.Z

    @classmethod
    def of_equations(cls, design):
        """From the n x n equations."""
        K = design.dual()
        if not design.intercept:
            s, U = eigh(K)
        else:
            # a reflection takes sqrt(w) to the last axis, which is then left out
            v = design.rooted(0 * design.Y[:, :1] + 1)[:, 0]
            v = v / (v @ v) ** 0.5
            v[-1] += 1.0
            v = v / (v @ v) ** 0.5
            p = K @ v
            p = 2 * (p - (v @ p) * v)
            K = K - _outer(v, p) - _outer(p, v)
            s, T = eigh(K[:-1, :-1])
            U = -2 * _outer(v, v[:-1] @ T)
            U[:-1] += T
        found = cls(design, s, U, None)
        found.back = lambda shrunk: design.from_dual(U @ shrunk)
        return found

    @classmethod
    def of_matrix(cls, design):
        """From singular values, which know small directions to all digits."""
        A, _ = design.rooted_copy()
        xp = library(A)
        U, root, Vt = xp.linalg.svd(A, full_matrices=False)
        cut = max(A.shape) * float(xp.finfo(A.dtype).eps) * float(root.max() if len(root) else 0.0)
        kept = root > cut
        U, root, Vt = U[:, kept], root[kept], Vt[kept]
        return cls(design, root**2, U, lambda shrunk: Vt.T @ (root[:, None] * shrunk), True)

    def keeps_digits(self, alphas):
        """Whether the equations are good enough for these penalties."""
        return _keep_digits(self.found, alphas)

    def solve(self, alpha):
        """The solution for alpha, one a target."""
        return self.back(self.c / (self.s[:, None] + self.design.put(alpha)))

    def leave_one_out(self, alphas, take):
        """Call take(rows, e) with the errors e_i / (1 - h_i), (rows, alphas, targets).

        1 - h and the residual are both made of alpha / (s + alpha): nothing cancels.
        """
        design, U = self.design, self.U
        a = design.put(alphas)
        left = a / (self.s[:, None] + a)
        room = (U * U) @ left
        rest = 0 * self.Z
        if U.shape[1] < design.n - design.intercept:
            room = room + (1 - _own_shares(design) - (U * U).sum(axis=1))[:, None]
            rest = self.Z - U @ self.c
        residuals = []
        for t in range(self.Z.shape[1]):
            r = rest[:, t][:, None] + U @ (self.c[:, t][:, None] * left)
            residuals.append(r if design.w is None else r / design.rooted(r * 0 + 1))
        _take_ratios(design, alphas, np.arange(design.n), residuals, room, take)

    def leave_parts_out(self, alphas, splits, take):
        """Call take(test rows, errors) for every pair: by its rows' n x n products, made once."""
        design = self.design
        if self.of_values:
            for train, test in splits:
                _leave_out(design, alphas, train, test, take)
            return
        whole = Design(design.X, design.Y, None, False)
        whole._mean = design.mean
        K, put = whole.dual(), design.put
        a = put(alphas)
        for train, test in splits:
            v = design.shares(train)
            share = v if design.intercept else 0 * v
            A, B = K[train][:, train], K[test][:, train]
            m = A @ share
            A = A - m - m[:, None] + share @ m
            B = B - m - (B @ share)[:, None] + share @ m
            y0 = share @ design.Y[train]
            # weights as they are, not their shares: alpha is beside the sum of squares
            root = (v * (len(train) if design.w is None else float(design.w[train].sum()))) ** 0.5
            s, U = eigh(A * root * root[:, None])
            z = U.T @ ((design.Y[train] - y0) * root[:, None])
            shrink = 1 / (s.clip(0)[:, None] + a)
            errors = []
            for t in range(design.Y.shape[1]):
                dual = (U @ (z[:, t][:, None] * shrink)) * root[:, None]
                errors.append(on_host(design.Y[test][:, t][:, None] - y0[t] - B @ dual))
            take(test, np.stack(errors, axis=2))


def _own_shares(design):
    """The share of each row in the mean that the intercept follows."""
    part = np.full(design.n, 1 / design.n, on_host(design.mean).dtype)
    part = part if design.w is None else on_host(design.w) / design.total
    return design.put(part if design.intercept else 0 * part)


def _take_ratios(design, alphas, rows, residuals, room, take):
    """Take e / (1 - h); rows that alone decide their prediction, h = 1, are left out in earnest."""
    room = on_host(room)
    alone = (room <= 4 * np.finfo(room.dtype).eps).any(axis=1)
    room = np.where(alone[:, None], 1, room)
    errors = np.stack([on_host(r) for r in residuals], axis=2) / room[:, :, None]
    take(rows[~alone], errors[~alone])
    for i in rows[alone]:
        _leave_out(design, alphas, np.delete(np.arange(design.n), i), np.array([i]), take)


def _leave_out(design, alphas, train, test, take):
    """One pair (train, test) by the singular values of the training rows."""
    # Singular values of a sparse matrix are those of its dense form; there are few such rows.
    X, held = (design.X[rows].toarray() if design.sparse else design.X[rows] for rows in (train, test))
    part = Design(X, design.given_y[train], None if design.w is None else design.w[train], design.intercept)
    part = part.in_double() or part
    found = ByRows.of_matrix(part)
    Y = design.given_y[test]
    Z, k = held - part.x_mean, Y.shape[1]
    errors = [on_host(Y - part.y_mean - Z @ found.solve(np.full(k, a))) for a in alphas]
    take(test, np.stack(errors, axis=1))


def is_rest(train, test, n):
    """Whether train and test together are each row once."""
    times = np.bincount(np.concatenate([train, test]), minlength=n)
    return bool((times == 1).all())
