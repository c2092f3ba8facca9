"""Images: which axis is which, shifts that keep the content, convolutions against autograd."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from zoo.engines.acting.conv import ConvNetwork, channel_axis, is_image, random_shift
from zoo.engines.acting.network import ACTIVATIONS


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((8, 8), None),
        ((4, 84, 84), 0),
        ((84, 84, 4), 2),
        ((8, 8, 111), 2),  # a chess board: 111 planes of 8 x 8
        ((210, 160, 3), 2),
        ((3, 210, 160), 0),
    ],
)
def test_channels_are_recognised(shape, axis):
    assert channel_axis(shape) == axis
    assert is_image({"kind": "box", "shape": shape})


def test_what_cannot_be_recognised_is_asked_about():
    with pytest.raises(ValueError, match=r"filters=\(\)"):
        channel_axis((8, 8, 8))


def test_rows_and_bits_are_no_images():
    assert not is_image({"kind": "box", "shape": (4,)})
    assert not is_image({"kind": "box", "shape": (2, 4, 8, 8)})
    assert not is_image({"kind": "binary", "shape": (8, 8)})


# -- shifts ----------------------------------------------------------------------------------


def by_hand(image, dy, dx):
    """Look a pixel up where it came from; beyond the border it is the border's."""
    H, W = image.shape
    rows = np.clip(np.arange(H) + dy, 0, H - 1)
    return image[rows][:, np.clip(np.arange(W) + dx, 0, W - 1)]


def test_every_shift_is_drawn_and_keeps_the_content():
    image = np.arange(30, dtype=np.uint8).reshape(5, 6)
    moved = random_shift(np.repeat(image[None], 400, axis=0), 2, None, np.random.default_rng(0))
    assert moved.dtype == np.uint8
    assert moved.shape == (400, 5, 6)
    moves = range(-2, 3)
    expected = {by_hand(image, dy, dx).tobytes() for dy in moves for dx in moves}
    assert {m.tobytes() for m in moved} == expected


def test_shifts_are_seeded_and_channels_move_together():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(20, 3, 7, 9)).astype(np.float32)
    first = random_shift(images, 3, 0, np.random.default_rng(5))
    np.testing.assert_array_equal(first, random_shift(images, 3, 0, np.random.default_rng(5)))
    assert (first != random_shift(images, 3, 0, np.random.default_rng(6))).any()
    last = random_shift(np.moveaxis(images, 1, -1), 3, 2, np.random.default_rng(5))
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), first)
    for c in range(3):
        alone = random_shift(images[:, c], 3, None, np.random.default_rng(5))
        np.testing.assert_array_equal(alone, first[:, c])


def test_no_shift_is_no_change():
    images = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(random_shift(images, 0, None, np.random.default_rng(0)), images)


# -- the network -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 6), (3, 7, 6), (7, 6, 3)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dueling", [False, True])
def test_gradient_equals_autograd(shape, activation, dueling):
    rng = np.random.default_rng(0)
    network = ConvNetwork(shape, (4, 5), 2, (6,), activation, dueling)
    theta = network.initial(rng) + rng.normal(0, 0.1, network.size).astype(np.float32)
    images = rng.normal(size=(9, *shape)).astype(np.float32)
    dq = rng.normal(size=(9, 2)).astype(np.float32)

    q, tape = network.forward(network.layers(theta), images.reshape(9, -1))
    gradient = np.full_like(theta, np.nan)
    network.backward(network.layers(theta), network.layers(gradient), tape, dq)

    flat = torch.tensor(theta, requires_grad=True)
    at = 0

    def take(*size):
        nonlocal at
        part = flat[at : at + int(np.prod(size))].reshape(size)
        at += part.numel()
        return part

    act = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda h: h}[activation]
    h = torch.tensor(images)
    h = h[:, None] if len(shape) == 2 else h.movedim(-1, 1) if shape[-1] == 3 else h
    for k in (4, 5):
        W = take(k, 3, 3, h.shape[1]).permute(0, 3, 1, 2)
        h = act(conv2d(h, W, take(k), stride=2, padding=1))
    h = h.movedim(1, -1).flatten(1)
    assert h.shape[1] == 5 * 2 * 2
    width = 12 if dueling else 6
    h = act(h @ take(20, width) + take(width))
    if dueling:
        value = h[:, :6] @ take(6, 1) + take(1)
        advantage = h[:, 6:] @ take(6, 2) + take(2)
        expected = value + advantage - advantage.mean(1, keepdim=True)
    else:
        expected = h @ take(6, 2) + take(2)
    assert at == network.size
    expected.backward(torch.tensor(dq))
    np.testing.assert_allclose(q, expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(gradient, flat.grad.numpy(), atol=2e-5)


def test_a_slice_of_the_tape_is_the_tape_of_a_slice():
    """The double estimator passes both states at once and goes back through the first only."""
    rng = np.random.default_rng(0)
    network = ConvNetwork((8, 8), (4,), 3, (5,), "relu", False)
    theta = network.initial(rng)
    x = rng.random((6, 64), dtype=np.float32)
    dq = rng.normal(size=(4, 3)).astype(np.float32)
    gradients = []
    for rows in (6, 4):
        _, tape = network.forward(network.layers(theta), x[:rows])
        gradients.append(np.zeros_like(theta))
        network.backward(
            network.layers(theta), network.layers(gradients[-1]), [h[:4] for h in tape], dq
        )
    np.testing.assert_allclose(*gradients, atol=1e-6)


def test_initial_parameters_are_seeded_and_scaled():
    network = ConvNetwork((3, 16, 16), (32, 32), 2, (64,), "relu", False)
    draw = [network.initial(np.random.default_rng(s)) for s in (0, 0, 1)]
    np.testing.assert_array_equal(draw[0], draw[1])
    assert (draw[0] != draw[2]).any()
    W, b = network.layers(draw[0])[1]
    assert W.shape == (32, 3, 3, 32)
    assert W.std() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)  # He: variance 2 / fan-in
    assert not b.any()


def test_torch_is_left_as_it_was_found():
    network = ConvNetwork((8, 8), (4,), 3, (5,), "relu", False)
    before, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(2)
    try:
        theta = network.initial(np.random.default_rng(0))
        theta.flags.writeable = False  # as arrays are that a parallel search hands over
        x = np.ones((2, 64), np.float32)
        x.flags.writeable = False
        q, _ = network.forward(network.layers(theta), x)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert q.shape == (2, 3)
    torch.testing.assert_close(torch.get_rng_state(), state)


def test_no_rows_give_no_values():
    network = ConvNetwork((8, 8, 1), (4,), 3, (), "relu", False)
    theta = network.initial(np.random.default_rng(0))
    q, _ = network.forward(network.layers(theta), np.zeros((0, 64), np.float32))
    assert q.shape == (0, 3)
