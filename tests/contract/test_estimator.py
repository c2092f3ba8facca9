import inspect
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

sys.path.insert(0, str(Path(__file__).parent))  # pickle finds the classes of `healthy` by name

from healthy import (
    Brightness,
    ColumnMeans,
    GaussianSampler,
    GradientEngine,
    GradientLogistic,
    LeastSquares,
    LeastSquaresEngine,
    PrincipalAxes,
    TableAgent,
)

from zoo.conformance._capabilities import Recorder
from zoo.conformance._environments import corridor
from zoo.contract.draws import Draws
from zoo.contract.estimator import Estimator
from zoo.contract.inputs import Input, Table
from zoo.contract.logits import log_softmax, softmax
from zoo.contract.params import Count, Fixed, NonNegative, ParameterError, Positive
from zoo.contract.roles import Agent, Classifier, Regressor, Sampler, Transformer
from zoo.contract.steps import Steps
from zoo.contract.targets import Numbers
from zoo.trees.boosting import BoostingRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


class Looper(Regressor):
    """Count steps, as told."""

    max_iter: Count = 5
    inner: Annotated[int, Fixed("a test")] = 0
    stop_at: Annotated[int | None, Fixed("a test")] = None
    fail_at: Annotated[int | None, Fixed("a test")] = None
    failure: Annotated[Any, Fixed("a test")] = None

    def _learn(self, X: Any, y: np.ndarray, steps: Steps) -> None:
        self.mean_ = y.mean()
        self.n_iter_ = 0
        for i in steps(self.max_iter, "epoch", inner=self.inner):
            self.n_iter_ += 1
            for _ in steps(self.inner, "batch") if self.inner else ():
                self.mean_ = y.mean()
            if i == self.fail_at:
                raise self.failure
            if i == self.stop_at:
                break

    def _output(self, X: Any) -> np.ndarray:
        return np.full(len(X), self.mean_)


# -- making a class -------------------------------------------------------------------------------


def test_leaf_is_final():
    with pytest.raises(TypeError, match=r"Heir subclasses the leaf LeastSquares; leaves are final"):

        class Heir(LeastSquares):
            pass


def test_abstract_classes_are_not_leaves():
    assert Estimator.abstract
    assert Classifier.abstract
    assert LeastSquaresEngine.abstract
    assert not LeastSquares.abstract


def test_annotated_fitted_name_is_refused():
    with pytest.raises(TypeError, match=r"Bad.coef_ is annotated, but fitted names are no fields"):

        class Bad(Regressor):
            coef_: float = 0.0


def test_unannotated_constant_is_refused():
    with pytest.raises(TypeError, match=r"Bad.depth = 3 has no annotation: write a field"):

        class Bad(Regressor):
            depth = 3


def test_constants_of_the_class_may_be_restated():
    class Good(Regressor):
        input = Table(sparse=True)
        target = Numbers(many=True)
        kind: ClassVar[str] = "x"

    assert Good().get_params() == {}
    assert Good.input.sparse
    assert Good.target.many


def test_field_that_hides_a_method_is_refused():
    with pytest.raises(TypeError, match=r"the field Bad.predict hides a method of that name"):

        class Bad(Regressor):
            predict: int


def test_mutable_default_is_refused():
    with pytest.raises(
        TypeError, match=r"the default of Bad.layers is mutable; use a tuple or None"
    ):

        class Bad(Regressor):
            layers: list[int] = [1]  # noqa: RUF012


def test_learn_may_ask_only_for_what_the_base_knows():
    with pytest.raises(TypeError, match=r"Bad._learn asks for 'Z'; it may ask for X, y, w, val"):

        class Bad(Regressor):
            def _learn(self, X, Z):
                pass


def test_classifier_must_take_weights():
    with pytest.raises(TypeError, match=r"Bad._learn must take w: every classifier has class_w"):

        class Bad(Classifier):
            def _learn(self, X, y):
                pass


def test_defaults_are_inherited_and_restated():
    class Middle(Regressor, abstract=True):
        alpha: NonNegative = 1.0
        beta: NonNegative = 2.0

    class Leaf(Middle):
        beta = 3.0
        gamma: Positive = 4.0

    assert Leaf().get_params() == {"alpha": 1.0, "beta": 3.0, "gamma": 4.0}
    assert not hasattr(Leaf, "alpha")  # a forgotten attribute is an error, not a default
    with pytest.raises(ParameterError, match="beta"):
        Leaf(beta=-1.0)._fit(X, Y)


