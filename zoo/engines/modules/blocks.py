r"""Building blocks of the networks, and every random draw that a network makes.

A module that draws random numbers in ``forward`` derives from ``Stochastic`` and uses its
``generator``, which belongs to the Trainer. Nothing here touches torch's global generator, so that
fits in several threads repeat to the bit; ``seeded`` guards the one place where that cannot be
had, the initialisation of modules by torch's own code.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = [
    "ACTIVATIONS",
    "INITIALIZATIONS",
    "DropConnect",
    "Dropout",
    "GaussianNoise",
    "ItsOwnLoss",
    "PositionalEncoding",
    "RMSNorm",
    "Stochastic",
    "StochasticDepth",
    "activation",
    "bind_generator",
    "forbid_global_draws",
    "initialize",
    "seeded",
    "take_over_dropout",
]

_SEEDING = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator inside a process-wide lock, and restore it afterwards.

    Parameters
    ----------
    seed : int
        Whatever torch's own code draws inside the block follows from it.

    Notes
    -----
    ``torch.random.fork_rng`` has no lock: two threads that initialise at once disturb each other.
    """
    with _SEEDING:
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_rng_state(before)


class Stochastic(nn.Module):
    """A module that draws random numbers from a generator it is given by the Trainer."""

    def __init__(self) -> None:
        super().__init__()
        self.generator: torch.Generator | None = None

    def bound_generator(self) -> torch.Generator:
        """Return the generator, or say what is missing."""
        if self.generator is None:
            raise RuntimeError(
                f"{type(self).__name__} was asked to draw without a generator; call "
                "zoo.engines.modules.blocks.bind_generator(module, generator) first, as the Trainer does."
            )
        return self.generator

    def keep_mask(self, shape: Any, like: Tensor, keep: float) -> Tensor:
        """Draw zeros and ones, the latter with probability ``keep``, divided by ``keep``."""
        mask = torch.empty(shape, dtype=like.dtype, device=like.device)
        mask.bernoulli_(keep, generator=self.bound_generator())
        return mask.div_(keep) if keep > 0 else mask

    def normal_like(self, x: Tensor) -> Tensor:
        """Draw standard normal numbers of the shape, dtype and device of ``x``."""
        return torch.empty_like(x).normal_(generator=self.bound_generator())

    def __getstate__(self) -> dict[str, Any]:
        # The generator belongs to the Trainer, which hands it out again to a copy.
        return {**self.__dict__, "generator": None}


