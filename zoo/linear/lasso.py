"""The lasso and the elastic net."""

from typing import Annotated, Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from zoo.contract.declaring import field
from zoo.contract.inputs import Input, Table
from zoo.contract.notices import warn
from zoo.contract.params import Count, Fixed, Fraction, Positive, Tolerance
from zoo.contract.roles import Regressor
from zoo.contract.steps import Steps
from zoo.contract.targets import Numbers, Target
from zoo.engines import accepted
from zoo.engines.linear import least_squares as ls
from zoo.engines.magnitudes import check_squares


class Lasso(Regressor):
    r"""Least squares with a penalty that sets coefficients to exactly zero.

    Coordinate descent on a small working set of columns, until the duality gap proves the solution.
    With ``l1_ratio`` < 1 it is the elastic net.

    .. math::
        \min_\beta \; \frac{1}{2 \sum w} \sum_i w_i (y_i - \beta_0 - \langle x_i, \beta\rangle)^2
          + \alpha \rho |\beta|_1 + \tfrac{\alpha (1 - \rho)}{2} |\beta|^2

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty.
    l1_ratio : float, default=1.0
        rho: 1 is the lasso, below it the elastic net.
    fit_intercept : bool, default=True
        Whether to fit the unpenalised constant.
    tol : float, default=1e-8
        Stop when the duality gap is below ``tol`` times half the mean square of y.
    max_iter : int, default=10000
        Most passes over the working columns.
    positive : bool, default=False
        Whether coefficients are kept >= 0.
    copy_X, precompute, random_state, selection, warm_start : default=True, False, None, "cyclic", False
        Taken as in scikit-learn, without effect: the solution is proved, whatever it starts from.

    Attributes
    ----------
    coef_ : array of shape (d,) or (targets, d)
        Coefficients, zeros exact.
    intercept_ : float or array of shape (targets,)
        Constant.
    dual_gap_ : float or array of shape (targets,)
        Gap that was reached, in units of the objective.
    n_iter_ : int
        Passes taken.

    Notes
    -----
    The textbook's half squared loss with penalty lambda is alpha = lambda / n here, the meaning
    that scikit-learn's users know. With more rows than columns everything goes through X'X; with
    wide X through the columns that are at work. A target with several columns is fitted column by
    column.

    References
    ----------
    Tibshirani (1996), Regression shrinkage and selection via the lasso, JRSS B 58(1).
    Fercoq, Gramfort and Salmon (2015), Mind the duality gap, ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import Lasso
    >>> X, y = load_diabetes(return_X_y=True)
    >>> int((Lasso(alpha=0.5).fit(X, y).coef_ != 0).sum())
    4
    """

    input: ClassVar[Input] = Table(sparse=True)
    target: ClassVar[Target] = Numbers(many=True)

    on_toy_data: ClassVar[dict[str, Any]] = {"alpha": 0.1}

    alpha: Positive = field(default=1.0, kw_only=False)
    l1_ratio: Fraction = 1.0
    fit_intercept: bool = True
    tol: Tolerance = 1e-8
    max_iter: Annotated[Count, Fixed("a budget, not a property of the model")] = 10_000
    positive: Annotated[bool, Fixed("it is what is known of the coefficients")] = False
    copy_X: accepted.CopyX = True
    precompute: accepted.Precompute = False
    random_state: accepted.Draw = None
    selection: accepted.Selection = "cyclic"
    warm_start: accepted.WarmStart = False

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        from zoo.engines.linear import descent

        Y = y[:, None] if y.ndim == 1 else y
        check_squares(type(self).__name__, w, X=X, y=Y)
        data, x_mean, y_mean = _prepare(X, Y, w, self.fit_intercept)
        k, d = Y.shape[1], X.shape[1]
        beta, gaps = np.zeros((k, d), X.dtype), np.zeros(k)
        self.n_iter_ = 1
        self._put(beta, gaps, x_mean, y_mean, y.ndim)
        late = False
        for t in steps(k, "target"):
            cross = data.cross_of(t)
            top = (cross if self.positive else np.abs(cross)).max() / self.l1_ratio if d else 0.0
            falls = np.geomspace(top, self.alpha, 5)[1:] if top > self.alpha else [self.alpha]
            budget = self.l1_ratio, self.tol, self.max_iter, self.positive
            out, gap, sweeps = descent.path(data, t, np.asarray(falls), *budget)
            beta[t], gaps[t] = out[-1], gap[-1]
            self.n_iter_ = max(self.n_iter_, sweeps)
            late = late or sweeps >= self.max_iter
            self._put(beta, gaps, x_mean, y_mean, y.ndim)
        if late:
            warn(
                f"Lasso did not converge in max_iter={self.max_iter} passes (duality gap "
                f"{gaps.max():.2g}); raise alpha or max_iter, or scale the columns of X.",
                ConvergenceWarning,
            )

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_.T + self.intercept_

    def _put(self, beta: np.ndarray, gaps: np.ndarray, x_mean: Any, y_mean: Any, ndim: int) -> None:
        intercept = y_mean - beta @ x_mean
        self.coef_ = beta.copy() if ndim == 2 else beta[0].copy()
        self.intercept_ = intercept if ndim == 2 else intercept[0]
        self.dual_gap_ = gaps if ndim == 2 else float(gaps[0])


def _prepare(X: Any, Y: np.ndarray, w: np.ndarray | None, intercept: bool) -> tuple[Any, Any, Any]:
    """Choose how the columns are held: by X'X, dense, or sparse."""
    from zoo.engines.linear import descent

    n, d = X.shape
    design = ls.Design(X, Y, w, intercept)
    if d <= min(n, 4000):
        gram, cross = (part / part.dtype.type(design.total) for part in design.equations())
        # rounding must not make a constant column look alive
        dead = gram.diagonal() <= 1e-14 * design.x_mean**2
        gram[dead], gram[:, dead], cross[dead] = 0, 0, 0
        squares = design.shares(slice(None)) @ design.Y**2
        return descent.Gram(gram, cross, squares), design.x_mean, design.y_mean
    share = design.shares(slice(None))
    hold = descent.Sparse if design.sparse else descent.Dense
    return hold(X, Y, share, design.mean, design.y_mean), design.mean, design.y_mean
