"""Tiny models of the forms of `benchmarks.models.full_size` and of others, with random weights of a fixed seed."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.models.dit import write_dit
from benchmarks.models.edm import song, write_edm
from benchmarks.models.sdxl import write_sdxl, write_tiny_decoder
from evaluation.base.challenge import get_challenge
from submission.classes.imagenet import imagenet_wnids
from submission.contract.weights import WeightsHeader, save_weights
from submission.diffusion.dit import MINMAX_FILE
from submission.diffusion.networks.denoiser import AUGMENT_CONDITION, SIGMA_DATA
from submission.diffusion.networks.edm_unet import DhariwalUNet, EDMUNetConfig
from submission.diffusion.networks.unet import UNet, UNetConfig, fold
from submission.diffusion.samplers import CONSISTENCY

CONSISTENCY_SIZE = 16


def write_all(folder: Path) -> None:
    """Every one of them, each in a folder of its own below `folder`."""
    write_sdxl(folder / "sdxl-turbo")
    write_tiny_decoder(folder / "tiny-decoder")
    write_text(folder / "text", folder / "sdxl-turbo")
    write_dit(folder / "dit")
    write_dit_digits(folder / "dit-digits")
    write_consistency(folder / "consistency")
    write_edm_cifar100(folder / "edm-cifar100")
    write_edm_imagenet(folder / "edm-imagenet")
    write_native_consistency(folder / "native-consistency")


def write_consistency(folder: Path, **changes: Any) -> Path:
    """A narrow and shallow model in the format and of the blocks of `openai/diffusers-cd_imagenet64_l2`."""
    from diffusers import CMStochasticIterativeScheduler, UNet2DModel

    torch.manual_seed(0)
    config: dict[str, Any] = {
        "sample_size": CONSISTENCY_SIZE, "num_class_embeds": 1000, "layers_per_block": 1,
        "block_out_channels": (32, 64),
        "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"), "attention_head_dim": 32,
        "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"), "resnet_time_scale_shift": "scale_shift",
        "attn_norm_num_groups": 32, "upsample_type": "resnet", "downsample_type": "resnet",
    }  # fmt: skip
    unet: Any = UNet2DModel(**{**config, **changes})
    with torch.no_grad():
        unet.conv_out.weight *= 5
    unet.save_pretrained(folder / "unet")
    CMStochasticIterativeScheduler(num_train_timesteps=40).save_pretrained(folder / "scheduler")
    return folder


def write_edm_cifar100(folder: Path) -> Path:
    """EDM's network for 100 classes, narrow and shallow."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_edm(folder / "edm-cifar100.safetensors", song(classes=100), "cifar100")


def write_edm_imagenet(folder: Path) -> Path:
    """EDM's network of the other form, for ImageNet's classes."""
    wnids = imagenet_wnids()
    network = DhariwalUNet(EDMUNetConfig(16, len(wnids), width=16, multipliers=(4, 8), blocks=1, attention=(8,)))
    _randomise(network)
    model = {"architecture": "DhariwalUNet", "network": asdict(network.config), "sigma_data": SIGMA_DATA}
    header = WeightsHeader("edm", "imagenet", wnids, "nothing, random", "Apache-2.0", 0, model)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder / "edm-imagenet.safetensors", network.state_dict(), header)
    return folder


def write_native_consistency(folder: Path) -> Path:
    """A consistency model in the form that distilling `native` gives."""
    challenge = get_challenge("digits")
    network = UNet(UNetConfig(size=32, patch=4, widths=(16, 32), blocks=1, attention=(4,)), 10, AUGMENT_CONDITION)
    _randomise(network)
    shape, steps = asdict(network.config), {"solver": CONSISTENCY, "steps": 2, "middle": 0.8}
    model = {"network": shape, "sigma_data": SIGMA_DATA, **steps}
    header = WeightsHeader("native", challenge.name, challenge.class_names, "nothing, random", "Apache-2.0", 0, model)
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder / "native-digits.safetensors", fold(network).state_dict(), header)
    return folder


def write_dit_digits(folder: Path) -> Path:
    """A DiT of ten classes, in a folder like that of min-max training."""
    write_dit(folder, classes=get_challenge("digits").classes)
    (folder / MINMAX_FILE).write_text("{}\n", encoding="utf-8")
    return folder


def write_text(folder: Path, sdxl: Path) -> Path:
    """A model in Stable Diffusion 1.5's layout, with tokenizer, text encoder and autoencoder of the one in `sdxl`."""
    from diffusers import UNet2DConditionModel

    for part in ("tokenizer", "text_encoder", "vae", "scheduler"):
        shutil.copytree(sdxl / part, folder / part)
    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=8,
        norm_num_groups=8,
    ).save_pretrained(folder / "unet")
    return folder


@torch.no_grad()
def _randomise(network: nn.Module) -> None:
    """Weights with which both noise and label have an effect: some are initialised to zero."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        std = 1 / parameter[0].numel() ** 0.5 if parameter.ndim > 1 else 0.5
        parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
