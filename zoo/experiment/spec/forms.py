"""From an annotation to everything: reading, messages, writing and the JSON Schema of a value.

The file's grammar is a set of dataclasses (`zoo.experiment.spec.grammar`) whose annotations are those of
`zoo.contract.params`, plus sections, lists of them and classes that follow the protocol `Form`. What is
written there once is read, refused, written back and published from here.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from zoo.contract.docstrings import meanings
from zoo.contract.params import Check, Interval, accepts, choice_words, describe, did_you_mean
from zoo.experiment.spec.text import KEY, PathInside, Source, SpecError, short

__all__ = ["Form", "Place", "Section", "Verify", "plain_of", "read_as", "schema_of", "words_of"]


@dataclass(frozen=True)
class Place:
    """A path inside a source, and the error to raise there."""

    source: Source
    path: PathInside = ()

    def __truediv__(self, part: Any) -> "Place":
        """Return the place of a part."""
        return Place(self.source, (*self.path, part))

    @property
    def raw(self) -> str | None:
        """The word as it was written, where the text was read as something other than a word."""
        return self.source.raw.get(self.path)

    def key(self, key: Any) -> str:
        """Return a key as it was written: a column may be called ``1`` or ``true``."""
        return self.source.raw.get((*self.path, key, KEY), str(key))

    def error(self, sentence: str) -> SpecError:
        """Return the error whose message begins with this place."""
        return self.source.error(self.path, sentence)


@dataclass(frozen=True)
class Verify:
    """A marker of an annotation: what more to check of a value, and what JSON Schema can say of it."""

    check: Callable[[Any, Place], None]
    schema: Callable[[], dict[str, Any]] = dict


class Form:
    """A value with a form of its own: says what fits, reads it, writes it, publishes it."""

    words: ClassVar[str] = "a value"

    @classmethod
    def fits(cls, value: Any) -> bool:
        """Tell from the shape of a plain value whether it means this form."""
        raise NotImplementedError

    @classmethod
    def read(cls, value: Any, place: Place) -> Self:
        """Read a plain value, or raise SpecError."""
        raise NotImplementedError

    def plain(self) -> Any:
        """Return the plain value that reads as this."""
        raise NotImplementedError

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema; shared parts go to ``definitions``."""
        raise NotImplementedError


