"""What learns while a DQN is fitted: the memory, the network and its slow copy."""

import copy
from typing import Any, ClassVar

import numpy as np

from zoo.engines.acting.environments import Transitions
from zoo.engines.acting.estimator import Learner
from zoo.engines.acting.images import channel_axis, random_shift
from zoo.engines.acting.losses import temporal_difference
from zoo.engines.acting.replay import Batch, PrioritizedReplay, Replay


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
        from zoo.engines.acting.approximator import Approximator, arrays_of, load_arrays

        self.agent = agent
        self.rng = rng
        self.space = agent.observation_space_
        self.actions = agent.action_space_
        self.began = agent.schedule_start_
        self.copies = agent.n_augmentations if agent.random_shift else 1
        module = agent._built(None if resume else rng)
        if resume:
            load_arrays(module, arrays_of(agent._network()))
        self.q = Approximator(
            module,
            agent.optimizer,
            device=agent._place(module),
            max_grad_norm=agent.max_grad_norm,
            slow=True,
            seed=0 if agent.network is None else int(rng.integers(2**31)),
        )
        self.updates = agent.n_updates_ if resume else 0
        # A file may have been saved without it; then the moments begin anew.
        state = getattr(agent, "optimizer_state_", None) if resume else None
        if state is not None:
            self.q.restore(state)
        self.replay: Any = None  # made when the first step tells what it holds
        if resume and hasattr(agent, "replay_"):
            self.replay = agent.replay_
            self.replay.cut()
        self.owed = 0

    def threads(self) -> Any:
        """Return the context to learn in, by the largest product of an update."""
        from zoo.engines.neural import threads

        rows = 2 * self.agent.batch_size * self.copies
        module = self.q.module
        return threads.for_work(
            [module], threads.Row(self.space.seen_shape), rows, next(module.parameters()).device
        )

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
        actions = self.rng.integers(0, self.actions.n, n)
        if not random.all():
            q = self.q.outputs(self.space.encode(observations))
            actions = np.where(random, actions, q.argmax(axis=1))
        return self.actions.decode(actions)

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
        a, axis = self.agent, channel_axis(self.space.shape)
        parts: dict[str, Any] = {
            name: None if part is None else np.concatenate([part] * self.copies)
            for name, part in batch._asdict().items()
        }
        for name in ("observations", "next_observations"):
            parts[name] = random_shift(parts[name], a.random_shift, axis, self.rng)
        return Batch(**parts)

    def update(self, step: int) -> float:
        """Make one gradient step; return its loss."""
        a, replay = self.agent, self.replay
        if isinstance(replay, PrioritizedReplay):
            beta0 = a.importance_exponent
            replay.beta = beta0 + (1 - beta0) * self.progress(step)
        batch = replay.sample(a.batch_size, self.rng)
        if a.random_shift:
            batch = self.shifted(batch)
        n, w = len(batch.rows), batch.weights
        rows = np.arange(n)
        chosen = self.actions.encode_actions(batch.actions)
        s, s2 = self.space.encode(batch.observations), self.space.encode(batch.next_observations)
        rates = self.q.slow_outputs(s2)
        errors: dict[str, np.ndarray] = {}

        def slope(q: np.ndarray, q2: np.ndarray | None) -> np.ndarray:
            y = td_targets(batch, rates, rates if q2 is None else q2)
            if self.copies > 1:
                y = np.tile(y.reshape(self.copies, -1).mean(axis=0), self.copies)
            delta = q[rows, chosen] - y
            losses, slopes = temporal_difference(a.loss, delta)
            errors.update(delta=delta, losses=losses if w is None else losses * w)
            dq = np.zeros_like(q)
            dq[rows, chosen] = (slopes if w is None else slopes * w) / n
            return dq

        lr = a.lr
        if a.lr_schedule == "linear":
            lr *= max(1 - self.progress(step), 0.01)
        self.q.descend(s, slope, lr, beside=s2 if a.double else None)
        delta = errors["delta"]
        if self.copies > 1:
            delta = np.abs(delta).reshape(self.copies, -1).mean(axis=0)
        replay.update(batch.rows[: len(delta)], delta)
        self.updates += 1
        if self.updates % a.target_update_interval == 0:
            self.q.follow(a.tau)
        return float(errors["losses"].sum()) / n

    def publish(self, agent: Any) -> None:
        """Set the fitted attributes of the agent, as copies."""
        agent.__dict__.pop("arrays_", None)
        agent.network_ = copy.deepcopy(self.q.module).eval()
        agent.optimizer_state_ = self.q.state()
        agent.n_updates_ = self.updates
        if agent.keep_replay and self.replay is not None:
            agent.replay_ = self.replay
