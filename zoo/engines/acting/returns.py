r"""Returns and advantages of rollouts: arrays of shape (steps, environments), time first.

Two ends are kept apart. ``terminated``: the world ended, nothing follows. ``truncated``: only we
stopped, and the value of the true next observation stands for what would have followed; but the row
below belongs to another episode, so that nothing is carried back over it.
"""

import numpy as np


def advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    r"""Return the generalised advantage estimates.

    .. math::
        \delta_t = r_t + \gamma (1 - d_t) V(s'_t) - V(s_t), \qquad
        A_t = \delta_t + \gamma \lambda (1 - d_t) (1 - c_t) A_{t+1}

    with d = 1 where an episode terminated and c = 1 where it was cut.

    Parameters
    ----------
    rewards, terminated, truncated : array of shape (T, n)
        What the steps brought.
    values, next_values : array of shape (T, n)
        Values of the observations before and after each step; after a cut, that of the true last
        observation.
    gamma : float
        Discount.
    gae_lambda : float
        0 trusts the values, 1 the rewards.

    References
    ----------
    Schulman et al. (2016), High-dimensional continuous control using generalized advantage
    estimation, ICLR.
    """
    delta = rewards + gamma * next_values * ~terminated - values
    carried = gamma * gae_lambda * ~(terminated | truncated)
    out = np.empty_like(delta)
    after = np.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        after = delta[t] + carried[t] * after
        out[t] = after
    return out


def lambda_returns(
    rewards: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    r"""Return what the values should have been.

    .. math::
        G_t = r_t + \gamma (1 - d_t) \bigl((1 - \lambda) V(s'_t) + \lambda G_{t+1}\bigr)

    where :math:`V(s'_t)` stands for :math:`G_{t+1}` at the last row and where an episode was cut.
    These are `advantages` plus the values. Parameters as there.
    """
    out = np.empty_like(next_values)
    after = next_values[-1]
    for t in range(len(out) - 1, -1, -1):
        follows = np.where(truncated[t], next_values[t], after)
        mixed = (1 - gae_lambda) * next_values[t] + gae_lambda * follows
        after = rewards[t] + gamma * mixed * ~terminated[t]
        out[t] = after
    return out


def n_step_returns(
    rewards: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    gamma: float,
    n: int,
) -> np.ndarray:
    r"""Return :math:`\sum_{k<m} \gamma^k r_{t+k} + \gamma^m V(s'_{t+m-1})`, m <= n steps.

    A return stops at the end of its episode and at the last row; after a terminal step nothing is
    added. Parameters as in `advantages`.
    """
    T = len(rewards)
    out = np.array(next_values, copy=True)
    for t in range(T):
        total, power, live = np.zeros_like(next_values[0]), 1.0, np.ones(rewards.shape[1], dtype=bool)
        for k in range(t, min(t + n, T)):
            total = total + live * power * rewards[k]
            power *= gamma
            stops = live & (terminated[k] | truncated[k] | (k == min(t + n, T) - 1))
            total = total + stops * ~terminated[k] * power * next_values[k]
            live = live & ~stops
        out[t] = total
    return out
