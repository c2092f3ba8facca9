"""Inputs: what a method eats, as a value on its class.

An input checks and normalises X, sets the scikit-learn tags and makes the toy data on which the
conformance suite fits. Rows of every normalised X are picked with `take` and counted with
`n_rows`, whatever the container: array, sparse matrix, list, or dict of arrays.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, validate_data

from zoo.contract.cells import fault
from zoo.contract.params import Count, Fixed

FLOATS = (np.float64, np.float32)

# The domain of the field ``image_shape``, which every method on images has.
ImageShape = Annotated[
    tuple[Count, Count] | tuple[Count, Count, Count] | Literal["row"] | None,
    Fixed("it says what the data are"),
]


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
    return X[rows]


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


def _labels(rng: np.random.RandomState, n: int, k: int = 2) -> np.ndarray:
    """Draw n class numbers of k classes, every class present."""
    return rng.permutation(np.arange(n) % k)


def _rows_of_numbers(estimator: Any, X: Any, **options: Any) -> Any:
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

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        tags.input_tags.two_d_array = self.two_d_array

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        """Return X checked and normalised; ``reset`` at the first fit, not at predict."""
        raise NotImplementedError

    def precision(self, X: Any) -> np.dtype:
        """Return the floating type to compute in for this normalised X."""
        return floating_dtype(X)

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Make n small native rows that carry a learnable class number 0 or 1."""
        raise NotImplementedError

    def flattened_params(self, fields: Iterable[str]) -> dict[str, Any]:
        """Return the parameters under which plain 2-D rows of any width are accepted."""
        return {}


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
        return _rows_of_numbers(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr" if self.sparse else False,
            dtype=FLOATS,
            ensure_all_finite="allow-nan" if self.missing else True,
        )

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Two clouds in four dimensions."""
        y = _labels(rng, n)
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


@dataclass(frozen=True)
class Images(Input):
    """Pictures: (n, C, H, W), (n, H, W), (n, H, W, C) when declared, or flattened rows.

    The estimator's field ``image_shape`` declares what a row is: None (infer it), ``(H, W)``,
    ``(C, H, W)``, ``(H, W, C)`` with C in (1, 3, 4), or "row" for a strip one pixel high.
    uint8 stays uint8; the trainer casts it batch by batch. A method that also serves tables sets
    ``flat``: to it a row without a declared shape is a row of features.
    """

    flat: bool = False
    name: ClassVar[str] = "images"

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        super().set_tags(tags)
        tags.input_tags.three_d_array = True

    def flattened_params(self, fields: Iterable[str]) -> dict[str, Any]:
        """Rows of any width are strips of pixels."""
        return {"image_shape": "row"} if "image_shape" in fields and not self.flat else {}

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        """Return (n, C, H, W), float or uint8."""
        if getattr(X, "ndim", 0) < 3 and not _is_nested(X):
            return self._check_rows(estimator, X, reset=reset)
        X = _check_nd(estimator, X, reset=reset)
        images = self._arrange(estimator, X)
        if reset:
            estimator.n_features_in_ = int(np.prod(images.shape[1:]))
            estimator.image_shape_ = images.shape[1:]
            estimator.row_shape_ = X.shape[1:]
        elif images.shape[1:] != tuple(estimator.image_shape_):
            raise ValueError(
                f"X holds images of shape {images.shape[1:]}, but {type(estimator).__name__} was "
                f"fitted on images of shape {tuple(estimator.image_shape_)} (channels, height, "
                "width); give images of that shape."
            )
        return images

    def restore(self, estimator: Any, images: np.ndarray) -> np.ndarray:
        """Give images (flattened or not) the shape that X had when the estimator was fitted."""
        shape = tuple(estimator.row_shape_)
        images = images.reshape(len(images), *estimator.image_shape_)
        if len(shape) == 3 and shape != tuple(estimator.image_shape_):
            images = images.transpose(0, 2, 3, 1)
        return images.reshape(len(images), *shape)

    def _check_rows(self, estimator: Any, X: Any, *, reset: bool) -> np.ndarray:
        dtype = None if getattr(X, "dtype", None) == np.uint8 else FLOATS
        X = _rows_of_numbers(estimator, X, reset=reset, dtype=dtype)
        if reset:
            estimator.image_shape_ = self._shape_of_row(estimator, X.shape[1])
            estimator.row_shape_ = X.shape[1:]
        return X.reshape(len(X), *estimator.image_shape_)

    def _shape_of_row(self, estimator: Any, width: int) -> tuple[int, ...]:
        declared = estimator.image_shape
        if declared == "row" or (declared is None and self.flat):
            return (1, 1, width)
        if declared is not None:
            shape, last = _channels_first(declared)
            if np.prod(shape) != width:
                raise ValueError(
                    f"image_shape={declared} holds {np.prod(shape)} pixels, but the rows of X have "
                    f"{width} features; give the shape that X really has."
                )
            if last:
                raise ValueError(
                    f"image_shape={declared} puts the channels last, which flattened rows cannot "
                    "tell; give X as (n, H, W, C), or the rows channels first."
                )
            return shape
        side = round(width**0.5)
        if side * side != width:
            raise ValueError(
                f"X has {width} features, which is no square image; say what a row is with "
                "image_shape=(H, W) or (C, H, W), or image_shape='row' for a strip of pixels."
            )
        return (1, side, side)

    def _arrange(self, estimator: Any, X: np.ndarray) -> np.ndarray:
        declared = estimator.image_shape
        if X.ndim not in (3, 4):
            raise ValueError(
                f"X has {X.ndim} dimensions; images are (n, C, H, W), (n, H, W), (n, H, W, C) with "
                "image_shape=(H, W, C), or flattened rows (n, pixels)."
            )
        if declared not in (None, "row"):
            shape, last = _channels_first(declared)
            if last and X.ndim == 4 and X.shape[1:] == tuple(declared):
                return np.ascontiguousarray(X.transpose(0, 3, 1, 2))
            if tuple(X.shape[1:]) not in (shape, shape[1:] if shape[0] == 1 else shape):
                raise ValueError(
                    f"X holds images of shape {X.shape[1:]}, but image_shape={declared} was "
                    "declared; make the two agree."
                )
        elif X.ndim == 4 and X.shape[1] not in (1, 2, 3, 4) and X.shape[3] in (1, 3, 4):
            raise ValueError(
                f"X of shape {X.shape} looks like images with the channels last; declare "
                f"image_shape={X.shape[1:]}, or give X as (n, C, H, W)."
            )
        return X if X.ndim == 4 else X[:, None]

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Bright left halves against bright right halves."""
        y = _labels(rng, n)
        X = rng.uniform(0, 0.3, size=(n, 1, 8, 8))
        X[y == 0, :, :, :4] += 0.7
        X[y == 1, :, :, 4:] += 0.7
        return X, y


