"""Gradients and curvatures by finite differences, links as inverses, initial scores."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from zoo.engines.losses import LOSSES, Huber, Quantile, Softmax, get_loss, weighted_quantile

SCALAR = sorted(set(LOSSES) - {"softmax"})


def problem(loss, n=200, seed=0):
    """Targets that the loss accepts and scores that stay clear of its kinks."""
    rng = np.random.RandomState(seed)
    s = rng.uniform(-2, 2, n)
    y = {
        "real": rng.standard_normal(n) * 2,
        "nonnegative": rng.poisson(2, n).astype(float),
        "binary": rng.randint(0, 2, n).astype(float),
        "sign": rng.choice([-1.0, 1.0], n),
    }[loss.target]
    return y, s


@pytest.mark.parametrize("name", SCALAR)
def test_gradient_is_the_derivative_of_the_value(name):
    loss = get_loss(name)
    y, s = problem(loss)
    d = 1e-6
    numeric = (loss.value(y, s + d) - loss.value(y, s - d)) / (2 * d)
    np.testing.assert_allclose(loss.gradient(y, s), numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", SCALAR)
def test_curvature_is_the_derivative_of_the_gradient_or_bounds_it(name):
    loss = get_loss(name)
    y, s = problem(loss)
    d = 1e-6
    numeric = (loss.gradient(y, s + d) - loss.gradient(y, s - d)) / (2 * d)
    if loss.smooth or name == "squared_hinge":
        np.testing.assert_allclose(loss.curvature(y, s), numeric, rtol=1e-5, atol=1e-7)
    else:
        assert np.all(loss.curvature(y, s) >= numeric - 1e-6)
    assert np.all(loss.curvature(y, s) >= 0)


def test_softmax_gradient_and_diagonal_curvature_by_finite_differences():
    rng = np.random.RandomState(1)
    loss, d = Softmax(), 1e-6
    y, s = rng.randint(0, 4, 50), rng.standard_normal((50, 4)) * 3
    for k in range(4):
        e = np.eye(4)[k] * d
        g = (loss.value(y, s + e) - loss.value(y, s - e)) / (2 * d)
        h = (loss.gradient(y, s + e) - loss.gradient(y, s - e))[:, k] / (2 * d)
        np.testing.assert_allclose(loss.gradient(y, s)[:, k], g, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(loss.curvature(y, s)[:, k], h, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_link_undoes_inverse_link(name):
    loss = get_loss(name)
    s = np.random.RandomState(2).standard_normal((20, 3))
    s -= s.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(loss.link(loss.inverse_link(s)), s, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(SCALAR) - {"hinge", "squared_hinge", "huber"}))
def test_initial_score_minimises_the_weighted_loss(name):
    loss = get_loss(name)
    y, _ = problem(loss, n=60)
    w = np.random.RandomState(3).uniform(0.1, 2, len(y))

    def total(c):
        return float(w @ loss.value(y, np.full(len(y), c)))

    best = minimize_scalar(total, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
    assert total(loss.initial(y, w)) <= best.fun + 1e-8


def test_softmax_initial_score_gives_the_class_shares():
    y, w = np.array([0, 1, 1, 2]), np.array([1.0, 2.0, 2.0, 5.0])
    p = Softmax().inverse_link(Softmax().initial(y, w)[None])[0]
    np.testing.assert_allclose(p, [0.1, 0.4, 0.5])


@pytest.mark.parametrize("name", ["logistic", "exponential", "poisson"])
def test_far_scores_stay_finite(name):
    loss = get_loss(name)
    y, s = np.array([1.0, 1.0]), np.array([-600.0, 600.0])
    for f in (loss.value, loss.gradient, loss.curvature):
        assert np.all(np.isfinite(f(y, s)))


def test_a_weight_of_two_is_the_row_twice():
    y = np.random.RandomState(4).standard_normal(31)
    k = np.random.RandomState(5).randint(1, 4, 31)
    for q in (0.1, 0.5, 0.9):
        assert weighted_quantile(y, q, k) == weighted_quantile(np.repeat(y, k), q)
    for name in ("squared", "absolute"):
        loss = get_loss(name)
        np.testing.assert_allclose(loss.initial(y, k), loss.initial(np.repeat(y, k)))


def test_a_weighted_quantile_that_falls_between_two_rows_is_the_lower():
    y = np.array([3.0, 1.0, 2.0, 4.0])
    # Half of the weight lies at or below 2, exactly.
    assert weighted_quantile(y, 0.5) == 2.0
    assert weighted_quantile(y, 0.5, [1.0, 3.0, 2.0, 4.0]) == 2.0
    assert weighted_quantile(y, 0.25, [1.0, 1.0, 1.0, 1.0]) == 1.0
    assert weighted_quantile(y, 0.5 + 1e-9) == 3.0
    assert weighted_quantile(y, 0.7, np.full(4, 0.1)) == 3.0
    assert weighted_quantile(y, 0.0) == 1.0
    assert weighted_quantile(y, 1.0) == 4.0


def test_huber_joins_its_parts_and_quantile_generalises_absolute():
    s = np.array([0.0])
    h = Huber(0.7)
    np.testing.assert_allclose(h.value(np.array([0.7]), s), 0.5 * 0.49)
    np.testing.assert_allclose(h.value(np.array([0.7 + 1e-9]), s), 0.5 * 0.49, atol=1e-8)
    y = np.linspace(-1, 1, 7)
    half = Quantile(0.5).value(y, 0 * y)
    np.testing.assert_allclose(2 * half, get_loss("absolute").value(y, 0 * y))


def test_precision_follows_the_score():
    for name in SCALAR:
        loss = get_loss(name)
        y, s = (a.astype(np.float32) for a in problem(loss))
        assert loss.gradient(y, s).dtype == np.float32, name
        assert loss.curvature(y, s).dtype == np.float32, name


def test_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match="choose one of"):
        get_loss("cosine")
