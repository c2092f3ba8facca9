"""The registry: which methods there are, found on disk and kept in an index.

Nobody lists estimators by hand: ``python -m zoo.registry`` walks the families, reads every card and
writes ``zoo/index.json`` (read for listings, without importing a single class), ``zoo/kept.json`` (what files
may name beside estimators, and where it stands), ``zoo/__init__.pyi`` (the public names) and the
README's table. ``python -m zoo.registry linear`` reads one family anew. Tests compare all of them with
the modules on disk.
"""

import ast
import copy
import importlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
FAMILIES = (
    "linear", "svm", "trees", "mlp", "noprop", "vision", "sequence", "text", "recommend",
    "generative", "agents",
)  # fmt: skip
# Modules above the families that hold public estimators, such as "search.batched": searches, ensembles,
# whatever holds others. One that has no card is found by its name and listed nowhere.
ABOVE: tuple[str, ...] = ()
# Public names that are no estimators, by the module that defines them.
FUNCTIONS = {
    "persist": ("Checkpoint", "ZooFileError", "load", "save"),
    "registry": ("all_estimators", "card", "matching"),
    "search": ("leaderboard",),
    "experiment": ("run",),
}
# The place of the table of methods in the README.
TABLE_BEGINS, TABLE_ENDS = "|---|---|", "\n## The contract"
# Public modules.
MODULES = ("conformance",)


