"""Networks that learn by target activations along random directions."""

from typing import Annotated, ClassVar

import numpy as np

from zoo.contract.estimator import Estimator
from zoo.contract.inputs import Input, Table
from zoo.contract.params import Count, Fixed, Positive, Search, Seed
from zoo.contract.roles import Classifier, Regressor
from zoo.contract.steps import Steps
from zoo.contract.targets import Numbers, Target
from zoo.engines.modules.scaling import location_scale
from zoo.noprop import _targets as targets


class TargetActivation(Estimator, abstract=True):
    """Layers whose weights and targets come from least squares, not from gradients.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(128, 128)
        Units of the hidden layers.
    n_directions : int, default=64
        Random directions along which weights, and inputs, may move in a step.
    lr : float, default=0.5
        Share of the least-squares step that is taken; it falls to 0 as a cosine.
    alpha : float, default=0.01
        Ridge of the step of the weights, against the mean over rows.
    target_step : float, default=1.0
        Share of the step of the inputs that becomes the target of the layer below.
    target_reg : float, default=0.2
        Ridge of the step of the inputs.
    train_hidden : bool, default=True
        False leaves the hidden layers as they were drawn: what the hidden targets are compared with.
    max_epochs : int, default=30
        Passes over the data.
    batch_size : int, default=256
        Rows of a step.
    random_state : int, RandomState or None, default=None
        Seed of first weights, directions and the order of rows.

    Attributes
    ----------
    coefs_ : list of arrays of shape (n_in + 1, n_out)
        Weights of each layer, the bias in the last row.
    loss_curve_ : array of shape (max_epochs,)
        Mean squared error of each pass.
    x_mean_, x_scale_ : arrays of shape (n_features,)
        Location and scale of the columns.
    """

    input: ClassVar[Input] = Table()

    hidden_layer_sizes: Annotated[
        tuple[Count, ...], Fixed("the choice of architectures is yours; search a list of tuples")
    ] = (128, 128)
    n_directions: Annotated[Count, Search(1, 128, log=True)] = 64
    lr: Annotated[Positive, Search(0.05, 1.0, log=True)] = 0.5
    alpha: Annotated[Positive, Search(1e-4, 1.0, log=True)] = 1e-2
    target_step: Annotated[Positive, Search(0.1, 2.0, log=True)] = 1.0
    target_reg: Annotated[Positive, Search(0.01, 10.0, log=True)] = 0.2
    train_hidden: Annotated[bool, Fixed("it is there for comparison")] = True
    max_epochs: Annotated[Count, Fixed("a budget")] = 30
    batch_size: Annotated[Count, Search(64, 1024, log=True)] = 256
    random_state: Seed = None

    def _train(
        self, X: np.ndarray, Y: np.ndarray, w: np.ndarray | None, steps: Steps, one_sided: bool
    ) -> None:
        rng = self._random_source()
        self.x_mean_, self.x_scale_ = location_scale(X, w)
        sizes = [X.shape[1], *map(int, self.hidden_layer_sizes), Y.shape[1]]
        self.coefs_ = targets.first_weights(sizes, rng, self.dtype_)
        losses = targets.learn(
            (X - self.x_mean_) / self.x_scale_, Y.astype(self.dtype_), w, self.coefs_, rng, steps,
            max_epochs=int(self.max_epochs), batch_size=int(self.batch_size), lr=float(self.lr),
            n_directions=int(self.n_directions), alpha=float(self.alpha),
            target_step=float(self.target_step), target_reg=float(self.target_reg),
            train_hidden=bool(self.train_hidden), one_sided=one_sided,
        )  # fmt: skip
        self.loss_curve_ = np.array(losses)

    def _last_sums(self, X: np.ndarray) -> np.ndarray:
        _, sums = targets.forward((X - self.x_mean_) / self.x_scale_, self.coefs_)
        return sums[-1]


class TargetActivationClassifier(Classifier, TargetActivation):
    r"""Classify by a network whose layers are fitted to targets, one least-squares step at a time.

    For a batch the last layer moves towards the labels, along random directions of its weights. What
    error is left is turned into a wish for other inputs, and through the inverse of the activation
    into targets of the layer below, which moves in its turn. No derivative is taken.

    .. math::
        \Delta W = D \arg\min_F |X D F - dY|, \qquad
        dx = D (G G^\top + \lambda I)^{-1} G\, dy,\; G = D^\top W, \qquad
        \phi(a) = a + \max(a, 0)

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(128, 128)
        Units of the hidden layers.

    Attributes
    ----------
    coefs_ : list of arrays
        Weights of each layer.

    Notes
    -----
    The notes that this method comes from divide the error by <w, d> for weights and by <x, d> for
    inputs; moving w along d changes the output by <x, d>, so the two are exchanged. They average
    ratios whose denominator passes through zero, which have no variance; the least squares solved here
    are what the average stands for, with one direction :math:`\sum dy\langle x,d\rangle /
    \sum\langle x,d\rangle^2`. The activation is invertible, as the targets need. A sum that
    lies beyond its label, above 1 or below 0, is right enough and asks nothing of the hidden layers.
    Compare with ``train_hidden=False``: on digits most of the accuracy is the last layer's. Not for
    large tasks.

    References
    ----------
    Lee, Zhang, Fischer and Bengio (2015), Difference target propagation, ECML (targets instead of
    gradients). Huang, Zhu and Siew (2006), Extreme learning machine, Neurocomputing 70 (frozen hidden
    layers).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import TargetActivationClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = TargetActivationClassifier(random_state=0).fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.88
    True
    """

    # Sums fitted to 0 and 1 by least squares.
    logits: ClassVar[bool] = False

    def _learn(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        self._train(X, np.eye(len(self.classes_))[y], w, steps, one_sided=True)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._last_sums(X)


class TargetActivationRegressor(Regressor, TargetActivation):
    r"""Regress by a network whose layers are fitted to targets, one least-squares step at a time.

    The network of `TargetActivationClassifier` with the standardised targets in place of labels.

    .. math::
        \Delta W = D \arg\min_F |X D F - dY|, \qquad
        dx = D (G G^\top + \lambda I)^{-1} G\, dy,\; G = D^\top W

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(128, 128)
        Units of the hidden layers.

    Attributes
    ----------
    y_mean_, y_scale_ : float or arrays of shape (targets,)
        Location and scale that standardise y.

    References
    ----------
    Lee, Zhang, Fischer and Bengio (2015), Difference target propagation, ECML.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from zoo import TargetActivationRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = TargetActivationRegressor(alpha=0.1, max_epochs=10, random_state=0)
    >>> model.fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.3
    True
    """

    target: ClassVar[Target] = Numbers(many=True)

    def _learn(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, steps: Steps) -> None:
        self.y_mean_, self.y_scale_ = location_scale(y, w)
        scaled = (y - self.y_mean_) / self.y_scale_
        self._train(X, scaled if y.ndim == 2 else scaled[:, None], w, steps, one_sided=False)

    def _output(self, X: np.ndarray) -> np.ndarray:
        output = self._last_sums(X)
        return (output if np.ndim(self.y_mean_) else output[:, 0]) * self.y_scale_ + self.y_mean_
