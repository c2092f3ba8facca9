"""The charts of a report, each made from one part of the findings."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from markupsafe import Markup

from zoo.contract.drawing import LETTER, Line, Scale, chart, colour, history_chart, number, svg

__all__ = [
    "calibration",
    "confusion",
    "importances",
    "learning_curve",
    "loss_curve",
    "most_confused",
    "predicted_against_actual",
    "residuals",
    "roc",
    "whisker",
    "whisker_axis",
    "whisker_scale",
]

Json = Mapping[str, Any]
WHISKER = (200, 24)


def _short(text: Any, most: int = 26) -> str:
    text = str(text)
    return text if len(text) <= most else text[: most - 1] + "…"


# -- leaderboard ----------------------------------------------------------------------------------


def whisker_scale(scores: Sequence[Json]) -> Scale:
    """The axis that all rows of one metric share."""
    values = [
        v for s in scores for v in (s["low"], s["high"], *s["folds"])
        if v is not None and math.isfinite(v)
    ]  # fmt: skip
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    # A model that is far worse than the others must not squeeze them into one pixel.
    middle = sorted(s["mean"] for s in scores if s["mean"] is not None)
    widths = sorted(s["high"] - s["low"] for s in scores if s["low"] is not None and s["high"] is not None)
    if len(middle) >= 4 and widths:
        first, third = middle[len(middle) // 4], middle[3 * len(middle) // 4]
        room = 3 * max(third - first, widths[len(widths) // 2])
        low, high = max(low, first - room), min(high, third + room)
    return Scale(low, high, 8, WHISKER[0] - 8)


def whisker(score: Json, scale: Scale, said: str) -> Markup:
    """Draw one row: folds as faint strokes, the interval as a line, the mean as a dot."""
    width, height = WHISKER
    y = height / 2

    def at(value: float) -> float:
        return min(max(scale(value), 2), width - 2)

    folds = "".join(
        f"M{at(v):.1f} {y - 6:g}v12" for v in score["folds"] if v is not None and math.isfinite(v)
    )
    body = f'<path d="{folds}" style="stroke:{colour(0)}" stroke-width="1.5" opacity=".45"/>'
    low, high, mean = score["low"], score["high"], score["mean"]
    if low is not None and high is not None:
        body += f'<path d="M{at(low):.1f} {y:g}H{at(high):.1f}" style="stroke:{colour(0)}" stroke-width="2"/>'
    if mean is not None:
        body += f'<circle cx="{at(mean):.1f}" cy="{y:g}" r="4.2" style="fill:{colour(0)}"/>'
    return Markup(svg(width, height, body, said))


def whisker_axis(scale: Scale) -> Markup:
    """Draw the axis above the rows."""
    width, _ = WHISKER
    ticks = scale.ticks(4)
    if sum(map(len, scale.labels(ticks))) > 22:
        ticks = scale.ticks(2)
    body = "".join(
        f'<text x="{min(max(scale(t), 12), width - 14):.1f}" y="10" text-anchor="middle" font-size="10.5">'
        f"{label}</text>"
        for t, label in zip(ticks, scale.labels(ticks), strict=True)
    )
    return Markup(svg(width, 13, f'<g opacity=".75">{body}</g>', "axis of the intervals"))


# -- curves -----------------------------------------------------------------------------------------


def loss_curve(curve: Json) -> Markup:
    """Losses over the epochs of one model."""
    losses = {name: curve[name] for name in ("train_loss", "valid_loss") if curve.get(name)}
    return Markup(history_chart(losses, f"Loss of {curve['model']} by epoch") or "")


def learning_curve(curve: Json) -> Markup:
    """Scores over the number of training rows, with a band of one standard deviation."""
    lines = []
    for name, key in (("rows fitted to", "train"), ("rows held back", "valid")):
        folds = [[v for v in at if v is not None] for at in curve[key]]
        mean = [sum(at) / len(at) if at else None for at in folds]
        spread = [
            math.sqrt(sum((v - m) ** 2 for v in at) / (len(at) - 1)) if m is not None and len(at) > 1 else 0
            for at, m in zip(folds, mean, strict=True)
        ]
        lines.append(Line(
            name, curve["sizes"], mean, style="both", colour={"train": 1, "valid": 0}[key],
            low=[None if m is None else m - s for m, s in zip(mean, spread, strict=True)],
            high=[None if m is None else m + s for m, s in zip(mean, spread, strict=True)],
            tips=[
                f"{name}, {number(n)} rows: {'n/a' if m is None else number(m)} ± {number(s, 2)}"
                for n, m, s in zip(curve["sizes"], mean, spread, strict=True)
            ],
        ))  # fmt: skip
    return Markup(chart(
        lines[::-1], title="Learning curve", x_label="training rows", y_label=curve["metric"],
        description=f"{curve['metric']} with {curve['sizes'][0]} to {curve['sizes'][-1]} training rows.",
    ))  # fmt: skip


def roc(curves: Sequence[Json]) -> Markup:
    """True positives over false positives, a line for each class."""
    lines = [
        Line(
            _short(f"{c['class']}, area {_area(c)}", 32), c["fpr"], c["tpr"],
            tips=[
                f"{_short(c['class'])}: {number(t, 3)} found at {number(f, 3)} false alarms"
                for f, t in zip(c["fpr"], c["tpr"], strict=True)
            ],
        )
        for c in curves
    ]  # fmt: skip
    areas = "; ".join(f"{c['class']}: area {_area(c)}" for c in curves)
    return Markup(chart(
        lines, title="ROC curves", description=areas, x_label="false positive rate",
        y_label="true positive rate", x_range=(0, 1), y_range=(0, 1.01), diagonal=True, legend=True,
        size=(380, 340),
    ))  # fmt: skip


def _area(curve: Json) -> str:
    return "n/a" if curve["auc"] is None else f"{curve['auc']:.3f}"


def calibration(curves: Sequence[Json]) -> Markup:
    """How often a class was right, over how likely it was said to be."""
    lines = []
    for c in curves:
        counts = c.get("counts") or [None] * len(c["predicted"])
        tips = [
            f"{_short(c['class'])}: said {number(p, 3)}, came true {number(o, 3)}"
            + ("" if n is None else f" ({number(n)} rows)")
            for p, o, n in zip(c["predicted"], c["observed"], counts, strict=True)
        ]
        name = _short(c["class"], 32)
        lines.append(Line(name, c["predicted"], c["observed"], style="both", tips=tips, sizes=counts))
    return Markup(chart(
        lines, title="Calibration", x_label="predicted probability", y_label="share that came true",
        description="A model that means what it says lies on the diagonal.", x_range=(0, 1),
        y_range=(0, 1.01), diagonal=True, legend=len(lines) > 1, size=(380, 340),
    ))  # fmt: skip


# -- regression -------------------------------------------------------------------------------------


def predicted_against_actual(points: Json) -> Markup:
    """Draw the prediction over what was true."""
    tips = _pairs(points)
    dots = Line("rows", points["actual"], points["predicted"], style="points", tips=tips)
    values = [*points["actual"], *points["predicted"]]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    pad = 0.03 * (high - low)
    return Markup(chart(
        [dots], title="Predicted against actual", x_label="actual", y_label="predicted",
        description=f"{len(values) // 2} rows; exact predictions lie on the diagonal.",
        diagonal=True, x_range=(low - pad, high + pad), y_range=(low - pad, high + pad), size=(380, 340),
    ))  # fmt: skip


def residuals(points: Json) -> Markup:
    """What was true less what was predicted, over the prediction."""
    rest = [a - p for a, p in zip(points["actual"], points["predicted"], strict=True)]
    dots = Line("rows", points["predicted"], rest, style="points", tips=_pairs(points))
    ends = (min(points["predicted"]), max(points["predicted"])) if rest else (0.0, 1.0)
    zero = Line("no error", ends, (0, 0), dashed=True, colour=1, tips=("no error", "no error"))
    return Markup(chart(
        [dots, zero], title="Residuals", x_label="predicted", y_label="actual − predicted",
        description="Errors over predictions; a pattern is something that the model has missed.",
        legend=False, size=(380, 340),
    ))  # fmt: skip


def _pairs(points: Json) -> list[str]:
    return [
        f"actual {number(a)}, predicted {number(p)}"
        for a, p in zip(points["actual"], points["predicted"], strict=True)
    ]


# -- classes and columns ----------------------------------------------------------------------------


def confusion(confusion: Json) -> Markup:
    """Rows are what was true, columns what was said; shade is the share of the row."""
    classes, matrix = [str(c) for c in confusion["classes"]], confusion["matrix"]
    k = len(classes)
    cell = 84 if k <= 3 else 50 if k <= 6 else 34 if k <= 12 else 24 if k <= 30 else 14
    names = [_short(c, 14) for c in classes]
    longest = max(map(len, names), default=1)
    left = 22 + LETTER * longest
    upright = longest * LETTER > cell - 4
    top = (LETTER * longest * (0.75 if upright else 0) + 34) if k else 34
    body = []
    for i, row in enumerate(matrix):
        total = sum(row)
        y = top + i * cell
        for j, count in enumerate(row):
            share = count / total if total else 0.0
            x = left + j * cell
            tip = (
                f"actual {classes[i]}, predicted {classes[j]}: {number(count)} "
                f"({100 * share:.1f} % of the row)"
            )
            ink = colour(0 if i == j else 1)
            shade = 0 if count == 0 else 0.1 + 0.9 * share
            text = ""
            if cell >= 24 and count:
                shown = number(count) if len(f"{count:g}") <= cell // 8 + 1 else number(count / 1000, 2) + "k"
                tone = "var(--zoo-paper, #fff)" if shade > 0.55 else "currentColor"
                text = (
                    f'<text x="{x + cell / 2:g}" y="{y + cell / 2 + 4:g}" text-anchor="middle" '
                    f'style="fill:{tone}" font-size="{12 if cell >= 34 else 9.5}">{shown}</text>'
                )
            body.append(
                f'<g><title>{escape(tip)}</title><rect x="{x:g}" y="{y:g}" width="{cell - 1}" '
                f'height="{cell - 1}" style="fill:{"currentColor" if not count else ink}" '
                f'fill-opacity="{shade if count else 0.04:.3f}"/>{text}</g>'
            )
        body.append(
            f'<text x="{left - 6:g}" y="{y + cell / 2 + 4:g}" text-anchor="end">{escape(names[i])}</text>'
        )
    for j, name in enumerate(names):
        x = left + (j + 0.5) * cell
        place = (
            f'transform="translate({x + 4:g} {top - 6:g}) rotate(-50)"' if upright
            else f'x="{x:g}" y="{top - 6:g}" text-anchor="middle"'
        )  # fmt: skip
        body.append(f"<text {place}>{escape(name)}</text>")
    side = k * cell
    body.append(
        f'<g opacity=".75"><text x="{left:g}" y="11">predicted →</text>'
        f'<text transform="translate(10 {top + side / 2:g}) rotate(-90)" text-anchor="middle">actual'
        "</text></g>"
    )
    right = 40 if upright else 4
    total = sum(map(sum, matrix))
    correct = sum(matrix[i][i] for i in range(k))
    said = f"{number(correct)} of {number(total)} rows are on the diagonal: predicted as they are."
    picture = svg(left + side + right, top + side + 4, "".join(body), "Confusion matrix", said)
    # Cells too small to read are worse than a picture that scrolls.
    return Markup(picture.replace("max-width:100%;height:auto", "max-width:none"))


def most_confused(confusion: Json, most: int = 5) -> list[dict[str, Any]]:
    """Find the pairs of classes that are taken for each other most often."""
    classes, matrix = confusion["classes"], confusion["matrix"]
    pairs = [
        {"actual": classes[i], "predicted": classes[j], "count": count, "share": count / max(sum(row), 1)}
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: -pair["count"])[:most]


def importances(columns: Sequence[Json], of: Sequence[Json]) -> Markup:
    """How much worse the score gets when one column is shuffled; the scale is that of all in ``of``."""
    width, row = 380, 38
    ends = [c["mean"] + side * (c["std"] or 0) for c in of for side in (-1, 1)]
    scale = Scale(min([0.0, *ends]), max([0.0, *ends]), 2, width - 2)
    body = []
    for i, c in enumerate(columns):
        y, mean, std = row * i, c["mean"], c["std"] or 0
        a, b = sorted((scale(0), scale(mean)))
        said = f"{number(mean, 3)} ± {number(std, 2)}"
        body.append(
            f"<g><title>{escape(str(c['column']))}: {said}</title>"
            f'<rect x="0" y="{y}" width="{width}" height="{row}" fill="transparent"/>'
            f'<text x="2" y="{y + 15}">{escape(_short(c["column"], 36))}</text>'
            f'<text x="{width - 2}" y="{y + 15}" text-anchor="end" opacity=".75">{said}</text>'
            f'<rect x="{a:.1f}" y="{y + 22}" width="{b - a:.1f}" height="8" '
            f'style="fill:{colour(0 if mean > 0 else 1)}"/>'
            f'<path d="M{scale(mean - std):.1f} {y + 26}H{scale(mean + std):.1f}" stroke="currentColor" '
            'stroke-width="1.5" opacity=".65"/></g>'
        )
    zero = "".join(f"M{scale(0):.1f} {row * i + 20}v12" for i in range(len(columns)))
    body.append(f'<path d="{zero}" stroke="currentColor" opacity=".6"/>')
    said = "; ".join(f"{c['column']} {number(c['mean'], 2)}" for c in columns)
    return Markup(svg(width, row * len(columns), "".join(body), "Permutation importances", said))
