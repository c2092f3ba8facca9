"""Ridge regression."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from zoo.contract.declaring import field
from zoo.contract.inputs import Input, Table
from zoo.contract.notices import warn
from zoo.contract.params import Count, Device, Fixed, NonNegative, Tolerance
from zoo.contract.roles import Regressor
from zoo.contract.targets import Numbers, Target
from zoo.engines import accepted
from zoo.engines.linear import least_squares as ls


class Ridge(Regressor):
    r"""Least squares with a penalty on the squared size of the coefficients.

    The penalty shrinks directions of X in which the data say little, so that nearly collinear or
    too many columns do no harm. The solution is unique for every ``alpha`` > 0.

    .. math::
        \min_\beta \; \sum_i w_i (y_i - \beta_0 - \langle x_i, \beta\rangle)^2 + \alpha |\beta|^2,
        \qquad \beta = (X^\top W X + \alpha I)^{-1} X^\top W y

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty; 0 is least squares.
    fit_intercept : bool, default=True
        Whether to fit the unpenalised constant.
    positive : bool, default=False
        Whether coefficients are kept >= 0 (with solver "auto" or "lbfgs").
    solver : {"auto", "cholesky", "svd", ...}, default="auto"
        "cholesky" solves the normal equations (the dual ones when X is wide), "svd" decomposes X;
        "auto" takes cholesky unless the equations are ill-conditioned. Sparse X is never made
        dense, so it has no svd. scikit-learn's "lsqr", "sparse_cg", "sag", "saga" and "lbfgs" solve the
        same problem and are "auto" here.
    max_iter : int or None, default=None
        Most conjugate gradients on a large sparse X; None is 10,000.
    tol, copy_X, random_state : number, bool and seed
        Taken as in scikit-learn, without effect: the solution is exact to rounding.
    device : str, default="cpu"
        Where a dense X is worked on: "cpu" is numpy, "cuda" (or "auto", "mps") is torch.

    Attributes
    ----------
    coef_ : array of shape (d,) or (targets, d)
        Coefficients.
    intercept_ : float or array of shape (targets,)
        Constant.
    n_iter_ : int
        Conjugate gradients taken; 1 for the direct solvers.

    Notes
    -----
    The textbook's half squared loss with penalty lambda is ``alpha = 2 lambda`` here, the meaning
    that scikit-learn's users know. Time is O(n d min(n, d)), memory O(min(n, d)^2) above X.
    Equations of 200 columns or more are made in float32, and their solution is corrected by
    residuals in the precision of X until nothing changes.
    Where single coefficients should be exactly zero, use Lasso.

    References
    ----------
    Hoerl and Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems,
    Technometrics 12(1).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(Ridge(alpha=0.1).fit(X, y).score(X, y), 3)
    0.513
    """

    input: ClassVar[Input] = Table(sparse=True)
    target: ClassVar[Target] = Numbers(many=True)
    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu",)

    alpha: NonNegative = field(default=1.0, kw_only=False)
    fit_intercept: bool = True
    positive: Annotated[bool, Fixed("it is what is known of the coefficients")] = False
    solver: Annotated[
        Literal["auto", "cholesky", "svd", "lsqr", "sparse_cg", "sag", "saga", "lbfgs"],
        Fixed("all reach the same optimum"),
    ] = "auto"
    max_iter: Annotated[Count | None, Fixed("a budget, not a property of the model")] = None
    tol: Tolerance = 1e-4
    copy_X: accepted.CopyX = True
    random_state: accepted.Draw = None
    device: Device = "cpu"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        design = ls.design_on(self, X, y[:, None] if y.ndim == 1 else y, w)
        self.n_iter_ = 1
        self.coef_, self.intercept_ = ls.coefficients(design, self._solve(design), y.ndim)

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def _solve_large(self, design: ls.Design) -> Any:
        beta, self.n_iter_, done = ls.solve_conjugate(design, self.alpha, self.max_iter or 10_000)
        if not done:
            warn(
                f"Ridge: no convergence in {self.n_iter_} conjugate gradients on the sparse X; raise alpha, "
                "scale the columns of X or use solver='cholesky'.",
                ConvergenceWarning,
            )
        return beta

    def _solve(self, design: ls.Design) -> Any:
        if self.positive:
            if self.solver not in ("auto", "lbfgs"):
                raise ValueError(
                    f"Ridge: solver={self.solver!r} was given with positive=True, which takes 'auto'."
                )
            return ls.solve_nonnegative(design, self.alpha)
        if self.solver == "svd" and design.sparse:
            raise ValueError("Ridge: solver='svd' would make the sparse X dense; use 'auto' or 'cholesky'.")
        small = min(design.n, design.d) <= ls.SMALL_SIDE
        if self.solver not in ("cholesky", "svd") and design.sparse and not small:
            return self._solve_large(design)
        if self.solver != "svd":
            found = ls.solve_normal(design, self.alpha)
            if found is not None:
                return found[0]
            if self.solver == "cholesky":
                raise ValueError(
                    f"Ridge: the normal equations are singular to working precision with alpha="
                    f"{self.alpha}; raise alpha or use solver='svd' (dense X)."
                )
            if design.sparse:
                return ls.solve_eigen(design, self.alpha)
        A, Y = design.rooted_copy()
        return ls.solve_svd(A, Y, self.alpha)[0]
