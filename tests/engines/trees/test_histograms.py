"""The histogram grower beside the same method in plain numpy: the same tree, node for node."""

import numpy as np
import pytest

from zoo.engines.losses import get_loss
from zoo.engines.trees import bins as _bins
from zoo.engines.trees import histograms
from zoo.engines.trees.histogram_grower import Grower, Limits

TIE = 1e-7


def table(rng, n, p):
    """Make a small table with ties, missing values and a categorical column, or without."""
    X = np.round(rng.standard_normal((n, p)), 1)
    is_cat = rng.uniform(size=p) < 0.3
    X[:, is_cat] = rng.randint(0, 6, (n, is_cat.sum()))
    if rng.uniform() < 0.6:
        X[rng.uniform(size=(n, p)) < 0.15] = np.nan
    return X, is_cat


class Oracle:
    """Leaf-wise growth with sums in float64 and no histogram: slow, plain and independent."""

    def __init__(self, codes, bins, g, h, limits):
        self.codes, self.bins, self.g, self.h, self.limits = codes, bins, g, h, limits
        self.missing = (codes == bins.n_bins).any(axis=0)

    def score(self, rows):
        return self.g[rows].sum() ** 2 / (self.h[rows].sum() + self.limits.lam)

    def best(self, rows):
        """Return (gain, feature, left part, bin or None, missing side), or None."""
        parent, found = self.score(rows), None
        for j in range(self.codes.shape[1]):
            c, nb = self.codes[rows, j], self.bins.n_bins[j]
            own = None
            for codes, also, side in self.orders(rows, c, j, nb):
                cuts = [also + codes[: i + 1] for i in range(len(codes))]
                scores = np.array([self.cut(rows, c, cut) for cut in cuts])
                scores[np.isnan(scores)] = -1
                top = scores.max(initial=-1)
                at = int(np.argmax(scores >= top * (1 - TIE))) if len(scores) else 0
                if top > (parent * (1 + TIE) + 1e-9 if own is None else own[0]):
                    own = (top, cuts[at], side)
            if own is None:
                continue
            gain = own[0] - parent
            if found is None or gain > found[0] + TIE * (found[0] + parent):
                found = (gain, j, np.isin(c, own[1]), own[1], own[2])
        return found

    def orders(self, rows, c, j, nb):
        """Give the codes in the order of the cuts, what else goes left, and the missing side."""
        if self.bins.is_cat[j]:
            seen = np.unique(c)
            g = np.array([self.g[rows][c == k].sum() for k in seen])
            h = np.array([self.h[rows][c == k].sum() for k in seen])
            yield (
                list(seen[np.argsort(g / (h + self.limits.cat_smooth), kind="stable")][:-1]),
                [],
                None,
            )
            return
        numbers = list(range(nb))
        if (c == nb).any():
            yield numbers, [], 0
            yield numbers[:-1], [nb], 1
        else:
            yield numbers[:-1], [], None

    def cut(self, rows, c, codes):
        left = np.isin(c, codes)
        w, lim = self.h[rows], self.limits
        if min(left.sum(), (~left).sum()) < max(1, lim.min_child_samples):
            return np.nan
        if min(w[left].sum(), w[~left].sum()) < lim.min_child_weight:
            return np.nan
        return self.score(rows[left]) + self.score(rows[~left])

    def grow(self):
        nodes = [np.arange(len(self.g))]
        left, splits, n_leaves = {}, {0: self.best(nodes[0])}, 1
        while n_leaves < self.limits.max_leaves:
            ready = [(s[0], -i) for i, s in splits.items() if s is not None]
            if not ready:
                break
            i = -max(ready)[1]
            _, j, goes, codes, side = splits.pop(i)
            left[i] = (len(nodes), j, codes, side)
            for part in (nodes[i][goes], nodes[i][~goes]):
                splits[len(nodes)] = self.best(part)
                nodes.append(part)
            n_leaves += 1
        return nodes, left


@pytest.mark.parametrize("block", range(10))
def test_same_tree_as_plain_numpy(block):
    rng = np.random.RandomState(block)
    for _ in range(20):
        n, p = rng.randint(20, 120), rng.randint(1, 5)
        X, is_cat = table(rng, n, p)
        w = rng.uniform(0.2, 2, n)
        g, h = rng.standard_normal(n) * w, rng.uniform(0.1, 1, n) * w
        limits = Limits(
            max_leaves=rng.randint(2, 12),
            lam=rng.choice([0.0, 1.0]),
            min_child_weight=rng.choice([0.0, 2.0]),
            min_child_samples=rng.choice([1, 5]),
            cat_smooth=rng.choice([0.0, 10.0]),
        )
        bins = _bins.find_bins(X, rng.choice([8, 255]), is_cat)
        codes, _ = _bins.encode(X, bins)
        with Grower(X, bins, limits, y=np.zeros(n)) as grower:
            grower.pair[:, 0], grower.pair[:, 1] = g, h
            grower.exact[:, 0], grower.exact[:, 1] = g, h
            tree = grower.grow((histograms.OUTSIDE, 0, 0.0))
            rows = dict(grower.leaves())
            rows = {node: np.sort(r) for node, r in rows.items()}
        # What was stored is float32: the oracle must see the same numbers.
        oracle = Oracle(
            codes.T,
            bins,
            g.astype(np.float32).astype(float),
            h.astype(np.float32).astype(float),
            limits,
        )
        nodes, left = oracle.grow()
        assert len(tree.left) == len(nodes)
        for i, at in enumerate(nodes):
            assert tree.count[i] == len(at)
            if i not in left:
                assert tree.feature[i] == -1
                np.testing.assert_array_equal(rows[i], np.sort(at))
                c = -g[at].sum() / max(h[at].sum() + limits.lam, 1e-300)
                np.testing.assert_allclose(tree.value[i], c, rtol=1e-9)
                continue
            first, j, part, side = left[i]
            assert (tree.left[i], tree.feature[i]) == (first, j)
            if bins.is_cat[j]:
                bits = {k for k in range(256) if tree.set[i, k >> 6] >> np.uint64(k & 63) & np.uint64(1)}
                assert bits - {int(bins.n_bins[j])} == set(part) - {int(bins.n_bins[j])}
            else:
                numbers = [k for k in set(part) if k < bins.n_bins[j]]
                assert tree.bin[i] == max(numbers)
                if side is not None:
                    assert tree.missing_left[i] == side


