"""Support vector machines beside scikit-learn: CPU seconds of one thread, the same objective.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_svm.py [section ...]

Sections: binary, large, multiclass, predict, linear-kernel, linearsvc, sparse-hinge, one-class, threads,
memory, hunt; intel needs an environment with scikit-learn-intelex and is not run by default. The sides
are timed in turn, in one process, and the tables show medians: markdown rows.
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
from zoo.svm.one_class_svm import OneClassSVM
from zoo.svm.svc import SVC
from zoo.svm.svr import SVR


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


def two_sides(name, ours, theirs, X, y, times, objective=None, bar=""):
    """Fit both in turn and print a line; short fits are repeated."""
    a, b = [], []
    gc.collect()
    while len(a) < times or (sum(a) + sum(b) < 0.3 and len(a) < 21):
        start = time.process_time()
        m = ours().fit(X, y)
        middle = time.process_time()
        o = theirs().fit(X, y)
        a.append(middle - start)
        b.append(time.process_time() - middle)
    t, s = np.median(a), np.median(b)
    difference = "" if objective is None else f"{objective(m) / objective(o) - 1:.1e}"
    row(name, f"{t:.4f}", f"{s:.4f}", f"{s / t:.2f}x", bar, difference)
    return m, o


def _binary(shapes):
    header("SVC rbf", "zoo s", "scikit-learn s", "ratio", "bar", "dual objective, relative difference")
    for n, d, times, bar in shapes:
        for make in (clouds, smooth):
            X, y = make(n, d)
            gamma = 1 / (d * X.var())
            two_sides(
                f"{n} x {d} {make.__name__}", lambda: SVC(), lambda: svm.SVC(), X, y, times,
                lambda m, X=X, y=y, g=gamma: dual_objective(m, X, y, g), bar,
            )  # fmt: skip


def part_binary():
    """RBF, two classes."""
    _binary(((5000, 20, 3, "3x"), (20_000, 100, 1, "9x"), (5000, 800, 1, "10x")))


def part_large():
    """RBF, two classes, more rows."""
    _binary(((50_000, 20, 1, "4x"),))


def part_multiclass():
    """Ten classes, one against one."""
    header("SVC rbf, 10 classes", "zoo s", "scikit-learn s", "ratio", "bar", "")
    for d, bar in ((64, "2.5x"), (784, "9x")):
        X, y = clouds(10_000, d, k=10)
        two_sides(f"10000 x {d}", lambda: SVC(), lambda: svm.SVC(), X, y, 2 if d < 100 else 1, bar=bar)


def part_classes():
    """Many small classes, as letters are; two classes of few columns; and small problems."""
    header("SVC rbf, C = 5", "zoo s", "scikit-learn s", "ratio", "bar", "")
    shapes = (
        (12_000, 16, 26, "2x"), (19_000, 10, 2, ""), (5000, 20, 5, ""), (2000, 64, 10, ""),
        (1000, 10, 20, ""), (500, 8, 26, ""), (300, 8, 10, ""),
    )  # fmt: skip
    for n, d, k, bar in shapes:
        X, y = make_classification(
            n, d, n_informative=min(d, 12), n_redundant=0, n_classes=k, class_sep=1.5, random_state=0
        )
        sides = lambda: SVC(C=5, n_jobs=1), lambda: svm.SVC(C=5)
        two_sides(f"{n} x {d}, {k} classes", *sides, X, y, 3, bar=bar)


def part_one_class():
    """OneClassSVM: the objective is 1/2 u'Ku."""
    header("OneClassSVM rbf", "zoo s", "scikit-learn s", "ratio", "bar", "objective, relative difference")
    for n, d, nu in ((5000, 20, 0.5), (5000, 20, 0.05), (10_000, 100, 0.1)):
        X, _ = clouds(n, d)
        g = 1 / (d * X.var())

        def objective(m, X=X, g=g):
            V, u = X[m.support_], np.asarray(m.dual_coef_)[0]
            return 0.5 * sum(
                float(u[a : a + 512] @ (rbf_kernel(V[a : a + 512], V, gamma=g) @ u))
                for a in range(0, len(u), 512)
            )

        two_sides(
            f"{n} x {d}, nu={nu}", lambda nu=nu: OneClassSVM(nu=nu), lambda nu=nu: svm.OneClassSVM(nu=nu),
            X, None, 1, objective, "1x",
        )  # fmt: skip


