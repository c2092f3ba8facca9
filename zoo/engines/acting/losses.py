r"""Losses of agents, as values and gradients by the outputs of a network, both in closed form.

A network by hand needs only the gradient by its outputs; autograd on the outputs alone costs as
much as the whole update. Each function returns ``(losses, slopes)``, one row each: the caller
weighs, averages and hands down.
"""

import numpy as np

from zoo.engines.acting.distributions import Distribution


def temporal_difference(kind: str, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return loss and slope of errors: :math:`\delta^2`, or Huber's :math:`\delta^2/2` up to 1."""
    if kind == "huber":
        slope = np.clip(delta, -1, 1)
        return slope * (delta - slope / 2), slope
    return delta * delta, 2 * delta


def cross_entropy(
    distribution: Distribution, z: np.ndarray, actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return -log p of the actions, and its gradient by z: cloning of a behaviour."""
    return -distribution.log_prob(z, actions), -distribution.log_prob_gradient(z, actions)


def clipped_policy(
    distribution: Distribution,
    z: np.ndarray,
    actions: np.ndarray,
    old_log_prob: np.ndarray,
    advantages: np.ndarray,
    clip_range: float,
    ent_coef: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the clipped policy loss with entropy, and its gradient by z.

    .. math::
        L = -\min\bigl(\rho A,\ \mathrm{clip}(\rho, 1 - \epsilon, 1 + \epsilon) A\bigr) - c H(\pi),
        \qquad \rho = \frac{\pi(a)}{\pi_{old}(a)}

    Where the clipped side is the smaller one the ratio has no gradient. Without ``ent_coef`` the
    entropy is not asked for, which some distributions do not have.

    References
    ----------
    Schulman et al. (2017), Proximal policy optimization algorithms, arXiv:1707.06347.
    """
    ratio = np.exp(distribution.log_prob(z, actions) - old_log_prob)
    clipped = np.clip(ratio, 1 - clip_range, 1 + clip_range)
    loss = -np.minimum(ratio * advantages, clipped * advantages)
    free = ratio * advantages <= clipped * advantages
    slope = distribution.log_prob_gradient(z, actions) * (-(ratio * advantages) * free)[:, None]
    if ent_coef:
        loss = loss - ent_coef * distribution.entropy(z)
        slope -= ent_coef * distribution.entropy_gradient(z)
    return loss, slope
