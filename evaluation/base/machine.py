"""The device to compute on; the machine and versions that a measurement was taken on, without its name or paths."""

import os
import platform
import subprocess
import sys
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from evaluation.base.card import order_cards, unused_card
from evaluation.base.challenge import folder_safe
from evaluation.base.container import container_kind
from evaluation.base.limits import total_memory, usable_cores
from evaluation.base.processor import processor_name

_PACKAGES = ("torch", "numpy", "scipy", "pillow", "safetensors", "scikit-learn", "triton")


def resolve_device(name: str) -> str:
    """`auto` as `cuda` where there is a GPU, else `cpu`, with a warning where PyTorch cannot use the GPU that is there.

    Raises ValueError for another name, or `cuda` without one.
    """
    if name.startswith("cuda:"):
        raise ValueError(
            f"--device takes auto, cpu or cuda, not {name!r}: choose a card with the environment variable"
            f" CUDA_VISIBLE_DEVICES={name.removeprefix('cuda:')}"
        )
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"--device takes auto, cpu or cuda, not {name!r}")
    if name == "cpu":
        return name
    order_cards()
    if torch.cuda.is_available():
        return "cuda"
    unused = unused_card(os.environ)
    if name == "cuda":
        raise ValueError(unused or "there is no CUDA device here; leave out --device or use --device cpu")
    if unused:
        warnings.warn(f"everything runs on the processor, slowly: {unused}", stacklevel=1)
    return "cpu"


@dataclass(frozen=True)
class Machine:
    """What stands beside a result.

    Attributes:
        label: short, for file names: the GPU, or the processor and its cores.
        processor: of the host.
        cores, memory_gb: that this process may use, by affinity and the limits of its container.
        threads: PyTorch's.
        gpu, gpu_memory_gb: None without one.
        container: what kind this runs in, None outside of one.
        load: mean number of processes wanting a core in the minute before; more than `cores` means a busy machine.
        versions: of Python, the packages and, with a GPU, CUDA.
        commit: of this project; ends in `+` where files were changed since; None where neither
            a checkout nor the image says.
        command: as it was called; of absolute paths their last part.
        at: UTC.
    """

    label: str
    processor: str
    cores: int
    memory_gb: float
    gpu: str | None
    gpu_memory_gb: float | None
    container: str | None
    threads: int
    load: float
    versions: dict[str, str]
    commit: str | None
    command: str
    at: str


def this_machine(device: str = "cpu") -> Machine:
    """The facts of this machine and process; the GPU's only where `device` is one."""
    processor, cores = processor_name(), usable_cores()
    gpu = torch.cuda.get_device_properties(device) if device.startswith("cuda") else None
    return Machine(
        label=folder_safe(gpu.name if gpu else f"{processor}-{cores}-core").replace("_", "-"),
        processor=processor,
        cores=cores,
        memory_gb=round(total_memory() / 2**30, 1),
        gpu=gpu.name if gpu else None,
        gpu_memory_gb=round(gpu.total_memory / 2**30, 1) if gpu else None,
        container=container_kind(),
        threads=torch.get_num_threads(),
        load=round(os.getloadavg()[0], 2),
        versions=versions(),
        commit=commit(),
        command=" ".join(["python", *_module_call(), *(Path(w).name if w[:1] == "/" else w for w in sys.argv[1:])]),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def versions() -> dict[str, str]:
    """Python, the packages that decide numbers and, with a GPU build, CUDA."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found


def commit() -> str | None:
    """The commit of this code, with `+` behind it where tracked files differ; else what its image was built from.

    None where neither is known. The image's is in SUBMISSION_COMMIT.
    """

    def git(*arguments: str) -> str:
        here = Path(__file__).parent
        told = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True, timeout=20)
        return told.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("SUBMISSION_COMMIT") or None


def _module_call() -> list[str]:
    """How the running script was named, without its folder."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    return ["-m", module.name.removesuffix(".__main__")] if module else [Path(sys.argv[0]).name]
