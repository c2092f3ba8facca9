"""Toy environments, in which agents are checked."""

import importlib.util
import weakref
from typing import Any

import numpy as np

ALIVE: "weakref.WeakSet[Any]" = weakref.WeakSet()
TOY_IDS = {"discrete": "zoo/Corridor-v0", "continuous": "zoo/Hover-v0"}


def corridor(**options: Any) -> Any:
    """Make the toy environment with two actions: walk right to the end of a corridor."""
    return _toy_class("Corridor")()


def hover(**options: Any) -> Any:
    """Make the toy environment with one continuous action: push a point to the middle."""
    return _toy_class("Hover")()


def disturbed(make: Any, after: int, reward: Any) -> Any:
    """Return a factory of toy environments whose reward is replaced once, after so many steps of all.

    ``reward`` is called; it may raise, as an environment does that breaks.
    """
    taken = 0

    def disturbed_toy() -> Any:
        env = make()
        step = env.step

        def disturbing(action: Any) -> Any:
            nonlocal taken
            taken += 1
            observation, usual, *rest = step(action)
            return (observation, reward() if taken == after else usual, *rest)

        env.step = disturbing
        return env

    return disturbed_toy


def _toy_class(name: str) -> Any:
    import gymnasium
    from gymnasium.spaces import Box, Discrete

    class Toy(gymnasium.Env):
        """One number between -1 and 1, moved by the action; 20 steps at most."""

        metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - declared so by Env
        render_mode = None

        def __new__(cls) -> Any:  # a deep copy comes this way as well
            self = super().__new__(cls)
            ALIVE.add(self)
            return self

        def __init__(self) -> None:
            self.observation_space = Box(-2.0, 2.0, (2,), np.float32)
            self.action_space = Discrete(2) if name == "Corridor" else Box(-1.0, 1.0, (1,), np.float32)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.t = 0
            low, high = (-0.8, 0.2) if name == "Corridor" else (-1.0, 1.0)
            self.x = float(self.np_random.uniform(low, high))
            return self._observed(), {}

        def _observed(self) -> np.ndarray:
            return np.array([self.x, self.t / 20], dtype=np.float32)

        def step(self, action: Any) -> Any:
            self.t += 1
            move = (1 if int(action) else -1) if name == "Corridor" else float(np.ravel(action)[0])
            self.x = float(np.clip(self.x + 0.2 * move, -1.0, 1.0))
            if name == "Corridor":
                done = self.x >= 0.99
                return self._observed(), 1.0 if done else -0.1, done, self.t >= 20, {}
            return self._observed(), -abs(self.x), False, self.t >= 20, {}

    Toy.__name__ = Toy.__qualname__ = name
    return Toy


def toy_environment(kind: Any) -> str:
    """Register the toy environments with gymnasium; return the id that the input wants."""
    if importlib.util.find_spec("gymnasium") is None:
        raise ImportError(
            "agents are checked in a gymnasium environment, but gymnasium is not installed: "
            "pip install 'sklearn-zoo[rl]'."
        )
    import gymnasium

    for factory, name in ((corridor, TOY_IDS["discrete"]), (hover, TOY_IDS["continuous"])):
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=factory, disable_env_checker=True)
    return TOY_IDS["discrete" if "discrete" in kind.actions else "continuous"]


def observations_of(name: str) -> np.ndarray:
    """Return observations of a random walk in a toy environment."""
    import gymnasium

    env = gymnasium.make(name)
    seen = [env.reset(seed=0)[0]]
    env.action_space.seed(0)
    for _ in range(15):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        seen.append(observation)
        if terminated or truncated:
            seen.append(env.reset()[0])
    env.close()
    return np.array(seen)
