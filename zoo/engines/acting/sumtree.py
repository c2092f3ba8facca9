"""A binary tree of sums: draw an index with probability proportional to its value in O(log n).

``tree`` has 2 P cells for P leaves, P a power of two; cell i is the sum of cells 2i and 2i + 1, so
that cell 1 is the total and leaf j is cell P + j.
"""

import numpy as np
from numba import njit


def empty_tree(n: int) -> np.ndarray:
    """Make a tree of at least n leaves, all zero."""
    return np.zeros(2 << max(int(n) - 1, 1).bit_length(), dtype=np.float64)


@njit(cache=True, nogil=True)
def put(tree, leaves, values):  # type: ignore[no-untyped-def]
    """Set leaves (the last word on a repeated one stands) and the sums above them."""
    half = len(tree) // 2
    for j in range(len(leaves)):
        i = half + leaves[j]
        tree[i] = values[j]
        i //= 2
        while i > 0:
            # Sums are made afresh, not by adding differences, so that no rounding piles up.
            tree[i] = tree[2 * i] + tree[2 * i + 1]
            i //= 2


@njit(cache=True, nogil=True)
def find(tree, targets, leaves):  # type: ignore[no-untyped-def]
    """Write, for each target in [0, total), the leaf in whose share of the total it lies."""
    half = len(tree) // 2
    for j in range(len(targets)):
        u = targets[j]
        i = 1
        while i < half:
            i *= 2
            # A right child of zero is never entered, even when rounding puts u at the very end.
            if u >= tree[i] and tree[i + 1] > 0.0:
                u -= tree[i]
                i += 1
        leaves[j] = i - half
