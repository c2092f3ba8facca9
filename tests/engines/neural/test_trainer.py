import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    Initializer,
    LRScheduler,
    ParamMapper,
    Unfreezer,
)
from skorch.dataset import ValidSplit
from skorch.exceptions import DeviceWarning
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, ExponentialLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader

from zoo.engines.modules import blocks
from zoo.engines.neural import augment, optim
from zoo.engines.neural import threads as threads_
from zoo.engines.neural.trainer import Trainer

N, D, K = 150, 6, 3


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    y = (X @ rng.normal(size=(D, K)) + 0.5 * rng.normal(size=(N, K))).argmax(1)
    return X, y


class Wrapped(nn.Module):
    """A module the hand-written path does not know."""

    def __init__(self, width=8):
        super().__init__()
        self.net = dense(width)

    def forward(self, X):
        return self.net(X)


def dense(width=8):
    return nn.Sequential(
        nn.Linear(D, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, K)
    )


def build(make, seed=0, dtype=torch.float64):
    with blocks.seeded(seed):
        return make().to(dtype)


MODULES = {"any": Wrapped, "dense": dense}
FIRST = {"any": "net.0.*", "dense": "0.*"}


DEFAULTS = {"optimizer": torch.optim.Adam, "lr": 0.01, "batch_size": 32, "max_epochs": 5}


def stock(module, **params):
    return NeuralNet(module, nn.CrossEntropyLoss, verbose=0, **{**DEFAULTS, **params})


def ours(module, cls=Trainer, **params):
    """A Trainer that visits the rows in the order of a stock net."""
    params = {"iterator_train__shuffle": False, **DEFAULTS, **params}
    return cls(module, nn.CrossEntropyLoss, **params)


def fit(net, *args, **kwargs):
    # stock skorch draws a seed for its DataLoader from the global generator
    with blocks.seeded(0):
        return net.fit(*args, **kwargs)


def curves(net):
    """Every number that training wrote to the history."""
    numbers = {}
    for epoch, row in enumerate(net.history):
        for key, value in row.items():
            if key == "batches":
                for i, batch in enumerate(value):
                    for name, number in batch.items():
                        numbers[f"{epoch}/{i}/{name}"] = float(number)
            elif key != "dur":
                numbers[f"{epoch}/{key}"] = float(value)
    return numbers


def assert_same_training(net, reference, rtol=1e-10, atol=1e-10):
    expected, got = curves(reference), curves(net)
    assert got.keys() == expected.keys()
    np.testing.assert_allclose(list(got.values()), list(expected.values()), rtol=rtol, atol=1e-13)
    for (name, p), (_, q) in zip(
        net.module_.state_dict().items(), reference.module_.state_dict().items(), strict=True
    ):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-8, atol=atol, err_msg=name)


# --- equal to stock skorch ----------------------------------------------------------------------


class Recorder(Callback):
    """Writes down every notification and what it could see."""

    def initialize(self):
        self.log_ = []
        return self

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.log_.append(("train_begin", len(X), len(y)))

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.log_.append(("train_end", len(X), len(y)))

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.log_.append(("epoch_begin", len(dataset_train), dataset_valid is None))

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.log_.append(("epoch_end", float(net.history[-1, "train_loss"])))

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.log_.append(("batch_begin", len(batch[0]), len(batch[1]), training))

    def on_batch_end(self, net, batch=None, training=None, loss=None, y_pred=None, **kwargs):
        key = "train_loss" if training else "valid_loss"
        seen = net.history[-1, "batches", -1, key]
        self.log_.append(("batch_end", training, loss.item(), seen))
        self.log_.append(("output", y_pred.sum().item(), tuple(y_pred.shape)))

    def on_grad_computed(self, net, named_parameters, batch=None, training=None, **kwargs):
        # twice: the generator must be of the kind that can be read again
        for _ in range(2):
            norms = [
                (name, None if p.grad is None else p.grad.norm().item())
                for name, p in named_parameters
            ]
        self.log_.append(("grad", norms, len(batch[0]), training))


def shape_of(entry):
    """What an entry of the log says apart from its real numbers."""
    if isinstance(entry, (tuple, list)):
        return tuple(shape_of(part) for part in entry)
    return None if isinstance(entry, float) else entry


def numbers_of(entry):
    if isinstance(entry, (tuple, list)):
        return [number for part in entry for number in numbers_of(part)]
    return [entry] if isinstance(entry, float) else []


class OnGradient(Callback):
    """Changes gradients in one of the ways a user may."""

    def __init__(self, how):
        self.how = how

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for name, p in named_parameters:
            if self.how == "in place":
                p.grad.mul_(0.5)
            elif self.how == "replaced":
                p.grad = p.grad * 0.5
            elif self.how == "dropped" and name.endswith("bias"):
                p.grad = None


class AtEpoch(Callback):
    """Does something to the net when an epoch begins, or after a batch in the middle of one."""

    def __init__(self, what, epoch=3):
        self.what = what
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            self.act(net)

    def on_batch_end(self, net, training=None, **kwargs):
        if self.what == "hook" and training and len(net.history[-1, "batches"]) == 2:
            layer = next(m for m in net.module_.modules() if isinstance(m, nn.Linear))
            if not layer._forward_hooks:
                layer.register_forward_hook(lambda module, args, output: 2 * output)

    def act(self, net):
        if self.what == "swap data":
            for p in net.module_.parameters():
                p.data = 0.5 * p.data
        elif self.what == "load state":
            state = {name: 0.5 * v for name, v in net.module_.state_dict().items()}
            net.module_.load_state_dict(state)
        elif self.what == "optimizer state":
            net.optimizer_.load_state_dict(copy.deepcopy(net.optimizer_.state_dict()))
            for group in net.optimizer_.param_groups:
                group["lr"] *= 0.1
        elif self.what == "set_params":
            net.set_params(lr=0.001, optimizer__eps=1e-3)
        elif self.what == "clear state":
            net.optimizer_.state.clear()


