"""NoProp and its siblings beside back-propagation through the same blocks, and what it costs.

``python tests/benchmarks/bench_noprop.py digits [Name ...]``: 3 seeds x 5 folds, last epoch.
``python tests/benchmarks/bench_noprop.py mnist [DT|Hybrid|FM|CT] [dense|conv] [epochs] [rows]``: the curve.
``python tests/benchmarks/bench_noprop.py speed``: dense blocks against a loop of fused AdamW.
``python tests/benchmarks/bench_noprop.py speed-conv``: convolutional ones, channels_last.
``python tests/benchmarks/bench_noprop.py memory``: peak over back-propagation, by chunk.
``python tests/benchmarks/bench_noprop.py steps``: 20 steps of CT and FM against 1,000.

One thread, CPU seconds. MNIST is read from ``ZOO_DATA``; its test set chooses nothing. ``SEED`` (0) is
the seed of its runs.
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
SEED = int(os.environ.get("SEED", "0"))
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


def mnist(name: str, network: str, epochs: int, rows: int) -> None:
    """Print the test accuracy after each pass over the data: constant rate, seed ``SEED``, no selection."""
    d = np.load(DATA / "images" / "mnist.npz")
    X, y = d["X_train"][:rows], d["y_train"][:rows]
    options: dict[str, Any] = {"width": 256, "lr": 1e-3, "schedule": None, "random_state": SEED}
    model = getattr(zoo, f"NoProp{name}Classifier")(network=network, **options)
    print(f"\nMNIST, {len(X)} rows, NoProp{name}, {network} blocks, seed {SEED}\n")
    print("| epoch | test accuracy | block 1 alone | CPU s |\n|---|---|---|---|")
    spent = 0.0
    for epoch in range(1, epochs + 1):
        start = time.process_time()
        model.partial_fit(X, y, classes=np.arange(10))
        spent += time.process_time() - start
        accuracy = model.score(d["X_test"], d["y_test"])
        alone = model.block_accuracies(d["X_test"], d["y_test"])[0]
        print(f"| {epoch} | {100 * accuracy:.2f} | {100 * alone:.2f} | {spent:.0f} |", flush=True)


def module_for(shape: list[int], network: str, T: int, width: int, chunk: Any, mode: str) -> Any:
    """Build the network of NoPropDTClassifier with a generator of its own."""
    from zoo.engines.diffusion import schedules as diffusion
    from zoo.engines.layerwise.blocks import chunks_for
    from zoo.engines.layerwise.discrete import Denoisers
    from zoo.engines.modules.blocks import bind_generator, seeded

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
    """One block from torch's own layers, dense or convolutional."""

    def __init__(self, shape: list[int], width: int, network: str = "dense") -> None:
        super().__init__()
        nn = torch.nn

        def layer(n_in: int, n_out: int) -> torch.nn.Module:
            return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out))

        C, H, W = shape
        if network == "conv":
            self.x1 = nn.Sequential(
                nn.Conv2d(C, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
                nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            )  # fmt: skip
            self.x2 = layer(128 * (H // 4) * (W // 4), width)
        else:
            self.x1 = nn.Sequential(nn.Flatten(), layer(C * H * W, width), nn.ReLU())
            self.x2 = layer(width, width)
        self.z1, self.z2, self.z3 = layer(10, width), layer(width, width), layer(width, width)
        self.h1, self.h2 = layer(2 * width, width), layer(width, width // 2)
        self.out = nn.Linear(width // 2, 10)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return the class logits of each row."""
        hx = self.x2(self.x1(x))
        hz = self.z1(z).relu()
        hz = hz + self.z3(self.z2(hz).relu())
        return self.out(self.h2(self.h1(torch.cat([hx, hz], 1)).relu()).relu())


def sides(shape: list[int], network: str, T: int, width: int, n: int, chunk: Any) -> tuple[Any, Any]:
    """Return a step of the loop over torch's layers, and one of ours."""
    from zoo.engines.neural.optim import FusedAdamW

    x, y = torch.rand(n, *shape), torch.arange(n) % 10
    share = torch.full((n,), 1 / n)
    module = module_for(shape, network, T, width, chunk, "local").train()
    ours = FusedAdamW(module.parameters(), lr=1e-3)
    singles = [Single(shape, width, network).train() for _ in range(T)]
    if network == "conv":
        x = x.contiguous(memory_format=torch.channels_last)
        singles = [s.to(memory_format=torch.channels_last) for s in singles]
    theirs = [torch.optim.AdamW(s.parameters(), lr=1e-3, fused=True) for s in singles]

    def update(group: Any) -> None:
        ours.step()
        for p in group.parameters():
            p.grad = None

    def at_once() -> None:  # what LocalTrainer does with a batch
        ours.zero_grad()
        module.learn(x, y, share, done=update if module.n_pieces > 1 else None)
        ours.step()

    def loop() -> None:
        u, abar = module.W[y], module.abar
        weights = module.loss_weights(abar)
        for t, (block, optimizer) in enumerate(zip(singles, theirs, strict=True)):
            optimizer.zero_grad()
            z = abar[t].sqrt() * u + (1 - abar[t]).sqrt() * torch.randn_like(u)
            guess = torch.softmax(block(x, z), 1) @ module.W
            loss = weights[t] * (guess - u).square().sum(1).mean()
            loss.backward()
            optimizer.step()

    return loop, at_once


def speed() -> None:
    """Time a step of ten dense blocks against torch's layers, block after block, with fused AdamW."""
    print("| width | batch | loop ms | ours ms | ratio | bar |\n|---|---|---|---|---|---|")
    bars = {(64, 64): 2.5, (64, 128): 2.5, (128, 128): 2.5, (256, 128): 1.35, (128, 512): "-"}
    for (width, n), bar in bars.items():
        slow, fast = interleaved(*sides([1, 1, 64], "dense", 10, width, n, "auto"), 15)
        print(f"| {width} | {n} | {slow:.1f} | {fast:.1f} | {slow / fast:.2f} | {bar} |", flush=True)


def speed_conv() -> None:
    """Time a step of ten convolutional blocks against torch's layers with channels_last."""
    print("| images | width | batch | loop ms | ours ms | ratio | bar |\n|---|---|---|---|---|---|---|")
    for shape, width, n in (([1, 8, 8], 64, 128), ([1, 28, 28], 256, 128), ([3, 32, 32], 256, 64)):
        slow, fast = interleaved(*sides(shape, "conv", 10, width, n, "auto"), 5)
        images = "x".join(map(str, shape))
        print(f"| {images} | {width} | {n} | {slow:.0f} | {fast:.0f} | {slow / fast:.2f} | 1 |", flush=True)


def steps() -> None:
    """Print accuracies of CT and FM by the number of steps of a prediction."""
    print("| data | method | sampler | 20 steps | 1000 steps | difference |\n|---|---|---|---|---|---|")
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    d = np.load(DATA / "images" / "mnist.npz") if (DATA / "images" / "mnist.npz").exists() else None
    for name, options in (("CT", {}), ("FM", {})):
        found: dict[tuple[str, str, Any], list[float]] = {}
        for a, b in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
            model = getattr(zoo, f"NoProp{name}Classifier")(random_state=0, **options)
            score(model.fit(X[a], y[a]), X[b], y[b], "digits, 5 folds", found)
        if d is not None:
            model = getattr(zoo, f"NoProp{name}Classifier")(
                width=128, max_epochs=10, random_state=0, **options
            )
            model.fit(d["X_train"][:10_000], d["y_train"][:10_000])
            score(model, d["X_test"][:2000], d["y_test"][:2000], "MNIST, 10,000 / 2,000", found)
        for data, sampler in dict.fromkeys(key[:2] for key in found):
            few, many = (100 * np.mean(found[data, sampler, n]) for n in (20, 1000))
            print(f"| {data} | {name} | {sampler} | {few:.2f} | {many:.2f} | {few - many:+.2f} |",
                  flush=True)  # fmt: skip


def score(model: Any, X: np.ndarray, y: np.ndarray, data: str, found: dict[Any, list[float]]) -> None:
    """Note the accuracies of a fitted model by sampler and number of steps."""
    few = "ddim" if "CT" in type(model).__name__ else "heun"
    for sampler in (model.sampler, few, "ode"):
        for n in (20, 1000):
            if sampler != "ode" or n == 20:
                accuracy = model.set_params(sampler=sampler, n_steps=n).score(X, y)
            found.setdefault((data, sampler, n), []).append(accuracy)
    model.set_params(sampler=few)


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
    """Print the peak memory of three steps above that before them, each in a process of its own.

    The first two rows are torch's own layers. Ours keep less for the backward pass, whoever asks.
    """
    print("| training | peak MB | over torch's back-propagation | over our back-propagation | ms a step |")
    print("|---|---|---|---|---|")
    peaks: dict[str, float] = {}
    for name in ("torch backprop", "torch loop", "backprop", "chunk 1", "chunk 2", "chunk 5", "chunk 10"):
        out = subprocess.run(
            [sys.executable, __file__, "_peak", name], capture_output=True, text=True, check=True
        ).stdout.split()
        peaks[name], ms = float(out[0]), float(out[1])
        shares = [
            f"{peaks[name] / peaks[base]:.2f}" if base in peaks else ""
            for base in ("torch backprop", "backprop")
        ]
        print(f"| {name} | {peaks[name]:.0f} | {' | '.join(shares)} | {ms:.0f} |", flush=True)


def torch_back_propagation() -> Any:
    """Return a step of ten blocks of torch's layers, end to end."""
    from zoo.engines.diffusion import schedules as diffusion

    T, n = 10, 128
    singles = torch.nn.ModuleList(Single([1, 28, 28], 256, "conv") for _ in range(T))
    singles = singles.train().to(memory_format=torch.channels_last)
    head = torch.nn.Linear(10, 10)
    optimizer = torch.optim.AdamW([*singles.parameters(), *head.parameters()], lr=1e-3, fused=True)
    abar = diffusion.rising("cosine", T, 100.0)
    x, y = torch.rand(n, 1, 28, 28).contiguous(memory_format=torch.channels_last), torch.arange(n) % 10

    def step() -> None:
        optimizer.zero_grad()
        z = torch.zeros(n, 10)
        for t, block in enumerate(singles):
            a, b, _ = diffusion.posterior(abar[t], abar[t + 1])
            z = a * torch.softmax(block(x, z), 1) + b * z
        torch.nn.functional.cross_entropy(head(z), y).backward()
        optimizer.step()

    return step


def peak(name: str) -> None:
    """Train three steps of ten convolutional blocks and print the growth of the process."""
    from zoo.engines.neural.optim import FusedAdamW

    torch.set_num_threads(1)
    # Libraries and compiled code are loaded before, with blocks too small to count.
    for warm in sides([1, 8, 8], "conv", 2, 8, 8, 1):
        warm()
    small = module_for([1, 8, 8], "conv", 2, 8, 1, "backprop").train()
    small.learn(torch.rand(8, 1, 8, 8), torch.arange(8), torch.full((8,), 1 / 8))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if name == "backprop":
        module = module_for([1, 28, 28], "conv", 10, 256, 10, "backprop").train()
        optimizer = FusedAdamW(module.parameters(), lr=1e-3)
        x, y = torch.rand(128, 1, 28, 28), torch.arange(128) % 10

        def step() -> None:
            optimizer.zero_grad()
            module.learn(x, y, torch.full((128,), 1 / 128))
            optimizer.step()

    elif name == "torch backprop":
        step = torch_back_propagation()
    elif name == "torch loop":
        step, _ = sides([1, 28, 28], "conv", 10, 256, 128, 1)
    else:
        _, step = sides([1, 28, 28], "conv", 10, 256, 128, int(name.split()[1]))
    start = time.process_time()
    for _ in range(3):
        step()
    ms = 1e3 * (time.process_time() - start) / 3
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, ms)


if __name__ == "__main__":
    task, *rest = sys.argv[1:] or ["digits"]
    if task == "digits":
        digits(rest)
    elif task == "mnist":
        name, network, epochs, rows = (*rest, *["DT", "dense", "3", "60000"][len(rest):])
        mnist(name, network, int(epochs), int(rows))
    elif task == "_peak":
        peak(rest[0])
    else:
        sections = {"speed": speed, "speed-conv": speed_conv, "memory": memory, "steps": steps}
        sections[task]()
