import os

import numpy as np
import pytest

from zoo.experiment.spec import SpecError, dump, read

GOOD = "data: {sklearn: load_iris}\nmodels: [SVC]\n"


def test_a_file_a_dict_text_and_json_are_the_same(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "a.json").write_text('{"data": {"sklearn": "load_iris"}, "models": ["SVC"]}')
    specs = [
        read(tmp_path / "a.yaml"),
        read(str(tmp_path / "a.json")),
        read(GOOD),
        read({"data": {"sklearn": "load_iris"}, "models": ["SVC"]}),
    ]
    assert all(spec == specs[0] for spec in specs)
    assert all(read(dump(spec)) == spec for spec in specs)


def test_files_are_looked_for_beside_the_spec_or_where_told(tmp_path, monkeypatch):
    (tmp_path / "specs").mkdir()
    (tmp_path / "rows").mkdir()
    rows = "a,t\n" + "".join(f"{i},{i % 2}\n" for i in range(20))
    spec = "data: {csv: rows.csv, target: t}\nmodels: [SVC]\n"
    (tmp_path / "specs" / "s.yaml").write_text(spec)
    (tmp_path / "specs" / "rows.csv").write_text(rows)
    (tmp_path / "rows" / "rows.csv").write_text(rows + "9,1\n")
    monkeypatch.chdir("/")
    assert len(read(tmp_path / "specs" / "s.yaml").load_data().y) == 16
    assert len(read(tmp_path / "specs" / "s.yaml", data=tmp_path / "rows").load_data().y) == 16
    monkeypatch.chdir(tmp_path / "rows")
    assert read(spec).load_data().X.shape[0] + 5 == 21


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("missing.yaml", "cannot be read .* give a spec file"),
        (".", "is a folder; give a spec file"),
        ("/dev/zero", "is no regular file"),
        ("a\0b", "cannot be read"),
        (3, "int is not accepted; give a file, a dict or YAML text"),
        (None, "NoneType is not accepted"),
        ([], "list is not accepted"),
    ],
)
def test_what_is_no_spec(source, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=sentence):
        read(source)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(SpecError, match="no regular file"):
        read(tmp_path / "pipe.yaml")


def test_data_from_python_that_are_none():
    with pytest.raises(SpecError, match="is no folder"):
        read(GOOD, data="nowhere")
    with pytest.raises(SpecError, match="got 3 parts"):
        read({"models": ["SVC"]}, data=(1, 2, 3))
    with pytest.raises(SpecError, match="ndarray is not accepted"):
        read({"data": {"target": "a"}, "models": ["SVC"]}, data=np.zeros((3, 2))).load_data()


def test_errors_of_the_data_know_their_line(tmp_path):
    (tmp_path / "rows.csv").write_text("a,t\n1,x\n2,y\n3,x\n4,y\n")
    (tmp_path / "s.yaml").write_text("data:\n  csv: rows.csv\n  target: tt\nmodels: [SVC]\n")
    with pytest.raises(SpecError, match=r"^s\.yaml:3:11: data\.target: there is no column 'tt'"):
        read(tmp_path / "s.yaml").load_data()


def test_notes_are_comments():
    from dataclasses import replace

    spec = replace(read(GOOD), notes=("a note", "another"))
    assert dump(spec).startswith("# a note\n# another\ndata:")
    assert read(dump(spec)) == spec