def test_two_engines_may_share_a_leaf():
    class Left(Transformer, abstract=True):
        alpha: NonNegative = 1.0

    class Right(Sampler, abstract=True):
        beta: NonNegative = 2.0

    class Both(Left, Right):
        def _learn(self, X: Any) -> None:
            self.n_features_out_ = 1

    assert Both().get_params() == {"alpha": 1.0, "beta": 2.0}
    assert set(Both.card().roles) == {"Transformer", "Sampler"}


# -- __init__ -------------------------------------------------------------------------------------


class Needy(Regressor):
    """Need something."""

    env: Any
    alpha: NonNegative = 1.0


def test_init_stores_and_nothing_else():
    value = object()
    assert vars(Needy(value)) == {"env": value, "alpha": 1.0}
    assert vars(Needy(env=value, alpha="wrong")) == {"env": value, "alpha": "wrong"}


def test_init_has_a_readable_signature():
    assert str(inspect.signature(Needy)) == "(env, *, alpha=1.0)"
    assert repr(Needy(3)) == "Needy(env=3)"
    assert Needy.__init__.__qualname__ == "Needy.__init__"


@pytest.mark.parametrize(
    ("args", "given", "sentence"),
    [
        ((), {}, "Needy needs the parameter 'env'."),
        ((1, 2), {}, "Needy takes 1 parameter(s) by position, got 2; name the others."),
        (
            (1,),
            {"alpa": 2},
            "Needy has no parameter 'alpa'. Did you mean 'alpha'? It has: env, alpha.",
        ),
    ],
)
def test_init_refuses(args, given, sentence):
    with pytest.raises(TypeError) as caught:
        Needy(*args, **given)
    assert str(caught.value) == sentence


# -- fit: four signatures -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (PrincipalAxes, ["self", "X", "y"]),
        (LeastSquares, ["self", "X", "y", "sample_weight"]),
        (
            GradientLogistic,
            ["self", "X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val"],
        ),
        (TableAgent, ["self", "X", "y"]),
    ],
)
def test_fit_takes_what_learn_names(cls, arguments):
    assert list(inspect.signature(cls.fit).parameters) == arguments
    assert cls.fit.__name__ == "fit"
    assert cls.fit.__doc__


def test_validation_without_weights():
    class Watcher(Regressor):
        """Watch."""

        def _learn(self, X: Any, y: Any, val: Any) -> None:
            self.val_ = val

        def _output(self, X: Any) -> Any:
            return np.zeros(len(X))

    assert list(inspect.signature(Watcher.fit).parameters) == ["self", "X", "y", "X_val", "y_val"]
    A, b, w = Watcher().fit(X, Y, X_val=X[:3], y_val=Y[:3]).val_
    assert A.shape == (3, 3)
    assert b.dtype == float
    assert w is None


def test_partial_fit_follows_resume():
    assert list(inspect.signature(GradientLogistic.partial_fit).parameters) == [
        "self", "X", "y", "classes", "sample_weight",
    ]  # fmt: skip
    assert not hasattr(LeastSquares, "partial_fit")
    assert not hasattr(TableAgent(env="x"), "partial_fit")


def test_learn_is_required():
    class Idle(Regressor):
        """Do nothing."""

    with pytest.raises(NotImplementedError, match="Idle does not say how it learns"):
        Idle()._fit(X, Y)


def test_roles_are_told_to_scikit_learn():
    assert is_classifier(GradientLogistic())
    assert is_regressor(LeastSquares())
    assert get_tags(LeastSquares()).target_tags.multi_output
    assert get_tags(GradientLogistic()).target_tags.required
    assert get_tags(PrincipalAxes()).transformer_tags is not None


