"""Reading and writing a whole spec."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.contract.params import did_you_mean
from zoo.experiment.spec.forms import Place
from zoo.experiment.spec.grammar import Spec
from zoo.experiment.spec.objects import check
from zoo.experiment.spec.text import LIMIT_BYTES, Source, SpecError, read_object, read_text, write_text

__all__ = ["dump", "read"]


def read(source: str | Path | Mapping[str, Any], *, data: Any = None) -> Spec:
    """Read a spec from a file, a dict, or YAML text, and check all that can be known without its data.

    Parameters
    ----------
    source : str, Path or dict
        A file (YAML or JSON), the same as a dict, or YAML text of more than one line.
    data : str, Path, DataFrame or (X, y), optional
        The data, where the spec does not name them; or the folder in which it should look for its
        files, in place of its own.

    Returns
    -------
    spec : Spec
        What was asked.

    Examples
    --------
    >>> from zoo.experiment.spec import read
    >>> spec = read({"data": {"sklearn": "load_iris"}, "models": [{"SVC": {"C": 10}}], "cv": 3})
    >>> spec.models[0].params, spec.test
    ({'C': 10}, 0.2)
    >>> read({"data": {"sklearn": "load_iris"}, "models": [{"SVC": {"C": -1}}]})
    Traceback (most recent call last):
    zoo.experiment.spec.text.SpecError: spec: models[0].SVC.C: -1 is not accepted; give a number > 0.
    """
    found = _read_source(source)
    given = _given(data)
    if not isinstance(found.value, Mapping):
        raise found.error((), f"a spec is a mapping with the keys {Spec.keys()}; `zoo new DATA` writes one.")
    if given is not None and not isinstance(given, Path) and "data" not in found.value:
        found.value = {"data": {}, **found.value}
    from dataclasses import replace

    spec = replace(Spec.read(found.value, Place(found)), source=found, given=given)
    check(spec)
    return spec


def _given(data: Any) -> Any:
    if isinstance(data, str | Path):
        if not Path(data).is_dir():
            raise SpecError(f"data={str(data)!r} is no folder; give the folder in which the files lie.")
        return Path(data)
    if isinstance(data, list) or (isinstance(data, tuple) and len(data) != 2):
        raise SpecError(f"data= got {len(data)} parts; give a DataFrame, (X, y), or a folder.")
    return data


def _read_source(source: Any) -> Source:
    if isinstance(source, Mapping):
        return read_object(source)
    if isinstance(source, str) and "\n" in source:
        return read_text(source, "spec")
    if not isinstance(source, str | Path):
        raise SpecError(f"{type(source).__name__} is not accepted; give a file, a dict or YAML text.")
    path = Path(source)
    try:
        # A pipe would wait for ever, a device would never end.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise SpecError(f"{str(source)!r} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; "
                            "give a spec file.")  # fmt: skip
        with path.open("rb") as file:
            text = file.read(LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        folder = path.parent if os.path.isdir(path.parent) else None
        known = [p.name for p, _ in zip(folder.glob("*.y*ml"), range(1000), strict=False)] if folder else []
        raise SpecError(
            f"{str(source)!r} cannot be read ({getattr(error, 'strerror', None) or error}); give a spec file."
            f"{did_you_mean(path.name, known)}"
        ) from None
    return read_text(text, path.name, path.resolve().parent)


def dump(spec: Spec) -> str:
    """Write a spec as YAML: the keys that differ from their defaults; notes are comments at the top.

    Examples
    --------
    >>> from zoo.experiment.spec import dump, read
    >>> print(dump(read({"models": ["Ridge"], "cv": 3, "data": {"sklearn": "load_diabetes"}})), end="")
    data:
      sklearn: load_diabetes
    models: [Ridge]
    cv: 3
    """
    notes = "".join(f"# {note}\n" for note in spec.notes)
    return notes + write_text(spec.plain())
