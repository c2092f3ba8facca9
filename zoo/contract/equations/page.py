"""Equations for a web page: MathML, which browsers draw by themselves."""

import re
from html import escape

from zoo.contract.equations.latex import BLACKBOARD, Part, read

_SCRIPT_LETTERS = {
    letter: chr(0x1D49C + i) for i, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
} | dict(zip("BEFHILMR", "ℬℰℱℋℐℒℳℛ", strict=True))
_ACCENT_MARKS = {
    "hat": "^", "widehat": "^", "tilde": "~", "widetilde": "~", "bar": "¯", "overline": "¯",
    "vec": "→", "dot": "˙", "ddot": "¨",
}  # fmt: skip
# An index of these stands beneath them in a displayed equation.
_LIMITS = ("∑", "∏", "min", "max", "sup", "inf", "lim", "argmin", "argmax", "liminf", "limsup")
_FENCES = "()[]{}⟨⟩⌊⌋⌈⌉|‖"
_TIGHT = ' stretchy="false" lspace="0" rspace="0"'
_OPERATORS = set("+-=<>≤≥≠≈≡∝~≪≫·×±∓∘*→←↦⇒⇔∈∉⊂∪∩∀∃¬∧∨⊕⊗⊙⊥≻≺,;:!/∑∏∫∂∇⋯…")


def mathml(latex: str, *, block: bool = True) -> str:
    r"""Write an equation for a web page; browsers draw MathML by themselves.

    A displayed equation ends its lines at wide spaces, and a narrow page can break it before signs
    that stand outside brackets. What cannot be read is shown as it was given.

    Parameters
    ----------
    latex : str
        An equation of a card.
    block : bool, default=True
        Display it; False writes it for the middle of a line.

    Examples
    --------
    >>> mathml(r"\sqrt x", block=False)
    '<math><msqrt><mi>x</mi></msqrt></math>'
    """
    try:
        parts = read(latex)
        if not block:
            return f"<math>{_row(parts)}</math>"
        lines = [
            "&emsp;".join(filter(None, map(_breakable, _cut(line, "   "))))
            for line in _cut(parts, "\n")
        ]
    except (IndexError, ValueError):  # unbalanced braces, an argument that is missing
        return f"<code>{escape(latex)}</code>"
    return "".join(f'<div class="equation">{line}</div>' for line in lines if line)


def with_mathml(text: str) -> str:
    """Write a text as HTML, its ``:math:`` as MathML."""
    pieces = re.split(r":math:`([^`]*)`", text)
    return "".join(
        mathml(piece, block=False) if i % 2 else escape(piece) for i, piece in enumerate(pieces)
    )


def _cut(parts: tuple[Part, ...], space: str) -> list[tuple[Part, ...]]:
    """Cut at the spaces of this width that stand outside brackets."""
    rows: list[list[Part]] = [[]]
    for p in parts:
        if p.kind == "space" and p.text == space:
            rows.append([])
        else:
            rows[-1].append(p)
    return [tuple(row) for row in rows]


def _breakable(parts: tuple[Part, ...]) -> str:
    """Write a piece as elements between which a line may be broken: each begins with a sign."""
    chunks: list[list[Part]] = [[]]
    depth, bars, before = 0, 0, None
    for p in parts:
        if p.kind == "size":
            depth += (p.text == "left") - (p.text == "right")
        elif p.kind == "letter" and p.text:
            depth += (p.text in "([{⟨⌊⌈") - (p.text in ")]}⟩⌋⌉")
            bars += p.text in "|‖" and depth == 0
            outside = depth == 0 and bars % 2 == 0
            if p.text in "+-±=≤≥≈∝←→↦" and outside and not _opens(before):
                chunks.append([])
        if not (p.kind == "space" and p.text == " "):
            before = p
        chunks[-1].append(p)
    rows = [_row(tuple(chunk), continues=i > 0) for i, chunk in enumerate(chunks)]
    return "<wbr>".join(f'<math displaystyle="true">{row}</math>' for row in rows if row)


