"""Logs of transitions: every container is the same, and what cannot be right is named with its row."""

import numpy as np
import pandas as pd
import pytest

from zoo.contract.inputs import Logged


class Learner:
    pass


def log():
    return Logged().toy(np.random.RandomState(0), 16)[0]


def check(X, reset=True):
    return Logged().check(Learner(), X, reset=reset)


def test_a_frame_and_a_mapping_of_arrays_are_the_same():
    frame = log()
    mapping = {
        "observations": frame[["observation_0"]].to_numpy(), "actions": frame["action"].to_numpy(),
        "rewards": frame["reward"].to_numpy(), "next_observations": frame[["next_observation_0"]].to_numpy(),
        "terminated": frame["terminated"].to_numpy(), "truncated": frame["truncated"].to_numpy(),
        "episode": frame["episode"].to_numpy(),
    }  # fmt: skip
    a, b = check(frame), check(mapping)
    assert a.keys() == b.keys()
    for name, part in a.items():
        np.testing.assert_array_equal(part, b[name])


def test_columns_are_in_the_order_of_their_numbers():
    frame = pd.DataFrame({f"observation_{j}": [float(j)] for j in (10, 2, 0, 1)})
    frame = frame.assign(action=0, reward=1.0, terminated=True)
    np.testing.assert_array_equal(check(frame)["observations"], [[0, 1, 2, 10]])


def test_what_is_missing_is_read_off_the_rest():
    full = log()
    short = full.drop(columns=["truncated", "episode"])
    np.testing.assert_array_equal(check(short)["episode"], full["episode"])
    shorter = short.drop(columns="next_observation_0")
    following = check(shorter)["next_observations"][:, 0]
    inside = ~full["terminated"].to_numpy()
    np.testing.assert_array_equal(following[inside], full["next_observation_0"][inside])


def test_the_width_of_an_observation_is_kept():
    learner = Learner()
    Logged().check(learner, log(), reset=True)
    wider = log().assign(observation_1=0.0, next_observation_1=0.0)
    with pytest.raises(ValueError, match=r"observations of 2 numbers, but Learner was fitted on 1"):
        Logged().check(learner, wider, reset=False)


def damaged(**columns):
    frame = log()
    for name, (row, value) in columns.items():
        frame[name] = frame[name].astype(object if isinstance(value, str) else float)
        frame.loc[row, name] = value
    return frame


@pytest.mark.parametrize(("X", "sentence"), [
    (np.zeros((4, 2)), "X is a ndarray; Learner takes logged transitions"),
    (log().drop(columns="reward"), "the log has no rewards"),
    (log().drop(columns="terminated"), "the log has no terminated"),
    (log().iloc[:0], "holds no transition"),
    (damaged(reward=(3, np.nan)), "rewards of the log hold NaN or infinity in row 3"),
    (damaged(observation_0=(0, np.inf)), "observations of the log hold NaN or infinity in row 0"),
    (log().assign(action="left"), "actions of the log are of type"),
    (damaged(next_observation_0=(2, 9.0)), "row 2 of the log ends in another observation than row 3"),
    (log().iloc[np.r_[0:4, 8:16, 4:8]], "episode 0 of the log stands in 2 places"),
    (log().assign(terminated=np.arange(16) == 3), "goes on in row 4 after its end in row 3"),
    (log().drop(columns="next_observation_0").assign(terminated=False), "was cut in row 7 before"),
    ({"observations": np.zeros((3, 1)), "actions": np.zeros(2), "rewards": np.zeros(3),
      "terminated": np.zeros(3)}, "the log has 3 observations, 2 actions"),
])  # fmt: skip
def test_a_log_that_cannot_be_right_is_refused_with_a_sentence(X, sentence):
    with pytest.raises(ValueError, match=sentence):
        check(X)
