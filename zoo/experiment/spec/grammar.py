"""The grammar of a spec, declared once: reading, messages, writing, schema and docs come from here.

A key of the file is a field of a dataclass below: its annotation says what is accepted, the signature
the default, the docstring the meaning.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from zoo.contract.params import Check, Interval, did_you_mean
from zoo.experiment.spec.forms import Form, Place, Section, Verify, plain_of, read_as, schema_of
from zoo.experiment.spec.names import (
    Between,
    Choices,
    Metric,
    Model,
    Splitter,
    Transformer,
    check_range,
    domains_of,
)
from zoo.experiment.spec.text import KEY, Source, short
from zoo.search import Candidate, Plan

__all__ = [
    "Backend",
    "Cluster",
    "Columns",
    "Contender",
    "DataSource",
    "Dataset",
    "Folds",
    "LastRows",
    "Search",
    "Spec",
    "TestData",
    "Workers",
]

KINDS = ("number", "category", "text", "date")
# The words that select columns by what they hold, and the kind that each selects.
SELECTORS = {"numbers": "number", "categories": "category", "text": "text", "dates": "date"}


def _is_label(text: str) -> bool:
    return bool(re.fullmatch(r"[^\W_][\w .,+()=-]{0,79}", text)) and ".." not in text


Label = Annotated[
    str,
    Verify(lambda label, place: None, lambda: {"pattern": "^[^\\W_][\\w .,+()=-]*$", "maxLength": 80}),
    Check(_is_label, "a name of at most 80 letters, digits, spaces and .,+()=-_ that begins with a letter"),
]


def _is_file_name(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and "://" not in text and len(text) < 1000


FileName = Annotated[
    str, Check(_is_file_name, "the path of a file on this machine (no address, no control characters)")
]

# -- data -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dataset(Form):
    """A data set of scikit-learn by the name of its function, and its parameters."""

    words: ClassVar[str] = "a data set of scikit-learn (load_iris, or make_moons: {n_samples: 500})"

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A word fits, and a mapping with one key."""
        return isinstance(value, str) or (isinstance(value, Mapping) and len(value) == 1)

    @classmethod
    def read(cls, value: Any, place: Place) -> Self:
        """Look up the name and check the parameters."""
        from zoo.experiment.spec.sets import check_dataset

        if not cls.fits(value):
            raise place.error(f"{short(value)} is not accepted; give {cls.words}.")
        name, given = (value, None) if isinstance(value, str) else next(iter(value.items()))
        place = place if isinstance(value, str) else place / name
        return cls(str(name), check_dataset(str(name), given or {}, place))

    def plain(self) -> Any:
        """Return the name, or the name with its parameters."""
        return {self.name: plain_of(dict(self.params))} if self.params else self.name

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return the names, and mappings of one of them."""
        from zoo.experiment.spec.sets import DATASETS, parameters_of

        definitions["Dataset"] = {
            "anyOf": [
                {"enum": list(DATASETS)},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {
                        name: {
                            "type": ["object", "null"],
                            "properties": {k: dict(d.schema) for k, d in parameters_of(name).items()},
                            "additionalProperties": False,
                        }
                        for name in DATASETS
                    },
                    "additionalProperties": False,
                },
            ]
        }
        return {"$ref": "#/$defs/Dataset"}


@dataclass(frozen=True)
class Arrays(Section):
    """Names of the arrays in an npz file.

    Parameters
    ----------
    X : str
        Rows.
    y : str
        Targets.
    weights : str
        Weights of the rows.
    groups : str
        Groups of the rows.
    X_test, y_test, weights_test : str
        The held-out part.
    """

    words: ClassVar[str] = "a mapping with names of arrays (X, y, X_test, ...)"

    X: str = "X"
    y: str = "y"
    weights: str | None = None
    groups: str | None = None
    X_test: str | None = None
    y_test: str | None = None
    weights_test: str | None = None


@dataclass(frozen=True)
class DataSource(Section):
    """Where the rows come from, and what the columns mean.

    Exactly one of csv, parquet, npz, images and sklearn is given; none where Python gives the data.

    Parameters
    ----------
    csv : str
        A file of comma-separated values, compressed or not (.gz, .bz2, .xz, .zip); relative to the spec.
    parquet : str
        A parquet file.
    npz : str
        A file of numpy arrays.
    images : str
        A folder with one folder of pictures for each class.
    sklearn : str or mapping
        A data set of scikit-learn, such as load_iris or make_moons: {n_samples: 500}.
    target : str
        The column to predict.
    drop : list of str
        Columns to leave out.
    keep : list of str
        The only columns to use, besides target, weights and groups.
    weights : str
        The column of row weights.
    groups : str
        The column that says which rows belong together; no group is on both sides of a split.
    missing : list of str
        Marks of missing values, besides the empty cell, NA, N/A, NaN, nan, null and NULL.
    types : mapping from column to {"number", "category", "text", "date"}
        What columns hold, where looking at them would tell it wrongly.
    rows : int
        Read only this many rows from the top.
    separator : str
        What stands between the values of a csv file.
    arrays : mapping
        Names of the arrays in an npz file.
    size : list of two int
        Height and width to which pictures are brought; without it all must have one size.
    """

    words: ClassVar[str] = "a mapping that says where the rows come from"

    csv: FileName | None = None
    parquet: FileName | None = None
    npz: FileName | None = None
    images: FileName | None = None
    sklearn: Dataset | None = None
    target: str | None = None
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    weights: str | None = None
    groups: str | None = None
    missing: tuple[str, ...] = ()
    types: Mapping[str, Literal["number", "category", "text", "date"]] | None = None
    rows: Annotated[int, Interval(2, None)] | None = None
    separator: Annotated[str, Check(lambda s: len(s) == 1, "one character, such as ',' or ';'")] | None = None
    arrays: Arrays | None = None
    size: tuple[Annotated[int, Interval(1, 4096)], Annotated[int, Interval(1, 4096)]] | None = None

    FORMATS: ClassVar[tuple[str, ...]] = ("csv", "parquet", "npz", "images", "sklearn")

    @property
    def format(self) -> str | None:
        """Which of the formats is given."""
        return next((name for name in self.FORMATS if getattr(self, name) is not None), None)

    def verify(self, place: Place) -> None:
        """One place, and no column with two parts to play."""
        given = [name for name in self.FORMATS if getattr(self, name) is not None]
        if len(given) > 1:
            raise (place / given[1]).error(f"the data come from one place; keep {given[0]} or {given[1]}.")
        if given and given[0] in ("csv", "parquet") and self.target is None:
            raise place.error("the key 'target' is missing; it must name the column to predict.")
        for name, needs in (
            ("arrays", "npz"), ("size", "images"), ("separator", "csv"),
        ):  # fmt: skip
            if given and getattr(self, name) and given[0] != needs:
                raise (place / name).error(f"this has a meaning for {needs} only; delete it.")
        if given and given[0] in ("npz", "images"):
            for name in ("target", "weights", "groups", "types", "drop", "keep", "missing"):
                if getattr(self, name):
                    raise (place / name).error(
                        f"{given[0]} has no columns with names; "
                        + ("name the arrays under 'arrays'." if given[0] == "npz" else "delete this.")
                    )
        parts = [(n, getattr(self, n)) for n in ("target", "weights", "groups") if getattr(self, n)]
        for i, (name, column) in enumerate(parts):
            for other, same in parts[:i]:
                if same == column:
                    raise (place / name).error(f"{column!r} is the {other} already; name another column.")
            for other in ("drop",):
                if column in getattr(self, other):
                    raise (place / other).error(f"{column!r} is the {name}; delete it here.")
        for column in self.keep:
            if column in self.drop:
                raise (place / "keep").error(f"{column!r} is dropped as well; keep one of the two.")


@dataclass(frozen=True)
class LastRows(Section):
    """The last rows are held out: those of the latest time, where rows are in its order.

    Parameters
    ----------
    last : float
        The part of all rows.
    """

    words: ClassVar[str] = "{last: the part of the rows}"

    last: Annotated[float, Interval(0, 1, "neither")]

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A mapping with the key ``last`` fits."""
        return isinstance(value, Mapping) and "last" in value


