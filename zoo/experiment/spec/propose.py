"""A first spec for data that were never seen before: look at the columns and say what was noticed."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.contract.params import did_you_mean
from zoo.experiment.spec.data import (
    MISSING,
    check_target,
    file_of,
    header_of,
    kind_of,
    read_table,
    separator_of,
)
from zoo.experiment.spec.forms import Place
from zoo.experiment.spec.grammar import Spec
from zoo.experiment.spec.names import Item
from zoo.experiment.spec.objects import models_of, resolved
from zoo.experiment.spec.reading import read
from zoo.experiment.spec.sets import DATASETS
from zoo.experiment.spec.text import Source, SpecError, write_text

__all__ = ["propose"]

ROWS = 200_000  # to look at
MARKS = ("?", "-", "--", ".", "*", "unknown", "Unknown", "UNKNOWN", "missing", "None", "none")
TARGETS = (
    "target", "label", "class", "y", "outcome", "response", "species", "diagnosis", "survived", "churn",
    "price", "quality",
)  # fmt: skip
GROUPS = re.compile(
    r"groups?|patient|subject|(group|patient|subject|person|user|customer|client|household|family|session|site)"
    r"[ _-]?(id|no|nr|number|key)",
    re.IGNORECASE,
)
IDENTIFIERS = re.compile(r"(.*[ _-])?(id|uuid|guid|key|index|row|rownum|no|nr)|Unnamed: \d+", re.IGNORECASE)
ALMOST = 0.95
FEW_ROWS = 200


@dataclass
class _Look:
    """What was noticed of one column, and what to do with it."""

    name: str
    kind: str
    missing: int
    unique: int
    drop: str = ""
    remark: str = ""


def propose(where: str | Path, target: str | None = None, *, folder: str | Path | None = None) -> str:
    """Write a commented spec for a file, a folder of pictures, or a data set of scikit-learn.

    Parameters
    ----------
    where : str or Path
        A csv, parquet or npz file, a folder of pictures, or a name such as load_iris.
    target : str, optional
        The column to predict; guessed from names, else the last one, and said.
    folder : str or Path, optional
        Where the spec will lie: the file is named relative to it. The working folder when left out.

    Returns
    -------
    text : str
        YAML that `zoo.experiment.spec.read` reads.

    Examples
    --------
    >>> from zoo.experiment.spec.propose import propose
    >>> print(propose("load_iris"))
    # scikit-learn: load_iris. 150 rows, 4 columns to learn from; 3 classes.
    # Change what is wrong, then: zoo run THIS_FILE
    title: iris
    data:
      sklearn: load_iris
    ...
    """
    name = str(where)
    if name in DATASETS:
        if target is not None:
            raise SpecError(f"spec: {name} has its own target; leave target={target!r} out.")
        return _write({"sklearn": name}, name.split("_", 1)[1], None, [])
    place = Place(Source(name, None))
    is_folder = Path(name).is_dir()
    file = file_of(name, None, place, is_folder=is_folder)
    # As the file itself sees it: an absolute path stays one where no relative one exists.
    relative = os.path.relpath(file.resolve(), Path(folder or ".").resolve())
    title = file.name.split(".")[0]
    suffixes = [s.lower() for s in file.suffixes]
    if is_folder:
        return _write({"images": relative}, title, folder, [])
    if ".npz" in suffixes:
        return _write({"npz": relative}, title, folder, [])
    if ".parquet" in suffixes or ".pq" in suffixes:
        return _propose_table("parquet", file, relative, title, target, folder, place)
    return _propose_table("csv", file, relative, title, target, folder, place)


def _propose_table(
    form: str, file: Path, relative: str, title: str, target: str | None, folder: Any, place: Place
) -> str:
    separator = None
    if form == "csv":
        separator = _separator(file, place)
    known, reader = read_table(form, file, separator, (), ROWS, place)
    if target is not None and target not in known:
        raise place.error(
            f"there is no column {target!r}; name one of {', '.join(known)}.{did_you_mean(target, known)}"
        )
    if len(known) < 2:
        raise place.error(f"there is one column, {known[0]!r}; give a table with a target and more.")
    frame = reader(known)
    if len(frame) < 4:
        raise place.error(f"there are {len(frame)} rows; give at least 4.")
    missing = _marks(frame)
    if missing:
        _, reader = read_table(form, file, separator, missing, ROWS, place)
        frame = reader(known)
    guessed = target is None
    target = target or _guess_target(frame)
    looks = [_look(frame, column, target) for column in known if column != target]
    groups = next((look.name for look in looks if _is_group(look, len(frame))), None)
    data: dict[str, Any] = {form: relative, "target": target}
    if groups is not None:
        data["groups"] = groups
    if missing:
        data["missing"] = missing
    if form == "csv" and separator not in (None, separator_of(file, None)):
        data["separator"] = separator
    drop = [look.name for look in looks if look.drop and look.name != groups]
    if drop:
        data["drop"] = drop
    if guessed:
        data["#target"] = "a guess: say which column to predict"
    return _write(data, title, folder, looks)


def _separator(file: Path, place: Place) -> str:
    """Return the separator that cuts the header into most names."""
    usual = separator_of(file, None)
    candidates = [usual, ";", "\t", "|"]
    widths = [len(header_of(file, s, place)) for s in candidates]
    return candidates[int(np.argmax(widths))]


def _marks(frame: Any) -> list[str]:
    """Find marks of missing values: words that stand among numbers, and question marks anywhere."""
    found = []
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind in "biufM":
            continue
        words = column.dropna().astype(str).str.strip()
        here = set(words.unique()) & set(MARKS)
        rest = words[~words.isin(list(MARKS))]
        numeric = len(rest) > 0 and rest.str.fullmatch(r"[-+]?\d*\.?\d+([eE][-+]?\d+)?").all()
        found += [mark for mark in here if (numeric or mark == "?") and mark not in MISSING]
    return sorted(set(found))


def _guess_target(frame: Any) -> str:
    """Return a column with a telling name, else the last one that could be a target."""
    known = list(frame.columns)
    named = [n for word in TARGETS for n in known if n.lower() == word]
    for name in [*named, *reversed(known)]:
        try:
            check_target(frame[name], "auto", Place(Source("", None)))
        except SpecError:
            continue
        return str(name)
    return str(known[-1])


def _look(frame: Any, name: str, target: str) -> _Look:
    column = frame[name]
    kind = kind_of(column)
    present = column.dropna()
    look = _Look(name, kind, int(column.isna().sum()), int(present.nunique()))
    n = len(frame)
    if look.unique == 0:
        look.drop = "has no value at all"
    elif look.unique == 1 and not look.missing:
        look.drop = "is the same in every row"
    elif look.unique == n and n >= FEW_ROWS and (IDENTIFIERS.fullmatch(name) or _counts(present)):
        look.drop = "numbers the rows"
    elif _equals_target(column, frame[target]):
        look.drop = f"says the same as {target}"
    elif kind == "text":
        look.remark = "free text or identifiers: dropped by steps: auto"
    else:
        share = _tells(column, frame[target])
        if share > ALMOST:
            look.remark = f"tells {target} in {share:.0%} of the rows alone: is it known beforehand?"
        elif look.missing and _tells(column.notna(), frame[target], where=column.notna()) > ALMOST:
            look.remark = f"{target} is nearly always the same where it has a value: is it known beforehand?"
    return look


def _counts(column: Any) -> bool:
    """Tell whether a column counts its rows."""
    return column.dtype.kind in "iu" and bool((np.diff(column.to_numpy()) == 1).all())


def _equals_target(column: Any, target: Any) -> bool:
    """Tell whether column and target say the same in other words, or as numbers in another unit."""
    import pandas as pd

    both = pd.DataFrame({"x": column, "y": target}).dropna()
    if len(both) < len(target) * 0.9 or both["y"].nunique() < 2:
        return False
    if both["x"].nunique() == both["y"].nunique() <= len(both) / 2:
        return bool(both.groupby("x", observed=True)["y"].nunique().max() == 1)
    if both["x"].dtype.kind in "iuf" and both["y"].dtype.kind in "iuf" and both["y"].nunique() > 2:
        return bool(abs(both["x"].corr(both["y"])) > 1 - 1e-9)
    return False


def _tells(column: Any, target: Any, where: Any = None) -> float:
    """Return the share of rows whose class the column tells alone, where that says more than no column.

    ``where`` are the rows that count.
    """
    import pandas as pd

    n = len(target)
    is_regression = kind_of(target) == "number" and target.nunique() > 20
    if is_regression or column.nunique(dropna=False) > n / 20:
        return 0.0
    both = pd.DataFrame({"x": column.astype(object).where(column.notna(), "(missing)"), "y": target}).dropna()
    most = float(both["y"].value_counts(normalize=True).max())
    if where is not None:
        both = both[where]
    if len(both) < 30:
        return 0.0
    table = pd.crosstab(both["x"], both["y"]).to_numpy()
    share = float(table.max(axis=1).sum() / len(both))
    return share if share - most > (1 - most) / 2 else 0.0


def _is_group(look: _Look, n: int) -> bool:
    return bool(
        GROUPS.fullmatch(look.name) and not look.missing and 10 <= look.unique <= n / 2 and not look.drop
    )


def _write(data: dict[str, Any], title: str, folder: Any, looks: list[_Look]) -> str:
    """Write the spec and the comments, and hold it against the reader."""
    remark = data.pop("#target", "")
    clean = re.sub(r"[^\w .,-]", " ", title).strip()[:100] or "experiment"
    # The part that is looked at; the spec itself reads all rows.
    rows = {} if {"npz", "images", "sklearn"} & set(data) else {"rows": ROWS}
    sketch = read({"data": {**data, **rows}, "models": "auto"}, data=str(folder or "."))
    found = replace(sketch, test="none").load_data()
    settled = resolved(sketch, replace(found))
    assert isinstance(settled, Spec)
    names = [m.model.name for m in models_of(settled)]
    own = "HistGradientBoosting" + ("Classifier" if found.task == "classification" else "Regressor")
    if found.image_shape is None:
        names.append(Item(own).name)
    what = f"{len(found.classes or ())} classes" if found.task == "classification" else "a number to predict"
    lines = [
        f"# {found.source}. {len(found.y)} rows{' looked at' if len(found.y) == ROWS else ''}, "
        f"{found.X.shape[1]} columns to learn from; {what}.",
        "# Change what is wrong, then: zoo run THIS_FILE",
        *_block({"title": clean}),
        "data:",
    ]
    reasons = {look.name: look.drop for look in looks}
    for key, value in data.items():
        if key == "drop":
            lines.append("  drop:")
            lines += [f"    - {_scalar(name)}  # {reasons[name]}" for name in value]
            continue
        comment = f"  # {remark}" if key == "target" and remark else ""
        comment = "  # rows of one group stay together in every split" if key == "groups" else comment
        lines += [f"  {line}{comment}" for line in _block({key: value})]
    lines += [f"  # {line}" for line in _table(looks)]
    lines += _block({"task": found.task})
    lines += _block({"test": 0.2}, "the part held out until the end")
    lines += _block({"steps": "auto"}, "each model gets what it needs: impute, scale, one-hot")
    lines += _block({"models": names})
    lines += ["# search: auto  # search the ranges of the models' cards (longer)", *_block({"cv": 5})]
    lines += _block({"metrics": list(settled.metrics)}, _why(found))
    text = "\n".join(lines) + "\n"
    read(text, data=str(folder or "."))  # what is proposed is accepted
    return text


def _why(data: Any) -> str:
    if data.task != "classification":
        return "the first one ranks"
    share = np.unique(data.y, return_counts=True)[1].min() / len(data.y)
    return f"the first one ranks; the rarest class has {share:.0%} of the rows"


def _block(plain: dict[str, Any], comment: str = "") -> list[str]:
    lines = write_text(plain).rstrip("\n").split("\n")
    return [lines[0] + (f"  # {comment}" if comment else ""), *lines[1:]]


def _scalar(word: str) -> str:
    return write_text({"x": word})[3:].rstrip("\n")


def _table(looks: list[_Look]) -> list[str]:
    """Describe every column on one line."""
    if not looks:
        return []
    width = min(30, max(len(_printable(look.name)) for look in looks))
    lines = ["columns:"]
    for look in looks[:200]:
        gaps = f", {look.missing} missing" if look.missing else ""
        end = f"; {look.remark or look.drop}" if look.remark or look.drop else ""
        lines.append(f"  {_printable(look.name):{width}}  {look.kind}, {look.unique} different{gaps}{end}")
    return lines + ([f"  ... and {len(looks) - 200} more"] if len(looks) > 200 else [])


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else " " for c in name)
