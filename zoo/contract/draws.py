"""The noise of one call of ``sample``."""

from typing import Any

import numpy as np


class Draws:
    """The noise of one call of ``sample``: row i does not depend on how many rows are drawn.

    Every draw has a stream of its own, filled row by row, so that the first rows of a long draw are
    the rows of a short one. A leaf draws all its noise for n rows at once and then works in batches.
    """

    def __init__(self, seed: int | None) -> None:
        self._sequence = np.random.SeedSequence(seed)

    def _stream(self) -> np.random.Generator:
        return np.random.default_rng(self._sequence.spawn(1)[0])

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal numbers."""
        return self._stream().standard_normal(shape)

    def uniform(self, *shape: int) -> np.ndarray:
        """Uniform numbers in [0, 1)."""
        return self._stream().random(shape)


def as_seed(random_state: Any) -> int | None:
    """Return the seed that ``random_state`` of a public method means; None draws fresh numbers."""
    if random_state is None:
        return None
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(np.iinfo(np.int32).max))
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer) or random_state < 0:
        raise ValueError(
            f"random_state={random_state!r} is not accepted; give None, an integer >= 0, a RandomState or a "
            "Generator."
        )
    return int(random_state)
