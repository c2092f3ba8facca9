"""Shorter ways to the weights that `zoo.engines.neural.step` leads to, and the proof that they do.

What costs too much at each batch is looked up once an epoch. Whatever cannot be shown to be the plain
case goes the plain way: a method, hook, ``forward`` or ``train`` of somebody's own, an optimiser that
calls back, a callback that may look at the graph of the loss.
"""

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
from skorch.callbacks import Callback
from skorch.utils import TeeGenerator
from torch import Tensor, nn
from torch.optim import LBFGS
from torch.overrides import _len_torch_function_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode

from zoo.engines.neural import optim, parallel
from zoo.engines.neural.dense import DensePath

if TYPE_CHECKING:
    from zoo.engines.neural.trainer import Trainer

# Who replaces one of these may ask for gradients to be added up, or for several steps.
_UPDATE = (
    "train_step_single", "_learn_rows", "get_train_step_accumulator", "_zero_grad_optimizer",
    "_step_optimizer",
)  # fmt: skip
# Who replaces one of these may see the graph behind a loss or an output, or change them.
_FORWARD = (
    "train_step", "run_single_epoch", "infer", "get_loss", "_training_rows", "_learn_rows",
    "_forward_context", "_cast", "on_batch_end",
)  # fmt: skip


_training = attrgetter("training")


class Fast:
    """What one process looks up while it trains; never part of a copy."""

    def __init__(self) -> None:
        self.listeners: dict[str, Any] = {}
        # Modules and criteria, and everything inside them; None where train() is always called.
        self.components: list[tuple[str, nn.Module]] = []
        self.modules: list[nn.Module] | None = None
        self.dense: DensePath | None = None
        # Whether the update needs no closure.
        self.direct = False
        # Whether draws from the global generator are still to be watched for.
        self.guard = False
        # The part of this process in a group that shares each batch.
        self.share: parallel.Share | None = None

    def look_up(self, net: "Trainer", iterator: Any, fit_params: dict[str, Any]) -> None:
        """Find out what may be left out in the epoch to come; no iterator: it trains nothing."""
        names = [*net._modules, *net._criteria]
        found = [(f"{name}_", getattr(net, f"{name}_")) for name in names]
        self.components = [(name, c) for name, c in found if isinstance(c, nn.Module)]
        modules = [m for _, component in self.components for m in component.modules()]
        self.modules = modules if all(map(_plain_train, modules)) else None
        self.dense, self.direct = None, False
        if iterator is None:
            return
        self.direct = (
            net._optimizers == ["optimizer"]
            and _needs_no_closure(net.optimizer_)
            and net._unchanged(*_UPDATE)
        )
        if self.direct and not fit_params and self._nobody_looks(net):
            self.dense = DensePath.of(net, iterator)

    def _nobody_looks(self, net: "Trainer") -> bool:
        """Whether it makes no difference that batches are used as they are and leave no graph."""
        return (
            (net.augment is None or type(net.augment).__module__.startswith("zoo."))
            and net._unchanged(*_FORWARD)
            and not net._heard("on_batch_begin")
            and all(map(_looks_at_values, net._listeners("on_batch_end")))
            and torch.is_grad_enabled()
            and not torch.is_inference_mode_enabled()
            and not torch.is_anomaly_enabled()
            and not torch.is_autocast_enabled("cpu")
            and not _len_torch_function_stack()
            and _get_current_dispatch_mode() is None
        )

    def forget(self) -> None:
        """Let go of everything that belongs to one fit."""
        self.components, self.modules, self.dense, self.direct = [], None, None, False

    def in_mode(self, net: "Trainer", training: bool) -> bool:
        """Whether train() and eval() of every module would change nothing."""
        modules = self.modules
        if modules is None:
            return False
        own = vars(net)
        if any(own.get(name) is not component for name, component in self.components):
            return False
        return all(map(training.__eq__, map(_training, modules)))

    def train_step(
        self, net: "Trainer", batch: Any, fit_params: dict[str, Any]
    ) -> dict[str, Tensor]:
        """Compute the gradients, then update: what skorch does around a closure, without one."""
        step = self.gradients(net, batch, fit_params)
        if net._heard("on_grad_computed") or net.gradient_clip is not None:
            named_parameters = TeeGenerator(net.get_all_learnable_params())
            net.notify(
                "on_grad_computed", named_parameters=named_parameters, batch=batch, training=True
            )
        net.optimizer_.step()
        return step

    def gradients(
        self, net: "Trainer", batch: Any, fit_params: dict[str, Any]
    ) -> dict[str, Tensor]:
        """Set the gradients of a batch in place of those of the last one."""
        if self.share is not None:
            return self.share.step(net, batch, lambda mine: self._of_rows(net, mine, fit_params))
        return self._of_rows(net, batch, fit_params)

    def _of_rows(self, net: "Trainer", batch: Any, fit_params: dict[str, Any]) -> dict[str, Tensor]:
        net._set_training(True)
        X, y, w = net._training_rows(batch)
        if self.dense is not None and self.dense.belongs_to(net):
            step = self.dense.step(net._cast(X), y, w, replace=True)
            if step is not None:
                return step
        net._zero_grad_optimizer()
        return net._learn_rows(X, y, w, **fit_params)


def _plain_train(module: nn.Module) -> bool:
    """Whether ``train`` sets the flag of the module and those below, and does nothing else."""
    cls = type(module)
    return (
        cls.train is nn.Module.train and cls.eval is nn.Module.eval and "train" not in vars(module)
    )


def _needs_no_closure(optimizer: Any) -> bool:
    """Whether ``step()`` after the gradients is ``step(closure)``."""
    if isinstance(optimizer, optim.Fused):
        return not optimizer._optimizer_step_pre_hooks
    kind = type(optimizer)
    return (
        kind.__module__.startswith("torch.optim.")
        and kind is not LBFGS
        and not optimizer._optimizer_step_pre_hooks
    )


def _looks_at_values(callback: Callback) -> bool:
    """Whether the callback is known to take numbers, not graphs, from a batch."""
    return type(callback).__module__.startswith(("skorch.callbacks.", "zoo."))
