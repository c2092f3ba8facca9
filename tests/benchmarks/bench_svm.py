"""Support vector machines beside scikit-learn: CPU seconds of one thread, the same objective.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_svm.py [part ...]

Parts: svc, small, classes, threads, predict, linear_kernel, linear_svc, memory. The
sides are timed in turn, in one process; the tables show medians.
"""

import gc
import subprocess
import sys
import time
import warnings

import numpy as np
from scipy import sparse
from sklearn import svm
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import rbf_kernel

from zoo.svm.linear_svc import LinearSVC
from zoo.svm.svc import SVC


def timed(call, times):
    """Median CPU seconds and the last result."""
    seconds = []
    for _ in range(times):
        gc.collect()
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds)), result


def clouds(n, d, k=2, seed=0):
    """Overlapping clouds, several a class, with some labels wrong."""
    return make_classification(
        n, d, n_informative=min(d // 2, 20), n_redundant=0, n_classes=k,
        n_clusters_per_class=4 if k == 2 else 2, flip_y=0.02, random_state=seed,
    )  # fmt: skip


def smooth(n, d, seed=0):
    """Two classes with a smooth boundary in every direction, and noise: many support vectors."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    s = np.tanh(1.5 * X @ rng.standard_normal((d, 3)) / np.sqrt(d))
    return X, (s[:, 0] * s[:, 1] + 0.5 * s[:, 2] + 0.1 * rng.standard_normal(n) > 0).astype(int)


def documents(n=20_000, d=50_000, words=75, seed=0):
    """Sparse rows of unit length in which few columns are common."""
    rng = np.random.default_rng(seed)
    columns = np.minimum((d * rng.random((n, words)) ** 3).astype(np.int32), d - 1)
    data = np.abs(rng.standard_normal(n * words)) + 0.1
    X = sparse.csr_matrix((data, (np.repeat(np.arange(n), words), columns.ravel())), shape=(n, d))
    X = sparse.csr_matrix(X.multiply(1 / np.sqrt(X.multiply(X).sum(axis=1))))
    X.sort_indices()
    s = X @ (3 * rng.standard_normal(d))
    return X, (s + 0.5 * rng.standard_normal(n) > np.median(s)).astype(int)


def dual_objective(model, X, y, gamma):
    """1/2 u'Ku - y'u in float64, by blocks."""
    s = np.where(y == model.classes_[1], 1.0, -1.0)
    at, u = model.support_, np.asarray(model.dual_coef_)[0].astype(np.float64)
    total = -float(s[at] @ u)
    V = X[at].astype(np.float64)
    for a in range(0, len(at), 512):
        total += 0.5 * float(u[a : a + 512] @ (rbf_kernel(V[a : a + 512], V, gamma=gamma) @ u))
    return total


def row(*cells):
    """Print one line of a markdown table."""
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def header(*names):
    """Print the head of a markdown table."""
    print()
    row(*names)
    row(*["---"] * len(names))


def two_sides(name, ours, theirs, X, y, times, objective=None):
    """Fit both in turn and print a line."""
    a, b = [], []
    for _ in range(times):
        t, m = timed(lambda: ours().fit(X, y), 1)
        a.append(t)
        t, o = timed(lambda: theirs().fit(X, y), 1)
        b.append(t)
    t, s = np.median(a), np.median(b)
    difference = "" if objective is None else f"{objective(m) / objective(o) - 1:.1e}"
    row(name, f"{t:.3f}", f"{s:.3f}", f"{s / t:.1f}x", difference)
    return m, o


def part_svc():
    """RBF, two classes."""
    header("SVC rbf", "zoo s", "scikit-learn s", "ratio", "dual objective, relative difference")
    for n, d, times in ((5000, 20, 3), (20_000, 100, 1), (5000, 800, 1), (50_000, 20, 1)):
        for make in (clouds, smooth):
            X, y = make(n, d)
            gamma = 1 / (d * X.var())
            two_sides(
                f"{n} x {d} {make.__name__}", lambda: SVC(), lambda: svm.SVC(), X, y, times,
                lambda m, X=X, y=y, g=gamma: dual_objective(m, X, y, g),
            )  # fmt: skip


def part_small():
    """Shapes where overheads, the precomputed kernel and a large C could lose."""
    header("SVC, shapes to fear", "zoo s", "scikit-learn s", "ratio", "")
    for n, d in ((50, 6), (200, 10), (1000, 20), (300, 5000)):
        X, y = clouds(n, d)
        two_sides(f"rbf {n} x {d}", lambda: SVC(), lambda: svm.SVC(), X, y, 7)
    X, y = clouds(2000, 20)
    two_sides("rbf 2000 x 20, C=1000", lambda: SVC(C=1e3), lambda: svm.SVC(C=1e3), X, y, 3)
    for kernel in ("poly", "sigmoid"):
        two_sides(
            f"{kernel} 2000 x 20", lambda k=kernel: SVC(kernel=k),
            lambda k=kernel: svm.SVC(kernel=k), X, y, 3,
        )  # fmt: skip
    K = rbf_kernel(X, gamma=0.05)
    pre = {"kernel": "precomputed"}
    two_sides("precomputed 2000", lambda: SVC(**pre), lambda: svm.SVC(**pre), K, y, 3)
    X, y = documents(3000, 20_000)
    two_sides("rbf, sparse 3000 x 20000", lambda: SVC(), lambda: svm.SVC(), X, y, 1)
    two_sides(
        "linear, sparse 3000 x 20000", lambda: SVC(kernel="linear"),
        lambda: svm.SVC(kernel="linear"), X, y, 1,
    )  # fmt: skip


def part_classes():
    """Ten classes, one against one."""
    header("SVC rbf, 10 classes", "zoo s", "scikit-learn s", "ratio", "")
    for d in (64, 784):
        X, y = clouds(10_000, d, k=10)
        two_sides(f"10000 x {d}", lambda: SVC(), lambda: svm.SVC(), X, y, 1)


def part_threads():
    """Two threads over the pairs: wall seconds, which other processes disturb."""
    header("SVC rbf, 10 classes, wall s", "1 thread", "2 threads", "ratio")
    for d in (64, 784):
        X, y = clouds(10_000, d, k=10)
        wall = {}
        for jobs in (1, 2):
            start = time.perf_counter()
            SVC(n_jobs=jobs).fit(X, y)
            wall[jobs] = time.perf_counter() - start
        row(f"10000 x {d}", f"{wall[1]:.2f}", f"{wall[2]:.2f}", f"{wall[1] / wall[2]:.2f}x")


def part_predict():
    """decision_function of 5000 rows."""
    header("SVC prediction", "zoo s", "scikit-learn s", "ratio", "largest difference")
    for n, d, k in ((5000, 20, 2), (5000, 100, 2), (3000, 784, 2), (3000, 64, 10)):
        X, y = clouds(n, d, k=k)
        T = clouds(5000, d, k=k, seed=0)[0]
        theirs = svm.SVC(tol=1e-4).fit(X, y)
        ours = SVC(tol=1e-4).fit(X, y)
        t, a = timed(lambda m=ours, T=T: m.decision_function(T), 3)
        s, b = timed(lambda m=theirs, T=T: m.decision_function(T), 1)
        name = f"{len(theirs.support_)} vectors x {d}, {k} classes"
        row(name, f"{t:.3f}", f"{s:.3f}", f"{s / t:.1f}x", f"{np.abs(a - b).max():.1e}")


def part_linear_kernel():
    """The linear kernel, by the interior point."""
    header("SVC linear", "zoo s", "scikit-learn s", "ratio", "dual objective")
    kw = {"kernel": "linear"}
    for n, d in ((1000, 20), (5000, 20), (5000, 100)):
        X, y = clouds(n, d)

        def objective(m, X=X, y=y):
            s = np.where(y == 1, 1.0, -1.0)
            w = m.coef_[0]
            return 0.5 * w @ w - s[m.support_] @ np.asarray(m.dual_coef_)[0]

        two_sides(f"{n} x {d}", lambda: SVC(**kw), lambda: svm.SVC(**kw), X, y, 1, objective)


def part_linear_svc():
    """LinearSVC: both losses; the objective is the primal one."""
    header("LinearSVC", "zoo s", "scikit-learn s", "ratio", "objective, relative difference")
    for name, make in (
        ("20000 x 100", lambda: clouds(20_000, 100)),
        ("50000 x 20", lambda: clouds(50_000, 20)),
        ("sparse 20000 x 50000", documents),
    ):
        X, y = make()
        s = np.where(y == 1, 1.0, -1.0)
        for loss in ("squared_hinge", "hinge"):

            def objective(m, X=X, s=s, p=2 if loss == "squared_hinge" else 1):
                v = np.append(m.coef_[0], m.intercept_)
                return 0.5 * v @ v + (np.maximum(1 - s * (X @ v[:-1] + v[-1]), 0) ** p).sum()

            kw = {"loss": loss, "random_state": 0}
            two_sides(
                f"{name} {loss}", lambda kw=kw: LinearSVC(**kw),
                lambda kw=kw: svm.LinearSVC(**kw), X, y, 3 if loss == "squared_hinge" else 1,
                objective,
            )  # fmt: skip


def part_memory():
    """Peak resident memory above the data, each fit in a process of its own."""
    header("memory", "zoo MB", "scikit-learn MB", "ratio")
    program = (
        "import sys, numpy as np\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from bench_svm import clouds, SVC, svm\n"
        "X, y = clouds(200, 10); (SVC if sys.argv[1] == 'zoo' else svm.SVC)().fit(X, y)\n"
        "n, d = map(int, sys.argv[2].split('x')); X, y = clouds(n, d)\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "open('/proc/self/clear_refs', 'w').write('5'); before = peak()\n"
        "(SVC if sys.argv[1] == 'zoo' else svm.SVC)().fit(X, y)\n"
        "print((peak() - before) / 1024)"
    )
    folder = __file__.rpartition("/")[0] or "."
    for shape in ("5000x20", "20000x100", "5000x800"):
        peak = [
            float(
                subprocess.run(
                    [sys.executable, "-c", program, side, shape, folder],
                    capture_output=True, text=True, check=True,
                ).stdout
            )
            for side in ("zoo", "sklearn")
        ]  # fmt: skip
        row(f"SVC {shape}", f"{peak[0]:.0f}", f"{peak[1]:.0f}", f"{peak[0] / peak[1]:.2f}")


PARTS = {name.removeprefix("part_"): part for name, part in globals().items() if name.startswith("part_")}


def main(names):
    """Warm the kernels up, then run the parts."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for n, d in ((300, 10), (2500, 10)):
        X, y = clouds(n, d)
        SVC(cache_size=5).fit(X, y).predict(X)
        SVC(kernel="linear").fit(X, y)
        for loss in ("hinge", "squared_hinge"):
            LinearSVC(loss=loss).fit(X, y)
    X, y = documents(300, 2000)
    SVC().fit(X, y)
    for loss in ("hinge", "squared_hinge"):
        LinearSVC(loss=loss).fit(X, y)
    np.ones(60_000_000, np.float32)  # pages of the machine that no one has touched yet cost time
    for name in names or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
