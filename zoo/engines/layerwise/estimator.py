"""Networks whose pieces learn each for itself: how arrays enter a fit, layers, and blocks that denoise."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.inputs import Images, ImageShape, Input
from zoo.contract.params import (
    Check,
    Count,
    Device,
    Fixed,
    Interval,
    Positive,
    Probability,
    Search,
    UnitInterval,
)
from zoo.contract.roles import Classifier
from zoo.engines.devices import resolve_device
from zoo.engines.diffusion import schedules as diffusion
from zoo.engines.modules.scaling import channel_scale, location_scale
from zoo.engines.neural.estimator import Neural


class LocallyTrained(Classifier, Neural, abstract=True):
    """A network that fills in its own gradients from rows and labels.

    Parameters
    ----------
    image_shape : tuple, "row" or None, default=None
        What a flattened row of X is; None leaves it a row where nothing needs an image.

    Attributes
    ----------
    x_mean_, x_scale_ : arrays
        Location and scale of the columns.
    """

    input: ClassVar[Input] = Images(flat=True)

    image_shape: ImageShape = None

    batch_size = 128
    max_epochs = 50
    schedule = "warm_up_cosine"
    # A loss under noise rests and falls again; the budget is the end.
    n_iter_no_change = None

    def _measure(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        rows = X.reshape(len(X), -1).astype(self.dtype_, copy=False)
        mean, scale = location_scale(rows, w)
        self.x_mean_, self.x_scale_ = mean.reshape(X.shape[1:]), scale.reshape(X.shape[1:])

    def _trainer(self) -> Any:
        from zoo.engines.layerwise.step import LocalTrainer

        return LocalTrainer

    def _criterion(self) -> Any:
        from zoo.engines.modules.blocks import ItsOwnLoss

        return ItsOwnLoss()

    def _inputs(self, X: np.ndarray, y: np.ndarray) -> Any:
        return {"x": X, "y": y}

    def _targets(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.zeros(len(X), self.dtype_)


class LayeredClassifier(LocallyTrained, abstract=True):
    """A perceptron on rows (images are flattened) whose layers learn by a local rule.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(128, 128, 128)
        Units of the hidden layers, one or more.
    """

    hidden_layer_sizes: Annotated[
        tuple[Count, ...],
        Check(lambda sizes: len(sizes) > 0, "a tuple of one or more integers >= 1"),
        Fixed("the choice of architectures is yours; search a list of tuples"),
    ] = (128, 128, 128)

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        return {
            "sizes": [int(np.prod(X.shape[1:])), *map(int, self.hidden_layer_sizes)],
            "n_classes": len(self.classes_),
            "mean": self.x_mean_.tolist(),
            "scale": self.x_scale_.tolist(),
        }

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._forward(X)


class NoProp(LocallyTrained, abstract=True):
    r"""Blocks that learn to denoise a label embedding, each for itself.

    Parameters
    ----------
    width : int, default=64
        Units of a layer of a block.
    network : {"dense", "conv"} or callable, default="dense"
        How a block reads x: two layers on the flattened row, three convolutions on the image, or
        a network of yours. A callable ``(shape, width) -> nn.Module`` is asked once for each block;
        its module maps (n, \*shape), standardised, to (n, width). The shape is (C, H, W), or (d,)
        for a table. ``zoo.save`` keeps no code of yours; pickle does.
    dropout : float, default=0.2
        Chance that a value of the convolutional branch is silenced.
    embedding : {"one-hot", "learned", "prototype"}, default="one-hot"
        Label embeddings: fixed unit vectors, vectors trained with the blocks, or those that start at
        the most typical row of each class.
    embedding_dim : int or None, default=None
        Length of an embedding; None is the number of classes for "one-hot" and 20 for "learned". A
        prototype is as long as a row.
    head : {"linear", "radial", "nearest"}, default="linear"
        What makes class logits of the last state: a linear layer; the distances of a mixture of
        embeddings to the embeddings; or Bayes' rule with nothing to learn.
    n_samples : int, default=1
        Runs of the sampler over which probabilities are averaged. A single run of a sampler without
        noise starts at z = 0, the mean of the prior; all others start at seeded draws.
    image_shape : tuple, "row" or None, default=None
        What a flattened row is, (H, W) or (C, H, W), for network="conv"; None infers a square there.

    Attributes
    ----------
    x_mean_, x_scale_ : arrays
        Location and scale of the columns, or of the channels for network="conv".
    embedding_ : array of shape (n_classes, d)
        Label embeddings at the start of the training.
    """

    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": (
            "training draws noise for every row, so a row given twice gets two draws and a row of "
            "weight 2 gets one; scikit-learn excuses its stochastic BaggingClassifier alike"
        ),
        "check_weights_count_as_repetition": "for the same reason: every row draws its own noise",
    }

    width: Annotated[Count, Search(32, 512, log=True)] = 64
    network: Annotated[
        Literal["dense", "conv"] | Callable[..., Any], Fixed("it says what the data are")
    ] = "dense"
    dropout: Probability = 0.2
    embedding: Literal["one-hot", "learned", "prototype"] = "one-hot"
    embedding_dim: Annotated[Count | None, Fixed("a prototype has the size of a row")] = None
    head: Literal["linear", "radial", "nearest"] = "linear"
    n_samples: Annotated[Count, Fixed("more runs cost time, not accuracy")] = 1

    lr = 2e-3
    weight_decay = 1e-3

    # -- learning -----------------------------------------------------------------------------------

    def _measure(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        if self.network != "conv" and (self.network == "dense" or X.shape[1:3] == (1, 1)):
            super()._measure(X, y, w)
        else:
            mean, scale = channel_scale(X, w)
            self.x_mean_ = mean[:, None, None].astype(self.dtype_)
            self.x_scale_ = scale[:, None, None].astype(self.dtype_)
        scaled = ((X - self.x_mean_) / self.x_scale_).reshape(len(X), -1)
        self.embedding_ = self._embedding(scaled, y)

    def _embedding(self, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        k, d = len(self.classes_), self.embedding_dim
        name = type(self).__name__
        if self.embedding == "prototype":
            if d not in (None, rows.shape[1]):
                raise ValueError(
                    f"{name}: embedding_dim={d} with embedding='prototype', but a prototype is a row "
                    f"of X, {rows.shape[1]} numbers; leave embedding_dim at None."
                )
            return diffusion.prototypes(rows, y, k)
        if self.embedding == "one-hot":
            d = k if d is None else d
            if d < k:
                raise ValueError(
                    f"{name}: embedding_dim={d} has no room for {k} classes of one number each; give "
                    f"embedding_dim >= {k} or None, or use embedding='learned'."
                )
            return np.eye(k, d)
        rng = np.random.default_rng(self.seed_)
        # Orthonormal columns or rows, whichever there are fewer of.
        q, r = np.linalg.qr(rng.standard_normal((max(k, d or 20), min(k, d or 20))))
        q = q * np.sign(np.diag(r))
        return q if k >= (d or 20) else q.T

    def _form(self, X: np.ndarray) -> dict[str, Any]:
        """Return the arguments of the blocks, as far as all methods share them."""
        shape = [int(size) for size in X.shape[1:]]
        if self.network == "conv":
            if shape[1] == 1 and self.image_shape is None:
                side = round(shape[2] ** 0.5)
                if side * side != shape[2]:
                    raise ValueError(
                        f"{type(self).__name__}: network='conv' needs images, but rows of {shape[2]} "
                        "features are no square; give image_shape=(H, W) or (C, H, W), or "
                        "network='dense'."
                    )
                shape = [1, side, side]
            if min(shape[1:]) < 4:
                raise ValueError(
                    f"{type(self).__name__}: network='conv' halves the image twice, but images of "
                    f"{shape[1]} x {shape[2]} pixels leave nothing for the next layer; give images "
                    "of 4 x 4 or more, or use network='dense'."
                )
        return {
            "shape": shape,
            "width": int(self.width),
            "network": self.network,
            "head": self.head,
            "dropout": float(self.dropout) if self.network == "conv" else 0.0,
            "embedding": self.embedding_.tolist(),
            "learn_embedding": self.embedding != "one-hot",
            "mean": self.x_mean_.tolist(),
            "scale": self.x_scale_.tolist(),
        }

    # -- what it gives --------------------------------------------------------------------------------

    def _noise(self, runs: int, steps: int, quiet: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return starts (runs, d) and noise (runs, steps, d), the same at every call."""
        d = self.embedding_.shape[1]
        rng = np.random.default_rng([self.seed_, 1])
        starts = rng.standard_normal((runs, d))
        noise = rng.standard_normal((runs, steps, d)) if not quiet else np.zeros((runs, steps, 1))
        return (np.zeros((1, d)) if quiet and runs == 1 else starts), noise

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._run("predict", X, **self._sampling())

    def block_accuracies(self, X: Any, y: Any) -> np.ndarray:
        """Return the accuracy of every block alone, asked at the state that the path brings to it.

        Block 1 sees x and nothing of any other block: its accuracy is that of an ordinary classifier,
        and what later entries add to it is what the chain of blocks is worth.

        Parameters
        ----------
        X : array-like
            Rows.
        y : array-like of shape (n,)
            Their labels.

        Returns
        -------
        accuracies : array of shape (n_blocks,)
            One a block; one a step for the methods in continuous time.
        """
        X = self._checked(X)
        _, _, own = self._trace(X)
        return (self.classes_[own.argmax(axis=-1)] == np.asarray(y)[:, None]).mean(axis=0)

    def _trace(self, X: np.ndarray) -> Any:
        """Return states, log p(y|z_t) and the blocks' logits along one run, rows first."""
        options = self._sampling()
        names = {"starts": "start", "noise": "noise"}
        options = {names.get(n, n): v[0] if n in names else v for n, v in options.items()}
        return self._run("trace", X, **options)

    def _sampling(self) -> dict[str, Any]:
        """Return how to draw, from the parameters as they are now."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it predicts")


class ContinuousNoProp(NoProp, abstract=True):
    """One block that is told the time, which runs from 0, noise, to 1, the label.

    Parameters
    ----------
    n_times : int, default=8
        Times at which a row is seen in one step of the training, drawn evenly. The block reads x once
        for all of them.
    n_steps : int, default=20
        Steps of a prediction; the paper takes 1000. "ode" chooses its own.
    ode_tol : float, default=0.001
        Largest relative error of a step with sampler="ode".
    """

    n_times: Annotated[Count, Search(1, 16, log=True)] = 8
    n_steps: Annotated[Count, Search(5, 100, log=True)] = 20
    ode_tol: Annotated[Positive, Fixed("it trades digits for time")] = 1e-3

    lr = 5e-3

    def _form(self, X: np.ndarray) -> dict[str, Any]:
        return super()._form(X) | {"n_times": int(self.n_times)}

    def _sampling(self) -> dict[str, Any]:
        steps = int(self.n_steps)
        starts, noise = self._noise(int(self.n_samples), steps, self.sampler != "sde")
        return {
            "sampler": self.sampler, "n_steps": steps, "starts": starts, "noise": noise,
            "tol": float(self.ode_tol),
        }  # fmt: skip


class DiscreteNoProp(NoProp, abstract=True):
    """T blocks, one for each step from noise to label.

    Parameters
    ----------
    n_blocks : int, default=10
        T, the number of blocks.
    noise_schedule : {"cosine", "linear", "learned"} or sequence of T + 1 floats, default="cosine"
        How the share of the label in the state rises from t = 0 to t = T. "learned" starts at the
        cosine and learns the steps in between, which stay positive.
    max_snr : float, default=100.0
        Signal-to-noise ratio of the last state.
    sampler : {"mean", "sde", "ddim"}, default="mean"
        How predictions walk from z_0 to z_T: the posterior mean of each step, the same with its
        noise, or the deterministic steps of DDIM.
    chunk : int or "auto", default="auto"
        Blocks trained at once: 1 takes the least memory, "auto" the least time. Decided at fit.
    devices : sequence of devices or None, default=None
        Where the blocks are, as even shares in their order, such as ("cuda:0", "cuda:1"); batches and
        what blocks share stay on ``device``. The result is that of one device. A loaded model uses
        them if all of them are there.
    training : {"local", "backprop"}, default="local"
        "backprop" trains the same blocks end to end by the cross entropy after the last one: the
        baseline for comparison.
    """

    n_blocks: Annotated[int, Interval(2, None), Search(2, 20)] = 10
    noise_schedule: Annotated[
        Literal["cosine", "linear", "learned"] | tuple[UnitInterval, ...], Fixed("cosine serves")
    ] = "cosine"
    max_snr: Annotated[
        float, Check(lambda v: 0 < v < float("inf"), "a finite number > 0"),
        Search(10, 1000, log=True),
    ] = 100.0  # fmt: skip
    sampler: Annotated[
        Literal["mean", "sde", "ddim"], Fixed("it changes predictions, not the blocks")
    ] = "mean"
    chunk: Annotated[
        Count | Literal["auto"], Fixed("it changes time and memory, not the result")
    ] = "auto"
    devices: Annotated[
        tuple[Device, ...] | None,
        Check(lambda v: v is None or len(v) > 0, "None or one or more of 'cpu', 'cuda:N' and 'mps'"),
        Fixed("it changes time and memory, not the result"),
    ] = None
    training: Annotated[Literal["local", "backprop"], Fixed("it is the baseline's")] = "local"

    optimizer = "adamw"

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        from zoo.engines.layerwise.blocks import chunks_for, spread

        T = int(self.n_blocks)
        devices = [resolve_device(d, self.dtype_) for d in self.devices or (self.device,)]
        if len(devices) > T:
            raise ValueError(
                f"{type(self).__name__}: devices names {len(devices)} devices for n_blocks={T} blocks; "
                "give as many as there are blocks, or fewer."
            )
        sizes = chunks_for(self.chunk, self.network, T, devices[0] == "cpu")
        return self._form(X) | {
            "abar": self._schedule().tolist(),
            "learn_schedule": self.noise_schedule == "learned",
            "weights": None,
            "eta": None,
            "parametrization": self._parametrization(),
            "training_mode": self.training,
            "chunks": [size for group in spread(sizes, len(devices)) for size in group],
            "norm": True,
        } | self._weighting()

    def _build_net(self, device: str) -> Any:
        net = super()._build_net(device)
        places = self._places(self.spec_["chunks"])
        if places is not None:
            net.module.place(places)
        return net

    def _places(self, chunks: list[int]) -> list[Any] | None:
        """Return the device of each group of blocks, or None where they stay together."""
        import torch

        if self.devices is None:
            return None
        try:
            found = [torch.device(resolve_device(d, self.dtype_)) for d in self.devices]
        except ValueError:
            return None  # a model from a machine that had them; fit has asked for them in _spec
        ends = [round(sum(chunks) * (i + 1) / len(found)) for i in range(len(found))]
        last = np.cumsum(chunks)
        return [found[int(np.searchsorted(ends, high))] for high in last]

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.layerwise.discrete import Denoisers

        return Denoisers(**spec)

    def _schedule(self) -> np.ndarray:
        """Return abar_0 ... abar_T."""
        form = "cosine" if self.noise_schedule == "learned" else self.noise_schedule
        abar: np.ndarray = diffusion.rising(form, int(self.n_blocks), float(self.max_snr))
        return abar

    def _parametrization(self) -> str:
        """Return what a block gives."""
        raise NotImplementedError(f"{type(self).__name__} does not say what a block gives")

    def _weighting(self) -> dict[str, Any]:
        """Return ``weights`` or ``eta`` of ``Denoisers``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how blocks are weighted")

    def _sampling(self) -> dict[str, Any]:
        quiet = self.sampler != "sde"
        steps = len(self.spec_["abar"]) - 1
        starts, noise = self._noise(int(self.n_samples), steps, quiet)
        return {"sampler": self.sampler, "starts": starts, "noise": noise}
