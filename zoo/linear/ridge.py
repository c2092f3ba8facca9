"""Ridge regression."""

from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from zoo.contract.declaring import field
from zoo.contract.inputs import Input, Table
from zoo.contract.notices import warn
from zoo.contract.params import Device, NonNegative
from zoo.contract.roles import Regressor
from zoo.contract.targets import Numbers, Target
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
    solver : {"auto", "cholesky", "svd"}, default="auto"
        "cholesky" solves the normal equations (the dual ones when X is wide), "svd" decomposes X;
        "auto" takes cholesky unless the equations are ill-conditioned. Sparse X is never made
        dense, so it has no svd.
    device : str, default="cpu"
        Where a dense X is worked on: "cpu" is numpy, "cuda" (or "auto", "mps") is torch.

    Attributes
    ----------
    coef_ : array of shape (d,) or (targets, d)
        Coefficients.
    intercept_ : float or array of shape (targets,)
        Constant.

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
    solver: Literal["auto", "cholesky", "svd"] = "auto"
    device: Device = "cpu"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        design = ls.design_on(self, X, y[:, None] if y.ndim == 1 else y, w)
        self.coef_, self.intercept_ = ls.coefficients(design, self._solve(design), y.ndim)

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def _solve_large(self, design: ls.Design) -> Any:
        beta, n_iter, done = ls.solve_conjugate(design, self.alpha)
        if not done:
            warn(
                f"Ridge: no convergence in {n_iter} conjugate gradients on the sparse X; raise alpha, "
                "scale the columns of X or use solver='cholesky'.",
                ConvergenceWarning,
            )
        return beta

    def _solve(self, design: ls.Design) -> Any:
        if self.solver == "svd" and design.sparse:
            raise ValueError("Ridge: solver='svd' would make the sparse X dense; use 'auto' or 'cholesky'.")
        if self.solver == "auto" and design.sparse and min(design.n, design.d) > ls.SMALL_SIDE:
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
