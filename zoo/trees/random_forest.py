"""Random forests."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.metrics import r2_score

from zoo.contract.params import Count, Fixed
from zoo.contract.roles import Classifier, Regressor
from zoo.contract.targets import Labels, Numbers, Target
from zoo.engines.trees.columns import ClassWeight
from zoo.engines.trees.estimator import DRAWS_ROWS, Forest, Share


class RandomForestClassifier(Forest, Classifier):
    r"""Classify by the mean of many trees, each grown on a bootstrap sample.

    A region tries only k columns, drawn anew, so that the trees differ; their mean keeps the small
    bias of a full tree and loses most of its variance.

    .. math::
        p(x) = \frac{1}{T} \sum_{t=1}^T p_t(x), \qquad
        \mathrm{Var}\Big(\frac{1}{T} \sum_t p_t\Big) = \rho \sigma^2
        + \frac{1 - \rho}{T} \sigma^2

    Parameters
    ----------
    class_weight : dict, list, "balanced", "balanced_subsample" or None, default=None
        Factor on the weight of each class's rows; "balanced" gives every class the same total, and
        "balanced_subsample" does so among the rows that a tree drew. With
        several columns of y it is for each of them, or a list with one entry a column, and the
        factors of a row are multiplied.
    criterion : {"gini", "entropy", "log_loss"}, default="gini"
        The impurity that cuts lower, its mean over the columns of y where there are several;
        "log_loss" is another name of "entropy".
    max_features : "sqrt", "log2", int, float or None, default="sqrt"
        Columns that a region may try; None is all.

    Attributes
    ----------
    oob_score_ : float
        Accuracy of the out-of-bag predictions, where asked for (every column of y right).
    oob_decision_function_ : array of shape (n, k) or list of such arrays
        Out-of-bag probabilities, where asked for; nan for a row that every tree saw.

    Notes
    -----
    MDI favours columns of many values; ``oob_importances`` (MDA) does not. Full trees take about 37
    bytes a node. With few rows and smooth targets boosting is usually ahead.

    References
    ----------
    Breiman (2001), Random forests, Machine Learning 45.
    Geurts, Ernst and Wehenkel (2006), Extremely randomized trees, Machine Learning 63.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from zoo import RandomForestClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = RandomForestClassifier(oob_score=True, random_state=0).fit(X, y)
    >>> bool(model.oob_score_ > 0.94)
    True
    """

    logits: ClassVar[bool] = False
    excused: ClassVar[dict[str, str]] = {
        "check_sample_weight_equivalence_on_dense_data": DRAWS_ROWS,
        "check_sample_weight_equivalence_on_sparse_data": DRAWS_ROWS,
        "check_weights_count_as_repetition": DRAWS_ROWS,
    }

    target: ClassVar[Target] = Labels(many=True)

    class_weight: Annotated[
        ClassWeight | Literal["balanced_subsample"], Fixed("it states the costs of the task")
    ] = None  # type: ignore[assignment]  # wider: y may have columns
    criterion: Literal["gini", "entropy", "log_loss"] = "gini"
    max_features: Literal["sqrt", "log2"] | Share | Count | None = "sqrt"

    def _single(self) -> Any:
        from zoo.trees.decision_tree import DecisionTreeClassifier

        return DecisionTreeClassifier

    def _targets(self, y: np.ndarray) -> Any:
        from zoo.engines.trees import targets

        return targets.class_targets(y, self.classes_, self.criterion)

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, resume: bool, steps: Any) -> None:
        self._learn_forest(X, y, w, resume, steps)

    @property
    def n_classes_(self) -> Any:
        """How many classes y has; a list where it has several columns."""
        return [len(k) for k in self.classes_] if isinstance(self.classes_, list) else len(self.classes_)

    def _class_factors(self, y: np.ndarray, w: np.ndarray | None, known: np.ndarray, own: Any) -> np.ndarray:
        if own == "balanced_subsample":
            return np.ones(len(y), self.dtype_)  # each tree weighs what it drew
        return super()._class_factors(y, w, known, own)

    def _weigh_bag(self, weight: np.ndarray, y: np.ndarray) -> np.ndarray:
        if self.class_weight != "balanced_subsample":
            return weight
        from zoo.engines.trees.targets import balanced

        return np.asarray(balanced(weight, y))

    def _set_oob(self, X: Any, y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> None:
        from zoo.engines.trees import targets

        self.oob_decision_function_ = targets.by_column(p, self.classes_)
        columns = self.oob_decision_function_
        columns = columns if isinstance(columns, list) else [columns]
        seen = ~np.isnan(p[:, 0])
        chosen = np.column_stack([own[seen].argmax(axis=1) for own in columns])
        right = (chosen == np.reshape(y[seen], chosen.shape)).all(axis=1)
        self.oob_score_ = float(np.average(right, weights=None if w is None else w[seen]))

    def _errors(self, values: np.ndarray, y: np.ndarray) -> np.ndarray:
        from zoo.engines.trees import targets

        p = targets.by_column(values, self.classes_)
        chosen = np.column_stack([own.argmax(axis=1) for own in (p if isinstance(p, list) else [p])])
        return (chosen != np.reshape(y, chosen.shape)).any(axis=1).astype(float)

    def _proba(self, X: Any) -> Any:
        from zoo.engines.trees import targets

        return targets.by_column(self._mean(X), self.classes_)


class RandomForestRegressor(Forest, Regressor):
    r"""Regress by the mean of many trees, each grown on a bootstrap sample.

    The prediction is a weighted mean of the training targets, weighted by how often a row shares
    the leaf of x.

    .. math::
        f(x) = \sum_i \alpha_i(x) y_i, \qquad
        \alpha_i(x) = \frac{1}{T} \sum_t \frac{w_{ti} 1[x_i \in R_t(x)]}
        {\sum_j w_{tj} 1[x_j \in R_t(x)]}

    Parameters
    ----------
    criterion : {"squared_error", "absolute_error", "poisson"}, default="squared_error"
        The loss that cuts lower. With "absolute_error" leaves are medians, the prediction is their
        mean, and a fit takes about five times as long.
    max_features : "sqrt", "log2", int, float or None, default=1.0
        Columns that a region may try; None is all.
    keep_rows : bool, default=False
        Whether to remember the training rows of every leaf, which quantiles need.

    Attributes
    ----------
    oob_score_ : float
        R^2 of the out-of-bag predictions, where asked for.
    oob_prediction_ : array of shape (n,) or (n, targets)
        Out-of-bag predictions, where asked for; nan for a row that every tree saw.
    rows_ : dict of arrays
        Training rows of every leaf, their targets and weights, with ``keep_rows``.

    Notes
    -----
    MDI favours columns of many values; ``oob_importances`` (MDA) does not. A forest does not
    extrapolate. The weights alpha are a distribution of y given x, whose mean is the prediction:
    ``predict_quantiles`` and ``predict_interval`` read it (with ``keep_rows``, about 14 bytes a row
    and tree). Leaves of a single row make it ragged and too narrow: take ``min_samples_leaf`` of 5
    or more, and see with ``oob=True`` what the intervals cover.

    References
    ----------
    Breiman (2001), Random forests, Machine Learning 45.
    Geurts, Ernst and Wehenkel (2006), Extremely randomized trees, Machine Learning 63.
    Meinshausen (2006), Quantile regression forests, JMLR 7.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from zoo import RandomForestRegressor
    >>> X, y = make_friedman1(400, random_state=0)
    >>> model = RandomForestRegressor(random_state=0).fit(X[:300], y[:300])
    >>> bool(model.score(X[300:], y[300:]) > 0.75)
    True
    """

    target: ClassVar[Target] = Numbers(many=True)

    criterion: Literal["squared_error", "absolute_error", "poisson"] = "squared_error"
    max_features: Literal["sqrt", "log2"] | Share | Count | None = 1.0
    keep_rows: bool = False

    def _single(self) -> Any:
        from zoo.trees.decision_tree import DecisionTreeRegressor

        return DecisionTreeRegressor

    def _targets(self, y: np.ndarray) -> Any:
        from zoo.engines.trees import targets

        return targets.regression_targets(y, self.criterion, type(self).__name__)

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None, resume: bool, steps: Any) -> None:
        self._learn_forest(X, y, w, resume, steps)
        if self.keep_rows:
            self._remember(X, y, w)

    def _remember(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        from zoo.engines.trees import bootstrap

        w = np.ones(len(y)) if w is None else np.asarray(w, np.float64)
        rows = getattr(self, "rows_", bootstrap.no_rows() | {"y": y[:0], "w": w[:0]})
        # A warm start comes back with the rows of before, partial_fit with others.
        offset = 0 if np.array_equal(rows["y"], y) else len(rows["y"])
        done = int(np.searchsorted(self.model_["root"], len(rows["start"]) - 1))
        drawn = zip(self.seeds_[done:], self.n_drawn_[done:], strict=True)
        counts = [bootstrap.bag(seed, X.shape[0], m) for seed, m in drawn]
        new = bootstrap.add_rows(rows, self._trees(), X, counts, offset)
        y, w = (np.concatenate([rows[k][:offset], v]) for k, v in (("y", y), ("w", w)))
        self.rows_ = new | {"y": y, "w": w}

    def predict_quantiles(
        self, X: Any, quantiles: Any = (0.05, 0.5, 0.95), *, oob: bool = False
    ) -> np.ndarray:
        r"""Return quantiles of y given x: of the training targets, weighted by shared leaves.

        .. math:: q_\tau(x) = \min \{ y : \textstyle\sum_i \alpha_i(x) 1[y_i \le y] \ge \tau \}

        Parameters
        ----------
        X : table
            Rows to predict.
        quantiles : float or sequence of floats in [0, 1], default=(0.05, 0.5, 0.95)
            Which.
        oob : bool, default=False
            Whether X is the training table and each row is predicted by the trees that did not see
            it (nan where all saw it).

        Returns
        -------
        y : array of shape (n, quantiles) or (n, targets, quantiles)
            Without the axis of quantiles where a single number was given.
        """
        from zoo.engines.trees import bootstrap

        X = self._checked(X)
        q = np.atleast_1d(np.asarray(quantiles, np.float64))
        if q.ndim != 1 or not ((q >= 0) & (q <= 1)).all():
            raise ValueError(f"quantiles={quantiles!r} is not accepted; give numbers from 0 to 1.")
        if "rows_" not in vars(self):
            raise ValueError(
                "RandomForestRegressor remembers no rows, so it has no quantiles; fit it with keep_rows=True."
            )
        rows = self.rows_
        if oob and X.shape[0] != len(rows["y"]):
            raise ValueError(
                f"oob=True needs the {len(rows['y'])} rows of the fit in their order, but X has "
                f"{X.shape[0]}; rows of weight 0 are no rows of the fit."
            )
        out = bootstrap.quantiles(self._trees(), X, rows, rows["y"], rows["w"], q, oob).astype(self.dtype_)
        out = out[..., 0] if np.ndim(quantiles) == 0 else out
        return out[:, 0] if rows["y"].ndim == 1 else out

    def predict_interval(self, X: Any, level: float = 0.95, *, oob: bool = False) -> np.ndarray:
        """Return the interval that holds y with the given probability, as far as the leaves know.

        Parameters
        ----------
        X : table
            Rows to predict.
        level : float, default=0.95
            Probability between the two ends; as much lies below as above.
        oob : bool, default=False
            Whether X is the training table and each row is predicted by the trees that did not see
            it.

        Returns
        -------
        ends : array of shape (n, 2) or (n, targets, 2)
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} is not accepted; give a number between 0 and 1.")
        return self.predict_quantiles(X, ((1 - level) / 2, (1 + level) / 2), oob=oob)

    def _errors(self, values: np.ndarray, y: np.ndarray) -> np.ndarray:
        return ((values - np.reshape(y, values.shape)) ** 2).mean(axis=1)

    def _set_oob(self, X: Any, y: np.ndarray, s: np.ndarray, w: np.ndarray | None) -> None:
        self.oob_prediction_ = s[:, 0] if y.ndim == 1 else s
        seen = ~np.isnan(s[:, 0])
        weight = None if w is None else w[seen]
        self.oob_score_ = float(r2_score(y[seen], self.oob_prediction_[seen], sample_weight=weight))

    def _output(self, X: Any) -> np.ndarray:
        s = self._mean(X)
        return s[:, 0] if s.shape[1] == 1 else s
