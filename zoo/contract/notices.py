"""Warnings that point at the user's line, however deep inside the zoo they arise."""

import sys
import warnings

# Packages between the user's call and the place that has something to say.
INSIDE = ("zoo", "sklearn", "skorch", "joblib", "contextlib", "functools", "threading", "concurrent")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as the line would that called into the zoo.

    Parameters
    ----------
    message : str
        A sentence.
    category : type
        The class of the warning.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).split(".")[0] in INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)
