"""Deliberately broken estimators: each breaks one promise of the contract.

Every class is a twin of a healthy one and differs from it in the few lines that are wrong.
``breaks`` names the check that is meant for the defect, ``also`` those of the zoo that cannot help
seeing it.
"""

import sys
from functools import cache
from typing import Annotated, Any, ClassVar

import numpy as np
from healthy import (
    BackwardsEngine,
    BagOfWordsEngine,
    BiasesEngine,
    BrightnessEngine,
    CleanedEngine,
    ColumnMeansEngine,
    DistanceEngine,
    FlippedEngine,
    GaussianEngine,
    GradientEngine,
    LeastSquaresEngine,
    LetterChainEngine,
    MeansWithHolesEngine,
    PictureAndCaptionEngine,
    PictureOfARowEngine,
    PrincipalAxesEngine,
    RetrogradeEngine,
    RoughnessEngine,
    RunningMeanEngine,
    StepByStepEngine,
    TableAgentEngine,
    TableOfEitherEngine,
    WhatPaidEngine,
    docstring,
)
from sklearn.utils import check_random_state

from zoo.contract.inputs import Either, Env, Images, Input, Joined, Logged, Pairs, Series, Table, Text
from zoo.contract.params import Count, Fixed, Interval, ParameterError, Search
from zoo.contract.steps import Steps
from zoo.contract.targets import Documents, Labels, Numbers, Sequences, Target

BROKEN: list[Any] = []


def broken(breaks: str, *also: str, nothing_works: bool = False) -> Any:
    """Enter a broken class into the list, with the checks that must see it."""

    def enter(cls: Any) -> Any:
        cls.breaks, cls.also, cls.nothing_works = breaks, also, nothing_works
        BROKEN.append(cls)
        return cls

    return enter


# -- what the class says of itself ----------------------------------------------------------------


