"""Linear regression."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from zoo.contract.inputs import Input, Table
from zoo.contract.notices import warn
from zoo.contract.params import Count, Device, Fixed, Positive, Probability, Seed, Tolerance
from zoo.contract.roles import Regressor
from zoo.contract.steps import Steps
from zoo.contract.targets import Numbers, Target
from zoo.engines import accepted
from zoo.engines.linear import least_squares as ls


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
    positive : bool, default=False
        Whether coefficients are kept >= 0 (by solver "auto"); standard errors are those of the free fit.
    random_state : int, RandomState or None, default=None
        Order of the rows in "sgd"; None draws afresh.
    copy_X, n_jobs : bool and int or None, default=True and None
        Taken as in scikit-learn, without effect: X is never changed, BLAS has its own threads.
    device : str, default="cpu"
        Where a dense X is worked on: "cpu" is numpy, "cuda" (or "auto", "mps") is torch.

    Attributes
    ----------
    coef_ : array of shape (d,) or (targets, d)
        Coefficients.
    intercept_ : float or array of shape (targets,)
        Constant.
    rank_ : int
        Independent columns (after centring); the most there can be where nobody looked: descent and
        conjugate gradients.
    sigma_ : float or array of shape (targets,)
        Standard deviation of the errors, with n - rank - 1 degrees of freedom; nan if none are
        left.
    n_iter_ : int
        Steps of descent, or of the conjugate gradients that "auto" takes on a large sparse X; 1 for
        the direct solvers.

    Notes
    -----
    The normal equations square the condition number, so their solution is corrected by its own
    residuals, and is taken only where each correction is much smaller than the last. From 200
    columns on they are made in float32, which the corrections make good; standard errors then have
    about six digits. O(n d min(n, d)) time; X is not copied, unless its means are far from zero.
    Weights are those of precision (variance sigma^2 / w_i). The intervals assume independent normal
    errors of one variance.

    References
    ----------
    Golub and Van Loan (2013), Matrix computations, ch. 5. Seber and Lee (2003), Linear regression
    analysis, ch. 5. Bjorck (1987), Stability analysis of the method of seminormal equations, Linear
    Algebra and its Applications 88.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import LinearRegression
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(LinearRegression().fit(X, y).score(X, y), 3)
    0.518
    """

    input: ClassVar[Input] = Table(sparse=True)
    target: ClassVar[Target] = Numbers(many=True)
    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu",)

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
    positive: Annotated[bool, Fixed("it is what is known of the coefficients")] = False
    random_state: Seed = None
    copy_X: accepted.CopyX = True
    n_jobs: accepted.Threads = None
    device: Device = "cpu"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        Y = y[:, None] if y.ndim == 1 else y
        if self.positive and self.solver != "auto":
            raise ValueError(
                f"LinearRegression: solver={self.solver!r} was given with positive=True, which takes 'auto'."
            )
        design = ls.design_on(self, X, Y, w)
        self.n_iter_, self.rank_ = 1, design.d
        self._factor: tuple[np.ndarray, ...] = ()

        def put(beta: Any) -> None:
            self.coef_, self.intercept_ = ls.coefficients(design, beta, y.ndim)

        if self.solver in ("gradient_descent", "momentum", "sgd"):
            beta, residual = self._descend(design, put, steps), None
        elif self.positive:
            beta, residual = ls.solve_nonnegative(design), None
        else:
            for _ in steps(1, "solve"):
                beta, residual = self._solve(design)
                put(beta)
        put(beta)
        residual = ls.on_host(design.Y - design.times(beta) if residual is None else residual)
        squares = np.array([r @ r if w is None else (w * r) @ r for r in residual.T])
        self._x_mean, self._total = ls.on_host(design.x_mean), design.total
        self._freedom = design.n - self.rank_ - int(self.fit_intercept)
        sigma = np.sqrt(squares / self._freedom) if self._freedom > 0 else squares * np.nan
        self.sigma_ = sigma if y.ndim == 2 else float(sigma[0])
        if not self._factor and design.d <= 2 * ls.SMALL_SIDE:  # descent leaves no factor behind
            v, V = np.linalg.eigh(ls.on_host(design.equations()[0]))
            kept = v > v[-1] * len(v) * np.finfo(v.dtype).eps
            self._factor = (V[:, kept] / np.sqrt(v[kept]),)

    def _solve(self, design: ls.Design) -> tuple[Any, Any]:
        """Return beta and, where it is at hand, the residual; keep the factor and the rank."""
        if self.solver in ("qr", "svd") and design.sparse:
            raise ValueError(
                f"LinearRegression: solver={self.solver!r} would make the sparse X dense; use "
                "'auto' or 'cholesky'."
            )
        tall = design.d <= design.n - self.fit_intercept
        if self.solver == "auto" and design.sparse and min(design.n, design.d) > ls.SMALL_SIDE:
            return self._solve_large(design), None
        if self.solver in ("auto", "cholesky") and tall:
            solved = ls.solve_normal(design)
            if solved is not None:
                beta, residual, factor = solved
                self._factor = ls.on_host(factor.factor), ls.on_host(factor.size)
                return beta, residual
            if self.solver == "auto" and design.sparse:
                # sparse and dependent columns: the small d x d matrix is decomposed instead
                v, V = ls.eigh(design.equations()[0])
                kept = v > v[-1] * design.d * np.finfo(v.dtype).eps * 10
                root = V[:, kept] / np.sqrt(v[kept])
                self._factor, self.rank_ = (root,), int(kept.sum())
                return root @ (root.T @ design.back(design.Y)), None
        found = None
        # near a square the smallest eigenvalues are too small for the n x n equations
        fits = self.solver == "auto" and (design.sparse or 4 * design.n < 3 * design.d)
        if not tall and (fits or self.solver == "cholesky"):
            found = ls.solve_wide(design)
        if found is None and self.solver == "cholesky":
            raise ValueError(
                "LinearRegression: the normal equations are singular to working precision; use "
                "solver='auto' or 'svd'."
            )
        if found is None:
            found = self._decompose(design)
        beta, self.rank_, root = found
        self._factor = (ls.on_host(root),)
        return beta, None

    def _solve_large(self, design: ls.Design) -> Any:
        beta, self.n_iter_, done = ls.solve_conjugate(design, max_iter=self.max_iter)
        self.n_iter_ = max(1, self.n_iter_)
        self.rank_ = min(design.n - self.fit_intercept, design.d)
        if not done:
            warn(
                f"LinearRegression: no convergence in max_iter={self.max_iter} conjugate gradients on "
                "the sparse X; scale its columns, raise max_iter, or use Ridge.",
                ConvergenceWarning,
            )
        return beta

    def _decompose(self, design: ls.Design) -> tuple[Any, int, Any]:
        A, B = design.rooted_copy()
        square = design.d > design.n - self.fit_intercept
        found = ls.solve_qr(A, B) if self.solver == "qr" or (self.solver == "auto" and not square) else None
        if found is not None:
            return found
        if self.solver == "qr":
            warn(
                "LinearRegression: X has dependent columns, which solver='qr' cannot settle; "
                "the solution of least norm was found by svd.",
                ConvergenceWarning,
            )
        if self.solver == "auto" and design.in_blocks:
            found = ls.solve_gelsd(A, B)
            if found[1] < design.d:
                return found
        return ls.solve_svd(A, B)

    def _descend(self, design: ls.Design, put: Any, steps: Steps) -> Any:
        ticks = iter(steps(None, "iteration"))

        def on_step(beta: Any, n_iter: int) -> bool:
            put(beta)
            self.n_iter_ = max(1, n_iter)
            return next(ticks, None) is None

        put(design.back(0 * design.Y))
        budget = {"lr": self.lr, "tol": self.tol, "max_iter": self.max_iter, "on_step": on_step}
        if self.solver == "sgd":
            beta, n_iter, done = ls.descend_stochastically(
                design, self._random_source(), momentum=self.momentum, batch_size=self.batch_size, **budget
            )
        else:
            momentum = self.momentum if self.solver == "momentum" else 0.0
            beta, n_iter, done = ls.descend(design, momentum=momentum, **budget)
        self.n_iter_ = max(1, n_iter)
        if not done and n_iter >= self.max_iter:
            warn(
                f"LinearRegression: no convergence in max_iter={self.max_iter} steps of "
                f"{self.solver}; scale the columns of X, or use a direct solver.",
                ConvergenceWarning,
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
        check_is_fitted(self)
        d = len(self._x_mean)
        if self.rank_ < d:
            raise ValueError(
                f"LinearRegression: X has rank {self.rank_} < {d} columns, so that "
                "single coefficients have no standard error; drop columns or use Ridge."
            )
        if not self._factor:
            raise ValueError(
                f"LinearRegression: standard errors need the inverse of a {d} x {d} matrix, which was not "
                "made for a sparse X or by descent on so many columns; use fewer, or a dense X."
            )
        return self._factor[0] if len(self._factor) == 1 else ls.inverse_root(*self._factor)

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
