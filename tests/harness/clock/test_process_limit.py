"""A limit on the user's processes; that of a program under the clock is tested in `test_confinement.py`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from harness.clock.process_limit import count_processes
from tests.harness.clock.clocked import ROOT

FORKS_TEN_MORE = """
import os, time
from harness.clock.process_limit import count_processes, limit_user_processes
counted = count_processes()
limit_user_processes(counted + 10)
started = []
for _ in range(99):
    try:
        started.append(os.fork())
    except OSError:
        break
    if not started[-1]:
        time.sleep(60)
for each in started:
    os.kill(each, 9)
print(counted, len(started))
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can become another user")
def test_an_ordinary_users_processes_are_counted_and_limited_as_the_kernel_does() -> None:
    user = ["setpriv", "--reuid=54322", "--clear-groups"]
    others = [subprocess.Popen([*user, "sleep", "60"]) for _ in range(7)]
    try:
        # The interpreter and this code may lie where nobody else can read them.
        read = [f"--{which}=-all,+dac_read_search" for which in ("inh-caps", "ambient-caps", "bounding-set")]
        command = [*user, *read, sys.executable, "-c", FORKS_TEN_MORE]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert done.stdout.split() == ["8", "10"], "those, and the one that counts; and ten more"


def test_nobody_limits_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("this is not root")
    assert count_processes() is None
