"""Which numbers a generator computes with."""

from __future__ import annotations

from collections.abc import Mapping

import torch

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def fastest_precision(device: str) -> torch.dtype:
    """bf16 on a GPU and on a CPU that multiplies in it, else fp32."""
    if not device.startswith("cpu") or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    return torch.float32


def parse_precision(settings: Mapping[str, str], device: str) -> torch.dtype:
    """The setting `precision`, else the fastest. Raises ValueError for one that there is not."""
    name = check_precision(settings)
    return PRECISIONS[name] if name else fastest_precision(device)


def check_precision(settings: Mapping[str, str]) -> str | None:
    """The setting `precision`, None where the user has not set it. Raises ValueError for one that there is not."""
    name = settings.get("precision")
    if name is not None and name not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {name!r}")
    return name
