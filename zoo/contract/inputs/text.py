"""Documents."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags

from zoo.contract.inputs.input import Input, toy_labels


@dataclass(frozen=True)
class Text(Input):
    """Documents: a list of str, a 1-D object array or a pandas Series. "" is a document."""

    name: ClassVar[str] = "text"
    two_d_array: ClassVar[bool] = False

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        super().set_tags(tags)
        tags.input_tags.string = True

    def check(self, estimator: Any, X: Any, *, reset: bool) -> list[str]:
        """Return a list of str."""
        if isinstance(X, str | bytes):
            raise ValueError(
                f"X is one string ({str(X)[:40]!r}); {type(estimator).__name__} takes a list of "
                "documents: give [text]."
            )
        if X is None or isinstance(X, dict) or (np.ndim(X) == 0 and not hasattr(X, "__iter__")):
            raise ValueError(f"X is {X!r:.40}; give a list of documents (str).")
        documents = _column_of(X)
        for i, document in enumerate(documents):
            if not isinstance(document, str):
                raise ValueError(
                    f"document {i} of X is {document!r} of type {type(document).__name__}; every "
                    "document must be a str (an empty one is '')."
                )
        if not documents:
            raise ValueError("X holds no document (0 sample(s)); give at least one.")
        return [str(document) for document in documents]

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Sentences about cats against sentences about ships."""
        y = toy_labels(rng, n)
        words = (["the cat purrs", "a cat sleeps", "soft cat"],
                 ["the ship sails", "a ship sinks", "big ship"])
        return [f"{words[k][rng.randint(3)]} {words[k][rng.randint(3)]}." for k in y], y


def _column_of(X: Any) -> list[Any]:
    """Return the documents of a list, an array or a Series; a table may have one column."""
    shape: tuple[int, ...] = getattr(X, "shape", ())
    if len(shape) > 1:
        if len(shape) > 2 or shape[1] != 1:
            raise ValueError(
                f"X has shape {tuple(shape)}; documents are one column: pick it, as in X['text'] or X[:, 0]."
            )
        X = X.iloc[:, 0] if hasattr(X, "iloc") else X[:, 0]
    return list(X)
