"""The published architectures at full size with random weights, in the files that their generators load.

Speed depends on shapes and not on values, so no weights have to be fetched to measure it.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

HALF = {"variant": "fp16"}


def write_sdxl(folder: Path) -> Path:
    """SDXL's U-Net (2.57 G parameters), autoencoder and text encoders, in fp16 as published: 7 GB."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from benchmarks.models.sdxl import END, START, VOCABULARY, lay_out_sdxl

    text: dict[str, Any] = {
        "vocab_size": 49408,
        "max_position_embeddings": 77,
        "bos_token_id": VOCABULARY.index(START),
        "eos_token_id": VOCABULARY.index(END),
    }
    small = CLIPTextConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        projection_dim=768,
        **text,
    )
    large = CLIPTextConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        projection_dim=1280,
        hidden_act="gelu",
        **text,
    )
    unet = {
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 768 + 1280,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 1280 + 6 * 256,
    }
    parts = {
        "text_encoder": lambda: CLIPTextModel(small),
        "text_encoder_2": lambda: CLIPTextModelWithProjection(large),
        "unet": lambda: UNet2DConditionModel(**unet),
        "vae": lambda: AutoencoderKL(**_autoencoder(512), scaling_factor=0.13025),
    }
    for name, build in parts.items():
        _random_half(build).save_pretrained(folder / name, **HALF)
    lay_out_sdxl(folder, 77)
    return folder


def write_tiny_decoder(folder: Path) -> Path:
    """TAESD's decoder and encoder, at their only size."""
    from diffusers import AutoencoderTiny

    AutoencoderTiny().save_pretrained(folder)
    return folder


def write_dit(folder: Path) -> Path:
    """DiT-XL/2 at 256 pixels (675 M parameters) and its autoencoder, in fp16: 1.5 GB."""
    from diffusers import AutoencoderKL, DiTTransformer2DModel

    from benchmarks.models.dit import lay_out_dit

    transformer = {
        "num_attention_heads": 16,
        "attention_head_dim": 72,
        "in_channels": 4,
        "out_channels": 8,
        "num_layers": 28,
        "sample_size": 32,
        "num_embeds_ada_norm": 1000,
    }
    _random_half(lambda: DiTTransformer2DModel(**transformer)).save_pretrained(folder / "transformer")
    vae = _random_half(lambda: AutoencoderKL(**_autoencoder(256), scaling_factor=0.18215))
    vae.save_pretrained(folder / "vae")
    lay_out_dit(folder)
    return folder


def write_consistency(folder: Path) -> Path:
    """The consistency models' U-Net (296 M parameters) in fp16: 0.6 GB."""
    from diffusers import CMStochasticIterativeScheduler, UNet2DModel

    unet = {
        "sample_size": 64,
        "layers_per_block": 3,
        "block_out_channels": (192, 384, 576, 768),
        "down_block_types": ("ResnetDownsampleBlock2D", *["AttnDownBlock2D"] * 3),
        "up_block_types": (*["AttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"),
        "attention_head_dim": 64,
        "num_class_embeds": 1000,
        "resnet_time_scale_shift": "scale_shift",
        "attn_norm_num_groups": 32,
        "upsample_type": "resnet",
        "downsample_type": "resnet",
    }
    _random_half(lambda: UNet2DModel(**unet)).save_pretrained(folder / "unet")
    CMStochasticIterativeScheduler(num_train_timesteps=40).save_pretrained(folder / "scheduler")
    return folder


def write_edm_cifar100(folder: Path) -> Path:
    """EDM's class-conditional network for 32 x 32 pixels (56 M parameters)."""
    from evaluation.base.challenge import get_challenge
    from submission.contract.weights import WeightsHeader, save_weights
    from submission.diffusion.networks.edm_unet import SongUNet, cifar_config

    challenge = get_challenge("cifar100")
    network = SongUNet(cifar_config(challenge.classes))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.02)
    model = {"architecture": "SongUNet", "network": asdict(network.config), "sigma_data": 0.5}
    header = WeightsHeader("edm", challenge.name, challenge.class_names, "nothing, random", "Apache-2.0", 0, model)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder / "edm-cifar100.safetensors", network.state_dict(), header)
    return folder


def _autoencoder(size: int) -> dict[str, Any]:
    """Stable Diffusion's, the same in all of these models."""
    return {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "sample_size": size,
    }


def _random_half(build: Any) -> Any:
    """A network in fp16, made in half precision from the start: the largest are 10 GB in full."""
    torch.set_default_dtype(torch.float16)
    try:
        return build()
    finally:
        torch.set_default_dtype(torch.float32)
