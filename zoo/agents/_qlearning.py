"""What learns while a DQN is fitted: the memory, the network, its target, its optimiser."""

from typing import Any, ClassVar

import numpy as np

from zoo.engines.acting import network as _network
from zoo.engines.acting.conv import ConvNetwork, channel_axis, random_shift
from zoo.engines.acting.estimator import Learner, Transitions, encode
from zoo.engines.acting.replay import Batch, PrioritizedReplay, Replay


def network_of(spec: dict[str, Any]) -> Any:
    """Build the network that ``spec_`` describes: convolutional where it names filters."""
    return ConvNetwork(**spec) if "filters" in spec else _network.ValueNetwork(**spec)


def td_targets(batch: Batch, rates: np.ndarray, chooses: np.ndarray) -> np.ndarray:
    """Return R + discount Q(s', a*), where ``chooses`` (n, k) names a* and ``rates`` its worth."""
    best = chooses.argmax(axis=1)
    y: np.ndarray = batch.returns + batch.discounts * rates[np.arange(len(best)), best]
    return y


class QLearner(Learner):
    """The memory, the network, its target and its optimiser while a DQN is fitted."""

    notes: ClassVar[tuple[str, ...]] = ("loss", "epsilon")
    began: int = 0  # step at which the schedules began

    def __init__(self, agent: Any, rng: np.random.Generator, resume: bool) -> None:
        self.agent = agent
        self.rng = rng
        self.space = agent.observation_space_
        self.start = agent.action_space_["start"]
        self.k = agent.spec_["n_outputs"]
        self.began = agent.schedule_start_
        self.copies = agent.n_augmentations if agent.random_shift else 1
        self.network = network = network_of(agent.spec_)
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
        """Return how far this fit is: 0 at first, 1 at the end and beyond."""
        return min((step - self.began) / self.agent.total_timesteps, 1.0)

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

    def shifted(self, batch: Batch) -> Batch:
        """Return a batch ``copies`` times as long, each copy of each image shifted for itself."""
        a, axis = self.agent, channel_axis(self.space["shape"])
        parts: dict[str, Any] = {
            name: None if part is None else np.concatenate([part] * self.copies)
            for name, part in batch._asdict().items()
        }
        for name in ("observations", "next_observations"):
            parts[name] = random_shift(parts[name], a.random_shift, axis, self.rng)
        return Batch(**parts)

    def update(self, step: int) -> float:
        """Make one gradient step; return its loss."""
        a, network, replay = self.agent, self.network, self.replay
        if isinstance(replay, PrioritizedReplay):
            beta0 = a.importance_exponent
            replay.beta = beta0 + (1 - beta0) * self.progress(step)
        batch = replay.sample(a.batch_size, self.rng)
        if a.random_shift:
            batch = self.shifted(batch)
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
        if self.copies > 1:
            y = np.tile(y.reshape(self.copies, -1).mean(axis=0), self.copies)
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
        if self.copies > 1:
            delta = np.abs(delta).reshape(self.copies, -1).mean(axis=0)
        replay.update(batch.rows[: len(delta)], delta)
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
