"""LogisticRegression: the gradient vanishes, scikit-learn agrees, every solver ends in one
place."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning

from zoo.engines.linear import logistic
from zoo.linear.logistic_regression import LogisticRegression


def problem(n=300, d=6, seed=0, k=2):
    X, y = make_classification(
        n, d, n_informative=d // 2 + 1, n_redundant=0, n_classes=k, flip_y=0.1, random_state=seed
    )
    return X, y


# -- equation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
def test_gradient_and_hessian_are_derivatives(k, make):
    X, y = problem(60, 4, k=k)
    w = np.random.default_rng(0).uniform(0.5, 2, 60)
    p = logistic.Problem(make(X), y, 1 if k == 2 else k, w / w.sum(), 0.1, True)
    theta = np.random.default_rng(1).normal(size=(p.k, 5))
    _, g = p.value_and_gradient(theta)
    H = p.hessian().copy()
    step = 1e-5
    for j in range(theta.size):
        e = np.zeros(theta.size)
        e[j] = step
        e = e.reshape(theta.shape)
        up, gu = p.value_and_gradient(theta + e)
        down, gd = p.value_and_gradient(theta - e)
        np.testing.assert_allclose((up - down) / (2 * step), g.ravel()[j], atol=1e-9)
        np.testing.assert_allclose((gu - gd).ravel() / (2 * step), H[j], atol=1e-8)


@pytest.mark.parametrize("rho", [0.5, 1.0])
@pytest.mark.parametrize("k", [2, 3])
def test_l1_optimality(rho, k):
    X, y = problem(k=k, d=10)
    C = 0.05
    m = LogisticRegression(C=C, l1_ratio=rho, tol=1e-9).fit(X, y)
    P = m.predict_proba(X)
    E = P - np.eye(k)[y]
    G = (E[:, 1:] if k == 2 else E).T @ X * C + (1 - rho) * m.coef_
    zero = m.coef_ == 0
    assert zero.any()
    assert (np.abs(G[zero]) <= rho * (1 + 1e-5)).all()
    np.testing.assert_allclose(G[~zero], -rho * np.sign(m.coef_[~zero]), atol=1e-5)


# -- oracle -------------------------------------------------------------------------------------

CASES = [(n, d, k, C) for n, d in ((120, 4), (400, 30)) for k in (2, 4) for C in (0.01, 1.0, 100.0)]


@pytest.mark.parametrize(("n", "d", "k", "C"), CASES)
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_agrees_with_scikit_learn(n, d, k, C, solver):
    X, y = problem(n, d, k=k)
    theirs = linear_model.LogisticRegression(C=C, tol=1e-12, solver="newton-cholesky").fit(X, y)
    ours = LogisticRegression(C=C, tol=1e-12, solver=solver).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-7)
    a, b = ours.intercept_, theirs.intercept_
    np.testing.assert_allclose(a - a.mean() * (k > 2), b - b.mean() * (k > 2), atol=1e-7)


@pytest.mark.parametrize("k", [2, 3])
def test_wide_data(k):
    X, y = problem(90, 300, k=k)
    theirs = linear_model.LogisticRegression(tol=1e-12, solver="newton-cg", max_iter=10_000).fit(X, y)
    ours = LogisticRegression(tol=1e-10).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-7)


@pytest.mark.parametrize("rho", [0.4, 1.0])
def test_l1_agrees_with_saga(rho):
    X, y = problem()
    theirs = linear_model.LogisticRegression(
        C=0.1, l1_ratio=rho, solver="saga", tol=1e-10, max_iter=100_000, random_state=0
    ).fit(X, y)
    ours = LogisticRegression(C=0.1, l1_ratio=rho, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)


def test_weights_and_sparse_agree():
    for k in (2, 3):
        X, y = problem(k=k)
        w = np.random.default_rng(0).uniform(0.1, 3, len(y))
        theirs = linear_model.LogisticRegression(tol=1e-12, solver="newton-cholesky").fit(X, y, w)
        for Z in (X, sparse.csr_array(X)):
            for solver in ("newton", "lbfgs"):
                ours = LogisticRegression(tol=1e-11, solver=solver).fit(Z, y, w)
                np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-7)


@pytest.mark.parametrize("rho", [0.5, 1.0])
@pytest.mark.parametrize(("n", "d"), [(300, 6), (60, 200)])
@pytest.mark.parametrize("intercept", [True, False])
def test_l1_on_sparse_data_is_l1_on_dense(rho, n, d, intercept):
    X, y = problem(n, d)
    X = X * (np.random.default_rng(0).random(X.shape) < 0.4)
    w = np.random.default_rng(1).uniform(0.5, 2, n)
    kw = {"C": 0.3, "l1_ratio": rho, "tol": 1e-10, "fit_intercept": intercept}
    dense = LogisticRegression(**kw).fit(X, y, w)
    scarce = LogisticRegression(**kw).fit(sparse.csr_array(X), y, w)
    np.testing.assert_allclose(scarce.coef_, dense.coef_, atol=1e-6)
    np.testing.assert_array_equal(scarce.coef_ == 0, dense.coef_ == 0)
    np.testing.assert_allclose(scarce.intercept_, dense.intercept_, atol=1e-6)


# -- character ----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3])
def test_every_solver_reaches_the_optimum(k):
    X, y = problem(k=k)
    best = LogisticRegression(C=0.1).fit(X, y)
    for solver, tol, close in (
        ("gradient_descent", 1e-7, 1e-4),
        ("momentum", 1e-7, 1e-4),
        ("sgd", 1e-3, 0.05),
    ):
        m = LogisticRegression(C=0.1, solver=solver, tol=tol, max_iter=20_000).fit(X, y)
        np.testing.assert_allclose(m.coef_, best.coef_, atol=close)
        assert m.n_iter_ > 1


def test_momentum_is_faster_than_plain_descent():
    X, y = problem()
    X = X * np.array([1, 3, 1, 0.3, 1, 1])
    kw = {"C": 1.0, "tol": 1e-6, "max_iter": 100_000}
    plain = LogisticRegression(solver="gradient_descent", **kw).fit(X, y)
    heavy = LogisticRegression(solver="momentum", **kw).fit(X, y)
    assert heavy.n_iter_ < 0.5 * plain.n_iter_


def test_badly_scaled_columns():
    X, y = problem(3000, 12)
    scale = np.logspace(-4, 4, 12)
    kw = {"C": np.inf, "tol": 1e-9}
    near, far = LogisticRegression(**kw).fit(X, y), LogisticRegression(**kw).fit(X * scale, y)
    np.testing.assert_allclose(far.coef_ * scale, near.coef_, rtol=1e-4, atol=1e-6)


def test_separable_data_without_penalty_are_said():
    X, y = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="separable"):
        m = LogisticRegression(C=np.inf).fit(X[y < 2], y[y < 2])
    assert m.score(X[y < 2], y[y < 2]) == 1
    assert m.n_iter_ < 30


def test_collinear_columns_without_penalty_are_said():
    X, y = problem()
    with pytest.warns(ConvergenceWarning, match="collinear"):
        m = LogisticRegression(C=np.inf, solver="newton").fit(np.hstack([X, X[:, :1]]), y)
    np.testing.assert_allclose(m.coef_[0, 0], m.coef_[0, -1], rtol=1e-6)


@pytest.mark.parametrize("k", [2, 3])
def test_collinear_columns_are_said_by_every_solver(k):
    X, y = problem(5000, k=k)
    with pytest.warns(ConvergenceWarning, match="collinear"):
        LogisticRegression(C=np.inf, solver="lbfgs", tol=1e-6).fit(np.hstack([X, X[:, :1]]), y)


def test_data_that_separate_in_part_are_said():
    X = np.array([[0.0], [0], [1], [1], [1]])
    with pytest.warns(ConvergenceWarning, match="separable in part"):
        LogisticRegression(C=np.inf).fit(X, [0, 0, 0, 1, 1])


@pytest.mark.parametrize("k", [2, 3])
def test_plain_data_without_penalty_need_no_word(k):
    X, y = problem(k=k)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = LogisticRegression(C=np.inf, tol=1e-8).fit(X, y)
    theirs = linear_model.LogisticRegression(C=np.inf, tol=1e-10, solver="newton-cholesky").fit(X, y)
    np.testing.assert_allclose(m.coef_, theirs.coef_, atol=1e-5)


def test_too_few_steps_are_said():
    X, y = load_digits(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        LogisticRegression(max_iter=3).fit(X[:300], y[:300])


def test_l1_takes_auto_alone():
    X, y = problem()
    with pytest.raises(ValueError, match="solver='auto'"):
        LogisticRegression(l1_ratio=1.0, solver="newton").fit(X, y)


# -- devices ------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs", "gradient_descent", "momentum", "sgd", "l1"])
def test_torch_gives_the_same_numbers(k, solver, monkeypatch):
    import torch

    from zoo.engines.devices import Arrays
    from zoo.linear import logistic_regression

    X, y = problem(k=k)
    w = np.random.default_rng(0).uniform(0.1, 3, len(y))
    kw = {"C": 0.1, "solver": solver, "tol": 1e-2 if solver == "sgd" else 1e-7, "random_state": 0}
    kw |= {"solver": "auto", "l1_ratio": 0.7} if solver == "l1" else {}
    ours = LogisticRegression(**kw).fit(X, y, w)
    monkeypatch.setattr(logistic_regression, "arrays_on", lambda *_: Arrays(torch, "cpu"))
    theirs = LogisticRegression(**kw).fit(X, y, w)
    assert theirs.n_iter_ == ours.n_iter_
    np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=1e-9)
    np.testing.assert_allclose(theirs.intercept_, ours.intercept_, atol=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_torch_in_other_shapes(k, monkeypatch):
    import torch

    from zoo.engines.devices import Arrays
    from zoo.linear import logistic_regression

    wide = problem(90, 300, k=k)
    large = problem(5000, 20, k=k)
    ours = [LogisticRegression(tol=1e-10).fit(*data) for data in (wide, large)]
    monkeypatch.setattr(logistic_regression, "arrays_on", lambda *_: Arrays(torch, "cpu"))
    for data, m in zip((wide, large), ours, strict=True):
        np.testing.assert_allclose(LogisticRegression(tol=1e-10).fit(*data).coef_, m.coef_, atol=1e-6)
    with pytest.raises(ValueError, match="X is sparse; use device='cpu'"):
        LogisticRegression().fit(sparse.csr_array(wide[0]), wide[1])


def test_a_device_that_is_not_there():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    X, y = problem()
    with pytest.raises(ValueError, match="device='cuda' was asked for"):
        LogisticRegression(device="cuda").fit(X, y)


@pytest.mark.gpu
@pytest.mark.parametrize("k", [2, 3])
def test_a_gpu_gives_the_same_numbers(k):
    X, y = problem(5000, 20, k=k)
    ours, theirs = (LogisticRegression(device=d).fit(X, y) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=1e-6)


@pytest.mark.parametrize("solver", ["newton-cg", "newton-cholesky", "lbfgs", "sag", "saga", "liblinear"])
def test_solvers_of_scikit_learn_reach_the_same_optimum(solver):
    X, y = load_iris(return_X_y=True)
    named = LogisticRegression(solver=solver, n_jobs=1, verbose=0, dual=False, warm_start=True).fit(X, y)
    np.testing.assert_allclose(named.coef_, LogisticRegression().fit(X, y).coef_, atol=1e-5)
    named.fit(X[50:], y[50:])  # a warm start begins afresh: other classes are no error
    assert len(named.classes_) == 2


@pytest.mark.parametrize(
    ("word", "meaning"),
    [({"penalty": "l1"}, {"l1_ratio": 1.0}), ({"penalty": "l2"}, {}), ({"penalty": None}, {"C": np.inf}),
     ({"penalty": "elasticnet", "l1_ratio": 0.5}, {"l1_ratio": 0.5})],
)  # fmt: skip
def test_penalty_is_the_older_word(word, meaning):
    X, y = load_iris(return_X_y=True)
    a = LogisticRegression(**word, solver="saga" if "l1" in str(word) else "auto").fit(X[50:], y[50:])
    b = LogisticRegression(**meaning).fit(X[50:], y[50:])
    np.testing.assert_array_equal(a.coef_, b.coef_)


def test_coefficients_of_all_classes_sum_to_nothing():
    X, y = load_iris(return_X_y=True)
    m = LogisticRegression(C=150).fit((X - X.mean(axis=0)) / X.std(axis=0), y)
    assert np.abs(m.coef_.sum(axis=0)).max() < 1e-12
