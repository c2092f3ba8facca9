"""Saved trees that are damaged: one sentence, and never the end of the process."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import zoo
from zoo.engines.trees.checks import depths

KINDS = {
    "tree": zoo.DecisionTreeClassifier(max_depth=4),
    "forest": zoo.RandomForestRegressor(n_estimators=4, max_depth=4, keep_rows=True, random_state=0),
    "boosting": zoo.BoostingClassifier(n_estimators=4),
    "ada_boost": zoo.AdaBoostClassifier(n_estimators=4, max_depth=2),
}


def table(n=200):
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"x": rng.uniform(size=n), "y": rng.uniform(size=n)})
    X["c"] = pd.Categorical(rng.choice(list("abcde"), n))
    return X, ((X["x"] + X["c"].cat.codes * 0.2 + 0.2 * rng.standard_normal(n)) > 0.9).astype(int)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request):
    return KINDS[request.param].fit(*table())


def restored(model, damage):
    """Restore a model whose state was damaged on the way."""
    state = copy.deepcopy(vars(model))
    damage(state)
    other = type(model).__new__(type(model))
    other.__setstate__(state)
    return other


def test_a_model_that_is_whole_comes_back(fitted, tmp_path):
    X, _ = table()
    zoo.save(fitted, tmp_path / "whole.zoo")
    for other in (
        zoo.load(tmp_path / "whole.zoo"),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
        restored(fitted, lambda state: None),
    ):
        np.testing.assert_array_equal(other.predict(X), fitted.predict(X))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left", -1), ("left", 0), ("left", 10**6), ("feature", 77), ("feature", -2), ("root", 10**6),
        ("root", -1), ("depth", 0), ("depth", 99), ("output", 9), ("output", -1), ("missing_left", 2),
        ("set_at", 10**6), ("set_at", -2), ("threshold", np.nan),
    ],
)  # fmt: skip
def test_an_entry_that_points_nowhere_is_refused(fitted, name, value):
    def damage(state):
        state["model_"][name][0] = value

    with pytest.raises(ValueError, match="the saved trees are damaged"):
        restored(fitted, damage)


@pytest.mark.parametrize("name", ["root", "left", "feature", "depth", "output", "set_at", "missing_left"])
def test_arrays_filled_with_one_byte_are_refused(fitted, name):
    def damage(state):
        state["model_"][name].view(np.uint8)[...] = 0x80

    with pytest.raises(ValueError, match="the saved trees are damaged"):
        restored(fitted, damage)


@pytest.mark.parametrize("name", ["root", "left", "feature", "threshold", "sets", "value", "weight"])
@pytest.mark.parametrize("change", ["shorter", "other type", "no array", "gone", "with gaps"])
def test_arrays_of_another_form_are_refused(fitted, name, change):
    def damage(state):
        a = state["model_"][name]
        state["model_"][name] = {
            "shorter": a[:-1],
            "other type": a.astype(np.float16),
            "no array": a.tolist(),
            "with gaps": np.repeat(a, 2, axis=0)[::2],
        }.get(change)
        if change == "gone":
            del state["model_"][name]

    if change == "with gaps" and fitted.model_[name].shape[0] < 2:
        pytest.skip("one entry has no gaps")
    with pytest.raises(ValueError, match="the saved trees are damaged"):
        restored(fitted, damage)


def test_leaves_that_could_be_walked_past_are_refused(fitted):
    leaf = int(np.flatnonzero(fitted.model_["feature"] < 0)[-1])
    for name, value in (("threshold", 0.0), ("missing_left", 0), ("set_at", 0), ("feature", 0)):
        def damage(state, name=name, value=value):
            state["model_"][name][leaf] = value

        with pytest.raises(ValueError, match="the saved trees are damaged"):
            restored(fitted, damage)


def test_nodes_with_two_parents_are_refused(fitted):
    # Two nodes of the first tree claim the same children: a walk would end, a picture would not.
    left = fitted.model_["left"]
    inner = np.flatnonzero(fitted.model_["feature"] >= 0)[:2]

    def damage(state):
        state["model_"]["left"][inner[0]] = left[inner[1]]

    with pytest.raises(ValueError, match="the saved trees are damaged"):
        restored(fitted, damage)


def test_categories_that_do_not_rise_are_refused(fitted):
    def damage(state):
        state["codes_"][2] = state["codes_"][2][::-1].copy()

    with pytest.raises(ValueError, match="the saved trees are damaged: codes"):
        restored(fitted, damage)


@pytest.mark.parametrize(("name", "value"), [("row", 10**6), ("row", -1), ("start", 10**6)])
def test_rows_that_are_none_of_the_fit_are_refused(name, value):
    m = KINDS["forest"].fit(*table())

    def damage(state):
        state["rows_"][name][1] = value

    with pytest.raises(ValueError, match="the saved trees are damaged"):
        restored(m, damage)


def test_depths_are_those_that_the_growers_note(fitted):
    np.testing.assert_array_equal(depths(fitted.model_), fitted.model_["depth"])
