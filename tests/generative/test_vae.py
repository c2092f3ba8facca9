"""VAE: bounds on a likelihood that is known, factor analysis, codes, labels, missing cells."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bernoulli, multivariate_normal, norm
from sklearn.datasets import load_digits
from sklearn.decomposition import FactorAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import zoo
from zoo import VAE


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:1200], X[1200:], y[:1200], y[1200:]


@pytest.fixture(scope="module")
def on_digits(digits):
    """A model of the digits as integers."""
    return small(max_epochs=40).fit(digits[0])


@pytest.fixture(scope="module")
def by_class(digits):
    """The same, given their class."""
    return small(max_epochs=40).fit(digits[0], digits[2])


@pytest.fixture(scope="module")
def linear_gaussian(factors):
    """A linear model that has converged."""
    return linear(max_epochs=250, schedule="cosine", lr=2e-2).fit(factors)


@pytest.fixture(scope="module")
def factors():
    """Rows of a factor model with two factors, of unlike scale and away from zero."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(2, 6))
    X = rng.normal(size=(600, 2)) @ W + 0.5 * rng.normal(size=(600, 6))
    return X * np.geomspace(0.01, 100, 6) + 3


def small(**options):
    defaults = {
        "n_components": 8, "hidden_layer_sizes": (128,), "levels": 17, "lr": 5e-3, "batch_size": 64,
        "random_state": 0,
    }  # fmt: skip
    return VAE(**defaults | options)


def linear(**options):
    defaults = {
        "n_components": 2, "hidden_layer_sizes": (), "noise": "shared", "lr": 1e-2,
        "batch_size": 100, "n_iter_no_change": None, "random_state": 0,
    }  # fmt: skip
    return VAE(**defaults | options)


def exact_log_likelihood(model, X):
    """Of a model whose decoder is linear and whose noise is shared: x is normal."""
    module = model.net_.module_
    weight, bias = (p.detach().numpy() for p in module.decoder.parameters())
    sigma = np.exp(module.log_sigma.detach().numpy())
    covariance = weight @ weight.T + np.diag(sigma**2)
    outer = model.scale_[:, None] * model.scale_
    return multivariate_normal(model.shift_ + model.scale_ * bias, covariance * outer).logpdf(X)


# -- equation ------------------------------------------------------------


def test_kl_in_closed_form_is_that_of_draws():
    import torch

    from zoo.generative._vae import gaussian_kl

    rng = np.random.default_rng(0)
    mean, log_sd = rng.normal(size=3), rng.normal(size=3) / 2
    z = mean + np.exp(log_sd) * rng.normal(size=(200_000, 3))
    drawn = (norm.logpdf(z, mean, np.exp(log_sd)) - norm.logpdf(z)).sum(axis=1)
    closed = gaussian_kl(torch.tensor(mean)[None], torch.tensor(log_sd)[None]).item()
    assert closed == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 200_000**0.5)


@pytest.mark.parametrize("max_epochs", [2, 60])
def test_elbo_below_importance_bound_below_likelihood(factors, max_epochs):
    elbo = linear(max_epochs=max_epochs).fit(factors)
    iwae = linear(max_epochs=max_epochs, n_importance=200).fit(factors)
    assert (elbo.likelihood_, iwae.likelihood_) == ("elbo", "iwae")
    exact = exact_log_likelihood(elbo, factors)
    np.testing.assert_allclose(exact, exact_log_likelihood(iwae, factors))
    lower, higher = elbo.score_samples(factors), iwae.score_samples(factors)
    assert lower.mean() <= higher.mean() + 0.01
    assert higher.mean() <= exact.mean() + 0.01
    if max_epochs == 2:  # a poor encoder leaves a gap, which importance weights narrow
        assert exact.mean() - lower.mean() > 0.05
        assert exact.mean() - higher.mean() < 0.5 * (exact.mean() - lower.mean())
    assert elbo.score(factors) == pytest.approx(lower.mean())
    assert elbo.bits_per_dim(factors) == pytest.approx(-lower.mean() / 6 / np.log(2))


