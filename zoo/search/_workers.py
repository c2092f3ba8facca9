"""Where tasks run: here, in other processes, on a Dask or Ray cluster."""

import contextlib
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import joblib
import sklearn
from sklearn.utils.parallel import Parallel, delayed

from zoo.search._fold import Problem, Task
from zoo.search._plan import Plan


class Workers:
    """Runs tasks through joblib, here or elsewhere, and goes on when a worker is killed.

    After a loss the tasks that may have been under way run one at a time: the one during which
    workers die again is a failed task, the others lose nothing.
    """

    ATTEMPTS = 2  # alone, before a task is blamed
    PATIENCE = 30.0  # seconds without any worker

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._open = contextlib.ExitStack()
        self._options: dict[str, Any] = {}
        self._dask: Any = None
        self._breaks: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __enter__(self) -> "Workers":
        plan = self.plan
        if plan.backend == "dask":
            self._begin_dask()
        elif plan.backend == "ray":
            self._join_ray()
            self._options = {"backend": "ray"}
        elif plan.backend is not None:
            self._options = {"backend": plan.backend}
        return self

    def __exit__(self, *details: Any) -> None:
        self._open.close()

    def _begin_dask(self) -> None:
        try:
            import dask
            import distributed
        except ImportError as error:
            raise ImportError(
                "backend='dask' needs Dask; install it with: pip install 'sklearn-zoo[dask]'"
            ) from error
        self._breaks = (
            BrokenProcessPool, distributed.KilledWorker, distributed.comm.CommClosedError,
            CancelledError, distributed.client.FutureCancelledError,
        )  # fmt: skip
        address: Any = self.plan.address
        if address is None:
            # A task that kills its worker is tried again here, alone, and not three times beside others.
            with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
                address = self._open.enter_context(
                    distributed.LocalCluster(
                        n_workers=workers_of(self.plan), threads_per_worker=1, processes=True,
                        dashboard_address=None, silence_logs=logging.CRITICAL,
                    )
                )  # fmt: skip
        self._dask = self._open.enter_context(distributed.Client(address, set_as_default=False))

    def _mend(self) -> None:
        """After a loss, start a cluster of our own anew: workers that died often are not replaced."""
        if self._dask is not None and self.plan.address is None:
            self._open.close()
            self._begin_dask()

    def _join_ray(self) -> None:
        try:
            import ray
            from ray.util.joblib import register_ray
        except ImportError as error:
            raise ImportError(
                "backend='ray' needs Ray; install it with: pip install 'sklearn-zoo[ray]'"
            ) from error
        if not ray.is_initialized():
            alone = self.plan.address is None
            ray.init(
                address=self.plan.address, num_cpus=workers_of(self.plan) if alone else None,
                log_to_driver=False, include_dashboard=False if alone else None,
            )  # fmt: skip
            self._open.callback(ray.shutdown)
        self._breaks += (ray.exceptions.RayError,)
        register_ray()

    def run(
        self, work: Callable[[Problem, Task], Any], problem: Problem, tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Any]]:
        """Yield each task with its result, in the order in which they finish."""
        waiting = {(task.trial, task.fold): task for task in tasks}
        while waiting:
            try:
                for task, result in self._stream(work, problem, list(waiting.values())):
                    del waiting[task.trial, task.fold]
                    yield task, result
            except self._breaks as error:
                under_way = list(waiting.values())[: 2 * workers_of(self.plan) + 2]
                warnings.warn(
                    f"a worker was lost ({type(error).__name__}); {len(waiting)} of {len(tasks)} tasks are "
                    "left and run again.",
                    UserWarning,
                    stacklevel=2,
                )
                self._mend()
                for task in under_way:
                    if (task.trial, task.fold) in waiting:
                        for done in self._alone(work, problem, task, waiting):
                            del waiting[done[0].trial, done[0].fold]
                            yield done

    def _alone(
        self,
        work: Callable[[Problem, Task], Any],
        problem: Problem,
        task: Task,
        waiting: Mapping[tuple[int, int], Task],
    ) -> list[tuple[Task, Any]]:
        """Run one task by itself; when that kills workers too, its whole trial has failed."""
        for _ in range(self.ATTEMPTS):
            try:
                return list(self._stream(work, problem, [task]))
            except self._breaks:
                self._mend()
        nothing = dict.fromkeys(problem.metrics, math.nan)
        lost = {
            "scores": nothing, "train_scores": nothing if task.train_scores else None,
            "fit_seconds": math.nan, "score_seconds": math.nan, "n_train": 0, "n_valid": 0,
            "warnings": {}, "traceback": None,
            "error": f"the process that fitted it was killed, {self.ATTEMPTS} times out of {self.ATTEMPTS} "
            "when nothing else ran (out of memory, or a crash of compiled code)",
        }  # fmt: skip
        return [(other, lost) for other in waiting.values() if other.trial == task.trial]

    def _stream_dask(
        self, work: Callable[[Problem, Task], Any], problem: Problem, tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Any]]:
        """Submit to Dask itself: joblib waits forever for a task whose workers were killed."""
        from distributed import TimeoutError as TooLate

        # The result of a task, not scattered data: the scheduler makes it again when the workers
        # that held it are gone.
        data = self._dask.submit(_same, problem, pure=False)
        config = sklearn.get_config()
        waiting = [self._dask.submit(_under, config, work, data, task, pure=False) for task in tasks]
        lost: BaseException | None = None
        last = time.monotonic()
        try:
            while waiting:
                done = [future for future in waiting if future.status != "pending"]
                for future in done:
                    if future.status == "finished":
                        try:
                            result = future.result(timeout=10)
                        except TooLate:
                            continue  # its worker died with it: it is computed again
                        yield result
                    else:
                        lost = future.exception() if future.status == "error" else CancelledError()
                    waiting.remove(future)
                    last = time.monotonic()
                if not done:
                    time.sleep(0.01)
                    self._look_for_workers(time.monotonic() - last)
        finally:
            self._dask.cancel(waiting)
        if lost is not None:
            raise lost

    def _look_for_workers(self, seconds: float) -> None:
        """Give up on a cluster of our own that has had no worker for long."""
        if self.plan.address is None and seconds > self.PATIENCE and not self._dask.ncores():
            raise CancelledError("the cluster has no worker left")

    def _stream(
        self, work: Callable[[Problem, Task], Any], problem: Problem, tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Any]]:
        if self._dask is not None:
            yield from self._stream_dask(work, problem, tasks)
            return
        options = self._options
        n_jobs = None if self.plan.backend is None and self.plan.n_jobs is None else workers_of(self.plan)
        with joblib.parallel_config(n_jobs=n_jobs, **options) if options else contextlib.nullcontext():
            active, _ = joblib.parallel.get_active_backend()
            streams = active.supports_return_generator or isinstance(
                active, joblib.parallel.SequentialBackend
            )
            # Ray returns nothing before everything is done, so it gets a few tasks at a time.
            parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered" if streams else "list")
        size = max(1, len(tasks) if streams else 2 * workers_of(self.plan))
        for i in range(0, len(tasks), size):
            results = parallel(delayed(work)(problem, task) for task in tasks[i : i + size])
            try:
                yield from results
            finally:
                if hasattr(results, "close"):
                    results.close()


# Used on Dask.


def _same(value: Any) -> Any:
    return value


def _under(config: dict[str, Any], work: Callable[[Problem, Task], Any], problem: Problem, task: Task) -> Any:
    with sklearn.config_context(**config):
        return work(problem, task)


def workers_of(plan: Plan) -> int:
    return joblib.cpu_count() if plan.n_jobs == -1 else max(1, joblib.effective_n_jobs(plan.n_jobs))
