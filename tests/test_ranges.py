"""What a card offers to a search can be fitted, in every combination."""

import numpy as np
import pytest

from zoo.contract.params import Search, fields_of, is_integer
from zoo.registry import entries, find

NAMES = [row["name"] for row in entries() if row["module"].startswith(("zoo.linear", "zoo.svm"))]


def drawn(cls, rng):
    """One value for each parameter that may be searched."""
    values = {}
    for p in cls.card().parameters:
        if isinstance(p.search, Search):
            low, high = p.search.low, p.search.high
            v = np.exp(rng.uniform(*np.log([low, high]))) if p.search.log else rng.uniform(low, high)
            values[p.name] = round(v) if is_integer(fields_of(cls)[p.name].hint) else float(v)
        elif isinstance(p.search, list) and p.search:
            values[p.name] = p.search[rng.integers(len(p.search))]
    return values


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*positive semi-definite:RuntimeWarning")
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("BradleyTerry", "ScalingLaw")])
def test_every_combination_of_a_card_can_be_fitted(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] + 0.3 * rng.normal(size=60) > 0).astype(int)
    cls = find(name)
    given = {"max_iter": 2000} if name in ("SVC", "SVR", "OneClassSVM") else {}
    for _ in range(25):
        cls(**drawn(cls, rng), **given).fit(X, y)
