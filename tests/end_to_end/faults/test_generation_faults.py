"""Generators that hang, crash, multiply, kill and leave rubbish: what the run makes of each."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.end_to_end.faults.harness_at_work import HarnessAtWork, record_of
from tests.end_to_end.faults.matrix import Fault, Row, check, check_next, proves, run_with
from tests.harness.clock.test_escapes import own_folder

ALL_IMAGES = "all whole images"
SHORT = {"budget_s": 1.5}

FAULTS = [
    Fault("hangs before its first image", "no_images", "record and report", 3, 0, "hang_at_start", SHORT),
    Fault("hangs halfway", "deadline_truncated", ALL_IMAGES, program="hang_halfway", options=SHORT),
    Fault("hangs at exit", "deadline_truncated", ALL_IMAGES, program="hang_at_exit", options=SHORT, slow=True),
    Fault("raises an error", "crashed", ALL_IMAGES, program="raise_an_error"),
    Fault("dies of a segmentation fault", "crashed", ALL_IMAGES, program="segfault", slow=True),
    Fault("ends without an image", "no_images", "record and report", 3, 0, "end_without_images", slow=True),
    Fault("prints for ever", "deadline_truncated", ALL_IMAGES, program="print_for_ever", options=SHORT, slow=True),
    Fault("is a fork bomb", "deadline_truncated", ALL_IMAGES, program="fork_bomb", options=SHORT),
    Fault("stops itself", "deadline_truncated", ALL_IMAGES, program="stop_itself", options=SHORT, slow=True),
    Fault(
        "ignores the SIGTERM of `--grace`",
        "deadline_truncated",
        ALL_IMAGES,
        program="ignore_the_warning",
        options={**SHORT, "grace_s": 0.5},
        slow=True,
    ),
    Fault(
        "leaves a process behind that writes on",
        "ok",
        "what was whole when it ended",
        more=True,
        program="leave_a_writer_behind",
    ),
    Fault("leaves a deaf service behind", "ok", ALL_IMAGES, program="start_a_service", slow=True),
    Fault("kills its parent", "deadline_truncated", ALL_IMAGES, program="kill_its_parent", options=SHORT),
    Fault("kills all that it can see", "deadline_truncated", ALL_IMAGES, program="kill_everything", options=SHORT),
    Fault(
        "kills its parent, trusted with `--trust`",
        "crashed",
        ALL_IMAGES,
        program="kill_its_parent",
        options={"trust": True},
        slow=True,
    ),
    Fault("opens files until it may not", "crashed", ALL_IMAGES, program="no_more_descriptors", slow=True),
]


def command_of(program: str) -> str:
    return shlex.join([sys.executable, str(Path(__file__).with_name("faulty.py")), program])


@pytest.mark.parametrize("fault", [fault.case for fault in FAULTS])
def test_it_ends_as_the_page_says(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"budget_s": 60.0, **fault.options}
    finished = run_with(tmp_path / "run", monkeypatch, command=command_of(fault.program), **options)
    check(finished, fault)
    check_next(tmp_path / "next", monkeypatch, command_of("paint_each_class"))


def with_little_memory(folder: Path) -> None:
    """Put the harness, and with it all that it starts, into a control group with 1 GB."""
    group = small_group(folder)
    limit = group / ("memory.limit_in_bytes" if own_folder("memory") else "memory.max")
    limit.write_text(str(1 << 30))
    (group / "cgroup.procs").write_text(str(os.getpid()))


def small_group(folder: Path) -> Path:
    return (own_folder("memory") or own_folder("") or Path("/nowhere")) / f"small-{folder.parent.name}"


@pytest.mark.slow
@proves(Row("takes all memory there is", "`out_of_memory`", "all whole images; the harness lives"))
def test_memory_runs_out_for_the_generator_alone(tmp_path: Path) -> None:
    group = small_group(tmp_path / "work")
    try:
        group.mkdir()
    except OSError:
        pytest.skip("memory cannot be limited on this machine")
    arguments = ["--dataset", "digits", "--command", command_of("take_all_memory"), "--no-judge", "--out", "run"]
    harness = HarnessAtWork(tmp_path / "work", arguments, plant=with_little_memory)
    try:
        assert harness.ended() == 0
    finally:
        harness.close()
        group.rmdir()
    record = record_of(tmp_path / "work" / "run")
    assert (record["outcome"], record["images"]) == ("out_of_memory", 10)
