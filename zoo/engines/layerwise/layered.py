"""Perceptrons that learn without back-propagation through layers, as torch modules.

Each fills in its gradients by its own rule (``learn``); none builds a graph over two layers.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.engines.modules import blocks


class Layered(blocks.Stochastic):
    """Hidden layers on standardised rows.

    Parameters
    ----------
    sizes : list of int
        Columns of x, then units of the hidden layers.
    n_classes : int
        Number of classes.
    mean, scale : lists
        Location and scale of x.
    """

    def __init__(self, sizes: list[int], n_classes: int, mean: Any, scale: Any) -> None:
        super().__init__()
        self.k, self.sizes = n_classes, sizes
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))
        self.hidden = nn.ModuleList(
            nn.Linear(n_in, n_out) for n_in, n_out in pairwise(sizes)
        )

    def standardised(self, x: Tensor) -> Tensor:
        """Return rows centred and scaled."""
        return ((x - self.mean) / self.scale).flatten(1)

    def clip(self, largest: float) -> None:
        """Clip every layer's gradient by its own norm."""
        for module in self.modules():
            own = [p for p in module.parameters(recurse=False) if p.grad is not None]
            if own:
                nn.utils.clip_grad_norm_(own, largest)

    def logits(self, x: Tensor) -> Tensor:
        """Return one score a class for rows as they were given."""
        raise NotImplementedError

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return scores, or with y each row's cross entropy, which validation watches."""
        scores = self.logits(x)
        return scores if y is None else F.cross_entropy(scores, y, reduction="none")


class Feedback(Layered):
    r"""Errors travel back through fixed random matrices.

    Plain: :math:`\delta_l = (B_l \delta_{l+1}) \odot h_l'`; direct:
    :math:`\delta_l = (B_l \delta_{out}) \odot h_l'`.
    """

    def __init__(self, feedback: str, **shared: Any) -> None:
        super().__init__(**shared)
        self.direct = feedback == "direct"
        self.out = nn.Linear(self.sizes[-1], self.k)
        above = [*self.sizes[2:], self.k]
        for l, n in enumerate(self.sizes[1:]):
            n_from = self.k if self.direct else above[l]
            B = torch.empty(n_from, n).uniform_(-1, 1) / n_from**0.5
            self.register_buffer(f"B{l}", B)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits."""
        h = self.standardised(x)
        for layer in self.hidden:
            h = torch.tanh(layer(h))
        scores: Tensor = self.out(h)
        return scores

    def learn(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Fill in the gradients and return the loss; w sums to one."""
        with torch.no_grad():
            h = [self.standardised(x)]
            for layer in self.hidden:
                h.append(torch.tanh(layer(h[-1])))
            scores = self.out(h[-1])
            loss = (w * F.cross_entropy(scores, y, reduction="none")).sum()
            top = w[:, None] * (scores.softmax(1) - F.one_hot(y, self.k))
            _set_gradient(self.out, top, h[-1])
            delta = top
            for l in range(len(self.hidden) - 1, -1, -1):
                delta = ((top if self.direct else delta) @ getattr(self, f"B{l}")) * (
                    1 - h[l + 1] ** 2
                )
                _set_gradient(self.hidden[l], delta, h[l])
        return loss


def _set_gradient(layer: Any, delta: Tensor, h: Tensor) -> None:
    # Autocast may have computed them in less precision than the weights have.
    layer.weight.grad = (delta.t() @ h).to(layer.weight.dtype)
    layer.bias.grad = delta.sum(0).to(layer.bias.dtype)


class LocalLosses(Layered):
    """Every hidden layer has a classifier of its own; nothing flows below it."""

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        self.readouts = nn.ModuleList(nn.Linear(n, self.k) for n in self.sizes[1:])

    def all_logits(self, x: Tensor) -> list[Tensor]:
        """Return the logits of every layer's classifier, each layer in a graph of its own."""
        h, scores = self.standardised(x), []
        for layer, readout in zip(self.hidden, self.readouts, strict=True):
            h = F.relu(layer(h.detach()))
            scores.append(readout(h))
        return scores

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of the last classifier."""
        return self.all_logits(x)[-1]

    def learn(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Fill in the gradients and return the loss of the last classifier; w sums to one."""
        losses = [
            (w * F.cross_entropy(s, y, reduction="none")).sum() for s in self.all_logits(x)
        ]
        torch.stack(losses).sum().backward()
        return losses[-1]


