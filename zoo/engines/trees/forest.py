"""Trees grown to purity, one or many: what decision trees and forests share."""

import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from zoo.contract.inputs import Input, Table
from zoo.contract.params import Count, Fixed, Interval, Jobs, NonNegative, Search, Seed
from zoo.engines.trees.checks import check_rows, demand
from zoo.engines.trees.columns import Explanation, find_categories
from zoo.engines.trees.portable import Portable

DRAWS_ROWS = (
    "a bootstrap draws rows, not weights; RandomForestClassifier and RandomForestRegressor of "
    "scikit-learn carry the same excuse"
)
Share = Annotated[float, Interval(0, 1, "right"), Search(0.1, 1.0)]


class Growing(Portable, abstract=True):
    """Grow trees that lower an impurity, until nothing is left to part."""

    input: ClassVar[Input] = Table(missing=True, categories=True)

    max_depth: Annotated[int, Interval(1, None), Search(2, 30)] | None = None
    max_leaf_nodes: Annotated[int, Interval(2, None), Search(4, 1024, log=True)] | None = None
    min_samples_split: Annotated[int, Interval(2, None), Search(2, 50, log=True)] = 2
    min_samples_leaf: Annotated[int, Interval(1, None), Search(1, 50, log=True)] = 1
    min_weight_fraction_leaf: Annotated[float, Interval(0, 0.5), Search(0.0, 0.1)] = 0.0
    min_impurity_decrease: NonNegative = 0.0
    max_features: Literal["sqrt", "log2"] | Share | Count | None = None
    splitter: Literal["best", "random"] = "best"
    max_bins: Annotated[int, Interval(2, 255), Fixed("more is better")] | None = None
    categorical_features: Annotated[
        Literal["from_dtype"] | list[Any] | tuple[Any, ...] | np.ndarray | None,
        Fixed("it states what the columns are"),
    ] = "from_dtype"
    random_state: Seed = None

    learned: ClassVar[tuple[str, ...]] = ("feature_importances_",)

    def _targets(self, y):
        """Return ``_plant.Targets``."""
        raise NotImplementedError

    def _onnx_steps(self):
        if isinstance(getattr(self, "classes_", None), list):
            raise ValueError(
                f"{type(self).__name__}: y of several columns of labels cannot be written as ONNX; fit "
                "one model a column."
            )
        return [("Div", float(len(self.model_["root"])))], "Identity"

    def _n_outputs(self):
        if not hasattr(self, "classes_"):
            return self.model_["value"].shape[-1]
        if isinstance(self.classes_, list):
            # Where every column has two classes one number each says it all.
            sizes = [len(k) for k in self.classes_]
            return sum(sizes)
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _check_read(self):
        super()._check_read()
        several = self.model_["value"].ndim == 2 and self.model_["value"].shape[1] == self._n_outputs()
        demand(several, f"leaves do not hold {self._n_outputs()} values")
        demand(len(self.model_["root"]) > 0, "it has no trees")
        each = np.shape(self.feature_importances_) == (self.n_features_in_,)
        demand(each, "feature_importances_ are not one a feature")

    def _rules(self, targets, w, p, seed):
        from zoo.engines.trees import records

        features = {
            "sqrt": max(1, int(np.sqrt(p))), "log2": max(1, int(np.log2(p))), None: p
        }  # fmt: skip
        k = self.max_features
        if k is None or isinstance(k, str):
            k = features[k]
        elif isinstance(k, float):
            k = max(1, int(k * p))
        return records.Rules(
            criterion=targets.criterion,
            max_depth=self.max_depth or 0,
            max_leaves=self.max_leaf_nodes or 0,
            max_features=min(int(k), p),
            min_split=self.min_samples_split,
            min_leaf=self.min_samples_leaf,
            min_weight=self.min_weight_fraction_leaf * w.sum(),
            min_gain=self.min_impurity_decrease * w.sum(),
            random_cut=self.splitter == "random",
            seed=seed,
            slack=0.0,
        )

    def _prepare(self, X, y, w):
        """Code the table and the targets."""
        from zoo.engines.trees import codes as _codes

        is_cat = find_categories(self, X.shape[1])
        squared = self.criterion == "squared_error" and y.ndim == 1
        plot = _codes.make_plot(X, self.max_bins, is_cat, w, squared)
        self.codes_ = [e if c else np.empty(0) for e, c in zip(plot.edges, is_cat, strict=True)]
        return plot, self._targets(y)

    def _importances(self, trees, p):
        """Mean over the trees of each column's share in the fall of the impurity."""
        total = np.zeros(p)
        for tree in trees:
            inner = tree.feature >= 0
            own = np.bincount(tree.feature[inner], tree.gain[inner], minlength=p)
            total += own / own.sum() if own.sum() > 0 else own
        return total / total.sum() if total.sum() > 0 else total

    def _categories(self):
        from zoo.engines.trees import model

        return model._codes(self.codes_, [len(c) > 0 for c in self.codes_])

    def _mean(self, X):
        """Return the mean value of the leaves of each row, (n, v)."""
        from zoo.engines.trees import codes as _codes

        m = _codes.mean_prediction(self.model_, self._categories(), X, getattr(self, "n_jobs", 1))
        return m.astype(self.dtype_)

    def shap_values(self, X: Any, background: Any = None) -> Explanation:
        """Return the exact Shapley values of the prediction.

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
            values is the prediction.
        """
        from zoo.engines.trees import shap

        Z = None if background is None else self._checked(background)
        width, trees = self.model_["value"].shape[1], len(self.model_["root"])
        phi, base = shap.shap_values(
            self.model_, self._categories(), self._checked(X), width, Z,
            getattr(self, "n_jobs", 1),
        )  # fmt: skip
        phi, base = phi / trees, base / trees
        if width > 1:
            return Explanation(values=phi, base=base)
        if hasattr(self, "classes_"):
            # One number is kept for two classes: what moves one moves the other back.
            values = np.concatenate([-phi, phi], axis=2)
            return Explanation(values=values, base=np.append(1 - base, base))
        return Explanation(values=phi[:, :, 0], base=float(base[0]))

    def apply(self, X: Any) -> np.ndarray:
        """Return the leaf (its node's number) in which each row ends, in each tree."""
        from zoo.engines.trees import model

        leaves = model.find_leaves(
            self.model_, self._categories(), self._checked(X), getattr(self, "n_jobs", 1)
        )
        leaves -= self.model_["root"][None, :].astype(np.int32)
        return leaves if hasattr(self, "n_estimators") else leaves[:, 0]


