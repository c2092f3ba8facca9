"""The estimator and its roles: `X, y -> check -> learn -> fitted_attributes_ -> predict`.

This is the only file that subclasses scikit-learn. A leaf of the zoo declares its parameters as
annotated fields and writes the mathematics: ``_learn`` and one of ``_output``, ``_scores``,
``_proba``, ``_draw``. Everything public is written here, once.

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
nobody subclasses a leaf.
"""

import inspect
import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal, Self, get_origin

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import Tags, check_random_state, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from zoo.contract.cards import Card, complete_docstring, read_card
from zoo.contract.drawing import history_chart
from zoo.contract.inputs import Env, Input, Table, n_rows, take, to_dtype
from zoo.contract.logits import log_softmax, softmax
from zoo.contract.params import REQUIRED, Fixed, Seed, did_you_mean, validate

from typing import Annotated, dataclass_transform  # isort: skip

LEARN_NAMES = ("X", "y", "w", "val", "resume", "steps")


# -- steps ----------------------------------------------------------------------------------


class Steps:
    """The loop counter of ``_learn`` and its bridge to scikit-learn's callbacks.

    With no callbacks set it hands out a plain range, so it costs nothing. A level that is left by
    ``break`` is closed when the level above moves on, or when ``_learn`` returns.
    """

    def __init__(
        self, estimator: "Estimator", X: Any, y: Any, w: Any = None, limit: int | None = None
    ) -> None:
        self._estimator = estimator
        self._data = {"X": X, "y": y, "metadata": None if w is None else {"sample_weight": w}}
        self._limit = limit
        self._root: Any = None
        self._open: list[Any] = []

    @property
    def one_pass(self) -> bool:
        """Whether this is ``partial_fit``: the loop ends after its first step."""
        return self._limit == 1

    def __call__(
        self, n: int | None, name: str = "iteration", *, inner: int | None = 0
    ) -> Iterable[int]:
        """Count n steps (None: until the body breaks); ``inner`` steps nest in each of them."""
        if self._limit is not None and not self._open:
            n = self._limit if n is None else min(n, self._limit)
        if not getattr(self._estimator, "_skl_callbacks", None):
            return itertools.count() if n is None else range(n)
        if self._root is None:
            self._begin_fit(n)
        elif not self._open:
            raise RuntimeError(
                f"{type(self._estimator).__name__}._learn opens a second top-level loop; nest both "
                "in one: steps(k, 'phase', inner=n)."
            )
        return self._loop(n, name, inner)

    def _loop(self, n: int | None, name: str, inner: int | None) -> Iterable[int]:
        depth = len(self._open)
        parent = self._open[-1] if self._open else self._root
        for i in itertools.count() if n is None else range(n):
            context = parent.subcontext(task_name=name, max_subtasks=inner)
            context.call_on_fit_task_begin(estimator=self._estimator, **self._data)
            self._open.append(context)
            yield i
            if self._close(depth):
                return

    def _close(self, depth: int) -> bool:
        """End the contexts above ``depth``; tell whether a callback of the lowest asked to stop."""
        stop = False
        while len(self._open) > depth:
            stop = self._end(self._open.pop())
        return stop

    def _begin_fit(self, n: int | None) -> None:
        self._root = self._estimator._init_callback_context(max_subtasks=n)
        self._root.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def _end(self, context: Any) -> bool:
        return bool(
            context.call_on_fit_task_end(
                estimator=self._estimator,
                # The copy that callbacks get is fitted although the original is not done yet.
                reconstruction_attributes=lambda: {"_fitted_": True},
                **self._data,
            )
        )

    def finish(self) -> None:
        """Close what is open; called after ``_learn`` returned, not after it raised."""
        if getattr(self._estimator, "_skl_callbacks", None):
            if self._root is None:
                self._begin_fit(0)
            self._close(0)
            self._end(self._root)


# -- the four signatures of fit ---------------------------------------------------------------


def _fit(self: Any, X: Any, y: Any = None) -> Any:
    """Fit to X (and y).

    Parameters
    ----------
    X : array-like or the container of this estimator's input
        Training data.
    y : array-like, optional
        Targets, where the method has any.

    Returns
    -------
    self : object
        The fitted estimator.
    """
    return self._fit(X, y)


