"""Memory of the machine and of the card: whether it ran out, giving it back, and the most that was in use."""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# What PyTorch, cuBLAS, cuDNN, cuFFT and Triton call it, in lower case, where they have no type of error for it. cuDNN
# finds no engine where there is no room for the workspace of any.
_CALLED = (
    "out of memory",
    "alloc_failed",
    "allocation_failed",
    "unable to find an engine",
    "can't allocate memory",
    "not enough memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or the card had no memory left, by this error or one that caused it."""
    return any(map(_says_so, _causes(error)))


def _says_so(error: BaseException) -> bool:
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _CALLED)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def free_memory(device: str) -> None:
    """Give back what PyTorch keeps of the card's memory without using it."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


def reset_peak(device: str) -> None:
    """Count the peak of memory from here on, without what PyTorch keeps of what came before."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_memory_mb(device: str) -> float | None:
    """Most memory since `reset_peak`: the card's that PyTorch held, or this process's; None where nobody counts."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_reserved(device) / 2**20
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
        return int(found.group(1)) / 2**10 if found else None
    return None
