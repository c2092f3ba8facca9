"""Spaces: what lies in them, how a network sees it, which distribution acts in them."""

import gymnasium as gym
import numpy as np
import pytest

from zoo.engines.acting.distributions import (
    Bernoulli,
    Categorical,
    MultiCategorical,
    SquashedGaussian,
)
from zoo.engines.acting.spaces import Box, from_plain, read_space

SPACES = {
    "discrete": gym.spaces.Discrete(3, start=2),
    "bytes": gym.spaces.Box(0, 255, (2, 2), np.uint8),
    "real": gym.spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 4.0]), dtype=np.float64),
    "binary": gym.spaces.MultiBinary((2, 2)),
    "multi": gym.spaces.MultiDiscrete([2, 3], start=[0, 5]),
}


@pytest.mark.parametrize("name", SPACES)
def test_files_keep_spaces_as_plain_values(name):
    space = read_space(SPACES[name])
    again = from_plain(space.plain())
    assert again.like(space)
    assert space.like(again)
    assert again.plain().keys() == space.plain().keys()
    assert not any(space.like(read_space(s)) for other, s in SPACES.items() if other != name)


@pytest.mark.parametrize("name", SPACES)
def test_elements_are_elements_and_rows_have_the_stated_width(name):
    space, peer = read_space(SPACES[name]), SPACES[name]
    peer.seed(0)
    values = np.array([peer.sample() for _ in range(20)])
    rows = space.encode(space.check(values))
    assert rows.dtype == np.float32
    assert rows.shape == (20, space.width)
    assert np.prod(space.seen_shape) == space.width
    np.testing.assert_array_equal(space.check(values), values.astype(space.dtype))


def test_encoding():
    discrete = read_space(gym.spaces.Discrete(3, start=2))
    np.testing.assert_array_equal(discrete.encode(np.array([2, 4])), [[1, 0, 0], [0, 0, 1]])
    pixels = read_space(gym.spaces.Box(0, 255, (2, 2), np.uint8))
    rows = pixels.encode(np.full((1, 2, 2), 51, dtype=np.uint8))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.2] * 4])
    bits = read_space(gym.spaces.MultiBinary(3))
    np.testing.assert_array_equal(bits.encode(np.array([[1, 0, 1]], np.int8)), [[1, 0, 1]])
    several = read_space(gym.spaces.MultiDiscrete([2, 3]))
    np.testing.assert_array_equal(several.encode(np.array([[1, 2]])), [[0, 1, 0, 0, 1]])


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("bytes", [[[300, 0], [0, 0]]], "between 0 and 255, and 300 does not"),
        ("bytes", [[[0, -1], [0, 0]]], "-1 does not"),
        ("bytes", [[[0.5, 0], [0, 0]]], "whole"),
        ("discrete", [5], "between 2 and 4"),
        ("real", [[1e300, 0.0]], "infinity"),
        ("binary", [[[2, 0], [0, 1]]], "between 0 and 1"),
        ("multi", [[0, 8]], "8 does not"),
    ],
)
def test_what_is_no_element_gets_a_sentence(name, values, words):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=words):
        read_space(SPACES[name]).check(np.array(values))


def test_real_numbers_beyond_their_bounds_are_read():
    """Environments leave them, after a last step for instance."""
    np.testing.assert_array_equal(read_space(SPACES["real"]).check(np.array([[-3.0, 9.0]])), [[-3.0, 9.0]])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("discrete", Categorical),
        ("real", SquashedGaussian),
        ("binary", Bernoulli),
        ("multi", MultiCategorical),
    ],
)
def test_actions_are_drawn_and_said_in_the_environments_words(name, kind):
    space, peer = read_space(SPACES[name]), SPACES[name]
    distribution = space.distribution()
    assert type(distribution) is kind
    rng = np.random.default_rng(0)
    z = rng.normal(size=(50, distribution.n_parameters)).astype(np.float32)
    chosen = distribution.sample(z, rng)
    actions = space.decode(chosen)
    assert all(peer.contains(np.asarray(a, dtype=peer.dtype)) for a in actions)
    np.testing.assert_allclose(np.reshape(space.encode_actions(actions), chosen.shape), chosen, atol=1e-6)
    assert len(np.unique(actions, axis=0)) > 1


def test_boxes_without_bounds_have_no_policy():
    space = Box(np.array([-np.inf]), np.array([1.0]), np.float32)
    with pytest.raises(ValueError, match="RescaleAction"):
        space.distribution()


def test_strange_spaces_are_none():
    assert read_space(gym.spaces.Dict({"a": gym.spaces.Discrete(2)})) is None
