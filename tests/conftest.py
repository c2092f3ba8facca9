"""What every test gets: real data or a reason to skip, and a watch on the global generators."""

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# These are read when a library is first imported, which no test may do before this file.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def kernels_of_these_sources() -> Path:
    """Folder for compiled kernels that belongs to the sources as they are now.

    Numba's cache does not notice an edited callee in another file than the kernel's: a test would
    pass with the old code.
    """
    sources = hashlib.sha256()
    for path in sorted((ROOT / "zoo" / "engines").rglob("*.py")):
        text = path.read_bytes()
        if b"numba" in text or b"trees.memory" in text:  # nothing else is compiled
            sources.update(text)
    return ROOT / ".pytest_cache" / "kernels" / sources.hexdigest()[:16]


os.environ.setdefault("NUMBA_CACHE_DIR", str(kernels_of_these_sources()))


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


@pytest.fixture(scope="session")
def digits():
    """Split the digits, as rows of float32."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    return train_test_split(X.astype(np.float32), y, test_size=0.4, random_state=0, stratify=y)


@pytest.fixture
def batch():
    """Return a function: the network of a small fitted model, and a weighted batch for it."""

    def batch(cls, **options):
        import torch

        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((30, 5)), rng.integers(3, size=30)
        model = cls(hidden_layer_sizes=(6, 7), max_epochs=2, random_state=0, **options).fit(X, y)
        module = model.net_.module_.train()
        module.zero_grad()
        w = torch.as_tensor(rng.uniform(size=30))
        return module, torch.as_tensor(X)[:, None, None], torch.as_tensor(y), w / w.sum()

    return batch


# Plugins and adapters for the tests of others; importing one replaces their classes in this process.
collect_ignore_glob = ["peers/skorch_*.py", "peers/sklearn_*.py", "mutants.py"]
