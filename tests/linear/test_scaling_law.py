"""ScalingLaw: published constants come back, and the split of compute is the best one."""

import numpy as np
import pytest

from zoo.linear.scaling_law import ScalingLaw, _objective

CHINCHILLA = np.array([1.69, 406.4, 410.7, 0.34, 0.28])
REFIT = np.array([1.817, 2085.0, 2085.0, 0.348, 0.366])


def runs(truth, n=200, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    X = np.exp(rng.uniform(np.log([4e7, 1e9]), np.log([1.6e10, 5e11]), (n, 2)))
    E, A, B, a, b = truth
    y = E + A / X[:, 0] ** a + B / X[:, 1] ** b
    return X, y * np.exp(noise * rng.normal(size=n))


def test_gradient():
    rng = np.random.default_rng(0)
    x, v, w = rng.normal(size=(20, 2)), rng.normal(size=20), np.full(20, 0.05)
    theta = rng.normal(size=5)
    _, g = _objective(theta, x, v, w, 0.5)
    for j in range(5):
        e = np.zeros(5)
        e[j] = 1e-6
        up, down = (_objective(theta + s * e, x, v, w, 0.5)[0] for s in (1, -1))
        np.testing.assert_allclose((up - down) / 2e-6, g[j], atol=1e-7)


@pytest.mark.parametrize("truth", [CHINCHILLA, REFIT])
def test_published_constants_come_back(truth):
    X, y = runs(truth)
    m = ScalingLaw().fit(X, y)
    found = np.concatenate([[m.E_], m.A_, m.exponents_])
    np.testing.assert_allclose(found, truth, rtol=1e-3)


def test_intervals_hold_the_truth():
    X, y = runs(CHINCHILLA, noise=0.003, seed=3)
    m = ScalingLaw(n_bootstrap=60, level=0.99).fit(X, y)
    low, high = m.intervals_.T
    assert (low < CHINCHILLA).all()
    assert (high > CHINCHILLA).all()
    assert (high[3:] - low[3:] < 0.1).all()


@pytest.mark.parametrize("truth", [(2.0, 50.0, 0.3), (0.5, 1e4, 0.6)])
def test_one_column(truth):
    E, A, a = truth
    N = np.geomspace(1e5, 1e10, 40)
    m = ScalingLaw().fit(N[:, None], E + A / N**a)
    np.testing.assert_allclose([m.E_, m.A_[0], m.exponents_[0]], truth, rtol=1e-3)


def test_one_outlier_does_not_matter():
    X, y = runs(CHINCHILLA, n=60)
    y[0] *= 2
    m = ScalingLaw().fit(X, y)
    np.testing.assert_allclose(m.exponents_, CHINCHILLA[3:], rtol=0.02)


def test_allocation_is_the_best_split():
    X, y = runs(CHINCHILLA)
    m = ScalingLaw().fit(X, y)
    C = np.array([1e20, 1e23])
    N, D = m.allocate(C)
    np.testing.assert_allclose(6 * N * D, C)
    for c, n in zip(C, N, strict=True):
        loss = m.predict(np.array([[n * s, c / 6 / (n * s)] for s in np.geomspace(0.2, 5, 201)]))
        assert loss.argmin() == 100
    ratio = np.log(N[1] / N[0]) / np.log(C[1] / C[0])
    np.testing.assert_allclose(ratio, 0.28 / 0.62, rtol=1e-3)


def test_weights_repeat_rows():
    X, y = runs(CHINCHILLA, n=40, noise=0.01)
    w = np.random.default_rng(0).integers(1, 4, 40)
    a = ScalingLaw(delta=0.1).fit(X, y, w)
    b = ScalingLaw(delta=0.1).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(a.predict(X), b.predict(X), rtol=1e-5)


def test_what_has_no_logarithm_is_refused():
    X, y = runs(CHINCHILLA, n=20)
    with pytest.raises(ValueError, match="logarithm"):
        ScalingLaw().fit(-X, y)
    with pytest.raises(ValueError, match="positive"):
        ScalingLaw().fit(X, -y)
    with pytest.raises(ValueError, match="joint"):
        ScalingLaw().fit(X[:, :1], y).allocate(1e20)
