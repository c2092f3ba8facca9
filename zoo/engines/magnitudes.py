"""Magnitudes: methods that square numbers refuse those whose squares their precision does not hold."""

from typing import Any

import numpy as np
from scipy import sparse


def check_squares(
    name: str, w: np.ndarray | None = None, *, vanish: tuple[str, ...] = ("X",), **named: Any
) -> None:
    """Raise where a sum of squares, or one times a weight, overflows, or where those of ``vanish`` do so.

    ``name`` is the estimator's, ``named`` are arrays by the name that the user knows; None and
    integers pass. No entry of X'X, X X' or X'y is larger than what is looked at here.
    """
    heaviest = 1.0 if w is None else float(w.max())
    for what, data in named.items():
        if data is None or data.dtype.kind != "f":
            continue
        total = _sum_of_squares(data)
        if not np.isfinite(total):
            raise ValueError(
                f"{name}: {what} goes up to {_largest(data):.2g}, and {data.dtype} does not hold its "
                f"squares; scale {what}."
            )
        with np.errstate(over="ignore"):
            weighted = data.dtype.type(total) * data.dtype.type(max(heaviest, 1.0))
        if not np.isfinite(weighted):
            raise ValueError(
                f"{name}: sample_weight goes up to {heaviest:.2g}, and {data.dtype} does not hold the "
                f"weighted squares of {what}; scale the weights."
            )
        least = np.finfo(data.dtype).tiny / np.finfo(data.dtype).eps
        if what in vanish and total < least and _largest(data) > 0:
            raise ValueError(
                f"{name}: {what} holds no number above {_largest(data):.2g}, and their squares vanish in "
                f"{data.dtype}; scale {what}."
            )


def _sum_of_squares(data: Any) -> float:
    if sparse.issparse(data):
        data = data.data
    with np.errstate(over="ignore", under="ignore"):
        flat = data.ravel(order="K")
        return float(np.vdot(flat, flat))


def _largest(data: Any) -> float:
    data = data.data if sparse.issparse(data) else data
    return float(max(data.max(initial=0), -data.min(initial=0)))
