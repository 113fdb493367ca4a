"""The real training images that a generator is given."""

from __future__ import annotations

import numpy as np

from evaluation.base.images import ImageSet
from submission.contract.generator import LoadContext


def read_training_images(context: LoadContext) -> ImageSet:
    """All images of the challenge's training split, as the harness stored them for the generator's process."""
    assert context.training_images is not None, "the job of a generator that needs training images names them"
    with np.load(context.training_images, allow_pickle=False) as stored:
        return ImageSet(stored["images"], stored["labels"])
