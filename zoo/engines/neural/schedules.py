r"""Learning-rate schedules by name, as callbacks of the Trainer.

``"step"``, ``"plateau"``, ``"exponential"``, ``"cosine"`` and ``"warm_restarts"`` change the rate
after each epoch, ``"noam"`` and ``"warm_up_cosine"`` after each batch. A pair ``(name, options)``
sets the options of the policy.
"""

import math
from typing import Any

from skorch.callbacks import Callback, LRScheduler
from skorch.dataset import get_len
from torch.optim import lr_scheduler

__all__ = [
    "SCHEDULES",
    "Noam",
    "Schedule",
    "WarmRestarts",
    "WarmUpCosine",
    "describe",
    "schedule_callback",
]


class Noam:
    r"""Factor that rises linearly for ``warm_up`` steps and then falls as one over the root.

    .. math:: \sqrt{w}\,\min\bigl(s^{-1/2},\; s\,w^{-3/2}\bigr), \qquad s = 1, 2, \dots

    It reaches 1 at the end of the warm-up, so that ``lr`` is the highest rate. The paper's own form
    has the width of the model there instead, which hides the rate.

    References
    ----------
    Vaswani et al.: Attention Is All You Need. NeurIPS 2017, equation 3.
    """

    def __init__(self, warm_up: int = 400) -> None:
        self.warm_up = warm_up

    def __call__(self, step: int) -> float:
        """Return the factor of the rate at a step counted from 0."""
        s, w = step + 1, self.warm_up
        return math.sqrt(w) * min(s**-0.5, s * w**-1.5)