def bind_generator(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give every ``Stochastic`` block of ``module`` the generator it draws from."""
    for block in module.modules():
        if isinstance(block, Stochastic):
            block.generator = generator
    return module


def _check_rate(owner: str, name: str, p: float) -> float:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{owner} got {name}={p!r}, but it must lie between 0 and 1.")
    return float(p)


class Dropout(Stochastic):
    r"""Set activations to zero with probability p and divide the others by 1 - p.

    Parameters
    ----------
    p : float
        Probability of a zero.
    dims : int
        0 draws one number per activation. k > 0 draws one number per row and channel, shared by
        the last k dimensions, as ``Dropout1d`` to ``Dropout3d`` do.

    References
    ----------
    Srivastava et al.: Dropout. JMLR 15, 2014.
    """

    def __init__(self, p: float = 0.5, dims: int = 0) -> None:
        super().__init__()
        self.p = _check_rate("Dropout", "p", p)
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        """Drop while training, pass through otherwise."""
        if not self.training or self.p == 0.0:
            return x
        shape = x.shape if self.dims == 0 else x.shape[: -self.dims] + (1,) * self.dims
        return x * self.keep_mask(shape, x, 1.0 - self.p)

    def extra_repr(self) -> str:
        """Name the rate."""
        return f"p={self.p}" + (f", dims={self.dims}" if self.dims else "")


class DropConnect(Stochastic):
    r"""Linear layer whose weights, not its activations, are dropped: one mask per batch.

    References
    ----------
    Wan et al.: Regularization of Neural Networks using DropConnect. ICML 2013.
    """

    def __init__(
        self, in_features: int, out_features: int, p: float = 0.5, bias: bool = True
    ) -> None:
        super().__init__()
        self.p = _check_rate("DropConnect", "p", p)
        self.linear = nn.Linear(in_features, out_features, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer, with a fresh mask while training."""
        weight = self.linear.weight
        if self.training and self.p > 0.0:
            weight = weight * self.keep_mask(weight.shape, weight, 1.0 - self.p)
        return nn.functional.linear(x, weight, self.linear.bias)


class StochasticDepth(Stochastic):
    r"""Leave out a residual branch, row by row, with probability p: ``x + depth(branch(x))``.

    References
    ----------
    Huang et al.: Deep Networks with Stochastic Depth. ECCV 2016.
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        self.p = _check_rate("StochasticDepth", "p", p)

    def forward(self, branch: Tensor) -> Tensor:
        """Drop whole rows of the branch while training."""
        if not self.training or self.p == 0.0:
            return branch
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
        return branch * self.keep_mask(shape, branch, 1.0 - self.p)


class GaussianNoise(Stochastic):
    r"""Add normal noise of standard deviation ``sigma`` while training."""

    def __init__(self, sigma: float = 0.1) -> None:
        super().__init__()
        if not sigma >= 0:
            raise ValueError(f"GaussianNoise got sigma={sigma!r}, but it must not be negative.")
        self.sigma = float(sigma)

    def forward(self, x: Tensor) -> Tensor:
        """Add the noise while training."""
        if not self.training or self.sigma == 0.0:
            return x
        return x + self.sigma * self.normal_like(x)


class ItsOwnLoss(nn.Module):
    """The criterion of a module whose output is its loss."""

    def forward(self, output: Tensor, target: Any) -> Tensor:
        """Return the output."""
        return output


class RMSNorm(nn.Module):
    r"""Divide by the root mean square of the last dimension.

    .. math:: y = g\,x / \sqrt{\overline{x^2} + \epsilon}

    References
    ----------
    Zhang, Sennrich: Root Mean Square Layer Normalization. NeurIPS 2019.
    """

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.gain


class PositionalEncoding(nn.Module):
    r"""Add sines and cosines of the position.

    Columns 2i and 2i + 1 have the period :math:`2\pi\,10000^{2i/d}`.

    Parameters
    ----------
    width : int
        d, the number of columns; even or odd.
    length : int
        Longest sequence for which the table is kept; longer ones are computed.

    References
    ----------
    Vaswani et al.: Attention Is All You Need. NeurIPS 2017, section 3.5.
    """

    def __init__(self, width: int, length: int = 512) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("table", self.encode(torch.arange(length)), persistent=False)

    def encode(self, position: Tensor) -> Tensor:
        """Return the code of each position, whole or fractional."""
        i = torch.arange(0, self.width, 2, device=position.device, dtype=torch.float64)
        angle = position.to(torch.float64)[..., None] * torch.exp(-math.log(1e4) * i / self.width)
        code = torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)[..., : self.width]
        return code.to(torch.get_default_dtype())

    def forward(self, x: Tensor) -> Tensor:
        """Add the code to ``x`` of shape (rows, length, width)."""
        n = x.shape[-2]
        table: Tensor = self.table  # type: ignore[assignment]
        if n > len(table):
            table = self.encode(torch.arange(n, device=x.device))
        return x + table[:n].to(x.dtype)


#: name -> module class
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "hardswish": nn.Hardswish,
}


def activation(name: str) -> nn.Module:
    """Build the activation of that name."""
    if name not in ACTIVATIONS:
        raise ValueError(
            f"activation is {name!r}, but it must be one of {', '.join(map(repr, ACTIVATIONS))}."
        )
    return ACTIVATIONS[name]()


_Draw = Callable[[Tensor, torch.Generator], Any]

#: name -> function that fills a weight in place; "torch" leaves what the module class did
INITIALIZATIONS: dict[str, _Draw | None] = {
    "torch": None,
    "zeros": lambda w, g: nn.init.zeros_(w),
    "glorot_uniform": lambda w, g: nn.init.xavier_uniform_(w, generator=g),
    "glorot_normal": lambda w, g: nn.init.xavier_normal_(w, generator=g),
    "he_uniform": lambda w, g: nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=g),
    "he_normal": lambda w, g: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=g),
    "lecun_normal": lambda w, g: nn.init.kaiming_normal_(w, nonlinearity="linear", generator=g),
    "orthogonal": lambda w, g: nn.init.orthogonal_(w, generator=g),
}


def initialize(
    module: nn.Module, scheme: str, generator: torch.Generator, gain: float = 1.0
) -> nn.Module:
    """Fill weights of linear and convolutional layers by a scheme, and their biases with zeros.

    Parameters
    ----------
    module : nn.Module
        Changed in place, and returned.
    scheme : str
        A key of ``INITIALIZATIONS``; "torch" changes nothing.
    generator : torch.Generator
        Source of the numbers.
    gain : float
        Factor of the weights.
    """
    if scheme not in INITIALIZATIONS:
        raise ValueError(
            f"initialization is {scheme!r}, but it must be one of "
            f"{', '.join(map(repr, INITIALIZATIONS))}."
        )
    draw = INITIALIZATIONS[scheme]
    if draw is None:
        return module
    kinds = (nn.Linear, nn.modules.conv._ConvNd)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, kinds):
                draw(layer.weight, generator)
                if gain != 1.0:
                    layer.weight.mul_(gain)
                if layer.bias is not None:
                    layer.bias.zero_()
    return module


# torch's own dropouts draw from the global generator: name -> dimensions that share a number.
_DROPOUTS: dict[type[nn.Module], int] = {
    nn.Dropout: 0,
    nn.Dropout1d: 1,
    nn.Dropout2d: 2,
    nn.Dropout3d: 3,
}


def take_over_dropout(module: nn.Module) -> nn.Module:
    """Replace torch's dropout layers, which draw globally, by ``Dropout``; return the module.

    Parameters
    ----------
    module : nn.Module
        Changed in place; if it is itself a dropout layer, its replacement is returned.
    """
    if type(module) in _DROPOUTS:
        own = Dropout(module.p, dims=_DROPOUTS[type(module)])  # type: ignore[arg-type]
        return own.train(module.training)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in _DROPOUTS:
                setattr(parent, name, take_over_dropout(child))
    return module


class forbid_global_draws(TorchDispatchMode):
    """Context in which an operation that would draw from torch's global generator is an error."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Look at each operation before it runs."""
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in func.tags and _draws(func, args, kwargs):
            raise RuntimeError(
                f"The module draws from torch's global generator ({func.name()}), so that its fit "
                "could not be repeated; use the blocks of zoo.engines.modules.blocks (Dropout, "
                "GaussianNoise, or your own subclass of Stochastic) instead."
            )
        return func(*args, **kwargs)


def _draws(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the call draws: not with a generator of its own, nor at a dropout rate of 0."""
    given = dict(kwargs)
    for argument, value in zip(func._schema.arguments, args, strict=False):
        given[argument.name] = value
    if given.get("generator") is not None:
        return False
    defaults = {argument.name: argument.default_value for argument in func._schema.arguments}
    rate = given.get("dropout_p", defaults.get("dropout_p", given.get("dropout")))
    return rate is None or rate != 0