def hits(net, X, y):
    return float((net.predict(X).argmax(1) == y).mean())


# name -> callbacks for a kind of module, and whether they must change the losses
CASES = {
    "default": (lambda kind: [], False),
    "clipping": (lambda kind: [GradientNormClipping(0.05)], True),
    "clipping inf norm": (lambda kind: [GradientNormClipping(0.01, float("inf"))], True),
    "schedule by epoch": (lambda kind: [LRScheduler(StepLR, step_size=1, gamma=0.5)], True),
    "schedule by batch": (
        lambda kind: [LRScheduler(ExponentialLR, gamma=0.9, step_every="batch")],
        True,
    ),
    "cyclic schedule": (
        lambda kind: [
            LRScheduler(
                CyclicLR, base_lr=1e-4, max_lr=0.1, step_every="batch", cycle_momentum=False
            )
        ],
        True,
    ),
    "plateau": (
        lambda kind: [LRScheduler(ReduceLROnPlateau, monitor="valid_loss", patience=0, mode="max")],
        True,
    ),
    "score on train": (lambda kind: [EpochScoring(hits, name="acc", on_train=True)], False),
    "score on valid": (lambda kind: [EpochScoring(hits, name="acc")], False),
    "score without cache": (lambda kind: [EpochScoring(hits, name="a", use_caching=False)], False),
    "train score without cache": (
        lambda kind: [EpochScoring(hits, name="a", use_caching=False, on_train=True)],
        False,
    ),
    "score of batches": (lambda kind: [BatchScoring(hits, name="acc", on_train=True)], False),
    "early stopping": (lambda kind: [EarlyStopping(patience=2, threshold=0.5)], True),
    "early stopping, best": (
        lambda kind: [EarlyStopping(patience=2, threshold=0.5, load_best=True)],
        True,
    ),
    "freezer": (lambda kind: [Freezer(FIRST[kind])], True),
    "freezer later": (lambda kind: [Freezer(FIRST[kind], at=3)], True),
    "frozen and thawed": (
        lambda kind: [Freezer(FIRST[kind]), Unfreezer(FIRST[kind], at=3)],
        True,
    ),
    "all but one frozen": (lambda kind: [Freezer(lambda name: not name.endswith("4.bias"))], True),
    "initializer": (lambda kind: [Initializer("*bias", fn=nn.init.zeros_)], True),
    "mapper": (lambda kind: [ParamMapper("*", at=2, fn=lambda p: p.data.mul_(0.9))], True),
    "gradient in place": (lambda kind: [OnGradient("in place")], True),
    "gradient replaced": (lambda kind: [OnGradient("replaced")], True),
    "gradient dropped": (lambda kind: [OnGradient("dropped")], True),
    "data swapped": (lambda kind: [AtEpoch("swap data")], True),
    "state loaded": (lambda kind: [AtEpoch("load state")], True),
    "optimizer state loaded": (lambda kind: [AtEpoch("optimizer state")], True),
    "optimizer state cleared": (lambda kind: [AtEpoch("clear state")], True),
    "set_params": (lambda kind: [AtEpoch("set_params")], True),
    "hook within an epoch": (lambda kind: [AtEpoch("hook")], True),
}


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("case", CASES)
def test_callbacks_change_training_exactly_as_in_skorch(case, kind, data):
    callbacks, must_matter = CASES[case]
    nets = {}
    for name, make in (("stock", stock), ("ours", ours)):
        params = {"callbacks": [*callbacks(kind), Recorder()], "train_split": ValidSplit(5)}
        nets[name] = fit(make(build(MODULES[kind]), **params), *data)
    assert_same_training(nets["ours"], nets["stock"])
    logs = [dict(net.callbacks_)["Recorder"].log_ for net in nets.values()]
    assert [shape_of(entry) for entry in logs[0]] == [shape_of(entry) for entry in logs[1]]
    np.testing.assert_allclose(numbers_of(logs[1]), numbers_of(logs[0]), rtol=1e-8, atol=1e-10)
    if must_matter:
        plain = fit(ours(build(MODULES[kind]), train_split=ValidSplit(5)), *data)
        assert plain.history[:, "train_loss"] != nets["ours"].history[:, "train_loss"]


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (torch.optim.Adam, {"optimizer__amsgrad": True, "optimizer__weight_decay": 0.1}),
        (torch.optim.Adam, {"optimizer__betas": (0.8, 0.9), "optimizer__eps": 1e-4}),
        (torch.optim.Adam, {"optimizer__maximize": True}),
        (torch.optim.Adam, {"optimizer__foreach": True}),
        (torch.optim.Adam, {"optimizer__param_groups": [("*weight", {"lr": 0.002})]}),
        (torch.optim.AdamW, {}),
        (torch.optim.SGD, {"optimizer__momentum": 0.9, "optimizer__nesterov": True}),
        (torch.optim.SGD, {"optimizer__momentum": 0.9, "optimizer__dampening": 0.3}),
        (torch.optim.SGD, {"optimizer__weight_decay": 0.1}),
        (torch.optim.RMSprop, {}),
        (torch.optim.RMSprop, {"optimizer__momentum": 0.9, "optimizer__weight_decay": 0.1}),
        (torch.optim.RMSprop, {"optimizer__centered": True}),
        (torch.optim.Adagrad, {"optimizer__lr_decay": 0.1, "optimizer__weight_decay": 0.1}),
        (torch.optim.RAdam, {"optimizer__weight_decay": 0.1}),
        (torch.optim.RAdam, {"optimizer__decoupled_weight_decay": True}),
        (torch.optim.LBFGS, {"optimizer__max_iter": 3}),
    ],
)
def test_optimizers_are_those_of_torch(optimizer, options, kind, data):
    params = {"optimizer": optimizer, "train_split": None, **options}
    expected = fit(stock(build(MODULES[kind]), **params), *data)
    got = fit(ours(build(MODULES[kind]), **params), *data)
    # the line search of LBFGS magnifies the last digit of the gradient
    loose = optimizer is torch.optim.LBFGS
    assert_same_training(got, expected, rtol=1e-5 if loose else 1e-9, atol=1e-5 if loose else 1e-9)


