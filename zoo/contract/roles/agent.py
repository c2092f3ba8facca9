"""Gives back actions."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from zoo.contract.declaring import stand_in, where_it_goes_on
from zoo.contract.estimator import Estimator
from zoo.contract.params import Seed


class Agent(Estimator, abstract=True, role="Agent"):
    """Gives back actions. A leaf writes ``_learn(self, X, ...)`` and ``_act(observations)``.

    What X is says the input: seeds of episodes in an environment (`Env`) or of games (`Game`), or
    transitions that somebody logged (`Logged`).

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seed of everything that is drawn.
    """

    random_state: Seed = None

    @stand_in
    def fit(self, X: Any = None, y: Any = None, **metadata: Any) -> Self:  # type: ignore[override]
        """Learn by acting, or from what was logged.

        Parameters
        ----------
        X : seeds or transitions, optional
            Seeds of the training episodes, taken in turn (None derives them from ``random_state``), or a log.
        y : ignored
            For pipelines and searches.

        Returns
        -------
        self : object
            The fitted agent.
        """
        return self._fit(X, y, **metadata)

    @where_it_goes_on
    def partial_fit(self, X: Any = None, y: Any = None) -> Self:
        """Go on learning for one iteration.

        Parameters
        ----------
        X : seeds or transitions, optional
            As in ``fit``.
        y : ignored
            For pipelines and searches.

        Returns
        -------
        self : object
            The fitted agent.
        """
        return self._fit(X, y, partial=True)

    def predict(self, observations: Any) -> np.ndarray:
        """Return the greedy action for each observation."""
        check_is_fitted(self)
        actions: np.ndarray = self._act(observations)
        return actions
