"""RidgeCV: the leave-one-out formula, refits one by one, and GridSearchCV."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_regression
from sklearn.linear_model import RidgeCV as Oracle
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut, ShuffleSplit, TimeSeriesSplit

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
        m = RidgeCV(alphas=ALPHAS, cv=5, fit_intercept=intercept).fit(Z, y)
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


def splitters(n):
    rng = np.random.default_rng(4)
    shuffled = KFold(4, shuffle=True, random_state=0)
    parts = [(np.arange(10, n), np.arange(10)), (rng.permutation(n)[: n // 2], np.arange(n // 2, n - 3))]
    masks = [(np.arange(n) % 3 != k, np.arange(n) % 3 == k) for k in range(3)]
    return [3, shuffled, ShuffleSplit(3, random_state=1), LeaveOneOut(), TimeSeriesSplit(3), parts, masks]


@pytest.mark.parametrize(("n", "d"), [(40, 6), (25, 60)])
@pytest.mark.parametrize("which", range(7))
@pytest.mark.parametrize("intercept", [True, False])
def test_cv_means_what_it_means_in_scikit_learn(n, d, which, intercept):
    X, y = problem(n, d)
    cv = splitters(n)[which]
    search = GridSearchCV(
        Ridge(fit_intercept=intercept), {"alpha": list(ALPHAS)}, cv=cv, scoring="neg_mean_squared_error"
    ).fit(X, y)
    for Z in (X, sparse.csr_array(X)):
        m = RidgeCV(alphas=ALPHAS, cv=cv, fit_intercept=intercept).fit(Z, y)
        np.testing.assert_allclose(m.scores_, search.cv_results_["mean_test_score"], rtol=1e-8)
        assert m.alpha_ == search.best_params_["alpha"]


@pytest.mark.parametrize(("n", "d"), [(40, 6), (25, 60)])
def test_weighted_folds_are_weighted_fits(n, d):
    X, y = problem(n, d)
    w = np.random.default_rng(1).uniform(0.5, 2, n)
    m = RidgeCV(alphas=ALPHAS, cv=4).fit(X, y, w)
    for a, score in zip(ALPHAS, m.scores_, strict=True):
        errors = []
        for train, test in KFold(4).split(X):
            r = Ridge(alpha=a).fit(X[train], y[train], w[train])
            errors.append(np.average((y[test] - r.predict(X[test])) ** 2, weights=w[test]))
        np.testing.assert_allclose(-score, np.mean(errors), rtol=1e-8)


def test_leave_one_out_of_the_formula_is_that_of_the_splitter():
    X, y = problem()
    a = RidgeCV(alphas=ALPHAS).fit(X, y)
    b = RidgeCV(alphas=ALPHAS, cv=LeaveOneOut()).fit(X, y)
    np.testing.assert_allclose(a.scores_, b.scores_, rtol=1e-9)


def test_means_far_from_zero_cost_no_digits():
    X, y = problem(60, 5)
    near, far = (RidgeCV(alphas=ALPHAS, cv=cv).fit(X + s, y) for cv, s in ((5, 0.0), (5, 1e6)))
    np.testing.assert_allclose(far.scores_, near.scores_, rtol=1e-8)
    near, far = (RidgeCV(alphas=ALPHAS).fit(X + s, y) for s in (0.0, 1e6))
    np.testing.assert_allclose(far.scores_, near.scores_, rtol=1e-8)
    np.testing.assert_allclose(far.coef_, near.coef_, rtol=1e-8)


def test_bad_splits_are_refused():
    X, y = problem()
    with pytest.raises(ValueError, match="integer from 2 to 40"):
        RidgeCV(cv=50).fit(X, y)
    with pytest.raises(ValueError, match="splitter of scikit-learn"):
        RidgeCV(cv=1).fit(X, y)
    with pytest.raises(ValueError, match="names row 40, but X has 40"):
        RidgeCV(cv=[(np.arange(30), np.arange(30, 41))]).fit(X, y)
    with pytest.raises(ValueError, match="no split"):
        RidgeCV(cv=[]).fit(X, y)
    with pytest.raises(ValueError, match="without rows"):
        RidgeCV(cv=[(np.arange(30), np.array([], int))]).fit(X, y)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (25, 60)])
@pytest.mark.parametrize("cv", [None, 4])
@pytest.mark.parametrize("weighted", [True, False])
def test_torch_gives_the_same_numbers(n, d, cv, weighted, monkeypatch):
    import torch

    from zoo.engines.devices import Arrays
    from zoo.engines.linear import least_squares

    X, Y = problem(n, d, 2)
    w = np.random.default_rng(3).uniform(0.2, 3, n) if weighted else None
    ours = RidgeCV(alphas=ALPHAS, cv=cv).fit(X, Y, w)
    monkeypatch.setattr(least_squares, "arrays_on", lambda *_: Arrays(torch, "cpu"))
    theirs = RidgeCV(alphas=ALPHAS, cv=cv).fit(X, Y, w)
    np.testing.assert_allclose(theirs.scores_, ours.scores_, rtol=1e-8)
    np.testing.assert_allclose(theirs.coef_, ours.coef_, rtol=1e-8, atol=1e-12)
    assert theirs.alpha_ == ours.alpha_


@pytest.mark.gpu
def test_a_gpu_gives_the_same_numbers():
    for n, d in ((300, 20), (40, 90)):
        for cv in (None, 5):
            X, y = problem(n, d)
            ours, theirs = (RidgeCV(cv=cv, device=device).fit(X, y) for device in ("cpu", "cuda"))
            np.testing.assert_allclose(theirs.scores_, ours.scores_, rtol=1e-8)


def test_rows_of_weight_nothing_keep_their_numbers():
    X, y = problem()
    w = np.ones(40)
    w[[3, 20, 39]] = 0
    pairs = list(KFold(4, shuffle=True, random_state=0).split(X))
    place = np.cumsum(w > 0) - 1
    left = [tuple(place[part[w[part] > 0]] for part in pair) for pair in pairs]
    a = RidgeCV(alphas=ALPHAS, cv=pairs).fit(X, y, w)
    b = RidgeCV(alphas=ALPHAS, cv=left).fit(X[w > 0], y[w > 0])
    np.testing.assert_allclose(a.scores_, b.scores_, rtol=1e-10)


def test_leave_one_out_of_wide_float32_is_no_rounding():
    X, y = make_regression(30, 80, noise=10, bias=10, random_state=0)
    m = RidgeCV().fit((100 * X).astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose(m.best_score_, RidgeCV().fit(100 * X, y).best_score_, rtol=1e-4)
    assert m.coef_.dtype == np.float32


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "d"), [(30, 30), (20, 40)])
def test_sparse_rows_that_fit_themselves_are_left_out_like_dense_ones(form, intercept, n, d):
    X, y = problem(n, d)
    dense = RidgeCV(alphas=(1e-14,), fit_intercept=intercept).fit(X, y)
    thin = RidgeCV(alphas=(1e-14,), fit_intercept=intercept).fit(form(X), y)
    np.testing.assert_allclose(thin.best_score_, dense.best_score_, rtol=1e-5)
    np.testing.assert_allclose(thin.coef_, dense.coef_, rtol=1e-5)


@pytest.mark.parametrize("scoring", ["r2", "neg_mean_absolute_error"])
@pytest.mark.parametrize("cv", [None, 4])
def test_scoring_is_that_of_scikit_learn(scoring, cv):
    X, y = problem()
    kw = {"alphas": ALPHAS, "scoring": scoring, "cv": cv}
    ours, theirs = RidgeCV(**kw).fit(X, y), Oracle(**kw).fit(X, y)
    assert ours.alpha_ == theirs.alpha_
    np.testing.assert_allclose(ours.best_score_, theirs.best_score_, rtol=1e-9)
    with pytest.raises(ValueError, match="name of a scorer"):
        RidgeCV(scoring="no such").fit(X, y)


@pytest.mark.parametrize("targets", [None, 3])
@pytest.mark.parametrize("scoring", [None, "r2"])
def test_results_are_stored_as_in_scikit_learn(targets, scoring):
    X, y = problem(targets=targets)
    kw = {"alphas": ALPHAS, "store_cv_results": True, "scoring": scoring}
    ours, theirs = RidgeCV(**kw).fit(X, y), Oracle(**kw).fit(X, y)
    np.testing.assert_allclose(ours.cv_results_, theirs.cv_results_, rtol=1e-8)
    with pytest.raises(ValueError, match="takes cv=None"):
        RidgeCV(store_cv_results=True, cv=3).fit(X, y)


def test_each_target_is_scored_for_itself():
    X, Y = problem(targets=3)
    kw = {"alphas": ALPHAS, "alpha_per_target": True, "scoring": "neg_mean_absolute_error"}
    np.testing.assert_allclose(RidgeCV(**kw).fit(X, Y).alpha_, Oracle(**kw).fit(X, Y).alpha_)


def test_one_penalty_may_be_a_number():
    X, y = problem()
    np.testing.assert_allclose(RidgeCV(0.3).fit(X, y).coef_, Ridge(0.3).fit(X, y).coef_, rtol=1e-9)


def test_a_row_that_alone_decides_its_prediction_is_left_out_in_earnest():
    X, y = problem()
    w = np.ones(40)
    w[0] = 1e300
    rest = Ridge(alpha=1e-300).fit(X[1:], y[1:])
    m = RidgeCV((1e-300,)).fit(X, y, w)
    np.testing.assert_allclose(-m.best_score_, (y[0] - rest.predict(X[:1])[0]) ** 2, rtol=1e-6)
