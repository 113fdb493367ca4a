"""The data type that a generator's networks compute in."""

import torch

from submission.contract.settings import Settings, choice

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

PRECISION = choice("precision", "auto", (*PRECISIONS, "auto"), "auto: bf16 where the device computes in it")


def fastest_precision(device: str) -> torch.dtype:
    """bf16 on a GPU and on a CPU that multiplies in it, else fp32."""
    if not device.startswith("cpu") or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    return torch.float32


def dtype_of(settings: Settings, device: str) -> torch.dtype:
    """What the setting PRECISION says for `device`."""
    name = settings[PRECISION]
    return fastest_precision(device) if name == "auto" else PRECISIONS[name]
