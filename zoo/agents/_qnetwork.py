"""The network of a DQN: features of an observation, and what every action is worth there."""

from typing import Any

import numpy as np
from torch import Tensor, nn

from zoo.engines.neural.dense import DensePass


class QNetwork(nn.Module):
    r"""A body, and on its features the values of the actions, optionally duelling.

    The duelling head splits the features into two streams and adds :math:`Q = V + A - \bar A`.

    Parameters
    ----------
    body : nn.Module
        Rows of encoded observations to features.
    n_features : int
        Columns of the features.
    n_actions : int
        Number of actions.
    dueling : bool
        Whether to have the two streams.
    stream : int or None
        Features of the value stream, when the advantages have as many of their own; None lets both
        read all of them.
    """

    def __init__(
        self, body: nn.Module, n_features: int, n_actions: int, dueling: bool, stream: int | None
    ) -> None:
        super().__init__()
        self.body = body
        self.stream = stream if dueling else None
        width = n_features if self.stream is None else self.stream
        self.value = nn.Linear(width, 1) if dueling else None
        self.advantage = nn.Linear(width, n_actions)

    @property
    def heads(self) -> list[nn.Linear]:
        """The layers that give the outputs."""
        return [self.advantage] if self.value is None else [self.value, self.advantage]

    def forward(self, x: Tensor) -> Tensor:
        """Return Q of every action."""
        h = self.body(x)
        if self.value is None:
            return self.advantage(h)
        hv, ha = (h, h) if self.stream is None else (h[:, : self.stream], h[:, self.stream :])
        a = self.advantage(ha)
        return self.value(hv) + a - a.mean(1, keepdim=True)

    def by_hand(self) -> Any:
        """Return the pass without a graph, where the body is a plain perceptron."""
        if type(self.body) is not nn.Sequential:
            return None
        if self.value is None:
            return DensePass.of(nn.Sequential(*self.body, self.advantage))
        body = DensePass.of(self.body) if len(self.body) else None
        value, advantage = (DensePass.of(nn.Sequential(head)) for head in self.heads)
        if value is None or advantage is None or (body is None and len(self.body)):
            return None
        return DuelingPass(body, value, advantage, self.stream)


class DuelingPass:
    """The same by hand: a body, and two streams that read it.

    Parameters
    ----------
    body : DensePass or None
        None where the streams read the observations themselves.
    value, advantage : DensePass
        The streams.
    stream : int or None
        As in `QNetwork`.
    """

    def __init__(
        self, body: DensePass | None, value: DensePass, advantage: DensePass, stream: int | None
    ) -> None:
        self.body, self.value, self.advantage, self.stream = body, value, advantage, stream

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return Q of every action."""
        return self.forward(x)[0]

    def forward(self, x: np.ndarray, *, to_input: bool = False) -> tuple[np.ndarray, Any]:
        """Return Q of every action, and the tapes."""
        h, tape = (x, None) if self.body is None else self.body.forward(x)
        hv, ha = (h, h) if self.stream is None else (h[:, : self.stream], h[:, self.stream :])
        v, value_tape = self.value.forward(hv)
        q, advantage_tape = self.advantage.forward(ha)
        q -= q.mean(axis=1, keepdims=True)
        q += v
        return q, (tape, value_tape, advantage_tape)

    def backward(
        self, tape: Any, slope: np.ndarray, *, to_input: bool = False, rows: int | None = None
    ) -> np.ndarray | None:
        """Hand the gradient by Q down both streams."""
        body_tape, value_tape, advantage_tape = tape
        dv = slope.sum(axis=1, keepdims=True)
        da = slope - dv / slope.shape[1]
        inner = self.body is not None or to_input
        hv = self.value.backward(value_tape, dv, to_input=inner, rows=rows)
        ha = self.advantage.backward(advantage_tape, da, to_input=inner, rows=rows)
        if not inner:
            return None
        assert hv is not None
        assert ha is not None
        dh = hv + ha if self.stream is None else np.concatenate([hv, ha], axis=1)
        return dh if self.body is None else self.body.backward(body_tape, dh, to_input=to_input, rows=rows)
