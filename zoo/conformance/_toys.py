"""What an estimator is given under test, as its input and target want it."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from zoo.conformance._environments import observations_of, toy_environment
from zoo.conformance._games import Stones
from zoo.contract.inputs import Either, Env, Game, Input, Logged
from zoo.contract.targets import Documents, Labels, Numbers, Sequences, Target


def parameters_for(kind: Input) -> dict[str, Any]:
    """Return the parameters without which nothing can be learned: an environment, a game."""
    if isinstance(kind, Either):
        return parameters_for(kind.first) | parameters_for(kind.second)
    if isinstance(kind, Env):
        return {"env": toy_environment(kind)}
    return {"game": Stones()} if isinstance(kind, Game) else {}


def questions_for(kind: Input, X: Any) -> Any:
    """Return what predict is asked: rows like X; of an agent, observations or states of a game."""
    if isinstance(kind, Either):
        return questions_for(kind.first, X)
    if isinstance(kind, Env):
        return observations_of(toy_environment(kind))
    if isinstance(kind, Game):
        return Stones().states()
    if isinstance(kind, Logged):
        return kind.check(SimpleNamespace(), X, reset=True)["observations"]
    return X


def targets_for(target: Target, X: Any, classes: np.ndarray) -> Any:
    """Turn class numbers into targets: the same numbers, pictures of them, documents."""
    if isinstance(target, Documents):
        return [" ".join(reversed(document.split())) for document in X]
    if isinstance(target, Sequences):
        return targets_for(target.of, X, classes)
    if isinstance(target, Labels):
        return classes
    y = np.asarray(classes, dtype=float)
    if not isinstance(target, Numbers) or target.shape is None:
        return y
    shape = tuple(2 + j if size is None else size for j, size in enumerate(target.shape))
    pattern = 1 + np.arange(np.prod(shape)).reshape(shape) % 3
    return y.reshape(-1, *[1] * len(shape)) * pattern


def shared(estimator: Any) -> frozenset[str]:
    """Name the parameters that hold a fitted estimator."""
    return frozenset(estimator._shares()) if hasattr(estimator, "_shares") else frozenset()
