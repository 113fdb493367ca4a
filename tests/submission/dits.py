"""Tiny DiTs with random weights, in folders laid out as the published one is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import torch

# As on the hub: written before there was a class of DiT's own, and before a spacing of timesteps could be named.
SCHEDULE = {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.12.0.dev0",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "trained_betas": None,
}
SIZE, LATENT = 16, (4, 8, 8)
_OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def write_dit(
    folder: Path, classes: int = 1000, names: Sequence[str] = (), learns_variance: bool = True, seed: int = 0
) -> Path:
    """A DiT whose embeddings of time and label are the same in each block, as the published one has them.

    Args:
        names: of the classes in label order, for model_index.json.
        learns_variance: whether it has twice as many output channels.
    """
    from diffusers import AutoencoderKL, DiTTransformer2DModel

    torch.manual_seed(seed)
    transformer = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=LATENT[0],
        out_channels=LATENT[0] * (2 if learns_variance else 1),
        num_layers=2,
        sample_size=LATENT[1],
        num_embeds_ada_norm=classes,
    )
    first, second = (block.norm1.emb for block in transformer.transformer_blocks)
    with torch.no_grad():
        first.class_embedder.embedding_table.weight.mul_(3)  # so that classes differ
        transformer.proj_out_2.bias.normal_(0, 0.1)
    second.load_state_dict(first.state_dict())
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        latent_channels=LATENT[0],
        norm_num_groups=4,
        sample_size=SIZE,
        scaling_factor=0.18215,
    )
    transformer.eval().save_pretrained(folder / "transformer")
    vae.eval().save_pretrained(folder / "vae")
    lay_out_dit(folder, names)
    return folder


def lay_out_dit(folder: Path, names: Sequence[str] = ()) -> None:
    """What surrounds the networks: scheduler and index."""
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULE)
    index: dict[str, object] = {
        "_class_name": "DiTPipeline",
        "_diffusers_version": "0.12.0.dev0",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "transformer": ["diffusers", "DiTTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if names:
        index["id2label"] = {str(label): name for label, name in enumerate(names)}
    write_json(folder / "model_index.json", index)


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


def write_json(path: Path, told: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
