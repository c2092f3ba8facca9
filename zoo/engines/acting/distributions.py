r"""Distributions over actions, given the outputs of a network.

One object a space; the numbers of a policy are rows ``z`` of ``n_parameters`` outputs. Everything
works on numpy arrays and on torch tensors alike: numpy to act, tensors where autograd is wanted.
``log_prob_gradient`` and ``entropy_gradient`` are closed forms by ``z``, for networks whose gradient
is handed down by hand.

==================  ==================  =====================================
distribution        of a space          z
==================  ==================  =====================================
Categorical         Discrete            logits (k)
MultiCategorical    MultiDiscrete       logits of every choice, side by side
Bernoulli           Binary              logits (k)
Gaussian            Box                 mean (k), log of the deviation (k)
SquashedGaussian    Box with bounds     the same, before tanh
==================  ==================  =====================================
"""

import math
from typing import Any, ClassVar

import numpy as np

Rows = Any  # an array or a tensor of shape (n, columns)

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LOG_2 = math.log(2.0)


def _library(z: Rows) -> Any:
    """Return numpy or torch, whichever z belongs to."""
    if isinstance(z, np.ndarray):
        return np
    import torch

    return torch


def _draw(kind: str, generator: Any, like: Rows) -> Rows:
    """Draw uniform or normal numbers of the shape and kind of ``like``."""
    if isinstance(like, np.ndarray):
        draw = generator.random if kind == "uniform" else generator.standard_normal
        return draw(like.shape).astype(like.dtype, copy=False)
    import torch

    empty = torch.empty(like.shape, dtype=like.dtype, device=like.device)
    return empty.uniform_(generator=generator) if kind == "uniform" else empty.normal_(generator=generator)


def _total(x: Rows) -> Rows:
    """Sum each row."""
    return x.sum(1)


def _softplus(x: Rows) -> Rows:
    """Return log(1 + exp x) without overflow."""
    xp = _library(x)
    return xp.log1p(xp.exp(-xp.abs(x))) + x * (x > 0)


def _sigmoid(x: Rows) -> Rows:
    xp = _library(x)
    return 0.5 * (1 + xp.tanh(0.5 * x))


class Distribution:
    """What a policy draws its actions from.

    Attributes
    ----------
    n_parameters : int
        Outputs of a network that describe it.
    """

    n_parameters: int

    def sample(self, z: Rows, generator: Any) -> Rows:
        """Draw an action for each row, from numpy's or torch's generator, as z is numpy's or torch's."""
        raise NotImplementedError

    def mode(self, z: Rows) -> Rows:
        """Return the action to take when nothing is to be drawn."""
        raise NotImplementedError

    def log_prob(self, z: Rows, actions: Rows) -> Rows:
        """Return the log-probability (or log-density) of an action for each row."""
        raise NotImplementedError

    def entropy(self, z: Rows) -> Rows:
        """Return the entropy of each row, in nats."""
        raise NotImplementedError

    def log_prob_gradient(self, z: Rows, actions: Rows) -> Rows:
        """Return the gradient of `log_prob` by z."""
        raise NotImplementedError

    def entropy_gradient(self, z: Rows) -> Rows:
        """Return the gradient of `entropy` by z."""
        raise NotImplementedError


class Categorical(Distribution):
    """One of k actions, by logits.

    Parameters
    ----------
    k : int
        Number of actions.
    """

    def __init__(self, k: int) -> None:
        self.n_parameters = k

    def log_probabilities(self, z: Rows) -> Rows:
        """Return the log-probability of every action."""
        xp = _library(z)
        top = z.max(axis=1, keepdims=True) if xp is np else z.amax(1, keepdim=True)
        shifted = z - top
        return shifted - xp.log(xp.exp(shifted).sum(1)[:, None])

    def probabilities(self, z: Rows) -> Rows:
        """Return the probability of every action."""
        return _library(z).exp(self.log_probabilities(z))

    def sample(self, z: Rows, generator: Any) -> Rows:
        """Draw by Gumbel's trick: the largest of logits with noise."""
        xp = _library(z)
        u = _draw("uniform", generator, z)
        tiny = float(np.finfo(np.float32).tiny)
        return (z - xp.log(-xp.log(u + tiny) + tiny)).argmax(1)

    def mode(self, z: Rows) -> Rows:
        """Return the likeliest action."""
        return z.argmax(1)

    def log_prob(self, z: Rows, actions: Rows) -> Rows:
        """Return the log-probability of an action for each row."""
        return self.log_probabilities(z)[_library(z).arange(len(z)), actions]

    def entropy(self, z: Rows) -> Rows:
        """Return the entropy of each row."""
        log_p = self.log_probabilities(z)
        return -_total(_library(z).exp(log_p) * log_p)

    def log_prob_gradient(self, z: Rows, actions: Rows) -> Rows:
        """Return 1 at the action, less the probabilities."""
        g = -self.probabilities(z)
        g[_library(z).arange(len(z)), actions] += 1
        return g

    def entropy_gradient(self, z: Rows) -> Rows:
        """Return -p (log p + H)."""
        log_p = self.log_probabilities(z)
        return -_library(z).exp(log_p) * (log_p + self.entropy(z)[:, None])


