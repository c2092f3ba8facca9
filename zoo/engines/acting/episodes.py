"""Episodes: played one a seed, and what is kept of them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from zoo.engines.acting.environments import Environments, Transitions

# So many environments at most act side by side in score and rollout.
_WIDTH = 32


class History:
    """One row per finished episode, kept by columns.

    Parameters
    ----------
    n : int
        Environments.
    extra : tuple of str
        Columns besides step, return and length: means since the episode before.
    past : dict or None
        The history that this one goes on from.
    """

    def __init__(self, n: int, extra: tuple[str, ...], past: dict[str, np.ndarray] | None) -> None:
        names = ("step", "return", "length", *extra)
        past = past or {}
        if past and np.isnan(past["return"]).all():
            past = {}  # the row that stood for an episode that had not ended
        self.columns: dict[str, list[Any]] = {name: list(past.get(name, ())) for name in names}
        self.returns = np.zeros(n)
        self.lengths = np.zeros(n, dtype=np.int64)
        self._sums = dict.fromkeys(extra, 0.0)
        self._counts = dict.fromkeys(extra, 0)
        self._means = {x: self.columns[x][-1] if self.columns[x] else np.nan for x in extra}

    def note(self, values: dict[str, float]) -> None:
        """Take in losses and the like."""
        for name, value in values.items():
            self._sums[name] += value
            self._counts[name] += 1

    def add(self, t: Transitions, step: int) -> None:
        """Take in one step of every environment; ``step`` counts those before and these."""
        self.returns += t.rewards * t.real
        self.lengths += t.real
        ended = (t.terminated | t.truncated) & t.real
        if not ended.any():
            return
        for name, count in self._counts.items():
            if count:
                self._means[name] = self._sums[name] / count
                self._sums[name], self._counts[name] = 0.0, 0
        for i in np.flatnonzero(ended):
            row = {"step": step, "return": self.returns[i], "length": self.lengths[i]}
            for name, value in (row | self._means).items():
                self.columns[name].append(value)
        self.returns[ended] = 0
        self.lengths[ended] = 0

    def arrays(self, step: int) -> dict[str, np.ndarray]:
        """Return the columns as arrays.

        While no episode has ended there is one row, of the longest that goes on, so that losses can
        be seen; its return is NaN, since nobody knows it.
        """
        columns = self.columns
        if not columns["step"] and self.lengths.any():
            means = {
                name: self._sums[name] / count if count else np.nan for name, count in self._counts.items()
            }
            row = {"step": step, "return": np.nan, "length": self.lengths.max(), **means}
            columns = {name: [value] for name, value in row.items()}
        kinds = {"step": np.int64, "length": np.int64}
        return {name: np.array(column, dtype=kinds.get(name, np.float64)) for name, column in columns.items()}


def play(
    agent: Any, seeds: np.ndarray, choose: Callable[[np.ndarray], np.ndarray], meet: Callable[[Any], None]
) -> Iterator[tuple[Transitions, np.ndarray]]:
    """Play one episode a seed; yield every step and the number of the episode in each row.

    Parameters
    ----------
    agent : RolloutAgent
        Who plays.
    seeds : array of int
        One episode each.
    choose : function
        Encoded observations to actions of the environment.
    meet : function
        Called with the environments before they are played in; may refuse them.
    """
    waiting = iter(range(len(seeds)))
    begun: list[int] = []

    def next_seed() -> Iterator[int]:
        for episode in waiting:
            begun.append(episode)
            yield int(seeds[episode])

    envs = Environments(agent, min(len(seeds), _WIDTH), next_seed())
    try:
        meet(envs)
        episode = np.arange(envs.n)
        while not envs.resting.all():
            before = len(begun)
            t = envs.step(choose(envs.observation_space.encode(envs.observations)))
            yield t, episode.copy()
            ended = np.flatnonzero((t.terminated | t.truncated) & ~envs.resting)
            episode[ended] = np.arange(before, before + len(ended))
    finally:
        envs.close()


def returns_of(played: Iterator[tuple[Transitions, np.ndarray]], n: int) -> np.ndarray:
    """Return the undiscounted return of each of n episodes."""
    total = np.zeros(n)
    for t, episode in played:
        np.add.at(total, episode[t.real], t.rewards[t.real])
    return total


def transitions_of(played: Iterator[tuple[Transitions, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return arrays of all steps, episode after episode, each in the order of time."""
    # Arrays of a step are never written to again, so that they need no copy here.
    kept = list(played)
    steps = [t for t, _ in kept]
    episode = np.concatenate([e for _, e in kept])
    parts = {name: np.concatenate([getattr(t, name) for t in steps]) for name in Transitions._fields}
    # Episodes run side by side; a stable sort puts each in one piece.
    order = np.argsort(episode, kind="stable")
    order = order[parts.pop("real")[order]]
    arrays = {name.removesuffix("s"): array[order] for name, array in parts.items()}
    return {**arrays, "episode": episode[order]}


def as_columns(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the same with a column for every number of an observation, or of several actions."""
    columns: dict[str, np.ndarray] = {}
    for name, rows in arrays.items():
        if "observation" in name or rows.ndim > 1:
            for j, column in enumerate(rows.reshape(len(rows), -1).T):
                columns[f"{name}_{j}"] = column
        else:
            columns[name] = rows
    return columns
