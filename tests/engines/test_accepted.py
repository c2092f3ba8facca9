"""Names that are taken because scikit-learn's classes have them: they change nothing."""

import numpy as np
import pytest
from sklearn.datasets import make_regression

import zoo
from zoo.contract.params import Fixed, search_range
from zoo.engines import accepted

DOMAINS = ("Verbose", "CopyX", "Threads", "Draw", "WarmStart", "Precompute", "Selection")


@pytest.mark.parametrize("name", DOMAINS)
def test_a_search_leaves_them_alone(name):
    assert search_range(getattr(accepted, name)) == Fixed("it changes nothing here")


@pytest.mark.parametrize("options", [{"selection": "random"}, {"precompute": True}, {"copy_X": False}])
def test_they_change_nothing(options):
    X, y = make_regression(60, 8, random_state=0)
    plain = zoo.Lasso().fit(X, y)
    np.testing.assert_array_equal(zoo.Lasso(**options).fit(X, y).coef_, plain.coef_)
