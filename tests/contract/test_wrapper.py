"""Meta-estimators: what is held says what they are; a fitted base is shared and stays as it is."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.callback import ScoringMonitor
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from zoo import MLPClassifier
from zoo.contract.declaring import field
from zoo.contract.params import FittedMethod, NonNegative
from zoo.contract.roles import Regressor
from zoo.contract.wrapper import Wrapper

X, Y = make_classification(200, 5, random_state=0)


class Twice(Wrapper):
    """Fit what is held to rows and their mirror images."""

    def _default(self):
        return LogisticRegression()

    def _learn(self, X, y, w, steps):
        both = np.concatenate([X, -X])
        self.estimator_ = self._fit_held(
            both, np.concatenate([y, 1 - y]), None if w is None else np.tile(w, 2), steps
        )


class Shifted(Wrapper):
    """Add a number to what a fitted regressor predicts."""

    estimator: FittedMethod = field(kw_only=False)
    shrinkage: NonNegative = 0.0

    def _learn(self, X, y):
        self.estimator_ = self.estimator
        self.shift_ = np.mean(y - self.estimator.predict(X)) / (1 + self.shrinkage)

    def predict(self, X):
        return self.estimator.predict(X) + self.shift_


def test_tags_and_methods_are_those_of_what_is_held():
    assert is_classifier(Twice())
    assert is_regressor(Twice(LinearRegression()))
    assert hasattr(Twice(), "predict_proba")
    assert not hasattr(Twice(LinearRegression()), "predict_proba")
    assert not hasattr(Twice(), "transform")
    assert hasattr(Twice(StandardScaler()), "transform")
    assert get_tags(Twice(RandomForestClassifier())).input_tags.allow_nan


def test_what_is_fitted_answers():
    model = Twice().fit(X, Y)
    alone = LogisticRegression().fit(np.concatenate([X, -X]), np.concatenate([Y, 1 - Y]))
    np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
    assert model.classes_.tolist() == [0, 1]
    assert model.n_features_in_ == 5
    assert model.score(X, Y) == alone.score(X, Y)
    assert clone(model).get_params(deep=False) == {"estimator": None}


def test_parameters_of_what_is_held_are_reached():
    search = GridSearchCV(Twice(LogisticRegression()), {"estimator__C": [0.1, 1.0]}, cv=3).fit(X, Y)
    assert search.best_params_["estimator__C"] in (0.1, 1.0)
    with pytest.raises(ValueError, match="has no parameter 'estimater'"):
        Twice().set_params(estimater__C=1)


def test_weights_go_where_they_are_taken():
    w = np.random.default_rng(0).integers(0, 3, len(Y))
    weighted = Twice().fit(X, Y, sample_weight=w)
    repeated = Twice().fit(np.repeat(X, w, axis=0), np.repeat(Y, w))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)
    with pytest.raises(ValueError, match=r"KNeighborsClassifier.fit takes none"):
        Twice(KNeighborsClassifier()).fit(X, Y, sample_weight=w)
    with pytest.raises(ValueError, match="Shifted takes no sample_weight"):
        Shifted(LinearRegression().fit(X, Y)).fit(X, Y, sample_weight=w)


def test_metadata_goes_where_it_is_requested():
    held = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=GroupKFold(2))
    groups = np.tile(np.arange(4), len(Y) // 4)

    class Plain(Wrapper):
        """Fit what is held."""

        def _learn(self, X, y):
            self.estimator_ = self._fit_held(X, y)

    with config_context(enable_metadata_routing=True):
        model = Plain(held).fit(X, Y, groups=groups)
    assert model.estimator_.n_splits_ == 2
    assert Plain(held).fit(X, Y, groups=groups).estimator_.n_splits_ == 2


def test_a_fitted_base_is_shared_by_clones_and_never_reached_into():
    base = LinearRegression().fit(X, Y)
    model = Shifted(base, shrinkage=1.0)
    assert clone(model).estimator is base
    assert clone(model).shrinkage == 1.0
    with pytest.raises(ValueError, match="estimator__fit_intercept reaches into estimator, which is fitted"):
        model.set_params(estimator__fit_intercept=False)
    with pytest.raises(ValueError, match="estimator must be a fitted estimator"):
        Shifted(LinearRegression()).fit(X, Y)
    for wrong in (LinearRegression, "a", None):
        with pytest.raises(ValueError, match="must be a fitted estimator"):
            Shifted(wrong).fit(X, Y)


def test_a_clone_keeps_requests_and_output_beside_a_shared_base():
    base = LinearRegression().fit(X, Y)
    model = Shifted(base)
    model.set_output(transform="pandas") if hasattr(model, "set_output") else None
    model.set_callbacks(ScoringMonitor(scoring="r2"))
    twin = clone(model)
    assert twin._skl_callbacks == model._skl_callbacks
    assert getattr(twin, "_metadata_request", None) == getattr(model, "_metadata_request", None)


def test_a_search_with_two_jobs_leaves_a_fitted_base_as_it_was():
    base = MLPClassifier(hidden_layer_sizes=(4,), max_epochs=2, random_state=0).fit(X, Y)
    before = pickle.dumps([p.detach().numpy() for p in base.net_.module_.parameters()])
    search = GridSearchCV(
        Shifted(base), {"shrinkage": [0.0, 1.0]}, cv=2, n_jobs=2, scoring="neg_mean_squared_error"
    ).fit(X, Y)
    assert pickle.dumps([p.detach().numpy() for p in base.net_.module_.parameters()]) == before
    assert search.best_estimator_.estimator is base


def test_callbacks_see_inside():
    monitor = ScoringMonitor(scoring="accuracy")
    model = Twice(MLPClassifier(max_epochs=3, hidden_layer_sizes=(4,), random_state=0))
    model.set_callbacks(monitor).fit(X, Y)
    assert "_skl_callbacks" not in vars(model.estimator_)


def test_a_wrapper_is_no_regressor_by_itself():
    assert Twice.card().roles == ("Wrapper",)
    assert not issubclass(Wrapper, Regressor)


def test_what_is_no_estimator_is_refused_by_fit_and_leaves_the_tags_readable():
    model = Twice(object())
    with pytest.raises(ValueError, match="estimator must be"):
        model.fit(X, Y)
    assert get_tags(model).estimator_type is None
