"""What trees of records predict: numbers, or classes of one column of labels or several."""

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from zoo.engines.magnitudes import check_squares
from zoo.engines.trees import records


class Targets(NamedTuple):
    """What trees predict, in the two forms that growing needs."""

    packed: np.ndarray  # float64 (n, q): y of regression or two classes; else the label
    classes: np.ndarray  # int64 (q): numbers of classes, empty when packed as w y
    dense: np.ndarray  # float64 (n, v): what leaves average
    criterion: int

    @property
    def zero_one(self):
        """Whether all packed targets are 0 or 1."""
        y = self.packed
        return bool(((y[:100] == 0) | (y[:100] == 1)).all() and ((y == 0) | (y == 1)).all())


def regression_targets(y, criterion, name):
    """Targets of a regression: centred for squares, as they are for Poisson."""
    # Kernels read targets by address: a view of another array is copied.
    Y = np.ascontiguousarray(y, np.float64).reshape(len(y), -1)
    check_squares(name, y=Y, vanish=("y",))
    if criterion == "poisson" and (Y.min() < 0 or Y.max() <= 0):
        raise ValueError(
            f"{name}: criterion='poisson' needs y >= 0 with a positive sum, but y lies between "
            f"{Y.min()} and {Y.max()}; give counts or take another criterion."
        )
    known = {"poisson": records.POISSON, "absolute_error": records.ABSOLUTE}
    code = known.get(criterion, records.SQUARED)
    centred = Y - Y.mean(axis=0) if code == records.SQUARED else Y
    return Targets(centred, np.empty(0, np.int64), Y, code)


def _one_column(y, k, criterion):
    """Targets of one column of labels; two classes are numbers, 0 and 1."""
    if k == 2:
        code = records.SQUARED if criterion == "gini" else records.ENTROPY
        Y = y[:, None].astype(np.float64)
        return Targets(Y, np.empty(0, np.int64), Y, code)
    code = records.GINI if criterion == "gini" else records.ENTROPY
    dense = np.eye(k)[y]
    return Targets(y[:, None].astype(np.float64), np.array([k]), dense, code)


def class_targets(y, classes, criterion):
    """Targets of class numbers (n,) or (n, columns)."""
    if not isinstance(classes, list):
        return _one_column(y, len(classes), criterion)
    sizes = np.array([len(k) for k in classes])
    shares = class_shares(y, classes)
    two = bool((sizes == 2).all())
    code = (records.SQUARED if two else records.GINI) if criterion == "gini" else records.ENTROPY
    # Where every column has two classes one number each says it all.
    return Targets(y.astype(np.float64), sizes[:0] if two else sizes, shares, code)


def balanced(weight, y):
    """Weigh rows so that all classes (of each column of y) that have weight have the same total."""
    for own in np.reshape(y, (len(y), -1)).T:
        total = np.bincount(own, weight)
        share = weight.sum() / (np.count_nonzero(total) * np.where(total > 0, total, 1.0))
        weight = weight * share[own]
    return weight


def class_shares(y, classes):
    """One-hot rows of class numbers, (n, all classes of all columns)."""
    columns = classes if isinstance(classes, list) else [classes]
    numbers = np.reshape(y, (len(y), -1)).T
    return np.hstack([np.eye(len(k))[own] for k, own in zip(columns, numbers, strict=True)])


def by_column(p, classes):
    """Turn means of leaves (n, v) into probabilities: an array, or a list, one a column of y."""
    if isinstance(classes, list):
        ends = np.cumsum([len(k) for k in classes])[:-1]
        return [np.ascontiguousarray(own) for own in np.split(p, ends, axis=1)]
    return np.column_stack([1 - p, p]) if len(classes) == 2 and p.shape[1] == 1 else p


def impurity(shares, classes, criterion):
    """Gini index or entropy of nodes, given their shares of classes; the mean over columns of y."""
    loss = shares**2 if criterion == "gini" else xlogy(shares, shares)
    start = 1.0 if criterion == "gini" else 0.0
    columns = len(classes) if isinstance(classes, list) else 1
    return start - loss.sum(axis=1) / columns
