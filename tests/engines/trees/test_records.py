"""The record kernels beside plain numpy: every cut is the best, however a node is looked at."""

import numpy as np
import pytest

from zoo.engines.trees import coding, record_grower
from zoo.trees.decision_tree import DecisionTreeClassifier, DecisionTreeRegressor
from zoo.trees.random_forest import RandomForestRegressor


def risk(Y, w):
    """Weighted sum of squares about the mean: Gini's impurity where the columns are classes."""
    mean = (w[:, None] * Y).sum(axis=0) / w.sum()
    return (w[:, None] * (Y - mean) ** 2).sum()


def best_gain(X, Y, w, is_cat, least):
    """Try every cut of every column: missing values on both sides, categories in the order of their means."""
    parent, best = risk(Y, w), 0.0
    for j in range(X.shape[1]):
        x, hole = X[:, j], np.isnan(X[:, j])
        values = np.unique(x[~hole])
        if is_cat[j]:
            keys = [*values, np.nan] if hole.any() else list(values)
            of = [hole if np.isnan(v) else x == v for v in keys]
            level = [np.average(Y[rows, 0], weights=w[rows]) for rows in of]
            ranked = [of[i] for i in np.argsort(level, kind="stable")]
            lefts = [np.any(ranked[: i + 1], axis=0) for i in range(len(ranked) - 1)]
        else:
            lefts = [x <= v for v in values]
            lefts += [left | hole for left in lefts[:-1]]
        for left in lefts:
            if min(left.sum(), (~left).sum()) >= least:
                best = max(best, parent - risk(Y[left], w[left]) - risk(Y[~left], w[~left]))
    return best


def check(m, X, Y, w, is_cat, least, scale):
    """Walk down a tree: each cut gains what the best one gains, each leaf could gain nothing."""
    t, at = m.model_, m.apply(X)

    def walk(i):
        inner = t["left"][i] != i
        rows = at == i if not inner else walk(t["left"][i]) | walk(t["left"][i] + 1)
        best = best_gain(X[rows], Y[rows], w[rows], is_cat, least) if rows.sum() >= 2 * least else 0.0
        np.testing.assert_allclose(t["gain"][i], best if inner else 0.0, rtol=2e-6, atol=1e-6 * scale)
        assert inner or best <= 1e-6 * scale
        np.testing.assert_allclose(t["weight"][i], w[rows].sum())
        return rows

    walk(0)


def table(rng, n, holes, cats):
    X = np.round(rng.standard_normal((n, 3)), 1)
    is_cat = np.array([cats, False, False])
    X[:, is_cat] = rng.randint(0, 6, (n, is_cat.sum()))
    if holes:
        X[rng.uniform(size=X.shape) < 0.15] = np.nan
    return X, is_cat


WAYS = {"pairs": (32, 0), "lists": (2, 1 << 16), "lists, then pairs": (8, 1 << 16), "counts": (0, 0)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(12))
def test_every_cut_is_the_best_whatever_looks_for_it(way, seed, monkeypatch):
    rng = np.random.RandomState(seed)
    holes, cats, least = seed % 2 == 0, seed % 3 == 0 and "lists" not in way, 1 + seed % 4
    X, is_cat = table(rng, 90, holes, cats)
    y, w = rng.standard_normal(90), rng.uniform(0.5, 2, 90)
    monkeypatch.setattr(record_grower, "most_records", lambda *_: WAYS[way])
    m = DecisionTreeRegressor(
        min_samples_leaf=least, categorical_features=np.flatnonzero(is_cat).tolist(), random_state=seed
    ).fit(X, y, sample_weight=w)
    check(m, X, y[:, None], w, is_cat, least, w.sum())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("k", [2, 3])
def test_every_cut_between_classes_is_the_purest(seed, k):
    rng = np.random.RandomState(seed)
    # Categories of more than two classes have no best order.
    X, is_cat = table(rng, 90, seed % 2 == 0, seed % 3 == 0 and k == 2)
    y, w = rng.randint(0, k, 90), rng.randint(1, 4, 90).astype(float)
    cats = np.flatnonzero(is_cat).tolist()
    m = DecisionTreeClassifier(categorical_features=cats, min_samples_leaf=2).fit(X, y, sample_weight=w)
    Y = np.eye(k)[y][:, ::-1]
    check(m, X, Y, w, is_cat, 2, w.sum())


def test_codes_that_share_values_lose_little():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((30_000, 3)).astype(np.float32)
    X[rng.uniform(size=30_000) < 0.4, 0] = 0.0
    y = np.where(X[:, 0] > 0, 1.0, 0.0) + (X[:, 1] > 1.234) + rng.standard_normal(30_000) / 50
    table = coding.code_table(X, None, np.zeros(3, bool))
    assert not table.exact
    assert table.n_codes.max() <= 2 * coding.FINE + coding.WHOLE
    # A value of many rows has a code of its own, so nothing near it is lost.
    at_zero = table.codes[X[:, 0] == 0.0, 0]
    assert (at_zero == at_zero[0]).all()
    assert (table.codes[X[:, 0] != 0.0, 0] != at_zero[0]).all()
    kw = {"n_estimators": 1, "bootstrap": False, "max_features": 3, "max_depth": 2, "random_state": 0}
    m = RandomForestRegressor(**kw).fit(X, np.column_stack([y, y]))
    assert m.score(X, np.column_stack([y, y])) > 0.99
    cuts = m.model_["threshold"][m.model_["feature"] == 1]
    assert abs(cuts - 1.234).min() < 0.01


@pytest.mark.parametrize("holes", [False, True])
def test_codes_count_the_values_of_a_column_in_order(holes):
    rng = np.random.RandomState(0)
    X = rng.randint(-5, 5, (500, 2)) / 4.0
    if holes:
        X[rng.uniform(size=X.shape) < 0.2] = np.nan
    table = coding.code_table(X, None, np.zeros(2, bool))
    for j in range(2):
        known = np.unique(X[~np.isnan(X[:, j]), j])
        want = np.where(np.isnan(X[:, j]), len(known), np.searchsorted(known, X[:, j]))
        np.testing.assert_array_equal(table.codes[:, j], want)
        np.testing.assert_array_equal(table.limits[j, : len(known)], known)
