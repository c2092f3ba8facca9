"""MLPClassifier and MLPRegressor: gradient and closed forms, scikit-learn, options."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from zoo import MLPClassifier, MLPRegressor


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)


def cross_entropy(model, X, y, w):
    p = model.predict_log_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return -(w * p).sum() / w.sum()


# -- equation ------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_gradient_of_the_loss_against_finite_differences(activation):
    import torch

    X, y = make_classification(
        30, 5, n_classes=3, n_informative=4, n_redundant=1, random_state=0
    )
    w = np.random.default_rng(0).uniform(0.5, 2, 30)
    model = MLPClassifier(
        hidden_layer_sizes=(4, 3), activation=activation, standardize=False, max_epochs=1,
        random_state=0,
    ).fit(X, y, w)  # fmt: skip
    net = model.net_
    batch = (torch.as_tensor(X), torch.as_tensor(y))
    loss = net.get_loss(net.infer(batch[0]), batch[1], sample_weight=torch.as_tensor(w))
    net.module_.zero_grad()
    loss.backward()
    assert loss.item() == pytest.approx(cross_entropy(model, X, y, w))
    step = 1e-6
    for parameter in net.module_.parameters():
        flat, slope = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), 3):
            losses = []
            for sign in (1, -1):
                flat[i] += sign * step
                losses.append(cross_entropy(model, X, y, w))
                flat[i] -= sign * step
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(slope[i].item(), abs=1e-7)


def test_one_step_of_gradient_descent_by_hand():
    X, y = make_classification(20, 4, random_state=0)
    options = {"hidden_layer_sizes": (), "initialization": "zeros", "standardize": False}
    model = MLPClassifier(optimizer="sgd", lr=0.3, max_epochs=1, **options).fit(X, y)
    # From zero weights p = 1/2, and the gradient of the cross entropy is (p - 1_y) x.
    slope = (0.5 - np.eye(2)[y]).T @ X / len(X)
    weight, bias = (p.detach().numpy() for p in model.net_.module_.parameters())
    np.testing.assert_allclose(weight, -0.3 * slope, atol=1e-12)
    np.testing.assert_allclose(bias, -0.3 * (0.5 - np.eye(2)[y]).mean(axis=0), atol=1e-12)


def test_linear_regressor_reaches_least_squares():
    X, y = make_regression(200, 8, noise=50.0, random_state=0)
    model = MLPRegressor(
        hidden_layer_sizes=(), lr=0.05, max_epochs=300, n_iter_no_change=None, schedule="cosine",
        random_state=0,
    ).fit(X, y)  # fmt: skip
    expected = LinearRegression().fit(X, y).predict(X)
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-3 * y.std())


def test_linear_classifier_reaches_logistic_regression():
    X, y = make_classification(200, 5, class_sep=0.5, random_state=1)
    model = MLPClassifier(
        hidden_layer_sizes=(), lr=0.05, max_epochs=300, n_iter_no_change=None, schedule="cosine",
        random_state=0,
    ).fit(X, y)  # fmt: skip
    expected = LogisticRegression(C=np.inf).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=0.01)


def test_weight_decay_of_a_linear_regressor_is_ridge():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=60)
    X, y = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
    model = MLPRegressor(
        hidden_layer_sizes=(), optimizer="sgd", lr=0.1, weight_decay=0.4, max_epochs=300,
        n_iter_no_change=None, random_state=0,
    ).fit(X, y)  # fmt: skip
    # Stationary: 2/n X'(Xw - y) + 0.4 w = 0.
    expected = np.linalg.solve(2 / 60 * X.T @ X + 0.4 * np.eye(3), 2 / 60 * X.T @ y)
    np.testing.assert_allclose(model.predict(X), X @ expected, atol=1e-8)


# -- oracle ------------------------------------------------------------


def test_accuracy_on_digits_is_scikit_learns(digits):
    X, X_test, y, y_test = digits
    ours, theirs = [], []
    for seed in range(2):
        model = MLPClassifier(hidden_layer_sizes=(64,), max_epochs=40, lr=3e-3, random_state=seed)
        ours.append(model.fit(X, y).score(X_test, y_test))
        peer = SklearnMLPClassifier(
            (64,), learning_rate_init=3e-3, max_iter=200, tol=1e-3, random_state=seed
        )
        theirs.append(peer.fit(X / 16, y).score(X_test / 16, y_test))
    # One standard error of an accuracy of 0.97 on 719 rows is 0.006.
    assert np.mean(ours) > np.mean(theirs) - 0.012
    assert np.mean(ours) > 0.96


# -- character ------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (16,), (16, 16), (16,) * 6])
def test_any_depth(digits, hidden):
    X, X_test, y, y_test = digits
    model = MLPClassifier(hidden_layer_sizes=hidden, lr=5e-3, max_epochs=15, random_state=0)
    assert model.fit(X, y).score(X_test, y_test) > 0.85
    assert model.spec_["sizes"] == [64, *hidden, 10]


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.2},
        {"dropconnect": 0.2},
        {"norm": "batch"},
        {"norm": "layer"},
        {"norm": "rms"},
        {"activation": "tanh", "initialization": "glorot_normal"},
        {"activation": "elu", "initialization": "he_uniform"},
        {"activation": "leaky_relu", "initialization": "he_normal"},
        {"activation": "logistic", "initialization": "lecun_normal"},
        {"activation": "gelu", "initialization": "orthogonal"},
        {"activation": "silu", "initialization": "torch"},
        {"label_smoothing": 0.1},
        {"gradient_clip": 1.0},
        {"optimizer": "adamw", "weight_decay": 0.01},
        {"optimizer": "adabound"},
        {"schedule": "warm_up_cosine"},
        {"precision": "float32"},
        {"precision": "bf16"},
        {"dropout": 0.1, "dropconnect": 0.1, "norm": "layer", "label_smoothing": 0.05},
    ],
    ids=lambda options: ",".join(f"{k}={v}" for k, v in options.items()),
)
def test_options_learn(digits, options):
    X, X_test, y, y_test = digits
    model = MLPClassifier(
        **{"hidden_layer_sizes": (32,), "lr": 1e-2, "max_epochs": 12, "random_state": 0} | options
    )
    assert model.fit(X, y).score(X_test, y_test) > 0.93
    p = model.predict_proba(X_test)
    assert p.dtype == (np.float32 if "precision" in options else np.float64)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(p, model.predict_proba(X_test))  # no noise in prediction


def test_zero_weights_break_no_symmetry(digits):
    X, _, y, _ = digits
    model = MLPClassifier(hidden_layer_sizes=(16,), initialization="zeros", max_epochs=5)
    model.fit(X, y)
    first = next(model.net_.module_.parameters()).detach().numpy()
    np.testing.assert_array_equal(first, 0)


def test_label_smoothing_bounds_the_confidence(digits):
    X, _, y, _ = digits
    fit = {"hidden_layer_sizes": (64,), "lr": 1e-2, "max_epochs": 40, "random_state": 0}
    sharp = MLPClassifier(**fit).fit(X, y).predict_proba(X).max(axis=1)
    smooth = MLPClassifier(label_smoothing=0.2, **fit).fit(X, y).predict_proba(X).max(axis=1)
    assert np.median(sharp) > 0.99
    assert np.median(smooth) == pytest.approx(0.8 + 0.2 / 10, abs=0.04)


def test_scaling_of_columns_does_not_matter(digits):
    X, X_test, y, _ = digits
    # A column that is constant in training has no scale, so it must be constant in the test too.
    X_test = np.where(X.max(axis=0) > X.min(axis=0), X_test, X[0])
    factor, shift = np.geomspace(1e-4, 1e4, 64), np.linspace(-5, 5, 64)
    model = MLPClassifier(max_epochs=3, random_state=0)
    plain = model.fit(X, y).predict_proba(X_test)
    scaled = model.fit((X + shift) * factor, y).predict_proba((X_test + shift) * factor)
    np.testing.assert_allclose(plain, scaled, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_counts_for_nothing(dtype):
    X, y = make_classification(1997, 4, random_state=0)
    X = np.column_stack([X, np.full(len(X), 0.1)]).astype(dtype)
    model = MLPClassifier(max_epochs=1, random_state=0).fit(X, y)
    assert model.x_scale_[4] == 1


def test_regression_of_several_targets_of_unlike_scale():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    Y = np.column_stack([1e4 + 1e3 * np.sin(X[:, 0]), 1e-3 * X[:, 1] * X[:, 2]])
    model = MLPRegressor(hidden_layer_sizes=(32,), lr=1e-2, max_epochs=150, random_state=0)
    model.fit(X, Y)
    assert model.predict(X).shape == (300, 2)
    assert model.y_mean_.shape == (2,)
    for j in range(2):
        assert np.corrcoef(Y[:, j], model.predict(X)[:, j])[0, 1] > 0.97


def test_weights_and_class_weight_pull(digits):
    X, X_test, y, _ = digits
    fit = {"hidden_layer_sizes": (8,), "max_epochs": 4, "random_state": 0}
    plain = MLPClassifier(**fit).fit(X, y).predict(X_test)
    weighed = MLPClassifier(class_weight={3: 50.0}, **fit).fit(X, y).predict(X_test)
    same = MLPClassifier(**fit).fit(X, y, np.where(y == 3, 50.0, 1.0)).predict(X_test)
    assert (weighed == 3).sum() > (plain == 3).sum()
    np.testing.assert_array_equal(weighed, same)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes"),
        ({"activation": "relo"}, "Did you mean 'relu'"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"initialization": "he"}, "he_uniform"),
    ],
)
def test_wrong_parameters_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        MLPClassifier(**options).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_numbers_that_nothing_scales_must_have_squares(cls):
    X, y = 1e200 * np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    with pytest.raises(ValueError, match=f"{cls.__name__}: X goes up to .*; scale X"):
        cls(standardize=False, max_epochs=1).fit(X, y)
