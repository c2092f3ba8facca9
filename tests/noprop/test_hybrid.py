"""NoPropHybridClassifier: one weighted loss, parametrizations, digits."""

import numpy as np
import pytest

from zoo import NoPropHybridClassifier
from zoo.engines.diffusion import schedules as diffusion

# -- equation ------------------------------------------------------------


def test_two_losses_are_one_weighted_loss():
    import torch

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 5)), rng.integers(3, size=30)
    model = NoPropHybridClassifier(
        n_blocks=3, width=8, max_epochs=2, eta_noise=2.0, eta_label=1.0, random_state=0
    ).fit(X, y)
    module = model.net_.module_.eval()
    x, labels = module.standardised(torch.as_tensor(X[:, None, None])), torch.as_tensor(y)
    eps, _ = module.draws(labels)
    losses, guess = module.all_losses(x, labels, eps)
    u, abar = module.W[labels].t(), module.abar[:3, None, None]
    z = diffusion.noised(u, eps, abar)
    noise = (z - abar.sqrt() * guess) / (1 - abar).sqrt()
    two = 2.0 * (noise - eps).square().sum(1) + 1.0 * (guess - u).square().sum(1)
    torch.testing.assert_close(losses, two)


# -- character ------------------------------------------------------------


@pytest.mark.parametrize("parametrization", ["u", "eps", "v"])
def test_every_parametrization_learns_digits(digits, parametrization):
    X, X_test, y, y_test = digits
    model = NoPropHybridClassifier(
        n_blocks=4, max_epochs=15, parametrization=parametrization, random_state=0
    ).fit(X, y)
    assert model.score(X_test, y_test) > (0.9 if parametrization != "eps" else 0.75)
    if parametrization != "eps":  # whose first block divides by the root of 0.02
        assert model.block_accuracies(X_test, y_test)[0] > 0.8


# -- bad input ------------------------------------------------------------


def test_a_schedule_without_signal_cannot_predict_noise():
    X, y = np.eye(4), [0, 1, 0, 1]
    model = NoPropHybridClassifier(
        n_blocks=2, parametrization="eps", noise_schedule=(0.0, 0.5, 0.9)
    )
    with pytest.raises(ValueError, match=r"begins at 0, but parametrization='eps' divides"):
        model.fit(X, y)
