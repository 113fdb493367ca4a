"""Generators that tamper with folders and files: what is counted, and what the run still leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.faults.matrix import Fault, Row, check, check_next, proves, run_with
from tests.end_to_end.faults.test_generation_faults import ALL_IMAGES, command_of

RECORD = "record and report"

FAULTS = [
    Fault("removes its output folder", "invalid_output", RECORD, 3, 0, program="remove_the_output"),
    Fault("removes the whole run", "invalid_output", RECORD + ", written anew", 3, 0, program="remove_the_run"),
    Fault("replaces the output by a link", "invalid_output", RECORD, 3, 0, program="output_becomes_a_link", slow=True),
    Fault("replaces the output by a file", "invalid_output", RECORD, 3, 0, program="output_becomes_a_file", slow=True),
    Fault("makes the output read-only", "ok", ALL_IMAGES, program="output_becomes_read_only", slow=True),
    Fault("removes its images again", "no_images", RECORD, 3, 0, program="remove_its_images", slow=True),
    Fault("forges record, report, log and events", "ok", ALL_IMAGES, program="forge_the_record"),
    Fault("fills the output with 600 files of junk", "ok", ALL_IMAGES, program="junk_everywhere", slow=True),
    Fault("leaves halves, empty files and noise", "ok", "whole images; the rest is told", program="broken_images"),
    Fault(
        "writes pipes, folders and links to devices under the names of images",
        "ok",
        "whole images; the rest is told",
        program="pipes_and_links_as_images",
    ),
    Fault("writes one class only", "ok", "all; the audits say it", images=20, program="one_class_only", slow=True),
    Fault("writes an image of a gigabyte of pixels", "ok", "the others", program="huge_image", slow=True),
    Fault("dates its files into the future", "ok", ALL_IMAGES, program="future_times", slow=True),
    Fault("dates its files into the past, as a clock set back does", "ok", ALL_IMAGES, program="past_times", slow=True),
]


@pytest.mark.parametrize("fault", [fault.case for fault in FAULTS])
def test_it_ends_as_the_page_says(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = run_with(tmp_path / "run", monkeypatch, command=command_of(fault.program), budget_s=60.0)
    check(finished, fault)
    if "told" in fault.kept:
        assert finished.record.files.dropped >= 3
    check_next(tmp_path / "next", monkeypatch, command_of("paint_each_class"))


@pytest.mark.slow
@proves(Row("fills the disk", "`ok`", "what was whole before, record and report"))
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted by this user")
    try:
        finished = run_with(disk / "run", monkeypatch, command=command_of("fill_the_disk"), budget_s=60.0)
        assert finished.record.images >= 10 and finished.report == disk / "run" / "report.html"
        check(finished, Fault("", "ok", "", images=10, more=True))
        check_next(tmp_path / "next", monkeypatch, command_of("paint_each_class"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
