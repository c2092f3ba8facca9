"""Trees of medians: every cut against brute force, whole trees against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble
from sklearn import tree as peer
from sklearn.datasets import load_diabetes, make_friedman1

from zoo.trees.decision_tree import DecisionTreeRegressor
from zoo.trees.random_forest import RandomForestRegressor


def middle(y, w):
    """Weighted median, the midpoint where both halves weigh the same."""
    order = np.argsort(y)
    total = np.cumsum(w[order])
    low = y[order[np.searchsorted(total, total[-1] / 2 * (1 - 1e-12))]]
    high = y[order[np.searchsorted(total, total[-1] / 2 * (1 + 1e-12))]]
    return (low + high) / 2


def error(Y, w):
    return np.mean([(w * np.abs(y - middle(y, w))).sum() for y in Y.T])


def best_gain(X, Y, w, cat, least):
    """Try every cut of every column, missing values on both sides."""
    parent, best = error(Y, w), -1.0
    for j in range(X.shape[1]):
        x, hole = X[:, j], np.isnan(X[:, j])
        values = np.unique(x[~hole])
        if j == cat:
            keys = [*values, np.nan] if hole.any() else list(values)
            of = [hole if np.isnan(v) else x == v for v in keys]
            level = [middle(Y[rows, 0], w[rows]) for rows in of]
            ranked = [of[i] for i in np.argsort(level, kind="stable")]
            lefts = [np.any(ranked[: i + 1], axis=0) for i in range(len(ranked) - 1)]
        else:
            lefts = [x <= v for v in values]
            lefts += [left | hole for left in lefts[:-1]]
        for left in lefts:
            if min(left.sum(), (~left).sum()) >= least:
                best = max(best, parent - error(Y[left], w[left]) - error(Y[~left], w[~left]))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_every_cut_is_the_best_and_every_leaf_the_median(seed):
    rng = np.random.RandomState(seed)
    n = 60
    X = rng.randint(0, 12, (n, 3)).astype(float)
    X[rng.uniform(size=(n, 3)) < 0.15 * (seed % 3)] = np.nan
    Y = rng.standard_normal((n, 1 + seed % 2)) + 100
    w = rng.uniform(0.5, 2, n) if seed % 4 else rng.randint(1, 3, n).astype(float)
    cat, least = (0 if seed % 2 else -1), 4
    m = DecisionTreeRegressor(
        criterion="absolute_error", max_depth=4, min_samples_leaf=least,
        categorical_features=[0] if cat == 0 else None,
    ).fit(X, Y if Y.shape[1] > 1 else Y[:, 0], sample_weight=w)  # fmt: skip
    t, at = m.model_, m.apply(X)

    def check(i):
        """Return the rows of node i, after asking whether its cut is the best."""
        inner = t["left"][i] != i
        rows = at == i if not inner else check(t["left"][i]) | check(t["left"][i] + 1)
        best = best_gain(X[rows], Y[rows], w[rows], cat, least)
        if inner:
            np.testing.assert_allclose(t["gain"][i], best, atol=1e-9)
        elif t["depth"][0] < 4:
            assert best <= 1e-9 or error(Y[rows], w[rows]) < 1e-9
        want = [middle(y, w[rows]) for y in Y[rows].T]
        np.testing.assert_allclose(t["value"][i], want, rtol=1e-12)
        np.testing.assert_allclose(t["weight"][i], w[rows].sum())
        return rows

    check(0)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("limits", [{"max_depth": 4}, {"max_leaf_nodes": 6}])
def test_same_tree_as_scikit_learn(seed, limits):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((80, 3))
    y = rng.standard_normal(80)
    w = rng.uniform(0.5, 2, 80)  # without weights cuts often tie
    kw = {"criterion": "absolute_error", "min_samples_leaf": 5, **limits}
    ours = DecisionTreeRegressor(**kw).fit(X, y, sample_weight=w)
    theirs = peer.DecisionTreeRegressor(random_state=0, **kw).fit(X, y, sample_weight=w)
    assert ours.get_n_leaves() == theirs.get_n_leaves()
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-12)
    np.testing.assert_allclose(ours.feature_importances_, theirs.feature_importances_, atol=1e-9)


def test_pruning_path_is_that_of_scikit_learn():
    X, y = load_diabetes(return_X_y=True)
    kw = {"criterion": "absolute_error", "max_depth": 4, "min_samples_leaf": 10, "random_state": 0}
    ours = DecisionTreeRegressor(**kw).cost_complexity_pruning_path(X, y)
    theirs = peer.DecisionTreeRegressor(**kw).cost_complexity_pruning_path(X, y)
    np.testing.assert_allclose(ours.ccp_alphas, theirs.ccp_alphas, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.impurities, theirs.impurities, rtol=1e-6)
    pruned = DecisionTreeRegressor(ccp_alpha=float(ours.ccp_alphas[-2]) + 1e-9, **kw).fit(X, y)
    assert 1 < pruned.get_n_leaves() <= 3
    np.testing.assert_allclose(pruned.model_["value"][0, 0], np.median(y))


def test_weights_count_rows():
    X, y = make_friedman1(60, random_state=0)
    k = np.random.RandomState(0).randint(0, 4, 60)
    kw = {"criterion": "absolute_error", "max_depth": 3, "random_state": 0}
    a = DecisionTreeRegressor(**kw).fit(X, y, sample_weight=k)
    b = DecisionTreeRegressor(**kw).fit(np.repeat(X, k, axis=0), np.repeat(y, k))
    np.testing.assert_allclose(a.predict(X), b.predict(X))


def test_outliers_do_not_move_a_forest_of_medians():
    X, y = make_friedman1(800, noise=0.3, random_state=0)
    wild = y[:500].copy()
    wild[np.random.RandomState(0).permutation(500)[:10]] += 500.0
    kw = {"n_estimators": 20, "min_samples_leaf": 20, "random_state": 0}
    absolute = RandomForestRegressor(criterion="absolute_error", **kw).fit(X[:500], wild)
    squared = RandomForestRegressor(**kw).fit(X[:500], wild)
    theirs = ensemble.RandomForestRegressor(criterion="absolute_error", **kw).fit(X[:500], wild)
    mine, other, mean = (
        np.abs(m.predict(X[500:]) - y[500:]).mean() for m in (absolute, theirs, squared)
    )
    assert mine < 0.25 * mean
    assert mine < 1.05 * other


def test_random_cuts_bins_and_sets():
    rng = np.random.RandomState(0)
    c, x = rng.randint(0, 10, 500), rng.uniform(size=500)
    y = np.where(np.isin(c, [0, 3, 7]), 5.0, 0.0) + np.where(x < 0.3, 1.0, 0.0)
    df = pd.DataFrame({"c": pd.Categorical(c), "x": np.where(x < 0.3, np.nan, x)})
    kw = {"criterion": "absolute_error", "random_state": 0}
    m = DecisionTreeRegressor(max_bins=64, **kw).fit(df, y)
    np.testing.assert_allclose(m.predict(df), y)
    m = DecisionTreeRegressor(splitter="random", **kw).fit(df, y)
    np.testing.assert_allclose(m.predict(df), y)
