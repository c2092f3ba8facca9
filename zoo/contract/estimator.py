"""The estimator: `X, y -> check -> learn -> fitted_attributes_ -> predict`.

A leaf of the zoo declares its parameters as annotated fields and writes the mathematics: ``_learn``
and one of ``_output``, ``_scores``, ``_proba``, ``_draw``, ``_act``. Everything public is written once,
here and in the roles.

How to write a leaf
-------------------
``_learn`` names what it wants, from ``X, y, w, val, resume, steps``; the public signature follows:

- ``w``: sample weights (None when nobody weighs; rows of weight 0 are gone). ``class_weight`` is
  folded in.
- ``val``: None or ``(X, y, w)``, checked like the training data.
- ``resume``: True when fitting goes on (``warm_start``, ``partial_fit``). partial_fit is a fit of
  one step: ``steps`` ends after the first.
- ``steps``: ``for epoch in steps(n, "epoch"):`` runs scikit-learn's callbacks; a callback may end it.

``_learn`` sets the fitted attributes (before the first step when it loops, so that a callback sees
a true snapshot). A fit that fails leaves the estimator as it was before.

A class statement with ``abstract=True`` makes a role or an engine; every other class is a leaf, and
nobody subclasses a leaf. A role declares itself with ``role="Name"``.
"""

import itertools
from typing import Any, ClassVar, Self, dataclass_transform

import numpy as np
from sklearn.base import BaseEstimator, _clone_parametrized
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from zoo.contract.cards import Card, read_card
from zoo.contract.declaring import (
    collect_fields,
    declare_fit,
    field,
    make_init,
    name_fits,
    stand_in,
    where_it_goes_on,
)
from zoo.contract.docstrings import complete_docstring
from zoo.contract.drawing import history_chart
from zoo.contract.inputs import Input, Table, n_rows, take, to_dtype
from zoo.contract.notices import warn
from zoo.contract.params import Holds, did_you_mean, fields_of, mark_of, validate
from zoo.contract.shapes import RowsLike, TargetsLike, WeightsLike
from zoo.contract.steps import Steps
from zoo.contract.targets import Nothing, Target, rows_of

