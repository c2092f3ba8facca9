"""Linear regression."""

import warnings
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import sparse, stats
from sklearn.exceptions import ConvergenceWarning

from zoo.base import Regressor, Steps
from zoo.inputs import Input, Table
from zoo.linear import _least_squares as ls
from zoo.params import Count, Fixed, Positive, Probability, Seed, Tolerance


class LinearRegression(Regressor):
    r"""Least squares, with the errors of what it found.

    Where the columns leave the solution open, the one of least norm is given: the point that
    gradient descent from zero goes to. Coefficients and predictions come with standard errors and
    intervals.

    .. math::
        \min_\beta \; \sum_i w_i (y_i - \beta_0 - \langle x_i, \beta\rangle)^2, \qquad
        \operatorname{cov}(\beta) = \sigma^2 (X^\top W X)^{-1}

    Parameters
    ----------
    fit_intercept : bool, default=True
        Whether to fit the constant.
    solver : str, default="auto"
        "cholesky", "qr", "svd", "gradient_descent", "momentum", "sgd" or "auto", which
        solves the normal equations where they are well conditioned, else takes qr, and svd where
        columns are dependent. "gradient_descent", "momentum" and "sgd" descend.
    lr : float or None, default=None
        Step of descent; None is one over the largest curvature.
    momentum : float, default=0.9
        Share of the last step that "momentum" and "sgd" keep.
    batch_size : int, default=64
        Rows in a step of "sgd".
    tol : float, default=1e-8
        Descent stops when the gradient is this small beside the first one.
    max_iter : int, default=10000
        Most steps of descent (passes for "sgd").
    random_state : int, RandomState or None, default=None
        Order of the rows in "sgd"; None is 0.

    Attributes
    ----------
    coef_ : array of shape (d,) or (targets, d)
        Coefficients.
    intercept_ : float or array of shape (targets,)
        Constant.
    rank_ : int
        Independent columns (after centring); d for descent, which does not look.
    sigma_ : float or array of shape (targets,)
        Standard deviation of the errors, with n - rank - 1 degrees of freedom; nan if none are
        left.
    n_iter_ : int
        Steps of descent; 1 for the direct solvers.

    Notes
    -----
    The normal equations square the condition number, so they are used only where 1e-16 of it leaves
    ten digits. O(n d min(n, d)) time; a dense X is not copied by them. Weights are those of
    precision (variance sigma^2 / w_i). The intervals assume independent normal errors of one
    variance.

    References
    ----------
    Golub and Van Loan (2013), Matrix computations, ch. 5. Seber and Lee (2003), Linear regression
    analysis, ch. 5.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import LinearRegression
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(LinearRegression().fit(X, y).score(X, y), 3)
    0.518
    """

    input: ClassVar[Input] = Table(sparse=True)
    multi_output: ClassVar[bool] = True

    fit_intercept: bool = True
    solver: Annotated[
        Literal["auto", "cholesky", "qr", "svd", "gradient_descent", "momentum", "sgd"],
        Fixed("all reach the same optimum"),
    ] = "auto"
    lr: Annotated[Positive | None, Fixed("it sets the speed, not the optimum")] = None
    momentum: Annotated[Probability, Fixed("it sets the speed, not the optimum")] = 0.9
    batch_size: Annotated[Count, Fixed("it sets the speed, not the optimum")] = 64
    tol: Tolerance = 1e-8
    max_iter: Annotated[Count, Fixed("a budget, not a property of the model")] = 10_000
    random_state: Seed = None

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        Y = y[:, None] if y.ndim == 1 else y
        self._x_mean, y_mean = ls.means(X, Y, w, self.fit_intercept)
        self._root: np.ndarray | None = None
        self.n_iter_, self.rank_ = 1, X.shape[1]
        Yc = Y - y_mean

        def put(beta: np.ndarray) -> None:
            intercept = y_mean - self._x_mean @ beta
            self.coef_ = np.ascontiguousarray(beta.T) if y.ndim == 2 else beta[:, 0]
            self.intercept_ = intercept if y.ndim == 2 else intercept[0]

        if self.solver in ("gradient_descent", "momentum", "sgd"):
            beta = self._descend(X, Yc, w, put, steps)
        else:
            for _ in steps(1, "solve"):
                beta = self._solve(X, Yc, w)
                put(beta)
        put(beta)
        residual = Y - X @ beta - (y_mean - self._x_mean @ beta)
        squares = np.einsum("ij,ij->j", residual, residual if w is None else residual * w[:, None])
        self._total = float(len(Y) if w is None else w.sum())
        self._freedom = len(Y) - self.rank_ - int(self.fit_intercept)
        sigma = np.sqrt(squares / self._freedom) if self._freedom > 0 else squares * np.nan
        self.sigma_ = sigma if y.ndim == 2 else float(sigma[0])
        if self._root is None:  # descent leaves no factor behind: keep what one needs
            self._gram = ls.normal_equations(X, Yc, w, self._x_mean)[0]

    def _solve(self, X: Any, Y: np.ndarray, w: np.ndarray | None) -> np.ndarray:
        n, d = X.shape
        dense = not sparse.issparse(X)
        if self.solver in ("qr", "svd") and not dense:
            raise ValueError(
                f"LinearRegression: solver={self.solver!r} would make the sparse X dense; use "
                "'auto' or 'cholesky'."
            )
        if self.solver in ("auto", "cholesky") and d <= n - self.fit_intercept:
            gram, cross = ls.normal_equations(X, Y, w, self._x_mean)
            factor = ls.SPD(gram)
            if factor.sound:
                self._root = factor.inverse_diagonal_root()
                return factor.solve(cross)
            if self.solver == "auto" and not dense:
                # sparse and dependent columns: the small d x d matrix is decomposed instead
                v, V = np.linalg.eigh(gram)
                kept = v > v[-1] * d * np.finfo(v.dtype).eps * 10
                self.rank_ = int(kept.sum())
                self._root = V[:, kept] / np.sqrt(v[kept])
                return self._root @ (self._root.T @ cross)
        found = None
        if self.solver in ("auto", "cholesky") and d > n - self.fit_intercept:
            found = ls.solve_wide(X, Y, w, self._x_mean)
        if found is not None:
            beta, self.rank_, self._root = found
            return beta
        if self.solver == "cholesky":
            raise ValueError(
                "LinearRegression: the normal equations are singular to working precision; use "
                "solver='auto' or 'svd'."
            )
        A, B = ls.weighted_copy(X, Y, w, self._x_mean)
        found = ls.solve_qr(A, B) if self.solver in ("auto", "qr") else None
        if found is None:
            if self.solver == "qr":
                warnings.warn(
                    "LinearRegression: X has dependent columns, which solver='qr' cannot settle; "
                    "the solution of least norm was found by svd.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
            found = ls.solve_svd(A, B)
        beta, self.rank_, self._root = found
        return beta

    def _descend(self, X: Any, Y: np.ndarray, w: np.ndarray | None, put: Any, steps: Steps) -> np.ndarray:
        ticks = iter(steps(None, "iteration"))

        def on_step(beta: np.ndarray, n_iter: int) -> bool:
            put(beta)
            self.n_iter_ = max(1, n_iter)
            return next(ticks, None) is None

        put(np.zeros((X.shape[1], Y.shape[1]), X.dtype))
        budget = {"lr": self.lr, "tol": self.tol, "max_iter": self.max_iter, "on_step": on_step}
        if self.solver == "sgd":
            rng = self._random_source()
            beta, n_iter, done = ls.descend_stochastically(
                X, Y, w, self._x_mean, rng, momentum=self.momentum, batch_size=self.batch_size,
                **budget,
            )  # fmt: skip
        else:
            momentum = self.momentum if self.solver == "momentum" else 0.0
            beta, n_iter, done = ls.descend(X, Y, w, self._x_mean, momentum=momentum, **budget)
        self.n_iter_ = max(1, n_iter)
        if not done and n_iter >= self.max_iter:
            warnings.warn(
                f"LinearRegression: no convergence in max_iter={self.max_iter} steps of "
                f"{self.solver}; scale the columns of X, or use a direct solver.",
                ConvergenceWarning,
                stacklevel=5,
            )
        return beta

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the predictions, and with ``return_std`` the errors of new observations too."""
        s = super().predict(X)
        return (s, self.predict_std(X)) if return_std else s

    def _inverse_root(self) -> np.ndarray:
        """B with (X'WX)^-1 = B B'."""
        if self._root is None:
            v, V = np.linalg.eigh(self._gram)
            kept = v > v[-1] * len(v) * np.finfo(v.dtype).eps
            self._root = V[:, kept] / np.sqrt(v[kept])
        if self.rank_ < len(self._root):
            raise ValueError(
                f"LinearRegression: X has rank {self.rank_} < {len(self._root)} columns, so that "
                "single coefficients have no standard error; drop columns or use Ridge."
            )
        return self._root

    def standard_errors(self) -> tuple[np.ndarray, Any]:
        """Return the standard errors of ``coef_`` and of ``intercept_``, shaped like them."""
        B = self._inverse_root()
        spread = np.sqrt(np.einsum("ij,ij->i", B, B))
        m = self._x_mean @ B
        constant = np.sqrt(1 / self._total + m @ m) if self.fit_intercept else 0.0
        sigma = np.asarray(self.sigma_)
        return sigma[..., None] * spread, sigma * constant

    def confidence_interval(self, level: float = 0.95) -> np.ndarray:
        """Return the interval of each coefficient, (..., d, 2)."""
        half = stats.t.ppf(0.5 + level / 2, self._freedom) * self.standard_errors()[0]
        return np.stack([self.coef_ - half, self.coef_ + half], axis=-1)

    def predict_std(self, X: Any, of: Literal["mean", "observation"] = "observation") -> np.ndarray:
        """Return the standard error of the predicted mean, or of a new observation of weight 1."""
        X = self._checked(X)
        B = self._inverse_root()
        Z = X @ B - self._x_mean @ B
        h = np.einsum("ij,ij->i", Z, Z) + (1 / self._total if self.fit_intercept else 0.0)
        h = h + (of == "observation")
        return np.multiply.outer(np.sqrt(h), np.asarray(self.sigma_))

    def predict_interval(
        self, X: Any, level: float = 0.95, of: Literal["mean", "observation"] = "observation"
    ) -> np.ndarray:
        """Return the interval of each prediction, (n, ..., 2)."""
        s = self.predict(X)
        half = stats.t.ppf(0.5 + level / 2, self._freedom) * self.predict_std(X, of)
        return np.stack([s - half, s + half], axis=-1)
