"""RidgeCV: the leave-one-out formula, refits one by one, and GridSearchCV."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import RidgeCV as Oracle
from sklearn.model_selection import GridSearchCV, KFold

from zoo.linear.ridge import Ridge
from zoo.linear.ridge_cv import RidgeCV

ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0)


def problem(n=40, d=6, targets=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 3
    shape = (d,) if targets is None else (d, targets)
    y = X @ rng.normal(size=shape)
    return X, y + 2 * rng.normal(size=y.shape)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (15, 30)])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_leave_one_out_is_exact(n, d, intercept, weighted):
    X, y = problem(n, d)
    w = np.random.default_rng(1).uniform(0.5, 2, n) if weighted else np.ones(n)
    m = RidgeCV(alphas=ALPHAS, fit_intercept=intercept).fit(X, y, w if weighted else None)
    for a, score in zip(ALPHAS, m.scores_, strict=True):
        error = 0.0
        for i in range(n):
            rest = np.arange(n) != i
            r = Ridge(alpha=a, fit_intercept=intercept).fit(X[rest], y[rest], w[rest])
            error += w[i] * (y[i] - r.predict(X[i : i + 1])[0]) ** 2 / w.sum()
        np.testing.assert_allclose(-score, error, rtol=1e-8)
    final = Ridge(alpha=m.alpha_, fit_intercept=intercept).fit(X, y, w)
    np.testing.assert_allclose(m.coef_, final.coef_, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (15, 30)])
@pytest.mark.parametrize("intercept", [True, False])
def test_folds_are_those_of_a_grid_search(n, d, intercept):
    X, y = problem(n, d)
    search = GridSearchCV(
        Ridge(fit_intercept=intercept), {"alpha": list(ALPHAS)}, cv=KFold(5),
        scoring="neg_mean_squared_error",
    ).fit(X, y)  # fmt: skip
    for Z in (X, sparse.csr_array(X)):
        m = RidgeCV(alphas=ALPHAS, folds=5, fit_intercept=intercept).fit(Z, y)
        np.testing.assert_allclose(m.scores_, search.cv_results_["mean_test_score"], rtol=1e-8)
        assert m.alpha_ == search.best_params_["alpha"]
        np.testing.assert_allclose(m.coef_, search.best_estimator_.coef_, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("each", [True, False])
def test_many_targets_agree_with_scikit_learn(each):
    X, Y = problem(targets=3)
    Y[:, 1] = np.random.default_rng(5).normal(size=len(Y))
    theirs = Oracle(alphas=ALPHAS, alpha_per_target=each).fit(X, Y)
    ours = RidgeCV(alphas=ALPHAS, alpha_per_target=each).fit(X, Y)
    np.testing.assert_allclose(ours.alpha_, theirs.alpha_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
    np.testing.assert_allclose(ours.best_score_, theirs.best_score_, rtol=1e-8)


def test_noise_asks_for_a_larger_penalty():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 20))
    signal = X @ rng.normal(size=20)
    clean = RidgeCV(alphas=ALPHAS).fit(X, signal + 0.1 * rng.normal(size=50)).alpha_
    noisy = RidgeCV(alphas=ALPHAS).fit(X, signal + 30 * rng.normal(size=50)).alpha_
    assert noisy > clean


def test_too_many_folds_are_refused():
    X, y = problem()
    with pytest.raises(ValueError, match="give 2 to 40"):
        RidgeCV(folds=50).fit(X, y)
