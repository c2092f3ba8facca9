"""Rows of factor matrices: the number of an id of any hashable type, and products of two rows.

Ids are numbered in the order in which they first appear, so that a fit is blind to their names.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

_BLOCK = 1 << 16  # rows that are gathered at once


def number(
    known: np.ndarray | None, column: np.ndarray, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each id of ``column`` and all ids by number; new ones join ``known``."""
    values = _as_list(column)
    numbers = {} if known is None else dict(zip(_as_list(known), range(len(known)), strict=True))
    try:
        rows = [numbers.setdefault(value, len(numbers)) for value in values]
    except TypeError as error:
        raise _unhashable(values, what) from error
    return np.array(rows, dtype=np.intp), _as_array(list(numbers))


def find(known: np.ndarray, column: np.ndarray, what: str) -> np.ndarray:
    """Return the number of each id of ``column``; -1 for those that are not known."""
    values = _as_list(column)
    numbers = dict(zip(_as_list(known), range(len(known)), strict=True))
    try:
        rows = [numbers.get(value, -1) for value in values]
    except TypeError as error:
        raise _unhashable(values, what) from error
    return np.array(rows, dtype=np.intp)


def find_one(known: np.ndarray, value: Any, what: str) -> int:
    """Return the number of one id; -1 if it is not known."""
    return int(find(known, _as_objects([value]), what)[0])


def gather(F: np.ndarray, rows: np.ndarray, unknown: np.ndarray | float) -> np.ndarray:
    """Return the rows of F, and the row ``unknown`` for the number -1."""
    out = F[rows]
    out[rows < 0] = unknown
    return out


def products(
    P: np.ndarray,
    Q: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    unknown: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Return <p, q> of each pair of rows, block by block."""
    out = np.empty(len(users))
    for start in range(0, len(users), _BLOCK):
        block = slice(start, start + _BLOCK)
        p = gather(P, users[block], unknown[0])
        q = gather(Q, items[block], unknown[1])
        np.einsum("nd,nd->n", p, q, out=out[block])
    return out


def _as_list(column: np.ndarray) -> list[Any]:
    # Dates would become bare integers.
    return list(column) if column.dtype.kind in "mM" else column.tolist()


def _as_array(values: Sequence[Any]) -> np.ndarray:
    for kind in (int, float):
        if all(type(value) is kind for value in values):
            return np.array(values)
    # Not numpy's strings: they drop what they take for padding.
    return _as_objects(values)


def _as_objects(values: Sequence[Any]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    for k, value in enumerate(values):
        out[k] = value  # one by one, so that a tuple stays a tuple
    return out


def _unhashable(values: Sequence[Any], what: str) -> ValueError:
    strange = next(v for v in values if getattr(type(v), "__hash__", None) is None or _fails(v))
    return ValueError(
        f"the {what} id {strange!r} is a {type(strange).__name__}, which cannot be hashed; ids are "
        "numbers, strings, tuples of these, or anything else that a dict takes as a key."
    )


def _fails(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return True
    return False
