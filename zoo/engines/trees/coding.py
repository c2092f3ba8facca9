"""A table as codes: numbers of values in their order, which the record grower sorts and counts.

Where rows are few enough a code is a distinct value, so that every cut is tried; beyond, neighbouring
values share one. (The histogram grower takes bins instead: bytes, see ``bins``.)
"""

from typing import NamedTuple

import numpy as np

from zoo.engines.trees import bins as _bins
from zoo.engines.trees import records
from zoo.engines.trees.sparse_table import Columns

EXACT_ROWS = 10_000
"""Up to this many rows every distinct value is a place to cut, unless bins are asked for."""
MORE_ROWS, MORE_CELLS = 50_000, 500_000
"""Likewise where a squared error feels the place of a cut and nodes are sorted, not counted."""
FINE = 8191
"""Else neighbouring values share a code where it does not stand for more than one part in so many of
the rows: no more codes than twice that."""
WHOLE = 128
"""The code that stands for what is missing is then a multiple of this, so that it shares no cell."""


class CodedTable(NamedTuple):
    """A table in codes, and what turns cuts back into thresholds."""

    codes: np.ndarray  # uint16 (n, p)
    n_codes: np.ndarray  # int64 (p): the code that stands for what is missing
    is_cat: np.ndarray  # uint8 (p)
    exact: bool  # whether a code is a value
    limits: np.ndarray  # float64 (p, codes): the value of each code, or the upper limit
    edges: list  # the limits column by column: of a categorical one what it knows


def code_table(X, max_bins, is_cat, w=None, squared=False):
    """Code a table: by rank of the distinct values, or by bins."""
    n, p = X.shape
    if max_bins is not None:
        bins = _bins.find_bins(X, max_bins, is_cat, w, np.random.RandomState(0))
        cols, _ = _bins.encode(X, bins)
        codes = np.ascontiguousarray(cols.T, dtype=np.uint16)
        return CodedTable(codes, bins.n_bins, bins.is_cat, False, _as_table(bins.edges), bins.edges)
    exact = n <= EXACT_ROWS or (squared and n <= MORE_ROWS and n * p <= MORE_CELLS)
    codes, columns = np.empty((n, p), np.uint16), Columns(X)
    limits, n_codes = [], np.empty(p, np.int64)
    low, high = np.empty(n), np.empty(n)
    for j in range(p):
        x = columns[j].astype(np.float64)
        missing = np.isnan(x)
        if is_cat[j]:
            known = _bins.known_categories(x, j)
            code = np.searchsorted(known, x)
            missing |= known[np.minimum(code, len(known) - 1)] != x if len(known) else True
            codes[:, j], k = code, len(known)
            limits.append(known)
        else:
            k = records.number_values(x, np.argsort(x), 1 if exact else n // FINE, j, codes, low, high)
            limits.append(high[:k].copy() if exact else _bins._midpoints(high[: k - 1], low[1:k]))
            if not exact and k > records.CELLS:
                k = -(-k // WHOLE) * WHOLE
        codes[missing, j], n_codes[j] = k, k
    return CodedTable(codes, n_codes, np.asarray(is_cat, np.uint8), exact, _as_table(limits), limits)


def _as_table(columns):
    table = np.full((len(columns), max(len(c) for c in columns) + 1), np.inf)
    for own, c in zip(table, columns, strict=True):
        own[: len(c)] = c
    return table