# -- fit: bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "sentence"),
    [
        (lambda e: e.fit(X), "requires y to be passed, but the target y is None"),
        (lambda e: e.fit(X, Y[:-1]), "inconsistent numbers of samples"),
        (lambda e: e.fit(X[:0], Y[:0]), r"0 sample\(s\)"),
        (lambda e: e.fit(np.where(X > 1, np.nan, X), Y), "Input X contains NaN"),
        (lambda e: e.fit(X[:, 0], Y), "Expected 2D array, got 1D array"),
        (lambda e: e.fit(X, np.zeros(40)), "needs at least 2 classes in y, but y has only one"),
        (lambda e: e.fit(X, X[:, 0]), "Unknown label type"),
        (lambda e: e.fit(X, np.where(Y, np.nan, 1.0)), r"NaN or infinity in \d+ of 40 rows, the first"),
        (lambda e: e.fit(X, Y, sample_weight=-np.ones(40)), "[Nn]egative"),
        (lambda e: e.fit(X, Y, sample_weight=np.zeros(40)), "zero"),
        (lambda e: e.fit(X, Y, sample_weight=np.ones(39)), "sample_weight"),
        (lambda e: e.fit(X, Y, sample_weight=Y), "only one class: .*rows of weight 0 do not count"),
        (lambda e: e.fit(X, Y, X_val=X), "X_val was given without y_val; give both or neither"),
        (lambda e: e.fit(X, Y, y_val=Y), "y_val was given without X_val; give both or neither"),
        (lambda e: e.fit(X, Y, X_val=X[:, :2], y_val=Y), "X has 2 features, but .* expecting 3"),
        (lambda e: e.fit(X, Y, X_val=X, y_val=Y + 5), "y_val holds the label .* none of the cl"),
        (lambda e: e.set_params(lr=0).fit(X, Y), "lr=0 is not accepted; lr must be a number > 0"),
        (lambda e: e.set_params(class_weight="x").fit(X, Y), "class_weight='x' is not accepted"),
        (lambda e: e.partial_fit(X, Y + 3), "y holds the label .* name every class at the first"),
        (lambda e: e.partial_fit(X[:, :2], Y), "X has 2 features, but .* is expecting 3 features"),
    ],
)
def test_refused_fit_says_why_and_loses_nothing(fit, sentence):
    estimator = GradientLogistic().fit(X, Y)
    before, answers = dict(vars(estimator)), estimator.predict_proba(X)
    with pytest.raises(ValueError, match=sentence):
        fit(estimator)
    params = estimator.get_params()
    assert {n for n, v in vars(estimator).items() if v is not before.get(n)} <= set(params)
    assert set(vars(estimator)) == set(before)
    np.testing.assert_array_equal(estimator.predict_proba(X), answers)


def test_refused_first_fit_leaves_an_unfitted_estimator():
    estimator = GradientLogistic()
    with pytest.raises(ValueError, match="only one class"):
        estimator.fit(X, np.zeros(40))
    assert vars(estimator) == estimator.get_params()
    with pytest.raises(NotFittedError):
        estimator.predict(X)


def test_nothing_is_looked_at_before_the_parameters():
    with pytest.raises(ParameterError, match="lr"):
        GradientLogistic(lr=-1).fit("no data", None)


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("with_callback", [False, True])
def test_fit_that_breaks_off_leaves_the_estimator_as_it_was(failure, with_callback):
    estimator = Looper().fit(X, X[:, 0] + 7)
    recorder = Recorder()
    if with_callback:
        estimator.set_callbacks(recorder)
    before = dict(vars(estimator))
    estimator.set_params(fail_at=2, failure=failure)
    with pytest.raises(type(failure)):
        estimator.fit(X, X[:, 0])
    assert estimator.predict(X[:1])[0] == pytest.approx((X[:, 0] + 7).mean())
    assert vars(estimator) == before | {"fail_at": 2, "failure": failure}
    if with_callback:
        assert recorder.torn_down == 1
        estimator.set_params(fail_at=None)
        assert estimator.fit(X, X[:, 0]).n_iter_ == 5  # the callback serves the next fit


def test_interrupted_first_fit_is_plainly_unfitted():
    estimator = Looper(fail_at=0, failure=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, Y)
    with pytest.raises(NotFittedError):
        estimator.predict(X)
    assert estimator.set_params(fail_at=None).fit(X, Y).predict(X).shape == (40,)


def test_engine_may_keep_an_interrupted_fit():
    class Keeper(Regressor):
        """Keep what is there."""

        def _learn(self, X: Any, y: Any) -> None:
            self.mean_ = y.mean()
            self._fitted_ = True
            raise KeyboardInterrupt

        def _output(self, X: Any) -> Any:
            return np.full(len(X), self.mean_)

    estimator = Keeper()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, Y)
    assert estimator.predict(X[:1])[0] == Y.mean()


def test_refit_forgets():
    estimator = LeastSquares().fit(pd.DataFrame(X, columns=["a", "b", "c"]), Y)
    estimator.extra_ = 1
    estimator.fit(X[:, :2], Y)
    assert not hasattr(estimator, "feature_names_in_")
    assert not hasattr(estimator, "extra_")
    assert estimator.n_features_in_ == 2


# -- precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_precision_follows_the_input(dtype):
    for cls in (LeastSquares, GradientLogistic):
        estimator = cls().fit(X.astype(dtype), Y)
        assert estimator.dtype_ == dtype
        assert estimator.coef_.dtype == dtype
        assert estimator.predict(X[:3]).shape == (3,)  # cast to the precision of the fit


