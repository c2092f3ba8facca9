"""Keep an estimator in one file without pickle: ``zoo.save``, ``zoo.load``.

The file is a zip of up to four members, none of them compressed, so that a file can never unpack
to more than its own size:

- ``zoo.json``: format number, versions, what was dropped, sha256 of every other member.
- ``state.json``: the tree of plain values, estimators and references to arrays.
- ``arrays.safetensors``: every array.
- ``objects.skops``: compiled objects of scikit-learn (trees, losses) as skops keeps them.

Loading makes an object by ``__new__`` and gives it its state; before anything is imported or made,
every name in the file is compared with what is trusted: public estimators of scikit-learn, what
skops trusts in addition, the names in the zoo's registry, a short list below, and what the caller
adds. This protects against accident. Against tampering it excludes only that code from the file is
run: an edited file may still hold other numbers than the ones that were learned.

Where plain state is not enough
-------------------------------
An object is kept as what its ``__getstate__`` returns. An estimator whose fitted state is no plain
data (a torch module, a tokenizer) writes two methods, which only files use:

``__zoo_state__(self) -> dict``
    Everything that makes the estimator, parameters included, as plain values (None, bool, int,
    float, str, bytes, list, tuple, dict, set, arrays, nested estimators). Optimiser state goes
    under the key "optimizer_state_" (None or absent when it is not kept), so that the header can
    tell.
``__zoo_restore__(self, state: dict) -> None``
    Fill a bare object, made by ``__new__``, from that dict.
"""

import copyreg
import functools
import hashlib
import importlib
import inspect
import io
import json
import math
import os
import platform
import re
import secrets
import stat
import types
import warnings
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zoo import __version__, registry

__all__ = ["ZooFileError", "load", "save"]

FORMAT = 1
HEADER, STATE, ARRAYS, OBJECTS = "zoo.json", "state.json", "arrays.safetensors", "objects.skops"
# JSON becomes about twenty times larger in memory, and the directory of a zip ten times; arrays do
# not.
JSON_LIMIT = 64 * 2**20
VALUES_LIMIT = 5_000_000
DIRECTORY_LIMIT = 4 * 2**20

