"""Which cells of a table are at fault: the sentence for data that cannot be read as numbers.

Nothing here is asked while all is well. When a table was refused, `fault` looks for the column that is
the cause, so that the message can name it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

READS_TEXT = "BoostingClassifier or BoostingRegressor"


def fault(X: Any, estimator: str, *, missing: bool) -> str | None:
    """Say in one sentence which column cannot be read, or return None where no column is the cause.

    Parameters
    ----------
    X : DataFrame or array
        The table that was refused.
    estimator : str
        Who refused it.
    missing : bool
        Whether NaN is accepted.
    """
    for name, column in _columns(X):
        sentence = _other_kind(name, str(getattr(column, "dtype", "")), estimator)
        if sentence:
            return sentence
        try:
            values = np.asarray(column, dtype=np.float64)
        except (TypeError, ValueError):
            return _not_numbers(name, column, estimator)
        bad = np.isinf(values) if missing else ~np.isfinite(values)
        if bad.any():
            return _not_finite(name, values, bad, estimator)
    return None


def _columns(X: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and values of every column of a DataFrame or an array; of nothing else."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        for j, name in enumerate(X.columns):
            yield repr(name), X.iloc[:, j] if hasattr(X, "iloc") else X[name]
    elif isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind != "c":
        for j in range(X.shape[1]):
            yield str(j), X[:, j]


def _other_kind(name: str, kind: str, estimator: str) -> str | None:
    """Say that a column is of a kind that numpy would turn into numbers without a meaning."""
    if kind.startswith(("datetime", "Datetime", "period")):
        return (
            f"column {name} of X holds dates ({kind}), which {estimator} cannot read; turn it into "
            "numbers, such as the days since a date, or the month."
        )
    if kind.startswith(("timedelta", "Duration")):
        return (
            f"column {name} of X holds spans of time ({kind}), which {estimator} cannot read; turn it "
            "into numbers, such as seconds."
        )
    if kind.startswith("complex"):
        # The first words are those of scikit-learn.
        return (
            f"Complex data not supported: column {name} of X holds complex numbers; give {estimator} "
            "the real and the imaginary part as two columns."
        )
    return None


def _not_numbers(name: str, column: Any, estimator: str) -> str | None:
    """Say what a column holds instead of numbers, and what to do about it."""
    value = next((v for v in column if not _is_number(v)), None)
    if isinstance(value, str):
        return (
            f"column {name} of X holds text ({str(value)!r}), which {estimator} cannot read; turn it into "
            f"numbers (OneHotEncoder, OrdinalEncoder, TfidfVectorizer), or use {READS_TEXT}, which "
            "read the categories of a DataFrame as they are."
        )
    if hasattr(column, "iloc"):
        return (
            f"column {name} of X holds objects of type {type(value).__name__}, which {estimator} cannot "
            "read; give numbers."
        )
    return None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _not_finite(name: str, values: np.ndarray, bad: np.ndarray, estimator: str) -> str:
    """Say where a column is NaN or infinite."""
    row = int(bad.argmax())
    where = f"column {name} of X has {int(bad.sum())}, the first in row {row}"
    if np.isnan(values[row]):
        return (
            f"Input X contains NaN: {where}. {estimator} takes no missing values; fill them "
            f"(SimpleImputer), drop them, or use {READS_TEXT}, which take them as they are."
        )
    return f"Input X contains infinity: {where}; clip it, or set it to NaN and treat it as missing."
