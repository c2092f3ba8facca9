"""Ten lines of a user's code for each role: make, fit, ask, search. `test_types` reads and runs them."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import zoo
from zoo import (
    DQN,
    GPT,
    SVC,
    VAE,
    BoostingClassifier,
    ConvNetClassifier,
    Lasso,
    MatrixFactorization,
    MLPClassifier,
    OneClassSVM,
    Ridge,
    RNNRegressor,
)

rng = np.random.default_rng(0)
X, y, labels = rng.normal(size=(60, 4)), rng.normal(size=60), np.arange(60) % 2
w = np.ones(60)


def regressors() -> None:
    ridge = Ridge(alpha=2.0, fit_intercept=False)
    fitted: Ridge = ridge.fit(X, y, sample_weight=w)
    first: float = fitted.predict(X)[0]
    score: float = Ridge(1.0).fit(X, y, w).score(X, y)
    sparse = Lasso(0.1).fit(X, y).coef_
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=3).fit(X, y)
    best = search.best_estimator_.predict(X)
    mean: float = cross_val_score(make_pipeline(StandardScaler(), Ridge()), X, y).mean()
    assert np.isfinite([first, score, mean, best[0], sparse[0]]).all()


def classifiers() -> None:
    boosting = BoostingClassifier(n_estimators=10, learning_rate=0.2, random_state=0).fit(X, labels)
    p = boosting.predict_proba(X)[:, 1]
    right: float = boosting.score(X, labels)
    net = MLPClassifier(hidden_layer_sizes=(16,), max_epochs=3, class_weight="balanced")
    losses = net.fit(X, labels, X_val=X, y_val=labels).history_["valid_loss"]
    net.partial_fit(X, labels)
    margin = SVC(C=3.0, kernel="rbf").fit(X, labels).decision_function(X)
    pictures = X.reshape(-1, 1, 2, 2)
    ConvNetClassifier(filters=(4,), kernel_size=1, max_epochs=1).fit(pictures, labels).predict(pictures)
    best = GridSearchCV(SVC(), {"C": [1, 10]}).fit(X, labels).predict(X)
    assert p.shape == margin.shape == best.shape
    assert len(losses) == 3
    assert right > 0.5


def series() -> None:
    model = RNNRegressor(hidden_size=4, max_epochs=1, random_state=0)
    assert model.fit(X[:, None], y).predict(X[:, None]).shape == (60,)


def samplers() -> None:
    vae = VAE(n_components=2, max_epochs=2, random_state=0).fit(X)
    drawn = vae.sample(3, random_state=0)
    z = vae.transform(X)
    bits: float = vae.bits_per_dim(X)
    gpt = GPT(max_epochs=1, max_new_tokens=4).fit(["the cat sleeps", "a ship sinks"])
    texts = gpt.generate(["the"], random_state=0)
    assert (len(drawn), len(z), len(texts)) == (3, 60, 1)
    assert np.isfinite(bits)


def detectors() -> None:
    signs = OneClassSVM(nu=0.2).fit(X).predict(X)
    assert set(signs) == set(OneClassSVM(nu=0.2).fit_predict(X)) == {-1, 1}


def recommenders() -> None:
    pairs = [["ann", "tea"], ["bob", "rum"], ["ann", "rum"]]
    ratings = MatrixFactorization(n_components=2).fit(pairs, [5.0, 1.0, 3.0])
    assert ratings.predict([["bob", "tea"]]).shape == (1,)


def agents() -> None:
    agent = DQN("CartPole-v1", total_timesteps=100, random_state=0).fit()
    action = agent.predict(np.zeros((1, 4)))
    mean_return: float = DQN(env="CartPole-v1", total_timesteps=100).fit(np.arange(3)).score(np.arange(2))
    assert action.shape == (1,)
    assert mean_return > 0


def what_holds_them_all(folder: Path) -> None:
    names = [name for name, _ in zoo.all_estimators(role="sampler")]
    zoo.save(Ridge().fit(X, y), folder / "ridge.zoo")
    again: Any = zoo.load(folder / "ridge.zoo")
    can: tuple[str, ...] = zoo.card("Ridge").capabilities
    assert "VAE" in names
    assert "sample_weight" in can
    assert again.predict(X).shape == (60,)
