"""One of two inputs."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags

from zoo.contract.inputs.input import Input


@dataclass(frozen=True)
class Either(Input):
    """One of two inputs, told apart by what X is: ``Either(Logged(), Env())``. The first has the toy data."""

    first: Input = field(default_factory=Input)
    second: Input = field(default_factory=Input)
    two_d_array: ClassVar[bool] = False

    @property
    def name(self) -> str:  # type: ignore[override]
        """The names of both."""
        return f"{self.first.name} or {self.second.name}"

    @property
    def optional(self) -> bool:  # type: ignore[override]
        """Whether one of the two can do without X."""
        return self.first.optional or self.second.optional

    def set_tags(self, tags: Tags) -> None:
        """Write what the two accept into scikit-learn's tags."""
        for one in (self.second, self.first):
            one.set_tags(tags)

    def takes(self, X: Any) -> bool:
        """Tell whether one of the two takes X."""
        return self.first.takes(X) or self.second.takes(X)

    def chosen(self, X: Any) -> Input:
        """Return the input that X is for."""
        for one in (self.first, self.second):
            if one.takes(X):
                return one
        raise ValueError(
            f"X is a {type(X).__name__}, which is neither {self.first.name} nor {self.second.name}."
        )

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        """Return X as the input that takes it normalises it."""
        return self.chosen(X).check(estimator, X, reset=reset)

    def toy(self, rng: np.random.RandomState, n: int = 40) -> tuple[Any, np.ndarray]:
        """Toy data of the first."""
        return self.first.toy(rng, n)
