"""What every test gets: real data or a reason to skip, and a watch on the global generators."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Both are read when a library is first imported, which no test may do before this file.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data; set ZOO_DATA to have it elsewhere."""
    folder = Path(os.environ.get("ZOO_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder; set ZOO_DATA to one")
    return folder


@pytest.fixture(autouse=True)
def global_generators_untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that drew from, or seeded, the global generator of numpy or torch."""
    numpy_before = np.random.get_state()
    torch_before = sys.modules["torch"].get_rng_state() if "torch" in sys.modules else None

    yield

    changed = []
    _, keys, *rest = np.random.get_state()
    if rest != list(numpy_before[2:]) or not np.array_equal(keys, numpy_before[1]):
        changed.append("numpy")
        np.random.set_state(numpy_before)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        if torch_before is None:
            # First imported by this test: the state before the first draw follows from the seed.
            torch_before = torch.Generator().manual_seed(torch.initial_seed()).get_state()
        if not torch.equal(torch.get_rng_state(), torch_before):
            changed.append("torch")
            torch.set_rng_state(torch_before)
    if changed and request.node.get_closest_marker("changes_global_random_state") is None:
        pytest.fail(
            f"the test changed the global generator of {' and '.join(changed)}; "
            "give the code under test a seed or a generator of its own"
        )
