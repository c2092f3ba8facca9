"""The convolutional network as a torch module."""

from typing import Any

import torch
from torch import Tensor, nn

from zoo.engines.modules import blocks
from zoo.engines.modules.perceptron import perceptron


class Conv(nn.Module):
    """[conv - activation - pool]^N, then [fully connected - activation]^M.

    Pooling comes before an activation that never falls: the largest of h(x) is h of the largest, at
    a quarter of the work.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        shape: list[int],
        filters: list[int],
        kernel_size: int,
        pool_size: int,
        hidden: list[int],
        n_outputs: int,
        activation: str,
        norm: str | None,
        dropout: float,
        initialization: str,
        mean: list[float],
        scale: list[float],
    ) -> None:
        super().__init__()
        C, H, W = shape
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64).view(-1, 1, 1))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64).view(-1, 1, 1))
        self.features = nn.Sequential()
        for n_filters in filters:
            self.features.append(nn.Conv2d(C, n_filters, kernel_size, padding="same"))
            if norm == "batch":
                self.features.append(nn.BatchNorm2d(n_filters))
            pool = (min(pool_size, H), min(pool_size, W))
            steps: list[nn.Module] = [nn.MaxPool2d(pool)] if max(pool) > 1 else []
            act = blocks.activation(activation)
            self.features.extend([*steps, act] if activation in NEVER_FALLS else [act, *steps])
            if dropout:
                self.features.append(blocks.Dropout(dropout))
            C, H, W = n_filters, H // pool[0], W // pool[1]
        self.head = perceptron(
            [C * H * W, *hidden, n_outputs], activation, dropout, 0.0, None, initialization
        )
        blocks.initialize(self.features, initialization, torch.default_generator)
        # Filters laid out like the images: otherwise every step reorders them.
        for parameter in self.features.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def feature_maps(self, x: Tensor) -> Tensor:
        """Return the output of the convolutional part, (n, filters, h, w)."""
        x = (x - self.mean) / self.scale
        maps: Tensor = self.features(x.contiguous(memory_format=torch.channels_last))
        return maps

    def forward(self, x: Tensor) -> Any:
        """Return logits or values."""
        return self.head(self.feature_maps(x).flatten(1))


NEVER_FALLS = (
    "relu", "leaky_relu", "tanh", "logistic", "identity", "elu", "selu", "softplus",
)  # fmt: skip
