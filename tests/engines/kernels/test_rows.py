"""Blocks of kernel matrices: against scikit-learn's, on another device, and without double work."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics.pairwise import pairwise_kernels

from zoo.engines.devices import Arrays
from zoo.engines.kernels.rows import Halves, Kernel, _rbf64_here
from zoo.svm.one_class_svm import OneClassSVM
from zoo.svm.svc import SVC
from zoo.svm.svr import SVR

CONSTANTS = {"linear": {}, "poly": {"gamma": 0.2, "coef0": 1.0, "degree": 3}, "rbf": {"gamma": 0.2},
             "sigmoid": {"gamma": 0.05, "coef0": 0.1}}  # fmt: skip


def problem(n=90, d=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.integers(0, 2, n)


def block(kernel, index):
    out = np.full((index.size, kernel.n), np.nan, kernel.dtype)
    kernel.rows(index, out, np.arange(index.size))
    return out


def on_torch(device):
    import torch

    return Arrays(torch, device)


# -- equation -----------------------------------------------------------------------------------


def test_exp_is_exact_to_rounding():
    x = np.linspace(0, 700, 40_000).reshape(4, -1)
    y = -x / 2
    _rbf64_here(y, np.zeros(4), np.zeros(y.shape[1]), 1.0)
    np.testing.assert_allclose(y, np.exp(-x), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", CONSTANTS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_rows_are_those_of_scikit_learn(kind, dtype, form):
    X, _ = problem()
    K = pairwise_kernels(X, metric=kind, **CONSTANTS[kind])
    kernel = Kernel(form(X), kind, dtype=dtype, centre=kind == "rbf", **CONSTANTS[kind])
    index = np.array([5, 1, 80])
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(block(kernel, index), K[index], atol=tolerance)
    np.testing.assert_allclose(block(kernel, index[:1]), K[index[:1]], atol=tolerance)
    np.testing.assert_allclose(kernel.diagonal(), np.diag(K), atol=tolerance)
    some = np.arange(3, 90, 4)
    part = kernel.subset(some)
    np.testing.assert_allclose(block(part, np.array([2])), K[some[2:3]][:, some], atol=tolerance)
    double = part.subset(np.arange(5)).in_double()
    np.testing.assert_allclose(
        block(double, np.arange(2)), K[some[:2]][:, some[:5]], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("kind", CONSTANTS)
def test_halves_make_the_same_rows(kind):
    X, _ = problem(n=300, d=256)
    given = {k: v / 50 if k == "gamma" else v for k, v in CONSTANTS[kind].items()}
    kernel = Kernel(X.astype(np.float32), kind, centre=kind == "rbf", **given)
    assert kernel.can_halve()
    whole = block(kernel, np.arange(300))
    halves, rows = Halves(kernel), np.empty((300, 300), np.float32)
    order = np.random.default_rng(0).permutation(300)
    for start in range(0, 300, 70):
        index = order[start : start + 70]
        halves.rows(index, rows, np.arange(start, start + index.size))
    np.testing.assert_allclose(rows, whole[order], rtol=1e-4, atol=1e-5)


def test_halves_leave_the_data_alone():
    X = problem(n=150, d=256)[0].astype(np.float32)
    before, y = X.copy(), np.arange(150) % 2
    SVC(kernel="poly").fit(X, y)
    np.testing.assert_array_equal(X, before)


# -- another device -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONSTANTS)
def test_blocks_made_by_torch_are_the_same(kind):
    X, _ = problem()
    given = {"centre": kind == "rbf", **CONSTANTS[kind]}
    here, there = Kernel(X, kind, **given), Kernel(X, kind, arrays=on_torch("cpu"), **given)
    index = np.array([7, 3, 44])
    np.testing.assert_allclose(block(there, index), block(here, index), rtol=1e-4, atol=1e-5)
    some = np.arange(0, 90, 3)
    a, b = (block(k.subset(some), np.array([4, 9])) for k in (here, there))
    np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)
    out = np.empty((5, 90), np.float32), np.empty((5, 90), np.float32)
    here.between(X[:5], out[0])
    there.between(X[:5], out[1])
    np.testing.assert_allclose(out[1], out[0], rtol=1e-4, atol=1e-5)


def machines(**more):
    return (SVC(gamma=0.2, tol=1e-5, **more), SVR(gamma=0.2, tol=1e-5, **more),
            OneClassSVM(gamma=0.2, nu=0.3, tol=1e-5, **more))  # fmt: skip


@pytest.mark.parametrize("kind", CONSTANTS)
def test_machines_on_torch_agree(kind, monkeypatch):
    from zoo.engines.kernels import dual

    X, y = problem(n=200)
    given = {"kernel": kind, "degree": 2, **{k: v for k, v in CONSTANTS[kind].items() if k == "coef0"}}
    expected = [m.set_params(**given).fit(X, y) for m in machines()]
    monkeypatch.setattr(dual, "arrays_on", lambda device, dtype: on_torch("cpu"))
    for one, m in zip(expected, machines(), strict=True):
        m.set_params(**given).fit(X, y)
        name = "predict" if isinstance(m, SVR) else "decision_function"
        a, b = getattr(one, name)(X), getattr(m, name)(X)
        np.testing.assert_allclose(b, a, atol=2e-3 * max(1.0, np.abs(a).max()))


@pytest.mark.parametrize("machine", machines(device="cuda"))
def test_a_device_that_is_absent_is_said(machine):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    X, y = problem()
    with pytest.raises(ValueError, match="CUDA"):
        machine.fit(X, y)


@pytest.mark.gpu
def test_machines_on_cuda_agree():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X, y = problem(n=1000, d=20)
    for one, m in zip(machines(), machines(device="cuda"), strict=True):
        name = "predict" if isinstance(m, SVR) else "decision_function"
        a, b = getattr(one.fit(X, y), name)(X), getattr(m.fit(X, y), name)(X)
        np.testing.assert_allclose(b, a, atol=1e-3 * max(1.0, np.abs(a).max()))