# Classes other than public estimators that are made by ``__new__`` and a state.
TRUSTED = frozenset(
    f"sklearn.{module}.{name}"
    for module, names in {
        # skops trusts these
        "_loss.link": "HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit",
        "_loss.loss": "AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HuberLoss "
        "HalfMultinomialLoss HalfPoissonLoss HalfSquaredError PinballLoss",
        "ensemble._hist_gradient_boosting.binning": "_BinMapper",
        # parts of searches, pipelines and calibrated classifiers
        "calibration": "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
        "compose._column_transformer": "make_column_selector",
        "metrics._scorer": "_MultimetricScorer _PassthroughScorer _Scorer",
        "model_selection._split": "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut "
        "LeavePGroupsOut LeavePOut PredefinedSplit RepeatedKFold RepeatedStratifiedKFold "
        "ShuffleSplit StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit "
        "_CVIterableWrapper",
        "utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    }.items()
    for name in names.split()
)
# HistGradientBoosting keeps it with some of its arguments.
CHECK_ARRAY = "sklearn.utils.validation.check_array"
# Classes that may stand in a state as themselves, such as dtype=np.float32.
_PYTHON_TYPES: tuple[type[Any], ...] = (
    bool, bytes, complex, dict, float, frozenset, int, list, object, set, str, tuple,
)  # fmt: skip
PLAIN_TYPES = {
    f"{t.__module__}.{t.__name__}": t for t in (*_PYTHON_TYPES, *np.sctypeDict.values())
}
BUNCH = "sklearn.utils._bunch.Bunch"
BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
# dtypes that safetensors knows; the others are kept as bytes.
NATIVE = (
    "|b1", "<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1",
)  # fmt: skip
SPARSE = ("csr", "csc", "bsr", "coo", "dia")


class ZooFileError(ValueError):
    """A file cannot be written or read; the message is one sentence."""


# -- the two public functions -----------------------------------------------------------------


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator to one file, without pickle.

    The file appears under its name when it is complete: an older one of that name stays whole until
    then. Callbacks are dropped, and the header says so. Live environments, and functions that are
    not known by name, are refused.

    Parameters
    ----------
    estimator : estimator of the zoo or of scikit-learn
        Fitted or not, with everything that it holds (pipelines, searches, nested estimators).
    path : str or path
        Where to write; the usual ending is ``.zoo``.

    Raises
    ------
    ZooFileError
        When a parameter or attribute cannot be kept (it is named), or the file cannot be written.

    Examples
    --------
    >>> import tempfile, zoo
    >>> from pathlib import Path
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "line.zoo")
    ...     zoo.save(zoo.Ridge(alpha=0).fit(X, y), path)
    ...     print(zoo.load(path).predict([[10.0]]).round(6))
    [21.]
    """
    if not _is_estimator(type(estimator)):
        raise ZooFileError(
            f"zoo.save keeps estimators, but was given {_kind(estimator)}; put it into an "
            "estimator or keep it in another way."
        )
    writer = _Writer()
    try:
        tree = writer.node(estimator, type(estimator).__name__)
        state = json.dumps(tree, allow_nan=False, separators=(",", ":")).encode()
    except RecursionError as error:
        raise ZooFileError(
            f"{type(estimator).__name__} cannot be kept: a list, tuple or dict in it holds itself "
            "or is nested too deeply."
        ) from error
    if len(state) > JSON_LIMIT or _count_of_values(state) > VALUES_LIMIT:
        raise ZooFileError(
            f"{type(estimator).__name__} cannot be kept: its plain values (lists, dicts, strings) "
            f"need {len(state)} bytes and the limit is {JSON_LIMIT} bytes with {VALUES_LIMIT} "
            "values; keep them in arrays."
        )
    members = {STATE: state}
    if writer.arrays:
        from safetensors.numpy import save as to_safetensors

        members[ARRAYS] = to_safetensors(writer.arrays)
    if writer.objects:
        members[OBJECTS] = _to_skops(writer)
    header = {
        "format": FORMAT,
        "estimator": type(estimator).__name__,
        "versions": _versions(),
        "optimizer_state": writer.optimizer,
        "dropped": writer.dropped,
        "needs_trust": sorted(writer.untrusted),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    }
    _write({HEADER: json.dumps(header, indent=1).encode()} | members, Path(path))


def load(
    path: str | os.PathLike[str],
    *,
    max_bytes: int = 4 * 2**30,
    trusted: Iterable[str | type] = (),
) -> Any:
    """Read an estimator that `save` has written; no code from the file is run.

    This protects against accident: a damaged, cut or foreign file gives one clear error. Against
    tampering it excludes only the running of code: who can edit the file can change the numbers,
    and with them what the estimator predicts.

    Parameters
    ----------
    path : str or path
        The file.
    max_bytes : int, default=4 GiB
        A larger file is refused before it is read. Files are not compressed, so this bounds what
        is unpacked as well.
    trusted : iterable of str or class, default=()
        Classes, or full names ("package.module.Class"), to trust in addition: estimators of yours,
        or ``"sklearn.tree._tree.Tree"`` for scikit-learn's trees, which do not check what they hold
        and can crash when the file was tampered with.

    Returns
    -------
    estimator : object
        The estimator, ready to use.

    Raises
    ------
    ZooFileError
        For whatever is wrong with the file.
    """
    if isinstance(trusted, str):
        raise TypeError(f"trusted must be a list of full names; write trusted=[{trusted!r}].")
    extra = frozenset(t if isinstance(t, str) else _name(t) for t in trusted)
    try:
        with _open(path, max_bytes) as file:
            members = _read_zip(file, str(path))
        header = _header(members, path)
        estimator = _Reader(members, extra, str(path)).estimator()
    except ZooFileError:
        raise
    except Exception as error:
        # Whatever a damaged state makes a constructor raise, the reader of the message wants to
        # know that the file is at fault; the cause stays attached.
        raise ZooFileError(
            f"{path} is damaged or does not fit this version: what it holds cannot be put together "
            f"({_why(error)}); save the estimator again."
        ) from error
    _warn_of_version(header, path)
    return estimator


# -- what is trusted ------------------------------------------------------------------------------


def _is_trusted(name: str, extra: frozenset[str]) -> bool:
    return (
        name in extra
        or name in TRUSTED
        or name in PLAIN_TYPES
        or name in _registered()
        or _is_sklearn_estimator(name)
        or _is_harmless(name)
    )


@cache
def _registered() -> frozenset[str]:
    return frozenset(f"{row['module']}.{row['name']}" for row in registry.entries())


_SKLEARN_NAME = re.compile(r"sklearn(\.\w+)+\.[A-Z]\w*", re.ASCII)


def _is_sklearn_estimator(name: str) -> bool:
    """Tell whether this is a public estimator of scikit-learn: what ``all_estimators`` lists."""
    if not _SKLEARN_NAME.fullmatch(name) or {"tests", "conftest"} & set(name.split(".")):
        return False
    module, _, attribute = name.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return _is_estimator(cls) and cls.__module__ == module


def _is_estimator(cls: Any) -> bool:
    return isinstance(cls, type) and hasattr(cls, "fit") and hasattr(cls, "get_params")


_ZOO_MODULE = re.compile(rf"zoo\.(losses|neural|{'|'.join(registry.FAMILIES)})(\.\w+)*", re.ASCII)


def _is_harmless(name: str) -> bool:
    try:
        return _function(name) is not None or _is_named_tuple(_of_a_family(name))
    except (ImportError, AttributeError):
        return False


def _function(name: str) -> Any:
    """Return the function of that name if it is one that files may name, else None.

    numpy's and scipy's ufuncs cannot do anything but compute; scikit-learn's are those of its
    scorers and its check of arrays; the zoo's are those of its families.
    """
    module, _, attribute = name.rpartition(".")
    if module in ("numpy", "scipy.special"):
        found = getattr(importlib.import_module(module), attribute, None)
        # scipy wraps its ufuncs where array API support is switched on.
        return found if callable(found) and isinstance(inspect.unwrap(found), np.ufunc) else None
    if module.startswith("sklearn.metrics."):
        return _scorer_functions().get(name)
    if name == CHECK_ARRAY:
        return getattr(importlib.import_module(module), attribute)
    found = _of_a_family(name)
    return found if isinstance(found, types.FunctionType) else None


def _of_a_family(name: str) -> Any:
    """Return what a module of the zoo's families or engines defines under that name, else None."""
    module, _, attribute = name.rpartition(".")
    if not _ZOO_MODULE.fullmatch(module):
        return None
    found = getattr(importlib.import_module(module), attribute, None)
    return found if getattr(found, "__module__", None) == module else None


