r"""Transforms of training batches: ``(X, y, w, generator) -> X, y, w`` before the forward pass.

Objects rather than functions, so that they pickle. Mixing transforms turn class labels into
probabilities, one column a class; give them ``n_classes`` then, and a criterion that takes
probabilities (``CrossEntropyLoss`` does).
"""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Compose", "Crop", "CutMix", "Flip", "LabelSmoothing", "Mixup", "Shift"]


def _soft(y: Tensor, n_classes: int | None, like: Tensor) -> Tensor:
    """Return class labels as probabilities; other targets as they are."""
    if y.is_floating_point():
        return y
    if n_classes is None:
        raise ValueError(
            "Targets are class labels, which cannot be mixed; give the transform n_classes, so "
            "that they become probabilities."
        )
    dtype = like.dtype if like.is_floating_point() else torch.get_default_dtype()
    return nn.functional.one_hot(y, n_classes).to(dtype)


def _beta(alpha: float, generator: torch.Generator) -> float:
    r"""Draw from Beta(alpha, alpha), as the ratio of two gamma variates."""
    gammas = torch._standard_gamma(
        torch.full((2,), alpha, dtype=torch.float64, device=generator.device), generator=generator
    )
    return float(gammas[0] / gammas.sum())


def _partner(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n, generator=generator, device=generator.device)


def _columns(w: Tensor, like: Tensor) -> Tensor:
    return w.to(like.dtype).view(-1, *[1] * (like.ndim - 1))


class Compose:
    """Apply several transforms in turn."""

    def __init__(self, *transforms: Any) -> None:
        self.transforms = transforms

    def __call__(self, X: Any, y: Any, w: Any, generator: torch.Generator) -> tuple[Any, Any, Any]:
        """Transform a batch."""
        for transform in self.transforms:
            X, y, w = transform(X, y, w, generator)
        return X, y, w


class LabelSmoothing:
    r"""Replace labels by :math:`(1 - \epsilon)\,1_y + \epsilon / K`.

    References
    ----------
    Szegedy et al.: Rethinking the Inception Architecture. CVPR 2016, section 7.
    """

    def __init__(self, eps: float, n_classes: int) -> None:
        self.eps = eps
        self.n_classes = n_classes

    def __call__(
        self, X: Tensor, y: Tensor, w: Any, generator: torch.Generator
    ) -> tuple[Any, Any, Any]:
        """Transform a batch."""
        y = _soft(y, self.n_classes, X)
        return X, (1 - self.eps) * y + self.eps / self.n_classes, w


class _Mix:
    """What mixing transforms share: a partner for each row, and the share it gets of the target."""

    def __init__(self, alpha: float = 0.2, n_classes: int | None = None) -> None:
        if not alpha > 0:
            raise ValueError(f"{type(self).__name__} got alpha={alpha!r}, but it must be positive.")
        self.alpha = alpha
        self.n_classes = n_classes

    def _mix_targets(
        self, y: Tensor, w: Any, X: Tensor, partner: Tensor, lam: float
    ) -> tuple[Tensor, Any]:
        """Mix targets; a row of a weighted batch weighs what went into it.

        The loss is linear in the target, so ``w (1 - lam) l(y') + w lam l(y)`` with the weights of
        either row inside is a row of weight ``lam w + (1 - lam) w'``.
        """
        y = _soft(y, self.n_classes, X)
        if w is None:
            return lam * y + (1 - lam) * y[partner], None
        share, other = lam * w, (1 - lam) * w[partner]
        total = share + other
        mixed = _columns(share / total, y) * y + _columns(other / total, y) * y[partner]
        return mixed, total


class Mixup(_Mix):
    r"""Average each row with another: :math:`\lambda x + (1-\lambda) x'`, targets likewise.

    :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`, one draw a batch.

    Parameters
    ----------
    alpha : float
        Small: rows stay mostly themselves.
    n_classes : int or None
        Number of classes, where targets are labels.

    References
    ----------
    Zhang, Cisse, Dauphin, Lopez-Paz: mixup. ICLR 2018.
    """

    def __call__(
        self, X: Tensor, y: Tensor, w: Any, generator: torch.Generator
    ) -> tuple[Any, Any, Any]:
        """Transform a batch."""
        lam = _beta(self.alpha, generator)
        partner = _partner(len(X), generator)
        y, w = self._mix_targets(y, w, X, partner, lam)
        X = X if X.is_floating_point() else X.to(torch.get_default_dtype())
        return lam * X + (1 - lam) * X[partner], y, w


