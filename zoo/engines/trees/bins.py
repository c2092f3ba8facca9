"""Quantile bins: numbers become one byte, missing values and categories included.

A numeric column gets at most 255 bins. Bin b holds the values x with ``edges[b - 1] < x <=
edges[b]``; edges are midpoints between values that occur, so few distinct values are kept apart
exactly. A category is its own bin. The code after the last bin stands for what is missing or was
never seen.
"""

import warnings
from typing import NamedTuple

import numpy as np
from numpy import uint32

from zoo.engines.trees import sparse_table
from zoo.engines.trees.memory import door, f64, fill_table, i64, skip, smaller, table_at, u8, u32
from zoo.engines.trees.sparse_table import Columns, issparse

MAX_BINS = 255
SAMPLE = 65_536
"""Rows from which quantiles are taken."""
BLOCK = 2048
"""Rows that one thread encodes at a time."""
SMALL = 16
"""Most cells of a column that may share a byte with others."""
GLANCE = 4096
"""Rows that are looked at before all rows are."""
MOST_OPEN = 8
"""Groups that a column is tried with."""

# Numbers of the table, then addresses.
ROWS, COLUMNS, ALL_ROWS, FIRST, WIDTH = range(5)
_x, _tables, _n_edges, _n_bins, _is_cat, _cols, _missing, _rows, _scratch = range(5, 14)
TABLE = 14


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


def known_categories(x, j):
    """List the categories of column j that a tree tells apart, in order: the commonest of them."""
    values, count = np.unique(x[~np.isnan(x)], return_counts=True)
    if values.size > MAX_BINS:
        order = np.argsort(-count, kind="stable")
        rare = count[order[MAX_BINS:]].sum() / count.sum()
        warnings.warn(
            f"column {j} has {values.size} categories and a tree tells {MAX_BINS} apart: the "
            f"rarest, in {rare:.1%} of the rows, count as unseen; encode the column in another "
            "way (TargetEncoder) if they matter.",
            UserWarning,
            stacklevel=2,
        )
        values = np.sort(values[order[:MAX_BINS]])
    return values.astype(np.float64)


def find_bins(X, max_bins, is_cat, w=None, rng=None):
    """Cut every column of X; rows beyond ``SAMPLE`` are sampled for the quantiles."""
    n, p = X.shape
    pick = None
    if n > SAMPLE and rng is not None:
        pick = np.sort(rng.choice(n, SAMPLE, replace=False))
    edges, n_bins, columns = [], np.empty(p, dtype=np.int64), Columns(X)
    for j in range(p):
        x = columns[j]
        if is_cat[j]:
            edges.append(known_categories(x, j))
            n_bins[j] = edges[j].size
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


@door
def _encode(address):
    """Codes of a block of columns (p, m). A bisection without branches runs over 64 rows at a time."""
    t = table_at(address)
    m, missing, at = t[ROWS], u8(t, _missing), u32(t, _scratch)
    for j in range(t[COLUMNS]):
        table, edges, last = skip(f64(t, _tables), j * 512), i64(t, _n_edges)[j], i64(t, _n_bins)[j]
        top = uint32(1)
        while top * 2 <= edges:
            top = uint32(top * 2)
        for a in range(0, m, 64):
            v = skip(f64(t, _x), j * m + a)
            out = skip(u8(t, _cols), j * t[ALL_ROWS] + t[FIRST] + a)
            k = smaller(64, m - a)
            half = top
            for i in range(k):
                at[i] = 0
            while half > 0:
                below = skip(table, half - 1)
                for i in range(k):
                    # Beyond the last edge the table is infinite, and no search passes it.
                    at[i] += half * uint32(below[at[i]] < v[i])
                half = uint32(half >> 1)
            for i in range(k):
                out[i] = at[i]
            if u8(t, _is_cat)[j]:
                for i in range(k):
                    if at[i] >= edges or table[at[i]] != v[i]:
                        out[i] = last
                        missing[j] = 1
            else:
                for i in range(k):
                    if v[i] != v[i]:
                        out[i] = last
                        missing[j] = 1


@door
def _weave(address):
    """Turn columns of bytes into padded rows."""
    t = table_at(address)
    p, width, n, s = t[COLUMNS], t[WIDTH], t[ALL_ROWS], t[FIRST]
    for a in range(s, s + t[ROWS], 64):
        m = smaller(64, s + t[ROWS] - a)
        rows = skip(u8(t, _rows), a * width)
        for j in range(p):
            col = skip(u8(t, _cols), j * n + a)
            for i in range(m):
                rows[i * width + j] = col[i]
        for i in range(m):
            for j in range(p, width):
                rows[i * width + j] = 0


