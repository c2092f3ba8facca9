"""The notebooks run, and what is committed of them is what they show."""

import json
import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

FOLDER = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def read(name):
    return nbformat.read(FOLDER / name, as_version=4)


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures_of(notebook):
    return sum(
        "image/png" in output.get("data", {}) for cell in code_of(notebook) for output in cell.outputs
    )


def test_there_are_notebooks():
    assert {"grid_search.ipynb", "noprop_tour.ipynb"} <= set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs_at_small_size_and_leaves_nothing_behind(name, tmp_path, monkeypatch):
    settings = {
        "ZOO_EXAMPLE_SIZE": "small",
        "ZOO_DATA": "none",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    for key, value in settings.items():
        monkeypatch.setitem(os.environ, key, value)
    notebook = read(name)
    shown = pictures_of(notebook)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert pictures_of(notebook) == shown
    complaints = [
        output.text
        for cell in code_of(notebook)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ]
    assert complaints == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_output_is_complete_and_small(name):
    notebook = read(name)
    nbformat.validate(notebook)
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    assert pictures_of(notebook) >= 1
    assert any("zoo-card" in output.get("data", {}).get("text/html", "") for output in outputs)
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert len(text) < 600_000
    for place in ("/home/", "/root/", "/tmp/", "/work/", "\\\\Users\\\\"):
        assert place not in json.dumps([cell.get("outputs", []) for cell in cells])
