"""Replay: n-step returns by hand, ends of episodes, priorities."""

import numpy as np
import pytest

from zoo.engines.acting.environments import Transitions
from zoo.engines.acting.replay import PrioritizedReplay, Replay, from_plain


def step(t, rewards, terminated=None, truncated=None, real=None):
    """Transition t of every environment; the observation tells time and environment."""
    n = len(rewards)
    no = np.zeros(n, dtype=bool)
    observations = (10.0 * t + np.arange(n, dtype=np.float32))[:, None].astype(np.float32)
    return Transitions(
        observations,
        np.arange(n),
        np.array(rewards, dtype=float),
        observations + 10,
        no if terminated is None else np.array(terminated),
        no if truncated is None else np.array(truncated),
        ~no if real is None else np.array(real),
    )


def rows_of(replay, rows):
    return replay._batch(np.array(rows), None)


def test_n_step_return_by_hand():
    replay = Replay(20, n_envs=2, gamma=0.5, n_step=3)
    for t in range(5):
        replay.add(step(t, [t + 1, 100]))
    batch = rows_of(replay, [0, 2, 6, 8])
    # environment 0: rewards 1 2 3 4 5; the newest rows have fewer steps before them
    np.testing.assert_allclose(batch.returns, [1 + 1 + 0.75, 2 + 1.5 + 1, 4 + 2.5, 5])
    np.testing.assert_allclose(batch.discounts, [0.125, 0.125, 0.25, 0.5])
    np.testing.assert_allclose(batch.next_observations[:, 0], [30, 40, 50, 50])


@pytest.mark.parametrize(("end", "discount"), [("terminated", 0.0), ("truncated", 0.25)])
def test_returns_stop_where_the_episode_does(end, discount):
    replay = Replay(10, n_envs=1, gamma=0.5, n_step=4)
    replay.add(step(0, [1]))
    replay.add(step(1, [1], **{end: [True]}))
    replay.add(step(2, [100]))
    batch = rows_of(replay, [0])
    assert batch.returns[0] == 1.5
    assert batch.discounts[0] == discount  # a truncated episode keeps the value of what follows
    assert batch.next_observations[0, 0] == 20  # its own last observation, not the next episode's


def test_returns_do_not_cross_the_seam_of_the_ring():
    replay = Replay(4, n_envs=1, gamma=1.0, n_step=3)
    for t in range(6):  # rows hold times 4 5 2 3
        replay.add(step(t, [2.0**t]))
    batch = rows_of(replay, [0, 1, 2, 3])
    np.testing.assert_allclose(batch.returns, [16 + 32, 32, 4 + 8 + 16, 8 + 16 + 32])


def test_cut_ends_the_newest_rows():
    replay = Replay(8, n_envs=2, gamma=1.0, n_step=2)
    replay.add(step(0, [1, 1]))
    replay.cut()
    replay.add(step(1, [5, 5]))
    batch = rows_of(replay, [0, 1])
    assert batch.returns.tolist() == [1, 1]
    assert batch.discounts.tolist() == [1, 1]


@pytest.mark.parametrize("kind", [Replay, PrioritizedReplay])
def test_unreal_rows_are_never_drawn(kind):
    replay = kind(40, n_envs=2, gamma=0.9)
    for t in range(10):
        replay.add(step(t, [1, 1], real=[True, t % 2 == 0]))
    rows = replay.sample(2000, np.random.default_rng(0)).rows
    unreal = {2 * t + 1 for t in range(10) if t % 2}
    assert set(rows.tolist()) == set(range(20)) - unreal


def test_priorities_are_the_equation():
    replay = PrioritizedReplay(8, n_envs=1, gamma=0.9, alpha=0.5, eps=0.01)
    for t in range(5):
        replay.add(step(t, [1]))
    np.testing.assert_allclose(replay.probabilities(), [0.2] * 5 + [0] * 3)
    errors = np.array([0.0, -1.0, 4.0, 0.25, 9.0])
    replay.update(np.arange(5), errors)
    p = (np.abs(errors) + 0.01) ** 0.5
    np.testing.assert_allclose(replay.probabilities()[:5], p / p.sum())

    replay.beta = 0.7
    batch = replay.sample(4000, np.random.default_rng(0))
    share = np.bincount(batch.rows, minlength=5) / 4000
    np.testing.assert_allclose(share, p / p.sum(), atol=1e-3)  # drawn in strata: nearly exact
    w = (5 * p / p.sum()) ** -0.7
    np.testing.assert_allclose(batch.weights, (w / w[batch.rows].max())[batch.rows], rtol=1e-5)
    replay.add(step(5, [1]))  # comes with the largest priority there was
    assert replay.probabilities()[5] == pytest.approx(replay.probabilities()[4])


def test_full_correction_is_unbiased():
    # E[w x] over drawn rows, normalised, is the plain mean when beta is 1.
    replay = PrioritizedReplay(8, n_envs=1, gamma=0.9)
    for t in range(8):
        replay.add(step(t, [t]))
    replay.update(np.arange(8), np.arange(8.0))
    batch = replay.sample(20000, np.random.default_rng(1))
    mean = (batch.weights * batch.returns).sum() / batch.weights.sum()
    assert mean == pytest.approx(3.5, abs=0.02)


def test_old_rows_make_room():
    replay = Replay(5, n_envs=2, gamma=0.9)  # 4: whole steps only
    for t in range(3):
        replay.add(step(t, [t, t]))
    assert len(replay) == 4
    assert sorted(replay.rewards.tolist()) == [1, 1, 2, 2]


def test_returns_longer_than_the_ring_stop_at_the_newest_row():
    replay = Replay(4, n_envs=2, gamma=0.5, n_step=9)
    for t in range(3):
        replay.add(step(t, [1, 1]))
    batch = replay._batch(np.arange(4), None)
    # Rows 0 and 1 are the newest (the third step); one more follows rows 2 and 3.
    np.testing.assert_allclose(batch.returns, [1, 1, 1.5, 1.5])
    np.testing.assert_allclose(batch.discounts, [0.5, 0.5, 0.25, 0.25])


@pytest.mark.parametrize("kind", [Replay, PrioritizedReplay])
@pytest.mark.parametrize("steps", [2, 7])
def test_a_memory_is_made_again_from_plain_values(kind, steps):
    replay = kind(10, n_envs=2, gamma=0.9, n_step=3)
    for t in range(steps):
        replay.add(step(t, [t, -t], terminated=[t == 1, False]))
    again = from_plain(replay.plain())
    for rows in (replay, again):
        rows.add(step(9, [5, 6]))
    one, two = (r.sample(50, np.random.default_rng(0)) for r in (replay, again))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(replay.plain()["rewards"]) == len(replay)
