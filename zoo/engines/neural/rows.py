"""Rows of training data, and the iterator that slices them into batches.

A torch ``DataLoader`` fetches one row at a time and collates; at 20 features that costs more than
the training step. Here whole chunks of rows are gathered at once and split into batches. Every
batch is a copy, so a module that works in place on its input never reaches the caller's data.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset, get_len
from torch.utils.data import DataLoader, Subset

# Large enough that gathering costs nothing per batch, small enough to stay near the cache.
CHUNK_BYTES = 2**20


class Batch(list[Any]):
    """``[X, y]``, as skorch yields it and callbacks may change it, and the weights of the rows."""

    w: torch.Tensor | None = None


class Rows(Dataset):
    """X, y and the weights of the rows; X may be a mapping of keyword arguments of ``forward``."""

    def __init__(self, X: Any, y: Any = None, length: int | None = None, w: Any = None) -> None:
        super().__init__(X, y, length=length)
        self.w = w


def take(data: Any, index: np.ndarray) -> Any:
    """Rows ``index`` of an array, a tensor, or a mapping or list of them, as a copy."""
    if data is None:
        return None
    if isinstance(data, Mapping):
        return {key: take(value, index) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        parts = [take(value, index) for value in data]
        return type(data)(*parts) if hasattr(data, "_fields") else type(data)(parts)
    if isinstance(data, torch.Tensor):
        return data.index_select(0, torch.as_tensor(index, device=data.device))
    if hasattr(data, "iloc"):
        return data.iloc[index]
    return data[index]


def row_count(X: Any) -> int:
    """Count the rows of a batch; the two common forms without skorch's general search."""
    if isinstance(X, torch.Tensor):
        return X.shape[0]
    return get_len(X)


def as_column(data: Any) -> Any:
    """A tensor over the same memory, or the array itself where torch must not write to it.

    Returns ``NotImplemented`` for data that cannot be sliced as a block of rows.
    """
    if isinstance(data, torch.Tensor):
        if data.layout is not torch.strided or data.ndim == 0:
            return NotImplemented
        return data.detach()
    if type(data) is np.ndarray or isinstance(data, np.memmap):
        if data.ndim == 0 or data.dtype.kind not in "biufc":
            return NotImplemented
        if not data.dtype.isnative:
            data = data.astype(data.dtype.newbyteorder("="))
        if any(stride < 0 for stride in data.strides):
            data = np.ascontiguousarray(data)
        # torch has no read-only tensors and warns; such arrays stay numpy and are copied by batch.
        return torch.from_numpy(data) if data.flags.writeable else np.asarray(data)
    return NotImplemented


def as_columns(data: Any) -> tuple[Any, list[Any]] | None:
    """Keys (None for a bare array) and columns of ``data``; None when it cannot be sliced."""
    if isinstance(data, Mapping):
        keys: Any = list(data)
        columns = [as_column(value) for value in data.values()]
    elif isinstance(data, (list, tuple)):
        keys = type(data)
        columns = [as_column(value) for value in data]
    else:
        keys, columns = None, [as_column(data)]
    if not columns or any(column is NotImplemented for column in columns):
        return None
    return keys, columns


def assemble(keys: Any, parts: Any) -> Any:
    """Undo ``as_columns`` for the parts of one batch."""
    if keys is None:
        return parts[0]
    if isinstance(keys, list):
        return dict(zip(keys, parts, strict=True))
    return keys(*parts) if hasattr(keys, "_fields") else keys(parts)


def gather(column: Any, rows: slice | torch.Tensor) -> torch.Tensor:
    """Copy rows of a column into a tensor of its own."""
    if isinstance(column, torch.Tensor):
        if isinstance(rows, slice):
            # C order whatever the caller's, so that results do not depend on it.
            return column[rows].clone(memory_format=torch.contiguous_format)
        return column.index_select(0, rows.to(column.device))
    if isinstance(rows, slice):
        return torch.from_numpy(column[rows].copy(order="C"))
    return torch.from_numpy(np.take(column, rows.numpy(), axis=0))


