"""scikit-learn's data sets by name: shipped, made, or fetched earlier; nothing is downloaded."""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from zoo.contract.params import did_you_mean
from zoo.experiment.spec.forms import Place
from zoo.experiment.spec.names import Domain, constrained, read_value
from zoo.experiment.spec.text import KEY, short

__all__ = ["DATASETS", "check_dataset", "load_dataset", "parameters_of"]

SHIPPED = ("load_breast_cancer", "load_diabetes", "load_digits", "load_iris", "load_wine")
FETCHED = (
    "fetch_20newsgroups_vectorized", "fetch_california_housing", "fetch_covtype", "fetch_kddcup99",
    "fetch_olivetti_faces",
)  # fmt: skip
MADE = (
    "make_blobs", "make_circles", "make_classification", "make_friedman1", "make_friedman2",
    "make_friedman3", "make_gaussian_quantiles", "make_hastie_10_2", "make_moons", "make_regression",
    "make_s_curve", "make_swiss_roll",
)  # fmt: skip
DATASETS = (*SHIPPED, *FETCHED, *MADE)
# What decides the container is not the file's business.
_HIDDEN = ("return_X_y", "as_frame", "download_if_missing", "data_home", "n_retries", "delay", "coef",
           "return_centers", "return_distributions", "n_targets")  # fmt: skip
LARGEST = 50_000_000  # numbers


def _function(name: str) -> Any:
    import sklearn.datasets

    return getattr(sklearn.datasets, name)


@cache
def parameters_of(name: str) -> dict[str, Domain]:
    """Return what each parameter of a data set accepts.

    Examples
    --------
    >>> sorted(parameters_of("make_moons"))
    ['n_samples', 'noise', 'random_state', 'shuffle']
    """
    function = _function(name)
    constraints = getattr(function, "_skl_parameter_constraints", {})
    return {
        key: constrained(constraints.get(key, "no_validation"))
        for key in inspect.signature(function).parameters
        if key not in _HIDDEN
    }


def check_dataset(name: str, given: Any, place: Place) -> dict[str, Any]:
    """Return the parameters of a data set, or raise SpecError."""
    if name not in DATASETS:
        raise place.error(
            f"there is no data set {short(name)}; accepted are {', '.join(DATASETS)}."
            f"{did_you_mean(name, DATASETS) or did_you_mean('load_' + name, DATASETS)}"
        )
    if not isinstance(given, Mapping):
        raise place.error(f"{short(given)} is not accepted; give the parameters as a mapping.")
    known = parameters_of(name)
    params = {}
    for key, value in given.items():
        if key not in known:
            raise place.source.error(
                (*place.path, key, KEY),
                f"{name} has no parameter of that name; it has {', '.join(known) or 'none'}."
                f"{did_you_mean(key, list(known))}",
            )
        params[key] = read_value(known[key], value, place / key)
    size = 1
    for key in ("n_samples", "n_features"):
        default = inspect.signature(_function(name)).parameters.get(key)
        value = params.get(key, default.default if default else 1)
        size *= sum(value) if isinstance(value, list | tuple) else value if isinstance(value, int) else 1
    if size > LARGEST:
        raise place.error(f"{size} numbers are too many to make; stay below {LARGEST}.")
    return params


def load_dataset(name: str, params: Mapping[str, Any], seed: int, place: Place) -> tuple[Any, Any, str]:
    """Return X, y and the name of the target.

    Examples
    --------
    >>> from zoo.experiment.spec.text import read_object
    >>> X, y, target = load_dataset("load_iris", {}, 0, Place(read_object({})))
    >>> X.shape, target
    ((150, 4), 'target')
    """
    import pandas as pd

    function = _function(name)
    parameters = inspect.signature(function).parameters
    given = {k: tuple(v) if isinstance(v, list) and k == "n_samples" else v for k, v in params.items()}
    if "random_state" in parameters:
        given.setdefault("random_state", seed)
    if name in FETCHED:
        given["download_if_missing"] = False
    if "as_frame" in parameters and name not in ("fetch_20newsgroups_vectorized",):
        given["as_frame"] = True
    try:
        found = function(**given)
    except OSError:
        raise place.error(
            f"{name} is not on this machine and nothing is downloaded here; call sklearn.datasets.{name}() "
            "once in Python, or give the data as a file."
        ) from None
    except (TypeError, ValueError) as error:
        raise place.error(
            f"{name} cannot be made of this ({str(error).splitlines()[0]}); give other parameters."
        ) from None
    if isinstance(found, tuple):
        X = pd.DataFrame(found[0], columns=[f"x{j}" for j in range(found[0].shape[1])])
        return X, found[1], "y"
    y = found["target"]
    return found["data"], y, str(getattr(y, "name", None) or "target")
