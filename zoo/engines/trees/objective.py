"""The loss of boosting as one object: its formulas, the kernel that fuses them, and how leaves are set."""

from typing import NamedTuple

import numpy as np

from zoo.engines.losses import (
    Absolute,
    Huber,
    Logistic,
    Loss,
    Poisson,
    Quantile,
    Softmax,
    Squared,
    weighted_quantile,
)
from zoo.engines.trees import histograms


class Objective(NamedTuple):
    """What boosting asks of a loss."""

    loss: Loss
    kernel: int = histograms.OUTSIDE  # OUTSIDE: gradient and curvature are asked of the loss
    option: float = 0.0  # what the kernel has to know besides
    unit: bool = False  # whether every curvature is 1, so that their sum counts rows

    @property
    def quantile(self):
        """Quantile of the residuals that a leaf is set to; None where it holds its Newton step."""
        quantiles = {"absolute": 0.5, "quantile": getattr(self.loss, "quantile", 0.5)}
        return quantiles.get(self.loss.name)

    def value(self, y, scores, w):
        """Return the weighted mean loss of scores (outputs, n)."""
        s = scores[0] if len(scores) == 1 else scores.T
        return float(np.average(self.loss.value(y, s), weights=w))

    def derivatives(self, y, scores):
        """Ask the loss for gradient and curvature, (outputs, n) each."""
        s = _as_asked(scores)
        g, h = np.asarray(self.loss.gradient(y, s)), np.asarray(self.loss.curvature(y, s))
        if g.shape != s.shape or h.shape != s.shape:
            raise ValueError(
                f"{self.loss!r} must return one gradient and one curvature a row and score, shape {s.shape}, "
                f"but returned shapes {g.shape} and {h.shape}."
            )
        if not (np.isfinite(g).all() and np.isfinite(h).all() and (h >= 0).all()):
            raise ValueError(
                f"{self.loss!r} returned a gradient that is not finite or a curvature below 0; clip them."
            )
        return (g[None], h[None]) if len(scores) == 1 else (g.T, h.T)


def fused(loss: Loss, n_classes: int = 2) -> Objective:
    """Take a loss that has a kernel."""
    K = n_classes
    kernels = {
        Squared: (histograms.SQUARED, 0.0, True),
        Absolute: (histograms.ABSOLUTE, 0.0, True),
        Quantile: (histograms.QUANTILE, getattr(loss, "quantile", 0.0), True),
        Huber: (histograms.HUBER, getattr(loss, "delta", 0.0), True),
        Poisson: (histograms.POISSON, 0.0, False),
        Logistic: (histograms.LOGISTIC, 0.0, False),
        # All scores take their step at once: a curvature of their own each would step too far.
        Softmax: (histograms.SOFTMAX, K / max(K - 1, 1), False),
    }
    return Objective(loss, *kernels[type(loss)])


def leaf_quantile(residuals, q, w):
    """Return the (weighted) quantile of the residuals of a leaf."""
    if w is not None:
        return weighted_quantile(residuals, q, w)
    k = max(0, int(np.ceil(q * len(residuals) * (1 - 1e-12))) - 1)
    return float(np.partition(residuals, k)[k])


def _as_asked(scores):
    """Turn scores (outputs, n) into what a loss takes: (n,), or (n, K)."""
    return scores[0] if len(scores) == 1 else np.ascontiguousarray(scores.T)
