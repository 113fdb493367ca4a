from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock.processes import children, living_descendants, strike, subreaper
from tests.harness.clock.clocked import Scene, wait_until
from tests.harness.clock.escapes import ESCAPES


@pytest.fixture
def root(scene: Scene) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose only child lives on when its first thread has ended."""
    program = "import os, time\nif os.fork():\n    time.sleep(60)\n" + ESCAPES["main_thread_ends"]
    with subprocess.Popen([sys.executable, "-S", "-c", program], env=scene.env) as process:
        yield process
        strike(process.pid)
        process.kill()


def test_a_process_lives_as_long_as_one_of_its_threads(scene: Scene, root: subprocess.Popen[bytes]) -> None:
    scene.wait_for_stamps()
    (child,) = children(root.pid)
    stat = Path(f"/proc/{child}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z", "the first thread goes on")
    assert living_descendants(root.pid) == [child]
    strike(root.pid)
    wait_until(lambda: living_descendants(root.pid) == [], "the strike failed")
    assert children(root.pid) == [child]  # dead, and not collected


def test_who_is_gone_has_no_children() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert children(gone.pid) == []
    assert living_descendants(gone.pid) == []
    strike(gone.pid)


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
