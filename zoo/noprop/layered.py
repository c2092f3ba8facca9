"""What the perceptrons without back-propagation share."""

from typing import Annotated, Any

import numpy as np

from zoo.noprop.local import LocallyTrained
from zoo.params import Check, Count, Fixed


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

    def _work(self) -> float:
        width = max(self.hidden_layer_sizes)
        return float(self.batch_size * width * max(width, self.n_features_in_))
