"""One network of a learner: steps, clipping, the slow copy, and going on from a state."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from zoo.engines.acting.approximator import Approximator, arrays_of, load_arrays
from zoo.engines.modules import blocks


def module(activation=nn.ReLU):
    with blocks.seeded(0):
        return nn.Sequential(nn.Linear(3, 5), activation(), nn.Linear(5, 2))


def batch(n=7):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3)).astype(np.float32), rng.normal(size=(n, 2)).astype(np.float32)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ELU])  # by hand, by autograd
@pytest.mark.parametrize("beside", [False, True])
def test_steps_are_those_of_torch_with_clipping(activation, beside):
    x, y = batch()
    twin = module(activation)
    theirs = torch.optim.Adam(twin.parameters())
    learner = Approximator(module(activation), max_grad_norm=0.3)
    told = []

    def slope(out, others):
        told.append(others)
        return 2 * (out - y) / y.size

    for step in range(5):
        lr = 0.01 / (step + 1)
        learner.descend(x, slope, lr, beside=x[:3] if beside else None)
        theirs.param_groups[0]["lr"] = lr
        theirs.zero_grad()
        out = twin(torch.tensor(x))
        nn.functional.mse_loss(out, torch.tensor(y)).backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.3)
        theirs.step()
    assert all((o is not None) == beside for o in told)
    for p, q in zip(learner.module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(learner.outputs(x), twin(torch.tensor(x)).detach(), atol=1e-5)


def test_rows_beside_are_answered_before_the_step():
    x, y = batch()
    learner = Approximator(module())
    before = learner.outputs(x[:3])
    seen = []
    learner.descend(x, lambda out, others: seen.append(others) or 2 * (out - y), 0.1, beside=x[:3])
    np.testing.assert_allclose(seen[0], before, atol=1e-6)
    assert (learner.outputs(x[:3]) != before).all()


def test_no_optimiser_sees_the_slow_copy():
    x, y = batch()
    learner = Approximator(module(), slow=True)
    before = learner.slow_outputs(x)
    learner.descend(x, lambda out, _: out - y, 0.1)
    np.testing.assert_array_equal(learner.slow_outputs(x), before)
    seen = learner.optimizer.param_groups[0]["params"]
    assert sum(p.numel() for p in seen) == sum(p.numel() for p in learner.module.parameters())
    learner.follow(1)
    np.testing.assert_array_equal(learner.slow_outputs(x), learner.outputs(x))
    with pytest.raises(ValueError, match="no slow copy"):
        Approximator(module()).follow(1)


@pytest.mark.parametrize("optimizer", ["adam", "momentum", "adabound", torch.optim.NAdam])
def test_a_state_is_what_learning_goes_on_from(optimizer):
    x, y = batch()
    first = Approximator(module(), optimizer, slow=True)
    for _ in range(3):
        first.descend(x, lambda out, _: out - y, 0.01)
        first.follow(0.3)
    second = Approximator(module(), optimizer, slow=True)
    load_arrays(second.module, arrays_of(first.module))
    second.restore(copy.deepcopy(first.state()))
    for learner in (first, second):
        learner.descend(x, lambda out, _: out - y, 0.01)
        learner.follow(0.3)
    np.testing.assert_array_equal(first.outputs(x), second.outputs(x))
    np.testing.assert_array_equal(first.slow_outputs(x), second.slow_outputs(x))