@dataclass(frozen=True)
class TestData(Section):
    """A held-out part in a file of its own, with the same columns.

    Parameters
    ----------
    csv : str
        A file of comma-separated values.
    parquet : str
        A parquet file.
    """

    __test__: ClassVar[bool] = False  # pytest looks at every class called Test...
    words: ClassVar[str] = "{csv: other file} or {parquet: other file}"

    csv: FileName | None = None
    parquet: FileName | None = None

    def verify(self, place: Place) -> None:
        """Exactly one file."""
        if (self.csv is None) == (self.parquet is None):
            raise place.error("the held-out part is one file; give it as csv or as parquet.")


# -- steps and models -------------------------------------------------------------------------------

STEPS_LIMIT = 100


def _few(values: Any, place: Place) -> None:
    if len(values) > STEPS_LIMIT:
        raise place.error(f"{len(values)} steps in a row are too many; name at most {STEPS_LIMIT}.")


_Few = Verify(_few, lambda: {"maxItems": STEPS_LIMIT})
_Part = Literal["drop", "passthrough"] | Transformer | Annotated[tuple[Transformer, ...], _Few]


@dataclass(frozen=True)
class Columns(Form):
    """Steps for parts of the columns, side by side.

    A part is selected by what the columns hold (numbers, categories, text, dates), by name, or by a
    list of names; ``rest`` is what no other key selects. A name goes before a kind.
    """

    words: ClassVar[str] = (
        "{columns: {numbers|categories|text|dates|a name|[names]|rest: steps, drop or passthrough}}"
    )

    parts: Mapping[str | tuple[str, ...], Any]

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A mapping with the one key ``columns`` fits."""
        return isinstance(value, Mapping) and set(value) == {"columns"}

    @classmethod
    def read(cls, value: Any, place: Place) -> Self:
        """Read the steps of each part."""
        place, parts = place / "columns", value["columns"]
        if not isinstance(parts, Mapping) or not parts:
            raise place.error(f"{short(parts)} is not accepted; give a mapping such as {cls.words[10:-1]}.")
        found: dict[str | tuple[str, ...], Any] = {}
        named: Counter[str] = Counter()
        for key, steps in parts.items():
            selector = key if isinstance(key, str | tuple) else place.key(key)
            # A kind and a column of that name are two things.
            is_kind = isinstance(selector, str) and selector in (*SELECTORS, "rest")
            named.update([] if is_kind else [selector] if isinstance(selector, str) else selector)
            double = [name for name, n in named.items() if n > 1]
            if double:
                raise place.source.error(
                    (*place.path, key, KEY), f"{double[0]!r} is selected twice; one part a column."
                )
            found[selector] = read_as(_Part, steps, place / key)
        return cls(found)

    def plain(self) -> dict[str, Any]:
        """Return the mapping."""
        return {"columns": {key: plain_of(part) for key, part in self.parts.items()}}

    def names(self) -> list[str]:
        """Name the columns that are selected by name."""
        names: list[str] = []
        for key in self.parts:
            if isinstance(key, tuple):
                names += key
            elif key not in (*SELECTORS, "rest"):
                names.append(key)
        return names

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return an object with the one key ``columns``."""
        part = schema_of(_Part, definitions)
        definitions["Columns"] = {
            "type": "object",
            "description": (cls.__doc__ or "").split("\n")[0],
            "properties": {
                "columns": {
                    "type": "object",
                    "minProperties": 1,
                    "properties": dict.fromkeys([*SELECTORS, "rest"], part),
                    "additionalProperties": part,
                }
            },
            "required": ["columns"],
            "additionalProperties": False,
        }
        return {"$ref": "#/$defs/Columns"}


