r"""Equations: one reader of LaTeX, and two writers, for terminals and for web pages.

>>> from zoo.contract.equations import mathml, readable
>>> readable(r"\min_\beta \tfrac12 \sum_i (y_i - \langle x_i, \beta\rangle)^2 + \alpha |\beta|^2")
'minᵦ 1/2 ∑ᵢ (yᵢ - ⟨xᵢ, β⟩)² + α |β|²'
>>> mathml(r"\beta^2", block=False)
'<math><msup><mi>β</mi><mn>2</mn></msup></math>'
"""

import re
from dataclasses import dataclass
from html import escape

__all__ = ["mathml", "readable", "with_mathml", "with_readable"]

_SYMBOLS = {
    name: symbol
    for line in (
        "alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ iota ι kappa κ "
        "lambda λ mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi φ varphi φ chi χ psi ψ "
        "omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω",
        "sum ∑ prod ∏ int ∫ partial ∂ nabla ∇ infty ∞ ell ℓ top ᵀ in ∈ notin ∉ subset ⊂ cup ∪ "
        "cap ∩ emptyset ∅ forall ∀ exists ∃ neg ¬ wedge ∧ vee ∨ oplus ⊕ otimes ⊗ odot ⊙ perp ⊥",
        "le ≤ leq ≤ succ ≻ prec ≺ ge ≥ geq ≥ ne ≠ neq ≠ approx ≈ equiv ≡ propto ∝ sim ~ ll ≪ gg ≫ "
        "cdot · cdots ⋯ "
        "ldots … dots … times × pm ± mp ∓ circ ∘ star * ast * to → rightarrow → leftarrow ← gets ← "
        "mapsto ↦ Rightarrow ⇒ iff ⇔ mid | vert | lvert | rvert | Vert ‖ lVert ‖ rVert ‖ | ‖",
        "langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ lbrace { rbrace } { { } } % % & & _ _ "
        "# # $ $ prime ′ dagger † hbar ℏ Re Re Im Im",
    )
    for name, symbol in zip(line.split()[::2], line.split()[1::2], strict=True)
}
_FUNCTIONS = (
    "log", "ln", "exp", "min", "max", "sup", "inf", "lim", "arg", "argmin", "argmax", "det", "dim",
    "sin", "cos", "tan", "sinh", "cosh", "tanh", "Pr", "deg", "gcd", "ker", "liminf", "limsup",
)  # fmt: skip
_SIZES = (
    "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl",
    "biggr", "Biggl", "Biggr", "bigm", "middle",
)  # fmt: skip
_DROPPED = ("displaystyle", "textstyle", "limits", "nolimits", "!", "nonumber", "/")
_SPACES = {"quad": "   ", "qquad": "\n", "\\": "\n"}
_THIN = (",", ":", ";", " ")
_FONTS = (
    "mathrm", "text", "textrm", "operatorname", "mathbf", "boldsymbol", "bm", "mathit", "mathsf",
    "textit", "textbf", "mathcal", "mathscr", "mathtt", "texttt", "mbox",
)  # fmt: skip
_ACCENTS = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303",
    "bar": "\u0304", "overline": "\u0304", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308",
}  # fmt: skip
_BLACKBOARD = dict(zip("RNZQCEPH", "ℝℕℤℚℂ𝔼ℙℍ", strict=True)) | {"1": "𝟙"}
_TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|\s+|.", re.DOTALL)


