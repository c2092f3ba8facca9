"""
Strange rows, without being told what strange is
================================================

A one-class machine draws a line round where the data are dense. ``nu`` bounds the share of training rows
that may lie outside; what counts as dense depends on how far a row reaches.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from zoo import OneClassSVM

# %%
# Only ones and zeros are seen while training. Which other digits look strange to the machine?
X, y = load_digits(return_X_y=True)
X = X / 16
seen = y <= 1
X_train, X_new = X[seen][::2], np.concatenate([X[seen][1::2], X[~seen]])
strange = np.concatenate([np.zeros(len(X[seen][1::2]), int), np.ones((~seen).sum(), int)])

machine = OneClassSVM(nu=0.05).fit(X_train)
scores = machine.score_samples(X_new)
print(f"strange digits are told from new zeros and ones with AUC {roc_auc_score(strange, -scores):.3f}")
outside = float(np.mean(machine.predict(X_train) == -1))
print(f"{outside:.1%} of the training rows lie outside; nu allows 5 %, give or take the rows on the line")

# %%
# From the most usual to the strangest.
figure = plt.figure(figsize=(10, 5), layout="constrained")
top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 2]).flat
order = np.argsort(-scores)
picked = np.concatenate([order[:8], order[-8:]])
for ax, i in zip(top.subplots(1, 16).flat, picked, strict=True):
    ax.imshow(X_new[i].reshape(8, 8), cmap="gray_r")
    ax.axis("off")
top.suptitle("the eight most usual and the eight strangest")

ax = bottom.subplots()
digits = np.concatenate([y[seen][1::2], y[~seen]])
ax.boxplot(
    [scores[digits == k] - machine.offset_ for k in range(10)], tick_labels=list(range(10)), widths=0.6
)
ax.axhline(0, color="k", linewidth=0.8)
ax.set(xlabel="digit", ylabel="inside > 0 > outside")
plt.show()
