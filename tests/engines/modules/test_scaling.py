"""Location and scale of columns, channels, series and pixels."""

import numpy as np
import pytest

from zoo.engines.modules.scaling import (
    LEAST_SHARE,
    channel_scale,
    feature_scale,
    location_scale,
    series_scale,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_location_and_scale_are_weighted(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(5, 3, size=(50, 4)).astype(dtype)
    w = rng.integers(1, 4, 50).astype(dtype)
    X[:, 2] = 0.1
    mean, scale = location_scale(X, w)
    repeated = np.repeat(X.astype(float), w.astype(int), axis=0)
    np.testing.assert_allclose(mean, repeated.mean(axis=0), rtol=1e-6)
    expected = np.where(np.arange(4) == 2, 1, repeated.std(axis=0))
    np.testing.assert_allclose(scale, expected, rtol=1e-6)
    assert mean.dtype == scale.dtype == dtype


@pytest.mark.parametrize("unit", [2.0**600, 2.0**-600])
def test_location_and_scale_do_not_square_what_they_cannot(unit):
    X = np.random.default_rng(0).normal(5, 3, size=(50, 4))
    mean, scale = location_scale(X, None)
    far_mean, far_scale = location_scale(X * unit, None)
    np.testing.assert_array_equal(far_mean, mean * unit)
    np.testing.assert_array_equal(far_scale, scale * unit)


def test_a_constant_column_is_centred_to_nothing_whatever_its_size():
    X = np.full((40, 2), 1e300)
    mean, scale = location_scale(X, None)
    np.testing.assert_array_equal(mean, X[0])
    np.testing.assert_array_equal(scale, [1, 1])
    with pytest.raises(ValueError, match="leave no room for differences in float64"):
        location_scale(np.array([[1e308], [-1e308]]), None)


def test_channels_are_measured_over_all_their_pixels():
    rng = np.random.default_rng(0)
    X, w = rng.normal(3, 2, size=(20, 3, 4, 5)), rng.integers(1, 4, 20).astype(float)
    X[:, 1] = 7.0
    mean, scale = channel_scale(X, w)
    repeated = np.repeat(X, w.astype(int), axis=0)
    np.testing.assert_allclose(mean, repeated.mean(axis=(0, 2, 3)), rtol=1e-12)
    expected = repeated.std(axis=(0, 2, 3))
    np.testing.assert_allclose(scale, [expected[0], 1, expected[2]], rtol=1e-12)


def test_padding_of_series_is_not_measured():
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(3, 2, size=(6, 2, 9)), np.array([9, 5, 1, 9, 3, 7])
    true = (np.arange(9) < lengths[:, None]).astype(float)
    rows = np.concatenate([row[:, :n] for row, n in zip(x, lengths, strict=True)], axis=1)
    mean, scale = series_scale(np.where(true[:, None] == 1, x, 1e6), true, None)
    np.testing.assert_allclose(mean[:, 0], rows.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(scale[:, 0], rows.std(axis=1), rtol=1e-12)


def test_no_pixel_lies_hundreds_of_deviations_away():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, size=(500, 20)).astype(float)
    rows[:, :10] = 0
    rows[7, 3] = 255
    mean, scale = feature_scale(rows, None, integers=True)
    assert np.abs((rows + 0.5 - mean) / scale).max() < 30
    of_all = np.mean((rows - rows.mean(0)) ** 2) + 1 / 12
    np.testing.assert_allclose(scale[:3], np.sqrt(LEAST_SHARE * of_all))
    free_mean, free = feature_scale(rows, None, integers=False)
    np.testing.assert_allclose(free_mean, mean - 0.5)
    np.testing.assert_array_equal(free[:3], 1)
