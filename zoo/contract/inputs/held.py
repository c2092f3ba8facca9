"""Whatever the estimator eats that is held."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import Tags

from zoo.contract.inputs.input import Input, n_rows
from zoo.contract.inputs.table import Table


@dataclass(frozen=True)
class Held(Input):
    """The input of the estimator that the field ``parameter`` holds: X goes to it as it came.

    The estimator that is held checks X itself; here it is only made sure that rows can be counted and picked.
    """

    parameter: str = "estimator"
    name: ClassVar[str] = "held"

    def set_tags(self, tags: Tags) -> None:
        """Leave the tags to the wrapper, which reads them from what it holds."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        """Return X as it came."""
        if X is None:
            return None
        if issparse(X):
            X = X.tocsr()  # rows of every other format cannot be picked
        elif hasattr(X, "__array__") and not hasattr(X, "shape"):
            X = np.asarray(X)
        if isinstance(X, str | bytes) or not (hasattr(X, "shape") or hasattr(X, "__len__")):
            raise ValueError(
                f"X is {X!r:.40}; {type(estimator).__name__} takes rows: an array, a table or a list."
            )
        if n_rows(X) == 0:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        return X

    def precision(self, X: Any) -> np.dtype:
        """Return the precision of X where it is an array, else double."""
        kept = getattr(getattr(X, "dtype", None), "kind", "") == "f"
        return np.dtype(X.dtype) if kept else np.dtype(np.float64)

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Rows of a table, which what is held by default eats."""
        return Table().toy(rng, n)
