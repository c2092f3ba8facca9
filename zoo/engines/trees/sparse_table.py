"""Sparse tables: read column by column while a fit codes them, and in the columns that trees ask about.

A fit holds one or two bytes a cell, as with a dense table, but never the numbers of the whole. A
prediction makes dense what the trees ask about, some rows at a time.
"""

import numpy as np
from scipy import sparse

CELLS = 1 << 22
"""Cells of a table that are dense at a time."""

issparse = sparse.issparse


class Columns:
    """A table as columns of float64: those of a sparse one are made dense one at a time."""

    def __init__(self, X):
        self.X = X
        if issparse(X):
            self.X = X.tocsc(copy=True)
            self.X.sum_duplicates()

    def __getitem__(self, j):
        """Return a column."""
        if not issparse(self.X):
            return self.X[:, j]
        rows, values = self.entries(j)
        column = np.zeros(self.X.shape[0], self.X.dtype)
        column[rows] = values
        return column

    def entries(self, j):
        """Return the rows of a sparse column that are written down, and their values."""
        a, b = self.X.indptr[j], self.X.indptr[j + 1]
        return self.X.indices[a:b], self.X.data[a:b]


def in_order(X):
    """Return a table whose numbers lie in one order of memory; a sparse one stays as it is."""
    if issparse(X) or X.flags.c_contiguous or X.flags.f_contiguous:
        return X
    return np.ascontiguousarray(X)


def encode(X, bins):
    """Codes of a sparse table, a row for each column, and which columns hold missing values."""
    n, p = X.shape
    columns, cols, missing = Columns(X), np.empty((p, n), np.uint8), np.zeros(p, np.uint8)
    for j in range(p):
        rows, values = columns.entries(j)
        # The last value is that of every cell which is not written down.
        values = np.append(values, 0.0).astype(np.float64)
        codes = _code(values, bins.edges[j], bins.n_bins[j], bins.is_cat[j])
        cols[j] = codes[-1]
        cols[j, rows] = codes[:-1]
        unknown = codes == bins.n_bins[j]
        missing[j] = unknown[:-1].any() or (unknown[-1] and len(rows) < n)
    return cols, missing


def _code(values, edges, n_bins, is_cat):
    at = np.searchsorted(edges, values)
    if is_cat:
        known = at < len(edges)
        known[known] = edges[at[known]] == values[known]
        return np.where(known, at, n_bins)
    return np.where(np.isnan(values), n_bins, at)


def asked_columns(arrays):
    """Columns that trees ask about, in order; one at least, since a table needs a column."""
    asked = np.unique(arrays["feature"])
    asked = asked[asked >= 0]
    return asked if len(asked) else np.zeros(1, asked.dtype)


def narrowed(arrays, asked):
    """Trees that ask a table of these columns alone what they asked the whole."""
    feature = arrays["feature"]
    return arrays | {"feature": np.where(feature < 0, -1, np.searchsorted(asked, feature)).astype(np.int32)}


def dense_columns(X, asked):
    """Return these columns of a table, dense or not, as a dense table."""
    return X[:, asked].toarray() if issparse(X) else X[:, asked]


def dense_pieces(X, asked):
    """Give the ends of pieces of rows, and each piece as a dense table of these columns."""
    n, rows = X.shape[0], max(1, CELLS // len(asked))
    X = X[:, asked]
    for a in range(0, n, rows):
        b = min(n, a + rows)
        yield a, b, X[a:b].toarray()
