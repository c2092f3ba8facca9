"""Warnings point at the line of the user, not at the zoo's."""

import warnings

import zoo.contract.notices as notices
from zoo.contract.notices import warn


def test_the_line_of_the_caller_is_named():
    inside = {"__name__": "zoo.somewhere", "warn": warn}
    exec("def deeper():\n    warn('look')\ndef deep():\n    deeper()", inside)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        inside["deep"]()
        warn("here", DeprecationWarning)
    assert [w.filename for w in seen] == [__file__] * 2
    assert [w.category for w in seen] == [UserWarning, DeprecationWarning]
    assert "zoo" in notices.INSIDE
