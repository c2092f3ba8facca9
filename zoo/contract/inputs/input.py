"""What every input is, and how rows of a normalised X are counted, picked and cast."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from zoo.contract.inputs.cells import fault

FLOATS = (np.float64, np.float32)


def n_rows(X: Any) -> int:
    """Count the rows of a normalised X."""
    if isinstance(X, dict):
        return n_rows(next(iter(X.values())))
    return X.shape[0] if hasattr(X, "shape") else len(X)


def take(X: Any, rows: np.ndarray) -> Any:
    """Pick rows (a mask or indices) of a normalised X."""
    if isinstance(X, dict):
        return {name: take(part, rows) for name, part in X.items()}
    if isinstance(X, list):
        return [X[i] for i in np.arange(len(X))[rows]]
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def to_dtype(X: Any, dtype: np.dtype) -> Any:
    """Return X with its floating parts cast to ``dtype`` (no copy when they have it already)."""
    if isinstance(X, dict):
        return {name: to_dtype(part, dtype) for name, part in X.items()}
    if hasattr(X, "dtype") and X.dtype.kind == "f":
        return X.astype(dtype, copy=False)
    return X


def floating_dtype(X: Any) -> np.dtype:
    """Precision follows the input: float64 for float64, float32 for float32 and uint8 images."""
    if isinstance(X, dict):
        kinds = [floating_dtype(p) for p in X.values() if getattr(p, "dtype", None) is not None
                 and p.dtype.kind == "f"]
        return kinds[0] if kinds else np.dtype(np.float32)
    if hasattr(X, "dtype") and X.dtype.kind == "f":
        return np.dtype(X.dtype)
    return np.dtype(np.float32)


def toy_labels(rng: np.random.RandomState, n: int, k: int = 2) -> np.ndarray:
    """Draw n class numbers of k classes, every class present."""
    return rng.permutation(np.arange(n) % k)


def rows_of_numbers(estimator: Any, X: Any, **options: Any) -> Any:
    """Check X as scikit-learn does; an error names the column that is the cause."""
    try:
        return validate_data(estimator, X, **options)
    except (TypeError, ValueError) as error:
        missing = options.get("ensure_all_finite") == "allow-nan"
        sentence = fault(X, type(estimator).__name__, missing=missing)
        if sentence is None:
            raise
        raise ValueError(sentence) from error


@dataclass(frozen=True)
class Input:
    """The abstract input. ``two_d_array`` says whether flattened rows are accepted."""

    name: ClassVar[str] = "input"
    two_d_array: ClassVar[bool] = True
    # Whether fit can do without X.
    optional: ClassVar[bool] = False

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        tags.input_tags.two_d_array = self.two_d_array

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        """Return X checked and normalised; ``reset`` at the first fit, not at predict."""
        raise NotImplementedError

    def takes(self, X: Any) -> bool:
        """Tell, without looking at values, whether X is meant for this input; `Either` asks."""
        return True

    def precision(self, X: Any) -> np.dtype:
        """Return the floating type to compute in for this normalised X."""
        return floating_dtype(X)

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Make n small native rows that carry a learnable class number 0 or 1."""
        raise NotImplementedError

    def flattened_params(self, fields: Iterable[str]) -> dict[str, Any]:
        """Return the parameters under which plain 2-D rows of any width are accepted."""
        return {}
