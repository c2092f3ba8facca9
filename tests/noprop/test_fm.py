"""NoPropFMClassifier: marginals of the way, the flow of a known field, digits."""

import numpy as np
import pytest

from zoo import NoPropFMClassifier
from zoo.engines.diffusion import schedules as diffusion
from zoo.noprop import trajectory


@pytest.fixture(scope="module")
def fitted(digits):
    X, _, y, _ = digits
    return NoPropFMClassifier(max_epochs=25, random_state=0).fit(X, y)


# -- equation ------------------------------------------------------------


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_marginals_of_the_way(t):
    rng = np.random.default_rng(0)
    u, sigma, n = np.array([1.0, -2.0]), 0.2, 200_000
    z = diffusion.flow_state(
        t, rng.standard_normal((n, 2)), u, sigma, rng.standard_normal((n, 2))
    )
    np.testing.assert_allclose(z.mean(0), t * u, atol=0.01)
    np.testing.assert_allclose(z.var(0), (1 - t) ** 2 + sigma**2, rtol=0.02)


def test_class_logits_are_the_densities_of_the_states():
    rng = np.random.default_rng(0)
    W, z, t, sigma = rng.standard_normal((4, 3)), rng.standard_normal((6, 3)), 0.7, 0.1
    square = ((z[:, None] - t * W) ** 2).sum(-1)
    difference = diffusion.flow_class_logits(z, W, t, sigma) + square / (
        2 * ((1 - t) ** 2 + sigma**2)
    )
    np.testing.assert_allclose(difference, difference[:, :1].repeat(4, axis=1))


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2)])
def test_rules_have_their_order_on_a_known_field(sampler, order):
    import torch

    X, y = np.zeros((4, 2)), [0, 1, 0, 1]
    module = NoPropFMClassifier(max_epochs=1, width=4).fit(X, y).net_.module_
    module.output = lambda hx, z, t: torch.cos(3 * t)[:, None] + 0 * z  # z = sin(3t) / 3
    errors = []
    for n in (10, 20):
        states, _ = module.walk(
            torch.zeros(3, 1, 1, 2, dtype=torch.float64), sampler, n,
            torch.zeros(2, dtype=torch.float64), None, 0.0,
        )  # fmt: skip
        # Heun's last step is Euler's, so the comparison ends one step earlier.
        errors.append(abs(states[n // 2][0, 0].item() - np.sin(1.5) / 3))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_the_adaptive_rule_keeps_to_its_tolerance_and_a_row_to_itself(tol):
    import torch

    from zoo.engines.layerwise.continuous import bogacki_shampine

    speed = torch.tensor([1.0, 3.0, 30.0], dtype=torch.float64)
    asked = []

    def field(z, t, speed=speed):
        asked.append(len(z))
        return (speed * torch.cos(speed * t))[:, None].expand(-1, 2)

    z = torch.zeros(3, 2, dtype=torch.float64)
    end = bogacki_shampine(field, z, 0.0, 1.0, tol)
    assert (end[:, 0] - torch.sin(speed)).abs().max() < 5 * tol
    many = len(asked)
    alone = bogacki_shampine(lambda z, t: field(z, t, speed[:1]), z[:1], 0.0, 1.0, tol)
    assert torch.equal(alone[0], end[0])
    assert len(asked) - many < many / 2  # the slow row alone needs fewer steps


# -- character ------------------------------------------------------------


def test_digits_and_few_steps_against_many(fitted, digits):
    _, X_test, _, y_test = digits
    few = fitted.score(X_test, y_test)
    many = fitted.set_params(n_steps=200).score(X_test, y_test)
    fitted.set_params(n_steps=20)
    assert few > 0.95
    assert abs(few - many) < 0.01


@pytest.mark.parametrize("sampler", ["heun", "ode"])
def test_other_rules_and_several_runs(fitted, digits, sampler):
    _, X_test, _, y_test = digits
    fitted.set_params(sampler=sampler, n_samples=4)
    assert fitted.score(X_test, y_test) > 0.94
    assert trajectory(fitted, X_test[:3]).z.shape == (21, 3, 10)
    fitted.set_params(sampler="euler", n_samples=1)


@pytest.mark.parametrize("options", [
    {"head": "linear"}, {"head": "radial"}, {"head": "linear", "embedding": "learned"},
])  # fmt: skip
def test_heads_learn_the_digits_and_leave_fixed_embeddings_alone(fitted, digits, options):
    import torch

    X, X_test, y, y_test = digits
    model = NoPropFMClassifier(max_epochs=25, random_state=0, **options).fit(X, y)
    assert model.score(X_test, y_test) > 0.93
    if "embedding" not in options:  # neither does the block learn anything else
        ours, theirs = (m.net_.module_.stack.state_dict() for m in (model, fitted))
        for name, value in theirs.items():
            torch.testing.assert_close(ours[name], value)


@pytest.mark.parametrize("embedding", ["learned", "prototype"])
def test_trained_embeddings_stay_apart(digits, embedding):
    X, X_test, y, y_test = digits
    model = NoPropFMClassifier(embedding=embedding, max_epochs=25, random_state=0).fit(X, y)
    W = model.net_.module_.W.detach().numpy()
    distance = np.linalg.norm(W[:, None] - W, axis=-1)
    assert distance[~np.eye(10, dtype=bool)].min() > 0.2
    assert model.score(X_test, y_test) > 0.9


def test_trajectory_has_a_state_for_every_step(fitted, digits):
    path = trajectory(fitted, digits[1][:7])
    assert path.z.shape == (21, 7, 10)
    np.testing.assert_allclose(path.proba[0], 0.1, atol=1e-6)
