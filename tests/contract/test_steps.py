"""Loops of ``_learn`` run the same whether anybody looks or not."""

from typing import Any

import numpy as np
import pytest

from zoo.contract.roles import Regressor
from zoo.contract.steps import Steps

X = np.arange(8.0)[:, None]
Y = X[:, 0]


class Silent:
    """An estimator without callbacks."""


class Recorder:
    """Writes down which steps begin and end."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.began, self.ended = [], []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.began.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)
        return self.ended.count(context.task_name) == self.stop_after

    def teardown(self, estimator, context):
        pass


class Stages(Regressor):
    """Two stages, the second with steps that nest."""

    max_iter: int = 3
    leave_at: int = -1
    warm_start: bool = False

    def _learn(self, X: Any, y: Any, resume: bool, steps: Any) -> None:
        if not resume:
            self.seen_ = []
        for i in steps(2, "pretraining", once=True):
            self.seen_.append(("pretraining", i))
        for i in steps(self.max_iter, "epoch", inner=2):
            if i == self.leave_at:
                break
            for j in steps(2, "batch"):
                self.seen_.append(("batch", i, j))
        for i in steps(1, "polish"):
            self.seen_.append(("polish", i))

    def _output(self, X: Any) -> np.ndarray:
        return X[:, 0]


PRETRAINING = [("pretraining", 0), ("pretraining", 1)]


def batches(n):
    return [("batch", i, j) for i in range(n) for j in range(2)]


@pytest.mark.parametrize("watched", [False, True])
class TestStages:
    def model(self, watched, **params):
        model = Stages(**params)
        if watched:
            self.recorder = Recorder()
            model.set_callbacks(self.recorder)
        return model

    def test_follow_each_other(self, watched):
        model = self.model(watched).fit(X, Y)
        assert model.seen_ == [*PRETRAINING, *batches(3), ("polish", 0)]
        if watched:
            expected = ["pretraining"] * 2 + ["epoch", "batch", "batch"] * 3 + ["polish"]
            assert self.recorder.began == ["fit", *expected]
            assert sorted(self.recorder.ended) == sorted(self.recorder.began)
            assert self.recorder.ended[-1] == "fit"

    def test_a_stage_left_by_break_is_closed_before_the_next(self, watched):
        model = self.model(watched, leave_at=1).fit(X, Y)
        assert model.seen_ == [*PRETRAINING, *batches(1), ("polish", 0)]
        if watched:
            assert self.recorder.ended[-4:] == ["epoch", "epoch", "polish", "fit"]

    def test_partial_fit_is_one_step_of_each_and_all_that_nests_in_it(self, watched):
        model = self.model(watched)
        model.partial_fit(X, Y)
        assert model.seen_ == [*PRETRAINING, *batches(1), ("polish", 0)]
        model.partial_fit(X, Y)
        assert model.seen_[5:] == [*batches(1), ("polish", 0)]

    def test_a_warm_start_goes_through_nothing_once_more(self, watched):
        model = self.model(watched, warm_start=True).fit(X, Y).fit(X, Y)
        assert model.seen_[9:] == [*batches(3), ("polish", 0)]


def test_a_callback_ends_the_stage_that_it_saw():
    model = Stages().set_callbacks(Recorder(stop_after=1)).fit(X, Y)
    assert model.seen_ == [("pretraining", 0), ("batch", 0, 0), ("polish", 0)]


def test_endless_steps_and_limits():
    assert list(Steps(Silent(), None, None)(3)) == [0, 1, 2]
    endless = iter(Steps(Silent(), None, None)(None))
    assert [next(endless) for _ in range(3)] == [0, 1, 2]
    steps = Steps(Silent(), None, None, limit=1)
    assert list(steps(7)) == [0]
    assert list(steps(None)) == [0]


def test_steps_know_whether_they_are_watched():
    seen = []

    class Asks(Regressor):
        """Ask."""

        def _learn(self, X: Any, y: Any, steps: Any) -> None:
            seen.append(steps.watched)

    Asks().fit(X, Y)
    Asks().set_callbacks(Recorder()).fit(X, Y)
    assert seen == [False, True]
