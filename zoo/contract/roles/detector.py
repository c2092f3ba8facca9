"""Tells rows that belong from outliers."""


import numpy as np
from sklearn.base import OutlierMixin

from zoo.contract.estimator import Estimator
from zoo.contract.shapes import RowsLike


class Detector(OutlierMixin, Estimator, abstract=True, role="Detector"):
    """Tells rows that belong from outliers. A leaf writes ``_output`` and sets ``offset_``.

    ``_output`` returns (n,) scores, the higher the more usual. y is ignored.

    Attributes
    ----------
    offset_ : float
        The score below which a row is an outlier.
    """

    def score_samples(self, X: RowsLike) -> np.ndarray:
        """Return how usual each row is."""
        s: np.ndarray = self._output(self._checked(X))
        return s

    def decision_function(self, X: RowsLike) -> np.ndarray:
        """Return ``score_samples(X) - offset_``, negative for outliers."""
        s = self.score_samples(X)
        return s - s.dtype.type(self.offset_)

    def predict(self, X: RowsLike) -> np.ndarray:
        """Return -1 for each outlier and 1 for every other row."""
        return np.where(self.decision_function(X) < 0, -1, 1)
