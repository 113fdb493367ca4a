from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from harness.clock.container import programs
from harness.clock.container.programs import HOLD, LIST_CHANGES, archive
from tests.harness.clock.container.static_programs import HERE, needs_one_that_runs_here, written

COMPILED_BY = "12.2.0"


@needs_one_that_runs_here
def test_the_holding_program_waits_without_work_until_it_is_killed(tmp_path: Path) -> None:
    running = subprocess.Popen([written(HOLD, tmp_path)], env={})
    try:
        time.sleep(0.3)
        assert running.poll() is None
        fields = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
        assert fields[0] == "S" and int(fields[11]) + int(fields[12]) <= 2, "it sleeps"
    finally:
        running.kill()
        assert running.wait() == -9


def test_an_architecture_without_a_program_is_refused() -> None:
    with pytest.raises(ValueError, match="the image is for riscv64; only amd64 and arm64"):
        HOLD.for_architecture("riscv64")


@pytest.mark.parametrize("architecture", LIST_CHANGES.code)
def test_the_machine_code_is_what_its_source_compiles_to(architecture: str, tmp_path: Path) -> None:
    """The same bytes by the same compiler; another one's other bytes prove nothing."""
    prefix = "" if architecture == HERE else {"amd64": "x86_64", "arm64": "aarch64"}[architecture] + "-linux-gnu-"
    if not all(shutil.which(prefix + tool) for tool in ("gcc", "objcopy")):
        pytest.skip(f"no compiler for {architecture}")
    version = subprocess.check_output([prefix + "gcc", "-dumpfullversion"], text=True).strip()
    if version != COMPILED_BY:
        pytest.skip(f"compiled by GCC {COMPILED_BY}, not {version}")
    comment = Path(programs.__file__).read_text().partition("compiled by GCC")[2].partition("and taken out")[0]
    options = [word for word in comment.split() if word.startswith("-")]
    source = Path(programs.__file__).with_name("list_changes.c")
    linked, code = tmp_path / "linked", tmp_path / "code"
    subprocess.run([prefix + "gcc", *options, source, "-o", linked], check=True, capture_output=True)
    subprocess.run([prefix + "objcopy", "-O", "binary", "-j", ".text", linked, code], check=True)
    assert LIST_CHANGES.for_architecture(architecture).endswith(code.read_bytes())


def test_an_archive_can_be_read_and_executed_by_all() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive({"hold": b"abc"}))) as tar:
        entry = tar.getmember("hold")
        content = tar.extractfile(entry)
        assert content is not None and content.read() == b"abc" and entry.mode == 0o555
