"""Fitted trees as JSON, for other programs and other languages to read.

One object::

    {"format": "zoo.trees", "version": 1, "estimator": "BoostingRegressor",
     "parameters": {...},            # a dict is {"pairs": [[key, value], ...]}
     "dtype": "float64",             # in which X is read and predictions are given
     "features": [{"name": "size"},  # one a column; names only where X had them
                  {"name": "colour", "codes": [0, 1, 2], "labels": ["blue", "grey", "red"]}],
     "classes": [...] or null,       # labels; a list of lists where y had several columns
     "learned": {...},               # such as "initial_", the score before the first tree
     "trees": [{"output": 0, "left": [...], "feature": [...], "threshold": [...],
                "missing_left": [...], "categories": [...], "value": [...], "weight": [...]}]}

A tree is a list of nodes, held as columns. Node 0 is the root; the children of node i are
``left[i]`` and ``left[i] + 1``; in a leaf ``left[i]`` is i and ``feature[i]`` is -1. A row goes left
if its value is at most ``threshold[i]`` (null: any number is), or, where ``categories[i]`` is a
list, if its code is among ``codes`` at one of those places. A value that is missing, or a category
that was never seen, goes left if ``missing_left[i]`` is 1. ``labels`` are what a DataFrame calls the
codes. ``output`` is the score that a tree adds its ``value`` to (a list a node where a tree has
several values); forests and single trees take the mean over trees.

Floats are written with as many digits as bring the same bits back. Reading runs no code, and every
number is checked before a kernel sees it.
"""

import json

import numpy as np

from zoo.contract.params import fields_of, validate
from zoo.engines.trees.checks import (
    Damage,
    check_categories,
    check_nodes,
    demand,
    depths,
)

FORMAT, VERSION = "zoo.trees", 1
PLAIN = (str, int, float, bool, type(None))
NODE = (
    "output", "left", "feature", "threshold", "missing_left", "categories", "value", "weight", "gain",
    "count",
)  # fmt: skip


def write(estimator):
    """Turn a fitted estimator into what JSON holds."""
    name = type(estimator).__name__
    parameters = {}
    for key, value in estimator.get_params(deep=False).items():
        if key == "random_state" and not isinstance(value, int | np.integer):
            value = None
        parameters[key] = _plain(value, f"{name}: the parameter {key}={value!r}")
    classes = getattr(estimator, "classes_", None)
    if classes is not None:
        several = isinstance(classes, list)
        columns = classes if several else [classes]
        columns = [[_plain(v, f"{name}: the label {v!r}") for v in k.tolist()] for k in columns]
        classes = columns if several else columns[0]
    model = estimator.model_
    return {
        "format": FORMAT,
        "version": VERSION,
        "estimator": name,
        "parameters": parameters,
        "dtype": np.dtype(estimator.dtype_).name,
        "features": _features(estimator, name),
        "classes": classes,
        "learned": {key: _plain(getattr(estimator, key), key) for key in estimator.learned},
        "trees": [_tree(estimator, model, t) for t in range(len(model["root"]))],
    }


