"""What somebody did: transitions, one a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import Tags

from zoo.contract.inputs.input import Input

NEEDED = ("action", "reward", "terminated")


@dataclass(frozen=True)
class Logged(Input):
    """Logged transitions: a DataFrame as ``rollout()`` gives it, or a mapping of arrays of these names.

    Normalised to a dict of arrays: ``observations``, ``actions``, ``rewards``, ``next_observations``,
    ``terminated``, ``truncated``, ``episode``. Rows of one episode stand together, in the order of time.
    ``behaviour`` (the probability of each action under the policy that acted) is kept where it is given.
    """

    name: ClassVar[str] = "logged"
    two_d_array: ClassVar[bool] = False

    def set_tags(self, tags: Tags) -> None:
        """Write what this input accepts into scikit-learn's tags."""
        super().set_tags(tags)
        tags.no_validation = True

    def takes(self, X: Any) -> bool:
        """Tell whether X has named columns."""
        return hasattr(X, "columns") or isinstance(X, Mapping)

    def check(self, estimator: Any, X: Any, *, reset: bool) -> dict[str, np.ndarray]:
        """Return the transitions as a dict of arrays."""
        if not self.takes(X):
            raise ValueError(
                f"X is a {type(X).__name__}; {type(estimator).__name__} takes logged transitions: a "
                "DataFrame as agent.rollout() gives it, or a mapping of arrays of these names."
            )
        log = {
            "observations": _columns(X, "observation"),
            "actions": _columns(X, "action"),
            "rewards": _columns(X, "reward"),
            "next_observations": _columns(X, "next_observation"),
            "terminated": _columns(X, "terminated"),
            "truncated": _columns(X, "truncated"),
            "episode": _columns(X, "episode"),
            "behaviour": _columns(X, "behaviour"),
        }
        missing = [name for name in ("observations", "actions", "rewards", "terminated") if log[name] is None]
        if missing:
            raise ValueError(
                f"the log has no {missing[0]}; {type(estimator).__name__} needs observation_0 ..., "
                f"{', '.join(NEEDED)} (and, where episodes were cut, truncated and episode)."
            )
        found = {name: part for name, part in log.items() if part is not None}
        _check_lengths(found)
        n = len(found["rewards"])
        for name in ("terminated", "truncated"):
            found[name] = np.asarray(found.get(name, np.zeros(n)), dtype=bool)
        if "episode" not in found:
            ended = found["terminated"] | found["truncated"]
            found["episode"] = np.concatenate([[0], np.cumsum(ended)[:-1]])
        for name in ("observations", "rewards", "next_observations", "actions"):
            if name in found:
                _check_finite(name, found[name])
        _check_episodes(found)
        if "next_observations" not in found:
            found["next_observations"] = _following(found)
        if reset:
            estimator.n_features_in_ = int(np.prod(found["observations"].shape[1:]))
        elif int(np.prod(found["observations"].shape[1:])) != estimator.n_features_in_:
            raise ValueError(
                f"the log has observations of {int(np.prod(found['observations'].shape[1:]))} numbers, but "
                f"{type(estimator).__name__} was fitted on {estimator.n_features_in_}."
            )
        return found

    def toy(self, rng: np.random.RandomState, n: int = 80) -> tuple[Any, np.ndarray]:
        """Episodes of eight steps on a line, in which action 1 goes right and is paid."""
        import pandas as pd

        n = 8 * -(-n // 8)
        action = rng.randint(2, size=n)
        step = np.where(action == 1, 1.0, -1.0).reshape(-1, 8)
        after = step.cumsum(axis=1)
        before = np.concatenate([np.zeros((len(step), 1)), after[:, :-1]], axis=1)
        last = np.tile(np.arange(8) == 7, len(step))
        table = {
            "observation_0": before.ravel(), "action": action, "reward": step.ravel(),
            "next_observation_0": after.ravel(), "terminated": last, "truncated": np.zeros(n, bool),
            "episode": np.repeat(np.arange(len(step)), 8),
        }  # fmt: skip
        return pd.DataFrame(table), action


def _columns(X: Any, title: str) -> np.ndarray | None:
    """Return the column of that title, or all columns title_0, title_1 ... side by side."""
    names = [str(name) for name in (X if isinstance(X, Mapping) else X.columns)]
    for name in (title, title + "s"):
        if name in names:
            return np.asarray(X[name])
    numbered = [name for name in names if name.startswith(title + "_") and name[len(title) + 1 :].isdigit()]
    numbered.sort(key=lambda name: int(name[len(title) + 1 :]))
    return np.column_stack([np.asarray(X[name]) for name in numbered]) if numbered else None


def _check_lengths(log: dict[str, np.ndarray]) -> None:
    lengths = {name: len(part) for name, part in log.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{n} {name}" for name, n in lengths.items())
        raise ValueError(f"the log has {said}; every transition needs one of each.")
    if lengths["rewards"] == 0:
        raise ValueError("the log holds no transition (0 sample(s)); give at least one.")


def _check_finite(name: str, part: np.ndarray) -> None:
    if part.dtype.kind not in "iufb":
        raise ValueError(f"{name} of the log are of type {part.dtype}; give numbers.")
    if part.dtype.kind == "f":
        wrong = ~np.isfinite(part).reshape(len(part), -1).all(axis=1)
        if wrong.any():
            raise ValueError(
                f"{name} of the log hold NaN or infinity in row {wrong.argmax()}; drop the episode."
            )


def _check_episodes(log: dict[str, np.ndarray]) -> None:
    """Refuse episodes that are scattered, that go on after their end, or whose rows do not join up."""
    episode = log["episode"]
    begins = np.concatenate([[True], episode[1:] != episode[:-1]])
    if begins.sum() > len(np.unique(episode)):
        seen = np.unique(episode[begins], return_counts=True)
        torn = seen[0][seen[1].argmax()]
        raise ValueError(
            f"episode {torn} of the log stands in {seen[1].max()} places; keep the rows of an episode "
            "together, in the order of time."
        )
    goes_on = ~begins[1:]
    after_end = goes_on & (log["terminated"] | log["truncated"])[:-1]
    if after_end.any():
        i = int(after_end.argmax())
        raise ValueError(f"episode {episode[i]} of the log goes on in row {i + 1} after its end in row {i}.")
    if "next_observations" in log:
        following = log["observations"][1:].reshape(len(episode) - 1, -1)
        said = log["next_observations"][:-1].reshape(len(episode) - 1, -1)
        apart = goes_on & (following != said).any(axis=1)
        if apart.any():
            i = int(apart.argmax())
            raise ValueError(
                f"row {i} of the log ends in another observation than row {i + 1} of the same episode begins "
                "with; the rows of an episode must join up."
            )


def _following(log: dict[str, np.ndarray]) -> np.ndarray:
    """Read next observations off the rows that follow; behind the end of an episode nothing counts."""
    observations, episode = log["observations"], log["episode"]
    last = np.concatenate([episode[1:] != episode[:-1], [True]])
    cut = last & ~log["terminated"]
    if cut.any():
        raise ValueError(
            f"the log has no next_observation, and episode {episode[cut.argmax()]} was cut in row "
            f"{cut.argmax()} before it terminated: what came next is unknown; give next_observation_0 ... ."
        )
    return np.concatenate([observations[1:], observations[-1:]])