def _row(parts: tuple[Part, ...], continues: bool = False) -> str:
    """Write pieces that stand side by side; what continues a line begins with a sign between two."""
    parts = tuple(
        p for p in parts if not (p.kind == "space" and p.text == " ") and p != Part("letter", "")
    )
    sizes = [p.text for p in parts if p.kind == "size"]
    if sizes.count("left") != sizes.count("right"):
        raise ValueError("unbalanced brackets")
    written: list[str] = []
    before: Part | None = None  # what a sign or a function stands behind
    i = 0
    while i < len(parts):
        p = parts[i]
        limits = p.text in _LIMITS and p.kind in ("letter", "function")
        i += 1
        if p.kind == "size":
            fence = p.inside[0] if p.inside else parts[i]
            i += 0 if p.inside else 1
            base = _fence(p.text, fence.text)
            if p.text == "left":
                base = _OPEN + base
            elif p.text == "right":
                # The whole bracket is one thing, and takes the exponent.
                start = max(k for k, text in enumerate(written) if text.startswith(_OPEN))
                base = "<mrow>" + "".join(written[start:]).removeprefix(_OPEN) + base + "</mrow>"
                del written[start:]
            p = fence
        elif p.kind in ("above", "below"):
            base = "<mrow></mrow>"
            i -= 1
        elif p.kind == "letter" and p.text.isdecimal():
            digits = p.text
            while i < len(parts) and parts[i].kind == "letter" and re.fullmatch(r"[\d.]", parts[i].text):
                digits += parts[i].text
                i += 1
            i -= len(digits) - len(digits.rstrip("."))
            base = f"<mn>{digits.rstrip('.')}</mn>"
        elif continues and i == 1:
            base = _one(p).replace("<mo>", '<mo form="infix">')
        elif p.kind == "letter" and p.text in "+-±∓" and _opens(before):
            base = _one(p).replace("<mo>", '<mo form="prefix">')
        else:
            base = _one(p)
            if p.kind == "function" and not limits and not _opens(before):
                base = _SPACE + base
        above, below = [], ""
        while i < len(parts):
            script = parts[i]
            if script == Part("letter", "′"):
                above.append("<mo>′</mo>")
            elif script.kind == "above":
                above.append(_one(script.inside[0]))
            elif script.kind == "below":
                below = _one(script.inside[0])
            else:
                break
            i += 1
        exponent = above[0] if len(above) == 1 else f"<mrow>{''.join(above)}</mrow>" if above else ""
        if base.startswith(_SPACE) and (below or exponent):
            written.append(_SPACE)
            base = base.removeprefix(_SPACE)
        written.append(_scripted(base, below, exponent, limits))
        if p.kind == "function" and i < len(parts) and not _closes(parts[i]):
            written.append(_SPACE)
        before = p
    return "".join(written)


_OPEN = "<!--left-->"
_SPACE = '<mspace width="0.17em"></mspace>'


def _opens(p: Part | None) -> bool:
    """Tell whether a sign behind p stands before one thing, not between two."""
    if p is None or p.kind in ("function", "relation", "space", "thin"):
        return True
    return p.kind == "letter" and p.text != "" and (p.text in _OPERATORS or p.text in "([{⟨⌊⌈")


def _closes(p: Part) -> bool:
    """Tell whether a function's name needs no space before p."""
    return p.kind in ("size", "thin") or (p.kind == "letter" and p.text in "([{,;)")


def _scripted(base: str, below: str, above: str, limits: bool) -> str:
    under, over, both = ("munder", "mover", "munderover") if limits else ("msub", "msup", "msubsup")
    if below and above:
        return f"<{both}>{base}{below}{above}</{both}>"
    if below:
        return f"<{under}>{base}{below}</{under}>"
    return f"<{over}>{base}{above}</{over}>" if above else base


def _fence(size: str, text: str) -> str:
    if not text:
        return ""
    if size in ("left", "right", "middle"):
        form = {"left": "prefix", "right": "postfix", "middle": "infix"}[size]
        return f'<mo stretchy="true" form="{form}">{escape(text)}</mo>'
    em = {"bigg": 2.4, "Bigg": 3.0}.get(size[:4], 1.2 if size[0] == "b" else 1.8)
    return f'<mo stretchy="true" symmetric="true" minsize="{em}em" maxsize="{em}em">{escape(text)}</mo>'


