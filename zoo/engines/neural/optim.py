r"""Optimisers by name, with one fused call a step where torch has the kernel.

``torch.optim.Adam`` spends most of a small network's step in Python: profiling hooks, one kernel
launch per parameter and quantity. ``FusedAdam``, ``FusedAdamW`` and ``FusedSGD`` are the same
optimisers (same parameters, same state, same ``state_dict``) which call torch's fused kernel once.
They give, bit for bit, what their parents give with ``fused=True``. They keep no buffer of their
own: parameters and gradients are read afresh at each step, so that frozen, replaced, reloaded or
unpickled parameters are the ones that are trained.

The parents load ``torch._dynamo`` (over a second) the first time one is built; these do not.
"""

import inspect
import operator
from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RAdam, RMSprop
from torch.optim import optimizer as torch_optimizer

from zoo.engines.neural.lean import without_grad

__all__ = ["OPTIMIZERS", "AdaBound", "FusedAdam", "FusedAdamW", "FusedSGD", "describe", "resolve"]


class Fused(Optimizer):
    """What the fused optimisers share: a lean step, and bookkeeping without ``torch._dynamo``.

    ``general`` is the step of torch for what the kernels do not do: sparse gradients, complex
    parameters, and parameters or gradients whose memory they would walk in a wrong order.
    """

    general: ClassVar[Callable[[Any], Any] | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__mro__:
            if base.__module__.startswith("torch.optim.") and base is not Optimizer:
                # Without the wrappers, which load torch._dynamo and call hooks a second time.
                cls.general = inspect.unwrap(base.step)  # type: ignore[attr-defined]
                return

    # torch wraps these three in a decorator that loads torch._dynamo; the wrapped function is the
    # same bookkeeping without it.
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        Optimizer.add_param_group.__wrapped__(self, param_group)  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        return Optimizer.state_dict.__wrapped__(self)  # type: ignore[attr-defined]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        Optimizer.load_state_dict.__wrapped__(self, state_dict)  # type: ignore[attr-defined]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = torch.zeros_like(p.grad)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one update; ``closure`` computes the loss and the gradients first."""
        self._call(torch_optimizer._global_optimizer_pre_hooks, closure)
        self._call(self._optimizer_step_pre_hooks, closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with without_grad():
            found = [self._trained(group) for group in self.param_groups]
            if all(_walkable(params, grads) for params, grads in found):
                for group, (params, grads) in zip(self.param_groups, found, strict=True):
                    if not params:
                        continue
                    if _alike(params):
                        self._update(group, params, grads)
                    else:
                        for same in _by_kind(params):
                            self._update(group, same, [p.grad for p in same])
            elif self.general is not None:
                type(self).general(self)  # type: ignore[misc]
            else:
                raise TypeError(
                    f"{type(self).__name__} takes no sparse gradients and no complex parameters; use "
                    "another optimizer, such as 'adagrad' or 'sgd'."
                )
        self._call(self._optimizer_step_post_hooks, closure)
        self._call(torch_optimizer._global_optimizer_post_hooks, closure)
        return loss

    def _trained(self, group: dict[str, Any]) -> tuple[list[Tensor], list[Any]]:
        """Return the parameters of a group that have gradients, and these."""
        params = group["params"]
        grads = [p.grad for p in params]
        if any(g is None for g in grads):
            params = [p for p, g in zip(params, grads, strict=True) if g is not None]
            grads = [g for g in grads if g is not None]
        return params, grads

    def _call(self, hooks: dict[int, Any], closure: Any) -> None:
        if hooks:
            for hook in list(hooks.values()):
                hook(self, (closure,), {})

    # torch replaces `step` of a class by a profiled wrapper unless it is marked so.
    step.hooked = True  # type: ignore[attr-defined]

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Any]) -> None:
        raise NotImplementedError


def _alike(params: list[Tensor]) -> bool:
    """Whether one fused call may take all of them."""
    dtype, device = params[0].dtype, params[0].device
    return all(p.dtype is dtype and p.device == device for p in params)


# Asked of every parameter at every step, so without a lookup for each.
_is_complex, _is_contiguous = Tensor.is_complex, Tensor.is_contiguous


