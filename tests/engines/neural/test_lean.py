import pytest
import torch

from zoo.engines.neural import lean


def test_without_grad_is_no_grad_and_restores():
    for outside in (True, False):
        with torch.set_grad_enabled(outside):
            with lean.without_grad():
                assert not torch.is_grad_enabled()
            assert torch.is_grad_enabled() is outside
            with pytest.raises(ZeroDivisionError), lean.without_grad():
                raise ZeroDivisionError
            assert torch.is_grad_enabled() is outside


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backward_accumulates_like_that_of_the_tensor(dtype):
    a, b = (torch.tensor([1.0, 2.0], dtype=dtype, requires_grad=True) for _ in range(2))
    for _ in range(2):
        lean.backward((a**3).sum())
        (b**3).sum().backward()
    assert torch.equal(a.grad, b.grad)
    assert a.grad.tolist() == [6.0, 24.0]
