"""Kernel support vector regression."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.params import Fixed, NonNegative, Positive, Search
from zoo.contract.roles import Regressor
from zoo.contract.steps import Steps
from zoo.engines.kernels.estimator import KernelMachine
from zoo.engines.magnitudes import check_squares


class SVR(Regressor, KernelMachine):
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
    solver : {"auto", "smo", "interior_point"}, default="auto"
        "interior_point" is for the linear kernel and few columns; "auto" takes it where it can.

    Attributes
    ----------
    n_support_ : array of shape (1,)
        How many support vectors there are.
    dual_coef_ : array of shape (1, m)
        u of the support vectors.
    intercept_ : array of shape (1,)
        b.
    coef_ : array of shape (1, d)
        w, for the linear kernel.
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

    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "solved to tol, as scikit-learn's SVR",
        "check_sample_weight_equivalence_on_sparse_data": "solved to tol, as scikit-learn's SVR",
        "check_weights_count_as_repetition": "solved to tol, as scikit-learn's SVR",
    }

    C: Annotated[Positive, Search(1e-2, 1e3, log=True)] = 1.0
    epsilon: Annotated[NonNegative, Search(1e-3, 1.0, log=True)] = 0.1
    solver: Annotated[
        Literal["auto", "smo", "interior_point"], Fixed("it changes the time, not the result")
    ] = "auto"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        from zoo.engines.kernels.dual import solve

        if np.isinf(self.C):
            raise ValueError("SVR: C=inf was given; an exact tube need not exist: give a finite C.")
        self._prepare(X)
        check_squares(type(self).__name__, y=y)
        price = np.full(len(y), float(self.C)) if w is None else self.C * np.asarray(w, np.float64)
        self.n_iter_ = 0
        self._publish(X, np.zeros(len(y)), 0.0)
        ticks = iter(steps(None, "thousand steps"))

        def pause(n_iter: int, gap: float, u: Any, F: Any) -> bool:
            if u is not None and steps.watched:
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
        used = np.flatnonzero(u)
        self._keep_vectors(X, used)
        self.n_support_ = np.array([len(used)], dtype=np.int32)
        self.dual_coef_ = u[None, used].astype(self.dtype_)
        self.intercept_ = np.array([b], self.dtype_)
        if self.kernel == "linear":
            self.coef_ = (self.support_vectors_.T @ self.dual_coef_[0])[None]

    def _output(self, X: Any) -> np.ndarray:
        from zoo.engines.kernels.dual import expand

        if self.kernel == "linear":
            return X @ self.coef_[0] + self.intercept_[0]
        part = (slice(0, len(self.support_)), np.ascontiguousarray(self.dual_coef_.T))
        s = expand(self, X, self.support_vectors_, [part])[:, 0] + self.intercept_[0]
        return s.astype(self.dtype_, copy=False)
