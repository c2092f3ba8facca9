"""Least squares boosting: the closed forms of the textbook."""

import numpy as np
import pytest
from sklearn.datasets import make_friedman1

from zoo.trees.least_squares_boosting import LeastSquaresBoostingRegressor


@pytest.mark.parametrize(("lam", "gamma"), [(0.0, 0.0), (2.0, 5.0)])
def test_leaves_and_gains_are_the_closed_forms(lam, gamma):
    X, y = make_friedman1(200, random_state=0)
    w = np.random.RandomState(0).uniform(0.5, 2, 200)
    m = LeastSquaresBoostingRegressor(n_estimators=3, reg_lambda=lam, gamma=gamma)
    m.fit(X, y, sample_weight=w)
    f, model = np.zeros(200), m.model_
    ends = np.append(model["root"][1:], len(model["left"]))
    for t, (root, end) in enumerate(zip(model["root"], ends, strict=True)):
        r, at = y - f, m.apply(X)[:, t] + root

        def under(i):
            left = model["left"][i]
            return at == i if left == i else under(left) | under(left + 1)  # noqa: B023

        def term(rows):
            return (w * r)[rows].sum() ** 2 / (w[rows].sum() + lam)  # noqa: B023

        for i in range(root, end):
            left, rows = model["left"][i], under(i)
            if left == i:
                c = (w * r)[rows].sum() / (w[rows].sum() + lam)
                np.testing.assert_allclose(model["value"][i], c, rtol=1e-9)
            else:
                gain = term(under(left)) + term(under(left + 1)) - term(rows) - gamma
                # The engine counts half of the loss.
                np.testing.assert_allclose(2 * model["gain"][i], gain, rtol=1e-5)
                assert gain > 0
        f = f + model["value"][at]
    np.testing.assert_allclose(m.predict(X), f, rtol=1e-9)


def test_the_objective_falls_every_round():
    X, y = make_friedman1(300, random_state=1)
    m = LeastSquaresBoostingRegressor(n_estimators=20).fit(X, y)
    losses = [((y - s) ** 2).sum() for s in m.staged_predict(X)]
    assert losses[0] < (y**2).sum()
    assert (np.diff(losses) < 0).all()


def test_a_price_beyond_every_gain_leaves_one_leaf():
    X, y = make_friedman1(100, random_state=0)
    m = LeastSquaresBoostingRegressor(n_estimators=1, gamma=1e9, reg_lambda=0.0).fit(X, y)
    np.testing.assert_allclose(m.predict(X), y.mean())
