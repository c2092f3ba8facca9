r"""Training by several processes that share each batch.

All of them hold the whole data and draw the same order of rows from the same seed, so each knows
every batch without being told, and computes the gradients of its share of the rows. What is summed
over the processes, once a step, is the gradient weighed by the share:

.. math:: \nabla L = \sum_r \frac{W_r}{W} \nabla L_r, \qquad W_r = \sum_{i \in r} w_i .

Where the loss of a batch is an average over its rows, this is the gradient of the whole batch, and
the weights after a step are those of a single process up to rounding. Noise (dropout and the like)
is drawn by each process for its own rows, and batch normalisation takes the statistics of a share,
as in torch's DistributedDataParallel; running statistics are averaged at the end of each epoch.

Start the processes here with `fit`, or elsewhere (``torchrun``, ``accelerate launch``, a cluster's own
launcher) and let each run ``with parallel.group(): model.fit(X, y)``.
"""

import contextlib
import multiprocessing
import os
import pickle
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from zoo.engines.neural.rows import Batch, row_count

__all__ = ["Share", "current", "fit", "group"]

_current: "Share | None" = None


class Share:
    """One process among several: which rows of a batch are its own, and the sum over all."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def begin(self, net: Any, n_rows: int) -> None:
        """Give every process the weights of the first one, and noise of its own."""
        if not net._unchanged("train_step", "train_step_single"):
            raise ValueError(
                f"{type(net).__name__} has a training step of its own, which cannot be shared among "
                "processes; fit it in one process."
            )
        if net.parts is not None:
            raise ValueError(
                f"{type(net).__name__} trains several parts in turn, which cannot be shared among "
                "processes; fit it in one process."
            )
        tensors = [t.detach() for t in (*net.module_.parameters(), *net.module_.buffers())]
        device = tensors[0].device
        ends = torch.tensor([net.seed, -net.seed, n_rows, -n_rows], device=device)
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        if ends[0] != -ends[1] or ends[2] != -ends[3]:
            raise ValueError(
                "the processes have different seeds or different numbers of rows; give all of them the whole "
                "data and the same integer as random_state."
            )
        for tensor in tensors:
            dist.broadcast(tensor, 0)
        noise = net.noise_generator_
        drawn = torch.randint(2**62, (), generator=noise, device=noise.device)
        noise.manual_seed(int(drawn) + self.rank)

    def step(self, net: Any, batch: Any, alone: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Compute the gradients and the loss of the whole batch, with the other processes.

        ``alone(rows)`` is the step of one process.
        """
        mine, share = self._mine(batch)
        step = alone(mine)
        with torch.no_grad():
            gradients = [p.grad for _, p in net.get_all_learnable_params() if p.grad is not None]
            # One message a step: all gradients, and the loss behind them.
            loss = step["loss"].detach()
            message = torch.cat([*(g.flatten() for g in gradients), loss.reshape(1).to(gradients[0])])
            message.mul_(share)
            dist.all_reduce(message)
            start = 0
            for g in gradients:
                g.copy_(message[start : start + g.numel()].view_as(g))
                start += g.numel()
            step["loss"] = message[-1]
        return step

    def _mine(self, batch: Any) -> tuple[Any, float]:
        """Return the rows of this process and their share of the weight."""
        n = row_count(batch[0])
        rows = slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)
        empty = rows.start == rows.stop
        if empty:
            # Fewer rows than processes: this one computes a row and contributes nothing.
            rows = slice(0, 1)
        mine = Batch((_cut(batch[0], rows), _cut(batch[1], rows)))
        w = getattr(batch, "w", None)
        if w is None:
            return mine, 0.0 if empty else (rows.stop - rows.start) / n
        mine.w = w[rows]
        return mine, 0.0 if empty else float(mine.w.sum() / w.sum())

    def end_epoch(self, net: Any) -> None:
        """Average what the modules observed of their own rows."""
        for buffer in net.module_.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= self.size


def _cut(value: Any, rows: slice) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _cut(part, rows) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cut(part, rows) for part in value)
    return value[rows]


def current() -> Share | None:
    """Return the share of this process in the group that is open, or None."""
    return _current


@contextlib.contextmanager
def group(backend: str | None = None, *, timeout: float = 1800.0, **options: Any) -> Iterator[Share]:
    """Share the batches of every fit inside with the other processes of a torch.distributed group.

    Parameters
    ----------
    backend : str, optional
        "gloo" or "nccl"; by default gloo for what is on the CPU and nccl for what is on a GPU. Not
        used when the process has joined a group already.
    timeout : float, default=1800
        Seconds to wait for the others.
    **options
        Of ``torch.distributed.init_process_group``; without any the environment tells, as
        ``torchrun`` sets it.
    """
    global _current
    mine = not dist.is_initialized()
    if mine:
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout), **options)
    before = _current
    _current = Share(dist.get_rank(), dist.get_world_size())
    try:
        yield _current
    finally:
        _current = before
        if mine:
            dist.destroy_process_group()


