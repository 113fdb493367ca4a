"""What a processor is fast in, from what it and its system tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.base import processor

AMD, INTEL = "AuthenticAMD", "GenuineIntel"


@pytest.mark.parametrize(
    ("vendor", "avx512_bf16", "amx", "fast"),
    [
        (AMD, True, False, True),
        (AMD, False, False, False),
        (INTEL, True, True, True),
        (INTEL, True, False, False),
        (INTEL, False, False, False),
        (None, False, False, False),
    ],
)
def test_bfloat16_is_chosen_where_it_is_faster(
    vendor: str | None, avx512_bf16: bool, amx: bool, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(processor, "_told", lambda field: {"vendor_id": vendor}[field])
    assert processor.multiplies_fast_in_bfloat16.__wrapped__() == fast


def test_the_system_tells_of_the_first_core(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    cores = [f"processor\t: {core}\nvendor_id\t: {INTEL}\nmodel name\t: Some CPU {core}\n" for core in range(2)]
    told.write_text("\n".join(cores))
    assert processor._told("model name", told) == "Some CPU 0" and processor._told("vendor_id", told) == INTEL
    assert processor._told("vendor_id", tmp_path / "none") is None
    assert processor.processor_name()
