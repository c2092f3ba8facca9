"""Files of the version before still load; each stands beside what that version made of the same rows."""

import re
from pathlib import Path

import numpy as np
import pytest
from archives import parts_of, sealed
from sklearn.preprocessing import FunctionTransformer

from zoo import registry
from zoo.contract.logits import softmax
from zoo.linear.ridge import Ridge
from zoo.persist import ZooFileError, load, save
from zoo.persist._renames import FORMAT_1, RENAMED

FILES = Path(__file__).parent / "files"
EXPECTED = np.load(FILES / "expected.npz")


@pytest.mark.parametrize("name", ["boosting_pipeline", "mlp", "noprop_ct"])
def test_files_of_the_version_before_predict_what_they_predicted(name):
    model = load(FILES / f"{name}.zoo")
    np.testing.assert_allclose(model.predict_proba(EXPECTED["X"]), EXPECTED[name], rtol=1e-12)


@pytest.mark.parametrize("name", ["boosting_pipeline", "mlp", "noprop_ct"])
def test_files_of_the_version_before_can_be_written_anew(name, tmp_path):
    path = tmp_path / "again.zoo"
    save(load(FILES / f"{name}.zoo"), path)
    np.testing.assert_allclose(load(path).predict_proba(EXPECTED["X"]), EXPECTED[name], rtol=1e-12)


def test_every_name_of_before_leads_to_what_there_is():
    public = {row["name"] for row in registry.entries()} | set(registry.kept())
    for name in (*FORMAT_1.values(), *RENAMED.values()):
        assert RENAMED.get(name, name).removeprefix("zoo.") in public, name


def test_a_name_that_is_kept_no_more_is_refused_with_the_version_that_wrote_it(tmp_path):
    old = parts_of(FILES / "mlp.zoo")
    old["state.json"] = old["state.json"].replace(b"mlp.mlp.MLP", b"mlp.mlp.XLP")
    path = tmp_path / "old.zoo"
    path.write_bytes(sealed(old))
    with pytest.raises(ZooFileError, match=re.escape(
        "was written by zoo 0.1.0 (format 1) and names zoo.mlp.mlp.XLPClassifier, which files of zoo"
    )):  # fmt: skip
        load(path)


def test_files_name_what_is_the_zoos_by_its_public_key(tmp_path):
    path = tmp_path / "model.zoo"
    save(FunctionTransformer(softmax), path)
    assert b'{"function":"zoo.softmax"}' in path.read_bytes()
    assert load(path).func is softmax
    save(Ridge(), path)
    assert b'{"object":"zoo.Ridge"' in path.read_bytes()
    assert b"zoo.linear" not in path.read_bytes()


def test_functions_of_the_zoo_that_do_not_say_so_are_refused(tmp_path):
    with pytest.raises(ZooFileError, match="functions of the zoo that say so"):
        save(FunctionTransformer(registry.find), tmp_path / "model.zoo")
