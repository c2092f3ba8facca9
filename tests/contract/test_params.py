import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from zoo.contract.params import (
    REQUIRED,
    Among,
    Check,
    Count,
    Device,
    Field,
    Fixed,
    Fraction,
    Interval,
    Jobs,
    NonNegative,
    OpenFraction,
    ParameterError,
    Positive,
    Probability,
    Search,
    Seed,
    Tolerance,
    UnitInterval,
    Whole,
    accepts,
    describe,
    did_you_mean,
    fields_of,
    holds_number,
    is_integer,
    search_range,
    validate,
)
from zoo.contract.roles import Regressor

VOCABULARY = {
    "Positive": Positive,
    "NonNegative": NonNegative,
    "Fraction": Fraction,
    "OpenFraction": OpenFraction,
    "UnitInterval": UnitInterval,
    "Probability": Probability,
    "Count": Count,
    "Whole": Whole,
    "Tolerance": Tolerance,
    "Seed": Seed,
    "Jobs": Jobs,
    "Device": Device,
}
NAN = float("nan")


class Toy(Regressor):
    """Sum up."""

    alpha: NonNegative = 1.0
    solver: Literal["auto", "cholesky", "svd"] = "auto"
    width: Count

    def _learn(self, X: Any, y: Any) -> None:
        self.mean_ = y.mean()


# -- intervals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (Interval(0, 1), (0, 0.5, 1), (-0.1, 1.1, NAN)),
        (Interval(0, 1, "neither"), (0.5,), (0, 1)),
        (Interval(0, 1, "left"), (0, 0.99), (1,)),
        (Interval(0, 1, "right"), (0.01, 1), (0,)),
        (Interval(0, None), (0, 1e300, math.inf), (-1e-300, -math.inf)),
        (Interval(None, 0), (0, -math.inf), (1,)),
        (Interval(), (0, 1, -1), (NAN,)),
    ],
)
def test_interval_holds(interval, inside, outside):
    assert all(v in interval for v in inside)
    assert not any(v in interval for v in outside)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0, 1), ">= 0 and <= 1"),
        (Interval(0, 1, "neither"), "> 0 and < 1"),
        (Interval(1, None), ">= 1"),
        (Interval(None, 2.5, "left"), "< 2.5"),
        (Interval(), ""),
    ],
)
def test_interval_speaks(interval, words):
    assert str(interval) == words


# -- what is accepted ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "yes", "no"),
    [
        (Positive, (1e-9, 1, np.float32(2), np.int64(3)), (0, -1, NAN, "1", None, True)),
        (NonNegative, (0, 0.0, 1e9), (-1e-9, NAN, False)),
        (Fraction, (0.1, 1, 1.0), (0, 1.01)),
        (OpenFraction, (0.5,), (0, 1)),
        (UnitInterval, (0, 1, 0.5), (-0.1, 1.1)),
        (Probability, (0, 0.999), (1, -0.1)),
        (Count, (1, np.int32(7)), (0, 1.0, True, "1", None)),
        (Whole, (0, 3), (-1, 0.5)),
        (Tolerance, (0, 1e-3), (-1e-3,)),
        (Seed, (0, 2**32 - 1, None, np.random.RandomState(0)), (-1, 2**32, 1.5, "0", True)),
        (Jobs, (None, 1, -1), (0, 1.5, "all")),
        (Device, ("auto", "cpu", "cuda", "cuda:1", "mps"), ("gpu", "cuda:", "cuda:x", 0, None)),
        (float, (1, 1.5, math.inf), (NAN, True, "1", None)),
        (int, (1, np.uint8(3)), (1.0, True)),
        (bool, (True, np.bool_(False)), (0, 1, "True")),
        (str, ("a",), (1, b"a")),
        (None, (None,), (0, False)),
        (Any, (None, 1, object()), ()),
        (float | None, (1.5, None), ("x",)),
        (Literal["a", 1, None], ("a", 1, None), ("b", True, 1.0)),
        (Literal[True], (True,), (1,)),
        (tuple[Count, ...], ((), (1, 2), [3], np.array([1, 2])), ((0,), (1, "2"), 3, "12")),
        (tuple[int, float], ((1, 0.5), [2, 3]), ((1,), (1, 2, 3), (0.5, 1))),
        (list[str], (["a"], ()), ("a", [1])),
        (Sequence[int], ([1], (2,)), ("12", 1)),
        (dict[str, float], ({}, {"a": 1.0}), ({1: 1.0}, {"a": "b"}, [("a", 1)])),
        (Mapping[Any, Positive], ({0: 1},), ({0: 0},)),
        (type[Exception], (ValueError,), (ValueError(),)),
        (Callable[..., Any], (len, lambda: 0), ("len",)),
        (np.ndarray, (np.ones(2),), ([1.0],)),
        (Annotated[str, Check(str.isupper, "a word in capitals")], ("ABC",), ("abc", 3)),
        (Annotated[Positive | None, Interval(None, 5)], (None, 5), (6, 0)),
        (Positive | Literal["scale"], ("scale", 0.1), ("auto", 0)),
    ],
)
def test_accepts(hint, yes, no):
    assert [v for v in yes if not accepts(hint, v)] == []
    assert [v for v in no if accepts(hint, v)] == []


def test_accepts_refuses_annotations_that_it_cannot_check():
    with pytest.raises(TypeError, match="does not know how to check the annotation"):
        accepts("a string", 1)


