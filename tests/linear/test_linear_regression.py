"""LinearRegression: normal equations hold, scikit-learn agrees, least norm, honest errors."""

import numpy as np
import pytest
from scipy import sparse, stats
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning

from zoo.linear.linear_regression import LinearRegression


def problem(n=80, d=5, targets=None, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(d, d)) + 2 * np.sqrt(d) * np.eye(d)
    X = rng.normal(size=(n, d)) @ mix + rng.normal(size=d) * 3
    shape = (n,) if targets is None else (n, targets)
    B = rng.normal(size=(d, *shape[1:]))
    return X, X @ B + 2 + rng.normal(size=shape)


DIRECT = ["auto", "cholesky", "qr", "svd"]


# -- equation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", DIRECT)
def test_residual_is_orthogonal_to_the_columns(solver):
    X, y = problem()
    w = np.random.default_rng(1).uniform(0.2, 2, len(y))
    r = w * (y - LinearRegression(solver=solver).fit(X, y, w).predict(X))
    np.testing.assert_allclose(X.T @ r, 0, atol=1e-8)
    np.testing.assert_allclose(r.sum(), 0, atol=1e-9)


# -- oracle -------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", DIRECT)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "d", "targets"), [(80, 5, None), (80, 5, 3), (300, 40, None)])
def test_agrees_with_scikit_learn(solver, intercept, n, d, targets):
    X, y = problem(n, d, targets)
    theirs = linear_model.LinearRegression(fit_intercept=intercept).fit(X, y)
    ours = LinearRegression(solver=solver, fit_intercept=intercept).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("intercept", [True, False])
def test_wide_and_deficient_data_give_the_least_norm(intercept):
    X, y = problem(20, 50)
    Z = np.hstack([X[:, :8], X[:, :8] @ np.ones((8, 2))])
    for A in (X, Z):
        theirs = linear_model.LinearRegression(fit_intercept=intercept).fit(A, y)
        for data in (A, sparse.csr_array(A)):
            ours = LinearRegression(fit_intercept=intercept).fit(data, y)
            np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
            assert ours.rank_ == (20 - intercept if A is X else 8)


def test_badly_conditioned_columns():
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, 200)
    X = t[:, None] ** np.arange(1, 12)
    beta = rng.normal(size=11)
    m = LinearRegression().fit(X, X @ beta)
    np.testing.assert_allclose(m.coef_, beta, atol=1e-8)


def test_weights_repeat_rows():
    X, y = problem()
    w = np.random.default_rng(0).integers(1, 4, len(y))
    a = LinearRegression().fit(X, y, w)
    b = LinearRegression().fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-10)


def test_standard_errors_are_the_textbook_ones():
    X, y = problem()
    m = LinearRegression().fit(X, y)
    A = np.column_stack([np.ones(len(y)), X])
    beta = np.linalg.solve(A.T @ A, A.T @ y)
    s2 = ((y - A @ beta) ** 2).sum() / (len(y) - 6)
    cov = s2 * np.linalg.inv(A.T @ A)
    se, se0 = m.standard_errors()
    np.testing.assert_allclose(se, np.sqrt(cov.diagonal()[1:]), rtol=1e-8)
    np.testing.assert_allclose(se0, np.sqrt(cov[0, 0]), rtol=1e-8)
    s, std = m.predict(X, return_std=True)
    np.testing.assert_allclose(std**2, s2 + np.einsum("ij,jk,ik->i", A, cov, A), rtol=1e-8)
    q = stats.t.ppf(0.975, len(y) - 6)
    np.testing.assert_allclose(m.predict_interval(X)[:, 1], s + q * std)


# -- character ----------------------------------------------------------------------------------


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    hits, coefficients = [], []
    for _ in range(400):
        y = X @ [1.0, -1, 0] + rng.normal(size=30)
        m = LinearRegression().fit(X, y)
        low, high = m.confidence_interval(0.9).T
        coefficients.append((low < [1, -1, 0]) & (high > [1, -1, 0]))
        z = rng.normal(size=(1, 3))
        (low, high), new = m.predict_interval(z, 0.9)[0], z @ [1, -1, 0] + rng.normal()
        hits.append(low < new[0] < high)
    assert abs(np.mean(hits) - 0.9) < 0.05
    assert np.abs(np.mean(coefficients, axis=0) - 0.9).max() < 0.05


