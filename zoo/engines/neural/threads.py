r"""How many threads a network is worth, read from its modules and the batch.

A matrix product of fewer than 2^25 multiplications takes less than half a millisecond on one core. A
second thread may save half of that, but where another process uses the other cores, waiting for it can
take a hundred times as long (a 3 x 3 convolution of 128 images of 8 x 8: 0.8 ms on one thread, 28 ms on
two on a busy machine). A network none of whose products is larger runs in one thread.

The multiplications of a product are the weights times the rows of the batch times the places at which
the weights are used: every token, every time step that is read at once, every pixel under a filter.
"""

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple

import torch
from threadpoolctl import ThreadpoolController
from torch import nn
from torch.nn.modules import conv, pooling

from zoo.engines.neural.rows import as_columns

SERIAL_PRODUCT = 2**25
_POOLING = (pooling._MaxPoolNd, pooling._AvgPoolNd)


class OneThread:
    """Keep the calling thread's OpenMP work to one thread; other threads are not concerned."""

    def __enter__(self) -> None:
        self._before = [(pool, pool.get_num_threads()) for pool in _pools()]
        for pool, _ in self._before:
            pool.set_num_threads(1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pool, n in self._before:
            pool.set_num_threads(n)


@cache
def _pools() -> list[Any]:
    """Find the thread pools of this process; torch's is there once torch is imported."""
    found: list[Any] = ThreadpoolController().select(user_api="openmp").lib_controllers
    return found


class Row(NamedTuple):
    """What one row of the data is: its shape, and whether it holds tokens, each read alone."""

    shape: tuple[int, ...] = ()
    tokens: bool = False

    @classmethod
    def of(cls, X: Any) -> "Row":
        """Read it from data; what cannot be sliced counts as plain rows."""
        columns = as_columns(X)
        if columns is None:
            return cls()
        first = columns[1][0]
        tokens = first.ndim == 2 and str(first.dtype).removeprefix("torch.") in ("int32", "int64")
        return cls(tuple(first.shape[1:]), tokens)


def for_work(
    modules: Iterable[nn.Module], row: Row, n_rows: int, device: Any
) -> AbstractContextManager[None]:
    """Return the context in which to run the modules on ``n_rows`` rows at a time."""
    on_cpu = device is None or str(device).startswith("cpu")
    if not on_cpu or torch.get_num_threads() == 1:
        return nullcontext()
    serial = all(largest_product(m, row, n_rows) <= SERIAL_PRODUCT for m in modules)
    return OneThread() if serial else nullcontext()


def largest_product(module: nn.Module, row: Row, n_rows: int) -> int:
    """Return the multiplications of the largest product in a pass of a module."""
    size, places, largest = math.prod(row.shape), 0, 0
    for m in module.modules():
        weights = sum(p.numel() for p in m.parameters(recurse=False) if p.ndim > 1)
        if isinstance(m, conv._ConvNd):
            # Strides and pools leave fewer places to the filters behind them.
            places = places or max(1, size // m.in_channels)
            step = math.prod(m.stride)
            places = places * step if m.transposed else max(1, places // step)
            weights *= places
        elif isinstance(m, _POOLING) and places:
            stride: Any = m.stride
            if not isinstance(stride, tuple):
                stride = (stride,) * (len(row.shape) - 1)
            places = max(1, places // math.prod(stride))
        elif isinstance(m, nn.Embedding):
            weights = 0  # looked up, not multiplied
        elif row.tokens:
            weights *= size
        largest = max(largest, weights * n_rows)
    return largest
