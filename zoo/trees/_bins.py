"""Quantile bins: numbers become one byte, missing values and categories included.

A numeric column gets at most 255 bins. Bin b holds the values x with ``edges[b - 1] < x <=
edges[b]``; edges are midpoints between values that occur, so few distinct values are kept apart
exactly. A category is its own bin. The code after the last bin stands for what is missing or was
never seen.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

MAX_BINS = 255
SAMPLE = 65_536
"""Rows from which quantiles are taken."""
BLOCK = 16_384
"""Rows that one thread encodes at a time."""


class Bins(NamedTuple):
    """How each column is cut."""

    edges: list  # of float64 arrays: upper limits of all bins but the last; categories sorted
    n_bins: np.ndarray  # int64 (p)
    is_cat: np.ndarray  # uint8 (p)


def _midpoints(a, b):
    """Numbers with a <= m < b, halfway where that is representable."""
    m = a * 0.5 + b * 0.5
    return np.where((m >= a) & (m < b), m, a)


def find_edges(x, max_bins, w=None):
    """Edges of one column of finite or missing numbers, by weighted quantiles."""
    seen = ~np.isnan(x)
    if w is None:
        values = np.sort(x[seen])
        if values.size == 0:
            return np.empty(0)
        new = np.empty(values.size, dtype=bool)
        new[0] = True
        np.not_equal(values[1:], values[:-1], out=new[1:])
        at = np.flatnonzero(new)
        values = values[at]
        if values.size <= max_bins:
            return _midpoints(values[:-1], values[1:])
        share = np.diff(np.append(at, seen.sum())).astype(np.float64)
    else:
        values, inverse = np.unique(x[seen], return_inverse=True)
        if values.size <= max_bins:
            return _midpoints(values[:-1], values[1:])
        share = np.bincount(inverse, weights=w[seen])
    # A value that holds more than an even share gets a bin of its own; the others part the rest.
    total = np.cumsum(share)
    target = total[-1] * np.arange(1, max_bins) / max_bins
    cut = np.unique(np.searchsorted(total, target * (1 - 1e-12)))
    cut = cut[cut < values.size - 1]
    return _midpoints(values[cut], values[cut + 1])


def find_bins(X, max_bins, is_cat, w=None, rng=None):
    """Cut every column of X; rows beyond ``SAMPLE`` are sampled for the quantiles."""
    n, p = X.shape
    pick = None
    if n > SAMPLE and rng is not None:
        pick = np.sort(rng.choice(n, SAMPLE, replace=False))
    edges, n_bins = [], np.empty(p, dtype=np.int64)
    for j in range(p):
        x = X[:, j]
        if is_cat[j]:
            values, count = np.unique(x[~np.isnan(x)], return_counts=True)
            if values.size > MAX_BINS:
                # The rarest categories are not told apart: they count as unseen.
                values = np.sort(values[np.argsort(-count, kind="stable")[:MAX_BINS]])
            edges.append(values.astype(np.float64))
            n_bins[j] = values.size
        else:
            part = x if pick is None else x[pick]
            e = find_edges(
                np.asarray(part, dtype=np.float64),
                max_bins,
                None if w is None else (w if pick is None else w[pick]),
            )
            edges.append(e)
            n_bins[j] = e.size + 1
    return Bins(edges, n_bins, np.asarray(is_cat, dtype=np.uint8))


@njit(cache=True, nogil=True)
def _encode(X, s, e, tables, n_edges, n_bins, is_cat, cols, rows, missing):
    """Codes of rows s .. e. A bisection without branches runs over 64 rows at a time."""
    p = X.shape[1]
    v = np.empty(64)
    at = np.zeros(64, dtype=np.uint32)
    for a in range(s, e, 64):
        m = min(64, e - a)
        for j in range(p):
            for i in range(m):
                v[i] = X[a + i, j]
                at[i] = 0
            table = tables[j]
            half = np.uint32(1)
            while half * np.uint32(2) <= n_edges[j]:
                half *= np.uint32(2)
            while half > np.uint32(0):
                for i in range(64):
                    # Beyond the last edge the table is infinite, and no search passes it.
                    up = table[at[i] + half - np.uint32(1)] < v[i]
                    at[i] += half * np.uint32(up)
                half >>= np.uint32(1)
            out = cols[j, a : a + m]
            for i in range(m):
                out[i] = at[i]
            if is_cat[j]:
                for i in range(m):
                    if at[i] >= n_edges[j] or table[at[i]] != v[i]:
                        out[i] = n_bins[j]
                        missing[j] = 1
            else:
                for i in range(m):
                    if np.isnan(v[i]):
                        out[i] = n_bins[j]
                        missing[j] = 1
            for i in range(m):
                rows[a + i, j] = out[i]
        for j in range(p, rows.shape[1]):
            for i in range(m):
                rows[a + i, j] = 0


def aligned(shape, dtype, line=64):
    """Uninitialised array that begins at a cache line."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + line, dtype=np.uint8)
    at = -raw.ctypes.data % line
    return raw[at : at + size].view(dtype).reshape(shape)


def width(p):
    """Bytes of a padded row: whole cache lines where that wastes little."""
    for line in (64, 32, 16, 8):
        padded = -(-p // line) * line
        if padded <= 1.15 * p:
            return padded
    return p


def encode(X, bins, pool=None):
    """Codes of X by column, by padded row, and which columns hold missing values."""
    n, p = X.shape
    cols = np.empty((p, n), dtype=np.uint8)
    rows = aligned((n, width(p)), np.uint8)
    missing = np.zeros(p, dtype=np.uint8)
    tables = np.full((p, 512), np.inf)
    n_edges = np.array([e.size for e in bins.edges], dtype=np.int64)
    for j, e in enumerate(bins.edges):
        tables[j, : e.size] = e

    def block(s):
        e = min(n, s + BLOCK)
        _encode(X, s, e, tables, n_edges, bins.n_bins, bins.is_cat, cols, rows, missing)

    list((map if pool is None else pool.map)(block, range(0, n, BLOCK)))
    return cols, rows, missing
