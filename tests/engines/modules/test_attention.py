"""Attention and transformer blocks: equations, oracles of torch, what they are for."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zoo.engines.modules.attention import (
    NORMS,
    Attention,
    FeedForward,
    KeyValueCache,
    MixtureOfExperts,
    Rotary,
    TransformerBlock,
    balance_loss,
    rotate,
)
from zoo.engines.modules.blocks import bind_generator, seeded


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def made(cls, *args, **options):
    with seeded(0):
        return cls(*args, **options).double()


def normal(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# -- equation -------------------------------------------------------------------------------------


def test_rows_of_attention_sum_to_one_and_look_back_only(generator):
    attention = made(Attention, 12, 3)
    weights = attention.weights(normal(generator, 2, 7, 12), causal=True)
    assert weights.shape == (2, 3, 7, 7)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 7, dtype=torch.float64))
    assert (weights.triu(1) == 0).all()


def test_attention_is_the_equation_written_as_loops(generator):
    width, heads, n = 6, 2, 4
    attention = made(Attention, width, heads, bias=True)
    x = normal(generator, 1, n, width)
    q, k, v = (
        F.linear(x[0], W, b)
        for W, b in zip(
            attention.qkv.weight.split(width), attention.qkv.bias.split(width), strict=True
        )
    )
    d = width // heads
    out = torch.zeros(n, width, dtype=torch.float64)
    for h in range(heads):
        part = slice(h * d, (h + 1) * d)
        for t in range(n):
            score = torch.stack([q[t, part] @ k[s, part] / math.sqrt(d) for s in range(t + 1)])
            alpha = score.exp() / score.exp().sum()
            out[t, part] = sum(a * v[s, part] for s, a in enumerate(alpha))
    expected = attention.out(out)
    torch.testing.assert_close(attention(x, causal=True)[0], expected)


def test_rotary_sees_distances_only(generator):
    rotary = Rotary(8, 50).double()
    q, k = normal(generator, 1, 1, 1, 8), normal(generator, 1, 1, 1, 8)

    def product(s, t):
        turned = [rotate(x, rotary(torch.tensor([at]))) for x, at in ((q, s), (k, t))]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(product(3, 10), product(33, 40), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(product(0, 0), (q * k).sum(), rtol=1e-6, atol=1e-6)
    assert abs(product(3, 10) - product(3, 11)) > 1e-3
    norm = rotate(q, rotary(torch.tensor([17]))).norm()
    torch.testing.assert_close(norm, q.norm(), rtol=1e-6, atol=1e-6)


def test_balance_loss_is_one_at_uniform_routing_and_e_at_collapse():
    E = 4
    uniform = torch.full((8, E), 1 / E)
    even = torch.arange(8)[:, None] % E
    assert balance_loss(uniform, even) == pytest.approx(1.0)
    one = torch.zeros(8, E)
    one[:, 2] = 1
    assert balance_loss(one, torch.full((8, 1), 2)) == pytest.approx(E)


def test_mixture_of_all_experts_is_the_weighted_sum(generator):
    mixture = made(MixtureOfExperts, 6, 12, "gelu", 3, 3)
    x = normal(generator, 2, 5, 6)
    p = mixture.router(x).softmax(-1)
    expected = sum(p[..., [j]] * expert(x) for j, expert in enumerate(mixture.experts))
    torch.testing.assert_close(mixture(x), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("top_k", [1, 2])
def test_mixture_routes_each_token_by_itself(generator, top_k):
    mixture = made(MixtureOfExperts, 6, 12, "relu", 4, top_k)
    x = normal(generator, 9, 6)
    p = mixture.router(x).float().softmax(-1)
    for token, probability in zip(x, p, strict=True):
        best = probability.argsort(descending=True)[:top_k]
        gate = probability[best] / (probability[best].sum() if top_k > 1 else 1)
        expected = sum(
            g * mixture.experts[j](token) for g, j in zip(gate.double(), best, strict=True)
        )
        torch.testing.assert_close(mixture(token[None])[0], expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(mixture(x[:3]), mixture(x)[:3])


def test_router_learns_with_one_and_with_two_experts(generator):
    for top_k in (1, 2):
        mixture = made(MixtureOfExperts, 6, 12, "gelu", 4, top_k)
        mixture(normal(generator, 30, 6)).square().sum().backward()
        assert mixture.router.weight.grad.abs().max() > 0


# -- oracle ---------------------------------------------------------------------------------------


def test_equals_multihead_attention_of_torch(generator):
    ours = made(Attention, 12, 3, bias=True)
    theirs = made(nn.MultiheadAttention, 12, 3, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = (
        ours.out.weight.data,
        ours.out.bias.data,
    )
    x, memory = normal(generator, 2, 5, 12), normal(generator, 2, 8, 12)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    torch.testing.assert_close(ours(x, causal=True), theirs(x, x, x, attn_mask=~mask)[0])
    torch.testing.assert_close(ours(x, mask=mask), theirs(x, x, x, attn_mask=~mask)[0])
    torch.testing.assert_close(ours(x, memory=memory), theirs(x, memory, memory)[0])


def test_block_equals_the_encoder_layer_of_torch(generator):
    ours = made(TransformerBlock, 12, 3, 20, act="gelu", norm="layer", bias=True)
    theirs = made(
        nn.TransformerEncoderLayer,
        12,
        3,
        20,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
    pairs = {
        "self_attn.in_proj_weight": ours.attention.qkv.weight,
        "self_attn.in_proj_bias": ours.attention.qkv.bias,
        "self_attn.out_proj.weight": ours.attention.out.weight,
        "self_attn.out_proj.bias": ours.attention.out.bias,
        "linear1.weight": ours.feed_forward[0].weight,
        "linear1.bias": ours.feed_forward[0].bias,
        "linear2.weight": ours.feed_forward[2].weight,
        "linear2.bias": ours.feed_forward[2].bias,
    }
    theirs.load_state_dict({**theirs.state_dict(), **{n: p.data for n, p in pairs.items()}})
    x = normal(generator, 2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x))


# -- character ------------------------------------------------------------------------------------


def test_weights_by_hand_are_taken_when_they_are_dropped(generator):
    attention = bind_generator(made(Attention, 12, 3, dropout=0.5), torch.Generator())
    x = normal(generator, 2, 5, 12)
    quiet = attention.eval()(x, causal=True)
    attention.train()
    noisy = torch.stack([attention(x, causal=True) for _ in range(2000)]).mean(0)
    torch.testing.assert_close(noisy, quiet, rtol=0, atol=0.05)
    assert not torch.equal(attention(x, causal=True), attention(x, causal=True))


@pytest.mark.parametrize("lengths", [(6, 6, 6), (2, 6, 4), (1, 1, 1)])
@pytest.mark.parametrize("rotary", [False, True])
def test_cache_gives_what_the_whole_gives(generator, lengths, rotary):
    width, heads, more = 12, 3, 3
    block = made(TransformerBlock, width, heads, 24)
    turn = Rotary(width // heads, 20).double() if rotary else None
    n, rows = max(lengths), len(lengths)
    x = normal(generator, rows, n + more, width)
    # Row b continues with its own next tokens after lengths[b] of them.
    whole = block(x, causal=True, turn=turn(torch.arange(n + more)) if turn else None)
    cache = KeyValueCache(1, rows, heads, 20, width // heads, x)
    cache.begin(torch.tensor(lengths))
    first = block(x[:, :n], causal=True, turn=turn(torch.arange(n)) if turn else None, cache=cache)
    for b, length in enumerate(lengths):
        torch.testing.assert_close(first[b, :length], whole[b, :length])
    for step in range(more):
        cache.advance()
        at = torch.tensor(lengths) + step
        token = x[torch.arange(rows), at]
        answer = block.step(token, turn(at[:, None]) if turn else None, cache, 0)
        torch.testing.assert_close(answer, whole[torch.arange(rows), at])


def test_cache_keeps_and_replaces_rows(generator):
    cache = KeyValueCache(2, 3, 1, 5, 4, normal(generator, 1))
    cache.begin(torch.tensor([2, 3, 4]))
    for pairs in cache.pairs:
        pairs[:] = torch.arange(3).view(3, 1, 1, 1, 1)
    other = KeyValueCache(2, 1, 1, 5, 4, normal(generator, 1))
    other.begin(torch.tensor([4]))
    cache.replace(torch.tensor([1]), other)
    assert cache.lengths.tolist() == [2, 4, 4]
    assert cache.pairs[1][:, 0, 0, 0, 0].tolist() == [0, 0, 2]
    cache.keep(torch.tensor([1, 2]))
    assert cache.even == 4
    assert len(cache.pairs[0]) == 2


@pytest.mark.parametrize("norm", sorted(NORMS))
def test_norms_do_not_see_the_scale(generator, norm):
    layer = NORMS[norm](8).double()
    x = normal(generator, 3, 8) + 2
    torch.testing.assert_close(layer(x), layer(1000 * x), rtol=1e-4, atol=1e-4)
    assert [name for name, _ in layer.named_parameters()] in (["weight"], ["gain"])


def test_odd_sizes_are_refused_with_a_sentence():
    with pytest.raises(ValueError, match="width=10 does not divide into n_heads=4"):
        Attention(10, 4)
    with pytest.raises(ValueError, match="give an even one"):
        Rotary(7, 4)
    with pytest.raises(ValueError, match="top_k=3 of n_experts=2"):
        MixtureOfExperts(4, 8, "relu", 2, 3)


def test_feed_forward_is_two_maps():
    assert [type(m) for m in made(FeedForward, 4, 8, "relu")] == [nn.Linear, nn.ReLU, nn.Linear]
