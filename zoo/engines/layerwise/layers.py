"""Layers of several blocks side by side, each with the fastest way that the device has.

Activations are (K, units, rows). On a CPU in float32 products go to oneDNN, which is up to twice as
fast as the library behind ``torch.bmm`` where that runs on half of the registers, and everything
between the products to ``_kernels``. Elsewhere torch's own operations do the same. Whichever way,
a block is computed by itself: what it gets does not depend on how many stand beside it.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

MOMENTUM, EPS = 0.1, 1e-5
# Multiplications from which a call of oneDNN for each block is faster than one batched product.
LARGE = 2**20


def compiled(x: Tensor) -> bool:
    """Tell whether the compiled way is open: float32 on a CPU, and not under autocast."""
    return (
        x.dtype is torch.float32
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


# -- products --------------------------------------------------------------------------------------


def product(w: Tensor, x: Tensor) -> Tensor:
    """Return w x for each block; w is (K, out, in), x (K, in, n), or (in, n) where all share it."""
    n = x.shape[-1]
    if compiled(x) and w.shape[1] * w.shape[2] * n > LARGE and torch.backends.mkldnn.is_available():
        result: Tensor = _Product.apply(w, x)
        return result
    if x.ndim == 2:
        return (w.flatten(0, 1) @ x).unflatten(0, w.shape[:2])
    return torch.bmm(w, x)


def _times_transposed(a: Tensor, b: Tensor) -> Tensor:
    """Return a b' of matrices, by oneDNN; b may be a transposed view at no cost, a is copied."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise.default(a, b, None, "none", [], "")
    return result


def _side_by_side(parts: list[Tensor]) -> Tensor:
    return parts[0][None] if len(parts) == 1 else torch.stack(parts)


class _Product(torch.autograd.Function):
    """w x, a call of oneDNN for each block."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(w, x)
        xs = [x] * len(w) if x.ndim == 2 else x.unbind()
        return _side_by_side(
            [_times_transposed(a, b.t()) for a, b in zip(w.unbind(), xs, strict=True)]
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        w, x = ctx.saved_tensors
        shared = x.ndim == 2
        xs = [x] * len(w) if shared else x.unbind()
        gw = gx = None
        gs = g.unbind()
        if ctx.needs_input_grad[0]:
            gw = _side_by_side([_times_transposed(a, b) for a, b in zip(gs, xs, strict=True)])
        if ctx.needs_input_grad[1]:
            if x.stride(-1) == 1:
                parts = [_times_transposed(a.t(), b.t()) for a, b in zip(w.unbind(), gs, strict=True)]
            else:  # the rows of images lie the other way round, and so does what they get back
                parts = [
                    _times_transposed(b.t(), a.t()).t() for a, b in zip(w.unbind(), gs, strict=True)
                ]
            gx = torch.stack(parts).sum(0) if shared else _side_by_side(parts)
        return gw, gx


def add_bias(h: Tensor, b: Tensor) -> Tensor:
    """Return h + b for h (K, units, n) and b (K, units, 1)."""
    result: Tensor = _Bias.apply(h, b)
    return result


class _Bias(torch.autograd.Function):
    """A sum whose gradient is added up block by block: torch's order depends on how many there are."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, b: Tensor) -> Tensor:
        return h + b

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, _side_by_side([part.sum(1, keepdim=True) for part in g.contiguous().unbind()])


# -- norms -------------------------------------------------------------------------------------------


def norm(
    h: Tensor, gain: Tensor, shift: Tensor, mean: Tensor, var: Tensor, train: bool, rectify: bool
) -> Tensor:
    """Batch norm of (K, units, n), each block over its own batch, and the rectifier behind it.

    gain, shift, mean and var are (K, units); the running mean and var are updated in training.
    """
    K, units, n = h.shape
    if train and n > 1 and compiled(h):
        result: Tensor = _Norm.apply(h, gain, shift, mean, var, rectify)
        return result
    h = F.batch_norm(
        h.reshape(1, K * units, n), mean.view(-1), var.view(-1), gain.reshape(-1), shift.reshape(-1),
        # One row has no spread; the running statistics stand in for it.
        training=train and n > 1, momentum=MOMENTUM, eps=EPS,
    ).view(K, units, n)  # fmt: skip
    return F.relu(h) if rectify else h