def _each_block(n, pool, call):
    list((map if pool is None else pool.map)(call, range(0, n, BLOCK)))


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
    """Codes of X, a row for each column, and which columns hold missing values."""
    if issparse(X):
        return sparse_table.encode(X, bins)
    n, p = X.shape
    tables = np.full((p, 512), np.inf)
    n_edges = np.array([e.size for e in bins.edges], dtype=np.int64)
    for j, e in enumerate(bins.edges):
        tables[j, : e.size] = e
    arrays = {
        _cols: np.empty((p, n), dtype=np.uint8), _missing: np.zeros(p, dtype=np.uint8), _tables: tables,
        _n_edges: n_edges, _n_bins: bins.n_bins, _is_cat: bins.is_cat,
    }  # fmt: skip
    whole = fill_table(TABLE, {COLUMNS: p, ALL_ROWS: n}, arrays)

    def block(s):
        own = {_x: np.ascontiguousarray(X[s : s + BLOCK].T, dtype=np.float64), _scratch: np.empty(32)}
        table = whole + fill_table(TABLE, {ROWS: min(BLOCK, n - s), FIRST: s}, own)
        _encode(table.ctypes.data)

    _each_block(n, pool, block)
    return arrays[_cols], arrays[_missing]


def weave(cols, pool=None):
    """Padded rows, a byte for each column."""
    p, n = cols.shape
    rows = aligned((n, width(p)), np.uint8)
    numbers = {COLUMNS: p, ALL_ROWS: n, WIDTH: rows.shape[1]}
    whole = fill_table(TABLE, numbers, {_cols: np.ascontiguousarray(cols), _rows: rows})

    def block(s):
        table = whole + fill_table(TABLE, {ROWS: min(BLOCK, n - s), FIRST: s}, {})
        _weave(table.ctypes.data)

    _each_block(n, pool, block)
    return rows


class Groups(NamedTuple):
    """Columns of few values that share a byte: the byte numbers the tuples that occur."""

    bytes: np.ndarray  # uint8 (groups, n)
    cells: np.ndarray  # int64 (groups): different bytes
    group: np.ndarray  # int64 (p)
    rest: np.ndarray  # int64 (p): the bin that is not listed, -1 for a column alone
    listed: np.ndarray  # int64 (p + 1): where a column's bytes are listed
    byte: np.ndarray  # uint8: bytes that stand for another bin than ``rest``
    bin: np.ndarray  # uint8: that bin


def find_groups(cols, cells):
    """Put columns of few values together where few of their combinations occur.

    Columns that exclude each other (a category spelled out as zeros and ones) and products of a
    few small columns alike: a histogram then adds one number a row instead of one a column, and
    sums of its cells are each column's own histogram, exactly.
    """
    p, n = cols.shape
    step = -(-n // GLANCE)
    parts = []  # members, bytes, bins of each byte (bytes, members), sum of their cells
    alone = []
    for j in range(p):
        c = int(cells[j])
        if c > SMALL:
            alone.append(j)
            continue
        for part in parts:
            members, byte, bins, total = part
            limit = min(256, max(64, 2 * (total + c)))
            if _occurring(byte[::step], cols[j, ::step], c, len(bins)).sum() > limit:
                continue
            seen = _occurring(byte, cols[j], c, len(bins))
            at = np.flatnonzero(seen)
            if len(at) > limit:
                continue
            new = np.zeros(len(seen), np.uint8)
            new[at] = np.arange(len(at))
            part[0] = [*members, j]
            part[1] = new[byte.astype(np.uint16) * np.uint16(c) + cols[j]]
            part[2] = np.column_stack([bins[at // c], (at % c).astype(np.uint8)])
            part[3] = total + c
            break
        else:
            if len(parts) == MOST_OPEN:
                alone.append(j)
            else:
                parts.append([[j], cols[j], np.arange(c, dtype=np.uint8)[:, None], c])
    alone += [part[0][0] for part in parts if len(part[0]) == 1]
    parts = [part for part in parts if len(part[0]) > 1]
    alone.sort()
    group, rest = np.empty(p, np.int64), np.full(p, -1)
    group[alone] = np.arange(len(alone))
    bytes_of, bins_of = [np.empty(0, np.uint8)] * p, [np.empty(0, np.uint8)] * p
    for g, (members, _, bins, _) in enumerate(parts):
        for i, j in enumerate(members):
            group[j] = len(alone) + g
            rest[j] = np.bincount(bins[:, i]).argmax()
            at = np.flatnonzero(bins[:, i] != rest[j])
            bytes_of[j], bins_of[j] = at.astype(np.uint8), bins[at, i]
    return Groups(
        bytes=np.concatenate([cols[alone], *(part[1][None] for part in parts)]) if parts else cols,
        cells=np.array([*(cells[j] for j in alone), *(len(part[2]) for part in parts)], np.int64),
        group=group,
        rest=rest,
        listed=np.append(0, np.cumsum([len(b) for b in bytes_of])),
        byte=np.concatenate(bytes_of),
        bin=np.concatenate(bins_of),
    )


def _occurring(byte, code, c, n_bytes):
    """Tell which of the combinations byte * c + code occur."""
    seen = np.zeros(n_bytes * c, bool)
    seen[byte.astype(np.uint16) * np.uint16(c) + code] = True
    return seen
