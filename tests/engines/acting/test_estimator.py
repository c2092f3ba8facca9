"""The rollout engine: seeds, ends of episodes, the three ways of autoreset, bad environments."""

import builtins
import pickle
from functools import partial

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_info

from zoo.agents.dqn import DQN
from zoo.engines.acting.estimator import (
    Environments,
    History,
    VectorisedEnvironments,
    encode,
    one_thread,
    open_environments,
    read_space,
)


class Corridor(gym.Env):
    """Walk right from the seed's cell; ends by itself at the right, or is cut after ``limit``."""

    action_space = gym.spaces.Discrete(2)
    observation_space = gym.spaces.Box(-100, 100, (2,), np.float32)

    def __init__(self, length=3, limit=10):
        self.length, self.limit = length, limit
        self.seeds = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.x, self.t = 0, 0
        self.mark = float(self.np_random.integers(50))
        return self.see(), {}

    def see(self):
        return np.array([self.x, self.mark], dtype=np.float32)

    def step(self, action):
        self.x += 1 if action == 1 else -1
        self.t += 1
        end = self.x >= self.length
        return self.see(), float(self.x), end, self.t >= self.limit and not end, {}


class Blind(Corridor):
    """Sees NaN after the first step."""

    def see(self):
        return np.array([np.nan if self.t else 0, 0], dtype=np.float32)


def agent(env, **kw):
    kw = {"total_timesteps": 60, "learning_starts": 20, "batch_size": 8, "random_state": 0} | kw
    return DQN(env=env, **kw)


# -- stepping ------------------------------------------------------------------------------------


def test_seeds_are_taken_in_turn_and_in_a_circle():
    envs = [Corridor(2), Corridor(3)]
    made = iter(envs)
    with open_environments(
        agent(lambda: next(made)), 2, np.array([7, 8, 9]), np.random.default_rng(0)
    ) as e:
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
    venv = gym.vector.SyncVectorEnv(
        [partial(Corridor, k, 4) for k in lengths], autoreset_mode=mode
    )
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


def test_history_counts_by_hand():
    h = History(2, ("loss",), None)
    e = Environments(agent(partial(Corridor, 2, 4)), 2, iter(range(100)))
    for step, actions in enumerate([[1, 0], [1, 0], [1, 0], [1, 0]]):
        h.note({"loss": float(step)})
        h.add(e.step(np.array(actions)), 2 * step + 2)
    table = pd.DataFrame(h.arrays())
    assert table.columns.tolist() == ["step", "return", "length", "loss"]
    assert table["step"].tolist() == [4, 8, 8]
    assert table["return"].tolist() == [3, 3, -10]
    assert table["length"].tolist() == [2, 2, 4]
    assert table["loss"].tolist() == [0.5, 2.5, 2.5]


# -- rollout, score, seeds ----------------------------------------------------------------------


def test_rollout_is_a_table_of_transitions():
    a = agent(Corridor).fit()
    table = a.rollout([3, 1, 3], greedy=False, random_state=5)
    assert table.columns.tolist() == [
        "observation_0", "observation_1", "action", "reward", "next_observation_0",
        "next_observation_1", "terminated", "truncated", "episode",
    ]  # fmt: skip
    assert table.episode.is_monotonic_increasing
    last = table.groupby("episode").tail(1)
    assert (last.terminated ^ last.truncated).all()
    assert (table.terminated | table.truncated).sum() == 3
    marks = table.groupby("episode").observation_1.first()
    assert marks[0] == marks[2]  # the same seed is the same world
    within = table[~(table.terminated | table.truncated)]
    np.testing.assert_array_equal(
        within.next_observation_0, table.observation_0.shift(-1)[within.index]
    )
    folds = list(GroupKFold(3).split(table, groups=table.episode))
    assert [table.episode.iloc[test].nunique() for _, test in folds] == [1, 1, 1]


def test_score_is_the_mean_return_of_greedy_episodes():
    a = agent(Corridor).fit()
    table = a.rollout(np.arange(40))
    assert a.score(np.arange(40)) == pytest.approx(table.reward.sum() / 40)
    assert a.score() == pytest.approx(a.rollout().reward.sum() / a.score_episodes)


def test_seeds_of_score_are_apart_from_those_of_fit():
    class Noted(Corridor):
        heard = []  # noqa: RUF012 - shared on purpose

        def reset(self, *, seed=None, options=None):
            Noted.heard.append(seed)
            return super().reset(seed=seed)

    a = agent(Noted).fit()
    fitted = set(Noted.heard)
    Noted.heard.clear()
    a.score()
    assert len(Noted.heard) == a.score_episodes
    assert not fitted & set(Noted.heard)


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


@pytest.mark.parametrize("X", [[], [-1], [[1, 2]], [0.5], ["a"]])
def test_bad_seeds_get_a_sentence(X):
    with pytest.raises(ValueError, match="no list of episode seeds"):
        agent(Corridor).fit(X)


# -- spaces and threads ----------------------------------------------------------------------------


def test_encoding():
    discrete = read_space(gym.spaces.Discrete(3, start=2))
    np.testing.assert_array_equal(encode(discrete, np.array([2, 4])), [[1, 0, 0], [0, 0, 1]])
    pixels = read_space(gym.spaces.Box(0, 255, (2, 2), np.uint8))
    rows = encode(pixels, np.full((1, 2, 2), 51, dtype=np.uint8))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.2] * 4])
    bits = read_space(gym.spaces.MultiBinary(3))
    np.testing.assert_array_equal(encode(bits, np.array([[1, 0, 1]], np.int8)), [[1, 0, 1]])


def blas_threads():
    return sorted(p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas")


def test_threads_are_one_while_learning_and_restored_after_errors():
    before = blas_threads()
    during = []

    class Watching(Corridor):
        def step(self, action):
            during.append(max(blas_threads()))
            if len(during) == 5:
                raise OSError("the robot fell over")
            return super().step(action)

    with pytest.raises(OSError, match="fell over"):
        agent(Watching, n_envs=1).fit()
    assert set(during) == {1}
    assert blas_threads() == before
    with one_thread, one_thread:
        pass
    assert blas_threads() == before
