"""What a node of a Ray cluster does: one step of a run, as a process of the harness, in a folder for now."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from harness.clock.processes import die_with_parent
from harness.compare.engines.folders import changed, listing, pack, unpack

ROOT = Path(__file__).resolve().parents[3]
_PACKAGES = ("evaluation", "submission", "harness")
# Ray interrupts the thread that a task runs in only between two lines of Python
_LOOK_EVERY_S = 0.2
# an interrupted run stops its generator and writes its record
_STOP_WITHIN_S = 20.0


@dataclass(frozen=True)
class Step:
    """One process of the harness: `python -m` these arguments, `--out` and the run's folder.

    Attributes:
        name: of the run's folder.
    """

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What a step left.

    Attributes:
        exit_code: negative where a signal killed it.
        output: what it printed.
        files: an archive of the files that it wrote or changed.
        gone: those that it removed.
        node: the name of the node.
        seconds: of all of it, packing included.
    """

    exit_code: int
    output: str
    files: bytes
    gone: tuple[str, ...]
    node: str
    seconds: float


def do_step(step: Step, archive: bytes | None, *parts: Result) -> Result:
    """Do a step on the run in `archive`, or on none yet, to which `parts` have added; the first of these that failed.

    A KeyboardInterrupt, which is how Ray cancels, ends the process as Ctrl-C would; its death ends with this process.
    """
    began = time.monotonic()
    for part in parts:
        if part.exit_code != 0:
            return replace(part, files=pack(Path(), ()), gone=())
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        run = Path(scratch) / step.name
        for packed in ([archive] if archive is not None else []) + [part.files for part in parts]:
            unpack(packed, run)
        before = listing(run)
        log = Path(scratch) / "log.txt"
        code = _harness([*step.arguments, "--out", str(run)], log)
        names, gone = changed(before, listing(run))
        output = log.read_text(encoding="utf-8", errors="replace")
        files = pack(run, names)
    return Result(code, output, files, tuple(gone), socket.gethostname(), time.monotonic() - began)


def _harness(arguments: list[str], log: Path) -> int:
    """Its exit code; what it prints goes to `log`."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=_as_if_started_by_hand,
        )
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(_LOOK_EVERY_S)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_STOP_WITHIN_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _environment() -> dict[str, str]:
    """This process's, without the number of threads where Ray has set that: as on this machine without Ray."""
    env = dict(os.environ)
    if b"\0OMP_NUM_THREADS=" not in b"\0" + Path("/proc/self/environ").read_bytes():
        env.pop("OMP_NUM_THREADS", None)
    return env


def _as_if_started_by_hand() -> None:
    """Ray blocks SIGINT in all that it starts; a generator that waits for it would wait in vain."""
    die_with_parent()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@dataclass(frozen=True)
class Installed:
    """What decides the numbers of a node: a hash of this project's code, and versions of Python and the packages."""

    code: str
    versions: tuple[str, ...]

    def __str__(self) -> str:
        return f"code {self.code}, {', '.join(self.versions)}"


@cache
def installed() -> Installed:
    """Of this node."""
    files = sorted(path for package in _PACKAGES for path in (ROOT / package).rglob("*.[pc][yp]*"))
    digest = sha256()
    for path in files:
        if path.suffix in (".py", ".cpp"):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    versions = (f"Python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in ("torch", "numpy")))
    return Installed(digest.hexdigest()[:12], versions)


@dataclass(frozen=True)
class NodeFacts:
    """A node before any work: what is installed, and which data sets it lacks."""

    installed: Installed
    missing: tuple[str, ...]


def look_at_node(datasets: tuple[str, ...], data: str | None) -> NodeFacts:
    """Of the node that this runs on; `data` is the folder of the real data sets there."""
    from evaluation.base.challenge import get_challenge
    from evaluation.data.datasets import is_at_hand

    folder = Path(data) if data else None
    there = folder is None or folder.is_dir()

    def has(name: str) -> bool:
        challenge = get_challenge(name)
        return there and is_at_hand(challenge, "train", folder) and is_at_hand(challenge, "test", folder)

    return NodeFacts(installed(), tuple(name for name in datasets if not has(name)))
