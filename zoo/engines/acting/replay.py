"""Experience replay: what has happened, kept in rings and drawn again.

Rows are kept one environment beside another: row ``t * n_envs + e`` is what environment e did at
time t, so the successor of a row is ``n_envs`` further on. n-step returns are summed when a batch
is drawn: nothing waits for an episode to go on, and a return stops at the end of its episode.
"""

from typing import Any, NamedTuple

import numpy as np

from zoo.engines.acting.environments import Transitions


class Batch(NamedTuple):
    r"""Rows drawn from a replay.

    ``returns`` is :math:`R = \sum_{k<m} \gamma^k r_{t+k}` over m <= n steps, ``next_observations``
    the state after them and ``discounts`` what its value counts: :math:`\gamma^m`, or 0 after a
    terminal step. A truncated episode keeps its discount: the world went on, only we stopped.
    """

    observations: np.ndarray
    actions: np.ndarray
    returns: np.ndarray
    next_observations: np.ndarray
    discounts: np.ndarray
    weights: np.ndarray | None
    rows: np.ndarray


class Replay:
    """The last ``capacity`` transitions, drawn evenly.

    Parameters
    ----------
    capacity : int
        How many transitions to keep, over all environments.
    n_envs : int
        How many environments act at once.
    gamma : float
        Discount.
    n_step : int
        How many rewards to sum before the value of a state takes over.
    """

    def __init__(self, capacity: int, n_envs: int, gamma: float, n_step: int = 1) -> None:
        self.n_envs = n_envs
        self.gamma = gamma
        self.n_step = n_step
        self.capacity = max(capacity // n_envs, 1) * n_envs
        self._offsets = np.arange(n_step)[:, None] * n_envs
        self._powers = (gamma ** np.arange(n_step + 1)).astype(np.float32)
        self.head = 0  # row that is written next
        self.filled = 0
        self._unreal = False

    def __len__(self) -> int:
        """Count the rows that hold something."""
        return self.filled

    def _make_room(self, t: Transitions) -> None:
        # zeros are mapped, not touched, so a large capacity costs memory only as it fills.
        def ring(like: np.ndarray) -> np.ndarray:
            return np.zeros((self.capacity, *like.shape[1:]), dtype=like.dtype)

        self.observations = ring(t.observations)
        self.next_observations = ring(t.observations)
        self.actions = ring(t.actions)
        self.rewards = np.zeros(self.capacity, dtype=np.float32)
        self.terminated = np.zeros(self.capacity, dtype=bool)
        self.ended = np.zeros(self.capacity, dtype=bool)
        self.real = np.zeros(self.capacity, dtype=bool)
        # Where a return stops: at the end of an episode, and at the newest rows.
        self.stops = np.zeros(self.capacity, dtype=bool)

    def add(self, t: Transitions) -> np.ndarray:
        """Keep one transition of every environment; return the rows they went to."""
        if not hasattr(self, "observations"):
            self._make_room(t)
        rows = slice(self.head, self.head + self.n_envs)
        self.observations[rows] = t.observations
        self.next_observations[rows] = t.next_observations
        self.actions[rows] = t.actions
        self.rewards[rows] = t.rewards
        self.terminated[rows] = t.terminated
        np.logical_or(t.terminated, t.truncated, out=self.ended[rows])
        before = self._newest()
        self.stops[before] = self.ended[before]
        self.stops[rows] = True
        self.real[rows] = t.real
        self._unreal = self._unreal or not t.real.all()
        self.head = (self.head + self.n_envs) % self.capacity
        self.filled = min(self.filled + self.n_envs, self.capacity)
        return np.arange(rows.start, rows.stop)

    def plain(self) -> dict[str, Any]:
        """Return numbers and arrays that `from_plain` makes this replay of; empty room is left out."""
        arrays = {
            name: value[: self.filled]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray) and name[0] != "_" and name != "tree"
        }
        rest = {
            name: value
            for name, value in vars(self).items()
            if name not in arrays and not name.startswith("_")
        }
        return {"kind": type(self).__name__, **rest, **arrays, "_unreal": self._unreal}

    def cut(self) -> None:
        """End what is going on: the next rows belong to other episodes."""
        self.ended[self._newest()] = True

    def _newest(self) -> slice:
        """Return the rows that were written last."""
        newest = (self.head - self.n_envs) % self.capacity
        return slice(newest, newest + self.n_envs)

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draw n transitions."""
        rows = rng.integers(0, self.filled, n)
        if self._unreal:
            while not (real := self.real[rows]).all():
                rows = np.where(real, rows, rng.integers(0, self.filled, n))
        return self._batch(rows, None)

    def update(self, rows: np.ndarray, errors: np.ndarray) -> None:
        """Take note of the temporal-difference errors of drawn rows (even drawing has no use)."""

    def _batch(self, rows: np.ndarray, weights: np.ndarray | None) -> Batch:
        returns: np.ndarray = self.rewards.take(rows)
        discounts: Any = self._powers[1]
        last = rows
        if self.n_step > 1:
            returns, discounts, last = self._look_ahead(rows)
        return Batch(
            observations=self.observations.take(rows, axis=0),
            actions=self.actions.take(rows, axis=0),
            returns=returns,
            next_observations=self.next_observations.take(last, axis=0),
            discounts=discounts * ~self.terminated.take(last),
            weights=weights,
            rows=rows,
        )

    def _look_ahead(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sum n rewards, stopping at the end of an episode and at the newest row."""
        ahead = rows + self._offsets
        np.remainder(ahead, self.capacity, out=ahead)
        counts = np.ones(ahead.shape, dtype=bool)
        over = np.logical_or.accumulate(self.stops.take(ahead[:-1]), axis=0)
        np.logical_not(over, out=counts[1:])
        returns = self._powers[:-1] @ (self.rewards.take(ahead) * counts)
        m = counts.sum(axis=0)
        return returns, self._powers.take(m), ahead[m - 1, np.arange(len(rows))]


