import copy
import math
import pickle
import threading

import numpy as np
import pytest
import torch
from torch import nn

from zoo.engines.modules import blocks


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def bound(block, seed=0):
    return blocks.bind_generator(block, generator(seed))


# --- seeding ------------------------------------------------------------------------------------


def test_seeded_gives_what_manual_seed_gives_and_restores():
    before = torch.get_rng_state()
    with blocks.seeded(3):
        drawn = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn, torch.rand(4, generator=generator(3)))
    with pytest.raises(ZeroDivisionError), blocks.seeded(3):
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_blocks_of_four_threads_do_not_disturb_each_other():
    expected = torch.rand(2000, generator=generator(1))
    results = []

    def work():
        for _ in range(20):
            with blocks.seeded(1):
                parts = [torch.rand(100) for _ in range(20)]
            results.append(torch.equal(torch.cat(parts), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    assert all(results)


def test_seeded_blocks_nest():
    with blocks.seeded(1):
        torch.rand(3)
        with blocks.seeded(2):
            torch.rand(5)
        after = torch.rand(1)
    assert torch.equal(after, torch.rand(4, generator=generator(1))[3:])


# --- noise --------------------------------------------------------------------------------------

NOISE = [
    blocks.Dropout(0.4),
    blocks.Dropout(0.4, dims=1),
    blocks.DropConnect(6, 6, 0.4),
    blocks.StochasticDepth(0.4),
    blocks.GaussianNoise(0.4),
]


@pytest.mark.parametrize(
    "block", NOISE, ids=lambda b: f"{type(b).__name__}{getattr(b, 'dims', '')}"
)
def test_noise_comes_from_the_generator_alone(block):
    x = torch.ones(5, 4, 6)
    before = torch.get_rng_state()
    a, b, c = (bound(copy.deepcopy(block), seed).train()(x) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    silent = bound(copy.deepcopy(block)).eval()
    state = silent.generator.get_state()
    first = silent(x)
    assert torch.equal(first, silent(x))
    assert torch.equal(silent.generator.get_state(), state)


@pytest.mark.parametrize("block", NOISE[:1] + NOISE[3:], ids=lambda b: type(b).__name__)
def test_noise_leaves_the_mean(block):
    x = torch.ones(20000, 3)
    y = bound(copy.deepcopy(block)).train()(x)
    assert y.mean().item() == pytest.approx(1, abs=0.02)
    assert y.std().item() > 0.3


def test_what_is_dropped_together():
    x = torch.ones(50, 8, 7)
    by_channel = bound(blocks.Dropout(0.5, dims=1)).train()(x)
    assert set((by_channel.sum(2) / 14).unique().tolist()) == {0.0, 1.0}
    assert len(by_channel.sum((1, 2)).unique()) > 3
    by_row = bound(blocks.StochasticDepth(0.5)).train()(x)
    assert set((by_row.sum((1, 2)) / 112).unique().tolist()) == {0.0, 1.0}
    everything = bound(blocks.Dropout(1.0)).train()(x)
    assert everything.sum() == 0


def test_gradient_flows_only_where_nothing_was_dropped():
    x = torch.ones(100, requires_grad=True)
    y = bound(blocks.Dropout(0.5)).train()(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_a_copy_is_unbound_until_it_is_bound():
    block = bound(blocks.Dropout(0.5)).train()
    for twin in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        with pytest.raises(RuntimeError, match="bind_generator"):
            twin(torch.ones(3))
        assert torch.equal(bound(twin)(torch.ones(9)), bound(block)(torch.ones(9)))


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_rates_are_checked(p):
    for make in (blocks.Dropout, blocks.StochasticDepth, lambda p: blocks.DropConnect(2, 2, p)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            make(p)
    with pytest.raises(ValueError, match="sigma"):
        blocks.GaussianNoise(-1.0)


def test_dropout_of_torch_is_replaced_wherever_it_sits():
    with blocks.seeded(0):
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.25)
    model = nn.Sequential(nn.Dropout2d(0.1), layer)
    model = blocks.take_over_dropout(model)
    assert not any(isinstance(m, tuple(blocks._DROPOUTS)) for m in model.modules())
    assert (model[0].p, model[0].dims) == (0.1, 2)
    assert layer.dropout1.p == 0.25
    assert type(blocks.take_over_dropout(nn.Dropout(0.5))) is blocks.Dropout


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: nn.functional.dropout(x, 0.5),
        torch.rand_like,
        lambda x: torch.randn(3),
        lambda x: torch.bernoulli(x),
        lambda x: torch.randperm(3),
        lambda x: x.clone().normal_(),
        lambda x: torch.multinomial(x[0], 1),
        lambda x: nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
        nn.RReLU(),
    ],
)
def test_global_draws_are_caught_before_they_happen(draw):
    before = torch.get_rng_state()
    x = torch.full((4, 4), 0.5)
    with pytest.raises(RuntimeError, match="global generator"), blocks.forbid_global_draws():
        draw(x)
    assert torch.equal(torch.get_rng_state(), before)


def test_quiet_code_and_own_generators_pass():
    x = torch.full((4, 4), 0.5)
    with blocks.forbid_global_draws():
        torch.rand(3, generator=generator())
        x.clone().bernoulli_(0.5, generator=generator())
        nn.functional.dropout(x, 0.5, training=False)
        nn.functional.scaled_dot_product_attention(x, x, x)
        bound(blocks.Dropout(0.5)).train()(x)
        (x @ x).relu().sum()


# --- the rest -----------------------------------------------------------------------------------


def test_rms_norm_is_that_of_torch():
    x = torch.rand(5, 7, generator=generator(), dtype=torch.float64)
    own = blocks.RMSNorm(7).double()
    theirs = nn.RMSNorm(7, eps=1e-6).double()
    torch.testing.assert_close(own(x), theirs(x))


def test_positions_have_the_code_of_the_paper_at_any_length():
    d = 6
    code = blocks.PositionalEncoding(d, length=10)
    zero = torch.zeros(1, 30, d)
    got = code(zero)[0]
    for position in (0, 3, 29):
        for i in range(d // 2):
            angle = position / 10000 ** (2 * i / d)
            assert got[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert got[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert blocks.PositionalEncoding(5)(torch.zeros(2, 3, 5)).shape == (2, 3, 5)
    assert not list(code.parameters())
    assert not code.state_dict()


def test_activations_by_name():
    x = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(blocks.activation("logistic")(x), torch.sigmoid(x))
    torch.testing.assert_close(blocks.activation("tanh")(x), torch.tanh(x))
    assert all(blocks.activation(name)(x).shape == x.shape for name in blocks.ACTIVATIONS)
    with pytest.raises(ValueError, match=r"'rleu'.*'relu'"):
        blocks.activation("rleu")


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("glorot_uniform", math.sqrt(2 / (300 + 200))),
        ("glorot_normal", math.sqrt(2 / (300 + 200))),
        ("he_uniform", math.sqrt(2 / 300)),
        ("he_normal", math.sqrt(2 / 300)),
        ("lecun_normal", math.sqrt(1 / 300)),
        ("orthogonal", math.sqrt(1 / 300)),
        ("zeros", 0.0),
    ],
)
def test_initial_weights_have_the_spread_of_the_scheme(scheme, expected):
    def make(seed):
        with blocks.seeded(9):
            layer = nn.Linear(300, 200)
        return blocks.initialize(nn.Sequential(layer), scheme, generator(seed))[0]

    a, b, c = make(0), make(0), make(1)
    assert a.weight.std().item() == pytest.approx(expected, rel=0.02)
    assert not a.bias.any()
    assert torch.equal(a.weight, b.weight)
    assert scheme == "zeros" or not torch.equal(a.weight, c.weight)
    if scheme == "orthogonal":
        torch.testing.assert_close(a.weight @ a.weight.T, torch.eye(200), atol=1e-5, rtol=0)


def test_initialization_leaves_other_layers_and_scales_by_the_gain():
    with blocks.seeded(0):
        model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.Embedding(3, 4))
    embedding = model[2].weight.detach().clone()
    blocks.initialize(model, "he_normal", generator(), gain=2.0)
    once = blocks.initialize(copy.deepcopy(model), "he_normal", generator())
    np.testing.assert_allclose(model[0].weight.detach(), 2 * once[0].weight.detach(), rtol=1e-6)
    assert torch.equal(model[2].weight, embedding)
    assert model[1].weight.eq(1).all()
    before = model[0].weight.clone()
    blocks.initialize(model, "torch", generator())
    assert torch.equal(model[0].weight, before)
    with pytest.raises(ValueError, match="'glorot'"):
        blocks.initialize(model, "glorot", generator())