def _one(p: Part) -> str:
    """Write one piece as one element."""
    if p.kind == "letter":
        return _letter(p.text)
    if p.kind == "function":
        if p.text in _LIMITS:
            return f'<mo movablelimits="true" lspace="0.17em" rspace="0">{p.text}</mo>'
        return f'<mi mathvariant="normal">{p.text}</mi>'
    if p.kind == "relation":
        return f'<mo stretchy="false" lspace="0.28em" rspace="0.28em">{p.text}</mo>'
    if p.kind == "thin":
        return _SPACE
    if p.kind == "space":
        return f'<mspace width="{1 if p.text == "   " else 2}em"></mspace>'
    if p.kind == "group":
        inside = _row(p.inside)
        one = re.fullmatch(r"<(m[ion])\b[^>]*>[^<]*</\1>", inside)
        return inside if one else f"<mrow>{inside}</mrow>"
    if p.kind == "environment":
        return "<mrow></mrow>"
    if p.kind == "unknown":
        return f"<mtext>{escape(p.text)}</mtext>"
    if p.kind == "font":
        return _in_font(p.text, p.inside[0])
    inside_each = [_one(part) for part in p.inside]
    if p.kind == "fraction":
        style = {"tfrac": ' displaystyle="false"', "dfrac": ' displaystyle="true"'}.get(p.text, "")
        fraction = f"<mfrac>{''.join(inside_each)}</mfrac>"
        return f"<mstyle{style}>{fraction}</mstyle>" if style else fraction
    if p.kind == "binomial":
        return f'<mrow><mo>(</mo><mfrac linethickness="0">{"".join(inside_each)}</mfrac><mo>)</mo></mrow>'
    if p.kind == "root":
        return f"<msqrt>{inside_each[0]}</msqrt>"
    if p.kind == "accent":
        stretchy = "true" if p.text in ("overline", "widehat", "widetilde") else "false"
        mark = f'<mo stretchy="{stretchy}">{_ACCENT_MARKS[p.text]}</mo>'
        return f'<mover accent="true">{inside_each[0]}{mark}</mover>'
    raise ValueError(f"no MathML for {p.kind}")  # a script without a base


def _letter(text: str) -> str:
    if text.isdecimal():
        return f"<mn>{text}</mn>"
    if text in ("|", "‖"):
        return f"<mo{_TIGHT}>{text}</mo>"
    if text and text in _FENCES:
        return f'<mo stretchy="false">{text}</mo>'
    if text == "ᵀ":
        return '<mi mathvariant="normal">T</mi>'
    if text == ".":
        return "<mo>.</mo>"
    if text in _OPERATORS:
        return f"<mo>{escape('−' if text == '-' else '∼' if text == '~' else text)}</mo>"
    return f"<mi>{escape(text)}</mi>"


def _in_font(font: str, p: Part) -> str:
    parts = p.inside if p.kind == "group" else (p,)
    if any(part.kind not in ("letter", "space", "thin") for part in parts):
        return _one(p)
    word = "".join(part.text for part in parts)
    if font in ("text", "textrm", "textit", "textbf", "texttt", "mbox"):
        return f"<mtext>{escape(word).replace(' ', '&nbsp;')}</mtext>"
    word = word.replace(" ", "")
    if font == "mathbb":
        return f'<mi mathvariant="normal">{escape(BLACKBOARD.get(word, word))}</mi>'
    if font in ("mathcal", "mathscr"):
        return f'<mi mathvariant="normal">{escape("".join(_SCRIPT_LETTERS.get(c, c) for c in word))}</mi>'
    if font in ("mathbf", "boldsymbol", "bm"):
        return f'<mi mathvariant="normal" style="font-weight: bold">{escape(word)}</mi>'
    return f'<mi mathvariant="normal">{escape(word)}</mi>'
