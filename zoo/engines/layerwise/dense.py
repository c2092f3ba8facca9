"""The training step of dense blocks without a graph.

Ten small blocks are some thousand operations forth and back, and to keep a graph of them costs more
than they do. The graph is always the same: ``dense_step`` runs it, one block after the other, in
compiled code. This file gathers its arguments, and remembers them from step to step.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.engines.layerwise.blocks import Blocks
from zoo.engines.layerwise.kernels import dense_step
from zoo.engines.layerwise.layers import EPS, MOMENTUM, compiled

NORMED = ("x1", "x2", "z1", "z2", "z3", "h1", "h2")
KINDS = {"softmax": 0, "u": 1, "eps": 2, "v": 3}


class DenseStep:
    """The step of a group of blocks.

    Parameters
    ----------
    stack : Blocks
        Dense, with norms, float32, on a CPU.
    """

    def __init__(self, stack: Blocks) -> None:
        self.key = _addresses(stack)
        self.grads = {name: torch.empty_like(p) for name, p in stack.weights.items()}
        P = {name: p.detach().numpy() for name, p in stack.weights.items()}
        G = {name: g.numpy() for name, g in self.grads.items()}
        buffers = dict(stack.named_buffers())
        R = {name: buffers[name].numpy() for name in buffers}
        layers = (*NORMED, "out")
        self.parameters = (
            tuple(P[f"{name}_w"] for name in layers),
            P["out_b"],
            (
                tuple(P[f"{name}_g"] for name in NORMED),
                tuple(P[f"{name}_s"] for name in NORMED),
                tuple(R[f"{name}_mean"] for name in NORMED),
                tuple(R[f"{name}_var"] for name in NORMED),
            ),
            tuple(G[f"{name}_w"] for name in layers),
            G["out_b"],
            (
                tuple(G[f"{name}_g"] for name in NORMED),
                tuple(G[f"{name}_s"] for name in NORMED),
            ),
        )

    @classmethod
    def of(cls, stack: Blocks, x: Tensor, n: int) -> "DenseStep | None":
        """Return the step for a batch of n rows, or None where the general way must be taken."""
        usual = (
            stack.network == "dense" and stack.norm and n > 1 and compiled(x)
            and all(p.requires_grad and p.is_contiguous() for p in stack.weights.values())
        )  # fmt: skip
        if not usual:
            return None
        if stack.step is None or stack.step.key != _addresses(stack):
            stack.step = cls(stack)
        found: DenseStep = stack.step
        return found

    def learn(
        self,
        stack: Blocks,
        x: Tensor,
        z: Tensor,
        W: Tensor,
        u: Tensor,
        abar: Tensor,
        weights: Tensor,
        share: Tensor,
        parametrization: str,
    ) -> tuple[Tensor, Tensor]:
        r"""Set the gradients of :math:`\sum_k \omega_k \sum_i s_i |\hat u_{ki} - u_i|^2`.

        x is (in, n), z (K, d, n), W (k, d), u (d, n), abar and weights (K,), share (n,). Returns that
        sum and the guesses (K, d, n).
        """
        guess = torch.empty(z.shape)
        inputs = (t.contiguous().numpy() for t in (x, z, W, u, abar, weights, share))
        loss = dense_step(
            KINDS[parametrization], *inputs, *self.parameters, guess.numpy(), np.float32(EPS),
            np.float32(MOMENTUM),
        )  # fmt: skip
        for name, p in stack.weights.items():
            p.grad = self.grads[name]
        return x.new_tensor(loss), guess


def _addresses(stack: Blocks) -> tuple[Any, ...]:
    """Return what changes when a parameter or a running mean is replaced."""
    return tuple(t.data_ptr() for t in (*stack.weights.values(), *stack.buffers()))
