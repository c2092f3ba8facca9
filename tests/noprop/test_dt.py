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


def own_branch(shape, width):
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), width), nn.Tanh())


def parameters_of_blocks(module):
    """Return for each block in turn a function that picks its own entries of gradients."""
    names = {id(p): n for n, p in module.named_parameters()}
    owners = []
    for _, stack in module.groups():
        branches = {id(p): k for k, b in enumerate(getattr(stack, "branches", ())) for p in b.parameters()}
        for k in range(stack.K):
            owners.append([
                (names[id(p)], slice(None) if id(p) in branches else k)
                for p in stack.parameters() if branches.get(id(p), k) == k
            ])  # fmt: skip
    return owners


@pytest.mark.parametrize("options", [
    {"embedding": "learned"}, {"chunk": 3}, {"noise_schedule": "learned", "chunk": 1},
    {"network": own_branch, "devices": ("cpu", "cpu")},
])  # fmt: skip
def test_no_gradient_crosses_blocks(options):
    import torch

    model, X, y = small(**options)
    module = model.net_.module_.train()
    x, labels = torch.as_tensor(X), torch.as_tensor(y)
    eps, _ = module.draws(labels)
    # All blocks in one graph, nothing detached: the derivative itself is zero.
    losses, _ = module.all_losses(module.standardised(x), labels, eps)
    named = dict(module.named_parameters())
    owners = parameters_of_blocks(module)
    assert len(owners) == 4
    for i in range(4):
        grads = torch.autograd.grad(
            losses[i].sum(), list(named.values()), retain_graph=True, allow_unused=True
        )
        grads = dict(zip(named, grads, strict=True))
        for j, own in enumerate(owners):
            found = [0 * named[n][k] if grads[n] is None else grads[n][k] for n, k in own]
            largest = [g.abs().max().item() for g in found]
            if i == j:
                assert sum(v > 0 for v in largest) > len(own) / 2
            else:
                assert max(largest) == 0, (i, j)


def test_back_propagation_on_the_same_blocks_does_cross():
    import torch

    model, X, y = small(training="backprop")
    module = model.net_.module_.train()
    loss = module.end_to_end(torch.as_tensor(X), torch.as_tensor(y)).sum()
    (g,) = torch.autograd.grad(loss, [module.stacks[0].weights["out_w"]])
    assert all(g[i].abs().max() > 0 for i in range(4))


@pytest.mark.parametrize("schedule", ["cosine", "learned"])
def test_the_label_never_reaches_the_first_block(schedule):
    import torch

    model, X, y = small(noise_schedule=schedule)
    module = model.net_.module_.train()
    x, labels = module.standardised(torch.as_tensor(X)), torch.as_tensor(y)
    eps, _ = module.draws(labels)
    seen = []
    stack = module.stacks[0]
    run = stack.run
    stack.run = lambda P, low, x, z: (seen.append(z), run(P, low, x, z))[1]
    for fed in (labels, (labels + 1) % 3):
        module.all_losses(x, fed, eps)
    del stack.run
    a, b = seen
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[0], eps[0])
    assert not torch.equal(a[1], b[1])


def test_a_learned_schedule_stays_monotone_between_its_ends_and_moves():
    import torch

    model, _, _ = small(noise_schedule="learned", max_epochs=30, lr=0.05)
    module = model.net_.module_
    abar = module.abar.detach()
    assert (abar.diff() > 0).all()
    assert abar[[0, -1]].tolist() == [0.0, pytest.approx(100 / 101)]
    assert (abar - module.first_abar).abs().max() > 1e-3
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        with torch.no_grad():
            module.rises.copy_(3 * torch.randn(4, generator=generator, dtype=torch.float64))
        assert (module.abar.diff() > 0).all()
        assert (module.loss_weights(module.abar) > 0).all()


def test_weights_are_those_of_the_bound():
    model, _, _ = small(eta=0.3)
    abar = np.array(model.spec_["abar"])
    expected = 0.15 * np.diff(abar / (1 - abar))
    module = model.net_.module_
    np.testing.assert_allclose(module.loss_weights(module.abar), expected)


