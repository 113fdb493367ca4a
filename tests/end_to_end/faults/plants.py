"""What is planted in a harness: a phase that tells that it is reached and takes its time, or that is interrupted."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.end_to_end.faults.harness_at_work import reached, slowed


def slow_to_read(folder: Path) -> None:
    import harness.run.ahead as module

    slowed(module, "load_split", folder)


def slow_to_count(folder: Path) -> None:
    import harness.run.collect as module

    slowed(module, "read_folder", folder)


def slow_to_audit(folder: Path) -> None:
    import harness.run.run as module

    slowed(module, "run_audits", folder)


def slow_from_the_third_step(folder: Path) -> None:
    """The real judge, which tells of its third step and waits a little, for a signal to come."""
    from evaluation.judge.checkpoint import Monitor

    after_steps = Monitor.after_steps

    def slow(self: Monitor, seed: int, steps_done: int, *rest: Any) -> None:
        after_steps(self, seed, steps_done, *rest)
        if steps_done == 3:
            reached(folder)
            time.sleep(0.2)

    Monitor.after_steps = slow  # type: ignore[method-assign]


def saves_each_step_and_dies_at_the_third(folder: Path) -> None:
    """As a harness does that is killed some steps after it has saved; saving takes its turn every four minutes."""
    from evaluation.judge import checkpoint

    checkpoint.SAVE_EVERY_S = 0.0
    slow_from_the_third_step(folder)


def quick_to_profile(folder: Path) -> None:
    import harness.planning.measure as module

    module.SUSTAINED_S, module.POINT_S, module.MAX_BATCH_SIZE = 0.1, 0.01, 2


def interrupted_while_reporting(folder: Path) -> None:
    import harness.run.run as module

    report_of = module.report_of

    def signalled(*arguments: Any) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return report_of(*arguments)

    module.report_of = signalled


def slow_to_report(folder: Path) -> None:
    import harness.run.run as module

    slowed(module, "report_of", folder)