def test_descent_reaches_the_same_place():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 5))
    y = X @ rng.normal(size=5) + 2 + 0.3 * rng.normal(size=150)
    best = LinearRegression().fit(X, y)
    for solver, tol, close in (
        ("gradient_descent", 1e-9, 1e-7),
        ("momentum", 1e-9, 1e-7),
        ("sgd", 1e-3, 1e-2),
    ):
        m = LinearRegression(solver=solver, tol=tol).fit(X, y)
        np.testing.assert_allclose(m.coef_, best.coef_, atol=close)
        np.testing.assert_allclose(m.sigma_, best.sigma_, rtol=1e-2)
        np.testing.assert_allclose(m.standard_errors()[0], best.standard_errors()[0], rtol=1e-2)


def test_descent_from_zero_finds_the_least_norm():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(15, 40)), rng.normal(size=15)
    best = LinearRegression().fit(X, y)
    m = LinearRegression(solver="gradient_descent", tol=1e-10, max_iter=50_000).fit(X, y)
    np.testing.assert_allclose(m.coef_, best.coef_, atol=1e-6)


def test_what_cannot_be_is_said():
    X, y = problem()
    Z = np.hstack([X, X[:, :1]])
    with pytest.raises(ValueError, match="singular"):
        LinearRegression(solver="cholesky").fit(Z, y)
    with pytest.warns(ConvergenceWarning, match="dependent"):
        LinearRegression(solver="qr").fit(Z, y)
    with pytest.raises(ValueError, match="rank 5 < 6"):
        LinearRegression().fit(Z, y).standard_errors()
    with pytest.raises(ValueError, match="dense"):
        LinearRegression(solver="svd").fit(sparse.csr_array(X), y)
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        LinearRegression(solver="momentum", max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match="finite"):
        LinearRegression(solver="gradient_descent", lr=1e3).fit(X, y)


# -- devices ------------------------------------------------------------------------------------


def through_torch(monkeypatch, device="cpu"):
    """Make the fit go through torch as it does for a GPU, on any device."""
    import torch

    from zoo.engines.devices import Arrays
    from zoo.engines.linear import least_squares

    monkeypatch.setattr(least_squares, "arrays_on", lambda *_: Arrays(torch, device))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("targets", [None, 3])
@pytest.mark.parametrize("solver", [*DIRECT, "gradient_descent", "momentum"])
def test_torch_gives_the_same_numbers(solver, targets, weighted, monkeypatch):
    X, y = problem(200, 6, targets)
    X = X / X.std(axis=0)
    w = np.random.default_rng(1).uniform(0.2, 2, len(y)) if weighted else None
    ours = LinearRegression(solver=solver).fit(X, y, w)
    through_torch(monkeypatch)
    theirs = LinearRegression(solver=solver).fit(X, y, w)
    for name in ("coef_", "intercept_", "sigma_"):
        assert isinstance(getattr(theirs, name), type(getattr(ours, name)))
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(theirs.standard_errors()[0], ours.standard_errors()[0], rtol=1e-7)


def test_torch_finds_the_least_norm_too(monkeypatch):
    X, y = problem(20, 50)
    Z = np.hstack([X[:, :8], X[:, :8] @ np.ones((8, 2))])
    expected = [LinearRegression().fit(A, y) for A in (X, Z)]
    through_torch(monkeypatch)
    for A, e in zip((X, Z), expected, strict=True):
        m = LinearRegression().fit(A, y)
        np.testing.assert_allclose(m.coef_, e.coef_, rtol=1e-6, atol=1e-9)
        assert m.rank_ == e.rank_
    with pytest.raises(ValueError, match="sparse; use device='cpu'"):
        LinearRegression().fit(sparse.csr_array(X), y)


