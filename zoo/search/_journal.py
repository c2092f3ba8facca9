"""Finished trials, and the file that keeps them."""

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import __version__


class Journal:
    """Finished trials in a file: one line of JSON each, on disk before the next one begins.

    A line that was cut off by the end of a process is dropped; lines of other data or settings have
    other keys and are never looked up.
    """

    def __init__(self, path: Path | None, seed: int | None) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        self.seed: int | None = None
        self.damaged = 0
        end = self._read(path) if path is not None and path.exists() else 0
        # A search without a seed goes on with the one that was drawn when it began.
        self.seed = seed if seed is not None else self.seed
        if self.seed is None:
            self.seed = int(np.random.SeedSequence().generate_state(1)[0])
        if path is not None:
            with open(path, "ab") as file:
                file.truncate(end)
        if end == 0:
            self._write({"journal": 1, "zoo": __version__, "seed": self.seed})

    def _read(self, path: Path) -> int:
        end = 0
        with open(path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                try:
                    row = json.loads(line, parse_constant=_no_number)
                except (ValueError, RecursionError):
                    self.damaged += 1
                    continue
                if isinstance(row, dict) and "journal" in row and _is_seed(row.get("seed")):
                    self.seed = row["seed"]
                elif isinstance(row, dict) and _is_row(row):
                    self.known[row["key"]] = row
                else:
                    self.damaged += 1
        if self.damaged:
            self._warn(self.damaged)
        return end

    def _warn(self, damaged: int) -> None:
        warnings.warn(
            f"{self.path} has {damaged} damaged lines; those trials are run again.", UserWarning, stacklevel=5
        )

    def find(self, key: str, metrics: Sequence[str], n_folds: int, *, train_scores: bool) -> Any:
        """Return the line of a trial; None where there is none, or one that is not about these."""
        row = self.known.get(key)
        if row is None:
            return None
        about = [row["scores"], *([row["train_scores"]] if train_scores else [])]
        fits = all(scores is not None and list(scores) == list(metrics) for scores in about)
        if fits and all(len(row[name]) == n_folds for name in BY_FOLD):
            return row
        del self.known[key]
        self._warn(1)
        return None

    def add(self, row: dict[str, Any]) -> None:
        self.known[row["key"]] = row
        self._write(row)

    def _write(self, row: dict[str, Any]) -> None:
        if self.path is not None:
            with open(self.path, "ab") as file:
                file.write(json.dumps(plain(row), allow_nan=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _is_seed(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**32


def _is_row(row: dict[str, Any]) -> bool:
    """Tell whether a line is one that `Journal.add` has written."""
    n = len(row["n_train"]) if isinstance(row.get("n_train"), list) else 0

    def are_scores(scores: Any) -> bool:
        return isinstance(scores, dict) and all(
            isinstance(values, list) and len(values) == n and all(map(_is_score, values))
            for values in scores.values()
        )

    def is_text(value: Any) -> bool:
        return value is None or isinstance(value, str)

    return (
        isinstance(row.get("key"), str)
        and type(row.get("share")) in (int, float)
        and 0 < row["share"] <= 1
        and are_scores(row.get("scores"))
        and (row.get("train_scores", 0) is None or are_scores(row.get("train_scores")))
        and all(
            isinstance(row.get(name), list) and len(row[name]) == n > 0 and all(map(_is_number, row[name]))
            for name in BY_FOLD
        )
        and is_text(row.get("error", 0))
        and is_text(row.get("traceback", 0))
        and isinstance(row.get("warnings"), dict)
        and all(type(count) is int for count in row["warnings"].values())
    )


def _is_number(value: Any) -> bool:
    # A number that JSON reads as infinite was never written: `plain` makes text of it.
    return value is None or (type(value) in (int, float) and math.isfinite(value))


def _is_score(value: Any) -> bool:
    return _is_number(value) or value in ("inf", "-inf")


def plain(value: Any) -> Any:
    """Return what JSON can hold; numbers that are not finite become None or text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return " ".join(repr(value).split())


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


BY_FOLD = ("fit_seconds", "score_seconds", "n_train", "n_valid")


@dataclass(frozen=True)
class Trial:
    """One setting of one candidate over all folds, finished.

    ``share`` is the part of the training rows of each fold that was fitted on; ``error`` is None, or
    one line, with the end of the traceback beside it.
    """

    candidate: str
    params: Mapping[str, Any]
    share: float
    key: str
    scores: Mapping[str, np.ndarray]
    train_scores: Mapping[str, np.ndarray] | None
    fit_seconds: np.ndarray
    score_seconds: np.ndarray
    n_train: np.ndarray
    n_valid: np.ndarray
    error: str | None
    traceback: str | None
    warnings: Mapping[str, int]

    @classmethod
    def from_row(cls, row: Mapping[str, Any], candidate: str, params: Mapping[str, Any]) -> "Trial":
        """Make a trial of a line of the journal."""

        def arrays(scores: Any) -> Any:
            return scores and {m: np.array([_number(v) for v in s]) for m, s in scores.items()}

        times = {
            name: np.array([_number(v) for v in row[name]])
            for name in BY_FOLD
        }
        return cls(
            candidate=candidate, params=params, share=row["share"], key=row["key"],
            scores=arrays(row["scores"]), train_scores=arrays(row["train_scores"]),
            error=row["error"], traceback=row["traceback"], warnings=row["warnings"], **times,
        )  # fmt: skip

    def mean(self, metric: str) -> float:
        """Return the mean score over folds, nan when the trial failed."""
        return math.nan if self.error else float(np.mean(self.scores[metric]))


@dataclass(frozen=True)
class Wish:
    """A trial that is asked for."""

    candidate: int
    params: Mapping[str, Any]
    share: float = 1.0
    train_scores: bool = False
