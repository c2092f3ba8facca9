"""What happens while kernels are compiled or loaded."""

import gc
import os
import subprocess
import sys

import pytest

ENCODE = """
import gc
import numpy as np
from zoo.engines.trees import bins as _bins
_bins.weave(np.zeros((2, 3), np.uint8))
_bins.encode(np.zeros((3, 2)), _bins.find_bins(np.zeros((3, 2)), 255, [False, False]))
assert gc.isenabled()
"""
WARMUP = """
import time
import zoo.trees
import zoo.trees.boosting, zoo.trees.random_forest
start = time.process_time()
zoo.trees.warmup()
print(time.process_time() - start)
"""


def run(code, folder):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)


def test_a_cold_cache_is_announced_once_and_a_warm_one_is_silent(tmp_path):
    said = [run(ENCODE, tmp_path).stderr for _ in range(2)]
    assert said[0].count("compiling") == 1
    assert said[0].count("\n") == 1
    assert said[1] == ""


def test_the_collector_is_as_it_was_after_pauses_within_pauses():
    from zoo.engines.trees import compiling

    collector = compiling._Collector()
    for before in (True, False):
        (gc.enable if before else gc.disable)()
        try:
            collector.pause()
            collector.pause()
            collector.go_on()
            assert not gc.isenabled()
            collector.go_on()
            assert gc.isenabled() == before
        finally:
            gc.enable()


@pytest.mark.slow
def test_everything_is_compiled_in_few_pieces_and_a_bounded_time(tmp_path):
    took = [float(run(WARMUP, tmp_path).stdout) for _ in range(2)]
    kept = list(tmp_path.rglob("*.nbc"))
    # Boosting and prediction keep five functions of one type each; a second type doubles the time.
    ours = [f for f in kept if f.name.startswith(("histograms.", "prediction.", "bins."))]
    assert len(ours) == 5, sorted(f.name for f in kept)
    # Twelve on a quiet machine; twice that on a busy one.
    assert took[0] < 30
    assert took[1] < 2
