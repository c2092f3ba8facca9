"""What users say of columns: numbers, names and masks mean the same; nonsense is refused."""

import numpy as np
import pandas as pd
import pytest

from zoo.trees.boosting import BoostingRegressor
from zoo.trees.columns import (
    constraint_sets,
    find_categories,
    monotone_directions,
)


def model(**params):
    m = BoostingRegressor(**params)
    m.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
    return m


@pytest.mark.parametrize("said", [["b"], [1], [-2], np.array([False, True, False])])
def test_names_numbers_and_masks_of_categories(said):
    np.testing.assert_array_equal(find_categories(model(categorical_features=said), 3), [False, True, False])


def test_columns_that_a_frame_declares_are_categories_too():
    df = pd.DataFrame({"a": pd.Categorical(list("xyxy")), "b": [1.0, 2, 3, 4], "c": [0.0, 1, 0, 1]})
    m = BoostingRegressor(n_estimators=1, categorical_features=["c"]).fit(df, [1.0, 2, 3, 4])
    np.testing.assert_array_equal(find_categories(m, 3), [True, False, True])


@pytest.mark.parametrize("said", [{"a": 1, "c": -1}, {0: 1, 2: -1}, [1, 0, -1], (1, 0, -1)])
def test_monotone_directions(said):
    out = monotone_directions(model(monotone_constraints=said), 3, np.zeros(3, bool))
    np.testing.assert_array_equal(out, [1, 0, -1])


def test_columns_in_no_set_form_one_more():
    out = constraint_sets(model(interaction_constraints=[["a"]]), 3)
    np.testing.assert_array_equal(out, [[1, 0, 0], [0, 1, 1]])
    out = constraint_sets(model(interaction_constraints=[["a", "b"], [2]]), 3)
    np.testing.assert_array_equal(out, [[1, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("said", [["d"], [3], np.array([True])])
def test_strange_columns_are_refused(said):
    with pytest.raises(ValueError, match="categorical_features"):
        find_categories(model(categorical_features=said), 3)
