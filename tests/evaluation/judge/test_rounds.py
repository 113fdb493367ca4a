"""Rounds side by side are the same rounds, whatever interrupts them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evaluation.curve.curve import CurvePoint, Supply, measure_point
from evaluation.judge import parallel_rounds, progress, rounds
from evaluation.judge.checkpoint import Checkpoint, load_checkpoint
from evaluation.judge.convnet import seeded_convnet
from evaluation.judge.parallel_rounds import Lanes, LaneStoppedError, SharedClock
from evaluation.judge.protocol import Progress
from evaluation.judge.score import Score, judge
from tests.evaluation.small import SMALL, small_test, small_train

CPU = torch.device("cpu")


def judged(count: int = 4, checkpoint: Path | None = None, stop_at: int | None = None) -> Score:
    """Rounds of four passes; interrupted by its own progress report after `stop_at` passes of all rounds together."""

    def stop(progress: Progress) -> None:
        if stop_at and progress.passes_done >= stop_at:
            raise TimeoutError

    score = judge(
        small_train(100), small_test(), SMALL, rounds=count, epochs=3, checkpoint=checkpoint, on_progress=stop
    )
    return replace(score, seconds=0)


@pytest.fixture
def one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_rounds, "AT_ONCE", 1)


@pytest.fixture
def saving_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "REPORT_EVERY_S", 0.0)


@pytest.mark.usefixtures("three_torch_threads")
def test_side_by_side_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    side_by_side = judged()
    assert torch.get_num_threads() == 3, "PyTorch has its threads back"
    monkeypatch.setattr(parallel_rounds, "AT_ONCE", 1)
    assert judged() == side_by_side
    assert len(set(side_by_side.rounds)) > 1


@pytest.mark.usefixtures("three_torch_threads")
def test_lanes_are_for_the_fast_engine_on_several_cores() -> None:
    for count, engine, device, expected in (
        (30, "fast", "cpu", 3),
        (2, "fast", "cpu", 2),
        (1, "fast", "cpu", 1),
        (3, "reference", "cpu", 1),
        (3, "fast", "cuda", 1),
    ):
        some = Lanes(count, engine, torch.device(device))
        assert some.count == expected
        some.close()
    torch.set_num_threads(1)
    assert Lanes(3, "fast", CPU).count == 1


@pytest.mark.usefixtures("three_torch_threads", "saving_every_step")
@pytest.mark.parametrize("stop_at", [2, 7, 13])
def test_interrupted_side_by_side_and_resumed_equals_uninterrupted(tmp_path: Path, stop_at: int) -> None:
    file = tmp_path / "judge.checkpoint"
    with pytest.raises(TimeoutError):
        judged(checkpoint=file, stop_at=stop_at)
    assert judged(checkpoint=file) == judged()
    assert [path.name for path in tmp_path.iterdir()] == ["judge.checkpoint"]


@pytest.mark.usefixtures("three_torch_threads", "saving_every_step")
def test_a_checkpoint_holds_all_rounds_at_work_and_fewer_may_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, at_work = tmp_path / "judge.checkpoint", []
    save = rounds.save_checkpoint

    def counted(path: Path, fingerprint: str, checkpoint: Checkpoint) -> None:
        save(path, fingerprint, checkpoint)
        read = load_checkpoint(path, fingerprint)
        assert read and set(read.at_work) == set(checkpoint.at_work)
        at_work.append(len(read.at_work))

    monkeypatch.setattr(rounds, "save_checkpoint", counted)
    with pytest.raises(TimeoutError):
        judged(checkpoint=file, stop_at=7)
    assert max(at_work) == 3
    assert judged(2, checkpoint=file).rounds == judged().rounds[:2]


@pytest.mark.usefixtures("three_torch_threads", "one_after_another", "saving_every_step")
def test_begun_one_after_another_goes_on_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "judge.checkpoint"
    with pytest.raises(TimeoutError):
        judged(checkpoint=file, stop_at=6)
    monkeypatch.setattr(parallel_rounds, "AT_ONCE", 3)
    assert judged(checkpoint=file) == judged()


@pytest.mark.usefixtures("three_torch_threads")
def test_the_parts_of_the_time_add_up(tmp_path: Path) -> None:
    began = time.monotonic()
    score = judge(small_train(100), small_test(), SMALL, rounds=4, epochs=30)
    assert score.seconds <= time.monotonic() - began
    clock = SharedClock()
    with clock.at_work(), clock.at_work():
        first = clock.now()
        time.sleep(0.2)
        assert 0.1 <= clock.now() - first < 0.2
    with clock.at_work():
        first = clock.now()
        time.sleep(0.2)
        assert clock.now() - first >= 0.2


@pytest.mark.usefixtures("three_torch_threads")
def test_what_one_lane_raises_ends_the_others() -> None:
    some, seen = Lanes(3, "fast", CPU), []

    def work(number: int) -> None:
        if number == 1:
            raise ZeroDivisionError
        while True:
            try:
                some.check()
            except LaneStoppedError:
                seen.append(number)
                raise
            time.sleep(0.001)

    with pytest.raises(ZeroDivisionError):
        some.run(work, range(3))
    some.close()
    assert sorted(seen) == [0, 2]


_INTERRUPTED = """
import sys, torch
from pathlib import Path
from evaluation.judge import progress
from tests.evaluation.judge.test_rounds import SMALL, small_test, small_train, judge
progress.SAVE_EVERY_S = 0.0
torch.set_num_threads(3)
judge(small_train(100), small_test(), SMALL, rounds=3, epochs=100_000, checkpoint=Path(sys.argv[1]))
"""


def test_an_interrupt_ends_all_lanes(tmp_path: Path) -> None:
    file = tmp_path / "judge.checkpoint"
    process = subprocess.Popen([sys.executable, "-c", _INTERRUPTED, str(file)], stderr=subprocess.PIPE, text=True)
    while not file.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in told and "LaneStopped" not in told.rpartition("KeyboardInterrupt")[2]
    assert not list(tmp_path.glob(".*.part"))


def test_initial_weights_begun_in_threads_follow_their_seeds() -> None:
    seeds = list(range(40))
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda seed: seeded_convnet(10, 16, seed).head.weight.detach(), seeds))
    for seed, weight in zip(seeds, made, strict=True):
        assert torch.equal(weight, seeded_convnet(10, 16, seed).head.weight)


@pytest.mark.usefixtures("three_torch_threads")
def test_a_curves_rounds_side_by_side_are_told_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supply, told = Supply(small_train(600), drawn=True), []

    def point(on_round: object = lambda _: None) -> CurvePoint:
        return measure_point(
            3, supply, small_test(), SMALL, rounds=5, epochs=2, device="cpu", checkpoints=tmp_path, on_round=on_round
        )  # type: ignore[arg-type]

    side_by_side = point(told.append)
    assert [len(each.rounds) for each in told] == [1, 2, 3, 4, 5]
    assert all(each.rounds == side_by_side.rounds[: len(each.rounds)] for each in told)
    monkeypatch.setattr(parallel_rounds, "AT_ONCE", 1)
    assert point().rounds == side_by_side.rounds
    assert not list(tmp_path.iterdir())
