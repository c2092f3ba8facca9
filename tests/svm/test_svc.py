"""SVC: optimality, agreement with libsvm, and what makes it a margin machine."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import svm
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from zoo.svm.svc import SVC

# libsvm in scikit-learn draws its seed from numpy's global generator
libsvm = pytest.mark.changes_global_random_state


def problem(n=300, d=6, seed=0, noise=0.05):
    X, y = make_classification(
        n, d, n_informative=d // 2, n_redundant=0, flip_y=noise, random_state=seed
    )
    return X, y


def dual_objective(model, X, y, K):
    u = np.zeros(len(y))
    u[model.support_] = model.dual_coef_[0]
    s = np.where(y == model.classes_[1], 1.0, -1.0)
    return 0.5 * u @ K @ u - s @ u, u, s


# -- equation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("C", [0.1, 1.0, 100.0])
def test_kkt_conditions(C):
    X, y = problem()
    m = SVC(C=C, gamma=0.3, tol=1e-5).fit(X, y)
    K = rbf_kernel(X, gamma=0.3)
    _, u, s = dual_objective(m, X, y, K)
    alpha = s * u
    margin = s * (K @ u + m.intercept_[0])
    assert abs(u.sum()) < 1e-9 * C * len(y)
    assert alpha.min() >= 0
    assert alpha.max() <= C
    assert (margin[alpha == 0] >= 1 - 2e-5).all()
    assert (margin[alpha == C] <= 1 + 2e-5).all()
    np.testing.assert_allclose(margin[(alpha > 0) & (alpha < C)], 1, atol=2e-5)


def test_dual_ascent_is_optimal_without_bias():
    X, y = problem()
    m = SVC(solver="dual_ascent", gamma=0.3, tol=1e-6).fit(X, y)
    _, u, s = dual_objective(m, X, y, rbf_kernel(X, gamma=0.3))
    g = rbf_kernel(X, gamma=0.3) @ u - s
    lo, hi = np.minimum(0, s), np.maximum(0, s)
    projected = np.clip(u - g, lo, hi) - u
    assert np.abs(projected).max() < 1e-5
    assert m.intercept_[0] == 0


def test_hard_margin_is_the_distance_of_the_hulls():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.uniform(-1, 0, (30, 2)) - [0.5, 0], rng.uniform(0, 1, (30, 2))])
    y = np.repeat([0, 1], 30)
    m = SVC(C=np.inf, kernel="linear", tol=1e-6).fit(X, y)
    u = np.zeros(60)
    u[m.support_] = m.dual_coef_[0]
    p, q = (X[s].T @ np.abs(u[s]) / np.abs(u[s]).sum() for s in (y == 1, y == 0))
    margin = 2 / np.linalg.norm(m.coef_)
    np.testing.assert_allclose(np.linalg.norm(p - q), margin, rtol=1e-4)


# -- oracle -------------------------------------------------------------------------------------


@libsvm
@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf", "sigmoid"])
@pytest.mark.parametrize("C", [0.5, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_binary_agrees_with_libsvm(kernel, C, seed):
    X, y = problem(seed=seed)
    kw = {"C": C, "kernel": kernel, "gamma": 0.05, "coef0": 0.5, "tol": 1e-6}
    ours, theirs = SVC(**kw).fit(X, y), svm.SVC(**kw).fit(X, y)
    if kernel != "sigmoid":  # an indefinite kernel has many stationary points
        s, t = ours.decision_function(X), theirs.decision_function(X)
        np.testing.assert_allclose(s, t, atol=5e-4 * max(1, np.abs(t).max()))
        K = {
            "linear": X @ X.T,
            "rbf": rbf_kernel(X, gamma=0.05),
            "poly": polynomial_kernel(X, gamma=0.05, coef0=0.5, degree=3),
        }[kernel]
        a, b = dual_objective(ours, X, y, K)[0], dual_objective(theirs, X, y, K)[0]
        assert a <= b + 1e-6 * abs(b)
    if kernel != "sigmoid" or C < 1:
        assert (ours.predict(X) == theirs.predict(X)).mean() > 0.99


@libsvm
def test_multiclass_layout_is_that_of_scikit_learn():
    X, y = load_iris(return_X_y=True)
    kw = {"gamma": 0.5, "tol": 1e-7}
    ours, theirs = SVC(**kw).fit(X, y), svm.SVC(**kw).fit(X, y)
    assert (ours.predict(X) == theirs.predict(X)).all()
    np.testing.assert_array_equal(ours.n_support_, theirs.n_support_)
    np.testing.assert_array_equal(ours.support_, theirs.support_)
    np.testing.assert_allclose(ours.dual_coef_, theirs.dual_coef_, atol=1e-3)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-3)


@libsvm
def test_multiclass_linear_coefficients():
    X, y = load_iris(return_X_y=True)
    for solver in ("smo", "auto"):
        ours = SVC(kernel="linear", tol=1e-7, solver=solver).fit(X, y)
        theirs = svm.SVC(kernel="linear", tol=1e-7).fit(X, y)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)


@libsvm
def test_weights_scale_the_box():
    X, y = problem()
    w = np.random.default_rng(0).uniform(0.2, 3, len(y))
    ours = SVC(gamma=0.3, tol=1e-7).fit(X, y, w)
    theirs = svm.SVC(gamma=0.3, tol=1e-7).fit(X, y, w)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)


def test_sparse_precomputed_and_callable_agree_with_dense():
    X, y = problem()
    kw = {"gamma": 0.3, "tol": 1e-6}
    dense = SVC(**kw).fit(X, y)
    s = dense.decision_function(X)
    scarce = SVC(**kw).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(scarce.decision_function(sparse.csr_array(X)), s, atol=1e-4)
    K = rbf_kernel(X, gamma=0.3)
    given = SVC(kernel="precomputed", tol=1e-6).fit(K, y)
    np.testing.assert_allclose(given.decision_function(K), s, atol=1e-4)
    called = SVC(kernel=lambda A, B: rbf_kernel(A, B, gamma=0.3), tol=1e-6).fit(X, y)
    np.testing.assert_allclose(called.decision_function(X), s, atol=1e-4)


def test_small_cache_and_shrinking_change_nothing():
    X, y = problem(n=2500, d=10)
    kw = {"gamma": 0.1, "tol": 1e-5, "C": 5.0}
    full = SVC(**kw, shrinking=False).fit(X, y)
    for cache_size in (0.03, 3.0):
        tight = SVC(**kw, cache_size=cache_size).fit(X, y)
        np.testing.assert_allclose(tight.decision_function(X), full.decision_function(X), atol=2e-4)


# -- character ----------------------------------------------------------------------------------


def test_inseparable_hard_margin_is_refused():
    X, y = problem(noise=0.3)
    for kernel in ("linear", "poly"):
        with pytest.raises(ValueError, match="separable"):
            SVC(C=np.inf, kernel=kernel, degree=2).fit(X, y)
    X, y = np.repeat(X, 2, axis=0), np.tile([0, 1], len(X))
    with pytest.raises(ValueError, match="separable"):
        SVC(C=np.inf).fit(X, y)


def test_offset_does_not_hurt():
    X, y = problem()
    near, far = (SVC(gamma=0.3, tol=1e-5).fit(X + c, y) for c in (0, 1000))
    np.testing.assert_allclose(
        near.decision_function(X), far.decision_function(X + 1000), atol=1e-4
    )


def test_threads_give_the_same():
    X, y = load_digits(return_X_y=True)
    X, y = X[:600], y[:600]
    one, two = SVC().fit(X, y), SVC(n_jobs=2).fit(X, y)
    np.testing.assert_allclose(one.dual_coef_, two.dual_coef_, atol=1e-6)


def test_indefinite_kernel_is_said():
    X, y = problem(n=80)
    K = -rbf_kernel(X, gamma=0.3) + 0.1 * X @ X.T
    with pytest.warns(RuntimeWarning, match="positive semi-definite"):
        SVC(kernel="precomputed", max_iter=2000).fit(K, y)


def test_limits_are_said():
    X, y = problem(n=500, noise=0.4)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        SVC(C=100.0, max_iter=5).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="time_limit"):
        SVC(C=1e4, tol=1e-9, time_limit=1e-3).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SVC().fit(X, y)


def test_interior_point_needs_a_linear_kernel():
    X, y = problem()
    with pytest.raises(ValueError, match="interior_point"):
        SVC(solver="interior_point").fit(X, y)


def test_float32_stays_float32():
    X, y = problem()
    m = SVC().fit(X.astype(np.float32), y)
    assert m.decision_function(X.astype(np.float32)).dtype == np.float32


# -- bad input, budgets and interruptions -------------------------------------------------------


def test_rows_of_no_weight_are_left_out_and_support_counts_all_rows():
    X, y = problem()
    w = np.tile([1.0, 0.0, 1.0], 100)
    kw = {"tol": 1e-6}
    part = SVC(gamma=0.3, **kw).fit(X[w > 0], y[w > 0]).decision_function(X)
    weighed = SVC(gamma=0.3, **kw).fit(X, y, sample_weight=w)
    np.testing.assert_array_equal(X[weighed.support_], weighed.support_vectors_)
    K = rbf_kernel(X, gamma=0.3)
    given = SVC(kernel="precomputed", **kw).fit(K, y, sample_weight=w)
    np.testing.assert_array_equal(given.support_, weighed.support_)
    for found in (weighed.decision_function(X), given.decision_function(K)):
        np.testing.assert_allclose(found, part, atol=1e-4)


def test_class_that_loses_all_its_weight_is_said():
    X, y = load_iris(return_X_y=True)
    with pytest.warns(UserWarning, match="every row of class 1 has weight 0"):
        m = SVC().fit(X, y, sample_weight=(y != 1).astype(float))
    assert m.classes_.tolist() == [0, 2]
    with pytest.raises(ValueError, match="class_weight gives the class 1"):
        SVC(class_weight={0: 1.0, 1: 0.0, 2: 1.0}).fit(X, y)


def test_probabilities_through_calibration():
    from sklearn.calibration import CalibratedClassifierCV

    X, y = problem()
    p = CalibratedClassifierCV(SVC(gamma=0.3), cv=3).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert ((p[:, 1] > 0.5) == y).mean() > 0.8
    assert not hasattr(SVC().fit(X, y), "predict_proba")


class Watcher:
    """Counts thousands of steps and may interrupt or end the fit at one of them."""

    def __init__(self, at=None, error=None):
        self.seen, self.at, self.error = [], at, error

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **more):
        pass

    def on_fit_task_end(self, estimator, context, **more):
        self.seen.append(int(np.max(estimator.n_iter_)))
        if self.at is not None and len(self.seen) >= self.at:
            if self.error is not None:
                raise self.error
            return True
        return False


def hard():
    X, y = problem(n=600, noise=0.4)
    return SVC(C=1e4, gamma=0.05, tol=1e-6), X, y


def test_callbacks_see_progress_and_may_end_the_fit():
    m, X, y = hard()
    watcher = Watcher(at=3)
    m.set_callbacks(watcher)
    m.fit(X, y)
    assert 0 < max(watcher.seen) < 10_000
    assert m.predict(X).shape == y.shape


def test_interruption_leaves_what_was_there():
    m, X, y = hard()
    m.set_callbacks(Watcher(at=2, error=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        m.fit(X, y)
    with pytest.raises(NotFittedError):
        m.predict(X)
    before = SVC(gamma=0.1).fit(X, y)
    s = before.decision_function(X)
    before.set_params(C=1e4, gamma=0.05, tol=1e-6).set_callbacks(Watcher(at=2, error=KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        before.fit(X, y)
    before.set_params(C=1.0, gamma=0.1)
    np.testing.assert_array_equal(before.decision_function(X), s)


def test_a_kernel_of_ones_own_may_be_sparse_and_must_have_its_shape():
    X, y = np.eye(4), np.array([0, 1, 0, 1])
    own = SVC(kernel=lambda A, B: A @ B.T)
    thin = sparse.csr_array(X)
    np.testing.assert_allclose(own.fit(thin, y).decision_function(thin), own.fit(X, y).decision_function(X))
    for kernel in (lambda A, B: np.ones((1, 1)), lambda A, B: A, lambda A, B: np.ones((len(A), 9))):
        with pytest.raises(ValueError, match=r"the kernel gave an array of shape .* it must give one of"):
            SVC(kernel=kernel).fit(np.arange(12.0).reshape(4, 3), y)


def test_who_asks_for_probabilities_is_told_where_they_are():
    X, y = load_iris(return_X_y=True)
    m = SVC(verbose=True, random_state=0, break_ties=True, decision_function_shape="ovr").fit(X, y)
    assert not hasattr(m, "predict_proba")
    with pytest.raises(AttributeError) as error:
        m.predict_proba(X)
    assert "CalibratedClassifierCV" in str(error.value.__cause__)
    with pytest.raises(ValueError, match="CalibratedClassifierCV"):
        SVC(probability=True).fit(X, y)
