"""NoPropDTClassifier: locality proved, the stack against single blocks, digits, bad input."""

import numpy as np
import pytest
from sklearn.base import clone

from zoo import NoPropDTClassifier
from zoo.noprop import trajectory


@pytest.fixture(scope="module")
def fitted(digits):
    X, _, y, _ = digits
    return NoPropDTClassifier(n_blocks=4, max_epochs=12, random_state=0).fit(X, y)


def small(**options):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    y = rng.integers(3, size=40)
    options = {"n_blocks": 4, "width": 8, "max_epochs": 3, "random_state": 0} | options
    model = NoPropDTClassifier(**options).fit(X, y)
    return model, X[:, None, None], y  # as the network sees them


# -- equation ------------------------------------------------------------


def test_no_gradient_crosses_blocks():
    import torch

    model, X, y = small(embedding="learned")
    module = model.net_.module_.train()
    x, labels = torch.as_tensor(X), torch.as_tensor(y)
    eps, _ = module.draws(labels)
    # The whole stack in one graph, nothing detached: the derivative itself is zero.
    P = module.stack.part(0, 4)
    losses, _ = module.block_losses(0, P, module.standardised(x), labels, eps)
    for i in range(4):
        grads = torch.autograd.grad(
            losses[i].sum(), list(module.stack.weights.values()), retain_graph=True
        )
        for name, g in zip(module.stack.weights, grads, strict=True):
            others = torch.cat([g[:i], g[i + 1 :]])
            assert others.abs().max() == 0, (i, name)
        assert all(g[i].abs().max() > 0 for g in grads[-2:])


def test_back_propagation_on_the_same_blocks_does_cross():
    import torch

    model, X, y = small(training="backprop")
    module = model.net_.module_.train()
    loss = module.end_to_end(torch.as_tensor(X), torch.as_tensor(y)).sum()
    (g,) = torch.autograd.grad(loss, [module.stack.weights["out_w"]])
    assert all(g[i].abs().max() > 0 for i in range(4))


def test_the_label_never_reaches_the_first_block():
    import torch

    model, X, y = small()
    module = model.net_.module_.train()
    x, labels = module.standardised(torch.as_tensor(X)), torch.as_tensor(y)
    eps, _ = module.draws(labels)
    seen = []
    run = module.stack.run
    module.stack.run = lambda P, low, x, z: (seen.append(z), run(P, low, x, z))[1]
    for fed in (labels, (labels + 1) % 3):
        module.block_losses(0, module.stack.part(0, 4), x, fed, eps)
    del module.stack.run
    a, b = seen
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[0], eps[0])
    assert not torch.equal(a[1], b[1])


