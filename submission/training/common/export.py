"""The weights file that a training ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from evaluation.base.challenge import Challenge
from submission.contract.weights import WeightsHeader, save_weights


def export_weights(
    folder: Path,
    generator: str,
    challenge: Challenge,
    tensors: Mapping[str, Tensor],
    *,
    trained_on: int,
    seed: int,
    model: Mapping[str, Any],
) -> Path:
    """Write `GENERATOR-CHALLENGE.safetensors` into `folder`, in fp16; returns its path.

    Args:
        trained_on: images of the training split that were trained on, and nothing else.
        model: what the header says for this generator alone.

    Raises:
        ValueError: a number does not fit in 16 bits.
    """
    data = f"{trained_on:,} images of the training split of {challenge.title}, nothing else"
    header = WeightsHeader(generator, challenge.name, challenge.class_names, data, "Apache-2.0", seed, model)
    path = folder / f"{generator}-{challenge.name}.safetensors"
    save_weights(path, tensors, header)
    return path
