"""Where tasks run: here, in other processes, on a Dask or Ray cluster."""

import contextlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import joblib
from sklearn.utils.parallel import Parallel, delayed

from zoo.search._fold import Problem, Task
from zoo.search._plan import Plan


class Workers:
    """Runs tasks through joblib, here or elsewhere, and goes on when a worker is killed.

    After a loss the tasks that may have been under way run one at a time: the one during which
    workers die again is a failed task, the others lose nothing.
    """

    ATTEMPTS = 2  # alone, before a task is blamed

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._open = contextlib.ExitStack()
        self._options: dict[str, Any] = {}
        self._breaks: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __enter__(self) -> "Workers":
        plan = self.plan
        if plan.backend == "dask":
            self._options = {"backend": "dask", "client": self._dask_client()}
        elif plan.backend == "ray":
            self._join_ray()
            self._options = {"backend": "ray"}
        elif plan.backend is not None:
            self._options = {"backend": plan.backend}
        return self

    def __exit__(self, *details: Any) -> None:
        self._open.close()

    def _dask_client(self) -> Any:
        try:
            import distributed
        except ImportError as error:
            raise ImportError(
                "backend='dask' needs Dask; install it with: pip install 'sklearn-zoo[dask]'"
            ) from error
        self._breaks += (
            distributed.KilledWorker, distributed.comm.CommClosedError, CancelledError,
            distributed.client.FutureCancelledError,
        )  # fmt: skip
        if self.plan.address is not None:
            return self._open.enter_context(distributed.Client(self.plan.address, set_as_default=False))
        cluster = distributed.LocalCluster(
            n_workers=workers_of(self.plan), threads_per_worker=1, processes=True,
            dashboard_address=None, silence_logs=logging.CRITICAL,
        )  # fmt: skip
        self._open.enter_context(cluster)
        return self._open.enter_context(distributed.Client(cluster, set_as_default=False))

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
            with contextlib.suppress(*self._breaks):
                return [next(self._stream(work, problem, [task]))]
        nothing = dict.fromkeys(problem.metrics, math.nan)
        lost = {
            "scores": nothing, "train_scores": nothing if task.train_scores else None,
            "fit_seconds": math.nan, "score_seconds": math.nan, "n_train": 0, "n_valid": 0,
            "warnings": {}, "traceback": None,
            "error": f"the process that fitted it was killed, {self.ATTEMPTS} times out of {self.ATTEMPTS} "
            "when nothing else ran (out of memory, or a crash of compiled code)",
        }  # fmt: skip
        return [(other, lost) for other in waiting.values() if other.trial == task.trial]

    def _stream(
        self, work: Callable[[Problem, Task], Any], problem: Problem, tasks: Sequence[Task]
    ) -> Iterator[tuple[Task, Any]]:
        options = self._options
        n_jobs = None if self.plan.backend is None and self.plan.n_jobs is None else workers_of(self.plan)
        with joblib.parallel_config(n_jobs=n_jobs, **options) if options else contextlib.nullcontext():
            active, _ = joblib.parallel.get_active_backend()
            streams = active.supports_return_generator or isinstance(
                active, joblib.parallel.SequentialBackend
            )
            if options.get("backend") == "dask":
                # The result of a task, not scattered data: the scheduler makes it again when the
                # workers that held it are gone.
                active.data_futures = {id(problem): options["client"].submit(_same, problem, pure=False)}
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


def _same(value: Any) -> Any:
    return value


def workers_of(plan: Plan) -> int:
    return joblib.cpu_count() if plan.n_jobs == -1 else max(1, joblib.effective_n_jobs(plan.n_jobs))
