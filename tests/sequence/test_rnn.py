"""RNN: the cells by hand, stepping, options, gradient clipping."""

import pickle

import numpy as np
import pytest
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import zoo
from zoo import RNNClassifier, RNNRegressor
from zoo.contract.inputs import ragged


def waves(n=60, seed=0):
    """Slow against fast waves of two channels, at any phase."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    t = np.arange(16)
    phase = rng.uniform(0, 2 * np.pi, size=(n, 2, 1))
    X = np.sin(np.where(y, 1.2, 0.5)[:, None, None] * t + phase)
    return X + 0.1 * rng.normal(size=X.shape), y


def small(**options):
    return RNNClassifier(
        **{"hidden_size": 8, "max_epochs": 20, "lr": 1e-2, "random_state": 0} | options
    )


def sigma(a):
    return 1 / (1 + np.exp(-a))


# The textbook's cells; torch stacks the gates in the order that is unpacked here.


def rnn(x, h, W, U, b, c):
    return np.tanh(W @ x + b + U @ h + c)


def gru(x, h, W, U, b, c):
    r, z, n = np.split(W @ x + b, 3)
    rh, zh, nh = np.split(U @ h + c, 3)
    r, z = sigma(r + rh), sigma(z + zh)
    return (1 - z) * np.tanh(n + r * nh) + z * h


def lstm(x, state, W, U, b, c):
    h, memory = state
    i, f, g, o = np.split(W @ x + b + U @ h + c, 4)
    memory = sigma(f) * memory + sigma(i) * np.tanh(g)
    return sigma(o) * np.tanh(memory), memory


CELLS = {"rnn": rnn, "gru": gru, "lstm": lstm}


def states_by_hand(cell, layer, series, suffix=""):
    W, U, b, c = (
        getattr(layer, f"{name}_l0{suffix}").detach().numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    zero = np.zeros(U.shape[1])
    state, out = (zero, zero) if cell == "lstm" else zero, []
    for x in series.T:
        state = CELLS[cell](x, state, W, U, b, c)
        out.append(state[0] if cell == "lstm" else state)
    return np.stack(out, axis=1)


# -- equation ------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "all"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_two_layers_and_the_readout_by_hand(cell, pooling):
    X, y = waves(12)
    lengths = np.arange(5, 17)
    series = ragged(X, lengths)
    model = small(cell=cell, n_layers=2, pooling=pooling, max_epochs=2).fit(series, y)
    module = model.net_.module_
    logits = []
    for x in series:
        h = (x - model.x_mean_) / model.x_scale_
        for layer in module.layers:
            h = states_by_hand(cell, layer, h)
        parts = {"last": h[:, -1], "mean": h.mean(axis=1), "max": h.max(axis=1)}
        pooled = np.concatenate(list(parts.values())) if pooling == "all" else parts[pooling]
        weight, bias = (p.detach().numpy() for p in module.readout.parameters())
        logits.append(weight @ pooled + bias)
    expected = np.array(logits)
    np.testing.assert_allclose(
        model.decision_function(series), expected[:, 1] - expected[:, 0], atol=1e-12
    )


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_both_directions_by_hand(cell):
    X, y = waves(8)
    series = ragged(X, np.arange(9, 17))
    model = small(cell=cell, bidirectional=True, pooling="last", max_epochs=1).fit(series, y)
    module = model.net_.module_
    weight, bias = (p.detach().numpy() for p in module.readout.parameters())
    for i, x in enumerate(series):
        scaled = (x - model.x_mean_) / model.x_scale_
        onwards = states_by_hand(cell, module.layers[0], scaled)[:, -1]
        backwards = states_by_hand(cell, module.layers[0], scaled[:, ::-1], "_reverse")[:, -1]
        a, b = weight @ np.concatenate([onwards, backwards]) + bias
        assert model.decision_function([x])[0] == pytest.approx(b - a)
        assert model.decision_function(series)[i] == pytest.approx(b - a)


def test_number_of_parameters():
    X, y = waves(20)
    for cell, gates in (("rnn", 1), ("gru", 3), ("lstm", 4)):
        model = small(cell=cell, pooling="last", max_epochs=1).fit(X, y)
        counted = sum(p.numel() for p in model.net_.module_.parameters())
        assert counted == gates * (8 * (2 + 8) + 2 * 8) + 2 * (8 + 1)


def test_gradient_through_time_against_finite_differences():
    import torch

    X, y = waves(10)
    model = small(hidden_size=4, max_epochs=1, pooling="last").fit(X, y)
    net = model.net_
    inputs = {k: torch.as_tensor(v) for k, v in model._prepare(model._checked(X)).items()}

    def loss():
        return net.get_loss(net.infer(inputs), torch.as_tensor(y)).mean()

    net.module_.zero_grad()
    loss().backward()
    for parameter in net.module_.parameters():
        flat, slope = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), 5):
            values = []
            for sign in (1, -1):
                flat[i] += sign * 1e-6
                values.append(loss().item())
                flat[i] -= sign * 1e-6
            assert (values[0] - values[1]) / 2e-6 == pytest.approx(slope[i].item(), abs=1e-7)


def test_the_forget_gate_starts_open():
    X, y = waves(10)
    model = small(cell="lstm", n_layers=2, max_epochs=1, lr=1e-12).fit(X, y)
    for layer in model.net_.module_.layers:
        np.testing.assert_allclose(layer.bias_ih_l0[8:16].detach().numpy(), 1)


# -- character: stepping ------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("sequence_output", [False, True])
def test_step_by_step_is_the_whole(cell, sequence_output):
    X, y = waves(20)
    if sequence_output:
        y = (X[:, 0] > 0).astype(int)
    model = small(
        cell=cell, n_layers=2, dropout=0.3, pooling="last", max_epochs=2,
        sequence_output=sequence_output,
    ).fit(X, y)  # fmt: skip
    state = None
    for t in range(X.shape[2]):
        answer, state = model.step(X[:, :, t], state)
        whole = model._forward(model._checked(X[:, :, : t + 1]))
        np.testing.assert_allclose(answer, whole[:, -1] if sequence_output else whole, atol=1e-12)


def test_step_of_a_regressor_is_in_units_of_y():
    X, _ = waves(30)
    Y = 100 + 20 * X[:, :, -1]
    model = RNNRegressor(hidden_size=8, pooling="last", max_epochs=3, random_state=0).fit(X, Y)
    state = None
    for t in range(X.shape[2]):
        answer, state = model.step(X[:, :, t], state)
    np.testing.assert_allclose(answer, model.predict(X), atol=1e-10)
    one = RNNRegressor(pooling="last", max_epochs=1, random_state=0).fit(X, Y[:, 0])
    assert one.step(X[:, :, 0])[0].shape == (30,)


def test_steps_after_a_copy_and_a_file(tmp_path):
    X, y = waves(20)
    model = small(pooling="last", dropout=0.4, n_layers=2, max_epochs=1).fit(X, y)
    expected = model.step(X[:, :, 0])[0]
    zoo.save(model, tmp_path / "rnn.zoo")
    for other in (pickle.loads(pickle.dumps(model)), zoo.load(tmp_path / "rnn.zoo")):
        np.testing.assert_array_equal(other.step(X[:, :, 0])[0], expected)
    state = pickle.loads(pickle.dumps(model.step(X[:, :, 0])[1]))  # a state travels too
    assert model.step(X[:, :, 1], state)[0].shape == (20, 2)


@pytest.mark.parametrize(
    ("options", "x", "says"),
    [
        ({"pooling": "all"}, np.zeros((3, 2)), "can step only where the answer needs nothing but"),
        ({"pooling": "last", "bidirectional": True}, np.zeros((3, 2)), "bidirectional=False"),
        ({"pooling": "last"}, np.zeros((3, 2, 4)), r"x has shape \(3, 2, 4\); give one time point"),
        ({"pooling": "last"}, np.zeros((3, 5)), r"of each series, \(n, 2\)"),
    ],
)
def test_wrong_steps_are_refused_in_a_sentence(options, x, says):
    X, y = waves(10)
    with pytest.raises(ValueError, match=says):
        small(max_epochs=1, **options).fit(X, y).step(x)


# -- character: learning ------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "rnn"},
        {"cell": "lstm"},
        {"cell": "gru"},
        {"pooling": "last", "max_epochs": 40},
        {"pooling": "mean"},
        {"pooling": "max"},
        {"n_layers": 3, "dropout": 0.2},
        {"bidirectional": True, "n_layers": 2},
        {"gradient_clip": None},
        {"precision": "float32"},
        {"precision": "bf16"},
        {"schedule": "cosine", "label_smoothing": 0.1},
        {"class_weight": "balanced"},
    ],
    ids=lambda options: ",".join(f"{k}={v}" for k, v in options.items()),
)
def test_waves_are_told_apart(options):
    X, y = waves()
    X_test, y_test = waves(seed=1)
    model = small(**options).fit(X, y)
    assert model.score(X_test, y_test) > 0.8
    np.testing.assert_array_equal(model.predict_proba(X_test), model.predict_proba(X_test))


def test_memory_reaches_the_first_step():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1, 30))
    y = np.arange(200) % 2
    X[:, 0, 0] = np.where(y, 1, -1)
    model = small(cell="lstm", pooling="last", hidden_size=16, max_epochs=40).fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) > 0.9


def test_gradients_are_clipped():
    from skorch.callbacks import Callback

    class Watch(Callback):
        norms: list = []  # noqa: RUF012

        def on_grad_computed(self, net, named_parameters, **kwargs):
            squares = [float((p.grad**2).sum()) for _, p in named_parameters]
            self.norms.append(sum(squares) ** 0.5)

    X, y = waves()
    y = 1e3 * y + X[:, 0, 0]
    options = {"hidden_size": 8, "max_epochs": 2, "random_state": 0}
    for clip in (None, 0.05):
        Watch.norms = []
        RNNRegressor(gradient_clip=clip, callbacks=[Watch()], **options).fit(X, y)
        assert (max(Watch.norms) > 0.06) == (clip is None)


def test_regression_on_several_targets():
    X, _ = waves(120)
    Y = np.column_stack([X[:, 0].mean(axis=1), 100 * X[:, 1, -1]])
    model = RNNRegressor(hidden_size=16, lr=1e-2, max_epochs=60, random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.85
    assert model.predict(X).shape == (120, 2)


def test_search_in_two_processes_over_ragged_series_in_a_pipeline():
    X, y = waves(40)
    series = ragged(X, np.random.default_rng(0).integers(10, 17, 40))
    pipe = make_pipeline(FunctionTransformer(_halved), small())
    grid = {"rnnclassifier__lr": [1e-7, 1e-2]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2).fit(series, y)
    assert search.best_params_ == {"rnnclassifier__lr": 1e-2}


def _halved(series):
    return [x / 2 for x in series]


@pytest.mark.data
def test_japanese_vowels(data_dir):
    with np.load(data_dir / "series_class" / "JapaneseVowels.npz") as d:
        X, y, X_test, y_test = (d[k] for k in ("X_train", "y_train", "X_test", "y_test"))
    model = RNNClassifier(random_state=0).fit(X, y)
    assert accuracy_score(y_test, model.predict(X_test)) > 0.95
