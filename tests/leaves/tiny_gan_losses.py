"""The losses of two players, in the order in which they learn."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from zoo.engines.modules.blocks import Stochastic


class Adversaries(Stochastic):
    """After each yield the part that was named has made its step."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code

    def forward(self, parts: Any, X: Tensor, y: Any, w: Any) -> Iterator[tuple[str, Tensor]]:
        """Give the loss of the critic, then that of the generator against the critic that has learned."""
        G, D = parts["generator"], parts["critic"]
        share = torch.full_like(X[:, :1], 1 / len(X)) if w is None else (w / w.sum()).to(X.dtype)[:, None]
        fake = G(self.normal_like(X.new_empty(len(X), self.code)))
        yield "critic", (share * (softplus(-D(X)) + softplus(D(fake.detach())))).sum()
        yield "generator", (share * softplus(-D(fake))).sum()
