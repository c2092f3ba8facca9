"""The sum tree against cumulative sums."""

import numpy as np
import pytest

from zoo.engines.acting.sumtree import empty_tree, find, put


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13])
def test_sums_and_search_agree_with_cumsum(n):
    rng = np.random.default_rng(n)
    tree = empty_tree(n)
    p = rng.random(n)
    put(tree, np.arange(n), rng.random(n))
    put(tree, np.arange(n), p)
    half = len(tree) // 2
    np.testing.assert_allclose(tree[1], p.sum())
    np.testing.assert_allclose(tree[half : half + n], p)
    u = np.sort(rng.random(200)) * tree[1]
    leaves = np.empty(200, dtype=np.int64)
    find(tree, u, leaves)
    np.testing.assert_array_equal(leaves, np.searchsorted(np.cumsum(p), u, side="right"))


def test_the_last_word_on_a_repeated_leaf_stands():
    tree = empty_tree(4)
    put(tree, np.array([2, 2]), np.array([5.0, 1.0]))
    assert tree[1] == 1.0


def test_a_leaf_of_zero_is_never_found():
    tree = empty_tree(8)
    put(tree, np.array([1, 6]), np.array([0.3, 0.7]))
    leaves = np.empty(3, dtype=np.int64)
    # The very end of the range is where rounding would fall off.
    find(tree, np.array([0.0, 0.3, 1.0]), leaves)
    assert leaves.tolist() == [1, 6, 6]
