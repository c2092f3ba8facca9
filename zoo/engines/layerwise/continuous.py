"""One block for all times, as a torch module: NoProp-CT and NoProp-FM."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.engines.diffusion import schedules as diffusion
from zoo.engines.layerwise.blocks import Blocks
from zoo.engines.layerwise.head import Head
from zoo.engines.modules import blocks

TIME_CODE = 64
# Times in [0, 1] are spread over as many positions as the paper takes steps.
POSITIONS = 1000.0
# No step of an adaptive rule is shorter than the paper's.
LEAST_STEP = 1 / POSITIONS
# Places of [0, 1] between which the times of CT are interpolated.
GRID = 1025


class Monotone(nn.Module):
    r"""A function that rises from 0 to 1 whatever its weights are, and its derivative.

    .. math::
        s(t) = \mathrm{sp}(a)\,t + \sum_j \mathrm{sp}(v_j)\,\sigma(\mathrm{sp}(w_j)\,t + b_j),
        \qquad f(t) = \frac{s(t) - s(0)}{s(1) - s(0)}

    with sp the softplus, which makes the weights positive.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(()))
        self.v = nn.Parameter(torch.full((width,), -3.0))
        self.w = nn.Parameter(torch.full((width,), 3.0))
        self.b = nn.Parameter(torch.linspace(-3.0, 0.0, width))

    def _raw(self, t: Tensor) -> tuple[Tensor, Tensor]:
        a, v, w = F.softplus(self.a), F.softplus(self.v), F.softplus(self.w)
        h = torch.sigmoid(w * t[..., None] + self.b)
        return a * t + (v * h).sum(-1), a + (v * w * h * (1 - h)).sum(-1)

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(t) and f'(t)."""
        (low, _), (high, _) = self._raw(torch.zeros_like(t[:1])), self._raw(torch.ones_like(t[:1]))
        s, slope = self._raw(t)
        return (s - low) / (high - low), slope / (high - low)


def bogacki_shampine(
    field: Callable[[Tensor, Tensor], Tensor], z: Tensor, start: float, end: float, tol: float
) -> Tensor:
    """Solve z' = field(z, t) from ``start`` to ``end`` for rows (n, d) with times (n,).

    A row's answer must not depend on its neighbours, so each has steps of its own. A step is accepted
    when the rules of third and second order differ by no more than tol (1 + |z|), in root mean
    square, or when it is as small as can be.

    References
    ----------
    Bogacki and Shampine (1989), A 3(2) pair of Runge-Kutta formulas, Applied Mathematics Letters 2.
    """
    least = LEAST_STEP * (end - start)
    t = z.new_full((len(z),), start)
    h = torch.full_like(t, 0.1 * (end - start))
    slope = field(z, t)
    while bool((t < end).any()):
        left = end - t
        last = h >= left
        h = torch.minimum(h, left)
        step = h[:, None]
        k2 = field(z + 0.5 * step * slope, t + 0.5 * h)
        k3 = field(z + 0.75 * step * k2, t + 0.75 * h)
        new = z + step * (2 * slope + 3 * k2 + 4 * k3) / 9
        k4 = field(new, t + h)
        gap = step * (-5 * slope + 6 * k2 + 8 * k3 - 9 * k4) / 72
        error = (gap / (tol * (1 + z.abs()))).square().mean(1).sqrt()
        # What is no number is taken as it is, and shows.
        good = ~(error > 1) | (h <= least)
        z = torch.where(good[:, None], new, z)
        slope = torch.where(good[:, None], k4, slope)
        # The sum of the steps may round to a little less than the end.
        t = torch.where(good, torch.where(last, end, t + h), t)
        h = (h * (0.9 * (error + 1e-12) ** (-1 / 3)).clamp(0.2, 5.0)).clamp(min=least)
    return z


