# ruff: noqa: E501
import math

import numpy as np
import pytest

from zoo.experiment.spec.text import LIMIT_VALUES, SpecError, dotted, read_object, read_text, write_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("on", "on"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("1e-3", 1e-3),
        ("1.0e+3", 1000.0),
        (".5", 0.5),
        ("1_000", "1_000"),
        ("007", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("-.inf", -math.inf),
        ("2024-01-31", "2024-01-31"),
        ("12:30:00", "12:30:00"),
        ("'1e-3'", "1e-3"),
        ('"null"', "null"),
        ("[a, 1]", ["a", 1]),
        ("=", "="),
    ],
)
def test_words_are_what_they_look_like(text, value):
    found = read_text(f"x: {text}", "f").value["x"]
    assert found == value
    assert type(found) is type(value)


def test_marks_know_line_and_column():
    source = read_text("a:\n  - b: 1\n    c: [x, y]\n", "f.yaml")
    assert source.marks[("a", 0, "c", 1)] == (3, 12)
    assert str(source.error(("a", 0, "c", 1), "no.")) == "f.yaml:3:12: a[0].c[1]: no."
    # The nearest place that is known.
    assert str(source.error(("a", 0, "zzz"), "no.")).startswith("f.yaml:2:5: ")


def test_words_as_written_are_kept():
    source = read_text("a: 010\nb: true\n1: x\n", "f")
    assert source.raw[("a",)] == "010"
    assert source.raw[("b",)] == "true"
    assert "1" in source.raw.values()


VALUES = [
    "yes", "no", "y", "n", "1e-3", "1e3", "0x1", "007", "~", "null", "", " ", "a: b", "# c", "- d", "[e]", "{f}",
    "!g", "&h", "*i", "'j'", '"k"', "l\nm", "n\ttab", "ö", "\x85", "\u2028", "%", "@", "`", "<<", "=", "2024-01-31",
    ".inf", ".nan", "1.", ".5", "+1", "|", ">", "?", ":", "true", "a" * 300, "1:30", "\\", "trailing ", "\x07",
    0, 1, -1, 2**63 - 1, 0.1, 1e-300, 1e300, -0.0, math.inf, -math.inf, True, False, None,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_what_is_written_is_read_as_it_was(value):
    for plain in (
        value,
        [value],
        {"k": value},
        {"k": [value, {"x": [value]}]},
        [[value]],
        {"a": {"b": {"c": value}}},
    ):
        found = read_text(write_text({"top": plain}), "f").value["top"]
        assert found == plain
        assert repr(found) == repr(plain)


def test_keys_are_written_and_read_as_they_were():
    for key in VALUES:
        if isinstance(key, str) and key != "<<":
            assert read_text(write_text({key: {key: 1}}), "f").value == {key: {key: 1}}
    assert read_text(write_text({("a", "1"): 2}), "f").value == {("a", "1"): 2}
    assert read_text(write_text({1: "a", 2.5: "b"}), "f").value == {1: "a", 2.5: "b"}


def test_nan_is_one_object():
    found = read_text("a: .nan", "f").value
    assert found == {"a": math.nan}
    assert read_object({"a": np.float64("nan")}).value == {"a": math.nan}


def test_objects_become_plain():
    source = read_object({"a": (1, np.float32(0.5)), "b": np.True_, "c": np.str_("x")})
    assert source.value == {"a": [1, 0.5], "b": True, "c": "x"}
    assert type(source.value["b"]) is bool


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", np.zeros(3), lambda: 1, 2**70])
def test_other_objects_are_refused(value):
    with pytest.raises(SpecError, match=r"^spec: a\.b\[0\]: .*"):
        read_object({"a": {"b": [value]}})


def test_objects_that_hold_themselves_are_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(SpecError, match="holds itself"):
        read_object({"a": loop})
    with pytest.raises(SpecError, match=f"more than {LIMIT_VALUES} values"):
        read_object({"a": list(range(LIMIT_VALUES + 1))})


def test_an_alias_is_written_out():
    assert read_text("a: &x [1, 2]\nb: *x\n", "f").value == {"a": [1, 2], "b": [1, 2]}


def test_paths():
    assert dotted(()) == ""
    assert dotted(("a", 0, "b")) == "a[0].b: "
