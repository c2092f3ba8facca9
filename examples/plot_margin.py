"""
A margin, and what C and gamma do to it
=======================================

A support vector machine puts the boundary where the gap between the classes is widest. Only the rows
on the edge of the gap, or on the wrong side of it, hold the boundary in place; all others could be
taken away. This lesson draws both, for four machines on the same rows.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from zoo import SVC

X, y = make_moons(150, noise=0.22, random_state=3)

# %%
# ``gamma`` is how far a row reaches: near 0 it reaches everywhere and the boundary is almost a line, large
# and each row sees only itself. ``C`` is the price of a row on the wrong side.
machines = {
    "a line": SVC(kernel="linear", C=1),
    "wide reach": SVC(gamma=0.5, C=1),
    "cheap mistakes": SVC(gamma=2, C=0.05),
    "short reach, dear mistakes": SVC(gamma=30, C=100),
}
span = np.linspace(-0.5, 0.5, 220)
x0, x1 = np.meshgrid(0.5 + 4.2 * span, 0.25 + 3.2 * span)
plane = np.column_stack([x0.ravel(), x1.ravel()])

figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex=True, sharey=True, layout="constrained")
for ax, (name, machine) in zip(axes.flat, machines.items(), strict=True):
    f = machine.fit(X, y).decision_function(plane).reshape(x0.shape)
    ax.contourf(x0, x1, np.clip(f, -2, 2), levels=np.linspace(-2, 2, 21), cmap="RdBu", alpha=0.55)
    ax.contour(x0, x1, f, levels=[-1, 0, 1], colors="k", linestyles=["--", "-", "--"], linewidths=1)
    held = machine.support_
    ax.scatter(*X[held].T, s=75, facecolors="none", edgecolors="k", linewidths=0.8)
    ax.scatter(*X.T, c=np.where(y == 1, "#1f4e8c", "#a32020"), s=12)
    ax.set(title=f"{name}: {len(held)} of {len(X)} rows hold it", xticks=[], yticks=[])

# %%
# The solid line is the boundary, the dashed ones are the edges of the margin. The last machine knows every
# row of its training data by heart; new rows tell it apart from the second.
X_new, y_new = make_moons(4000, noise=0.22, random_state=4)
for name, machine in machines.items():
    print(f"{name:<28} seen {machine.score(X, y):.1%}   new {machine.score(X_new, y_new):.1%}")
plt.show()
