"""Losses of agents: autograd is the oracle of every slope."""

import numpy as np
import pytest
import torch

from zoo.engines.acting.distributions import Bernoulli, Categorical, Gaussian
from zoo.engines.acting.losses import clipped_policy, cross_entropy, temporal_difference

N = 40


@pytest.mark.parametrize(
    ("kind", "peer"),
    [
        ("squared", torch.nn.MSELoss(reduction="none")),
        ("huber", torch.nn.HuberLoss(reduction="none")),
    ],
)
def test_errors_of_values(kind, peer):
    delta = np.random.default_rng(0).normal(0, 2, N)
    leaf = torch.tensor(delta, requires_grad=True)
    expected = peer(leaf, torch.zeros(N, dtype=torch.float64))
    expected.sum().backward()
    losses, slopes = temporal_difference(kind, delta)
    np.testing.assert_allclose(losses, expected.detach())
    np.testing.assert_allclose(slopes, leaf.grad)


def test_cloning_is_cross_entropy():
    rng = np.random.default_rng(0)
    z, a = rng.normal(size=(N, 3)), rng.integers(0, 3, N)
    leaf = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(leaf, torch.tensor(a), reduction="none")
    expected.sum().backward()
    losses, slopes = cross_entropy(Categorical(3), z, a)
    np.testing.assert_allclose(losses, expected.detach())
    np.testing.assert_allclose(slopes, leaf.grad)


@pytest.mark.parametrize("distribution", [Categorical(3), Bernoulli(2), Gaussian(2)])
@pytest.mark.parametrize("ent_coef", [0.0, 0.01])
def test_the_clipped_loss(distribution, ent_coef):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, distribution.n_parameters))
    a = distribution.sample(z, rng)
    # Half of the ratios are clipped, on either side and with either sign of the advantage.
    old = distribution.log_prob(z, a) + rng.normal(0, 0.4, N)
    A = rng.normal(size=N)
    leaf, actions = torch.tensor(z, requires_grad=True), torch.tensor(a)
    ratio = (distribution.log_prob(leaf, actions) - torch.tensor(old)).exp()
    advantage = torch.tensor(A)
    expected = -torch.minimum(ratio * advantage, ratio.clip(0.8, 1.2) * advantage)
    expected = expected - ent_coef * distribution.entropy(leaf)
    expected.sum().backward()
    losses, slopes = clipped_policy(distribution, z, a, old, A, 0.2, ent_coef)
    assert 10 < (np.abs(ratio.detach().numpy() - 1) > 0.2).sum() < 35
    np.testing.assert_allclose(losses, expected.detach(), rtol=1e-10)
    np.testing.assert_allclose(slopes, leaf.grad, rtol=1e-8, atol=1e-12)
