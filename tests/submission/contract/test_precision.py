"""What networks compute in, by what the device has hardware for."""

from __future__ import annotations

import pytest
import torch

from submission.contract.precision import PRECISION, dtype_of, fastest_precision
from submission.contract.settings import resolve_settings


@pytest.mark.parametrize(
    ("capability", "generating", "training"),
    [
        ((6, 1), torch.float32, torch.float32),  # GTX 1080
        ((7, 0), torch.float16, torch.float32),  # V100
        ((7, 5), torch.float16, torch.float32),  # RTX 2080
        ((8, 0), torch.bfloat16, torch.bfloat16),  # A100
        ((8, 6), torch.bfloat16, torch.bfloat16),  # RTX 3090
        ((8, 9), torch.bfloat16, torch.bfloat16),  # RTX 4090
        ((9, 0), torch.bfloat16, torch.bfloat16),  # H200
        ((12, 0), torch.bfloat16, torch.bfloat16),  # RTX 5090
    ],
)
def test_a_gpu_computes_in_what_it_has_hardware_for(
    capability: tuple[int, int], generating: torch.dtype, training: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    settings = resolve_settings("native", (PRECISION,), {}, {})
    assert dtype_of(settings, "cuda") == generating
    assert fastest_precision("cuda") == training
    asked = resolve_settings("native", (PRECISION,), {"precision": "bf16"}, {})
    assert dtype_of(asked, "cuda") == torch.bfloat16


def test_a_processor_never_computes_in_fp16_by_itself() -> None:
    settings = resolve_settings("native", (PRECISION,), {}, {})
    assert dtype_of(settings, "cpu") == fastest_precision("cpu") != torch.float16
