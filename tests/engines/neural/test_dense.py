import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from zoo.engines.modules import blocks
from zoo.engines.neural import dense as _dense
from zoo.engines.neural.trainer import Trainer

N, D, K = 13, 5, 4
ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.GELU, nn.Identity]


def generator():
    return torch.Generator().manual_seed(0)


def network(activation=nn.ReLU, bias=True, widths=(7, 6)):
    sizes = (D, *widths, K)
    layers = []
    with blocks.seeded(0):
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b, bias=bias), activation()]
        return nn.Sequential(*layers[:-1]).double()


def targets(criterion, soft=False):
    g = generator()
    if isinstance(criterion, nn.CrossEntropyLoss) and not soft:
        return torch.randint(0, K, (N,), generator=g)
    y = torch.rand(N, K, generator=g, dtype=torch.float64)
    return 3 * y if isinstance(criterion, nn.MSELoss) else y


def path(module, criterion, y):
    """The path as a Trainer builds it."""
    X = torch.randn(N, D, generator=generator(), dtype=torch.float64)
    net = Trainer(module, criterion, optimizer="sgd", lr=0.0).initialize()
    net.fast_.look_up(net, net.get_iterator(net.get_dataset(X, y), training=True), {})
    return net.fast_.dense, X


CRITERIA = [
    (criterion(reduction=reduction), soft)
    for criterion, soft in (
        (nn.CrossEntropyLoss, False),
        (nn.CrossEntropyLoss, True),
        (nn.MSELoss, False),
        (nn.BCEWithLogitsLoss, False),
    )
    for reduction in ("mean", "none")
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("criterion", "soft"), CRITERIA)
def test_loss_output_and_gradients_are_those_of_autograd(
    criterion, soft, activation, bias, weighted
):
    module = network(activation, bias)
    y = targets(criterion, soft)
    dense, X = path(module, criterion, y)
    w = torch.rand(N, generator=generator(), dtype=torch.float64) if weighted else None
    step = dense.step(X, y, w)

    twin = copy.deepcopy(module)
    for p in twin.parameters():
        p.grad = None
    output = twin(X)
    rows = type(criterion)(reduction="none")(output, y)
    rows = rows.flatten(1).mean(1) if rows.ndim > 1 else rows
    loss = rows.mean() if w is None else (w * rows).sum() / w.sum()
    loss.backward()

    torch.testing.assert_close(step["loss"], loss.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(step["y_pred"], output.detach(), rtol=1e-12, atol=1e-14)
    for p, q in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-10, atol=1e-14)
        assert p.grad.is_contiguous()


def test_gradients_are_those_of_finite_differences():
    module = network(nn.GELU)
    y = targets(nn.CrossEntropyLoss())
    dense, X = path(module, nn.CrossEntropyLoss(), y)
    dense.step(X, y, None)
    h = 1e-6
    for p in module.parameters():
        direction = torch.randn(p.shape, generator=generator(), dtype=torch.float64)
        values = []
        for sign in (1, -1):
            p.data += sign * h * direction
            values.append(dense.step(X, y, None, replace=True)["loss"].item())
            p.data -= sign * h * direction
        dense.step(X, y, None, replace=True)
        expected = (values[0] - values[1]) / (2 * h)
        assert (p.grad * direction).sum().item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_one_layer_and_changing_batch_sizes():
    module = network(widths=())
    y = targets(nn.CrossEntropyLoss())
    dense, X = path(module, nn.CrossEntropyLoss(), y)
    for n in (13, 1, 7, 13, 2, 3, 4, 5, 13):
        step = dense.step(X[:n], y[:n], None, replace=True)
        expected = nn.functional.cross_entropy(module(X[:n]), y[:n])
        assert step["loss"].item() == pytest.approx(expected.item(), rel=1e-12)
        assert step["y_pred"].shape == (n, K)


def test_outputs_of_two_batches_do_not_share_memory():
    module = network()
    y = targets(nn.CrossEntropyLoss())
    dense, X = path(module, nn.CrossEntropyLoss(), y)
    first = dense.step(X, y, None)
    kept, gradient = first["y_pred"].clone(), module[0].weight.grad
    gradient_kept = gradient.clone()
    dense.step(2 * X, y, None, replace=True)
    assert torch.equal(first["y_pred"], kept)
    assert torch.equal(gradient, gradient_kept)


class Own(nn.Linear):
    pass


