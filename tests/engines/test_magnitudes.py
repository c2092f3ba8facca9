"""Numbers whose squares a precision does not hold are refused by name; others pass."""

import numpy as np
import pytest
from scipy import sparse

from zoo.engines.magnitudes import check_squares


def test_what_the_precision_holds_passes():
    X = np.ones((3, 2))
    for data in (X * 1e150, X * 1e-140, 0 * X, sparse.csr_array(X), np.ones(3, int), None, X[::2]):
        check_squares("Some", X=data)
    check_squares("Some", np.full(3, 1e300), X=X)


def test_squares_that_overflow_are_named():
    with pytest.raises(ValueError, match=r"^Some: X goes up to 1e\+160, and float64 does not hold"):
        check_squares("Some", X=np.array([[1.0, -1e160]]))
    with pytest.raises(ValueError, match="float32 does not hold"):
        check_squares("Some", X=np.array([[1e20]], np.float32))
    with pytest.raises(ValueError, match="y goes up to"):
        check_squares("Some", y=np.array([1e200]))
    with pytest.raises(ValueError, match="X goes up to"):
        check_squares("Some", X=sparse.csr_array([[0.0, 1e200]]))


def test_squares_that_vanish_are_named():
    with pytest.raises(ValueError, match="X holds no number above 1e-170"):
        check_squares("Some", X=np.full((2, 2), 1e-170))
    check_squares("Some", y=np.full(2, 1e-170))


def test_weights_that_are_too_heavy_are_named():
    with pytest.raises(ValueError, match=r"sample_weight goes up to 1e\+300"):
        check_squares("Some", np.array([1e300, 1.0]), X=np.full((2, 1), 1e5))
