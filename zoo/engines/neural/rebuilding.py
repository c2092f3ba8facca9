"""A network from what a file says of it: nothing of its size is made before its weights are seen."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Calls of torch that building takes: for each array of weights, and for what has none.
CALLS_PER_ARRAY, CALLS_BESIDE = 50, 500
# Bytes of tables (positions, masks) that a network may make beside its weights.
TABLES = 2**23


def demand_fit(build: Callable[[], nn.Module], weights: Mapping[str, Any]) -> None:
    """Raise where ``build`` does not make the network that these weights are of.

    The network is made on torch's meta device, which knows shapes and holds no numbers, and building
    stops when it takes more steps than that many arrays can need.

    Parameters
    ----------
    build : callable
        Makes the module.
    weights : mapping of str to array
        What a file holds of its state.
    """
    if not all(isinstance(value, np.ndarray) for value in weights.values()):
        raise ValueError("the weights of a network are no arrays")
    with _Counted(CALLS_BESIDE + CALLS_PER_ARRAY * len(weights)), torch.device("meta"):
        module = build()
    state = module.state_dict()
    expected = {name: tuple(value.shape) for name, value in state.items()}
    given = {name: value.shape for name, value in weights.items()}
    for name in sorted(expected.keys() | given.keys()):
        if expected.get(name) != given.get(name):
            raise ValueError(
                f"the network has {name} of shape {expected.get(name)} and the weights {given.get(name)}"
            )
    demand_small_tables(module)


def demand_small_tables(module: nn.Module) -> None:
    """Raise where what a network makes anew is much larger than what a file holds of it."""
    state = module.state_dict()
    tables = sum(b.nbytes for name, b in module.named_buffers() if name not in state)
    if tables > TABLES + sum(value.nbytes for value in state.values()):
        raise ValueError(
            f"the network asks for {tables} bytes beside its weights, more than a file may; make what they "
            "depend on (such as block_size) smaller."
        )


class _Counted(TorchFunctionMode):
    """Stops whoever calls torch more often than expected."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.left = limit

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ValueError("the network has more parts than weights")
        return function(*args, **(kwargs or {}))
