"""Environments: seeds, ends of episodes, the three ways of autoreset, what is refused."""

import builtins
import pickle
from functools import partial

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
from corridor import Blind, Corridor, agent

from zoo.agents.dqn import DQN
from zoo.engines.acting.environments import (
    Environments,
    VectorisedEnvironments,
    open_environments,
)

# -- stepping ------------------------------------------------------------------------------------


def test_seeds_are_taken_in_turn_and_in_a_circle():
    envs = [Corridor(2), Corridor(3)]
    made = iter(envs)
    with open_environments(agent(lambda: next(made)), 2, np.array([7, 8, 9]), np.random.default_rng(0)) as e:
        for _ in range(6):
            e.step(np.array([1, 1]))
    # 7 8 first; env 0 ends every 2 steps, env 1 every 3; at step 6 both, the lower one first.
    assert envs[0].seeds == [7, 9, 8, 9]
    assert envs[1].seeds == [8, 7, 7]


def test_an_episode_is_the_same_wherever_it_is_played():
    a = agent(Corridor).fit()
    together = a.rollout(np.arange(50))
    for seed in (0, 17, 49):
        alone = a.rollout([seed]).drop(columns="episode")
        group = together[together.episode == seed].drop(columns="episode").reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, group)


def test_last_observation_is_the_true_one_and_ends_are_apart():
    e = Environments(agent(partial(Corridor, 2, 4)), 2, iter(range(100)))
    walk = [[1, 0], [1, 0], [1, 0], [1, 0]]
    seen = [e.step(np.array(actions)) for actions in walk]
    assert [t.terminated.tolist() for t in seen] == [
        [False, False], [True, False], [False, False], [True, False],
    ]  # fmt: skip
    assert [t.truncated.tolist() for t in seen] == [[False, False]] * 3 + [[False, True]]
    assert seen[1].next_observations[0, 0] == 2  # not the 0 of the next episode
    assert seen[2].observations[0, 0] == 0
    assert seen[3].next_observations[1, 0] == -4


def test_max_episode_steps_truncates():
    e = Environments(agent(Corridor, max_episode_steps=2), 1, iter(range(10)))
    ends = [bool(e.step(np.array([0])).truncated[0]) for _ in range(4)]
    assert ends == [False, True, False, True]
    # A terminal step on the last allowed one is terminal.
    e = Environments(agent(partial(Corridor, 2), max_episode_steps=2), 1, iter(range(10)))
    e.step(np.array([1]))
    t = e.step(np.array([1]))
    assert t.terminated[0]
    assert not t.truncated[0]


def test_environments_rest_when_the_seeds_run_out():
    e = Environments(agent(partial(Corridor, 2)), 2, iter([1, 2, 3]))
    for _ in range(2):
        assert e.step(np.array([1, 1])).real.all()
    assert e.resting.tolist() == [False, True]
    t = e.step(np.array([1, 1]))
    assert t.real.tolist() == [True, False]


@pytest.mark.parametrize("mode", list(gym.vector.AutoresetMode))
def test_the_three_autoresets_are_one(mode):
    """Real rows of a vectorised environment are those of the environments one by one."""
    n, steps = 3, 40
    lengths = (2, 3, 5)
    venv = gym.vector.SyncVectorEnv([partial(Corridor, k, 4) for k in lengths], autoreset_mode=mode)
    envs = VectorisedEnvironments(agent(Corridor), venv, seed=0)
    rng = np.random.default_rng(0)
    rows = {i: [] for i in range(n)}
    unreal = 0
    for _ in range(steps):
        actions = rng.integers(0, 2, n) | (rng.random(n) < 0.5)
        t = envs.step(actions.astype(np.int64))
        unreal += int((~t.real).sum())
        for i in np.flatnonzero(t.real):
            rows[i].append(
                (t.observations[i, 0], t.actions[i], t.next_observations[i, 0], t.rewards[i],
                 t.terminated[i], t.truncated[i])
            )  # fmt: skip
    envs.close()
    assert (unreal > 0) == (mode == gym.vector.AutoresetMode.NEXT_STEP)
    for i, k in enumerate(lengths):
        x = t_in = 0
        assert len(rows[i]) > 20
        for before, action, after, reward, terminated, truncated in rows[i]:
            assert before == x  # each real row begins where the world is
            x += 1 if action == 1 else -1
            t_in += 1
            assert after == x == reward
            assert terminated == (x >= k)
            assert truncated == (t_in >= 4 and x < k)
            if terminated or truncated:
                x = t_in = 0


def test_cartpole_is_opened_vectorised_and_its_fake_steps_are_not_learned_from():
    a = DQN(env="CartPole-v1", n_envs=16, total_timesteps=3000, keep_replay=True, random_state=0)
    a.fit()
    assert (~a.replay_.real).sum() > 0  # resets there were
    # n_steps_ and history count the real ones.
    assert a.n_steps_ == a.replay_.real.sum()
    assert a.history_["length"].sum() <= a.n_steps_
    assert (a.history_["return"] == a.history_["length"]).all()


# -- what env may be ------------------------------------------------------------------------------


def test_a_given_environment_is_copied_not_stepped():
    env = Corridor()
    a = agent(env).fit()
    a.score([1])
    assert env.seeds == []
    assert not hasattr(env, "x")


