"""`judge`: any labelled set in, a Score out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.base.images import ImageSet, NormalisedSet, normalise
from evaluation.judge.protocol import Progress, Round
from evaluation.judge.score import accuracy_interval, judge, student_interval
from tests.evaluation.small import SMALL, small_test, small_train


def test_three_rounds_make_an_interval() -> None:
    reports: list[Progress] = []
    score = judge(small_train(), small_test(), SMALL, rounds=3, epochs=4, on_progress=reports.append)
    assert len(score.rounds) == 3
    assert len(set(score.rounds)) > 1
    assert score.mean == pytest.approx(np.mean(score.rounds))
    assert score.std == pytest.approx(np.std(score.rounds, ddof=1))
    assert score.ci95 is not None
    low, high = score.ci95
    assert high - low == pytest.approx(2 * 4.302653 * score.std / 3**0.5)
    assert len(score.per_class) == 10
    assert (score.epochs, score.passes, score.preview) == (4, 5, True)
    assert score.deviations[0] == "Preview: 4 epochs instead of 1,000."
    assert reports[-1].passes == 15 and {report.rounds for report in reports} == {3}
    assert sorted({report.rounds_done for report in reports} - {0}) == [1, 2, 3]
    assert reports[-1].passes_done == 15
    assert all(report.loss > 0 for report in reports)


def test_one_round_has_no_interval() -> None:
    score = judge(small_train(), small_test(), SMALL, rounds=1, epochs=1)
    assert (score.std, score.ci95) == (None, None)
    assert "Preview: 1 of 3 rounds." in score.deviations


def test_a_seed_fixes_the_score_and_another_changes_it() -> None:
    first, again, other = (
        judge(small_train(), small_test(), SMALL, rounds=2, epochs=2, judge_seed=seed) for seed in (0, 0, 1)
    )
    assert replace(first, seconds=0) == replace(again, seconds=0)
    assert first.rounds != other.rounds


def test_images_normalised_by_others_score_the_same() -> None:
    train = small_train()
    floats = NormalisedSet(normalise(train.images, SMALL), train.labels)
    from_bytes, from_floats = (judge(s, small_test(), SMALL, rounds=1, epochs=3) for s in (train, floats))
    assert from_bytes.mean == pytest.approx(from_floats.mean, abs=0.01)


def test_a_class_without_training_images_works() -> None:
    train = small_train()
    keep = train.labels != 4
    score = judge(ImageSet(train.images[keep], train.labels[keep]), small_test(), SMALL, rounds=1, epochs=20)
    assert score.per_class[4] == 0
    assert score.mean > 0.3


def test_a_class_without_test_images_has_no_accuracy() -> None:
    test = small_test()
    keep = test.labels != 4
    score = judge(small_train(), ImageSet(test.images[keep], test.labels[keep]), SMALL, rounds=2, epochs=1)
    assert score.per_class[4] is None
    assert all(accuracy is not None for label, accuracy in enumerate(score.per_class) if label != 4)


def test_images_of_another_size_are_refused() -> None:
    wrong = ImageSet(np.zeros((2, 3, 8, 8), np.uint8), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match=r"8x8, but Digits is judged at 16x16"):
        judge(wrong, small_test(), SMALL, rounds=1, epochs=1)


def test_what_cannot_be_judged_is_refused() -> None:
    train = small_train(20)
    with pytest.raises(ValueError, match="set is empty"):
        judge(ImageSet(train.images[:0], train.labels[:0]), small_test(), SMALL)
    with pytest.raises(ValueError, match="classes 0 to 9"):
        judge(ImageSet(train.images, train.labels + 5), small_test(), SMALL)
    with pytest.raises(ValueError, match="rounds must be at least 1"):
        judge(train, small_test(), SMALL, rounds=0)
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        judge(train, small_test(), SMALL, epochs=0)


def test_students_interval_against_a_table() -> None:
    # t(0.975; 2) = 4.302653, t(0.975; 4) = 2.776445
    low, high = student_interval([0.1, 0.2, 0.3]) or (0.0, 0.0)
    assert (low, high) == pytest.approx((0.2 - 4.302653 * 0.1 / 3**0.5, 0.2 + 4.302653 * 0.1 / 3**0.5), abs=1e-6)
    assert student_interval([0.1]) is None


def test_round_is_plain_data() -> None:
    assert Round(1, 0.5, (None, 0.5), 1.0, 2) == Round(1, 0.5, (None, 0.5), 1.0, 2)


def test_the_interval_of_accuracies_stays_within_zero_and_one() -> None:
    assert accuracy_interval([0.1, 0.9]) == (0.0, 1.0)
    inside = [0.5, 0.51, 0.52]
    assert accuracy_interval(inside) == student_interval(inside)
    assert accuracy_interval([0.1]) is None


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_a_training_that_comes_to_nan_has_no_score(value: float, engine: str) -> None:
    floats = normalise(small_train().images, SMALL)
    floats[3, 0, 5, :] = value
    wild = NormalisedSet(floats, small_train().labels)
    with pytest.raises(ValueError, match=r"has come to NaN after pass 1, so there is no score: the images hold"):
        judge(wild, small_test(), SMALL, engine=engine, rounds=2, epochs=3)
