"""A stranger's container under the clock, on a real engine: how it ends, what it may do, and that nothing is left."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.clock.bounded_log import HEAD_BYTES, TAIL_BYTES
from harness.clock.container import engine
from tests.docker.visits import BASE_IMAGE, CLASS_NAMES, SMALL, WRITES, Scene, harness_process, nobody
from tests.harness.clock.clocked import wait_until

pytestmark = pytest.mark.docker

MANY = 100_000  # files, more than can be copied in a moment


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    assert scene.owned() == [], "something is left on the engine"
    scene.client.close()


# --- how it ends


def test_a_container_that_ends_by_itself(scene: Scene) -> None:
    program = """
import json, os, time
names = json.load(open(os.environ["SUBMISSION_CLASSES"]))
os.mkdir("/output/000")
open("/output/000/a.png", "w").write(" ".join(names))
print(time.monotonic(), os.environ["SUBMISSION_DEADLINE_MONOTONIC"], os.environ["SUBMISSION_BUDGET_SECONDS"])
"""
    ending, copied = scene.supervise(program, budget_s=60)
    assert (ending.reason, ending.returncode, ending.killed_after_s) == ("exited", 0, None)
    assert (ending.isolation, ending.out_of_memory) == ("container", False)
    assert (scene.output / "000" / "a.png").read_text() == " ".join(CLASS_NAMES) and copied.files == 1
    now, deadline, budget = map(float, scene.log.read_text().split())
    assert ending.started < now < ending.ended < ending.deadline
    assert (deadline, budget) == (ending.deadline, 60), "it is told its deadline, and on our clock"


@pytest.mark.parametrize(
    ("program", "returncode"), [("raise SystemExit('no weights')", 1), ("import os; os.kill(os.getpid(), 11)", -11)]
)
def test_a_crash_is_told_by_its_code(scene: Scene, program: str, returncode: int) -> None:
    ending, _ = scene.supervise(program, budget_s=60)
    assert (ending.reason, ending.returncode, ending.out_of_memory) == ("exited", returncode, False)


def test_a_program_that_is_not_there_is_told_in_the_log(scene: Scene) -> None:
    ending, _ = scene.run(["no-such-program"], budget_s=60)
    assert (ending.reason, ending.returncode) == ("exited", 127) and "no-such-program" in scene.log.read_text()


def test_a_container_that_cannot_be_started_is_one_sentence(scene: Scene) -> None:
    if "nvidia" in scene.client.info()["Runtimes"]:
        pytest.skip("this engine can give a card")
    with pytest.raises(ValueError, match=r"the container of python:.* cannot be started: .*gpu.*; check"):
        scene.supervise("pass", visitor=replace(scene.visitor, gpu="0"))


HOSTILE = {
    "ignores_signals": """
import signal
for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
write("main")
""",
    "double_fork_and_setsid": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        write("orphan")
    os._exit(0)
write("main")
""",
    "keeps_forking": """
def fork():
    try:
        return os.fork()
    except OSError:
        return None
while True:
    if fork() == 0:
        with open(f"/output/{os.getpid() % 700}", "a") as file:
            file.write(f"{time.monotonic()}\\n")
""",
    "stops_itself": """
if os.fork() == 0:
    write("child")
os.kill(os.getpid(), 19)
""",
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_outlives_the_deadline(scene: Scene, hostile: str) -> None:
    ending, copied = scene.supervise(WRITES + HOSTILE[hostile])
    assert (ending.reason, ending.returncode) == ("deadline", -9)
    assert ending.killed_after_s == ending.ended - ending.deadline > 0
    stamps = scene.stamps()
    assert max(stamps) > ending.started + 0.1
    assert max(stamps) <= ending.deadline, "what is late does not count"
    if hostile != "keeps_forking":  # which is often out of processes
        assert copied.late >= 1, "it was writing until the end"


@pytest.mark.parametrize("budget_s", [0.01, 0.1, 0.3])
def test_a_deadline_that_comes_while_the_engine_starts_it(scene: Scene, budget_s: float) -> None:
    ending, _ = scene.supervise(WRITES + HOSTILE["stops_itself"], budget_s=budget_s)
    assert ending.reason == "deadline" and ending.ended > ending.deadline
    assert max(scene.stamps(), default=0.0) <= ending.ended


def test_grace_sends_a_sigterm_that_a_container_can_use(scene: Scene) -> None:
    program = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(time.monotonic(), flush=True)))
time.sleep(60)
"""
    ending, _ = scene.supervise(program, budget_s=60, grace_s=57)
    assert (ending.reason, ending.returncode, ending.killed_after_s) == ("deadline", 0, None)
    assert ending.deadline - 57 <= float(scene.log.read_text()) <= ending.ended


# --- what it may do


def test_it_is_shut_in(scene: Scene) -> None:
    program = """
