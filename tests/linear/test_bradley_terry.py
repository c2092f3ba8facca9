"""BradleyTerry: logistic regression on differences, ties, and rankings that come back."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from zoo.linear.bradley_terry import BradleyTerry, _likelihood


def matches(m=8, n=600, seed=0, home=0.0, nu=0.0):
    rng = np.random.default_rng(seed)
    s = np.linspace(1.5, -1.5, m)
    X = np.array([rng.choice(m, 2, replace=False) for _ in range(n)])
    d = s[X[:, 0]] - s[X[:, 1]] + home
    P = np.column_stack([np.exp(-d / 2), np.full(n, nu), np.exp(d / 2)])
    P /= P.sum(axis=1, keepdims=True)
    y = (rng.random(n)[:, None] > P.cumsum(axis=1)).sum(axis=1)
    return X, y if nu else y // 2, s


# -- equation -----------------------------------------------------------------------------------


def test_gradient_and_hessian_are_derivatives():
    rng = np.random.default_rng(0)
    A, w = rng.normal(size=(30, 3)), np.full(30, 1 / 30)
    for k in (2, 3):
        y = rng.integers(0, k, 30)
        theta = rng.normal(size=5)
        _, g, H = _likelihood(theta, A, y, w, 0.1, k)
        for j in range(5 if k == 3 else 4):
            e = np.zeros(5)
            e[j] = 1e-6
            up, down = (
                _likelihood(theta + e, A, y, w, 0.1, k),
                _likelihood(theta - e, A, y, w, 0.1, k),
            )
            np.testing.assert_allclose((up[0] - down[0]) / 2e-6, g[j], atol=1e-8)
            np.testing.assert_allclose((up[1] - down[1]) / 2e-6, H[j], atol=1e-7)


# -- oracle -------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [False, True])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_is_logistic_regression_on_differences(home, C):
    X, y, _ = matches(home=0.5)
    D = np.eye(8)[X[:, 0]] - np.eye(8)[X[:, 1]]
    theirs = LogisticRegression(
        C=C, fit_intercept=home, tol=1e-13, solver="newton-cholesky", max_iter=500
    ).fit(D, y)
    ours = BradleyTerry(C=C, home_advantage=home, tol=1e-13).fit(X, y)
    np.testing.assert_allclose(ours.strengths_, theirs.coef_[0], atol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(D), atol=1e-8)
    if home:
        np.testing.assert_allclose(ours.home_advantage_, theirs.intercept_[0], atol=1e-8)


def test_features_are_logistic_regression_too():
    X, y, _ = matches()
    F = np.random.default_rng(1).normal(size=(8, 3))
    ours = BradleyTerry(features=dict(enumerate(F)), tol=1e-13).fit(X, y)
    theirs = LogisticRegression(fit_intercept=False, tol=1e-13, solver="newton-cholesky").fit(
        F[X[:, 0]] - F[X[:, 1]], y
    )
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(ours.strengths_, F @ theirs.coef_[0], atol=1e-8)
    with pytest.raises(ValueError, match="no vector for 9"):
        ours.predict([(9, 1)])


# -- character ----------------------------------------------------------------------------------


def test_the_ranking_comes_back():
    X, y, s = matches(n=4000)
    m = BradleyTerry(C=np.inf).fit(X, y)
    assert m.ranking() == list(range(8))
    z = (m.strengths_ - s) / m.standard_errors()
    assert np.abs(z).max() < 4
    assert np.sqrt((z**2).mean()) < 2


def test_ties_and_home_advantage_come_back():
    X, y, s = matches(n=6000, home=0.4, nu=0.8)
    m = BradleyTerry(C=np.inf, home_advantage=True).fit(X, np.array(["a", "b", "c"])[y])
    assert abs(m.home_advantage_ - 0.4) < 0.15
    assert abs(m.tie_ - 0.8) < 0.1
    np.testing.assert_allclose(m.strengths_, s, atol=0.25)
    P = m.predict_proba(X)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_allclose(P.mean(axis=0), np.bincount(y) / len(y), atol=0.01)


def test_swapping_the_players_swaps_the_outcome():
    X, y, _ = matches()
    m = BradleyTerry().fit(X, y)
    np.testing.assert_allclose(m.predict_proba(X), m.predict_proba(X[:, ::-1])[:, ::-1])


def test_unseen_players_are_average_and_names_may_be_anything():
    names = np.array(["ann", 7, ("x", 1), 2.5], dtype=object)
    X, y, _ = matches(m=4)
    rows = [(names[a], names[b]) for a, b in X]
    m = BradleyTerry().fit(rows, y)
    assert m.predict_proba([("nobody", "else")])[0, 1] == 0.5
    np.testing.assert_allclose(m.predict_proba(rows), BradleyTerry().fit(X, y).predict_proba(X))


def test_weights_count_matches():
    X, y, _ = matches(n=100)
    w = np.random.default_rng(0).integers(1, 4, 100)
    a = BradleyTerry(tol=1e-12).fit(X, y, w)
    b = BradleyTerry(tol=1e-12).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(a.strengths_, b.strengths_, atol=1e-9)


def test_what_has_no_answer_is_said():
    with pytest.warns(ConvergenceWarning, match="won, or lost, all"):
        BradleyTerry(C=np.inf).fit([(0, 1), (1, 0), (1, 2), (2, 1)], [1, 0, 1, 1])
    with pytest.raises(ValueError, match="4 labels"):
        BradleyTerry().fit([(0, 1)] * 4, [0, 1, 2, 3])