# -- what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Positive, "a number > 0"),
        (Fraction, "a number > 0 and <= 1"),
        (Count, "an integer >= 1"),
        (Seed, "an integer >= 0 and <= 4.29497e+09 or an instance of RandomState or None"),
        (Device, "'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'"),
        (Jobs, "an integer other than 0 or None"),
        (Literal["a"], "'a'"),
        (Literal["a", "b"], "one of 'a', 'b'"),
        (tuple[Count, ...], "a tuple whose entries are each an integer >= 1"),
        (tuple[int, float], "a tuple of an integer, a number"),
        (list[str], "a list whose entries are each a string"),
        (dict[str, float], "a dict from a string to a number"),
        (float | None, "a number or None"),
        (bool, "True or False"),
        (Any, "any value"),
        (Callable[..., Any], "a callable"),
        (type[Exception], "a class"),
        (np.ndarray, "an instance of ndarray"),
    ],
)
def test_describe(hint, words):
    assert describe(hint) == words


@pytest.mark.parametrize("name", VOCABULARY)
def test_vocabulary_says_what_it_takes_and_what_a_search_may_try(name):
    hint = VOCABULARY[name]
    assert describe(hint)
    assert search_range(hint) is not None
    assert holds_number(hint) == (name != "Device")


# -- searching ----------------------------------------------------------------------------------


def test_search_grid():
    assert Search(0, 1).grid(3) == [0.0, 0.5, 1.0]
    assert Search(0.01, 100, log=True).grid(3) == pytest.approx([0.01, 1, 100])
    assert Search(1, 3).grid(9, integer=True) == [1, 2, 3]
    assert all(type(v) is int for v in Search(1, 50, log=True).grid(4, integer=True))


@pytest.mark.parametrize(
    ("hint", "found"),
    [
        (Positive, Search(1e-4, 1e2, log=True)),
        (Annotated[Positive, Search(1, 2)], Search(1, 2)),  # the outermost word wins
        (Annotated[Positive, Fixed("why")], Fixed("why")),
        (Annotated[Annotated[float, Fixed("why")], Search(1, 2)], Search(1, 2)),
        (Positive | None, Search(1e-4, 1e2, log=True)),
        (Literal["a", "b"], ["a", "b"]),
        (bool, [False, True]),
        (Literal["a"] | bool, ["a", False, True]),
        (Annotated[int, Fixed("x")] | None, Fixed("x")),
        (Annotated[Literal["a", "b", "c"] | None, Among("a", "c")], ["a", "c"]),
        (float, None),
        (str, None),
        (Any, None),
    ],
)
def test_search_range(hint, found):
    assert search_range(hint) == found


@pytest.mark.parametrize(
    ("hint", "number", "integer"),
    [
        (Positive, True, False),
        (Count, True, True),
        (Count | None, True, True),
        (Count | Fraction, True, True),  # the first range is the one that is drawn from
        (Fraction | Count, True, False),
        (str, False, False),
        (bool, False, False),
        (Literal["a"] | None, False, False),
    ],
)
def test_numbers_are_told_from_others(hint, number, integer):
    assert holds_number(hint) is number
    assert is_integer(hint) is integer


# -- fields and validation ------------------------------------------------------------------------


def test_fields_are_read_once():
    fields = fields_of(Toy)
    assert list(fields) == ["alpha", "solver", "width"]
    assert fields["alpha"] == Field("alpha", NonNegative, 1.0)
    assert fields["width"].default is REQUIRED
    assert repr(REQUIRED) == "REQUIRED"
    assert fields_of(Toy) is fields


def test_validate_passes_good_values():
    validate(Toy(width=3))
    validate(Toy(width=np.int64(3), alpha=0, solver="svd"))


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            {"alpha": -1.0},
            "Toy: alpha=-1.0 is not accepted; alpha must be a number >= 0.",
        ),
        ({"alpha": "big"}, "Toy: alpha='big' is not accepted; alpha must be a number >= 0."),
        ({"alpha": NAN}, "Toy: alpha=nan is not accepted; alpha must be a number >= 0."),
        ({"width": 0}, "Toy: width=0 is not accepted; width must be an integer >= 1."),
        (
            {"solver": "cholsky"},
            "Toy: solver='cholsky' is not accepted; solver must be one of 'auto', 'cholesky', "
            "'svd'. Did you mean 'cholesky'?",
        ),
        (
            {"solver": 3},
            "Toy: solver=3 is not accepted; solver must be one of 'auto', 'cholesky', 'svd'.",
        ),
    ],
)
def test_validate_says_estimator_parameter_value_and_what_is_accepted(params, sentence):
    with pytest.raises(ParameterError) as caught:
        validate(Toy(**({"width": 1} | params)))
    assert str(caught.value) == sentence


def test_parameter_error_is_both_a_value_and_a_type_error():
    assert issubclass(ParameterError, ValueError)
    assert issubclass(ParameterError, TypeError)


def test_long_values_are_cut():
    with pytest.raises(ParameterError) as caught:
        validate(Toy(width=1, alpha=list(range(1000))))
    assert "..." in str(caught.value)
    assert len(str(caught.value)) < 200


def test_did_you_mean():
    assert did_you_mean("reg_lamda", ["reg_lambda", "gamma"]) == " Did you mean 'reg_lambda'?"
    assert did_you_mean("xyz", ["reg_lambda"]) == ""
    assert did_you_mean(3, ["reg_lambda"]) == ""


def test_values_from_json_are_accepted():
    value = json.loads('{"layers": [64, 32], "alpha": 1}')
    assert accepts(tuple[Count, ...], value["layers"])
    assert accepts(Positive, value["alpha"])
