"""Episodes: the history by hand, and transitions in order."""

from functools import partial

import numpy as np
import pandas as pd
from corridor import Corridor, agent

from zoo.engines.acting.environments import Environments
from zoo.engines.acting.episodes import History, as_columns, transitions_of


def test_history_counts_by_hand():
    h = History(2, ("loss",), None)
    e = Environments(agent(partial(Corridor, 2, 4)), 2, iter(range(100)))
    for step, actions in enumerate([[1, 0], [1, 0], [1, 0], [1, 0]]):
        h.note({"loss": float(step)})
        h.add(e.step(np.array(actions)), 2 * step + 2)
    table = pd.DataFrame(h.arrays(8))
    assert table.columns.tolist() == ["step", "return", "length", "loss"]
    assert table["step"].tolist() == [4, 8, 8]
    assert table["return"].tolist() == [3, 3, -10]
    assert table["length"].tolist() == [2, 2, 4]
    assert table["loss"].tolist() == [0.5, 2.5, 2.5]


def test_before_an_episode_has_ended_the_history_tells_of_the_longest():
    h = History(2, ("loss",), None)
    assert h.arrays(0)["step"].size == 0
    e = Environments(agent(Corridor), 2, iter(range(100)))
    h.note({"loss": 3.0})
    h.add(e.step(np.array([0, 0])), 2)
    early = h.arrays(2)
    assert {name: column.tolist() for name, column in early.items() if name != "return"} == {
        "step": [2], "length": [1], "loss": [3.0],
    }  # fmt: skip
    assert np.isnan(early["return"]).all()
    # Whoever goes on from it begins with real episodes.
    again = History(2, ("loss",), early)
    for _ in range(10):
        again.add(e.step(np.array([1, 1])), 9)
    assert len(again.arrays(9)["step"]) >= 2
    assert np.isfinite(again.arrays(9)["return"]).all()


def test_transitions_come_episode_after_episode_in_the_order_of_time():
    e = Environments(agent(partial(Corridor, 2, 4)), 2, iter([5, 6, 7]))
    played, numbers, begun = [], np.array([0, 1]), 2
    while not e.resting.all():
        t = e.step(np.array([1, 0]))
        played.append((t, numbers.copy()))
        for i in np.flatnonzero(t.terminated | t.truncated):
            numbers[i], begun = begun, begun + 1
    arrays = transitions_of(iter(played))
    assert (np.diff(arrays["episode"]) >= 0).all()
    within = np.diff(arrays["episode"]) == 0
    np.testing.assert_array_equal(arrays["next_observation"][:-1][within], arrays["observation"][1:][within])
    columns = as_columns(arrays)
    assert list(columns) == [
        "observation_0", "observation_1", "action", "reward", "next_observation_0",
        "next_observation_1", "terminated", "truncated", "episode",
    ]  # fmt: skip
