"""
Double descent: more breakpoints than rows
==========================================

A broken line with as many breakpoints as rows goes through every row, and wildly in between. With
many more it goes through every row too, but among the lines that do, the one of least norm is
calm. This lesson draws the test error on the way.
"""

# %%
# A few noisy rows of a sine
# --------------------------
import matplotlib.pyplot as plt
import numpy as np

from zoo import PiecewiseLinearRegressor


def sample(seed, n=15):
    """Rows of sin(2x) with a little noise, both ends among them."""
    rng = np.random.default_rng(seed)
    X = np.sort(rng.uniform(-2, 2, (n, 1)), axis=0)
    X[0], X[-1] = -2, 2
    return X, np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=n)


grid = np.linspace(-2, 2, 400)[:, None]
truth = np.sin(2 * grid[:, 0])

# %%
# The error on the way
# --------------------
# No penalty: ``penalty="min_norm"`` takes the least squares solution of least norm, which is where
# gradient descent from zero ends. The median over twenty data sets.
counts = [1, 2, 3, 4, 5, 7, 9, 11, 13, 15, 18, 22, 30, 60, 120, 300]
train, test = [], []
for p in counts:
    errors = []
    for seed in range(20):
        X, y = sample(seed)
        m = PiecewiseLinearRegressor(n_breakpoints=p, penalty="min_norm").fit(X, y)
        errors.append([np.mean((m.predict(X) - y) ** 2), np.mean((m.predict(grid) - truth) ** 2)])
    a, b = np.median(errors, axis=0)
    train.append(a)
    test.append(b)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.loglog(counts, np.maximum(train, 1e-6), label="train")
left.loglog(counts, test, label="test")
left.axvline(15, color="grey", linestyle=":")
left.set(xlabel="breakpoints", ylabel="mean squared error")
left.legend()

# %%
# Two lines through the same rows
# -------------------------------
X, y = sample(3)
right.plot(X[:, 0], y, "ko")
for p in (15, 300):
    m = PiecewiseLinearRegressor(n_breakpoints=p, penalty="min_norm").fit(X, y)
    right.plot(grid[:, 0], m.predict(grid), label=f"{p} breakpoints")
right.set(ylim=(-3, 3))
right.legend()
figure.tight_layout()
print("test error at", {p: round(float(e), 3) for p, e in zip(counts, test, strict=True)})

# %%
# A small ridge penalty takes the peak away altogether
# ----------------------------------------------------
errors = []
for seed in range(20):
    X, y = sample(seed)
    m = PiecewiseLinearRegressor(n_breakpoints=15, alpha=1e-3).fit(X, y)
    errors.append(np.mean((m.predict(grid) - truth) ** 2))
print("15 breakpoints with alpha=0.001:", round(float(np.median(errors)), 3))