class ForwardForward(Layered):
    r"""Layers tell rows with their right label from rows with a wrong one by their goodness.

    Goodness is the mean square of a layer; the loss of a layer is
    :math:`\log(1 + e^{\theta - g^+}) + \log(1 + e^{g^- - \theta})`.
    """

    def __init__(self, threshold: float, sizes: list[int], n_classes: int, **shared: Any) -> None:
        super().__init__([sizes[0] + n_classes, *sizes[1:]], n_classes, **shared)
        self.threshold = threshold

    def labelled(self, x: Tensor, y: Tensor) -> Tensor:
        """Return standardised rows beside their label, which is as long as a row is wide."""
        code = F.one_hot(y, self.k).to(x.dtype) * x.shape[1] ** 0.5
        return torch.cat([x, code], 1)

    def goodness(self, h: Tensor) -> list[Tensor]:
        """Return the goodness of every layer, each layer in a graph of its own."""
        found = []
        for layer in self.hidden:
            # Only the direction is passed on, or the next layer could read the goodness off.
            h = h.detach()
            h = h * torch.rsqrt(h.square().mean(1, keepdim=True) + 1e-8)
            h = F.relu(layer(h))
            found.append(h.square().mean(1))
        return found

    def logits(self, x: Tensor) -> Tensor:
        """Return the goodness of every label, summed over all layers but the first of several."""
        x = self.standardised(x)
        n = len(x)
        scores = []
        for label in range(self.k):
            g = self.goodness(self.labelled(x, torch.full((n,), label, device=x.device)))
            scores.append(torch.stack(g[1:] or g).sum(0))
        return torch.stack(scores, 1)

    def learn(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Fill in the gradients of a batch with right and with drawn wrong labels."""
        x = self.standardised(x)
        u = torch.empty(len(y), device=y.device).uniform_(generator=self.bound_generator())
        wrong = (y + 1 + (u * (self.k - 1)).long().clamp(max=self.k - 2)) % self.k
        good, bad = self.goodness(self.labelled(x, y)), self.goodness(self.labelled(x, wrong))
        total = torch.zeros((), dtype=w.dtype, device=w.device)
        for g, b in zip(good, bad, strict=True):
            total = total + (w * (F.softplus(self.threshold - g) + F.softplus(b - self.threshold))).sum()
        total.backward()
        return total.detach()


class TargetPropagation(Layered):
    r"""Targets travel down through learned inverses :math:`g_l`, corrected by their error.

    :math:`\hat h_{l-1} = h_{l-1} - g_l(h_l) + g_l(\hat h_l)`; each layer then moves towards its target,
    and each inverse learns to undo its layer near the data.
    """

    def __init__(self, target_step: float, noise: float, **shared: Any) -> None:
        super().__init__(**shared)
        self.target_step, self.noise = target_step, noise
        self.out = nn.Linear(self.sizes[-1], self.k)
        self.inverses = nn.ModuleList(
            nn.Linear(n_out, n_in) for n_in, n_out in pairwise(self.sizes[1:])
        )

    def states(self, x: Tensor) -> list[Tensor]:
        """Return the standardised rows and the output of every hidden layer."""
        h = [self.standardised(x)]
        for layer in self.hidden:
            h.append(torch.tanh(layer(h[-1])))
        return h

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits."""
        scores: Tensor = self.out(self.states(x)[-1])
        return scores

    def targets(self, h: list[Tensor], y: Tensor) -> list[Tensor]:
        """Return the targets of the hidden layers, first to last."""
        # The one derivative of the last layer with respect to its input, in closed form.
        top = h[-1] - self.target_step * (
            self.out(h[-1]).softmax(1) - F.one_hot(y, self.k)
        ) @ self.out.weight
        targets = [top]
        for l in range(len(self.hidden) - 1, 0, -1):
            g = self.inverses[l - 1]
            targets.append(h[l] - torch.tanh(g(h[l + 1])) + torch.tanh(g(targets[-1])))
        return targets[::-1]

    def learn(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Fill in the gradients of layers and inverses, each from its own inputs alone."""
        with torch.no_grad():
            h = self.states(x)
            targets = self.targets(h, y)
        loss = (w * F.cross_entropy(self.out(h[-1]), y, reduction="none")).sum()
        total = loss
        for l, (layer, target) in enumerate(zip(self.hidden, targets, strict=True)):
            error = (torch.tanh(layer(h[l])) - target).square().sum(1)
            total = total + (w * error).sum()
        for l, g in enumerate(self.inverses, 1):
            near = h[l] + self.noise * self.normal_like(h[l])
            with torch.no_grad():
                above = torch.tanh(self.hidden[l](near))
            total = total + (w * (torch.tanh(g(above)) - near).square().sum(1)).sum()
        total.backward()
        return loss.detach()
