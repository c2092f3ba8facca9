"""Boosting of trees by gradient and curvature."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.utils.metaestimators import available_if

from zoo.contract.logits import softmax
from zoo.contract.params import Fixed, OpenFraction, Positive
from zoo.contract.roles import Classifier, Regressor
from zoo.contract.targets import Labels, Target
from zoo.engines.losses import Absolute, Huber, Logistic, Loss, Poisson, Quantile, Softmax, Squared
from zoo.engines.magnitudes import check_squares
from zoo.engines.trees.estimator import Boosting


class OfSigns(Loss):
    """A loss of targets -1 and 1, asked with 0 and 1."""

    name = "signs"
    target = "binary"

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def value(self, y: Any, s: Any) -> Any:
        """Return the loss of each row."""
        return self.loss.value(2 * y - 1, s)

    def gradient(self, y: Any, s: Any) -> Any:
        """Return the derivative by the score."""
        return self.loss.gradient(2 * y - 1, s)

    def curvature(self, y: Any, s: Any) -> Any:
        """Return the second derivative by the score."""
        return self.loss.curvature(2 * y - 1, s)

    def inverse_link(self, s: Any) -> Any:
        """Return the probability of class 1."""
        return self.loss.inverse_link(s)

    def initial(self, y: Any, w: Any = None) -> Any:
        """Return the score of the best constant."""
        return self.loss.initial(2 * y - 1, w)


class BoostingClassifier(Boosting, Classifier):
    r"""Classify by a sum of trees, each a Newton step on the log loss.

    Every round fits one tree a class (one in all for two classes) to the gradient and the curvature
    of the loss at the present scores; a leaf holds the regularised Newton step of its rows.

    .. math::
        g_i = p_i - y_i, \quad h_i = p_i (1 - p_i), \quad
        c_R = -\frac{\sum_R g_i}{\sum_R h_i + \lambda}, \quad
        \Delta = \frac{G_L^2}{2 (H_L + \lambda)} + \frac{G_R^2}{2 (H_R + \lambda)}
        - \frac{G^2}{2 (H + \lambda)} - \gamma

    Parameters
    ----------
    loss : "log_loss" or Loss, default="log_loss"
        The log loss, or an object with the methods of ``zoo.engines.losses.Loss`` that is for labels: its
        ``target`` is "binary" (0, 1) or "sign" (-1, 1) where there are two classes, and a score
        above 0 means ``classes_[1]``; or it is "class" (0 .. K-1), with one score a class. Its
        ``inverse_link`` gives the probabilities.
    min_child_samples : int or None, default=None
        Least number of rows in a leaf, whatever their weights; None is 1. Counting costs time.

    Notes
    -----
    The gain is that of the paper; the library XGBoost compares twice its value with ``gamma``.
    Histograms are sums of whole numbers, so the trees do not depend on the number of threads.
    A column with missing values tries both sides for them; where training saw none they follow the
    larger part. Time is O(n d) a level and O(d bins) a leaf; memory above X about 2 d + 32 bytes a
    row. With K > 2 classes the curvature is
    K / (K - 1) p (1 - p), because K steps are taken at once. On a few hundred rows a forest or a
    linear model is often better.

    References
    ----------
    Chen and Guestrin (2016), XGBoost: a scalable tree boosting system, KDD.
    Ke et al. (2017), LightGBM: a highly efficient gradient boosting decision tree, NeurIPS.
    Shi et al. (2022), Quantized training of gradient boosting decision trees, NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from zoo import BoostingClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = BoostingClassifier(n_estimators=20).fit(X[::2], y[::2])
    >>> bool(model.score(X[1::2], y[1::2]) > 0.9)
    True
    """

    target: ClassVar[Target] = Labels()

    loss: Annotated[Literal["log_loss"] | Loss, Fixed("it states the costs of the task")] = "log_loss"

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, val: Any, resume: bool, steps: Any) -> None:
        self._learn_rounds(X, y, w, val, resume, steps)

    def _n_outputs(self) -> int:
        k = len(self.classes_)
        return k if getattr(self.loss, "target", "") == "class" or k > 2 else 1

    def _objective(self) -> Any:
        from zoo.engines.trees.objective import Objective, fused

        k = len(self.classes_)
        if isinstance(self.loss, str):
            return fused(Softmax() if k > 2 else Logistic(), k)
        allowed = ("class",) if k > 2 else ("class", "binary", "sign")
        if self.loss.target not in allowed:
            raise ValueError(
                f"BoostingClassifier: the loss {self.loss!r} is for targets of the kind "
                f"{self.loss.target!r}, but y has {k} classes; give one for "
                f"{' or '.join(map(repr, allowed))}."
            )
        return Objective(OfSigns(self.loss) if self.loss.target == "sign" else self.loss)

    @available_if(lambda self: not isinstance(self.loss, str))
    def _proba(self, X: Any) -> np.ndarray:
        return self._linked(self._raw(X))

    def _linked(self, s: np.ndarray) -> np.ndarray:
        """Return the probabilities that belong to scores (outputs, n)."""
        if len(self.classes_) == 1:
            return np.ones((s.shape[1], 1), self.dtype_)
        if isinstance(self.loss, str):
            return softmax(np.stack([np.zeros_like(s[0]), s[0]], axis=-1) if len(s) == 1 else s.T)
        loss = self._objective().loss
        p = np.asarray(loss.inverse_link(s[0] if len(s) == 1 else s.T)).astype(self.dtype_)
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError(
                f"{self.loss!r} has no link to probabilities; use decision_function or predict, or write "
                "its inverse_link."
            )
        return np.column_stack([1 - p, p]) if len(s) == 1 else p

    def _as_scores(self, s: np.ndarray) -> np.ndarray:
        """Turn scores (outputs, n) into what ``decision_function`` gives."""
        return s[0] if len(self.classes_) == 2 and len(s) == 1 else np.ascontiguousarray(s.T)

    def _scores(self, X: Any) -> np.ndarray:
        return self._as_scores(self._raw(X).astype(self.dtype_))

    def staged_decision_function(self, X: Any) -> Any:
        """Give the scores after each round."""
        for s in self._staged_raw(self._checked(X)):
            yield self._as_scores(s)

    def staged_predict_proba(self, X: Any) -> Any:
        """Give the probabilities after each round."""
        for s in self._staged_raw(self._checked(X)):
            yield self._linked(s)

    def staged_predict(self, X: Any) -> Any:
        """Give the predicted classes after each round."""
        for s in self.staged_decision_function(X):
            yield self.classes_[(s > 0).astype(int) if s.ndim == 1 else s.argmax(axis=1)]


class BoostingRegressor(Boosting, Regressor):
    r"""Regress by a sum of trees, each a Newton step on a loss.

    Every round fits a tree to the gradient g and the curvature h of the loss at the present scores;
    a leaf holds the regularised Newton step of its rows (for absolute and quantile loss: the
    quantile of its residuals).

    .. math::
        c_R = -\frac{\sum_R g_i}{\sum_R h_i + \lambda}, \quad
        \Delta = \frac{G_L^2}{2 (H_L + \lambda)} + \frac{G_R^2}{2 (H_R + \lambda)}
        - \frac{G^2}{2 (H + \lambda)} - \gamma

    Parameters
    ----------
    loss : str or Loss, default="squared_error"
        "squared_error", "absolute_error", "quantile", "huber", "poisson" (counts, log link), or an
        object with the methods of ``zoo.engines.losses.Loss``.
    quantile : float, default=0.5
        Which one, for loss="quantile".
    delta : float, default=1.0
        Residual at which loss="huber" becomes linear.
    min_child_samples : int or None, default=None
        Least number of rows in a leaf, whatever their weights; None is 20, or 2 % of the rows
        where that is less (1 for "poisson" and losses of one's own).

    Notes
    -----
    The gain is that of the paper; the library XGBoost compares twice its value with ``gamma``.
    Histograms are sums of whole numbers, so the trees do not depend on the number of threads.
    A column with missing values tries both sides for them; where training saw none they follow the
    larger part. Time is O(n d) a level and O(d bins) a leaf; memory above X about 2 d + 32 bytes a
    row. Trees do not extrapolate beyond the
    targets they saw.

    References
    ----------
    Friedman (2001), Greedy function approximation: a gradient boosting machine, Annals of
    Statistics 29(5).
    Chen and Guestrin (2016), XGBoost: a scalable tree boosting system, KDD.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from zoo import BoostingRegressor
    >>> X, y = make_friedman1(400, random_state=0)
    >>> model = BoostingRegressor(n_estimators=50).fit(X[:300], y[:300])
    >>> bool(model.score(X[300:], y[300:]) > 0.8)
    True
    """

    loss: Annotated[
        Literal["squared_error", "absolute_error", "quantile", "huber", "poisson"] | Loss,
        Fixed("it states the costs of the task"),
    ] = "squared_error"
    quantile: Annotated[OpenFraction, Fixed("it states what is asked for")] = 0.5
    delta: Positive = 1.0

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, val: Any, resume: bool, steps: Any) -> None:
        check_squares(type(self).__name__, w, y=y)
        kind = self._objective().loss.target
        if kind not in ("real", "nonnegative"):
            raise ValueError(
                f"BoostingRegressor: the loss {self.loss!r} is for targets of the kind {kind!r}; give it "
                "to BoostingClassifier, or give one for 'real' or 'nonnegative' numbers."
            )
        if kind == "nonnegative" and (y.min() < 0 or y.max() <= 0):
            raise ValueError(
                f"BoostingRegressor: loss={self.loss!r} needs y >= 0 with a positive sum, but y lies "
                f"between {y.min()} and {y.max()}; give counts or take another loss."
            )
        self._learn_rounds(X, y, w, val, resume, steps)

    def _n_outputs(self) -> int:
        return 1

    def _objective(self) -> Any:
        from zoo.engines.trees.objective import Objective, fused

        known = {
            "squared_error": Squared(),
            "absolute_error": Absolute(),
            "quantile": Quantile(self.quantile),
            "huber": Huber(self.delta),
            "poisson": Poisson(),
        }
        return fused(known[self.loss]) if isinstance(self.loss, str) else Objective(self.loss)

    def _output(self, X: Any) -> np.ndarray:
        return self._objective().loss.inverse_link(self._raw(X)[0]).astype(self.dtype_)

    def staged_predict(self, X: Any) -> Any:
        """Give the predictions after each round."""
        link = self._objective().loss.inverse_link
        for s in self._staged_raw(self._checked(X)):
            yield link(s[0])
