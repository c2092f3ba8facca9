"""The causal transformer as a torch module, its loss, and the crop that makes training windows."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.engines.language.tokens import END
from zoo.engines.modules.attention import NORMS, KeyValueCache, Rotary, TransformerBlock
from zoo.engines.modules.blocks import Dropout, PositionalEncoding


class Decoder(nn.Module):
    """Tokens (rows, time) to logits of the next token (rows, time, n_tokens).

    An end token within a row begins a new document: what follows does not see what was before, and
    its positions count from there. Padding by end tokens on the right changes nothing.
    """

    def __init__(
        self,
        n_tokens: int,
        block_size: int,
        n_layers: int,
        n_heads: int,
        width: int,
        norm: str,
        positions: str,
        activation: str,
        dropout: float,
        tie_weights: bool,
        n_experts: int,
        top_k: int,
    ) -> None:
        super().__init__()
        self.block_size, self.n_heads = block_size, n_heads
        self.embed = nn.Embedding(n_tokens, width)
        self.place: nn.Embedding | None = None
        self.rotary: Rotary | None = None
        if positions == "learned":
            self.place = nn.Embedding(block_size, width)
        elif positions == "rotary":
            self.rotary = Rotary(width // n_heads, block_size)
        else:
            code: Any = PositionalEncoding(width, block_size)
            self.register_buffer("code", code.table, persistent=False)
        self.drop = Dropout(dropout)
        self.blocks: Any = nn.ModuleList(
            TransformerBlock(
                width,
                n_heads,
                4 * width,
                act=activation,
                norm=norm,
                dropout=dropout,
                n_experts=n_experts,
                top_k=top_k,
            )
            for _ in range(n_layers)
        )
        self.norm = NORMS[norm](width)
        self.head = nn.Linear(width, n_tokens, bias=False)
        self._initialize(n_layers)
        if tie_weights:
            self.head.weight = self.embed.weight

    def _initialize(self, n_layers: int) -> None:
        """Draw normal weights; what adds to the stream is smaller, so that its variance stays."""
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                adds = name.endswith(("attention.out.weight", ".2.weight"))
                nn.init.normal_(weight, std=0.02 / (math.sqrt(2 * n_layers) if adds else 1))

    def forward(self, x: Tensor) -> Any:
        """Return logits; while training a mixture, also its balance loss."""
        balance: list[Tensor] | None = [] if self.training and self.blocks[0].mixed else None
        logits = self.head(self.states(x, balance=balance))
        return logits if balance is None else (logits, torch.stack(balance).mean())

    def states(
        self,
        x: Tensor,
        cache: KeyValueCache | None = None,
        balance: list[Tensor] | None = None,
    ) -> Tensor:
        """Return the stream behind the last block, normalised, (rows, time, width)."""
        position, mask = self._positions(x, cache)
        h = self.embed(x)
        if self.place is not None:
            h = h + self.place(position)
        elif self.rotary is None:
            h = h + self.code[position]  # type: ignore[index]
        turn = None if self.rotary is None else self.rotary(position)
        h = self.drop(h)
        for layer, block in enumerate(self.blocks):
            h = block(
                h, mask=mask, causal=mask is None, turn=turn, cache=cache, layer=layer,
                balance=balance,
            )  # fmt: skip
        normed: Tensor = self.norm(h)
        return normed

    def step(self, x: Tensor, cache: KeyValueCache) -> Tensor:
        """Return the logits after one more token of each row, (rows, n_tokens)."""
        h = self.embed(x)
        even = cache.even
        place: Any = cache.lengths - 1 if even is None else slice(even - 1, even)
        turn = None
        if self.place is not None:
            h = h + self.place.weight[place]
        elif self.rotary is None:
            h = h + self.code[place]  # type: ignore[index]
        else:
            turn = self.rotary(cache.lengths[:, None] - 1)
        for layer, block in enumerate(self.blocks):
            h = block.step(h, turn, cache, layer)
        logits: Tensor = self.head(self.norm(h))
        return logits

    def _positions(self, x: Tensor, cache: KeyValueCache | None) -> tuple[Tensor, Tensor | None]:
        """Return the place of each token in its document and, for several documents, the mask."""
        index = torch.arange(x.shape[1], device=x.device)
        begins = x == END
        if cache is not None:  # one document a row
            return index, None
        if not begins[:, 1:].any():
            return index, None
        document = begins.cumsum(1)
        position = index - torch.where(begins, index, 0).cummax(1).values
        same = document[:, None, :, None] == document[:, None, None, :]
        return position, same & (index[:, None] >= index)


class NextToken(nn.Module):
    """Mean surprise at the next token in nats, and ``balance`` times the balance loss."""

    def __init__(self, balance: float) -> None:
        super().__init__()
        self.balance = balance

    def forward(self, output: Any, y: Tensor) -> Tensor:
        """Return the loss of a batch."""
        logits, balance = output if isinstance(output, tuple) else (output, None)
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten().long())
        return loss if balance is None else loss + self.balance * balance


class Crop:
    """Cut a window of T inputs, and the tokens that follow them, out of each row of a batch.

    It begins anywhere in the middle part of the row; if a document shorter than a window is there,
    at that document's beginning.
    """

    def __init__(self, T: int) -> None:
        self.T = T

    def __call__(self, X: Tensor, y: Any, w: Any, generator: torch.Generator) -> Any:
        """Return inputs and targets, both (rows, T)."""
        T, width = self.T, X.shape[1]
        start = torch.randint(
            T, width - T, (len(X), 1), generator=generator, device=generator.device
        ).to(X.device)
        index = torch.arange(width, device=X.device)
        end = X == END
        if end.any():
            before = torch.where(end & (index <= start), index, -1).amax(1, keepdim=True)
            after = torch.where(end & (index > start), index, 2 * width).amin(1, keepdim=True)
            start = torch.where((before >= 0) & (after - before <= T), before, start)
        window = X.gather(1, start + index[: T + 1])
        return window[:, :-1].long(), window[:, 1:], w
