"""Models that a prompt tells the class: CLIP's text encoders, and Stable Diffusion 1.5 as a `NoiseModel`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from submission.classes.prompts import Prompts, template_prompts
from submission.contract.hub import Model
from submission.contract.pixels import to_uint8
from submission.contract.seeded import bits
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

_TEXTS_AT_ONCE = 64

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
        return to_uint8(pixels)

    def predict(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> Tensor:
        text_BLD = self._embeddings_CLD[labels_B]
        noisy_BCHW = z_BCHW.to(self.network.dtype)
        return self.network(noisy_BCHW, timesteps_B, encoder_hidden_states=text_BLD).sample.float()


def load(folder: Path, challenge: Challenge, device: str, dtype: torch.dtype) -> TextModel:
    """The model in `folder`. Raises ValueError where it is damaged or predicts something else than noise."""
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel

    schedule = DDPMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
    if schedule.config.prediction_type != "epsilon":
        raise ValueError(
            f"{folder} predicts {schedule.config.prediction_type}, not the noise; give a model like {MODEL.repository}"
        )
    texts = [*(prompt for (prompt,) in template_prompts(challenge)), ""]
    _, embeddings_CLD = _encode(CLIPTextModel, folder, "", texts, dtype, device)
    network: Any = load_part(UNet2DConditionModel, folder, "unet", dtype, device)
    autoencoder: Any = load_part(AutoencoderKL, folder, "vae", dtype, device)
    for part in (network, autoencoder):
        part.to(memory_format=torch.channels_last)
    return TextModel(network, autoencoder, embeddings_CLD, schedule.alphas_cumprod.to(device))


@dataclass(frozen=True)
class PromptTable:
    """The encoded prompts of every class, P prompts of C classes.

    Attributes:
        context_PLD: for cross-attention, both encoders side by side.
        pooled_PE: one vector each, of the second encoder.
        first_C: int64, each class's first prompt; its others follow.
        count_C: int64, how many prompts it has.
    """

    context_PLD: Tensor
    pooled_PE: Tensor
    first_C: Tensor
    count_C: Tensor

    def choose(self, labels_B: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L, D) and (B, E): a prompt of each image's class; where it has several, the image's seed decides."""
        prompts_B = self.first_C[labels_B] + bits(seeds_B, 1)[:, 0] % self.count_C[labels_B]
        return self.context_PLD[prompts_B], self.pooled_PE[prompts_B]


def encode_prompts(folder: Path, prompts: Prompts, dtype: torch.dtype, device: str) -> PromptTable:
    """Encode the prompts of every class with the model in `folder`. Raises ValueError if it is damaged."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    texts = [text for several in prompts for text in several]
    hidden_PLD, _ = _encode(CLIPTextModel, folder, "", texts, dtype, device)
    hidden_2_PLD, pooled_PE = _encode(CLIPTextModelWithProjection, folder, "_2", texts, dtype, device)
    count_C = torch.tensor([len(several) for several in prompts], device=device)
    return PromptTable(torch.cat([hidden_PLD, hidden_2_PLD], dim=-1), pooled_PE, count_C.cumsum(0) - count_C, count_C)


@torch.inference_mode()
def _encode(
    kind: type[torch.nn.Module], folder: Path, suffix: str, texts: Sequence[str], dtype: torch.dtype, device: str
) -> tuple[Tensor, Tensor]:
    """The last but one hidden states (P, L, D), as SDXL takes them, and the first output: (P, L, D) or (P, E)."""
    ids_PL = _token_ids(folder, f"tokenizer{suffix}", texts)
    encoder = load_part(kind, folder, f"text_encoder{suffix}", dtype, device)
    outputs = [encoder(part_BL.to(device), output_hidden_states=True) for part_BL in ids_PL.split(_TEXTS_AT_ONCE)]
    return torch.cat([each.hidden_states[-2] for each in outputs]), torch.cat([each[0] for each in outputs])


def _token_ids(folder: Path, subfolder: str, texts: Sequence[str]) -> Tensor:
    """int64 (P, L): every text cut or filled up to the length that the tokenizer states."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # for so few texts its threads only warn of forks
    from transformers import CLIPTokenizer

    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder=subfolder, local_files_only=True)
        length = tokenizer.model_max_length
        tokens = tokenizer(list(texts), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    except Exception as error:  # the tokenizers library raises bare Exceptions
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{folder / subfolder} is damaged or holds no tokenizer ({reason}); copy the model again"
        ) from None
    return tokens.input_ids
