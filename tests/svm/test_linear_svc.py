"""LinearSVC: optimality, agreement with liblinear, and the closing gap."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import svm
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning

from zoo.svm.linear_svc import LinearSVC


def problem(n=400, d=8, seed=0, k=2):
    X, y = make_classification(
        n, d, n_informative=d // 2, n_classes=k, flip_y=0.05, random_state=seed
    )
    return X / X.std(axis=0), y


def objective(m, X, y, C, loss, w=1.0):
    s = np.where(y == m.classes_[1], 1, -1)
    slack = np.maximum(1 - s * (X @ m.coef_[0] + m.intercept_[0]), 0)
    v = np.append(m.coef_[0], m.intercept_[0])
    return 0.5 * v @ v + C * (w * slack ** (2 if loss == "squared_hinge" else 1)).sum()


# -- equation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "loss"),
    [
        ("newton", "squared_hinge"),
        ("interior_point", "hinge"),
        ("dual_ascent", "hinge"),
        ("dual_ascent", "squared_hinge"),
    ],
)
@pytest.mark.parametrize("C", [0.01, 1.0, 10.0])
def test_duality_gap_closes(solver, loss, C):
    X, y = problem()
    m = LinearSVC(C=C, loss=loss, solver=solver, tol=1e-6, max_iter=100_000, random_state=0)
    m.fit(X, y)
    assert -1e-9 <= m.duality_gap_ < 1e-5


def test_gradient_vanishes_for_the_squared_hinge():
    X, y = problem()
    m = LinearSVC(tol=1e-9).fit(X, y)
    s = np.where(y == 1, 1, -1)
    slack = np.maximum(1 - s * m.decision_function(X), 0)
    np.testing.assert_allclose(m.coef_[0], 2 * X.T @ (s * slack), atol=1e-7)
    np.testing.assert_allclose(m.intercept_[0], 2 * (s * slack).sum(), atol=1e-7)


# -- oracle -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("C", [0.01, 0.5])
def test_objective_is_that_of_liblinear(loss, C, seed):
    X, y = problem(seed=seed)
    theirs = svm.LinearSVC(
        C=C, loss=loss, tol=1e-8, max_iter=200_000, random_state=0, dual=True
    ).fit(X, y)
    w = objective(theirs, X, y, C, loss)
    for solver in ("auto", "dual_ascent"):
        ours = LinearSVC(
            C=C, loss=loss, tol=1e-8, max_iter=200_000, random_state=0, solver=solver
        ).fit(X, y)
        np.testing.assert_allclose(objective(ours, X, y, C, loss), w, rtol=1e-6)
        if loss == "squared_hinge":
            np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)


def test_crammer_singer_is_that_of_liblinear():
    X, y = problem(k=3)
    kw = {"multi_class": "crammer_singer", "C": 0.5, "max_iter": 50_000, "random_state": 0}
    theirs = svm.LinearSVC(**kw, tol=1e-7).fit(X, y)
    ours = LinearSVC(**kw, tol=1e-7).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert abs(ours.duality_gap_) < 1e-6


def test_one_against_the_rest():
    X, y = load_iris(return_X_y=True)
    ours = LinearSVC(tol=1e-8).fit(X, y)
    theirs = svm.LinearSVC(tol=1e-10, max_iter=10_000, dual=False, random_state=0).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)


def test_sparse_and_weights():
    X, y = problem()
    w = np.random.default_rng(0).uniform(0.1, 2, len(y))
    dense = LinearSVC(tol=1e-9).fit(X, y, w)
    kw = {"tol": 1e-9, "max_iter": 100_000, "random_state": 0}
    for solver in ("auto", "dual_ascent"):
        scarce = LinearSVC(**kw, solver=solver).fit(sparse.csr_array(X), y, w)
        np.testing.assert_allclose(scarce.coef_, dense.coef_, atol=1e-6)
    theirs = svm.LinearSVC(tol=1e-10, dual=False, max_iter=10_000, random_state=0).fit(X, y, w)
    np.testing.assert_allclose(dense.coef_, theirs.coef_, atol=1e-6)


def test_without_intercept():
    X, y = problem()
    for loss in ("hinge", "squared_hinge"):
        m = LinearSVC(fit_intercept=False, loss=loss).fit(X, y)
        assert m.intercept_[0] == 0
        assert m.duality_gap_ < 1e-4


# -- character ----------------------------------------------------------------------------------


def test_too_few_passes_are_said():
    X, y = problem()
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        LinearSVC(solver="dual_ascent", max_iter=2, C=100.0).fit(X, y)


def test_solver_and_loss_must_fit():
    X, y = problem()
    with pytest.raises(ValueError, match="squared_hinge"):
        LinearSVC(solver="newton", loss="hinge").fit(X, y)
    with pytest.raises(ValueError, match="dense"):
        LinearSVC(solver="interior_point", loss="hinge").fit(sparse.csr_array(X), y)


def test_seed_repeats():
    X, y = problem()
    kw = {"solver": "dual_ascent", "tol": 1e-2}
    a, b = (LinearSVC(**kw, random_state=3).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(a.coef_, b.coef_)


@pytest.mark.changes_global_random_state  # by scikit-learn
@pytest.mark.parametrize("C", [0.01, 0.3])
@pytest.mark.parametrize("thin", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_l1_makes_the_zeros_that_liblinear_makes(C, thin, weighted):
    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    w = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    ours = LinearSVC("l1", C=C, tol=1e-7, max_iter=20_000).fit(sparse.csr_array(X) if thin else X, y, w)
    theirs = svm.LinearSVC(penalty="l1", dual=False, C=C, tol=1e-9, max_iter=100_000).fit(X, y, w)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4)
    assert ours.duality_gap_ < 1e-5
    assert (ours.coef_ == 0).sum() > 5
    with pytest.raises(ValueError, match="penalty='l1' was given with loss='hinge'"):
        LinearSVC("l1", loss="hinge").fit(X, y)
