"""The engine of every agent that learns by acting in a gymnasium environment.

Several environments act at once, so that a network decides for all of them in one pass. A leaf
derives from `RolloutAgent`, or from `NetworkAgent` where a network learns, and writes ``_learner``
(how to learn), ``_greedy`` (what to do afterwards) and where it can ``_proba``, ``_action_values``.
"""

import contextlib
import warnings
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from zoo.contract.declaring import field
from zoo.contract.inputs import Env, Input
from zoo.contract.params import Check, Count, Device, Fixed, Interval, Positive, Search
from zoo.contract.roles import Agent
from zoo.contract.steps import Steps
from zoo.engines.acting.environments import Transitions, open_environments
from zoo.engines.acting.episodes import History, as_columns, play, returns_of, transitions_of
from zoo.engines.acting.images import is_image
from zoo.engines.acting.spaces import Space, from_plain
from zoo.engines.acting.threads import one_thread
from zoo.engines.devices import resolve_device

Discount = Annotated[float, Interval(0, 1), Search(0.9, 0.999)]

# Seeds that fit draws for itself lie below, those of `score(None)` above.
_EVALUATION_SEEDS = 2**31


class Learner:
    """What learns while an agent is fitted; it holds what a fitted agent does not keep."""

    #: Columns that it adds to the history.
    notes: ClassVar[tuple[str, ...]] = ()

    def threads(self) -> contextlib.AbstractContextManager[None]:
        """Return the context to learn in: how many threads the work is worth."""
        return contextlib.nullcontext()

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
    n_frames : int, default=1
        How many observations are shown at once, so that what moves can be seen: images side by side
        along their channels. ``predict`` then takes them in this form.
    clip_reward : float or None, default=None
        Rewards beyond it, up or down, count as it while learning; 1 is usual for games whose points
        differ in size. Returns, in ``history_`` and ``score``, are those of the environment.
    warm_start : bool, default=False
        Whether fit goes on from where the last one ended.

    Attributes
    ----------
    history_ : dict of arrays
        One row per training episode: step (at its end), return, length, and what the method adds;
        ``pd.DataFrame(agent.history_)`` is a table. While no episode has ended there is one row, of
        the longest that goes on; its return is NaN.
    n_steps_ : int
        Steps learned from.
    schedule_start_ : int
        ``n_steps_`` when schedules over ``total_timesteps`` began: with the last fit, not with a
        partial_fit.
    observation_space_, action_space_ : Space
        What observations and actions are: kind, shape, dtype, and more by kind.

    Notes
    -----
    A fit whose environment raises, like one that is interrupted, leaves the agent as what it had
    become by then, and the error goes on to the caller.
    """

    # What one iteration of the callbacks, and one partial_fit, is: so many steps.
    steps_per_iteration: ClassVar[int] = 1000
    observation_kinds: ClassVar[tuple[str, ...]] = ("box", "discrete", "binary", "multi-discrete")
    # How many episodes score plays when it is not told which.
    score_episodes: ClassVar[int] = 20

    input: ClassVar[Input] = Env()

    env: Annotated[Any, Fixed("it is the task")] = field(kw_only=False)
    total_timesteps: Annotated[int, Interval(1, None), Fixed("more is better")] = 100_000
    n_envs: Annotated[int, Interval(1, None), Fixed("it changes the time more than the result")] = 8
    gamma: Discount = 0.99
    max_episode_steps: Annotated[Count | None, Fixed("it is part of the task")] = 10_000
    n_frames: Annotated[Count, Fixed("it is part of how the task is seen")] = 1
    clip_reward: Annotated[Positive | None, Fixed("it is part of the task")] = None
    warm_start: Annotated[bool, Fixed("it states what fit goes on from")] = False

    # -- learning ---------------------------------------------------------------------------------

    def _learner(self, rng: np.random.Generator, resume: bool) -> Learner:
        raise NotImplementedError(f"{type(self).__name__} does not say how it learns")

    def _learn(self, X: np.ndarray | None, resume: bool, steps: Steps) -> None:
        done = begun = self.n_steps_ if resume else 0
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
                    with learner.threads():
                        while done < until:
                            t = envs.step(learner.act(envs.observations, done))
                            done += int(np.count_nonzero(t.real))
                            history.note(learner.learn(self._as_learned(t), done))
                            history.add(t, done)
                    self._publish(learner, history, done)
            except (KeyboardInterrupt, Exception) as error:
                if done == begun:
                    raise
                # Hours of play are not thrown away: the agent is what it had become, and `_fit`
                # raises when it is complete.
                self._publish(learner, history, done)
                self._ended_by: BaseException = error

    def _fit(self, *args: Any, **kwargs: Any) -> Any:
        super()._fit(*args, **kwargs)
        error = self.__dict__.pop("_ended_by", None)
        if error is not None:
            error.add_note(
                f"{type(self).__name__} keeps what it had learned in {self.n_steps_} steps; "
                "partial_fit goes on from there."
            )
            raise error
        return self

    def _as_learned(self, t: Transitions) -> Transitions:
        c = self.clip_reward
        return t if c is None else t._replace(rewards=np.clip(t.rewards, -c, c))

    def _meet(self, envs: Any, resume: bool) -> None:
        if resume:
            for name, space in (
                ("observations", "observation_space"), ("actions", "action_space"),
            ):  # fmt: skip
                known: Space = getattr(self, space + "_")
                if not known.like(getattr(envs, space)):
                    raise ValueError(
                        f"{type(self).__name__} was fitted on other {name} than env has now; fit "
                        "afresh (warm_start=False) to change the environment."
                    )
            return
        self.observation_space_: Space = envs.observation_space
        self.action_space_: Space = envs.action_space

    def _publish(self, learner: Learner, history: History, done: int) -> None:
        self.n_steps_ = done
        self.history_ = history.arrays(done)
        learner.publish(self)

    # -- files ------------------------------------------------------------------------------------

    def __zoo_state__(self) -> dict[str, Any]:
        """Return plain values and arrays; an environment is kept by its id only."""
        state: dict[str, Any] = dict(self.__getstate__())  # type: ignore[call-overload]
        # What ended the fit is on its way to the caller; it is no part of what was learned.
        state.pop("_ended_by", None)
        for name in ("observation_space_", "action_space_"):
            if name in state:
                state[name] = state[name].plain()
        if "replay_" in state:
            state["replay_"] = state["replay_"].plain()
        if not isinstance(self.env, str):
            state["env"] = None
        return state

    def __zoo_restore__(self, state: dict[str, Any]) -> None:
        """Take the state back, and say what it lacks."""
        from zoo.engines.acting import replay

        for name in ("observation_space_", "action_space_"):
            if name in state:
                state[name] = from_plain(state[name])
        if "replay_" in state:
            state["replay_"] = replay.from_plain(state["replay_"])
        self.__setstate__(state)
        if self.env is None:
            warnings.warn(
                f"This {type(self).__name__} was saved without its environment, which had no id; it "
                "acts, but needs set_params(env=...) before fit, score, evaluate or rollout.",
                stacklevel=2,
            )

    # -- acting -----------------------------------------------------------------------------------

    def _greedy(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} does not say how it acts")

    def _read(self, observations: Any) -> tuple[np.ndarray, bool]:
        """Return encoded rows, and whether one observation was given rather than many."""
        check_is_fitted(self)
        space = self.observation_space_
        array = np.asarray(observations)
        single = array.shape == space.shape
        if array.dtype.kind not in "iufb" or not (single or array.shape[1:] == space.shape):
            raise ValueError(
                f"observations of shape {array.shape} and type {array.dtype} are none that "
                f"{type(self).__name__} was fitted on; give one of shape {space.shape}, or an "
                f"array of shape (n, {', '.join(map(str, space.shape))})."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                "observations contain NaN or infinity; give finite ones (an agent cannot act on "
                "what it cannot see)."
            )
        if single:
            array = array[None]
        try:
            array = space.check(array)
        except ValueError as e:
            raise ValueError(f"observations are none that {type(self).__name__} was fitted on: {e}") from None
        return space.encode(array), single

    def _act(self, observations: Any) -> np.ndarray:
        x, single = self._read(observations)
        actions = self.action_space_.decode(self._greedy(x))
        return actions[0] if single else actions

    def predict(
        self, observations: Any, deterministic: bool = True, *, random_state: Any = None
    ) -> np.ndarray:
        """Return an action for each observation.

        Parameters
        ----------
        observations : array of shape (n, ...) or one observation
            What to act on.
        deterministic : bool, default=True
            Whether to take the best action; otherwise one is drawn, as `sample_action` does.
        random_state : int, RandomState or None, default=None
            Of the drawn actions.
        """
        if deterministic:
            return super().predict(observations)
        actions: np.ndarray = self.sample_action(observations, random_state=random_state)
        return actions

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
        actions = self.action_space_.decode(self._draw_actions(x, _generator(random_state, 0)))
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
            chosen = self.action_space_.encode_actions(np.atleast_1d(np.asarray(actions)))
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

    def _play(self, seeds: np.ndarray, choose: Any) -> Any:
        """Play one episode a seed, choosing by numbers that the action space decodes."""
        decode = self.action_space_.decode
        return play(self, seeds, lambda x: decode(choose(x)), lambda envs: self._meet(envs, resume=True))

    def evaluate(self, X: Any = None) -> np.ndarray:
        """Return the undiscounted return of one greedy episode a seed.

        Parameters
        ----------
        X : array of shape (n,), optional
            Seeds of the episodes; None plays 20 whose seeds lie beyond all that fit draws.
        """
        check_is_fitted(self)
        seeds = self._seeds(X)
        with one_thread:
            return returns_of(self._play(seeds, self._greedy), len(seeds))

    def score(self, X: Any = None, y: Any = None) -> float:
        """Return the mean undiscounted return of greedy episodes.

        Parameters
        ----------
        X : array of shape (n,), optional
            Seeds of the episodes; None plays 20 whose seeds lie beyond all that fit draws.
        y : ignored
            For searches.
        """
        return float(self.evaluate(X).mean())

    def rollout(
        self, X: Any = None, *, greedy: bool = True, random_state: Any = None, as_frame: bool = True
    ) -> Any:
        """Play episodes and return their transitions, episode after episode.

        Parameters
        ----------
        X : array of shape (n,), optional
            Seeds of the episodes; None plays those that ``score()`` plays.
        greedy : bool, default=True
            Whether to take the best action, or to draw as `sample_action` does.
        random_state : int, RandomState or None, default=None
            Of the drawn actions.
        as_frame : bool, default=True
            False returns arrays by name, observations in their own shape: what images need.

        Returns
        -------
        transitions : DataFrame or dict of arrays
            Columns observation_0 ..., action, reward, next_observation_0 ..., terminated,
            truncated, episode (its place in X).
        """
        check_is_fitted(self)
        seeds = self._seeds(X)
        rng = _generator(random_state, 0)
        choose = self._greedy if greedy else lambda x: self._draw_actions(x, rng)
        with one_thread:
            arrays = transitions_of(self._play(seeds, choose))
        if not as_frame:
            return arrays
        import pandas as pd

        return pd.DataFrame(as_columns(arrays))


def _is_optimizer(value: Any) -> bool:
    if isinstance(value, str):
        return value in OPTIMIZER_NAMES
    return isinstance(value, type) and hasattr(value, "step")


OPTIMIZER_NAMES = (
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "radam", "adabound",
)  # fmt: skip


class NetworkAgent(RolloutAgent, abstract=True):
    """An agent whose network learns by gradients.

    A leaf writes ``_heads(body, n_features)``, which puts its outputs on a body that gives features,
    and a `Learner` that holds an `Approximator` of it and publishes ``network_``.

    Parameters
    ----------
    lr : float, default=0.001
        Step size.
    optimizer : str or torch optimizer class, default="adam"
        Rule that turns gradients into steps.
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Widths of the hidden layers; () is linear.
    activation : {"relu", "tanh", "identity"}, default="relu"
        Of the hidden layers.
    filters : tuple of int, default=(16, 32, 32)
        Channels of the convolutions (3 x 3, stride 2) that images pass first; () reads them as
        rows of numbers.
    network : torch module, callable or None, default=None
        A body of your own in place of these layers: a module, which is copied, or a factory that is
        called with the shape of an observation. It turns a float32 tensor (n, *shape) into features
        (n, k), on which the method puts its outputs.
    device : str, default="auto"
        Where the network learns. "auto" takes a GPU when there is one, except for small
        perceptrons, which are stepped by hand and fastest on the CPU.

    Attributes
    ----------
    network_ : torch module
        The network, in evaluation mode.
    weights_ : array
        Its parameters, flat.
    spec_ : dict
        What the network was built from.
    optimizer_state_ : dict
        Moments of the optimizer and slow copies, for going on.
    """

    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu",)

    lr: Positive = 1e-3
    optimizer: Annotated[
        Any,
        Check(_is_optimizer, f"one of {', '.join(map(repr, OPTIMIZER_NAMES))}, or a torch optimizer class"),
        Fixed("adam serves nearly always"),
    ] = "adam"
    hidden_layer_sizes: tuple[Count, ...] = (64, 64)
    activation: Literal["relu", "tanh", "identity"] = "relu"
    filters: Annotated[
        tuple[Count, ...], Fixed("the choice of architectures is yours; search a list of tuples")
    ] = (16, 32, 32)
    network: Annotated[
        Any,
        Check(lambda v: v is None or callable(v), "None, a torch module, or a factory of one"),
        Fixed("it is code"),
    ] = None
    device: Device = "auto"

    def _heads(self, body: Any, n_features: int) -> Any:
        """Return the module that reads encoded observations and gives this method's outputs."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its network gives")

    def _spec(self) -> dict[str, Any]:
        """Return plain values that the network is built from."""
        space = self.observation_space_
        spec: dict[str, Any] = {"activation": self.activation}
        if self.network is not None:
            return {**spec, "shape": space.seen_shape}
        spec["hidden_layer_sizes"] = tuple(map(int, self.hidden_layer_sizes))
        if self.filters and is_image(space):
            return {**spec, "image_shape": space.shape, "filters": tuple(map(int, self.filters))}
        return {**spec, "n_inputs": space.width}

    def _built(self, rng: np.random.Generator | None = None) -> Any:
        """Build the network that ``spec_`` describes; without a generator its weights wait for others."""
        from zoo.engines.acting import networks
        from zoo.engines.modules.blocks import seeded

        rng = np.random.default_rng(0) if rng is None else rng
        own = self.network is not None
        with seeded(int(rng.integers(2**31)) if own else 0):
            body, n_features = self._users_body() if own else self._body()
            module = self._heads(body, n_features)
        networks.initialize(module, self.spec_["activation"], rng, module.heads, only_heads=own)
        return module

    def _users_body(self) -> tuple[Any, int]:
        from zoo.engines.acting import networks

        name, shape = type(self).__name__, self.spec_["shape"]
        body = networks.users_own(self.network, shape, name)
        n_features = networks.features_of(body, shape, name)
        # A row of numbers is what a body for rows reads, so that it may be stepped by hand.
        return (body if len(shape) == 1 else networks.Reshaped(shape, body)), n_features

    def _body(self) -> tuple[Any, int]:
        from torch import nn

        from zoo.engines.acting import networks

        spec = self.spec_
        widths, activation = spec["hidden_layer_sizes"], spec["activation"]
        if "filters" not in spec:
            n_inputs = spec["n_inputs"]
            body = networks.perceptron(n_inputs, widths, activation)
            return body, widths[-1] if widths else n_inputs
        trunk = networks.Convolutions(spec["image_shape"], spec["filters"], activation)
        dense = networks.perceptron(trunk.n_features, widths, activation)
        body = nn.Sequential(networks.Reshaped(spec["image_shape"], trunk), *dense)
        return body, widths[-1] if widths else trunk.n_features

    def _place(self, module: Any) -> str:
        """Return the device where a network learns."""
        from zoo.engines.neural.passes import GraphPass, pass_through

        if self.device == "auto" and not isinstance(pass_through(module), GraphPass):
            return "cpu"
        return resolve_device(self.device, np.dtype(np.float32))

    def _outputs(self, x: np.ndarray) -> np.ndarray:
        """Return what the fitted network gives for encoded observations."""
        from zoo.engines.neural import threads
        from zoo.engines.neural.passes import GraphPass, pass_through

        passing = pass_through(self._network())
        if not isinstance(passing, GraphPass):
            return passing.outputs(x)  # type: ignore[no-any-return]
        row = threads.Row(self.observation_space_.seen_shape)
        with threads.for_work([passing.module], row, len(x), passing.device):
            return passing.outputs(x)

    def _network(self) -> Any:
        network = vars(self).get("network_")
        if network is None and "arrays_" in vars(self):
            if self.network is None:
                raise ValueError(
                    f"This {type(self).__name__} was saved without its network, which is your code; "
                    "give it back by set_params(network=...)."
                )
            network = self._rebuilt(self.arrays_)
        return network

    def _rebuilt(self, arrays: dict[str, np.ndarray]) -> Any:
        from zoo.engines.acting.approximator import load_arrays

        module = self._built()
        load_arrays(module, arrays)
        return module.to(self._place(module)).eval()

    @property
    def weights_(self) -> np.ndarray:
        """Parameters of the network, flat."""
        parts = [p.detach().cpu().numpy().ravel() for p in self.network_.parameters()]
        return np.concatenate(parts)

    # -- copies and files -------------------------------------------------------------------------

    def __getstate__(self) -> Any:
        from zoo.engines.acting.approximator import arrays_of

        state = dict(super().__getstate__())  # type: ignore[call-overload]
        network = state.pop("network_", None)
        if network is not None:
            state["arrays_"] = arrays_of(network)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        arrays = state.pop("arrays_", None)
        super().__setstate__(state)
        if arrays is None:
            return
        if "shape" in self.spec_ and self.network is None:
            self.arrays_ = arrays
        else:
            self.network_ = self._rebuilt(arrays)

    def __zoo_state__(self) -> dict[str, Any]:
        """Return plain values and arrays; a network of the user's own is kept by its weights only."""
        state = super().__zoo_state__()
        if state["network"] is not None:
            state["network"] = None
        return state

    def __zoo_restore__(self, state: dict[str, Any]) -> None:
        """Take the state back, and say what it lacks."""
        if "weights_" in state:
            raise ValueError(
                f"this {type(self).__name__} was written when agents had networks of another kind; "
                "fit it again"
            )
        super().__zoo_restore__(state)
        if "arrays_" in vars(self):
            warnings.warn(
                f"This {type(self).__name__} was saved without its network, which is code that no "
                "file keeps; give it back by set_params(network=...) before it acts.",
                stacklevel=2,
            )


def _generator(random_state: Any, done: int) -> np.random.Generator:
    """Make the generator of one fit; ``done`` keeps a resumed fit from repeating the first."""
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(np.iinfo(np.int32).max)
    return np.random.default_rng([int(random_state), done])
