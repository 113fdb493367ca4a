"""The page in Chromium: sorted and filtered by real clicks and keys, on a desk and on a phone, in light and in dark."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.leaderboard.board import Board, NotCounted
from harness.leaderboard.page import render_leaderboard
from harness.leaderboard.published import published_rows
from harness.leaderboard.rows import Run, make_rows
from tests.harness.leaderboard.samples import COPIES, LEAKED, counted
from tests.harness.report.browser import SCHEMES, WIDTHS, Browser
from tests.harness.report.test_screenshots import CONTRAST, SHOWN, SMALLEST_TEXT

SEEN = """[...document.querySelectorAll("#board tbody tr:not(.track):not(.paper)")].filter(row => row.checkVisibility())
    .map(row => row.querySelector(".name b").textContent)"""
TITLES = """[...document.querySelectorAll("#board tr.track")].filter(row => row.checkVisibility())
    .map(row => row.textContent.trim())"""
PAPERS = """[...document.querySelectorAll("#board tr.paper")].filter(row => row.checkVisibility()).length"""
CHARTS = """[...document.querySelectorAll("[data-views]")].filter(each => each.checkVisibility())
    .map(each => each.dataset.views.split(" ")[0])"""
SMALLEST_TARGET = """Math.min(...[...document.querySelectorAll("thead button, .filters select, td.reports a, summary")]
    .filter(each => each.checkVisibility()).map(each => each.getBoundingClientRect().height))"""
OVERLAP = """[...document.querySelectorAll("#board tbody tr")].filter(row => row.checkVisibility()).some(row => {
    const boxes = [...row.cells].map(cell => cell.getBoundingClientRect()).filter(box => box.width);
    return boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right - 1 && b.left < a.right - 1
        && a.top < b.bottom - 1 && b.top < a.bottom - 1)); })"""


def make_runs() -> list[Run]:
    """Two cards, two clock rules, copies, a preview and a leak; scores of two."""
    clock = counted().record.clock
    assert clock is not None
    boxed = clock.model_copy(update={"rule": "container-start"})
    found = [
        counted("reports/1.html", generator="slow", rounds=(0.90, 0.91, 0.92)),
        counted("reports/2.html", generator="best", rounds=(0.95, 0.96, 0.97), asked=("--set", "guidance=2")),
        counted("reports/3.html", generator="brief", rounds=(0.98,), epochs=20),
        counted("reports/4.html", generator="leaks", rounds=(0.99,) * 3, audits=list(LEAKED)),
        counted("reports/5.html", generator="copies", rounds=(0.97,) * 3, audits=list(COPIES)),
        counted("reports/6.html", generator="boxed", rounds=(0.8,) * 3, clock=boxed),
    ]
    for number, (name, accuracy) in enumerate((("alpha", 0.3), ("beta", 0.4))):
        for dataset in ("cifar100", "tiny-imagenet"):
            rounds = (accuracy, accuracy + 0.01, accuracy + 0.02)
            found.append(counted(f"reports/{dataset}{number}.html", dataset=dataset, generator=name, rounds=rounds))
    return found


def write_page(path: Path) -> Path:
    """A page without its reports."""
    rows = tuple(make_rows(make_runs()))
    board = Board(rows, (NotCounted("runs/x", "It was not judged."),), ())
    published = published_rows(dict.fromkeys(row.view for row in rows))
    path.write_text(render_leaderboard(board, published, "1 January 2026"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("site") / "index.html")


def click(browser: Browser, selector: str) -> None:
    """With the mouse, in the middle of what `selector` finds first."""
    at = browser.ask(
        f"(() => {{ const found = document.querySelector({selector!r}); found.scrollIntoView({{block: 'center'}});"
        " const {x, y, width, height} = found.getBoundingClientRect();"
        " return {x: x + width / 2, y: y + height / 2}; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)


def press(browser: Browser, key: str, code: int, text: str = "") -> None:
    """A key, where the focus is."""
    told: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
    browser.call("Input.dispatchKeyEvent", type="keyDown", text=text, **told)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **told)


def choose(browser: Browser, name: str, words: str) -> None:
    """In a list, by typing: a list that is open is drawn by the system, where no click can be sent."""
    browser.ask(f"document.querySelector('[name={name}]').focus()")
    for letter in words:
        browser.call("Input.dispatchKeyEvent", type="char", text=letter, key=letter)
    assert browser.ask(f"document.querySelector('[name={name}]').selectedOptions[0].textContent").startswith(words)


pytestmark = pytest.mark.slow


def test_it_opens_on_the_score_in_the_order_of_ranks(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    assert browser.ask(SEEN) == ["beta", "alpha"]
    assert browser.ask("document.querySelector('#shown').textContent") == "9 of 33 rows"
    assert browser.ask(CHARTS) == ["cifar100", "tiny-imagenet"]


def test_filters_by_data_set_clock_category_and_kind(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    choose(browser, "view", "Digits")
    assert browser.ask(SEEN) == ["boxed", "best", "slow", "leaks", "brief", "copies"]
    assert browser.ask(CHARTS) == ["digits"] and browser.ask(PAPERS) == 0
    click(browser, "[name=previews]")
    assert "brief" not in browser.ask(SEEN)
    choose(browser, "rule", "container")
    assert browser.ask(SEEN) == ["boxed"] and len(browser.ask(TITLES)) == 1
    choose(browser, "league", "copying")
    assert browser.ask(SEEN) == [] and browser.ask("document.querySelector('#none').checkVisibility()")
    choose(browser, "rule", "all")
    assert browser.ask(SEEN) == ["copies"]
    choose(browser, "league", "all")
    choose(browser, "view", "CIFAR")
    assert browser.ask(SEEN) == ["beta", "alpha"] and browser.ask(PAPERS) == 7
    click(browser, "[name=published]")
    assert browser.ask(PAPERS) == 0


def test_a_link_shows_what_was_chosen(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.open(page, 1280, "light")
    assert browser.ask("location.hash") == ""
    choose(browser, "view", "Digits")
    choose(browser, "rule", "container")
    fragment = browser.ask("location.hash")
    assert fragment == "#view=digits&rule=container-start"
    elsewhere = Path(shutil.copy(page, tmp_path / "index.html"))
    browser.open(elsewhere, 1280, "light", fragment + "&card=gone")
    assert browser.ask(SEEN) == ["boxed"]
    assert browser.ask("document.querySelector('[name=view]').value") == "digits"


def test_sorts_by_mouse_and_by_keyboard_and_never_across_tracks(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    choose(browser, "view", "Digits")
    titles = browser.ask(TITLES)
    click(browser, "[data-sort=accuracy] button")
    assert browser.ask(SEEN) == ["boxed", "leaks", "brief", "best", "slow", "copies"]
    assert browser.ask("document.querySelector('[data-sort=accuracy]').ariaSort") == "descending"
    click(browser, "[data-sort=accuracy] button")
    assert browser.ask(SEEN) == ["boxed", "slow", "best", "brief", "leaks", "copies"]
    browser.ask("document.querySelector('[data-sort=submission] button').focus()")
    press(browser, "Enter", 13, "\r")
    assert browser.ask(SEEN) == ["boxed", "best", "brief", "leaks", "slow", "copies"]
    assert browser.ask("document.querySelectorAll('[aria-sort]').length") == 1
    click(browser, "[data-sort=rank] button")
    assert browser.ask(SEEN) == ["boxed", "best", "slow", "leaks", "brief", "copies"], "no rank comes last"
    assert browser.ask(TITLES) == titles


def test_a_failed_audit_says_what_it_found(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    choose(browser, "view", "Digits")
    browser.ask("document.querySelector('.badge.bad').closest('tr').id = 'leaks'")
    assert browser.ask("document.querySelector('#leaks .rank').textContent") == "–"
    assert not browser.ask("document.querySelector('#leaks li').checkVisibility()")
    click(browser, "#leaks summary")
    assert browser.ask("document.querySelector('#leaks li').checkVisibility()")
    assert "copies of test images" in browser.ask("document.querySelector('#leaks li').textContent")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_can_be_read_and_touched(browser: Browser, page: Path, width: int, scheme: str, tmp_path: Path) -> None:
    browser.open(page, width, scheme)
    choose(browser, "view", "all")
    assert len(browser.ask(SEEN)) == 12
    assert browser.ask(SMALLEST_TEXT) >= 11 and browser.ask(CONTRAST) >= 3
    assert browser.ask("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
    assert set(browser.ask(SHOWN)) == {"wide" if width > 900 else "narrow"}
    assert not browser.ask(OVERLAP), "cells of a row lie on each other"
    assert browser.ask(SMALLEST_TARGET) >= (24 if width < 600 else 16)
    shot = browser.picture(width)
    (tmp_path / f"leaderboard-{width}-{scheme}.png").write_bytes(shot)
    picture = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
    assert (np.median(picture) < 128) == (scheme == "dark")


def test_a_phone_sorts_too(browser: Browser, page: Path) -> None:
    browser.open(page, 390, "dark")
    choose(browser, "view", "Digits")
    click(browser, "[data-sort=accuracy] button")
    assert browser.ask(SEEN) == ["boxed", "leaks", "brief", "best", "slow", "copies"]


def test_without_the_script_everything_is_shown(browser: Browser, page: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page, 1280, "light")
        assert len(browser.ask(SEEN)) == 12 and browser.ask(PAPERS) == 21
        assert not browser.ask("document.querySelector('#filters').checkVisibility()")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
