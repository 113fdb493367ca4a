"""Folders that one process at a time may have, and text by anyone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evaluation.base.files import claimed, read_lines, read_text, write_text

_CLAIMS = "import sys; from pathlib import Path; from evaluation.base.files import claimed\n"


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As `--out /dev/null` by root would replace the device for the whole machine."""
    pipe, received = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text(pipe, "told")
    reader.join()
    assert received == ["told"] and pipe.is_fifo() and [each.name for each in tmp_path.iterdir()] == ["pipe"]


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    write_text(file, "first")
    write_text(file, "second")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "\ud800")
    assert file.read_text() == "second" and [each.name for each in file.parent.iterdir()] == ["file"]


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    with claimed(tmp_path) as first, claimed(tmp_path) as second:
        assert (first, second) == (True, False)
    with claimed(tmp_path) as again:
        assert again


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    program = _CLAIMS + "with claimed(Path(sys.argv[1])) as got: print(got, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "True\n"
        with claimed(tmp_path) as free:
            assert not free
        other.kill()
    with claimed(tmp_path) as free:
        assert free


@pytest.mark.parametrize(
    "written",
    [
        b"\xef\xbb\xbfone\ntwo\n",
        b"one\r\ntwo\r\n",
        b"one\rtwo",
        b" one \n\ttwo\n\n \n",
        "one\r\ntwo".encode("utf-8-sig"),
    ],
)
def test_text_of_any_system_is_read(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "text").write_bytes(written)
    assert read_lines(tmp_path / "text") == ["one", "two"]


def test_what_looks_like_the_end_of_a_line_is_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a\x85b\x0bc\u2028d\x1ce\n", encoding="utf-8")
    assert read_lines(tmp_path / "text") == ["a\x85b\x0bc\u2028d\x1ce"]
    (tmp_path / "text").write_bytes(b"\n")
    assert read_lines(tmp_path / "text") == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_text_in_another_encoding_is_told(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "text").write_bytes("größe\n".encode(encoding))
    with pytest.raises(ValueError, match="text is no text in UTF-8; save it as UTF-8"):
        read_text(tmp_path / "text")
    with pytest.raises(ValueError, match="none cannot be read: No such file or directory"):
        read_text(tmp_path / "none")
