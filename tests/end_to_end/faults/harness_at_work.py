"""The harness as a process that a test can stop, interrupt and kill at a chosen moment."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.report.console import Voice
from harness.run.options import RunOptions
from harness.run.run import Finished, run
from tests.end_to_end.harness_process import marked
from tests.forked import Plant, forked

PATIENCE_S = 60.0

ESCAPES = Path(__file__).parents[1] / "escapes"
PAINTS = shlex.join([sys.executable, str(ESCAPES / "never_stops.py")])
PAINTED = shlex.join([sys.executable, str(ESCAPES / "fills_memory.py"), "1"])  # ends well, with an image of each class
RUN = ("--dataset", "digits", "--out", "run")


class HarnessAtWork:
    """`python -m harness` or another of the project's commands, in a session of its own.

    Args:
        folder: for its output and for what is planted.
        arguments: of the command.
        plant: called in the new process before the command; it can slow a phase down and tell that it is `reached`.
        module: whose command it is.
    """

    def __init__(
        self,
        folder: Path,
        arguments: list[str],
        plant: Plant | None = None,
        module: str = "harness",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        changes = {"TEST_MARK": str(folder), "NO_COLOR": "1", "XDG_CACHE_HOME": str(folder / "cache")}
        self._process = forked(
            module,
            arguments,
            folder=folder,
            environment=os.environ | changes,
            output=folder / "printed.txt",
            plant=plant,
        )

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def printed(self) -> str:
        return (self.folder / "printed.txt").read_text()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Until it is so, or the command has ended."""
        give_up = time.monotonic() + PATIENCE_S
        while not condition():
            assert self._process.is_alive(), f"it ended before {what}: {self.printed}"
            assert time.monotonic() < give_up, f"{what} does not come: {self.printed}"
            time.sleep(0.01)

    def wait_until_reached(self) -> None:
        """Until what was planted says so."""
        self.wait_for((self.folder / "reached").exists, "the phase")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait for its end: its exit code, or minus the signal that killed it; none of its processes is left then."""
        self._process.join(PATIENCE_S)
        code = self._process.exitcode
        assert code is not None, f"it does not end: {self.printed}"
        give_up = time.monotonic() + PATIENCE_S
        while left := marked(str(self.folder)):
            assert time.monotonic() < give_up, f"left behind: {left}"
            time.sleep(0.01)
        return code

    def close(self) -> None:
        self._process.kill()
        self._process.join()


Start = Callable[..., HarnessAtWork]


def reached(folder: Path) -> None:
    """What a plant calls once the phase has begun."""
    (folder / "reached").touch()


def slowed(module: Any, name: str, folder: Path) -> None:
    """Let `module.name` tell that it is reached and then take ten minutes, as with a disk that hardly answers."""
    whole = getattr(module, name)

    def slow(*arguments: Any, **named: Any) -> Any:
        reached(folder)
        for _ in range(60_000):
            time.sleep(0.01)
        return whole(*arguments, **named)

    setattr(module, name, slow)


def record_of(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "record.json").read_text(encoding="utf-8"))
    return loaded


def resumed(output: Path, **judging: Any) -> Finished:
    """The run as `--resume` ends it, judged only where it says how."""
    how = judging or {"judged": False}
    return run(RunOptions("digits", resume=True, out=output, device="cpu", **how), Voice(), [])
