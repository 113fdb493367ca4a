"""`prototypes`: k-means centres of each class, remade by a diffusion model (in the manner of D4M, CVPR 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet
from evaluation.data.subset import random_subset
from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.pixels import resize_uint8
from submission.contract.precision import check_precision, parse_precision
from submission.contract.progress_lines import ProgressLines
from submission.contract.seeded import bits, normal
from submission.contract.settings import number, whole_number
from submission.contract.training_images import read_training_images
from submission.diffusion.guidance import parse_guidance
from submission.diffusion.latent_samplers import image_to_image
from submission.diffusion.noise_model import PRETRAINED, WEIGHTS_FROM, NoiseModel, find_noise_model, load_noise_model
from submission.patches.clusters import cluster


@dataclass(frozen=True)
class PrototypeSettings:
    """What `--set` can change.

    Attributes:
        candidates: training images per class that are clustered, chosen at random.
        clusters: prototypes of a class.
        strength: share of the schedule that a prototype is noised to; at 1 nothing of it is left.
        guidance: 1 for none; above 1 sharpens the class at twice the cost and some diversity.
        batch: images encoded at once.
    """

    candidates: int
    clusters: int
    strength: float
    guidance: float
    batch: int

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> PrototypeSettings:
        """Raises ValueError for a value that a setting cannot take."""
        check_precision(settings)
        return cls(
            candidates=whole_number(settings, "candidates", 100, 1, 100_000),
            clusters=whole_number(settings, "clusters", 10, 1, 1000),
            strength=number(settings, "strength", 0.7, 0.05, 1.0),
            guidance=parse_guidance(settings),
            batch=whole_number(settings, "batch", 64, 1, 4096),
        )


class Prototypes(Generator):
    """Each image starts from one of its class's prototypes, with noise of its own."""

    info = GeneratorInfo(
        name="prototypes",
        summary="k-means prototypes of each class, remade image-to-image by a diffusion model (D4M)",
        default_steps=10,
        default_batch=32,
        pretrained=PRETRAINED,
        weights_from=WEIGHTS_FROM,
        licence="that of the weights",
        needs_training_images=True,
        parts=True,
        settings=("candidates", "clusters", "strength", "guidance", "batch", "precision"),
    )

    def __init__(self, model: NoiseModel, prototypes_CKCHW: Tensor, settings: PrototypeSettings) -> None:
        """`prototypes_CKCHW` are K prototypes of each label, as `NoiseModel.encode` gives images."""
        self._model = model
        self._prototypes_CKCHW = prototypes_CKCHW
        self._settings = settings

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        return find_noise_model(challenge, source)

    @classmethod
    def check_settings(cls, settings: Mapping[str, str]) -> None:
        super().check_settings(settings)
        PrototypeSettings.parse(settings)

    @classmethod
    def load(cls, context: LoadContext) -> Prototypes:
        settings = PrototypeSettings.parse(context.settings)
        path = context.weights or cls.find_weights(context.challenge, None)
        dtype = parse_precision(context.settings, context.device)
        model = load_noise_model(path, context.challenge, context.device, dtype)
        candidates = random_subset(read_training_images(context), settings.candidates, context.seed)
        return cls(model, find_prototypes(model, candidates, settings, context.seed), settings)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the model. The seed draws the prototype too."""
        prototypes, device = self._prototypes_CKCHW, self._prototypes_CKCHW.device
        labels_B, seeds_B = labels_B.to(device), seeds_B.to(device)
        which_B = bits(seeds_B, 1)[:, 0] % prototypes.shape[1]
        z_BCHW = prototypes[labels_B, which_B]
        noise_BCHW = normal(seeds_B, z_BCHW[0].numel(), skip=1).view_as(z_BCHW)
        strength, guidance = self._settings.strength, self._settings.guidance
        made_BCHW = image_to_image(
            self._model, z_BCHW, noise_BCHW, labels_B, steps=steps, strength=strength, guidance=guidance
        )
        return self._model.decode(made_BCHW).contiguous()


@torch.inference_mode()
def find_prototypes(model: NoiseModel, images: ImageSet, settings: PrototypeSettings, seed: int) -> Tensor:
    """The k-means centres of each class among what the model works on, (classes, K, C, H, W) on the model's device.

    A class with fewer different images than clusters has its prototypes more than once.
    """
    found = []
    progress = ProgressLines("Prototypes, images encoded", len(images))
    labels = np.unique(images.labels)
    for label in labels:
        of_class = torch.from_numpy(images.images[images.labels == label])
        z_NCHW = torch.cat([model.encode(resize_uint8(part, model.size)) for part in of_class.split(settings.batch)])
        _, centres_KD = cluster(z_NCHW.flatten(1).cpu().numpy(), settings.clusters, seed)
        cycled_K = np.arange(settings.clusters) % len(centres_KD)
        found.append(torch.from_numpy(centres_KD[cycled_K]).view(-1, *z_NCHW.shape[1:]))
        progress.show(int((images.labels <= label).sum()))
    return torch.stack(found).to(model.gammas_T.device)
