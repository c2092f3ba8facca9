"""T blocks that denoise a label embedding, as a torch module: NoProp-DT and its hybrid form."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.engines.diffusion import schedules as diffusion
from zoo.engines.layerwise.blocks import Blocks
from zoo.engines.layerwise.head import Head
from zoo.engines.layerwise.layers import compiled
from zoo.engines.modules import blocks


class Denoisers(blocks.Stochastic):
    r"""Blocks :math:`\hat u_t(z_{t-1}, x)`, label embeddings W and a head.

    Parameters
    ----------
    embedding : list of lists
        First value of W, (k, d).
    learn_embedding : bool
        Train W with the blocks.
    abar : list of T + 1 numbers
        The schedule, or where it starts.
    learn_schedule : bool
        Train the rises of abar between its ends; abar stays monotone whatever they are.
    weights : pair of floats or None
        a, b of the weight a SNR_{t-1} + b of block t's squared error.
    eta : float or None
        With weights=None, that of the weight eta (SNR_t - SNR_{t-1}) / 2.
    parametrization : {"softmax", "u", "eps", "v"}
        What a block gives: class logits whose softmax mixes the embeddings, or a vector.
    head : {"linear", "radial", "nearest"}
        What makes class logits of the last state.
    training_mode : {"local", "backprop"}
        Each block by its own loss, or all of them end to end by the cross entropy at the end.
    chunks : list of int
        How many blocks stand in each group; a group is trained at once.
    mean, scale : lists
        Location and scale of x.
    **form
        Arguments of ``Blocks``.
    """

    def __init__(
        self,
        embedding: list[list[float]],
        learn_embedding: bool,
        abar: list[float],
        learn_schedule: bool,
        weights: tuple[float, float] | None,
        eta: float | None,
        parametrization: str,
        head: str,
        training_mode: str,
        chunks: list[int],
        mean: Any,
        scale: Any,
        **form: Any,
    ) -> None:
        super().__init__()
        W = torch.tensor(embedding, dtype=torch.float64)
        k, d = W.shape
        self.parametrization, self.training_mode = parametrization, training_mode
        self.weights, self.eta = weights, eta
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))
        first = torch.tensor(abar, dtype=torch.float64)
        self.register_buffer("first_abar", first)
        self.register_buffer("first_weights", self._weights_under(first))
        self.learn_schedule = learn_schedule
        if learn_schedule:
            # Shares of the whole rise, by softmax: positive, and their sum is one.
            self.rises = nn.Parameter(first.diff().log())
        if learn_embedding:
            self.W = nn.Parameter(W)
        else:
            self.register_buffer("W", W)
        n_outputs = k if parametrization == "softmax" else d
        self.stacks = nn.ModuleList(Blocks(K, d=d, n_outputs=n_outputs, **form) for K in chunks)
        self.T = len(abar) - 1
        self.devices: list[torch.device] | None = None
        last = abar[-1]
        exact = parametrization == "softmax" and training_mode == "local"
        seen = None if exact else (0.9**0.5, 0.1)
        self.head = Head(head, W, last**0.5, 1 - last, seen)

    # -- where things are ---------------------------------------------------------------------------

    def place(self, devices: list[torch.device]) -> None:
        """Put each group of blocks on a device of its own, now and whenever the whole is moved."""
        self.devices = devices
        self._apply(lambda x: x)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        for stack, device in zip(self.stacks, self.devices or (), strict=False):
            stack.to(device)
        return self

    def groups(self) -> list[tuple[int, Blocks]]:
        """Return each group of blocks with the number of blocks before it."""
        found: list[tuple[int, Blocks]] = []
        low = 0
        for stack in self.stacks:
            assert isinstance(stack, Blocks)
            found.append((low, stack))
            low += stack.K
        return found

    @property
    def n_pieces(self) -> int:
        """How many groups are trained one after the other."""
        return len(self.stacks) if self.training_mode == "local" else 1

    @property
    def compiled_step(self) -> bool:
        """Whether the step of dense blocks is compiled code, which runs in one thread."""
        return self.groups()[0][1].network == "dense" and compiled(self.W)

    # -- parts --------------------------------------------------------------------------------------

    @property
    def abar(self) -> Tensor:
        r"""The schedule :math:`\bar\alpha_0 \dots \bar\alpha_T` as it is now."""
        first = self.first_abar
        assert isinstance(first, Tensor)
        if not self.learn_schedule:
            return first
        risen = torch.softmax(self.rises, 0).cumsum(0)
        middle = first[0] + (first[-1] - first[0]) * risen[:-1]
        return torch.cat([first[:1], middle, first[-1:]])

    def loss_weights(self, abar: Tensor) -> Tensor:
        """Return the weight of each block's squared error under the present schedule."""
        if self.learn_schedule:
            return self._weights_under(abar)
        assert isinstance(self.first_weights, Tensor)
        return self.first_weights

    def _weights_under(self, abar: Tensor) -> Tensor:
        snr = diffusion.snr(abar)
        if self.weights is None:
            weights: Tensor = 0.5 * self.eta * snr.diff()
            return weights
        a, b = self.weights
        return a * snr[:-1] + b

    def standardised(self, x: Tensor) -> Tensor:
        """Return x centred and scaled, laid out for the blocks."""
        first: Any = self.stacks[0]
        laid: Tensor = first.lay_out((x - self.mean) / self.scale)
        return laid

    def guess(self, output: Tensor, z: Tensor, abar: Tensor) -> Tensor:
        """Return the clean embedding that outputs (K, ., n) stand for; abar is (K, 1, 1)."""
        if self.parametrization == "softmax":
            return torch.matmul(self.W.t().to(output.device), torch.softmax(output, 1))
        return diffusion.clean(output, z, abar, self.parametrization)

    def class_logits(self, z: Tensor) -> Tensor:
        """Return the head's logits of last states (..., d)."""
        logits: Tensor = self.head(z, self.W)
        return logits

    def path(
        self, x: Tensor, sampler: str, start: Tensor, noise: Tensor | None, train: bool = False
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return states z_0 ... z_T, and output and guess of every block; all are (1, ., n).

        start is (d,), noise (T, d): every row gets the same, so that its answer depends on itself.
        """
        x = self.standardised(x)
        abar = self.abar
        home = abar.device
        n = self.groups()[0][1].rows_of(x)
        z = start[None, :, None].expand(1, -1, n)
        states, outputs, guesses = [z], [], []
        for low, stack in self.groups():
            parts = stack.singles() if train else [stack.part(i, i + 1) for i in range(stack.K)]
            there = x.to(stack.device)
            for i, P in enumerate(parts):
                t = low + i + 1
                output = stack.run(P, i, there, z.to(stack.device)).to(home)
                u = self.guess(output, z, abar[t - 1])
                a, b, c = diffusion.step(sampler, abar[t - 1], abar[t])
                z = a * u + b * z
                if noise is not None:
                    z = z + c**0.5 * noise[t - 1][None, :, None]
                states.append(z)
                outputs.append(output)
                guesses.append(u)
        return states, outputs, guesses

    def draws(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return noise for the inputs of all blocks (T, d, n), and for the head (d, n)."""
        eps = self.normal_like(self.mean.new_empty(self.T + 1, self.W.shape[1], len(y)))
        return eps[:-1], eps[-1]

    # -- losses -------------------------------------------------------------------------------------

    def block_losses(
        self, low: int, stack: Blocks, x: Tensor, y: Tensor, eps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return losses (K, n) and guesses of a group of blocks, given their noise."""
        home, there = y.device, stack.device
        part = slice(low, low + stack.K)
        whole = self.abar
        abar = whole[part, None, None]
        u = self.W[y].t()
        z = diffusion.noised(u, eps, abar)
        output = stack.run(stack.part(0, stack.K), 0, x.to(there), z.to(there)).to(home)
        guess = self.guess(output, z, abar)
        weight = self.loss_weights(whole)[part, None]
        return weight * (guess - u).square().sum(1), guess

    def all_losses(self, x: Tensor, y: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses (T, n) and guesses of all blocks, in one graph."""
        found = [
            self.block_losses(low, stack, x, y, eps[low : low + stack.K])
            for low, stack in self.groups()
        ]
        losses, guesses = zip(*found, strict=True)
        return torch.cat(losses), torch.cat(guesses)

    def head_losses(self, y: Tensor, eps: Tensor, guesses: Tensor) -> Tensor:
        """Return each row's cross entropy of the head, plus the KL of the first state."""
        u, abar = self.W[y], self.abar
        if self.parametrization == "softmax":
            loss = F.cross_entropy(
                self.class_logits(diffusion.noised(u, eps.t(), abar[-1])), y, reduction="none"
            )
        else:
            # The hybrid head learns on what the blocks give, of all blocks.
            logits = self.class_logits(guesses.transpose(1, 2))
            loss = F.cross_entropy(logits.permute(1, 2, 0), y[:, None].expand(-1, len(guesses)),
                                   reduction="none").mean(1)  # fmt: skip
        return loss + diffusion.prior_kl(u.square().sum(1), u.shape[1], abar[0])

    def end_to_end(self, x: Tensor, y: Tensor) -> Tensor:
        """Return each row's cross entropy after all blocks, in one graph."""
        zero = self.abar.new_zeros(self.W.shape[1])
        states, _, _ = self.path(x, "mean", zero, None, train=True)
        return F.cross_entropy(self.class_logits(states[-1][0].t()), y, reduction="none")

    def learn(
        self, x: Tensor, y: Tensor, w: Tensor, done: Callable[[nn.Module], None] | None = None
    ) -> Tensor:
        """Fill in the gradients of one batch and return its loss; w sums to one.

        ``done(group)`` is called as soon as the gradients of a group of blocks are there. What the
        blocks share (embeddings, schedule, head) has its gradient at the end.
        """
        if self.training_mode == "backprop":
            loss = (w * self.end_to_end(x, y)).sum()
            loss.backward()
            return loss
        x = self.standardised(x)
        eps, eps_last = self.draws(y)
        shared = [p for p in (self.W, getattr(self, "rises", None)) if isinstance(p, nn.Parameter)]
        total = torch.zeros((), dtype=w.dtype, device=w.device)
        guesses = []
        sums = [torch.zeros_like(p) for p in shared]
        for low, stack in self.groups():
            own = eps[low : low + stack.K]
            step = None if shared else self._by_hand(stack, x, y)
            if step is None:
                losses, guess = self.block_losses(low, stack, x, y, own)
                loss = (losses.sum(0) * w).sum()
                loss.backward()
            else:
                loss, guess = self._learn_by_hand(step, low, stack, x, y, own, w)
            for p, held in zip(shared, sums, strict=True):
                if p.grad is not None:
                    held += p.grad
                p.grad = None
            if done is not None:
                done(stack)
            total += loss.detach()
            guesses.append(guess.detach())
        loss = (w * self.head_losses(y, eps_last, torch.cat(guesses))).sum()
        if loss.requires_grad:
            loss.backward()
        for p, held in zip(shared, sums, strict=True):
            p.grad = held if p.grad is None else p.grad + held
        return total + loss.detach()

    @staticmethod
    def _by_hand(stack: Blocks, x: Tensor, y: Tensor) -> Any:
        """Return the hand-written step of a group, or None where it does not apply."""
        if stack.network != "dense" or x.device != stack.device or x.device.type != "cpu":
            return None
        from zoo.engines.layerwise.dense import DenseStep

        return DenseStep.of(stack, x, len(y))

    @torch.no_grad()
    def _learn_by_hand(
        self, step: Any, low: int, stack: Blocks, x: Tensor, y: Tensor, eps: Tensor, w: Tensor
    ) -> tuple[Tensor, Tensor]:
        part = slice(low, low + stack.K)
        u, abar = self.W[y].t(), self.abar[part]
        z = diffusion.noised(u, eps, abar[:, None, None])
        weights = self.loss_weights(self.abar)[part]
        found: tuple[Tensor, Tensor] = step.learn(
            stack, x, z, self.W, u, abar, weights, w, self.parametrization
        )
        return found

    def clip(self, largest: float) -> None:
        """Clip every block's gradient by its own norm, and that of what they share."""
        if self.training_mode == "backprop":
            nn.utils.clip_grad_norm_(self.parameters(), largest)
            return
        own = set(self.stacks.parameters())
        for _, stack in self.groups():
            stack.clip(largest)
        nn.utils.clip_grad_norm_([p for p in self.parameters() if p not in own], largest)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return each row's loss, as it is watched on validation data."""
        if self.training_mode == "backprop":
            return self.end_to_end(x, y)
        x = self.standardised(x)
        eps, eps_last = self.draws(y)
        losses, guesses = self.all_losses(x, y, eps)
        return losses.sum(0) + self.head_losses(y, eps_last, guesses)

    # -- what it gives ------------------------------------------------------------------------------

    def predict(self, x: Tensor, sampler: str, starts: Tensor, noise: Tensor) -> Tensor:
        """Return log p(y|x) averaged over runs; starts (runs, d), noise (runs, T, d)."""
        runs = []
        for start, eps in zip(starts, noise, strict=True):
            states, _, _ = self.path(x, sampler, start, eps if sampler == "sde" else None)
            runs.append(self.class_logits(states[-1][0].t()))
        if len(runs) == 1:
            return runs[0]
        return torch.stack(runs).log_softmax(-1).logsumexp(0) - float(torch.tensor(len(runs)).log())

    def trace(self, x: Tensor, sampler: str, start: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """Return states (n, T + 1, d), log p(y|z_t) (n, T + 1, k) and the blocks' logits (n, T, k).

        A state's probabilities follow from q(z_t|y) by Bayes' rule; a block's logits are its own
        output, or come from the embedding nearest to its guess.
        """
        states, outputs, guesses = self.path(x, sampler, start, noise if sampler == "sde" else None)
        z = torch.cat(states).permute(2, 0, 1)
        logits = diffusion.class_logits(z, self.W, self.abar[:, None]).log_softmax(-1)
        if self.parametrization == "softmax":
            own = torch.cat(outputs).permute(2, 0, 1)
        else:
            own = -(torch.cat(guesses).permute(2, 0, 1)[..., None, :] - self.W).square().sum(-1)
        return z, logits, own
