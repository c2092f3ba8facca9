"""One policy of threads, read from the module and the batch."""

import numpy as np
import pytest
import torch
from torch import nn

from zoo.engines.modules.recurrent import Recurrent
from zoo.engines.neural import threads
from zoo.engines.neural.threads import Row, largest_product

IMAGE = Row((3, 8, 8))
NETWORKS = {
    "the widest layer": (nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 2)), Row((5,)), 35),
    "a filter at every pixel": (nn.Conv2d(3, 4, 3, padding=1), IMAGE, 3 * 4 * 9 * 64),
    "fewer places behind a stride": (
        nn.Sequential(nn.Conv2d(3, 1, 1, stride=2), nn.Conv2d(1, 100, 1)), IMAGE, 100 * 16,
    ),
    "fewer places behind a pool": (
        nn.Sequential(nn.Conv2d(3, 1, 1), nn.MaxPool2d(2), nn.Conv2d(1, 100, 1)), IMAGE, 100 * 16,
    ),
    "more places behind a transposed filter": (
        nn.Sequential(nn.Conv2d(3, 1, 1, stride=4), nn.ConvTranspose2d(1, 100, 2, stride=4)), IMAGE,
        400 * 64,
    ),
    "every token": (nn.Sequential(nn.Embedding(1000, 4), nn.Linear(4, 5)), Row((10,), True), 200),
    "one time step of a recurrent layer": (
        Recurrent(2, "gru", 6, 1, False, 0.0, "last", 1), Row((2, 500)), 3 * 6 * 6 + 3 * 6 * 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NETWORKS)
@pytest.mark.changes_global_random_state
def test_the_largest_product(case):
    module, row, expected = NETWORKS[case]
    assert largest_product(module, row, 1) == expected
    assert largest_product(module, row, 32) == 32 * expected


def test_rows_of_data():
    assert Row.of(np.zeros((4, 3, 8, 8), np.float32)) == IMAGE
    assert Row.of({"x": torch.zeros(4, 2, 9), "lengths": torch.ones(4)}) == Row((2, 9))
    assert Row.of(np.zeros((4, 9), np.int64)) == Row((9,), tokens=True)
    assert Row.of(np.zeros((4, 9), np.uint8)) == Row((9,))
    assert Row.of(["no", "array"]) == Row()


def test_one_thread_is_one_and_the_number_comes_back():
    before = torch.get_num_threads()
    with threads.OneThread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
