"""The clock with generators that behave: how a run ends, what is told of it, and what the generator is given."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.clock import supervisor
from harness.clock.launch import Launch
from harness.clock.processes import children
from harness.clock.sandbox import Isolation
from harness.clock.supervisor import Clock, supervise
from tests.harness.clock.clocked import Scene, cgroups_left, wait_until
from tests.harness.clock.escapes import ESCAPES


def test_a_generator_that_ends_by_itself(scene: Scene, isolation: Isolation) -> None:
    before = time.monotonic()
    ending = scene.supervise("print('hello')", budget_s=20, isolation=isolation)
    assert (ending.reason, ending.returncode, ending.killed_after_s) == ("exited", 0, None)
    assert (ending.stragglers, ending.out_of_memory, ending.isolation) == (0, False, isolation)
    assert before < ending.started < ending.ended < time.monotonic()
    assert ending.deadline == ending.started + 20
    assert abs((datetime.now(UTC) - ending.started_at).total_seconds()) < 60
    assert scene.log.read_text() == "hello\n"
    scene.assert_silent_since(ending.ended)
    assert cgroups_left() == []


@pytest.mark.parametrize(
    ("program", "returncode"),
    [
        ("import os; os._exit(3)", 3),
        ("raise SystemExit('no weights')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -11),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
)
def test_a_crash_is_told_by_its_code(scene: Scene, program: str, returncode: int) -> None:
    ending = scene.supervise(program, budget_s=20)
    assert (ending.reason, ending.returncode, ending.out_of_memory) == ("exited", returncode, False)


def test_the_deadline_kills(scene: Scene, isolation: Isolation) -> None:
    ending = scene.supervise(ESCAPES["writes"], budget_s=0.3, isolation=isolation)
    assert (ending.reason, ending.returncode, ending.stragglers) == ("deadline", -9, 0)
    assert ending.killed_after_s == ending.ended - ending.deadline > 0
    assert scene.stamps()
    scene.assert_silent_since(ending.ended)


def test_what_the_main_process_leaves_behind_is_killed_at_once_and_counted(scene: Scene, isolation: Isolation) -> None:
    ending = scene.supervise(ESCAPES["leaves_stragglers"], budget_s=60, isolation=isolation)
    assert (ending.reason, ending.returncode, ending.stragglers) == ("exited", 7, 3)
    assert ending.ended < ending.deadline - 20
    scene.assert_silent_since(ending.ended)


def test_grace_sends_a_sigterm_that_a_generator_can_use(scene: Scene) -> None:
    program = """
