"""The page: what stands on it, what is left out, and that nothing in the findings becomes markup."""

import json
import os
import re
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest

from zoo.report import render, table_html, write

KINDS = ("classification", "multiclass", "regression", "interrupted", "nothing_fitted", "wide", "hostile")
VOID = {"meta", "link", "img", "br", "wbr", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes and the text of the page; complains of what is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> does not match"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


# -- what stands on it ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_element_is_closed_and_every_name_is_used_once(findings, kind):
    page = Page(render(findings(kind)))
    assert page.open == []
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    anchors = [a["href"][1:] for a in page.named("a") if a["href"].startswith("#")]
    assert set(anchors) <= set(ids)


def test_page_of_a_classification(findings):
    found = findings("classification")
    page = Page(render(found))
    best = found["leaderboard"][0]
    mean = best["scores"]["roc_auc"]["mean"]
    assert f"{best['model']} leads 3 models: ROC AUC {mean:.4f} on average over 5 folds" in page.text
    assert f"and {best['test']['roc_auc']:.4f} on 143 rows that took no part in the choice" in page.text
    for heading in ("Confusion", "ROC", "Calibration", "Would more data help?", "What the columns are worth"):
        assert heading in page.text
    assert "ValueError: Expected n_neighbors" in page.text
    assert found["card"]["summary"] in page.text
    assert 'zoo.load("model.zoo")' in page.text
    assert "{sklearn: breast_cancer}" in page.text
    assert "Two rows without a target were dropped." in page.text
    assert "warned 3 times: ConvergenceWarning: no end in sight" in page.text
    assert len(page.named("math")) >= 2
    for row in found["leaderboard"]:
        assert row["model"] in page.text


def test_errors_that_scorers_negate_are_shown_as_people_know_them(findings):
    found = findings("regression")
    page = Page(render(found))
    rmse = found["leaderboard"][0]["scores"]["neg_root_mean_squared_error"]
    assert rmse["mean"] < 0
    assert f"root mean squared error {-rmse['mean']:.2f}" in page.text
    assert "neg_" not in page.text
    assert "lower is better" in page.text
    assert "while the line of the rows held back still falls" in page.text.lower()
    assert "Predicted against actual" in page.text
    assert "ROC" not in page.text


def test_intervals_end_where_the_metric_does(findings):
    found = findings("classification")
    scores = found["leaderboard"][0]["scores"]
    scores["roc_auc"] |= {"low": 0.98, "high": 1.02}
    scores["neg_log_loss"] |= {"mean": -0.05, "low": -0.12, "high": 0.02}
    text = Page(render(found)).text
    assert "0.980 – 1.000" in text
    assert "0.00 – 0.12" in text


def test_rivals_within_the_interval_are_counted(findings):
    found = findings("regression")
    name = found["metrics"][0]["name"]
    for i, row in enumerate(found["leaderboard"]):
        row["scores"][name] |= {"mean": -50.0 - i, "low": -51.5, "high": -48.5}
    assert "The mean of 1 other lies within its interval" in Page(render(found)).text
    for row in found["leaderboard"]:
        row["scores"][name] |= {"low": None, "high": None}
    assert "within its interval" not in Page(render(found)).text


def test_an_interrupted_run_says_so(findings):
    text = Page(render(findings("interrupted"))).text
    assert "Interrupted. This page shows what was finished by then." in text
    for absent in ("Confusion", "What the columns are worth", "The method", "Load the model", "Training"):
        assert absent not in text


def test_when_nothing_could_be_fitted(findings):
    text = Page(render(findings("nothing_fitted"))).text
    assert "No model could be fitted; the table gives the reasons." in text
    assert "0 models, 1 failed" in text
    assert "leads" not in text


PARTS = (
    "title", "created", "seconds", "spec", "environment", "data", "metrics", "leaderboard", "trials",
    "winner", "learning_curve", "loss_curves", "confusion", "roc", "calibration", "importances", "card",
    "load", "notes", "warnings",
)  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_any_part_may_be_missing(findings, part):
    found = findings("classification")
    for absent in ({**found, part: None}, {k: v for k, v in found.items() if k != part}):
        page = Page(render(absent))
        assert page.open == []
        assert not re.search(r"\bNone\b(?! of this)", page.text.split("All parameters")[0])


def test_nothing_at_all_is_a_page_too():
    assert "Experiment" in Page(render({})).text


def test_numbers_that_are_none(findings):
    found = findings("regression")
    found["residuals"]["predicted"][0] = float("nan")
    found["importances"][0]["std"] = float("nan")
    row = found["leaderboard"][1]
    row["scores"]["r2"] = {
        "mean": float("nan"),
        "low": float("nan"),
        "high": float("inf"),
        "folds": [float("nan")] * 5,
    }
    row["fit_seconds"] = None
    found["learning_curve"]["valid"][0] = [float("nan")] * 5
    page = render(found)
    assert Page(page).open == []
    assert not re.search(r'[ "MLHV](nan|inf)\b', page)


def test_numbers_of_numpy_are_numbers(findings):
    found = findings("multiclass")
    found["confusion"]["matrix"] = np.array(found["confusion"]["matrix"])
    found["data"]["rows"] = np.int64(900)
    found["importances"][0]["mean"] = np.float32(0.25)
    assert "0.250 ± " in render(found)


def test_many_classes_and_rows_stay_readable(findings):
    page = Page(render(findings("wide")))
    text = page.text
    assert "The eight classes that are hardest to tell." in text
    assert "The first six classes." not in text
    assert "zoo-scroll tall" in {a.get("class") for a in page.named("div")}
    assert "All 300 settings that were tried" in text
    assert re.search(r"[A-Z] taken for [A-Z]: \d+ times", text)


# -- it needs nothing and does nothing else ---------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_page_refers_to_nothing_outside_but_citations(findings, kind):
    html = render(findings(kind))
    page = Page(html)
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "action", "data", "background", "poster"} & set(attributes), tag
        place = attributes.get("href")
        if place is None:
            continue
        if tag == "link":
            assert place == "data:,"
        elif not place.startswith("#"):
            assert re.match(r"https://(arxiv\.org/abs|doi\.org)/", place)
            assert attributes["class"] == "citation"
            assert "noreferrer" in attributes["rel"]
    assert not re.search(r"@import|url\(", html)
    (policy,) = [a["content"] for a in page.named("meta") if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; ")
    assert "script-src 'sha256-" in policy


def test_citations_become_links_and_nothing_else(findings):
    found = findings("classification")
    found["card"]["references"] = (
        "A (2025), arXiv:2503.24322. B, arXiv 1706.03762.\n\nC, doi:10.1000/182; http://evil.example/x "
        'D, doi:10.1/"><script>alert(1)</script>'
    )
    page = Page(render(found))
    links = [a["href"] for a in page.named("a") if a.get("class") == "citation"]
    assert links == [
        "https://arxiv.org/abs/2503.24322", "https://arxiv.org/abs/1706.03762", "https://doi.org/10.1000/182",
    ]  # fmt: skip
    assert "http://evil.example/x" in page.text


def test_hostile_text_stays_text(findings):
    found = findings("hostile")
    tame = Page(render(findings("classification")))
    page = Page(render(found))
    assert {t for t, _ in page.elements} <= {t for t, _ in tame.elements}
    assert len(page.named("script")) == 1
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert "</script></style></title><img src=x onerror=" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "49" not in page.text.split("leads")[0].split("CTU")[0]


def test_characters_that_turn_the_text_around_are_shown_instead(findings):
    html = render(findings("hostile"))
    assert "\u202e" not in html
    assert "\ufffd" in html


def test_templates_are_data_of_the_package():
    names = {path.name for path in files("zoo.report").joinpath("templates").iterdir()}
    assert {
        "report.html.j2",
        "leaderboard.html.j2",
        "table.html.j2",
        "style.css",
        "table.css",
        "script.js",
    } <= names


# -- writing it -------------------------------------------------------------------------------------


def test_write_replaces_the_file_or_leaves_it(findings, tmp_path, monkeypatch):
    found = findings("interrupted")
    path = write(found, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == render(found)
    before = path.read_bytes()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(type(path), "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write({**found, "title": "another"}, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["report.html"]


def test_page_does_not_change_the_findings(findings):
    found = findings("regression")
    before = json.dumps(found)
    assert render(found) == render(found)
    assert json.dumps(found) == before


# -- the table for notebooks ------------------------------------------------------------------------


def test_table_alone(findings):
    found = findings("classification")
    html = table_html({"leaderboard": found["leaderboard"], "metrics": found["metrics"]})
    page = Page(html)
    assert page.open == []
    assert "logistic" in page.text
    assert "<script" not in html
    assert all(row["model"] in page.text for row in found["leaderboard"])
    assert Page(table_html({})).open == []
