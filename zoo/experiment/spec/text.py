"""The text of a spec: YAML with bounds, in which every value knows its place.

Plain values come out: None, bool, int, float, str, list, dict. Words are read as YAML 1.2 and JSON
read them: ``no``, ``on`` and ``2024-01-31`` are words, ``1e-3`` is a number. No tag is read, so nothing
can be made but these values.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

__all__ = ["Source", "SpecError", "read_object", "read_text", "write_text"]

# Far above what a person writes, far below what hurts.
LIMIT_BYTES = 256 * 1024
LIMIT_DEPTH = 24
LIMIT_VALUES = 20_000
LIMIT_DIGITS = 40
LARGEST = 2**63 - 1

_WORDS: dict[str, Any] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
    | {sign + word: value for word in (".inf", ".Inf", ".INF")
       for sign, value in (("", math.inf), ("+", math.inf), ("-", -math.inf))}
    | dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
)  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

PathInside = tuple[Any, ...]


class SpecError(ValueError):
    """A spec cannot be used; the message is one sentence that begins with the place.

    Examples
    --------
    >>> from zoo.experiment.spec import read
    >>> read({"data": {"csv": "a.csv", "target": "y"}, "model": ["Ridge"]})
    Traceback (most recent call last):
    zoo.experiment.spec.text.SpecError: spec: model: there is no such key; write one of title, data, test, ...
    """


@dataclass
class Source:
    """A plain value, and where each part of it stands.

    Parameters
    ----------
    name : str
        The file, or "spec".
    value : object
        The plain value.
    marks : dict
        From the path of a value, such as ("models", 0), to line and column, both from 1. Empty where
        there is no text.
    raw : dict
        From the path of a plain word to the word as it was written; a key's path ends in `KEY`.
    folder : Path, optional
        The folder of the file.
    """

    name: str
    value: Any
    marks: dict[PathInside, tuple[int, int]] = field(default_factory=dict)
    raw: dict[PathInside, str] = field(default_factory=dict)
    folder: Path | None = None

    def error(self, path: PathInside, sentence: str) -> SpecError:
        """Return the error whose message begins with the place of ``path``."""
        words = dotted(path)
        for n in range(len(path), -1, -1):
            if path[:n] in self.marks:
                line, column = self.marks[path[:n]]
                return SpecError(f"{self.name}:{line}:{column}: {words}{sentence}")
        return SpecError(f"{self.name}: {words}{sentence}")


def dotted(path: PathInside) -> str:
    """Write a path, as in ``models[1].SVC.C: ``.

    >>> dotted(("models", 1, "SVC", "C"))
    'models[1].SVC.C: '
    """
    words = ""
    for part in path:
        if part is KEY:
            continue
        if isinstance(part, tuple):
            part = f"[{', '.join(part)}]"
        words += f"[{part}]" if isinstance(part, int) and not isinstance(part, bool) else f".{part}"
    return words.removeprefix(".") + ": " if words else ""


class _Key:
    """The last part of a path that means the key rather than the value."""

    def __repr__(self) -> str:
        return "KEY"


KEY = _Key()


def short(value: Any, limit: int = 60) -> str:
    """Show a value on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


# -- reading text -----------------------------------------------------------------------------------


