"""Scores and probabilities of classes."""

import numpy as np

from zoo.contract.kept import kept


@kept("log_softmax")
def log_softmax(s: np.ndarray) -> np.ndarray:
    """Return log softmax of scores; margins (n,) are the scores (0, s) of two classes."""
    if s.ndim == 1:
        return -np.column_stack([np.logaddexp(0, s), np.logaddexp(0, -s)])
    s = s - s.max(axis=-1, keepdims=True)
    return s - np.log(np.exp(s).sum(axis=-1, keepdims=True))


@kept("softmax")
def softmax(s: np.ndarray) -> np.ndarray:
    """Return the probabilities whose logits are s."""
    p = np.exp(log_softmax(s))
    return p / p.sum(axis=-1, keepdims=True)
