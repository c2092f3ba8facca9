"""The guide tells the truth: what it shows is run, and its pages are made from every card."""

import doctest
import sys
import types
from pathlib import Path

import pytest

import zoo
from zoo import registry

DOCS = Path(__file__).parents[1] / "docs"
GUIDE = sorted(path.name for path in (DOCS / "guide").glob("*.md"))


@pytest.mark.parametrize("page", GUIDE)
def test_what_a_page_shows_is_what_happens(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "guide" / page).read_text(encoding="utf-8")
    # A module of its own, as in a notebook: classes that a page defines can be pickled.
    module = types.ModuleType("a_page_of_the_guide")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    test.globs = vars(module)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.DocTestRunner(optionflags=flags).run(test, clear_globs=False).failed == 0


def test_the_guide_shows_something():
    shown = [page for page in GUIDE if ">>> " in (DOCS / "guide" / page).read_text(encoding="utf-8")]
    assert {"tour.md", "contract.md", "neural.md", "search.md", "extending.md"} <= set(shown)


@pytest.fixture
def pages(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    sys.modules.pop("estimator_pages", None)
    import estimator_pages

    return estimator_pages


@pytest.mark.parametrize("name", [row["name"] for row in registry.entries()])
def test_page_of_an_estimator_has_all_of_its_card(pages, name):
    text = pages.page(getattr(zoo, name))
    card = zoo.card(name)
    assert all(f"``{p.name}``" in text for p in card.parameters)
    assert all(part.strip() in text for part in (card.summary, card.references))
    assert "``fit(" in text


def test_index_lists_every_estimator_once(pages):
    text = pages.index(registry.entries())
    assert all(text.count(f":doc:`{row['name']}`") == 1 for row in registry.entries())


def test_picture_and_example_are_made_and_kept(pages, tmp_path):
    assert pages.one("Ridge", tmp_path)
    picture = tmp_path / "Ridge.png"
    assert picture.stat().st_size > 5000
    assert not pages.one("Ridge", tmp_path)


def test_an_example_that_lies_stops_the_page(pages, monkeypatch):
    import dataclasses

    card = dataclasses.replace(zoo.card("Ridge"), example=">>> 1 + 1\n3\n")
    monkeypatch.setattr(zoo.Ridge, "card", classmethod(lambda cls: card))
    with pytest.raises(RuntimeError, match="does not print"):
        pages.run_example(zoo.Ridge)
