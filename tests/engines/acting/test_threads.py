"""Threads are one while an agent works, and what they were afterwards."""

import pytest
from corridor import Corridor, agent
from threadpoolctl import threadpool_info

from zoo.engines.acting.threads import one_thread


def blas_threads():
    return sorted(p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas")


def test_threads_are_one_while_learning_and_restored_after_errors():
    before = blas_threads()
    during = []

    class Watching(Corridor):
        def step(self, action):
            during.append(max(blas_threads()))
            if len(during) == 5:
                raise OSError("the robot fell over")
            return super().step(action)

    with pytest.raises(OSError, match="fell over"):
        agent(Watching, n_envs=1).fit()
    assert set(during) == {1}
    assert blas_threads() == before
    with one_thread, one_thread:
        pass
    assert blas_threads() == before