def still_to_grow(estimator, done, resume):
    """How many trees (rounds) a fit has to add to those that are done."""
    if not (resume and estimator.warm_start):
        return estimator.n_estimators
    if estimator.n_estimators < done:
        raise ValueError(
            f"{type(estimator).__name__}: n_estimators={estimator.n_estimators}, but {done} are there and "
            "warm_start=True only adds; give as many or more, or fit with warm_start=False."
        )
    return estimator.n_estimators - done


def _in_turn(make, seeds, threads):
    """Yield make(seed) in order; threads work a little ahead, so that a stop wastes few."""
    if threads == 1:
        # A thread of its own would get memory of its own, which is not given back.
        yield from map(make, seeds)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(make, s) for s in seeds[: 2 * threads])
        try:
            for i in range(len(seeds)):
                yield ahead.popleft().result()
                if i + 2 * threads < len(seeds):
                    ahead.append(pool.submit(make, seeds[i + 2 * threads]))
        finally:
            for future in ahead:
                future.cancel()


class Forest(Growing, abstract=True):
    """Many trees, each on a bootstrap sample with few columns a node; their mean is the answer.

    Parameters
    ----------
    n_estimators : int, default=100
        Trees.
    max_depth : int or None, default=None
        Most cuts between root and leaf.
    max_leaf_nodes : int or None, default=None
        Most leaves of a tree; the leaf that gains most is cut first.
    min_samples_split, min_samples_leaf : int, default=2 and 1
        Fewest rows of a region that is cut, and of a leaf.
    min_weight_fraction_leaf : float, default=0.0
        Least share of the weight in a leaf.
    min_impurity_decrease : float, default=0.0
        Least fall of the impurity, times the region's share of the weight.
    splitter : {"best", "random"}, default="best"
        "random" draws one cut a column, evenly over the codes of the region; with
        ``bootstrap=False`` that is extremely randomised trees.
    bootstrap : bool, default=True
        Whether a tree draws its rows with replacement; else it sees all.
    max_samples : float or None, default=None
        Share of the rows that a tree draws; None is as many as there are.
    oob_score : bool, default=False
        Whether to predict each row by the trees that did not see it.
    max_bins : int or None, default=None
        Values that a column is rounded to; None cuts between any two values up to 10,000 rows
        (50,000 rows and 500,000 cells where y is one column of numbers whose squared error counts).
        Beyond, neighbouring values are one where they hold no more than one row in 8,000, and large
        regions try no more than 2,000 cuts of a column.
    categorical_features : "from_dtype", sequence or None, default="from_dtype"
        Columns without order, by number, name or mask; those that a DataFrame declares always are.
    warm_start : bool, default=False
        Whether fit adds trees to those that are there.
    n_jobs : int or None, default=None
        Threads; None means all. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        Seed of samples, columns and cuts.

    Attributes
    ----------
    model_ : dict of arrays
        The trees.
    feature_importances_ : array of shape (d,)
        Mean decrease in impurity (MDI): share of each column.
    """

    excused: ClassVar[dict[str, str]] = {"check_sample_weight_equivalence_on_dense_data": DRAWS_ROWS}

    learned: ClassVar[tuple[str, ...]] = ("feature_importances_", "seeds_", "n_drawn_", "n_samples_fit_")

    n_estimators: Annotated[int, Interval(1, None), Search(50, 1000, log=True)] = 100
    bootstrap: bool = True
    max_samples: Share | None = None
    oob_score: bool = False
    warm_start: bool = False
    n_jobs: Jobs = None

    def _check_read(self):
        super()._check_read()
        trees, whole = len(self.model_["root"]), (self.seeds_, self.n_drawn_)
        each = all(np.shape(a) == (trees,) and a.dtype == np.int64 and a.min() >= 0 for a in whole)
        demand(each, "seeds_ and n_drawn_ are not one a tree")
        demand(type(self.n_samples_fit_) is int and self.n_samples_fit_ > 0, "n_samples_fit_ is no count")
        if "rows_" in vars(self):
            check_rows(self.rows_, self.model_)

    def _n_drawn(self, n):
        """Return how many rows a tree draws; 0 means that it takes each once."""
        if not self.bootstrap:
            return 0
        return n if self.max_samples is None else max(1, round(self.max_samples * n))

    def _learn_forest(self, X, y, w, resume, steps):
        from zoo.engines.trees import bags, model
        from zoo.engines.trees import codes as _codes

        if self.oob_score and not self.bootstrap:
            raise ValueError(
                f"{type(self).__name__}: oob_score needs bootstrap=True, since without it no row "
                "is left out; set one of them."
            )
        if self.max_samples is not None and not self.bootstrap:
            raise ValueError(
                f"{type(self).__name__}: max_samples={self.max_samples!r} says how many rows a "
                "bootstrap draws, but bootstrap=False; set one of them."
            )
        rng = self._random_source()
        n, p = X.shape
        plot, targets = self._prepare(X, y, w)
        weight = np.ones(n) if w is None else np.asarray(w, np.float64)
        if not resume:
            self.model_ = model.empty_model()
            self.feature_importances_ = np.zeros(p)
            self.seeds_, self.n_drawn_ = np.empty(0, np.int64), np.empty(0, np.int64)
        done = len(self.seeds_)
        more = still_to_grow(self, done, resume)
        seeds = rng.randint(2**31 - 1, size=done + more)[done:]
        self.n_samples_fit_, m = n, self._n_drawn(n)

        def one(seed):
            own = bags.bag(seed, n, m) * weight
            return _codes.grow(plot, targets, own, self._rules(targets, own, p, int(seed)))

        stand, shares = _codes.Stand(self.model_, self.dtype_), []
        trees = _in_turn(one, seeds, min(_codes.cores(self.n_jobs), max(1, len(seeds))))
        for _ in steps(len(seeds), "tree"):
            tree = next(trees)
            shares.append(self._importances([tree], p))
            # Only weight is asked for later: gain and counts of millions of nodes are let go.
            stand.add(tree._replace(gain=np.empty(0), count=np.empty(0)))
        trees.close()
        old = self.feature_importances_ * done
        grown = done + len(shares)
        total = np.sum(shares, axis=0) if shares else np.zeros(p)
        whole = total / total.sum() if total.sum() > 0 else total
        self.feature_importances_ = (old + whole * len(shares)) / max(grown, 1)
        self.model_ = stand.model()
        self.seeds_ = np.concatenate([self.seeds_, seeds[: len(shares)]]).astype(np.int64)
        self.n_drawn_ = np.append(self.n_drawn_, np.full(len(shares), m))
        if self.oob_score:
            self._set_oob(X, y, self._voted_out_of_bag(X), w)

    def _out_of_bag(self, X):
        """Mean over the trees that did not see a row, (n, v); nan where all saw it."""
        from zoo.engines.trees import bags, model

        n = len(X)
        total = np.zeros((n, self.model_["value"].shape[1]))
        seen = np.zeros(n)
        codes = self._categories()
        for t, (seed, m) in enumerate(zip(self.seeds_, self.n_drawn_, strict=True)):
            out = bags.bag(seed, n, m) == 0
            part = model.cut_model(self.model_, t, t + 1)
            leaf = model.find_leaves(part, codes, X[out], self.n_jobs)[:, 0]
            total[out] += self.model_["value"][leaf]
            seen += out
        with np.errstate(invalid="ignore"):
            return total / seen[:, None]

    def _voted_out_of_bag(self, X):
        """``_out_of_bag``, which warns of rows that no tree left out and fails where no row was."""
        out = self._out_of_bag(X)
        silent = int(np.isnan(out[:, 0]).sum())
        if silent == len(out):
            raise ValueError(
                f"{type(self).__name__}: oob_score=True, but each of the {len(out)} rows was drawn by every "
                "tree, so none has an out-of-bag prediction; grow more trees or set max_samples below 1."
            )
        if silent:
            warnings.warn(
                f"{type(self).__name__}: {silent} of {len(out)} rows were drawn by every tree; they have no "
                "out-of-bag prediction (nan) and no part in oob_score_; grow more trees.",
                UserWarning,
                stacklevel=2,
            )
        return out

    def _errors(self, values, y):
        """Return the error of each row, given the value of its leaf and its target."""
        raise NotImplementedError

    def oob_importances(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Measure how much worse trees predict rows they did not see when a column is permuted.

        This is the mean decrease in accuracy (MDA). Unlike MDI it does not favour columns of many
        values, and a column of noise gets about 0; columns that say the same share what they say.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``
            The training data.

        Returns
        -------
        importances : Bunch
            ``importances``, (d, trees): the rise of the share of wrong labels, or of the mean
            squared error; ``importances_mean`` and ``importances_std`` over the trees.
        """
        from zoo.engines.trees import bags

        check_is_fitted(self)
        data = self._check_training(X, y, sample_weight, resume=True, classes=None)
        X, y, w = data["X"], data["y"], data["w"]
        n = len(X)
        if n != self.n_samples_fit_ or not self.n_drawn_.any():
            raise ValueError(
                f"{type(self).__name__}: oob_importances needs the {self.n_samples_fit_} rows of the "
                f"fit, and bootstrap=True there; got {n} rows."
            )

        def error(values, rows):
            return np.average(self._errors(values, y[rows]), weights=None if w is None else w[rows])

        rise = bags.permuted_errors(
            self.model_, self._categories(), X, lambda t: bags.bag(self.seeds_[t], n, self.n_drawn_[t]),
            self.seeds_, error, self.n_jobs,
        )  # fmt: skip
        return Bunch(
            importances=rise,
            importances_mean=np.nanmean(rise, axis=1),
            importances_std=np.nanstd(rise, axis=1),
        )
