"""The engine of every agent that acts in a gymnasium environment: environments, episodes, the loop.

Several environments act at once, so that a network decides for all of them in one pass. Each
episode begins with a seed of its own, and what one step brought is a `Transitions`: the true next
observation even where an episode ended, ``terminated`` apart from ``truncated``, and ``real``,
which is False where a vectorised environment only reset itself.

A leaf derives from `RolloutAgent` and writes ``_learner`` (how to learn), ``_greedy`` (what to do
afterwards) and where it can ``_behaviour``, ``_values``.
"""

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from zoo.contract.declaring import field
from zoo.contract.inputs import Env, Input
from zoo.contract.params import Count, Fixed, Interval, Search, did_you_mean
from zoo.contract.roles import Agent
from zoo.contract.steps import Steps

Discount = Annotated[float, Interval(0, 1), Search(0.9, 0.999)]

# Seeds that fit draws for itself lie below, those of `score(None)` above.
_EVALUATION_SEEDS = 2**31
# So many environments at most act side by side in score and rollout.
_WIDTH = 32


# -- spaces -----------------------------------------------------------------------------------


def read_space(space: Any) -> dict[str, Any]:
    """Describe a gymnasium space by plain values; a kind that agents do not serve has no kind."""
    name = type(space).__name__
    if name == "Box":
        dtype = np.dtype(space.dtype)
        return {
            "kind": "box",
            "shape": tuple(int(n) for n in space.shape),
            # Half the memory, and networks compute in float32 anyway.
            "dtype": "float32" if dtype.kind == "f" else dtype.name,
            "low": np.asarray(space.low),
            "high": np.asarray(space.high),
        }
    if name == "Discrete":
        return {
            "kind": "discrete", "shape": (), "dtype": "int64",
            "n": int(space.n), "start": int(space.start),
        }  # fmt: skip
    if name == "MultiBinary":
        return {"kind": "binary", "shape": tuple(int(n) for n in space.shape), "dtype": "int8"}
    return {"kind": None, "shape": None, "dtype": None, "name": str(space)}


def width_of(space: dict[str, Any]) -> int:
    """Count the columns that `encode` makes of one observation."""
    return space["n"] if space["kind"] == "discrete" else int(np.prod(space["shape"]))


def encode(space: dict[str, Any], observations: np.ndarray) -> np.ndarray:
    """Return observations as float32 rows: numbers as they are, bytes / 255, states one-hot."""
    n = len(observations)
    if space["kind"] == "discrete":
        rows = np.zeros((n, space["n"]), dtype=np.float32)
        rows[np.arange(n), observations - space["start"]] = 1
        return rows
    rows = observations.reshape(n, -1)
    if rows.dtype == np.uint8:
        return rows * np.float32(1 / 255)
    return rows.astype(np.float32, copy=False)


