r"""Attention, and the blocks that transformers are made of, for text and for series alike.

Shapes are (rows, time, width); heads are (rows, heads, time, head width). Where keys lie after the
query, or in another document, ``causal`` and ``mask`` take them away; a key-value cache holds what
earlier tokens left behind.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.engines.modules.blocks import Dropout, RMSNorm, activation

__all__ = [
    "NORMS",
    "Attention",
    "FeedForward",
    "KeyValueCache",
    "MixtureOfExperts",
    "Rotary",
    "TransformerBlock",
    "balance_loss",
    "rotate",
]

#: name -> module class of a normalisation of the last dimension, without bias
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "rms": RMSNorm,
    "layer": lambda width: nn.LayerNorm(width, bias=False),
}


class KeyValueCache:
    """Keys and values of the tokens seen so far, in every layer; rows may differ in length.

    Parameters
    ----------
    n_layers, rows, n_heads, length, head_width : int
        Sizes; ``length`` tokens fit.
    like : Tensor
        Gives dtype and device.
    """

    def __init__(
        self, n_layers: int, rows: int, n_heads: int, length: int, head_width: int, like: Tensor
    ) -> None:
        # Keys and values side by side, so that a token is written at once.
        shape = (rows, 2, n_heads, length, head_width)
        self.pairs = [like.new_zeros(shape) for _ in range(n_layers)]
        self.begin(torch.zeros(rows, dtype=torch.int64, device=like.device))

    def begin(self, lengths: Tensor) -> None:
        """Say how many tokens of each row the coming call holds, the first ones of the cache."""
        self.lengths = lengths
        low, high = int(lengths.min()), int(lengths.max())
        # The length of all rows, where they have the same one: then no mask is needed.
        self.even = high if low == high else None

    def advance(self) -> None:
        """Make room for one more token in every row."""
        self.lengths = self.lengths + 1
        self.even = None if self.even is None else self.even + 1

    def extend(self, layer: int, kv: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Write keys and values (rows, 2, heads, time, head width); return what a row looks at.

        Returns
        -------
        k, v : tensors of shape (rows, heads, time so far, head width)
            Old and new ones.
        seen : bool Tensor or None
            Mask, where the rows differ in length.
        """
        pairs, n = self.pairs[layer], self.even
        if kv.shape[3] > 1:  # the first tokens of every row; what pads the shorter ones is
            pairs[:, :, :, : kv.shape[3]] = kv  # overwritten before it is seen
            return kv[:, 0], kv[:, 1], None
        if n is not None:
            pairs[:, :, :, n - 1 : n] = kv
            return pairs[:, 0, :, :n], pairs[:, 1, :, :n], None
        row = torch.arange(len(kv), device=kv.device)
        pairs[row, :, :, self.lengths - 1] = kv[:, :, :, 0]
        n = int(self.lengths.max())
        seen = torch.arange(n, device=kv.device) < self.lengths[:, None]
        return pairs[:, 0, :, :n], pairs[:, 1, :, :n], seen[:, None, None, :]

    def replace(self, rows: Tensor, other: "KeyValueCache") -> None:
        """Take over another cache's rows as the given rows of this one."""
        for mine, theirs in zip(self.pairs, other.pairs, strict=True):
            mine[rows] = theirs
        lengths = self.lengths.clone()
        lengths[rows] = other.lengths
        self.begin(lengths)

    def keep(self, rows: Tensor) -> None:
        """Forget the other rows."""
        self.pairs = [pairs[rows] for pairs in self.pairs]
        self.begin(self.lengths[rows])


