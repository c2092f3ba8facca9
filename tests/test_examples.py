"""Every example runs, at small size, as a reader would run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = sorted(path.name for path in [*FOLDER.glob("plot_*.py"), FOLDER / "quickstart.py"])

# The runner saves what the example shows, so that an example without a picture is noticed.
RUNNER = """
import runpy, sys
import matplotlib.pyplot as plt
runpy.run_path(sys.argv[1], run_name="__main__")
print("FIGURES", len(plt.get_fignums()))
"""


def run(name: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", RUNNER, FOLDER / name],
        env=os.environ | {"MPLBACKEND": "Agg", "ZOO_EXAMPLE_SIZE": "small", "ZOO_DATA": "none"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_prints_and_leaves_nothing_behind(name, tmp_path):
    printed = run(name, tmp_path)
    said, figures = printed.rsplit("FIGURES", 1)
    assert said.strip()
    assert "nan" not in said.lower().split()
    assert (int(figures) >= 1) == name.startswith("plot_")
    assert list(tmp_path.iterdir()) == []
    if name == "quickstart.py":
        rows = [row for row in said.splitlines() if row.startswith("|")]
        accuracies = [float(row.split("|")[3].strip().rstrip("%")) for row in rows[2:]]
        assert len(accuracies) == 5
        assert min(accuracies) > 70
