"""NoProp by flow matching."""

from typing import Annotated, Any, Literal

import numpy as np

from zoo.contract.params import Fixed, Positive, Search
from zoo.engines.layerwise.estimator import ContinuousNoProp


class NoPropFMClassifier(ContinuousNoProp):
    r"""Classify by a flow that carries noise to the label's embedding on straight ways.

    One block learns the velocity of a state on its way from noise z_0 to the embedding z_1. To
    predict, the state follows that velocity, and the nearest embedding is the answer.

    .. math::
        z_t = t z_1 + (1 - t) z_0 + \sigma\epsilon, \qquad
        \mathcal L = \mathbb E\, |v(z_t, x, t) - (z_1 - z_0)|^2, \qquad \dot z = v(z, x, t)

    Parameters
    ----------
    sigma : float, default=0.1
        Spread of the states around the straight way.
    sampler : {"euler", "heun", "ode"}, default="euler"
        Rule by which the flow is followed; "heun" asks the block twice a step, "ode" adapts the steps
        of each row to it.

    Attributes
    ----------
    embedding_ : array of shape (n_classes, d)
        Label embeddings at the start of the training.

    Notes
    -----
    The block has no batch norm, and back-propagation happens inside it. With trained embeddings the
    cross entropy of :math:`z_t + (1 - t) v` joins the loss, or all embeddings would become one.
    A head other than "nearest" learns on :math:`z_t + (1 - t) v`, an estimate of the end.
    Probabilities are those of the label given the last state, and of several runs with ``n_samples``.

    References
    ----------
    Li, Teh and Pascanu (2025), NoProp: training neural networks without back-propagation or
    forward-propagation, arXiv:2503.24322. Lipman, Chen, Ben-Hamu, Nickel and Le (2023), Flow matching
    for generative modeling, ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import NoPropFMClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = NoPropFMClassifier(max_epochs=30, random_state=0)
    >>> model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    """

    sigma: Annotated[Positive, Search(0.01, 0.5, log=True)] = 0.1
    sampler: Annotated[
        Literal["euler", "heun", "ode"], Fixed("it changes predictions, not the block")
    ] = "euler"

    head = "nearest"
    # Its loss weighs all times alike: one time a row serves, where CT needs eight.
    n_times = 1

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        return self._form(X) | {"sigma": float(self.sigma)}

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.layerwise.continuous import Flow

        return Flow(**spec)