@cache
def _index() -> dict[str, dict[str, Any]]:
    """Return the rows of the index by name; whoever hands them on copies them."""
    rows = json.loads((ROOT / "index.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in rows}


def entries(
    role: str | None = None, input: str | None = None, capability: str | None = None
) -> list[dict[str, Any]]:
    """Return the index rows of the methods that fit; None fits all. Imports no method.

    Parameters
    ----------
    role : str, optional
        "Classifier", "Regressor", "Transformer", "Sampler", "Detector", "TextToText" or "Agent" (any
        case).
    input : str, optional
        "table", "images", "series", "text", "pairs" or "env".
    capability : str, optional
        Such as "sample_weight", "sparse", "missing_values", "partial_fit", "gpu", "likelihood".
    """
    rows = [copy.deepcopy(row) for row in _index().values() if row["input"] is not None]
    for key, wanted in (("roles", role), ("input", input), ("capabilities", capability)):
        if wanted is None:
            continue
        known = sorted({v for row in rows for v in _as_list(row[key])})
        match = [v for v in known if v.lower() == wanted.lower()]
        if not match:
            raise ValueError(
                f"{wanted!r} is none of the known values for "
                f"{key.removesuffix('s') if key == 'roles' else key}: {', '.join(known)}."
            )
        rows = [row for row in rows if match[0] in _as_list(row[key])]
    return rows


def _as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def names() -> list[str]:
    """Name every public estimator, those without a card too."""
    return list(_index())


def find(name: str) -> Any:
    """Return the estimator class of that name; nothing but the zoo's own classes."""
    rows = _index()
    if name not in rows:
        from zoo.contract.params import did_you_mean

        raise ValueError(
            f"the zoo has no method {name!r}.{did_you_mean(name, list(rows))} "
            "`zoo list` shows what there is."
        )
    return getattr(importlib.import_module(rows[name]["module"]), name)


@cache
def kept() -> dict[str, str]:
    """Return the module that defines what bears a key of `zoo.contract.kept`; imports none of them."""
    modules: dict[str, str] = json.loads((ROOT / "kept.json").read_text(encoding="utf-8"))
    return modules


@cache
def sklearn_estimators() -> dict[str, Any]:
    """Return scikit-learn's public estimators by name, as its own listing has them.

    Examples
    --------
    >>> from zoo.registry import sklearn_estimators
    >>> sklearn_estimators()["StandardScaler"].__module__
    'sklearn.preprocessing._data'
    """
    import warnings

    # Experimental estimators are listed where they are enabled; so every process has the same names.
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    from sklearn.utils import all_estimators as listing

    with warnings.catch_warnings():
        # Listing imports every module of scikit-learn, deprecated ones too.
        warnings.simplefilter("ignore", FutureWarning)
        return dict(listing())


def resolve(name: str) -> Any:
    """Return the class that a name means: the zoo's, else scikit-learn's; nothing else is looked up.

    Parameters
    ----------
    name : str
        Such as "Ridge"; "sklearn.Ridge" is scikit-learn's although the zoo has one of that name.

    Examples
    --------
    >>> from zoo.registry import resolve
    >>> resolve("Ridge").__module__, resolve("sklearn.Ridge").__module__
    ('zoo.linear.ridge', 'sklearn.linear_model._ridge')
    >>> resolve("StandardScalar")
    Traceback (most recent call last):
    ValueError: there is no estimator 'StandardScalar' in the zoo ... Did you mean 'StandardScaler'?
    """
    bare = name.removeprefix("sklearn.")
    zoo = _index()
    if bare == name and name in zoo:
        return find(name)
    if bare in sklearn_estimators():
        return sklearn_estimators()[bare]
    from zoo.contract.params import did_you_mean

    known = [*sorted(zoo), *sklearn_estimators()]
    raise ValueError(
        f"there is no estimator {name if len(name) < 60 else name[:57] + '...'!r} in the zoo or in "
        f"scikit-learn; name one that there is (`zoo list`).{did_you_mean(bare, known)}"
    )


def name_of(cls: type) -> str | None:
    """Return the name under which `resolve` finds a class; None for a class that it does not know.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from zoo.registry import name_of
    >>> name_of(Ridge)
    'sklearn.Ridge'
    """
    name = cls.__name__
    if cls.__module__.startswith("zoo."):
        return name if _index().get(name, {}).get("module") == cls.__module__ else None
    if sklearn_estimators().get(name) is not cls:
        return None
    return f"sklearn.{name}" if name in _index() else name


def all_estimators(
    role: str | None = None, input: str | None = None, capability: str | None = None
) -> list[tuple[str, Any]]:
    """Return (name, class) of the methods that fit, as scikit-learn's function of that name does.

    Parameters
    ----------
    role, input, capability : str, optional
        As in `entries`.

    Examples
    --------
    >>> from zoo import all_estimators
    >>> "Ridge" in dict(all_estimators(role="regressor", capability="sparse"))
    True
    """
    return [(row["name"], find(row["name"])) for row in entries(role, input, capability)]


def card(name: str) -> Any:
    """Return the card of a method.

    Examples
    --------
    >>> from zoo import card
    >>> card("Ridge").roles
    ('Regressor',)
    """
    cls = find(name)
    if _index()[name]["input"] is None:
        raise ValueError(f"{name} has no card: it is what it holds; help(zoo.{name}) says how it is used.")
    return cls.card()


def matching(X: Any, y: Any = None) -> list[str]:
    """Name the methods that could be fitted to this data as it is.

    Parameters
    ----------
    X : any input of the zoo
        Data.
    y : array-like, optional
        Targets; without them only methods that need none match.

    Examples
    --------
    >>> import numpy as np
    >>> from zoo import matching
    >>> X = np.arange(20.0).reshape(10, 2)
    >>> names = matching(X, np.sqrt(X.sum(axis=1)))
    >>> "Ridge" in names, "LogisticRegression" in names
    (True, False)
    """
    wanted, inputs = _needs(X), _inputs_of(X)
    roles = _roles_for(y)
    return [
        row["name"]
        for row in entries()
        if row["input"] in inputs
        and roles & set(row["roles"])
        and wanted <= set(row["capabilities"])
        and (getattr(y, "ndim", 1) < 2 or y.shape[1] == 1 or "multi_output" in row["capabilities"])
    ]


def _inputs_of(X: Any) -> set[str]:
    """Say which inputs the container of X can be."""
    import numpy as np

    if hasattr(X, "columns"):
        ids = X.shape[1] == 2 and all(dtype.kind in "iuO" for dtype in map(_numpy_dtype, X.dtypes))
        return {"table", "pairs"} if ids else {"table"}
    if hasattr(X, "tocsr"):
        return {"table"}
    if isinstance(X, list | tuple) or getattr(X, "dtype", None) == np.dtype(object):
        if len(X) and all(isinstance(document, str) for document in X):
            return {"text"}
        if len(X) and len({np.shape(row) for row in X}) > 1:
            return {"series"}
        X = np.asarray(X)
    if X.ndim == 4:
        return {"images"}
    if X.ndim == 3:
        return {"images", "series"}
    if X.ndim == 2:
        ids = X.shape[1] == 2 and X.dtype.kind in "iuOU"
        square = round(X.shape[1] ** 0.5) ** 2 == X.shape[1]
        return (
            ({"table", "series"} if X.dtype.kind in "iufb" else set())
            | ({"pairs"} if ids else set())
            | ({"images"} if square and X.dtype.kind in "iuf" else set())
        )
    return {"env"} if X.dtype.kind in "iu" else set()


def _numpy_dtype(dtype: Any) -> Any:
    import numpy as np

    return dtype if isinstance(dtype, np.dtype) else np.dtype(object)


def _needs(X: Any) -> set[str]:
    """Say which capabilities X asks for: sparse, missing values, categories."""
    import numpy as np

    if hasattr(X, "tocsr"):
        return {"sparse"}
    if hasattr(X, "columns"):
        strange = any(_numpy_dtype(d).kind not in "iufb" for d in X.dtypes)
        missing = bool(X.isna().to_numpy().any())
        return ({"categories"} if strange else set()) | ({"missing_values"} if missing else set())
    if getattr(X, "dtype", None) is not None and X.dtype.kind == "f" and X.ndim == 2:
        return {"missing_values"} if np.isnan(X).any() else set()
    return set()


def _roles_for(y: Any) -> set[str]:
    if y is None:
        return {"Transformer", "Sampler", "Detector", "Agent"}
    from sklearn.utils.multiclass import type_of_target

    kind = type_of_target(y)
    if kind in ("binary", "multiclass", "multilabel-indicator", "multiclass-multioutput"):
        import numpy as np

        numeric = np.asarray(y).dtype.kind in "iufb"
        return {"Classifier", "Regressor"} if numeric else {"Classifier", "TextToText"}
    return {"Regressor"} if kind.startswith("continuous") else set()


# -- building the index ---------------------------------------------------------------------------


def rooms() -> tuple[str, ...]:
    """Name the folders that hold public estimators."""
    return tuple(dict.fromkeys([*FAMILIES, *(module.partition(".")[0] for module in ABOVE)]))


def leaf_modules() -> Iterator[str]:
    """Name the modules of the families, in order, and those above them."""
    for family in FAMILIES:
        for path in sorted((ROOT / family).glob("*.py")):
            if not path.name.startswith("_"):
                yield f"zoo.{family}.{path.stem}"
    for module in ABOVE:
        yield f"zoo.{module}"


def leaves_of(module: str) -> list[Any]:
    """Return the estimators that a module defines."""
    from zoo.contract.estimator import Estimator

    above = module.removeprefix("zoo.") in ABOVE
    members = vars(importlib.import_module(module)).values()
    return [
        m
        for m in members
        if isinstance(m, type)
        and (issubclass(m, Estimator) or (above and hasattr(m, "fit") and hasattr(m, "get_params")))
        and m.__module__ == module
        and not getattr(m, "abstract", m.__name__.startswith("_"))
    ]


def rows_of(module: str) -> list[dict[str, Any]]:
    """Return the index rows of the estimators that a module defines."""
    return [_row(cls, module) for cls in leaves_of(module)]


def _row(cls: Any, module: str) -> dict[str, Any]:
    if not hasattr(cls, "card"):
        summary = " ".join((cls.__doc__ or "").strip().partition("\n\n")[0].split())
        return {
            "name": cls.__name__, "module": module, "roles": [], "input": None, "summary": summary,
            "capabilities": [],
        }  # fmt: skip
    card = cls.card()
    return {
        "name": card.name,
        "module": module,
        "roles": list(card.roles),
        "input": card.input,
        "summary": card.summary,
        "capabilities": list(card.capabilities),
    }


def decorated() -> dict[str, str]:
    """Return key and module of everything that says `@kept`, as the source has it."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "@kept(" not in text:
            continue
        module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(text)):
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "kept":
                    found[ast.literal_eval(mark.args[0])] = module
    return dict(sorted(found.items()))


def build(families: tuple[str, ...] | None = None) -> tuple[str, str]:
    """Return the text of the index and of the stub, as the modules on disk say.

    Only the named families, or rooms above them, are read anew; the rows of the others are taken from the
    index.
    """
    families = rooms() if families is None else families
    rows = [row for row in _index().values() if row["module"].split(".")[1] not in families]
    for module in leaf_modules():
        if module.split(".")[1] in families:
            rows += rows_of(module)
    rows.sort(key=lambda row: row["name"].lower())
    stub = ['"""The public names of the zoo; written by `python -m zoo.registry`."""', ""]
    public = [(row["module"].removeprefix("zoo."), row["name"]) for row in rows]
    public += [(module, name) for module, names in FUNCTIONS.items() for name in names]
    stub += [f"from .{module} import {name} as {name}" for module, name in sorted(public)]
    stub += [f"from . import {module} as {module}" for module in MODULES]
    stub += ["", "__version__: str", ""]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "\n".join(stub)


def table() -> str:
    """Return the methods of each family as the rows of a Markdown table."""
    rows = list(_index().values())
    lines = []
    for family in rooms():
        names = [row["name"] for row in rows if row["module"].split(".")[1] == family]
        if names:
            lines.append(f"| {family} | {', '.join(names)} |")
    return "\n".join(lines)


def write(families: tuple[str, ...] | None = None) -> None:
    """Write the index, the stub and the table of what files may name."""
    index, stub = build(families)
    (ROOT / "index.json").write_text(index, encoding="utf-8")
    _index.cache_clear()
    (ROOT / "__init__.pyi").write_text(stub, encoding="utf-8")
    (ROOT / "kept.json").write_text(json.dumps(decorated(), indent=1) + "\n", encoding="utf-8")
    readme = ROOT.parent / "README.md"
    if readme.exists():  # a checkout, not an installation
        head, rest = readme.read_text(encoding="utf-8").split(TABLE_BEGINS)
        _, tail = rest.split(TABLE_ENDS)
        text = f"{head}{TABLE_BEGINS}\n{table()}\n{TABLE_ENDS}{tail}"
        readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(tuple(sys.argv[1:]) or None)
