"""What all classifiers without end-to-end back-propagation share: how arrays enter a fit."""

from typing import Any, ClassVar

import numpy as np

from zoo.base import Classifier
from zoo.inputs import Images, ImageShape, Input
from zoo.neural.estimator import Neural, location_scale


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

    def _build_net(self, device: str) -> Any:
        from zoo.noprop._training import LocalTrainer

        return LocalTrainer(**super()._build_net(device).get_params(deep=False))

    def _criterion(self) -> Any:
        from zoo.noprop._training import ItsOwnLoss

        return ItsOwnLoss()

    def _inputs(self, X: np.ndarray, y: np.ndarray) -> Any:
        return {"x": X, "y": y}

    def _targets(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.zeros(len(X), self.dtype_)
