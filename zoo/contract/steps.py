"""The loop counter of ``_learn`` and its bridge to scikit-learn's callbacks."""

import itertools
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Steps:
    """The loop counter of ``_learn`` and its bridge to scikit-learn's callbacks.

    With no callbacks set it hands out a plain range, so it costs nothing. A level that is left by
    ``break`` is closed when the level above moves on, or when ``_learn`` returns.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, w: Any = None, limit: int | None = None
    ) -> None:
        self._estimator = estimator
        self._data = {"X": X, "y": y, "metadata": None if w is None else {"sample_weight": w}}
        self._limit = limit
        self._root: Any = None
        self._open: list[Any] = []

    @property
    def one_pass(self) -> bool:
        """Whether this is ``partial_fit``: the loop ends after its first step."""
        return self._limit == 1

    def __call__(
        self, n: int | None, name: str = "iteration", *, inner: int | None = 0
    ) -> Iterable[int]:
        """Count n steps (None: until the body breaks); ``inner`` steps nest in each of them."""
        if self._limit is not None and not self._open:
            n = self._limit if n is None else min(n, self._limit)
        if not getattr(self._estimator, "_skl_callbacks", None):
            return itertools.count() if n is None else range(n)
        if self._root is None:
            self._begin_fit(n)
        elif not self._open:
            raise RuntimeError(
                f"{type(self._estimator).__name__}._learn opens a second top-level loop; nest both "
                "in one: steps(k, 'phase', inner=n)."
            )
        return self._loop(n, name, inner)

    def _loop(self, n: int | None, name: str, inner: int | None) -> Iterable[int]:
        depth = len(self._open)
        parent = self._open[-1] if self._open else self._root
        for i in itertools.count() if n is None else range(n):
            context = parent.subcontext(task_name=name, max_subtasks=inner)
            context.call_on_fit_task_begin(estimator=self._estimator, **self._data)
            self._open.append(context)
            yield i
            if self._close(depth):
                return

    def _close(self, depth: int) -> bool:
        """End the contexts above ``depth``; tell whether a callback of the lowest asked to stop."""
        stop = False
        while len(self._open) > depth:
            stop = self._end(self._open.pop())
        return stop

    def _begin_fit(self, n: int | None) -> None:
        self._root = self._estimator._init_callback_context(max_subtasks=n)
        self._root.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def _end(self, context: Any) -> bool:
        return bool(
            context.call_on_fit_task_end(
                estimator=self._estimator,
                # The copy that callbacks get is fitted although the original is not done yet.
                reconstruction_attributes=lambda: {"_fitted_": True},
                **self._data,
            )
        )

    def hand_on(self, held: Any) -> AbstractContextManager[None]:
        """Let the callbacks of this fit see inside the fit of an estimator that is held."""
        if not getattr(self._estimator, "_skl_callbacks", None):
            return nullcontext()
        if self._root is None:
            self._begin_fit(None)
        context = self._open[-1] if self._open else self._root
        handed: AbstractContextManager[None] = context.propagate_callback_context(held)
        return handed

    def finish(self) -> None:
        """Close what is open; called after ``_learn`` returned, not after it raised."""
        if getattr(self._estimator, "_skl_callbacks", None):
            if self._root is None:
                self._begin_fit(0)
            self._close(0)
            self._end(self._root)
