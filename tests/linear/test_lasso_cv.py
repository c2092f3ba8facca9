"""LassoCV: the path of scikit-learn, fold by fold."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, ShuffleSplit, TimeSeriesSplit

from zoo.linear.lasso import Lasso
from zoo.linear.lasso_cv import LassoCV


def problem(n=60, d=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 1
    return X, X[:, :3] @ [1.0, -2, 0.5] + rng.normal(size=n)


@pytest.mark.changes_global_random_state  # by scikit-learn
@pytest.mark.parametrize(("n", "d"), [(60, 12), (40, 90)])
def test_agrees_with_scikit_learn(n, d):
    X, y = problem(n, d)
    theirs = linear_model.LassoCV(alphas=30, eps=0.05, cv=KFold(5), tol=1e-10, max_iter=100_000).fit(X, y)
    for Z in (X, sparse.csr_array(X)):
        ours = LassoCV(alphas=30, eps=0.05, tol=1e-10).fit(Z, y)
        np.testing.assert_allclose(ours.alphas_, theirs.alphas_, rtol=1e-9)
        np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-4)
        np.testing.assert_allclose(ours.alpha_, theirs.alpha_)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)


def test_the_last_fit_is_the_lasso_at_its_choice():
    X, y = problem()
    w = np.random.default_rng(1).uniform(0.5, 2, len(y))
    m = LassoCV(tol=1e-12).fit(X, y, w)
    one = Lasso(alpha=m.alpha_, tol=1e-12).fit(X, y, w)
    np.testing.assert_allclose(m.coef_, one.coef_, atol=1e-6)


def test_given_penalties_and_bad_splits():
    X, y = problem()
    m = LassoCV(alphas=(0.01, 1.0, 0.1)).fit(X, y)
    np.testing.assert_array_equal(m.alphas_, [1.0, 0.1, 0.01])
    with pytest.raises(ValueError, match="integer from 2 to 60"):
        LassoCV(cv=61).fit(X, y)


@pytest.mark.changes_global_random_state  # by scikit-learn
@pytest.mark.parametrize(
    "cv",
    [None, KFold(3, shuffle=True, random_state=0), ShuffleSplit(4, random_state=0), TimeSeriesSplit(3)],
)
def test_cv_means_what_it_means_in_scikit_learn(cv):
    X, y = problem()
    theirs = linear_model.LassoCV(alphas=20, eps=0.05, cv=cv, tol=1e-10, max_iter=100_000).fit(X, y)
    ours = LassoCV(alphas=20, eps=0.05, cv=cv, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-4)
    np.testing.assert_allclose(ours.alpha_, theirs.alpha_)


@pytest.mark.parametrize("thin", [False, True])
def test_a_budget_that_ends_early_is_said(thin):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 50)) @ rng.normal(size=(50, 50))
    y = X[:, 0] + rng.normal(size=100)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1 passes"):
        LassoCV(max_iter=1).fit(sparse.csr_array(X) if thin else X, y)
