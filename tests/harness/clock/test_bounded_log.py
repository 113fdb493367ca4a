from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock.bounded_log import BoundedLog


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 60), st.integers(1, 60))
def test_the_beginning_and_the_end_are_kept(
    tmp_path_factory: pytest.TempPathFactory, writes: list[bytes], head_bytes: int, tail_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    with path.open("wb") as file:
        log = BoundedLog(file.fileno(), head_bytes, tail_bytes)
        for data in writes:
            log.write(data)
        log.close()
    said = b"".join(writes)
    kept = path.read_bytes()
    cut = len(said) - head_bytes - tail_bytes
    if cut <= 0:
        assert kept == said
    else:
        assert kept.startswith(said[:head_bytes] + f"\n[the harness cut {cut:,} bytes".encode())
        assert kept.endswith(b"]\n" + said[-tail_bytes:])


def test_memory_does_not_grow_with_what_is_written(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = BoundedLog(file.fileno(), 10, 1000)
        for _ in range(10_000):
            log.write(b"x" * 100)
        assert len(log._tail) <= 2100
        log.close()
    assert (tmp_path / "log").stat().st_size < 1200


def test_a_full_disk_raises_nothing() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    log = BoundedLog(full, 10, 10)
    log.write(b"x" * 100)
    log.close()
    os.close(full)
