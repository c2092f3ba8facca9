"""Rows of features."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags

from zoo.contract.inputs.input import FLOATS, Input, rows_of_numbers, toy_labels


@dataclass(frozen=True)
class Table(Input):
    """Rows of features: a 2-D array, a DataFrame, or a sparse matrix where declared."""

    sparse: bool = False
    missing: bool = False
    categories: bool = False
    name: ClassVar[str] = "table"

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        super().set_tags(tags)
        tags.input_tags.sparse = self.sparse
        tags.input_tags.allow_nan = self.missing
        tags.input_tags.categorical = self.categories
        tags.input_tags.string = self.categories

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        """Return a float array (n, d), or CSR where sparse is declared."""
        if self.categories:
            X = encode_categories(estimator, X, reset=reset)
        return rows_of_numbers(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr" if self.sparse else False,
            dtype=FLOATS,
            ensure_all_finite="allow-nan" if self.missing else True,
        )

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Two clouds in four dimensions."""
        y = toy_labels(rng, n)
        X = rng.normal(size=(n, 4))
        X[:, 0] += 4 * y
        return X, y


def encode_categories(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Replace categorical and text columns of a DataFrame by codes; unseen and missing are nan.

    ``categories_`` of the estimator maps a column's position to its known categories.
    """
    if not hasattr(X, "dtypes") or not hasattr(X, "columns"):
        if reset:
            estimator.categories_ = {}
        return X
    if reset:
        estimator.categories_ = {
            j: _known_categories(X.iloc[:, j])
            for j, dtype in enumerate(X.dtypes)
            if str(dtype) in ("category", "object", "str", "string") or str(dtype).startswith("str")
        }
    if not estimator.categories_:
        return X
    out = X.copy(deep=False)
    for j, known in estimator.categories_.items():
        if j < X.shape[1]:
            out.isetitem(j, _category_codes(X.iloc[:, j], known))
    return out


def _category_codes(column: Any, known: np.ndarray) -> np.ndarray:
    """Give the place of each value among the known categories; nan for none of them."""
    # Python compares the distinct values only: a column may mix types, and rows are many.
    if hasattr(column, "cat"):
        at, values = column.cat.codes.to_numpy(), column.cat.categories
    else:
        at, values = column.factorize()
    code = {category: float(c) for c, category in enumerate(known)}
    # Missing values have place -1: the last.
    return np.array([*(code.get(v, np.nan) for v in values), np.nan])[at]


def _known_categories(column: Any) -> np.ndarray:
    try:
        values = column.cat.categories if hasattr(column, "cat") else column.dropna().unique()
    except TypeError as error:
        held = type(column.dropna().iloc[0]).__name__
        raise ValueError(
            f"column {column.name!r} of X holds objects of type {held}, which are no categories; give "
            "numbers, text or a pandas category."
        ) from error
    return np.asarray(sorted(values, key=lambda v: (str(type(v)), v)), dtype=object)
