"""A network that learns while an agent acts: module, optimiser, clipping, and a slow copy of it."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.engines.modules import blocks
from zoo.engines.neural import optim
from zoo.engines.neural.passes import GraphPass, OnePiece, pass_through


class Approximator:
    """One network of a learner.

    The module is the truth: its parameters are the ones that are stepped, by an optimiser of torch
    with the state that torch gives it (one state for all parameters in one piece, where the optimiser
    treats every number by itself). The slow copy is plain state beside it, which no optimiser
    and no clipping sees.

    Parameters
    ----------
    module : nn.Module
        Rows in, rows out; it now belongs to the approximator.
    optimizer : str or torch optimizer class
        As ``zoo.engines.neural.optim`` takes it.
    device : str
        Where the module learns.
    max_grad_norm : float or None
        Longer gradients are scaled down to it.
    slow : bool
        Whether to keep a slow copy.
    seed : int
        Of the noise of a module that draws any.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Any = "adam",
        *,
        device: str = "cpu",
        max_grad_norm: float | None = None,
        slow: bool = False,
        seed: int = 0,
    ) -> None:
        module = blocks.take_over_dropout(module.to(device))
        blocks.bind_generator(module, torch.Generator(device).manual_seed(seed))
        self.module = module
        self.max_grad_norm = max_grad_norm
        self.piece = OnePiece(module)
        self.passing = pass_through(module)
        cls, options = optim.resolve(optimizer, {})
        # The rules of the house treat every number by itself, and so may take all of them at once.
        whole = cls.__module__ == optim.__name__
        self.parameters = [self.piece.parameter()] if whole else self.piece.parameters
        self.optimizer = cls(self.parameters, **{"lr": 1e-3, **options})
        # One pass by hand over two batches costs less than two; a graph would keep both.
        self._together = not isinstance(self.passing, GraphPass)
        self.slow_piece: OnePiece | None = None
        if slow:
            self.slow_piece = OnePiece(copy.deepcopy(module))
            self.slow_passing = pass_through(self.slow_piece.module)

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for rows x."""
        out: np.ndarray = self.passing.outputs(x)
        return out

    def slow_outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs of the slow copy."""
        out: np.ndarray = self.slow_passing.outputs(x)
        return out

    def descend(
        self,
        x: np.ndarray,
        slope: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
        lr: float,
        *,
        beside: np.ndarray | None = None,
    ) -> None:
        """Make one step against the gradient.

        Parameters
        ----------
        x : array of shape (n, inputs)
            The batch.
        slope : function
            ``(outputs, outputs beside) -> gradient of the loss by the outputs``.
        lr : float
            Step size.
        beside : array or None
            Further rows whose outputs the loss needs, but no gradient.
        """
        n, others = len(x), None
        if beside is None:
            out, tape = self.passing.forward(x)
        elif self._together:
            both, tape = self.passing.forward(np.concatenate([x, beside]))
            out, others = both[:n], both[n:]
        else:
            others = self.passing.outputs(beside)
            out, tape = self.passing.forward(x)
        self.passing.backward(tape, slope(out, others), rows=None if beside is None else n)
        if self.max_grad_norm is not None:
            self.piece.clip(self.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()

    def follow(self, share: float) -> None:
        """Move the slow copy: 1 makes it equal, less moves it softly."""
        if self.slow_piece is None:
            raise ValueError("this approximator keeps no slow copy.")
        self.slow_piece.follow(self.piece, share)

    # -- state ------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what learning goes on from, beside the weights: arrays and numbers."""
        state: dict[str, Any] = {
            "moments": [
                {name: _plain(v) for name, v in self.optimizer.state.get(p, {}).items()}
                for p in self.parameters
            ]
        }
        if self.slow_piece is not None:
            state["slow"] = arrays_of(self.slow_piece.module)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for p, moments in zip(self.parameters, state["moments"], strict=True):
            self.optimizer.state[p] = {
                name: _like(v, p) if isinstance(v, np.ndarray) else v for name, v in moments.items()
            }
        if self.slow_piece is not None:
            load_arrays(self.slow_piece.module, state["slow"])


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy().copy() if isinstance(value, torch.Tensor) else value


def _like(value: np.ndarray, p: torch.Tensor) -> torch.Tensor:
    """Return a tensor of a parameter's state; step counts stay where the optimiser wants them."""
    tensor = torch.from_numpy(np.array(value))
    return torch.empty_like(p, requires_grad=False).copy_(tensor) if tensor.ndim else tensor


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Return a module's parameters and buffers as arrays of their own."""
    return {name: _plain(value) for name, value in module.state_dict().items()}


def load_arrays(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays into a module's parameters and buffers, where they lie."""
    module.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in arrays.items()})
