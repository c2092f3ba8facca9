"""The engine of agents: scores and rollouts, interrupted fits, files, networks of the user's own."""

import pickle
from copy import deepcopy
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from corridor import Corridor, agent
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from torch import nn

import zoo
from zoo.engines.acting.estimator import OPTIMIZER_NAMES
from zoo.engines.modules import blocks
from zoo.engines.neural.dense import DensePass
from zoo.engines.neural.optim import OPTIMIZERS

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
    np.testing.assert_array_equal(within.next_observation_0, table.observation_0.shift(-1)[within.index])
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


@pytest.mark.parametrize("X", [[], [-1], [[1, 2]], [0.5], ["a"]])
def test_bad_seeds_get_a_sentence(X):
    with pytest.raises(ValueError, match="no list of episode seeds"):
        agent(Corridor).fit(X)


def test_every_seed_has_its_return():
    a = agent(Corridor).fit()
    table = a.rollout(np.arange(40))
    returns = a.evaluate(np.arange(40))
    np.testing.assert_allclose(returns, table.groupby("episode").reward.sum())
    assert a.score(np.arange(40)) == returns.mean()
    assert len(a.evaluate()) == a.score_episodes


def test_rollout_gives_arrays_in_their_own_shape():
    a = agent("ZooFilm-v0").fit()
    arrays, table = a.rollout([1, 2], as_frame=False), a.rollout([1, 2])
    assert arrays["observation"].shape == (len(table), 4, 5)
    assert arrays["observation"].dtype == np.uint8
    for name in ("action", "reward", "terminated", "truncated", "episode"):
        np.testing.assert_array_equal(arrays[name], table[name])
    np.testing.assert_array_equal(
        arrays["next_observation"].reshape(len(table), -1),
        table.filter(like="next_observation").to_numpy(),
    )


def test_predict_may_draw():
    a = agent(Corridor, exploration_final_eps=1.0).fit()
    x = np.zeros((500, 2))
    drawn = a.predict(x, deterministic=False, random_state=0)
    np.testing.assert_array_equal(drawn, a.sample_action(x, random_state=0))
    assert len(np.unique(drawn)) == 2
    assert len(np.unique(a.predict(x))) == 1


@pytest.mark.parametrize("x", [[300, 0, 0], [0, -1, 0], [0.5, 0, 0]])
def test_observations_are_checked_before_they_are_cast(x):
    class Bytes(Corridor):
        observation_space = gym.spaces.Box(0, 255, (3,), np.uint8)

        def see(self):
            return np.zeros(3, np.uint8)

    a = agent(Bytes).fit()
    a.predict([255, 0, 0])
    with pytest.raises(ValueError, match="observations are none that DQN was fitted on"):
        a.predict(x)


# -- fits that end early ----------------------------------------------------------------------------


class Falling(Corridor):
    """Raises at its 40th step."""

    count = 0

    def step(self, action):
        Falling.count += 1
        if Falling.count == 40:
            raise OSError("the robot fell over")
        return super().step(action)


def test_an_environment_that_raises_leaves_what_was_learned():
    Falling.count = 0
    a = agent(Falling, n_envs=1)
    with pytest.raises(OSError, match="fell over") as told:
        a.fit()
    assert "keeps what it had learned in 39 steps" in "".join(told.value.__notes__)
    assert a.n_steps_ == 39
    assert a.n_updates_ > 0
    assert a.predict([[0.0, 1.0]]).shape == (1,)
    Falling.count = 100
    assert a.partial_fit().n_steps_ == 39 + 60
    assert "_ended_by" not in vars(a)


def test_an_environment_that_raises_at_once_leaves_the_agent_as_it_was():
    class Never(Corridor):
        def step(self, action):
            raise OSError("no power")

    a = agent(Corridor).fit()
    before = a.weights_
    a.set_params(env=Never)
    with pytest.raises(OSError, match="no power"):
        a.fit()
    np.testing.assert_array_equal(a.weights_, before)
    fresh = agent(Never)
    with pytest.raises(OSError, match="no power"):
        fresh.fit()
    assert not hasattr(fresh, "n_steps_")