class WarmUpCosine:
    r"""Factor that rises linearly for ``warm_up`` steps and falls to ``floor`` as half a cosine."""

    def __init__(self, warm_up: int, total: int, floor: float = 0.0) -> None:
        self.warm_up, self.total, self.floor = warm_up, total, floor

    def __call__(self, step: int) -> float:
        """Return the factor of the rate at a step counted from 0."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.total - self.warm_up)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        return self.floor + (1 - self.floor) * cosine


class WarmRestarts:
    r"""Half cosines from 1 to 0 over ``T_0`` epochs, then ``T_0 T_mult``, and so on.

    References
    ----------
    Loshchilov, Hutter: SGDR, Stochastic Gradient Descent with Warm Restarts. ICLR 2017.
    """

    def __init__(self, T_0: int, T_mult: int = 1) -> None:
        self.T_0, self.T_mult = T_0, T_mult

    def __call__(self, step: int) -> float:
        """Return the factor of the rate at a step counted from 0."""
        period = self.T_0
        while step >= period:
            step -= period
            period *= self.T_mult
        return 0.5 * (1 + math.cos(math.pi * step / period))


# torch's own restarts forget the length of the present period when training goes on later.
class _WarmRestartsLR(lr_scheduler.LambdaLR):
    def __init__(self, optimizer: Any, T_0: int, T_mult: int = 1, last_epoch: int = -1) -> None:
        super().__init__(optimizer, WarmRestarts(T_0, T_mult), last_epoch=last_epoch)


class _NoamLR(lr_scheduler.LambdaLR):
    def __init__(self, optimizer: Any, warm_up: int = 400, last_epoch: int = -1) -> None:
        super().__init__(optimizer, Noam(warm_up), last_epoch=last_epoch)


class _WarmUpCosineLR(lr_scheduler.LambdaLR):
    def __init__(
        self, optimizer: Any, warm_up: int, total: int, floor: float = 0.0, last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, WarmUpCosine(warm_up, total, floor), last_epoch=last_epoch)


def latest_loss(net: Any) -> float:
    """Return the loss that ``"plateau"`` watches: validation where there is one."""
    row = net.history[-1]
    return float(row["valid_loss"] if "valid_loss" in row else row["train_loss"])


class Schedule(LRScheduler):
    """A schedule by name; lengths that are not given follow from the planned training.

    Unlike skorch's own scheduler it goes on where it stopped also when it steps by the batch.

    Parameters
    ----------
    name : str
        A key of ``SCHEDULES``.
    **options
        Options of its policy.
    """

    def __init__(self, name: str = "cosine", **options: Any) -> None:
        policy, step_every, _ = SCHEDULES[name]
        super().__init__(policy=policy, monitor=latest_loss, step_every=step_every, **options)
        self.name = name

    def initialize(self) -> "Schedule":
        """Forget the lengths of an earlier training."""
        self.lengths_: dict[str, Any] | None = None
        self.first_epoch_ = 0
        super().initialize()
        return self

    def restart(self, net: Any) -> None:
        """Begin anew at the next training, as if the epochs so far had never been."""
        self.initialize()
        self.first_epoch_ = len(net.history)

    def has_ended(self) -> bool:
        """Tell whether the planned training is over, after which the rate may be 0."""
        total = (self.lengths_ or {}).get("total")
        return total is not None and self.batch_idx_ >= total

    @property
    def kwargs(self) -> dict[str, Any]:
        """Options of the policy."""
        given = {key: value for key, value in super().kwargs.items() if key != "name"}
        return {**(self.lengths_ or {}), **given}

    def on_train_begin(self, net: Any, X: Any = None, **kwargs: Any) -> None:
        """Build the scheduler; the lengths are those of the first training."""
        if self.lengths_ is None:
            batch_size = net.batch_size if net.batch_size > 0 else get_len(X)
            batches = -(-get_len(X) // batch_size)
            self.lengths_ = _lengths(self.name, net.max_epochs, batches)
        super().on_train_begin(net, X=X, **kwargs)

    def _get_scheduler(self, net: Any, policy: Any, **scheduler_kwargs: Any) -> Any:
        rows = list(net.history)[self.first_epoch_ :]
        if self.step_every == "batch":
            self.batch_idx_ = sum(row.get("train_batch_count", 0) for row in rows)
            scheduler_kwargs.setdefault("last_epoch", self.batch_idx_ - 1)
        elif policy is not lr_scheduler.ReduceLROnPlateau:
            scheduler_kwargs.setdefault("last_epoch", len(rows) - 1)
        seen = True
        if net.history:
            # Training goes on with an optimiser that perhaps no schedule has seen, for instance
            # after set_params(schedule=...): then its present rate is the one to start from.
            for group in net.optimizer_.param_groups:
                seen = "initial_lr" in group
                group.setdefault("initial_lr", group["lr"])
        groups = net.optimizer_.param_groups
        rates = [group["lr"] for group in groups]
        scheduler = super()._get_scheduler(net, policy, **scheduler_kwargs)
        if rows and seen and self.step_every == "epoch":
            # The last epoch's end has brought the rate to where it is; a scheduler that is built
            # in the middle would take that step a second time.
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate
            scheduler._last_lr = rates
        return scheduler

    def __getstate__(self) -> dict[str, Any]:
        # Rebuilt when training begins; kept, it would carry a second copy of the optimiser.
        return {**self.__dict__, "lr_scheduler_": None}


#: name -> (policy, step_every, one line for people)
SCHEDULES: dict[str, tuple[type, str, str]] = {
    "step": (lr_scheduler.StepLR, "epoch", "times gamma every step_size epochs"),
    "plateau": (lr_scheduler.ReduceLROnPlateau, "epoch", "times factor when the loss stalls"),
    "exponential": (lr_scheduler.ExponentialLR, "epoch", "times gamma every epoch"),
    "cosine": (lr_scheduler.CosineAnnealingLR, "epoch", "half a cosine down to eta_min"),
    "warm_restarts": (
        _WarmRestartsLR,
        "epoch",
        "cosines that restart, each longer than the last",
    ),
    "noam": (_NoamLR, "batch", "linear warm-up, then one over the root of the step"),
    "warm_up_cosine": (_WarmUpCosineLR, "batch", "linear warm-up, then half a cosine to 0"),
}


def _lengths(name: str, max_epochs: int, batches: int) -> dict[str, Any]:
    """Return the options that depend on the length of the training."""
    total = max(1, max_epochs * batches)
    lengths: dict[str, dict[str, Any]] = {
        "step": {"step_size": max(1, max_epochs // 3), "gamma": 0.1},
        "plateau": {"factor": 0.1, "patience": 5},
        "exponential": {"gamma": 0.95},
        "cosine": {"T_max": max(1, max_epochs)},
        "warm_restarts": {"T_0": max(1, max_epochs // 7), "T_mult": 2},
        "noam": {"warm_up": max(1, min(4000, total // 10))},
        "warm_up_cosine": {"warm_up": max(1, total // 10), "total": total},
    }
    return lengths[name]


def describe() -> str:
    """Name what is accepted, for messages."""
    names = ", ".join(repr(name) for name in SCHEDULES)
    return f"None, one of {names}, a pair (name, options), or a skorch callback"


def check(spec: Any) -> None:
    """Raise if ``spec`` names no schedule."""
    name = spec[0] if isinstance(spec, (tuple, list)) and len(spec) == 2 else spec
    if spec is None or isinstance(name, Callback) or (isinstance(name, str) and name in SCHEDULES):
        return
    raise ValueError(f"schedule is {spec!r}, but it must be {describe()}.")


def schedule_callback(spec: Any) -> Callback:
    """Build the callback of a schedule: a name, a pair ``(name, options)`` or a callback."""
    check(spec)
    if isinstance(spec, Callback):
        return spec
    name, options = (spec, {}) if isinstance(spec, str) else spec
    return Schedule(name, **options)
