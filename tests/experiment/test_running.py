"""Experiments: what the folder holds, what is refused, and runs that are killed at any moment."""

import io
import json
import os
import signal
import sys
import time

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_diabetes, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, roc_auc_score
from sklearn.model_selection import cross_val_predict
from small_runs import FAST, SMALL

import zoo
from zoo import persist
from zoo.experiment import ExperimentError, compare, findings, outline, predict, run
from zoo.experiment.folder import FILES
from zoo.experiment.predicting import COMPILED
from zoo.search import Show

TIMES = ("fit_seconds", "predict_seconds", "seconds", "created", "environment")


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "fast"
    return run(FAST, folder, progress=False)


# -- the folder ------------------------------------------------------------------------------------


def test_the_folder_holds_everything_and_every_file_reads(done):
    assert {p.name for p in done.folder.iterdir() if not p.name.startswith(".")} == set(FILES)
    spec = yaml.safe_load((done.folder / "spec.yaml").read_text())
    assert spec["metrics"] == ["accuracy", "roc_auc"]
    assert json.loads((done.folder / "environment.json").read_text())["zoo"] == zoo.__version__
    assert json.loads((done.folder / "findings.json").read_text()) == done.findings
    table = pd.read_csv(done.folder / "leaderboard.csv")
    assert sorted(table["model"]) == ["bayes", "line", "tree"]
    assert {"accuracy", "accuracy_low", "accuracy_high", "test_accuracy"} <= set(table)
    page = (done.folder / "report.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert "Fast" in page


def test_the_kept_model_makes_the_kept_predictions(done):
    loaded = zoo.load(done.folder / "model.zoo", trusted=COMPILED)
    data = done.outcome  # fitted on its training rows
    assert data.best_name == done.findings["winner"]["model"]
    table = pd.read_csv(done.folder / "predictions.csv")
    X, y = make_classification(n_samples=150, n_features=5, random_state=1)
    X = pd.DataFrame(X, columns=done.findings["winner"]["features_in"])
    assert len(table) == done.findings["data"]["test_rows"] == 30
    assert table["actual"].isin(y).all()
    assert np.allclose(table.filter(like="probability").sum(axis=1), 1)
    assert (loaded.predict(X) == done.model.predict(X)).all()


def test_findings_are_what_scikit_learn_says(done):
    found = done.findings
    assert [row["rank"] for row in found["leaderboard"]] == [1, 2, 3]
    # Five, one and four: a search tries the model as it is beside its range.
    assert len(found["trials"]) == 10
    best = found["leaderboard"][0]
    assert best["scores"]["accuracy"]["low"] < best["scores"]["accuracy"]["mean"]
    told = pd.read_csv(done.folder / "predictions.csv")
    matrix = confusion_matrix(told["actual"], told["predicted"])
    assert found["confusion"] == {"classes": ["0", "1"], "matrix": matrix.tolist(), "where": "test"}
    area = roc_auc_score(told["actual"], told["probability_1"])
    assert found["roc"][0]["auc"] == pytest.approx(area)
    assert best["test"]["roc_auc"] == pytest.approx(area)
    assert sum(found["calibration"][0]["counts"]) == len(told)
    assert found["residuals"] is None
    assert len(found["importances"]) == 5
    curve = found["learning_curve"]
    assert curve["valid"][-1] == best["scores"]["accuracy"]["folds"]
    assert found["data"]["class_counts"].keys() == {"0", "1"}
    assert sum(found["data"]["class_counts"].values()) == 150
    assert found["card"]["name"] == best["method"]
    assert found["notes"] == []
    assert not found["interrupted"]


def test_the_text_for_loading_loads(done, monkeypatch):
    monkeypatch.chdir(done.folder)
    X, _ = make_classification(n_samples=150, n_features=5, random_state=1)
    names = {"X": pd.DataFrame(X, columns=done.findings["winner"]["features_in"])}
    exec(done.findings["load"], names)
    assert (names["model"].predict(names["X"]) == done.model.predict(names["X"])).all()


def test_without_a_test_part_the_winner_is_judged_out_of_fold(tmp_path):
    asked = {
        "data": {"sklearn": "load_iris"}, "test": "none", "models": ["sklearn.LogisticRegression"], "cv": 3,
    }  # fmt: skip
    found = run(asked, tmp_path / "a", progress=False).findings
    assert found["confusion"]["where"] == "out-of-fold"
    assert sum(map(sum, found["confusion"]["matrix"])) == 150
    assert found["leaderboard"][0]["test"] is None
    assert len(pd.read_csv(tmp_path / "a" / "predictions.csv")) == 150
    assert [curve["class"] for curve in found["roc"]] == found["data"]["classes"]


def test_regression_shows_residuals_and_a_neural_winner_its_losses(tmp_path):
    asked = {
        "data": {"sklearn": "load_diabetes"}, "models": [{"MLPRegressor": {"max_epochs": 5}}],
        "cv": 2, "keep": ["leaderboard"],
    }  # fmt: skip
    result = run(asked, tmp_path / "a", progress=False)
    found = result.findings
    n = found["data"]["test_rows"]
    assert len(found["residuals"]["predicted"]) == n
    assert found["confusion"] is found["roc"] is found["calibration"] is None
    assert len(found["loss_curves"][0]["train_loss"]) == 5
    assert found["card"]["equations"]
    assert {p.name for p in (tmp_path / "a").iterdir() if not p.name.startswith(".")} == {
        "spec.yaml", "environment.json", "journal.jsonl", "leaderboard.csv", "findings.json"
    }  # fmt: skip
    assert found["load"] is None


def test_data_from_python_and_nothing_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    result = zoo.run({"data": {}, "models": ["Ridge"], "cv": 2}, data=(X, y), progress=False)
    assert result.folder is None
    assert list(tmp_path.iterdir()) == []
    assert result.leaderboard.loc[1, "model"] == "Ridge"
    assert "Ridge" in result._repr_html_()


def test_outline_fits_nothing_and_names_what_would_be(monkeypatch):
    monkeypatch.setattr(LogisticRegression, "fit", lambda *_: pytest.fail("fitted"))
    text = outline(FAST)
    assert "line: 5 trials" in text
    assert "C: [0.01, 0.1, 1.0, 10.0]" in text
    assert "120 rows, 30 more held out" in text


# -- mixed columns: the model, new rows ------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    rng = np.random.RandomState(0)
    n = 120
    frame = pd.DataFrame(
        {
            "age": rng.randint(18, 80, n).astype(float), "fare": rng.exponential(20, n),
            "town": rng.choice(["Aix", "Brno", "Cork"], n), "sex": rng.choice(["f", "m"], n),
        }
    )  # fmt: skip
    frame["kept"] = np.where((frame["age"] > 45) ^ (frame["sex"] == "f"), "yes", "no")
    frame.loc[::7, "age"] = np.nan
    frame.loc[::11, "town"] = None
    frame.to_csv(folder / "rows.csv", index=False)
    return folder, frame


def slow(name):
    return pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "model",
    [
        "sklearn.LogisticRegression", "BoostingClassifier", slow("RandomForestClassifier"),
        slow("sklearn.RandomForestClassifier"), slow("SVC"),
    ],
)  # fmt: skip
def test_pipelines_over_mixed_columns_are_kept_and_predict_new_rows(mixed, tmp_path, model):
    folder, frame = mixed
    asked = {"data": {"csv": str(folder / "rows.csv"), "target": "kept"}, "models": [model], "cv": 2}
    result = run(asked, tmp_path / "a", progress=False)
    assert result.findings["notes"] == []
    table = predict(tmp_path / "a", folder / "rows.csv", tmp_path / "out.csv")
    pd.testing.assert_frame_equal(table, pd.read_csv(tmp_path / "out.csv"))
    X = frame.drop(columns="kept").astype({"town": "category", "sex": "category"})
    assert (table["predicted"] == result.model.predict(X)).all()
    if hasattr(result.model, "predict_proba"):
        np.testing.assert_allclose(table["probability_yes"], result.model.predict_proba(X)[:, 1])
    frame.drop(columns=["kept", "town"]).to_csv(tmp_path / "less.csv", index=False)
    with pytest.raises(ValueError, match="no column 'town'"):
        predict(tmp_path / "a", tmp_path / "less.csv")


