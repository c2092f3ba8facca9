"""Gives back numbers."""

from typing import ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from zoo.contract.estimator import Estimator
from zoo.contract.shapes import RowsLike, TargetsLike, WeightsLike
from zoo.contract.targets import Numbers, Target


class Regressor(RegressorMixin, Estimator, abstract=True, role="Regressor"):
    """Gives back numbers. A leaf writes ``_output``."""

    target: ClassVar[Target] = Numbers()

    def predict(self, X: RowsLike) -> np.ndarray:
        """Return the predicted value of each row."""
        s: np.ndarray = self._output(self._checked(X))
        return s

    def score(self, X: RowsLike, y: TargetsLike, sample_weight: WeightsLike | None = None) -> float:
        """Return R^2; where a row of y has a shape of its own, the mean over its numbers.

        Parameters
        ----------
        X : array-like or the container of this estimator's input
            Rows to predict.
        y : array-like of shape (n,), (n, columns) or (n, *shape)
            Their targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        score : float
        """
        if getattr(self.target, "shape", None) is None:
            return float(super().score(X, y, sample_weight))
        truth = np.asarray(y).reshape(np.shape(y)[0], -1)
        predicted = self.predict(X).reshape(truth.shape)
        return float(r2_score(truth, predicted, sample_weight=sample_weight))
