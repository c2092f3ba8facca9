"""The variational autoencoder as a torch module."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from zoo.engines.modules import blocks
from zoo.engines.modules.perceptron import perceptron

# A density may not run away where a feature never changes.
LEAST_LOG_SIGMA = math.log(1e-2)


class Autoencoder(blocks.Stochastic):
    """Encoder q(z|x) and decoder p(x|z, y); in training it returns each row's negative ELBO.

    x is (n, d), y one-hot (n, k) or None. The network sees (x - shift) / scale.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        shape: list[int],
        n_components: int,
        n_classes: int,
        hidden: list[int],
        filters: list[int] | None,
        activation: str,
        likelihood: str,
        noise: str,
        shift: Any,
        scale: Any,
        n_draws: int,
        beta: float,
    ) -> None:
        super().__init__()
        d = math.prod(shape)
        self.n_draws, self.beta, self.likelihood, self.noise = n_draws, beta, likelihood, noise
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float64))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float64))
        per_feature = 2 if likelihood == "gaussian" and noise == "predicted" else 1
        code = n_components + n_classes
        if filters is None:
            self.encoder = perceptron([d, *hidden, 2 * n_components], activation, 0.0, 0.0, None,
                                      "glorot_uniform")  # fmt: skip
            self.decoder = perceptron([code, *hidden[::-1], per_feature * d], activation, 0.0, 0.0,
                                      None, "glorot_uniform")  # fmt: skip
        else:
            self.encoder = downwards(shape, filters, hidden, 2 * n_components, activation)
            self.decoder = upwards(shape, filters, hidden, code, per_feature, activation)
        if likelihood == "gaussian" and noise == "shared":
            self.log_sigma = nn.Parameter(torch.zeros(d))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation of q(z|x)."""
        mean, log_sd = self.encoder((x - self.shift) / self.scale).chunk(2, dim=1)
        return mean, log_sd.clamp(-8, 8)

    def decode(self, z: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the decoder's mean (or logit) and log sigma of each feature, in its own scale."""
        out = self.decoder(z if y is None else torch.cat([z, y], dim=1))
        if self.likelihood == "bernoulli":
            return out, None
        if self.noise == "shared":
            return out, self.log_sigma.clamp_min(LEAST_LOG_SIGMA).expand_as(out)
        # Pairs beside each other, so that dense and convolutional outputs look alike.
        mean, log_sigma = out.unflatten(1, (2, -1)).unbind(1)
        return mean, log_sigma.clamp(LEAST_LOG_SIGMA, 8)

    def log_p(self, x: Tensor, z: Tensor, y: Tensor | None) -> Tensor:
        """Return log p(x|z, y) of each row, in the units of x."""
        mean, log_sigma = self.decode(z, y)
        if log_sigma is None:
            return -nn.functional.binary_cross_entropy_with_logits(
                mean, x.expand_as(mean), reduction="none"
            ).sum(1)
        e = ((x - self.shift) / self.scale - mean) * torch.exp(-log_sigma)
        unit = torch.log(self.scale).expand(x.shape[1]).sum()
        return -(0.5 * e.square() + log_sigma + 0.5 * math.log(2 * math.pi)).sum(1) - unit

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the negative ELBO of each row, the KL weighted by beta."""
        mean, log_sd = self.encode(x)
        kl = gaussian_kl(mean, log_sd)
        reconstruction = torch.zeros_like(kl)
        for _ in range(self.n_draws):
            z = mean + torch.exp(log_sd) * self.normal_like(mean)
            reconstruction = reconstruction + self.log_p(x, z, y)
        return self.beta * kl - reconstruction / self.n_draws

    def bound(self, x: Tensor, y: Tensor | None, noise: Tensor, importance: bool) -> Tensor:
        """Return the ELBO of each row, or the importance-weighted bound; noise is (n, draws, z)."""
        mean, log_sd = self.encode(x)
        draws = noise.unbind(1)
        z = [mean + torch.exp(log_sd) * e for e in draws]
        log_p = torch.stack([self.log_p(x, z_l, y) for z_l in z])
        if not importance:
            return log_p.mean(0) - gaussian_kl(mean, log_sd)
        # log p(z) - log q(z|x) of each draw
        log_ratio = torch.stack([
            (0.5 * (e.square() - z_l.square()) + log_sd).sum(1)
            for e, z_l in zip(draws, z, strict=True)
        ])  # fmt: skip
        return torch.logsumexp(log_p + log_ratio, 0) - math.log(len(draws))


def gaussian_kl(mean: Tensor, log_sd: Tensor) -> Tensor:
    """Return KL(N(mean, sd^2) || N(0, I)) of each row."""
    return 0.5 * (mean.square() + torch.exp(2 * log_sd) - 1 - 2 * log_sd).sum(1)


def downwards(
    shape: list[int], filters: list[int], hidden: list[int], n_out: int, activation: str
) -> nn.Module:
    """Halve the image with each convolution, then connect fully."""
    C, H, W = shape
    layers: list[nn.Module] = [nn.Unflatten(1, (C, H, W))]
    for n_filters in filters:
        layers += [nn.Conv2d(C, n_filters, 3, stride=2, padding=1), blocks.activation(activation)]
        C, H, W = n_filters, (H + 1) // 2, (W + 1) // 2
    head = perceptron([C * H * W, *hidden, n_out], activation, 0.0, 0.0, None, "glorot_uniform")
    return nn.Sequential(*layers, nn.Flatten(), head)


def upwards(
    shape: list[int],
    filters: list[int],
    hidden: list[int],
    n_in: int,
    per_feature: int,
    activation: str,
) -> nn.Module:
    """The way back: connect fully, then double the image with each transposed convolution."""
    C, H, W = shape
    sizes = [(H, W)]
    for _ in filters:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    h, w = sizes[-1]
    layers: list[nn.Module] = [
        perceptron([n_in, *hidden[::-1], filters[-1] * h * w], activation, 0.0, 0.0, None,
                   "glorot_uniform"),
        blocks.activation(activation),
        nn.Unflatten(1, (filters[-1], h, w)),
    ]  # fmt: skip
    back = [*filters[::-1][1:], per_feature * C]
    for level, (n_from, n_to) in enumerate(zip(filters[::-1], back, strict=True)):
        small, large = sizes[-1 - level], sizes[-2 - level]
        extra = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
        layers.append(nn.ConvTranspose2d(n_from, n_to, 3, stride=2, padding=1, output_padding=extra))
        if level < len(filters) - 1:
            layers.append(blocks.activation(activation))
    return nn.Sequential(*layers, nn.Flatten())
