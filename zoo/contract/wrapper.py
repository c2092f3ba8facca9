"""Meta-estimators: what they hold says what they eat, give back and can do."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from zoo.contract.declaring import field
from zoo.contract.estimator import Estimator
from zoo.contract.inputs import Held, Input
from zoo.contract.params import Method
from zoo.contract.targets import AsHeld, Target


def _held_has(name: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(self._held(), name)


class Wrapper(Estimator, abstract=True, role="Wrapper"):
    """A meta-estimator: its input, roles, tags and capabilities are those of what it holds, per instance.

    A leaf writes ``_learn``, which fits what is held by ``self._fit_held(X, y, w, steps)`` (as often as it
    likes) and sets ``estimator_``; and ``_default()`` where ``estimator=None`` means something. What
    ``estimator_`` can do, the leaf offers: predict, predict_proba, transform ... go to it unless the leaf
    writes them itself. X and y reach ``_learn`` as the user gave them, less rows of weight 0.

    A leaf that shares a fitted estimator restates ``estimator: FittedMethod``; clones and searches
    then leave it as it is, to the bit.

    Parameters
    ----------
    estimator : estimator or None, default=None
        What is held.

    Attributes
    ----------
    estimator_ : estimator
        What was fitted.
    """

    input: ClassVar[Input] = Held()
    target: ClassVar[Target] = AsHeld()

    estimator: Method | None = field(default=None, kw_only=False)

    # -- what is held -----------------------------------------------------------------------------

    def _default(self) -> Any:
        """Return what ``estimator=None`` means."""
        raise ValueError(f"{type(self).__name__}: estimator=None is not accepted; give an estimator.")

    def _base(self) -> Any:
        """Return the estimator that was given, or the default one."""
        return self._default() if self.estimator is None else self.estimator

    def _held(self) -> Any:
        """Return the fitted estimator, or before a fit the one that will be fitted."""
        return vars(self).get("estimator_") if "estimator_" in vars(self) else self._base()

    def __sklearn_tags__(self) -> Tags:
        """Describe the wrapper to scikit-learn as what it holds."""
        tags, held = super().__sklearn_tags__(), self._held()
        if not hasattr(held, "__sklearn_tags__"):
            return tags  # what is no estimator is refused by fit, in a sentence
        of_held = get_tags(held)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "transformer_tags",
                     "input_tags", "target_tags", "non_deterministic"):  # fmt: skip
            setattr(tags, name, getattr(of_held, name))
        return tags

    # -- learning ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **metadata: Any) -> Self:
        """Fit to X (and y).

        Parameters
        ----------
        X, y : as the held estimator takes them
            Training data.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0, where the held estimator takes them.
        **metadata : dict
            Goes to the held estimator's fit; with metadata routing, what it has requested.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        if sample_weight is not None and "w" not in self.learns:
            raise ValueError(f"{type(self).__name__} takes no sample_weight; leave it out.")
        self._routed = self._route(sample_weight, metadata)
        try:
            return self._fit(X, y, sample_weight)
        finally:
            del self._routed

    def _route(self, sample_weight: Any, metadata: dict[str, Any]) -> dict[str, Any]:
        """Return what else the held estimator's fit is given, and whether the weights are meant for it."""
        if not get_config()["enable_metadata_routing"]:
            return metadata | {"sample_weight": sample_weight is not None}
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        routed: dict[str, Any] = dict(process_routing(self, "fit", **metadata, **weights).estimator.fit)
        return routed | {"sample_weight": "sample_weight" in routed}

    def get_metadata_routing(self) -> MetadataRouter:
        """Say to scikit-learn that what fit is given goes on to the held estimator."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self._base(), method_mapping=mapping)

    def _fit_held(self, X: Any, y: Any, w: np.ndarray | None = None, steps: Any = None) -> Any:
        """Return a clone of what is held, fitted; callbacks of the wrapper see inside it."""
        held, more = clone(self._base()), dict(self._routed)
        weights = {}
        if more.pop("sample_weight") and w is not None:
            if not has_fit_parameter(held, "sample_weight"):
                raise ValueError(
                    f"{type(self).__name__} was given sample_weight, but {type(held).__name__}.fit takes "
                    "none; leave the weights out, or hold another estimator."
                )
            weights["sample_weight"] = w
        context: AbstractContextManager[Any] = nullcontext() if steps is None else steps.hand_on(held)
        with context:
            return held.fit(X, y, **weights, **more)

    # -- what it gives -----------------------------------------------------------------------------

    @property
    def classes_(self) -> np.ndarray:
        """The classes of what is held."""
        return self._of_fitted("classes_")

    @property
    def n_features_in_(self) -> int:
        """The columns of X."""
        return self._of_fitted("n_features_in_")

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The names of the columns of X."""
        return self._of_fitted("feature_names_in_")

    def _of_fitted(self, name: str) -> Any:
        if "estimator_" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r} before fit")
        return getattr(self.estimator_, name)

    def _call(self, name: str, *args: Any, **options: Any) -> Any:
        check_is_fitted(self)
        return getattr(self.estimator_, name)(*args, **options)

    @available_if(_held_has("predict"))
    def predict(self, X: Any, **options: Any) -> Any:
        """Return what the held estimator predicts."""
        return self._call("predict", X, **options)

    @available_if(_held_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the held estimator."""
        return self._call("predict_proba", X)

    @available_if(_held_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of the held estimator's probabilities."""
        return self._call("predict_log_proba", X)

    @available_if(_held_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Return the scores of the held estimator."""
        return self._call("decision_function", X)

    @available_if(_held_has("transform"))
    def transform(self, X: Any) -> Any:
        """Return the representation of the held estimator."""
        return self._call("transform", X)

    @available_if(_held_has("transform"))
    def fit_transform(self, X: Any, y: Any = None, **metadata: Any) -> Any:
        """Fit, and return the representation of X."""
        return self.fit(X, y, **metadata).transform(X)

    @available_if(_held_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Name the columns that ``transform`` gives."""
        return self._call("get_feature_names_out", input_features)

    @available_if(_held_has("set_output"))
    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the container that ``transform`` gives.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            The container.

        Returns
        -------
        self : object
        """
        for held in (self.estimator, vars(self).get("estimator_")):
            if held is not None:
                held.set_output(transform=transform)
        return self

    @available_if(_held_has("score_samples"))
    def score_samples(self, X: Any) -> Any:
        """Return the scores of rows."""
        return self._call("score_samples", X)

    @available_if(_held_has("sample"))
    def sample(self, n_samples: int = 1, **options: Any) -> Any:
        """Draw new rows."""
        return self._call("sample", n_samples, **options)

    @available_if(_held_has("score"))
    def score(self, X: Any, y: Any = None, **options: Any) -> float:
        """Return the held estimator's score."""
        return float(self._call("score", X, y, **options))


