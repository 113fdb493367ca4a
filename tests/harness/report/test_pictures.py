"""What a generator has to show gets into the report, and nothing else does."""

from __future__ import annotations

import base64
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.report.pictures import picture_uri, read_exhibit
from harness.report.run_page import render
from submission.contract.exhibit import Exhibit, ExhibitRow
from tests.harness.records.samples import record


def test_pictures_come_back_as_they_were(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 40, 3), np.uint8)
    Exhibit("Chosen patches", "What was chosen.", (ExhibitRow("apple", picture),)).save(tmp_path / "exhibit.json")
    shown = read_exhibit(tmp_path / "exhibit.json")
    assert shown is not None and shown.title == "Chosen patches" and shown.rows[0].title == "apple"
    np.testing.assert_array_equal(shown.rows[0].picture_HWC, picture)
    uri = picture_uri(picture)
    data = base64.b64decode(uri.partition(",")[2])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), picture)
    page = render(record(), None, None, exhibit=shown)
    assert "Chosen patches" in page and "What was chosen." in page and uri in page
    assert "Chosen patches" not in render(record(), None, None)


def png(size: tuple[int, int]) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def told(picture: object) -> str:
    return json.dumps({"title": "t", "caption": "c", "rows": [{"title": "r", "picture": picture}]})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 100_000, told("no picture"), told(3), told(png((4000, 1))), told(png((20, 20))[:60])],
    ids=["empty", "half", "list", "deep", "text", "number", "large", "damaged"],
)
def test_what_cannot_be_shown_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "exhibit.json").write_text(text)
    assert read_exhibit(tmp_path / "exhibit.json") is None


def test_no_file_a_link_and_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "exhibit.json"
    assert read_exhibit(path) is None
    os.mkfifo(path)
    assert read_exhibit(path) is None
    (tmp_path / "real.json").write_text(told(png((4, 4))))
    assert read_exhibit(tmp_path / "real.json") is not None
    path.unlink()
    path.symlink_to(tmp_path / "real.json")
    assert read_exhibit(path) is None


def test_titles_are_text(tmp_path: Path) -> None:
    text = told(png((4, 4))).replace('"t"', '"<script>"')
    (tmp_path / "exhibit.json").write_text(text)
    page = render(record(), None, None, exhibit=read_exhibit(tmp_path / "exhibit.json"))
    assert page.count("<script") == 1 and "&lt;script&gt;" in page
