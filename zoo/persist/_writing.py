"""From an estimator to the members of a file, and the file to its place."""

import copyreg
import functools
import importlib
import json
import math
import os
import platform
import secrets
import stat
import types
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from zoo import __version__
from zoo.persist._format import (
    BIT_GENERATORS,
    BUNCH,
    RANGES_LIMIT,
    SPARSE,
    ZooFileError,
    full_name,
    is_native,
    kind_of,
    shortened,
)
from zoo.persist._skops import check_skops
from zoo.persist._trust import (
    CHECK_ARRAY,
    PLAIN_TYPES,
    is_named_tuple,
    is_trusted,
    name_in_file,
    name_of_function,
)


class Writer:
    """Turns an estimator into a tree of JSON; arrays and compiled objects are put aside."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.objects: list[Any] = []
        self.places: list[str] = []
        self.untrusted: set[str] = set()
        self.dropped: list[str] = []
        self.optimizer = False
        # Values by identity: what is held twice is kept once. They stay alive, so that no later
        # value gets the same identity.
        self._seen: dict[int, tuple[Any, Any]] = {}

    def node(self, value: Any, where: str) -> Any:
        """Return the JSON of a value; `where` names its place for messages."""
        t = type(value)
        if value is None or t in (bool, int, str):
            return value
        if t is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if t is list:
            return [self.node(v, f"{where}[{i}]") for i, v in enumerate(value)]
        if t is tuple:
            return {"tuple": [self.node(v, f"{where}[{i}]") for i, v in enumerate(value)]}
        if is_named_tuple(t):
            name = name_in_file(t)
            self._note(name)
            parts = zip(value._fields, value, strict=True)
            return {"named": name, "items": [self.node(v, f"{where}.{k}") for k, v in parts]}
        if t in (set, frozenset):
            items = [self.node(v, f"an entry of {where}") for v in value]
            # In one order, so that the same estimator gives the same file.
            return {t.__name__: sorted(items, key=json.dumps)}
        if t in (dict, OrderedDict, defaultdict) or full_name(t) == BUNCH:
            return self._dict(value, where)
        if t is complex:
            return {"complex": [self.node(value.real, where), self.node(value.imag, where)]}
        if t in (slice, range):
            if t is range and value[RANGES_LIMIT:]:
                advice = "give a list of fewer, or a distribution."
                raise self._refusal(where, f"a range of more than {RANGES_LIMIT} numbers", advice)
            ends = (value.start, value.stop, value.step)
            return {t.__name__: [self.node(v, where) for v in ends]}
        if t in (bytes, bytearray):
            return {t.__name__: self._store(np.frombuffer(value, np.uint8))}
        if isinstance(value, np.generic):
            return self._scalar(value, where)
        if isinstance(value, np.dtype):
            return {"dtype": self._descr(value, where)}
        return self._shared(value, where)

    def _shared(self, value: Any, where: str) -> Any:
        """Return the JSON of a value that has an identity."""
        if id(value) in self._seen:
            known = self._seen[id(value)][1]
            return {"same": known["id"]} if isinstance(known, dict) and "id" in known else known
        if isinstance(value, np.ndarray):
            node = self._array(value, where)
        elif getattr(type(value), "__module__", "").startswith("scipy.sparse") and hasattr(value, "tocsr"):
            node = self._sparse(value, where)
        elif isinstance(value, np.random.RandomState):
            node = {"random_state": self._random_state(value, where)}
        elif isinstance(value, np.random.Generator):
            node = {"generator": self._generator(value, where)}
        elif isinstance(value, type):
            node = self._type(value, where)
        elif type(value) is functools.partial and name_of_function(value.func) == CHECK_ARRAY:
            node = self._partial(value, where)
        elif _is_function(value):
            node = self._function(value, where)
        else:
            return self._object(value, where)
        if "random_state" in node or "generator" in node:
            node["id"] = len(self._seen)
        self._seen[id(value)] = (value, node)
        return node

    def _dict(self, value: dict[Any, Any], where: str) -> Any:
        pairs = [
            [self.node(k, f"a key of {where}"), self.node(v, f"{where}[{shortened(k)}]")]
            for k, v in value.items()
        ]
        node: dict[str, Any] = {"dict": pairs}
        if isinstance(value, OrderedDict):
            node["ordered"] = True
        elif full_name(type(value)) == BUNCH:
            node["bunch"] = True
        elif isinstance(value, defaultdict):
            node["factory"] = self.node(value.default_factory, f"the factory of {where}")
        return node

    def _descr(self, dtype: np.dtype[Any], where: str) -> Any:
        if dtype.hasobject or dtype.kind == "T":
            raise self._refusal(where, f"an array of {dtype}", "use object or fixed-width text.")
        return self.node(np.lib.format.dtype_to_descr(dtype), where)

    def _scalar(self, value: np.generic, where: str) -> Any:
        return {"scalar": self._descr(value.dtype, where), "hex": value.tobytes().hex()}

    def _store(self, array: np.ndarray) -> str:
        key = str(len(self.arrays))
        self.arrays[key] = array
        return key

    def _array(self, value: np.ndarray, where: str) -> Any:
        if type(value) is np.memmap:
            value = np.asarray(value)
        if type(value) is np.ma.MaskedArray:
            return {
                "masked": [
                    self.node(np.asarray(value.data), where),
                    self.node(np.asarray(value.mask), where),
                    self.node(value.fill_value, where),
                ]
            }
        if type(value) is not np.ndarray:
            raise self._refusal(where, kind_of(value), "store a plain numpy array.")
        if value.dtype == object:
            items = [self.node(v, f"an entry of {where}") for v in value.ravel()]
            return {"objects": items, "shape": list(value.shape)}
        node = {"array": "", "dtype": self._descr(value.dtype, where), "shape": list(value.shape)}
        if value.flags.f_contiguous and not value.flags.c_contiguous:
            node["fortran"] = True
            value = value.T
        if not value.flags.c_contiguous:
            value = value.copy(order="C")
        if not is_native(node["dtype"]):
            value = np.frombuffer(value.tobytes(), np.uint8)
        node["array"] = self._store(value)
        return node

    def _sparse(self, value: Any, where: str) -> Any:
        form = value.format
        if form not in SPARSE:
            raise self._refusal(where, f"a sparse {form} matrix", "use csr or csc.")
        parts = {
            "coo": lambda: (value.data, *value.coords),
            "dia": lambda: (value.data, value.offsets),
        }.get(form, lambda: (value.data, value.indices, value.indptr))()
        return {
            "sparse": f"{form}_{'matrix' if type(value).__name__.endswith('_matrix') else 'array'}",
            "shape": [int(n) for n in value.shape],
            "parts": [self.node(p, where) for p in parts],
        }

    def _random_state(self, value: np.random.RandomState, where: str) -> Any:
        state = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise self._refusal(where, f"a RandomState on {state['bit_generator']}", "use an int.")
        return self.node(state, where)

    def _generator(self, value: np.random.Generator, where: str) -> Any:
        bits = value.bit_generator
        if type(bits).__name__ not in BIT_GENERATORS:
            raise self._refusal(where, f"a Generator on {kind_of(bits)}", "use an int.")
        sequence = bits.seed_seq
        # How spawned streams go on; a generator that was seeded in the old way has no such state.
        spawn = sequence.state if isinstance(sequence, np.random.SeedSequence) else None
        return self.node({"state": bits.state, "sequence": spawn}, where)

    def _type(self, value: type, where: str) -> Any:
        name = name_in_file(value)
        if name not in PLAIN_TYPES and not is_trusted(name, frozenset()):
            raise self._refusal(
                where, f"the class {name}", "only plain types of Python and numpy are kept by name."
            )
        return {"type": name}

    def _function(self, value: Any, where: str) -> Any:
        name = name_of_function(value)
        if name is None:
            raise self._refusal(
                where,
                f"the function {shortened(value)}",
                "files keep a function by its name, and only ufuncs of numpy and scipy and "
                "functions of the zoo that say so; give a string or one of these.",
            )
        return {"function": name}

    def _partial(self, value: functools.partial[Any], where: str) -> Any:
        """Keep a check of arrays with its arguments; other functions might do more with theirs than look."""
        return {
            "partial": CHECK_ARRAY,
            "items": [self.node(v, f"an argument of {where}") for v in value.args],
            "keywords": self.node(value.keywords, where),
        }

    def _object(self, value: Any, where: str) -> Any:
        cls = type(value)
        if callable(getattr(cls, "step", None)) and callable(getattr(cls, "reset", None)):
            raise self._refusal(
                where, f"a live environment ({cls.__name__})", "give the environment by its id."
            )
        number = len(self._seen)
        self._seen[id(value)] = (value, {"id": number})
        name = name_in_file(cls)
        node: dict[str, Any] = {"object": name, "id": number}
        if hasattr(cls, "__zoo_state__"):
            node["zoo"] = True
            state = value.__zoo_state__()
            self.optimizer |= state.get("optimizer_state_") is not None
        else:
            known, state = _state_of(value)
            if not known:
                self._seen[id(value)] = (value, {"skops": len(self.objects)})
                self.objects.append(value)
                self.places.append(where)
                return {"skops": len(self.objects) - 1}
        module = importlib.import_module(cls.__module__)
        if getattr(module, cls.__qualname__, None) is not cls:
            raise self._refusal(
                where, f"an object of the local class {name}", "define the class in a module."
            )
        self._note(name)
        if isinstance(state, dict):
            state = self._without_callbacks(value, state, where)
            content = {"dict": [[k, self.node(v, f"{where}.{k}")] for k, v in state.items()]}
            node["state"] = content
        else:
            node["state"] = self.node(state, where)
        return node

    def _without_callbacks(self, value: Any, state: dict[str, Any], where: str) -> dict[str, Any]:
        kept = {k: v for k, v in state.items() if k not in _CALLBACK_STATE}
        if state.get("_skl_callbacks"):
            names = ", ".join(type(c).__name__ for c in state["_skl_callbacks"])
            self.dropped.append(f"{where}: callbacks {names}")
        # The parameter of torch estimators that holds skorch callbacks.
        defaults = getattr(type(value), "_defaults", {})
        if "callbacks" in kept and "callbacks" in defaults:
            if vars(value).get("callbacks"):
                self.dropped.append(f"{where}: parameter callbacks")
            kept["callbacks"] = defaults["callbacks"]
        return kept

    def _note(self, name: str) -> None:
        if not is_trusted(name, frozenset()):
            self.untrusted.add(name)

    def _refusal(self, where: str, what: str, advice: str) -> ZooFileError:
        return ZooFileError(f"{where} cannot be kept in a file: it is {what}; {advice}")


_CALLBACK_STATE = (
    "_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx",
)  # fmt: skip


def _state_of(value: Any) -> tuple[bool, Any]:
    """Return whether ``__new__`` and a state make this object again, and the state."""
    try:
        make, args, *rest = value.__reduce_ex__(2)
    except (TypeError, ValueError):  # what compiled objects raise that know no pickle
        return False, None
    plain = make is copyreg.__newobj__ and args == (type(value),)  # type: ignore[attr-defined]
    if not plain or any(part is not None for part in rest[1:]):
        return False, None
    return True, rest[0] if rest else None


def _is_function(value: Any) -> bool:
    return isinstance(
        value,
        types.FunctionType | types.BuiltinFunctionType | types.MethodType | np.ufunc,
    ) or (callable(value) and type(value).__module__ in ("functools", "numpy", "operator"))


def to_skops(writer: Writer) -> bytes:
    try:
        return _dumped(writer.objects, writer.untrusted)
    except Exception:
        for value, where in zip(writer.objects, writer.places, strict=True):
            try:
                _dumped([value], set())
            except Exception as error:
                raise writer._refusal(
                    where, kind_of(value), "only plain values, arrays and estimators are kept."
                ) from error
        raise


def _dumped(objects: list[Any], names: set[str]) -> bytes:
    """Return what skops makes of these objects, and add the types that it does not trust."""
    import skops.io

    blob: bytes = skops.io.dumps(objects)
    untrusted = skops.io.get_untrusted_types(data=blob)
    # skops writes some objects that it cannot read; these are the caller's own, hence trusted.
    skops.io.loads(blob, trusted=untrusted)
    check_skops(blob, "the new file")
    names.update(untrusted)
    return blob


def versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    import sklearn

    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    return {
        "zoo": __version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "torch": torch,
        "python": platform.python_version(),
    }


def write_zip(members: dict[str, bytes], path: Path) -> None:
    """Write the zip beside its target and put it in place when it is on the disk."""
    path = Path(os.path.realpath(path))
    new = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            with open(new, "xb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    for name, data in members.items():
                        # The date is fixed, so that the same estimator gives the same bytes.
                        archive.writestr(zipfile.ZipInfo(name), data)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                os.chmod(new, stat.S_IMODE(path.stat().st_mode))
            os.replace(new, path)
            _sync_folder(path.parent)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ZooFileError(
            f"{path} cannot be written: {reason}; nothing was changed, so give another place or make room."
        ) from error


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # Windows has no folders to sync
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
