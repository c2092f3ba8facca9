"""What bootstrap samples tell: weights of shared leaves, their quantiles, importances."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_friedman1

from zoo.engines.losses import weighted_quantile
from zoo.engines.trees import bootstrap
from zoo.trees.random_forest import RandomForestClassifier, RandomForestRegressor


def shared_leaves(m, X, Z, oob=False):
    """Weights alpha_i(z) by the definition: a mean over trees, each alike over its leaf's draws."""
    n = len(X)
    counts = np.array([bootstrap.bag(s, n, k) for s, k in zip(m.seeds_, m.n_drawn_, strict=True)])
    at, there = m.apply(X), m.apply(Z)
    alpha = np.zeros((len(Z), n))
    for i in range(len(Z)):
        trees = [t for t in range(len(counts)) if not (oob and counts[t, i])]
        for t in trees:
            own = counts[t] * m.rows_["w"] * (at[:, t] == there[i, t])
            alpha[i] += own / own.sum() / len(trees)
    return alpha


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("oob", [False, True])
def test_quantiles_are_those_of_the_weights_whose_mean_is_the_prediction(weighted, oob):
    X, y = make_friedman1(90, random_state=0)
    y = y.round(1)  # ties
    w = np.random.RandomState(0).uniform(0.5, 3, 90) if weighted else None
    m = RandomForestRegressor(n_estimators=20, min_samples_leaf=3, keep_rows=True, random_state=0)
    m.fit(X[:60], y[:60], sample_weight=None if w is None else w[:60])
    Z = X[:60] if oob else X[60:]
    alpha = shared_leaves(m, X[:60], Z, oob)
    if not oob:
        np.testing.assert_allclose(alpha @ y[:60], m.predict(Z), rtol=1e-10)
    q = [0.9, 0.0, 0.25, 1.0]
    want = [[weighted_quantile(y[:60][a > 0], p, a[a > 0]) for p in q] for a in alpha]
    np.testing.assert_allclose(m.predict_quantiles(Z, q, oob=oob), want)
    np.testing.assert_allclose(m.predict_quantiles(Z, 0.25, oob=oob), np.array(want)[:, 2])


def test_intervals_cover_what_they_promise_where_the_noise_is_large_and_where_it_is_small():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(6000, 3))
    y = np.sin(3 * X[:, 0]) + (0.1 + X[:, 1]) * rng.standard_normal(6000)
    m = RandomForestRegressor(min_samples_leaf=20, keep_rows=True, random_state=0)
    m.fit(X[:3000], y[:3000])
    for coverage in (0.5, 0.9):
        low, high = m.predict_interval(X[3000:], coverage).T
        inside = (y[3000:] >= low) & (y[3000:] <= high)
        assert abs(inside.mean() - coverage) < 0.03
        for part in (X[3000:, 1] < 0.5, X[3000:, 1] >= 0.5):
            assert abs(inside[part].mean() - coverage) < 0.1
        wide, narrow = (np.median((high - low)[p]) for p in (X[3000:, 1] > 0.8, X[3000:, 1] < 0.2))
        assert wide > 2.5 * narrow
    low, high = m.predict_interval(X[:3000], 0.9, oob=True).T
    assert abs(((y[:3000] >= low) & (y[:3000] <= high)).mean() - 0.9) < 0.03


def test_several_targets_have_quantiles_of_their_own():
    X, y = make_friedman1(200, random_state=0)
    kw = {"n_estimators": 10, "keep_rows": True, "random_state": 0, "max_depth": 4}
    m = RandomForestRegressor(**kw).fit(X, np.column_stack([y, -y]))
    assert m.predict_quantiles(X, [0.2, 0.5, 0.8]).shape == (200, 2, 3)
    low, high = m.predict_quantiles(X, [0.2, 0.8]).transpose(2, 0, 1)
    one = RandomForestRegressor(**kw).fit(X, y)
    np.testing.assert_allclose(low[:, 0], one.predict_quantiles(X, 0.2))
    assert (low < high).any()
    assert (high[:, 0] >= low[:, 0]).all()
    np.testing.assert_array_equal(m.predict_interval(X, 0.6)[:, 1], m.predict_quantiles(X, [0.2, 0.8])[:, 1])
    np.testing.assert_array_equal(m.predict_quantiles(X, 0.2), low)


