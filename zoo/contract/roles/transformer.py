"""Gives back another representation."""

from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from zoo.contract.estimator import Estimator
from zoo.contract.shapes import RowsLike


class Transformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator, abstract=True, role="Transformer"
):
    """Gives back another representation; fit sets ``n_features_out_``.

    A leaf writes ``_output``, or ``_represent`` where its other role's predict takes ``_output``.
    """

    def _represent(self, X: Any) -> np.ndarray:
        z: np.ndarray = self._output(X)
        return z

    @property
    def _n_features_out(self) -> int:
        return int(self.n_features_out_)

    def transform(self, X: RowsLike) -> np.ndarray:
        """Return the representation of each row."""
        return self._represent(self._checked(X))
