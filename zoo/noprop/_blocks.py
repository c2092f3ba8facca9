r"""K blocks side by side: the parameters of a layer are one tensor whose first axis is the block.

Activations are (K, units, rows), so that one batched product serves all blocks, one product serves
the layer that all blocks share the input of, and batch norm sees K x units channels in place.

Blocks do not see each other: ``run`` gets the parameters of the blocks that it runs as a dict of
tensors, and nothing else. Training hands it detached slices, so that no other block can be in the
graph of the loss.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.neural import blocks

MOMENTUM, EPS = 0.1, 1e-5


class Blocks(blocks.Stochastic):
    """K blocks (x, z) -> output, each with an x branch, a residual z branch and a joint end.

    Parameters
    ----------
    K : int
        How many.
    shape : list of int
        Channels, height and width of x.
    d, n_outputs : int
        Length of z, and of a block's output.
    width : int
        Units of a layer; the last hidden layer has half of them.
    network : {"dense", "conv"}
        Form of the x branch.
    dropout : float
        Rate in the convolutional branch.
    norm : bool
        Batch norm, each block for itself; without it layers have biases.
    time_code : int
        Length of the code of t that joins in; 0 for none.
    """

    def __init__(
        self,
        K: int,
        shape: list[int],
        d: int,
        n_outputs: int,
        width: int,
        network: str,
        dropout: float,
        norm: bool,
        time_code: int = 0,
    ) -> None:
        super().__init__()
        self.K, self.network, self.dropout, self.norm = K, network, dropout, norm
        self.shape = shape
        self.weights = nn.ParameterDict()
        w, half = width, max(width // 2, 1)
        C, H, W = shape
        if network == "conv":
            for i, (n_in, n_out) in enumerate([(C, 32), (32, 64), (64, 128)], 1):
                self._draw(f"conv{i}_w", n_in * 9, n_out, n_in, 3, 3)
                self._draw(f"conv{i}_b", n_in * 9, n_out)
            self._linear("x2", 128 * (H // 4) * (W // 4), w)
        else:
            self._linear("x1", C * H * W, w)
            self._linear("x2", w, w)
        for name in ("z1", "z2", "z3"):
            self._linear(name, d if name == "z1" else w, w)
        if time_code:
            self._linear("t1", time_code, w)
        self._linear("h1", (3 if time_code else 2) * w, w)
        self._linear("h2", w, half)
        self._linear("out", half, n_outputs, last=True)

    def _draw(self, name: str, fan_in: int, *shape: int) -> None:
        bound = 1 / math.sqrt(max(fan_in, 1))
        self.weights[name] = nn.Parameter(torch.empty(self.K, *shape).uniform_(-bound, bound))

    def _linear(self, name: str, n_in: int, n_out: int, last: bool = False) -> None:
        self._draw(f"{name}_w", n_in, n_out, n_in)
        if last or not self.norm or name == "t1":
            self._draw(f"{name}_b", n_in, n_out, 1)
            return
        # A bias before batch norm has no effect, and its gradient is rounding noise.
        self.weights[f"{name}_g"] = nn.Parameter(torch.ones(self.K, n_out))
        self.weights[f"{name}_s"] = nn.Parameter(torch.zeros(self.K, n_out))
        self.register_buffer(f"{name}_mean", torch.zeros(self.K, n_out))
        self.register_buffer(f"{name}_var", torch.ones(self.K, n_out))

    def part(self, low: int, high: int, detached: bool = False) -> dict[str, Tensor]:
        """Return the parameters of the blocks low ... high - 1, as leaves of their own or not."""
        if detached:
            return {n: p.detach()[low:high].requires_grad_() for n, p in self.weights.items()}
        return {n: p[low:high] for n, p in self.weights.items()}

    def singles(self) -> list[dict[str, Tensor]]:
        """Return the parameters of each block, in the graph of the whole."""
        split = {n: p.split(1) for n, p in self.weights.items()}
        return [{n: pieces[i] for n, pieces in split.items()} for i in range(self.K)]

    # -- layers -------------------------------------------------------------------------------------

    def _product(self, P: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
        """Multiply by the weights; x is (K, in, n), or (in, n) where all blocks share it."""
        w = P[f"{name}_w"]
        shared = x.ndim == 2
        h = (w.flatten(0, 1) @ x).unflatten(0, w.shape[:2]) if shared else torch.bmm(w, x)
        b = P.get(f"{name}_b")
        return h if b is None else h + b

    def _layer(self, P: dict[str, Tensor], low: int, name: str, x: Tensor) -> Tensor:
        """Multiply and normalise, each block over its own batch."""
        h = self._product(P, name, x)
        if f"{name}_g" not in P:
            return h
        K, units, n = h.shape
        mean, var = (
            getattr(self, f"{name}_{kind}")[low : low + K].view(-1) for kind in ("mean", "var")
        )
        return F.batch_norm(
            h.reshape(1, K * units, n),
            mean,
            var,
            P[f"{name}_g"].reshape(-1),
            P[f"{name}_s"].reshape(-1),
            # One row has no spread; the running statistics stand in for it.
            training=self.training and n > 1,
            momentum=MOMENTUM,
            eps=EPS,
        ).view(K, units, n)

    def _drop(self, h: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return h
        mask = torch.empty_like(h).bernoulli_(1 - self.dropout, generator=self.bound_generator())
        return h * mask.div_(1 - self.dropout)

    def _convolve(self, P: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return the features of images, (K, features, n)."""
        K = P["conv1_w"].shape[0]
        h = x
        for i in (1, 2, 3):
            w, b = P[f"conv{i}_w"], P[f"conv{i}_b"]
            w = w.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            h = F.conv2d(h, w, b.flatten(), padding=1, groups=1 if i == 1 else K)
            # The largest of relu(h) is relu of the largest, at a quarter of the work.
            h = self._drop(F.relu(h if i == 2 else F.max_pool2d(h, 2)))
        n, _, H, W = h.shape
        h = h.permute(0, 2, 3, 1).reshape(n, H * W, K, 128)
        return h.permute(2, 1, 3, 0).reshape(K, H * W * 128, n)

    # -- a block ------------------------------------------------------------------------------------

    def lay_out(self, x: Tensor) -> Tensor:
        """Return rows (n, C, H, W) as the x branch reads them."""
        if self.network == "conv":
            x = x.reshape(len(x), *self.shape)
            return x.contiguous(memory_format=torch.channels_last)
        return x.flatten(1).t().contiguous()

    def features(self, P: dict[str, Tensor], low: int, x: Tensor) -> Tensor:
        """Return the x branch, (K, width, n)."""
        conv = self.network == "conv"
        h = self._convolve(P, x) if conv else F.relu(self._layer(P, low, "x1", x))
        return self._layer(P, low, "x2", h)

    def run(
        self, P: dict[str, Tensor], low: int, x: Tensor, z: Tensor, code: Tensor | None = None
    ) -> Tensor:
        """Return the output of the blocks from ``low`` on whose parameters are P.

        x as ``lay_out`` gives it, z (K, d, n), code (time_code, n) or None; returns (K, out, n).
        """
        return self.end(P, low, self.features(P, low, x), z, code)

    def end(
        self, P: dict[str, Tensor], low: int, hx: Tensor, z: Tensor, code: Tensor | None = None
    ) -> Tensor:
        """Return the output where the x branch is already known."""
        hz = F.relu(self._layer(P, low, "z1", z))
        hz = hz + self._layer(P, low, "z3", F.relu(self._layer(P, low, "z2", hz)))
        joined = [F.relu(hx), F.relu(hz)] if not self.norm else [hx, hz]
        if code is not None:
            joined.append(F.relu(self._product(P, "t1", code)))
        h = F.relu(self._layer(P, low, "h1", torch.cat(joined, 1)))
        h = F.relu(self._layer(P, low, "h2", h))
        return self._product(P, "out", h)