def _fit_weighted(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Fit to X (and y) with weights.

    Parameters
    ----------
    X : array-like or the container of this estimator's input
        Training data.
    y : array-like, optional
        Targets, where the method has any.
    sample_weight : array-like of shape (n,), optional
        Weights >= 0; a row of weight 0 counts as absent.

    Returns
    -------
    self : object
        The fitted estimator.
    """
    return self._fit(X, y, sample_weight)


def _fit_validated(self: Any, X: Any, y: Any = None, *, X_val: Any = None, y_val: Any = None) -> Any:
    """Fit to X (and y), watching validation data.

    Parameters
    ----------
    X : array-like or the container of this estimator's input
        Training data.
    y : array-like, optional
        Targets, where the method has any.
    X_val, y_val : like X and y, optional
        Validation data.

    Returns
    -------
    self : object
        The fitted estimator.
    """
    return self._fit(X, y, None, (X_val, y_val, None))


def _fit_weighted_validated(
    self: Any,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
) -> Any:
    """Fit to X (and y) with weights, watching validation data.

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
    return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))


_FITS = {
    (False, False): _fit,
    (True, False): _fit_weighted,
    (False, True): _fit_validated,
    (True, True): _fit_weighted_validated,
}
for _function in _FITS.values():
    _function.__name__ = _function.__qualname__ = "fit"


