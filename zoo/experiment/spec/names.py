"""Names and what stands behind them: estimators with their parameters, ranges, metrics, splitters.

A name is looked up in the zoo, then in scikit-learn's public list (`zoo.registry.resolve`); there is no
other way in. Parameters are held to the annotations of the zoo's fields and to scikit-learn's own
constraints before anything is fitted.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Annotated, Any, ClassVar, Literal, Self

from zoo.contract.params import (
    REQUIRED,
    Interval,
    accepts,
    choice_words,
    describe,
    did_you_mean,
    fields_of,
    holds_estimator,
    is_integer,
)
from zoo.experiment.spec.forms import Form, Place, Section, Verify, bounds_of, plain_of, schema_of
from zoo.experiment.spec.text import KEY, SpecError, short
from zoo.registry import name_of, resolve, sklearn_estimators
from zoo.search import Range, no_metric

__all__ = ["Between", "Choices", "Domain", "Item", "Metric", "Model", "Splitter", "Step", "domains_of"]


# -- ranges -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choices(Section):
    """Values to try, one by one.

    Parameters
    ----------
    choices : list
        The values.
    """

    words: ClassVar[str] = "{choices: [...]}"

    choices: Annotated[
        tuple[Any, ...],
        Verify(
            lambda v, place: _need(
                place, 0 < len(v) <= 1000, f"there are {len(v)} choices; give between 1 and 1000."
            )
        ),
    ]

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A mapping with the one key fits."""
        return isinstance(value, Mapping) and set(value) == {"choices"}


@dataclass(frozen=True)
class Between(Section):
    """A range of numbers to try.

    Parameters
    ----------
    between : list of two numbers
        The least and the greatest.
    scale : {"linear", "log"}
        How the numbers spread.
    """

    words: ClassVar[str] = "{between: [low, high], scale: linear or log}"

    between: tuple[float, float]
    scale: Literal["linear", "log"] = "linear"

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A mapping with the key ``between`` fits."""
        return isinstance(value, Mapping) and "between" in value

    def verify(self, place: Place) -> None:
        """The two numbers make a range."""
        low, high = self.between
        place = place / "between"
        _need(
            place,
            math.isfinite(low) and math.isfinite(high),
            f"[{low}, {high}] has no end; give two finite numbers.",
        )
        _need(place, low < high, f"[{low}, {high}] is no range; give the smaller number first.")
        _need(place, self.scale == "linear" or low > 0, f"{low} has no logarithm; begin above 0.")


def _need(place: Place, holds: bool, sentence: str) -> None:
    if not holds:
        raise place.error(sentence)


RANGES: tuple[type[Section], ...] = (Choices, Between)
_RANGE_WORDS = "a range ({choices: [...]} or {between: [low, high]})"


# -- domains of parameters --------------------------------------------------------------------------


@dataclass(frozen=True)
class Domain:
    """What a parameter accepts.

    ``anything`` is a domain of which nothing is known, ``estimator`` one that holds an estimator;
    ``schema`` is its JSON Schema.
    """

    accepts: Callable[[Any], bool]
    words: str
    strings: tuple[str, ...] = ()
    integer: bool = False
    anything: bool = False
    estimator: bool = False
    required: bool = False
    schema: Mapping[str, Any] = field(default_factory=dict)


@cache
def domains_of(cls: Any) -> dict[str, Domain]:
    """Return what each parameter of an estimator class accepts, by its name.

    Examples
    --------
    >>> from zoo.registry import resolve
    >>> domains_of(resolve("Ridge"))["alpha"].words
    'a number >= 0'
    >>> domains_of(resolve("sklearn.Ridge"))["alpha"].accepts(-1)
    False
    """
    if hasattr(cls, "card"):
        return {
            f.name: Domain(
                accepts=partial(accepts, f.hint),
                words=describe(f.hint),
                strings=tuple(choice_words(f.hint)),
                integer=is_integer(f.hint),
                anything=accepts(f.hint, _Nothing()),
                estimator=holds_estimator(f.hint),
                required=f.default is REQUIRED,
                schema=schema_of(f.hint, {}),
            )
            for f in fields_of(cls).values()
        }
    constraints = getattr(cls, "_parameter_constraints", {})
    return {
        name: constrained(constraints.get(name, "no_validation"), parameter.default is parameter.empty)
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


class _Nothing:
    """An object that only a domain without bounds accepts."""


def constrained(constraints: Any, required: bool = False) -> Domain:
    """Read scikit-learn's constraints of one parameter."""
    from sklearn.utils._param_validation import make_constraint

    if isinstance(constraints, str):  # "no_validation"
        return Domain(lambda value: True, "any value", anything=True, required=required)
    made = [make_constraint(c) for c in constraints]
    shown = [c for c in made if not c.hidden and type(c).__name__ not in _NOT_IN_FILES] or made
    numbers = [c for c in made if type(c).__name__ == "Interval"]
    schemas = [s for c in made if (s := _schema_of_constraint(c)) is not None]
    return Domain(
        accepts=lambda value: any(c.is_satisfied_by(value) for c in made),
        words=" or ".join(dict.fromkeys(str(c) for c in shown)),
        strings=tuple(str(o) for c in made for o in getattr(c, "options", ()) if isinstance(o, str)),
        integer=bool(numbers) and all(c.type.__name__ == "Integral" for c in numbers),
        anything=any(c.is_satisfied_by(_Nothing()) for c in made),
        required=required,
        schema={"anyOf": schemas} if len(schemas) == len(made) else {},
    )


