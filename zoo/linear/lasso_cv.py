"""The lasso with its penalty chosen by cross-validation."""

from typing import Annotated, Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from zoo.contract.inputs import Input, Table
from zoo.contract.notices import warn
from zoo.contract.params import Count, Fixed, Fraction, Positive, Tolerance
from zoo.contract.roles import Regressor
from zoo.contract.steps import Steps
from zoo.engines import accepted
from zoo.engines.linear.splits import Splits, splits_of
from zoo.engines.magnitudes import check_squares
from zoo.linear.lasso import _prepare


class LassoCV(Regressor):
    r"""The lasso with the best of a path of penalties.

    The path of each training part goes down from the penalty that keeps all coefficients at zero,
    every solution starting from the last.

    .. math::
        \alpha_{\max} = \frac{\max_j |\langle \tilde x_j, \tilde y\rangle_w|}{\rho \sum w}, \qquad
        \alpha_m = \alpha_{\max}\, \epsilon^{m / (M - 1)}

    Parameters
    ----------
    alphas : int or tuple of float, default=100
        M, the length of the path, or the penalties to try instead.
    eps : float, default=1e-3
        The last penalty as a share of the first.
    l1_ratio : float, default=1.0
        rho: 1 is the lasso, below it the elastic net.
    fit_intercept : bool, default=True
        Whether to fit the unpenalised constant.
    cv : int, splitter, iterable or None, default=None
        As in scikit-learn: k is that many folds of consecutive rows (None is 5), else a splitter or
        pairs (train, test).
    tol : float, default=1e-6
        As in Lasso.
    max_iter : int, default=10000
        Most passes at one penalty.
    positive : bool, default=False
        Whether coefficients are kept >= 0.
    copy_X, n_jobs, precompute, random_state, selection, verbose : default=True, None, "auto", None, ...
        Taken as in scikit-learn, without effect.

    Attributes
    ----------
    alpha_ : float
        The best penalty.
    alphas_ : array of shape (M,)
        The path, falling.
    mse_path_ : array of shape (M, splits)
        Mean squared error on the rows left out.
    coef_ : array of shape (d,)
        Coefficients at ``alpha_`` on all rows.
    intercept_ : float
        Constant.
    n_iter_ : int
        Most passes at one penalty in the last fit.

    Notes
    -----
    A split counts as much as the weight of its test rows. The cost is that of one path more than
    there are splits.

    References
    ----------
    Friedman, Hastie and Tibshirani (2010), Regularization paths for generalized linear models via
    coordinate descent, JSS 33(1).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import LassoCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(LassoCV().fit(X, y).alpha_, 4)
    0.0038
    """

    input: ClassVar[Input] = Table(sparse=True)
    excused: ClassVar[dict[str, str]] = {
        "check_weights_count_as_repetition": "a row of weight 2 is in one fold, two rows may not be"
    }

    alphas: Annotated[Count | tuple[Positive, ...], Fixed("all of them are tried")] = 100
    eps: Annotated[Fraction, Fixed("all penalties above it are tried")] = 1e-3
    l1_ratio: Fraction = 1.0
    fit_intercept: bool = True
    cv: Splits = None
    tol: Tolerance = 1e-6
    max_iter: Annotated[Count, Fixed("a budget, not a property of the model")] = 10_000
    positive: Annotated[bool, Fixed("it is what is known of the coefficients")] = False
    copy_X: accepted.CopyX = True
    precompute: accepted.Precompute = "auto"
    random_state: accepted.Draw = None
    selection: accepted.Selection = "cyclic"
    n_jobs: accepted.Threads = None
    verbose: accepted.Verbose = False

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        from zoo.engines.linear import descent

        Y = y[:, None]
        check_squares(type(self).__name__, w, X=X, y=Y)
        splits = splits_of("LassoCV", self.cv, X, y, self._kept)
        data, x_mean, y_mean = _prepare(X, Y, w, self.fit_intercept)
        cross = data.cross_of(0)
        top = float((cross if self.positive else np.abs(cross)).max()) / self.l1_ratio
        if not isinstance(self.alphas, int | np.integer):
            self.alphas_ = np.sort(np.asarray(self.alphas, dtype=np.float64))[::-1]
        else:
            top = top if top > 0 else 1.0
            self.alphas_ = np.geomspace(top, top * self.eps, self.alphas)
        budget = self.l1_ratio, self.tol, self.max_iter, self.positive
        self.mse_path_ = np.full((len(self.alphas_), len(splits)), np.nan)
        self.coef_, self.intercept_ = np.zeros(X.shape[1], X.dtype), y_mean[0]
        self.alpha_, self.n_iter_ = float(self.alphas_[0]), 1
        sizes, late = np.zeros(len(splits)), 0
        for f in steps(len(splits), "split"):
            rest, out = splits[f]
            v = None if w is None else w[rest]
            fold, mx, my = _prepare(X[rest], Y[rest], v, self.fit_intercept)
            B, _, sweeps = descent.path(fold, 0, self.alphas_, *budget)
            late = max(late, sweeps)
            r = y[out, None] - my - (X[out] @ B.T - B @ mx)
            share = np.ones(len(r)) if w is None else w[out]
            sizes[f] = share.sum()
            self.mse_path_[:, f] = share @ r**2 / sizes[f]
        seen = sizes > 0
        best = int(np.argmin(self.mse_path_[:, seen] @ sizes[seen]))
        self.alpha_ = float(self.alphas_[best])
        B, _, sweeps = descent.path(data, 0, self.alphas_[: best + 1], *budget)
        self.coef_, self.n_iter_ = B[-1], max(1, sweeps)
        self.intercept_ = y_mean[0] - x_mean @ B[-1]
        if max(late, sweeps) >= self.max_iter:
            warn(
                f"LassoCV did not converge at every penalty in max_iter={self.max_iter} passes; raise eps or "
                "max_iter, or scale the columns of X.",
                ConvergenceWarning,
            )

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_ + self.intercept_