def test_an_environment_that_cannot_be_copied_acts_alone_and_stays_open():
    class Robot(Corridor):
        closed = False

        def __deepcopy__(self, memo):
            raise TypeError("there is only one")

        def close(self):
            Robot.closed = True

    robot = Robot()
    a = agent(robot).fit()
    assert len(robot.seeds) == len(a.history_["step"]) + 1
    assert a.score([1, 2, 3]) == a.score([1, 2, 3])
    assert not Robot.closed


def test_a_fitted_agent_holds_no_environment_and_no_memory():
    a = agent(Corridor).fit()
    assert not any(hasattr(v, "reset") for k, v in vars(a).items() if k != "env")
    assert not hasattr(a, "replay_")
    assert len(pickle.dumps(a.weights_)) < len(pickle.dumps(a.set_params(env="x"))) < 200_000


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ("CartPol-v1", "Did you mean 'CartPole-v1'"),
        ("NoSuchThing-v7", "no environment that gymnasium knows"),
        ("CartPole-v9", "no environment that gymnasium knows"),
        ("no_such_module:Env-v0", "no environment that gymnasium knows"),
        (17, "is no environment"),
        (dict, "the factory must return"),
        ("Pendulum-v1", "DQN chooses discrete actions, but env takes box"),
        (Blind, "NaN or infinity"),
        ("Blackjack-v1", "FlattenObservation"),
    ],
)
def test_bad_environments_get_a_sentence(env, words):
    with pytest.raises(ValueError, match=words):
        agent(env).fit()


def test_dict_observations_get_a_sentence():
    class Told(Corridor):
        observation_space = gym.spaces.Dict({"a": gym.spaces.Discrete(2)})

    with pytest.raises(ValueError, match="FlattenObservation"):
        agent(Told).fit()


def test_vectorised_environments_get_a_sentence():
    with pytest.raises(ValueError, match="give the single environment"):
        agent(lambda: gym.vector.SyncVectorEnv([Corridor])).fit()


def test_missing_gymnasium_says_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "gymnasium":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install sklearn-zoo\[rl\]"):
        agent("CartPole-v1").fit()


# -- what an environment gives is checked ----------------------------------------------------------


class Broken(Corridor):
    """Gives what a test asks for at its third step."""

    given = None
    space = gym.spaces.Box(0, 255, (3,), np.uint8)

    def __init__(self):
        super().__init__()
        self.observation_space = self.space

    def see(self):
        return self.given if self.t == 3 else np.zeros(self.space.shape, self.space.dtype)


@pytest.mark.parametrize(
    ("space", "given", "words"),
    [
        (gym.spaces.Box(0, 255, (3,), np.uint8), [300, 0, -1], "300 does not"),
        (gym.spaces.Box(0, 255, (3,), np.uint8), np.array([1.5, 0, 0]), "whole"),
        (gym.spaces.Box(0, 9, (3,), np.int64), np.array([0, 10, 0]), "between 0 and 9"),
        (gym.spaces.Box(0, 255, (3,), np.uint8), np.zeros(2, np.uint8), r"shape \(2,\)"),
        (gym.spaces.Box(-1, 1, (3,), np.float32), 0.5, r"shape \(\)"),
        (gym.spaces.Box(-1, 1, (3,), np.float32), np.array([0, np.inf, 0]), "NaN or infinity"),
        (gym.spaces.Discrete(3), 3, "between 0 and 2"),
        (gym.spaces.Discrete(3), -1, "between 0 and 2"),
    ],
)
def test_observations_outside_their_space_get_a_sentence(space, given, words):
    class Bad(Broken):
        pass

    Bad.space, Bad.given = space, given
    with pytest.raises(ValueError, match=rf"DQN: env \(Bad\) gave .*{words}"):
        agent(Bad, n_envs=1).fit()


@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_envs", [1, 3])
def test_rewards_that_are_no_numbers_get_a_sentence_and_teach_nothing(reward, n_envs):
    class Generous(Corridor):
        def step(self, action):
            observation, r, *rest = super().step(action)
            self.count = getattr(self, "count", 0) + 1
            return observation, reward if self.count == 15 else r, *rest

    a = agent(Generous, n_envs=n_envs)
    with pytest.raises(ValueError, match=r"env \(Generous\) gave a reward that is NaN or infinity"):
        a.fit()
    assert a.n_steps_ == 14 * n_envs  # what came before is kept
    assert np.isfinite(a.action_value([[0.0, 1.0]])).all()


def test_rewards_of_vectorised_environments_are_checked():
    class Generous(Corridor):
        def step(self, action):
            return self.see(), np.nan, False, False, {}

    venv = gym.vector.SyncVectorEnv([Generous] * 2)
    envs = VectorisedEnvironments(agent(Corridor), venv, seed=0)
    with pytest.raises(ValueError, match="reward that is NaN"):
        envs.step(np.array([1, 1]))
    envs.close()


def test_an_agent_without_an_environment_says_so():
    with pytest.raises(ValueError, match=r"set_params\(env=\.\.\.\)"):
        agent(None).fit()


@pytest.mark.parametrize("reward", [5.0, -5.0])
def test_clipped_rewards_are_learned_from_and_true_ones_are_told(reward):
    class Rich(Corridor):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation, reward, *rest

    a = agent(Rich, clip_reward=1.0, keep_replay=True, total_timesteps=400).fit()
    n = len(a.replay_)
    np.testing.assert_array_equal(a.replay_.rewards[:n], np.sign(reward))
    np.testing.assert_array_equal(a.history_["return"], reward * a.history_["length"])
    assert a.rollout([0]).reward.eq(reward).all()
