"""Shared by the judge's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from evaluation.judge.parallel import one_thread


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Tests run side by side, so each keeps to one core: on a busy machine PyTorch's threads wait for each other."""
    with one_thread():
        yield


@pytest.fixture
def three_torch_threads(one_torch_thread: None) -> None:
    """For tests of what several threads do."""
    torch.set_num_threads(3)
