"""Random forests: means of trees, out-of-bag estimates, and the peer's accuracy."""

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.datasets import load_breast_cancer, load_digits, make_friedman1
from sklearn.metrics import r2_score

from zoo.trees.random_forest import RandomForestClassifier, RandomForestRegressor


def test_prediction_is_the_mean_of_the_trees():
    X, y = make_friedman1(200, random_state=0)
    m = RandomForestRegressor(n_estimators=7, random_state=0).fit(X, y)
    leaves = m.apply(X) + m.model_["root"]
    np.testing.assert_allclose(m.predict(X), m.model_["value"][leaves, 0].mean(axis=1))


def test_leaf_is_the_mean_of_its_bootstrap_sample():
    X, y = make_friedman1(200, random_state=0)
    m = RandomForestRegressor(n_estimators=1, min_samples_leaf=5, random_state=0).fit(X, y)
    count = np.bincount(np.random.RandomState(m.seeds_[0]).randint(0, 200, 200), minlength=200)
    at = m.apply(X)[:, 0]
    for leaf in np.unique(at):
        rows = at == leaf
        mean = np.average(y[rows], weights=count[rows])
        np.testing.assert_allclose(m.model_["value"][leaf, 0], mean)


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits])
@pytest.mark.parametrize("criterion", ["gini", "entropy"])
def test_as_accurate_as_scikit_learn(load, criterion):
    X, y = load(return_X_y=True)
    ours, theirs = (
        np.mean([
            make(criterion=criterion, random_state=s).fit(X[::2], y[::2]).score(X[1::2], y[1::2])
            for s in range(2)
        ])
        for make in (RandomForestClassifier, ensemble.RandomForestClassifier)
    )  # fmt: skip
    assert ours > theirs - 0.015


def test_out_of_bag_score_foretells_the_test_score():
    X, y = make_friedman1(1500, noise=1.0, random_state=0)
    m = RandomForestRegressor(oob_score=True, random_state=0).fit(X[:700], y[:700])
    assert abs(m.oob_score_ - m.score(X[700:], y[700:])) < 0.04
    assert m.oob_prediction_.shape == (700,)


def test_out_of_bag_predictions_come_from_trees_that_did_not_see_the_row():
    X, y = make_friedman1(100, random_state=0)
    m = RandomForestRegressor(n_estimators=30, oob_score=True, random_state=0).fit(X, y)
    values = m.model_["value"][m.apply(X) + m.model_["root"], 0]
    draws = [np.random.RandomState(s).randint(0, 100, 100) for s in m.seeds_]
    out = np.array([~np.isin(np.arange(100), d) for d in draws]).T
    np.testing.assert_allclose(m.oob_prediction_, (values * out).sum(axis=1) / out.sum(axis=1))


def test_out_of_bag_without_bootstrap_is_refused():
    with pytest.raises(ValueError, match="bootstrap=True"):
        RandomForestClassifier(oob_score=True, bootstrap=False).fit([[0.0], [1.0]], [0, 1])


def test_result_does_not_depend_on_threads_and_warm_start_goes_on():
    X, y = make_friedman1(300, random_state=0)
    a = RandomForestRegressor(n_estimators=12, random_state=0, n_jobs=1).fit(X, y)
    b = RandomForestRegressor(n_estimators=12, random_state=0, n_jobs=3).fit(X, y)
    c = RandomForestRegressor(n_estimators=5, random_state=0, warm_start=True).fit(X, y)
    c.set_params(n_estimators=12).fit(X, y)
    np.testing.assert_array_equal(a.predict(X), b.predict(X))
    np.testing.assert_allclose(a.predict(X), c.predict(X))


def test_extremely_randomised_trees():
    X, y = make_friedman1(900, noise=0.5, random_state=0)
    m = RandomForestRegressor(splitter="random", bootstrap=False, random_state=0).fit(X[:600], y[:600])
    peer = ensemble.ExtraTreesRegressor(random_state=0).fit(X[:600], y[:600])
    assert m.score(X[600:], y[600:]) > peer.score(X[600:], y[600:]) - 0.02


