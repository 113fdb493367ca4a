from __future__ import annotations

import io
import platform
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from harness.clock.container.holder import archive, holding_program

HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())


@pytest.mark.skipif(HERE is None, reason="a machine of neither architecture")
def test_the_holding_program_waits_without_work_until_it_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "hold"
    program.write_bytes(holding_program(str(HERE)))
    program.chmod(0o755)
    running = subprocess.Popen([program], env={})
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
        holding_program("riscv64")


def test_an_archive_can_be_read_and_executed_by_all() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive({"hold": b"abc"}))) as tar:
        entry = tar.getmember("hold")
        content = tar.extractfile(entry)
        assert content is not None and content.read() == b"abc" and entry.mode == 0o555
