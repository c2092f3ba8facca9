"""What the perceptrons without back-propagation share."""

from typing import Annotated, Any, ClassVar

import numpy as np

from zoo.base import Classifier
from zoo.inputs import Images, ImageShape, Input
from zoo.neural.estimator import Neural, location_scale
from zoo.params import Check, Count, Fixed


class LayeredClassifier(Classifier, Neural, abstract=True):
    """A perceptron on rows (images are flattened) whose layers learn by a local rule.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(128, 128, 128)
        Units of the hidden layers, one or more.
    image_shape : tuple, "row" or None, default=None
        What a flattened row of X is; it changes nothing here but what is accepted.

    Attributes
    ----------
    x_mean_, x_scale_ : arrays
        Location and scale of the columns.
    """

    input: ClassVar[Input] = Images(flat=True)

    hidden_layer_sizes: Annotated[
        tuple[Count, ...],
        Check(lambda sizes: len(sizes) > 0, "a tuple of one or more integers >= 1"),
        Fixed("the choice of architectures is yours; search a list of tuples"),
    ] = (128, 128, 128)
    image_shape: ImageShape = None

    batch_size = 128
    max_epochs = 50
    schedule = "warm_up_cosine"
    n_iter_no_change = None

    def _measure(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        rows = X.reshape(len(X), -1).astype(self.dtype_, copy=False)
        mean, scale = location_scale(rows, w)
        self.x_mean_, self.x_scale_ = mean.reshape(X.shape[1:]), scale.reshape(X.shape[1:])

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        return {
            "sizes": [int(np.prod(X.shape[1:])), *map(int, self.hidden_layer_sizes)],
            "n_classes": len(self.classes_),
            "mean": self.x_mean_.tolist(),
            "scale": self.x_scale_.tolist(),
        }

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

    def _scores(self, X: np.ndarray) -> np.ndarray:
        return self._forward(X)

    def _work(self) -> float:
        width = max(self.hidden_layer_sizes)
        return float(self.batch_size * width * max(width, self.n_features_in_))