def fit(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    processes: int = 2,
    backend: str | None = None,
    timeout: float = 1800.0,
    **fit_params: Any,
) -> Any:
    """Fit a torch estimator by several processes of this machine.

    Parameters
    ----------
    estimator : estimator
        One that trains a network, or a pipeline that ends in one; it is not changed. With a
        ``random_state`` of None the processes agree on a seed.
    X, y : data
        As for ``fit``; every process gets a copy.
    processes : int, default=2
        How many; with ``device="cuda"`` they take the GPUs in turn.
    backend : {"gloo", "nccl"}, optional
        How they talk; by default nccl on GPUs of their own, else gloo.
    timeout : float, default=1800
        Seconds after which a process that waits for another gives up.
    **fit_params
        Such as ``sample_weight``.

    Returns
    -------
    estimator : estimator
        A fitted copy.

    Notes
    -----
    New processes import the main module: call this under ``if __name__ == "__main__":`` in a script.
    A small network trains faster in one process: a step here costs a message, about 0.1 ms on one
    machine.
    """
    if not isinstance(processes, int) or processes < 1:
        raise ValueError(f"processes={processes!r} is not accepted; give an integer >= 1.")
    from sklearn.base import clone

    estimator = clone(estimator)
    seeds = {
        name: int(torch.empty((), dtype=torch.int64).random_(2**31, generator=_fresh()))
        for name, value in estimator.get_params().items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    estimator.set_params(**seeds)
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder, "meeting").as_uri()
        ends: list[Connection] = []
        workers = []
        try:
            for rank in range(processes):
                ours, theirs = context.Pipe(duplex=False)
                task = (estimator, X, y, fit_params, rank, processes, backend, timeout, meeting)
                worker = context.Process(target=_work, args=(theirs, task), daemon=True)
                worker.start()
                theirs.close()
                ends.append(ours)
                workers.append(worker)
            return _collected(ends, workers)
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join()


def _fresh() -> torch.Generator:
    generator = torch.Generator()
    generator.seed()
    return generator


def _collected(ends: list[Connection], workers: list[Any]) -> Any:
    """Wait for all processes and return the estimator of the first; raise what any of them raised."""
    fitted = None
    waiting = dict(zip(ends, range(len(ends)), strict=True))
    while waiting:
        for end in wait(list(waiting)):
            assert isinstance(end, Connection)
            rank = waiting.pop(end)
            try:
                error, text, result = pickle.loads(end.recv_bytes())
            except EOFError:
                workers[rank].join()
                raise RuntimeError(
                    f"process {rank} of {len(ends)} ended with code {workers[rank].exitcode} before it was "
                    "done, so nothing was learned; fit again, in fewer processes if memory was short."
                ) from None
            if error is not None:
                error.add_note(f"In process {rank} of {len(ends)}:\n{text}")
                raise error
            if rank == 0:
                fitted = result
    return fitted


def _work(end: Connection, task: tuple[Any, ...]) -> None:
    """Fit in a process of the group, and send the outcome."""
    estimator, X, y, fit_params, rank, processes, backend, timeout, meeting = task
    try:
        cuda = [n for n, v in estimator.get_params().items() if n.endswith("device") and v == "cuda"]
        if cuda:
            count = torch.cuda.device_count()
            torch.cuda.set_device(rank % count)
            estimator.set_params(**dict.fromkeys(cuda, f"cuda:{rank % count}"))
            if processes > count:
                backend = backend or "gloo"  # nccl refuses two processes on one GPU
        elif sys.platform == "linux":
            # By its name the machine may not find itself.
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        if rank:
            params = estimator.get_params().items()
            estimator.set_params(
                **{name: type(v)(0) for name, v in params if name.rpartition("__")[2] == "verbose"}
            )
        with group(backend, timeout=timeout, init_method=meeting, rank=rank, world_size=processes):
            estimator.fit(X, y, **fit_params)
        if cuda:
            estimator.set_params(**dict.fromkeys(cuda, "cuda"))
        # Pickled here: multiprocessing would pass tensors in memory that ends with this process.
        end.send_bytes(pickle.dumps((None, None, estimator if rank == 0 else None)))
    except Exception as error:
        end.send_bytes(pickle.dumps((_sendable(error), traceback.format_exc(), None)))


def _sendable(error: Exception) -> Exception:
    """Return the error, or one like it where it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
