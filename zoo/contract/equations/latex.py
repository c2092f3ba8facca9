r"""The reader of LaTeX: an equation becomes pieces, which the writers go through.

>>> from zoo.contract.equations.latex import read
>>> [piece.kind for piece in read(r"\alpha x^2")]
['letter', 'space', 'letter', 'above']
"""

import re
from dataclasses import dataclass

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
FUNCTIONS = (
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
ACCENTS = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303",
    "bar": "\u0304", "overline": "\u0304", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308",
}  # fmt: skip
BLACKBOARD = dict(zip("RNZQCEPH", "ℝℕℤℚℂ𝔼ℙℍ", strict=True)) | {"1": "𝟙"}
_TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|\s+|.", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """A piece of an equation.

    ``kind`` is one of letter, relation, function, space, thin, group, above, below, fraction, binomial,
    root, font, accent, size, environment and unknown; ``inside`` holds the pieces it is made of.
    """

    kind: str
    text: str = ""
    inside: tuple["Part", ...] = ()


def read(latex: str) -> tuple[Part, ...]:
    """Read LaTeX into its pieces; raise IndexError or ValueError where it cannot be read."""
    return _Reader(latex).sequence()


class _Reader:
    """Reads from left to right."""

    def __init__(self, latex: str) -> None:
        self.tokens = _TOKEN.findall(latex)
        self.next = 0

    def take(self) -> str:
        token: str = self.tokens[self.next]
        self.next += 1
        return token

    def sequence(self, closing: str | None = None) -> tuple[Part, ...]:
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

    def item(self, token: str) -> Part:
        if token.isspace():
            return Part("space", " ")
        if token == "^":
            return Part("above", inside=(self.argument(),))
        if token == "_":
            return Part("below", inside=(self.argument(),))
        if token == "{":
            return Part("group", inside=self.sequence("}"))
        if token == "'":
            return Part("letter", "′")
        if token in ("&", "~"):
            return Part("space", " ")
        if not token.startswith("\\"):
            return Part("letter", token)
        return self.command(token[1:])

    def argument(self) -> Part:
        token = self.take()
        while token.isspace():
            token = self.take()
        return self.item(token)

    def command(self, name: str) -> Part:
        if name == "mid":
            return Part("relation", "|")
        if name in _SYMBOLS:
            return Part("letter", _SYMBOLS[name])
        if name in _THIN:
            return Part("thin", " ")
        if name in FUNCTIONS:
            return Part("function", name)
        if name in _SPACES:
            return Part("space", _SPACES[name])
        if name in _SIZES:
            # \left. is an invisible bracket.
            if name in ("left", "right") and self.tokens[self.next] == ".":
                self.next += 1
                return Part("size", name, (Part("letter", ""),))
            return Part("size", name)
        if name in _DROPPED:
            return Part("letter", "")
        if name in ("frac", "tfrac", "dfrac", "cfrac"):
            return Part("fraction", name, (self.argument(), self.argument()))
        if name in ("binom", "tbinom", "dbinom"):
            return Part("binomial", name, (self.argument(), self.argument()))
        if name == "sqrt":
            return Part("root", inside=(self.argument(),))
        if name in _FONTS:
            if self.tokens[self.next] == "*":
                self.next += 1
            return Part("font", name, (self.argument(),))
        if name in ("mathbb", "mathbbm"):
            return Part("font", "mathbb", (self.argument(),))
        if name in ACCENTS:
            return Part("accent", name, (self.argument(),))
        if name in ("begin", "end"):
            return Part("environment", inside=(self.argument(),))
        return Part("unknown", "\\" + name)
