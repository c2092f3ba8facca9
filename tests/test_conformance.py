"""The suite over the registry, and the proof that it sees what it is there to see."""

import pytest

from zoo.conformance import check
from zoo.registry import entries, find


@pytest.mark.parametrize("name", [row["name"] for row in entries()])
def test_registered_estimator_conforms(name):
    report = check(find(name))
    print(report)
    assert report.ok, f"\n{report}"
