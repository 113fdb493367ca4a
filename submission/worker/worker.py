"""The child process: load, warm up, generate until it must stop. Run as `python -m submission.worker.worker JOB`.

It paces itself so that its last image is written and the process gone before the deadline, when the harness kills it.
"""

import os
import sys
import time
import traceback
from pathlib import Path

from evaluation.base.challenge import get_challenge
from submission.contract.job import EventLog, Job
from submission.worker.batch_size import size_after_trials, worth_doubling
from submission.worker.memory import is_out_of_memory
from submission.worker.pacing import STALL_FRACTION, Pacer, margin_s
from submission.worker.pda import writers
from submission.worker.source import Source, load_generator
from submission.worker.writer import ImageWriter

WARMUP_BATCH = 8
# Of the time that is left after warming up, the part that trying batch sizes may take.
TRIAL_FRACTION = 0.025


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
    """End immediately: an interpreter that tears down torch and its threads takes seconds of the budget."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def work(job: Job, events: EventLog) -> None:
    """Carry out `job`: images into its output folder, what happens into `events`."""
    challenge = get_challenge(job.challenge)
    left_s = job.deadline - time.monotonic()
    pacer = Pacer(job.deadline, margin_s(left_s, job.device), STALL_FRACTION * left_s)
    generator = load_generator(job, challenge)
    if job.exhibit and (exhibit := generator.exhibit()):
        exhibit.save(Path(job.exhibit))
    source = Source(generator, job, challenge)
    pipeline = Pipeline(source, writers(job, challenge)(Path(job.output)), pacer, events)
    pipeline.enter("warmup", steps=source.steps, batch_size=source.batch_size)
    pipeline.warm_up()
    pacer.expect(job.batch_seconds)
    if job.trial:
        pipeline.try_sizes()
    while pipeline.make(source.batch_size, "generate"):
        pass
    pipeline.close()


class Pipeline:
    """The way of an image: made, handed to the writer, reported to the pacer and to the events."""

    def __init__(
        self,
        source: Source,
        writer: ImageWriter,
        pacer: Pacer,
        events: EventLog,
    ) -> None:
        self._source, self._writer, self._pacer, self._events = source, writer, pacer, events
        self._phase = "load"
        self._queued = 0
        self._end = "clock"

    def enter(self, phase: str, **what: object) -> None:
        """Say that a phase of the ledger begins, if it is not under way."""
        if phase != self._phase or what:
            self._events.say(phase=phase, **what)
            self._phase = phase

    def warm_up(self) -> None:
        """The first batch, a small one. It holds costs that no other has, and only bounds what the others take."""
        if made := self._make(self._fitting(min(WARMUP_BATCH, self._source.batch_size))):
            self._pacer.expect([(self._source.costs(made[0]), made[1])])
        self._writer.drain()  # nothing larger is made before something is known of the disk

    def try_sizes(self) -> None:
        """Take the batch size that is fastest here, by doubling it. Every image tried is an image of the job."""
        self.enter("profile")
        until = time.monotonic() + TRIAL_FRACTION * (self._pacer.deadline - time.monotonic())
        tried: list[tuple[int, float]] = []
        default = self._source.batch_size
        size, cut_short = min(WARMUP_BATCH, default), False
        while worth_doubling(tried) and not cut_short:
            self._source.batch_size = size
            made = self.make(size, "profile")
            if made is None or made[0] < size:
                break
            if self._source.batch_size < size:  # memory ran out; the source has halved the batch until it was enough
                default = self._source.batch_size
                break
            tried.append(made)
            cut_short = time.monotonic() + 2 * made[1] > until
            size *= 2
        self._source.batch_size = size_after_trials(tried, default, cut_short)
        self._events.say(trial=tried, batch_size=self._source.batch_size, images=self._queued)

    def make(self, size: int, phase: str) -> tuple[int, float] | None:
        """One batch of at most `size` in `phase`: (images, seconds); None when there is none, or no time for it."""
        while not (fitting := self._fitting(size)):
            self.enter("write")
            if not self._writer.drain_some():
                return None
            # the queue may have gone faster than was feared
        self.enter(phase)
        if made := self._make(fitting):
            self._pacer.observe(self._source.costs(made[0]), made[1])
        return made

    def close(self) -> None:
        """Wait for the disk and say how it ended."""
        self.enter("write")
        self._writer.close()
        self._events.say(end=self._end, images=self._queued)

    def _fitting(self, size: int) -> int:
        return self._pacer.next_batch(
            time.monotonic(), self._writer.trusted(size), self._writer.seconds_to_write, queued=self._writer.pending
        )

    def _make(self, size: int) -> tuple[int, float] | None:
        batch = self._source.take(size)
        if not batch:
            if size:
                self._end = self._source.end
            return None
        start = time.monotonic()
        images_BHWC = self._source.make(batch)
        seconds = time.monotonic() - start
        making = self._phase
        if self._writer.full(len(batch)):
            self.enter("write")
        labels, indices = zip(*batch, strict=True)
        self._queued += self._writer.write(images_BHWC, labels, indices)
        self._events.say(images=self._queued)
        self.enter(making)
        return len(batch), seconds


if __name__ == "__main__":
    main()
