"""The short ways lead where the plain step leads, and are left where they would not."""

import itertools

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

from zoo.engines.modules import blocks
from zoo.engines.neural import optim
from zoo.engines.neural.dense import DensePath
from zoo.engines.neural.trainer import Trainer

N, D, K = 40, 4, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D))
LABELS = RNG.integers(0, K, N)
VALUES = RNG.normal(size=(N, K))
SHARES = RNG.dirichlet(np.ones(K), N)
WEIGHTS = RNG.uniform(0.5, 2, N)

OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (torch.optim.Adagrad, {}),
    "rmsprop": (torch.optim.RMSprop, {"momentum": 0.7}),
    "adam": (torch.optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
    "adamw": (torch.optim.AdamW, {}),
    "radam": (torch.optim.RAdam, {}),
    "adabound": (optim.AdaBound, {}),
}
ACTIVATIONS = [nn.Identity, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.GELU]
LOSSES = [
    (nn.CrossEntropyLoss, LABELS), (nn.CrossEntropyLoss, SHARES), (nn.MSELoss, VALUES),
    (nn.BCEWithLogitsLoss, SHARES),
]  # fmt: skip


def made(make, seed=0):
    with blocks.seeded(seed):
        return make().double()


def weights(module):
    return torch.cat([p.detach().real.flatten() for p in module.parameters()]).numpy()


@pytest.fixture
def taken(monkeypatch):
    """Count the steps that were written by hand."""
    counts = {"by hand": 0}
    step = DensePath.step

    def counting(self, *args, **kwargs):
        result = step(self, *args, **kwargs)
        counts["by hand"] += result is not None
        return result

    monkeypatch.setattr(DensePath, "step", counting)
    return counts


def five_steps(module, criterion, optimizer, y, w):
    """Train as a textbook on torch does."""
    X_, y_ = torch.as_tensor(X), torch.as_tensor(y)
    for _ in range(5):
        optimizer.zero_grad()
        loss = criterion(module(X_), y_)
        if w is not None:
            loss = loss.flatten(1).mean(1) if loss.ndim > 1 else loss
            loss = (torch.as_tensor(w) * loss).sum() / w.sum()
        loss.mean().backward()
        optimizer.step()
    return module


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_whatever_is_taken_makes_the_steps_of_torch(name, activation, taken):
    cls, options = OPTIMIZERS[name]
    n = 0
    for bias, (loss, y), (reduction, w) in itertools.product(
        (True, False), LOSSES, (("mean", None), ("none", None), ("none", WEIGHTS))
    ):

        def network(bias=bias):
            return nn.Sequential(
                nn.Linear(D, 7, bias=bias), activation(), nn.Linear(7, 5), activation(),
                nn.Linear(5, K, bias=bias),
            )  # fmt: skip

        criterion, start = loss(reduction=reduction), made(network)
        trained = {f"optimizer__{option}": value for option, value in options.items()}
        net = Trainer(made(network), criterion, name, 0.02, max_epochs=5, batch_size=-1, **trained)
        net.fit(X, y, sample_weight=w)
        plain = {"momentum": 0.9} if name == "momentum" else options
        five_steps(start, criterion, cls(start.parameters(), lr=0.02, **plain), y, w)
        np.testing.assert_allclose(weights(net.module_), weights(start), rtol=1e-9, atol=1e-12)
        n += 5
    assert taken["by hand"] == n


# --- where the form deceives ------------------------------------------------------------------------


def shared_layer():
    a = nn.Linear(D, D)
    return nn.Sequential(a, nn.Tanh(), a, nn.Tanh(), nn.Linear(D, K))


def tied_weights():
    a, b = nn.Linear(D, D), nn.Linear(D, D)
    b.weight = a.weight
    return nn.Sequential(a, nn.Tanh(), b, nn.Tanh(), nn.Linear(D, K))


def transposed_parameter():
    first = nn.Linear(D, 8)
    first.weight = nn.Parameter(first.weight.detach().t().contiguous().t())
    return nn.Sequential(first, nn.Tanh(), nn.Linear(8, K))


class Strided(nn.Module):
    """A parameter that is every second number of something else."""

    def __init__(self):
        super().__init__()
        self.base = torch.zeros(D, 2, dtype=torch.float64)
        self.w = nn.Parameter(self.base[:, :1])
        self.last = nn.Linear(1, K)

    def forward(self, x):
        return self.last(x @ self.w)


