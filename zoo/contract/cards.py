"""Cards: what a method is, read from its class and its docstring, never written by hand."""

import re
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import numpy as np

from zoo.contract.docstrings import (
    entries_of,
    equations_in,
    inherited_section,
    sections_of,
    without_math,
)
from zoo.contract.equations import mathml, with_mathml
from zoo.contract.params import REQUIRED, Fixed, Search, describe, fields_of, is_integer, search_range


@dataclass(frozen=True)
class Parameter:
    """One row of a card: name, default, domain, meaning, and what a search may try."""

    name: str
    default: Any
    accepts: str
    meaning: str
    search: Search | Fixed | list[Any] | None
    integer: bool = False

    @property
    def required(self) -> bool:
        """Whether the parameter has no default."""
        return self.default is REQUIRED


def _scipy_distribution(parameter: Parameter) -> Any:
    from scipy import stats

    tried = parameter.search
    if not isinstance(tried, Search):
        return tried
    if not parameter.integer:
        if tried.log:
            return stats.loguniform(tried.low, tried.high)
        return stats.uniform(tried.low, tried.high - tried.low)
    low, high = int(tried.low), int(tried.high)
    if not tried.log:
        return stats.randint(low, high + 1)
    # Integers on a log scale: each has the cell around it, so that the ends are not half as likely.
    numbers = np.arange(low, high + 1)
    weights = np.log((numbers + 0.5) / (numbers - 0.5))
    return stats.rv_discrete(values=(numbers, weights / weights.sum()))


def _optuna_distribution(parameter: Parameter) -> Any:
    from optuna import distributions

    tried = parameter.search
    if isinstance(tried, list):
        return distributions.CategoricalDistribution(tried)
    assert isinstance(tried, Search)
    if parameter.integer:
        return distributions.IntDistribution(int(tried.low), int(tried.high), log=tried.log)
    return distributions.FloatDistribution(tried.low, tried.high, log=tried.log)


@dataclass(frozen=True)
class Card:
    """Everything a reader, a search or a registry wants to know of a method."""

    name: str
    module: str
    roles: tuple[str, ...]
    input: str
    summary: str
    description: str
    equations: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    attributes: dict[str, str]
    notes: str
    references: str
    example: str
    capabilities: tuple[str, ...] = field(default=())

    @property
    def role(self) -> str:
        """The first role."""
        return self.roles[0]

    def missing(self) -> list[str]:
        """Name the parts that a complete card has and this one lacks."""
        parts = ("summary", "description", "equations", "references", "example", "roles")
        absent = [part for part in parts if not getattr(self, part)]
        return absent + [f"meaning of {p.name}" for p in self.parameters if not p.meaning]

    def distributions(self, kind: Literal["scipy", "optuna"] = "scipy") -> dict[str, Any]:
        """Return what a search may try: a distribution for each range, the values for each choice.

        Parameters
        ----------
        kind : {"scipy", "optuna"}, default="scipy"
            "scipy": frozen distributions and lists, as RandomizedSearchCV and HalvingRandomSearchCV take
            them; "optuna": distributions of optuna, which must be installed.

        Returns
        -------
        distributions : dict
            By the name of the parameter.

        Examples
        --------
        >>> from zoo import Ridge
        >>> sorted(Ridge.card().distributions())
        ['alpha', 'fit_intercept']
        """
        made = {"scipy": _scipy_distribution, "optuna": _optuna_distribution}[kind]
        return {p.name: made(p) for p in self.parameters if isinstance(p.search, Search | list)}

    def __str__(self) -> str:
        """Write the card as a page of plain text."""
        lines = [f"{self.name} - {', '.join(self.roles)} on {self.input}", "", self.summary, ""]
        if self.description:
            lines += [self.description, ""]
        for equation in self.equations:
            lines += ["    " + line for line in equation.splitlines()] + [""]
        if self.capabilities:
            lines += ["Capabilities: " + ", ".join(self.capabilities), ""]
        lines.append("Parameters")
        for p in self.parameters:
            default = "required" if p.required else f"default {p.default!r}"
            lines.append(f"  {p.name}: {p.accepts}; {default}")
            lines += [f"      {line}" for line in p.meaning.splitlines()]
        for title, text in (("Notes", self.notes), ("References", self.references)):
            if text:
                lines += ["", title, *("  " + line for line in text.splitlines())]
        if self.example:
            lines += ["", "Example", *("  " + line for line in self.example.splitlines())]
        return "\n".join(lines)


    def _repr_html_(self) -> str:
        """Write the card for a notebook: what it is and its equation, the rest folded."""
        parameters = "".join(
            f"<dt><code>{escape(p.name)}</code> {'required' if p.required else escape(repr(p.default))}</dt>"
            f"<dd>{prose_html(p.meaning)}<p>{escape(p.accepts)}</p></dd>"
            for p in self.parameters
        )
        folded = (
            ("About", prose_html(self.description) + prose_html(self.notes)),
            ("Parameters", f"<dl>{parameters}</dl>" if parameters else ""),
            ("References", prose_html(self.references)),
        )
        return (
            f'<div class="zoo-card"><style>{_CARD_STYLE}</style>'
            f"<p><strong>{escape(self.name)}</strong> <small>{escape(', '.join(self.roles))} on "
            f"{escape(self.input)}</small></p>{prose_html(self.summary)}"
            + "".join(mathml(equation) for equation in self.equations)
            + "".join(
                f"<details><summary>{title}</summary>{body}</details>" for title, body in folded if body
            )
            + "</div>"
        )


