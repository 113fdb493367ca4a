"""`consistency`: ImageNet-64 consistency models (arXiv 2303.01469), one or two evaluations an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from submission.classes.imagenet import CLASSES, SKIP, LabelChoice, imagenet_choices
from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.hub import Model, read_json
from submission.contract.pixels import to_uint8
from submission.contract.precision import PRECISION, dtype_of
from submission.contract.seeded import noise
from submission.contract.settings import COMPILE
from submission.diffusion.pretrained import Pretrained, load_part
from submission.diffusion.samplers import karras_sigmas

TWO_STEPS = {40: (0, 22)}  # number of the training's noise levels -> indices into them, as published
_STEM = "unet/diffusion_pytorch_model"


@dataclass(frozen=True)
class ConsistencySchedule:
    """A model's noise levels, by the names in its scheduler's file.

    Attributes:
        num_train_timesteps: how many it was trained at.
        sigma_min, sigma_max, rho: the least, the largest, and how they are spaced (arXiv 2206.00364, equation 5).
        sigma_data: standard deviation that images in [-1, 1] are taken to have.
        s_noise: factor of the noise that is added between steps.
        clip_denoised: whether each answer is cut off at -1 and 1.
    """

    num_train_timesteps: int = 40
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    sigma_data: float = 0.5
    s_noise: float = 1.0
    clip_denoised: bool = True

    @classmethod
    def read(cls, path: Path) -> ConsistencySchedule:
        """Of a `scheduler_config.json`. Raises ValueError where it is damaged or another scheduler's."""
        config = read_config(path, "CMStochasticIterativeScheduler")
        return cls(**{name: config[name] for name in cls.__dataclass_fields__ if name in config})

    def sigmas(self, steps: int) -> list[float]:
        """The noise level of each evaluation, falling from `sigma_max`: the published two, else evenly spaced levels.

        Raises ValueError if there are more steps than levels.
        """
        count = self.num_train_timesteps
        if steps > count:
            raise ValueError(f"a consistency model of {count} noise levels has no {steps} steps; 1 or 2 are enough")
        levels = karras_sigmas(count, self.sigma_min, self.sigma_max, self.rho)
        indices: Sequence[int] = range(0, count // steps * steps, count // steps)
        if steps == 2:
            indices = TWO_STEPS.get(count, indices)
        return [levels[index] for index in indices]


class Consistency(Pretrained, Generator):
    """A consistency model in the diffusers format: from noise to an image in one evaluation, better in two."""

    model = Model(
        "openai/diffusers-cd_imagenet64_l2",
        ("unet/*", "scheduler/*"),
        (
            "unet/config.json",
            "scheduler/scheduler_config.json",
            "|".join(f"{_STEM}{variant}" for variant in (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin")),
        ),
    )
    info = GeneratorInfo(
        name="consistency",
        summary="consistency models of ImageNet at 64 x 64 pixels: one or two evaluations an image",
        default_steps=2,
        external_data="ImageNet-1k at 64 x 64 pixels, which the model was trained on",
        pretrained="openai/diffusers-cd_imagenet64_l2",
        weights_from="the hub, or a folder as --weights",
        licence="MIT",
        parts=True,
        settings=(PRECISION, COMPILE),
    )

    def __init__(self, unet: Any, schedule: ConsistencySchedule, choice: LabelChoice) -> None:
        """`unet` is a UNet2DModel of diffusers, ready for inference."""
        self.unet = unet
        self.schedule = schedule
        self.choice = choice

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        imagenet_choices(challenge)
        folder = super().find_weights(challenge, source)
        config = read_config(folder / "unet" / "config.json", "UNet2DModel")
        if config.get("num_class_embeds") != CLASSES:
            known = config.get("num_class_embeds") or "no"
            raise ValueError(f"{folder} holds a model of {known} classes, not of ImageNet's {CLASSES}")
        ConsistencySchedule.read(folder / "scheduler" / "scheduler_config.json")
        return folder

    @classmethod
    def check_weights(cls, challenge: Challenge) -> None:
        imagenet_choices(challenge)
        super().check_weights(challenge)

    @classmethod
    def load(cls, context: LoadContext) -> Consistency:
        from diffusers import UNet2DModel

        assert context.weights is not None, "find_weights gives a folder or raises"
        dtype = dtype_of(cls.resolve_settings(context.settings, context.weights), context.device)
        unet: Any = load_part(UNet2DModel, context.weights, "unet", dtype, context.device)
        schedule = ConsistencySchedule.read(context.weights / "scheduler" / "scheduler_config.json")
        choice = LabelChoice(imagenet_choices(context.challenge), context.device)
        return cls(unet.to(memory_format=torch.channels_last), schedule, choice)

    def networks(self) -> Sequence[nn.Module]:
        return (self.unet,)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the network (arXiv 2303.01469, algorithm 1)."""
        device = self.choice.labels_N.device
        seeds_B = seeds_B.to(device)
        labels_B = self.choice(labels_B.to(device), seeds_B)
        schedule = self.schedule
        clean_B3HW: Tensor | float = 0.0
        for step, sigma in enumerate(schedule.sigmas(steps)):
            noise_B3HW = self._noise(seeds_B, step)
            if step == 0:
                x_B3HW = sigma * noise_B3HW
            else:
                added = schedule.s_noise * math.sqrt(max(sigma**2 - schedule.sigma_min**2, 0))
                x_B3HW = clean_B3HW + added * noise_B3HW
            clean_B3HW = self._clean(x_B3HW, sigma, labels_B)
        assert isinstance(clean_B3HW, Tensor)
        return to_uint8(clean_B3HW)

    def _noise(self, seeds_B: Tensor, step: int) -> Tensor:
        """Standard normal, fp32 (B, 3, size, size), another for every step."""
        shape = (3, self.unet.config.sample_size, self.unet.config.sample_size)
        return noise(seeds_B, shape, step, SKIP).contiguous(memory_format=torch.channels_last)

    def _clean(self, x_B3HW: Tensor, sigma: float, labels_B: Tensor) -> Tensor:
        """f(x; sigma) of the paper's appendix C, fp32: x itself at `sigma_min`."""
        least, data = self.schedule.sigma_min, self.schedule.sigma_data
        total = math.hypot(sigma, data)
        time = x_B3HW.new_full((), 250 * math.log(sigma))  # a thousand times ln(sigma) / 4
        answer = self.unet((x_B3HW / total).to(self.unet.dtype), time, class_labels=labels_B, return_dict=False)[0]
        skip = data**2 / ((sigma - least) ** 2 + data**2)
        clean_B3HW = skip * x_B3HW + (sigma - least) * data / total * answer.float()
        return clean_B3HW.clamp(-1, 1) if self.schedule.clip_denoised else clean_B3HW


def read_config(path: Path, kind: str) -> dict[str, Any]:
    """A JSON file of diffusers that names its class. Raises ValueError where it is damaged or of another class."""
    config = read_json(path)
    if (found := config.get("_class_name")) != kind:
        raise ValueError(f"{path} is of a {found}, not of a {kind}; give a consistency model in the diffusers format")
    return config
