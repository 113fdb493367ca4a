"""The child process: load, warm up, generate until told to stop. Run as `python -m submission.worker JOB`.

It paces itself so that its last image is on disk and the process gone before the deadline; the harness kills what is
left then, whatever happened here.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.challenge import Challenge, get_challenge
from submission.events import EventLog
from submission.generator import Generator, GeneratorBase, GeneratorInfo, LoadContext, Selector, get_generator
from submission.job import Job, image_seed
from submission.pacing import Pacer
from submission.schedule import interleaved
from submission.writer import ImageWriter

if TYPE_CHECKING:
    from torch import Tensor

    from evaluation.workers import Workers

WARMUP_BATCH = 8


def margin(budget_left_s: float) -> float:
    """Seconds kept free before the deadline: a part of the budget, and never less than a process takes to end."""
    return 0.15 + 0.002 * budget_left_s


def main() -> None:
    job = Job.load(Path(sys.argv[1]))
    events = EventLog(Path(job.events))
    try:
        work(job, events)
    except Exception as error:
        traceback.print_exc()
        events.say(error="out_of_memory" if is_out_of_memory(error) else "crashed", detail=first_line(error))
        leave(1)
    leave(0)


def leave(code: int) -> None:
    """End at once: an interpreter that tidies up torch and its threads takes seconds that are on the clock."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or the card had no memory left."""
    torch = sys.modules.get("torch")
    return isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError))


def first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def work(job: Job, events: EventLog) -> None:
    """Carry out `job`: images into its output folder, what happens into `events`."""
    challenge = get_challenge(job.challenge)
    maker = get_generator(job.generator)
    pacer = Pacer(job.deadline, margin(job.deadline - time.monotonic()))
    context = LoadContext(
        challenge=challenge,
        device=job.device,
        weights=Path(job.weights) if job.weights else None,
        training_images=Path(job.training_images) if job.training_images else None,
        seed=job.seed,
        settings=job.settings,
    )
    generator = maker.load(context)
    source = Source(generator, job, challenge)
    writer = ImageWriter(Path(job.output), challenge)
    events.say(phase="warmup", steps=source.steps, batch_size=source.batch_size)

    queued = 0
    end = "clock"
    warm = False
    while True:
        wanted = source.batch_size if warm else min(WARMUP_BATCH, source.batch_size)
        size = pacer.next_batch(time.monotonic(), wanted, writer.seconds_to_drain())
        if size == 0:
            events.say(phase="write")
            if writer.drain_some():
                continue  # the queue may have gone faster than was feared
            break
        batch = source.take(size)
        if not batch:
            end = source.end
            break
        start = time.monotonic()
        images_BHWC = to_size(source.make(batch), challenge.size).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        if writer.full(len(batch)):
            events.say(phase="write")
        writer.write(images_BHWC, *zip(*batch, strict=True))
        pacer.observe(len(batch), time.monotonic() - start)
        queued += len(batch)
        events.say(phase="generate", images=queued)
        warm = True
    events.say(phase="write")
    writer.close()
    events.say(end=end, images=writer.written)


class Source:
    """The images of a job in order: what comes next, and the pixels of it.

    Attributes:
        steps, batch_size: as the job says, else the generator's defaults; the batch shrinks when memory runs out.
        end: why there is nothing left: `ipc` reached, or the choices of a selector `exhausted`.
    """

    def __init__(self, generator: GeneratorBase, job: Job, challenge: Challenge) -> None:
        info: GeneratorInfo = generator.info
        self.generator = generator
        self.seed = job.seed
        self.steps = job.steps or generator.default_steps(Path(job.weights) if job.weights else None)
        self.batch_size = job.batch_size or info.default_batch
        ipc, self.end = job.ipc, "ipc"
        if isinstance(generator, Selector) and (ipc is None or generator.available() < ipc):
            ipc, self.end = generator.available(), "exhausted"
        self._workers: Workers | None = None
        if job.device == "cpu" and info.parts:
            from evaluation.workers import Workers

            self._workers = Workers()
        self._order: Iterator[tuple[int, int]] = interleaved(challenge.classes, ipc)

    def take(self, size: int) -> list[tuple[int, int]]:
        """The next `size` (label, index) pairs, fewer at the end."""
        return list(islice(self._order, size))

    def make(self, batch: list[tuple[int, int]]) -> Tensor:
        """uint8 (B, 3, H, W) for `batch`; where memory runs out in halves, and in smaller batches from then on."""
        try:
            return self._make(batch)
        except Exception as error:
            if not is_out_of_memory(error) or len(batch) == 1:
                raise
        # outside the handler, so that the failed call's tensors are free
        import torch

        half = len(batch) // 2
        self.batch_size = max(1, min(self.batch_size, len(batch)) // 2)
        return torch.cat([self.make(batch[:half]), self.make(batch[half:])])

    def _make(self, batch: list[tuple[int, int]]) -> Tensor:
        import torch

        if self._workers is None:
            return self._make_part(batch)
        each = -(-len(batch) // self._workers.count)
        parts = [batch[start : start + each] for start in range(0, len(batch), each)]
        return torch.cat(self._workers.map(self._make_part, parts))

    def _make_part(self, part: list[tuple[int, int]]) -> Tensor:
        import torch

        labels_B = torch.tensor([label for label, _ in part])
        if isinstance(self.generator, Selector):
            return self.generator.select(labels_B, torch.tensor([index for _, index in part]))
        assert isinstance(self.generator, Generator), "a generator generates or selects"
        seeds_B = torch.tensor([image_seed(self.seed, label, index) for label, index in part])
        return self.generator.generate(labels_B, seeds_B, self.steps)


def to_size(images_BCHW: Tensor, size: int) -> Tensor:
    """uint8 images at `size` x `size`: antialiased bicubic where they are of another size."""
    if images_BCHW.shape[-2:] == (size, size):
        return images_BCHW
    from torch.nn.functional import interpolate

    resized = interpolate(images_BCHW.float(), (size, size), mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255).byte()


if __name__ == "__main__":
    main()
