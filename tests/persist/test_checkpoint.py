"""Snapshots of a fit under way: whole files, true ones, from which a killed fit goes on."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.datasets import load_iris

import zoo
from zoo.conformance._case import Case
from zoo.conformance._suite import instance
from zoo.registry import entries, find

X, y = load_iris(return_X_y=True)


class Dies:
    """Ends a fit when its outermost loop begins a step."""

    def __init__(self, step):
        self.step = step

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        outermost = context.parent is not None and context.parent.task_name == "fit"
        if outermost and context.task_id == self.step:
            raise InterruptedError("the machine went down")

    def on_fit_task_end(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass


@pytest.mark.parametrize("name", [row["name"] for row in entries(capability="callbacks")])
def test_every_iterative_fit_leaves_a_file_that_answers(name, tmp_path):
    case, path = Case(instance(find(name))), tmp_path / "model.zoo"
    model = case.make().set_callbacks(zoo.Checkpoint(path), Dies(1))
    try:
        case.fit(on=model)
    except InterruptedError:
        # An agent keeps what it had learned; everything else is as it was.
        assert case.is_fitted(model) == case.has_role("Agent")
    loaded = zoo.load(path)
    for answer in case.answers(loaded).values():
        if isinstance(answer, np.ndarray) and answer.dtype.kind == "f":
            assert not np.isnan(answer).any()
    if "warm_start" in case.fields and "partial_fit" in case.capabilities:
        case.fit(on=loaded.set_params(warm_start=True))
        assert case.is_fitted(loaded)


def test_every_says_how_often_and_the_end_is_kept(tmp_path):
    path = tmp_path / "model.zoo"
    seen = []

    class Reads(Dies):
        def on_fit_task_end(self, estimator, context):
            seen.append(zoo.load(path).n_iter_ if path.exists() else 0)

    model = zoo.MLPClassifier(max_epochs=5, random_state=0)
    model.set_callbacks(zoo.Checkpoint(path, every=2), Reads(-1)).fit(X, y)
    assert seen == [0, 2, 2, 4, 4, 5]
    np.testing.assert_array_equal(zoo.load(path).predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("every", [0, 1.5, True, "2"])
def test_every_is_a_count(every):
    with pytest.raises(ValueError, match=r"every=.* is not accepted; give an integer >= 1"):
        zoo.Checkpoint("model.zoo", every=every)


def test_a_killed_fit_goes_on(tmp_path):
    path = tmp_path / "model.zoo"
    program = f"""
        import os, signal, zoo
        from sklearn.datasets import load_iris

        class Kills:
            def setup(self, estimator, context): pass
            def teardown(self, estimator, context): pass
            def on_fit_task_begin(self, estimator, context):
                if context.task_name == "epoch" and context.task_id == 20:
                    os.kill(os.getpid(), signal.SIGKILL)
            def on_fit_task_end(self, estimator, context): pass

        model = zoo.MLPClassifier(max_epochs=1000, lr=0.01, random_state=0)
        model.set_callbacks(zoo.Checkpoint({str(path)!r}), Kills()).fit(*load_iris(return_X_y=True))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    model = zoo.load(path)
    assert model.n_iter_ == 20
    before = model.history_["train_loss"]
    model.set_params(warm_start=True, max_epochs=30).fit(X, y)
    assert model.n_iter_ == 50
    np.testing.assert_array_equal(model.history_["train_loss"][:20], before)
    assert model.history_["train_loss"][-1] < 0.5 * before[-1]