@pytest.mark.parametrize("kind", MODULES)
def test_float32_is_bit_for_bit_that_of_the_fused_optimizer(kind, data):
    X, y = data[0].astype(np.float32), data[1]
    module = build(MODULES[kind], dtype=torch.float32)
    expected = fit(stock(copy.deepcopy(module), train_split=None, optimizer__fused=True), X, y)
    got = fit(ours(copy.deepcopy(module)), X, y)
    if kind == "any":
        assert curves(got) == curves(expected)
    else:
        assert_same_training(got, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("way", ["warm start", "partial fit", "pickle", "deepcopy", "new lr"])
def test_training_goes_on(way, kind, data, tmp_path):
    def go_on(net):
        net.fit(*data)
        if way == "warm start":
            return net.fit(*data)
        if way == "pickle":
            net = pickle.loads(pickle.dumps(net))
        elif way == "deepcopy":
            net = copy.deepcopy(net)
        elif way == "new lr":
            net.set_params(lr=1e-4)
        return net.partial_fit(*data)

    def make(cls):
        callbacks = [LRScheduler(StepLR, step_size=2, gamma=0.5), GradientNormClipping(0.5)]
        return cls(build(MODULES[kind]), warm_start=True, callbacks=callbacks, train_split=None)

    with blocks.seeded(0):
        expected, got = go_on(make(stock)), go_on(make(ours))
    assert_same_training(got, expected)
    assert len(got.history) == 10
    assert got.history[-1, "train_loss"] != got.history[4, "train_loss"]
    # what was trained is what predicts
    logits = got.forward_batches(data[0])
    loss = nn.functional.cross_entropy(logits, torch.as_tensor(data[1])).item()
    assert loss == pytest.approx(got.history[-1, "train_loss"], abs=0.02)


@pytest.mark.parametrize("kind", MODULES)
def test_checkpoints_save_load_and_resume(kind, data, tmp_path):
    nets = {}
    for name, make in (("stock", stock), ("ours", ours)):
        files = Checkpoint(dirname=tmp_path / f"{name}-{kind}", f_pickle="net.pkl", load_best=True)
        params = {"callbacks": [files], "train_split": ValidSplit(5)}
        nets[name] = fit(make(build(MODULES[kind]), **params), *data)
        again = make(build(MODULES[kind], seed=1), **params)
        again.initialize().load_params(checkpoint=files)
        with blocks.seeded(0):
            nets[f"{name} resumed"] = again.partial_fit(*data)
        with open(tmp_path / f"{name}-{kind}" / "net.pkl", "rb") as file:
            snapshot = pickle.load(file)
        with blocks.seeded(0):
            nets[f"{name} unpickled"] = snapshot.partial_fit(*data)
    assert_same_training(nets["ours"], nets["stock"])
    assert_same_training(nets["ours resumed"], nets["stock resumed"])
    assert_same_training(nets["ours unpickled"], nets["stock unpickled"])


# --- extension points ---------------------------------------------------------------------------


class ScaledLoss:
    def get_loss(self, *args, **kwargs):
        return 0.5 * super().get_loss(*args, **kwargs)


class ShiftedOutput:
    def infer(self, x, **fit_params):
        return super().infer(x, **fit_params) + torch.arange(K, dtype=torch.float64)


class PenalisedSingleStep:
    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        for p in self.module_.parameters():
            p.grad.add_(0.1 * p.detach())
        return step


class TwiceTheGradient:
    def train_step_single(self, batch, **fit_params):
        super().train_step_single(batch, **fit_params)
        return super().train_step_single(batch, **fit_params)


class Accumulating:
    """The recipe of skorch's documentation."""

    def train_step(self, batch, **fit_params):
        step = self.train_step_single(batch, **fit_params)
        if len(self.history[-1, "batches"]) % 2 == 0:
            self.optimizer_.step()
            self.optimizer_.zero_grad()
        return step


class ScaledValidation:
    def validation_step(self, batch, **fit_params):
        step = super().validation_step(batch, **fit_params)
        return {**step, "loss": 3 * step["loss"]}


class TwoPasses:
    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        for _ in range(2):
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)


class SmallBatches:
    def get_iterator(self, dataset, training=False):
        return DataLoader(dataset, batch_size=10)


class DoubledReport:
    def get_train_step_accumulator(self):
        accumulator = super().get_train_step_accumulator()
        get_step = accumulator.get_step
        accumulator.get_step = lambda: {**get_step(), "loss": 2 * get_step()["loss"]}
        return accumulator


class ClipsItself:
    def on_grad_computed(self, net, named_parameters, **kwargs):
        torch.nn.utils.clip_grad_norm_([p for _, p in named_parameters], 0.05)


