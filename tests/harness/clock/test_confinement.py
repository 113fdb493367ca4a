"""What a confined program is kept from, and that it ends as any other does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evaluation.base.limits import usable_cores
from harness.clock.cgroup import limit_processes
from harness.clock.process_limit import most_processes
from harness.clock.sandbox import Isolation
from harness.clock.supervisor import Ending, supervise
from tests.harness.clock.clocked import Scene, cgroups_left, harness_ending, harness_process
from tests.harness.clock.escapes import ESCAPES

ALL = {"network", "processes", "data"}


@cache
def can_confine() -> bool:
    done = subprocess.run(
        ["unshare", "--user", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"], check=False
    )
    return done.returncode == 0


@pytest.fixture(autouse=True)
def namespaces() -> None:
    if not can_confine():
        pytest.skip("no namespaces can be made on this machine")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "test.bin").write_text("the answers")
    return folder


def seen(scene: Scene, program: str, hidden: list[Path]) -> tuple[Ending, dict[str, Any]]:
    """What a confined program that prints JSON says."""
    ending = scene.supervise("import json, os, sys\n" + program, budget_s=30, hidden=hidden)
    assert (ending.reason, ending.returncode) == ("exited", 0), scene.log.read_text()
    told: dict[str, Any] = json.loads(scene.log.read_text())
    return ending, told


def test_it_sees_neither_the_data_nor_other_processes_nor_a_network(scene: Scene, secret: Path) -> None:
    file = scene.folder / "alone.bin"
    file.write_text("more answers")
    program = f"""
import socket
def reachable(address):
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return False
    return True
own = socket.create_server(("127.0.0.1", 0))
print(json.dumps({{
    "folder": os.listdir({str(secret)!r}),
    "file": open({str(file)!r}).read(),
    "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "itself": reachable(own.getsockname()),
    "others": reachable(("192.0.2.1", 80)),
    "user": os.getuid(),
}}))
"""
    ending, told = seen(scene, program, [secret, file])
    assert set(ending.confined or ()) - {"process_limit"} == ALL
    assert told == {
        "folder": [],
        "file": "",
        "processes": ["1", "2"],
        "interfaces": ["lo"],
        "itself": True,
        "others": False,
        "user": os.getuid(),
    }
    assert (secret / "test.bin").read_text() == "the answers" and file.read_text() == "more answers"


def test_what_is_hidden_cannot_be_brought_back(scene: Scene, secret: Path) -> None:
    program = f"""
