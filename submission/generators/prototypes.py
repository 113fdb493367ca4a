"""`prototypes`: k-means centres of each class, remade by a diffusion model (in the manner of D4M, CVPR 2024)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluation.base.challenge import Challenge
from evaluation.base.images import ImageSet, random_subset
from evaluation.base.progress_bar import progress_bar
from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.pixels import resize_uint8
from submission.contract.precision import PRECISION, dtype_of
from submission.contract.seeded import bits, normal
from submission.contract.settings import Settings, integer, number
from submission.diffusion.guidance import GUIDANCE
from submission.diffusion.latent_samplers import image_to_image
from submission.diffusion.noise_model import PRETRAINED, WEIGHTS_FROM, NoiseModel, find_noise_model, load_noise_model
from submission.patches.stage_two import cluster

CANDIDATES = integer("candidates", 100, 1, 100_000, "training images per class that are clustered, chosen at random")
CLUSTERS = integer("clusters", 10, 1, 1000, "prototypes of a class")
STRENGTH = number("strength", 0.7, 0.05, 1.0, "fraction of the schedule to noise a prototype to; at 1 nothing is left")
BATCH = integer("batch", 64, 1, 4096, "images encoded at once")


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
        settings=(CANDIDATES, CLUSTERS, STRENGTH, GUIDANCE, BATCH, PRECISION),
    )

    def __init__(self, model: NoiseModel, prototypes_CKCHW: Tensor, settings: Settings) -> None:
        """`prototypes_CKCHW` are K prototypes of each label, as `NoiseModel.encode` gives images."""
        self._model = model
        self._prototypes_CKCHW = prototypes_CKCHW
        self._settings = settings

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        return find_noise_model(challenge, source)

    @classmethod
    def load(cls, context: LoadContext) -> Prototypes:
        path = context.weights or cls.find_weights(context.challenge, None)
        settings = cls.resolve_settings(context.settings, path)
        dtype = dtype_of(settings, context.device)
        model = load_noise_model(path, context.challenge, context.device, dtype)
        candidates = random_subset(context.read_training_images(), settings[CANDIDATES], context.seed)
        return cls(model, find_prototypes(model, candidates, settings, context.seed), settings)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the model. The seed draws the prototype too."""
        prototypes, device = self._prototypes_CKCHW, self._prototypes_CKCHW.device
        labels_B, seeds_B = labels_B.to(device), seeds_B.to(device)
        which_B = bits(seeds_B, 1)[:, 0] % prototypes.shape[1]
        z_BCHW = prototypes[labels_B, which_B]
        noise_BCHW = normal(seeds_B, z_BCHW[0].numel(), skip=1).view_as(z_BCHW)
        strength, guidance = self._settings[STRENGTH], self._settings[GUIDANCE]
        made_BCHW = image_to_image(
            self._model, z_BCHW, noise_BCHW, labels_B, steps=steps, strength=strength, guidance=guidance
        )
        return self._model.decode(made_BCHW).contiguous()


@torch.inference_mode()
def find_prototypes(model: NoiseModel, images: ImageSet, settings: Settings, seed: int) -> Tensor:
    """The k-means centres of each class in the model's space, (classes, K, C, H, W); repeated where fewer are found."""
    found = []
    with progress_bar("Prototypes") as update:
        for label in np.unique(images.labels):
            of_class = torch.from_numpy(images.images[images.labels == label])
            parts = of_class.split(settings[BATCH])
            z_NCHW = torch.cat([model.encode(resize_uint8(part, model.size)) for part in parts])
            _, centres_KD = cluster(z_NCHW.flatten(1).cpu().numpy(), settings[CLUSTERS], seed)
            cycled_K = np.arange(settings[CLUSTERS]) % len(centres_KD)
            found.append(torch.from_numpy(centres_KD[cycled_K]).view(-1, *z_NCHW.shape[1:]))
            done = int((images.labels <= label).sum())
            update(done / len(images), f"{done:,} of {len(images):,} images encoded")
    return torch.stack(found).to(model.gammas_T.device)
