from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.base.images import ImageSet, NormalisedSet
from harness.records.anytime import Anytime, AnytimePoint, How, area, moments, prefix
from tests.harness.records.samples import accuracy

FRACTIONS = st.floats(0, 1)
SECONDS = st.floats(0, 100).map(lambda seconds: round(seconds, 6))  # no clock is finer
CURVES = st.lists(st.tuples(SECONDS, FRACTIONS), min_size=1, max_size=8, unique_by=lambda point: point[0]).map(sorted)


@given(st.lists(SECONDS, min_size=1, max_size=40), SECONDS, SECONDS)
def test_a_prefix_holds_what_was_written_by_then_and_grows(times: list[float], first: float, second: float) -> None:
    times_N = np.array(times)
    images = ImageSet(np.zeros((len(times), 3, 2, 2), np.uint8), np.arange(len(times)))
    early, late = sorted((first, second))
    before, after = (set(prefix(images, times_N, moment).labels.tolist()) for moment in (early, late))
    assert before == {number for number, seconds in enumerate(times) if seconds <= early}
    assert before <= after
    assert prefix(images, times_N, max(times)).labels.tolist() == images.labels.tolist()


def test_a_prefix_of_normalised_images_stays_normalised() -> None:
    images = NormalisedSet(np.zeros((2, 3, 2, 2), np.float32), np.array([4, 5]))
    assert prefix(images, np.array([1.0, 3.0]), 2.0).labels.tolist() == [4]


@given(st.integers(1, 20), st.floats(0.1, 1e5))
def test_moments_are_even_and_end_with_the_run(points: int, used_s: float) -> None:
    chosen = moments(None, points, used_s)
    assert len(chosen) == points and chosen[-1] == used_s
    assert all(b - a == pytest.approx(used_s / points) for a, b in pairwise((0.0, *chosen)))


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=9), st.floats(0.1, 100))
def test_moments_asked_for_are_kept_in_order_and_the_whole_run_is_among_them(at: list[float], used_s: float) -> None:
    chosen = moments(at, 5, used_s)
    assert list(chosen) == sorted(set(chosen))
    assert set(at) <= set(chosen) <= {*at, used_s}
    assert chosen[-1] >= used_s


@given(CURVES, SECONDS, st.floats(0.1, 150), FRACTIONS)
def test_the_area_is_a_mean(curve: list[tuple[float, float]], first_s: float, budget_s: float, chance: float) -> None:
    worths = [chance, *(worth for _, worth in curve)]
    assert min(worths) - 1e-9 <= area(curve, first_s, budget_s, chance) <= max(worths) + 1e-9


@given(CURVES, SECONDS, st.floats(0.1, 150), st.floats(0.01, 50))
def test_the_area_knows_no_unit_of_time(
    curve: list[tuple[float, float]], first_s: float, budget_s: float, scale: float
) -> None:
    stretched = [(seconds * scale, worth) for seconds, worth in curve]
    assert area(stretched, first_s * scale, budget_s * scale, 0.1) == pytest.approx(area(curve, first_s, budget_s, 0.1))


@given(CURVES, SECONDS, st.floats(0.1, 150), st.integers(0, 7), FRACTIONS)
def test_a_better_point_never_makes_the_area_smaller(
    curve: list[tuple[float, float]], first_s: float, budget_s: float, which: int, worth: float
) -> None:
    seconds, before = curve[which % len(curve)]
    better = [*curve]
    better[which % len(curve)] = (seconds, max(before, worth))
    assert area(better, first_s, budget_s, 0.1) >= area(curve, first_s, budget_s, 0.1) - 1e-9


@pytest.mark.parametrize(
    ("curve", "first_s", "budget_s", "expected"),
    [
        ([(10.0, 0.5)], 0.0, 10.0, 0.3),  # a line from chance
        ([(10.0, 0.5)], 10.0, 20.0, 0.1),  # the first image comes with the point itself: chance for ever
        ([(5.0, 0.5)], 0.0, 10.0, 0.4),  # level after the last
        ([(2.0, 0.1), (4.0, 0.5)], 2.0, 4.0, 0.2),  # chance until the first image
        ([(4.0, 0.5), (8.0, 0.9)], 0.0, 4.0, 0.3),  # what comes after the budget is not in it
    ],
)
def test_areas_by_hand(curve: list[tuple[float, float]], first_s: float, budget_s: float, expected: float) -> None:
    assert area(curve, first_s, budget_s, 0.1) == pytest.approx(expected)


def test_the_file_comes_back_and_anything_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "anytime.json"
    assert Anytime.load(path) is None
    curve(area=0.5).save(path)
    assert Anytime.load(path) == curve(area=0.5)
    path.write_text("{}")
    with pytest.raises(ValueError, match="remove it"):
        Anytime.load(path)


def curve(area: float | None) -> Anytime:
    return Anytime(
        dataset="digits",
        images_hash="x",
        budget_s=60.0,
        used_s=40.0,
        first_image_s=3.0,
        chance=0.1,
        how=How(engine="fast", epochs=1000, rounds=3, judge_seed=0),
        points=[
            AnytimePoint(seconds=2.0, images=0, ipc=0.0, accuracy=None),
            AnytimePoint(seconds=40.0, images=20, ipc=2.0, accuracy=accuracy()),
        ],
        area=area,
    )
