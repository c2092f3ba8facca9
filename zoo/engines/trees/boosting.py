"""The rounds of boosting: each grows a tree a score on what the trees before it left over."""

from typing import NamedTuple

import numpy as np

from zoo.engines.trees import histograms
from zoo.engines.trees.histogram_grower import Grower, n_threads
from zoo.engines.trees.model import TreeModel, empty_model, join_trees, keep_order
from zoo.engines.trees.objective import leaf_quantile


class Sampling(NamedTuple):
    """What a tree sees of the table."""

    rows: float = 1.0  # share of the rows
    columns: int = 0  # number of columns, 0: all
    goss: tuple[float, float] | None = None  # shares of rows: of largest gradient, of the others


class Rounds:
    """Boosting on one table: trees that grow one after another on the scores so far.

    A context, because the grower holds threads. ``trees`` are those grown since they were last taken.
    """

    def __init__(
        self, X, y, w, *, objective, bins, limits, sampling, learning_rate, n_scores, known, n_jobs, rng
    ):
        self.X, self.y, self.w, self.rng = X, y, w, rng
        self.objective, self.bins, self.limits, self.sampling = objective, bins, limits, sampling
        self.learning_rate, self.n_scores = learning_rate, n_scores
        self.reader = TreeModel(empty_model(), known, n_scores, n_jobs)
        self.counted = objective.unit and w is None and sampling.goss is None
        self.trees = []
        self.grower = Grower(
            X, bins, limits, y=y, w=w, n_scores=n_scores, softmax=n_scores > 1,
            threads=n_threads(n_jobs, X.shape[0]),
        )  # fmt: skip
        self.scores = self.grower.score

    def __enter__(self):
        self.grower.__enter__()
        return self

    def __exit__(self, *error):
        self.grower.__exit__(*error)

    def start(self, initial, model):
        """Set the scores to the start and the trees that are there already."""
        self.scores[:] = initial[:, None]
        if len(model["root"]):
            self.reader.like(model).add_to(self.scores, self.X)

    def add(self):
        """Grow one round: a tree for each score."""
        asked = None
        if self.objective.kernel == histograms.OUTSIDE:
            # All trees of a round start from the same scores.
            asked = self.objective.derivatives(self.y, self.scores)
        for k in range(self.n_scores):
            rows, columns = self._draw_rows(), self._draw_columns()
            what, rows = self._point(k, asked, rows)
            tree = self.grower.grow(
                what, counted=self.counted, rows=rows, features=columns, seed=int(self.rng.randint(2**31))
            )
            self._set_leaves(tree, k)
            tree.value[:] *= self.learning_rate
            self._follow(tree, k, rows)
            self.trees.append(tree)

    def take(self, model):
        """Append the trees grown since last time to a model; return it."""
        outputs = [k % self.n_scores for k in range(len(self.trees))]
        model = join_trees(model, self.trees, outputs, self.bins)
        self.trees.clear()
        return model

    def last(self):
        """Return the trees of the last round as a model."""
        return join_trees(empty_model(), self.trees[-self.n_scores :], range(self.n_scores), self.bins)

    def _draw_rows(self):
        if self.sampling.rows == 1:
            return None
        rows = np.flatnonzero(self.rng.uniform(size=self.X.shape[0]) < self.sampling.rows)
        return rows if len(rows) else None

    def _draw_columns(self):
        if self.sampling.columns == 0:
            return None
        return np.sort(self.rng.choice(self.X.shape[1], self.sampling.columns, replace=False))

    def _point(self, k, asked, rows):
        """Say (or write down) where the loss falls; gradient sampling then chooses the rows by it."""
        what = (self.objective.kernel, k, self.objective.option)
        if asked is not None:
            _write(self.grower, *(a[k] for a in asked), self.w)
        if self.sampling.goss is None:
            return what, rows
        if asked is None:
            self.grower.gradients(*what)
        return (histograms.OUTSIDE, k, 0.0), _sample_by_gradient(self.grower, self.sampling.goss, self.rng)

    def _set_leaves(self, tree, k):
        """Set leaves to a quantile of what is left over, where the loss has one: no Newton step is right."""
        q = self.objective.quantile
        if q is None:
            return
        for node, at in self.grower.leaves():
            residuals = self.y[at] - self.scores[k, at]
            tree.value[node] = leaf_quantile(residuals, q, None if self.w is None else self.w[at])
        if self.limits.monotone is not None:
            keep_order(tree.left, tree.feature, tree.value, tree.weight, self.limits.monotone)

    def _follow(self, tree, k, rows):
        """Add the tree to the scores: of the rows that it saw the grower knows the leaves."""
        if rows is None:
            self.grower.add(tree, k)
        else:
            one = join_trees(empty_model(), [tree], [k], self.bins)
            self.reader.like(one).add_to(self.scores, self.X)


