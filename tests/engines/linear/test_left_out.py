"""Rows left out: every way to the errors agrees with fits made one by one, small penalties included."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_regression

from zoo.engines.linear import left_out
from zoo.engines.linear.least_squares import Design
from zoo.linear.ridge import Ridge

SHAPES = [(30, 80), (50, 50), (51, 50), (50, 49), (60, 8)]
ALPHAS = np.array([1e-10, 1e-4, 0.1, 1.0])


def problem(n, d):
    X, y = make_regression(n, d, noise=1, bias=10, random_state=0)
    return X, y


def one_by_one(X, y, alpha, intercept):
    errors = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        m = Ridge(alpha=alpha, solver="svd", fit_intercept=intercept).fit(X[rest], y[rest])
        errors.append(y[i] - m.predict(X[i : i + 1])[0])
    return np.array(errors)


def left_out_of(design, alphas):
    E = np.full((design.n, len(alphas), 1), np.nan)

    def take(rows, e):
        E[rows] = e

    found = left_out.decompose(design, alphas)
    found.leave_one_out(alphas, take)
    return found, E[:, :, 0]


@pytest.mark.parametrize(("n", "d"), SHAPES)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_penalties_leave_the_right_errors(n, d, intercept, dtype):
    X, y = problem(n, d)
    X, y = X.astype(dtype), y.astype(dtype)
    _, E = left_out_of(Design(X, y[:, None], None, intercept), ALPHAS.astype(dtype))
    rtol = 2e-4 if dtype == np.float32 else 1e-5
    for a, e in zip(ALPHAS, E.T, strict=True):
        true = one_by_one(X.astype(float), y.astype(float), a, intercept)
        np.testing.assert_allclose(e, true, rtol=rtol, atol=rtol * np.abs(true).max())


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_the_solution_of_small_penalties_is_that_of_singular_values(n, d):
    X, y = problem(n, d)
    for a in ALPHAS:
        found = left_out.decompose(Design(X, y[:, None], None, True), np.array([a]))
        true = Ridge(alpha=a, solver="svd").fit(X, y).coef_
        np.testing.assert_allclose(found.solve(np.array([a]))[:, 0], true, rtol=1e-9, atol=1e-9)


def test_equations_that_lose_digits_are_left():
    X, y = problem(60, 8)
    X[:, 1] = X[:, 0] * (1 + 1e-9)
    poor = left_out.decompose(Design(X, y[:, None], None, True), np.array([1e-9]))
    assert isinstance(poor, left_out.ByRows)
    assert isinstance(left_out.decompose(Design(X, y[:, None], None, True), ALPHAS[2:]), left_out.ByColumns)


@pytest.mark.parametrize(("n", "d"), [(60, 8), (50, 50), (30, 80)])
@pytest.mark.parametrize("dependent", [True, False])
def test_parts_left_out_of_dependent_columns(n, d, dependent):
    X, y = problem(n, d)
    if dependent:
        X[:, 1] = X[:, 0]
    half = np.arange(n) % 2 == 0
    splits = [(np.flatnonzero(half), np.flatnonzero(~half)), (np.arange(n // 3, n), np.arange(n // 3))]
    alphas = np.array([1e-9, 1.0])
    design = Design(X, y[:, None], None, True)
    seen = []
    left_out.decompose(design, alphas).leave_parts_out(alphas, splits, lambda *e: seen.append(e))
    for (train, test), (rows, e) in zip(splits, seen, strict=True):
        np.testing.assert_array_equal(rows, test)
        for a, r in zip(alphas, e[:, :, 0].T, strict=True):
            true = y[test] - Ridge(alpha=a, solver="svd").fit(X[train], y[train]).predict(X[test])
            np.testing.assert_allclose(r, true, rtol=1e-6, atol=1e-6 * np.abs(y).max())


def test_sparse_rows_agree_with_dense_ones():
    X, y = problem(40, 70)
    X[np.abs(X) < 1] = 0
    dense, thin = (
        left_out_of(Design(Z, y[:, None], None, True), ALPHAS[2:])[1] for Z in (X, sparse.csr_array(X))
    )
    np.testing.assert_allclose(thin, dense, rtol=1e-8)