Steps = Annotated[tuple[Transformer | Columns, ...], _Few]


@dataclass(frozen=True, kw_only=True)
class Contender(Section):
    """A model with a name, steps or a search of its own.

    Parameters
    ----------
    name : str
        What the leaderboard calls it; the method's name when left out.
    model : str or mapping
        The estimator: Name, or Name: {parameter: value}.
    steps : "auto" or list
        Its own steps, in place of the shared ones.
    search : "none", "auto" or mapping
        Its own search: "none" fits it once, "auto" searches the ranges of its card, a mapping from
        parameter (of a step: step__parameter) to range searches these.
    """

    words: ClassVar[str] = "{name: label, model: estimator, steps: [...], search: ...}"

    name: Label | None = None
    model: Model
    steps: Literal["auto"] | Steps | None = None
    search: Literal["none", "auto"] | Mapping[str, Choices | Between] | None = None

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A mapping with the key ``model`` or ``name`` fits."""
        return isinstance(value, Mapping) and ("model" in value or "name" in value)

    def verify(self, place: Place) -> None:
        """The ranges lie in the domains of the model's parameters."""
        if not isinstance(self.search, Mapping):
            return
        domains = domains_of(self.model.cls)
        for key, values in self.search.items():
            at = place / "search" / key
            if "__" in key:  # of a step or of an inner estimator, which the pipeline knows
                continue
            if key not in domains:
                raise at.error(
                    f"{self.model.name} has no parameter of that name; it has {', '.join(domains)}."
                    f"{did_you_mean(key, list(domains))} A parameter of a step is written step__parameter."
                )
            if key in self.model.params:
                raise at.error("the model states this parameter already; delete one of the two.")
            check_range(values, domains[key], at)