def take_gradients(
    loss: Tensor, stack: Blocks, low: int, P: dict[str, Tensor], shared: list[nn.Parameter]
) -> None:
    """Put the gradients of one chunk's loss where the optimiser looks for them."""
    grads = torch.autograd.grad(loss, [*P.values(), *shared])
    high = low + next(iter(P.values())).shape[0]
    for name, g in zip(P, grads, strict=False):
        p = stack.weights[name]
        if high - low == stack.K:
            p.grad = g.contiguous()
            continue
        if p.grad is None:
            p.grad = torch.empty_like(p)
        p.grad[low:high] = g
    for p, g in zip(shared, grads[len(P) :], strict=True):
        p.grad = g if p.grad is None else p.grad + g


def clip_each(stack: Blocks, largest: float) -> None:
    """Scale down the gradient of every block whose norm exceeds ``largest``, each by itself."""
    grads = [p.grad for p in stack.weights.values() if p.grad is not None]
    norm = sum(g.flatten(1).square().sum(1) for g in grads) ** 0.5
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(scale.view(-1, *[1] * (g.ndim - 1)))


def chunk_for(chunk: Any, network: str, K: int, device: torch.device) -> int:
    """Return how many blocks to train at once.

    Measured: batched products of dense blocks beat a loop, grouped convolutions on a CPU lose to
    one, and a GPU is filled by more work at a time.
    """
    if chunk != "auto":
        return min(int(chunk), K)
    return 1 if network == "conv" and device.type == "cpu" else K
