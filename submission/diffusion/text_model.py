"""A text-conditional latent diffusion model in the layout of Stable Diffusion 1.5, as a `NoiseModel`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from submission.classes.prompts import template_prompts
from submission.contract.hub import Model
from submission.diffusion.denoise import to_pixels
from submission.diffusion.pretrained import load_part

MODEL = Model(
    repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
    files=(
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.fp16.safetensors",
        "tokenizer/*",
        "scheduler/*",
    ),
    needed=(
        "scheduler/scheduler_config.json",
        "tokenizer/vocab.json|tokenizer/tokenizer.json",
        "unet/config.json",
        *(
            f"{part}.safetensors|{part}.fp16.safetensors|{binary}.bin"
            for part, binary in (
                ("unet/diffusion_pytorch_model", "unet/diffusion_pytorch_model"),
                ("vae/diffusion_pytorch_model", "vae/diffusion_pytorch_model"),
                ("text_encoder/model", "text_encoder/pytorch_model"),
            )
        ),
    ),
)

# Images of 32 or 64 pixels gain nothing from 512, which costs four times as much as this.
LARGEST_SIZE = 256


class TextModel:
    """See `NoiseModel`; works on the autoencoder's latents. No class is the empty text."""

    feature_block = "up_blocks.1"  # whose features match parts of objects across images best (arXiv 2306.03881)

    def __init__(self, network: Any, autoencoder: Any, embeddings_CLD: Tensor, gammas_T: Tensor) -> None:
        """`embeddings_CLD` are those of each class's prompt and, last, of the empty text."""
        self.network = network
        self._autoencoder = autoencoder
        self._embeddings_CLD = embeddings_CLD
        self.gammas_T = gammas_T
        self.null_label = len(embeddings_CLD) - 1
        shrinks = 2 ** (len(autoencoder.config.block_out_channels) - 1)
        self.size = min(LARGEST_SIZE, network.config.sample_size * shrinks)

    def encode(self, images_BCHW: Tensor) -> Tensor:
        pixels = (images_BCHW.to(self.gammas_T.device).float() / 127.5 - 1).to(self._autoencoder.dtype)
        z_BCHW = self._autoencoder.encode(pixels).latent_dist.mode()
        return z_BCHW.float() * self._autoencoder.config.scaling_factor

    def decode(self, z_BCHW: Tensor) -> Tensor:
        z_BCHW = (z_BCHW / self._autoencoder.config.scaling_factor).to(self._autoencoder.dtype)
        pixels = self._autoencoder.decode(z_BCHW).sample.float()
        return to_pixels(pixels)

    def predict(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> Tensor:
        text_BLD = self._embeddings_CLD[labels_B]
        noisy_BCHW = z_BCHW.to(self.network.dtype)
        return self.network(noisy_BCHW, timesteps_B, encoder_hidden_states=text_BLD).sample.float()


def load(folder: Path, challenge: Challenge, device: str, dtype: torch.dtype) -> TextModel:
    """The model in `folder`. Raises ValueError where it is damaged or predicts something else than noise."""
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

    schedule = DDPMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
    if schedule.config.prediction_type != "epsilon":
        raise ValueError(
            f"{folder} predicts {schedule.config.prediction_type}, not the noise; give a model like {MODEL.repository}"
        )
    embeddings_CLD = encode_prompts(folder, [*(prompt for (prompt,) in template_prompts(challenge)), ""], device, dtype)
    network: Any = load_part(UNet2DConditionModel, folder, "unet", dtype, device)
    autoencoder: Any = load_part(AutoencoderKL, folder, "vae", dtype, device)
    for part in (network, autoencoder):
        part.to(memory_format=torch.channels_last)
    return TextModel(network, autoencoder, embeddings_CLD, schedule.alphas_cumprod.to(device))


@torch.inference_mode()
def encode_prompts(folder: Path, prompts: list[str], device: str, dtype: torch.dtype) -> Tensor:
    """The text encoder's last states, (prompts, tokens, D); the encoder is let go afterwards."""
    from transformers import CLIPTextModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer", local_files_only=True)
    encoder: Any = load_part(CLIPTextModel, folder, "text_encoder", dtype, device)
    length = encoder.config.max_position_embeddings
    tokens = tokenizer(prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return torch.cat([encoder(ids_BL.to(device)).last_hidden_state for ids_BL in tokens.input_ids.split(64)])
