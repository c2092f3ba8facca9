"""
A pattern is found wherever it lies: what a convolution is for
==============================================================

Upright bars against lying bars. In training every bar lies in the left half of the picture; in the
test, in the right half. A perceptron has weights of its own for every pixel, so what it learned on
the left says nothing about the right. A convolutional network slides the same small filters over
all places: its features move with the bar.
"""

# %%
# Two kinds of bars, and two places
# ---------------------------------
import os

import matplotlib.pyplot as plt
import numpy as np

from zoo import ConvNetClassifier, MLPClassifier

SMALL = os.environ.get("ZOO_EXAMPLE_SIZE") == "small"
rng = np.random.default_rng(0)


def bars(n, first, last):
    """Pictures of one bar of 5 pixels that begins between these columns."""
    X, y = 0.25 * rng.normal(size=(n, 20, 20)), np.arange(n) % 2
    for picture, lying in zip(X, y, strict=True):
        i, j = rng.integers(2, 14), rng.integers(first, last)
        picture[(i, slice(j, j + 5)) if lying else (slice(i, i + 5), j)] += 1
    return X, np.where(y, "lying", "upright")


X, y = bars(100 if SMALL else 600, 1, 5)
X_test, y_test = bars(300, 11, 15)

# %%
# The convolutional network and the perceptron
# --------------------------------------------
# ``pool_size=4`` twice leaves little of where a bar was; ``shift`` moves training pictures about.
conv = ConvNetClassifier(
    filters=(8, 8), pool_size=4, hidden_layer_sizes=(16,), shift=4, batch_size=32,
    max_epochs=2 if SMALL else 30, lr=5e-3, random_state=0,
).fit(X, y)  # fmt: skip
flat = MLPClassifier(hidden_layer_sizes=(64,), max_epochs=2 if SMALL else 60, random_state=0)
flat.fit(X.reshape(len(X), -1), y)
scores = {
    "convolution": (conv.score(X, y), conv.score(X_test, y_test)),
    "perceptron": (
        flat.score(X.reshape(len(X), -1), y), flat.score(X_test.reshape(len(X_test), -1), y_test),
    ),
}  # fmt: skip
for name, (left, right) in scores.items():
    print(f"{name:12} bars on the left {left:.1%}, bars on the right {right:.1%}")

# %%
# Features move with the picture
# ------------------------------
# ``feature_maps`` gives the output of the convolutions. The filters of this network were learned on
# the left; the same bar on the right gives the same map, moved.
eyes = ConvNetClassifier(
    filters=(4,), pool_size=1, hidden_layer_sizes=(16,), batch_size=32,
    max_epochs=2 if SMALL else 15, lr=5e-3, random_state=0,
).fit(X, y)  # fmt: skip
picture = X[np.flatnonzero(y == "upright")[:1]]
moved = np.roll(picture, 9, axis=2)
maps, moved_maps = eyes.feature_maps(picture)[0], eyes.feature_maps(moved)[0]
difference = np.abs(np.roll(maps, 9, axis=2)[:, 1:-1, 10:-1] - moved_maps[:, 1:-1, 10:-1]).max()
print(f"largest difference between the moved map and the map of the moved picture {difference:.1e}")
strongest = maps.std(axis=(1, 2)).argmax()

figure, axes = plt.subplots(2, 3, figsize=(9.5, 6), layout="constrained")
shown = [("A bar", picture, maps), ("The bar, 9 pixels on", moved, moved_maps)]
for row, (title, image, feature) in zip(axes, shown, strict=True):
    row[0].imshow(image[0], cmap="gray_r")
    row[0].set_title(title)
    row[1].imshow(feature[strongest], cmap="gray_r")
    row[1].set_title("what the strongest filter sees")
    for axis in row[:2]:
        axis.set(xticks=[], yticks=[])
for axis, place in zip(axes[:, 2], (0, 1), strict=True):
    values = [score[place] for score in scores.values()]
    bars_drawn = axis.bar(list(scores), values, color=["tab:blue", "tab:gray"])
    axis.bar_label(bars_drawn, labels=[f"{value:.0%}" for value in values])
    axis.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
    axis.set(ylim=(0, 1.12), title=("trained here: left half", "never seen: right half")[place])
    axis.set_ylabel("accuracy")
plt.show()
