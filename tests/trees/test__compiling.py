"""The word that is said when kernels are compiled."""

import os
import subprocess
import sys

CODE = """
import numpy as np
from zoo.trees import _bins
_bins.weave(np.zeros((2, 3), np.uint8))
_bins.encode(np.zeros((3, 2)), _bins.find_bins(np.zeros((3, 2)), 255, [False, False]))
"""


def test_a_cold_cache_is_announced_once_and_a_warm_one_is_silent(tmp_path):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", CODE], capture_output=True, text=True, env=env, check=True
        ).stderr
        for _ in range(2)
    ]
    assert said[0].count("compiling") == 1
    assert said[0].count("\n") == 1
    assert said[1] == ""
