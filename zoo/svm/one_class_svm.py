"""One-class support vector machine."""

from typing import Annotated, Any, ClassVar

import numpy as np

from zoo.contract.params import Fraction, Search
from zoo.contract.roles import Detector
from zoo.contract.steps import Steps
from zoo.engines.kernels.estimator import KernelMachine


class OneClassSVM(Detector, KernelMachine):
    r"""A boundary around most of the data; what lies outside is an outlier.

    The rows are held away from the origin of the kernel's feature space by a plane that at most the
    share ``nu`` of them may miss; at least that share become support vectors.

    .. math::
        \min_{0 \le u_i \le w_i,\ \sum u_i = \nu \sum w_i} \tfrac12 \sum_{ij} u_i u_j K(x_i, x_j),
        \qquad f(x) = \sum_i u_i K(x_i, x) - \rho

    Parameters
    ----------
    nu : float, default=0.5
        Most of the weight that may lie outside, and least that supports the boundary.

    Attributes
    ----------
    n_support_ : array of shape (1,)
        How many support vectors there are.
    dual_coef_ : array of shape (1, m)
        u of the support vectors.
    offset_ : float
        rho, the score below which a row is an outlier.
    intercept_ : array of shape (1,)
        -rho.
    coef_ : array of shape (1, d)
        w, for the linear kernel.
    n_iter_ : int
        Steps taken.

    Notes
    -----
    ``score_samples`` is the sum without rho; it grows with the number of rows, as scikit-learn's
    does, and so ``tol`` is relative to nu times the weight of all rows at a kernel of size one. The
    share outside is nu only as n grows. The steps begin with the rows in the thinnest places, not
    with the first ones of the file. With ``nu=1`` every row is a support vector and rho, which any
    larger number would also solve, is the highest score. Scale the columns first; an rbf kernel
    whose gamma is too large makes every new row an outlier.

    References
    ----------
    Schoelkopf, Platt, Shawe-Taylor, Smola and Williamson (2001), Estimating the support of a
    high-dimensional distribution, Neural Computation 13.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import OneClassSVM
    >>> X, _ = load_iris(return_X_y=True)
    >>> round(float((OneClassSVM(nu=0.1).fit_predict(X) == -1).mean()), 2)
    0.09
    """

    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": "solved to tol, as scikit-learn's OneClassSVM",
        "check_sample_weight_equivalence_on_sparse_data": "solved to tol, as scikit-learn's OneClassSVM",
        "check_weights_count_as_repetition": "solved to tol, as scikit-learn's OneClassSVM",
    }

    nu: Annotated[Fraction, Search(0.01, 0.5, log=True)] = 0.5

    def _learn(self, X: Any, w: np.ndarray | None, steps: Steps) -> None:
        from zoo.engines.kernels.dual import kernel_of, solve, spread

        self._prepare(X)
        # the solution grows with the weights: tol is beside a heaviest row of weight one to two
        unit = 1.0 if w is None else float(np.ldexp(1.0, np.frexp(float(w.max()))[1] - 1))
        hi = np.ones(X.shape[0]) if w is None else np.asarray(w, np.float64) / unit
        lo = np.zeros_like(hi)
        kernel = kernel_of(self, X, self.gamma_, one_class=True)
        start = spread(kernel, hi, float(self.nu * hi.sum()))
        self.n_iter_ = 0
        self._publish(X, start * unit, 0.0)
        ticks = iter(steps(None, "thousand steps"))

        def pause(n_iter: int, gap: float, u: Any, F: Any) -> bool:
            if u is not None and steps.watched:
                self.n_iter_ = n_iter
                self._publish(X, u * unit, self.offset_)
            return next(ticks, None) is None

        answer = solve(self, X, self.gamma_, lo, lo, hi, u=start, pause=pause, kernel=kernel)
        next(ticks, None)
        self.n_iter_ = max(1, answer.n_iter)
        self._publish(X, answer.u * unit, -answer.b * unit)

    def _publish(self, X: Any, u: np.ndarray, rho: float) -> None:
        used = np.flatnonzero(u)
        self._keep_vectors(X, used)
        self.n_support_ = np.array([len(used)], dtype=np.int32)
        self.dual_coef_ = u[None, used].astype(self.dtype_)
        self.offset_ = rho
        self.intercept_ = np.array([-rho], self.dtype_)
        if self.kernel == "linear":
            self.coef_ = (self.support_vectors_.T @ self.dual_coef_[0])[None]

    def _output(self, X: Any) -> np.ndarray:
        from zoo.engines.kernels.dual import expand

        if self.kernel == "linear":
            return X @ self.coef_[0]
        part = (slice(0, len(self.support_)), np.ascontiguousarray(self.dual_coef_.T))
        s = expand(self, X, self.support_vectors_, [part])[:, 0]
        return s.astype(self.dtype_, copy=False)
