"""The specs in examples/specs on the files that they name."""

import os
from pathlib import Path

import pytest
from sklearn.base import clone

from zoo.experiment.spec import dump, propose, read

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("ZOO_DATA", ROOT.parent / "shared" / "data")) / "tabular"
SPECS = sorted((ROOT / "examples" / "specs").glob("*.yaml"))

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.exists(), reason="ZOO_DATA names no folder with tabular/"),
]


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_it_is_a_page_and_every_model_fits(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) <= 15
    spec = read(path, data=DATA)
    data = spec.load_data()
    assert spec.plan(data).metrics
    rows = slice(0, 1500)
    for candidate in spec.candidates(data):
        params = {k: 10 for k in candidate.estimator.get_params() if k.endswith("n_estimators")}
        fitted = clone(candidate.estimator).set_params(**params).fit(data.X.iloc[rows], data.y[rows])
        floor = 0.3 if data.task == "regression" else 0.74
        assert fitted.score(data.X_test, data.y_test) > floor, candidate.name
    assert read(dump(spec.resolved(data)), data=DATA).resolved(data) == spec.resolved(data)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.csv.gz")) if DATA.exists() else [], ids=lambda p: p.stem)
def test_a_first_spec_for_every_table(path):
    spec = read(propose(path))
    assert spec.models
    assert spec.load_data().X.shape[0] > 10
