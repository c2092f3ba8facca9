"""One page for each estimator, made from its card: nothing on it is written by hand.

The example of the card is run while the page is made, and its output is compared with what the card
promises; the picture is drawn by `pictures.draw`, by the role of the estimator and what it eats.
"""

import doctest
import hashlib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from pictures import draw

import zoo
from zoo import registry
from zoo.contract.equations import mathml

FAMILIES = {
    "linear": "Linear models",
    "svm": "Support vector machines",
    "trees": "Trees and boosting",
    "mlp": "Perceptrons",
    "noprop": "Learning without back-propagation",
    "vision": "Images",
    "sequence": "Series",
    "text": "Text",
    "recommend": "Recommendation",
    "generative": "Generative models",
    "agents": "Agents",
}


def setup(app: Any) -> dict[str, bool]:
    """Register the step that writes the pages, and equations that need no script from elsewhere."""
    from sphinx.util import logging

    say = logging.getLogger(__name__).info
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "estimators", say))
    app.add_html_math_renderer("zoo", (inline_equation, None), (equation, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def inline_equation(translator: Any, node: Any) -> None:
    """Write an equation within a sentence as MathML, which browsers draw by themselves."""
    from docutils.nodes import SkipNode

    translator.body.append(mathml(node.astext(), block=False))
    raise SkipNode


def equation(translator: Any, node: Any) -> None:
    """Write an equation on lines of its own."""
    from docutils.nodes import SkipNode

    translator.body.append(f'<div class="equation">{mathml(node.astext())}</div>\n')
    raise SkipNode


def write(folder: Path, say: Callable[[str], Any] = print) -> None:
    """Write one page for each estimator, and the index of them."""
    folder.mkdir(exist_ok=True)
    rows = registry.entries()
    for row in rows:
        if one(row["name"], folder):
            say(f"estimator page: {row['name']}")
    for page in folder.glob("*.rst"):
        if page.stem not in {"index"} | {row["name"] for row in rows}:
            page.unlink()  # a method that is gone
    replace(folder / "index.rst", index(rows))


def one(name: str, folder: Path) -> bool:
    """Write the page of an estimator and its picture; False when they are there and nothing has changed."""
    cls = getattr(zoo, name)
    text = page(cls)
    sources = [
        text,
        *(Path(inspect.getfile(c)).read_text() for c in cls.__mro__ if c.__module__.startswith("zoo")),
    ]
    sources.append((Path(__file__).parent / "pictures.py").read_text())
    state = hashlib.sha256("".join(sources).encode()).hexdigest()
    stamp = folder / f"{name}.txt"
    if stamp.exists() and stamp.read_text() == state:
        return False
    run_example(cls)
    draw(cls, folder / f"{name}.png")
    replace(folder / f"{name}.rst", text)
    stamp.write_text(state)
    return True


def run_example(cls: Any) -> None:
    """Run the example of the card; what it prints must be what the card says."""
    test = doctest.DocTestParser().get_doctest(cls.card().example, {}, cls.__name__, None, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    if runner.run(test, out=said.append).failed:
        raise RuntimeError(
            f"the example of {cls.__name__} does not print what its card says:\n{''.join(said)}"
        )


def page(cls: Any) -> str:
    """Return the page of an estimator as reStructuredText."""
    card = cls.card()
    parts = [heading(card.name, "="), f".. currentmodule:: {card.module}", card.summary]
    facts = [f"**{' · '.join(card.roles)}** on {card.input}", f"``from zoo import {card.name}``"]
    if card.capabilities:
        facts.append("can: " + ", ".join(c.replace("_", " ") for c in card.capabilities))
    parts.append(" |br| ".join(facts))
    parts += [block(".. math::", equation) for equation in card.equations]
    parts += [
        card.description,
        f".. image:: {card.name}.png\n   :class: estimator-picture\n   :alt: {card.name} at work",
    ]
    parts += [heading("Example", "-"), block(".. code-block:: pycon", card.example)]
    parts += [heading("Parameters", "-")]
    for p in card.parameters:
        default = "required" if p.required else f"default ``{p.default!r}``"
        parts.append(f"``{p.name}``: {literal(p.accepts)}; {default}\n{indent(prose(p.meaning))}")
    if card.attributes:
        parts += [heading("Attributes", "-")]
        parts += [f"``{name}``\n{indent(prose(meaning))}" for name, meaning in card.attributes.items()]
    parts += [heading("Methods", "-"), *methods(cls)]
    if card.notes:
        parts += [heading("Notes", "-"), prose(card.notes)]
    parts += [heading("References", "-"), card.references]
    parts += [heading("In the gallery", "-"), f".. minigallery:: zoo.{card.name}"]
    return (
        ".. |br| raw:: html\n\n   <br/>\n\n"
        + "\n\n".join(part.strip("\n") for part in parts if part)
        + "\n"
    )


def methods(cls: Any) -> list[str]:
    """Return an entry for each public method, with its first sentence."""
    entries = []
    for name in sorted(dir(cls)):
        member = inspect.getattr_static(cls, name)
        member = getattr(member, "__func__", member)  # classmethod, staticmethod
        if name.startswith("_") or not inspect.isfunction(member):
            continue
        signature = ", ".join(
            p.name if p.default is p.empty else f"{p.name}={p.default!r}"
            for p in list(inspect.signature(member).parameters.values())[1:]
        )
        summary = (inspect.getdoc(getattr(cls, name)) or "").split("\n\n")[0]
        entries.append(f"``{name}({signature})``\n{indent(prose(' '.join(summary.split())))}")
    return entries


def index(rows: list[dict[str, Any]]) -> str:
    """Return the list of all pages, by family."""
    parts = [
        heading("Estimators", "="),
        f"{len(rows)} methods, one contract. Each page is made from the card of its method.",
    ]
    for family, title in FAMILIES.items():
        names = [row["name"] for row in rows if row["module"].split(".")[1] == family]
        if not names:
            continue
        parts += [heading(title, "-")]
        parts += [f":doc:`{row['name']}`\n{indent(row['summary'])}" for row in rows if row["name"] in names]
        parts.append(block(".. toctree::\n   :hidden:", "\n".join(names)))
    return "\n\n".join(parts) + "\n"


def heading(text: str, line: str) -> str:
    """Underline a title."""
    return f"{text}\n{line * len(text)}"


def block(directive: str, body: str) -> str:
    """Put an indented body under a directive."""
    return f"{directive}\n\n{indent(body)}"


def indent(text: str) -> str:
    """Indent by three spaces, after taking away what is common."""
    return textwrap.indent(textwrap.dedent(text), "   ")


def prose(text: str) -> str:
    """Keep signs of absolute value from being read as markup; links into other libraries become words."""
    text = re.sub(r":ref:`([^<`]*?)\s*<[^`]*`", r"\1", text)
    pieces = re.split(r"(:math:`[^`]*`|``.*?``|`[^`]*`)", text, flags=re.DOTALL)
    return "".join(piece if i % 2 else piece.replace("|", r"\|") for i, piece in enumerate(pieces))


def literal(text: str) -> str:
    """Keep signs such as * and | from being read as markup."""
    return "".join("\\" + c if c in "*|`_\\" else c for c in text)


def replace(path: Path, text: str) -> None:
    """Write only what has changed, so that Sphinx reads only that again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