def test_gradients_of_the_pieces_are_that_of_the_sum():
    import torch

    model, X, y = small(embedding="learned", noise_schedule="learned", chunk=3)
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


def blocks_of(module, what):
    """Return parameters, gradients and statistics of every block, however they are put together."""
    found = []
    for _, stack in module.groups():
        named = {
            n: p if what == "weights" else p.grad for n, p in stack.named_parameters()
        } | dict(stack.named_buffers())
        for k in range(stack.K):
            own = f"branches.{k}."
            found.append({
                n.removeprefix(own): v if n.startswith("branches") else v[k]
                for n, v in named.items() if not n.startswith("branches") or n.startswith(own)
            })  # fmt: skip
    return found


@pytest.mark.parametrize("options", [
    {}, {"width": 128}, {"network": "conv", "n_blocks": 3, "width": 16}, {"network": own_branch},
    {"gradient_clip": 0.5}, {"head": "radial"},
])  # fmt: skip
def test_blocks_side_by_side_are_bit_for_bit_the_blocks_one_by_one(digits, options):
    import torch

    X, _, y, _ = digits
    options = {"n_blocks": 4, "max_epochs": 2, "width": 32, "random_state": 0} | options
    ways = {"chunk": options["n_blocks"]}, {"chunk": 1}, {"chunk": 3}, {"devices": ("cpu", "cpu")}
    first, trained = [], []
    for how in ways:
        model = NoPropDTClassifier(**options, **how)
        model.fit(X[:256], y[:256])
        trained.append(blocks_of(model.net_.module_, "weights"))
        module = model._build_net("cpu").initialize().module_.train()  # as before the first step
        module.zero_grad()
        x, labels = torch.as_tensor(X[:128]).view(-1, 1, 1, 64), torch.as_tensor(y[:128])
        module.learn(x, labels, torch.full((128,), 1 / 128))
        first.append(blocks_of(module, "gradients"))
    for one, two in zip(first[1:], trained[1:], strict=True):
        for a, b in zip(first[0], one, strict=True):
            assert a.keys() == b.keys()
            assert all(torch.equal(a[n], b[n]) for n in a)
        # Torch's fused Adam rounds the last few of a row of numbers otherwise than the others.
        for a, b in zip(trained[0], two, strict=True):
            for n in a:
                torch.testing.assert_close(a[n], b[n], rtol=1e-3, atol=1e-4, msg=n)


def test_gradients_are_forgotten_as_soon_as_they_are_used(digits):
    X, _, y, _ = digits
    held = []

    def watch(group):
        held.append(sum(p.grad is not None for p in module.stacks.parameters()))

    model = NoPropDTClassifier(n_blocks=4, chunk=1, max_epochs=1, random_state=0)
    module = model.fit(X[:64], y[:64]).net_.module_
    update = model.net_._update
    model.net_._update = lambda piece: (watch(piece), update(piece))
    model.partial_fit(X[:64], y[:64])
    del model.net_._update
    each = len(list(module.stacks[0].parameters()))
    assert held == [each] * 4


def test_each_block_is_clipped_by_its_own_norm():
    model, _, _ = small()
    stack = model.net_.module_.stacks[0]
    for i, p in enumerate(stack.weights.values()):
        p.grad = p.detach() * 0
        p.grad[0] += 1e-6
        p.grad[2] += i + 1.0
    stack.clip(0.5)
    norms = sum(p.grad.flatten(1).square().sum(1) for p in stack.weights.values()) ** 0.5
    n = sum(p[0].numel() for p in stack.weights.values())
    assert norms[0].item() == pytest.approx(1e-6 * n**0.5)
    assert norms[2].item() == pytest.approx(0.5, rel=1e-4)


def test_a_branch_of_ones_own_counts_in_the_norm_of_its_block():
    import torch

    model, _, _ = small(network=own_branch)
    stack = model.net_.module_.stacks[0]
    for p in stack.parameters():
        p.grad = torch.ones_like(p)
    stack.clip(1.0)
    for k in range(4):
        square = sum(p.grad[k].square().sum() for p in stack.weights.values())
        square += sum(p.grad.square().sum() for p in stack.branches[k].parameters())
        assert square.item() == pytest.approx(1.0, rel=1e-4)


