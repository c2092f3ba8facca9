"""Value networks for images: what counts as one, random shifts, and the convolutional trunk.

The trunk is torch's convolutions on views of the same flat float32 array that `ValueNetwork` has
its layers in, so that optimiser, target network, pickles and files do not know the difference.
Forward and backward are written out layer by layer; no graph is recorded. Images, kernels and
everything between have their channels last, in which gradients take a third to a half of the time.
"""

from typing import Any

import numpy as np

from zoo.engines.acting.network import ValueNetwork, activate, backpropagate
from zoo.engines.neural.estimator import threads_for

KERNEL, STRIDE, PADDING = 3, 2, 1


def is_image(space: dict[str, Any]) -> bool:
    """Tell whether observations of this space are images: boxes of two or three dimensions."""
    return space["kind"] == "box" and len(space["shape"]) in (2, 3)


def channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of an image that counts its channels, None for (H, W).

    Of the first and the last axis it is the one that leaves a square, else the shorter one.
    """
    if len(shape) == 2:
        return None
    first, middle, last = shape
    if first == middle == last:
        raise ValueError(
            f"images of shape {shape} may be ({first} channels, H, W) or (H, W, {first} channels); "
            "wrap the environment so that one number differs, or give filters=() to read them as "
            "rows of numbers."
        )
    if middle == last:
        return 0
    if first == middle:
        return 2
    return 0 if first < last else 2


def random_shift(
    images: np.ndarray, pixels: int, axis: int | None, rng: np.random.Generator
) -> np.ndarray:
    """Move every image by up to ``pixels`` in both directions, its border repeated.

    Parameters
    ----------
    images : array of shape (n, H, W), (n, C, H, W) or (n, H, W, C)
        What to move; any dtype, which is kept.
    pixels : int
        The longest move; each in -pixels..pixels is as likely.
    axis : int or None
        Of the channels in one image.
    rng : Generator
        Source of the moves.
    """
    if axis == 2:
        return np.moveaxis(random_shift(np.moveaxis(images, -1, 1), pixels, 0, rng), 1, -1)
    n, (H, W) = len(images), images.shape[-2:]
    margin = [(0, 0)] * (images.ndim - 2) + [(pixels, pixels)] * 2
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(images, margin, mode="edge"), (H, W), axis=(-2, -1)
    )
    dy, dx = rng.integers(0, 2 * pixels + 1, (2, n))
    moved: np.ndarray = windows[np.arange(n), ..., dy, dx, :, :]
    return moved


class ConvNetwork:
    """Convolutions that halve an image each, then a `ValueNetwork`; with the same methods.

    Parameters
    ----------
    image_shape : tuple of int
        Of one observation: (H, W), (C, H, W) or (H, W, C).
    filters : tuple of int
        Channels after each convolution of 3 x 3, stride 2.
    n_outputs, hidden_layer_sizes, activation, dueling
        As in `ValueNetwork`, which reads the last convolution's output.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        filters: tuple[int, ...],
        n_outputs: int,
        hidden_layer_sizes: tuple[int, ...],
        activation: str,
        dueling: bool,
    ) -> None:
        self.image_shape = tuple(image_shape)
        self.axis = channel_axis(self.image_shape)
        self.activation = activation
        c = 1 if self.axis is None else self.image_shape[self.axis]
        h, w = (d for i, d in enumerate(self.image_shape) if i != self.axis)
        self.kernels: list[tuple[int, ...]] = []
        self.sizes: list[tuple[int, ...]] = []  # (height, width, channels) after each convolution
        self.work = 0  # multiplications for one image
        for k in map(int, filters):
            h, w = -(-h // STRIDE), -(-w // STRIDE)
            self.kernels.append((k, KERNEL, KERNEL, c))
            self.sizes.append((h, w, k))
            self.work += int(np.prod(self.kernels[-1])) * h * w
            c = k
        self.head = ValueNetwork(c * h * w, n_outputs, hidden_layer_sizes, activation, dueling)
        self.trunk_size = sum(int(np.prod(shape)) + shape[0] for shape in self.kernels)
        self.size = self.trunk_size + self.head.size

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """Draw parameters by the rule of `ValueNetwork`."""
        theta = np.zeros(self.size, dtype=np.float32)
        for W, _ in self.layers(theta)[: len(self.kernels)]:
            k, d = len(W), W[0].size
            scale = 6 / d if self.activation == "relu" else 6 / (d + k * KERNEL**2)
            W[:] = rng.uniform(-1, 1, W.shape) * np.sqrt(scale)
        theta[self.trunk_size :] = self.head.initial(rng)
        return theta

    def layers(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return (weight, bias) of every layer as views into ``theta``."""
        views, at = [], 0
        for shape in self.kernels:
            end = at + int(np.prod(shape))
            views.append((theta[at:end].reshape(shape), theta[end : end + shape[0]]))
            at = end + shape[0]
        return views + self.head.layers(theta[at:])

    def forward(
        self, layers: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return Q (n, k) of flattened images and what `backward` needs: every layer's input."""
        from torch.nn.functional import conv2d

        n, trunk = len(x), len(self.kernels)
        x = self._channels_last(x)
        tape = []
        with threads_for(n * self.work):
            for W, b in layers[:trunk]:
                tape.append(x)
                z = conv2d(_planes(x), _planes(W), _tensor(b), stride=STRIDE, padding=PADDING)
                x = activate(self.activation, _rows(z))
        q, rest = self.head.forward(layers[trunk:], x.reshape(n, np.prod(self.sizes[-1])))
        return q, tape + rest

    def backward(
        self,
        layers: list[tuple[np.ndarray, np.ndarray]],
        gradients: list[tuple[np.ndarray, np.ndarray]],
        tape: list[np.ndarray],
        dq: np.ndarray,
    ) -> None:
        """Write the gradient for dLoss/dQ = ``dq`` into ``gradients`` (views of one flat array)."""
        import torch

        n, trunk = len(dq), len(self.kernels)
        dx = self.head.backward(
            layers[trunk:], gradients[trunk:], tape[trunk:], dq, to_input=True
        )
        with threads_for(n * self.work):
            for layer in range(trunk - 1, -1, -1):
                h, x = tape[layer + 1], tape[layer]
                dz = backpropagate(self.activation, h, dx.reshape(h.shape))
                (W, _), (gW, gb) = layers[layer], gradients[layer]
                dx, dW, db = torch.ops.aten.convolution_backward(
                    _planes(dz.reshape(n, *self.sizes[layer])), _planes(x), _planes(W), [len(W)],
                    [STRIDE] * 2, [PADDING] * 2, [1, 1], False, [0, 0], 1, [layer > 0, True, True],
                )  # fmt: skip
                gW[:] = _rows(dW)
                gb[:] = db.numpy()
                dx = _rows(dx) if layer else None

    def _channels_last(self, x: np.ndarray) -> np.ndarray:
        """Turn flattened images into (n, H, W, C)."""
        images = x.reshape(len(x), *self.image_shape)
        if self.axis is None:
            return images[..., None]
        return np.moveaxis(images, 1 + self.axis, -1)


def _tensor(a: np.ndarray) -> Any:
    import torch

    # torch warns of arrays that it could not write to, such as those of a parallel search.
    return torch.from_numpy(np.require(a, requirements=["C", "W"]))


def _planes(a: np.ndarray) -> Any:
    """Return (n, H, W, C) as torch's (n, C, H, W), the memory as it is."""
    return _tensor(a).permute(0, 3, 1, 2)


def _rows(t: Any) -> np.ndarray:
    """Return torch's (n, C, H, W) as (n, H, W, C)."""
    a: np.ndarray = t.permute(0, 2, 3, 1).numpy()
    return a
