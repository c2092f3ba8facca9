"""Convolutional networks."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.inputs import Images, ImageShape, Input
from zoo.contract.params import Count, Fixed, NonNegative, Probability, Search, Whole
from zoo.contract.targets import Numbers, Target
from zoo.engines.magnitudes import check_squares
from zoo.engines.modules.perceptron import Activation, Initialization
from zoo.engines.modules.scaling import channel_scale
from zoo.engines.neural.estimator import Neural, NeuralClassifier, NeuralRegressor

Mixing = Annotated[NonNegative, Search(0.0, 1.0)]


class ConvNet(Neural, abstract=True):
    """Convolution, activation and pooling, several times over; then fully connected layers.

    Parameters
    ----------
    filters : sequence of int, default=(32, 64)
        Filters of each convolution.
    kernel_size : int, default=3
        Side of a filter; the size of the image is kept by padding with zeros.
    pool_size : int, default=2
        Side of the windows of which pooling keeps the largest value; 1 pools nothing.
    hidden_layer_sizes : sequence of int, default=(128,)
        Units of the fully connected layers.
    activation : str, default="relu"
        The non-linearity h.
    norm : "batch" or None, default=None
        Normalise each filter's output over the batch.
    dropout : float, default=0.0
        Chance that a unit is silenced for a row while training.
    initialization : str, default="glorot_uniform"
        Distribution of the first weights.
    shift : int, default=0
        Augmentation: largest random shift in pixels; zeros come in at the border.
    crop : int, default=0
        Augmentation: pad by this many reflected pixels and cut out a window of the old size.
    flip : bool, default=False
        Augmentation: mirror left and right half of the time.
    mixup, cutmix : float, default=0.0
        Augmentation: blend two images, or put a box of one into the other; the value is the
        parameter of the Beta distribution of the share.
    image_shape : tuple, "row" or None, default=None
        What a flattened row of X is: (H, W) or (C, H, W), or "row" for a strip of pixels; (H, W, C)
        declares channels last. None infers a square.

    Attributes
    ----------
    image_shape_ : tuple of int
        Channels, height and width.
    """

    input: ClassVar[Input] = Images()

    filters: Annotated[
        tuple[Count, ...], Fixed("the choice of architectures is yours; search a list of tuples")
    ] = (32, 64)
    kernel_size: Literal[1, 3, 5, 7, 9, 11] = 3
    pool_size: Annotated[Count, Search(1, 3)] = 2
    hidden_layer_sizes: Annotated[
        tuple[Count, ...], Fixed("the choice of architectures is yours; search a list of tuples")
    ] = (128,)
    activation: Activation = "relu"
    norm: Literal["batch"] | None = None
    dropout: Probability = 0.0
    initialization: Annotated[Initialization, Fixed("it matters little here")] = "glorot_uniform"
    shift: Annotated[Whole, Search(0, 4)] = 0
    crop: Annotated[Whole, Search(0, 4)] = 0
    flip: bool = False
    mixup: Mixing = 0.0
    cutmix: Mixing = 0.0
    image_shape: ImageShape = None

    max_epochs = 20
    batch_size = 128
    lr = 2e-3
    schedule = "warm_up_cosine"

    def feature_maps(self, X: Any) -> np.ndarray:
        """Return the output of the convolutions, (n, filters, h, w); it shifts with the image."""
        import torch

        from zoo.engines.neural.rows import as_column, gather

        X = self._checked(X)
        rows = gather(as_column(X), slice(None))
        module = self.net_.module_
        weight = next(module.parameters())
        with torch.inference_mode():
            maps = module.feature_maps(rows.to(weight.device, weight.dtype))
        return maps.cpu().numpy()

    def _measure(self, X: np.ndarray, y: Any, w: np.ndarray | None) -> None:
        super()._measure(X, y, w)
        check_squares(type(self).__name__, X=X)
        self.x_mean_, self.x_scale_ = channel_scale(X, w)

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        return {
            "shape": [int(size) for size in X.shape[1:]],
            "filters": [int(f) for f in self.filters],
            "kernel_size": int(self.kernel_size),
            "pool_size": int(self.pool_size),
            "hidden": [int(h) for h in self.hidden_layer_sizes],
            "n_outputs": self._n_outputs(y),
            "activation": self.activation,
            "norm": self.norm,
            "dropout": float(self.dropout),
            "initialization": self.initialization,
            "mean": self.x_mean_.tolist(),
            "scale": self.x_scale_.tolist(),
        }

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.vision._convnet import Conv

        return Conv(**spec)

    def _augment(self) -> Any:
        from zoo.engines.neural import augment

        chosen = [
            (self.flip, augment.Flip, ()),
            (self.shift, augment.Shift, (self.shift,)),
            (self.crop, augment.Crop, (self.crop,)),
            (self.mixup, augment.Mixup, (self.mixup, self._n_classes())),
            (self.cutmix, augment.CutMix, (self.cutmix, self._n_classes())),
        ]
        transforms = [transform(*options) for on, transform, options in chosen if on]
        return augment.Compose(*transforms) if transforms else None


class ConvNetClassifier(ConvNet, NeuralClassifier):
    r"""Classify images by a convolutional network.

    Small filters slide over the image, so that a pattern is found wherever it lies; pooling keeps
    the strongest response near each place; fully connected layers turn the responses into logits.

    .. math::
        a^{(l)}_{c}[i, j] = \mathrm{pool}\; h\Big(b_c + \sum_{c', m, n}
        W_{c c'}[m, n]\, a^{(l-1)}_{c'}[i + m, j + n]\Big), \qquad
        p = \mathrm{softmax}(\mathrm{mlp}(a^{(N)}))

    Attributes
    ----------
    x_mean_, x_scale_ : arrays of shape (channels,)
        Location and scale of each channel, applied inside the network.

    Notes
    -----
    A convolution with k x k filters has (k k C_in + 1) C_out parameters. The network of two
    convolutions (16, 32) and 128 units on 3 x 32 x 32 images has 268,650; the textbook compares it
    with a perceptron of 411,146 and calls that a reduction of 53 %, but it is 35 %.
    uint8 images are kept as they are and turned into floats batch by batch.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document
    recognition, Proc. IEEE 86(11). Zhang et al. (2018), mixup, ICLR. Yun et al. (2019), CutMix,
    ICCV.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import ConvNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = ConvNetClassifier(filters=(8, 16), batch_size=32, max_epochs=10, random_state=0)
    >>> model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True
    """

    def _n_classes(self) -> int | None:
        return len(self.classes_)


class ConvNetRegressor(ConvNet, NeuralRegressor):
    r"""Regress on images by a convolutional network.

    The network of `ConvNetClassifier` with one output a target instead of one a class. Targets are
    standardised inside.

    .. math::
        a^{(l)}_{c}[i, j] = \mathrm{pool}\; h\Big(b_c + \sum_{c', m, n}
        W_{c c'}[m, n]\, a^{(l-1)}_{c'}[i + m, j + n]\Big), \qquad
        \hat y = \mathrm{mlp}(a^{(N)})

    Attributes
    ----------
    x_mean_, x_scale_ : arrays of shape (channels,)
        Location and scale of each channel, applied inside the network.
    y_mean_, y_scale_ : float or arrays of shape (targets,)
        Location and scale that standardise y.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document
    recognition, Proc. IEEE 86(11).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import ConvNetRegressor
    >>> X, y = load_digits(return_X_y=True)
    >>> ink = X.mean(axis=1)
    >>> model = ConvNetRegressor(filters=(8,), batch_size=32, max_epochs=20, random_state=0)
    >>> model.fit(X[:500], ink[:500]).score(X[500:], ink[500:]) > 0.9
    True
    """

    target: ClassVar[Target] = Numbers(many=True)

    def _n_classes(self) -> int | None:
        return None
