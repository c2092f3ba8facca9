"""What users say of columns: numbers, names and masks mean the same; nonsense is refused."""

import numpy as np
import pandas as pd
import pytest

from zoo.contract.params import fields_of
from zoo.contract.roles import Classifier, Regressor
from zoo.engines.trees.columns import (
    constraint_sets,
    find_categories,
    monotone_directions,
)
from zoo.engines.trees.estimator import Boosting
from zoo.registry import entries, find
from zoo.trees.boosting import BoostingRegressor


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


# -- tables and targets that are odd or wrong, for every estimator of the family --------------------

EVERY = [find(row["name"]) for row in entries() if row["module"].startswith("zoo.trees.")]
CLASSIFIERS = [cls for cls in EVERY if issubclass(cls, Classifier)]
REGRESSORS = [cls for cls in EVERY if issubclass(cls, Regressor)]
each = pytest.mark.parametrize("cls", EVERY, ids=lambda c: c.__name__)


def small(cls, **params):
    has = fields_of(cls)
    few = {"n_estimators": 10, "random_state": 0}
    return cls(**{k: v for k, v in few.items() if k in has}, **params)


def table(n=60):
    X = np.random.RandomState(0).standard_normal((n, 4))
    return X, (X[:, 0] > 0).astype(int)


def test_the_family_is_all_here():
    assert len(CLASSIFIERS) >= 4
    assert len(REGRESSORS) >= 4


@each
def test_columns_that_say_nothing_change_nothing(cls):
    X, y = table()
    X[:, 1], X[:, 2], X[:, 3] = 3.0, np.nan, 0.0
    X[0, 3] = 1.0  # a category with one row
    m = small(cls, categorical_features=[3]).fit(X, y)
    np.testing.assert_array_equal(m.model_["feature"][m.model_["feature"] > 0], 3)
    one = small(cls).fit(X[:, :1], y)
    assert m.score(X, y) > one.score(X[:, :1], y) - 0.15
    unseen = np.array([[1.0, -7.0, 5.0, 99.0], [1.0, np.nan, 0.0, np.nan]])
    assert len(set(m.predict(unseen).tolist())) == 1


@each
@pytest.mark.parametrize("value", [1.0, np.nan])
def test_a_table_that_says_nothing_gives_one_answer(cls, value):
    _, y = table()
    answers = small(cls).fit(np.full((60, 2), value), y).predict(np.array([[1.0, np.nan], [5.0, 2.0]]))
    assert answers[0] == answers[1]
    assert 0 <= answers[0] <= 1


@each
def test_infinite_values_are_refused(cls):
    X, y = table()
    fitted = small(cls).fit(X, y)
    X[3, 1] = np.inf
    with pytest.raises(ValueError, match="X contains infinity"):
        small(cls).fit(X, y)
    with pytest.raises(ValueError, match="X contains infinity"):
        fitted.predict(-X)
    with pytest.raises(ValueError, match=r"y contains .*infinity"):
        small(cls).fit(table()[0], np.where(y, np.inf, 0.0))


@each
def test_more_bins_than_rows_keep_every_row_apart(cls):
    X, y = table(7)
    m = small(cls, max_bins=255).fit(X, y)
    n = small(cls, max_bins=7).fit(X, y)
    np.testing.assert_array_equal(m.predict(X), n.predict(X))
    with pytest.raises(ValueError, match="max_bins=256"):
        small(cls, max_bins=256).fit(X, y)


@pytest.mark.parametrize("cls", CLASSIFIERS, ids=lambda c: c.__name__)
def test_one_class_is_predicted(cls):
    X, y = table()
    m = small(cls).fit(X, np.full(len(y), "only"))
    assert set(m.predict(X)) == {"only"}
    assert m.classes_.tolist() == ["only"]
    np.testing.assert_array_equal(m.predict_proba(X), np.ones((len(X), 1)))
    np.testing.assert_array_equal(cls.from_json(m.to_json()).predict(X), m.predict(X))
    if cls.target.many:
        m = small(cls).fit(X, np.column_stack([y, y * 0]))
        assert (m.predict(X)[:, 1] == 0).all()
        np.testing.assert_array_equal(m.predict_proba(X)[1], np.ones((len(X), 1)))


@pytest.mark.parametrize("cls", REGRESSORS, ids=lambda c: c.__name__)
def test_targets_that_are_all_alike_are_predicted(cls):
    X, _ = table()
    # Least squares boosting begins at 0: a penalty would hold it below the mean.
    free = {"reg_lambda": 0.0} if "reg_lambda" in fields_of(cls) else {}
    np.testing.assert_allclose(small(cls, **free).fit(X, np.full(60, 4.0)).predict(X), 4)


@pytest.mark.parametrize("cls", REGRESSORS, ids=lambda c: c.__name__)
def test_counts_below_zero_are_refused(cls):
    X, y = table()
    for name in ("loss", "criterion"):
        if name in fields_of(cls):
            for wrong in (y - 1, y * 0):
                with pytest.raises(ValueError, match=f"{cls.__name__}: {name}='poisson' needs y >= 0"):
                    small(cls, **{name: "poisson"}).fit(X, wrong)
            break
    else:
        assert cls.__name__ == "LeastSquaresBoostingRegressor"


@each
def test_a_category_cannot_be_monotone(cls):
    X, y = table()
    if "monotone_constraints" not in fields_of(cls):
        assert not issubclass(cls, Boosting)
        return
    with pytest.raises(ValueError, match=r"column 2 is categorical and cannot be monotone"):
        small(cls, monotone_constraints={2: 1}, categorical_features=[2]).fit(X.round(), y)
    frame = pd.DataFrame(X).assign(word=np.where(y, "a", "b")).rename(columns=str)
    with pytest.raises(ValueError, match=r"column 4 is categorical"):
        small(cls, monotone_constraints={"word": -1}).fit(frame, y)


@each
def test_the_rarest_of_too_many_categories_count_as_unseen(cls):
    c = np.repeat(np.arange(300.0), np.r_[np.full(200, 4), np.full(100, 2)])
    X, y = np.column_stack([np.zeros_like(c), c]), (c % 2).astype(int)
    with pytest.warns(UserWarning, match="column 1 has 300 categories and a tree tells 255 apart"):
        m = small(cls, categorical_features=[1]).fit(X, y)
    assert len(m.codes_[1]) == 255
    rare = np.setdiff1d(c, m.codes_[1])
    assert rare.min() >= 200
    assert len(set(m.predict(np.column_stack([np.zeros_like(rare), rare])).tolist())) == 1
