"""The clock when the harness itself is killed, stopped or interrupted, from outside or by its generator."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from harness.clock.sandbox import Isolation
from tests.harness.clock.clocked import Scene, cgroups_left, harness_ending, harness_process, wait_until
from tests.harness.clock.escapes import ESCAPES


def test_killing_the_harness_kills_all(scene: Scene, isolation: Isolation) -> None:
    options = {"budget_s": 60, "isolation": isolation}
    with harness_process(scene, ESCAPES["double_fork_and_setsid"], options=options) as harness:
        scene.wait_for_stamps()
        harness.kill()
        harness.wait()
        scene.wait_until_nothing_is_left()
        scene.assert_silent_since(time.monotonic())
        wait_until(lambda: not cgroups_left(harness.pid), "the cgroup is left")


def test_killing_the_harness_kills_all_though_a_bystander_holds_its_pipes(scene: Scene) -> None:
    bystander = scene.folder / "bystander"
    options = {"budget_s": 60, "fork_a_bystander": True}
    with harness_process(scene, ESCAPES["writes"], options=options) as harness:
        scene.wait_for_stamps()
        wait_until(lambda: bystander.exists() and bystander.read_text() != "", "no bystander")
        try:
            harness.kill()
            scene.wait_until_nothing_is_left(but=frozenset({int(bystander.read_text())}))
        finally:
            os.kill(int(bystander.read_text()), signal.SIGKILL)


def test_a_generator_that_kills_the_harness_dies_of_it(scene: Scene, isolation: Isolation) -> None:
    options = {"budget_s": 60, "isolation": isolation}
    with harness_process(scene, ESCAPES["kills_the_harness"], options=options) as harness:
        assert harness.wait(60) == -signal.SIGKILL
        scene.wait_until_nothing_is_left()
        scene.assert_silent_since(time.monotonic())


def test_the_main_process_dies_even_of_both_deaths_at_once(scene: Scene) -> None:
    """Against a generator that kills the harness and the guard together this is all that is promised."""
    with harness_process(scene, ESCAPES["kills_harness_and_guard"], options={"budget_s": 60}) as harness:
        assert harness.wait(60) == -signal.SIGKILL
        scene.wait_until_nothing_is_left()
        for cgroup in cgroups_left(harness.pid):  # nobody is left to remove it
            cgroup.rmdir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_is_told_and_leaves_nothing(scene: Scene, number: signal.Signals, isolation: Isolation) -> None:
    """The signal goes to the harness's whole process group, as a terminal's Ctrl-C does."""
    program = f"import signal; signal.signal({int(number)}, lambda *_: print('reached', flush=True))\n"
    options = {"budget_s": 60, "isolation": isolation}
    with harness_process(scene, ESCAPES["double_fork_and_setsid"] + program, options=options) as harness:
        scene.wait_for_stamps()
        os.killpg(harness.pid, number)
        ending = harness_ending(harness)
    assert (ending["reason"], ending["killed_after_s"]) == ("interrupted", None)
    assert scene.log.read_text() == ""
    scene.assert_silent_since(ending["ended"])


def test_a_harness_under_nohup_lives_through_a_hangup(scene: Scene) -> None:
    with harness_process(scene, ESCAPES["writes"], prefix=("nohup",), options={"budget_s": 2}) as harness:
        scene.wait_for_stamps()
        os.killpg(harness.pid, signal.SIGHUP)
        assert harness_ending(harness)["reason"] == "deadline"


def test_the_deadline_holds_while_the_harness_is_stopped(scene: Scene, isolation: Isolation) -> None:
    options = {"budget_s": 1, "isolation": isolation}
    with harness_process(scene, ESCAPES["double_fork_and_setsid"], options=options) as harness:
        scene.wait_for_stamps()
        os.kill(harness.pid, signal.SIGSTOP)
        scene.wait_until_nothing_is_left(but=frozenset({harness.pid}))
        gone = time.monotonic()
        time.sleep(0.2)
        os.kill(harness.pid, signal.SIGCONT)
        ending = harness_ending(harness)
    assert ending["reason"] == "deadline"
    assert ending["ended"] <= gone
    scene.assert_silent_since(ending["ended"])


@pytest.mark.parametrize("escape", ["double_fork_and_setsid", "keeps_forking", "stops_its_guard", "kills_its_guard"])
def test_a_user_without_rights_holds_the_clock_too(scene: Scene, escape: str) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user, with setpriv; without root, all these tests run without rights")
    for folder in (scene.folder, scene.output):
        folder.chmod(0o777)
    # The one right that it keeps is to read, for the interpreter and this code may lie where nobody else can.
    read = (
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    )
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *read)
    with harness_process(scene, ESCAPES[escape], prefix=nobody, options={"budget_s": 0.6}) as harness:
        ending = harness_ending(harness)
    assert ending["reason"] == ("guard_lost" if escape == "kills_its_guard" else "deadline")
    assert ending["isolation"] == "process"
    scene.assert_silent_since(ending["ended"])
