"""
Does 80 percent mean 80 percent?
================================

A classifier's score need not be a probability. Of the rows to which it gives 0.8, eighty in a hundred should
belong to the class; the curve of what was said against what came true shows it at a glance. scikit-learn's
``CalibratedClassifierCV`` mends it, on any estimator of the zoo.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.datasets import make_classification
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import train_test_split

from zoo import SVC, AdaBoostClassifier, LogisticRegression, RandomForestClassifier

X, y = make_classification(
    6000, n_features=20, n_informative=4, n_redundant=6, flip_y=0.15, class_sep=0.7, random_state=0
)
X, X_new, y, y_new = train_test_split(X, y, train_size=1500, random_state=0)

# %%
# A vote of stumps is too sure of itself, since each stump adds to the exponent; a forest is not sure enough
# near 0 and 1, since some of its trees always disagree. An SVC has no probabilities until it is given some.
models = {
    "logistic regression": LogisticRegression(),
    "random forest": RandomForestClassifier(random_state=0),
    "AdaBoost": AdaBoostClassifier(n_estimators=300),
    "AdaBoost, calibrated": CalibratedClassifierCV(AdaBoostClassifier(n_estimators=300), cv=5),
    "SVC, calibrated": CalibratedClassifierCV(SVC(), cv=5),
}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
left.plot([0, 1], [0, 1], "k:")
for i, (name, model) in enumerate(models.items()):
    p = model.fit(X, y).predict_proba(X_new)[:, 1]
    true, said = calibration_curve(y_new, p, n_bins=12, strategy="quantile")
    left.plot(said, true, "o-", markersize=4, label=name)
    right.hist(p, bins=np.linspace(0, 1, 41), histtype="step", color=f"C{i}")
    print(
        f"{name:<22} Brier score {brier_score_loss(y_new, p):.4f}, right {np.mean((p > 0.5) == y_new):.1%}"
    )
left.set(xlabel="probability that was said", ylabel="share that came true")
left.legend()
right.set(xlabel="probability that was said", ylabel="rows")
plt.show()