KINDS = ["logistic", "squared", "absolute", "quantile", "huber", "poisson"]


@pytest.mark.parametrize("n", [300, 9000])
@pytest.mark.parametrize("name", KINDS)
def test_kernels_compute_the_gradients_of_the_losses(name, n):
    rng = np.random.RandomState(0)
    loss = get_loss(name)
    s, w = rng.uniform(-4, 4, n), rng.uniform(0.5, 2, n)
    y = {"binary": rng.randint(0, 2, n), "nonnegative": rng.poisson(2, n)}.get(
        loss.target, rng.standard_normal(n)
    ).astype(float)
    kind = getattr(histograms, name.upper())
    option = {"quantile": 0.5, "huber": 1.0}.get(name, 0.0)
    bins = _bins.find_bins(s[:, None], 255, [False])
    with Grower(s[:, None], bins, Limits(4), y=y, w=w) as grower:
        grower.score[0] = s
        grower.gradients(kind, 0, option)
        pair = grower.pair.astype(float)
        exact = grower.exact.copy()
    g, h = w * loss.gradient(y, s), w * loss.curvature(y, s)
    np.testing.assert_allclose(pair[:, 0], g, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(pair[:, 1], h, rtol=2e-5, atol=2e-6)
    if len(exact):
        np.testing.assert_allclose(exact, np.column_stack([g, h]), rtol=1e-12)


def test_softmax_kernel_is_its_loss_with_the_curvature_of_k_steps():
    rng = np.random.RandomState(0)
    n, k = 500, 4
    s, y = rng.standard_normal((n, k)) * 2, rng.randint(0, k, n)
    bins = _bins.find_bins(s, 255, [False] * k)
    loss = get_loss("softmax")
    with Grower(s, bins, Limits(4), y=y, n_scores=k, softmax=True) as grower:
        grower.score[:] = s.T
        for c in range(k):
            grower.gradients(histograms.SOFTMAX, c, k / (k - 1))
            g, h = grower.exact.T
            np.testing.assert_allclose(g, loss.gradient(y, s)[:, c], rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(h, k / (k - 1) * loss.curvature(y, s)[:, c], rtol=1e-9)


def test_threads_change_nothing():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((30_000, 12)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] + rng.standard_normal(len(X)) > 0).astype(float)
    bins = _bins.find_bins(X, 255, [False] * 12, rng=rng)
    grown = []
    for threads in (1, 2, 3):
        with Grower(X, bins, Limits(31), y=y, threads=threads) as grower:
            for _ in range(5):
                tree = grower.grow((histograms.LOGISTIC, 0, 0.0))
                tree.value[:] *= 0.1
                grower.add(tree)
            grown.append((tree, grower.score.copy()))
    for tree, score in grown[1:]:
        np.testing.assert_array_equal(score, grown[0][1])
        for a, b in zip(tree, grown[0][0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_few_histogram_slots_change_nothing():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((3000, 6))
    y = np.sin(3 * X[:, 0]) * X[:, 1]
    bins = _bins.find_bins(X, 255, [False] * 6)
    trees = []
    for slots in (None, 3):
        with Grower(X, bins, Limits(60), y=y) as grower:
            if slots:
                grower.table[histograms.SLOTS] = slots
            trees.append(grower.grow((histograms.SQUARED, 0, 0.0), counted=True))
    for a, b in zip(*trees, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_table_of_places_is_the_list_of_names():
    for i, name in enumerate(histograms.NUMBERS):
        assert getattr(histograms, name) == i
    for i, name in enumerate(histograms.ARRAYS):
        assert getattr(histograms, "_" + name) == len(histograms.NUMBERS) + i
    for i, name in enumerate(histograms.REALS):
        assert getattr(histograms, name) == i
    assert len(histograms.NUMBERS) + len(histograms.ARRAYS) == histograms.TABLE


def test_sums_of_extreme_gradients_do_not_overflow():
    n = 20_000
    X = (np.arange(n, dtype=float) % 2)[:, None]
    y = np.where(X[:, 0] == 0, -1e30, 1e30)
    bins = _bins.find_bins(X, 255, [False])
    with Grower(X, bins, Limits(2), y=y) as grower:
        tree = grower.grow((histograms.SQUARED, 0, 0.0), counted=True)
    np.testing.assert_allclose(tree.value[1:], [-1e30, 1e30], rtol=1e-4)
