"""Making a class: its fields, its constructor, and the fit that goes with its ``_learn``."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args, get_origin

import numpy as np

from zoo.contract.docstrings import keep_parameters
from zoo.contract.params import REQUIRED, Options, did_you_mean

LEARN_NAMES = ("X", "y", "w", "val", "resume", "steps")
# Constants that any class may restate without an annotation.
CONSTANTS = ("input", "target", "excused")


# -- fields -----------------------------------------------------------------------------------


def field(*, default: Any = REQUIRED, kw_only: Literal[False] = False) -> Any:
    """Declare a field that may be given by position: ``alpha: float = field(default=1.0, kw_only=False)``.

    Required fields are declared so, and the first one where scikit-learn's class of that name takes
    it by position. Type checkers read ``kw_only`` from the call, so it is written out.
    """
    return _ByPosition(default)


class _ByPosition:
    """The value of a field that may be given by position."""

    def __init__(self, default: Any) -> None:
        self.default = default


def collect_fields(cls: Any) -> None:
    """Find the fields of a class: its own first, then its ancestors', with the guards of a zoo."""
    inherited: dict[str, Any] = {}
    for base in cls.__mro__[1:]:
        for name, default in base.__dict__.get("_own_defaults", {}).items():
            inherited.setdefault(name, default)
    own: dict[str, Any] = {}
    by_position = []
    annotations = inspect.get_annotations(cls)
    for name, hint in annotations.items():
        if _is_constant(hint):
            continue
        if name.endswith("_"):
            raise TypeError(f"{cls.__name__}.{name} is annotated, but fitted names are no fields.")
        if callable(getattr(cls, name, None)) and name not in vars(cls):
            raise TypeError(f"the field {cls.__name__}.{name} hides a method of that name.")
        own[name] = vars(cls).get(name, REQUIRED)
        if isinstance(own[name], _ByPosition):
            own[name] = own[name].default
            by_position.append(name)
    for name, value in list(vars(cls).items()):
        if name.startswith("_") or name in annotations or name in ("abstract", "learns", "role"):
            continue
        if name in inherited:
            own[name] = value  # an inherited default, restated
        elif (
            not callable(value)
            and not isinstance(value, property | classmethod | staticmethod)
            and not hasattr(value, "__get__")
        ):
            if name in CONSTANTS or _is_class_constant(cls, name):
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
    cls._own_by_position = tuple(by_position)
    cls._options = tuple(
        marker.prefix
        for base in cls.__mro__
        for hint in inspect.get_annotations(base).values()
        for marker in get_args(hint)[1:]
        if isinstance(marker, Options)
    )


def _is_constant(hint: Any) -> bool:
    return hint is ClassVar or get_origin(hint) is ClassVar


def _is_class_constant(cls: type, name: str) -> bool:
    return any(_is_constant(inspect.get_annotations(base).get(name)) for base in cls.__mro__[1:])


def make_init(cls: Any) -> Callable[..., None]:
    """Make ``__init__``: some fields by position or name, the others by name; it only stores."""
    defaults = cls._defaults
    declared = [n for base in cls.__mro__ for n in base.__dict__.get("_own_by_position", ())]
    leading = [n for n in defaults if defaults[n] is REQUIRED]
    leading += [n for n in declared if n in defaults and n not in leading]
    ordered = leading + [n for n in defaults if n not in leading]

    def __init__(self: Any, *args: Any, **given: Any) -> None:
        if len(args) > len(leading):
            raise TypeError(
                f"{cls.__name__} takes {len(leading)} parameter(s) by position, got {len(args)}; "
                "name the others."
            )
        for name, value in zip(leading, args, strict=False):
            if name in given:
                raise TypeError(f"{cls.__name__} got {name!r} by position and by name.")
            given[name] = value
        for name in given.keys() - defaults.keys():
            if not name.startswith(tuple(f"{prefix}__" for prefix in cls._options)):
                raise TypeError(
                    f"{cls.__name__} has no parameter {name!r}.{did_you_mean(name, ordered)} "
                    f"It has: {', '.join(ordered) or 'none'}."
                )
            setattr(self, name, given[name])
        for name in ordered:
            value = given.get(name, defaults[name])
            if value is REQUIRED:
                raise TypeError(f"{cls.__name__} needs the parameter {name!r}.")
            setattr(self, name, value)

    kind = inspect.Parameter

    def parameter(name: str) -> inspect.Parameter:
        place = kind.POSITIONAL_OR_KEYWORD if name in leading else kind.KEYWORD_ONLY
        default = kind.empty if defaults[name] is REQUIRED else defaults[name]
        return kind(name, place, default=default)

    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [kind("self", kind.POSITIONAL_OR_KEYWORD), *map(parameter, ordered)]
        + ([kind("options", kind.VAR_KEYWORD)] if cls._options else [])
    )
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    return __init__


