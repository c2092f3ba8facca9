"""Deep Q-learning."""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from zoo.agents._qlearning import QLearner
from zoo.contract.inputs import Env, Input
from zoo.contract.params import Count, Fixed, Interval, Positive, Search, UnitInterval, Whole
from zoo.engines.acting.estimator import Learner, NetworkAgent
from zoo.engines.acting.images import is_image


class DQN(NetworkAgent):
    r"""Deep Q-learning with experience replay and a target network.

    A network learns what every action is worth from transitions that are drawn again and again
    from a memory, which breaks the correlation of consecutive steps; the targets come from a
    slower copy of the network, so that they do not run away. With the defaults it is the double
    estimator, which does not overrate actions.

    .. math::
        L(\theta) = E\bigl[\ell\bigl(R^{(n)} + \gamma^n (1 - d)\, Q_{\theta^-}(s', a^*)
        - Q_\theta(s, a)\bigr)\bigr], \qquad a^* = \arg\max_{a'} Q_\theta(s', a')

    with :math:`d = 1` after a terminal step, and 0 after a truncated one; :math:`\ell` is Huber's
    function or the square. Images pass convolutions first, and may be augmented (DrQ): with random
    shifts :math:`f_m`, targets :math:`y_m` from :math:`f_m(s')` are averaged, and so is the loss,

    .. math::
        L(\theta) = E\Bigl[\frac{1}{M} \sum_m \ell\Bigl(\frac{1}{M} \sum_{m'} y_{m'}
        - Q_\theta(f_m(s), a)\Bigr)\Bigr].

    Parameters
    ----------
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
    random_shift : int
        Pixels by which images of a batch are moved at random in both directions, borders
        repeated; 0 leaves them.
    n_augmentations : int
        Shifted copies of each image over which target and loss are averaged.
    keep_replay : bool
        Whether the fitted agent keeps its memory (``replay_``), for going on as if nothing had
        happened.

    Attributes
    ----------
    n_updates_ : int
        Gradient steps made.

    Notes
    -----
    A time limit is not an end of the world: after a truncated episode the target keeps the value
    of the true last observation. The squared error is the default because values here are large
    (up to 1 / (1 - gamma) times a reward) and Huber's slope of at most 1 makes them grow slowly.
    An update passes ``batch_size`` rows five times through the network (four without ``double``).
    For tables of numbers on the CPU it is done by hand, on the parameters of the torch module; for
    images, and for a ``network`` of your own, by autograd. For continuous actions use another
    method.

    An image is a box of shape (H, W), (C, H, W) or (H, W, C). The channels are the first or the
    last axis: the one that leaves a square, else the shorter one. Bytes are kept as bytes in the
    memory, which holds every image twice (before and after a step, all ``n_frames`` of it), and
    divided by 255 on the way into the network.

    A fit that goes on (``warm_start``) begins its schedules anew: step size, exploration,
    importance weights. Lower ``exploration_initial_eps`` for it if the agent should go on as it
    behaved. ``partial_fit`` stays within the schedules that were begun.

    References
    ----------
    Mnih et al. (2015), Human-level control through deep reinforcement learning, Nature 518.

    van Hasselt, Guez, Silver (2016), Deep reinforcement learning with double Q-learning, AAAI.

    Wang et al. (2016), Dueling network architectures for deep reinforcement learning, ICML.

    Yarats, Kostrikov, Fergus (2021), Image augmentation is all you need: regularizing deep
    reinforcement learning from pixels, ICLR.

    Examples
    --------
    >>> from zoo import DQN
    >>> agent = DQN(env="CartPole-v1", total_timesteps=2000, random_state=0).fit()
    >>> agent.predict([[0.0, 0.0, 0.1, 1.0]]).shape
    (1,)
    """

    input: ClassVar[Input] = Env(actions=("discrete",))

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
    random_shift: Annotated[Whole, Search(0, 4)] = 0
    n_augmentations: Annotated[Count, Search(1, 2)] = 1
    keep_replay: Annotated[bool, Fixed("it states what a fitted agent holds")] = False

    def _learner(self, rng: np.random.Generator, resume: bool) -> Learner:
        space = self.observation_space_
        if self.random_shift and not is_image(space):
            raise ValueError(
                f"DQN: random_shift={self.random_shift} moves images, but env gives observations "
                f"of shape {space.shape}; leave it at 0, or give an environment of images."
            )
        if not resume:
            self.spec_ = self._spec()
        return QLearner(self, rng, resume)

    def _spec(self) -> dict[str, Any]:
        spec = super()._spec() | {
            "n_outputs": self.action_space_.distribution().n_parameters,
            "dueling": self.dueling,
        }
        if self.dueling and spec.get("hidden_layer_sizes"):
            *below, last = spec["hidden_layer_sizes"]
            spec["hidden_layer_sizes"] = (*below, 2 * last)
        return spec

    def _heads(self, body: Any, n_features: int) -> Any:
        from zoo.agents._qnetwork import QNetwork

        spec = self.spec_
        # The streams have a half of our own last layer each; without one both read what there is.
        stream = n_features // 2 if spec.get("hidden_layer_sizes") else None
        return QNetwork(body, n_features, spec["n_outputs"], spec["dueling"], stream)

    def _action_values(self, x: np.ndarray) -> np.ndarray:
        return self._outputs(x)

    def _greedy(self, x: np.ndarray) -> np.ndarray:
        return self._action_values(x).argmax(axis=1)

    def _proba(self, x: np.ndarray) -> np.ndarray:
        # What the agent does while it learns, at its last exploration rate.
        q = self._action_values(x)
        p = np.full(q.shape, self.exploration_final_eps / q.shape[1])
        p[np.arange(len(q)), q.argmax(axis=1)] += 1 - self.exploration_final_eps
        return p
