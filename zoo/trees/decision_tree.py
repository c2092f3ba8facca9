"""One decision tree."""

from typing import Any, ClassVar, Literal

import numpy as np
from scipy.special import xlogy

from zoo.contract.roles import Classifier, Regressor
from zoo.contract.targets import Labels, Numbers, Target
from zoo.engines.trees.columns import ClassWeight
from zoo.engines.trees.estimator import Single


class DecisionTreeClassifier(Single, Classifier):
    r"""Classify by a tree of questions, each chosen to make both answers as pure as it can.

    The best cut of a region R lowers the impurity I most; regions are cut until they are pure or a
    limit is met, and a region predicts the shares of the classes in it.

    .. math::
        \Delta I = I(R) - \frac{|R_L|}{|R|} I(R_L) - \frac{|R_R|}{|R|} I(R_R), \qquad
        I_{gini} = 1 - \sum_k p_k^2, \quad I_{entropy} = -\sum_k p_k \ln p_k

    Parameters
    ----------
    class_weight : dict, list, "balanced" or None, default=None
        Factor on the weight of each class's rows; "balanced" gives every class the same total. With
        several columns of y it is for each of them, or a list with one entry a column, and the
        factors of a row are multiplied.
    criterion : {"gini", "entropy", "log_loss"}, default="gini"
        The impurity, its mean over the columns of y where there are several; "log_loss" is another
        name of "entropy".
    ccp_alpha : float, default=0.0
        Price of a leaf: the tree is pruned to the smallest one that minimises impurity plus
        ``ccp_alpha`` times its leaves (see ``cost_complexity_pruning_path``).
    min_impurity_decrease : float, default=0.0
        Least fall of the impurity, times the region's share of the weight.

    Attributes
    ----------
    feature_importances_ : array of shape (d,)
        Share of each column in the fall of the impurity.

    Notes
    -----
    Time is O(n d) a level; memory O(n d) bytes. One tree is easy to read and seldom the most
    accurate: a forest or boosting is. With two classes a set of categories is the best there is;
    with more, categories are ranked by the share of the commonest class (of the first column of y).

    References
    ----------
    Breiman, Friedman, Olshen and Stone (1984), Classification and regression trees.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import DecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> round(DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, y).score(X, y), 2)
    0.96
    """

    logits: ClassVar[bool] = False
    target: ClassVar[Target] = Labels(many=True)

    class_weight: ClassWeight = None  # type: ignore[assignment]  # wider: y may have columns
    criterion: Literal["gini", "entropy", "log_loss"] = "gini"

    def _targets(self, y: np.ndarray) -> Any:
        from zoo.engines.trees import targets

        return targets.class_targets(y, self.classes_, self.criterion)

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        self._learn_tree(X, y, w)

    @property
    def n_classes_(self) -> Any:
        """How many classes y has; a list where it has several columns."""
        return [len(k) for k in self.classes_] if isinstance(self.classes_, list) else len(self.classes_)

    def _moments(self, y: np.ndarray) -> np.ndarray:
        from zoo.engines.trees import targets

        return targets.class_shares(y, self.classes_)

    def _impurity(self, means: np.ndarray) -> np.ndarray:
        from zoo.engines.trees import targets

        return targets.impurity(means, self.classes_, self.criterion)

    def _proba(self, X: Any) -> Any:
        from zoo.engines.trees import targets

        return targets.by_column(self._mean(X), self.classes_)


class DecisionTreeRegressor(Single, Regressor):
    r"""Regress by a tree of questions, each chosen to leave as little spread as it can.

    The best cut of a region lowers the squared (Poisson, absolute) loss most; a region predicts its
    mean, or its median where the loss is absolute.

    .. math::
        \min_{j, s} \; \sum_{x_i \in R_L(j, s)} w_i (y_i - \bar y_L)^2
        + \sum_{x_i \in R_R(j, s)} w_i (y_i - \bar y_R)^2 + \lambda M

    Parameters
    ----------
    criterion : {"squared_error", "absolute_error", "poisson"}, default="squared_error"
        The loss; "poisson" is half the deviance, for y >= 0.
    ccp_alpha : float, default=0.0
        Price lambda of a leaf: the tree is pruned to the smallest one that minimises the mean loss
        plus ``ccp_alpha`` times its leaves (see ``cost_complexity_pruning_path``).
    min_impurity_decrease : float, default=0.0
        Least fall of the loss, times the region's share of the weight.

    Attributes
    ----------
    feature_importances_ : array of shape (d,)
        Share of each column in the fall of the loss.
    impurities_ : array of shape (nodes,)
        Mean loss of the rows of each node.

    Notes
    -----
    Time is O(n d) a level; memory O(n d) bytes. A tree does not extrapolate, and its steps are
    large where data are few: a forest or boosting is smoother. Several targets share one tree.
    Medians need O(n log n) for each column of a node: "absolute_error" takes about five times as
    long. A cut that does not lower the absolute error is made too, since its sides may.

    References
    ----------
    Breiman, Friedman, Olshen and Stone (1984), Classification and regression trees.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from zoo import DecisionTreeRegressor
    >>> X, y = make_friedman1(300, random_state=0)
    >>> model = DecisionTreeRegressor(min_samples_leaf=5).fit(X[:200], y[:200])
    >>> bool(model.score(X[200:], y[200:]) > 0.5)
    True
    """

    target: ClassVar[Target] = Numbers(many=True)

    criterion: Literal["squared_error", "absolute_error", "poisson"] = "squared_error"

    def _targets(self, y: np.ndarray) -> Any:
        from zoo.engines.trees import targets

        return targets.regression_targets(y, self.criterion, type(self).__name__)

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        from zoo.engines.trees import pruning

        self._learn_tree(X, y, w)
        weight = np.ones(X.shape[0]) if w is None else w
        self.impurities_ = pruning.impurities(self._trees(), X, y, weight, self.criterion)

    def _risks(self, X: Any, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        if self.criterion == "absolute_error":
            from zoo.engines.trees import pruning

            risks: np.ndarray = pruning.absolute_risks(self._trees(), X, y, w)
            return risks
        return super()._risks(X, y, w)

    def _moments(self, y: np.ndarray) -> np.ndarray:
        Y = y.reshape(len(y), -1).astype(np.float64)
        if self.criterion == "poisson":
            return np.hstack([Y, xlogy(Y, Y)])
        Y = Y - Y.mean(axis=0)
        return np.hstack([Y, Y**2])

    def _impurity(self, means: np.ndarray) -> np.ndarray:
        first, second = np.hsplit(means, 2)
        if self.criterion == "poisson":
            return (second - xlogy(first, first)).mean(axis=1)
        return (second - first**2).mean(axis=1)

    def _output(self, X: Any) -> np.ndarray:
        s = self._mean(X)
        return s[:, 0] if s.shape[1] == 1 else s
