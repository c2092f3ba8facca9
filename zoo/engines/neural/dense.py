r"""Dense networks, forward and backward, written by hand.

For a small network automatic differentiation costs more than the arithmetic: it builds a graph of
thirty nodes to multiply six matrices. A row of linear layers and activations needs no graph:

.. math::
    Z_l = H_{l-1} W_l^\top + b_l,\quad H_l = \phi(Z_l),\qquad
    G_l = (G_{l+1} W_{l+1}) \odot \phi'(Z_l),\quad
    \nabla W_l = G_l^\top H_{l-1},\quad \nabla b_l = 1^\top G_l .

``layers_of`` says whether a module is such a row, and nothing about it asks for the general way: a
hook, an overridden method, a frozen parameter, a shared one, a parametrisation, another device. Two
ways read it. ``DensePath`` is the training step of the Trainer, in torch, with the loss inside.
``DensePass`` is numpy on the memory of the parameters, for whoever knows the gradient of a loss by
the outputs: at the sizes of agents it takes a half to a sixth of what torch's modules take.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from zoo.engines.neural.lean import without_grad

aten = torch.ops.aten
# The label that torch's cross entropy leaves out unless told otherwise.
IGNORED = -100


class Activation(NamedTuple):
    """One activation: its value, and the gradient handed down through it, both in place.

    Parameters
    ----------
    forward : function or None
        Overwrites z by its value; None for the identity, or where z itself is needed later.
    backward : function or None
        ``(g, saved)`` overwrites g; ``saved`` is the value, or z where ``apart`` is given.
    apart : function or None
        Returns the value in new memory and leaves z alone.
    """

    forward: Callable[[Tensor], Any] | None
    backward: Callable[[Tensor, Tensor], Any] | None
    apart: Callable[[Tensor], Tensor] | None = None


IDENTITY = Activation(None, None)
_threshold = aten.threshold_backward.grad_input
ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.Identity: IDENTITY,
    nn.ReLU: Activation(torch.relu_, lambda g, h: _threshold(g, h, 0, grad_input=g)),
    nn.Tanh: Activation(
        torch.tanh_, lambda g, h: aten.tanh_backward.grad_input(g, h, grad_input=g)
    ),
    nn.Sigmoid: Activation(
        torch.sigmoid_, lambda g, h: aten.sigmoid_backward.grad_input(g, h, grad_input=g)
    ),
    nn.SiLU: Activation(
        None,
        lambda g, z: aten.silu_backward.grad_input(g, z, grad_input=g),
        apart=nn.functional.silu,
    ),
    nn.GELU: Activation(
        None,
        lambda g, z: aten.gelu_backward.grad_input(g, z, grad_input=g),
        apart=nn.functional.gelu,
    ),
}

_HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip
_GLOBAL_HOOKS = (
    torch_module._global_forward_hooks,
    torch_module._global_forward_pre_hooks,
    torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)


class Layer(NamedTuple):
    """A linear layer and the activation that follows it."""

    linear: nn.Linear
    activation: Activation


def layers_of(module: Any) -> list[Layer] | None:
    """Read a ``Sequential`` of linear layers, each with an activation behind it or none.

    None where it is anything else, or where a layer or a parameter stands in it twice: a step by
    hand would set the gradient of one place and lose that of the other.
    """
    if type(module) is not nn.Sequential or "forward" in vars(module):
        return None
    parts = list(module)
    if len({id(part) for part in parts}) < len(parts):
        return None
    layers: list[Layer] = []
    after_linear = False
    for part in parts:
        if "forward" in vars(part):
            return None
        if type(part) is nn.Linear:
            layers.append(Layer(part, IDENTITY))
        elif (
            type(part) not in ACTIVATIONS
            or not after_linear
            or getattr(part, "approximate", "none") != "none"
        ):
            return None
        else:
            layers[-1] = Layer(layers[-1].linear, ACTIVATIONS[type(part)])
        after_linear = type(part) is nn.Linear
    own = [p for layer in layers for p in layer.linear._parameters.values() if p is not None]
    if not layers or len({id(p) for p in own}) < len(own) or _overlap(own):
        return None
    return layers


def _overlap(parameters: list[Any]) -> bool:
    """Tell whether two parameters have memory in common."""
    spans = sorted(
        (p.data_ptr(), p.data_ptr() + p.numel() * p.element_size())
        for p in parameters
        if p.device.type != "meta"
    )
    return any(end > start for (_, end), (start, _) in pairwise(spans))


def hooks_on(*modules: nn.Module) -> list[Any]:
    """Return the dictionaries in which hooks on these modules, or on all, would be registered."""
    return [*(getattr(m, name) for m in modules for name in _HOOKS), *_GLOBAL_HOOKS]


class DensePass:
    """Forward and backward of a dense network, in numpy on the memory of its parameters.

    The parameters stay those of the torch module, and ``backward`` writes where their ``grad`` is:
    any optimiser of torch takes the step, and whoever looks at the module sees what it sees after a
    step of autograd. There is no graph, so a gradient cannot be differentiated again: who needs
    that takes ``zoo.engines.neural.passes.GraphPass``.

    Parameters
    ----------
    layers : list of Layer
        The network, as ``layers_of`` reads it.
    """

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = [
            (
                linear.weight.detach().numpy().T,
                None if linear.bias is None else linear.bias.detach().numpy(),
                activation,
            )
            for linear, activation in layers
        ]
        self.parameters = [
            p for linear, _ in layers for p in (linear.weight, linear.bias) if p is not None
        ]
        self.linears = [linear for linear, _ in layers]
        self._gradients: list[tuple[np.ndarray, np.ndarray | None]] | None = None
        self._ones = np.ones(0, dtype=self.layers[0][0].dtype)

    @classmethod
    def of(cls, module: Any) -> "DensePass | None":
        """Return the pass of a module that is provably served by it, or None."""
        layers = layers_of(module)
        if layers is None or any(hooks_on(module, *module)):
            return None
        parameters = list(module.parameters())
        dtype = parameters[0].dtype
        plain = dtype in (torch.float32, torch.float64) and all(
            p.device.type == "cpu" and usual(p, dtype, replace=True) for p in parameters
        )
        return cls(layers) if plain else None

    def __reduce__(self) -> Any:
        raise TypeError(
            "a copy of a pass would not hold the memory of its module; make one of the copied module."
        )

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return the output for rows x."""
        return self.forward(x)[0]

    def forward(self, x: np.ndarray, *, to_input: bool = False) -> tuple[np.ndarray, list[Any]]:
        """Return the output for rows x, and the tape that `backward` reads.

        ``to_input`` says that `backward` will be asked for the gradient by x.
        """
        tape = []
        for WT, b, phi in self.layers:
            z = x @ WT
            if b is not None:
                z += b
            h = _value(phi, z)
            tape.append((x, h if phi.apart is None else z))
            x = h
        return x, tape

    def backward(
        self, tape: list[Any], slope: np.ndarray, *, to_input: bool = False, rows: int | None = None
    ) -> np.ndarray | None:
        """Write the gradient of a loss whose gradient by the output is ``slope`` (overwritten).

        Parameters
        ----------
        tape : list
            What `forward` gave.
        slope : array of shape (n, outputs)
            Gradient of the loss by the output.
        to_input : bool
            Whether to return the gradient by the input.
        rows : int or None
            How many of the first rows of the tape the slope is for; None is all.
        """
        if self._gradients is None:
            self._gradients = self._gradient_memory()
        g = slope
        for level in range(len(self.layers) - 1, -1, -1):
            WT, _, phi = self.layers[level]
            gW, gb = self._gradients[level]
            x, saved = tape[level]
            if rows is not None:
                x, saved = x[:rows], saved[:rows]
            _slope(phi, g, saved)
            np.matmul(g.T, x, out=gW)
            if gb is not None:
                # A product with ones takes a quarter of the time of a sum over rows.
                np.matmul(self._ones_for(g), g, out=gb)
            if level or to_input:
                g = g @ WT.T
        return g if to_input else None

    def _ones_for(self, g: np.ndarray) -> np.ndarray:
        if len(self._ones) < len(g):
            self._ones = np.ones(len(g), dtype=g.dtype)
        return self._ones[: len(g)]

    def _gradient_memory(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        for p in self.parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        return [
            (
                linear.weight.grad.numpy(),
                None if linear.bias is None else linear.bias.grad.numpy(),
            )
            for linear in self.linears
        ]


def _value(phi: Activation, z: np.ndarray) -> np.ndarray:
    """Return the value of an activation, in place where it can."""
    if phi is _RELU:
        return np.maximum(z, 0, out=z)
    if phi.forward is not None:
        phi.forward(torch.from_numpy(z))
        return z
    return z if phi.apart is None else phi.apart(torch.from_numpy(z)).numpy()


def _slope(phi: Activation, g: np.ndarray, saved: np.ndarray) -> None:
    """Take the gradient g back through an activation, in place."""
    if phi is _RELU:
        g *= saved > 0
    elif phi.backward is not None:
        phi.backward(torch.from_numpy(g), torch.from_numpy(saved))


# numpy's own comparison costs less than the way to torch and back.
_RELU = ACTIVATIONS[nn.ReLU]


def cross_entropy(zT: Tensor, y: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor] | None:
    r"""Loss :math:`-\log p_y` of softmax outputs, and its gradient :math:`p - 1_y`.

    Outputs and gradient are transposed, one column a row of the data: the softmax over ten classes
    is then vectorised over the rows, which at batch 512 is twenty times faster.
    """
    k, n = zT.shape
    log_p = torch.log_softmax(zT, 0)
    if y.dtype is torch.int64 and y.ndim == 1:
        reduction = "mean" if w is None else "none"
        loss = nn.functional.nll_loss(log_p.t(), y, reduction=reduction)
        minus_one, share = _constants(n, zT.dtype)
        g = log_p.exp_().scatter_add_(0, y.unsqueeze(0), minus_one)
        if w is None:
            return loss, g.mul_(share)
        rows = loss
    elif y.dtype is zT.dtype and y.shape == (n, k):
        yT = y.t()
        rows = -(yT * log_p).sum(0)
        g = log_p.exp_().mul_(yT.sum(0)).sub_(yT)
        if w is None:
            return rows.mean(), g.mul_(1.0 / n)
    else:
        return None
    total = w.sum()
    return (w * rows).sum() / total, g.mul_(w / total)


@lru_cache(maxsize=32)
def _constants(n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return -1 for each of n rows, and 1/n; to make them costs more than to use them."""
    return torch.full((1, n), -1.0, dtype=dtype), torch.full((1, 1), 1.0 / n, dtype=dtype)


def _averaged(rows: Tensor, g: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor]:
    """Average elementwise losses and their gradients over outputs, and over rows by w."""
    if w is None:
        return rows.mean(), g.mul_(1.0 / g.numel())
    n = len(rows)
    total = w.sum()
    loss = (w * rows.view(n, -1).mean(1)).sum() / total
    g.view(n, -1).mul_((w / total * (n / g.numel()))[:, None])
    return loss, g


def squared_error(z: Tensor, y: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor] | None:
    r"""Loss :math:`(z - y)^2` and its gradient :math:`2 (z - y)`, averaged."""
    if y.dtype is not z.dtype or y.shape != z.shape:
        return None
    r = z - y
    return _averaged(r.square(), r.mul_(2.0), w)


def binary_cross_entropy(z: Tensor, y: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor] | None:
    r"""Loss of logits z against y in [0, 1] and its gradient :math:`\sigma(z) - y`, averaged."""
    if y.dtype is not z.dtype or y.shape != z.shape:
        return None
    rows = nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
    return _averaged(rows, torch.sigmoid(z).sub_(y), w)


def _loss_of(criterion: Any) -> Any:
    """Return the hand-written loss that equals a criterion, or None."""
    kind = type(criterion)
    if kind not in (nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss):
        return None
    if criterion.reduction not in ("none", "mean"):
        return None
    if kind is nn.CrossEntropyLoss:
        plain = (
            criterion.weight is None
            and criterion.label_smoothing == 0
            and criterion.ignore_index == IGNORED
        )
        return cross_entropy if plain else None
    if kind is nn.MSELoss:
        return squared_error
    plain = criterion.weight is None and criterion.pos_weight is None
    return binary_cross_entropy if plain else None


class DensePath:
    """One network in hand-written form, valid for one epoch.

    Parameters
    ----------
    layers : list of Layer
        The network.
    loss : function
        ``(z, y, w) -> (loss, gradient)``, or None where it does not apply.
    module, criterion : nn.Module
        What the form was read from; looked at before every batch, for hooks and for changes.
    """

    def __init__(
        self, layers: list[Layer], loss: Any, module: nn.Sequential, criterion: nn.Module
    ) -> None:
        self.module, self.criterion = module, criterion
        self.parts = tuple(module._modules.values())
        self.hooks = hooks_on(module, *module, criterion)
        # A ``forward`` set on an instance, or a compiled one, is a name more.
        self.instances = [vars(m) for m in (module, *module, criterion)]
        self.n_names = list(map(len, self.instances))
        self.linears = [linear for linear, _ in layers]
        self.activations = [phi for _, phi in layers]
        self.loss = loss
        self.spaces: dict[int, tuple[list[Tensor], list[Tensor]]] = {}

    @classmethod
    def of(cls, net: Any, iterator: Any) -> "DensePath | None":
        """Return the path for a Trainer about to run a training epoch, or None."""
        module, criterion = net.module_, net.criterion_
        if net.precision is not None or net.compile:
            return None
        if len(net._modules) != 1 or len(net._criteria) != 1:
            return None
        loss, layers = _loss_of(criterion), layers_of(module)
        if loss is None or layers is None or layers[-1].activation is not IDENTITY:
            return None
        if not _plain_targets(iterator, loss, layers[-1].linear.out_features):
            return None
        if "forward" in vars(criterion) or any(m._compiled_call_impl for m in (module, *module, criterion)):
            return None
        return cls(layers, loss, module, criterion)

    def belongs_to(self, net: Any) -> bool:
        """Whether the net still has the module that the path was made of, as it was."""
        return (
            net.module_ is self.module
            and net.criterion_ is self.criterion
            and tuple(self.module._modules.values()) == self.parts
            and list(map(len, self.instances)) == self.n_names
        )

    def _space(self, n: int, like: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return memory for the hidden layers and their gradients of a batch of n rows.

        Memory freshly got from the system costs more to touch than the arithmetic done in it.
        Nothing in it outlives the step.
        """
        space = self.spaces.get(n)
        if space is None or (space[0] and space[0][0].dtype is not like.dtype):
            if len(self.spaces) > 4:
                self.spaces.clear()
            widths = [linear.out_features for linear in self.linears[:-1]]
            space = self.spaces[n] = (
                [like.new_empty(n, width) for width in widths],
                [like.new_empty(n, width) for width in widths],
            )
        return space

    def _parameters(self, dtype: torch.dtype, replace: bool) -> list[Any] | None:
        """Return weights and biases as they are now, or None if one of them is special."""
        params = []
        for linear in self.linears:
            own = linear._parameters
            W, b = own["weight"], own["bias"]
            if (
                W is None
                or not usual(W, dtype, replace)
                or not (b is None or usual(b, dtype, replace))
            ):
                return None
            params.append((W, b))
        # Tied since the form was read: a parameter that serves twice has two gradients to add up.
        given = [p for pair in params for p in pair if p is not None]
        return params if len(set(map(id, given))) == len(given) else None

    def step(
        self, X: Any, y: Any, w: Tensor | None, replace: bool = False
    ) -> dict[str, Tensor] | None:
        """Set the gradients of a batch; return loss and output, or None if this is not for it.

        Parameters
        ----------
        X, y, w : tensors
            The batch.
        replace : bool
            Whether gradients that are there may be overwritten; otherwise the general way must
            add to them.
        """
        if any(self.hooks) or not (isinstance(X, Tensor) and isinstance(y, Tensor)):
            return None
        if X.ndim != 2 or X.device.type != "cpu" or X.requires_grad:
            return None
        params = self._parameters(X.dtype, replace)
        if params is None:
            return None
        if w is not None:
            w = w.to(X.dtype)
        if y.dtype is not X.dtype and y.is_floating_point():
            y = y.to(X.dtype)
        with without_grad():
            return self._step(params, X, y, w)

    def _step(
        self, params: list[Any], X: Tensor, y: Tensor, w: Tensor | None
    ) -> dict[str, Tensor] | None:
        hidden, gradients = self._space(len(X), X)
        h, inputs, saved = X, [X], []
        for (W, b), phi, z in zip(params, self.activations, hidden, strict=False):
            if b is None:
                torch.mm(h, W.t(), out=z)
            else:
                torch.addmm(b, h, W.t(), out=z)
            if phi.forward is not None:
                phi.forward(z)
            h = z if phi.apart is None else phi.apart(z)
            saved.append(z)
            inputs.append(h)

        W, b = params[-1]
        transposed = self.loss is cross_entropy
        if transposed:
            z = W.mm(h.t()) if b is None else torch.addmm(b.unsqueeze(1), W, h.t())
        else:
            z = nn.functional.linear(h, W, b)
        result = self.loss(z, y, w)
        if result is None:
            return None
        loss, g = result
        y_pred = z.t() if transposed else z
        gT = g if transposed else g.t()
        for level in range(len(params) - 1, -1, -1):
            W, b = params[level]
            W.grad = gT.mm(inputs[level])
            if b is not None:
                b.grad = gT.sum(1)
            if level:
                g = torch.mm(gT.t(), W, out=gradients[level - 1])
                backward = self.activations[level - 1].backward
                if backward is not None:
                    backward(g, saved[level - 1])
                gT = g.t()
        return {"loss": loss, "y_pred": y_pred}


def usual(p: Tensor, dtype: torch.dtype, replace: bool) -> bool:
    """Whether the gradient of a parameter is to be computed and nothing else is asked for."""
    return (
        type(p) is nn.Parameter
        and p.requires_grad
        and p.dtype is dtype
        and p.is_contiguous()
        and not p._backward_hooks
        and not p._post_accumulate_grad_hooks
        and (replace or p.grad is None)
    )


def _plain_targets(iterator: Any, loss: Any, n_outputs: int) -> bool:
    """Whether class labels lie in range: cross entropy ignores -100, and errs beyond the range."""
    columns = getattr(iterator, "y_columns", None)
    if columns is None or len(columns) != 1:
        return False
    y = columns[0]
    if loss is not cross_entropy or not isinstance(y, Tensor) or y.is_floating_point():
        return True
    return y.dtype is torch.int64 and int(y.min()) >= 0 and int(y.max()) < n_outputs
