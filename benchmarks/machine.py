"""The machine and versions that a measurement was taken on, without the machine's name or paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_PACKAGES = ("torch", "numpy", "scipy", "triton")


@dataclass(frozen=True)
class Machine:
    """What stands beside a result.

    Attributes:
        label: short, for file names: the GPU, or the processor and its cores.
        processor, cores, memory_gb: of the host; `cores` that this process may use.
        gpu, gpu_memory_gb: None without one.
        threads: PyTorch's.
        load: mean number of processes wanting a core in the minute before; more than `cores` means a busy machine.
        versions: of Python, the packages and, with a GPU, CUDA.
        commit: of this project; ends in `+` where files were changed since.
        command: as it was called.
        at: UTC.
    """

    label: str
    processor: str
    cores: int
    memory_gb: float
    gpu: str | None
    gpu_memory_gb: float | None
    threads: int
    load: float
    versions: dict[str, str]
    commit: str
    command: str
    at: str


def this_machine(device: str = "cpu") -> Machine:
    """The facts of this machine and process; the GPU's only where `device` is one."""
    processor, cores = _processor(), len(os.sched_getaffinity(0))
    on_gpu = torch.device(device).type == "cuda"
    gpu = torch.cuda.get_device_properties(device) if on_gpu else None
    return Machine(
        label=_label(gpu.name if gpu else f"{processor}-{cores}-core"),
        processor=processor,
        cores=cores,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        gpu=gpu.name if gpu else None,
        gpu_memory_gb=round(gpu.total_memory / 2**30, 1) if gpu else None,
        threads=torch.get_num_threads(),
        load=round(os.getloadavg()[0], 2),
        versions=_versions(),
        commit=_commit(),
        command=" ".join(["python", *_module_call(), *sys.argv[1:]]),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.machine()


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
    return versions


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _module_call() -> list[str]:
    """How the running script was named, without its folder."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    return ["-m", module.name] if module else [Path(sys.argv[0]).name]
