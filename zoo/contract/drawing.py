"""Charts as SVG text, for web pages and notebooks: nothing to install, nothing to load.

Ink is the colour of the text around a chart and series take ``--zoo-1`` to ``--zoo-6``, so a page
chooses light or dark. Every chart has a title and a description for those who do not see it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Line", "Scale", "chart", "colour", "history_chart", "number", "svg"]

# Okabe and Ito's colours, told apart with any kind of colour vision, darkened for white paper.
PALETTE = ("#0072b2", "#d55e00", "#00875f", "#b5568f", "#8a6d00", "#4b4f9c")
_DASHES = ("", "6 3", "2 3")
LETTER = 6.7  # width of a letter of 12 px, on average


@dataclass(frozen=True)
class Line:
    """One series: a line, points, or both, and a band from ``low`` to ``high``.

    ``colour`` is its place in the palette; None takes the place in the chart. ``tips`` are said of
    its points when the pointer is over them, ``sizes`` are their areas beside each other. None and
    NaN in ``y`` interrupt the line.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    style: str = "line"  # "line", "points" or "both"
    colour: int | None = None
    dashed: bool = False
    tips: Sequence[str] | None = None
    sizes: Sequence[float | None] | None = None


def colour(i: int) -> str:
    """Name the colour of the i-th series for CSS; after the last the first comes again."""
    k = i % len(PALETTE)
    return f"var(--zoo-{k + 1}, {PALETTE[k]})"


def number(value: float, digits: int = 4) -> str:
    """Write a number for people: so many digits that count, a true minus, no needless zeros."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "n/a"
    size = abs(value)
    if value == int(value) and size < 1e6:
        text = f"{int(value):,}".replace(",", "\u2009")
    elif size >= 1e6 or size < 1e-4:
        mantissa, power = f"{value:.{digits - 2}e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa}e{int(power)}"
    else:
        whole = len(str(int(size))) if size >= 1 else 0
        # Scores lie between 0 and 1: there it is decimals that people compare.
        text = f"{value:.{max(digits - whole, 0)}f}" if size >= 0.1 else f"{value:.{digits - 1}g}"
    return text.replace("-", "−")


class Scale:
    """Maps numbers to pixels and finds round numbers to label."""

    def __init__(
        self, low: float, high: float, start: float, end: float, *, log: bool = False
    ) -> None:
        if log and low <= 0:
            raise ValueError(f"a logarithmic axis cannot begin at {low}; give positive numbers")
        if low == high:
            pad = abs(low) * 0.1 or 1.0
            low, high = (low / 2, high * 2) if log else (low - pad, high + pad)
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        a, b, v = self.low, self.high, value
        if self.log:
            a, b, v = math.log(a), math.log(b), math.log(max(v, self.low * 1e-9))
        return self.start + (v - a) / (b - a) * (self.end - self.start)

    def ticks(self, n: int = 5) -> list[float]:
        """Round numbers within the range, about n of them."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for leads in ((1,), (1, 3), (1, 2, 5)):
                found = [a * 10.0**p for p in powers for a in leads]
                found = [t for t in found if self.low * 0.999 <= t <= self.high * 1.001]
                if len(found) >= 3:
                    return found[:: math.ceil(len(found) / (n + 2))]
        raw = (self.high - self.low) / max(n, 1)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(a * power for a in (1, 2, 2.5, 5, 10) if a * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12 - math.floor(math.log10(step))) for i in range(first, last + 1)]

    def labels(self, ticks: Sequence[float]) -> list[str]:
        """Write the ticks with equally many decimals."""
        if self.log or len(ticks) < 2:
            return [number(t, 3) for t in ticks]
        largest, step = max(abs(t) for t in ticks), ticks[1] - ticks[0]
        if step < 1e-5 or largest >= 1e7:
            digits = 3 + max(0, math.ceil(math.log10(largest / step)) - 1)
            return [number(t, digits) for t in ticks]
        decimals = next(d for d in range(9) if abs(round(step, d) - step) < step * 1e-6)
        return [f"{t:,.{decimals}f}".replace("-", "−").replace(",", "\u2009") for t in ticks]


def svg(width: float, height: float, body: str, title: str, description: str = "") -> str:
    """Wrap a drawing; the title is what a screen reader says of it."""
    said = f"<title>{escape(title)}</title>"
    if description:
        said += f"<desc>{escape(description)}</desc>"
    return (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'role="img" width="{width:g}" height="{height:g}" style="max-width:100%;height:auto" '
        f'font-family="inherit" font-size="12" fill="currentColor">{said}{body}</svg>'
    )


