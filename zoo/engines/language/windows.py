"""Documents as one circular stream of tokens, and the windows that are cut from it.

Each document is preceded by the end token, which is its beginning too: ``end doc end doc ...``, and
after the last document comes the first again. A window may hold several documents; the network
keeps them apart (`zoo.engines.language.decoder`), so that packing changes no answer.

Documents longer than a window are read with a context that slides by half a window at a time:
the token after n others is predicted from those since `window_start(n, T)`. The rule depends on n
alone, so that the probabilities of all texts sum to one, and writing follows the same rule.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from zoo.engines.language.tokens import END


def stream_of(tokenizer: object, documents: Sequence[str]) -> np.ndarray:
    """Return all documents as one stream, each after an end token."""
    end = np.array([END], dtype=np.int32)
    parts = [part for text in documents for part in (end, tokenizer.encode(text))]  # type: ignore[attr-defined]
    return np.concatenate(parts)


def rows_of_stream(stream: np.ndarray, T: int, n_rows: int) -> np.ndarray:
    """Cut the stream into ``n_rows`` overlapping rows from which windows of T + 1 are cropped.

    The first tokens of the windows of row r are those of the r-th part of the stream, so that one
    window a row covers the text evenly. A row holds T more tokens on either side. The result is a
    view: it takes no more memory than the stream.
    """
    step = -(-len(stream) // n_rows)
    n = n_rows * step + 2 * T
    circular = stream[np.arange(-T, n - T) % len(stream)]
    view = np.lib.stride_tricks.sliding_window_view(circular, 2 * T + step, writeable=True)
    return view[::step]


def blocks_of_stream(stream: np.ndarray, T: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut the stream into windows side by side: inputs (n, T) and the tokens that follow them."""
    n = -(-len(stream) // T)
    circular = stream[np.arange(n * T + 1) % len(stream)]
    return circular[:-1].reshape(n, T), circular[1:].reshape(n, T)


def stride_of(T: int) -> int:
    """Return by how many tokens a full context moves on."""
    return T - T // 2


def window_start(n: int, T: int) -> int:
    """Return where the context of the token after n others begins."""
    stride = stride_of(T)
    return stride * (-(-max(0, n - T) // stride))


def windows_of_document(tokens: np.ndarray, T: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, stop, new): inputs start..stop, of which the last ``new`` are not yet read."""
    n, start, read = len(tokens), 0, 0
    while read < n:
        stop = min(start + T, n)
        yield start, stop, stop - read
        read, start = stop, start + stride_of(T)


def padded(windows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Stack windows of different lengths, filled up with end tokens on the right."""
    lengths = np.array([len(w) for w in windows])
    out = np.full((len(windows), lengths.max()), END, dtype=np.int64)
    for row, window in zip(out, windows, strict=True):
        row[: len(window)] = window
    return out, lengths
