"""`sdxl-turbo`: the text-to-image model of the challenge's third place, in one step, without guidance.

After "Generative Dataset Distillation Based on Diffusion Model" (ECCV 2024 workshops) and "Adversarial Diffusion
Distillation" (arXiv 2311.17042). Its post data augmentation is `submission.worker.pda`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from submission.classes.prompts import (
    DEFAULT_TEMPLATE,
    check_prompts_setting,
    check_template,
    parse_prompts,
    template_prompts,
)
from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.hub import Model, find_model
from submission.contract.pixels import to_uint8
from submission.contract.precision import PRECISION, dtype_of, fastest_precision
from submission.contract.seeded import noise
from submission.contract.settings import COMPILE, Setting, Settings, choice, integer
from submission.diffusion.latent_samplers import euler_ancestral, sigmas_of
from submission.diffusion.pretrained import Pretrained, load_part
from submission.diffusion.text_model import PromptTable, encode_prompts

CHANNELS = 4
# pixels of an image along a latent's side
FACTOR = 8
# Pixels decoded at a time: 8 images of 512 x 512. More are no faster and take gigabytes.
DECODED_AT_ONCE = 8 * 512 * 512


def _either(part: str, name: str) -> str:
    """Weights of one network, as half-precision copies or in full."""
    return f"{part}/{name}.fp16.safetensors|{part}/{name}.safetensors"


def _text(tokenizer: str, encoder: str) -> tuple[str, ...]:
    """What a text encoder and its tokenizer need; newer copies have a tokenizer in one file."""
    return (
        f"{tokenizer}/vocab.json|{tokenizer}/tokenizer.json",
        f"{tokenizer}/merges.txt|{tokenizer}/tokenizer.json",
        f"{encoder}/config.json",
        _either(encoder, "model"),
    )


MODEL = Model(
    repository="stabilityai/sdxl-turbo",
    files=(
        "model_index.json",
        "scheduler/*.json",
        "tokenizer*/*",
        "text_encoder*/config.json",
        "text_encoder*/model.fp16.safetensors",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ),
    needed=(
        "scheduler/scheduler_config.json",
        *_text("tokenizer", "text_encoder"),
        *_text("tokenizer_2", "text_encoder_2"),
        "unet/config.json",
        _either("unet", "diffusion_pytorch_model"),
        "vae/config.json",
        _either("vae", "diffusion_pytorch_model"),
    ),
)
TINY_DECODER = Model(
    repository="madebyollin/taesdxl",
    files=("config.json", "diffusion_pytorch_model.safetensors"),
    needed=("config.json", "diffusion_pytorch_model.safetensors"),
    option="--set decoder_weights=",
)


DECODER = choice("decoder", "full", ("full", "tiny"), "tiny is TAESD's: many times as fast, a little less sharp")
DECODER_WEIGHTS = Setting[str | None](
    "decoder_weights",
    None,
    "a folder or a name on the hub",
    "of the tiny decoder; default: the published one",
    str,
)
SIZE = integer("size", 512, 64, 1024, "pixels, before resizing; the model was trained at 512", multiple_of=FACTOR)
TEMPLATE = Setting(
    "template", DEFAULT_TEMPLATE, "a text with {name} or {a_name}", "of the prompts, one for each class", check_template
)
PROMPTS = Setting[str | None](
    "prompts",
    None,
    "a JSON object by class name",
    "your own; easier with --prompts FILE",
    check_prompts_setting,
)


class SdxlTurbo(Pretrained, Generator):
    """A text-to-image U-Net that was distilled to one step, given the class in a prompt."""

    model = MODEL
    info = GeneratorInfo(
        name="sdxl-turbo",
        summary="SDXL-Turbo in one step, without guidance, given each class in a prompt (the third place's generator)",
        default_batch=16,
        external_data="the image and text pairs that SDXL and SDXL-Turbo were trained on; not published",
        pretrained="stabilityai/sdxl-turbo; with decoder=tiny also madebyollin/taesdxl",
        weights_from="stabilityai/sdxl-turbo on the hub, 6.9 GB",
        licence="Stability AI's community licence for research and non-commercial use; taesdxl: MIT",
        settings=(DECODER, DECODER_WEIGHTS, SIZE, TEMPLATE, PROMPTS, PRECISION, COMPILE),
    )

    def __init__(self, unet: nn.Module, decoder: Decoder, table: PromptTable, sigmas_T: Tensor, size: int) -> None:
        """`unet` and `decoder` are of diffusers; `size` is that of the images."""
        self.unet = unet
        self.decoder = decoder
        self.table = table
        self.sigmas_T = sigmas_T
        self.side = size // FACTOR
        # what SDXL knows of an image: its size before cropping, where it was cropped, the size wanted
        self.time_ids_6 = torch.tensor([size, size, 0, 0, size, size], device=table.count_C.device)

    @classmethod
    def check_settings(cls, settings: Settings, weights: Path | None) -> None:
        if settings[PROMPTS] is not None and settings[TEMPLATE] != DEFAULT_TEMPLATE:
            raise ValueError("template and prompts exclude each other; give one of them")
        if settings[DECODER] == "tiny":
            find_model(TINY_DECODER, settings[DECODER_WEIGHTS])
        elif settings[DECODER_WEIGHTS] is not None:
            raise ValueError("decoder_weights is for decoder=tiny; the full decoder comes with the model")

    @classmethod
    def load(cls, context: LoadContext) -> SdxlTurbo:
        from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel

        challenge, device = context.challenge, context.device
        folder = context.weights or cls.find_weights(challenge, None)
        settings = cls.resolve_settings(context.settings, folder)
        own, dtype = settings[PROMPTS], dtype_of(settings, device)
        prompts = template_prompts(challenge, settings[TEMPLATE]) if own is None else parse_prompts(own, challenge)
        sigmas_T = sigmas_of(folder / "scheduler" / "scheduler_config.json")
        table = encode_prompts(folder, prompts, dtype, device)
        unet: Any = load_part(UNet2DConditionModel, folder, "unet", dtype, device)
        decoder: Any
        if settings[DECODER] == "tiny":
            tiny = find_model(TINY_DECODER, settings[DECODER_WEIGHTS], fetch=False)
            decoder = load_part(AutoencoderTiny, tiny, "", dtype, device)
        else:
            # its activations leave fp16's range; bf16 has fp32's
            wide = fastest_precision(device) if dtype == torch.float16 else dtype
            decoder = load_part(AutoencoderKL, folder, "vae", wide, device)
        for network in (unet, decoder):
            network.to(memory_format=torch.channels_last)
        return cls(unet, Decoder(decoder), table, sigmas_T, settings[SIZE])

    def networks(self) -> Sequence[nn.Module]:
        return (self.unet, self.decoder.autoencoder.decoder)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the U-Net, 1 to 4 are those it was made for."""
        device = self.table.count_C.device
        labels_B, seeds_B = labels_B.to(device), seeds_B.to(device)
        context_BLD, pooled_BE = self.table.choose(labels_B, seeds_B)
        added = {"text_embeds": pooled_BE, "time_ids": self.time_ids_6.expand(len(labels_B), -1)}

        def draw_noise(draw: int) -> Tensor:
            # the first number of each image's sequence chose its prompt
            return noise(seeds_B, (CHANNELS, self.side, self.side), draw, skip=1)

        def predict(z_BCHW: Tensor, timestep: int) -> Tensor:
            z_BCHW = z_BCHW.to(context_BLD.dtype, memory_format=torch.channels_last)
            # a tensor: a compiled network takes every other whole number for another network
            timesteps_B = torch.full_like(labels_B, timestep)
            eps_BCHW: Tensor = self.unet(z_BCHW, timesteps_B, context_BLD, added_cond_kwargs=added, return_dict=False)[
                0
            ]
            return eps_BCHW.float()

        return self.decoder(euler_ancestral(predict, draw_noise, self.sigmas_T, steps))


class Decoder:
    """Latents to pixels, as many at a time as fit in memory."""

    def __init__(self, autoencoder: Any) -> None:
        """`autoencoder` is an AutoencoderKL or AutoencoderTiny of diffusers."""
        self.autoencoder = autoencoder

    def __call__(self, z_BCHW: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) from latents float32 (B, 4, H / 8, W / 8) as the U-Net has them."""
        at_once = max(1, DECODED_AT_ONCE // (FACTOR**2 * z_BCHW.shape[-2] * z_BCHW.shape[-1]))
        return torch.cat([self._part(part_BCHW) for part_BCHW in z_BCHW.split(at_once)])

    def _part(self, z_BCHW: Tensor) -> Tensor:
        z_BCHW = (z_BCHW / self.autoencoder.config.scaling_factor).to(
            self.autoencoder.dtype, memory_format=torch.channels_last
        )
        x_B3HW: Tensor = self.autoencoder.decode(z_BCHW, return_dict=False)[0]
        return to_uint8(x_B3HW.float())
