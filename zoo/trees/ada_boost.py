"""AdaBoost."""

from typing import Annotated, Any, ClassVar

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils.validation import has_fit_parameter

from zoo.contract.declaring import field
from zoo.contract.logits import softmax
from zoo.contract.params import Fixed, Interval, Jobs, Method, Positive, Search, Seed
from zoo.contract.roles import Classifier
from zoo.contract.targets import Labels, Target
from zoo.engines.trees.checks import demand
from zoo.engines.trees.columns import find_categories
from zoo.engines.trees.estimator import Categories, Trees


class AdaBoostClassifier(Trees, Classifier):
    r"""Classify by a vote of weak learners, each trained on what the others got wrong.

    Rows that the last learner missed gain weight; a learner's vote grows as its weighted error e
    falls below chance. For two classes every round lowers the exponential loss of the training
    data by the factor 2 sqrt(e (1 - e)).

    .. math::
        \alpha_m = \ln\frac{1 - e_m}{e_m} + \ln(K - 1), \qquad
        w_i \leftarrow w_i \exp(\alpha_m 1[h_m(x_i) \ne y_i]), \qquad
        F_k(x) = \sum_m \alpha_m 1[h_m(x) = k]

    Parameters
    ----------
    estimator : classifier or None, default=None
        Weak learner whose fit takes ``sample_weight``; None is a tree of ``max_depth``, grown on
        histograms, which is much faster.
    n_estimators : int, default=50
        Most learners.
    learning_rate : float, default=1.0
        Factor on each vote.
    max_depth : int, default=1
        Depth of the trees; 1 is a stump.
    min_weight_fraction_leaf : float, default=0.0
        Least share of the weight in a leaf of the trees. Where classes weigh very unlike, a leaf
        that holds none of the heavy one speaks against it whatever it weighs; a share of 0.01
        prevents that.
    max_bins : int, default=255
        Most values that a column is rounded to.
    categorical_features : "from_dtype", sequence or None, default="from_dtype"
        Columns without order, by number, name or mask; those that a DataFrame declares always are.
    n_jobs : int or None, default=None
        Threads; None means all. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        Seed that is handed to ``estimator``.

    Attributes
    ----------
    estimator_weights_ : array
        Votes alpha.
    estimator_errors_ : array
        Weighted errors e.
    model_ : dict of arrays
        The trees, or no tree when ``estimator`` is given.
    estimators_ : list
        The learners, when ``estimator`` is given.
    codes_ : list of arrays
        Known categories of each column.

    Notes
    -----
    ``predict_proba`` is the softmax of F, the link that belongs to the exponential loss; it is
    often too sure. Labels that are wrong gain weight without end: with noisy labels use boosting of
    the log loss. A tree of two classes costs one pass over the table, O(n d).

    References
    ----------
    Freund and Schapire (1997), A decision-theoretic generalization of on-line learning and an
    application to boosting, Journal of Computer and System Sciences 55.
    Zhu, Zou, Rosset and Hastie (2009), Multi-class AdaBoost, Statistics and its Interface 2.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from zoo import AdaBoostClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = AdaBoostClassifier().fit(X[::2], y[::2])
    >>> bool(model.score(X[1::2], y[1::2]) > 0.93)
    True
    """

    target: ClassVar[Target] = Labels()
    learned: ClassVar[tuple[str, ...]] = ("estimator_weights_", "estimator_errors_")

    estimator: Method | None = field(default=None, kw_only=False)
    n_estimators: Annotated[int, Interval(1, None), Search(20, 500, log=True)] = 50
    learning_rate: Positive = 1.0
    max_depth: Annotated[int, Interval(1, 8), Search(1, 5)] = 1
    min_weight_fraction_leaf: Annotated[float, Interval(0, 0.5), Search(0.0, 0.1)] = 0.0
    max_bins: Annotated[int, Interval(2, 255), Fixed("more is better")] = 255
    categorical_features: Categories = "from_dtype"
    n_jobs: Jobs = None
    random_state: Seed = None

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, steps: Any) -> None:
        from zoo.engines.trees import model

        w = np.ones(X.shape[0]) if w is None else np.array(w, np.float64)
        w /= w.sum()
        self.model_ = model.empty_model()
        self.estimators_: list[Any] = []
        self.codes_: list[np.ndarray] = []
        self.estimator_weights_, self.estimator_errors_ = np.empty(0), np.empty(0)
        if len(self.classes_) == 1:
            # There is nothing to vote on.
            self.codes_ = [np.empty(0)] * X.shape[1]
        elif self.estimator is not None:
            self._vote(y, w, steps, self._any_learner(X, y))
        elif len(self.classes_) == 2:
            self._grow_pairs(X, y, w, steps)
        else:
            self._vote(y, w, steps, self._tree_learner(X, y))

    def _vote(self, y: np.ndarray, w: np.ndarray, steps: Any, learner: Any) -> None:
        """Run the rounds; ``learner(w)`` trains, returns its classes and how to keep it."""
        for _ in steps(self.n_estimators, "round"):
            h, keep = learner(w)
            missed = h != y
            e = float(w[missed].sum())
            if e >= 1 - 1 / len(self.classes_):
                if len(self.estimator_errors_) == 0:
                    raise ValueError(
                        f"AdaBoostClassifier: the first learner errs on {e:.0%} of the weight, no "
                        "better than chance; give a learner that can part these classes, such as "
                        "a deeper tree."
                    )
                break
            # A learner without error would outvote everything: its vote is that of e = 1e-10.
            odds = (1 - e) / max(e, 1e-10)
            alpha = self.learning_rate * (np.log(odds) + np.log(len(self.classes_) - 1))
            self.estimator_errors_ = np.append(self.estimator_errors_, e)
            self.estimator_weights_ = np.append(self.estimator_weights_, alpha)
            keep(alpha)
            if e <= 1e-10:
                break
            w[missed] *= np.exp(alpha)
            w /= w.sum()

    def _any_learner(self, X: Any, y: np.ndarray) -> Any:
        fits = has_fit_parameter(self.estimator, "sample_weight") if hasattr(self.estimator, "fit") else False
        if not (fits and is_classifier(self.estimator)):
            raise ValueError(
                f"AdaBoostClassifier: estimator={self.estimator!r} is no classifier whose fit takes "
                "sample_weight; give one that is, such as a tree, naive Bayes or logistic regression."
            )
        rng = self._random_source()
        labels = self.classes_[y]

        def learner(w: np.ndarray) -> tuple[np.ndarray, Any]:
            model = clone(self.estimator)
            if "random_state" in model.get_params():
                model.set_params(random_state=int(rng.randint(2**31 - 1)))
            # Mean weight 1, so that limits on weights keep their usual meaning.
            model.fit(X, labels, sample_weight=w * len(w))
            h = np.searchsorted(self.classes_, model.predict(X))
            return h, lambda alpha: self.estimators_.append(model)

        return learner

    def _tree_learner(self, X: Any, y: np.ndarray) -> Any:
        """Grow a tree of more than two classes on records."""
        from zoo.engines.trees import coding, model, record_grower, records
        from zoo.engines.trees.targets import class_targets

        k, p = len(self.classes_), X.shape[1]
        is_cat = find_categories(self, p)
        table = coding.code_table(X, self.max_bins, is_cat)
        self.codes_ = [e if c else np.empty(0) for e, c in zip(table.edges, is_cat, strict=True)]
        targets = class_targets(y, self.classes_, "gini")
        rules = records.Rules(
            criterion=targets.criterion, max_depth=self.max_depth, max_leaves=0, max_features=p,
            min_split=2, min_leaf=1, min_weight=self.min_weight_fraction_leaf, min_gain=0.0,
            random_cut=False, seed=0, slack=0.0,
        )  # fmt: skip

        def learner(w: np.ndarray) -> tuple[np.ndarray, Any]:
            tree = record_grower.grow(table, targets, w, rules)
            one = model.join_grown(model.empty_model(), [tree], np.float64)
            leaf = model.TreeModel(one, self.codes_, k, self.n_jobs).leaves(X)[:, 0]
            best = tree.value.argmax(axis=1)

            def keep(alpha: float) -> None:
                vote = tree._replace(value=alpha * np.eye(k)[best])
                self.model_ = model.join_grown(self.model_, [vote], np.float64)

            return best[leaf], keep

        return learner

    def _grow_pairs(self, X: Any, y: np.ndarray, w: np.ndarray, steps: Any) -> None:
        """Grow trees of two classes on histograms: Gini is the squared loss on 0 and 1."""
        from zoo.engines.trees import bins as _bins
        from zoo.engines.trees import histograms, model, sparse_table
        from zoo.engines.trees.histogram_grower import Grower, Limits, n_threads

        X = sparse_table.in_order(X)
        p = X.shape[1]
        is_cat = find_categories(self, p)
        bins = _bins.find_bins(X, self.max_bins, is_cat, w, np.random.RandomState(0))
        self.codes_ = [e if c else np.empty(0) for e, c in zip(bins.edges, is_cat, strict=True)]
        limits = Limits(
            max_leaves=2**self.max_depth, max_depth=self.max_depth,
            min_child_weight=self.min_weight_fraction_leaf, cat_smooth=0.0,
        )  # fmt: skip
        threads = n_threads(self.n_jobs, X.shape[0])
        trees = []
        with Grower(X, bins, limits, y=y, threads=threads) as grower:

            def learner(w: np.ndarray) -> tuple[np.ndarray, Any]:
                np.multiply(w, 0.5 - y, out=grower.pair[:, 0], casting="same_kind")
                grower.pair[:, 1] = w
                if len(grower.exact):
                    grower.exact[:, 0], grower.exact[:, 1] = w * (0.5 - y), w
                tree = grower.grow((histograms.OUTSIDE, 0, 0.0))
                tree.value[:] = np.where(tree.value > 0, 1.0, -1.0)
                grower.score[:] = 0.0
                grower.add(tree)
                h = (grower.score[0] > 0).astype(int)

                def keep(alpha: float) -> None:
                    tree.value[:] *= alpha
                    trees.append(tree)
                    if steps.watched:
                        flush()

                return h, keep

            def flush() -> None:
                self.model_ = model.join_trees(self.model_, trees, [0] * len(trees), bins)
                trees.clear()

            self._vote(y, w, steps, learner)
            flush()

    def _onnx_steps(self) -> tuple[list[tuple[str, Any]], str]:
        if self.estimator is not None:
            raise ValueError(
                "AdaBoostClassifier: only trees can be written as ONNX; leave estimator at None."
            )
        return [], "Softmax"

    def _n_outputs(self) -> int:
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _check_read(self) -> None:
        if self.estimator is not None:
            demand("estimators_" in vars(self), "its learners are no trees")
            return
        super()._check_read()
        self.estimators_ = []
        trees, k = len(self.model_["root"]), self._n_outputs()
        demand(self.model_["value"].shape[1:] == (() if k == 1 else (k,)), f"leaves do not hold {k} numbers")
        each = trees == np.size(self.estimator_weights_) == np.size(self.estimator_errors_)
        demand(each and (trees > 0 or k == len(self.classes_) == 1), "votes are not one a tree")

    def _votes(self, X: Any, first: int, last: int) -> np.ndarray:
        """Return what the learners first .. last - 1 add to the scores, (n,) or (n, k)."""
        k = len(self.classes_)
        if k == 1:
            return np.zeros((X.shape[0], 1))
        if self.estimators_:
            s = np.zeros((X.shape[0], k))
            for m in range(first, last):
                h = np.searchsorted(self.classes_, self.estimators_[m].predict(X))
                s[np.arange(X.shape[0]), h] += self.estimator_weights_[m]
            return s[:, 1] - s[:, 0] if k == 2 else s
        out = np.zeros((1 if k == 2 else k, X.shape[0]))
        self._trees().part(first, last).add_to(out, X)
        return out[0] if k == 2 else np.ascontiguousarray(out.T)

    def _scores(self, X: Any) -> np.ndarray:
        return self._votes(X, 0, len(self.estimator_weights_)).astype(self.dtype_)

    def staged_decision_function(self, X: Any) -> Any:
        """Give the scores after each round."""
        X = self._checked(X)
        s = self._votes(X, 0, 0)
        for m in range(len(self.estimator_weights_)):
            s = s + self._votes(X, m, m + 1)
            yield s.astype(self.dtype_)

    def staged_predict_proba(self, X: Any) -> Any:
        """Give the probabilities after each round."""
        for s in self.staged_decision_function(X):
            yield softmax(np.stack([np.zeros_like(s), s], axis=-1) if s.ndim == 1 else s)

    def staged_predict(self, X: Any) -> Any:
        """Give the predicted classes after each round."""
        for s in self.staged_decision_function(X):
            yield self.classes_[(s > 0).astype(int) if s.ndim == 1 else s.argmax(axis=1)]

    def staged_score(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Give the accuracy after each round."""
        metric: Any = self.target.metric
        for answers in self.staged_predict(X):
            yield float(metric(y, answers, sample_weight=sample_weight))

    def _has_trees(self) -> bool:
        return self.estimator is None

    @property
    def feature_importances_(self) -> np.ndarray:
        """Share of each column in the fall of the impurity, a mean over learners by their votes."""
        d, votes = self.n_features_in_, self.estimator_weights_
        if self.estimators_:
            own = np.array([model.feature_importances_ for model in self.estimators_])
        else:
            ends = np.append(self.model_["root"], len(self.model_["left"]))
            at = np.repeat(np.arange(len(votes)), np.diff(ends)) * d + np.maximum(self.model_["feature"], 0)
            own = np.bincount(at, self.model_["gain"], minlength=d * len(votes)).reshape(-1, d)
        total = own.sum(axis=1, keepdims=True)
        mean = votes @ np.divide(own, total, out=np.zeros_like(own), where=total > 0)
        return mean / mean.sum() if mean.sum() > 0 else mean