def _partial_fit(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Go on learning with one more pass over X.

    Parameters
    ----------
    X : array-like or the container of this estimator's input
        Training data.
    y : array-like, optional
        Targets, where the method has any.
    sample_weight : array-like of shape (n,), optional
        Weights >= 0.

    Returns
    -------
    self : object
        The fitted estimator.
    """
    return self._fit(X, y, sample_weight, partial=True)


def _partial_fit_classes(
    self: Any, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
) -> Any:
    """Go on learning with one more pass over X.

    Parameters
    ----------
    X : array-like or the container of this estimator's input
        Training data.
    y : array-like
        Class labels.
    classes : array-like, optional
        All labels that will ever come; needed at the first call when y lacks some of them.
    sample_weight : array-like of shape (n,), optional
        Weights >= 0.

    Returns
    -------
    self : object
        The fitted estimator.
    """
    return self._fit(X, y, sample_weight, partial=True, classes=classes)


for _function in (_partial_fit, _partial_fit_classes):
    _function.__name__ = _function.__qualname__ = "partial_fit"


# -- the estimator ------------------------------------------------------------------------------


@dataclass_transform(kw_only_default=True)
class Estimator(CallbackSupportMixin, BaseEstimator):
    """Parameters as annotated fields, one fit, one contract."""

    input: ClassVar[Input] = Table()
    multi_output: ClassVar[bool] = False
    needs_y: ClassVar[bool] = False
    abstract: ClassVar[bool] = True
    learns: ClassVar[tuple[str, ...]] = ()
    # Excuses from conformance checks: name of the check -> reason.
    excused: ClassVar[dict[str, str]] = {}
    _own_defaults: ClassVar[dict[str, Any]] = {}
    _defaults: ClassVar[dict[str, Any]] = {}

    # -- making a class -----------------------------------------------------------------------

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        cls.abstract = abstract
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
        _collect_fields(cls)
        cls.__init__ = _make_init(cls)  # type: ignore[method-assign]
        if cls._learn is not Estimator._learn:
            _declare_fit(cls)
        if not abstract:
            cls.__doc__ = complete_docstring(cls)
        super().__init_subclass__(**kwargs)

    @classmethod
    def card(cls) -> Card:
        """Return the card of this method: what it is, takes, gives and can do."""
        return read_card(cls)

    # -- scikit-learn's protocol ----------------------------------------------------------------

    def __sklearn_tags__(self) -> Tags:
        """Describe the estimator to scikit-learn: role, input and target."""
        tags = super().__sklearn_tags__()
        self.input.set_tags(tags)
        tags.target_tags.multi_output = self.multi_output
        return tags

    def _html_repr(self) -> str:
        """Draw scikit-learn's diagram, and beneath it the card and how the training went."""
        history = history_chart(getattr(self, "history_", {}), f"Training of {type(self).__name__}")
        return super()._html_repr() + self.card()._repr_html_() + (history or "")

    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether a fit has been completed."""
        return bool(self.__dict__.get("_fitted_"))

    # -- fit --------------------------------------------------------------------------------------

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
        resume = self.__sklearn_is_fitted__() and (partial or getattr(self, "warm_start", False))
        try:
            validate(self)
            if not resume:
                self._forget()
            data = self._check_training(X, y, sample_weight, resume=resume, classes=classes)
            if "val" in self.learns:
                data["val"] = self._check_validation(*val)
            steps = Steps(self, X, y, sample_weight, limit=1 if partial else None)
            data.update(resume=resume, steps=steps)
            self._learn(**{name: data[name] for name in self.learns})
            steps.finish()
        except BaseException as error:
            # An engine that was interrupted in a usable state has said so by setting _fitted_.
            if isinstance(error, Exception) or not self.__sklearn_is_fitted__():
                _restore(self, before)
            raise
        self.__dict__.pop("_kept", None)
        self._fitted_ = True
        return self

    def _forget(self) -> None:
        """Drop what an earlier fit learned."""
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("__")]:
            delattr(self, name)

    def _check_training(
        self, X: Any, y: Any, sample_weight: Any, *, resume: bool, classes: Any
    ) -> dict[str, Any]:
        if y is None and self.needs_y:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        X = self.input.check(self, X, reset=not resume)
        if not resume:
            self.dtype_ = self._precision(X)
        X = to_dtype(X, self.dtype_)
        n = n_rows(X)
        w = self._check_weights(sample_weight, X, n)
        y = self._check_y(y, n) if "y" in self.learns or self.needs_y else None
        self._kept: np.ndarray | None = None
        if w is not None and (w == 0).any():
            X, y, w = self._drop_weightless(X, y, w, classes)
        y, w = self._encode_y(y, w, resume=resume, classes=classes)
        return {"X": X, "y": y, "w": w}

    def _precision(self, X: Any) -> np.dtype:
        """Precision follows the input; an engine may offer another."""
        return self.input.precision(X)

    def _check_weights(self, sample_weight: Any, X: Any, n: int) -> np.ndarray | None:
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
        self, X: Any, y: Any, w: np.ndarray, classes: Any = None
    ) -> tuple[Any, Any, np.ndarray]:
        """Drop rows of weight 0; ``_kept`` has the numbers of the others, in the user's counting."""
        self._kept = kept = np.flatnonzero(w)
        pairwise = self.__sklearn_tags__().input_tags.pairwise
        X = X[np.ix_(kept, kept)] if pairwise else take(X, kept)
        return X, y if y is None else y[kept], w[kept]

    def _check_y(self, y: Any, n: int) -> np.ndarray | None:
        """Check the shape and values of y; the base knows targets only as class labels."""
        return None if y is None else _check_labels(self, y, n)

    def _encode_y(
        self,
        y: np.ndarray | None,
        w: np.ndarray | None,
        *,
        resume: bool,
        classes: Any = None,
        name: str = "y",
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Replace labels by class numbers."""
        if y is None:
            return None, w
        if not resume:
            self.classes_ = np.unique(y if classes is None else np.asarray(classes))
        return _class_numbers(self, y, name), w

    def _check_validation(
        self, X_val: Any, y_val: Any, w_val: Any
    ) -> tuple[Any, Any, np.ndarray | None] | None:
        if X_val is None:
            if y_val is not None:
                raise ValueError("y_val was given without X_val; give both or neither.")
            return None
        if y_val is None and self.needs_y:
            raise ValueError("X_val was given without y_val; give both or neither.")
        X = to_dtype(self.input.check(self, X_val, reset=False), self.dtype_)
        n = n_rows(X)
        w = self._check_weights(w_val, X, n)
        y = None if y_val is None else self._check_y(y_val, n)
        y, w = self._encode_y(y, w, resume=True, name="y_val")
        return X, y, w

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


def _restore(estimator: Estimator, state: dict[str, Any]) -> None:
    # Callback contexts are torn down by scikit-learn afterwards and must survive.
    kept = {n: v for n, v in vars(estimator).items() if "callback" in n}
    estimator.__dict__.clear()
    estimator.__dict__.update(state | kept)


def _collect_fields(cls: type[Estimator]) -> None:
    """Find the fields of a class: its own first, then its ancestors', with the guards of a zoo."""
    inherited: dict[str, Any] = {}
    for base in cls.__mro__[1:]:
        for name, default in base.__dict__.get("_own_defaults", {}).items():
            inherited.setdefault(name, default)
    annotations = inspect.get_annotations(cls)
    own: dict[str, Any] = {}
    for name, hint in annotations.items():
        if _is_constant(hint):
            continue
        if name.endswith("_"):
            raise TypeError(f"{cls.__name__}.{name} is annotated, but fitted names are no fields.")
        if callable(getattr(cls, name, None)) and name not in vars(cls):
            raise TypeError(f"the field {cls.__name__}.{name} hides a method of that name.")
        own[name] = vars(cls).get(name, REQUIRED)
    for name, value in list(vars(cls).items()):
        if name.startswith("_") or name in annotations or name in ("abstract", "learns"):
            continue
        if name in inherited:
            own[name] = value  # an inherited default, restated
        elif not callable(value) and not isinstance(
            value, property | classmethod | staticmethod
        ) and not hasattr(value, "__get__"):
            if name in ("input", "multi_output", "needs_y", "excused") or _is_class_constant(
                cls, name
            ):
                continue
            raise TypeError(
                f"{cls.__name__}.{name} = {value!r} has no annotation: write a field "
                f"(`{name}: <domain> = ...`) or a constant (`{name}: ClassVar = ...`)."
            )
    for name, value in own.items():
        if isinstance(value, list | dict | set):
            raise TypeError(f"the default of {cls.__name__}.{name} is mutable; use a tuple or None.")
        if name in vars(cls):
            delattr(cls, name)  # so that a forgotten attribute is an error, not a default
    for name in [n for n in inherited if n in vars(cls)]:
        delattr(cls, name)
    cls._own_defaults = own
    cls._defaults = own | {n: d for n, d in inherited.items() if n not in own}


def _is_constant(hint: Any) -> bool:
    return hint is ClassVar or get_origin(hint) is ClassVar


def _is_class_constant(cls: type, name: str) -> bool:
    return any(_is_constant(inspect.get_annotations(base).get(name)) for base in cls.__mro__[1:])


def _make_init(cls: type[Estimator]) -> Callable[..., None]:
    """Make ``__init__``: required fields by position or name, the others by name; it only stores."""
    defaults = cls._defaults
    required = [n for n, d in defaults.items() if d is REQUIRED]
    ordered = required + [n for n in defaults if n not in required]

    def __init__(self: Any, *args: Any, **given: Any) -> None:
        if len(args) > len(required):
            raise TypeError(
                f"{cls.__name__} takes {len(required)} parameter(s) by position, got {len(args)}; "
                "name the others."
            )
        given.update(zip(required, args, strict=False))
        for name in given.keys() - defaults.keys():
            raise TypeError(
                f"{cls.__name__} has no parameter {name!r}.{did_you_mean(name, ordered)} "
                f"It has: {', '.join(ordered) or 'none'}."
            )
        for name in ordered:
            value = given.get(name, defaults[name])
            if value is REQUIRED:
                raise TypeError(f"{cls.__name__} needs the parameter {name!r}.")
            setattr(self, name, value)

    kind = inspect.Parameter
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [kind("self", kind.POSITIONAL_OR_KEYWORD)]
        + [kind(n, kind.POSITIONAL_OR_KEYWORD) for n in required]
        + [kind(n, kind.KEYWORD_ONLY, default=defaults[n]) for n in ordered[len(required) :]]
    )
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return __init__


def _declare_fit(cls: type[Estimator]) -> None:
    """Read what ``_learn`` names and give the class the fit that goes with it."""
    names = tuple(inspect.signature(cls._learn).parameters)[1:]
    if "partial_fit" in vars(cls) and "resume" in names and not cls.abstract:
        raise TypeError(f"{cls.__name__}.partial_fit is made by the base; write _learn(..., resume).")
    for name in names:
        if name not in LEARN_NAMES:
            raise TypeError(
                f"{cls.__name__}._learn asks for {name!r}; it may ask for {', '.join(LEARN_NAMES)}."
            )
    if issubclass(cls, Classifier) and "w" not in names:
        raise TypeError(f"{cls.__name__}._learn must take w: every classifier has class_weight.")
    cls.learns = names
    if issubclass(cls, Agent):  # has a fit of its own, which can do without X
        return
    if getattr(cls, "fit", _fit) in _FITS.values():
        cls.fit = _FITS["w" in names, "val" in names]
    if "resume" in names:
        partial = _partial_fit_classes if issubclass(cls, Classifier) else _partial_fit
        cls.partial_fit = partial


# -- targets --------------------------------------------------------------------------------------


def _check_labels(estimator: Estimator, y: Any, n: int) -> np.ndarray:
    several = np.asarray(y)
    if estimator.multi_output and several.ndim == 2 and several.shape[1] > 1:
        y = several
    else:
        y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("Input y contains NaN or infinity; give every row a class label.")
    check_consistent_length(np.empty(n), y)
    check_classification_targets(y)
    return np.asarray(y)


def _class_numbers(estimator: Any, y: np.ndarray, name: str, known: Any = None) -> np.ndarray:
    known = estimator.classes_ if known is None else known
    numbers = np.searchsorted(known, y) if len(known) else np.zeros(len(y), dtype=int)
    numbers = np.minimum(numbers, len(known) - 1)
    strange = known[numbers] != y
    if strange.any():
        raise ValueError(
            f"{name} holds the label {y[strange].tolist()[0]!r}, which is none of the classes "
            f"{known[:10].tolist()} that {type(estimator).__name__} knows; name every class at the "
            "first fit (partial_fit: classes=...)."
        )
    return numbers


# -- roles ------------------------------------------------------------------------------------------


def _label_columns(y: np.ndarray) -> Sequence[np.ndarray]:
    """Return y column by column; where each row is a series of labels, all of them as one column."""
    if y.dtype == object and y.ndim == 1 and len(y) and isinstance(y[0], np.ndarray):
        return [np.concatenate(y)]
    return list(np.reshape(y, (len(y), -1)).T)


class Classifier(ClassifierMixin, Estimator, abstract=True):
    """Gives back a class. A leaf writes ``_scores`` or ``_proba`` (or both).

    ``_scores`` returns (n,) margins for two classes or (n, k) scores. With ``logits`` (the
    default) their softmax is ``predict_proba``; a leaf whose scores are no logits sets it False.

    With ``multi_output`` y may have several columns, each with classes of its own: ``classes_`` is
    a list, ``_learn`` sees (n, columns) class numbers, ``_proba`` gives a list, one array a column.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        Factor on the weight of each class's rows; "balanced" gives every class the same total.

    Attributes
    ----------
    classes_ : array of shape (k,)
        The labels, sorted; a list of such arrays where y has several columns.
    """

    needs_y: ClassVar[bool] = True
    logits: ClassVar[bool] = True

    class_weight: Annotated[
        dict[Any, Any] | Literal["balanced"] | None, Fixed("it states the costs of the task")
    ] = None

    def _drop_weightless(
        self, X: Any, y: Any, w: np.ndarray, classes: Any = None
    ) -> tuple[Any, Any, np.ndarray]:
        before = y
        X, y, w = super()._drop_weightless(X, y, w)
        known = getattr(self, "classes_", None) if classes is None else classes
        if known is not None or len(y) == len(before):
            return X, y, w
        columns = zip(*(_label_columns(part) for part in (before, y)), strict=True)
        lost = np.concatenate([np.setdiff1d(*column) for column in columns])
        if len(lost):
            warnings.warn(
                f"{type(self).__name__}: every row of class {', '.join(map(repr, lost.tolist()))} has "
                "weight 0, so the class is left out; give one of its rows a weight > 0 to keep it.",
                UserWarning,
                stacklevel=6,
            )
        return X, y, w

    def _encode_y(
        self,
        y: Any,
        w: np.ndarray | None,
        *,
        resume: bool,
        classes: Any = None,
        name: str = "y",
    ) -> tuple[Any, np.ndarray | None]:
        known = None if not resume else self._classes_by_column()
        columns = np.reshape(y, (len(y), -1)).T
        several = columns.shape[0] > 1
        if known is None:
            given = [None] * len(columns) if classes is None else list(classes) if several else [classes]
            known = [
                np.unique(column if labels is None else np.asarray(labels))
                for column, labels in zip(columns, given, strict=True)
            ]
            self.classes_: Any = known if several else known[0]
        if len(known) != len(columns):
            raise ValueError(
                f"{name} has {len(columns)} column(s), but {type(self).__name__} was fitted to "
                f"{len(known)}; give the columns of the first fit."
            )
        for j, labels in enumerate(known):
            if len(labels) < 2:
                where = f"column {j} of y" if several else "y"
                raise ValueError(
                    f"{type(self).__name__} needs at least 2 classes in y, but {where} has only one "
                    f"class: {labels.tolist()[0]!r}; give data that hold another class (rows of "
                    "weight 0 do not count)."
                )
        numbers = [_class_numbers(self, c, name, k) for c, k in zip(columns, known, strict=True)]
        if self.class_weight is not None:
            weights: Any = self.class_weight
            weights = list(weights) if isinstance(weights, list | tuple) else [weights] * len(known)
            if len(weights) != len(known):
                raise ValueError(
                    f"{type(self).__name__}: class_weight is a list of {len(weights)}, but y has "
                    f"{len(known)} column(s); give one entry a column."
                )
            factors = [
                self._class_factors(k, w, labels, own)
                for k, labels, own in zip(numbers, known, weights, strict=True)
            ]
            w = np.prod(factors if w is None else [w, *factors], axis=0)
        return np.column_stack(numbers) if several else numbers[0], w

    def _classes_by_column(self) -> list[np.ndarray]:
        return self.classes_ if isinstance(self.classes_, list) else [self.classes_]

    def _class_factors(self, y: np.ndarray, w: np.ndarray | None, known: np.ndarray, own: Any) -> np.ndarray:
        weight = compute_class_weight(own, classes=known, y=known[y], sample_weight=w).astype(self.dtype_)
        if not (weight > 0).all():
            k = int(weight.argmin())
            raise ValueError(
                f"class_weight gives the class {known.tolist()[k]!r} the weight {weight[k]:g}; give every "
                "class a weight > 0, or leave the rows of that class out."
            )
        factors: np.ndarray = weight[y]
        return factors

    def _has_scores(self) -> bool:
        return hasattr(self, "_scores")

    def _has_proba(self) -> bool:
        return hasattr(self, "_proba") or (self.logits and hasattr(self, "_scores"))

    @available_if(_has_scores)
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores: (n,) for two classes (positive means ``classes_[1]``), else (n, k)."""
        s: np.ndarray = self._scores(self._checked(X))
        if len(self.classes_) == 2 and s.ndim > 1:
            return s[..., 1] - s[..., 0] if s.shape[-1] == 2 else s[..., 0]
        return s

    @available_if(_has_proba)
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, (n, k), columns in the order of ``classes_``.

        Fitted to y of several columns, it is a list of such arrays.
        """
        if hasattr(self, "_proba"):
            return self._proba(self._checked(X))
        return softmax(self._logits(X))

    def _logits(self, X: Any) -> np.ndarray:
        """Return one score a class, for two classes too."""
        s = self.decision_function(X)
        return np.stack([np.zeros_like(s), s], axis=-1) if len(self.classes_) == 2 else s

    @available_if(_has_proba)
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of ``predict_proba``."""
        if hasattr(self, "_proba"):
            p = self.predict_proba(X)
            with np.errstate(divide="ignore"):
                return [np.log(own) for own in p] if isinstance(p, list) else np.log(p)
        return log_softmax(self._logits(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely class of each row, of each column of y where there are several."""
        if hasattr(self, "_scores"):
            s = self.decision_function(X)
            chosen = (s > 0).astype(int) if len(self.classes_) == 2 else s.argmax(axis=-1)
            return self.classes_[chosen]
        p = self.predict_proba(X)
        if isinstance(p, list):
            chosen = [k[own.argmax(axis=1)] for k, own in zip(self.classes_, p, strict=True)]
            return np.column_stack(chosen)
        return self.classes_[p.argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the share of rows whose every column of y is right.

        Parameters
        ----------
        X : array-like or the container of this estimator's input
            Rows to predict.
        y : array-like of shape (n,) or (n, columns)
            Their labels.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        score : float
        """
        if isinstance(getattr(self, "classes_", None), list):
            right = (self.predict(X) == np.asarray(y)).all(axis=1)
            return float(np.average(right, weights=sample_weight))
        accuracy: float = super().score(X, y, sample_weight)
        return accuracy


class Regressor(RegressorMixin, Estimator, abstract=True):
    """Gives back numbers. A leaf writes ``_output``."""

    needs_y: ClassVar[bool] = True

    def _check_y(self, y: Any, n: int) -> np.ndarray | None:
        if not self.multi_output:
            y = column_or_1d(y, warn=True)
        y = check_array(
            y, ensure_2d=False, dtype=self.dtype_, input_name="y", estimator=self, copy=False
        )
        check_consistent_length(np.empty(n), y)
        return np.asarray(y)

    def _encode_y(
        self,
        y: Any,
        w: np.ndarray | None,
        *,
        resume: bool,
        classes: Any = None,
        name: str = "y",
    ) -> tuple[Any, np.ndarray | None]:
        return y, w

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted value of each row."""
        s: np.ndarray = self._output(self._checked(X))
        return s


class Transformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator, abstract=True
):
    """Gives back another representation; fit sets ``n_features_out_``.

    A leaf writes ``_output``, or ``_represent`` where its other role's predict takes ``_output``.
    """

    def _represent(self, X: Any) -> np.ndarray:
        z: np.ndarray = self._output(X)
        return z

    @property
    def _n_features_out(self) -> int:
        return int(self.n_features_out_)

    def transform(self, X: Any) -> np.ndarray:
        """Return the representation of each row."""
        return self._represent(self._checked(X))


class Draws:
    """The noise of one call of ``sample``: row i does not depend on how many rows are drawn.

    Every draw has a stream of its own, filled row by row, so that the first rows of a long draw are
    the rows of a short one. A leaf draws all its noise for n rows at once and then works in batches.
    """

    def __init__(self, seed: int | None) -> None:
        self._sequence = np.random.SeedSequence(seed)

    def _stream(self) -> np.random.Generator:
        return np.random.default_rng(self._sequence.spawn(1)[0])

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal numbers."""
        return self._stream().standard_normal(shape)

    def uniform(self, *shape: int) -> np.ndarray:
        """Uniform numbers in [0, 1)."""
        return self._stream().random(shape)


class Sampler(Estimator, abstract=True):
    """Gives back new data. A leaf writes ``_draw``, and ``_log_likelihood`` when it has one.

    ``likelihood_`` says what ``score_samples`` is: "exact", "elbo", "iwae" or None.
    """

    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        *,
        random_state: int | np.random.RandomState | None = None,
        return_y: bool = False,
    ) -> Any:
        """Draw new rows.

        Parameters
        ----------
        n_samples : int, default=1
            How many rows.
        y : label or array-like of labels, optional
            What to draw, when the method was fitted with y; None draws labels as often as the
            training data held them.
        random_state : int, RandomState or None, default=None
            None draws fresh numbers, an int repeats them; row i is the same for any n_samples.
        return_y : bool, default=False
            Return the labels as well.

        Returns
        -------
        X : array of shape (n_samples, ...)
            The rows, and their labels with ``return_y``.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, int | np.integer) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} is not accepted; give an integer >= 1.")
        draws = Draws(_as_seed(random_state))
        numbers = self._labels_to_draw(int(n_samples), y, draws)
        X = self._draw(int(n_samples), numbers, draws)
        if not return_y:
            return X
        if numbers is None:
            raise ValueError(f"{type(self).__name__} was fitted without y: there is no y to return.")
        return X, self.classes_[numbers]

    def _labels_to_draw(self, n: int, y: Any, draws: Draws) -> np.ndarray | None:
        if not hasattr(self, "classes_"):
            if y is not None:
                raise ValueError(
                    f"{type(self).__name__} was fitted without y and cannot draw given y={y!r}."
                )
            return None
        if y is None:
            u = draws.uniform(n)
            # Rounding can leave the last sum just below 1.
            return np.minimum(
                np.searchsorted(np.cumsum(self.class_prior_), u, side="right"),
                len(self.classes_) - 1,
            )
        labels = np.broadcast_to(np.asarray(y), (n,)) if np.ndim(y) == 0 else np.asarray(y)
        if labels.shape != (n,):
            raise ValueError(f"y has shape {labels.shape}, but n_samples={n}; give one label a row.")
        return _class_numbers(self, labels, "y")

    def _encode_y(
        self,
        y: Any,
        w: np.ndarray | None,
        *,
        resume: bool,
        classes: Any = None,
        name: str = "y",
    ) -> tuple[Any, np.ndarray | None]:
        y, w = super()._encode_y(y, w, resume=resume, classes=classes, name=name)
        if y is not None and not resume:
            count = np.bincount(y, weights=w, minlength=len(self.classes_))
            self.class_prior_ = count / count.sum()
        return y, w

    def _has_likelihood(self) -> bool:
        return hasattr(self, "_log_likelihood")

    def _has_classes(self) -> bool:
        return hasattr(self, "_log_likelihood") and "classes_" in vars(self)

    @available_if(_has_likelihood)
    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log-likelihood of each row in nats (``likelihood_`` says exact or bound).

        Fitted with y, it is the likelihood of X whatever its label.
        """
        X = self._checked(X)
        if hasattr(self, "classes_"):
            joint: np.ndarray = np.logaddexp.reduce(self._joint(X), axis=1)
            return joint
        s: np.ndarray = self._log_likelihood(X)
        return s

    def _joint(self, X: Any) -> np.ndarray:
        """Return log p(x | k) + log p(k), (n, k)."""
        n, k = n_rows(X), len(self.classes_)
        given = [self._log_likelihood(X, np.full(n, label)) for label in range(k)]
        return np.column_stack(given) + np.log(self.class_prior_)

    @available_if(_has_classes)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class by Bayes' rule, (n, k)."""
        return softmax(self._joint(self._checked(X)))

    @available_if(_has_likelihood)
    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of ``score_samples``, so that a search can choose by it."""
        return float(np.mean(self.score_samples(X)))

    def _has_features(self) -> bool:
        return self._has_likelihood() and self.input.two_d_array

    @available_if(_has_features)
    def bits_per_dim(self, X: Any) -> float:
        """Return the mean negative log-likelihood in bits per feature (lower is better)."""
        return float(-self.score(X) / (int(self.n_features_in_) * np.log(2)))


def _as_seed(random_state: Any) -> int | None:
    if random_state is None:
        return None
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    return int(random_state)


class Detector(OutlierMixin, Estimator, abstract=True):
    """Tells rows that belong from outliers. A leaf writes ``_output`` and sets ``offset_``.

    ``_output`` returns (n,) scores, the higher the more usual. y is ignored.

    Attributes
    ----------
    offset_ : float
        The score below which a row is an outlier.
    """

    def score_samples(self, X: Any) -> np.ndarray:
        """Return how usual each row is."""
        s: np.ndarray = self._output(self._checked(X))
        return s

    def decision_function(self, X: Any) -> np.ndarray:
        """Return ``score_samples(X) - offset_``, negative for outliers."""
        s = self.score_samples(X)
        return s - s.dtype.type(self.offset_)

    def predict(self, X: Any) -> np.ndarray:
        """Return -1 for each outlier and 1 for every other row."""
        return np.where(self.decision_function(X) < 0, -1, 1)


class Translator(Estimator, abstract=True):
    """Gives back a text for a text. A leaf writes ``_output``."""

    needs_y: ClassVar[bool] = True

    def predict(self, X: Any) -> list[str]:
        """Return the translation of each document."""
        texts: list[str] = self._output(self._checked(X))
        return texts


class Agent(Estimator, abstract=True):
    """Gives back actions. A leaf writes ``_learn(self, X, ...)`` and ``_act(observations)``.

    X of ``fit`` and ``score`` is a 1-D array of episode seeds or None, so that a search trains on
    some seeds and scores on others.

    Parameters
    ----------
    env : str, callable or environment
        What to act in: a gymnasium id, a factory without arguments (picklable, for parallel
        searches), or an environment. A given environment is copied, never stepped, unless it
        refuses to be copied.
    random_state : int, RandomState or None, default=None
        Seed of everything that is drawn.
    """

    input: ClassVar[Input] = Env()

    env: Annotated[Any, Fixed("it is the task")]
    random_state: Seed = None

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Learn by acting.

        Parameters
        ----------
        X : array-like of shape (n,), optional
            Seeds of the training episodes, taken in turn; None derives them from ``random_state``.
        y : ignored
            For pipelines and searches.

        Returns
        -------
        self : object
            The fitted agent.
        """
        if X is not None and y is None:
            # scikit-learn's ScoringMonitor scores only where there is a y.
            y = np.zeros(np.shape(X)[:1])
        return self._fit(X, y)

    @available_if(lambda self: "resume" in self.learns)
    def partial_fit(self, X: Any = None, y: Any = None) -> Self:
        """Go on learning for one iteration.

        Parameters
        ----------
        X : array-like of shape (n,), optional
            Seeds of the training episodes.
        y : ignored
            For pipelines and searches.

        Returns
        -------
        self : object
            The fitted agent.
        """
        return self._fit(X, y, partial=True)

    def _check_training(
        self, X: Any, y: Any, sample_weight: Any, *, resume: bool, classes: Any
    ) -> dict[str, Any]:
        # No rows to weigh, no labels, and no precision: the environment brings its own.
        return {"X": self.input.check(self, X, reset=not resume)}

    def predict(self, observations: Any) -> np.ndarray:
        """Return the greedy action for each observation."""
        check_is_fitted(self)
        actions: np.ndarray = self._act(observations)
        return actions