def chart(
    lines: Sequence[Line],
    *,
    title: str,
    description: str = "",
    x_label: str = "",
    y_label: str = "",
    x_log: bool = False,
    y_log: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    diagonal: bool = False,
    legend: bool | None = None,
    size: tuple[int, int] = (380, 275),
) -> str:
    """Draw lines and points over two axes.

    Parameters
    ----------
    lines : sequence of Line
        What to draw; the first takes the first colour.
    title, description : str
        Read out by screen readers; the description tells what can be seen.
    x_label, y_label : str
        Of the axes.
    x_log, y_log : bool, default=False
        Logarithmic axes; they leave out what is not positive.
    x_range, y_range : (low, high), optional
        Ends of the axes; None takes them from the data.
    diagonal : bool, default=False
        Draw the line on which both axes have the same value.
    legend : bool, optional
        Name the series above the chart; None does so when there are several.
    size : (width, height), default=(380, 275)
        In pixels, when there is room.

    Returns
    -------
    svg : str
    """
    width, height = size
    x_low, x_high = x_range or _range((v for s in lines for v in s.x), x_log)
    y_low, y_high = y_range or _range(
        (v for s in lines for part in (s.y, s.low, s.high) if part is not None for v in part), y_log,
        pad=0.05,
    )  # fmt: skip
    legend = len(lines) > 1 if legend is None else legend
    named, top = _legend(lines, width) if legend else ("", 10.0)
    y = Scale(y_low, y_high, height - 44, top, log=y_log)
    y_ticks = y.ticks()
    y_labels = y.labels(y_ticks)
    left = 28 + LETTER * max([len(text) for text in y_labels] or [1])
    x = Scale(x_low, x_high, left, width - 14, log=x_log)
    body = [named, _axes(x, y, y_ticks, y_labels, x_label, y_label)]
    if diagonal:
        a, b = max(x.low, y.low), min(x.high, y.high)
        if b > a:
            body.append(
                f'<path d="M{x(a):.1f} {y(a):.1f}L{x(b):.1f} {y(b):.1f}" stroke="currentColor" '
                'stroke-dasharray="4 4" opacity=".45" fill="none"/>'
            )
    body += [_series(s, i, x, y) for i, s in enumerate(lines)]
    return svg(width, height, "".join(body), title, description)


# What a history may hold, and what people call it; the first group that is there is drawn.
_WATCHED: tuple[dict[str, str], ...] = (
    {"train_loss": "training", "valid_loss": "validation"},
    {"objective": "objective"},
    {"return": "return"},
)


def history_chart(history: Mapping[str, Sequence[float | None]], title: str) -> str | None:
    """Draw the losses of a ``history_``; None where it holds none.

    Parameters
    ----------
    history : mapping
        Columns of numbers, a row for each step of the training.
    title : str
        Read out by screen readers.
    """
    names = next((g for g in _WATCHED if any(len(history.get(k, ())) for k in g)), {})
    found = {k: [None if v is None else float(v) for v in history[k]] for k in names if k in history}
    found = {k: values for k, values in found.items() if values}
    if not found:
        return None
    step = "episode" if "return" in found else "step" if "objective" in found else "epoch"
    lines = [
        Line(
            names[k], range(1, len(values) + 1), values,
            tips=[f"{names[k]}, {step} {i}: {_said(v)}" for i, v in enumerate(values, 1)],
        )
        for k, values in found.items()
    ]  # fmt: skip
    known = [v for s in lines for v in s.y if v is not None and math.isfinite(v)]
    log = bool(known) and min(known) > 0 and max(known) / min(known) > 30
    what = names[next(iter(found))] if step != "epoch" else "loss"
    ends = (f"{s.name} {number(_last(s.y))}" for s in lines)
    return chart(
        lines, title=title, description=f"At the end: {', '.join(ends)}.", x_label=step, y_log=log,
        y_label=f"{what} (log scale)" if log else what,
    )  # fmt: skip


def _said(value: float | None) -> str:
    return "n/a" if value is None else number(value)


def _last(values: Sequence[float | None]) -> float:
    """Return the last value that is a number."""
    return next((v for v in reversed(values) if v is not None and math.isfinite(v)), math.nan)


def _range(values: Iterable[float | None], log: bool, pad: float = 0.0) -> tuple[float, float]:
    known = [v for v in values if _drawable(v, log)]
    if not known:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = float(min(known)), float(max(known))  # type: ignore[type-var, arg-type]
    if log:
        return low, high
    return low - pad * (high - low), high + pad * (high - low)


def _drawable(value: float | None, log: bool) -> bool:
    return value is not None and math.isfinite(value) and (value > 0 or not log)


