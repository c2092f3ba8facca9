"""Environments side by side: what they are made of, their episodes, what one step of all brought.

Each episode begins with a seed of its own, and what one step brought is a `Transitions`: the true
next observation even where an episode ended, ``terminated`` apart from ``truncated``, and ``real``,
which is False where a vectorised environment only reset itself. What an environment gives is
checked against its spaces, and rewards must be finite: an agent that learns from one NaN is lost.
"""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from zoo.contract.params import did_you_mean
from zoo.engines.acting.frames import Frames, stacked
from zoo.engines.acting.spaces import Space, read_space


class Transitions(NamedTuple):
    """What one step of every environment brought, in rows."""

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    real: np.ndarray


def _gymnasium(agent: Any) -> Any:
    try:
        import gymnasium
    except ImportError as e:
        raise ImportError(
            f"{type(agent).__name__} acts in gymnasium environments, and gymnasium is not "
            "installed; install it with `pip install sklearn-zoo[rl]`."
        ) from e
    return gymnasium


def _spec_of(agent: Any, id: str) -> Any:
    """Return gymnasium's spec of an environment id, or say which id is close."""
    gymnasium = _gymnasium(agent)
    try:
        return gymnasium.spec(id)
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.Error, ModuleNotFoundError) as e:
        known = sorted(gymnasium.registry)
        raise ValueError(
            f"{type(agent).__name__}: env={id!r} is no environment that gymnasium knows; give a "
            "registered id, a factory without arguments, or an environment."
            f"{did_you_mean(id, known)}"
        ) from e


def _is_environment(env: Any) -> bool:
    # The class of an environment has the same methods, but is a factory.
    return not isinstance(env, type) and all(
        hasattr(env, part) for part in ("reset", "step", "observation_space")
    )


def _maker(agent: Any) -> tuple[Callable[[], Any], bool]:
    """Return how to make an environment of this agent, and whether it can be made twice."""
    env = agent.env
    if env is None:
        raise ValueError(
            f"{type(agent).__name__} has no environment to act in; give one by set_params(env=...), "
            "such as 'CartPole-v1'. (A file keeps an environment by its id only.)"
        )
    if isinstance(env, str):
        gymnasium, spec = _gymnasium(agent), _spec_of(agent, env)
        # The checker looks at each step of a stranger's environment; the engine checks its own.
        return lambda: gymnasium.make(spec, disable_env_checker=True), True
    if _is_environment(env):
        try:
            copy.deepcopy(env)
        except Exception:
            # A window, a socket, a robot: there is only the one, and it stays its owner's.
            return lambda: env, False
        return lambda: copy.deepcopy(env), True
    if callable(env):
        return env, True
    raise ValueError(
        f"{type(agent).__name__}: env={env!r} is no environment; give a gymnasium id such as "
        "'CartPole-v1', a factory without arguments, or an environment with reset and step."
    )


class _Checked:
    """What both kinds of environments share: spaces, and checks of what they give.

    Parameters
    ----------
    agent : RolloutAgent
        Whose ``n_frames`` count, and which spaces it serves.
    observations, actions : gymnasium space
        Of one environment.
    """

    def __init__(self, agent: Any, observations: Any, actions: Any) -> None:
        self.name = type(agent).__name__
        self.env_name = agent.env if isinstance(agent.env, str) else _called(agent.env)
        self.single_space, self.action_space = _served(agent, observations, actions)
        self.observation_space = stacked(self.single_space, agent.n_frames)
        self.dtype = self.single_space.dtype
        # Casting real numbers changes none; whole ones must be of the space.
        self._inexact = self.dtype.kind == "f"

    def _read(self, observation: Any) -> np.ndarray:
        """Return one observation as an element of the space."""
        array = observation if isinstance(observation, np.ndarray) else np.asarray(observation)
        if array.shape != self.single_space.shape:
            raise ValueError(
                f"{self.name}: {self.env_name} gave an observation of shape {array.shape} where its "
                f"observation_space says {self.single_space.shape}; mend the environment."
            )
        return array if self._inexact else self._checked(array[None])[0]

    def _checked(self, rows: np.ndarray) -> np.ndarray:
        try:
            return self.single_space.check(rows)
        except ValueError as e:
            raise ValueError(
                f"{self.name}: {self.env_name} gave observations that are not in its "
                f"observation_space: {e} Mend the environment, or wrap it."
            ) from None

    def _check_finite(self, observations: np.ndarray) -> None:
        if self._inexact and not np.isfinite(observations).all():
            raise ValueError(
                f"{self.name}: {self.env_name} gave an observation with NaN or infinity; mend the "
                "environment, or wrap it so that every observation is finite."
            )

    def _check_rewards(self, total: float, rewards: np.ndarray) -> None:
        if not math.isfinite(total):
            raise ValueError(
                f"{self.name}: {self.env_name} gave a reward that is NaN or infinity "
                f"({rewards.tolist()}); mend the environment, or wrap it so that every reward is "
                "finite."
            )


