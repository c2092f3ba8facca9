"""DQN: the target by hand, the optimal values of a known world, and the contract of an agent."""

import json
import pickle
import runpy
import zipfile
from copy import deepcopy
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import zoo
from zoo.agents._qlearning import QLearner, td_targets
from zoo.agents.dqn import DQN
from zoo.engines.acting.environments import Transitions
from zoo.engines.acting.images import random_shift
from zoo.engines.acting.replay import Batch
from zoo.engines.acting.spaces import Discrete

GAMMA = 0.9
# P[s, a] = (next state, reward); from state 3 every action ends the episode.
WORLD = np.array(
    [
        [[1, 0.0], [2, 0.0], [0, 0.1]],
        [[3, 1.0], [0, 0.0], [1, -0.1]],
        [[3, 0.5], [1, 0.2], [0, 0.0]],
        [[0, 2.0], [0, 1.0], [0, 3.0]],
    ]
)


class Chain(gym.Env):
    """Four states, three actions, deterministic; never ends but from state 3."""

    observation_space = gym.spaces.Discrete(4)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, limit=8):
        self.limit = limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.s, self.t = int(self.np_random.integers(4)), 0
        return self.s, {}

    def step(self, action):
        before = self.s
        after, reward = WORLD[before, action]
        self.s = int(after)
        self.t += 1
        return self.s, float(reward), before == 3, self.t >= self.limit, {}


