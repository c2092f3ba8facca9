"""Writing with a decoder, token by token, and reading what was written."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.engines.language.decoder import Decoder
from zoo.engines.language.single import SingleRow, serves
from zoo.engines.language.tokens import END
from zoo.engines.language.windows import padded, window_start, windows_of_document
from zoo.engines.modules.attention import KeyValueCache

# Windows that are read together hold about this many numbers in the widest layer.
READ_ITEMS = 2**23


class Context:
    """What the decoder has in view for each of several texts that grow token by token."""

    def __init__(self, decoder: Decoder, texts: Sequence[np.ndarray], cached: bool) -> None:
        self.decoder, self.cached = decoder, cached
        self.texts = [list(map(int, text)) for text in texts]
        self.starts = np.array([window_start(len(t), decoder.block_size) for t in self.texts])
        self.device = decoder.head.weight.device
        self.cache: KeyValueCache | None = None
        self.single = self._single()

    def _single(self) -> SingleRow | None:
        one = self.cached and serves(self.decoder, len(self.texts))
        return SingleRow(self.decoder) if one else None

    def begin(self) -> Tensor:
        """Return the logits of the token after each text."""
        logits, self.cache = self._read(range(len(self.texts)))
        return logits

    def extend(self, tokens: Sequence[int]) -> Tensor:
        """Add a token to each text; return the logits of the next."""
        for text, token in zip(self.texts, tokens, strict=True):
            text.append(token)
        T = self.decoder.block_size
        starts = np.array([window_start(len(text), T) for text in self.texts])
        moved = np.flatnonzero(starts != self.starts)
        self.starts = starts
        if self.cache is None or len(moved) == len(starts):
            return self.begin()
        cache = self.cache
        if len(moved):
            # A full context moves on; these rows leave the cache's grid for the one step below.
            kept = cache.lengths.clone()
            kept[moved] = 0
            cache.begin(kept)
        cache.advance()
        if self.single is not None:
            return torch.from_numpy(self.single.step(tokens[0], cache))[None]
        logits = self.decoder.step(torch.tensor(tokens, device=self.device), cache)
        if len(moved):
            rows = torch.as_tensor(moved, device=self.device)
            fresh, other = self._read(moved.tolist())
            assert other is not None
            cache.replace(rows, other)
            logits[rows] = fresh
        return logits

    def keep(self, rows: np.ndarray) -> None:
        """Go on with some of the texts."""
        self.texts = [self.texts[i] for i in rows]
        self.starts = self.starts[rows]
        if self.cache is not None:
            self.cache.keep(torch.as_tensor(rows, device=self.device))
            self.single = self._single()

    def _read(self, rows: Sequence[int]) -> tuple[Tensor, KeyValueCache | None]:
        """Read windows from their start; return the logits behind them and a cache of them."""
        windows = [np.array(self.texts[i][self.starts[i] :]) for i in rows]
        x, lengths = (torch.from_numpy(part).to(self.device) for part in padded(windows))
        decoder, cache = self.decoder, None
        if self.cached:
            K = decoder.blocks[0].attention
            cache = KeyValueCache(
                len(decoder.blocks), len(x), K.n_heads, decoder.block_size,
                K.out.in_features // K.n_heads, decoder.head.weight,
            )  # fmt: skip
            cache.begin(lengths)
        h = decoder.states(x, cache)[torch.arange(len(x), device=self.device), lengths - 1]
        logits: Tensor = decoder.head(h)
        return logits, cache


def write(
    decoder: Decoder,
    prompts: Sequence[np.ndarray],
    n: int,
    uniform: Callable[[], np.ndarray],
    *,
    temperature: float,
    top_k: int | None,
    top_p: float,
    hidden: Sequence[int],
    cached: bool,
) -> list[list[int]]:
    """Return up to n new tokens after each prompt; a text ends before its end token.

    Parameters
    ----------
    decoder : Decoder
        In evaluation mode.
    prompts : sequence of integer arrays
        Tokens, the end token that begins a document included.
    n : int
        Most new tokens.
    uniform : callable
        Gives one number in [0, 1) a prompt, anew at each token.
    temperature, top_k, top_p
        As in `choose`.
    hidden : sequence of int
        Tokens that are never written.
    cached : bool
        Whether keys and values of earlier tokens are kept.
    """
    written: list[list[int]] = [[] for _ in prompts]
    alive = np.arange(len(prompts))
    with torch.inference_mode():
        context = Context(decoder, prompts, cached)
        logits = context.begin()
        for step in range(n):
            for token in hidden:
                logits[:, token] = -torch.inf
            tokens = choose(logits, uniform()[alive], temperature, top_k, top_p)
            going = np.flatnonzero(tokens != END)
            for i in going:
                written[alive[i]].append(int(tokens[i]))
            if len(going) == 0 or step == n - 1:
                break
            if len(going) < len(alive):
                context.keep(going)
                alive, tokens = alive[going], tokens[going]
            logits = context.extend(tokens.tolist())
    return written


def choose(
    logits: Tensor, u: np.ndarray, temperature: float, top_k: int | None, top_p: float
) -> np.ndarray:
    """Return the token at which the cumulative probability passes u, in each row.

    Parameters
    ----------
    logits : Tensor of shape (rows, tokens)
        Scores.
    u : array of shape (rows,)
        Uniform numbers.
    temperature : float
        Divides the logits; 0 takes the most likely token.
    top_k : int or None
        Only the k most likely tokens.
    top_p : float
        Only the fewest most likely tokens whose probability is at least p in sum.
    """
    if temperature == 0 or top_k == 1:
        best: np.ndarray = logits.argmax(-1).cpu().numpy()
        return best
    s = logits.double().cpu().numpy() / temperature
    if top_k is not None and top_k < s.shape[1]:
        s[s < np.partition(s, -top_k, axis=1)[:, [-top_k]]] = -np.inf
    p = np.exp(s - s.max(axis=1, keepdims=True))
    if top_p < 1:
        order = np.argsort(-p, axis=1, kind="stable")
        ranked = np.take_along_axis(p, order, axis=1)
        # What comes before a token decides on it, so that the first one always stays.
        ranked[ranked.cumsum(axis=1) - ranked >= top_p * ranked.sum(axis=1, keepdims=True)] = 0
        np.put_along_axis(p, order, ranked, axis=1)
    total = p.cumsum(axis=1)
    # The first token whose sum is above the target; one of probability 0 adds nothing to the sum.
    picked: np.ndarray = (total <= u[:, None] * total[:, -1:]).sum(axis=1)
    return np.minimum(picked, (total < total[:, -1:]).sum(axis=1))


def read(
    decoder: Decoder, documents: Sequence[np.ndarray], output: Callable[[Tensor, Tensor], Tensor]
) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Yield (document, its tokens, one value or row of values each) until all have been read.

    Parameters
    ----------
    decoder : Decoder
        In evaluation mode.
    documents : sequence of integer arrays
        Tokens and, as the last one, the token that follows them.
    output : callable
        Makes of the states (rows, time, width) and the following tokens what is wanted.
    """
    T = decoder.block_size
    jobs = [
        (start, stop, new, d)
        for d, tokens in enumerate(documents)
        for start, stop, new in windows_of_document(tokens[:-1], T)
    ]
    jobs.sort(key=lambda job: (job[1] - job[0], job[3], job[0]))
    width = max(decoder.head.weight.shape[0], 4 * decoder.head.weight.shape[1])
    per_batch = max(1, READ_ITEMS // (width * T))
    device = decoder.head.weight.device
    with torch.inference_mode():
        for i in range(0, len(jobs), per_batch):
            batch = jobs[i : i + per_batch]
            x, _ = padded([documents[d][start:stop] for start, stop, _, d in batch])
            y, _ = padded([documents[d][start + 1 : stop + 1] for start, stop, _, d in batch])
            h = decoder.states(torch.from_numpy(x).to(device))
            values = output(h, torch.from_numpy(y).to(device)).cpu().numpy()
            for (start, stop, new, d), value in zip(batch, values, strict=True):
                yield d, slice(stop - new, stop), value[stop - new - start : stop - start]


def surprise(decoder: Decoder) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function that gives minus the log-probability of the following tokens."""

    def output(h: Tensor, y: Tensor) -> Tensor:
        logits = decoder.head(h)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)

    return output
