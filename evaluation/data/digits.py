"""Digits: scikit-learn's handwritten digits, a challenge that needs no download and takes a minute."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet

TRAINING_IPC = 120  # the other 597 of the 1,797 images are the test split


def load(split: Literal["train", "test"], challenge: Challenge) -> ImageSet:
    """A fixed stratified split: the first 120 of each class in an order drawn with seed 0 train, the rest test.

    The 8 x 8 values 0..16 become 0..255, are resampled to the challenge's size (bicubic) and repeated over RGB.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    draw = np.random.RandomState(0)
    part = slice(None, TRAINING_IPC) if split == "train" else slice(TRAINING_IPC, None)
    chosen = np.concatenate([draw.permutation(np.flatnonzero(digits.target == d))[part] for d in range(10)])
    grey = np.rint(digits.images[chosen] * (255 / 16)).astype(np.uint8)
    size = (challenge.size, challenge.size)
    large = np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in grey])
    images = np.ascontiguousarray(np.broadcast_to(large[:, None], (len(large), 3, *size)))
    return ImageSet(images, digits.target[chosen].astype(np.int64))
