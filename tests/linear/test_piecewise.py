"""PiecewiseLinearRegressor: broken lines, their constraints, and double descent."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso, Ridge

from zoo.linear.piecewise import PiecewiseLinearRegressor


def data(n=60, d=1, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, d))
    return X, np.sin(2 * X).sum(axis=1) + noise * rng.normal(size=n)


def features(X, m):
    span = X.max(axis=0) - X.min(axis=0)
    U = (X - X.min(axis=0)) / span
    B = (m.breakpoints_ - X.min(axis=0)[:, None]) / span[:, None]
    return np.hstack([np.maximum(U[:, [k]] - np.append(0.0, B[k]), 0) for k in range(X.shape[1])])


# -- equation -----------------------------------------------------------------------------------


def test_breakpoints_are_where_they_are_said_to_be():
    X, y = data()
    m = PiecewiseLinearRegressor(n_breakpoints=4).fit(X, y)
    low, high = X.min(), X.max()
    np.testing.assert_allclose(m.breakpoints_[0], low + np.arange(1, 5) * (high - low) / 5)
    q = PiecewiseLinearRegressor(n_breakpoints=3, placement="quantile").fit(X, y)
    np.testing.assert_allclose((q.breakpoints_[0] >= X).mean(axis=0), [0.25, 0.5, 0.75], atol=1 / len(X))


def test_slopes_are_the_coefficients():
    X, y = data()
    m = PiecewiseLinearRegressor(n_breakpoints=5, alpha=1e-8).fit(X, y)
    knots = np.concatenate([[X.min()], m.breakpoints_[0], [X.max()]])
    f = m.predict(knots[:, None])
    np.testing.assert_allclose(np.diff(f) / np.diff(knots), np.cumsum(m.slopes_[0]), rtol=1e-6)
    middle = (knots[1:] + knots[:-1]) / 2
    np.testing.assert_allclose(m.predict(middle[:, None]), (f[1:] + f[:-1]) / 2, atol=1e-9)


# -- oracle -------------------------------------------------------------------------------------


def test_penalties_are_ridge_and_lasso_on_the_features():
    X, y = data(d=2)
    m = PiecewiseLinearRegressor(n_breakpoints=6, alpha=0.01).fit(X, y)
    Z = features(X, m)
    theirs = Ridge(alpha=0.01 * len(y)).fit(Z, y).predict(Z)
    np.testing.assert_allclose(m.predict(X), theirs, atol=1e-9)
    m = PiecewiseLinearRegressor(n_breakpoints=6, alpha=0.003, penalty="l1").fit(X, y)
    theirs = Lasso(alpha=0.003, tol=1e-12, max_iter=1_000_000, random_state=0).fit(Z, y).predict(Z)
    np.testing.assert_allclose(m.predict(X), theirs, atol=1e-5)


@pytest.mark.parametrize("monotone", [None, "increasing", "decreasing"])
@pytest.mark.parametrize("curvature", [None, "convex", "concave"])
def test_constraints_hold_and_cost_least(monotone, curvature):
    X, y = data(n=80, d=2)
    kw = {"n_breakpoints": 8, "alpha": 1e-3}
    m = PiecewiseLinearRegressor(monotone=monotone, curvature=curvature, **kw).fit(X, y)
    slopes = np.cumsum(m.slopes_, axis=1)
    if monotone:
        assert ((slopes if monotone == "increasing" else -slopes) >= -1e-8).all()
    if curvature:
        change = m.slopes_[:, 1:]
        assert ((change if curvature == "convex" else -change) >= -1e-8).all()

    def objective(model, beta):
        Z = features(X, model)
        r = y - Z @ beta
        return np.var(r) / 2 + 0.5e-3 * beta @ beta

    beta = (m.slopes_ * np.ptp(X, axis=0)[:, None]).ravel()
    best = objective(m, beta)
    rng = np.random.default_rng(0)
    G = m._constraints(2)
    tried = 0
    for _ in range(3000):
        other = beta + 0.02 * rng.normal(size=beta.size)
        if G is None or (G @ other >= 0).all():
            tried += 1
            assert objective(m, other) >= best
    shrunk = objective(m, 0.99 * beta)  # always allowed
    assert shrunk >= best


# -- character ----------------------------------------------------------------------------------


def test_least_norm_interpolates_once_there_are_enough_breakpoints():
    X, y = data(n=25)
    m = PiecewiseLinearRegressor(n_breakpoints=400, penalty="min_norm").fit(X, y)
    np.testing.assert_allclose(m.predict(X), y, atol=1e-6)


def test_double_descent():
    n, counts = 15, (5, 15, 300)
    T = np.linspace(-2, 2, 200)[:, None]
    errors = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = np.sort(rng.uniform(-2, 2, (n, 1)), axis=0)
        X[0], X[-1] = -2, 2
        y = np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=n)
        errors.append([])
        for p in counts:
            m = PiecewiseLinearRegressor(n_breakpoints=p, penalty="min_norm").fit(X, y)
            errors[-1].append(np.mean((m.predict(T) - np.sin(2 * T[:, 0])) ** 2))
    few, threshold, many = np.median(errors, axis=0)
    assert threshold > 10 * few
    assert threshold > 5 * many


def test_l1_chooses_breakpoints():
    X, _ = data(200)
    m = PiecewiseLinearRegressor(n_breakpoints=19, penalty="l1", alpha=1e-3)
    m.fit(X, np.maximum(X[:, 0] - 0.1, 0))
    assert 1 <= (m.slopes_[0, 1:] != 0).sum() <= 5


def test_a_constraint_needs_l2():
    X, y = data()
    with pytest.raises(ValueError, match="penalty='l2'"):
        PiecewiseLinearRegressor(penalty="l1", monotone="increasing").fit(X, y)


def test_slopes_are_no_coefficients_of_columns():
    """Tools that read ``coef_`` expect one number a column."""
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40.0)
    assert not hasattr(PiecewiseLinearRegressor().fit(X, y), "coef_")