def test_a_short_fit_has_a_history():
    a = agent(partial(Corridor, 10**6, 10**6), total_timesteps=40, n_envs=2).fit()
    assert a.history_["step"].tolist() == [40]
    assert np.isnan(a.history_["return"]).all()
    assert np.isfinite(a.history_["loss"]).all()
    a.set_params(env=partial(Corridor, 3, 5), warm_start=True).fit()
    assert np.isfinite(a.history_["return"]).all()
    assert len(a.history_["return"]) > 1


# -- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", [Corridor, lambda: Corridor(), Corridor()])
def test_agents_without_an_id_are_saved_without_their_environment(env, tmp_path):
    a = agent(env).fit()
    zoo.save(a, tmp_path / "agent.zoo")
    assert a.env is env
    with pytest.warns(UserWarning, match=r"saved without its environment.*set_params\(env="):
        loaded = zoo.load(tmp_path / "agent.zoo")
    x = np.zeros((3, 2))
    np.testing.assert_array_equal(loaded.action_value(x), a.action_value(x))
    with pytest.raises(ValueError, match="no environment to act in"):
        loaded.score([1])
    loaded.set_params(env=Corridor)
    assert loaded.score([1, 2]) == a.score([1, 2])


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("buffer_size", [30, 1000])
def test_a_memory_that_was_kept_is_in_the_file(prioritized, buffer_size, tmp_path):
    a = agent("ZooCorridor-v0", keep_replay=True, prioritized=prioritized, buffer_size=buffer_size).fit()
    zoo.save(a, tmp_path / "agent.zoo")
    loaded = zoo.load(tmp_path / "agent.zoo")
    assert len(loaded.replay_) == len(a.replay_)
    for copy in (loaded, pickle.loads(pickle.dumps(a))):
        np.testing.assert_array_equal(copy.partial_fit().weights_, deepcopy(a).partial_fit().weights_)


def test_files_of_the_version_before_are_refused():
    with pytest.raises(ValueError, match="another kind; fit it again"):
        agent(Corridor).__zoo_restore__({"weights_": np.zeros(3), "env": "CartPole-v1"})


# -- networks ---------------------------------------------------------------------------------------


def body(shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 8), nn.ELU())


def dense_body(shape):
    return nn.Sequential(nn.Linear(shape[0], 8), nn.Tanh())


@pytest.mark.parametrize("env", [Corridor, "ZooFilm-v0"])
@pytest.mark.parametrize("dueling", [False, True])
def test_a_network_of_ones_own_learns_and_is_copied(env, dueling):
    a = agent(env, network=body, dueling=dueling, hidden_layer_sizes=()).fit()
    assert isinstance(a.network_.body if env is Corridor else a.network_.body.body[2], nn.Module)
    assert a.n_updates_ > 0
    x = a.rollout([1], as_frame=False)["observation"]
    for copy in (pickle.loads(pickle.dumps(a)), deepcopy(a)):
        np.testing.assert_array_equal(copy.action_value(x), a.action_value(x))
        np.testing.assert_array_equal(copy.partial_fit().weights_, deepcopy(a).partial_fit().weights_)
    np.testing.assert_array_equal(clone(a).fit().weights_, a.weights_)


def test_a_module_is_copied_and_stays_what_it_was():
    with blocks.seeded(0):
        given = dense_body((2,))
    before = given[0].weight.detach().clone()
    a = agent(Corridor, network=given).fit()
    torch.testing.assert_close(given[0].weight, nn.Parameter(before))
    assert not torch.equal(a.network_.body[0].weight, before)


