"""The training step of networks that compute their gradients piece by piece."""

from typing import Any

import torch
from skorch.callbacks import Callback
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor, nn

from zoo.neural.trainer import Trainer


class LocalTrainer(Trainer):
    """Let the module fill in its own gradients: ``learn(**x, w) -> loss`` instead of backward.

    w holds the share of each row in the loss; it sums to one.
    """

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        own = {"gradient_clip": ClipLocally(self.gradient_clip)}
        return [(name, own.get(name, callback)) for name, callback in super()._default_callbacks]

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Ask the module for its loss and its gradients."""
        self._set_training(True)
        x, y = unpack_data(batch)
        w = getattr(batch, "w", None)
        if self.augment is not None:
            x, y, w = self._augmented(x, y, w)
        x = self._cast(x)
        n = len(next(iter(x.values())))
        share = torch.full((n,), 1.0 / n, dtype=self.loop_.dtype, device=x["x"].device)
        if w is not None:
            w = to_tensor(w, self.device).to(share.dtype)
            share = w / w.sum()
        with self._unusual():
            loss = self.module_.learn(**x, w=share)
        return {"loss": loss.detach(), "y_pred": loss.detach()}


class ClipLocally(Callback):
    """Clip the gradients of every separately trained piece by themselves."""

    def __init__(self, largest: float | None) -> None:
        self.largest = largest

    def on_grad_computed(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Ask the module, which knows its pieces."""
        net.module_.clip(self.largest)


class ItsOwnLoss(nn.Module):
    """The criterion of a module whose output is its loss."""

    def forward(self, output: Tensor, target: Any) -> Tensor:
        """Return the output."""
        return output
