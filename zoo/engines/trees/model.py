"""Grown trees: the arrays that hold them, and what can be asked of them.

The arrays are a dict, so that a model can be saved without code: nodes of all trees one after
another; children of node i are ``left[i]`` and ``left[i] + 1``; a leaf is its own child and its
threshold is infinite, so that a row that has arrived stays where it is. A category is a number among
those of its column that are known; ``set_at`` says where in ``sets`` a node's categories stand, as
bits. ``TreeModel`` is what the estimators ask.
"""

import numpy as np

from zoo.engines.trees import deep_prediction, prediction, shap, sparse_table
from zoo.engines.trees.sparse_table import issparse


def empty_model():
    """Make a model without trees."""
    return {
        "root": np.empty(0, np.int64),
        "output": np.empty(0, np.int64),
        "depth": np.empty(0, np.int64),
        "left": np.empty(0, np.int32),
        "feature": np.empty(0, np.int32),
        "threshold": np.empty(0),
        "missing_left": np.empty(0, np.uint8),
        "set_at": np.empty(0, np.int32),
        "sets": np.empty((0, 4), np.uint64),
        "value": np.empty(0),
        "gain": np.empty(0),
        "weight": np.empty(0),
        "count": np.empty(0, np.int64),
    }


def join_trees(model, trees, outputs, bins):
    """Append grown trees to a model: bins become thresholds; ``outputs`` says what each adds to."""
    if not trees:
        return model
    sizes = np.array([len(tree.left) for tree in trees])
    root = len(model["left"]) + np.cumsum(sizes) - sizes
    new = {name: np.concatenate([getattr(tree, name) for tree in trees]) for name in _COPIED}
    feature = new["feature"]
    is_set = (feature >= 0) & (bins.is_cat[feature] != 0)
    number = (feature >= 0) & ~is_set
    edges = np.full((len(bins.edges), max(len(e) for e in bins.edges) + 1), np.inf)
    for j, e in enumerate(bins.edges):
        edges[j, : len(e)] = e
    threshold = np.full(len(feature), np.inf)
    threshold[number] = edges[feature[number], new["bin"][number]]
    set_at = np.full(len(feature), -1, np.int32)
    set_at[is_set] = len(model["sets"]) + np.arange(is_set.sum())
    new |= {
        "root": root,
        "output": np.asarray(outputs),
        "depth": np.maximum.reduceat(np.concatenate([tree.depth for tree in trees]), root - root[0]),
        "left": new["left"] + np.repeat(root, sizes),
        "threshold": threshold,
        "set_at": set_at,
        "sets": np.concatenate([tree.set for tree in trees])[is_set],
    }
    return {name: np.concatenate([a, new[name].astype(a.dtype)]) for name, a in model.items()}


_COPIED = ("left", "feature", "bin", "missing_left", "value", "gain", "weight", "count")


def cut_model(model, first, last):
    """Take the trees first .. last - 1 of a model; their nodes keep their places."""
    part = {name: model[name][first:last] for name in ("root", "output", "depth")}
    return model | part


def drop_trees(model, n):
    """Keep the first n trees only."""
    if n >= len(model["root"]):
        return model
    end = int(model["root"][n])
    part = {name: a[:end] for name, a in model.items() if name not in _NOT_NODES}
    part |= {name: model[name][:n] for name in ("root", "output", "depth")}
    n_sets = int(part["set_at"].max(initial=-1)) + 1
    return {name: np.ascontiguousarray(a) for name, a in (part | {"sets": model["sets"][:n_sets]}).items()}


_NOT_NODES = ("root", "output", "depth", "sets")


def pick_tree(model, t):
    """Take one tree of a model as a model, its nodes numbered from 0; sets of others stay."""
    a = int(model["root"][t])
    b = int(model["root"][t + 1]) if t + 1 < len(model["root"]) else len(model["left"])
    one = {name: x[a:b] if len(x) else x for name, x in model.items() if name not in _NOT_NODES}
    one["left"] = one["left"] - np.int32(a)
    first = np.zeros(1, np.int64)
    return one | {"root": first, "output": first, "depth": model["depth"][t : t + 1], "sets": model["sets"]}


def pick_model(model, t):
    """Take one tree of a model as a model of its own, to be kept."""
    one = pick_tree(model, t)
    held = one["set_at"] >= 0
    one["sets"] = one["sets"][one["set_at"][held]]
    one["set_at"] = np.where(held, np.cumsum(held) - 1, -1).astype(np.int32)
    return {name: np.ascontiguousarray(a).copy() for name, a in one.items()}


