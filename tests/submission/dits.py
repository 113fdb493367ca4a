"""Tiny DiTs as other files hold them: pickled as on the hub, in half precision, cut short."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from benchmarks.models.dit import write_json

_OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def as_on_the_hub(folder: Path) -> Path:
    """The same model as the published files have it: pickled tensors, the old class, old names of the attention's."""
    from safetensors.torch import load_file

    for part in ("transformer", "vae"):
        file = folder / part / "diffusion_pytorch_model.safetensors"
        tensors = load_file(file)
        if part == "vae":
            tensors = {old_name(name): tensor for name, tensor in tensors.items()}
        torch.save(tensors, file.with_suffix(".bin"))
        file.unlink()
    path = folder / "transformer" / "config.json"
    config = {**json.loads(path.read_text()), "_class_name": "Transformer2DModel", "use_linear_projection": False}
    write_json(path, {**config, "num_vector_embeds": None, "cross_attention_dim": None})
    path = folder / "vae" / "config.json"
    config = json.loads(path.read_text())
    write_json(path, {name: config[name] for name in config if name != "scaling_factor"})
    return folder


def old_name(name: str) -> str:
    if ".attentions." in name:
        for new, old in _OLD_NAMES.items():
            name = name.replace(new, old)
    return name


def halved(folder: Path) -> Path:
    """The same model with its half-precision copies alone, as `variant="fp16"` names them."""
    from safetensors.torch import load_file, save_file

    for part in ("transformer", "vae"):
        file = folder / part / "diffusion_pytorch_model.safetensors"
        tensors = {name: tensor.half() for name, tensor in load_file(file).items()}
        save_file(tensors, file.with_name("diffusion_pytorch_model.fp16.safetensors"), {"format": "pt"})
        file.unlink()
    return folder


def cut(file: Path) -> None:
    """Half of a download."""
    os.truncate(file, file.stat().st_size // 2)
