"""Difference target propagation."""

from typing import Annotated, Any, ClassVar

import numpy as np

from zoo.contract.params import NonNegative, Positive, Search
from zoo.engines.layerwise.estimator import LayeredClassifier


class DifferenceTargetPropClassifier(LayeredClassifier):
    r"""Classify by a perceptron whose layers move towards targets that learned inverses hand down.

    The last hidden layer's target lies a step down the loss. A learned inverse of each layer carries
    the target to the layer below, corrected by what the inverse gets wrong at the present state.

    .. math::
        \hat h_L = h_L - \eta\, \nabla_{h_L} \mathcal L, \qquad
        \hat h_{l-1} = h_{l-1} - g_l(h_l) + g_l(\hat h_l), \qquad
        \mathcal L_l = |f_l(h_{l-1}) - \hat h_l|^2

    Parameters
    ----------
    target_step : float, default=1.0
        The step :math:`\eta` of the first target.
    noise : float, default=0.1
        Spread of the points around the states at which inverses learn.

    Attributes
    ----------
    x_mean_, x_scale_ : arrays
        Location and scale of the columns.

    Notes
    -----
    Layers and inverses are tanh of a linear map. The one derivative across layers is that of the last
    linear layer, in closed form. With exact inverses the targets of all layers are met at once.

    References
    ----------
    Lee, Zhang, Fischer and Bengio (2015), Difference target propagation, ECML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import DifferenceTargetPropClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = DifferenceTargetPropClassifier(max_epochs=20, random_state=0)
    >>> model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    """

    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": (
            "inverses learn at noisy points, so a row given twice gets two draws; scikit-learn "
            "excuses its stochastic BaggingClassifier alike"
        ),
        "check_weights_count_as_repetition": "for the same reason: every row draws its own noise",
    }

    target_step: Annotated[Positive, Search(0.1, 10.0, log=True)] = 1.0
    noise: Annotated[NonNegative, Search(0.01, 0.5, log=True)] = 0.1

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        return super()._spec(X, y) | {
            "target_step": float(self.target_step),
            "noise": float(self.noise),
        }

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.layerwise.layered import TargetPropagation

        return TargetPropagation(**spec)
