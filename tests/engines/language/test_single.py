"""The step of one row in numpy is the decoder's step."""

import itertools

import pytest
import torch

from zoo.engines.language.decoder import Decoder
from zoo.engines.language.single import SingleRow, serves
from zoo.engines.modules.attention import KeyValueCache
from zoo.engines.modules.blocks import seeded


def decoder(norm="layer", positions="rotary", activation="gelu", tie=True, experts=1):
    with seeded(0):
        return Decoder(9, 8, 3, 2, 16, norm, positions, activation, 0.0, tie, experts, 1).eval()


@pytest.mark.parametrize(
    ("norm", "positions", "activation"),
    list(itertools.product(["layer", "rms"], ["rotary", "learned", "sinusoidal"], ["gelu", "relu"])),
)
def test_equals_the_step_of_the_decoder(norm, positions, activation):
    net = decoder(norm, positions, activation, tie=norm == "rms")
    for weight in net.parameters():
        weight.data.mul_(5)
    caches = [KeyValueCache(3, 1, 2, 8, 8, net.head.weight) for _ in range(2)]
    single = SingleRow(net)
    with torch.inference_mode():
        for cache in caches:
            cache.begin(torch.tensor([3]))
            net.states(torch.tensor([[0, 4, 5]]), cache)
        for token in (2, 7, 7, 3, 8):
            for cache in caches:
                cache.advance()
            expected = net.step(torch.tensor([token]), caches[0])[0]
            answer = torch.from_numpy(single.step(token, caches[1]))
            torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)


def test_serves_one_row_of_a_plain_network_on_the_cpu():
    assert serves(decoder(), 1)
    assert not serves(decoder(), 2)
    assert not serves(decoder(experts=2), 1)
    assert not serves(decoder().double(), 1)
