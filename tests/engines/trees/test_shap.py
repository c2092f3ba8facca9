"""Shapley values of trees beside their definition, over all subsets of columns."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_friedman1

from zoo.trees.boosting import BoostingClassifier, BoostingRegressor
from zoo.trees.decision_tree import DecisionTreeRegressor
from zoo.trees.random_forest import RandomForestClassifier


def shapley(value, d):
    """Compute Shapley values of a set function by its definition."""
    phi = np.zeros(d)
    for j in range(d):
        others = [i for i in range(d) if i != j]
        for size in range(d):
            for subset in combinations(others, size):
                w = factorial(size) * factorial(d - size - 1) / factorial(d)
                phi[j] += w * (value({*subset, j}) - value(set(subset)))
    return phi


def expectation(model, x, known):
    """Mean of a tree when only some columns are known: both branches, by training weight."""

    def walk(i):
        left = model["left"][i]
        if left == i:
            return float(model["value"].reshape(len(model["left"]), -1)[i, 0])
        j = model["feature"][i]
        if j in known:
            if np.isnan(x[j]):
                return walk(left + (model["missing_left"][i] == 0))
            return walk(left + (x[j] > model["threshold"][i]))
        w = model["weight"]
        return (w[left] * walk(left) + w[left + 1] * walk(left + 1)) / w[i]

    return sum(walk(int(r)) for r in model["root"])


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_path_dependent_values_are_the_definition(depth):
    X, y = make_friedman1(200, n_features=5, random_state=depth)
    X[::7, 1] = np.nan
    m = BoostingRegressor(n_estimators=3, max_depth=depth, learning_rate=1.0).fit(X, y)
    out = m.shap_values(X[:8])
    for i in range(8):
        brute = shapley(lambda s, x=X[i]: expectation(m.model_, x, s), 5)
        np.testing.assert_allclose(out.values[i], brute, atol=1e-9)


@pytest.mark.parametrize("depth", [1, 4])
def test_interventional_values_are_the_definition(depth):
    X, y = make_friedman1(200, n_features=5, random_state=depth)
    m = BoostingRegressor(n_estimators=3, max_depth=depth, learning_rate=1.0).fit(X, y)
    Z = X[150:160]
    out = m.shap_values(X[:5], background=Z)
    for i in range(5):

        def value(known, x=X[i]):
            W = Z.copy()
            W[:, list(known)] = x[list(known)]
            return m.predict(W).mean()

        np.testing.assert_allclose(out.values[i], shapley(value, 5), atol=1e-9)


@pytest.mark.parametrize("background", [False, True])
def test_values_add_up_to_the_prediction(background):
    X, y = load_iris(return_X_y=True)
    Z = X[::10] if background else None
    m = BoostingClassifier(n_estimators=10).fit(X, y)
    out = m.shap_values(X, background=Z)
    assert out.values.shape == (150, 4, 3)
    np.testing.assert_allclose(out.values.sum(axis=1) + out.base, m.decision_function(X), atol=1e-9)
    f = RandomForestClassifier(n_estimators=5, random_state=0).fit(X, y)
    out = f.shap_values(X[:20], background=Z)
    np.testing.assert_allclose(out.values.sum(axis=1) + out.base, f.predict_proba(X[:20]), atol=1e-9)
    t = DecisionTreeRegressor().fit(X, y)
    out = t.shap_values(X, background=Z)
    np.testing.assert_allclose(out.values.sum(axis=1) + out.base, t.predict(X), atol=1e-9)


def test_values_of_categories_add_up():
    rng = np.random.RandomState(0)
    X = rng.randint(0, 8, (300, 3)).astype(float)
    y = np.isin(X[:, 0], [1, 3, 6]) * (X[:, 1] - 2)
    m = BoostingRegressor(n_estimators=10, categorical_features=[0]).fit(X, y)
    for background in (None, X[:20]):
        out = m.shap_values(X, background=background)
        np.testing.assert_allclose(out.values.sum(axis=1) + out.base, m.predict(X), atol=1e-9)


def test_deep_trees_keep_the_definition_and_its_digits():
    X, y = make_friedman1(400, n_features=6, random_state=0)
    m = DecisionTreeRegressor().fit(X, y)
    assert m.get_depth() > 8
    x, Z = X[7] + 0.05, X[100:105]
    brute = shapley(lambda s: expectation(m.model_, x, s), 6)
    np.testing.assert_allclose(m.shap_values(x[None]).values[0], brute, rtol=0, atol=1e-12)

    def value(known):
        W = Z.copy()
        W[:, list(known)] = x[list(known)]
        return m.predict(W).mean()

    values = m.shap_values(x[None], background=Z).values[0]
    np.testing.assert_allclose(values, shapley(value, 6), rtol=0, atol=1e-12)


def test_paths_of_too_many_columns_are_refused_with_a_background():
    n = 70
    # Any cut takes one row off: the tree is a chain.
    X = np.eye(n)
    m = DecisionTreeRegressor().fit(X, np.arange(n) ** 2.0)
    assert m.get_depth() > 63
    with pytest.raises(ValueError, match="at most 63 columns"):
        m.shap_values(X, background=X)
    values = m.shap_values(X)
    np.testing.assert_allclose(values.values.sum(axis=1) + values.base, m.predict(X), rtol=1e-9, atol=1e-9)