def _plain(value, what):
    """Turn a value into what JSON holds; an infinite or missing number is null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return [_plain(v, what) for v in value]
    if isinstance(value, dict):
        return {"pairs": [[_plain(k, what), _plain(v, what)] for k, v in value.items()]}
    raise ValueError(f"{what} cannot be written as JSON; zoo.save writes any fitted model.")


def _features(estimator, name):
    names = getattr(estimator, "feature_names_in_", [None] * estimator.n_features_in_)
    labels = getattr(estimator, "categories_", {})
    features = []
    for j, column in enumerate(names):
        feature = {} if column is None else {"name": str(column)}
        if j < len(estimator.codes_) and len(estimator.codes_[j]):
            feature["codes"] = estimator.codes_[j].tolist()
        if j in labels:
            feature["labels"] = [_plain(v, f"{name}: the category {v!r}") for v in labels[j]]
        features.append(feature)
    return features


def _tree(estimator, model, t):
    from zoo.engines.trees import model as _model

    one = _model.pick_tree(model, t)
    tree = {"output": int(model["output"][t])}
    for key in ("left", "feature", "missing_left", "value", "weight", "gain", "count"):
        if len(one[key]):
            tree[key] = one[key].tolist()
    tree["threshold"] = [None if np.isinf(v) else v for v in one["threshold"].tolist()]
    held = [None] * len(one["left"])
    for i in np.flatnonzero(one["set_at"] >= 0):
        bits, k = one["sets"][one["set_at"][i]], len(estimator.codes_[one["feature"][i]])
        held[i] = [c for c in range(k) if _holds(bits, c)]
        tree["missing_left"][i] = int(_holds(bits, k))
    if any(own is not None for own in held):
        tree["categories"] = held
    return tree


def _holds(bits, c):
    return bool(bits[c >> 6] >> np.uint64(c & 63) & np.uint64(1))


# -- reading ----------------------------------------------------------------------------------------


def read(cls, text):
    """Make a fitted estimator of a class from JSON."""
    try:
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise Damage(f"it is no JSON ({error})") from error
        demand(isinstance(data, dict) and data.get("format") == FORMAT, f"its format is not {FORMAT!r}")
        version = data.get("version")
        demand(version == VERSION, f"its version is {version!r}, and this release reads {VERSION}")
        kind = data.get("estimator")
        demand(kind == cls.__name__, f"it holds a {kind!r}; call from_json of that class")
        return _read(cls, data)
    except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{cls.__name__}.from_json cannot read this text: {what}; give what to_json wrote."
        ) from error


def _read(cls, data):
    from zoo.engines.trees import model as _model

    parameters = {key: _value(v) for key, v in _object(data["parameters"], "parameters").items()}
    strange = parameters.keys() - fields_of(cls).keys()
    demand(not strange, f"{cls.__name__} has no parameter {', '.join(sorted(strange))}")
    estimator = cls(**parameters)
    validate(estimator)
    demand(data["dtype"] in ("float32", "float64"), f"its dtype is {data['dtype']!r}")
    estimator.dtype_ = np.dtype(data["dtype"])
    features = _list(data["features"], "features")
    estimator.n_features_in_ = len(features)
    names = [_object(f, "a feature", ("name", "codes", "labels")).get("name") for f in features]
    if any(name is not None for name in names):
        demand(all(isinstance(name, str) for name in names), "some features have names and others none")
        estimator.feature_names_in_ = np.array(names, dtype=object)
    estimator.codes_ = [_codes(f) for f in features]
    check_categories(estimator.codes_, len(features))
    estimator.categories_ = {j: _labels(f) for j, f in enumerate(features) if "labels" in f}
    if data["classes"] is not None:
        estimator.classes_ = _classes(data["classes"])
    given = _object(data["learned"], "learned")
    for key in cls.learned:
        value = _value(given[key])
        if isinstance(value, list):
            value = np.array([np.nan if v is None else v for v in value])
            demand(value.dtype.kind in "fi" and value.ndim == 1, f"{key} is no list of numbers")
        if isinstance(value, dict):
            value = {k: np.array([np.nan if x is None else x for x in v], float) for k, v in value.items()}
        setattr(estimator, key, value)
    trees = [_nodes(t, estimator.codes_) for t in _list(data["trees"], "trees")]
    estimator.model_ = model = _join(_model.empty_model(), trees)
    check_nodes(model, len(features))
    model["depth"] = depths(model)
    estimator._check_read()
    estimator._fitted_ = True
    return estimator


def _object(x, what, keys=None):
    demand(isinstance(x, dict), f"{what} is no object")
    strange = set() if keys is None else x.keys() - set(keys)
    demand(not strange, f"{what} has the strange entry {', '.join(sorted(strange))}")
    return x


def _list(x, what, n=None):
    demand(isinstance(x, list), f"{what} is no list")
    demand(n is None or len(x) == n, f"{what} has {len(x)} entries instead of {n}")
    return x


def _value(x):
    if isinstance(x, dict):
        return {_hashable(k): _value(v) for k, v in (_list(pair, "a pair", 2) for pair in x["pairs"])}
    return [_value(v) for v in x] if isinstance(x, list) else x


def _hashable(x):
    demand(isinstance(x, PLAIN), "a key is no plain value")
    return x


def _numbers(x, what, kind, n=None, low=None, high=None):
    """Return a list of numbers as an array, whole ones for kind int, within bounds."""
    x = _list(x, what, n)
    allowed = (int,) if kind is int else (int, float)
    demand(all(type(v) in allowed for v in x), f"{what} holds what is no number")
    out = np.array(x, dtype=np.int64 if kind is int else np.float64)
    demand(kind is int or np.isfinite(out).all(), f"{what} holds an infinite number")
    inside = (low is None or (out >= low).all()) and (high is None or (out <= high).all())
    demand(inside, f"{what} holds a number out of its range")
    return out


def _codes(feature):
    return _numbers(feature.get("codes", []), "codes", float)


def _labels(feature):
    labels = _list(feature["labels"], "labels")
    demand(all(isinstance(v, PLAIN) for v in labels), "a label of a category is no plain value")
    out = np.empty(len(labels), dtype=object)
    out[:] = labels
    return out


def _classes(x):
    x = _list(x, "classes")
    if x and isinstance(x[0], list):
        return [_classes(column) for column in x]
    demand(all(isinstance(v, PLAIN) for v in x) and len(x) > 0, "classes are no labels")
    kinds = {type(v) for v in x}
    classes = np.array(x, dtype=None if len(kinds) == 1 or kinds == {int, float} else object)
    demand(bool((classes[1:] > classes[:-1]).all()), "classes are not in order")
    return classes


def _nodes(tree, codes):
    """Check one tree and return its nodes as arrays."""
    left = _numbers(_object(tree, "a tree", NODE)["left"], "left", int, low=0)
    n, p = len(left), len(codes)
    feature = _numbers(tree["feature"], "feature", int, n, -1, p - 1)
    demand(n > 0, "a tree has no nodes")
    demand(bool((left < n).all()), "left holds a number out of its range")
    threshold = _list(tree["threshold"], "threshold", n)
    known = _numbers([t for t in threshold if t is not None], "threshold", float)
    infinite = np.array([t is None for t in threshold])
    cuts = np.full(n, np.inf)
    cuts[~infinite] = known
    missing_left = _numbers(tree["missing_left"], "missing_left", int, n, 0, 1)
    set_at, sets = np.full(n, -1, np.int32), []
    for i, held in enumerate(_list(tree.get("categories", [None] * n), "categories", n)):
        if held is None:
            continue
        demand(feature[i] >= 0, "a leaf has categories")
        k = len(codes[feature[i]])
        held = _numbers(held, "categories", int, None, 0, k - 1)
        bits = np.zeros(4, np.uint64)
        for c in [*held, k] if missing_left[i] else held:
            bits[c >> 6] |= np.uint64(1) << np.uint64(c & 63)
        set_at[i] = len(sets)
        sets.append(bits)
    value = _list(tree["value"], "value", n)
    width = len(value[0]) if isinstance(value[0], list) else 0
    if width:
        flat = [v for own in value for v in _list(own, "a value", width)]
        numbers = _numbers(flat, "value", float).reshape(n, width)
    else:
        numbers = _numbers(value, "value", float)
    output = tree["output"]
    demand(type(output) is int and 0 <= output < 1 << 20, "an output is no small whole number")
    nodes = {
        "output": output, "depth": 0, "left": left, "feature": feature,
        "threshold": cuts, "missing_left": missing_left, "set_at": set_at,
        "sets": np.array(sets, np.uint64).reshape(-1, 4), "value": numbers,
        "weight": _numbers(tree["weight"], "weight", float, n, 0),
    }  # fmt: skip
    for key, kind in (("gain", float), ("count", int)):
        nodes[key] = _numbers(tree[key], key, kind, n) if key in tree else np.empty(0)
    return nodes


def _join(empty, trees):
    """Put checked trees into one model."""
    parts = {name: [a] for name, a in empty.items()}
    widths = {tree["value"].shape[1:] for tree in trees}
    demand(len(widths) < 2, "trees differ in the number of their values")
    start = n_sets = 0
    for tree in trees:
        parts["root"].append([start])
        parts["output"].append([tree["output"]])
        parts["depth"].append([tree["depth"]])
        parts["left"].append(tree["left"] + start)
        parts["set_at"].append(np.where(tree["set_at"] >= 0, tree["set_at"] + n_sets, -1))
        for name in ("feature", "threshold", "missing_left", "sets", "value", "weight", "gain", "count"):
            parts[name].append(tree[name])
        start += len(tree["left"])
        n_sets += len(tree["sets"])
    if trees and trees[0]["value"].ndim == 2:
        parts["value"] = parts["value"][1:]
    model = {name: np.concatenate(p).astype(empty[name].dtype) for name, p in parts.items()}
    for name in ("gain", "count"):
        demand(len(model[name]) in (0, start), f"some trees have {name} and others not")
    return model
