"""How fast this machine is at the parts of generating: measured in a process of its own, which then is gone.

So no context of the harness's stands on the card when the clock starts.

    python -m harness.calibration cuda          each part by itself, at its best: to compare with another machine
    python -m harness.calibration cuda now      as it is at the moment: to compare with itself a while ago
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parent.parent
# seconds of warming up, in which a card's clocks rise, and of measuring, for each part
WARM_UP_S = {"cuda": 1.0, "cpu": 0.2}
MEASURE_S = {"cuda": 1.0, "cpu": 0.5}
# of the speed at the moment; long enough that a hiccup of a second does not set the median
NOW_S = 2.0
TIMEOUT_S = 300.0
HOST_IMAGES = 64

# what is done, and its floating-point operations
Work = tuple[Callable[[], object], float]


def calibrate(device: str) -> dict[str, float]:
    """The parts' speeds by name, in the units of `harness.other_card`.

    Args:
        device: torch device name.

    Raises:
        ValueError: it cannot be measured; the sentence says why.
    """
    try:
        return _asked(device)
    except OSError as error:
        raise ValueError(
            f"this machine's speed cannot be measured ({error}); free the device or leave out --as"
        ) from None


def calibrate_now(device: str) -> float | None:
    """How fast this machine computes at the moment, with whatever else runs on it, TFLOP/s; None where nobody can say.

    Args:
        device: torch device name.
    """
    try:
        return _asked(device, "now")["now"]
    except OSError:
        return None


def measure(device: str) -> dict[str, float]:
    """As `calibrate`, in this process."""
    return {
        "matmul": matmul_tflops(device),
        "convolution": convolution_tflops(device),
        "memory": memory_gbs(device),
        "host": host_images_per_s(),
    }


def measure_now(device: str) -> float:
    """As `calibrate_now`, in this process: the median of many short measurements over `NOW_S`, a hiccup is passed over.

    A matrix product and a convolution in turn, in the first of the types that are tried, with all of PyTorch's threads.
    """
    dtype = _dtypes(device)[0]
    work = (_product(device, dtype), _convolution(device, dtype))

    def both() -> None:
        for operation, _ in work:
            operation()

    seconds = seconds_of_each(both, device, WARM_UP_S[_kind(device)], NOW_S)
    return sum(flop for _, flop in work) / median(seconds) / 1e12


def matmul_tflops(device: str) -> float:
    """The product of two large square matrices in half precision, or in what is faster on this processor."""
    return max(_best_tflops(_product(device, dtype), device) for dtype in _dtypes(device))


def convolution_tflops(device: str) -> float:
    """A 3 x 3 convolution of a diffusion model's middle: 320 channels at 64 x 64, on a processor 128 at 16 x 16."""
    return max(_best_tflops(_convolution(device, dtype), device) for dtype in _dtypes(device))


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
    return min(seconds_of_each(operation, device, WARM_UP_S[kind], MEASURE_S[kind]))


def seconds_of_each(operation: Callable[[], object], device: str, warm_up_s: float, measure_s: float) -> list[float]:
    """Seconds of each of as many calls as fit into `measure_s`, after warming up; at least one."""
    warm_at = time.perf_counter() + warm_up_s
    while time.perf_counter() < warm_at:
        operation()
        _synchronise(device)
    found: list[float] = []
    over_at = time.perf_counter() + measure_s
    while not found or time.perf_counter() < over_at:
        began = time.perf_counter()
        operation()
        _synchronise(device)
        found.append(time.perf_counter() - began)
    return found


def _asked(*arguments: str) -> dict[str, float]:
    """The answer of a process that measures. Raises OSError where there is none, with the reason it gave."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness.calibration", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"nothing was measured in {TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        raise OSError((done.stderr.strip().splitlines() or ["no word"])[-1])
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _product(device: str, dtype: torch.dtype) -> Work:
    import torch

    side = 8192 if _kind(device) == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return lambda: a @ b, 2.0 * side**3


def _convolution(device: str, dtype: torch.dtype) -> Work:
    import torch
    import torch.nn.functional as F

    images, channels, size = (16, 320, 64) if _kind(device) == "cuda" else (32, 128, 16)
    x, kernel = (
        torch.randn(shape, device=device).to(dtype).to(memory_format=torch.channels_last)
        for shape in ((images, channels, size, size), (channels, channels, 3, 3))
    )
    return lambda: F.conv2d(x, kernel, padding=1), 2.0 * images * size**2 * 9 * channels**2


def _best_tflops(work: Work, device: str) -> float:
    operation, flop = work
    return flop / best_seconds(operation, device) / 1e12


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
    asked_device, *asked_now = sys.argv[1:]
    print(json.dumps({"now": measure_now(asked_device)} if asked_now == ["now"] else measure(asked_device)))