class PrioritizedReplay(Replay):
    r"""Draws a row in proportion to how much it surprised.

    .. math::
        P(i) = p_i / \sum_j p_j, \quad p_i = (|\delta_i| + \epsilon)^\alpha, \qquad
        w_i = (N P(i))^{-\beta} / \max_j w_j

    Parameters
    ----------
    capacity, n_envs, gamma, n_step
        As in `Replay`.
    alpha : float
        0 draws evenly, 1 in full proportion.
    eps : float
        Added to every error, so that no row is lost.

    References
    ----------
    Schaul, Quan, Antonoglou, Silver (2016), Prioritized experience replay, ICLR.
    """

    def __init__(
        self,
        capacity: int,
        n_envs: int,
        gamma: float,
        n_step: int = 1,
        *,
        alpha: float = 0.6,
        eps: float = 1e-3,
    ) -> None:
        from zoo.engines.acting import sumtree

        super().__init__(capacity, n_envs, gamma, n_step)
        self.alpha = alpha
        self.eps = eps
        self.beta = 1.0
        self.tree = sumtree.empty_tree(self.capacity)
        self.largest = 1.0

    def add(self, t: Transitions) -> np.ndarray:
        """Keep one transition of every environment, with the largest priority seen so far."""
        from zoo.engines.acting import sumtree

        rows = super().add(t)
        sumtree.put(self.tree, rows, np.where(t.real, self.largest, 0.0))
        return rows

    def probabilities(self) -> np.ndarray:
        """Return the probability of each row."""
        half = len(self.tree) // 2
        p: np.ndarray = self.tree[half : half + self.capacity] / self.tree[1]
        return p

    def sample(self, n: int, rng: np.random.Generator) -> Batch:
        """Draw n transitions, one from each nth of the total priority."""
        from zoo.engines.acting import sumtree

        total = self.tree[1]
        rows = np.empty(n, dtype=np.int64)
        sumtree.find(self.tree, (np.arange(n) + rng.random(n)) * (total / n), rows)
        p = self.tree[len(self.tree) // 2 + rows]
        # (N P)^-beta over its largest value: N and the total cancel.
        weights = ((p / p.min()) ** -self.beta).astype(np.float32)
        return self._batch(rows, weights)

    def update(self, rows: np.ndarray, errors: np.ndarray) -> None:
        """Set the priorities of drawn rows from their temporal-difference errors."""
        from zoo.engines.acting import sumtree

        p = (np.abs(errors).astype(np.float64) + self.eps) ** self.alpha
        self.largest = max(self.largest, float(p.max()))
        sumtree.put(self.tree, rows, p)


def from_plain(plain: dict[str, Any]) -> Replay:
    """Make the replay that `Replay.plain` described."""
    kinds = {"Replay": Replay, "PrioritizedReplay": PrioritizedReplay}
    cls = kinds[plain["kind"]]
    replay = cls(plain["capacity"], plain["n_envs"], plain["gamma"], plain["n_step"])
    for name, value in plain.items():
        if name == "kind":
            continue
        if isinstance(value, np.ndarray) and name != "tree" and len(value) == plain["filled"]:
            room = np.zeros((replay.capacity, *value.shape[1:]), dtype=value.dtype)
            room[: len(value)] = value
            value = room
        setattr(replay, name, value)
    return replay
