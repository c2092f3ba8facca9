import numpy as np
import pytest
import torch
from scipy import sparse
from skorch.dataset import Dataset
from torch.utils.data import Subset, TensorDataset

from zoo.engines.modules import blocks
from zoo.engines.neural import rows as _rows
from zoo.engines.neural.rows import Batches, Rows

N = 23
X = np.arange(N * 2, dtype=np.float64).reshape(N, 2)
Y = np.arange(N)


def collect(batches):
    pairs = list(batches)
    return np.concatenate([b[0] for b in pairs]), np.concatenate([b[1] for b in pairs]), pairs


@pytest.mark.parametrize("size", [1, 5, 22, 23, 24, 100])
@pytest.mark.parametrize("chunk", [1, 100, 2**20])
def test_every_row_once_in_order_with_its_target_and_weight(size, chunk, monkeypatch):
    monkeypatch.setattr(_rows, "CHUNK_BYTES", chunk)
    batches = Batches(Rows(X, Y, w=Y / 2), size)
    x, y, pairs = collect(batches)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(np.concatenate([b.w for b in pairs]), Y / 2)
    assert len(pairs) == len(batches) == -(-N // size)
    assert [len(b[0]) for b in pairs[:-1]] == [min(size, N)] * (len(pairs) - 1)


@pytest.mark.parametrize("form", ["array", "tensor", "read-only", "subset", "DataLoader"])
def test_shuffling_is_a_new_permutation_each_epoch_that_repeats_with_the_seed(form):
    read_only = X.copy()
    read_only.flags.writeable = False
    data = {"tensor": torch.as_tensor(X), "read-only": read_only}.get(form, X)
    dataset = Rows(data, Y)
    rows = np.arange(N)
    if form == "subset":
        rows = np.array([20, 3, 5, 7, 11])
        dataset = Subset(Subset(dataset, np.arange(N)[::-1]), N - 1 - rows)
    options = {"num_workers": 0} if form == "DataLoader" else {}

    def epochs(seed):
        generator = torch.Generator().manual_seed(seed)
        batches = Batches(dataset, 4, shuffle=True, generator=generator, **options)
        assert batches.sliced is (form != "DataLoader")
        return [collect(batches)[:2] for _ in range(2)]

    (x1, y1), (_, y2) = epochs(0)
    np.testing.assert_array_equal(x1, X[y1])
    assert sorted(y1) == sorted(y2) == sorted(rows)
    assert not np.array_equal(y1, y2)
    np.testing.assert_array_equal(epochs(0)[1][1], y2)


def test_one_batch_is_not_shuffled():
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    _, y, _ = collect(Batches(Rows(X, Y), N, shuffle=True, generator=generator))
    np.testing.assert_array_equal(y, Y)
    assert torch.equal(generator.get_state(), state)


def test_batches_are_copies():
    x = X.copy()
    for shuffle in (False, True):
        batches = Batches(Rows(x, Y), 5, shuffle=shuffle, generator=torch.Generator())
        for batch in batches:
            batch[0].zero_()
    np.testing.assert_array_equal(x, X)


def test_mappings_lists_and_missing_targets():
    batch = next(iter(Batches(Rows({"a": X, "b": torch.as_tensor(Y)}), 4)))
    assert set(batch[0]) == {"a", "b"}
    assert batch[1].tolist() == [[0.0]] * 4  # as skorch has it
    np.testing.assert_array_equal(batch[0]["b"], Y[:4])
    batch = next(iter(Batches(Rows([X, Y], {"t": Y}), 4)))
    assert isinstance(batch[0], list)
    np.testing.assert_array_equal(batch[1]["t"], Y[:4])


def test_uint8_is_sliced_as_uint8():
    batch = next(iter(Batches(Rows(np.ones((9, 3), np.uint8), np.ones(9)), 4)))
    assert batch[0].dtype is torch.uint8


class Transforming(Dataset):
    def transform(self, X, y):
        return 2 * X, y


@pytest.mark.parametrize(
    "dataset",
    [
        Transforming(X, Y),
        TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)),
        Rows(sparse.csr_matrix(X), Y),
    ],
)
def test_datasets_with_a_mind_of_their_own_go_row_by_row(dataset):
    batches = Batches(dataset, 5)
    assert not batches.sliced
    with blocks.seeded(0):  # a DataLoader without a generator draws from the global one
        x, y, _ = collect(batches)
    factor = 2 if isinstance(dataset, Transforming) else 1
    np.testing.assert_array_equal(x.reshape(X.shape), factor * X)
    np.testing.assert_array_equal(y, Y)


@pytest.mark.parametrize("size", [0, -3])
def test_batch_size_is_checked(size):
    with pytest.raises(ValueError, match="positive integer"):
        Batches(Rows(X, Y), size)


def test_take_selects_rows_of_any_container():
    index = np.array([3, 1])
    got = _rows.take({"a": X, "b": [torch.as_tensor(Y), Y]}, index)
    np.testing.assert_array_equal(got["a"], X[index])
    np.testing.assert_array_equal(got["b"][0], index)
    np.testing.assert_array_equal(got["b"][1], index)
    assert _rows.take(None, index) is None
