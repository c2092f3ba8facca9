"""The charts of a report show their numbers, in place and to scale."""

import re
from xml.etree import ElementTree

import pytest

from zoo.report import charts

SVG = "{http://www.w3.org/2000/svg}"


def parse(markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(markup))


def said(markup) -> list[str]:
    return [title.text for title in parse(markup).iter(f"{SVG}title")]


# -- confusion ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10, 26, 60])
def test_confusion_of_any_size(k):
    classes = [f"class {i}" for i in range(k)]
    matrix = [[100 * (i == j) + (i * j) % 3 for j in range(k)] for i in range(k)]
    root = parse(charts.confusion({"classes": classes, "matrix": matrix, "where": "test"}))
    cells = list(root.iter(f"{SVG}rect"))
    assert len(cells) == k * k
    width = float(root.get("viewBox").split()[2])
    assert all(float(c.get("x")) + float(c.get("width")) <= width for c in cells)
    assert min(float(c.get("width")) for c in cells) >= 13
    shown = [t.text for t in root.iter(f"{SVG}text")]
    assert ("100" in shown) == (k <= 30)


def test_confusion_tells_each_cell():
    found = {"classes": ["cat", "dog"], "matrix": [[8, 2], [0, 10]], "where": "test"}
    assert said(charts.confusion(found))[1:] == [
        "actual cat, predicted cat: 8 (80.0 % of the row)",
        "actual cat, predicted dog: 2 (20.0 % of the row)",
        "actual dog, predicted cat: 0 (0.0 % of the row)",
        "actual dog, predicted dog: 10 (100.0 % of the row)",
    ]
    description = parse(charts.confusion(found)).find(f"{SVG}desc").text
    assert description == "18 of 20 rows are on the diagonal: predicted as they are."


def test_a_class_without_rows_is_no_division_by_zero():
    charts.confusion({"classes": ["a", "b"], "matrix": [[0, 0], [1, 1]], "where": "test"})


def test_large_counts_fit_their_cells():
    root = parse(
        charts.confusion({"classes": list("abcdefg"), "matrix": [[123_456] * 7] * 7, "where": "test"})
    )
    numbers = [t.text for t in root.iter(f"{SVG}text") if t.text and t.text[0].isdigit()]
    assert set(numbers) == {"123k"}


def test_most_confused_pairs_come_first():
    matrix = [[9, 1, 0], [5, 4, 1], [0, 3, 7]]
    pairs = charts.most_confused({"classes": ["a", "b", "c"], "matrix": matrix}, most=3)
    assert [(p["actual"], p["predicted"], p["count"]) for p in pairs] == [
        ("b", "a", 5),
        ("c", "b", 3),
        ("a", "b", 1),
    ]
    assert pairs[0]["share"] == 0.5


# -- leaderboard --------------------------------------------------------------------------------------


def score(mean, low, high, folds=()):
    return {"mean": mean, "low": low, "high": high, "folds": list(folds)}


def test_whiskers_share_a_scale_and_stand_in_order():
    scores = [score(0.9, 0.85, 0.95, [0.88, 0.92]), score(0.7, 0.6, 0.8, [0.65, 0.75])]
    scale = charts.whisker_scale(scores)
    dots = []
    for s in scores:
        root = parse(charts.whisker(s, scale, "said"))
        (dot,) = root.iter(f"{SVG}circle")
        low, high = map(
            float, re.search(r"M([\d.]+) [\d.]+H([\d.]+)", ElementTree.tostring(root, "unicode")).groups()
        )
        x = float(dot.get("cx"))
        assert low < x < high
        assert x - low == pytest.approx(high - x, abs=0.2)
        dots.append(x)
    assert dots[0] > dots[1]


