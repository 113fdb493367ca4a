"""What the judge's network would learn from images, in seconds: to watch a training, never to report."""

from __future__ import annotations

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.judge.score import judge

EPOCHS = 20


def quick_accuracy(made: ImageSet, held_out: ImageSet, challenge: Challenge, device: str) -> float:
    """Accuracy on held-out training images after one short training on `made`: a share in [0, 1]."""
    return judge(made, held_out, challenge, rounds=1, epochs=EPOCHS, device=device).mean
