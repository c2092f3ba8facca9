"""VAE beside factor analysis and a Gaussian mixture on digits; a grid of samples from MNIST.

``python tests/benchmarks/bench_vae.py [digits|mnist]``. Digits: 898 rows to train, 899 to test, bits
per dimension of the dequantised integers, and the Frechet distance of 4,000 samples to the test rows
on the hidden layer of a classifier of the training rows. MNIST: 10 epochs, the grid is written to
``vae_mnist.png``.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPClassifier

from zoo import VAE

DATA = Path(os.environ.get("ZOO_DATA", Path(__file__).parents[3] / "shared" / "data"))


def digits() -> None:
    """Print the table."""
    X, y = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    train, test = order[:898], order[898:]
    rng = np.random.RandomState(1)
    noisy = X + rng.uniform(size=X.shape)
    classifier = MLPClassifier((64,), max_iter=500, random_state=0).fit(X[train], y[train])

    def features(rows: np.ndarray) -> np.ndarray:
        return np.maximum(rows @ classifier.coefs_[0] + classifier.intercepts_[0], 0)

    def distance(rows: np.ndarray) -> float:
        a, b = features(np.clip(np.floor(rows), 0, 16)), features(X[test])
        A, B = np.cov(a.T), np.cov(b.T)
        w, V = np.linalg.eigh(A)
        root = (V * np.sqrt(np.maximum(w, 0))) @ V.T
        shift = ((a.mean(0) - b.mean(0)) ** 2).sum()
        scale = np.trace(np.cov(features(X[train]).T))
        cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ B @ root), 0)).sum()
        return float(shift + np.trace(A + B) - 2 * cross) / scale

    unit = 64 * np.log(2)
    print("| model | bits per dimension | Frechet distance | CPU s |\n|---|---|---|---|")
    print(f"| training rows themselves | | {distance(X[train]):.4f} | |")
    fa = FactorAnalysis(20).fit(noisy[train])
    codes = rng.normal(size=(4000, 20))
    drawn = fa.mean_ + codes @ fa.components_ + rng.normal(size=(4000, 64)) * np.sqrt(
        fa.noise_variance_)  # fmt: skip
    bits = -np.mean([fa.score(X[test] + rng.uniform(size=X[test].shape)) for _ in range(8)]) / unit
    print(f"| FactorAnalysis(20) | {bits:.3f} | {distance(drawn):.4f} | |")
    mixture = GaussianMixture(10, reg_covar=1e-3, random_state=0).fit(noisy[train])
    drawn = mixture.sample(4000)[0]
    bits = -mixture.score(X[test] + rng.uniform(size=X[test].shape)) / unit
    print(f"| GaussianMixture(10) | {bits:.3f} | {distance(drawn):.4f} | |")
    # The second line was chosen on 248 of the training rows, held out for that.
    deep = {"hidden_layer_sizes": (256, 256, 256), "n_components": 8, "max_epochs": 200,
            "batch_size": 64}  # fmt: skip
    for name, options in (("VAE, defaults", {}), ("VAE, 3 layers of 256, 8 codes", deep)):
        for seed in range(3):
            start = time.process_time()
            model = VAE(levels=17, random_state=seed, **options).fit(X[train])
            seconds = time.process_time() - start
            drawn = model.sample(4000, random_state=0)
            print(f"| {name}, seed {seed} | {model.bits_per_dim(X[test]):.3f} | "
                  f"{distance(drawn):.4f} | {seconds:.1f} |", flush=True)  # fmt: skip


def mnist() -> None:
    """Write a grid of samples and print the bound."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    d = np.load(DATA / "images" / "mnist.npz")
    start = time.process_time()
    model = VAE(decoder="bernoulli", levels=256, sample_mean=True, hidden_layer_sizes=(400,),
                n_components=20, max_epochs=10, random_state=0).fit(d["X_train"])  # fmt: skip
    seconds = time.process_time() - start
    samples = model.sample(64, random_state=0)
    grid = samples.reshape(8, 8, 28, 28).transpose(0, 2, 1, 3).reshape(224, 224)
    plt.imsave("vae_mnist.png", grid, cmap="gray_r")
    print(f"MNIST: ELBO {model.score(d['X_test'][:2000]):.1f} nats, {seconds:.0f} CPU s; the grid is "
          "in vae_mnist.png")  # fmt: skip


if __name__ == "__main__":
    for name in sys.argv[1:] or ("digits", "mnist"):
        {"digits": digits, "mnist": mnist}[name]()
