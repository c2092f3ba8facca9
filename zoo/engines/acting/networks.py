"""Networks of agents: what turns an observation into features, and heads that read them.

Parameters are drawn from numpy's generator, so that a fit repeats whatever else torch draws.
"""

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.engines.acting.images import channel_axis

KERNEL, STRIDE, PADDING = 3, 2, 1
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "identity": nn.Identity,
}  # fmt: skip


class Convolutions(nn.Module):
    """Convolutions that halve an image each; a row out for a row in.

    Channels lie last in memory, in which gradients take a third to a half of the time.

    Parameters
    ----------
    shape : tuple of int
        Of one image: (H, W), (C, H, W) or (H, W, C).
    filters : tuple of int
        Channels after each convolution of 3 x 3, stride 2.
    activation : {"relu", "tanh", "identity"}
        After each of them.

    Attributes
    ----------
    n_features : int
        Columns of the output.
    """

    def __init__(self, shape: tuple[int, ...], filters: tuple[int, ...], activation: str) -> None:
        super().__init__()
        self.axis = channel_axis(shape)
        c = 1 if self.axis is None else shape[self.axis]
        h, w = (d for i, d in enumerate(shape) if i != self.axis)
        self.layers = nn.Sequential()
        for k in map(int, filters):
            self.layers.append(nn.Conv2d(c, k, KERNEL, STRIDE, PADDING))
            self.layers.append(ACTIVATIONS[activation]())
            c, h, w = k, -(-h // STRIDE), -(-w // STRIDE)
        self.n_features = c * h * w
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """Return features of images of the stated shape."""
        if self.axis is None:
            x = x.unsqueeze(1)
        elif self.axis == 2:
            x = x.permute(0, 3, 1, 2)
        x = self.layers(x.contiguous(memory_format=torch.channels_last))
        return x.permute(0, 2, 3, 1).flatten(1)


class Reshaped(nn.Module):
    """A body that reads encoded rows in the shape of observations.

    Parameters
    ----------
    shape : tuple of int
        Of one observation.
    body : nn.Module
        What reads them.
    """

    def __init__(self, shape: tuple[int, ...], body: nn.Module) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.body = body

    def forward(self, x: Tensor) -> Any:
        """Return features of rows."""
        return self.body(x.reshape(len(x), *self.shape))


def perceptron(n_inputs: int, widths: tuple[int, ...], activation: str) -> nn.Sequential:
    """Return linear layers of the stated widths, each with its activation."""
    layers = nn.Sequential()
    for d, k in pairwise((int(n_inputs), *map(int, widths))):
        layers.append(nn.Linear(d, k))
        layers.append(ACTIVATIONS[activation]())
    return layers


def initialize(
    module: nn.Module,
    activation: str,
    rng: np.random.Generator,
    heads: Any = (),
    only_heads: bool = False,
) -> None:
    """Draw parameters: He for rectified layers, Glorot for others, small values at the heads."""
    small = {id(head) for head in heads}
    with torch.no_grad():
        for part in heads if only_heads else module.modules():
            if not isinstance(part, nn.Linear | nn.Conv2d):
                continue
            shape = tuple(part.weight.shape)
            d, k = int(np.prod(shape[1:])), shape[0] * int(np.prod(shape[2:]))
            hidden = id(part) not in small
            scale = 6 / d if hidden and activation == "relu" else 6 / (d + k)
            # In the order in which the inputs of a layer lie, for every output.
            drawn = rng.uniform(-1, 1, shape[::-1]).T * np.sqrt(scale) * (1.0 if hidden else 0.1)
            part.weight.copy_(torch.from_numpy(np.ascontiguousarray(drawn)))
            if part.bias is not None:
                part.bias.zero_()


def users_own(network: Any, shape: tuple[int, ...], name: str) -> nn.Module:
    """Return a user's module: a copy of the one given, or what a factory makes of a shape."""
    made = copy.deepcopy(network) if isinstance(network, nn.Module) else network(shape)
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"{name}: network made {type(made).__name__} of the shape {shape}, but it must make a "
            "torch module that turns (n, *shape) into features (n, k)."
        )
    return made


def features_of(module: nn.Module, shape: tuple[int, ...], name: str) -> int:
    """Return how many features a user's module gives for observations of a shape."""
    training = module.training
    try:
        with torch.no_grad():
            out = module.eval()(torch.zeros((2, *shape)))
    except Exception as e:
        raise ValueError(
            f"{name}: network cannot read observations of shape {shape} (it was given a float32 "
            f"tensor of shape (2, {', '.join(map(str, shape))}) and raised: {e})."
        ) from e
    finally:
        module.train(training)
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != 2:
        given = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(
            f"{name}: network must give one row of features an observation, (n, k), but for two "
            f"observations it gave {given}."
        )
    return int(out.shape[1])
