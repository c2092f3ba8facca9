"""What the NoProp classifiers share: embeddings, scales, averaged runs, one trainer."""

import numpy as np
import pytest

from zoo import (
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
