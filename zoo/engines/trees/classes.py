"""Classes as targets of trees: one column of labels or several, each with classes of its own."""

import numpy as np
from scipy.special import xlogy

from zoo.engines.trees import codes, records


def class_targets(y, classes, criterion):
    """Targets of class numbers (n,) or (n, columns)."""
    if not isinstance(classes, list):
        return codes.class_targets(y, len(classes), criterion)
    sizes = np.array([len(k) for k in classes])
    shares = class_shares(y, classes)
    two = bool((sizes == 2).all())
    code = (records.SQUARED if two else records.GINI) if criterion == "gini" else records.ENTROPY
    # Where every column has two classes one number each says it all.
    return codes.Targets(y.astype(np.float64), sizes[:0] if two else sizes, shares, code)


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
    return np.column_stack([1 - p, p]) if p.shape[1] == 1 else p


def impurity(shares, classes, criterion):
    """Gini index or entropy of nodes, given their shares of classes; the mean over columns of y."""
    loss = shares**2 if criterion == "gini" else xlogy(shares, shares)
    start = 1.0 if criterion == "gini" else 0.0
    columns = len(classes) if isinstance(classes, list) else 1
    return start - loss.sum(axis=1) / columns
