"""What this processor is, and what it computes fast in."""

import platform
import re
from functools import cache
from pathlib import Path

import torch


def processor_name() -> str:
    """Its model, as the system tells it; the architecture where it does not."""
    return _told("model name") or platform.machine()


def has_bfloat16_instructions() -> bool:
    """Without them bfloat16 is emulated, many times slower than float32."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


@cache
def multiplies_fast_in_bfloat16() -> bool:
    """Whether convolutions in bfloat16 take less time here than in float32.

    They do with AMX. AVX-512's own instruction for them does twice the work of a float32 one on AMD (Zen 4 and later),
    and no more than that on Intel, where bfloat16 is then the slower: 186 GFLOP/s for 326 on a Xeon that does not show
    its AMX (`docs/judge-speed.md`).
    """
    if torch.cpu._is_amx_tile_supported():
        return True
    return has_bfloat16_instructions() and _told("vendor_id") != "GenuineIntel"


def _told(field: str, path: Path = Path("/proc/cpuinfo")) -> str | None:
    try:
        found = re.search(rf"^{field}\s*:\s*(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return found.group(1) if found else None
