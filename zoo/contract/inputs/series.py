"""Time series."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags

from zoo.contract.inputs.input import FLOATS, Input, rows_of_numbers, toy_labels


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
            flat = _rows(estimator, X, reset=reset)
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
        y = toy_labels(rng, n)
        t = np.arange(16)
        phase = rng.uniform(0, 2 * np.pi, size=(n, 2, 1))
        X = np.sin(np.where(y, 1.6, 0.4)[:, None, None] * t + phase)
        return X + 0.1 * rng.normal(size=X.shape), y


def _rows(estimator: Any, X: Any, *, reset: bool) -> np.ndarray:
    """Check rows (n, time) of one channel."""
    try:
        rows: np.ndarray = rows_of_numbers(estimator, X, reset=reset, dtype=FLOATS)
    except ValueError as error:
        if "is expecting" not in str(error):
            raise
        raise ValueError(f"{error}; series of another length are given as (n, 1, time)") from error
    return rows


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
        lengths_agree = len({s.shape[1] for s in series}) == 1
        raise ValueError(
            f"the series of X have {sorted(channels)} channels; every series must have the same "
            "channels, as an array (channels, time)"
            + (": these look like (time, channels), transpose each." if lengths_agree else ".")
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
