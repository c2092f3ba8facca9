"""SMO: what shrinking may drop, and that it changes no result."""

import numpy as np
import pytest

from zoo.engines.kernels.rows import Kernel
from zoo.engines.kernels.smo import _movable, _slopes, smo


def problem(n=2500, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    y = np.where(X[:, 0] * X[:, 1] + 0.5 * rng.normal(size=n) > 0, 1.0, -1.0)
    return X, y


def dual_objective(found, q):
    return 0.5 * found.u @ (found.F - q) + q @ found.u


@pytest.mark.parametrize("megabytes", [0.5, 2.0])
@pytest.mark.parametrize("C", [1.0, 30.0])
def test_shrinking_with_a_small_cache_finds_what_a_full_one_finds(megabytes, C):
    X, y = problem()
    lo, hi = np.where(y > 0, 0.0, -C), np.where(y > 0, C, 0.0)
    kw = {"tol": 1e-4, "u": None}
    whole = smo(Kernel(X, "rbf", 0.3), -y, lo, hi, shrinking=False, cache_size=200.0, **kw)
    tight = smo(Kernel(X, "rbf", 0.3), -y, lo, hi, shrinking=True, cache_size=megabytes, **kw)
    assert tight.status == whole.status == "converged"
    assert abs(tight.u.sum()) < 1e-8 * np.abs(tight.u).sum()
    np.testing.assert_allclose(dual_objective(tight, -y), dual_objective(whole, -y), rtol=1e-6)
    np.testing.assert_allclose(tight.F, whole.F, atol=1e-2)
    # what is dropped too early is found again in the end, at the price of many more steps
    assert tight.n_iter < 1.5 * whole.n_iter


def test_what_could_still_pair_is_kept():
    rng = np.random.default_rng(1)
    u = rng.choice([0.0, 0.5, 1.0], size=300)
    lo, hi, F = np.zeros(300), np.ones(300), rng.normal(size=300)
    up, dn = np.empty(300), np.empty(300)
    _slopes(u, lo, hi, 0.0, up, dn)
    least, most = np.min(F + up), np.max(F + dn)
    kept = _movable(F, up, dn, least, most)
    for i in range(300):
        rises = u[i] < 1 and F[i] < most  # may go up against the worst that goes down
        falls = u[i] > 0 and F[i] > least
        assert kept[i] or not (rises or falls)
        # and what rests at a bound, beyond both ends, is dropped
        assert not kept[i] or rises or falls or 0 < u[i] < 1 or F[i] in (least, most)
