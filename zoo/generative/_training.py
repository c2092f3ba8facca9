"""What latent-variable models do while training: dequantise the data, anneal the KL term."""

from typing import Any

import torch
from skorch.callbacks import Callback, EarlyStopping


class Dequantize:
    """Fill the gaps between integers with uniform noise, anew for each batch."""

    def __call__(self, X: Any, y: Any, w: Any, generator: torch.Generator) -> Any:
        """Return X + u."""
        x = X["x"] if isinstance(X, dict) else X
        u = torch.empty(x.shape, dtype=torch.get_default_dtype(), device=generator.device)
        x = x + u.uniform_(generator=generator).to(x.device, x.dtype if x.is_floating_point() else u.dtype)
        return (X | {"x": x} if isinstance(X, dict) else x), y, w


class AnnealKL(Callback):
    """Let the weight of the KL term rise from 0 to beta over the first epochs."""

    def __init__(self, beta: float, epochs: int) -> None:
        self.beta, self.epochs = beta, epochs

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Set the weight of this epoch."""
        net.module_.beta = self.beta * min(1.0, len(net.history) / self.epochs)


class StopAfterAnnealing(EarlyStopping):
    """Early stopping that starts to watch when the loss has its final form."""

    def __init__(self, epochs: int, **options: Any) -> None:
        self.epochs = epochs
        super().__init__(**options)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Look at the loss of this epoch, once it can be compared with the next."""
        if len(net.history) >= self.epochs:
            super().on_epoch_end(net, **kwargs)
