"""Ridge regression."""

from typing import Any, ClassVar, Literal

import numpy as np
from scipy import linalg

from zoo.base import Regressor
from zoo.inputs import Input, Table
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
        x_mean, y_mean = self._means(X, Y, w)
        beta = self._solve(X, Y - y_mean, w, x_mean)
        intercept = y_mean - x_mean @ beta
        self.coef_ = np.ascontiguousarray(beta.T) if y.ndim == 2 else beta[:, 0]
        self.intercept_ = intercept if y.ndim == 2 else intercept[0]

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def _means(self, X: Any, Y: np.ndarray, w: np.ndarray | None) -> tuple[Any, np.ndarray]:
        if not self.fit_intercept:
            return np.zeros(X.shape[1], X.dtype), np.zeros(Y.shape[1], Y.dtype)
        share = np.full(len(Y), 1 / len(Y), X.dtype) if w is None else w / w.sum()
        return share @ X, share @ Y

    def _solve(self, X: Any, Y: np.ndarray, w: np.ndarray | None, x_mean: Any) -> np.ndarray:
        root = np.ones(len(Y), X.dtype) if w is None else np.sqrt(w)
        dense = isinstance(X, np.ndarray)
        if dense:
            X = (X - x_mean) * root[:, None]
            x_mean = np.zeros_like(x_mean)
        else:
            X = X.multiply(root[:, None]).tocsr()
        Y = Y * root[:, None]
        if self.solver == "svd":
            if not dense:
                raise ValueError(
                    "Ridge: solver='svd' would make the sparse X dense; use 'auto' or 'cholesky'."
                )
            return _solve_svd(X, Y, self.alpha)
        beta = _solve_normal(X, Y, self.alpha, root, x_mean)
        if beta is not None:
            return beta
        if self.solver == "auto" and dense:
            return _solve_svd(X, Y, self.alpha)
        raise ValueError(
            f"Ridge: the normal equations are singular to working precision with alpha="
            f"{self.alpha}; raise alpha or use solver='svd' (dense X)."
        )


def _solve_normal(
    X: Any, Y: np.ndarray, alpha: float, root: np.ndarray, x_mean: np.ndarray
) -> np.ndarray | None:
    """Solve (A'A + alpha I) b = A'Y for A = X - root x_mean', or the dual; None if it is singular.

    A sparse X keeps its zeros: the mean enters the Gram matrix, not the data.
    """
    n, d = X.shape
    if d <= n:
        gram = _dense(X.T @ X)
        cross = X.T @ root
        gram += (root @ root) * np.outer(x_mean, x_mean)
        gram -= np.outer(x_mean, cross) + np.outer(cross, x_mean)
        gram.flat[:: d + 1] += alpha
        return _solve_spd(gram, X.T @ Y - np.outer(x_mean, root @ Y))
    gram = _dense(X @ X.T)
    cross = X @ x_mean
    gram += (x_mean @ x_mean) * np.outer(root, root)
    gram -= np.outer(root, cross) + np.outer(cross, root)
    gram.flat[:: n + 1] += alpha
    dual = _solve_spd(gram, Y)
    return None if dual is None else X.T @ dual - np.outer(x_mean, root @ dual)


def _dense(gram: Any) -> np.ndarray:
    return gram if isinstance(gram, np.ndarray) else gram.toarray()


def _solve_spd(A: np.ndarray, B: np.ndarray) -> np.ndarray | None:
    """Solve by Cholesky after scaling the diagonal to one; None where it would lose digits."""
    size = np.sqrt(np.maximum(A.diagonal(), np.finfo(A.dtype).tiny))
    A = A / size[:, None] / size
    factor, info = linalg.lapack.get_lapack_funcs("potrf", (A,))(A, lower=False, clean=False)
    if info:
        return None
    rcond, _ = linalg.lapack.get_lapack_funcs("pocon", (A,))(factor, np.linalg.norm(A, 1))
    if rcond < np.finfo(A.dtype).eps ** (1 / 3):
        return None
    return linalg.cho_solve((factor, False), B / size[:, None]) / size[:, None]


def _solve_svd(X: np.ndarray, Y: np.ndarray, alpha: float) -> np.ndarray:
    """Solve by the singular values; alpha = 0 gives the solution of least norm."""
    U, s, Vt = linalg.svd(X, full_matrices=False)
    kept = s > max(X.shape) * np.finfo(X.dtype).eps * s[0] if alpha == 0 else s > 0
    shrink = np.zeros_like(s)
    shrink[kept] = s[kept] / (s[kept] ** 2 + alpha)
    return Vt.T @ (shrink[:, None] * (U.T @ Y))
