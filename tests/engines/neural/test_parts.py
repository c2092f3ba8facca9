"""Parts learn side by side, stages one after the other."""

import copy
import pickle

import numpy as np
import pytest
import torch
from leaves.tiny_gan import TinyGAN
from leaves.two_stages import Pretrained
from sklearn.base import clone
from sklearn.datasets import load_iris
from torch import nn

import zoo
from zoo.engines.modules import blocks
from zoo.engines.neural import parallel
from zoo.engines.neural.parts import Part, Slow
from zoo.engines.neural.trainer import Trainer

RNG = np.random.default_rng(0)
X = np.column_stack([RNG.normal(3, 0.5, 300), RNG.normal(-1, 2, 300)])


def small(**options):
    return TinyGAN(**{"max_epochs": 3, "random_state": 0} | options)


def state(model):
    return state_of(model.net_)


def state_of(net):
    found = {k: v.clone() for k, v in net.module_.state_dict().items()}
    slow = net.parts_["generator"].slow.state_dict()
    return found | {f"slow.{k}": v.clone() for k, v in slow.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# --- a part alone -------------------------------------------------------------------------------


def linear(n_in=3):
    with blocks.seeded(0):
        return nn.Linear(n_in, 1).double()


def test_a_part_steps_by_its_own_parameters_alone():
    actor, critic = linear(), linear(n_in=1)
    part = Part(actor, "sgd", lr=0.1)
    before = actor.weight.detach().clone()
    x = torch.ones(2, 3, dtype=torch.float64)
    part.step(critic(part(x)).sum())
    expected = before - 0.1 * 2 * critic.weight.detach() * torch.ones(1, 3)
    torch.testing.assert_close(actor.weight, expected)
    assert critic.weight.grad is None


def test_a_part_clips_its_own_gradient():
    module = linear()
    start = torch.cat([p.detach().flatten().clone() for p in module.parameters()])
    part = Part(module, "sgd", lr=1.0, gradient_clip=1e-3)
    part.step(100 * part(torch.ones(2, 3, dtype=torch.float64)).sum())
    moved = torch.cat([p.detach().flatten() for p in module.parameters()]) - start
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("slow", [Slow(keep=0.9), Slow(every=3), Slow(keep=0.5, every=2)])
def test_the_slow_copy_follows(slow):
    module = nn.Sequential(linear(), nn.BatchNorm1d(1).double())
    part = Part(module, "sgd", lr=0.1, slow=slow)
    expected = copy.deepcopy(module.state_dict())
    for step in range(1, 7):
        part.step(part(torch.randn(4, 3, dtype=torch.float64, generator=generator())).square().sum())
        if step % slow.every == 0:
            for name, value in module.state_dict().items():
                old = expected[name]
                moving = name.endswith(("weight", "bias"))
                expected[name] = slow.keep * old + (1 - slow.keep) * value if moving else value.clone()
    for name, value in part.slow.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    assert not any(p.requires_grad for p in part.slow.parameters())
    assert len(list(part.optimizer_.param_groups[0]["params"])) == 4


def generator():
    return torch.Generator().manual_seed(0)


# --- parts in a net -----------------------------------------------------------------------------


def test_a_step_over_two_parts_is_the_loop_of_a_textbook():
    model = small(max_epochs=2, batch_size=50).fit(X)
    reference = TinyGAN(max_epochs=2, batch_size=50, random_state=0)
    reference.dtype_, reference.seed_ = X.dtype, model.seed_
    with blocks.seeded(model.seed_):
        module = TinyGAN._module(**model.spec_).double()
    G, D = module["generator"], module["critic"]
    slow = copy.deepcopy(G)
    of_G = torch.optim.Adam(G.parameters(), lr=model.lr, betas=(0.5, 0.99))
    of_D = torch.optim.Adam(D.parameters(), lr=model.critic_lr, betas=(0.5, 0.99))
    order = torch.Generator().manual_seed(model.seed_)
    noise = torch.Generator().manual_seed(model.seed_ ^ 0x9E3779B9)
    rows = torch.as_tensor((X - model.x_mean_) / model.x_scale_)
    softplus = nn.functional.softplus
    for _ in range(2):
        for x in rows[torch.randperm(len(rows), generator=order)].split(50):
            fake = G(torch.empty(len(x), 4, dtype=x.dtype).normal_(generator=noise))
            of_D.zero_grad()
            (softplus(-D(x)) + softplus(D(fake.detach()))).mean().backward()
            of_D.step()
            of_G.zero_grad()
            softplus(-D(fake)).mean().backward()
            of_G.step()
            with torch.no_grad():
                for s, p in zip(slow.parameters(), G.parameters(), strict=True):
                    s.lerp_(p, 0.01)
    got = state(model)
    expected = module.state_dict() | {f"slow.{k}": v for k, v in slow.state_dict().items()}
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-8, atol=1e-10, msg=name)


