"""Boosting by trees: the rounds that the classifier and the regressor share."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.contract.inputs import Input, Table
from zoo.contract.params import (
    Count,
    Fixed,
    Fraction,
    Interval,
    Jobs,
    NonNegative,
    OpenFraction,
    Search,
    Seed,
    Tolerance,
    Whole,
)
from zoo.engines.losses import Loss, weighted_quantile
from zoo.engines.trees.checks import demand
from zoo.engines.trees.columns import (
    Explanation,
    constraint_sets,
    find_categories,
    monotone_directions,
)
from zoo.engines.trees.forest import still_to_grow
from zoo.engines.trees.portable import Portable

Leaves = Annotated[int, Interval(2, None), Search(4, 256, log=True)]
Column = Whole | str
Features = list[Column] | tuple[Column, ...]
Direction = Annotated[int, Interval(-1, 1)]


class Boosting(Portable, abstract=True):
    """Trees grown one after another, each on gradient and curvature of the loss so far.

    Parameters
    ----------
    n_estimators : int, default=100
        Rounds; with ``warm_start`` or ``partial_fit`` more can follow.
    learning_rate : float, default=0.1
        Factor on each tree.
    max_leaf_nodes : int or None, default=31
        Most leaves of a tree.
    max_depth : int or None, default=None
        Most splits between root and leaf.
    grow_policy : {"lossguide", "depthwise"}, default="lossguide"
        Which leaf is split next: the one that gains most, or the oldest.
    min_child_weight : float, default=1.0
        Least sum of curvature (times weight) in a leaf. For a squared loss that is a number of
        rows; a logistic loss gives a row at most 1/4.
    reg_lambda, reg_alpha : float, default=1.0 and 0.0
        Penalty on squares and on absolute values of the leaves.
    gamma : float, default=0.0
        Penalty on each leaf: a split must gain more, so that 0 refuses one that gains nothing.
    subsample, colsample_bytree, colsample_bynode : float, default=1.0
        Share of the rows and columns that a tree sees, and of the columns that a node may try.
    goss : (float, float) or None, default=None
        Shares (top, other): keep the rows of largest gradient and a weighted sample of the others.
    max_bins : int, default=255
        Most values that a column is rounded to.
    categorical_features : "from_dtype", sequence or None, default="from_dtype"
        Columns without order, by number, name or mask; those that a DataFrame declares always are.
        A split sends a set of categories to the left. Categories that were never seen count as
        missing.
    cat_smooth : float, default=10.0
        Curvature added to each category before categories are ranked.
    monotone_constraints : dict or sequence of -1, 0, 1, default=None
        Columns in which the prediction must not rise (-1) or fall (1).
    interaction_constraints : sequence of sequences, default=None
        Sets of columns that may meet on one path; columns in none form one more set.
    n_iter_no_change : int or None, default=None
        Stop when the loss on validation data has not improved for so many rounds, and keep the
        best. None grows all.
    validation_fraction : float, default=0.1
        Rows held out for that when no ``X_val`` is given.
    tol : float, default=0.0
        Least improvement that counts.
    warm_start : bool, default=False
        Whether fit goes on from the trees that are there.
    n_jobs : int or None, default=None
        Threads; None means all. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        Seed of the sampling of rows and columns.

    Attributes
    ----------
    initial_ : array
        Score before the first tree.
    model_ : dict of arrays
        The trees.
    n_iter_ : int
        Rounds that were kept.
    history_ : dict of arrays
        ``valid_loss`` after each round, where there is validation data.
    feature_importances_ : array of shape (d,)
        Share of each column in the fall of the loss; see ``importances`` for others.
    """

    input: ClassVar[Input] = Table(missing=True, categories=True)
    learned: ClassVar[tuple[str, ...]] = ("initial_", "n_iter_", "history_")
    # Whether the loss has the factor 1/2 of a second-order expansion; gamma is a price in the loss.
    half: ClassVar[bool] = True

    n_estimators: Annotated[int, Interval(1, None), Search(50, 1000, log=True)] = 100
    learning_rate: Annotated[float, Interval(0, None, "neither"), Search(0.01, 0.5, log=True)] = 0.1
    max_leaf_nodes: Leaves | None = 31
    max_depth: Annotated[int, Interval(1, None), Search(2, 12)] | None = None
    grow_policy: Literal["lossguide", "depthwise"] = "lossguide"
    min_child_weight: NonNegative = 1.0
    min_child_samples: Count | None = None
    reg_lambda: NonNegative = 1.0
    reg_alpha: NonNegative = 0.0
    gamma: NonNegative = 0.0
    subsample: Fraction = 1.0
    colsample_bytree: Fraction = 1.0
    colsample_bynode: Fraction = 1.0
    goss: Annotated[tuple[OpenFraction, OpenFraction], Fixed("accuracy for time")] | None = None
    max_bins: Annotated[int, Interval(2, 255), Fixed("more is better; it bounds the memory")] = 255
    categorical_features: Annotated[
        Literal["from_dtype"] | list[Any] | tuple[Any, ...] | np.ndarray | None,
        Fixed("it states what the columns are"),
    ] = "from_dtype"
    cat_smooth: NonNegative = 10.0
    monotone_constraints: Annotated[
        dict[Any, Direction] | list[Direction] | tuple[Direction, ...] | np.ndarray | None,
        Fixed("it states what is known of the task"),
    ] = None
    interaction_constraints: Annotated[
        list[Features] | tuple[Features, ...] | None, Fixed("it states what is known of the task")
    ] = None
    n_iter_no_change: Annotated[int, Interval(1, None), Fixed("patience")] | None = None
    validation_fraction: Annotated[OpenFraction, Fixed("it decides what is held out")] = 0.1
    tol: Tolerance = 0.0
    warm_start: bool = False
    n_jobs: Jobs = None
    random_state: Seed = None

    def _loss(self) -> tuple[Loss, int, float, bool]:
        """Return the loss, its kernel, the kernel's option and whether its curvature is 1."""
        raise NotImplementedError

    def _start(self, loss, y, w):
        """Return the score before the first tree."""
        return loss.initial(y, w)

    def _learn_rounds(self, X, y, w, val, resume, steps):
        from zoo.engines.trees import bins as _bins
        from zoo.engines.trees import histograms
        from zoo.engines.trees import model as _model
        from zoo.engines.trees import rounds as _rounds

        # None must not draw from the generator that everybody shares.
        rng = self._random_source()
        loss, kind, option, unit = self._loss()
        n_scores = self._n_scores()
        if not (X.flags.c_contiguous or X.flags.f_contiguous):
            X = np.ascontiguousarray(X)
        if val is None and self.n_iter_no_change is not None:
            X, y, w, val = _hold_out(self, X, y, w, rng)
        p = X.shape[1]
        is_cat = find_categories(self, p)
        bins = _bins.find_bins(X, self.max_bins, is_cat, w, np.random.RandomState(0))
        limits = _rounds.Limits(
            max_leaves=self.max_leaf_nodes or 0,
            max_depth=self.max_depth or 0,
            policy=_policy(self),
            lam=self.reg_lambda,
            alpha=self.reg_alpha,
            gamma=self.gamma * (1.0 if self.half else 0.5),
            min_child_weight=self.min_child_weight,
            # Where the curvature says little of the rows, min_child_weight does this work.
            min_child_samples=self.min_child_samples or (max(1, min(20, len(X) // 50)) if unit else 1),
            cat_smooth=self.cat_smooth,
            per_node=_share(self.colsample_bynode, p),
            monotone=monotone_directions(self, p, is_cat),
            sets=constraint_sets(self, p),
        )
        if not resume:
            start = np.atleast_1d(self._start(loss, y, w)).astype(np.float64)
            self.initial_ = np.resize(start, n_scores)
            self.model_ = _model.empty_model()
            self.codes_ = [e if c else np.empty(0) for e, c in zip(bins.edges, is_cat, strict=True)]
            self.history_ = {"valid_loss": np.empty(0)}
        elif any(is_cat):
            # Trees speak of categories by number: the numbers of the first fit stay.
            for j in np.flatnonzero(is_cat):
                bins.edges[j] = self.codes_[j]
                bins.n_bins[j] = len(self.codes_[j])
        codes = _model._codes(self.codes_, is_cat)
        done = len(self.model_["root"]) // n_scores
        rounds = still_to_grow(self, done, resume)
        threads = _rounds.n_threads(self.n_jobs, len(X))
        renew = getattr(loss, "quantile", 0.5) if loss.name in ("absolute", "quantile") else None
        unit = unit and w is None and self.goss is None
        grower = _rounds.Grower(
            X, bins, limits, y=y, w=w, n_scores=n_scores, softmax=n_scores > 1, threads=threads
        )
        watch = _Watch(self, loss, val, codes)
        trees, losses = [], []

        def keep():
            """Join what was grown, so that a callback or an interrupt finds a true model."""
            outputs = [k % n_scores for k in range(len(trees))]
            self.model_ = _model.join_trees(self.model_, trees, outputs, bins)
            self.n_iter_ = len(self.model_["root"]) // n_scores
            self.history_ = {"valid_loss": np.concatenate([self.history_["valid_loss"], losses])}
            trees.clear()
            losses.clear()

        self.n_iter_ = done
        eager = bool(getattr(self, "_skl_callbacks", None))
        scores = grower.score
        scores[:] = self.initial_[:, None]
        if done:
            _model.add_predictions(self.model_, codes, X, scores, self.n_jobs)
        with grower:
            for _ in steps(rounds, "round"):
                for k in range(n_scores):
                    rows = features = None
                    if self.subsample < 1:
                        rows = np.flatnonzero(rng.uniform(size=len(X)) < self.subsample)
                        rows = rows if len(rows) else None
                    if self.colsample_bytree < 1:
                        m = _share(self.colsample_bytree, p)
                        features = np.sort(rng.choice(p, m, replace=False))
                    what = (kind, k, option)
                    if kind == histograms.OUTSIDE:
                        if k == 0:  # all trees of a round start from the same scores
                            asked = _ask(loss, y, scores)
                        _write(grower, *(a[k] for a in asked), w)
                    if self.goss is not None:
                        if kind != histograms.OUTSIDE:
                            grower.gradients(kind, k, option)
                        rows = _goss(grower, self.goss, rng)
                        what = (histograms.OUTSIDE, k, 0.0)
                    tree = grower.grow(
                        what, counted=unit, rows=rows, features=features,
                        seed=int(rng.randint(2**31)),
                    )  # fmt: skip
                    if renew is not None:
                        for node, at in grower.leaves():
                            r = y[at] - scores[k, at]
                            tree.value[node] = _quantile(r, renew, None if w is None else w[at])
                        if limits.monotone is not None:
                            _keep_order(tree, limits.monotone)
                    tree.value[:] *= self.learning_rate
                    if rows is None:
                        grower.add(tree, k)
                    else:
                        one = _model.join_trees(_model.empty_model(), [tree], [k], bins)
                        _model.add_predictions(one, codes, X, scores, self.n_jobs)
                    trees.append(tree)
                if eager or watch.active:
                    watch.add(trees[-n_scores:], bins)
                    if watch.active:
                        losses.append(watch.losses[-1])
                    if eager:
                        keep()
                    if watch.stop():
                        break
            keep()
        if watch.active and self.n_iter_no_change is not None and watch.losses:
            best = done + int(np.argmin(watch.losses)) + 1
            self.model_ = _model.drop_trees(self.model_, best * n_scores)
            self.n_iter_ = best

    def _n_outputs(self):
        return self._n_scores()

    def _check_read(self):
        super()._check_read()
        k, trees = self._n_scores(), len(self.model_["root"])
        self.initial_ = np.asarray(self.initial_, np.float64)
        finite = self.initial_.shape == (k,) and np.isfinite(self.initial_).all()
        demand(finite, f"initial_ does not hold {k} numbers")
        demand(type(self.n_iter_) is int, "n_iter_ is no whole number")
        recorded = isinstance(self.history_, dict) and set(self.history_) == {"valid_loss"}
        demand(recorded, "history_ is no record of valid_loss")
        demand(self.model_["value"].ndim == 1, "leaves hold more than one number")
        demand(trees == self.n_iter_ * k, f"it has {trees} trees instead of {self.n_iter_ * k}")
        here = np.arange(trees) % k
        demand(np.array_equal(self.model_["output"], here), "outputs of trees are not in turn")

    def _onnx_steps(self):
        loss = getattr(self, "loss", "")
        if not isinstance(loss, str):
            raise ValueError(f"{type(self).__name__}: {loss!r} cannot be written as ONNX, nor its link.")
        link = "Softmax" if hasattr(self, "classes_") else "Exp" if loss == "poisson" else "Identity"
        return [("Add", self.initial_[None])], link

    def _raw(self, X, trees=None):
        """Return scores (n_scores, n), of the first ``trees`` trees or all."""
        from zoo.engines.trees import model as _model

        out = np.empty((len(self.initial_), len(X)))
        out[:] = self.initial_[:, None]
        model = self.model_ if trees is None else _model.cut_model(self.model_, 0, trees)
        _model.add_predictions(model, self._categories(), X, out, self.n_jobs)
        return out

    def _categories(self):
        from zoo.engines.trees import model as _model

        return _model._codes(self.codes_, [len(c) > 0 for c in self.codes_])

    def _staged_raw(self, X):
        """Give the scores after each round."""
        from zoo.engines.trees import model as _model

        k = len(self.initial_)
        out = np.empty((k, len(X)))
        out[:] = self.initial_[:, None]
        codes = self._categories()
        for i in range(self.n_iter_):
            part = _model.cut_model(self.model_, i * k, (i + 1) * k)
            _model.add_predictions(part, codes, X, out, self.n_jobs)
            yield out.astype(self.dtype_)

    def importances(self, kind: Literal["gain", "split", "cover"] = "gain") -> np.ndarray:
        """Return how much each feature was used, adding to 1.

        Parameters
        ----------
        kind : {"gain", "split", "cover"}
            Fall of the loss by its splits, their number, or the curvature that passed them.

        Returns
        -------
        importances : array of shape (d,)
        """
        model = self.model_
        inner = model["feature"] >= 0
        weights = {
            "gain": model["gain"], "split": np.ones(len(inner)), "cover": model["weight"]
        }  # fmt: skip
        if kind not in weights:
            raise ValueError(f"kind={kind!r} is not known; choose one of {sorted(weights)}.")
        total = np.bincount(model["feature"][inner], weights[kind][inner], minlength=self.n_features_in_)
        return total / total.sum() if total.sum() > 0 else total

    @property
    def feature_importances_(self) -> np.ndarray:
        """Share of each feature in the fall of the loss."""
        return self.importances("gain")

    def shap_values(self, X: Any, background: Any = None) -> Explanation:
        """Return the exact Shapley values of the score (before the link).

        Parameters
        ----------
        X : table
            Rows to explain.
        background : table or None, default=None
            Rows whose values stand in for a column that is left out (interventional). None leaves
            it to the training weights of the branches (path-dependent).

        Returns
        -------
        explanation : Explanation
            ``values``, (n, d) or (n, d, outputs), and ``base``; ``base`` plus the sum of a row's
            values is the score (before the link).
        """
        from zoo.engines.trees import shap

        Z = None if background is None else self._checked(background)
        k = len(self.initial_)
        phi, base = shap.shap_values(self.model_, self._categories(), self._checked(X), k, Z, self.n_jobs)
        base = base + self.initial_
        if k == 1:
            return Explanation(values=phi[:, :, 0], base=float(base[0]))
        return Explanation(values=phi, base=base)

    def apply(self, X: Any) -> np.ndarray:
        """Return the leaf (its node's number) in which each row ends in each tree."""
        from zoo.engines.trees import model as _model

        leaves = _model.find_leaves(self.model_, self._categories(), self._checked(X), self.n_jobs)
        return leaves - self.model_["root"][None, :].astype(np.int32)


class _Watch:
    """The loss on validation data, round by round."""

    def __init__(self, estimator, loss, val, codes):
        self.active = val is not None
        self.loss, self.codes, self.losses = loss, codes, []
        self.patience, self.tol = estimator.n_iter_no_change, estimator.tol
        if self.active:
            from zoo.engines.trees import model as _model

            self.X, self.y, self.w = val
            self.scores = np.empty((len(estimator.initial_), len(self.X)))
            self.scores[:] = estimator.initial_[:, None]
            _model.add_predictions(estimator.model_, codes, self.X, self.scores)

    def add(self, trees, bins):
        if not self.active:
            return
        from zoo.engines.trees import model as _model

        part = _model.join_trees(_model.empty_model(), trees, range(len(trees)), bins)
        _model.add_predictions(part, self.codes, self.X, self.scores)
        s = self.scores[0] if len(self.scores) == 1 else self.scores.T
        self.losses.append(float(np.average(self.loss.value(self.y, s), weights=self.w)))

    def stop(self):
        if not self.active or self.patience is None or len(self.losses) <= self.patience:
            return False
        before = min(self.losses[: -self.patience])
        return min(self.losses[-self.patience :]) > before - self.tol or not np.isfinite(self.losses[-1])


def _policy(estimator):
    from zoo.engines.trees import histograms

    if estimator.max_leaf_nodes is None:
        # Without a limit on leaves the order changes nothing but the memory.
        return histograms.DEPTH_FIRST
    return histograms.BEST_FIRST if estimator.grow_policy == "lossguide" else histograms.BREADTH_FIRST


def _share(fraction, p):
    return max(1, int(fraction * p + 0.5)) if fraction < 1 else 0


def _quantile(r, q, w):
    if w is None:
        k = max(0, int(np.ceil(q * len(r) * (1 - 1e-12))) - 1)
        return float(np.partition(r, k)[k])
    return weighted_quantile(r, q, w)


def _keep_order(tree, directions):
    """Clip leaves whose values were changed, so that monotone columns stay monotone.

    As in the grower, the middle between the means of two branches parts their values.
    """
    left, mean = tree.left, tree.value.copy()
    for i in range(len(left) - 1, -1, -1):
        if left[i] != i:
            below = slice(left[i], left[i] + 2)
            mean[i] = np.average(mean[below], weights=np.maximum(tree.weight[below], 1e-300))
    low, high = np.full(len(left), -np.inf), np.full(len(left), np.inf)
    for i, l in enumerate(left):
        if l == i:
            tree.value[i] = np.clip(tree.value[i], low[i], high[i])
            continue
        low[l : l + 2], high[l : l + 2] = low[i], high[i]
        direction = directions[tree.feature[i]]
        if direction:
            lower, upper = (l, l + 1) if direction > 0 else (l + 1, l)
            high[lower] = low[upper] = np.clip(mean[l : l + 2], low[i], high[i]).mean()


def _ask(loss, y, scores):
    """Ask a loss without a kernel for gradient and curvature, (scores, n)."""
    s = scores[0] if len(scores) == 1 else np.ascontiguousarray(scores.T)
    g, h = np.asarray(loss.gradient(y, s)), np.asarray(loss.curvature(y, s))
    if g.shape != s.shape or h.shape != s.shape:
        raise ValueError(
            f"{loss!r} must return one gradient and one curvature a row and score, shape {s.shape}, but "
            f"returned shapes {g.shape} and {h.shape}."
        )
    if not (np.isfinite(g).all() and np.isfinite(h).all() and (h >= 0).all()):
        raise ValueError(
            f"{loss!r} returned a gradient that is not finite or a curvature below 0; clip them."
        )
    return (g[None], h[None]) if len(scores) == 1 else (g.T, h.T)


def _write(grower, g, h, w):
    """Hand gradient and curvature to the grower."""
    for pair in (grower.pair, grower.exact):
        if len(pair):
            pair[:, 0] = g if w is None else g * w
            pair[:, 1] = h if w is None else h * w


def _goss(grower, rates, rng):
    """Keep the rows of large gradient and a weighted sample of the others."""
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


def _hold_out(estimator, X, y, w, rng):
    """Split rows off for early stopping; of every class some, where there are classes."""
    from sklearn.model_selection import train_test_split

    labels = y if hasattr(estimator, "classes_") else None
    if labels is not None and np.bincount(labels).min() < 2:
        labels = None
    n = len(X)
    size = max(1, round(estimator.validation_fraction * n))
    if labels is not None:
        size = max(size, len(np.unique(labels)))
    if n - size < (1 if labels is None else len(np.unique(labels))):
        raise ValueError(
            f"{type(estimator).__name__}: {n} rows are too few to hold out "
            f"validation_fraction={estimator.validation_fraction} of them; give X_val and y_val."
        )
    a, b = train_test_split(np.arange(n), test_size=size, stratify=labels, random_state=rng.randint(2**31))
    return X[a], y[a], None if w is None else w[a], (X[b], y[b], None if w is None else w[b])
