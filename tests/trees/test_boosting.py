"""Boosting: the formulas, the peers, and what users count on."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, make_classification, make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_pinball_loss, r2_score
from threadpoolctl import threadpool_limits

from zoo.engines.losses import Exponential, Logistic, Poisson, Softmax, Squared, SquaredHinge
from zoo.trees.boosting import BoostingClassifier, BoostingRegressor


@pytest.fixture(scope="module")
def friedman():
    X, y = make_friedman1(1200, noise=0.5, random_state=0)
    return X[:900], y[:900], X[900:], y[900:]


def two_classes(n=600, seed=0):
    return make_classification(n, 8, n_informative=5, random_state=seed)


def test_first_tree_holds_newton_steps_and_gains():
    X, y = two_classes()
    w = np.random.RandomState(0).uniform(0.5, 2, len(y))
    lam, gamma = 0.7, 0.05
    m = BoostingClassifier(
        n_estimators=1, learning_rate=1.0, max_leaf_nodes=4, reg_lambda=lam, gamma=gamma
    ).fit(X, y, sample_weight=w)
    p0 = 1 / (1 + np.exp(-m.initial_[0]))
    np.testing.assert_allclose(p0, np.average(y, weights=w))
    g, h = w * (p0 - y), w * p0 * (1 - p0)
    tree, at = m.model_, m.apply(X)[:, 0]

    def term(rows):
        return g[rows].sum() ** 2 / (h[rows].sum() + lam) / 2

    def rows_under(i):
        if tree["left"][i] == i:
            return at == i
        return rows_under(tree["left"][i]) | rows_under(tree["left"][i] + 1)

    for i, left in enumerate(tree["left"]):
        rows = rows_under(i)
        if left == i:
            c = -g[rows].sum() / (h[rows].sum() + lam)
            np.testing.assert_allclose(tree["value"][i], c, rtol=1e-9)
        else:
            gain = term(rows_under(left)) + term(rows_under(left + 1)) - term(rows) - gamma
            np.testing.assert_allclose(tree["gain"][i], gain, rtol=1e-5)


def test_l1_penalty_thresholds_the_leaves():
    X, y = make_friedman1(300, random_state=0)
    m = BoostingRegressor(n_estimators=1, learning_rate=1, reg_alpha=20.0, reg_lambda=0.5)
    m.fit(X, y)
    at, r = m.apply(X)[:, 0], y - y.mean()
    for i in np.unique(at):
        s = r[at == i].sum()
        c = np.sign(s) * max(abs(s) - 20, 0) / ((at == i).sum() + 0.5)
        np.testing.assert_allclose(m.model_["value"][i], c, atol=1e-6)


@pytest.mark.parametrize("policy", ["lossguide", "depthwise"])
def test_as_good_as_the_peer(friedman, policy):
    X, y, X_test, y_test = friedman
    ours = BoostingRegressor(grow_policy=policy, min_child_samples=20).fit(X, y)
    with threadpool_limits(1):
        peer = HistGradientBoostingRegressor(random_state=0).fit(X, y)
    assert ours.score(X_test, y_test) > peer.score(X_test, y_test) - 0.01


def test_many_classes():
    X, y = load_digits(return_X_y=True)
    m = BoostingClassifier(n_estimators=40).fit(X[:1200], y[:1200])
    assert m.score(X[1200:], y[1200:]) > 0.87
    np.testing.assert_allclose(m.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson"])
def test_losses_reach_what_they_ask_for(friedman, loss):
    X, y, X_test, y_test = friedman
    m = BoostingRegressor(loss=loss, quantile=0.8).fit(X, y)
    if loss == "quantile":
        assert abs((y <= m.predict(X)).mean() - 0.8) < 0.05
        constant = np.full(len(y_test), np.quantile(y, 0.8))
        ours = mean_pinball_loss(y_test, m.predict(X_test), alpha=0.8)
        assert ours < 0.5 * mean_pinball_loss(y_test, constant, alpha=0.8)
    else:
        assert m.score(X_test, y_test) > 0.85


class SquaredByHand(Squared):
    """A loss that has no kernel."""

    name = "mine"


def test_a_loss_of_ones_own(friedman):
    X, y, *_ = friedman
    kw = {"n_estimators": 10, "min_child_samples": 5}
    a = BoostingRegressor(loss=SquaredByHand(), **kw).fit(X, y).predict(X)
    b = BoostingRegressor(**kw).fit(X, y).predict(X)
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_loss_without_finite_gradient_is_refused():
    class Bad(Squared):
        def gradient(self, y, s):
            return s * np.nan

    with pytest.raises(ValueError, match="not finite"):
        BoostingRegressor(loss=Bad()).fit(np.arange(20.0)[:, None], np.arange(20.0))


def test_a_loss_of_labels_is_no_loss_of_numbers():
    with pytest.raises(ValueError, match="kind 'class'; give it to BoostingClassifier"):
        BoostingRegressor(loss=Softmax()).fit(np.arange(20.0)[:, None], np.arange(20.0))
    with pytest.raises(ValueError, match=r"loss=Poisson\(\) needs y >= 0"):
        BoostingRegressor(loss=Poisson()).fit(np.arange(20.0)[:, None], -np.arange(20.0))


class LogisticByHand(Logistic):
    name = "mine"


class SoftmaxByHand(Softmax):
    """The curvature of the kernel: K steps are taken at once."""

    name = "mine"

    def curvature(self, y, s):
        return super().curvature(y, s) * s.shape[1] / (s.shape[1] - 1)


@pytest.mark.parametrize(("k", "loss"), [(2, LogisticByHand()), (3, SoftmaxByHand())])
def test_a_loss_of_ones_own_for_labels(k, loss):
    X, y = make_classification(500, 8, n_informative=5, n_classes=k, random_state=0)
    w = np.random.RandomState(0).uniform(0.5, 2, 500)
    a = BoostingClassifier(n_estimators=10, loss=loss).fit(X, y, sample_weight=w)
    b = BoostingClassifier(n_estimators=10).fit(X, y, sample_weight=w)
    np.testing.assert_allclose(a.decision_function(X), b.decision_function(X), atol=1e-4)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(list(a.staged_predict(X))[-1], a.predict(X))


def test_losses_of_signs_and_of_classes_serve_two_classes():
    X, y = two_classes()
    for loss in (Exponential(), Softmax(), SquaredHinge()):
        m = BoostingClassifier(loss=loss, n_iter_no_change=10)
        m.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
        assert m.score(X[400:], y[400:]) > 0.85
        s = m.decision_function(X)
        g = loss.value(2 * y - 1, s) if loss.target == "sign" else loss.value(y, m._raw(X).T)
        np.testing.assert_allclose(np.mean(g[400:]), m.history_["valid_loss"].min(), rtol=1e-6)
        if loss.name == "squared_hinge":
            with pytest.raises(ValueError, match="no link to probabilities"):
                m.predict_proba(X)
        else:
            np.testing.assert_array_equal(m.predict_proba(X).argmax(axis=1), m.predict(X))
    with pytest.raises(ValueError, match="but y has 3 classes; give one for 'class'"):
        BoostingClassifier(loss=Logistic()).fit(X, np.arange(len(X)) % 3)
    with pytest.raises(ValueError, match="kind 'real'"):
        BoostingClassifier(loss=Squared()).fit(X, y)


def test_missing_values_tell_and_unseen_ones_follow_the_larger_part():
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(1000, 3))
    y = (rng.uniform(size=1000) < 0.5).astype(int)
    X[y == 1, 1] = np.where(rng.uniform(size=(y == 1).sum()) < 0.8, np.nan, X[y == 1, 1])
    assert BoostingClassifier(n_estimators=10).fit(X, y).score(X, y) > 0.85
    Z = np.r_[np.zeros(70), np.ones(30)][:, None]
    m = BoostingRegressor(n_estimators=1).fit(Z, Z[:, 0] * 5)
    assert m.predict([[np.nan]])[0] == m.predict([[0.0]])[0]


def test_categories_are_parted_in_sets_and_unseen_ones_are_missing():
    rng = np.random.RandomState(0)
    c = rng.randint(0, 12, 2000)
    y = np.isin(c, [1, 4, 5, 10]) * 3.0
    df = pd.DataFrame({"c": pd.Categorical([f"k{i:02d}" for i in c]), "x": rng.uniform(size=2000)})
    m = BoostingRegressor(n_estimators=1, learning_rate=1, max_leaf_nodes=2, reg_lambda=0).fit(df, y)
    np.testing.assert_allclose(m.predict(df), y, atol=1e-6)
    codes = np.column_stack([c * 7.5, df.x])
    n = BoostingRegressor(
        n_estimators=1, learning_rate=1, max_leaf_nodes=2, reg_lambda=0, categorical_features=[0]
    ).fit(codes, y)
    np.testing.assert_allclose(n.predict(codes), y, atol=1e-6)
    unseen = np.array([[1.0, 0.5], [np.nan, 0.5]])
    assert n.predict(unseen)[0] == n.predict(unseen)[1]


@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "quantile", "huber", "poisson"])
def test_monotone_constraint_holds(direction, loss):
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(2000, 3))
    y = 2 + np.sin(6 * X[:, 0]) + X[:, 1] + 0.1 * rng.standard_normal(2000)
    kw = {"loss": loss, "quantile": 0.7}
    m = BoostingRegressor(monotone_constraints={0: direction}, **kw).fit(X, y)
    grid = np.repeat(X[:50], 40, axis=0)
    grid[:, 0] = np.tile(np.linspace(0, 1, 40), 50)
    steps = np.diff(m.predict(grid).reshape(50, 40), axis=1) * direction
    assert steps.min() >= -1e-12
    free = BoostingRegressor(**kw).fit(X, y)
    assert np.corrcoef(m.predict(X), y)[0, 1] > 0.4
    assert (np.diff(free.predict(grid).reshape(50, 40), axis=1) * direction).min() < -0.01


def test_interaction_constraint_holds():
    X, y = make_friedman1(1000, random_state=0)
    m = BoostingRegressor(interaction_constraints=[[0, 1], [2, 3]], n_estimators=20).fit(X, y)
    sets = [{0, 1}, {2, 3}, set(range(4, 10))]
    model = m.model_

    def paths(i, used):
        if model["left"][i] == i:
            assert any(used <= s for s in sets)
            return
        for child in (model["left"][i], model["left"][i] + 1):
            paths(child, used | {int(model["feature"][i])})

    for root in model["root"]:
        paths(root, set())


def test_early_stopping_keeps_the_best(friedman):
    X, y, X_test, y_test = friedman
    m = BoostingRegressor(n_estimators=500, learning_rate=0.5, n_iter_no_change=5)
    m.fit(X, y, X_val=X_test, y_val=y_test)
    losses = m.history_["valid_loss"]
    assert m.n_iter_ == losses.argmin() + 1 == len(m.model_["root"])
    assert len(losses) <= m.n_iter_ + 5 < 500
    np.testing.assert_allclose(
        losses[m.n_iter_ - 1], ((y_test - m.predict(X_test)) ** 2).mean() / 2, rtol=1e-6
    )


def test_warm_start_is_one_long_fit(friedman):
    X, y, *_ = friedman
    m = BoostingRegressor(n_estimators=10, warm_start=True).fit(X, y)
    m.set_params(n_estimators=25).fit(X, y)
    np.testing.assert_allclose(
        m.predict(X), BoostingRegressor(n_estimators=25).fit(X, y).predict(X), rtol=1e-6
    )


def test_staged_predictions_end_in_the_prediction(friedman):
    X, y, X_test, y_test = friedman
    m = BoostingRegressor(n_estimators=15).fit(X, y)
    stages = list(m.staged_predict(X_test))
    assert len(stages) == 15
    np.testing.assert_array_equal(stages[-1], m.predict(X_test))
    assert r2_score(y_test, stages[-1]) > r2_score(y_test, stages[0])


@pytest.mark.parametrize(
    "sampling",
    [{"subsample": 0.5}, {"colsample_bytree": 0.5}, {"colsample_bynode": 0.4}, {"goss": (0.2, 0.2)}],
)
def test_sampling_learns_and_repeats(friedman, sampling):
    X, y, X_test, y_test = friedman
    a, b = (BoostingRegressor(random_state=3, **sampling).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(a.predict(X_test), b.predict(X_test))
    assert a.score(X_test, y_test) > 0.85
    assert not np.array_equal(a.predict(X), BoostingRegressor().fit(X, y).predict(X))


def test_result_does_not_depend_on_threads_or_layout():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((20_000, 6))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    fits = [
        BoostingClassifier(n_estimators=5, n_jobs=1).fit(X, y),
        BoostingClassifier(n_estimators=5, n_jobs=2).fit(X, y),
        BoostingClassifier(n_estimators=5).fit(np.asfortranarray(X), y),
    ]
    for m in fits[1:]:
        np.testing.assert_array_equal(m.decision_function(X), fits[0].decision_function(X))


def test_importances_find_the_columns_that_matter(friedman):
    X, y, *_ = friedman
    m = BoostingRegressor().fit(X, y)
    for kind in ("gain", "split", "cover"):
        np.testing.assert_allclose(m.importances(kind).sum(), 1)
    assert m.feature_importances_[:5].sum() > 0.95


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"monotone_constraints": [1, 0]}, "2 entries"),
        ({"monotone_constraints": {0: 1}, "categorical_features": [0]}, "no order"),
        ({"interaction_constraints": [[0, 99]]}, "99"),
        ({"categorical_features": ["c"]}, "names"),
        ({"loss": "poisson"}, "y >= 0"),
    ],
)
def test_refusals_say_what_to_do(params, words):
    X = np.random.RandomState(0).standard_normal((50, 3))
    with pytest.raises(ValueError, match=words):
        BoostingRegressor(**params).fit(X, X[:, 0])


def test_odd_tables_are_handled():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60, 4))
    X[:, 1], X[:, 2] = 3.0, np.nan
    X[:, 3] = 0
    X[0, 3] = 1  # a category with one row
    y = X[:, 0]
    m = BoostingRegressor(categorical_features=[3]).fit(X, y)
    assert m.feature_importances_[1] == m.feature_importances_[2] == 0
    assert m.score(X, y) > 0.8


@pytest.mark.parametrize("policy", ["lossguide", "depthwise"])
def test_trees_keep_within_their_limits(policy):
    X, y = two_classes()
    kw = {"n_estimators": 5, "grow_policy": policy}
    m = BoostingClassifier(max_depth=3, max_leaf_nodes=None, **kw).fit(X, y).model_
    assert m["depth"].max() == 3
    m = BoostingClassifier(max_leaf_nodes=6, min_child_weight=4.0, **kw).fit(X, y).model_
    leaf = m["feature"] < 0
    assert np.bincount(np.searchsorted(m["root"], np.flatnonzero(leaf), side="right")).max() <= 6
    assert m["weight"][leaf].min() >= 4.0 * (1 - 1e-6)
    m = BoostingClassifier(min_child_samples=30, **kw).fit(X, y).model_
    assert m["count"].min() >= 30
    m = BoostingClassifier(gamma=1.5, **kw).fit(X, y).model_
    assert len(m["root"]) < len(m["left"])
    assert (m["gain"][m["feature"] >= 0] > 0).all()  # what is left of a gain when its price is paid


@pytest.mark.parametrize("labels", [False, True])
def test_early_stopping_holds_rows_out(friedman, labels):
    X, y, X_test, y_test = friedman
    make = BoostingClassifier if labels else BoostingRegressor
    y, y_test = ((y > 17).astype(int), (y_test > 17).astype(int)) if labels else (y, y_test)
    kw = {"n_estimators": 500, "learning_rate": 0.5, "n_iter_no_change": 5, "random_state": 0}
    m = make(validation_fraction=0.25, **kw).fit(X, y)
    assert m.n_iter_ < len(m.history_["valid_loss"]) <= m.n_iter_ + 5 < 500
    np.testing.assert_array_equal(m.predict(X), make(validation_fraction=0.25, **kw).fit(X, y).predict(X))
    assert m.score(X_test, y_test) > make(n_estimators=2).fit(X, y).score(X_test, y_test)
    if not labels:
        with pytest.raises(ValueError, match="1 rows are too few to hold out"):
            make(**kw).fit(X[:1], y[:1])


def test_validation_weights_weigh_the_loss_that_is_watched():
    X, y = make_friedman1(300, random_state=0)
    v = np.random.RandomState(0).uniform(0.1, 3, 100)
    kw = {"X_val": X[200:], "y_val": y[200:], "sample_weight_val": v}
    m = BoostingRegressor(n_estimators=6).fit(X[:200], y[:200], **kw)
    half_squares = [np.average((y[200:] - p) ** 2 / 2, weights=v) for p in m.staged_predict(X[200:])]
    np.testing.assert_allclose(m.history_["valid_loss"], half_squares)
    assert abs(m.history_["valid_loss"][-1] / np.mean((y[200:] - m.predict(X[200:])) ** 2 / 2) - 1) > 1e-3


def test_weights_of_rows_held_out_weigh_the_loss_that_is_watched():
    # Rows of weight 1e-9 are noise: a loss that counted them would not fall.
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(400, 2))
    w = np.tile([1.0, 1e-9], 200)
    y = np.where(w == 1.0, X[:, 0], 100 * rng.standard_normal(400))
    m = BoostingRegressor(n_estimators=40, n_iter_no_change=40, random_state=0).fit(X, y, sample_weight=w)
    assert m.history_["valid_loss"].min() < 1e-3


def test_a_warm_start_never_takes_rounds_away():
    X, y = make_friedman1(100, random_state=0)
    m = BoostingRegressor(n_estimators=5, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="n_estimators=3, but 5 are there"):
        m.set_params(n_estimators=3).fit(X, y)
    assert m.n_iter_ == 5


def test_a_split_that_gains_no_more_than_gamma_is_refused():
    # As in the libraries of boosting: a leaf costs gamma, and one that gains nothing is not worth it.
    X = np.repeat([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 12, axis=0)
    m = BoostingClassifier(n_estimators=3).fit(X, np.repeat([0, 1, 1, 0], 12))
    assert (m.model_["feature"] < 0).all()


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("loss", ["log_loss", "own"])
def test_stages_end_in_what_the_model_says(k, loss):
    X, y = make_classification(200, 6, n_informative=4, n_classes=k, random_state=0)
    own = Logistic() if k == 2 else Softmax()
    m = BoostingClassifier(n_estimators=4, loss=loss if loss == "log_loss" else own).fit(X, y)
    for name in ("predict", "predict_proba", "decision_function"):
        stages = list(getattr(m, f"staged_{name}")(X))
        assert len(stages) == 4
        np.testing.assert_allclose(stages[-1], getattr(m, name)(X), rtol=1e-12)
        assert np.shape(stages[0]) == np.shape(stages[-1])
    scores = list(m.staged_score(X, y))
    assert scores[-1] == m.score(X, y)
    assert scores[0] < scores[-1]


def test_stages_of_regression_are_scored():
    X, y = make_friedman1(200, random_state=0)
    w = np.random.RandomState(0).uniform(0.5, 2, 200)
    m = BoostingRegressor(n_estimators=4).fit(X, y)
    assert list(m.staged_score(X, y, w))[-1] == m.score(X, y, w)
