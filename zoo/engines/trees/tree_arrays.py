"""One grown tree as the arrays that scikit-learn's users know (``tree_``).

Nodes have the numbers that ``apply`` gives. In the arrays of scikit-learn a leaf's children are -1 and its
feature and threshold -2. What scikit-learn has no word for stands beside them: ``categories`` says which
categories a node sends left.
"""

import numpy as np
from scipy import sparse

NO_CHILD, NO_QUESTION = -1, -2


class TreeArrays:
    """One tree.

    Parameters
    ----------
    trees : TreeModel
        A model of this one tree.
    value : array of shape (nodes, n_outputs, classes)
        Shares of the classes, or means (one class).
    n_classes : list of int
        Of each output, 1 for numbers.
    impurity : array of shape (nodes,) or None
        None where nobody noted it.
    """

    def __init__(self, trees, value, n_classes, impurity=None):
        arrays = self._arrays = trees.arrays
        self._trees, self._impurity = trees, impurity
        left = arrays["left"].astype(np.int64)
        leaf = arrays["feature"] < 0
        self.children_left = np.where(leaf, NO_CHILD, left)
        self.children_right = np.where(leaf, NO_CHILD, left + 1)
        self.feature = np.where(leaf, NO_QUESTION, arrays["feature"]).astype(np.int64)
        self.threshold = np.where(leaf, NO_QUESTION, arrays["threshold"])
        self.missing_go_to_left = np.where(leaf, 0, arrays["missing_left"]).astype(np.uint8)
        self.weighted_n_node_samples = arrays["weight"]
        self.value, self.n_classes = value, np.array(n_classes)
        self.max_n_classes, self.n_outputs = int(max(n_classes)), len(n_classes)
        self.n_features = len(trees.categories[1])
        self.node_count = self.capacity = len(left)
        self.n_leaves, self.max_depth = int(leaf.sum()), int(arrays["depth"][0])

    @property
    def impurity(self):
        """Impurity of each node."""
        if self._impurity is None:
            raise AttributeError("forests of numbers, and JSON, do not hold the impurity of nodes")
        return self._impurity

    @property
    def n_node_samples(self):
        """Rows of each node."""
        if not len(self._arrays["count"]):
            raise AttributeError(
                "a forest does not count the rows of its nodes; weighted_n_node_samples has their weight"
            )
        return self._arrays["count"]

    @property
    def categories(self):
        """Known categories that each node sends left, None where it asks for a number."""
        known, n_known = self._trees.categories
        out = [None] * self.node_count
        for i in np.flatnonzero(self._arrays["set_at"] >= 0):
            j, bits = self._arrays["feature"][i], self._arrays["sets"][self._arrays["set_at"][i]]
            held = [c for c in range(n_known[j]) if bits[c >> 6] >> np.uint64(c & 63) & np.uint64(1)]
            out[i] = known[j, held]
        return out

    def apply(self, X):
        """Return the leaf of each row of a table of numbers."""
        return self._trees.leaves(np.asarray(X))[:, 0].astype(np.int64)

    def predict(self, X):
        """Return the value of the leaf of each row."""
        value = self.value[self.apply(X)]
        return value[:, 0] if self.n_outputs == 1 else value

    def decision_path(self, X):
        """Return which nodes each row passes, (n, nodes), sparse."""
        return passed_nodes(self._arrays["left"], self.apply(X)[:, None])


def passed_nodes(left, leaves):
    """Mark the nodes of all trees that rows pass on their way to these leaves (n, trees), sparse."""
    left = left.astype(np.int64)
    inner = np.flatnonzero(left != np.arange(len(left)))
    parent = np.full(len(left), -1)
    parent[left[inner]] = parent[left[inner] + 1] = inner
    rows, nodes = [], []
    row = np.repeat(np.arange(len(leaves)), leaves.shape[1])
    node = leaves.ravel().astype(np.int64)
    while len(node):
        rows.append(row)
        nodes.append(node)
        node = parent[node]
        row, node = row[node >= 0], node[node >= 0]
    row, node = np.concatenate(rows), np.concatenate(nodes)
    marks = sparse.csr_matrix((np.ones(len(row), np.int64), (row, node)), (len(leaves), len(left)))
    marks.sort_indices()
    return marks