def test_the_elbo_of_a_linear_model_in_closed_form(factors):
    # log p(x|z) is quadratic in z, so that its mean needs only the moments of q(z|x).
    model = linear(max_epochs=5).fit(factors)
    mean, log_sd = model._run("encode", factors)
    weight, bias = (p.detach().numpy() for p in model.net_.module_.decoder.parameters())
    sigma = np.exp(model.net_.module_.log_sigma.detach().numpy())
    error = (factors - model.shift_) / model.scale_ - bias - mean @ weight.T
    square = error**2 + np.exp(2 * log_sd) @ (weight**2).T
    log_p = -(square / sigma**2 / 2 + np.log(sigma * model.scale_ * (2 * np.pi) ** 0.5)).sum(axis=1)
    kl = (mean**2 + np.exp(2 * log_sd) - 1 - 2 * log_sd).sum(axis=1) / 2
    found = model.score_samples(factors)
    assert found.mean() == pytest.approx((log_p - kl).mean(), abs=0.1)
    assert np.corrcoef(found, log_p - kl)[0, 1] > 0.9


def test_draws_of_score_samples_are_uniform_and_follow_from_the_row():
    from zoo.generative.vae import _numbers_of_rows as numbers_of_rows

    rows = np.random.default_rng(0).normal(size=(3000, 7))
    u = numbers_of_rows(rows, 5, 3, seed=0)
    assert u.shape == (3000, 5, 3)
    np.testing.assert_allclose(u.mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose((u**2).mean(axis=0), 1 / 3, atol=0.03)
    for draw in range(5):
        off = np.corrcoef(u[:, draw].T) - np.eye(3)
        assert np.abs(off).max() < 0.08
    np.testing.assert_array_equal(u[::-7], numbers_of_rows(rows[::-7], 5, 3, seed=0))
    assert not np.array_equal(u, numbers_of_rows(rows, 5, 3, seed=1))


@pytest.mark.parametrize("decoder", ["gaussian", "bernoulli"])
def test_density_of_the_decoder_by_hand(decoder):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(50, 5))
    model = small(decoder=decoder, levels=None, max_epochs=3, n_components=2).fit(X)
    z = rng.normal(size=(50, 2))
    mean, sigma = model._decoded(z, None)
    if decoder == "gaussian":
        expected = norm.logpdf(X, mean, sigma).sum(axis=1)
    else:
        X = (X > 0.5).astype(float)
        expected = bernoulli.logpmf(X.astype(int), mean).sum(axis=1)
    found = model._run("log_p", X, z, None)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_training_minimises_the_negative_elbo(factors, linear_gaussian):
    loss = linear_gaussian.history_["train_loss"]
    assert loss[-1] == pytest.approx(-linear_gaussian.score(factors), abs=0.05)
    assert (np.diff(loss)[:10] < 0).all()


# -- oracle ------------------------------------------------------------


def test_a_linear_model_is_factor_analysis(factors, linear_gaussian):
    model = linear_gaussian
    # scikit-learn's starts from a noise of 1, so it wants columns of one scale.
    scaled = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    peer = FactorAnalysis(2, tol=1e-6, max_iter=2000).fit(scaled)
    best = peer.score(scaled) - np.log(factors.std(axis=0)).sum()
    assert exact_log_likelihood(model, factors).mean() == pytest.approx(best, abs=0.02)
    assert model.score(factors) == pytest.approx(best, abs=0.03)
    # The noise and the space of the factors are the same too.
    sigma = np.exp(model.net_.module_.log_sigma.detach().numpy()) * model.scale_
    np.testing.assert_allclose(
        sigma, np.sqrt(peer.noise_variance_) * factors.std(axis=0), rtol=0.1
    )


def test_integers_are_coded_in_fewer_bits_than_by_factor_analysis(digits, on_digits):
    X, X_test, _, _ = digits
    rng = np.random.default_rng(0)
    filled, held = X + rng.uniform(size=X.shape), X_test + rng.uniform(size=X_test.shape)
    peer = FactorAnalysis(8).fit(filled)
    assert on_digits.bits_per_dim(X_test) < -peer.score(held) / 64 / np.log(2) - 0.1


# -- character: codes ------------------------------------------------------------


def test_codes_tell_the_digits_apart(digits):
    X, X_test, y, y_test = digits
    model = small(max_epochs=40, conditional=False)
    pipe = make_pipeline(model, LogisticRegression(max_iter=300)).fit(X, y)
    assert pipe.score(X_test, y_test) > 0.8
    assert not hasattr(pipe[0], "classes_")


def test_reconstruction_beats_the_mean(digits, on_digits):
    X, X_test, _, _ = digits
    model = on_digits
    error = ((model.reconstruct(X_test) - X_test) ** 2).mean()
    assert error < 0.5 * ((X.mean(axis=0) - X_test) ** 2).mean()
    np.testing.assert_allclose(
        model.reconstruct(X_test), model.inverse_transform(model.transform(X_test))
    )


