"""The loop counter of ``_learn`` and its bridge to scikit-learn's callbacks."""

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Steps:
    """The loop counter of ``_learn`` and its bridge to scikit-learn's callbacks.

    Loops nest, and follow each other as stages: ``for i in steps(n, "pretraining", once=True)``, then
    ``for i in steps(m, "epoch")``. They run the same whether anybody looks or not. A level that is
    left by ``break`` is closed when the next begins, when the level above moves on, or when ``_learn``
    returns.

    In ``partial_fit`` every stage takes one step, whatever nests in it runs whole, and a stage that is
    gone through ``once`` belongs to the first call: it runs whole there, and later not at all.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        w: Any = None,
        limit: int | None = None,
        resume: bool = False,
    ) -> None:
        self._estimator = estimator
        self._data = {"X": X, "y": y, "metadata": None if w is None else {"sample_weight": w}}
        self._limit = limit
        self._resume = resume
        self._root: Any = None
        self._open: list[_Level] = []

    @property
    def one_pass(self) -> bool:
        """Whether this is ``partial_fit``: each stage ends after its first step."""
        return self._limit == 1

    @property
    def watched(self) -> bool:
        """Whether anybody looks at the steps, so that a fitted snapshot is worth its price."""
        return bool(getattr(self._estimator, "_skl_callbacks", None))

    def __call__(
        self,
        n: int | None,
        name: str = "iteration",
        *,
        inner: int | None = 0,
        once: bool = False,
    ) -> Iterator[int]:
        """Count n steps (None: until the body breaks); ``inner`` steps nest in each of them.

        ``once`` marks a stage that is not gone through again when fitting goes on.
        """
        left = [depth for depth, level in enumerate(self._open) if level.left]
        if left:
            self._close(left[0])
        if once and self._resume:
            n = 0
        elif self._limit is not None and not self._open and not once:
            n = self._limit if n is None else min(n, self._limit)
        if self.watched and not self._open:
            self._begin_stage(n)
        return self._loop(n, name, inner)

    def _loop(self, n: int | None, name: str, inner: int | None) -> Iterator[int]:
        depth = len(self._open)
        level = _Level()
        try:
            for i in itertools.count() if n is None else range(n):
                if self.watched:
                    parent = self._open[-1].context if self._open else self._root
                    level.context = parent.subcontext(task_name=name, max_subtasks=inner)
                    level.context.call_on_fit_task_begin(estimator=self._estimator, **self._data)
                self._open.append(level)
                yield i
                if self._close(depth):
                    return
        except GeneratorExit:
            level.left = True
            raise

    def _close(self, depth: int) -> bool:
        """End the levels above ``depth``; tell whether a callback of the lowest asked to stop."""
        stop = False
        while len(self._open) > depth:
            level = self._open.pop()
            stop = level.context is not None and self._end(level.context)
        return stop

    def _begin_stage(self, n: int | None) -> None:
        if self._root is None:
            self._begin_fit(n)
        elif n is None:
            self._root.max_subtasks = None
        elif self._root.max_subtasks is not None:
            self._root.max_subtasks += n

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
        if not self.watched:
            return nullcontext()
        if self._root is None:
            self._begin_fit(None)
        context = self._open[-1].context if self._open else self._root
        handed: AbstractContextManager[None] = context.propagate_callback_context(held)
        return handed

    def finish(self) -> None:
        """Close what is open; called after ``_learn`` returned, not after it raised."""
        if self.watched:
            if self._root is None:
                self._begin_fit(0)
            self._close(0)
            self._end(self._root)


class _Level:
    """One loop that has begun: the context of its step, and whether it was left by ``break``."""

    context: Any = None
    left: bool = False
