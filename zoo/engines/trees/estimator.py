"""The scikit-learn side of trees: what single trees, forests, boosting and AdaBoost declare and share.

The work is done elsewhere in this engine, on arrays: ``record_grower`` and ``histogram_grower`` grow,
``forest`` and ``boosting`` repeat it, ``model`` holds what was grown and answers for it.
"""

import json
import warnings
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from zoo.contract.declaring import field
from zoo.contract.estimator import Estimator
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
from zoo.engines.trees import json_text
from zoo.engines.trees.checks import check_categories, check_model, check_outputs, check_rows, demand
from zoo.engines.trees.columns import Explanation, constraint_sets, find_categories, monotone_directions

DRAWS_ROWS = (
    "a bootstrap draws rows, not weights; RandomForestClassifier and RandomForestRegressor of "
    "scikit-learn carry the same excuse"
)
Share = Annotated[float, Interval(0, 1, "right"), Search(0.1, 1.0)]
Portion = Annotated[float, Interval(0, 1, "neither"), Fixed("a number of rows says the same")]
Leaves = Annotated[int, Interval(2, None), Search(4, 256, log=True)]
Column = Whole | str
Features = list[Column] | tuple[Column, ...]
Direction = Annotated[int, Interval(-1, 1)]
Directions = Annotated[
    dict[Any, Direction] | list[Direction] | tuple[Direction, ...] | np.ndarray | None,
    Fixed("it states what is known of the task"),
]
Categories = Annotated[
    Literal["from_dtype"] | list[Any] | tuple[Any, ...] | np.ndarray | None,
    Fixed("it states what the columns are"),
]