class CountsBatches:
    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)
        self.history.record_batch("seen", len(batch[0]))


class NoisyNotify:
    def notify(self, method_name, **cb_kwargs):
        super().notify(method_name, **cb_kwargs)
        if method_name == "on_grad_computed":
            for p in self.module_.parameters():
                p.grad.mul_(0.5)


class KeepsGradients:
    def _zero_grad_optimizer(self, set_to_none=None):
        if len(self.history[-1, "batches"]) == 1:
            super()._zero_grad_optimizer(set_to_none)


class StepsTwice:
    def _step_optimizer(self, step_fn):
        super()._step_optimizer(step_fn)
        super()._step_optimizer(step_fn)


class OwnOptimizer:
    def initialize_optimizer(self, *args, **kwargs):
        self.optimizer_ = torch.optim.SGD(self.module_.parameters(), lr=0.1)
        return self


class SplitsItself:
    def get_split_datasets(self, X, y=None, **fit_params):
        return self.get_dataset(X[:100], y[:100]), self.get_dataset(X[100:], y[100:])


class EvaluatesTwice:
    def evaluation_step(self, batch, training=False):
        return 2 * super().evaluation_step(batch, training=training)


MIXINS = [
    ScaledLoss,
    ShiftedOutput,
    PenalisedSingleStep,
    TwiceTheGradient,
    Accumulating,
    ScaledValidation,
    TwoPasses,
    SmallBatches,
    DoubledReport,
    ClipsItself,
    CountsBatches,
    NoisyNotify,
    KeepsGradients,
    StepsTwice,
    OwnOptimizer,
    SplitsItself,
    EvaluatesTwice,
]


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("mixin", MIXINS)
def test_overridden_methods_are_called(mixin, kind, data):
    class Theirs(mixin, NeuralNet):
        pass

    class Ours(mixin, Trainer):
        pass

    params = {
        "max_epochs": 3,
        "batch_size": 32,
        "lr": 0.01,
        "optimizer": torch.optim.Adam,
        "verbose": 0,
        "train_split": ValidSplit(5),
    }
    expected = fit(Theirs(build(MODULES[kind]), nn.CrossEntropyLoss, **params), *data)
    got = Ours(build(MODULES[kind]), nn.CrossEntropyLoss, iterator_train__shuffle=False, **params)
    if mixin is SmallBatches:
        got = Ours(build(MODULES[kind]), nn.CrossEntropyLoss, **params)
    got = fit(got, *data)
    assert_same_training(got, expected)
    with blocks.seeded(0):
        np.testing.assert_allclose(got.predict(data[0]), expected.predict(data[0]), rtol=1e-9)
    plain = fit(ours(build(MODULES[kind]), train_split=ValidSplit(5)), *data)
    differs = curves(plain) != curves(got) or not np.allclose(
        plain.predict(data[0]), got.predict(data[0])
    )
    assert differs