def test_predict_says_what_is_missing(done, tmp_path):
    with pytest.raises(ExperimentError, match="there is no model"):
        predict(tmp_path, tmp_path / "rows.csv")
    alone = tmp_path / "alone.zoo"
    alone.write_bytes((done.folder / "model.zoo").read_bytes())
    X, _ = make_classification(n_samples=150, n_features=5, random_state=1)
    names = done.findings["winner"]["features_in"]
    pd.DataFrame(X, columns=names).to_csv(tmp_path / "rows.csv")
    expected = done.model.predict(pd.DataFrame(X, columns=names))
    assert (predict(alone, tmp_path / "rows.csv")["predicted"] == expected).all()
    pd.DataFrame(X[:, 1:], columns=names[1:]).to_csv(tmp_path / "less.csv")
    with pytest.raises(ExperimentError, match=f"no column '{names[0]}'"):
        predict(alone, tmp_path / "less.csv")


# -- going on, refusing ----------------------------------------------------------------------------


def test_running_again_fits_no_trial(done):
    before = (done.folder / "journal.jsonl").read_bytes()
    again = run(FAST | {"title": "Fast again"}, done.folder, progress=False)
    assert (done.folder / "journal.jsonl").read_bytes() == before
    assert without_times(again.findings)["leaderboard"] == without_times(done.findings)["leaderboard"]
    assert again.findings["title"] == "Fast again"


