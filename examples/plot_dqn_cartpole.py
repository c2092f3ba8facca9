"""
Balance a pole: what deep Q-learning sees, and where its seeds come from
========================================================================

A cart is pushed left or right so that the pole on it does not fall; every step that it stands earns
one point, and after 500 steps the episode is cut. ``DQN`` learns what each push is worth from
transitions it has kept. This lesson shows how an agent is fitted, scored on episodes it never
played, and read: its table of episodes, its values, its decisions.
"""

# %%
# Fit and score by seeds
# ----------------------
# ``X`` is a list of seeds, one for each episode; the agent goes through them in turn. ``score``
# plays greedy episodes with other seeds and returns their mean return, so that agents can be
# compared, and searched, like any estimator.
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from zoo import DQN

# 100,000 steps take about 15 seconds; the tests of this page look for less.
steps = 2_000 if os.environ.get("ZOO_EXAMPLE_SIZE") == "small" else 100_000
agent = DQN(env="CartPole-v1", total_timesteps=steps, random_state=0)
agent.fit(np.arange(300))
print(f"mean return on unseen seeds: {agent.score(np.arange(1000, 1020)):.0f} of 500")

# %%
# What happened
# -------------
# ``history_`` is one row per episode. While it explores, the agent falls more often than its greedy
# self, which is what ``score`` measures.
history = pd.DataFrame(agent.history_)
print(history.tail(3).round(2))

# %%
# What it learned
# ---------------
# ``rollout`` returns transitions as a table, ``value`` what a state is worth, and ``action_value``
# what each push is worth there. With gamma = 0.99 a pole that stands for ever is worth 100: the
# values tell it although every episode was cut at 500, because a cut is no end (``truncated``),
# while a fall is (``terminated``).
print(f"value of a pole at rest: {agent.value(np.zeros(4)):.0f}")
table = agent.rollout([1000])
angle, speed = np.meshgrid(np.linspace(-0.2, 0.2, 61), np.linspace(-2, 2, 61))
still = np.zeros(angle.size)
states = np.column_stack([still, still, angle.ravel(), speed.ravel()])
q = agent.action_value(states)
right = (q[:, 1] - q[:, 0]).reshape(angle.shape)

fig, (left, middle, last) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
left.plot(history["step"], history["return"], ".", alpha=0.3, markersize=3)
smooth = history["return"].rolling(20, min_periods=1).mean()
left.plot(history["step"], smooth)
left.set(title="training episodes", xlabel="step", ylabel="return")

most = np.abs(right).max()
image = middle.pcolormesh(angle, speed, right, cmap="RdBu", vmin=-most, vmax=most)
middle.contour(angle, speed, right, levels=[0], colors="black")
middle.set(title="worth of right less left", xlabel="angle", ylabel="angular speed")
fig.colorbar(image, ax=middle)

last.plot(table["observation_0"], label="place of the cart")
last.plot(table["observation_2"] * 10, label="angle x 10")
last.set(title=f"one greedy episode: return {table['reward'].sum():.0f}", xlabel="step")
last.legend()
plt.show()

# %%
# The middle picture is the policy. Above the black line the pole falls to the right, and so the
# cart must go right, under the pole: nobody told the agent, and it has no model of the cart.
