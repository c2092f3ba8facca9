"""A network of two stages: first it learns to compress its input, then to classify."""

from typing import Annotated, Any

import numpy as np

from zoo.contract.params import Count, Search, Whole
from zoo.contract.steps import Steps
from zoo.engines.modules.scaling import location_scale
from zoo.engines.neural.estimator import NeuralClassifier


class Pretrained(NeuralClassifier):
    r"""Classify by a network whose first layer was an encoder before.

    .. math::
        \min_{A, B} \|x - B \tanh(A x)\|^2, \qquad \text{then} \qquad
        p = \mathrm{softmax}(W \tanh(A x) + b)

    Parameters
    ----------
    width : int, default=16
        Units of the hidden layer.
    pretraining_epochs : int, default=5
        Length of the first stage.

    Attributes
    ----------
    reconstruction_ : array
        Loss of the first stage, by epoch.
    """

    width: Annotated[Count, Search(8, 128, log=True)] = 16
    pretraining_epochs: Annotated[Whole, Search(0, 50)] = 5

    def _measure(self, X: np.ndarray, y: Any, w: Any) -> None:
        super()._measure(X, y, w)
        self.x_mean_, self.x_scale_ = location_scale(X, w)

    def _prepare(self, X: np.ndarray) -> np.ndarray:
        return (X - self.x_mean_) / self.x_scale_

    def _spec(self, X: np.ndarray, y: Any) -> dict[str, Any]:
        return {"d": X.shape[1], "width": int(self.width), "k": len(self.classes_)}

    @staticmethod
    def _module(d: int, width: int, k: int) -> Any:
        from torch import nn

        return nn.Sequential(nn.Linear(d, width), nn.Tanh(), nn.Linear(width, k))

    def _pretrain(self, X: Any, y: Any, w: Any, steps: Steps) -> None:
        from torch import nn

        from zoo.engines.modules.blocks import seeded

        encoder, x = self.net_.module_[:2], self._prepare(X)
        with seeded(self.seed_):
            decoder = nn.Linear(encoder[0].out_features, x.shape[1]).to(encoder[0].weight.dtype)
        net = self._net_on(
            nn.Sequential(*encoder, decoder),
            criterion=nn.MSELoss(reduction="none"),
            max_epochs=self.pretraining_epochs,
        )
        self._train(net, x, x, w, steps=steps, stage="pretraining")
        self.reconstruction_ = np.array([row["train_loss"] for row in net.history])
