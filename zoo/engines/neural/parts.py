r"""Parts: modules that learn side by side, each with an optimiser of its own.

A generator and its critic, an actor and two critics: one step runs over them, in an order that the
loss gives. It is a generator function,

.. code:: python

    class Adversaries(nn.Module):
        def forward(self, parts, X, y, w):
            G, D = parts["generator"], parts["critic"]
            fake = G(self.noise(X))
            yield "critic", bce(D(X), 1) + bce(D(fake.detach()), 0)
            yield "generator", bce(D(fake), 1)

and after each ``yield`` the part that was named has made its step: the generator of the example meets
a critic that has just learned.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from skorch.callbacks import EarlyStopping
from torch import Tensor, nn

from zoo.engines.neural import optim
from zoo.engines.neural.lean import backward

__all__ = ["Part", "Slow"]


class Slow(NamedTuple):
    """How a slow copy follows its module.

    Parameters
    ----------
    keep : float
        Share of itself that the copy keeps when it moves; 0 copies the module.
    every : int
        Steps of the part between two moves.
    """

    keep: float = 0.0
    every: int = 1


class Part:
    """A module with what trains it, and perhaps a slow copy: a target network, a moving average.

    The slow copy is plain state, no part of any module, so that no optimiser and no clipping sees it.

    Parameters
    ----------
    module : nn.Module or None
        What learns; None makes a recipe, of which ``of(module)`` makes parts.
    optimizer : str or torch optimizer class
        A name of ``zoo.engines.neural.optim.OPTIMIZERS`` or a class.
    lr : float
        Learning rate.
    weight_decay : float or None
        Penalty of the optimiser; None leaves the optimiser's own default.
    gradient_clip : float or None
        Largest norm of this part's gradient.
    slow : Slow or None
        How the slow copy follows, where there is one.
    **options
        Further options of the optimiser.

    Attributes
    ----------
    optimizer_ : torch optimizer
        Has the state of the training.
    slow : nn.Module or None
        The slow copy, in evaluation mode.
    n_steps : int
        Steps made.
    """

    optimizer_: torch.optim.Optimizer

    def __init__(
        self,
        module: nn.Module | None = None,
        optimizer: Any = "adam",
        lr: float = 1e-3,
        *,
        weight_decay: float | None = None,
        gradient_clip: float | None = None,
        slow: Slow | None = None,
        **options: Any,
    ) -> None:
        self.optimizer, self.lr, self.weight_decay = optimizer, lr, weight_decay
        self.gradient_clip, self.follows, self.options = gradient_clip, slow, options
        self.n_steps = 0
        self.slow: nn.Module | None = None
        if module is not None:
            self._take(module)

    def of(self, module: nn.Module) -> "Part":
        """Return a part by this recipe."""
        part = copy.copy(self)
        part.n_steps = 0
        part._take(module)
        return part

    def _take(self, module: nn.Module) -> None:
        self.module = module
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        options = dict(self.options, lr=self.lr)
        if self.weight_decay is not None:
            options["weight_decay"] = self.weight_decay
        cls, options = optim.resolve(self.optimizer, options)
        self.optimizer_ = cls(self.parameters, **options)
        if self.follows is not None:
            self.slow = copy.deepcopy(module).eval().requires_grad_(False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module."""
        return self.module(*args, **kwargs)

    def step(self, loss: Tensor) -> None:
        """Descend on a loss by the parameters of this part alone, and let the slow copy follow."""
        self.optimizer_.zero_grad()
        backward(loss, self.parameters)
        self.update()

    def update(self) -> None:
        """Step by the gradients that are there, and let the slow copy follow."""
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.gradient_clip)
        self.optimizer_.step()
        self.n_steps += 1
        if self.follows is not None and self.n_steps % self.follows.every == 0:
            self.follow(self.follows.keep)

    @torch.no_grad()
    def follow(self, keep: float = 0.0) -> None:
        """Move the slow copy to ``keep`` times itself and 1 - ``keep`` times the module."""
        assert self.slow is not None
        slow: list[Tensor] = list(self.slow.parameters())
        fast: list[Tensor] = list(self.module.parameters())
        if keep:
            torch._foreach_lerp_(slow, fast, 1 - keep)
        else:
            torch._foreach_copy_(slow, fast)
        for mine, its in zip(self.slow.buffers(), self.module.buffers(), strict=True):
            mine.copy_(its)


