"""
A picture book of two numbers: what a variational autoencoder learns
====================================================================

A variational autoencoder squeezes each picture into a code and learns to draw it again. With a code
of only two numbers, the codes can be laid out on a sheet of paper: walk over the sheet, and one
digit turns into another. The same model fills in the missing half of a picture.
"""

# %%
# Pictures as whole numbers
# -------------------------
# The digits of scikit-learn hold the integers 0 ... 16; ``levels=17`` says so, and likelihoods are
# then those of integers, comparable between models.
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.datasets import load_digits

from zoo import VAE

SMALL = os.environ.get("ZOO_EXAMPLE_SIZE") == "small"
X, y = load_digits(return_X_y=True)
X_train, X_test, y_test = X[:1400], X[1400:], y[1400:]
model = VAE(
    n_components=2, hidden_layer_sizes=(256, 128), levels=17, lr=3e-3, batch_size=64,
    max_epochs=3 if SMALL else 120, schedule="warm_up_cosine", random_state=0,
).fit(X_train)  # fmt: skip
print(f"{model.bits_per_dim(X_test):.2f} bits a pixel (uniform guessing: {np.log2(17):.2f})")

# %%
# The sheet
# ---------
# Codes follow a normal distribution, so a grid of its quantiles visits every region as often as the
# data do.
side = 6 if SMALL else 14
q = norm.ppf(np.linspace(0.03, 0.97, side))
grid = np.array([(a, b) for b in q[::-1] for a in q])
sheet = model.inverse_transform(grid).reshape(side, side, 8, 8)

# %%
# The missing half
# ----------------
# What is not there is nan; ``impute`` draws what the model expects given the rest.
shown = X_test[:8]
torn = shown.copy().reshape(-1, 8, 8)
torn[:, 4:] = np.nan
mended = model.impute(torn.reshape(-1, 64))

figure = plt.figure(figsize=(11, 5.2), layout="constrained")
left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1.25, 1]).flat
codes_axis, sheet_axis = left.subplots(1, 2)
codes = model.transform(X_test)
dots = codes_axis.scatter(*codes.T, c=y_test, cmap="tab10", s=8)
codes_axis.set(title="Codes of new pictures", xlabel="first number", ylabel="second number")
codes_axis.set_box_aspect(1)
left.colorbar(dots, ax=codes_axis, ticks=range(10), location="bottom", label="digit")
sheet_axis.imshow(sheet.transpose(0, 2, 1, 3).reshape(side * 8, side * 8), cmap="gray_r")
sheet_axis.set(title="What the decoder draws there", xticks=[], yticks=[])
rows = [("a picture", shown), ("torn", torn), ("mended", mended)]
for axes, (title, pictures) in zip(right.subplots(3, 8), rows, strict=True):
    axes[0].set_ylabel(title)
    for axis, picture in zip(axes, pictures, strict=True):
        axis.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[])
right.suptitle("The lower half is guessed from the upper")
plt.show()