def _channels_first(shape: Sequence[int]) -> tuple[tuple[int, ...], bool]:
    """Return (C, H, W) and whether the declared shape had the channels last."""
    if len(shape) == 2:
        return (1, *shape), False
    if shape[0] not in (1, 2, 3, 4) and shape[2] in (1, 3, 4):
        return (shape[2], shape[0], shape[1]), True
    return tuple(shape), False


def _is_nested(X: Any) -> bool:
    """Tell whether X is a list of pictures (lists of rows, or 2-D arrays)."""
    return isinstance(X, list | tuple) and len(X) > 0 and np.ndim(X[0]) >= 2


def _check_nd(estimator: Any, X: Any, *, reset: bool) -> np.ndarray:
    """Check an array of more than two dimensions (columns have no names there)."""
    if reset and hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    dtype = None if getattr(X, "dtype", None) == np.uint8 else FLOATS
    return check_array(X, allow_nd=True, dtype=dtype, estimator=estimator, input_name="X")


@dataclass(frozen=True)
class Series(Input):
    """Time series: (n, channels, time), (n, time), or a list of (channels, t_i) or (t_i,) arrays.

    Normalised to ``{"x": (n, C, T) padded with zeros, "lengths": (n,)}``. Trailing time points at
    which every channel is nan are padding, as archives write it. One row is one case everywhere.
    """

    name: ClassVar[str] = "series"

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        super().set_tags(tags)
        tags.input_tags.three_d_array = True

    def check(self, estimator: Any, X: Any, *, reset: bool) -> dict[str, np.ndarray]:
        """Return the padded values and the true lengths."""
        if _is_list_of_series(X):
            x, lengths = _pad(X)
        elif getattr(X, "ndim", 2) == 3:
            x, lengths = _unpad_nan(np.asarray(X))
        else:
            flat = _rows_of_numbers(estimator, X, reset=reset, dtype=FLOATS)
            x, lengths = flat[:, None, :], np.full(len(flat), flat.shape[1])
            if reset:
                estimator.n_channels_in_ = 1
            return {"x": x, "lengths": lengths}
        if len(x) == 0:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        if not np.isfinite(x).all():
            raise ValueError(
                "Input X contains NaN or infinity inside a series; only trailing time points may "
                "be nan (padding): impute or drop the others."
            )
        if lengths.min() < 1:
            raise ValueError(
                f"series {int(lengths.argmin())} of X has length 0; give every series at least one "
                "time point, or drop it."
            )
        if reset:
            estimator.n_channels_in_ = x.shape[1]
            estimator.n_features_in_ = x.shape[1] * x.shape[2]
        elif x.shape[1] != estimator.n_channels_in_:
            raise ValueError(
                f"X has {x.shape[1]} channels, but {type(estimator).__name__} was fitted on "
                f"{estimator.n_channels_in_}; give series with the same channels."
            )
        return {"x": x, "lengths": lengths}

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Slow waves against fast waves, two channels."""
        y = _labels(rng, n)
        t = np.arange(16)
        phase = rng.uniform(0, 2 * np.pi, size=(n, 2, 1))
        X = np.sin(np.where(y, 1.6, 0.4)[:, None, None] * t + phase)
        return X + 0.1 * rng.normal(size=X.shape), y


def _is_list_of_series(X: Any) -> bool:
    """Tell a list (or object array) of series from a plain nested list of numbers."""
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        return len(X) > 0 and np.ndim(X[0]) >= 1
    return (
        isinstance(X, list | tuple)
        and len(X) > 0
        and (hasattr(X[0], "ndim") or (np.ndim(X[0][0]) > 0 if np.ndim(X[0]) else False))
    )


def _pad(X: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    series = [np.atleast_2d(np.asarray(s)) for s in X]
    channels = {s.shape[0] for s in series}
    if len(channels) > 1:
        raise ValueError(
            f"the series of X have {sorted(channels)} channels; every series must have the same "
            "channels, as an array (channels, time)."
        )
    dtype = np.result_type(*{s.dtype for s in series})
    dtype = dtype if dtype in FLOATS else np.dtype(np.float64)
    lengths = np.array([s.shape[1] for s in series])
    x = np.zeros((len(series), channels.pop(), max(lengths.max(), 1)), dtype)
    for i, s in enumerate(series):
        x[i, :, : s.shape[1]] = s
    return _unpad_nan(x, lengths)


def _unpad_nan(
    X: np.ndarray, lengths: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Turn trailing all-nan time points into zeros outside the series' length."""
    x = X.astype(X.dtype if X.dtype in FLOATS else np.float64, copy=False)
    if lengths is None:
        lengths = np.full(len(x), x.shape[2])
    padding = np.isnan(x).all(axis=1)
    if padding.any():
        last = np.where(padding, 0, np.arange(1, x.shape[2] + 1)).max(axis=1)
        lengths = np.minimum(lengths, last)
        outside = np.arange(x.shape[2]) >= lengths[:, None]
        x = np.where(outside[:, None, :], x.dtype.type(0), x)
    return x, lengths


