"""The perceptron: its equation by hand, its sizes, its initialisations."""

import math

import numpy as np
import pytest
import torch

from zoo.engines.modules import blocks
from zoo.engines.modules.perceptron import perceptron


def built(sizes, activation="relu", dropout=0.0, dropconnect=0.0, norm=None, init="glorot_uniform"):
    with blocks.seeded(0):
        module = perceptron(list(sizes), activation, dropout, dropconnect, norm, init).double()
    return blocks.bind_generator(module, torch.Generator().manual_seed(0))


def rows(n, d):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


# -- equation ------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity", "gelu", "silu"])
def test_layers_by_hand(activation):
    module = built([3, 5, 4, 2], activation)
    h = {
        "relu": lambda a: a.clamp_min(0),
        "tanh": torch.tanh,
        "logistic": lambda a: 1 / (1 + torch.exp(-a)),
        "identity": lambda a: a,
        "gelu": lambda a: a * 0.5 * (1 + torch.erf(a / math.sqrt(2))),
        "silu": lambda a: a / (1 + torch.exp(-a)),
    }[activation]
    a = x = rows(6, 3)
    linears = [m for m in module if isinstance(m, torch.nn.Linear)]
    for i, linear in enumerate(linears):
        a = a @ linear.weight.T + linear.bias
        a = h(a) if i < len(linears) - 1 else a
    torch.testing.assert_close(module(x), a)


@pytest.mark.parametrize("norm", ["batch", "layer", "rms"])
def test_norm_comes_before_the_activation(norm):
    module = built([3, 50, 2], norm=norm)
    normed = module[1](module[0](rows(40, 3)))
    if norm == "batch":
        mean, square = normed.mean(0), (normed**2).mean(0)
    else:
        mean, square = normed.mean(1), (normed**2).mean(1)
    assert torch.allclose(square, torch.ones_like(square), atol=2e-3)
    assert torch.allclose(mean, torch.zeros_like(mean), atol=1e-9) == (norm != "rms")


@pytest.mark.parametrize(
    ("initialization", "variance"),
    [
        ("glorot_uniform", 2 / (300 + 200)),
        ("glorot_normal", 2 / (300 + 200)),
        ("he_uniform", 2 / 300),
        ("he_normal", 2 / 300),
        ("lecun_normal", 1 / 300),
        ("zeros", 0.0),
        ("torch", 1 / (3 * 300)),
    ],
)
def test_variance_of_the_first_weights(initialization, variance):
    weight = built([300, 200, 2], init=initialization)[0].weight
    assert weight.var().item() == pytest.approx(variance, rel=0.03)
    if "uniform" in initialization:
        assert weight.abs().max().item() <= math.sqrt(3 * variance)


def test_orthogonal_weights_have_orthonormal_rows():
    weight = built([30, 20, 2], init="orthogonal")[0].weight
    product = (weight @ weight.T).detach().numpy()
    np.testing.assert_allclose(product, np.eye(20), atol=1e-6)


# -- character ------------------------------------------------------------


def test_parameters_of_the_textbook_example():
    module = built([3072, 128, 128, 10])
    assert sum(p.numel() for p in module.parameters()) == 411_146


def test_no_hidden_layer_is_one_linear_map():
    module = built([3, 2], dropout=0.5, norm="batch")
    assert [type(m) for m in module] == [torch.nn.Linear]


def test_dropout_keeps_the_mean_and_is_off_in_evaluation():
    module = built([4, 2000, 1], dropout=0.3)
    hidden = torch.nn.Sequential(*list(module)[:-1])
    x = rows(1, 4)
    hidden.eval()
    still = hidden(x)
    hidden.train()
    noisy = hidden(x)
    fired = still > 0
    assert (noisy[fired] == 0).double().mean().item() == pytest.approx(0.3, abs=0.05)
    assert noisy.sum().item() == pytest.approx(still.sum().item(), rel=0.1)
    torch.testing.assert_close(noisy[noisy > 0] * 0.7, still[noisy > 0])


def test_dropconnect_silences_weights():
    module = built([4, 300, 1], dropconnect=0.4)
    x = rows(5, 4)
    module.eval()
    still = module(x)
    torch.testing.assert_close(still, module(x))
    module.train()
    draws = torch.stack([module[0](x) for _ in range(400)])
    torch.testing.assert_close(draws.mean(0), module[0].eval()(x), atol=0.25, rtol=0)
    assert not torch.equal(draws[0], draws[1])
