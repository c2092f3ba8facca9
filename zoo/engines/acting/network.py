"""Small value networks by hand: forward, backward and Adam on one flat float32 array.

An update of a 64-64 network costs microseconds of arithmetic; a framework's bookkeeping costs
several times as much. All parameters live in one array ``theta``, so that an optimiser step, a
copy to the target network, a pickle are each one operation on one array.
"""

from itertools import pairwise

import numpy as np

ACTIVATIONS = ("relu", "tanh", "identity")


def activate(activation: str, x: np.ndarray) -> np.ndarray:
    """Apply an activation in place."""
    if activation == "relu":
        np.maximum(x, 0, out=x)
    elif activation == "tanh":
        np.tanh(x, out=x)
    return x


def backpropagate(activation: str, h: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """Take the gradient ``dx`` back through the activation whose output was ``h``, in place."""
    if activation == "relu":
        dx *= h > 0
    elif activation == "tanh":
        dx *= 1 - h * h
    return dx


class ValueNetwork:
    r"""A multilayer perceptron x -> Q(x, .), optionally duelling.

    The duelling head splits the last hidden layer into two streams of the stated width and adds
    :math:`Q = V + A - \bar A`.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Width of an encoded observation, number of actions.
    hidden_layer_sizes : tuple of int
        Widths; empty is a linear (for one-hot observations: tabular) Q.
    activation : {"relu", "tanh", "identity"}
        Of the hidden layers.
    dueling : bool
        Whether to have the two streams.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        hidden_layer_sizes: tuple[int, ...],
        activation: str,
        dueling: bool,
    ) -> None:
        self.activation = activation
        self.dueling = dueling
        widths = [int(n_inputs), *map(int, hidden_layer_sizes)]
        self.stream = widths[-1]  # width of one stream
        if dueling and len(widths) > 1:
            widths[-1] *= 2
        shapes = list(pairwise(widths))
        # Without a hidden layer both streams read the input.
        shapes += [(self.stream, 1), (self.stream, n_outputs)] if dueling else [
            (widths[-1], n_outputs)
        ]
        self.shapes = shapes
        self.n_hidden = len(widths) - 1
        self.size = sum((d + 1) * k for d, k in shapes)

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """Draw parameters: He for rectified layers, Glorot for others, small values at the head."""
        theta = np.zeros(self.size, dtype=np.float32)
        for layer, (W, _) in enumerate(self.layers(theta)):
            d, k = W.shape
            hidden = layer < self.n_hidden
            scale = 6 / d if hidden and self.activation == "relu" else 6 / (d + k)
            W[:] = rng.uniform(-1, 1, (d, k)) * np.sqrt(scale) * (1.0 if hidden else 0.1)
        return theta

    def layers(self, theta: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return (weight, bias) of every layer as views into ``theta``."""
        views, at = [], 0
        for d, k in self.shapes:
            W = theta[at : at + d * k].reshape(d, k)
            views.append((W, theta[at + d * k : at + (d + 1) * k]))
            at += (d + 1) * k
        return views

    def forward(
        self, layers: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return Q (n, k) and what `backward` needs: the input of every layer."""
        tape = [x]
        for W, b in layers[: self.n_hidden]:
            x = x @ W
            x += b
            tape.append(activate(self.activation, x))
        if not self.dueling:
            W, b = layers[-1]
            q = x @ W
            q += b
            return q, tape
        (Wv, bv), (Wa, ba) = layers[-2:]
        hv, ha = self._streams(x)
        q = ha @ Wa
        q += ba
        q -= q.mean(axis=1, keepdims=True)
        q += hv @ Wv + bv
        return q, tape

    def backward(
        self,
        layers: list[tuple[np.ndarray, np.ndarray]],
        gradients: list[tuple[np.ndarray, np.ndarray]],
        tape: list[np.ndarray],
        dq: np.ndarray,
        *,
        to_input: bool = False,
    ) -> np.ndarray | None:
        """Write the gradient for dLoss/dQ = ``dq`` into ``gradients`` (views of one flat array).

        With ``to_input`` return that of the network's input, for whoever computed it.
        """
        x = tape[-1]
        if self.dueling:
            dx = self._backward_streams(layers, gradients, x, dq)
        else:
            gW, gb = gradients[-1]
            np.matmul(x.T, dq, out=gW)
            dq.sum(axis=0, out=gb)
            dx = dq @ layers[-1][0].T
        for layer in range(self.n_hidden - 1, -1, -1):
            h, x = tape[layer + 1], tape[layer]
            dx = backpropagate(self.activation, h, dx)
            gW, gb = gradients[layer]
            np.matmul(x.T, dx, out=gW)
            dx.sum(axis=0, out=gb)
            if layer or to_input:
                dx = dx @ layers[layer][0].T
        return dx if to_input else None

    def _streams(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.n_hidden:
            return x, x
        return x[:, : self.stream], x[:, self.stream :]

    def _backward_streams(
        self,
        layers: list[tuple[np.ndarray, np.ndarray]],
        gradients: list[tuple[np.ndarray, np.ndarray]],
        x: np.ndarray,
        dq: np.ndarray,
    ) -> np.ndarray:
        hv, ha = self._streams(x)
        dv = dq.sum(axis=1, keepdims=True)
        da = dq - dv / dq.shape[1]
        for h, d, (gW, gb) in ((hv, dv, gradients[-2]), (ha, da, gradients[-1])):
            np.matmul(h.T, d, out=gW)
            d.sum(axis=0, out=gb)
        return np.concatenate([dv @ layers[-2][0].T, da @ layers[-1][0].T], axis=1)


class Adam:
    r"""Adam on one flat array, in place, with nothing allocated in a step.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2,
        \quad \theta \leftarrow \theta - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)}
        + \epsilon}

    References
    ----------
    Kingma and Ba (2015), Adam: a method for stochastic optimization, ICLR.
    """

    def __init__(
        self,
        size: int,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.t = 0
        self.m = np.zeros(size, dtype=np.float32)
        self.v = np.zeros(size, dtype=np.float32)
        self._work = np.empty(size, dtype=np.float32)

    def step(self, theta: np.ndarray, g: np.ndarray, lr: float) -> None:
        """Move ``theta`` against the gradient ``g``; ``g`` is overwritten."""
        self.t += 1
        work = self._work
        np.multiply(g, g, out=work)
        work *= 1 - self.beta2
        self.v *= self.beta2
        self.v += work
        g *= 1 - self.beta1
        self.m *= self.beta1
        self.m += g
        # The bias corrections go into two numbers, so that the arrays are touched once.
        root = (1 - self.beta2**self.t) ** 0.5
        np.sqrt(self.v, out=work)
        work += self.eps * root
        np.divide(self.m, work, out=work)
        work *= lr * root / (1 - self.beta1**self.t)
        theta -= work


def clip_norm(g: np.ndarray, max_norm: float) -> float:
    """Scale ``g`` in place so that its norm is at most ``max_norm``; return the norm it had."""
    norm = float(np.dot(g, g)) ** 0.5
    if norm > max_norm:
        g *= max_norm / norm
    return norm