class Watch:
    """The loss on validation data, round by round, and when to stop by it."""

    def __init__(self, objective, val, reader, initial, model, patience, tol):
        self.objective, self.reader = objective, reader.with_threads(1)
        self.patience, self.tol = patience, tol
        self.losses, self.taken = [], 0
        self.X, self.y, self.w = val
        self.scores = np.empty((len(initial), self.X.shape[0]))
        self.scores[:] = initial[:, None]
        self.reader.like(model).add_to(self.scores, self.X)

    def add(self, trees):
        """Take the trees of a round into account."""
        self.reader.like(trees).add_to(self.scores, self.X)
        self.losses.append(self.objective.value(self.y, self.scores, self.w))

    def take(self):
        """Return the losses since they were last taken."""
        new, self.taken = self.losses[self.taken :], len(self.losses)
        return new

    def says_stop(self):
        """Tell whether the loss has not improved for as many rounds as patience allows."""
        if self.patience is None or len(self.losses) <= self.patience:
            return False
        before = min(self.losses[: -self.patience])
        return min(self.losses[-self.patience :]) > before - self.tol or not np.isfinite(self.losses[-1])


def hold_out(X, y, w, fraction, labels, rng, name):
    """Split rows off for early stopping; of every class some, where there are labels."""
    from sklearn.model_selection import train_test_split

    if labels is not None and np.bincount(labels).min() < 2:
        labels = None
    n = X.shape[0]
    size = max(1, round(fraction * n))
    if labels is not None:
        size = max(size, len(np.unique(labels)))
    if n - size < (1 if labels is None else len(np.unique(labels))):
        raise ValueError(
            f"{name}: {n} rows are too few to hold out validation_fraction={fraction} of them; give X_val "
            "and y_val."
        )
    a, b = train_test_split(np.arange(n), test_size=size, stratify=labels, random_state=rng.randint(2**31))
    return X[a], y[a], None if w is None else w[a], (X[b], y[b], None if w is None else w[b])


def share(fraction, p):
    """Number of columns that a share of p columns means; 0 where it is all."""
    return max(1, int(fraction * p + 0.5)) if fraction < 1 else 0


def _write(grower, g, h, w):
    """Hand gradient and curvature to the grower."""
    for pair in (grower.pair, grower.exact):
        if len(pair):
            pair[:, 0] = g if w is None else g * w
            pair[:, 1] = h if w is None else h * w


def _sample_by_gradient(grower, rates, rng):
    """Keep the rows of large gradient and a weighted sample of the others (GOSS)."""
    top, other = rates
    pair = grower.pair
    n = len(pair)
    size = np.abs(pair[:, 0])
    k = max(1, int(top * n))
    first = np.argpartition(-size, k - 1)[:k]
    rest = np.ones(n, bool)
    rest[first] = False
    rest = np.flatnonzero(rest)
    m = min(len(rest), int(other * n))
    second = rng.choice(rest, m, replace=False) if m else rest[:0]
    if m:
        pair[second] *= np.float32((1 - top) / other)
        if len(grower.exact):
            grower.exact[second] *= (1 - top) / other
    return np.sort(np.concatenate([first, second]))
