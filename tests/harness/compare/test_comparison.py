"""Which measurements go against which, and how sure one can be."""

from __future__ import annotations

import pytest

from harness.compare.comparison import compare
from harness.compare.sides import Measured, Place, Side


def measured(*rounds: float, seed: int = 0, ipc: float = 1.0, judge: int = 0) -> Measured:
    return Measured(seed, ipc, {("fast", 100 * judge + number): each for number, each in enumerate(rounds)})


def side(name: str, **places: list[Measured]) -> Side:
    """Places of digits by limit, 20 epochs each."""
    return Side(name, "x", {Place("digits", 20, limit): found for limit, found in places.items()})


def test_places_of_both_are_compared_and_others_left_out() -> None:
    a = side("a", one=[measured(0.5, 0.6)], two=[measured(0.7, 0.8)])
    b = side("b", two=[measured(0.6, 0.72)], three=[measured(0.9, 0.9)])
    (found,) = compare([a, b])
    assert found.place.limit == "two" and found.difference.estimate == pytest.approx(-0.09)
    assert found.is_below(-8.9) and not found.is_below(-9.1)


def test_single_places_go_together_whatever_their_limits() -> None:
    (found,) = compare([side("a", short=[measured(0.5, 0.6)]), side("b", long=[measured(0.6, 0.75, ipc=9.0)])])
    assert (found.place.limit, found.limit_b) == ("short", "long")
    assert found.mean_b.ipc == 9.0


def test_other_epochs_are_never_compared() -> None:
    b = Side("b", "x", {Place("digits", 1000, "one"): [measured(0.9)]})
    with pytest.raises(ValueError, match="a and b have nothing in common"):
        compare([side("a", one=[measured(0.5)]), b])


def test_several_seeds_count_as_seeds() -> None:
    a = [measured(0.5, 0.6, seed=seed, judge=seed) for seed in range(3)]
    b = [measured(0.7, 0.6 + seed / 100, seed=seed, judge=seed) for seed in range(3)]
    (found,) = compare([side("a", one=a), side("b", one=b)])
    assert found.mean_a.unit == "seeds" and found.mean_a.n == 3
    assert found.difference.paired and found.difference.n == (3, 3)


def test_p_values_are_corrected_for_their_number() -> None:
    a, b = measured(0.5, 0.6, 0.55), measured(0.52, 0.63, 0.58)
    (alone,) = compare([side("a", one=[a]), side("b", one=[b])])
    first, second, single = compare(
        [side("a", one=[a]), side("b", one=[b]), side("c", one=[b]), side("d", one=[measured(0.7)])]
    )
    assert alone.p_corrected == alone.difference.p is not None
    assert first.p_corrected == second.p_corrected == pytest.approx(2 * (alone.p_corrected or 0))
    assert single.p_corrected is None and single.difference.ci95 is None
