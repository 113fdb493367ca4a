"""`native`: the project's own diffusion model, trained on the challenge's training split at its own resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.pixels import to_uint8
from submission.contract.precision import PRECISIONS, check_precision, fastest_precision
from submission.contract.seeded import normal
from submission.contract.settings import number
from submission.contract.weights import find_weights_file, read_header
from submission.diffusion.denoise import denoise_guided
from submission.diffusion.guidance import parse_guidance
from submission.diffusion.native_model import load_denoiser
from submission.diffusion.networks.denoiser import Denoiser
from submission.diffusion.networks.unet import UNet
from submission.diffusion.samplers import CONSISTENCY, SOLVERS, sample, sample_consistency


@dataclass(frozen=True)
class NativeSettings:
    """What `--set` can change. Of the first three None stands for what the weights say, which was chosen for them.

    Attributes:
        solver: a key of `submission.diffusion.samplers.SOLVERS`.
        guidance: 1 for none; above 1 sharpens the class at twice the cost and some diversity.
        noise_scale: of the noise that images begin from; below 1 nearer to the middle of the class, and less diverse.
        precision: a key of `PRECISIONS`; None for bf16 where the device computes in it, else fp32.
    """

    solver: str | None = None
    guidance: float | None = None
    noise_scale: float | None = None
    precision: str | None = None

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> NativeSettings:
        """Raises ValueError for a value that a setting cannot take."""
        if "solver" in settings and settings["solver"] not in (*SOLVERS, CONSISTENCY):
            raise ValueError(f"solver must be one of {', '.join((*SOLVERS, CONSISTENCY))}, not {settings['solver']!r}")
        guidance = parse_guidance(settings) if "guidance" in settings else None
        noise_scale = number(settings, "noise_scale", 1.0, 0.0, 2.0) if "noise_scale" in settings else None
        return cls(settings.get("solver"), guidance, noise_scale, check_precision(settings))

    def check_fit(self, path: Path, model: Mapping[str, Any]) -> None:
        """Raises ValueError for settings that the weights in `path`, which say `model` of themselves, cannot take."""
        if model["solver"] == CONSISTENCY:
            if self.solver not in (None, CONSISTENCY):
                raise ValueError(f"{path} holds a consistency model, which no other solver fits; leave out solver")
            if self.guidance not in (None, 1):
                raise ValueError(f"{path} holds a consistency model, which cannot be guided; leave out guidance")
        elif self.solver is None and model["solver"] not in SOLVERS:
            raise ValueError(
                f"{path} names the solver {model['solver']!r}, which is no longer there; add --set solver=NAME, one of:"
                f" {', '.join(SOLVERS)}"
            )
        elif self.solver == CONSISTENCY:
            raise ValueError(
                f"solver {CONSISTENCY} needs weights from `python -m submission.training distill`, and {path} holds"
                f" others; choose one of: {', '.join(SOLVERS)}"
            )


class Native(Generator):
    """A small class-conditional diffusion model (`submission.diffusion.networks`), sampled in a few evaluations."""

    info = GeneratorInfo(
        name="native",
        summary="the project's own diffusion model at the native resolution, trained from scratch",
        default_steps=8,
        default_batch=100,
        weights_from="shipped with the project",
        parts=True,
        settings=("solver", "guidance", "noise_scale", "precision", "compile"),
    )

    def __init__(
        self,
        denoiser: Denoiser[UNet],
        solver: str,
        guidance: float = 1.0,
        noise_scale: float = 1.0,
        middle: float | None = None,
    ) -> None:
        """`denoiser` holds a folded network in channels-last form; `middle` is for the solver CONSISTENCY alone."""
        self.denoiser = denoiser
        self.solver = solver
        self.guidance = guidance
        self.noise_scale = noise_scale
        self.middle = middle

    @classmethod
    def default_steps(cls, weights: Path | None) -> int:
        """As chosen on held-out training images when the weights were made."""
        return cls.info.default_steps if weights is None else int(read_header(weights).model["steps"])

    @classmethod
    def check_settings(cls, settings: Mapping[str, str]) -> None:
        super().check_settings(settings)
        NativeSettings.parse(settings)

    @classmethod
    def check_fit(cls, settings: Mapping[str, str], weights: Path | None) -> None:
        if weights is not None:
            NativeSettings.parse(settings).check_fit(weights, read_header(weights).model)

    @classmethod
    def find_weights(cls, challenge: Challenge, source: str | None) -> Path:
        return find_weights_file("native", challenge, source)

    @classmethod
    def load(cls, context: LoadContext) -> Native:
        settings = NativeSettings.parse(context.settings)
        path = context.weights or cls.find_weights(context.challenge, None)
        dtype = PRECISIONS[settings.precision] if settings.precision else fastest_precision(context.device)
        settings.check_fit(path, read_header(path).model)
        denoiser, header = load_denoiser(path, context.challenge, context.device, dtype)
        model = header.model
        return cls(
            denoiser,
            settings.solver or model["solver"],
            model.get("guidance", 1.0) if settings.guidance is None else settings.guidance,
            model.get("noise_scale", 1.0) if settings.noise_scale is None else settings.noise_scale,
            model.get("middle"),
        )

    def networks(self) -> Sequence[nn.Module]:
        return (self.denoiser.network,)

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` counts evaluations of the network."""
        device = self.denoiser.network.out_gain.device
        labels_B, seeds_B = labels_B.to(device), seeds_B.to(device)

        def denoise(x_B3HW: Tensor, sigma: float) -> Tensor:
            return self._denoise(x_B3HW, sigma, labels_B)

        if self.solver == CONSISTENCY:
            assert self.middle is not None
            x_B3HW = sample_consistency(denoise, lambda i: self._noise(seeds_B, i), steps, self.middle)
        else:
            x_B3HW = sample(self.solver, denoise, self._noise(seeds_B, 0), steps)
        return to_uint8(x_B3HW)

    def _noise(self, seeds_B: Tensor, evaluation: int) -> Tensor:
        """Fresh noise of each image's own for each evaluation that takes some; the first is scaled."""
        size = self.denoiser.network.config.size
        numbers = 3 * size * size
        noise_BN = normal(seeds_B, numbers, skip=evaluation * ((numbers + 1) // 2))
        noise_B3HW = noise_BN.view(-1, 3, size, size).contiguous(memory_format=torch.channels_last)
        return noise_B3HW if evaluation else noise_B3HW * self.noise_scale

    def _denoise(self, x_B3HW: Tensor, sigma: float, labels_B: Tensor) -> Tensor:
        return denoise_guided(self.denoiser, x_B3HW, sigma, labels_B, self.guidance)
