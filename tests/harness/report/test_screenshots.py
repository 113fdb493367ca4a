"""The report as a browser shows it, at the width of a desk and of a phone, in light and in dark."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.audits.audit import Audit
from harness.records.record import BaselinePart
from harness.report.run_page import render
from tests.harness.records.samples import accuracy, record
from tests.harness.report.browser import SCHEMES, WIDTHS, Browser
from tests.harness.report.test_run_page import pictures

pytestmark = pytest.mark.slow

SMALLEST_TEXT = """Math.min(...[...document.querySelectorAll("svg text")].filter(text => text.checkVisibility())
    .map(text => [text.getScreenCTM(), parseFloat(getComputedStyle(text).fontSize)])
    .map(([matrix, size]) => size * Math.hypot(matrix.a, matrix.b)))"""
SHOWN = """[...document.querySelectorAll("svg")].filter(svg => svg.checkVisibility()).map(svg => svg.classList[0])"""
CONTRAST = """(() => { const shade = colour => { const [r, g, b] = colour.match(/[0-9.]+/g).map(v => v / 255)
    .map(v => v <= 0.04 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const on = shade(getComputedStyle(document.querySelector("section")).backgroundColor);
  return Math.min(...[...document.querySelectorAll("section svg text, section td, section p, section h2")]
    .filter(e => e.checkVisibility()).map(e => { const own = getComputedStyle(e);
      const ink = shade(e.tagName === "text" ? own.fill : own.color);
      return (Math.max(ink, on) + 0.05) / (Math.min(ink, on) + 0.05); })); })()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, a failed audit too."""
    per_class = np.random.default_rng(0).uniform(0, 0.6, 100).tolist()
    brief = accuracy(mean=0.083, std=0.004, ci95=(0.047, 0.119), epochs=20, preview=True, per_class=per_class)
    audits = [
        Audit("class_order", "fail", "the order is wrong", {"seen": [1, 0, *range(2, 100)], "order": [1, 0]}),
        Audit("leakage", "pass", "none", {"closest": [0, 1], "closest_training": [0, 1]}, conclusive=False),
    ]
    baseline = BaselinePart(ipc=5.0, accuracy=accuracy(mean=0.066, ci95=None, std=None, epochs=20, preview=True))
    told = record(dataset="cifar100", accuracy=brief, baseline=baseline, audits=audits, command=["a"] * 200)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(told, pictures([0, 1, 2, 99]), pictures([0, 2])), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_can_be_read(browser: Browser, page: Path, width: int, scheme: str, tmp_path: Path) -> None:
    browser.open(page, width, scheme)
    assert browser.ask(SMALLEST_TEXT) >= 11
    assert browser.ask("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
    assert set(browser.ask(SHOWN)) == {"wide" if width > 900 else "narrow"}
    assert browser.ask(CONTRAST) >= 3
    shot = browser.picture(width)
    (tmp_path / f"report-{width}-{scheme}.png").write_bytes(shot)
    picture = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))
    assert picture.shape[1] == width and picture.shape[0] > 2000
    assert (np.median(picture) < 128) == (scheme == "dark")


def test_commands_have_a_copy_button_and_values_are_shown_where_one_points(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, "light")
    commands = browser.ask("document.querySelectorAll('.command').length")
    assert commands == browser.ask("document.querySelectorAll('.command button').length") == 2
    browser.ask("document.querySelector('.timebar i').scrollIntoView()")
    at = browser.ask(
        "(({x, y, width, height}) => ({x: x + width / 2, y: y + height / 2}))"
        "(document.querySelector('.timebar i').getBoundingClientRect())"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", **at)
    assert browser.ask("document.querySelector('#tip').textContent") == "load 2.00 s"


def test_a_page_runs_no_other_script(browser: Browser, page: Path, tmp_path: Path) -> None:
    hostile = page.read_text(encoding="utf-8").replace("</main>", "<script>document.title = 'run'</script></main>")
    (tmp_path / "hostile.html").write_text(hostile, encoding="utf-8")
    browser.open(tmp_path / "hostile.html", 1280, "light")
    assert browser.ask("document.title") != "run"
