"""NoProp and its siblings beside back-propagation through the same blocks, and what it costs.

``python tests/benchmarks/bench_noprop.py digits [Name ...]``: 3 seeds x 5 folds, last epoch.
``python tests/benchmarks/bench_noprop.py mnist [dense|conv] [epochs] [blocks] [rows]``: the curve.
``python tests/benchmarks/bench_noprop.py speed``: blocks at once against a loop of fused AdamW.
``python tests/benchmarks/bench_noprop.py memory``: peak over back-propagation, by chunk.

One thread, CPU seconds. MNIST is read from ``ZOO_DATA``; its test set chooses nothing.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedKFold

import zoo

DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[3] / "shared" / "data"))
SIBLINGS = {
    "NoPropDT": ("NoPropDTClassifier", {}),
    "NoPropDT, learned": ("NoPropDTClassifier", {"embedding": "learned"}),
    "NoPropDT, prototype": ("NoPropDTClassifier", {"embedding": "prototype"}),
    "back-propagation, same blocks": ("NoPropDTClassifier", {"training": "backprop"}),
    "NoPropHybrid": ("NoPropHybridClassifier", {}),
    "NoPropFM": ("NoPropFMClassifier", {}),
    "NoPropCT": ("NoPropCTClassifier", {}),
    "target activations": ("TargetActivationClassifier", {}),
    "target activations, frozen": ("TargetActivationClassifier", {"train_hidden": False}),
    "forward-forward": ("ForwardForwardClassifier", {}),
    "feedback alignment": ("FeedbackAlignmentClassifier", {}),
    "direct feedback alignment": ("FeedbackAlignmentClassifier", {"feedback": "direct"}),
    "difference target propagation": ("DifferenceTargetPropClassifier", {}),
    "local losses": ("LocalLossClassifier", {}),
    "back-propagation, perceptron": ("MLPClassifier", {"hidden_layer_sizes": (128, 128, 128),
                                                       "max_epochs": 50}),
}  # fmt: skip


def digits(names: list[str]) -> None:
    """Print accuracy over 3 seeds x 5 folds, that of block 1 alone, and seconds a fit."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    print("| method | accuracy | block 1 alone | CPU s a fit |\n|---|---|---|---|")
    ridge = [
        RidgeClassifier().fit(X[a], y[a]).score(X[b], y[b]) for _, a, b in folds(X, y)
    ]
    print(f"| ridge readout | {percent(ridge)} | | |", flush=True)
    for title, (name, options) in SIBLINGS.items():
        if not hasattr(zoo, name) or (names and title not in names):
            continue
        scores, alone, seconds = [], [], []
        for seed, a, b in folds(X, y):
            start = time.process_time()
            model = getattr(zoo, name)(random_state=seed, **options).fit(X[a], y[a])
            seconds.append(time.process_time() - start)
            scores.append(model.score(X[b], y[b]))
            if hasattr(model, "block_accuracies") and "training" not in options:
                alone.append(model.block_accuracies(X[b], y[b])[0])
        print(
            f"| {title} | {percent(scores)} | {percent(alone) if alone else ''} | "
            f"{statistics.median(seconds):.1f} |",
            flush=True,
        )


def folds(X: np.ndarray, y: np.ndarray) -> Any:
    """Yield seed, training rows and test rows."""
    for seed in range(3):
        for a, b in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
            yield seed, a, b


def percent(scores: list[float]) -> str:
    """Return mean and standard deviation over fits."""
    return f"{100 * np.mean(scores):.2f} ± {100 * np.std(scores):.2f}"


def mnist(network: str, epochs: int, blocks: int, rows: int) -> None:
    """Print the test accuracy after each pass over the data."""
    d = np.load(DATA / "images" / "mnist.npz")
    X, y = d["X_train"][:rows], d["y_train"][:rows]
    model = zoo.NoPropDTClassifier(
        n_blocks=blocks, network=network, width=256, lr=1e-3, schedule=None, random_state=0
    )
    print(f"\nMNIST, {len(X)} rows, {network} blocks, T = {blocks}\n")
    print("| epoch | test accuracy | block 1 alone | CPU s |\n|---|---|---|---|")
    start = time.process_time()
    for epoch in range(1, epochs + 1):
        model.partial_fit(X, y, classes=np.arange(10))
        spent = time.process_time() - start
        accuracy = model.score(d["X_test"], d["y_test"])
        alone = model.block_accuracies(d["X_test"], d["y_test"])[0]
        print(f"| {epoch} | {accuracy:.4f} | {alone:.4f} | {spent:.0f} |", flush=True)


def module_for(shape: list[int], network: str, T: int, width: int, chunk: Any, mode: str) -> Any:
    """Build the network of NoPropDTClassifier with a generator of its own."""
    from zoo.neural.blocks import bind_generator, seeded
    from zoo.noprop import _diffusion as diffusion
    from zoo.noprop._blocks import chunks_for
    from zoo.noprop._discrete import Denoisers

    abar = diffusion.rising("cosine", T, 100.0)
    with seeded(0):
        module = Denoisers(
            embedding=np.eye(10).tolist(), learn_embedding=False, abar=abar.tolist(),
            learn_schedule=False, weights=None, eta=0.1, parametrization="softmax",
            head="nearest", training_mode=mode, chunks=chunks_for(chunk, network, T, True),
            mean=[[[0.0]]], scale=[[[1.0]]],
            shape=shape, width=width, network=network, dropout=0.0, norm=True,
        )  # fmt: skip
    return bind_generator(module.float(), torch.Generator().manual_seed(0))