class Together(optim.Fused):
    """The optimisers of all parts as one, for schedules and whoever else asks for the optimiser.

    Its groups are theirs, so that a rate set here is theirs; its step comes after theirs and does
    nothing.
    """

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self.optimizers = [part.optimizer_ for part in parts.values()]
        super().__init__([p for part in parts.values() for p in part.parameters], {})
        self._gather()

    def _gather(self) -> None:
        self.param_groups = [group for o in self.optimizers for group in o.param_groups]

    def step(self, closure: Any = None) -> None:
        """Do nothing: every part has made its step."""

    step.hooked = True  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every optimiser."""
        return {"optimizers": [o.state_dict() for o in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Bring every optimiser back to its state."""
        for optimizer, state in zip(self.optimizers, state_dict["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self._gather()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "optimizers": self.optimizers}


class KeepBest(EarlyStopping):
    """skorch's early stopping, which also keeps the slow copies of the best epoch."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Stop without progress; keep what made some."""
        super().on_epoch_end(net, **kwargs)
        if self.load_best and self.best_epoch_ == net.history[-1, "epoch"]:
            self.best_slow_ = copy.deepcopy(slow_state(net.parts_))

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Go back to the best epoch, if it was not the last."""
        super().on_train_end(net, **kwargs)
        if self.load_best and self.best_model_weights_ is not None:
            load_slow_state(net.parts_, self.best_slow_)


def attached(recipes: Mapping[str, Part], module: nn.Module) -> dict[str, Part]:
    """Return the parts of a module, by the names of its children."""
    children = dict(module.named_children())
    unknown = sorted(set(recipes) - set(children))
    if unknown:
        raise ValueError(
            f"parts names {', '.join(unknown)}, but {type(module).__name__} has "
            f"{', '.join(children) or 'nothing inside'}."
        )
    return {name: recipe.of(children[name]) for name, recipe in recipes.items()}


def slow_state(parts: Mapping[str, Part]) -> dict[str, dict[str, Tensor]]:
    """Return the state of every slow copy, by the name of its part."""
    return {name: part.slow.state_dict() for name, part in parts.items() if part.slow is not None}


def load_slow_state(parts: Mapping[str, Part], state: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Bring slow copies back to a state that `slow_state` gave."""
    for name, tensors in state.items():
        slow = parts[name].slow
        assert slow is not None
        slow.load_state_dict(tensors)


def step_over(net: Any, rows: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Make a step of every part whose loss the criterion gives, in the order in which it does."""
    losses: dict[str, Tensor] = {}
    for name, loss in _losses(net, rows):
        net.parts_[name].step(loss)
        losses[name] = losses.get(name, 0) + loss.detach()
    net.optimizer_.step()
    return _summed(losses)


def losses_of(net: Any, rows: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Return the losses of a batch; nothing learns."""
    losses: dict[str, Tensor] = {}
    for name, loss in _losses(net, rows):
        losses[name] = losses.get(name, 0) + loss
    return _summed(losses)


def _losses(net: Any, rows: tuple[Any, Any, Any]) -> Iterator[tuple[str, Tensor]]:
    X, y, w = rows
    steps = net.criterion_(net.parts_, net._cast(X), y, w)
    while True:
        with net._forward_context():
            found = next(steps, None)
        if found is None:
            return
        yield found


def _summed(losses: dict[str, Tensor]) -> dict[str, Any]:
    return {"loss": torch.stack(list(losses.values())).sum(), "y_pred": None, "losses": losses}
