import copy
import pickle

import pytest
import torch
from torch import nn

from zoo.engines.neural import optim


def problem(seed=0, dtype=torch.float64):
    """Parameters of odd sizes and a function that gives them fresh gradients."""
    g = torch.Generator().manual_seed(seed)
    shapes = ((5, 3), (7,), (1,), (2, 2, 3))
    params = [
        nn.Parameter(torch.randn(shape, generator=g, dtype=torch.float64).to(dtype))
        for shape in shapes
    ]
    target = [torch.randn(shape, generator=g, dtype=torch.float64).to(dtype) for shape in shapes]

    def loss():
        return sum(((p - t) ** 4).sum() for p, t in zip(params, target, strict=True))

    def gradients(skip=()):
        for p in params:
            p.grad = None
        loss().backward()
        for i in skip:
            params[i].grad = None

    return params, gradients, loss


PAIRS = [
    (optim.FusedAdam, torch.optim.Adam, {}),
    (optim.FusedAdam, torch.optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
    (optim.FusedAdam, torch.optim.Adam, {"maximize": True, "betas": (0.5, 0.7)}),
    (optim.FusedAdam, torch.optim.Adam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (optim.FusedAdamW, torch.optim.AdamW, {"weight_decay": 0.2}),
    (optim.FusedSGD, torch.optim.SGD, {}),
    (optim.FusedSGD, torch.optim.SGD, {"momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1}),
    (optim.FusedSGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (optim.LightRMSprop, torch.optim.RMSprop, {"momentum": 0.5, "weight_decay": 0.1}),
    (optim.LightAdagrad, torch.optim.Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    (optim.LightRAdam, torch.optim.RAdam, {"weight_decay": 0.1, "betas": (0.9, 0.9)}),
]


@pytest.mark.parametrize(("own", "parent", "options"), PAIRS)
def test_steps_are_those_of_torch_whatever_has_a_gradient(own, parent, options):
    a, b = problem(), problem()
    first = own(a[0], lr=0.01, **options)
    second = parent(b[0], lr=0.01, **options)
    # parameters come and go; each must keep its own count of steps and its own moments
    for skip in ((), (), (1,), (1, 3), (), (0, 1, 2), (0, 1, 2, 3), (), (2,), ()):
        a[1](skip)
        b[1](skip)
        first.step()
        second.step()
        for p, q in zip(a[0], b[0], strict=True):
            torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)
    for p, q in zip(a[0], b[0], strict=True):
        state, reference = first.state[p], second.state[q]
        assert state.keys() == reference.keys()
        for name, value in reference.items():
            torch.testing.assert_close(state[name], value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("own", "parent", "options"), PAIRS)
def test_state_passes_both_ways_and_through_pickle(own, parent, options):
    a, b = problem(), problem()
    first, second = own(a[0], lr=0.01, **options), parent(b[0], lr=0.01, **options)
    for optimizer, (_, gradients, _) in ((first, a), (second, b)):
        for _ in range(3):
            gradients()
            optimizer.step()
    crossed, back = own(a[0], lr=0.5), parent(b[0], lr=0.5)
    crossed.load_state_dict(second.state_dict())
    back.load_state_dict(first.state_dict())
    pickled = pickle.loads(pickle.dumps((a[0], first)))
    deep = copy.deepcopy((a[0], first))
    for optimizer, gradients in ((crossed, a[1]), (back, b[1])):
        gradients()
        optimizer.step()
    for p, q in zip(a[0], b[0], strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)
    for params, optimizer in (pickled, deep):
        for p, trained in zip(params, problem()[0], strict=True):
            assert not torch.equal(p, trained)
            p.grad = None
        loss = sum((p**2).sum() for p in params)
        loss.backward()
        before = [p.detach().clone() for p in params]
        optimizer.step()
        assert all(not torch.equal(p, q) for p, q in zip(params, before, strict=True))


def test_float32_is_bit_for_bit_torch_fused():
    a, b = problem(dtype=torch.float32), problem(dtype=torch.float32)
    first = optim.FusedAdam(a[0], lr=0.01)
    second = torch.optim.Adam(b[0], lr=0.01, fused=True)
    for _ in range(20):
        a[1]()
        b[1]()
        first.step()
        second.step()
    assert all(torch.equal(p, q) for p, q in zip(a[0], b[0], strict=True))


def test_groups_dtypes_and_closures():
    g = torch.Generator().manual_seed(0)
    params = [
        nn.Parameter(torch.randn(4, generator=g, dtype=dtype))
        for dtype in (torch.float32, torch.float64, torch.float32)
    ]
    groups = [{"params": params[:2], "lr": 0.1}, {"params": params[2:], "lr": 0.0}]
    before = [p.detach().clone() for p in params]
    optimizer = optim.FusedAdam(groups)

    def closure():
        optimizer.zero_grad()
        loss = sum(p.double().square().sum() for p in params)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    torch.testing.assert_close(params[0], before[0] - 0.3 * before[0].sign(), rtol=0, atol=0.02)
    assert params[1].dtype is torch.float64
    assert torch.equal(params[2], before[2])


def test_hooks_of_the_optimizer_are_called():
    params, gradients, _ = problem()
    optimizer = optim.FusedAdam(params)
    calls = []
    optimizer.register_step_pre_hook(lambda *args: calls.append("before"))
    optimizer.register_step_post_hook(lambda *args: calls.append("after"))
    gradients()
    optimizer.step()
    assert calls == ["before", "after"]


def test_zero_grad_forgets_or_zeroes():
    params, gradients, _ = problem()
    optimizer = optim.FusedAdam(params)
    gradients()
    optimizer.zero_grad(set_to_none=False)
    assert all(p.grad.eq(0).all() for p in params)
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


def test_adabound_is_adam_at_first_and_gradient_descent_in_the_end():
    a, b = problem(), problem()
    bound = optim.AdaBound(a[0], lr=1e-3, final_lr=1e3, gamma=0.5, eps=1e-12)
    adam = torch.optim.Adam(b[0], lr=1e-3, eps=1e-12)
    # bounds [333, 3000] of a huge final rate clip everything: 333 m is no step of Adam's
    a[1]()
    b[1]()
    loose = optim.AdaBound(b[0], lr=1e-3, final_lr=1e-3, gamma=1e-9, eps=1e-12)
    start = [p.detach().clone() for p in b[0]]
    loose.step()
    for p, before in zip(b[0], start, strict=True):
        # bounds from 1e-12 to 1e6: the first step of Adam, lr times the sign
        torch.testing.assert_close(p, before - 1e-3 * p.grad.sign(), rtol=0, atol=1e-7)
        p.data.copy_(before)
    adam.step()
    bound.step()
    lower = 1e3 * (1 - 1 / 1.5)
    for p, before in zip(a[0], start, strict=True):
        # where the gradient is not so small that Adam's own rate lies above the lower bound
        large = p.grad.abs() > 1e-4
        assert large.any()
        moved = before - lower * 0.1 * p.grad
        torch.testing.assert_close(p[large], moved[large], rtol=1e-9, atol=1e-9)


def test_adabound_descends_and_checks_its_parameters():
    params, gradients, loss = problem()
    optimizer = optim.AdaBound(params, lr=0.05, weight_decay=1e-4)
    first = loss().item()
    for _ in range(300):
        gradients()
        optimizer.step()
    assert loss().item() < 1e-2 * first
    with pytest.raises(ValueError, match="final_lr"):
        optim.AdaBound(params, final_lr=-1)


def test_names_and_classes_resolve():
    assert optim.resolve("adam", {"lr": 1}) == (optim.FusedAdam, {"lr": 1})
    assert optim.resolve("momentum", {"momentum": 0.5})[1]["momentum"] == 0.5
    assert optim.resolve(torch.optim.SGD, {})[0] is optim.FusedSGD
    assert optim.resolve(torch.optim.Adam, {"fused": True})[0] is torch.optim.Adam
    assert optim.resolve("adam", {"foreach": True})[0] is torch.optim.Adam

    class Own(torch.optim.Adam):
        pass

    assert optim.resolve(Own, {})[0] is Own
    with pytest.raises(ValueError, match=r"'adamm'.*'adam'"):
        optim.resolve("adamm", {})
    with pytest.raises(TypeError, match="3"):
        optim.resolve(3, {})
    assert all(name in optim.describe() for name in optim.OPTIMIZERS)