def test_the_tiny_gan_learns_the_moments():
    model = TinyGAN(max_epochs=150, lr=2e-3, random_state=0).fit(X)
    sample = model.sample(2000, random_state=0)
    np.testing.assert_allclose(sample.mean(0), X.mean(0), atol=0.5)
    np.testing.assert_allclose(sample.std(0), X.std(0), rtol=0.5)
    assert {"train_critic_loss", "train_generator_loss"} <= set(model.history_)
    np.testing.assert_allclose(
        model.history_["train_loss"],
        model.history_["train_critic_loss"] + model.history_["train_generator_loss"],
        rtol=1e-6,
    )


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_train_on_like_the_original(duplicate):
    model = small(batch_size=64).fit(X)
    twin = duplicate(model)
    assert same(state(model), state(twin))
    part = twin.net_.parts_["generator"]
    assert part.module is twin.net_.module_["generator"]
    assert twin.net_.optimizer_.param_groups[1] is part.optimizer_.param_groups[0]
    for m in (model, twin):
        m.partial_fit(X)
    assert same(state(model), state(twin))
    assert same(state(small(batch_size=64, max_epochs=4).fit(X)), state(model))


def test_a_file_keeps_the_slow_copies(tmp_path):
    model = small().fit(X)
    parts = model.__zoo_state__()
    loaded = clone(model)
    loaded.__zoo_restore__(parts)
    assert same(state(model), state(loaded))
    np.testing.assert_array_equal(
        loaded.sample(5, random_state=0), model.sample(5, random_state=0)
    )
    loaded.partial_fit(X)
    assert not same(state(model), state(loaded))


def test_the_best_epoch_of_all_parts_is_kept():
    from skorch.callbacks import Callback

    seen = []

    class Watches(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(state_of(net))

    model = small(max_epochs=30, n_iter_no_change=3, lr=0.05, callbacks=[Watches()])
    model.fit(X[:200], X_val=X[200:])
    best = int(model.history_["valid_loss"].argmin())
    assert best < len(seen) - 1
    assert same(state(model), seen[best])
    assert {"valid_critic_loss", "valid_generator_loss"} <= set(model.history_)


def test_a_schedule_is_for_all_parts():
    model = small(schedule="exponential", max_epochs=4, batch_size=100).fit(X)
    rates = [part.optimizer_.param_groups[0]["lr"] for part in model.net_.parts_.values()]
    np.testing.assert_allclose(rates, np.array([model.critic_lr, model.lr]) * 0.95**4, rtol=1e-9)
    model = small(schedule=None, warm_start=True).fit(X).set_params(lr=0.5, critic_lr=0.25).fit(X)
    assert [o.param_groups[0]["lr"] for o in model.net_.optimizer_.optimizers] == [0.25, 0.5]


def test_parts_that_are_not_there_are_named():
    with pytest.raises(ValueError, match="parts names other, but ModuleDict has a"):
        Trainer(nn.ModuleDict({"a": linear()}), nn.MSELoss, parts={"other": Part()}).initialize()


def test_parts_are_not_shared_among_processes():
    net = Trainer(nn.ModuleDict({"a": linear()}), nn.MSELoss, parts={"a": Part()}).initialize()
    with pytest.raises(ValueError, match="several parts in turn, which cannot be shared"):
        parallel.Share(0, 2).begin(net, 10)


# --- stages -------------------------------------------------------------------------------------


class Recorder:
    """Writes down which steps begin."""

    def __init__(self):
        self.began, self.scores = [], []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.began.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        if context.task_name != "fit":
            self.scores.append(fitted_estimator.predict(X).shape)

    def teardown(self, estimator, context):
        pass


@pytest.mark.parametrize("watched", [False, True])
def test_a_stage_before_the_training(watched):
    x, y = load_iris(return_X_y=True)
    recorder = Recorder()

    def made(**options):
        model = Pretrained(max_epochs=20, lr=0.01, pretraining_epochs=4, random_state=0, **options)
        return model.set_callbacks(recorder) if watched else model

    model = made().fit(x, y)
    assert len(model.reconstruction_) == 4
    assert model.reconstruction_[-1] < model.reconstruction_[0]
    assert model.n_iter_ == 20
    assert model.score(x, y) > 0.8
    if watched:
        assert recorder.began == ["fit", *["pretraining"] * 4, *["epoch"] * 20]
        assert recorder.scores == [(150,)] * 24
    # partial_fit goes on with the last stage; the first belongs to its first call
    model = made(batch_size=50)
    for n in (1, 2):
        model.partial_fit(x, y)
        assert (len(model.reconstruction_), model.n_iter_) == (4, n)
    without = made().set_params(pretraining_epochs=0).fit(x, y)
    assert not np.array_equal(without.history_["train_loss"], made().fit(x, y).history_["train_loss"])


def test_a_leaf_of_two_parts_and_one_of_two_stages_are_short():
    from pathlib import Path

    here = Path(__file__).parents[2] / "leaves"
    for files in (["tiny_gan.py", "tiny_gan_losses.py"], ["two_stages.py"]):
        text = "".join((here / name).read_text() for name in files)
        code = [line for line in text.splitlines() if line.strip()]
        assert len(code) < 120
    assert zoo.__version__
