"""Decision trees: node for node what scikit-learn grows, and what it does not know."""

import numpy as np
import pandas as pd
import pytest
from sklearn import tree as peer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_friedman1

from zoo.engines.trees import record_grower
from zoo.trees.decision_tree import DecisionTreeClassifier, DecisionTreeRegressor


def same_tree(ours, theirs, X):
    """Compare two trees by the cuts and values on each row's path."""
    t = theirs.tree_
    m = ours.model_
    assert (m["feature"] < 0).sum() == t.n_leaves

    def walk(i, k):
        if t.children_left[k] < 0:
            assert m["feature"][i] == -1
            value = t.value[k].ravel()
            np.testing.assert_allclose(m["value"][i], value[-len(m["value"][i]) :], atol=1e-10)
            return
        assert m["feature"][i] == t.feature[k]
        np.testing.assert_allclose(m["threshold"][i], t.threshold[k], rtol=1e-6)
        walk(m["left"][i], t.children_left[k])
        walk(m["left"][i] + 1, t.children_right[k])

    walk(0, 0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("limits", [{}, {"max_depth": 3}, {"max_leaf_nodes": 7}])
def test_same_regression_tree_as_scikit_learn(seed, limits):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((80, 3)).astype(np.float32).astype(float)
    y = rng.standard_normal(80)
    w = rng.uniform(0.5, 2, 80) if seed % 2 else None
    limits = {**limits, "min_samples_leaf": 5 + seed % 3}
    ours = DecisionTreeRegressor(**limits).fit(X, y, sample_weight=w)
    theirs = peer.DecisionTreeRegressor(random_state=0, **limits).fit(X, y, sample_weight=w)
    same_tree(ours, theirs, X)


@pytest.mark.parametrize("criterion", ["gini", "entropy"])
@pytest.mark.parametrize("k", [2, 4])
def test_as_pure_as_scikit_learn(criterion, k):
    # Class counts tie often, so the trees are compared by what they reach, not by their cuts.
    rng = np.random.RandomState(k)
    X = rng.standard_normal((400, 4))
    y = (X[:, 0] * 2 + X[:, 1] + rng.standard_normal(400)).argsort().argsort() * k // 400
    w = rng.uniform(0.5, 2, 400)
    kw = {"criterion": criterion, "max_depth": 4, "random_state": 0}
    ours = DecisionTreeClassifier(**kw).fit(X, y, sample_weight=w)
    theirs = peer.DecisionTreeClassifier(**kw).fit(X, y, sample_weight=w)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)


def test_gain_is_the_fall_of_the_impurity():
    X, y = load_iris(return_X_y=True)
    m = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    risk = m._risks(X, y, np.ones(len(y)))
    left = m.model_["left"]
    for i in np.flatnonzero(m.model_["feature"] >= 0):
        fall = risk[i] - risk[left[i]] - risk[left[i] + 1]
        np.testing.assert_allclose(m.model_["gain"][i] / len(y), fall, rtol=1e-9)


@pytest.mark.parametrize("criterion", ["squared_error", "poisson"])
def test_pruning_path_of_regression_is_that_of_scikit_learn(criterion):
    X, y = load_diabetes(return_X_y=True)
    kw = {"criterion": criterion, "max_leaf_nodes": 20, "random_state": 0}
    ours = DecisionTreeRegressor(**kw).cost_complexity_pruning_path(X, y)
    theirs = peer.DecisionTreeRegressor(**kw).cost_complexity_pruning_path(X, y)
    np.testing.assert_allclose(ours.ccp_alphas, theirs.ccp_alphas, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.impurities, theirs.impurities, rtol=1e-6)


def test_pruned_tree_minimises_the_price():
    X, y = load_breast_cancer(return_X_y=True)
    full = DecisionTreeClassifier(random_state=0).fit(X, y)
    path = full.cost_complexity_pruning_path(X, y)
    sizes = []
    for alpha in path.ccp_alphas:
        m = DecisionTreeClassifier(random_state=0, ccp_alpha=float(alpha) + 1e-9).fit(X, y)
        sizes.append(m.get_n_leaves())
    assert sizes[0] <= full.get_n_leaves()
    assert sizes[-1] == 1
    assert (np.diff(sizes) < 0).all()


def test_poisson_refuses_negative_counts():
    with pytest.raises(ValueError, match="y >= 0"):
        DecisionTreeRegressor(criterion="poisson").fit([[0.0], [1.0]], [-1.0, 2.0])