class Pole(gym.Env):
    """Keep x near 0 for 20 steps: the action's sign must be that of -x."""

    observation_space = gym.spaces.Box(-5, 5, (1,), np.float32)
    action_space = gym.spaces.Discrete(2, start=3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = float(self.np_random.uniform(-0.5, 0.5)), 0
        return np.array([self.x], np.float32), {}

    def step(self, action):
        assert action in (3, 4)
        self.x += 0.3 * (1 if action == 4 else -1) + 0.1 * np.sign(self.x)
        self.t += 1
        return np.array([self.x], np.float32), 1.0, abs(self.x) > 1, self.t >= 20, {}


class Catch(gym.Env):
    """A ball falls from the top of an image of 8 x 8; be under it when it lands."""

    observation_space = gym.spaces.Box(0, 255, (8, 8), np.uint8)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.ball, self.hand, self.row = int(self.np_random.integers(8)), 4, 0
        return self.image(), {}

    def image(self):
        image = np.zeros((8, 8), np.uint8)
        image[self.row, self.ball] = image[7, self.hand] = 255
        return image.reshape(self.observation_space.shape)

    def step(self, action):
        self.hand = min(max(self.hand + int(action) - 1, 0), 7)
        self.row += 1
        ended = self.row == 7
        return self.image(), float(ended and self.hand == self.ball), ended, False, {}


# Files keep an environment by its id.
gym.register("ZooCatch-v0", entry_point=Catch)


class CatchFirst(Catch):
    """The same with an axis for the channel."""

    observation_space = gym.spaces.Box(0, 255, (1, 8, 8), np.uint8)


def optimal_q():
    q = np.zeros((4, 3))
    for _ in range(500):
        after, reward = WORLD[..., 0].astype(int), WORLD[..., 1]
        q = reward + GAMMA * q.max(1)[after] * (np.arange(4) != 3)[:, None]
    return q


small = partial(DQN, env=Pole, total_timesteps=3000, learning_starts=200, batch_size=32,
                hidden_layer_sizes=(16,), random_state=0)  # fmt: skip

seeing = partial(DQN, env="ZooCatch-v0", total_timesteps=5000, learning_starts=300, batch_size=32,
                 filters=(8, 16), lr=2e-3, random_state=0)  # fmt: skip


@pytest.fixture(scope="module")
def catcher():
    return seeing(random_shift=1, n_augmentations=2).fit()


@pytest.fixture(scope="module")
def fitted():
    return small().fit(np.arange(50))


# -- equation ----------------------------------------------------------------------------------


def batch_of(**kw):
    n = len(kw["returns"])
    parts = dict.fromkeys(("observations", "actions", "next_observations"), np.zeros(n))
    parts |= {"weights": None, "rows": np.arange(n)} | {k: np.array(v) for k, v in kw.items()}
    return Batch(**parts)


def test_target_by_hand():
    # one step; terminated; three steps (discount gamma^3); truncated (as one step)
    batch = batch_of(returns=[1.0, 1.0, 2.71, 1.0], discounts=[0.9, 0.0, 0.729, 0.9])
    rates = np.array([[1.0, 5.0]] * 4)
    chooses = np.array([[2.0, 0.0]] * 4)
    np.testing.assert_allclose(td_targets(batch, rates, rates), [5.5, 1, 2.71 + 3.645, 5.5])
    np.testing.assert_allclose(td_targets(batch, rates, chooses), [1.9, 1, 2.71 + 0.729, 1.9])


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("prioritized", [False, True])
def test_an_update_is_a_gradient_step_on_the_loss(double, prioritized):
    """Tabular: after one batch, only Q(s, a) of the drawn transition moves, towards its target."""
    agent = DQN(env=Chain, hidden_layer_sizes=(), double=double, prioritized=prioritized, tau=0.25,
                n_step=1, gamma=GAMMA, batch_size=1, learning_starts=1, train_freq=1, lr=0.1,
                lr_schedule="constant", total_timesteps=100)  # fmt: skip
    agent.observation_space_, agent.action_space_ = Discrete(4), Discrete(3)
    agent.schedule_start_ = 0
    learner = agent._learner(np.random.default_rng(0), False)
    assert isinstance(learner, QLearner)
    # Views: what the learner steps is what is seen here.
    W = learner.q.module.advantage.weight.detach().numpy().T
    W[:] = np.arange(12).reshape(4, 3) / 10
    target = learner.q.slow_piece.module.advantage.weight.detach().numpy().T
    target[:] = -W
    old_target = target.copy()
    old = W.copy()
    t = Transitions(np.array([1]), np.array([0]), np.array([1.0]), np.array([3]),
                    np.array([False]), np.array([True]), np.array([True]))  # fmt: skip
    # State 3: the network prefers action 2 (1.1), its target action 0 (-0.9).
    y = 1.0 + GAMMA * (-1.1 if double else -0.9)
    noted = learner.learn(t, 1)
    assert noted["loss"] == pytest.approx((old[1, 0] - y) ** 2, rel=1e-5)
    moved = np.argwhere(old != W)
    assert moved.tolist() == [[1, 0]]
    assert W[1, 0] == pytest.approx(old[1, 0] - 0.1, abs=1e-5)  # Adam's first step is lr
    np.testing.assert_allclose(target, 0.75 * old_target + 0.25 * W, atol=1e-6)


@pytest.mark.parametrize("prioritized", [False, True])
def test_targets_and_loss_are_averaged_over_shifts(prioritized):
    agent = seeing(random_shift=1, n_augmentations=3, total_timesteps=300, n_envs=1, n_step=1,
                   keep_replay=True, prioritized=prioritized, double=False).fit()  # fmt: skip
    again = deepcopy(agent)._learner(np.random.default_rng(5), True)
    learner = agent._learner(np.random.default_rng(5), True)

    batch = again.replay.sample(agent.batch_size, again.rng)
    Q, Q_target = again.q.outputs, again.q.slow_outputs

    def values(network, images):
        return network(images.reshape(len(images), -1) / np.float32(255))

    f = {name: random_shift(np.concatenate([getattr(batch, name)] * 3), 1, None, again.rng)
         for name in ("observations", "next_observations")}  # fmt: skip
    best = values(Q_target, f["next_observations"]).max(axis=1).reshape(3, -1)
    y = batch.returns + batch.discounts * best.mean(axis=0)
    q = values(Q, f["observations"])[np.arange(96), np.tile(batch.actions, 3)].reshape(3, -1)
    w = 1 if batch.weights is None else batch.weights
    expected = (w * (y - q) ** 2).mean()

    assert learner.update(300) == pytest.approx(expected, rel=1e-4)
    if prioritized:
        again.replay.update(batch.rows, np.abs(y - q).mean(axis=0))
        np.testing.assert_allclose(learner.replay.tree, again.replay.tree, rtol=1e-4)


def test_schedules_begin_anew_with_a_fit_and_go_on_in_partial_fits():
    agent = small(total_timesteps=2000, warm_start=True)
    for _ in range(2):
        agent.partial_fit()
    assert agent.schedule_start_ == 0
    assert agent.history_["epsilon"][-1] == pytest.approx(0.05)
    before, begun = agent.n_steps_, len(agent.history_["epsilon"])
    agent.fit()
    assert agent.schedule_start_ == before
    assert agent.history_["epsilon"][begun:].max() > 0.4  # falls from 1 again
    learner = agent._learner(np.random.default_rng(0), True)
    assert learner.progress(before) == 0
    assert learner.progress(before + 500) == pytest.approx(0.25)
    after = agent.partial_fit().schedule_start_
    assert after == before


def slow(agent):
    """The target network's parameters, in the order of `weights_`."""
    arrays = agent.optimizer_state_["slow"]
    names = [name for name, _ in agent.network_.named_parameters()]
    return np.concatenate([arrays[name].ravel() for name in names])


def test_hard_target_is_a_copy_now_and_then():
    agent = small(target_update_interval=5, tau=1.0, n_envs=1, train_freq=1, total_timesteps=204)
    agent.fit()
    # learning begins at step 200: 5 updates, the last of which copied.
    assert agent.n_updates_ == 5
    np.testing.assert_array_equal(slow(agent), agent.weights_)
    again = clone(agent).set_params(total_timesteps=205).fit()
    assert again.n_updates_ == 6
    assert (slow(again) != again.weights_).any()


def test_a_memory_smaller_than_learning_starts_still_learns():
    assert small(buffer_size=64, total_timesteps=300).fit().n_updates_ > 100


def test_exploration_falls_linearly_and_stays():
    learner = object.__new__(QLearner)
    learner.agent = small(exploration_fraction=0.5, exploration_final_eps=0.2, total_timesteps=100)
    assert [learner.epsilon(t) for t in (0, 25, 50, 80, 200)] == pytest.approx([1.0, 0.6, 0.2, 0.2, 0.2])


# -- oracle ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"double": False, "n_step": 1, "tau": 1.0, "target_update_interval": 20},
        {"prioritized": True, "n_step": 1},
        {"dueling": True, "n_step": 1},
        {"hidden_layer_sizes": (32,), "n_step": 1, "activation": "relu"},
        {"n_envs": 16, "n_step": 1, "loss": "huber"},
    ],
    ids=lambda o: "-".join(map(str, o)) or "default",
)
def test_values_converge_to_value_iteration(options):
    """Truncation after 8 steps must not show in the values: the world has no end there."""
    # n-step returns are off-policy: with them, only greedy actions tell the optimal values.
    options = {"hidden_layer_sizes": (), "n_step": 1, "lr": 2e-2} | options
    if options["hidden_layer_sizes"]:
        options["lr"] = 3e-3
    agent = DQN(env=Chain, gamma=GAMMA, total_timesteps=8000, learning_starts=500, batch_size=64,
                tau=options.pop("tau", 0.05), exploration_initial_eps=1.0,
                exploration_final_eps=1.0, random_state=0, **options).fit()  # fmt: skip
    q = optimal_q()
    np.testing.assert_allclose(agent.action_value(np.arange(4)), q, atol=0.06)
    np.testing.assert_allclose(agent.value(np.arange(4)), q.max(1), atol=0.06)
    np.testing.assert_array_equal(agent.predict(np.arange(4)), q.argmax(1))


