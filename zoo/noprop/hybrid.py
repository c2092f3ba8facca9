"""The hybrid form of NoProp."""

from typing import Annotated, Any, Literal

import numpy as np

from zoo.contract.params import Fixed, NonNegative, Search, UnitInterval
from zoo.engines.diffusion import schedules as diffusion
from zoo.engines.layerwise.estimator import DiscreteNoProp


class NoPropHybridClassifier(DiscreteNoProp):
    r"""Classify by T blocks trained alone, each on the noise it removes and on the label it finds.

    As in `NoPropDTClassifier` every block learns for itself from rows and noisy label embeddings. A
    block gives a vector instead of class logits, its loss is the sum of the errors in the noise and in
    the embedding, and the head learns on what the blocks give.

    .. math::
        \mathcal L_t = \eta_1 |\hat\epsilon_t - \epsilon|^2 + \eta_2 |\hat u_t - u_y|^2
        = (\eta_1 \mathrm{SNR}_{t-1} + \eta_2)\, |\hat u_t(z_{t-1}, x) - u_y|^2

    Parameters
    ----------
    eta_noise, eta_label : float, default=2.0, 1.0
        Weights of the errors in the noise and in the embedding.
    noise_schedule : {"cosine", "linear"} or sequence of T + 1 floats, default="cosine"
        How the share of the label in the state rises from t = 0 to t = T.
    parametrization : {"u", "eps", "v"}, default="u"
        What the network gives: the embedding, the noise, or
        :math:`v = \sqrt{\bar\alpha}\,\epsilon - \sqrt{1 - \bar\alpha}\,u`; the others follow.

    Attributes
    ----------
    embedding_ : array of shape (n_classes, d)
        Label embeddings at the start of the training.

    Notes
    -----
    The two losses are one, as the equation says: given z, noise and embedding determine each other.
    The notes that this method comes from train block t on one state and use it on the next, show the
    label itself to the first block, and divide a predicted noise by a :math:`\sqrt{\bar\alpha}` near
    zero. Here every block is used on the state it was trained on, time runs from noise to label,
    the network gives the embedding unless asked otherwise, and for "eps" :math:`\bar\alpha` stays
    above 0.02 (the first state then holds a trace of the label in training). Embeddings are trained
    only with ``embedding="learned"`` or "prototype", and the head learns on the guesses of all blocks.

    References
    ----------
    Li, Teh and Pascanu (2025), NoProp: training neural networks without back-propagation or
    forward-propagation, arXiv:2503.24322. Salimans and Ho (2022), Progressive distillation for fast
    sampling of diffusion models, ICLR (the parametrization v).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import NoPropHybridClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = NoPropHybridClassifier(n_blocks=3, max_epochs=20, random_state=0)
    >>> model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True
    """

    eta_noise: Annotated[NonNegative, Search(0.1, 10.0, log=True)] = 2.0
    eta_label: Annotated[NonNegative, Search(0.1, 10.0, log=True)] = 1.0
    # The weight of a block here is no bound's: to learn the schedule would be to lower the weights.
    noise_schedule: Annotated[
        Literal["cosine", "linear"] | tuple[UnitInterval, ...], Fixed("cosine serves")
    ] = "cosine"
    parametrization: Annotated[
        Literal["u", "eps", "v"], Fixed("u is the one that lasts")
    ] = "u"

    def _schedule(self) -> np.ndarray:
        least = diffusion.LEAST_ABAR_FOR_NOISE if self.parametrization == "eps" else 0.0
        abar: np.ndarray = diffusion.rising(
            self.noise_schedule, int(self.n_blocks), float(self.max_snr), least
        )
        if self.parametrization == "eps" and abar[0] < diffusion.LEAST_ABAR_FOR_NOISE:
            raise ValueError(
                f"NoPropHybridClassifier: noise_schedule begins at {abar[0]:g}, but "
                f"parametrization='eps' divides by its root; begin at "
                f"{diffusion.LEAST_ABAR_FOR_NOISE} or more, or use parametrization='u'."
            )
        return abar

    def _parametrization(self) -> str:
        return self.parametrization

    def _weighting(self) -> dict[str, Any]:
        return {"weights": (float(self.eta_noise), float(self.eta_label))}
