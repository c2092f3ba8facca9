"""LaTeX is read into pieces, or refused."""

import pytest

from zoo.contract.equations.latex import Part, read


def test_an_equation_is_its_pieces():
    assert read(r"\frac{a}2^n") == (
        Part("fraction", "frac", (Part("group", inside=(Part("letter", "a"),)), Part("letter", "2"))),
        Part("above", inside=(Part("letter", "n"),)),
    )
    assert read(r"\left. x \right|")[0] == Part("size", "left", (Part("letter"),))
    assert read(r"\evil") == (Part("unknown", r"\evil"),)
    assert read("") == ()


@pytest.mark.parametrize("latex", ["a}", "x^", r"\frac{a}{b", "{"])
def test_what_does_not_match_is_refused(latex):
    with pytest.raises((IndexError, ValueError)):
        read(latex)