# -- oracle ------------------------------------------------------------


def test_a_block_is_the_network_of_torch_layers(fitted, digits):
    """Rebuild block 2 from nn.Linear and nn.BatchNorm1d; the answers agree."""
    import torch
    from torch import nn
    from torch.nn.functional import relu

    stack = fitted.net_.module_.eval().stacks[0]
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


def torch_block(stack, k):
    """Build block k from torch's own layers, with its present weights; x and z in rows."""
    import torch
    from torch import nn

    P = {n: p.detach()[k] for n, p in stack.weights.items()}

    class Layer(nn.Module):
        def __init__(self, name):
            super().__init__()
            w = P[f"{name}_w"]
            self.w = nn.Parameter(w.clone())
            self.bn = nn.BatchNorm1d(len(w), dtype=w.dtype)

        def forward(self, h):
            return self.bn(h @ self.w.T)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            names = [n.removesuffix("_g") for n in P if n.endswith("_g")]
            self.layer = nn.ModuleDict({n: Layer(n) for n in names})
            self.out_w, self.out_b = (nn.Parameter(P[f"out_{c}"].clone()) for c in "wb")
            self.conv = nn.ModuleList()
            if "conv1_w" in P:
                for i in (1, 2, 3):
                    w = P[f"conv{i}_w"]
                    conv = nn.Conv2d(w.shape[1], w.shape[0], 3, padding=1, dtype=w.dtype)
                    conv.weight.data, conv.bias.data = w.clone(), P[f"conv{i}_b"].clone()
                    self.conv.append(conv)

        def forward(self, x, z):
            if self.conv:
                h = x.unflatten(1, (1, 8, 8))
                h = nn.functional.max_pool2d(self.conv[0](h).relu(), 2)
                h = nn.functional.max_pool2d(self.conv[2](self.conv[1](h).relu()).relu(), 2)
                h = h.permute(0, 2, 3, 1).flatten(1)
            else:
                h = self.layer["x1"](x).relu()
            L = self.layer
            hx = L["x2"](h)
            hz = L["z1"](z).relu()
            hz = hz + L["z3"](L["z2"](hz).relu())
            h = L["h2"](L["h1"](torch.cat([hx, hz], 1)).relu()).relu()
            return h @ self.out_w.T + self.out_b.T

    return Block()


@pytest.mark.parametrize(("dtype", "options", "atol"), [
    ("float64", {}, 1e-9), ("float32", {}, 1e-4), ("float32", {"chunk": 1}, 1e-4),
    ("float64", {"network": "conv", "dropout": 0.0}, 1e-9),
    ("float32", {"network": "conv", "dropout": 0.0}, 1e-3),
])  # fmt: skip
def test_twenty_steps_are_those_of_a_loop_over_torchs_layers(digits, dtype, options, atol):
    import torch

    from zoo.engines.modules.blocks import seeded
    from zoo.engines.neural.optim import FusedAdamW

    X, _, y, _ = digits
    X = X[:64].astype(dtype)
    model = NoPropDTClassifier(
        n_blocks=3, width=16, batch_size=64, max_epochs=20, lr=1e-3, weight_decay=1e-2,
        schedule=None, random_state=0, **options,
    ).fit(X, y[:64])  # fmt: skip
    trained = model.net_.module_
    net = model._build_net("cpu").initialize()
    module = net.module_.train()
    with seeded(0):
        blocks = [torch_block(stack, k) for _, stack in module.groups() for k in range(stack.K)]
    steps = [FusedAdamW(b.parameters(), lr=1e-3, weight_decay=1e-2) for b in blocks]
    rows, abar = torch.as_tensor(X), module.abar
    rows = ((rows.view(64, *([1, 1, -1] if not options.get("network") else [1, 8, 8]))
             - module.mean) / module.scale).flatten(1)  # fmt: skip
    labels = torch.as_tensor(y[:64])  # one batch, which keeps its order
    for _ in range(20):
        eps, _ = module.draws(labels)
        u = module.W[labels]
        for t, (block, step) in enumerate(zip(blocks, steps, strict=True)):
            z = abar[t].sqrt() * u + (1 - abar[t]).sqrt() * eps[t].T
            guess = torch.softmax(block(rows, z), 1) @ module.W
            weight = module.loss_weights(abar)[t]
            loss = weight * (guess - u).square().sum(1).mean()
            step.zero_grad()
            loss.backward()
            step.step()
    ours = [(stack, k) for _, stack in trained.groups() for k in range(stack.K)]
    for (stack, k), block in zip(ours, blocks, strict=True):
        pairs = [(stack.weights["out_w"][k], block.out_w)]
        pairs += [(stack.weights[f"{n}_w"][k], layer.w) for n, layer in block.layer.items()]
        for mine, theirs in pairs:
            # In float32 Adam takes a step of lr either way where a gradient is noise; they are few.
            gap = (mine - theirs).abs()
            assert (gap.max() if dtype == "float64" else gap.mean()) < atol


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
    assert (alone > 0.8).all()


