r"""Forward and backward pass of dense networks written by hand.

For a small network automatic differentiation costs more than the arithmetic: it builds a graph of
thirty nodes to multiply six matrices. A ``Sequential`` of linear layers and activations under cross
entropy, squared error or binary cross entropy needs no graph:

.. math::
    Z_l = H_{l-1} W_l^\top + b_l,\quad H_l = \phi(Z_l),\qquad
    G_l = (G_{l+1} W_{l+1}) \odot \phi'(Z_l),\quad
    \nabla W_l = G_l^\top H_{l-1},\quad \nabla b_l = 1^\top G_l .

The kernels are those that autograd would call, in its order. ``DensePath.of`` says whether a network
is of this form and nothing about it asks for the general way: a hook, an overridden method, a
frozen parameter, a parametrisation, another device.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

aten = torch.ops.aten

_Derivative = Callable[[Tensor, Tensor, Tensor], Tensor]


def _identity(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
    return g


def _relu(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
    return aten.threshold_backward.default(g, h, 0)


def _tanh(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
    return aten.tanh_backward.default(g, h)


def _logistic(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
    return aten.sigmoid_backward.default(g, h)


def _silu(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
    return aten.silu_backward.default(g, z)


def _gelu(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
    return aten.gelu_backward.default(g, z)


#: activation -> (function of z, gradient with respect to z from that of h, z and h)
_ACTIVATIONS: dict[type[nn.Module], tuple[Callable[[Tensor], Tensor], _Derivative]] = {
    nn.Identity: (lambda z: z, _identity),
    nn.ReLU: (torch.relu, _relu),
    nn.Tanh: (torch.tanh, _tanh),
    nn.Sigmoid: (torch.sigmoid, _logistic),
    nn.SiLU: (nn.functional.silu, _silu),
    nn.GELU: (nn.functional.gelu, _gelu),
}

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)
_GLOBAL_HOOKS = (
    torch_module._global_forward_hooks,
    torch_module._global_forward_pre_hooks,
    torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)


def cross_entropy(z: Tensor, y: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor] | None:
    r"""Loss :math:`-\log p_y` of softmax outputs, and its gradient :math:`p - 1_y`."""
    if z.ndim != 2:
        return None
    n = len(z)
    log_p = torch.log_softmax(z, 1)
    if y.dtype is torch.int64 and y.ndim == 1:
        g = log_p.exp()
        if w is None:
            loss = nn.functional.nll_loss(log_p, y)
            share: Any = 1.0 / n
        else:
            loss = (w * nn.functional.nll_loss(log_p, y, reduction="none")).sum() / w.sum()
            share = (w / w.sum())[:, None]
        g.scatter_add_(1, y[:, None], _minus_one(g, n))
        return loss, g.mul_(share)
    if y.dtype is z.dtype and y.shape == z.shape:
        rows = -(y * log_p).sum(1)
        g = log_p.exp().mul_(y.sum(1, keepdim=True)).sub_(y)
        if w is None:
            return rows.mean(), g.div_(n)
        share = w / w.sum()
        return (share * rows).sum(), g.mul_(share[:, None])
    return None


def _minus_one(like: Tensor, n: int) -> Tensor:
    return torch.full((1, 1), -1.0, dtype=like.dtype).expand(n, 1)


def squared_error(z: Tensor, y: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor] | None:
    r"""Loss :math:`(z - y)^2`, mean over outputs, and its gradient :math:`2 (z - y)`."""
    if y.dtype is not z.dtype or y.shape != z.shape:
        return None
    r = z - y
    if w is None:
        return r.square().mean(), r.mul_(2.0 / r.numel())
    rows = r.square() if r.ndim == 1 else r.square().flatten(1).mean(1)
    share = w / w.sum()
    loss = (share * rows).sum()
    columns = share.view(-1, *[1] * (r.ndim - 1))
    return loss, r.mul_(columns * (2.0 * len(r) / r.numel()))


def binary_cross_entropy(z: Tensor, y: Tensor, w: Tensor | None) -> tuple[Tensor, Tensor] | None:
    r"""Loss of logits against y in [0, 1], mean over outputs, and its gradient."""
    if y.dtype is not z.dtype or y.shape != z.shape:
        return None
    g = torch.sigmoid(z).sub_(y)
    if w is None:
        return nn.functional.binary_cross_entropy_with_logits(z, y), g.div_(g.numel())
    rows = nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
    rows = rows if rows.ndim == 1 else rows.flatten(1).mean(1)
    share = w / w.sum()
    columns = share.view(-1, *[1] * (g.ndim - 1))
    return (share * rows).sum(), g.mul_(columns * (len(g) / g.numel()))


def _loss_of(criterion: Any) -> Any:
    """Return the hand-written loss that equals a criterion, or None."""
    kind = type(criterion)
    if kind not in (nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss):
        return None
    if criterion.reduction not in ("none", "mean"):
        return None
    if kind is nn.CrossEntropyLoss:
        plain = criterion.weight is None and criterion.label_smoothing == 0
        return cross_entropy if plain else None
    if kind is nn.MSELoss:
        return squared_error
    return (
        binary_cross_entropy if criterion.weight is None and criterion.pos_weight is None else None
    )


class DensePath:
    """One network in hand-written form, valid for one epoch.

    Parameters
    ----------
    layers : list of (nn.Linear, activation function, its derivative)
        The network; the last activation is usually the identity.
    loss : function
        ``(z, y, w) -> (loss, gradient)``, or None where it does not apply.
    hooks : list of dict
        Where hooks would be registered; looked at before every batch.
    """

    def __init__(self, layers: list[Any], loss: Any, hooks: list[Any]) -> None:
        self.layers = layers
        self.loss = loss
        self.hooks = hooks

    @classmethod
    def of(cls, net: Any, iterator: Any) -> "DensePath | None":
        """Return the path for a Trainer about to run a training epoch, or None."""
        module, criterion = net.module_, net.criterion_
        if type(module) is not nn.Sequential or net.precision is not None or net.compile:
            return None
        if len(net._modules) != 1 or len(net._criteria) != 1:
            return None
        loss = _loss_of(criterion)
        if loss is None:
            return None
        layers: list[Any] = []
        parts = list(module)
        for position, part in enumerate(parts):
            if type(part) is nn.Linear:
                layers.append([part, *_ACTIVATIONS[nn.Identity]])
            elif type(part) in _ACTIVATIONS and layers:
                if type(part) is nn.GELU and part.approximate != "none":
                    return None
                if type(parts[position - 1]) is not nn.Linear:
                    return None
                layers[-1][1:] = _ACTIVATIONS[type(part)]
            else:
                return None
        if not layers or not _plain_targets(iterator, loss, layers[-1][0].out_features):
            return None
        hooks = [getattr(m, name) for m in (module, *parts, criterion) for name in _HOOKS]
        return cls(layers, loss, [*hooks, *_GLOBAL_HOOKS])

    def step(self, X: Any, y: Any, w: Tensor | None) -> dict[str, Tensor] | None:
        """Set the gradients of a batch; return loss and output, or None if this is not for it."""
        if any(self.hooks) or not isinstance(X, Tensor) or not isinstance(y, Tensor):
            return None
        if X.ndim != 2 or X.device.type != "cpu":
            return None
        params = []
        for linear, _, _ in self.layers:
            own = linear._parameters
            W, b = own.get("weight"), own.get("bias")
            for p in (W, b):
                if p is not None and (
                    not p.requires_grad
                    or p.dtype is not X.dtype
                    or p._backward_hooks
                    or getattr(p, "_post_accumulate_grad_hooks", None)
                    or p.grad is not None
                ):
                    return None
            if W is None:
                return None
            params.append((W, b))
        with torch.no_grad():
            if w is not None:
                w = w.to(X.dtype)
            if y.is_floating_point() and y.dtype is not X.dtype:
                y = y.to(X.dtype)
            inputs, outputs, h = [], [], X
            for (W, b), (_, phi, _) in zip(params, self.layers, strict=True):
                inputs.append(h)
                z = nn.functional.linear(h, W, b)
                h = phi(z)
                outputs.append((z, h))
            result = self.loss(h, y, w)
            if result is None:
                return None
            loss, g = result
            for level in range(len(params) - 1, -1, -1):
                W, b = params[level]
                z, h_level = outputs[level]
                g = self.layers[level][2](g, z, h_level)
                W.grad = g.t().mm(inputs[level])
                if b is not None:
                    b.grad = g.sum(0)
                if level:
                    g = g.mm(W)
        return {"loss": loss, "y_pred": h}


def _plain_targets(iterator: Any, loss: Any, n_outputs: int) -> bool:
    """Whether class labels lie in range: cross entropy ignores -100, and errs beyond the range."""
    columns = getattr(iterator, "y_columns", None)
    if columns is None or len(columns) != 1:
        return False
    y = columns[0]
    if loss is not cross_entropy or not isinstance(y, Tensor) or y.is_floating_point():
        return True
    return y.dtype is torch.int64 and int(y.min()) >= 0 and int(y.max()) < n_outputs
