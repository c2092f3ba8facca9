"""Trees as text and pictures say what the tree does."""

import doctest

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

from matplotlib.figure import Figure

from zoo.engines.trees import drawing
from zoo.trees.boosting import BoostingRegressor
from zoo.trees.decision_tree import DecisionTreeRegressor


def fitted():
    rng = np.random.RandomState(0)
    c, x = rng.randint(0, 4, 300), rng.uniform(size=300)
    df = pd.DataFrame({"colour": pd.Categorical.from_codes(c, ["red", "blue", "grey", "pink"])})
    df["size"] = x
    return DecisionTreeRegressor().fit(df, np.isin(c, [0, 3]) * 4.0 + (x > 0.5)), df


def test_text_names_columns_categories_and_values():
    m, _ = fitted()
    text = drawing.tree_text(m)
    assert text.count("\n") + 1 == len(m.model_["left"])
    assert "colour in {" in text
    assert "size <= 0." in text
    assert text.count("yes: ") == text.count("no: ") == len(m.model_["left"]) // 2
    reds = text.split("colour in {")[1].split("}")[0].split(", ")
    assert set(reds) in ({"red", "pink"}, {"blue", "grey"})


def test_picture_holds_every_node_once():
    m, _ = fitted()
    ax = drawing.plot_tree(m, ax=Figure().add_subplot())
    assert len(ax.texts) == len(m.model_["left"])
    places = [t.get_position() for t in ax.texts]
    assert len(set(places)) == len(places)


def test_a_tree_that_is_not_there_is_refused():
    X = np.arange(30.0)[:, None]
    m = BoostingRegressor(n_estimators=2).fit(X, X[:, 0])
    assert drawing.tree_text(m, 1) != drawing.tree_text(m, 0)
    with pytest.raises(ValueError, match="has 2 trees"):
        drawing.tree_text(m, 2)


def test_the_example_runs():
    assert doctest.testmod(drawing).failed == 0
