"""One of two inputs, by what X is; what is held eats for itself; games have seeds too."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from zoo.contract.inputs import Either, Env, Game, Held, Logged, Pairs, Text, n_rows, take
from zoo.contract.inputs.input import Input


class Learner:
    pass


def test_either_tells_its_inputs_apart():
    both = Either(Logged(), Env())
    log, _ = both.toy(np.random.RandomState(0))
    assert isinstance(both.check(Learner(), log, reset=True), dict)
    assert both.check(Learner(), np.arange(3), reset=True).tolist() == [0, 1, 2]
    assert both.check(Learner(), None, reset=True) is None
    assert both.name == "logged or env"
    assert both.optional
    with pytest.raises(ValueError, match="X is a ndarray, which is neither logged nor env"):
        both.check(Learner(), np.zeros((2, 2)), reset=True)


def test_seeds_of_games_are_seeds():
    assert Game(players=(2,)).check(Learner(), [3, 4], reset=True).tolist() == [3, 4]
    with pytest.raises(ValueError, match="no list of game seeds"):
        Game().check(Learner(), [0.5], reset=True)


def test_what_is_held_gets_X_as_it_came():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    assert Held().check(Learner(), frame, reset=True) is frame
    assert n_rows(take(frame, np.array([False, True]))) == 1
    for form in ("dok", "coo"):
        given = Held().check(Learner(), sparse.eye_array(3, format=form), reset=True)
        assert take(given, np.array([0, 2])).shape == (2, 3)
    assert Held().precision(frame) == np.float64
    assert Held().precision(np.zeros(3, np.float32)) == np.float32
    for nothing, sentence in (("abc", "takes rows"), ([], "0 sample")):
        with pytest.raises(ValueError, match=sentence):
            Held().check(Learner(), nothing, reset=True)


def test_pairs_of_documents():
    pairs = Pairs(of=Text(), widths=(2, 3))
    learner = Learner()
    frame = pd.DataFrame({"prompt": ["p"], "chosen": ["c"], "refused": ["r"]})
    rows = pairs.check(learner, frame, reset=True)
    assert rows.tolist() == [["p", "c", "r"]]
    assert pairs.check(learner, [("p", "answer")], reset=False).tolist() == [["p", "answer"]]
    for X, sentence in (
        ([("p", 3)], "row 0 of column 1 of X is 3 of type int"),
        ([("p", None)], "holds a missing document"),
        ([("p",)], r"rows of X have \[1\] entries"),
    ):
        with pytest.raises(ValueError, match=sentence):
            pairs.check(Learner(), X, reset=True)


def test_named_pairs_are_refused_in_another_order():
    learner, frame = Learner(), pd.DataFrame({"user": [1, 2], "item": [3, 4]})
    Pairs().check(learner, frame, reset=True)
    with pytest.raises(ValueError, match="must be in the same order"):
        Pairs().check(learner, frame[["item", "user"]], reset=False)
    with pytest.raises(ValueError, match="names"):
        Pairs().check(learner, frame.rename(columns={"user": "who"}), reset=False)


@pytest.mark.parametrize("kind", [Logged(), Game(), Env(), Either(Logged(), Env())])
def test_toy_data_pass_their_own_check(kind: Input):
    X, y = kind.toy(np.random.RandomState(0))
    kind.check(Learner(), X, reset=True)
    assert len(y) == n_rows(X)
