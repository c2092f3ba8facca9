"""The two functions that start a search."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import scipy.stats
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import type_of_target

from zoo import registry
from zoo.contract.inputs import n_rows
from zoo.contract.params import (
    ParameterError,
    did_you_mean,
)
from zoo.search._engine import Engine
from zoo.search._fold import last_step
from zoo.search._journal import Trial
from zoo.search._outcome import Outcome
from zoo.search._plan import Candidate, Plan, auto_space
from zoo.search._settings import count_trials
from zoo.search._show import Show, show_for
from zoo.search._workers import Workers


def run(
    candidates: Iterable[Candidate],
    X: Any,
    y: Any = None,
    *,
    plan: Plan | None = None,
    groups: Any = None,
    sample_weight: Any = None,
    journal: str | os.PathLike[str] | None = None,
    progress: bool | Show = False,
) -> Outcome:
    """Try every candidate on the same folds.

    A trial that fails is a row with its error. With a journal, trials are on disk as soon as they
    are finished, and a search that was stopped goes on where it was. Ctrl-C ends the search and
    keeps what is there: ``outcome.interrupted`` says so.

    Parameters
    ----------
    candidates : list of Candidate
        What to try.
    X, y : data
        Rows and targets, in any container that the estimators take.
    plan : Plan, optional
        How; `Plan()` when None.
    groups : array-like, optional
        Group of each row, for splitters that keep groups together; an integer cv keeps them too.
    sample_weight : array-like, optional
        Weights, in fits and in scores that take them.
    journal : path, optional
        Where finished trials are kept.
    progress : bool, default=False
        Whether stderr shows how far it is.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from zoo import LogisticRegression
    >>> from zoo.search import Candidate, Plan, run
    >>> X, y = load_iris(return_X_y=True)
    >>> candidate = Candidate("line", LogisticRegression(), {"C": [0.01, 1.0]})
    >>> run([candidate], X, y, plan=Plan(kind="grid")).best_params
    {'C': 1.0}
    """
    plan = Plan() if plan is None else plan
    show = show_for(progress)
    chosen = list(candidates)
    counts = [count_trials(c, plan) for c in chosen]
    path = None if journal is None else Path(journal)
    search = Engine(chosen, X, y, plan, groups, sample_weight, path, show)
    trials: list[list[Trial]] = [[] for _ in chosen]
    interrupted = False
    with show:
        show.begin(chosen, counts)
        try:
            with Workers(plan) as workers:
                search.search(workers, trials)
        except KeyboardInterrupt:
            interrupted = True
    return Outcome(search, trials, interrupted)


# Asked for when nobody names a model: one of each kind that is often best or often needed for comparison.
PROPOSED = (
    "LogisticRegression", "Ridge", "RandomForestClassifier", "RandomForestRegressor",
    "BoostingClassifier", "BoostingRegressor", "MLPClassifier", "MLPRegressor", "SVC", "SVR",
    "ConvNetClassifier", "ConvNetRegressor", "RNNClassifier", "RNNRegressor", "MatrixFactorization",
)  # fmt: skip
# Support vectors take time and memory that grow with the square of the rows.
ROWS_FOR_KERNELS = 10_000


def proposals(X: Any, y: Any) -> dict[str, Any]:
    """Return a few models of the zoo that can be fitted to this data as it is.

    Those that compare lengths of rows get standardised columns where X is a dense table.
    """
    labels = _has_labels(y)
    role = "Classifier" if labels else "Regressor"
    able = set(registry.matching(X, y))
    rows = {row["name"]: row for row in registry.entries() if row["name"] in able and role in row["roles"]}
    if n_rows(X) > ROWS_FOR_KERNELS:
        rows = {name: row for name, row in rows.items() if name not in ("SVC", "SVR")}
    names = [name for name in PROPOSED if name in rows] or list(rows)[:5]
    if len(names) > 2 and getattr(X, "ndim", 2) == 2:
        # Rows that are read as images or series only because their number of columns allows it.
        names = [name for name in names if rows[name]["input"] in ("table", "text")] or names
    if not names:
        raise ValueError(
            f"no {role.lower()} of the zoo takes this data as it is; encode or impute it first, or name "
            "models."
        )
    dense = getattr(X, "ndim", 0) == 2 and not scipy.sparse.issparse(X) and "categories" not in _needs_of(X)
    models: dict[str, Any] = {}
    for name in names:
        model = registry.find(name)()
        scaled = dense and rows[name]["input"] == "table" and ".trees." not in rows[name]["module"]
        models[name] = make_pipeline(StandardScaler(), model) if scaled else model
    return models


def _needs_of(X: Any) -> set[str]:
    strange = hasattr(X, "dtypes") and any(not pd.api.types.is_numeric_dtype(d) for d in X.dtypes)
    return {"categories"} if strange else set()


def _has_labels(y: Any) -> bool:
    """Tell whether y names classes: text, or few whole numbers, each several times."""
    y = np.asarray(y)
    if y.dtype.kind not in "iufb":
        return True
    kind = type_of_target(y)
    return kind == "binary" or (kind == "multiclass" and len(np.unique(y)) <= min(50, len(y) // 5))


def leaderboard(
    X: Any,
    y: Any,
    models: Any = None,
    cv: Any = 5,
    metrics: str | Sequence[str] | None = None,
    search: str | Mapping[str, Mapping[str, Any]] | None = None,
    *,
    n_iter: int = 20,
    groups: Any = None,
    sample_weight: Any = None,
    n_jobs: int | None = None,
    random_state: int | None = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Compare models on the same folds: a row a model, the best one first.

    Parameters
    ----------
    X, y : data
        Rows and targets, in any container that the models take.
    models : list or dict, optional
        Names (of the zoo, then of scikit-learn), estimators, or a dict from a label to either.
        None takes a few of those that `zoo.matching` names.
    cv : int or splitter, default=5
        Folds, as in scikit-learn; the same ones for every model.
    metrics : str or list of str, optional
        Scorers of scikit-learn; the first one ranks. None: accuracy, or R squared.
    search : {"auto", "grid", "random", "halving", "optuna"} or dict, optional
        None fits each model as it is. A name searches the ranges on the models' cards ("auto" is a
        random search that begins with the model as it is). A dict gives the space of each label: all
        combinations when it holds lists only, else drawn.
    n_iter : int, default=20
        Settings a model, where they are drawn.
    groups, sample_weight : array-like, optional
        Group and weight of each row; an integer cv keeps groups together.
    n_jobs : int, optional
        Fits at a time.
    random_state : int or None, default=0
        Seed of whatever is drawn.
    progress : bool, default=True
        Whether stderr shows how far it is.

    Returns
    -------
    table : DataFrame
        For each metric its mean over folds and the interval of that mean; seconds to fit and to predict
        one fold; the best parameters; the error of a model that failed. ``table.attrs["outcome"]`` is
        the `zoo.search.Outcome`.

    Examples
    --------
    >>> import zoo
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> table = zoo.leaderboard(X, y, ["LogisticRegression", "KNeighborsClassifier"], progress=False)
    >>> table[["model", "accuracy"]].round(2)
                         model  accuracy
    rank
    1       LogisticRegression      0.97
    2     KNeighborsClassifier      0.97
    """
    chosen = _named(proposals(X, y) if models is None else models)
    spaces = search if isinstance(search, Mapping) else {}
    strangers = [name for name in spaces if name not in chosen]
    if strangers:
        raise ParameterError(
            f"search: there is no model {strangers[0]!r}; there are {', '.join(chosen)}."
            f"{did_you_mean(strangers[0], list(chosen))}"
        )
    if isinstance(search, str):
        spaces = {name: auto_space(model) for name, model in chosen.items()}
        kind = "random" if search == "auto" else search
    else:
        drawn = any(hasattr(v, "rvs") for space in spaces.values() for v in space.values())
        kind = "none" if not spaces else ("random" if drawn else "grid")
    plan = Plan(
        kind=kind, n_iter=n_iter, as_given=search == "auto", cv=cv,  # type: ignore[arg-type]
        metrics=(metrics,) if isinstance(metrics, str) else tuple(metrics or ()),
        random_state=random_state, n_jobs=n_jobs,
    )  # fmt: skip
    candidates = [Candidate(name, model, spaces.get(name, {})) for name, model in chosen.items()]
    outcome = run(
        candidates, X, y, plan=plan, groups=groups, sample_weight=sample_weight, progress=progress
    )
    table = outcome.leaderboard.copy()
    table.attrs["outcome"] = _Attached(outcome)
    return table


class _Attached:
    """An outcome beside a table: not copied with it, and not compared."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def __deepcopy__(self, memo: Any) -> "_Attached":
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outcome, name)


def _named(models: Any) -> dict[str, Any]:
    """Return label -> estimator of whatever names models."""
    if isinstance(models, str) or hasattr(models, "get_params"):
        models = [models]
    if isinstance(models, Mapping):
        return {str(label): _made(model) for label, model in models.items()}
    found: dict[str, Any] = {}
    for given in models:
        model = _made(given)
        kind = type(last_step(model)).__name__
        label = given if isinstance(given, str) else kind
        count = sum(name == label or name.startswith(f"{label} (") for name in found)
        found[f"{label} ({count + 1})" if count else label] = model
    return found


def _made(model: Any) -> Any:
    if isinstance(model, str):
        model = registry.resolve(model)
    return model() if isinstance(model, type) else model
