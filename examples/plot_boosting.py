"""
What a boosted model has learned
================================

Trees are added until held-out data stop improving; exact Shapley values then say which columns
moved a prediction. They add up to it, so nothing is left unexplained.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.model_selection import train_test_split

from zoo import BoostingRegressor

# %%
# Only the first five of ten columns matter: ``10 sin(pi x0 x1) + 20 (x2 - 1/2)^2 + 10 x3 + 5 x4``.
X, y = make_friedman1(1000, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = BoostingRegressor(n_estimators=1000, n_iter_no_change=20, random_state=0)
model.fit(X_train, y_train, X_val=X_test, y_val=y_test)
losses = model.history_["valid_loss"]
print(f"{model.n_iter_} rounds kept, R^2 = {model.score(X_test, y_test):.3f}")

# %%
explanation = model.shap_values(X_test)
left = explanation.base + explanation.values.sum(axis=1) - model.predict(X_test)
print(f"largest gap between explanation and prediction: {np.abs(left).max():.1e}")

fig, (a, b) = plt.subplots(1, 2, figsize=(9, 3.5))
a.plot(losses)
a.axvline(model.n_iter_ - 1, color="grey", linestyle=":")
a.set(xlabel="round", ylabel="validation loss")
b.scatter(X_test[:, 2], explanation.values[:, 2], s=8)
b.set(xlabel="$x_2$", ylabel="Shapley value of $x_2$")
fig.tight_layout()
plt.show()
