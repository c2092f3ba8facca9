"""Which classes and functions a file may name."""

import importlib
import inspect
import re
import types
from functools import cache
from typing import Any

import numpy as np

from zoo import registry

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
    return is_estimator(cls) and cls.__module__ == module


def is_estimator(cls: Any) -> bool:
    """Tell whether this is a class of estimators."""
    return isinstance(cls, type) and hasattr(cls, "fit") and hasattr(cls, "get_params")


_ZOO_MODULE = re.compile(rf"zoo\.(engines|{'|'.join(registry.FAMILIES)})(\.\w+)*", re.ASCII)


def _is_harmless(name: str) -> bool:
    try:
        return trusted_function(name) is not None or is_named_tuple(_of_a_family(name))
    except (ImportError, AttributeError):
        return False


def trusted_function(name: str) -> Any:
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
    attribute = getattr(value, "__name__", "")
    for module in ("numpy", "scipy.special", getattr(value, "__module__", None) or ""):
        name = f"{module}.{attribute}"
        if _is_harmless(name) and trusted_function(name) is value:
            return name
    return None
