"""The page in a real browser: quiet, sortable, drawn, within the screen, light and dark, alone."""

import shutil

import pytest

from zoo.report import table_html, write

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs the programs chromium and chromedriver on the PATH"
)

KINDS = ("classification", "multiclass", "regression", "interrupted", "nothing_fitted", "wide", "hostile")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def show(browser, findings, tmp_path):
    """Write a page and open it in a window of some width, light or dark, with or without scripts."""

    def open_page(kind, width=1280, scheme="light", scripts=True):
        path = write(findings(kind), tmp_path / f"{kind}.html")
        return open_file(browser, path, width, scheme, scripts)

    return open_page


def open_file(browser, path, width=1280, scheme="light", scripts=True):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get_log("browser")
    browser.get(path.as_uri())
    return browser


def column(browser, i, table="table.zoo-board"):
    """The texts by which one column of a table sorts, in the order they stand in."""
    return browser.execute_script(
        "return [...document.querySelector(arguments[0]).tBodies[0].rows].map(row => row.cells[arguments[1]])"
        ".map(cell => cell && cell.dataset.value !== undefined ? cell.dataset.value : null)",
        table,
        i,
    )


def sort_state(browser, i):
    return browser.execute_script(
        "return document.querySelector('table.zoo-board').tHead.rows[0].cells[arguments[0]]"
        ".getAttribute('aria-sort')",
        i,
    )


# -- every page ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [360, 1280])
def test_page_is_quiet_drawn_and_within_the_screen(show, kind, width):
    page = show(kind, width)
    assert page.get_log("browser") == []
    found = page.execute_script("""
        const root = document.documentElement;
        const seen = query => [...document.querySelectorAll(query)]
          .filter(e => !e.closest("details:not([open])"));
        const smaller = (query, width, height) => seen(query).map(e => e.getBoundingClientRect())
          .filter(box => box.width < width || box.height < height).length;
        return {
          overflow: root.scrollWidth - root.clientWidth,
          sticking_out: [...document.querySelectorAll("main > section, header.top > *, .card, figure")]
            .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1).map(e => e.className),
          charts: seen("svg.chart").length,
          empty: smaller("svg.chart", 40, 8),
          unnamed: seen("svg.chart").filter(c => !c.getAttribute("aria-label")).length,
          bad: seen("merror").length,
          flat: smaller("math", 3, 6),
          resources: performance.getEntriesByType("resource").map(e => e.name),
          harm: document.body.dataset.harm || null,
          scripts: document.scripts.length, images: document.images.length,
        };
    """)
    assert found["overflow"] == 0
    assert found["sticking_out"] == []
    assert found["charts"] >= (1 if kind != "nothing_fitted" else 0)
    assert (found["empty"], found["unnamed"], found["bad"], found["flat"]) == (0, 0, 0, 0)
    assert found["resources"] == []
    assert (found["harm"], found["scripts"], found["images"]) == (None, 1, 0)


def test_the_policy_stops_what_would_be_fetched(show):
    page = show("regression")
    page.execute_script("const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i)")
    messages = " ".join(entry["message"] for entry in page.get_log("browser"))
    assert "Content Security Policy" in messages


# -- tables -------------------------------------------------------------------------------------------


def test_every_column_sorts_both_ways_and_failures_stay_last(show):
    page = show("classification")
    heads = page.find_elements("css selector", "table.zoo-board thead th")
    assert [h.get_attribute("scope") for h in heads] == ["col"] * len(heads)
    sorted_by = 0
    for i, head in enumerate(heads):
        buttons = head.find_elements("css selector", "button")
        if not buttons:
            continue
        orders = []
        # The table arrives sorted by rank: its first press turns it round.
        for wanted in ("descending", "ascending") if i == 0 else ("ascending", "descending"):
            buttons[0].click()
            assert sort_state(page, i) == wanted
            values = column(page, i)
            assert values[-1] in (None, "", "one column too far")
            known = values[:-1] if i != 1 else [v.casefold() for v in values[:-1]]
            keys = known if i == 1 else [float(v) for v in known]
            assert keys == sorted(keys, reverse=wanted == "descending")
            orders.append(keys)
        assert orders[0] == orders[1][::-1]
        others = [sort_state(page, j) for j in range(len(heads)) if j != i]
        assert set(others) == {None}
        sorted_by += 1
    assert sorted_by == len(heads) - 1
    assert page.get_log("browser") == []


def test_tables_sort_by_keyboard(show):
    from selenium.webdriver.common.keys import Keys

    page = show("regression")
    button = page.find_element("css selector", "table.zoo-board thead th:nth-child(3) button")
    for key, wanted in ((Keys.ENTER, "ascending"), (Keys.SPACE, "descending")):
        button.send_keys(key)
        assert sort_state(page, 2) == wanted
    values = [float(v) for v in column(page, 2)]
    assert values == sorted(values, reverse=True)
    assert page.switch_to.active_element == button


