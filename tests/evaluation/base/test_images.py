import numpy as np

from evaluation.base.challenge import get_challenge
from evaluation.base.images import balanced_split, first_of_each
from evaluation.data.datasets import load_split

TRAIN = load_split(get_challenge("digits"), "train", None)


def test_the_first_of_each_class() -> None:
    few = first_of_each(TRAIN, 3)
    assert np.bincount(few.labels).tolist() == [3] * 10
    np.testing.assert_array_equal(few.images[few.labels == 4], TRAIN.images[TRAIN.labels == 4][:3])


def test_what_is_held_out_is_balanced_and_in_no_other_part() -> None:
    rest, held = balanced_split(TRAIN, fraction=0.2, maximum=1000)
    assert len(rest) + len(held) == len(TRAIN)
    assert len(set(np.bincount(held.labels).tolist())) == 1
    assert np.bincount(held.labels)[0] == int(0.2 * np.bincount(TRAIN.labels).min())
    pixels = {image.tobytes() for image in rest.images}
    assert sum(image.tobytes() in pixels for image in held.images) <= 2  # the data set's own repeats
    assert len(balanced_split(TRAIN, fraction=0.2, maximum=30)[1]) == 30