def read_card(cls: Any) -> Card:
    """Read the card of an estimator class."""
    sections = sections_of(cls)
    meanings = entries_of(inherited_section(cls, "Parameters"))
    return Card(
        name=cls.__name__,
        module=cls.__module__,
        roles=roles_of(cls),
        input=cls.input.name,
        summary=sections["Summary"],
        description=without_math(sections["Description"]),
        equations=equations_in("\n".join(sections.values())),
        parameters=tuple(
            Parameter(f.name, f.default, describe(f.hint), meanings.get(f.name, ""),
                      search_range(f.hint), is_integer(f.hint))
            for f in fields_of(cls).values()
        ),
        attributes=entries_of(inherited_section(cls, "Attributes")),
        notes=without_math(sections.get("Notes", "")),
        references=sections.get("References", ""),
        example=sections.get("Examples", ""),
        capabilities=capabilities(cls),
    )


def roles_of(cls: Any) -> tuple[str, ...]:
    """Name the roles of a class: those of its ancestors that declare themselves as one."""
    declared = [base for base in cls.__mro__ if "role" in vars(base)]
    return tuple(base.role for base in sorted(declared, key=lambda base: base.role_rank))


def capabilities(cls: Any) -> tuple[str, ...]:
    """List what a method can do, from the same declarations that make it able to.

    ``_learn`` names weights, validation data and incremental learning; the input declares sparse,
    missing and categorical data; an engine adds its own through ``extra_capabilities``.
    """
    learns = cls.learns
    found = {
        "sample_weight": "w" in learns,
        "validation_data": "val" in learns,
        "partial_fit": "resume" in learns,
        "callbacks": "steps" in learns,
        "sparse": getattr(cls.input, "sparse", False),
        "missing_values": getattr(cls.input, "missing", False),
        "categories": getattr(cls.input, "categories", False),
        "multi_output": cls.target.many,
        "probabilities": hasattr(cls, "_proba")
        or (getattr(cls, "logits", False) and hasattr(cls, "_scores")),
        "likelihood": hasattr(cls, "_log_likelihood"),
    }
    extra = tuple(getattr(cls, "extra_capabilities", ()))
    return tuple(name for name, has in found.items() if has) + extra


# -- for web pages ------------------------------------------------------------------------------

_CARD_STYLE = """
.zoo-card { max-width: 46rem; margin: .6rem 0; line-height: 1.5; }
.zoo-card p { margin: 0 0 .5em; }
.zoo-card .equation { margin: .2em 0 .2em 1em; padding-left: 1.6em; text-indent: -1.6em; line-height: 2.4; }
.zoo-card .equation math { text-indent: 0; font-size: 1.1em; }
.zoo-card math { font-family: "Cambria Math", "STIX Two Math", "Latin Modern Math", "DejaVu Serif", serif; }
.zoo-card small { opacity: .75; }
.zoo-card details { margin: .25em 0; }
.zoo-card summary { cursor: pointer; opacity: .75; }
.zoo-card details > :not(summary) { margin-left: 1em; }
.zoo-card dd { margin: 0 0 .3em 1.5em; }
.zoo-card dd p { margin: 0; }
.zoo-card dd p:last-child { opacity: .7; font-size: .9em; }
""".replace("\n", " ")
_CODE = re.compile(r"(``[^`]+``|:math:`[^`]*`|`[^`]+`)")


def prose_html(text: str) -> str:
    """Write the prose of a docstring as HTML: paragraphs, ``code`` and :math:`x`."""
    paragraphs = [p for p in re.split(r"\n\s*\n", text.strip()) if p]
    return "".join(f"<p>{_line_html(p)}</p>" for p in paragraphs)


def _line_html(text: str) -> str:
    pieces = _CODE.split(text)
    return "".join(
        f"<code>{escape(piece.strip('`'))}</code>" if piece.startswith("`") else with_mathml(piece)
        for piece in pieces
    )