class Trees(Estimator, abstract=True):
    """A model of trees: it explains itself, says where rows end, and goes to files and other programs."""

    input: ClassVar[Input] = Table(sparse=True, missing=True, categories=True)

    # Fitted attributes that are written beside the trees; those of later fits alone are not.
    learned: ClassVar[tuple[str, ...]] = ()

    def _n_outputs(self) -> int:
        """Return how many numbers the trees add to."""
        raise NotImplementedError

    def _trees(self) -> Any:
        """Return the fitted trees as what can be asked."""
        from zoo.engines.trees.model import TreeModel

        return TreeModel(self.model_, self.codes_, self._n_outputs(), getattr(self, "n_jobs", 1))

    def _has_trees(self) -> bool:
        return True

    # -- what the trees tell -----------------------------------------------------------------------

    @available_if(lambda self: self._has_trees())
    def shap_values(self, X: Any, background: Any = None) -> Explanation:
        """Return the exact Shapley values of what the trees say: which column moved it, and how far.

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
            values is the prediction of a tree or forest (the probabilities, of a classifier), and
            the score before the link of boosting and AdaBoost.
        """
        Z = None if background is None else self._checked(background)
        return self._explanation(*self._trees().shap_values(self._checked(X), Z))

    def _explanation(self, values: np.ndarray, base: np.ndarray) -> Explanation:
        """Turn what moves the sum of the trees, (n, d, outputs), into what moves the answer."""
        if len(base) == 1:
            return Explanation(values=values[:, :, 0], base=float(base[0]))
        return Explanation(values=values, base=base)

    @available_if(lambda self: self._has_trees())
    def apply(self, X: Any) -> np.ndarray:
        """Return the leaf (its node's number) in which each row ends, in each tree."""
        X = self._checked(X)
        leaves: np.ndarray = self._trees().leaves(X) - self.model_["root"][None, :].astype(np.int32)
        return leaves

    def _one_tree(self, t: int) -> Any:
        """Return one tree as ``tree_arrays.TreeArrays``."""
        from zoo.engines.trees.model import pick_tree
        from zoo.engines.trees.tree_arrays import TreeArrays

        n = len(self.model_["root"])
        if not 0 <= t < n:
            raise ValueError(
                f"{type(self).__name__} has {n} trees, but tree {t} was asked for; give a number from 0 to "
                f"{n - 1}."
            )
        one = pick_tree(self.model_, t)
        trees = self._trees().like(one)
        return TreeArrays(trees, *self._node_values(one))

    def _node_values(self, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, list[int], np.ndarray | None]:
        """Return values of nodes, (nodes, outputs, classes), numbers of classes, and impurities or None."""
        value = arrays["value"].reshape(len(arrays["left"]), -1, 1)
        return value, [1] * value.shape[1], None

    # -- files and other programs ------------------------------------------------------------------

    def to_json(self) -> str:
        """Write the fitted model as JSON: parameters, columns, classes and trees.

        Returns
        -------
        text : str
            One object, described at the top of ``zoo.engines.trees.json_text``; ``from_json`` of the
            same class reads it. What only later fits and out-of-bag estimates need is left out.
        """
        check_is_fitted(self)
        return json.dumps(json_text.write(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a model that ``to_json`` wrote; its predictions are the same to the last bit.

        Parameters
        ----------
        text : str
            What ``to_json`` returned.

        Returns
        -------
        model : fitted estimator
        """
        estimator: Self = json_text.read(cls, text)
        return estimator

    def to_onnx(self) -> Any:
        """Write the fitted model as an ONNX graph; needs the package ``onnx``.

        X is given as float64, categories as the numbers of ``codes_``; the graph gives
        ``prediction``, or ``label`` and ``probabilities``, equal to those here up to rounding.

        Returns
        -------
        model : onnx.ModelProto
            ``model.SerializeToString()`` is what a runtime loads.
        """
        from zoo.engines.trees.onnx_graph import to_onnx

        check_is_fitted(self)
        return to_onnx(self)

    def _onnx_steps(self) -> tuple[list[tuple[str, Any]], str]:
        """Return what follows the sum of the trees: operators with a constant, and the link."""
        raise NotImplementedError

    def _check_read(self) -> None:
        """Raise where what was read does not fit together."""
        check_categories(self.codes_, self.n_features_in_)
        check_model(self.model_, self.n_features_in_)
        check_outputs(self.model_, self._n_outputs())

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state that was saved, where kernels can follow its trees."""
        super().__setstate__(state)
        if not self.__sklearn_is_fitted__():
            return
        try:
            self._check_read()
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"{type(self).__name__}: the saved trees are damaged: {error}; fit and save them again."
            ) from error

    # -- fitting -----------------------------------------------------------------------------------

    def _still_to_grow(self, done: int, resume: bool) -> int:
        """Return how many trees (rounds) a fit has to add to those that are done."""
        n: int = self.n_estimators
        if not (resume and self.warm_start):
            return n
        if n < done:
            raise ValueError(
                f"{type(self).__name__}: n_estimators={n}, but {done} are there and warm_start=True only "
                "adds; give as many or more, or fit with warm_start=False."
            )
        return n - done


class Growing(Trees, abstract=True):
    """Grow trees that lower an impurity, until nothing is left to part."""

    max_depth: Annotated[int, Interval(1, None), Search(2, 30)] | None = None
    max_leaf_nodes: Annotated[int, Interval(2, None), Search(4, 1024, log=True)] | None = None
    min_samples_split: Annotated[int, Interval(2, None), Search(2, 50, log=True)] | Portion = 2
    min_samples_leaf: Annotated[int, Interval(1, None), Search(1, 50, log=True)] | Portion = 1
    min_weight_fraction_leaf: Annotated[float, Interval(0, 0.5), Search(0.0, 0.1)] = 0.0
    min_impurity_decrease: NonNegative = 0.0
    max_features: Literal["sqrt", "log2"] | Share | Count | None = None
    splitter: Literal["best", "random"] = "best"
    ccp_alpha: NonNegative = 0.0
    monotonic_cst: Directions = None
    max_bins: Annotated[int, Interval(2, 255), Fixed("more is better")] | None = None
    categorical_features: Categories = "from_dtype"
    random_state: Seed = None

    learned: ClassVar[tuple[str, ...]] = ("feature_importances_",)

    def _targets(self, y: np.ndarray) -> Any:
        """Return ``targets.Targets``."""
        raise NotImplementedError

    def _onnx_steps(self) -> tuple[list[tuple[str, Any]], str]:
        if isinstance(getattr(self, "classes_", None), list):
            raise ValueError(
                f"{type(self).__name__}: y of several columns of labels cannot be written as ONNX; fit "
                "one model a column."
            )
        return [("Div", float(len(self.model_["root"])))], "Identity"

    def _n_outputs(self) -> int:
        if not hasattr(self, "classes_"):
            return int(self.model_["value"].shape[-1])
        if isinstance(self.classes_, list):
            return sum(len(k) for k in self.classes_)
        # Of two classes one number says it all.
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _check_read(self) -> None:
        super()._check_read()
        held = self.model_["value"].shape[1:]
        demand(held == (self._n_outputs(),), f"leaves do not hold {self._n_outputs()} values")
        demand(len(self.model_["root"]) > 0, "it has no trees")
        each = np.shape(self.feature_importances_) == (self.n_features_in_,)
        demand(each, "feature_importances_ are not one a feature")

    def _n_tried(self, p: int) -> int:
        """Return how many of p columns a region may try."""
        k: Any = self.max_features
        if k is None:
            return p
        if isinstance(k, str):
            return max(1, int({"sqrt": np.sqrt, "log2": np.log2}[k](p)))
        return max(1, int(k * p)) if isinstance(k, float) else min(int(k), p)

    def _rules(self, targets: Any, w: np.ndarray, p: int, seed: int) -> Any:
        """Return when to stop and what to try, for one tree."""
        from zoo.engines.trees import records

        return records.Rules(
            criterion=targets.criterion,
            max_depth=self.max_depth or 0,
            max_leaves=self.max_leaf_nodes or 0,
            max_features=self._n_tried(p),
            min_split=_as_rows(self.min_samples_split, len(w), 2),
            min_leaf=_as_rows(self.min_samples_leaf, len(w), 1),
            min_weight=self.min_weight_fraction_leaf * w.sum(),
            min_gain=self.min_impurity_decrease * w.sum(),
            random_cut=self.splitter == "random",
            seed=seed,
            slack=0.0,
        )

    def _prepare(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> tuple[Any, Any]:
        """Code the table and the targets."""
        from zoo.engines.trees.coding import code_table

        is_cat = find_categories(self, X.shape[1])
        squared = self.criterion == "squared_error" and y.ndim == 1
        table = code_table(X, self.max_bins, is_cat, w, squared)
        self.codes_ = [e if c else np.empty(0) for e, c in zip(table.edges, is_cat, strict=True)]
        return table, self._targets(y)

    def _directions(self, targets: Any, is_cat: np.ndarray) -> np.ndarray | None:
        """Return the directions of monotone columns, or None."""
        directions = monotone_directions(self, len(is_cat), is_cat, "monotonic_cst")
        if directions is None:
            return None
        if targets.packed.shape[1] > 1 or len(targets.classes):
            raise ValueError(
                f"{type(self).__name__}: monotonic_cst needs one prediction that rises or falls, but y has "
                "several columns or more than two classes; leave it at None."
            )
        if self.criterion == "absolute_error":
            raise ValueError(
                f"{type(self).__name__}: criterion='absolute_error' knows no monotonic_cst; take another "
                "criterion."
            )
        return directions

    def _mean(self, X: np.ndarray) -> np.ndarray:
        """Return the mean value of the leaves of each row, (n, v)."""
        mean: np.ndarray = self._trees().mean(X)
        return mean.astype(self.dtype_)

    def _explanation(self, values: np.ndarray, base: np.ndarray) -> Explanation:
        trees = len(self.model_["root"])
        values, base = values / trees, base / trees
        if len(getattr(self, "classes_", ())) == 2 and len(base) == 1:
            # One number is kept for two classes: what moves one moves the other back.
            values = np.concatenate([-values, values], axis=2)
            return Explanation(values=values, base=np.append(1 - base, base))
        return super()._explanation(values, base)


    def _node_values(self, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, list[int], np.ndarray | None]:
        if not hasattr(self, "classes_"):
            value, sizes, _ = super()._node_values(arrays)
            return value, sizes, getattr(self, "impurities_", None)
        from zoo.engines.trees.targets import by_column, impurity

        columns = by_column(arrays["value"].astype(np.float64), self.classes_)
        columns = columns if isinstance(columns, list) else [columns]
        sizes = [own.shape[1] for own in columns]
        value = np.zeros((len(arrays["left"]), len(sizes), max(sizes)))
        for j, own in enumerate(columns):
            value[:, j, : own.shape[1]] = own
        return value, sizes, impurity(np.hstack(columns), self.classes_, self.criterion)

    def decision_path(self, X: Any) -> Any:
        """Return which nodes each row passes.

        Parameters
        ----------
        X : table
            Rows.

        Returns
        -------
        passed : sparse matrix of shape (n, nodes)
            1 where a row passes a node. Of a forest a pair: the nodes of all trees side by side, and where
            those of each tree begin and the last ones end.
        """
        from zoo.engines.trees.tree_arrays import passed_nodes

        return passed_nodes(self.model_["left"], self._trees().leaves(self._checked(X)))

    @property
    def n_outputs_(self) -> int:
        """Columns of y."""
        check_is_fitted(self)
        return self._one_tree(0).n_outputs

    @property
    def max_features_(self) -> int:
        """Columns that a region may try."""
        check_is_fitted(self)
        return self._n_tried(self.n_features_in_)


def _as_rows(wanted: int | float, n: int, least: int) -> int:
    """Return a number of rows, given as such or as a share of n."""
    return max(least, int(np.ceil(wanted * n))) if isinstance(wanted, float) else int(wanted)


class Single(Growing, abstract=True):
    """One tree, which can be pruned.

    Parameters
    ----------
    max_depth : int or None, default=None
        Most cuts between root and leaf.
    max_leaf_nodes : int or None, default=None
        Most leaves; the leaf that gains most is cut first.
    min_samples_split, min_samples_leaf : int or float, default=2 and 1
        Fewest rows of a region that is cut, and of a leaf; a float is a share of the rows.
    min_weight_fraction_leaf : float, default=0.0
        Least share of the weight in a leaf.
    max_features : "sqrt", "log2", int, float or None, default=None
        Columns that a region may try; None is all.
    splitter : {"best", "random"}, default="best"
        "random" draws one cut a column, evenly over the codes of the region (extremely randomised).
    monotonic_cst : dict or sequence of -1, 0, 1, default=None
        Columns in which the prediction (of two classes: the probability of the second) must not rise
        (-1) or fall (1). Growing takes longer.
    max_bins : int or None, default=None
        Values that a column is rounded to; None cuts between any two values up to 10,000 rows
        (50,000 rows and 500,000 cells where y is one column of numbers whose squared error counts).
        Beyond, neighbouring values are one where they hold no more than one row in 8,000, and large
        regions try no more than 2,000 cuts of a column.
    categorical_features : "from_dtype", sequence or None, default="from_dtype"
        Columns without order, by number, name or mask; those that a DataFrame declares always are.
    random_state : int, RandomState or None, default=None
        Seed of drawn columns and cuts.

    Attributes
    ----------
    model_ : dict of arrays
        The tree.
    codes_ : list of arrays
        Known categories of each column.
    """

    def _learn_tree(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        from zoo.engines.trees import forest, model, pruning, record_grower

        seed = int(self._random_source().randint(2**31 - 1))
        table, targets = self._prepare(X, y, w)
        w = np.ones(X.shape[0]) if w is None else np.asarray(w, np.float64)
        directions = self._directions(targets, table.is_cat != 0)
        rules = self._rules(targets, w, X.shape[1], seed)
        tree = record_grower.grow(table, targets, w, rules, directions)
        if self.ccp_alpha > 0:
            self.model_ = model.join_grown(model.empty_model(), [tree], self.dtype_)
            tree = pruning.prune(tree, self._risks(X, y, w), self.ccp_alpha)
        self.feature_importances_ = forest.fall_by_column([tree], X.shape[1])
        self.model_ = model.join_grown(model.empty_model(), [tree], self.dtype_)

    def _risks(self, X: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the impurity of each node times its share of the weight."""
        from zoo.engines.trees import pruning

        risks: np.ndarray = pruning.mean_risks(self._trees(), X, w, self._moments(y), self._impurity)
        return risks

    def _check_read(self) -> None:
        super()._check_read()
        demand(len(self.model_["root"]) == 1, "it is not one tree")

    @property
    def tree_(self) -> Any:
        """The tree in the arrays that scikit-learn's users know: children_left, threshold, value ..."""
        check_is_fitted(self)
        return self._one_tree(0)

    def _moments(self, y: np.ndarray) -> np.ndarray:
        """Return what ``_impurity`` needs the means of, (n, m)."""
        raise NotImplementedError

    def _impurity(self, means: np.ndarray) -> np.ndarray:
        """Return the impurity of nodes with these means."""
        raise NotImplementedError

    def apply(self, X: Any) -> np.ndarray:
        """Return the leaf (its node's number) in which each row ends."""
        leaves: np.ndarray = super().apply(X)[:, 0]
        return leaves

    def cost_complexity_pruning_path(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Find the prices of a leaf at which the best pruned tree changes.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``
            Training data.

        Returns
        -------
        path : Bunch
            ``ccp_alphas``, rising from 0, and the ``impurities`` of the trees' leaves.
        """
        from zoo.engines.trees.pruning import weakest_links

        tree = clone(self).set_params(ccp_alpha=0.0).fit(X, y, sample_weight=sample_weight)
        data = tree._check_training(X, y, sample_weight, resume=True, classes=None)
        w = np.ones(len(data["X"])) if data["w"] is None else np.asarray(data["w"], np.float64)
        risk = tree._risks(data["X"], data["y"], w)
        leaf = tree.model_["feature"] < 0
        alphas, impurities = [0.0], [float(risk[leaf].sum())]
        for alpha, impurity, _ in weakest_links(tree.model_["left"], risk):
            alphas.append(alpha)
            impurities.append(impurity)
        return Bunch(ccp_alphas=np.array(alphas), impurities=np.array(impurities))

    def get_depth(self) -> int:
        """Return the number of cuts between the root and the deepest leaf."""
        check_is_fitted(self)
        return int(self.model_["depth"][0])

    def get_n_leaves(self) -> int:
        """Return the number of leaves."""
        check_is_fitted(self)
        return int((self.model_["feature"] < 0).sum())


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
    min_samples_split, min_samples_leaf : int or float, default=2 and 1
        Fewest rows of a region that is cut, and of a leaf; a float is a share of the rows.
    min_weight_fraction_leaf : float, default=0.0
        Least share of the weight in a leaf.
    min_impurity_decrease : float, default=0.0
        Least fall of the impurity, times the region's share of the weight.
    ccp_alpha : float, default=0.0
        Price of a leaf: each tree is pruned to the smallest one that minimises impurity plus
        ``ccp_alpha`` times its leaves.
    splitter : {"best", "random"}, default="best"
        "random" draws one cut a column, evenly over the codes of the region; with
        ``bootstrap=False`` that is extremely randomised trees.
    bootstrap : bool, default=True
        Whether a tree draws its rows with replacement; else it sees all.
    max_samples : int, float or None, default=None
        How many rows a tree draws, or which share of them; None is as many as there are.
    oob_score : bool, default=False
        Whether to predict each row by the trees that did not see it.
    monotonic_cst : dict or sequence of -1, 0, 1, default=None
        Columns in which the prediction (of two classes: the probability of the second) must not rise
        (-1) or fall (1). Growing takes longer.
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

    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": DRAWS_ROWS,
        "check_sample_weight_equivalence_on_sparse_data": DRAWS_ROWS,
    }

    learned: ClassVar[tuple[str, ...]] = ("feature_importances_", "seeds_", "n_drawn_", "n_samples_fit_")

    n_estimators: Annotated[int, Interval(1, None), Search(50, 1000, log=True)] = field(
        default=100, kw_only=False
    )
    bootstrap: Annotated[bool, Fixed("max_samples is nothing without it; search one of them")] = True
    max_samples: Share | Count | None = None
    oob_score: Annotated[bool, Fixed("it adds an estimate and changes no prediction")] = False
    warm_start: bool = False
    n_jobs: Jobs = None

    def _check_read(self) -> None:
        super()._check_read()
        trees, whole = len(self.model_["root"]), (self.seeds_, self.n_drawn_)
        each = all(np.shape(a) == (trees,) and a.dtype == np.int64 and a.min() >= 0 for a in whole)
        demand(each, "seeds_ and n_drawn_ are not one a tree")
        demand(type(self.n_samples_fit_) is int and self.n_samples_fit_ > 0, "n_samples_fit_ is no count")
        if "rows_" in vars(self):
            check_rows(self.rows_, self.model_)

    def _n_drawn(self, n: int) -> int:
        """Return how many rows a tree draws; 0 means that it takes each once."""
        name, m = type(self).__name__, self.max_samples
        if not self.bootstrap:
            if self.oob_score:
                raise ValueError(
                    f"{name}: oob_score needs bootstrap=True, since without it no row is left out; set one "
                    "of them."
                )
            if m is not None:
                raise ValueError(
                    f"{name}: max_samples={m!r} says how many rows a bootstrap draws, but bootstrap=False; "
                    "set one of them."
                )
            return 0
        if m is None:
            return n
        if isinstance(m, float):
            return max(1, round(m * n))
        if m > n:
            raise ValueError(f"{name}: max_samples={m} is more than the {n} rows of X; give at most so many.")
        return int(m)

    def _learn_forest(
        self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, resume: bool, steps: Any
    ) -> None:
        from zoo.engines.trees import bootstrap, forest, model, pruning, record_grower
        from zoo.engines.trees.threads import cores

        rng = self._random_source()
        n, p = X.shape
        m = self._n_drawn(n)
        table, targets = self._prepare(X, y, w)
        directions = self._directions(targets, table.is_cat != 0)
        weight = np.ones(n) if w is None else np.asarray(w, np.float64)
        if not resume:
            self.model_ = model.empty_model()
            self.feature_importances_ = np.zeros(p)
            self.seeds_, self.n_drawn_ = np.empty(0, np.int64), np.empty(0, np.int64)
        done = len(self.seeds_)
        seeds = rng.randint(2**31 - 1, size=done + self._still_to_grow(done, resume))[done:]
        self.n_samples_fit_ = n

        def one(seed: np.int64) -> Any:
            count = bootstrap.bag(seed, n, m)
            own = self._weigh_bag(count * weight, y)
            rules = self._rules(targets, own, p, int(seed))
            tree = record_grower.grow(table, targets, own, rules, directions)
            return pruning.prune_by_gains(tree, self.ccp_alpha) if self.ccp_alpha > 0 else tree

        appender = model.Appender(self.model_, self.dtype_)
        shares: list[np.ndarray] = []
        earlier = self.feature_importances_, self.seeds_, self.n_drawn_

        def keep(grown: Any) -> None:
            self.model_ = grown
            self.feature_importances_ = forest.mean_with(earlier[0], done, shares)
            self.seeds_ = np.concatenate([earlier[1], seeds[: len(shares)]]).astype(np.int64)
            self.n_drawn_ = np.append(earlier[2], np.full(len(shares), m))

        trees = forest.in_turn(one, seeds, min(cores(self.n_jobs), max(1, len(seeds))))
        for _ in steps(len(seeds), "tree"):
            tree = next(trees)
            shares.append(forest.fall_by_column([tree], p))
            # Gain and counts of millions of nodes are let go: only weight is asked for later.
            appender.add(tree._replace(gain=np.empty(0), count=np.empty(0)))
            if steps.watched:
                keep(appender.so_far())
        trees.close()
        keep(appender.model())
        if self.oob_score:
            self._set_oob(X, y, self._out_of_bag(X), w)

    def _single(self) -> Any:
        """Return the class of the trees as estimators of their own."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Count the trees."""
        check_is_fitted(self)
        return len(self.model_["root"])

    def __getitem__(self, t: int) -> Any:
        """Return one tree as an estimator of its own."""
        from zoo.engines.trees.model import pick_model

        n = len(self)
        if not -n <= t < n:
            raise IndexError(f"{type(self).__name__} has {n} trees, but tree {t} was asked for.")
        cls, mine = self._single(), self.get_params(deep=False)
        shared = {name: value for name, value in mine.items() if name in cls._defaults}
        if shared.get("class_weight") == "balanced_subsample":
            shared["class_weight"] = "balanced"
        tree = cls(**shared | {"random_state": int(self.seeds_[t])})
        learned = ("n_features_in_", "feature_names_in_", "categories_", "codes_", "classes_", "dtype_")
        for name in learned:
            if name in vars(self):
                setattr(tree, name, vars(self)[name])
        tree.model_ = pick_model(self.model_, t % n)
        tree.feature_importances_ = np.full(self.n_features_in_, np.nan)
        tree._fitted_ = True
        return tree

    def __iter__(self) -> Any:
        """Give the trees as estimators of their own."""
        return (self[t] for t in range(len(self)))

    @property
    def estimators_(self) -> list[Any]:
        """The trees as estimators of their own; they know no importances, which forests keep as a mean."""
        return list(self)

    @property
    def estimators_samples_(self) -> list[np.ndarray]:
        """Rows that each tree drew."""
        from zoo.engines.trees.bootstrap import drawn_rows

        check_is_fitted(self)
        n, each = self.n_samples_fit_, zip(self.seeds_, self.n_drawn_, strict=True)
        return [drawn_rows(seed, n, m) for seed, m in each]

    def decision_path(self, X: Any) -> Any:
        """Return which nodes each row passes, (n, nodes of all trees), and where each tree's nodes begin."""
        ends = np.append(self.model_["root"], len(self.model_["left"]))
        return super().decision_path(X), ends

    def _weigh_bag(self, weight: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the weights of rows in one tree, given what the bootstrap made of them."""
        return weight

    def _out_of_bag(self, X: np.ndarray) -> np.ndarray:
        """Return the mean over the trees that did not see a row, (n, v); nan where all saw it."""
        from zoo.engines.trees import forest

        out: np.ndarray = forest.out_of_bag(self._trees(), X, self.seeds_, self.n_drawn_)
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

    def _set_oob(self, X: np.ndarray, y: np.ndarray, means: np.ndarray, w: np.ndarray | None) -> None:
        """Set the out-of-bag predictions and their score."""
        raise NotImplementedError

    def _errors(self, values: np.ndarray, y: np.ndarray) -> np.ndarray:
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
        from zoo.engines.trees import bootstrap

        check_is_fitted(self)
        data = self._check_training(X, y, sample_weight, resume=True, classes=None)
        X, y, w = data["X"], data["y"], data["w"]
        n = X.shape[0]
        if n != self.n_samples_fit_ or not self.n_drawn_.any():
            raise ValueError(
                f"{type(self).__name__}: oob_importances needs the {self.n_samples_fit_} rows of the "
                f"fit, and bootstrap=True there; got {n} rows."
            )

        def error(values, rows):
            return np.average(self._errors(values, y[rows]), weights=None if w is None else w[rows])

        rise = bootstrap.permuted_errors(
            self._trees(), X, lambda t: bootstrap.bag(self.seeds_[t], n, self.n_drawn_[t]), self.seeds_, error
        )
        return Bunch(
            importances=rise,
            importances_mean=np.nanmean(rise, axis=1),
            importances_std=np.nanstd(rise, axis=1),
        )


class Boosting(Trees, abstract=True):
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
    categorical_features: Categories = "from_dtype"
    cat_smooth: NonNegative = 10.0
    monotone_constraints: Directions = None
    interaction_constraints: Annotated[
        list[Features] | tuple[Features, ...] | None, Fixed("it states what is known of the task")
    ] = None
    n_iter_no_change: Annotated[int, Interval(1, None), Fixed("patience")] | None = None
    validation_fraction: Annotated[OpenFraction, Fixed("it decides what is held out")] = 0.1
    tol: Tolerance = 0.0
    warm_start: bool = False
    n_jobs: Jobs = None
    random_state: Seed = None

    def _objective(self) -> Any:
        """Return the loss, as ``objective.Objective``."""
        raise NotImplementedError

    def _start(self, loss: Any, y: np.ndarray, w: np.ndarray | None) -> Any:
        """Return the score before the first tree."""
        return loss.initial(y, w)

    def _learn_rounds(
        self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None, val: Any, resume: bool, steps: Any
    ) -> None:
        from zoo.engines.trees import bins as _bins
        from zoo.engines.trees import boosting, model, sparse_table

        # None must not draw from the generator that everybody shares.
        rng = self._random_source()
        objective, k = self._objective(), self._n_outputs()
        X = sparse_table.in_order(X)
        if val is None and self.n_iter_no_change is not None:
            labels = y if hasattr(self, "classes_") else None
            X, y, w, val = boosting.hold_out(
                X, y, w, self.validation_fraction, labels, rng, type(self).__name__
            )
        p = X.shape[1]
        is_cat = find_categories(self, p)
        bins = _bins.find_bins(X, self.max_bins, is_cat, w, np.random.RandomState(0))
        limits = self._limits(X.shape[0], p, is_cat, objective.unit)
        if not resume:
            start = np.atleast_1d(self._start(objective.loss, y, w)).astype(np.float64)
            self.initial_ = np.resize(start, k)
            self.model_ = model.empty_model()
            self.codes_ = [e if c else np.empty(0) for e, c in zip(bins.edges, is_cat, strict=True)]
            self.history_ = {"valid_loss": np.empty(0)}
        # Trees speak of categories by number: the numbers of the first fit stay.
        for j in np.flatnonzero(is_cat):
            bins.edges[j] = self.codes_[j]
            bins.n_bins[j] = len(self.codes_[j])
        self.n_iter_ = done = len(self.model_["root"]) // k
        rounds = boosting.Rounds(
            X, y, w, objective=objective, bins=bins, limits=limits, sampling=self._sampling(p),
            learning_rate=self.learning_rate, n_scores=k, known=self.codes_, n_jobs=self.n_jobs, rng=rng,
        )  # fmt: skip
        rounds.start(self.initial_, self.model_)
        watch = None
        if val is not None:
            watch = boosting.Watch(
                objective, val, rounds.reader, self.initial_, self.model_, self.n_iter_no_change, self.tol
            )
        with rounds:
            for _ in steps(self._still_to_grow(done, resume), "round"):
                rounds.add()
                if watch is not None:
                    watch.add(rounds.last())
                if steps.watched:
                    self._keep(rounds, watch)
                if watch is not None and watch.says_stop():
                    break
            self._keep(rounds, watch)
        if watch is not None and watch.losses and self.n_iter_no_change is not None:
            self.n_iter_ = done + int(np.argmin(watch.losses)) + 1
            self.model_ = model.drop_trees(self.model_, self.n_iter_ * k)

    def _limits(self, n: int, p: int, is_cat: np.ndarray, unit: bool) -> Any:
        """Return what a tree may be."""
        from zoo.engines.trees import boosting, histogram_grower, histograms

        policies = {"lossguide": histograms.BEST_FIRST, "depthwise": histograms.BREADTH_FIRST}
        return histogram_grower.Limits(
            max_leaves=self.max_leaf_nodes or 0,
            max_depth=self.max_depth or 0,
            # Without a limit on leaves the order changes nothing but the memory.
            policy=policies[self.grow_policy] if self.max_leaf_nodes else histograms.DEPTH_FIRST,
            lam=self.reg_lambda,
            alpha=self.reg_alpha,
            gamma=self.gamma * (1.0 if self.half else 0.5),
            min_child_weight=self.min_child_weight,
            # Where the curvature says little of the rows, min_child_weight does this work.
            min_child_samples=self.min_child_samples or (max(1, min(20, n // 50)) if unit else 1),
            cat_smooth=self.cat_smooth,
            per_node=boosting.share(self.colsample_bynode, p),
            monotone=monotone_directions(self, p, is_cat),
            sets=constraint_sets(self, p),
        )

    def _sampling(self, p: int) -> Any:
        """Return what a tree sees of the table."""
        from zoo.engines.trees import boosting

        return boosting.Sampling(self.subsample, boosting.share(self.colsample_bytree, p), self.goss)

    def _keep(self, rounds: Any, watch: Any) -> None:
        """Join what was grown, so that a callback or an interrupt finds a true model."""
        self.model_ = rounds.take(self.model_)
        self.n_iter_ = len(self.model_["root"]) // self._n_outputs()
        if watch is not None:
            self.history_ = {"valid_loss": np.concatenate([self.history_["valid_loss"], watch.take()])}

    def _check_read(self) -> None:
        super()._check_read()
        k, trees = self._n_outputs(), len(self.model_["root"])
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

    def _onnx_steps(self) -> tuple[list[tuple[str, Any]], str]:
        loss = getattr(self, "loss", "")
        if not isinstance(loss, str):
            raise ValueError(f"{type(self).__name__}: {loss!r} cannot be written as ONNX, nor its link.")
        link = "Softmax" if hasattr(self, "classes_") else "Exp" if loss == "poisson" else "Identity"
        return [("Add", self.initial_[None])], link

    def _raw(self, X: np.ndarray) -> np.ndarray:
        """Return the scores, (outputs, n)."""
        out = np.empty((len(self.initial_), X.shape[0]))
        out[:] = self.initial_[:, None]
        self._trees().add_to(out, X)
        return out

    def _staged_raw(self, X: np.ndarray) -> Any:
        """Give the scores after each round."""
        k, trees = len(self.initial_), self._trees()
        out = np.empty((k, X.shape[0]))
        out[:] = self.initial_[:, None]
        for i in range(self.n_iter_):
            trees.part(i * k, (i + 1) * k).add_to(out, X)
            yield out.astype(self.dtype_)

    def staged_score(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Give after each round what ``score`` would return."""
        metric: Any = self.target.metric
        for answers in self.staged_predict(X):
            yield float(metric(y, answers, sample_weight=sample_weight))

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
        from zoo.engines.trees import model

        shares: np.ndarray = model.importances(self.model_, kind, self.n_features_in_)
        return shares

    @property
    def feature_importances_(self) -> np.ndarray:
        """Share of each feature in the fall of the loss."""
        return self.importances("gain")

    def _explanation(self, values: np.ndarray, base: np.ndarray) -> Explanation:
        return super()._explanation(values, base + self.initial_)
