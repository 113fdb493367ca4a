"""What the tests of `--image` share: a stranger's program in a container under the clock, and what is left of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.clock.container import engine
from harness.clock.container.limits import CLASSES, OUTPUT, Limits
from harness.clock.container.output import Copied
from harness.clock.container.sandbox import supervise_container
from harness.clock.container.visitor import Visitor
from harness.clock.launch import Launch, Terms, container_environment
from harness.clock.supervisor import Clock, Ending

if TYPE_CHECKING:
    from docker import DockerClient

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "python:3.11-slim-bookworm"
CLASS_NAMES = ("zero", "one", "two")
SMALL = {"memory_bytes": 128 << 20, "output_bytes": 8 << 20, "output_files": 1000, "processes": 64}

# Appends the time to files in /output about every millisecond, to a new one about every 20.
WRITES = """
import os, time
def write(name):
    for number in range(10**9):
        with open(f"/output/{name}-{number}", "w", buffering=1) as file:
            for _ in range(20):
                file.write(f"{time.monotonic()}\\n")
                time.sleep(0.001)
"""


@dataclass
class Scene:
    """One engine, and a folder for what comes out of a container."""

    folder: Path
    client: DockerClient = field(default_factory=engine.connect)
    limits: dict[str, int] = field(default_factory=lambda: dict(SMALL))

    def __post_init__(self) -> None:
        self.output.mkdir()
        self.folder.chmod(0o777)
        self.output.chmod(0o777)

    @property
    def output(self) -> Path:
        return self.folder / "images"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @cached_property
    def visitor(self) -> Visitor:
        limits = replace(Limits.of_machine(self.client.info()), **self.limits)
        return Visitor(self.client, engine.find_image(self.client, BASE_IMAGE), limits, None, CLASS_NAMES)

    def launch(self, command: list[str], clock: Clock) -> Launch:
        terms = Terms(Path(OUTPUT), "digits", clock.deadline - clock.started, 5, Path(CLASSES))
        return Launch(command, container_environment(terms, clock.deadline), self.folder)

    def run(self, command: list[str], **options: Any) -> tuple[Ending, Copied]:
        told = {"budget_s": 2.0, "output": self.output, "log": self.log, **options}
        visitor = told.pop("visitor", self.visitor)
        return supervise_container(visitor, lambda clock: self.launch(command, clock), **told)

    def supervise(self, program: str, **options: Any) -> tuple[Ending, Copied]:
        """Run a Python program in a container, a minute at most unless it is to be killed earlier."""
        return self.run(["python", "-S", "-c", program], **options)

    def stamps(self) -> list[float]:
        """The times that the program wrote down, whole lines only."""
        texts = [file.read_text() for file in self.output.iterdir()]
        return [float(line) for text in texts for line in text.split("\n")[:-1]]

    def owned(self, harness: int | None = None) -> list[str]:
        """The names of what a harness, by default this process, has on the engine."""
        ours = f"/{harness or os.getpid()}+"
        mine = {"label": engine.RUN_LABEL}
        containers = self.client.containers.list(all=True, filters=mine, ignore_removed=True)
        volumes = self.client.volumes.list(filters=mine)
        named = [(each.name, each.labels) for each in containers] + [
            (each.name, each.attrs["Labels"]) for each in volumes
        ]
        return [name for name, labels in named if ours in labels[engine.HARNESS_LABEL]]

    def running(self, harness: int) -> list[str]:
        """The names of a harness's running containers, its holder included."""
        mine = {"label": engine.RUN_LABEL}
        found = self.client.containers.list(filters=mine, ignore_removed=True)
        return [each.name for each in found if f"/{harness}+" in each.labels[engine.HARNESS_LABEL]]


@contextmanager
def harness_process(
    scene: Scene,
    program: str,
    budget_s: float = 60.0,
    prefix: tuple[str, ...] = (),
    limits: Mapping[str, int] | None = None,
    **popen: Any,
) -> Iterator[subprocess.Popen[str]]:
    """A harness in a process and a session of its own that runs a container; it prints how that ended as JSON."""
    order = json.dumps({"program": program, "folder": str(scene.folder), "budget_s": budget_s, "limits": limits or {}})
    command = [*prefix, sys.executable, "-m", "tests.docker.visiting_process", order]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **popen
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def nobody() -> tuple[str, ...] | None:
    """A prefix that runs a command as a user who may use the engine and has no right but to read; None without one."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return None
    read = "dac_read_search"  # the interpreter and this code may lie where nobody else can read them
    rights = (f"--inh-caps=-all,+{read}", f"--ambient-caps=+{read}", f"--bounding-set=-all,+{read}")
    return ("setpriv", "--reuid=65534", "--regid=0", "--clear-groups", *rights)