@pytest.mark.parametrize("options", [
    {"embedding": "learned"},
    {"embedding": "prototype"},
    {"embedding_dim": 15, "head": "nearest"},
    {"head": "radial"},
    {"noise_schedule": "linear"},
    {"gradient_clip": 1.0},
    {"noise_schedule": "learned"},
    {"network": own_branch},
    {"network": "conv", "n_blocks": 2, "max_epochs": 12, "width": 32,
     "dropout": 0.0, "lr": 5e-3},
])  # fmt: skip
def test_every_option_learns_digits(digits, options):
    X, X_test, y, y_test = digits
    options = {"n_blocks": 3, "max_epochs": 10, "random_state": 1} | options
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


def odd_branch(shape, width):
    from torch import nn

    return nn.Linear(shape[0], width + 1)


def no_branch(shape, width):
    return None


def test_a_branch_of_ones_own_sees_tables_and_images(digits):
    from torch import nn

    X, _, y, _ = digits
    asked = []

    def make(shape, width):
        asked.append((shape, width))
        return own_branch(shape, width)

    options = {"n_blocks": 2, "max_epochs": 1, "width": 16, "random_state": 0, "network": make}
    table = NoPropDTClassifier(**options).fit(X[:100], y[:100])
    images = NoPropDTClassifier(**options).fit(X[:100].reshape(-1, 8, 8), y[:100])
    assert asked == 2 * [((64,), 16)] + 2 * [((1, 8, 8), 16)]
    assert table.x_mean_.size == 64
    assert images.x_mean_.size == 1
    assert isinstance(images.net_.module_.stacks[0].branches[1], nn.Sequential)
    assert clone(table).network is make


def test_a_branch_of_ones_own_pickles_and_is_refused_by_name_in_files(digits, tmp_path):
    import pickle

    import zoo
    from zoo.persist import ZooFileError

    X, X_test, y, _ = digits
    model = NoPropDTClassifier(n_blocks=2, max_epochs=1, network=own_branch).fit(X[:99], y[:99])
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict_proba(X_test), model.predict_proba(X_test))
    with pytest.raises(ZooFileError, match="network"):
        zoo.save(model, tmp_path / "m.zoo")


@pytest.mark.parametrize(("options", "message"), [
    ({"network": odd_branch}, r"gives \(2, 9\) for 2 rows of shape \(6,\), but it must give \(2, 8\)"),
    ({"devices": ()}, r"devices=\(\) is not accepted; devices must be None or one or more"),
    ({"devices": ("cpu",) * 5}, r"devices names 5 devices for n_blocks=4 blocks"),
    ({"devices": ("cpu", "cuda:7")}, r"device='cuda:7' was asked for, but this machine has"),
    ({"noise_schedule": "learnt"}, r"noise_schedule='learnt' is not accepted.*'learned'"),
])  # fmt: skip
def test_more_bad_input_is_one_clear_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_a_branch_that_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"returned NoneType, but it must return an nn.Module"):
        small(network=no_branch)


def test_a_refused_fit_leaves_the_parameters_alone(fitted):
    assert clone(fitted).get_params() == fitted.get_params()
