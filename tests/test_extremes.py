"""Extreme finite numbers: the right answer or one sentence, in bounded time, and no NaN that is not said."""

from collections.abc import Iterator

import extremes
import numpy as np
import pytest

from zoo.registry import entries

SAMPLE = 200


def cases() -> list[tuple[str, str]]:
    """Every method that takes numbers with every input that it can be given."""
    found = []
    for row in entries():
        given = {
            "X": row["input"] in ("table", "images", "series"),
            "y": "Regressor" in row["roles"],
            "w": "sample_weight" in row["capabilities"],
        }
        if row["input"] != "env":
            found += [(row["name"], name) for name in extremes.INPUTS if given[extremes.kind_of(name)]]
    return found


def sampled(every: list[tuple[str, str]]) -> list[tuple[str, str]]:
    chosen = np.random.default_rng(0).choice(len(every), SAMPLE, replace=False)
    return [every[i] for i in np.sort(chosen)]


@pytest.fixture(scope="module")
def watched() -> Iterator[extremes.Watched]:
    process = extremes.Watched()
    yield process
    process.close()


def failures(watched: extremes.Watched, chosen: list[tuple[str, str]]) -> str:
    verdicts = ((*case, watched.verdict(*case)) for case in chosen)
    return "\n".join(f"{name} on {given}: {said}" for name, given, said in verdicts if said)


def test_a_sample_of_extreme_inputs_is_answered_or_refused(watched):
    assert failures(watched, sampled(cases())) == ""


@pytest.mark.slow
def test_every_extreme_input_is_answered_or_refused(watched):
    assert failures(watched, cases()) == ""


def test_what_is_late_is_ended_and_named():
    process = extremes.Watched(extremes.never)
    assert process.verdict("Ridge", "X zero", seconds=0.5) == "did not end in 0.5 seconds"
    assert process.verdict("Ridge", "X zero", seconds=0.5) == "did not end in 0.5 seconds"
    process.close()
