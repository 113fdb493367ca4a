"""A run's folder travels whole, and what was worked on it comes back."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.compare.engines.folders import changed, listing, pack, unpack

NAMES = st.text("abcé .", min_size=1, max_size=8).filter(lambda name: name.strip(". ") != "")


@given(st.dictionaries(NAMES, st.binary(max_size=40), max_size=5))
def test_what_is_packed_is_unpacked(files: dict[str, bytes]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        for name, content in files.items():
            (Path(one) / "deep").mkdir(exist_ok=True)
            (Path(one) / "deep" / name).write_bytes(content)
        unpack(pack(Path(one), listing(Path(one))), Path(other))
        found = {path.name: path.read_bytes() for path in (Path(other) / "deep").glob("*")}
        assert found == files
        for name in files:
            times = [os.stat(Path(root) / "deep" / name).st_mtime for root in (one, other)]  # noqa: PTH116
            assert abs(times[0] - times[1]) < 1e-3, "anytime reads them"


def test_links_and_devices_do_not_travel(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"a")
    (tmp_path / "images" / "link.png").symlink_to("/etc/hostname")
    (tmp_path / "elsewhere").symlink_to("/etc")
    os.mkfifo(tmp_path / "images" / "pipe.png")
    with (tmp_path / "images" / "huge.png").open("wb") as file:
        file.truncate(2**40)
    assert list(listing(tmp_path)) == ["images/a.png"]


def test_only_what_changed_comes_back(tmp_path: Path) -> None:
    for name in ("same", "other", "gone"):
        (tmp_path / name).write_text(name)
    before = listing(tmp_path)
    (tmp_path / "other").write_text("changed")
    (tmp_path / "new").write_text("new")
    (tmp_path / "gone").unlink()
    assert changed(before, listing(tmp_path)) == (["new", "other"], ["gone"])