def _axes(
    x: Scale, y: Scale, y_ticks: list[float], y_labels: list[str], x_label: str, y_label: str
) -> str:
    grid, words = [], []
    for tick, label in zip(y_ticks, y_labels, strict=True):
        grid.append(f"M{x.start:.1f} {y(tick):.1f}H{x.end:.1f}")
        words.append(
            f'<text x="{x.start - 6:.1f}" y="{y(tick) + 4:.1f}" text-anchor="end">{label}</text>'
        )
    x_ticks = x.ticks(6)
    for tick, label in zip(x_ticks, x.labels(x_ticks), strict=True):
        words.append(f'<text x="{x(tick):.1f}" y="{y.start + 17:.1f}" text-anchor="middle">{label}</text>')
    marks = "".join(f"M{x(tick):.1f} {y.start:.1f}v4" for tick in x_ticks)
    middle = (y.start + y.end) / 2
    return (
        f'<path d="{"".join(grid)}" stroke="currentColor" opacity=".14" fill="none"/>'
        f'<path d="M{x.start:.1f} {y.start:.1f}H{x.end:.1f}{marks}" stroke="currentColor" opacity=".5" '
        f'fill="none"/><g opacity=".75">{"".join(words)}'
        f'<text x="{(x.start + x.end) / 2:.1f}" y="{y.start + 37:.1f}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
        f'<text transform="translate(12 {middle:.1f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text></g>"
    )


def _legend(lines: Sequence[Line], width: float) -> tuple[str, float]:
    """Name the series in rows above the chart; return the rows and where they end."""
    words, left, top = [], 4.0, 14.0
    for i, s in enumerate(lines):
        name = s.name if len(s.name) <= 32 else s.name[:31] + "…"
        room = 30 + LETTER * len(name)
        if left > 4 and left + room > width:
            left, top = 4.0, top + 17
        mark = f'<path d="M{left:.1f} {top - 4:.1f}h14" style="stroke:{_ink(s, i)}" stroke-width="2"'
        if s.style == "points":
            mark = f'<circle cx="{left + 7:.1f}" cy="{top - 4:.1f}" r="3.5" style="fill:{_ink(s, i)}"'
        words.append(
            f'{mark}{_dash(s, i)}/><text x="{left + 19:.1f}" y="{top:.1f}">{escape(name)}</text>'
        )
        left += room
    return "".join(words), top + 12


def _ink(s: Line, i: int) -> str:
    return colour(i if s.colour is None else s.colour)


def _dash(s: Line, i: int) -> str:
    """Colours repeat after the sixth series: then the dashes differ."""
    dash = "5 4" if s.dashed else _DASHES[(i // len(PALETTE)) % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _series(s: Line, i: int, x: Scale, y: Scale) -> str:
    ink, drawn = _ink(s, i), []
    if s.low is not None and s.high is not None:
        band = [
            (x(a), y(low), y(high))
            for a, low, high in zip(s.x, s.low, s.high, strict=True)
            if low is not None and high is not None and _drawable(low, y.log) and _drawable(high, y.log)
        ]
        there = "L".join(f"{a:.1f} {high:.1f}" for a, _, high in band)
        back = "L".join(f"{a:.1f} {low:.1f}" for a, low, _ in reversed(band))
        if band:
            drawn.append(f'<path d="M{there}L{back}Z" style="fill:{ink}" opacity=".16"/>')
    seen = [
        (k, x(a), y(b))
        for k, (a, b) in enumerate(zip(s.x, s.y, strict=True))
        if b is not None and _drawable(b, y.log) and _drawable(a, x.log)
    ]
    if s.style != "points":
        drawn.append(
            f'<path d="{_path(seen)}" style="stroke:{ink}" stroke-width="2" fill="none" '
            f'stroke-linejoin="round"{_dash(s, i)}/>'
        )
    if s.style == "points" and len(seen) > 300:
        # One path instead of thousands of circles.
        dots = "".join(f"M{a:.1f} {b:.1f}h0" for _, a, b in seen)
        drawn.append(
            f'<path d="{dots}" style="stroke:{ink}" stroke-width="4.5" stroke-linecap="round" '
            'opacity=".35" fill="none"/>'
        )
        return "".join(drawn)
    shown = s.style != "line"
    step = 1 if shown else max(1, math.ceil(len(seen) / 40))
    marks = []
    for k, a, b in seen[::step]:
        tip = s.tips[k] if s.tips is not None else f"{s.name}: {number(float(s.y[k] or 0))}"
        r = _radius(s.sizes, k) if shown else 6
        marks.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{r:.3g}"><title>{escape(tip)}</title></circle>')
    look = f'style="fill:{ink}" opacity=".8"' if shown else 'fill="transparent"'
    return "".join(drawn) + f'<g class="tips" {look}>{"".join(marks)}</g>'


def _radius(sizes: Sequence[float | None] | None, k: int) -> float:
    if sizes is None or sizes[k] is None:
        return 3
    return 2 + 5 * math.sqrt((sizes[k] or 0) / max(1e-9, *(n or 0 for n in sizes)))


def _path(seen: list[tuple[int, float, float]]) -> str:
    """Join neighbours, leaving out what lies within half a pixel of the last point."""
    path, before, last = [], -2, (0.0, 0.0)
    for j, (k, a, b) in enumerate(seen):
        joined = k == before + 1
        before = k
        near = abs(a - last[0]) < 0.5 and abs(b - last[1]) < 0.5
        if joined and near and j < len(seen) - 1:
            continue
        path.append(f"{'L' if joined else 'M'}{a:.1f} {b:.1f}")
        last = (a, b)
    return "".join(path)
