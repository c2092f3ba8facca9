"""The sentence for a table that was refused names the column."""

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.contract.inputs.cells import fault

N = 6
GOOD = pd.DataFrame({"a": np.arange(N) / 2, "b": [1, 2, 3] * 2})
Y = np.arange(N) % 2


@pytest.mark.parametrize(
    ("name", "column", "words"),
    [
        ("t", ["u", "v"] * 3, ["column 't'", "text ('u')", "OneHotEncoder"]),
        ("t", pd.Categorical(["u", "v"] * 3), ["column 't'", "text ('u')"]),
        ("m", np.array([1.0, "x"] * 3, dtype=object), ["column 'm'", "text ('x')"]),
        ("d", pd.date_range("2020", periods=N), ["column 'd'", "dates (datetime64", "month"]),
        ("d", pd.period_range("2020", periods=N), ["column 'd'", "dates (period"]),
        ("s", pd.to_timedelta(np.arange(N), unit="D"), ["column 's'", "spans of time", "seconds"]),
        ("c", np.ones(N) * 1j, ["column 'c'", "Complex data not supported"]),
        ("o", [[1]] * N, ["column 'o'", "objects of type list"]),
        ("i", [1, 2, -np.inf, np.inf, 0, 0], ["column 'i'", "infinity", "has 2, the first in row 2"]),
        (
            "n",
            [1, None, 0, 0, 0, np.nan],
            ["column 'n'", "NaN", "has 2, the first in row 1"],
        ),
    ],
)
def test_the_column_is_named(name, column, words):
    with pytest.raises(ValueError, match="column") as error:
        zoo.Ridge().fit(GOOD.assign(**{name: column}), Y)
    for word in words:
        assert word in str(error.value)


def test_arrays_are_counted_by_position():
    X = np.zeros((4, 3))
    X[2, 1] = np.nan
    assert "column 1 of X has 1, the first in row 2" in fault(X, "Ridge", missing=False)
    assert fault(X, "Ridge", missing=True) is None
    assert "column 0 of X holds text ('a')" in fault(np.array([["a", "1"]]), "Ridge", missing=False)


def test_predict_names_the_column_too():
    model = zoo.Ridge().fit(GOOD, Y)
    with pytest.raises(ValueError, match="column 'b' of X has 1, the first in row 3"):
        model.predict(GOOD.assign(b=[1, 2, 3, np.nan, 5, 6]))


def test_who_takes_missing_values_names_infinite_ones():
    with pytest.raises(ValueError, match="infinity: column 'a' of X has 1, the first in row 5"):
        zoo.DecisionTreeClassifier().fit(GOOD.assign(a=[np.nan, 1, 2, 3, 4, np.inf]), Y)


def test_what_is_no_category_is_named():
    with pytest.raises(ValueError, match="column 'o' of X holds objects of type list"):
        zoo.DecisionTreeClassifier().fit(GOOD.assign(o=[[1]] * N), Y)


@pytest.mark.parametrize("X", [np.ones(3), [[1, 2]], "text", None, np.ones((2, 2)) * 1j])
def test_no_sentence_where_no_column_is_the_cause(X):
    assert fault(X, "Ridge", missing=False) is None