def test_integers_and_lists_are_computed_in_double():
    assert LeastSquares().fit((10 * X).astype(int), Y).dtype_ == np.float64
    assert LeastSquares().fit(X.tolist(), Y.tolist()).dtype_ == np.float64


def test_bytes_are_computed_in_single():
    pictures = (np.abs(RNG.normal(size=(20, 4, 4))) * 60).astype(np.uint8)
    assert Brightness().fit(pictures, Y[:20]).dtype_ == np.float32


def test_precision_of_the_first_fit_is_kept():
    estimator = GradientLogistic().partial_fit(X.astype(np.float32), Y)
    estimator.partial_fit(X, Y)
    assert estimator.dtype_ == np.float32
    assert estimator.coef_.dtype == np.float32


# -- weights and labels ---------------------------------------------------------------------------


class Sees(Classifier):
    """Keep what arrives."""

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        self.seen_ = X, y, w

    def _scores(self, X: Any) -> np.ndarray:
        return np.zeros((len(X), len(self.classes_)))


def test_rows_of_weight_zero_are_gone():
    w = np.where(np.arange(40) % 4 == 0, 0, 2.0)
    A, y, kept = Sees().fit(X, Y, sample_weight=w).seen_
    np.testing.assert_array_equal(A, X[w > 0])
    np.testing.assert_array_equal(y, Y[w > 0])
    assert (kept == 2).all()


def test_classes_come_from_the_rows_that_count():
    y = np.array(["a", "b", "c"])[np.arange(40) % 3]
    with pytest.warns(UserWarning, match="every row of class 'c' has weight 0"):
        estimator = Sees().fit(X, y, sample_weight=(y != "c").astype(float))
    assert list(estimator.classes_) == ["a", "b"]
    assert set(estimator.seen_[1]) == {0, 1}


def test_no_weights_are_none_and_single_precision_weights_stay():
    assert Sees().fit(X, Y).seen_[2] is None
    w = Sees().fit(X.astype(np.float32), Y, sample_weight=np.ones(40)).seen_[2]
    assert w.dtype == np.float32


def test_class_weight_is_folded_into_the_weights():
    w = Sees(class_weight={0: 1, 1: 3}).fit(X, Y).seen_[2]
    np.testing.assert_array_equal(w, np.where(Y == 1, 3.0, 1.0))
    w = Sees(class_weight={0: 1, 1: 3}).fit(X, Y, sample_weight=np.full(40, 2.0)).seen_[2]
    np.testing.assert_array_equal(w, np.where(Y == 1, 6.0, 2.0))


def test_balanced_classes_weigh_the_same():
    y = (np.arange(40) < 5).astype(int)
    w = Sees(class_weight="balanced").fit(X, y).seen_[2]
    assert w[y == 0].sum() == pytest.approx(w[y == 1].sum())
    given = np.linspace(1, 2, 40)
    w = Sees(class_weight="balanced").fit(X, y, sample_weight=given).seen_[2]
    assert w[y == 0].sum() == pytest.approx(w[y == 1].sum())


def test_class_weight_speaks_of_labels():
    y = np.array(["no", "yes"])[Y]
    w = Sees(class_weight={"no": 1, "yes": 5}).fit(X, y).seen_[2]
    np.testing.assert_array_equal(w, np.where(Y == 1, 5.0, 1.0))


def test_regressor_targets():
    assert LeastSquares().fit(X, np.column_stack([Y, Y])).predict(X).shape == (40, 2)

    class One(Regressor):
        """One output."""

        def _learn(self, X: Any, y: Any) -> None:
            self.y_ = y

    assert One().fit(X.astype(np.float32), Y).y_.dtype == np.float32
    with pytest.raises(ValueError, match="1d array"):
        One().fit(X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match="y contains NaN"):
        One().fit(X, np.where(Y, np.nan, 1.0))


# -- classifiers ----------------------------------------------------------------------------------


def test_two_scores_become_a_margin():
    estimator = GradientLogistic().fit(X, Y)
    margin = estimator.decision_function(X)
    assert margin.shape == (40,)
    scores = estimator._scores(X)
    np.testing.assert_allclose(margin, scores[:, 1] - scores[:, 0])
    np.testing.assert_allclose(estimator.predict_proba(X)[:, 1], 1 / (1 + np.exp(-margin)))
    np.testing.assert_array_equal(estimator.predict(X), (margin > 0).astype(int))


def test_three_scores_stay_three():
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    estimator = GradientLogistic().fit(X, y)
    assert estimator.decision_function(X).shape == (40, 3)
    np.testing.assert_allclose(
        np.exp(estimator.predict_log_proba(X)), estimator.predict_proba(X), atol=1e-12
    )


