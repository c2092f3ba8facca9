"""One batch: what skorch's users may put in and what they may ask."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochScoring
from skorch.exceptions import NotInitializedError
from skorch.history import DistributedHistory, History
from skorch.scoring import loss_scoring
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, SequentialSampler

from zoo.engines.modules import blocks
from zoo.engines.neural.trainer import Trainer

N, D = 40, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)).astype(np.float32)
Y = X[:, :1] + X[:, 1:2]


def linear(n_out=1):
    with blocks.seeded(0):
        return nn.Linear(D, n_out)


def small(module=None, criterion=nn.MSELoss, **options):
    options = {"max_epochs": 2, "batch_size": 16, "lr": 0.05} | options
    return Trainer(linear() if module is None else module, criterion, **options)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", torch.optim.SGD, torch.optim.Adagrad])
def test_sparse_gradients(optimizer):
    ids = np.arange(N) % 10

    def embedding():
        with blocks.seeded(0):
            return nn.Embedding(10, 1, sparse=True)

    ours = small(embedding(), optimizer=optimizer, iterator_train__shuffle=False).fit(ids, Y)
    cls = {"sgd": torch.optim.SGD, "adagrad": torch.optim.Adagrad}.get(optimizer, optimizer)
    theirs = NeuralNet(
        embedding(), nn.MSELoss, optimizer=cls, max_epochs=2, batch_size=16, lr=0.05,
        train_split=None, verbose=0,
    )  # fmt: skip
    with blocks.seeded(0):
        theirs.fit(ids, Y)
    torch.testing.assert_close(ours.module_.weight, theirs.module_.weight)


def test_sparse_gradients_are_refused_where_the_rule_has_none():
    with blocks.seeded(0):
        module = nn.Embedding(10, 1, sparse=True)
    with pytest.raises(TypeError, match="AdaBound takes no sparse gradients"):
        small(module, optimizer="adabound").fit(np.arange(N) % 10, Y)


def test_a_loss_of_shape_one():
    class OneNumber(nn.MSELoss):
        def forward(self, output, target):
            return super().forward(output, target)[None]

    a, b = small(criterion=OneNumber).fit(X, Y), small().fit(X, Y)
    assert a.history[:, "train_loss"] == pytest.approx(b.history[:, "train_loss"])


def test_loss_scoring_of_skorch():
    rows = small(criterion=nn.MSELoss(reduction="none")).fit(X, Y)
    mean = small().fit(X, Y)
    scored = loss_scoring(rows, X, Y)
    assert scored.shape == (N, 1)
    assert scored.mean() == pytest.approx(loss_scoring(mean, X, Y), rel=1e-5)


@pytest.mark.parametrize("method", ["forward", "predict", "predict_proba"])
def test_nothing_is_predicted_before_a_fit(method):
    with pytest.raises(NotInitializedError):
        getattr(small(), method)(X)


def test_without_targets_the_criterion_gets_zeros_as_in_skorch():
    seen = []

    class Watches(nn.MSELoss):
        def forward(self, output, target):
            seen.append(target)
            return super().forward(output, target)

    small(criterion=Watches, max_epochs=1).fit(X, None)
    assert [tuple(y.shape) for y in seen] == [(16, 1), (16, 1), (8, 1)]
    assert not torch.cat(seen).any()


def test_a_tuple_with_names_is_data():
    Two = namedtuple("Two", "a b")

    class Adds(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear()

        def forward(self, x):
            assert isinstance(x, Two)
            return self.layer(x.a + x.b)

    a = small(Adds()).fit(Two(X, X), Y)
    b = small().fit(2 * X, Y)
    assert a.history[:, "train_loss"] == pytest.approx(b.history[:, "train_loss"])


@pytest.mark.parametrize("iterator", ["own", "DataLoader"])
def test_data_without_a_length(iterator):
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(X, Y, strict=True))

    options = {"iterator_train": DataLoader} if iterator == "DataLoader" else {}
    net = small(max_epochs=3, **options).fit(Stream())
    assert len(net.history[-1, "batches"]) == 3
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]


def test_a_sampler_sets_the_order():
    ordered = small(iterator_train__sampler=SequentialSampler(X)).fit(X, Y)
    plain = small(iterator_train__shuffle=False).fit(X, Y)
    assert ordered.history[:, "train_loss"] == pytest.approx(plain.history[:, "train_loss"])


def test_a_module_under_another_name():
    class Net(Trainer):
        def initialize_module(self):
            self.net_ = linear()
            return self

        def infer(self, x, **fit_params):
            return self.net_(self._cast(x), **fit_params)

    renamed, plain = Net(None, nn.MSELoss, lr=0.05).fit(X, Y), small(max_epochs=10, batch_size=128)
    assert renamed.history[:, "train_loss"] == pytest.approx(
        plain.fit(X, Y).history[:, "train_loss"]
    )
    assert renamed.forward_batches(X).shape == (N, 1)


def test_parts_are_initialized_alone_as_mixins_of_skorch_do():
    net = small()
    net._initialize_virtual_params()
    net._initialize_callbacks()
    net._initialize_module()
    net._initialize_criterion()
    net._initialize_optimizer()
    net._initialize_history()
    net.initialized_ = True
    assert net.partial_fit(X, Y).history[:, "train_loss"] == small().fit(X, Y).history[:, "train_loss"]


def test_other_histories_hear_of_every_batch(tmp_path):
    heard = []

    class Listens(History):
        def record_batch(self, attr, value):
            heard.append(attr)
            super().record_batch(attr, value)

    class Net(Trainer):
        def initialize_history(self):
            self.history_ = Listens()
            return self

    Net(linear(), nn.MSELoss, max_epochs=1, batch_size=16).fit(X, Y)
    assert heard.count("train_loss") == 3

    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)

    class Distributed(Trainer):
        def initialize_history(self):
            self.history_ = DistributedHistory(store=store, rank=0, world_size=1)
            return self

    net = Distributed(linear(), nn.MSELoss, max_epochs=1, batch_size=16).fit(X, Y)
    assert net.history[-1, "train_loss"] > 0


def test_callbacks_that_answer_for_themselves_and_those_that_come_late():
    class Proxy:
        def __init__(self):
            self.heard = []

        def __getattr__(self, name):
            if not name.startswith("on_") and name not in ("initialize", "set_params"):
                raise AttributeError(name)
            return lambda *args, **kwargs: self.heard.append(name) or self

    class Late(Callback):
        n = 0

        def on_batch_end(self, net, **kwargs):
            self.n += 1

    late = Late()

    class Adds(Callback):
        def on_batch_begin(self, net, **kwargs):
            if late not in dict(net.callbacks_).values():
                net.callbacks_.append(("late", late))

    proxy = Proxy()
    small(max_epochs=1, callbacks=[("proxy", proxy), Adds()]).fit(X, Y)
    assert {"on_train_begin", "on_batch_end", "on_train_end"} <= set(proxy.heard)
    assert late.n == 3


def test_val_is_validation_data_and_nothing_else():
    with pytest.raises(TypeError, match=r"val is 0\.5, but it must be validation data"):
        small().fit(X, Y, val=0.5)


def test_validation_is_without_dropout():
    with blocks.seeded(0):
        module = nn.Sequential(nn.Dropout(0.9), nn.Linear(D, 1))
    net = small(module, optimizer="sgd", lr=1e-12, max_epochs=1).fit(X, Y, val=(X, Y))
    expected = nn.functional.mse_loss(net.module_(torch.as_tensor(X)), torch.as_tensor(Y)).item()
    assert not net.module_.training
    assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)
    assert net.history[-1, "train_loss"] > 1.5 * expected


def test_scores_of_skorch_see_classes():
    from zoo import MLPClassifier

    labels = np.where(Y[:, 0] > 0, "up", "down")
    scores = [EpochScoring("accuracy", lower_is_better=False), EpochScoring("roc_auc", lower_is_better=False)]
    model = MLPClassifier(
        hidden_layer_sizes=(8,), max_epochs=30, lr=0.05, callbacks=scores, random_state=0
    )  # fmt: skip
    model.fit(X, labels, X_val=X, y_val=labels)
    assert model.history_["accuracy"][-1] == pytest.approx(model.score(X, labels))
    assert model.history_["roc_auc"][-1] > 0.95
