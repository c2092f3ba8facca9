"""NoProp in continuous time."""

from typing import Annotated, Any, Literal

import numpy as np

from zoo.contract.params import Check, Fixed, Positive, Search
from zoo.engines.layerwise.estimator import ContinuousNoProp


class NoPropCTClassifier(ContinuousNoProp):
    r"""Classify by one block that denoises the label at any time t, under a learned noise schedule.

    The T blocks of `NoPropDTClassifier` become one block that is told t, and the sum over blocks an
    integral over t. How fast the noise goes is learned too, by a network that can only rise.

    .. math::
        \mathcal L = -\log p_\mathrm{out}(y|z_1) + \mathrm{KL}(q(z_0|y) \| \mathcal N(0, I))
        + \frac \eta 2 \mathbb E_t\, \mathrm{SNR}'(t)\, |\hat u(z_t, x, t) - u_y|^2, \qquad
        \mathrm{SNR}(t) = e^{-\gamma(t)}

    Parameters
    ----------
    eta : float, default=1.0
        Weight of the block's error.
    noise_schedule : {"learned", "cosine", "linear"}, default="learned"
        How the label's share rises; "learned" lets a monotone network draw log SNR between its ends.
    min_snr, max_snr : float, default=0.001, 10.0
        Signal-to-noise ratio at t = 0 and t = 1.
    sampler : {"mean", "sde", "ddim", "ode"}, default="mean"
        How predictions walk from z_0 to z_1: the posterior mean of each step, the same with its noise,
        the steps of DDIM, or the differential equation that these follow, with steps that adapt.

    Attributes
    ----------
    embedding_ : array of shape (n_classes, d)
        Label embeddings at the start of the training.

    Notes
    -----
    The block has no batch norm, and back-propagation happens inside it. The schedule is monotone for
    any weights, as a softplus makes them positive. Its ends are fixed here: a free end would run
    to an infinite ratio, and between fixed ends the expected loss of an ideal block does not depend on
    the form at all, so learning it moves training effort rather than the optimum.

    What makes this method hard to train is the spread of :math:`\mathrm{SNR}'(t)`, which is largest
    where the state already tells the label. So ``n_times`` states of a row are drawn in one step, and
    half of their times are drawn where the weight is, with the weight divided by their density, which
    leaves the expected loss as it is; and the schedule ends at a ratio of 10, which does not.

    References
    ----------
    Li, Teh and Pascanu (2025), NoProp: training neural networks without back-propagation or
    forward-propagation, arXiv:2503.24322. Kingma, Salimans, Poole and Ho (2021), Variational diffusion
    models, NeurIPS (the schedule). Song, Meng and Ermon (2021), Denoising diffusion implicit models,
    ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import NoPropCTClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = NoPropCTClassifier(max_epochs=30, random_state=0)
    >>> model.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.85
    True
    """

    eta: Annotated[Positive, Search(0.01, 10.0, log=True)] = 1.0
    noise_schedule: Literal["learned", "cosine", "linear"] = "learned"
    min_snr: Annotated[Positive, Search(1e-4, 1e-1, log=True)] = 1e-3
    max_snr: Annotated[
        float, Check(lambda v: 0 < v < float("inf"), "a finite number > 0"),
        Search(1, 100, log=True),
    ] = 10.0  # fmt: skip
    sampler: Annotated[
        Literal["mean", "sde", "ddim", "ode"], Fixed("it changes predictions, not the block")
    ] = "mean"

    def _spec(self, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        if self.min_snr >= self.max_snr:
            raise ValueError(
                f"NoPropCTClassifier: min_snr={self.min_snr} is not below max_snr={self.max_snr}; the "
                "share of the label must rise with t."
            )
        return self._form(X) | {
            "noise_schedule": self.noise_schedule,
            "min_snr": float(self.min_snr),
            "max_snr": float(self.max_snr),
            "eta": float(self.eta),
        }

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.layerwise.continuous import ContinuousDenoiser

        return ContinuousDenoiser(**spec)
