import gzip
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from zoo.experiment.spec import SpecError, dump, read, read_rows
from zoo.experiment.spec.data import as_kind, kind_of
from zoo.experiment.spec.forms import Place
from zoo.experiment.spec.text import read_object

ROWS = """age,city,when,note,flag,w,who,y
31,Rome,2024-01-31,n1,True,1,a,yes
25,Oslo,2024-02-01,n2,False,2,a,no
44,?,2024-02-02,n3,True,0,b,yes
?,Bern,,n4,True,1,b,no
61,Oslo,2024-02-04,n5,False,1,c,yes
37,Bern,2024-02-05,n6,True,1,c,no
29,Rome,2024-02-06,n7,False,1,d,yes
53,Oslo,2024-02-07,n8,True,1,d,no
"""


@pytest.fixture
def csv(tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)
    return tmp_path


def load(folder, **keys):
    data = {"csv": "rows.csv", "target": "y", "missing": ["?"], **keys.pop("data", {})}
    data = {k: v for k, v in data.items() if v is not None}
    return read({"data": data, "models": ["SVC"], "test": "none", **keys}, data=folder).load_data()


def test_columns_get_the_type_of_what_they_hold(csv):
    data = load(csv)
    kinds = {c["name"]: c["kind"] for c in data.columns}
    assert kinds == {
        "age": "number", "city": "category", "when": "date", "note": "category", "flag": "number",
        "w": "number", "who": "category",
    }  # fmt: skip
    assert data.X["age"].isna().sum() == 1
    assert data.X["city"].dtype == "category"
    assert data.X["when"].iloc[1] - data.X["when"].iloc[0] == 1.0
    assert data.X["flag"].tolist()[:2] == [1.0, 0.0]
    assert data.y.tolist()[:2] == ["yes", "no"]
    (age,) = (c for c in data.columns if c["name"] == "age")
    assert (age["missing"], age["unique"], age["example"]) == (1, 7, 31.0)


def test_types_overrule_what_is_seen(csv):
    data = load(csv, data={"types": {"age": "category", "note": "text", "w": "category"}})
    assert data.of_kind("text") == ["note"]
    assert "25" in data.X["age"].cat.categories
    with pytest.raises(SpecError, match=r"'city' holds 'Rome' in row 0, which is no number"):
        load(csv, data={"types": {"city": "number"}})
    with pytest.raises(SpecError, match="is no date"):
        load(csv, data={"types": {"city": "date"}})


def test_numbers_declared_as_words_keep_their_zeros(tmp_path):
    (tmp_path / "rows.csv").write_text("zip,y\n007,a\n010,b\n007,a\n010,b\n")
    data = load(tmp_path, data={"types": {"zip": "category"}, "missing": None})
    assert list(data.X["zip"].cat.categories) == ["007", "010"]


def test_weights_groups_drop_keep_rows(csv):
    data = load(csv, data={"weights": "w", "groups": "who", "drop": ["note"]})
    assert data.weights.tolist() == [1, 2, 0, 1, 1, 1, 1, 1]
    assert data.groups.tolist()[:3] == ["a", "a", "b"]
    assert [c["name"] for c in data.columns] == ["age", "city", "when", "flag"]
    data = load(csv, data={"keep": ["age", "city"], "groups": "who"})
    assert [c["name"] for c in data.columns] == ["age", "city"]
    assert len(load(csv, data={"rows": 5}).y) == 5


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.bz2", "csv.xz", "csv.zip", "tsv", "txt"])
def test_compressed_by_name(tmp_path, suffix):
    import bz2

    path = tmp_path / f"rows.{suffix}"
    text = ROWS.replace(",", "\t") if suffix == "tsv" else ROWS
    if suffix.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rows.csv", text)
    else:
        opener = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}.get(suffix.split(".")[-1], open)
        with opener(path, "wb") as file:
            file.write(b"\xef\xbb\xbf" + text.encode())
    assert len(load(tmp_path, data={"csv": path.name}).y) == 8


def test_separator(tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS.replace(",", ";"))
    assert len(load(tmp_path, data={"separator": ";"}).columns) == 7


def test_parquet(csv):
    pytest.importorskip("pyarrow")
    frame = pd.read_csv(csv / "rows.csv", na_values=["?"])
    frame["when"] = pd.to_datetime(frame["when"])
    frame.to_parquet(csv / "rows.parquet")
    spec = {"data": {"parquet": "rows.parquet", "target": "y"}, "models": ["SVC"], "test": "none"}
    data = read(spec, data=csv).load_data()
    from_csv = load(csv)
    pd.testing.assert_frame_equal(data.X, from_csv.X, check_dtype=False, check_categorical=False)
    with pytest.raises(SpecError, match="no column 'z'"):
        read({**spec, "data": {"parquet": "rows.parquet", "target": "z"}}, data=csv).load_data()