NOT_ELIGIBLE = {
    "subclass of a layer": lambda: (nn.Sequential(Own(D, K)), nn.CrossEntropyLoss()),
    "unknown layer": lambda: (nn.Sequential(nn.Linear(D, K), nn.ELU()), nn.CrossEntropyLoss()),
    "norm": lambda: (nn.Sequential(nn.BatchNorm1d(D), nn.Linear(D, K)), nn.CrossEntropyLoss()),
    "activation first": lambda: (nn.Sequential(nn.ReLU(), nn.Linear(D, K)), nn.CrossEntropyLoss()),
    "activation last": lambda: (nn.Sequential(nn.Linear(D, K), nn.ReLU()), nn.CrossEntropyLoss()),
    "two activations": lambda: (
        nn.Sequential(nn.Linear(D, 3), nn.ReLU(), nn.Tanh(), nn.Linear(3, K)),
        nn.CrossEntropyLoss(),
    ),
    "approximate gelu": lambda: (
        nn.Sequential(nn.Linear(D, 3), nn.GELU(approximate="tanh"), nn.Linear(3, K)),
        nn.CrossEntropyLoss(),
    ),
    "class weights": lambda: (network(), nn.CrossEntropyLoss(weight=torch.ones(K).double())),
    "label smoothing": lambda: (network(), nn.CrossEntropyLoss(label_smoothing=0.1)),
    "sum": lambda: (network(), nn.CrossEntropyLoss(reduction="sum")),
    "other loss": lambda: (network(), nn.MultiMarginLoss()),
    "weight norm": lambda: (
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(D, K))),
        nn.CrossEntropyLoss(),
    ),
}


@pytest.mark.parametrize("case", NOT_ELIGIBLE)
def test_other_networks_go_the_general_way(case):
    with blocks.seeded(0):
        module, criterion = NOT_ELIGIBLE[case]()
    assert path(module.double(), criterion, targets(nn.CrossEntropyLoss()))[0] is None


def test_labels_out_of_range_go_the_general_way():
    y = targets(nn.CrossEntropyLoss())
    assert path(network(), nn.CrossEntropyLoss(), y)[0] is not None
    for label in (-100, K):
        y[0] = label
        assert path(network(), nn.CrossEntropyLoss(), y)[0] is None


def test_ignored_labels_are_ignored():
    X = np.random.default_rng(0).normal(size=(30, D))
    y = np.arange(30) % K
    y[::3] = -100
    net = Trainer(network(), nn.CrossEntropyLoss(), max_epochs=1, batch_size=30).fit(X, y)
    kept = y >= 0
    expected = nn.functional.cross_entropy(
        network()(torch.as_tensor(X[kept])), torch.as_tensor(y[kept])
    )
    assert net.history[-1, "train_loss"] == pytest.approx(expected.item(), rel=1e-12)


def test_a_batch_it_is_not_for_is_left_alone():
    module = network()
    y = targets(nn.CrossEntropyLoss())
    dense, X = path(module, nn.CrossEntropyLoss(), y)
    assert dense.step(X.float(), y, None) is None
    assert dense.step(X[None], y, None) is None
    assert dense.step(X.clone().requires_grad_(), y, None) is None
    module[0].weight.requires_grad_(False)
    assert dense.step(X, y, None) is None
    module[0].weight.requires_grad_(True)
    handle = module[2].register_forward_hook(lambda *args: None)
    assert dense.step(X, y, None) is None
    handle.remove()
    assert dense.step(X, y, None) is not None
    # gradients are there now, and somebody may be adding them up
    assert dense.step(X, y, None) is None
    assert dense.step(X, y, None, replace=True) is not None


def test_a_squared_error_that_would_broadcast_is_left_to_torch():
    y = torch.rand(N, 1, generator=generator(), dtype=torch.float64)
    dense, X = path(network(), nn.MSELoss(), y)
    assert dense.step(X, y, None) is None


def test_float32_agrees_with_float64():
    module = network()
    y = targets(nn.CrossEntropyLoss())
    dense, X = path(module, nn.CrossEntropyLoss(), y)
    dense.step(X, y, None)
    single = copy.deepcopy(module).float()
    for p in single.parameters():
        p.grad = None
    dense32, _ = path(single, nn.CrossEntropyLoss(), y)
    dense32.step(X.float(), y, None)
    for p, q in zip(module.parameters(), single.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-4, atol=1e-6)
    assert isinstance(dense32, _dense.DensePath)