class Single(torch.nn.Module):
    """One dense block from torch's own layers."""

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__()

        def layer(n_in: int, n_out: int) -> torch.nn.Module:
            return torch.nn.Sequential(
                torch.nn.Linear(n_in, n_out, bias=False), torch.nn.BatchNorm1d(n_out)
            )

        self.x1, self.x2 = layer(d_in, width), layer(width, width)
        self.z1, self.z2, self.z3 = layer(10, width), layer(width, width), layer(width, width)
        self.h1, self.h2 = layer(2 * width, width), layer(width, width // 2)
        self.out = torch.nn.Linear(width // 2, 10)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return the class logits of each row."""
        hx = self.x2(self.x1(x).relu())
        hz = self.z1(z).relu()
        hz = hz + self.z3(self.z2(hz).relu())
        return self.out(self.h2(self.h1(torch.cat([hx, hz], 1)).relu()).relu())


def speed() -> None:
    """Time a step of all blocks against torch's layers, block after block, with fused AdamW."""
    from zoo.neural.optim import FusedAdamW

    T = 10
    print("| width | batch | loop ms | at once ms | ratio |\n|---|---|---|---|---|")
    for width, n in ((64, 64), (64, 128), (128, 128), (256, 128), (128, 512)):
        x, y = torch.rand(n, 1, 1, 64), torch.arange(n) % 10
        share = torch.full((n,), 1 / n)
        stack = module_for([1, 1, 64], "dense", T, width, "auto", "local").train()
        ours = FusedAdamW(stack.parameters(), lr=1e-3)
        singles = [Single(64, width).train() for _ in range(T)]
        theirs = [torch.optim.AdamW(s.parameters(), lr=1e-3, fused=True) for s in singles]

        def at_once(stack=stack, ours=ours, x=x, y=y, share=share) -> None:
            ours.zero_grad()
            stack.learn(x, y, share)
            ours.step()

        def loop(stack=stack, singles=singles, theirs=theirs, x=x, y=y) -> None:
            rows, u, abar = x.flatten(1), stack.W[y], stack.abar
            weights = stack.loss_weights(abar)
            for t, (block, optimizer) in enumerate(zip(singles, theirs, strict=True)):
                optimizer.zero_grad()
                a = abar[t]
                z = a.sqrt() * u + (1 - a).sqrt() * torch.randn_like(u)
                guess = torch.softmax(block(rows, z), 1) @ stack.W
                loss = weights[t] * (guess - u).square().sum(1).mean()
                loss.backward()
                optimizer.step()

        slow, fast = interleaved(loop, at_once, 15)
        print(f"| {width} | {n} | {slow:.1f} | {fast:.1f} | {slow / fast:.2f} |", flush=True)


def interleaved(a: Any, b: Any, times: int) -> tuple[float, float]:
    """Return the median CPU milliseconds of two functions, called in turn."""
    spent: tuple[list[float], list[float]] = ([], [])
    for i in range(times + 3):
        for function, record in zip((a, b), spent, strict=True):
            start = time.process_time()
            function()
            if i >= 3:
                record.append(1e3 * (time.process_time() - start))
    return statistics.median(spent[0]), statistics.median(spent[1])


def memory() -> None:
    """Print the peak memory of three steps above that before them, each in a process of its own."""
    print("| training | peak MB | over back-propagation | ms a step |\n|---|---|---|---|")
    base = None
    for name in ("backprop", "1", "2", "5", "10"):
        out = subprocess.run(
            [sys.executable, __file__, "_peak", name], capture_output=True, text=True, check=True
        ).stdout.split()
        peak, ms = float(out[0]), float(out[1])
        base = base or peak
        print(f"| {name} | {peak:.0f} | {peak / base:.2f} | {ms:.0f} |", flush=True)


def peak(name: str) -> None:
    """Train three steps of ten convolutional blocks and print the growth of the process."""
    from zoo.neural.optim import FusedAdamW

    torch.set_num_threads(1)
    conv = torch.nn.Conv2d(1, 4, 3)
    conv(torch.rand(1, 1, 8, 8)).sum().backward()
    FusedAdamW(conv.parameters()).step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mode, chunk = ("backprop", 1) if name == "backprop" else ("local", int(name))
    module = module_for([1, 28, 28], "conv", 10, 256, chunk, mode).train()
    optimizer = FusedAdamW(module.parameters(), lr=1e-3)
    x, y = torch.rand(128, 1, 28, 28), torch.arange(128) % 10
    start = time.process_time()
    for _ in range(3):
        optimizer.zero_grad()
        module.learn(x, y, torch.full((128,), 1 / 128))
        optimizer.step()
    ms = 1e3 * (time.process_time() - start) / 3
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, ms)


if __name__ == "__main__":
    task, *rest = sys.argv[1:] or ["digits"]
    if task == "digits":
        digits(rest)
    elif task == "mnist":
        network, epochs, blocks, rows = (*rest, *["dense", "3", "10", "60000"][len(rest):])
        mnist(network, int(epochs), int(blocks), int(rows))
    elif task == "_peak":
        peak(rest[0])
    else:
        {"speed": speed, "memory": memory}[task]()
