r"""What happens to one batch: the training step, the validation step, output and loss.

``train_step_single`` is the step that every network takes. `zoo.engines.neural.fast` may take another
way where it can prove that it leads to the same weights.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from skorch.utils import to_device, to_tensor
from torch import Tensor, nn

from zoo.engines.neural.lean import backward

# Inputs that follow the dtype of the module: real numbers and images. Indices stay what they are.
_CAST = (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)
_NO_WEIGHTS: dict[str, Tensor] = {}
NO_CONTEXT = nullcontext()


class Step(NeuralNet):
    """The steps of a net; `Trainer` is the loop around them."""

    augment: Callable[..., Any] | None
    precision: str | None
    noise_generator_: torch.Generator
    dtype_: torch.dtype | None = None

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute output, loss and gradients of one batch."""
        self._set_training(True)
        return self._learn_rows(*self._training_rows(batch), **fit_params)

    def _learn_rows(self, X: Any, y: Any, w: Tensor | None, **fit_params: Any) -> dict[str, Tensor]:
        """Forward, loss, backward."""
        with self._forward_context():
            y_pred = self.infer(X, **fit_params)
            loss = _averaged(self.get_loss(y_pred, y, X=X, training=True, **_weights(w)))
        backward(loss)
        return {"loss": loss, "y_pred": y_pred}

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute output and loss of one batch in evaluation mode."""
        self._set_training(False)
        X, y = unpack_data(batch)
        w = getattr(batch, "w", None)
        with torch.no_grad(), self._autocast():
            y_pred = self.infer(X, **fit_params)
            loss = _averaged(self.get_loss(y_pred, y, X=X, training=False, **_weights(w)))
        return {"loss": loss, "y_pred": y_pred}

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Compute the output of one batch, in evaluation mode unless asked otherwise."""
        with self._autocast():
            output = super().evaluation_step(batch, training=training)
        return self._from_autocast(output)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Call the module on a batch, cast to its device and dtype."""
        x = self._cast(x)
        if isinstance(x, Mapping):
            return self.module_(**self._merge_x_and_fit_params(x, fit_params))
        return self.module_(x, **fit_params)

    def get_loss(
        self,
        y_pred: Any,
        y_true: Any,
        X: Any = None,
        training: bool = False,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """Return what the criterion says, or the weighted mean of its losses of rows."""
        if y_true is not None:
            y_true = y_true if isinstance(y_true, Tensor) else to_tensor(y_true, self.device)
            if self.device is not None:
                y_true = to_device(y_true, self.device)
            if (
                isinstance(y_true, Tensor)
                and isinstance(y_pred, Tensor)
                and y_true.is_floating_point()
                and y_true.dtype != y_pred.dtype
            ):
                y_true = y_true.to(y_pred.dtype)
        loss: Tensor = self.criterion_(y_pred, y_true)
        if sample_weight is None:
            return loss
        if loss.ndim == 0:
            raise ValueError(
                f"sample_weight was given, but {type(self.criterion_).__name__} returned one loss "
                "for the batch where one for each row is needed; pass the criterion with "
                'reduction="none".'
            )
        w = sample_weight.to(loss.device, loss.dtype)
        loss = loss.flatten(1).mean(1) if loss.ndim > 1 else loss
        return (w * loss).sum() / w.sum()

    # --- small parts ------------------------------------------------------------------------

    def _training_rows(self, batch: Any) -> tuple[Any, Any, Any]:
        """Return X, y and weights of a batch, augmented."""
        X, y = unpack_data(batch)
        w = getattr(batch, "w", None)
        return (X, y, w) if self.augment is None else self._augmented(X, y, w)

    def _augmented(self, X: Any, y: Any, w: Any) -> tuple[Any, Any, Any]:
        """Apply ``augment`` to a batch, on the device where the network is."""
        X = self._cast(X)
        y = None if y is None else to_tensor(y, self.device)
        w = None if w is None else to_tensor(w, self.device)
        assert self.augment is not None
        transformed: tuple[Any, Any, Any] = self.augment(X, y, w, self.noise_generator_)
        return transformed

    def _forward_context(self) -> AbstractContextManager[Any]:
        """Surround the forward pass of a training step."""
        return self._autocast()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision is None:
            return NO_CONTEXT
        kind = "cpu" if self.device is None else torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16)

    def _from_autocast(self, output: Any) -> Any:
        """Bring outputs of autocast back to the dtype of the module, which numpy knows."""
        if self.precision is None:
            return output
        if isinstance(output, tuple):
            return tuple(self._from_autocast(part) for part in output)
        return output.float() if output.dtype is torch.bfloat16 else output

    def _cast(self, x: Any) -> Any:
        """Move a batch to the device, and images and real numbers to the module's dtype."""
        if isinstance(x, Tensor):
            if self.device is not None:
                x = x.to(self.device)
            dtype = self.dtype_
            if x.dtype is not dtype and x.dtype in _CAST and dtype is not None:
                x = x.to(dtype)
            return x
        if isinstance(x, Mapping):
            return {key: self._cast(value) for key, value in x.items()}
        if isinstance(x, (list, tuple)) and all(isinstance(v, (Tensor, np.ndarray)) for v in x):
            parts = [self._cast(value) for value in x]
            return type(x)(*parts) if hasattr(x, "_fields") else parts
        x = to_tensor(x, device=self.device)
        return self._cast(x) if isinstance(x, Tensor) else x

    def _components(self, names: list[str]) -> list[nn.Module]:
        """Return those of the net's components that are torch modules."""
        found = (getattr(self, f"{name}_", None) for name in names)
        return [c for c in found if isinstance(c, nn.Module)]

    def _follow_dtype(self) -> None:
        """Notice in which dtype the first module computes; writes only where that changed."""
        modules = self._components(self._modules)
        dtype = _floating_dtype(modules[0]) if modules else None
        if self.dtype_ is not dtype:
            self.dtype_ = dtype


def _weights(w: Tensor | None) -> dict[str, Tensor]:
    """Return weights as an argument of ``get_loss``, which a user's own need not know."""
    return _NO_WEIGHTS if w is None else {"sample_weight": w}


def _averaged(loss: Tensor) -> Tensor:
    """Return the loss of the batch: losses of rows, or of their parts, are averaged."""
    return loss.mean() if loss.ndim else loss


def _floating_dtype(module: nn.Module) -> torch.dtype | None:
    """Return the dtype of the first real parameter or buffer."""
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return None