import json, os, socket
def writable(folder):
    try:
        open(f"{folder}/probe", "w").close()
        return True
    except OSError:
        return False
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
with open("/output/seen", "w") as file:
    json.dump({
        "ids": [os.getuid(), os.getgid(), os.getgroups()],
        "capabilities": int(status["CapBnd"], 16), "no new privileges": int(status["NoNewPrivs"]),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "writable": [top for top in "/ /etc /usr /submission /output /tmp /proc/sys /sys /root".split()
                     if writable(top)],
        "terms": os.listdir("/submission"),
        "environment": [name for name in os.environ if name.startswith("SUBMISSION") or name == "HOME"],
        "disks": sorted({line.split()[1] for line in open("/proc/mounts") if line.startswith("/dev/")}),
    }, file)
"""
    os.environ["SUBMISSION_DATA"], before = "/secret", os.environ.get("SUBMISSION_DATA")
    try:
        scene.supervise(program, budget_s=60)
    finally:
        os.environ.pop("SUBMISSION_DATA") if before is None else os.environ.update(SUBMISSION_DATA=before)
    seen = json.loads((scene.output / "seen").read_text())
    assert seen["ids"] == [65534, 65534, []] or seen["ids"] == [65534, 65534, [65534]]
    assert (seen["capabilities"], seen["no new privileges"], seen["interfaces"]) == (0, 1, ["lo"])
    assert seen["writable"] == ["/output", "/tmp"]
    assert seen["terms"] == ["classes.json"]
    assert set(seen["environment"]) == {"HOME"} | {
        f"SUBMISSION_{name}"
        for name in ("OUTPUT", "DATASET", "BUDGET_SECONDS", "DEADLINE_MONOTONIC", "SEED", "CLASSES")
    }
    # Names of host and servers, which the engine keeps on its disk, and the class names; no folder of the machine's.
    assert set(seen["disks"]) <= {
        "/etc/resolv.conf",
        "/etc/hostname",
        "/etc/hosts",
        "/submission",
        "/usr/sbin/docker-init",
        "/sbin/docker-init",
    }


def test_output_is_bounded_in_bytes_and_files(scene: Scene) -> None:
    program = """
import errno, os
def fill(what, write):
    try:
        for number in range(10**9):
            write(number)
    except OSError as error:
        print(what, errno.errorcode[error.errno], flush=True)
fill("files", lambda number: open(f"/output/{number}", "w").close())
with open("/output/0", "wb", buffering=0) as file:
    fill("bytes", lambda number: file.write(bytes(1 << 16)))
"""
    ending, copied = scene.supervise(program, budget_s=60)
    assert ending.returncode == 0 and scene.log.read_text().split() == ["files", "ENOSPC", "bytes", "ENOSPC"]
    assert SMALL["output_files"] // 2 < copied.files <= SMALL["output_files"]
    assert sum(file.stat().st_size for file in scene.output.iterdir()) <= SMALL["output_bytes"]


def test_memory_is_bounded_and_said_to_be_the_cause(scene: Scene) -> None:
    program = "open('/output/a', 'w').write('1.0\\n')\nheld = [b'x' * (1 << 24) for _ in range(10**6)]"
    ending, copied = scene.supervise(program, budget_s=60)
    assert (ending.reason, ending.out_of_memory, copied.files) == ("exited", True, 1)
    assert ending.returncode != 0


def test_processes_are_bounded(scene: Scene) -> None:
    program = """
import os, time
for number in range(10**6):
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        os._exit(print(number, flush=True) or 0)
"""
    ending, _ = scene.supervise(program, budget_s=60)
    assert (ending.reason, ending.returncode) == ("exited", 0)
    assert SMALL["processes"] // 2 < int(scene.log.read_text()) < SMALL["processes"]


def test_the_log_keeps_head_and_tail(scene: Scene) -> None:
    program = """
import os
os.write(1, b"the beginning\\n")
for _ in range(40):
    os.write(1, b"x" * (1 << 20))
