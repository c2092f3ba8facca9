"""The loop: candidates on one problem, each wish evaluated once."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.base import is_classifier
from sklearn.model_selection import (
    GroupKFold,
    StratifiedGroupKFold,
    check_cv,
)
from sklearn.utils.multiclass import type_of_target

from zoo import __version__
from zoo.contract.inputs import n_rows
from zoo.search._fingerprint import fingerprint
from zoo.search._fold import Problem, Task, work
from zoo.search._journal import BY_FOLD, Journal, Trial, Wish
from zoo.search._plan import Candidate, Plan
from zoo.search._settings import settings_of
from zoo.search._show import Show
from zoo.search._workers import Workers


class Engine:
    """Candidates on one problem; evaluates what is wished for, once."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        X: Any,
        y: Any,
        plan: Plan,
        groups: Any,
        weights: Any,
        journal: Path | None,
        show: "Show",
    ) -> None:
        self.candidates = tuple(candidates)
        self.plan, self.show = plan, show
        _check_names(self.candidates)
        y = None if y is None else np.asarray(y)
        weights = None if weights is None else np.asarray(weights, dtype=float)
        groups = None if groups is None else np.asarray(groups)
        for name, values in (("y", y), ("sample_weight", weights), ("groups", groups)):
            if values is not None and len(values) != n_rows(X):
                raise ValueError(
                    f"{name} has {len(values)} entries and X has {n_rows(X)} rows; give one for each row."
                )
        self.groups = groups
        self.classes = np.unique(y) if is_classifier(self.candidates[0].estimator) else None
        self.metrics = plan.metrics or default_metrics(self.classes, y)
        self.journal = Journal(journal, plan.random_state)
        seed = self.journal.seed
        assert seed is not None
        self.seed: int = seed
        self.splitter = _splitter(plan.cv, y, groups, self.classes is not None, self.seed)
        folds = tuple(
            (np.asarray(train), np.asarray(valid)) for train, valid in self.splitter.split(X, y, groups)
        )
        self.problem = Problem(
            tuple(c.estimator for c in self.candidates), X, y, weights, folds, self.metrics,
            self.classes, self.seed, watch_warnings=plan.backend != "threading",
        )  # fmt: skip
        self.identity = fingerprint(
            X, y, weights, [list(f) for f in folds], list(self.metrics), self.seed, __version__,
            sklearn.__version__,
        )  # fmt: skip

    def key(self, wish: Wish) -> str:
        estimator = self.candidates[wish.candidate].estimator
        return fingerprint(
            self.identity, estimator, dict(wish.params), float(wish.share), wish.train_scores
        )

    def evaluate(self, wishes: Sequence[Wish], workers: Workers) -> list[Trial]:
        """Return the trials in the order of the wishes; fit what the journal does not know."""
        keys = [self.key(wish) for wish in wishes]
        missing: dict[str, Wish] = {}
        for key, wish in zip(keys, wishes, strict=True):
            if self._known(key, wish):
                self.show.finished(self._trial(key, wish), again=True)
            else:
                missing.setdefault(key, wish)
        todo = list(missing.items())
        k = len(self.problem.folds)
        tasks = [
            Task(number, fold, wish.candidate, wish.params, wish.share, wish.train_scores)
            for number, (_, wish) in enumerate(todo)
            for fold in range(k)
        ]
        results: dict[int, dict[int, Any]] = {}
        stream = workers.run(work, self.problem, tasks)
        try:
            for task, result in stream:
                parts = results.setdefault(task.trial, {})
                parts[task.fold] = result
                if len(parts) == k:
                    key, wish = todo[task.trial]
                    self.journal.add(self._row(key, wish, [parts[i] for i in range(k)]))
                    self.show.finished(self._trial(key, wish), again=False)
                    del results[task.trial]
        finally:
            stream.close()  # type: ignore[attr-defined]
        return [self._trial(key, wish) for key, wish in zip(keys, wishes, strict=True)]

    def _known(self, key: str, wish: Wish) -> bool:
        n_folds = len(self.problem.folds)
        found = self.journal.find(key, self.metrics, n_folds, train_scores=wish.train_scores)
        return found is not None

    def _trial(self, key: str, wish: Wish) -> Trial:
        name = self.candidates[wish.candidate].name
        return Trial.from_row(self.journal.known[key], name, wish.params)

    def _row(self, key: str, wish: Wish, parts: list[dict[str, Any]]) -> dict[str, Any]:
        warned: dict[str, int] = {}
        for part in parts:
            for text, count in part["warnings"].items():
                warned[text] = warned.get(text, 0) + count
        failed = [part for part in parts if part["error"]]
        error = failed[0]["error"] if failed else None
        if 0 < len(failed) < len(parts):
            error = f"{error} (in {len(failed)} of {len(parts)} folds)"
        by_metric = {m: [part["scores"][m] for part in parts] for m in self.metrics}
        train = (
            {m: [part["train_scores"][m] for part in parts] for m in self.metrics}
            if wish.train_scores
            else None
        )
        return {
            "key": key, "candidate": self.candidates[wish.candidate].name, "params": dict(wish.params),
            "share": float(wish.share), "scores": by_metric, "train_scores": train,
            **{name: [part[name] for part in parts] for name in BY_FOLD},
            "error": error, "traceback": failed[0]["traceback"] if failed else None, "warnings": warned,
        }  # fmt: skip

    def search(self, workers: Workers, trials: list[list[Trial]]) -> None:
        """Run every candidate's settings, in rounds shared by all; `trials` fills as rounds end."""
        n_train = min(len(train) for train, _ in self.problem.folds)
        n_classes = 0 if self.classes is None else len(self.classes)
        sources = [settings_of(c, self.plan, self.seed, n_train, n_classes) for c in self.candidates]
        asked = dict(enumerate(next(source) for source in sources))
        while asked:
            wishes = [Wish(i, p, share) for i, settings in asked.items() for p, share in settings]
            try:
                found = iter(self.evaluate(wishes, workers))
            except KeyboardInterrupt:
                for wish in wishes:
                    if (key := self.key(wish)) in self.journal.known:
                        trials[wish.candidate].append(self._trial(key, wish))
                raise
            for i, settings in list(asked.items()):
                done = [next(found) for _ in settings]
                trials[i] += done
                try:
                    asked[i] = sources[i].send(done)
                except StopIteration:
                    del asked[i]


