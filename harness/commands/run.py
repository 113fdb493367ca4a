"""`run`, the main job; its options are `harness.run.options.RunOptions`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from evaluation.base.command_line import ExitCode
from harness.run.options import RunOptions

if TYPE_CHECKING:
    from harness.report.console import Voice


def run(options: RunOptions, voice: Voice) -> ExitCode:
    """Generate under the clock, audit, judge, record and report."""
    from harness.run.run import run as run_job

    finished = run_job(options, voice, ["python", "-m", "harness", *sys.argv[1:]])
    voice.finished(finished.record, finished.folder)
    return finished.exit_code
