"""What a card is: versions, every answer of its driver, and the most that it can do."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import torch

from benchmarks.measuring import Result, Setup
from benchmarks.roofline import arithmetics, best_seconds, multiplying
from evaluation.base.machine import this_machine
from evaluation.judge.convnet import DEPTH, WIDTH
from evaluation.judge.protocol import Protocol

PADDED = 8  # channels


def versions(setup: Setup) -> Result:
    """Of everything that decides a number."""
    found = {"machine": asdict(this_machine(str(setup.device))), "cudnn": torch.backends.cudnn.version()}
    if setup.device.type == "cuda":
        card = torch.cuda.get_device_properties(setup.device)
        found |= {
            "capability": [card.major, card.minor],
            "multiprocessors": card.multi_processor_count,
            "built_for": torch.cuda.get_arch_list(),
        }
    return found


def driver(setup: Setup) -> Result:
    """Every answer of NVML; None for a call that gave none."""
    from harness.gpu.nvml import open_nvml

    nvml, why_none = open_nvml()
    if nvml is None:
        return {"none": why_none}
    cards = [
        {**asdict(card), **asdict(nvml.reading(card.index)), "processes": sorted(nvml.processes(card.index) or ())}
        for card in nvml.cards()
    ]
    version = nvml.driver()
    nvml.close()
    return {"driver": version, "cards": cards}


def ceilings(setup: Setup) -> Result:
    """Products in each arithmetic, and a copy."""
    return asdict(setup.ceilings)


def convolutions(setup: Setup) -> Result:
    """Milliseconds of the network's three convolutions: forward, gradient of the input, gradient of the weights.

    The first one also with its channels padded, as tensor cores take them. With kernels that repeat bit for bit, as the
    judge has them, and with any.
    """
    batch, size = (8, 16) if setup.quick else (Protocol().batch_size, 32)
    found: Result = {}
    for arithmetic in arithmetics(setup.device):
        for deterministic in (True, False):
            with multiplying(arithmetic) as dtype:
                torch.backends.cudnn.deterministic = deterministic
                for channels, side in (
                    (3, size),
                    (PADDED, size),
                    *((WIDTH, size >> depth) for depth in range(1, DEPTH)),
                ):
                    name = f"{arithmetic} {channels} to {WIDTH} at {side}, {'repeatable' if deterministic else 'any'}"
                    found[name] = _convolution(setup, dtype, batch, channels, side)
    return found


def _convolution(setup: Setup, dtype: torch.dtype, batch: int, channels: int, side: int) -> dict[str, float]:
    x, kernel, gradient = (
        torch.randn(shape, device=setup.device, dtype=dtype).to(memory_format=torch.channels_last)
        for shape in ((batch, channels, side, side), (WIDTH, channels, 3, 3), (batch, WIDTH, side, side))
    )
    geometry = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)  # stride, padding, dilation, transposed, its padding, groups
    backward = partial(torch.ops.aten.convolution_backward, gradient, x, kernel, None, *geometry)
    operations = {
        "forward_ms": partial(torch.nn.functional.conv2d, x, kernel, padding=1),
        "input_ms": partial(backward, [True, False, False]),
        "weights_ms": partial(backward, [False, True, False]),
    }
    tries = 1 if setup.quick else 20
    return {name: 1000 * best_seconds(call, setup.device, tries) for name, call in operations.items()}