class Environments(_Checked):
    """Environments side by side, each episode seeded.

    Parameters
    ----------
    agent : RolloutAgent
        Whose ``env`` and ``max_episode_steps`` count.
    n : int
        How many.
    seeds : iterator of int
        One is taken as each episode begins. When there are no more, an environment rests: its
        rows are not ``real``, and ``resting`` tells.

    Attributes
    ----------
    observations : array of shape (n, ...)
        What the next actions answer to.
    resting : array of shape (n,)
        Environments without an episode.
    """

    def __init__(self, agent: Any, n: int, seeds: Iterator[int]) -> None:
        make, many = _maker(agent)
        self.owned = many
        self.envs = [make() for _ in range(n if many else 1)]
        first = self.envs[0]
        name = type(agent).__name__
        if not _is_environment(first):
            raise ValueError(
                f"{name}: env made {type(first).__name__}, which has no reset, step and "
                "observation_space; the factory must return a gymnasium environment."
            )
        if hasattr(first, "num_envs"):
            raise ValueError(
                f"{name}: env is a vectorised environment, whose episodes cannot be seeded "
                "one by one; give the single environment (n_envs of it act at once)."
            )
        super().__init__(agent, first.observation_space, first.action_space)
        self.n = len(self.envs)
        self.frames = Frames(self.single_space, agent.n_frames, self.n) if agent.n_frames > 1 else None  # type: ignore[arg-type]
        self.limit = agent.max_episode_steps or np.inf
        self.seeds = seeds
        space = self.observation_space
        self.observations = np.zeros((self.n, *space.shape), dtype=space.dtype)
        self.resting = np.zeros(self.n, dtype=bool)
        self._length = np.zeros(self.n, dtype=np.int64)
        for i in range(self.n):
            self._begin(i)
        self._check_finite(self.observations)

    def _begin(self, i: int) -> None:
        seed = next(self.seeds, None)
        if seed is None:
            self.resting[i] = True
            return
        self._length[i] = 0
        seen = self._read(self.envs[i].reset(seed=int(seed))[0])
        self.observations[i] = seen if self.frames is None else self.frames.begin(i, seen)

    def step(self, actions: np.ndarray) -> Transitions:
        """Act in every environment; where an episode ends, the next one begins at once."""
        rewards = np.zeros(self.n, dtype=np.float64)
        terminated = np.zeros(self.n, dtype=bool)
        truncated = np.zeros(self.n, dtype=bool)
        before = self.observations
        after = before.copy()
        listed = actions.tolist() if actions.ndim == 1 else actions
        ended, total = [], 0.0
        for i, env in enumerate(self.envs):
            if self.resting[i]:
                continue
            observation, reward, end, cut, _ = env.step(listed[i])
            seen = self._read(observation)
            after[i] = seen if self.frames is None else self.frames.push(i, seen)
            rewards[i] = reward
            total += reward
            self._length[i] += 1
            if end or cut or self._length[i] >= self.limit:
                terminated[i] = end
                truncated[i] = not end
                ended.append(i)
        self._check_finite(after)
        self._check_rewards(total, rewards)
        real = ~self.resting
        self.observations = after
        if ended:
            self.observations = after.copy()
            for i in ended:
                self._begin(i)
            self._check_finite(self.observations)
        return Transitions(before, actions, rewards, after, terminated, truncated, real)

    def close(self) -> None:
        """Close what was made here; an environment that could not be copied is its owner's."""
        if self.owned:
            for env in self.envs:
                env.close()


