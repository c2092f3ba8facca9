"""Fitted trees as an ONNX graph, for runtimes that know no Python.

The trees become one ``TreeEnsemble`` node of float64 (a tree whose leaves hold several values is
repeated once a value); the start of boosting, the mean of a forest and the link follow as ordinary
nodes. The package ``onnx`` is asked for only here.
"""

import numpy as np

LEQ, MEMBER = 0, 6


def to_onnx(estimator):
    """Make the graph: X (n, d) in, ``prediction`` out, or ``probabilities`` and ``label``."""
    try:
        import onnx  # type: ignore[import-not-found, unused-ignore]
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx; install it with: pip install onnx") from error

    if len(getattr(estimator, "classes_", (0, 1))) == 1:
        raise ValueError(f"{type(estimator).__name__}: a model of one class is not written as ONNX.")
    steps, link = estimator._onnx_steps()
    ensemble, n_outputs = _ensemble(estimator)
    for name, value in ensemble.items():
        if isinstance(value, np.ndarray):
            ensemble[name] = numpy_helper.from_array(value, name)
    nodes = [helper.make_node("TreeEnsemble", ["X"], ["sum"], domain="ai.onnx.ml", **ensemble)]
    constants = {}

    def apply(operator, inputs, output, **attributes):
        names = []
        for given in inputs:
            if not isinstance(given, str):
                name = f"constant_{len(constants)}"
                constants[name], given = np.asarray(given), name
            names.append(given)
        nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output

    score = "sum"
    for i, (operator, constant) in enumerate(steps):
        score = apply(operator, [score, constant], f"step_{i}")
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        outputs = [("prediction", TensorProto.DOUBLE, [None, n_outputs])]
        apply(link, [score], "prediction")
    else:
        if n_outputs == 1:  # the second of two classes
            p = apply("Sigmoid" if link == "Softmax" else link, [score], "one")
            apply("Concat", [apply("Sub", [1.0, p], "other"), p], "probabilities", axis=1)
        else:
            apply(link, [score], "probabilities")
        best = apply("ArgMax", ["probabilities"], "best", axis=1, keepdims=0)
        words = classes.astype({"U": object, "O": object, "f": np.float64}.get(classes.dtype.kind, np.int64))
        apply("Gather", [words, best], "label")
        kinds = {"O": TensorProto.STRING, "i": TensorProto.INT64, "f": TensorProto.DOUBLE}
        kind = kinds[words.dtype.kind]
        outputs = [("label", kind, [None]), ("probabilities", TensorProto.DOUBLE, [None, len(classes)])]
    graph = helper.make_graph(
        nodes,
        type(estimator).__name__,
        [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, estimator.n_features_in_])],
        [helper.make_tensor_value_info(*output) for output in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="zoo")
    onnx.checker.check_model(model)
    return model


def _ensemble(estimator):
    """Write the attributes of ``TreeEnsemble``, and count its outputs."""
    from zoo.engines.trees import model as _model

    model = estimator.model_
    names = ("feature", "split", "mode", "true", "true_is_leaf", "false", "false_is_leaf", "missing_true")
    nodes = {name: [] for name in names}
    leaf_value, leaf_output, members, roots = [], [], [], []
    value = model["value"].reshape(len(model["left"]), -1)
    for t in range(len(model["root"])):
        one = _model.pick_tree(model, t)
        left, base = one["left"], int(model["root"][t])
        inner = np.flatnonzero(left != np.arange(len(left)))
        leaves = np.flatnonzero(left == np.arange(len(left)))
        for v in range(value.shape[1]):
            first_leaf, first = len(leaf_value), len(nodes["feature"])
            place = np.empty(len(left), np.int64)
            place[inner], place[leaves] = first + np.arange(len(inner)), first_leaf + np.arange(len(leaves))
            leaf_value += value[base + leaves, v].tolist()
            leaf_output += [int(model["output"][t]) + v] * len(leaves)
            roots.append(first)
            # A tree without a cut is a question whose answers are alike.
            for i in inner if len(inner) else [0]:
                l, r = (left[i], left[i] + 1) if len(inner) else (0, 0)
                mode, split, missing = LEQ, one["threshold"][i], bool(one["missing_left"][i])
                yes, no = l, r
                if one["set_at"][i] >= 0:
                    held, missing = _members(estimator, one, i)
                    # What was never seen is no member: the other branch has to be its own.
                    yes, no = (r, l) if missing else (l, r)
                    mode, split, missing = MEMBER, 0.0, False
                    members += [*held, np.nan]
                row = (
                    max(int(one["feature"][i]), 0), split, mode, int(place[yes]), int(left[yes] == yes),
                    int(place[no]), int(left[no] == no), int(missing),
                )  # fmt: skip
                for name, entry in zip(names, row, strict=True):
                    nodes[name].append(entry)
    n_outputs = max(leaf_output, default=0) + 1
    ensemble = {
        "aggregate_function": 1,  # the sum
        "n_targets": n_outputs,
        "tree_roots": roots,
        "nodes_featureids": nodes["feature"],
        "nodes_splits": np.array(nodes["split"], np.float64),
        "nodes_modes": np.array(nodes["mode"], np.uint8),
        "nodes_truenodeids": nodes["true"],
        "nodes_trueleafs": nodes["true_is_leaf"],
        "nodes_falsenodeids": nodes["false"],
        "nodes_falseleafs": nodes["false_is_leaf"],
        "nodes_missing_value_tracks_true": nodes["missing_true"],
        "leaf_targetids": leaf_output,
        "leaf_weights": np.array(leaf_value, np.float64),
    }
    if members:
        ensemble["membership_values"] = np.array(members, np.float64)
    return ensemble, n_outputs


def _members(estimator, one, i):
    """Codes that are asked for at node i, and whether what was never seen goes left."""
    codes, bits = estimator.codes_[one["feature"][i]], one["sets"][one["set_at"][i]]
    left = np.array([bool(bits[c >> 6] >> np.uint64(c & 63) & np.uint64(1)) for c in range(len(codes) + 1)])
    unseen_left = bool(left[-1])
    return codes[~left[:-1] if unseen_left else left[:-1]], unseen_left