def ragged(X: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Cut padded series (n, channels, time) to their lengths: a list that KFold can slice."""
    return [x[:, :t] for x, t in zip(X, lengths, strict=True)]


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
        if X is None:
            raise ValueError("X is None; give a list of documents (str).")
        documents = list(np.ravel(X)) if isinstance(X, np.ndarray) else list(X)
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
        y = _labels(rng, n)
        words = (["the cat purrs", "a cat sleeps", "soft cat"],
                 ["the ship sails", "a ship sinks", "big ship"])
        return [f"{words[k][rng.randint(3)]} {words[k][rng.randint(3)]}." for k in y], y


@dataclass(frozen=True)
class Pairs(Input):
    """Two ids a row: (n, 2) array, DataFrame or list of tuples; ids of any hashable type."""

    name: ClassVar[str] = "pairs"
    two_d_array: ClassVar[bool] = False

    def check(self, estimator: Any, X: Any, *, reset: bool) -> np.ndarray:
        """Return an (n, 2) object or number array."""
        if hasattr(X, "columns"):
            names = np.asarray(X.columns, dtype=object)
            columns = [X.iloc[:, j].to_numpy() for j in range(X.shape[1])]
            missing = [X.iloc[:, j].isna().to_numpy() for j in range(X.shape[1])]
        else:
            names = None
            X = X if isinstance(X, np.ndarray) else _object_array(X)
            if X.ndim != 2:
                raise ValueError(f"X has shape {X.shape}; pairs are (n, 2): two ids a row.")
            columns = list(X.T)
            missing = [_missing(column) for column in columns]
        if len(columns) != 2:
            raise ValueError(
                f"X has {len(columns)} columns; {type(estimator).__name__} takes 2: two ids a row."
            )
        for j, column in enumerate(columns):
            if len(column) == 0:
                raise ValueError("X holds no pair (0 sample(s)); give at least one.")
            if missing[j].any():
                raise ValueError(
                    f"column {j} of X holds a missing id (row {missing[j].argmax()}); drop the row."
                )
        if reset:
            estimator.n_features_in_ = 2
            if names is not None and all(isinstance(n, str) for n in names):
                estimator.feature_names_in_ = names
            elif hasattr(estimator, "feature_names_in_"):
                del estimator.feature_names_in_
        if columns[0].dtype == columns[1].dtype and columns[0].dtype != object:
            return np.column_stack(columns)
        out = np.empty((len(columns[0]), 2), dtype=object)
        out[:, 0], out[:, 1] = columns
        return out

    def precision(self, X: Any) -> np.dtype:
        """Ids are names, even where they are numbers: only y has a precision."""
        return np.dtype(np.float64)

    def toy(self, rng: np.random.RandomState, n: int = 120) -> tuple[Any, np.ndarray]:
        """Two kinds of users and of items; like meets like."""
        X = np.column_stack([rng.randint(12, size=n), rng.randint(10, size=n)])
        return X, (X[:, 0] % 2 == X[:, 1] % 2).astype(int)


def _missing(column: np.ndarray) -> np.ndarray:
    """Mark the ids that are None, nan or NaT."""
    if column.dtype != object:
        return np.asarray(column != column)
    return np.array([v is None or v != v for v in column], dtype=bool)


def _object_array(rows: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """Stack rows of two ids without letting numpy turn numbers into strings."""
    if isinstance(rows, str) or not hasattr(rows, "__iter__"):
        raise ValueError(f"X is {rows!r}; pairs are (n, 2): two ids a row.")
    rows = list(rows)
    width = {len(r) if hasattr(r, "__len__") and not isinstance(r, str) else 1 for r in rows}
    if width - {2}:
        raise ValueError(f"rows of X have {sorted(width)} entries; pairs have two ids a row.")
    out = np.empty((len(rows), 2), dtype=object)
    for i, row in enumerate(rows):
        out[i, 0], out[i, 1] = row
    return out


@dataclass(frozen=True)
class Env(Input):
    """An environment, given as a parameter; X is a 1-D array of episode seeds, or None."""

    name: ClassVar[str] = "env"
    two_d_array: ClassVar[bool] = False
    actions: tuple[str, ...] = ("discrete",)

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        super().set_tags(tags)
        tags.input_tags.one_d_array = True
        tags.no_validation = True

    def check(self, estimator: Any, X: Any, *, reset: bool) -> np.ndarray | None:
        """Return the episode seeds as int64, or None."""
        if X is None:
            return None
        seeds = np.asarray(X)
        if seeds.ndim == 2 and seeds.shape[1] == 1:
            seeds = seeds[:, 0]
        if seeds.ndim != 1 or seeds.dtype.kind not in "iu" or len(seeds) == 0 or seeds.min() < 0:
            raise ValueError(
                f"X of shape {seeds.shape} and type {seeds.dtype} is no list of episode seeds; give "
                "None or a 1-D array of integers >= 0, such as np.arange(300)."
            )
        return seeds.astype(np.int64)

    def toy(self, rng: np.random.RandomState, n: int = 8) -> tuple[Any, np.ndarray]:
        """Seeds of n episodes; agents have no labels."""
        return np.arange(n), np.zeros(n, dtype=int)
