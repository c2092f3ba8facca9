"""The hand-written networks against finite differences and torch's Adam."""

import numpy as np
import pytest
import torch

from zoo.engines.acting.network import ACTIVATIONS, Adam, ValueNetwork, clip_norm


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dueling", [False, True])
def test_gradient_equals_autograd(hidden, activation, dueling):
    rng = np.random.default_rng(0)
    network = ValueNetwork(3, 2, hidden, activation, dueling)
    theta = network.initial(rng) + rng.normal(0, 0.1, network.size).astype(np.float32)
    x = rng.normal(size=(7, 3)).astype(np.float32)
    dq = rng.normal(size=(7, 2)).astype(np.float32)

    q, tape = network.forward(network.layers(theta), x)
    gradient = np.full_like(theta, np.nan)
    network.backward(network.layers(theta), network.layers(gradient), tape, dq)

    flat = torch.tensor(theta, requires_grad=True)
    layers, at = [], 0
    for d, k in network.shapes:
        layers.append((flat[at : at + d * k].reshape(d, k), flat[at + d * k : at + (d + 1) * k]))
        at += (d + 1) * k
    act = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda h: h}[activation]
    h = torch.tensor(x)
    for W, b in layers[: len(hidden)]:
        h = act(h @ W + b)
    if dueling:
        hv, ha = (h, h) if not hidden else (h[:, : hidden[-1]], h[:, hidden[-1] :])
        (Wv, bv), (Wa, ba) = layers[-2:]
        A = ha @ Wa + ba
        expected = hv @ Wv + bv + A - A.mean(1, keepdim=True)
    else:
        expected = h @ layers[-1][0] + layers[-1][1]
    expected.backward(torch.tensor(dq))
    np.testing.assert_allclose(q, expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(gradient, flat.grad.numpy(), atol=1e-5)


def test_adam_equals_torch():
    rng = np.random.default_rng(1)
    theta = rng.normal(size=10).astype(np.float32)
    p = torch.tensor(theta.copy(), requires_grad=True)
    theirs = torch.optim.Adam([p], lr=1e-2, foreach=False)
    ours = Adam(10)
    for _ in range(20):
        g = rng.normal(size=10).astype(np.float32)
        p.grad = torch.tensor(g)
        theirs.step()
        ours.step(theta, g.copy(), 1e-2)
    np.testing.assert_allclose(theta, p.detach().numpy(), atol=1e-6)


def test_long_gradients_are_scaled_and_short_ones_left():
    g = np.array([3.0, 4.0], dtype=np.float32)
    assert clip_norm(g, 10.0) == pytest.approx(5.0)
    assert g.tolist() == [3.0, 4.0]
    clip_norm(g, 1.0)
    np.testing.assert_allclose(g, [0.6, 0.8], rtol=1e-6)
