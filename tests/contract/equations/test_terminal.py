"""Equations of the cards for a terminal."""

import pytest

from zoo import registry
from zoo.contract.equations import readable, with_readable

CARDS = [row["name"] for row in registry.entries()]


@pytest.mark.parametrize("name", CARDS)
def test_equations_of_every_card_lose_no_letter_and_most_commands(name):
    for equation in registry.card(name).equations:
        text = readable(equation)
        assert text != equation or "\\" not in equation, equation
        assert text.count("\\") == 0, f"{name}: no plain form for {text!r}"


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\alpha_i^2 + \beta_{ij}", "αᵢ² + βᵢⱼ"),
        (r"\sum_{i=1}^n w_i \log p(y_i \mid x_i)", "∑ᵢ₌₁ⁿ wᵢ log p(yᵢ | xᵢ)"),
        (r"\frac{a + b}{c}", "(a + b)/c"),
        (r"\tfrac12 |\beta|^2", "1/2 |β|²"),
        (r"\left\langle x, y \right\rangle", "⟨x, y⟩"),
        (r"e^{-\beta x}", "e⁻ᵝˣ"),
        (r"\hat y = \mathrm{softmax}(W x)", "ŷ = softmax(W x)"),
        (r"x \in \mathbb{R}^d", "x ∈ ℝᵈ"),
        (r"\sqrt{n}, \sqrt{a b}", "√n, √(a b)"),
        (r"\log\det A", "log det A"),
        (r"Q_{\theta}", "Q_θ"),
        (r"\lVert u \rVert_1 \le 1", "‖ u ‖₁ ≤ 1"),
        ("a = 1, \\qquad b = 2", "a = 1,\nb = 2"),
        (r"\mystery{x}", r"\mysteryx"),
        (r"\frac{a}{b", r"\frac{a}{b"),
        ("a}", "a}"),
        ("x^", "x^"),
        ("", ""),
    ],
)
def test_readable(latex, text):
    assert readable(latex) == text.replace("ŷ", "y\u0302")


def test_math_within_a_text_becomes_readable():
    assert with_readable(r"as :math:`\alpha^2` falls") == "as α² falls"
