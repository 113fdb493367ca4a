"""Workers run parts in threads of one core each and leave PyTorch as it was; slots share time and failures."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from evaluation.judge.parallel import RoundCancelledError, RoundSlots, SharedClock, Workers, one_thread
from evaluation.judge.score import judge
from tests.evaluation.small import SMALL, small_test, small_train

CPU = torch.device("cpu")


def threads_seen_by_a_new_thread() -> int:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]


@pytest.mark.usefixtures("three_torch_threads")
def test_each_worker_has_one_thread_and_pytorch_gets_its_own_back() -> None:
    workers = Workers()
    assert workers.count == 3
    assert workers.map(lambda _: torch.get_num_threads(), range(20)) == [1] * 20
    assert torch.get_num_threads() == 3
    workers.close()
    assert torch.get_num_threads() == 3
    assert threads_seen_by_a_new_thread() == 3


@pytest.mark.usefixtures("three_torch_threads")
def test_small_operations_have_one_thread_and_pytorch_gets_its_own_back() -> None:
    with pytest.raises(KeyError), one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == 3
    assert threads_seen_by_a_new_thread() == 3


def test_results_keep_their_order_and_errors_come_out() -> None:
    workers = Workers()
    assert workers.map(lambda part: part * part, range(50)) == [part * part for part in range(50)]
    with pytest.raises(ZeroDivisionError):
        workers.map(lambda part: 1 // part, [1, 0])
    workers.close()


@pytest.mark.usefixtures("three_torch_threads")
def test_slots_are_for_the_fast_engine_on_several_cores_or_a_card() -> None:
    for count, engine, device, expected in (
        (30, "fast", "cpu", 3),
        (2, "fast", "cpu", 2),
        (1, "fast", "cpu", 1),
        (3, "reference", "cpu", 1),
        (3, "fast", "cuda", 3),
        (1, "fast", "cuda", 1),
        (3, "reference", "cuda", 1),
    ):
        some = RoundSlots(count, engine, torch.device(device))
        assert some.count == expected
        some.close()
    torch.set_num_threads(1)
    assert RoundSlots(3, "fast", CPU).count == 1


@pytest.mark.usefixtures("three_torch_threads")
def test_the_parts_of_the_time_add_up() -> None:
    began = time.monotonic()
    score = judge(small_train(100), small_test(), SMALL, rounds=4, epochs=30)
    assert score.seconds <= time.monotonic() - began
    clock = SharedClock()
    with clock.active(), clock.active():
        first = clock.now()
        time.sleep(0.2)
        assert 0.1 <= clock.now() - first < 0.2
    with clock.active():
        first = clock.now()
        time.sleep(0.2)
        assert clock.now() - first >= 0.2


@pytest.mark.usefixtures("three_torch_threads")
def test_what_one_slot_raises_ends_the_others() -> None:
    some, seen = RoundSlots(3, "fast", CPU), []

    def work(number: int) -> None:
        if number == 1:
            raise ZeroDivisionError
        while True:
            try:
                some.check()
            except RoundCancelledError:
                seen.append(number)
                raise
            time.sleep(0.001)

    with pytest.raises(ZeroDivisionError):
        some.run(work, range(3))
    some.close()
    assert sorted(seen) == [0, 2]
