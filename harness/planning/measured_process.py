"""The process that is measured, and what its death means."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Literal

from evaluation.base.interruption import held_back
from harness.clock import processes
from harness.clock.launch import ROOT, inherited, with_compile_cache

MAX_ANSWER_S = 900.0
SIGKILL_IS_MEMORY = -signal.SIGKILL

Reason = Literal["out_of_memory", "crashed", "too_slow"]


class ProcessDied(Exception):  # noqa: N818 - it is an event, and expected
    """The process that is measured is gone."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


class MeasuredProcess:
    """The process that is measured."""

    def __init__(self, job: Path, data: Path | None, log: Path) -> None:
        self._log = log
        self.spawned = time.monotonic()
        with ExitStack() as undo:
            # held back: a KeyboardInterrupt that is raised in Python's hooks around a fork is lost
            with held_back(), log.open("ab") as errors:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "submission.worker.measure", str(job)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=ROOT,
                    env=with_compile_cache(inherited(os.environ, data), log.parent / "compiled"),
                    start_new_session=True,
                    preexec_fn=processes.die_with_parent,
                )
                undo.callback(self.end)
            self.startup = self._answer()
            undo.pop_all()

    def ask(self, **what: Any) -> dict[str, Any]:
        """Raises ProcessDied."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write((json.dumps(what) + "\n").encode())
            self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Kill it and all that it has started."""
        processes.kill_descendants(self._process.pid)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], MAX_ANSWER_S)[0]:
            self.end()
            raise ProcessDied("too_slow", f"no answer within {MAX_ANSWER_S:g} s")
        if line := self._process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        self.end()
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        detail = lines[-1] if lines and code > 0 else f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise ProcessDied("out_of_memory" if code == SIGKILL_IS_MEMORY else "crashed", detail)
