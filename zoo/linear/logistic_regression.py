"""Logistic regression."""

from typing import Annotated, Any, ClassVar

import numpy as np
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning

from zoo.base import Classifier, Steps, softmax
from zoo.inputs import Input, Table
from zoo.params import Count, Fixed, Positive, Search, Tolerance

import warnings  # isort: skip


class LogisticRegression(Classifier):
    r"""A linear score for each class, turned into probabilities by the softmax.

    Newton's method (iteratively reweighted least squares) with a line search finds the only
    minimum of the penalised likelihood. Two classes share one vector of coefficients.

    .. math::
        p(k \mid x) = \frac{e^{\langle x, \beta_k\rangle}}{\sum_j e^{\langle x, \beta_j\rangle}},
        \qquad
        \min_\beta \; -C \sum_i w_i \log p(y_i \mid x_i) + \tfrac12 |\beta|^2

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the l2 penalty; the intercept is not penalised.
    fit_intercept : bool, default=True
        Whether to fit the constants.
    tol : float, default=1e-8
        Stop when the largest entry of the gradient, per unit of weight, is below.
    max_iter : int, default=100
        Most Newton steps.

    Attributes
    ----------
    coef_ : array of shape (1, d) or (k, d)
        Coefficients.
    intercept_ : array of shape (1,) or (k,)
        Constants.
    n_iter_ : int
        Newton steps taken.

    Notes
    -----
    One step costs O(n d^2 k^2). The gradient of the loss is X'(p - y): the textbook writes the
    residual y - p, the direction of ascent.

    References
    ----------
    Nelder and Wedderburn (1972), Generalized linear models, JRSS A 135(3).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> round(LogisticRegression().fit(X, y).score(X, y), 3)
    0.973
    """

    input: ClassVar[Input] = Table(sparse=True)

    C: Annotated[Positive, Search(1e-3, 1e3, log=True)] = 1.0
    fit_intercept: bool = True
    tol: Tolerance = 1e-8
    max_iter: Annotated[Count, Fixed("a budget, not a property of the model")] = 100

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        n, d = X.shape
        k = 1 if len(self.classes_) == 2 else len(self.classes_)
        Y = (y == 1).astype(X.dtype)[:, None] if k == 1 else np.eye(k, dtype=X.dtype)[y]
        w = np.ones(n, X.dtype) if w is None else w
        self._put(np.zeros((k, d + 1), X.dtype))
        for iteration in steps(self.max_iter, "iteration"):
            self.n_iter_ = iteration + 1
            P = self._probabilities(X)
            gradient = self._gradient(X, Y, w, P)
            if np.abs(gradient).max() <= self.tol * self.C * w.sum():
                break
            step = self._newton_step(X, w, P, gradient)
            if not self._descend(X, Y, w, gradient, step):
                break  # rounding: no step along the Newton direction lowers the loss
        else:
            warnings.warn(
                f"LogisticRegression did not converge in max_iter={self.max_iter} steps; raise "
                "max_iter, lower C or scale the columns of X.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _scores(self, X: Any) -> np.ndarray:
        s = X @ self.coef_.T + self.intercept_
        return s[:, 0] if s.shape[1] == 1 else s

    def _put(self, theta: np.ndarray) -> None:
        self.coef_, self.intercept_ = theta[:, :-1], theta[:, -1]

    def _probabilities(self, X: Any) -> np.ndarray:
        P = softmax(self._scores(X))
        return P[:, 1:] if P.shape[1] == 2 else P

    def _gradient(self, X: Any, Y: np.ndarray, w: np.ndarray, P: np.ndarray) -> np.ndarray:
        E = self.C * w[:, None] * (P - Y)
        constant = E.sum(axis=0) * self.fit_intercept
        return np.column_stack([(X.T @ E).T + self.coef_, constant])

    def _newton_step(
        self, X: Any, w: np.ndarray, P: np.ndarray, gradient: np.ndarray
    ) -> np.ndarray:
        k, d1 = gradient.shape
        H = np.zeros((k, d1, k, d1), X.dtype)
        for a in range(k):
            for b in range(a, k):
                curvature = self.C * w * P[:, a] * ((a == b) - P[:, b])
                H[a, :, b] = _weighted_gram(X, curvature)
                H[b, :, a] = H[a, :, b].T
        H = H.reshape(k * d1, k * d1)
        penalised = np.tile(np.append(np.ones(d1 - 1), 0.0), k).astype(X.dtype)
        H.flat[:: k * d1 + 1] += penalised
        if not self.fit_intercept:
            fixed = np.flatnonzero(penalised == 0)
            H[fixed], H[:, fixed] = 0, 0
            H[fixed, fixed] = 1
        # The constants of all classes may move together: least norm settles it.
        step = linalg.lstsq(H, gradient.ravel(), lapack_driver="gelsy")[0]
        return step.reshape(k, d1)

    def _loss(self, X: Any, Y: np.ndarray, w: np.ndarray) -> float:
        s = self._scores(X)
        if s.ndim == 1:
            cross = np.logaddexp(0, s) - Y[:, 0] * s
        else:
            top = s.max(axis=1)
            cross = top + np.log(np.exp(s - top[:, None]).sum(axis=1)) - (Y * s).sum(axis=1)
        return float(self.C * w @ cross + 0.5 * (self.coef_**2).sum())

    def _descend(
        self, X: Any, Y: np.ndarray, w: np.ndarray, gradient: np.ndarray, step: np.ndarray
    ) -> bool:
        """Halve the Newton step until the loss falls enough (Armijo)."""
        theta = np.column_stack([self.coef_, self.intercept_])
        loss, slope = self._loss(X, Y, w), float((gradient * step).sum())
        # Near the optimum the loss cannot resolve the fall any more; the full step is right there.
        slack = 10 * np.finfo(X.dtype).eps * abs(loss)
        size = 1.0
        while size > 1e-10:
            self._put(theta - size * step)
            if self._loss(X, Y, w) <= loss - 1e-4 * size * slope + slack:
                return True
            size /= 2
        self._put(theta)
        return False


def _weighted_gram(X: Any, c: np.ndarray) -> np.ndarray:
    """Return [X 1]' diag(c) [X 1]."""
    d = X.shape[1]
    gram = np.empty((d + 1, d + 1), X.dtype)
    inner = X.T @ (X * c[:, None] if isinstance(X, np.ndarray) else X.multiply(c[:, None]))
    gram[:d, :d] = inner if isinstance(inner, np.ndarray) else inner.toarray()
    gram[:d, d] = gram[d, :d] = X.T @ c
    gram[d, d] = c.sum()
    return gram
