"""Equations of the cards for a browser."""

import re
from xml.etree import ElementTree

import pytest

from zoo import registry
from zoo.contract.equations import mathml, with_mathml

CARDS = [row["name"] for row in registry.entries()]
# Children that MathML asks for; a browser draws the element as an error with another number.
CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}


def tree(html: str) -> ElementTree.Element:
    """Parse, which fails where elements do not match."""
    for only_html in ("&nbsp;", "&emsp;", "<wbr>"):
        html = html.replace(only_html, " ")
    return ElementTree.fromstring(f"<page>{html}</page>")


def math_of(card) -> list[str]:
    texts = [card.summary, card.description, card.notes, *(p.meaning for p in card.parameters)]
    return [*card.equations, *re.findall(r":math:`([^`]*)`", " ".join(texts))]


@pytest.mark.parametrize("name", CARDS)
def test_math_of_every_card_is_well_formed_mathml(name):
    for latex in math_of(registry.card(name)):
        for block in (True, False):
            page = tree(mathml(latex, block=block))
            assert page.find(".//math") is not None, latex
            assert page.find(".//code") is None, latex
            assert "\\" not in "".join(page.itertext()), latex
            for element in page.iter():
                assert len(element) == CHILDREN.get(element.tag, len(element)), latex
                assert element.tag not in ("mi", "mo", "mn", "mtext") or element.text, latex


@pytest.mark.parametrize(
    ("latex", "html"),
    [
        ("x_i^2", "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>"),
        ("x^2_i", "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>"),
        ("f'", "<msup><mi>f</mi><mo>′</mo></msup>"),
        ("f'^2", "<msup><mi>f</mi><mrow><mo>′</mo><mn>2</mn></mrow></msup>"),
        ("1.5.", "<mn>1.5</mn><mo>.</mo>"),
        ("a-b", "<mi>a</mi><mo>−</mo><mi>b</mi>"),
        (r"\sum_i", "<munder><mo>∑</mo><mi>i</mi></munder>"),
        (r"\frac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        (r"\hat y", '<mover accent="true"><mi>y</mi><mo stretchy="false">^</mo></mover>'),
        (r"\text{if } x", "<mtext>if&nbsp;</mtext><mi>x</mi>"),
        ("a<b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        ("^2", "<msup><mrow></mrow><mn>2</mn></msup>"),
        (r"\mathbb{R}^d", '<msup><mi mathvariant="normal">ℝ</mi><mi>d</mi></msup>'),
    ],
)
def test_mathml(latex, html):
    assert mathml(latex, block=False) == f"<math>{html}</math>"


def test_a_large_bracket_takes_its_exponent():
    html = mathml(r"\left(\frac{a}{b}\right)^2", block=False)
    sup = tree(html).find("math/msup")
    assert [child.tag for child in sup] == ["mrow", "mn"]
    assert "".join(sup[0].itertext()) == "(ab)"


def test_a_displayed_equation_can_be_broken_before_signs_outside_brackets():
    page = tree(mathml(r"a = (b + c) + |d - e| - f, \quad g = -h \\\\ i"))
    pieces = [["".join(m.itertext()) for m in line.iter("math")] for line in page]
    assert pieces == [["a", "=(b+c)", "+|d−e|", "−f,", "g", "=−h"], ["i"]]


def test_signs_know_whether_they_stand_between_two():
    html = mathml(r"-a - b = -c", block=False)
    forms = [mo.get("form") for mo in tree(html).iter("mo") if mo.text == "−"]
    assert forms == ["prefix", None, "prefix"]


def test_functions_keep_their_distance():
    words = r"w \log p, \log(p), -\log p"
    assert mathml(words, block=False).count("mspace width") == 3
    assert "movablelimits" in mathml(r"\min_x f", block=False)


@pytest.mark.parametrize("latex", ["a}", "x^", r"\frac{a}{b", r"\left( a", "<b>{", ""])
def test_what_cannot_be_read_is_shown_as_it_was_given(latex):
    assert "".join(tree(mathml(latex)).itertext()) == latex


def test_nothing_in_an_equation_becomes_markup():
    hostile = r"</math><script>alert(1)</script> \text{<img>} \evil<b> \mathrm{<i>} \mathbf{&} \left<"
    for latex in (hostile, hostile + r" \right>"):
        for html in (mathml(latex), mathml(latex, block=False), with_mathml(f"<s>:math:`{latex}`")):
            tags = {element.tag for element in tree(html).iter()}
            assert not tags & {"script", "img", "b", "i", "s", "evil"}

def test_math_within_a_text_becomes_mathml():
    assert with_mathml(r"a < :math:`\alpha`") == "a &lt; <math><mi>α</mi></math>"