def test_scores_that_are_no_logits_give_no_probabilities():
    class Margin(GradientEngine):
        """No logits."""

        logits: ClassVar[bool] = False

    assert not hasattr(Margin(), "predict_proba")
    assert not hasattr(Margin(), "predict_log_proba")
    assert "probabilities" not in Margin.card().capabilities
    with pytest.raises(AttributeError, match="predict_proba"):
        Margin().predict_proba  # noqa: B018


def test_probabilities_without_scores():
    class Coin(Classifier):
        """Toss."""

        def _learn(self, X: Any, y: Any, w: Any) -> None:
            self.p_ = np.bincount(y) / len(y)

        def _proba(self, X: Any) -> np.ndarray:
            return np.tile(self.p_, (len(X), 1))

    coin = Coin().fit(X, np.where(np.arange(40) < 30, "head", "tail"))
    assert set(coin.predict(X)) == {"head"}
    assert not hasattr(coin, "decision_function")
    np.testing.assert_allclose(coin.predict_log_proba(X)[0], np.log([0.75, 0.25]))


def test_softmax_is_stable():
    s = np.array([[1000.0, 0.0, -1000.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(softmax(s), [[1, 0, 0], [1 / 3] * 3], atol=1e-300)
    assert np.isfinite(log_softmax(s)).all()
    np.testing.assert_allclose(softmax(np.array([0.0, 800.0])), [[0.5, 0.5], [0, 1]], atol=1e-300)


# -- steps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "began"),
    [
        ({}, ["fit", *["epoch"] * 5]),
        ({"inner": 2}, ["fit", *["epoch", "batch", "batch"] * 5]),
        ({"stop_at": 1}, ["fit", "epoch", "epoch"]),
        ({"stop_at": 1, "inner": 1}, ["fit", "epoch", "batch", "epoch", "batch"]),
    ],
)
def test_every_step_begins_and_ends(params, began):
    recorder = Recorder()
    Looper(**params).set_callbacks(recorder).fit(X, Y)
    assert recorder.began == began
    assert sorted(recorder.ended) == sorted(began)
    assert recorder.ended[-1] == "fit"
    assert recorder.torn_down == 1


def test_callback_stops_a_fit():
    estimator = Looper(max_iter=50).set_callbacks(Recorder(stop_after=3)).fit(X, Y)
    assert estimator.n_iter_ == 3
    assert estimator.predict(X).shape == (40,)


def test_exception_is_no_break():
    recorder = Recorder()
    estimator = Looper(fail_at=2, failure=ValueError("no")).set_callbacks(recorder)
    with pytest.raises(ValueError, match="no"):
        estimator.fit(X, Y)
    assert recorder.began == ["fit", "epoch", "epoch", "epoch"]
    assert recorder.ended == ["epoch", "epoch"]  # the third did not end, nor did the fit
    assert recorder.torn_down == 1


def test_fit_without_steps_tells_its_beginning_and_end():
    recorder = Recorder()
    LeastSquares().set_callbacks(recorder).fit(X, Y)
    assert (recorder.began, recorder.ended) == (["fit"], ["fit"])


def test_callback_gets_data_weights_and_a_true_snapshot():
    seen = []

    class Spy(Recorder):
        def on_fit_task_end(
            self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
        ):
            seen.append((X, y, metadata, fitted_estimator))
            assert fitted_estimator is not estimator
            return super().on_fit_task_end(estimator, context)

    w = np.ones(40)
    final = GradientLogistic(max_iter=3).set_callbacks(Spy()).fit(X, Y, sample_weight=w)
    assert len(seen) == 4
    assert all(a is X and y is Y for a, y, _, _ in seen)
    assert all(metadata["sample_weight"] is w for _, _, metadata, _ in seen)
    losses = [len(snapshot.history_["train_loss"]) for _, _, _, snapshot in seen]
    assert losses[-1] == 3
    snapshots = [snapshot.predict_proba(X) for _, _, _, snapshot in seen]
    np.testing.assert_array_equal(snapshots[-1], final.predict_proba(X))
    assert not np.array_equal(snapshots[0], snapshots[-1])


def test_fit_without_callbacks_leaves_no_trace_of_them():
    estimator = Looper().fit(X, Y)
    assert not [n for n in vars(estimator) if "callback" in n]


def test_callbacks_must_follow_the_protocol():
    with pytest.raises(TypeError, match="FitCallback"):
        Looper().set_callbacks(print)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_monitors_see_every_step_through_search_and_pipeline(n_jobs):
    monitor = ScoringMonitor(scoring="accuracy")
    classifier = GradientLogistic(max_iter=4).set_callbacks(monitor)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), classifier),
        {"gradientlogistic__lr": [0.1, 0.5]},
        cv=3,
        n_jobs=n_jobs,
    )
    search.fit(X, Y)
    logs = monitor.get_logs()
    logs = logs if isinstance(logs, list) else [logs]
    rows = [row for log in logs for row in log.data if row["task_name"] == "iteration"]
    assert len(rows) == (2 * 3 + 1) * 4  # candidates x folds and the refit, four steps each
    assert all(0.2 <= row["accuracy"] <= 1 for row in rows)
    assert search.best_estimator_.predict(X).shape == (40,)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_works_through_search_and_pipeline(n_jobs, capsys):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GradientLogistic(max_iter=4)),
        {"gradientlogistic__lr": [0.1, 0.5]},
        cv=2,
        n_jobs=n_jobs,
    )
    search.set_callbacks(ProgressBar()).fit(X, Y)
    assert "GridSearchCV" in capsys.readouterr().out
    assert search.best_score_ > 0.5