# -- fit --------------------------------------------------------------------------------------
# scikit-learn reads from the signature of a class's own ``fit`` which metadata it takes, and calls with
# positional weights must work, so each class gets a real function of its own signature.


def _plain(self: Any, X: Any, y: Any = None) -> Any:
    return self._fit(X, y)


def _weighted(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
    return self._fit(X, y, sample_weight)


def _validated(self: Any, X: Any, y: Any = None, *, X_val: Any = None, y_val: Any = None) -> Any:
    return self._fit(X, y, None, (X_val, y_val, None))


def _weighted_validated(
    self: Any,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight_val: Any = None,
) -> Any:
    return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))


def _one_pass(self: Any, X: Any, y: Any = None) -> Any:
    return self._fit(X, y, partial=True)


def _one_pass_weighted(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
    return self._fit(X, y, sample_weight, partial=True)


def _one_pass_classes(
    self: Any, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
) -> Any:
    return self._fit(X, y, sample_weight, partial=True, classes=classes)


FITS = {
    (False, False): _plain,
    (True, False): _weighted,
    (False, True): _validated,
    (True, True): _weighted_validated,
}
PARTIAL_FITS = {
    (False, False): _one_pass,
    (True, False): _one_pass_weighted,
    (False, True): _one_pass_classes,
    (True, True): _one_pass_classes,
}


def _of_seeds(self: Any, X: Any = None, y: Any = None) -> Any:
    # scikit-learn's ScoringMonitor scores only where there is a y.
    return self._fit(X, np.zeros(np.shape(X)[:1]) if y is None and X is not None else y)


def _one_pass_of_seeds(self: Any, X: Any = None, y: Any = None) -> Any:
    return self._fit(X, y, partial=True)


MADE = (*FITS.values(), *PARTIAL_FITS.values(), _of_seeds, _one_pass_of_seeds)


def name_fits(root: Any) -> None:
    """Give the functions above the names and the docstrings of the methods in the body of the root."""
    of_fit, of_one_pass = (*FITS.values(), _of_seeds), (*PARTIAL_FITS.values(), _one_pass_of_seeds)
    for name, functions in (("fit", of_fit), ("partial_fit", of_one_pass)):
        for function in functions:
            function.__name__ = name
            function.__qualname__ = f"{root.__name__}.{name}"
            said = inspect.cleandoc(inspect.getattr_static(root, name).__doc__)
            function.__doc__ = keep_parameters(said, tuple(inspect.signature(function).parameters))


def declare_fit(cls: Any) -> None:
    """Read what ``_learn`` names and give the class the fit that goes with it."""
    names = tuple(inspect.signature(cls._learn).parameters)[1:]
    if "partial_fit" in vars(cls) and "resume" in names and not cls.abstract:
        raise TypeError(f"{cls.__name__}.partial_fit is made by the base; write _learn(..., resume).")
    for name in names:
        if name not in LEARN_NAMES:
            raise TypeError(
                f"{cls.__name__}._learn asks for {name!r}; it may ask for {', '.join(LEARN_NAMES)}."
            )
    for name, why in cls.must_learn.items():
        if name not in names:
            raise TypeError(f"{cls.__name__}._learn must take {name}: {why}.")
    cls.learns = names
    if _stands_in(cls, "fit"):
        cls.fit = _of_seeds if cls.input.optional else FITS["w" in names, "val" in names]
    if "resume" in names and _stands_in(cls, "partial_fit"):
        told = cls.target.of_classes and cls.target.required
        cls.partial_fit = _one_pass_of_seeds if cls.input.optional else PARTIAL_FITS["w" in names, told]


Method = TypeVar("Method", bound=Callable[..., Any])


def stand_in(fit: Method) -> Method:
    """Mark a fit that type checkers read, and that a class replaces by one of its own signature.

    The names of its metadata are hidden from ``inspect``, by which scikit-learn would let every class
    request all of them.
    """
    kind = inspect.Parameter
    shown = [p for p in inspect.signature(fit).parameters.values() if p.name in ("self", "X", "y")]
    fit.__signature__ = inspect.Signature([*shown, kind("metadata", kind.VAR_KEYWORD)])  # type: ignore[attr-defined]
    fit.stands_in = True  # type: ignore[attr-defined]
    return fit


def where_it_goes_on(partial_fit: Method) -> Method:
    """Hide the stand-in of partial_fit where ``_learn`` takes no ``resume``."""
    return cast(Method, _WhereItGoesOn(stand_in(partial_fit)))


class _WhereItGoesOn:
    stands_in = True

    def __init__(self, method: Any) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance: Any, owner: Any) -> Any:
        if "resume" not in owner.learns:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self.method.__name__!r}")
        return self.method.__get__(instance, owner)


def _stands_in(cls: Any, name: str) -> bool:
    method = inspect.getattr_static(cls, name)
    return method in MADE or getattr(method, "stands_in", False)
