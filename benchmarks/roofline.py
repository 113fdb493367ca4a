"""What a step of the judge's network must compute and move, and the most that this machine can do of either."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge.convnet import DEPTH, WIDTH


@dataclass(frozen=True)
class Cost:
    """The least that training on one image takes, forward and backward.

    Attributes:
        flop: floating-point operations of the convolutions and the linear layer, a multiply-add as two.
        bytes: to and from memory, if each operation (convolution forward, for weights and for inputs; fused norm,
            ReLU and pool forward and backward) reads its inputs and writes its outputs once.
    """

    flop: float
    bytes: float


def training_cost(size: int, classes: int, element_bytes: int) -> Cost:
    """Of one image of size x size, with activations of `element_bytes`."""
    flop, elements, channels = 0.0, 0.0, 3
    for depth in range(DEPTH):
        pixels = (size >> depth) ** 2
        convolution = 2.0 * pixels * 9 * channels * WIDTH
        # Forward and weights; the gradient for the images themselves is not needed.
        flop += convolution * (2 if depth == 0 else 3)
        inputs, outputs, pooled = channels * pixels, WIDTH * pixels, WIDTH * pixels // 4
        elements += inputs + outputs + outputs + pooled  # convolution, then norm, ReLU and pool
        elements += pooled + outputs + outputs  # their backward: two in, one out
        elements += outputs + inputs  # weights' gradient
        elements += 0 if depth == 0 else outputs + inputs  # inputs' gradient
        channels = WIDTH
    flop += 3 * 2.0 * WIDTH * (size >> DEPTH) ** 2 * classes
    return Cost(flop, elements * element_bytes)


@dataclass(frozen=True)
class Fraction:
    """A speed as fractions of the machine's ceilings; `roofline` is the larger, of the ceiling that binds."""

    arithmetic: float
    memory: float
    roofline: float


@dataclass(frozen=True)
class Ceilings:
    """The best of several tries on this machine: FLOP/s by type of number, and bytes/s."""

    flop_per_s: dict[str, float]
    bytes_per_s: float

    def fraction(self, cost: Cost, images_per_s: float, dtype: torch.dtype) -> Fraction:
        """This speed as a fraction of each ceiling."""
        arithmetic = images_per_s * cost.flop / self.flop_per_s[str(dtype).removeprefix("torch.")]
        memory = images_per_s * cost.bytes / self.bytes_per_s
        return Fraction(arithmetic, memory, max(arithmetic, memory))


def measure_ceilings(device: torch.device, dtypes: list[torch.dtype], tries: int = 7) -> Ceilings:
    """Arithmetic: the faster of a large matrix product and the network's own middle convolution. Memory: a copy."""
    flops = {}
    for dtype in dtypes:
        side = 8192 if device.type == "cuda" else 2048
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        x = torch.randn(256, WIDTH, 16, 16, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        kernel = torch.randn(WIDTH, WIDTH, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        product = 2.0 * side**3 / _best_seconds(lambda a=a, b=b: a @ b, tries)  # type: ignore[misc]
        convolution = _best_seconds(lambda x=x, k=kernel: F.conv2d(x, k, padding=1), tries)  # type: ignore[misc]
        flops[str(dtype).removeprefix("torch.")] = max(product, 2.0 * x.numel() * 9 * WIDTH / convolution)
    source = torch.ones(2**30 if device.type == "cuda" else 2**28, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return Ceilings(flops, 2.0 * len(source) / _best_seconds(lambda: target.copy_(source), tries))


def _best_seconds(operation: Callable[[], Tensor], tries: int) -> float:
    best = float("inf")
    for _ in range(tries + 1):
        began = time.perf_counter()
        result = operation()
        if result.device.type == "cuda":
            torch.cuda.synchronize(result.device)
        best = min(best, time.perf_counter() - began)
    return best
