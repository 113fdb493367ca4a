"""Judging a run's images, and random real images beside them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.data.subset import random_subset
from evaluation.judge.estimate import estimate
from evaluation.judge.protocol import Protocol
from evaluation.judge.score import Score, judge
from harness.records.record import AccuracyPart, BaselinePart
from harness.records.run_folder import RunFolder
from harness.report.console import Voice
from harness.run.options import RunOptions

# The baseline is for orientation beside the run's own rounds; one round keeps the cost of judging near one third more.
BASELINE_ROUNDS = 1
# SGD steps from which a judgement is long enough to be announced
WORTH_AN_ESTIMATE = 1_000
# the generator that is its own baseline
REAL = "real"


def judge_images(
    images: ImageSet | NormalisedSet,
    train: ImageSet | None,
    test: ImageSet | NormalisedSet,
    folder: RunFolder,
    options: RunOptions,
    device: str,
    voice: Voice,
) -> tuple[AccuracyPart, BaselinePart | None]:
    """The score of `images`, and that of as many random real training images per class under the same protocol.

    An interrupted judgement goes on from the run's checkpoints.
    """
    steps = options.rounds * Protocol(options.epochs).passes * Protocol().steps_per_pass(len(images))
    if steps > WORTH_AN_ESTIMATE:
        expected = estimate(
            len(images),
            options.challenge,
            engine=options.engine,
            rounds=options.rounds,
            epochs=options.epochs,
            device=device,
            test_images=len(test),
        )
        voice.say(expected.sentence(options.epochs, options.rounds))

    def judged(what: str, labelled: ImageSet | NormalisedSet, rounds: int, checkpoint: Path) -> Score:
        with voice.judging(what) as on_progress:
            return judge(
                labelled,
                test,
                options.challenge,
                engine=options.engine,
                rounds=rounds,
                epochs=options.epochs,
                judge_seed=options.judge_seed,
                device=device,
                on_progress=on_progress,
                checkpoint=checkpoint,
            )

    score = judged("the images", images, options.rounds, folder.checkpoint)
    if train is None or options.generator_name == REAL:
        return accuracy_part(score), None
    per_class = round(len(images) / options.challenge.classes)
    real = random_subset(train, max(1, per_class), options.judge_seed)
    real_score = judged("random real images beside them", real, BASELINE_ROUNDS, folder.baseline_checkpoint)
    baseline = BaselinePart(ipc=len(real) / options.challenge.classes, accuracy=accuracy_part(real_score))
    return accuracy_part(score), baseline


def accuracy_part(score: Score) -> AccuracyPart:
    return AccuracyPart.model_validate(asdict(score))
