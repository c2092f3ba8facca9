"""Lasso: the conditions of optimality, scikit-learn, exact zeros."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning

from zoo.linear.lasso import Lasso


def problem(n=60, d=12, targets=None, seed=0, density=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + rng.normal(size=d)
    if density is not None:
        X *= rng.random((n, d)) < density
    beta = rng.normal(size=(d,) if targets is None else (d, targets))
    beta[d // 3 :] = 0
    y = X @ beta
    return X, y + 0.5 * rng.normal(size=y.shape)


SHAPES = [(60, 12), (30, 100), (200, 3)]


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("rho", [1.0, 0.5])
@pytest.mark.parametrize("alpha", [0.02, 0.2])
def test_optimality(n, d, make, rho, alpha):
    X, y = problem(n, d)
    w = np.random.default_rng(1).uniform(0.2, 2, n)
    m = Lasso(alpha=alpha, l1_ratio=rho, tol=1e-12).fit(make(X), y, w)
    r = w / w.sum() * (y - m.predict(make(X)))
    np.testing.assert_allclose(r.sum(), 0, atol=1e-9)
    g = X.T @ r - alpha * (1 - rho) * m.coef_
    zero = m.coef_ == 0
    assert (np.abs(g[zero]) <= alpha * rho + 1e-6).all()
    np.testing.assert_allclose(g[~zero], alpha * rho * np.sign(m.coef_[~zero]), atol=1e-6)


@pytest.mark.changes_global_random_state  # by scikit-learn
@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("rho", [1.0, 0.3])
def test_agrees_with_scikit_learn(n, d, intercept, rho):
    X, y = problem(n, d)
    kw = {"alpha": 0.1, "l1_ratio": rho, "fit_intercept": intercept}
    theirs = linear_model.ElasticNet(**kw, tol=1e-14, max_iter=100_000).fit(X, y)
    for Z in (X, sparse.csr_array(X)):
        ours = Lasso(**kw, tol=1e-14).fit(Z, y)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
        np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


def test_sparse_and_wide():
    X, y = problem(80, 300, density=0.1)
    dense = Lasso(alpha=0.02, tol=1e-12).fit(X, y)
    scarce = Lasso(alpha=0.02, tol=1e-12).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(scarce.coef_, dense.coef_, atol=1e-6)


def test_many_targets_are_fitted_one_by_one():
    X, Y = problem(targets=3)
    both = Lasso(alpha=0.1).fit(X, Y)
    for t in range(3):
        one = Lasso(alpha=0.1).fit(X, Y[:, t])
        np.testing.assert_allclose(both.coef_[t], one.coef_)
        np.testing.assert_allclose(both.intercept_[t], one.intercept_)


def test_the_largest_penalty_leaves_nothing():
    X, y = problem()
    top = np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max() / len(y)
    assert not Lasso(alpha=1.001 * top).fit(X, y).coef_.any()
    assert (Lasso(alpha=0.999 * top).fit(X, y).coef_ != 0).sum() == 1


def test_zeros_are_exact_and_the_right_ones():
    X, _ = problem(500, 12)
    y = X[:, :4] @ [1.0, -1, 2, -2] + 0.1 * np.random.default_rng(9).normal(size=500)
    m = Lasso(alpha=0.1).fit(X, y)
    np.testing.assert_array_equal(m.coef_ != 0, np.arange(12) < 4)


def test_constant_columns_stay_out():
    X, y = problem()
    X[:, 3] = 1e6
    assert Lasso(alpha=0.01).fit(X, y).coef_[3] == 0


def test_too_few_passes_are_said():
    X, y = problem(30, 100)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        Lasso(alpha=1e-3, max_iter=1, tol=1e-12).fit(X, y)


@pytest.mark.parametrize(("n", "d"), [(80, 12), (40, 90), (700, 600)])
@pytest.mark.parametrize("thin", [False, True])
@pytest.mark.parametrize("rho", [1.0, 0.5])
def test_positive_coefficients_satisfy_their_conditions(n, d, thin, rho):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) * (rng.uniform(size=(n, d)) < 0.5)
    y = X[:, :4] @ [1.0, -2, 0.5, 3] + rng.normal(size=n)
    m = Lasso(0.05, l1_ratio=rho, positive=True, tol=1e-13).fit(sparse.csr_array(X) if thin else X, y)
    slope = (X - X.mean(axis=0)).T @ (y - m.predict(X)) / n - 0.05 * rho - 0.05 * (1 - rho) * m.coef_
    assert (m.coef_ >= 0).all()
    assert (m.coef_ > 0).any()
    np.testing.assert_allclose(slope[m.coef_ > 0], 0, atol=1e-7)
    assert (slope <= 1e-7).all()
    assert m.dual_gap_ < 1e-10
