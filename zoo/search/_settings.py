"""Where the settings of a candidate come from.

A generator yields lists of settings and is sent their trials. Resuming is replaying: it asks for the
same settings again, and what the journal knows is not fitted again. So no setting may depend on the
clock, on the number of workers or on the order in which they finish.
"""

import math
import warnings
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import (
    ParameterGrid,
    ParameterSampler,
)

from zoo.contract.params import (
    ParameterError,
)
from zoo.search._journal import Trial
from zoo.search._plan import Candidate, Plan, Range

# Settings are yielded in lists, and the trials of a list are sent back.
Settings = Generator[list[tuple[Mapping[str, Any], float]], list[Trial], None]


def _grid(space: Mapping[str, Any], n: int) -> dict[str, list[Any]]:
    """Return lists of values; a distribution gives n of its quantiles."""
    lists: dict[str, list[Any]] = {}
    for name, values in space.items():
        if isinstance(values, Range):
            lists[name] = list(values.grid(n))
        elif hasattr(values, "rvs"):
            # The ends of an unbounded distribution are infinite: the middles of n parts are not.
            ends = np.asarray(values.ppf([0.0, 1.0]), dtype=float)
            at = np.linspace(0, 1, n) if np.isfinite(ends).all() else (np.arange(n) + 0.5) / n
            lists[name] = [v.item() for v in np.unique(values.ppf(at))]
        else:
            lists[name] = list(values)
    return lists


GRID_LIMIT = 10_000


def count_trials(candidate: Candidate, plan: Plan) -> int:
    """Say how many trials a candidate will have."""
    if plan.kind == "none" or not candidate.space:
        return 1
    if plan.kind == "grid":
        sizes = [len(v) for v in _grid(candidate.space, plan.n_grid).values()]
        if math.prod(sizes) > GRID_LIMIT:
            raise ParameterError(
                f"{candidate.name}: its grid has {math.prod(sizes):,} settings and at most "
                f"{GRID_LIMIT:,} are tried; search fewer parameters, fewer points (n_grid) or with "
                "kind='random'."
            )
        return math.prod(sizes) + plan.as_given
    if plan.kind == "optuna":
        return plan.n_iter
    return plan.as_given + _drawn(candidate.space, plan.n_iter - plan.as_given)


def settings_of(candidate: Candidate, plan: Plan, seed: int, n_train: int, n_classes: int) -> Settings:
    """Yield the settings of one candidate."""
    given: list[Mapping[str, Any]] = [{}] if plan.as_given else []
    if plan.kind == "none" or not candidate.space:
        yield [({}, 1.0)]
    elif plan.kind == "grid":
        yield [(p, 1.0) for p in [*given, *ParameterGrid(_grid(candidate.space, plan.n_grid))]]
    elif plan.kind == "random":
        yield [(p, 1.0) for p in [*given, *_draws(candidate, plan.n_iter - len(given), seed)]]
    elif plan.kind == "halving":
        drawn = [*given, *_draws(candidate, plan.n_iter - len(given), seed)]
        yield from _halve(drawn, plan, n_train, n_classes)
    else:
        yield from _ask(candidate, plan, seed)


def _draws(candidate: Candidate, n: int, seed: int) -> list[Mapping[str, Any]]:
    space = dict(candidate.space)
    n = _drawn(space, n)
    return list(ParameterSampler(space, n, random_state=seed)) if n else []


def _drawn(space: Mapping[str, Any], n: int) -> int:
    """Say how many settings are drawn: lists are drawn from without putting back."""
    if any(hasattr(v, "rvs") for v in space.values()):
        return n
    return min(n, math.prod(len(v) for v in space.values()))


def _halve(drawn: list[Mapping[str, Any]], plan: Plan, n_rows: int, n_classes: int) -> Settings:
    """Try all settings on few rows, and the best ones on more and more, up to all of them."""
    # So many rounds that one setting is left, unless the first would have too few rows to say much.
    smallest = 20 * max(n_classes, 1)
    rounds = 0
    while plan.factor ** (rounds + 1) <= len(drawn) and n_rows / plan.factor ** (rounds + 1) >= smallest:
        rounds += 1
    alive = list(range(len(drawn)))
    for left in range(rounds, -1, -1):
        trials = yield [(drawn[i], plan.factor**-float(left)) for i in alive]
        if left:
            metric = next(iter(trials[0].scores))
            means = np.array([-math.inf if math.isnan(m := t.mean(metric)) else m for t in trials])
            best = np.argsort(-means, kind="stable")[: math.ceil(len(alive) / plan.factor)]
            alive = [alive[i] for i in sorted(best)]


# Settings that optuna proposes at a time: a constant, so that a search does not depend on the
# number of workers.
AT_A_TIME = 4


def _ask(candidate: Candidate, plan: Plan, seed: int) -> Settings:
    """Let optuna propose settings, a few at a time, each time knowing what came out."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "a search of kind 'optuna' needs optuna; install it with: pip install 'sklearn-zoo[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    done = 0
    if plan.as_given:
        yield [({}, 1.0)]
        done = 1
    while done < plan.n_iter:
        asked = [study.ask() for _ in range(min(AT_A_TIME, plan.n_iter - done))]
        trials = yield [
            ({name: _suggest(a, name, v) for name, v in candidate.space.items()}, 1.0) for a in asked
        ]
        for a, trial in zip(asked, trials, strict=True):
            score = trial.mean(next(iter(trial.scores)))
            if math.isnan(score):
                study.tell(a, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(a, score)
        done += len(asked)


def _suggest(asked: Any, name: str, values: Any) -> Any:
    if isinstance(values, Range):
        if values.integer:
            return asked.suggest_int(name, int(values.low), int(values.high), log=values.log)
        return asked.suggest_float(name, values.low, values.high, log=values.log)
    if hasattr(values, "rvs"):
        # Within the open interval: the ends of a distribution may be infinite.
        return np.asarray(values.ppf(asked.suggest_float(name, 1e-6, 1 - 1e-6))).item()
    return values[asked.suggest_categorical(name, list(range(len(values))))]
