from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock.ledger import PHASES, Ledger, Phase, ledger


def write_events(path: Path, events: Sequence[tuple[float, str]]) -> Path:
    path.write_text("".join(json.dumps({"t": time, "phase": phase}) + "\n" for time, phase in events))
    return path


def test_each_phase_lasts_until_the_next_begins(tmp_path: Path) -> None:
    events = write_events(
        tmp_path / "events",
        [(102.0, "warmup"), (103.5, "generate"), (110.0, "idle"), (110.5, "generate"), (119.0, "write")],
    )
    assert ledger(events, 100.0, 120.0) == Ledger(load=2.0, warmup=1.5, generate=15.0, idle=0.5, write=1.0)


def test_phases_shorter_than_the_rounding_leave_the_longest_no_debt(tmp_path: Path) -> None:
    tick = 2.0**-20
    events = write_events(tmp_path / "events", [(0.6 * tick, "warmup"), (1.2 * tick, "generate")])
    spent = ledger(events, 0.0, 1.9 * tick)
    assert spent.total == 1.9 * tick and min(spent.by_phase.values()) >= 0


def test_other_lines_are_passed_over(tmp_path: Path) -> None:
    events = tmp_path / "events"
    events.write_bytes(
        b'{"t": 2.0, "phase": "generate", "batch_size": 64}\n'
        b'{"t": 3.0, "images": 128}\n'
        b'\xff\xfe{"t": 4.0\n'
        b'{"t": NaN, "phase": "idle"}\n'
        b'{"t": Infinity, "phase": "idle"}\n'
        b'{"t": "5", "phase": "idle"}\n'
        b'{"t": 5.0, "phase": "sleep"}\n'
        b'{"t": 5.0, "phase": ["idle"]}\n'
        b'{"t": 5.0}\n'
        b"[5.0]\n" + b"[" * 100_000 + b"\n\n"
        b'{"t": ' + b"9" * 400 + b', "phase": "idle"}\n'
        b'{"t": 0.5, "phase": "idle"}\n'  # of an earlier run
        b'{"t": 11.0, "phase": "idle"}\n'
        b'{"t": 6.0, "phase": "wri'
    )
    assert ledger(events, 1.0, 10.0) == Ledger(load=1.0, generate=8.0)


def test_events_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events", [(8.0, "write"), (2.0, "warmup"), (3.0, "generate")])
    assert ledger(events, 0.0, 10.0) == Ledger(load=2.0, warmup=1.0, generate=5.0, write=2.0)


def test_without_events_all_time_is_of_the_default_phase(tmp_path: Path) -> None:
    assert ledger(None, 3.0, 7.5, "generate") == Ledger(generate=4.5)
    assert ledger(tmp_path / "none", 3.0, 7.5) == Ledger(load=4.5)
    assert ledger(None, 3.0, 3.0) == Ledger()


def test_a_hostile_events_file_neither_blocks_nor_fills_memory(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert ledger(tmp_path / "pipe", 0.0, 1.0) == Ledger(load=1.0)
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    assert ledger(tmp_path / "huge", 0.0, 1.0) == Ledger(load=1.0)


def test_an_unreadable_events_file_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert ledger(tmp_path / "loop", 0.0, 1.0) == Ledger(load=1.0)


times = st.floats(0, 1e9, allow_nan=False)
# Dense where a run is, and anything that a hostile writer may think of.
event_times = st.floats(0, 1e3) | st.floats() | st.integers() | st.sampled_from([0, 1, 1e-9])
lines = st.lists(
    st.builds(
        lambda time, phase: json.dumps({"t": time, "phase": phase}).encode(),
        event_times,
        st.sampled_from([*PHASES, "sleep"]) | st.none() | st.text(max_size=3),
    )
    | st.binary(max_size=20),
    max_size=30,
)


@given(lines, times, st.floats(0, 1e3), st.sampled_from(PHASES), st.integers(0, 20))
def test_the_sum_is_exact_in_every_order(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    started: float,
    used_s: float,
    default_phase: Phase,
    killed_early: int,
) -> None:
    text = b"\n".join(lines)
    events = tmp_path_factory.mktemp("ledger") / "events"
    events.write_bytes(text[: max(0, len(text) - killed_early)])
    ended = started + used_s
    spent = ledger(events, started, ended, default_phase)
    seconds = spent.by_phase.values()
    assert spent.total == ended - started
    assert all(value >= 0 for value in seconds)
    assert {sum(order) for order in permutations(seconds)} == {ended - started}


@given(st.lists(st.tuples(st.floats(0, 600), st.sampled_from(PHASES)), max_size=30), st.floats(0, 1e7))
def test_each_phase_gets_its_time_to_the_microsecond(
    tmp_path_factory: pytest.TempPathFactory, offsets: list[tuple[float, Phase]], started: float
) -> None:
    begins = sorted(((started + offset, phase) for offset, phase in offsets), key=lambda begin: begin[0])
    events = write_events(tmp_path_factory.mktemp("ledger") / "events", begins)
    ended = started + 600
    spent = ledger(events, started, ended).by_phase
    for phase in PHASES:
        # For each moment, the phase that began last: measured directly, phase by phase.
        alone = [
            (begins[i + 1][0] if i + 1 < len(begins) else ended) - time
            for i, (time, begun) in enumerate(begins)
            if begun == phase
        ]
        before_all = (begins[0][0] if begins else ended) - started if phase == "load" else 0.0
        assert math.isclose(spent[phase], sum(alone) + before_all, rel_tol=0, abs_tol=6e-6)
