"""
Two bands round a line: what is known, and what will be seen
============================================================

A regression line is uncertain, and new rows scatter round it even if it is right. The confidence band
holds the line; the prediction band holds the next row. The first shrinks as rows come in, the second
cannot shrink below the noise.
"""

import matplotlib.pyplot as plt
import numpy as np

from zoo import LinearRegression

rng = np.random.default_rng(1)


def rows(n):
    """Return n rows of a line with unit noise, none between 4 and 7."""
    x = np.concatenate([rng.uniform(0, 4, n // 2), rng.uniform(7, 8, n - n // 2)])
    return x[:, None], 1 + 0.5 * x + rng.normal(size=n)


# %%
grid = np.linspace(-1, 11, 200)[:, None]
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, n in zip(axes, (12, 120), strict=True):
    X, y = rows(n)
    m = LinearRegression().fit(X, y)
    ax.plot(grid, m.predict(grid), "C0", X[:, 0], y, "k.")
    ax.fill_between(grid[:, 0], *m.predict_interval(grid).T, color="C0", alpha=0.15, label="next row")
    ax.fill_between(grid[:, 0], *m.predict_interval(grid, of="mean").T, color="C0", alpha=0.4, label="line")
    ax.plot(grid, 1 + 0.5 * grid, "C3--", label="truth")
    ax.set(title=f"{n} rows", xlabel="x")
axes[0].legend(loc="upper left")

# %%
# Are the bands honest? Of many new worlds of twelve rows each, 95 in 100 prediction bands should hold a
# row that was not there.
held = []
for _ in range(400):
    X, y = rows(13)
    low, high = np.asarray(LinearRegression().fit(X[1:], y[1:]).predict_interval(X[:1])).ravel()
    held.append(low <= y[0] <= high)
print(f"the 95 % band held the new row in {np.mean(held):.1%} of {len(held)} worlds")
plt.show()