def _check_names(candidates: Sequence[Candidate]) -> None:
    if not candidates:
        raise ValueError("there is no candidate; give at least one model.")
    names = [c.name for c in candidates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two candidates are called {twice[0]!r}; give each a name of its own.")
    kinds = {is_classifier(c.estimator) for c in candidates}
    if len(kinds) > 1:
        classifiers = ", ".join(c.name for c in candidates if is_classifier(c.estimator))
        others = ", ".join(c.name for c in candidates if not is_classifier(c.estimator))
        raise ValueError(
            f"classifiers ({classifiers}) and others ({others}) share no metric; compare models of one kind."
        )


def default_metrics(classes: np.ndarray | None, y: Any) -> tuple[str, ...]:
    """Return the metrics that are used when none are named; the first one ranks."""
    if y is None:
        return ("score",)
    if classes is None:
        kind = type_of_target(y)
        numbers = kind.startswith("continuous") or kind in ("binary", "multiclass", "multiclass-multioutput")
        return ("r2", "neg_root_mean_squared_error") if numbers else ("score",)
    return ("accuracy", "roc_auc") if len(classes) == 2 else ("accuracy", "f1_macro")


def _splitter(cv: Any, y: Any, groups: Any, classifier: bool, seed: int) -> Any:
    """Return scikit-learn's splitter; a shuffling one without a seed gets one."""
    if isinstance(cv, int | np.integer) and groups is not None:
        # Rows of one group must not stand on both sides.
        return StratifiedGroupKFold(cv) if classifier else GroupKFold(cv)
    splitter = check_cv(cv, y, classifier=classifier)
    if hasattr(splitter, "random_state") and splitter.random_state is None:
        draws = getattr(splitter, "shuffle", True)
        if draws:
            splitter = copy.copy(splitter)
            splitter.random_state = seed
    return splitter
