"""Tiny models of the forms of `benchmarks.full_models`, for a rehearsal."""

from __future__ import annotations

from pathlib import Path

from tests.submission.dits import write_dit
from tests.submission.edm_files import song
from tests.submission.generators.test_consistency import save_model
from tests.submission.generators.test_edm import write
from tests.submission.tiny_sdxl import write_sdxl, write_tiny_decoder

__all__ = ["write_dit_xl", "write_edm_cifar100", "write_imagenet64", "write_sdxl_turbo", "write_tiny_decoder"]

write_sdxl_turbo, write_dit_xl, write_imagenet64 = write_sdxl, write_dit, save_model


def write_edm_cifar100(folder: Path) -> Path:
    """EDM's network for 100 classes, narrow and shallow."""
    folder.mkdir(parents=True, exist_ok=True)
    return write(folder / "edm-cifar100.safetensors", song(classes=100), "cifar100")