def test_npz(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    np.savez(tmp_path / "a.npz", X=X, y=y, Xt=X[:4], yt=y[:4], w=np.ones(12))
    arrays = {"X_test": "Xt", "y_test": "yt", "weights": "w"}
    spec = {"data": {"npz": "a.npz", "arrays": arrays}, "models": ["SVC"]}
    data = read(spec, data=tmp_path).load_data()
    assert np.array_equal(data.X, X)
    assert len(data.X_test) == 4
    assert data.weights.sum() == 12
    spec["data"]["arrays"] = {"X": "XX"}
    with pytest.raises(SpecError, match=r"data\.arrays\.X: there is no array 'XX'.*it holds X, y"):
        read(spec, data=tmp_path).load_data()


def test_arrays_of_pictures_are_flattened_and_keep_their_shape(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((8, 3, 4, 5), np.uint8), y=np.arange(8) % 2)
    data = read({"data": {"npz": "a.npz"}, "models": ["SVC"], "test": "none"}, data=tmp_path).load_data()
    assert data.X.shape == (8, 60)
    assert data.image_shape == (3, 4, 5)


def test_frames_and_arrays_from_python():
    frame = pd.DataFrame({"a": np.arange(20.0), "b": ["x", "y"] * 10, "t": np.arange(20) % 2})
    spec = read({"data": {"target": "t"}, "models": ["SVC"]}, data=frame)
    assert [c["kind"] for c in spec.load_data().columns] == ["number", "category"]
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    data = read({"models": ["SVC"]}, data=(X, y)).load_data()
    assert data.X.shape == (16, 3)
    assert data.target == "y"
    data = read(
        {"models": ["SVC"]}, data=(pd.DataFrame(X, columns=list("abc")), pd.Series(y, name="t"))
    ).load_data()
    assert data.target == "t"
    data = read({"models": ["LogisticRegression"]}, data=(sp.csr_matrix(X), y)).load_data()
    assert sp.issparse(data.X)
    with pytest.raises(SpecError, match="data= gives the rows already"):
        read({"data": {"sklearn": "load_iris"}, "models": ["SVC"]}, data=(X, y))
    with pytest.raises(SpecError, match="'target' is missing"):
        read({"models": ["SVC"]}, data=frame).load_data()


@pytest.mark.parametrize(
    ("y", "task", "answer"),
    [
        (["a", "b"] * 6, "auto", "classification"),
        ([True, False] * 6, "auto", "classification"),
        ([0, 1, 2] * 4, "auto", "classification"),
        ([0.0, 1.0] * 6, "auto", "classification"),
        (np.arange(40), "auto", "regression"),
        (np.arange(12) + 0.5, "auto", "regression"),
        ([0, 1, 2] * 4, "regression", "regression"),
        (pd.Series(["a", "b"] * 6, dtype="category"), "auto", "classification"),
    ],
)
def test_task(y, task, answer):
    X = np.arange(len(y), dtype=float)[:, None]
    found = read({"models": "auto", "task": task, "test": "none"}, data=(X, y)).load_data()
    assert found.task == answer


@pytest.mark.parametrize(
    ("y", "task", "sentence"),
    [
        (["a"] * 9, "auto", "'a' in every row"),
        ([f"x{i}" for i in range(30)], "auto", "30 different values in 30 rows, which are no classes"),
        ([1.0, None, 2.0], "auto", "missing in 1 of 3 rows; delete these rows"),
        (["a", "b", "c"], "regression", "holds 'a', which is no number; use task: classification"),
        ([0.5, 1.5, 0.5, 1.5], "classification", "fractions such as 0.5; use task: regression"),
        ([2.0] * 9, "regression", "same value in every row"),
        ([1.0, np.inf, 2.0, 3.0], "regression", "infinity"),
        (np.arange(30), "classification", "30 different values"),
    ],
)
def test_targets_that_cannot_be_learned(y, task, sentence):
    X = np.arange(len(y), dtype=float)[:, None]
    with pytest.raises(SpecError, match=sentence):
        read({"models": "auto", "task": task}, data=(X, y)).load_data()


def test_rows_are_held_out_by_class_and_by_group(csv):
    frame = pd.DataFrame({"a": np.arange(100.0), "g": np.repeat(range(20), 5), "t": ["x"] * 90 + ["y"] * 10})
    spec = {"data": {"target": "t"}, "models": ["SVC"], "test": 0.3}
    data = read(spec, data=frame).load_data()
    assert (data.y_test == "y").sum() == 3
    assert set(data.X.index) | set(data.X_test.index) == set(range(100))
    spec["data"]["groups"] = "g"
    frame["t"] = ["x", "y"] * 50
    data = read(spec, data=frame).load_data()
    held = set(frame["g"][data.X_test.index])
    assert not held & {int(g) for g in data.groups}
    assert (
        read({**spec, "seed": 1}, data=frame).load_data().X_test.index.tolist() != data.X_test.index.tolist()
    )


def test_a_class_of_one_row_is_said():
    X, y = np.arange(30.0)[:, None], ["a", "b"] * 14 + ["c", "a"]
    data = read({"models": ["SVC"]}, data=(X, y)).load_data()
    assert "one is too small" in data.notes[0]


@pytest.mark.parametrize(
    "keys", [{"test": {"last": 0.25}}, {"test": 0.25, "cv": {"TimeSeriesSplit": {"n_splits": 3}}}]
)
def test_the_last_rows_are_held_out_where_time_counts(keys):
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20.0) ** 2
    spec = read({"models": ["Ridge"], "task": "regression", **keys}, data=(X, y))
    data = spec.load_data()
    assert data.y_test.tolist() == y[15:].tolist()
    assert data.X[:, 0].tolist() == X[:15, 0].tolist()
    assert "the last 5 rows are held out, since time counts" in data.notes
    assert read(dump(spec.resolved(data)), data=(X, y)).load_data().y_test.tolist() == y[15:].tolist()


