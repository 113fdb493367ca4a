"""A DiT (arXiv 2212.09748) with its autoencoder, from a folder as diffusers lays out a `DiTPipeline`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from submission.classes.imagenet import CLASSES, imagenet_labels
from submission.contract.hub import Model, read_json
from submission.contract.pixels import resize_uint8, to_uint8
from submission.diffusion.pretrained import load_part

# Networks of diffusers, DiTTransformer2DModel and AutoencoderKL, whose types say too little to check against.
Transformer: TypeAlias = Any
Autoencoder: TypeAlias = Any

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

# Images that the autoencoder takes at once: at 256 pixels more would take gigabytes and bring no speed.
_VAE_BATCH = 16


class DiT:
    """A `NoiseModel` on latents; `null_label` is the number of the challenge's classes.

    Attributes:
        transformer, vae: the networks, in evaluation mode; `network` is the transformer.
        schedule: the configuration of the scheduler that the model came with.
        latent_shape: of one image, (C, S, S).
    """

    def __init__(
        self,
        transformer: Transformer,
        vae: Autoencoder,
        schedule: dict[str, Any],
        ids: tuple[int, ...],
    ) -> None:
        """`ids`: the row of the label embedding for each label; the null label's is the one after the last class."""
        self.transformer, self.vae, self.schedule = transformer, vae, schedule
        self.network: nn.Module = transformer
        self.feature_block = f"transformer_blocks.{len(transformer.transformer_blocks) // 2}"
        device = self.device
        self._ids_K = torch.tensor([*ids, transformer.config.num_embeds_ada_norm], device=device)
        self.null_label = len(ids)
        self.gammas_T = gammas(schedule).to(device)
        side = transformer.config.sample_size
        self.latent_shape = (transformer.config.in_channels, side, side)
        self.size = side * 2 ** (len(vae.config.block_out_channels) - 1)

    @classmethod
    def load(cls, folder: Path, challenge: Challenge, device: str, dtype: torch.dtype) -> DiT:
        """The model in `folder` for the labels of `challenge`. Raises ValueError if it is damaged or does not fit."""
        from diffusers import AutoencoderKL, DiTTransformer2DModel

        ids, schedule = class_ids(folder, challenge), read_schedule(folder)
        transformer: Transformer = load_part(DiTTransformer2DModel, folder, "transformer", dtype, device)
        vae: Autoencoder = load_part(AutoencoderKL, folder, "vae", dtype, device)
        vae.to(memory_format=torch.channels_last)
        if transformer.config.in_channels != vae.config.latent_channels:
            raise ValueError(
                f"{folder} has a transformer for {transformer.config.in_channels} channels and an autoencoder of"
                f" {vae.config.latent_channels}; copy the model again"
            )
        return cls(transformer, vae, schedule, ids)

    @property
    def device(self) -> torch.device:
        return self.transformer.device

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """uint8 (B, 3, H, W), resized to `size`, to scaled latents, fp32 (B, *latent_shape): the posterior's means."""
        return torch.cat([self._encode(part) for part in images_BCHW.split(_VAE_BATCH)])

    def decode(self, z_BCHW: Tensor) -> Tensor:
        """Scaled latents to uint8 (B, 3, size, size)."""
        return torch.cat([self._decode(part) for part in z_BCHW.split(_VAE_BATCH)])

    def predict(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> Tensor:
        """See NoiseModel."""
        return self.predict_both(z_BCHW, timesteps_B, labels_B)[0]

    def predict_both(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor | None]:
        """As `predict`, and where the variance of an ancestral step lies; see `noise_and_variance`."""
        return noise_and_variance(self.transformer, z_BCHW, timesteps_B, self._ids_K[labels_B])

    def _encode(self, images_BCHW: Tensor) -> Tensor:
        # the autoencoder was trained on [-1, 1]
        x_BCHW = resize_uint8(images_BCHW.to(self.device), self.size) / 127.5 - 1
        return self.vae.encode(x_BCHW.to(self.vae.dtype)).latent_dist.mode().float() * self.vae.config.scaling_factor

    def _decode(self, z_BCHW: Tensor) -> Tensor:
        x_BCHW = self.vae.decode((z_BCHW / self.vae.config.scaling_factor).to(self.vae.dtype)).sample.float()
        return to_uint8(x_BCHW)


def noise_and_variance(
    transformer: Transformer, z_BCHW: Tensor, timesteps_B: Tensor, ids_B: Tensor
) -> tuple[Tensor, Tensor | None]:
    """The noise in `z_BCHW`, fp32, for timesteps in [0, T) and rows `ids_B` of the label embedding, int64 (B,).

    Where the network has twice as many output channels, also the position of the log variance between its two bounds,
    -1 for the lower and 1 for the upper (arXiv 2102.09672, equation 15).
    """
    output = transformer(z_BCHW.to(transformer.dtype), timestep=timesteps_B, class_labels=ids_B).sample.float()
    channels = z_BCHW.shape[1]
    return output[:, :channels], output[:, channels:] if output.shape[1] == 2 * channels else None


def gammas(schedule: dict[str, Any]) -> Tensor:
    """gamma_t of each timestep, fp32 (T,), on the CPU."""
    from diffusers import DDPMScheduler

    return DDPMScheduler.from_config(schedule).alphas_cumprod


def class_ids(folder: Path, challenge: Challenge) -> tuple[int, ...]:
    """The row of the label embedding for each label of `challenge`. Raises ValueError if it has not learned them."""
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

    An embedding of 1,000 classes is ImageNet's. One of the challenge's number of classes is the challenge's, unless the
    folder names its classes otherwise.
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
    """The scheduler's configuration for diffusers' `from_config`. Raises ValueError unless the noise is predicted."""
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    prediction = config.get("prediction_type", "epsilon")
    if prediction != "epsilon" or config.get("clip_sample") or config.get("thresholding"):
        raise ValueError(
            f"{folder / 'scheduler'} is for another kind of model than a DiT: it must have prediction_type epsilon,"
            " clip_sample false and no thresholding"
        )
    return {**config, "clip_sample": False}  # where it is not said, some schedulers clip


def _classes_of(folder: Path) -> int:
    path = folder / "transformer" / "config.json"
    classes = read_json(path).get("num_embeds_ada_norm")
    if not isinstance(classes, int):
        raise ValueError(f"{path} is of a network without a label embedding, which is no DiT")
    return classes


def _class_names(folder: Path) -> tuple[str, ...]:
    """The folder's own names of its classes in label order, empty where it gives none."""
    path = folder / "model_index.json"
    names = read_json(path).get("id2label") if path.is_file() else None
    return tuple(names[key] for key in sorted(names, key=int)) if names else ()
