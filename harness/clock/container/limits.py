"""What a stranger's container may use, and how it is shut in."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from evaluation.base.limits import usable_cores
from evaluation.base.untrusted import MAX_SET_BYTES
from harness.clock.process_limit import most_processes

if TYPE_CHECKING:
    from harness.clock.container.engine import Image

OUTPUT = PurePosixPath("/output")  # all that it can write to and that is kept
TERMS = PurePosixPath("/submission")  # all that it can read beside its image
CLASSES = TERMS / "classes.json"  # names in label order
SCRATCH = PurePosixPath("/tmp")

NOBODY = "65534:65534"
_OUTPUT_FILES = 500_000
_MEMORY_SHARE = 5 / 8  # of the machine's
_OUTPUT_SHARE = 1 / 8
_HOLDER_BYTES = 64 << 20
# What the engine says of itself, where it may be unable to hold a limit (an engine without root, mostly).
_ABILITIES = {"MemoryLimit": "memory", "SwapLimit": "swap", "PidsLimit": "processes", "CpuCfsQuota": "cores"}


@dataclass(frozen=True)
class Limits:
    """What one container may use: bytes, cores, and how many processes and files.

    Attributes:
        memory_bytes: of its processes and scratch space; what it writes to the output folder lies in memory too, and
            comes on top. No swap.
        output_bytes, output_files: of the output folder.
        unheld: names of the limits that this engine cannot hold.
    """

    memory_bytes: int
    cores: int
    processes: int
    output_bytes: int
    output_files: int
    unheld: tuple[str, ...] = ()

    @classmethod
    def of_machine(cls, info: Mapping[str, Any]) -> Limits:
        """What a generator gets on the engine that describes itself as `info`."""
        memory = int(info["MemTotal"])
        return cls(
            memory_bytes=int(memory * _MEMORY_SHARE),
            cores=min(int(info["NCPU"]), usable_cores()),
            processes=most_processes(int(info["NCPU"])),
            output_bytes=min(MAX_SET_BYTES, int(memory * _OUTPUT_SHARE)),
            output_files=_OUTPUT_FILES,
            unheld=tuple(name for ability, name in _ABILITIES.items() if not info.get(ability, True)),
        )

    @classmethod
    def of_holder(cls) -> Limits:
        """What the container gets that only holds the volume."""
        return cls(memory_bytes=_HOLDER_BYTES, cores=1, processes=8, output_bytes=0, output_files=0)

    @property
    def volume_options(self) -> dict[str, str]:
        """The output volume: in memory, so that its limits hold whatever the disk can do."""
        # In blocks, since Podman takes `size` for a quota on a disk.
        blocks = self.output_bytes // mmap.PAGESIZE
        options = f"nr_blocks={blocks},nr_inodes={self.output_files},mode=1777"
        return {"type": "tmpfs", "device": "tmpfs", "o": options}


def restrictions(
    limits: Limits, image: Image, *, read_only: bool, init: bool, gpu: str | None = None
) -> dict[str, Any]:
    """The engine's options for a container that is shut in.

    No network, capability or way to more rights; nobody's user; a root file system that is not kept.

    Args:
        read_only: whether its root file system is.
        init: whether the engine puts a small init before its program, which reaps dead processes and passes signals on.
        gpu: the card that it gets, by the driver's number or name.
    """
    from docker.types import DeviceRequest, LogConfig, Ulimit

    scratch = f"rw,exec,nosuid,nodev,mode=1777,size={limits.memory_bytes}"
    # A path that the image declares as a volume would else become a folder on the engine's disk.
    spaces = {SCRATCH, *(PurePosixPath(path) for path in image.volumes)} - {OUTPUT, TERMS}
    devices = [DeviceRequest(device_ids=[gpu], capabilities=[["gpu"]])] if gpu is not None else None
    return {
        "cap_drop": ["ALL"],
        "device_requests": devices,
        "healthcheck": {"test": ["NONE"]},
        "hostname": "generator",
        "init": init,
        "ipc_mode": "private",
        "log_config": LogConfig(type="none"),  # the guard listens, and what it keeps is bounded
        "mem_limit": limits.memory_bytes + limits.output_bytes,
        "memswap_limit": limits.memory_bytes + limits.output_bytes,
        "nano_cpus": limits.cores * 10**9,
        "network_mode": "none",
        "oom_score_adj": 500,
        "pids_limit": limits.processes,
        "read_only": read_only,
        "security_opt": ["no-new-privileges"],
        "shm_size": limits.memory_bytes // 2,
        "tmpfs": {str(path): scratch for path in sorted(spaces)},
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "user": NOBODY,
    }
