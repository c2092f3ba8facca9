"""From the bytes of a file back to an estimator; nothing is believed that was not checked."""

import functools
import hashlib
import math
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo import __version__
from zoo.contract.params import REQUIRED
from zoo.persist._archive import json_of
from zoo.persist._format import (
    ARRAYS,
    BIT_GENERATORS,
    BUNCH,
    COLLISIONS_LIMIT,
    COPIES_LIMIT,
    FORMAT,
    HEADER,
    OBJECTS,
    RANGES_LIMIT,
    SPARSE,
    STATE,
    ZooFileError,
    damaged,
    is_native,
    printable,
    shortened,
)
from zoo.persist._renames import today
from zoo.persist._skops import check_skops
from zoo.persist._trust import (
    CHECK_ARRAY,
    PLAIN_TYPES,
    is_estimator,
    is_named_tuple,
    is_trusted,
    named,
    trusted_function,
)


def checked_header(members: dict[str, bytes], path: Any) -> dict[str, Any]:
    """Check the header and every member against it."""
    if HEADER not in members:
        raise ZooFileError(
            f"{path} is no zoo file (it has no {HEADER}); give a file that zoo.save has written."
        )
    header = json_of(members[HEADER], str(path), HEADER)
    number = header.get("format") if isinstance(header, dict) else None
    if type(number) is not int or number < 1:
        raise damaged(path, "its header has no format number")
    if number > FORMAT:
        raise ZooFileError(
            f"{path} has format {number} and this version of zoo reads formats up to {FORMAT}; "
            "upgrade zoo to read it."
        )
    versions = header.get("versions")
    if not isinstance(versions, dict) or not all(isinstance(v, str) for v in versions.values()):
        raise damaged(path, "its header does not list the versions that wrote it")
    needed = header.get("needs_trust", [])
    if not isinstance(needed, list) or not all(isinstance(n, str) for n in needed):
        raise damaged(path, "its header does not list what needs trust")
    sums = header.get("sha256")
    if not isinstance(sums, dict) or STATE not in sums or not sums.keys() <= {
        STATE, ARRAYS, OBJECTS,
    }:  # fmt: skip
        raise damaged(path, "its header does not list its members")
    if sums.keys() != members.keys() - {HEADER}:
        strange = ", ".join(map(shortened, sorted(sums.keys() ^ (members.keys() - {HEADER}))[:5]))
        raise damaged(path, f"the header and the archive disagree on the member(s) {strange}")
    for name, expected in sums.items():
        if hashlib.sha256(members[name]).hexdigest() != expected:
            raise damaged(path, f"{name} is not what was saved (its sha256 differs)")
    return header


