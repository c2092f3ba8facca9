"""The watch on the global generators is itself watched."""

from pathlib import Path

import pytest
import torch  # noqa: F401  the runs below share this process, where it may be imported only once

pytest_plugins = ["pytester"]


@pytest.fixture
def run(pytester, monkeypatch):
    """Run one test body under the project's conftest and give the outcomes."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nmarkers = changes_global_random_state")

    def outcomes(source, process="inprocess"):
        pytester.makepyfile(source)
        runpytest = getattr(pytester, f"runpytest_{process}")
        return runpytest("-p", "no:xdist").parseoutcomes()

    return outcomes


@pytest.mark.parametrize(
    "draw",
    [
        "import numpy as np; np.random.rand()",
        "import numpy as np; np.random.seed(3)",
        "import torch; torch.rand(2)",
        "import torch; torch.manual_seed(3)",
        "import torch; torch.nn.Linear(2, 2)",
    ],
)
def test_a_draw_from_a_global_generator_fails_the_test(run, draw):
    assert run(f"def test_it():\n    {draw}") == {"passed": 1, "errors": 1}


def test_the_first_test_that_imports_torch_is_watched_too(run):
    source = """
        def test_quiet():
            import torch
        def test_draw():
            import torch
            torch.rand(1)
    """
    assert run(source, process="subprocess") == {"passed": 2, "errors": 1}
    draw_at_once = "def test_it():\n    import torch\n    torch.rand(1)"
    assert run(draw_at_once, process="subprocess") == {"passed": 1, "errors": 1}


def test_own_generators_pass(run):
    source = """
        import numpy as np, torch
        def test_it():
            np.random.default_rng(0).normal()
            torch.rand(2, generator=torch.Generator().manual_seed(0))
    """
    assert run(source) == {"passed": 1}


def test_a_broken_estimator_may_draw_when_the_test_says_so(run):
    source = """
        import numpy as np, pytest
        before = np.random.get_state()[1].copy()
        @pytest.mark.changes_global_random_state
        def test_it():
            np.random.seed(3)
        def test_state_was_put_back():
            assert (np.random.get_state()[1] == before).all()
    """
    assert run(source) == {"passed": 2}


def test_absent_data_skips_with_a_reason(run, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "nowhere"))
    assert run("def test_it(data_dir):\n    assert False") == {"skipped": 1}
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    assert run("def test_it(data_dir):\n    assert data_dir.is_dir()") == {"passed": 1}
