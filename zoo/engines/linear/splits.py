"""Cross-validation inside an estimator: the fields ``cv`` and ``scoring`` and what they mean."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import numpy as np
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import Tags, TargetTags

from zoo.contract.params import Check, Fixed


def _means_splits(value: Any) -> bool:
    if value is None or isinstance(value, bool | np.bool_ | str):
        return value is None
    if isinstance(value, int | np.integer):
        return bool(value >= 2)
    return hasattr(value, "split") or isinstance(value, Iterable)


Splits = Annotated[
    Any,
    Check(
        _means_splits,
        "None, an integer >= 2, a splitter of scikit-learn or an iterable of (train, test)",
    ),
    Fixed("it sets the estimate"),
]


def splits_of(
    name: str, cv: Any, X: Any, y: np.ndarray, kept: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the pairs (train, test) of row numbers that ``cv`` means, as in scikit-learn.

    Rows of weight 0 are absent from X: integers and splitters split the others. Pairs that are
    given name rows as the user counts them; ``kept`` are the numbers of the rows that X has.
    """
    n = X.shape[0]
    if isinstance(cv, int | np.integer) and cv > n:
        raise ValueError(f"{name}: cv={cv} was given for n_samples={n}; give an integer from 2 to {n}.")
    given = not (cv is None or isinstance(cv, int | np.integer) or hasattr(cv, "split"))
    pairs = []
    for pair in check_cv(cv, y, classifier=False).split(X, y):
        rows = (np.asarray(part) for part in pair)
        train, test = (np.flatnonzero(part) if part.dtype == bool else part for part in rows)
        if given and kept is not None:
            train, test = (np.flatnonzero(np.isin(kept, part)) for part in (train, test))
        if not len(train) or not len(test):
            raise ValueError(f"{name}: cv gave a split without rows to train on or to test on; change cv.")
        if max(train.max(), test.max()) >= n:
            raise ValueError(
                f"{name}: cv names row {max(train.max(), test.max())}, but X has {n}; give rows that it has."
            )
        pairs.append((train, test))
    if not pairs:
        raise ValueError(f"{name}: cv={cv!r} gave no split; give at least one pair (train, test).")
    return pairs


Scoring = Annotated[
    Any,
    Check(
        lambda value: value is None or callable(value) or value in get_scorer_names(),
        "None, the name of a scorer of scikit-learn or a callable (estimator, X, y)",
    ),
    Fixed("it sets the estimate"),
]


class _Predicted:
    """An estimator whose X are its predictions, for scorers."""

    def __sklearn_tags__(self) -> Tags:
        return Tags(estimator_type="regressor", target_tags=TargetTags(required=True))

    def predict(self, X: Any) -> Any:
        """Return X."""
        return X


def scorer_of(scoring: Any) -> Callable[[Any, Any, Any], float]:
    """Return (truth, prediction, weights or None) -> score, for a name or a scorer."""
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring

    def score(y: np.ndarray, s: np.ndarray, w: np.ndarray | None) -> float:
        y, s = (a[:, 0] if a.shape[1] == 1 else a for a in (y, s))
        given = {} if w is None else {"sample_weight": w}
        return float(scorer(_Predicted(), s, y, **given))

    return score
