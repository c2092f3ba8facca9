"""Targets: what y is, as a value on the class.

A target checks y, encodes it for ``_learn`` (class numbers, padded rows), decodes answers and names
the metric by which ``score`` judges. Roles have a target by default; a leaf states another one as it
states its input: ``target: ClassVar[Target] = Numbers(many=True)``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from zoo.contract.inputs import take

__all__ = ["AsHeld", "Documents", "Labels", "Nothing", "Numbers", "Sequences", "Target"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The abstract target.

    Parameters
    ----------
    required : bool
        Whether fit refuses to go without y.
    many : bool
        Whether y may have several columns.
    when : str or None
        The parameter of the estimator that says whether y counts; None: it always does.
    """

    required: bool = True
    many: bool = False
    when: str | None = None
    name: ClassVar[str] = "target"
    metric: ClassVar[Callable[..., float] | None] = None
    # Whether y is class labels, so that partial_fit can be told of all of them.
    of_classes: ClassVar[bool] = False

    def set_tags(self, tags: Tags) -> None:
        """Write what this target accepts into scikit-learn's tags."""
        tags.target_tags.required = self.required
        tags.target_tags.multi_output = self.many

    def counts(self, estimator: Any) -> bool:
        """Tell whether y counts for this estimator."""
        return self.when is None or bool(getattr(estimator, self.when))

    def check(self, estimator: Any, y: Any, n: int) -> Any:
        """Return y of n rows checked, still as the user counts and names things; None: there is none."""
        raise NotImplementedError

    def encode(
        self, estimator: Any, y: Any, *, resume: bool, classes: Any = None, name: str = "y"
    ) -> Any:
        """Return checked y as ``_learn`` takes it, and set what ``decode`` needs unless ``resume``."""
        return y

    def decode(self, estimator: Any, answers: Any) -> Any:
        """Return answers in the user's words."""
        return answers

    def left_out(self, before: Any, after: Any) -> list[Any]:
        """Name what is in y before rows were dropped and in y after it no more."""
        return []


@dataclass(frozen=True, kw_only=True)
class Nothing(Target):
    """No target: y is accepted, for pipelines, and not looked at."""

    required: bool = False
    name: ClassVar[str] = "nothing"

    def check(self, estimator: Any, y: Any, n: int) -> None:
        """There is no y."""