# -- the pass on the memory of the parameters ------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_a_pass_gives_outputs_and_gradients_of_autograd(activation, bias, last):
    module = network(activation, bias)
    if last:
        module.append(activation())
    twin = copy.deepcopy(module)
    passing = _dense.DensePass.of(module)
    rng = np.random.default_rng(0)
    x, slope = rng.normal(size=(N, D)), rng.normal(size=(N, K))
    leaf = torch.tensor(x, requires_grad=True)
    expected = twin(leaf)
    expected.backward(torch.tensor(slope))

    out, tape = passing.forward(x, to_input=True)
    down = passing.backward(tape, slope.copy(), to_input=True)
    np.testing.assert_allclose(out, expected.detach(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(passing.outputs(x), out, rtol=0, atol=0)
    np.testing.assert_allclose(down, leaf.grad, rtol=1e-10, atol=1e-14)
    for p, q in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-10, atol=1e-14)


def test_a_slice_of_a_tape_is_the_tape_of_a_slice():
    module = network(nn.SiLU)
    passing = _dense.DensePass.of(module)
    rng = np.random.default_rng(0)
    x, slope = rng.normal(size=(N, D)), rng.normal(size=(4, K))
    passing.backward(passing.forward(x)[1], slope.copy(), rows=4)
    sliced = [p.grad.clone() for p in module.parameters()]
    passing.backward(passing.forward(x[:4])[1], slope.copy())
    for p, g in zip(module.parameters(), sliced, strict=True):
        torch.testing.assert_close(p.grad, g, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop])
def test_a_step_by_hand_and_a_step_of_autograd_may_alternate(optimizer):
    """The module and torch's optimiser are the truth: nothing is kept beside them."""
    module = network()
    twin = copy.deepcopy(module)
    steps = optimizer(module.parameters(), lr=0.01), optimizer(twin.parameters(), lr=0.01)
    passing = _dense.DensePass.of(module)
    rng = np.random.default_rng(0)
    for turn in range(6):
        x, y = rng.normal(size=(N, D)), rng.normal(size=(N, K))
        for net, step in zip((module, twin), steps, strict=True):
            if net is module and turn % 2:
                out, tape = passing.forward(x)
                passing.backward(tape, 2 * (out - y) / y.size)
            else:
                step.zero_grad(set_to_none=False)
                nn.functional.mse_loss(net(torch.tensor(x)), torch.tensor(y)).backward()
            step.step()
    for p, q in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-13)


def shared_layer():
    linear = nn.Linear(D, D)
    return nn.Sequential(linear, nn.ReLU(), linear)


def tied_weights():
    module = nn.Sequential(nn.Linear(D, D), nn.ReLU(), nn.Linear(D, D))
    module[2].weight = module[0].weight
    return module


def overlapping_memory():
    module = nn.Sequential(nn.Linear(D, D), nn.ReLU(), nn.Linear(D, D))
    memory = torch.zeros(2 * D * D)
    module[0].weight.data = memory[: D * D].view(D, D)
    module[2].weight.data = memory[D : D + D * D].view(D, D)
    return module


def strided_weights():
    module = nn.Sequential(nn.Linear(D, K))
    module[0].weight.data = torch.zeros(D, K).t()
    return module


def own_forward():
    module = nn.Sequential(nn.Linear(D, K))
    module[0].forward = lambda x: x
    return module


def hooked():
    module = nn.Sequential(nn.Linear(D, K))
    module[0].register_forward_hook(lambda *args: None)
    return module


def frozen():
    module = nn.Sequential(nn.Linear(D, 3), nn.ReLU(), nn.Linear(3, K))
    module[0].weight.requires_grad_(False)
    return module


def halves():
    return nn.Sequential(nn.Linear(D, K)).half()


def mixed():
    return nn.Sequential(nn.Linear(D, 3), nn.ReLU(), nn.Linear(3, K).double())


@pytest.mark.parametrize(
    "make",
    [shared_layer, tied_weights, overlapping_memory, strided_weights, own_forward, hooked, frozen,
     halves, mixed, lambda: nn.Sequential(), lambda: nn.Linear(D, K)],
)  # fmt: skip
def test_a_network_that_is_not_provably_served_has_no_pass(make):
    with blocks.seeded(0):
        assert _dense.DensePass.of(make()) is None


@pytest.mark.parametrize("make", [shared_layer, tied_weights, strided_weights])
def test_shared_and_strided_parameters_are_trained_the_general_way(make):
    with blocks.seeded(0):
        module = make().double()
    X = torch.randn(N, D, generator=generator(), dtype=torch.float64)
    y = torch.zeros(N, len(module[-1].bias), dtype=torch.float64)
    net = Trainer(module, nn.MSELoss(), optimizer="sgd", lr=0.0).initialize()
    net.fast_.look_up(net, net.get_iterator(net.get_dataset(X, y), training=True), {})
    assert net.fast_.dense is None or net.fast_.dense.step(X, y, None) is None


def test_a_pass_is_not_copied():
    with pytest.raises(TypeError, match="make one of the copied module"):
        copy.deepcopy(_dense.DensePass.of(network()))
