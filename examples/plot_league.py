"""
A league table with error bars
==============================

Twelve teams meet now and then, at home or away, and sometimes draw. Counting points mixes strength with
luck and with the order of fixtures; the Bradley-Terry model separates them, and says how sure it is.
"""

import matplotlib.pyplot as plt
import numpy as np

from zoo import BradleyTerry

# %%
# A season in which not everybody has met everybody. The truth is known here, so we can look.
rng = np.random.default_rng(2)
teams = np.array([f"Team {letter}" for letter in "ABCDEFGHIJKL"])
strength = dict(zip(teams, np.linspace(1.4, -1.4, len(teams)), strict=True))
home, tie = 0.4, 0.7


def match(a, b):
    """Return 2 if a wins at home, 0 if b does, 1 for a draw."""
    delta = strength[a] - strength[b] + home
    odds = np.array([np.exp(delta / 2), tie, np.exp(-delta / 2)])
    return rng.choice([2, 1, 0], p=odds / odds.sum())


pairs = [tuple(rng.choice(teams, 2, replace=False)) for _ in range(400)]
results = [match(a, b) for a, b in pairs]

# %%
# ``C=inf``: no penalty, so that the standard errors are those of the textbook.
model = BradleyTerry(C=np.inf, home_advantage=True).fit(pairs, results)
names, s = model.items_, model.strengths_
error = dict(zip(names, model.standard_errors(), strict=True))
order = [str(t) for t in model.ranking()][::-1]
found = dict(zip(names, s, strict=True))

figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
place = np.arange(len(order))
ax.errorbar(
    [found[t] for t in order],
    place,
    xerr=[1.96 * error[t] for t in order],
    fmt="o",
    capsize=3,
    label="found, 95 %",
)
ax.plot([strength[t] for t in order], place, "k|", markersize=14, label="truth")
ax.set(yticks=place, yticklabels=order, xlabel="strength (log odds)")
ax.legend()

inside = np.mean([abs(found[t] - strength[t]) <= 1.96 * error[t] for t in teams])
print(f"home advantage {model.home_advantage_:.2f} (truth {home}), ties {model.tie_:.2f} (truth {tie})")
print(f"{inside:.0%} of the teams lie within their interval")
print(
    "chance that the last beats the first at home:",
    round(float(model.predict_proba([(order[0], order[-1])])[0, -1]), 2),
)
plt.show()
