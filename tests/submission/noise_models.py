"""Noise models for tests: one whose answers are known, and a tiny Stable Diffusion in the published layout."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from submission.contract.weights import SHIPPED
from submission.diffusion.pixel_model import PixelModel, load


class Planted:
    """Sees the noise but for an error, which knowing the class takes away within one square of the image.

    Attributes:
        calls: (z, timesteps, labels) of every prediction.
    """

    size = 32
    null_label = 10
    feature_block = ""

    def __init__(self, square: tuple[slice, slice]) -> None:
        self.gammas_T = torch.linspace(0.999, 0.01, 100)
        self.network: nn.Module = nn.Identity()
        self.square = square
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []
        self._clean = torch.zeros(0)

    def encode(self, images_BCHW: Tensor) -> Tensor:
        self._clean = images_BCHW.float() / 127.5 - 1
        return self._clean

    def decode(self, z_BCHW: Tensor) -> Tensor:
        return ((z_BCHW + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    def predict(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> Tensor:
        self.calls.append((z_BCHW, timesteps_B, labels_B))
        gamma = self.gammas_T[timesteps_B][:, None, None, None]
        clean = self._clean.repeat(len(z_BCHW) // len(self._clean), 1, 1, 1)
        noise = (z_BCHW - gamma.sqrt() * clean) / (1 - gamma).sqrt()
        error = torch.ones_like(noise)
        known = labels_B != self.null_label
        error[known, :, self.square[0], self.square[1]] = 0.0
        return noise + error


def shipped_digits(dtype: torch.dtype = torch.float32) -> PixelModel:
    """The project's own model of digits."""
    from evaluation.base.challenge import get_challenge

    return load(SHIPPED / "native-digits.safetensors", get_challenge("digits"), "cpu", dtype)


def save_tiny_diffusion(folder: Path, *, variant: str | None = None, prediction: str = "epsilon") -> Path:
    """A text-conditional model with random weights, laid out file by file like Stable Diffusion 1.5."""
    from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    network = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    autoencoder = AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8,
    )
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1,
    )
    half = variant == "fp16"
    for model, part in ((network, "unet"), (autoencoder, "vae"), (CLIPTextModel(config), "text_encoder")):
        (model.half() if half else model).save_pretrained(folder / part, variant=variant)
    schedule = PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
        prediction_type=prediction,
    )
    schedule.save_pretrained(folder / "scheduler")
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    told = special | {"unk_token": "<|endoftext|>", "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(told))
    return folder
