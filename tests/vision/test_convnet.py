"""ConvNet: parameter counts, convolution by hand, equivariance, memory, augmentation."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.signal import correlate2d
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

import zoo
from zoo import ConvNetClassifier, ConvNetRegressor, MLPClassifier


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, train_size=600, random_state=0, stratify=y)


def small(**options):
    defaults = {
        "filters": (8,), "hidden_layer_sizes": (32,), "batch_size": 32, "max_epochs": 5,
        "random_state": 0,
    }  # fmt: skip
    return ConvNetClassifier(**defaults | options)


def n_parameters(model):
    return sum(p.numel() for p in model.net_.module_.parameters())


def relu(a):
    return np.maximum(a, 0)


# -- equation ------------------------------------------------------------


def test_parameters_of_the_textbook_example():
    X = np.random.default_rng(0).uniform(size=(20, 3, 32, 32)).astype(np.float32)
    y = np.arange(20) % 10
    # 3 x 32 x 32 -> 16 -> 32 filters; two poolings leave 8 x 8, so that 32 * 64 = 2048 enter 128.
    conv = ConvNetClassifier(filters=(16, 32), hidden_layer_sizes=(128,), max_epochs=1).fit(X, y)
    assert n_parameters(conv) == 268_650
    shapes = [p.numel() for p in conv.net_.module_.parameters()]
    assert [a + b for a, b in zip(shapes[::2], shapes[1::2], strict=True)] == [
        448, 4_640, 262_272, 1_290,
    ]  # fmt: skip
    mlp = MLPClassifier(hidden_layer_sizes=(128, 128), max_epochs=1).fit(X.reshape(20, -1), y)
    assert n_parameters(mlp) == 411_146


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu", "gelu"])
def test_the_network_by_hand(activation):
    rng = np.random.default_rng(0)
    X, y = rng.normal(3, 2, size=(12, 2, 7, 6)), np.arange(12) % 3
    model = small(filters=(3,), activation=activation, max_epochs=2).fit(X, y)
    W, b, W1, b1, W2, b2 = (p.detach().numpy() for p in model.net_.module_.parameters())
    h = {
        "relu": relu,
        "tanh": np.tanh,
        "silu": lambda a: a / (1 + np.exp(-a)),
        "gelu": lambda a: a * _normal_cdf(a),
    }[activation]
    mean, scale = X.mean(axis=(0, 2, 3)), X.std(axis=(0, 2, 3))
    logits = []
    for image in (X - mean[:, None, None]) / scale[:, None, None]:
        maps = [
            b[f] + sum(correlate2d(image[c], W[f, c], mode="same") for c in range(2))
            for f in range(3)
        ]
        # Windows of 2 x 2; the odd last row is left out.
        pooled = h(np.stack(maps))[:, :6].reshape(3, 3, 2, 3, 2).max(axis=(2, 4))
        logits.append(W2 @ h(W1 @ pooled.ravel() + b1) + b2)
    np.testing.assert_allclose(model.decision_function(X), logits, atol=1e-10)


def _normal_cdf(a):
    from scipy.stats import norm

    return norm.cdf(a)


def test_features_shift_with_the_image(digits):
    X = digits[0][:300].reshape(-1, 1, 8, 8)
    canvas = np.zeros((len(X), 1, 24, 24))
    canvas[:, :, 8:16, 8:16] = X
    model = small(filters=(4, 4), pool_size=1, norm="batch", max_epochs=2)
    model.fit(canvas, digits[2][:300])
    moved = np.roll(canvas, (3, -2), axis=(2, 3))
    maps, moved_maps = model.feature_maps(canvas[:20]), model.feature_maps(moved[:20])
    # At the border two convolutions see the padding, which stays where it is.
    inner = (slice(None), slice(None), slice(5, -5), slice(5, -5))
    np.testing.assert_allclose(
        np.roll(maps, (3, -2), axis=(2, 3))[inner], moved_maps[inner], atol=1e-10
    )
    assert maps[inner].std() > 0.01


def test_pooled_features_shift_by_whole_windows(digits):
    X = digits[0][:100].reshape(-1, 1, 8, 8)
    canvas = np.zeros((len(X), 1, 32, 32))
    canvas[:, :, 12:20, 12:20] = X
    model = small(filters=(4, 4), pool_size=2, max_epochs=1).fit(canvas, digits[2][:100])
    maps = model.feature_maps(canvas[:20])
    np.testing.assert_allclose(model.feature_maps(canvas[:20][::-1]), maps[::-1], atol=1e-6)
    moved = model.feature_maps(np.roll(canvas[:20], (4, -4), axis=(2, 3)))
    assert maps.shape == (20, 4, 8, 8)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(
        np.roll(maps, (1, -1), axis=(2, 3))[inner], moved[inner], atol=1e-10
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_scale_of_the_channels(weighted, dtype):
    from zoo.engines.modules.scaling import channel_scale

    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, size=(2100, 2, 3, 4)).astype(dtype)
    X[:, 1] = X[:, 1] // 4 + 7
    w = rng.uniform(0.1, 2, 2100) if weighted else None
    mean, scale = channel_scale(X, w)
    every = X.astype(float)
    weight = None if w is None else np.broadcast_to(w[:, None, None, None], X.shape)
    expected = np.average(every, axis=(0, 2, 3), weights=weight)
    spread = np.average((every - expected[:, None, None]) ** 2, axis=(0, 2, 3), weights=weight)
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    np.testing.assert_allclose(scale, np.sqrt(spread), rtol=1e-6)


# -- oracle ------------------------------------------------------------


@pytest.mark.parametrize("norm", [None, "batch"])
def test_losses_are_those_of_a_plain_torch_loop(digits, norm):
    import torch
    from torch import nn

    X, y = digits[0].astype(np.float32).reshape(-1, 1, 8, 8), digits[2]
    model = small(filters=(6, 8), norm=norm, max_epochs=1, schedule=None, lr=2e-3)
    fitted = copy.deepcopy(model).set_params(max_epochs=3).fit(X, y)
    start = model.fit(X, y)  # for the first weights
    with_seed = start._build_net("cpu").initialize()
    mean, scale = float(X.mean(dtype=float)), float(X.std(dtype=float))

    def block(n_in, n_out):
        layers = [nn.Conv2d(n_in, n_out, 3, padding=1)]
        layers += [nn.BatchNorm2d(n_out)] if norm else []
        return [*layers, nn.ReLU(), nn.MaxPool2d(2)]

    from zoo.engines.modules.blocks import seeded

    with seeded(0):
        plain = nn.Sequential(
            *block(1, 6), *block(6, 8), nn.Flatten(), nn.Linear(32, 32), nn.ReLU(),
            nn.Linear(32, 10),
        )  # fmt: skip
    with torch.no_grad():
        for ours, theirs in zip(
            with_seed.module_.parameters(), plain.parameters(), strict=True
        ):
            theirs.copy_(ours)
    optimizer = torch.optim.Adam(plain.parameters(), lr=2e-3)
    order = torch.Generator().manual_seed(start.seed_)
    losses = []
    for _ in range(3):
        total = 0.0
        rows = torch.randperm(len(X), generator=order)
        for part in rows.split(32):
            optimizer.zero_grad()
            output = plain((torch.as_tensor(X[part]) - mean) / scale)
            loss = nn.functional.cross_entropy(output, torch.as_tensor(y[part]))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(part)
        losses.append(total / len(X))
    np.testing.assert_allclose(fitted.history_["train_loss"], losses, rtol=1e-3)


# -- character ------------------------------------------------------------


def test_digits_are_learned_better_than_by_chance_and_by_shape(digits):
    X, X_test, y, y_test = digits
    rows = small(filters=(16, 32), lr=5e-3, max_epochs=12).fit(X, y)
    assert rows.image_shape_ == (1, 8, 8)
    assert rows.score(X_test, y_test) > 0.96
    pictures = small(filters=(16, 32), lr=5e-3, max_epochs=12).fit(X.reshape(-1, 8, 8), y)
    np.testing.assert_array_equal(
        rows.predict_proba(X_test), pictures.predict_proba(X_test.reshape(-1, 1, 8, 8))
    )


def test_where_a_pattern_lies_does_not_matter():
    # One bright bar somewhere: upright or lying. Trained in the left half, tested in the right.
    rng = np.random.default_rng(0)

    def bars(n, columns):
        X, y = rng.normal(0, 0.1, size=(n, 12, 12)), np.arange(n) % 2
        for image, lying in zip(X, y, strict=True):
            i, j = rng.integers(1, 8), rng.integers(*columns)
            image[(i, slice(j, j + 3)) if lying else (slice(i, i + 3), j)] += 2
        return X, y

    X, y = bars(400, (0, 4))
    X_test, y_test = bars(200, (6, 9))
    conv = small(filters=(8, 8), pool_size=3, shift=4, max_epochs=15).fit(X, y)
    flat = MLPClassifier(hidden_layer_sizes=(32,), max_epochs=60, random_state=0)
    flat.fit(X.reshape(400, -1), y)
    assert conv.score(X_test, y_test) > 0.9
    assert flat.score(X_test.reshape(200, -1), y_test) < 0.75


def test_bytes_are_kept_as_bytes():
    X = np.random.default_rng(0).integers(0, 256, size=(6000, 1, 28, 28), dtype=np.uint8)
    y = np.arange(6000) % 10
    model = small(filters=(2,), pool_size=4, hidden_layer_sizes=(), max_epochs=1, batch_size=500)
    small(max_epochs=1).fit(X[:50], y[:50])  # what is imported at the first fit does not count
    tracemalloc.start()
    model.fit(X, y)
    model.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A float32 copy would be 4 times as large as X. (numpy's memory is traced, torch's below.)
    assert peak < 1.5 * X.nbytes + 1024 * 28 * 28 * 8 * 2
    assert model.net_.module_.features[0].weight.dtype.itemsize == 4


def test_bytes_and_floats_of_the_same_images_agree(digits):
    X, _, y, _ = digits
    on_bytes = small(max_epochs=2).fit(X.astype(np.uint8), y)
    on_floats = small(max_epochs=2).fit(X.astype(np.float32), y)
    np.testing.assert_allclose(
        on_bytes.predict_proba(X.astype(np.uint8)),
        on_floats.predict_proba(X.astype(np.float32)),
        atol=1e-4,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"filters": (8, 8, 8, 8), "lr": 1e-2},  # the image is 1 x 1 before the last pooling
        {"kernel_size": 5, "pool_size": 3},
        {"kernel_size": 1, "pool_size": 1},
        {"hidden_layer_sizes": ()},
        {"norm": "batch", "dropout": 0.2},
        {"activation": "gelu", "initialization": "he_normal"},
        {"precision": "bf16"},
        {"precision": "float32"},
        {"shift": 1, "crop": 1},
        {"mixup": 0.2},
        {"cutmix": 1.0, "label_smoothing": 0.1},
        {"mixup": 0.2, "cutmix": 1.0, "class_weight": "balanced"},
    ],
    ids=lambda options: ",".join(f"{k}={v}" for k, v in options.items()),
)
def test_options_learn(digits, options):
    X, X_test, y, y_test = digits
    model = small(**{"lr": 5e-3, "max_epochs": 10} | options).fit(X, y)
    assert model.score(X_test, y_test) > 0.7  # chance is 0.1
    np.testing.assert_array_equal(model.predict_proba(X_test), model.predict_proba(X_test))


@pytest.mark.parametrize("shape", [(5, 7), (3, 6, 4), (2, 1, 9)])
def test_odd_shapes_as_images_and_as_rows(shape):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(size=(60, *shape)), np.arange(60) % 2
    X[y == 1, ..., : shape[-1] // 2] += 1
    as_images = small(lr=1e-2, max_epochs=20).fit(X, y)
    as_rows = small(lr=1e-2, max_epochs=20, image_shape=shape).fit(X.reshape(60, -1), y)
    np.testing.assert_allclose(
        as_images.predict_proba(X), as_rows.predict_proba(X.reshape(60, -1)), atol=1e-12
    )
    assert as_images.score(X, y) == 1


def test_channels_last_when_told_so():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(size=(40, 3, 6, 5)), np.arange(40) % 2
    last = small(image_shape=(6, 5, 3)).fit(X.transpose(0, 2, 3, 1), y)
    first = small().fit(X, y)
    np.testing.assert_allclose(
        last.predict_proba(X.transpose(0, 2, 3, 1)), first.predict_proba(X), atol=1e-12
    )
    assert last.feature_maps(X.transpose(0, 2, 3, 1)).shape == (40, 8, 3, 2)
    with pytest.raises(ValueError, match=r"declare image_shape=\(6, 5, 3\)"):
        small().fit(X.transpose(0, 2, 3, 1), y)


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        ((10, 50), {}, r"50 features, which is no square image; say what a row is with image_sh"),
        ((10, 50), {"image_shape": (7, 7)}, "holds 49 pixels, but the rows of X have 50"),
        ((10, 2, 3, 4, 5), {}, "X has 5 dimensions; images are"),
        ((10, 64), {"kernel_size": 4}, "kernel_size=4 is not accepted; kernel_size must be"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(rows, options, says):
    with pytest.raises(ValueError, match=says):
        small(**options).fit(np.zeros(rows), np.arange(10) % 2)


def test_regressor_of_several_targets(digits):
    X, X_test, _, _ = digits
    pictures = X_test.reshape(-1, 8, 8)
    # Where the ink lies: its mean row and its amount.
    target = lambda P: np.column_stack([  # noqa: E731
        (P.sum(axis=2) * np.arange(8)).sum(axis=1) / P.sum(axis=(1, 2)), 1000 * P.sum(axis=(1, 2)),
    ])  # fmt: skip
    model = ConvNetRegressor(
        filters=(8,), hidden_layer_sizes=(32,), batch_size=32, max_epochs=15, random_state=0
    )
    model.fit(X, target(X.reshape(-1, 8, 8)))
    assert model.score(X_test, target(pictures)) > 0.9
    assert ConvNetRegressor(mixup=0.2, max_epochs=1).fit(X, X.mean(axis=1)).predict(X).ndim == 1


# -- contract ------------------------------------------------------------


def test_feature_maps_are_those_of_evaluation_after_a_file(digits, tmp_path):
    X, _, y, _ = digits
    model = small(norm="batch", dropout=0.5, max_epochs=1).fit(X, y)
    maps = model.feature_maps(X[:5])
    np.testing.assert_array_equal(maps, model.feature_maps(X[:5]))
    zoo.save(model, tmp_path / "conv.zoo")
    for other in (zoo.load(tmp_path / "conv.zoo"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.feature_maps(X[:5]), maps)


def test_augmentation_repeats_with_the_seed_and_leaves_prediction_alone(digits):
    X, X_test, y, _ = digits
    options = {"shift": 1, "crop": 1, "flip": True, "mixup": 0.3, "cutmix": 0.5, "max_epochs": 2}
    first, again = small(**options).fit(X, y), small(**options).fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X_test), again.predict_proba(X_test))
    other = small(**options | {"random_state": 1}).fit(X, y)
    assert not np.array_equal(first.predict_proba(X_test), other.predict_proba(X_test))


@pytest.mark.parametrize("options", [{"mixup": 0.5}, {"cutmix": 1.0}, {"mixup": 0.5, "cutmix": 1}])
def test_mixed_targets_are_probabilities_and_keep_the_share_of_each_class(digits, options):
    import torch

    X, y = torch.as_tensor(digits[0]).view(-1, 1, 8, 8), torch.as_tensor(digits[2])
    w = torch.rand(len(X), generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.1
    augment = small(**options).fit(digits[0], digits[2])._augment()
    out, target, weight = augment(X, y, w, torch.Generator().manual_seed(0))
    assert out.shape == X.shape
    assert (target >= 0).all()
    np.testing.assert_allclose(target.sum(1), 1)
    before = torch.zeros(10, dtype=torch.float64).index_add_(0, y, w)
    np.testing.assert_allclose(weight @ target, before)


def test_moving_images_leaves_labels_and_weights_alone(digits):
    import torch

    X, y = torch.as_tensor(digits[0]).view(-1, 1, 8, 8), torch.as_tensor(digits[2])
    augment = small(flip=True, shift=1, crop=1).fit(digits[0], digits[2])._augment()
    out, target, weight = augment(X, y, y, torch.Generator().manual_seed(0))
    assert target is y
    assert weight is y
    assert out.shape == X.shape
    assert not torch.equal(out, X)


@pytest.mark.parametrize("option", ["flip", "shift", "crop", "mixup", "cutmix"])
def test_each_augmentation_reaches_the_training(digits, option):
    X, X_test, y, _ = digits
    plain = small(max_epochs=1).fit(X, y)
    changed = small(max_epochs=1, **{option: True if option == "flip" else 1}).fit(X, y)
    assert changed.history_["train_loss"][0] != plain.history_["train_loss"][0]
    assert not np.array_equal(changed.predict_proba(X_test), plain.predict_proba(X_test))


def test_search_in_two_processes(digits):
    X, _, y, _ = digits
    # A generous share of the time is that two processes import torch.
    search = GridSearchCV(small(max_epochs=2), {"lr": [1e-6, 1e-2]}, cv=2, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"lr": 1e-2}


@pytest.mark.data
def test_a_small_part_of_mnist(data_dir):
    with np.load(data_dir / "images" / "mnist.npz") as d:
        X, y = d["X_train"][:6000], d["y_train"][:6000]
        X_test, y_test = d["X_test"][:2000], d["y_test"][:2000]
    model = ConvNetClassifier(max_epochs=2, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.93