_RANKS = itertools.count()


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class Estimator(CallbackSupportMixin, BaseEstimator):
    """Parameters as annotated fields, one fit, one contract."""

    input: ClassVar[Input] = Table()
    target: ClassVar[Target] = Nothing()
    abstract: ClassVar[bool] = True
    learns: ClassVar[tuple[str, ...]] = ()
    # What ``_learn`` must name, and why; a role adds to it.
    must_learn: ClassVar[dict[str, str]] = {}
    # Excuses from conformance checks: name of the check -> reason.
    excused: ClassVar[dict[str, str]] = {}
    # Parameters for toy data of unit size, where a default is made for larger numbers.
    on_toy_data: ClassVar[dict[str, Any]] = {}
    _own_defaults: ClassVar[dict[str, Any]] = {}
    _defaults: ClassVar[dict[str, Any]] = {}
    _options: ClassVar[tuple[str, ...]] = ()

    # -- making a class -----------------------------------------------------------------------

    def __init_subclass__(cls, abstract: bool = False, role: str | None = None, **kwargs: Any) -> None:
        cls.abstract = abstract
        if role is not None:
            cls.role, cls.role_rank = role, next(_RANKS)
        for base in cls.__mro__[1:]:
            if issubclass(base, Estimator) and not base.abstract:
                raise TypeError(
                    f"{cls.__name__} subclasses the leaf {base.__name__}; leaves are final: move "
                    "what they share to an abstract class or an engine."
                )
        if "__init__" in vars(cls):
            raise TypeError(
                f"{cls.__name__} writes its own __init__; parameters are annotated fields, and the base "
                "makes the constructor from them."
            )
        collect_fields(cls)
        cls.__init__ = make_init(cls)  # type: ignore[method-assign]
        if cls._learn is not Estimator._learn:
            declare_fit(cls)
        if not abstract:
            cls.__doc__ = complete_docstring(cls)
        super().__init_subclass__(**kwargs)

    role: ClassVar[str]
    role_rank: ClassVar[int]

    @classmethod
    def card(cls) -> Card:
        """Return the card of this method: what it is, takes, gives and can do."""
        return read_card(cls)

    # -- scikit-learn's protocol ----------------------------------------------------------------

    def __sklearn_tags__(self) -> Tags:
        """Describe the estimator to scikit-learn: role, input and target."""
        tags = super().__sklearn_tags__()
        self.input.set_tags(tags)
        self.target.set_tags(tags)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether a fit has been completed."""
        return bool(self.__dict__.get("_fitted_"))

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy; a fitted estimator that is held is shared, not copied."""
        shared = {name: getattr(self, name) for name in self._shares()}
        if not shared:
            twin: Self = _clone_parametrized(self)
            return twin
        bare = type(self).__new__(type(self))
        bare.__dict__.update(vars(self) | dict.fromkeys(shared))
        twin = _clone_parametrized(bare)
        twin.__dict__.update(shared)
        return twin

    @classmethod
    def _shares(cls) -> list[str]:
        """Name the fields that hold a fitted estimator."""
        marks = {name: mark_of(f.hint, Holds) for name, f in fields_of(cls).items()}
        return [name for name, mark in marks.items() if mark is not None and mark.fitted]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of estimators that are held, as ``name__parameter``.

        Returns
        -------
        params : dict
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        return params | {name: vars(self)[name] for name in vars(self) if self._is_option(name)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, those of a held estimator as ``name__parameter``.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
        """
        for name in [name for name in params if self._is_option(name)]:
            setattr(self, name, params.pop(name))
        for name in params:
            head, _, rest = name.partition("__")
            if rest and head in self._shares():
                raise ValueError(
                    f"{type(self).__name__}: {name} reaches into {head}, which is fitted and shared; set "
                    f"parameters before it is fitted, or give another {head}."
                )
            if head not in self._defaults:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}: it has no parameter "
                    f"{head!r}.{did_you_mean(head, list(self._defaults))} "
                    f"Valid parameters are: {sorted(self._defaults)}."
                )
        super().set_params(**params)
        return self

    @classmethod
    def _is_option(cls, name: str) -> bool:
        """Tell whether this is a parameter of something that the estimator is given, as module__width."""
        return name.startswith(tuple(f"{prefix}__" for prefix in cls._options))

    def _html_repr(self) -> str:
        """Draw scikit-learn's diagram, and beneath it the card and how the training went."""
        history = history_chart(getattr(self, "history_", {}), f"Training of {type(self).__name__}")
        return super()._html_repr() + self.card()._repr_html_() + (history or "")

    # -- fit --------------------------------------------------------------------------------------
    # A class whose _learn is known gets functions of its own signature (`declaring`); editors and type
    # checkers read these.

    @stand_in
    def fit(
        self,
        X: RowsLike,
        y: TargetsLike | None = None,
        sample_weight: WeightsLike | None = None,
        **metadata: Any,
    ) -> Self:
        """Fit to X (and y).

        Parameters
        ----------
        X : array-like or the container of this estimator's input
            Training data.
        y : array-like, optional
            Targets, where the method has any.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0; a row of weight 0 counts as absent.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, optional
            Validation data. A search slices X only: inside GridSearchCV use ``validation_fraction``.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, **metadata)

    @where_it_goes_on
    def partial_fit(self, X: RowsLike, y: TargetsLike | None = None, *weights: Any, **metadata: Any) -> Self:
        """Go on learning with one more pass over X.

        Parameters
        ----------
        X : array-like or the container of this estimator's input
            Training data.
        y : array-like, optional
            Targets, where the method has any.
        classes : array-like, optional
            All labels that will ever come; needed at the first call when y lacks some of them.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, *weights, partial=True, **metadata)

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        val: tuple[Any, Any, Any] = (None, None, None),
        *,
        partial: bool = False,
        classes: Any = None,
    ) -> Self:
        before = dict(vars(self))
        goes_on = "resume" in self.learns and getattr(self, "warm_start", False)
        resume = self.__sklearn_is_fitted__() and (partial or goes_on)
        try:
            validate(self)
            if not resume:
                self._forget()
            data = self._check_training(X, y, sample_weight, resume=resume, classes=classes)
            if "val" in self.learns:
                data["val"] = self._check_validation(*val)
            steps = Steps(self, X, y, sample_weight, limit=1 if partial else None, resume=resume)
            data.update(resume=resume, steps=steps)
            self._learn(**{name: data[name] for name in self.learns})
            steps.finish()
        except BaseException as error:
            # An engine that was interrupted in a usable state has said so by setting _fitted_.
            if isinstance(error, Exception) or not self.__sklearn_is_fitted__():
                self._restore(before)
            raise
        self.__dict__.pop("_kept", None)
        self._fitted_ = True
        return self

    def _forget(self) -> None:
        """Drop what an earlier fit learned."""
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("__")]:
            delattr(self, name)

    def _restore(self, state: dict[str, Any]) -> None:
        # Callback contexts are torn down by scikit-learn afterwards and must survive.
        kept = {n: v for n, v in vars(self).items() if "callback" in n}
        self.__dict__.clear()
        self.__dict__.update(state | kept)

    # -- what comes in ------------------------------------------------------------------------------

    def _check_training(
        self, X: Any, y: Any, sample_weight: Any, *, resume: bool, classes: Any
    ) -> dict[str, Any]:
        if y is None and self.target.required:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        X = self.input.check(self, X, reset=not resume)
        if X is None:  # seeds that nobody chose
            return {"X": None, "y": None, "w": None}
        if not resume:
            self.dtype_ = self._precision(X)
        X = to_dtype(X, self.dtype_)
        n = n_rows(X)
        w = self._check_weights(sample_weight, n)
        asked = "y" in self.learns or self.target.required
        y = self.target.check(self, y, n) if asked else None
        self._kept: np.ndarray | None = None
        if w is not None and (w == 0).any():
            X, y, w = self._drop_weightless(X, y, w, told=resume or classes is not None)
        y = self.target.encode(self, y, resume=resume, classes=classes)
        return {"X": X, "y": y, "w": self._weigh(y, w, resume=resume)}

    def _precision(self, X: Any) -> np.dtype:
        """Precision follows the input; an engine may offer another."""
        return self.input.precision(X)

    def _check_weights(self, sample_weight: Any, n: int) -> np.ndarray | None:
        if sample_weight is None:
            return None
        w = _check_sample_weight(
            sample_weight,
            np.empty((n, 1), dtype=self.dtype_),
            dtype=self.dtype_,
            ensure_non_negative=True,
            allow_all_zero_weights=False,
        )
        return np.asarray(w)

    def _drop_weightless(
        self, X: Any, y: Any, w: np.ndarray, *, told: bool
    ) -> tuple[Any, Any, np.ndarray]:
        """Drop rows of weight 0; ``_kept`` has the numbers of the others, in the user's counting."""
        self._kept = kept = np.flatnonzero(w)
        pairwise = self.__sklearn_tags__().input_tags.pairwise
        X = X[np.ix_(kept, kept)] if pairwise else take(X, kept)
        left = rows_of(y, kept)
        # Whoever was told of all classes misses none.
        lost = [] if told or y is None or len(kept) == len(w) else self.target.left_out(y, left)
        if lost:
            warn(
                f"{type(self).__name__}: every row of class {', '.join(map(repr, lost))} has "
                "weight 0, so the class is left out; give one of its rows a weight > 0 to keep it."
            )
        return X, left, w[kept]

    def _weigh(self, y: Any, w: np.ndarray | None, *, resume: bool) -> np.ndarray | None:
        """Return the weights as ``_learn`` sees them; a role may fold in what y says."""
        return w

    def _check_validation(
        self, X_val: Any, y_val: Any, w_val: Any
    ) -> tuple[Any, Any, np.ndarray | None] | None:
        if X_val is None:
            if y_val is not None:
                raise ValueError("y_val was given without X_val; give both or neither.")
            return None
        if y_val is None and self.target.required:
            raise ValueError("X_val was given without y_val; give both or neither.")
        X = to_dtype(self.input.check(self, X_val, reset=False), self.dtype_)
        n = n_rows(X)
        w = self._check_weights(w_val, n)
        y = None if y_val is None else self.target.check(self, y_val, n)
        y = self.target.encode(self, y, resume=True, name="y_val")
        return X, y, self._weigh(y, w, resume=True)

    def _learn(self, **data: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not say how it learns")

    def _random_source(self) -> np.random.RandomState:
        """Return the generator that ``random_state`` means; None never means the shared one."""
        state = getattr(self, "random_state", None)
        return check_random_state(np.random.RandomState() if state is None else state)

    def _checked(self, X: Any) -> Any:
        """Return X checked against what was fitted, in the precision of the fit."""
        check_is_fitted(self)
        return to_dtype(self.input.check(self, X, reset=False), self.dtype_)


name_fits(Estimator)
