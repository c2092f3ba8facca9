"""OneClassSVM: optimality, agreement with libsvm, and the share outside."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import svm
from sklearn.datasets import make_blobs
from sklearn.metrics.pairwise import rbf_kernel

from zoo.svm.one_class_svm import OneClassSVM

# libsvm in scikit-learn draws its seed from numpy's global generator
libsvm = pytest.mark.changes_global_random_state


def problem(n=300, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[: n // 20] *= 4
    return X


def weights_of(m, n):
    u = np.zeros(n)
    u[m.support_] = m.dual_coef_[0]
    return u


# -- equation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("nu", [0.05, 0.5, 0.9])
def test_kkt_conditions(nu):
    X = problem()
    m = OneClassSVM(nu=nu, gamma=0.2, tol=1e-5).fit(X)
    u, f = weights_of(m, 300), rbf_kernel(X, gamma=0.2) @ weights_of(m, 300) - m.offset_
    np.testing.assert_allclose(u.sum(), nu * 300, rtol=1e-12)
    assert u.min() >= 0
    assert u.max() <= 1
    assert (f[u == 0] >= -2e-5).all()
    assert (f[u == 1] <= 2e-5).all()
    np.testing.assert_allclose(f[(u > 0) & (u < 1)], 0, atol=2e-5)


@pytest.mark.parametrize("nu", [0.05, 0.3, 0.8])
def test_nu_bounds_the_share_outside_and_the_share_of_support(nu):
    X = problem(n=1000)
    m = OneClassSVM(nu=nu, gamma=0.2, tol=1e-6).fit(X)
    assert (m.decision_function(X) < -1e-5).mean() <= nu
    assert len(m.support_) / 1000 >= nu


# -- oracle -------------------------------------------------------------------------------------


@libsvm
@pytest.mark.parametrize("nu", [0.1, 0.5])
@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly"])
@pytest.mark.parametrize("seed", range(2))
def test_agrees_with_libsvm(kernel, nu, seed):
    # the linear kernel needs data on one side of the origin; 301, so that nu n is no whole number,
    # a row lies on the boundary and rho is unique
    X = problem(n=301, seed=seed) + 4.0
    kw = {"kernel": kernel, "nu": nu, "gamma": 0.1, "coef0": 1.0, "degree": 2, "tol": 1e-5}
    ours, theirs = OneClassSVM(**kw).fit(X), svm.OneClassSVM(**kw).fit(X)
    K = {"rbf": rbf_kernel(X, gamma=0.1), "linear": X @ X.T, "poly": (0.1 * X @ X.T + 1) ** 2}[kernel]
    a, b = (0.5 * u @ K @ u for u in (weights_of(ours, 301), weights_of(theirs, 301)))
    assert a <= b + 1e-6 * abs(b) + 1e-9 * K.max()
    scale = np.abs(theirs.score_samples(X)).max()
    np.testing.assert_allclose(
        ours.decision_function(X), theirs.decision_function(X), atol=1e-4 * max(scale, 1.0)
    )
    np.testing.assert_allclose(ours.offset_, theirs.offset_[0], atol=1e-4 * max(scale, 1.0))


@libsvm
def test_sigmoid_of_a_definite_kind_agrees_with_libsvm():
    X = np.abs(problem())
    kw = {"kernel": "sigmoid", "gamma": 0.01, "nu": 0.3, "tol": 1e-6}
    ours, theirs = OneClassSVM(**kw).fit(X), svm.OneClassSVM(**kw).fit(X)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-3)


@libsvm
def test_weights_move_the_box():
    X = problem()
    w = np.random.default_rng(0).uniform(0.2, 3, len(X))
    kw = {"gamma": 0.2, "nu": 0.3, "tol": 1e-6}
    ours, theirs = OneClassSVM(**kw).fit(X, sample_weight=w), svm.OneClassSVM(**kw).fit(X, sample_weight=w)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)
    assert (weights_of(ours, 300) <= w).all()


@pytest.mark.parametrize("unit", [2.0**990, 2.0**-990])
def test_the_size_of_all_weights_is_a_unit(unit):
    X = problem()
    w = np.random.default_rng(0).uniform(0.5, 1, len(X))
    w[0] = 1
    one, far = (OneClassSVM(gamma=0.2, nu=0.3).fit(X, sample_weight=v) for v in (w, w * unit))
    np.testing.assert_array_equal(far.decision_function(X), one.decision_function(X) * unit)


def test_sparse_precomputed_and_callable_agree_with_dense():
    X = problem()
    kw = {"nu": 0.2, "tol": 1e-6}
    s = OneClassSVM(gamma=0.2, **kw).fit(X).decision_function(X)
    scarce = OneClassSVM(gamma=0.2, **kw).fit(sparse.csr_array(X))
    np.testing.assert_allclose(scarce.decision_function(sparse.csr_array(X)), s, atol=1e-4)
    K = rbf_kernel(X, gamma=0.2)
    given = OneClassSVM(kernel="precomputed", **kw).fit(K)
    np.testing.assert_allclose(given.decision_function(K), s, atol=1e-4)
    called = OneClassSVM(kernel=lambda A, B: rbf_kernel(A, B, gamma=0.2), **kw).fit(X)
    np.testing.assert_allclose(called.decision_function(X), s, atol=1e-4)


def test_small_cache_and_shrinking_change_nothing():
    X = problem(n=2500)
    kw = {"gamma": 0.2, "nu": 0.2, "tol": 1e-5}
    full = OneClassSVM(**kw, shrinking=False).fit(X).decision_function(X)
    for cache_size in (0.05, 3.0):
        tight = OneClassSVM(**kw, cache_size=cache_size).fit(X).decision_function(X)
        np.testing.assert_allclose(tight, full, atol=2e-4 * np.abs(full).max())


# -- character ----------------------------------------------------------------------------------


def test_strangers_are_found():
    X, _ = make_blobs(400, 2, centers=2, cluster_std=0.5, random_state=0)
    Z = np.random.default_rng(0).uniform(X.max(axis=0) + 1, X.max(axis=0) + 6, size=(20, 2))
    m = OneClassSVM(nu=0.05, gamma=1.0).fit(X)
    assert (m.predict(Z) == -1).all()
    assert (m.predict(X) == 1).mean() > 0.9


def test_every_row_supports_at_nu_one():
    X = problem()
    m = OneClassSVM(nu=1.0).fit(X)
    assert len(m.support_) == 300
    np.testing.assert_allclose(m.offset_, m.score_samples(X).max(), rtol=1e-6)


def test_rows_of_no_weight_are_left_out_and_support_counts_all_rows():
    X, K = problem(), rbf_kernel(problem(), gamma=0.2)
    w = np.tile([1.0, 0.0, 1.0], 100)
    kw = {"nu": 0.2, "tol": 1e-6}
    part = OneClassSVM(gamma=0.2, **kw).fit(X[w > 0]).decision_function(X)
    weighed = OneClassSVM(gamma=0.2, **kw).fit(X, sample_weight=w)
    given = OneClassSVM(kernel="precomputed", **kw).fit(K, sample_weight=w)
    np.testing.assert_array_equal(X[weighed.support_], weighed.support_vectors_)
    for found in (weighed.decision_function(X), given.decision_function(K)):
        np.testing.assert_allclose(found, part, atol=1e-4)


def test_rounding_of_large_values_does_not_keep_it_for_ever():
    X = 30 * problem(n=200)  # the origin is inside: the plane has nothing to hold on to
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m = OneClassSVM(kernel="linear", tol=1e-4).fit(X)
    assert np.linalg.norm(m.coef_) < 1e-2


@libsvm
def test_start_is_in_the_thinnest_places():
    X = problem(n=2000)
    few = OneClassSVM(nu=0.5, gamma=0.2).fit(X).n_iter_
    theirs = svm.OneClassSVM(nu=0.5, gamma=0.2).fit(X).n_iter_
    assert few < theirs


def test_no_y_is_needed_and_float32_stays():
    X = problem().astype(np.float32)
    m = OneClassSVM().fit(X)
    assert m.decision_function(X).dtype == np.float32
    assert m.predict(X).dtype.kind == "i"
    np.testing.assert_array_equal(OneClassSVM().fit_predict(X), m.predict(X))
