"""Linear models beside scikit-learn and celer: CPU seconds of one thread.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_linear.py [section ...]

Sections: least-squares, ridge, lasso, celer, logistic, hunt, memory. The sides are timed in turn, in
one process; the tables show medians of process time, and the ratio is the peer's over ours. `celer`
needs celer in the environment. In `hunt` a row whose ratio is below one is marked; sparse peers get
the tolerance that we solve to. `memory` is the highest resident memory of a process that makes the
data and fits once.
"""

import gc
import importlib.util
import subprocess
import sys
import time
import warnings

import numpy as np
from scipy import sparse
from sklearn import linear_model
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import GridSearchCV, KFold

from zoo.engines.linear import descent
from zoo.engines.linear import logistic as _logistic
from zoo.linear.lasso import Lasso
from zoo.linear.lasso_cv import LassoCV
from zoo.linear.linear_regression import LinearRegression
from zoo.linear.logistic_regression import LogisticRegression
from zoo.linear.ridge import Ridge
from zoo.linear.ridge_cv import RidgeCV


def race(*calls, longest=6.0):
    """Median CPU seconds of each call, timed in turn, and the last results."""
    seconds, results = [[] for _ in calls], [None] * len(calls)
    gc.collect()
    gc.disable()
    began = time.process_time()
    for turn in range(51):
        # in turn from either end, so that nobody always finds the other's data in the cache
        for i in range(len(calls))[:: 1 if turn % 2 else -1]:
            start = time.process_time()
            results[i] = calls[i]()
            seconds[i].append(time.process_time() - start)
        if time.process_time() - began > longest * (turn + 1) / (turn + 2):
            break
    gc.enable()
    # the first turn warms caches and kernels up
    return [float(np.median(s[1:] or s)) for s in seconds], results


def row(*cells):
    """Print one line of a markdown table."""
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def header(title, *names):
    """Print the head of a markdown table."""
    print(f"\n{title}\n")
    row(*names)
    row(*["---"] * len(names))