class FrozenNorm(nn.Module):
    """The usual way to freeze batch normalisation."""

    def __init__(self):
        super().__init__()
        self.bn, self.last = nn.BatchNorm1d(D), nn.Linear(D, K)

    def train(self, mode=True):
        super().train(mode)
        self.bn.eval()
        return self

    def forward(self, x):
        return self.last(self.bn(x))


class WritesIntoX(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.last = nn.Parameter(torch.ones(D)), nn.Linear(D, K)

    def forward(self, X):
        return self.last(X.mul_(self.scale))


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(D, K, dtype=torch.complex128))

    def forward(self, x):
        return (x.to(torch.complex128) @ self.w).abs()

    def double(self):
        return self


DECEIVING = [
    shared_layer, tied_weights, transposed_parameter, Strided, FrozenNorm, WritesIntoX, Complex,
]  # fmt: skip


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw", "rmsprop", "radam"])
@pytest.mark.parametrize("make", DECEIVING)
def test_networks_that_ask_for_the_plain_step_get_it(make, optimizer):
    cls, options = OPTIMIZERS[optimizer]
    options = {"momentum": 0.9} if optimizer == "momentum" else {}
    theirs = NeuralNet(
        made(make), nn.CrossEntropyLoss, optimizer=cls, lr=0.05, max_epochs=4, batch_size=16,
        train_split=None, verbose=0, **{f"optimizer__{k}": v for k, v in options.items()},
    )  # fmt: skip
    with blocks.seeded(0):
        theirs.fit(X, LABELS)
    ours = Trainer(
        made(make), nn.CrossEntropyLoss, optimizer=optimizer, lr=0.05, max_epochs=4, batch_size=16,
        iterator_train__shuffle=False,
    ).fit(X, LABELS)  # fmt: skip
    np.testing.assert_allclose(weights(ours.module_), weights(theirs.module_), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        ours.history[:, "train_loss"], theirs.history[:, "train_loss"], rtol=1e-10
    )
    if make is FrozenNorm:
        assert not ours.module_.bn.running_mean.any()
    if make is Strided:
        assert not ours.module_.base[:, 1].any()
        assert (ours.module_.w != 0).all()


@pytest.mark.parametrize("kind", ["any", "dense"])
def test_train_of_a_module_is_called_for_every_batch(kind):
    calls = []

    class Counting(nn.Sequential):
        def train(self, mode=True):
            calls.append(mode)
            return super().train(mode)

    module = made(lambda: (Counting if kind == "any" else nn.Sequential)(nn.Linear(D, K)))
    calls.clear()
    if kind == "dense":
        module.train = lambda mode=True: calls.append(mode) or nn.Module.train(module, mode)
    Trainer(module, nn.CrossEntropyLoss, max_epochs=2, batch_size=10).fit(X, LABELS)
    assert calls.count(True) >= 8


