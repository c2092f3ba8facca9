"""Multi-layer perceptrons."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.params import Count, Fixed, Probability
from zoo.contract.targets import Numbers, Target
from zoo.engines.magnitudes import check_squares
from zoo.engines.modules.perceptron import Activation, Initialization, perceptron
from zoo.engines.modules.scaling import location_scale
from zoo.engines.neural.estimator import Neural, NeuralClassifier, NeuralRegressor


class MLP(Neural, abstract=True):
    """Linear layers with a non-linearity between them.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(100,)
        Units of each hidden layer; () is a linear model.
    activation : str, default="relu"
        The non-linearity h.
    dropout : float, default=0.0
        Chance that a hidden unit is silenced for a row while training.
    dropconnect : float, default=0.0
        Chance that a weight is silenced for a batch while training.
    norm : {"batch", "layer", "rms"} or None, default=None
        Normalisation of each hidden layer before the non-linearity.
    initialization : str, default="glorot_uniform"
        Distribution of the first weights.
    standardize : bool, default=True
        Bring the columns of X to mean 0 and deviation 1 first.
    """

    hidden_layer_sizes: Annotated[
        tuple[Count, ...], Fixed("the choice of architectures is yours; search a list of tuples")
    ] = (100,)
    activation: Activation = "relu"
    dropout: Probability = 0.0
    dropconnect: Probability = 0.0
    norm: Literal["batch", "layer", "rms"] | None = None
    initialization: Annotated[Initialization, Fixed("it matters little with a norm")] = (
        "glorot_uniform"
    )
    standardize: Annotated[bool, Fixed("networks want scaled columns")] = True

    def _measure(self, X: np.ndarray, y: Any, w: np.ndarray | None) -> None:
        super()._measure(X, y, w)
        if not self.standardize:
            check_squares(type(self).__name__, vanish=(), X=X)
        unit = (X.dtype.type(0), X.dtype.type(1))
        scales: tuple[Any, Any] = location_scale(X, w) if self.standardize else unit
        self.x_mean_, self.x_scale_ = scales

    def _prepare(self, X: np.ndarray) -> np.ndarray:
        return (X - self.x_mean_) / self.x_scale_

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        sizes = [X.shape[1], *self.hidden_layer_sizes, self._n_outputs(y)]
        return {
            "sizes": [int(size) for size in sizes],
            "activation": self.activation,
            "dropout": float(self.dropout),
            "dropconnect": float(self.dropconnect),
            "norm": self.norm,
            "initialization": self.initialization,
        }

    @staticmethod
    def _module(**spec: Any) -> Any:
        return perceptron(**spec)


class MLPClassifier(MLP, NeuralClassifier):
    r"""Classify by a multi-layer perceptron.

    Each layer is a linear map followed by a non-linearity; the last gives one logit a class. It is
    trained by stochastic gradient descent on the cross entropy.

    .. math::
        a^{(0)} = x, \quad a^{(l)} = h(W^{(l)} a^{(l-1)} + b^{(l)}), \quad
        p = \mathrm{softmax}(W^{(L)} a^{(L-1)} + b^{(L)}), \quad
        \min_{W, b} \; -\tfrac1n \sum_i \log p_{y_i}(x_i)

    Attributes
    ----------
    x_mean_, x_scale_ : arrays of shape (d,)
        Location and scale that standardise the columns of X.

    Notes
    -----
    A layer with n_in inputs and n_out outputs has n_in n_out weights and n_out biases. Initial
    weights are Glorot's, as in scikit-learn. With dropout, or rows in more than one batch, a weight
    of 2 is not the same as a row given twice: the noise and the batches differ.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors,
    Nature 323. Glorot and Bengio (2010), AISTATS.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(max_epochs=100, lr=0.01, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """


class MLPRegressor(MLP, NeuralRegressor):
    r"""Regress by a multi-layer perceptron.

    Each layer is a linear map followed by a non-linearity; the last gives one number a target.
    Columns and targets are standardised inside, so that one learning rate serves all units.

    .. math::
        a^{(l)} = h(W^{(l)} a^{(l-1)} + b^{(l)}), \qquad
        \min_{W, b} \; \tfrac1n \sum_i |y_i - W^{(L)} a^{(L-1)}(x_i) - b^{(L)}|^2

    Attributes
    ----------
    y_mean_, y_scale_ : float or arrays of shape (targets,)
        Location and scale that standardise y.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors,
    Nature 323.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(max_epochs=50, lr=0.01, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.5
    True
    """

    target: ClassVar[Target] = Numbers(many=True)
