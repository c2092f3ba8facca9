"""Rows on their way down a tree: the leaf that plain Python finds, whatever is missing."""

import numpy as np
import pytest

from zoo.engines.trees import deep_prediction
from zoo.trees.random_forest import RandomForestClassifier, RandomForestRegressor


def leaf_of(model, root, x):
    i = root
    while model["feature"][i] >= 0:
        v = x[model["feature"][i]]
        left = model["missing_left"][i] == 1 if np.isnan(v) else v <= model["threshold"][i]
        i = model["left"][i] + (not left)
    return i


@pytest.mark.parametrize("holes", [0.0, 0.2])
@pytest.mark.parametrize("trees", [2, 6])
@pytest.mark.parametrize("targets", [1, 2])
def test_sums_are_those_of_the_leaves_that_plain_python_finds(holes, targets, trees):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((400, 3)).round(1)
    X[rng.uniform(size=X.shape) < holes] = np.nan
    y = np.nan_to_num(X[:, 0]) + rng.standard_normal(400)
    Y = np.column_stack([y, y**2])[:, :targets]
    m = RandomForestRegressor(n_estimators=trees, random_state=0).fit(X, Y if targets > 1 else y).model_
    Z = np.vstack([X[:150], [[np.inf, -np.inf, -0.0]]])
    got = deep_prediction.sum_of_trees(m, None, Z, 1)
    want = [sum(m["value"][leaf_of(m, r, z)] for r in m["root"]) for z in Z]
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_pieces_and_threads_change_nothing(monkeypatch):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((9000, 4)).astype(np.float32)
    m = RandomForestClassifier(n_estimators=5, random_state=0).fit(X, X[:, 0] * X[:, 1] > 0)
    whole = deep_prediction.sum_of_trees(m.model_, None, X, 1)
    monkeypatch.setattr(deep_prediction, "NEAR", 1000)
    np.testing.assert_array_equal(deep_prediction.sum_of_trees(m.model_, None, X, 1), whole)
    np.testing.assert_array_equal(deep_prediction.sum_of_trees(m.model_, None, X, 2), whole)


def test_categories_are_left_to_the_walker_that_knows_them():
    rng = np.random.RandomState(0)
    c = rng.randint(0, 8, 300).astype(float)
    X = np.column_stack([c, rng.uniform(size=300)])
    y = np.isin(c, [1, 4, 6]) * 2.0
    m = RandomForestRegressor(n_estimators=3, categorical_features=[0], random_state=0).fit(X, y)
    assert len(m.model_["sets"])
    by_value = np.zeros((1, 300))
    trees = m._trees()
    trees.add_to(by_value, X)
    np.testing.assert_array_equal(deep_prediction.sum_of_trees(m.model_, trees.categories, X, 1), by_value.T)