def test_an_ignored_class_is_ignored():
    module = made(lambda: nn.Sequential(nn.Linear(D, K)))
    expected = nn.functional.cross_entropy(
        module(torch.as_tensor(X)), torch.as_tensor(LABELS), ignore_index=1
    ).item()
    net = Trainer(module, nn.CrossEntropyLoss(ignore_index=1), max_epochs=1, batch_size=-1)
    net.fit(X, LABELS)
    assert net.history[0, "train_loss"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("what", ["module", "layer", "criterion"])
def test_a_forward_set_on_an_instance_is_called(what, taken):
    net = Trainer(
        made(lambda: nn.Sequential(nn.Linear(D, 5), nn.Tanh(), nn.Linear(5, K))),
        nn.CrossEntropyLoss, max_epochs=1,
    ).initialize()  # fmt: skip
    owner = {"module": net.module_, "layer": net.module_[0], "criterion": net.criterion_}[what]
    calls, before = [], owner.forward
    owner.forward = lambda *args: calls.append(1) or before(*args)
    net.partial_fit(X, LABELS)
    assert calls
    assert taken["by hand"] == 0


@pytest.mark.parametrize("change", ["module", "layer", "forward"])
def test_a_network_changed_within_an_epoch_is_the_one_that_trains(change):
    class Changes(Callback):
        def on_grad_computed(self, net, *args, **kwargs):
            if len(net.history[-1, "batches"]) == 2:
                return
            if change == "module":
                with net._current_init_context("module"):
                    net.module_ = made(lambda: nn.Sequential(nn.Linear(D, K)), 1)
            elif change == "layer":
                net.module_[0] = made(lambda: nn.Linear(D, K), 1)
            else:
                old = net.module_.forward
                net.module_.forward = lambda x: 100 + old(x)

    def losses(cls, **options):
        net = cls(
            made(lambda: nn.Sequential(nn.Linear(D, K))), nn.MSELoss, optimizer=torch.optim.SGD,
            callbacks=[Changes()], batch_size=10, max_epochs=1, lr=0.1, train_split=None, verbose=0,
            **options,
        )  # fmt: skip
        with blocks.seeded(0):
            return net.fit(X, VALUES).history[0, "batches", :, "train_loss"]

    np.testing.assert_allclose(
        losses(Trainer, iterator_train__shuffle=False), losses(NeuralNet), rtol=1e-12
    )


def test_losses_of_rows_stay_with_the_rows_in_get_loss():
    w = RNG.uniform(size=(N, 1))

    class WeighsItself(Trainer):
        def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
            loss = super().get_loss(y_pred, y_true, X, *args, **kwargs)
            return (X["w"] * loss).mean()

    class Module(nn.Linear):
        def forward(self, X, w):
            return super().forward(X)

    module = made(lambda: Module(D, 1))
    y = VALUES[:, :1]
    squares = (module(torch.as_tensor(X), None) - torch.as_tensor(y)).square()
    expected = (torch.as_tensor(w) * squares).mean().item()
    net = WeighsItself(module, nn.MSELoss(reduction="none"), max_epochs=1, batch_size=-1)
    net.fit({"X": X, "w": w}, y)
    assert net.history[0, "train_loss"] == pytest.approx(expected, rel=1e-12)


# --- what only looks at a step ------------------------------------------------------------------


def test_whoever_looks_at_a_batch_sees_the_graph(taken):
    seen = []

    class Looks(Callback):
        def on_batch_end(self, net, loss=None, y_pred=None, **kwargs):
            seen.append((loss.requires_grad, y_pred.requires_grad))

    net = Trainer(
        made(lambda: nn.Sequential(nn.Linear(D, K))), nn.CrossEntropyLoss, max_epochs=1,
        callbacks=[Looks()],
    )  # fmt: skip
    net.fit(X, LABELS)
    assert seen == [(True, True)]
    assert taken["by hand"] == 0


def test_a_batch_that_a_callback_changes_is_the_one_that_is_learned():
    class Halves(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            batch[0] = 0.5 * batch[0]
            batch[1] = torch.full_like(batch[1], -100)

    net = Trainer(
        made(lambda: nn.Sequential(nn.Linear(D, K))), nn.CrossEntropyLoss, max_epochs=1,
        callbacks=[Halves()],
    )  # fmt: skip
    net.fit(X, LABELS)
    assert np.isnan(net.history[0, "train_loss"])  # torch's mean over no labels


def test_contexts_of_the_caller_reach_the_step(taken):
    def net():
        module = made(lambda: nn.Sequential(nn.Linear(D, K))).float()
        return Trainer(module, nn.CrossEntropyLoss, max_epochs=1)

    x = X.astype(np.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = net().fit(x, LABELS).history[0, "train_loss"]
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly(check_nan=False):
        fine = net().fit(x, LABELS).history[0, "train_loss"]
    assert taken["by hand"] == 0
    assert coarse != fine
    assert coarse == pytest.approx(fine, rel=0.05)


@pytest.mark.parametrize("disabled", [False, True])
def test_gradients_are_clipped_whatever_the_callbacks(disabled):
    options = {"callbacks": "disable"} if disabled else {}
    net = Trainer(
        made(lambda: nn.Sequential(nn.Linear(D, K))), nn.CrossEntropyLoss, "sgd", 1.0, max_epochs=1,
        gradient_clip=1e-6, batch_size=-1, **options,
    )  # fmt: skip
    start = weights(made(lambda: nn.Sequential(nn.Linear(D, K))))
    net.fit(X, LABELS)
    moved = np.linalg.norm(weights(net.module_) - start)
    assert moved == pytest.approx(1e-6, rel=1e-3)
    net.set_params(gradient_clip=1e-3)
    start = weights(net.module_)
    net.partial_fit(X, LABELS)
    assert np.linalg.norm(weights(net.module_) - start) == pytest.approx(1e-3, rel=1e-3)
