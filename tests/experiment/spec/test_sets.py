import numpy as np
import pytest

from zoo.experiment.spec import SpecError, read
from zoo.experiment.spec.sets import DATASETS, FETCHED, parameters_of


@pytest.mark.parametrize("name", [n for n in DATASETS if n not in FETCHED])
def test_every_data_set_gives_rows_and_a_target(name):
    regression = (
        name in ("load_diabetes", "make_regression", "make_s_curve", "make_swiss_roll") or "fried" in name
    )
    model = "Ridge" if regression else "LogisticRegression"
    data = read({"data": {"sklearn": name}, "models": [model]}).load_data()
    assert data.task == ("regression" if regression else "classification")
    assert len(data.X) == len(data.y)
    assert data.X_test is not None
    assert all(c["kind"] == "number" for c in data.columns)


def test_the_seed_makes_the_same_data_again():
    def make(seed, **params):
        spec = read({"data": {"sklearn": {"make_moons": params}}, "models": ["SVC"], "seed": seed})
        return spec.load_data().X.to_numpy()

    assert np.array_equal(make(0), make(0))
    assert not np.array_equal(make(0), make(1))
    assert np.array_equal(make(0, random_state=4), make(1, random_state=4)) or len(make(0)) == 80


def test_parameters_are_held_to_scikit_learns_constraints():
    assert parameters_of("make_moons")["noise"].accepts(0.1)
    with pytest.raises(SpecError, match=r"make_moons\.noise: -1 is not accepted; give a float"):
        read({"data": {"sklearn": {"make_moons": {"noise": -1}}}, "models": ["SVC"]})


def test_nothing_is_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    spec = read({"data": {"sklearn": "fetch_california_housing"}, "models": ["Ridge"]})
    with pytest.raises(SpecError, match=r"is not on this machine and nothing is downloaded here; call"):
        spec.load_data()


def test_a_sum_of_clusters():
    data = read({"data": {"sklearn": {"make_blobs": {"n_samples": [30, 10]}}}, "models": ["SVC"]}).load_data()
    assert sorted(np.bincount(np.r_[data.y, data.y_test])) == [10, 30]
