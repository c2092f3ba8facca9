"""Gives back new data."""

from typing import Any, ClassVar

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from zoo.contract.draws import Draws, as_seed
from zoo.contract.estimator import Estimator
from zoo.contract.inputs import n_rows
from zoo.contract.logits import softmax
from zoo.contract.shapes import RowsLike, TargetsLike
from zoo.contract.targets import Labels, Target, class_numbers


class Sampler(Estimator, abstract=True, role="Sampler"):
    """Gives back new data. A leaf writes ``_draw``, and ``_log_likelihood`` when it has one.

    A conditional one states ``target = Labels(required=False)`` and names y in ``_learn``.
    ``likelihood_`` says what ``score_samples`` is: "exact", "elbo", "iwae" or None.
    """

    target: ClassVar[Target] = Labels(required=False)

    def sample(
        self,
        n_samples: int = 1,
        y: TargetsLike | None = None,
        *,
        random_state: int | np.random.RandomState | None = None,
        return_y: bool = False,
    ) -> Any:
        """Draw new rows.

        Parameters
        ----------
        n_samples : int, default=1
            How many rows.
        y : label or array-like of labels, optional
            What to draw, when the method was fitted with y; None draws labels as often as the
            training data held them.
        random_state : int, RandomState or None, default=None
            None draws fresh numbers, an int repeats them; row i is the same for any n_samples.
        return_y : bool, default=False
            Return the labels as well.

        Returns
        -------
        X : array of shape (n_samples, ...)
            The rows, and their labels with ``return_y``.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, int | np.integer) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} is not accepted; give an integer >= 1.")
        draws = Draws(as_seed(random_state))
        numbers = self._labels_to_draw(int(n_samples), y, draws)
        X = self._draw(int(n_samples), numbers, draws)
        if not return_y:
            return X
        if numbers is None:
            raise ValueError(f"{type(self).__name__} was fitted without y: there is no y to return.")
        return X, self.target.decode(self, numbers)

    def _labels_to_draw(self, n: int, y: Any, draws: Draws) -> np.ndarray | None:
        if not hasattr(self, "classes_"):
            if y is not None:
                raise ValueError(
                    f"{type(self).__name__} was fitted without y and cannot draw given y={y!r}."
                )
            return None
        if y is None:
            u = draws.uniform(n)
            # Rounding can leave the last sum just below 1.
            return np.minimum(
                np.searchsorted(np.cumsum(self.class_prior_), u, side="right"),
                len(self.classes_) - 1,
            )
        labels = np.broadcast_to(np.asarray(y), (n,)) if np.ndim(y) == 0 else np.asarray(y)
        if labels.shape != (n,):
            raise ValueError(f"y has shape {labels.shape}, but n_samples={n}; give one label a row.")
        return class_numbers(self, labels, "y", self.classes_)

    def _weigh(self, y: Any, w: np.ndarray | None, *, resume: bool) -> np.ndarray | None:
        """Note how often each label comes, so that ``sample`` draws it as often."""
        if y is not None and not resume:
            count = np.bincount(y, weights=w, minlength=len(self.classes_))
            self.class_prior_ = count / count.sum()
        return super()._weigh(y, w, resume=resume)

    def _has_likelihood(self) -> bool:
        return hasattr(self, "_log_likelihood")

    def _has_classes(self) -> bool:
        return hasattr(self, "_log_likelihood") and "classes_" in vars(self)

    @available_if(_has_likelihood)
    def score_samples(self, X: RowsLike) -> np.ndarray:
        """Return the log-likelihood of each row in nats (``likelihood_`` says exact or bound).

        Fitted with y, it is the likelihood of X whatever its label.
        """
        X = self._checked(X)
        if hasattr(self, "classes_"):
            joint: np.ndarray = np.logaddexp.reduce(self._joint(X), axis=1)
            return joint
        s: np.ndarray = self._log_likelihood(X)
        return s

    def _joint(self, X: Any) -> np.ndarray:
        """Return log p(x | k) + log p(k), (n, k)."""
        n, k = n_rows(X), len(self.classes_)
        given = [self._log_likelihood(X, np.full(n, label)) for label in range(k)]
        return np.column_stack(given) + np.log(self.class_prior_)

    @available_if(_has_classes)
    def predict_proba(self, X: RowsLike) -> np.ndarray:
        """Return the probability of each class by Bayes' rule, (n, k)."""
        return softmax(self._joint(self._checked(X)))

    @available_if(_has_likelihood)
    def score(self, X: RowsLike, y: TargetsLike | None = None) -> float:
        """Return the mean of ``score_samples``, so that a search can choose by it."""
        return float(np.mean(self.score_samples(X)))

    def _has_features(self) -> bool:
        return self._has_likelihood() and self.input.two_d_array

    @available_if(_has_features)
    def bits_per_dim(self, X: RowsLike) -> float:
        """Return the mean negative log-likelihood in bits per feature (lower is better)."""
        return float(-self.score(X) / (int(self.n_features_in_) * np.log(2)))
