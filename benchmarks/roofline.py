"""What a step of the judge's network must compute and move, and the most that this machine can do of either."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from evaluation.base.processor import has_bfloat16_instructions
from evaluation.judge.convnet import DEPTH, WIDTH
from evaluation.judge.cpp_kernels.winograd import TILE, build_winograd


@dataclass(frozen=True)
class Cost:
    """The least that one image takes.

    Attributes:
        flop: floating-point operations of the convolutions and the linear layer, a multiply-add as two.
        bytes: to and from memory, if each operation (a convolution's forward pass and each of its gradients; fused
            norm, ReLU and pool forward and backward) reads its inputs and writes its outputs once.
    """

    flop: float
    bytes: float


def training_cost(size: int, classes: int, arithmetic: str) -> Cost:
    """Training the judge's network on one image of size x size."""
    return _cost(size, classes, arithmetic, of_weights=True, of_images=False)


def image_gradient_cost(size: int, classes: int, arithmetic: str) -> Cost:
    """The gradient of a loss for one image, the network's weights fixed: what a step of `distilled` takes of each."""
    return _cost(size, classes, arithmetic, of_weights=False, of_images=True)


def _cost(size: int, classes: int, arithmetic: str, of_weights: bool, of_images: bool) -> Cost:
    """Forward, and backward to the gradients asked for; those between the layers are needed for either."""
    flop, elements, channels = 0.0, 0.0, 3
    for depth in range(DEPTH):
        side = size >> depth
        pixels = side**2
        inputs, outputs, pooled = channels * pixels, WIDTH * pixels, WIDTH * pixels // 4
        products = 1 + of_weights + (depth > 0 or of_images)  # forward, then each gradient
        by_winograd = arithmetic == WINOGRAD and channels == WIDTH and side % TILE == 0
        taps = (TILE + 2) ** 2 / TILE**2 if by_winograd else 9  # products for each pixel and pair of channels
        flop += products * 2.0 * pixels * taps * channels * WIDTH
        elements += products * (inputs + outputs)
        elements += outputs + pooled  # norm, ReLU and pool
        elements += pooled + outputs + outputs  # their backward: two in, one out
        channels = WIDTH
    flop += (2 + of_weights) * 2.0 * WIDTH * (size >> DEPTH) ** 2 * classes
    return Cost(flop, elements * element_bytes(arithmetic))


@dataclass(frozen=True)
class Fraction:
    """A speed as fractions of the machine's ceilings; `roofline` is the larger, of the ceiling that binds."""

    arithmetic: float
    memory: float
    roofline: float


@dataclass(frozen=True)
class Ceilings:
    """The best of several tries on this machine: FLOP/s by the name of the arithmetic, and bytes/s."""

    flop_per_s: dict[str, float]
    bytes_per_s: float

    def fraction(self, cost: Cost, images_per_s: float, arithmetic: str) -> Fraction:
        """This speed as a fraction of each ceiling."""
        computing = images_per_s * cost.flop / self.flop_per_s["float32" if arithmetic == WINOGRAD else arithmetic]
        memory = images_per_s * cost.bytes / self.bytes_per_s
        return Fraction(computing, memory, max(computing, memory))


# What multiplications can be in. float32 is IEEE's; tf32 takes the same tensors and rounds as it multiplies, on GPUs;
# winograd is float32 with a quarter of the products in the layers from 128 to 128 channels, what they take besides not
# counted (`evaluation/judge/cpp_kernels/winograd.py`), on CPUs.
TF32, WINOGRAD = "tf32", "winograd"
_DTYPES = {
    "bfloat16": torch.bfloat16, "float16": torch.float16, TF32: torch.float32, "float32": torch.float32,
    WINOGRAD: torch.float32,
}  # fmt: skip


def arithmetic_of(dtype: torch.dtype, device: torch.device) -> str:
    """What the fast engine's convolutions in this type are computed by on this device."""
    by_winograd = dtype == torch.float32 and device.type == "cpu" and build_winograd() is not None
    return WINOGRAD if by_winograd else str(dtype).removeprefix("torch.")


def arithmetics(device: torch.device) -> list[str]:
    """Those that a judge may be trained in on this device, and that it has instructions for."""
    if device.type != "cpu":
        return ["bfloat16", TF32, "float32"]
    return ["bfloat16", "float32"] if has_bfloat16_instructions() else ["float32"]


def element_bytes(arithmetic: str) -> int:
    """Of a number in memory."""
    return _DTYPES[arithmetic].itemsize


# About 10 ms of a card, in which the host launches hundreds of operations.
BUSY_CYCLES = 20_000_000


@contextmanager
def multiplying(arithmetic: str) -> Iterator[torch.dtype]:
    """Products and convolutions of tensors of this type are done in `arithmetic`; each of the three has a switch."""
    matmul, before = torch.backends.cuda.matmul, torch.backends.cuda.matmul.allow_tf32
    matmul.allow_tf32 = arithmetic == TF32
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=arithmetic == TF32):
            yield _DTYPES[arithmetic]
    finally:
        matmul.allow_tf32 = before


def measure_ceilings(device: torch.device, names: Sequence[str], tries: int = 7) -> Ceilings:
    """Arithmetic: the faster of a large matrix product and the network's own middle convolution. Memory: a copy."""
    cuda = device.type == "cuda"
    flops = {}
    for name in names:
        with multiplying(name) as dtype:
            side = 8192 if cuda else 2048
            a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
            x = torch.randn(256, WIDTH, 16, 16, device=device, dtype=dtype).to(memory_format=torch.channels_last)
            kernel = torch.randn(WIDTH, WIDTH, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
            product = 2.0 * side**3 / best_seconds(partial(torch.matmul, a, b), device, tries)
            convolution = best_seconds(partial(F.conv2d, x, kernel, padding=1), device, tries)
            flops[name] = max(product, 2.0 * x.numel() * 9 * WIDTH / convolution)
    source = torch.ones(2**30 if cuda else 2**28, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return Ceilings(flops, 2.0 * len(source) / best_seconds(lambda: target.copy_(source), device, tries))


def best_seconds(operation: Callable[[], object], device: torch.device, tries: int) -> float:
    """The shortest of `tries` calls after one that warms up; on CUDA by events, without what launching takes."""
    operation()
    if device.type != "cuda":
        return min(_seconds(operation) for _ in range(tries))
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(tries)]
    torch.cuda._sleep(BUSY_CYCLES)  # so that the host is ahead, and the card waits for no launch between two events
    for before, after in events:
        before.record(torch.cuda.current_stream(device))
        operation()
        after.record(torch.cuda.current_stream(device))
    torch.cuda.synchronize(device)
    return min(before.elapsed_time(after) for before, after in events) / 1000


def _seconds(operation: Callable[[], object]) -> float:
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began
