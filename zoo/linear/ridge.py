"""Ridge regression."""

from typing import Any, ClassVar, Literal

import numpy as np
from scipy import sparse

from zoo.base import Regressor
from zoo.inputs import Input, Table
from zoo.linear import _least_squares as ls
from zoo.params import NonNegative


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
    multi_output: ClassVar[bool] = True

    alpha: NonNegative = 1.0
    fit_intercept: bool = True
    solver: Literal["auto", "cholesky", "svd"] = "auto"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        Y = y[:, None] if y.ndim == 1 else y
        x_mean, y_mean = ls.means(X, Y, w, self.fit_intercept)
        beta = self._solve(X, Y - y_mean, w, x_mean)
        intercept = y_mean - x_mean @ beta
        self.coef_ = np.ascontiguousarray(beta.T) if y.ndim == 2 else beta[:, 0]
        self.intercept_ = intercept if y.ndim == 2 else intercept[0]

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def _solve(self, X: Any, Y: np.ndarray, w: np.ndarray | None, x_mean: np.ndarray) -> np.ndarray:
        n, d = X.shape
        dense = not sparse.issparse(X)
        if self.solver == "svd" and not dense:
            raise ValueError("Ridge: solver='svd' would make the sparse X dense; use 'auto' or 'cholesky'.")
        if self.solver != "svd":
            if d <= n:
                gram, cross = ls.normal_equations(X, Y, w, x_mean)
                gram.flat[:: d + 1] += self.alpha
                factor = ls.SPD(gram)
                if factor.sound:
                    return factor.solve(cross)
            else:
                root = np.ones(n, X.dtype) if w is None else np.sqrt(w)
                gram = ls.dual_equations(X, w, x_mean)
                gram.flat[:: n + 1] += self.alpha
                factor = ls.SPD(gram)
                if factor.sound:
                    dual = factor.solve(Y * root[:, None]) * root[:, None]
                    return X.T @ dual - np.outer(x_mean, dual.sum(axis=0))
            if self.solver == "auto" and not dense:
                return _solve_eigen(X, Y, w, x_mean, gram, self.alpha)
            if self.solver == "cholesky":
                raise ValueError(
                    f"Ridge: the normal equations are singular to working precision with alpha="
                    f"{self.alpha}; raise alpha or use solver='svd' (dense X)."
                )
        A, B = ls.weighted_copy(X, Y, w, x_mean)
        return ls.solve_svd(A, B, self.alpha)[0]


def _solve_eigen(
    X: Any, Y: np.ndarray, w: np.ndarray | None, x_mean: np.ndarray, gram: np.ndarray, alpha: float
) -> np.ndarray:
    """Sparse X and an ill-conditioned Gram matrix: drop the directions that are rounding alone."""
    s, V = np.linalg.eigh(gram)
    kept = s > max(0.5 * alpha, 10 * len(s) * np.finfo(s.dtype).eps * s[-1])
    V, s = V[:, kept], s[kept, None]
    if len(gram) == X.shape[1]:
        return V @ (V.T @ ls.normal_equations(X, Y, w, x_mean)[1] / s)
    root = np.ones((X.shape[0], 1), X.dtype) if w is None else np.sqrt(w)[:, None]
    dual = V @ (V.T @ (Y * root) / s) * root
    return X.T @ dual - np.outer(x_mean, dual.sum(axis=0))
