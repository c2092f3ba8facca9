"""Changes of training images that leave their meaning alone; every draw from the trainer's own."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


class Augment:
    """Shift, crop, flip, mixup and cutmix of a batch of images (n, C, H, W).

    Parameters
    ----------
    shift : int
        Largest shift in pixels, either way; what enters is zero.
    crop : float
        Smallest share of each side that a random crop keeps before it is scaled back; 1 is none.
    flip : bool
        Mirror left and right half of the time.
    mixup, cutmix : float
        Parameter of the Beta distribution of the mixing share; 0 is off. With both, each batch takes
        one of them.
    n_classes : int or None
        Turns class numbers into probabilities before they are mixed; None mixes numbers.
    """

    def __init__(
        self,
        shift: int = 0,
        crop: float = 1.0,
        flip: bool = False,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        n_classes: int | None = None,
    ) -> None:
        self.shift, self.crop, self.flip = shift, crop, flip
        self.mixup, self.cutmix, self.n_classes = mixup, cutmix, n_classes

    def __call__(self, X: Tensor, y: Any, w: Any, generator: torch.Generator) -> Any:
        """Return the changed batch."""
        if self.flip:
            mirrored = self._uniform(len(X), X, generator) < 0.5
            X = torch.where(mirrored[:, None, None, None], X.flip(-1), X)
        if self.shift:
            X = self._shifted(X, generator)
        if self.crop < 1:
            X = self._cropped(X, generator)
        if self.mixup or self.cutmix:
            return self._mixed(X, y, w, generator)
        return X, y, w

    def _uniform(self, n: int, X: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(n, generator=generator, device=generator.device).to(X.device)

    def _shifted(self, X: Tensor, generator: torch.Generator) -> Tensor:
        n, _, H, W = X.shape
        s = self.shift
        padded = F.pad(X, (s, s, s, s))
        dy, dx = (
            (self._uniform(2 * n, X, generator) * (2 * s + 1)).long().clamp_max(2 * s).view(2, n)
        )
        rows = (torch.arange(H, device=X.device) + dy[:, None])[:, None, :, None]
        columns = (torch.arange(W, device=X.device) + dx[:, None])[:, None, None, :]
        image = torch.arange(n, device=X.device)[:, None, None, None]
        channel = torch.arange(X.shape[1], device=X.device)[None, :, None, None]
        return padded[image, channel, rows, columns]

    def _cropped(self, X: Tensor, generator: torch.Generator) -> Tensor:
        n = len(X)
        size, cy, cx = self._uniform(3 * n, X, generator).view(3, n)
        size = self.crop + (1 - self.crop) * size
        theta = torch.zeros(n, 2, 3, device=X.device, dtype=torch.float32)
        theta[:, 0, 0] = theta[:, 1, 1] = size
        theta[:, 0, 2] = (2 * cx - 1) * (1 - size)
        theta[:, 1, 2] = (2 * cy - 1) * (1 - size)
        floats = X if X.is_floating_point() else X.float()
        grid = F.affine_grid(theta.to(floats.dtype), list(X.shape), align_corners=False)
        return F.grid_sample(floats, grid, padding_mode="border", align_corners=False)

    def _mixed(self, X: Tensor, y: Tensor, w: Any, generator: torch.Generator) -> Any:
        n = len(X)
        partner = torch.randperm(n, generator=generator, device=generator.device).to(X.device)
        rng = np.random.default_rng(
            int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
        )
        cut = self.cutmix > 0 and (self.mixup == 0 or rng.random() < 0.5)
        a = self.cutmix if cut else self.mixup
        share = float(rng.beta(a, a))
        X = X if X.is_floating_point() else X.float()
        if cut:
            X, share = _cut(X, partner, share, rng)
        else:
            X = share * X + (1 - share) * X[partner]
        dtype = X.dtype
        target = F.one_hot(y, self.n_classes).to(dtype) if self.n_classes is not None else y
        weight = torch.ones(n, dtype=dtype, device=X.device) if w is None else w
        own, other = share * weight, (1 - share) * weight[partner]
        shape = (n,) + (1,) * (target.ndim - 1)
        mixed = own.view(shape) * target + other.view(shape) * target[partner]
        return X, mixed / (own + other).view(shape), None if w is None else own + other


def _cut(
    X: Tensor, partner: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Replace a box of 1 - share of the area by the partner's; return the share that remains."""
    H, W = X.shape[-2:]
    side = (1 - share) ** 0.5
    h, w = int(round(H * side)), int(round(W * side))
    top, left = rng.integers(H - h + 1), rng.integers(W - w + 1)
    X = X.clone()
    X[:, :, top : top + h, left : left + w] = X[partner, :, top : top + h, left : left + w]
    return X, 1 - h * w / (H * W)
