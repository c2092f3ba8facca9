r"""The Trainer: skorch's ``NeuralNet`` as the loop of every torch estimator.

What it adds to skorch: rows are sliced instead of fetched one by one, weights of rows, validation
data, random numbers from generators of its own, precision that follows the module. One batch is the
matter of `zoo.engines.neural.step`, which `zoo.engines.neural.fast` may shorten. What it keeps: every
method and notification that a user of skorch may rely on.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np
import torch
from sklearn import get_config
from sklearn.utils import ClassifierTags, Tags
from sklearn.utils.metadata_routing import process_routing
from skorch.callbacks import Callback, EpochTimer, PassthroughScoring, PrintLog
from skorch.dataset import Dataset, get_len, unpack_data
from skorch.history import History
from skorch.utils import to_device, to_numpy
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from zoo.engines.modules import blocks
from zoo.engines.neural import optim, parallel, schedules, threads
from zoo.engines.neural.fast import Fast
from zoo.engines.neural.parts import Part, Together, attached, losses_of, step_over
from zoo.engines.neural.rows import (
    Batches,
    Rows,
    as_columns,
    assemble,
    gather,
    row_count,
    take,
)
from zoo.engines.neural.step import Step

__all__ = ["ClassifierTrainer", "Trainer"]

# Rows in a block of forward_batches are chosen so that a block holds about this many inputs.
FORWARD_ITEMS = 2**18
# The noise of the network and the order of the rows come from two streams of one seed.
NOISE_STREAM = 0x9E3779B9


class LossScoring(PassthroughScoring):
    """Average the losses of the batches by their weights, where rows are weighted."""

    def get_avg_score(self, history: History) -> float:
        """Return the loss of the epoch."""
        prefix = "train" if self.on_train else "valid"
        rows = history[-1, "batches"]
        key = f"{prefix}_batch_weight"
        if not any(key in row for row in rows):
            return float(super().get_avg_score(history))
        pairs = [(row[key], row[self.name]) for row in rows if key in row]
        weights, losses = zip(*pairs, strict=True)
        return float(np.average(losses, weights=weights))


def _set_weight_decay(net: "Trainer", name: str, value: float) -> None:
    """Apply a changed ``weight_decay`` to an optimiser that exists."""
    net.weight_decay = value
    for group in net.optimizer_.param_groups:
        group["weight_decay"] = value


class Trainer(Step):
    """Train a torch module; skorch's ``NeuralNet`` with the defaults and the speed of this library.

    Parameters
    ----------
    module : nn.Module or class
        Network. A class is built with the ``module__*`` parameters, seeded by ``seed``.
    criterion : nn.Module or class
        Loss of ``(output, y)``. With ``reduction="none"`` it returns one loss a row (or several,
        which are averaged), and the loss of a batch is ``sum(w * l) / sum(w)``.
    optimizer : str or torch optimizer class
        A name of ``zoo.engines.neural.optim.OPTIMIZERS`` or a class.
    lr : float
        Learning rate.
    weight_decay : float or None
        L2 penalty of the optimiser; None leaves the optimiser's own default.
    max_epochs, batch_size : int
        Length of a fit and rows in a batch; -1 puts all rows into one batch.
    device : str
        Where the module is trained.
    gradient_clip : float or None
        Largest norm of the gradient.
    schedule : str, pair (str, dict), skorch callback or None
        Learning-rate schedule, see ``zoo.engines.neural.schedules``.
    precision : None or "bf16"
        "bf16" runs the network under autocast. Otherwise the dtype of the module decides, and
        inputs are cast to it batch by batch.
    seed : int
        Seed of the initialisation, of the order of the rows and of every noise draw.
    steps : callable or None
        ``steps(n, "epoch")`` gives the epochs to run; it may end early. Not kept in copies.
    parts : mapping of str to Part, or None
        Children of the module that learn side by side, each with an optimiser of its own; the
        criterion gives their losses, see ``zoo.engines.neural.parts``. ``optimizer``, ``lr``,
        ``weight_decay`` and ``gradient_clip`` are then those of the parts.
    augment : callable or None
        ``augment(X, y, w, generator) -> X, y, w``, applied to each training batch before the
        forward pass. y may become soft targets.
    train_split : callable or None
        skorch's split of validation data from the training data; by default none.
    callbacks, verbose, warm_start, iterator_train, ... :
        As in ``skorch.NeuralNet``. ``iterator_train__shuffle`` is True by default.
    """

    optimizer_: Any

    # Pickled together with the module whose children they hold.
    cuda_dependent_attributes_ = ["parts_"]  # noqa: RUF012

    def __init__(
        self,
        module: Any,
        criterion: Any,
        optimizer: Any = "adam",
        lr: float = 1e-3,
        max_epochs: int = 10,
        batch_size: int = 128,
        *,
        weight_decay: float | None = None,
        gradient_clip: float | None = None,
        schedule: Any = None,
        precision: str | None = None,
        seed: int = 0,
        steps: Callable[[int, str], Iterable[Any]] | None = None,
        augment: Callable[..., Any] | None = None,
        parts: Mapping[str, Part] | None = None,
        iterator_train: Any = Batches,
        iterator_valid: Any = Batches,
        dataset: Any = Rows,
        train_split: Any = None,
        verbose: int = 0,
        device: Any = "cpu",
        **kwargs: Any,
    ) -> None:
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.schedule = schedule
        self.precision = precision
        self.seed = seed
        self.steps = steps
        self.augment = augment
        self.parts = parts
        self.parts_: dict[str, Part] = {}
        self.fast_ = Fast()
        super().__init__(
            module,
            criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            dataset=dataset,
            train_split=train_split,
            verbose=verbose,
            device=device,
            **kwargs,
        )

    # --- components -------------------------------------------------------------------------

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        defaults = [
            ("epoch_timer", EpochTimer()),
            ("train_loss", LossScoring(name="train_loss", on_train=True)),
            ("valid_loss", LossScoring(name="valid_loss")),
            ("print_log", PrintLog()),
        ]
        for part in self.parts or {}:
            for prefix in ("train", "valid"):
                name = f"{prefix}_{part}_loss"
                defaults.append((name, LossScoring(name=name, on_train=prefix == "train")))
        if self.schedule is not None:
            defaults.append(("schedule", schedules.schedule_callback(self.schedule)))
        return defaults

    def initialize(self) -> "Trainer":
        """Build every component anew; both streams of random numbers start again."""
        if self.precision not in (None, "bf16"):
            raise ValueError(f"precision is {self.precision!r}, but it must be None or 'bf16'.")
        super().initialize()
        return self

    def _begin_streams(self) -> None:
        """Let the order of the rows and the noise follow from the seed, from their beginning."""
        seed = int(self.seed)
        self.order_generator_ = torch.Generator().manual_seed(seed)
        self.noise_generator_ = self._new_noise_generator(seed)

    def _new_noise_generator(self, seed: int) -> torch.Generator:
        device = torch.device("cpu" if self.device is None else self.device)
        return torch.Generator(device).manual_seed(seed ^ NOISE_STREAM)

    def initialize_module(self) -> "Trainer":
        """Build the module under the Trainer's seed."""
        with blocks.seeded(int(self.seed)):
            super().initialize_module()
        return self

    def initialize_criterion(self) -> "Trainer":
        """Build the criterion under the Trainer's seed."""
        with blocks.seeded(int(self.seed)):
            super().initialize_criterion()
        return self

    def _initialize_module(self, reason: str | None = None) -> "Trainer":
        # Here and not in `initialize`, which mixins such as skorch's for accelerate replace.
        if not reason:
            self._begin_streams()
        super()._initialize_module(reason=reason)
        with self._current_init_context("module"):
            for name in self._modules:
                self._adopt(name)
        self._follow_dtype()
        return self

    def _initialize_criterion(self, reason: str | None = None) -> "Trainer":
        super()._initialize_criterion(reason=reason)
        with self._current_init_context("criterion"):
            for name in self._criteria:
                self._adopt(name)
        return self

    def _adopt(self, name: str) -> None:
        """Let a component draw from the Trainer's generator and from no other."""
        component = getattr(self, name + "_")
        if isinstance(component, nn.Module):
            component = blocks.take_over_dropout(component)
            blocks.bind_generator(component, self.noise_generator_)
            setattr(self, name + "_", component)

    def initialize_optimizer(self, triggered_directly: Any = None) -> "Trainer":
        """Build the optimiser, by name or by class, or those of the parts."""
        if self.parts is not None:
            self.parts_ = attached(self.parts, self.module_)
            self.optimizer_ = Together(self.parts_)
            return self
        args, options = self.get_params_for_optimizer("optimizer", self.get_all_learnable_params())
        if self.weight_decay is not None:
            options.setdefault("weight_decay", self.weight_decay)
        cls, options = optim.resolve(self.optimizer, options)
        self.optimizer_ = cls(*args, **options)
        return self

    def _initialize_optimizer(self, reason: str | None = None) -> "Trainer":
        super()._initialize_optimizer(reason=reason)
        self._register_virtual_param("weight_decay", _set_weight_decay)
        return self

    # --- data -------------------------------------------------------------------------------

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return the batches of a dataset; training batches in an order of the Trainer's own."""
        prefix = "iterator_train" if training else "iterator_valid"
        iterator = getattr(self, prefix)
        options = self.get_params_for(prefix)
        options.setdefault("batch_size", self.batch_size)
        if options["batch_size"] == -1:
            options["batch_size"] = len(dataset)
        own = isinstance(iterator, type) and issubclass(iterator, Batches)
        ordered = isinstance(dataset, IterableDataset) or {"sampler", "batch_sampler"} & set(options)
        if training and own and not ordered:
            options.setdefault("shuffle", True)
        if training and (own or iterator is DataLoader):
            options.setdefault("generator", self.order_generator_)
        made = iterator(dataset, **options)
        if not (own and made.sliced) and getattr(dataset, "w", None) is not None:
            raise ValueError(
                "sample_weight was given together with an iterator that fetches rows one by one, "
                "but weights travel only with zoo's own iterator over arrays and tensors; leave "
                f"{prefix} and its options at their defaults."
            )
        return made

    def _weighted(self, X: Any, y: Any, w: Any) -> tuple[Any, Any, Any]:
        """Check the weights, and leave out rows of weight 0, which must not count in any way."""
        w = np.asarray(w.detach().cpu() if isinstance(w, Tensor) else w)
        n = row_count(X)
        if w.ndim != 1 or len(w) != n or w.dtype.kind not in "biuf":
            raise ValueError(
                f"sample_weight has shape {w.shape} and dtype {w.dtype} for {n} rows of X, but it "
                "must hold one number for each row."
            )
        if not np.isfinite(w).all() or (w < 0).any() or not (w > 0).any():
            raise ValueError(
                "sample_weight must be finite, nowhere negative and somewhere positive."
            )
        if (w == 0).any():
            keep = np.flatnonzero(w)
            X, y, w = take(X, keep), take(y, keep), w[keep]
        return X, y, np.ascontiguousarray(w, dtype=np.float64)

    def _dataset(self, X: Any, y: Any, w: Any) -> Any:
        """Return the dataset of X, y with the weights attached."""
        if w is None:
            return self.get_dataset(X, y)
        X, y, w = self._weighted(X, y, w)
        dataset = self.get_dataset(X, y)
        if type(dataset) is not Rows:
            raise ValueError(
                f"sample_weight was given together with a dataset of type {type(dataset).__name__},"
                " but weights travel only with X and y as arrays or tensors."
            )
        dataset.w = w
        return dataset

    def _validation_dataset(self, val: Any) -> Any:
        if not isinstance(val, tuple | list) or len(val) not in (2, 3):
            raise TypeError(
                f"val is {val!r}, but it must be validation data, (X, y) or (X, y, sample_weight); an "
                "argument of forward that bears this name travels in a mapping as X."
            )
        return self._dataset(*val, *[None] * (3 - len(val)))

    # --- the loop ---------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, val: Any = None, **fit_params: Any
    ) -> "Trainer":
        """Initialise (unless ``warm_start``) and train.

        Parameters
        ----------
        X : array, tensor, or mapping of them
            Inputs; the items of a mapping are keyword arguments of ``forward``.
        y : array, tensor or None
            Targets.
        sample_weight : array of shape (n,) or None
            Weights of the rows.
        val : None, (X, y) or (X, y, sample_weight)
            Validation data; replaces ``train_split``.
        **fit_params
            Handed to ``forward`` and to ``train_split``, as in skorch.
        """
        if not self.warm_start or not self.initialized_:
            self.initialize()
        return self.partial_fit(
            X, y, sample_weight=sample_weight, val=val, _routing_method="fit", **fit_params
        )

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        val: Any = None,
        epochs: int | None = None,
        **fit_params: Any,
    ) -> "Trainer":
        """Train on, for ``epochs`` or else ``max_epochs`` epochs; parameters as in ``fit``."""
        if not self.initialized_:
            self.initialize()
        routing = fit_params.pop("_routing_method", "partial_fit")
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        if val is not None:
            fit_params["val"] = val
        if epochs is not None:
            fit_params["epochs"] = epochs
        self.interrupted_ = False
        # Another net may have trained the module meanwhile, and bound it to its own generator.
        for component in self._components([*self._modules, *self._criteria]):
            blocks.bind_generator(component, self.noise_generator_)
        self.notify("on_train_begin", X=X, y=y)
        try:
            with self._threads(X):
                self.fit_loop(X, y, _routing_method=routing, **fit_params)
        except _Stop:
            pass
        except KeyboardInterrupt:
            # As in skorch (and in scikit-learn's MLP), the network trained so far is kept; who
            # holds the Trainer can tell the user's interrupt from a callback's request to stop.
            self.interrupted_ = True
        finally:
            self._set_training(False)
            self.fast_.forget()
        self.notify("on_train_end", X=X, y=y)
        self._set_training(False)
        return self

    def fit_loop(
        self,
        X: Any,
        y: Any = None,
        epochs: int | None = None,
        *,
        sample_weight: Any = None,
        val: Any = None,
        _routing_method: str = "fit",
        **fit_params: Any,
    ) -> "Trainer":
        """Run the epochs of one fit."""
        self.check_data(X, y)
        self.check_training_readiness()
        epochs = self.max_epochs if epochs is None else epochs
        split_params = fit_params
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, _routing_method, **fit_params)
            split_params = routed.get("splitter", {"split": {}})["split"]

        if sample_weight is not None:
            X = self._dataset(X, y, sample_weight)
            y = X.y
        if val is None:
            train, valid = self.get_split_datasets(X, y, **split_params)
        else:
            train, valid = self.get_dataset(X, y), self._validation_dataset(val)
        iterator_train = self.get_iterator(train, training=True)
        iterator_valid = None if valid is None else self.get_iterator(valid, training=False)
        datasets = {"dataset_train": train, "dataset_valid": valid}

        self.fast_.guard = self._draws_unknown()
        share = self.fast_.share = parallel.current()
        if share is not None:
            share.begin(self, get_len(train))
        for _ in range(epochs) if self.steps is None else self.steps(epochs, "epoch"):
            try:
                self.notify("on_epoch_begin", **datasets)
                self.run_single_epoch(
                    iterator_train,
                    training=True,
                    prefix="train",
                    step_fn=self.train_step,
                    **fit_params,
                )
                if share is not None:
                    share.end_epoch(self)
                self.run_single_epoch(
                    iterator_valid,
                    training=False,
                    prefix="valid",
                    step_fn=self.validation_step,
                    **fit_params,
                )
                self.notify("on_epoch_end", **datasets)
            except _Stop:
                # Leave the loop itself, so that `steps` sees a break and not an exception.
                break
        return self

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """Run one epoch of training or validation and write its losses to the history."""
        if iterator is None:
            return
        self._follow_dtype()
        self.fast_.look_up(self, iterator if training else None, fit_params)
        loss_name, size_name, weight_name = (
            f"{prefix}_{what}" for what in ("loss", "batch_size", "batch_weight")
        )
        count = 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            seen = {
                loss_name: step["loss"].item(),
                size_name: row_count(batch[0] if isinstance(batch, (tuple, list)) else batch),
            }
            for name, loss in step.get("losses", {}).items():
                seen[f"{prefix}_{name}_loss"] = loss.item()
            w = getattr(batch, "w", None)
            if w is not None:
                seen[weight_name] = w.sum().item()
            if type(self.history_) is History:
                # What record_batch does, without History's general indexing.
                list.__getitem__(self.history_, -1)["batches"][-1].update(seen)
            else:
                for name, value in seen.items():
                    self.history_.record_batch(name, value)
            self.notify("on_batch_end", batch=batch, training=training, **step)
            count += 1
        self.history.record(f"{prefix}_batch_count", count)

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Open a row of the history."""
        if type(self.history_) is History:
            list.__getitem__(self.history_, -1)["batches"].append({})
        else:
            self.history_.new_batch()

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a method of the net and of the callbacks that have one of their own."""
        if method_name in ("on_train_begin", "on_epoch_begin"):
            self.fast_.listeners = {}
        if method_name == "on_grad_computed" and self.gradient_clip is not None:
            self._clip(self.gradient_clip, cb_kwargs["named_parameters"])
        getattr(self, method_name)(self, **cb_kwargs)
        try:
            for callback in self._listeners(method_name):
                getattr(callback, method_name)(self, **cb_kwargs)
        except KeyboardInterrupt as stop:
            # skorch's way for a callback to end the training, EarlyStopping's for one.
            raise _Stop(*stop.args) from stop

    def _listeners(self, method_name: str) -> list[Callback]:
        """Return the callbacks that do something on this event."""
        known = self.fast_.listeners.get(method_name)
        if known is None or known[0] is not self.callbacks_ or known[1] != len(self.callbacks_):
            some = [cb for _, cb in self.callbacks_ if _listens(cb, method_name)]
            known = self.fast_.listeners[method_name] = (self.callbacks_, len(self.callbacks_), some)
        return known[2]

    def _heard(self, method_name: str) -> bool:
        """Whether anybody does anything on this event."""
        return bool(self._listeners(method_name)) or not self._unchanged(method_name, "notify")

    # --- one step ---------------------------------------------------------------------------

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute gradients and update; without a closure where nothing asks for one."""
        if self.parts is not None:
            self._set_training(True)
            return step_over(self, self._training_rows(batch))
        if self.fast_.direct:
            return self.fast_.train_step(self, batch, fit_params)
        step: dict[str, Tensor] = super().train_step(batch, **fit_params)
        return step

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute output, loss and gradients of one batch, with the other processes of a group."""
        share = self.fast_.share
        if share is None:
            return super().train_step_single(batch, **fit_params)
        alone = super().train_step_single
        return share.step(self, batch, lambda mine: alone(mine, **fit_params))

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute output and loss of one batch in evaluation mode."""
        if self.parts is None:
            return super().validation_step(batch, **fit_params)
        self._set_training(False)
        with torch.no_grad():
            return losses_of(self, (*unpack_data(batch), getattr(batch, "w", None)))

    def _clip(self, largest: float, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        """Bring the norm of the gradient down to ``gradient_clip``."""
        nn.utils.clip_grad_norm_([p for _, p in named_parameters], largest)

    def _forward_context(self) -> AbstractContextManager[Any]:
        """Autocast, and on the first batch of a fit watch for draws from the global generator."""
        if not self.fast_.guard:
            return self._autocast()
        self.fast_.guard = False
        both = ExitStack()
        both.enter_context(blocks.forbid_global_draws())
        both.enter_context(self._autocast())
        return both

    # --- output -----------------------------------------------------------------------------

    def forward_iter(self, X: Any, training: bool = False, device: str = "cpu") -> Any:
        """Yield the output of each batch, in the order of the rows."""
        self.check_is_fitted()
        self._follow_dtype()
        dataset = self.get_dataset(X)
        for batch in self.get_iterator(dataset, training=False):
            yield to_device(self.evaluation_step(batch, training=training), device=device)

    def forward_batches(self, X: Any, batch_size: int | None = None) -> Any:
        """Return the output of the module for all rows, in evaluation mode and without gradients.

        Parameters
        ----------
        X : array, tensor, or mapping of them
            Inputs.
        batch_size : int or None
            Rows at a time; None chooses by the size of a row.

        Returns
        -------
        tensor or tuple of tensors
            On the CPU; the concatenated outputs.
        """
        self.check_is_fitted()
        columns = as_columns(X)
        if columns is None:
            raise TypeError(
                f"X is of type {type(X).__name__}, but forward_batches takes an array, a tensor, "
                "or a mapping or list of them."
            )
        if any(module.training for module in self._components(self._modules)):
            self._set_training(False)
        self._follow_dtype()
        keys, parts = columns
        n = len(parts[0])
        if batch_size is None:
            items = sum(max(1, int(np.prod(part.shape[1:]))) for part in parts)
            batch_size = max(FORWARD_ITEMS // items, self.batch_size, 1)
        outputs = []
        with torch.inference_mode(), self._threads(parts[0], min(n, batch_size)):
            for start in range(0, n, batch_size):
                rows = slice(start, start + batch_size)
                batch = assemble(keys, [gather(part, rows) for part in parts])
                with self._autocast():
                    output = self.infer(batch)
                outputs.append(to_device(self._from_autocast(output), "cpu"))
            if isinstance(outputs[0], tuple):
                return tuple(map(torch.cat, zip(*outputs, strict=True)))
            return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    # --- small parts ------------------------------------------------------------------------

    def _threads(self, X: Any, n_rows: int | None = None) -> AbstractContextManager[Any]:
        """Return the threads that are worth waking for batches of X, or of ``n_rows`` rows."""
        if n_rows is None:
            whole = self.batch_size <= 0 or isinstance(X, IterableDataset)
            n_rows = self.batch_size if not whole else 1 if isinstance(X, IterableDataset) else get_len(X)
            X = X.X if isinstance(X, Dataset) else X
        return threads.for_work(self._components(self._modules), threads.Row.of(X), n_rows, self.device)

    def _unchanged(self, *names: str) -> bool:
        """Whether no subclass and no instance replaced these methods."""
        return all(
            getattr(type(self), name) is getattr(Trainer, name) and name not in vars(self)
            for name in names
        )

    def _set_training(self, training: bool = True) -> None:
        # Where nothing can change the call is left out; otherwise the modules' own train() decides.
        if not self.fast_.in_mode(self, training):
            super()._set_training(training)

    def _draws_unknown(self) -> bool:
        """Whether the module holds code that nobody here knows to draw no random numbers."""
        return not self.compile and any(
            not _known_quiet(m)
            for component in self._components([*self._modules, *self._criteria])
            for m in component.modules()
        )

    # --- copies -----------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state["fast_"] = Fast()
        state["steps"] = None
        for name in ("order_generator_", "noise_generator_"):
            generator = state.get(name)
            if generator is not None:
                state[name] = (generator.initial_seed(), generator.get_state())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        states = {name: state.pop(name, None) for name in ("order_generator_", "noise_generator_")}
        super().__setstate__(state)
        if states["order_generator_"] is None:
            return
        seed, position = states["order_generator_"]
        self.order_generator_ = torch.Generator().manual_seed(seed)
        self.order_generator_.set_state(position)
        seed, position = states["noise_generator_"]
        self.noise_generator_ = self._new_noise_generator(seed ^ NOISE_STREAM)
        # The state of a GPU's generator means nothing on a CPU, where its stream starts anew.
        if self.noise_generator_.get_state().shape == position.shape:
            self.noise_generator_.set_state(position)
        for component in self._components([*self._modules, *self._criteria]):
            blocks.bind_generator(component, self.noise_generator_)
        self._follow_dtype()


class ClassifierTrainer(Trainer):
    """A Trainer whose outputs are logits and which answers as skorch's ``NeuralNetClassifier``.

    Attributes
    ----------
    classes_ : array of shape (k,)
        Numbers of the classes, as far as y has shown them.
    """

    def __sklearn_tags__(self) -> Tags:
        """Say that this is a classifier, so that every scorer of scikit-learn asks what it needs."""
        tags = super().__sklearn_tags__()
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    def check_data(self, X: Any, y: Any = None) -> None:
        """Take note of the classes."""
        super().check_data(X, y)
        if y is not None and (y := to_numpy(y)).dtype.kind in "iu":
            known = len(getattr(self, "classes_", ()))
            self.classes_ = np.arange(max(known, int(y.max(initial=-1)) + 1))

    def predict(self, X: Any) -> np.ndarray:
        """Return the number of the most likely class of each row."""
        numbers: np.ndarray = self.predict_proba(X).argmax(axis=-1)
        return numbers


def _listens(callback: Callback, method_name: str) -> bool:
    """Whether a callback has more than the empty method of its base class."""
    if method_name in getattr(callback, "__dict__", {}):
        return True
    # A class without the method answers by __getattr__, as proxies do.
    found = getattr(type(callback), method_name, None)
    return found is None or found is not getattr(Callback, method_name, None)


# Modules of torch that draw from the global generator inside their own code.
_NOISY = (
    nn.RReLU,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.FractionalMaxPool2d,
    nn.FractionalMaxPool3d,
)


def _known_quiet(module: nn.Module) -> bool:
    """Whether the class is torch's or ours and draws nothing from the global generator."""
    rate = getattr(module, "dropout", 0.0)
    if isinstance(module, _NOISY) or (not isinstance(rate, nn.Module) and rate != 0):
        return False
    # Watching costs a second in every process: torch imports its compiler for it.
    return type(module).__module__.startswith(("torch.nn.modules.", "zoo."))


class _Stop(KeyboardInterrupt):
    """A callback asks for the end of the training."""