def test_one_bad_model_does_not_squeeze_the_others():
    scores = [score(0.90 + 0.01 * i, 0.89 + 0.01 * i, 0.91 + 0.01 * i) for i in range(5)]
    alone = charts.whisker_scale(scores)
    scale = charts.whisker_scale([*scores, score(-1e9, -2e9, 0)])
    assert scale(0.94) - scale(0.90) > 0.25 * (alone(0.94) - alone(0.90))
    charts.whisker(score(-1e9, -2e9, 0), scale, "far outside")


def test_whisker_without_folds_or_interval():
    scale = charts.whisker_scale([score(None, None, None)])
    assert list(parse(charts.whisker(score(None, None, None), scale, "nothing")).iter(f"{SVG}circle")) == []
    parse(charts.whisker_axis(scale))


# -- curves -------------------------------------------------------------------------------------------


def test_learning_curve_tells_mean_and_deviation():
    curve = {
        "sizes": [10, 20],
        "train": [[1.0, 1.0], [0.9, 0.9]],
        "valid": [[0.5, 0.7], [0.7, 0.7]],
        "metric": "R²",
    }
    told = said(charts.learning_curve(curve))
    assert told[0] == "Learning curve"
    assert "rows held back, 10 rows: 0.6000 ± 0.14" in told
    assert "rows fitted to, 20 rows: 0.9000 ± 0" in told


def test_learning_curve_with_failed_folds():
    curve = {
        "sizes": [10, 20],
        "train": [[None], [None, None]],
        "valid": [[0.5], [0.5, None]],
        "metric": "R²",
    }
    parse(charts.learning_curve(curve))


def test_roc_names_areas():
    curve = {"class": "b", "fpr": [0, 0.1, 1], "tpr": [0, 0.9, 1], "auc": 0.9}
    root = parse(charts.roc([curve]))
    assert "b, area 0.900" in [t.text for t in root.iter(f"{SVG}text")]
    assert "b: 0.900 found at 0.100 false alarms" in said(charts.roc([curve]))


def test_larger_bins_of_a_calibration_are_larger_dots():
    curve = {"class": "b", "predicted": [0.1, 0.9], "observed": [0.2, 0.8], "counts": [5, 500]}
    small, large = (float(c.get("r")) for c in parse(charts.calibration([curve])).iter(f"{SVG}circle"))
    assert large > 2 * small
    assert "b: said 0.900, came true 0.800 (500 rows)" in said(charts.calibration([curve]))
    parse(charts.calibration([{**curve, "counts": None}]))


def test_loss_curves():
    assert "loss (log scale)" in charts.loss_curve(
        {"model": "m", "train_loss": [100.0, 1.0], "valid_loss": None}
    )
    assert charts.loss_curve({"model": "m", "train_loss": [], "valid_loss": None}) == ""


# -- regression and columns ---------------------------------------------------------------------------


def test_residuals_are_actual_less_predicted():
    points = {"predicted": [1.0, 2.0], "actual": [1.5, 1.0], "where": "test"}
    for draw in (charts.residuals, charts.predicted_against_actual):
        assert "actual 1.500, predicted 1" in said(draw(points))
        draw({"predicted": [], "actual": []})
    first, second = [float(c.get("cy")) for c in parse(charts.residuals(points)).iter(f"{SVG}circle")][:2]
    assert first < second


def test_importances_are_to_scale_on_both_sides_of_zero():
    columns = [
        {"column": "a", "mean": 0.4, "std": 0.0}, {"column": "b", "mean": 0.2, "std": None},
        {"column": "c", "mean": -0.1, "std": 0.0},
    ]  # fmt: skip
    bars = [
        (float(r.get("x")), float(r.get("width")))
        for r in parse(charts.importances(columns, columns)).iter(f"{SVG}rect") if r.get("fill") is None
    ]  # fmt: skip
    (xa, wa), (xb, wb), (xc, wc) = bars
    assert wa == pytest.approx(2 * wb, rel=0.01)
    assert wb == pytest.approx(2 * wc, rel=0.01)
    assert xa == xb == pytest.approx(xc + wc, abs=0.2)
