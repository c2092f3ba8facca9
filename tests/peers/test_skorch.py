"""skorch's own tests, run with the Trainer in the place of its net (see ``skorch_with_trainer``).

What fails is listed with its reason; anything else that fails is a defect.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import skorch

HERE = Path(__file__).parent
THEIRS = Path(skorch.__file__).parent / "tests"
# A file or folder of tests: how many pass, at least.
PASSED = {
    "test_net.py": 250,
    "callbacks": 320,
    "test_helper.py": 195,
    "test_dataset.py": 90,
    "test_classifier.py": 44,
    "test_scoring.py": 16,
    "test_regressor.py": 15,
    "test_toy.py": 13,
    "test_setter.py": 6,
}
OWN_ITERATOR = (
    "skorch's classifiers refuse y=None where the iterator is torch's DataLoader; ours is another"
)
NO_DEVICE = "the test invents a device, and the Trainer makes a generator there"
REASONS = {
    "test_load_cuda_params_to_cpu": "a file that the wheel does not hold; fails with skorch's net, too",
    "test_repr_initialized_works": "a Dropout is ours, which draws from the net's generator",
    "test_repr_fitted_works": "a Dropout is ours, which draws from the net's generator",
    "test_torch_load_kwargs_forwarded_to_torch_load_unpickle": "generators are unpickled as well",
    "test_pickle_load": "generators are unpickled as well",
    "test_moving_custom_modules_to_device": NO_DEVICE,
    "test_set_params_on_custom_module_preserves_its_device": NO_DEVICE,
    "test_net_input_is_scoring_input": "the dataset of arrays is Rows, a subclass of skorch's Dataset",
    "test_weights_restore": "with the seed of the Trainer the training does not stop early",
    "test_net_1d_tensor_raises_error": OWN_ITERATOR,
    "test_net_2d_tensor_raises_error": OWN_ITERATOR,
}


@pytest.mark.slow
@pytest.mark.parametrize("room", PASSED)
def test_what_passes_with_skorchs_net_passes_with_the_trainer(room, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "-p",
         "skorch_with_trainer", f"--rootdir={THEIRS}", f"--confcutdir={THEIRS}", str(THEIRS / room)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])},
    )  # fmt: skip
    failed = re.findall(r"^(?:FAILED|ERROR) \S*::(\w+)", done.stdout, re.MULTILINE)
    assert sorted({name for name in failed if name not in REASONS}) == [], done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-3000:] + done.stderr[-3000:]
    assert int(passed[1]) >= PASSED[room]
