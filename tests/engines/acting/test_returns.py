"""Returns by the definition, episode by episode."""

import numpy as np
import pytest

from zoo.engines.acting.returns import advantages, lambda_returns, n_step_returns

T, N, GAMMA = 12, 3, 0.9


@pytest.fixture
def played():
    rng = np.random.default_rng(0)
    terminated = rng.random((T, N)) < 0.15
    truncated = (rng.random((T, N)) < 0.15) & ~terminated
    assert terminated.any()
    assert truncated.any()
    values, next_values = rng.normal(size=(2, T, N))
    # What follows a step is the next row, but where an episode ended.
    on = ~(terminated | truncated)[:-1]
    next_values[:-1][on] = values[1:][on]
    return {
        "rewards": rng.normal(size=(T, N)),
        "next_values": next_values,
        "terminated": terminated,
        "truncated": truncated,
    }, values


def k_step(p, t, e, k):
    """Sum k rewards from step t, stopping at the end of the episode or of the rollout."""
    total = 0.0
    for i in range(t, min(t + k, T)):
        total += GAMMA ** (i - t) * p["rewards"][i, e]
        if p["terminated"][i, e]:
            return total
        if p["truncated"][i, e] or i == min(t + k, T) - 1:
            return total + GAMMA ** (i - t + 1) * p["next_values"][i, e]
    return total


def steps_left(p, t, e):
    ended = (p["terminated"] | p["truncated"])[t:, e]
    return int(ended.argmax()) + 1 if ended.any() else T - t


@pytest.mark.parametrize("n", [1, 3, 100])
def test_n_step_returns(played, n):
    p, _ = played
    expected = [[k_step(p, t, e, n) for e in range(N)] for t in range(T)]
    np.testing.assert_allclose(n_step_returns(**p, gamma=GAMMA, n=n), expected)


@pytest.mark.parametrize("lam", [0.0, 0.7, 1.0])
def test_lambda_returns_are_the_weighted_mean_of_k_step_returns(played, lam):
    p, values = played
    expected = np.zeros((T, N))
    for t in range(T):
        for e in range(N):
            m = steps_left(p, t, e)
            weights = [(1 - lam) * lam ** (k - 1) for k in range(1, m)] + [lam ** (m - 1)]
            expected[t, e] = sum(w * k_step(p, t, e, k + 1) for k, w in enumerate(weights))
    got = lambda_returns(**p, gamma=GAMMA, gae_lambda=lam)
    np.testing.assert_allclose(got, expected)
    np.testing.assert_allclose(advantages(**p, values=values, gamma=GAMMA, gae_lambda=lam), expected - values)
