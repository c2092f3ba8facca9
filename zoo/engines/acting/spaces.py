"""Spaces: what an environment shows and what may be done in it, as objects.

``read_space`` makes one of a gymnasium space. A space says which arrays lie in it (``check``), how a
network sees them (``encode``: float32 rows), and, as the space of actions, which distribution a
policy draws from (``distribution``) and what the environment is told (``decode``). ``plain`` is the
same as a dictionary of numbers and arrays, which files keep, and ``from_plain`` reads it.
"""

import math
from typing import Any, ClassVar

import numpy as np

from zoo.engines.acting.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    MultiCategorical,
    SquashedGaussian,
)


class Space:
    """What observations, or actions, are arrays of.

    Attributes
    ----------
    kind : str
        Its name in messages.
    shape, dtype
        Of one element.
    """

    kind: ClassVar[str]
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def width(self) -> int:
        """Columns that `encode` makes of one element."""
        return math.prod(self.shape)

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """Shape in which a network sees one element."""
        return self.shape or (self.width,)

    def plain(self) -> dict[str, Any]:
        """Return numbers, texts and arrays that `from_plain` makes this space of."""
        return {"kind": self.kind, **vars(self), "dtype": self.dtype.name}

    def like(self, other: "Space") -> bool:
        """Tell whether elements of the other space are elements of this one."""
        return type(self) is type(other) and self.shape == other.shape and self.dtype == other.dtype

    def check(self, values: np.ndarray) -> np.ndarray:
        """Return rows in the dtype of the space, or say which value is none of it."""
        raise NotImplementedError

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return rows of float32 for a network."""
        return values.reshape(len(values), self.width).astype(np.float32, copy=False)

    def decode(self, chosen: np.ndarray) -> np.ndarray:
        """Return what the environment calls the elements that a distribution chose."""
        return chosen

    def encode_actions(self, actions: np.ndarray) -> np.ndarray:
        """Return what a distribution calls these elements: the inverse of `decode`."""
        return actions

    def distribution(self) -> Distribution:
        """Return the distribution that a policy over this space draws from."""
        raise NotImplementedError

    def _whole(self, values: np.ndarray, low: Any, high: Any) -> np.ndarray:
        """Return whole numbers between two bounds in the dtype of the space."""
        if values.dtype.kind == "f" and (values != np.round(values)).any():
            raise ValueError("they must be whole numbers.")
        if len(values) and ((values < low) | (values > high)).any():
            bad = values[(values < low) | (values > high)].flat[0]
            raise ValueError(f"they must lie between {np.min(low)} and {np.max(high)}, and {bad} does not.")
        return values.astype(self.dtype, copy=False)


class Discrete(Space):
    """One of n states or actions, numbered from ``start``; a network sees it one-hot."""

    kind = "discrete"

    def __init__(self, n: int, start: int = 0) -> None:
        self.n, self.start = int(n), int(start)
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.int64)

    @property
    def width(self) -> int:
        """One column a state."""
        return self.n

    def like(self, other: Space) -> bool:
        """Tell whether the other has the same numbers."""
        return super().like(other) and (self.n, self.start) == (other.n, other.start)  # type: ignore[attr-defined]

    def check(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers as int64."""
        return self._whole(values, self.start, self.start + self.n - 1)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return a one for each number in its column."""
        rows = np.zeros((len(values), self.n), dtype=np.float32)
        rows[np.arange(len(values)), values - self.start] = 1
        return rows

    def decode(self, chosen: np.ndarray) -> np.ndarray:
        """Count from ``start``."""
        return chosen + self.start

    def encode_actions(self, actions: np.ndarray) -> np.ndarray:
        """Count from 0."""
        return actions - self.start

    def distribution(self) -> Categorical:
        """One probability an action."""
        return Categorical(self.n)


class Box(Space):
    """Arrays of numbers between bounds; bytes are divided by 255 for a network.

    Whole numbers must lie between the bounds, since another dtype would change them. Real numbers
    must be finite; many environments leave the bounds they state for real numbers, and a network
    reads those as well. As actions they come from a squashed Gaussian, scaled to the bounds.
    """

    kind = "box"

    def __init__(self, low: np.ndarray, high: np.ndarray, dtype: Any) -> None:
        self.low, self.high = np.asarray(low), np.asarray(high)
        self.shape = tuple(int(n) for n in self.low.shape)
        given = np.dtype(dtype)
        # Half the memory, and networks compute in float32 anyway.
        self.dtype = np.dtype(np.float32) if given.kind == "f" else given

    def check(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers in the dtype of the space."""
        if self.dtype.kind != "f":
            return self._whole(values, self.low, self.high)
        rows = values.astype(self.dtype, copy=False)
        if not np.isfinite(rows).all():
            raise ValueError("they contain NaN or infinity (in float32), and must be finite.")
        return rows

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return numbers as they are, and bytes divided by 255."""
        rows = values.reshape(len(values), self.width)
        if rows.dtype == np.uint8:
            return rows * np.float32(1 / 255)
        return rows.astype(np.float32, copy=False)

    @property
    def bounded(self) -> bool:
        """Whether every number has a finite bound on both sides."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    def decode(self, chosen: np.ndarray) -> np.ndarray:
        """Stretch [-1, 1] to the bounds."""
        rows = chosen.reshape(len(chosen), *self.shape)
        scaled = self.low + (rows + 1) * (np.float32(0.5) * (self.high - self.low))
        return np.clip(scaled, self.low, self.high).astype(self.dtype, copy=False)

    def encode_actions(self, actions: np.ndarray) -> np.ndarray:
        """Shrink the bounds to [-1, 1]."""
        scaled = 2 * (actions - self.low) / (self.high - self.low) - 1
        rows: np.ndarray = scaled.reshape(len(actions), self.width).astype(np.float32)
        return rows

    def distribution(self) -> SquashedGaussian:
        """Return a Gaussian in [-1, 1], or say that a side has no bound."""
        if not self.bounded:
            raise ValueError(
                "env takes actions without a bound on every side; wrap it, for instance with "
                "gymnasium.wrappers.RescaleAction."
            )
        return SquashedGaussian(self.width)


