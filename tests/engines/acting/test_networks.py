"""Networks of agents: convolutions, initial weights, a user's own body."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from zoo.engines.acting import networks
from zoo.engines.modules import blocks


def convolutions(shape, filters, activation="relu"):
    with blocks.seeded(0):
        return networks.Convolutions(shape, filters, activation)


@pytest.mark.parametrize("shape", [(7, 6), (3, 7, 6), (7, 6, 3)])
@pytest.mark.parametrize("activation", networks.ACTIVATIONS)
def test_convolutions_are_those_of_torch(shape, activation):
    module = convolutions(shape, (4, 5), activation)
    networks.initialize(module, activation, np.random.default_rng(0))
    images = torch.tensor(np.random.default_rng(1).normal(size=(9, *shape)), dtype=torch.float32)
    act = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda h: h}[activation]
    h = images[:, None] if len(shape) == 2 else images.movedim(-1, 1) if shape[-1] == 3 else images
    for layer in (module.layers[0], module.layers[2]):
        h = act(conv2d(h, layer.weight, layer.bias, stride=2, padding=1))
    assert module.n_features == 5 * 2 * 2
    torch.testing.assert_close(module(images), h.movedim(1, -1).flatten(1))


def test_no_rows_give_no_features():
    assert convolutions((8, 8, 1), (4,))(torch.zeros(0, 8, 8, 1)).shape == (0, 4 * 4 * 4)


def test_initial_parameters_are_seeded_and_scaled():
    draws = []
    for seed in (0, 0, 1):
        module = convolutions((3, 16, 16), (32, 32))
        networks.initialize(module, "relu", np.random.default_rng(seed))
        draws.append(module.layers[2].weight.detach().numpy().copy())
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()
    assert draws[0].std() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)  # He: 2 / fan-in
    assert not module.layers[2].bias.detach().any()


def test_heads_begin_small():
    with blocks.seeded(0):
        body, head = networks.perceptron(50, (50,), "tanh"), nn.Linear(50, 50)
    networks.initialize(nn.Sequential(body, head), "tanh", np.random.default_rng(0), [head])
    ratio = float(body[0].weight.detach().std() / head.weight.detach().std())
    assert ratio == pytest.approx(10, rel=0.1)
    before = body[0].weight.clone()
    networks.initialize(nn.Sequential(body, head), "tanh", np.random.default_rng(1), [head], only_heads=True)
    assert torch.equal(before, body[0].weight)


# -- a user's own -----------------------------------------------------------------------------------


def test_a_module_is_copied_and_a_factory_is_told_the_shape():
    with blocks.seeded(0):
        given = nn.Linear(3, 5)
        copied = networks.users_own(given, (3,), "DQN")
        assert copied is not given
        assert torch.equal(copied.weight, given.weight)
        asked = []
        made = networks.users_own(lambda shape: asked.append(shape) or nn.Linear(3, 7), (3,), "DQN")
    assert asked == [(3,)]
    assert networks.features_of(made, (3,), "DQN") == 7


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda: nn.Linear(4, 2), r"cannot read observations of shape \(3,\)"),
        (lambda: nn.Unflatten(1, (1, 3)), r"one row of features .* gave \(2, 1, 3\)"),
        (lambda: nn.LSTM(3, 2), "gave tuple"),
    ],
)
def test_a_body_that_gives_no_features_gets_a_sentence(body, words):
    with blocks.seeded(0), pytest.raises(ValueError, match=words):
        networks.features_of(body(), (3,), "DQN")


def test_a_factory_of_something_else_gets_a_sentence():
    with pytest.raises(ValueError, match=r"network made dict of the shape \(3,\)"):
        networks.users_own(lambda shape: {}, (3,), "DQN")
