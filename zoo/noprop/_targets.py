r"""Learning by target activations: least squares along random directions, in numpy.

A layer is :math:`a = [x, 1] W`, its activation :math:`\phi(a) = a + \max(a, 0)`, which has an exact
inverse. Nothing here is a gradient.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np


def phi(a: np.ndarray) -> np.ndarray:
    """Return a + relu(a): slope 1 below zero, 2 above."""
    return a + np.maximum(a, 0)


def phi_inverse(x: np.ndarray) -> np.ndarray:
    """Return the a whose phi is x."""
    return np.minimum(x, 0.5 * x)


def with_one(x: np.ndarray) -> np.ndarray:
    """Append the column of the bias."""
    return np.column_stack([x, np.ones(len(x), x.dtype)])


def directions(rng: np.random.RandomState, d: int, k: int, dtype: np.dtype) -> np.ndarray:
    """Return min(k, d) random orthonormal directions, (d, k)."""
    return np.linalg.qr(rng.standard_normal((d, min(k, d))))[0].astype(dtype)


def weight_step(
    x: np.ndarray, D: np.ndarray, error: np.ndarray, share: np.ndarray, alpha: float
) -> np.ndarray:
    r"""Return D F with :math:`F = \arg\min \sum_i s_i |x_i D F - e_i|^2 + \alpha |F|^2`."""
    z = x @ D
    zs = z * share[:, None]
    step: np.ndarray = D @ np.linalg.solve(z.T @ zs + alpha * np.eye(z.shape[1]), zs.T @ error)
    return step.astype(x.dtype)


def input_step(W: np.ndarray, D: np.ndarray, error: np.ndarray, reg: float) -> np.ndarray:
    r"""Return the move of the inputs :math:`dx = D (G G^\top + \lambda I)^{-1} G\, e`, G = D' W."""
    G = D.T @ W
    step: np.ndarray = error @ np.linalg.solve(G @ G.T + reg * np.eye(len(G)), G).T @ D.T
    return step.astype(error.dtype)


def forward(X: np.ndarray, weights: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the inputs and the sums a of every layer."""
    inputs: list[np.ndarray] = [X]
    sums: list[np.ndarray] = []
    for W in weights:
        if sums:
            inputs.append(phi(sums[-1]))
        sums.append(with_one(inputs[-1]) @ W)
    return inputs, sums


def first_weights(sizes: list[int], rng: np.random.RandomState, dtype: np.dtype) -> list[np.ndarray]:
    """Draw the weights of the hidden layers; the last layer starts at zero."""
    weights = []
    for n_in, n_out in pairwise(sizes):
        scale = 1 / np.sqrt(n_in + 1)
        weights.append((scale * rng.standard_normal((n_in + 1, n_out))).astype(dtype))
    weights[-1][:] = 0
    return weights


def learn(
    X: np.ndarray,
    Y: np.ndarray,
    w: np.ndarray | None,
    weights: list[np.ndarray],
    rng: np.random.RandomState,
    epochs: Callable[[int, str], Iterable[int]],
    *,
    max_epochs: int,
    batch_size: int,
    lr: float,
    n_directions: int,
    alpha: float,
    target_step: float,
    target_reg: float,
    train_hidden: bool,
    one_sided: bool,
) -> list[float]:
    """Train the weights in place and return the weighted mean squared error of each epoch.

    With ``one_sided`` Y holds labels, 0 and 1: a sum beyond its label is right enough, and asks nothing of
    the layers below.
    """
    n = len(X)
    w = np.ones(n, X.dtype) if w is None else w
    n_batches = -(-n // batch_size)
    # A stream of its own, so that the directions do not depend on the number of rows.
    order_rng = np.random.RandomState(rng.randint(2**31 - 1))
    losses = []
    for epoch in epochs(max_epochs, "epoch"):
        order = order_rng.permutation(n)
        total = 0.0
        for b in range(n_batches):
            rows = order[b * batch_size : (b + 1) * batch_size]
            done = (epoch * n_batches + b) / (max_epochs * n_batches)
            rate = lr * 0.5 * (1 + np.cos(np.pi * done))
            share = w[rows] / w[rows].sum()
            inputs, sums = forward(X[rows], weights)
            error = Y[rows] - sums[-1]
            total += float((w[rows, None] * error**2).sum())
            for l in range(len(weights) - 1, -1, -1):
                x = with_one(inputs[l])
                D = directions(rng, x.shape[1], n_directions, X.dtype)
                move = rate * weight_step(x, D, error, share, alpha)
                weights[l] += move
                if l == 0 or not train_hidden:
                    break
                if one_sided and l == len(weights) - 1:
                    error = np.where(Y[rows] > 0.5, np.maximum(error, 0), np.minimum(error, 0))
                else:
                    # What the moved weights leave over is asked of the inputs.
                    error = error - x @ move
                W = weights[l][:-1]
                D = directions(rng, len(W), n_directions, X.dtype)
                wanted = inputs[l] + target_step * input_step(W, D, error, target_reg)
                error = phi_inverse(wanted) - sums[l - 1]
        losses.append(total / float(w.sum() * Y.shape[1]))
    return losses