def test_several_targets_share_a_tree():
    X, y = load_diabetes(return_X_y=True)
    Y = np.column_stack([y, -y])
    m = DecisionTreeRegressor(max_depth=3).fit(X, Y)
    one = DecisionTreeRegressor(max_depth=3).fit(X, y)
    np.testing.assert_allclose(m.predict(X)[:, 0], one.predict(X))
    np.testing.assert_allclose(m.predict(X).sum(axis=1), 0, atol=1e-9)


@pytest.mark.parametrize("max_bins", [None, 64])
def test_missing_values_and_categories(max_bins):
    rng = np.random.RandomState(0)
    c = rng.randint(0, 10, 500)
    x = rng.uniform(size=500)
    y = np.where(np.isin(c, [0, 3, 7]), 5.0, 0.0) + np.where(x < 0.3, 1.0, 0.0)
    df = pd.DataFrame({"c": pd.Categorical(c), "x": np.where(x < 0.3, np.nan, x)})
    m = DecisionTreeRegressor(max_bins=max_bins).fit(df, y)
    np.testing.assert_allclose(m.predict(df), y)
    assert m.get_n_leaves() == 4


def test_bins_and_exact_cuts_agree_where_bins_suffice():
    rng = np.random.RandomState(0)
    X = rng.randint(0, 50, (300, 4)).astype(float)
    y = rng.standard_normal(300)
    a = DecisionTreeRegressor(random_state=0).fit(X, y)
    b = DecisionTreeRegressor(max_bins=255, random_state=0).fit(X, y)
    np.testing.assert_array_equal(a.model_["feature"], b.model_["feature"])
    np.testing.assert_allclose(a.predict(X), b.predict(X))


@pytest.mark.parametrize("holes", [0.0, 0.1])
@pytest.mark.parametrize(
    ("max_bins", "limits"),
    [
        (None, {}),
        (200, {}),
        (200, {"min_samples_leaf": 3, "min_samples_split": 9}),
        (200, {"max_depth": 6}),
        (None, {"min_weight_fraction_leaf": 0.01, "min_impurity_decrease": 1e-4}),
        (None, {"max_features": 3}),
    ],
)
def test_sorted_nodes_grow_the_tree_that_counted_ones_do(max_bins, limits, holes, monkeypatch):
    # Steps of 1/8 and whole numbers: columns of few values, of many, and one that never varies.
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.randint(0, k, 3000) / 8 for k in (1, 2, 9, 40, 3000, 3000)])
    y = X[:, 1] + np.sin(X[:, 4] / 40) + rng.standard_normal(3000)
    w = rng.uniform(0.5, 2, 3000)
    X[rng.uniform(size=X.shape) < holes] = np.nan
    grow = DecisionTreeRegressor(max_bins=max_bins, random_state=0, **limits).fit
    a = grow(X, y, sample_weight=w).predict(X)
    monkeypatch.setattr(record_grower, "most_records", lambda *_: (0, 0))
    b = grow(X, y, sample_weight=w).predict(X)
    np.testing.assert_allclose(a, b, atol=1e-10)


def test_cuts_of_twenty_thousand_rows_are_exact():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((20_000, 2))
    y = 1.0 * (X[:, 0] > np.sort(X[:, 0])[12_345])
    m = DecisionTreeRegressor().fit(X, y)
    assert m.get_n_leaves() == 2
    np.testing.assert_array_equal(m.predict(X), y)


def test_random_cuts_depend_on_the_seed_alone():
    X, y = load_iris(return_X_y=True)
    a, b, c = (DecisionTreeClassifier(splitter="random", random_state=s).fit(X, y) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.model_["feature"], b.model_["feature"])
    assert a.score(X, y) == 1
    assert not np.array_equal(a.model_["threshold"], c.model_["threshold"])


