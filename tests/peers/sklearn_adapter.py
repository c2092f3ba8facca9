"""The zoo's classes under scikit-learn's names, with scikit-learn's parameters.

`PAIRS` says which class stands in for which. An adapted class takes scikit-learn's parameters and
returns the zoo's estimator: what changes no result and has no counterpart is left out (`HARMLESS`), and so
is what is given at scikit-learn's default; what has another name or another way to say it is translated
(`RENAMED`, `SAID_OTHERWISE`); and where the zoo's default differs on purpose, scikit-learn's is given
(`DEFAULTS`). Everything else goes through as it is, so that a parameter without counterpart fails its test.
"""

import importlib
import inspect
import math
from collections.abc import Callable
from typing import Any

from sklearn.utils import all_estimators

import zoo

# scikit-learn's class, by module, and the zoo's.
PAIRS = {
    "sklearn.linear_model": {
        name: name
        for name in ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LogisticRegression")
    },
    "sklearn.svm": {name: name for name in ("SVC", "SVR", "LinearSVC", "OneClassSVM")},
    "sklearn.tree": {name: name for name in ("DecisionTreeClassifier", "DecisionTreeRegressor")},
    "sklearn.ensemble": {
        "RandomForestClassifier": "RandomForestClassifier",
        "RandomForestRegressor": "RandomForestRegressor",
        "AdaBoostClassifier": "AdaBoostClassifier",
        "HistGradientBoostingClassifier": "BoostingClassifier",
        "HistGradientBoostingRegressor": "BoostingRegressor",
    },
    "sklearn.neural_network": {name: name for name in ("MLPClassifier", "MLPRegressor")},
}

# Left out where the zoo's class has no such parameter: they change speed, memory or printing.
HARMLESS = frozenset(
    {"verbose", "n_jobs", "copy_X", "dual", "random_state", "selection", "precompute", "gcv_mode"}
)

BOOSTING = {
    "max_iter": "n_estimators",
    "l2_regularization": "reg_lambda",
    "min_samples_leaf": "min_child_samples",
    "monotonic_cst": "monotone_constraints",
    "interaction_cst": "interaction_constraints",
}
PERCEPTRON = {"max_iter": "max_epochs", "learning_rate_init": "lr", "solver": "optimizer"}
RENAMED: dict[str, dict[str, str]] = {
    "BoostingClassifier": BOOSTING,
    "BoostingRegressor": BOOSTING,
    "MLPClassifier": PERCEPTRON,
    "MLPRegressor": PERCEPTRON,
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "BoostingClassifier": {"reg_lambda": 0.0, "min_child_samples": 20, "min_child_weight": 1e-3},
    "BoostingRegressor": {"reg_lambda": 0.0, "min_child_samples": 20, "min_child_weight": 1e-3},
    "MLPClassifier": {"standardize": False},
    "MLPRegressor": {"standardize": False},
}


def _logistic(given: dict[str, Any]) -> None:
    # Every solver but SAGA and liblinear's intercept solves the same problem to its tolerance.
    given.pop("solver", None)
    penalty = given.pop("penalty", "l2")
    if penalty is None:
        given["C"] = math.inf
    elif penalty in ("l1", "l2"):
        given["l1_ratio"] = 1.0 if penalty == "l1" else given.get("l1_ratio", 0.0)


def _ridge(given: dict[str, Any]) -> None:
    # An exact solver needs neither, and reaches what the iterative ones approach.
    for name in ("tol", "max_iter"):
        given.pop(name, None)
    if given.get("solver") in ("lsqr", "sparse_cg", "sag", "saga"):
        del given["solver"]


def _perceptron(given: dict[str, Any]) -> None:
    if isinstance(given.get("hidden_layer_sizes"), int):
        given["hidden_layer_sizes"] = (given["hidden_layer_sizes"],)
    if given.get("batch_size") == "auto":
        del given["batch_size"]


SAID_OTHERWISE: dict[str, Callable[[dict[str, Any]], None]] = {
    "LogisticRegression": _logistic,
    "Ridge": _ridge,
    "MLPClassifier": _perceptron,
    "MLPRegressor": _perceptron,
}


def _same(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, str | int | float) and value == default)


class Refused:
    """Stands among the parameters of a test for an estimator that could not be made; says why when used."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.error

    def __sklearn_clone__(self) -> Any:
        raise self.error


class Adapted(type):
    """The type of an adapted class: called, it makes the zoo's estimator; asked, it answers as that."""

    theirs: type
    ours: type
    made = 0  # estimators made, or tried, by all adapted classes together
    collecting = False  # whether test files are being read

    def __new__(cls, theirs: type, ours: type) -> Any:
        return super().__new__(cls, theirs.__name__, (), {"__module__": theirs.__module__})

    def __init__(cls, theirs: type, ours: type) -> None:
        super().__init__(theirs.__name__, (), {})
        cls.theirs, cls.ours = theirs, ours

    def __call__(cls, *args: Any, **given: Any) -> Any:
        Adapted.made += 1
        known = inspect.signature(cls.ours).parameters
        name = cls.ours.__name__
        SAID_OTHERWISE.get(name, lambda given: None)(given)
        for old, new in RENAMED.get(name, {}).items():
            if old in given:
                given[new] = given.pop(old)
        usual = inspect.signature(cls.theirs).parameters
        for parameter in set(given) - set(known):
            if parameter in HARMLESS or (
                parameter in usual and _same(given[parameter], usual[parameter].default)
            ):
                del given[parameter]
        try:
            return cls.ours(*args, **(DEFAULTS.get(name, {}) | given))
        except TypeError as error:
            if not Adapted.collecting:
                raise
            return Refused(error)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.ours | cls.theirs)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.ours | cls.theirs)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.ours, name)


def substitute() -> list[Adapted]:
    """Put the adapted classes in the public places of scikit-learn's, and return them."""
    all_estimators()  # imports everything: scikit-learn's own code keeps its own classes
    adapted = []
    for place, names in PAIRS.items():
        module = importlib.import_module(place)
        for theirs, ours in names.items():
            new = Adapted(getattr(module, theirs), getattr(zoo, ours))
            setattr(module, theirs, new)
            adapted.append(new)
    return adapted