@dataclass(frozen=True, kw_only=True)
class Numbers(Target):
    """Numbers in the precision of X: (n,), (n, columns) with ``many``, (n, *shape) with ``shape``.

    Parameters
    ----------
    shape : tuple of int or None, optional
        Of one row of y, None for a size that is free: images as targets are ``(None, None, None)``.
    """

    shape: tuple[int | None, ...] | None = None
    name: ClassVar[str] = "numbers"
    metric: ClassVar[Callable[..., float] | None] = staticmethod(r2_score)

    def check(self, estimator: Any, y: Any, n: int) -> Any:
        """Return y as an array of floats."""
        if y is None or not self.counts(estimator):
            return None
        if not self.many and self.shape is None:
            y = column_or_1d(y, warn=True)
        y = check_array(
            y, ensure_2d=False, allow_nd=self.shape is not None, dtype=estimator.dtype_, input_name="y",
            estimator=estimator, copy=False, ensure_all_finite=False,
        )  # fmt: skip
        if not np.isfinite(y).all():
            raise ValueError(
                f"Input y contains NaN or infinity{_where(y)}; leave these rows out or fill them in."
            )
        check_consistent_length(np.empty(n), y)
        if self.shape is not None and not self._fits(y.shape[1:]):
            wanted = ", ".join("any" if size is None else str(size) for size in self.shape)
            raise ValueError(
                f"rows of y have the shape {y.shape[1:]}; {type(estimator).__name__} takes rows of shape "
                f"({wanted})."
            )
        return np.asarray(y)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        assert self.shape is not None
        return len(shape) == len(self.shape) and all(
            wanted in (None, size) for wanted, size in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Labels(Target):
    """Class labels: ``_learn`` sees class numbers, ``classes_`` has the labels, sorted.

    With ``many`` y may have several columns, each with classes of its own: ``classes_`` is then a list,
    and ``_learn`` sees (n, columns) class numbers.

    Parameters
    ----------
    least : int
        How many classes there must be.
    """

    least: int = 1
    name: ClassVar[str] = "labels"
    metric: ClassVar[Callable[..., float] | None] = staticmethod(accuracy_score)
    of_classes: ClassVar[bool] = True

    def check(self, estimator: Any, y: Any, n: int) -> np.ndarray | None:
        """Return y as labels, (n,) or (n, columns)."""
        if y is None or not self.counts(estimator):
            return None
        several = np.asarray(y)
        if self.many and several.ndim == 2 and several.shape[1] > 1:
            y = several
        else:
            y = column_or_1d(y, warn=True)
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError(f"Input y contains NaN or infinity{_where(y)}; give every row a class label.")
        check_consistent_length(np.empty(n), y)
        check_classification_targets(y)
        return np.asarray(y)

    def encode(
        self, estimator: Any, y: Any, *, resume: bool, classes: Any = None, name: str = "y"
    ) -> np.ndarray | None:
        """Return class numbers; the first fit sets ``classes_``."""
        if y is None:
            return None
        columns = np.reshape(y, (len(y), -1)).T
        several = len(columns) > 1
        given = [None] * len(columns)
        if classes is not None:
            given = list(classes) if several else [classes]
        known = self.classes(estimator) if resume else None
        if known is None:
            known = [
                np.unique(column if labels is None else np.asarray(labels))
                for column, labels in zip(columns, given, strict=True)
            ]
            estimator.classes_ = known if several else known[0]
        if len(known) != len(columns):
            raise ValueError(
                f"{name} has {len(columns)} column(s), but {type(estimator).__name__} was fitted to "
                f"{len(known)}; give the columns of the first fit."
            )
        for j, (labels, told) in enumerate(zip(known, given, strict=True)):
            where = f"column {j} of y" if several else "y"
            self._check_classes(estimator, labels, told, where)
        numbers = [class_numbers(estimator, c, name, k) for c, k in zip(columns, known, strict=True)]
        return np.column_stack(numbers) if several else numbers[0]

    def _check_classes(self, estimator: Any, known: np.ndarray, told: Any, where: str) -> None:
        if told is not None and not np.array_equal(np.unique(np.asarray(told)), known):
            raise ValueError(
                f"classes={np.unique(np.asarray(told))[:10].tolist()} are other classes than the first fit "
                f"was told, {known[:10].tolist()}; give the same, or none."
            )
        if len(known) < self.least:
            raise ValueError(
                f"{type(estimator).__name__} needs at least {self.least} classes in y, but {where} has only "
                f"one class: {known.tolist()[0]!r}; give data that hold another class (rows of "
                "weight 0 do not count)."
            )

    def classes(self, estimator: Any) -> list[np.ndarray]:
        """Return the classes of each column."""
        known = estimator.classes_
        return known if isinstance(known, list) else [known]

    def decode(self, estimator: Any, answers: Any) -> Any:
        """Return the labels of class numbers (of one column of y)."""
        return estimator.classes_[answers]

    def left_out(self, before: Any, after: Any) -> list[Any]:
        """Name the classes that are in y before and not in y after."""
        lost = [np.setdiff1d(*pair) for pair in zip(*map(_columns, (before, after)), strict=True)]
        return [label for column in lost for label in column.tolist()]


def _where(y: np.ndarray) -> str:
    """Say which rows of y are not finite."""
    rows = np.flatnonzero(~np.isfinite(y.reshape(len(y), -1)).all(axis=1))
    return f" in {len(rows)} of {len(y)} rows, the first of them row {rows[0]}"


def _columns(y: np.ndarray) -> Sequence[np.ndarray]:
    """Return y column by column; where each row is a series of labels, all of them as one column."""
    if y.dtype == object and y.ndim == 1 and len(y) and isinstance(y[0], np.ndarray):
        return [np.concatenate(y)]
    return list(np.reshape(y, (len(y), -1)).T)


def class_numbers(estimator: Any, y: np.ndarray, name: str, known: np.ndarray) -> np.ndarray:
    """Return the place of each label among the known ones; a strange label is refused."""
    numbers = np.searchsorted(known, y) if len(known) else np.zeros(len(y), dtype=int)
    numbers = np.minimum(numbers, len(known) - 1)
    strange = known[numbers] != y
    if strange.any():
        raise ValueError(
            f"{name} holds the label {y[strange].tolist()[0]!r}, which is none of the classes "
            f"{known[:10].tolist()} that {type(estimator).__name__} knows; name every class at the "
            "first fit (partial_fit: classes=...)."
        )
    return numbers


@dataclass(frozen=True, kw_only=True)
class Sequences(Target):
    """A target for every step of a series: y is (n, time), or a list of arrays as long as the series.

    ``_learn`` sees (n, longest) with -1 (class numbers) or nan behind the end of a row. Where the
    parameter ``when`` is off, y is what ``of`` says: one target a series.
    """

    of: Target = field(default_factory=Numbers)
    name: ClassVar[str] = "sequences"

    def __post_init__(self) -> None:
        """A series has as many targets as one step, and needs them as much."""
        object.__setattr__(self, "many", self.of.many)
        object.__setattr__(self, "required", self.of.required)

    @property
    def of_classes(self) -> bool:  # type: ignore[override]
        """Whether steps have class labels."""
        return self.of.of_classes

    @property
    def metric(self) -> Callable[..., float] | None:  # type: ignore[override]
        """The metric over all steps."""
        return self.of.metric

    def set_tags(self, tags: Tags) -> None:
        """Write what single targets accept into scikit-learn's tags."""
        self.of.set_tags(tags)

    def check(self, estimator: Any, y: Any, n: int) -> Any:
        """Return an array of n rows, each an array of targets."""
        if y is None or not self.counts(estimator):
            return self.of.check(estimator, y, n)
        if len(y) != n:
            raise ValueError(f"y has {len(y)} rows, but X has {n} series; give one target series each.")
        rows = np.empty(n, dtype=object)
        for i, row in enumerate(y):
            rows[i] = np.asarray(row)
            if rows[i].ndim != 1 or len(rows[i]) == 0:
                raise ValueError(
                    f"row {i} of y has shape {rows[i].shape}; with {self.when}=True each row of y "
                    "is 1-D, one target a time step."
                )
        ends = np.cumsum([len(row) for row in rows])
        every = self.of.check(estimator, np.concatenate(list(rows)), int(ends[-1]))
        if not self.of_classes:
            for i, row in enumerate(np.split(every, ends[:-1])):
                rows[i] = row
        return rows

    def encode(
        self, estimator: Any, y: Any, *, resume: bool, classes: Any = None, name: str = "y"
    ) -> Any:
        """Return the padded rows."""
        more = {"resume": resume, "classes": classes, "name": name}
        if y is None or not self.counts(estimator):
            return self.of.encode(estimator, y, **more)
        ends = np.cumsum([len(row) for row in y])[:-1]
        every = self.of.encode(estimator, np.concatenate(list(y)), **more)
        return padded(np.split(np.asarray(every), ends), -1 if self.of_classes else np.nan)

    def decode(self, estimator: Any, answers: Any) -> Any:
        """Return answers in the user's words, row by row."""
        return self.of.decode(estimator, answers)

    def left_out(self, before: Any, after: Any) -> list[Any]:
        """Name what is in y before and not in y after."""
        return self.of.left_out(before, after)


def padded(rows: list[np.ndarray], padding: float) -> np.ndarray:
    """Stack rows of unequal length."""
    out = np.full((len(rows), max(map(len, rows))), padding, dtype=rows[0].dtype)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


@dataclass(frozen=True, kw_only=True)
class Documents(Target):
    """A document for each row: y is a list of str, and so is what ``_learn`` sees."""

    name: ClassVar[str] = "documents"

    def check(self, estimator: Any, y: Any, n: int) -> list[str] | None:
        """Return a list of str."""
        if y is None or not self.counts(estimator):
            return None
        if isinstance(y, str | bytes):
            raise ValueError(
                f"y is one string ({str(y)[:40]!r}); give a list of documents, one for each row of X."
            )
        if len(getattr(y, "shape", (0,))) > 1:
            y = y.iloc[:, 0] if hasattr(y, "iloc") and y.shape[1] == 1 else y
        documents = list(y)
        if len(documents) != n:
            raise ValueError(
                f"y has {len(documents)} documents, but X has {n} rows; give one document for each row."
            )
        for i, document in enumerate(documents):
            if not isinstance(document, str):
                raise ValueError(
                    f"document {i} of y is {document!r:.40} of type {type(document).__name__}; every "
                    "document must be a str (an empty one is '')."
                )
        return [str(document) for document in documents]


@dataclass(frozen=True, kw_only=True)
class AsHeld(Target):
    """The target of the estimator that is held: y goes to it as it came."""

    required: bool = False
    name: ClassVar[str] = "held"

    def set_tags(self, tags: Tags) -> None:
        """Leave the tags to the wrapper, which reads them from what it holds."""

    def check(self, estimator: Any, y: Any, n: int) -> Any:
        """Return y as it came, one for each row."""
        if y is None:
            return None
        if hasattr(y, "__array__") and not hasattr(y, "shape"):
            y = np.asarray(y)
        check_consistent_length(np.empty(n), y)
        return y


def rows_of(y: Any, rows: np.ndarray) -> Any:
    """Pick rows of a checked y; None stays None."""
    return None if y is None else take(np.asarray(y) if isinstance(y, tuple) else y, rows)