import subprocess
for attempt in (
    ["umount", {str(secret)!r}],
    ["umount", "-l", {str(secret)!r}],
    ["unshare", "--mount", "umount", {str(secret)!r}],
    ["nsenter", "-t", "1", "-m", "cat", {str(secret / "test.bin")!r}],
    ["mount", "-t", "tmpfs", "none", {str(secret)!r}],
):
    subprocess.run(attempt, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(json.dumps({{"folder": os.listdir({str(secret)!r}), "root": os.path.exists("/proc/1/root{secret}/test.bin")}}))
"""
    _, told = seen(scene, program, [secret])
    assert told == {"folder": [], "root": False}


def test_it_writes_as_the_user_that_it_is(scene: Scene) -> None:
    ending = scene.supervise("import os; open(os.environ['SUBMISSION_OUTPUT'] + '/a', 'w')", budget_s=30, hidden=[])
    assert ending.returncode == 0
    written = (scene.output / "a").stat()
    assert (written.st_uid, written.st_gid) == (os.getuid(), os.getgid())


@pytest.mark.parametrize(
    ("program", "returncode"),
    [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 11)", -11), ("pass", 0)],
)
def test_how_it_ended_is_told(scene: Scene, program: str, returncode: int, isolation: Isolation) -> None:
    ending = scene.supervise(program, budget_s=30, hidden=[], isolation=isolation)
    assert (ending.reason, ending.returncode, ending.isolation) == ("exited", returncode, isolation)
    assert ending.stragglers == 0 and cgroups_left() == []


def test_what_it_leaves_behind_is_counted_and_killed(scene: Scene, isolation: Isolation) -> None:
    ending = scene.supervise(ESCAPES["leaves_stragglers"], budget_s=60, hidden=[], isolation=isolation)
    assert (ending.reason, ending.returncode, ending.stragglers) == ("exited", 7, 3)
    scene.assert_silent_since(ending.ended)


def test_the_grace_signal_reaches_it(scene: Scene) -> None:
    program = "import signal, time\nsignal.signal(15, lambda *_: print('warned', flush=True))\nwhile 1: time.sleep(1)"
    ending = scene.supervise(program, budget_s=2, grace_s=1.5, hidden=[])
    assert ending.reason == "deadline" and scene.log.read_text() == "warned\n"


def test_a_program_that_is_not_there_is_told(scene: Scene) -> None:
    launch = scene.launch("pass")
    with pytest.raises(ValueError, match=r"cannot be started.*no-such-program"):
        supervise(
            lambda clock: replace(launch(clock), command=["/no-such-program"]), budget_s=9, log=scene.log, hidden=[]
        )
    assert scene.survivors() == [] and cgroups_left() == []


@pytest.mark.parametrize(
    "escape",
    ["ignores_signals", "double_fork_and_setsid", "keeps_forking", "fork_storm", "stops_itself", "fills_its_log"],
)
def test_nothing_outlives_the_deadline(scene: Scene, escape: str, isolation: Isolation) -> None:
    ending = scene.supervise(ESCAPES[escape], hidden=[], isolation=isolation)
    assert (ending.reason, ending.isolation) == ("deadline", isolation)
    assert scene.stamps()
    scene.assert_silent_since(ending.ended)
    assert cgroups_left() == []


FORKS_WHILE_IT_CAN = """
import os, time
number = 0
while True:
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        os._exit(print(number, flush=True) or 0)
    number += 1
"""


def test_a_fork_bomb_is_small(scene: Scene, isolation: Isolation) -> None:
    if os.geteuid() == 0 and not can_limit():
        pytest.skip("the kernel limits root only by control groups, and none can be made here")
    most = most_processes(usable_cores())
    ending = scene.supervise(FORKS_WHILE_IT_CAN, budget_s=60, hidden=[], isolation=isolation)
    assert (ending.reason, ending.returncode) == ("exited", 0) and "process_limit" in (ending.confined or ())
    assert most // 2 < int(scene.log.read_text()) == ending.stragglers < most
    assert cgroups_left() == []


def can_limit() -> bool:
    group = limit_processes(None, 100)
    if group:
        group.remove()
    return group is not None


def test_it_cannot_signal_guard_or_harness(scene: Scene) -> None:
    program = f"""
import os, signal
for pid in (1, {os.getpid()}):
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        try: os.kill(pid, number)
        except OSError: pass
try: os.kill(-1, signal.SIGKILL)
except OSError: pass
"""
    ending = scene.supervise(program + ESCAPES["writes"], hidden=[])
    assert ending.reason == "deadline" and scene.stamps()


def test_killing_the_harness_kills_it(scene: Scene, secret: Path) -> None:
    options = {"budget_s": 60, "hidden": [str(secret)]}
    with harness_process(scene, ESCAPES["double_fork_and_setsid"], options=options) as harness:
        scene.wait_for_stamps()
        harness.send_signal(signal.SIGKILL)
        harness.wait()
        scene.wait_until_nothing_is_left()


def test_where_nothing_can_be_had_it_runs_all_the_same(scene: Scene) -> None:
    """As in a container: root, but without the right to make namespaces."""
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-sys_admin "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh")
    with harness_process(scene, "print('ran')", prefix=prefix, options={"budget_s": 60, "hidden": []}) as harness:
        ending = harness_ending(harness)
    assert (ending["reason"], ending["returncode"]) == ("exited", 0)
    assert set(ending["confined"] or ()) <= {"process_limit"}
    assert scene.log.read_text() == "ran\n"
