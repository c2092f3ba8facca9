"""Pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.utils import Tags
from sklearn.utils.validation import check_array

from zoo.contract.inputs.input import FLOATS, Input, rows_of_numbers, toy_labels
from zoo.contract.params import Count, Fixed

# The domain of the field ``image_shape``, which every method on images has.
ImageShape = Annotated[
    tuple[Count, Count] | tuple[Count, Count, Count] | Literal["row"] | None,
    Fixed("it says what the data are"),
]


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
        X = rows_of_numbers(estimator, X, reset=reset, dtype=dtype)
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
        y = toy_labels(rng, n)
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
