"""The page of an experiment: findings in, one HTML file out, which loads nothing from anywhere."""

import base64
import hashlib
import math
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from zoo.contract.cards import prose_html
from zoo.contract.drawing import number
from zoo.contract.equations import mathml
from zoo.report import charts

__all__ = ["render", "table_html", "write"]

TEMPLATES = Path(__file__).parent / "templates"


def write(findings: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Draw the findings into a file, which is either complete or not there.

    Parameters
    ----------
    findings : mapping
        What an experiment found (docs/decisions/0006-experiments.md).
    path : str or path
        Where the page is to stand; an older one is replaced.

    Returns
    -------
    path : Path
    """
    path = Path(path)
    text = render(findings)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def render(findings: Mapping[str, Any]) -> str:
    """Draw the findings as the text of an HTML page.

    Parameters
    ----------
    findings : mapping
        What an experiment found; parts that are missing or None are left out.

    Returns
    -------
    html : str
    """
    script = _read("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Only this script may run, and nothing may be fetched, whatever names the data bring along.
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return _templates().get_template("report.html.j2").render(
        f=_Page(findings), charts=charts, policy=policy, script=Markup(script),
        style=Markup(_templates().get_template("style.css").render()), table_style=Markup(_read("table.css")),
    )  # fmt: skip


def table_html(findings: Mapping[str, Any]) -> str:
    """Draw the leaderboard alone, for a notebook.

    Parameters
    ----------
    findings : mapping
        At least ``leaderboard`` and ``metrics``.

    Returns
    -------
    html : str
    """
    return _templates().get_template("table.html.j2").render(
        f=_Page(findings), charts=charts, table_style=Markup(_read("table.css"))
    )


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        number=_number, seconds=_seconds, value=_value, settings=_settings, prose=_prose,
        references=_references, breakable=_breakable, percent=_percent, interval=_interval, own=_own,
        equation=lambda latex: Markup(mathml(latex)),
    )  # fmt: skip
    return environment


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


# -- what the template asks for ---------------------------------------------------------------------


class _Page:
    """The findings, made ready for the template: missing parts are None, numbers are finite."""

    def __init__(self, findings: Mapping[str, Any]) -> None:
        self._parts: _Part = _plain(findings)
        self.nothing = _Part()
        self.metrics = [_Metric(m) for m in self._parts["metrics"] or []]
        rows = [_Part(row) for row in self._parts.get("leaderboard") or []]
        for row in rows:
            row["scores"] = {m.name: m.plain(row.get("scores")) for m in self.metrics}
            row["test"] = {m.name: m.flip((row.get("test") or {}).get(m.name)) for m in self.metrics}
        self.rows = rows
        self.good = [r for r in rows if r.get("status", "ok") == "ok"]
        self.failed = [r for r in rows if r not in self.good]
        self.has_test = any(v is not None for r in self.good for v in r["test"].values())
        first = [r["scores"][self.metrics[0].name] for r in self.good] if self.metrics else []
        self.scale = charts.whisker_scale(first)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._parts[name]

    @property
    def version(self) -> str | None:
        """Version of the zoo that found all this."""
        return (self._parts["environment"] or {}).get("zoo")

    @property
    def best(self) -> dict[str, Any] | None:
        """The first row that did not fail."""
        return self.good[0] if self.good else None

    @property
    def rivals(self) -> int:
        """How many other models' means lie within the interval of the best."""
        if self.best is None:
            return 0
        name = self.metrics[0].name
        low, high = (self.best["scores"][name][end] for end in ("low", "high"))
        if low is None or high is None:
            return 0
        means = [r["scores"][name]["mean"] for r in self.good[1:]]
        return sum(m is not None and low <= m <= high for m in means)

    @property
    def class_counts(self) -> list[tuple[str, float]]:
        """Classes with their numbers of rows."""
        data = self._parts.get("data") or {}
        counts, classes = data.get("class_counts"), data.get("classes")
        if not counts:
            return []
        if isinstance(counts, dict):
            return list(counts.items())
        return [(str(c), n) for c, n in zip(classes or [], counts, strict=True)]

    @property
    def roc(self) -> list[Any]:
        """Curves of the classes, or of the eight that are hardest to tell."""
        curves = self._parts["roc"] or []
        return sorted(curves, key=lambda c: c["auc"] or 0)[:8] if self.many("roc") else curves

    @property
    def calibration(self) -> list[Any]:
        """Curves of at most six classes."""
        return (self._parts["calibration"] or [])[:6]

    def many(self, part: str) -> bool:
        """Whether the classes of a part are too many for one chart."""
        return len(self._parts[part] or []) > {"roc": 8, "calibration": 6}[part]

    @property
    def points(self) -> dict[str, Any] | None:
        """Predicted and actual numbers, those that are known."""
        found = self._parts.get("residuals")
        if not found:
            return None
        pairs = [
            (p, a) for p, a in zip(found["predicted"], found["actual"], strict=True)
            if p is not None and a is not None
        ]  # fmt: skip
        return {**found, "predicted": [p for p, _ in pairs], "actual": [a for _, a in pairs]}

    @property
    def learning_curve(self) -> dict[str, Any] | None:
        """Scores by number of training rows, under the name and sign that people expect."""
        curve = self._parts["learning_curve"]
        if not curve:
            return None
        metric = _Metric({"name": str(curve["metric"])})
        flipped = {part: [[metric.flip(v) for v in at] for at in curve[part]] for part in ("train", "valid")}
        return {**curve, **flipped, "metric": metric.label, "rises": metric.greater_is_better}

    @property
    def spec(self) -> str | None:
        """What was asked, as text."""
        spec = self._parts.get("spec")
        return spec if spec is None or isinstance(spec, str) else str(spec)

    @property
    def environment(self) -> list[tuple[str, Any]]:
        """Versions and machine, one line each."""
        lines: list[tuple[str, Any]] = []
        for name, value in (self._parts.get("environment") or {}).items():
            lines += value.items() if isinstance(value, dict) else [(name, value)]
        return lines


_PERFECT_IS_ONE = (
    "accuracy", "balanced_accuracy", "roc_auc", "average_precision", "f1", "precision", "recall", "jaccard",
    "r2", "explained_variance", "top_k", "matthews", "d2",
)  # fmt: skip


class _Metric:
    """A scorer as people speak of it: ``neg_mean_squared_error`` is a mean squared error."""

    def __init__(self, metric: Mapping[str, Any]) -> None:
        self.name: str = metric["name"]
        self.negated = self.name.startswith("neg_")
        self.label = {"r2": "R²", "roc_auc": "ROC AUC"}.get(
            self.name, self.name.removeprefix("neg_").replace("_", " ")
        )
        self.greater_is_better = bool(metric.get("greater_is_better", True)) and not self.negated

    def flip(self, value: float | None) -> float | None:
        return -value if self.negated and value is not None else value

    def plain(self, scores: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the scores of one row under this metric, with the sign that people expect."""
        found = (scores or {}).get(self.name) or {}
        low, high = found.get("low"), found.get("high")
        low, high = (self.flip(high), self.flip(low)) if self.negated else (low, high)
        # The interval is that of a bell; a share cannot be above 1 nor a squared error below 0.
        if high is not None and self.at_most_one:
            high = min(high, 1.0)
        if low is not None and self.negated:
            low = max(low, 0.0)
        folds = [self.flip(v) for v in found.get("folds") or []]
        return {"mean": self.flip(found.get("mean")), "low": low, "high": high, "folds": folds}

    @property
    def at_most_one(self) -> bool:
        """Whether 1 is perfect."""
        return self.name.startswith(_PERFECT_IS_ONE)


class _Part(dict[str, Any]):
    """A part of the findings; what it lacks is None."""

    def __missing__(self, key: str) -> None:
        return None


# Characters that turn the direction of all text behind them, or do other things unseen.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def _plain(value: Any) -> Any:
    """Make plain Python of it; NaN and infinity, which JSON does not know, become None."""
    if isinstance(value, Mapping):
        return _Part((_plain(str(k)), _plain(v)) for k, v in value.items())
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _UNSEEN.sub("\ufffd", value) if isinstance(value, str) else value


# -- how values are written -------------------------------------------------------------------------


def _number(value: Any, digits: int = 4) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return number(value, digits)


def _interval(low: float, high: float, between: str = " – ") -> str:
    """Write both ends with as many decimals as tell them apart."""
    width = high - low
    decimals = 1 - math.floor(math.log10(width)) if width > 0 else 3
    ends = [f"{end:.{min(max(decimals, 0), 4)}f}".replace("-", "−") for end in (low, high)]
    return between.join(ends)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _seconds(value: float | None) -> str:
    """Write a time so that it can be compared at a glance."""
    if value is None:
        return "–"
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    if value < 1:
        return f"{value * 1e3:.3g} ms"
    if value < 100:
        return f"{value:.3g} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _value(value: Any) -> str:
    """Write the value of a parameter."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"({', '.join(_value(v) for v in value)})"
    return "None" if value is None else str(value)


def _breakable(name: str) -> Markup:
    """Let a long name break between its words."""
    between = r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=_)(?=[^_])"
    return Markup(re.sub(between, "<wbr>", escape(name)))


def _settings(params: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{_own(name)}={_value(v)}" for name, v in (params or {}).items())


def _own(name: str) -> str:
    """Write the name of a parameter without the step that every model has."""
    return name.removeprefix("model__")


def _prose(text: str | None) -> Markup:
    return Markup(prose_html(text or ""))


_CITED = re.compile(
    r"arXiv[: ](\d{4}\.\d{4,5})|\bdoi[: ](10\.\d{4,9}/[^\s,;\"<>&]+[^\s,;.\"<>&])", re.IGNORECASE
)


def _references(given: str | Iterable[str]) -> Markup:
    """Write references; those with an arXiv number or a DOI become links, and nothing else does."""
    text = given if isinstance(given, str) else "\n\n".join(given)

    def link(match: re.Match[str]) -> str:
        place = f"https://arxiv.org/abs/{match[1]}" if match[1] else f"https://doi.org/{match[2]}"
        return (
            f'<a class="citation" href="{escape(place)}" rel="noopener noreferrer">{match[0]}</a>'
        )

    paragraphs = [escape(p) for p in re.split(r"\n\s*\n", text) if p.strip()]
    return Markup("".join(f"<p>{_CITED.sub(link, p)}</p>" for p in paragraphs))
