"""The perceptron: the stack of linear layers that many networks are or end in."""

from itertools import pairwise
from typing import Any, Literal

Activation = Literal[
    "relu", "tanh", "logistic", "identity", "leaky_relu", "elu", "gelu", "silu", "softplus"
]
Initialization = Literal[
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal",
    "zeros", "torch",
]  # fmt: skip


def perceptron(
    sizes: list[int],
    activation: str,
    dropout: float,
    dropconnect: float,
    norm: str | None,
    initialization: str,
) -> Any:
    """Build the layers: linear, norm, activation, dropout, ..., linear."""
    import torch
    from torch import nn

    from zoo.engines.modules import blocks

    norms = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "rms": blocks.RMSNorm}
    module = nn.Sequential()
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        module.append(
            blocks.DropConnect(n_in, n_out, dropconnect) if dropconnect else nn.Linear(n_in, n_out)
        )
        if i < len(sizes) - 2:
            if norm is not None:
                module.append(norms[norm](n_out))
            module.append(blocks.activation(activation))
            if dropout:
                module.append(blocks.Dropout(dropout))
    # The caller seeds torch's generator for the time in which the network is built.
    return blocks.initialize(module, initialization, torch.default_generator)
