"""Deep Q-learning."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.agents import _network
from zoo.agents.replay import Batch, PrioritizedReplay, Replay
from zoo.agents.rollout import Learner, RolloutAgent, Transitions, encode, width_of
from zoo.inputs import Env, Input
from zoo.params import Count, Fixed, Interval, Positive, Search, UnitInterval, Whole


class DQN(RolloutAgent):
    r"""Deep Q-learning with experience replay and a target network.

    A network learns what every action is worth from transitions that are drawn again and again
    from a memory, which breaks the correlation of consecutive steps; the targets come from a
    slower copy of the network, so that they do not run away. With the defaults it is the double
    estimator, which does not overrate actions.

    .. math::
        L(\theta) = E\bigl[\ell\bigl(R^{(n)} + \gamma^n (1 - d)\, Q_{\theta^-}(s', a^*)
        - Q_\theta(s, a)\bigr)\bigr], \qquad a^* = \arg\max_{a'} Q_\theta(s', a')

    with :math:`d = 1` after a terminal step, and 0 after a truncated one; :math:`\ell` is Huber's
    function or the square.

    Parameters
    ----------
    lr : float
        Step size of Adam.
    lr_schedule : {"linear", "constant"}
        "linear" lets the step size fall towards zero over ``total_timesteps``.
    batch_size : int
        Transitions in one update.
    buffer_size : int
        Transitions that the memory holds.
    learning_starts : int
        Transitions to remember before the first update (or a full memory).
    train_freq : int
        Environment steps between updates.
    gradient_steps : int
        Updates each time.
    target_update_interval : int
        Updates between changes of the target network.
    tau : float
        Share of the network in its target at a change: 1 is a copy, less moves softly.
    double : bool
        Whether the network chooses the action that its target rates; otherwise the target does
        both.
    dueling : bool
        Whether value and advantage have streams of their own.
    n_step : int
        Rewards that are summed before a value takes over.
    prioritized : bool
        Whether surprising transitions are drawn more often, with importance weights.
    priority_exponent : float
        0 draws evenly, 1 in full proportion to the error.
    importance_exponent : float
        How far the weights correct for it at first; rises to 1.
    exploration_fraction : float
        Share of ``total_timesteps`` over which exploration falls.
    exploration_initial_eps, exploration_final_eps : float
        Probability of a random action, at first and in the end.
    loss : {"squared", "huber"}
        Of a temporal-difference error.
    max_grad_norm : float or None
        Longer gradients are scaled down to it; None leaves them.
    hidden_layer_sizes : tuple of int
        Widths of the hidden layers; () is linear.
    activation : {"relu", "tanh", "identity"}
        Of the hidden layers.
    keep_replay : bool
        Whether the fitted agent keeps its memory (``replay_``), for going on as if nothing had
        happened.

    Attributes
    ----------
    weights_ : array
        Parameters of the network, flat.
    spec_ : dict
        What the network was built from.
    optimizer_state_ : dict
        Target network and moments of Adam, for going on.
    n_updates_ : int
        Gradient steps made.

    Notes
    -----
    A time limit is not an end of the world: after a truncated episode the target keeps the value
    of the true last observation. The squared error is the default because values here are large
    (up to 1 / (1 - gamma) times a reward) and Huber's slope of at most 1 makes them grow slowly.
    An update passes ``batch_size`` rows five times through the network (four without ``double``);
    it is written by hand, without torch, for tables of numbers. For continuous actions use
    another method; for images there is no convolution here.

    References
    ----------
    Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518.

    van Hasselt, Guez, Silver (2016), Deep reinforcement learning with double Q-learning, AAAI.

    Wang et al. (2016), Dueling network architectures for deep reinforcement learning, ICML.

    Examples
    --------
    >>> from zoo import DQN
    >>> agent = DQN(env="CartPole-v1", total_timesteps=2000, random_state=0).fit()
    >>> agent.predict([[0.0, 0.0, 0.1, 1.0]]).shape
    (1,)
    """

    input: ClassVar[Input] = Env(actions=("discrete",))

    lr: Positive = 1e-3
    lr_schedule: Literal["linear", "constant"] = "linear"
    batch_size: Annotated[Count, Search(32, 256, log=True)] = 128
    buffer_size: Annotated[Count, Search(10_000, 1_000_000, log=True)] = 50_000
    learning_starts: Annotated[Whole, Search(100, 10_000, log=True)] = 1_000
    train_freq: Annotated[Count, Search(1, 16, log=True)] = 2
    gradient_steps: Annotated[Count, Search(1, 4)] = 1
    target_update_interval: Annotated[Count, Search(1, 1_000, log=True)] = 1
    tau: Annotated[float, Interval(0, 1, "right"), Search(0.001, 1.0, log=True)] = 0.02
    double: bool = True
    dueling: bool = False
    n_step: Annotated[Count, Search(1, 10)] = 5
    prioritized: bool = False
    priority_exponent: UnitInterval = 0.6
    importance_exponent: UnitInterval = 0.4
    exploration_fraction: Annotated[UnitInterval, Search(0.05, 0.5)] = 0.2
    exploration_initial_eps: Annotated[UnitInterval, Fixed("it starts at random")] = 1.0
    exploration_final_eps: Annotated[UnitInterval, Search(0.01, 0.1)] = 0.05
    loss: Literal["squared", "huber"] = "squared"
    max_grad_norm: Positive | None = 10.0
    hidden_layer_sizes: tuple[Count, ...] = (64, 64)
    activation: Literal["relu", "tanh", "identity"] = "relu"
    keep_replay: Annotated[bool, Fixed("it states what a fitted agent holds")] = False

    def _learner(self, rng: np.random.Generator, resume: bool) -> Learner:
        if not resume:
            self.spec_ = {
                "n_inputs": width_of(self.observation_space_),
                "n_outputs": self.action_space_["n"],
                "hidden_layer_sizes": tuple(self.hidden_layer_sizes),
                "activation": self.activation,
                "dueling": self.dueling,
            }
        return QLearner(self, rng, resume)

    def _action_values(self, x: np.ndarray) -> np.ndarray:
        network = _network.ValueNetwork(**self.spec_)
        return network.forward(network.layers(self.weights_), x)[0]

    def _greedy(self, x: np.ndarray) -> np.ndarray:
        return self._action_values(x).argmax(axis=1)

    def _proba(self, x: np.ndarray) -> np.ndarray:
        # What the agent does while it learns, at its last exploration rate.
        q = self._action_values(x)
        p = np.full(q.shape, self.exploration_final_eps / q.shape[1])
        p[np.arange(len(q)), q.argmax(axis=1)] += 1 - self.exploration_final_eps
        return p


def td_targets(batch: Batch, rates: np.ndarray, chooses: np.ndarray) -> np.ndarray:
    """Return R + discount Q(s', a*), where ``chooses`` (n, k) names a* and ``rates`` its worth."""
    best = chooses.argmax(axis=1)
    y: np.ndarray = batch.returns + batch.discounts * rates[np.arange(len(best)), best]
    return y


class QLearner(Learner):
    """The memory, the network, its target and its optimiser while a DQN is fitted."""

    notes: ClassVar[tuple[str, ...]] = ("loss", "epsilon")

    def __init__(self, agent: DQN, rng: np.random.Generator, resume: bool) -> None:
        self.agent = agent
        self.rng = rng
        self.space = agent.observation_space_
        self.start = agent.action_space_["start"]
        self.k = agent.spec_["n_outputs"]
        self.network = network = _network.ValueNetwork(**agent.spec_)
        self.theta = agent.weights_.copy() if resume else network.initial(rng)
        self.target = self.theta.copy()
        self.adam = _network.Adam(network.size)
        self.updates = 0
        if resume:
            self.updates = agent.n_updates_
            # A file may have been saved without it; then the moments begin anew.
            state = getattr(agent, "optimizer_state_", None)
            if state is not None:
                self.adam.t = state["t"]
                for name in ("m", "v"):
                    getattr(self.adam, name)[:] = state[name]
                self.target[:] = state["target"]
        self.gradient = np.zeros_like(self.theta)
        self.layers = network.layers(self.theta)
        self.target_layers = network.layers(self.target)
        self.gradients = network.layers(self.gradient)
        self.replay: Any = None  # made when the first step tells what it holds
        if resume and hasattr(agent, "replay_"):
            self.replay = agent.replay_
            self.replay.cut()
        self.owed = 0

    def progress(self, step: int) -> float:
        """Return how far training is: 0 at first, 1 at the end and beyond."""
        return min(step / self.agent.total_timesteps, 1.0)

    def epsilon(self, step: int) -> float:
        """Return the probability of a random action."""
        a = self.agent
        share = min(self.progress(step) / max(a.exploration_fraction, 1e-9), 1.0)
        return (1 - share) * a.exploration_initial_eps + share * a.exploration_final_eps

    def act(self, observations: np.ndarray, step: int) -> np.ndarray:
        """Choose greedy actions, or random ones with probability epsilon."""
        n = len(observations)
        random = self.rng.random(n) < self.epsilon(step)
        actions = self.rng.integers(0, self.k, n)
        if not random.all():
            q, _ = self.network.forward(self.layers, encode(self.space, observations))
            actions = np.where(random, actions, q.argmax(axis=1))
        return actions + self.start

    def learn(self, t: Transitions, step: int) -> dict[str, float]:
        """Remember, and make the updates that are due."""
        a = self.agent
        if self.replay is None:
            n = len(t.rewards)
            self.replay = (
                PrioritizedReplay(a.buffer_size, n, a.gamma, a.n_step, alpha=a.priority_exponent)
                if a.prioritized
                else Replay(a.buffer_size, n, a.gamma, a.n_step)
            )
        self.replay.add(t)
        if len(self.replay) < min(max(a.learning_starts, 1), self.replay.capacity):
            return {}
        self.owed += int(np.count_nonzero(t.real))
        loss, n = 0.0, 0
        while self.owed >= a.train_freq:
            self.owed -= a.train_freq
            for _ in range(a.gradient_steps):
                loss += self.update(step)
                n += 1
        return {"loss": loss / n, "epsilon": self.epsilon(step)} if n else {}

    def update(self, step: int) -> float:
        """Make one gradient step; return its loss."""
        a, network, replay = self.agent, self.network, self.replay
        if isinstance(replay, PrioritizedReplay):
            beta0 = a.importance_exponent
            replay.beta = beta0 + (1 - beta0) * self.progress(step)
        batch = replay.sample(a.batch_size, self.rng)
        n = len(batch.rows)
        rows = np.arange(n)
        chosen = batch.actions - self.start
        s = encode(self.space, batch.observations)
        s2 = encode(self.space, batch.next_observations)
        q2, _ = network.forward(self.target_layers, s2)
        if a.double:
            # One pass over both states costs less than two.
            both, tape = network.forward(self.layers, np.concatenate([s, s2]))
            q, tape = both[:n], [h[:n] for h in tape]
            y = td_targets(batch, q2, both[n:])
        else:
            q, tape = network.forward(self.layers, s)
            y = td_targets(batch, q2, q2)
        delta = q[rows, chosen] - y
        slope = np.clip(delta, -1, 1) if a.loss == "huber" else 2 * delta
        losses = slope * (delta - slope / 2) if a.loss == "huber" else delta * delta
        if batch.weights is not None:
            slope = slope * batch.weights
            losses = losses * batch.weights
        dq = np.zeros_like(q)
        dq[rows, chosen] = slope / n
        network.backward(self.layers, self.gradients, tape, dq)
        if a.max_grad_norm is not None:
            _network.clip_norm(self.gradient, a.max_grad_norm)
        lr = a.lr
        if a.lr_schedule == "linear":
            lr *= max(1 - self.progress(step), 0.01)
        self.adam.step(self.theta, self.gradient, lr)
        replay.update(batch.rows, delta)
        self.updates += 1
        if self.updates % a.target_update_interval == 0:
            if a.tau == 1:
                self.target[:] = self.theta
            else:
                self.target *= 1 - a.tau
                self.target += a.tau * self.theta
        return float(losses.mean())

    def publish(self, agent: Any) -> None:
        """Set the fitted attributes of the agent, as copies."""
        agent.weights_ = self.theta.copy()
        agent.optimizer_state_ = {
            "target": self.target.copy(),
            "m": self.adam.m.copy(),
            "v": self.adam.v.copy(),
            "t": self.adam.t,
        }
        agent.n_updates_ = self.updates
        if agent.keep_replay and self.replay is not None:
            agent.replay_ = self.replay
