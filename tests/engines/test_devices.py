"""Devices: the same numbers through torch as through numpy, and a clear word where there is none."""

import numpy as np
import pytest

from zoo.engines.devices import Arrays, arrays_on, resolve_device


def test_the_cpu_is_numpy_and_copies_nothing():
    arrays = arrays_on("cpu", np.dtype(float))
    a = np.arange(6.0).reshape(2, 3)
    assert arrays.xp is np
    assert arrays.put(a) is a
    assert arrays.get(a) is a


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_there_and_back(dtype):
    import torch

    arrays = Arrays(torch, "cpu")
    a = np.arange(6, dtype=dtype).reshape(2, 3)
    locked = a.copy()
    locked.flags.writeable = False
    for given in (a, a.T, a[::-1], a[:, ::2], locked, np.zeros((0, 3), dtype), a[0, :1]):
        there = arrays.put(given)
        assert isinstance(there, torch.Tensor)
        back = arrays.get(there)
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, given)


def test_a_device_that_is_not_there_is_named():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    for device in ("cuda", "cuda:1"):
        with pytest.raises(ValueError, match=f"device='{device}' was asked for.*use device='auto' or 'cpu'"):
            arrays_on(device, np.dtype(float))
    assert resolve_device("auto", np.dtype(float)) == "cpu"
    assert arrays_on("auto", np.dtype(float)).xp is np


@pytest.mark.gpu
def test_a_device_that_is_there_computes():
    arrays = arrays_on("cuda", np.dtype(float))
    a = np.arange(6.0).reshape(2, 3)
    assert arrays.put(a).is_cuda
    np.testing.assert_array_equal(arrays.get(arrays.put(a).T @ arrays.put(a)), a.T @ a)
