"""NoPropCTClassifier: the schedule, its derivative, few steps against many, digits."""

import numpy as np
import pytest

from zoo import NoPropCTClassifier
from zoo.noprop import trajectory


@pytest.fixture(scope="module")
def fitted(digits):
    X, _, y, _ = digits
    return NoPropCTClassifier(max_epochs=60, random_state=0).fit(X, y)


def module_of(**options):
    X, y = np.random.default_rng(0).standard_normal((12, 3)), np.arange(12) % 3
    options = {"max_epochs": 1, "width": 8, "random_state": 0} | options
    return NoPropCTClassifier(**options).fit(X, y).net_.module_


# -- equation ------------------------------------------------------------


def test_learned_schedule_is_monotone_for_any_weights():
    import torch

    module = module_of()
    generator = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 1, 200, dtype=torch.float64)
    for scale in (0.1, 1.0, 4.0):
        for _ in range(20):
            with torch.no_grad():
                for p in module.rise.parameters():
                    p.copy_(scale * torch.randn(p.shape, generator=generator, dtype=p.dtype))
            abar, slope = module.schedule(t)
            assert (abar.diff() > 0).all()
            assert (slope > 0).all()
            snr = abar / (1 - abar)
            assert snr[[0, -1]].tolist() == pytest.approx([1e-3, 10.0])


@pytest.mark.parametrize("schedule", ["learned", "cosine", "linear"])
def test_weight_is_the_derivative_of_the_ratio(schedule):
    import torch

    module = module_of(noise_schedule=schedule)
    t = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    h = 1e-6
    (above, _), (below, _), (_, slope) = (module.schedule(t + d) for d in (h, -h, 0))
    snr_above, snr_below = (a / (1 - a) for a in (above, below))
    torch.testing.assert_close((snr_above - snr_below) / (2 * h), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("schedule", ["learned", "cosine", "linear"])
def test_times_follow_a_density_that_leaves_no_weight_above_twice_the_mean(schedule):
    import torch

    module = module_of(noise_schedule=schedule, n_times=4)
    module.generator.manual_seed(0)
    t, rare = module.times(torch.zeros(5000, dtype=torch.int64))
    assert t.shape == rare.shape == (4, 5000)
    _, slope = (part.view_as(t) for part in module.schedule(t.flatten()))
    total = 10.0 - 1e-3
    assert (rare * slope).max() <= 2 * total * (1 + 1e-9)
    # Means over [0, 1], by draws that are rarer where their inverse density is large.
    assert rare.mean().item() == pytest.approx(1, rel=1e-3)
    assert (rare * slope).mean().item() == pytest.approx(total, rel=1e-3)
    assert (rare * t**2).mean().item() == pytest.approx(1 / 3, rel=1e-3)


def test_a_row_is_read_once_for_all_its_times():
    import torch

    module = module_of(n_times=5)
    read, asked = [], []
    features, output = module.features, module.output
    module.features = lambda x: read.append(len(x)) or features(x)
    module.output = lambda hx, z, t: asked.append(len(z)) or output(hx, z, t)
    rows = torch.zeros(6, 1, 1, 3, dtype=torch.float64)
    assert module(rows, torch.arange(6) % 3).shape == (6,)
    assert (read, asked) == ([6], [30])
    even = module.even(torch.zeros(6))
    assert (even.mul(5).floor() == torch.arange(5)[:, None]).all()  # each row in every fifth
    assert even.mul(30).floor().flatten().sort().values.tolist() == list(range(30))


# -- character ------------------------------------------------------------


def test_digits_and_few_steps_against_many(fitted, digits):
    _, X_test, _, y_test = digits
    few = fitted.score(X_test, y_test)
    many = fitted.set_params(n_steps=200).score(X_test, y_test)
    fitted.set_params(n_steps=20)
    assert few > 0.93
    assert abs(few - many) < 0.01


def test_the_ode_is_solved_exactly_for_a_guess_that_stays():
    import torch

    module = module_of()
    u = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    module.guess = lambda output: u.expand(len(output), -1)
    z0 = torch.tensor([0.4, -1.0, 0.1], dtype=torch.float64)
    states, _ = module.walk(torch.zeros(2, 1, 1, 3, dtype=torch.float64), "ode", 1, z0, None, 1e-6)
    first, last = 1e-3 / 1.001, 10 / 11
    # The noise in z_0 keeps its direction and shrinks.
    noise = (z0 - first**0.5 * u) / (1 - first) ** 0.5
    expected = last**0.5 * u + (1 - last) ** 0.5 * noise
    torch.testing.assert_close(states[-1][0], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("sampler", ["sde", "ddim", "ode"])
def test_other_samplers(fitted, digits, sampler):
    _, X_test, _, y_test = digits
    fitted.set_params(sampler=sampler, n_samples=3)
    assert fitted.score(X_test, y_test) > 0.9
    fitted.set_params(sampler="mean", n_samples=1)


@pytest.mark.parametrize(
    "options", [{"embedding": "learned"}, {"noise_schedule": "cosine", "head": "radial"}]
)
def test_options_learn_digits(digits, options):
    X, X_test, y, y_test = digits
    model = NoPropCTClassifier(max_epochs=60, random_state=0, **options).fit(X, y)
    assert model.score(X_test, y_test) > 0.9


def test_trajectory_has_a_state_for_every_step(fitted, digits):
    path = trajectory(fitted, digits[1][:7])
    assert path.z.shape == (21, 7, 10)
    assert path.block_proba.shape == (20, 7, 10)
    np.testing.assert_allclose(path.proba.sum(-1), 1, rtol=1e-5)


def test_ends_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match=r"min_snr=5.0 is not below max_snr=2.0"):
        module_of(min_snr=5.0, max_snr=2.0)
