r"""The mathematics that all NoProp methods share, as pure functions.

Time runs as in the paper: t = 0 is noise, t = T is clean. :math:`\bar\alpha_t` rises with t, and
:math:`q(z_t|y) = \mathcal N(\sqrt{\bar\alpha_t}\,u_y, (1 - \bar\alpha_t) I)`. Everything here takes
numbers, arrays or tensors alike, except where it says array.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

# A predicted noise is divided by sqrt(abar); below this its errors drown the rest.
LEAST_ABAR_FOR_NOISE = 0.02


def rising(schedule: str | Sequence[float], T: int, max_snr: float, least: float = 0.0) -> Any:
    r"""Return the array :math:`\bar\alpha_0 < \dots < \bar\alpha_T`.

    Parameters
    ----------
    schedule : {"cosine", "linear"} or sequence of T + 1 numbers
        The form, or the values themselves.
    T : int
        Number of steps.
    max_snr : float
        Signal-to-noise ratio at t = T, which a normalised cosine would make infinite.
    least : float
        Value at t = 0. At 0 the first state is pure noise and holds nothing of the label.
    """
    if not isinstance(schedule, str):
        abar = np.array(schedule, dtype=np.float64)
        if abar.shape != (T + 1,) or (np.diff(abar) <= 0).any() or abar[0] < 0 or abar[-1] >= 1:
            raise ValueError(
                f"noise_schedule={tuple(schedule)} does not fit {T} blocks; give {T + 1} numbers that rise "
                "from 0 or more to less than 1 (at 1 the signal-to-noise ratio is infinite), or "
                "'cosine' or 'linear'."
            )
        return abar
    s = np.arange(T + 1) / T
    f = np.sin(np.pi / 2 * s) ** 2 if schedule == "cosine" else s
    last = max_snr / (1 + max_snr)
    return least + (last - least) * f


def snr(abar: Any) -> Any:
    r"""Return :math:`\bar\alpha / (1 - \bar\alpha)`."""
    return abar / (1 - abar)


def noised(u: Any, eps: Any, abar: Any) -> Any:
    r"""Return :math:`z = \sqrt{\bar\alpha}\,u + \sqrt{1 - \bar\alpha}\,\epsilon`."""
    return abar**0.5 * u + (1 - abar) ** 0.5 * eps


def posterior(abar_s: Any, abar_t: Any) -> tuple[Any, Any, Any]:
    r"""Return a, b, c of :math:`q(z_t|z_s, y) = \mathcal N(a\,u_y + b\,z_s, c\,I)`, s before t.

    With :math:`\alpha = \bar\alpha_s / \bar\alpha_t`: z_s is a noisier copy of z_t.
    """
    alpha = abar_s / abar_t
    a = abar_t**0.5 * (1 - alpha) / (1 - abar_s)
    b = alpha**0.5 * (1 - abar_t) / (1 - abar_s)
    c = (1 - abar_t) * (1 - alpha) / (1 - abar_s)
    return a, b, c


def ddim(abar_s: Any, abar_t: Any) -> tuple[Any, Any]:
    r"""Return a, b of the step :math:`z_t = a\,u + b\,z_s` that keeps the noise where it is."""
    b = ((1 - abar_t) / (1 - abar_s)) ** 0.5
    return abar_t**0.5 - b * abar_s**0.5, b


def step(sampler: str, abar_s: Any, abar_t: Any) -> tuple[Any, Any, Any]:
    """Return a, b, c of one step: "mean" is "sde" without its noise, "ddim" has none."""
    if sampler == "ddim":
        return *ddim(abar_s, abar_t), 0.0 * abar_t
    a, b, c = posterior(abar_s, abar_t)
    return a, b, c if sampler == "sde" else 0.0 * c


def prior_kl(u_square: Any, d: int, abar: Any) -> Any:
    r"""Return :math:`\mathrm{KL}(q(z_0|y) \| \mathcal N(0, I))` where :math:`|u_y|^2` is given."""
    log = np.log if isinstance(abar, float | np.ndarray) else type(abar).log
    return 0.5 * (abar * u_square - d * abar - d * log(1 - abar))


def clean(output: Any, z: Any, abar: Any, parametrization: str) -> Any:
    r"""Return :math:`\hat u` where the network gives u, the noise, or v.

    :math:`v = \sqrt{\bar\alpha}\,\epsilon - \sqrt{1 - \bar\alpha}\,u`.
    """
    if parametrization == "u":
        return output
    if parametrization == "eps":
        return (z - (1 - abar) ** 0.5 * output) / abar**0.5
    return abar**0.5 * z - (1 - abar) ** 0.5 * output


def gaussian_logits(z: Any, W: Any, signal: Any, variance: Any) -> Any:
    r"""Return :math:`\log p(y|z)` up to a constant where :math:`z \sim \mathcal N(s\,u_y, v I)`.

    By Bayes' rule, all y alike; z is (..., d), W is (k, d).
    """
    cross = z @ W.T
    return (signal * cross - 0.5 * signal**2 * (W * W).sum(-1)) / variance


def class_logits(z: Any, W: Any, abar: Any) -> Any:
    """Return the exact answer to "which label was this state made from", up to a constant."""
    return gaussian_logits(z, W, abar**0.5, 1 - abar)


def prototypes(rows: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """Return for each class the row whose median distance to the others of its class is least."""
    chosen = []
    for label in range(k):
        own = rows[y == label]
        if len(own) < 2:
            raise ValueError(
                f"embedding='prototype' compares the rows of each class, but class number {label} "
                f"has {len(own)}; give every class 2 rows or more, or use embedding='one-hot'."
            )
        square = (own**2).sum(axis=1)
        medians = []
        for start in range(0, len(own), 1024):
            part = slice(start, start + 1024)
            distance = square[part, None] - 2 * own[part] @ own.T + square
            medians.append(np.median(distance, axis=1))
        chosen.append(own[np.concatenate(medians).argmin()])
    return np.array(chosen)


def flow_state(t: Any, z0: Any, z1: Any, sigma: float, eps: Any) -> Any:
    r"""Return :math:`z_t = t z_1 + (1 - t) z_0 + \sigma\epsilon`, a point on the straight way."""
    return t * z1 + (1 - t) * z0 + sigma * eps


def flow_class_logits(z: Any, W: Any, t: Any, sigma: float) -> Any:
    r"""Return :math:`\log p(y|z_t)` up to a constant, z_t ~ N(t u_y, ((1 - t)^2 + sigma^2) I)."""
    return gaussian_logits(z, W, t, (1 - t) ** 2 + sigma**2)
