"""The project's commands as processes of their own, without the seconds of importing that each would take.

A process is forked from one that has done what `tests/warm.py` says, once for all tests of a worker. From there on it
is `python -m MODULE`: its own arguments, folder, environment, session, output and exit code.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.warm"])

Plant = Callable[[Path], None]


def forked(
    module: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
    errors: Path | None = None,
    plant: Plant | None = None,
) -> BaseProcess:
    """Start `python -m MODULE ARGUMENTS` in `folder`, what it prints appended to files.

    Args:
        environment: all of it.
        errors: what it prints as errors; default: `output` as well.
        plant: called with `folder` in the new process before the command.
    """
    how = (module, list(arguments), folder, dict(environment), output, errors or output, plant)
    process = _forks.Process(target=_become, args=how, daemon=True)
    process.start()
    return process


def run_forked(
    module: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
) -> subprocess.CompletedProcess[str]:
    """The same, to its end; killed and raised as TimeoutError after `timeout` seconds."""
    with tempfile.TemporaryDirectory() as told:
        output, errors = Path(told, "output"), Path(told, "errors")
        process = forked(module, arguments, folder=folder, environment=environment, output=output, errors=errors)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"{module} {' '.join(arguments)} does not end: {errors.read_text()}")
        return subprocess.CompletedProcess(
            [module, *arguments], process.exitcode, output.read_text(), errors.read_text()
        )


def _become(
    module: str,
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    output: Path,
    errors: Path,
    plant: Plant | None,
) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = [str(folder), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    for descriptor, file in ((1, output), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    sys.argv = [module, *arguments]
    if plant:
        plant(folder)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
