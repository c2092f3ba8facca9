"""ConvNetClassifier on MNIST beside the same net in a plain torch loop, and on CIFAR beside an MLP.

``python tests/benchmarks/bench_convnet.py [mnist|cifar]``; one thread on both sides, CPU seconds.
The data are the files of ``ZOO_DATA``; the test set is looked at once, after the last epoch.
"""

import io
import os
import sys
import time
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

from zoo import ConvNetClassifier, MLPClassifier
from zoo.engines.neural.schedules import WarmUpCosine

DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[3] / "shared" / "data"))
EPOCHS, BATCH, LR = 3, 128, 2e-3


def mnist() -> None:
    """Print accuracy and CPU seconds of both sides for three seeds, in turn."""
    d = np.load(DATA / "images" / "mnist.npz")
    X, y, X_test, y_test = d["X_train"], d["y_train"], d["X_test"], d["y_test"]
    print("| seed | zoo accuracy | loop accuracy | zoo CPU s | loop CPU s | ratio loop/zoo |")
    print("|---|---|---|---|---|---|")
    for seed in range(3):
        start = time.process_time()
        model = ConvNetClassifier(max_epochs=EPOCHS, random_state=seed).fit(X, y)
        ours = time.process_time() - start
        start = time.process_time()
        net, mean, scale = plain_loop(X, y, seed)
        theirs = time.process_time() - start
        with torch.inference_mode():
            scores = net((torch.from_numpy(X_test[:, None]).float() - mean) / scale)
        accuracy = (scores.argmax(1).numpy() == y_test).mean()
        print(
            f"| {seed} | {model.score(X_test, y_test):.4f} | {accuracy:.4f} | {ours:.1f} | "
            f"{theirs:.1f} | {theirs / ours:.2f} |",
            flush=True,
        )


def plain_loop(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[nn.Module, float, float]:
    """Train the same net as one would by hand: tensors in memory, fused Adam, channels last."""
    torch.manual_seed(seed)
    mean, scale = float(X.mean()), float(X.std())
    images = (torch.from_numpy(X[:, None]).float() - mean) / scale
    labels = torch.from_numpy(y.astype(np.int64))
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), lr=LR, fused=True)
    steps = EPOCHS * -(-len(X) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, WarmUpCosine(steps // 10, steps))
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(X)).split(BATCH):
            batch = images[rows].to(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(net(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net, mean, scale


def cifar() -> None:
    """Print the accuracy of the convolutional network and of an MLP on the JPEG subset."""
    from PIL import Image

    d = np.load(DATA / "images" / "cifar10_jpeg.npz")

    def images(part: str) -> np.ndarray:
        data, offsets = d[f"{part}_bytes"], d[f"{part}_offsets"]
        return np.stack(
            [
                np.asarray(Image.open(io.BytesIO(data[a:b].tobytes()))).transpose(2, 0, 1)
                for a, b in pairwise(offsets)
            ]
        )

    X, y, X_test, y_test = images("train"), d["y_train"], images("test"), d["y_test"]
    flat = X.reshape(len(X), -1).astype(np.float32)
    flat_test = X_test.reshape(len(X_test), -1).astype(np.float32)
    print("| method | test accuracy | CPU s |\n|---|---|---|")
    start = time.process_time()
    mlp = MLPClassifier(hidden_layer_sizes=(256,), max_epochs=30, early_stopping=True,
                        random_state=0).fit(flat, y)  # fmt: skip
    print(f"| MLPClassifier, 256 units, early stopping | {mlp.score(flat_test, y_test):.3f} | "
          f"{time.process_time() - start:.0f} |", flush=True)  # fmt: skip
    start = time.process_time()
    net = ConvNetClassifier(filters=(32, 64, 128), norm="batch", dropout=0.1, flip=True, shift=2,
                            max_epochs=20, random_state=0).fit(X, y)  # fmt: skip
    print(f"| ConvNetClassifier (32, 64, 128), flip, shift 2, 20 epochs | "
          f"{net.score(X_test, y_test):.3f} | {time.process_time() - start:.0f} |")  # fmt: skip


if __name__ == "__main__":
    for name in sys.argv[1:] or ("mnist", "cifar"):
        {"mnist": mnist, "cifar": cifar}[name]()
