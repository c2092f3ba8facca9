"""Forty problems on which coefficients agree with scikit-learn's to 1e-8."""

import numpy as np
import pytest
from sklearn import linear_model

from zoo.linear.lasso import Lasso
from zoo.linear.linear_regression import LinearRegression
from zoo.linear.logistic_regression import LogisticRegression
from zoo.linear.ridge import Ridge

SHAPES = [(60, 8), (200, 30), (500, 5), (120, 60), (40, 1)]


def problem(seed):
    rng = np.random.default_rng(seed)
    n, d = SHAPES[seed % 5]
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)) / np.sqrt(d))
    X += rng.normal(size=d) * (seed % 3)
    y = X @ rng.normal(size=d) + rng.normal(size=n)
    w = rng.uniform(0.2, 2, n) if seed % 2 else None
    return X, y, w


def agree(ours, theirs):
    size = max(1.0, np.abs(theirs.coef_).max())
    np.testing.assert_allclose(ours.coef_.ravel(), theirs.coef_.ravel(), rtol=0, atol=1e-8 * size)


@pytest.mark.parametrize("seed", range(10))
def test_least_squares(seed):
    X, y, w = problem(seed)
    agree(LinearRegression().fit(X, y, w), linear_model.LinearRegression(tol=0).fit(X, y, w))


@pytest.mark.parametrize("seed", range(10))
def test_ridge(seed):
    X, y, w = problem(seed)
    alpha = 10.0 ** (seed % 4 - 2)
    agree(Ridge(alpha=alpha).fit(X, y, w), linear_model.Ridge(alpha=alpha, solver="svd").fit(X, y, w))


@pytest.mark.changes_global_random_state  # by scikit-learn
@pytest.mark.parametrize("seed", range(10))
def test_lasso(seed):
    X, y, w = problem(seed)
    rho = (1.0, 0.4)[seed % 2]
    theirs = linear_model.ElasticNet(alpha=0.1, l1_ratio=rho, tol=1e-15, max_iter=100_000).fit(X, y, w)
    agree(Lasso(alpha=0.1, l1_ratio=rho, tol=1e-15).fit(X, y, w), theirs)


@pytest.mark.parametrize("seed", range(10))
def test_logistic(seed):
    X, s, w = problem(seed)
    y = np.digitize(s, np.quantile(s, [0.5] if seed < 5 else [0.3, 0.6]))
    theirs = linear_model.LogisticRegression(tol=1e-12, solver="newton-cholesky", max_iter=500).fit(X, y, w)
    agree(LogisticRegression(tol=1e-12).fit(X, y, w), theirs)
