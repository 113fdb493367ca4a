from typing import Any

import pytest

from benchmarks.card_equivalence import check
from harness.records.record import OtherCardPart, Record
from tests.harness.records.samples import record


def by_the_clock(images: int, **changes: Any) -> Record:
    clock = record().clock
    assert clock is not None
    return record(images=images, clock=clock.model_copy(update={"ended_by": "clock"}), **changes)


def estimate(images: int) -> Record:
    told = {"as": "rtx4090", "ratio": 2.0, "interval": (1.0, 4.0), "budget": 60.0, "scaled_budget": 30.0}
    return by_the_clock(images, other_card=OtherCardPart.model_validate({**told, "device": "cuda", "parts": {}}))


@pytest.mark.parametrize(("made", "inside"), [(100, True), (50, True), (200, True), (49, False), (201, False)])
def test_the_cards_own_images_lie_in_the_interval_or_not(made: int, inside: bool) -> None:
    found = check(estimate(100), by_the_clock(made))
    assert (found.low, found.high, found.inside) == (50.0, 200.0, inside)
    assert found.error == pytest.approx(100 / made - 1)


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        (by_the_clock(10), by_the_clock(10), "no estimate"),
        (estimate(10), estimate(10), "without --as"),
        (estimate(10), by_the_clock(10, budget_s=30.0), "budget"),
        (estimate(10), by_the_clock(10, generator="real"), "generator"),
        (estimate(0), by_the_clock(10), "no images"),
        (estimate(10), record(images=10), "--ipc none"),
    ],
)
def test_runs_that_do_not_compare_are_refused(one: Record, other: Record, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check(one, other)
