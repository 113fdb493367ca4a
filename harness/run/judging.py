"""Judging a run's images, and random real images beside them."""

from __future__ import annotations

from pathlib import Path

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, NormalisedSet
from evaluation.data.subset import random_subset
from evaluation.judge.estimate import Estimate, estimate
from evaluation.judge.protocol import Protocol
from evaluation.judge.score import Score, judge
from harness.records.anytime import How
from harness.records.record import BaselinePart
from harness.records.run_folder import RunFolder
from harness.report.console import Voice
from harness.run.options import RunOptions

# The baseline is a reference beside the run's own rounds; one round adds about a third to the cost of judging.
BASELINE_ROUNDS = 1
# SGD steps from which a judgement is long enough to be announced
WORTH_AN_ESTIMATE = 1_000
# the generator that is its own baseline
REAL = "real"

Images = ImageSet | NormalisedSet


def judge_images(
    images: Images,
    train: ImageSet | None,
    test: Images,
    folder: RunFolder,
    options: RunOptions,
    device: str,
    voice: Voice,
) -> tuple[Score, BaselinePart | None]:
    """The score of `images`, and that of as many random real training images per class under the same protocol.

    An interrupted judgement goes on from the run's checkpoints.
    """
    challenge = options.challenge
    how = How(engine=options.engine, epochs=options.epochs, rounds=options.rounds, judge_seed=options.judge_seed)
    if how.rounds * Protocol(how.epochs).passes * Protocol().steps_per_pass(len(images)) > WORTH_AN_ESTIMATE:
        voice.say(estimate_of(len(images), test, challenge, how, device).sentence(how.epochs, how.rounds))
    accuracy = judge_shown("the images", images, test, challenge, how, device, folder.checkpoint, voice)
    if train is None or options.generator_name == REAL:
        return accuracy, None
    per_class = round(len(images) / challenge.classes)
    real = random_subset(train, max(1, per_class), how.judge_seed)
    once = how.model_copy(update={"rounds": BASELINE_ROUNDS})
    beside = "random real images beside them"
    of_real = judge_shown(beside, real, test, challenge, once, device, folder.baseline_checkpoint, voice)
    return accuracy, BaselinePart(ipc=len(real) / challenge.classes, accuracy=of_real)


def estimate_of(images: int, test: Images, challenge: Challenge, how: How, device: str) -> Estimate:
    """How long judging so many images takes here."""
    return estimate(
        images,
        challenge,
        engine=how.engine,
        rounds=how.rounds,
        epochs=how.epochs,
        device=device,
        test_images=len(test),
    )


def judge_shown(
    what: str,
    images: Images,
    test: Images,
    challenge: Challenge,
    how: How,
    device: str,
    checkpoint: Path,
    voice: Voice,
) -> Score:
    """The score of `images`, with a progress bar that calls them `what`."""
    with voice.judging(what) as on_progress:
        return judge(
            images,
            test,
            challenge,
            engine=how.engine,
            rounds=how.rounds,
            epochs=how.epochs,
            judge_seed=how.judge_seed,
            device=device,
            on_progress=on_progress,
            checkpoint=checkpoint,
        )
