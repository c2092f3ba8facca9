"""What networks on series share: scaling by mask, and targets at every step."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from zoo import RNNClassifier, RNNRegressor
from zoo.contract.inputs import ragged


def made(n=40, channels=2, time=9, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(3, 2, size=(n, channels, time))
    return X, rng.integers(4, time + 1, size=n)


def classifier(**options):
    return RNNClassifier(
        **{"hidden_size": 12, "max_epochs": 30, "lr": 1e-2, "random_state": 0} | options
    )


def regressor(**options):
    return RNNRegressor(
        **{"hidden_size": 12, "max_epochs": 30, "lr": 1e-2, "random_state": 0} | options
    )


def memory(X):
    """Whether the first channel has been above 3 in this or the last step: a state is needed."""
    high = [np.atleast_2d(x)[0] > 3 for x in X]
    return [(h | np.r_[False, h[:-1]]).astype(int) for h in high]


# -- equation ------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_is_that_of_the_true_steps(weighted, dtype):
    X, lengths = made()
    X[:, 1] = 0.1
    X = X.astype(dtype)
    w = np.arange(40) % 3 if weighted else np.ones(40, int)
    model = classifier(max_epochs=1)
    model.fit(ragged(X, lengths), np.arange(40) % 2, w if weighted else None)
    points = np.concatenate([np.repeat(x[0, :t], k) for x, t, k in zip(X, lengths, w, strict=True)])
    points = points.astype(float)
    np.testing.assert_allclose(model.x_mean_[:, 0], [points.mean(), 0.1], rtol=1e-5)
    np.testing.assert_allclose(model.x_scale_[:, 0], [points.std(), 1], rtol=1e-5)


def test_loss_of_the_steps_by_hand():
    X, lengths = made()
    series, y = ragged(X, lengths), memory(ragged(X, lengths))
    model = classifier(max_epochs=1, lr=1e-12, sequence_output=True, batch_size=1000)
    model.fit(series, y)
    log_p = model.predict_log_proba(series)
    losses = [
        -np.mean([log_p[i, t, k] for t, k in enumerate(row)]) for i, row in enumerate(y)
    ]  # every series counts once, however long it is
    assert model.history_["train_loss"][0] == pytest.approx(np.mean(losses), rel=1e-6)


def test_targets_of_steps_are_standardised_without_the_padding():
    X, lengths = made()
    series = ragged(X, lengths)
    y = [1e3 + 50 * x[0] for x in series]
    model = regressor(max_epochs=1, sequence_output=True).fit(series, y)
    every = np.concatenate(y)
    np.testing.assert_allclose([model.y_mean_, model.y_scale_], [every.mean(), every.std()])


# -- character: containers ------------------------------------------------------------


@pytest.mark.parametrize("sequence_output", [False, True])
@pytest.mark.parametrize("make", [classifier, regressor])
def test_ragged_is_padded_with_nan(make, sequence_output):
    X, lengths = made()
    series = ragged(X, lengths)
    y = memory(series) if sequence_output else np.arange(40) % 2
    padded = np.where(np.arange(9) < lengths[:, None, None], X, np.nan)
    wider = np.concatenate([padded, np.full((40, 2, 5), np.nan)], axis=2)
    objects = np.empty(40, dtype=object)
    objects[:] = series
    options = {"max_epochs": 3, "sequence_output": sequence_output}
    expected = make(**options).fit(series, y).predict(series)
    for form in (padded, wider, objects):
        answer = make(**options).fit(form, y).predict(form)
        np.testing.assert_allclose(np.hstack(answer), np.hstack(expected), atol=1e-10)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "all"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_else_is_in_the_batch_does_not_matter(pooling, bidirectional):
    X, lengths = made()
    series = ragged(X, lengths)
    model = classifier(pooling=pooling, bidirectional=bidirectional, max_epochs=2, n_layers=2)
    model.fit(series, np.arange(40) % 2)
    together = model.predict_proba(series)
    alone = np.concatenate([model.predict_proba([x]) for x in series])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    longer = np.random.default_rng(1).normal(size=(2, 50))
    np.testing.assert_allclose(model.predict_proba([*series, longer])[:-1], alone, atol=1e-12)


def test_a_table_is_series_of_one_channel():
    X, _ = made(channels=1)
    y = np.arange(40) % 2
    flat, native = classifier(max_epochs=2).fit(X[:, 0], y), classifier(max_epochs=2).fit(X, y)
    lists = classifier(max_epochs=2).fit([x[0] for x in X], y)
    np.testing.assert_array_equal(flat.predict_proba(X[:, 0]), native.predict_proba(X))
    np.testing.assert_array_equal(lists.predict_proba([x[0] for x in X]), native.predict_proba(X))


# -- character: an answer a step ------------------------------------------------------------


@pytest.mark.parametrize("equal", [True, False])
def test_classes_of_steps(equal):
    X, lengths = made(n=60)
    series = X if equal else ragged(X, lengths)
    names = np.array(["low", "high"])
    y = [names[row] for row in memory(series)]
    model = classifier(sequence_output=True, max_epochs=60).fit(series, y)
    predicted = model.predict(series)
    assert isinstance(predicted, np.ndarray) == equal
    assert [len(row) for row in predicted] == [len(row) for row in y]
    assert model.classes_.tolist() == ["high", "low"]
    assert model.score(series, y) > 0.95
    by_hand = accuracy_score(np.concatenate(y), np.concatenate(list(predicted)))
    assert model.score(series, y) == pytest.approx(by_hand)
    np.testing.assert_allclose(model.predict_proba(series).sum(axis=-1), 1)


@pytest.mark.parametrize("equal", [True, False])
def test_values_of_steps(equal):
    X, lengths = made(n=60)
    series = X if equal else ragged(X, lengths)
    y = [10 * (x[0] + np.r_[0, x[1, :-1]]) for x in series]
    model = regressor(sequence_output=True, hidden_size=24, max_epochs=80).fit(series, y)
    predicted = model.predict(series)
    assert [len(row) for row in predicted] == [len(row) for row in y]
    assert model.score(series, y) > 0.9
    w = np.arange(60) % 2
    weight = np.repeat(w, [len(row) for row in y])
    by_hand = r2_score(np.hstack(y), np.hstack(list(predicted)), sample_weight=weight)
    assert model.score(series, y, w) == pytest.approx(by_hand)


def test_targets_of_steps_as_an_array():
    X, _ = made(n=60)
    y = np.array(memory(X))
    lists = classifier(sequence_output=True, max_epochs=2).fit(X, list(y))
    array = classifier(sequence_output=True, max_epochs=2).fit(X, y)
    np.testing.assert_array_equal(lists.predict(X), array.predict(X))


@pytest.mark.parametrize("make", [classifier, regressor])
def test_steps_with_validation_early_stopping_weights_and_going_on(make):
    X, lengths = made(n=60)
    series = ragged(X, lengths)
    y = memory(series)
    w = np.arange(60) % 3
    model = make(sequence_output=True, max_epochs=4, early_stopping=True).fit(series, y, w)
    assert np.isfinite(model.history_["valid_loss"]).all()
    model = make(sequence_output=True, max_epochs=4)
    model.fit(series, y, X_val=series[:9], y_val=y[:9]).partial_fit(series[:20], y[:20])
    assert model.n_iter_ == 5


# -- bad input ------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda X, y: (X, y[:-1]), "y has 39 rows, but X has 40 series"),
        (lambda X, y: (X, [[*y[0], 1], *y[1:]]), "y has 10 steps, but series 0 of X has 9"),
        (lambda X, y: (X, [*y[:-1], 1]), r"row 39 of y has shape \(\)"),
        (lambda X, y: (X, [*y[:-1], []]), r"row 39 of y has shape \(0,\)"),
        (lambda X, y: ([*X[:-1], np.zeros((2, 0))], y), "series 39 of X has length 0"),
        (lambda X, y: ([*X[:-1], np.zeros((3, 9))], y), r"have \[2, 3\] channels"),
        (lambda X, y: (np.where(X > 6, np.nan, X), y), "only trailing time points may be nan"),
    ],
)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_bad_steps_are_refused_in_a_sentence(make, change, says):
    X, _ = made()
    y = [list(row) for row in memory(X)]
    X, y = change(X, y)
    with pytest.raises(ValueError, match=says):
        make(sequence_output=True, max_epochs=1).fit(X, y)


def test_class_weight_is_of_series_not_of_steps():
    X, _ = made()
    with pytest.raises(ValueError, match="leave class_weight at None"):
        classifier(sequence_output=True, class_weight="balanced").fit(X, memory(X))


def test_other_channels_are_refused_at_predict():
    X, _ = made()
    model = classifier(max_epochs=1).fit(X, np.arange(40) % 2)
    with pytest.raises(ValueError, match="X has 1 channels, but RNNClassifier was fitted on 2"):
        model.predict(X[:, :1])


def test_labels_of_steps_that_are_new_in_validation_are_named():
    X, _ = made()
    y = memory(X)
    with pytest.raises(ValueError, match=r"y_val holds the label [56]"):
        classifier(sequence_output=True).fit(X, y, X_val=X, y_val=[row + 5 for row in y])


def test_nan_among_the_targets_of_steps_is_refused():
    X, _ = made()
    y = np.array(memory(X), dtype=float)
    y[3, 2] = np.nan
    for make in (classifier, regressor):
        with pytest.raises(ValueError, match="NaN"):
            make(sequence_output=True, max_epochs=1).fit(X, y)
