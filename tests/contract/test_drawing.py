"""Charts: axes with round numbers, and a picture that survives any data."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from zoo.contract.drawing import PALETTE, Line, Scale, chart, colour, history_chart, number

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


# -- numbers and axes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (3.0, "3"), (12345, "12 345"), (0.95321, "0.9532"), (0.9, "0.9000"), (-0.5, "−0.5000"),
        (54.8321, "54.83"), (0.01234567, "0.0123"), (1.5e-7, "1.5e-7".replace("-", "−")), (2.5e9, "2.5e9"),
        (math.nan, "n/a"), (math.inf, "∞"), (-math.inf, "−∞"), (123456.789, "123457"),
    ],
)  # fmt: skip
def test_number(value, text):
    assert number(value).replace("\u2009", " ") == text


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (0.93, 0.97), (-3, 7), (0, 1e-9), (1e6, 1.00001e6), (-5e8, 5e8), (54.1, 54.2), (2, 2), (0, 0)],
)
def test_ticks_are_round_within_the_range_and_told_apart(low, high):
    scale = Scale(low, high, 0, 100)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 8
    assert all(scale.low <= t <= scale.high for t in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert max(steps) - min(steps) < 1e-6 * max(steps)
    lead = steps[0] / 10 ** math.floor(math.log10(steps[0] * 1.0000001))
    assert min(abs(lead - nice) for nice in (1, 2, 2.5, 5)) < 1e-3
    labels = scale.labels(ticks)
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(("low", "high"), [(1, 1000), (0.02, 3), (1e-8, 1e4), (3, 5), (5, 5)])
def test_ticks_of_a_logarithmic_axis(low, high):
    scale = Scale(low, high, 0, 100, log=True)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 12
    assert all(scale.low * 0.99 <= t <= scale.high * 1.01 for t in ticks)
    assert scale(scale.low) == pytest.approx(0)
    assert scale(math.sqrt(scale.low * scale.high)) == pytest.approx(50)
    assert scale(scale.high) == pytest.approx(100)


def test_a_logarithmic_axis_refuses_zero():
    with pytest.raises(ValueError, match="positive"):
        Scale(0, 1, 0, 1, log=True)


# -- charts -------------------------------------------------------------------------------------


def test_points_stand_where_their_numbers_say():
    root = parse(chart([Line("a", [0, 1, 2], [0, 5, 10], style="points")], title="t", y_range=(0, 10)))
    marks = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
    (x0, y0), (x1, y1), (x2, y2) = marks
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert x2 > x0
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)
    assert y0 > y2
    assert [t.text for t in root.iter(f"{SVG}title")] == ["t", "a: 0", "a: 5", "a: 10"]


def test_a_gap_interrupts_the_line():
    root = parse(chart([Line("a", range(5), [1, 2, None, math.nan, 3])], title="t"))
    path = next(p.get("d") for p in root.iter(f"{SVG}path") if "--zoo-1" in (p.get("style") or ""))
    assert path.count("M") == 2


@pytest.mark.parametrize(
    "y",
    [[], [1.0], [2.0, 2.0], [math.inf, -math.inf, math.nan], [None, None], [1e300, -1e300], [0.0] * 4],
)
@pytest.mark.parametrize("log", [False, True])
def test_any_data_give_a_finite_drawing(y, log):
    for style in ("line", "points", "both"):
        line = Line("a", range(1, len(y) + 1), y, low=y, high=y, style=style)
        svg = chart([line, line], title="t", x_log=log, y_log=log, diagonal=True)
        parse(svg)
        numbers = re.findall(r'[ "MLHVhv](-?(?:nan|inf))\b', svg)
        assert not numbers


def test_names_are_escaped_and_everything_has_a_name():
    hostile = "</svg><script>alert(1)</script>\"'&"
    line = Line(hostile, [1, 2], [1, 2], tips=[hostile, hostile])
    root = parse(chart([line, line], title=hostile, description=hostile, x_label=hostile, y_label=hostile))
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {
        "svg", "title", "desc", "path", "g", "text", "circle",
    }  # fmt: skip
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == hostile


def test_thousands_of_points_are_one_path():
    few = chart([Line("a", range(300), range(300), style="points")], title="t")
    many = chart([Line("a", range(2000), range(2000), style="points")], title="t")
    assert few.count("<circle") == 300
    assert many.count("<circle") == 0
    assert many.count("h0") == 2000


def test_a_long_line_keeps_its_shape_in_few_points():
    y = [math.sin(i / 1000) for i in range(20_000)]
    svg = chart([Line("a", range(20_000), y)], title="t", y_range=(-1, 1))
    assert len(svg) < 60_000
    heights = [float(v) for v in re.findall(r"[ML][\d.]+ ([\d.]+)", svg)]
    assert max(heights) - min(heights) > 200


def test_colours_come_round_and_dashes_tell_them_apart():
    lines = [Line(str(i), [0, 1], [i, i]) for i in range(len(PALETTE) + 1)]
    assert colour(0) == colour(len(PALETTE))
    assert chart(lines, title="t").count("stroke-dasharray") == 2  # in the legend and in the chart


def _luminance(hexadecimal: str) -> float:
    parts = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_palette_stands_out_from_white_paper():
    assert all(1.05 / (_luminance(c) + 0.05) >= 3 for c in PALETTE)


# -- histories ----------------------------------------------------------------------------------


def test_history_of_losses():
    svg = history_chart({"epoch": [1, 2], "train_loss": [2.0, 1.0], "valid_loss": [3.0, 2.5]}, "Training")
    root = parse(svg)
    assert root.find(f"{SVG}title").text == "Training"
    assert root.find(f"{SVG}desc").text == "At the end: training 1, validation 2.500."
    words = [t.text for t in root.iter(f"{SVG}text")]
    assert {"training", "validation", "epoch", "loss"} <= set(words)


def test_a_loss_that_falls_far_has_a_logarithmic_axis():
    svg = history_chart({"train_loss": [100.0, 1.0, 0.01]}, "t")
    assert "loss (log scale)" in svg
    assert "loss (log scale)" not in history_chart({"train_loss": [100.0, 1.0, -0.01]}, "t")


def test_history_of_an_agent_and_of_nothing():
    assert ">episode<" in history_chart({"step": [5, 9], "return": [1.0, 2.0]}, "t")
    assert history_chart({}, "t") is None
    assert history_chart({"train_loss": [], "dur": [1.0]}, "t") is None
