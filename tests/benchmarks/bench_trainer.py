"""The Trainer against stock skorch: process CPU time a batch, one thread, rounds interleaved.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_trainer.py

Both sides train the same multilayer perceptron (20-64-64-10) on the same 20,000 rows in the same
order with the same optimiser (``torch.optim.Adam``) and the default callbacks, in one process. "any
module" wraps the network in a class the Trainer knows nothing of; "hand-written" gives it as an
``nn.Sequential``. The median over the rounds of the ratio within a round is reported.
"""

import argparse
import statistics
import time

import numpy as np
import skorch
import torch
from skorch.dataset import ValidSplit
from torch import nn

from zoo.engines.modules import blocks
from zoo.engines.neural.trainer import Trainer

N, D, K = 20_000, 20, 10


class Wrapped(nn.Module):
    """A module the hand-written path does not know."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Call the network."""
        return self.net(x)


def network() -> nn.Module:
    """Build the multilayer perceptron."""
    with blocks.seeded(0):
        return nn.Sequential(
            nn.Linear(D, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, K)
        )


def build(
    side: str, batch_size: int, split: bool, epochs: int, dtype: torch.dtype = torch.float32, **more
) -> skorch.NeuralNet:
    """Build one side."""
    net = network().to(dtype)
    options = {
        "optimizer": torch.optim.Adam,
        "lr": 1e-3,
        "batch_size": batch_size,
        "max_epochs": epochs,
        "train_split": ValidSplit(5) if split else None,
        "verbose": 0,
        **more,
    }
    if side == "skorch":
        return skorch.NeuralNet(net, nn.CrossEntropyLoss, **options)
    module = Wrapped(net) if side == "any module" else net
    return Trainer(module, nn.CrossEntropyLoss, iterator_train__shuffle=False, **options)


def cpu_time(action) -> float:
    """Return the process CPU seconds of a call."""
    start = time.process_time()
    action()
    return time.process_time() - start


SIDES = ("skorch", "any module", "hand-written")


def training(rounds: int) -> None:
    """Compare fits at three batch sizes, without and with skorch's default validation split."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)).astype(np.float32)
    y = (X @ rng.normal(size=(D, K)) + rng.normal(size=(N, K))).argmax(1)
    print("| validation | batch | skorch, us | any module, us | ratio | hand-written, us | ratio |")
    print("|---|---|---|---|---|---|---|")
    for split in (False, True):
        for batch_size in (64, 128, 512):
            times: dict[str, list[float]] = {side: [] for side in SIDES}
            for _ in range(rounds):
                for side in SIDES:
                    net = build(side, batch_size, split, epochs=2)
                    batches = 2 * N / batch_size
                    times[side].append(1e6 * cpu_time(lambda n=net: n.fit(X, y)) / batches)
            row = [f"{statistics.median(times['skorch']):.0f}"]
            for side in SIDES[1:]:
                pairs = zip(times["skorch"], times[side], strict=True)
                row.append(f"{statistics.median(times[side]):.0f}")
                row.append(f"{statistics.median(a / b for a, b in pairs):.2f}x")
            kind = "ValidSplit(5)" if split else "none"
            print(f"| {kind} | {batch_size} | " + " | ".join(row) + " |", flush=True)


def prediction(rounds: int) -> None:
    """Compare predict_proba of 20,000 rows."""
    X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
    stock = build("skorch", 128, False, 1).initialize()
    ours = build("any module", 128, False, 1).initialize()
    actions = {
        "skorch predict_proba": lambda: stock.predict_proba(X),
        "Trainer predict_proba": lambda: ours.predict_proba(X),
        "Trainer forward_batches": lambda: ours.forward_batches(X),
    }
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(1e3 * cpu_time(action))
    print("\n| 20,000 rows | ms |\n|---|---|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):.1f} |")


def agreement() -> None:
    """Report the largest relative difference of any epoch's train_loss after five epochs."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, D)), rng.integers(0, K, 2000)
    print("\n| precision | reference | any module | hand-written |\n|---|---|---|---|")
    for dtype in (np.float64, np.float32):
        for fused in (False, True):
            losses = {}
            for side in SIDES:
                more = {"optimizer__fused": True} if fused and side == "skorch" else {}
                net = build(side, 128, False, 5, getattr(torch, dtype.__name__), **more)
                net.fit(X.astype(dtype), y)
                losses[side] = np.array(net.history[:, "train_loss"])
            row = [
                f"{np.max(np.abs(losses[side] / losses['skorch'] - 1)):.1e}" for side in SIDES[1:]
            ]
            reference = "skorch, fused=True" if fused else "skorch"
            print(f"| {dtype.__name__} | {reference} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training(arguments.rounds)
    prediction(arguments.rounds)
    agreement()
