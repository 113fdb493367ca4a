from pathlib import Path

import pytest

from harness.records.record import Outcome, Record
from tests.harness.records.samples import record


def test_a_record_comes_back_from_its_file(tmp_path: Path) -> None:
    made = record()
    made.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == made
    assert not list(tmp_path.glob("*.part"))


def test_a_run_that_never_ended_has_a_record_too(tmp_path: Path) -> None:
    record(clock=None, outcome=Outcome.INTERRUPTED, accuracy=None, ipc=None, images=0).save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json").clock is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is no record"),
        ("[]", "is no record"),
        ('{"schema": 1}', "dataset"),
        (None, "there is no record at"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=sentence) as caught:
        Record.load(path)
    assert "\n" not in str(caught.value)
