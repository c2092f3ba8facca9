"""Bins: order, edges, weights, missing values, and equality with a plain search."""

import numpy as np
import pytest

from zoo.engines.trees import bins as _bins


def codes_by_search(X, bins):
    out = np.empty(X.shape, int)
    for j in range(X.shape[1]):
        if bins.is_cat[j]:
            known = {v: c for c, v in enumerate(bins.edges[j])}
            out[:, j] = [known.get(v, bins.n_bins[j]) for v in X[:, j]]
        else:
            out[:, j] = np.searchsorted(bins.edges[j], X[:, j])
            out[np.isnan(X[:, j]), j] = bins.n_bins[j]
    return out


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("max_bins", [2, 17, 255])
def test_codes_are_those_of_a_plain_search(order, max_bins):
    rng = np.random.RandomState(0)
    X = rng.standard_normal((1003, 4))
    X[:, 1] = rng.randint(0, 300, 1003)
    X[:, 2] = np.round(X[:, 2])
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    X = np.asarray(X, order=order)
    with pytest.warns(UserWarning, match="column 1 has 289 categories and a tree tells 255 apart"):
        bins = _bins.find_bins(X, max_bins, [False, True, False, False])
    cols, missing = _bins.encode(X, bins)
    rows = _bins.weave(cols)
    np.testing.assert_array_equal(cols.T, codes_by_search(X, bins))
    np.testing.assert_array_equal(rows[:, :4], cols.T)
    np.testing.assert_array_equal(missing, (bins.n_bins == cols.T).any(axis=0))


def test_few_values_are_kept_apart_and_many_are_shared_evenly():
    x = np.repeat([1.0, 2.0, 7.0], 5)
    np.testing.assert_array_equal(_bins.find_edges(x, 255), [1.5, 4.5])
    x = np.random.RandomState(0).standard_normal(100_000)
    edges = _bins.find_edges(x, 255)
    count = np.bincount(np.searchsorted(edges, x))
    assert len(count) == 255
    assert count.max() < 1.1 * count.min()


def test_weights_count_as_rows():
    rng = np.random.RandomState(0)
    x, k = rng.standard_normal(900), rng.randint(1, 4, 900)
    np.testing.assert_array_equal(
        _bins.find_edges(x, 20, k.astype(float)), _bins.find_edges(np.repeat(x, k), 20)
    )


def test_edges_part_neighbours_that_no_number_lies_between():
    a = 1.0
    b = np.nextafter(a, 2)
    (edge,) = _bins.find_edges(np.array([a, b]), 255)
    assert a <= edge < b
    (edge,) = _bins.find_edges(np.array([-1.7e308, 1.7e308]), 255)
    assert -1.7e308 <= edge < 1.7e308


def test_columns_without_values_have_one_bin():
    bins = _bins.find_bins(np.full((5, 2), np.nan), 255, [False, True])
    cols, missing = _bins.encode(np.full((5, 2), np.nan), bins)
    assert missing.all()
    np.testing.assert_array_equal(cols.T, np.tile(bins.n_bins, (5, 1)))


def test_columns_that_share_a_byte_keep_their_own_histograms():
    rng = np.random.RandomState(0)
    n = 5000
    kind = rng.randint(0, 30, n)
    one_hot = (kind[:, None] == np.arange(30)).astype(np.uint8)
    small = rng.randint(0, 3, (n, 4)).astype(np.uint8)
    wide = rng.randint(0, 200, (n, 1)).astype(np.uint8)
    cols = np.ascontiguousarray(np.hstack([one_hot[:, :20], wide, small, one_hot[:, 20:]]).T)
    cells = cols.max(axis=1).astype(int) + 1
    groups = _bins.find_groups(cols, cells)
    assert len(groups.bytes) <= 5
    w = rng.randint(0, 1000, n)
    for j in range(len(cols)):
        want = np.bincount(cols[j], weights=w, minlength=cells[j])
        byte = groups.bytes[groups.group[j]]
        assert byte.max() < groups.cells[groups.group[j]]
        got = np.bincount(byte, weights=w)
        if groups.rest[j] >= 0:
            at = slice(groups.listed[j], groups.listed[j + 1])
            own = np.bincount(groups.bin[at], weights=got[groups.byte[at]], minlength=cells[j])
            own[groups.rest[j]] = w.sum() - own.sum()
            got = own
        np.testing.assert_array_equal(got, want)
