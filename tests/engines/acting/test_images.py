"""Images: which axis is which, and shifts that keep the content."""

import numpy as np
import pytest

from zoo.engines.acting.images import channel_axis, is_image, random_shift
from zoo.engines.acting.spaces import Binary, Box


def box(shape):
    return Box(np.zeros(shape), np.ones(shape), np.float32)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((8, 8), None),
        ((4, 84, 84), 0),
        ((84, 84, 4), 2),
        ((8, 8, 111), 2),  # a chess board: 111 planes of 8 x 8
        ((210, 160, 3), 2),
        ((3, 210, 160), 0),
    ],
)
def test_channels_are_recognised(shape, axis):
    assert channel_axis(shape) == axis
    assert is_image(box(shape))


def test_what_cannot_be_recognised_is_asked_about():
    with pytest.raises(ValueError, match=r"filters=\(\)"):
        channel_axis((8, 8, 8))


def test_rows_and_bits_are_no_images():
    assert not is_image(box((4,)))
    assert not is_image(box((2, 4, 8, 8)))
    assert not is_image(Binary((8, 8)))


# -- shifts ----------------------------------------------------------------------------------


def by_hand(image, dy, dx):
    """Look a pixel up where it came from; beyond the border it is the border's."""
    H, W = image.shape
    rows = np.clip(np.arange(H) + dy, 0, H - 1)
    return image[rows][:, np.clip(np.arange(W) + dx, 0, W - 1)]


def test_every_shift_is_drawn_and_keeps_the_content():
    image = np.arange(30, dtype=np.uint8).reshape(5, 6)
    moved = random_shift(np.repeat(image[None], 400, axis=0), 2, None, np.random.default_rng(0))
    assert moved.dtype == np.uint8
    assert moved.shape == (400, 5, 6)
    moves = range(-2, 3)
    expected = {by_hand(image, dy, dx).tobytes() for dy in moves for dx in moves}
    assert {m.tobytes() for m in moved} == expected


def test_shifts_are_seeded_and_channels_move_together():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(20, 3, 7, 9)).astype(np.float32)
    first = random_shift(images, 3, 0, np.random.default_rng(5))
    np.testing.assert_array_equal(first, random_shift(images, 3, 0, np.random.default_rng(5)))
    assert (first != random_shift(images, 3, 0, np.random.default_rng(6))).any()
    last = random_shift(np.moveaxis(images, 1, -1), 3, 2, np.random.default_rng(5))
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), first)
    for c in range(3):
        alone = random_shift(images[:, c], 3, None, np.random.default_rng(5))
        np.testing.assert_array_equal(alone, first[:, c])


def test_no_shift_is_no_change():
    images = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(random_shift(images, 0, None, np.random.default_rng(0)), images)
