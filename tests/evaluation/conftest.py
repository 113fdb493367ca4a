"""Shared by the judge's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Tests run side by side, so each keeps to one core: on a busy machine PyTorch's threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def three_torch_threads(one_torch_thread: None) -> None:
    """For tests of what several threads do."""
    torch.set_num_threads(3)
