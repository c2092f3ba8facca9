"""SVR: optimality, agreement with libsvm, and the tube."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import svm
from sklearn.metrics.pairwise import rbf_kernel

from zoo.svm.svr import SVR

# libsvm in scikit-learn draws its seed from numpy's global generator
libsvm = pytest.mark.changes_global_random_state


def problem(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X, np.sin(X[:, 0]) + X[:, 1] ** 2 / 3 + 0.2 * rng.normal(size=n)


def test_kkt_conditions():
    X, y = problem()
    m = SVR(C=2.0, epsilon=0.1, gamma=0.2, tol=1e-5).fit(X, y)
    u = np.zeros(len(y))
    u[m.support_] = m.dual_coef_[0]
    r = y - (rbf_kernel(X, gamma=0.2) @ u + m.intercept_[0])
    assert abs(u.sum()) < 1e-8
    assert np.abs(u).max() <= 2.0
    assert (np.abs(r[u == 0]) <= 0.1 + 2e-5).all()
    inside = (np.abs(u) > 0) & (np.abs(u) < 2)
    np.testing.assert_allclose(r[inside], 0.1 * np.sign(u[inside]), atol=2e-5)
    assert (np.sign(u[np.abs(u) == 2]) * r[np.abs(u) == 2] >= 0.1 - 2e-5).all()


@libsvm
@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf"])
@pytest.mark.parametrize(("C", "epsilon"), [(0.5, 0.1), (20.0, 0.3), (1.0, 0.0)])
def test_agrees_with_libsvm(kernel, C, epsilon):
    X, y = problem()
    kw = {"kernel": kernel, "C": C, "epsilon": epsilon, "gamma": 0.1, "tol": 1e-6}
    ours, theirs = SVR(**kw).fit(X, y).predict(X), svm.SVR(**kw).fit(X, y).predict(X)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@libsvm
def test_weights_and_sparse():
    X, y = problem()
    w = np.random.default_rng(1).uniform(0.2, 3, len(y))
    theirs = svm.SVR(tol=1e-6).fit(X, y, w).predict(X)
    np.testing.assert_allclose(SVR(tol=1e-6).fit(X, y, w).predict(X), theirs, atol=1e-4)
    Z = sparse.csr_array(X)
    np.testing.assert_allclose(SVR(tol=1e-6).fit(Z, y, w).predict(Z), theirs, atol=1e-4)


def test_tight_cache_with_shrinking():
    X, y = problem(2200)
    kw = {"gamma": 0.3, "tol": 1e-4, "C": 5.0}
    full = SVR(**kw, shrinking=False).fit(X, y).predict(X)
    np.testing.assert_allclose(SVR(**kw, cache_size=2.0).fit(X, y).predict(X), full, atol=1e-3)


def test_a_wide_tube_needs_no_support():
    X, y = problem()
    m = SVR(epsilon=10.0).fit(X, y)
    assert len(m.support_) == 0
    assert np.ptp(m.predict(X)) == 0


def test_infinite_price_is_refused():
    X, y = problem()
    with pytest.raises(ValueError, match="finite C"):
        SVR(C=np.inf).fit(X, y)


def test_support_is_counted():
    X = np.random.default_rng(0).normal(size=(50, 2))
    m = SVR().fit(X, X[:, 0])
    np.testing.assert_array_equal(m.n_support_, [len(m.support_)])
