"""Worlds small enough to be known by heart, in which environments, episodes and agents are tested."""

import gymnasium as gym
import numpy as np

from zoo.agents.dqn import DQN


class Corridor(gym.Env):
    """Walk right from the seed's cell; ends by itself at the right, or is cut after ``limit``."""

    action_space = gym.spaces.Discrete(2)
    observation_space = gym.spaces.Box(-100, 100, (2,), np.float32)

    def __init__(self, length=3, limit=10):
        self.length, self.limit = length, limit
        self.seeds = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.x, self.t = 0, 0
        self.mark = float(self.np_random.integers(50))
        return self.see(), {}

    def see(self):
        return np.array([self.x, self.mark], dtype=np.float32)

    def step(self, action):
        self.x += 1 if action == 1 else -1
        self.t += 1
        end = self.x >= self.length
        return self.see(), float(self.x), end, self.t >= self.limit and not end, {}


class Blind(Corridor):
    """Sees NaN after the first step."""

    def see(self):
        return np.array([np.nan if self.t else 0, 0], dtype=np.float32)


def agent(env, **kw):
    kw = {"total_timesteps": 60, "learning_starts": 20, "batch_size": 8, "random_state": 0} | kw
    return DQN(env=env, **kw)


class Film(Corridor):
    """The same seen as an image of bytes: where the walker is."""

    observation_space = gym.spaces.Box(0, 255, (4, 5), np.uint8)

    def see(self):
        image = np.zeros((4, 5), np.uint8)
        image[0, self.x % 5] = 255
        image[1, 0] = self.t
        return image


# Files keep an environment by its id.
gym.register("ZooCorridor-v0", entry_point=Corridor)
gym.register("ZooFilm-v0", entry_point=Film)
