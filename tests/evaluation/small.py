"""Small real sets for the judge's tests: scikit-learn's digits at 16x16 pixels, where a step takes milliseconds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from sklearn.datasets import load_digits

from evaluation.base.challenge import Challenge, get_challenge
from evaluation.base.images import ImageSet

SMALL: Challenge = replace(get_challenge("digits"), size=16)


@cache
def _digits() -> ImageSet:
    bunch = load_digits()
    grey_NHW = (bunch.images * (255 / 16)).round().astype(np.uint8)
    images = grey_NHW[:, None].repeat(3, axis=1).repeat(2, axis=2).repeat(2, axis=3)
    return ImageSet(images, bunch.target.astype(np.int64))


def small_train(images: int = 200) -> ImageSet:
    return ImageSet(_digits().images[:images], _digits().labels[:images])


def small_test(images: int = 300) -> ImageSet:
    return ImageSet(_digits().images[-images:], _digits().labels[-images:])
