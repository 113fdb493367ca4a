"""The generators of the papers, run as the papers' published code ran them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

GUIDANCE = 4.0  # of the second place's published code


@dataclass(frozen=True)
class Pipeline:
    """One published pipeline.

    Attributes:
        make: makes so many images, `batch` at a time.
        start_s: seconds to load.
    """

    name: str
    steps: int
    precision: str
    batch: int
    make: Callable[[int], object]
    start_s: float


def turbo_pipeline(folder: Path, device: str, size: int) -> Pipeline:
    """The third place: one image a call, its prompt encoded again each time, the full decoder, then resized."""
    from diffusers import StableDiffusionXLPipeline

    began = time.monotonic()
    dtype = torch.float32 if device == "cpu" else torch.float16
    variant = "fp16" if any((folder / "unet").glob("*.fp16.*")) else None
    pipe: Any = StableDiffusionXLPipeline.from_pretrained(folder, dtype=dtype, variant=variant).to(device)
    pipe.set_progress_bar_config(disable=True)

    def make(images: int) -> object:
        return [
            pipe("goldfish", num_inference_steps=1, guidance_scale=0.0, height=size, width=size)
            .images[0]
            .resize((64, 64))
            for _ in range(images)
        ]

    precision = "fp32" if device == "cpu" else "fp16"
    return Pipeline("third place", 1, precision, 1, make, time.monotonic() - began)


def dit_pipeline(folder: Path, device: str, batch: int, steps: int) -> Pipeline:
    """The second place: ancestral steps with guidance in fp32 (TF32 on a card), one image a call.

    Its paper's table implies a batch of 32, so that is measured as well.
    """
    from diffusers import DDPMScheduler, DiTPipeline

    began = time.monotonic()
    torch.backends.cuda.matmul.allow_tf32 = True
    pipe: Any = DiTPipeline.from_pretrained(folder, dtype=torch.float32).to(device)
    pipe.scheduler = DDPMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)

    def make(images: int) -> object:
        pictures = pipe(class_labels=[1] * images, guidance_scale=GUIDANCE, num_inference_steps=steps).images
        return [picture.resize((64, 64)) for picture in pictures]

    name = f"second place, batch {batch}"
    return Pipeline(name, steps, "fp32", batch, make, time.monotonic() - began)
