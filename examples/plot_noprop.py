"""
From noise to label: blocks that never see each other's gradient
================================================================

A network is usually trained by sending the error of its end back through all of it. NoProp does
without: every block learns alone to find a label's embedding under noise, and only when all are
done are they put in a row. This lesson trains such a row on digits, watches a state on its way
through it, and asks the question that must be asked of it: what would the first block have said alone?
"""

# %%
# Train the blocks
# ----------------
# Block t gets the picture and the label's embedding under the noise of step t. The first block's
# state is pure noise, so it is an ordinary classifier of pictures.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from zoo import NoPropDTClassifier
from zoo.noprop import trajectory

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X.astype(np.float32), y, test_size=0.4, random_state=0, stratify=y
)
options = {"n_blocks": 6, "max_epochs": 15, "random_state": 0}
model = NoPropDTClassifier(**options).fit(X_train, y_train)
end_to_end = NoPropDTClassifier(training="backprop", **options).fit(X_train, y_train)
alone = model.block_accuracies(X_test, y_test)
print(f"NoProp {model.score(X_test, y_test):.3f}, block 1 alone {alone[0]:.3f}")
print(f"the same blocks by back-propagation {end_to_end.score(X_test, y_test):.3f}")

# %%
# The way of a state
# ------------------
# ``trajectory`` gives the states and what can be read from them: at first every class is equally
# likely, at the end one is left. Below are a clear picture and the one that stays open longest.
model.set_params(sampler="sde")
path = trajectory(model, X_test)
certainty = path.proba.max(axis=2)  # (T + 1, n)
rows = [int(certainty[2].argmax()), int(certainty[2].argmin())]

figure, axes = plt.subplots(2, 2, width_ratios=(1, 3), figsize=(8, 5), layout="constrained")
for (picture, curves), row in zip(axes, rows, strict=True):
    picture.imshow(X_test[row].reshape(8, 8), cmap="gray_r")
    picture.set(title=f"a {y_test[row]}", xticks=[], yticks=[])
    for label in range(10):
        p = path.proba[:, row, label]
        style = {"label": str(label), "linewidth": 2} if p.max() > 0.2 else {"color": "lightgray"}
        curves.plot(path.t, p, **style)
    curves.set(ylabel="probability given the state", ylim=(0, 1.02))
    curves.legend(loc="center right", frameon=False)
axes[1, 1].set_xlabel("t, from noise to label")
plt.show()

# %%
# What the chain is worth
# -----------------------
# On digits the blocks after the first add little: the first one knows nearly all that can be known.
# That is worth saying beside every figure of this method. What is really saved is memory: one block's
# activations are alive at a time with ``chunk=1``.
print("accuracy of each block alone:", alone.round(3))