def test_importances_and_several_targets():
    X, y = make_friedman1(500, random_state=0)
    m = RandomForestRegressor(n_estimators=20, random_state=0).fit(X, np.column_stack([y, y**2]))
    assert m.predict(X).shape == (500, 2)
    assert m.feature_importances_[:5].sum() > 0.8
    np.testing.assert_allclose(m.feature_importances_.sum(), 1)


def test_threads_of_prediction_agree():
    X, y = make_friedman1(200, random_state=0)
    m = RandomForestRegressor(n_estimators=3, random_state=0).fit(X, y)
    big = np.tile(X, (100, 1))
    out = [np.zeros((1, len(big))) for _ in range(2)]
    for o, n_jobs in zip(out, (1, 2), strict=True):
        m._trees().with_threads(n_jobs).add_to(o, big)
    np.testing.assert_array_equal(*out)


@pytest.mark.parametrize("sizes", [(2, 2), (2, 3)])
def test_forest_of_several_columns_of_labels(sizes):
    X, y = make_friedman1(2000, random_state=0)
    Y = np.column_stack([y, X[:, 0] + X[:, 1]]).argsort(axis=0).argsort(axis=0) * np.array(sizes) // 2000
    m = RandomForestClassifier(oob_score=True, random_state=0).fit(X[:400], Y[:400])
    peer = ensemble.RandomForestClassifier(random_state=0).fit(X[:400], Y[:400])
    theirs = (peer.predict(X[400:]) == Y[400:]).all(axis=1).mean()
    assert m.score(X[400:], Y[400:]) > theirs - 0.03
    assert abs(m.oob_score_ - m.score(X[400:], Y[400:])) < 0.06
    for p, k in zip(m.oob_decision_function_, sizes, strict=True):
        assert p.shape == (400, k)
        np.testing.assert_allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("k", [2, 3])
def test_out_of_bag_probabilities_are_the_mean_over_trees_that_did_not_see_the_row(k):
    X, y = make_friedman1(100, random_state=0)
    y = y.argsort().argsort() * k // 100
    m = RandomForestClassifier(n_estimators=30, oob_score=True, random_state=0).fit(X, y)
    values = m.model_["value"][m.apply(X) + m.model_["root"]]
    draws = [np.random.RandomState(s).randint(0, 100, 100) for s in m.seeds_]
    out = np.array([~np.isin(np.arange(100), d) for d in draws]).T[:, :, None]
    p = (values * out).sum(axis=1) / out.sum(axis=1)
    np.testing.assert_allclose(m.oob_decision_function_[:, -p.shape[1] :], p)
    assert m.oob_score_ == (m.oob_decision_function_.argmax(axis=1) == y).mean()


