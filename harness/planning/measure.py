"""Measuring a profile: seconds per batch by batch size and step count, memory, and what starting costs.

The generator runs in a process of its own (`submission.worker.measure`), so that its crash costs one point.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from evaluation.base.challenge import get_challenge
from evaluation.base.files import claimed
from evaluation.base.machine import commit
from harness.planning.measured_process import MeasuredProcess, ProcessDied
from harness.planning.profile import (
    ColdStart,
    Failed,
    Point,
    Profile,
    ProfileKey,
    Sustained,
    load_profile,
    merged,
    profile_key,
    store_profile,
)
from submission.contract.generator import get_generator
from submission.contract.job import Job
from submission.contract.settings import compiles
from submission.worker.batch_size import worth_doubling

REPEATS = 3
POINT_S = 1.0  # of batches at each point, where they are short
SUSTAINED_S = 15.0  # long enough for the swings of a machine that others use as well
MAX_BATCH_S = 60.0  # no larger batch is tried after one that took this long
MAX_BATCH_SIZE = 1 << 14
_FOLDER = ".profile-"
_YOUNG_S = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What to measure; where empty, a choice of ours.

    Attributes:
        steps: step counts; where empty, the generator's default and half of it.
        batch_sizes: where empty, doubled from 1 until that gains less than 3%.
        most_images, most_batch_s: the images and the seconds that no batch of the doubled ones needs to reach: all
            that a run makes, and a part of its budget.
    """

    steps: tuple[int, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    most_images: int = MAX_BATCH_SIZE
    most_batch_s: float = MAX_BATCH_S

    @classmethod
    def of_run(cls, budget_s: float, images: int | None, **wanted: tuple[int, ...]) -> "Wanted":
        """For runs of `budget_s` seconds that stop at so many images, if they do: batches of a tenth of both time."""
        most_images = MAX_BATCH_SIZE if images is None else min(MAX_BATCH_SIZE, images)
        return cls(**wanted, most_images=most_images, most_batch_s=min(MAX_BATCH_S, budget_s / 10))

    def all_in(self, profile: Profile) -> bool:
        """Whether `profile` has measured, or tried, all of it."""
        found = {(point.steps, point.batch_size) for point in profile.points}
        found |= {(failed.steps, failed.batch_size) for failed in profile.failed}
        steps, sizes = {count for count, _ in found}, {size for _, size in found}
        if self.steps and self.batch_sizes:
            return found >= set(product(self.steps, self.batch_sizes))
        return steps >= set(self.steps) and sizes >= set(self.batch_sizes)


def take_profile(
    job: Job, wanted: Wanted, data: Path | None, scratch: Path, say: Say, refresh: bool = False
) -> tuple[Profile, bool]:
    """The stored profile of what `job` runs if it has all that is wanted, else a new one; and whether it was stored.

    Args:
        job: generator, challenge, device, weights, training images, settings and PDA.
        data: folder of the real data, which the generator does not get to see.
        scratch: a folder on the disk that runs are written to; it is made if need be.
        say: called with a sentence for each point.
        refresh: whether to measure whatever is stored.

    Raises:
        ValueError: the folder cannot be made, the generator does not start, or no point could be measured.
    """
    weights = Path(job.weights) if job.weights else None
    key = profile_key(job.generator, job.challenge, job.settings, weights, job.device, job.pda)
    stored = None if refresh else load_profile(key)
    if stored and wanted.all_in(stored):
        return stored, True
    if stored and stored.doubled and stored.points and not wanted.batch_sizes:  # only the step counts are new
        known = {point.steps for point in stored.points}
        best = max(stored.points, key=lambda point: point.images_per_s).batch_size
        wanted = replace(wanted, steps=tuple(sorted(set(wanted.steps) - known)), batch_sizes=(best,))
    if compiles(job.settings):  # once, for one size: each would be compiled for
        sizes = wanted.batch_sizes or (get_generator(job.generator).info.default_batch,)
        wanted, job = replace(wanted, batch_sizes=sizes), replace(job, batch_size=sizes[0])
    try:
        scratch.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot make the folder {scratch}: {error.strerror}; choose another --out") from None
    say(f"Profiling {job.generator} on {get_challenge(job.challenge).title}, {key.machine}")
    profile = measure_profile(key, job, wanted, data, scratch.resolve(), say)
    profile = merged(stored, profile) if stored else profile
    try:
        store_profile(profile)
    except OSError as error:
        say(f"The profile cannot be kept for runs ({error.strerror or error}).")
    return profile, False


def measure_profile(key: ProfileKey, job: Job, wanted: Wanted, data: Path | None, scratch: Path, say: Say) -> Profile:
    """Measure what `job` runs, whose key is `key`; arguments and errors as of `take_profile`."""
    _clear_away_dead(scratch)
    with (
        TemporaryDirectory(dir=scratch, prefix=_FOLDER) as folder,
        claimed(Path(folder)),
        closing(Measurement(Path(folder), job, data, say)) as measurement,
    ):
        return measurement.run(key, wanted)


def _clear_away_dead(scratch: Path) -> None:
    """Remove the folders of measurements that were killed; a living one has claimed its own."""
    for folder in scratch.glob(_FOLDER + "*"):
        if time.time() - folder.stat().st_mtime < _YOUNG_S:  # perhaps not claimed yet
            continue
        with suppress(OSError), claimed(folder) as dead:
            if dead:
                shutil.rmtree(folder)


class Measurement:
    """One measuring: a process, another where it died, and what was found so far."""

    def __init__(self, folder: Path, job: Job, data: Path | None, say: Say) -> None:
        self._folder, self._data, self._say = folder, data, say
        self._job = folder / "job.json"
        job.save(self._job)
        self.points: list[Point] = []
        self.failed: list[Failed] = []
        self._measured: MeasuredProcess | None = None
        say("Loading and warming up")
        try:
            process = self._started()
        except ProcessDied as died:
            raise ValueError(f"generator {job.generator!r} did not start: {died}; fix that, then profile it") from None
        self.startup = process.startup
        self._process_s = process.startup["entered"] - process.spawned

    def run(self, key: ProfileKey, wanted: Wanted) -> Profile:
        default = int(self.startup["steps"])
        steps = wanted.steps or tuple(dict.fromkeys((default, max(1, default // 2))))
        main = default if default in steps else max(steps)
        for size in wanted.batch_sizes or self._doubling(main, wanted):
            self.point(main, size)
        if not self.points:
            first = self.failed[0]
            raise ValueError(
                f"no batch of {first.batch_size} could be made ({first.reason.replace('_', ' ')}: {first.detail});"
                " give a smaller --batch-size"
            )
        best = max(self.points, key=lambda point: point.images_per_s).batch_size
        for count, size in product(steps, wanted.batch_sizes or (best,)):
            if count != main:
                self.point(count, size)
        sustained, write_s = self.sustained(main, best)
        timed = ("import_s", "load_s", "first_batch_s", "first_batch_images")
        return Profile(
            key=key,
            default_steps=default,
            default_batch=int(self.startup["batch_size"]),
            start=ColdStart(self._process_s, **{name: self.startup[name] for name in timed}),
            points=tuple(sorted(self.points, key=lambda point: (point.steps, point.batch_size))),
            sustained=sustained,
            doubled=not wanted.batch_sizes,
            write_s=write_s,
            failed=tuple(self.failed),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=commit(),
        )

    def point(self, steps: int, batch_size: int) -> None:
        """Measure one point, or remember why it cannot be."""
        answer = self._ask(steps, batch_size, repeats=REPEATS, seconds=POINT_S)
        if answer is None:
            return
        seconds = answer["seconds"]
        measured = (median(seconds), *_quartiles(seconds), len(seconds), median(answer["decode_s"]))
        point = Point(steps, batch_size, *measured, peak_memory_mb=answer["peak_memory_mb"])
        self.points.append(point)
        self._say(f"Steps {steps}, batch {batch_size}: {point.batch_s:.3g} s, {point.images_per_s:.1f} images/s")

    def sustained(self, steps: int, batch_size: int) -> tuple[Sustained | None, float]:
        """Batches in a row, written in the background, and the seconds that writing an image takes."""
        output = self._folder / "images"
        answer = self._ask(steps, batch_size, sustain_s=SUSTAINED_S, output=str(output))
        if answer is None:
            return None, 0.0
        batches, each = answer["batches"], mean(answer["batches"])
        self._say(f"Sustained, with writing in the background: {each:.3g} s a batch, {batch_size / each:.1f} images/s")
        return Sustained(steps, batch_size, each, *_quartiles(batches), len(batches)), answer["write_s"]

    def close(self) -> None:
        if self._measured:
            self._measured.end()

    def _doubling(self, steps: int, wanted: Wanted) -> Iterator[int]:
        size = 1
        while size <= wanted.most_images and worth_doubling(self._tried(steps)) and not self.failed:
            tried = self._tried(steps)
            if tried and 2 * tried[-1][1] > wanted.most_batch_s:
                return
            yield size
            size *= 2

    def _tried(self, steps: int) -> Sequence[tuple[int, float]]:
        # the lower quartile: other processes make batches slower, never faster
        return [(point.batch_size, point.low_s + point.decode_s) for point in self.points if point.steps == steps]

    def _ask(self, steps: int, batch_size: int, **what: Any) -> dict[str, Any] | None:
        try:
            answer = self._started().ask(steps=steps, batch_size=batch_size, **what)
        except ProcessDied as died:
            self._measured = None
            answer = {"failure": died.reason, "detail": str(died)}
        if "failure" not in answer:
            return answer
        self.failed.append(Failed(steps, batch_size, answer["failure"], answer["detail"]))
        self._say(f"Steps {steps}, batch {batch_size}: {answer['failure'].replace('_', ' ')}")
        return None

    def _started(self) -> MeasuredProcess:
        if self._measured is None:
            self._measured = MeasuredProcess(self._job, self._data, self._folder / "log.txt")
        return self._measured


def _quartiles(seconds: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(seconds, (0.25, 0.75))
    return float(low), float(high)
