"""The equations of NoProp against numbers that were got another way."""

import numpy as np
import pytest

from zoo.engines.diffusion import schedules as diffusion


@pytest.fixture(params=["cosine", "linear"])
def abar(request):
    return diffusion.rising(request.param, 10, 100.0)


def test_schedule_rises_from_pure_noise_to_the_largest_ratio(abar):
    assert abar[0] == 0
    assert (np.diff(abar) > 0).all()
    assert diffusion.snr(abar)[-1] == pytest.approx(100)


def test_weights_of_the_blocks_are_positive(abar):
    assert (np.diff(diffusion.snr(abar)) > 0).all()


def test_posterior_against_bayes_rule_on_a_grid(abar):
    # q(z_s|z_t) = N(sqrt(alpha) z_t, 1 - alpha), q(z_t|y) as given: multiply and normalise.
    u, z_s = 0.7, -0.4
    grid = np.linspace(-12, 12, 200_001)
    for s in range(1, 10):
        t = s + 1
        alpha = abar[s] / abar[t]
        log_p = -((z_s - alpha**0.5 * grid) ** 2) / (2 * (1 - alpha))
        log_p -= (grid - abar[t] ** 0.5 * u) ** 2 / (2 * (1 - abar[t]))
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        mean = (p * grid).sum()
        a, b, c = diffusion.posterior(abar[s], abar[t])
        assert a * u + b * z_s == pytest.approx(mean, abs=1e-6)
        assert c == pytest.approx((p * (grid - mean) ** 2).sum(), rel=1e-5)


def test_first_step_forgets_pure_noise(abar):
    a, b, c = diffusion.posterior(abar[0], abar[1])
    assert (a, b, c) == pytest.approx((abar[1] ** 0.5, 0.0, 1 - abar[1]))


def test_a_step_of_the_sampler_keeps_the_marginals(abar):
    # z_s = sqrt(abar_s) u + noise goes to mean sqrt(abar_t) u and variance 1 - abar_t.
    for s, t in ((1, 2), (3, 7), (0, 10)):
        for sampler in ("sde", "ddim"):
            a, b, c = diffusion.step(sampler, abar[s], abar[t])
            assert a + b * abar[s] ** 0.5 == pytest.approx(abar[t] ** 0.5)
            assert b**2 * (1 - abar[s]) + c == pytest.approx(1 - abar[t])


def test_ddim_is_exact_in_one_step_for_a_constant_guess(abar):
    u, z0 = np.array([0.3, -1.0]), np.array([0.9, 0.2])
    z = z0
    for s in range(1, 10):
        a, b, _ = diffusion.step("ddim", abar[s], abar[s + 1])
        z = a * u + b * z
    a, b, _ = diffusion.step("ddim", abar[1], abar[10])
    np.testing.assert_allclose(z, a * u + b * z0, atol=1e-12)


def test_kl_of_the_first_state_against_monte_carlo():
    rng = np.random.default_rng(0)
    u, abar = np.array([1.0, -0.5, 2.0]), 0.4
    z = diffusion.noised(u, rng.standard_normal((400_000, 3)), abar)
    log_q = -((z - abar**0.5 * u) ** 2).sum(1) / (2 * (1 - abar)) - 1.5 * np.log(1 - abar)
    draws = log_q + 0.5 * (z**2).sum(1)
    exact = diffusion.prior_kl((u**2).sum(), 3, abar)
    assert exact == pytest.approx(draws.mean(), abs=5 * draws.std() / 400_000**0.5)
    assert diffusion.prior_kl((u**2).sum(), 3, 0.0) == 0


@pytest.mark.parametrize("parametrization", ["u", "eps", "v"])
def test_every_parametrization_gives_the_clean_embedding_back(parametrization):
    rng = np.random.default_rng(0)
    u, eps, abar = rng.standard_normal(5), rng.standard_normal(5), 0.3
    z = diffusion.noised(u, eps, abar)
    truth = {"u": u, "eps": eps, "v": abar**0.5 * eps - (1 - abar) ** 0.5 * u}
    np.testing.assert_allclose(
        diffusion.clean(truth[parametrization], z, abar, parametrization), u, atol=1e-12
    )


def test_class_logits_are_the_densities_of_the_states():
    rng = np.random.default_rng(0)
    W, z, abar = rng.standard_normal((4, 3)), rng.standard_normal((6, 3)), 0.6
    square = ((z[:, None] - abar**0.5 * W) ** 2).sum(-1)
    difference = diffusion.class_logits(z, W, abar) + square / (2 * (1 - abar))
    np.testing.assert_allclose(difference, difference[:, :1].repeat(4, axis=1))


def test_prototype_is_the_row_in_the_middle():
    rows = np.array([[0.0], [1.0], [2.0], [9.0], [20.0], [21.0], [23.0]])
    y = np.array([0, 0, 0, 0, 1, 1, 1])
    chosen = diffusion.prototypes(rows, y, 2)
    for label in (0, 1):
        own = rows[y == label]
        medians = np.median((own - own.T) ** 2, axis=1)
        assert chosen[label] == own[medians.argmin()]


def test_prototype_of_a_lonely_row_is_refused():
    with pytest.raises(ValueError, match=r"class number 1 has 1; give every class 2 rows"):
        diffusion.prototypes(np.zeros((3, 2)), np.array([0, 0, 1]), 2)


@pytest.mark.parametrize("values", [(0.0, 0.5, 1.0), (0.0, 0.5, 0.4), (0.0, 0.5)])
def test_a_schedule_that_does_not_fit_is_refused(values):
    with pytest.raises(ValueError, match="does not fit 2 blocks; give 3 numbers that rise"):
        diffusion.rising(values, 2, 100.0)
