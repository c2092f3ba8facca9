"""Equations for a terminal: letters that Unicode has, and a line where LaTeX has a wide space."""

import re

from zoo.contract.equations.latex import ACCENTS, BLACKBOARD, FUNCTIONS, Part, read

_ABOVE = dict(zip(
    "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWᵀβγδθ′*",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵀᵝᵞᵟᶿ′*", strict=True,
))  # fmt: skip
_BELOW = dict(zip(
    "0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True
))  # fmt: skip


def readable(latex: str) -> str:
    r"""Write an equation for a terminal; what has no plain form stays as it is.

    Parameters
    ----------
    latex : str
        An equation of a card.

    Examples
    --------
    >>> readable(r"\beta = (X^\top X + \alpha I)^{-1} X^\top y")
    'β = (Xᵀ X + α I)⁻¹ Xᵀ y'
    """
    try:
        text = _plain_row(read(latex))
    except (IndexError, ValueError):  # unbalanced braces, an argument that is missing
        return latex
    text = re.sub(r"([⟨⌊⌈(\[]) +", r"\1", re.sub(r" +([⟩⌋⌉)\],;])", r"\1", text))
    lines = [re.sub(r"(?<=\S) {4,}", "   ", line.strip()) for line in text.split("\n")]
    return "\n".join(line for line in lines if line)


def with_readable(text: str) -> str:
    """Write the ``:math:`` of a text for a terminal."""
    return re.sub(r":math:`([^`]*)`", lambda m: readable(m[1]), text)


def _plain_row(parts: tuple[Part, ...]) -> str:
    text = ""
    for p in parts:
        part = _plain(p)
        if part.isspace() and "\n" not in part and (not text or text[-1].isspace()):
            part = part[1:] if text.endswith(" ") else ""
        elif (
            p.kind not in ("above", "below") and part[:1].isalnum() and _ends_in_function(text)
        ):
            part = " " + part
        text += part
    return text


def _plain(p: Part) -> str:
    if p.kind == "group":
        return _plain_row(p.inside)
    if p.kind in ("letter", "relation", "function", "space", "thin", "unknown"):
        return p.text
    if p.kind == "size":
        return ""
    if p.kind == "environment":
        return " "
    inside = [_plain(part).strip() for part in p.inside]
    if p.kind == "above":
        return _small(inside[0], _ABOVE, "^")
    if p.kind == "below":
        return _small(inside[0], _BELOW, "_")
    if p.kind == "fraction":
        return "/".join(x if re.fullmatch(r"\w+", x) else f"({x})" for x in inside)
    if p.kind == "binomial":
        return f"binom({inside[0]}, {inside[1]})"
    if p.kind == "root":
        return f"√{inside[0]}" if len(inside[0]) == 1 else f"√({inside[0]})"
    if p.kind == "accent":
        return inside[0] + ACCENTS[p.text] if len(inside[0]) == 1 else f"{p.text}({inside[0]})"
    return BLACKBOARD.get(inside[0], inside[0]) if p.text == "mathbb" else inside[0]


def _small(text: str, small: dict[str, str], sign: str) -> str:
    """Write an index or exponent in small letters if all of its letters have them."""
    if text in ("*", "†"):
        return text
    compact = text.replace(" ", "") if re.fullmatch(r"[\w+\-= ]*", text) else text
    if text and all(c in small for c in compact):
        return "".join(small[c] for c in compact)
    return f"{sign}{text}" if len(text) == 1 else f"{sign}({text})"


def _ends_in_function(text: str) -> bool:
    """Tell whether the text ends in a function's name, which the next letter would extend."""
    word = re.search(r"[A-Za-z]+$", text)
    return word is not None and word[0] in FUNCTIONS