def test_a_forest_without_bootstrap_learns_xor():
    X = np.repeat([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 12, axis=0)
    y = np.repeat([0, 1, 1, 0], 12)
    m = RandomForestClassifier(n_estimators=5, bootstrap=False, random_state=0).fit(X, y)
    assert m.score(X, y) == 1.0


def test_targets_may_be_a_view_of_a_wider_array():
    D = np.random.RandomState(0).uniform(size=(200, 3))
    D[:, 2] = D[:, 0]
    m = RandomForestRegressor(n_estimators=5, random_state=0)
    want = m.fit(D[:, :2], D[:, 2].copy()).predict(D[:, :2])
    np.testing.assert_array_equal(m.fit(D[:, :2], D[:, 2]).predict(D[:, :2]), want)


def test_out_of_bag_scores_are_weighted():
    X, y = make_friedman1(150, random_state=0)
    w = np.random.RandomState(0).uniform(0.1, 3, 150)
    m = RandomForestRegressor(oob_score=True, random_state=0).fit(X, y, sample_weight=w)
    assert m.oob_score_ == r2_score(y, m.oob_prediction_, sample_weight=w)
    assert m.oob_score_ != r2_score(y, m.oob_prediction_)
    labels = (y + np.random.RandomState(1).standard_normal(150) > 14).astype(int)
    m = RandomForestClassifier(oob_score=True, random_state=0).fit(X, labels, sample_weight=w)
    right = m.oob_decision_function_.argmax(axis=1) == labels
    assert m.oob_score_ == np.average(right, weights=w)
    assert m.oob_score_ != right.mean()


@pytest.mark.parametrize("make", [RandomForestClassifier, RandomForestRegressor])
def test_rows_that_every_tree_drew_are_told(make):
    X, y = make_friedman1(60, random_state=0)
    with pytest.warns(UserWarning, match="of 60 rows were drawn by every tree"):
        m = make(n_estimators=2, oob_score=True, random_state=0).fit(X, y > 14)
    assert np.isfinite(m.oob_score_)
    with pytest.raises(ValueError, match="drawn by every tree"):
        make(n_estimators=1, oob_score=True, random_state=0).fit([[0.0], [1.0]], [0, 1])


def test_a_warm_start_never_takes_trees_away():
    X, y = make_friedman1(60, random_state=0)
    m = RandomForestRegressor(n_estimators=5, warm_start=True, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="n_estimators=3, but 5 are there"):
        m.set_params(n_estimators=3).fit(X, y)
    assert len(m.model_["root"]) == 5
    m.set_params(n_estimators=5).fit(X, y)
    assert len(m.model_["root"]) == 5


def test_max_samples_without_bootstrap_is_refused():
    with pytest.raises(ValueError, match=r"max_samples=0\.5"):
        RandomForestRegressor(bootstrap=False, max_samples=0.5).fit([[0.0], [1.0]], [0.0, 1.0])


def test_balanced_subsample_gives_each_class_of_each_bag_the_same_total():
    X, y = make_friedman1(120, random_state=0)
    y = (y > np.quantile(y, 0.8)).astype(int)
    m = RandomForestClassifier(n_estimators=5, max_depth=1, class_weight="balanced_subsample", random_state=0)
    m.fit(X, y)
    for t, seed in enumerate(m.seeds_):
        drawn = np.random.RandomState(seed).randint(0, 120, 120)
        count = np.bincount(drawn, minlength=120) * len(drawn) / (2 * np.bincount(y[drawn])[y])
        root = m.model_["root"][t]
        np.testing.assert_allclose(m.model_["value"][root], 0.5)
        np.testing.assert_allclose(m.model_["weight"][root], count.sum())
    whole = RandomForestClassifier(bootstrap=False, random_state=0).set_params(class_weight="balanced")
    each = RandomForestClassifier(bootstrap=False, random_state=0, class_weight="balanced_subsample")
    np.testing.assert_allclose(each.fit(X, y).predict_proba(X), whole.fit(X, y).predict_proba(X))


def test_max_samples_is_a_number_or_a_share_of_rows():
    X, y = make_friedman1(60, random_state=0)
    number, share = (RandomForestRegressor(n_estimators=3, max_samples=m, random_state=0) for m in (15, 0.25))
    np.testing.assert_array_equal(number.fit(X, y).predict(X), share.fit(X, y).predict(X))
    assert number.n_drawn_.tolist() == [15] * 3
    with pytest.raises(ValueError, match="max_samples=61 is more than the 60 rows"):
        number.set_params(max_samples=61).fit(X, y)


@pytest.mark.parametrize("price", [0.1, 1.0])
def test_forests_are_pruned_as_scikit_learn_prunes_them(price):
    X, y = make_friedman1(200, random_state=0)
    kw = {"n_estimators": 5, "bootstrap": False, "ccp_alpha": price, "random_state": 0}
    ours = RandomForestRegressor(**kw).fit(X, y)
    theirs = ensemble.RandomForestRegressor(**kw).fit(X, y)
    assert len(ours.model_["left"]) == sum(t.tree_.node_count for t in theirs.estimators_)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X))


def test_a_forest_of_monotone_trees_is_monotone():
    X, y = make_friedman1(200, noise=2.0, random_state=0)
    m = RandomForestRegressor(n_estimators=10, monotonic_cst={3: 1}, random_state=0).fit(X, y)
    Z = np.repeat(X[:40], 25, axis=0)
    Z[:, 3] = np.tile(np.linspace(0, 1, 25), 40)
    assert np.diff(m.predict(Z).reshape(40, 25), axis=1).min() >= -1e-12
