"""This tree against another one, on the paths that a redesign moves: CPU time, one thread, interleaved.

    git worktree add ../before COMMIT
    python tests/benchmarks/bench_redesign.py --before ../before

Each tree runs in a process of its own. Both warm up, then take turns, round by round, each beginning every
other round. A row is the ratio after / before: the median over the rounds and a 95 % interval of it by
the sign test. A row fails only if the interval lies above 1.03. Beside the rows stands a calibration of the
machine: an empty loop, `x + 1` on 32 x 64, a product of 256 x 256.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BOUND = 1.03
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


# -- what is timed; imports inside, so that each process loads what it needs -------------------------


def table(n: int, d: int) -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    return X, (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(int)


def trainer() -> Callable[[], Any]:
    import numpy as np
    from torch import nn

    try:
        from zoo.engines.neural.trainer import Trainer
    except ImportError:  # before engines and families were apart
        from zoo.neural.trainer import Trainer

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(
                nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
            )

        def forward(self, x: Any) -> Any:
            return self.net(x)

    X, y = table(20_000, 20)
    X = X.astype(np.float32)
    return lambda: Trainer(Wrapped, nn.CrossEntropyLoss, max_epochs=2, batch_size=64, seed=0).fit(X, y)


def mlp() -> Callable[[], Any]:
    import zoo

    X, y = table(20_000, 20)
    model = zoo.MLPClassifier(hidden_layer_sizes=(64, 64), batch_size=64, max_epochs=4, random_state=0)
    return lambda: model.fit(X, y)


def convnet() -> Callable[[], Any]:
    import numpy as np
    from sklearn.datasets import load_digits

    import zoo

    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8).astype(np.float32)
    return lambda: zoo.ConvNetClassifier(max_epochs=1, random_state=0).fit(X, y)


def rnn() -> Callable[[], Any]:
    import numpy as np

    import zoo

    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    X = np.sin((0.3 + 0.3 * y[:, None]) * np.arange(50) + rng.uniform(0, 6, (300, 1)))
    return lambda: zoo.RNNClassifier(hidden_size=32, max_epochs=3, batch_size=50, random_state=0).fit(X, y)


def gpt() -> Callable[[], Any]:
    import zoo

    X = ["the cat sat on the mat and the dog lay on the rug; " * 40] * 4
    small = {"width": 32, "n_layers": 2, "n_heads": 2, "block_size": 32, "max_epochs": 1}
    return lambda: zoo.GPT(**small, random_state=0).fit(X)


def vae() -> Callable[[], Any]:
    from sklearn.datasets import load_digits

    import zoo

    X = load_digits().data / 16
    return lambda: zoo.VAE(max_epochs=3, random_state=0).fit(X)


def noprop() -> Callable[[], Any]:
    from sklearn.datasets import load_digits

    import zoo

    X, y = load_digits(return_X_y=True)
    return lambda: zoo.NoPropDTClassifier(max_epochs=3, random_state=0).fit(X, y)


def boosting_fit() -> Callable[[], Any]:
    import zoo

    X, y = table(50_000, 20)
    return lambda: zoo.BoostingClassifier(n_estimators=40, n_jobs=1).fit(X, y)


def boosting_predict() -> Callable[[], Any]:
    import zoo

    X, y = table(50_000, 20)
    model = zoo.BoostingClassifier(n_estimators=100, n_jobs=1).fit(X, y)
    return lambda: [model.predict_proba(X) for _ in range(4)]


def forest() -> Callable[[], Any]:
    import zoo

    X, y = table(10_000, 20)
    return lambda: zoo.RandomForestClassifier(n_estimators=20, n_jobs=1, random_state=0).fit(X, y)


def svc() -> Callable[[], Any]:
    import zoo

    X, y = table(3_000, 20)
    return lambda: zoo.SVC().fit(X, y)


def dqn() -> Callable[[], Any]:
    import zoo

    return lambda: zoo.DQN("CartPole-v1", total_timesteps=6_000, random_state=0).fit()


JOBS = {
    job.__name__: job
    for job in (
        trainer, mlp, convnet, rnn, gpt, vae, noprop, boosting_fit, boosting_predict, forest, svc, dqn,
    )
}  # fmt: skip

# -- two processes that take turns ---------------------------------------------------------------------


def work(name: str) -> None:
    """Answer each line on the standard input by the CPU time of one run."""
    warnings.simplefilter("ignore")
    if name not in ("svc", "boosting_fit", "boosting_predict", "forest"):
        import torch

        torch.set_num_threads(1)
    run = JOBS[name]()
    run()
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.process_time()
        run()
        print(time.process_time() - begun, flush=True)


class Tree:
    """One tree's process."""

    def __init__(self, root: Path, name: str) -> None:
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(root)}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", name], env=environment, text=True, cwd=root,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def line(self) -> str:
        """Read an answer."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        if not said:
            raise RuntimeError(f"the process ended with {self.process.wait()}")
        return said

    def seconds(self) -> float:
        """Let it run once."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.line())


def interval(values: list[float]) -> tuple[float, float]:
    """Return the order statistics between which the median lies with 95 % (Binomial(n, 1/2))."""
    from scipy.stats import binom

    ordered, n = sorted(values), len(values)
    low = int(binom.ppf(0.025, n, 0.5))
    return ordered[max(low - 1, 0)], ordered[min(n - low, n - 1)]


def calibration() -> str:
    """Time three small things."""
    import numpy as np

    x, m = np.ones((32, 64), np.float32), np.ones((256, 256), np.float32)

    def micro(act: Callable[[], Any], n: int) -> float:
        begun = time.process_time()
        for _ in range(n):
            act()
        return (time.process_time() - begun) / n * 1e6

    loop, add, product = micro(lambda: None, 200_000), micro(lambda: x + 1, 50_000), micro(lambda: m @ m, 500)
    return f"calibration, us: call {loop:.3f}, x + 1 on 32 x 64 {add:.2f}, 256 x 256 product {product:.0f}"


def main() -> None:
    """Compare the trees."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--before", type=Path, help="the root of the other tree")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="*", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
        return
    if arguments.before is None:
        parser.error("--before names the tree to compare with")
    print(calibration())
    print(f"{'path':18} {'before s':>9} {'after s':>9} {'ratio':>6}  95 % interval")
    failed = []
    for name in arguments.only:
        trees = [Tree(arguments.before.resolve(), name), Tree(ROOT, name)]
        for tree in trees:
            tree.line()
        times: list[list[float]] = [[], []]
        for i in range(arguments.rounds):
            for k in (0, 1) if i % 2 else (1, 0):
                times[k].append(trees[k].seconds())
        for tree in trees:
            tree.process.kill()
        ratios = [after / before for before, after in zip(*times, strict=True)]
        low, high = interval(ratios)
        medians = [statistics.median(side) for side in times]
        print(
            f"{name:18} {medians[0]:9.3f} {medians[1]:9.3f} {statistics.median(ratios):6.3f}  "
            f"{low:.3f}-{high:.3f}{'  FAILS' if low > BOUND else ''}",
            flush=True,
        )
        if low > BOUND:
            failed.append(name)
    sys.exit(f"slower than before: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
