"""Smaller and larger of two: right, and vector instructions where a loop reduces with them."""

import re

import numpy as np
import pytest
from numba import njit

from zoo.engines.kernels.lanes import least_of, most_of


@njit(fastmath={"nnan", "nsz", "arcp", "contract"})
def ends(a):
    low, high = a.dtype.type(np.inf), a.dtype.type(-np.inf)
    for k in range(a.shape[0]):
        low = least_of(low, a[k])
        high = most_of(high, a[k])
    return low, high


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends_of_an_array(dtype):
    a = np.random.default_rng(0).normal(size=1003).astype(dtype)
    a[::7] = np.inf
    assert ends(a) == (a.min(), a.max())
    assert ends(a[::-1]) == (a.min(), a.max())


def test_two_precisions_meet_in_the_wider():
    @njit
    def both(a, b):
        return least_of(a, b), most_of(a, b)

    assert both(np.float32(1.5), 1.0) == (1.0, 1.5)


def test_a_reduction_uses_more_than_one_lane():
    ends(np.zeros(8))
    (text,) = (ends.inspect_asm(s) for s in ends.signatures if "float64" in str(s) and "C" in str(s))
    assert re.search(r"v?min(pd|\.2d)|fminnm", text)
