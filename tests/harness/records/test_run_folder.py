"""What is in the way of a run that is made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.records.run_folder import RunFolder, clear


@pytest.mark.parametrize("reserved", [False, True])
def test_a_run_that_was_killed_before_it_had_a_log_is_made_again(tmp_path: Path, reserved: bool) -> None:
    folder = RunFolder(tmp_path / "run")
    (folder.images / "000-zero").mkdir(parents=True)
    if reserved:
        folder.reserve.write_bytes(bytes(10))
    clear(folder)
    assert not folder.root.exists()
    clear(folder)


@pytest.mark.parametrize("name", ["notes.txt", "images/000-zero/000000.png"])
def test_a_file_that_no_run_accounts_for_is_left_alone(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path / "run")
    mine = folder.root / name
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(ValueError, match="holds no run, and is in the way of one"):
        clear(folder)
    assert mine.exists()