def test_beta_weighs_the_kl_term(digits):
    import torch

    from zoo.generative._vae import gaussian_kl

    kl = []
    for beta in (0.1, 1, 10):
        model = small(beta=beta, max_epochs=15).fit(digits[0])
        codes = model._run("encode", digits[0])
        kl.append(gaussian_kl(*map(torch.as_tensor, codes)).mean().item())
    assert kl[0] > 1.2 * kl[1] > 1.44 * kl[2]


def test_kl_annealing_raises_beta_and_then_stops_watching_the_past(digits):
    from skorch.callbacks import Callback

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("beta", net.module_.beta)

    model = small(beta=2.0, kl_annealing=20, max_epochs=40, n_iter_no_change=3, tol=1e9,
                  callbacks=[Watch()]).fit(digits[0][:300])  # fmt: skip
    np.testing.assert_allclose(model.history_["beta"][:20], 2 * np.arange(1, 21) / 20)
    # With such a tolerance no epoch counts as progress: it stops once it may.
    assert model.n_iter_ == 23
    assert (model.history_["beta"][20:] == 2).all()


def test_early_stopping_compares_only_losses_of_the_same_form(digits):
    model = small(kl_annealing=10, max_epochs=14, early_stopping=True, n_draws=2)
    model.fit(digits[0][:600])
    loss = model.history_["valid_loss"]
    stop = dict(model.net_.callbacks_)["stop_without_progress"]
    assert stop.best_epoch_ == loss[9:].argmin() + 10


# -- character: samples ------------------------------------------------------------


def test_samples_look_like_digits(digits, by_class):
    X, _, y, _ = digits
    drawn, labels = by_class.sample(400, random_state=0, return_y=True)
    assert np.unique(drawn).tolist() == list(range(17))  # integers, all of them used
    judge = KNeighborsClassifier(5).fit(X, y)
    assert (judge.predict(drawn) == labels).mean() > 0.8
    share = np.bincount(labels, minlength=10) / 400
    np.testing.assert_allclose(share, by_class.class_prior_, atol=0.06)


def test_samples_of_a_class(digits, by_class):
    judge = KNeighborsClassifier(5).fit(digits[0], digits[2])
    assert (judge.predict(by_class.sample(50, y=3, random_state=1)) == 3).mean() > 0.8
    drawn, labels = by_class.sample(3, y=[7, 1, 1], random_state=0, return_y=True)
    assert drawn.shape == (3, 64)
    assert labels.tolist() == [7, 1, 1]


def test_mean_samples_are_smoother(by_class):
    draws = by_class.sample(50, random_state=0)
    copy = pickle.loads(pickle.dumps(by_class)).set_params(sample_mean=True)
    means = copy.sample(50, random_state=0)
    rough = lambda X: np.abs(np.diff(X.reshape(-1, 8, 8), axis=2)).mean()  # noqa: E731
    assert rough(means) < rough(draws)
    assert (means != np.floor(means)).any()


def test_moments_of_samples_are_those_of_the_data(factors, linear_gaussian):
    drawn = linear_gaussian.sample(20_000, random_state=0)
    np.testing.assert_allclose(drawn.mean(axis=0), factors.mean(axis=0), atol=0.1 * factors.std())
    np.testing.assert_allclose(drawn.std(axis=0), factors.std(axis=0), rtol=0.1)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(factors.T), atol=0.08)


def test_bayes_rule_finds_the_class(digits, by_class):
    _, X_test, _, y_test = digits
    p = by_class.predict_proba(X_test[:300])
    assert (by_class.classes_[p.argmax(axis=1)] == y_test[:300]).mean() > 0.8
    # score_samples is the likelihood whatever the class.
    joint = by_class._joint(by_class._checked(X_test[:5]))
    np.testing.assert_allclose(
        by_class.score_samples(X_test[:5]), np.log(np.exp(joint - joint.max()).sum(axis=1))
        + joint.max(),
    )  # fmt: skip


def test_labels_are_asked_for_where_they_are_needed(digits, by_class):
    codes = np.zeros((2, 8))
    each = [by_class.inverse_transform(codes, y=[k, k]) for k in by_class.classes_]
    average = np.tensordot(by_class.class_prior_, each, axes=1)
    np.testing.assert_allclose(by_class.inverse_transform(codes), average, atol=1e-5)
    assert by_class.inverse_transform(np.zeros((2, 8)), y=[0, 1]).shape == (2, 64)
    with pytest.raises(ValueError, match="y holds the label 11"):
        by_class.sample(2, y=11)
    plain = small(max_epochs=1).fit(digits[0][:100])
    assert not hasattr(plain, "predict_proba")
    with pytest.raises(ValueError, match="fitted without y"):
        plain.sample(2, y=1)
    with pytest.raises(ValueError, match="fitted without y"):
        plain.sample(2, return_y=True)


