"""How arrays enter a network that is trained without end-to-end back-propagation."""

import numpy as np
import pytest

from zoo import LocalLossClassifier, NoPropDTClassifier, NoPropFMClassifier


@pytest.mark.parametrize("cls", [LocalLossClassifier, NoPropDTClassifier, NoPropFMClassifier])
def test_location_and_scale_are_weighted_and_keep_the_shape_of_a_row(cls):
    rng = np.random.RandomState(0)
    X, y = rng.normal(3.0, 2.0, (60, 4, 4)), np.arange(60) % 3
    w = rng.randint(1, 4, 60)
    model = cls(max_epochs=1, random_state=0).fit(X, y, sample_weight=w)
    assert model.x_mean_.shape == model.x_scale_.shape == (1, 4, 4)
    repeated = np.repeat(X, w, axis=0)
    np.testing.assert_allclose(model.x_mean_[0], repeated.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(model.x_scale_[0], repeated.std(axis=0), rtol=1e-10)


@pytest.mark.parametrize("cls", [LocalLossClassifier, NoPropDTClassifier])
def test_a_constant_column_and_units_change_nothing(cls):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(80, 5)), np.arange(80) % 2
    X[:, 0] += 3 * y
    X[:, 4] = 7.0
    usual = cls(max_epochs=5, random_state=0).fit(X, y)
    metres = X * [1000.0, 1.0, 1e-3, 1.0, 1.0]
    other = cls(max_epochs=5, random_state=0).fit(metres, y)
    np.testing.assert_allclose(usual.predict_proba(X), other.predict_proba(metres), atol=1e-5)
