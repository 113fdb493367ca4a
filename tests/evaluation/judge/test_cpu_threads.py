"""Workers run parts in threads of one core each, and leave PyTorch as it was."""

from __future__ import annotations

import threading

import pytest
import torch

from evaluation.judge.cpu_threads import Workers


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


def test_results_keep_their_order_and_errors_come_out() -> None:
    workers = Workers()
    assert workers.map(lambda part: part * part, range(50)) == [part * part for part in range(50)]
    with pytest.raises(ZeroDivisionError):
        workers.map(lambda part: 1 // part, [1, 0])
    workers.close()
