"""Least squares boosting with regularised leaves."""

from typing import Any, ClassVar

import numpy as np

from zoo.contract.roles import Regressor
from zoo.engines.losses import Loss, Squared
from zoo.engines.magnitudes import check_squares
from zoo.engines.trees.estimator import Boosting


class LeastSquaresBoostingRegressor(Boosting, Regressor):
    r"""Fit each tree to what the trees before it left over, by penalised least squares.

    Starting from 0, round m fits a tree h to the residuals r; the penalties shrink its leaves and
    refuse splits that gain too little.

    .. math::
        \min_{h} \; \sum_i w_i (r_i - h(x_i))^2 + \lambda \sum_j c_j^2 + \gamma J, \qquad
        c_R = \frac{\sum_R w_i r_i}{\sum_R w_i + \lambda}, \\
        \Delta = \frac{(\sum_L w_i r_i)^2}{\sum_L w_i + \lambda}
        + \frac{(\sum_R w_i r_i)^2}{\sum_R w_i + \lambda}
        - \frac{(\sum w_i r_i)^2}{\sum w_i + \lambda} - \gamma

    Parameters
    ----------
    n_estimators : int, default=100
        Rounds.
    learning_rate : float, default=1.0
        Factor on each tree; 1 is the method of the textbook, less is slower and often better.
    max_depth : int or None, default=3
        Most splits between root and leaf.
    max_leaf_nodes : int or None, default=None
        Most leaves of a tree.
    min_child_weight : float, default=0.0
        Least sum of weight in a leaf.
    min_child_samples : int, default=1
        Least number of rows in a leaf, whatever their weights.
    reg_lambda : float, default=1.0
        Penalty lambda on the squares of the leaves.
    reg_alpha : float, default=0.0
        Penalty on the absolute values of the leaves.
    cat_smooth : float, default=10.0
        Weight added to each category before categories are ranked.

    Attributes
    ----------
    feature_importances_ : array of shape (d,)
        Share of each column in the fall of the loss.

    Notes
    -----
    The loss has no factor 1/2 here, so gamma
    is twice that of BoostingRegressor; lambda is the same. There is no constant before the first
    tree: with a large lambda and a mean far from 0 centre y first.

    References
    ----------
    Friedman (2001), Greedy function approximation: a gradient boosting machine, Annals of
    Statistics 29(5).

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from zoo import LeastSquaresBoostingRegressor
    >>> X, y = make_friedman1(400, random_state=0)
    >>> model = LeastSquaresBoostingRegressor(learning_rate=0.2).fit(X[:300], y[:300])
    >>> bool(model.score(X[300:], y[300:]) > 0.85)
    True
    """

    half: ClassVar[bool] = False

    learning_rate = 1.0
    max_depth = 3
    max_leaf_nodes = None
    min_child_weight = 0.0
    min_child_samples = 1

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, val: Any, resume: bool, steps: Any) -> None:
        check_squares(type(self).__name__, w, y=y)
        self._learn_rounds(X, y, w, val, resume, steps)

    def _n_outputs(self) -> int:
        return 1

    def _start(self, loss: Loss, y: np.ndarray, w: np.ndarray | None) -> float:
        return 0.0

    def _objective(self) -> Any:
        from zoo.engines.trees.objective import fused

        return fused(Squared())

    def _output(self, X: Any) -> np.ndarray:
        return self._raw(X)[0].astype(self.dtype_)

    def staged_predict(self, X: Any) -> Any:
        """Give the predictions after each round."""
        for s in self._staged_raw(self._checked(X)):
            yield s[0]