class Reader:
    """Turns the tree of JSON back into an estimator."""

    def __init__(
        self, members: dict[str, bytes], header: dict[str, Any], extra: frozenset[str], path: str
    ) -> None:
        self.path = path
        self.extra = extra
        self.header = header
        self.tree = json_of(members[STATE], path, STATE)
        self.arrays: dict[str, np.ndarray] = {}
        self.objects: list[Any] = []
        self.shared: dict[int, Any] = {}
        # What may be copied, or made at all, beyond the arrays themselves: a file refers to an array as
        # often as it likes, and a range is long for nothing.
        self.copies = 4 * sum(map(len, members.values())) + COPIES_LIMIT
        self.ranges = RANGES_LIMIT
        blob = members.get(OBJECTS)
        self._check_names(set(_names(self.tree)), blob)
        if ARRAYS in members:
            from safetensors.numpy import load as from_safetensors

            self.arrays = from_safetensors(members.pop(ARRAYS))
        if blob is not None:
            import skops.io

            self.objects = skops.io.loads(blob, trusted=sorted(extra))

    def _check_names(self, names: set[str], blob: bytes | None) -> None:
        written = self.header["format"]
        strange = {n for n in names if not is_trusted(today(n, written), self.extra)}
        if blob is not None:
            import skops.io

            check_skops(blob, self.path)
            strange |= set(skops.io.get_untrusted_types(data=blob)) - self.extra
        if strange:
            shown = ", ".join(printable(n) for n in sorted(strange)[:8])
            if all(n.startswith("zoo.") for n in strange):
                if written < FORMAT:
                    raise ZooFileError(
                        f"{self.path} was written by {writer_of(self.header)} and names {shown}, which files "
                        f"of zoo {__version__} do not keep; fit the estimator again, or load it with the "
                        "version that wrote it."
                    )
                raise ZooFileError(
                    f"{self.path} names what zoo {__version__} does not have: {shown}; upgrade zoo "
                    "or look in its changelog for what became of it."
                )
            raise ZooFileError(
                f"{self.path} names types that are not trusted: {shown}; if you know them and "
                "trust the file, load it with trusted=[...] and these names."
            )

    def estimator(self) -> Any:
        """Return what the file holds."""
        found = self.value(self.tree)
        if not is_estimator(type(found)):
            raise ZooFileError(f"{self.path} holds no estimator; save one with zoo.save.")
        return found

    def value(self, node: Any) -> Any:
        """Return the value that a node of the tree stands for."""
        if not isinstance(node, dict | list):
            return node
        if isinstance(node, list):
            return [self.value(v) for v in node]
        tag = next(iter(node), None)
        if tag not in _TAGS:
            raise damaged(self.path, "its tree has an unknown node")
        value = getattr(self, f"_{tag}")(node[tag], node)
        if "id" in node:
            # Plain values are never shared: a few that hold each other twice would stand for millions.
            if tag not in _SHARED:
                raise damaged(self.path, f"its tree shares a {tag}")
            self.shared[node["id"]] = value
        return value

    def _spend(self, n_bytes: int) -> None:
        self.copies -= n_bytes
        if self.copies < 0:
            raise ValueError("it asks for more memory than a file of its size can need")

    def _meant(self, name: str) -> Any:
        return named(today(name, self.header["format"]))

    def _same(self, number: int, node: Any) -> Any:
        return self.shared[number]

    def _float(self, text: str, node: Any) -> float:
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text]

    def _complex(self, parts: list[Any], node: Any) -> complex:
        return complex(*(self.value(p) for p in parts))

    def _tuple(self, items: list[Any], node: Any) -> Any:
        return tuple(self.value(v) for v in items)

    def _named(self, name: str, node: Any) -> Any:
        cls = self._meant(name)
        if not is_named_tuple(cls) or len(cls._fields) != len(node["items"]):
            raise TypeError(f"{name} is no named tuple of {len(node['items'])} fields")
        return tuple.__new__(cls, [self.value(v) for v in node["items"]])

    def _set(self, items: list[Any], node: Any) -> Any:
        return set(_hashable([self.value(v) for v in items]))

    def _frozenset(self, items: list[Any], node: Any) -> Any:
        return frozenset(_hashable([self.value(v) for v in items]))

    def _slice(self, items: list[Any], node: Any) -> slice:
        return slice(*(self.value(v) for v in items))

    def _range(self, items: list[Any], node: Any) -> range:
        made = range(*items)
        self.ranges -= len(made)
        if self.ranges < 0:
            raise ValueError(f"its ranges hold more than {RANGES_LIMIT} numbers")
        return made

    def _dict(self, pairs: list[Any], node: Any) -> Any:
        read = [(self.value(k), self.value(v)) for k, v in pairs]
        _hashable([k for k, _ in read])
        items = dict(read)
        if node.get("ordered"):
            return OrderedDict(items)
        if node.get("bunch"):
            return named(BUNCH)(**items)
        return defaultdict(self.value(node["factory"]), items) if "factory" in node else items

    def _bytes(self, key: str, node: Any) -> bytes:
        self._spend(self.arrays[key].nbytes)
        return self.arrays[key].tobytes()

    def _bytearray(self, key: str, node: Any) -> bytearray:
        return bytearray(self._bytes(key, node))

    def _dtype(self, descr: Any, node: Any) -> np.dtype[Any]:
        dtype = np.lib.format.descr_to_dtype(self.value(descr))
        if dtype.hasobject:
            raise ValueError(f"dtype {dtype} in a file")
        return dtype

    def _scalar(self, descr: Any, node: Any) -> Any:
        dtype = self._dtype(descr, node)
        data = bytes.fromhex(node["hex"])
        return np.ndarray((), dtype, data)[()] if len(data) == dtype.itemsize else _misfit(dtype)

    def _array(self, key: str, node: Any) -> np.ndarray:
        dtype, shape = self._dtype(node["dtype"], node), tuple(node["shape"])
        stored = self.arrays[key]
        if not is_native(node["dtype"]):
            size = math.prod(shape) * dtype.itemsize
            if stored.dtype != np.uint8 or stored.size != size or min(shape, default=0) < 0:
                _misfit(dtype)
            if dtype.itemsize == 0:
                self._spend(math.prod(shape))
            array = np.ndarray(shape, dtype, stored.data if size else None)
            if node.get("fortran"):
                array = array.reshape(shape[::-1]).T
            return array
        if node.get("fortran"):
            stored = stored.T
        return stored if stored.dtype == dtype and stored.shape == shape else _misfit(dtype)

    def _objects(self, items: list[Any], node: Any) -> np.ndarray:
        shape = tuple(node["shape"])
        if math.prod(shape) != len(items):
            _misfit(np.dtype(object))
        array = np.empty(len(items), object)
        for i, item in enumerate(items):
            array[i] = self.value(item)
        return array.reshape(shape)

    def _masked(self, parts: list[Any], node: Any) -> Any:
        data, mask = map(self._plain_array, parts[:2])
        fill = self.value(parts[2])
        self._spend(2 * data.nbytes)
        if mask.shape not in ((), data.shape) or mask.nbytes > data.nbytes + data.size:
            raise ValueError("a mask that is not of its array")
        return np.ma.MaskedArray(data, mask=mask, fill_value=fill)

    def _plain_array(self, node: Any) -> np.ndarray:
        """Return the array of a node that must be one: other values can be of any length."""
        value = self.value(node)
        if type(value) is not np.ndarray:
            raise TypeError(f"{type(value).__name__} in place of an array")
        return value

    def _sparse(self, name: str, node: Any) -> Any:
        import scipy.sparse

        form = name.partition("_")[0]
        if form not in SPARSE or name not in (f"{form}_matrix", f"{form}_array"):
            raise ValueError(f"sparse matrix {name!r}")
        data, *rest = map(self._plain_array, node["parts"])
        self._spend(sum(part.nbytes for part in (data, *rest)))
        content = (data, tuple(rest)) if form == "coo" else (data, *rest)
        matrix = getattr(scipy.sparse, name)(content, shape=tuple(node["shape"]))
        if form in ("csr", "csc", "bsr"):
            # scipy's compiled code trusts the indices.
            matrix.check_format(full_check=True)
        return matrix

    def _random_state(self, content: Any, node: Any) -> np.random.RandomState:
        state = self.value(content)
        _check_bits(state)
        made = np.random.RandomState(np.random.MT19937())
        made.set_state(state)
        return made

    def _generator(self, content: Any, node: Any) -> np.random.Generator:
        kept = self.value(content)
        state = kept["state"]
        _check_bits(state)
        spawn = kept["sequence"] or {"entropy": 0}
        if spawn.get("pool_size", 4) != 4:
            raise ValueError("a pool of seeds that numpy does not make")
        sequence = np.random.SeedSequence(**spawn)
        bits = getattr(np.random, state["bit_generator"])(sequence)
        bits.state = state
        return np.random.Generator(bits)

    def _type(self, name: str, node: Any) -> Any:
        return PLAIN_TYPES[name] if name in PLAIN_TYPES else self._meant(name)

    def _function(self, name: str, node: Any) -> Any:
        found = named(name) if name in self.extra else trusted_function(today(name, self.header["format"]))
        if found is None:
            raise ValueError(f"{name} is no function")
        return found

    def _partial(self, name: str, node: Any) -> Any:
        if name != CHECK_ARRAY:
            raise ValueError(f"{name} may not be given arguments")
        arguments = [self.value(v) for v in node["items"]]
        return functools.partial(trusted_function(name), *arguments, **self.value(node["keywords"]))

    def _skops(self, number: int, node: Any) -> Any:
        return self.objects[number]

    def _object(self, name: str, node: Any) -> Any:
        cls: Any = self._meant(name)
        if not isinstance(cls, type):
            raise TypeError(f"{name} is no class")
        made: Any = object.__new__(cls)
        # Known before its state is: parts of it may refer to it.
        self.shared[node["id"]] = made
        state = self.value(node["state"])
        if isinstance(state, dict):
            # A field that the class has got since has its default.
            fields = getattr(cls, "_defaults", {}).items()
            state |= {k: v for k, v in fields if k not in state and v is not REQUIRED}
        if node.get("zoo"):
            made.__zoo_restore__(state)
        elif state is not None:
            _give(made, state)
        return made


