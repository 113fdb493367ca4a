"""The judge's convolutions in float32 on one core: Winograd's algorithm against PyTorch's, in turn, and both errors.

    python -m benchmarks.kernels.convolutions

Of the layers from 128 to 128 channels, on parts of a batch as a worker of the judge has them. FLOP are those of the
definition, whichever way they are computed; Winograd's algorithm needs a quarter of the products, so four times the
measured ceiling is the most that it could reach. Errors are relative, in the Euclidean norm, against float64.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from benchmarks.roofline import best_seconds, measure_ceilings
from evaluation.base.challenge import get_challenge
from evaluation.base.machine import this_machine
from evaluation.judge.convnet import DEPTH, WIDTH
from evaluation.judge.cpp_kernels.winograd import Winograd, build_winograd
from evaluation.judge.fast_engine import PART_BYTES
from evaluation.judge.parallel import one_thread

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """One operation of one layer.

    Attributes:
        side: of the layer's input and output, pixels.
        gflop_per_s, error: by whose convolution it is.
        speedup: median over turns, with its least and greatest.
    """

    operation: str
    side: int
    gflop_per_s: dict[str, float]
    error: dict[str, float]
    speedup: float
    speedup_range: tuple[float, float]


def measure(winograd: Winograd, images: int, side: int, turns: int) -> list[Row]:
    """Forward and both gradients of a layer of side x side pixels."""
    generator = torch.Generator().manual_seed(side)
    x, dy = (
        torch.randn(images, WIDTH, side, side, generator=generator).to(memory_format=torch.channels_last)
        for _ in range(2)
    )
    kernel = torch.randn(WIDTH, WIDTH, 3, 3, generator=generator).to(memory_format=torch.channels_last) / 30
    ways: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], Callable[[], Tensor]]] = {
        "forward": (
            lambda x, kernel, _: torch.conv2d(x, kernel, padding=1),
            partial(winograd.convolve, x, kernel),
        ),
        "input gradient": (
            lambda x, kernel, dy: conv2d_input(list(x.shape), kernel, dy, padding=1),
            partial(winograd.input_gradient, dy, kernel),
        ),
        "weight gradient": (
            lambda x, kernel, dy: conv2d_weight(x, list(kernel.shape), dy, padding=1),
            partial(winograd.weight_gradient, x, dy),
        ),
    }
    gflop = 2e-9 * images * side**2 * 9 * WIDTH**2
    rows = []
    for operation, (by_pytorch, by_winograd) in ways.items():
        exact = by_pytorch(x.double(), kernel.double(), dy.double())
        calls: dict[str, Callable[[], Tensor]] = {
            "pytorch": partial(by_pytorch, x, kernel, dy),
            "winograd": by_winograd,
        }
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(turns):
            for name, call in calls.items():
                seconds[name].append(best_seconds(call, CPU, tries=3))
        ratios = [a / b for a, b in zip(seconds["pytorch"], seconds["winograd"], strict=True)]
        rows.append(
            Row(
                operation,
                side,
                {name: gflop / median(each) for name, each in seconds.items()},
                {name: float((call().double() - exact).norm() / exact.norm()) for name, call in calls.items()},
                median(ratios),
                (min(ratios), max(ratios)),
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cifar100", help="gives the image size (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=11, help="of each implementation (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/convolutions-<machine>.json")
    options = parser.parse_args()

    winograd = build_winograd()
    if winograd is None:
        parser.exit(1, "there is no C++ compiler here that works, so the judge takes PyTorch's convolutions\n")
    size, machine = get_challenge(options.dataset).size, this_machine("cpu")
    images = PART_BYTES // (4 * WIDTH * size**2)
    with one_thread():
        ceilings = measure_ceilings(CPU, ["float32"])
        rows = [row for depth in range(1, DEPTH) for row in measure(winograd, images, size >> depth, options.turns)]
    report = {
        "machine": asdict(machine),
        "images": images,
        "ceilings_of_one_core": asdict(ceilings),
        "rows": [asdict(row) for row in rows],
    }
    out = options.out or Path("benchmarks/results") / f"convolutions-{machine.label}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"a core multiplies with {ceilings.flop_per_s['float32'] / 1e9:.0f} GFLOP/s at most")
    for row in rows:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in row.gflop_per_s.items())
        print(f"{row.side:3}x{row.side:<3} {row.operation:16} {rates} GFLOP/s, {row.speedup:.1f} times as fast")
    print(f"written to {out}")


if __name__ == "__main__":
    main()