def _walkable(params: list[Tensor], grads: list[Any]) -> bool:
    """Whether parameters and gradients are real and lie in memory without gaps, in one order."""
    if any(map(_is_complex, params)) or any(g.layout is not torch.strided for g in grads):
        return False
    if all(map(_is_contiguous, params)) and all(map(_is_contiguous, grads)):
        return True
    for p, g in zip(params, grads, strict=True):
        if p.stride() != g.stride() or not torch.ops.aten.is_non_overlapping_and_dense(p):
            return False
    return True


def _by_kind(params: list[Tensor]) -> list[list[Tensor]]:
    """Split by dtype and device, which a fused call must not mix."""
    kinds: dict[Any, list[Tensor]] = {}
    for p in params:
        kinds.setdefault((p.dtype, p.device), []).append(p)
    return list(kinds.values())


class _FusedAdamStep(Fused):
    """The update of Adam and AdamW."""

    #: id of a group -> step counts of the parameters last updated together, and their memory
    _together: dict[int, tuple[list[Tensor], Tensor]] | None = None

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Any]) -> None:
        amsgrad = group["amsgrad"]
        states = [self.state[p] for p in params]
        if not all(states):
            for p in params:
                state = self.state[p]
                if state:
                    continue
                # The same entries as the parent's, so that a state_dict passes between them.
                state["step"] = torch.zeros((), dtype=torch.float32, device=p.device)
                state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                if amsgrad:
                    state["max_exp_avg_sq"] = torch.zeros_like(p)
        beta1, beta2 = group["betas"]
        kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
        kernel(
            params,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["max_exp_avg_sq"] for state in states] if amsgrad else [],
            self._count(group, params, states),
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=amsgrad,
            maximize=group["maximize"],
        )

    def _count(
        self, group: dict[str, Any], params: list[Tensor], states: list[dict[str, Any]]
    ) -> list[Tensor]:
        """Add one to the step counts, and return them.

        Adding to many scalars one by one costs more than the update of a small network. Counts of
        parameters that are updated together are therefore views of one vector; each parameter
        still has its own, so that one that is frozen meanwhile keeps its count.
        """
        together = self._together
        if together is None:
            together = self._together = {}
        steps = [state["step"] for state in states]
        known = together.get(id(group))
        if (
            known is None
            or len(known[0]) != len(steps)
            or not all(map(operator.is_, known[0], steps))
        ):
            memory = torch.stack(steps)
            steps = list(memory.unbind())
            for state, step in zip(states, steps, strict=True):
                state["step"] = step
            known = together[id(group)] = (steps, memory)
        known[1].add_(1)
        return known[0]

    def __getstate__(self) -> dict[str, Any]:
        # Pickle would write the whole vector once for each of its views.
        state = super().__getstate__()
        own = {
            p: {name: v.clone() if name == "step" else v for name, v in entries.items()}
            for p, entries in self.state.items()
        }
        state["state"] = defaultdict(dict, own)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._together = None


class FusedAdam(_FusedAdamStep, Adam):
    """``torch.optim.Adam`` with one kernel call a step."""


class FusedAdamW(_FusedAdamStep, AdamW):
    """``torch.optim.AdamW`` with one kernel call a step."""


class FusedSGD(Fused, SGD):
    """``torch.optim.SGD`` (momentum, Nesterov) with one kernel call a step."""

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Any]) -> None:
        momentum = group["momentum"]
        if momentum == 0:
            self._fused(group, params, grads, [], first=False)
            return
        # A first step copies the gradient where later ones average: the two are separate calls,
        # because parameters may be thawed long after the others began.
        begun = [p for p in params if self.state[p].get("momentum_buffer") is not None]
        fresh = [p for p in params if self.state[p].get("momentum_buffer") is None]
        for p in fresh:
            self.state[p]["momentum_buffer"] = torch.empty_like(p)
        for some, first in ((begun, False), (fresh, True)):
            if some:
                buffers = [self.state[p]["momentum_buffer"] for p in some]
                self._fused(group, some, [p.grad for p in some], buffers, first=first)

    @staticmethod
    def _fused(
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Any],
        buffers: list[Tensor],
        first: bool,
    ) -> None:
        torch._fused_sgd_(
            params,
            grads,
            buffers,
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            is_first_step=first,
        )


