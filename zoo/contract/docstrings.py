"""Docstrings: what stands in them, by section, with what a class inherits.

Every meaning is written once: ``help(MLPClassifier)`` tells of all parameters although most of them are
described at an ancestor.
"""

import inspect
import re
from textwrap import indent
from typing import Any

_UNDERLINE = re.compile(r"^-{3,}\s*$")


def sections_of(cls: Any) -> dict[str, str]:
    """Cut the class's own docstring at its underlined titles."""
    text = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    lines = text.splitlines()
    found: dict[str, list[str]] = {"Head": []}
    title = "Head"
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and _UNDERLINE.match(lines[i + 1]) and line.strip():
            title = line.strip()
            found[title] = []
        elif not (_UNDERLINE.match(line) and i > 0 and lines[i - 1].strip() == title):
            found[title].append(line)
    sections = {name: "\n".join(body).strip() for name, body in found.items()}
    summary, _, description = sections.pop("Head").partition("\n\n")
    return {"Summary": summary.replace("\n", " "), "Description": description.strip()} | sections


def inherited_section(cls: Any, title: str) -> str:
    """Join a section over the class and its ancestors, nearest first."""
    parts = [
        sections_of(base).get(title, "") for base in cls.__mro__ if base.__module__ != "builtins"
        and not base.__module__.startswith("sklearn")
    ]
    return "\n".join(part for part in parts if part)


def entries_of(section: str) -> dict[str, str]:
    """Read ``name : type`` entries and their indented meanings; the first word on a name stands."""
    entries: dict[str, str] = {}
    names: list[str] = []
    body: list[str] = []

    def close() -> None:
        for name in names:
            entries.setdefault(name, inspect.cleandoc("\n".join(body)))

    for line in section.splitlines():
        if line and not line[0].isspace():
            close()
            names = [n.strip() for n in line.partition(":")[0].split(",")]
            body = []
        else:
            body.append(line.strip() if not body else line)
    close()
    return entries


def complete_docstring(cls: Any) -> str:
    """Return the class's docstring with the parameters and attributes that it inherits.

    ``help(MLPClassifier)`` then tells all, although each meaning is written once.
    """
    text = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
    sections = sections_of(cls)
    known = set(cls._defaults)
    for title in ("Parameters", "Attributes"):
        own = entries_of(sections.get(title, ""))
        more = []
        for base in cls.__mro__[1:]:
            if not base.__module__.startswith("sklearn") and base is not object:
                section = sections_of(base).get(title, "")
                for name, (head, meaning) in _raw_entries(section).items():
                    if name not in own and (title == "Attributes" or name in known):
                        own[name] = meaning
                        more.append(head + "\n" + indent(meaning, "    "))
        if more and title in sections:
            text = text.replace(sections[title], "\n".join([sections[title], *more]), 1)
        elif more:
            text = _insert_section(text, title, "\n".join(more))
    return text


def _insert_section(text: str, title: str, body: str) -> str:
    """Put a section before the first of those that follow it in a docstring."""
    block = f"{title}\n{'-' * len(title)}\n{body}\n\n"
    following = ("Attributes", "Notes", "References", "Examples")
    for name in following[following.index(title) + 1 :] if title in following else following:
        heading = f"\n{name}\n{'-' * len(name)}\n"
        if heading in text:
            return text.replace(heading, f"\n{block.rstrip()}\n{heading}", 1)
    return f"{text.rstrip()}\n\n{block}"


def _raw_entries(section: str) -> dict[str, tuple[str, str]]:
    """Read entries with their heading line: name -> (line, meaning)."""
    heads = {
        name.strip(): line
        for line in section.splitlines()
        if line and not line[0].isspace()
        for name in line.partition(":")[0].split(",")
    }
    return {
        name: (name + ("" if ":" not in heads[name] else " :" + heads[name].partition(":")[2]), m)
        for name, m in entries_of(section).items()
    }


_MATH = re.compile(r"^\.\. math::[ ]*(?P<head>.*)\n?(?P<body>(?:(?:[ ]{2,}.*)?\n?)*)", re.MULTILINE)


def equations_in(text: str) -> tuple[str, ...]:
    """Return the equations of a docstring, as LaTeX."""
    return tuple(
        inspect.cleandoc((m["head"] + "\n" + m["body"]) if m["head"] else m["body"]).strip()
        for m in _MATH.finditer(text)
    )


def without_math(text: str) -> str:
    """Return the text without its equations."""
    return re.sub(r"\n{3,}", "\n\n", _MATH.sub("", text)).strip()


def keep_parameters(docstring: str, names: tuple[str, ...]) -> str:
    """Return the docstring of a function without the parameters that are none of these names."""
    title = "Parameters\n----------\n"
    before, found, rest = docstring.partition(title)
    if not found:
        return docstring
    body, line, after = rest.partition("\n\nReturns\n")
    kept = [
        head + "\n" + indent(meaning, "    ")
        for name, (head, meaning) in _grouped_entries(body).items()
        if set(name.split(", ")) & set(names)
    ]
    return before + title + "\n".join(kept) + line + after


def _grouped_entries(section: str) -> dict[str, tuple[str, str]]:
    """Read entries by their names as they stand together: "X_val, y_val" -> (line, meaning)."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in section.splitlines():
        if line and not line[0].isspace():
            name = line.partition(":")[0].strip()
            found[name] = (line, [])
        elif name:
            found[name][1].append(line)
    return {name: (head, inspect.cleandoc("\n".join(["", *body]))) for name, (head, body) in found.items()}


def meanings(cls: Any) -> dict[str, str]:
    """Return what the docstring of any class says of each of its parameters."""
    return entries_of(sections_of(cls).get("Parameters", ""))
