"""Two calls of torch without their checks, the only private parts of torch that the engine uses.

Around a step of a small network ``torch.no_grad`` costs 2 us and the Python part of
``Tensor.backward`` 11 us, as much as all that the Trainer itself adds.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_set_grad_enabled = torch._C._set_grad_enabled
_run_backward = torch.autograd.Variable._execution_engine.run_backward


class without_grad:
    """``torch.no_grad``, as a context only."""

    __slots__ = ("before",)

    def __enter__(self) -> None:
        self.before = torch.is_grad_enabled()
        _set_grad_enabled(False)

    def __exit__(self, *exception: Any) -> None:
        _set_grad_enabled(self.before)


_ones: dict[tuple[torch.dtype, torch.device], Tensor] = {}


def backward(loss: Tensor, parameters: Sequence[Tensor] = ()) -> None:
    """Accumulate the gradients of a scalar loss, as ``loss.backward()``: of all, or of these alone."""
    if type(loss) is not Tensor or loss.ndim or not loss.is_floating_point():
        loss.backward(inputs=parameters or None)
        return
    kind = loss.dtype, loss.device
    one = _ones.get(kind)
    if one is None:
        one = _ones[kind] = torch.ones((), dtype=loss.dtype, device=loss.device)
    inputs = tuple(parameters)
    _run_backward((loss,), (one,), False, False, inputs, allow_unreachable=True, accumulate_grad=True)
