"""Gives back numbers."""

from typing import ClassVar

import numpy as np
from sklearn.base import RegressorMixin

from zoo.contract.estimator import Estimator
from zoo.contract.shapes import RowsLike
from zoo.contract.targets import Numbers, Target


class Regressor(RegressorMixin, Estimator, abstract=True, role="Regressor"):
    """Gives back numbers. A leaf writes ``_output``."""

    target: ClassVar[Target] = Numbers()

    def predict(self, X: RowsLike) -> np.ndarray:
        """Return the predicted value of each row."""
        s: np.ndarray = self._output(self._checked(X))
        return s
