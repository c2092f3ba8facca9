"""Passes through a network for whoever knows the gradient of a loss by the outputs.

Agents, planners and two players of a game do not minimise one criterion over rows: they compute
outputs, form the gradient of a loss by them, and hand it down, to the parameters or further, to the
inputs (an actor through its critic). A pass does this on numpy arrays, in one of two ways: by hand
where ``dense`` proves that it is the same (``DensePass``), else by autograd (``GraphPass``).
"""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from zoo.engines.neural.dense import DensePass


class Pass(Protocol):
    """What both ways offer; see `DensePass` for the meaning of the arguments."""

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the output for rows x, as a trained network gives it."""

    def forward(self, x: np.ndarray, *, to_input: bool = False) -> tuple[np.ndarray, Any]:
        """Return the output for rows x, and the tape that `backward` reads."""

    def backward(
        self, tape: Any, slope: np.ndarray, *, to_input: bool = False, rows: int | None = None
    ) -> np.ndarray | None:
        """Write the gradients of the parameters; with ``to_input`` return that of x."""


class GraphPass:
    """Forward and backward of any module, by autograd, on the device where it is.

    ``outputs`` runs in evaluation mode, ``forward`` in training mode.

    Parameters
    ----------
    module : nn.Module
        The network; rows in, rows out.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        first = next(module.parameters())
        self.device, self.dtype = first.device, first.dtype
        self.parameters = [p for p in module.parameters() if p.requires_grad]

    def _tensor(self, x: np.ndarray) -> Tensor:
        # torch warns of arrays that it could not write to, such as those of a parallel search.
        x = np.require(x, requirements=["C", "W"])
        return torch.from_numpy(x).to(self.device, self.dtype)

    def _in_mode(self, training: bool) -> None:
        if self.module.training is not training:
            self.module.train(training)

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the output for rows x."""
        self._in_mode(False)
        with torch.no_grad():
            out: np.ndarray = self.module(self._tensor(x)).cpu().numpy()
        return out

    def forward(self, x: np.ndarray, *, to_input: bool = False) -> tuple[np.ndarray, Any]:
        """Return the output for rows x, and the graph that `backward` goes through."""
        self._in_mode(True)
        leaf = self._tensor(x)
        if to_input:
            leaf = leaf.detach().requires_grad_()
        with torch.enable_grad():
            out = self.module(leaf)
        return out.detach().cpu().numpy(), (leaf, out)

    def backward(
        self, tape: Any, slope: np.ndarray, *, to_input: bool = False, rows: int | None = None
    ) -> np.ndarray | None:
        """Write the gradient of a loss whose gradient by the output is ``slope``."""
        leaf, out = tape
        if rows is not None:
            out = out[:rows]
        for p in self.parameters:
            # In place, since gradients may lie in one piece of memory.
            if p.grad is not None:
                p.grad.zero_()
        torch.autograd.backward([out], [self._tensor(slope)])
        return leaf.grad.cpu().numpy() if to_input else None


def pass_through(module: nn.Module) -> Any:
    """Return the fastest pass through a module that is provably right.

    A module whose form is more than a row of layers says how it is passed by hand in a method
    ``by_hand``, which returns a `Pass`, or None where it cannot be.
    """
    by_hand = getattr(module, "by_hand", None)
    made = by_hand() if by_hand is not None else DensePass.of(module)
    return GraphPass(module) if made is None else made


class OnePiece:
    """A module whose parameters of one kind lie side by side in memory, and their gradients too.

    To clip a gradient, or to let a slow copy follow, is then one operation on one array, whatever
    the number of layers. The parameters are those of the module, which stays the truth.

    Parameters
    ----------
    module : nn.Module
        All parameters that are trained must have one dtype and one device; they are moved.

    Attributes
    ----------
    parameters : list of Parameter
        Those that are trained.
    values, gradient : tensor
        Of all of them.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.parameters = parameters = [p for p in module.parameters() if p.requires_grad]
        kinds = {(str(p.dtype), str(p.device)) for p in parameters}
        if len(kinds) != 1:
            raise ValueError(
                f"the trained parameters of {type(module).__name__} are of {len(kinds)} kinds "
                f"({sorted(kinds)}); all must have one dtype and one device, and one must be trained."
            )
        first = parameters[0].detach()
        self.values = first.new_empty(sum(p.numel() for p in parameters))
        self.gradient = torch.zeros_like(self.values)
        at = 0
        for p in parameters:
            end = at + p.numel()
            p.data = _laid_out(self.values[at:end], p).copy_(p.detach())
            p.grad = _laid_out(self.gradient[at:end], p)
            at = end
        # numpy's view costs less to ask than a tensor does.
        on_cpu = self.values.device.type == "cpu"
        self._gradient = self.gradient.numpy() if on_cpu else None
        # Statistics of norms: a slow copy takes them over as they are.
        self.buffers = [b for b in module.buffers() if b is not None]

    def __reduce__(self) -> Any:
        raise TypeError(
            "a copy of OnePiece would not hold the memory of its module; make one of the copied module."
        )

    def parameter(self) -> nn.Parameter:
        """Return all values as one parameter, for an optimiser that treats every number by itself."""
        whole = nn.Parameter(self.values)
        whole.grad = self.gradient
        return whole

    def clip(self, max_norm: float) -> None:
        """Scale the gradient so that its norm is at most ``max_norm``."""
        g = self.gradient if self._gradient is None else self._gradient
        norm = float(g @ g) ** 0.5
        if norm > max_norm:
            g *= max_norm / norm

    def follow(self, other: "OnePiece", share: float) -> None:
        """Take ``share`` of the other's values, and keep the rest of one's own."""
        if share == 1:
            self.values.copy_(other.values)
        else:
            self.values.lerp_(other.values, share)
        for mine, theirs in zip(self.buffers, other.buffers, strict=True):
            mine.copy_(theirs)


def _laid_out(piece: Tensor, like: Tensor) -> Tensor:
    """View a piece of memory as a tensor of the shape of ``like``, and in the order of its axes."""
    order = sorted(range(like.ndim), key=lambda d: (-like.stride(d), d))
    view = piece.view([like.shape[d] for d in order])
    return view.permute([order.index(d) for d in range(like.ndim)])