# Constraints that nothing in a file satisfies.
_NOT_IN_FILES = ("_Callables", "_SparseMatrices")


def _schema_of_constraint(constraint: Any) -> dict[str, Any] | None:
    """Return the JSON Schema of a constraint; None where anything may pass."""
    kind = type(constraint).__name__
    if kind == "Interval":
        number = {"type": "integer" if constraint.type.__name__ == "Integral" else "number"}
        return number | bounds_of(constraint.left, constraint.right, constraint.closed)
    if kind in ("StrOptions", "Options") and all(
        o is None or (isinstance(o, str | bool | int | float) and o == o) for o in constraint.options
    ):
        return {"enum": sorted(constraint.options, key=str)}
    known: dict[str, dict[str, Any]] = {
        "_Booleans": {"type": "boolean"},
        "_NoneConstraint": {"type": "null"},
        "_VerboseHelper": {"type": ["integer", "boolean"], "minimum": 0},
        "_RandomStates": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**32 - 1},
        "_ArrayLikes": {"type": "array"},
        "_Callables": {"not": {}},
        "_SparseMatrices": {"not": {}},
    }
    return known.get(kind)


# Parameters through which a file could reach the disk.
_SEALED: dict[str, Callable[[Any], bool]] = {
    "memory": lambda value: value is None,
    "input": lambda value: value == "content",
}


# -- estimators -------------------------------------------------------------------------------------


# What may stand where a name stands.
_WORDS = ("auto", "none", "drop", "passthrough", "columns", "model", "name")


def look_up(name: str, place: Place) -> Any:
    """Return the estimator class that a name means, or raise SpecError."""
    if name in ("Pipeline", "ColumnTransformer", "sklearn.Pipeline", "sklearn.ColumnTransformer"):
        raise place.error(
            f"{name!r} is no name in a spec; write a list of steps, and for parts of the columns "
            "{columns: {numbers: [...], categories: [...]}}."
        )
    try:
        cls = resolve(name)
    except ValueError as error:
        raise place.error(f"{error}{did_you_mean(name, _WORDS)}") from None
    if any(b.__name__ == "Agent" for b in cls.__mro__):
        raise place.error(f"{name} acts in an environment and cannot be fitted to data; name another.")
    return cls


def _is_name(value: Any) -> bool:
    """Tell whether a word looks like an estimator's name; whether there is one, `look_up` says."""
    return isinstance(value, str) and value.removeprefix("sklearn.")[:1].isupper()