def test_gradients_of_the_pieces_are_that_of_the_sum():
    import torch

    model, X, y = small(embedding="learned", chunk=3)
    module, x, labels = model.net_.module_, torch.as_tensor(X), torch.as_tensor(y)
    w = torch.rand(40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    w = w / w.sum()
    module.train().zero_grad()
    state = module.generator.get_state()
    loss = module.learn(x, labels, w)
    pieces = {n: p.grad.clone() for n, p in module.named_parameters()}
    module.zero_grad()
    module.generator.set_state(state)
    whole = (w * module(x, labels)).sum()
    whole.backward()
    assert loss.item() == pytest.approx(whole.item())
    for name, p in module.named_parameters():
        torch.testing.assert_close(pieces[name], p.grad, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("chunk", [1, 3])
def test_blocks_side_by_side_are_bit_for_bit_the_blocks_one_by_one(digits, chunk):
    X, _, y, _ = digits
    models = [
        NoPropDTClassifier(n_blocks=4, max_epochs=3, width=32, chunk=c, random_state=0)
        .fit(X[:256], y[:256])
        for c in ("auto", chunk)
    ]  # fmt: skip
    ours, theirs = (m.net_.module_.state_dict() for m in models)
    for name, value in ours.items():
        assert (value == theirs[name]).all(), name


def test_each_block_is_clipped_by_its_own_norm():
    from zoo.noprop._blocks import clip_each

    model, _, _ = small()
    stack = model.net_.module_.stack
    for i, p in enumerate(stack.weights.values()):
        p.grad = p.detach() * 0
        p.grad[0] += 1e-6
        p.grad[2] += i + 1.0
    clip_each(stack, 0.5)
    norms = sum(p.grad.flatten(1).square().sum(1) for p in stack.weights.values()) ** 0.5
    n = sum(p[0].numel() for p in stack.weights.values())
    assert norms[0].item() == pytest.approx(1e-6 * n**0.5)
    assert norms[2].item() == pytest.approx(0.5, rel=1e-4)


# -- oracle ------------------------------------------------------------


def test_a_block_is_the_network_of_torch_layers(fitted, digits):
    """Rebuild block 2 from nn.Linear and nn.BatchNorm1d; the answers agree."""
    import torch
    from torch import nn
    from torch.nn.functional import relu

    stack = fitted.net_.module_.eval().stack
    P = stack.part(1, 2)
    rng = torch.Generator().manual_seed(0)
    x, z = torch.randn(5, 64, generator=rng), torch.randn(5, 10, generator=rng)

    def layer(name, h):
        w = P[f"{name}_w"][0]
        norm = nn.BatchNorm1d(len(w)).eval()
        norm.weight.data, norm.bias.data = P[f"{name}_g"][0].detach(), P[f"{name}_s"][0].detach()
        norm.running_mean = getattr(stack, f"{name}_mean")[1]
        norm.running_var = getattr(stack, f"{name}_var")[1]
        return norm(h @ w.T)

    hx = layer("x2", relu(layer("x1", x)))
    hz = relu(layer("z1", z))
    hz = hz + layer("z3", relu(layer("z2", hz)))
    h = relu(layer("h2", relu(layer("h1", torch.cat([hx, hz], 1)))))
    expected = h @ P["out_w"][0].T + P["out_b"][0, :, 0]
    out = stack.run(P, 1, x.t(), z.t()[None])
    torch.testing.assert_close(out[0].t(), expected, atol=1e-5, rtol=1e-4)


# -- character ------------------------------------------------------------


def test_digits_beside_block_one_and_back_propagation(fitted, digits):
    X, X_test, y, y_test = digits
    options = {"n_blocks": 4, "max_epochs": 12, "random_state": 0}
    end_to_end = NoPropDTClassifier(training="backprop", **options).fit(X, y)
    score = fitted.score(X_test, y_test)
    assert score > 0.94
    assert score > end_to_end.score(X_test, y_test) - 0.02
    alone = fitted.block_accuracies(X_test, y_test)
    assert alone.shape == (4,)
    assert (alone > 0.9).all()


@pytest.mark.parametrize("options", [
    {"embedding": "learned"},
    {"embedding": "prototype"},
    {"embedding_dim": 15, "head": "nearest"},
    {"head": "radial"},
    {"noise_schedule": "linear"},
    {"gradient_clip": 1.0},
    {"network": "conv", "n_blocks": 2, "max_epochs": 12, "width": 32,
     "dropout": 0.0, "lr": 5e-3},
])  # fmt: skip
def test_every_option_learns_digits(digits, options):
    X, X_test, y, y_test = digits
    options = {"n_blocks": 3, "max_epochs": 10, "random_state": 0} | options
    model = NoPropDTClassifier(**options).fit(X, y)
    assert model.score(X_test, y_test) > 0.88


@pytest.mark.parametrize("sampler", ["mean", "ddim", "sde"])
def test_samplers_agree_on_clear_cases_and_repeat(fitted, digits, sampler):
    _, X_test, _, y_test = digits
    model = fitted.set_params(sampler=sampler, n_samples=4)
    try:
        p = model.predict_proba(X_test)
        np.testing.assert_array_equal(p, model.predict_proba(X_test))
        np.testing.assert_allclose(model.predict_proba(X_test[7:9]), p[7:9], atol=1e-5)
        assert (p.argmax(1) == y_test).mean() > 0.93
    finally:
        fitted.set_params(sampler="mean", n_samples=1)


def test_trajectory_goes_from_ignorance_to_the_prediction(fitted, digits):
    _, X_test, _, _ = digits
    path = trajectory(fitted, X_test[:30])
    assert path.z.shape == (5, 30, 10)
    assert path.proba.shape == (5, 30, 10)
    assert path.block_proba.shape == (4, 30, 10)
    np.testing.assert_allclose(path.proba[0], 0.1, atol=1e-6)
    assert (path.proba[-1].argmax(1) == fitted.predict(X_test[:30])).mean() > 0.9
    with pytest.raises(TypeError, match="has no path from noise to label"):
        trajectory(object(), X_test)


def test_images_in_other_shapes_are_the_same_images(digits):
    X, _, y, _ = digits
    options = {"n_blocks": 2, "max_epochs": 1, "width": 16, "network": "conv", "random_state": 0}
    a = NoPropDTClassifier(**options).fit(X[:100].reshape(-1, 8, 8), y[:100])
    b = NoPropDTClassifier(image_shape=(8, 8), **options).fit(X[:100], y[:100])
    np.testing.assert_allclose(
        a.predict_proba(X[:9].reshape(-1, 1, 8, 8)), b.predict_proba(X[:9]), atol=1e-5
    )


def test_sampling_parameters_may_change_after_the_fit_but_the_network_may_not(fitted, digits):
    _, X_test, _, _ = digits
    before = fitted.predict_proba(X_test[:5])
    fitted.set_params(n_blocks=7, width=3)
    np.testing.assert_array_equal(fitted.predict_proba(X_test[:5]), before)
    fitted.set_params(n_blocks=4, width=64)


# -- bad input ------------------------------------------------------------


@pytest.mark.parametrize(("options", "message"), [
    ({"n_blocks": 1}, r"n_blocks=1 is not accepted; n_blocks must be an integer >= 2"),
    ({"max_snr": float("inf")}, r"max_snr=inf is not accepted; max_snr must be a finite number > 0"),
    ({"noise_schedule": (0.0, 0.3, 0.6, 0.9, 1.0)}, r"at 1 the signal-to-noise ratio is infinite"),
    ({"embedding_dim": 2}, r"embedding_dim=2 has no room for 3 classes"),
    ({"embedding": "prototype", "embedding_dim": 4}, r"a prototype is a row of X, 6 numbers"),
    ({"network": "conv"}, r"rows of 6 features are no square"),
    ({"network": "conv", "image_shape": (2, 3)}, r"images of 2 x 3 pixels leave nothing"),
])  # fmt: skip
def test_bad_input_is_one_clear_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_a_refused_fit_leaves_the_parameters_alone(fitted):
    assert clone(fitted).get_params() == fitted.get_params()