def part_hunt():
    """Shapes where overheads, the precomputed kernel, wide X or a large C could lose: the bar is 1x."""
    header("shapes to fear", "zoo s", "scikit-learn s", "ratio", "bar", "")
    pairs = ((SVC, svm.SVC), (SVR, svm.SVR), (OneClassSVM, svm.OneClassSVM), (LinearSVC, svm.LinearSVC))
    for ours, theirs in pairs:
        for n, d in ((20, 6), (50, 6), (200, 10), (1000, 20), (300, 5000)):
            X, y = clouds(n, d)
            two_sides(f"{ours.__name__} {n} x {d}", ours, theirs, X, y, 5, bar="1x")
    for k in (3, 10):
        X, y = clouds(300, 20, k=k)
        two_sides(f"SVC 300 x 20, {k} classes", SVC, svm.SVC, X, y, 5, bar="1x")
        two_sides(f"LinearSVC 300 x 20, {k} classes", LinearSVC, svm.LinearSVC, X, y, 5, bar="1x")
    X, y = clouds(200, 8)
    o, t = SVC().fit(X, y), svm.SVC().fit(X, y)
    for rows in (1, 100):
        a, b = [], []
        for _ in range(5):
            a.append(timed(lambda o=o, rows=rows: [o.predict(X[:rows]) for _ in range(50)], 1)[0] / 50)
            b.append(timed(lambda t=t, rows=rows: [t.predict(X[:rows]) for _ in range(50)], 1)[0] / 50)
        t1, t2 = np.median(a), np.median(b)
        row(f"SVC.predict of {rows} rows", f"{t1:.5f}", f"{t2:.5f}", f"{t2 / t1:.2f}x", "1x", "")
    X, y = clouds(2000, 20)
    for C in (1e-3, 1e2, 1e4):
        name = f"SVC rbf 2000 x 20, C={C:g}"
        two_sides(name, lambda C=C: SVC(C=C), lambda C=C: svm.SVC(C=C), X, y, 1, bar="1x")
    for kernel in ("poly", "sigmoid", "linear"):
        two_sides(
            f"SVC {kernel} 2000 x 20", lambda k=kernel: SVC(kernel=k), lambda k=kernel: svm.SVC(kernel=k),
            X, y, 1, bar="1x",
        )  # fmt: skip
    K = rbf_kernel(X, gamma=0.05)
    for ours, theirs in pairs[:3]:
        name, pre = ours.__name__, {"kernel": "precomputed"}
        two_sides(
            f"{name} precomputed 2000", lambda o=ours, p=pre: o(**p), lambda t=theirs, p=pre: t(**p), K, y, 3,
            bar="1x",
        )  # fmt: skip
    call = {"kernel": rbf_kernel}
    two_sides("SVC callable 2000 x 20", lambda: SVC(**call), lambda: svm.SVC(**call), X, y, 1, bar="1x")
    X, y = documents(2000, 20_000)
    two_sides("SVC rbf, sparse 2000 x 20000", SVC, svm.SVC, X, y, 1, bar="1x")
    two_sides(
        "SVC linear, sparse 2000 x 20000", lambda: SVC(kernel="linear"), lambda: svm.SVC(kernel="linear"),
        X, y, 1, bar="1x",
    )  # fmt: skip


def part_intel():
    """Intel's extension, float32 input, rbf, one thread."""
    import daal4py
    from sklearnex.svm import SVC as Patched

    daal4py.daalinit(nthreads=1)
    header("SVC rbf, float32", "zoo s", "Intel's extension s", "ratio", "bar", "dual objective")
    X, y = clouds(300, 10)
    Patched().fit(X.astype(np.float32), y)
    two = ((5000, 20, 2), (20_000, 100, 2), (5000, 800, 2), (50_000, 20, 2))
    for n, d, k in (*two, (10_000, 64, 10), (10_000, 784, 10)):
        for make in (clouds, smooth) if k == 2 else (clouds,):
            X, y = make(n, d) if k == 2 else clouds(n, d, k=k)
            X = X.astype(np.float32)
            g = 1 / (d * X.var())
            two_sides(
                f"{n} x {d}, {k} classes, {make.__name__}", SVC, Patched, X, y, 1 + (n < 10_000),
                None if k > 2 else lambda m, X=X, y=y, g=g: dual_objective(m, X, y, g), "1.3x",
            )  # fmt: skip


def part_threads():
    """Two threads over the pairs: wall seconds, which other processes disturb."""
    header("SVC rbf, 10 classes, wall s", "1 thread", "2 threads", "ratio", "bar", "same duals")
    for d in (64, 784):
        X, y = clouds(10_000, d, k=10)
        wall, found = {1: [], 2: []}, {}
        for jobs in (1, 2, 1, 2, 1, 2):
            start = time.perf_counter()
            found[jobs] = SVC(n_jobs=jobs).fit(X, y).dual_coef_
            wall[jobs].append(time.perf_counter() - start)
        one, two = (np.median(wall[jobs]) for jobs in (1, 2))
        same = np.array_equal(found[1], found[2])
        row(f"10000 x {d}", f"{one:.2f}", f"{two:.2f}", f"{one / two:.2f}x", "1.6x", same)