os.write(1, b"the end\\n")
"""
    ending, _ = scene.supervise(program, budget_s=120)
    said = scene.log.read_bytes()
    assert ending.returncode == 0
    assert said.startswith(b"the beginning\n") and said.endswith(b"the end\n") and b"[the harness cut" in said
    assert len(said) < HEAD_BYTES + TAIL_BYTES + 1000


def test_volumes_that_the_image_declares_are_no_way_to_the_disk(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {BASE_IMAGE}\nVOLUME /data /output\nHEALTHCHECK CMD touch /output/bad\n"
    )
    image, _ = scene.client.images.build(path=str(tmp_path), tag="submission-test-volumes", rm=True)
    before = {volume.name for volume in scene.client.volumes.list()}
    try:
        visitor = replace(scene.visitor, image=engine.find_image(scene.client, "submission-test-volumes"))
        program = (
            "print(*[line.split()[2] for line in open('/proc/mounts') if line.split()[1] in ('/data', '/output')])"
        )
        ending, _ = scene.supervise(program, budget_s=60, visitor=visitor)
        assert ending.returncode == 0 and scene.log.read_text().split() == ["tmpfs", "tmpfs"]
        left = {volume.name for volume in scene.client.volumes.list()} - before
        assert not [name for name in left if not name.startswith("submission-")]
    finally:
        image.remove(force=True)


# --- the harness ends, or has no rights


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_kills_and_removes_it(scene: Scene, number: signal.Signals) -> None:
    with harness_process(scene, WRITES + HOSTILE["ignores_signals"]) as harness:
        wait_until(lambda: len(scene.running(harness.pid)) == 2, "the container does not run", 60)
        os.killpg(harness.pid, number)
        told, _ = harness.communicate(timeout=60)
        assert json.loads(told)["reason"] == "interrupted"
        assert scene.owned(harness.pid) == []


@pytest.mark.parametrize("rights", ["root", "nobody"])
def test_an_interruption_does_not_wait_for_many_files(scene: Scene, rights: str) -> None:
    if (prefix := () if rights == "root" else nobody()) is None:
        pytest.skip("only root can become another user, with setpriv")
    program = f"""
for number in range({MANY}):
    open(f"/output/{{number}}", "wb").write(bytes(2000))
print("made", flush=True)
time.sleep(600)
"""
    with harness_process(scene, "import time\n" + program, 600, prefix, limits={"output_files": 2 * MANY}) as harness:
        wait_until(lambda: scene.log.exists() and "made" in scene.log.read_text(), "it does not write", 120)
        os.killpg(harness.pid, signal.SIGTERM)
        told, problem = harness.communicate(timeout=60)
        assert told, problem
        copied = json.loads(told)["copied"]
        assert copied["cut_short"] and 0 < copied["files"] == len(list(scene.output.iterdir())) < MANY
        assert scene.owned(harness.pid) == []


def test_the_death_of_the_harness_kills_and_removes_it(scene: Scene) -> None:
    with harness_process(scene, WRITES + HOSTILE["double_fork_and_setsid"]) as harness:
        wait_until(lambda: len(scene.running(harness.pid)) == 2, "the container does not run", 60)
        harness.kill()
        wait_until(lambda: scene.owned(harness.pid) == [], "it is left on the engine", 60)


def test_the_next_run_removes_what_a_harness_left_that_was_killed_with_its_guard(scene: Scene) -> None:
    with harness_process(scene, WRITES + "write('main')") as harness:
        wait_until(lambda: len(scene.running(harness.pid)) == 2, "the container does not run", 60)
        guard = int(Path(f"/proc/{harness.pid}/task/{harness.pid}/children").read_text().split()[0])
        for pid in (harness.pid, guard):
            os.kill(pid, signal.SIGKILL)
        harness.wait()
        assert len(scene.running(harness.pid)) == 2, "nobody is left to remove it"
        assert engine.remove_leftovers(scene.client) >= 1
        assert scene.owned(harness.pid) == []


def test_the_deadline_holds_without_the_guard(scene: Scene) -> None:
    with harness_process(scene, WRITES + "write('main')", budget_s=20) as harness:
        wait_until(lambda: len(scene.running(harness.pid)) == 2, "the container does not run", 60)
        guard = int(Path(f"/proc/{harness.pid}/task/{harness.pid}/children").read_text().split()[0])
        os.kill(guard, signal.SIGKILL)
        told, problem = harness.communicate(timeout=60)
        assert json.loads(told)["reason"] == "guard_lost", problem
        assert scene.owned(harness.pid) == []


@pytest.mark.parametrize("hostile", ["double_fork_and_setsid", "keeps_forking"])
def test_a_user_without_rights_holds_the_clock_through_the_engine(scene: Scene, hostile: str) -> None:
    if (prefix := nobody()) is None:
        pytest.skip("only root can become another user, with setpriv; without root, all these tests run without rights")
    program = "open('/output/finished', 'w').write('1.0\\n')\n" + HOSTILE[hostile]
    with harness_process(scene, WRITES + program, budget_s=2.0, prefix=prefix) as harness:
        told, problem = harness.communicate(timeout=120)
        assert told, problem
        ending = json.loads(told)
        assert (ending["reason"], ending["returncode"]) == ("deadline", -9)
        assert (scene.output / "finished").exists()
        assert max(scene.stamps()) <= ending["deadline"], "what is late does not count"
        if hostile != "keeps_forking":  # which is often out of processes
            assert ending["copied"]["late"] >= 1, "it was writing until the end"
        time.sleep(0.1)
        assert scene.owned(harness.pid) == []