def labels_of_columns(sizes, n=300, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, 4))
    s = X[:, : len(sizes)] + X[:, -1:] / 2 + rng.standard_normal((n, len(sizes))) / 2
    return X, np.column_stack([own.argsort().argsort() * k // n for own, k in zip(s.T, sizes, strict=True)])


@pytest.mark.parametrize("criterion", ["gini", "entropy", "log_loss"])
@pytest.mark.parametrize("sizes", [(2, 2, 2), (2, 3), (4, 3)])
def test_several_columns_of_labels_are_parted_as_scikit_learn_does(criterion, sizes):
    X, Y = labels_of_columns(sizes)
    w = np.random.RandomState(1).uniform(0.5, 2, len(X))
    weights = [{c: 1.0 + c for c in range(k)} for k in sizes]
    kw = {"criterion": criterion, "max_depth": 4, "random_state": 0, "class_weight": weights}
    ours = DecisionTreeClassifier(**kw).fit(X, Y, sample_weight=w)
    theirs = peer.DecisionTreeClassifier(**kw).fit(X, Y, sample_weight=w)
    for a, b in zip(ours.predict_proba(X), theirs.predict_proba(X), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.feature_importances_, theirs.feature_importances_, atol=1e-9)


@pytest.mark.parametrize("criterion", ["gini", "entropy"])
@pytest.mark.parametrize("sizes", [(2, 2), (2, 3)])
def test_gain_of_several_columns_is_the_fall_of_their_mean_impurity(criterion, sizes):
    X, Y = labels_of_columns(sizes)
    m = DecisionTreeClassifier(criterion=criterion, max_depth=3).fit(X, Y)
    risk, left = m._risks(X, Y, np.ones(len(Y))), m.model_["left"]
    for i in np.flatnonzero(m.model_["feature"] >= 0):
        fall = risk[i] - risk[left[i]] - risk[left[i] + 1]
        np.testing.assert_allclose(m.model_["gain"][i] / len(Y), fall, rtol=1e-8)
    path = DecisionTreeClassifier(criterion=criterion).cost_complexity_pruning_path(X, Y)
    np.testing.assert_allclose(path.impurities[-1], risk[0])


def test_one_weight_a_class_and_column():
    X, Y = labels_of_columns((2, 3))
    given = [{0: 1.0, 1: 3.0}, None]
    ours = DecisionTreeClassifier(max_depth=3, class_weight=given).fit(X, Y)
    same = DecisionTreeClassifier(max_depth=3).fit(X, Y, sample_weight=np.where(Y[:, 0] == 1, 3.0, 1.0))
    np.testing.assert_array_equal(ours.predict_proba(X)[1], same.predict_proba(X)[1])
    with pytest.raises(ValueError, match="one entry a column"):
        DecisionTreeClassifier(class_weight=[None]).fit(X, Y)


def test_shapley_values_of_several_columns_add_up_to_their_probabilities():
    X, Y = labels_of_columns((2, 3))
    m = DecisionTreeClassifier(max_depth=4).fit(X, Y)
    e = m.shap_values(X[:20])
    p = np.hstack(m.predict_proba(X[:20]))
    np.testing.assert_allclose(e.values.sum(axis=1) + e.base, p, atol=1e-12)


def strided_forms(a):
    """Give arrays equal to ``a`` that lie in memory in other ways."""
    wide = np.full((len(a), *a.shape[1:], 3), np.pi)
    wide[..., 1] = a
    read_only = a.copy()
    read_only.flags.writeable = False
    return {
        "a piece of a wider array": wide[..., 1],
        "every second": np.repeat(a, 2, axis=0)[::2],
        "reversed": a[::-1].copy()[::-1],
        "Fortran order": np.asfortranarray(a),
        "read only": read_only,
    }


@pytest.mark.parametrize("criterion", ["squared_error", "poisson", "absolute_error"])
@pytest.mark.parametrize("targets", [1, 2])
def test_how_arrays_lie_in_memory_changes_nothing(criterion, targets):
    rng = np.random.RandomState(0)
    X, y, w = rng.uniform(size=(90, 3)), rng.uniform(size=(90, targets)), rng.uniform(0.5, 2, 90)
    y = y[:, 0] if targets == 1 else y
    tree = DecisionTreeRegressor(criterion=criterion, min_samples_leaf=3, random_state=0)
    want = tree.fit(X, y, sample_weight=w).predict(X)
    for kind, own in strided_forms(X).items():
        np.testing.assert_array_equal(tree.fit(own, y, sample_weight=w).predict(own), want, err_msg=kind)
    for kind, own in strided_forms(y).items():
        np.testing.assert_array_equal(tree.fit(X, own, sample_weight=w).predict(X), want, err_msg=kind)
    for kind, own in strided_forms(w).items():
        np.testing.assert_array_equal(tree.fit(X, y, sample_weight=own).predict(X), want, err_msg=kind)


XOR = np.repeat([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 12, axis=0)
EITHER = np.repeat([0, 1, 1, 0], 12)


@pytest.mark.parametrize("rows", ["few", "sorted", "counted"])
@pytest.mark.parametrize("options", [
    {}, {"criterion": "entropy"}, {"max_features": 1}, {"max_leaf_nodes": 4}, {"splitter": "random"},
])  # fmt: skip
def test_a_cut_that_gains_nothing_is_made_where_none_gains(rows, options):
    # Of XOR each column tells nothing; of both sides of any cut the other column tells all.
    X, y = XOR[::6] if rows == "few" else np.tile(XOR, (20, 1)), EITHER
    y = y[::6] if rows == "few" else np.tile(y, 20)
    more = {"max_bins": 16, "categorical_features": [0]} if rows == "counted" else {}
    tree = DecisionTreeClassifier(random_state=0, **more, **options).fit(X, y)
    assert tree.score(X, y) == 1.0
    assert (tree.model_["gain"] >= 0).all()
    assert tree.get_n_leaves() <= 5  # no cut below what is pure


@pytest.mark.parametrize("criterion", ["squared_error", "absolute_error", "poisson"])
@pytest.mark.parametrize("weighted", [False, True])
def test_regression_learns_xor(criterion, weighted):
    w = np.tile([0.3, 0.7, 1.1], 16) if weighted else None
    tree = DecisionTreeRegressor(criterion=criterion).fit(XOR, EITHER + 0.5, sample_weight=w)
    np.testing.assert_allclose(tree.predict(XOR), EITHER + 0.5)


def test_a_least_fall_of_the_impurity_refuses_cuts_that_gain_less():
    tree = DecisionTreeClassifier(min_impurity_decrease=1e-6).fit(XOR, EITHER)
    assert tree.get_n_leaves() == 1


def test_fewest_rows_may_be_shares():
    X, y = load_diabetes(return_X_y=True)
    share = DecisionTreeRegressor(min_samples_split=0.2, min_samples_leaf=0.05, random_state=0).fit(X, y)
    number = DecisionTreeRegressor(min_samples_split=89, min_samples_leaf=23, random_state=0).fit(X, y)
    np.testing.assert_array_equal(share.predict(X), number.predict(X))
    assert share.get_n_leaves() < DecisionTreeRegressor(random_state=0).fit(X, y).get_n_leaves()


@pytest.mark.parametrize("limits", [{"max_depth": 5}, {"max_leaf_nodes": 20}, {"min_samples_leaf": 6}])
@pytest.mark.parametrize("criterion", ["squared_error", "poisson"])
def test_monotone_columns_make_the_tree_of_scikit_learn(limits, criterion):
    X, y = make_friedman1(300, noise=2.0, random_state=0)
    kw = {"monotonic_cst": [1, 0, -1, 1, -1, *[0] * 5], "criterion": criterion, "random_state": 0, **limits}
    y = np.maximum(y, 0)
    ours, theirs = DecisionTreeRegressor(**kw).fit(X, y), peer.DecisionTreeRegressor(**kw).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    free = DecisionTreeRegressor(**kw | {"monotonic_cst": None}).fit(X, y)
    assert np.abs(free.predict(X) - ours.predict(X)).max() > 0.1


@pytest.mark.parametrize("kind", ["classes", "numbers", "drawn cuts"])
def test_predictions_never_fall_where_they_must_rise(kind):
    X, y = make_friedman1(300, noise=2.0, random_state=0)
    kw = {"monotonic_cst": {0: 1, 3: -1}, "random_state": 0}
    if kind == "classes":
        m = DecisionTreeClassifier(**kw).fit(X, y > 14)
        predict = lambda Z: m.predict_proba(Z)[:, 1]  # noqa: E731
    else:
        m = DecisionTreeRegressor(**kw, splitter="random" if kind == "drawn cuts" else "best").fit(X, y)
        predict = m.predict
    for column, direction in kw["monotonic_cst"].items():
        Z = np.repeat(X[:60], 25, axis=0)
        Z[:, column] = np.tile(np.linspace(-0.1, 1.1, 25), 60)
        assert (np.diff(predict(Z).reshape(60, 25), axis=1) * direction).min() >= 0


def test_what_cannot_be_monotone_is_refused():
    X, y = make_friedman1(60, n_features=5, random_state=0)
    with pytest.raises(ValueError, match="more than two classes"):
        DecisionTreeClassifier(monotonic_cst=[1, 0, 0, 0, 0]).fit(X, np.digitize(y, [12, 16]))
    with pytest.raises(ValueError, match="several columns"):
        DecisionTreeRegressor(monotonic_cst=[1, 0, 0, 0, 0]).fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="absolute_error"):
        DecisionTreeRegressor(monotonic_cst=[1, 0, 0, 0, 0], criterion="absolute_error").fit(X, y)
    with pytest.raises(ValueError, match="monotonic_cst has 2 entries, but X has 5"):
        DecisionTreeRegressor(monotonic_cst=[1, 0]).fit(X, y)
