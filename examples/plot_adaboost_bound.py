"""
Weak learners, one strong vote
==============================

A stump asks one question and is right a little more often than chance. AdaBoost adds stumps, each for the
rows that those before it missed. A theorem bounds the training error by a product that shrinks with
every round, and the error on new rows follows it down.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_hastie_10_2

from zoo import AdaBoostClassifier

rounds = 60 if os.environ.get("ZOO_EXAMPLE_SIZE") == "small" else 400
X, y = make_hastie_10_2(4000, random_state=0)
X, X_new, y, y_new = X[:1500], X[1500:], y[:1500], y[1500:]

# %%
# The same fit cut at different lengths gives the curve; the errors e of the rounds give the bound
# 2 sqrt(e (1 - e)) of each.
lengths = np.unique(np.geomspace(1, rounds, 18).astype(int))
models = [AdaBoostClassifier(n_estimators=int(m)).fit(X, y) for m in lengths]
seen = [1 - m.score(X, y) for m in models]
new = [1 - m.score(X_new, y_new) for m in models]
e = models[-1].estimator_errors_
bound = np.cumprod(2 * np.sqrt(e * (1 - e)))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(np.arange(1, len(bound) + 1), bound, "k:", label="bound on the training error")
left.plot(lengths, seen, ".-", label="training error")
left.plot(lengths, new, ".-", label="error on new rows")
left.axhline(1 - models[0].score(X_new, y_new), color="0.7", zorder=0)
left.set(xscale="log", xlabel="rounds", ylabel="error")
left.legend()

# %%
# The margin of a row is how clearly the vote goes its way, between -1 and 1. More rounds push the rows that
# are wrong over the line and draw the others together: the vote becomes less extreme and more often right.
for m, model in zip(lengths, models, strict=True):
    if m in (lengths[len(lengths) // 2], lengths[-1]):
        votes = model.decision_function(X) * y / model.estimator_weights_.sum()
        right.plot(np.sort(votes), np.linspace(0, 1, len(votes)), label=f"{m} rounds")
right.axvline(0, color="0.7")
right.set(xlabel="margin", ylabel="share of rows below it")
right.legend()
print(f"one stump {new[0]:.1%} wrong on new rows, {lengths[-1]} stumps {new[-1]:.1%}")
print(
    f"bound {bound[-1]:.3f}, training error {seen[-1]:.3f}: {'holds' if seen[-1] <= bound[-1] else 'broken'}"
)
plt.show()