def test_callback_survives_clone_and_search_stops_early():
    classifier = GradientLogistic(max_iter=40).set_callbacks(Recorder(stop_after=2))
    assert clone(classifier).fit(X, Y).n_iter_ == 2


# -- warm start and partial fit -------------------------------------------------------------------


class Warm(GradientEngine):
    """Go on."""

    warm_start: bool = False


def test_warm_start_goes_on_and_fit_begins_anew():
    cold = Warm(max_iter=5)
    assert cold.fit(X, Y).fit(X, Y).n_iter_ == 5
    warm = Warm(max_iter=5, warm_start=True)
    assert warm.fit(X, Y).fit(X, Y).n_iter_ == 10
    np.testing.assert_allclose(warm.coef_, Warm(max_iter=10).fit(X, Y).coef_)


def test_partial_fit_is_one_step_each():
    estimator = GradientLogistic()
    for n in (1, 2, 3):
        assert estimator.partial_fit(X, Y).n_iter_ == n
    np.testing.assert_allclose(estimator.coef_, GradientLogistic(max_iter=3).fit(X, Y).coef_)


def test_partial_fit_learns_the_classes_beforehand():
    estimator = GradientLogistic().partial_fit(X[:4], np.zeros(4, int), classes=[0, 1, 2])
    assert list(estimator.classes_) == [0, 1, 2]
    assert estimator.predict_proba(X).shape == (40, 3)
    with pytest.raises(ValueError, match=r"label .*9.*, which is none of the classes"):
        estimator.partial_fit(X, np.full(40, 9))


# -- metadata routing and validation data ---------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_weights_are_routed_through_search():
    w = np.linspace(0.1, 2, 40)
    classifier = GradientLogistic().set_fit_request(sample_weight=True)
    classifier.set_score_request(sample_weight=True)
    scores = cross_validate(classifier, X, Y, params={"sample_weight": w}, return_estimator=True)
    plain = GradientLogistic().fit(X[8:], Y[8:], sample_weight=w[8:])
    assert len(scores["estimator"]) == 5
    assert plain.coef_.shape == scores["estimator"][0].coef_.shape


@pytest.mark.usefixtures("routing")
def test_validation_data_are_transformed_by_the_pipeline():
    class Spying(GradientEngine):
        """Keep the validation data."""

        def _learn(self, X: Any, y: Any, w: Any, val: Any, resume: bool, steps: Any) -> None:
            super()._learn(X, y, w, val, resume, steps)
            self.val_ = val

    classifier = Spying().set_fit_request(X_val=True, y_val=True)
    pipeline = make_pipeline(StandardScaler(), classifier, transform_input=["X_val"])
    pipeline.fit(X, Y, X_val=X[:10], y_val=Y[:10])
    seen, y, w = pipeline[-1].val_
    np.testing.assert_allclose(seen, StandardScaler().fit(X).transform(X[:10]))
    np.testing.assert_array_equal(y, Y[:10])
    assert w is None


def test_requests_exist_for_what_fit_takes():
    assert {"sample_weight", "X_val", "y_val", "sample_weight_val"} <= set(
        inspect.signature(GradientLogistic.set_fit_request).parameters
    )
    assert "X_val" not in inspect.signature(LeastSquares.set_fit_request).parameters
    assert not hasattr(PrincipalAxes, "set_fit_request")


