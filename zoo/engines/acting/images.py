"""Observations that are images: which they are, where their channels lie, and random shifts."""

import numpy as np

from zoo.engines.acting.spaces import Box, Space


def is_image(space: Space) -> bool:
    """Tell whether elements of this space are images: boxes of two or three dimensions."""
    return isinstance(space, Box) and len(space.shape) in (2, 3)


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of an image that counts its channels, None for (H, W).

    Of the first and the last axis it is the one that leaves a square, else the shorter one.
    """
    if len(shape) == 2:
        return None
    first, middle, last = shape
    if first == middle == last:
        raise ValueError(
            f"images of shape {shape} may be ({first} channels, H, W) or (H, W, {first} channels); "
            "wrap the environment so that one number differs, or give filters=() to read them as "
            "rows of numbers."
        )
    if middle == last:
        return 0
    if first == middle:
        return 2
    return 0 if first < last else 2


def random_shift(images: np.ndarray, pixels: int, axis: int | None, rng: np.random.Generator) -> np.ndarray:
    """Move every image by up to ``pixels`` in both directions, its border repeated.

    Parameters
    ----------
    images : array of shape (n, H, W), (n, C, H, W) or (n, H, W, C)
        What to move; any dtype, which is kept.
    pixels : int
        The longest move; each in -pixels..pixels is as likely.
    axis : int or None
        Of the channels in one image.
    rng : Generator
        Source of the moves.
    """
    if axis == 2:
        return np.moveaxis(random_shift(np.moveaxis(images, -1, 1), pixels, 0, rng), 1, -1)
    n, (H, W) = len(images), images.shape[-2:]
    margin = [(0, 0)] * (images.ndim - 2) + [(pixels, pixels)] * 2
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(images, margin, mode="edge"), (H, W), axis=(-2, -1)
    )
    dy, dx = rng.integers(0, 2 * pixels + 1, (2, n))
    moved: np.ndarray = windows[np.arange(n), ..., dy, dx, :, :]
    return moved
