"""What the folder of a DiT says of itself before it is loaded: whether it is whole, and which classes it knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluation.base.challenge import Challenge
from submission.classes.imagenet import CLASSES, imagenet_labels
from submission.contract.hub import Model, missing_files

MINMAX_FILE = "minmax.json"  # in a folder that min-max training wrote: what was done

_PARTS = ("transformer", "vae")
_WEIGHTS = tuple(f"diffusion_pytorch_model{ending}" for ending in (
    ".safetensors", ".bin", ".fp16.safetensors", ".fp16.bin"
))  # fmt: skip

DIT_XL = Model(
    repository="facebook/DiT-XL-2-256",
    files=("model_index.json", "*/*.json", "*/diffusion_pytorch_model.*"),
    needed=(
        "scheduler/scheduler_config.json",
        *(f"{part}/config.json" for part in _PARTS),
        *("|".join(f"{part}/{name}" for name in _WEIGHTS) for part in _PARTS),
    ),
)


def check_folder(folder: Path, challenge: Challenge) -> None:
    """Look at a DiT's folder before the clock starts; `find_model` has found its files whole.

    Raises:
        ValueError: the noise schedule is of another kind, or the classes are not the challenge's.
    """
    assert not missing_files(folder, DIT_XL.needed), "find_model has looked"
    class_ids(folder, challenge)
    read_schedule(folder)


def class_ids(folder: Path, challenge: Challenge) -> tuple[int, ...]:
    """The row of the label embedding for each label of `challenge`; the null label's is the row after the last class.

    Raises:
        ValueError: the model has not learned the challenge's classes; the sentence says how it does.
    """
    known = known_classes(folder, challenge)
    if known is None:
        raise ValueError(
            f"{folder} knows {_classes_of(folder)} classes that are not those of {challenge.name!r}; fine-tune it with"
            f" `python -m submission.training minmax --dataset {challenge.name} --weights {folder} --out DIR`, then"
            " give --generator dit-minmax --weights DIR/model"
        )
    return known


def known_classes(folder: Path, challenge: Challenge) -> tuple[int, ...] | None:
    """As `class_ids`, None where the model has not learned the challenge's classes.

    A label embedding of 1,000 classes is ImageNet's. One of exactly the challenge's number of classes is taken as it
    is, unless the folder names its classes and they are others, or the same in another order.
    """
    classes = _classes_of(folder)
    if classes == CLASSES:
        try:
            return imagenet_labels(challenge)
        except ValueError:
            return None
    names = _class_names(folder)
    if classes != challenge.classes or names not in ((), challenge.class_names):
        return None
    return tuple(range(classes))


def read_schedule(folder: Path) -> dict[str, Any]:
    """The configuration of the model's scheduler, whatever its class, as diffusers' `from_config` takes it.

    Raises:
        ValueError: it is not for a network that predicts the noise in latents.
    """
    config = _read_json(folder / "scheduler" / "scheduler_config.json")
    prediction = config.get("prediction_type", "epsilon")
    if prediction != "epsilon" or config.get("clip_sample") or config.get("thresholding"):
        raise ValueError(
            f"{folder / 'scheduler'} is for another kind of model than a DiT: it must have prediction_type epsilon,"
            " clip_sample false and no thresholding"
        )
    return {**config, "clip_sample": False}  # where it is not said, some schedulers clip


def _classes_of(folder: Path) -> int:
    path = folder / "transformer" / "config.json"
    classes = _read_json(path).get("num_embeds_ada_norm")
    if not isinstance(classes, int):
        raise ValueError(f"{path} is of a network without a label embedding, which is no DiT")
    return classes


def _class_names(folder: Path) -> tuple[str, ...]:
    """The folder's own names of its classes in label order, empty where it gives none."""
    path = folder / "model_index.json"
    names = _read_json(path).get("id2label") if path.is_file() else None
    return tuple(names[key] for key in sorted(names, key=int)) if names else ()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); copy it again") from None
    if not isinstance(told, dict):
        raise ValueError(f"{path} is damaged (no JSON object); copy it again")
    return told
