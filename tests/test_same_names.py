"""Classes that bear a name of scikit-learn's: what differs is written down, with its reason, and is true."""

import importlib.util
from pathlib import Path

import pytest

from zoo.registry import entries

_PATH = Path(__file__).resolve().parents[1] / "docs" / "same_names.py"
_spec = importlib.util.spec_from_file_location("same_names", _PATH)
same_names = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(same_names)


def test_the_page_is_what_the_signatures_say():
    written = same_names.PAGE.read_text(encoding="utf-8")
    assert written == same_names.page(), "python docs/same_names.py writes the page anew"


@pytest.mark.parametrize("name", same_names.shared_names())
def test_what_differs_has_a_reason(name):
    unsaid = [parameter for parameter, _, _, why in same_names.comparison(name)[1] if not why]
    assert not unsaid, f"{name}: say in docs/same_names.py why {unsaid} differ from scikit-learn's"


def test_linear_and_kernel_methods_differ_in_stops_alone():
    ours = [row["name"] for row in entries() if row["module"].startswith(("zoo.linear", "zoo.svm"))]
    for name in set(ours) & set(same_names.shared_names()):
        differing = {row[0] for row in same_names.comparison(name)[1]}
        assert differing <= {"tol", "max_iter", "solver"}, name
