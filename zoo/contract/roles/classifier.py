"""Gives back a class."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.metaestimators import available_if

from zoo.contract.estimator import Estimator
from zoo.contract.logits import log_softmax, softmax
from zoo.contract.params import Fixed
from zoo.contract.shapes import RowsLike, TargetsLike, WeightsLike
from zoo.contract.targets import Labels, Sequences, Target


class Classifier(ClassifierMixin, Estimator, abstract=True, role="Classifier"):
    """Gives back a class. A leaf writes ``_scores`` or ``_proba`` (or both).

    ``_scores`` returns (n,) margins for two classes or (n, k) scores. With ``logits`` (the
    default) their softmax is ``predict_proba``; a leaf whose scores are no logits sets it False.

    With ``multi_output`` y may have several columns, each with classes of its own: ``classes_`` is
    a list, ``_learn`` sees (n, columns) class numbers, ``_proba`` gives a list, one array a column.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        Factor on the weight of each class's rows; "balanced" gives every class the same total.

    Attributes
    ----------
    classes_ : array of shape (k,)
        The labels, sorted; a list of such arrays where y has several columns.
    """

    target: ClassVar[Target] = Labels(least=2)
    must_learn: ClassVar[dict[str, str]] = {"w": "every classifier has class_weight"}
    logits: ClassVar[bool] = True
    # What to do instead, said where a leaf that has no probabilities is asked for them.
    no_probabilities: ClassVar[str] = ""

    class_weight: Annotated[
        dict[Any, Any] | Literal["balanced"] | None, Fixed("it states the costs of the task")
    ] = None

    def _weigh(self, y: Any, w: np.ndarray | None, *, resume: bool) -> np.ndarray | None:
        """Fold ``class_weight`` into the weights of the rows."""
        w = super()._weigh(y, w, resume=resume)
        if self.class_weight is None or y is None:
            return w
        if isinstance(self.target, Sequences) and self.target.counts(self):
            raise ValueError(
                f"class_weight weighs series, but with {self.target.when}=True the classes belong to "
                "steps; leave class_weight at None."
            )
        known = self.classes_ if isinstance(self.classes_, list) else [self.classes_]
        weights: Any = self.class_weight
        weights = list(weights) if isinstance(weights, list | tuple) else [weights] * len(known)
        if len(weights) != len(known):
            raise ValueError(
                f"{type(self).__name__}: class_weight is a list of {len(weights)}, but y has "
                f"{len(known)} column(s); give one entry a column."
            )
        columns = np.reshape(y, (len(y), -1)).T
        factors = [
            self._class_factors(numbers, w, labels, own)
            for numbers, labels, own in zip(columns, known, weights, strict=True)
        ]
        return np.asarray(np.prod(factors if w is None else [w, *factors], axis=0))

    def _class_factors(self, y: np.ndarray, w: np.ndarray | None, known: np.ndarray, own: Any) -> np.ndarray:
        weight = compute_class_weight(own, classes=known, y=known[y], sample_weight=w).astype(self.dtype_)
        if not (weight > 0).all():
            k = int(weight.argmin())
            raise ValueError(
                f"class_weight gives the class {known.tolist()[k]!r} the weight {weight[k]:g}; give every "
                "class a weight > 0, or leave the rows of that class out."
            )
        factors: np.ndarray = weight[y]
        return factors

    def _has_scores(self) -> bool:
        return hasattr(self, "_scores")

    def _has_proba(self) -> bool:
        found = hasattr(self, "_proba") or (self.logits and hasattr(self, "_scores"))
        if not found and self.no_probabilities:
            raise AttributeError(self.no_probabilities)
        return found

    @available_if(_has_scores)
    def decision_function(self, X: RowsLike) -> np.ndarray:
        """Return the scores: (n,) for two classes (positive means ``classes_[1]``), else (n, k)."""
        s: np.ndarray = self._scores(self._checked(X))
        if len(self.classes_) == 2 and s.ndim > 1:
            return s[..., 1] - s[..., 0] if s.shape[-1] == 2 else s[..., 0]
        return s

    @available_if(_has_proba)
    def predict_proba(self, X: RowsLike) -> Any:
        """Return the probability of each class, (n, k), columns in the order of ``classes_``.

        Fitted to y of several columns, it is a list of such arrays.
        """
        if hasattr(self, "_proba"):
            return self._proba(self._checked(X))
        return softmax(self._logits(X))

    def _logits(self, X: Any) -> np.ndarray:
        """Return one score a class, for two classes too."""
        s = self.decision_function(X)
        return np.stack([np.zeros_like(s), s], axis=-1) if len(self.classes_) == 2 else s

    @available_if(_has_proba)
    def predict_log_proba(self, X: RowsLike) -> Any:
        """Return the logarithm of ``predict_proba``."""
        if hasattr(self, "_proba"):
            p = self.predict_proba(X)
            with np.errstate(divide="ignore"):
                return [np.log(own) for own in p] if isinstance(p, list) else np.log(p)
        return log_softmax(self._logits(X))

    def predict(self, X: RowsLike) -> np.ndarray:
        """Return the most likely class of each row, of each column of y where there are several."""
        if hasattr(self, "_scores"):
            s = self.decision_function(X)
            chosen = (s > 0).astype(int) if len(self.classes_) == 2 else s.argmax(axis=-1)
            return self.target.decode(self, chosen)
        p = self.predict_proba(X)
        if isinstance(p, list):
            chosen = [k[own.argmax(axis=1)] for k, own in zip(self.classes_, p, strict=True)]
            return np.column_stack(chosen)
        return self.target.decode(self, p.argmax(axis=1))

    def score(self, X: RowsLike, y: TargetsLike, sample_weight: WeightsLike | None = None) -> float:
        """Return the accuracy: the share of rows whose every column of y is right.

        Parameters
        ----------
        X : array-like or the container of this estimator's input
            Rows to predict.
        y : array-like of shape (n,) or (n, columns)
            Their labels.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        score : float
        """
        if isinstance(getattr(self, "classes_", None), list):
            right = (self.predict(X) == np.asarray(y)).all(axis=1)
            w = None if sample_weight is None else np.asarray(sample_weight, float)
            return float(np.average(right, weights=w))
        accuracy: float = super().score(X, y, sample_weight)
        return accuracy