class CutMix(_Mix):
    r"""Paste a rectangle of another image; targets are mixed by area.

    Parameters
    ----------
    alpha : float
        The area pasted is a share 1 - lambda, :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)`.
    n_classes : int or None
        Number of classes, where targets are labels.

    References
    ----------
    Yun et al.: CutMix. ICCV 2019.
    """

    def __init__(self, alpha: float = 1.0, n_classes: int | None = None) -> None:
        super().__init__(alpha, n_classes)

    def __call__(
        self, X: Tensor, y: Tensor, w: Any, generator: torch.Generator
    ) -> tuple[Any, Any, Any]:
        """Transform a batch of shape (n, channels, height, width)."""
        lam = _beta(self.alpha, generator)
        partner = _partner(len(X), generator)
        height, width = X.shape[-2:]
        side = (1 - lam) ** 0.5
        corner = torch.rand(2, generator=generator, device=generator.device).tolist()
        rows = _span(height, side, corner[0])
        columns = _span(width, side, corner[1])
        X = X.clone()
        X[..., rows, columns] = X[partner][..., rows, columns]
        pasted = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
        y, w = self._mix_targets(y, w, X, partner, 1 - pasted)
        return X, y, w


def _span(size: int, side: float, centre: float) -> slice:
    """Return the part of a side that the rectangle covers, cut off at the border."""
    middle, half = centre * size, side * size / 2
    return slice(max(0, round(middle - half)), min(size, round(middle + half)))


class Shift:
    r"""Move each image by up to ``pixels`` in both directions; zeros come in at the border."""

    def __init__(self, pixels: int = 2) -> None:
        self.pixels = pixels

    def __call__(
        self, X: Tensor, y: Any, w: Any, generator: torch.Generator
    ) -> tuple[Any, Any, Any]:
        """Transform a batch of shape (n, channels, height, width)."""
        return _windows(X, self.pixels, generator, "constant"), y, w


class Crop:
    r"""Pad each image by reflection and cut a window of the old size out of it at random."""

    def __init__(self, padding: int = 4) -> None:
        self.padding = padding

    def __call__(
        self, X: Tensor, y: Any, w: Any, generator: torch.Generator
    ) -> tuple[Any, Any, Any]:
        """Transform a batch of shape (n, channels, height, width)."""
        return _windows(X, self.padding, generator, "reflect"), y, w


def _windows(X: Tensor, pad: int, generator: torch.Generator, border: str) -> Tensor:
    """Cut a window of the old size out of each padded image, at a place of its own."""
    n, _, height, width = X.shape
    # torch pads by reflection only real numbers; indices pad anything.
    rows, columns = (_padded_index(size, pad, border, X.device) for size in (height, width))
    top, left = torch.randint(
        0, 2 * pad + 1, (2, n), generator=generator, device=generator.device
    ).to(X.device)
    i = rows[top[:, None] + torch.arange(height, device=X.device)]
    j = columns[left[:, None] + torch.arange(width, device=X.device)]
    each = torch.arange(n, device=X.device)[:, None, None]
    inside = ((i >= 0)[:, :, None] & (j >= 0)[:, None, :])[:, None]
    # Advanced indices around a slice put its dimension last.
    cut = X[each, :, i.clamp(min=0)[:, :, None], j.clamp(min=0)[:, None, :]].movedim(-1, 1)
    return cut * inside.to(X.dtype) if border == "constant" else cut.contiguous()


def _padded_index(size: int, pad: int, border: str, device: torch.device) -> Tensor:
    """Return for each place of a padded side the place it copies; -1 is empty."""
    place = torch.arange(-pad, size + pad, device=device)
    if border == "constant":
        return torch.where((place < 0) | (place >= size), -1, place)
    if pad >= size:
        raise ValueError(
            f"Crop got padding={pad}, but it must be smaller than a side of the image, {size}."
        )
    place = place.abs()
    return torch.where(place >= size, 2 * (size - 1) - place, place)


class Flip:
    r"""Mirror each image left to right with probability one half."""

    def __call__(
        self, X: Tensor, y: Any, w: Any, generator: torch.Generator
    ) -> tuple[Any, Any, Any]:
        """Transform a batch of shape (n, channels, height, width)."""
        draws = torch.rand(len(X), generator=generator, device=generator.device)
        flipped = (draws < 0.5).to(X.device).view(-1, *[1] * (X.ndim - 1))
        return torch.where(flipped, X.flip(-1), X), y, w
