"""Products of sparse rows, arrays in, arrays out."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _half_gram(data, columns, starts, w, H):
    for i in range(starts.shape[0] - 1):
        for a in range(starts[i], starts[i + 1]):
            t = w[i] * data[a]
            row = H[columns[a]]
            for b in range(starts[i], a):
                row[columns[b]] += t * data[b]
            row[columns[a]] += 0.5 * t * data[a]


def gram(X, w):
    """X' W X as a dense array, X in CSR; time is the sum of the squared lengths of the rows."""
    H = np.zeros((X.shape[1], X.shape[1]), X.dtype)
    _half_gram(X.data, X.indices, X.indptr, w, H)
    return H + H.T
