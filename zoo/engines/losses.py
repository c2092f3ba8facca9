"""Losses and links with gradient and curvature: linear models, svm and boosting share them.

A loss is a small object that learns nothing. With ``y`` the target and ``s`` the raw score,

==================  =======================================  ==================  =============
name                value(y, s)                              y                   prediction
==================  =======================================  ==================  =============
``squared``         (y - s)^2 / 2                            real                s
``absolute``        |y - s|                                  real                s
``quantile``        max(q (y - s), (q - 1) (y - s))          real                s
``huber``           (y - s)^2 / 2 up to delta, then linear   real                s
``poisson``         exp(s) - y s                             y >= 0              exp(s)
``logistic``        log(1 + exp(s)) - y s                    0 or 1              1/(1+exp(-s))
``softmax``         log sum_k exp(s_k) - s_y                 0 .. K-1            softmax(s)
``hinge``           max(0, 1 - y s)                          -1 or 1             s
``squared_hinge``   max(0, 1 - y s)^2                        -1 or 1             s
``exponential``     exp(-y s)                                -1 or 1             1/(1+exp(-2s))
==================  =======================================  ==================  =============

``value``, ``gradient`` and ``curvature`` work element by element and are never weighted: the
caller multiplies by its weights and sums. Where a loss has a kink its gradient is a subgradient.
Where its second derivative vanishes or does not exist, ``curvature`` is a bound from above that
Newton steps can divide by, and ``smooth`` is False.

Only numpy is imported here: kernels that fuse these formulas live with the engines and are tested
against them.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "LOSSES",
    "Absolute",
    "Exponential",
    "Hinge",
    "Huber",
    "Logistic",
    "Loss",
    "Poisson",
    "Quantile",
    "Softmax",
    "Squared",
    "SquaredHinge",
    "get_loss",
    "weighted_quantile",
]

Array = NDArray[np.floating]


def weighted_quantile(y: ArrayLike, q: float, w: ArrayLike | None = None) -> float:
    """Smallest ``y`` below or at which at least the share ``q`` of the weight lies.

    This is a minimiser of the weighted quantile loss; a row of weight 2 counts as the row twice.
    """
    y = np.asarray(y)
    order = np.argsort(y, kind="stable")
    w = np.ones(len(y)) if w is None else np.asarray(w, dtype=np.float64)
    total = np.cumsum(w[order])
    # The tolerance makes q = 0.5 of 2 m equal weights land on the m-th row whatever the rounding.
    at = np.searchsorted(total, q * total[-1] * (1 - 1e-12))
    return float(y[order[min(at, len(y) - 1)]])


def _mean(y: Array, w: ArrayLike | None) -> float:
    weights = None if w is None else np.asarray(w, dtype=np.float64)
    return float(np.average(np.asarray(y, dtype=np.float64), weights=weights))


def _sigmoid(s: Array) -> Array:
    e = np.exp(-np.abs(s))
    return np.where(s >= 0, 1, e) / (1 + e)


class Loss:
    """What every loss answers; see the table of this module."""

    name: ClassVar[str]
    smooth: ClassVar[bool] = True
    """Whether gradient and curvature are the derivatives everywhere."""
    target: ClassVar[str] = "real"
    """What y may be: real, nonnegative, binary (0, 1), sign (-1, 1) or class (0 .. K-1)."""

    def value(self, y: Array, s: Array) -> Array:
        """Return the loss of each row."""
        raise NotImplementedError

    def gradient(self, y: Array, s: Array) -> Array:
        """Return the derivative of ``value`` by s."""
        raise NotImplementedError

    def curvature(self, y: Array, s: Array) -> Array:
        """Return the second derivative of ``value`` by s, or a bound on it; never negative."""
        raise NotImplementedError

    def inverse_link(self, s: Array) -> Array:
        """Return the prediction that belongs to the score s."""
        return s

    def link(self, mu: Array) -> Array:
        """Return the score that belongs to the prediction mu."""
        return mu

    def initial(self, y: Array, w: ArrayLike | None = None) -> float | Array:
        """Return the score of the best constant model, where there is one."""
        return 0.0

    def __repr__(self) -> str:
        inside = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({inside})"


class Squared(Loss):
    """(y - s)^2 / 2."""

    name = "squared"

    def value(self, y: Array, s: Array) -> Array:
        """Return half the squared residual."""
        return 0.5 * (y - s) ** 2

    def gradient(self, y: Array, s: Array) -> Array:
        """Return the residual s - y."""
        return s - y

    def curvature(self, y: Array, s: Array) -> Array:
        """Return one."""
        return np.ones_like(s)

    def initial(self, y: Array, w: ArrayLike | None = None) -> float:
        """Return the weighted mean."""
        return _mean(y, w)


class Quantile(Loss):
    """max(q (y - s), (q - 1) (y - s)): its minimiser is the q-quantile."""

    name = "quantile"
    smooth = False

    def __init__(self, quantile: float = 0.5) -> None:
        self.quantile = quantile

    def value(self, y: Array, s: Array) -> Array:
        """Weigh residuals above by q, below by 1 - q."""
        r = y - s
        return np.maximum(self.quantile * r, (self.quantile - 1) * r)

    def gradient(self, y: Array, s: Array) -> Array:
        """-q where y > s, 1 - q where y < s."""
        q = self.quantile
        return np.where(y > s, -q, np.where(y < s, 1 - q, 0.0)).astype(s.dtype)

    def curvature(self, y: Array, s: Array) -> Array:
        """Return one: the loss is piecewise linear, so the step is a gradient step."""
        return np.ones_like(s)

    def initial(self, y: Array, w: ArrayLike | None = None) -> float:
        """Return the weighted quantile."""
        return weighted_quantile(y, self.quantile, w)


class Absolute(Loss):
    """|y - s|: its minimiser is the median."""

    name = "absolute"
    smooth = False

    def value(self, y: Array, s: Array) -> Array:
        """Return the absolute residual."""
        return np.abs(y - s)

    def gradient(self, y: Array, s: Array) -> Array:
        """Return the sign of s - y."""
        return np.sign(s - y)

    def curvature(self, y: Array, s: Array) -> Array:
        """Return one: the loss is piecewise linear, so the step is a gradient step."""
        return np.ones_like(s)

    def initial(self, y: Array, w: ArrayLike | None = None) -> float:
        """Return the weighted median."""
        return weighted_quantile(y, 0.5, w)


class Huber(Loss):
    """(y - s)^2 / 2 where |y - s| <= delta, delta (|y - s| - delta / 2) beyond."""

    name = "huber"
    smooth = False

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def value(self, y: Array, s: Array) -> Array:
        """Return the squared near zero, linear in the tails."""
        r = np.abs(y - s)
        return np.where(r <= self.delta, 0.5 * r**2, self.delta * (r - 0.5 * self.delta))

    def gradient(self, y: Array, s: Array) -> Array:
        """Return the residual s - y, clipped to delta."""
        return np.clip(s - y, -self.delta, self.delta)

    def curvature(self, y: Array, s: Array) -> Array:
        """Return one: exact within delta, a bound beyond it."""
        return np.ones_like(s)

    def initial(self, y: Array, w: ArrayLike | None = None) -> float:
        """Return the weighted median: close to the minimiser and as robust."""
        return weighted_quantile(y, 0.5, w)


class Poisson(Loss):
    """exp(s) - y s: the negative log-likelihood of a Poisson count of mean exp(s)."""

    name = "poisson"
    target = "nonnegative"

    def value(self, y: Array, s: Array) -> Array:
        """Return the negative log-likelihood without the term that depends on y alone."""
        return np.exp(s) - y * s

    def gradient(self, y: Array, s: Array) -> Array:
        """Return the mean less the count, exp(s) - y."""
        return np.exp(s) - y

    def curvature(self, y: Array, s: Array) -> Array:
        """Return the mean, exp(s)."""
        return np.exp(s)

    def inverse_link(self, s: Array) -> Array:
        """Return the mean, exp(s)."""
        return np.exp(s)

    def link(self, mu: Array) -> Array:
        """Return the log of the mean."""
        return np.log(mu)

    def initial(self, y: Array, w: ArrayLike | None = None) -> float:
        """Return the log of the mean."""
        return float(np.log(max(_mean(y, w), np.finfo(np.float64).tiny)))


class Logistic(Loss):
    """log(1 + exp(s)) - y s with y in {0, 1}: gradient p - y, curvature p (1 - p)."""

    name = "logistic"
    target = "binary"

    def value(self, y: Array, s: Array) -> Array:
        """Return the negative log-likelihood of a coin with log-odds s."""
        return np.logaddexp(0, s) - y * s

    def gradient(self, y: Array, s: Array) -> Array:
        """Return the probability less target, p - y."""
        return _sigmoid(s) - y

    def curvature(self, y: Array, s: Array) -> Array:
        """Return the product p (1 - p), written so that it does not cancel for large s."""
        return _sigmoid(s) * _sigmoid(-s)

    def inverse_link(self, s: Array) -> Array:
        """Return the probability of class 1."""
        return _sigmoid(s)

    def link(self, mu: Array) -> Array:
        """Return the log-odds."""
        return np.log(mu) - np.log1p(-mu)

    def initial(self, y: Array, w: ArrayLike | None = None) -> float:
        """Return the log-odds of the share of ones, kept finite when there is one class only."""
        eps = np.finfo(np.float64).eps
        return float(self.link(np.clip(_mean(y, w), eps, 1 - eps)))


class Softmax(Loss):
    """log sum_k exp(s_k) - s_y with y in {0 .. K-1} and s of shape (n, K).

    ``gradient`` has the shape of s; ``curvature`` is the diagonal p_k (1 - p_k) of the Hessian.
    """

    name = "softmax"
    target = "class"

    def value(self, y: Array, s: Array) -> Array:
        """Return the negative log-likelihood of the class."""
        top = s.max(axis=1)
        return np.log(np.exp(s - top[:, None]).sum(axis=1)) + top - s[np.arange(len(s)), y]

    def gradient(self, y: Array, s: Array) -> Array:
        """Return probabilities less the one-hot target."""
        g = self.inverse_link(s)
        g[np.arange(len(s)), y] -= 1
        return g

    def curvature(self, y: Array, s: Array) -> Array:
        """Return the diagonal p_k (1 - p_k)."""
        p = self.inverse_link(s)
        return p * (1 - p)

    def inverse_link(self, s: Array) -> Array:
        """Return probabilities."""
        e = np.exp(s - s.max(axis=1, keepdims=True))
        e /= e.sum(axis=1, keepdims=True)
        return e

    def link(self, mu: Array) -> Array:
        """Return log-probabilities, centred so that they add to zero."""
        s = np.log(mu)
        return s - s.mean(axis=1, keepdims=True)

    def initial(self, y: Array, w: ArrayLike | None = None) -> Array:
        """Return the centred log of the share of each class."""
        share = np.bincount(y, weights=w).astype(np.float64)
        share = np.maximum(share / share.sum(), np.finfo(np.float64).eps)
        return self.link(share[None])[0]


class Hinge(Loss):
    """max(0, 1 - y s) with y in {-1, 1}."""

    name = "hinge"
    smooth = False
    target = "sign"

    def value(self, y: Array, s: Array) -> Array:
        """Return the distance by which the margin is missed."""
        return np.maximum(0, 1 - y * s)

    def gradient(self, y: Array, s: Array) -> Array:
        """-y inside the margin, else 0."""
        return np.where(y * s < 1, -y, 0).astype(s.dtype)

    def curvature(self, y: Array, s: Array) -> Array:
        """Return one: the loss is piecewise linear, so the step is a gradient step."""
        return np.ones_like(s)


class SquaredHinge(Loss):
    """max(0, 1 - y s)^2 with y in {-1, 1}."""

    name = "squared_hinge"
    smooth = False
    target = "sign"

    def value(self, y: Array, s: Array) -> Array:
        """Return the square of the distance by which the margin is missed."""
        return np.maximum(0, 1 - y * s) ** 2

    def gradient(self, y: Array, s: Array) -> Array:
        """-2 y (1 - y s) inside the margin, else 0."""
        return -2 * y * np.maximum(0, 1 - y * s)

    def curvature(self, y: Array, s: Array) -> Array:
        """2 inside the margin, else 0: the generalised Hessian of a Newton method."""
        return np.where(y * s < 1, 2, 0).astype(s.dtype)


class Exponential(Loss):
    """exp(-y s) with y in {-1, 1}: what AdaBoost lowers."""

    name = "exponential"
    target = "sign"

    def value(self, y: Array, s: Array) -> Array:
        """Return the exponential of the negative margin."""
        return np.exp(-y * s)

    def gradient(self, y: Array, s: Array) -> Array:
        """-y exp(-y s)."""
        return -y * np.exp(-y * s)

    def curvature(self, y: Array, s: Array) -> Array:
        """Return the exponential of the negative margin."""
        return np.exp(-y * s)

    def inverse_link(self, s: Array) -> Array:
        """Return the probability of class 1: at the minimiser s is half the log-odds."""
        return _sigmoid(2 * s)

    def link(self, mu: Array) -> Array:
        """Return half the log-odds."""
        return 0.5 * (np.log(mu) - np.log1p(-mu))

    def initial(self, y: Array, w: ArrayLike | None = None) -> float:
        """Return half the log-odds of the share of +1, kept finite when there is one class only."""
        eps = np.finfo(np.float64).eps
        return float(self.link(np.clip((_mean(y, w) + 1) / 2, eps, 1 - eps)))


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        Squared,
        Absolute,
        Quantile,
        Huber,
        Poisson,
        Logistic,
        Softmax,
        Hinge,
        SquaredHinge,
        Exponential,
    )
}
"""Every loss by its name."""


def get_loss(name: str, **options: float) -> Loss:
    """Make the loss of that name: ``get_loss("quantile", quantile=0.9)``."""
    if name not in LOSSES:
        raise ValueError(f"loss={name!r} is not known; choose one of {sorted(LOSSES)}.")
    return LOSSES[name](**options)