class LightRMSprop(Fused, RMSprop):
    """``torch.optim.RMSprop``, all parameters at a time."""

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Any]) -> None:
        states = [self.state[p] for p in params]
        for p, state in zip(params, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                state["square_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                if group["momentum"] > 0:
                    state["momentum_buffer"] = torch.zeros_like(p)
            state["step"] += 1
        grads = _with_decay(group, params, grads)
        squares = [state["square_avg"] for state in states]
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, grads, grads, value=1 - group["alpha"])
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, group["eps"])
        if group["momentum"] > 0:
            buffers = [state["momentum_buffer"] for state in states]
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_addcdiv_(buffers, grads, roots)
            torch._foreach_add_(params, buffers, alpha=-group["lr"])
        else:
            torch._foreach_addcdiv_(params, grads, roots, value=-group["lr"])


class LightAdagrad(Fused, Adagrad):
    """``torch.optim.Adagrad``, all parameters at a time."""

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Any]) -> None:
        states = [self.state[p] for p in params]
        for state in states:
            state["step"] += 1
        grads = _with_decay(group, params, grads)
        sums = [state["sum"] for state in states]
        torch._foreach_addcmul_(sums, grads, grads, value=1.0)
        roots = torch._foreach_sqrt(sums)
        torch._foreach_add_(roots, group["eps"])
        rates = [
            -group["lr"] / (1 + (state["step"].item() - 1) * group["lr_decay"]) for state in states
        ]
        torch._foreach_addcdiv_(params, grads, roots, rates)


class LightRAdam(Fused, RAdam):
    """``torch.optim.RAdam``, all parameters at a time."""

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Any]) -> None:
        states = [self.state[p] for p in params]
        for p, state in zip(params, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            state["step"] += 1
        grads = _with_decay(group, params, grads)
        beta1, beta2 = group["betas"]
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        torch._foreach_lerp_(means, grads, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - beta2)
        # rho: degrees of freedom of the second moment; below 5 it is not to be divided by.
        rho_inf = 2 / (1 - beta2) - 1
        for p, m, v, state in zip(params, means, squares, states, strict=True):
            t = state["step"].item()
            rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
            rate = group["lr"] / (1 - beta1**t)
            if rho > 5:
                rectified = (rho - 4) * (rho - 2) * rho_inf
                rectified /= (rho_inf - 4) * (rho_inf - 2) * rho
                root = v.sqrt().add_(group["eps"])
                p.addcdiv_(m, root, value=-rate * (rectified * (1 - beta2**t)) ** 0.5)
            else:
                p.add_(m, alpha=-rate)


def _with_decay(group: dict[str, Any], params: list[Tensor], grads: list[Any]) -> list[Any]:
    """Add the gradient of the L2 penalty, or decay the parameters where that is decoupled."""
    if group["maximize"]:
        grads = list(torch._foreach_neg(grads))
    if group["weight_decay"] == 0:
        return grads
    if group.get("decoupled_weight_decay"):
        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        return grads
    return list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))