# -- character ------------------------------------------------------------------------------------


def test_it_learns_and_beats_random(fitted):
    seeds = np.arange(1000, 1030)
    random = small(exploration_final_eps=1.0, total_timesteps=1).fit()
    chance = random.rollout(seeds, greedy=False, random_state=0).groupby("episode").reward.sum()
    assert chance.mean() < 12
    assert fitted.score(seeds) == 20


@pytest.mark.parametrize("options", [{"dueling": True}, {"prioritized": True}, {"double": False},
                                     {"max_grad_norm": None}, {"n_step": 1}])  # fmt: skip
def test_every_option_learns(options):
    assert small(**options).fit().score(np.arange(1000, 1010)) > 15


def test_images_are_learned(catcher):
    seeds = np.arange(1000, 1050)
    random = seeing(exploration_final_eps=1.0, total_timesteps=1).fit()
    chance = random.rollout(seeds, greedy=False, random_state=0).groupby("episode").reward.sum()
    assert chance.mean() < 0.3
    assert catcher.score(seeds) > 0.8
    assert seeing(env=CatchFirst).fit().score(seeds) > 0.8  # without augmentation


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_cartpole_is_solved(seed):
    """By gymnasium's own bar; one episode in a hundred may meet a state that training never saw."""
    agent = DQN(env="CartPole-v1", random_state=seed).fit()
    assert agent.evaluate(2**32 + np.arange(100)).mean() >= gym.spec("CartPole-v1").reward_threshold


