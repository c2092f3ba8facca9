"""Threads while agents act and learn."""

import contextlib
import threading
from typing import Any


class _OneThread(contextlib.ContextDecorator):
    """Keep BLAS on one thread while any agent works: a 64-64 network only waits for the others.

    The limit belongs to the process, so it is counted: the last one out restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limits: Any = None

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            if self._inside == 0:
                self._limits = threadpool_limits(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limits.restore_original_limits()


one_thread = _OneThread()
