"""How fast this machine is at the parts of generating: measured in a process of its own, which then ends.

So the harness itself has no context on the card when the clock starts.

    python -m harness.cards.calibration cuda
"""

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from harness.clock.launch import ROOT
from harness.clock.processes import die_with_parent

TIMEOUT_S = 300.0
HOST_IMAGES = 64


@dataclass(frozen=True)
class Workload:
    """What is measured on one type of device.

    Attributes:
        warm_up_s: seconds, in which a card's clocks rise; then `measure_s` for each part.
        side: of the square matrices.
        convolution: images, channels and size; a 3 x 3 kernel, as in the middle of a diffusion model.
        dtypes: the fastest of them counts; many processors have no half-precision arithmetic.
    """

    warm_up_s: float
    measure_s: float
    side: int
    convolution: tuple[int, int, int]
    copied_bytes: int
    dtypes: tuple[torch.dtype, ...]


WORKLOADS = {
    "cuda": Workload(1.0, 1.0, 8192, (16, 320, 64), 2**30, (torch.float16, torch.bfloat16)),
    "cpu": Workload(0.2, 0.5, 1024, (32, 128, 16), 2**27, (torch.bfloat16, torch.float32)),
}


def calibrate(device: str) -> dict[str, float]:
    """The speed of each part by name, in the units of `harness.cards.other_card`.

    Raises ValueError where it cannot be measured.
    """
    command = [sys.executable, "-m", "harness.cards.calibration", device]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        preexec_fn=die_with_parent,
    )
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"this machine's speed cannot be measured ({why}); free the device or leave out --as")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def measure(device: str) -> dict[str, float]:
    """As `calibrate`, in this process."""
    return {
        "matmul": matmul_tflops(device),
        "convolution": convolution_tflops(device),
        "memory": memory_gbs(device),
        "host": host_images_per_s(),
    }


def matmul_tflops(device: str) -> float:
    """The product of two large square matrices."""
    load = _workload(device)

    def seconds(dtype: torch.dtype) -> float:
        a, b = (torch.randn(load.side, load.side, device=device).to(dtype) for _ in range(2))
        return best_seconds(lambda: a @ b, device)

    return 2 * load.side**3 / min(map(seconds, load.dtypes)) / 1e12


def convolution_tflops(device: str) -> float:
    """A 3 x 3 convolution with as many output as input channels."""
    load = _workload(device)
    images, channels, size = load.convolution

    def seconds(dtype: torch.dtype) -> float:
        x, kernel = (
            torch.randn(shape, device=device).to(dtype).to(memory_format=torch.channels_last)
            for shape in ((images, channels, size, size), (channels, channels, 3, 3))
        )
        return best_seconds(lambda: F.conv2d(x, kernel, padding=1), device)

    return 2 * images * size**2 * 9 * channels**2 / min(map(seconds, load.dtypes)) / 1e12


def memory_gbs(device: str) -> float:
    """A copy within the device's memory; each byte is read once and written once."""
    source = torch.ones(_workload(device).copied_bytes, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * len(source) / best_seconds(lambda: target.copy_(source), device) / 1e9


def host_images_per_s() -> float:
    """Small PNG files that one core encodes in a second."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)

    def encode() -> None:
        for _ in range(HOST_IMAGES):
            Image.fromarray(noise).save(io.BytesIO(), "PNG")

    return HOST_IMAGES / best_seconds(encode, "cpu")


def best_seconds(operation: Callable[[], object], device: str) -> float:
    """The shortest of as many calls as there is time for, after warming up; at least one."""
    load, best = _workload(device), float("inf")
    warm_at = time.perf_counter() + load.warm_up_s
    over_at = warm_at + load.measure_s
    while best == float("inf") or time.perf_counter() < over_at:
        began = time.perf_counter()
        operation()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        if began >= warm_at:
            best = min(best, time.perf_counter() - began)
    return best


def _workload(device: str) -> Workload:
    return WORKLOADS[torch.device(device).type]


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
