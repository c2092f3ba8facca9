"""Stacked frames: the last n observations, the first of an episode repeated."""

import gymnasium as gym
import numpy as np
import pytest
from corridor import Corridor, Film, agent

from zoo.engines.acting.environments import Environments
from zoo.engines.acting.frames import stacked
from zoo.engines.acting.spaces import Box, Discrete


def box(shape, dtype=np.uint8):
    return Box(np.zeros(shape, dtype), np.full(shape, 255, dtype), dtype)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4,), (12,)), ((4, 5), (3, 4, 5)), ((2, 4, 4), (6, 4, 4)), ((4, 4, 2), (4, 4, 6))],
)
def test_images_are_put_along_their_channels_and_rows_end_to_end(shape, expected):
    space = stacked(box(shape), 3)
    assert space.shape == expected
    assert space.dtype == np.uint8
    assert stacked(box(shape), 1).shape == shape


def test_numbered_states_are_not_stacked():
    with pytest.raises(ValueError, match=r"n_frames=2 .* discrete"):
        stacked(Discrete(3), 2)


@pytest.mark.parametrize("env", [Corridor, Film])
def test_a_step_shows_the_last_frames_oldest_first(env):
    e = Environments(agent(lambda: env(3, 4), n_frames=3), 2, iter(range(10)))
    alone = Environments(agent(lambda: env(3, 4)), 2, iter(range(10)))
    seen = [[alone.observations[i]] * 3 for i in range(2)]

    def shown(i):
        return np.stack(seen[i][-3:]) if env is Film else np.concatenate(seen[i][-3:])

    for actions in ([1, 0], [0, 0], [1, 0], [1, 1], [1, 1], [1, 0]):
        for i in range(2):
            np.testing.assert_array_equal(e.observations[i], shown(i))
        t, one = e.step(np.array(actions)), alone.step(np.array(actions))
        for i in range(2):
            seen[i].append(one.next_observations[i])
            np.testing.assert_array_equal(t.next_observations[i], shown(i))
            if one.terminated[i] or one.truncated[i]:
                seen[i] = [alone.observations[i]] * 3


def test_an_agent_learns_acts_and_is_scored_on_frames():
    a = agent("ZooFilm-v0", n_frames=2).fit()
    assert a.observation_space_.shape == (2, 4, 5)
    table = a.rollout([1, 2], as_frame=False)
    assert table["observation"].shape[1:] == (2, 4, 5)
    actions = a.predict(table["observation"])
    np.testing.assert_array_equal(actions, table["action"])
    assert a.score([1, 2]) == table["reward"].sum() / 2
    with pytest.raises(ValueError, match=r"shape \(2, 4, 5\)"):
        a.predict(np.zeros((4, 5), np.uint8))


def test_ids_with_a_vectorised_form_are_stacked_one_by_one():
    a = agent("CartPole-v1", n_frames=2, n_envs=16).fit()
    assert a.observation_space_.shape == (8,)
    assert gym.spec("CartPole-v1").vector_entry_point is not None
