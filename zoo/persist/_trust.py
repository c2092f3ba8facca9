"""Which classes and functions a file may name."""

import importlib
import inspect
import re
import types
from functools import cache
from typing import Any

import numpy as np

from zoo import registry
from zoo.contract.kept import key_of, under_key
from zoo.persist._format import full_name

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
PLAIN_TYPES = {f"{t.__module__}.{t.__name__}": t for t in (*_PYTHON_TYPES, *np.sctypeDict.values())}


def is_trusted(name: str, extra: frozenset[str]) -> bool:
    """Tell whether a file may name this."""
    return (
        name in extra
        or name in TRUSTED
        or name in PLAIN_TYPES
        or name in _public_keys()
        or _is_sklearn_estimator(name)
        or _is_harmless(name)
    )


def name_in_file(thing: Any) -> str:
    """Return the name that a file gives to a class or function: its public key, else where it stands."""
    if thing.__module__.startswith("zoo."):
        key = key_of(thing) or registry.name_of(thing)
        if key is not None:
            return f"zoo.{key}"
    return full_name(thing)


def named(name: str) -> Any:
    """Return what a file means by a name that is trusted."""
    module, _, attribute = name.rpartition(".")
    if module != "zoo":
        return getattr(importlib.import_module(module), attribute)
    if attribute in registry.kept():
        importlib.import_module(registry.kept()[attribute])
        return under_key(attribute)
    return registry.find(attribute)


@cache
def _public_keys() -> frozenset[str]:
    return frozenset(f"zoo.{key}" for key in (*registry.kept(), *registry.names()))


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
    return is_estimator(cls) and cls.__module__ == module


def is_estimator(cls: Any) -> bool:
    """Tell whether this is a class of estimators."""
    return isinstance(cls, type) and hasattr(cls, "fit") and hasattr(cls, "get_params")


def _is_harmless(name: str) -> bool:
    try:
        return trusted_function(name) is not None
    except (ImportError, AttributeError):
        return False


def trusted_function(name: str) -> Any:
    """Return the function of that name if it is one that files may name, else None.

    numpy's and scipy's ufuncs cannot do anything but compute; scikit-learn's are those of its
    scorers and its check of arrays; the zoo's are those that say `kept`.
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
    if module != "zoo" or attribute not in registry.kept():
        return None
    found = named(name)
    return found if isinstance(found, types.FunctionType) else None


def is_named_tuple(cls: Any) -> bool:
    """Tell whether this is a class of named tuples."""
    return isinstance(cls, type) and cls.__bases__ == (tuple,) and hasattr(cls, "_fields")


@cache
def _scorer_functions() -> dict[str, Any]:
    from sklearn.metrics import get_scorer, get_scorer_names

    functions = {get_scorer(n)._score_func for n in get_scorer_names()}
    return {f"{f.__module__}.{f.__name__}": f for f in functions}


def name_of_function(value: Any) -> str | None:
    """Return the name under which a file may keep this function, else None."""
    if key_of(value) is not None:
        return name_in_file(value) if isinstance(value, types.FunctionType) else None
    attribute = getattr(value, "__name__", "")
    for module in ("numpy", "scipy.special", getattr(value, "__module__", None) or ""):
        name = f"{module}.{attribute}"
        if _is_harmless(name) and trusted_function(name) is value:
            return name
    return None
