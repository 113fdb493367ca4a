"""When the gate says regression, passed, improved and not enough evidence, and how often it is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.compare.gate import WANTED_POWER, Verdict, judge_gate
from tests.harness.compare.measurements import measurement

STEADY = {1: (0.60, 0.61, 0.62, 0.60, 0.61), 5: (0.80, 0.81, 0.79, 0.80, 0.81)}


def moved(points: float, noise: float = 0.002, seed: int = 0) -> dict[int, tuple[float, ...]]:
    """`STEADY` with so many percentage points more, and noise."""
    draw = np.random.default_rng(seed)
    return {
        ipc: tuple(float(each + points / 100 + draw.normal(0, noise)) for each in rounds)
        for ipc, rounds in STEADY.items()
    }


def verdicts(**options: Any) -> dict[str, Verdict]:
    return {row.name: row.verdict for row in judge_gate(**options).rows}


def test_the_same_numbers_pass() -> None:
    gate = judge_gate(measurement(STEADY), measurement(STEADY))
    assert gate.verdict is Verdict.PASSED
    assert {row.verdict for row in gate.rows} == {Verdict.PASSED}
    assert "every round has the accuracy that it had" in {row.sentence for row in gate.rows}


@pytest.mark.parametrize(
    ("points", "verdict"),
    [(-5.0, Verdict.REGRESSION), (-0.5, Verdict.PASSED), (3.0, Verdict.IMPROVED)],
)
def test_a_change_beyond_the_margin_is_told_from_one_within(points: float, verdict: Verdict) -> None:
    assert judge_gate(measurement(STEADY), measurement(moved(points))).verdict is verdict
    assert judge_gate(measurement(STEADY), measurement(moved(points), judge_seed=1)).verdict is verdict


def test_noise_beyond_the_margin_is_no_evidence_either_way() -> None:
    noisy = measurement(moved(-1.5, noise=0.05), judge_seed=1)
    assert judge_gate(measurement(STEADY), noisy).verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_a_drop_at_one_ipc_is_a_regression() -> None:
    dropped = {1: STEADY[1], 5: tuple(each - 0.04 for each in moved(0)[5])}
    found = verdicts(before=measurement(STEADY), after=measurement(dropped))
    assert found["accuracy at IPC 1"] is Verdict.PASSED
    assert found["accuracy at IPC 5"] is Verdict.REGRESSION


def test_one_round_is_not_enough() -> None:
    gate = judge_gate(measurement({1: (0.6,)}), measurement({1: (0.5,)}))
    assert gate.verdict is Verdict.NOT_ENOUGH_EVIDENCE and not gate.sentences


def test_fewer_images_are_a_regression() -> None:
    after = measurement({1: STEADY[1]}, ipc=2.0, least=2)
    found = verdicts(before=measurement(STEADY), after=after)
    assert found["accuracy at IPC 5"] is found["images per class"] is Verdict.REGRESSION
    uneven = measurement(STEADY, least=4)
    assert verdicts(before=measurement(STEADY), after=uneven)["images per class"] is Verdict.REGRESSION


@pytest.mark.parametrize(
    ("ipc", "label", "verdict"),
    [(45.0, "here", Verdict.PASSED), (30.0, "here", Verdict.REGRESSION), (30.0, "there", Verdict.NOT_COMPARED)],
)
def test_images_within_the_clock_are_compared_on_one_machine(ipc: float, label: str, verdict: Verdict) -> None:
    before = measurement(STEADY, ended_by="clock", ipc=50.0, least=50)
    after = measurement(STEADY, ended_by="clock", ipc=ipc, least=int(ipc), machine={"label": label})
    assert verdicts(before=before, after=after)["images per class"] is verdict


def test_the_lowest_accuracy_allowed() -> None:
    same = {"before": measurement(STEADY), "after": measurement(STEADY)}
    assert judge_gate(**same, min_accuracy=80.0).verdict is Verdict.PASSED
    assert judge_gate(**same, min_accuracy=81.0).verdict is Verdict.REGRESSION


def test_images_per_second_count_relative_to_the_machine() -> None:
    def at(speed: float, images_per_s: float) -> Any:
        return measurement(STEADY, calibration={"matmul": speed, "host": speed}, images_per_s=images_per_s)

    name = "images per second"
    assert verdicts(before=at(1, 10), after=at(0.5, 5), throughput=True)[name] is Verdict.PASSED
    assert verdicts(before=at(1, 10), after=at(1, 5), throughput=True)[name] is Verdict.REGRESSION
    assert verdicts(before=at(1, 10), after=at(2, 10), throughput=True)[name] is Verdict.REGRESSION
    with pytest.raises(ValueError, match="--update --throughput"):
        judge_gate(at(1, 10), measurement(STEADY), throughput=True)


def test_the_rounds_that_a_drop_takes_are_said() -> None:
    after = measurement(moved(0, noise=0.01), judge_seed=1)
    first, second = judge_gate(measurement(STEADY), after).sentences
    assert "With 5 rounds a drop of 2 points is ruled out in" in first
    counts = [int(part.rsplit(" ", 1)[1]) for part in second.rstrip(".").split(": ")[1].split(", ")]
    assert counts[0] > counts[1] > counts[2] >= 2, "a smaller drop takes more rounds"


def test_an_ipc_with_much_chance_gives_no_false_alarm() -> None:
    """As on digits: at IPC 1 rounds scatter by 2 points, so that a difference beyond the margin is no surprise."""
    draw, alarms = np.random.default_rng(4), 0
    for _ in range(400):
        drawn = ({1: tuple(draw.normal(0.62, 0.02, 8)), 5: tuple(draw.normal(0.88, 0.01, 8))} for _ in range(2))
        before, after = drawn
        alarms += judge_gate(measurement(before), measurement(after, judge_seed=1)).verdict is Verdict.REGRESSION
    assert alarms <= 2


@pytest.mark.parametrize("fresh", [False, True])
def test_how_often_it_is_wrong(fresh: bool) -> None:
    """At the rounds that it names for its margin: no false alarm, and what it promises of passing and seeing."""
    draw = np.random.default_rng(3)
    counted: dict[float, list[Verdict]] = {0.0: [], -4.0: []}
    for points, found in counted.items():
        for _ in range(200):
            a, b = ({ipc: draw.normal(0.7, 0.012, 6) for ipc in (1, 2, 5)} for _ in range(2))
            worse = {ipc: tuple(rounds + points / 100) for ipc, rounds in b.items()}
            before = measurement({ipc: tuple(rounds) for ipc, rounds in a.items()})
            found.append(judge_gate(before, measurement(worse, judge_seed=int(fresh))).verdict)
    unchanged, dropped = counted[0.0], counted[-4.0]
    assert unchanged.count(Verdict.REGRESSION) <= 4
    assert unchanged.count(Verdict.PASSED) + unchanged.count(Verdict.IMPROVED) >= WANTED_POWER * 200
    assert dropped.count(Verdict.REGRESSION) >= WANTED_POWER * 200
