"""``tree_`` and what hangs on it: the arrays that scikit-learn's users know."""

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble
from sklearn import tree as peer
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_friedman1
from sklearn.exceptions import NotFittedError

import zoo


def both(kind, kw, X, y, w=None):
    makers = [getattr(of, f"DecisionTree{kind}") for of in (zoo, peer)]
    return [make(random_state=0, **kw).fit(X, y, sample_weight=w) for make in makers]


def in_order(t):
    """Numbers of the nodes, parents before children and left before right."""
    order, stack = [], [0]
    while stack:
        i = stack.pop()
        order.append(i)
        if t.children_left[i] >= 0:
            stack += [t.children_right[i], t.children_left[i]]
    return order


@pytest.mark.parametrize("criterion", ["squared_error", "absolute_error", "poisson"])
@pytest.mark.parametrize("weighted", [False, True])
def test_arrays_of_regression_are_those_of_scikit_learn(criterion, weighted):
    X, y = make_friedman1(300, random_state=0)
    w = np.random.RandomState(0).uniform(0.5, 2, len(y)) if weighted else None
    ours, theirs = both("Regressor", {"criterion": criterion, "max_depth": 4, "min_samples_leaf": 8}, X, y, w)
    a, b = ours.tree_, theirs.tree_
    i, j = in_order(a), in_order(b)
    for name in ("feature", "n_node_samples"):
        np.testing.assert_array_equal(getattr(a, name)[i], getattr(b, name)[j], err_msg=name)
    for name in ("threshold", "impurity", "weighted_n_node_samples", "value"):
        np.testing.assert_allclose(getattr(a, name)[i], getattr(b, name)[j], rtol=1e-6, err_msg=name)
    for name in ("node_count", "max_depth", "n_leaves", "n_features", "n_outputs", "max_n_classes"):
        assert getattr(a, name) == getattr(b, name), name


@pytest.mark.parametrize("several", [False, True])
def test_arrays_of_classes_are_those_of_scikit_learn(several):
    X, y = load_iris(return_X_y=True)
    X = X[:, 3:]  # of several columns some cut alike, and which comes first is a matter of chance
    y = np.column_stack([y, y > 1]) if several else y
    ours, theirs = both("Classifier", {"max_depth": 3}, X, y)
    a, b = ours.tree_, theirs.tree_
    assert a.value.shape == b.value.shape
    assert a.n_classes.tolist() == b.n_classes.tolist()
    np.testing.assert_allclose(a.value.sum(axis=2), 1)
    np.testing.assert_allclose(sorted(a.impurity), sorted(b.impurity), atol=1e-9)
    assert sorted(a.n_node_samples) == sorted(b.n_node_samples)
    assert ours.n_outputs_ == theirs.n_outputs_
    assert np.array_equal(ours.n_classes_, theirs.n_classes_)


def test_a_program_that_walks_the_arrays_predicts_what_we_predict():
    X, y = load_diabetes(return_X_y=True)
    X[::7, 2] = np.nan
    m = zoo.DecisionTreeRegressor(min_samples_leaf=3, random_state=0).fit(X, y)
    t = m.tree_
    for x, want, leaf in zip(X[:60], m.predict(X[:60]), m.apply(X[:60]), strict=True):
        i = 0
        while t.children_left[i] != -1:
            v = x[t.feature[i]]
            left = t.missing_go_to_left[i] if np.isnan(v) else v <= t.threshold[i]
            i = t.children_left[i] if left else t.children_right[i]
        assert i == leaf
        assert t.value[i, 0, 0] == want
    np.testing.assert_array_equal(t.predict(X)[:, 0], m.predict(X))
    assert (t.feature[t.children_left == -1] == -2).all()


def test_categories_of_a_node_are_named():
    X = pd.DataFrame({"c": pd.Categorical(list("abcd") * 10)})
    t = zoo.DecisionTreeRegressor().fit(X, np.tile([0.0, 1.0, 0.0, 1.0], 10)).tree_
    assert set(t.categories[0]) in ({0.0, 2.0}, {1.0, 3.0})
    assert t.categories[1] is None


def test_paths_pass_every_node_above_a_leaf():
    X, y = load_diabetes(return_X_y=True)
    ours, theirs = both("Regressor", {"max_depth": 5, "min_samples_leaf": 8}, X, y)
    path = ours.decision_path(X)
    assert path.shape == theirs.decision_path(X).shape
    i, j = in_order(ours.tree_), in_order(theirs.tree_)
    np.testing.assert_array_equal(path.toarray()[:, i], theirs.decision_path(X).toarray()[:, j])
    forest = zoo.RandomForestRegressor(n_estimators=3, max_depth=3, random_state=0).fit(X, y)
    passed, ends = forest.decision_path(X)
    assert ends.tolist() == [*forest.model_["root"], passed.shape[1]]
    for t in range(3):
        own = passed[:, ends[t] : ends[t + 1]]
        np.testing.assert_array_equal(own.toarray(), forest[t].decision_path(X).toarray())


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_a_forest_is_a_sequence_of_trees(kind):
    X, y = load_diabetes(return_X_y=True)
    y = np.digitize(y, [100, 200]) if kind == "Classifier" else y
    frame = pd.DataFrame(X).rename(columns=str)
    frame["c"] = pd.Categorical(np.random.RandomState(0).choice(list("abc"), len(y)))
    kw = {"n_estimators": 4, "max_depth": 6, "random_state": 0}
    forest = getattr(zoo, f"RandomForest{kind}")(**kw).fit(frame, y)
    assert len(forest) == len(forest.estimators_) == 4
    ask = "predict_proba" if kind == "Classifier" else "predict"
    each = [getattr(tree, ask)(frame) for tree in forest]
    np.testing.assert_allclose(np.mean(each, axis=0), getattr(forest, ask)(frame))
    np.testing.assert_array_equal(forest[-1].predict(frame), forest[3].predict(frame))
    assert isinstance(forest[0], getattr(zoo, f"DecisionTree{kind}"))
    assert clone(forest[0]).get_params()["max_depth"] == 6
    with pytest.raises(IndexError, match="has 4 trees"):
        forest[4]
    for drawn, seed in zip(forest.estimators_samples_, forest.seeds_, strict=True):
        np.testing.assert_array_equal(drawn, np.random.RandomState(seed).randint(0, len(y), len(y)))
    theirs = getattr(ensemble, f"RandomForest{kind}")(**kw).fit(X, y)
    for name in ("n_outputs_", "n_classes_"):
        assert getattr(forest, name, None) == getattr(theirs, name, None), name
    assert clone(forest).fit(X, y).max_features_ == theirs.estimators_[0].max_features_


def test_what_a_forest_did_not_note_is_said():
    X, y = load_diabetes(return_X_y=True)
    t = zoo.RandomForestRegressor(n_estimators=1, random_state=0).fit(X, y)[0].tree_
    assert t.weighted_n_node_samples[0] == len(y)
    with pytest.raises(AttributeError, match="do not hold the impurity"):
        t.impurity  # noqa: B018
    with pytest.raises(AttributeError, match="does not count"):
        t.n_node_samples  # noqa: B018


def test_there_is_no_tree_before_a_fit():
    with pytest.raises(NotFittedError):
        zoo.DecisionTreeRegressor().tree_  # noqa: B018
    with pytest.raises(NotFittedError):
        len(zoo.RandomForestRegressor())
