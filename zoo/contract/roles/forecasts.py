"""Gives back the future of series."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from zoo.contract.estimator import Estimator


class Forecasts(Estimator, abstract=True, role="Forecasts"):
    """Gives back the future of one series or of several. A leaf writes ``_continue`` and ``_naive``.

    ``_continue(X, horizon, future)`` returns the next ``horizon`` values of each series behind X (None:
    behind the training data), shaped and indexed as X is. ``_naive(X)`` returns the mean absolute error
    of the seasonal naive forecast over X, which follows the training data, and of ours.
    """

    def predict(self, X: Any = None, horizon: int | None = None, *, future: Any = None) -> Any:
        """Return what comes next.

        Parameters
        ----------
        X : series or None, default=None
            What to go on from; None goes on from the training data.
        horizon : int or None, default=None
            How many steps; None is as many as the estimator was made for.
        future : table or None, default=None
            Columns that are known ahead, such as holidays, for the steps to come.

        Returns
        -------
        forecast : array, Series or DataFrame
            One value a step and series; a calendar goes on by its frequency.
        """
        check_is_fitted(self)
        if horizon is not None and (not isinstance(horizon, int | np.integer) or horizon < 1):
            raise ValueError(f"horizon={horizon!r} is not accepted; give an integer >= 1.")
        return self._continue(X, horizon, future)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the skill over X, which follows the training data: 1 - error / error of the seasonal naive.

        Parameters
        ----------
        X : series
            What came after the training data, as TimeSeriesSplit hands it over.
        y : ignored
            For searches.

        Returns
        -------
        skill : float
            1 is perfect, 0 is as good as the seasonal naive.
        """
        check_is_fitted(self)
        ours, naive = self._naive(X)
        return float(1 - ours / naive)