def test_another_spec_other_data_and_other_things_are_refused(mixed, tmp_path):
    folder, frame = mixed
    frame.to_csv(tmp_path / "rows.csv", index=False)
    asked = {"data": {"csv": str(tmp_path / "rows.csv"), "target": "kept"}, "models": ["GaussianNB"], "cv": 2}
    out = tmp_path / "out"
    run(asked, out, progress=False)
    with pytest.raises(ExperimentError, match=r"another spec \(they differ in cv\)"):
        run(asked | {"cv": 3}, out, progress=False)
    frame.iloc[:-1].to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ExperimentError, match="made from other data"):
        run(asked, out, progress=False)
    with pytest.raises(ExperimentError, match=r"holds rows\.csv and no experiment"):
        run(asked, folder, progress=False)
    fresh = run(asked, out, fresh=True, progress=False)
    assert fresh.findings["data"]["rows"] == 119
    assert len((out / "journal.jsonl").read_text().splitlines()) < 10


def test_a_failed_model_is_a_row_and_when_all_fail_there_is_a_page(tmp_path):
    # As many folds as there are rows of the class, but fewer neighbours than are asked for.
    asked = FAST | {
        "models": [{"KNeighborsClassifier": {"n_neighbors": 149}}, *SMALL["models"]], "search": "none",
    }  # fmt: skip
    found = run(asked, tmp_path / "a", progress=False).findings
    assert [row["status"] for row in found["leaderboard"]] == ["ok", "failed"]
    assert "ValueError: Expected n_neighbors" in found["leaderboard"][1]["error"]
    asked = asked | {"models": [{"KNeighborsClassifier": {"n_neighbors": 149}}]}
    result = run(asked, tmp_path / "b", progress=False)
    assert result.model is None
    assert result.findings["winner"] is None
    assert "Expected n_neighbors" in (tmp_path / "b" / "report.html").read_text()
    assert not (tmp_path / "b" / "model.zoo").exists()