def bytes_per_row(column: Any) -> int:
    """Size of one row of a tensor or array in bytes."""
    items = 1
    for size in column.shape[1:]:
        items *= int(size)
    itemsize = column.element_size() if isinstance(column, torch.Tensor) else column.itemsize
    return items * int(itemsize)


class Batches:
    """Iterate over batches of a dataset; the last one may be short, none is ever dropped.

    Parameters
    ----------
    dataset : torch Dataset
        A skorch ``Dataset`` (or ``Subset`` of one) over arrays and tensors is sliced. Anything
        else goes through a torch ``DataLoader``.
    batch_size : int
        Rows in a batch.
    shuffle : bool
        Draw a new order each epoch; not when one batch holds every row, so that then the order of
        the rows matters by rounding only.
    generator : torch.Generator or None
        Source of the order.
    **loader
        Options of ``DataLoader``, which is used as soon as one is given.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        **loader: Any,
    ) -> None:
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.generator = generator
        if self.batch_size < 1:
            raise ValueError(
                f"batch_size is {batch_size}, but it must be a positive integer (or -1 for all "
                "rows in one batch)."
            )
        self.loader: DataLoader[Any] | None = None
        if loader or not self._slice(dataset):
            self.loader = DataLoader(
                dataset, batch_size=self.batch_size, shuffle=shuffle, generator=generator, **loader
            )

    def _slice(self, dataset: Any) -> bool:
        """Find the columns of the dataset; False when it has a mind of its own."""
        self.index: torch.Tensor | None = None
        while type(dataset) is Subset:
            index = torch.from_numpy(np.array(dataset.indices, dtype=np.int64))
            self.index = index if self.index is None else index[self.index]
            dataset = dataset.dataset
        # A subclass may override __getitem__ or transform; only the two known classes are sliced.
        if type(dataset) not in (Rows, Dataset):
            return False
        X = as_columns(dataset.X)
        if X is None:
            return False
        y: Any = (None, []) if dataset.y is None else as_columns(dataset.y)
        if y is None:
            return False
        self.X_keys, self.X_columns = X
        self.y_keys, self.y_columns = y
        w = getattr(dataset, "w", None)
        self.w_columns = [] if w is None else [as_column(w)]
        self.n = len(dataset) if self.index is None else len(self.index)
        return True

    def __len__(self) -> int:
        """Count the batches of one epoch."""
        if self.loader is not None:
            return len(self.loader)
        return -(-self.n // self.batch_size)

    @property
    def sliced(self) -> bool:
        """Whether rows are sliced here rather than fetched by a ``DataLoader``."""
        return self.loader is None

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch."""
        if self.loader is not None:
            yield from self.loader
            return
        n, size = self.n, self.batch_size
        order = self.index
        if self.shuffle and size < n:
            permutation = torch.randperm(n, generator=self.generator)
            order = permutation if order is None else order[permutation]
        columns = [*self.X_columns, *self.y_columns, *self.w_columns]
        n_X, n_y = len(self.X_columns), len(self.y_columns)
        bare = self.X_keys is None and self.y_keys is None and n_y == 1
        batch_bytes = size * sum(map(bytes_per_row, columns))
        step = size * max(1, CHUNK_BYTES // max(1, batch_bytes))
        for start in range(0, n, step):
            stop = min(start + step, n)
            rows = slice(start, stop) if order is None else order[start:stop]
            # Not views in autograd's eyes: a module may write into one batch and leave the others be.
            pieces = [gather(column, rows).unsafe_split(size) for column in columns]
            for parts in zip(*pieces, strict=True):
                if bare:
                    batch = Batch(parts[:2])
                else:
                    X = assemble(self.X_keys, parts[:n_X])
                    # Zeros where there is no target, as skorch has them.
                    y = (
                        assemble(self.y_keys, parts[n_X : n_X + n_y])
                        if n_y
                        else torch.zeros(len(parts[0]), 1)
                    )
                    batch = Batch((X, y))
                if self.w_columns:
                    batch.w = parts[-1]
                yield batch