class Appender:
    """Trees of the record grower, each written behind the last, so that none is held twice."""

    def __init__(self, model, dtype):
        self.arrays = {name: a.copy() for name, a in model.items()}
        self.arrays["value"] = self.arrays["value"].astype(dtype)
        self.used = {name: len(a) for name, a in model.items()}

    def add(self, tree):
        """Append a grown tree."""
        start, n_sets = self.used["left"], self.used["sets"]
        own = {name: getattr(tree, name) for name in self.arrays if hasattr(tree, name)}
        own |= {"root": [start], "output": [0], "depth": [tree.depth]}
        own["left"] = tree.left + np.int32(start)
        own["set_at"] = np.where(tree.set_at >= 0, tree.set_at + n_sets, -1)
        if self.arrays["value"].ndim < tree.value.ndim:
            self.arrays["value"] = np.empty((0, tree.value.shape[1]), self.arrays["value"].dtype)
        for name, new in own.items():
            a, begin = self.arrays[name], self.used[name]
            end = begin + len(new)
            if end > len(a):
                # Nobody else has seen the array, so it may grow where it is.
                a.resize((end + end // 8 + 64, *a.shape[1:]), refcheck=False)
            a[begin:end] = new
            self.used[name] = end

    def so_far(self):
        """Return a model of the trees that are there; more may be added."""
        return {name: a[: self.used[name]].copy() for name, a in self.arrays.items()}

    def model(self):
        """Return the model; nothing can be added after that."""
        for name, a in self.arrays.items():
            a.resize((self.used[name], *a.shape[1:]), refcheck=False)
        return self.arrays


def join_grown(model, trees, dtype):
    """Append trees of the record grower to a model."""
    appender = Appender(model, dtype)
    for tree in trees:
        appender.add(tree)
    return appender.model()


def importances(model, kind, p):
    """Share of each of p columns in what is counted over all trees: "gain", "split" or "cover"."""
    inner = model["feature"] >= 0
    counted = {"gain": model["gain"], "split": np.ones(len(inner)), "cover": model["weight"]}
    if kind not in counted:
        raise ValueError(f"kind={kind!r} is not known; choose one of {sorted(counted)}.")
    total = np.bincount(model["feature"][inner], counted[kind][inner], minlength=p)
    return total / total.sum() if total.sum() > 0 else total


def keep_order(left, feature, value, weight, directions):
    """Clip leaves whose values were changed, so that monotone columns stay monotone.

    As in the growers, the middle between the means of two branches parts their values.
    """
    mean = value.copy()
    for i in range(len(left) - 1, -1, -1):
        if left[i] != i:
            below = slice(left[i], left[i] + 2)
            mean[i] = np.average(mean[below], weights=np.maximum(weight[below], 1e-300))
    low, high = np.full(len(left), -np.inf), np.full(len(left), np.inf)
    for i, l in enumerate(left):
        if l == i:
            value[i] = np.clip(value[i], low[i], high[i])
            continue
        low[l : l + 2], high[l : l + 2] = low[i], high[i]
        direction = directions[feature[i]]
        if direction:
            lower, upper = (l, l + 1) if direction > 0 else (l + 1, l)
            high[lower] = low[upper] = np.clip(mean[l : l + 2], low[i], high[i]).mean()


def category_table(known):
    """Known categories of each column as one table, and how many there are (0: a column of numbers)."""
    n_known = np.array([len(own) for own in known], np.int64)
    table = np.zeros((len(known), max(1, n_known.max(initial=0))))
    for own, k, line in zip(known, n_known, table, strict=True):
        line[:k] = own
    return table, n_known


class TreeModel:
    """Trees with what they need to read a table: the known categories of each column.

    Parameters
    ----------
    arrays : dict of arrays
        The trees; see the top of this file.
    known : list of arrays
        Known categories of each column, none for a column of numbers.
    n_outputs : int
        Numbers that the trees add to: each tree adds what its leaves hold from its output on.
    n_jobs : int or None
        Threads.
    """

    def __init__(self, arrays, known, n_outputs, n_jobs=1):
        self.arrays, self.n_outputs, self.n_jobs = arrays, n_outputs, n_jobs
        self.categories = category_table(known)

    def __len__(self):
        """Count the trees."""
        return len(self.arrays["root"])

    def like(self, arrays, **changes):
        """Take other trees that read the same table."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self), arrays=arrays, **changes)
        return twin

    def part(self, first, last):
        """Take the trees first .. last - 1."""
        return self.like(cut_model(self.arrays, first, last))

    def with_threads(self, n_jobs):
        """Take the same trees with other threads."""
        return self.like(self.arrays, n_jobs=n_jobs)

    def narrowed(self):
        """Take the same trees over a table of the columns that they ask about, and these."""
        asked = sparse_table.asked_columns(self.arrays)
        known, n_known = self.categories
        arrays = sparse_table.narrowed(self.arrays, asked)
        return self.like(arrays, categories=(known[asked], n_known[asked])), asked

    def _over_sparse(self, X):
        """Give these trees over the columns that they ask about, with these columns of rows a .. b, dense."""
        own, asked = self.narrowed()
        for a, b, piece in sparse_table.dense_pieces(X, asked):
            yield own, a, b, piece

    def add_to(self, out, X):
        """Add what each tree says of each row to ``out`` (outputs, n), float64."""
        if issparse(X):
            for own, a, b, piece in self._over_sparse(X):
                part = np.ascontiguousarray(out[:, a:b])
                own.add_to(part, piece)
                out[:, a:b] = part
            return
        prediction.add_predictions(self.arrays, self.categories, X, out, self.n_jobs)

    def mean(self, X):
        """Mean over the trees of what they say of each row, (n, values)."""
        if issparse(X):
            return np.concatenate([own.mean(piece) for own, _, _, piece in self._over_sparse(X)])
        return deep_prediction.sum_of_trees(self.arrays, self.categories, X, self.n_jobs) / len(self)

    def leaves(self, X):
        """Node in which each row ends, in each tree, (n, trees)."""
        if issparse(X):
            return np.concatenate([own.leaves(piece) for own, _, _, piece in self._over_sparse(X)])
        return prediction.find_leaves(self.arrays, self.categories, X, self.n_jobs)

    def shap_values(self, X, background=None):
        """Shapley values (n, d, outputs) and base values (outputs) of the sum of the trees."""
        if issparse(X) or issparse(background):
            return self._shap_of_asked(X, background)
        return shap.shap_values(self.arrays, self.categories, X, self.n_outputs, background, self.n_jobs)

    def _shap_of_asked(self, X, background):
        # Columns that nobody asks about have the value 0.
        own, asked = self.narrowed()
        X, Z = (None if T is None else sparse_table.dense_columns(T, asked) for T in (X, background))
        some, base = own.shap_values(X, Z)
        values = np.zeros((len(X), len(self.categories[1]), some.shape[2]))
        values[:, asked] = some
        return values, base
