"""How fast this machine is at the parts of generating: measured in a process of its own, which then is gone.

So no context of the harness's stands on the card when the clock starts.

    python -m harness.cards.calibration cuda
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[2]
# seconds of warming up, in which a card's clocks rise, and of measuring, for each part
WARM_UP_S = {"cuda": 1.0, "cpu": 0.2}
MEASURE_S = {"cuda": 1.0, "cpu": 0.5}
TIMEOUT_S = 300.0
HOST_IMAGES = 64


def calibrate(device: str) -> dict[str, float]:
    """The parts' speeds by name, in the units of `harness.cards.other_card`.

    Args:
        device: torch device name.

    Raises:
        ValueError: it cannot be measured; the sentence says why.
    """
    done = subprocess.run(
        [sys.executable, "-m", "harness.cards.calibration", device],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no word"])[-1]
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
    """The product of two large square matrices in half precision, or in what is faster on this processor."""
    import torch

    side = 8192 if _kind(device) == "cuda" else 1024

    def seconds(dtype: torch.dtype) -> float:
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        return best_seconds(lambda: a @ b, device)

    return 2 * side**3 / min(map(seconds, _dtypes(device))) / 1e12


def convolution_tflops(device: str) -> float:
    """A 3 x 3 convolution of a diffusion model's middle: 320 channels at 64 x 64, on a processor 128 at 16 x 16."""
    import torch
    import torch.nn.functional as F

    images, channels, size = (16, 320, 64) if _kind(device) == "cuda" else (32, 128, 16)

    def seconds(dtype: torch.dtype) -> float:
        x, kernel = (
            torch.randn(shape, device=device).to(dtype).to(memory_format=torch.channels_last)
            for shape in ((images, channels, size, size), (channels, channels, 3, 3))
        )
        return best_seconds(lambda: F.conv2d(x, kernel, padding=1), device)

    return 2 * images * size**2 * 9 * channels**2 / min(map(seconds, _dtypes(device))) / 1e12


def memory_gbs(device: str) -> float:
    """A copy within the device's memory; each byte is read once and written once."""
    import torch

    source = torch.ones(2**30 if _kind(device) == "cuda" else 2**27, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * len(source) / best_seconds(lambda: target.copy_(source), device) / 1e9


def host_images_per_s() -> float:
    """Small PNG files that one core encodes in a second."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)

    def encode() -> None:
        for _ in range(HOST_IMAGES):
            Image.fromarray(noise).save(io.BytesIO(), "PNG")

    return HOST_IMAGES / best_seconds(encode, "cpu")


def best_seconds(operation: Callable[[], object], device: str) -> float:
    """The shortest of as many calls as fit, after warming up; at least one."""
    kind = _kind(device)
    warm_at = time.perf_counter() + WARM_UP_S[kind]
    while time.perf_counter() < warm_at:
        operation()
        _synchronise(device)
    best, over_at = float("inf"), time.perf_counter() + MEASURE_S[kind]
    while best == float("inf") or time.perf_counter() < over_at:
        began = time.perf_counter()
        operation()
        _synchronise(device)
        best = min(best, time.perf_counter() - began)
    return best


def _dtypes(device: str) -> tuple[torch.dtype, ...]:
    """The types to try; many processors have no arithmetic in half precision."""
    import torch

    return (torch.float16, torch.bfloat16) if _kind(device) == "cuda" else (torch.bfloat16, torch.float32)


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _synchronise(device: str) -> None:
    if _kind(device) == "cuda":
        import torch

        torch.cuda.synchronize(device)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
