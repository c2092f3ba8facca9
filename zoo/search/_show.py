"""What is shown on stderr while a search runs."""

import math
import sys
from collections.abc import Sequence
from typing import Any

from zoo.search._journal import Trial
from zoo.search._plan import Candidate


class Show:
    """Says nothing."""

    def __enter__(self) -> "Show":
        return self

    def __exit__(self, *details: Any) -> None:
        return None

    def begin(self, candidates: Sequence[Candidate], counts: Sequence[int]) -> None:
        """Tell which candidates there are and how many trials each will have."""

    def finished(self, trial: Trial, *, again: bool) -> None:
        """Tell that a trial is there; ``again``: the journal knew it."""


class _Bars(Show):
    """A bar for each candidate, on a terminal."""

    def begin(self, candidates: Sequence[Candidate], counts: Sequence[int]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[best]}"), console=Console(stderr=True),
        )  # fmt: skip
        self._tasks = {
            c.name: self._progress.add_task(c.name, total=n, best="")
            for c, n in zip(candidates, counts, strict=True)
        }
        self._best: dict[str, float] = {}
        self._progress.start()

    def __exit__(self, *details: Any) -> None:
        if hasattr(self, "_progress"):
            self._progress.stop()

    def finished(self, trial: Trial, *, again: bool) -> None:
        task = self._tasks[trial.candidate]
        metric = next(iter(trial.scores))
        score = trial.mean(metric)
        if not math.isnan(score):
            self._best[trial.candidate] = max(score, self._best.get(trial.candidate, -math.inf))
        best = self._best.get(trial.candidate)
        text = (trial.error or "")[:60] if best is None else f"{metric} {best:.4f}"
        self._progress.update(task, advance=1, best=text)


class _Lines(Show):
    """A line on stderr when a candidate is done, where there is no terminal."""

    def begin(self, candidates: Sequence[Candidate], counts: Sequence[int]) -> None:
        self._left = {c.name: n for c, n in zip(candidates, counts, strict=True)}
        self._count = dict(self._left)

    def finished(self, trial: Trial, *, again: bool) -> None:
        self._left[trial.candidate] -= 1
        if self._left[trial.candidate] == 0:
            n = self._count[trial.candidate]
            print(f"{trial.candidate}: {n} trial{'s' if n > 1 else ''} done", file=sys.stderr, flush=True)


def show_for(progress: "bool | Show") -> Show:
    if isinstance(progress, Show):
        return progress
    if not progress:
        return Show()
    return _Bars() if sys.stderr.isatty() else _Lines()
