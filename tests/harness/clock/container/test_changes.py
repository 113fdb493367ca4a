"""When files were changed, as our program tells it that runs where we cannot look."""

from __future__ import annotations

import math
import os
import struct
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock.container.changes import Changes, read_changes
from harness.clock.container.output import MOST_DEPTH
from harness.clock.container.programs import LIST_CHANGES
from tests.harness.clock.container.static_programs import needs_one_that_runs_here, written


def record(moment: float, path: bytes = b"") -> bytes:
    seconds = math.floor(moment)
    return struct.pack("<qII", seconds, round((moment - seconds) * 1e9), len(path)) + path


END = record(0)


def in_pieces(content: bytes, length: int) -> Iterable[bytes]:
    return (content[start : start + length] for start in range(0, len(content), length))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder to list, beside the program that lists it."""
    written(LIST_CHANGES, tmp_path)
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


def run(folder: Path) -> bytes:
    return subprocess.run(
        [folder.parent / LIST_CHANGES.name], cwd=folder, env={}, capture_output=True, check=True
    ).stdout


@needs_one_that_runs_here
def test_every_file_is_listed_with_its_own_time_of_change(listed: Path) -> None:
    for number in range(300):  # more names than one call of the kernel gives
        (listed / f"{number:03d}-{'x' * 200}").mkdir()
        (listed / f"{number:03d}-{'x' * 200}" / "000000.png").write_bytes(b"1")
    odd = listed / os.fsdecode(b"\xff\n") / "..." / ".hidden"
    odd.parent.mkdir(parents=True)
    odd.write_bytes(b"2")
    os.utime(odd, (0, 0))
    (listed / "link").symlink_to(odd)
    (listed / "elsewhere").symlink_to("/etc")
    os.mkfifo(listed / "pipe")
    changes = read_changes(lambda: [run(listed)])
    files = [path for path in listed.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) == 301 and changes.clock_error == 0.0
    expected = {str(path.relative_to(listed)): path.stat().st_ctime for path in files}
    assert changes.times == pytest.approx(expected, abs=1e-6)


@needs_one_that_runs_here
def test_it_goes_as_deep_as_files_are_copied_from(listed: Path) -> None:
    deep = listed
    for depth in range(MOST_DEPTH + 3):
        (deep / "file").write_bytes(b"")
        deep = deep / f"{depth}"
        deep.mkdir()
    assert len(read_changes(lambda: [run(listed)]).times) == MOST_DEPTH + 1


@needs_one_that_runs_here
def test_what_it_cannot_open_is_late(listed: Path) -> None:
    (listed / "000").mkdir(mode=0o700)
    (listed / "000" / "a.png").write_bytes(b"")
    changes = read_changes(lambda: [run(listed)])
    assert not changes.is_late(PurePosixPath("000/a.png"), time.time() + 1)
    assert changes.is_late(PurePosixPath("001/hidden.png"), time.time() + 1)


@needs_one_that_runs_here
def test_without_a_reader_it_fails(listed: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run([listed.parent / LIST_CHANGES.name], cwd=listed, env={}, stdout=full).returncode == 1


@given(
    times=st.dictionaries(
        st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=40),
        st.integers(0, 2**33),
        max_size=20,
    ),
    length=st.integers(1, 100),
)
def test_the_pieces_may_be_of_any_length(times: dict[str, int], length: int) -> None:
    now = 1000.0
    said = record(now) + b"".join(record(moment, name.encode()) for name, moment in times.items()) + END
    assert read_changes(lambda: in_pieces(said, length), lambda: now) == Changes(times, 0.0)


@pytest.mark.parametrize("lacks", range(1, 40))
def test_a_list_that_was_cut_off_is_refused(lacks: int) -> None:
    said = record(1000.0) + record(900.0, b"000/a.png") + END
    with pytest.raises(ValueError, match="cut off"):
        read_changes(lambda: [said[:-lacks]])


@pytest.mark.parametrize(("shown", "error"), [(1000.3, 0.0), (1007.0, 6.5), (990.0, -10.0), (999.99, -0.01)])
def test_another_clock_is_allowed_for_as_far_as_it_must_be_another(shown: float, error: float) -> None:
    """The program's clock is read between 1000.0 and 1000.5 on ours."""
    moments = iter([1000.0, 1000.5])
    said = record(shown) + record(shown - 100, b"a") + END
    changes = read_changes(lambda: [said], lambda: next(moments))
    assert changes.clock_error == pytest.approx(error)
    assert not changes.is_late(PurePosixPath("a"), shown - error - 99.9)
    assert changes.is_late(PurePosixPath("a"), shown - error - 100.1)
