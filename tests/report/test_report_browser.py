"""The page in a real browser with the network cut: `make test-extra` runs these."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import builders
import pytest
from chrome import Chrome
from planted import HOSTILE, planted

from hyenaprof.model import Outcome, Phase
from hyenaprof.report.render import render

pytestmark = pytest.mark.browser

ROWS = "[...document.querySelectorAll('table[data-interactive] tbody tr')]"
SHOWN = f"{ROWS}.filter((row) => !row.hidden)"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Chrome]:
    with Chrome(chromium) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [
        *builders.make_records(within_noise=0.03),
        builders.make_failure(builders.make_point("attention", 8192)),
        builders.make_failure(builders.make_point("flash", 16384), Outcome.OVER_BUDGET, "1 s left", predicted_s=3.0),
        builders.make_record(builders.make_point("hyena", 16384, phase=Phase.FORWARD), 1e-2, rounds=3),
    ]
    (path,) = render(builders.make_run(records), into=tmp_path_factory.mktemp("page"), formats=("html",))
    return path


def column(name: str) -> str:
    """JavaScript for a column's texts in the order of the rows."""
    return (
        "(() => { const table = document.querySelector('table[data-interactive]');"
        f"const at = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === {name!r});"
        f"return {SHOWN}.map((row) => row.cells[at].textContent); }})()"
    )


def header(name: str) -> str:
    return f"[...document.querySelectorAll('th button')].find((button) => button.textContent === {name!r})"


def test_nothing_is_asked_of_the_network_and_nothing_goes_wrong(browser: Chrome, page: Path) -> None:
    browser.open(page)
    asked = [event["request"]["url"] for event in browser.reported("Network.requestWillBeSent")]
    assert asked == [page.resolve().as_uri()]
    assert browser.reported("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled") == []


def test_every_figure_is_drawn_and_says_its_values_on_hover(browser: Chrome, page: Path) -> None:
    browser.open(page)
    sizes = browser.value("[...document.querySelectorAll('figure > svg')].map((s) => s.getBoundingClientRect().height)")
    assert len(sizes) == 10
    assert min(sizes) > 150
    said = browser.value("[...document.querySelectorAll('#time-1 g > title')].map((title) => title.textContent)")
    assert "flash L=16k: over budget, predicted 3 s, not measured" in said
    assert sum(text.startswith("hyena L=") and text.endswith(", n = 6") for text in said) == 4


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_is_never_wider_than_the_window(browser: Chrome, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.value("document.documentElement.scrollWidth") <= width
    smallest = browser.value(
        "Math.min(...[...document.querySelectorAll('figure > svg')].map("
        "(s) => 11 * s.getBoundingClientRect().width / s.viewBox.baseVal.width))"
    )
    assert smallest >= 8  # of the figures' text, in pixels


def test_a_column_is_sorted_from_the_keyboard_in_both_directions(browser: Chrome, page: Path) -> None:
    browser.open(page)
    browser.value(f"{header('Median [95 %]')}.focus()")
    seconds = f"{SHOWN}.map((row) => row.cells[4].dataset.s).filter((s) => s !== undefined).map(Number)"
    browser.press("Enter", code=13, text="\r")
    rising = browser.value(seconds)
    assert rising == sorted(rising)
    assert len(rising) == 25
    assert browser.value("document.activeElement.parentNode.getAttribute('aria-sort')") == "ascending"
    browser.press("Enter", code=13, text="\r")
    assert browser.value(seconds) == rising[::-1]
    assert browser.value("document.activeElement.parentNode.getAttribute('aria-sort')") == "descending"


def test_points_without_a_number_come_last_in_either_direction(browser: Chrome, page: Path) -> None:
    browser.open(page)
    for _ in range(2):
        browser.value(f"{header('Median [95 %]')}.click()")
        assert browser.value(column("Outcome"))[-2:] != ["ok", "ok"]
        assert set(browser.value(column("Outcome"))[:-2]) == {"ok"}


def test_the_table_is_searched_and_filtered(browser: Chrome, page: Path) -> None:
    browser.open(page)
    browser.value("document.querySelector('input[type=search]').focus()")
    for letter in "flash":
        browser.press(letter, code=ord(letter.upper()), text=letter)
    assert set(browser.value(column("Operator"))) == {"flash"}
    assert browser.value("document.querySelector('output').textContent") == "13 of 27 points"
    browser.value(
        "(() => { const select = document.querySelectorAll('.controls select')[2]; select.value = 'over budget';"
        "select.dispatchEvent(new Event('change')); })()"
    )
    assert browser.value(column("L")) == ["16k"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_colour_scheme(browser: Chrome, page: Path, scheme: str) -> None:
    browser.open(page, scheme=scheme)
    background, ink, figure = browser.value(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
        "getComputedStyle([...document.querySelectorAll('#time-1 text')].at(-1)).fill]"
    )
    expected = {"light": ("rgb(255, 255, 255)", "rgb(28, 33, 40)"), "dark": ("rgb(20, 23, 28)", "rgb(230, 232, 235)")}
    assert (background, ink) == expected[scheme]
    assert figure == ink


def test_planted_markup_runs_nowhere(browser: Chrome, tmp_path: Path) -> None:
    (path,) = render(planted(HOSTILE), into=tmp_path, formats=("html",))
    browser.open(path)
    assert browser.reported("Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Log.entryAdded") == []
    assert browser.value("[document.images.length, document.scripts.length]") == [0, 1]
    assert HOSTILE in browser.value(f"{SHOWN}[0].textContent")


@pytest.mark.extra
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_serious(browser: Chrome, page: Path, scheme: str, width: int) -> None:
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core is not here: pip install --no-deps axe-playwright-python")
    script = next(Path(found.origin).parent.rglob("axe.min.js")).read_text(encoding="utf-8")
    browser.open(page, scheme=scheme, width=width)
    browser.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    browser.value(script + ";0")
    violations = browser.value("axe.run().then((r) => r.violations.map((v) => [v.impact, v.id, v.nodes[0].html]))")
    assert [v for v in violations if v[0] in ("serious", "critical")] == []
