"""T blocks that denoise a label embedding, as a torch module: NoProp-DT and its hybrid form."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.neural import blocks
from zoo.noprop import _diffusion as diffusion
from zoo.noprop._blocks import Blocks, chunk_for, clip_each, take_gradients


class Denoisers(blocks.Stochastic):
    r"""Blocks :math:`\hat u_t(z_{t-1}, x)`, label embeddings W and a head.

    Parameters
    ----------
    embedding : list of lists
        First value of W, (k, d).
    learn_embedding : bool
        Train W with the blocks.
    abar, weights : lists of T + 1 and T numbers
        The schedule, and the weight of each block's squared error.
    parametrization : {"softmax", "u", "eps", "v"}
        What a block gives: class logits whose softmax mixes the embeddings, or a vector.
    head : {"linear", "radial", "nearest"}
        What makes class logits of the last state.
    training_mode : {"local", "backprop"}
        Each block by its own loss, or all of them end to end by the cross entropy at the end.
    chunk : int or "auto"
        Blocks that are trained at once.
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
        weights: list[float],
        parametrization: str,
        head: str,
        training_mode: str,
        chunk: int | str,
        mean: Any,
        scale: Any,
        **form: Any,
    ) -> None:
        super().__init__()
        W = torch.tensor(embedding, dtype=torch.float64)
        k, d = W.shape
        self.parametrization, self.head_kind, self.chunk = parametrization, head, chunk
        self.training_mode = training_mode
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))
        self.register_buffer("abar", torch.tensor(abar, dtype=torch.float64))
        self.register_buffer("loss_weights", torch.tensor(weights, dtype=torch.float64))
        if learn_embedding:
            self.W = nn.Parameter(W)
        else:
            self.register_buffer("W", W)
        n_outputs = k if parametrization == "softmax" else d
        self.stack = Blocks(len(weights), d=d, n_outputs=n_outputs, **form)
        if head != "nearest":
            self.head = nn.Linear(d, k)
            # Bayes' rule for what the head will see, the end of a slow descent at these rates.
            exact = parametrization == "softmax" and training_mode == "local"
            seen = self.abar[-1] if exact else torch.tensor(0.9)
            with torch.no_grad():
                self.head.weight.copy_(seen**0.5 * W / (1 - seen))
                self.head.bias.copy_(-0.5 * seen * W.square().sum(1) / (1 - seen))

    # -- parts --------------------------------------------------------------------------------------

    def standardised(self, x: Tensor) -> Tensor:
        """Return x centred and scaled, laid out for the blocks."""
        return self.stack.lay_out((x - self.mean) / self.scale)

    def guess(self, output: Tensor, z: Tensor, abar: Tensor) -> Tensor:
        """Return the clean embedding that outputs (K, ., n) stand for; abar is (K, 1, 1)."""
        if self.parametrization == "softmax":
            return torch.matmul(self.W.t(), torch.softmax(output, 1))
        return diffusion.clean(output, z, abar, self.parametrization)

    def class_logits(self, z: Tensor) -> Tensor:
        """Return the head's logits of last states (..., d)."""
        last = self.abar[-1]
        if self.head_kind == "nearest":
            return diffusion.class_logits(z, self.W, last)
        logits: Tensor = self.head(z)
        if self.head_kind == "linear":
            return logits
        mixed = torch.softmax(logits, -1) @ self.W
        return diffusion.class_logits(last**0.5 * mixed, self.W, last)

    def step(self, t: int, P: dict[str, Tensor], x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return output and guess of block t (1 ... T) at z_{t-1}, (1, d, n)."""
        output = self.stack.run(P, t - 1, x, z)
        return output, self.guess(output, z, self.abar[t - 1])

    def path(
        self, x: Tensor, sampler: str, start: Tensor, noise: Tensor | None, train: bool = False
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return states z_0 ... z_T, and output and guess of every block; all are (1, ., n).

        start is (d,), noise (T, d): every row gets the same, so that its answer depends on itself.
        """
        x = self.standardised(x)
        n = x.shape[0] if self.stack.network == "conv" else x.shape[1]
        z = start[None, :, None].expand(1, -1, n)
        states, outputs, guesses = [z], [], []
        T = self.stack.K
        parts = self.stack.singles() if train else [self.stack.part(t, t + 1) for t in range(T)]
        for t in range(1, T + 1):
            output, u = self.step(t, parts[t - 1], x, z)
            a, b, c = diffusion.step(sampler, self.abar[t - 1], self.abar[t])
            z = a * u + b * z
            if noise is not None:
                z = z + c**0.5 * noise[t - 1][None, :, None]
            states.append(z)
            outputs.append(output)
            guesses.append(u)
        return states, outputs, guesses

    def draws(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return noise for the inputs of all blocks (T, d, n), and for the head (d, n)."""
        like = self.abar.new_empty(self.stack.K + 1, self.W.shape[1], len(y))
        eps = self.normal_like(like)
        return eps[:-1], eps[-1]

    # -- losses -------------------------------------------------------------------------------------

    def block_losses(
        self, low: int, P: dict[str, Tensor], x: Tensor, y: Tensor, eps: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return losses (K, n) and guesses of the blocks from ``low`` on, given their noise."""
        abar = self.abar[low : low + len(eps), None, None]
        u = self.W[y].t()
        z = diffusion.noised(u, eps, abar)
        guess = self.guess(self.stack.run(P, low, x, z), z, abar)
        weight = self.loss_weights[low : low + len(eps), None]
        return weight * (guess - u).square().sum(1), guess

    def head_losses(self, y: Tensor, eps: Tensor, guesses: Tensor) -> Tensor:
        """Return each row's cross entropy of the head, plus the KL of the first state."""
        u = self.W[y]
        if self.parametrization == "softmax":
            loss = F.cross_entropy(
                self.class_logits(diffusion.noised(u, eps.t(), self.abar[-1])), y, reduction="none"
            )
        else:
            # The hybrid head learns on what the blocks give, of all blocks.
            logits = self.class_logits(guesses.transpose(1, 2))
            loss = F.cross_entropy(logits.permute(1, 2, 0), y[:, None].expand(-1, len(guesses)),
                                   reduction="none").mean(1)  # fmt: skip
        return loss + diffusion.prior_kl(u.square().sum(1), u.shape[1], self.abar[0])

    def end_to_end(self, x: Tensor, y: Tensor) -> Tensor:
        """Return each row's cross entropy after all blocks, in one graph."""
        zero = self.abar.new_zeros(self.W.shape[1])
        states, _, _ = self.path(x, "mean", zero, None, train=True)
        return F.cross_entropy(self.class_logits(states[-1][0].t()), y, reduction="none")

    def learn(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Fill in the gradients of one batch and return its loss; w sums to one."""
        if self.training_mode == "backprop":
            loss = (w * self.end_to_end(x, y)).sum()
            loss.backward()
            return loss
        x = self.standardised(x)
        eps, eps_last = self.draws(y)
        shared = [self.W] if isinstance(self.W, nn.Parameter) else []
        K = self.stack.K
        chunk = chunk_for(self.chunk, self.stack.network, K, x.device)
        total = torch.zeros((), dtype=w.dtype, device=w.device)
        guesses = []
        for low in range(0, K, chunk):
            high = min(low + chunk, K)
            P = self.stack.part(low, high, detached=True)
            losses, guess = self.block_losses(low, P, x, y, eps[low:high])
            loss = (losses.sum(0) * w).sum()
            take_gradients(loss, self.stack, low, P, shared)
            total += loss.detach()
            guesses.append(guess.detach())
        loss = (w * self.head_losses(y, eps_last, torch.cat(guesses))).sum()
        if loss.requires_grad:
            loss.backward()
        return total + loss.detach()

    def clip(self, largest: float) -> None:
        """Clip every block's gradient by its own norm, and that of what they share."""
        if self.training_mode == "backprop":
            nn.utils.clip_grad_norm_(self.parameters(), largest)
            return
        clip_each(self.stack, largest)
        own = set(self.stack.weights.values())
        nn.utils.clip_grad_norm_([p for p in self.parameters() if p not in own], largest)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return each row's loss, as it is watched on validation data."""
        if self.training_mode == "backprop":
            return self.end_to_end(x, y)
        x = self.standardised(x)
        eps, eps_last = self.draws(y)
        losses, guesses = self.block_losses(0, self.stack.part(0, self.stack.K), x, y, eps)
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
