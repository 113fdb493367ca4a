"""What the tests of the clock share: starting a generator, and looking for what is left of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from harness.clock.launch import Launch
from harness.clock.supervisor import Clock, Ending, supervise

MARKER = "CLOCK_TEST_MARKER"
ROOT = Path(__file__).parents[3]


@dataclass
class Scene:
    """A folder for one generator to write into, and a marker in its environment to find its processes by."""

    folder: Path
    marker: str = field(default_factory=lambda: uuid4().hex)

    def __post_init__(self) -> None:
        self.output.mkdir()

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, MARKER: self.marker, "SUBMISSION_OUTPUT": str(self.output)}

    def launch(self, program: str) -> Callable[[Clock], Launch]:
        return lambda clock: Launch([sys.executable, "-S", "-c", program], self.env, self.folder)

    def supervise(self, program: str, **options: Any) -> Ending:
        return supervise(self.launch(program), **{"budget_s": 0.5, "log": self.log, **options})

    def survivors(self) -> list[int]:
        """Processes with our marker, the dead that wait to be collected excepted."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(MARKER) == self.marker and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
        return found

    def wait_until_nothing_is_left(self, but: frozenset[int] = frozenset()) -> None:
        wait_until(lambda: set(self.survivors()) <= but, "something is left of the generator")

    def stamps(self) -> list[float]:
        """The times that the generator wrote down, whole lines only."""
        texts = [file.read_text() for file in self.output.iterdir()]
        return [float(line) for text in texts for line in text.split("\n")[:-1]]

    def wait_for_stamps(self) -> None:
        wait_until(lambda: bool(self.stamps()), "the generator writes nothing")

    def assert_silent_since(self, ended: float) -> None:
        """Nothing lives, nothing was written after `ended`, and nothing is written now."""
        assert self.survivors() == []
        before = self.stamps()
        assert max(before, default=0.0) <= ended
        time.sleep(0.03)
        assert self.stamps() == before


@contextmanager
def harness_process(
    scene: Scene, program: str, *, prefix: tuple[str, ...] = (), options: Mapping[str, Any], **popen: Any
) -> Iterator[subprocess.Popen[str]]:
    """A harness in a process and a session of its own; it prints its Ending as JSON."""
    order = json.dumps({"program": program, "folder": str(scene.folder), "options": dict(options)})
    command = [*prefix, sys.executable, "-m", "tests.harness.clock.harness_process", order]
    process = subprocess.Popen(
        command, cwd=ROOT, env=scene.env, stdout=subprocess.PIPE, text=True, start_new_session=True, **popen
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def harness_ending(harness: subprocess.Popen[str]) -> dict[str, Any]:
    """What it printed when it was done."""
    told, _ = harness.communicate(timeout=60)
    ending: dict[str, Any] = json.loads(told)
    return ending


def wait_until(condition: Callable[[], bool], otherwise: str, patience_s: float = 20.0) -> None:
    give_up = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < give_up, otherwise
        time.sleep(0.01)


@cache
def can_make_cgroups() -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("/")
        try:
            supervise(
                lambda clock: Launch(["true"], dict(os.environ), Path("/")),
                budget_s=10,
                log=Path(os.devnull),
                isolation="cgroup",
            )
        except ValueError:
            return False
    return True


def cgroups_left(harness: int | None = None) -> list[Path]:
    """The control groups that the harness in this process, or in another, has left."""
    with open("/proc/self/mounts") as mounts:  # noqa: PTH123
        roots = [Path(line.split()[1]) for line in mounts if line.split()[2] in ("cgroup", "cgroup2")]
    ours = f"submission-{harness or os.getpid()}-"
    # os.walk passes over what other tests remove meanwhile
    return [Path(inside) for root in roots for inside, _, _ in os.walk(root) if Path(inside).name.startswith(ours)]
