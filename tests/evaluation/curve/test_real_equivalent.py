import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.curve.curve import CurvePoint
from evaluation.curve.real_equivalent import RealEquivalent, real_equivalent

CHANCE = 0.1


def points(*means: float, spread: float = 0.0, rounds: int = 1) -> list[CurvePoint]:
    offsets = [spread * (number - (rounds - 1) / 2) for number in range(rounds)]
    return [
        CurvePoint(ipc, tuple(mean + offset for offset in offsets), 1000, 1.0)
        for ipc, mean in zip((1, 10, 100), means, strict=False)
    ]


def worth(accuracy: float, *means: float) -> float | None:
    found = real_equivalent(accuracy, None, points(*means), CHANCE)
    assert found is not None and found.ci95 is None
    return found.ipc


def test_without_points_nothing_is_known() -> None:
    assert real_equivalent(0.5, (0.4, 0.6), [], CHANCE) is None


def test_the_points_themselves() -> None:
    for point in points(0.2, 0.4, 0.6):
        assert worth(point.mean, 0.2, 0.4, 0.6) == pytest.approx(point.ipc)


def test_outside_the_points() -> None:
    assert worth(0.61, 0.2, 0.4, 0.6) is None
    assert worth(0.15, 0.2, 0.4, 0.6) == pytest.approx(0.5)
    assert worth(0.05, 0.2, 0.4, 0.6) == 0.0


@given(st.lists(st.floats(0.11, 0.9), min_size=3, max_size=3), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_accuracy_is_never_worth_less(means: list[float], one: float, other: float) -> None:
    low, high = (worth(accuracy, *means) for accuracy in sorted((one, other)))
    assert high is None or (low is not None and low <= high + 1e-9)


def test_the_interval_of_exact_curves_is_that_of_the_accuracy() -> None:
    exact = points(0.2, 0.4, 0.6, rounds=3)
    found = real_equivalent(0.5, (0.45, 0.55), exact, CHANCE)
    assert found is not None and found.ci95 == pytest.approx((worth(0.45, 0.2, 0.4, 0.6), worth(0.55, 0.2, 0.4, 0.6)))


@given(
    st.lists(st.floats(0.11, 0.9), min_size=3, max_size=3).map(sorted),
    st.floats(0.0, 1.0),
    st.floats(0.0, 0.1),
    st.floats(0.0, 0.05),
)
def test_the_interval_holds_the_value_and_grows_with_the_spread(
    means: list[float], accuracy: float, half: float, spread: float
) -> None:
    found = [
        real_equivalent(accuracy, (accuracy - half, accuracy + half), points(*means, spread=each, rounds=3), CHANCE)
        for each in (0.0, spread)
    ]
    narrow, wide = (_ends(each) for each in found)
    assert wide[0] <= narrow[0] + 1e-6 <= narrow[1] + 2e-6 <= narrow[2] + 3e-6 <= wide[2] + 4e-6


def test_a_single_round_borrows_the_spread_of_the_others() -> None:
    several = points(0.2, 0.4, spread=0.02, rounds=3)
    found = real_equivalent(0.3, (0.29, 0.31), [*several, CurvePoint(100, (0.6,), 1000, 1.0)], CHANCE)
    alone = real_equivalent(0.3, (0.29, 0.31), several, CHANCE)
    assert found and alone and (found.ipc, found.ci95, found.highest) == (alone.ipc, alone.ci95, 100)
    assert _ends(found)[0] < _ends(found)[2]
    assert real_equivalent(0.5, (0.4, 0.6), points(0.2, 0.4, 0.6), CHANCE) == RealEquivalent(
        worth(0.5, 0.2, 0.4, 0.6), None, 100
    )


def _ends(found: RealEquivalent | None) -> tuple[float, float, float]:
    """Low, value and high; infinite above the last point."""
    assert found is not None and found.ci95 is not None
    low, value, high = (float("inf") if end is None else end for end in (found.ci95[0], found.ipc, found.ci95[1]))
    return low, value, high


def test_the_std_that_a_single_round_borrows_is_pooled_with_its_degrees_of_freedom() -> None:
    # two points of three rounds with std 0.02: t(0.975; 2) = 4.302653 for each, t(0.975; 4) = 2.776445 for the single
    several, single = 4.302653 * 0.02 / 3**0.5, 2.776445 * 0.02
    rounds = [*points(0.2, 0.4, spread=0.02, rounds=3), CurvePoint(100, (0.6,), 1000, 1.0)]
    found = real_equivalent(0.6, (0.6, 0.6), rounds, CHANCE)
    assert found is not None and found.ci95 is not None
    assert found.ci95[0] == pytest.approx(10 ** (1 + (0.2 - several) / (0.2 + single - several)), rel=1e-5)