class _Norm(torch.autograd.Function):
    """Batch norm and rectifier in one pass."""

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, gain: Tensor, shift: Tensor, mean: Tensor, var: Tensor, rectify: bool
    ) -> Tensor:
        from zoo.engines.layerwise.kernels import norm_forward

        h = h.contiguous()
        out = torch.empty_like(h)
        m, rate = torch.empty(gain.shape), torch.empty(gain.shape)
        norm_forward(
            _rows(h), _flat(gain), _flat(shift), np.float32(EPS), rectify, _rows(out), _flat(m),
            _flat(rate), np.float32(MOMENTUM), mean.view(-1).numpy(), var.view(-1).numpy(),
        )  # fmt: skip
        ctx.save_for_backward(h, out, gain, m, rate)
        ctx.rectify = rectify
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        from zoo.engines.layerwise.kernels import norm_backward

        h, out, gain, m, rate = ctx.saved_tensors
        gh = g.clone(memory_format=torch.contiguous_format)
        g_gain, g_shift = torch.empty_like(gain), torch.empty_like(gain)
        norm_backward(
            _rows(gh), _rows(h), _rows(out), _flat(gain), _flat(m), _flat(rate), ctx.rectify,
            _flat(g_gain), _flat(g_shift),
        )  # fmt: skip
        return gh, g_gain, g_shift, None, None, None


def _rows(x: Tensor) -> np.ndarray:
    array: np.ndarray = x.detach().view(-1, x.shape[-1]).numpy()
    return array


def _flat(x: Tensor) -> np.ndarray:
    array: np.ndarray = x.detach().reshape(-1).numpy()
    return array


# -- images -----------------------------------------------------------------------------------------