# -- search -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Search(Section):
    """How settings are found.

    Parameters
    ----------
    kind : {"auto", "grid", "random", "halving", "optuna"}
        "auto" is a grid where every range is a short list of choices, random otherwise.
    n_iter : int
        Settings a model, for random, halving and optuna.
    n_grid : int
        Points that a range of numbers has in a grid.
    factor : int
        Halving keeps one setting in this many and gives it this many times the rows.
    cards : bool
        Whether a model that states no range searches the ranges of its card.
    as_given : bool
        Whether the first setting of each model is the model as it stands; left out, it is where the
        ranges come from a card.
    """

    words: ClassVar[str] = "a mapping {kind: ..., n_iter: ...}"

    kind: Literal["auto", "grid", "random", "halving", "optuna"] = "auto"
    n_iter: Annotated[int, Interval(1, 100_000)] = 20
    n_grid: Annotated[int, Interval(2, 100)] = 5
    factor: Annotated[int, Interval(2, 100)] = 3
    cards: bool = True
    as_given: bool | None = None


@dataclass(frozen=True)
class Folds(Section):
    """Folds that fit the task: stratified for classes, by groups where there are groups.

    Parameters
    ----------
    folds : int
        How many.
    repeats : int
        How often, shuffled anew each time.
    shuffle : bool
        Whether rows are shuffled before they are cut into folds.
    """

    words: ClassVar[str] = "{folds: 5, repeats: 1, shuffle: true}"

    folds: Annotated[int, Interval(2, 1000)] = 5
    repeats: Annotated[int, Interval(1, 1000)] = 1
    shuffle: bool = True

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A mapping whose keys begin small fits."""
        return isinstance(value, Mapping) and not Splitter.fits(value)

    def verify(self, place: Place) -> None:
        """Repeats without a shuffle would be the same folds again."""
        if self.repeats > 1 and not self.shuffle:
            raise (place / "shuffle").error("repeats are shuffled anew; delete this, or the repeats.")


@dataclass(frozen=True)
class Workers(Section):
    """Processes or threads on this machine.

    Parameters
    ----------
    n_jobs : int
        How many; -1 is one a processor.
    """

    words: ClassVar[str] = "{n_jobs: 2}"

    n_jobs: Annotated[int, Interval(-1, 1024), Check(lambda n: n != 0, "-1, or an integer >= 1")] | None = (
        None
    )


def _is_scheduler(text: str) -> bool:
    return bool(re.fullmatch(r"(tcp|tls|ray)://[\w.\[\]:-]+:\d{1,5}", text)) or text == "auto"


@dataclass(frozen=True)
class Cluster(Section):
    """Several machines, or several processes on this one.

    Parameters
    ----------
    workers : int
        Start this many on this machine.
    address : str
        Join the scheduler that runs there, such as tcp://10.0.0.1:8786.
    """

    words: ClassVar[str] = "{workers: 2} or {address: tcp://host:port}"

    workers: Annotated[int, Interval(1, 1024)] | None = None
    address: Annotated[str, Check(_is_scheduler, "an address such as tcp://host:8786")] | None = None

    def verify(self, place: Place) -> None:
        """Start or join, not both."""
        if self.workers is not None and self.address is not None:
            raise (place / "workers").error("a scheduler that is joined has its own workers; delete this.")


@dataclass(frozen=True)
class Backend(Section):
    """Where trials run; exactly one key.

    Parameters
    ----------
    loky : mapping
        Processes on this machine.
    threading : mapping
        Threads of this process.
    dask : mapping
        A Dask cluster.
    ray : mapping
        A Ray cluster.
    """

    words: ClassVar[str] = "{loky: {n_jobs: 2}}, {dask: {workers: 2}} or {ray: {...}}"

    loky: Workers | None = None
    threading: Workers | None = None
    dask: Cluster | None = None
    ray: Cluster | None = None

    NAMES: ClassVar[tuple[str, ...]] = ("loky", "threading", "dask", "ray")

    def verify(self, place: Place) -> None:
        """Exactly one."""
        if sum(getattr(self, name) is not None for name in self.NAMES) != 1:
            raise place.error(f"the backend is one of {', '.join(self.NAMES)}; give exactly one.")


def _has_models(models: Any, place: Place) -> None:
    if not models:
        raise place.error("the list is empty; name at least one model, or write auto.")
    if len(models) > 500:
        raise place.error(f"{len(models)} models are more than a leaderboard shows; name at most 500.")


def _no_doubles(values: Any, place: Place) -> None:
    for i, value in enumerate(values):
        if value in values[:i]:
            raise (place / i).error(f"{value!r} stands here twice; delete one.")


# -- the whole --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Spec(Section):
    """What to fit, on what, and how to compare it.

    Parameters
    ----------
    title : str
        The title of the report.
    data : mapping
        Where the rows come from, and what the columns mean.
    test : float, mapping or "none"
        The part that is held out until the end: a fraction, {last: fraction}, a file, or none. Where the
        folds go forward in time (TimeSeriesSplit) the fraction is that of the last rows; where there are
        groups, whole groups are held out.
    task : {"auto", "classification", "regression"}
        What the target is; "auto" looks at it: numbers with more than 20 values or with fractions are
        a regression, everything else is a classification.
    steps : "auto" or list
        What comes before every model. "auto" gives each model what it needs: columns that it cannot
        read are imputed, scaled and one-hot coded; models that read categories and missing values get
        them as they are.
    models : "auto" or list
        The models: Name, Name: {parameter: value}, or {name: label, model: ..., steps: ..., search: ...}.
        "auto" are the zoo's methods that match the data.
    search : "none", "auto" or mapping
        How settings are found. Left out, models whose parameters hold ranges search these; "auto" also
        takes the ranges of the other models from their cards.
    cv : int, mapping or splitter
        Folds, or a splitter of scikit-learn by name.
    metrics : "auto" or list of str
        Scorers of scikit-learn; the first one ranks.
    seed : int
        Seed of the split, the folds, the search and every estimator that has none of its own.
    keep : list of {"report", "leaderboard", "predictions", "model"}
        What a run leaves behind.
    backend : str or mapping
        Where trials run.
    """

    words: ClassVar[str] = "a mapping"

    title: Annotated[str, Check(lambda s: len(s) <= 200, "at most 200 characters")] | None = None
    data: DataSource
    test: Annotated[float, Interval(0, 1, "neither")] | Literal["none"] | LastRows | TestData = 0.2
    task: Literal["auto", "classification", "regression"] = "auto"
    steps: Literal["auto"] | Steps = "auto"
    models: (
        Literal["auto"]
        | Annotated[tuple[Model | Contender, ...], Verify(_has_models, lambda: {"minItems": 1})]
    ) = "auto"
    search: Literal["none", "auto"] | Search | None = None
    cv: Annotated[int, Interval(2, 1000)] | Splitter | Folds = 5
    metrics: (
        Literal["auto"] | Annotated[tuple[Metric, ...], Verify(_no_doubles, lambda: {"uniqueItems": True})]
    ) = "auto"
    seed: Annotated[int, Interval(0, 2**32 - 1)] = 0
    keep: Annotated[
        tuple[Literal["report", "leaderboard", "predictions", "model"], ...],
        Verify(_no_doubles, lambda: {"uniqueItems": True}),
    ] = ("report", "leaderboard", "predictions", "model")
    backend: Literal["loky", "threading", "dask", "ray"] | Backend | None = None

    source: Source | None = field(default=None, compare=False, repr=False, metadata={"hidden": True})
    given: Any = field(default=None, compare=False, repr=False, metadata={"hidden": True})
    notes: tuple[str, ...] = field(default=(), compare=False, metadata={"hidden": True})

    def at(self, *path: Any) -> Place:
        """Return the place of a part of the spec, for errors that the data bring to light."""
        return Place(self.source or Source("spec", None), path)

    def load_data(self) -> Any:
        """Read the data, type the columns, check the target, hold rows out: `zoo.experiment.spec.Data`."""
        from zoo.experiment.spec.data import load

        return load(self)

    def candidates(self, data: Any) -> list[Candidate]:
        """Return the unfitted pipelines and the spaces to search, one a model."""
        from zoo.experiment.spec.objects import candidates

        return candidates(self, data)

    def plan(self, data: Any) -> Plan:
        """Return how the candidates are tried."""
        from zoo.experiment.spec.objects import plan

        return plan(self, data)

    def resolved(self, data: Any) -> "Spec":
        """Return this spec with every ``auto`` replaced by what was chosen for the data."""
        from zoo.experiment.spec.objects import resolved

        return resolved(self, data)