class Binary(Space):
    """Arrays of zeros and ones."""

    kind = "binary"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = tuple(int(n) for n in np.atleast_1d(shape))
        self.dtype = np.dtype(np.int8)

    def check(self, values: np.ndarray) -> np.ndarray:
        """Return zeros and ones as int8."""
        return self._whole(values, 0, 1)

    def decode(self, chosen: np.ndarray) -> np.ndarray:
        """Return zeros and ones in their shape."""
        return chosen.reshape(len(chosen), *self.shape).astype(self.dtype)

    def encode_actions(self, actions: np.ndarray) -> np.ndarray:
        """Return rows."""
        return actions.reshape(len(actions), self.width)

    def distribution(self) -> Bernoulli:
        """One probability a place."""
        return Bernoulli(self.width)


class MultiDiscrete(Space):
    """Several choices at once, each of its own number; a network sees each one-hot."""

    kind = "multi-discrete"

    def __init__(self, counts: np.ndarray, start: np.ndarray) -> None:
        self.counts, self.start = np.asarray(counts, np.int64), np.asarray(start, np.int64)
        self.shape = self.counts.shape
        self.dtype = np.dtype(np.int64)

    @property
    def width(self) -> int:
        """One column a state of a choice."""
        return int(self.counts.sum())

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """A row of ones and zeros."""
        return (self.width,)

    def like(self, other: Space) -> bool:
        """Tell whether the other has the same choices."""
        return (
            super().like(other)
            and np.array_equal(self.counts, other.counts)  # type: ignore[attr-defined]
            and np.array_equal(self.start, other.start)  # type: ignore[attr-defined]
        )

    def check(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers as int64."""
        return self._whole(values, self.start, self.start + self.counts - 1)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return a one for each choice among its own columns."""
        chosen = (values - self.start).reshape(len(values), -1)
        begins = np.concatenate([[0], np.cumsum(self.counts.ravel())[:-1]])
        rows = np.zeros((len(values), self.width), dtype=np.float32)
        rows[np.arange(len(values))[:, None], chosen + begins] = 1
        return rows

    def decode(self, chosen: np.ndarray) -> np.ndarray:
        """Count from ``start``."""
        return chosen.reshape(len(chosen), *self.shape) + self.start

    def encode_actions(self, actions: np.ndarray) -> np.ndarray:
        """Count from 0, in rows."""
        rows: np.ndarray = (actions - self.start).reshape(len(actions), -1)
        return rows

    def distribution(self) -> MultiCategorical:
        """Return a product of categorical ones."""
        return MultiCategorical(tuple(int(n) for n in self.counts.ravel()))


def read_space(space: Any) -> Space | None:
    """Read a gymnasium space; None where it is of a kind that is not served."""
    name = type(space).__name__
    if name == "Box":
        return Box(space.low, space.high, space.dtype)
    if name == "Discrete":
        return Discrete(space.n, space.start)
    if name == "MultiBinary":
        return Binary(space.shape)
    if name == "MultiDiscrete":
        return MultiDiscrete(space.nvec, getattr(space, "start", np.zeros_like(space.nvec)))
    return None


def from_plain(plain: dict[str, Any]) -> Space:
    """Make the space that `Space.plain` described."""
    kind = plain["kind"]
    if kind == "discrete":
        return Discrete(plain["n"], plain["start"])
    if kind == "box":
        return Box(plain["low"], plain["high"], plain["dtype"])
    if kind == "binary":
        return Binary(plain["shape"])
    if kind == "multi-discrete":
        return MultiDiscrete(plain["counts"], plain["start"])
    raise ValueError(f"{kind!r} is no kind of space.")