class Rotary(nn.Module):
    r"""Rotary positions: turn the pair of columns (2i, 2i+1) at position t by t 10000^(-2i/d).

    .. math::
        \langle R_s q, R_t k \rangle = \langle q, R_{t - s} k \rangle

    so that attention sees the distance of two tokens, and not where they are.

    Parameters
    ----------
    width : int
        d, even: the width of a head.
    length : int
        Longest position.

    References
    ----------
    Su et al.: RoFormer. Neurocomputing 568, 2024.
    """

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(
                f"Rotary got width={width}; it turns pairs of columns: give an even one."
            )
        i = torch.arange(0, width, 2, dtype=torch.float64)
        angle = torch.arange(length, dtype=torch.float64)[:, None] * torch.exp(
            -math.log(1e4) * i / width
        )
        dtype = torch.get_default_dtype()
        self.register_buffer("cos", angle.cos().to(dtype), persistent=False)
        self.register_buffer("sin", angle.sin().to(dtype), persistent=False)

    def forward(self, position: Tensor) -> Tensor:
        """Return cos + i sin for `rotate` at positions (time,) or (rows, time)."""
        turn = torch.complex(self.cos[position], self.sin[position])  # type: ignore[index]
        return turn if position.ndim == 1 else turn[:, None]


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Turn queries or keys (rows, heads, time, head width): pairs of columns as complex numbers."""
    real = x if x.dtype in (torch.float32, torch.float64) else x.float()
    pairs = torch.view_as_complex(real.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


class Attention(nn.Module):
    r"""Multi-head attention.

    .. math::
        \mathrm{head}_h = \mathrm{softmax}\Bigl(\frac{Q_h K_h^\top}{\sqrt{d_h}}\Bigr) V_h, \qquad
        y = W_o\,[\mathrm{head}_1; \dots; \mathrm{head}_H]

    Parameters
    ----------
    width, n_heads : int
        Width of the stream, and number of heads, which share it.
    dropout : float
        Chance that a weight of attention is silenced while training.
    bias : bool
        Whether the linear maps have one.
    """

    def __init__(
        self, width: int, n_heads: int, *, dropout: float = 0.0, bias: bool = False
    ) -> None:
        super().__init__()
        if width % n_heads:
            raise ValueError(
                f"width={width} does not divide into n_heads={n_heads} heads; give a multiple."
            )
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.drop = Dropout(dropout)

    def _project(self, x: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries of x, keys and values of x or of another sequence, by heads."""
        if memory is None:
            q, k, v = self.qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
            return q, k, v
        d = x.shape[-1]
        W, b = self.qkv.weight, self.qkv.bias
        q = F.linear(x, W[:d], None if b is None else b[:d])
        kv = F.linear(memory, W[d:], None if b is None else b[d:])
        k, v = kv.unflatten(-1, (2, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        return q.unflatten(-1, (self.n_heads, -1)).transpose(1, 2), k, v

    def forward(
        self,
        x: Tensor,
        *,
        memory: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
        turn: Tensor | None = None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
    ) -> Tensor:
        """Look up.

        Parameters
        ----------
        x : Tensor of shape (rows, time, width)
            What asks.
        memory : Tensor of shape (rows, other time, width), optional
            What is asked; None is x itself.
        mask : bool Tensor that broadcasts to (rows, heads, time, other time), optional
            True where a query may look.
        causal : bool
            A query looks at keys up to its own place; ``mask`` must then be None.
        turn : complex Tensor, optional
            Rotary positions of the tokens of x, from `Rotary`.
        cache : KeyValueCache, optional
            Where earlier keys and values of this ``layer`` are, and the new ones go.
        """
        q, k, v = self._project(x, memory)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        if cache is not None:
            k, v, seen = cache.extend(layer, torch.stack([k, v], 1))
            mask = seen if mask is None else mask
            causal = causal and q.shape[2] > 1
        if self.training and self.drop.p > 0:
            y = self.drop(attention_weights(q, k, mask, causal)) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        output: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return output

    def step(self, x: Tensor, turn: Tensor | None, cache: KeyValueCache, layer: int) -> Tensor:
        """Look up for one more token a row, (rows, width): `forward` in fewer calls.

        A token's arithmetic takes less time than calling modules: their ``forward`` is called, and
        hooks are not.
        """
        qkv = self.qkv.forward(x).view(x.shape[0], 3, self.n_heads, 1, -1)
        if turn is not None:
            qkv = torch.cat([rotate(qkv[:, :2], turn.unsqueeze(-3)), qkv[:, 2:]], 1)
        k, v, seen = cache.extend(layer, qkv[:, 1:])
        y = F.scaled_dot_product_attention(qkv[:, 0], k, v, attn_mask=seen)
        return self.out.forward(y.view(x.shape))

    def weights(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        turn: Tensor | None = None,
    ) -> Tensor:
        """Return how much each query takes from each key, (rows, heads, time, time)."""
        q, k, _ = self._project(x, None)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        return attention_weights(q, k, mask, causal)


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Return the softmax of the scaled products of queries and keys."""
    score = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if causal:
        mask = torch.ones(score.shape[-2:], dtype=torch.bool, device=q.device).tril()
    if mask is not None:
        score = score.masked_fill(~mask, float("-inf"))
    return score.softmax(-1)


class FeedForward(nn.Sequential):
    """Two linear maps with an activation between them: what a block knows by heart."""

    def __init__(self, width: int, hidden: int, act: str, bias: bool = False) -> None:
        super().__init__(
            nn.Linear(width, hidden, bias=bias),
            activation(act),
            nn.Linear(hidden, width, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three."""
        return self[2].forward(self[1].forward(self[0].forward(x)))


def balance_loss(probability: Tensor, choice: Tensor) -> Tensor:
    r"""Return :math:`E \sum_j f_j P_j`: 1 where the experts are used alike, E where one does all.

    Parameters
    ----------
    probability : Tensor of shape (tokens, E)
        The router's; :math:`P_j` is the mean of column j.
    choice : integer Tensor of shape (tokens, top_k)
        Experts chosen; :math:`f_j` is the share of expert j.

    References
    ----------
    Fedus, Zoph, Shazeer: Switch Transformers. JMLR 23, 2022, equation 4.
    """
    E = probability.shape[1]
    f = torch.bincount(choice.flatten(), minlength=E).to(probability.dtype) / choice.numel()
    return E * (f * probability.mean(0)).sum()


class MixtureOfExperts(nn.Module):
    r"""Feed-forward experts, of which a router picks the ``top_k`` for each token.

    .. math::
        p = \mathrm{softmax}(W_r h), \qquad
        y = \sum_{j \in \mathrm{top}_k(p)} g_j\,\mathrm{FFN}_j(h)

    with gates :math:`g_j = p_j / \sum_{i \in \mathrm{top}_k} p_i`, or :math:`g = p` where one
    expert is picked, so that the router learns there too. No token is ever dropped, so that a
    token's answer does not depend on the others in the batch.

    References
    ----------
    Shazeer et al.: Outrageously Large Neural Networks. ICLR 2017. Fedus et al.: Switch
    Transformers. JMLR 23, 2022.
    """

    def __init__(
        self, width: int, hidden: int, act: str, n_experts: int, top_k: int, bias: bool = False
    ) -> None:
        super().__init__()
        if not 1 <= top_k <= n_experts:
            raise ValueError(
                f"top_k={top_k} of n_experts={n_experts} experts cannot be picked; give 1 <= top_k "
                "<= n_experts."
            )
        self.top_k = top_k
        self.router = nn.Linear(width, n_experts, bias=False)
        self.experts = nn.ModuleList(
            FeedForward(width, hidden, act, bias=bias) for _ in range(n_experts)
        )

    def forward(self, x: Tensor, balance: list[Tensor] | None = None) -> Tensor:
        """Answer each token; append the balance loss to ``balance`` where one is given."""
        h = x.flatten(0, -2)
        p = self.router(h).float().softmax(-1)
        gate, choice = p.topk(self.top_k, dim=-1)
        if self.top_k > 1:
            gate = gate / gate.sum(-1, keepdim=True)
        if balance is not None:
            balance.append(balance_loss(p, choice))
        order = choice.flatten().argsort(stable=True)
        counts = torch.bincount(choice.flatten(), minlength=len(self.experts)).tolist()
        parts = h[order // self.top_k].split(counts)
        answers = [expert(part) for expert, part in zip(self.experts, parts, strict=True)]
        # Undo the sorting: place[order[i]] = i.
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        y = torch.cat(answers)[place].view(len(h), self.top_k, -1)
        return (gate.to(y.dtype).unsqueeze(-1) * y).sum(1).view_as(x)


class TransformerBlock(nn.Module):
    r"""Look up in the context, then in what was learned; both add to the stream.

    .. math::
        h' = h + \mathrm{Attention}(\mathrm{norm}(h)), \qquad
        h'' = h' + \mathrm{FFN}(\mathrm{norm}(h'))

    Parameters
    ----------
    width, n_heads, hidden : int
        Width of the stream, heads, units of the feed-forward part.
    act : str
        Activation, by its name in ``zoo.engines.modules.blocks``.
    norm : str
        A key of ``NORMS``.
    dropout : float
        Of attention weights and of both additions.
    n_experts, top_k : int
        More than one expert makes the feed-forward part a mixture.
    bias : bool
        Whether linear maps have one.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        hidden: int,
        *,
        act: str = "gelu",
        norm: str = "layer",
        dropout: float = 0.0,
        n_experts: int = 1,
        top_k: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = NORMS[norm](width), NORMS[norm](width)
        self.attention = Attention(width, n_heads, dropout=dropout, bias=bias)
        self.mixed = n_experts > 1
        self.feed_forward: nn.Module = (
            MixtureOfExperts(width, hidden, act, n_experts, top_k, bias=bias)
            if self.mixed
            else FeedForward(width, hidden, act, bias=bias)
        )
        self.drop = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        turn: Tensor | None = None,
        cache: KeyValueCache | None = None,
        layer: int = 0,
        balance: list[Tensor] | None = None,
    ) -> Tensor:
        """Pass the stream on; arguments as in `Attention` and `MixtureOfExperts`."""
        x = x + self.drop(
            self.attention(
                self.norm1(x), mask=mask, causal=causal, turn=turn, cache=cache, layer=layer
            )
        )
        h = self.norm2(x)
        return x + self.drop(self.feed_forward(h, balance) if self.mixed else self.feed_forward(h))

    def step(self, x: Tensor, turn: Tensor | None, cache: KeyValueCache, layer: int) -> Tensor:
        """Pass on one more token a row, (rows, width): what `forward` does when not training."""
        x = x + self.attention.step(self.norm1.forward(x), turn, cache, layer)
        return x + self.feed_forward.forward(self.norm2.forward(x))
