"""The simulation against what can be worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cluster.simulation import Assumed, Measured, Simulation, summary, table

NOTHING = Measured(run_bytes=0, results_bytes=0, head_s=0.0)
NEVER = 1e12
PER_RUN_S = 600 + 3 * 40 + 5 * 10 + 2 * 20


def simulated(cards: int, submissions: int, measured: Measured = NOTHING, **assumed: float) -> Simulation:
    made = Simulation(cards, submissions, measured, Assumed(**{"hours_between_failures": NEVER, **assumed}))  # type: ignore[arg-type]
    made.run()
    return made


def test_one_card_does_one_thing_after_the_other() -> None:
    made = simulated(1, 5)
    assert made.done == 5 and made.now == pytest.approx(5 * PER_RUN_S)
    assert made.spent["generating"] == pytest.approx(5 * 600) and made.spent["idle"] == pytest.approx(0)


def test_many_cards_share_the_work() -> None:
    made = simulated(10, 1000)
    assert made.now == pytest.approx(100 * PER_RUN_S, rel=0.02)


def test_a_slow_head_is_the_bottleneck() -> None:
    made = simulated(1000, 500, Measured(run_bytes=0, results_bytes=0, head_s=10.0))
    assert made.now > 500 * 10
    assert summary(made)["share_of_time_the_head_packs"] > 0.8


def test_a_slow_link_is_the_bottleneck() -> None:
    made = simulated(1000, 100, Measured(run_bytes=10**9, results_bytes=0, head_s=0.0), head_bytes_per_s=1e8)
    assert made.now > 100 * 5 * 10
    assert summary(made)["share_of_time_its_link_is_busy"] > 0.8


def test_failures_come_at_their_rate_and_cost_what_they_take() -> None:
    made = simulated(50, 2000, hours_between_failures=1.0)
    busy_hours = (sum(made.spent.values()) - made.spent["idle"] - made.spent["repairing"]) / 3600
    assert made.done == 2000 and made.failures == pytest.approx(busy_hours, rel=0.2)
    assert made.spent["repairing"] == pytest.approx(900 * made.failures)


@given(st.integers(1, 12), st.integers(1, 20), st.floats(0.2, 100))
def test_every_second_of_every_card_is_accounted_for(cards: int, submissions: int, hours: float) -> None:
    made = simulated(cards, submissions, hours_between_failures=hours)
    row = summary(made)
    assert made.done == submissions
    assert made.spent["idle"] >= -1e-6 * made.now
    assert sum(row["share_of_card_time"].values()) == pytest.approx(1, abs=1e-3)
    assert f"| {cards:,} |" in table([row])
