"""Several inputs side by side."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags

from zoo.contract.inputs.input import Input, floating_dtype, n_rows


class Joined(Input):
    """Inputs side by side: ``Joined(images=Images(), text=Text())``.

    X is a list of tuples or a DataFrame of one column a part, which scikit-learn can slice, or a
    mapping of the parts for plain fit. Normalised to a dict of the normalised parts. Where a method
    answers about one part alone, a mapping of that part will do at predict.
    """

    name: ClassVar[str] = "joined"
    two_d_array: ClassVar[bool] = False

    def __init__(self, **parts: Input) -> None:
        object.__setattr__(self, "parts", parts)

    parts: ClassVar[dict[str, Input]]

    def __repr__(self) -> str:
        """Write the parts."""
        return f"Joined({', '.join(f'{name}={part!r}' for name, part in self.parts.items())})"

    def __eq__(self, other: object) -> bool:
        """Tell whether the parts are equal."""
        return isinstance(other, Joined) and list(self.parts.items()) == list(other.parts.items())

    def __hash__(self) -> int:
        """Hash the parts."""
        return hash(tuple(self.parts.items()))

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        super().set_tags(tags)
        tags.no_validation = True

    def check(self, estimator: Any, X: Any, *, reset: bool) -> dict[str, Any]:
        """Return a dict of the normalised parts."""
        raw = self._split(X)
        if reset and set(raw) != set(self.parts):
            raise ValueError(
                f"X has the parts {', '.join(raw) or 'none'}; fit takes all of {', '.join(self.parts)}."
            )
        checked = {name: self.parts[name].check(estimator, part, reset=reset) for name, part in raw.items()}
        counts = {name: n_rows(part) for name, part in checked.items()}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{n} of {name}" for name, n in counts.items())
            raise ValueError(f"X has {said}; every row needs one of each.")
        if reset:
            # Widths and names belong to one part, not to X.
            estimator.n_features_in_ = len(self.parts)
            vars(estimator).pop("feature_names_in_", None)
        return checked

    def _split(self, X: Any) -> dict[str, Any]:
        """Take X apart, whatever holds the parts together."""
        names = list(self.parts)
        if isinstance(X, Mapping) or hasattr(X, "columns"):
            held = list(X if isinstance(X, Mapping) else X.columns)
            strange = [str(name) for name in held if name not in names]
            if strange:
                raise ValueError(
                    f"X has the part {strange[0]!r}, which is none of {', '.join(names)}; name the parts so."
                )
            given = [name for name in names if name in X]
            # A column of arrays becomes a list; its parts are stacked by the input that reads them.
            return {n: X[n] if isinstance(X, Mapping) else list(X[n]) for n in given}
        rows = list(X) if hasattr(X, "__iter__") and not isinstance(X, str) else None
        if not rows or any(isinstance(r, str) or len(r) != len(names) for r in rows):
            raise ValueError(
                f"X is no list of rows ({', '.join(names)}); give a list of tuples, a DataFrame of these "
                "columns, or a mapping of them."
            )
        return {name: [row[j] for row in rows] for j, name in enumerate(names)}

    def precision(self, X: Any) -> np.dtype:
        """Precision follows the parts that are numbers."""
        return floating_dtype({name: part for name, part in X.items() if not isinstance(part, list)})

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Rows of tuples whose parts are of one class."""
        y: np.ndarray | None = None
        columns = []
        for part in self.parts.values():
            rows, labels = part.toy(rng, n)
            y = labels if y is None else y
            # Both have each class as often, so that rows of one class can be laid side by side.
            order = np.argsort(labels, kind="stable")[np.argsort(np.argsort(y, kind="stable"), kind="stable")]
            columns.append([rows[i] for i in order])
        assert y is not None
        return list(zip(*columns, strict=True)), y
