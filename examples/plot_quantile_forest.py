"""
Not one number but a band: a forest that knows what it does not know
====================================================================

The mean over the leaves of a forest is its prediction. The rows in those leaves say more: their spread is
how far new rows will scatter, and it may differ from place to place.
"""

import matplotlib.pyplot as plt
import numpy as np

from zoo import LinearRegression, RandomForestRegressor

# %%
# A curve whose noise grows from left to right.
rng = np.random.default_rng(0)


def rows(n):
    """Return n rows and their targets."""
    x = rng.uniform(0, 10, n)
    return x[:, None], np.sin(x) + (0.05 + 0.07 * x) * rng.normal(size=n)


X, y = rows(1500)
forest = RandomForestRegressor(n_estimators=200, min_samples_leaf=10, keep_rows=True, random_state=0).fit(
    X, y
)
grid = np.linspace(0, 10, 400)[:, None]
low, middle, high = forest.predict_quantiles(grid, [0.05, 0.5, 0.95]).T

# %%
# For comparison, the band of a linear model on the first powers of x: it holds as many rows on the whole, but
# too many on the left and too few on the right.
powers = np.arange(1, 8)
line = LinearRegression().fit((X / 10) ** powers, y)
straight = line.predict_interval((grid / 10) ** powers, level=0.9)

figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, band, name in zip(
    axes, ((low, high), straight.T), ("quantile forest", "linear model"), strict=True
):
    ax.plot(X[:, 0], y, ".", color="0.7", markersize=2)
    ax.fill_between(grid[:, 0], *band, alpha=0.35)
    ax.set(title=f"{name}: 90 % band", xlabel="x")
axes[0].plot(grid, middle, "C0")

# %%
# New rows tell whether ninety in a hundred really fall inside, on the left, in the middle and on the right.
X_new, y_new = rows(6000)
third = np.digitize(X_new[:, 0], [10 / 3, 20 / 3])
for name, (a, b) in {
    "forest": forest.predict_quantiles(X_new, [0.05, 0.95]).T,
    "linear": line.predict_interval((X_new / 10) ** powers, level=0.9).T,
}.items():
    inside = (a <= y_new) & (y_new <= b)
    print(f"{name}: " + ", ".join(f"{inside[third == k].mean():.1%}" for k in range(3)))
plt.show()
