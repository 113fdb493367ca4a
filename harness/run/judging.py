"""Judging a run: all of its images, random real images beside them, and what was on disk at each moment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.durations import show_duration
from evaluation.base.files import checkpoint_if_writable, write_text
from evaluation.base.images import ImageSet, NormalisedSet, denormalise, random_subset
from evaluation.base.machine import resolve_device
from evaluation.data.datasets import load_split
from evaluation.judge.checkpoint import join_checkpoints
from evaluation.judge.estimate import Estimate, estimate
from evaluation.judge.protocol import Protocol
from evaluation.judge.score import Score, judge
from harness.records.anytime import Anytime, AnytimePoint, How, area, moments, prefix
from harness.records.record import BaselinePart, Record
from harness.records.run_folder import RunFolder
from harness.report import charts
from harness.report.console import Voice
from harness.report.run_page import report_of
from harness.run.collect import image_times, recollect
from harness.run.options import RunOptions
from harness.run.real_baseline import kept_file, kept_score, read_score

# The baseline is a reference beside the run's own rounds; one round adds about a third to the cost of judging.
BASELINE_ROUNDS = 1
BASELINE_SEED = 0
# SGD steps from which a judgement is long enough to be announced
_SLOW = 1_000
# the generator that is its own baseline
REAL = "real"
# what a file system may round times by
TIMES_AGREE_S = 2.0

Images = ImageSet | NormalisedSet


@dataclass
class Judge:
    """What all judgements of a run have in common: the test images, how to judge, and where to show progress."""

    challenge: Challenge
    test: Images
    how: How
    device: str
    voice: Voice
    _timed: Estimate | None = None

    @classmethod
    def of(cls, options: RunOptions, test: Images, voice: Voice) -> "Judge":
        """The judge that the options ask for."""
        how = How(engine=options.engine, epochs=options.epochs, rounds=options.rounds, judge_seed=options.judge_seed)
        return cls(options.challenge, test, how, resolve_device(options.device), voice)

    def is_slow(self, images: int) -> bool:
        """Whether judging so many images takes so long that it is worth to say beforehand how long."""
        return self.how.rounds * Protocol(self.how.epochs).passes * Protocol().steps_per_pass(images) > _SLOW

    def has_timed(self, images: int) -> bool:
        """Whether the last estimate was for as many, so that the cost has been said before."""
        return self._timed is not None and self._timed.images == images

    def estimate(self, images: int) -> Estimate:
        """How long judging so many images takes here; timed at the first call, which takes seconds."""
        if self._timed is None:
            how = self.how.model_dump(exclude={"judge_seed"})
            with self.voice.working("Timing the judge on this machine"):
                self._timed = estimate(images, self.challenge, device=self.device, test_images=len(self.test), **how)
        self._timed = self._timed.of(images)
        return self._timed

    def score(self, what: str, images: Images, checkpoint: Path) -> Score:
        """The score of `images`, with a progress bar that calls them `what`; no `checkpoint` where there is no room."""
        usable = checkpoint_if_writable(checkpoint, self.voice.say)
        with self.voice.judging(what) as on_progress:
            return judge(
                images,
                self.test,
                self.challenge,
                **self.how.model_dump(),
                device=self.device,
                on_progress=on_progress,
                checkpoint=usable,
            )


def judge_images(
    judge: Judge, images: Images, train: ImageSet | None, folder: RunFolder, is_real: bool
) -> tuple[Score, BaselinePart | None]:
    """Score `images`, and as many random training images per class for comparison where `train` is given.

    An interrupted judgement goes on from the run's checkpoints, with the rounds that were trained elsewhere; the real
    images' score is kept for later runs. `is_real`: the images are such real ones themselves.
    """
    join_checkpoints(folder.round_checkpoints(), folder.checkpoint)
    if judge.is_slow(len(images)) and not judge.has_timed(len(images)) and not folder.checkpoint.exists():
        judge.voice.say(judge.estimate(len(images)).sentence(judge.how.epochs, judge.how.rounds))
    accuracy = judge.score("the images", images, folder.checkpoint)
    if train is None or is_real:
        return accuracy, None
    return accuracy, judge_baseline(judge, len(images), train, folder)[0]


def judge_baseline(judge: Judge, images: int, train: ImageSet, folder: RunFolder) -> tuple[BaselinePart, Path]:
    """Score as many random training images per class as there are of `images`; also the file that keeps the score."""
    per_class = round(images / judge.challenge.classes)
    # of one seed whatever the run's, so that it is the same for all runs and judged once for them
    how = judge.how.model_copy(update={"rounds": BASELINE_ROUNDS, "judge_seed": BASELINE_SEED})
    real = random_subset(train, max(1, per_class), BASELINE_SEED)
    judge_once = replace(judge, how=how)
    kept = kept_file(real, judge.test, judge.challenge, how, judge.device)
    of_real = read_score(folder.baselines / kept.name) or kept_score(
        kept, lambda: judge_once.score("random real images beside them", real, folder.baseline_checkpoint)
    )
    return BaselinePart(ipc=len(real) / judge.challenge.classes, accuracy=of_real), kept


def judge_prefixes(
    folder: RunFolder,
    record: Record,
    at: Sequence[float] | None,
    points: int,
    how: How,
    device: str,
    data: Path | None,
    voice: Voice,
) -> Anytime:
    """Judge the prefixes of a run; each point is saved as it is done, and one that is there is not judged again.

    Args:
        at: moments in seconds; None for `points` of them, evenly spaced over the time used.
        data: folder of the real data sets.

    Raises:
        ValueError: the run left no images, a moment lies beyond its budget, or the files have lost their times.
    """
    if record.clock is None or not record.images:
        raise ValueError(f"the run in {folder.root} left no images to judge; give one that did")
    budget_s, challenge = record.budget_s, get_challenge(record.dataset)
    if at and max(at) > budget_s:
        raise ValueError(f"--at names {max(at):g} s, but the run's budget was {budget_s:g} s; stay within it")
    with voice.reading() as on_read:
        collected = recollect(folder.images, challenge, record.images_hash, on_read)
    assert collected.contents is not None, "the record has counted images"
    images, paths = collected.contents.images, collected.contents.paths
    times_N = image_times(folder.images, paths, datetime.fromisoformat(record.clock.started_at))
    if record.images_over_time and abs(times_N.max() - record.images_over_time[-1][0]) > TIMES_AGREE_S:
        raise ValueError(
            f"the files in {folder.images} have other times than when the run ended, as after a copy, so nobody knows"
            " which came first; copy runs with `cp -a`"
        )
    used_s = min(record.clock.ended - record.clock.started, budget_s)
    # All that was counted belongs to the run's end: files' times are coarser than the clock's.
    times_N = np.minimum(times_N, used_s)
    test = load_split(challenge, "test", data)
    found = Anytime(
        dataset=challenge.name,
        images_hash=record.images_hash,
        budget_s=budget_s,
        used_s=used_s,
        first_image_s=float(times_N.min()),
        chance=challenge.chance,
        how=how,
        points=[],
        area=None,
    )
    before = Anytime.load(folder.anytime)
    same = before is not None and before.images_hash == record.images_hash and before.how == how
    done = {point.seconds: point for point in before.points} if before and same else {}
    # accuracies that need no judging, by the number of images, which is enough to name a prefix
    known = {point.images: point.accuracy for point in done.values() if point.accuracy}
    if record.accuracy and how == How.of(record.accuracy):
        known[record.images] = record.accuracy
    judge = Judge(challenge, test, how, device, voice)
    wanted = moments(at, points, used_s)
    voice.log_to(folder.log)
    missing = {count for moment in wanted if (count := int(np.sum(times_N <= moment))) and count not in known}
    if missing:
        expected = judge.estimate(max(missing)).seconds(how.epochs, how.rounds)
        voice.say(
            f"{len(missing)} prefixes of up to {max(missing):,} images to judge ({how.epochs:,} epochs, rounds:"
            f" {how.rounds}): about {show_duration(expected * sum(missing) / max(missing))} here. Points that are done"
            " survive an interruption."
        )
    for moment in wanted:
        there = prefix(images, times_N, moment)
        count = len(there)
        if count and count not in known:
            what = f"{count:,} images, those of the first {show_duration(moment)}"
            checkpoint = f"anytime-{count}-{how.epochs}-{how.judge_seed}-{how.engine}-{device}.ckpt"
            known[count] = judge.score(what, there, folder.root / checkpoint)
        ipc = count / challenge.classes
        done[moment] = AnytimePoint(seconds=moment, images=count, ipc=ipc, accuracy=known.get(count))
        found = found.model_copy(update={"points": [done[seconds] for seconds in sorted(done)]})
        found.save(folder.anytime)
    curve = [(point.seconds, point.worth(found.chance)) for point in found.points]
    found = found.model_copy(update={"area": area(curve, found.first_image_s, budget_s, found.chance)})
    found.save(folder.anytime)
    for leftover in folder.root.glob("anytime-*.ckpt"):
        leftover.unlink()
    charts.save_anytime(found, folder.anytime_plot)
    real = load_split(challenge, "train", data), denormalise(test, challenge)
    write_text(folder.report, report_of(folder, record, collected.pixels, *real))
    return found