# -- character: missing cells ------------------------------------------------------------


@pytest.mark.parametrize("form", ["rows", "images", "frame"])
def test_imputation_beats_the_mean_and_keeps_what_is_known(digits, form):
    X, X_test, _, _ = digits
    if form == "images":
        X, X_test = X.reshape(-1, 8, 8), X_test.reshape(-1, 8, 8)
    if form == "frame":
        X = pd.DataFrame(X, columns=[f"p{j}" for j in range(64)])
    model = small(max_epochs=40).fit(X)
    missing = np.random.default_rng(0).uniform(size=X_test.shape) < 0.3
    holes = np.where(missing, np.nan, X_test)
    given = pd.DataFrame(holes, columns=X.columns) if form == "frame" else holes
    filled = model.impute(given)
    assert filled.shape == X_test.shape
    np.testing.assert_array_equal(filled[~missing], X_test[~missing])
    assert np.isnan(holes[missing]).all()  # X itself is left alone
    mean = np.broadcast_to(np.asarray(X).mean(axis=0), X_test.shape)
    error = ((filled - X_test)[missing] ** 2).mean()
    assert error < 0.6 * ((mean - X_test)[missing] ** 2).mean()


def test_imputation_given_the_class(digits, by_class):
    _, X_test, _, y_test = digits
    holes = X_test[:100].copy()
    holes[:, 32:] = np.nan  # the lower half
    error = [
        ((by_class.impute(holes, y=y) - X_test[:100]) ** 2).mean()
        for y in (y_test[:100], (y_test[:100] + 5) % 10)
    ]
    assert error[0] < 0.8 * error[1]


def test_imputation_of_other_columns_is_refused(digits):
    model = small(max_epochs=1).fit(digits[0][:100])
    with pytest.raises(ValueError, match=r"X has shape \(3, 10\) .*; give rows like the tr"):
        model.impute(np.full((3, 10), np.nan))


# -- character: data ------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 7, 9), (3, 5, 6), (2, 1, 3), (1, 13, 4)])
@pytest.mark.parametrize("filters", [(4,), (4, 6), (3, 4, 5)])
def test_convolutions_come_back_to_the_shape(shape, filters):
    import torch

    from zoo.engines.modules.blocks import seeded
    from zoo.generative._vae import downwards, upwards

    d = int(np.prod(shape))
    with seeded(0):
        down = downwards(list(shape), list(filters), [10], 7, "relu")
        up = upwards(list(shape), list(filters), [10], 5, 2, "relu")
    assert down(torch.zeros(3, d)).shape == (3, 7)
    assert up(torch.zeros(3, 5)).shape == (3, 2 * d)


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ((60, 64), {}),
        ((60, 9, 7), {}),
        ((60, 3, 5, 6), {}),
        ((60, 6, 5, 3), {"image_shape": (6, 5, 3)}),
        ((60, 63), {"image_shape": (7, 9)}),
    ],
)
@pytest.mark.parametrize("network", ["dense", "conv"])
def test_rows_come_back_in_the_shape_they_had(rows, options, network):
    X = np.random.default_rng(0).integers(0, 4, size=rows)
    model = small(network=network, filters=(4, 4), levels=4, max_epochs=2, **options)
    model.fit(X.astype(np.uint8) if X.ndim > 2 else X.astype(float))
    assert model.sample(5, random_state=0).shape == (5, *rows[1:])
    assert model.reconstruct(X[:3].astype(float)).shape == (3, *rows[1:])
    assert model.transform(X[:3].astype(float)).shape == (3, 8)
    assert np.isfinite(model.score_samples(X.astype(float))).all()


def test_a_convolutional_model_learns_the_digits(digits):
    X, X_test, _, _ = digits
    model = small(network="conv", filters=(8, 16), max_epochs=20).fit(X)
    error = ((model.reconstruct(X_test) - X_test) ** 2).mean()
    assert error < 0.85 * ((X.mean(axis=0) - X_test) ** 2).mean()