class MultiCategorical(Distribution):
    """Several choices, each by logits of its own; actions are rows of numbers.

    Parameters
    ----------
    counts : tuple of int
        Number of actions of each choice.
    """

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.n_parameters = sum(counts)
        self.parts = [Categorical(k) for k in counts]
        ends = np.cumsum(counts).tolist()
        self.columns = [slice(e - k, e) for e, k in zip(ends, counts, strict=True)]

    def _each(self, z: Rows) -> list[tuple[int, Categorical, Rows]]:
        return [
            (j, part, z[:, columns])
            for j, (part, columns) in enumerate(zip(self.parts, self.columns, strict=True))
        ]

    def sample(self, z: Rows, generator: Any) -> Rows:
        """Draw every choice by itself."""
        return _library(z).stack([p.sample(part, generator) for _, p, part in self._each(z)], 1)

    def mode(self, z: Rows) -> Rows:
        """Return the likeliest of every choice."""
        return _library(z).stack([p.mode(part) for _, p, part in self._each(z)], 1)

    def log_prob(self, z: Rows, actions: Rows) -> Rows:
        """Return the sum over choices."""
        return sum(p.log_prob(part, actions[:, j]) for j, p, part in self._each(z))

    def entropy(self, z: Rows) -> Rows:
        """Return the sum over choices."""
        return sum(p.entropy(part) for _, p, part in self._each(z))

    def log_prob_gradient(self, z: Rows, actions: Rows) -> Rows:
        """Return the gradients of the choices side by side."""
        parts = [p.log_prob_gradient(part, actions[:, j]) for j, p, part in self._each(z)]
        return _library(z).concatenate(parts, 1)

    def entropy_gradient(self, z: Rows) -> Rows:
        """Return the gradients of the choices side by side."""
        return _library(z).concatenate([p.entropy_gradient(part) for _, p, part in self._each(z)], 1)


class Bernoulli(Distribution):
    """k switches, each by a logit.

    Parameters
    ----------
    k : int
        Number of switches.
    """

    def __init__(self, k: int) -> None:
        self.n_parameters = k

    def probabilities(self, z: Rows) -> Rows:
        """Return the probability of every one."""
        return _sigmoid(z)

    def sample(self, z: Rows, generator: Any) -> Rows:
        """Draw zeros and ones."""
        return (_draw("uniform", generator, z) < _sigmoid(z)) * 1

    def mode(self, z: Rows) -> Rows:
        """Return the likelier of zero and one."""
        return (z > 0) * 1

    def log_prob(self, z: Rows, actions: Rows) -> Rows:
        """Return the log-probability of a row of zeros and ones."""
        return _total(actions * z - _softplus(z))

    def entropy(self, z: Rows) -> Rows:
        """Return the sum over switches."""
        return _total(_softplus(z) - z * _sigmoid(z))

    def log_prob_gradient(self, z: Rows, actions: Rows) -> Rows:
        """Return the action less its probability."""
        return actions - _sigmoid(z)

    def entropy_gradient(self, z: Rows) -> Rows:
        """Return -z p (1 - p)."""
        p = _sigmoid(z)
        return -z * p * (1 - p)