def test_a_model_that_cannot_be_kept_is_a_note(tmp_path, monkeypatch):
    def refuse(*_):
        raise persist.ZooFileError("it holds a live thing.")

    monkeypatch.setattr(persist, "save", refuse)
    result = run(SMALL, tmp_path / "a", progress=False)
    assert "The model could not be kept: it holds a live thing." in result.findings["notes"]
    assert result.findings["winner"]["file"] is None
    assert (tmp_path / "a" / "report.html").exists()


def test_a_method_of_scikit_learn_that_cannot_be_kept_is_a_note_too(mixed, tmp_path):
    folder, _ = mixed
    asked = {
        "data": {"csv": str(folder / "rows.csv"), "target": "kept"}, "cv": 2,
        "models": ["HistGradientBoostingClassifier"],
    }  # fmt: skip
    result = run(asked, tmp_path / "a", progress=False)
    if result.findings["winner"]["file"] is None:
        assert any("The model could not be kept" in note for note in result.findings["notes"])
    assert result.findings["leaderboard"][0]["status"] == "ok"
    assert (tmp_path / "a" / "predictions.csv").exists()


def test_a_picture_that_cannot_be_had_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "permutation_importance", lambda *_, **__: 1 / 0)
    found = run(SMALL | {"keep": ["report"]}, tmp_path / "a", progress=False).findings
    assert found["importances"] is None
    assert found["notes"] == ["Importances could not be computed: ZeroDivisionError: division by zero"]
    assert found["confusion"] is not None


def test_interrupted_runs_say_so_and_go_on(tmp_path, done):
    class Stops(Show):
        n = 0

        def finished(self, trial, *, again):
            self.n += 1
            if self.n == 3:
                raise KeyboardInterrupt

    found = run(FAST, tmp_path / "a", progress=Stops()).findings
    assert found["interrupted"]
    assert len(found["trials"]) == 3
    assert "nterrupted" in (tmp_path / "a" / "report.html").read_text()
    assert {row["error"] for row in found["leaderboard"]} >= {"not run before the interruption"}
    again = run(FAST, tmp_path / "a", progress=False)
    assert without_times(again.findings) == without_times(run(FAST, tmp_path / "b", progress=False).findings)


def test_on_a_terminal_the_last_fit_of_a_network_shows_its_epochs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    models = [{"MLPClassifier": {"max_epochs": 2}}]
    asked = {"data": {"sklearn": "load_iris"}, "models": models, "cv": 2, "keep": []}
    result = run(asked, tmp_path / "a")
    assert "MLPClassifier - fit" in capsys.readouterr().out
    assert not hasattr(result.model[-1], "_skl_callbacks")


def test_pictures_have_no_columns_to_permute(tmp_path):
    from sklearn.datasets import load_digits

    X, y = load_digits(n_class=2, return_X_y=True)
    asked = {"data": {}, "models": ["LogisticRegression"], "cv": 2, "keep": []}
    found = run(asked, tmp_path / "a", data=(X.reshape(-1, 1, 8, 8), y), progress=False).findings
    assert found["importances"] is None
    assert found["notes"] == []
    assert found["leaderboard"][0]["status"] == "ok"


# -- side by side ----------------------------------------------------------------------------------


def test_compare_puts_runs_side_by_side(done, tmp_path):
    other = run(SMALL | {"keep": []}, tmp_path / "other", progress=False)
    table = compare([done.folder, other.folder])
    assert table.loc["bayes", ("accuracy", "fast")] == table.loc["bayes", ("accuracy", "other")]
    assert np.isnan(table.loc["tree", ("accuracy", "other")])
    assert list(table.columns.get_level_values("metric")) == ["accuracy"] * 2 + ["roc_auc"] * 2
    assert any("models" in sentence and "search" in sentence for sentence in table.attrs["differences"])
    with pytest.raises(ExperimentError, match="holds no finished run"):
        compare([tmp_path])


