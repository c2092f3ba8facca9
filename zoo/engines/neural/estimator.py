"""Neural: the scikit-learn side of every torch method.

A leaf says what its network is (``_spec`` gives plain values, ``_module`` builds the network from
them alone) and, where the default does not do, how X enters (``_prepare``), what is learned
(``_targets``) and by which loss (``_criterion``). Scaling, validation data, early stopping, device,
seeding, warm start and persistence are here. torch is imported when a fit begins, not before.
"""

import copy
import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.model_selection import train_test_split

from zoo.contract.estimator import Estimator
from zoo.contract.inputs import n_rows, take
from zoo.contract.params import (
    Check,
    Count,
    Device,
    Fixed,
    NonNegative,
    OpenFraction,
    Positive,
    Search,
    Seed,
    Tolerance,
    Whole,
)
from zoo.contract.roles import Classifier, Regressor
from zoo.contract.steps import Steps
from zoo.engines.devices import resolve_device
from zoo.engines.modules.scaling import location_scale

ROWS_AT_ONCE = 4096

Optimizer = Literal[
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "radam", "adabound"
]
Schedule = Literal[
    "step", "plateau", "exponential", "cosine", "warm_restarts", "noam", "warm_up_cosine"
]  # fmt: skip


def _are_callbacks(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        hasattr(c[1] if isinstance(c, tuple) else c, "on_epoch_end") for c in value
    )


