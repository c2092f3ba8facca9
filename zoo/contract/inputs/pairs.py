"""Two things a row."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import _check_feature_names

from zoo.contract.inputs.input import Input
from zoo.contract.inputs.text import Text


@dataclass(frozen=True)
class Pairs(Input):
    """Things that belong together, two a row: an array, a DataFrame or a list of tuples.

    Ids of any hashable type, or documents where ``of`` is `Text`. ``widths`` are the accepted numbers
    of columns: preferences are (prompt, chosen, refused) in fit and (prompt, response) in predict.
    """

    of: Text | None = None
    widths: tuple[int, ...] = (2,)
    name: ClassVar[str] = "pairs"
    two_d_array: ClassVar[bool] = False

    def check(self, estimator: Any, X: Any, *, reset: bool) -> np.ndarray:
        """Return an (n, width) object or number array."""
        columns, names, missing = self._columns(X)
        if len(columns) not in self.widths:
            raise ValueError(
                f"X has {len(columns)} columns; {type(estimator).__name__} takes "
                f"{' or '.join(map(str, self.widths))}: two {self._things} a row."
            )
        for j, column in enumerate(columns):
            if len(column) == 0:
                raise ValueError("X holds no pair (0 sample(s)); give at least one.")
            if missing[j].any():
                raise ValueError(
                    f"column {j} of X holds a missing {self._things.removesuffix('s')} "
                    f"(row {missing[j].argmax()}); drop the row."
                )
            if self.of is not None:
                self._check_documents(j, column)
        self._note_names(estimator, X, len(columns), names, reset=reset)
        if len({c.dtype for c in columns}) == 1 and columns[0].dtype != object:
            return np.column_stack(columns)
        out = np.empty((len(columns[0]), len(columns)), dtype=object)
        for j, column in enumerate(columns):
            out[:, j] = column
        return out

    @property
    def _things(self) -> str:
        return "ids" if self.of is None else "documents"

    def _columns(self, X: Any) -> tuple[list[np.ndarray], np.ndarray | None, list[np.ndarray]]:
        """Return the columns, their names where they have any, and where a cell is missing."""
        if hasattr(X, "columns"):
            width = range(X.shape[1])
            columns = [X.iloc[:, j].to_numpy() for j in width]
            return columns, np.asarray(X.columns, object), [X.iloc[:, j].isna().to_numpy() for j in width]
        X = X if isinstance(X, np.ndarray) else _object_array(X, self.widths, self._things)
        if X.ndim != 2:
            raise ValueError(f"X has shape {X.shape}; pairs are (n, 2): two {self._things} a row.")
        columns = list(X.T)
        return columns, None, [_missing(column) for column in columns]

    def _check_documents(self, j: int, column: np.ndarray) -> None:
        for i, document in enumerate(column):
            if not isinstance(document, str):
                raise ValueError(
                    f"row {i} of column {j} of X is {document!r:.40} of type {type(document).__name__}; "
                    "every document must be a str (an empty one is '')."
                )

    def _note_names(
        self, estimator: Any, X: Any, width: int, names: np.ndarray | None, *, reset: bool
    ) -> None:
        """Keep the names of the columns, and refuse other ones later: swapped columns are no guess."""
        if reset:
            estimator.n_features_in_ = width
            if hasattr(estimator, "feature_names_in_"):
                del estimator.feature_names_in_
            if names is not None and all(isinstance(n, str) for n in names):
                estimator.feature_names_in_ = names
        elif width == estimator.n_features_in_:
            _check_feature_names(estimator, X, reset=False)

    def precision(self, X: Any) -> np.dtype:
        """Ids are names, even where they are numbers: only y has a precision."""
        return np.dtype(np.float64)

    def toy(self, rng: np.random.RandomState, n: int = 120) -> tuple[Any, np.ndarray]:
        """Two kinds of users and of items; like meets like. Documents: a cat answers a cat."""
        X = np.column_stack([rng.randint(12, size=n), rng.randint(10, size=n)])
        y = (X[:, 0] % 2 == X[:, 1] % 2).astype(int)
        if self.of is None:
            return X, y
        words = np.array(["cat", "ship"], dtype=object)
        rows = [words[X[:, 0] % 2] + " asks", words[X[:, 1] % 2] + " says"]
        if 2 not in self.widths:  # (prompt, chosen, refused): what was chosen speaks of the same thing
            rows = [rows[0], words[X[:, 0] % 2] + " says", words[1 - X[:, 0] % 2] + " says"]
        out = np.empty((n, len(rows)), dtype=object)
        for j, column in enumerate(rows):
            out[:, j] = column
        return out, y


def _missing(column: np.ndarray) -> np.ndarray:
    """Mark the ids that are None, nan or NaT."""
    if column.dtype != object:
        return np.asarray(column != column)
    return np.array([v is None or v != v for v in column], dtype=bool)


def _object_array(X: Any, widths: tuple[int, ...], things: str) -> np.ndarray:
    """Stack rows without letting numpy turn numbers into strings."""
    if isinstance(X, str) or not hasattr(X, "__iter__"):
        raise ValueError(f"X is {X!r}; pairs are (n, 2): two {things} a row.")
    rows: list[Sequence[Hashable]] = list(X)
    found = {len(r) if hasattr(r, "__len__") and not isinstance(r, str) else 1 for r in rows}
    if len(found) > 1 or found - set(widths):
        raise ValueError(f"rows of X have {sorted(found)} entries; pairs have two {things} a row.")
    out = np.empty((len(rows), *(found or {widths[0]})), dtype=object)
    for i, row in enumerate(rows):
        out[i] = row
    return out
