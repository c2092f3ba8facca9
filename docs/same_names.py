"""Compare the zoo's classes with scikit-learn's of the same name, parameter by parameter.

``python docs/same_names.py`` writes ``docs/guide/same_names.md`` from both signatures; a test keeps it
true, and asks for a reason where a name is absent, renamed or has another default.
"""

import inspect
from pathlib import Path
from typing import Any

from zoo.contract.params import fields_of
from zoo.registry import entries, find, sklearn_estimators

PAGE = Path(__file__).parent / "guide" / "same_names.md"

HEAD = """# The same names as scikit-learn

The zoo's classes that bear the name of one of scikit-learn's take its parameters by their names, with its
defaults. What differs is on this page, with the reason; it is written by `python docs/same_names.py` from
both signatures. A parameter that is "taken, without effect" is accepted so that calls written for
scikit-learn run: what it would change there does not exist here.
"""

# What a parameter is called here, by class (a prefix of its name) and name.
RENAMED = {
    ("MLP", "learning_rate_init"): "lr",
    ("MLP", "max_iter"): "max_epochs",
    ("MLP", "alpha"): "weight_decay",
    ("MLP", "solver"): "optimizer",
    ("MLP", "learning_rate"): "schedule",
}

# Why a default or a name differs, by class (a prefix of its name; "" is all) and name; the longest counts.
REASONS = {
    ("", "tol"): "a stop, not the model: solutions here agree to eight digits",
    ("", "max_iter"): "a budget, not the model",
    ("", "verbose"): "callbacks report, such as scikit-learn's ProgressBar",
    ("LogisticRegression", "solver"): "all reach the same optimum; \"auto\" takes what should cost least",
    ("MLP", "learning_rate_init"): "torch's word",
    ("MLP", "max_iter"): "skorch's word",
    ("MLP", "alpha"): "torch's word, and decoupled from the gradient's scale by AdamW",
    ("MLP", "solver"): "torch's word; there is no lbfgs",
    ("MLP", "learning_rate"): "a schedule has more forms than a word",
    ("MLP", "batch_size"): "\"auto\" is min(200, n), which 200 means too",
    ("MLP", "momentum"): "part of the optimizer: `optimizer` takes any of torch's",
    ("MLP", "nesterovs_momentum"): "part of the optimizer",
    ("MLP", "beta_1"): "part of the optimizer",
    ("MLP", "beta_2"): "part of the optimizer",
    ("MLP", "epsilon"): "part of the optimizer",
    ("MLP", "power_t"): "part of the schedule",
    ("MLP", "shuffle"): "batches are always drawn in a new order",
    ("MLP", "max_fun"): "there is no lbfgs",
    ("MLP", "loss"): "squared error; other losses are BoostingRegressor's",
    ("DecisionTree", "monotonic_cst"): "not there yet",
    ("RandomForest", "monotonic_cst"): "not there yet",
}


def reason(cls: str, name: str) -> str:
    """Why the parameter differs; an empty string where nobody has said so."""
    found = [(prefix, why) for (prefix, n), why in REASONS.items() if n == name and cls.startswith(prefix)]
    return max(found)[1] if found else ""


def renamed(cls: str, name: str) -> str:
    """What the parameter is called here, or an empty string."""
    return next((new for (prefix, n), new in RENAMED.items() if n == name and cls.startswith(prefix)), "")


def comparison(name: str) -> tuple[list[str], list[tuple[str, str, str, str]], list[str]]:
    """Return the names that are the same, rows (name, theirs, ours, why), and names that only we have."""
    ours = {field.name: field.default for field in fields_of(find(name)).values()}
    signature = inspect.signature(sklearn_estimators()[name].__init__)
    theirs = {n: p.default for n, p in signature.parameters.items() if n != "self"}
    same, rows = [], []
    for parameter, default in theirs.items():
        if parameter in ours and _equal(default, ours[parameter]):
            same.append(parameter)
            continue
        here = repr(ours[parameter]) if parameter in ours else "absent"
        new = renamed(name, parameter)
        here = f"{new}={ours[new]!r}" if new else here
        rows.append((parameter, repr(default), here, reason(name, parameter)))
    others = [n for n in ours if n not in theirs and n not in {renamed(name, p) for p in theirs}]
    return same, rows, others


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) or (a is b)


def shared_names() -> list[str]:
    """The names that both have."""
    return [row["name"] for row in entries() if row["name"] in sklearn_estimators()]


def page() -> str:
    """The page, as it should stand in the guide."""
    parts = [HEAD]
    for name in shared_names():
        same, rows, others = comparison(name)
        parts.append(f"\n## {name}\n\nThe same: {', '.join(f'`{n}`' for n in same)}.\n")
        if rows:
            parts.append("\n| parameter | scikit-learn | zoo | why |\n|---|---|---|---|\n")
            parts += [f"| `{n}` | `{theirs}` | `{here}` | {why} |\n" for n, theirs, here, why in rows]
        if others:
            parts.append(f"\nOnly here: {', '.join(f'`{n}`' for n in others)}.\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
