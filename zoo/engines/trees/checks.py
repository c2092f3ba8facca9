"""What a file says of trees is believed only where kernels can follow it.

Kernels read nodes by address: a child that stands nowhere, or a column that there is not, would end
the process. Whatever makes a model from outside (JSON, saved files, pickles) asks here first.
"""

import numpy as np

MOST_CATEGORIES = 255
MOST_COLUMNS = 1 << 24
TYPES = {
    "root": "int64", "output": "int64", "depth": "int64", "left": "int32", "feature": "int32",
    "threshold": "float64", "missing_left": "uint8", "set_at": "int32", "sets": "uint64", "value": None,
    "gain": "float64", "weight": "float64", "count": "int64",
}  # fmt: skip
"""Arrays of a model (see ``model.empty_model``); values of leaves may be float32 or float64."""


class Damage(ValueError):
    """What is wrong with a text or a file."""


def demand(condition, what):
    """Raise where what was read is not as it has to be."""
    if not condition:
        raise Damage(what)


def check_categories(codes, p):
    """Demand the known categories of each of p columns: numbers that rise, not too many."""
    demand(0 < p < MOST_COLUMNS, f"it has {p} features")
    demand(isinstance(codes, list) and len(codes) == p, "codes_ are not one array a column")
    for own in codes:
        demand(_is_array(own, 1) and own.dtype == np.float64, "codes_ hold what is no array of numbers")
        rising = len(own) <= MOST_CATEGORIES and bool((own[1:] > own[:-1]).all())
        demand(rising, "codes are more than 255 or do not rise")


def check_model(model, p):
    """Demand that a model is made of arrays of the right kinds, and these of trees on p columns."""
    demand(isinstance(model, dict) and model.keys() == TYPES.keys(), "model_ is no record of trees")
    for name, kind in TYPES.items():
        a, dimensions = model[name], {"sets": 2, "value": np.ndim(model[name]) or 1}.get(name, 1)
        kinds = (kind,) if kind else ("float32", "float64")
        demand(_is_array(a, dimensions) and a.dtype.name in kinds, f"{name} is no array of its kind")
        demand(a.flags.c_contiguous, f"{name} does not lie in order")
    check_nodes(model, p)
    demand(np.array_equal(model["depth"], depths(model)), "depth is not that of the trees")


def check_outputs(model, n_outputs):
    """Demand that values of leaves fall on ``n_outputs`` outputs."""
    value, output = model["value"], model["output"]
    width = value.shape[1] if value.ndim == 2 else 1
    demand(value.ndim in (1, 2) and width > 0, "value holds no numbers")
    demand(bool(((output >= 0) & (output + width <= n_outputs)).all()), "a tree adds to no output there is")


def check_nodes(model, p):
    """Demand that nodes of all trees hang together, and that each asks what there is to ask."""
    root, left, feature, set_at = (model[name] for name in ("root", "left", "feature", "set_at"))
    n, at = len(left), np.arange(len(left))
    demand(n < 1 << 31, "it has too many nodes")
    each = len(root) == len(model["output"]) == len(model["depth"])
    demand(each, "root, output and depth are not one a tree")
    for name in ("feature", "threshold", "missing_left", "set_at", "value", "weight"):
        demand(len(model[name]) == n, f"{name} has {len(model[name])} entries for {n} nodes")
    for name in ("gain", "count"):
        demand(len(model[name]) in (0, n), f"some trees have {name} and others not")
    first = root[:1].tolist() == [0] if n else len(root) == 0
    demand(first and bool((np.diff(root) > 0).all() and (root < n).all()), "a tree has no nodes")
    inner = left != at
    demand(bool(((feature >= 0) == inner).all()), "feature is -1 elsewhere than in the leaves")
    demand(bool((feature < p).all()) and bool((feature >= -1).all()), "a feature is none of the columns")
    end = np.repeat(np.append(root, n)[1:], np.diff(np.append(root, n)))
    demand(bool((left[inner] > at[inner]).all()), "a child stands before its parent")
    within = left[inner].astype(np.int64) + 1 < end[inner]
    demand(bool(within.all()), "a child stands in no tree or in another")
    children = np.sort(np.concatenate([left[inner], left[inner] + 1]))
    others = np.delete(at, root)
    demand(np.array_equal(children, others), "nodes are no tree: each but the root is one child")
    demand(bool(np.isposinf(model["threshold"][~inner]).all()), "a leaf has a threshold")
    demand(not np.isnan(model["threshold"]).any(), "a threshold is no number")
    missing_left = model["missing_left"]
    demand(bool((missing_left <= 1).all()), "missing_left is not 0 or 1")
    demand(bool((missing_left[~inner] == 1).all()), "missing_left is not 1 in a leaf")
    held = set_at >= 0
    demand(model["sets"].shape[1:] == (4,), "sets are not of 256 bits")
    demand(bool((set_at >= -1).all() and (set_at < len(model["sets"]))[held].all()), "a set is not there")
    demand(not (held & ~inner).any(), "a leaf has categories")


def depths(model):
    """Cuts above the deepest leaf of each tree; the nodes were checked."""
    root, left = model["root"], model["left"].astype(np.int64)
    out = np.zeros(len(root), np.int64)
    node, tree, depth = root, np.arange(len(root)), 0
    while len(node):
        out[tree] = depth
        going = left[node] != node
        tree = np.repeat(tree[going], 2)
        node = np.repeat(left[node[going]], 2) + np.tile([0, 1], int(going.sum()))
        depth += 1
    return out


def check_rows(rows, model):
    """Demand that the rows a forest remembers are rows it was fitted to, listed node by node."""
    names = {"row", "start", "y", "w"}
    demand(isinstance(rows, dict) and rows.keys() == names, "rows_ is no record of rows")
    row, start, y, w = (rows[name] for name in ("row", "start", "y", "w"))
    demand(_is_array(row, 1) and row.dtype == np.int32, "row is no array of its kind")
    demand(_is_array(start, 1) and start.dtype == np.int64, "start is no array of its kind")
    demand(_is_array(y, np.ndim(y)) and np.ndim(y) in (1, 2) and y.dtype.kind in "fiu", "y are no targets")
    demand(_is_array(w, 1) and w.dtype.kind == "f" and len(w) == len(y), "weights are not one a row")
    listed = len(start) == len(model["left"]) + 1 and start[0] == 0 and start[-1] == len(row)
    demand(listed and bool((np.diff(start) >= 0).all()), "rows are not listed node by node")
    demand(bool(((row >= 0) & (row < len(y))).all()), "a row is none of the fit")


def _is_array(a, dimensions):
    return isinstance(a, np.ndarray) and a.ndim == dimensions