@pytest.mark.parametrize("name", ["infer", "get_loss", "train_step_single", "train_step"])
def test_a_method_replaced_on_the_instance_is_called(name, data):
    net = ours(build(dense)).initialize()
    calls = []
    original = getattr(net, name)

    def replacement(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    setattr(net, name, replacement)
    net.partial_fit(*data)
    assert len(calls) == 5 * 5


@pytest.mark.parametrize("kind", MODULES)
def test_hooks_of_modules_and_tensors_are_called(kind, data):
    calls = []
    module = build(MODULES[kind])
    layers = [m for m in module.modules() if isinstance(m, nn.Linear)]
    layers[0].register_forward_hook(lambda *args: calls.append("forward"))
    layers[1].register_full_backward_hook(lambda *args: calls.append("backward"))
    layers[1].weight.register_hook(lambda g: calls.append("tensor"))
    layers[2].weight.register_post_accumulate_grad_hook(lambda p: calls.append("accumulated"))
    ours(module, max_epochs=1, batch_size=N).fit(*data)
    assert {"forward", "backward", "tensor", "accumulated"} <= set(calls)


@pytest.mark.parametrize("iterator", ["DataLoader", "options", "shuffled DataLoader"])
def test_users_may_bring_their_own_iterator(iterator, data):
    params = {
        "DataLoader": {"iterator_train": DataLoader},
        "options": {"iterator_train__shuffle": False, "iterator_train__num_workers": 0},
        "shuffled DataLoader": {"iterator_train": DataLoader, "iterator_train__shuffle": True},
    }[iterator]

    def run():
        return Trainer(build(dense), nn.CrossEntropyLoss, max_epochs=3, **params).fit(*data)

    # repeatable, and without the global generator, which the fixture of every test watches
    assert curves(run()) == curves(run())
    if iterator != "shuffled DataLoader":
        sliced = ours(build(dense), lr=1e-3, batch_size=128, max_epochs=3).fit(*data)
        np.testing.assert_allclose(
            run().history[:, "train_loss"], sliced.history[:3, "train_loss"], rtol=1e-12
        )


# --- weights, validation, precision -------------------------------------------------------------

PER_ROW = nn.CrossEntropyLoss(reduction="none")


def weighted(kind, n, **params):
    return Trainer(build(MODULES[kind]), PER_ROW, max_epochs=4, batch_size=n, lr=0.01, **params)


@pytest.mark.parametrize("kind", MODULES)
def test_weights_are_repetitions_and_zero_is_absence(kind, data):
    X, y = data
    w = np.random.default_rng(1).integers(0, 4, N)
    rows = np.repeat(np.arange(N), w)
    a = weighted(kind, 1000).fit(X, y, sample_weight=w, val=(X, y, w))
    b = weighted(kind, 1000).fit(X[rows], y[rows], val=(X[rows], y[rows]))
    for column in ("train_loss", "valid_loss"):
        np.testing.assert_allclose(a.history[:, column], b.history[:, column], rtol=1e-12)
    np.testing.assert_allclose(a.forward_batches(X), b.forward_batches(X), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", MODULES)
def test_a_row_of_weight_zero_changes_nothing_whatever_it_holds(kind, data):
    X, y = (a.copy() for a in data)
    w = np.ones(N)
    w[::5] = 0
    a = weighted(kind, 16).fit(X, y, sample_weight=w)
    X[::5], y[::5] = np.inf, 0
    b = weighted(kind, 16).fit(X, y, sample_weight=w)
    c = weighted(kind, 16).fit(X[w > 0], y[w > 0], sample_weight=w[w > 0])
    assert curves(a) == curves(b) == curves(c)


def test_losses_of_an_epoch_are_weighted_across_batches(data):
    X, y = data
    w = np.random.default_rng(2).uniform(0.1, 5, N)
    net = weighted("dense", 32).fit(X, y, val=(X, y, w))
    losses = nn.functional.cross_entropy(
        net.forward_batches(X), torch.as_tensor(y), reduction="none"
    )
    expected = float((losses * torch.as_tensor(w)).sum() / w.sum())
    assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "w", [-np.ones(N), np.zeros(N), np.full(N, np.nan), np.ones(3), np.ones((N, 2))]
)
def test_bad_weights_are_refused(w, data):
    with pytest.raises(ValueError, match="sample_weight"):
        weighted("dense", 32).fit(*data, sample_weight=w)


def test_weights_that_would_be_lost_are_refused(data):
    w = np.ones(N)
    with pytest.raises(ValueError, match='reduction="none"'):
        Trainer(build(Wrapped), nn.CrossEntropyLoss).fit(*data, sample_weight=w)
    with pytest.raises(ValueError, match="iterator"):
        Trainer(build(dense), PER_ROW, iterator_train=DataLoader).fit(*data, sample_weight=w)


def test_losses_with_more_dimensions_are_averaged_by_row(data):
    X, _ = data
    target = np.random.default_rng(0).normal(size=(N, K))
    w = np.random.default_rng(1).integers(1, 3, N)
    rows = np.repeat(np.arange(N), w)
    nets = [
        Trainer(build(make), nn.MSELoss(reduction="none"), max_epochs=3, batch_size=1000)
        for make in (Wrapped, dense, Wrapped)
    ]
    a, b = (net.fit(X, target, sample_weight=w) for net in nets[:2])
    c = nets[2].fit(X[rows], target[rows])
    for other in (b, c):
        np.testing.assert_allclose(
            a.history[:, "train_loss"], other.history[:, "train_loss"], rtol=1e-12
        )


def test_inputs_follow_the_dtype_of_the_module(data):
    X, y = data
    seen = []

    class Watching(Wrapped):
        def forward(self, X):
            seen.append(X.dtype)
            return super().forward(X)

    for dtype in (torch.float64, torch.float32):
        for given in (X, X.astype(np.float32), (10 * np.abs(X)).astype(np.uint8)):
            net = Trainer(build(Watching, dtype=dtype), nn.CrossEntropyLoss, max_epochs=1)
            net.fit(given, y)
            assert net.forward_batches(given).dtype is dtype
            assert set(seen) == {dtype}
            seen.clear()
            assert all(p.dtype is dtype for p in net.module_.parameters())


def test_a_module_cast_after_the_fit_still_predicts(data):
    net = Trainer(build(dense), nn.CrossEntropyLoss, max_epochs=1).fit(*data)
    net.module_.float()
    assert net.forward_batches(data[0]).dtype is torch.float32
    assert net.predict(data[0]).dtype == np.float32


def test_indices_stay_integers():
    X = np.random.default_rng(0).integers(0, 7, (40, 5))
    module = build(lambda: nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(15, 2)))
    net = Trainer(module, nn.CrossEntropyLoss, max_epochs=2, lr=0.1).fit(X, X[:, 0] % 2)
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]


def test_bf16_trains_in_autocast_and_answers_in_float32(data):
    X, y = data[0].astype(np.float32), data[1]
    seen = []

    class Watching(Wrapped):
        def forward(self, X):
            output = super().forward(X)
            seen.append(output.dtype)
            return output

    net = Trainer(
        build(Watching, dtype=torch.float32),
        PER_ROW,
        precision="bf16",
        max_epochs=15,
        lr=0.02,
        batch_size=32,
    )
    net.fit(X, y, val=(X, y))
    assert set(seen) == {torch.bfloat16}
    assert net.forward_batches(X).dtype is torch.float32
    assert net.predict(X).dtype == np.float32
    assert all(p.dtype is torch.float32 for p in net.module_.parameters())
    assert net.history[-1, "valid_loss"] < 0.7 * net.history[0, "valid_loss"]
    with pytest.raises(ValueError, match="bf16"):
        Trainer(dense, PER_ROW, precision="fp8").fit(X, y)


# --- forms of data --------------------------------------------------------------------------------


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(D, K), nn.Linear(2, K)

    def forward(self, left, right):
        return self.a(left) + self.b(right)