class Neural(Estimator, abstract=True):
    """A network trained by the one Trainer, held as ``net_`` (a skorch net).

    Parameters
    ----------
    lr : float, default=0.001
        Learning rate.
    max_epochs : int, default=200
        Most passes over the data.
    batch_size : int, default=200
        Rows in a batch; fewer rows make one batch.
    optimizer : str, default="adam"
        Rule that turns gradients into steps.
    weight_decay : float, default=0.0
        Decay of the weights, as the optimizer defines it (decoupled for "adamw").
    schedule : str or None, default=None
        How the learning rate changes while training.
    gradient_clip : float or None, default=None
        Largest norm of the gradient of a batch.
    early_stopping : bool, default=False
        Set ``validation_fraction`` of the rows aside, stop when their loss no longer falls, and keep
        the best weights. Given ``X_val``, those data are watched instead.
    validation_fraction : float, default=0.1
        Share of the rows that early stopping sets aside.
    n_iter_no_change : int or None, default=10
        Stop after this many epochs without a fall of the watched loss (validation where there is
        any, else training) by more than ``tol``; None never stops.
    tol : float, default=0.0001
        Smallest fall that counts.
    precision : {"input", "float32", "bf16"}, default="input"
        "input" computes in the precision of X; "bf16" computes matrix products in bfloat16.
    device : str, default="auto"
        "auto" takes a GPU when there is one.
    callbacks : sequence of skorch callbacks, default=()
        Hooks into the training loop.
    warm_start : bool, default=False
        Go on from the fitted weights when fit is called again.
    verbose : int, default=0
        1 prints a line an epoch.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, order of the rows and every noise.

    Attributes
    ----------
    net_ : Trainer
        The trained skorch net.
    history_ : dict of arrays
        What was recorded each epoch; ``pd.DataFrame(history_)`` is a table.
    n_iter_ : int
        Epochs trained.
    spec_ : dict
        Arguments of the network as fitted.
    """

    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu", "early_stopping")

    lr: Annotated[Positive, Search(1e-4, 1e-1, log=True)] = 1e-3
    max_epochs: Annotated[Count, Fixed("a budget; early stopping finds the length")] = 200
    batch_size: Annotated[Count, Search(16, 512, log=True)] = 200
    optimizer: Annotated[Optimizer, Fixed("adam and adamw serve nearly always")] = "adam"
    weight_decay: Annotated[NonNegative, Search(1e-6, 1e-1, log=True)] = 0.0
    schedule: Annotated[Schedule | None, Fixed("it belongs to the budget")] = None
    gradient_clip: Annotated[Positive | None, Fixed("a guard, not a property")] = None
    early_stopping: Annotated[bool, Fixed("it is a way to spend the budget")] = False
    validation_fraction: Annotated[OpenFraction, Fixed("it is no property of the model")] = 0.1
    n_iter_no_change: Annotated[Count | None, Fixed("it sets when to stop")] = 10
    tol: Tolerance = 1e-4
    precision: Annotated[
        Literal["input", "float32", "bf16"], Fixed("it trades digits for time")
    ] = "input"
    device: Device = "auto"
    callbacks: Annotated[
        Any, Check(_are_callbacks, "a sequence of skorch callbacks"), Fixed("they are code")
    ] = ()
    warm_start: Annotated[bool, Fixed("it is a way to call fit")] = False
    verbose: Annotated[Whole, Fixed("it only prints")] = 0
    random_state: Seed = None

    # -- what a leaf says -------------------------------------------------------------------------

    def _spec(self, X: Any, y: Any) -> dict[str, Any]:
        """Return the arguments of ``_module``: plain values read from parameters and data."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its network is")

    @staticmethod
    def _module(**spec: Any) -> Any:
        """Build the network from its spec alone."""
        raise NotImplementedError("a neural method builds its network in _module")

    def _criterion(self) -> Any:
        """Return the loss: a module ``(output, target) -> one value a row``."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its loss is")

    def _measure(self, X: Any, y: Any, w: np.ndarray | None) -> None:
        """Set the fitted attributes that ``_prepare`` and ``_targets`` need, such as scales."""

    def _measure_targets(self, y: np.ndarray, w: np.ndarray | None) -> tuple[Any, Any]:
        """Return location and scale of the targets of a regression."""
        return location_scale(y, w)

    def _prepare(self, X: Any) -> Any:
        """Return X as the network eats it: an array, or a dict of keyword arguments."""
        return X

    def _inputs(self, X: Any, y: Any) -> Any:
        """Return what the network eats in training; a conditional one eats y as well."""
        return self._prepare(X)

    def _targets(self, X: Any, y: Any) -> Any:
        """Return what the loss compares the output with."""
        return y

    def _augment(self) -> Any:
        """Return a transform ``(X, y, w, generator) -> (X, y, w)`` of training batches, or None."""
        return None

    def _parts(self) -> dict[str, Any] | None:
        """Return a ``Part`` for each child of the module that learns by itself, or None.

        The criterion is then a generator function, see ``zoo.engines.neural.parts``.
        """
        return None

    # -- learning -----------------------------------------------------------------------------------

    def _precision(self, X: Any) -> np.dtype:
        return super()._precision(X) if self.precision == "input" else np.dtype(np.float32)

    def _learn(self, X: Any, y: Any, w: Any, val: Any, resume: bool, steps: Steps) -> None:
        device = resolve_device(self.device, self.dtype_)
        if not resume:
            self.seed_ = int(self._random_source().randint(2**31 - 1))
            self._measure(X, y, w)
            self.spec_ = self._spec(X, y)
            self.net_ = self._build_net(device)
        if val is None and self.early_stopping:
            X, y, w, val = self._set_aside(X, y, w)
        if val is not None:
            val = (self._inputs(val[0], val[1]), self._targets(val[0], val[1]), val[2])
        if resume:
            self._retune(self.net_, val, steps)
        else:
            self.net_.set_params(callbacks=self._callbacks(val))
            self.net_.initialize()
            self._pretrain(X, y, w, steps)
        self._train(self.net_, self._inputs(X, y), self._targets(X, y), w, val, steps=steps)
        self._record()

    def _pretrain(self, X: Any, y: Any, w: Any, steps: Steps) -> None:
        """Train in earlier stages, of a first fit alone; by default there are none.

        A stage is a net of its own on the same module: ``self._train(self._net_on(self.net_.module_,
        criterion=...), inputs, targets, w, steps=steps, stage="pretraining")``.
        """

    def _train(
        self,
        net: Any,
        inputs: Any,
        targets: Any,
        w: Any = None,
        val: Any = None,
        *,
        steps: Steps,
        stage: str = "epoch",
    ) -> None:
        """Train a net: one stage of the fit, ``net_`` in the last, another in an earlier one."""
        last = net is self.net_
        net.steps = lambda n, name: steps(n, stage, once=not last)
        try:
            net.partial_fit(inputs, targets, sample_weight=w, val=val)
        finally:
            net.steps = None
        if net.interrupted_:
            # After an epoch the weights are a true, if early, fit: an interrupt keeps them.
            self._record()
            self._fitted_ = last and self.n_iter_ > 0
            raise KeyboardInterrupt

    def _build_net(self, device: str) -> Any:
        import torch

        from zoo.engines.modules.blocks import seeded

        with seeded(self.seed_):
            module = self._module(**self.spec_)
        module = module.to(torch.float64 if self.dtype_ == np.float64 else torch.float32)
        return self._net_on(module, device=device)

    def _net_on(self, module: Any, **changes: Any) -> Any:
        """Return a net that trains a module by this estimator's parameters, but for the changes."""
        from skorch.callbacks import PrintLog

        options: dict[str, Any] = {
            "optimizer": self.optimizer,
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "schedule": self.schedule,
            "gradient_clip": self.gradient_clip,
            "max_epochs": self.max_epochs,
            "batch_size": self.batch_size,
            "precision": "bf16" if self.precision == "bf16" else None,
            "device": resolve_device(self.device, self.dtype_),
            "seed": self.seed_,
            "verbose": self.verbose,
            "callbacks__print_log": PrintLog() if self.verbose else None,
        } | changes
        options.setdefault("criterion", self._criterion())
        options.setdefault("augment", self._augment())
        options.setdefault("parts", self._parts())
        return self._trainer()(module, **options)

    def _trainer(self) -> Any:
        """Return the class of the net."""
        from zoo.engines.neural.trainer import Trainer

        return Trainer

    def _callbacks(self, val: Any) -> list[Any]:
        from zoo.engines.neural.parts import KeepBest

        callbacks = list(self.callbacks)
        if self.n_iter_no_change is not None:
            monitor, load_best = _watched(val)
            stop = KeepBest(
                monitor=monitor,
                patience=self.n_iter_no_change,
                threshold=self.tol,
                threshold_mode="abs",
                load_best=load_best,
                sink=_silent,
            )
            callbacks.append(("stop_without_progress", stop))
        return callbacks

    def _retune(self, net: Any, val: Any, steps: Steps) -> None:
        """Take over a changed learning rate and decay; the optimizer keeps its state."""
        callbacks = dict(net.callbacks_)
        schedule = callbacks.get("schedule")
        anew = schedule is None or not steps.one_pass or schedule.has_ended()
        recipes = self._parts()
        if recipes is None:
            old, new = [net], [self]
        else:
            old, new = [net.parts[name] for name in recipes], list(recipes.values())
            net.parts = recipes
        optimizers = [net.optimizer_] if recipes is None else net.optimizer_.optimizers
        for optimizer, was, now in zip(optimizers, old, new, strict=True):
            for group in optimizer.param_groups:
                if now.weight_decay is not None:
                    group["weight_decay"] = now.weight_decay
                # Within a schedule the rate has fallen already; what changes is its scale.
                for name in {"lr", "initial_lr"} & group.keys():
                    group[name] = now.lr if anew else group[name] * (now.lr / was.lr)
        net.lr, net.weight_decay, net.max_epochs = self.lr, self.weight_decay, self.max_epochs
        if schedule is not None and anew:
            schedule.restart(net)
        stop = callbacks.get("stop_without_progress")
        if stop is not None:
            stop.monitor, stop.load_best = _watched(val)

    def _set_aside(self, X: Any, y: Any, w: Any) -> tuple[Any, Any, Any, Any]:
        rows = np.arange(n_rows(X))
        if len(rows) * self.validation_fraction < 1:
            raise ValueError(
                f"{type(self).__name__}: validation_fraction={self.validation_fraction} of "
                f"{len(rows)} rows is none; give more rows, or early_stopping=False."
            )
        held_rows = math.ceil(len(rows) * self.validation_fraction)
        labels = y if hasattr(self, "classes_") and _can_be_split(y, held_rows) else None
        train, held = train_test_split(
            rows, test_size=self.validation_fraction, stratify=labels, random_state=self.seed_
        )

        def pick(part: np.ndarray, data: Any) -> Any:
            return None if data is None else take(data, part)

        val = pick(held, X), pick(held, y), pick(held, w)
        return pick(train, X), pick(train, y), pick(train, w), val

    def _record(self) -> None:
        if not self.net_.initialized_:
            return
        history = self.net_.history
        if history and "train_loss" not in history[-1]:
            history.pop()  # an epoch that was interrupted is none
        self.n_iter_ = len(history)
        names = [
            name
            for name, value in (history[-1].items() if self.n_iter_ else ())
            if name != "batches"
            and not name.startswith("event_")
            and np.isscalar(value)
            and not name.endswith("_best")
            and not name.endswith("_batch_count")
        ]
        self.history_ = {
            name: np.array([row.get(name, np.nan) for row in history]) for name in names
        }

    def _forward(self, X: Any) -> np.ndarray:
        """Run the network on checked X and return its output as an array."""
        output = self.net_.forward_batches(self._prepare(X))
        return output.float().cpu().numpy() if output.dtype.itemsize == 2 else output.cpu().numpy()

    def _run(self, method: str, *arrays: np.ndarray | None, **options: Any) -> Any:
        """Call a method of the network on batches of rows; return arrays, as many as it gives."""
        import torch

        from zoo.engines.neural.rows import as_column, gather

        module = self.net_.module_
        module = module.eval() if module.training else module
        weight = next(module.parameters())
        options = {
            name: torch.as_tensor(value).to(weight.device, weight.dtype)
            if isinstance(value, np.ndarray) else value
            for name, value in options.items()
        }  # fmt: skip
        first = next(a for a in arrays if a is not None)
        columns: list[Any] = [None if a is None else as_column(a) for a in arrays]
        parts = []
        with torch.inference_mode(), self.net_._threads(first, min(len(first), ROWS_AT_ONCE)):
            for start in range(0, len(first), ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                batch = [
                    None if c is None else gather(c, rows).to(weight.device, weight.dtype)
                    for c in columns
                ]
                out = getattr(module, method)(*batch, **options)
                parts.append(out if isinstance(out, tuple) else (out,))
        joined = [
            None if p[0] is None else torch.cat(p).cpu().numpy() for p in zip(*parts, strict=True)
        ]
        return joined if len(joined) > 1 else joined[0]

    # -- copies and files ------------------------------------------------------------------------------

    def __copy__(self) -> Any:
        """Copy with weights of its own, so that a callback's snapshot stays what it was."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(vars(self))
        if "net_" in vars(self):
            steps, self.net_.steps = self.net_.steps, None
            try:
                twin.net_ = copy.deepcopy(self.net_)
            finally:
                self.net_.steps = steps
            twin._record()
        return twin

    def __zoo_state__(self) -> dict[str, Any]:
        """Return plain values and arrays from which ``__zoo_restore__`` makes an equal estimator.

        Weights and history are kept; the optimizer's state is not, and callbacks are not.
        """
        state = dict(vars(self)) | {"callbacks": ()}
        net = state.pop("net_", None)
        if net is not None:
            from zoo.engines.neural.rebuilding import demand_small_tables

            demand_small_tables(net.module_)
            state["weights_"] = {
                name: value.detach().cpu().numpy()
                for name, value in net.module_.state_dict().items()
            }
            slow = {name: part.slow for name, part in net.parts_.items() if part.slow is not None}
            if slow:
                state["slow_weights_"] = {
                    f"{part}.{name}": value.detach().cpu().numpy()
                    for part, module in slow.items()
                    for name, value in module.state_dict().items()
                }
        return state

    def __zoo_restore__(self, state: dict[str, Any]) -> None:
        """Rebuild the network from ``spec_`` and its weights."""
        import torch

        from zoo.engines.neural.rebuilding import demand_fit

        weights, slow = state.pop("weights_", None), state.pop("slow_weights_", {})
        self.__dict__.update(state)
        if weights is not None:
            demand_fit(lambda: self._module(**self.spec_), weights)
            if not all(isinstance(v, np.ndarray) and v.ndim == 1 for v in self.history_.values()):
                raise ValueError("a history that is not one array a column")
            net = self.net_ = self._build_net(resolve_device("auto", self.dtype_))
            net.set_params(callbacks=self._callbacks(None))
            net.initialize()
            for row in zip(*self.history_.values(), strict=True):
                net.history.new_epoch()
                for name, value in zip(self.history_, row, strict=True):
                    net.history.record(name, value.item())
            net.module_.load_state_dict(
                {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
            )
            for name, part in net.parts_.items():
                if part.slow is not None:
                    own = {n.removeprefix(f"{name}."): v for n, v in slow.items() if n.startswith(f"{name}.")}
                    part.slow.load_state_dict(
                        {n: torch.from_numpy(np.array(value)) for n, value in own.items()}
                    )
            net.module_.eval()
            for name, callback in net.callbacks_:
                if name == "schedule":  # its place in the schedule went with the optimizer's state
                    callback.restart(net)


def _can_be_split(y: Any, held: int) -> bool:
    """Tell whether every class has a row for either side of a stratified split."""
    if y is None or y.ndim != 1:
        return False
    count = np.bincount(y)
    return count.min() >= 2 and len(count) <= min(held, len(y) - held)


def _watched(val: Any) -> tuple[str, bool]:
    """Return the loss that tells when to stop, and whether its best weights are kept."""
    return ("train_loss", False) if val is None else ("valid_loss", True)


def _silent(*_: Any) -> None:
    """Take skorch's messages; a module-level function, so that nets pickle."""


class NeuralClassifier(Classifier, Neural, abstract=True):
    """A network that gives one logit a class.

    Parameters
    ----------
    label_smoothing : float, default=0.0
        Share of the target's probability that is spread over all classes.
    """

    label_smoothing: Annotated[
        float, Check(lambda v: 0 <= v < 1, "a number >= 0 and < 1"), Search(0.0, 0.2)
    ] = 0.0

    def _criterion(self) -> Any:
        import torch

        return torch.nn.CrossEntropyLoss(
            reduction="none", label_smoothing=float(self.label_smoothing)
        )

    def _trainer(self) -> Any:
        from zoo.engines.neural.trainer import ClassifierTrainer

        return ClassifierTrainer

    def _n_outputs(self, y: Any) -> int:
        return len(self.classes_)

    def _scores(self, X: Any) -> np.ndarray:
        return self._forward(X)


class NeuralRegressor(Regressor, Neural, abstract=True):
    """A network that gives one number a target; targets are standardised inside."""

    def _measure(self, X: Any, y: Any, w: np.ndarray | None) -> None:
        super()._measure(X, y, w)
        self.y_mean_, self.y_scale_ = self._measure_targets(y, w)

    def _criterion(self) -> Any:
        import torch

        return torch.nn.MSELoss(reduction="none")

    def _n_outputs(self, y: Any) -> int:
        return 1 if y.ndim == 1 else int(y.shape[1])

    def _targets(self, X: Any, y: Any) -> Any:
        scaled = (y - self.y_mean_) / self.y_scale_
        return scaled if scaled.ndim == 2 else scaled[:, None]

    def _output(self, X: Any) -> np.ndarray:
        output = self._forward(X) * self.y_scale_ + self.y_mean_
        return output[:, 0] if np.ndim(self.y_mean_) == 0 else output
