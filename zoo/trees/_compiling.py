"""One line on the terminal when kernels are compiled, so that nobody waits without knowing why."""

import sys
from typing import Any

from numba.core import event


class _Word(event.Listener):
    """Say once a process that kernels of this family are being compiled; a warm cache is silent."""

    said = False
    watching = False

    def on_start(self, event: Any) -> None:
        module = event.data["dispatcher"].py_func.__module__
        if self.said or not module.startswith("zoo.trees"):
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


_word = _Word()


def announce() -> None:
    """Watch numba from now on; modules with kernels call this when they are imported."""
    if not _word.watching:
        event.register("numba:compile", _word)
        _word.watching = True
