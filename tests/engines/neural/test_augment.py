import pickle

import numpy as np
import pytest
import torch

from zoo.engines.neural import augment

N, K = 400, 3


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


IMAGES = torch.arange(N * 2 * 6 * 5, dtype=torch.float64).reshape(N, 2, 6, 5) + 1
LABELS = torch.arange(N) % K
ALL = [
    augment.Mixup(0.4, n_classes=K),
    augment.CutMix(1.0, n_classes=K),
    augment.LabelSmoothing(0.1, K),
    augment.Shift(2),
    augment.Crop(2),
    augment.Flip(),
    augment.Compose(augment.Flip(), augment.Mixup(0.4, n_classes=K)),
]


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_transforms_repeat_with_the_generator_and_leave_their_input(transform):
    X, y, w = IMAGES.clone(), LABELS.clone(), torch.linspace(1, 2, N, dtype=torch.float64)
    before = torch.get_rng_state()
    a = transform(X, y, w, generator())
    b = pickle.loads(pickle.dumps(transform))(X, y, w, generator())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))
    assert torch.equal(X, IMAGES)
    assert torch.equal(y, LABELS)
    assert a[0].shape == X.shape
    # mixing passes weight from row to row and loses none
    assert a[2].sum().item() == pytest.approx(w.sum().item(), rel=1e-12)
    if a[1].is_floating_point():
        torch.testing.assert_close(a[1].sum(1), torch.ones(N, dtype=torch.float64))
    if not isinstance(transform, augment.LabelSmoothing):
        assert not torch.equal(a[0], X)


def test_mixup_mixes_inputs_and_targets_by_the_same_share():
    X = torch.nn.functional.one_hot(LABELS, K).double()
    mixed, y, w = augment.Mixup(1.0, n_classes=K)(X, LABELS, None, generator())
    torch.testing.assert_close(mixed, y)
    assert w is None
    assert len(y.unique()) > 2


def test_weighted_mixing_is_the_weighted_loss_of_both_rows():
    X = torch.arange(6.0, dtype=torch.float64)[:, None]
    y = X.clone()
    w = torch.tensor([1.0, 2, 3, 4, 5, 6], dtype=torch.float64)
    mixed, targets, weights = augment.Mixup(1.0)(X, y, w, generator())
    lam = augment._beta(1.0, generator())
    g = generator()
    augment._beta(1.0, g)
    partner = torch.randperm(6, generator=g)
    torch.testing.assert_close(mixed, lam * X + (1 - lam) * X[partner])
    torch.testing.assert_close(
        weights[:, None] * targets,
        lam * w[:, None] * y + (1 - lam) * w[partner, None] * y[partner],
    )


def test_beta_has_the_moments_of_the_distribution():
    g = generator()
    draws = np.array([augment._beta(0.5, g) for _ in range(4000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.02)
    assert draws.var() == pytest.approx(0.25 / 2, abs=0.01)


def test_cutmix_pastes_one_rectangle_and_counts_its_area():
    X = LABELS.double().view(-1, 1, 1, 1).expand(N, 1, 8, 8)
    for seed in range(5):
        mixed, y, _ = augment.CutMix(1.0, n_classes=K)(X, LABELS, None, generator(seed))
        shares = torch.stack([(mixed == k).double().mean((1, 2, 3)) for k in range(K)], 1)
        torch.testing.assert_close(shares, y)


def test_label_smoothing_follows_its_formula():
    y = augment.LabelSmoothing(0.3, K)(IMAGES, LABELS[:1], None, generator())[1]
    torch.testing.assert_close(y, torch.tensor([[0.8, 0.1, 0.1]], dtype=torch.float64))


def test_shift_moves_and_fills_with_zeros():
    moved = augment.Shift(2)(IMAGES, None, None, generator())[0]
    places = set()
    for i in range(100):
        found = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(moved[i], shifted(IMAGES[i], dy, dx))
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) == 25


def shifted(image, dy, dx):
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2))
    return padded[:, 2 + dy : 8 + dy, 2 + dx : 7 + dx]


def test_crop_takes_windows_of_the_reflected_image():
    cut = augment.Crop(2)(IMAGES.to(torch.uint8), None, None, generator())[0]
    assert cut.dtype is torch.uint8
    padded = torch.nn.functional.pad(IMAGES, (2, 2, 2, 2), mode="reflect").to(torch.uint8)
    for i in range(50):
        assert any(
            torch.equal(cut[i], padded[i, :, a : a + 6, b : b + 5])
            for a in range(5)
            for b in range(5)
        )
    with pytest.raises(ValueError, match="padding=5"):
        augment.Crop(5)(IMAGES, None, None, generator())


def test_flip_mirrors_about_half():
    flipped = augment.Flip()(IMAGES, LABELS, None, generator())[0]
    mirrored = (flipped == IMAGES.flip(-1)).flatten(1).all(1)
    same = (flipped == IMAGES).flatten(1).all(1)
    assert (mirrored ^ same).all()
    assert 150 < mirrored.sum() < 250


def test_labels_cannot_be_mixed_unless_their_number_is_known():
    with pytest.raises(ValueError, match="n_classes"):
        augment.Mixup(0.2)(IMAGES, LABELS, None, generator())
    with pytest.raises(ValueError, match="alpha"):
        augment.Mixup(0.0)
