"""The forward-forward algorithm."""

from typing import Annotated, Any, ClassVar

import numpy as np

from zoo.contract.params import Positive, Search
from zoo.engines.layerwise.estimator import LayeredClassifier


class ForwardForwardClassifier(LayeredClassifier):
    r"""Classify by layers that are excited by rows with their right label and calmed by others.

    A row enters beside a label. Each layer learns alone to have a high goodness, the mean square of
    its units, where the label is right and a low one where it is wrong. The answer is the label
    with the most goodness.

    .. math::
        \mathcal L_l = \log(1 + e^{\theta - g_l(x, y)}) + \log(1 + e^{g_l(x, y') - \theta}), \qquad
        g_l = \overline{h_l^2}, \quad y' \ne y

    Parameters
    ----------
    threshold : float, default=1.0
        The goodness :math:`\theta` between right and wrong.

    Attributes
    ----------
    x_mean_, x_scale_ : arrays
        Location and scale of the columns.

    Notes
    -----
    The label is a vector beside the row instead of a row's first pixels, so that tables work alike.
    Wrong labels are drawn anew in every step. With several layers the first one's goodness is left
    out of the answer, as in the paper. A prediction costs a pass for each class.

    References
    ----------
    Hinton (2022), The forward-forward algorithm: some preliminary investigations, arXiv:2212.13345.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import ForwardForwardClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = ForwardForwardClassifier(max_epochs=30, random_state=0).fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.8
    True
    """

    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": (
            "training draws a wrong label for every row, so a row given twice gets two draws; "
            "scikit-learn excuses its stochastic BaggingClassifier alike"
        ),
    }

    threshold: Annotated[Positive, Search(0.3, 10.0, log=True)] = 1.0

    lr = 3e-3

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        return super()._spec(X, y) | {"threshold": float(self.threshold)}

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.layerwise.layered import ForwardForward

        return ForwardForward(**spec)
