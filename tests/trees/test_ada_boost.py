"""AdaBoost: its bound, its votes, and the peer."""

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.datasets import (
    load_breast_cancer,
    load_iris,
    make_blobs,
    make_classification,
    make_moons,
)
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from zoo.trees.ada_boost import AdaBoostClassifier


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("learner", [None, GaussianNB()], ids=["stump", "naive Bayes"])
def test_exponential_loss_falls_by_the_bound_every_round(weighted, learner):
    X, y = make_classification(400, 6, flip_y=0.2, random_state=0)
    w = np.random.RandomState(0).uniform(0.1, 2, 400) if weighted else np.ones(400)
    sign = 2 * y - 1
    before = 1.0
    for k in range(1, 12):
        m = AdaBoostClassifier(estimator=learner, n_estimators=k).fit(X, y, sample_weight=w)
        if len(m.estimator_errors_) < k:
            assert k > 2  # a learner no better than chance ends it
            break
        # alpha is twice the step of the exponential loss.
        loss = np.average(np.exp(-sign * m.decision_function(X) / 2), weights=w)
        e = m.estimator_errors_[-1]
        np.testing.assert_allclose(loss / before, 2 * np.sqrt(e * (1 - e)), rtol=1e-7)
        before = loss
        assert np.average(y != m.predict(X), weights=w) <= loss


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
@pytest.mark.parametrize("depth", [1, 2])
def test_errors_and_votes_of_scikit_learn(load, depth):
    X, y = load(return_X_y=True)
    X = X.argsort(axis=0).argsort(axis=0) // 4.0  # few values: bins are exact
    ours = AdaBoostClassifier(n_estimators=4, max_depth=depth).fit(X, y)
    base = DecisionTreeClassifier(max_depth=depth, random_state=0)
    theirs = ensemble.AdaBoostClassifier(base, n_estimators=4, random_state=0).fit(X, y)
    # The first learner sees the same weights; later ones may break ties otherwise.
    np.testing.assert_allclose(ours.estimator_errors_[0], theirs.estimator_errors_[0], atol=0.01)
    assert ours.score(X, y) > theirs.score(X, y) - 0.03


def test_any_classifier_can_vote():
    X, y = make_moons(400, noise=0.2, random_state=0)
    m = AdaBoostClassifier(estimator=GaussianNB(), n_estimators=5).fit(X, y)
    assert 1 <= len(m.estimators_) == len(m.estimator_weights_) <= 5
    assert m.score(X, y) > 0.8
    votes = sum(a * (2 * e.predict(X) - 1) for a, e in zip(m.estimator_weights_, m.estimators_, strict=True))
    np.testing.assert_allclose(m.decision_function(X), votes)


def test_given_stumps_are_the_fast_stumps():
    X, y = make_classification(300, 5, random_state=0)
    X = np.round(X, 1)  # few values: bins are exact
    fast = AdaBoostClassifier(n_estimators=5).fit(X, y)
    given = AdaBoostClassifier(estimator=DecisionTreeClassifier(max_depth=1), n_estimators=5)
    given.fit(X, y)
    np.testing.assert_allclose(fast.estimator_errors_, given.estimator_errors_, atol=0.02)


def test_a_perfect_learner_ends_it():
    X = np.arange(20.0)[:, None]
    m = AdaBoostClassifier().fit(X, X[:, 0] > 9)
    assert len(m.estimator_errors_) == 1
    assert m.score(X, X[:, 0] > 9) == 1


def test_a_first_learner_no_better_than_chance_is_refused():
    X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    with pytest.raises(ValueError, match="no better than chance"):
        AdaBoostClassifier().fit(X, [0, 1, 1, 0])


@pytest.mark.parametrize("k", [2, 3])
def test_leaves_of_enough_weight_let_heavy_classes_be_heard(k):
    X, y = make_blobs(100 * k, centers=k, cluster_std=20, random_state=0)
    costs = {0: 1e6} | dict.fromkeys(range(1, k), 1.0)
    heard = AdaBoostClassifier(class_weight=costs, min_weight_fraction_leaf=0.01).fit(X, y)
    assert (heard.predict(X) == 0).mean() > 0.98
    w = np.random.RandomState(0).uniform(size=len(y))
    m = AdaBoostClassifier(n_estimators=1, max_depth=2, min_weight_fraction_leaf=0.2)
    m.fit(X, y, sample_weight=w)
    leaf = m.model_["feature"] < 0
    assert m.model_["weight"][leaf].min() >= 0.2 * m.model_["weight"][0] * (1 - 1e-6)


@pytest.mark.parametrize("learner", [KNeighborsClassifier(), LinearRegression()])
def test_learners_that_cannot_be_weighed_are_refused(learner):
    with pytest.raises(ValueError, match="takes sample_weight"):
        AdaBoostClassifier(estimator=learner).fit([[0.0], [1.0]], [0, 1])


def test_what_is_no_estimator_is_refused():
    with pytest.raises(ValueError, match="estimator must be an estimator or None"):
        AdaBoostClassifier(3).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("learner", [None, DecisionTreeClassifier(max_depth=2)], ids=["fast", "given"])
def test_stages_importances_and_shapley_values(k, learner):
    X, y = make_classification(
        500, 6, n_informative=3, n_redundant=0, n_classes=k, shuffle=False, random_state=0
    )
    m = AdaBoostClassifier(estimator=learner, n_estimators=8, max_depth=2).fit(X, y)
    stages = list(m.staged_predict(X))
    assert len(stages) == len(m.estimator_weights_)
    np.testing.assert_array_equal(stages[-1], m.predict(X))
    base = DecisionTreeClassifier(max_depth=2, random_state=0)
    peer = ensemble.AdaBoostClassifier(base, n_estimators=8, random_state=0).fit(X, y)
    np.testing.assert_allclose(m.feature_importances_.sum(), 1)
    np.testing.assert_allclose(m.feature_importances_, peer.feature_importances_, atol=0.1)
    if learner is None:
        e = m.shap_values(X[:20])
        np.testing.assert_allclose(e.values.sum(axis=1) + e.base, m.decision_function(X[:20]), atol=1e-9)
    else:
        assert not hasattr(m, "shap_values")


@pytest.mark.parametrize("k", [2, 3])
def test_stages_end_in_what_the_model_says(k):
    X, y = make_classification(200, 6, n_informative=4, n_classes=k, random_state=0)
    m = AdaBoostClassifier(n_estimators=5).fit(X, y)
    for name in ("predict", "predict_proba", "decision_function"):
        stages = list(getattr(m, f"staged_{name}")(X))
        assert len(stages) == 5
        np.testing.assert_allclose(stages[-1], getattr(m, name)(X), rtol=1e-12)
    assert list(m.staged_score(X, y))[-1] == m.score(X, y)
