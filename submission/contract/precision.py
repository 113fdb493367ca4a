"""The data type that a generator's networks compute in."""

import torch

from evaluation.base.processor import multiplies_fast_in_bfloat16
from submission.contract.settings import Settings, choice

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

PRECISION = choice(
    "precision", "auto", (*PRECISIONS, "auto"), "auto: bf16 where the device computes in it, fp16 on older GPUs that do"
)


# compute capabilities: the first GPUs with hardware for a type (Ampere, Volta)
_BF16_FROM, _FP16_FROM = (8, 0), (7, 0)


def fastest_precision(device: str) -> torch.dtype:
    """bf16 on a device that multiplies faster in it, else fp32: fp16 has not the range for training."""
    if device.startswith("cpu"):
        has_hardware = multiplies_fast_in_bfloat16()
    else:
        has_hardware = torch.cuda.get_device_capability(device) >= _BF16_FROM
    return torch.bfloat16 if has_hardware else torch.float32


def dtype_of(settings: Settings, device: str) -> torch.dtype:
    """What the setting PRECISION says for `device`."""
    name = settings[PRECISION]
    if name != "auto":
        return PRECISIONS[name]
    dtype = fastest_precision(device)
    if dtype == torch.float32 and device.startswith("cuda") and torch.cuda.get_device_capability(device) >= _FP16_FROM:
        return torch.float16
    return dtype
