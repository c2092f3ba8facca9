from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import jsonschema
import pytest

from zoo.contract.params import Check, Count, Interval
from zoo.experiment.spec.forms import Place, Section, Verify, plain_of, read_as, schema_of, words_of
from zoo.experiment.spec.text import SpecError, read_object, read_text


def _not_seven(value, place):
    if value == 7:
        raise place.error("7 is not accepted; give another number.")


@dataclass(frozen=True)
class Inner(Section):
    """Inner.

    Parameters
    ----------
    size : int
        How large.
    word : str
        A word.
    """

    size: Count
    word: str = "x"


@dataclass(frozen=True)
class Outer(Section):
    """Outer.

    Parameters
    ----------
    kind : str
        One of three.
    inner : mapping
        An inner one.
    many : list
        Several.
    table : mapping
        Words to numbers.
    pair : list
        Two.
    choice : several
        A word or a number.
    seven : int
        Anything else.
    """

    kind: Literal["red", "green", "blue"] = "red"
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    table: Mapping[str, float] | None = None
    pair: tuple[int, Literal["a"]] | None = None
    choice: Literal["auto"] | Annotated[int, Interval(1, 9)] | Inner = "auto"
    seven: Annotated[int, Verify(_not_seven), Check(lambda n: n != 8, "no 8")] = 0
    hidden: int = field(default=5, metadata={"hidden": True})


def read(value):
    return Outer.read(read_object(value).value, Place(read_object(value)))


def test_sections_are_read_by_their_annotations():
    found = read(
        {"kind": "green", "inner": {"size": 2}, "many": [{"size": 1, "word": "w"}], "table": {"a": 1}}
    )
    assert found == Outer(kind="green", inner=Inner(2), many=(Inner(1, "w"),), table={"a": 1})
    assert found.plain() == {
        "kind": "green", "inner": {"size": 2}, "many": [{"size": 1, "word": "w"}], "table": {"a": 1},
    }  # fmt: skip
    assert read({}).plain() == {}
    assert read({"pair": [3, "a"]}).pair == (3, "a")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"knd": "red"}, r"knd: there is no such key; write one of kind, inner, .* Did you mean 'kind'\?"),
        ({"hidden": 3}, "hidden: there is no such key"),
        (
            {"kind": "gren"},
            r"kind: 'gren' is not accepted; give one of 'red', 'green', 'blue'\. Did you mean 'green'",
        ),
        ({"kind": None}, "kind: there is no value; give one of .* or delete the key"),
        ({"inner": {}}, "inner: the key 'size' is missing; it must be an integer >= 1"),
        ({"inner": {"size": 0}}, r"inner\.size: 0 is not accepted; give an integer >= 1"),
        ({"inner": 3}, "inner: 3 is not accepted"),
        ({"many": {"size": 1}}, "many: .* is not accepted; give a list"),
        ({"many": [{"size": 1}, {"sise": 1}]}, r"many\[1\]\.sise: .* Did you mean 'size'"),
        ({"table": {"a": "b"}}, r"table\.a: 'b' is not accepted; give a number"),
        ({"pair": [1]}, "pair: .* has 1 entries; give 2"),
        ({"pair": [1, "b"]}, r"pair\[1\]: 'b' is not accepted"),
        (
            {"choice": "aut"},
            "choice: 'aut' is not accepted; give 'auto' or an integer >= 1 and <= 9 or .*'auto'",
        ),
        ({"choice": 10}, "choice: 10 is not accepted; give an integer >= 1 and <= 9"),
        ({"seven": 7}, "seven: 7 is not accepted; give another number"),
        ({"seven": 8}, "seven: 8 is not accepted; give no 8"),
        ({"seven": True}, "seven: True is not accepted; give an integer"),
    ],
)
def test_refusals_say_what_is_accepted(value, sentence):
    with pytest.raises(SpecError, match=sentence):
        read(value)


def test_a_number_is_a_word_where_a_word_is_asked_for():
    source = read_text("size: 3\nword: 010\n", "f")
    assert Inner.read(source.value, Place(source)).word == "010"
    source = read_text("size: 3\nword: null\n", "f")
    with pytest.raises(SpecError, match="word: there is no value"):
        Inner.read(source.value, Place(source))


def test_schema_says_the_same():
    definitions: dict = {}
    schema = {**schema_of(Outer, definitions), "$defs": definitions}
    validator = jsonschema.Draft202012Validator(schema)
    assert definitions["Inner"]["properties"]["size"] == {
        "type": "integer", "minimum": 1, "description": "How large.",
    }  # fmt: skip
    for good in ({}, {"kind": "red", "choice": 3}, {"many": [{"size": 1}]}, {"choice": {"size": 2}}):
        validator.validate(good)
        read(good)
    for bad in (
        {"knd": 1},
        {"kind": "x"},
        {"inner": {}},
        {"choice": 10},
        {"pair": [1]},
        {"table": {"a": "b"}},
    ):
        assert not validator.is_valid(bad)


def test_words():
    assert words_of(tuple[int, ...]) == "a list, each entry an integer"
    assert words_of(Mapping[str, int]) == "a mapping, each value an integer"
    assert plain_of((Inner(1), {"a": (1,)})) == [{"size": 1}, {"a": [1]}]


def test_read_as_plain_types():
    place = Place(read_object({}))
    assert read_as(float, 3, place) == 3
    with pytest.raises(SpecError, match="True"):
        read_as(float, True, place)
