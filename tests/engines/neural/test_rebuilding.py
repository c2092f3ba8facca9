import pytest
import torch
from torch import nn

from zoo.engines.modules.blocks import seeded
from zoo.engines.neural.rebuilding import TABLES, demand_fit, demand_small_tables


def network(width=3, depth=1):
    return nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))


def weights():
    with seeded(0):
        return {name: value.numpy() for name, value in network().state_dict().items()}


def test_weights_of_the_same_network_fit():
    demand_fit(network, weights())


def test_nothing_is_drawn_from_the_global_generator():
    before = torch.get_rng_state()
    demand_fit(network, weights())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_of_another_size_is_never_made():
    with pytest.raises(ValueError, match=r"has 0\.bias of shape \(10000000,\) and the weights \(3,\)"):
        demand_fit(lambda: network(10**7), weights())


def test_a_network_of_other_parts_is_refused():
    with pytest.raises(ValueError, match=r"the network has 1\.bias of shape \(3,\) and the weights None"):
        demand_fit(lambda: network(depth=2), weights())


def test_building_stops_at_more_parts_than_weights():
    made = []

    def build():
        for _ in range(10**6):
            made.append(nn.Linear(1, 1))

    with pytest.raises(ValueError, match="more parts than weights"):
        demand_fit(build, weights())
    assert len(made) < 1000


def test_tables_beside_the_weights_are_bounded():
    class Positions(nn.Module):
        def __init__(self, length):
            super().__init__()
            self.register_buffer("table", torch.arange(length, dtype=torch.float64), persistent=False)

    demand_fit(lambda: Positions(TABLES // 8), {})
    with pytest.raises(ValueError, match="bytes beside its weights"):
        demand_small_tables(Positions(TABLES // 8 + 1))
    with pytest.raises(ValueError, match="bytes beside its weights"):
        demand_fit(lambda: Positions(TABLES // 8 + 1), {})


def test_weights_that_are_no_arrays_are_refused():
    with pytest.raises(ValueError, match="no arrays"):
        demand_fit(network, {"0.weight": range(10**9)})