def test_bernoulli_pixels(digits):
    X, X_test, _, _ = digits
    X, X_test = (X > 7).astype(float), (X_test > 7).astype(float)
    model = small(decoder="bernoulli", levels=None, max_epochs=25).fit(X)
    drawn = model.sample(100, random_state=0)
    assert np.unique(drawn).tolist() == [0, 1]
    assert ((model.reconstruct(X_test) > 0.5) == (X_test > 0.5)).mean() > 0.88
    # A bound on the probability of a binary picture; independent pixels are the baseline.
    p = X.mean(axis=0).clip(1e-3, 1 - 1e-3)
    assert model.score(X_test) > bernoulli.logpmf(X_test.astype(int), p).sum(axis=1).mean() + 2


def test_likelihood_of_integers_is_at_most_one(digits, on_digits):
    _, X_test, _, _ = digits
    assert on_digits.score_samples(X_test).max() < 0
    assert 1.5 < on_digits.bits_per_dim(X_test) < np.log2(17)
    assert on_digits.score(X_test) > on_digits.score(16 - X_test) + 100


def test_a_constant_feature_leaves_likelihoods_finite():
    X = np.random.default_rng(0).normal(size=(1997, 3)).astype(np.float32)
    X[:, 1] = 0.1
    model = small(levels=None, max_epochs=2).fit(X)
    assert model.scale_[1] == 1
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize(
    ("X", "options", "says"),
    [
        ([[0.5, 1.0]], {"levels": 3}, "says that X holds integers 0 ... 2, but X holds"),
        ([[0.0, 3.0]], {"levels": 3}, "holds values from 0 to 3; correct levels"),
        ([[0.0, 2.0]], {"decoder": "bernoulli", "levels": None}, r"takes X in \[0, 1\], but X"),
        ([[0.0, 2.0, 1.0]], {"network": "conv"}, "rows of 3 features are no square; give image_sh"),
        ([[0.0, np.nan]], {}, "contains NaN"),
    ],
)
def test_bad_rows_are_refused_in_a_sentence(X, options, says):
    with pytest.raises(ValueError, match=says):
        small(max_epochs=1, **options).fit(np.repeat(X, 4, axis=0))


# -- contract ------------------------------------------------------------


def test_files_weights_and_going_on(digits, tmp_path):
    X, X_test, y, _ = digits
    model = small(max_epochs=3, kl_annealing=2).fit(X, y, np.arange(len(X)) % 3)
    zoo.save(model, tmp_path / "vae.zoo")
    loaded = zoo.load(tmp_path / "vae.zoo")
    np.testing.assert_array_equal(loaded.score_samples(X_test[:9]), model.score_samples(X_test[:9]))
    np.testing.assert_array_equal(
        loaded.sample(3, random_state=0), model.sample(3, random_state=0)
    )
    assert loaded.partial_fit(X, y).n_iter_ == 4
    assert loaded.net_.module_.beta == 1


def test_search_by_likelihood_in_two_processes(digits):
    X = digits[0][:300]
    search = GridSearchCV(small(max_epochs=4), {"lr": [1e-6, 3e-3]}, cv=2, n_jobs=2).fit(X)
    assert search.best_params_ == {"lr": 3e-3}


@pytest.mark.parametrize(
    ("options", "wrong", "says"),
    [
        ({"levels": 17}, 0.5, "levels=17 says that X holds integers"),
        ({"levels": 17}, 99.0, "levels=17 says that X holds integers"),
        ({"decoder": "bernoulli", "levels": 17}, 99.0, "levels=17 says that X holds integers"),
    ],
)
def test_what_fit_refuses_is_not_scored(digits, options, wrong, says):
    model = VAE(max_epochs=1, random_state=0, **options).fit(digits[0])
    rows = digits[0][:3].copy()
    rows[1, 1] = wrong
    for score in (model.score_samples, model.score, model.bits_per_dim):
        with pytest.raises(ValueError, match=says):
            score(rows)


def test_what_the_likelihood_is_follows_the_parameters(digits):
    model = VAE(levels=17, max_epochs=1, random_state=0)
    assert not hasattr(model, "likelihood_")
    assert model.fit(digits[0]).likelihood_ == "elbo"
    assert model.set_params(n_importance=4).likelihood_ == "iwae"


def test_a_pixel_that_hardly_ever_changes_costs_no_more_than_any_other():
    rng = np.random.default_rng(0)
    X = np.zeros((400, 20))
    X[:, 10:] = rng.integers(0, 256, (400, 10))
    X[3, 2] = 200
    test = X[:50].copy()
    test[:, 2] = 200
    model = VAE(levels=256, max_epochs=30, random_state=0).fit(X)
    assert model.bits_per_dim(X) < 8
    assert model.bits_per_dim(test) < 20
