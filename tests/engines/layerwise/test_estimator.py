"""How arrays enter a fit, embeddings, scales, averaged runs; pieces that are clipped by themselves."""

import numpy as np
import pytest

from zoo import (
    DifferenceTargetPropClassifier,
    FeedbackAlignmentClassifier,
    ForwardForwardClassifier,
    LocalLossClassifier,
    NoPropCTClassifier,
    NoPropDTClassifier,
    NoPropFMClassifier,
    NoPropHybridClassifier,
)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return rng.standard_normal((60, 5)) * [1, 10, 100, 0, 1] + 3 * y[:, None], y


def fit(rows, cls=NoPropDTClassifier, **options):
    options = {"max_epochs": 2, "width": 8, "random_state": 0} | options
    return cls(**options).fit(*rows)


@pytest.mark.parametrize(("options", "shape"), [
    ({}, (3, 3)), ({"embedding_dim": 7}, (3, 7)), ({"embedding": "learned"}, (3, 20)),
    ({"embedding": "prototype"}, (3, 5)), ({"embedding": "learned", "embedding_dim": 2}, (3, 2)),
])  # fmt: skip
def test_embeddings(rows, options, shape):
    model = fit(rows, n_blocks=2, **options)
    assert model.embedding_.shape == shape
    W = model.embedding_
    if options.get("embedding") != "prototype":
        gram = W @ W.T if shape[1] >= 3 else W.T @ W
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)
    learned = model.net_.module_.W.detach().numpy()
    assert (np.abs(learned - W).max() > 1e-4) == ("embedding" in options)


def test_prototypes_are_rows_in_the_scale_of_the_network(rows):
    model = fit(rows, n_blocks=2, embedding="prototype")
    scaled = (rows[0] - model.x_mean_.ravel()) / model.x_scale_.ravel()
    for label in range(3):
        distance = np.abs(scaled[rows[1] == label] - model.embedding_[label]).max(axis=1)
        assert distance.min() < 1e-9


def test_runs_are_averaged(rows):
    model = fit(rows, NoPropFMClassifier, n_samples=6)
    p = model.predict_proba(rows[0])
    options = model._sampling()
    single = []
    for start, noise in zip(options["starts"], options["noise"], strict=True):
        one = options | {"starts": start[None], "noise": noise[None]}
        s = model._run("predict", rows[0][:, None, None], **one)
        e = np.exp(s - s.max(1, keepdims=True))
        single.append(e / e.sum(1, keepdims=True))
    np.testing.assert_allclose(p, np.mean(single, 0), atol=1e-6)


def test_channels_are_scaled_as_they_are_weighted():
    rng = np.random.default_rng(0)
    X, y, w = rng.standard_normal((20, 2, 4, 4)), np.arange(20) % 2, np.arange(20) % 3 * 1.0
    model = NoPropDTClassifier(
        n_blocks=2, network="conv", width=8, max_epochs=1, random_state=0
    ).fit(X, y, w)
    repeated = np.repeat(X, w.astype(int), axis=0)
    np.testing.assert_allclose(model.x_mean_.ravel(), repeated.mean((0, 2, 3)))
    np.testing.assert_allclose(model.x_scale_.ravel(), repeated.std((0, 2, 3)))


def test_training_goes_on_and_a_single_row_is_a_batch(rows):
    model = fit(rows, n_blocks=2, batch_size=59)  # the last batch has one row
    before = model.history_["train_loss"][-1]
    for _ in range(20):
        model.partial_fit(*rows)
    assert model.n_iter_ == 22
    assert model.history_["train_loss"][-1] < before


@pytest.mark.parametrize(("cls", "blocks"), [
    (NoPropDTClassifier, 2), (NoPropHybridClassifier, 2), (NoPropCTClassifier, 1),
    (NoPropFMClassifier, 1),
])  # fmt: skip
def test_a_branch_of_ones_own_is_trained_in_every_method(digits, cls, blocks):
    import torch
    from torch import nn

    X, X_test, y, y_test = digits
    made = []

    def branch(shape, width):
        made.append((shape, nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, width),
        )))  # fmt: skip
        return made[-1][1]

    options = {"n_blocks": blocks} if blocks > 1 else {}
    model = cls(network=branch, max_epochs=1, random_state=0, schedule=None, **options)
    images = X.reshape(-1, 8, 8)
    model.fit(images, y)
    assert [shape for shape, _ in made] == blocks * [(1, 8, 8)]
    before = [[p.clone() for p in module.parameters()] for _, module in made]
    for _ in range(8):
        model.partial_fit(images, y)
    for old, (_, module) in zip(before, made, strict=True):
        assert not any(torch.equal(a, b) for a, b in zip(old, module.parameters(), strict=True))
    assert model.score(X_test.reshape(-1, 8, 8), y_test) > 0.8



def test_every_piece_is_clipped_by_its_own_norm(batch):
    module, x, y, w = batch(LocalLossClassifier)
    module.learn(x, y, w)
    module.clip(1e-3)
    for layer in (*module.hidden, *module.readouts):
        norm = sum(p.grad.square().sum() for p in layer.parameters()) ** 0.5
        assert norm.item() == pytest.approx(1e-3, rel=1e-2)


def test_a_network_without_hidden_layers_is_refused():
    with pytest.raises(ValueError, match="a tuple of one or more integers"):
        LocalLossClassifier(hidden_layer_sizes=()).fit(np.eye(4), [0, 1, 0, 1])


@pytest.mark.parametrize("cls", [
    DifferenceTargetPropClassifier, FeedbackAlignmentClassifier, ForwardForwardClassifier,
    LocalLossClassifier,
])  # fmt: skip
def test_bfloat16_trains_weights_of_full_precision(digits, cls):
    X, _, y, _ = digits
    model = cls(precision="bf16", max_epochs=2, random_state=0).fit(X[:200], y[:200])
    assert all(str(p.dtype) == "torch.float32" for p in model.net_.module_.parameters())
    assert np.isfinite(model.predict_proba(X[:5])).all()



@pytest.mark.parametrize("cls", [LocalLossClassifier, NoPropDTClassifier, NoPropFMClassifier])
def test_location_and_scale_are_weighted_and_keep_the_shape_of_a_row(cls):
    rng = np.random.RandomState(0)
    X, y = rng.normal(3.0, 2.0, (60, 4, 4)), np.arange(60) % 3
    w = rng.randint(1, 4, 60)
    model = cls(max_epochs=1, random_state=0).fit(X, y, sample_weight=w)
    assert model.x_mean_.shape == model.x_scale_.shape == (1, 4, 4)
    repeated = np.repeat(X, w, axis=0)
    np.testing.assert_allclose(model.x_mean_[0], repeated.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(model.x_scale_[0], repeated.std(axis=0), rtol=1e-10)


@pytest.mark.parametrize("cls", [LocalLossClassifier, NoPropDTClassifier])
def test_a_constant_column_and_units_change_nothing(cls):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(80, 5)), np.arange(80) % 2
    X[:, 0] += 3 * y
    X[:, 4] = 7.0
    usual = cls(max_epochs=5, random_state=0).fit(X, y)
    metres = X * [1000.0, 1.0, 1e-3, 1.0, 1.0]
    other = cls(max_epochs=5, random_state=0).fit(metres, y)
    np.testing.assert_allclose(usual.predict_proba(X), other.predict_proba(metres), atol=1e-5)