def test_validation_labels_are_class_numbers():
    y = np.array(["no", "yes"])[Y]
    history = GradientLogistic(max_iter=3).fit(X, y, X_val=X, y_val=y).history_
    assert len(history["valid_loss"]) == 3
    np.testing.assert_allclose(history["valid_loss"], history["train_loss"])


# -- transformers, samplers, agents ---------------------------------------------------------------


def test_transformer_gives_pandas_and_names():
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=np.arange(40) + 7)
    z = PrincipalAxes().set_output(transform="pandas").fit(frame).transform(frame)
    assert list(z.columns) == ["principalaxes0", "principalaxes1", "principalaxes2"]
    assert list(z.index) == list(frame.index)
    assert PrincipalAxes().fit_transform(X).shape == (40, 3)


def test_transformer_in_a_pipeline_with_pandas():
    pipeline = make_pipeline(StandardScaler(), PrincipalAxes()).set_output(transform="pandas")
    assert pipeline.fit_transform(pd.DataFrame(X, columns=["a", "b", "c"])).shape == (40, 3)


def test_draws_repeat_and_do_not_depend_on_n():
    short, long = Draws(3), Draws(3)
    np.testing.assert_array_equal(short.normal(4, 2), long.normal(9, 2)[:4])
    np.testing.assert_array_equal(short.uniform(4), long.uniform(9)[:4])
    assert not np.array_equal(Draws(3).normal(4), Draws(4).normal(4))
    assert not np.array_equal(Draws(None).normal(4), Draws(None).normal(4))
    one = Draws(0)
    assert not np.array_equal(one.normal(4), one.normal(4))  # each draw has a stream of its own


