"""Distributions of actions against torch.distributions, and their closed gradients against autograd."""

import numpy as np
import pytest
import torch
from torch import distributions as peers

from zoo.engines.acting.distributions import (
    Bernoulli,
    Categorical,
    Gaussian,
    MultiCategorical,
    SquashedGaussian,
)

N = 6


def multi(z):
    parts = [peers.Categorical(logits=part) for part in (z[:, :2], z[:, 2:5])]

    class Product:
        def log_prob(self, a):
            return sum(p.log_prob(a[:, j]) for j, p in enumerate(parts))

        def entropy(self):
            return sum(p.entropy() for p in parts)

    return Product()


def squashed(z):
    normal = peers.Independent(peers.Normal(z[:, :2], z[:, 2:].exp()), 1)
    return peers.TransformedDistribution(normal, peers.TanhTransform(cache_size=1))


CASES = {
    "categorical": (Categorical(4), lambda z: peers.Categorical(logits=z)),
    "multi": (MultiCategorical((2, 3)), multi),
    "bernoulli": (Bernoulli(3), lambda z: peers.Independent(peers.Bernoulli(logits=z), 1)),
    "gaussian": (
        Gaussian(2), lambda z: peers.Independent(peers.Normal(z[:, :2], z[:, 2:].exp()), 1),
    ),
    "squashed": (SquashedGaussian(2), squashed),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    ours, theirs = CASES[request.param]
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, ours.n_parameters))
    return ours, theirs, z, ours.sample(z, rng)


def closed(ours):
    return not isinstance(ours, SquashedGaussian)


def test_log_probabilities_and_entropy_are_those_of_torch(case):
    ours, theirs, z, a = case
    peer = theirs(torch.tensor(z))
    actions = torch.tensor(a).double() if isinstance(ours, Bernoulli) else torch.tensor(a)
    np.testing.assert_allclose(ours.log_prob(z, a), peer.log_prob(actions), rtol=1e-9, atol=1e-12)
    if closed(ours):
        np.testing.assert_allclose(ours.entropy(z), peer.entropy(), rtol=1e-9, atol=1e-12)


def test_gradients_are_those_of_autograd_and_tensors_do_as_arrays(case):
    ours, _, z, a = case
    for quantity, gradient in (
        (lambda t: ours.log_prob(t, torch.tensor(a)), ours.log_prob_gradient(z, a)),
        (ours.entropy, ours.entropy_gradient(z) if closed(ours) else None),
    ):
        if gradient is None:
            continue
        leaf = torch.tensor(z, requires_grad=True)
        value = quantity(leaf)
        value.sum().backward()
        np.testing.assert_allclose(gradient, leaf.grad, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.log_prob(torch.tensor(z), torch.tensor(a)), ours.log_prob(z, a))
    np.testing.assert_allclose(ours.mode(torch.tensor(z)), ours.mode(z))


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_draws_follow_the_distribution_and_their_generator(case, library):
    ours, _, z, _ = case
    rows = np.repeat(z[:1], 20_000, axis=0)

    def draw(seed):
        if library == "numpy":
            return ours.sample(rows, np.random.default_rng(seed))
        return ours.sample(torch.tensor(rows), torch.Generator().manual_seed(seed)).numpy()

    first = draw(0)
    np.testing.assert_array_equal(first, draw(0))
    assert (first != draw(1)).any()
    if closed(ours):  # -E log p is the entropy
        estimate = -ours.log_prob(rows, first).mean()
        assert estimate == pytest.approx(float(ours.entropy(z[:1])[0]), abs=0.03)
    else:
        np.testing.assert_allclose(np.arctanh(first).mean(axis=0), z[0, :2], atol=0.05)


def test_a_squashed_draw_knows_its_density_where_tanh_is_flat():
    ours = SquashedGaussian(2)
    z = np.array([[0.3, -0.2, -0.5, 0.1], [8.0, -8.0, 0.0, 0.0]])
    a, log_p = ours.sample_with_log_prob(z, np.random.default_rng(0))
    assert (np.abs(a) <= 1).all()
    np.testing.assert_allclose(log_p[0], ours.log_prob(z[:1], a[:1])[0], rtol=1e-6)
    assert np.isfinite(log_p).all()
    leaf = torch.tensor(z, requires_grad=True)
    drawn, density = ours.sample_with_log_prob(leaf, torch.Generator().manual_seed(0))
    (drawn.sum() + density.sum()).backward()
    assert leaf.grad.abs().sum() > 0  # an actor learns through what it drew
    with pytest.raises(NotImplementedError, match="no closed form"):
        ours.entropy(z)


def test_a_squashed_density_integrates_to_one():
    ours = SquashedGaussian(1)
    a = np.linspace(-1, 1, 20_001)[1:-1, None]
    p = np.exp(ours.log_prob(np.repeat([[0.4, -0.3]], len(a), axis=0), a))
    assert p.mean() * 2 == pytest.approx(1, abs=1e-3)


def test_large_logits_do_not_overflow():
    z = np.array([[1e4, -1e4, 0.0]], dtype=np.float32)
    assert np.isfinite(Categorical(3).log_prob(z, np.array([1]))).all()
    assert np.isfinite(Bernoulli(3).entropy(z)).all()
    assert Categorical(3).entropy(z)[0] == pytest.approx(0)
    assert np.isfinite(Gaussian(1).log_prob(np.array([[0.0, -1e4]]), np.array([[0.0]]))).all()
