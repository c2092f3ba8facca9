import numpy as np
import pandas as pd
import pytest

from zoo.experiment.spec import SpecError, propose, read
from zoo.experiment.spec.text import read_text

RNG = np.random.default_rng(3)
N = 400


@pytest.fixture
def folder(tmp_path, monkeypatch):
    target = RNG.choice(["no", "yes"], N, p=[0.9, 0.1])
    frame = pd.DataFrame(
        {
            "id": np.arange(N) + 1000,
            "age": pd.Series(RNG.integers(18, 80, N)).astype(str).where(RNG.random(N) > 0.1, "?"),
            "city": RNG.choice(["Rome", "Oslo"], N),
            "same": "x",
            "comment": [f"comment {i}" for i in range(N)],
            "answer": np.where(target == "yes", 1, 0),
            "patient": np.arange(N) // 4,
            "hint": np.where(RNG.random(N) < 0.99, target, "no"),
            "gone": np.nan,
            "yes": RNG.normal(size=N),
            "outcome": target,
            "last": RNG.normal(size=N),
        }
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_sees_what_a_person_would_see(folder):
    text = propose("rows.csv")
    plain = read_text(text, "x").value
    data = plain["data"]
    assert data["target"] == "outcome"
    assert "target: outcome  # a guess" in text
    assert set(data["drop"]) == {"id", "same", "answer", "gone"}
    assert "- answer  # says the same as outcome" in text
    assert "- id  # numbers the rows" in text
    assert data["missing"] == ["?"]
    assert data["groups"] == "patient"
    assert "comment  text, 400 different; free text" in text
    assert "tells outcome in" in next(line for line in text.splitlines() if "hint " in line)
    assert plain["metrics"][0] == "balanced_accuracy"
    assert plain["task"] == "classification"
    assert {"BoostingClassifier", "LogisticRegression"} <= set(plain["models"])


def test_it_is_a_spec_that_runs(folder):
    text = propose("rows.csv", "outcome")
    assert "a guess" not in text
    spec = read(text)
    data = spec.load_data()
    candidates = {c.name: c for c in spec.candidates(data)}
    fitted = candidates["HistGradientBoostingClassifier"].estimator.fit(data.X, data.y)
    assert len(fitted.predict(data.X_test)) == len(data.y_test)


def test_the_path_is_relative_to_the_spec(folder):
    (folder / "deep").mkdir()
    text = propose("rows.csv", folder="deep")
    assert "csv: ../rows.csv" in text
    (folder / "deep" / "s.yaml").write_text(text)
    assert len(read(folder / "deep" / "s.yaml").load_data().y) > 300


@pytest.mark.parametrize("name", ["load_iris", "load_diabetes", "load_digits", "make_moons"])
def test_data_sets_by_name(name):
    spec = read(propose(name))
    assert spec.data.sklearn.name == name
    assert spec.task == ("regression" if "diabetes" in name else "classification")


def test_arrays_parquet_pictures_and_semicolons(folder):
    np.savez(folder / "a.npz", X=RNG.normal(size=(40, 3)), y=np.arange(40) % 2)
    assert read(propose("a.npz")).data.npz == "a.npz"
    frame = pd.read_csv(folder / "rows.csv")
    frame.to_parquet(folder / "rows.parquet")
    assert read(propose("rows.parquet", "outcome")).data.parquet == "rows.parquet"
    frame.to_csv(folder / "semi.csv", sep=";", index=False)
    assert read(propose("semi.csv", "outcome")).data.separator == ";"
    Image = pytest.importorskip("PIL.Image")
    for name in ("a", "b"):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(6):
            Image.new("L", (8, 8), 20 * i).save(folder / "pictures" / name / f"{i}.png")
    text = propose("pictures")
    assert "ConvNetClassifier" in text


@pytest.mark.parametrize("name", ["a: b", "#1", "yes", "- x", "1", "é", "{", "null", "a'b", 'q"q', " lead"])
def test_strange_names_of_columns_are_written_so_that_they_are_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({name: ["k"] * 30, "x": range(30), "t t": [0, 1] * 15}).to_csv("rows.csv", index=False)
    spec = read(propose("rows.csv", "t t"))
    assert spec.data.drop == (name,)
    assert spec.load_data().X.shape[1] == 1


@pytest.mark.parametrize(
    ("where", "target", "sentence"),
    [
        ("gone.csv", None, "does not exist"),
        ("rows.csv", "outcme", "no column 'outcme'.*Did you mean 'outcome'"),
        ("/dev/zero", None, "no regular file"),
        ("http://example.org/x.csv", None, "does not exist"),
        ("load_iris", "x", "has its own target"),
        ("rows.csv", "comment", "400 different values in 400 rows"),
    ],
)
def test_refusals(folder, where, target, sentence):
    with pytest.raises(SpecError, match=sentence):
        propose(where, target)
