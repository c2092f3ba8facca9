"""One more token of one text on the CPU, in numpy.

For a single row the matrices of a decoder are multiplied by vectors, and most of the time goes into
calling torch: numpy's calls are shorter, and its library multiplies by vectors faster. The weights
and the cache are those of the decoder, seen as arrays.
"""

import numpy as np
import torch
from torch import Tensor, nn

from zoo.engines.language.decoder import Decoder
from zoo.engines.modules.attention import FeedForward, KeyValueCache


def serves(decoder: Decoder, rows: int) -> bool:
    """Whether `SingleRow` can take the decoder's part."""
    W = decoder.head.weight
    return (
        rows == 1
        and W.device.type == "cpu"
        and W.dtype == torch.float32
        and all(isinstance(block.feed_forward, FeedForward) for block in decoder.blocks)
    )


class SingleRow:
    """``Decoder.step`` for one row; equal to it up to rounding (tested).

    Parameters
    ----------
    decoder : Decoder
        One that `serves`.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.blocks = [
            (
                _Norm(block.norm1),
                _array(block.attention.qkv.weight),
                _array(block.attention.out.weight),
                _Norm(block.norm2),
                _array(block.feed_forward[0].weight),
                block.feed_forward[1],
                _array(block.feed_forward[2].weight),
            )
            for block in decoder.blocks
        ]
        self.n_heads = decoder.n_heads
        self.embed, self.norm = _array(decoder.embed.weight), _Norm(decoder.norm)
        self.head = _array(decoder.head.weight)
        self.place: np.ndarray | None = None
        self.turn: np.ndarray | None = None
        if decoder.place is not None:
            self.place = _array(decoder.place.weight)
        elif decoder.rotary is None:
            self.place = _array(decoder.code)  # type: ignore[arg-type]
        else:
            self.turn = decoder.rotary(torch.arange(decoder.block_size)).numpy()

    def step(self, token: int, cache: KeyValueCache) -> np.ndarray:
        """Return the logits after one more token, (n_tokens,)."""
        n = int(cache.lengths[0])
        h = self.embed[token]
        if self.place is not None:
            h = h + self.place[n - 1]
        for pairs, (norm1, W_qkv, W_o, norm2, W_1, act, W_2) in zip(
            cache.pairs, self.blocks, strict=True
        ):
            qkv = (W_qkv @ norm1(h)).reshape(3, self.n_heads, -1)
            if self.turn is not None:
                qk = qkv[:2].view(np.complex64)
                qk *= self.turn[n - 1]
            kv = pairs.numpy()[0]
            kv[:, :, n - 1] = qkv[1:]
            K, V = kv[:, :, :n]
            score = (K @ qkv[0, :, :, None])[:, :, 0]
            score *= K.shape[-1] ** -0.5
            score -= score.max(axis=1, keepdims=True)
            alpha = np.exp(score, out=score)
            alpha /= alpha.sum(axis=1, keepdims=True)
            h = h + W_o @ (alpha[:, None] @ V).ravel()
            hidden = act.forward(torch.from_numpy(W_1 @ norm2(h)))
            h += W_2 @ hidden.numpy()
        logits: np.ndarray = self.head @ self.norm(h)
        return logits


class _Norm:
    """Layer or RMS norm of one vector."""

    def __init__(self, module: nn.Module) -> None:
        self.centred = isinstance(module, nn.LayerNorm)
        self.gain = _array(next(module.parameters()))
        self.eps, self.width = float(module.eps), len(self.gain)  # type: ignore[arg-type]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self.centred:
            x = x - np.add.reduce(x) / self.width
        return x * self.gain * np.float32((float(x @ x) / self.width + self.eps) ** -0.5)


def _array(weight: Tensor) -> np.ndarray:
    array: np.ndarray = weight.detach().numpy()
    return array
