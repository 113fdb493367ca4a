"""A run on a fake card: what the driver says reaches record, telemetry, terminal and report."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from evaluation.base.challenge import get_challenge
from harness.gpu.monitor import monitoring
from harness.gpu.telemetry import read_telemetry
from harness.records.record import Record
from harness.report.console import Voice
from harness.run import generation
from harness.run.options import RunOptions
from harness.run.run import run
from tests.harness.gpu.cards import OTHER_PID, FakeCards

PROGRAM = """
import sys
from pathlib import Path
from PIL import Image
folder = Path(sys.argv[1]) / "003-3"
folder.mkdir()
Image.new("RGB", (32, 32), (9, 9, 9)).save(folder / "000000.png")
"""


def test_a_hot_card_in_company_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeCards(count=2, bits=0x40, pids=[OTHER_PID])
    monkeypatch.setattr(generation, "monitoring", partial(monitoring, library=fake))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = f"{sys.executable} {program} {{output}}"
    voice = Voice()
    done = run(RunOptions("digits", command=command, judged=False, out=tmp_path / "run"), voice, ["test"])
    voice.finished(done.record, done.report)
    gpu = Record.load(tmp_path / "run" / "record.json").gpu
    assert gpu is not None
    assert (gpu.count, gpu.throttled, gpu.others_present, gpu.driver) == (2, True, True, "550.54.14")
    assert {row.card for row in read_telemetry(tmp_path / "run" / "telemetry.csv")} == {0, 1}
    page, said = (tmp_path / "run" / "report.html").read_text(encoding="utf-8"), capsys.readouterr().out
    for text in (
        "throttled for 100% of the run: heat (hardware) 100%",
        "another process was computing",
        "2 GPUs",
    ):
        assert text in page and text in said


def test_without_a_card_nothing_is_said_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCards(broken=frozenset({"nvmlInit"}))
    monkeypatch.setattr(generation, "monitoring", partial(monitoring, library=fake))
    options = RunOptions("digits", generator="noise", ipc=1, judged=False, out=tmp_path / "run")
    assert run(options, Voice(), ["test"]).record.gpu is None
    assert not (tmp_path / "run" / "telemetry.csv").exists()
    assert get_challenge("digits").classes == len(list((tmp_path / "run" / "images").iterdir()))
