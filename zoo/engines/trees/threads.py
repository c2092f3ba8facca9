"""How many threads ``n_jobs`` asks for."""

import os


def cores(n_jobs):
    """Threads that are asked for: None or -1 are all processors that this process may use."""
    have = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    n_jobs = -1 if n_jobs is None or n_jobs == 0 else n_jobs
    return max(1, have + 1 + n_jobs) if n_jobs < 0 else n_jobs