def test_a_table_of_two_hundred_rows_scrolls_by_itself(show):
    page = show("wide")
    box = page.execute_script(
        "const s = document.querySelector('.zoo-scroll.tall');"
        "return [s.clientHeight, s.scrollHeight, innerHeight]"
    )
    assert box[0] <= box[2]
    assert box[1] > 5 * box[0]
    page.execute_script("document.querySelector('.zoo-scroll.tall').scrollTop = 2000")
    head = page.execute_script(
        "return document.querySelector('.zoo-board thead th').getBoundingClientRect().top"
        " - document.querySelector('.zoo-scroll.tall').getBoundingClientRect().top"
    )
    assert abs(head) < 2


# -- charts -------------------------------------------------------------------------------------------


def test_the_pointer_is_told_what_a_mark_means(show):
    from selenium.webdriver import ActionChains

    page = show("multiclass")
    cell = page.find_element("css selector", "svg[aria-label='Confusion matrix'] g rect")
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", cell)
    # Scrolling, which hides the words, is reported with the next frame.
    page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    ActionChains(page).move_to_element(cell).perform()
    tip = page.find_element("id", "tip")
    assert tip.is_displayed()
    assert tip.text.startswith("actual 0, predicted 0: ")
    ActionChains(page).move_to_element(page.find_element("css selector", "#errors h2")).perform()
    assert not tip.is_displayed()


# -- light and dark -----------------------------------------------------------------------------------

LOOK = r"""
    const rgb = text => (text.match(/[\d.]+/g) || []).slice(0, 3).map(Number);
    const light = c => c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const paper = rgb(getComputedStyle(document.body).backgroundColor);
    const opacity = e => e && e.nodeType === 1 ? getComputedStyle(e).opacity * opacity(e.parentNode) : 1;
    function contrast(e, what) {
      const ink = rgb(getComputedStyle(e)[what]);
      if (ink.length < 3) return 21;
      const seen = light(ink.map((v, i) => opacity(e) * v + (1 - opacity(e)) * paper[i]));
      return (Math.max(seen, light(paper)) + .05) / (Math.min(seen, light(paper)) + .05);
    }
    const least = (query, what) =>
      Math.min(...[...document.querySelectorAll(query)].map(e => contrast(e, what)));
    return {
      paper: light(paper),
      text: least("p, dd, dt, th, td, a, .interval, .params, summary, figcaption", "color"),
      words: least("svg.chart text", "fill"),
      lines: least("svg.chart path[style][stroke-width='2']", "stroke"),
      dots: least("svg.chart circle[style]", "fill"),
    };
"""


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_both_themes_can_be_read(show, scheme, dark):
    look = show("regression", scheme=scheme).execute_script(LOOK)
    assert (look["paper"] < 0.2) == dark
    assert look["text"] >= 4.5
    assert look["words"] >= 4.5
    assert look["lines"] >= 3
    assert look["dots"] >= 3


def test_the_toggle_overrides_the_system_and_comes_back(show):
    page = show("regression", scheme="dark")
    paper = "return getComputedStyle(document.body).backgroundColor"
    dark = page.execute_script(paper)
    button = page.find_element("css selector", "button.theme")
    assert button.text == "Light"
    button.click()
    light = page.execute_script(paper)
    assert light != dark
    assert button.text == "Dark"
    button.click()
    assert page.execute_script(paper) == dark
    page.execute_script("localStorage.clear()")


# -- without scripts, and on paper --------------------------------------------------------------------


def test_page_reads_fully_without_scripts(show):
    page = show("classification", width=360, scripts=False)
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    text = page.find_element("tag name", "body").text
    for words in ("logistic leads 3 models", "ValueError: Expected n_neighbors", "Confusion", "zoo.load("):
        assert words in text
    assert page.find_elements("css selector", "th button") == []
    assert not page.find_element("css selector", "button.theme").is_displayed()
    assert page.execute_script("return document.documentElement.scrollWidth") == 360


def test_page_prints_light_without_its_navigation(show):
    page = show("regression", width=800, scheme="dark")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    assert (
        page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    )
    assert not page.find_element("css selector", "nav").is_displayed()
    assert not page.find_element("css selector", "button.theme").is_displayed()


# -- in a notebook ------------------------------------------------------------------------------------


def test_the_table_alone_is_drawn_too(browser, findings, tmp_path):
    path = tmp_path / "cell.html"
    path.write_text("<!DOCTYPE html><meta charset='utf-8'><body>" + table_html(findings("classification")))
    page = open_file(browser, path)
    assert page.get_log("browser") == []
    sizes = page.execute_script(
        "return [...document.querySelectorAll('svg.chart')].map(c => c.getBoundingClientRect().width)"
    )
    assert len(sizes) == 4
    assert min(sizes) > 100
