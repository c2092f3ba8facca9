"""A tree on its own: growing, pruning, and its size."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from zoo.engines.trees.checks import demand
from zoo.engines.trees.forest import Growing


class Single(Growing, abstract=True):
    """One tree, which can be pruned.

    Parameters
    ----------
    max_depth : int or None, default=None
        Most cuts between root and leaf.
    max_leaf_nodes : int or None, default=None
        Most leaves; the leaf that gains most is cut first.
    min_samples_split, min_samples_leaf : int, default=2 and 1
        Fewest rows of a region that is cut, and of a leaf.
    min_weight_fraction_leaf : float, default=0.0
        Least share of the weight in a leaf.
    max_features : "sqrt", "log2", int, float or None, default=None
        Columns that a region may try; None is all.
    splitter : {"best", "random"}, default="best"
        "random" draws one cut a column, evenly over the codes of the region (extremely randomised).
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

    def _learn_tree(self, X, y, w):
        from zoo.engines.trees import codes
        from zoo.engines.trees import model as _model

        seed = int(self._random_source().randint(2**31 - 1))
        plot, targets = self._prepare(X, y, w)
        w = np.ones(len(X)) if w is None else np.asarray(w, np.float64)
        tree = codes.grow(plot, targets, w, self._rules(targets, w, X.shape[1], seed))
        self.feature_importances_ = self._importances([tree], X.shape[1])
        self.model_ = codes.join(_model.empty_model(), [tree], self.dtype_)
        if self.ccp_alpha > 0:
            risk = self._risks(X, y, w)
            steps = _weakest_links(self.model_, risk)
            cut = [node for alpha, _, nodes in steps if alpha <= self.ccp_alpha for node in nodes]
            tree = _collapse(tree, cut)
            self.feature_importances_ = self._importances([tree], X.shape[1])
            self.model_ = codes.join(_model.empty_model(), [tree], self.dtype_)

    def _risks(self, X, y, w):
        """Impurity of each node times its share of the weight."""
        from zoo.engines.trees import model as _model

        left = self.model_["left"]
        at = _model.find_leaves(self.model_, self._categories(), X)[:, 0]
        extra = self._moments(y)
        sums = np.zeros((len(left), extra.shape[1] + 1))
        np.add.at(sums, at, np.column_stack([extra, np.ones(len(w))]) * w[:, None])
        for node in range(len(left) - 1, -1, -1):
            if left[node] != node:
                sums[node] = sums[left[node]] + sums[left[node] + 1]
        share = sums[:, -1] / sums[0, -1]
        return self._impurity(sums[:, :-1] / sums[:, -1:]) * share

    def _absolute_risks(self, X, y, w):
        """Mean distance from each node's median, times its share of the weight."""
        from zoo.engines.trees import model as _model

        left = self.model_["left"].astype(np.int64)
        inner = np.flatnonzero(left != np.arange(len(left)))
        parent = np.full(len(left), -1)
        parent[left[inner]] = parent[left[inner] + 1] = inner
        Y, sums = y.reshape(len(y), -1), np.zeros(len(left))
        at, rows = _model.find_leaves(self.model_, self._categories(), X)[:, 0], np.arange(len(y))
        while len(rows):
            error = np.abs(Y[rows] - self.model_["value"][at]).mean(axis=1)
            sums += np.bincount(at, w[rows] * error, minlength=len(left))
            at = parent[at]
            rows, at = rows[at >= 0], at[at >= 0]
        return sums / w.sum()

    def _check_read(self):
        super()._check_read()
        demand(len(self.model_["root"]) == 1, "it is not one tree")

    def _moments(self, y):
        """Return what ``_impurity`` needs the means of, (n, m)."""
        raise NotImplementedError

    def _impurity(self, means):
        """Return the impurity of nodes with these means."""
        raise NotImplementedError

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
        tree = clone(self).set_params(ccp_alpha=0.0).fit(X, y, sample_weight=sample_weight)
        data = tree._check_training(X, y, sample_weight, resume=True, classes=None)
        w = np.ones(len(data["X"])) if data["w"] is None else np.asarray(data["w"], np.float64)
        risk = tree._risks(data["X"], data["y"], w)
        leaf = tree.model_["feature"] < 0
        alphas, impurities = [0.0], [float(risk[leaf].sum())]
        for alpha, impurity, _ in _weakest_links(tree.model_, risk):
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


def _weakest_links(model, risk):
    """Give, for each step of weakest-link pruning: price, impurity of the leaves, nodes cut."""
    left = model["left"].astype(np.int64)
    n = len(left)
    parent = np.full(n, -1)
    inner = np.flatnonzero(left != np.arange(n))
    parent[left[inner]] = parent[left[inner] + 1] = inner
    leaves = np.ones(n)
    below = risk.copy()
    for node in inner[::-1]:
        leaves[node] = leaves[left[node]] + leaves[left[node] + 1]
        below[node] = below[left[node]] + below[left[node] + 1]
    alive = left != np.arange(n)
    while alive.any():
        at = np.flatnonzero(alive)
        price = (risk[at] - below[at]) / (leaves[at] - 1)
        alpha = price.min()
        cut = []
        # The order from the root down: what lies below a cut is gone with it.
        for node in at[price <= alpha * (1 + 1e-12) + 1e-15]:
            if not alive[node]:
                continue
            cut.append(int(node))
            stack = [int(node)]
            while stack:
                v = stack.pop()
                if alive[v]:
                    alive[v] = False
                    stack += [int(left[v]), int(left[v]) + 1]
            fewer, more = leaves[node] - 1, risk[node] - below[node]
            up = node
            while up >= 0:
                leaves[up] -= fewer
                below[up] += more
                up = parent[up]
        yield max(float(alpha), 0.0), float(below[0]), cut


def _collapse(tree, cut):
    """Make the given nodes leaves and number the others anew."""
    left = tree.left.copy()
    left[cut] = cut
    order, new = [0], {0: 0}
    for node in order:
        if left[node] != node:
            for child in (int(left[node]), int(left[node]) + 1):
                new[child] = len(order)
                order.append(child)
    keep = np.array(order)
    is_leaf = left[keep] == keep
    renumbered = np.array(
        [new[v] if end else new[int(left[v])] for v, end in zip(order, is_leaf, strict=True)]
    )
    depth = np.zeros(len(keep), int)
    for i, end in enumerate(is_leaf):
        if not end:
            depth[renumbered[i]] = depth[renumbered[i] + 1] = depth[i] + 1
    set_at = np.where(is_leaf, -1, tree.set_at[keep]).astype(np.int32)
    return tree._replace(
        left=renumbered.astype(np.int32),
        feature=np.where(is_leaf, -1, tree.feature[keep]).astype(np.int32),
        threshold=np.where(is_leaf, np.inf, tree.threshold[keep]),
        missing_left=np.where(is_leaf, 1, tree.missing_left[keep]).astype(np.uint8),
        set_at=set_at,
        value=tree.value[keep],
        gain=np.where(is_leaf, 0.0, tree.gain[keep]),
        weight=tree.weight[keep],
        count=tree.count[keep],
        depth=int(depth.max()),
    )