@broken("check_card_complete")
class HasNoReference(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha").replace("Euclid, Elements.", "")


@broken("check_card_complete")
class ExplainsAParameterThatIsGone(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha", "smoothing")


@cache
def has_a_wrong_example() -> Any:
    """Make the class late: pytest runs every docstring that it can see."""

    @broken("check_docstring_example")
    class HasAWrongExample(LeastSquaresEngine):
        __doc__ = docstring("Solve.", "alpha", example=">>> 1 + 1\n3")

    HasAWrongExample.__qualname__ = "HasAWrongExample"
    globals()["HasAWrongExample"] = HasAWrongExample
    return HasAWrongExample


@broken("check_docstring_example")
class SkipsItsExample(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha", example=">>> 1 / 0  # doctest: +SKIP\n2")


@broken("check_docstring_example")
class ShowsNoResult(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha", example=">>> result = 1 + 1")


@broken("check_numeric_fields")
class HasANumberWithoutRange(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha", "smoothing")
    smoothing: Annotated[int, Interval(1, None)] = 5


@broken("check_numeric_fields")
class HasANumberWithoutDomain(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha", "smoothing")
    smoothing: Annotated[int | None, Search(1, 10)] = 5


@broken("check_search_ranges")
class SearchesOutsideTheDomain(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    alpha: Annotated[float, Interval(0, 1), Search(0.1, 5.0)] = 1e-3


@broken("check_search_ranges", nothing_works=True)
class HasADefaultOutsideTheDomain(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha", "max_iter")
    max_iter: Count = 0


@broken("check_capabilities_known")
class ClaimsTelepathy(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    extra_capabilities: ClassVar[tuple[str, ...]] = ("telepathy",)


@broken("check_number_of_checks")
class DodgesScikitLearn(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags._skip_test = True
        return tags


@broken("check_pickle")
class ExcusesItselfWithoutNeed(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    excused: ClassVar[dict[str, str]] = {"check_pickle": "pickle is hard"}


@broken("check_telepathy")
class ExcusesWhatDoesNotExist(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    excused: ClassVar[dict[str, str]] = {"check_telepathy": "no signal"}


# -- parameters -----------------------------------------------------------------------------------


@broken("check_init_only_stores")
class SetsAnAttributeInInit(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")


def _init_with_more(self: Any, *, alpha: float = 1e-3) -> None:
    self.alpha = alpha
    self.ready = True


SetsAnAttributeInInit.__init__ = _init_with_more


@broken("check_init_only_stores", "check_parameters_refused", "check_refused_fit_keeps_state")
class ConvertsInInit(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, 0.5 if name == "alpha" else value)


@broken("check_clone_and_params")
class CloneKeepsTheFit(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def __sklearn_clone__(self) -> Any:
        twin = type(self)(**self.get_params(deep=False))
        if hasattr(self, "coef_"):
            twin.coef_ = self.coef_
        return twin


@broken("check_parameters_refused", "check_refused_fit_keeps_state")
class MendsBadParameters(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        try:
            return self._fit(X, y, sample_weight)
        except ParameterError:
            return self.set_params(alpha=1.0)._fit(X, y, sample_weight)


@broken("check_parameters_refused")
class SaysNothingOfTheValue(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        try:
            return self._fit(X, y, sample_weight)
        except ParameterError as error:
            raise ParameterError("something is wrong") from error


# -- fit and what it leaves behind ----------------------------------------------------------------


@broken("check_fit_returns_self")
class ReturnsACopy(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        import copy

        return copy.copy(self._fit(X, y, sample_weight))


@broken("check_unfitted")
class PredictsUnfitted(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def predict(self, X: Any) -> np.ndarray:
        if not self.__sklearn_is_fitted__():
            return np.zeros(len(X))
        return super().predict(X)


@broken("check_refused_fit_keeps_state")
class LosesTheFitOnRefusal(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        self._forget()
        return self._fit(X, y, sample_weight)


@broken("check_predict_writes_nothing")
class WritesInPredict(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _output(self, X: Any) -> np.ndarray:
        self.last_n_ = len(X)
        return super()._output(X)


@broken("check_predict_writes_nothing")
class WritesInPredictInPlace(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        super()._learn(X, y, w)
        self.count_ = np.zeros(1)

    def _output(self, X: Any) -> np.ndarray:
        self.count_[0] += 1
        return super()._output(X)


@broken("check_inputs_unchanged", "check_column_names", "check_memory_layout")
class WritesIntoX(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        X -= 0.125
        super()._learn(X, y, w)


@broken(
    "check_inputs_unchanged",
    "check_memory_layout",
    "check_batch_composition",
    "check_column_names",
    "check_nested_lists",
    "check_weights_count_as_repetition",
)
class WritesIntoXInPredict(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _output(self, X: Any) -> np.ndarray:
        X -= 0.125
        return super()._output(X)


def by_address(a: Any) -> Any:
    """Read as many numbers as the array has from where its buffer begins, whatever its strides."""
    return a.base.ravel()[: len(a)] if isinstance(getattr(a, "base", None), np.ndarray) else a


@broken("check_memory_layout")
class ReadsYByAddress(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return self._fit(X, by_address(y) if np.ndim(y) == 1 else y, sample_weight)


@broken("check_memory_layout")
class ReadsWeightsByAddress(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return self._fit(X, y, by_address(sample_weight))


# -- repeatability --------------------------------------------------------------------------------

# What starts elsewhere every time ends elsewhere, after pickle as well.
EVERY_FIT_DIFFERS = (
    "check_refit_equals_fresh_fit",
    "check_global_state_untouched",
    "check_same_seed_same_result",
    "check_pickle",
    "check_deepcopy",
    "check_callbacks",
    "check_memory_layout",
    "check_column_names",
    "check_nested_lists",
    "check_validation_data",
    "check_weights_count_as_repetition",
)


class StartsSomewhere(GradientEngine, abstract=True):
    def _start(self, X: np.ndarray, w: np.ndarray) -> None:
        super()._start(X, w)
        self.coef_ = self.coef_ + self._noise(self.coef_.shape)


@broken("check_same_seed_same_result", *EVERY_FIT_DIFFERS)
class IgnoresItsSeed(StartsSomewhere):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _noise(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.random.default_rng().normal(size=shape)


@broken("check_global_state_untouched", *EVERY_FIT_DIFFERS)
class DrawsFromNumpy(StartsSomewhere):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _noise(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.random.normal(size=shape)  # noqa: NPY002


@broken("check_global_state_untouched")
class DrawsFromNumpyWithoutSeed(StartsSomewhere):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _noise(self, shape: tuple[int, ...]) -> np.ndarray:
        # What check_random_state(None) gives is the global generator.
        return check_random_state(self.random_state).normal(size=shape)


@broken("check_global_state_untouched")
class SeedsNumpy(StartsSomewhere):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _noise(self, shape: tuple[int, ...]) -> np.ndarray:
        np.random.seed(0)  # noqa: NPY002
        return np.random.normal(size=shape)  # noqa: NPY002


@broken("check_global_state_untouched", *EVERY_FIT_DIFFERS)
class DrawsFromTorch(StartsSomewhere):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _noise(self, shape: tuple[int, ...]) -> np.ndarray:
        import torch

        return torch.randn(shape).numpy()


@broken("check_global_state_untouched")
class SeedsTorch(StartsSomewhere):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _noise(self, shape: tuple[int, ...]) -> np.ndarray:
        import torch

        torch.manual_seed(0)
        return torch.randn(shape).numpy()


@broken("check_global_state_untouched", *EVERY_FIT_DIFFERS)
class DrawsFromPython(StartsSomewhere):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _noise(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, sys.modules["random"].random()) * np.arange(shape[1])


@broken("check_global_state_untouched")
class ChangesErrorSettings(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _output(self, X: Any) -> np.ndarray:
        np.seterr(under="raise" if np.geterr()["under"] == "ignore" else "ignore")
        return super()._output(X)


@broken("check_refit_equals_fresh_fit", "check_pickle", "check_deepcopy")
class RemembersTheLastFit(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        super()._learn(X, y, w)
        self.intercept_ = self.intercept_ + getattr(self, "_fits", 0)
        self._fits = getattr(self, "_fits", 0) + 1


@broken("check_batch_composition")
class CentresTheBatch(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _output(self, X: Any) -> np.ndarray:
        return super()._output(X) + 0.01 * X.mean()


@broken("check_batch_composition", "check_multi_output")
class CountsTheRows(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _output(self, X: Any) -> np.ndarray:
        return super()._output(X) + 0.01 * np.arange(len(X))


# -- copies ---------------------------------------------------------------------------------------


@broken("check_pickle", "check_deepcopy")
class KeepsAGenerator(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        super()._learn(X, y, w)
        self.stream_ = (i for i in range(3))


@broken("check_deepcopy")
class SharesItselfWithItsCopy(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def __deepcopy__(self, memo: Any) -> Any:
        return self


# -- bad data -------------------------------------------------------------------------------------


class Hopeful(Table):
    """A table that takes what it should not."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if not reset and len(X) == 0:
            return np.zeros((0, estimator.n_features_in_))
        return super().check(estimator, X, reset=reset)


@broken("check_no_rows_refused")
class AnswersAboutNothing(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = Hopeful()


class NumbersWithoutNan(Numbers):
    def check(self, estimator: Any, y: Any, n: int) -> Any:
        if isinstance(y, np.ndarray) and y.dtype == float:
            y = np.nan_to_num(y)
        return super().check(estimator, y, n)


@broken("check_targets_refused")
class IgnoresNanInY(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    target: ClassVar[Target] = NumbersWithoutNan(many=True)


@broken("check_learns_toy", "check_multi_output", "check_sample_weight")
class LearnsNothing(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _output(self, X: Any) -> np.ndarray:
        return 0.0 * super()._output(X)


# -- classifiers ----------------------------------------------------------------------------------


@broken("check_string_labels", "check_probabilities")
class ForgetsTheNamesOfClasses(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def predict(self, X: Any) -> np.ndarray:
        labels = super().predict(X)
        return np.searchsorted(self.classes_, labels)


class LonelyLabels(Labels):
    def encode(self, estimator: Any, y: Any, *, classes: Any = None, **more: Any) -> Any:
        if len(np.unique(y)) == 1 and classes is None:
            classes = [y[0], y[0] + y[0] if y.dtype.kind in "UO" else y[0] + 1]
        return super().encode(estimator, y, classes=classes, **more)


class LonelyEngine(GradientEngine, abstract=True):
    target: ClassVar[Target] = LonelyLabels(least=2)


@broken("check_one_class_refused")
class TakesOneClass(LonelyEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")


@broken("check_class_weight")
class IgnoresClassWeight(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _class_factors(self, y: Any, w: Any, known: Any, own: Any) -> Any:
        return np.ones(len(y), self.dtype_)


# -- transformers ---------------------------------------------------------------------------------


@broken("check_transform_shape", "check_set_output")
class MiscountsItsColumns(PrincipalAxesEngine):
    __doc__ = docstring("Turn.", "jitter")

    def _learn(self, X: Any) -> None:
        super()._learn(X)
        self.n_features_out_ += 1


@broken("check_set_output")
class IgnoresSetOutput(PrincipalAxesEngine):
    __doc__ = docstring("Turn.", "jitter")

    def set_output(self, *, transform: Any = None) -> Any:
        return self


# -- detectors ------------------------------------------------------------------------------------


@broken("check_outliers_are_signs", "check_stranger_is_found")
class CallsOutliersZero(DistanceEngine):
    __doc__ = docstring("Measure.", "jitter")

    def predict(self, X: Any) -> np.ndarray:
        return np.maximum(super().predict(X), 0)


@broken("check_stranger_is_found")
class LikesStrangers(DistanceEngine):
    __doc__ = docstring("Measure.", "jitter")

    def _output(self, X: Any) -> np.ndarray:
        return -super()._output(X)


@broken("check_y_ignored")
class LooksAtY(DistanceEngine):
    __doc__ = docstring("Measure.", "jitter")
    target: ClassVar[Target] = Labels(required=False)

    def _learn(self, X: Any, y: Any) -> None:
        super()._learn(X if y is None else X[y == 0])


# -- samplers -------------------------------------------------------------------------------------


@broken("check_sample_shape", "check_sample_given_y", "check_sample_rows_independent_of_n")
class SamplesTooFew(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _draw(self, n: int, y: Any, draws: Any) -> np.ndarray:
        return super()._draw(n, y, draws)[: max(n - 1, 1)]


@broken("check_sample_finite", "check_sample_better_than_noise", "check_samples_follow_density")
class SamplesInfinity(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _draw(self, n: int, y: Any, draws: Any) -> np.ndarray:
        X = super()._draw(n, y, draws)
        X[11::50] = np.inf
        return X


@broken(
    "check_sample_seed",
    "check_sample_rows_independent_of_n",
    "check_same_seed_same_result",
    "check_global_state_untouched",
    "check_refit_equals_fresh_fit",
    "check_pickle",
    "check_deepcopy",
    "check_refused_fit_keeps_state",
    "check_labels_optional",
)
class SamplesWithoutSeed(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _draw(self, n: int, y: Any, draws: Any) -> np.ndarray:
        z = np.random.default_rng().normal(size=(n, self.means_.shape[1]))
        return self.means_[0] + z @ self.factors_[0].T


@broken("check_sample_seed")
class SamplesTheSameForEver(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _draw(self, n: int, y: Any, draws: Any) -> np.ndarray:
        z = np.random.default_rng(0).normal(size=(n, self.means_.shape[1]))
        return self.means_[0] + z @ self.factors_[0].T


@broken("check_sample_rows_independent_of_n")
class SamplesColumnByColumn(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _draw(self, n: int, y: Any, draws: Any) -> np.ndarray:
        z = draws.normal(self.means_.shape[1], n).T
        return self.means_[0] + z @ self.factors_[0].T


@broken("check_sample_better_than_noise", "check_samples_follow_density")
class SamplesNoise(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _draw(self, n: int, y: Any, draws: Any) -> np.ndarray:
        return 9 * draws.normal(n, self.means_.shape[1])


@broken("check_sample_given_y")
class IgnoresTheLabelThatIsAsked(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _labels_to_draw(self, n: int, y: Any, draws: Any) -> Any:
        if not hasattr(self, "classes_"):
            return None
        return super()._labels_to_draw(n, y if y in list(self.classes_) else None, draws)


@broken("check_sample_given_y")
class TakesTheOtherClass(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _joint(self, X: Any) -> np.ndarray:
        return super()._joint(X)[:, ::-1]


@broken("check_inverse_methods")
class ImputesWhatWasSeen(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def impute(self, X: Any) -> np.ndarray:
        return np.broadcast_to(self.means_[0], np.shape(X)).copy()


@broken("check_exact_likelihood_normalised")
class ForgetsTheDeterminant(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _log_density(self, X: np.ndarray, k: int) -> np.ndarray:
        L = np.linalg.inv(self.factors_[k])
        return super()._log_density(X, k) - np.log(np.diag(L)).sum()


@broken("check_samples_follow_density")
class SamplesWithoutItsFactors(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _draw(self, n: int, y: Any, draws: Any) -> np.ndarray:
        z = draws.normal(n, self.means_.shape[1])
        deviations = np.sqrt((self.factors_**2).sum(axis=2))
        k = np.zeros(n, int) if y is None else y
        return self.means_[k] + deviations[k] * z


@broken("check_samples_follow_density")
class TakesTheVarianceForTheDeviation(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _draw(self, n: int, y: Any, draws: Any) -> np.ndarray:
        k = np.zeros(n, int) if y is None else y
        z = draws.normal(n, self.means_.shape[1])
        covariances = self.factors_ @ self.factors_.transpose(0, 2, 1)
        return self.means_[k] + np.einsum("nij,nj->ni", covariances[k], z)


@broken("check_likelihood")
class MistakesNatsForBits(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def bits_per_dim(self, X: Any) -> float:
        return -self.score(X) / self.n_features_in_


@broken("check_likelihood", "check_sample_given_y")
class TakesNoiseForData(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _log_likelihood(self, X: Any, y: Any = None) -> np.ndarray:
        return ((X - self.means_[0]) ** 2).sum(axis=1)

    def _learn(self, X: Any, y: Any) -> None:
        super()._learn(X, y)
        self.likelihood_ = "elbo"


# -- capabilities, claimed ------------------------------------------------------------------------


@broken("check_sample_weight", "check_weights_count_as_repetition")
class IgnoresWeights(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        super()._learn(X, y, None)


@broken("check_weights_refused", "check_inputs_unchanged")
class TakesNegativeWeights(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return self._fit(X, y, None if sample_weight is None else np.abs(sample_weight))


@broken("check_weights_count_as_repetition")
class WeighsHalfHeartedly(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        super()._learn(X, y, None if w is None else np.sqrt(w))


@broken("check_sparse")
class ClaimsSparse(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = Table(sparse=True)


@broken("check_missing_values")
class ClaimsMissingValues(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = Table(missing=True)


class Codes(Table):
    """Replaces categories by pandas' codes, which depend on how a frame came about."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if hasattr(X, "columns"):
            X = X.copy()
            for name in X.columns:
                if X[name].dtype.kind not in "fiu":
                    X[name] = X[name].astype("category").cat.codes.astype(float)
        return super().check(estimator, X, reset=reset)


@broken("check_categories")
class TakesCodesForCategories(MeansWithHolesEngine):
    __doc__ = docstring("Go to the nearest mean.")
    input: ClassVar[Input] = Codes(missing=True, categories=True)


@broken("check_multi_output")
class SwapsOutputs(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")

    def _output(self, X: Any) -> np.ndarray:
        s = super()._output(X)
        return s[:, ::-1] if s.ndim == 2 else s


@broken("check_multi_output")
class SwapsColumnsOfClasses(ColumnMeansEngine):
    __doc__ = docstring("Take means.")

    def _proba(self, X: Any) -> Any:
        p = super()._proba(X)
        return p[::-1] if isinstance(p, list) else p


@broken("check_multi_output")
class ScoresTheFirstColumn(ColumnMeansEngine):
    __doc__ = docstring("Take means.")

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        if np.ndim(y) == 2:
            return float((self.predict(X)[:, 0] == y[:, 0]).mean()) + 1e-3
        return super().score(X, y, sample_weight)


@broken("check_partial_fit")
class BeginsAgainInPartialFit(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _learn(self, X: Any, y: np.ndarray, w: Any, val: Any, resume: bool, steps: Any) -> None:
        super()._learn(X, y, w, val, False, steps)


@broken("check_partial_fit_is_one_pass")
class PassesTwiceInPartialFit(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")


def _partial_fit_twice(
    self: Any, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
) -> Any:
    for _ in range(2):
        self._fit(X, y, sample_weight, partial=True, classes=classes)
    return self


PassesTwiceInPartialFit.partial_fit = _partial_fit_twice


@broken("check_callbacks", "check_partial_fit_is_one_pass")
class TakesNoSteps(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _learn(self, X: Any, y: np.ndarray, w: Any, val: Any, resume: bool, steps: Any) -> None:
        super()._learn(X, y, w, val, resume, lambda n, name: range(n))


@broken("check_callbacks")
class WillNotStop(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _learn(self, X: Any, y: np.ndarray, w: Any, val: Any, resume: bool, steps: Any) -> None:
        steps._end = lambda context, end=steps._end: end(context) and False
        super()._learn(X, y, w, val, resume, steps)


@broken("check_validation_data")
class IgnoresValidationData(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _learn(self, X: Any, y: np.ndarray, w: Any, val: Any, resume: bool, steps: Any) -> None:
        super()._learn(X, y, w, None, resume, steps)


@broken("check_probabilities")
class DoesNotNormalise(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")

    def _proba(self, X: Any) -> np.ndarray:
        return self._softmax(self._scores(X)) ** 2


@broken("check_gpu")
class ClaimsAGpu(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu",)


@broken("check_early_stopping")
class ClaimsEarlyStopping(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    extra_capabilities: ClassVar[tuple[str, ...]] = ("early_stopping",)


@broken("check_warm_start")
class ClaimsAWarmStart(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    extra_capabilities: ClassVar[tuple[str, ...]] = ("warm_start",)


@broken("check_causal")
class LooksIntoTheFuture(RunningMeanEngine):
    __doc__ = docstring("Average the past.")

    def _output(self, X: Any) -> np.ndarray:
        inside = np.arange(X["x"].shape[2]) < X["lengths"][:, None, None]
        mean = X["x"].sum(axis=2) / X["lengths"][:, None]
        return np.where(inside, mean[:, :, None], 0)


@broken("check_causal")
class ForgetsItsState(RunningMeanEngine):
    __doc__ = docstring("Average the past.")

    def step(self, state: Any, x: np.ndarray) -> tuple[np.ndarray, Any]:
        return super().step(None, x)


# -- capabilities that work and are not claimed ---------------------------------------------------


@broken("check_sample_weight_unclaimed")
class HidesItsWeights(PrincipalAxesEngine):
    __doc__ = docstring("Turn.", "jitter")

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return self._fit(X, y, sample_weight)


@broken("check_validation_data_unclaimed")
class HidesItsValidation(PrincipalAxesEngine):
    __doc__ = docstring("Turn.", "jitter")

    def fit(self, X: Any, y: Any = None, *, X_val: Any = None) -> Any:
        return self._fit(X, y)


@broken("check_partial_fit_unclaimed")
class HidesItsPartialFit(PrincipalAxesEngine):
    __doc__ = docstring("Turn.", "jitter")

    def partial_fit(self, X: Any, y: Any = None) -> Any:
        return self._fit(X, y)


@broken("check_callbacks_unclaimed")
class HidesItsSteps(PrincipalAxesEngine):
    __doc__ = docstring("Turn.", "jitter")

    def _learn(self, X: Any) -> None:
        for _ in Steps(self, X, None)(3):
            super()._learn(X)


class Densifying(Table):
    """A table that takes sparse X without saying so."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        return super().check(estimator, X.toarray() if hasattr(X, "toarray") else X, reset=reset)


@broken("check_sparse_unclaimed")
class DoesMoreThanItSays(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = Densifying()


class Forgiving(Table):
    """A table that turns nan into 0."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if isinstance(X, np.ndarray) and X.dtype.kind == "f":
            X = np.nan_to_num(X, posinf=0, neginf=0)
        return super().check(estimator, X, reset=reset)


@broken("check_missing_values_unclaimed")
class ForgetsToLookForNan(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = Forgiving()


@broken("check_categories_unclaimed")
class HidesItsCategories(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = Codes()


class NumbersOfAnyShape(Numbers):
    def check(self, estimator: Any, y: Any, n: int) -> Any:
        y = np.asarray(y)
        return y.astype(float) if y.ndim == 2 and y.shape[1] > 1 else super().check(estimator, y, n)


@broken("check_multi_output_unclaimed")
class HidesItsOutputs(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    target: ClassVar[Target] = NumbersOfAnyShape()


@broken("check_probabilities_unclaimed")
class HidesItsProbabilities(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")
    logits: ClassVar[bool] = False

    def predict_proba(self, X: Any) -> np.ndarray:
        return self._softmax(self._scores(self._checked(X)))


@broken("check_likelihood_unclaimed")
class HidesItsLikelihood(PrincipalAxesEngine):
    __doc__ = docstring("Turn.", "jitter")

    def score_samples(self, X: Any) -> np.ndarray:
        return -(self._output(self._checked(X)) ** 2).sum(axis=1)


# -- tables ---------------------------------------------------------------------------------------


class ByPosition(Table):
    """A table that looks at positions only."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if hasattr(X, "columns") and not reset:
            X = X.set_axis(estimator.feature_names_in_, axis=1)
        return super().check(estimator, X, reset=reset)


@broken("check_column_names")
class TakesColumnsByPosition(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = ByPosition()


class RowsFirst(Table):
    """A table that wants its rows first in memory."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if isinstance(X, np.ndarray) and X.ndim == 2 and not X.flags.c_contiguous:
            raise ValueError("X must have its rows first in memory.")
        return super().check(estimator, X, reset=reset)


@broken("check_memory_layout", "check_column_names")
class RefusesAColumnOrder(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = RowsFirst()


class Single(Table):
    """A table that rounds."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        return super().check(estimator, X, reset=reset).astype(np.float32)


@broken("check_precision_follows_input")
class ForcesSinglePrecision(PrincipalAxesEngine):
    __doc__ = docstring("Turn.", "jitter")
    input: ClassVar[Input] = Single()


class WithoutLists(Table):
    """A table that wants an array."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if isinstance(X, list):
            raise ValueError("X must be an array.")
        return super().check(estimator, X, reset=reset)


@broken("check_nested_lists")
class TakesNoLists(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = WithoutLists()


@broken("check_column_names")
class TakesColumnsOfValidationByPosition(GradientEngine):
    __doc__ = docstring("Descend.", "lr", "max_iter", "random_state")


def _fit_by_position(
    self: Any,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
) -> Any:
    values = X_val.to_numpy() if hasattr(X_val, "columns") else X_val
    return self._fit(X, y, sample_weight, (values, y_val, sample_weight_val))


TakesColumnsOfValidationByPosition.fit = _fit_by_position


class AnyWidth(Table):
    """A table that fills up what is missing."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        missing = 0 if reset else estimator.n_features_in_ - np.shape(X)[-1]
        if missing > 0 and np.ndim(X) == 2:
            X = np.pad(np.asarray(X), ((0, 0), (0, missing)))
        return super().check(estimator, X, reset=reset)


@broken("check_width_refused")
class TakesAnyWidth(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    input: ClassVar[Input] = AnyWidth()


# -- images ---------------------------------------------------------------------------------------


class OnlyPictures(Images):
    """Pictures that know no (n, H, W)."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if np.ndim(X) == 3:
            raise ValueError("X must have 4 dimensions.")
        return super().check(estimator, X, reset=reset)


@broken("check_image_shapes")
class WantsFourDimensions(BrightnessEngine):
    __doc__ = docstring("Compare.", "image_shape")
    input: ClassVar[Input] = OnlyPictures()


class Guessing(Images):
    """Pictures whose layout is guessed."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if np.ndim(X) == 4 and np.shape(X)[3] == 3:
            X = np.transpose(X, (0, 3, 1, 2))
        return super().check(estimator, X, reset=reset)


@broken("check_image_shape_refused")
class GuessesWhereTheChannelsAre(BrightnessEngine):
    __doc__ = docstring("Compare.", "image_shape")
    input: ClassVar[Input] = Guessing()


@broken("check_image_bytes")
class OverflowsOnBytes(BrightnessEngine):
    __doc__ = docstring("Compare.", "image_shape")

    def _learn(self, X: Any, y: np.ndarray, w: Any) -> None:
        super()._learn(X * X.dtype.type(64), y, w)

    def _scores(self, X: Any) -> np.ndarray:
        return super()._scores(X * X.dtype.type(64))


# -- series ---------------------------------------------------------------------------------------


@broken("check_padding")
class TakesPaddingForData(RoughnessEngine):
    __doc__ = docstring("Compare.")

    def _features(self, X: Any) -> np.ndarray:
        return super()._features(X | {"lengths": np.full(len(X["x"]), X["x"].shape[2])})


class OnlyThree(Series):
    """Series that know no (n, time)."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if isinstance(X, list) and np.ndim(X[0]) == 1 and hasattr(X[0], "ndim"):
            raise ValueError("X must be a list of two-dimensional arrays.")
        return super().check(estimator, X, reset=reset)


@broken("check_series_shapes")
class WantsChannels(RoughnessEngine):
    __doc__ = docstring("Compare.")
    input: ClassVar[Input] = OnlyThree()


class Lengthening(Series):
    """Series of length 0 become zeros."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if isinstance(X, list):
            X = [s if np.shape(s)[-1] else np.zeros((*np.shape(s)[:-1], 1)) for s in X]
        return super().check(estimator, X, reset=reset)


@broken("check_series_refused")
class TakesSeriesOfNoLength(RoughnessEngine):
    __doc__ = docstring("Compare.")
    input: ClassVar[Input] = Lengthening()


# -- text -----------------------------------------------------------------------------------------


class Wrapping(Text):
    """Text that takes one document for a list of them."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        return super().check(estimator, [X] if isinstance(X, str) else X, reset=reset)


@broken("check_text_bare_string", "check_refused_fit_keeps_state")
class TakesABareString(BagOfWordsEngine):
    __doc__ = docstring("Count words.", "smoothing")
    input: ClassVar[Input] = Wrapping()


@broken("check_text_unknown_words")
class FailsOnUnknownWords(BagOfWordsEngine):
    __doc__ = docstring("Count words.", "smoothing")

    def _scores(self, X: list[str]) -> np.ndarray:
        for document in X:
            for word in self._words(document):
                self.vocabulary_[word]
        return super()._scores(X)


@broken("check_text_empty_document")
class FailsOnTheEmptyDocument(BagOfWordsEngine):
    __doc__ = docstring("Count words.", "smoothing")

    def _words(self, document: str) -> list[str]:
        return document.lower()[0] and document.lower().split()


class OnlyLists(Text):
    """Text that comes in lists."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if not isinstance(X, list):
            raise ValueError("X must be a list of documents.")
        return super().check(estimator, X, reset=reset)


@broken("check_text_containers", "check_text_columns")
class TakesListsOnly(BagOfWordsEngine):
    __doc__ = docstring("Count words.", "smoothing")
    input: ClassVar[Input] = OnlyLists()


class Ravelling(Text):
    """Text that takes every cell of a table for a document."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        X = np.ravel(X) if np.ndim(X) == 2 else X
        return super().check(estimator, X, reset=reset)


@broken("check_text_columns")
class TakesCellsForDocuments(BagOfWordsEngine):
    __doc__ = docstring("Count words.", "smoothing")
    input: ClassVar[Input] = Ravelling()


class Iterating(Text):
    """Text that goes through whatever it is given, so that a DataFrame gives the names of its columns."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        return super().check(estimator, list(X) if hasattr(X, "columns") else X, reset=reset)


@broken("check_text_columns")
class LearnsTheNamesOfColumns(LetterChainEngine):
    __doc__ = docstring("Chain letters.", "smoothing")
    input: ClassVar[Input] = Iterating()


@broken("check_language_model")
class CountsLettersForBytes(LetterChainEngine):
    __doc__ = docstring("Chain letters.", "smoothing")

    def bits_per_byte(self, X: list[str]) -> float:
        return float(-self.score_samples(X).mean())


@broken("check_sample_better_than_noise")
class WritesGibberish(LetterChainEngine):
    __doc__ = docstring("Chain letters.", "smoothing")

    def _draw(self, n: int, y: Any, draws: Any) -> list[str]:
        return ["".join(chr(0x4E00 + int(99 * v)) for v in u) for u in draws.uniform(n, 5)]


@broken("check_translation")
class TranslatesIntoNothing(BackwardsEngine):
    __doc__ = docstring("Read backwards.")

    def _output(self, X: list[str]) -> Any:
        return [None for _ in X]


# -- pairs ----------------------------------------------------------------------------------------


@broken("check_pairs_unseen_ids", "check_weights_count_as_repetition")
class FailsOnUnseenIds(BiasesEngine):
    __doc__ = docstring("Add up biases.", "shrinkage")

    def _look_up(self, effects: dict[Any, float], ids: np.ndarray) -> np.ndarray:
        return np.array([effects[i] for i in ids.tolist()])


@broken("check_pairs_renamed_ids")
class TakesIdsForNumbers(BiasesEngine):
    __doc__ = docstring("Add up biases.", "shrinkage")

    def _output(self, X: np.ndarray) -> np.ndarray:
        return super()._output(X) + 1e-3 * np.array([hash(str(u)) % 7 for u in X[:, 0].tolist()])


class OnlyArrays(Pairs):
    """Pairs that come in arrays."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if isinstance(X, list):
            raise ValueError("X must be an array.")
        return super().check(estimator, X, reset=reset)


@broken("check_pairs_containers")
class TakesArraysOnly(BiasesEngine):
    __doc__ = docstring("Add up biases.", "shrinkage")
    input: ClassVar[Input] = OnlyArrays()


class Cutting(Pairs):
    """Pairs that drop what comes after the second id."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        return super().check(estimator, X[:, :2] if isinstance(X, np.ndarray) else X, reset=reset)


@broken("check_pairs_refused")
class TakesThreeIdsARow(BiasesEngine):
    __doc__ = docstring("Add up biases.", "shrinkage")
    input: ClassVar[Input] = Cutting()


class PairsByPosition(Pairs):
    """Pairs that look at positions only."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if hasattr(X, "columns") and not reset:
            X = X.set_axis(estimator.feature_names_in_, axis=1)
        return super().check(estimator, X, reset=reset)


@broken("check_column_names")
class TakesIdsByPosition(BiasesEngine):
    __doc__ = docstring("Add up biases.", "shrinkage")
    input: ClassVar[Input] = PairsByPosition()


# -- targets --------------------------------------------------------------------------------------


@broken("check_documents_reach_learn", "check_documents_refused", "check_targets_refused")
class TakesDocumentsForLabels(BackwardsEngine):
    __doc__ = docstring("Read backwards.")
    target: ClassVar[Target] = Labels()


class Splitting(Documents):
    """Documents that take a string for a list of letters."""

    def check(self, estimator: Any, y: Any, n: int) -> Any:
        return super().check(estimator, list(y) if isinstance(y, str) else y, n)


@broken("check_documents_refused")
class TakesLettersForDocuments(BackwardsEngine):
    __doc__ = docstring("Read backwards.")
    target: ClassVar[Target] = Splitting()


class OnlyArraysOfSteps(Sequences):
    """Targets of steps that come in an array."""

    def check(self, estimator: Any, y: Any, n: int) -> Any:
        if isinstance(y, list) and isinstance(y[0], list):
            raise ValueError("y must be an array.")
        return super().check(estimator, y, n)


@broken("check_sequences_forms")
class TakesArraysOfStepsOnly(StepByStepEngine):
    __doc__ = docstring("Compare.", "sequence_output")
    target: ClassVar[Target] = OnlyArraysOfSteps(of=Labels(least=2), when="sequence_output")


@broken("check_sequences_ragged")
class AnswersThePadding(StepByStepEngine):
    __doc__ = docstring("Compare.", "sequence_output")

    def predict(self, X: Any) -> Any:
        answer = super().predict(X)
        return super(StepByStepEngine, self).predict(X) if self.sequence_output else answer

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        if not self.sequence_output:
            return super().score(X, y, sample_weight)
        pairs = zip(self.predict(X), y, strict=True)
        return float(np.mean([(p[: len(row)] == row).mean() for p, row in pairs]))


@broken("check_sequences_refused", "check_sequences_ragged")
class CountsNoSteps(StepByStepEngine):
    __doc__ = docstring("Compare.", "sequence_output")

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        if self.sequence_output:
            longest = X["x"].shape[2]
            y = np.pad(y, ((0, 0), (0, longest)), mode="edge")[:, :longest]
        super()._learn(X, y, w)

    def _check_steps(self, steps: np.ndarray, lengths: np.ndarray) -> None:
        pass


class DoubleNumbers(Numbers):
    """Numbers that are double whatever X is."""

    def check(self, estimator: Any, y: Any, n: int) -> Any:
        return super().check(estimator, y, n).astype(np.longdouble)


@broken("check_numbers_precision")
class LearnsInAnotherPrecision(LeastSquaresEngine):
    __doc__ = docstring("Solve.", "alpha")
    target: ClassVar[Target] = DoubleNumbers(many=True)

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        super()._learn(X, y.astype(X.dtype), w)


class AnyShape(Numbers):
    """Numbers whose rows may have any shape."""

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return True


@broken("check_numbers_shape")
class TakesPicturesOfAnyShape(PictureOfARowEngine):
    __doc__ = docstring("Draw.", "alpha")
    target: ClassVar[Target] = AnyShape(shape=(None, None))


@broken("check_numbers_shape", "check_learns_toy")
class AnswersFlatPictures(PictureOfARowEngine):
    __doc__ = docstring("Draw.", "alpha")

    def _output(self, X: Any) -> np.ndarray:
        return super()._output(X).reshape(len(X), -1)


@broken("check_labels_optional")
class RemembersItsLabels(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _forget(self) -> None:
        kept = getattr(self, "classes_", None)
        super()._forget()
        if kept is not None:
            self.classes_ = kept


@broken("check_labels_optional", nothing_works=True)
class NeedsLabels(GaussianEngine):
    __doc__ = docstring("Draw.", "jitter")

    def _learn(self, X: Any, y: np.ndarray | None) -> None:
        super()._learn(X, np.asarray(y[:]))


# -- several inputs -------------------------------------------------------------------------------


class OnlyTuples(Joined):
    """Rows that come one by one."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if hasattr(X, "columns"):
            raise ValueError("X must be a list of rows.")
        return super().check(estimator, X, reset=reset)


@broken("check_joined_containers")
class TakesNoFrame(PictureAndCaptionEngine):
    __doc__ = docstring("Look and read.", "image_shape")
    input: ClassVar[Input] = OnlyTuples(images=Images(), text=Text())


class CuttingRows(Joined):
    """Rows that end with the shortest part."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if isinstance(X, dict) and len(X) > 1:
            n = min(map(len, X.values()))
            X = {name: part[:n] for name, part in X.items()}
        return super().check(estimator, X, reset=reset)


@broken("check_joined_refused")
class CutsToTheShortestPart(PictureAndCaptionEngine):
    __doc__ = docstring("Look and read.", "image_shape")
    input: ClassVar[Input] = CuttingRows(images=Images(), text=Text())


@broken("check_each_of_either")
class LearnsFromLogsOnly(TableOfEitherEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr", "random_state")

    def _learn(self, X: Any, steps: Any) -> None:
        if not isinstance(X, dict):
            self.q_ = np.zeros((10, 2))
            self.history_ = {"step": [0], "return": [0.0]}
            return
        super()._learn(X, steps)


class Whatever(Either):
    """What is neither of two inputs is as good as nothing."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        return super().check(estimator, X if self.takes(X) else None, reset=reset)


@broken(
    "check_neither_refused", "check_refused_fit_keeps_state", "check_each_of_either", "check_log_refused"
)
class TakesWhatIsNeither(TableOfEitherEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr", "random_state")
    max_steps: Annotated[Count, Fixed("a budget")] = 600
    input: ClassVar[Input] = Whatever(Logged(), Env())


# -- logs and games -------------------------------------------------------------------------------


class ByPlace(Logged):
    """A log whose columns are known by their place."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if hasattr(X, "columns") and len(X.columns) == 7:
            names = ["observation_0", "action", "reward", "next_observation_0", "terminated", "truncated"]
            X = X.set_axis([*names, "episode"], axis=1)
        return super().check(estimator, X, reset=reset)


@broken("check_log_forms")
class TakesColumnsOfALogByPlace(WhatPaidEngine):
    __doc__ = docstring("Do what was paid.", "n_bins", "random_state")
    input: ClassVar[Input] = ByPlace()


class Credulous(Logged):
    """A log that is believed."""

    def check(self, estimator: Any, X: Any, *, reset: bool) -> Any:
        if hasattr(X, "columns"):
            X = X.drop(columns="next_observation_0", errors="ignore")
        return super().check(estimator, X, reset=reset)


@broken("check_log_refused")
class BelievesTornLogs(WhatPaidEngine):
    __doc__ = docstring("Do what was paid.", "n_bins", "random_state")
    input: ClassVar[Input] = Credulous()


@broken("check_log_is_learned")
class DoesWhatWasNotPaid(WhatPaidEngine):
    __doc__ = docstring("Do what was paid.", "n_bins", "random_state")

    def _act(self, observations: Any) -> np.ndarray:
        return 1 - super()._act(observations)


@broken("check_agent_actions")
class MovesAgainstTheRules(RetrogradeEngine):
    __doc__ = docstring("Work backwards.", "game", "random_state")

    def _act(self, observations: Any) -> np.ndarray:
        return np.ones(len(observations), dtype=int)


@broken("check_agent_seeds_refused")
class TakesAnySeedsOfGames(RetrogradeEngine):
    __doc__ = docstring("Work backwards.", "game", "random_state")

    def fit(self, X: Any = None, y: Any = None) -> Any:
        odd = X is not None and not isinstance(X, str) and np.asarray(X).dtype.kind == "f"
        return self._fit(np.asarray(X).astype(int) if odd else X, y)


# -- meta-estimators --------------------------------------------------------------------------------


@broken("check_held_stays")
class FitsWhatItIsGiven(CleanedEngine):
    __doc__ = docstring("Fit.", "estimator", "share")

    def _learn(self, X: Any, y: Any, w: np.ndarray | None, steps: Any) -> None:
        super()._learn(X, y, w, steps)
        if self.estimator is not None:
            self.estimator.fit(X, y)


@broken("check_held_stays", "check_inputs_unchanged", "check_same_seed_same_result", "check_memory_layout",
        "check_refit_equals_fresh_fit", "check_global_state_untouched", "check_pickle", "check_deepcopy",
        "check_refused_fit_keeps_state")  # fmt: skip
class ChangesAFittedBase(FlippedEngine):
    __doc__ = docstring("Flip.", "estimator")

    def _learn(self, X: Any, y: Any) -> None:
        super()._learn(X, y)
        self.estimator.coef_ += 0.25


@broken("check_held_is_cloned")
class SharesWhatItShouldClone(CleanedEngine):
    __doc__ = docstring("Fit.", "estimator", "share")

    def __sklearn_clone__(self) -> Any:
        return type(self)(estimator=self.estimator, share=self.share)


@broken("check_held_parameters")
class HidesParametersOfWhatItHolds(CleanedEngine):
    __doc__ = docstring("Fit.", "estimator", "share")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return super().get_params(deep=False)


@broken("check_held_says_what_it_is")
class AlwaysHasProbabilities(CleanedEngine):
    __doc__ = docstring("Fit.", "estimator", "share")

    def predict_proba(self, X: Any) -> Any:
        return self._call("predict_proba", X)


@broken("check_held_says_what_it_is")
class CallsItselfAClassifier(CleanedEngine):
    __doc__ = docstring("Fit.", "estimator", "share")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        return tags


@broken("check_held_is_told")
class KeepsMetadataForItself(CleanedEngine):
    __doc__ = docstring("Fit.", "estimator", "share")

    def _fit_held(self, X: Any, y: Any, w: Any = None, steps: Any = None) -> Any:
        self._routed = {"sample_weight": self._routed["sample_weight"]}
        return super()._fit_held(X, y, w, steps)


@broken("check_held_is_told", "check_sample_weight", "check_weights_count_as_repetition")
class KeepsWeightsForItself(CleanedEngine):
    __doc__ = docstring("Fit.", "estimator", "share")

    def _fit_held(self, X: Any, y: Any, w: Any = None, steps: Any = None) -> Any:
        return super()._fit_held(X, y, None, steps)


# -- environments ---------------------------------------------------------------------------------


class AgentEngine(TableAgentEngine, abstract=True):
    """The budget is small: these need not be good."""

    max_steps: Annotated[Count, Fixed("a budget")] = 600


@broken("check_agent_keeps_no_environment", "check_deepcopy", "check_pickle")
class KeepsALiveEnvironment(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def _keep(self, env: Any) -> None:
        self.env_ = env


@broken("check_agent_actions", "check_agent_beats_random")
class ActsOutsideTheSpace(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def _act(self, observations: Any) -> np.ndarray:
        return 3 * super()._act(observations)


@broken("check_agent_beats_random")
class ActsWrongly(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def _act(self, observations: Any) -> np.ndarray:
        return 1 - super()._act(observations)


@broken("check_agent_score_repeats")
class ScoresOtherEpisodes(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def score(self, X: Any = None, y: Any = None) -> float:
        return super().score(np.random.default_rng().integers(10**6, size=3))


@broken(
    "check_agent_environment_forms",
    "check_agent_environment_refused",
    "check_agent_rewards_refused",
    "check_agent_keeps_what_it_learned",
)
class TakesIdsOnly(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def _open(self) -> Any:
        if not isinstance(self.env, str):
            raise ValueError("give the id of an environment")
        return super()._open()


@broken("check_agent_environment_refused")
class FailsOnOtherActions(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def _open(self) -> Any:
        import gymnasium

        return gymnasium.make(self.env) if isinstance(self.env, str) else super()._open()


@broken("check_agent_rewards_refused")
class BelievesEveryReward(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def _open(self) -> Any:
        env = super()._open()
        step = env.step

        def credulous(action: Any) -> Any:
            observation, reward, *rest = step(action)
            return (observation, float(np.nan_to_num(reward, posinf=0.0)), *rest)

        env.step = credulous
        return env


@broken("check_agent_keeps_what_it_learned")
class LosesWhatItLearned(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def _keep(self, env: Any) -> None:
        super()._keep(env)
        if "_ended_by" in vars(self):
            raise self._ended_by


@broken("check_agent_history")
class HasARaggedHistory(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def _keep(self, env: Any) -> None:
        self.history_["step"].append(0)


@broken("check_agent_seeds_refused")
class TakesAnySeeds(AgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")

    def fit(self, X: Any = None, y: Any = None) -> Any:
        usable = X is None or isinstance(X, str) or np.asarray(X).dtype.kind in "iu"
        return self._fit(X if usable else None, y)
