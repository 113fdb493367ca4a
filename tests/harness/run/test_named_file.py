"""What `--collect` names is taken into the run, or told."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from evaluation.base.challenge import get_challenge
from harness.clock.launch import Terms
from harness.run.collect import collect
from harness.run.named_file import check_named_file, named_file, take_in
from harness.run.options import RunOptions

DIGITS = get_challenge("digits")


def _options(**given: Any) -> RunOptions:
    return RunOptions(dataset="digits", **{"command": "mine", **given})


def _terms(output: Path) -> Terms:
    return Terms(output, "digits", 60.0, 0, output / "classes.json")


def _save(path: Path, per_class: int = 3) -> None:
    torch.save(torch.randn(10 * per_class, 3, 32, 32), path)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def test_a_file_is_named_from_where_the_program_starts_or_by_the_output_folder(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(output.parent)
    assert named_file(_options(), _terms(output)) is None
    assert named_file(_options(collect="a/b.pt"), _terms(output)) == output.parent / "a" / "b.pt"
    assert named_file(_options(collect="{output}/b.pt"), _terms(output)) == output / "b.pt"


def test_what_cannot_be_collected_is_refused_before_the_clock(output: Path) -> None:
    with pytest.raises(ValueError, match=r"it takes one \.pt file"):
        check_named_file(_options(collect="images.npz"), _terms(output))
    with pytest.raises(ValueError, match=r"\{data\} in '\{data\}/x.pt' is not a placeholder"):
        check_named_file(_options(collect="{data}/x.pt"), _terms(output))
    _save(output / "old.pt")
    with pytest.raises(ValueError, match="is there already"):
        check_named_file(_options(collect=str(output / "old.pt")), _terms(output))
    with pytest.raises(ValueError, match="--collect is for --command alone"):
        _options(image="mine", collect="x.pt")
    with pytest.raises(ValueError, match="--collect is for --command alone"):
        RunOptions(dataset="digits", collect="x.pt")


def test_the_file_is_moved_into_the_output_folder_and_read_there(output: Path) -> None:
    file = output.parent / "mine.pt"
    _save(file)
    assert take_in(file, output, DIGITS, math.inf) is None
    assert not file.exists() and (output / "digits.pt").is_file()
    found = collect(output, DIGITS)
    assert found.count == 30 and found.per_class == (3,) * 10 and found.images_hash


def test_a_file_that_was_changed_too_late_or_is_not_there_is_told(output: Path) -> None:
    file = output.parent / "mine.pt"
    told = take_in(file, output, DIGITS, math.inf)
    assert told is not None and "left no" in told and "mine.pt" in told
    _save(file)
    told = take_in(file, output, DIGITS, file.stat().st_ctime - 0.01)
    assert told is not None and "after the deadline" in told
    assert not list(output.iterdir()) and file.exists()


def test_links_and_files_with_their_labels_elsewhere_are_not_taken(output: Path) -> None:
    _save(output.parent / "real.pt")
    (output.parent / "link.pt").symlink_to(output.parent / "real.pt")
    told = take_in(output.parent / "link.pt", output, DIGITS, math.inf)
    assert told is not None and "no plain file" in told
    _save(output.parent / "images_best.pt")
    torch.save(torch.arange(30) % 10, output.parent / "labels_best.pt")
    told = take_in(output.parent / "images_best.pt", output, DIGITS, math.inf)
    assert told is not None and "labels_best.pt; save both in one file" in told
    assert not list(output.iterdir())


def test_an_output_folder_that_became_a_link_takes_nothing(output: Path) -> None:
    elsewhere = output.parent / "elsewhere"
    elsewhere.mkdir()
    output.rmdir()
    output.symlink_to(elsewhere)
    _save(output.parent / "mine.pt")
    assert take_in(output.parent / "mine.pt", output, DIGITS, math.inf) is None
    assert not list(elsewhere.iterdir())