def read_text(text: str | bytes, name: str, folder: Path | None = None) -> Source:
    r"""Read YAML or JSON.

    Parameters
    ----------
    text : str or bytes
        The document.
    name : str
        What messages call it.
    folder : Path, optional
        Where it lies.

    Examples
    --------
    >>> read_text("target: no\nlr: 1e-3", "a.yaml").value
    {'target': 'no', 'lr': 0.001}
    """
    source = Source(name, None, folder=folder)
    if isinstance(text, bytes):
        if len(text) > LIMIT_BYTES:
            raise source.error((), f"the file is larger than {LIMIT_BYTES // 1024} KiB; a spec is a page.")
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise source.error((), f"byte {error.start} is not UTF-8; save the file as UTF-8 text.") from None
    elif len(text) > LIMIT_BYTES:
        raise source.error((), f"the text is larger than {LIMIT_BYTES // 1024} KiB; a spec is a page.")
    try:
        _check_events(text, source)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is not None:
            source.marks[()] = (mark.line + 1, mark.column + 1)
        raise source.error((), _sentence(error)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        source.marks[()] = (before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1)
        raise source.error(
            (), f"the character {short(chr(int(error.character)))} has no place in text; delete it."
        ) from None
    if root is None:
        raise source.error((), "the file is empty; `zoo new DATA` writes a spec to begin with.")
    source.value = _Builder(source).build(root, (), ())
    return source


def _sentence(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "this cannot be read").replace("\n", " ")
    problem = problem.replace("'\\t'", "a tab")
    advice = (
        "indent with spaces"
        if "tab" in problem
        else "check colons, brackets, quotes and the indentation here"
    )
    return f"this is not YAML ({problem}); {advice}."


def _check_events(text: str, source: Source) -> None:
    """Refuse what is too deep or too much before anything is built of it."""
    depth = values = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        complaint = ""
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > LIMIT_DEPTH:
                complaint = f"this is nested more than {LIMIT_DEPTH} deep; a spec is flatter."
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                complaint = "a second document begins here; write one spec a file."
        if isinstance(event, yaml.NodeEvent):
            values += 1
            if values > LIMIT_VALUES:
                complaint = f"there are more than {LIMIT_VALUES} values here; a spec is a page."
            tag = getattr(event, "tag", None)
            if tag is not None:
                complaint = f"the tag {short(tag)} is not read; write the plain value."
        mark = event.start_mark
        if complaint and mark is not None:
            source.marks[()] = (mark.line + 1, mark.column + 1)
            raise source.error((), complaint)


class _Builder:
    """Makes plain values of nodes and notes where they stand."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.values = 0

    def build(self, node: yaml.Node, path: PathInside, above: tuple[int, ...]) -> Any:
        mark = node.start_mark
        self.source.marks[path] = (mark.line + 1, mark.column + 1)
        self.values += 1
        if self.values > LIMIT_VALUES:
            raise self.source.error(
                path, f"aliases make more than {LIMIT_VALUES} values of this; write them out."
            )
        if id(node) in above:
            raise self.source.error(path, "this alias contains itself; write the value out.")
        if len(above) > LIMIT_DEPTH:
            raise self.source.error(path, f"this is nested more than {LIMIT_DEPTH} deep.")
        above = (*above, id(node))
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i), above) for i, item in enumerate(node.value)]
        return self.mapping(node, path, above)

    def mapping(self, node: Any, path: PathInside, above: tuple[int, ...]) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.key(key_node, path)
            if key in built:
                raise self.source.error((*path, key, KEY), "this key stands here twice; keep one of the two.")
            built[key] = self.build(value_node, (*path, key), above)
        return built

    def key(self, node: yaml.Node, path: PathInside) -> Any:
        """Read a key: a word, or a list of words for several columns."""
        mark = node.start_mark
        place = (mark.line + 1, mark.column + 1)
        if isinstance(node, yaml.ScalarNode):
            key = self.scalar(node, (*path, KEY))
            if node.value == "<<" and node.style is None:
                raise self.source.error(path, "'<<' merges nothing here; write the keys out.")
            if node.style is None and not isinstance(key, str):
                self.source.raw[(*path, key, KEY)] = node.value
        elif isinstance(node, yaml.SequenceNode) and all(isinstance(n, yaml.ScalarNode) for n in node.value):
            key = tuple(str(n.value) for n in node.value)
        else:
            self.source.marks[(*path, KEY)] = place
            raise self.source.error((*path, KEY), "this is no key; write a word, or a list of words.")
        self.source.marks[(*path, key, KEY)] = place
        return key

    def scalar(self, node: Any, path: PathInside) -> Any:
        text: str = node.value
        if node.style is not None:
            return text
        value = self.plain(text, path, node)
        if not isinstance(value, str):
            self.source.raw[path] = text
        return value

    def plain(self, text: str, path: PathInside, node: yaml.Node) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        complaint = ""
        if _INTEGER.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
            if len(text) <= LIMIT_DIGITS:
                number = int(text, 0) if text[:2] in ("0x", "0o") else int(text)
                if abs(number) <= LARGEST:
                    return number
            complaint = f"{short(text)} is a larger integer than any setting needs (2^63 - 1)"
        elif _NUMBER.fullmatch(text):
            if len(text) <= LIMIT_DIGITS:
                value = float(text)
                if math.isfinite(value):
                    return value
            complaint = f"{short(text)} is no number that a computer holds"
        if complaint:
            mark = node.start_mark
            self.source.marks[path] = (mark.line + 1, mark.column + 1)
            raise self.source.error(path, f"{complaint}; put a word in quotes.")
        return text


# -- reading Python values --------------------------------------------------------------------------


def read_object(value: Mapping[str, Any], name: str = "spec") -> Source:
    """Read a dict: the same plain values, under the same bounds; tuples become lists.

    Examples
    --------
    >>> read_object({"cv": np.int64(3), "metrics": ("r2",)}).value
    {'cv': 3, 'metrics': ['r2']}
    """
    source = Source(name, None)
    count = iter(range(LIMIT_VALUES))
    source.value = _plain(value, (), source, count)
    return source


def _plain(value: Any, path: PathInside, source: Source, count: Iterator[int]) -> Any:
    if next(count, None) is None:
        raise source.error(path, f"there are more than {LIMIT_VALUES} values here; a spec is a page.")
    if len(path) > LIMIT_DEPTH:
        raise source.error(path[:3], f"this is nested more than {LIMIT_DEPTH} deep, or holds itself.")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise source.error(path, "this is a larger integer than any setting needs (2^63 - 1).")
        return int(value)
    if isinstance(value, float):
        return math.nan if math.isnan(value) else float(value)
    if isinstance(value, str):
        if len(value) > LIMIT_BYTES:
            raise source.error(path, f"the word is longer than {LIMIT_BYTES // 1024} KiB.")
        return str(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, i), source, count) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {
            _plain_key(key, path, source): _plain(item, (*path, key), source, count)
            for key, item in value.items()
        }
    raise source.error(
        path,
        f"{short(value)} ({type(value).__name__}) is no plain value; give None, True, False, a number, a "
        "string, a list or a dict, and estimators by name.",
    )


def _plain_key(key: Any, path: PathInside, source: Source) -> Any:
    key = key.item() if isinstance(key, np.generic) else key
    is_words = isinstance(key, tuple) and all(isinstance(k, str) for k in key)
    if is_words or key is None or isinstance(key, str | bool | int | float):
        return key
    raise source.error(path, f"the key {short(key)} is no word and no number.")


# -- writing ----------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Writes words in quotes where either YAML 1.1 or this reader takes them for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


class _Flow(list[Any]):
    """A list written on one line."""


def _represent_tuple(dumper: yaml.SafeDumper, value: Any) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", list(value), flow_style=True)


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = None
    if _NUMBER.fullmatch(value) or _HEXADECIMAL.fullmatch(value) or value in _WORDS or value == "<<":
        style = "'"
    elif any(c in value for c in "\x85\u2028\u2029\ufeff") or not value.isprintable():
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(tuple, _represent_tuple)
_Dumper.add_representer(_Flow, _represent_tuple)
_Dumper.add_representer(str, _represent_text)


class _FlowDict(dict[Any, Any]):
    """A dict written on one line."""


_Dumper.add_representer(
    _FlowDict,
    lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True),
)


def _is_flat(value: Any) -> bool:
    return not isinstance(value, list | tuple | dict) or not value


def _in_lines(value: Any, depth: int = 0) -> Any:
    """Write lists and dicts of few plain values on one line."""
    if isinstance(value, dict):
        plain = all(
            _is_flat(item) or (isinstance(item, list) and all(map(_is_flat, item))) for item in value.values()
        )
        if depth > 1 and value and plain and len(repr(value)) < 90:
            return _FlowDict({key: _in_lines(item, depth + 1) for key, item in value.items()})
        return {key: _in_lines(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if all(map(_is_flat, value)):
            return _Flow(value)
        return [_in_lines(item, depth) for item in value]
    return value


def write_text(value: Any) -> str:
    """Write a plain value as YAML that `read_text` reads back as it was.

    >>> print(write_text({"target": "no", "lr": 1e-3, "drop": ["1", "b"]}), end="")
    target: 'no'
    lr: 0.001
    drop: ['1', b]
    """
    text: str = yaml.dump(
        _in_lines(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100,
        default_flow_style=False,
    )  # fmt: skip
    return text
