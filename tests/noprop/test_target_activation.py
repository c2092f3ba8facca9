"""Target activations: both steps against their least squares, the inverse, digits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_friedman1
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import train_test_split

from zoo import TargetActivationClassifier, TargetActivationRegressor
from zoo.noprop import _targets as targets

# -- equation ------------------------------------------------------------


def test_activation_and_its_inverse():
    a = np.linspace(-3, 3, 61)
    np.testing.assert_allclose(targets.phi_inverse(targets.phi(a)), a, atol=1e-15)
    assert (np.diff(targets.phi(a)) > 0).all()


def test_step_of_the_weights_is_the_weighted_least_squares():
    rng = np.random.RandomState(0)
    x, e, s = rng.standard_normal((30, 6)), rng.standard_normal((30, 2)), rng.uniform(size=30)
    D = targets.directions(rng, 6, 4, np.dtype(float))
    root = np.sqrt(s)[:, None]
    F = np.linalg.lstsq(root * (x @ D), root * e, rcond=None)[0]
    np.testing.assert_allclose(targets.weight_step(x, D, e, s, 0.0), D @ F, atol=1e-10)


def test_one_direction_is_the_ratio_of_sums():
    rng = np.random.RandomState(0)
    x, e = rng.standard_normal((30, 6)), rng.standard_normal((30, 1))
    d = rng.standard_normal((6, 1))
    f = (e * (x @ d)).sum() / ((x @ d) ** 2).sum()
    step = targets.weight_step(x, d, e, np.full(30, 1 / 30), 0.0)
    np.testing.assert_allclose(step, f * d)


def test_step_of_the_inputs_takes_the_error_away():
    rng = np.random.RandomState(0)
    W, e = rng.standard_normal((8, 3)), rng.standard_normal((5, 3))
    D = targets.directions(rng, 8, 5, np.dtype(float))
    np.testing.assert_allclose(targets.input_step(W, D, e, 1e-12) @ W, e, atol=1e-6)


# -- oracle and character ----------------------------------------------------


def test_without_hidden_layers_it_is_ridge_regression():
    X, y = make_friedman1(200, random_state=0)
    model = TargetActivationRegressor(
        hidden_layer_sizes=(), n_directions=99, lr=1.0, max_epochs=40, batch_size=200, alpha=1e-9
    ).fit(X, y)
    A = targets.with_one(X)
    np.testing.assert_allclose(model.predict(X), A @ np.linalg.lstsq(A, y)[0], rtol=1e-4)


def test_digits_above_a_ridge_readout_and_above_frozen_hidden_layers():
    X, y = load_digits(return_X_y=True)
    ours, frozen, ridge = [], [], []
    for seed in range(4):
        a, b, ya, yb = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
        model = TargetActivationClassifier(random_state=seed)
        ours.append(model.fit(a, ya).score(b, yb))
        frozen.append(model.set_params(train_hidden=False).fit(a, ya).score(b, yb))
        ridge.append(RidgeClassifier().fit(a, ya).score(b, yb))
    assert np.mean(ours) > np.mean(frozen)
    assert np.mean(ours) > np.mean(ridge) + 0.01


def test_hidden_layers_move_only_when_asked():
    X, y = load_digits(return_X_y=True)
    fits = [
        TargetActivationClassifier(train_hidden=h, max_epochs=1, random_state=0).fit(X, y)
        for h in (True, False)
    ]
    rng = np.random.RandomState(0)
    first = targets.first_weights([64, 128, 128, 10], rng, np.dtype(float))
    np.testing.assert_array_equal(fits[1].coefs_[0], first[0])
    assert np.abs(fits[0].coefs_[0] - first[0]).max() > 1e-4


@pytest.mark.parametrize("shape", [(), (2,)])
def test_regression_of_one_and_two_targets(shape):
    X, y = make_friedman1(400, random_state=0)
    y = y if not shape else np.column_stack([y, -2 * y])
    model = TargetActivationRegressor(random_state=0).fit(X[:300], y[:300])
    assert model.predict(X).shape == (400, *shape)
    assert model.score(X[300:], y[300:]) > 0.72