_TAGS = (
    "same", "float", "complex", "tuple", "named", "set", "frozenset", "slice", "range", "dict",
    "bytes", "bytearray", "dtype", "scalar", "array", "objects", "masked", "sparse", "random_state",
    "generator", "type", "function", "partial", "skops", "object",
)  # fmt: skip


def _give(made: Any, state: Any) -> None:
    """Give an object its state, as copy and pickle do."""
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
        return
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    vars(made).update(attributes or {})
    for name, value in (slots or {}).items():
        setattr(made, name, value)


_SHARED = ("random_state", "generator", "object")


def _hashable(items: list[Any]) -> list[Any]:
    """Return the entries of a set or the keys of a dict; only a few may have one hash."""
    common = Counter(map(hash, items)).most_common(1)
    if common and common[0][1] > COLLISIONS_LIMIT:
        raise ValueError("entries of a set or dict that are made to look alike")
    return items


def _names(tree: Any) -> Iterator[str]:
    """Yield every type and function that the tree names."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        elif isinstance(node, dict):
            todo += node.values()
            for tag in ("object", "named", "type", "function"):
                if isinstance(node.get(tag), str):
                    yield node[tag]


def _check_bits(state: dict[str, Any]) -> None:
    """Refuse positions outside the buffer: numpy's compiled code does not look."""
    name, inner = state["bit_generator"], state["state"]
    if name not in BIT_GENERATORS:
        raise ValueError(f"bit generator {name!r}")
    if name == "MT19937" and not (len(inner["key"]) == 624 and 0 <= inner["pos"] <= 624):
        raise ValueError("the state of MT19937")
    if name == "Philox" and not 0 <= state["buffer_pos"] <= 4:
        raise ValueError("the state of Philox")


def _misfit(dtype: np.dtype[Any]) -> Any:
    raise ValueError(f"an array of {dtype} does not have the size that is stated")


def writer_of(header: dict[str, Any]) -> str:
    """Say which version wrote a file."""
    return f"zoo {header['versions'].get('zoo')} (format {header['format']})"


def warn_of_version(header: dict[str, Any], path: Any) -> None:
    import sklearn

    then, now = header["versions"].get("scikit-learn"), sklearn.__version__
    if then != now:
        warnings.warn(
            f"{path} was saved with scikit-learn {then} and is loaded with {now}; its parts of "
            "scikit-learn may not work or may predict otherwise: fit and save again to be sure.",
            UserWarning,
            stacklevel=3,
        )
