"""Kernel support vector regression."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.base import Regressor, Steps
from zoo.inputs import Input, Table
from zoo.params import Count, Fixed, Interval, NonNegative, Positive, Search, Tolerance


class SVR(Regressor):
    r"""A flat function in the feature space of a kernel that keeps within a tube around y.

    Errors below ``epsilon`` cost nothing and larger ones cost their excess, so that only rows on or
    outside the tube become support vectors.

    .. math::
        \min_{|u_i| \le C w_i,\ \sum u_i = 0}
          \tfrac12 \sum_{ij} u_i u_j K(x_i, x_j) - \sum_i y_i u_i + \epsilon \sum_i |u_i|,
        \qquad f(x) = \sum_i u_i K(x_i, x) + b

    Parameters
    ----------
    C : float, default=1.0
        Price of an error beyond the tube.
    epsilon : float, default=0.1
        Half the width of the tube, in units of y.
    kernel : {"linear", "poly", "rbf", "sigmoid", "precomputed"} or callable, default="rbf"
        K; a callable takes (A, B) and returns the matrix.
    gamma : {"scale", "auto"} or float, default="scale"
        Factor of <x, z> or |x - z|^2: "scale" is 1 / (d var(X)), "auto" 1 / d.
    degree : int, default=3
        Power of "poly".
    coef0 : float, default=0.0
        Constant of "poly" and "sigmoid".
    solver : {"auto", "smo", "interior_point"}, default="auto"
        "interior_point" is for the linear kernel and few columns; "auto" takes it where it can.
    tol : float, default=1e-3
        Largest violation of the optimality conditions that is accepted.
    max_iter : int, default=-1
        Most steps; -1 is no limit.
    time_limit : float or None, default=None
        Most seconds.
    cache_size : float, default=200
        Megabytes for kernel rows.
    shrinking : bool, default=True
        Leave out rows that have come to rest, where the cache cannot hold all.

    Attributes
    ----------
    support_ : array of shape (m,)
        Rows of the support vectors.
    support_vectors_ : array of shape (m, d)
        The support vectors (empty for a precomputed kernel).
    dual_coef_ : array of shape (1, m)
        u of the support vectors.
    intercept_ : array of shape (1,)
        b.
    coef_ : array of shape (1, d)
        w, for the linear kernel.
    gamma_ : float
        The number that ``gamma`` stood for.
    n_iter_ : int
        Steps taken.

    Notes
    -----
    One signed variable a row stands for the usual two: the kink of |u| is a bound that a step stops
    at. Time and memory are as for SVC. Scale X and y first: C and epsilon are in units of y.

    References
    ----------
    Smola and Schoelkopf (2004), A tutorial on support vector regression, Statistics and Computing
    14.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import SVR
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(SVR(C=100.0).fit(X, y).score(X, y), 3)
    0.665
    """

    input: ClassVar[Input] = Table(sparse=True)
    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "solved to tol, as scikit-learn's SVR",
        "check_sample_weight_equivalence_on_sparse_data": "solved to tol, as scikit-learn's SVR",
        "check_weights_count_as_repetition": "solved to tol, as scikit-learn's SVR",
    }

    C: Annotated[Positive, Search(1e-2, 1e3, log=True)] = 1.0
    epsilon: Annotated[NonNegative, Search(1e-3, 1.0, log=True)] = 0.1
    kernel: Literal["linear", "poly", "rbf", "sigmoid", "precomputed"] | Callable[..., Any] = "rbf"
    gamma: Literal["scale", "auto"] | Annotated[Positive, Search(1e-4, 1e1, log=True)] = "scale"
    degree: Annotated[Count, Search(2, 5)] = 3
    coef0: Annotated[float, Interval(None, None), Search(0.0, 1.0)] = 0.0
    solver: Literal["auto", "smo", "interior_point"] = "auto"
    tol: Tolerance = 1e-3
    max_iter: Annotated[int, Interval(-1, None), Fixed("a budget")] = -1
    time_limit: Annotated[Positive | None, Fixed("a budget")] = None
    cache_size: Annotated[Positive, Fixed("it changes the time, not the result")] = 200.0
    shrinking: Annotated[bool, Fixed("it changes the time, not the result")] = True

    def __sklearn_tags__(self) -> Any:
        """Say that a precomputed kernel comes pairwise and dense."""
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        tags.input_tags.sparse = self.kernel != "precomputed"
        return tags

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        from zoo.svm._machine import check_square, resolve_gamma, solve

        if self.kernel == "precomputed":
            check_square("SVR", X)
        if np.isinf(self.C):
            raise ValueError("SVR: C=inf was given; an exact tube need not exist: give a finite C.")
        self.gamma_ = resolve_gamma(self.gamma, X)
        price = np.full(len(y), float(self.C)) if w is None else self.C * np.asarray(w, np.float64)
        self.n_iter_ = 0
        self._publish(X, np.zeros(len(y)), 0.0)
        ticks = iter(steps(None, "thousand steps"))

        def pause(n_iter: int, gap: float, u: Any, F: Any) -> bool:
            if u is not None:
                self.n_iter_ = n_iter
                self._publish(X, u, float(self.intercept_[0]))
            return next(ticks, None) is None

        answer = solve(
            self,
            X,
            self.gamma_,
            -np.asarray(y, np.float64),
            -price,
            price,
            eps=float(self.epsilon),
            pause=pause,
        )
        next(ticks, None)
        self.n_iter_ = max(1, answer.n_iter)
        self._publish(X, answer.u, answer.b)

    def _publish(self, X: Any, u: np.ndarray, b: float) -> None:
        self.support_ = np.flatnonzero(u)
        known = self.kernel == "precomputed"
        self.support_vectors_ = np.empty((0, 0), self.dtype_) if known else X[self.support_]
        self.dual_coef_ = u[None, self.support_].astype(self.dtype_)
        self.intercept_ = np.array([b], self.dtype_)
        if self.kernel == "linear":
            self.coef_ = (self.support_vectors_.T @ self.dual_coef_[0])[None]

    def _output(self, X: Any) -> np.ndarray:
        from zoo.svm._machine import expand

        if self.kernel == "linear":
            return X @ self.coef_[0] + self.intercept_[0]
        part = (slice(0, len(self.support_)), np.ascontiguousarray(self.dual_coef_.T))
        s = expand(self, X, self.support_vectors_, [part])[:, 0] + self.intercept_[0]
        return s.astype(self.dtype_, copy=False)
