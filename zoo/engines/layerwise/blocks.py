r"""K blocks side by side: the parameters of a layer are one tensor whose first axis is the block.

Activations are (K, units, rows), so that one batched product serves all blocks, and batch norm sees
K x units channels in place.

Blocks do not see each other: ``run`` gets the parameters of the blocks that it runs, and nothing
else. Blocks that are trained apart, or on another device, are modules of their own.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.engines.layerwise.layers import (
    Dropout,
    add_bias,
    convolve,
    first_stage,
    halve,
    norm,
    product,
    rectify_and_drop,
)
from zoo.engines.modules import blocks

CHANNELS = (32, 64, 128)
Network = str | Callable[[tuple[int, ...], int], nn.Module]


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
    network : {"dense", "conv"} or callable
        Form of the x branch; a callable ``(shape, width) -> module`` makes one for each block.
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
        network: Network,
        dropout: float,
        norm: bool,
        time_code: int = 0,
    ) -> None:
        super().__init__()
        self.K, self.network, self.dropout, self.norm = K, network, dropout, norm
        self.shape = shape
        # what DenseStep remembers
        self.step: Any = None
        # (name, fan-in, shape) of the parameters that are drawn
        self._drawn: list[tuple[str, int, tuple[int, ...]]] = []
        self.weights = nn.ParameterDict()
        w, half = width, max(width // 2, 1)
        C, H, W = shape
        if network == "conv":
            for i, (n_in, n_out) in enumerate(zip((C, *CHANNELS), CHANNELS, strict=False), 1):
                self._add(f"conv{i}_w", n_in * 9, n_out, n_in, 3, 3)
                self._add(f"conv{i}_b", n_in * 9, n_out)
            self._linear("x2", CHANNELS[-1] * (H // 4) * (W // 4), w)
        elif network == "dense":
            self._linear("x1", C * H * W, w)
            self._linear("x2", w, w)
        for name in ("z1", "z2", "z3"):
            self._linear(name, d if name == "z1" else w, w)
        if time_code:
            self._linear("t1", time_code, w)
        self._linear("h1", (3 if time_code else 2) * w, w)
        self._linear("h2", w, half)
        self._linear("out", half, n_outputs, last=True)
        if callable(network):
            self.branches = nn.ModuleList()
        # Block by block, so that it does not matter how blocks are put together.
        for k in range(K):
            for name, fan_in, form in self._drawn:
                bound = 1 / math.sqrt(max(fan_in, 1))
                self.weights[name].data[k] = torch.empty(form).uniform_(-bound, bound)
            if callable(network):
                self.branches.append(branch(network, shape, width))

    def _add(self, name: str, fan_in: int, *shape: int) -> None:
        self._drawn.append((name, fan_in, shape))
        self.weights[name] = nn.Parameter(torch.empty(self.K, *shape))

    def _linear(self, name: str, n_in: int, n_out: int, last: bool = False) -> None:
        self._add(f"{name}_w", n_in, n_out, n_in)
        if last or not self.norm or name == "t1":
            self._add(f"{name}_b", n_in, n_out, 1)
            return
        # A bias before batch norm has no effect, and its gradient is rounding noise.
        self.weights[f"{name}_g"] = nn.Parameter(torch.ones(self.K, n_out))
        self.weights[f"{name}_s"] = nn.Parameter(torch.zeros(self.K, n_out))
        self.register_buffer(f"{name}_mean", torch.zeros(self.K, n_out))
        self.register_buffer(f"{name}_var", torch.ones(self.K, n_out))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "step": None}

    @property
    def device(self) -> torch.device:
        """Where the blocks are."""
        return self.weights["out_w"].device

    def part(self, low: int, high: int) -> dict[str, Tensor]:
        """Return the parameters of the blocks low ... high - 1, apart from their own branches."""
        if high - low == self.K:
            return dict(self.weights.items())
        return {n: p[low:high] for n, p in self.weights.items()}

    def singles(self) -> list[dict[str, Tensor]]:
        """Return the parameters of each block, in the graph of the whole."""
        split = {n: p.split(1) for n, p in self.weights.items()}
        return [{n: pieces[i] for n, pieces in split.items()} for i in range(self.K)]

    def clip(self, largest: float) -> None:
        """Scale down the gradient of every block whose norm exceeds ``largest``, each by itself."""
        grads = [p.grad for p in self.weights.values() if p.grad is not None]
        if not grads:
            return
        square = sum(g.flatten(1).square().sum(1) for g in grads)
        own: list[list[Tensor]] = [[] for _ in range(self.K)]
        if callable(self.network):
            own = [[p.grad for p in b.parameters() if p.grad is not None] for b in self.branches]
            square = square + torch.stack(
                [sum((g.square().sum() for g in gs), grads[0].new_zeros(())) for gs in own]
            )
        scale = (largest / (square**0.5 + 1e-6)).clamp(max=1.0)
        for g in grads:
            g.mul_(scale.view(-1, *[1] * (g.ndim - 1)))
        for gs, s in zip(own, scale, strict=True):
            for g in gs:
                g.mul_(s)

    # -- layers -------------------------------------------------------------------------------------

    def _affine(self, P: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
        return add_bias(product(P[f"{name}_w"], x), P[f"{name}_b"])

    def _layer(
        self, P: dict[str, Tensor], low: int, name: str, x: Tensor, rectify: bool = True
    ) -> Tensor:
        """Multiply, normalise each block over its own batch, and rectify."""
        if f"{name}_g" not in P:
            h = self._affine(P, name, x)
            return F.relu(h) if rectify else h
        h = product(P[f"{name}_w"], x)
        mean, var = (
            getattr(self, f"{name}_{kind}")[low : low + len(h)] for kind in ("mean", "var")
        )
        return norm(h, P[f"{name}_g"], P[f"{name}_s"], mean, var, self.training, rectify)

    def seeds(self) -> list[int]:
        """Draw a seed for the dropout of every block."""
        if not self.training or self.dropout == 0:
            return [0] * self.K
        drawn = torch.empty(self.K, dtype=torch.int64, device=self.bound_generator().device)
        seeds: list[int] = drawn.random_(generator=self.bound_generator()).tolist()
        return seeds

    def _convolve(self, P: dict[str, Tensor], low: int, x: Tensor) -> Tensor:
        """Return the features of images, (K, features, n)."""
        K = len(P["conv1_w"])
        seeds = self.seeds()[low : low + K]
        if x.device.type != "cpu":
            return self._images(P, x, seeds)
        # A CPU gains nothing from groups of channels, and rounds them otherwise than single blocks.
        names = [f"conv{i}_{kind}" for i in (1, 2, 3) for kind in "wb"]
        split = {name: P[name].split(1) for name in names}
        each = [
            self._images({n: pieces[k] for n, pieces in split.items()}, x, seeds[k : k + 1])
            for k in range(K)
        ]
        return each[0] if K == 1 else torch.cat(each)

    def _images(self, P: dict[str, Tensor], x: Tensor, seeds: list[int]) -> Tensor:
        K = len(seeds)
        drop = Dropout(self.dropout if self.training else 0.0, seeds)
        h = first_stage(x, P["conv1_w"], P["conv1_b"], drop)
        h = rectify_and_drop(convolve(h, P["conv2_w"], P["conv2_b"]), drop)
        h = halve(convolve(h, P["conv3_w"], P["conv3_b"]), drop, 3)
        n, _, H, W = h.shape
        h = h.permute(0, 2, 3, 1).reshape(n, H * W, K, CHANNELS[-1])
        return h.permute(2, 0, 1, 3).reshape(K, n, H * W * CHANNELS[-1]).transpose(1, 2)

    # -- a block ------------------------------------------------------------------------------------

    def lay_out(self, x: Tensor) -> Tensor:
        """Return rows (n, C, H, W) as the x branch reads them."""
        if self.network == "conv":  # with the border that the first convolution needs
            return F.pad(x.reshape(len(x), *self.shape), (1, 1, 1, 1))
        if callable(self.network):
            return x.reshape(len(x), *shape_of(self.shape))
        return x.flatten(1).t().contiguous()

    def rows_of(self, x: Tensor) -> int:
        """Return the number of rows in what ``lay_out`` returned."""
        return x.shape[1] if self.network == "dense" else x.shape[0]

    def features(self, P: dict[str, Tensor], low: int, x: Tensor) -> Tensor:
        """Return the x branch, (K, width, n)."""
        if callable(self.network):
            K = len(P["out_w"])
            return torch.stack([b(x).t() for b in self.branches[low : low + K]])
        conv = self.network == "conv"
        h = self._convolve(P, low, x) if conv else self._layer(P, low, "x1", x)
        return self._layer(P, low, "x2", h, rectify=False)

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
        hz = self._layer(P, low, "z1", z)
        hz = hz + self._layer(P, low, "z3", self._layer(P, low, "z2", hz), rectify=False)
        joined = [F.relu(hx), F.relu(hz)] if not self.norm else [hx, hz]
        if code is not None:
            joined.append(F.relu(self._affine(P, "t1", code)))
        h = self._layer(P, low, "h1", torch.cat(joined, 1))
        return self._affine(P, "out", self._layer(P, low, "h2", h))


def shape_of(shape: list[int]) -> tuple[int, ...]:
    """Return the shape of a row as a branch of one's own sees it: (d,) for a table's."""
    return (shape[2],) if shape[:2] == [1, 1] else tuple(shape)


def branch(network: Callable[..., Any], shape: list[int], width: int) -> nn.Module:
    """Make an x branch of the user's, and see whether its output fits."""
    given = shape_of(shape)
    module = network(given, width)
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"network{given, width} returned {type(module).__name__}, but it must return an nn.Module "
            f"that maps (n, {', '.join(map(str, given))}) to (n, {width})."
        )
    training = module.training
    with torch.no_grad():
        out = module.eval()(torch.zeros(2, *given))
    found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
    if found != (2, width):
        raise ValueError(
            f"network{given, width} gives {found} for 2 rows of shape {given}, but it must give "
            f"(2, {width}), one number for each of width={width} units; end it with "
            f"nn.Linear(..., width)."
        )
    return module.train(training)


def chunks_for(chunk: Any, network: Network, K: int, on_cpu: bool) -> list[int]:
    """Return how many blocks each group has that is trained at once.

    Measured: batched products of dense blocks beat a loop, grouped convolutions on a CPU lose to
    one, and a GPU is filled by more work at a time.
    """
    most = int(chunk) if chunk != "auto" else 1 if network == "conv" and on_cpu else K
    return [min(most, K - low) for low in range(0, K, most)]


def spread(sizes: list[int], devices: int) -> list[list[int]]:
    """Split groups over devices, as evenly as whole blocks allow; returns the groups of each."""
    K = sum(sizes)
    ends = [round(K * (i + 1) / devices) for i in range(devices)]
    most = max(sizes)
    found = []
    for low, high in zip([0, *ends], ends, strict=False):
        found.append([min(most, high - at) for at in range(low, high, most)])
    return found

