"""Extreme finite inputs, and a process of its own in which estimators meet them.

A compiled loop that never ends cannot be interrupted from Python, so fits run in a second process, which
is ended when it is late and started anew.
"""

import multiprocessing
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

Data = tuple[np.ndarray, np.ndarray, np.ndarray]  # X, y, w


def _x(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Data], Data]:
    return lambda data: (change(data[0]), data[1], None)


def _y(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Data], Data]:
    return lambda data: (data[0], change(data[1]), None)


def _w(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Data], Data]:
    return lambda data: (data[0], data[1], change(data[2]))


def _column(factor: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(X: np.ndarray) -> np.ndarray:
        X = X.astype(float)
        X[..., 0] *= factor
        return X

    return change


def _one(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(a: np.ndarray) -> np.ndarray:
        a = a.astype(float)
        a.flat[0] = value
        return a

    return change


INPUTS: dict[str, Callable[[Data], Data]] = {
    "X as float32 times 1e20": _x(lambda X: (X * 1e20).astype(np.float32)),
    "X as float32 times 1e25": _x(lambda X: (X * 1e25).astype(np.float32)),
    "X as float32 times 1e37": _x(lambda X: (X * 1e37).astype(np.float32)),
    "X as float32 times 1e-25": _x(lambda X: (X * 1e-25).astype(np.float32)),
    "X times 1e100": _x(lambda X: X * 1e100),
    "X times 1e160": _x(lambda X: X * 1e160),
    "X times 1e300": _x(lambda X: X * 1e300),
    "X at the largest number": _x(lambda X: np.sign(X) * np.finfo(float).max),
    "X times 1e-100": _x(lambda X: X * 1e-100),
    "X times 1e-170": _x(lambda X: X * 1e-170),
    "X of the smallest number": _x(lambda X: np.sign(X - X.mean()) * 5e-323),
    "X plus 1e15": _x(lambda X: X + 1e15),
    "X plus 1e300": _x(lambda X: X + 1e300),
    "one column times 1e160": _x(_column(1e160)),
    "one column times 1e-170": _x(_column(1e-170)),
    "one column of zeros": _x(_column(0.0)),
    "one cell 1e200": _x(_one(1e200)),
    "X constant": _x(lambda X: np.ones_like(X)),
    "X zero": _x(lambda X: np.zeros_like(X)),
    "X of one row repeated": _x(lambda X: np.repeat(X[:1], len(X), axis=0)),
    "y times 1e200": _y(lambda y: y * 1e200),
    "y times 1e-200": _y(lambda y: y * 1e-200),
    "y at the largest number": _y(lambda y: np.where(y > y.mean(), 1, -1) * np.finfo(float).max),
    "y plus 1e15": _y(lambda y: y + 1e15),
    "y constant": _y(lambda y: np.full(len(y), 3.0)),
    "weights 1e300": _w(lambda w: np.full(len(w), 1e300)),
    "weights 1e-300": _w(lambda w: np.full(len(w), 1e-300)),
    "weights of 1e-300 and 1e300": _w(lambda w: np.where(np.arange(len(w)) % 2, 1e300, 1e-300)),
    "one weight 1e300": _w(_one(1e300)),
}


def kind_of(name: str) -> str:
    """Say what an input changes: X, y or w."""
    return "w" if "weight" in name else "y" if name.startswith("y") else "X"


def _given(case: Any, name: str) -> dict[str, Any]:
    rng = np.random.RandomState(0)
    X, y = case.X, case.y
    if not case.has_role("Classifier") and y is not None:
        y = y + rng.normal(size=len(y))
    X, y, w = INPUTS[name]((X, y, np.ones(len(X))))
    given = {"X": X} if y is None else {"X": X, "y": y}
    return given if w is None else given | {"sample_weight": w}


def verdict(estimator: str, name: str) -> str:
    """Fit one estimator to one input and ask it; an empty string where all is well."""
    from sklearn.exceptions import ConvergenceWarning

    from zoo.conformance._case import Case
    from zoo.registry import find

    case = Case(find(estimator)())
    given = _given(case, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        warnings.filterwarnings("error", category=RuntimeWarning, module="zoo")
        try:
            fitted = case.make().fit(**given)
            answers = case.answers(fitted, given["X"])
        except ValueError as error:
            sentence = str(error).strip()
            return "" if sentence and "\n" not in sentence else f"ValueError without one sentence: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    for method, answer in answers.items():
        a = np.asarray(answer)
        allowed = np.isneginf(a) if method == "predict_log_proba" else False
        if a.dtype.kind == "f" and not (np.isfinite(a) | allowed).all():
            return f"{method} holds {a[~np.isfinite(a)].ravel()[0]}"
    return ""


def never(estimator: str, name: str) -> str:
    """Give no verdict, as a loop that does not end."""
    time.sleep(3600)
    return ""


def _answer(judge: Callable[[str, str], str], pipe: Any) -> None:
    import torch

    torch.set_num_threads(1)
    while True:
        with suppress(BrokenPipeError):
            pipe.send(judge(*pipe.recv()))


class Watched:
    """A process that gives verdicts, and is replaced when one is late."""

    def __init__(self, judge: Callable[[str, str], str] = verdict) -> None:
        self._judge = judge
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_answer, args=(self._judge, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def verdict(self, estimator: str, name: str, seconds: float = 120.0) -> str:
        """Return the verdict, or that it did not come."""
        self._pipe.send((estimator, name))
        try:
            if self._pipe.poll(seconds):
                answer: str = self._pipe.recv()
                return answer
            said = f"did not end in {seconds:g} seconds"
        except EOFError:
            said = "ended the process"
        self.close()
        self._start()
        return said

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