def clouds(n, d, k=2):
    """Classes that overlap."""
    return make_classification(
        n, d, n_informative=max(2, d // 2), n_redundant=0, n_classes=k, flip_y=0.05,
        n_clusters_per_class=1, random_state=0,
    )  # fmt: skip


def line(n, d, targets=None, dtype=np.float64):
    """Columns of mean one and a linear target with noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) + 1
    y = X @ rng.standard_normal(d if targets is None else (d, targets))
    return X.astype(dtype), (y + rng.standard_normal(y.shape)).astype(dtype)


def scarce(n, d, density):
    """Sparse rows and a linear target."""
    rng = np.random.default_rng(0)
    X = sparse.random(n, d, density, format="csr", random_state=rng)
    return X, X @ rng.standard_normal(d) + 0.1 * rng.standard_normal(n)


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


# -- sections -----------------------------------------------------------------------------------


def least_squares():
    """Least squares; the last case is a polynomial basis."""
    header("LinearRegression: bar 6x where well conditioned, equal accuracy where not",
           "case", "zoo ms", "scikit-learn ms", "ratio", "error", "its error")  # fmt: skip
    cases = {f"{n} x {d}": line(n, d)[0] for n, d in ((20_000, 100), (100_000, 20), (5000, 500), (100, 5))}
    x = np.random.default_rng(0).uniform(-1, 1, 5000)
    cases["powers 1 to 14"] = x[:, None] ** np.arange(1, 15)
    for name, X in cases.items():
        beta = np.random.default_rng(1).standard_normal(X.shape[1])
        y = X @ beta
        (t, s), models = race(
            lambda X=X, y=y: LinearRegression().fit(X, y),
            lambda X=X, y=y: linear_model.LinearRegression().fit(X, y),
        )
        error = [np.abs(m.coef_ - beta).max() / np.abs(beta).max() for m in models]
        row(name, f"{1e3 * t:.2f}", f"{1e3 * s:.2f}", f"{s / t:.1f}x", *(f"{e:.0e}" for e in error))


def ridge():
    """One penalty, thirty with leave-one-out, and a grid of thirty in five folds."""
    header("Ridge: bars 1.3x, RidgeCV 6x, grid 60x",
           "case", "zoo ms", "scikit-learn ms", "ratio", "largest difference")  # fmt: skip
    alphas = np.logspace(-3, 3, 30)
    for n, d in ((20_000, 100), (5000, 500), (500, 2000), (100, 5)):
        X, y = line(n, d)
        size = f"{n} x {d}"
        (t, s), (m, o) = race(
            lambda X=X, y=y: Ridge().fit(X, y), lambda X=X, y=y: linear_model.Ridge().fit(X, y)
        )
        row(f"Ridge, {size}", f"{1e3 * t:.2f}", f"{1e3 * s:.2f}", f"{s / t:.1f}x",
            f"{np.abs(m.coef_ - o.coef_).max():.0e}")  # fmt: skip
        (t, s), (m, o) = race(
            lambda X=X, y=y: RidgeCV(alphas=tuple(alphas)).fit(X, y),
            lambda X=X, y=y: linear_model.RidgeCV(alphas=alphas).fit(X, y),
        )
        row(f"RidgeCV, 30 alphas, leave-one-out, {size}", f"{1e3 * t:.2f}", f"{1e3 * s:.2f}",
            f"{s / t:.1f}x", f"{np.abs(m.coef_ - o.coef_).max():.0e}")  # fmt: skip
        grid = GridSearchCV(
            linear_model.Ridge(), {"alpha": alphas}, cv=KFold(5), scoring="neg_mean_squared_error"
        )
        (t, s), (m, o) = race(
            lambda X=X, y=y: RidgeCV(alphas=tuple(alphas), cv=5).fit(X, y),
            lambda X=X, y=y, grid=grid: grid.fit(X, y),
        )
        gap = np.abs(m.scores_ / o.cv_results_["mean_test_score"] - 1).max()
        row(f"30 alphas x 5 folds, {size}", f"{1e3 * t:.2f}", f"{1e3 * s:.2f}", f"{s / t:.1f}x", f"{gap:.0e}")


def lasso_path(shapes, peer, name):
    """A path of 100 penalties down to a hundredth of the largest, duality gap 1e-6."""
    header(f"Lasso path, 100 penalties to gap 1e-6, beside {name}: bar 1x",
           "case", "zoo ms", f"{name} ms", "ratio", "largest excess of the objective over its")  # fmt: skip
    rng = np.random.default_rng(0)
    for n, d in shapes:
        X = rng.standard_normal((n, d))
        X[:, 1:] = 0.5 * X[:, :-1] + 0.87 * X[:, 1:]
        beta = np.zeros(d)
        beta[rng.choice(d, min(50, d // 2), replace=False)] = rng.standard_normal(min(50, d // 2))
        y = X @ beta + rng.standard_normal(n)
        X -= X.mean(axis=0)
        y -= y.mean()
        alphas = np.abs(X.T @ y).max() / n * np.logspace(0, -2, 100)

        def ours(X=X, y=y, n=n, d=d, alphas=alphas):
            if d < n:
                data = descent.Gram(X.T @ X / n, (X.T @ y / n)[:, None], [y @ y / n])
            else:
                data = descent.Dense(X, y[:, None], np.full(n, 1 / n), np.zeros(d), np.zeros(1))
            return descent.path(data, 0, alphas, 1.0, 1e-6, 100_000)[0]

        F = np.asfortranarray(X)
        (t, s), (a, b) = race(ours, lambda F=F, y=y, alphas=alphas: peer(F, y, alphas), longest=25)

        def objective(beta, alpha, X=X, y=y, n=n):
            return ((y - X @ beta) ** 2).sum() / (2 * n) + alpha * np.abs(beta).sum()

        pairs = zip(a, b.T, alphas, strict=True)
        worse = max(objective(u, al) / objective(v, al) - 1 for u, v, al in pairs)
        row(f"{n} x {d}", f"{1e3 * t:.1f}", f"{1e3 * s:.1f}", f"{s / t:.1f}x", f"{worse:.0e}")


def lasso():
    """Beside scikit-learn's path."""
    lasso_path(
        ((1000, 10_000), (1000, 2000), (500, 400), (500, 50), (20_000, 100)),
        lambda X, y, alphas: linear_model.lasso_path(X, y, alphas=alphas, tol=1e-6, max_iter=100_000)[1],
        "scikit-learn",
    )


def celer():
    """Beside celer's path."""
    if not importlib.util.find_spec("celer"):
        print("\nceler is not installed here.")
        return
    from celer import celer_path

    lasso_path(
        ((1000, 10_000), (1000, 2000), (500, 50)),
        lambda X, y, alphas: celer_path(X, y, "lasso", alphas=alphas, tol=1e-6)[1],
        "celer",
    )


def gradient_norm(m, X, y):
    """Largest entry of the gradient of the mean loss with its penalty, C = 1."""
    k, n = len(m.coef_), len(y)
    problem = _logistic.Problem(X, y, k, np.full(n, 1 / n), 1 / n, True)
    return np.abs(problem.value_and_gradient(np.column_stack([m.coef_, m.intercept_]))[1]).max()


def logistic(cases=None):
    """Every solver of scikit-learn, all asked for a gradient of 1e-6."""
    header("LogisticRegression to gradient norm 1e-6 beside the best solver: bar 1x each, 2x on average",
           "case", "zoo ms", "gradient", "best ms", "its solver", "gradient", "ratio",
           "others: ms (gradient)")  # fmt: skip
    digits, bad = load_digits(return_X_y=True), clouds(20_000, 50)
    cases = cases or {
        "20000 x 100": clouds(20_000, 100),
        "50000 x 20": clouds(50_000, 20),
        "20000 x 500": clouds(20_000, 500),
        "digits / 16, 10 classes": (digits[0] / 16, digits[1]),
        "sparse 20000 x 50000": documents(),
        "20000 x 50, scales 1e-3 to 1e3": (bad[0] * np.logspace(-3, 3, 50), bad[1]),
    }
    ratios = []
    for name, (X, y) in cases.items():
        classes = len(np.unique(y))
        solvers = ["lbfgs", "newton-cg"]
        if X.shape[1] * (1 if classes == 2 else classes) <= 1000:
            solvers.append("newton-cholesky")
        if sparse.issparse(X):
            solvers.append("liblinear")
        # lbfgs stops where rounding stalls it: 3000 steps are far more than it needs elsewhere
        peers = [
            lambda X=X, y=y, solver=solver: linear_model.LogisticRegression(
                solver=solver, tol=1e-6, max_iter=3000
            ).fit(X, y)
            for solver in solvers
        ]
        ours = lambda X=X, y=y: LogisticRegression(tol=1e-6).fit(X, y)  # noqa: E731
        (t, *s), (m, *others) = race(ours, *peers, longest=12)
        norms = [gradient_norm(o, X, y) for o in others]
        # a solver that missed the mark by ten did not solve the problem
        good = [i for i in range(len(s)) if norms[i] < 1e-5] or range(len(s))
        best = min(good, key=lambda i: s[i])
        rest = ", ".join(
            f"{solvers[i]} {1e3 * s[i]:.1f} ({norms[i]:.0e})" for i in range(len(s)) if i != best
        )
        ratios.append(s[best] / t)
        row(name, f"{1e3 * t:.1f}", f"{gradient_norm(m, X, y):.0e}", f"{1e3 * s[best]:.1f}", solvers[best],
            f"{norms[best]:.0e}", f"{ratios[-1]:.1f}x", rest)  # fmt: skip
    row("mean", "", "", "", "", "", f"{np.mean(ratios):.1f}x", "")


def hunt():
    """Shapes in which a fixed cost or an unlucky choice would show."""
    header("Where could scikit-learn be faster?", "case", "zoo ms", "scikit-learn ms", "ratio", "")
    lm = linear_model
    regressions = {
        "30 x 3": line(30, 3),
        "1000 x 10": line(1000, 10),
        "300 x 3000": line(300, 3000),
        "1000 x 1000": line(1000, 1000),
        "20000 x 100 float32": line(20_000, 100, dtype=np.float32),
        "5000 x 20, 200 targets": line(5000, 20, 200),
        "sparse 20000 x 500": scarce(20_000, 500, 0.01),
        "sparse 20000 x 3000": scarce(20_000, 3000, 0.003),
    }
    alphas = np.logspace(-3, 3, 30)
    pairs = []
    for name, data in regressions.items():
        exact = {"tol": 1e-10} if "sparse" in name else {}
        pairs.append((f"LinearRegression {name}", LinearRegression(), lm.LinearRegression(**exact), data))
        pairs.append((f"Ridge {name}", Ridge(), lm.Ridge(**exact), data))
        if name != "sparse 20000 x 3000":
            pairs.append((f"RidgeCV {name}", RidgeCV(alphas=tuple(alphas)), lm.RidgeCV(alphas=alphas), data))
        if data[1].ndim == 1 and "3000" not in name:
            alpha = 1e-4 if "sparse" in name else 0.1
            theirs = lm.Lasso(alpha=alpha, tol=1e-6, max_iter=100_000)
            pairs.append((f"Lasso {name}", Lasso(alpha=alpha, tol=1e-6), theirs, data))
    pairs.append(("LassoCV 1000 x 10", LassoCV(tol=1e-4), lm.LassoCV(), regressions["1000 x 10"]))
    shapes = ((60, 3, 2), (150, 4, 3), (1000, 10, 2), (2000, 50, 3), (300, 3000, 3), (1000, 1000, 2),
              (20_000, 50, 5), (50_000, 5, 2))  # fmt: skip
    for n, d, k in shapes:
        solver = "lbfgs" if d > 1000 or k > 2 else "newton-cholesky" if d < 500 else "lbfgs"
        theirs = lm.LogisticRegression(tol=1e-6, solver=solver, max_iter=3000)
        name = f"LogisticRegression {n} x {d}, {k} classes ({solver})"
        pairs.append((name, LogisticRegression(tol=1e-6), theirs, clouds(n, d, k)))
    for name, ours, theirs, data in pairs:
        (t, s), _ = race(
            lambda ours=ours, data=data: ours.fit(*data),
            lambda theirs=theirs, data=data: theirs.fit(*data),
            longest=2,
        )
        row(name, f"{1e3 * t:.2f}", f"{1e3 * s:.2f}", f"{s / t:.2f}x", "slower" if s < t else "")


PEAK = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from scipy import sparse
from sklearn import linear_model as lm
import zoo
rng = np.random.default_rng(0)
X = {data}
y = np.asarray(X @ np.ones(X.shape[1])).ravel() + rng.standard_normal(X.shape[0])
y = {target}
{side}.fit(X[:50], y[:50])
def status(name):
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name)) / 1024
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
{side}.fit(X, y)
print(status("VmHWM"), status("VmHWM") - before)
"""


def memory():
    """Peak resident memory of a process that fits once."""
    header("Highest resident memory, MB (of it, what the fit added): bar 1.2 of scikit-learn's",
           "case", "zoo", "scikit-learn", "ratio")  # fmt: skip
    tall, wide = "rng.standard_normal((200_000, 50))", "rng.standard_normal((500, 10_000))"
    text = 'sparse.random(20_000, 20_000, 0.003, format="csr", random_state=rng)'
    cases = (
        ("LinearRegression 200000 x 50", tall, "y", "zoo.LinearRegression()", "lm.LinearRegression()"),
        ("Ridge 200000 x 50", tall, "y", "zoo.Ridge()", "lm.Ridge()"),
        ("RidgeCV 200000 x 50", tall, "y", "zoo.RidgeCV()", "lm.RidgeCV(alphas=(0.1, 1.0, 10.0))"),
        ("Lasso 200000 x 50", tall, "y", "zoo.Lasso(alpha=0.1)", "lm.Lasso(alpha=0.1)"),
        ("LogisticRegression 200000 x 50", tall, "y > 0", "zoo.LogisticRegression()",
         "lm.LogisticRegression()"),
        ("LinearRegression 500 x 10000", wide, "y", "zoo.LinearRegression()", "lm.LinearRegression()"),
        ("Ridge 500 x 10000", wide, "y", "zoo.Ridge()", "lm.Ridge()"),
        ("Lasso 500 x 10000", wide, "y", "zoo.Lasso(alpha=10.0)", "lm.Lasso(alpha=10.0)"),
        ("LogisticRegression 500 x 10000", wide, "y > 0", "zoo.LogisticRegression()",
         "lm.LogisticRegression()"),
        ("Ridge sparse 20000 x 20000", text, "y", "zoo.Ridge()", "lm.Ridge()"),
        ("LogisticRegression sparse 20000 x 20000", text, "y > 0", "zoo.LogisticRegression()",
         "lm.LogisticRegression()"),
    )  # fmt: skip
    for name, data, target, *sides in cases:
        found = []
        for side in sides:
            code = PEAK.format(data=data, target=target, side=side)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            found.append([float(v) for v in done.stdout.split()])
        (a, more), (b, its) = found
        row(name, f"{a:.0f} ({more:.0f})", f"{b:.0f} ({its:.0f})", f"{a / b:.2f}")


SECTIONS = {
    f.__name__.replace("_", "-"): f for f in (least_squares, ridge, lasso, celer, logistic, hunt, memory)
}


def main(names):
    """Warm the kernels up, then run the sections."""
    warnings.simplefilter("ignore")
    X, y = clouds(300, 10)
    for Z in (X, sparse.csr_matrix(X)):
        LogisticRegression().fit(Z, y)
        Ridge().fit(Z, y)
    for name in names or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
