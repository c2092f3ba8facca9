"""Sparse tables: what trees learn and say is what they learn and say of the same table, dense."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

import zoo
from zoo.engines.trees import bins as _bins
from zoo.engines.trees import sparse_table

MODELS = {
    "classes": zoo.DecisionTreeClassifier(random_state=0),
    "numbers": zoo.DecisionTreeRegressor(random_state=0, ccp_alpha=0.01),
    "medians": zoo.DecisionTreeRegressor(random_state=0, criterion="absolute_error", max_leaf_nodes=20),
    "forest": zoo.RandomForestRegressor(n_estimators=30, random_state=0, oob_score=True, keep_rows=True),
    "forest on bins": zoo.RandomForestClassifier(n_estimators=5, random_state=0, max_bins=16),
    "boosting": zoo.BoostingClassifier(n_estimators=12, n_iter_no_change=3, random_state=0),
    "boosting on samples": zoo.BoostingRegressor(
        n_estimators=10, subsample=0.6, colsample_bytree=0.5, categorical_features=[8], random_state=0
    ),
    "least squares": zoo.LeastSquaresBoostingRegressor(n_estimators=5),
    "pairs": zoo.AdaBoostClassifier(n_estimators=5),
}


def table(n=300):
    rng = np.random.RandomState(0)
    D = rng.standard_normal((n, 12))
    D[rng.uniform(size=D.shape) < 0.7] = 0
    D[:, 3] = D[:, 3] != 0
    D[:, 8] = np.round(2 * D[:, 8])
    D[:, 11] = 0
    D[rng.uniform(size=n) < 0.05, 6] = np.nan
    y = D[:, 0] + 2 * D[:, 3] + (D[:, 1] > 0) * D[:, 2] + 0.1 * rng.standard_normal(n)
    return D, y, rng.uniform(0.5, 2, n)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("most", [sparse_table.CELLS, 100])
def test_sparse_and_dense_tables_give_the_same_to_the_bit(kind, most, monkeypatch):
    monkeypatch.setattr(sparse_table, "CELLS", most)
    D, y, w = table()
    S, t = sp.csr_array(D), y > 0.2 if hasattr(MODELS[kind], "predict_proba") else y
    a, b = (clone(MODELS[kind]).fit(X, t, sample_weight=w) for X in (D, S))
    for name in a.model_:
        np.testing.assert_array_equal(a.model_[name], b.model_[name], err_msg=name)
    np.testing.assert_array_equal(a.predict(D), b.predict(S))
    np.testing.assert_array_equal(a.predict(D), b.predict(sp.coo_array(D)))
    np.testing.assert_array_equal(a.apply(D), b.apply(S))
    for rows in (None, slice(0, 9)):
        given = [None if rows is None else X[rows] for X in (D, S)]
        values = [m.shap_values(X[:20], Z).values for m, X, Z in zip((a, b), (D, S), given, strict=True)]
        np.testing.assert_allclose(*values, rtol=1e-12, atol=1e-15)
    if kind == "forest":
        np.testing.assert_array_equal(a.oob_prediction_, b.oob_prediction_)
        np.testing.assert_array_equal(a.predict_quantiles(D), b.predict_quantiles(S))
        importances = [m.oob_importances(X, t, w).importances for m, X in ((a, D), (b, S))]
        np.testing.assert_array_equal(*importances)


def test_cells_written_twice_are_added():
    rows, columns = np.array([0, 0, 1, 2, 3]), np.array([0, 0, 1, 0, 1])
    S = sp.coo_array((np.array([1.0, 2.0, 5.0, -1.0, 0.0]), (rows, columns)), (4, 3))
    D = S.toarray()
    for j in range(3):
        np.testing.assert_array_equal(sparse_table.Columns(S.tocsr())[j], D[:, j])
    bins = _bins.find_bins(S.tocsr(), 255, [False] * 3)
    for ours, dense in zip(_bins.encode(S.tocsr(), bins), _bins.encode(D, bins), strict=True):
        np.testing.assert_array_equal(ours, dense)


def test_codes_of_missing_and_unknown_cells_are_those_of_dense_tables():
    D, _, _ = table()
    S, is_cat = sp.csr_array(D), np.arange(12) == 8
    bins = _bins.find_bins(D[::2], 8, is_cat)  # categories and values that some rows lack
    for ours, dense in zip(_bins.encode(S, bins), _bins.encode(D, bins), strict=True):
        np.testing.assert_array_equal(ours, dense)


def test_the_numbers_of_a_wide_table_are_never_all_dense():
    S = sp.random_array((600, 4000), density=0.005, format="csr", random_state=np.random.RandomState(0))
    y = np.asarray(S[:, [3]].sum(axis=1)).ravel() > 0
    m = zoo.BoostingClassifier(n_estimators=2, n_jobs=1)
    zoo.BoostingClassifier(n_estimators=1).fit(S[:, :9], y)  # compiled
    tracemalloc.start()
    try:
        m.fit(S, y).predict(S)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 600 * 4000 * 8
