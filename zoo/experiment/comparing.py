"""Several runs side by side, and what was not the same."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo.experiment.folder import ExperimentError, damaged, plain_spec, read_json


def compare(folders: Iterable[str | os.PathLike[str]]) -> pd.DataFrame:
    """Put the leaderboards of several runs side by side.

    Parameters
    ----------
    folders : paths
        Folders of runs.

    Returns
    -------
    table : DataFrame
        A row a model; for each folder the mean of each metric over folds. ``table.attrs["differences"]``
        says in sentences what was not the same.
    """
    paths = [Path(f) for f in folders]
    found = {}
    for path in paths:
        try:
            found[path] = read_json(path / "findings.json", "metrics", "leaderboard", "spec", "environment")
        except OSError as error:
            raise ExperimentError(
                f"{path} holds no finished run; run a spec with --out {path} first."
            ) from error
    labels = _labels(paths)
    columns: dict[tuple[str, str], dict[str, float | None]] = {}
    for path, findings in found.items():
        try:
            columns |= {(name, labels[path]): means for name, means in _means(findings)}
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(path / "findings.json", "its leaderboard cannot be read") from error
    order = list(dict.fromkeys(metric for metric, _ in columns))
    columns = {key: columns[key] for key in sorted(columns, key=lambda k: order.index(k[0]))}
    table = pd.DataFrame(columns, dtype=float)
    table.columns = pd.MultiIndex.from_tuples(list(columns), names=["metric", "run"])
    table.index.name = "model"
    table = table.iloc[np.argsort(-table.iloc[:, 0].to_numpy(), kind="stable")]
    table.attrs["differences"] = _differences(paths, labels, found)
    return table


def _means(findings: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Yield each metric with its mean for each model that has scores."""
    rows = [row for row in findings["leaderboard"] if row["scores"]]
    for metric in findings["metrics"]:
        name = str(metric["name"])
        yield name, {str(row["model"]): float(row["scores"][name]["mean"]) for row in rows}


def _labels(paths: list[Path]) -> dict[Path, str]:
    names = [p.resolve().name for p in paths]
    return {p: name if names.count(name) == 1 else str(p) for p, name in zip(paths, names, strict=True)}


def _differences(paths: list[Path], labels: Mapping[Path, str], found: Mapping[Path, Any]) -> list[str]:
    first = paths[0]
    specs, marks, versions = {}, {}, {}
    for path in paths:
        try:
            specs[path] = plain_spec(found[path]["spec"])
            versions[path] = str(found[path]["environment"]["zoo"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise damaged(path / "findings.json", "it does not say what was asked for") from error
        marks[path] = _mark(path)
    said = []
    for path in paths[1:]:
        pair = f"{labels[first]} and {labels[path]}"
        old, new = specs[first], specs[path]
        keys = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
        if keys:
            said.append(f"{pair} were asked for different things: {', '.join(keys)}.")
        if marks[first] != marks[path]:
            said.append(f"{pair} saw different data.")
        if versions[first] != versions[path]:
            said.append(f"{pair} were made by zoo {versions[first]} and {versions[path]}.")
    return said


def _mark(path: Path) -> Any:
    """Return the fingerprint of the data that a run saw."""
    try:
        return read_json(path / "environment.json", "data")["data"]
    except OSError as error:
        raise damaged(path / "environment.json", "it cannot be read") from error
