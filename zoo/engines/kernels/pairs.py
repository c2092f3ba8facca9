"""Kernel matrices of pairs of classes, for many small classes.

A class meets every other one, and the kernel among its own rows is in each of these matrices: it is made
once. What two classes share is made as one block and stands in the matrix twice.
"""

import threading

import numpy as np
from numba import njit
from threadpoolctl import threadpool_info

from zoo.engines.kernels.smo import SMALL

# Squares of rows, summed over the pairs, from which a second thread is worth its waking.
MANY = 1.5e7


@njit(cache=True, nogil=True)
def _write_transposed(C, out):
    """Tile by tile, so that both sides stay in the cache."""
    n, m = C.shape
    for i0 in range(0, n, 32):
        for j0 in range(0, m, 32):
            for j in range(j0, min(j0 + 32, m)):
                for i in range(i0, min(i0 + 32, n)):
                    out[j, i] = C[i, j]


class ClassBlocks:
    """The blocks of a kernel between classes.

    Parameters
    ----------
    kernel : Kernel
    rows : list of arrays
        The rows of each class.
    """

    def __init__(self, kernel, rows):
        self.parts = [kernel.subset(r) for r in rows]
        self.own = [None] * len(rows)
        self.room = threading.local()

    def matrix(self, a, b):
        """The rows of class a, then those of b, against the same; good until this thread's next call."""
        A, B = self._own(a), self._own(b)
        n, m = len(A), len(A) + len(B)
        buffer = getattr(self.room, "buffer", None)
        if buffer is None or buffer.size < m * m:
            buffer = self.room.buffer = np.empty(m * m, A.dtype)
        K = buffer[: m * m].reshape(m, m)
        C = self._between(a, b)
        K[:n, :n], K[n:, n:], K[:n, n:] = A, B, C
        _write_transposed(C, K[n:, :n])
        return K

    def _own(self, a):
        if self.own[a] is None:
            self.own[a] = self._between(a, a)
        return self.own[a]

    def _between(self, a, b):
        part, other = self.parts[a], self.parts[b]
        S = np.empty((part.n, other.n), part.dtype)
        other._finish(part.Z, part.norms, S, np.arange(part.n), S=S)
        return S


def are_small(kernel, rows, megabytes):
    """Whether every pair's matrix is made at once, and the blocks of all classes fit the cache."""
    named = isinstance(kernel.kind, str) and kernel.kind not in ("precomputed", "linear")
    sizes = np.sort([r.size for r in rows])
    return (
        named
        and not kernel.sparse
        and kernel.there is None
        and float(sizes[-2:].sum()) ** 2 * (kernel.width + 20) <= SMALL
        and float((sizes.astype(float) ** 2).sum()) * 4 <= megabytes * 2**20
    )


def are_many(rows):
    """Whether the pairs of these classes are worth the waking of threads."""
    sizes = np.array([r.size for r in rows], float)
    return (len(sizes) - 2) * (sizes**2).sum() + sizes.sum() ** 2 >= MANY


def threads():
    """Threads that this process may use, as BLAS sees it."""
    return max((library["num_threads"] for library in threadpool_info()), default=1)