class Dropout:
    """Which values to drop in one step.

    Parameters
    ----------
    rate : float
        Chance of a zero.
    seeds : list of int
        One a block, drawn anew for each step: a block's zeros depend on its own seed alone.
    """

    def __init__(self, rate: float, seeds: list[int]) -> None:
        self.rate, self.seeds = rate, seeds
        self.scale = np.float32(1 / (1 - rate))
        self.limit = np.uint32(round(rate * 2**32))

    def salt(self, layer: int, channels: int) -> np.ndarray:
        """Return a number for each channel of all blocks at one layer."""
        if self.rate == 0:
            return np.zeros(channels * len(self.seeds), np.uint32)
        return np.concatenate(
            [
                np.random.default_rng([seed, layer]).integers(2**32, size=channels, dtype=np.uint32)
                for seed in self.seeds
            ]
        )

    def apply(self, h: Tensor, layer: int) -> Tensor:
        """Drop values of (n, blocks * channels, H, W), the same whatever the device."""
        if self.rate == 0:
            return h
        n, channels, H, W = h.shape
        salt = self.salt(layer, channels // len(self.seeds)).astype(np.int64)
        bits = 2**32 - 1
        place = torch.arange(n * H * W, device=h.device).mul_(0x9E3779B9).bitwise_and_(bits)
        v = place.view(n, 1, H, W) ^ torch.from_numpy(salt).to(h.device).view(1, -1, 1, 1)
        v = (v ^ (v >> 16)) * 0x85EBCA6B & bits
        v = (v ^ (v >> 13)) * 0xC2B2AE35 & bits
        v ^= v >> 16
        return h * ((v >= int(self.limit)).to(h.dtype) * float(self.scale))


def first_stage(x: Tensor, w: Tensor, b: Tensor, drop: Dropout) -> Tensor:
    """Convolve images (n, C, H + 2, W + 2), which have a border of zeros, rectify, halve and drop.

    w is (K, channels, C, 3, 3); returns (n, K * channels, H / 2, W / 2).
    """
    if compiled(x) and x.shape[1] == 1:
        result: Tensor = _First.apply(x, w, b, drop)
        return result
    last = torch.channels_last
    w = w.flatten(0, 1).contiguous(memory_format=last)
    return halve(F.conv2d(x.contiguous(memory_format=last), w, b.flatten()), drop, 1)


def convolve(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Convolve images (n, K * in, H, W), each block its own channels."""
    w2 = w.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, w2, b.flatten(), padding=1, groups=len(w))


def halve(h: Tensor, drop: Dropout, layer: int) -> Tensor:
    """Rectify, take the largest of 2 x 2, and drop."""
    if compiled(h):
        result: Tensor = _Halve.apply(h, drop, layer)
        return result
    # The largest of relu(h) is relu of the largest, at a quarter of the work.
    return drop.apply(F.relu(F.max_pool2d(h, 2)), layer)


def rectify_and_drop(h: Tensor, drop: Dropout) -> Tensor:
    """Rectify and drop; h is overwritten."""
    if compiled(h):
        result: Tensor = _Rectify.apply(h, drop)
        return result
    return drop.apply(F.relu(h), 2)


def _last(h: Tensor) -> Tensor:
    """Return (n, C, H, W) as (n, H, W, C) in memory without gaps."""
    return h.detach().permute(0, 2, 3, 1).contiguous()


class _First(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor, drop: Dropout) -> Tensor:
        from zoo.engines.layerwise.kernels import first_forward

        n, C, H, W = x.shape
        O = w.shape[0] * w.shape[1]
        taps = w.detach().reshape(O, C * 9).t().contiguous()
        out = torch.empty(n, (H - 2) // 2, (W - 2) // 2, O)
        choice = torch.empty(out.shape, dtype=torch.uint8)
        first_forward(
            x.detach().numpy(), taps.numpy(), _flat(b), drop.salt(1, w.shape[1]), drop.limit,
            drop.scale, out.numpy(), choice.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(x, choice)
        ctx.scale, ctx.shape = drop.scale, w.shape
        return out.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        from zoo.engines.layerwise.kernels import first_backward

        x, choice = ctx.saved_tensors
        K, O, C = ctx.shape[:3]
        gw, gb = torch.zeros(C * 9, K * O), torch.zeros(K * O)
        first_backward(
            _last(g).numpy(), choice.numpy(), x.detach().numpy(), ctx.scale, gw.numpy(), gb.numpy()
        )
        return None, gw.t().reshape(ctx.shape), gb.view(K, O), None


class _Halve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, drop: Dropout, layer: int) -> Tensor:
        from zoo.engines.layerwise.kernels import pool_forward

        h = _last(h)
        n, H, W, O = h.shape
        out = torch.empty(n, H // 2, W // 2, O)
        choice = torch.empty(out.shape, dtype=torch.uint8)
        pool_forward(
            h.numpy(), drop.salt(layer, O // len(drop.seeds)), drop.limit, drop.scale, out.numpy(),
            choice.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(choice)
        ctx.scale, ctx.shape = drop.scale, h.shape
        return out.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        from zoo.engines.layerwise.kernels import pool_backward

        (choice,) = ctx.saved_tensors
        gh = torch.empty(ctx.shape)
        pool_backward(_last(g).numpy(), choice.numpy(), ctx.scale, gh.numpy())
        return gh.permute(0, 3, 1, 2), None, None


class _Rectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, drop: Dropout) -> Tensor:
        from zoo.engines.layerwise.kernels import drop_forward

        y = _last(h)
        O = y.shape[3]
        drop_forward(_rows(y), drop.salt(2, O // len(drop.seeds)), drop.limit, drop.scale)
        ctx.save_for_backward(y)
        ctx.scale = drop.scale
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        from zoo.engines.layerwise.kernels import drop_backward

        (y,) = ctx.saved_tensors
        gh = torch.empty_like(y)
        drop_backward(_rows(_last(g)), _rows(y), ctx.scale, _rows(gh))
        return gh.permute(0, 3, 1, 2), None
