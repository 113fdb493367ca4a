"""`anytime`: judge what a finished run had at each moment, so that one sees whether less time would have done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.device import resolve_device
from evaluation.base.durations import show_duration
from evaluation.base.images import ImageSet, NormalisedSet, to_pixels
from evaluation.data.datasets import load_split
from evaluation.judge.estimate import estimate
from evaluation.judge.protocol import FULL_EPOCHS, FULL_ROUNDS
from evaluation.judge.score import judge
from harness.records.anytime import Anytime, AnytimePoint, How, area, moments, prefix
from harness.records.record import AccuracyPart, Record
from harness.records.run_folder import RunFolder
from harness.report import charts
from harness.report.console import Voice
from harness.report.page import write_report
from harness.report.sentences import percent
from harness.run.collect import image_times, recollect
from harness.run.judging import accuracy_part

ENGINE = "fast"
# what a file system may round times by
TIMES_AGREE_S = 2.0


@dataclass(frozen=True)
class AnytimeOptions:
    """What a user asked of `anytime`; None stands for how the run itself was judged, else for the protocol.

    Attributes:
        run: folder of a finished run.
        at: moments in seconds; None for `points` of them, evenly spread over the time used.
        data: folder of the real data sets.
    """

    run: Path
    at: tuple[float, ...] | None = None
    points: int = 5
    epochs: int | None = None
    rounds: int | None = None
    judge_seed: int | None = None
    device: str = "auto"
    data: Path | None = None

    def __post_init__(self) -> None:
        for name, number in (("--points", self.points), ("--epochs", self.epochs), ("--rounds", self.rounds)):
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, not {number}")


def anytime(options: AnytimeOptions, voice: Voice) -> Anytime:
    """Judge the prefixes of a run; each point is saved as it is done, and one that is there is not judged again.

    Raises:
        ValueError: there is no finished run with images, a moment lies beyond its budget, or the files have lost
            their times.
    """
    folder = RunFolder(options.run.resolve())
    record = Record.load(folder.record)
    if record.clock is None or not record.images:
        raise ValueError(f"the run in {options.run} left no images to judge; give one that did")
    budget_s, challenge = record.budget_s, get_challenge(record.dataset)
    if options.at and max(options.at) > budget_s:
        raise ValueError(f"--at names {max(options.at):g} s, but the run's budget was {budget_s:g} s; stay within it")
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
    test = load_split(challenge, "test", options.data)
    how = how_to_judge(options, record)
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
    points = known_points(Anytime.load(folder.anytime), record, how)
    known = known_accuracies(points.values(), record, how)
    wanted = moments(options.at, options.points, used_s)
    voice.log_to(folder.log)
    device = resolve_device(options.device)
    _announce([int(np.sum(times_N <= moment)) for moment in wanted], known, test, challenge, how, device, voice)
    for moment in wanted:
        there = prefix(images, times_N, moment)
        if len(there) and len(there) not in known:
            known[len(there)] = _judge(there, test, challenge, how, device, folder, voice, moment)
        accuracy = known[len(there)] if len(there) else None
        ipc = len(there) / challenge.classes
        points[moment] = AnytimePoint(seconds=moment, images=len(there), ipc=ipc, accuracy=accuracy)
        found = found.model_copy(update={"points": [points[seconds] for seconds in sorted(points)]})
        found.save(folder.anytime)
    curve = [(point.seconds, point.worth(found.chance)) for point in found.points]
    found = found.model_copy(update={"area": area(curve, found.first_image_s, budget_s, found.chance)})
    found.save(folder.anytime)
    for checkpoint in folder.root.glob("anytime-*.ckpt"):
        checkpoint.unlink()
    charts.save_anytime(found, folder.anytime_plot)
    train = load_split(challenge, "train", options.data)
    write_report(folder.report, record, collected.pixels, train, to_pixels(test, challenge))
    return found


def how_to_judge(options: AnytimeOptions, record: Record) -> How:
    """As asked, else as the run was judged, else as the protocol says."""
    before = record.accuracy
    return How(
        engine=before.engine if before else ENGINE,
        epochs=options.epochs or (before.epochs if before else FULL_EPOCHS),
        rounds=options.rounds or (len(before.rounds) if before else FULL_ROUNDS),
        judge_seed=options.judge_seed if options.judge_seed is not None else before.judge_seed if before else 0,
    )


def known_points(before: Anytime | None, record: Record, how: How) -> dict[float, AnytimePoint]:
    """The points measured before, by their seconds, where they are of the same images judged in the same way."""
    if before is None or before.images_hash != record.images_hash or before.how != how:
        return {}
    return {point.seconds: point for point in before.points}


def known_accuracies(points: Iterable[AnytimePoint], record: Record, how: How) -> dict[int, AccuracyPart]:
    """Accuracies that need no judging, by the number of images, which is enough to name a prefix."""
    known = {point.images: point.accuracy for point in points if point.accuracy}
    if (whole := record.accuracy) and how == How(
        engine=whole.engine, epochs=whole.epochs, rounds=len(whole.rounds), judge_seed=whole.judge_seed
    ):
        known[record.images] = whole
    return known


def _announce(
    counts: Sequence[int],
    known: dict[int, AccuracyPart],
    test: ImageSet | NormalisedSet,
    challenge: Challenge,
    how: How,
    device: str,
    voice: Voice,
) -> None:
    """How long the judging will take, from what the largest prefix would."""
    missing = {count for count in counts if count and count not in known}
    if not missing:
        return
    largest = max(missing)
    expected = estimate(
        largest,
        challenge,
        engine=how.engine,
        rounds=how.rounds,
        epochs=how.epochs,
        device=device,
        test_images=len(test),
    )
    seconds = expected.seconds(how.epochs, how.rounds) * sum(missing) / largest
    voice.say(
        f"{len(missing)} prefixes of up to {largest:,} images to judge ({how.epochs:,} epochs, rounds: {how.rounds}):"
        f" about {show_duration(seconds)} here. An interruption loses no point that is done."
    )


def _judge(
    there: ImageSet | NormalisedSet,
    test: ImageSet | NormalisedSet,
    challenge: Challenge,
    how: How,
    device: str,
    folder: RunFolder,
    voice: Voice,
    moment: float,
) -> AccuracyPart:
    with voice.judging(f"{len(there):,} images, those of the first {show_duration(moment)}") as on_progress:
        score = judge(
            there,
            test,
            challenge,
            engine=how.engine,
            rounds=how.rounds,
            epochs=how.epochs,
            judge_seed=how.judge_seed,
            device=device,
            on_progress=on_progress,
            checkpoint=folder.root / f"anytime-{len(there)}-{how.epochs}-{how.judge_seed}-{how.engine}-{device}.ckpt",
        )
    return accuracy_part(score)


def show_anytime(found: Anytime, run: Path, voice: Voice) -> None:
    """A table and the area, or with `--json` what the file holds."""
    if voice.as_json:
        print(found.to_json())
        return
    from rich.table import Table

    table = Table("after", "images", "IPC", "accuracy", "95% interval", box=None, pad_edge=False, header_style="bold")
    for point in found.points:
        interval = "chance: no image yet" if point.accuracy is None else "one round, no interval"
        if point.accuracy and point.accuracy.ci95:
            interval = "{:.2f} to {:.2f}".format(*(100 * end for end in point.accuracy.ci95))
        accuracy = percent(point.worth(found.chance))
        table.add_row(show_duration(point.seconds), f"{point.images:,}", f"{point.ipc:.1f}", accuracy, interval)
    voice.console.print(table)
    assert found.area is not None, "every point is measured"
    voice.say(
        f"Area under the curve: {100 * found.area:.2f}%, the mean accuracy over the {found.budget_s:g} s of the budget;"
        f" the whole run has {100 * found.points[-1].worth(found.chance):.2f}%."
    )
    if found.preview:
        voice.say(f"A preview: {found.how.epochs:,} epochs, rounds: {found.how.rounds}.")
    voice.say(f"Plot: {run / 'anytime.png'}; the run's report shows it too.")
