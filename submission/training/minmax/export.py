"""A fine-tuned DiT as a folder that diffusers and the generators read."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluation.base.challenge import Challenge
from evaluation.base.files import written_whole
from submission.diffusion.dit import MINMAX_FILE, Transformer


@dataclass(frozen=True)
class Told:
    """What `minmax.json` says of a training.

    Attributes:
        base: name of the folder or hub name of the model that it began with, whose licence the weights keep.
        data: what it was trained on, in words.
        recipe: a MinMaxRecipe as JSON.
        images_seen: images that were trained on, with repetitions.
    """

    challenge: str
    base: str
    data: str
    recipe: dict[str, Any]
    images_seen: int
    seed: int
    format: int = 1


def save_model(folder: Path, transformer: Transformer, base: Path, challenge: Challenge, told: Told) -> None:
    """Write `folder` in the layout of a `DiTPipeline`, the transformer in fp16; it is there whole or not at all.

    Args:
        base: the folder that the autoencoder and the schedule are copied from.

    Raises:
        ValueError: a weight does not fit in 16 bits.
    """
    import diffusers

    transformer = transformer.half()
    if not all(parameter.isfinite().all() for parameter in transformer.parameters()):
        raise ValueError("a weight does not fit in 16 bits; the training has diverged, begin anew at a lower --rate")
    scheduler = json.loads((base / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    index = {
        "_class_name": "DiTPipeline",
        "_diffusers_version": diffusers.__version__,
        "id2label": {str(label): name for label, name in enumerate(challenge.class_names)},
        "scheduler": ["diffusers", scheduler.get("_class_name", "DDIMScheduler")],
        "transformer": ["diffusers", "DiTTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    with written_whole(folder) as part:
        transformer.save_pretrained(part / "transformer")
        for name in ("vae", "scheduler"):
            shutil.copytree(base / name, part / name)
        for file, content in (("model_index.json", index), (MINMAX_FILE, asdict(told))):
            (part / file).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
