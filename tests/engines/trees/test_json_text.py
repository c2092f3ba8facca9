"""Models of trees as JSON: the same predictions to the last bit, and no text that breaks in."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.naive_bayes import GaussianNB

from zoo.engines.losses import Squared
from zoo.trees.ada_boost import AdaBoostClassifier
from zoo.trees.boosting import BoostingClassifier, BoostingRegressor
from zoo.trees.decision_tree import DecisionTreeClassifier, DecisionTreeRegressor
from zoo.trees.least_squares_boosting import LeastSquaresBoostingRegressor
from zoo.trees.random_forest import RandomForestClassifier, RandomForestRegressor


def table(n=200, seed=0):
    """Numbers, holes, text, and numbers that are codes."""
    rng = np.random.RandomState(seed)
    df = pd.DataFrame({"x": rng.standard_normal(n), "y": rng.uniform(size=n)})
    df["colour"] = rng.choice(["red", "green", "blue", "grey"], n)
    df["size"] = pd.Categorical(rng.choice([10, 20, 30], n))
    df.loc[rng.uniform(size=n) < 0.2, "y"] = np.nan
    s = df["x"] + df["colour"].isin(["red", "grey"]) + df["y"].isna() + rng.standard_normal(n) / 3
    return df, s.to_numpy()


MODELS = [
    (BoostingRegressor(n_estimators=5, loss="quantile", quantile=0.3), None),
    (BoostingRegressor(n_estimators=5, monotone_constraints={"x": 1}, reg_lambda=1 / 3), None),
    (BoostingClassifier(n_estimators=5), 2),
    (BoostingClassifier(n_estimators=5, categorical_features=["size"]), 3),
    (LeastSquaresBoostingRegressor(n_estimators=5), None),
    (AdaBoostClassifier(n_estimators=5), 2),
    (AdaBoostClassifier(n_estimators=5, max_depth=2), 3),
    (DecisionTreeClassifier(), 2),
    (DecisionTreeClassifier(), 3),
    (DecisionTreeRegressor(max_bins=20), None),
    (RandomForestRegressor(n_estimators=5), None),
    (RandomForestRegressor(n_estimators=5), "columns"),
    (RandomForestClassifier(n_estimators=5, max_features=0.7), 3),
    (RandomForestClassifier(n_estimators=5), "labels"),
]


def targets(s, kind):
    if kind is None:
        return s
    if kind == "columns":
        return np.column_stack([s, s**2])
    if kind == "labels":
        return np.column_stack([s > 0, s > 1, s < 0.5]).astype(int)
    return np.array(["no", "perhaps", "yes"])[(s > 0).astype(int) + (s > 1) * (kind == 3)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("model", "kind"), MODELS, ids=lambda m: type(m).__name__)
def test_predictions_come_back_to_the_last_bit(model, kind, dtype):
    X, s = table()
    X_new, _ = table(300, seed=1)
    X_new.loc[:5, "colour"] = "violet"
    X[["x", "y"]], X_new[["x", "y"]] = X[["x", "y"]].astype(dtype), X_new[["x", "y"]].astype(dtype)
    if dtype == np.float32:
        columns = ["x", "y"]
        X, X_new = X[columns].to_numpy(), X_new[columns].to_numpy()
        model = type(model)(n_estimators=4) if hasattr(model, "n_estimators") else type(model)()
    m = model.fit(X, targets(s, kind))
    n = type(m).from_json(m.to_json())
    assert n.get_params() == m.get_params()
    assert n.dtype_ == m.dtype_ == dtype
    np.testing.assert_array_equal(n.predict(X_new), m.predict(X_new))
    if hasattr(m, "decision_function"):
        np.testing.assert_array_equal(n.decision_function(X_new), m.decision_function(X_new))
    if hasattr(m, "predict_proba"):
        np.testing.assert_array_equal(np.hstack(n.predict_proba(X_new)), np.hstack(m.predict_proba(X_new)))
    if hasattr(m, "shap_values"):
        np.testing.assert_array_equal(n.shap_values(X_new).values, m.shap_values(X_new).values)
    if hasattr(m, "feature_importances_"):
        np.testing.assert_array_equal(n.feature_importances_, m.feature_importances_)
    assert n.to_json() == m.to_json()


def test_a_model_that_was_read_goes_on_learning():
    X, s = table()
    X = X[["x", "y"]].to_numpy()
    for make in (BoostingRegressor, RandomForestRegressor):
        m = make(n_estimators=3, warm_start=True, random_state=0).fit(X, s)
        n = make.from_json(m.to_json())
        a, b = (k.set_params(n_estimators=6).fit(X, s).predict(X) for k in (m, n))
        np.testing.assert_array_equal(a, b)


def test_text_says_what_the_tree_asks():
    X = pd.DataFrame({"c": list("abcabc"), "x": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})
    data = json.loads(DecisionTreeRegressor().fit(X, [1.0, 0, 1, 1, 0, 1]).to_json())
    c = {"name": "c", "codes": [0.0, 1.0, 2.0], "labels": ["a", "b", "c"]}
    assert data["features"] == [c, {"name": "x"}]
    (tree,) = data["trees"]
    assert tree["left"] == [1, 1, 2]
    assert tree["feature"] == [0, -1, -1]
    assert tree["categories"] in ([[1], None, None], [[0, 2], None, None])
    assert sorted(v[0] for v in tree["value"][1:]) == [0.0, 1.0]


@pytest.mark.parametrize(
    "model",
    [AdaBoostClassifier(estimator=GaussianNB()), BoostingRegressor(loss=Squared())],
    ids=["learner", "loss"],
)
def test_code_is_not_written(model):
    X = np.random.RandomState(0).standard_normal((50, 2))
    m = model.fit(X, (X[:, 0] > 0).astype(int))
    with pytest.raises(ValueError, match=r"cannot be written as JSON; zoo.save"):
        m.to_json()


def test_labels_of_other_kinds():
    X = np.arange(40.0)[:, None]
    for y in (X[:, 0] > 20, X[:, 0] // 10, np.where(X[:, 0] > 20, "b", "a").astype(object)):
        m = DecisionTreeClassifier().fit(X, y)
        n = DecisionTreeClassifier.from_json(m.to_json())
        np.testing.assert_array_equal(n.predict(X), m.predict(X))


def test_categories_without_a_name_in_json_are_refused():
    days = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02"] * 10)).astype("category")
    m = DecisionTreeClassifier().fit(pd.DataFrame({"day": days}), [0, 1] * 10)
    with pytest.raises(ValueError, match="the category Timestamp"):
        m.to_json()


# -- texts that are damaged or meant to harm --------------------------------------------------------


@pytest.fixture(scope="module")
def written():
    X, s = table()
    return json.loads(BoostingClassifier(n_estimators=2, max_leaf_nodes=5).fit(X, s > 0).to_json())


def put(data, path, value):
    """Copy a JSON value with another one at a path."""
    out = json.loads(json.dumps(data))
    at = out
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(out)


TREE = ("trees", 0)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("format",), "onnx", "its format"),
        (("version",), 2, "its version is 2"),
        (("estimator",), "RandomForestClassifier", "call from_json of that class"),
        (("estimator",), "os.system", "call from_json of that class"),
        (("parameters", "colour"), 1, "has no parameter colour"),
        (("parameters", "learning_rate"), -1, "learning_rate"),
        (("parameters", "n_jobs"), "__import__('os')", "n_jobs"),
        (("dtype",), "object", "dtype"),
        (("features",), [], "0 features"),
        (("features", 0, "name"), 3, "names"),
        (("features", 2, "codes"), [1, 0], "rise"),
        (("classes",), ["b", "a"], "not in order"),
        (("classes",), [], "classes"),
        (("learned", "initial_"), [0.0, 1.0], "initial_"),
        (("learned", "n_iter_"), 3, "2 trees instead of 3"),
        (("learned", "history_"), 3, "history_"),
        ((*TREE, "left", 0), 0, "feature is -1"),
        ((*TREE, "left", 0), 10**9, "out of its range"),
        ((*TREE, "left", 0), -5, "out of its range"),
        ((*TREE, "left", 0), 1.5, "no number"),
        ((*TREE, "left", 0), 10**30, "too large"),
        ((*TREE, "left"), [1, 0, 2], "entries"),
        ((*TREE, "left"), [], "entries"),
        ((*TREE, "feature", 0), 99, "out of its range"),
        ((*TREE, "threshold", 0), float("1e400"), "infinite|number"),
        ((*TREE, "threshold"), [None], "1 entries"),
        ((*TREE, "missing_left", 0), 2, "out of its range"),
        ((*TREE, "value", 0), "1", "no number"),
        ((*TREE, "value", 0), [1.0], "no"),
        ((*TREE, "weight"), None, "no list"),
        ((*TREE, "output"), 1, "no output there is"),
        ((*TREE, "output"), -1, "output"),
        (("trees",), [], "0 trees"),
        (("trees", 0), None, "no object"),
    ],
)
def test_damage_is_one_clear_error(written, path, value, words):
    with pytest.raises(ValueError, match=r"BoostingClassifier.from_json cannot read this text") as caught:
        BoostingClassifier.from_json(put(written, path, value))
    assert caught.match(words)


def test_text_that_is_cut_or_strange_is_one_clear_error(written):
    text = json.dumps(written)
    nested = "[" * 100_000
    renamed = text.replace('"trees"', '"threes"')
    for broken in (text[:-9], "", "null", "[]", "3", nested, renamed, b"\xff", None):
        with pytest.raises(ValueError, match="cannot read this text"):
            BoostingClassifier.from_json(broken)
    held = next(i for i, own in enumerate(written["trees"][0]["categories"]) if own is not None)
    with pytest.raises(ValueError, match="out of its range"):
        BoostingClassifier.from_json(put(written, (*TREE, "categories", held), [300]))


def test_random_damage_never_gets_through_to_a_crash(written):
    rng = np.random.RandomState(0)
    text, X = json.dumps(written), table()[0]
    junk = [*'0123456789.-,:[]{}"en', "null", "true", "-1", "99999999999", "[]", "1e308"]
    read = 0
    for _ in range(400):
        a = rng.randint(len(text))
        broken = text[:a] + junk[rng.randint(len(junk))] + text[a + rng.randint(4) :]
        try:
            m = BoostingClassifier.from_json(broken)
        except ValueError as error:
            assert "cannot read this text" in str(error)  # noqa: PT017
        else:
            read += 1  # a digit of a number was changed: another model, but a whole one
            with np.errstate(all="ignore"):
                renamed = X.set_axis(m.feature_names_in_, axis=1)
                assert m.decision_function(renamed).shape == (200,)
    assert 0 < read < 300
