r"""The command ``zoo``: list the methods, show a card, check an estimator of one's own.

>>> from zoo.cli import readable
>>> readable(r"\min_\beta \tfrac12 \sum_i (y_i - \langle x_i, \beta\rangle)^2 + \alpha |\beta|^2")
'minᵦ 1/2 ∑ᵢ (yᵢ - ⟨xᵢ, β⟩)² + α |β|²'
"""

import argparse
import dataclasses
import importlib
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from zoo import __version__, registry

__all__ = ["main", "readable"]


class _Mistake(Exception):
    """What the user gave cannot be used; the message is one sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Mistake(f"{message}; `{self.prog} --help` shows the usage.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="zoo", description="Methods that are scikit-learn estimators.")
    parser.add_argument("--version", action="version", version=f"zoo {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list the methods", description="List the methods.")
    listing.add_argument("--role", help="such as classifier, regressor, sampler, detector, agent")
    listing.add_argument("--input", help="such as table, images, series, text, pairs, env")
    listing.add_argument("--capability", help="such as sparse, missing_values, partial_fit, gpu")
    listing.add_argument("--json", action="store_true", help="print JSON, with everything known")
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="show the card of a method", description="Show a card.")
    show.add_argument("name", metavar="NAME", help="a method, such as Ridge")
    show.set_defaults(run=_show)

    check = commands.add_parser(
        "check",
        help="run the conformance suite on an estimator of yours",
        description="Run the conformance suite on an estimator; exit code 1 when it fails.",
    )
    check.add_argument("target", metavar="module:Class", help="looked up from the current folder")
    check.set_defaults(run=_check)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 (a check failed), 2 (a mistake), 130 (Ctrl-C).

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process when None.
    """
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
        # Here, where a reader that went away can still be noticed.
        sys.stdout.flush()
        return code
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except _Mistake as mistake:
        print(f"zoo: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `zoo list | head -1`: nobody reads on, and the interpreter must not try to flush either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


# -- the commands -----------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    try:
        rows = registry.entries(arguments.role, arguments.input, arguments.capability)
    except ValueError as error:
        raise _Mistake(str(error)) from error
    if arguments.json:
        _print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    if not rows:
        _print("No method fits all of this.")
        return 0
    table = [
        (row["name"], ", ".join(row["roles"]), row["input"], row["summary"])
        for row in [{"name": "name", "roles": ["role"], "input": "input", "summary": ""}, *rows]
    ]
    widths = [max(len(line[i]) for line in table) for i in range(3)]
    # A pipe gets whole lines: whoever reads there may want to search them.
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table:
        text = "  ".join(f"{cell:{w}}" for cell, w in zip(line, [*widths, 0], strict=True)).rstrip()
        _print(text if limit is None or len(text) <= limit else text[: limit - 1] + "…")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    try:
        card = registry.card(arguments.name)
    except ValueError as error:
        raise _Mistake(str(error)) from error
    texts = {
        name: _inline_math(getattr(card, name)) for name in ("summary", "description", "notes")
    }
    parameters = tuple(
        dataclasses.replace(p, meaning=_inline_math(p.meaning)) for p in card.parameters
    )
    equations = tuple(readable(equation) for equation in card.equations)
    _print(str(dataclasses.replace(card, equations=equations, parameters=parameters, **texts)))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    # Read when scipy is first imported; without it check_estimator leaves checks out.
    os.environ.setdefault("SCIPY_ARRAY_API", "1")
    cls = _find_class(arguments.target)
    from zoo import conformance

    try:
        estimator = conformance.instance(cls)
    except TypeError as error:
        raise _Mistake(
            f"{cls.__name__} cannot be made without arguments ({_one_line(error)}); call "
            "zoo.conformance.check with an object from Python instead."
        ) from error

    report = conformance.check(estimator)
    _print(str(report))
    return 0 if report.ok else 1


def _find_class(target: str) -> Any:
    """Return the class that ``module:Class`` names."""
    module_name, colon, class_name = target.partition(":")
    if not (module_name and colon and class_name):
        raise _Mistake(f"{target!r} is not module:Class; write for example my_methods:MyRidge.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # Importing runs the user's code, which may raise anything.
        raise _Mistake(
            f"{module_name} cannot be imported from {os.getcwd()} ({_one_line(error)}); check the "
            "name and the folder."
        ) from error
    cls = getattr(module, class_name, None)
    if cls is None:
        from zoo.params import did_you_mean

        classes = [n for n, value in vars(module).items() if isinstance(value, type)]
        raise _Mistake(
            f"the module {module_name} has no {class_name!r}; name one of its classes."
            f"{did_you_mean(class_name, classes)}"
        )
    if not isinstance(cls, type) or not hasattr(cls, "fit"):
        raise _Mistake(f"{target} is no estimator class (it has no fit); name one that is.")
    return cls


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


# -- equations in a terminal ------------------------------------------------------------------

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
_DROPPED = (
    "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl",
    "biggr", "Biggl", "Biggr", "bigm", "middle", "displaystyle", "textstyle", "limits", "nolimits",
    "!", "nonumber", "/",
)  # fmt: skip
_SPACES = {",": " ", ":": " ", ";": " ", " ": " ", "quad": "   ", "qquad": "\n", "\\": "\n"}
_FONTS = (
    "mathrm", "text", "textrm", "operatorname", "mathbf", "boldsymbol", "bm", "mathit", "mathsf",
    "textit", "textbf", "mathcal", "mathscr", "mathtt", "texttt", "mbox",
)  # fmt: skip
_ACCENTS = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303",
    "bar": "\u0304", "overline": "\u0304", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308",
}  # fmt: skip
_BLACKBOARD = dict(zip("RNZQCEPH", "ℝℕℤℚℂ𝔼ℙℍ", strict=True)) | {"1": "𝟙"}
_ABOVE = dict(zip(
    "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWᵀβγδθ′*",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵀᵝᵞᵟᶿ′*", strict=True,
))  # fmt: skip
_BELOW = dict(zip(
    "0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True
))  # fmt: skip
_TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|\s+|.", re.DOTALL)


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
        text = _Equation(latex).sequence(closing=None)
    except (IndexError, ValueError):  # unbalanced braces, an argument that is missing
        return latex
    text = re.sub(r"([⟨⌊⌈(\[]) +", r"\1", re.sub(r" +([⟩⌋⌉)\],;])", r"\1", text))
    lines = [re.sub(r"(?<=\S) {4,}", "   ", line.strip()) for line in text.split("\n")]
    return "\n".join(line for line in lines if line)


def _inline_math(text: str) -> str:
    return re.sub(r":math:`([^`]*)`", lambda m: readable(m[1]), text)


class _Equation:
    """Reads LaTeX from left to right; each method returns what it has read as text."""

    def __init__(self, latex: str) -> None:
        self.tokens = _TOKEN.findall(latex)
        self.next = 0

    def take(self) -> str:
        token: str = self.tokens[self.next]
        self.next += 1
        return token

    def sequence(self, closing: str | None) -> str:
        """Read to the closing token, or to the end."""
        text = ""
        while self.next < len(self.tokens) or closing is not None:
            if self.tokens[self.next] == closing:
                self.next += 1
                return text
            if self.tokens[self.next] == "}":
                raise ValueError("unbalanced braces")
            is_script = self.tokens[self.next] in ("^", "_")
            part = self.item()
            if part.isspace() and "\n" not in part and (not text or text[-1].isspace()):
                part = part[1:] if text.endswith(" ") else ""
            elif not is_script and part[:1].isalnum() and _ends_in_word(text):
                part = " " + part
            text += part
        return text

    def item(self) -> str:
        """Read one atom with its sub- and superscripts."""
        token = self.take()
        if token.isspace():
            return " "
        if token == "^":
            return _script(self.argument(), _ABOVE, "^")
        if token == "_":
            return _script(self.argument(), _BELOW, "_")
        return self.atom(token)

    def atom(self, token: str) -> str:
        if token == "{":
            return self.sequence("}")
        if token == "'":
            return "′"
        if token in ("&", "~"):
            return " "
        if not token.startswith("\\"):
            return token
        return self.command(token[1:])

    def argument(self) -> str:
        token = self.take()
        while token.isspace():
            token = self.take()
        return self.atom(token).strip()

    def command(self, name: str) -> str:
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        if name in _FUNCTIONS:
            return name
        if name in _SPACES:
            return _SPACES[name]
        if name in _DROPPED:
            # \left. is an invisible bracket.
            if name in ("left", "right") and self.tokens[self.next] == ".":
                self.next += 1
            return ""
        if name in ("frac", "tfrac", "dfrac", "cfrac"):
            above, below = self.argument(), self.argument()
            return "/".join(x if re.fullmatch(r"\w+", x) else f"({x})" for x in (above, below))
        if name in ("binom", "tbinom", "dbinom"):
            return f"binom({self.argument()}, {self.argument()})"
        if name == "sqrt":
            inner = self.argument()
            return f"√{inner}" if len(inner) == 1 else f"√({inner})"
        if name in _FONTS:
            self.skip_star()
            return self.argument()
        if name in ("mathbb", "mathbbm"):
            inner = self.argument()
            return _BLACKBOARD.get(inner, inner)
        if name in _ACCENTS:
            inner = self.argument()
            return inner + _ACCENTS[name] if len(inner) == 1 else f"{name}({inner})"
        if name in ("begin", "end"):
            self.argument()
            return " "
        return "\\" + name

    def skip_star(self) -> None:
        if self.tokens[self.next] == "*":
            self.next += 1


def _script(text: str, small: dict[str, str], sign: str) -> str:
    """Write an index or exponent in small letters if all of its letters have them."""
    if text in ("*", "†"):
        return text
    compact = text.replace(" ", "") if re.fullmatch(r"[\w+\-= ]*", text) else text
    if text and all(c in small for c in compact):
        return "".join(small[c] for c in compact)
    return f"{sign}{text}" if len(text) == 1 else f"{sign}({text})"


def _ends_in_word(text: str) -> bool:
    """Tell whether the text ends in a function's name, which the next letter would extend."""
    word = re.search(r"[A-Za-z]+$", text)
    return word is not None and word[0] in _FUNCTIONS


if __name__ == "__main__":
    sys.exit(main())
