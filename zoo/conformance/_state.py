"""Global generators and settings: read, moved, and put back as they were."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def global_state_restored() -> Iterator[None]:
    """Put the global generators, numpy's error settings and torch's threads back as they were."""
    before = generator_states()
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    try:
        with np.errstate():
            yield
    finally:
        _restore_generators(before)
        if torch and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def generator_states() -> dict[str, Any]:
    """Read the state of every global generator."""
    found = {"numpy": np.random.get_state(), "random": sys.modules["random"].getstate()}
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_rng_state()
    return found


def _restore_generators(states: dict[str, Any]) -> None:
    np.random.set_state(states["numpy"])
    sys.modules["random"].setstate(states["random"])
    if "torch" in states:
        sys.modules["torch"].set_rng_state(states["torch"])


def settings() -> tuple[Any, ...]:
    """Read numpy's error settings, and the threads and default dtype of torch."""
    torch = sys.modules.get("torch")
    more = (torch.get_num_threads(), torch.get_default_dtype()) if torch else ()
    return (np.geterr(), *more)


def shift_generators() -> None:
    """Move every global generator to another state."""
    name, keys, *rest = np.random.get_state()
    np.random.set_state((name, np.roll(keys, 1), *rest))  # type: ignore[arg-type]
    shifted = sys.modules["random"].Random(12345)
    sys.modules["random"].setstate(shifted.getstate())
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_rng_state(torch.Generator().manual_seed(12345).get_state())
