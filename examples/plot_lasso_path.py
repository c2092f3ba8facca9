"""
Which columns matter: the path of the lasso
===========================================

Ridge makes all coefficients smaller; the lasso makes most of them zero. Followed from a strong penalty
to a weak one, the columns enter one after the other, and cross-validation says where to stop.
"""

import matplotlib.pyplot as plt
import numpy as np

from zoo import Lasso, LassoCV, Ridge

# %%
# Forty columns, neighbours correlated, and only five that have to do with y.
rng = np.random.default_rng(0)
n, d = 150, 40
Z = rng.normal(size=(n, d + 1))
X = 0.9 * Z[:, :-1] + 0.4 * Z[:, 1:]
truth = np.zeros(d)
truth[[2, 9, 17, 25, 33]] = [3, -2.5, 2, -1.5, 1]
y = X @ truth + rng.normal(size=n)

# %%
strengths = np.geomspace(3, 0.01, 60)
lasso = np.array([Lasso(alpha=a).fit(X, y).coef_ for a in strengths])
ridge = np.array([Ridge(alpha=a).fit(X, y).coef_ for a in n * strengths])
chosen = LassoCV().fit(X, y)

figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, path, name in zip(axes, (lasso, ridge), ("lasso", "ridge"), strict=True):
    for j in range(d):
        ax.plot(strengths, path[:, j], color=f"C{j % 10}" if truth[j] else "0.8", zorder=2 + bool(truth[j]))
    ax.set(xscale="log", xlabel="penalty", title=name)
    ax.invert_xaxis()
axes[0].axvline(chosen.alpha_, color="k", linestyle=":", label="chosen by cross-validation")
axes[0].legend()
axes[0].set_ylabel("coefficient")

# %%
# In colour are the five columns that matter. Prediction wants a weaker penalty than selection does: at the
# penalty with the best predictions some columns too many are in, with small coefficients.
inside = np.flatnonzero(chosen.coef_)
print("columns that matter:", np.flatnonzero(truth).tolist())
print(f"in at the chosen penalty {chosen.alpha_:.3f}: {inside.tolist()}")
order = np.argsort(np.where(lasso.any(axis=0), (lasso != 0).argmax(axis=0), len(strengths)), kind="stable")
print("the first five to enter:", sorted(order[:5].tolist()))
plt.show()