def test_a_class_that_comes_last_only_is_said():
    X, y = np.arange(40.0).reshape(20, 2), np.repeat([0, 1, 2], [8, 7, 5])
    with pytest.raises(SpecError, match="the class 2 is in the last 5 rows only"):
        read({"models": ["SVC"], "test": {"last": 0.25}}, data=(X, y)).load_data()


def test_held_out_file(csv):
    (csv / "test.csv").write_text("y,city,age,when,note,flag,w,who\nyes,Paris,3,2024-03-01,n9,True,1,z\n")
    data = load(csv, test={"csv": "test.csv"})
    assert len(data.X) == 8
    assert list(data.X_test.columns) == list(data.X.columns)
    assert data.X_test["city"].iloc[0] == "Paris"
    (csv / "test.csv").write_text("y,city,age,when,note,flag,w,who\nyes.,Paris,3,2024-03-01,n9,True,1,z\n")
    with pytest.raises(SpecError, match=r"test: the held-out part has the class 'yes\.'"):
        load(csv, test={"csv": "test.csv"})
    (csv / "test.csv").write_text("y,city\nyes,Paris\n")
    with pytest.raises(SpecError, match=r"test\.csv: there is no column 'age' as in the other file"):
        load(csv, test={"csv": "test.csv"})


def test_the_header_is_checked_before_the_body_is_read(csv, monkeypatch):
    def refuse(*a, **k):
        raise AssertionError("the body was read")

    monkeypatch.setattr(pd, "read_csv", refuse)
    with pytest.raises(SpecError, match=r"data\.target: there is no column 'yy'.*Did you mean 'y'"):
        load(csv, data={"target": "yy"})


def test_new_rows_in_the_types_of_the_old(csv):
    data = load(csv)
    kinds = {c["name"]: c["kind"] for c in data.columns}
    (csv / "new.csv").write_text("extra,who,w,flag,note,when,city,age\n1,a,1,True,n,2024-05-01,Rome,?\n")
    new = read_rows(csv / "new.csv", kinds, missing=["?"])
    assert list(new.columns) == list(data.X.columns)
    assert new["age"].isna().all()
    assert new["when"].iloc[0] == (pd.Timestamp("2024-05-01") - pd.Timestamp("1970-01-01")).days
    with pytest.raises(SpecError, match="no column 'other', which the model needs"):
        read_rows(csv / "new.csv", {"other": "number"})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "number"),
        ([True, None], "number"),
        (["a", "b"], "category"),
        (["2024-01-01", "2024-12-31 12:00:00"], "date"),
        (["2024-01-01", "soon"], "category"),
        ([f"w{i}" for i in range(50)], "text"),
        (["long text here"] * 50, "category"),
        ([None, None], "category"),
    ],
)
def test_kinds(values, kind):
    assert kind_of(pd.Series(values)) == kind


def test_infinity_is_refused():
    place = Place(read_object({}))
    with pytest.raises(SpecError, match="holds infinity"):
        as_kind(pd.Series([1.0, np.inf], name="a"), "number", place)
