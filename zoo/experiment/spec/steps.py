"""What a model needs before it: steps chosen for its abilities and the columns, and made of their names.

The rule of ``steps: auto``, for each model:

- A model that reads categories itself gets them; columns of more than 200 categories are replaced by the
  means of the target (TargetEncoder). Every other model gets categories one-hot coded, rare ones together.
- A model that cannot read missing values gets medians in their place, and a column that tells where.
- Trees, naive Bayes and dummies get numbers as they are, every other model gets them scaled.
- Dates are numbers of days. Free text and identifiers are dropped, and the resolved spec says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.experiment.spec.data import Data
from zoo.experiment.spec.forms import Place
from zoo.experiment.spec.grammar import SELECTORS, Columns
from zoo.experiment.spec.names import Item, domains_of
from zoo.registry import entries

__all__ = ["Needs", "auto_steps", "make_steps", "needs_of"]

MANY_CATEGORIES = 200
# scikit-learn's modules whose methods look at one value at a time, whatever its scale.
SCALE_FREE = (
    "sklearn.tree", "sklearn.ensemble._forest", "sklearn.ensemble._gb",
    "sklearn.ensemble._hist_gradient_boosting", "sklearn.ensemble._weight_boosting", "sklearn.dummy",
    "sklearn.naive_bayes",
)  # fmt: skip


@dataclass(frozen=True)
class Needs:
    """What a model reads without help, and whether scale matters to it."""

    reads_categories: bool
    reads_missing: bool
    wants_scale: bool
    input: str = "table"


def needs_of(item: Item) -> Needs:
    """Read from its card or its tags what a model needs.

    Examples
    --------
    >>> from zoo.experiment.spec.names import Item
    >>> needs_of(Item("HistGradientBoostingClassifier"))
    Needs(reads_categories=True, reads_missing=True, wants_scale=False, input='table')
    >>> needs_of(Item("Ridge")).wants_scale
    True
    """
    cls = item.cls
    if hasattr(cls, "card"):
        (row,) = (row for row in entries() if row["name"] == cls.__name__)
        can = row["capabilities"]
        scale_free = row["module"].startswith("zoo.trees.")
        return Needs("categories" in can, "missing_values" in can, not scale_free, row["input"])
    tags = item.make().__sklearn_tags__().input_tags
    # scikit-learn's tags do not tell it; the parameter does.
    reads_categories = "categorical_features" in domains_of(cls)
    return Needs(reads_categories, tags.allow_nan, not cls.__module__.startswith(SCALE_FREE))


def auto_steps(item: Item, data: Data) -> tuple[tuple[Item | Columns, ...], tuple[str, ...]]:
    """Choose the steps that a model needs on these columns; return them and what to tell."""
    needs = needs_of(item)
    if data.image_shape is not None and needs.input == "images":
        return (), ()
    if not hasattr(data.X, "columns"):
        return _for_array(needs, data.X), ()
    texts, categories = data.of_kind("text"), data.of_kind("category")
    kinds = {c["kind"] for c in data.columns}
    notes = (
        (f"dropped as free text or identifiers: {', '.join(texts)} (say otherwise under types or steps)",)
        if texts
        else ()
    )
    if kinds == {"text"}:
        return (), notes
    numeric = ("number", "date")
    missing = any(c["missing"] for c in data.columns if c["kind"] in numeric)
    numbers: list[Item] = []
    if missing and not needs.reads_missing:
        numbers.append(Item("SimpleImputer", {"strategy": "median", "add_indicator": True}))
    if needs.wants_scale:
        numbers.append(Item("StandardScaler"))
    if not categories and not texts:
        return tuple(numbers), notes
    parts: dict[str | tuple[str, ...], Any] = {}
    if needs.reads_categories:
        many = [c["name"] for c in data.columns if c["kind"] == "category" and c["unique"] > MANY_CATEGORIES]
        if many:
            parts[tuple(many)] = (Item("TargetEncoder"),)
        if texts:
            parts["text"] = "drop"
        if not parts:
            return (), notes
        return (Columns({**parts, "rest": "passthrough"}),), notes
    for selector, kind in SELECTORS.items():
        if kind in kinds:
            parts[selector] = {
                "number": tuple(numbers) or "passthrough",
                "date": tuple(numbers) or "passthrough",
                "category": (
                    Item(
                        "OneHotEncoder",
                        {
                            "handle_unknown": "infrequent_if_exist",
                            "min_frequency": 5,
                            "max_categories": 50,
                            "sparse_output": False,
                        },
                    ),
                ),
                "text": "drop",
            }[kind]
    return (Columns(parts),), notes


def _for_array(needs: Needs, X: Any) -> tuple[Item, ...]:
    if hasattr(X, "tocsr"):
        return (Item("MaxAbsScaler"),) if needs.wants_scale else ()
    steps: list[Item] = []
    import numpy as np

    if not needs.reads_missing and X.dtype.kind == "f" and np.isnan(X).any():
        steps.append(Item("SimpleImputer", {"strategy": "median", "add_indicator": True}))
    if needs.wants_scale:
        steps.append(Item("StandardScaler"))
    return tuple(steps)


# -- from names to objects --------------------------------------------------------------------------


def make_steps(
    steps: Sequence[Item | Columns], data: Data, seed: int, place: Place
) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    """Make the transformers of a pipeline; return them with their names, and what to search in them."""
    made: list[tuple[str, Any]] = []
    space: dict[str, Any] = {}
    for i, step in enumerate(steps):
        if isinstance(step, Columns):
            if i:
                raise (place / i).error(
                    "the columns have their names before the first step only; put it first."
                )
            transformer, inside = _column_transformer(step, data, seed, place / i / "columns")
            name = "columns"
        else:
            transformer, inside = step.make(seed), step.space()
            name = _new_name(step.cls.__name__.lower(), {n for n, _ in made})
        made.append((name, transformer))
        space |= {f"{name}__{key}": values for key, values in inside.items()}
    return made, space


def _new_name(name: str, taken: set[str]) -> str:
    n = 2
    new = name
    while new in taken:
        new, n = f"{name}{n}", n + 1
    return new


def _selected(step: Columns, data: Data, place: Place) -> list[tuple[str, list[str], Any]]:
    """Return (name, columns, steps) of every part that selects something."""
    if not data.columns:
        raise place.error("the data are an array, whose columns have no names; give a DataFrame.")
    by_name = set(step.names())
    left = [c["name"] for c in data.columns]
    for name in by_name:
        if name not in left:
            raise (place / name).error(
                f"the column {name!r} is not learned from (the target, weights, groups, or left out "
                "under data); delete it here."
            )
    chosen: list[tuple[str, list[str], Any]] = []
    taken: set[str] = set()
    for key, part in step.parts.items():
        if key == "rest":
            continue
        if isinstance(key, tuple):
            names = list(key)
        elif key in SELECTORS:
            names = [n for n in data.of_kind(SELECTORS[key]) if n not in by_name]
        else:
            names = [key]
        taken.update(names)
        if names:
            chosen.append((_new_name(_part_name(key), {c[0] for c in chosen}), names, part))
    others = [n for n in left if n not in taken]
    if others and "rest" not in step.parts:
        raise place.error(
            f"nothing is said of {', '.join(others[:8])}{', ...' if len(others) > 8 else ''}; add rest: "
            "drop, rest: passthrough or steps for them."
        )
    if others:
        chosen.append(("rest", others, step.parts["rest"]))
    return chosen


def _part_name(key: str | tuple[str, ...]) -> str:
    words = key if isinstance(key, str) else "_".join(key)
    clean = "".join(c if c.isalnum() else "_" for c in words)[:40]
    while "__" in clean:  # which separates a step from its parameter
        clean = clean.replace("__", "_")
    return clean.strip("_") or "part"


def _column_transformer(step: Columns, data: Data, seed: int, place: Place) -> tuple[Any, dict[str, Any]]:
    from sklearn.compose import ColumnTransformer

    kind = {c["name"]: c["kind"] for c in data.columns}
    transformers: list[tuple[str, Any, list[str]]] = []
    space: dict[str, Any] = {}
    keeps_types = False
    for name, names, part in _selected(step, data, place):
        if isinstance(part, str):
            transformers.append((name, part, names))
            keeps_types |= part == "passthrough" and any(kind[n] in ("category", "text") for n in names)
            continue
        made, inside = _chain(part if isinstance(part, tuple) else (part,), seed)
        # A text vectorizer reads one column, not a table of one.
        one = names[0] if kind[names[0]] == "text" and len(names) == 1 and _reads_documents(made) else names
        transformers.append((name, made, one))  # type: ignore[arg-type]
        space |= {f"{name}__{key}": values for key, values in inside.items()}
    transformer = ColumnTransformer(transformers, verbose_feature_names_out=False)
    if keeps_types:
        # Categories stay categories only in a DataFrame.
        transformer.set_output(transform="pandas")
    return transformer, space


def _reads_documents(made: Any) -> bool:
    first = made.steps[0][1] if hasattr(made, "steps") else made
    return not first.__sklearn_tags__().input_tags.two_d_array


def _chain(items: Sequence[Item], seed: int) -> tuple[Any, dict[str, Any]]:
    from sklearn.pipeline import Pipeline

    if not items:
        return "passthrough", {}
    if len(items) == 1:
        return items[0].make(seed), items[0].space()
    made: list[tuple[str, Any]] = []
    space: dict[str, Any] = {}
    for item in items:
        name = _new_name(item.cls.__name__.lower(), {n for n, _ in made})
        made.append((name, item.make(seed)))
        space |= {f"{name}__{key}": values for key, values in item.space().items()}
    return Pipeline(made), space


def ranges_in(steps: Sequence[Item | Columns]) -> bool:
    """Tell whether any step has a range to search."""
    items: list[Item] = []
    for step in steps:
        if isinstance(step, Item):
            items.append(step)
        else:
            for part in step.parts.values():
                items += [part] if isinstance(part, Item) else part if isinstance(part, tuple) else ()
    return any(item.space() for item in items)