def part_predict():
    """decision_function of 5000 rows, in both precisions; scikit-learn's is always double."""
    header("SVC prediction", "zoo s", "scikit-learn s", "ratio", "bar", "largest difference")
    for n, d, k in ((5000, 20, 2), (5000, 100, 2), (3000, 784, 2), (3000, 64, 10)):
        X, y = clouds(n, d, k=k)
        T = clouds(5000, d, k=k, seed=0)[0]
        for dtype in (np.float64, np.float32):
            A, B = X.astype(dtype), T.astype(dtype)
            theirs, ours = svm.SVC(tol=1e-4).fit(A, y), SVC(tol=1e-4).fit(A, y)
            ours.decision_function(B[:300])
            t, a = timed(lambda m=ours, B=B: m.decision_function(B), 3)
            s, b = timed(lambda m=theirs, B=B: m.decision_function(B), 1)
            name = f"{len(theirs.support_)} vectors x {d}, {k} classes, {np.dtype(dtype)}"
            row(name, f"{t:.3f}", f"{s:.3f}", f"{s / t:.1f}x", "12x", f"{np.abs(a - b).max():.1e}")


def part_linear_kernel():
    """The linear kernel, by the interior point."""
    header("SVC linear", "zoo s", "scikit-learn s", "ratio", "bar", "dual objective")
    kw = {"kernel": "linear"}
    for n, d in ((1000, 20), (5000, 20), (5000, 100)):
        X, y = clouds(n, d)

        def objective(m, X=X, y=y):
            s = np.where(y == 1, 1.0, -1.0)
            w = m.coef_[0]
            return 0.5 * w @ w - s[m.support_] @ np.asarray(m.dual_coef_)[0]

        bar = "20x" if (n, d) == (5000, 20) else "1x"
        two_sides(f"{n} x {d}", lambda: SVC(**kw), lambda: svm.SVC(**kw), X, y, 1, objective, bar)


def _linear_svc(data, losses):
    header("LinearSVC", "zoo s", "scikit-learn s", "ratio", "bar", "objective, relative difference")
    for name, make, bar in data:
        X, y = make()
        s = np.where(y == 1, 1.0, -1.0)
        for loss in losses:

            def objective(m, X=X, s=s, p=2 if loss == "squared_hinge" else 1):
                v = np.append(m.coef_[0], m.intercept_)
                return 0.5 * v @ v + (np.maximum(1 - s * (X @ v[:-1] + v[-1]), 0) ** p).sum()

            kw = {"loss": loss, "random_state": 0}
            two_sides(
                f"{name} {loss}", lambda kw=kw: LinearSVC(**kw), lambda kw=kw: svm.LinearSVC(**kw), X, y,
                3 if loss == "squared_hinge" else 1, objective, bar,
            )  # fmt: skip


def part_linearsvc():
    """LinearSVC at the defaults: both losses on dense data; the objective is the primal one."""
    data = (
        ("20000 x 100", lambda: clouds(20_000, 100), "5x"),
        ("50000 x 20", lambda: clouds(50_000, 20), "2.2x"),
    )
    _linear_svc(data, ("squared_hinge", "hinge"))


def part_sparse_hinge():
    """LinearSVC on sparse text."""
    _linear_svc((("sparse 20000 x 50000", documents, "1.4x"),), ("squared_hinge", "hinge"))


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


PARTS = {
    name.removeprefix("part_").replace("_", "-"): part
    for name, part in globals().items()
    if name.startswith("part_")
}


def main(names):
    """Warm the kernels up, then run the parts."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for n, d in ((300, 10), (2500, 10)):
        X, y = clouds(n, d)
        SVC(cache_size=5).fit(X, y).predict(X)
        SVC().fit(X.astype(np.float32), y).predict(X.astype(np.float32))
        SVR().fit(X, y).predict(X)
        OneClassSVM().fit(X)
        SVC(kernel="linear").fit(X, y)
        for loss in ("hinge", "squared_hinge"):
            LinearSVC(loss=loss).fit(X, y)
    SVC().fit(*clouds(300, 300))
    X, y = documents(300, 2000)
    SVC().fit(X, y)
    for loss in ("hinge", "squared_hinge"):
        LinearSVC(loss=loss).fit(X, y)
    np.ones(60_000_000, np.float32)  # pages of the machine that no one has touched yet cost time
    for name in names or [p for p in PARTS if p != "intel"]:
        PARTS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
