"""The page: what stands on it, what is left out, and that nothing in the findings becomes markup."""

import pytest

from zoo.report import render


@pytest.mark.parametrize("kind", ["classification", "multiclass", "regression", "interrupted", "wide"])
def test_page_tells_the_winner(findings, kind):
    found = findings(kind)
    page = render(found)
    assert f"<strong>{found['leaderboard'][0]['model']}</strong>" in page