class Gaussian(Distribution):
    """k numbers, each by its mean and the log of its deviation.

    Parameters
    ----------
    k : int
        How many numbers.
    """

    #: Deviations are kept between exp of these, so that no density overflows.
    bounds: ClassVar[tuple[float, float]] = (-20.0, 2.0)

    def __init__(self, k: int) -> None:
        self.k = k
        self.n_parameters = 2 * k

    def moments(self, z: Rows) -> tuple[Rows, Rows]:
        """Return mean and log of the deviation."""
        return z[:, : self.k], _library(z).clip(z[:, self.k :], *self.bounds)

    def sample(self, z: Rows, generator: Any) -> Rows:
        """Draw numbers; where z is a tensor they can be differentiated by it."""
        mean, log_s = self.moments(z)
        return mean + _library(z).exp(log_s) * _draw("normal", generator, mean)

    def mode(self, z: Rows) -> Rows:
        """Return the mean."""
        return self.moments(z)[0]

    def log_prob(self, z: Rows, actions: Rows) -> Rows:
        """Return the log-density of a row of numbers."""
        mean, log_s = self.moments(z)
        e = (actions - mean) * _library(z).exp(-log_s)
        return _total(-0.5 * e * e - log_s - _HALF_LOG_2PI)

    def entropy(self, z: Rows) -> Rows:
        """Return the sum over numbers."""
        return _total(self.moments(z)[1] + (0.5 + _HALF_LOG_2PI))

    def _free(self, z: Rows) -> Rows:
        """Return 1 where a deviation is not held by its bounds, which hold its gradient too."""
        log_s = z[:, self.k :]
        return ((log_s >= self.bounds[0]) & (log_s <= self.bounds[1])) * 1

    def log_prob_gradient(self, z: Rows, actions: Rows) -> Rows:
        """Return the gradients by mean and by log-deviation, side by side."""
        xp = _library(z)
        mean, log_s = self.moments(z)
        inverse = xp.exp(-log_s)
        e = (actions - mean) * inverse
        return xp.concatenate([e * inverse, (e * e - 1) * self._free(z)], 1)

    def entropy_gradient(self, z: Rows) -> Rows:
        """Return 0 by the mean and 1 by the log-deviation."""
        xp = _library(z)
        return xp.concatenate(
            [xp.zeros_like(z[:, : self.k]), xp.ones_like(z[:, : self.k]) * self._free(z)], 1
        )


class SquashedGaussian(Gaussian):
    r"""A Gaussian through tanh: k numbers in (-1, 1).

    .. math::
        \log p(a) = \log \mathcal N(u; \mu, \sigma) - \sum_i \log(1 - \tanh^2 u_i), \quad a = \tanh u

    Its entropy has no closed form; -`log_prob` of a sample is an unbiased estimate, and the way of
    SAC. `sample_with_log_prob` keeps u, from which the density is exact even where tanh is flat.

    Parameters
    ----------
    k : int
        How many numbers.

    References
    ----------
    Haarnoja et al. (2018), Soft actor-critic, ICML, appendix C.
    """

    def _squash(self, u: Rows) -> tuple[Rows, Rows]:
        """Return tanh u, and log(1 - tanh^2 u) of each number."""
        return _library(u).tanh(u), 2 * (_LOG_2 - u - _softplus(-2 * u))

    def _before(self, actions: Rows) -> Rows:
        """Return u; an action at the very end counts as the last number before it."""
        xp = _library(actions)
        inside = 1 - (1e-6 if actions.dtype.itemsize == 4 else 1e-12)
        return xp.arctanh(xp.clip(actions, -inside, inside))

    def sample(self, z: Rows, generator: Any) -> Rows:
        """Draw numbers in (-1, 1)."""
        return _library(z).tanh(super().sample(z, generator))

    def sample_with_log_prob(self, z: Rows, generator: Any) -> tuple[Rows, Rows]:
        """Draw numbers in (-1, 1), and return the log-density of each row beside them."""
        u = super().sample(z, generator)
        a, log_slope = self._squash(u)
        return a, super().log_prob(z, u) - _total(log_slope)

    def mode(self, z: Rows) -> Rows:
        """Return tanh of the mean."""
        return _library(z).tanh(super().mode(z))

    def log_prob(self, z: Rows, actions: Rows) -> Rows:
        """Return the log-density of a row of numbers in (-1, 1)."""
        u = self._before(actions)
        return super().log_prob(z, u) - _total(self._squash(u)[1])

    def log_prob_gradient(self, z: Rows, actions: Rows) -> Rows:
        """Return the gradient by z; the slope of tanh does not depend on it."""
        return super().log_prob_gradient(z, self._before(actions))

    def entropy(self, z: Rows) -> Rows:
        """Say that there is no closed form."""
        raise NotImplementedError(
            "the entropy of a squashed Gaussian has no closed form; -log_prob of a sample is an "
            "unbiased estimate (sample_with_log_prob gives both)."
        )

    def entropy_gradient(self, z: Rows) -> Rows:
        """Say that there is no closed form."""
        return self.entropy(z)
