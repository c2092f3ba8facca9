"""Models of trees as ONNX: a runtime that knows nothing of the zoo predicts the same."""

import sys

import numpy as np
import pytest

from zoo.engines.losses import Squared
from zoo.trees.ada_boost import AdaBoostClassifier
from zoo.trees.boosting import BoostingClassifier, BoostingRegressor
from zoo.trees.decision_tree import DecisionTreeClassifier, DecisionTreeRegressor
from zoo.trees.least_squares_boosting import LeastSquaresBoostingRegressor
from zoo.trees.random_forest import RandomForestClassifier, RandomForestRegressor

MODELS = [
    (BoostingRegressor(n_estimators=5), "numbers"),
    (BoostingRegressor(n_estimators=5, loss="poisson"), "counts"),
    (BoostingClassifier(n_estimators=5), 2),
    (BoostingClassifier(n_estimators=5), 3),
    (LeastSquaresBoostingRegressor(n_estimators=5), "numbers"),
    (AdaBoostClassifier(n_estimators=5), 2),
    (AdaBoostClassifier(n_estimators=5, max_depth=2), 3),
    (DecisionTreeClassifier(max_depth=5), 2),
    (DecisionTreeClassifier(), "words"),
    (DecisionTreeRegressor(), "numbers"),
    (DecisionTreeRegressor(max_leaf_nodes=2, min_samples_leaf=200), "numbers"),  # no cut at all
    (RandomForestRegressor(n_estimators=5), "columns"),
    (RandomForestClassifier(n_estimators=5), 3),
]


def table(kind, n=300, seed=0):
    """Numbers with holes, and a column of codes 0, 2.5, 5 ..., of which some are never seen."""
    rng = np.random.RandomState(seed)
    X = np.column_stack([rng.standard_normal((n, 2)), rng.randint(0, 6 + 2 * seed, n) * 2.5])
    X[rng.uniform(size=(n, 3)) < 0.15] = np.nan
    s = np.nan_to_num(X[:, 0], nan=1.0) + np.isin(X[:, 2], [0, 5, 12.5]) * 2 + rng.standard_normal(n) / 3
    if kind == "columns":
        return X, np.column_stack([s, -s])
    if kind in ("numbers", "counts"):
        return X, s if kind == "numbers" else np.maximum(s, 0)
    if kind == "words":
        return X, np.where(s > 0, "yes", "no")
    return X, (s > 0).astype(int) + (s > 1.5) * (kind == 3) + 7


@pytest.mark.parametrize(("model", "kind"), MODELS, ids=lambda m: type(m).__name__)
def test_the_runtime_predicts_the_same(model, kind):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    X, y = table(kind)
    m = model.set_params(categorical_features=[2]).fit(X, y)
    session = runtime.InferenceSession(m.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    X_new = table(kind, 500, seed=1)[0]
    out = dict(zip([o.name for o in session.get_outputs()], session.run(None, {"X": X_new}), strict=True))
    if "label" in out:
        np.testing.assert_array_equal(out["label"], m.predict(X_new))
        np.testing.assert_allclose(out["probabilities"], m.predict_proba(X_new), atol=1e-12)
    else:
        want = m.predict(X_new)
        np.testing.assert_allclose(out["prediction"], want.reshape(len(want), -1), rtol=1e-12, atol=1e-12)


def test_what_cannot_be_written_is_refused_with_a_reason():
    pytest.importorskip("onnx", reason="onnx is not installed")
    X, y = table(2)
    with pytest.raises(ValueError, match="one model a column"):
        RandomForestClassifier(n_estimators=2).fit(X, np.column_stack([y, y])).to_onnx()
    with pytest.raises(ValueError, match="nor its link"):
        BoostingRegressor(loss=Squared(), n_estimators=2).fit(X, y).to_onnx()
    with pytest.raises(ValueError, match="only trees"):
        AdaBoostClassifier(estimator=DecisionTreeClassifier(), n_estimators=2).fit(X, y).to_onnx()


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        DecisionTreeRegressor().fit([[0.0], [1.0]], [0.0, 1.0]).to_onnx()