def test_items_of_a_mapping_are_arguments_of_forward(data):
    X, y = data
    inputs = {"left": X, "right": torch.as_tensor(X[:, :2])}
    net = Trainer(build(TwoInputs), PER_ROW, max_epochs=3, batch_size=32, lr=0.05)
    net.fit(inputs, y, sample_weight=np.ones(N), val=(inputs, y))
    assert net.history[-1, "valid_loss"] < net.history[0, "valid_loss"]
    expected = net.module_(torch.as_tensor(X), torch.as_tensor(X[:, :2])).detach()
    np.testing.assert_allclose(net.forward_batches(inputs, batch_size=7), expected, rtol=1e-12)


def test_there_need_be_no_target():
    class Autoencoder(Wrapped):
        def forward(self, X):
            return (self.net(X)[:, :1] - X).square().mean(1)

    class Itself(nn.Module):
        def forward(self, output, target):
            return output

    X = np.random.default_rng(0).normal(size=(50, D))
    net = Trainer(build(Autoencoder), Itself, max_epochs=3, lr=0.01).fit(X)
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]


@pytest.mark.parametrize("form", ["read-only", "reversed", "fortran", "tensor", "big-endian"])
def test_any_memory_layout_gives_the_same_result(form, data, recwarn):
    X, y = data
    read_only = X.copy()
    read_only.flags.writeable = False
    other = {
        "read-only": read_only,
        "reversed": np.ascontiguousarray(X[::-1])[::-1],
        "fortran": np.asfortranarray(X),
        "tensor": torch.as_tensor(X),
        "big-endian": X.astype(">f8"),
    }[form]
    expected = Trainer(build(Wrapped), nn.CrossEntropyLoss, max_epochs=2, batch_size=20).fit(X, y)
    got = Trainer(build(Wrapped), nn.CrossEntropyLoss, max_epochs=2, batch_size=20).fit(other, y)
    assert curves(got) == curves(expected)
    assert torch.equal(got.forward_batches(other), expected.forward_batches(X))
    assert not [w for w in recwarn if "writable" in str(w.message)]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_module_that_works_in_place_does_not_reach_the_data(shuffle, data):
    class Overwriting(Wrapped):
        def forward(self, X):
            return super().forward(X.mul_(0.5))

    X, y = data[0].copy(), data[1]
    net = Trainer(
        build(Overwriting), nn.CrossEntropyLoss, batch_size=32, iterator_train__shuffle=shuffle
    )
    net.fit(X, y, val=(X, y))
    net.forward_batches(X)
    net.predict(X)
    np.testing.assert_array_equal(X, data[0])


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33])
def test_every_row_is_visited_once_an_epoch(n, data):
    X, y = data[0][:n], data[1][:n]
    visited = []

    class Watching(Wrapped):
        def forward(self, X):
            visited.append(X[:, 0].detach().clone())
            return super().forward(X)

    Trainer(build(Watching), nn.CrossEntropyLoss, batch_size=16, max_epochs=1).fit(X, y)
    np.testing.assert_array_equal(np.sort(torch.cat(visited)), np.sort(X[:, 0]))
    assert len(visited) == -(-n // 16)


def test_bad_parameters_are_named(data):
    with pytest.raises(ValueError, match="optimizer is 'adm'"):
        Trainer(dense, PER_ROW, optimizer="adm").fit(*data)
    with pytest.raises(ValueError, match="schedule is 'cosin'"):
        Trainer(dense, PER_ROW, schedule="cosin").fit(*data)
    with pytest.raises(ValueError, match="batch_size"):
        Trainer(dense, PER_ROW, batch_size=0).fit(*data)
    with pytest.raises(ValueError, match="unexpected"):
        Trainer(dense, PER_ROW, no_such=0).fit(*data)


# --- random numbers -------------------------------------------------------------------------------


def noisy():
    return nn.Sequential(
        nn.Linear(D, 8), nn.ReLU(), nn.Dropout(0.3), blocks.GaussianNoise(0.1), nn.Linear(8, K)
    ).double()


def random_fit(data, seed=0, **params):
    params = {"max_epochs": 3, "batch_size": 16, "lr": 0.01, **params}
    return Trainer(noisy, nn.CrossEntropyLoss, seed=seed, **params).fit(*data)


def test_the_same_seed_gives_the_same_bits_and_the_global_generator_is_untouched(data):
    before = torch.get_rng_state()
    a, b, c = random_fit(data), random_fit(data), random_fit(data, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert curves(a) == curves(b)
    assert curves(a) != curves(c)
    assert torch.equal(a.forward_batches(data[0]), b.forward_batches(data[0]))


def test_fits_in_four_threads_repeat_to_the_bit(data):
    expected = curves(random_fit(data))
    results = {}

    def work(i):
        results[i] = curves(random_fit(data))

    for _ in range(3):
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(results[i] == expected for i in range(4))


def test_the_streams_go_on_after_a_copy(data):
    whole = random_fit(data, max_epochs=6)
    for copied in (copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))):
        net = copied(random_fit(data))
        net.partial_fit(*data)
        assert curves(net) == curves(whole)


def test_fitting_again_starts_again(data):
    net = random_fit(data)
    first = curves(net)
    assert curves(net.fit(*data)) == first


def test_rows_are_shuffled_each_epoch_but_not_when_one_batch_holds_all(data):
    orders = []

    class Watching(Wrapped):
        def forward(self, X):
            orders.append(X[:, 0].detach().clone().numpy())
            return super().forward(X)

    Trainer(build(Watching), nn.CrossEntropyLoss, batch_size=75, max_epochs=2).fit(*data)
    first, second = np.concatenate(orders[:2]), np.concatenate(orders[2:])
    assert not np.array_equal(first, data[0][:, 0])
    assert not np.array_equal(first, second)
    orders.clear()
    Trainer(build(Watching), nn.CrossEntropyLoss, batch_size=N, max_epochs=1).fit(*data)
    np.testing.assert_array_equal(orders[0], data[0][:, 0])