def test_rows_are_remembered_through_warm_starts_and_batches():
    X, y = make_friedman1(120, random_state=0)
    kw = {"keep_rows": True, "random_state": 0}
    once = RandomForestRegressor(n_estimators=8, **kw).fit(X, y)
    warm = RandomForestRegressor(n_estimators=3, warm_start=True, **kw).fit(X, y)
    warm.set_params(n_estimators=8).fit(X, y)
    np.testing.assert_array_equal(warm.predict_quantiles(X), once.predict_quantiles(X))
    parts = RandomForestRegressor(n_estimators=4, **kw).fit(X[:60], y[:60])
    parts.partial_fit(X[60:], y[60:])
    assert set(parts.rows_["row"][-60:]) <= set(range(60, 120))  # one more tree
    assert np.isin(parts.predict_quantiles(X, 0.5), y).all()


def test_quantiles_are_refused_with_a_reason():
    X, y = make_friedman1(50, random_state=0)
    m = RandomForestRegressor(n_estimators=3, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="keep_rows=True"):
        m.predict_quantiles(X)
    m.set_params(keep_rows=True).fit(X, y)
    with pytest.raises(ValueError, match="from 0 to 1"):
        m.predict_quantiles(X, [0.5, 1.5])
    with pytest.raises(ValueError, match="level=1"):
        m.predict_interval(X, 1)
    with pytest.raises(ValueError, match="needs the 50 rows"):
        m.predict_quantiles(X[:4], oob=True)


def test_importance_is_the_rise_of_the_error_of_trees_that_did_not_see_the_rows():
    X, y = make_friedman1(150, random_state=0)
    m = RandomForestRegressor(n_estimators=5, random_state=0).fit(X, y)
    found = m.oob_importances(X, y).importances
    for t, seed in enumerate(m.seeds_):
        out = np.flatnonzero(bootstrap.bag(seed, 150, 150) == 0)
        rng = np.random.RandomState([int(seed), 1])

        def error(Z, t=t, out=out):
            leaf = m.apply(Z)[:, t] + m.model_["root"][t]
            return ((m.model_["value"][leaf, 0] - y[out]) ** 2).mean()

        for j in range(10):
            Z = X[out].copy()
            Z[:, j] = rng.permutation(Z[:, j])
            np.testing.assert_allclose(found[j, t], error(Z) - error(X[out]), atol=1e-9)


def test_importances_find_what_matters_and_not_what_has_many_values():
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.randint(0, 2, 500), rng.uniform(size=(500, 2))])
    y = (X[:, 0] + (rng.uniform(size=500) < 0.2)) % 2
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    m = RandomForestClassifier(random_state=0).fit(frame, y)
    mean = m.oob_importances(frame, y).importances_mean
    assert mean[0] > 0.1
    assert np.abs(mean[1:]).max() < 0.03
    assert m.feature_importances_[1:].sum() > 0.3  # MDI credits the noise
    Y = np.column_stack([y, 1 - y])
    both = RandomForestClassifier(random_state=0).fit(frame, Y).oob_importances(frame, Y)
    assert both.importances_mean.argmax() == 0


def test_importances_want_the_training_rows():
    X, y = make_friedman1(60, random_state=0)
    m = RandomForestRegressor(n_estimators=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="needs the 60 rows"):
        m.oob_importances(X[:10], y[:10])
    m = RandomForestRegressor(n_estimators=2, bootstrap=False, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="bootstrap=True"):
        m.oob_importances(X, y)
