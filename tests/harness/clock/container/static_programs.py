"""Running the programs for containers on this machine, without a container."""

import platform
from pathlib import Path

import pytest

from harness.clock.container.programs import Program

HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
needs_one_that_runs_here = pytest.mark.skipif(HERE is None, reason="a machine of neither architecture")


def written(program: Program, folder: Path) -> Path:
    """The program's file in `folder`, which can be run."""
    file = folder / program.name
    file.write_bytes(program.for_architecture(str(HERE)))
    file.chmod(0o755)
    return file
