"""What makes class logits of a last state."""

from typing import Any

import torch
from torch import Tensor, nn

from zoo.engines.diffusion import schedules as diffusion


class Head(nn.Module):
    r"""Class logits of states :math:`z \sim \mathcal N(s\,u_y, v I)`.

    Parameters
    ----------
    kind : {"linear", "radial", "nearest"}
        A linear layer; the distances of a learned mixture of embeddings to the embeddings; or Bayes'
        rule with nothing to learn, which is the nearest embedding.
    W : tensor of shape (k, d)
        Label embeddings at the start.
    signal, variance : float
        s and v.
    seen : pair of float or None
        s and v of what a linear layer will see; it starts at Bayes' rule for them, the end of a slow
        descent. None is s and v.
    """

    def __init__(
        self,
        kind: str,
        W: Tensor,
        signal: float,
        variance: float,
        seen: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.kind, self.signal, self.variance = kind, signal, variance
        if kind == "nearest":
            return
        k, d = W.shape
        s, v = seen or (signal, variance)
        self.layer = nn.Linear(d, k)
        with torch.no_grad():
            self.layer.weight.copy_(s * W / v)
            self.layer.bias.copy_(-0.5 * s * s * W.square().sum(1) / v)

    def forward(self, z: Tensor, W: Tensor) -> Any:
        """Return logits (..., k) of states (..., d) under the embeddings as they are now."""
        if self.kind == "nearest":
            return diffusion.gaussian_logits(z, W, self.signal, self.variance)
        logits = self.layer(z)
        if self.kind == "linear":
            return logits
        mixed = torch.softmax(logits, -1) @ W
        return diffusion.gaussian_logits(self.signal * mixed, W, self.signal, self.variance)