class Section(Form):
    """A mapping whose keys are the fields of a dataclass."""

    words: ClassVar[str] = "a mapping"

    @classmethod
    def fits(cls, value: Any) -> bool:
        """A mapping fits."""
        return isinstance(value, Mapping)

    @classmethod
    def read(cls, value: Any, place: Place) -> Self:
        """Read every key by its annotation."""
        if not isinstance(value, Mapping):
            raise place.error(f"{short(value)} is not accepted; give a mapping with {cls.keys()}.")
        hints = hints_of(cls)
        found: dict[str, Any] = {}
        for key, part in value.items():
            name = place.key(key) if not isinstance(key, str) else key
            if name not in hints:
                raise place.source.error(
                    (*place.path, key, KEY),
                    f"there is no such key; write one of {cls.keys()}.{did_you_mean(name, list(hints))}",
                )
            found[name] = read_as(hints[name], part, place / key)
        for f in fields(cls):  # type: ignore[arg-type]
            if f.name in hints and f.name not in found and f.default is MISSING:
                raise place.error(f"the key {f.name!r} is missing; it must be {words_of(hints[f.name])}.")
        made = cls(**found)
        made.verify(place)
        return made

    @classmethod
    def keys(cls) -> str:
        """Name the keys."""
        return ", ".join(hints_of(cls))

    def verify(self, place: Place) -> None:
        """Check what no single field can tell."""

    def plain(self) -> dict[str, Any]:
        """Return the keys that differ from their defaults."""
        return {
            f.name: plain_of(getattr(self, f.name))
            for f in fields(self)  # type: ignore[arg-type]
            if f.name in hints_of(type(self)) and (f.default is MISSING or getattr(self, f.name) != f.default)
        }

    @classmethod
    def schema(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        """Return a reference to an object whose keys are the fields."""
        if cls.__name__ not in definitions:
            definitions[cls.__name__] = {}  # so that a section inside itself ends
            says, hints = meanings(cls), hints_of(cls)
            definitions[cls.__name__] = {
                "type": "object",
                "description": (cls.__doc__ or "").split("\n")[0],
                "properties": {
                    name: schema_of(hint, definitions) | {"description": " ".join(says[name].split())}
                    for name, hint in hints.items()
                },
                "required": [
                    f.name
                    for f in fields(cls)  # type: ignore[arg-type]
                    if f.name in hints and f.default is MISSING
                ],
                "additionalProperties": False,
            }
        return {"$ref": f"#/$defs/{cls.__name__}"}


_HINTS: dict[type, dict[str, Any]] = {}


def hints_of(cls: type) -> dict[str, Any]:
    """Return the annotations of a section's keys, resolved once."""
    if cls not in _HINTS:
        hints = get_type_hints(cls, include_extras=True)
        _HINTS[cls] = {f.name: hints[f.name] for f in fields(cls) if not f.metadata.get("hidden")}
    return _HINTS[cls]


def _is_form(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Form)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


# -- reading ----------------------------------------------------------------------------------------


def fits(hint: Any, value: Any) -> bool:
    """Tell from the shape of a plain value whether it means this hint."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(args[0], value)
    if origin in (Union, UnionType):
        return any(fits(a, value) for a in args)
    if _is_form(hint):
        return bool(hint.fits(value))
    if origin is tuple:
        return isinstance(value, list)
    if origin is Mapping:
        return isinstance(value, Mapping)
    return accepts(hint, value)


def read_as(hint: Any, value: Any, place: Place) -> Any:
    """Read a plain value by its annotation, or raise SpecError.

    Examples
    --------
    >>> from zoo.experiment.spec.text import read_object
    >>> from zoo.contract.params import Count
    >>> read_as(Count, 0, Place(read_object({"cv": 0}), ("cv",)))
    Traceback (most recent call last):
    zoo.experiment.spec.text.SpecError: spec: cv: 0 is not accepted; give an integer >= 1.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _read_annotated(args, value, place)
    if origin in (Union, UnionType):
        return _read_union(hint, value, place)
    if _is_form(hint):
        return hint.read(value, place)
    if origin is tuple and isinstance(value, list):
        return _read_list(args, value, place)
    if origin is Mapping and isinstance(value, Mapping):
        return {place.key(k) if not isinstance(k, str) else k: read_as(args[1], v, place / k)
                for k, v in value.items()}  # fmt: skip
    if origin in (tuple, Mapping):
        raise _refusal(hint, value, place)
    if hint is str and not isinstance(value, str | NoneType) and place.raw is not None:
        return place.raw  # a column called 1, yes or null
    if not accepts(hint, value):
        raise _refusal(hint, value, place)
    return value


def _read_annotated(args: tuple[Any, ...], value: Any, place: Place) -> Any:
    found = read_as(args[0], value, place)
    for marker in args[1:]:
        if isinstance(marker, Verify):
            marker.check(found, place)
        elif isinstance(marker, Interval | Check) and not accepts(Annotated[Any, marker], found):
            raise _refusal(Annotated[args[0], marker], value, place)
    return found


def _read_union(hint: Any, value: Any, place: Place) -> Any:
    suitable = [a for a in get_args(hint) if fits(a, value)]
    if not suitable:
        wordy = [a for a in get_args(hint) if value is not None and place.raw and fits(a, place.raw)]
        if wordy:
            return read_as(wordy[0], place.raw, place)
        raise _refusal(hint, value, place)
    for alternative in suitable[:-1]:
        try:
            return read_as(alternative, value, place)
        except SpecError:
            continue
    return read_as(suitable[-1], value, place)


def _read_list(args: tuple[Any, ...], value: list[Any], place: Place) -> tuple[Any, ...]:
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(read_as(args[0], item, place / i) for i, item in enumerate(value))
    if len(value) != len(args):
        raise place.error(f"{short(value)} has {len(value)} entries; give {len(args)}.")
    return tuple(read_as(a, v, place / i) for i, (a, v) in enumerate(zip(args, value, strict=True)))


def _refusal(hint: Any, value: Any, place: Place) -> SpecError:
    if value is None:
        return place.error(f"there is no value; give {words_of(hint)}, or delete the key.")
    return place.error(
        f"{short(value)} is not accepted; give {words_of(hint)}.{did_you_mean(value, choice_words(hint))}"
    )


def words_of(hint: Any) -> str:
    """Say in words what a hint accepts."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(words_of(a) for a in args)
    if origin is Annotated and not any(isinstance(m, Check | Interval) for m in args[1:]):
        return words_of(args[0])
    if _is_form(hint):
        return str(hint.words)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return f"a list, each entry {words_of(args[0])}"
        return f"a list of {len(args)}: " + ", ".join(words_of(a) for a in args)
    if origin is Mapping:
        return f"a mapping, each value {words_of(args[1])}"
    return describe(hint)


# -- writing ----------------------------------------------------------------------------------------


def plain_of(value: Any) -> Any:
    """Return the plain value that reads as this one."""
    if isinstance(value, Form):
        return value.plain()
    if isinstance(value, list | tuple):
        return [plain_of(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain_of(item) for key, item in value.items()}
    return value


# -- JSON Schema ------------------------------------------------------------------------------------

# A word may be written without quotes where YAML sees a number or true in it.
_WORD = {"type": ["string", "number", "boolean"]}
_TYPES: dict[Any, dict[str, Any]] = {
    Any: {},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: _WORD,
    None: {"type": "null"},
    NoneType: {"type": "null"},
}


def schema_of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a hint; shared parts go to ``definitions``.

    Examples
    --------
    >>> from zoo.contract.params import Positive
    >>> schema_of(Positive | Literal["auto"], {})
    {'anyOf': [{'type': 'number', 'exclusiveMinimum': 0}, {'enum': ['auto']}]}
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        schema = dict(schema_of(args[0], definitions))
        for marker in args[1:]:
            if isinstance(marker, Interval):
                schema |= bounds_of(marker.low, marker.high, marker.closed)
            elif isinstance(marker, Verify):
                schema |= marker.schema()
        return schema
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(a, definitions) for a in args]}
    if _is_form(hint):
        return dict(hint.schema(definitions))
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (tuple, list):
        if origin is list or (len(args) == 2 and args[1] is Ellipsis):
            return {"type": "array", "items": schema_of(args[0], definitions)}
        return {
            "type": "array",
            "prefixItems": [schema_of(a, definitions) for a in args],
            "minItems": len(args),
            "maxItems": len(args),
        }
    if origin in (Mapping, dict):
        return {"type": "object", "additionalProperties": schema_of(args[1], definitions)}
    # What no file can hold (callables, arrays) leaves only the null schema: nothing fits.
    return dict(_TYPES.get(hint, {"not": {}}))


def bounds_of(low: Any, high: Any, closed: str) -> dict[str, Any]:
    """Return the JSON Schema words for an interval."""
    bounds: dict[str, Any] = {}
    if low is not None:
        bounds["minimum" if closed in ("both", "left") else "exclusiveMinimum"] = low
    if high is not None:
        bounds["maximum" if closed in ("both", "right") else "exclusiveMaximum"] = high
    return bounds
