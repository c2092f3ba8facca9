"""Where the numbers of a network's input lie and how far they spread: one place for every kind of input."""

import numpy as np

LEAST_SHARE = 0.03


def location_scale(X: np.ndarray, w: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean and standard deviation of each column; constant columns get 1."""
    largest = np.abs(X).max(axis=0)
    info = np.finfo(X.dtype)
    if (largest > info.max / 8).any():
        raise ValueError(
            f"numbers up to {largest.max():.2g} leave no room for differences in {X.dtype}; scale the data."
        )
    # Squares of very large and very small numbers: exact powers of two bring these near one.
    unit = np.ones_like(largest)
    far = (largest > info.max**0.25) | ((largest < info.tiny**0.25) & (largest > 0))
    unit[far] = np.ldexp(unit[far], np.frexp(largest[far])[1] - 1)
    if far.any():
        X = X / unit
    mean = np.average(X, axis=0, weights=w)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    # The sum behind the mean rounds, so a constant column may seem to have a spread.
    constant = X.max(axis=0) == X.min(axis=0)
    mean = np.where(constant, X.max(axis=0), mean)[()] * unit
    rounding = constant | (scale <= 10 * info.eps * np.abs(mean / unit))
    scale = np.where(constant, 1, np.where(rounding, np.maximum(scale * unit, 1), scale * unit))
    return mean.astype(X.dtype), scale.astype(X.dtype)


def channel_scale(X: np.ndarray, w: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each channel, without a float copy of all the images."""

    def average(power: int, center: np.ndarray) -> np.ndarray:
        total = np.zeros(X.shape[1])
        for start in range(0, len(X), 1024):
            part = (X[start : start + 1024] - center[:, None, None]) ** power
            weight = 1.0 if w is None else w[start : start + 1024, None]
            total += (weight * part.mean(axis=(2, 3))).sum(axis=0)
        return total / (len(X) if w is None else w.sum())

    mean = average(1, np.zeros(X.shape[1]))
    scale = np.sqrt(average(2, mean))
    return mean, np.where(scale <= 1e-12 * np.abs(mean), 1.0, scale)


def series_scale(
    x: np.ndarray, true: np.ndarray, w: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation, (channels, 1), of series (n, channels, time) where they are true.

    ``true`` marks the time points that are no padding, (n, time); constant channels get 1.
    """
    weight = true if w is None else true * w[:, None]
    total = weight.sum()
    mean = np.einsum("nt,nct->c", weight, x)[:, None] / total
    spread = np.einsum("nt,nct->c", weight, (x - mean) ** 2)[:, None] / total
    outside = (true == 0)[:, None]
    most = np.where(outside, -np.inf, x).max(axis=(0, 2))
    least = np.where(outside, np.inf, x).min(axis=(0, 2))
    constant = (most == least)[:, None] | (spread <= 1e-20 * mean**2)
    return mean.astype(x.dtype), np.sqrt(np.where(constant, 1, spread)).astype(x.dtype)


def feature_scale(
    rows: np.ndarray, w: np.ndarray | None, *, integers: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale of the features of a density model, (d,) each.

    With ``integers`` the features are pixels in one unit, the gaps between their levels filled by uniform
    noise, which counts. There no variance is below ``LEAST_SHARE`` of the mean of all: a pixel that
    hardly ever changes would lie hundreds of deviations away where it does.
    """
    mean = np.average(rows, axis=0, weights=w)
    spread = np.average((rows - mean) ** 2, axis=0, weights=w) + (1 / 12 if integers else 0)
    if integers:
        return mean + 0.5, np.sqrt(np.maximum(spread, LEAST_SHARE * spread.mean()))
    constant = (spread <= 1e-20 * np.maximum(mean**2, 1e-300)) | (
        rows.max(axis=0) == rows.min(axis=0)
    )
    return mean, np.sqrt(np.where(constant, 1, spread))
