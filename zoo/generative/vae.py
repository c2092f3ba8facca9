"""The variational autoencoder."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.draws import Draws
from zoo.contract.inputs import Images, ImageShape, n_rows
from zoo.contract.params import Count, Fixed, NonNegative, Search, Whole
from zoo.contract.roles import Sampler, Transformer
from zoo.contract.targets import Labels, Target
from zoo.engines.magnitudes import check_squares
from zoo.engines.modules.perceptron import Activation
from zoo.engines.modules.scaling import feature_scale
from zoo.engines.neural.estimator import Neural


class VAE(Sampler, Transformer, Neural):
    r"""A latent-variable model whose posterior is approximated by a network.

    The decoder turns a normal code z into data, the encoder guesses the code behind each row, and
    both are trained to raise a lower bound (ELBO) on the likelihood. ``sample`` draws new rows,
    ``transform`` gives codes, ``reconstruct`` and ``impute`` go there and back.

    .. math::
        \log p_\theta(x) \ge \mathbb{E}_{q_\phi(z|x)} \log p_\theta(x|z)
        - \mathrm{KL}(q_\phi(z|x) \| \mathcal N(0, I)), \qquad
        z = \mu_\phi(x) + \sigma_\phi(x) \odot \epsilon

    Parameters
    ----------
    n_components : int, default=16
        Length of the code.
    network : {"dense", "conv"}, default="dense"
        Perceptrons on the flattened row, or convolutions on the image.
    hidden_layer_sizes : sequence of int, default=(256,)
        Fully connected layers of the encoder; the decoder has them in reverse.
    filters : sequence of int, default=(32, 64)
        Filters of the convolutions; each halves the image.
    activation : str, default="relu"
        The non-linearity.
    decoder : {"gaussian", "bernoulli"}, default="gaussian"
        Distribution of a feature given the code; "bernoulli" takes X in [0, 1].
    noise : {"predicted", "shared"}, default="predicted"
        Spread of a Gaussian feature: given by the network for each code, or one number a feature.
    beta : float, default=1.0
        Weight of the KL term while training; above 1 the codes are simpler, below 1 sharper.
    kl_annealing : int, default=0
        Epochs during which the weight of the KL term rises from 0 to beta.
    n_draws : int, default=1
        Draws of z for each row in training.
    n_importance : int, default=1
        Draws of z in ``score_samples``; above 1 the bound is the importance-weighted one.
    levels : int or None, default=None
        X holds integers 0 ... levels - 1: uniform noise fills the gaps in training, ``sample`` returns
        integers, and likelihoods are those of integers, comparable between models.
    conditional : bool, default=True
        Use y, when fit gets one, to condition the decoder. False ignores y, as a feature extractor in
        a pipeline should.
    sample_mean : bool, default=False
        Let ``sample`` return the decoder's mean: smoother pictures, but no draws from the model.
    image_shape : tuple, "row" or None, default=None
        What a flattened row is, (H, W) or (C, H, W), for network="conv"; None infers a square there.

    Attributes
    ----------
    likelihood_ : str
        "elbo" or "iwae": what ``score_samples`` is, a lower bound on the log-likelihood in nats.
    n_features_out_ : int
        Length of the code.
    class_prior_ : array of shape (k,)
        Share of each class, when fitted with y.

    Notes
    -----
    With hidden_layer_sizes=() and noise="shared" the model is factor analysis. Training draws noise,
    so a weight of 2 is not exactly a row given twice. The encoder does not see y: codes hold what the
    class does not tell. The draws of ``score_samples`` follow from the row, so that it repeats.

    References
    ----------
    Kingma and Welling (2014), Auto-encoding variational Bayes, ICLR. Rezende, Mohamed and Wierstra
    (2014), ICML. Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders, ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import VAE
    >>> X, _ = load_digits(return_X_y=True)
    >>> model = VAE(levels=17, max_epochs=20, random_state=0).fit(X[:900])
    >>> model.sample(2, random_state=0).shape
    (2, 64)
    >>> model.bits_per_dim(X[900:]) < 3.5
    True
    """

    input: ClassVar[Images] = Images(flat=True)
    target: ClassVar[Target] = Labels(required=False, when="conditional")
    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": (
            "training draws a code for every row, so a row given twice gets two draws and a row of "
            "weight 2 gets one; scikit-learn excuses its stochastic BaggingClassifier alike"
        ),
        "check_weights_count_as_repetition": "every row draws its own code in training, as above",
    }

    n_components: Annotated[Count, Search(2, 64, log=True)] = 16
    network: Literal["dense", "conv"] = "dense"
    hidden_layer_sizes: Annotated[
        tuple[Count, ...], Fixed("the choice of architectures is yours; search a list of tuples")
    ] = (256,)
    filters: Annotated[tuple[Count, ...], Fixed("like hidden_layer_sizes")] = (32, 64)
    activation: Activation = "relu"
    decoder: Annotated[Literal["gaussian", "bernoulli"], Fixed("it says what X is")] = "gaussian"
    noise: Literal["predicted", "shared"] = "predicted"
    beta: Annotated[NonNegative, Search(0.1, 4.0, log=True)] = 1.0
    kl_annealing: Annotated[Whole, Search(0, 50)] = 0
    n_draws: Annotated[Count, Fixed("more draws cost time and change little")] = 1
    n_importance: Annotated[Count, Fixed("it changes the measure, not the model")] = 1
    levels: Annotated[Count | None, Fixed("it says what X is")] = None
    conditional: Annotated[bool, Fixed("it says what the model is for")] = True
    sample_mean: Annotated[bool, Fixed("it changes what sample returns, not the model")] = False
    image_shape: ImageShape = None

    batch_size = 128
    max_epochs = 100

    # -- learning -----------------------------------------------------------------------------------

    def _measure(self, X: np.ndarray, y: Any, w: np.ndarray | None) -> None:
        rows = X.reshape(len(X), -1)
        self._check_values(rows)
        check_squares(type(self).__name__, X=rows)
        self.n_features_out_ = int(self.n_components)
        if self.decoder == "bernoulli":
            self.shift_, self.scale_ = np.zeros(1), np.full(1, float(self.levels or 2) - 1)
            return
        self.shift_, self.scale_ = feature_scale(rows, w, integers=self.levels is not None)

    @property
    def likelihood_(self) -> str:
        """What ``score_samples`` is, by the parameters as they are now."""
        if "n_features_out_" not in vars(self):
            raise AttributeError("VAE has no likelihood before fit.")
        return "elbo" if self.n_importance == 1 else "iwae"

    def _check_values(self, rows: np.ndarray) -> None:
        low, high = float(rows.min()), float(rows.max())
        if self.levels is not None and (
            low < 0 or high > self.levels - 1 or (rows != np.floor(rows)).any()
        ):
            raise ValueError(
                f"VAE: levels={self.levels} says that X holds integers 0 ... {self.levels - 1}, but X "
                f"holds values from {low:g} to {high:g}; correct levels, or leave it at None."
            )
        if self.decoder == "bernoulli" and self.levels is None and (low < 0 or high > 1):
            raise ValueError(
                f"VAE: decoder='bernoulli' takes X in [0, 1], but X holds values from {low:g} to "
                f"{high:g}; scale X, give levels, or use decoder='gaussian'."
            )

    def _spec(self, X: np.ndarray, y: Any) -> dict[str, Any]:
        return {
            "shape": self._shape(),
            "n_components": int(self.n_components),
            "n_classes": 0 if y is None else len(self.classes_),
            "hidden": [int(h) for h in self.hidden_layer_sizes],
            "filters": [int(f) for f in self.filters] if self.network == "conv" else None,
            "activation": self.activation,
            "likelihood": self.decoder,
            "noise": self.noise,
            "shift": self.shift_.tolist(),
            "scale": [1.0] if self.decoder == "bernoulli" else self.scale_.tolist(),
            "n_draws": int(self.n_draws),
            "beta": float(self.beta),
        }

    def _shape(self) -> list[int]:
        C, H, W = (int(size) for size in self.image_shape_)
        if self.network == "conv" and H == 1 and self.image_shape is None:
            H = round(W**0.5)
            if H * H != W:
                raise ValueError(
                    f"VAE: network='conv' needs images, but rows of {W} features are no square; give "
                    "image_shape=(H, W) or (C, H, W), or network='dense'."
                )
            W = H
        return [C, H, W]

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.generative._vae import Autoencoder

        return Autoencoder(**spec)

    def _criterion(self) -> Any:
        from zoo.engines.modules.blocks import ItsOwnLoss

        return ItsOwnLoss()

    def _callbacks(self, val: Any) -> list[Any]:
        from zoo.generative._training import AnnealKL, StopAfterAnnealing

        callbacks = super()._callbacks(val)
        if self.kl_annealing:
            epochs = int(self.kl_annealing)
            if self.n_iter_no_change is not None:
                name, stop = callbacks.pop()
                callbacks.append((name, StopAfterAnnealing(epochs, **stop.get_params())))
            callbacks.append(("anneal_kl", AnnealKL(float(self.beta), epochs)))
        return callbacks

    def _augment(self) -> Any:
        from zoo.generative._training import Dequantize

        return Dequantize() if self.levels and self.decoder == "gaussian" else None

    def _targets(self, X: Any, y: Any) -> np.ndarray:
        return np.zeros(n_rows(X), self.dtype_)

    def _prepare(self, X: np.ndarray) -> np.ndarray:
        rows = X.reshape(len(X), -1)
        return rows / self.scale_ if self.decoder == "bernoulli" else rows

    def _inputs(self, X: np.ndarray, y: np.ndarray | None) -> Any:
        rows = self._prepare(X)
        return rows if y is None else {"x": rows, "y": self._one_hot(y)}

    # -- what it gives --------------------------------------------------------------------------------

    def _one_hot(self, numbers: np.ndarray | None) -> np.ndarray | None:
        return None if numbers is None else np.eye(len(self.classes_), dtype=self.dtype_)[numbers]

    def _output(self, X: np.ndarray) -> np.ndarray:
        mean, _ = self._run("encode", self._prepare(X) + self._gap())
        return mean

    def _gap(self) -> float:
        return 0.5 if self.levels and self.decoder == "gaussian" else 0.0

    def _decoded(self, z: np.ndarray, numbers: np.ndarray | None) -> tuple[Any, Any]:
        """Return mean and standard deviation (None: Bernoulli) of the features, in units of X."""
        mean, log_sigma = self._run("decode", z, self._one_hot(numbers))
        if log_sigma is None:
            return self.scale_ / (1 + np.exp(-mean)), None
        return mean * self.scale_ + self.shift_, np.exp(log_sigma) * self.scale_

    def _draw(self, n: int, numbers: np.ndarray | None, draws: Draws) -> np.ndarray:
        mean, sigma = self._decoded(draws.normal(n, self.n_features_out_), numbers)
        if self.sample_mean:
            x = mean - self._gap()
        elif sigma is None:
            top = float(self.scale_[0])
            x = top * (draws.uniform(*mean.shape) < mean / top)
        else:
            x = mean + sigma * draws.normal(*mean.shape)
            x = np.clip(np.floor(x), 0, self.levels - 1) if self.levels else x
        return self._as_given(x)

    def _as_given(self, rows: np.ndarray) -> np.ndarray:
        """Give rows the shape of the training data."""
        return self.input.restore(self, rows.astype(self.dtype_, copy=False))

    def _log_likelihood(self, X: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
        self._check_values(X.reshape(len(X), -1))
        y = self._one_hot(numbers)
        parts = [
            self._bound(X[rows], None if y is None else y[rows])
            for rows in (slice(start, start + 2048) for start in range(0, len(X), 2048))
        ]
        return np.concatenate(parts)

    def _bound(self, X: np.ndarray, y: np.ndarray | None) -> np.ndarray:
        from scipy.special import ndtri

        rows = self._prepare(X)
        scaled = rows / self.scale_
        n_draws = self.n_importance if self.n_importance > 1 else 16
        u = _numbers_of_rows(scaled, n_draws, self.n_features_out_, self.seed_)
        noise = ndtri(np.clip(u, 1e-12, 1 - 1e-12))
        options = {"importance": self.n_importance > 1}
        if self.decoder == "bernoulli" or not self.levels:
            return self._run("bound", rows, y, noise, **options)
        # A bound on the integers' likelihood: the mean over ways to fill the gaps.
        offsets = _numbers_of_rows(scaled, 4, rows.shape[1], self.seed_ + 1)
        return np.mean(
            [self._run("bound", rows + o, y, noise, **options) for o in offsets.swapaxes(0, 1)],
            axis=0,
        )

    def inverse_transform(self, Z: Any, y: Any = None) -> np.ndarray:
        """Return the decoder's mean for codes.

        Parameters
        ----------
        Z : array-like of shape (n, n_components)
            Codes.
        y : array-like of labels, optional
            Labels, when the model was fitted with y; None averages over them.

        Returns
        -------
        X : array
            Rows in the units and the shape of the training data.
        """
        from sklearn.utils.validation import check_array, check_is_fitted

        check_is_fitted(self)
        Z = check_array(Z, dtype=self.dtype_, input_name="Z")
        if Z.shape[1] != self.n_features_out_:
            raise ValueError(f"Z has {Z.shape[1]} columns, but codes have {self.n_features_out_}.")
        if y is not None or not hasattr(self, "classes_"):
            labels = self._labels_to_draw(len(Z), y, Draws(0))
            mean = self._decoded(Z, labels)[0]
        else:  # codes do not depend on the label, so the mean given the code alone is that of the prior
            mean = sum(
                share * self._decoded(Z, np.full(len(Z), k))[0]
                for k, share in enumerate(self.class_prior_)
            )
        return self._as_given(mean - self._gap())

    def reconstruct(self, X: Any, y: Any = None) -> np.ndarray:
        """Return what is left of each row after encoding and decoding.

        Parameters
        ----------
        X : like the training data
            Rows.
        y : array-like of labels, optional
            Labels, when the model was fitted with y; None averages over them.
        """
        return self.inverse_transform(self.transform(X), y)

    def impute(self, X: Any, y: Any = None, *, max_iter: int = 100) -> np.ndarray:
        """Fill the nan of X with what the model expects given the rest of the row.

        Encoding and decoding are repeated from the mean of the training data; what is known never
        changes.

        Parameters
        ----------
        X : array-like with nan
            Rows.
        y : array-like of labels, optional
            Labels, when the model was fitted with y; None averages over them.
        max_iter : int, default=100
            Rounds.
        """
        from sklearn.utils.validation import _check_feature_names, check_is_fitted

        check_is_fitted(self)
        _check_feature_names(self, X, reset=False)
        X = np.array(X, dtype=self.dtype_)
        if X.shape[1:] != tuple(self.row_shape_) or np.isinf(X).any():
            raise ValueError(
                f"X has shape {X.shape} and {np.isinf(X).sum()} infinite cells; give rows like the "
                f"training data, (n, {', '.join(map(str, self.row_shape_))}), with nan for what is "
                "missing."
            )
        missing = np.isnan(X)
        start = np.zeros((1, self.n_features_in_)) + (
            self.scale_ / 2 if self.decoder == "bernoulli" else self.shift_ - self._gap()
        )
        filled = np.where(missing, self._as_given(start), X)
        for _ in range(max_iter):
            rows = filled if filled.ndim == 2 else self.input.check(self, filled, reset=False)
            expected = self.inverse_transform(self._output(rows), y)
            if np.abs(expected - filled)[missing].max(initial=0) < 1e-6 * self.scale_.max():
                break
            filled = np.where(missing, expected, X)
        return filled


def _numbers_of_rows(rows: np.ndarray, n: int, width: int, seed: int) -> np.ndarray:
    """Return uniform numbers (rows, n, width) that follow from seed and values of each row alone.

    Points drawn once are turned around the unit interval by an angle of the row's own (Cranley and
    Patterson 1976). So errors of rows cancel, a call repeats, and other rows do not matter.
    """
    rng = np.random.default_rng(seed)
    points, pace = rng.uniform(size=(n, width)), rng.uniform(1, 1e4, size=width)
    angle = (rows * rng.normal(size=rows.shape[1])).sum(axis=1, dtype=np.float64)
    return (points + (angle[:, None] * pace)[:, None]) % 1