def test_sampler_draws_labels_as_often_as_they_were():
    y = (np.arange(40) < 10).astype(int)
    sampler = GaussianSampler().fit(X, y)
    _, labels = sampler.sample(2000, random_state=0, return_y=True)
    assert labels.mean() == pytest.approx(0.25, abs=0.03)
    _, labels = sampler.sample(3, y=[1, 0, 1], random_state=0, return_y=True)
    assert list(labels) == [1, 0, 1]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s: s.sample(0), "n_samples=0 is not accepted; give an integer >= 1"),
        (lambda s: s.sample(2.0), "n_samples=2.0 is not accepted"),
        (lambda s: s.sample(2, y=1), "was fitted without y and cannot draw given y=1"),
        (lambda s: s.sample(2, return_y=True), "was fitted without y: there is no y to return"),
    ],
)
def test_sampler_refuses(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(GaussianSampler().fit(X))


def test_sampler_refuses_labels_of_another_number():
    with pytest.raises(ValueError, match=r"y has shape \(2,\), but n_samples=3; give one label a"):
        GaussianSampler().fit(X, Y).sample(3, y=[0, 1])


def test_sampler_scores_and_chooses():
    sampler = GaussianSampler().fit(X)
    assert sampler.score(X) == pytest.approx(sampler.score_samples(X).mean())
    assert sampler.bits_per_dim(X) == pytest.approx(-sampler.score(X) / (3 * np.log(2)))
    search = GridSearchCV(GaussianSampler(), {"jitter": [1e-6, 100.0]}, cv=3).fit(X)
    assert search.best_params_ == {"jitter": 1e-6}


def test_unfitted_sampler_and_agent():
    with pytest.raises(NotFittedError):
        GaussianSampler().sample()
    with pytest.raises(NotFittedError):
        TableAgent(env=corridor).predict(np.zeros((1, 2)))


def test_agent_needs_an_environment_and_is_searched_over_seeds():
    with pytest.raises(TypeError, match="needs the parameter 'env'"):
        TableAgent()
    assert issubclass(TableAgent, Agent)
    search = GridSearchCV(TableAgent(corridor, max_steps=200), {"lr": [0.1, 0.5]}, cv=2)
    search.fit(np.arange(6))
    assert np.isfinite(search.best_score_)


# -- what scikit-learn asks of everybody ----------------------------------------------------------


def test_sparse_is_refused_unless_declared():
    with pytest.raises(TypeError, match=r"[Ss]parse data was passed"):
        LeastSquares().fit(sp.csr_array(X), Y)

    class Takes(LeastSquaresEngine):
        """Take sparse X."""

        input: ClassVar[Input] = Table(sparse=True)

        def _learn(self, X: Any, y: Any, w: Any) -> None:
            self.format_ = X.format

    assert Takes().fit(sp.coo_matrix(X), Y).format_ == "csr"


def test_column_y_is_a_warning():
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        GradientLogistic().fit(X, Y[:, None])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GradientLogistic().fit(X, Y)


# -- several columns of labels --------------------------------------------------------------------


LABELS = np.column_stack([Y, np.where(X[:, 1] > 0, 2, np.where(X[:, 2] > 0, 1, 0))])


def test_columns_of_labels_have_classes_of_their_own():
    names = np.array([["no", "a"], ["yes", "b"], ["yes", "c"]])
    m = ColumnMeans().fit(X, np.column_stack([names[LABELS[:, 0], 0], names[LABELS[:, 1], 1]]))
    assert [k.tolist() for k in m.classes_] == [["no", "yes"], ["a", "b", "c"]]
    assert [p.shape for p in m.predict_proba(X)] == [(40, 2), (40, 3)]
    numbers = ColumnMeans().fit(X, LABELS)
    np.testing.assert_array_equal(m.predict(X)[:, 1], names[numbers.predict(X)[:, 1], 1])
    assert numbers.score(X, LABELS) == (numbers.predict(X) == LABELS).all(axis=1).mean()
    w = np.arange(40.0)
    right = (numbers.predict(X) == LABELS).all(axis=1)
    assert numbers.score(X, LABELS, sample_weight=w) == np.average(right, weights=w)


def test_class_weights_multiply_over_columns():
    counted = [np.bincount(column) for column in LABELS.T]
    balanced = np.prod([40 / len(n) / n[k] for n, k in zip(counted, LABELS.T, strict=True)], axis=0)
    a = ColumnMeans(class_weight="balanced").fit(X, LABELS)
    b = ColumnMeans().fit(X, LABELS, sample_weight=balanced)
    np.testing.assert_allclose(a.predict_proba(X)[1], b.predict_proba(X)[1])


def test_columns_of_labels_are_refused_where_they_do_not_fit():
    with pytest.raises(ValueError, match="column 1 of y has only one class: 0"):
        ColumnMeans().fit(X, np.column_stack([Y, np.zeros(40, int)]))
    with pytest.raises(ValueError, match="1d array"):
        GradientLogistic().fit(X, LABELS)
    model = ColumnMeans().fit(X, LABELS)
    with pytest.raises(ValueError, match="was fitted to 2"):
        model.target.encode(model, Y, resume=True)


def test_a_class_without_weight_is_said_for_each_column():
    w = (LABELS[:, 1] != 2).astype(float)
    with pytest.warns(UserWarning, match="every row of class 2 has weight 0"):
        m = ColumnMeans().fit(X, LABELS, sample_weight=w)
    assert m.classes_[1].tolist() == [0, 1]


def test_docstrings_hold_what_is_inherited():
    assert "class_weight" in Needs.__doc__
    assert Needs.__doc__.count("class_weight :") == 1


class Needs(Classifier):
    """Sum up.

    Parameters
    ----------
    alpha : float
        Strength.
    """

    alpha: NonNegative = 1.0

    def _learn(self, X: Any, y: Any, w: Any) -> None:
        """Do nothing."""


def test_random_source_never_is_the_global_one():
    def source(random_state):
        return BoostingRegressor(random_state=random_state)._random_source()

    assert source(None) is not np.random.mtrand._rand
    assert source(3).randint(1000) == source(3).randint(1000)
    own = np.random.RandomState(0)
    assert source(own) is own


# -- in a notebook ------------------------------------------------------------------------------


def test_notebook_shows_diagram_card_and_training():
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20.0)
    model = BoostingRegressor(n_estimators=3)
    html = model._repr_mimebundle_()["text/html"]
    assert "sk-top-container" in html
    assert html.index("sk-top-container") < html.index("zoo-card")
    assert "<math" in html
    assert "Training of" not in html
    model.fit(X, y, X_val=X, y_val=y)
    html = model._repr_html_()
    assert "Training of BoostingRegressor" in html
    assert model._repr_mimebundle_()["text/html"].count("<svg") == 1


def test_pipelines_keep_their_diagram():
    html = make_pipeline(StandardScaler(), BoostingRegressor())._repr_html_()
    assert "BoostingRegressor" in html
    assert "zoo-card" not in html


def test_notebook_shows_text_where_text_is_asked_for():
    with sklearn.config_context(display="text"):
        assert not hasattr(BoostingRegressor(), "_repr_html_")
        assert set(BoostingRegressor()._repr_mimebundle_()) == {"text/plain"}


def test_validation_data_have_the_precision_of_the_training_data():
    class Reader(Regressor):
        def _learn(self, X: Any, y: np.ndarray, val: Any) -> None:
            self.seen_ = val[0].dtype

    found = Reader().fit(X.astype(np.float32), X[:, 0], X_val=X, y_val=X[:, 0])
    assert found.seen_ == found.dtype_ == np.float32
