"""Experiment: one folder made from one spec.

`run` reads a spec, loads its data, searches its candidates and writes what came out: the resolved
spec and the environment first, finished trials as they come, then predictions, the model, the
leaderboard, the findings and the page.
"""

import os
import sys
import time
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.callback import ProgressBar

from zoo import report
from zoo.contract.inputs import n_rows
from zoo.experiment.findings import Findings
from zoo.experiment.folder import JOURNAL, claim, environment, json_text, used, write
from zoo.experiment.spec import Spec, dump, read
from zoo.search import Outcome, Range, Show, count_trials, fingerprint
from zoo.search import run as run_search

__all__ = ["Result", "outline", "run"]


@dataclass
class Result:
    """What an experiment came to.

    Attributes
    ----------
    leaderboard : DataFrame
        A row a model, the best one first.
    model : estimator or None
        The winner, fitted on all training rows.
    findings : dict
        Everything that the page shows, as plain values.
    folder : Path or None
        Where the files are.
    outcome : zoo.search.Outcome
        The search, for whoever wants to know more.
    """

    leaderboard: pd.DataFrame
    model: Any
    findings: dict[str, Any]
    folder: Path | None
    outcome: Outcome = field(repr=False)

    def _repr_html_(self) -> str:
        page = self.folder / "report.html" if self.folder else None
        link = ""
        if page is not None and page.exists():
            link = f'<p>Report: <a href="{escape(page.as_posix())}">{escape(str(page))}</a></p>'
        return report.table_html(self.findings) + link


def run(
    spec: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    data: Any = None,
    fresh: bool = False,
    n_jobs: int | None = None,
    progress: bool | Show = True,
) -> Result:
    """Run an experiment: everything that a spec asks for, into one folder.

    A folder that holds the same experiment, stopped at any moment, is gone on with; one that was made
    from another spec or other data is refused.

    Parameters
    ----------
    spec : path, mapping, text or Spec
        What to fit; see `zoo.experiment.spec`.
    out : path, optional
        The folder; made if it is not there. None writes nothing.
    data : DataFrame or (X, y), optional
        The data, where the spec names none.
    fresh : bool, default=False
        Whether to forget what an earlier run left in the folder.
    n_jobs : int, optional
        Fits at a time, instead of what the spec says.
    progress : bool, default=True
        Whether stderr shows how far it is.

    Returns
    -------
    result : Result
        Its leaderboard, model, findings and folder.
    """
    asked = spec if isinstance(spec, Spec) else read(spec, data=data)
    loaded = asked.load_data()
    resolved = asked.resolved(loaded)
    if out is None:
        return _run(resolved, loaded, None, n_jobs, progress)
    folder = Path(out)
    mark = fingerprint(
        loaded.X, loaded.y, loaded.weights, loaded.groups, loaded.X_test, loaded.y_test, loaded.weights_test
    )
    with used(folder):
        claim(folder, resolved, mark, fresh=fresh)
        write(folder / "spec.yaml", dump(resolved))
        write(folder / "environment.json", json_text(environment() | {"data": mark}))
        return _run(resolved, loaded, folder, n_jobs, progress)


def outline(spec: Any, *, data: Any = None) -> str:
    """Say what a run would fit, without fitting it.

    Parameters
    ----------
    spec, data : as in `run`
        What to fit.
    """
    asked = spec if isinstance(spec, Spec) else read(spec, data=data)
    loaded = asked.load_data()
    resolved = asked.resolved(loaded)
    plan, candidates = resolved.plan(loaded), resolved.candidates(loaded)
    n_test = 0 if loaded.X_test is None else n_rows(loaded.X_test)
    lines = [
        f"{loaded.task} of {loaded.target} on {n_rows(loaded.X)} rows, {n_test} more held out; "
        f"{len(loaded.columns)} columns",
        f"folds: {plan.cv}; metrics: {', '.join(plan.metrics) or 'by task'}; search: {plan.kind}",
    ]
    for candidate in candidates:
        n = count_trials(candidate, plan)
        lines += ["", f"{candidate.name}: {n} trial{'s' if n > 1 else ''}"]
        lines += [f"    {line}" for line in repr(candidate.estimator).splitlines()]
        lines += [f"    {name}: {_space(values)}" for name, values in candidate.space.items()]
    return "\n".join(lines)


def _space(values: Any) -> str:
    if isinstance(values, Range):
        return f"{values.low:g} to {values.high:g}{', log' if values.log else ''}"
    return repr(values) if not hasattr(values, "rvs") else "a distribution"


def _run(spec: Spec, data: Any, folder: Path | None, n_jobs: int | None, progress: bool | Show) -> Result:
    begun = time.perf_counter()
    plan = spec.plan(data)
    if n_jobs is not None:
        plan = replace(plan, n_jobs=n_jobs)
    outcome = run_search(
        spec.candidates(data), data.X, data.y, plan=plan, groups=data.groups, sample_weight=data.weights,
        journal=None if folder is None else folder / JOURNAL, progress=progress,
    )  # fmt: skip
    watched = progress is True and sys.stdout.isatty() and sys.stderr.isatty()
    found = Findings(spec, data, outcome, [ProgressBar()] if watched else [])
    found.gather()
    if folder is not None:
        found.save(folder, set(spec.keep))
    findings = found.finish(time.perf_counter() - begun)
    if folder is not None:
        write(folder / "findings.json", json_text(findings))
        if "report" in spec.keep:
            report.write(findings, folder / "report.html")
    return Result(found.table, found.model, findings, folder, outcome)
