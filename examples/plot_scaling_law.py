"""
How large a model for how much compute
======================================

Small training runs follow a law: a loss that cannot be beaten, plus a power of the number of parameters,
plus a power of the number of tokens. Fitted to cheap runs, it says how to spend an expensive one.
"""

import matplotlib.pyplot as plt
import numpy as np

from zoo import ScalingLaw

# %%
# Runs made from the constants of Hoffmann et al. (2022), with one percent of noise, all of them below
# 10^21 operations (6 per parameter and token).
rng = np.random.default_rng(0)
N = 10 ** rng.uniform(7.3, 9.5, 120)
D = 10 ** rng.uniform(8.7, 11, 120)
cheap = 6 * N * D < 1e21
X = np.column_stack([N, D])[cheap]
loss = 1.69 + 406.4 / X[:, 0] ** 0.34 + 410.7 / X[:, 1] ** 0.28
y = loss * np.exp(0.01 * rng.normal(size=len(X)))

law = ScalingLaw(n_bootstrap=60, random_state=0).fit(X, y)
print(f"{len(X)} runs; irreducible loss {law.E_:.2f}, exponents {law.exponents_.round(2).tolist()}")
print("95 % intervals of E, A_N, A_D, a_N, a_D:")
print(np.asarray(law.intervals_).round(2))

# %%
# Curves of equal compute have a lowest point: fewer parameters waste tokens, more waste compute. The line
# through the lowest points is the way to go on; here it is followed to 5.8e23, the budget of Chinchilla.
figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
for color, C in zip(
    plt.cm.viridis(np.linspace(0, 0.9, 5)), 10.0 ** np.array([18, 19, 20, 21, 22]), strict=True
):
    n = np.geomspace(2e7, 2e10, 100)
    n = n[(C / (6 * n) > 1e8) & (C / (6 * n) < 1e13)]
    ax.plot(
        n, law.predict(np.column_stack([n, C / (6 * n)])), color=color, label=f"$10^{{{np.log10(C):.0f}}}$"
    )
budgets = np.geomspace(1e18, 5.8e23, 40)
best = np.array([law.allocate(C)[:2] for C in budgets])
ax.plot(best[:, 0], law.predict(best), "k--", label="best split")
ax.scatter(X[:, 0], y, s=10, color="0.6", zorder=0)
ax.set(xscale="log", xlabel="parameters", ylabel="loss", ylim=(1.8, 5))
ax.legend(title="compute")
print(f"at 5.8e23: {best[-1, 0]:.2g} parameters, {best[-1, 1]:.2g} tokens")
plt.show()
