"""Copying out what a hostile container may have left."""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from harness.clock.container.changes import ALL_IN_TIME, Changes
from harness.clock.container.output import Copied, CopyLimits, copy_archive, copy_folder

NEVER = float("inf")
ROOM = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    (folder / "000").mkdir(parents=True)
    (folder / "000" / "a.png").write_bytes(b"first")
    os.utime(folder / "000" / "a.png", (1000.0, 1000.5))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def copy(source: Path, target: Path, most_bytes: int = ROOM, until: float = NEVER) -> Copied:
    opened = os.open(source, os.O_RDONLY)
    try:
        return copy_folder(opened, target, CopyLimits(most_bytes, until))
    finally:
        os.close(opened)


def packed(source: Path) -> list[bytes]:
    """The folder as an engine sends it, in odd pieces."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(source, "output")
    content = whole.getvalue()
    return [content[start : start + 777] for start in range(0, len(content), 777)]


def unpack(chunks: list[bytes], target: Path) -> Copied:
    return copy_archive(chunks, target, CopyLimits(ROOM), ALL_IN_TIME)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_files_come_with_their_times(source: Path, target: Path) -> None:
    assert copy(source, target) == Copied(files=1)
    file = target / "000" / "a.png"
    assert file.read_bytes() == b"first" and file.stat().st_mtime == 1000.5


def test_an_archive_brings_the_same(source: Path, target: Path) -> None:
    assert unpack(packed(source), target) == Copied(files=1)
    file = target / "000" / "a.png"
    assert file.read_bytes() == b"first" and file.stat().st_mtime == 1000.5


def test_what_changed_after_the_deadline_does_not_count_whatever_time_it_claims(source: Path, target: Path) -> None:
    time.sleep(0.02)
    deadline = time.time()
    time.sleep(0.02)
    (source / "000" / "late.png").write_bytes(b"late")
    (source / "000" / "b.png").write_bytes(b"renamed")
    (source / "000" / "b.png").rename(source / "000" / "c.png")
    for name in ("late.png", "c.png"):
        os.utime(source / "000" / name, (1000.0, 1000.0))
    copied = copy(source, target, until=deadline)
    assert copied == Copied(files=1, late=2) and files(target) == ["000/a.png"]
    assert "2 files were changed after the deadline" in copied.notes[0]


def test_what_changed_late_in_an_archive_does_not_count_nor_what_nobody_knows_of(source: Path, target: Path) -> None:
    for name in ("b.png", "c.png"):
        (source / "000" / name).write_bytes(b"")
    changes = Changes({"000/a.png": 99.0, "000/b.png": 101.0})
    copied = copy_archive(packed(source), target, CopyLimits(ROOM, until=100.0), changes)
    assert copied == Copied(files=1, late=2) and files(target) == ["000/a.png"]


def test_where_nobody_knows_when_files_were_changed_they_count_and_it_is_said(source: Path, target: Path) -> None:
    copied = copy_archive(packed(source), target, CopyLimits(ROOM, until=0.0), None)
    assert copied == Copied(files=1, late=None) and "did not tell" in copied.notes[0]


@pytest.mark.parametrize("as_archive", [False, True])
def test_it_ends_when_there_is_no_time_for_more(source: Path, target: Path, as_archive: bool) -> None:
    limits = CopyLimits(ROOM, give_up=time.monotonic())
    opened = os.open(source, os.O_RDONLY)
    try:
        copied = (
            copy_archive(packed(source), target, limits, ALL_IN_TIME)
            if as_archive
            else copy_folder(opened, target, limits)
        )
    finally:
        os.close(opened)
    assert copied == Copied(cut_short=True) and files(target) == []
    assert "0 files were copied from the container before it was removed" in copied.notes[0]


def test_links_pipes_and_sockets_are_left_where_they_are(source: Path, target: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "test.png").write_bytes(b"secret")
    (source / "000" / "link.png").symlink_to(secret / "test.png")
    (source / "001").symlink_to(secret)
    os.mkfifo(source / "000" / "pipe.png")
    assert copy(source, target) == Copied(files=1, left_out=3)
    assert files(target) == ["000/a.png"]


def test_links_in_an_archive_are_not_made(source: Path, target: Path) -> None:
    (source / "000" / "link.png").symlink_to("/etc/passwd")
    os.link(source / "000" / "a.png", source / "000" / "b.png")
    os.mkfifo(source / "000" / "pipe.png")
    copied = unpack(packed(source), target)
    assert (copied.files, copied.left_out) == (1, 3)
    assert not [path for path in target.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("name", ["output/../../escaped.png", "output/000/../../../escaped.png", "/output/../escaped"])
def test_an_archive_writes_nothing_elsewhere(target: Path, name: str) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    assert unpack([whole.getvalue()], target).left_out == 1
    assert [path.name for path in target.parent.iterdir()] == ["images"]


@pytest.mark.parametrize("as_archive", [False, True])
def test_a_file_full_of_holes_or_with_many_names_does_not_fill_the_disk(
    source: Path, target: Path, as_archive: bool
) -> None:
    with (source / "000" / "holes.png").open("wb") as holes:
        holes.truncate(ROOM + 1 if as_archive else 1 << 40)
    (source / "001").mkdir()
    (source / "001" / "big").write_bytes(bytes(ROOM // 4 + 1))
    for number in range(10):
        os.link(source / "001" / "big", source / "001" / f"{number}")
    copied = unpack(packed(source), target) if as_archive else copy(source, target, ROOM)
    assert copied.files < 6 and copied.left_out >= 7 and (target / "000" / "a.png").exists()
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) <= ROOM
    assert "too large in all" in copied.notes[0]


@pytest.mark.parametrize("as_archive", [False, True])
def test_folders_beyond_all_depth_are_left(source: Path, target: Path, as_archive: bool) -> None:
    deep = source
    for _ in range(60):
        deep = deep / "deeper"
        deep.mkdir()
    (deep / "a.png").write_bytes(b"deep")
    copied = unpack(packed(source), target) if as_archive else copy(source, target)
    assert copied.files == 1 and copied.left_out >= 1 and files(target) == ["000/a.png"]


def test_what_cannot_be_written_is_lost_and_not_the_run(source: Path, target: Path) -> None:
    (source / "001").mkdir()
    (source / "001" / "b.png").write_bytes(b"second")
    (target / "000").write_bytes(b"in the way")
    assert copy(source, target) == Copied(files=1, left_out=1)


def test_names_in_no_encoding_are_copied(source: Path, target: Path) -> None:
    name = os.fsdecode(b"\xff\n.png")
    (source / "000" / name).write_bytes(b"odd")
    assert copy(source, target).files == 2 and (target / "000" / name).read_bytes() == b"odd"