class AdaBound(Fused):
    r"""Adam whose rate for each parameter is clipped to bounds that close in on ``final_lr``.

    .. math::
        \eta_t = \operatorname{clip}\Bigl(\frac{\alpha}{\sqrt{v_t} + \epsilon}
        \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t},\;
        f\Bigl(1 - \frac{1}{\gamma t + 1}\Bigr),\; f\Bigl(1 + \frac{1}{\gamma t}\Bigr)\Bigr),
        \qquad \theta_t = \theta_{t-1} - \eta_t m_t

    with :math:`f` the final rate, scaled by whatever a schedule did to :math:`\alpha`.

    Parameters
    ----------
    params : iterable of parameters or groups
    lr : float
        First rate, that of Adam.
    betas : pair of float
        Decay of the two moments.
    final_lr : float
        Rate of plain gradient descent that the bounds converge to.
    gamma : float
        Speed of that convergence.
    eps : float
        Added to the root of the second moment.
    weight_decay : float
        L2 penalty, added to the gradient.

    References
    ----------
    Luo, Xiong, Liu, Sun: Adaptive Gradient Methods with Dynamic Bound of Learning Rate. ICLR 2019.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        final_lr: float = 0.1,
        gamma: float = 1e-3,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not lr > 0 or not final_lr > 0 or not 0 < gamma < 1:
            raise ValueError(
                f"AdaBound got lr={lr}, final_lr={final_lr}, gamma={gamma}, but both rates must be "
                "positive and gamma between 0 and 1."
            )
        defaults = {
            "lr": lr,
            "betas": betas,
            "final_lr": final_lr,
            "gamma": gamma,
            "eps": eps,
            "weight_decay": weight_decay,
            "base_lr": lr,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            group["base_lr"] = group["lr"]

    def _update(self, group: dict[str, Any], params: list[Tensor], grads: list[Any]) -> None:
        beta1, beta2 = group["betas"]
        alpha, gamma = group["lr"], group["gamma"]
        f = group["final_lr"] * alpha / group["base_lr"]
        for p, grad in zip(params, grads, strict=True):
            state = self.state[p]
            if not state:
                state["step"] = 0
                state["exp_avg"] = torch.zeros_like(p)
                state["exp_avg_sq"] = torch.zeros_like(p)
            state["step"] += 1
            t, m, v = state["step"], state["exp_avg"], state["exp_avg_sq"]
            g = grad.add(p, alpha=group["weight_decay"]) if group["weight_decay"] else grad
            m.lerp_(g, 1 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            scale = alpha * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
            rate = (v.sqrt() + group["eps"]).reciprocal_().mul_(scale)
            rate.clamp_(f * (1 - 1 / (gamma * t + 1)), f * (1 + 1 / (gamma * t)))
            p.sub_(rate.mul_(m))


#: name -> (class, what differs from the class's own defaults, one line for people)
OPTIMIZERS: dict[str, tuple[type[Optimizer], dict[str, Any], str]] = {
    "sgd": (FusedSGD, {}, "stochastic gradient descent"),
    "momentum": (FusedSGD, {"momentum": 0.9}, "gradient descent with momentum 0.9"),
    "nesterov": (
        FusedSGD,
        {"momentum": 0.9, "nesterov": True},
        "gradient descent with Nesterov momentum 0.9",
    ),
    "adagrad": (LightAdagrad, {}, "rates that shrink with the sum of squared gradients"),
    "rmsprop": (LightRMSprop, {}, "rates by a running mean of squared gradients"),
    "adam": (FusedAdam, {}, "running means of gradient and square, bias corrected"),
    "adamw": (FusedAdamW, {}, "Adam with decoupled weight decay (0.01 unless set)"),
    "radam": (LightRAdam, {}, "Adam with a rectified start"),
    "adabound": (AdaBound, {}, "Adam with rates bounded towards gradient descent"),
}

_OWN: dict[type[Optimizer], type[Optimizer]] = {
    Adam: FusedAdam,
    AdamW: FusedAdamW,
    SGD: FusedSGD,
    RMSprop: LightRMSprop,
    Adagrad: LightAdagrad,
    RAdam: LightRAdam,
}
# Who asks for one of these asks for a particular implementation of torch, and gets it.
_PARTICULAR = ("foreach", "fused", "capturable", "differentiable", "centered")


def describe() -> str:
    """Name what is accepted, for messages."""
    return ", ".join(repr(name) for name in OPTIMIZERS) + ", or a torch.optim.Optimizer class"


def resolve(
    optimizer: str | type[Optimizer], options: dict[str, Any]
) -> tuple[type[Optimizer], dict[str, Any]]:
    """Return the class to build and its options.

    Parameters
    ----------
    optimizer : str or torch optimizer class
        A name of ``OPTIMIZERS`` or any class. The classes of torch that have a faster equal here
        are built as that, unless an option asks for a particular implementation.
    options : dict
        Options the user gave; they win over those of the name.
    """
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is {optimizer!r}, but it must be one of {describe()}.")
        cls, defaults, _ = OPTIMIZERS[optimizer]
        options = {**defaults, **options}
        optimizer = next((parent for parent, own in _OWN.items() if own is cls), cls)
    if not callable(optimizer):
        raise TypeError(f"optimizer is {optimizer!r}, but it must be one of {describe()}.")
    if optimizer in _OWN and all(options.get(name) in (None, False) for name in _PARTICULAR):
        return _OWN[optimizer], options
    return optimizer, options