def _means_item(value: Any) -> bool:
    """Tell whether a plain value inside parameters means an estimator."""
    name = value
    if isinstance(value, Mapping):
        if len(value) != 1:
            return False
        ((name, given),) = value.items()
        if not (given is None or isinstance(given, Mapping)):
            return False
    if not _is_name(name):
        return False
    try:
        resolve(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Item(Form):
    """An estimator by name, and its parameters.

    Parameters
    ----------
    name : str
        As `zoo.registry.resolve` takes it.
    params : dict
        Parameters: plain values, ranges (`Choices`, `Between`) or other items, also in lists.
    """

    words: ClassVar[str] = "an estimator (Name, or Name: {parameter: value})"

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A word fits, and a mapping with one key that is none of the grammar's own."""
        if isinstance(value, Mapping):
            return len(value) == 1 and next(iter(value)) not in ("columns", "model", "name")
        return isinstance(value, str)

    @classmethod
    def read(cls, value: Any, place: Place) -> Self:
        """Look up the name and check every parameter."""
        if not cls.fits(value):
            raise place.error(f"{short(value)} is not accepted; give {cls.words}.")
        name, given = (value, None) if isinstance(value, str) else next(iter(value.items()))
        at_name = place if isinstance(value, str) else place / name / KEY
        name = name if isinstance(name, str) else place.key(name)
        found = look_up(name, at_name)
        place = place if isinstance(value, str) else place / name
        if not (given is None or isinstance(given, Mapping)):
            raise place.error(
                f"{short(given)} is not accepted; give the parameters of {name} as a mapping, such as "
                f"{name}: {{{next(iter(domains_of(found)), 'parameter')}: value}}."
            )
        item = cls(name, read_params(found, given or {}, place))
        for key, domain in domains_of(found).items():
            if domain.required and key not in item.params:
                raise place.error(f"{name} needs the parameter {key!r}; give {domain.words}.")
        item.check_made(place)
        return item

    @property
    def cls(self) -> Any:
        """The class that the name means."""
        return resolve(self.name)

    def check_made(self, place: Place) -> None:
        """Make the estimator once, so that what only its constructor knows is said here."""
        try:
            self.make()
        except (TypeError, ValueError) as error:
            raise place.error(
                f"{self.name} cannot be made of this ({_first_line(error)}); give other parameters."
            ) from None

    def make(self, seed: int | None = None) -> Any:
        """Return the unfitted estimator; ``seed`` is the random state of those that have none."""
        domains = domains_of(self.cls)
        made = {
            name: _made(value, seed, domains[name])
            for name, value in self.params.items()
            if not isinstance(value, RANGES)
        }
        for name, value in self.params.items():
            if isinstance(value, RANGES) and domains[name].required:
                made[name] = _first(value)
        if seed is not None and "random_state" not in self.params:
            parameter = inspect.signature(self.cls).parameters.get("random_state")
            if parameter is not None and parameter.default is None:
                made["random_state"] = seed
            elif parameter is not None and parameter.default == "deprecated" and "cv" not in self.params:
                # TargetEncoder shuffles its folds with the generator that everybody shares.
                made["cv"] = Splitter("KFold", {"n_splits": 5, "shuffle": True}).make(seed)
        return self.cls(**made)

    def space(self, prefix: str = "") -> dict[str, Any]:
        """Return what is to be searched: parameter -> list of values or `zoo.search.Range`."""
        space: dict[str, Any] = {}
        for name, value in self.params.items():
            domain = domains_of(self.cls)[name]
            if isinstance(value, Item):
                space |= value.space(f"{prefix}{name}__")
            elif isinstance(value, RANGES):
                space[prefix + name] = space_of(value, domain)
        return space

    def plain(self) -> Any:
        """Return the name, or the name with its parameters."""
        return {self.name: plain_of(dict(self.params))} if self.params else self.name

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return a reference to the schema of all estimators."""
        return {"$ref": f"#/$defs/{cls.__name__}"}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def space_of(value: Any, domain: Domain | None = None) -> Any:
    """Return what `zoo.search` searches for a range of the file."""
    if isinstance(value, Choices):
        return [_made(choice, None, domain) for choice in value.choices]
    low, high = value.between
    integer = all(isinstance(v, int) for v in value.between) and (domain is None or domain.integer)
    return Range(low, high, log=value.scale == "log", integer=integer)


def _first(value: Any) -> Any:
    return value.choices[0] if isinstance(value, Choices) else value.between[0]


def _made(value: Any, seed: int | None, domain: Domain | None = None) -> Any:
    if isinstance(value, Item):
        return value.make(seed)
    if isinstance(value, Splitter):
        return value.make(seed or 0)
    if isinstance(value, list):
        made = [_made(item, seed) for item in value]
        # scikit-learn asks for a tuple in places; a file knows lists only.
        is_tuple = domain is not None and not domain.accepts(made) and domain.accepts(tuple(made))
        return tuple(made) if is_tuple else made
    if isinstance(value, dict):
        return {key: _made(item, seed) for key, item in value.items()}
    return value


def read_params(cls: Any, given: Mapping[Any, Any], place: Place) -> dict[str, Any]:
    """Read the parameters of a class, or raise SpecError."""
    domains = domains_of(cls)
    params = {}
    for key, value in given.items():
        if key not in domains:
            at = place.source.error(
                (*place.path, key, KEY),
                f"{cls.__name__} has no parameter of that name; it has {', '.join(domains) or 'none'}."
                f"{did_you_mean(key, list(domains))}",
            )
            raise at
        params[str(key)] = read_value(domains[key], value, place / key)
        if key in _SEALED and not _SEALED[key](value):
            raise (place / key).error(
                f"{short(value)} is not accepted; a spec reads and writes no files here, leave it out."
            )
    return params


def read_value(domain: Domain, value: Any, place: Place) -> Any:
    """Read the value of a parameter: a plain value, a range, or an estimator."""
    for form in RANGES:
        if form.fits(value):
            return _read_range(form, domain, value, place)
    if place.path[-1] == "cv" and Splitter.fits(value):
        return Splitter.read(value, place)
    # A parameter of this name holds an estimator, whatever else its domain lets pass.
    named_so = domain.anything and str(place.path[-1]).endswith("estimator") and value is not None
    if (domain.estimator or named_so) and Item.fits(value):
        return Item.read(value, place)
    if domain.accepts(value) or (isinstance(value, list) and domain.accepts(tuple(value))):
        # Where anything passes, a bare word stays a word.
        if domain.anything and isinstance(value, Mapping) and _means_item(value):
            return Item.read(value, place)
        return _read_pairs(value, place) if isinstance(value, list) else value
    if _means_item(value):
        item = Item.read(value, place)
        if domain.accepts(item.make()):
            return item
    hint = ""
    if isinstance(value, Mapping):
        hint = f", or {_RANGE_WORDS}" + did_you_mean(next(iter(value), ""), ["choices", "between"])
    raise place.error(
        f"{short(value)} is not accepted; give {domain.words}{hint}.{did_you_mean(value, domain.strings)}"
    )


def _read_pairs(value: list[Any], place: Place) -> list[Any]:
    """Read the estimators in a list of [label, estimator] pairs, as VotingClassifier has it."""
    return [
        [pair[0], Item.read(pair[1], place / i / 1)]
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and _means_item(pair[1])
        else pair
        for i, pair in enumerate(value)
    ]


def _read_range(form: type[Section], domain: Domain, value: Any, place: Place) -> Any:
    found: Any = form.read(value, place)
    if isinstance(found, Choices):
        return Choices(
            tuple(read_value(domain, choice, place / "choices" / i) for i, choice in enumerate(found.choices))
        )
    check_range(found, domain, place)
    return found


def check_range(values: Any, domain: Domain, place: Place) -> None:
    """Refuse a range that leaves the domain of its parameter."""
    key = "choices" if isinstance(values, Choices) else "between"
    for i, value in enumerate(getattr(values, key)):
        if isinstance(value, Item) or domain.accepts(value):
            continue
        if not (isinstance(value, list) and domain.accepts(tuple(value))):
            raise (place / key / i).error(f"{short(value)} is not accepted; give {domain.words}.")


# -- what an estimator must be able to do -----------------------------------------------------------


def task_of(estimator: Any) -> str | None:
    """Return "classification" or "regression" for an estimator that predicts, else None."""
    from sklearn.base import is_classifier, is_regressor

    if is_classifier(estimator):
        return "classification"
    return "regression" if is_regressor(estimator) else None


def _predicts(item: "Item", place: Place) -> None:
    if task_of(item.make()) is None:
        verb = (
            "transforms data; list it under steps"
            if hasattr(item.cls, "transform")
            else ("predicts nothing that can be scored; name a classifier or a regressor")
        )
        raise place.error(f"{item.name} {verb}.")


def _transforms(item: "Item", place: Place) -> None:
    if not hasattr(item.make(), "transform"):
        raise place.error(f"{item.name} is no transformer; list it under models.")


Model = Annotated[Item, Verify(_predicts, lambda: {"$ref": "#/$defs/Model"})]
Transformer = Annotated[Item, Verify(_transforms, lambda: {"$ref": "#/$defs/Transformer"})]


# -- from objects -----------------------------------------------------------------------------------


def item_of(estimator: Any, space: Mapping[str, Any] | None = None) -> Item:
    """Return the item that makes an estimator: its name and the parameters that are not defaults.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> item_of(StandardScaler(with_mean=False)).plain()
    {'StandardScaler': {'with_mean': False}}
    """
    name = name_of(type(estimator))
    if name is None:
        raise SpecError(
            f"spec: {type(estimator).__name__} is neither the zoo's nor scikit-learn's; a spec names "
            "only those."
        )
    defaults = {p.name: p.default for p in inspect.signature(type(estimator)).parameters.values()}
    params = {
        key: _plain_parameter(value, f"{name}.{key}")
        for key, value in estimator.get_params(deep=False).items()
        if not _same(value, defaults.get(key, inspect.Parameter.empty))
    }
    for key, values in (space or {}).items():
        inner, _, rest = key.partition("__")
        if rest:
            params[inner] = item_of(getattr(estimator, inner), {rest: values})
        else:
            params[key] = range_of(values)
    return Item(name, params)


def range_of(values: Any) -> Any:
    """Return the range of the file for what `zoo.search` searches."""
    if isinstance(values, Range):
        return Between((values.low, values.high), "log" if values.log else "linear")
    if isinstance(values, list | tuple):
        return Choices(tuple(_plain_parameter(v, "choices") for v in values))
    raise SpecError(f"spec: {short(values)} cannot be written; give a list or a zoo.search.Range.")


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    same = type(value) is type(default) and isinstance(value, bool | int | float | str | tuple | list | dict)
    return same and bool(value == default)


def _plain_parameter(value: Any, where: str) -> Any:
    import numpy as np

    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return math.nan if isinstance(value, float) and math.isnan(value) else value
    if isinstance(value, list | tuple):
        return [_plain_parameter(v, where) for v in value]
    if isinstance(value, Mapping):
        return {key: _plain_parameter(v, where) for key, v in value.items()}
    if hasattr(value, "get_params") and not isinstance(value, type):
        return item_of(value)
    if type(value).__name__ in SPLITTERS:
        return splitter_of(value)
    raise SpecError(
        f"spec: {where}={short(value)} ({type(value).__name__}) is no plain value and cannot be written."
    )


# -- metrics and splitters --------------------------------------------------------------------------


def _is_metric(name: str, place: Place) -> None:
    from sklearn.metrics import get_scorer_names

    if name not in get_scorer_names():
        raise place.error(no_metric(name))


def _metrics() -> dict[str, Any]:
    from sklearn.metrics import get_scorer_names

    return {"enum": get_scorer_names()}


Metric = Annotated[str, Verify(_is_metric, _metrics)]


def task_of_metric(name: str) -> str | None:
    """Return the task that a metric scores; None where it can score both."""
    from sklearn.metrics import get_scorer

    module = get_scorer(name)._score_func.__module__
    if module.endswith("_regression"):
        return "regression"
    return "classification" if "cluster" not in module else None


def response_of(metric: str) -> tuple[str, ...]:
    """Return the methods of which a metric needs one.

    Examples
    --------
    >>> response_of("roc_auc"), response_of("accuracy")
    (('decision_function', 'predict_proba'), ('predict',))
    """
    from sklearn.metrics import get_scorer

    needed = get_scorer(metric)._response_method
    return (needed,) if isinstance(needed, str) else tuple(needed)


SPLITTERS = (
    "GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut", "LeaveOneOut", "LeavePGroupsOut",
    "LeavePOut", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedGroupKFold",
    "StratifiedKFold", "StratifiedShuffleSplit", "TimeSeriesSplit",
)  # fmt: skip


@dataclass(frozen=True)
class Splitter(Form):
    """A splitter of scikit-learn by name, and its parameters."""

    words: ClassVar[str] = "a splitter (Name, or Name: {parameter: value})"

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A word that begins large fits, alone or as the one key of a mapping."""
        name = next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else value
        return isinstance(name, str) and name[:1].isupper()

    @classmethod
    def read(cls, value: Any, place: Place) -> Self:
        """Look up the name and make the splitter once."""
        name, given = (value, None) if isinstance(value, str) else next(iter(value.items()))
        if name not in SPLITTERS:
            raise place.error(
                f"there is no splitter {short(name)}; accepted are {', '.join(SPLITTERS)}."
                f"{did_you_mean(name, SPLITTERS)}"
            )
        place = place if isinstance(value, str) else place / name
        if not (given is None or isinstance(given, Mapping)):
            raise place.error(f"{short(given)} is not accepted; give the parameters as a mapping.")
        splitter = cls(name, dict(given or {}))
        parameters = splitter.parameters()
        for key in splitter.params:
            if key not in parameters:
                raise place.source.error(
                    (*place.path, key, KEY),
                    f"{name} has no parameter of that name; it has {', '.join(parameters)}."
                    f"{did_you_mean(key, parameters)}",
                )
            if isinstance(splitter.params[key], int) and splitter.params[key] > 10_000:
                raise (place / key).error(f"{splitter.params[key]} is not accepted; give 10000 or less.")
        try:
            splitter.make(0)
        except (TypeError, ValueError) as error:
            raise place.error(
                f"{name} cannot be made of this ({_first_line(error)}); give other parameters."
            ) from None
        return splitter

    def parameters(self) -> list[str]:
        """Name the parameters of the splitter."""
        import sklearn.model_selection

        cls = getattr(sklearn.model_selection, self.name)
        return [name for name in inspect.signature(cls).parameters]

    def make(self, seed: int) -> Any:
        """Return the splitter; ``seed`` shuffles where it shuffles and none is given."""
        import sklearn.model_selection

        params = dict(self.params)
        shuffles = params.get("shuffle", "shuffle" not in self.parameters())
        if "random_state" in self.parameters() and shuffles:
            params.setdefault("random_state", seed)
        return getattr(sklearn.model_selection, self.name)(**params)

    def plain(self) -> Any:
        """Return the name, or the name with its parameters."""
        return {self.name: dict(self.params)} if self.params else self.name

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return the names, and mappings of one of them."""
        definitions["Splitter"] = {
            "anyOf": [
                {"enum": list(SPLITTERS)},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {
                        name: {
                            "type": ["object", "null"],
                            "properties": dict.fromkeys(Splitter(name).parameters(), True),
                            "additionalProperties": False,
                        }
                        for name in SPLITTERS
                    },
                    "additionalProperties": False,
                },
            ]
        }
        return {"$ref": "#/$defs/Splitter"}


def splitter_of(splitter: Any) -> Splitter:
    """Return the splitter of the file for one of scikit-learn.

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> splitter_of(KFold(3)).plain()
    {'KFold': {'n_splits': 3}}
    """
    name = type(splitter).__name__
    if name not in SPLITTERS:
        raise SpecError(f"spec: the splitter {name} cannot be written; take one of {', '.join(SPLITTERS)}.")
    params = {}
    inside = getattr(splitter, "cvargs", {})  # where the repeated splitters keep theirs
    for key, parameter in inspect.signature(type(splitter)).parameters.items():
        value = getattr(splitter, key, inside.get(key, parameter.default))
        if value != parameter.default:
            params[key] = value
    return Splitter(name, params)


def all_names() -> list[str]:
    """Name every estimator that a spec may name, the forced ones too."""
    from zoo.registry import entries

    zoo = [row["name"] for row in entries() if "Agent" not in row["roles"]]
    own = set(zoo)
    names = [n for n in sklearn_estimators() if n not in ("Pipeline", "ColumnTransformer")]
    return sorted(zoo) + [f"sklearn.{n}" if n in own else n for n in names]


# Used by annotations of the grammar.
Seed32 = Annotated[int, Interval(0, 2**32 - 1)]
Step = Transformer
