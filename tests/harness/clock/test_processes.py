from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock.processes import (
    children,
    kill_descendants,
    kill_until,
    let_die_first,
    living_descendants,
    subreaper,
)
from tests.harness.clock.clocked import Scene, wait_until
from tests.harness.clock.escapes import ESCAPES


@pytest.fixture
def root(scene: Scene) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose only child lives on when its first thread has ended."""
    program = "import os, time\nif os.fork():\n    time.sleep(60)\n" + ESCAPES["main_thread_ends"]
    with subprocess.Popen([sys.executable, "-S", "-c", program], env=scene.env) as process:
        yield process
        kill_descendants(process.pid)
        process.kill()


def test_a_process_lives_as_long_as_one_of_its_threads(scene: Scene, root: subprocess.Popen[bytes]) -> None:
    scene.wait_for_stamps()
    (child,) = children(root.pid)
    stat = Path(f"/proc/{child}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", "the first thread goes on")
    assert living_descendants(root.pid) == [child]
    kill_descendants(root.pid)
    wait_until(lambda: living_descendants(root.pid) == [], "a descendant was missed")
    assert children(root.pid) == [child]  # dead, and not collected


def test_who_is_gone_has_no_children() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert children(gone.pid) == []
    assert living_descendants(gone.pid) == []
    kill_descendants(gone.pid)


def test_orphans_come_to_a_subreaper_and_only_inside() -> None:
    with subreaper():
        with subreaper():
            pass
        orphan = make_an_orphan()
        assert orphan in children(os.getpid())
        os.kill(orphan, signal.SIGKILL)
        os.waitpid(orphan, 0)
    orphan = make_an_orphan()
    assert orphan not in children(os.getpid()) or os.getpid() == 1
    os.kill(orphan, signal.SIGKILL)


def make_an_orphan() -> int:
    program = "import os, time\nif child := os.fork(): print(child)\nelse: os.close(1); os.close(2); time.sleep(60)"
    made = subprocess.run([sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True)
    return int(made.stdout)


def test_the_dying_run_before_ordinary_processes() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may ask for that")
    with subprocess.Popen(["sleep", "60"]) as process:
        let_die_first([process.pid])
        policy, nice = os.sched_getscheduler(process.pid), os.getpriority(os.PRIO_PROCESS, process.pid)
        process.kill()
    # In a control group that has no time for SCHED_FIFO it is the first of the ordinary ones.
    assert policy == os.SCHED_FIFO or nice == -20
    let_die_first([process.pid])  # it is gone


def test_killing_goes_on_until_it_is_over_with_ever_longer_pauses() -> None:
    pauses: list[float] = []
    strikes: list[float] = []

    def over(pause_s: float) -> bool:
        pauses.append(pause_s)
        return len(strikes) == 12

    assert kill_until(over, lambda: strikes.append(time.monotonic()))
    assert pauses[0] == 0 and pauses == sorted(pauses) and pauses[-1] == 0.05 and len(pauses) == 13


def test_nothing_is_struck_where_it_is_over_already() -> None:
    assert kill_until(lambda pause_s: True, lambda: pytest.fail("there is nothing to kill"))


def test_killing_is_given_up_in_time() -> None:
    strikes: list[int] = []
    assert not kill_until(lambda pause_s: False, lambda: strikes.append(1), time.monotonic() + 0.05)
    assert strikes