import os, signal, time
def stop(*_):
    print(time.monotonic(), flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
time.sleep(60)
"""
    ending = scene.supervise(program, budget_s=10, grace_s=9.5)
    assert (ending.reason, ending.returncode, ending.killed_after_s) == ("deadline", 0, None)
    assert ending.deadline - 9.5 <= float(scene.log.read_text()) <= ending.ended


def test_grace_ends_in_a_kill(scene: Scene, isolation: Isolation) -> None:
    program = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print(time.monotonic(), flush=True))
while True: time.sleep(60)
"""
    ending = scene.supervise(program, budget_s=0.8, grace_s=0.3, isolation=isolation)
    assert (ending.reason, ending.returncode) == ("deadline", -9)
    assert ending.killed_after_s is not None
    assert ending.deadline - 0.3 <= float(scene.log.read_text())


def test_ticks_tell_the_time_since_the_start(scene: Scene) -> None:
    ticks: list[float] = []
    ending = scene.supervise("import time; time.sleep(60)", budget_s=1.0, on_tick=ticks.append)
    assert ticks == sorted(ticks)
    assert 0 <= ticks[0] <= ticks[-1] <= ending.ended - ending.started
    assert 2 <= len(ticks) <= 5


def test_a_tick_that_hangs_does_not_stop_the_clock(scene: Scene, isolation: Isolation) -> None:
    def hang(elapsed_s: float) -> None:
        time.sleep(3)

    ending = scene.supervise(ESCAPES["writes"], budget_s=0.5, on_tick=hang, isolation=isolation)
    assert ending.reason == "deadline"
    assert ending.ended < ending.started + 3
    scene.assert_silent_since(ending.ended)


def test_a_tick_that_fails_leaves_nothing_behind(scene: Scene, isolation: Isolation) -> None:
    def fail(elapsed_s: float) -> None:
        scene.wait_for_stamps()
        raise LookupError("the progress bar broke")

    with pytest.raises(LookupError, match="progress bar"):
        scene.supervise(ESCAPES["double_fork_and_setsid"], budget_s=60, on_tick=fail, isolation=isolation)
    scene.assert_silent_since(time.monotonic())
    assert cgroups_left() == []


def test_prepare_is_told_the_clock_and_may_refuse(scene: Scene) -> None:
    clocks: list[Clock] = []

    def refuse(clock: Clock) -> Launch:
        clocks.append(clock)
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        supervise(refuse, budget_s=5, log=scene.log)
    assert clocks[0].deadline == clocks[0].started + 5
    assert scene.supervise("pass", budget_s=20).reason == "exited"
    assert cgroups_left() == []


@pytest.mark.parametrize("command", [["./no-such-program"], ["/"], ["true", "\0"]])
def test_a_program_that_cannot_be_started_is_one_sentence(
    scene: Scene, isolation: Isolation, command: list[str]
) -> None:
    with pytest.raises(ValueError, match="cannot be started"):
        supervise(
            lambda clock: Launch(command, scene.env, scene.folder), budget_s=5, log=scene.log, isolation=isolation
        )
    assert cgroups_left() == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"budget_s": 0}, "a number of seconds above 0"),
        ({"budget_s": float("nan")}, "a number of seconds above 0"),
        ({"budget_s": float("inf")}, "a number of seconds above 0"),
        ({"budget_s": 1, "grace_s": 1}, "shorter than the budget"),
        ({"budget_s": 1, "grace_s": -1}, "shorter than the budget"),
    ],
)
def test_times_that_make_no_sense_are_refused(scene: Scene, options: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        scene.supervise("pass", **options)


def test_one_generator_at_a_time(scene: Scene) -> None:
    refusals: list[str] = []

    def start_another(elapsed_s: float) -> None:
        with pytest.raises(ValueError, match="another generator") as refusal:
            scene.supervise("pass")
        refusals.append(str(refusal.value))

    ending = scene.supervise("import time; time.sleep(0.1)", budget_s=20, on_tick=start_another)
    assert ending.reason == "exited"
    assert refusals


def test_the_generator_gets_what_it_is_given_and_nothing_else(scene: Scene, isolation: Isolation) -> None:
    program = """
import json, os, resource, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "descriptors": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1],  # the last is the listing's own
    "stdin": sys.stdin.read(),
    "session": os.getsid(0) == os.getpid(),
    "group": os.getpgrp() == os.getpid(),
    "cwd": os.getcwd(),
    "env": dict(os.environ),
    "blocked": int(status["SigBlk"], 16),
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "oom_score_adj": open("/proc/self/oom_score_adj").read().strip(),
    "limits": [resource.getrlimit(limit) for limit in range(16)],
}))
"""
    with (scene.folder / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        scene.supervise(program, budget_s=30, isolation=isolation)
    got = json.loads(scene.log.read_text())
    assert got.pop("env") == scene.env
    assert got.pop("limits") == [list(resource.getrlimit(limit)) for limit in range(16)]
    assert got == {
        "descriptors": [0, 1, 2],
        "stdin": "",
        "session": True,
        "group": True,
        "cwd": str(scene.folder),
        "blocked": 0,
        "no_new_privileges": "1",
        "oom_score_adj": "1000",
    }


def test_the_log_is_appended_to_and_bounded(scene: Scene) -> None:
    scene.log.write_text("the harness said\n")
    program = """
import os
print("first words", flush=True)
for _ in range(400): os.write(2, b"x" * 65535 + b"\\n")
print("last words")
"""
    ending = scene.supervise(program, budget_s=60)
    assert (ending.reason, ending.returncode) == ("exited", 0)
    text = scene.log.read_text()
    assert text.startswith("the harness said\nfirst words\n")
    assert text.endswith("x\nlast words\n")
    assert "the harness cut 9,437" in text
    assert len(text) < (16 << 20) + 300


def test_a_full_disk_under_the_log_ends_nothing(scene: Scene) -> None:
    full = scene.folder / "full"
    full.symlink_to("/dev/full")
    ending = supervise(scene.launch("print('x' * 100_000)"), budget_s=30, log=full)
    assert (ending.reason, ending.returncode) == ("exited", 0)


def test_signals_are_handled_as_before_afterwards(scene: Scene) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    scene.supervise("pass", budget_s=20)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_it_works_outside_the_main_thread(scene: Scene) -> None:
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(scene.supervise, ESCAPES["double_fork_and_setsid"], budget_s=0.3).result()
    assert ending.reason == "deadline"
    scene.assert_silent_since(ending.ended)


def test_no_zombie_and_no_descriptor_is_left(scene: Scene, isolation: Isolation) -> None:
    scene.supervise("pass", budget_s=20, isolation=isolation)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    children_before = children(os.getpid())
    for _ in range(3):
        scene.supervise(ESCAPES["double_fork_and_setsid"], budget_s=0.2, isolation=isolation)
    assert children(os.getpid()) == children_before
    wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) == open_before, "descriptors are left open")


@pytest.mark.parametrize(
    ("program", "budget_s", "kills", "out_of_memory"),
    [
        ("raise SystemExit(1)", 20.0, 1, True),
        ("raise SystemExit(1)", 20.0, 0, False),
        ("pass", 20.0, 1, False),  # the kernel killed something else
        ("import time; time.sleep(60)", 0.3, 1, False),  # the clock killed it
    ],
)
def test_memory_is_blamed_where_a_failed_program_and_the_kernels_count_agree(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, program: str, budget_s: float, kills: int, out_of_memory: bool
) -> None:
    counts = iter([5, 5 + kills])
    monkeypatch.setattr(supervisor, "oom_kills", lambda: next(counts))
    assert scene.supervise(program, budget_s=budget_s).out_of_memory is out_of_memory
