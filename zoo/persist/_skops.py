"""The member that skops reads: it holds little, and is looked at before skops sees it."""

import io
import math
from typing import Any

import numpy as np

from zoo.persist._archive import json_of, read_zip
from zoo.persist._format import OBJECTS

# What compiled objects of scikit-learn are made of. The rest would let a few bytes stand for much (sets and
# keys that look alike, sparse matrices, masks) or set what numpy does not check (generators).
LOADERS = frozenset({
    "BytesNode", "DTypeNode", "DefaultDictNode", "DictNode", "FunctionNode", "JsonNode", "ListNode",
    "LossNode", "NdArrayNode", "ObjectNode", "SliceNode", "TreeNode", "TupleNode", "TypeNode",
})  # fmt: skip


def check_skops(blob: bytes, path: str) -> None:
    """Bound what the skops member unpacks to: no compression, nothing read twice, true sizes."""
    members = read_zip(io.BytesIO(blob), f"{path} ({OBJECTS})")
    todo = [json_of(members["schema.json"], path, "schema.json")]
    readers: dict[str, Any] = {}
    known: dict[Any, Any] = {}
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
            continue
        if not isinstance(node, dict):
            continue
        todo += node.values()
        if node.get("__loader__", "JsonNode") not in LOADERS:
            raise ValueError(f"a {node['__loader__']} among compiled objects")
        if node.get("__loader__") == "DictNode" and not _has_text_keys(node):
            raise ValueError("keys that are no text")
        if "__id__" in node and known.setdefault(node["__id__"], node) != node:
            # skops makes the first of them and puts it in the place of the others.
            raise ValueError("one name stands for two objects")
        if isinstance(node.get("file"), str):
            reader = node.get("__id__")
            if readers.setdefault(node["file"], reader) != reader:
                raise ValueError("one member stands for two objects")
    for name, data in members.items():
        if name.endswith(".npy"):
            _check_npy(data)


def _has_text_keys(node: dict[str, Any]) -> bool:
    return all(
        (kind.get("__module__"), kind.get("__class__")) == ("builtins", "str")
        for kind in node["key_types"]["content"]
    )


def _check_npy(data: bytes) -> None:
    file = io.BytesIO(data)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(file)]
    shape, _, dtype = read(file)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"an array of {dtype} does not have the size that is stated")