def same_space(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Tell whether observations or actions of one space fit the other."""
    return all(a.get(k) == b.get(k) for k in ("kind", "shape", "dtype", "n", "start"))


# -- one thread --------------------------------------------------------------------------------


class _OneThread(contextlib.ContextDecorator):
    """Keep BLAS on one thread while any agent works: a 64-64 network only waits for the others.

    The limit belongs to the process, so it is counted: the last one out restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limits: Any = None

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            if self._inside == 0:
                self._limits = threadpool_limits(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limits.restore_original_limits()


one_thread = _OneThread()


# -- environments --------------------------------------------------------------------------------


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


class Environments:
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
        self.name = type(agent).__name__
        make, many = _maker(agent)
        self.owned = many
        self.envs = [make() for _ in range(n if many else 1)]
        first = self.envs[0]
        if not _is_environment(first):
            raise ValueError(
                f"{self.name}: env made {type(first).__name__}, which has no reset, step and "
                "observation_space; the factory must return a gymnasium environment."
            )
        if hasattr(first, "num_envs"):
            raise ValueError(
                f"{self.name}: env is a vectorised environment, whose episodes cannot be seeded "
                "one by one; give the single environment (n_envs of it act at once)."
            )
        self.n = len(self.envs)
        self.observation_space = read_space(first.observation_space)
        self.action_space = read_space(first.action_space)
        _check_spaces(agent, self.observation_space, self.action_space)
        self.limit = agent.max_episode_steps or np.inf
        self.seeds = seeds
        shape = (self.n, *self.observation_space["shape"])
        self.observations = np.zeros(shape, dtype=self.observation_space["dtype"])
        self.resting = np.zeros(self.n, dtype=bool)
        self._length = np.zeros(self.n, dtype=np.int64)
        for i in range(self.n):
            self._begin(i)
        self._check(self.observations)

    def _begin(self, i: int) -> None:
        seed = next(self.seeds, None)
        if seed is None:
            self.resting[i] = True
            return
        self._length[i] = 0
        self.observations[i] = self.envs[i].reset(seed=int(seed))[0]

    def _check(self, observations: np.ndarray) -> None:
        if observations.dtype.kind == "f" and not np.isfinite(observations).all():
            raise ValueError(
                f"{self.name}: the environment returned an observation with NaN or infinity; mend "
                "the environment, or wrap it so that every observation is finite."
            )

    def step(self, actions: np.ndarray) -> Transitions:
        """Act in every environment; where an episode ends, the next one begins at once."""
        rewards = np.zeros(self.n, dtype=np.float64)
        terminated = np.zeros(self.n, dtype=bool)
        truncated = np.zeros(self.n, dtype=bool)
        before = self.observations
        after = before.copy()
        listed = actions.tolist() if actions.ndim == 1 else actions
        ended = []
        for i, env in enumerate(self.envs):
            if self.resting[i]:
                continue
            observation, reward, end, cut, _ = env.step(listed[i])
            after[i] = observation
            rewards[i] = reward
            self._length[i] += 1
            if end or cut or self._length[i] >= self.limit:
                terminated[i] = end
                truncated[i] = not end
                ended.append(i)
        self._check(after)
        real = ~self.resting
        self.observations = after
        if ended:
            self.observations = after.copy()
            for i in ended:
                self._begin(i)
            self._check(self.observations)
        return Transitions(before, actions, rewards, after, terminated, truncated, real)

    def close(self) -> None:
        """Close what was made here; an environment that could not be copied is its owner's."""
        if self.owned:
            for env in self.envs:
                env.close()


class VectorisedEnvironments:
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
        self.name = type(agent).__name__
        self.venv = venv
        self.n = venv.num_envs
        self.observation_space = read_space(venv.single_observation_space)
        self.action_space = read_space(venv.single_action_space)
        _check_spaces(agent, self.observation_space, self.action_space)
        mode = venv.metadata.get("autoreset_mode", "NextStep")
        self.mode = getattr(mode, "value", mode)
        self.observations = self._cast(venv.reset(seed=seed)[0])
        self.resting = np.zeros(self.n, dtype=bool)
        self._ended = np.zeros(self.n, dtype=bool)

    def _cast(self, observations: Any) -> np.ndarray:
        array = np.array(observations, dtype=self.observation_space["dtype"])
        Environments._check(self, array)  # type: ignore[arg-type]
        return array

    def step(self, actions: np.ndarray) -> Transitions:
        """Act in every environment."""
        before = self.observations
        observations, rewards, terminated, truncated, info = self.venv.step(actions)
        after = self._cast(observations)
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
            Environments._check(self, after)  # type: ignore[arg-type]
        elif ended.any():
            reset, _ = self.venv.reset(options={"reset_mask": ended})
            self.observations = self._cast(reset)
        return Transitions(before, actions, np.array(rewards), after, terminated, truncated, real)

    def close(self) -> None:
        """Close the environments."""
        self.venv.close()


def _check_spaces(agent: Any, observations: dict[str, Any], actions: dict[str, Any]) -> None:
    name = type(agent).__name__
    if observations["kind"] not in agent.observation_kinds:
        raise ValueError(
            f"{name} reads observations of the kinds {', '.join(agent.observation_kinds)}, but env "
            f"gives {observations.get('name', observations['kind'])}; wrap it, for instance with "
            "gymnasium.wrappers.FlattenObservation."
        )
    if actions["kind"] not in agent.input.actions:
        raise ValueError(
            f"{name} chooses {' or '.join(agent.input.actions)} actions, but env takes "
            f"{actions.get('name', actions['kind'])} actions; take another agent, or wrap the "
            "environment."
        )


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
    venv = _gymnasium(agent).make_vec(
        agent.env, num_envs=n, vectorization_mode="vector_entry_point"
    )
    return VectorisedEnvironments(agent, venv, int(rng.integers(2**31)))


# Fewer environments than this are faster one by one.
_VECTORISED_FROM = 16


# -- what happened -------------------------------------------------------------------------------


class History:
    """One row per finished episode, kept by columns.

    Parameters
    ----------
    n : int
        Environments.
    extra : tuple of str
        Columns besides step, return and length: means since the episode before.
    past : dict or None
        The history that this one goes on from.
    """

    def __init__(self, n: int, extra: tuple[str, ...], past: dict[str, np.ndarray] | None) -> None:
        names = ("step", "return", "length", *extra)
        past = past or {}
        self.columns: dict[str, list[Any]] = {name: list(past.get(name, ())) for name in names}
        self.returns = np.zeros(n)
        self.lengths = np.zeros(n, dtype=np.int64)
        self._sums = dict.fromkeys(extra, 0.0)
        self._counts = dict.fromkeys(extra, 0)
        self._means = {x: self.columns[x][-1] if self.columns[x] else np.nan for x in extra}

    def note(self, values: dict[str, float]) -> None:
        """Take in losses and the like."""
        for name, value in values.items():
            self._sums[name] += value
            self._counts[name] += 1

    def add(self, t: Transitions, step: int) -> None:
        """Take in one step of every environment; ``step`` counts those before and these."""
        self.returns += t.rewards * t.real
        self.lengths += t.real
        ended = (t.terminated | t.truncated) & t.real
        if not ended.any():
            return
        for name, count in self._counts.items():
            if count:
                self._means[name] = self._sums[name] / count
                self._sums[name], self._counts[name] = 0.0, 0
        for i in np.flatnonzero(ended):
            row = {"step": step, "return": self.returns[i], "length": self.lengths[i]}
            for name, value in (row | self._means).items():
                self.columns[name].append(value)
        self.returns[ended] = 0
        self.lengths[ended] = 0

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the columns as arrays."""
        kinds = {"step": np.int64, "length": np.int64}
        return {
            name: np.array(column, dtype=kinds.get(name, np.float64))
            for name, column in self.columns.items()
        }


# -- the agent -----------------------------------------------------------------------------------


class Learner:
    """What learns while an agent is fitted; it holds what a fitted agent does not keep."""

    #: Columns that it adds to the history.
    notes: ClassVar[tuple[str, ...]] = ()

    def act(self, observations: np.ndarray, step: int) -> np.ndarray:
        """Choose actions to learn from."""
        raise NotImplementedError

    def learn(self, t: Transitions, step: int) -> dict[str, float]:
        """Take in one step of every environment, learn when it is time, say what was noted."""
        raise NotImplementedError

    def publish(self, agent: Any) -> None:
        """Set the fitted attributes of the agent, as copies."""
        raise NotImplementedError


class RolloutAgent(Agent, abstract=True):
    """An agent that learns by acting in gymnasium environments.

    A leaf writes ``_learner(rng, resume)``, which returns a `Learner`, and ``_greedy(x)``, the
    numbers of the greedy actions for encoded observations; and where the method has them
    ``_proba(x)``, the probabilities of what it does while learning, and ``_action_values(x)``.

    Parameters
    ----------
    env : str, callable or environment
        What to act in: a gymnasium id, a factory without arguments (picklable, for parallel
        searches), or an environment. A given environment is copied, never stepped, unless it
        refuses to be copied.
    total_timesteps : int, default=100000
        Steps to learn from, over all environments.
    n_envs : int, default=8
        How many environments act at once.
    gamma : float, default=0.99
        Discount of a reward one step later.
    max_episode_steps : int or None, default=10000
        An episode is cut (truncated) after so many steps, if its environment did not end it; None
        never cuts, and then an agent that goes in circles does so for ever.
    warm_start : bool, default=False
        Whether fit goes on from where the last one ended.

    Attributes
    ----------
    history_ : dict of arrays
        One row per training episode: step (at its end), return, length, and what the method adds;
        ``pd.DataFrame(agent.history_)`` is a table.
    n_steps_ : int
        Steps learned from.
    schedule_start_ : int
        ``n_steps_`` when schedules over ``total_timesteps`` began: with the last fit, not with a
        partial_fit.
    observation_space_, action_space_ : dict
        Kind, shape and dtype of observations and actions.
    """

    # What one iteration of the callbacks, and one partial_fit, is: so many steps.
    steps_per_iteration: ClassVar[int] = 1000
    observation_kinds: ClassVar[tuple[str, ...]] = ("box", "discrete", "binary")
    # How many episodes score plays when it is not told which.
    score_episodes: ClassVar[int] = 20

    input: ClassVar[Input] = Env()

    env: Annotated[Any, Fixed("it is the task")] = field(kw_only=False)
    total_timesteps: Annotated[int, Interval(1, None), Fixed("more is better")] = 100_000
    n_envs: Annotated[int, Interval(1, None), Fixed("it changes the time more than the result")] = 8
    gamma: Discount = 0.99
    max_episode_steps: Annotated[Count | None, Fixed("it is part of the task")] = 10_000
    warm_start: Annotated[bool, Fixed("it states what fit goes on from")] = False

    # -- learning ---------------------------------------------------------------------------------

    def _learner(self, rng: np.random.Generator, resume: bool) -> Learner:
        raise NotImplementedError(f"{type(self).__name__} does not say how it learns")

    def _learn(self, X: np.ndarray | None, resume: bool, steps: Steps) -> None:
        done = self.n_steps_ if resume else 0
        rng = _generator(self.random_state, done)
        if not (resume and steps.one_pass):
            self.schedule_start_ = done
        with one_thread, open_environments(self, self.n_envs, X, rng) as envs:
            self._meet(envs, resume)
            learner = self._learner(rng, resume)
            history = History(envs.n, learner.notes, self.history_ if resume else None)
            goal = done + self.total_timesteps
            n = -(-self.total_timesteps // self.steps_per_iteration)
            self._publish(learner, history, done)
            try:
                for _ in steps(n, "iteration"):
                    until = min(done + self.steps_per_iteration, goal)
                    while done < until:
                        t = envs.step(learner.act(envs.observations, done))
                        done += int(np.count_nonzero(t.real))
                        history.note(learner.learn(t, done))
                        history.add(t, done)
                    self._publish(learner, history, done)
            except KeyboardInterrupt:
                # Hours of play are not thrown away: the agent is what it had become.
                self._publish(learner, history, done)
                self._fitted_ = True
                raise

    def _meet(self, envs: Any, resume: bool) -> None:
        if resume:
            for name, space in (
                ("observations", "observation_space"), ("actions", "action_space"),
            ):  # fmt: skip
                if not same_space(getattr(self, space + "_"), getattr(envs, space)):
                    raise ValueError(
                        f"{type(self).__name__} was fitted on other {name} than env has now; fit "
                        "afresh (warm_start=False) to change the environment."
                    )
            return
        self.observation_space_ = envs.observation_space
        self.action_space_ = envs.action_space

    def _publish(self, learner: Learner, history: History, done: int) -> None:
        self.n_steps_ = done
        self.history_ = history.arrays()
        learner.publish(self)

    # -- files ------------------------------------------------------------------------------------

    def __zoo_state__(self) -> dict[str, Any]:
        """Return plain values and arrays; the header of a file reads ``optimizer_state_``."""
        return dict(self.__getstate__())  # type: ignore[call-overload, no-any-return]

    def __zoo_restore__(self, state: dict[str, Any]) -> None:
        """Take the state back."""
        self.__setstate__(state)

    # -- acting -----------------------------------------------------------------------------------

    def _greedy(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} does not say how it acts")

    def _read(self, observations: Any) -> tuple[np.ndarray, bool]:
        """Return encoded rows, and whether one observation was given rather than many."""
        check_is_fitted(self)
        space = self.observation_space_
        array = np.asarray(observations)
        shape = tuple(space["shape"])
        single = array.shape == shape
        if array.dtype.kind not in "iufb" or not (single or array.shape[1:] == shape):
            raise ValueError(
                f"observations of shape {array.shape} and type {array.dtype} are none that "
                f"{type(self).__name__} was fitted on; give one of shape {space['shape']}, or an "
                f"array of shape (n, {', '.join(map(str, space['shape']))})."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                "observations contain NaN or infinity; give finite ones (an agent cannot act on "
                "what it cannot see)."
            )
        if single:
            array = array[None]
        if space["kind"] == "discrete":
            if array.dtype.kind == "f" and (array != np.round(array)).any():
                raise ValueError("observations must be whole numbers; env has discrete states.")
            array = array.astype(np.int64)
            low, high = space["start"], space["start"] + space["n"] - 1
            if len(array) and (array.min() < low or array.max() > high):
                raise ValueError(f"observations must lie between {low} and {high}, as env's do.")
        else:
            array = array.astype(space["dtype"], copy=False)
        return encode(space, array), single

    def _numbered(self, chosen: np.ndarray) -> np.ndarray:
        """Turn numbers 0..k-1 into the environment's actions."""
        return chosen + self.action_space_.get("start", 0)

    def _act(self, observations: Any) -> np.ndarray:
        x, single = self._read(observations)
        actions = self._numbered(self._greedy(x))
        return actions[0] if single else actions

    def _has_proba(self) -> bool:
        return hasattr(self, "_proba")

    def _has_values(self) -> bool:
        return hasattr(self, "_action_values")

    @available_if(_has_proba)
    def predict_proba(self, observations: Any) -> np.ndarray:
        """Return the probability of each action under the policy that `sample_action` draws from.

        Parameters
        ----------
        observations : array of shape (n, ...) or one observation
            What to act on.
        """
        x, single = self._read(observations)
        p: np.ndarray = self._proba(x)
        return p[0] if single else p

    @available_if(_has_proba)
    def sample_action(self, observations: Any, *, random_state: Any = None) -> np.ndarray:
        """Draw an action for each observation, as the agent does when it explores.

        Parameters
        ----------
        observations : array of shape (n, ...) or one observation
            What to act on.
        random_state : int, RandomState or None, default=None
            None draws fresh actions, an int repeats them.
        """
        x, single = self._read(observations)
        actions = self._numbered(self._draw_actions(x, _generator(random_state, 0)))
        return actions[0] if single else actions

    def _draw_actions(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        bounds = self._proba(x).cumsum(axis=1)
        u = rng.random((len(x), 1)) * bounds[:, -1:]
        return (u >= bounds).sum(axis=1)

    @available_if(_has_values)
    def action_value(self, observations: Any, actions: Any = None) -> np.ndarray:
        """Return Q of every action, (n, k), or of the given action of each observation, (n,).

        Parameters
        ----------
        observations : array of shape (n, ...) or one observation
            Where.
        actions : array of shape (n,), optional
            Which actions; None is all of them.
        """
        x, single = self._read(observations)
        q: np.ndarray = self._action_values(x)
        if actions is not None:
            chosen = np.atleast_1d(np.asarray(actions)) - self.action_space_.get("start", 0)
            if chosen.shape != (len(x),) or (chosen < 0).any() or (chosen >= q.shape[1]).any():
                raise ValueError(
                    f"actions of shape {np.shape(actions)} do not give one of {q.shape[1]} actions "
                    f"to each of {len(x)} observations."
                )
            q = q[np.arange(len(x)), chosen]
        return q[0] if single else q

    @available_if(_has_values)
    def value(self, observations: Any) -> np.ndarray:
        """Return the value of acting greedily from each observation on.

        Parameters
        ----------
        observations : array of shape (n, ...) or one observation
            Where.
        """
        x, single = self._read(observations)
        v: np.ndarray = self._action_values(x).max(axis=1)
        return v[0] if single else v

    # -- episodes ---------------------------------------------------------------------------------

    def _seeds(self, X: Any) -> np.ndarray:
        seeds = self.input.check(self, X, reset=False)
        if seeds is None:
            return _EVALUATION_SEEDS + np.arange(self.score_episodes)
        return seeds

    def _play(
        self, seeds: np.ndarray, choose: Callable[[np.ndarray], np.ndarray]
    ) -> Iterator[tuple[Transitions, np.ndarray]]:
        """Play one episode a seed; yield every step and the number of the episode in each row."""
        waiting = iter(range(len(seeds)))
        begun: list[int] = []

        def next_seed() -> Iterator[int]:
            for episode in waiting:
                begun.append(episode)
                yield int(seeds[episode])

        envs = Environments(self, min(len(seeds), _WIDTH), next_seed())
        try:
            self._meet(envs, resume=True)
            episode = np.arange(envs.n)
            while not envs.resting.all():
                x = encode(self.observation_space_, envs.observations)
                before = len(begun)
                t = envs.step(self._numbered(choose(x)))
                yield t, episode.copy()
                ended = np.flatnonzero((t.terminated | t.truncated) & ~envs.resting)
                episode[ended] = np.arange(before, before + len(ended))
        finally:
            envs.close()

    def score(self, X: Any = None, y: Any = None) -> float:
        """Return the mean undiscounted return of greedy episodes.

        Parameters
        ----------
        X : array of shape (n,), optional
            Seeds of the episodes; None plays 20 whose seeds lie beyond all that fit draws.
        y : ignored
            For searches.
        """
        check_is_fitted(self)
        seeds = self._seeds(X)
        total = 0.0
        with one_thread:
            for t, _ in self._play(seeds, self._greedy):
                total += float(t.rewards[t.real].sum())
        return total / len(seeds)

    def rollout(self, X: Any = None, *, greedy: bool = True, random_state: Any = None) -> Any:
        """Play episodes and return their transitions as a DataFrame, episode after episode.

        Parameters
        ----------
        X : array of shape (n,), optional
            Seeds of the episodes; None plays those that ``score()`` plays.
        greedy : bool, default=True
            Whether to take the best action, or to draw as `sample_action` does.
        random_state : int, RandomState or None, default=None
            Of the drawn actions.

        Returns
        -------
        transitions : DataFrame
            Columns observation_0 ..., action, reward, next_observation_0 ..., terminated,
            truncated, episode (its place in X).
        """
        import pandas as pd

        check_is_fitted(self)
        seeds = self._seeds(X)
        rng = _generator(random_state, 0)
        choose = self._greedy if greedy else lambda x: self._draw_actions(x, rng)
        with one_thread:
            # Arrays of a step are never written to again, so that they need no copy here.
            played = list(self._play(seeds, choose))
        steps = [t for t, _ in played]
        episode = np.concatenate([e for _, e in played])
        parts = {
            name: np.concatenate([getattr(t, name) for t in steps]) for name in Transitions._fields
        }
        # Episodes run side by side; a stable sort puts each in one piece, in the order of time.
        order = np.argsort(episode, kind="stable")
        order = order[parts.pop("real")[order]]
        columns: dict[str, np.ndarray] = {}
        for name, array in parts.items():
            rows = array[order]
            title = name.removesuffix("s")
            if name in ("observations", "next_observations") or rows.ndim > 1:
                for j, column in enumerate(rows.reshape(len(rows), -1).T):
                    columns[f"{title}_{j}"] = column
            else:
                columns[title] = rows
        columns["episode"] = episode[order]
        return pd.DataFrame(columns)


def _generator(random_state: Any, done: int) -> np.random.Generator:
    """Make the generator of one fit; ``done`` keeps a resumed fit from repeating the first."""
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(np.iinfo(np.int32).max)
    return np.random.default_rng([int(random_state), done])
