"""What every network of the zoo shares: going on, stopping, weights, copies, files, callbacks."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import zoo
from zoo import ConvNetClassifier, MLPClassifier, MLPRegressor
from zoo.engines.devices import resolve_device


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def noisy():
    """Labels that are half noise: a network that trains on gets worse."""
    X, y = make_classification(300, 10, flip_y=0.5, random_state=0)
    return X[:150], y[:150], X[150:], y[150:]


def small(**options):
    defaults = {"hidden_layer_sizes": (8,), "lr": 1e-2, "max_epochs": 6, "random_state": 0}
    return MLPClassifier(**defaults | options)


def weights(model):
    return [p.detach().numpy().copy() for p in model.net_.module_.parameters()]


def same_weights(a, b):
    return all(np.array_equal(p, q) for p, q in zip(weights(a), weights(b), strict=True))


# -- equation ------------------------------------------------------------


def test_train_loss_is_the_loss_of_the_batches(iris):
    X, y = iris
    model = small(max_epochs=1, lr=1e-12, batch_size=40).fit(X, y)
    assert model.history_["train_loss"][0] == pytest.approx(
        log_loss(y, model.predict_proba(X)), rel=1e-6
    )


def test_a_weight_of_two_is_a_row_given_twice(iris):
    X, y = iris
    w = np.random.default_rng(0).integers(0, 3, len(X))
    # One batch and no noise: only then can the two be the same.
    full = {"batch_size": 1000, "n_iter_no_change": None}
    weighed = small(**full).fit(X, y, w)
    repeated = small(**full).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(weighed.predict_proba(X), repeated.predict_proba(X), atol=1e-10)


# -- character: going on ------------------------------------------------------------


@pytest.mark.parametrize("schedule", [None, "cosine", "warm_up_cosine", "noam", "step"])
def test_partial_fit_by_epochs_is_one_fit(iris, schedule):
    X, y = iris
    whole = small(schedule=schedule, batch_size=40).fit(X, y)
    parts = small(schedule=schedule, batch_size=40)
    for _ in range(6):
        parts.partial_fit(X, y)
    for p, q in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9)
    np.testing.assert_allclose(whole.history_["train_loss"], parts.history_["train_loss"])
    assert parts.n_iter_ == 6


@pytest.mark.parametrize("schedule", [None, "cosine", "warm_up_cosine", "noam"])
def test_partial_fit_learns_beyond_max_epochs(iris, schedule):
    X, y = iris
    model = small(max_epochs=3, schedule=schedule)
    for _ in range(3):
        model.partial_fit(X, y)
    before = weights(model)
    for _ in range(3):
        model.partial_fit(X, y)
    moved = max(np.abs(p - q).max() for p, q in zip(before, weights(model), strict=True))
    assert moved > 1e-3
    assert model.history_["train_loss"][-1] < model.history_["train_loss"][2]


@pytest.mark.parametrize("schedule", [None, "cosine", "warm_up_cosine", "step", "plateau"])
def test_warm_start_goes_on_with_a_schedule_of_its_own(iris, schedule):
    X, y = iris
    model = small(warm_start=True, schedule=schedule, batch_size=50).fit(X, y)
    first = model.history_["train_loss"][-1]
    model.fit(X, y)
    assert model.n_iter_ == 12
    assert model.history_["train_loss"][6] < 1.1 * first
    assert model.history_["train_loss"][-1] < 0.95 * first


def test_without_warm_start_a_fit_begins_anew(iris):
    X, y = iris
    once, twice = small().fit(X, y), small().fit(X, y).fit(X, y)
    assert same_weights(once, twice)
    assert twice.n_iter_ == 6


@pytest.mark.parametrize("schedule", [None, "warm_up_cosine"])
def test_a_changed_learning_rate_is_taken_over(iris, schedule):
    X, y = iris
    model = small(warm_start=True, schedule=schedule).fit(X, y)
    before = weights(model)
    model.set_params(lr=1e-12).fit(X, y)
    moved = max(np.abs(p - q).max() for p, q in zip(before, weights(model), strict=True))
    assert moved < 1e-9


def test_validation_data_may_come_and_go(iris):
    X, y = iris
    model = small(warm_start=True).fit(X, y, X_val=X, y_val=y)
    model.partial_fit(X, y)
    model.fit(X, y)
    model.fit(X, y, X_val=X[::2], y_val=y[::2])
    assert model.n_iter_ == 19
    assert np.isfinite(model.history_["valid_loss"][[0, -1]]).all()
    assert np.isnan(model.history_["valid_loss"][6:13]).all()


def test_partial_fit_names_all_classes_at_first(iris):
    X, y = iris
    model = small()
    model.partial_fit(X[:60], y[:60], classes=[0, 1, 2])
    model.partial_fit(X[60:], y[60:])
    assert model.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match="holds the label 7"):
        model.partial_fit(X, y + 7)


# -- character: stopping ------------------------------------------------------------


@pytest.mark.parametrize("given", ["X_val", "validation_fraction"])
def test_early_stopping_keeps_the_best_weights(noisy, given):
    X, y, X_val, y_val = noisy
    model = small(hidden_layer_sizes=(64,), max_epochs=300, early_stopping=True)
    val = {"X_val": X_val, "y_val": y_val} if given == "X_val" else {}
    model.fit(X, y, **val)
    losses = model.history_["valid_loss"]
    assert model.n_iter_ < 100
    assert losses[-1] > losses.min() + 1e-3
    if val:
        assert log_loss(y_val, model.predict_proba(X_val)) == pytest.approx(losses.min())


def test_best_weights_are_kept_when_the_budget_ends_first(noisy):
    X, y, X_val, y_val = noisy
    best = small(hidden_layer_sizes=(64,), max_epochs=300).fit(X, y, X_val=X_val, y_val=y_val)
    epochs = int(best.history_["valid_loss"].argmin()) + 1 + 5
    model = small(hidden_layer_sizes=(64,), max_epochs=epochs)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.n_iter_ == epochs
    assert same_weights(model, best)


def test_validation_weights_count(noisy):
    X, y, X_val, y_val = noisy
    w = np.random.default_rng(0).uniform(0.1, 5, len(y_val))
    model = small(max_epochs=1).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
    expected = log_loss(y_val, model.predict_proba(X_val), sample_weight=w)
    assert model.history_["valid_loss"][0] == pytest.approx(expected)


def test_training_stops_where_it_stands_still(iris):
    X, y = iris
    assert small(max_epochs=300, tol=10.0, n_iter_no_change=4).fit(X, y).n_iter_ == 5
    assert small(max_epochs=30, tol=10.0, n_iter_no_change=None).fit(X, y).n_iter_ == 30


def test_too_few_rows_to_set_aside():
    with pytest.raises(ValueError, match=r"validation_fraction=0.1 of 6 rows is none; give more"):
        small(early_stopping=True).fit(np.eye(6), [0, 1] * 3)


class Interrupting:
    """Press Ctrl-C in a batch."""

    def __init__(self, batch):
        self.batch, self.count = batch, 0

    def __call__(self, X, y, w, generator):
        self.count += 1
        if self.count == self.batch:
            raise KeyboardInterrupt
        return X, y, w


def test_an_interrupt_keeps_the_epochs_that_are_done(iris, monkeypatch):
    X, y = iris
    model = small(batch_size=50)  # three batches an epoch
    monkeypatch.setattr(MLPClassifier, "_augment", lambda self: Interrupting(batch=8))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert model.history_["train_loss"].shape == (2,)
    assert model.predict(X).shape == (150,)
    monkeypatch.undo()
    model.partial_fit(X, y)
    assert model.n_iter_ == 3
    pickle.loads(pickle.dumps(model)).predict(X)


@pytest.mark.parametrize("batch", [1, 3])
def test_an_interrupt_of_the_first_epoch_leaves_it_unfitted(iris, monkeypatch, batch):
    X, y = iris
    model = small(batch_size=50)
    monkeypatch.setattr(MLPClassifier, "_augment", lambda self: Interrupting(batch))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    monkeypatch.undo()
    assert model.fit(X, y).n_iter_ == 6


def test_a_skorch_callback_sees_the_training_and_may_end_it(iris):
    from skorch.callbacks import Callback

    class Ending(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("seen", len(net.history))
            if len(net.history) == 3:
                raise KeyboardInterrupt

    X, y = iris
    model = small(callbacks=[("ending", Ending())]).fit(X, y)
    assert model.n_iter_ == 3
    np.testing.assert_array_equal(model.history_["seen"], [1, 2, 3])
    with pytest.raises(ValueError, match="a sequence of skorch callbacks"):
        small(callbacks=[print]).fit(X, y)


# -- character: copies, files, searches ------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}, {"norm": "batch"}])
def test_a_copy_trains_on_like_the_original(iris, duplicate, options):
    X, y = iris
    model = small(schedule="warm_up_cosine", **options).fit(X, y)
    twin = duplicate(model)
    before = model.predict_proba(X)
    twin.partial_fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)  # nothing is shared
    model.partial_fit(X, y)
    assert same_weights(model, twin)


@pytest.mark.parametrize("options", [{}, {"norm": "batch", "dropout": 0.2}])
def test_a_loaded_file_predicts_and_trains_on(iris, tmp_path, options):
    X, y = iris
    model = small(schedule="cosine", tol=10.0, **options).fit(X, y, X_val=X, y_val=y)
    zoo.save(model, tmp_path / "model.zoo")
    loaded = zoo.load(tmp_path / "model.zoo")
    assert not loaded.net_.module_.training
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    loaded.partial_fit(X, y)
    assert loaded.n_iter_ == 7
    np.testing.assert_array_equal(loaded.history_["epoch"], np.arange(1, 8))
    np.testing.assert_array_equal(
        loaded.history_["train_loss"][:6], model.history_["train_loss"]
    )
    assert loaded.set_params(warm_start=True, max_epochs=50).fit(X, y).n_iter_ == 18


def test_the_network_is_rebuilt_as_fitted_not_as_the_parameters_say(iris):
    X, y = iris
    model = small().fit(X, y)
    expected = model.predict_proba(X)
    model.set_params(hidden_layer_sizes=(3, 3), activation="tanh")
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert model.spec_["sizes"] == [4, 8, 3]
    assert clone(model).fit(X, y).spec_["sizes"] == [4, 3, 3, 3]


def test_search_through_a_pipeline_in_two_processes(iris):
    X, y = iris
    pipe = make_pipeline(StandardScaler(), small(max_epochs=5))
    grid = {"mlpclassifier__hidden_layer_sizes": [(1,), (16,)]}
    search = GridSearchCV(pipe, grid, cv=2, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"mlpclassifier__hidden_layer_sizes": (16,)}
    alone = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_snapshots_of_a_scoring_monitor_are_true(iris):
    X, y = iris
    monitor = ScoringMonitor(scoring=make_scorer(log_loss, response_method="predict_proba"))
    model = small(norm="batch", dropout=0.2).set_callbacks(monitor).fit(X, y)
    plain = small(norm="batch", dropout=0.2)
    expected = []
    for _ in range(6):
        plain.partial_fit(X, y)
        expected.append(log_loss(y, plain.predict_proba(X)))
    seen = [row["score"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    np.testing.assert_allclose(seen, expected)
    assert same_weights(model, plain)


# -- bad input ------------------------------------------------------------


def test_devices_that_are_not_there():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ValueError, match=r"0 CUDA device\(s\); use device='auto' or 'cpu'"):
        small(device="cuda").fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="'cuda:3' was asked for"):
        resolve_device("cuda:3", np.dtype(float))
    with pytest.raises(ValueError, match="device='gpu' is not accepted"):
        small(device="gpu").fit(np.eye(4), [0, 1, 0, 1])
    if not torch.backends.mps.is_available():
        with pytest.raises(ValueError, match="device='mps' was asked for"):
            resolve_device("mps", np.dtype(np.float32))
    assert resolve_device("auto", np.dtype(float)) == "cpu"


@pytest.mark.parametrize(
    ("precision", "given", "computed"),
    [
        ("input", np.float64, np.float64),
        ("input", np.float32, np.float32),
        ("float32", np.float64, np.float32),
        ("bf16", np.float64, np.float32),
    ],
)
def test_precision(iris, precision, given, computed):
    X, y = iris
    model = small(precision=precision).fit(X.astype(given), y)
    assert weights(model)[0].dtype == computed
    assert model.predict_proba(X).dtype == computed
    regressor = MLPRegressor(precision=precision, max_epochs=1).fit(X.astype(given), X[:, 0])
    assert regressor.predict(X).dtype == computed


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu_and_loads_there(iris, tmp_path):
    X, y = iris
    on_gpu, on_cpu = small(device="cuda").fit(X, y), small(device="cpu").fit(X, y)
    np.testing.assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), atol=1e-4)
    zoo.save(on_gpu, tmp_path / "model.zoo")
    np.testing.assert_allclose(
        zoo.load(tmp_path / "model.zoo").predict_proba(X), on_gpu.predict_proba(X), atol=1e-6
    )


def test_threads_do_not_disturb_each_other(iris):
    from concurrent.futures import ThreadPoolExecutor

    X, y = iris
    with ThreadPoolExecutor(4) as pool:
        fits = list(pool.map(lambda _: small(dropout=0.3, max_epochs=3).fit(X, y), range(4)))
    alone = small(dropout=0.3, max_epochs=3).fit(X, y)
    assert all(same_weights(alone, fit) for fit in fits)


def test_verbose_prints_a_line_an_epoch(iris, capsys):
    X, y = iris
    small(max_epochs=3, verbose=1).fit(X, y)
    assert "train_loss" in capsys.readouterr().out
    small(max_epochs=3).fit(X, y)
    assert capsys.readouterr().out == ""


def test_weights_travel_to_convolutions_too():
    X = np.random.default_rng(0).uniform(size=(40, 1, 6, 6))
    y = np.arange(40) % 2
    fit = {"filters": (2,), "max_epochs": 2, "batch_size": 1000, "random_state": 0}
    w = np.arange(40) % 3
    weighed = ConvNetClassifier(**fit).fit(X, y, w).predict_proba(X)
    repeated = ConvNetClassifier(**fit).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(weighed, repeated.predict_proba(X), atol=1e-8)


def test_early_stopping_weighs_the_rows_that_it_sets_aside(iris):
    X, y = iris
    w = np.random.default_rng(0).uniform(0.1, 5, len(X))
    model = MLPClassifier(early_stopping=True, max_epochs=1, lr=1e-12, random_state=0)
    model.fit(X, y, sample_weight=w)
    _, held = train_test_split(np.arange(len(X)), test_size=0.1, stratify=y, random_state=model.seed_)
    losses = -np.log(model.predict_proba(X[held])[np.arange(len(held)), y[held]])
    expected = np.average(losses, weights=w[held])
    assert model.history_["valid_loss"][0] == pytest.approx(expected, rel=1e-9)
    assert abs(expected / losses.mean() - 1) > 1e-3


@pytest.mark.parametrize("n", [10, 12, 21])
def test_early_stopping_on_few_rows_of_many_classes(n):
    X = np.random.default_rng(0).normal(size=(n, 3))
    y = np.arange(n) % 5
    model = MLPClassifier(early_stopping=True, max_epochs=3, random_state=0).fit(X, y)
    assert len(model.history_["valid_loss"]) == 3