# -- contract -------------------------------------------------------------------------------------


def test_actions_probabilities_and_values(fitted):
    x = np.linspace(-1, 1, 7)[:, None]
    actions = fitted.predict(x)
    assert set(actions) == {3, 4}  # the environment's own names of them
    assert fitted.predict(x[0]) == actions[0]
    q, p = fitted.action_value(x), fitted.predict_proba(x)
    np.testing.assert_array_equal(actions, q.argmax(1) + 3)
    np.testing.assert_array_equal(fitted.value(x), q.max(1))
    np.testing.assert_array_equal(fitted.action_value(x, actions), q.max(1))
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_allclose(p.max(1), 1 - 0.05 / 2)
    drawn = fitted.sample_action(np.repeat(x[:1], 4000, axis=0), random_state=0)
    assert np.mean(drawn == actions[0]) == pytest.approx(0.975, abs=0.01)
    np.testing.assert_array_equal(drawn, fitted.sample_action(np.repeat(x[:1], 4000, axis=0), random_state=0))


@pytest.mark.parametrize(
    ("x", "words"),
    [([[np.nan]], "NaN"), ([[1.0, 2.0]], "shape"), ([["a"]], "shape"), ([[[1.0]]], "shape")],
)
def test_bad_observations_get_a_sentence(fitted, x, words):
    with pytest.raises(ValueError, match=words):
        fitted.predict(x)


def test_bad_states_and_actions_get_a_sentence(fitted):
    agent = DQN(env=Chain, total_timesteps=10).fit()
    for x, words in ((4, "between 0 and 3"), (0.5, "whole")):
        with pytest.raises(ValueError, match=words):
            agent.predict([x])
    with pytest.raises(ValueError, match="actions"):
        fitted.action_value([[0.0]], [5])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "value", "score", "rollout"])
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(small(), method)([[0.0]])


def test_seeded_exactly(fitted):
    again = small().fit(np.arange(50))
    np.testing.assert_array_equal(again.weights_, fitted.weights_)
    for name, column in fitted.history_.items():
        np.testing.assert_array_equal(again.history_[name], column)
    other = small(random_state=1).fit(np.arange(50))
    assert (other.weights_ != fitted.weights_).any()


def test_history_is_a_table(fitted):
    table = pd.DataFrame(fitted.history_)
    assert table.columns.tolist() == ["step", "return", "length", "loss", "epsilon"]
    assert len(table) > 50
    assert table["step"].is_monotonic_increasing
    assert table["step"].iloc[-1] <= fitted.n_steps_
    assert table["loss"].iloc[-1] > 0


def test_copies_act_alike(fitted, tmp_path):
    x = np.linspace(-1, 1, 50)[:, None]
    for copy in (pickle.loads(pickle.dumps(fitted)), deepcopy(fitted)):
        np.testing.assert_array_equal(copy.action_value(x), fitted.action_value(x))
        assert copy.score([1, 2]) == fitted.score([1, 2])
    assert clone(fitted).get_params() == fitted.get_params()


def test_saved_agents_act_alike_and_go_on(tmp_path):
    agent = small(env="CartPole-v1", total_timesteps=1200).fit()
    zoo.save(agent, tmp_path / "agent.zoo")
    with zipfile.ZipFile(tmp_path / "agent.zoo") as file:
        assert json.loads(file.read("zoo.json"))["optimizer_state"] is True
    loaded = zoo.load(tmp_path / "agent.zoo")
    assert loaded.score([1, 2]) == agent.score([1, 2])
    pd.testing.assert_frame_equal(loaded.rollout([3]), agent.rollout([3]))
    np.testing.assert_array_equal(loaded.partial_fit().weights_, agent.partial_fit().weights_)
    del loaded.optimizer_state_  # a file may come without it
    assert loaded.partial_fit().n_steps_ == pytest.approx(3200, abs=30)


