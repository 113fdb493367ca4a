"""A tiny SDXL-Turbo with random weights, laid out file by file as the published one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

# Letters are enough to spell any prompt, as single tokens and at the ends of words.
_LETTERS = "!'-|abcdefghijklmnopqrstuvwxyz0123456789"
START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 24
VOCABULARY = [*_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), START, END]


def write_sdxl(folder: Path, *, half: bool = False, full: bool = True) -> Path:
    """Write the model; with `half` as half-precision copies, beside or instead of the `full` ones."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    text = {
        "vocab_size": len(VOCABULARY),
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "max_position_embeddings": LENGTH,
        "bos_token_id": VOCABULARY.index(START),
        "eos_token_id": VOCABULARY.index(END),
    }
    networks: dict[str, Any] = {
        "text_encoder": CLIPTextModel(CLIPTextConfig(hidden_size=16, intermediate_size=24, projection_dim=16, **text)),
        "text_encoder_2": CLIPTextModelWithProjection(
            CLIPTextConfig(hidden_size=24, intermediate_size=32, projection_dim=12, **text)
        ),
        "unet": UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            transformer_layers_per_block=(1, 1),
            projection_class_embeddings_input_dim=12 + 6 * 4,
            cross_attention_dim=16 + 24,
            norm_num_groups=4,
        ),
        "vae": AutoencoderKL(
            block_out_channels=(4, 4, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=2,
            scaling_factor=0.13025,
        ),
    }
    for name, network in networks.items():
        _make_lively(network)
        if full:
            network.save_pretrained(folder / name)
        if half:
            network.half().save_pretrained(folder / name, variant="fp16")
    for path in (folder / "text_encoder").glob("*.safetensors"):
        _with_published_names(path)
    lay_out_sdxl(folder, LENGTH)
    return folder


def lay_out_sdxl(folder: Path, length: int) -> None:
    """What surrounds the networks: tokenizers for at most `length` tokens, scheduler, index."""
    for name, pad in (("tokenizer", END), ("tokenizer_2", "!")):
        _write_tokenizer(folder / name, pad, length)
    _write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    _write_json(folder / "model_index.json", INDEX)


def write_tiny_decoder(folder: Path) -> Path:
    """A small decoder in the form of `madebyollin/taesdxl`."""
    from diffusers import AutoencoderTiny

    torch.manual_seed(1)
    AutoencoderTiny(
        encoder_block_out_channels=(4, 4, 4, 4),
        decoder_block_out_channels=(4, 4, 4, 4),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    ).save_pretrained(folder)
    return folder


SCHEDULER = {
    "_class_name": "EulerAncestralDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "timestep_spacing": "trailing",
    "trained_betas": None,
}
INDEX = {
    "_class_name": "StableDiffusionXLPipeline",
    "force_zeros_for_empty_prompt": True,
    "scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


@torch.no_grad()
def _make_lively(network: torch.nn.Module) -> None:
    """Weights that are larger than those that training starts with, so that a prompt can be seen in an image."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 1.2 / parameter[0].numel() ** 0.5)


def _with_published_names(path: Path) -> None:
    """The published file of the first encoder names its tensors `text_model.*`; its library's newer versions don't."""
    tensors = load_file(path)
    save_file({f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in tensors.items()}, path)


def _write_tokenizer(folder: Path, pad: str, length: int) -> None:
    """The four files of the published tokenizers, which have no tokenizer.json."""
    _write_json(folder / "vocab.json", {token: i for i, token in enumerate(VOCABULARY)})
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "pad_token": pad, "unk_token": END}
    _write_json(folder / "special_tokens_map.json", special)
    added = {
        str(VOCABULARY.index(token)): {
            "content": token,
            "lstrip": False,
            "normalized": token in (START, END),
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token in dict.fromkeys((pad, START, END))
    }
    config = {
        **special,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": length,
        "tokenizer_class": "CLIPTokenizer",
    }
    _write_json(folder / "tokenizer_config.json", config)


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
