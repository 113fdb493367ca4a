"""`dit`: a class-conditional diffusion transformer (arXiv 2212.09748) in few steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from submission.classes.imagenet import imagenet_labels
from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.hub import Model
from submission.contract.precision import PRECISION, dtype_of
from submission.contract.seeded import noise
from submission.contract.settings import COMPILE, Settings, choice
from submission.diffusion.dit import DIT_XL, DiT, class_ids, read_schedule
from submission.diffusion.guidance import GUIDANCE, guided
from submission.diffusion.latent_samplers import SOLVERS, sample
from submission.diffusion.pretrained import Pretrained

SOLVER = choice("solver", "dpmsolver++", tuple(SOLVERS), "of the sampling")


class DiTGenerator(Pretrained, Generator):
    """A DiT, its steps few: the min-max paper's DSR (diffusion step reduction) is choosing how many."""

    model: ClassVar[Model] = DIT_XL
    info = GeneratorInfo(
        name="dit",
        summary="DiT-XL/2 at 256 pixels, the diffusion transformer that the second place began with; any steps (DSR)",
        default_steps=10,
        default_batch=8,
        external_data="ImageNet-1k (the transformer); OpenImages and LAION-5B (the autoencoder)",
        pretrained=DIT_XL.repository,
        weights_from=f"the hub: {DIT_XL.repository}, 3 GB; or a folder of the same form as --weights",
        licence="CC-BY-NC-4.0",
        settings=(SOLVER, GUIDANCE, PRECISION, COMPILE),
    )

    def __init__(self, dit: DiT, settings: Settings) -> None:
        self.dit = dit
        self.settings = settings

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        if source is None:
            cls._check_stock(challenge)  # before gigabytes are fetched
        folder = super().find_weights(challenge, source)
        class_ids(folder, challenge)
        read_schedule(folder)
        return folder

    @classmethod
    def check_weights(cls, challenge: Challenge) -> None:
        cls._check_stock(challenge)
        super().check_weights(challenge)

    @classmethod
    def _check_stock(cls, challenge: Challenge) -> None:
        try:
            imagenet_labels(challenge)
        except ValueError as error:
            raise ValueError(
                f"{error}, which are all that {cls.model.repository} knows; fine-tune it with `python -m"
                f" submission.training minmax --dataset {challenge.name} --out DIR`, then give --generator dit-minmax"
                " --weights DIR/model"
            ) from None

    @classmethod
    def load(cls, context: LoadContext) -> DiTGenerator:
        folder = context.weights or cls.find_weights(context.challenge, None)
        settings = cls.resolve_settings(context.settings, folder)
        dtype = dtype_of(settings, context.device)
        return cls(DiT.load(folder, context.challenge, context.device, dtype), settings)

    def networks(self) -> Sequence[nn.Module]:
        return (self.dit.transformer,)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the transformer, with guidance each of two labels."""
        labels_B = labels_B.to(self.dit.device)
        draw = partial(noise, seeds_B.to(self.dit.device), self.dit.latent_shape)

        def predict(z_BCHW: Tensor, t: int) -> tuple[Tensor, Tensor | None]:
            return self._predict(z_BCHW, t, labels_B)

        return self.dit.decode(sample(predict, self.dit.schedule, self.settings[SOLVER], steps, draw))

    def _predict(self, z_BCHW: Tensor, t: int, labels_B: Tensor) -> tuple[Tensor, Tensor | None]:
        """The noise, guided in all channels as in diffusers' pipeline, and what is said of the variance with the class.

        The code that the DiT paper published guides the first three of the four channels only, and keeps that for the
        sake of its own figures; nothing sets the fourth channel of a latent apart.
        """
        timesteps_B = torch.full_like(labels_B, t)
        if self.settings[GUIDANCE] == 1:
            return self.dit.predict_both(z_BCHW, timesteps_B, labels_B)
        null_B = torch.full_like(labels_B, self.dit.null_label)
        noise_2B, position_2B = self.dit.predict_both(
            z_BCHW.repeat(2, 1, 1, 1), timesteps_B.repeat(2), torch.cat([labels_B, null_B])
        )
        position_B = None if position_2B is None else position_2B.chunk(2)[0]
        return guided(noise_2B, self.settings[GUIDANCE]), position_B
