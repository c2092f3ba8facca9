"""What happens while kernels are compiled or loaded: one line on the terminal, no garbage collection.

Numba makes a million small objects that stay. Without the collector, which would look at all of them
again and again, it is imported and its kernels are loaded in half the time, and compiled in five
sixths of it.
"""

import gc
import sys
import threading
from typing import Any


class _Collector:
    """The garbage collector, off while anybody compiles."""

    def __init__(self) -> None:
        self.lock, self.pauses, self.was_on = threading.Lock(), 0, False

    def pause(self) -> None:
        with self.lock:
            if self.pauses == 0:
                self.was_on = gc.isenabled()
                gc.disable()
            self.pauses += 1

    def go_on(self) -> None:
        with self.lock:
            self.pauses -= 1
            if self.pauses == 0 and self.was_on:
                gc.enable()


_collector = _Collector()
_collector.pause()
try:
    from numba.core import event
finally:
    _collector.go_on()


class _Pause(event.Listener):
    """Pause the collector while numba compiles or loads."""

    def on_start(self, event: Any) -> None:
        _collector.pause()

    def on_end(self, event: Any) -> None:
        _collector.go_on()


class _Word(event.Listener):
    """Say once a process that kernels of this family are being compiled; a warm cache is silent."""

    said = False

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if self.said or not module.startswith("zoo.engines.trees"):
            return
        self.said = True
        if sys.stderr is not None:
            print(
                "zoo.trees: compiling, once for this machine and version; zoo.trees.warmup() does it early.",
                file=sys.stderr,
                flush=True,
            )

    def on_end(self, event: Any) -> None:
        """Nothing: one line is enough."""


_watching: list[event.Listener] = []


def announce() -> None:
    """Watch numba from now on; modules with kernels call this when they are imported."""
    if not _watching:
        _watching.extend([_Pause(), _Word()])
        event.register("numba:compiler_lock", _watching[0])
        event.register("numba:compile", _watching[1])
