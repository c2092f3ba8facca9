"""What an agent acts in is a parameter; X are seeds."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags

from zoo.contract.inputs.input import Input


@dataclass(frozen=True)
class Seeds(Input):
    """Seeds of episodes or of games: a 1-D array of integers, or None."""

    name: ClassVar[str] = "seeds"
    two_d_array: ClassVar[bool] = False
    optional: ClassVar[bool] = True
    # What one seed begins.
    thing: ClassVar[str] = "episode"

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        super().set_tags(tags)
        tags.input_tags.one_d_array = True
        tags.no_validation = True

    def takes(self, X: Any) -> bool:
        """Tell whether X is None or looks like seeds."""
        return X is None or (not hasattr(X, "columns") and not isinstance(X, dict) and np.ndim(X) == 1)

    def check(self, estimator: Any, X: Any, *, reset: bool) -> np.ndarray | None:
        """Return the seeds as int64, or None."""
        if X is None:
            return None
        seeds = np.asarray(X)
        if seeds.ndim == 2 and seeds.shape[1] == 1:
            seeds = seeds[:, 0]
        if seeds.ndim != 1 or seeds.dtype.kind not in "iu" or len(seeds) == 0 or seeds.min() < 0:
            raise ValueError(
                f"X of shape {seeds.shape} and type {seeds.dtype} is no list of {self.thing} seeds; give "
                "None or a 1-D array of integers >= 0, such as np.arange(300)."
            )
        return seeds.astype(np.int64)

    def toy(self, rng: np.random.RandomState, n: int = 8) -> tuple[Any, np.ndarray]:
        """Seeds of n episodes; agents have no labels."""
        return np.arange(n), np.zeros(n, dtype=int)


@dataclass(frozen=True)
class Env(Seeds):
    """An environment, given as the parameter ``env``; X is a 1-D array of episode seeds, or None."""

    name: ClassVar[str] = "env"
    actions: tuple[str, ...] = ("discrete",)


@dataclass(frozen=True)
class Game(Seeds):
    """The rules of a game, given as the parameter ``game``; X is seeds of self-play, or None."""

    name: ClassVar[str] = "game"
    thing: ClassVar[str] = "game"
    players: tuple[int, ...] = (1, 2)