def test_hidden_draws_are_refused_before_they_happen(data):
    class Hidden(Wrapped):
        def forward(self, X):
            return nn.functional.dropout(super().forward(X), 0.5, self.training)

    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="global generator"):
        Trainer(build(Hidden), nn.CrossEntropyLoss).fit(*data)
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_of_torch_is_taken_over(data):
    net = random_fit(data)
    assert not any(type(m) is nn.Dropout for m in net.module_.modules())
    assert random_fit(data).module_[2].p == 0.3
    net = Trainer(
        lambda: nn.Sequential(nn.Linear(D, K), nn.Dropout(0.9)).double(),
        nn.CrossEntropyLoss,
        max_epochs=1,
    ).fit(*data)
    assert int((net.module_.train()(torch.as_tensor(data[0])) == 0).sum()) > N


# --- augmentation, schedules, clipping, steps ---------------------------------------------------


def test_batches_are_augmented_before_the_forward_pass(data):
    X, y = data
    calls = []

    def halve(X, y, w, generator):
        calls.append(float(torch.rand((), generator=generator)))
        return 0.5 * X, y, w

    for make in (Wrapped, dense):
        a = Trainer(build(make), PER_ROW, augment=halve, batch_size=32, max_epochs=2).fit(
            X, y, val=(X, y)
        )
        b = Trainer(build(make), PER_ROW, batch_size=32, max_epochs=2).fit(0.5 * X, y, val=(X, y))
        assert curves(a) == pytest.approx(curves(b), rel=1e-12)
        assert len(set(calls)) == 10
        calls.clear()


@pytest.mark.parametrize("kind", MODULES)
def test_mixup_makes_soft_targets_and_keeps_weights(kind, data):
    w = np.random.default_rng(0).uniform(0.5, 2, N)
    nets = [
        Trainer(
            build(MODULES[kind]),
            PER_ROW,
            augment=augment.Mixup(0.4, n_classes=K),
            batch_size=32,
            max_epochs=20,
            lr=0.02,
        ).fit(*data, sample_weight=w, val=data)
        for _ in range(2)
    ]
    assert curves(nets[0]) == curves(nets[1])
    assert nets[0].history[-1, "valid_loss"] < 0.6 * nets[0].history[0, "valid_loss"]


def test_gradient_clip_and_schedule_are_the_callbacks_of_skorch(data):
    a = ours(build(Wrapped), gradient_clip=0.1, schedule=("exponential", {"gamma": 0.5}))
    b = ours(
        build(Wrapped),
        callbacks=[GradientNormClipping(0.1), LRScheduler(ExponentialLR, gamma=0.5)],
    )
    assert curves(a.fit(*data)) == curves(b.fit(*data))
    assert a.history[:, "event_lr"] == [0.01 * 0.5**i for i in range(5)]


def test_weight_decay_is_a_parameter_that_can_be_changed(data):
    net = ours(build(dense), weight_decay=0.5).fit(*data)
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.5
    net.set_params(weight_decay=0.25)
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert net.get_params()["weight_decay"] == 0.25
    with_option = ours(build(dense), optimizer__weight_decay=0.5).fit(*data)
    np.testing.assert_array_equal(
        net.history[:, "train_loss"], with_option.history[:, "train_loss"]
    )
    assert ours(build(dense), optimizer="adamw").fit(*data).optimizer_.defaults[
        "weight_decay"
    ] == pytest.approx(0.01)


def test_steps_decide_how_many_epochs_run_and_see_a_break(data):
    log = []

    def steps(n, name):
        log.append((n, name))
        try:
            yield from range(3)
            log.append("exhausted")
        except GeneratorExit:
            log.append("left")
            raise

    net = ours(build(dense), steps=steps).fit(*data)
    assert log == [(5, "epoch"), "exhausted"]
    assert len(net.history) == 3
    log.clear()
    ours(
        build(dense), steps=steps, callbacks=[EarlyStopping("train_loss", patience=1, threshold=1)]
    ).fit(*data)
    assert log == [(5, "epoch"), "left"]
    assert pickle.loads(pickle.dumps(net)).steps is None


def test_an_interrupt_leaves_a_usable_net_and_can_be_told_from_a_stop(data):
    class Interrupted(Wrapped):
        calls = 0

        def forward(self, X):
            Interrupted.calls += self.training
            if self.training and Interrupted.calls == 7:
                raise KeyboardInterrupt
            return super().forward(X)

    net = ours(build(Interrupted)).fit(*data)
    assert net.interrupted_
    assert len(net.history) == 2
    assert not net.module_.training
    assert net.forward_batches(data[0]).shape == (N, K)
    stopped = ours(build(dense), callbacks=[EarlyStopping("train_loss", patience=1, threshold=1)])
    assert not stopped.fit(*data).interrupted_
    assert len(stopped.history) == 2


def test_an_error_of_a_callback_is_not_hidden(data):
    class Broken(Callback):
        def on_batch_end(self, net, **kwargs):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ours(build(dense), callbacks=[Broken()]).fit(*data)


# --- output, copies, imports ----------------------------------------------------------------------