def _is_named_tuple(cls: Any) -> bool:
    return isinstance(cls, type) and cls.__bases__ == (tuple,) and hasattr(cls, "_fields")


@cache
def _scorer_functions() -> dict[str, Any]:
    from sklearn.metrics import get_scorer, get_scorer_names

    functions = {get_scorer(n)._score_func for n in get_scorer_names()}
    return {f"{f.__module__}.{f.__name__}": f for f in functions}


def _name_of_function(value: Any) -> str | None:
    """Return the name under which a file may keep this function, else None."""
    attribute = getattr(value, "__name__", "")
    for module in ("numpy", "scipy.special", getattr(value, "__module__", None) or ""):
        name = f"{module}.{attribute}"
        if _is_harmless(name) and _function(name) is value:
            return name
    return None


# -- writing ------------------------------------------------------------------------------------


class _Writer:
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
        if _is_named_tuple(t):
            name = _name(t)
            self._note(name)
            parts = zip(value._fields, value, strict=True)
            return {"named": name, "items": [self.node(v, f"{where}.{k}") for k, v in parts]}
        if t in (set, frozenset):
            items = [self.node(v, f"an entry of {where}") for v in value]
            # In one order, so that the same estimator gives the same file.
            return {t.__name__: sorted(items, key=json.dumps)}
        if t in (dict, OrderedDict, defaultdict) or _name(t) == BUNCH:
            return self._dict(value, where)
        if t is complex:
            return {"complex": [self.node(value.real, where), self.node(value.imag, where)]}
        if t in (slice, range):
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
        elif getattr(type(value), "__module__", "").startswith("scipy.sparse") and hasattr(
            value, "tocsr"
        ):
            node = self._sparse(value, where)
        elif isinstance(value, np.random.RandomState):
            node = {"random_state": self._random_state(value, where)}
        elif isinstance(value, np.random.Generator):
            node = {"generator": self._generator(value, where)}
        elif isinstance(value, type):
            node = self._type(value, where)
        elif type(value) is functools.partial and _name_of_function(value.func) == CHECK_ARRAY:
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
            [self.node(k, f"a key of {where}"), self.node(v, f"{where}[{_short(k)}]")]
            for k, v in value.items()
        ]
        node: dict[str, Any] = {"dict": pairs}
        if isinstance(value, OrderedDict):
            node["ordered"] = True
        elif _name(type(value)) == BUNCH:
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
            raise self._refusal(where, _kind(value), "store a plain numpy array.")
        if value.dtype == object:
            items = [self.node(v, f"an entry of {where}") for v in value.ravel()]
            return {"objects": items, "shape": list(value.shape)}
        node = {"array": "", "dtype": self._descr(value.dtype, where), "shape": list(value.shape)}
        if value.flags.f_contiguous and not value.flags.c_contiguous:
            node["fortran"] = True
            value = value.T
        if not value.flags.c_contiguous:
            value = value.copy(order="C")
        if not _is_native(node["dtype"]):
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
            raise self._refusal(where, f"a Generator on {_kind(bits)}", "use an int.")
        sequence = bits.seed_seq
        # How spawned streams go on; a generator that was seeded in the old way has no such state.
        spawn = sequence.state if isinstance(sequence, np.random.SeedSequence) else None
        return self.node({"state": bits.state, "sequence": spawn}, where)

    def _type(self, value: type, where: str) -> Any:
        name = _name(value)
        if name not in PLAIN_TYPES and not _is_trusted(name, frozenset()):
            raise self._refusal(
                where, f"the class {name}", "only plain types of Python and numpy are kept by name."
            )
        return {"type": name}

    def _function(self, value: Any, where: str) -> Any:
        name = _name_of_function(value)
        if name is None:
            raise self._refusal(
                where,
                f"the function {_short(value)}",
                "files keep a function by its name, and only ufuncs of numpy and scipy and "
                "functions of the zoo; give a string or one of these.",
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
        name = _name(cls)
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
        if not _is_trusted(name, frozenset()):
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


def _to_skops(writer: _Writer) -> bytes:
    try:
        return _dumped(writer.objects, writer.untrusted)
    except Exception:
        for value, where in zip(writer.objects, writer.places, strict=True):
            try:
                _dumped([value], set())
            except Exception as error:
                raise writer._refusal(
                    where, _kind(value), "only plain values, arrays and estimators are kept."
                ) from error
        raise


def _dumped(objects: list[Any], names: set[str]) -> bytes:
    """Return what skops makes of these objects, and add the types that it does not trust."""
    import skops.io

    blob: bytes = skops.io.dumps(objects)
    untrusted = skops.io.get_untrusted_types(data=blob)
    # skops writes some objects that it cannot read; these are the caller's own, hence trusted.
    skops.io.loads(blob, trusted=untrusted)
    names.update(untrusted)
    return blob


def _versions() -> dict[str, str]:
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


def _write(members: dict[str, bytes], path: Path) -> None:
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
            f"{path} cannot be written: {reason}; nothing was changed, so give another place or "
            "make room."
        ) from error


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # Windows has no folders to sync
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# -- reading ------------------------------------------------------------------------------------


