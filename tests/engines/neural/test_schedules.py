import copy
import math
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import StepLR

from zoo.engines.modules import blocks
from zoo.engines.neural import schedules
from zoo.engines.neural.trainer import Trainer

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


def train(schedule, epochs=6, **params):
    with blocks.seeded(0):
        module = nn.Sequential(nn.Linear(3, 2)).double()
    params = {"lr": 0.1, "batch_size": 10, "optimizer": "sgd", **params}
    return Trainer(module, nn.CrossEntropyLoss, max_epochs=epochs, schedule=schedule, **params)


def epoch_rates(net):
    return net.history[:, "event_lr"]


def batch_rates(net):
    return [b["event_lr"] for row in net.history for b in row["batches"]]


def test_noam_rises_to_one_at_the_end_of_the_warm_up():
    factor = schedules.Noam(warm_up=8)
    values = [factor(i) for i in range(40)]
    assert np.argmax(values) == 7
    assert values[7] == pytest.approx(1)
    np.testing.assert_allclose(values[:8], np.arange(1, 9) / 8)
    np.testing.assert_allclose(values[31], math.sqrt(8 / 32))


def test_warm_up_cosine_ends_at_zero():
    factor = schedules.WarmUpCosine(warm_up=4, total=20)
    values = [factor(i) for i in range(21)]
    np.testing.assert_allclose(values[:4], [0.25, 0.5, 0.75, 1])
    assert values[12] == pytest.approx(0.5)
    assert values[20] == pytest.approx(0, abs=1e-12)
    assert factor(99) == pytest.approx(0, abs=1e-12)


def test_rates_follow_the_formulas():
    rates = epoch_rates(train("step").fit(X, Y))
    np.testing.assert_allclose(rates, 0.1 * 0.1 ** (np.arange(6) // 2))
    rates = epoch_rates(train(("exponential", {"gamma": 0.5})).fit(X, Y))
    np.testing.assert_allclose(rates, 0.1 * 0.5 ** np.arange(6))
    rates = epoch_rates(train("cosine").fit(X, Y))
    np.testing.assert_allclose(rates, 0.05 * (1 + np.cos(np.pi * np.arange(6) / 6)))
    rates = epoch_rates(train(("warm_restarts", {"T_0": 2, "T_mult": 2})).fit(X, Y))
    expected = [0.5 * (1 + np.cos(np.pi * t)) for t in (0, 0.5, 0, 0.25, 0.5, 0.75)]
    np.testing.assert_allclose(rates, 0.1 * np.array(expected))
    rates = batch_rates(train(("noam", {"warm_up": 5})).fit(X, Y))
    np.testing.assert_allclose(rates, [0.1 * schedules.Noam(5)(i) for i in range(24)])
    rates = batch_rates(train("warm_up_cosine").fit(X, Y))
    np.testing.assert_allclose(rates, [0.1 * schedules.WarmUpCosine(2, 24)(i) for i in range(24)])


@pytest.mark.parametrize("val", [None, (X, 1 - Y)])
def test_plateau_watches_validation_where_there_is_one(val):
    net = train(("plateau", {"patience": 1, "factor": 0.5}), epochs=8, lr=0.5).fit(X, Y, val=val)
    rates = epoch_rates(net)
    if val is None:
        assert rates == [0.5] * 8
    else:
        assert rates[-1] < 0.5


@pytest.mark.parametrize("name", schedules.SCHEDULES)
@pytest.mark.parametrize("copied", [None, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_schedule_goes_on_where_it_stopped(name, copied):
    whole = train(name, epochs=6).initialize()
    whole.partial_fit(X, Y)
    parts = train(name, epochs=6).initialize()
    parts.partial_fit(X, Y, epochs=3)
    if copied is not None:
        parts = copied(parts)
    parts.partial_fit(X, Y, epochs=3)
    rates = batch_rates if schedules.SCHEDULES[name][1] == "batch" else epoch_rates
    np.testing.assert_allclose(rates(parts), rates(whole), rtol=1e-12)
    assert name == "plateau" or len(set(rates(whole))) > 1


def test_a_schedule_may_be_set_between_two_fits():
    net = train(None, epochs=2).fit(X, Y)
    net.set_params(schedule="exponential")
    net.fit(X, Y)
    np.testing.assert_allclose(epoch_rates(net), [0.1, 0.095])


def test_callbacks_of_skorch_are_taken_as_they_are():
    callback = LRScheduler(StepLR, step_size=1, gamma=0.5)
    assert schedules.schedule_callback(callback) is callback
    np.testing.assert_allclose(epoch_rates(train(callback, epochs=3).fit(X, Y)), [0.1, 0.05, 0.025])


@pytest.mark.parametrize("spec", ["cosines", ("cosin", {}), 3, ("cosine",)])
def test_unknown_schedules_are_named(spec):
    with pytest.raises(ValueError, match=r"schedule is .*'cosine'"):
        schedules.check(spec)
    assert torch.get_default_dtype() is torch.float32