def test_forward_batches_writes_nothing_and_does_not_depend_on_the_batch_size(data):
    X, _ = data
    net = random_fit(data)
    before = {key: id(value) for key, value in vars(net).items()}
    order, noise = net.order_generator_.get_state(), net.noise_generator_.get_state()
    outputs = [net.forward_batches(X, batch_size=size) for size in (None, 1, 7, N, 10 * N)]
    assert {key: id(value) for key, value in vars(net).items()} == before
    assert torch.equal(net.order_generator_.get_state(), order)
    assert torch.equal(net.noise_generator_.get_state(), noise)
    assert not any(m.training for m in net.module_.modules())
    for output in outputs:
        np.testing.assert_allclose(output, outputs[0], rtol=1e-12)
        assert not output.requires_grad
    np.testing.assert_allclose(net.forward(X), outputs[0], rtol=1e-12)


def test_forward_batches_returns_every_output():
    class Two(Wrapped):
        def forward(self, X):
            return self.net(X), X[:, 0]

    X = np.random.default_rng(0).normal(size=(20, D))
    net = Trainer(build(Two), nn.MSELoss).initialize()
    first, second = net.forward_batches(X, batch_size=6)
    assert first.shape == (20, K)
    np.testing.assert_array_equal(second, X[:, 0])


def test_parameters_survive_cloning(data):
    from sklearn.base import clone

    net = Trainer(
        dense, PER_ROW, optimizer="nesterov", schedule="cosine", gradient_clip=1.0, seed=5, lr=0.1
    )
    twin = clone(net)
    assert twin.get_params()["schedule"] == "cosine"
    assert twin.seed == 5
    float32 = data[0].astype(np.float32), data[1]
    assert curves(net.fit(*float32)) == curves(twin.fit(*float32))
    assert curves(clone(net).fit(*float32)) == curves(net)


def test_module_parameters_rebuild_the_module(data):
    X, y = data[0].astype(np.float32), data[1]
    net = Trainer(Wrapped, PER_ROW, module__width=5, max_epochs=1).fit(X, y)
    assert net.module_.net[0].out_features == 5
    net.set_params(module__width=9)
    net.partial_fit(X, y)
    assert net.module_.net[0].out_features == 9


def test_copies_carry_no_second_optimizer_and_no_shared_memory(data):
    net = ours(build(dense), schedule="cosine").fit(*data)
    copied = pickle.loads(pickle.dumps(net))
    for p, q in zip(net.module_.parameters(), copied.module_.parameters(), strict=True):
        assert p.data_ptr() != q.data_ptr()
        assert q.untyped_storage().nbytes() == q.numel() * q.element_size()
    trained = {id(p) for p in copied.module_.parameters()}
    assert {id(p) for g in copied.optimizer_.param_groups for p in g["params"]} == trained
    assert {id(p) for p in copied.optimizer_.state} == trained
    for state in copied.optimizer_.state.values():
        assert state["step"].untyped_storage().nbytes() == 4


def test_training_never_loads_torch_dynamo():
    code = (
        "import sys, numpy as np\n"
        "from torch import nn\n"
        "from zoo.engines.neural.trainer import Trainer\n"
        "X = np.zeros((9, 2), np.float32); y = np.zeros(9, int)\n"
        "for name in ('adam', 'adamw', 'sgd', 'nesterov', 'rmsprop', 'adagrad', 'radam',"
        " 'adabound'):\n"
        "    net = Trainer(nn.Sequential(nn.Linear(2, 2)), nn.CrossEntropyLoss, optimizer=name,"
        " schedule='cosine').fit(X, y)\n"
        "    net.forward_batches(X)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_names_of_optimizers_all_learn(data):
    for name in optim.OPTIMIZERS:
        lr = 0.1 if name in ("sgd", "momentum", "nesterov", "adagrad", "radam") else 0.01
        net = Trainer(
            build(dense), PER_ROW, optimizer=name, lr=lr, batch_size=32, max_epochs=15
        ).fit(*data)
        assert net.history[-1, "train_loss"] < 0.8 * net.history[0, "train_loss"], name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_trains_as_the_cpu_does(data):
    a = ours(build(Wrapped), device="cuda").fit(*data)
    b = ours(build(Wrapped)).fit(*data)
    np.testing.assert_allclose(a.history[:, "train_loss"], b.history[:, "train_loss"], rtol=1e-9)
    noise = random_fit(data, device="cuda")
    assert curves(noise) == curves(random_fit(data, device="cuda"))
    again = pickle.loads(pickle.dumps(noise))
    assert curves(again.partial_fit(*data)) == curves(noise.partial_fit(*data))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_net_from_a_gpu_loads_and_trains_on_a_cpu(data):
    state = random_fit(data).__getstate__()
    # what differs in the state of a net trained on a GPU, as it arrives on a machine without
    state["device"] = "cuda"
    seed, _ = state["noise_generator_"]
    state["noise_generator_"] = (seed, torch.zeros(16, dtype=torch.uint8))
    net = Trainer.__new__(Trainer)
    with pytest.warns(DeviceWarning):
        net.__setstate__(state)
    assert torch.device(net.device).type == "cpu"
    assert net.noise_generator_.device.type == "cpu"
    net.partial_fit(*data)
    assert len(net.history) == 6
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]


@pytest.mark.parametrize("serial", [True, False])
def test_small_networks_train_in_one_thread_and_nothing_else_is_changed(serial, data, monkeypatch):
    threads = []

    class Watching(Wrapped):
        def forward(self, X):
            threads.append(torch.get_num_threads())
            return super().forward(X)

    monkeypatch.setattr(threads_, "SERIAL_PRODUCT", 2**25 if serial else 1)
    before = torch.get_num_threads()
    Trainer(build(Watching), nn.CrossEntropyLoss, max_epochs=1).fit(*data)
    assert set(threads) == {1 if serial else before}
    assert torch.get_num_threads() == before
