"""A generator measured in a process of its own. Run as `python -m submission.worker.measure JOB`.

It loads and warms up as a worker does, says what that took, then answers requests from standard input, one JSON object
a line each way:

    {"steps": 8, "batch_size": 64, "repeats": 5, "seconds": 1.0}           one point: batches alone
    {"steps": 8, "batch_size": 64, "sustain_s": 4.0, "output": FOLDER}     as in a run: written in the background

A point that finds no memory is answered with `failure`; anything else that goes wrong ends the process, and the caller
starts another.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.base.challenge import Challenge, get_challenge
from submission.contract.job import Job
from submission.worker.memory import free_memory, is_out_of_memory, peak_memory_mb, reset_peak
from submission.worker.pda import writers
from submission.worker.source import Source, decoded, load_generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

FIRST_BATCH = 8
LEAST_SUSTAINED = 4
MOST_REPEATS = 20
# images whose way to the disk is timed alone
WRITTEN = 256


def main() -> None:
    entered = time.monotonic()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a generator prints is no answer

    def answer(**what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    with suppress(OSError):  # where memory runs out for all, it is this process that goes
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    job = Job.load(Path(sys.argv[1]))
    challenge = get_challenge(job.challenge)
    import torch  # noqa: F401 - timed apart

    imported = time.monotonic()
    source = Source(load_generator(job, challenge), job, challenge)
    bench = Bench(source, job, challenge)
    loaded = time.monotonic()
    first = min(FIRST_BATCH, source.batch_size)
    bench.batch(first)
    answer(
        entered=entered,
        import_s=imported - entered,
        load_s=loaded - imported,
        first_batch_s=time.monotonic() - loaded,
        first_batch_images=first,
        steps=source.steps,
        batch_size=source.batch_size,
    )
    for line in sys.stdin:
        wanted = json.loads(line)
        source.steps, source.batch_size = wanted["steps"], wanted["batch_size"]
        failure = None
        try:
            answer(**(bench.sustain(**wanted) if "sustain_s" in wanted else bench.measure(**wanted)))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            failure = str(error).split("\n")[0]
        if failure is not None:  # outside the handler, so that the failed call's tensors are free
            free_memory(job.device)
            answer(failure="out_of_memory", detail=failure)
    os._exit(0)


class Bench:
    """Times batches of a job's source."""

    def __init__(self, source: Source, job: Job, challenge: Challenge) -> None:
        """Returns once the device has done all that loading gave it."""
        self._source, self._challenge, self._device = source, challenge, job.device
        self._open_writer = writers(job, challenge)
        self._synchronise = synchroniser(job.device)
        self._synchronise()
        # profiles never run out of orders, whatever a selector has
        self._order: Iterator[tuple[int, int]] = cycle((label, 0) for label in range(challenge.classes))

    def batch(self, images: int) -> tuple[float, float, NDArray[np.uint8]]:
        """One batch: seconds of making, seconds of decoding, uint8 (B, H, W, 3)."""
        order = list(islice(self._order, images))
        start = time.monotonic()
        made: Tensor = self._source.make_whole(order)
        self._synchronise()
        between = time.monotonic()
        images_BHWC = decoded(made, self._challenge.size)
        return between - start, time.monotonic() - between, images_BHWC

    def measure(self, batch_size: int, repeats: int, seconds: float, steps: int) -> dict[str, Any]:
        """At least `repeats` batches after one that warms up, more until `seconds` are over."""
        reset_peak(self._device)
        self.batch(batch_size)
        made: list[float] = []
        decoding: list[float] = []
        while len(made) < repeats or (sum(made) < seconds and len(made) < MOST_REPEATS):
            make_s, decode_s, _ = self.batch(batch_size)
            made.append(make_s)
            decoding.append(decode_s)
        return {"seconds": made, "decode_s": decoding, "peak_memory_mb": peak_memory_mb(self._device)}

    def sustain(self, batch_size: int, sustain_s: float, output: str, steps: int) -> dict[str, Any]:
        """Batches with the writer at work behind them, as in a run; then the writer alone."""
        writer = self._open_writer(Path(output))
        batches: list[float] = []
        index = 0
        began = time.monotonic()
        images_BHWC = self.batch(batch_size)[2]
        while time.monotonic() - began < sustain_s or len(batches) < LEAST_SUSTAINED:
            start = time.monotonic()
            writer.write(images_BHWC, [0] * batch_size, range(index, index + batch_size))
            images_BHWC = self.batch(batch_size)[2]
            batches.append(time.monotonic() - start)
            index += batch_size
        writer.close()
        writer = self._open_writer(Path(output))
        start, written = time.monotonic(), 0
        while written < WRITTEN:
            writer.write(images_BHWC, [0] * batch_size, range(written, written + batch_size))
            written += batch_size
        writer.close()
        # the writer's threads and folders are made behind the first
        return {"batches": batches[1:], "write_s": (time.monotonic() - start) / written}


def synchroniser(device: str) -> Callable[[], None]:
    """What waits until `device` has done all that it was given."""
    if device.startswith("cuda"):
        import torch

        return lambda: torch.cuda.synchronize(device)
    return lambda: None


if __name__ == "__main__":
    main()
