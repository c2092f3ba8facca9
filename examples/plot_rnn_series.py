"""
An answer at every moment: a recurrent network that reads a series as it comes
==============================================================================

A machine hums, and now and then it rattles: for a while a fast tremor rides on the slow hum. A
recurrent network carries a state along the series and says at every moment whether the machine
rattles. It is trained on recordings of unequal length, and used one value at a time.
"""

# %%
# Recordings of unequal length, with a label for every moment
# -----------------------------------------------------------
import os

import matplotlib.pyplot as plt
import numpy as np

from zoo import RNNClassifier

SMALL = os.environ.get("ZOO_EXAMPLE_SIZE") == "small"
rng = np.random.default_rng(0)


def recording(length):
    """A hum, with a tremor between two moments; and where it is."""
    t = np.arange(length)
    begin = rng.integers(5, length - 25)
    rattling = (t >= begin) & (t < begin + rng.integers(12, 25))
    hum = np.sin(0.25 * t + rng.uniform(0, 6)) + 0.5 * np.sin(0.11 * t + rng.uniform(0, 6))
    tremor = 0.7 * np.sin(2.2 * t + rng.uniform(0, 6))
    noise = 0.15 * rng.normal(size=length)
    return hum + tremor * rattling + noise, np.where(rattling, "rattles", "hums")


made = [recording(rng.integers(40, 80)) for _ in range(20 if SMALL else 150)]
X, y = [x for x, _ in made], [labels for _, labels in made]
test = [recording(rng.integers(40, 80)) for _ in range(40)]
X_test, y_test = [x for x, _ in test], [labels for _, labels in test]

# %%
# Train on lists, padding is nobody's business
# --------------------------------------------
# ``sequence_output=True`` learns an answer for every moment.
model = RNNClassifier(
    cell="gru", hidden_size=24, sequence_output=True, max_epochs=2 if SMALL else 40, lr=1e-2,
    schedule="cosine", random_state=0,
).fit(X, y)  # fmt: skip
always = np.mean([(labels == "hums").mean() for labels in y_test])
print(f"right at {model.score(X_test, y_test):.1%} of all moments (always 'hums': {always:.1%})")

# %%
# One value at a time
# -------------------
# ``step`` takes a value and the state so far, and gives the answer and the new state: the same
# answers as for the whole series, in constant memory.
x, labels = recording(140)
state, chances = None, []
for value in x:
    scores, state = model.step(np.array([[value]]), state)
    p = np.exp(scores[0] - scores[0].max())
    chances.append((p / p.sum())[model.classes_.tolist().index("rattles")])
whole = model.predict_proba([x])[0, :, model.classes_.tolist().index("rattles")]
print(f"largest difference between stepping and the whole {np.abs(whole - chances).max():.1e}")

figure, (above, below) = plt.subplots(2, 1, figsize=(9, 4.8), sharex=True, layout="constrained")
for axis in (above, below):
    axis.fill_between(
        np.arange(len(x)), 0, 1, where=labels == "rattles", transform=axis.get_xaxis_transform(),
        color="tab:orange", alpha=0.25, label="it rattles",
    )  # fmt: skip
above.plot(x, color="tab:blue", linewidth=1)
above.set(ylabel="sound", title="A recording the network has not seen, longer than any it has")
above.legend(loc="upper right")
below.plot(chances, color="black")
below.set(ylabel="chance that it rattles", xlabel="moment", ylim=(-0.03, 1.03))
plt.show()
