"""Windows of a circular stream, and the sliding context."""

import numpy as np
import pytest
import torch

from zoo.engines.language import windows
from zoo.engines.language.decoder import Crop
from zoo.engines.language.tokens import END, Characters


def test_stream_puts_an_end_before_each_document():
    stream = windows.stream_of(Characters("ab"), ["ab", "", "b"])
    assert stream.tolist() == [END, 2, 3, END, END, 3]


@pytest.mark.parametrize(("n", "T", "n_rows"), [(100, 8, 13), (1000, 16, 7), (5, 8, 1), (5, 8, 9)])
def test_rows_cover_the_stream_evenly(n, T, n_rows):
    stream = np.arange(n, dtype=np.int32)
    rows = windows.rows_of_stream(stream, T, n_rows)
    step = -(-n // n_rows)
    assert rows.shape == (n_rows, 2 * T + step)
    firsts = rows[:, T : T + step].ravel()
    assert set(firsts) == set(range(n))
    assert np.bincount(firsts).max() - np.bincount(firsts).min() <= 1
    assert ((rows[:, 1:] - rows[:, :-1]) % n == 1 % n).all()
    assert rows.base is not None  # a view


def test_blocks_are_followed_by_their_targets():
    x, y = windows.blocks_of_stream(np.arange(10, dtype=np.int32), 4)
    assert x.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    np.testing.assert_array_equal(y, (x + 1) % 10)


@pytest.mark.parametrize("T", [1, 2, 5, 8])
def test_reading_and_writing_have_one_context(T):
    for n in range(1, 4 * T + 3):
        seen = {}
        for start, stop, new in windows.windows_of_document(np.zeros(n), T):
            assert 0 < stop - start <= T
            for t in range(stop - new, stop):
                seen[t] = start
        assert sorted(seen) == list(range(n))
        for t, start in seen.items():
            # The token after t + 1 others is predicted from start..t, here as when writing.
            assert start == windows.window_start(t + 1, T)
            assert t == 0 or t + 1 - start >= min(t + 1, T // 2)


def test_padding_is_on_the_right():
    x, lengths = windows.padded([np.array([3, 4]), np.array([5])])
    assert x.tolist() == [[3, 4], [5, END]]
    assert lengths.tolist() == [2, 1]


def test_crop_enters_long_documents_anywhere_and_short_ones_at_their_beginning():
    T, generator = 8, torch.Generator().manual_seed(0)
    crop = Crop(T)
    long = torch.arange(1, 101)[None].repeat(500, 1)
    x, y, _ = crop(long, None, None, generator)
    assert x.shape == y.shape == (500, T)
    np.testing.assert_array_equal(y, x + 1)
    assert sorted(set(x[:, 0].tolist())) == list(range(1 + T, 101 - T))

    row = torch.tensor([END, 5, 6, 7] * 25)
    x, y, _ = crop(row[None].repeat(500, 1), None, None, generator)
    assert (x[:, 0] == END).all()
    np.testing.assert_array_equal(y[:, :-1], x[:, 1:])

    edge = torch.tensor([END, *[5] * 20, END, *[6] * (T - 1), END, *[7] * 20])
    x, _, _ = crop(edge[None].repeat(2000, 1), None, None, generator)
    assert {5, 7, END} == set(x[:, 0].tolist())
