"""The training step of networks that compute their gradients piece by piece."""

from contextlib import AbstractContextManager
from typing import Any

import torch
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from threadpoolctl import ThreadpoolController
from torch import Tensor

from zoo.engines.neural.trainer import Trainer


class LocalTrainer(Trainer):
    """Let the module fill in its own gradients: ``learn(**x, w) -> loss`` instead of backward.

    w holds the share of each row in the loss; it sums to one. A module of several pieces says
    ``n_pieces`` and calls ``done(piece)`` when the gradients of one are there.
    """

    def _clip(self, largest: float, named_parameters: Any) -> None:
        """Clip the gradients of every separately trained piece by themselves; the module knows them."""
        self.module_.clip(largest)

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Update; piece by piece where the module is trained in pieces.

        A piece is updated as soon as its gradients are there and they are forgotten, so that no more
        than those of one piece are ever held. That needs that nobody wants to see all of them.
        """
        if not self._in_pieces():
            return super().train_step(batch, **fit_params)
        self._zero_grad_optimizer()
        step = self._learned(batch, self._update)
        if self.gradient_clip is not None:
            self.module_.clip(self.gradient_clip)
        self.optimizer_.step()
        return step

    def _threads(self, X: Any, n_rows: int | None = None) -> AbstractContextManager[Any]:
        """Keep to one thread where the step is compiled: around it there is little work to share."""
        if n_rows is not None or not getattr(self.module_, "compiled_step", False):
            return super()._threads(X, n_rows)
        one: AbstractContextManager[Any] = ThreadpoolController().limit(limits=1)
        return one

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Ask the module for its loss and its gradients."""
        return self._learned(batch)

    def _in_pieces(self) -> bool:
        return (
            getattr(self.module_, "n_pieces", 1) > 1
            and self._optimizers == ["optimizer"]
            and not self._heard("on_grad_computed")
        )

    def _update(self, piece: Any) -> None:
        if self.gradient_clip is not None:
            piece.clip(self.gradient_clip)
        self.optimizer_.step()
        for p in piece.parameters():
            p.grad = None

    def _learned(self, batch: Any, done: Any = None) -> dict[str, Tensor]:
        self._set_training(True)
        x, y = unpack_data(batch)
        w = getattr(batch, "w", None)
        if self.augment is not None:
            x, y, w = self._augmented(x, y, w)
        x = self._cast(x)
        n = len(next(iter(x.values())))
        share = torch.full((n,), 1.0 / n, dtype=self.dtype_, device=x["x"].device)
        if w is not None:
            w = to_tensor(w, self.device).to(share.dtype)
            share = w / w.sum()
        pieces = {} if done is None else {"done": done}
        with self._forward_context():
            loss = self.module_.learn(**x, w=share, **pieces)
        return {"loss": loss.detach(), "y_pred": loss.detach()}
