"""The compiled step of dense blocks against automatic differentiation in float64."""

import copy

import numpy as np
import pytest
import torch

from zoo import NoPropDTClassifier, NoPropHybridClassifier
from zoo.engines.layerwise import layers


def a_module(cls, n=37, **options):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, 5)).astype(np.float32), rng.integers(3, size=n)
    options = {"n_blocks": 3, "width": 6, "max_epochs": 1, "random_state": 0} | options
    model = cls(**options).fit(X, y)
    w = torch.as_tensor(rng.uniform(size=n))
    return model.net_.module_.train(), torch.as_tensor(X)[:, None, None], torch.as_tensor(y), w / w.sum()


@pytest.mark.parametrize(("cls", "options"), [
    (NoPropDTClassifier, {}),
    (NoPropDTClassifier, {"embedding_dim": 7, "chunk": 2}),
    (NoPropHybridClassifier, {}),
    (NoPropHybridClassifier, {"parametrization": "eps"}),
    (NoPropHybridClassifier, {"parametrization": "v"}),
])  # fmt: skip
def test_gradients_and_running_statistics(cls, options):
    module, x, y, w = a_module(cls, **options)
    exact = copy.deepcopy(module).double()
    draws = module.draws(y)
    for net in (module, exact):
        net.zero_grad()
        net.draws = lambda y, net=net: tuple(eps.to(net.mean.dtype) for eps in draws)
    loss = module.learn(x, y, w.float())
    assert all(stack.step is not None for stack in module.stacks)
    expected = exact.learn(x.double(), y, w)
    assert all(stack.step is None for stack in exact.stacks)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    # A shift between two norms has no effect; its gradient is rounding noise beside the others.
    scale = max(q.grad.abs().max().item() for q in exact.parameters())
    for (name, p), q in zip(module.named_parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(p.grad.double(), q.grad, rtol=1e-3, atol=1e-5 * scale, msg=name)
    for (name, a), b in zip(module.named_buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-6, msg=name)


def test_other_parameters_are_noticed():
    module, x, y, w = a_module(NoPropDTClassifier)
    module.learn(x, y, w.float())
    before = module.stacks[0].step
    module.learn(x, y, w.float())
    assert module.stacks[0].step is before
    module.stacks[0].weights["x1_w"].data = module.stacks[0].weights["x1_w"].data.clone()
    module.learn(x, y, w.float())
    assert module.stacks[0].step is not before
    assert copy.deepcopy(module).stacks[0].step is None


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("rows_first", [True, False])
def test_products_of_large_blocks_are_those_of_torch(shared, rows_first):
    generator = torch.Generator().manual_seed(0)
    K, o, i, n = 2, 130, 128, 129
    assert o * i * n > layers.LARGE
    w = torch.randn(K, o, i, generator=generator).requires_grad_()
    x = torch.randn(K, n, i, generator=generator) if rows_first else torch.randn(
        K, i, n, generator=generator
    )
    x = x.transpose(1, 2) if rows_first else x
    x = (x[0] if shared else x).detach().requires_grad_()
    g = torch.randn(K, o, n, generator=generator)
    ours = torch.autograd.grad(layers.product(w, x), [w, x], g)
    w2, x2 = (t.detach().double().requires_grad_() for t in (w, x))
    theirs = torch.autograd.grad(torch.matmul(w2, x2), [w2, x2], g.double())
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rectify", [True, False])
def test_norm_is_that_of_torch(rectify):
    generator = torch.Generator().manual_seed(0)
    h, g = (torch.randn(2, 5, 33, generator=generator) * 3 + 1 for _ in range(2))
    gain, shift = (torch.randn(2, 5, generator=generator) for _ in range(2))
    found = []
    for dtype in (torch.float32, torch.float64):
        mean, var = torch.zeros(2, 5, dtype=dtype), torch.ones(2, 5, dtype=dtype)
        inputs = [t.to(dtype).requires_grad_() for t in (h, gain, shift)]
        out = layers.norm(*inputs, mean, var, True, rectify)
        grads = torch.autograd.grad(out, inputs, g.to(dtype))
        found.append([out.detach(), *grads, mean, var])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_stages_of_images_are_those_of_torch_with_the_same_zeros(rate, channels):
    generator = torch.Generator().manual_seed(0)
    drop = layers.Dropout(rate, [5, 9])
    h = torch.randn(6, 8, 7, 6, generator=generator)
    x = torch.nn.functional.pad(torch.randn(6, channels, 7, 6, generator=generator), (1, 1, 1, 1))
    w = torch.randn(2, 4, channels, 3, 3, generator=generator)
    b = torch.randn(2, 4, generator=generator)
    stages = [
        (lambda h: layers.rectify_and_drop(h, drop), (h,)),
        (lambda h: layers.halve(h, drop, 3), (h,)),
        (lambda w, b: layers.first_stage(x.to(w.dtype), w, b, drop), (w, b)),
    ]
    for stage, inputs in stages:
        found = []
        for dtype in (torch.float32, torch.float64):
            mine = [t.clone().to(dtype).requires_grad_() for t in inputs]
            out = stage(*mine)
            g = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
            found.append([out.detach().clone(), *torch.autograd.grad(out, mine, g)])
        for a, b_ in zip(*found, strict=True):
            torch.testing.assert_close(a.double(), b_, rtol=1e-4, atol=1e-4)


def test_dropout_keeps_its_share_and_differs_between_channels_and_steps():
    ones = torch.ones(50, 16, 8, 8)
    out = layers.Dropout(0.2, [3, 4]).apply(ones, 1)
    assert (out == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert out.mean().item() == pytest.approx(1, abs=0.01)
    per_channel = (out == 0).float().mean((0, 2, 3))
    assert (per_channel - 0.2).abs().max() < 0.04
    zeros = (out == 0).float().transpose(0, 1).flatten(1)
    correlation = torch.corrcoef(zeros) - torch.eye(16)
    assert correlation.abs().max() < 0.1
    other = layers.Dropout(0.2, [7, 4]).apply(ones, 1)
    assert not torch.equal(out[:, :8], other[:, :8])
    assert torch.equal(out[:, 8:], other[:, 8:])