class VectorisedEnvironments(_Checked):
    """The same for an environment that comes vectorised, seeded once for all its episodes.

    gymnasium's vectorised environments reset themselves in one of three ways, which `step` makes
    one: NEXT_STEP spends a step on it, whose row is not real; SAME_STEP hides the final observation
    in ``info``; DISABLED waits to be told.

    Parameters
    ----------
    agent : RolloutAgent
        For messages and the check of spaces.
    venv : gymnasium.vector.VectorEnv
        The environments.
    seed : int
        Of everything random in them.
    """

    def __init__(self, agent: Any, venv: Any, seed: int) -> None:
        super().__init__(agent, venv.single_observation_space, venv.single_action_space)
        self.venv = venv
        self.n = venv.num_envs
        mode = venv.metadata.get("autoreset_mode", "NextStep")
        self.mode = getattr(mode, "value", mode)
        self.observations = self._cast(venv.reset(seed=seed)[0])
        self.resting = np.zeros(self.n, dtype=bool)
        self._ended = np.zeros(self.n, dtype=bool)

    def _cast(self, observations: Any) -> np.ndarray:
        array = np.array(observations)
        array = array.astype(self.dtype, copy=False) if self._inexact else self._checked(array)
        self._check_finite(array)
        return array

    def step(self, actions: np.ndarray) -> Transitions:
        """Act in every environment."""
        before = self.observations
        observations, rewards, terminated, truncated, info = self.venv.step(actions)
        after = self._cast(observations)
        self._check_rewards(rewards.sum(), rewards)
        self.observations = after
        terminated, truncated = np.array(terminated), np.array(truncated) & ~np.array(terminated)
        real = np.ones(self.n, dtype=bool)
        ended = terminated | truncated
        if self.mode == "NextStep":
            real = ~self._ended
            self._ended = ended
        elif self.mode == "SameStep" and ended.any():
            after = after.copy()
            for i in np.flatnonzero(ended):
                after[i] = info["final_obs"][i]
            self._check_finite(after)
        elif ended.any():
            reset, _ = self.venv.reset(options={"reset_mask": ended})
            self.observations = self._cast(reset)
        return Transitions(before, actions, np.array(rewards), after, terminated, truncated, real)

    def close(self) -> None:
        """Close the environments."""
        self.venv.close()


def _called(env: Any) -> str:
    """Return what a message calls an environment that has no id."""
    return f"env ({env.__name__ if hasattr(env, '__name__') else type(env).__name__})"


def _served(agent: Any, observations: Any, actions: Any) -> tuple[Space, Space]:
    """Read both spaces, or say which of them the agent does not serve."""
    name = type(agent).__name__
    seen, chosen = read_space(observations), read_space(actions)
    if seen is None or seen.kind not in agent.observation_kinds:
        raise ValueError(
            f"{name} reads observations of the kinds {', '.join(agent.observation_kinds)}, but env "
            f"gives {observations if seen is None else seen.kind}; wrap it, for instance with "
            "gymnasium.wrappers.FlattenObservation."
        )
    if chosen is None or chosen.kind not in agent.input.actions:
        raise ValueError(
            f"{name} chooses {' or '.join(agent.input.actions)} actions, but env takes "
            f"{actions if chosen is None else chosen.kind} actions; take another agent, or wrap the "
            "environment."
        )
    return seen, chosen


@contextlib.contextmanager
def open_environments(
    agent: Any, n: int, seeds: np.ndarray | None, rng: np.random.Generator
) -> Iterator[Any]:
    """Open n environments for training: seeds in a circle, or drawn from ``rng``.

    Without seeds, an id that gymnasium has a vectorised implementation of is opened as that: ten
    times as fast, and no episode needs to be repeatable by itself.
    """
    if seeds is None:
        envs: Any = _vectorised(agent, n, rng)
        if envs is None:
            envs = Environments(agent, n, iter(lambda: int(rng.integers(2**31)), -1))
    else:
        envs = Environments(agent, n, _circle(seeds))
    try:
        yield envs
    finally:
        envs.close()


def _circle(seeds: np.ndarray) -> Iterator[int]:
    while True:
        yield from seeds.tolist()


def _vectorised(agent: Any, n: int, rng: np.random.Generator) -> VectorisedEnvironments | None:
    if not isinstance(agent.env, str) or n < _VECTORISED_FROM:
        return None
    spec = _spec_of(agent, agent.env)
    limit = agent.max_episode_steps
    longest = spec.max_episode_steps
    if spec.vector_entry_point is None or longest is None or (limit and limit < longest):
        return None
    if agent.n_frames > 1:  # frames are stacked one environment at a time
        return None
    venv = _gymnasium(agent).make_vec(agent.env, num_envs=n, vectorization_mode="vector_entry_point")
    return VectorisedEnvironments(agent, venv, int(rng.integers(2**31)))


# Fewer environments than this are faster one by one.
_VECTORISED_FROM = 16
