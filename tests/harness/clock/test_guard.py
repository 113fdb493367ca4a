from __future__ import annotations

import ast
import os

from tests.harness.clock.clocked import Scene


def test_the_guard_runs_first_and_its_generator_does_not(scene: Scene) -> None:
    program = """
import ast
import os
told = [(os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid)) for pid in (os.getppid(), 0)]
print(told, flush=True)
"""
    scene.supervise(program, budget_s=20)
    ours = (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
    (guards_policy, _), generators = ast.literal_eval(scene.log.read_text())
    assert generators == ours
    if os.geteuid() == 0:
        assert guards_policy & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
