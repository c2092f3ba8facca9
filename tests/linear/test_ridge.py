"""Ridge: the closed form, scikit-learn, and what a penalty does."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model

from zoo.linear.linear_regression import LinearRegression
from zoo.linear.ridge import Ridge


def problem(n=60, d=8, targets=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + rng.normal(size=d) * 5
    shape = (d,) if targets is None else (d, targets)
    y = X @ rng.normal(size=shape) + 1
    return X, y + rng.normal(size=y.shape)


def test_closed_form():
    X, y = problem()
    m = Ridge(alpha=2.5).fit(X, y)
    A = X - X.mean(axis=0)
    beta = np.linalg.solve(A.T @ A + 2.5 * np.eye(8), A.T @ (y - y.mean()))
    np.testing.assert_allclose(m.coef_, beta, rtol=1e-10)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize(("n", "d", "targets"), [(60, 8, None), (60, 8, 3), (20, 50, None)])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("solver", ["cholesky", "svd"])
def test_agrees_with_scikit_learn(alpha, n, d, targets, intercept, solver):
    X, y = problem(n, d, targets)
    w = np.random.default_rng(3).uniform(0.2, 3, n)
    theirs = linear_model.Ridge(alpha=alpha, fit_intercept=intercept, solver="svd").fit(X, y, w)
    kw = {"alpha": alpha, "fit_intercept": intercept}
    if alpha < 1 and n < d:
        solver = "auto"  # the centred n x n matrix is singular but for alpha
    for m in (
        Ridge(**kw, solver=solver).fit(X, y, w),
        Ridge(**kw).fit(sparse.csr_array(X), y, w),
    ):
        np.testing.assert_allclose(m.coef_, theirs.coef_, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(m.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-7)


def hard_problem(kind, seed):
    rng = np.random.default_rng(seed)
    n, d = [(60, 8), (200, 30), (25, 40), (500, 5), (100, 100)][seed % 5]
    X = rng.normal(size=(n, d)) + rng.normal(size=d)
    if kind == "rank-deficient":
        X = X[:, rng.integers(0, max(2, d // 2), d)] @ rng.normal(size=(d, d))
    if kind == "badly scaled":
        X = X * 10.0 ** rng.uniform(-4, 4, d)
    y = X @ (rng.normal(size=d) / np.linalg.norm(X, axis=0)) + rng.normal(size=n)
    return X, y, 10.0 ** rng.uniform(-2, 2)


@pytest.mark.parametrize("kind", ["plain", "rank-deficient", "badly scaled"])
@pytest.mark.parametrize("seed", range(10))
def test_hard_problems_agree_to_ten_digits(kind, seed):
    X, y, alpha = hard_problem(kind, seed)
    theirs = linear_model.Ridge(alpha=alpha, solver="svd").fit(X, y)
    ours = Ridge(alpha=alpha).fit(X, y)
    for a, b in ((ours.coef_, theirs.coef_), (ours.predict(X), theirs.predict(X))):
        assert np.abs(a - b).max() <= 1e-10 * np.abs(b).max()


def test_no_penalty_is_least_squares():
    for X, y in (problem(), problem(20, 50)):
        np.testing.assert_allclose(
            Ridge(alpha=0.0).fit(X, y).coef_, LinearRegression().fit(X, y).coef_, atol=1e-8
        )


def test_the_penalty_shrinks():
    X, y = problem()
    sizes = [np.linalg.norm(Ridge(alpha=a).fit(X, y).coef_) for a in (0, 1, 10, 100, 1e6)]
    assert all(a > b for a, b in pairwise(sizes))
    assert sizes[-1] < 1e-2 * sizes[0]


def test_what_cannot_be_is_said():
    X, y = problem()
    Z = np.hstack([X, X])
    with pytest.raises(ValueError, match="singular"):
        Ridge(alpha=0.0, solver="cholesky").fit(Z, y)
    with pytest.raises(ValueError, match="dense"):
        Ridge(solver="svd").fit(sparse.csr_array(X), y)


def through_torch(monkeypatch):
    import torch

    from zoo.engines.devices import Arrays
    from zoo.engines.linear import least_squares

    monkeypatch.setattr(least_squares, "arrays_on", lambda *_: Arrays(torch, "cpu"))


@pytest.mark.parametrize(("n", "d", "targets"), [(60, 8, None), (60, 8, 3), (20, 50, None)])
@pytest.mark.parametrize("solver", ["auto", "svd"])
@pytest.mark.parametrize("weighted", [True, False])
def test_torch_gives_the_same_numbers(n, d, targets, solver, weighted, monkeypatch):
    X, y = problem(n, d, targets)
    w = np.random.default_rng(3).uniform(0.2, 3, n) if weighted else None
    ours = Ridge(solver=solver).fit(X, y, w)
    through_torch(monkeypatch)
    theirs = Ridge(solver=solver).fit(X, y, w)
    np.testing.assert_allclose(theirs.coef_, ours.coef_, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(theirs.intercept_, ours.intercept_, rtol=1e-8)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_numbers():
    for shape in ((500, 20, 2), (40, 90)):
        X, y = problem(*shape)
        ours, theirs = (Ridge(device=d).fit(X, y) for d in ("cpu", "cuda"))
        np.testing.assert_allclose(theirs.coef_, ours.coef_, rtol=1e-8)


@pytest.mark.parametrize(("n", "d"), [(700, 230), (230, 700)])
@pytest.mark.parametrize("weighted", [True, False])
def test_equations_in_float32_cost_no_digits(n, d, weighted):
    X, y = problem(n, d)
    w = np.random.default_rng(3).uniform(0.2, 3, n) if weighted else None
    theirs = linear_model.Ridge(alpha=2.0, solver="svd").fit(X, y, w)
    ours = Ridge(alpha=2.0).fit(X, y, w)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("n", "d"), [(300, 90), (60, 200)])
def test_large_sparse_data_go_by_conjugate_gradients(n, d, weighted, monkeypatch):
    monkeypatch.setattr("zoo.engines.linear.least_squares.SMALL_SIDE", 50)
    rng = np.random.default_rng(0)
    X = sparse.random(n, d, 0.05, format="csr", random_state=rng)
    X = X @ sparse.diags_array(10.0 ** rng.uniform(-1, 1, d))
    Y = X @ rng.normal(size=(d, 2)) + 0.1 * rng.normal(size=(n, 2)) + 1
    w = rng.uniform(0.5, 2, n) if weighted else None
    ours = Ridge(alpha=1.0).fit(X.tocsr(), Y, w)
    direct = Ridge(alpha=1.0, solver="cholesky").fit(X.tocsr(), Y, w)
    np.testing.assert_allclose(ours.predict(X), direct.predict(X), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours.coef_, direct.coef_, atol=1e-6)


@pytest.mark.parametrize("shape", [(60, 8), (20, 40)])
@pytest.mark.parametrize("thin", [False, True])
@pytest.mark.parametrize("alpha", [1e-3, 10.0])
def test_positive_coefficients_satisfy_their_conditions(shape, thin, alpha):
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape) + 1
    y = X[:, :3] @ [1.0, -2, 3] + rng.normal(size=shape[0])
    m = Ridge(alpha, positive=True).fit(sparse.csr_array(X) if thin else X, y)
    slope = (X - X.mean(axis=0)).T @ (y - m.predict(X)) - alpha * m.coef_
    assert (m.coef_ >= 0).all()
    size = np.abs(X.T @ y).max()
    np.testing.assert_allclose(slope[m.coef_ > 0], 0, atol=1e-9 * size)
    assert (slope <= 1e-9 * size).all()
    with pytest.raises(ValueError, match="takes 'auto'"):
        Ridge(positive=True, solver="svd").fit(X, y)


@pytest.mark.parametrize("solver", ["lsqr", "sparse_cg", "sag", "saga", "lbfgs"])
def test_names_of_scikit_learn_reach_the_same_optimum(solver):
    X = np.random.default_rng(0).normal(size=(40, 5))
    ours = Ridge(solver=solver, max_iter=100, random_state=0, copy_X=False, tol=1e-3)
    np.testing.assert_array_equal(ours.fit(X, X[:, 0]).coef_, Ridge().fit(X, X[:, 0]).coef_)
