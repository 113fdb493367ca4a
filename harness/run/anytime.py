"""Accuracy by the seconds used: judge what a finished run had on disk at each moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from evaluation.base.challenge import get_challenge
from evaluation.base.durations import show_duration
from evaluation.base.images import to_pixels
from evaluation.data.datasets import load_split
from evaluation.judge.score import Score
from harness.records.anytime import Anytime, AnytimePoint, How, area, moments, prefix
from harness.records.record import Record
from harness.records.run_folder import RunFolder
from harness.report import charts
from harness.report.console import Voice
from harness.report.run_page import write_report
from harness.run.collect import image_times, recollect
from harness.run.judging import estimate_of, judge_shown

# what a file system may round times by
TIMES_AGREE_S = 2.0


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
    collected = recollect(folder.images, challenge, record.images_hash)
    assert collected.contents is not None, "the record has counted images"
    images = collected.contents.images
    started_at = datetime.fromisoformat(record.clock.started_at)
    times_N = image_times(folder.images, collected.contents.paths, started_at)
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
    done = known_points(Anytime.load(folder.anytime), record, how)
    known = known_accuracies(done.values(), record, how)
    wanted = moments(at, points, used_s)
    voice.log_to(folder.log)
    missing = {count for moment in wanted if (count := int(np.sum(times_N <= moment))) and count not in known}
    if missing:
        expected = estimate_of(max(missing), test, challenge, how, device).seconds(how.epochs, how.rounds)
        voice.say(
            f"{len(missing)} prefixes of up to {max(missing):,} images to judge ({how.epochs:,} epochs, rounds:"
            f" {how.rounds}): about {show_duration(expected * sum(missing) / max(missing))} here. Points that are done"
            " survive an interruption."
        )
    for moment in wanted:
        there = prefix(images, times_N, moment)
        if len(there) and len(there) not in known:
            what = f"{len(there):,} images, those of the first {show_duration(moment)}"
            checkpoint = f"anytime-{len(there)}-{how.epochs}-{how.judge_seed}-{how.engine}-{device}.ckpt"
            known[len(there)] = judge_shown(what, there, test, challenge, how, device, folder.root / checkpoint, voice)
        accuracy = known[len(there)] if len(there) else None
        ipc = len(there) / challenge.classes
        done[moment] = AnytimePoint(seconds=moment, images=len(there), ipc=ipc, accuracy=accuracy)
        found = found.model_copy(update={"points": [done[seconds] for seconds in sorted(done)]})
        found.save(folder.anytime)
    curve = [(point.seconds, point.worth(found.chance)) for point in found.points]
    found = found.model_copy(update={"area": area(curve, found.first_image_s, budget_s, found.chance)})
    found.save(folder.anytime)
    for leftover in folder.root.glob("anytime-*.ckpt"):
        leftover.unlink()
    charts.save_anytime(found, folder.anytime_plot)
    train = load_split(challenge, "train", data)
    write_report(folder.report, record, collected.pixels, train, to_pixels(test, challenge))
    return found


def known_points(before: Anytime | None, record: Record, how: How) -> dict[float, AnytimePoint]:
    """The points measured before, by their seconds, where they are of the same images judged in the same way."""
    if before is None or before.images_hash != record.images_hash or before.how != how:
        return {}
    return {point.seconds: point for point in before.points}


def known_accuracies(points: Iterable[AnytimePoint], record: Record, how: How) -> dict[int, Score]:
    """Accuracies that need no judging, by the number of images, which is enough to name a prefix."""
    known = {point.images: point.accuracy for point in points if point.accuracy}
    if (whole := record.accuracy) and how == How(
        engine=whole.engine, epochs=whole.epochs, rounds=len(whole.rounds), judge_seed=whole.judge_seed
    ):
        known[record.images] = whole
    return known