_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends


def _open(path: str | os.PathLike[str], max_bytes: int) -> BinaryIO:
    """Open a regular file of bounded size."""
    try:
        # Not blocking: opening a pipe would wait for someone to write to it.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    except FileNotFoundError as error:
        raise ZooFileError(f"{path} does not exist; check the path.") from error
    except (OSError, ValueError) as error:
        raise ZooFileError(f"{path} cannot be opened ({_why(error)}); check the path.") from error
    about = os.fstat(descriptor)
    what = None
    if not stat.S_ISREG(about.st_mode):
        what = "is no regular file; give a file that zoo.save has written"
    elif about.st_size > max_bytes:
        what = (
            f"holds {about.st_size} bytes and max_bytes={max_bytes}; pass a larger max_bytes if it "
            "is meant to be that large"
        )
    if what:
        os.close(descriptor)
        raise ZooFileError(f"{path} {what}.")
    return open(descriptor, "rb")


def _read_zip(file: BinaryIO, path: str) -> dict[str, bytes]:
    """Return the members of a zip that is not compressed."""
    if file.read(4) != b"PK\x03\x04":
        raise ZooFileError(
            f"{path} is no zoo file (it is no zip archive); give a file that zoo.save has written."
        )
    _check_end(file, path)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_directory(archive.infolist(), file.seek(0, io.SEEK_END), path)
            members = {}
            for info in archive.infolist():
                with archive.open(info) as stream:
                    members[info.filename] = stream.read(info.file_size)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, f"its zip archive cannot be read ({_why(error)})") from error
    return members


