"""Memory that runs out: however it is called, batches are halved with the cache emptied, resizing included."""

from __future__ import annotations

import errno
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.base.challenge import get_challenge
from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.job import Job
from submission.worker import source
from submission.worker.memory import is_out_of_memory, peak_memory_mb, reset_peak
from submission.worker.source import Source

DIGITS = get_challenge("digits")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("FIND was unable to find an engine to execute this computation"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_every_form_of_it_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)
    wrapped = RuntimeError("compiling failed")
    wrapped.__cause__ = error
    assert is_out_of_memory(wrapped)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("out of resource: shared memory, Required: 131072, Hardware limit: 101376."),
        torch.AcceleratorError("CUDA error: device-side assert triggered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_nothing_else_is_taken_for_it(error: Exception) -> None:
    assert not is_out_of_memory(error)


class Plain(Generator):
    """Images that hold their label and seed, at another size than the challenge's."""

    info = GeneratorInfo(name="plain", summary="", default_batch=8)

    @classmethod
    def load(cls, context: LoadContext) -> Plain:
        return cls()

    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        return (10 * labels_B + seeds_B % 7).to(torch.uint8)[:, None, None, None].expand(-1, 3, 16, 16)


def test_resizing_without_memory_halves_the_batch_and_empties_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str | int] = []
    resize = source.resize_uint8

    def narrow(images_BCHW: Tensor, size: int) -> Tensor:
        done.append(len(images_BCHW))
        if len(images_BCHW) > 2:
            raise torch.AcceleratorError("CUDA error: out of memory")
        return resize(images_BCHW, size)

    job = Job("digits", "plain", "", "", 0.0, batch_size=8)
    whole = Source(Plain(), job, DIGITS)
    expected = whole.make(whole.take(8))
    monkeypatch.setattr(source, "resize_uint8", narrow)
    monkeypatch.setattr(source, "free_memory", done.append)
    halved = Source(Plain(), job, DIGITS)
    np.testing.assert_array_equal(halved.make(halved.take(8)), expected)
    assert expected.shape == (8, 32, 32, 3)
    assert done == [8, "cpu", 4, "cpu", 2, 2, 2, 2]
    assert halved.batch_size == 2


def test_a_single_image_without_memory_is_an_error() -> None:
    class Hungry(Plain):
        def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
            raise MemoryError

    starved = Source(Hungry(), Job("digits", "plain", "", "", 0.0, batch_size=4), DIGITS)
    with pytest.raises(MemoryError):
        starved.make(starved.take(4))


def test_the_peak_of_a_card_holds_nothing_that_was_kept_from_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch keeps what earlier points freed: a card that reserves 9 GiB of which 1 is in use."""

    class Card:
        reserved, used, peak = 9 * 2**30, 2**30, 9 * 2**30

        def empty_cache(self) -> None:
            self.reserved = self.used

        def reset_peak_memory_stats(self, device: str) -> None:
            self.peak = self.reserved

        def max_memory_reserved(self, device: str) -> int:
            return self.peak

    monkeypatch.setattr(torch, "cuda", Card())
    reset_peak("cuda")
    assert peak_memory_mb("cuda") == 1024


def test_the_peak_of_the_process_is_counted_where_the_system_allows_it() -> None:
    """In a process of its own: where the peak cannot be reset, that of earlier tests stands above this one."""
    code = (
        "import numpy as np; from submission.worker.memory import peak_memory_mb, reset_peak; reset_peak('cpu');"
        "print(peak_memory_mb('cpu')); held = np.ones(2**26, dtype=np.uint8); print(peak_memory_mb('cpu'))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    before, after = told.split()
    assert (before, after) == ("None", "None") or float(after) > float(before) + 32