class OneBlock(blocks.Stochastic):
    """What the two methods share: the block, the embeddings, the code of t.

    Parameters
    ----------
    embedding, learn_embedding, mean, scale
        As in ``Denoisers``.
    n_times : int
        R, the times at which a row is seen in one step.
    n_outputs : int
        Length of the block's output.
    **form
        Arguments of ``Blocks``.
    """

    def __init__(
        self,
        embedding: list[list[float]],
        learn_embedding: bool,
        mean: Any,
        scale: Any,
        n_times: int,
        n_outputs: int,
        **form: Any,
    ) -> None:
        super().__init__()
        W = torch.tensor(embedding, dtype=torch.float64)
        self.learn_embedding, self.n_times = learn_embedding, n_times
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))
        if learn_embedding:
            self.W = nn.Parameter(W)
        else:
            self.register_buffer("W", W)
        self.stack = Blocks(
            1, d=W.shape[1], n_outputs=n_outputs, norm=False, time_code=TIME_CODE, **form
        )
        # exp(-i log(10000) / half), one period for each sine and cosine
        i = torch.arange(TIME_CODE // 2, dtype=torch.float64)
        self.register_buffer("rates", torch.exp(-math.log(1e4) * 2 * i / TIME_CODE))

    def features(self, x: Tensor) -> Tensor:
        """Return the x branch of the block, (1, width, n)."""
        x = self.stack.lay_out((x - self.mean) / self.scale)
        return self.stack.features(self.stack.part(0, 1), 0, x)

    def output(self, hx: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """Return the block's output (n, out) for states (n, d) at times (n,)."""
        angle = POSITIONS * t * self.rates[:, None]
        code = torch.cat([angle.sin(), angle.cos()])
        P = self.stack.part(0, 1)
        return self.stack.end(P, 0, hx, z.t()[None], code[None])[0].t()

    def outputs(self, x: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """Return the outputs (R, n, out) for states (R, n, d) of the rows x at times (R, n)."""
        hx = self.features(x).repeat(1, 1, len(t))
        return self.output(hx, z.flatten(0, 1), t.flatten()).unflatten(0, t.shape)

    def even(self, y: Tensor) -> Tensor:
        """Draw numbers (R, n), evenly spread over [0, 1]: over the rows, and those of each row."""
        R, n = self.n_times, len(y)
        u = self.W.new_empty(()).uniform_(generator=self.bound_generator())
        order = torch.empty(R, n, device=y.device).uniform_(generator=self.bound_generator())
        part = torch.arange(R, device=y.device)[:, None]
        return (((order.argsort(1) + u) / n + part) / R).to(self.W.dtype)

    def learn(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """Fill in the gradients of one batch and return its loss; w sums to one."""
        loss = (w * self(x, y)).sum()
        loss.backward()
        return loss

    def clip(self, largest: float) -> None:
        """Clip the gradient: there is one block."""
        nn.utils.clip_grad_norm_(self.parameters(), largest)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return each row's loss."""
        raise NotImplementedError

    def walk(
        self, x: Tensor, sampler: str, n_steps: int, start: Tensor, noise: Tensor, tol: float
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the states, and the block's class logits before each step."""
        raise NotImplementedError

    def state_logits(self, z: Tensor, t: Tensor) -> Tensor:
        """Return log p(y|z_t) up to a constant; t broadcasts."""
        raise NotImplementedError

    def last_logits(self, z: Tensor) -> Tensor:
        """Return class logits of last states."""
        logits: Tensor = self.head(z, self.W)
        return logits

    def predict(
        self, x: Tensor, sampler: str, n_steps: int, starts: Tensor, noise: Tensor, tol: float
    ) -> Tensor:
        """Return log p(y|x) averaged over runs; starts (runs, d), noise (runs, n_steps, d)."""
        # An adaptive rule chooses its own steps; the others are only where a path is looked at.
        n_steps = 1 if sampler == "ode" else n_steps
        runs = [
            self.last_logits(self.walk(x, sampler, n_steps, start, eps, tol)[0][-1])
            for start, eps in zip(starts, noise, strict=True)
        ]
        if len(runs) == 1:
            return runs[0]
        return torch.stack(runs).log_softmax(-1).logsumexp(0) - math.log(len(runs))

    def trace(
        self, x: Tensor, sampler: str, n_steps: int, start: Tensor, noise: Tensor, tol: float
    ) -> tuple[Tensor, ...]:
        """Return states, log p(y|z_t) and the block's logits at each step, rows first."""
        states, own = self.walk(x, sampler, n_steps, start, noise, tol)
        z = torch.stack(states, 1)
        t = torch.linspace(0, 1, n_steps + 1, dtype=z.dtype, device=z.device)[:, None]
        return z, self.state_logits(z, t).log_softmax(-1), torch.stack(own, 1)


class ContinuousDenoiser(OneBlock):
    r"""NoProp-CT: :math:`\hat u(z_t, x, t)` under a noise schedule :math:`\gamma(t)`.

    Parameters
    ----------
    noise_schedule : {"learned", "cosine", "linear"}
        Form of log SNR between its ends, or of abar.
    min_snr, max_snr : float
        Ends of the schedule.
    eta : float
        Weight of the denoising term.
    head : {"linear", "radial", "nearest"}
        What makes class logits of the last state.
    **shared
        Arguments of ``OneBlock``.
    """

    def __init__(
        self,
        noise_schedule: str,
        min_snr: float,
        max_snr: float,
        eta: float,
        head: str,
        **shared: Any,
    ) -> None:
        super().__init__(n_outputs=len(shared["embedding"]), **shared)
        self.noise_schedule, self.eta = noise_schedule, eta
        self.min_snr, self.max_snr = min_snr, max_snr
        if noise_schedule == "learned":
            self.rise = Monotone()
        last = max_snr / (1 + max_snr)
        self.head = Head(head, self.W.detach(), last**0.5, 1 - last)

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return :math:`\bar\alpha(t)` and :math:`\mathrm{SNR}'(t)`, for t of one dimension."""
        if self.noise_schedule == "learned":
            f, slope = self.rise(t)
            low, high = math.log(self.min_snr), math.log(self.max_snr)
            log_snr = low + (high - low) * f  # -gamma
            return torch.sigmoid(log_snr), (high - low) * slope * torch.exp(log_snr)
        first, last = (r / (1 + r) for r in (self.min_snr, self.max_snr))
        if self.noise_schedule == "cosine":
            f, slope = torch.sin(math.pi / 2 * t) ** 2, math.pi / 2 * torch.sin(math.pi * t)
        else:
            f, slope = t, torch.ones_like(t)
        abar = first + (last - first) * f
        return abar, (last - first) * slope / (1 - abar) ** 2

    def guess(self, output: Tensor) -> Tensor:
        """Return the mixture of embeddings."""
        return torch.softmax(output, -1) @ self.W

    def state_logits(self, z: Tensor, t: Tensor) -> Tensor:
        """Return log p(y|z_t) by Bayes' rule."""
        abar, _ = self.schedule(t.flatten())
        return diffusion.class_logits(z, self.W, abar.view(t.shape))

    @torch.no_grad()
    def times(self, y: Tensor) -> tuple[Tensor, Tensor]:
        r"""Draw times (R, n) and return them with one over their density.

        The density is :math:`p(t) = \frac12 + \frac12 \mathrm{SNR}'(t) / (\mathrm{SNR}(1) -
        \mathrm{SNR}(0))`. Half of the draws go where the loss has its weight, so that
        :math:`\mathrm{SNR}'(t) / p(t)` is never more than twice its mean.
        """
        grid = torch.linspace(0, 1, GRID, dtype=self.W.dtype, device=y.device)
        snr = diffusion.snr(self.schedule(grid)[0])
        total = snr[-1] - snr[0]
        cdf = 0.5 * grid + 0.5 * (snr - snr[0]) / total
        p = self.even(y)
        i = torch.searchsorted(cdf, p).clamp(1, GRID - 1)
        t = grid[i - 1] + (p - cdf[i - 1]) / (cdf[i] - cdf[i - 1]) / (GRID - 1)
        _, slope = self.schedule(t.flatten())
        return t, 1 / (0.5 + 0.5 * slope.view_as(t) / total)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return each row's loss: cross entropy at the end, KL at the start, denoising between."""
        u = self.W[y]
        t, rare = self.times(y)
        abar, slope = (part.view_as(t) for part in self.schedule(t.flatten()))
        z = diffusion.noised(u, self.normal_like(u.expand(len(t), -1, -1)), abar[..., None])
        guess = self.guess(self.outputs(x, z, t))
        denoising = 0.5 * self.eta * (rare * slope * (guess - u).square().sum(-1)).mean(0)
        first, last = (r / (1 + r) for r in (self.min_snr, self.max_snr))
        end = self.last_logits(diffusion.noised(u, self.normal_like(u), last))
        kl = diffusion.prior_kl(u.square().sum(1), u.shape[1], self.W.new_tensor(first))
        return F.cross_entropy(end, y, reduction="none") + kl + denoising

    def walk(
        self, x: Tensor, sampler: str, n_steps: int, start: Tensor, noise: Tensor, tol: float
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Step from t = 0 to 1 by the posterior ("mean", "sde"), by "ddim", or follow the "ode"."""
        hx = self.features(x)
        z = start.expand(len(x), -1)
        t = torch.linspace(0, 1, n_steps + 1, dtype=z.dtype, device=z.device)
        abar, _ = self.schedule(t)

        def field(v: Tensor, t: Tensor) -> Tensor:
            # Of v = z / sqrt(abar), which moves towards the guess as fast as log SNR / 2 rises.
            abar, slope = self.schedule(t)
            rise = 0.5 * slope * (1 - abar) / abar
            guess = self.guess(self.output(hx, abar[:, None].sqrt() * v, t))
            return rise[:, None] * (guess - v)

        states, own = [z], []
        for i in range(n_steps):
            output = self.output(hx, z, t[i].expand(len(x)))
            if sampler == "ode":
                ends = float(t[i]), float(t[i + 1])
                v = bogacki_shampine(field, z / abar[i].sqrt(), *ends, tol)
                z = abar[i + 1].sqrt() * v
            else:
                a, b, c = diffusion.step(sampler, abar[i], abar[i + 1])
                z = a * self.guess(output) + b * z
            if sampler == "sde":
                z = z + c**0.5 * noise[i]
            states.append(z)
            own.append(output)
        return states, own


class Flow(OneBlock):
    r"""NoProp-FM: the velocity :math:`v(z_t, x, t)` from noise to the embedding.

    Parameters
    ----------
    sigma : float
        Spread of the states around the straight way.
    head : {"linear", "radial", "nearest"}
        What makes class logits of the last state.
    **shared
        Arguments of ``OneBlock``.
    """

    def __init__(self, sigma: float, head: str, **shared: Any) -> None:
        super().__init__(n_outputs=len(shared["embedding"][0]), **shared)
        self.sigma = sigma
        # A layer learns on estimates of the end, which are less exact than the end.
        self.head = Head(head, self.W.detach(), 1.0, sigma**2, seen=(1.0, 0.1))

    def state_logits(self, z: Tensor, t: Tensor) -> Tensor:
        """Return log p(y|z_t) by Bayes' rule."""
        return diffusion.flow_class_logits(z, self.W, t, self.sigma)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return each row's squared error in the velocity, and the cross entropy of the end."""
        u, t = self.W[y], self.even(y)
        like = u.expand(len(t), -1, -1)
        z0 = self.normal_like(like)
        z = diffusion.flow_state(t[..., None], z0, u, self.sigma, self.normal_like(like))
        v = self.outputs(x, z, t)
        loss = (v - (u - z0)).square().sum(-1).mean(0)
        learned_head = self.head.kind != "nearest"
        if self.learn_embedding or learned_head:
            # Without it all embeddings could become one; fixed ones leave the block alone.
            end = z + (1 - t[..., None]) * (v if self.learn_embedding else v.detach())
            if learned_head:
                logits = self.head(end, self.W)
            else:
                logits = -0.5 * (end[..., None, :] - self.W).square().sum(-1)
            labels = y.expand(len(t), -1)
            loss = loss + F.cross_entropy(logits.permute(0, 2, 1), labels, reduction="none").mean(0)
        return loss

    def walk(
        self, x: Tensor, sampler: str, n_steps: int, start: Tensor, noise: Tensor, tol: float
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Solve z' = v(z, x, t) by Euler's or Heun's rule, or with steps that adapt."""
        hx = self.features(x)
        z = start.expand(len(x), -1)
        h = 1.0 / n_steps
        states, own = [z], []
        for i in range(n_steps):
            t = z.new_full((len(x),), i * h)
            v = self.output(hx, z, t)
            end = z + (1 - i * h) * v
            own.append(-0.5 * (end[:, None] - self.W).square().sum(-1) / self.sigma**2)
            if sampler == "ode":
                z = bogacki_shampine(lambda z, t: self.output(hx, z, t), z, i * h, (i + 1) * h, tol)
            else:
                if sampler == "heun" and i < n_steps - 1:
                    v = 0.5 * (v + self.output(hx, z + h * v, t + h))
                z = z + h * v
            states.append(z)
        return states, own