def _why(error: BaseException) -> str:
    text = (str(error).splitlines() or [""])[0]
    text = text if len(text) <= 160 else text[:157] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _damaged(path: Any, what: str) -> ZooFileError:
    return ZooFileError(f"{path} is damaged: {what}; save the estimator again.")


def _check_end(file: BinaryIO, path: str) -> None:
    """Bound the directory of a zip before it is read: every entry of it becomes an object."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 42))
    locator, end = file.read(20), file.read(22)
    if end[:4] != b"PK\x05\x06":
        raise _damaged(path, "its end is missing")
    # The extended directory is written for large files only.
    extended = locator[:4] == b"PK\x06\x07" and size < 2**31
    if extended or int.from_bytes(end[12:16], "little") > DIRECTORY_LIMIT:
        raise _damaged(path, "its directory is larger than any that zoo.save writes")


def _check_directory(infos: list[zipfile.ZipInfo], size: int, path: str) -> None:
    """Refuse, from the directory alone, what zoo.save never writes."""
    names = [info.filename for info in infos]
    what = None
    if len(set(names)) != len(names):
        what = "has two members of the same name"
    elif any(info.flag_bits & 0x1 for info in infos):
        what = "has an encrypted member"
    elif any(
        info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size
        for info in infos
    ):
        what = "has a compressed member"
    elif sum(info.file_size for info in infos) > size:
        what = "says that its members are larger than the file"
    elif min((info.header_offset for info in infos), default=0):
        what = "has something before its first member"
    elif any(not _is_plain_member(info) for info in infos):
        what = "has a member that is a path, a folder or a link"
    if what:
        raise ZooFileError(
            f"{path} is no file that zoo.save has written: its zip archive {what}; do not use it."
        )


def _is_plain_member(info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind in (0, stat.S_IFREG) and not re.search(r"[/\\:\x00]|^\.", info.orig_filename)


def _json(data: bytes, path: str, name: str) -> Any:
    if len(data) > JSON_LIMIT or _count_of_values(data) > VALUES_LIMIT:
        raise ZooFileError(
            f"{path} holds more in its {name} than the {JSON_LIMIT} bytes with {VALUES_LIMIT} "
            "values that are read; keep large values in arrays."
        )
    try:
        return json.loads(data.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its {name} cannot be read ({_why(error)})") from error


def _count_of_values(data: bytes) -> int:
    """Bound the number of values in a JSON text from above, without reading it."""
    return sum(map(data.count, (b",", b"[", b"{")))


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _header(members: dict[str, bytes], path: Any) -> dict[str, Any]:
    """Check the header and every member against it."""
    if HEADER not in members:
        raise ZooFileError(
            f"{path} is no zoo file (it has no {HEADER}); give a file that zoo.save has written."
        )
    header = _json(members[HEADER], str(path), HEADER)
    number = header.get("format") if isinstance(header, dict) else None
    if type(number) is not int or number < 1:
        raise _damaged(path, "its header has no format number")
    if number > FORMAT:
        raise ZooFileError(
            f"{path} has format {number} and this version of zoo reads formats up to {FORMAT}; "
            "upgrade zoo to read it."
        )
    sums = header.get("sha256")
    if not isinstance(sums, dict) or STATE not in sums or not sums.keys() <= {
        STATE, ARRAYS, OBJECTS,
    }:  # fmt: skip
        raise _damaged(path, "its header does not list its members")
    if sums.keys() != members.keys() - {HEADER}:
        strange = ", ".join(map(_short, sorted(sums.keys() ^ (members.keys() - {HEADER}))[:5]))
        raise _damaged(path, f"the header and the archive disagree on the member(s) {strange}")
    for name, expected in sums.items():
        if hashlib.sha256(members[name]).hexdigest() != expected:
            raise _damaged(path, f"{name} is not what was saved (its sha256 differs)")
    return header


class _Reader:
    """Turns the tree of JSON back into an estimator."""

    def __init__(self, members: dict[str, bytes], extra: frozenset[str], path: str) -> None:
        self.path = path
        self.extra = extra
        self.tree = _json(members[STATE], path, STATE)
        self.arrays: dict[str, np.ndarray] = {}
        self.objects: list[Any] = []
        self.shared: dict[int, Any] = {}
        blob = members.get(OBJECTS)
        self._check_names(set(_names(self.tree)), blob)
        if ARRAYS in members:
            from safetensors.numpy import load as from_safetensors

            self.arrays = from_safetensors(members.pop(ARRAYS))
        if blob is not None:
            import skops.io

            self.objects = skops.io.loads(blob, trusted=sorted(extra))

    def _check_names(self, names: set[str], blob: bytes | None) -> None:
        strange = {n for n in names if not _is_trusted(n, self.extra)}
        if blob is not None:
            import skops.io

            _check_skops(blob, self.path)
            strange |= set(skops.io.get_untrusted_types(data=blob)) - self.extra
        if strange:
            shown = ", ".join(_printable(n) for n in sorted(strange)[:8])
            if all(n.startswith("zoo.") for n in strange):
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
        if not _is_estimator(type(found)):
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
            raise _damaged(self.path, "its tree has an unknown node")
        value = getattr(self, f"_{tag}")(node[tag], node)
        if "id" in node:
            self.shared[node["id"]] = value
        return value

    def _same(self, number: int, node: Any) -> Any:
        return self.shared[number]

    def _float(self, text: str, node: Any) -> float:
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text]

    def _complex(self, parts: list[Any], node: Any) -> complex:
        return complex(*(self.value(p) for p in parts))

    def _tuple(self, items: list[Any], node: Any) -> Any:
        return tuple(self.value(v) for v in items)

    def _named(self, name: str, node: Any) -> Any:
        cls = _import(name)
        if not _is_named_tuple(cls) or len(cls._fields) != len(node["items"]):
            raise TypeError(f"{name} is no named tuple of {len(node['items'])} fields")
        return tuple.__new__(cls, [self.value(v) for v in node["items"]])

    def _set(self, items: list[Any], node: Any) -> Any:
        return {self.value(v) for v in items}

    def _frozenset(self, items: list[Any], node: Any) -> Any:
        return frozenset(self.value(v) for v in items)

    def _slice(self, items: list[Any], node: Any) -> slice:
        return slice(*(self.value(v) for v in items))

    def _range(self, items: list[Any], node: Any) -> range:
        return range(*items)

    def _dict(self, pairs: list[Any], node: Any) -> Any:
        items = {self.value(k): self.value(v) for k, v in pairs}
        if node.get("ordered"):
            return OrderedDict(items)
        if node.get("bunch"):
            return _import(BUNCH)(**items)
        return defaultdict(self.value(node["factory"]), items) if "factory" in node else items

    def _bytes(self, key: str, node: Any) -> bytes:
        return self.arrays[key].tobytes()

    def _bytearray(self, key: str, node: Any) -> bytearray:
        return bytearray(self.arrays[key].tobytes())

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
        if not _is_native(node["dtype"]):
            size = math.prod(shape) * dtype.itemsize
            if stored.dtype != np.uint8 or stored.size != size or min(shape, default=0) < 0:
                _misfit(dtype)
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
        data, mask, fill = (self.value(p) for p in parts)
        return np.ma.MaskedArray(data, mask=mask, fill_value=fill)

    def _sparse(self, name: str, node: Any) -> Any:
        import scipy.sparse

        form = name.partition("_")[0]
        if form not in SPARSE or name not in (f"{form}_matrix", f"{form}_array"):
            raise ValueError(f"sparse matrix {name!r}")
        data, *rest = (self.value(p) for p in node["parts"])
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
        sequence = np.random.SeedSequence(**(kept["sequence"] or {"entropy": 0}))
        bits = getattr(np.random, state["bit_generator"])(sequence)
        bits.state = state
        return np.random.Generator(bits)

    def _type(self, name: str, node: Any) -> Any:
        return PLAIN_TYPES[name] if name in PLAIN_TYPES else _import(name)

    def _function(self, name: str, node: Any) -> Any:
        found = _import(name) if name in self.extra else _function(name)
        if found is None:
            raise ValueError(f"{name} is no function")
        return found

    def _partial(self, name: str, node: Any) -> Any:
        if name != CHECK_ARRAY:
            raise ValueError(f"{name} may not be given arguments")
        arguments = [self.value(v) for v in node["items"]]
        return functools.partial(_function(name), *arguments, **self.value(node["keywords"]))

    def _skops(self, number: int, node: Any) -> Any:
        return self.objects[number]

    def _object(self, name: str, node: Any) -> Any:
        cls: Any = _import(name)
        if not isinstance(cls, type):
            raise TypeError(f"{name} is no class")
        made: Any = object.__new__(cls)
        # Known before its state is: parts of it may refer to it.
        self.shared[node["id"]] = made
        state = self.value(node["state"])
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


def _import(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


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


def _check_skops(blob: bytes, path: str) -> None:
    """Bound what the skops member unpacks to: no compression, nothing read twice, true sizes."""
    members = _read_zip(io.BytesIO(blob), f"{path} ({OBJECTS})")
    todo = [_json(members["schema.json"], path, "schema.json")]
    readers: dict[str, Any] = {}
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
            continue
        if not isinstance(node, dict):
            continue
        todo += node.values()
        if node.get("__loader__") == "SparseMatrixNode":
            raise ValueError("a zip inside a zip")
        if isinstance(node.get("file"), str):
            reader = node.get("__id__")
            if readers.setdefault(node["file"], reader) != reader:
                raise ValueError("one member stands for two objects")
    for name, data in members.items():
        if name.endswith(".npy"):
            _check_npy(data)


def _check_npy(data: bytes) -> None:
    file = io.BytesIO(data)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(file)]
    shape, _, dtype = read(file)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        _misfit(dtype)


def _is_native(descr: Any) -> bool:
    return isinstance(descr, str) and descr in NATIVE


def _misfit(dtype: np.dtype[Any]) -> Any:
    raise ValueError(f"an array of {dtype} does not have the size that is stated")


def _warn_of_version(header: dict[str, Any], path: Any) -> None:
    import sklearn

    then, now = header.get("versions", {}).get("scikit-learn"), sklearn.__version__
    if then != now:
        warnings.warn(
            f"{path} was saved with scikit-learn {then} and is loaded with {now}; its parts of "
            "scikit-learn may not work or may predict otherwise: fit and save again to be sure.",
            UserWarning,
            stacklevel=3,
        )


def _kind(value: Any) -> str:
    return f"an object of {_name(type(value))}"


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _printable(name: str) -> str:
    text = name if name.isprintable() else repr(name)
    return text if len(text) <= 200 else text[:197] + "..."
