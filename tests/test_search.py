"""Search: scikit-learn's values on the same folds, and nothing lost whatever happens."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_iris, make_classification, make_regression
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import zoo
from zoo import search
from zoo.search import Candidate, Plan, Range, _workers, auto_space, fingerprint, leaderboard, run

ROOT = Path(__file__).resolve().parents[1]
X, Y = make_classification(n_samples=120, n_features=6, random_state=0)
LINE = make_pipeline(StandardScaler(), LogisticRegression())
SPACE = {"logisticregression__C": [0.01, 0.1, 1.0]}


def assert_same_results(ours, theirs):
    """Compare two cv_results_, times aside."""
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        if key == "params":
            assert ours[key] == value
        elif not key.endswith("_time"):
            np.testing.assert_array_equal(ours[key], value, err_msg=key)
            assert np.asarray(ours[key]).dtype == np.asarray(value).dtype, key


# -- what is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Plan(kind="gird"), "kind='gird' is not accepted; kind must be one of 'none', 'grid'"),
        (lambda: Plan(cv=1), "an integer >= 2 or a splitter"),
        (lambda: Plan(n_jobs=0), "an integer other than 0"),
        (lambda: Plan(metrics=("acuracy",)), "Did you mean 'accuracy'?"),
        (lambda: Plan(address="tcp://here:1"), "needs backend='dask' or 'ray'"),
        (lambda: Candidate("", zoo.Ridge()), "a name that is not empty"),
        (lambda: Candidate("a", zoo.Ridge), "is no estimator"),
        (lambda: Candidate("a", zoo.Ridge(), {"alhpa": [1]}), "Did you mean 'alpha'?"),
        (lambda: Candidate("a", zoo.Ridge(), {"alpha": 1.0}), "is no space; give a list"),
        (lambda: Candidate("a", zoo.Ridge(), {"alpha": []}), "is no space; give a list"),
        (lambda: Range(2, 1), "is no range"),
        (lambda: Range(0, 1, log=True), "has no place on a log scale"),
        (lambda: Range(0.5, 1.5, integer=True), "are no integers"),
        (lambda: run([], X, Y), "there is no candidate"),
        (lambda: run([Candidate("a", LINE), Candidate("a", LINE)], X, Y), "two candidates are called 'a'"),
        (lambda: run([Candidate("a", LINE), Candidate("b", zoo.Ridge())], X, Y), "share no metric"),
        (lambda: run([Candidate("a", LINE)], X, Y[:-1]), "y has 119 entries and X has 120 rows"),
        (
            lambda: run([Candidate("a", zoo.BoostingClassifier(), auto_space(zoo.BoostingClassifier()))],
                        X, Y, plan=Plan(kind="grid")),
            "settings and at most 10,000 are tried",
        ),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused_with_a_remedy(make, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        make()


def test_range_draws_evenly_and_on_a_log_scale():
    rng = np.random.RandomState(0)
    draws = Range(1e-3, 1e3, log=True).rvs(20_000, rng)
    assert scipy.stats.kstest(np.log10(draws) / 6 + 0.5, "uniform").pvalue > 1e-3
    counts = np.bincount(Range(1, 5, integer=True).rvs(20_000, rng), minlength=6)[1:]
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
    # On a log scale an integer k has the mass of [k - 1/2, k + 1/2].
    counts = np.bincount(Range(1, 5, log=True, integer=True).rvs(20_000, rng), minlength=6)[1:]
    edges = np.log(np.arange(1, 7) - 0.5)
    assert scipy.stats.chisquare(counts, 20_000 * np.diff(edges) / (edges[-1] - edges[0])).pvalue > 1e-3


def test_auto_space_reads_cards_and_leaves_what_was_given():
    space = auto_space(make_pipeline(StandardScaler(), zoo.BoostingClassifier(learning_rate=0.3)))
    assert space["boostingclassifier__n_estimators"] == Range(50, 1000, log=True, integer=True)
    assert "boostingclassifier__learning_rate" not in space
    # Off by default: its range does not hold 0.
    assert "boostingclassifier__reg_alpha" not in space
    with pytest.warns(UserWarning, match="has no card"):
        assert auto_space(LogisticRegression()) == {}


# -- scikit-learn's values -------------------------------------------------------------------------


@pytest.mark.parametrize("metrics", [("accuracy",), ("accuracy", "roc_auc", "neg_log_loss")])
def test_grid_equals_scikit_learn(metrics):
    space = SPACE | {"logisticregression__solver": ["lbfgs", "newton-cholesky"]}
    ours = run([Candidate("line", LINE, space)], X, Y, plan=Plan("grid", metrics=metrics, random_state=0))
    scoring = metrics[0] if len(metrics) == 1 else list(metrics)
    theirs = GridSearchCV(LINE, space, scoring=scoring, refit=metrics[0]).fit(X, Y)
    assert_same_results(ours.cv_results("line"), theirs.cv_results_)
    assert ours.best_params == theirs.best_params_
    np.testing.assert_array_equal(
        ours.best_estimator.predict_proba(X), theirs.best_estimator_.predict_proba(X)
    )


def test_random_equals_scikit_learn():
    space = {"logisticregression__C": scipy.stats.loguniform(1e-3, 1e3)}
    cv = StratifiedKFold(3, shuffle=True, random_state=4)
    ours = run(
        [Candidate("line", LINE, space)], X, Y,
        plan=Plan("random", n_iter=6, metrics=("f1",), cv=cv, random_state=7),
    )  # fmt: skip
    theirs = RandomizedSearchCV(LINE, space, n_iter=6, scoring="f1", cv=cv, random_state=7).fit(X, Y)
    assert_same_results(ours.cv_results("line"), theirs.cv_results_)


def test_regression_without_a_search_equals_cross_validate():
    A, b = make_regression(n_samples=80, n_features=4, noise=10.0, random_state=0)
    outcome = run([Candidate("ridge", SklearnRidge())], A, b)
    theirs = cross_validate(SklearnRidge(), A, b, scoring=["r2", "neg_root_mean_squared_error"])
    for metric in ("r2", "neg_root_mean_squared_error"):
        np.testing.assert_array_equal(
            outcome.best_trial("ridge").scores[metric], theirs[f"test_{metric}"]
        )


def test_a_failed_setting_is_ranked_as_scikit_learn_ranks_it():
    space = {"logisticregression__C": [-1.0, 0.1]}
    ours = run([Candidate("line", LINE, space)], X, Y, plan=Plan("grid", metrics=("accuracy",)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GridSearchCV(LINE, space, scoring="accuracy").fit(X, Y)
    assert_same_results(ours.cv_results("line"), theirs.cv_results_)


def test_out_of_fold_equals_cross_val_predict():
    A, b = load_iris(return_X_y=True)
    outcome = run([Candidate("line", LINE)], A, b)
    found = outcome.out_of_fold("line")
    np.testing.assert_array_equal(found.rows, np.arange(150))
    np.testing.assert_array_equal(found.predicted, cross_val_predict(LINE, A, b))
    np.testing.assert_array_equal(
        found.probabilities, cross_val_predict(LINE, A, b, method="predict_proba")
    )


def test_out_of_fold_has_no_probability_for_a_class_that_was_not_learned():
    A, b = np.arange(40.0)[:, None], np.repeat([0, 1, 2, 3], 10)
    cv = GroupKFold(2)  # learns two classes and is asked for the others
    outcome = run(
        [Candidate("knn", KNeighborsClassifier())], A, b, groups=b % 2,
        plan=Plan(cv=cv, metrics=("accuracy",)),
    )  # fmt: skip
    found = outcome.out_of_fold("knn")
    assert found.probabilities.shape == (40, 4)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert (found.probabilities[np.arange(40), b] == 0).all()


# -- folds, groups, weights, seeds -----------------------------------------------------------------


class Spy(ClassifierMixin, BaseEstimator):
    """Remembers in a folder what it was fitted on."""

    def __init__(self, folder=None, p=0, random_state=None):
        self.folder, self.p, self.random_state = folder, p, random_state

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        name = f"{os.getpid()}-{threading.get_ident()}-{time.perf_counter_ns()}.json"
        w = None if sample_weight is None else list(sample_weight)
        text = json.dumps({"p": self.p, "rows": list(X[:, 0]), "w": w, "seed": self.random_state})
        (Path(self.folder) / name).write_text(text)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    @staticmethod
    def seen(folder):
        return [json.loads(p.read_text()) for p in sorted(Path(folder).iterdir())]


def test_all_candidates_see_the_same_folds(tmp_path):
    rows = np.column_stack([np.arange(40.0), np.zeros(40)])
    y = np.tile([0, 1], 20)
    cv = ShuffleSplit(3)  # without a seed of its own
    run([Candidate(str(p), Spy(str(tmp_path), p)) for p in range(3)], rows, y, plan=Plan(cv=cv))
    folds = {p: sorted(s["rows"] for s in Spy.seen(tmp_path) if s["p"] == p) for p in range(3)}
    assert folds[0] == folds[1] == folds[2]
    assert len({tuple(f) for f in folds[0]}) == 3


def test_an_integer_cv_keeps_groups_together(tmp_path):
    rows = np.column_stack([np.arange(40.0), np.zeros(40)])
    groups = np.arange(40) // 4
    run([Candidate("a", Spy(str(tmp_path)))], rows, np.tile([0, 1], 20), groups=groups, plan=Plan(cv=5))
    for seen in Spy.seen(tmp_path):
        inside = {int(r) // 4 for r in seen["rows"]}
        assert len(seen["rows"]) == 4 * len(inside)


def test_weights_reach_fits_and_scores(tmp_path):
    rows = np.column_stack([np.arange(40.0), np.zeros(40)])
    w = np.arange(40.0) + 1
    y = (np.arange(40) % 4 == 0).astype(int)
    outcome = run(
        [Candidate("a", make_pipeline(Spy(str(tmp_path))))], rows, y, sample_weight=w,
        plan=Plan(cv=4, metrics=("accuracy",)),
    )  # fmt: skip
    for seen in Spy.seen(tmp_path):
        np.testing.assert_array_equal(np.array(seen["rows"]) + 1, seen["w"])
    scores = outcome.best_trial("a").scores["accuracy"]
    for (_, valid), score in zip(StratifiedKFold(4).split(rows, y), scores, strict=True):
        assert score == pytest.approx(np.average(y[valid] == 0, weights=w[valid]))


def test_weighted_steps_of_a_pipeline_equal_repeated_rows():
    w = np.random.RandomState(0).randint(1, 4, len(Y)).astype(float)
    model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10))
    weighted = search.fit(model, X, Y, w)
    coef = weighted[-1].coef_.copy()
    repeated = model.fit(np.repeat(X, w.astype(int), axis=0), np.repeat(Y, w.astype(int)))
    np.testing.assert_allclose(coef, repeated[-1].coef_, rtol=1e-5)


def test_a_model_that_takes_no_weights_is_a_failed_row():
    candidates = [Candidate("knn", KNeighborsClassifier()), Candidate("line", LINE)]
    outcome = run(candidates, X, Y, sample_weight=np.ones(len(Y)))
    table = outcome.leaderboard.set_index("model")
    assert "takes no sample weights" in table.loc["knn", "error"]
    assert table.loc["line", "status"] == "ok"


def test_estimators_without_a_seed_get_one_and_those_with_one_keep_it(tmp_path):
    rows = np.column_stack([np.arange(20.0), np.zeros(20)])
    y = np.tile([0, 1], 10)
    spies = Spy(str(tmp_path), 0), Spy(str(tmp_path), 1, random_state=5)
    candidates = [Candidate("a", spies[0]), Candidate("b", spies[1])]
    for _ in range(2):
        run(candidates, rows, y, plan=Plan(random_state=3))
    seeds = {p: {s["seed"] for s in Spy.seen(tmp_path) if s["p"] == p} for p in (0, 1)}
    assert seeds[1] == {5}
    assert len(seeds[0]) == 1
    assert None not in seeds[0]


@pytest.mark.parametrize("kind", ["random", "halving", "optuna"])
def test_results_do_not_depend_on_workers_or_on_order(kind):
    pytest.importorskip("optuna") if kind == "optuna" else None
    sgd = make_pipeline(StandardScaler(), SGDClassifier(max_iter=5, tol=None))
    space = {"sgdclassifier__alpha": Range(1e-6, 1.0, log=True)}
    a, b = Candidate("a", sgd, space), Candidate("b", LINE, SPACE)
    plan = Plan(kind, n_iter=6, cv=3, random_state=1)
    one = run([a, b], X, Y, plan=plan)
    two = run([b, a], X, Y, plan=replace(plan, n_jobs=2, backend="threading"))
    for name in "ab":
        assert_same_results(one.cv_results(name), two.cv_results(name))


# -- failures --------------------------------------------------------------------------------------


class Fails(ClassifierMixin, BaseEstimator):
    def __init__(self, how="raise", p=0):
        self.how, self.p = how, p

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if self.how == "raise":
            raise RuntimeError("this model\nalways fails")
        if self.how == "exit":
            sys.exit(3)
        if self.how == "warn":
            warnings.warn("mind the gap", UserWarning, stacklevel=2)
        if self.how == "kill" and self.p == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_a_failed_candidate_is_a_row(how):
    outcome = run([Candidate("bad", Fails(how)), Candidate("line", LINE)], X, Y)
    assert outcome.best_name == "line"
    row = outcome.leaderboard.set_index("model").loc["bad"]
    assert row["status"] == "failed"
    assert row["failed_trials"] == 1
    assert row["error"] == {"raise": "RuntimeError: this model", "exit": "SystemExit: 3"}[how]
    assert "in fit" in outcome.failures["bad"]
    with pytest.raises(ValueError, match=r"no trial of 'bad' succeeded"):
        outcome.best_trial("bad")


def test_when_all_fail_the_outcome_says_so():
    outcome = run([Candidate("bad", Fails())], X, Y)
    assert outcome.best_name is None
    with pytest.raises(ValueError, match="every candidate failed"):
        _ = outcome.best_estimator


def test_a_fold_that_fails_fails_its_trial():
    # The only row of class 2 cannot be in both parts, so one fold cannot score it.
    y = np.array([0, 1] * 10)

    outcome = run(
        [Candidate("dummy", DummyClassifier(strategy="constant"), {"constant": [0, 7]})], X[:20], y,
        plan=Plan("grid", metrics=("accuracy",)),
    )  # fmt: skip
    assert outcome.leaderboard.loc[1, "failed_trials"] == 1
    assert outcome.best_params == {"constant": 0}


def test_a_metric_that_cannot_be_computed_is_nan_and_said():
    plan = Plan(metrics=("accuracy", "roc_auc"), cv=3)
    outcome = run([Candidate("bad", Fails("warn"))], X, Y, plan=plan)
    row = outcome.leaderboard.loc[1]
    assert row["status"] == "ok"
    assert math.isnan(row["roc_auc"])
    said = outcome.warned()["bad"]
    assert said["UserWarning: mind the gap"] == 3
    assert any(text.startswith("UserWarning: roc_auc cannot be computed") for text in said)
    first = run([Candidate("bad", Fails("warn"))], X, Y, plan=Plan(metrics=("roc_auc", "accuracy")))
    assert "roc_auc, which ranks, cannot be computed" in first.leaderboard.loc[1, "error"]


def test_after_a_loss_suspects_run_alone_and_only_the_killer_is_blamed(monkeypatch):
    # Tasks run here; a pool "dies" when it reaches the trial with p=1, once more for no reason at first.
    begun, done = [], []

    def stream(self, work, problem, tasks):
        for task in tasks:
            begun.append((task.params.get("p"), len(tasks) == 1))
            if task.params.get("p") == 1 or len(begun) == 2:
                raise BrokenProcessPool("a child process terminated abruptly")
            done.append((task.params.get("p"), task.fold))
            yield work(problem, task)

    monkeypatch.setattr(_workers.Workers, "_stream", stream)
    candidates = [Candidate("kills", Fails(""), {"p": list(range(12))})]
    with pytest.warns(UserWarning, match="a worker was lost"):
        outcome = run(candidates, X, Y, plan=Plan("grid", metrics=("accuracy",), cv=2))
    assert sorted(done) == [(p, fold) for p in range(12) if p != 1 for fold in (0, 1)]
    assert begun.count((1, True)) == 2
    failed = outcome.trials[outcome.trials["error"].notna()]
    assert failed["params"].tolist() == [{"p": 1}]
    assert "was killed, 2 times out of 2" in failed["error"].item()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "dask"])
@pytest.mark.filterwarnings("ignore:a worker was lost")
def test_a_worker_that_is_killed_costs_one_trial(backend):
    pytest.importorskip("distributed") if backend == "dask" else None
    candidates = [Candidate("kills", Fails("kill"), {"p": [0, 1, 2]}), Candidate("dummy", DummyClassifier())]
    plan = Plan("grid", n_jobs=2, backend=backend, metrics=("accuracy",), cv=2)
    outcome = run(candidates, X, Y, plan=plan)
    table = outcome.leaderboard.set_index("model")
    assert table.loc["kills", "failed_trials"] == 1
    assert table.loc["dummy", "status"] == "ok"
    failed = outcome.trials[outcome.trials["error"].notna()]
    assert failed["params"].tolist() == [{"p": 1}]
    assert "was killed, 2 times out of 2" in failed["error"].item()


# -- the journal -----------------------------------------------------------------------------------


def count_of(folder):
    return len(list(Path(folder).iterdir()))


@pytest.fixture
def spied(tmp_path):
    folder = tmp_path / "fits"
    folder.mkdir()
    rows = np.column_stack([np.arange(40.0), np.zeros(40)])
    y = np.tile([0, 1], 20)

    def search_it(ps=(0, 1, 2), plan=None, rows=rows, y=y, **options):
        candidates = [Candidate("spy", Spy(str(folder)), {"p": list(ps)})]
        plan = plan or Plan("grid", cv=4, metrics=("accuracy",), random_state=0)
        return run(candidates, rows, y, plan=plan, journal=tmp_path / "journal.jsonl", **options)

    search_it.folder, search_it.journal = folder, tmp_path / "journal.jsonl"
    search_it.rows, search_it.y = rows, y
    return search_it


def test_what_the_journal_knows_is_not_fitted_again(spied):
    first = spied()
    assert count_of(spied.folder) == 12
    again = spied()
    assert count_of(spied.folder) == 12
    pd.testing.assert_frame_equal(first.leaderboard, again.leaderboard)
    pd.testing.assert_frame_equal(first.trials, again.trials)
    spied(ps=(0, 1, 2, 3))
    assert count_of(spied.folder) == 16


def test_other_data_folds_weights_metrics_or_seeds_are_never_mixed(spied):
    spied()
    n = 12
    for change in (
        {"rows": spied.rows + 1e-9},
        {"y": 1 - spied.y},
        {"sample_weight": np.ones(40)},
        {"plan": Plan("grid", cv=3, metrics=("accuracy",), random_state=0)},
        {"plan": Plan("grid", cv=4, metrics=("f1",), random_state=0)},
        {"plan": Plan("grid", cv=4, metrics=("accuracy",), random_state=1)},
    ):
        before = count_of(spied.folder)
        spied(**change)
        n += 9 if getattr(change.get("plan"), "cv", 4) == 3 else 12
        assert count_of(spied.folder) == n > before


def test_a_half_written_line_is_ignored_and_a_damaged_one_said(spied):
    whole = spied()
    lines = spied.journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4  # the head and three trials
    for cut in (1, len(lines[3]) // 2, len(lines[3]) - 1):
        spied.journal.write_bytes(b"".join(lines[:3]) + lines[3][:cut])
        before = count_of(spied.folder)
        again = spied()
        assert count_of(spied.folder) == before + 4
        assert spied.journal.read_bytes().count(b"\n") == 4
        pd.testing.assert_frame_equal(
            whole.leaderboard.drop(columns=["fit_seconds", "predict_seconds"]),
            again.leaderboard.drop(columns=["fit_seconds", "predict_seconds"]),
        )
    spied.journal.write_bytes(lines[0] + b"\x00\x00{]\n" + b"7\n" + b"".join(lines[2:]))
    before = count_of(spied.folder)
    with pytest.warns(UserWarning, match="2 damaged lines"):
        spied()
    assert count_of(spied.folder) == before + 4


def test_failed_trials_are_finished_trials(tmp_path):
    journal = tmp_path / "journal.jsonl"
    first = run([Candidate("bad", Fails())], X, Y, journal=journal)
    size = journal.stat().st_size
    again = run([Candidate("bad", Fails())], X, Y, journal=journal)
    assert journal.stat().st_size == size
    assert first.failures == again.failures
    assert json.loads(journal.read_text().splitlines()[0])["seed"] == first.seed == again.seed


@pytest.mark.parametrize("kind", ["random", "halving", "optuna"])
def test_every_kind_resumes_by_replaying(kind, tmp_path):
    pytest.importorskip("optuna") if kind == "optuna" else None
    journal = tmp_path / "journal.jsonl"
    candidates = [Candidate("line", LINE, {"logisticregression__C": Range(1e-4, 1e4, log=True)})]
    plan = Plan(kind, n_iter=9, cv=2, random_state=0, as_given=True)
    whole = run(candidates, X, Y, plan=plan, journal=journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]))
    resumed = run(candidates, X, Y, plan=plan, journal=journal)
    assert journal.read_bytes().splitlines()[:5] == [line.rstrip() for line in lines[:5]]
    assert journal.read_bytes().count(b"\n") == len(lines)
    assert_same_results(resumed.cv_results("line"), whole.cv_results("line"))
    assert whole.cv_results("line")["params"][0] == {}


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    class Stops(search.Show):
        def finished(self, trial, *, again):
            if trial.params == {"p": 1} and not again:
                raise KeyboardInterrupt

    candidates = [Candidate("dummy", Fails("", 0), {"p": [0, 1, 2]})]
    plan = Plan("grid", metrics=("accuracy",), random_state=0)
    outcome = run(candidates, X, Y, plan=plan, journal=tmp_path / "j", progress=Stops())
    assert outcome.interrupted
    assert [t["p"] for t in outcome.trials["params"]] == [0, 1]
    assert outcome.best_name == "dummy"
    assert not run(candidates, X, Y, plan=plan, journal=tmp_path / "j").interrupted


def test_fingerprints_tell_values_apart_and_are_the_same_in_another_process():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    values = [
        frame, frame.rename(columns={"a": "c"}), frame.assign(a=[1.0, 2.0]), frame.astype({"b": "category"}),
        np.arange(4), np.arange(4).reshape(2, 2), np.arange(4.0), np.array(["a", "b"], object), [1, 2],
        ["a", "b"], [[1], 2], LINE, LogisticRegression(C=2), StandardScaler(), np.log, {"a": 1},
        {"a": 1.0}, None,
    ]  # fmt: skip
    marks = [fingerprint(v) for v in values]
    assert len(set(marks)) == len(marks)
    assert fingerprint(frame.copy()) == marks[0]
    program = (
        "import numpy as np, pandas as pd; from zoo.search import fingerprint\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "print(fingerprint(pd.DataFrame({'a': [1, 2], 'b': ['x', None]})))\n"
        "print(fingerprint(np.array(['a', 'b'], object)))\n"
        "print(fingerprint(LogisticRegression(C=2)), fingerprint(np.log))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [marks[i] for i in (0, 7, 12, 14)]


# -- halving, optuna -------------------------------------------------------------------------------


def test_halving_gives_few_settings_many_rows(tmp_path):
    n = 270
    rows = np.column_stack([np.arange(float(n)), np.zeros(n)])
    y = np.tile([0, 0, 1], n // 3)
    run(
        [Candidate("a", Spy(str(tmp_path)), {"p": list(range(9))})], rows, y,
        plan=Plan("halving", n_iter=9, cv=3, random_state=0, metrics=("accuracy",)),
    )  # fmt: skip
    sizes = sorted(len(s["rows"]) for s in Spy.seen(tmp_path))
    # 180 training rows; 20 rows a class bound the first round from below.
    assert sizes == [60] * 27 + [180] * 9
    for seen in Spy.seen(tmp_path):
        labels = np.asarray(seen["rows"], int) % 3 == 2
        assert labels.mean() == pytest.approx(1 / 3, abs=0.02)


def test_optuna_finds_what_random_search_finds_later():
    pytest.importorskip("optuna")
    A, b = make_regression(n_samples=100, n_features=40, noise=30.0, random_state=1)
    space = {"alpha": Range(1e-6, 1e6, log=True)}
    fine = [Candidate("r", SklearnRidge(), {"alpha": list(np.geomspace(1e-6, 1e6, 60))})]
    best = run(fine, A, b, plan=Plan("grid")).leaderboard.loc[1, "r2"]
    plan = Plan("optuna", n_iter=30, random_state=0)
    found = run([Candidate("r", SklearnRidge(), space)], A, b, plan=plan)
    assert found.leaderboard.loc[1, "r2"] > best - 0.01
    lists = run(
        [Candidate("r", SklearnRidge(), {"alpha": [1.0, 10.0], "solver": ["svd", "cholesky"]})], A, b,
        plan=Plan("optuna", n_iter=5, random_state=0),
    )  # fmt: skip
    assert set(lists.best_params) == {"alpha", "solver"}


# -- what came out ---------------------------------------------------------------------------------


def test_interval_is_that_of_nadeau_and_bengio():
    scores = np.array([0.8, 0.9, 0.85, 0.7, 0.75])
    low, high = search.interval(scores, 80, 20)
    half = scipy.stats.t.ppf(0.975, 4) * scores.std(ddof=1) * np.sqrt(1 / 5 + 20 / 80)
    assert (low, high) == pytest.approx((0.8 - half, 0.8 + half))


def test_interval_covers_where_the_naive_one_does_not():
    # Random splits of small data sets, whose true score is known: that of a large test set.
    rng = np.random.RandomState(0)
    w = rng.normal(size=5)
    big = rng.normal(size=(20_000, 5))
    truth_y = (big @ w + rng.normal(size=20_000) > 0).astype(int)
    covered = naive = 0
    runs = 60
    for i in range(runs):
        A = rng.normal(size=(60, 5))
        b = (A @ w + rng.normal(size=60) > 0).astype(int)
        model = LogisticRegression()
        cv = ShuffleSplit(15, test_size=0.2, random_state=i)
        scores = cross_validate(model, A, b, cv=cv)["test_score"]
        truth = model.fit(A, b).score(big, truth_y)
        low, high = search.interval(scores, 48, 12)
        half = scipy.stats.t.ppf(0.975, 14) * scores.std(ddof=1) / np.sqrt(15)
        covered += low <= truth <= high
        naive += abs(scores.mean() - truth) <= half
    assert covered > 0.85 * runs
    assert covered > naive + 0.1 * runs


def test_learning_curve_and_held_out_scores_equal_scikit_learn():
    train, test = slice(0, 90), slice(90, None)
    outcome = run([Candidate("line", LINE)], X[train], Y[train], plan=Plan(cv=3))
    curve = outcome.learning_curve("line", (0.5, 1.0))
    assert curve["sizes"] == [30, 60]
    theirs = cross_validate(LINE, X[train], Y[train], cv=3, return_train_score=True)
    np.testing.assert_array_equal(curve["train"][1], theirs["train_score"])
    np.testing.assert_array_equal(curve["valid"][1], theirs["test_score"])
    trial = outcome.on_test(X[test], Y[test])["line"]
    assert trial.mean("accuracy") == LINE.fit(X[train], Y[train]).score(X[test], Y[test])


def test_progress_says_when_a_candidate_is_done(capsys):
    run([Candidate("line", LINE, SPACE)], X, Y, plan=Plan("grid"), progress=True)
    assert capsys.readouterr().err == "line: 3 trials done\n"


def test_progress_on_a_terminal_is_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    run([Candidate("line", LINE, SPACE)], X, Y, plan=Plan("grid"), progress=True)
    assert "3/3" in capsys.readouterr().err


# -- zoo.leaderboard -------------------------------------------------------------------------------


def test_leaderboard_takes_names_estimators_and_dicts():
    models = ["LogisticRegression", LogisticRegression(C=0.1), LINE]
    table = leaderboard(X, Y, models, cv=3, metrics="roc_auc", progress=False)
    name = "LogisticRegression"
    assert sorted(table["model"]) == [name, f"{name} (2)", f"{name} (3)"]
    assert table["roc_auc"].is_monotonic_decreasing
    assert list(table.index) == [1, 2, 3]
    table = leaderboard(X, Y, {"a": "sklearn.LogisticRegression", "b": LINE}, progress=False, cv=3)
    assert {"model", "accuracy", "accuracy_low", "accuracy_high", "fit_seconds", "error"} <= set(table)
    assert table.attrs["outcome"].best_name in ("a", "b")
    with pytest.raises(ValueError, match="Did you mean 'LogisticRegression'"):
        leaderboard(X, Y, ["LogisticRegresion"])


def test_leaderboard_searches():
    spaces = {"line": {"logisticregression__C": [0.1, 1.0]}}
    models = {"line": LINE, "dummy": DummyClassifier()}
    table = leaderboard(X, Y, models, search=spaces, progress=False, cv=3)
    assert table.set_index("model")["trials"].to_dict() == {"line": 2, "dummy": 1}
    table = leaderboard(X, Y, ["LogisticRegression"], search="auto", n_iter=3, progress=False, cv=3)
    assert table.loc[1, "trials"] == 3
    with pytest.raises(ValueError, match=r"no model 'lin'.*Did you mean 'line'"):
        leaderboard(X, Y, {"line": LINE}, search={"lin": {}})


@pytest.mark.slow
def test_leaderboard_proposes_models():
    A, b = load_breast_cancer(return_X_y=True)
    table = zoo.leaderboard(A, b, cv=3, progress=False)
    assert (table["status"] == "ok").all()
    assert len(table) >= 4
    assert table.loc[1, "accuracy"] > 0.95
    assert table["accuracy"].min() > 0.9


def test_proposals_fit_the_task():
    A, b = make_regression(n_samples=60, n_features=4, random_state=0)
    assert {"Ridge", "BoostingRegressor"} <= set(search.proposals(A, b))
    assert {"LogisticRegression", "BoostingClassifier"} <= set(search.proposals(X, Y))
    frame = pd.DataFrame({"a": [None, 1.0] * 30, "c": pd.Categorical(["x", "y", "z"] * 20)})
    assert set(search.proposals(frame, b)) == {"RandomForestRegressor", "BoostingRegressor"}


# -- other machines --------------------------------------------------------------------------------


@pytest.mark.slow
def test_dask_equals_one_process_and_survives_killed_workers(tmp_path):
    distributed = pytest.importorskip("distributed")
    sgd = make_pipeline(StandardScaler(), SGDClassifier(max_iter=200, tol=None))
    candidates = [
        Candidate("sgd", sgd, {"sgdclassifier__alpha": Range(1e-6, 1.0, log=True)}),
        Candidate("line", LINE, {"logisticregression__C": Range(1e-3, 1e3, log=True)}),
        Candidate("slow", Slow(), {"p": list(range(8))}),
    ]
    options = {"kind": "random", "n_iter": 8, "cv": 3, "random_state": 0}
    one = run(candidates[:2], X, Y, plan=Plan(**options))
    two = run(candidates[:2], X, Y, plan=Plan(**options, backend="dask", n_jobs=2))
    for name in ("sgd", "line"):
        assert_same_results(two.cv_results(name), one.cv_results(name))

    options["metrics"] = ("accuracy",)
    whole = run(candidates, X, Y, plan=Plan(**options))
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    )
    killed = []

    class Kills(search.Show):
        def finished(self, trial, *, again):
            if trial.candidate == "slow" and len(killed) < 2:
                worker = list(cluster.workers.values())[len(killed)]
                killed.append(worker.process.pid)
                os.kill(killed[-1], signal.SIGKILL)

    with cluster:
        plan = Plan(**options, backend="dask", address=cluster.scheduler_address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            shaken = run(candidates, X, Y, plan=plan, journal=tmp_path / "j", progress=Kills())
    assert len(killed) == 2
    for name in ("sgd", "line", "slow"):
        assert_same_results(shaken.cv_results(name), whole.cv_results(name))
    lines = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()[1:]]
    assert len({line["key"] for line in lines}) == len(lines) == 24


class Slow(ClassifierMixin, BaseEstimator):
    def __init__(self, p=0):
        self.p = p

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        time.sleep(0.2)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.slow
def test_ray_equals_one_process():
    pytest.importorskip("ray", reason="ray is not installed")
    candidates = [Candidate("line", LINE, {"logisticregression__C": Range(1e-3, 1e3, log=True)})]
    options = {"kind": "random", "n_iter": 6, "cv": 3, "random_state": 0}
    one = run(candidates, X, Y, plan=Plan(**options))
    two = run(candidates, X, Y, plan=Plan(**options, backend="ray", n_jobs=2))
    assert_same_results(two.cv_results("line"), one.cv_results("line"))


def test_a_backend_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'sklearn-zoo\[ray\]'"):
        run([Candidate("line", LINE)], X, Y, plan=Plan(backend="ray"))


@pytest.mark.slow
def test_interrupting_the_process_group_leaves_a_journal_that_resumes(tmp_path):
    program = textwrap.dedent(
        f"""
        import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
        from test_search import Slow, Candidate, Plan, run, X, Y
        plan = Plan("grid", cv=2, n_jobs=2, backend="loky", random_state=0, metrics=("accuracy",))
        slow = Candidate("slow", Slow(), {{"p": list(range(30))}})
        outcome = run([slow], X, Y, plan=plan, journal=sys.argv[1])
        print(outcome.interrupted, len(outcome.trials))
        """
    )
    journal = tmp_path / "j"
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(journal)], stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.time() + 60
    while time.time() < deadline and not (journal.exists() and journal.read_bytes().count(b"\n") > 3):
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    said, _ = child.communicate(timeout=60)
    interrupted, n = said.split()
    assert interrupted == "True"
    assert 3 <= int(n) < 30
    assert journal.read_bytes().count(b"\n") >= int(n) + 1
