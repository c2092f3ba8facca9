"""Feedback alignment."""

from typing import Any, Literal

import numpy as np

from zoo.engines.layerwise.estimator import LayeredClassifier


class FeedbackAlignmentClassifier(LayeredClassifier):
    r"""Classify by a perceptron whose errors travel back through fixed random matrices.

    Back-propagation carries errors down by the transposed weights. Here random matrices that never
    change take their place, layer by layer or straight from the output, and the weights come to agree
    with them.

    .. math::
        \delta_l = (B_l^\top \delta_{l+1}) \odot \phi'(a_l) \quad\text{or}\quad
        \delta_l = (B_l^\top \delta_{out}) \odot \phi'(a_l), \qquad
        \nabla W_l = \delta_l h_{l-1}^\top

    Parameters
    ----------
    feedback : {"plain", "direct"}, default="plain"
        Errors pass through every layer above, or come from the output at once.

    Attributes
    ----------
    x_mean_, x_scale_ : arrays
        Location and scale of the columns.

    Notes
    -----
    The activation is tanh. With :math:`B_l = W_{l+1}` the plain form is back-propagation exactly.
    Convolutions, which share weights, learn badly this way; there are none here.

    References
    ----------
    Lillicrap, Cownden, Tweed and Akerman (2016), Random synaptic feedback weights support error
    backpropagation for deep learning, Nature Communications 7. Nøkland (2016), Direct feedback alignment
    provides learning in deep neural networks, NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import FeedbackAlignmentClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = FeedbackAlignmentClassifier(max_epochs=50, random_state=0).fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.87
    True
    """

    feedback: Literal["plain", "direct"] = "plain"

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        return super()._spec(X, y) | {"feedback": self.feedback}

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.layerwise.layered import Feedback

        return Feedback(**spec)
