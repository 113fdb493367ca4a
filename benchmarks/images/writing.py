"""What writing images costs a busy generator: files per second by the worker's queue, and what the generator keeps.

    python -m benchmarks.images.writing                              # two minutes
    python -m benchmarks.images.writing --repeats 1 --seconds 0.1    # a rehearsal

A run writes by `submission.worker.writer.ImageWriter`, whose threads share the interpreter and the cores with the
generator. Here they write images of a shipped generator, at 64x64, and the generator beside them does one thing again
and again in its one thread: `launches` small operations, as a host does for a card; multiplies `matrices`; or
interprets `python`. Slices without files, with as many a second as are wanted, and with as many as can be written take
turns; medians are over slices.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.base.challenge import get_challenge
from evaluation.base.machine import this_machine
from submission.contract.generator import Generator, LoadContext, get_generator
from submission.worker.source import decoded
from submission.worker.writer import ImageWriter

RESULTS = Path(__file__).resolve().parent.parent / "results"
CHALLENGE = get_challenge("tiny-imagenet")
BATCH = 64
WANTED = 300  # files a second
# Images that wait where the writer is to write as many as it can.
FILLED = 4 * BATCH

Work = Callable[[], object]


@dataclass(frozen=True)
class Slice:
    """What was done in a second: calls of the generator's work, and files."""

    calls_per_s: float
    files_per_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="slices of each kind; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a slice; default: %(default)s")
    parser.add_argument("--wanted", type=int, default=WANTED, help="files a second; default: %(default)s")
    parser.add_argument("--out", type=Path, help="default: writing-<machine>.json in benchmarks/results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = this_machine()
    images_BHWC = shipped_images(BATCH)
    found = {
        name: measured(work, images_BHWC, options.wanted, options.repeats, options.seconds)
        for name, work in works().items()
    }
    told = {
        "machine": asdict(machine),
        "size": CHALLENGE.size,
        "wanted_files_per_s": options.wanted,
        "seconds": options.seconds,
        "beside": found,
    }
    out = options.out or RESULTS / f"writing-{machine.label}.json"
    out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for name, each in found.items():
        print(
            f"{name}: {each['wanted']['files_per_s']:.0f} files/s leave {each['wanted']['kept']:.0%} of its speed,"
            f" {each['most']['files_per_s']:.0f} leave {each['most']['kept']:.0%}"
        )


def works() -> dict[str, Work]:
    """What keeps a generator's thread busy; a call takes milliseconds."""
    vector, square = torch.zeros(8), torch.full((512, 512), 1 / 512)

    def launches() -> None:
        for _ in range(500):
            vector.add_(1.0)

    return {"launches": launches, "matrices": lambda: square @ square, "python": lambda: sum(range(50_000))}


def shipped_images(count: int) -> NDArray[np.uint8]:
    """Images of `distilled`, uint8 (count, 64, 64, 3), of as many classes."""
    maker = get_generator("distilled")
    generator = maker.load(
        LoadContext(CHALLENGE, device="cpu", weights=maker.find_weights(CHALLENGE, None), training_images=None, seed=0)
    )
    assert isinstance(generator, Generator)
    made = generator.generate(
        torch.arange(count) % CHALLENGE.classes, torch.arange(count), generator.info.default_steps
    )
    return decoded(made, CHALLENGE.size)


def measured(
    work: Work, images_BHWC: NDArray[np.uint8], wanted: int, repeats: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """`alone`, beside a writer of `wanted` files a second, and beside one that writes the `most`."""
    rates = {"alone": 0.0, "wanted": float(wanted), "most": float("inf")}
    slices: dict[str, list[Slice]] = {name: [] for name in rates}
    for _ in range(repeats):
        for name, rate in rates.items():
            slices[name].append(one_slice(work, images_BHWC, rate, seconds))
    alone = median(each.calls_per_s for each in slices["alone"])
    return {
        name: {
            "files_per_s": median(each.files_per_s for each in taken),
            "kept": median(each.calls_per_s for each in taken) / alone,
            "slices": [asdict(each) for each in taken],
        }
        for name, taken in slices.items()
    }


def one_slice(work: Work, images_BHWC: NDArray[np.uint8], rate: float, seconds: float) -> Slice:
    """`work` for so many seconds, in which it hands over batches at `rate` images a second."""
    batch = len(images_BHWC)
    with TemporaryDirectory(prefix="writing-") as folder:
        writer = ImageWriter(Path(folder), CHALLENGE)
        calls = queued = 0
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            if queued < rate * passed and writer.pending < FILLED:
                labels = [index % CHALLENGE.classes for index in range(batch)]
                queued += writer.write(images_BHWC, labels, range(queued, queued + batch))
            work()
            calls += 1
        found = Slice(calls / passed, writer.written / passed)
        writer.close()
    return found


if __name__ == "__main__":
    main()