# -- reading ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """A piece of an equation.

    ``kind`` is one of letter, relation, function, space, thin, group, above, below, fraction, binomial,
    root, font, accent, size, environment and unknown; ``inside`` holds the pieces it is made of.
    """

    kind: str
    text: str = ""
    inside: tuple["_Part", ...] = ()


class _Reader:
    """Reads LaTeX from left to right; raises IndexError or ValueError where braces do not match."""

    def __init__(self, latex: str) -> None:
        self.tokens = _TOKEN.findall(latex)
        self.next = 0

    def take(self) -> str:
        token: str = self.tokens[self.next]
        self.next += 1
        return token

    def sequence(self, closing: str | None = None) -> tuple[_Part, ...]:
        """Read to the closing token, or to the end."""
        parts = []
        while self.next < len(self.tokens) or closing is not None:
            if self.tokens[self.next] == closing:
                self.next += 1
                break
            if self.tokens[self.next] == "}":
                raise ValueError("unbalanced braces")
            parts.append(self.item(self.take()))
        return tuple(parts)

    def item(self, token: str) -> _Part:
        if token.isspace():
            return _Part("space", " ")
        if token == "^":
            return _Part("above", inside=(self.argument(),))
        if token == "_":
            return _Part("below", inside=(self.argument(),))
        if token == "{":
            return _Part("group", inside=self.sequence("}"))
        if token == "'":
            return _Part("letter", "′")
        if token in ("&", "~"):
            return _Part("space", " ")
        if not token.startswith("\\"):
            return _Part("letter", token)
        return self.command(token[1:])

    def argument(self) -> _Part:
        token = self.take()
        while token.isspace():
            token = self.take()
        return self.item(token)

    def command(self, name: str) -> _Part:
        if name == "mid":
            return _Part("relation", "|")
        if name in _SYMBOLS:
            return _Part("letter", _SYMBOLS[name])
        if name in _THIN:
            return _Part("thin", " ")
        if name in _FUNCTIONS:
            return _Part("function", name)
        if name in _SPACES:
            return _Part("space", _SPACES[name])
        if name in _SIZES:
            # \left. is an invisible bracket.
            if name in ("left", "right") and self.tokens[self.next] == ".":
                self.next += 1
                return _Part("size", name, (_Part("letter", ""),))
            return _Part("size", name)
        if name in _DROPPED:
            return _Part("letter", "")
        if name in ("frac", "tfrac", "dfrac", "cfrac"):
            return _Part("fraction", name, (self.argument(), self.argument()))
        if name in ("binom", "tbinom", "dbinom"):
            return _Part("binomial", name, (self.argument(), self.argument()))
        if name == "sqrt":
            return _Part("root", inside=(self.argument(),))
        if name in _FONTS:
            if self.tokens[self.next] == "*":
                self.next += 1
            return _Part("font", name, (self.argument(),))
        if name in ("mathbb", "mathbbm"):
            return _Part("font", "mathbb", (self.argument(),))
        if name in _ACCENTS:
            return _Part("accent", name, (self.argument(),))
        if name in ("begin", "end"):
            return _Part("environment", inside=(self.argument(),))
        return _Part("unknown", "\\" + name)


# -- writing for a terminal ---------------------------------------------------------------------

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
        text = _plain_row(_Reader(latex).sequence())
    except (IndexError, ValueError):  # unbalanced braces, an argument that is missing
        return latex
    text = re.sub(r"([⟨⌊⌈(\[]) +", r"\1", re.sub(r" +([⟩⌋⌉)\],;])", r"\1", text))
    lines = [re.sub(r"(?<=\S) {4,}", "   ", line.strip()) for line in text.split("\n")]
    return "\n".join(line for line in lines if line)


def with_readable(text: str) -> str:
    """Write the ``:math:`` of a text for a terminal."""
    return re.sub(r":math:`([^`]*)`", lambda m: readable(m[1]), text)


def _plain_row(parts: tuple[_Part, ...]) -> str:
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


def _plain(p: _Part) -> str:
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
        return inside[0] + _ACCENTS[p.text] if len(inside[0]) == 1 else f"{p.text}({inside[0]})"
    return _BLACKBOARD.get(inside[0], inside[0]) if p.text == "mathbb" else inside[0]


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
    return word is not None and word[0] in _FUNCTIONS


# -- writing for a web page ---------------------------------------------------------------------

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
        parts = _Reader(latex).sequence()
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


def _cut(parts: tuple[_Part, ...], space: str) -> list[tuple[_Part, ...]]:
    """Cut at the spaces of this width that stand outside brackets."""
    rows: list[list[_Part]] = [[]]
    for p in parts:
        if p.kind == "space" and p.text == space:
            rows.append([])
        else:
            rows[-1].append(p)
    return [tuple(row) for row in rows]


def _breakable(parts: tuple[_Part, ...]) -> str:
    """Write a piece as elements between which a line may be broken: each begins with a sign."""
    chunks: list[list[_Part]] = [[]]
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


def _row(parts: tuple[_Part, ...], continues: bool = False) -> str:
    """Write pieces that stand side by side; what continues a line begins with a sign between two."""
    parts = tuple(
        p for p in parts if not (p.kind == "space" and p.text == " ") and p != _Part("letter", "")
    )
    sizes = [p.text for p in parts if p.kind == "size"]
    if sizes.count("left") != sizes.count("right"):
        raise ValueError("unbalanced brackets")
    written: list[str] = []
    before: _Part | None = None  # what a sign or a function stands behind
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
            if script == _Part("letter", "′"):
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


def _opens(p: _Part | None) -> bool:
    """Tell whether a sign behind p stands before one thing, not between two."""
    if p is None or p.kind in ("function", "relation", "space", "thin"):
        return True
    return p.kind == "letter" and p.text != "" and (p.text in _OPERATORS or p.text in "([{⟨⌊⌈")


def _closes(p: _Part) -> bool:
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


def _one(p: _Part) -> str:
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


def _in_font(font: str, p: _Part) -> str:
    parts = p.inside if p.kind == "group" else (p,)
    if any(part.kind not in ("letter", "space", "thin") for part in parts):
        return _one(p)
    word = "".join(part.text for part in parts)
    if font in ("text", "textrm", "textit", "textbf", "texttt", "mbox"):
        return f"<mtext>{escape(word).replace(' ', '&nbsp;')}</mtext>"
    word = word.replace(" ", "")
    if font == "mathbb":
        return f'<mi mathvariant="normal">{escape(_BLACKBOARD.get(word, word))}</mi>'
    if font in ("mathcal", "mathscr"):
        return f'<mi mathvariant="normal">{escape("".join(_SCRIPT_LETTERS.get(c, c) for c in word))}</mi>'
    if font in ("mathbf", "boldsymbol", "bm"):
        return f'<mi mathvariant="normal" style="font-weight: bold">{escape(word)}</mi>'
    return f'<mi mathvariant="normal">{escape(word)}</mi>'