def test_ones_own_perceptron_is_stepped_by_hand_with_the_same_result(monkeypatch):
    """What the fast step makes is what autograd makes."""
    fast = agent(Corridor, network=dense_body).fit()
    monkeypatch.setattr(DensePass, "of", lambda module: None)
    slow = agent(Corridor, network=dense_body).fit()
    np.testing.assert_allclose(fast.weights_, slow.weights_, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dueling", [False, True])
def test_learning_by_hand_and_by_autograd_may_alternate(dueling, monkeypatch):
    """The optimiser of torch holds the state of both, so that a saved agent may go on elsewhere."""
    a = agent(Corridor, dueling=dueling).fit()
    by_hand = deepcopy(a).partial_fit()
    monkeypatch.setattr(DensePass, "of", lambda module: None)
    by_graph = deepcopy(a).partial_fit()
    assert (by_hand.weights_ != a.weights_).any()
    np.testing.assert_allclose(by_hand.weights_, by_graph.weights_, rtol=1e-3, atol=1e-4)


def test_dropout_of_ones_own_draws_from_the_agents_generator():
    def noisy(shape):
        return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5))

    a, b = (agent(Corridor, network=noisy).fit() for _ in range(2))
    np.testing.assert_array_equal(a.weights_, b.weights_)
    x = np.ones((3, 2))
    np.testing.assert_array_equal(a.action_value(x), a.action_value(x))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda shape: nn.Linear(9, 3), r"cannot read observations of shape \(2,\)"),
        (lambda shape: nn.Unflatten(1, (1, 2)), "one row of features"),
        (lambda shape: 3, "network made int"),
        ("resnet", "network"),
    ],
)
def test_networks_that_do_not_fit_get_a_sentence(network, words):
    with pytest.raises(ValueError, match=words):
        agent(Corridor, network=network).fit()


def test_a_network_of_ones_own_is_saved_by_its_weights(tmp_path):
    a = agent("ZooCorridor-v0", network=body).fit()
    zoo.save(a, tmp_path / "agent.zoo")
    with pytest.warns(UserWarning, match=r"saved without its network.*set_params\(network="):
        loaded = zoo.load(tmp_path / "agent.zoo")
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"set_params\(network=\.\.\.\)"):
        loaded.predict(x)
    loaded.set_params(network=body)
    np.testing.assert_array_equal(loaded.action_value(x), a.action_value(x))
    np.testing.assert_array_equal(loaded.partial_fit().weights_, deepcopy(a).partial_fit().weights_)


@pytest.mark.parametrize("optimizer", [*OPTIMIZER_NAMES, torch.optim.NAdam])
def test_every_optimiser_learns_and_goes_on(optimizer):
    a = agent(Corridor, optimizer=optimizer, lr=1e-2).fit()
    assert np.isfinite(a.weights_).all()
    again = pickle.loads(pickle.dumps(a))
    np.testing.assert_array_equal(again.partial_fit().weights_, deepcopy(a).partial_fit().weights_)


def test_optimisers_are_those_of_the_trainer():
    assert set(OPTIMIZER_NAMES) == set(OPTIMIZERS)
    for strange in ("adamax", 3, dict):
        with pytest.raises(ValueError, match="optimizer"):
            agent(Corridor, optimizer=strange).fit()


def test_the_network_is_a_torch_module_in_evaluation_mode():
    a = agent(Corridor).fit()
    assert isinstance(a.network_, nn.Module)
    assert not a.network_.training
    x = np.ones((3, 2), np.float32)
    with torch.no_grad():
        q = a.network_(torch.from_numpy(x))
    np.testing.assert_allclose(a.action_value(x), q, atol=1e-6)
    flat = [p.detach().numpy().ravel() for p in a.network_.parameters()]
    np.testing.assert_array_equal(a.weights_, np.concatenate(flat))


def test_a_device_that_is_not_there_gets_a_sentence():
    with pytest.raises(ValueError, match="device='cuda:31'"):
        agent(Corridor, device="cuda:31").fit()


@pytest.mark.gpu
@pytest.mark.parametrize("env", [Corridor, "ZooFilm-v0"])
def test_agents_learn_on_a_gpu(env, tmp_path):
    a = agent(env, device="cuda", total_timesteps=200).fit()
    assert next(a.network_.parameters()).is_cuda
    slow = agent(env, device="cpu", total_timesteps=200).fit()
    x = a.rollout([1], as_frame=False)["observation"]
    np.testing.assert_allclose(a.action_value(x), slow.action_value(x), rtol=0.05, atol=0.05)
    again = pickle.loads(pickle.dumps(a))
    np.testing.assert_allclose(again.action_value(x), a.action_value(x), rtol=1e-5, atol=1e-6)
    assert again.partial_fit().n_steps_ > a.n_steps_


def test_small_images_are_learned_in_one_thread_of_torch_too():
    seen = []

    class Watched(nn.Flatten):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return super().forward(x)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        agent("ZooFilm-v0", network=lambda shape: Watched()).fit()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen[3:]) == {1}  # the first look only at the shape of the features
