"""Piecewise linear regression."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import linalg, optimize

from zoo.contract.inputs import Input, Table
from zoo.contract.params import Count, Fixed, Positive, Search
from zoo.contract.roles import Regressor
from zoo.contract.steps import Steps
from zoo.engines.linear import least_squares as ls
from zoo.engines.magnitudes import check_squares


class PiecewiseLinearRegressor(Regressor):
    r"""A broken line in each column, summed over the columns.

    Breakpoints are set beforehand and the changes of slope there are learned, under an l2 or l1
    penalty or, without any, as the solution of least norm: then the test error falls, peaks where
    there are as many breakpoints as rows, and falls again. The line can be made monotone, convex or
    concave.

    .. math::
        f(x) = \beta_0 + \sum_k \Bigl( \gamma_k x_k
          + \sum_{j=1}^p \beta_{kj} \max(0, x_k - b_{kj}) \Bigr)

    Parameters
    ----------
    n_breakpoints : int, default=10
        p, for each column.
    placement : {"uniform", "quantile"}, default="uniform"
        Equally spaced between the smallest and the largest value, or at quantiles.
    penalty : {"l2", "l1", "min_norm"}, default="l2"
        On gamma and beta.
    alpha : float, default=1e-3
        Strength of the penalty, per unit of weight; no use for "min_norm".
    monotone : {"increasing", "decreasing"} or None, default=None
        Constraint on every column, with penalty "l2".
    curvature : {"convex", "concave"} or None, default=None
        Constraint on every column, with penalty "l2".

    Attributes
    ----------
    breakpoints_ : array of shape (d, p)
        The breakpoints.
    slopes_ : array of shape (d, p + 1)
        gamma and beta: the slope on the left and its changes. Columns are scaled to [0, 1] before
        the penalty applies; these are in units of X.
    intercept_ : float
        The constant.

    Notes
    -----
    The textbook's features alone are constant on the left of the first breakpoint; gamma lets the
    line have a slope there. Columns are treated additively. "l2" is (1 / sum w) sum_i w_i e_i^2 /
    2 + alpha |beta|^2 / 2, so that lambda of the textbook is alpha n / 2. O(n (d p)^2), for
    "min_norm" with more features than rows O(n^2 d p). Constraints are solved in the dual, by
    non-negative least squares.

    References
    ----------
    Belkin, Hsu, Ma and Mandal (2019), Reconciling modern machine-learning practice and the
    classical bias-variance trade-off, PNAS 116. Lawson and Hanson (1974), Solving least squares
    problems, ch. 23.

    Examples
    --------
    >>> import numpy as np
    >>> from zoo import PiecewiseLinearRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> m = PiecewiseLinearRegressor(n_breakpoints=9, alpha=1e-6).fit(X, np.abs(X[:, 0]))
    >>> round(m.score(X, np.abs(X[:, 0])), 3)
    1.0
    """

    input: ClassVar[Input] = Table()

    n_breakpoints: Annotated[Count, Search(2, 100, log=True)] = 10
    placement: Literal["uniform", "quantile"] = "uniform"
    penalty: Literal["l2", "l1", "min_norm"] = "l2"
    alpha: Annotated[Positive, Search(1e-8, 1.0, log=True)] = 1e-3
    monotone: Annotated[
        Literal["increasing", "decreasing"] | None, Fixed("it is what is known of the function")
    ] = None
    curvature: Annotated[
        Literal["convex", "concave"] | None, Fixed("it is what is known of the function")
    ] = None

    def _learn(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        if (self.monotone or self.curvature) and self.penalty != "l2":
            raise ValueError(
                f"PiecewiseLinearRegressor: penalty={self.penalty!r} was given with a constraint; "
                "monotone and curvature take penalty='l2'."
            )
        check_squares(type(self).__name__, w, X=X, y=y)
        low, high = X.min(axis=0), X.max(axis=0)
        self._low, self._span = low, np.where(high > low, high - low, 1)
        p = self.n_breakpoints
        share = np.arange(1, p + 1) / (p + 1)
        if self.placement == "uniform":
            self.breakpoints_ = low[:, None] + (high - low)[:, None] * share
        else:
            self.breakpoints_ = _weighted_quantiles(X, w, share)
        self.breakpoints_ = self.breakpoints_.astype(X.dtype)
        Z = self._features(X)
        total = len(y) if w is None else w.sum()
        share_w = np.full(len(y), 1 / len(y), X.dtype) if w is None else w / total
        z_mean, y_mean = share_w @ Z, share_w @ y
        solve = {"l2": self._solve_l2, "l1": self._solve_l1, "min_norm": self._solve_least_norm}
        for _ in steps(1, "solve"):
            beta = solve[self.penalty](Z, y - y_mean, share_w, z_mean)
            self.intercept_ = float(y_mean - z_mean @ beta)
            # the features are (x - low) / span and its breaks: back to units of X
            self.slopes_ = beta.reshape(X.shape[1], p + 1) / self._span[:, None]
            self._beta = beta

    def _features(self, X: np.ndarray) -> np.ndarray:
        U = (X - self._low) / self._span
        B = (self.breakpoints_ - self._low[:, None]) / self._span[:, None]
        breaks = np.maximum(U[:, :, None] - B, 0)
        return np.concatenate([U[:, :, None], breaks], axis=2).reshape(len(X), -1)

    def _output(self, X: np.ndarray) -> np.ndarray:
        return (self._features(X) @ self._beta + self.intercept_).astype(self.dtype_, copy=False)

    def _solve_l2(self, Z: np.ndarray, y: np.ndarray, w: np.ndarray, mean: np.ndarray) -> Any:
        gram, cross = ls.Design(Z, y[:, None], w, True).equations()
        gram.flat[:: len(gram) + 1] += self.alpha
        factor = linalg.cholesky(gram, lower=True)
        free = linalg.cho_solve((factor, True), cross[:, 0])
        G = self._constraints(len(self.breakpoints_))
        if G is None or (G @ free >= 0).all():
            return free
        # min |L'b - L^-1 c|^2 under G b >= 0: the multipliers are non-negative least squares
        M = linalg.solve_triangular(factor, G.T, lower=True)
        multipliers, _ = optimize.nnls(M, -factor.T @ free, maxiter=50 * len(G))
        return free + linalg.cho_solve((factor, True), G.T @ multipliers)

    def _constraints(self, d: int) -> np.ndarray | None:
        """Rows g with g beta >= 0: all slopes, and all their changes, of one sign."""
        one = []
        if self.monotone:
            sign = 1 if self.monotone == "increasing" else -1
            one.append(sign * np.tril(np.ones((self.n_breakpoints + 1,) * 2)))
        if self.curvature:
            sign = 1 if self.curvature == "convex" else -1
            one.append(sign * np.eye(self.n_breakpoints + 1)[1:])
        return linalg.block_diag(*[np.vstack(one)] * d) if one else None

    def _solve_l1(self, Z: np.ndarray, y: np.ndarray, w: np.ndarray, mean: np.ndarray) -> Any:
        from zoo.engines.linear import descent

        gram, cross = ls.Design(Z, y[:, None], w, True).equations()
        data = descent.Gram(gram, cross, [w @ y**2])
        top = float(np.abs(cross).max())
        falls = np.geomspace(top, self.alpha, 10)[1:] if top > self.alpha else [self.alpha]
        return descent.path(data, 0, np.asarray(falls), 1.0, 1e-9, 100_000)[0][-1]

    def _solve_least_norm(self, Z: np.ndarray, y: np.ndarray, w: np.ndarray, mean: np.ndarray) -> Any:
        root = np.sqrt(w)
        return linalg.lstsq((Z - mean) * root[:, None], y * root, lapack_driver="gelsd")[0]


def _weighted_quantiles(X: np.ndarray, w: np.ndarray | None, share: np.ndarray) -> np.ndarray:
    if w is None:
        w = np.ones(len(X))
    out = np.empty((X.shape[1], len(share)))
    for k, column in enumerate(X.T):
        values, inverse = np.unique(column, return_inverse=True)
        mass = np.cumsum(np.bincount(inverse, w))
        # the middle of each value's mass: a row of weight 2 is two rows
        middle = (mass - np.diff(mass, prepend=0) / 2) / mass[-1]
        out[k] = np.interp(share, middle, values)
    return out
