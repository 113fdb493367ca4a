"""A record that somebody damaged or made up: every reader works, or says in one sentence why it does not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings

from evaluation.base.images import ImageSet
from evaluation.submitted.run_record import read_run
from harness.compare.bench_plan import make_plan
from harness.compare.bench_results import gather, read_row
from harness.compare.bench_tables import markdown
from harness.compare.sides import read_side
from harness.leaderboard.find import find_runs
from harness.leaderboard.rows import Run, make_rows
from harness.leaderboard.verify import verify
from harness.records.record import Record
from harness.records.run_folder import RunFolder
from harness.report.console import Voice
from harness.report.run_page import report_of
from harness.tracking.run_facts import run_facts
from tests.harness.records.damage import ESCAPE, FILES, HTML, damaged, full_record

PLAN = make_plan({"generators": ["native"], "datasets": ["digits"]})
(CELL,) = PLAN.cells()
PICTURES = ImageSet(np.zeros((60, 3, 32, 32), np.uint8), np.repeat(np.arange(10), 6))


@contextmanager
def run_with(content: bytes) -> Iterator[Path]:
    """A run of a benchmark with this record."""
    with TemporaryDirectory() as bench:
        folder = Path(bench) / CELL.folder
        folder.mkdir()
        (folder / "record.json").write_bytes(content)
        yield folder


@contextmanager
def refused_in_a_sentence() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        assert type(error) is ValueError and "\n" not in str(error) and len(str(error)) > 20


def test_the_full_record_itself_is_fine(tmp_path: Path) -> None:
    content = damaged([])
    (tmp_path / "record.json").write_bytes(content)
    assert json.loads(Record.load(tmp_path / "record.json").to_json()) == full_record()


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (("audits", 0, "numbers", "seen"), [99] * 10, "audits.class_order.seen: not labels from -1 to 9"),
        (("audits", 0, "numbers", "seen"), [1], "audits.class_order.seen: 1 labels, not 10"),
        (("audits", 2, "numbers", "repeats"), [60], "audits.duplicates.repeats: not the numbers of images from 0"),
        (("accuracy", "per_class"), [0.5], "accuracy.per_class: accuracies of 1 classes, not of the 10 of digits"),
        (("accuracy", "mean"), 1.5, "accuracy.mean: accuracies are not from 0 to 1"),
        (("accuracy", "rounds"), [], "accuracy: 0 rounds"),
        (("baseline", "accuracy", "ci95"), [0.95, 0.97], "baseline.accuracy.ci95: .* does not hold the mean"),
        (("images",), -1, "images: -1 is less than 0"),
        (("images",), 10**30, "images: a number beyond"),
        (("throughput", "images_per_s"), float("inf"), "throughput.images_per_s: a number beyond"),
        (("dataset",), "mnist", "there is no data set 'mnist'"),
        (("generator",), ESCAPE, r"generator: '\\\\x1b"),
        (("clock", "started_at"), "yesterday", "clock.started_at: 'yesterday' is no date"),
        (("clock", "ended"), 0.0, "clock.ended: 0 s is before"),
        (("ipc", "mean"), 7.0, "ipc.mean: 7 images per class do not lie between 6 and 6"),
        (("settings", "pda"), None, "settings.pda"),
        (("schema",), 999, "is of schema 999, not of 1; read it with the version that wrote it"),
    ],
)
def test_what_cannot_be_true_is_told(
    tmp_path: Path, place: tuple[str | int, ...], value: object, sentence: str
) -> None:
    (tmp_path / "record.json").write_bytes(damaged([(place, value)]))
    with pytest.raises(ValueError, match=sentence):
        Record.load(tmp_path / "record.json")


@settings(max_examples=250, deadline=None)
@given(FILES)
def test_whoever_reads_a_record_works_or_says_why_not(content: bytes) -> None:
    with run_with(content) as folder:
        with refused_in_a_sentence():
            record = Record.load(folder / "record.json")
            assert Record.model_validate_json(record.to_json()) == record
            run_facts(RunFolder(folder), record)
            voice = Voice()
            voice.console.file = shown = io.StringIO()
            voice.summarise(record, folder / "report.html")
            assert not {"\x1b", "\x9b", "\x07"} & set(shown.getvalue())
        with refused_in_a_sentence():
            read_side(folder)
        with refused_in_a_sentence():
            markdown(gather(PLAN, [read_row(CELL, folder.parent)], folder.parent))
        with refused_in_a_sentence():
            read_run(folder)
        with refused_in_a_sentence():
            (found,) = find_runs([folder])
            verified = verify(found)
            make_rows([Run(verified.record, found.shown, "a.html", verified=False)])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILES)
@example(damaged([(("detail",), HTML), (("commit",), HTML), (("settings", "keep"), HTML), (("command", 0), HTML)]))
@example(damaged([(("generator",), "$\\frac{"), (("machine", "cpu"), HTML), (("versions", "torch"), HTML)]))
def test_its_report_runs_nothing_of_it(content: bytes) -> None:
    with run_with(content) as folder, refused_in_a_sentence():
        record = Record.load(folder / "record.json")
        page = report_of(RunFolder(folder), record, PICTURES, PICTURES, PICTURES)
        assert HTML not in page and "alert(1)<" not in page