def test_agents_that_see_are_kept_and_repeat(catcher, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    q = catcher.action_value(images)
    assert q.shape == (30, 3)
    assert catcher.predict(images[0]) == q[0].argmax()
    zoo.save(catcher, tmp_path / "agent.zoo")
    loaded = zoo.load(tmp_path / "agent.zoo")
    for copy in (pickle.loads(pickle.dumps(catcher)), deepcopy(catcher), loaded):
        np.testing.assert_array_equal(copy.action_value(images), q)
        assert copy.score([1, 2, 3]) == catcher.score([1, 2, 3])
    again = deepcopy(catcher).partial_fit()
    np.testing.assert_array_equal(loaded.partial_fit().weights_, again.weights_)
    short = seeing(random_shift=1, total_timesteps=600)
    np.testing.assert_array_equal(clone(short).fit().weights_, short.fit().weights_)


def test_images_stay_bytes_in_the_memory():
    agent = seeing(total_timesteps=400, keep_replay=True).fit()
    assert agent.replay_.observations.dtype == np.uint8
    assert agent.replay_.observations.shape[1:] == (8, 8)
    assert agent.spec_["image_shape"] == (8, 8)


def test_images_as_rows_of_numbers():
    agent = seeing(filters=(), total_timesteps=400).fit()
    assert agent.spec_["n_inputs"] == 64


def test_only_images_can_be_shifted():
    with pytest.raises(ValueError, match="random_shift=2"):
        small(random_shift=2).fit()


def test_partial_fits_are_a_fit_but_for_the_memory():
    agent = small(keep_replay=True)
    for _ in range(3):
        agent.partial_fit(np.arange(50))
    assert 3000 <= agent.n_steps_ < 3000 + 3 * agent.n_envs
    assert agent.score() > 15
    assert (np.diff(agent.history_["step"]) >= 0).all()


def test_warm_start_goes_on_and_a_fresh_fit_does_not():
    agent = small(warm_start=True).fit()
    first = agent.weights_.copy()
    agent.fit()
    assert agent.n_steps_ == pytest.approx(6000, abs=10)
    assert (agent.weights_ != first).any()
    agent.set_params(env=Chain)
    with pytest.raises(ValueError, match="fit afresh"):
        agent.fit()
    agent.set_params(warm_start=False).fit()
    assert agent.n_steps_ == pytest.approx(3000, abs=10)


def test_interrupted_agents_keep_what_they_learned():
    class Tired(Pole):
        count = 0

        def step(self, action):
            Tired.count += 1
            if Tired.count == 700:
                raise KeyboardInterrupt
            return super().step(action)

    agent = small(env=Tired)
    with pytest.raises(KeyboardInterrupt):
        agent.fit()
    assert 600 < agent.n_steps_ < 700
    assert agent.predict([[0.3]]).shape == (1,)


def test_callbacks_see_true_snapshots():
    X = np.arange(20)
    monitor = ScoringMonitor(scoring={"mean return": lambda agent, X, y=None: agent.score(X)})
    agent = small().set_callbacks(monitor).fit(X)
    rows = monitor.get_logs(select="most_recent").data
    steps = [row["mean return"] for row in rows if row["task_name"] == "iteration"]
    assert len(steps) == 3
    assert steps[-1] == agent.score(X) == 20
    # The first snapshot is that of an agent fitted so far, seen before the second iteration.
    assert steps[0] == small().partial_fit(X).score(X)


def test_grid_search_over_seeds():
    search = GridSearchCV(
        DQN(env="CartPole-v1", total_timesteps=1200, random_state=0),
        {"gamma": [0.9, 0.99]}, cv=3, n_jobs=2,
    ).fit(np.arange(300))  # fmt: skip
    assert search.best_score_ > 5
    scores = search.cv_results_["split0_test_score"]
    expected = clone(search.estimator).set_params(gamma=0.99).fit(np.arange(100, 300))
    assert scores[1] == pytest.approx(expected.score(np.arange(100)))


def test_card_is_complete():
    card = DQN.card()
    assert card.missing() == []
    assert {"partial_fit", "callbacks", "probabilities"} <= set(card.capabilities)
    assert card.roles == ("Agent",)


def test_the_lesson_runs(monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    lesson = Path(__file__).resolve().parents[2] / "examples" / "plot_dqn_cartpole.py"
    monkeypatch.setenv("ZOO_EXAMPLE_SIZE", "small")
    names = runpy.run_path(str(lesson))
    assert len(names["history"]) > 20
    plt.close("all")
