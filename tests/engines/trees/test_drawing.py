"""Trees as text and pictures say what the tree does."""

import doctest
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn import tree as peer
from sklearn.datasets import load_diabetes, load_iris

from zoo.engines.trees import drawing
from zoo.trees.boosting import BoostingRegressor
from zoo.trees.decision_tree import DecisionTreeClassifier, DecisionTreeRegressor


def axes():
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def fitted():
    rng = np.random.RandomState(0)
    c, x = rng.randint(0, 4, 300), rng.uniform(size=300)
    df = pd.DataFrame({"colour": pd.Categorical.from_codes(c, ["red", "blue", "grey", "pink"])})
    df["size"] = x
    return DecisionTreeRegressor().fit(df, np.isin(c, [0, 3]) * 4.0 + (x > 0.5)), df


def test_text_names_columns_categories_and_values():
    m, _ = fitted()
    text = drawing.export_text(m)
    inner = len(m.model_["left"]) // 2
    assert text.count("\n") == len(m.model_["left"]) + inner  # both answers of each question, and the leaves
    assert "size <= 0." in text
    assert text.count("colour in {") == text.count("colour not in {")
    reds = text.split("colour in {")[1].split("}")[0].split(", ")
    assert set(reds) in ({"red", "pink"}, {"blue", "grey"})
    assert drawing.export_text(m, show_missing=True).count("or missing") == inner


@pytest.mark.parametrize("options", [
    {}, {"max_depth": 1}, {"spacing": 1, "decimals": 4}, {"feature_names": [*"abcdefghij"]},
])  # fmt: skip
def test_text_is_that_of_scikit_learn(options):
    X, y = load_diabetes(return_X_y=True)
    kw = {"max_depth": 4, "min_samples_leaf": 5, "random_state": 0}
    ours, theirs = (make(**kw).fit(X, y) for make in (DecisionTreeRegressor, peer.DecisionTreeRegressor))
    assert drawing.export_text(ours, **options) == peer.export_text(theirs, **options)
    labels = np.digitize(y, [100, 200])
    kw["min_samples_leaf"] = 20
    ours = DecisionTreeClassifier(**kw).fit(X, labels)
    theirs = peer.DecisionTreeClassifier(**kw).fit(X, labels)
    names = {"class_names": ["few", "some", "many"], "show_weights": True}
    assert drawing.export_text(ours, **options, **names) == peer.export_text(theirs, **options, **names)


def test_picture_holds_every_node_once():
    m, _ = fitted()
    drawn = drawing.plot_tree(m, ax=axes())
    assert len(drawn) == len(m.model_["left"])
    places = [t.xy for t in drawn]
    assert len(set(places)) == len(places)


def words(drawn):
    """Lines of all nodes, with one way to write a number; theirs name the branches as well."""
    lines = [line.replace(" ", "") for t in drawn for line in t.get_text().split("\n")]
    lines = [line for line in lines if line not in ("True", "False")]
    return sorted(re.sub(r"(\d+)\.0?([,\]])", r"\1\2", line) for line in lines)


@pytest.mark.parametrize("options", [
    {}, {"label": "root"}, {"proportion": True}, {"impurity": False, "filled": True}, {"class_names": True},
])  # fmt: skip
def test_picture_says_what_that_of_scikit_learn_says(options):
    X, y = load_iris(return_X_y=True)
    kw = {"max_depth": 2, "random_state": 2}
    ours = DecisionTreeClassifier(**kw).fit(X[:, 3:], y)
    theirs = peer.DecisionTreeClassifier(**kw).fit(X[:, 3:], y)
    a = words(drawing.plot_tree(ours, ax=axes(), **options))
    b = words(peer.plot_tree(theirs, ax=axes(), **options))
    if options.get("class_names"):  # theirs are named y[0]
        b = sorted(line.replace("y[", "").replace("]", "") if "y[" in line else line for line in b)
    assert a == b


def test_what_lies_deep_is_not_drawn():
    m, _ = fitted()
    drawn = drawing.plot_tree(m, max_depth=0, ax=axes())
    assert [t.get_text() == "(...)" for t in drawn].count(True) == 2
    assert len(drawn) == 3


def test_a_tree_that_is_not_there_is_refused():
    X = np.arange(30.0)[:, None]
    m = BoostingRegressor(n_estimators=2).fit(X, X[:, 0])
    assert drawing.export_text(m, 1) != drawing.export_text(m, 0)
    with pytest.raises(ValueError, match="has 2 trees"):
        drawing.export_text(m, 2)
    with pytest.raises(ValueError, match="feature_names has 2 entries"):
        drawing.export_text(m, feature_names=["a", "b"])


def test_the_example_runs():
    assert doctest.testmod(drawing).failed == 0