def test_torch_descends_by_batches(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 5))
    y = X @ rng.normal(size=5) + 2 + 0.3 * rng.normal(size=150)
    kw = {"solver": "sgd", "tol": 1e-3, "random_state": 0}
    ours = LinearRegression(**kw).fit(X, y)
    through_torch(monkeypatch)
    np.testing.assert_allclose(LinearRegression(**kw).fit(X, y).coef_, ours.coef_, rtol=1e-8)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_numbers():
    X, y = problem(500, 20, 2)
    ours, theirs = (LinearRegression(device=d).fit(X, y) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(theirs.coef_, ours.coef_, rtol=1e-9)
    np.testing.assert_allclose(theirs.standard_errors()[0], ours.standard_errors()[0], rtol=1e-8)


# -- the equations in float32 -------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("offset", [0.0, 3.0, 1e5])
def test_equations_in_float32_cost_no_digits(weighted, offset):
    X, y = problem(900, 220)
    X = (X - X.mean(axis=0)) * np.logspace(-3, 3, 220) + offset
    w = np.random.default_rng(0).uniform(0.5, 2, 900) if weighted else None
    size = X.std(axis=0)
    theirs = linear_model.LinearRegression().fit((X - X.mean(axis=0)) / size, y, w)
    ours = LinearRegression().fit(X, y, w)
    np.testing.assert_allclose(ours.coef_ * size, theirs.coef_, rtol=1e-8, atol=1e-8)
    qr = LinearRegression(solver="qr").fit(X, y, w)
    np.testing.assert_allclose(ours.sigma_, qr.sigma_, rtol=1e-9)
    np.testing.assert_allclose(ours.standard_errors()[0], qr.standard_errors()[0], rtol=1e-4)


def test_ranges_that_float32_does_not_have():
    X, y = problem(900, 220)
    for scale in (1e-25, 1e25):
        m = LinearRegression().fit(X * scale, y)
        np.testing.assert_allclose(m.coef_ * scale, LinearRegression().fit(X, y).coef_, rtol=1e-8)


# -- large and sparse ---------------------------------------------------------------------------


def scarce(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random(n, d, 0.05, format="csr", random_state=rng)
    return X, X @ rng.normal(size=d) + 0.1 * rng.normal(size=n) + 1


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("n", "d"), [(300, 90), (60, 200)])
def test_large_sparse_data_go_by_conjugate_gradients(n, d, weighted, monkeypatch):
    monkeypatch.setattr("zoo.engines.linear.least_squares.SMALL_SIDE", 50)
    X, y = scarce(n, d)
    w = np.random.default_rng(1).uniform(0.5, 2, n) if weighted else None
    m = LinearRegression().fit(X, y, w)
    assert m.n_iter_ > 1
    # coefficients of a nearly singular X mean less than what they predict
    np.testing.assert_allclose(m.predict(X), LinearRegression().fit(X.toarray(), y, w).predict(X), atol=1e-6)
    r = (y - m.predict(X)) * (1 if w is None else w)
    assert np.abs(X.T @ r - r.sum() * np.asarray(X.mean(axis=0)).ravel()).max() < 1e-6
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        LinearRegression(max_iter=2).fit(X, y)


def test_the_sparse_gram_matrix():
    from zoo.engines.linear import sparse as _sparse

    X, _ = scarce(80, 30)
    w = np.random.default_rng(0).uniform(size=80)
    A = X.toarray()
    np.testing.assert_allclose(_sparse.gram(X, w), A.T @ (w[:, None] * A), atol=1e-14)


def test_nearly_square_data():
    for n, d in ((60, 60), (61, 60), (60, 70)):
        X, y = problem(n, d)
        theirs = linear_model.LinearRegression().fit(X, y)
        np.testing.assert_allclose(LinearRegression().fit(X, y).coef_, theirs.coef_, rtol=1e-6, atol=1e-7)


def test_positive_coefficients_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6)) + 2
    Y = X @ rng.normal(size=(6, 2)) + rng.normal(size=(80, 2))
    w = rng.uniform(0.5, 2, 80)
    ours = LinearRegression(positive=True, n_jobs=2, copy_X=True).fit(X, Y, w)
    theirs = linear_model.LinearRegression(positive=True).fit(X, Y, w)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-10)
    with pytest.raises(ValueError, match="positive=True"):
        LinearRegression(positive=True, solver="qr").fit(X, Y)
