"""What users say and get: categories, monotone directions, interactions, seeds, explanations."""

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from zoo.contract.kept import kept
from zoo.contract.params import Fixed

ClassWeight = Annotated[
    dict[Any, Any] | list[dict[Any, Any] | Literal["balanced"] | None] | Literal["balanced"] | None,
    Fixed("it states the costs of the task"),
]
"""Weights of classes where y may have several columns: the same for all, or one entry a column."""


@kept("Explanation")
class Explanation(NamedTuple):
    """What moved predictions: ``base`` plus the sum of a row's ``values`` is its prediction."""

    values: np.ndarray
    base: float | np.ndarray


def _position(estimator: Any, key: Any, p: int, parameter: str) -> int:
    """Find a column given by number or name."""
    names = getattr(estimator, "feature_names_in_", None)
    if isinstance(key, str):
        if names is None or key not in names:
            raise ValueError(
                f"{type(estimator).__name__}: {parameter} names the column {key!r}, which X does "
                "not have; give names of a DataFrame's columns or numbers."
            )
        return int(np.flatnonzero(names == key)[0])
    if not -p <= int(key) < p:
        raise ValueError(
            f"{type(estimator).__name__}: {parameter} names the column {key}, but X has {p} "
            f"columns; give numbers from 0 to {p - 1}."
        )
    return int(key) % p


def find_categories(estimator: Any, p: int) -> np.ndarray:
    """Tell which columns are categorical (bool, one a column)."""
    is_cat = np.zeros(p, dtype=bool)
    is_cat[list(getattr(estimator, "categories_", {}))] = True
    given = estimator.categorical_features
    if given is None or isinstance(given, str):
        return is_cat
    given = np.asarray(given)
    if given.dtype == bool:
        if given.shape != (p,):
            raise ValueError(
                f"{type(estimator).__name__}: categorical_features is a mask of shape "
                f"{given.shape}, but X has {p} columns; give one value a column."
            )
        return is_cat | given
    for key in given.tolist():
        is_cat[_position(estimator, key, p, "categorical_features")] = True
    return is_cat


def monotone_directions(
    estimator: Any, p: int, is_cat: np.ndarray, parameter: str = "monotone_constraints"
) -> np.ndarray | None:
    """Give the direction -1, 0 or 1 of each column, or None."""
    given = getattr(estimator, parameter)
    if given is None:
        return None
    name = type(estimator).__name__
    out = np.zeros(p, dtype=np.int8)
    if isinstance(given, dict):
        for key, direction in given.items():
            out[_position(estimator, key, p, parameter)] = direction
    elif len(given) == p:
        out[:] = given
    else:
        raise ValueError(
            f"{name}: {parameter} has {len(given)} entries, but X has {p} columns; give "
            "one a column, or a dict."
        )
    if not np.isin(out, (-1, 0, 1)).all():
        raise ValueError(f"{name}: {parameter} must be -1, 0 or 1, got {given}.")
    if (out[is_cat] != 0).any():
        j = int(np.flatnonzero(is_cat & (out != 0))[0])
        raise ValueError(
            f"{name}: column {j} is categorical and cannot be monotone, since its values have no "
            f"order; leave it out of {parameter} or out of categorical_features."
        )
    return out


def constraint_sets(estimator: Any, p: int) -> np.ndarray | None:
    """Give the interaction constraints as sets of columns (sets, p); others stay alone together.

    Columns that no set names form one more set.
    """
    given = estimator.interaction_constraints
    if given is None:
        return None
    sets = np.zeros((len(given) + 1, p), dtype=np.uint8)
    for s, columns in enumerate(given):
        for key in columns:
            sets[s, _position(estimator, key, p, "interaction_constraints")] = 1
    sets[-1] = sets[:-1].max(axis=0, initial=0) == 0
    return sets[sets.any(axis=1)]