def test_weights_and_groups_are_used(tmp_path):
    rng = np.random.RandomState(0)
    n = 90
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "who": np.arange(n) // 3})
    frame["y"] = (frame["a"] + rng.normal(size=n) > 0).astype(int)
    frame["w"] = rng.uniform(0.5, 2, n)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    asked = {
        "data": {"csv": str(tmp_path / "rows.csv"), "target": "y", "weights": "w", "groups": "who"},
        "models": ["sklearn.LogisticRegression"], "test": "none", "cv": 3, "steps": [], "keep": [],
    }  # fmt: skip
    result = run(asked, tmp_path / "a", progress=False)
    folds = result.outcome._search.problem.folds
    for train, valid in folds:
        assert not set(frame["who"].iloc[train]) & set(frame["who"].iloc[valid])
    expected = cross_val_predict(
        LogisticRegression(), frame[["a", "b"]], frame["y"], cv=list(folds),
        params={"sample_weight": frame["w"]},
    )  # fmt: skip
    assert (result.outcome.out_of_fold("sklearn.LogisticRegression").predicted == expected).all()


# -- killed at any moment --------------------------------------------------------------------------


def child(folder, seconds=None):
    """Run the experiment in a child; kill it after some seconds; return its exit status."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sys.stdout = sys.stderr = io.StringIO()
            run(FAST, folder, progress=False)
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def keys_of(folder):
    """Return the keys of the complete lines of the journal, one for each time it was fitted."""
    path = folder / "journal.jsonl"
    text = path.read_bytes() if path.exists() else b""
    return [json.loads(line)["key"] for line in text.split(b"\n")[:-1] if b'"key"' in line]


def assert_whole(folder):
    """Every file but the journal is complete or absent."""
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name == "journal.jsonl":
            continue
        if path.suffix == ".json":
            assert json.loads(path.read_text()), path
        elif path.suffix == ".yaml":
            assert yaml.safe_load(path.read_text())["cv"]
        elif path.name == "leaderboard.csv":
            assert len(pd.read_csv(path)) == 3
        elif path.name == "predictions.csv":
            assert len(pd.read_csv(path)) == 30
        elif path.suffix == ".zoo":
            zoo.load(path, trusted=COMPILED)
        else:
            assert path.name == "report.html"
            assert path.read_text().rstrip().endswith("</html>")


def killed_and_resumed(times, seed, tmp_path, done):
    rng = np.random.RandomState(seed)
    # Once to the end, to know how long it takes in a child, with everything that is loaded late loaded.
    start = time.perf_counter()
    assert child(tmp_path / "whole") == 0
    whole = time.perf_counter() - start
    moments = []
    for i in range(times):
        folder = tmp_path / str(i)
        for _ in range(rng.randint(1, 4)):
            child(folder, rng.uniform(0, whole))
            if folder.exists():
                assert_whole(folder)
                moments.append(len(keys_of(folder)))
        finished = keys_of(folder) if folder.exists() else []
        assert child(folder) == 0
        assert_whole(folder)
        keys = keys_of(folder)
        assert keys[: len(finished)] == finished
        # No trial was fitted twice, and none that the whole run has is missing.
        assert len(set(keys)) == len(keys)
        assert set(keys) == set(keys_of(tmp_path / "whole"))
        assert {p.name for p in folder.iterdir() if not p.name.startswith(".")} == set(FILES)
        assert [p.name for p in folder.glob(".*")] == [".lock"]
        both = (folder, tmp_path / "whole")
        models = [zoo.load(f / "model.zoo", trusted=COMPILED) for f in both]
        probabilities = [m.predict_proba(done.outcome._search.problem.X) for m in models]
        np.testing.assert_array_equal(*probabilities)
        same = [json.loads((f / "findings.json").read_text()) for f in both]
        assert without_times(same[0]) == without_times(same[1])
        for name in ("predictions.csv", "spec.yaml"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    return moments


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_at_a_random_moment_goes_on(tmp_path, done):
    killed_and_resumed(3, 0, tmp_path, done)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fifty_runs_killed_at_random_moments_go_on(tmp_path, done):
    moments = killed_and_resumed(50, 1, tmp_path, done)
    # The kills fell before, between and after the trials.
    assert len(set(moments)) >= 6
