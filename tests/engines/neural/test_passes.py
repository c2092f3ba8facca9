"""Passes by autograd beside passes by hand, and modules whose memory is in one piece."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from zoo.engines.modules import blocks
from zoo.engines.neural.dense import DensePass
from zoo.engines.neural.passes import GraphPass, OnePiece, pass_through


def perceptron():
    with blocks.seeded(0):
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def convolution():
    with blocks.seeded(0):
        return nn.Sequential(
            nn.Unflatten(1, (2, 4, 2)), nn.Conv2d(2, 3, (3, 1)), nn.Flatten(), nn.Linear(12, 2)
        )


def test_the_way_is_chosen_by_proof():
    assert isinstance(pass_through(perceptron()), DensePass)
    assert isinstance(pass_through(convolution()), GraphPass)
    with blocks.seeded(0):
        noisy = nn.Sequential(nn.Linear(3, 5), nn.ELU(), nn.Linear(5, 2))
    assert isinstance(pass_through(noisy), GraphPass)


def test_a_module_may_say_how_it_is_passed_by_hand():
    class Own(nn.Module):
        def __init__(self, can):
            super().__init__()
            self.inner, self.can = perceptron(), can

        def forward(self, x):
            return self.inner(x)

        def by_hand(self):
            return DensePass.of(self.inner) if self.can else None

    assert isinstance(pass_through(Own(True)), DensePass)
    assert isinstance(pass_through(Own(False)), GraphPass)


@pytest.mark.parametrize("make", [perceptron, convolution])
@pytest.mark.parametrize("rows", [None, 4])
def test_both_ways_give_the_same(make, rows):
    rng = np.random.default_rng(0)
    module = make()
    x = rng.normal(size=(6, 3 if make is perceptron else 16)).astype(np.float32)
    slope = rng.normal(size=(rows or 6, 2)).astype(np.float32)
    leaf = torch.tensor(x[:rows], requires_grad=True)
    expected = module(leaf)
    expected.backward(torch.tensor(slope))
    gradients = [p.grad.clone() for p in module.parameters()]
    for passing in (GraphPass(module), pass_through(module)):
        out, tape = passing.forward(x, to_input=True)
        down = passing.backward(tape, slope.copy(), to_input=True, rows=rows)
        np.testing.assert_allclose(out[:rows], expected.detach(), atol=1e-6)
        np.testing.assert_allclose(passing.outputs(x), out, atol=1e-6)
        np.testing.assert_allclose(down[:rows], leaf.grad, atol=1e-6)
        for p, g in zip(module.parameters(), gradients, strict=True):
            torch.testing.assert_close(p.grad, g, atol=1e-5, rtol=1e-5)


def test_an_actor_learns_through_its_critic():
    """The gradient by the critic's inputs is handed down to the actor, whichever way each goes."""
    rng = np.random.default_rng(0)
    actor = perceptron()
    s = rng.normal(size=(7, 3)).astype(np.float32)
    with blocks.seeded(1):
        critic = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 1))
    q = critic(torch.cat([torch.tensor(s), actor(torch.tensor(s))], 1))
    (-q.mean()).backward()
    expected = [p.grad.clone() for p in actor.parameters()]
    up, down = DensePass.of(actor), DensePass.of(critic)
    a, tape = up.forward(s)
    _, above = down.forward(np.concatenate([s, a], axis=1), to_input=True)
    slope = down.backward(above, np.full((7, 1), -1 / 7, np.float32), to_input=True)
    up.backward(tape, slope[:, 3:].copy())
    for p, g in zip(actor.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, g, atol=1e-6, rtol=1e-5)


def test_modes_are_training_to_learn_and_evaluation_to_answer():
    seen = []

    class Watched(nn.Linear):
        def forward(self, x):
            seen.append(self.training)
            return super().forward(x)

    with blocks.seeded(0):
        passing = GraphPass(Watched(3, 2))
    x = np.zeros((2, 3), np.float32)
    passing.outputs(x)
    passing.forward(x)
    passing.outputs(x)
    assert seen == [False, True, False]


@pytest.mark.parametrize("make", [perceptron, convolution])
def test_one_piece_of_memory_is_the_module(make):
    module = make().to(memory_format=torch.channels_last)
    twin = copy.deepcopy(module)
    piece = OnePiece(module)
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(6, 3 if make is perceptron else 16)), dtype=torch.float32)
    torch.testing.assert_close(module(x), twin(x))
    for net in (module, twin):
        net(x).square().sum().backward()
    norm = nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
    assert norm > 0.5
    piece.clip(0.5)
    assert float(piece.gradient.norm()) == pytest.approx(0.5, rel=1e-4)
    for p, q in zip(module.parameters(), twin.parameters(), strict=True):
        assert p.stride() == q.stride()
        torch.testing.assert_close(p.grad, q.grad, atol=1e-6, rtol=1e-4)
    piece.clip(10.0)  # a short one is left
    assert float(piece.gradient.norm()) == pytest.approx(0.5, rel=1e-4)
    piece.values.zero_()
    assert not any(p.any() for p in module.parameters())


def test_a_slow_copy_follows_softly_and_takes_over_statistics():
    with blocks.seeded(0):
        module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    fast, slow = OnePiece(module), OnePiece(copy.deepcopy(module))
    before = slow.values.clone()
    fast.values += 1
    module(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    slow.follow(fast, 0.25)
    torch.testing.assert_close(slow.values, before + 0.25)
    torch.testing.assert_close(slow.module[1].running_mean, module[1].running_mean)
    slow.follow(fast, 1)
    assert torch.equal(slow.values, fast.values)


def test_parameters_of_two_kinds_are_refused():
    with blocks.seeded(0):
        mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(ValueError, match="2 kinds"):
        OnePiece(mixed)


def test_one_piece_is_not_copied():
    with pytest.raises(TypeError, match="copied module"):
        copy.deepcopy(OnePiece(perceptron()))
